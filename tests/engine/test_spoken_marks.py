"""What models say of their reasoning and their turns, through the whole engine: rigged ones, each of which says a fixed text."""

from __future__ import annotations

import json

import pytest

from tests.engine import rigged
from tests.engine.conftest import ask, chat, load
from tests.engine.test_detokenizer import with_bytes
from tui.conversation.turn import Message
from tui.engine.base import ReasoningFound, StopReason, TextDelta

SAID = ("I count ", "the letters.", "There are ", "three.")
IM = ("<|im_start|>", "<|im_end|>")


def heard_from(engine, tmp_path, made, said, messages=None, **options):
    load(engine, rigged.saying(tmp_path / "model", made, said), dtype="float32", kernels=False)
    return ask(engine, messages or chat("How many?"), max_new_tokens=40, **options)


@pytest.mark.parametrize(
    ("opening", "closing"),
    [
        ("[THINK]", "[/THINK]"),
        ("<seed:think>", "</seed:think>"),
        ("◁think▷", "◁/think▷"),
        ("<|START_THINKING|>", "<|END_THINKING|>"),
    ],
)
@pytest.mark.parametrize("are_special", [True, False])
def test_reasoning_and_answer_are_apart(engine, tmp_path, opening, closing, are_special):
    marks = (opening, closing)
    made = (
        rigged.tokenizer(specials=(*IM, *marks), pieces=SAID)
        if are_special
        else rigged.tokenizer(pieces=(*marks, *SAID))
    )
    heard = heard_from(engine, tmp_path, made, [opening, *SAID[:2], closing, *SAID[2:]])
    assert (heard.reasoning, heard.text) == ("I count the letters.", "There are three.")
    stats = heard.finished.stats
    assert (stats.new_tokens, stats.reasoning_tokens) == (6, 4)
    assert heard.finished.reason is StopReason.END


@pytest.mark.parametrize("are_special", [True, False])
def test_channels_are_apart(engine, tmp_path, are_special):
    marks = ("<|start|>", "<|channel|>", "<|message|>", "<|end|>", "<|return|>")
    template = (
        "{% for m in messages %}<|start|>{{ m.role }}{% if m.role == 'assistant' %}<|channel|>final{% endif %}"
        "<|message|>{{ m.content }}<|end|>{% endfor %}{% if add_generation_prompt %}<|start|>assistant{% endif %}"
    )
    pieces = ("assistant", "analysis", *SAID, "final<|message|>", "assistant<|channel|>")
    made = rigged.tokenizer(
        template,
        specials=marks if are_special else ("<|return|>",),
        pieces=pieces if are_special else (*marks[:4], *pieces),
        eos="<|return|>",
    )
    said = ["<|channel|>", "analysis", "<|message|>", *SAID[:2], "<|end|>", "<|start|>", "assistant<|channel|>", "final<|message|>",
            *SAID[2:]]  # fmt: skip
    load(engine, rigged.saying(tmp_path / "model", made, said, "assistant"), kernels=False)
    heard = ask(engine, chat("How many?"), max_new_tokens=40)
    assert (heard.reasoning, heard.text) == ("I count the letters.", "There are three.")


def test_a_closing_mark_alone_takes_back_what_was_shown(engine, tmp_path):
    said = ("I look ", "at it.", "</think>", "Yes, ", "it is.")
    made = rigged.tokenizer(pieces=("<think>", *said))
    heard = heard_from(engine, tmp_path, made, said)
    assert (heard.reasoning, heard.text) == ("I look at it.", "Yes, it is.")
    [found] = [event for event in heard.events if isinstance(event, ReasoningFound)]
    assert (found.text, found.tag) == ("I look at it.", "</think>")
    stats = heard.finished.stats
    # What comes behind a mark tells that it is one.
    assert (stats.new_tokens, stats.reasoning_tokens) == (5, 4)
    assert engine._loaded.last_reply.answer == "Yes, it is."


def test_an_answer_that_speaks_about_the_tag_is_left_alone(engine, tmp_path):
    said = ("The tag `", "</think>", "` ends the thoughts.")
    heard = heard_from(engine, tmp_path, rigged.tokenizer(pieces=("<think>", *said)), said)
    assert (heard.reasoning, heard.text) == ("", "The tag `</think>` ends the thoughts.")


