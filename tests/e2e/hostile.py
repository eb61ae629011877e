"""Text that means harm to a terminal, how it must look instead, and what an app's output may hold."""

from __future__ import annotations

import base64
import random
import re
import unicodedata
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True)
class Payload:
    """A hostile text.

    Attributes:
        shown: how it has to look.
        verbatim: how it has to look where character references mean nothing; as `shown` when empty.
        in_name: whether a file's name can hold it.
    """

    name: str
    raw: str
    shown: str
    verbatim: str = ""
    in_name: bool = True


PAYLOADS: Final = (
    Payload("window title", "\x1b]0;pwned\x07", "␛]0;pwned␇"),
    Payload("link", "\x1b]8;;evil:x\x07y\x1b]8;;\x07", "␛]8;;evil:x␇y␛]8;;␇"),
    Payload("clipboard", "\x1b]52;c;cHduZWQ=\x07", "␛]52;c;cHduZWQ=␇"),
    Payload("device control", "\x1bP$qpwn\x9c", "␛P$qpwn\ufffd"),
    Payload("erase and conceal", "\x1b[2J\x1b[8mz", "␛[2J␛[8mz"),
    Payload("reset", "\x1bcafter", "␛cafter"),
    Payload("application command", "\x1b_Gpwn\x9c", "␛_Gpwn\ufffd"),
    Payload("privacy message", "\x1b^pwn\x9c", "␛^pwn\ufffd"),
    Payload("eight bit controls", "\x9b8m\x9d0;pwn\x9c\x90q\x9c", "\ufffd8m\ufffd0;pwn\ufffd\ufffdq\ufffd"),
    Payload("single controls", "a\x1bb\x07c\x08d\x7fe\x0ef", "a␛b␇c␈d␡e␎f"),
    Payload("line ends", "a\rb\x0bc\x0cd\x85e\u2028f", "abcdef"),
    Payload("direction", "\u202ea\u2066b\u200fc\u061cd", "⟪RLO⟫a⟪LRI⟫b⟪RLM⟫c⟪ALM⟫d"),
    Payload("tags", "a\U000e0041b\U000e007fc", "a\ufffdb\ufffdc"),
    Payload("half a character", "a\ud83db\udc9bc", "a\ufffdb\ufffdc", in_name=False),
    Payload(
        "references",
        "&#27;]0;p&#7;&#x9b;8m&#x202e;&#xe0041;",
        "\ufffd]0;p\ufffd\ufffd8m⟪RLO⟫\ufffd",
        verbatim="&#27;]0;p&#7;&#x9b;8m&#x202e;&#xe0041;",
    ),
    Payload("tab", "a\tb", "ab"),
    Payload("console markup", "[red]x[/red][/][@click=app.quit]y[/]", "[red]x[/red][/][@click=app.quit]y[/]"),
)  # fmt: skip
NAMES: Final = tuple(one for one in PAYLOADS if one.in_name and "/" not in one.raw)


def together(payloads: Iterable[Payload] = PAYLOADS) -> str:
    """All of them as one text on lines of their own."""
    return "\n".join(payload.raw for payload in payloads)


# -- where a model can say it


def _each(form: str) -> Callable[[Sequence[str]], str]:
    return lambda texts: "\n\n".join(form.format(text, n=n) for n, text in enumerate(texts, 1))


def _table(texts: Sequence[str]) -> str:
    return "\n".join(["| n | text |", "|---|---|", *(f"| {text} | {text} |" for text in texts)])


@dataclass(frozen=True)
class Place:
    """A construct of Markdown that a hostile text can stand in.

    Attributes:
        write: makes Markdown of several texts.
        is_verbatim: character references mean nothing there.
        is_shown: what is there is read on the screen as it was written.
        is_bracketed: a square bracket without its fellow ends it.
    """

    write: Callable[[Sequence[str]], str]
    is_verbatim: bool = False
    is_shown: bool = True
    is_bracketed: bool = False

    def shown(self) -> list[str]:
        """How the payloads that can be read there have to look."""
        return [
            (self.is_verbatim and one.verbatim) or one.shown
            for one in PAYLOADS
            if self.is_shown
            and not (self.is_bracketed and one.shown.count("[") != one.shown.count("]"))
        ]


