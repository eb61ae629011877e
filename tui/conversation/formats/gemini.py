"""Gemini: prompts of AI Studio, requests of its API, and what Google Takeout has of the app.

Takeout keeps each question with its answer as an activity of its own, so what was asked in one sitting becomes a chat.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

from tui.conversation.conversation import Conversation
from tui.conversation.formats.base import Format, Node, chain, chats_in
from tui.conversation.formats.content import EMPTY, said
from tui.conversation.formats.nodes import nodes_of
from tui.conversation.formats.problems import Problems
from tui.conversation.formats.values import (
    each,
    list_of,
    mapping_of,
    seconds,
    some,
    text_of,
    unescaped,
)
from tui.conversation.turn import ASSISTANT, USER

_SITTING_S: Final = 1800.0
"""A question that is asked this much later begins a new chat."""
_ASKED: Final = re.compile(
    r"(?:Prompted with: |Asked (?:Gemini|Bard): |Prompted |Asked |Said |Answered |Branched )"
)
_NOT_SAID: Final = re.compile(
    r"(?:Created|Used|Added|Gave|Selected|Shared|Deleted|Viewed|Visited|Searched|Edited|Pinned|Renamed|Exported|Updated)\b"
)
_ATTACHED: Final = re.compile(r"Attached (\d{1,6}) files?")
_BLOCKS: Final = frozenset(
    [
        "p",
        "div",
        "ul",
        "ol",
        "table",
        "tr",
        "blockquote",
        "pre",
        "hr",
        "h1",
        "h2",
        "h3",
        "h4",
        "h5",
        "h6",
    ]
)
_HEADINGS: Final = ("h1", "h2", "h3", "h4", "h5", "h6")
_BEGUN: Final = re.compile(r"<(?:(/?)([a-z][^\s/>]*+)|!--|[!?])", re.IGNORECASE)
_REST: Final = re.compile(r"""(?:[^>=]++|=\s*+(?:"[^"]*+"|'[^']*+')|=)*+>""")
_BARE_REST: Final = re.compile(r"[^>]*+>")
_COMMENT: Final = re.compile(r"(?:[^-]++|-(?!->))*+-->")


def _is_prompt(entry: Mapping[str, Any]) -> bool:
    chunks = mapping_of(entry.get("chunkedPrompt")).get("chunks")
    return isinstance(chunks, list) or some(
        entry.get("contents"), lambda content: "parts" in content
    )


def _is_activity(entry: Mapping[str, Any]) -> bool:
    labels = [entry.get("header"), *list_of(entry.get("products"))]
    named = any(word in text_of(label) for label in labels for word in ("Gemini", "Bard"))
    return isinstance(entry.get("title"), str) and "time" in entry and named


def _matches(document: Any) -> bool:
    return some(document, _is_prompt) or some(document, _is_activity)


def _read(document: Any, problems: Problems) -> list[Conversation]:
    if some(document, _is_activity):
        return _sittings(document, problems)
    return chats_in(document, problems, _is_prompt, _prompt)


def _prompt(entry: Mapping[str, Any], problems: Problems) -> Conversation:
    prompt = mapping_of(entry.get("chunkedPrompt"))
    # The draft in the input field was never sent.
    pending = [one for one in list_of(prompt.get("pendingInputs")) if _says(one)]
    problems.note("unsent messages", len(pending))
    messages = [*list_of(prompt.get("chunks")), *list_of(entry.get("contents"))]
    model = text_of(mapping_of(entry.get("runSettings")).get("model"))
    system = entry.get("systemInstruction", entry.get("system_instruction"))
    return chain(
        nodes_of(messages, problems),
        problems,
        title=text_of(entry.get("title") or entry.get("displayName")),
        system_prompt=said(system, problems).text,
        settings={"model_id": model.removeprefix("models/")} if model else None,
    )


def _says(pending: Any) -> bool:
    """Whether an input holds a text, or a file."""
    about = ("role", "tokenCount", "isEdited")
    return any(value not in EMPTY for key, value in mapping_of(pending).items() if key not in about)


# -- Takeout


