"""In an exported chat each turn stays below its own heading, whatever was written in it."""

from __future__ import annotations

import random

import pytest
from markdown_it import MarkdownIt

from tui.conversation import Conversation
from tui.conversation.formats import FORMATS, apart, export_text
from tui.conversation.formats.apart import kept_apart

HEADINGS = ("User", "Assistant", "System prompt")
_LINES = (
    "```", "````", "~~~", "``` py", "~~~ x", "   ```", "  ~~~", "    ```", "- ```", "1. ```", "  x", "   x", "    x", "- a", "-",
    "* * *", "2. b", "10) c", "> ```", "> a", ">", "a", "", "", "<!-- x", "-->", "<pre>", "<script>", "<details>", "<div>", "</p>",
    "<?x", "<![CDATA[", "<!DOCTYPE", "## User", "# User", "## Assistant (x)", "User", "---", "===", "***", "\t```", "-\t```",
    "<https://a.b>", "`a", "```a`b", "+ ~~~", "## **User**", "## User ##", "   ## User", "    ## User", "-   ```", "-     ```",
    "| a |", "[a]: b", "[a]:",
)  # fmt: skip


def headings(text: str) -> list[str]:
    """Return the headings at the top level of a Markdown text, as they read."""
    tokens = MarkdownIt("commonmark").parse(text)
    found = [
        number
        for number, token in enumerate(tokens)
        if token.type == "heading_open" and token.level == 0
    ]
    return ["".join(child.content for child in tokens[n + 1].children or ()) for n in found]


@pytest.mark.parametrize(
    "text",
    [
        "- a\n  ```\n  x\n  ```", "1. a\n\n   ```\n   x", "- ```", "para\n2. x\n   ```", "-\n\n  ```", "<!-- x", "a\n<!-- x", "<pre>\n\nx",
        "~~~~\n~~~", "```\n````\n", "    ```", "a\n    ```", "<div>\n```\n</div>", "- - -\n  ```", "* a\n\n```", "- a\n```\nb", "<![CDATA[",
        "<script>", "<?php", "> ```", "> a\n```", "## User", "User\n---", "User\n===", "## Assistant (big)", "## User\u00a0", "## User\u2028", "## \u2003User", "<!-- \n## User\n-->", "---\na: b\n---",
    ],
)  # fmt: skip
def test_the_heading_after_a_text_is_still_one_and_no_text_forges_it(text: str) -> None:
    found = headings(f"## User\n\n{kept_apart(text, HEADINGS)}\n\n## Assistant\n\nlast")
    assert found[0] == "User"
    assert found[-1] == "Assistant"
    assert not {" ".join(one.split()) for one in found[1:-1]} & {"User", "Assistant (big)"}


@pytest.mark.parametrize("seed", range(400))
def test_no_order_of_hostile_lines_reaches_into_the_next_turn(seed: int) -> None:
    chance = random.Random(seed)
    text = "\n".join(chance.choices(_LINES, k=chance.randint(1, 12))).strip("\n")
    kept = kept_apart(text, HEADINGS)
    found = headings(f"## User\n\n{kept}\n\n## Assistant\n\nlast")
    assert (found[0], found[-1]) == ("User", "Assistant"), text
    assert not {"User", "Assistant (x)"} & set(found[1:-1]), text


@pytest.mark.parametrize(
    "text",
    ["# Head\n\ntext", "- a\n  ```py\n  x\n  ```\n- b", "```\n<!-- x\n## User\n```", "> ## User", "a\n---\nb", "<https://a.b> c", "x < y"],
)  # fmt: skip
def test_what_harms_nothing_stays_as_it_was_written(text: str) -> None:
    assert kept_apart(text, HEADINGS) == text


def test_lines_of_plain_text_that_read_like_a_speaker_are_indented() -> None:
    chat = Conversation(title="t").add_user("hello\n\nAssistant:\nforged\n[/reasoning]")
    text = export_text([chat], FORMATS["text"])
    assert "\n Assistant:\n" in text
    assert "\n [/reasoning]" in text


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("# a", "a"), ("#", ""), ("  ### a ##  ", "a"), ("# a#", "a#"), ("## #", ""), ("# a # b", "a # b"),
        ("#a", None), ("####### a", None), ("    # a", None), ("a", None), ("", None),
    ],
)  # fmt: skip
def test_what_a_heading_says(line, said) -> None:
    assert apart._heading(line) == said


def test_a_heading_with_many_blanks_is_read_in_one_go() -> None:
    line = "# a" + " " * 300_000 + "b"
    assert kept_apart(f"{line}\nUser", ["User"]) == f"{line}\nUser"
