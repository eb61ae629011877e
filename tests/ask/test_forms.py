"""What is printed of a reply is the same however the engine cuts it into pieces."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tui.ask.forms import Printer, Reply, printer
from tui.ask.options import Form
from tui.conversation import Generation, ReplyStats, Status
from tui.engine.base import ReasoningDelta, ReasoningFound, TextDelta
from tui.sanitize import sanitize


@dataclass
class Paper:
    """Takes what is printed, as `Stdout` does."""

    is_terminal: bool = False
    printed: list[str] = field(default_factory=list)

    def write(self, text: str) -> None:
        self.printed.append(sanitize(text) if self.is_terminal else text)

    def write_safe(self, text: str) -> None:
        self.printed.append(text)

    @property
    def text(self) -> str:
        return "".join(self.printed)


def reply(text: str, reasoning: str = "", status: Status = Status.COMPLETE) -> Reply:
    return Reply(text, reasoning, status, "", Generation("m", "M", stats=ReplyStats(3)))


def printed(form: Form, *texts: str, size: int = 3, is_terminal: bool = False) -> str:
    paper = Paper(is_terminal)
    made = printer(form, paper, variants=len(texts))
    for text in texts:
        for at in range(0, len(text), size):
            made.take(TextDelta(text[at : at + size]))
        made.end(reply(text))
    made.finish()
    return paper.text


MARKDOWN = st.lists(
    st.sampled_from(
        ["# Title\n", "\n", "- item\n", "  more\n", "text **bold**\n", "```py\n", "x = 1\n", "| a | b |\n", "|---|---|\n", "> quote\n", "\r\n", "1. one\n", "\u2028", "\x0c"]
    ),
    max_size=12,
).map("".join)  # fmt: skip


@given(MARKDOWN, st.integers(1, 9))
def test_what_is_laid_out_does_not_depend_on_the_pieces(text, size):
    def words(laid_out):
        return laid_out.split()

    whole = printed(Form.RENDERED, text, size=max(1, len(text)))
    assert words(printed(Form.RENDERED, text, size=size)) == words(whole)


def test_a_block_is_printed_as_soon_as_the_next_one_begins():
    paper = Paper()
    made = printer(Form.RENDERED, paper, variants=1)
    made.take(TextDelta("First.\n\nSec"))
    made.take(TextDelta("ond\n"))
    assert paper.text.split() == ["First."]


@pytest.mark.parametrize("form", [Form.PLAIN, Form.RENDERED])
def test_model_text_gets_no_sequence_onto_a_terminal(form):
    text = printed(form, "a\x1b]0;pwned\x07 [b](http://x/\x1b[2J)\n", is_terminal=True)
    assert "\x1b]" not in text
    assert "\x1b[2J" not in text


@given(st.lists(st.text("ab\n", max_size=6), max_size=3))
def test_plain_text_is_as_it_is_with_a_line_end(texts):
    said = [text for text in texts if text]
    ended = [text if text.endswith("\n") else f"{text}\n" for text in said]
    assert printed(Form.PLAIN, *texts) == "\n---\n\n".join(ended)


def test_json_can_be_read_whatever_was_said():
    text = "a\x1b\ud800\u2028\"'\n"
    made = json.loads(printed(Form.JSON, text))
    assert made["text"] == text.encode("utf-8", "replace").decode()
    assert [one["text"] for one in json.loads(printed(Form.JSON, "a", "b"))] == ["a", "b"]
    assert printed(Form.JSON) == "" or json.loads(printed(Form.JSON)) == []


def test_events_say_when_text_was_reasoning():
    paper = Paper()
    made: Printer = printer(Form.STREAM_JSON, paper, variants=1)
    for event in (TextDelta("Hm"), ReasoningFound("Hm", "</think>"), ReasoningDelta("."), TextDelta("Yes")):  # fmt: skip
        made.take(event)
    made.end(reply("Yes", "Hm.", Status.TRUNCATED))
    kinds = [json.loads(line) for line in paper.text.splitlines()]
    assert [one["event"] for one in kinds] == [
        "text",
        "text_was_reasoning",
        "reasoning",
        "text",
        "end",
    ]
    assert kinds[-1]["finish_reason"] == "length"


@pytest.mark.parametrize(
    "text",
    [
        "".join(f"{'  ' * depth}- item{depth}\n" for depth in range(60)),
        f"{'> ' * 40}deep\n",
        "|" + "|".join(f"h{n}" for n in range(60)) + "|\n|" + "-|" * 60 + "\n|" + "|".join(f"c{n}" for n in range(60)) + "|\n",
        "1. one\n2. two\n\n```python\nx = 1\n```\n",
    ],
)  # fmt: skip
def test_nothing_is_lost_by_the_layout(text):
    shown = printed(Form.RENDERED, text)
    flat = "".join(shown.split())
    assert not [word for word in re.findall(r"(?:item|h|c)\d+|deep|one|two|x", text) if word not in flat]  # fmt: skip


def test_a_rule_parts_variants_that_are_laid_out_too():
    assert "\n---\n" in printed(Form.RENDERED, "One.\n", "Two.\n")


def test_lines_that_are_laid_out_for_a_file_end_with_their_text():
    assert not [line for line in printed(Form.RENDERED, "Some text.\n\n- a\n").splitlines() if line != line.rstrip()]  # fmt: skip
