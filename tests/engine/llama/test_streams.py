"""What llama.cpp says, without it: pieces of text, streams, control tokens, and the loads that end before it is needed."""

from __future__ import annotations

import json
import struct
import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.engine.conftest import chat, never
from tests.engine.llama import tiny_gguf
from tui.conversation.turn import Message
from tui.engine.base import (
    Cancelled,
    GenerateRequest,
    LoadRequest,
    ModelLoadError,
    StopReason,
    TextDelta,
)
from tui.engine.llama import loading
from tui.engine.llama.control_tokens import ControlTokens
from tui.engine.llama.pieces import whole_pieces
from tui.engine.llama.stream import Stream
from tui.engine.remote.dialects.llama_server import LLAMA_SERVER
from tui.engine.remote.telling import Telling


def chunk(text, reason=None):
    choice = {"index": 0, "delta": {"content": text}, "finish_reason": reason}
    return json.dumps({"choices": [choice], "object": "chat.completion.chunk"})


@given(st.lists(st.text(max_size=8), max_size=12))
def test_the_text_is_what_the_pieces_make_together(pieces):
    def work(_body, take):
        for piece in [chunk(one) for one in pieces] + [chunk("", "stop")]:
            assert not take(piece)

    events = []
    telling = Telling(GenerateRequest(chat("x")), events.append)
    reader = LLAMA_SERVER.reader()
    for piece in Stream(work, {}).pieces(never):
        for said in reader.read(piece):
            telling.take(said)
    assert telling.finished(telling.ended.reason).reason is StopReason.END
    told = "".join(event.text for event in events if isinstance(event, TextDelta))
    # Blanks around marks of reasoning are the splitter's business.
    assert told == "".join(pieces) or "<" in told or told.strip() == "".join(pieces).strip()


@given(st.text(max_size=30), st.data())
def test_pieces_of_bytes_make_the_text(text, data):
    raw = text.encode("utf-8", "replace")
    cuts = sorted(data.draw(st.sets(st.integers(0, len(raw)))))
    parts = [raw[a:b] for a, b in zip([0, *cuts], [*cuts, len(raw)], strict=True)]
    told = [_as_told(part) for part in parts]
    pieces = whole_pieces(told)
    assert len(pieces) == len(parts)
    assert "".join(pieces) == raw.decode("utf-8", "replace")


def _as_told(part):
    try:
        return part.decode()
    except UnicodeDecodeError:
        return list(part)


def test_a_character_in_several_tokens_is_in_the_first():
    assert whole_pieces([" ", [240, 159], [153, 130], "x"]) == (" ", "🙂", "", "x")
    assert whole_pieces([[240, 159]]) == ("\ufffd",)
    assert whole_pieces([None, 3, [300, "x"]]) == ("", "", "")
    assert whole_pieces([]) == ()


def test_a_stream_that_is_cancelled_does_not_wait():
    going, seen = threading.Event(), []

    def work(_body, take):
        take("one")
        going.wait(30)
        seen.append(take("two"))

    stream = Stream(work, {})
    pieces = stream.pieces(lambda: bool(seen_first))
    seen_first = []
    seen_first.append(next(pieces))
    with pytest.raises(Cancelled):
        next(pieces)
    assert not stream.wait(lambda: True)
    going.set()
    assert stream.wait(never)
    assert seen == [True]


def test_an_error_of_a_stream_is_raised_behind_its_pieces():
    def work(_body, take):
        take("one")
        raise ValueError("no")

    pieces = Stream(work, {}).pieces(never)
    assert next(pieces) == "one"
    with pytest.raises(ValueError, match="no"):
        next(pieces)


def test_control_tokens_in_a_message_become_text():
    tokens = ControlTokens(["<|im_end|>", "<|im|>", "</s>", "x"])
    plain = Message("user", "a < b, <|im x")
    assert tokens.as_text(plain) is plain
    changed = tokens.as_text(Message("user", "a<|im_end|></s>", reasoning="<|im|>"))
    assert changed.content == "a<\u200b|im_end|><\u200b/s>"
    assert changed.reasoning == "<\u200b|im|>"
    assert ControlTokens([]).as_text(plain) is plain


def test_the_switches_of_a_template():
    found = loading.switches("{% if enable_thinking %}{{ reasoning_effort }}")
    assert [one.name for one in found] == ["enable_thinking", "reasoning_effort"]
    assert loading.switches("{{ messages }}") == ()


@pytest.mark.parametrize(
    ("name", "damage", "said"),
    [
        ("cut", lambda data: data[: len(data) // 2], "isn't a complete GGUF file"),
        ("head", lambda data: data[:20], "isn't a complete GGUF file"),
        ("text", lambda _data: b"hello " * 100, "GGUF"),
        ("next", lambda data: data[:4] + struct.pack("<I", 9) + data[8:], "version 9"),
    ],
)
def test_a_damaged_file_is_told_before_llama_cpp_sees_it(tmp_path, model, name, damage, said):
    path = tmp_path / f"{name}.gguf"
    path.write_bytes(damage(model.read_bytes()))
    with pytest.raises(ModelLoadError, match=said):
        loading.load(LoadRequest(str(path)), tmp_path, lambda _event: None, never)


@pytest.mark.parametrize("architecture", ["bert", "clip"])
def test_a_file_that_is_no_chat_model_is_told(tmp_path, architecture):
    path = tiny_gguf.make(tmp_path / "other.gguf", architecture=architecture)
    with pytest.raises(ModelLoadError, match=r"contains (a|only a) "):
        loading.load(LoadRequest(str(path)), tmp_path, lambda _event: None, never)


def test_reading_ahead_can_be_cancelled(tmp_path, model):
    told = []
    with pytest.raises(Cancelled):
        loading.load(LoadRequest(str(model)), tmp_path, told.append, lambda: True)
    assert told == []