PLACES: Final = {
    "paragraph": Place(_each("word {0} word")),
    "code span": Place(_each("word `` {0} `` word"), is_verbatim=True),
    "fence": Place(_each("```python\n{0}\n```"), is_verbatim=True),
    "info string": Place(_each("```python {0}\ncode\n```"), is_verbatim=True, is_shown=False),
    "list": Place(_each("- item\n  - {0} word")),
    "task": Place(_each("- [ ] {0} word")),
    "quote": Place(_each("> > word {0} word")),
    "table cell": Place(_table),
    "heading": Place(_each("## {0} word")),
    "strong": Place(_each("**word {0} word**")),
    "link text": Place(_each("[word {0} word](https://example.org/{n})"), is_bracketed=True),
    "link target": Place(_each("[word](<https://example.org/{0}>)"), is_shown=False),
    "link title": Place(_each('[word](https://example.org "{0}")'), is_shown=False),
    "bare address": Place(_each("https://example.org/{0} word"), is_shown=False),
    "image": Place(_each("![word {0} word](<https://example.org/{0}>)"), is_shown=False),
    "footnote": Place(_each("word[^{n}]\n\n[^{n}]: word {0} word")),
    "tag": Place(_each('<b title="{0}">word</b>')),
    "formula": Place(_each("$$ {0} $$"), is_verbatim=True, is_shown=False),
}


def in_pieces(text: str, seed: int) -> list[str]:
    """Cut a text anywhere, as a model that streams it does."""
    chance = random.Random(seed)
    pieces = []
    while text:
        size = chance.randint(1, 9)
        pieces.append(text[:size])
        text = text[size:]
    return pieces


# -- what the terminal may be sent

_OWN: Final = re.compile(
    rb"""
    \x1b\[[0-9;]*m                                                      # colours
    | \x1b\[[0-9]+;[0-9]+H | \x1b\[H                                      # where to write
    | \x1b\[\?(?:7|25|1000|1003|1004|1006|1015|1016|1049|2004|2026|2048)[hl] # modes
    | \x1b\[\?(?:2026|2048)\$p                                            # which modes are known
    | \x1b\[>[0-9]+u | \x1b\[<u                                           # keyboard protocol
    | \x1b\]22;[a-z-]*\x07                                                # shape of the pointer
    | \x1b\]52;c;[A-Za-z0-9+/]*=*\x07                                     # copying
    | \x1b\[2[23];2t                                                      # the title from before
    """,
    re.VERBOSE,
)
_TITLE: Final = re.compile(rb"\x1b\]2;([^\x07\x1b]*)\x07")
_COPIED: Final = re.compile(rb"\x1b\]52;c;([A-Za-z0-9+/]*=*)\x07")


def is_forbidden(character: str) -> bool:
    """Whether a character may not reach the terminal as text, but for line ends."""
    return (
        unicodedata.category(character) in ("Cc", "Cs", "Zl", "Zp")  # a tab is one of them
        or unicodedata.bidirectional(character)
        in {"LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI"}
        or character in "\u061c\u200e\u200f"
        or 0xE0000 <= ord(character) <= 0xE007F
    )


def foreign(raw: bytes) -> list[str]:
    """Return what is in an app's whole output beside plain text and the sequences that Textual writes, with what is around it."""
    # What the window's title says is looked at like any other text.
    text = _OWN.sub(b"\xff", _TITLE.sub(rb"\1", raw)).replace(b"\r\n", b"").replace(b"\xff", b"")
    shown = text.decode("utf-8")
    bad = {character for character in set(shown) if is_forbidden(character)}
    return [
        shown[max(0, at - 20) : at + 20] for at, character in enumerate(shown) if character in bad
    ]


def copied(raw: bytes) -> list[str]:
    """Return what an app has put into the clipboard."""
    return [base64.b64decode(found).decode("utf-8") for found in _COPIED.findall(raw)]


_LAYOUT: Final = re.compile(r"[\s\u2500-\u259f┊●❯]+")


def compact(text: str) -> str:
    """Return a text without spaces, line ends, borders and bars, so that it is found however it is wrapped."""
    return _LAYOUT.sub("", text)
