"""Ids to text while they are generated: whole characters, nothing lost."""

import pytest
import torch

from tests.engine.tiny import tokenizer
from tui.engine.base import ReasoningDelta, TextDelta
from tui.engine.local.reasoning import ThinkSplitter
from tui.engine.local.streamer import (
    FastDetokenizer,
    ReplyStreamer,
    SlowDetokenizer,
    detokenizer,
)

TEXTS = [
    "plain words, and  two spaces",
    "emoji 😀 and a family 👩‍👩‍👧‍👦, a flag 🇫🇷, a skin tone 👍🏽",
    "日本語のテキスト 中文 한국어",
    "naïve café – “quotes” ∑ ≈",
    "\n\n```python\nprint('héllo 🐍')\n```\n",
]


@pytest.fixture(scope="module")
def bytewise():
    return tokenizer()


def make_streamer(text, emit, *, ends=(), silent=(), open_at_start=False):
    return ReplyStreamer(text, ThinkSplitter(open_at_start), emit, ends=ends, silent=silent)


@pytest.mark.parametrize("kind", [FastDetokenizer, SlowDetokenizer])
@pytest.mark.parametrize("text", TEXTS)
def test_no_half_character_is_ever_emitted(bytewise, kind, text):
    source = bytewise.backend_tokenizer if kind is FastDetokenizer else bytewise
    stream = kind(source)
    pieces = [stream.step(token) for token in bytewise.encode(text, add_special_tokens=False)]
    assert len(pieces) == len(
        text.encode()
    )  # one token per byte: every character is split at every byte
    assert "�" not in "".join(pieces)
    assert "".join(pieces) == text


def grouped_tokenizer(text, size):
    """A tokenizer whose tokens are `size` bytes of `text`, wherever that cuts its characters."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    alphabet = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    letters = alphabet.pre_tokenize_str(text)[0][0]
    tokens = [letters[start : start + size] for start in range(0, len(letters), size)]
    backend = Tokenizer(
        models.WordLevel({token: i for i, token in enumerate(dict.fromkeys(tokens))}, "")
    )
    backend.decoder = decoders.ByteLevel()
    made = PreTrainedTokenizerFast(tokenizer_object=backend)
    return made, [backend.token_to_id(token) for token in tokens]


@pytest.mark.parametrize("size", [1, 2, 3, 4, 5, 7])
@pytest.mark.parametrize("text", TEXTS)
def test_tokens_may_cut_characters_anywhere(text, size):
    made, ids = grouped_tokenizer(text, size)
    for stream in (FastDetokenizer(made.backend_tokenizer), SlowDetokenizer(made)):
        pieces = [stream.step(token) for token in ids]
        assert not any("�" in piece for piece in pieces)
        assert "".join(pieces) == text


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


def test_a_continued_text_keeps_its_first_space():
    from tokenizers import Tokenizer, decoders, models
    from transformers import PreTrainedTokenizerFast

    backend = Tokenizer(models.WordLevel({"▁one": 0, "▁two": 1}, ""))
    backend.decoder = decoders.Metaspace()
    made = PreTrainedTokenizerFast(tokenizer_object=backend)
    assert detokenizer(made, [0]).step(1) == " two"
    assert detokenizer(made).step(1) == "two"
    assert SlowDetokenizer(made, [0]).step(1) == " two"
