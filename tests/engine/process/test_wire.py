"""What crosses between the processes comes out as it went in, and what is no such value is refused."""

from __future__ import annotations

import contextlib
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tui.conversation.parts import FilePart, ImagePart, TextPart, ToolCallPart
from tui.conversation.turn import Message, ReplyStats
from tui.engine import base
from tui.engine.base import (
    Capabilities,
    Event,
    GenerateRequest,
    LoadRequest,
    MemoryReading,
    ModelInfo,
    Overflow,
    TemplateSwitch,
)
from tui.engine.process.wire import Frames, WireError, decode, encode, pack

TEXT = st.text(max_size=20)
COUNT = st.integers(0, 10**12)
JSON = st.recursive(
    st.none() | st.booleans() | COUNT | st.floats(allow_nan=False) | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=6,
)
TABLE = st.dictionaries(TEXT, JSON, max_size=3)
PARTS = st.one_of(
    st.builds(TextPart, TEXT, TABLE),
    st.builds(FilePart, TEXT, TEXT, TABLE),
    st.builds(ImagePart, TEXT, TEXT, TEXT, TEXT, TABLE),
    st.builds(ToolCallPart, TEXT, TEXT, JSON, TABLE),
)
MESSAGES = st.builds(Message, TEXT, TEXT, TEXT, st.lists(PARTS, max_size=3).map(tuple))
STATS = st.builds(ReplyStats, COUNT, COUNT, COUNT, ttft_s=st.floats(0, 1e6))
VALUES = st.one_of(
    st.builds(GenerateRequest, st.lists(MESSAGES, max_size=3).map(tuple), TABLE, st.booleans(), TABLE,
              st.sampled_from(base.Speculation), st.none() | COUNT, JSON),
    st.builds(LoadRequest, TEXT, TEXT, max_memory=st.dictionaries(TEXT, TEXT), trusted=st.lists(TEXT).map(tuple)),
    st.builds(ModelInfo, TEXT, TEXT, defaults=TABLE, notes=st.lists(TEXT).map(tuple),
              template_switches=st.lists(st.builds(TemplateSwitch, TEXT, st.lists(JSON, max_size=2).map(tuple), JSON)).map(tuple),
              capabilities=st.builds(Capabilities, st.none() | st.frozensets(TEXT))),
    st.builds(MemoryReading, TEXT, TEXT, COUNT, others=st.lists(st.builds(MemoryReading, TEXT)).map(tuple)),
)  # fmt: skip
EVENTS = st.one_of(
    st.builds(base.Progress, TEXT, COUNT, COUNT, TEXT),
    st.builds(base.PromptReady, COUNT, COUNT, TABLE, notes=st.lists(TEXT).map(tuple)),
    st.builds(base.TextDelta, TEXT, COUNT),
    st.builds(base.ReasoningDelta, TEXT, COUNT),
    st.builds(base.ReasoningFound, TEXT, TEXT, COUNT),
    st.builds(base.Finished, STATS, st.sampled_from(base.StopReason)),
    st.builds(base.Failed, TEXT, TEXT, st.booleans(), STATS,
              st.none() | st.builds(Overflow, COUNT, COUNT, st.lists(COUNT).map(tuple)),
              st.sampled_from(base.FailureCause)),
)  # fmt: skip


def through(kind: Any, value: Any) -> Any:
    """What comes out at the other end."""
    [message] = Frames().feed(pack({"value": encode(value)}))
    return decode(kind, message["value"])


@given(VALUES)
def test_values_come_out_as_they_went_in(value):
    assert through(type(value), value) == value


@given(EVENTS)
def test_events_come_out_as_they_went_in(event):
    assert through(Event, event) == event


@given(st.lists(TABLE, max_size=4), st.integers(1, 7))
def test_messages_are_found_however_the_bytes_come(messages, size):
    data = b"".join(map(pack, messages))
    frames = Frames()
    found = [one for at in range(0, len(data), size) for one in frames.feed(data[at : at + size])]
    assert found == json.loads(json.dumps(messages))


@given(JSON, st.sampled_from([ModelInfo, GenerateRequest, Event, MemoryReading, tuple[str, ...]]))
def test_what_is_no_such_value_is_refused(data, kind):
    try:
        value = decode(kind, data)
    except WireError:
        return
    assert encode(value) == data


@given(st.binary(max_size=40))
def test_bytes_that_are_no_frames_are_refused_or_wait(data):
    with contextlib.suppress(WireError):
        Frames().feed(data)


@pytest.mark.parametrize(
    "data",
    [
        {"type": "ModelInfo", "model": "m", "name": "n", "more": 1},
        {"type": "ModelInfo", "model": 5, "name": "n"},
        {"type": "ModelInfo", "name": "n"},
        {"type": "os.system", "command": "x"},
        {"model": "m", "name": "n"},
    ],
)
def test_a_record_has_its_own_fields_with_their_types(data):
    with pytest.raises(WireError):
        decode(ModelInfo, data)
