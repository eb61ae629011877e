"""What other tools write into the text of a reply: folded blocks of reasoning and of tools, marks of citations.

It becomes reasoning, is counted as left out, or stays, where a person may have written it: a `<details>` without the type that
a tool gives it, and whatever stands in code. Each pattern looks at a text about once, whatever is in it: a match can't be interrupted.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

from tui.conversation.formats.problems import Problems
from tui.conversation.formats.values import unescaped
from tui.conversation.messages import split_reasoning

_OPENING: Final = re.compile(
    r"<details(?P<attributes>(?:\s++[\w:-]++(?:=(?:\"[^\"]*+\"|'[^']*+'|[^\s\"'<>]++))?+)++)\s*+>",
    re.IGNORECASE,
)
_TAG: Final = re.compile(r"<(?:details(?=[\s>])|(/)details\s*+>)", re.IGNORECASE)
_QUOTED: Final = re.compile(r"[^\S\n]*+(?:>|&gt;|\n|\Z)")
"""How a line begins that is quoted, or is blank."""
_ATTRIBUTE: Final = re.compile(r"([\w:-]++)(?:=(?:\"([^\"]*+)\"|'([^']*+)'|([^\s\"'<>]++)))?+")
_SUMMARY: Final = re.compile(r"\s*+<summary>[^<]*+</summary>\s*+", re.IGNORECASE)
"""Only to be matched at the start of a text: a search would begin again at each blank."""
_THINKING: Final = re.compile(r"\s*+<summary>\s*+Thinking[^<]{0,20}</summary>", re.IGNORECASE)
_FENCE: Final = re.compile(r"^ {0,3}(`{3,}|~{3,})", re.MULTILINE)
_TO_TOOL: Final = re.compile(
    r"(?:<\|start\|>assistant)?<\|channel\|>(?=[^<]{0,200}?to=)[^<]{0,400}+(?:<\|constrain\|>[^<]{0,200}+)?+<\|message\|>"
    r"(?:(?!<\|(?:call|end|return|start|channel)\|>)[\s\S])*+(?:<\|(?:call|end|return)\|>)?"
)
"""A message to a tool among the channels of gpt-oss."""
_TOOL_BLOCKS: Final = {
    "tool_calls": "tool calls",
    "tool_call": "tool calls",
    "code_interpreter": "code blocks run by tools",
    "code_execution": "code blocks run by tools",
}
_REASONING_TYPES: Final = ("reasoning", "thinking")
_MARK: Final = re.compile(
    "\ue200([^\ue200\ue201\ue202]*+)((?:\ue202[^\ue200\ue201\ue202]*+)*+)\ue201?+"
)
"""A mark of ChatGPT: what it is, and what belongs to it, between signs that have no look of their own."""
_LEFTOVERS: Final = re.compile("[\ue200-\ue206]")
_SHOWN_PART: Final = {"url": 0, "entity": 1}
"""Marks that stand for words of the text, and which of their parts these are."""
_CITATIONS: Final = re.compile(
    r" ?(?:【(?:[^【】†\n]{1,100}†[^【】\n]{0,200}|oaicite:\d{1,9})】"
    r"|:contentReference\[oaicite:\d{1,9}\](?:\{index=\d{1,9}\})?"
    r"|\[cite: ?[\d, ]{1,200}\])"
)
_CITATION_SIGNS: Final = ("【", "oaicite", "[cite")
"""Of these a citation has one; most texts have none."""
_CITE_START: Final = re.compile(r"\[cite_start\]")


_INLINE: Final = (
    ("<think>", "</think>", ""),
    ("<thinking>", "</thinking>", ""),
    ("<antThinking>", "</antThinking>", ""),
    ("<tool_call>", "</tool_call>", "tool calls"),
    ("<function_calls>", "</function_calls>", "tool calls"),
    ("<function_results>", "</function_results>", "tool results"),
    ("<tool_response>", "</tool_response>", "tool results"),
    ("[TOOL_REQUEST]", "[END_TOOL_REQUEST]", "tool calls"),
    ("[TOOL_RESULT]", "[END_TOOL_RESULT]", "tool results"),
)
"""Blocks that begin a line in mid-text: what is around them, and what they are called if they are no reasoning."""


def parted(text: str, problems: Problems) -> tuple[str, str]:
    """Return the reasoning and the rest of a reply as another tool has stored it, and note what was left out."""
    if "<|channel|>" in text:
        text, count = _TO_TOOL.subn("", text)
        problems.note("tool calls", count)
    inner, text = split_reasoning(text)
    folded, text = _without_blocks(text, problems)
    inline, text = _without_inline(text, problems)
    folded = [*folded, *inline]
    if folded:
        # What was between the blocks may begin with marks of its own.
        more, text = split_reasoning(text)
        folded = [*folded, more]
    text = _without_citations(text, problems)
    return "\n\n".join(part for part in (inner, *folded) if part), text


def _without_blocks(text: str, problems: Problems) -> tuple[list[str], str]:
    """Return the reasoning of the folded blocks, and the text around all blocks that a tool has written."""
    if "<details" not in text.lower():
        return [], text
    thoughts: list[str] = []
    around: list[str] = []
    at = 0
    for start, end, kind, body in _blocks(text):
        around.append(text[at:start])
        at = end
        if kind in _REASONING_TYPES:
            thoughts.append(_unquoted(body))
        else:
            problems.note(_TOOL_BLOCKS.get(kind, "collapsed blocks from other tools"))
    if not at:
        return [], text
    around.append(text[at:])
    said = [part.strip("\n") for part in around if part.strip()]
    return [part for part in thoughts if part], "\n\n".join(said)


def _without_inline(text: str, problems: Problems) -> tuple[list[str], str]:
    """Return the reasoning that stands between marks in mid-text, and the text without it and without what tools did."""
    thoughts: list[str] = []
    for opening, closing, what in _INLINE:
        if opening not in text or closing not in text:
            continue
        is_code = _Code(text)
        around: list[str] = []
        at = 0
        # Of a line's beginning only, so that each part of the text is looked at once.
        for found in re.finditer(rf"^[ \t]*+{re.escape(opening)}", text, re.MULTILINE):
            if found.start() < at or is_code.at(found.end()):
                continue
            end = text.find(closing, found.end())
            if end < 0:
                break
            around.append(text[at : found.start()])
            said = text[found.end() : end].strip()
            at = end + len(closing)
            if what:
                problems.note(what)
            elif said:
                thoughts.append(said)
        if at:
            around.append(text[at:])
            text = "\n\n".join(part.strip("\n") for part in around if part.strip())
    return thoughts, text


def _blocks(text: str) -> Iterator[tuple[int, int, str, str]]:
    """Yield where each block of a tool begins and ends, its type, and what is in it."""
    is_code = _Code(text)
    closings = _closings(text)
    done = 0
    for opening in _OPENING.finditer(text):
        start = opening.start()
        if start < done or is_code.at(start) or text[start - 1 : start] == "`":
            continue
        given = {
            found[1].lower(): unescaped(found[2] or found[3] or found[4] or "")
            for found in _ATTRIBUTE.finditer(opening["attributes"])
        }
        kind = given.get("type", "").lower() or _kind_by_look(given, text, opening.end())
        is_known = kind in _TOOL_BLOCKS or kind in _REASONING_TYPES
        if not kind or not (is_known or "done" in given):
            continue
        closing = closings.get(start)
        if closing is not None and closing.start() >= opening.end():
            done = closing.end()
            yield start, done, kind, text[opening.end() : closing.start()]
        else:
            done = _quoted_end(text, opening.end())
            yield start, done, kind, text[opening.end() : done]


def _kind_by_look(given: Mapping[str, str], text: str, at: int) -> str:
    """Return the type of a block that says none: Dify's has a color and a summary of its own."""
    is_gray = "color:gray" in given.get("style", "").replace(" ", "").lower()
    return "reasoning" if is_gray and _THINKING.match(text, at) else ""