def _sittings(document: Any, problems: Problems) -> list[Conversation]:
    found: list[tuple[float, list[Node]]] = []
    for entry in each(document):
        if not isinstance(entry, Mapping) or not _is_activity(entry):
            problems.note("activities outside Gemini")
        elif nodes := _activity(entry, problems):
            found.append((nodes[0].created_at, nodes))
    found.sort(key=lambda pair: pair[0])
    chats: list[list[Node]] = []
    last = 0.0
    for at, nodes in found:
        if chats and at and at - last < _SITTING_S:
            chats[-1] += nodes
        else:
            chats.append(nodes)
        last = at
    if found:
        problems.say(
            "Google's file doesn't specify which questions belong to the same chat. Questions less than half an hour apart were grouped into one chat"
        )
    return [chain(nodes, problems) for nodes in chats]


def _activity(entry: Mapping[str, Any], problems: Problems) -> list[Node]:
    """Return the question and the answer of an activity; nothing for one that is no question."""
    title = entry["title"].strip()
    items = entry.get("safeHtmlItem")
    answers = [
        _plain(text_of(mapping_of(item).get("html") or mapping_of(item).get("htmlValue")))
        for item in (items if isinstance(items, list) else [items])
    ]
    answer = "\n\n".join(text for text in answers if text)
    asked = _ASKED.match(title)
    if asked is None and (_NOT_SAID.match(title) or not answer):
        problems.note("activities that aren't questions")
        return []
    files = list_of(entry.get("attachedFiles")) or list_of(entry.get("imageFile"))
    subtitles = [text_of(mapping_of(one).get("name")) for one in list_of(entry.get("subtitles"))]
    named = next((found for text in subtitles if (found := _ATTACHED.match(text))), None)
    problems.note("attachments", len(files) or (int(named[1]) if named else 0))
    at = seconds(entry.get("time"))
    question = Node("", None, USER, title[asked.end() :] if asked else title, created_at=at)
    return [question, Node("", None, ASSISTANT, answer, created_at=at)] if answer else [question]


class _Plain:
    """Collects the words of a page as Markdown that is as plain as possible."""

    def __init__(self) -> None:
        self.parts: list[str] = []
        self._in_code = False

    def begin(self, tag: str) -> None:
        """Begin a line, a list item or a piece of code."""
        if tag == "pre":
            self._in_code = True
            self.parts.append("\n\n```\n")
        elif tag == "br":
            self.parts.append("\n")
        elif tag == "li":
            self.parts.append("\n- ")
        elif tag == "code" and not self._in_code:
            self.parts.append("`")
        elif tag in ("b", "strong"):
            self.parts.append("**")
        elif tag in ("td", "th"):
            self.parts.append(" | ")
        elif tag in _BLOCKS:
            self.parts.append("\n\n")
        if tag in _HEADINGS:
            self.parts.append("#" * int(tag[1]) + " ")

    def end(self, tag: str) -> None:
        """End what was begun."""
        if tag == "pre":
            self._in_code = False
            self.parts.append("\n```\n\n")
        elif tag == "code" and not self._in_code:
            self.parts.append("`")
        elif tag in ("b", "strong"):
            self.parts.append("**")
        elif tag in _BLOCKS:
            self.parts.append("\n\n")

    def say(self, words: str) -> None:
        """Take words; blanks between tags say nothing."""
        self.parts.append(words if self._in_code else re.sub(r"\s+", " ", words))


def _plain(page: str) -> str:
    made = _Plain()
    for words, slash, tag in _tags(page):
        if words:
            made.say(unescaped(words))
        if tag:
            (made.end if slash else made.begin)(tag)
    return re.sub(r"\n[ \n]*\n", "\n\n", "".join(made.parts)).strip()


def _tags(page: str) -> Iterator[tuple[str, str, str]]:
    """Yield the words before each tag of a page, its slash and its name, and at last the words behind them all.

    What doesn't end is no tag but words. It is looked for once, so that a page takes time with its length whatever is in it.
    """
    done = at = 0
    endless: set[re.Pattern[str]] = set()
    while (begun := _BEGUN.search(page, at)) is not None:
        ends = (_COMMENT,) if begun[0] == "<!--" else (_REST, _BARE_REST)
        tries = (end for end in ends if end not in endless)
        found = None
        for end in tries:
            found = end.match(page, begun.end())
            if found is not None:
                break
            endless.add(end)
        at = begun.end()
        if found is not None:
            yield page[done : begun.start()], begun[1] or "", (begun[2] or "").lower()
            done = at = found.end()
    yield page[done:], "", ""


GEMINI: Final = Format("gemini", "Gemini (AI Studio, Takeout)", (".json",), _matches, _read)