@pytest.mark.parametrize("are_special", [True, False])
def test_a_continued_reply_is_written_with_the_model_s_own_marks(engine, tmp_path, are_special):
    marks = ("[THINK]", "[/THINK]")
    made = (
        rigged.tokenizer(specials=(*IM, *marks), pieces=SAID)
        if are_special
        else rigged.tokenizer(pieces=(*marks, *SAID))
    )
    folder = rigged.saying(tmp_path / "m", made, [SAID[1], marks[1], *SAID[2:]], SAID[0])
    load(engine, folder, kernels=False)
    thought = (Message("user", "?"), Message("assistant", "", reasoning=SAID[0]))
    heard = ask(engine, thought, continue_last=True, max_new_tokens=9)
    assert (heard.reasoning, heard.text) == ("the letters.", "There are three.")
    prompts = engine._loaded.prompts
    assert prompts.text(prompts.build(thought, True).ids).endswith("assistant\n[THINK]I count ")
    said = (Message("user", "?"), Message("assistant", "There are ", reasoning="I count"))
    heard = ask(engine, said, continue_last=True, max_new_tokens=9)
    assert (heard.reasoning, heard.text) == ("", "three.")
    assert prompts.text(prompts.build(said, True).ids).endswith("[THINK]I count[/THINK]There are ")


# -- where turns end


def test_a_mark_that_is_no_token_ends_the_reply(engine, tmp_path):
    said = (
        "It is ",
        "blue.",
        "<|im_",
        "end|>",
        "\n<|im_start",
        "|>user\nAnd the sea?",
        " Blue as well.",
    )
    made = rigged.tokenizer(specials=("</s>",), eos="</s>", pieces=said)
    heard = heard_from(engine, tmp_path, made, said)
    assert (heard.text, heard.finished.reason) == ("It is blue.", StopReason.END)
    assert heard.finished.stats.new_tokens <= 5


@pytest.mark.parametrize("mark", ["<|im_end|>", "<|im_start|>"])
def test_a_mark_that_is_an_ordinary_added_token_ends_the_reply(engine, tmp_path, mark):
    said = ("It is ", "blue.", mark, "And the sea?")
    made = rigged.tokenizer(specials=("</s>",), eos="</s>", pieces=dict.fromkeys([*said, *IM]))
    heard = heard_from(engine, tmp_path, made, said)
    assert (heard.text, heard.finished.reason) == ("It is blue.", StopReason.END)


@pytest.mark.parametrize(
    ("user", "assistant", "after"),
    [
        ("### Instruction:\n", "\n\n### Response:\n", "\n\n"),
        ("User: ", "\nAssistant: ", "\n"),
        ("Human: ", "\n\nAI: ", "\n\n"),
        ("<|user|>\n", "\n<|assistant|>\n", "\n"),
        ("[INST] ", " [/INST]\n", " "),
        ("USER: ", " ASSISTANT:\n", " "),
        ("问：", "\n答：\n", "\n\n"),
    ],
)
def test_the_label_of_the_next_turn_ends_the_reply(engine, tmp_path, user, assistant, after):
    template = (
        "{% for m in messages %}{% if m.role == 'user' %}" + user + "{{ m.content }}" + assistant
        + "{% else %}{{ m.content }}" + after + "{% endif %}{% endfor %}"
    )  # fmt: skip
    said = ("It is ", "blue.", after + user, "And the sea?")
    made = rigged.tokenizer(template, specials=("</s>",), eos="</s>", pieces=said)
    last = rigged.NEWLINE if assistant.endswith("\n") else "\u0120"
    load(engine, rigged.saying(tmp_path / "m", made, said, last), kernels=False)
    heard = ask(engine, chat("Which color?"), max_new_tokens=9)
    assert (heard.text, heard.finished.reason) == ("It is blue.", StopReason.END)


def test_every_end_that_is_named_anywhere_counts(engine, tmp_path):
    made = rigged.tokenizer(pieces=("a", "b", "c"))
    folder = rigged.saying(tmp_path / "m", made, ("a", "b"), eos_token_id=[3, 4])
    config = folder / "config.json"
    known = json.loads(config.read_text())
    config.write_text(json.dumps({**known, "eos_token_id": [5, 6]}))
    load(engine, folder, kernels=False)
    assert {3, 4, 5, 6, made.eos_token_id} <= engine._loaded.end_ids


def test_a_stray_byte_ends_no_reply_and_a_continued_one_is_whole(engine, tmp_path):
    made = with_bytes(eos_token="</s>")
    made.chat_template = rigged.CHATML
    said = [f"<0x{value:02X}>" for value in "ü".encode()]
    folder = rigged.saying(tmp_path / "m", made, [*said, "<0xE3>", "n", "▁a"], "<0x0A>")
    load(engine, folder, dtype="float32", kernels=False)
    heard = ask(engine, chat("?"), max_new_tokens=9)
    assert (heard.text, heard.finished.reason) == ("ü\ufffdn a", StopReason.END)
    started = (*chat("?"), Message("assistant", "aü"))
    assert ask(engine, started, continue_last=True, max_new_tokens=9).text == "\ufffdn a"


def test_what_is_shown_before_a_mark_is_told_at_once(engine, tmp_path):
    said = ("It is ", "blue.")
    heard = heard_from(engine, tmp_path, rigged.tokenizer(pieces=said), said)
    assert [event.text for event in heard.events if isinstance(event, TextDelta)] == list(said)
