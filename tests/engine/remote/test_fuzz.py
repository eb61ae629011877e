"""Replies made of anything, in any order: what came before the first fault comes through, and nothing is asked for twice."""

from __future__ import annotations

import json

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.engine.remote.asking import asking
from tests.engine.remote.fake_server import serving
from tests.engine.remote.talk import CHAT, delta
from tests.engine.remote.test_values import ANY
from tui.engine.base import Finished, GenerationError, ReasoningDelta, StopReason, TextDelta

WORD = st.text("ab \né🙂", min_size=1, max_size=5)
HARMLESS = st.sampled_from([b": hm\n\n", b"\n\n", b"event: x\n\n", b"data: {}\n\n", b'data: {"choices": []}\n\n'])  # fmt: skip
FATAL = st.sampled_from([b"data: {\n\n", b"data: 3\n\n", b'data: {"error": "no"}\n\n', b'data: {"object": "error"}\n\n'])  # fmt: skip
STEP = st.one_of(
    st.tuples(st.just("content"), WORD),
    st.tuples(st.just("reasoning_content"), WORD),
    st.tuples(st.just("raw"), HARMLESS),
    st.tuples(st.just("usage"), ANY),
    st.tuples(st.just("fatal"), FATAL),
    st.tuples(st.just("close"), st.none()),
    st.tuples(st.just("stop"), st.sampled_from(["stop", "length", "odd"])),
    st.tuples(st.just("done"), st.none()),
)
ENDS = ("fatal", "close", "done")


@pytest.fixture(scope="module")
def pair():
    with serving() as server, asking() as asker:
        asker.load(server.url)
        yield server, asker


def data_of(kind, value):
    """What a step sends."""
    if kind in ("content", "reasoning_content"):
        return f"data: {json.dumps(delta(**{kind: value}))}\n\n".encode()
    if kind == "usage":
        try:
            return f"data: {json.dumps({'usage': value})}\n\n".encode()
        except TypeError:
            return b""
    if kind == "stop":
        return f"data: {json.dumps(delta(value))}\n\n".encode()
    return {"raw": value, "fatal": value, "done": b"data: [DONE]\n\n", "close": b""}[kind]


def expected(steps):
    """The words that have to come through, whether the reply is whole, and why it ended."""
    said, reason = {"content": "", "reasoning_content": ""}, None
    for kind, value in steps:
        if kind in said:
            said[kind] += value
        elif kind == "stop":
            reason = StopReason.LENGTH if value == "length" else StopReason.END
        elif kind == "done":
            return said, reason or StopReason.END
        elif kind in ENDS:
            break
    return said, reason


@settings(
    max_examples=120,
    suppress_health_check=[HealthCheck.too_slow],
)
@given(steps=st.lists(STEP, max_size=12), cuts=st.lists(st.integers(0, 10**4), max_size=6))
def test_a_reply_of_anything(pair, steps, cuts):
    server, asker = pair
    before = len(server.replies_asked)
    end = next((at for at, step in enumerate(steps) if step[0] in ENDS), len(steps))
    stream = b"".join(data_of(*step) for step in steps[: end + 1])

    def act(talk):
        talk.stream()
        places = sorted(at % (len(stream) + 1) for at in cuts)
        for start, stop in zip([0, *places], [*places, len(stream)], strict=True):
            if stream[start:stop]:
                talk.chunk(stream[start:stop])
        if end < len(steps) and steps[end][0] == "close":
            talk.close()
        else:
            talk.end()

    server.answers[CHAT] = act
    heard = asker.ask()
    said, reason = expected(steps)
    assert len(server.replies_asked) == before + 1
    pieces = [event for event in heard.events if isinstance(event, TextDelta | ReasoningDelta)]
    for kind, field in ((TextDelta, "content"), (ReasoningDelta, "reasoning_content")):
        text = "".join(event.text for event in pieces if isinstance(event, kind))
        assert text == said[field]
    if reason is None:
        assert type(heard.error) is GenerationError
    else:
        assert isinstance(heard.finished, Finished)
        assert heard.finished.reason is reason
