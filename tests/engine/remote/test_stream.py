"""A stream means the same however it is cut into pieces, and whatever is in it."""

from __future__ import annotations

import contextlib
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.engine.remote.talk import delta
from tests.engine.remote.test_values import ANY
from tui.engine.base import StopReason
from tui.engine.remote.chat_completions import DONE
from tui.engine.remote.dialect import Ended, Reading, Usage, Words
from tui.engine.remote.dialects import DIALECTS
from tui.engine.remote.link import _Events, _Lines
from tui.engine.remote.problems import ServerError

LINE = st.text(st.characters(exclude_characters="\r\n", codec="utf-8"), max_size=20)
EVENT = st.lists(LINE, min_size=1, max_size=3)


def events_of(data, cuts):
    """The data of the events in a stream that comes in pieces."""
    lines, events = _Lines(), _Events()
    places = sorted(at % (len(data) + 1) for at in cuts)
    found = []
    for start, end in zip([0, *places], [*places, len(data)], strict=True):
        for line in lines.take(data[start:end]):
            found += events.take(line)
    return [*found, *events.take(lines.rest()), *events.rest()]


@given(
    st.lists(EVENT, max_size=5),
    st.lists(st.integers(0, 10**6), max_size=12),
    st.sampled_from(["\n", "\r\n"]),
    st.booleans(),
)
def test_events_are_the_same_however_they_are_cut(events, cuts, newline, is_whole):
    blocks = (newline.join(f"data: {line}" for line in event) for event in events)
    text = (newline * 2).join(blocks) + (newline * 2 if is_whole else "")
    assert events_of(text.encode(), cuts) == ["\n".join(event) for event in events]


@given(st.binary(), st.lists(st.integers(0, 10**6), max_size=6))
def test_any_bytes_are_events_or_none(data, cuts):
    assert events_of(data, cuts) == events_of(data, [])


@pytest.mark.parametrize(
    ("text", "events"),
    [
        ("data: a\n\n", ["a"]),
        ("data:a\n\ndata:  b\n\n", ["a", " b"]),
        ("data: a\ndata: b\n\n", ["a\nb"]),
        (": comment\n\ndata: a\n\n", ["a"]),
        ("event: x\nid: 1\nretry: 2\ndata: a\n\n", ["a"]),
        ("data\n\n", [""]),
        ("database: a\n\n", []),
        ("\ufeffdata: a\n\n", ["a"]),
        ('data: a\n{"error": "b"}\n', ["a", '{"error": "b"}']),
        ("data: a", ["a"]),
        ("data: a\n", ["a"]),
        ("", []),
    ],
)
def test_what_an_event_is(text, events):
    assert events_of(text.encode(), []) == events


CHUNK = st.fixed_dictionaries(
    {},
    optional={
        "choices": ANY | st.lists(st.fixed_dictionaries({}, optional={"delta": ANY, "finish_reason": ANY, "message": ANY})),
        "usage": ANY,
        "timings": ANY,
        "prompt_progress": ANY | st.fixed_dictionaries({}, optional={"total": ANY, "processed": ANY, "cache": ANY}),
        "error": ANY,
        "message": ANY,
        "done": ANY,
        "done_reason": ANY,
    },
)  # fmt: skip


@pytest.mark.parametrize("dialect", ["openai", "ollama"])
@given(chunk=ANY | CHUNK)
def test_any_chunk_says_something_or_tells_of_an_error(dialect, chunk):
    try:
        piece = json.dumps(chunk)
    except TypeError:
        piece = repr(chunk)
    with contextlib.suppress(ServerError):
        for said in DIALECTS[dialect].reader().read(piece):
            match said:
                case Words(text):
                    text.encode("utf-8")
                case Usage():
                    figures = [getattr(said, name) for name in Usage.__slots__]
                    assert all(figure >= 0 for figure in figures)
                case Reading(done, total, cached):
                    assert 0 <= cached <= done <= total
                case Ended(reason):
                    assert isinstance(reason, StopReason)


@pytest.mark.parametrize("dialect", ["openai", "ollama"])
@given(piece=st.text())
def test_any_piece_says_something_or_tells_of_an_error(dialect, piece):
    with contextlib.suppress(ServerError):
        list(DIALECTS[dialect].reader().read(piece))


def test_done_ends_a_reply_for_the_reason_that_was_told():
    reader = DIALECTS["openai"].reader()
    list(reader.read(json.dumps(delta("length", content="a"))))
    assert list(reader.read(DONE)) == [Ended(StopReason.LENGTH)]


def test_figures_that_are_told_again_and_again_are_told_once():
    reader = DIALECTS["vllm"].reader()
    piece = json.dumps({"choices": [], "usage": {"prompt_tokens": 3, "completion_tokens": 1}})
    assert len([*reader.read(piece), *reader.read(piece)]) == 1
