"""Keeps the turns of a Markdown export apart, whatever is written in them.

It follows only so much of Markdown as is needed to know what is still open at the end of a text, and what would read like
the heading of another turn. What stands in a list or a quote ends with it, so nothing in there is looked at.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from typing import Final

_FENCE: Final = re.compile(r" {0,3}(`{3,}(?=[^`]*$)|~{3,})(.*)")
_HTML: Final = re.compile(r" {0,3}<(?:[!?/]|[A-Za-z][\w-]*(?:[\s/>]|$))")
_RULE: Final = re.compile(r" {0,3}(?:(?:-[ \t]*){3,}|(?:\*[ \t]*){3,}|(?:_[ \t]*){3,})")
_ITEM: Final = re.compile(r"( {0,3})([-+*]|(\d{1,9})[.)])( +|$)")
_WORDS: Final = re.compile(r"(?:\*\*)?[^\W\d_]")
_UNDERLINE: Final = re.compile(r" {0,3}(?:-+|=+)[ \t]*")


class _Text:
    """A text that is read line by line."""

    def __init__(self, headings: Collection[str]) -> None:
        self._headings = [heading.casefold() for heading in headings]
        self.fence = ""
        """The marks of a fence that is still open."""
        self._item = 0
        """The column at which the text of the list item begins that is still open; 0 outside of lists."""
        self._is_empty_item = False
        self._paragraph: list[str] = []
        self._above = ""
        """`item` or `quote` where the line above stands in one, or may go on with a paragraph in it."""
        self._is_simple = True
        """Whether nothing but words was seen in there, so that the next line surely goes on with them."""

    def read(self, line: str) -> str:
        """Return `line` as it may stand in the export."""
        flat = line.expandtabs(4)
        if self.fence:
            self._close(flat)
            return line
        indent = len(flat) - len(flat.lstrip(" "))
        if not flat.strip():
            self._item = 0 if self._is_empty_item else self._item
            self._paragraph, self._above = [], ""
            return line
        self._is_empty_item = False
        if self._item and indent >= self._item:
            self._inside("item", flat[self._item :], is_new=False)
            return line
        return self._outside(line, flat, indent)

    def _close(self, flat: str) -> None:
        found = _FENCE.fullmatch(flat)
        if found is not None and not found[2].strip():
            is_same = found[1][0] == self.fence[0] and len(found[1]) >= len(self.fence)
            self.fence = "" if is_same else self.fence

    def _outside(self, line: str, flat: str, indent: int) -> str:
        """Return a line that may begin a block of its own."""
        in_item, self._item = self._item, 0
        if indent > 3:
            self._item = in_item
            return line
        if (found := _FENCE.fullmatch(flat)) is not None:
            self.fence, self._paragraph, self._above = found[1], [], ""
            return line
        is_ours = self._is_like_ours(flat)
        if not is_ours and self._stands_alone(flat):
            is_underline = bool(self._paragraph)
            self._paragraph, self._above = [], ""
            if not is_underline and self._opens_item(flat):
                self._inside("item", "", is_new=True)
            return line
        if flat.lstrip().startswith(">"):
            text = flat.lstrip()[1:].removeprefix(" ")
            self._inside("quote", text, is_new=self._above != "quote")
            return line
        is_unclear = self._above == "quote" and _ITEM.match(flat) is not None
        if not is_ours and self._opens_item(flat):
            self._inside("item", flat[self._item :], is_new=True)
            return f"\n{line}" if is_unclear else line
        is_apart = is_unclear or (bool(self._above) and (is_ours or not self._is_simple))
        before = "\n" if is_apart else ""
        self._above = "" if is_apart else self._above
        self._item = in_item if self._above else 0
        if not self._above:
            self._paragraph.append(flat.strip())
        return before + (_escaped(line) if is_ours or _HTML.match(flat) else line)

    def _stands_alone(self, flat: str) -> bool:
        """Whether a line is a heading or rule, or makes a heading of the paragraph above it."""
        if _heading(flat) is not None or _RULE.fullmatch(flat):
            return True
        if self._above and "=" in flat:
            self._is_simple = False
            return False
        return _UNDERLINE.fullmatch(flat) is not None

    def _inside(self, container: str, text: str, *, is_new: bool) -> None:
        """Take note of a line in a list item or a quote."""
        self._paragraph, self._above = [], container
        self._is_simple = (is_new or self._is_simple) and _WORDS.match(text) is not None

    def _is_like_ours(self, flat: str) -> bool:
        said = _heading(flat) or ""
        if len(self._paragraph) == 1 and _UNDERLINE.fullmatch(flat):
            said = self._paragraph[0]
        # All kinds of whitespace look the same to a reader.
        said = " ".join(said.casefold().split()).strip("*_` ")
        return any(said == name or said.startswith(f"{name} (") for name in self._headings)

    def _opens_item(self, flat: str) -> bool:
        found = _ITEM.match(flat)
        if found is None or _RULE.fullmatch(flat):
            return False
        before, mark, number, blanks = found.groups()
        is_empty = not flat[found.end() :]
        if self._paragraph and (is_empty or number not in (None, "1")):
            return False
        start = len(before) + len(mark)
        self._item = start + (1 if is_empty or len(blanks) > 4 else len(blanks))
        self._is_empty_item = is_empty
        return True


def _heading(flat: str) -> str | None:
    """Return what a line says as a heading, without its marks; None where it is none.

    No pattern: one that looks for the marks at the end takes time with the square of the blanks before them.
    """
    text = flat.lstrip(" ")
    words = text.lstrip("#")
    is_heading = len(flat) - len(text) <= 3 and 1 <= len(text) - len(words) <= 6
    if not is_heading or (words and not words.startswith((" ", "\t"))):
        return None
    said = words.strip(" \t")
    bare = said.rstrip("#")
    return bare.rstrip(" \t") if not bare or bare.endswith((" ", "\t")) else said


def _escaped(line: str) -> str:
    text = line.lstrip()
    return f"{line[: len(line) - len(text)]}\\{text}"


def kept_apart(text: str, headings: Collection[str] = ()) -> str:
    """Return Markdown that leaves nothing open, and in which no line of its own reads like one of `headings`.

    What would be HTML is shown as it was written, since a comment or a `<pre>` could hide all that follows.
    """
    state = _Text(headings)
    lines = [state.read(line) for line in text.split("\n")]
    return "\n".join([*lines, state.fence] if state.fence else lines)
