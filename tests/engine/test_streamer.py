"""The text of tokens to events: what is shown and counted, and what is not."""

import pytest
import torch

from tests.engine.tiny import tokenizer
from tui.conversation.reasoning_marks import THINK
from tui.conversation.thoughts import ThinkSplitter
from tui.engine.base import ReasoningDelta, TextDelta
from tui.engine.local.detokenizer import detokenizer
from tui.engine.local.streamer import ReplyStreamer


@pytest.fixture(scope="module")
def bytewise():
    return tokenizer()


def make_streamer(text, emit, *, ends=(), silent=(), open_at_start=False):
    return ReplyStreamer(
        text, ThinkSplitter(THINK if open_at_start else None), emit, ends=ends, silent=silent
    )


def test_text_without_spaces_streams_token_by_token(bytewise):
    emitted = []
    streamer = make_streamer(detokenizer(bytewise), emitted.append)
    streamer.put(torch.tensor([[1, 2, 3]]))
    for token in bytewise.encode("日本語", add_special_tokens=False):
        streamer.put(torch.tensor([token]))
    assert [event.text for event in emitted] == ["日", "本", "語"]
    assert sum(event.tokens for event in emitted) == 9 == streamer.new_tokens


def test_the_prompt_is_not_part_of_the_reply(bytewise):
    emitted = []
    streamer = make_streamer(detokenizer(bytewise), emitted.append)
    streamer.put(torch.tensor([bytewise.encode("the prompt")]))
    streamer.finish()
    assert not emitted
    assert not streamer.ids


def test_several_tokens_can_arrive_at_once(bytewise):
    emitted = []
    streamer = make_streamer(detokenizer(bytewise), emitted.append)
    streamer.put(torch.tensor([[0]]))
    streamer.put(torch.tensor(bytewise.encode("hello", add_special_tokens=False)))
    assert "".join(event.text for event in emitted) == "hello"
    assert streamer.new_tokens == 5


def test_the_end_of_the_turn_is_neither_shown_nor_counted(bytewise):
    emitted = []
    streamer = make_streamer(detokenizer(bytewise), emitted.append, ends={bytewise.eos_token_id})
    for token in [*bytewise.encode("hi", add_special_tokens=False), bytewise.eos_token_id]:
        streamer.take(token)
    streamer.finish()
    assert "".join(event.text for event in emitted) == "hi"
    assert streamer.ended
    assert streamer.new_tokens == 2
    assert streamer.ids[-1] == bytewise.eos_token_id


def test_special_tokens_are_silent_but_counted(bytewise):
    emitted = []
    role = bytewise.convert_tokens_to_ids("<|user|>")
    streamer = make_streamer(detokenizer(bytewise), emitted.append, silent={role})
    for token in [role, *bytewise.encode("hi", add_special_tokens=False)]:
        streamer.take(token)
    assert "".join(event.text for event in emitted) == "hi"
    assert streamer.new_tokens == 3


def test_reasoning_is_told_apart_and_timed(bytewise):
    emitted = []
    streamer = make_streamer(detokenizer(bytewise), emitted.append)
    for token in bytewise.encode("<think>why</think>so", add_special_tokens=False):
        streamer.take(token)
    streamer.finish()
    assert "".join(e.text for e in emitted if isinstance(e, ReasoningDelta)) == "why"
    assert "".join(e.text for e in emitted if isinstance(e, TextDelta)) == "so"
    assert streamer.reasoning_tokens == 5
    assert streamer.reasoning_s > 0


def test_a_half_character_at_the_end_of_a_cut_off_reply_is_left_out(bytewise):
    emitted = []
    streamer = make_streamer(detokenizer(bytewise), emitted.append)
    for token in bytewise.encode("ok 😀", add_special_tokens=False)[:-1]:
        streamer.take(token)
    streamer.finish()
    assert "".join(event.text for event in emitted) == "ok "


class Long:
    """Gives one letter for the token 1, and ten million for others."""

    def step(self, token):
        return "a" if token == 1 else "x" * 10_000_000


def test_a_token_of_ten_million_characters_ends_the_reply_and_not_the_app():
    came = []
    streamer = make_streamer(Long(), came.append)
    streamer.take(1)
    with pytest.raises(ValueError, match="decodes one token to 10,000,000 characters"):
        streamer.take(2)
    streamer.finish()
    assert [event.text for event in came] == ["a"]
