"""A tokenizer that tokenizer didn't finish is left behind, and its job ends."""

from __future__ import annotations

import threading

import pytest

from tests.engine import tiny
from tui.conversation.turn import Message, ReplyStats
from tui.engine.base import Cancelled, Finished, GenerateRequest, GenerationError, StopReason
from tui.engine.local import encoding
from tui.engine.local.encoding import Encoder
from tui.engine.local.generation import reply
from tui.engine.local.prompt import PromptBuilder

PATIENCE_S = 20
CHAT = (Message("user", "Hi"),)


def spin(*_args, **_options):
    while True:
        pass


@pytest.fixture
def endless(monkeypatch):
    """A prompt builder whose tokenizer has begun to loop."""
    monkeypatch.setattr(encoding, "_WITHIN_S", 0.5)
    tokenizer = tiny.tokenizer()
    made = PromptBuilder(tokenizer)
    tokenizer.encode = spin
    return made


def test_a_prompt_whose_tokenizer_never_ends_is_cancelled(endless):
    with pytest.raises(Cancelled):
        endless.build(CHAT, cancelled=lambda: True)


@pytest.mark.parametrize(
    "job",
    [
        lambda made: made.build(CHAT),
        lambda made: made.count("text"),
        lambda made: made.costs(CHAT),
        lambda made: made.build((*CHAT, Message("assistant", "so")), continue_last=True),
    ],
)
def test_whatever_is_asked_of_it_ends_in_a_sentence(endless, job):
    with pytest.raises(GenerationError, match="tokenizer didn't finish"):
        job(endless)


def test_python_code_that_looped_makes_room_for_the_next_text(endless):
    with pytest.raises(GenerationError):
        endless.count("text")
    del endless._tokenizer.encode
    for thread in threading.enumerate():
        if thread.name == "attempt":
            thread.join(PATIENCE_S)
    assert endless.count("text") == 4


def test_a_reply_that_is_cancelled_while_its_prompt_is_made_is_a_cancelled_reply(endless):
    class Loaded:
        prompts = endless

    done = reply(Loaded(), GenerateRequest(CHAT), pytest.fail, lambda: True)
    assert done == Finished(ReplyStats(), StopReason.CANCELLED)


@pytest.mark.parametrize("text", ["", "Hi", "<|end|>", "a <think> b", "\n", " x"])
def test_pieces_that_stand_alone_have_the_ids_of_their_text(text):
    tokenizer = tiny.tokenizer()
    made = Encoder(tokenizer)
    wanted = tokenizer.encode(text, add_special_tokens=False)
    assert made.joined([text]) == wanted
    assert made.joined(["", "", text]) == wanted
    assert tokenizer.decode(made.joined(["<|end|>", "<|end|>", "b"])) == "<|end|><|end|>b"
    assert made.joined(["", "<think>", ""]) != tokenizer.encode("<think>", add_special_tokens=False)


# -- what tokenizers refuse, and what they add


@pytest.mark.parametrize(
    ("text", "cleaned"),
    [
        ("plain \N{GRINNING FACE} \ue000 \ufdd0 \0", "plain \N{GRINNING FACE} \ue000 \ufdd0 \0"),
        ("half \ud83d of it", "half \ufffd of it"),
        ("\udeaa", "\ufffd"),
        ("Z\udcfcrich", "Z\ufffdrich"),
        ("two halves \ud83d\ude00", "two halves \N{GRINNING FACE}"),
        ("the wrong way \ude00\ud83d", "the wrong way \ufffd\ufffd"),
    ],
)
def test_half_characters_become_replacement_characters(text, cleaned):
    assert encoding.clean(text) == cleaned


@pytest.mark.parametrize("template", [tiny.SIMPLE_TEMPLATE, None])
def test_no_text_with_half_characters_stops_a_prompt(template):
    prompts = PromptBuilder(tiny.tokenizer(template))
    chat = [
        Message("system", "Z\udcfcrich"),
        Message("user", "Half \ud83d"),
        Message("assistant", "It is \udeaa", "so \ud83d"),
        Message("us\ud83der", "Again \udfff"),
    ]
    for continues in (False, True):
        part = chat[:3] if continues else chat
        text = prompts.text(prompts.build(part, continue_last=continues).ids)
        assert "Half \ufffd" in text
        assert "Z\ufffdrich" in text
    assert len(prompts.costs(chat)) == 4
    assert prompts.count("\ud83d") == prompts.count("\ufffd")
    assert "".join(prompts.split("a \ud83d b")) == "a \ufffd b"
    switched = PromptBuilder(tiny.tokenizer("{{ mood }}" + tiny.SIMPLE_TEMPLATE))
    assert "\ufffd" in switched.text(switched.build(CHAT, switches={"mood": "\udcfc"}).ids)


def adding(single):
    """A tokenizer that puts tokens around each text."""
    from tokenizers.processors import TemplateProcessing

    tokenizer = tiny.tokenizer(None)
    tokens = [(name, tokenizer.convert_tokens_to_ids(name)) for name in ("<|start|>", "<|end|>")]
    tokenizer.backend_tokenizer.post_processor = TemplateProcessing(
        single=single, pair=f"{single} $B", special_tokens=tokens
    )
    return tokenizer


@pytest.mark.parametrize(
    ("single", "text", "prompt"),
    [
        ("<|start|> $A <|end|>", "Once upon", "<|start|>Once upon"),
        ("<|start|> $A", "Once upon", "<|start|>Once upon"),
        ("$A <|end|> <|end|>", "Once upon", "Once upon"),
        ("<|start|> $A <|end|>", "<|start|>Once", "<|start|>Once"),
        ("<|start|> $A <|end|>", "ends with <|end|>", "<|start|>ends with <|end|>"),
    ],
)
def test_a_prompt_ends_with_the_text_whatever_the_tokenizer_appends(single, text, prompt):
    prompts = PromptBuilder(adding(single))
    assert prompts.text(prompts.build([Message("user", text)]).ids) == prompt
    chat = [Message("user", text), Message("assistant", " a time ")]
    assert prompts.text(prompts.build(chat, continue_last=True).ids) == f"{prompt}\n\n a time "


def test_a_template_s_prompt_has_what_the_template_wrote_alone():
    tokenizer = adding("<|start|> $A <|end|>")
    tokenizer.chat_template = "{{ bos_token }}" + tiny.SIMPLE_TEMPLATE
    prompts = PromptBuilder(tokenizer)
    assert prompts.text(prompts.build(CHAT).ids) == "<|start|><|user|>Hi<|end|><|assistant|>"


def test_a_base_model_is_sent_no_gaps_for_replies_without_text():
    prompts = PromptBuilder(tiny.tokenizer(None))
    chat = [Message("user", "One"), Message("assistant", "", "Hm"), Message("user", "Two")]
    assert prompts.text(prompts.build(chat).ids) == "One\n\nTwo"