def _closings(text: str) -> dict[int, re.Match[str]]:
    """Return the tag that closes each block, by where the block begins."""
    opened: list[int] = []
    closings: dict[int, re.Match[str]] = {}
    for tag in _TAG.finditer(text):
        if not tag[1]:
            opened.append(tag.start())
        elif opened:
            closings[opened.pop()] = tag
    return closings


def _quoted_end(text: str, at: int) -> int:
    """Return where a block ends that was never closed: after its summary and the lines that are quoted."""
    summary = _SUMMARY.match(text, at)
    at = summary.end() if summary else at
    while at < len(text):
        if _QUOTED.match(text, at) is None:
            break
        at = text.find("\n", at) + 1 or len(text)
    return at


def _unquoted(body: str) -> str:
    """Return the reasoning in a block, which is quoted line by line, with its signs escaped or not."""
    summary = _SUMMARY.match(body)
    lines = body[summary.end() if summary else 0 :].strip().splitlines()
    if any(line.startswith("&gt;") for line in lines):
        lines = [unescaped(line) for line in lines]
    return "\n".join(line.removeprefix(">").removeprefix(" ") for line in lines).strip()


class _Code:
    """Knows where a text is fenced code; asked from its start to its end."""

    def __init__(self, text: str) -> None:
        self._spans: list[tuple[int, int]] = []
        self._next = 0
        opened: re.Match[str] | None = None
        for fence in _FENCE.finditer(text):
            if opened is None:
                opened = fence
            elif fence[1].startswith(opened[1]):
                self._spans.append((opened.start(), fence.end()))
                opened = None
        if opened is not None:
            self._spans.append((opened.start(), len(text)))

    def at(self, place: int) -> bool:
        """Whether a place, which is none before the last that was asked for, is in code."""
        while self._next < len(self._spans) and self._spans[self._next][1] <= place:
            self._next += 1
        return self._next < len(self._spans) and self._spans[self._next][0] <= place


def _without_citations(text: str, problems: Problems) -> str:
    """Return a text without the marks that stand for links which it doesn't hold."""
    if "\ue200" in text:
        count = 0

        def replaced(mark: re.Match[str]) -> str:
            nonlocal count
            words = _shown(mark[1], mark[2].split("\ue202")[1:])
            count += not words
            return words

        text = _LEFTOVERS.sub("", _MARK.sub(replaced, text))
        problems.note("citations", count)
    if not any(sign in text for sign in _CITATION_SIGNS):
        return text
    text, count = _CITATIONS.subn("", text)
    problems.note("citations", count)
    # Gemini marks where the words begin that a citation is for.
    return _CITE_START.sub("", text) if count else text


def _shown(kind: str, parts: list[str]) -> str:
    """Return the words that a mark stands for; empty for a citation."""
    place = _SHOWN_PART.get(kind)
    if place is None:
        return ""
    if len(parts) == 1 and parts[0].startswith("["):
        try:
            given: Any = json.loads(parts[0])
        except (ValueError, RecursionError):
            given = []
        parts = [part if isinstance(part, str) else "" for part in given]
    return parts[place] if place < len(parts) else ""
