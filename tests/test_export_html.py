"""The HTML page of a chat: complete in one file, and harmless whatever was said."""

from __future__ import annotations

from html.parser import HTMLParser

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.highlighting.hostile import KNOWN
from tui.conversation import Conversation, FilePart, ImagePart, from_messages
from tui.conversation.entries import ChatFormatError
from tui.export_html import export_html

ALLOWED = {"html", "head", "meta", "title", "style", "body", "section", "pre", "code", "span", "a"}
ALLOWED |= {
    "h1",
    "h2",
    "h3",
    "h4",
    "h5",
    "h6",
    "p",
    "em",
    "strong",
    "s",
    "ul",
    "ol",
    "li",
    "hr",
    "br",
}
ALLOWED |= {"blockquote", "table", "thead", "tbody", "tr", "th", "td", "details", "summary"}
PIECES = st.sampled_from(
    ["<script>", "</section>", "<img src=x onerror=y>", "[a](javascript:x)", "![i](https://e/x.png)",
     "```python\n", "```\n", "`", '"', "'", "<", ">", "&", "\n", "[x](data:text/html,y)", "<!--",
     "| a | b |\n|---|---|\n", "https://e.org", "</style>", "\x1b[0m", "\ud800", "\u202e", "> ", "- "]
)  # fmt: skip


class Page(HTMLParser):
    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.words = ""
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data):
        self.words += data


def chat_of(text: str, **more: str) -> Conversation:
    return from_messages(
        [{"role": "user", "content": text}, {"role": "assistant", "content": text, **more}]
    )


@given(text=st.lists(PIECES | st.text(max_size=5), max_size=12).map("".join))
@settings(deadline=None)
def test_nothing_in_a_page_runs_or_is_loaded(text):
    page = export_html([chat_of(text, reasoning_content=text).set_system_prompt(text).rename(text)])
    page.encode()
    assert "\x1b" not in page
    for tag, attributes in Page(page).tags:
        assert tag in ALLOWED
        assert attributes.keys() <= {
            "class", "href", "title", "lang", "charset", "http-equiv", "content", "name", "style", "start",
        }  # fmt: skip
        href = attributes.get("href")
        assert href is None or href.lower().startswith(
            ("http://", "https://", "mailto:", "http:", "https:")
        )
        if "style" in attributes:
            assert tag in ("th", "td")
            assert attributes["style"].startswith("text-align:")


def test_code_is_highlighted_and_every_word_is_there():
    page = Page(export_html([chat_of("Look:\n```python\nprint('<b>')\n```\nDone & dusted")]))
    assert ("span", {"class": "nb"}) in page.tags
    assert "print('<b>')" in page.words
    assert "Done & dusted" in page.words


def test_an_unknown_language_is_plain_code():
    assert "x &lt; y" in export_html([chat_of("```klingon\nx < y\n```")])


@pytest.mark.parametrize("language", KNOWN)
def test_code_on_which_a_lexer_never_ends_is_exported_beside_other_code(language):
    fence = f"```{language}\n{KNOWN[language]}\n```"
    page = Page(export_html([chat_of(f"{fence}\n\n```python\nprint()\n```")]))
    assert KNOWN[language].strip() in page.words
    assert ("span", {"class": "nb"}) in page.tags


def test_long_code_is_highlighted_to_its_end():
    code = "".join(f"print({number})\n" for number in range(500))
    page = Page(export_html([chat_of(f"```python\n{code}```")]))
    assert page.tags.count(("span", {"class": "nb"})) == 2 * 500
    assert code in page.words


def test_reasoning_is_folded():
    page = export_html([chat_of("1", reasoning_content="count")])
    assert "<details><summary>Reasoning</summary><p>count</p>" in page


def test_deeply_nested_text_is_written():
    assert "x" in Page(export_html([chat_of("> " * 5000 + "x")])).words
    assert "x" in Page(export_html([chat_of("[" * 5000 + "x" + "]" * 5000)])).words


def test_a_selection_is_written_alone():
    chat = from_messages(
        [{"role": "user", "content": "first"}, {"role": "user", "content": "second"}]
    )
    page = export_html([chat.rename("T")], {chat.path[1].id})
    assert "second" in page
    assert "first" not in page


def test_nothing_to_write_is_refused():
    with pytest.raises(ChatFormatError):
        export_html([])


def test_a_file_unfolds_and_an_image_is_a_line() -> None:
    chat = Conversation().add_user(
        "Look", FilePart("<b>.txt", "<i>one</i>"), ImagePart(name="<cat>")
    )
    page = export_html([chat])
    assert "<details><summary>&lt;b&gt;.txt · 1 line</summary><pre>&lt;i&gt;one" in page
    assert "<small>image: &lt;cat&gt;</small>" in page
