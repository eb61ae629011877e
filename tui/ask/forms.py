"""What a reply looks like on stdout: as the model writes it, laid out for a terminal, or as JSON."""

from __future__ import annotations

import io
import json
import re
import shutil
from collections.abc import Mapping
from dataclasses import asdict
from typing import Final, Protocol

from tui.ask.options import Form
from tui.ask.stdout import Stdout
from tui.console import has_colors, obeys_sequences
from tui.conversation import Generation, Status
from tui.dataclass import dataclass
from tui.engine.base import Event, ReasoningDelta, ReasoningFound, TextDelta
from tui.json_types import Json
from tui.sanitize import sanitize

_BETWEEN: Final = "\n---\n\n"
"""Stands between the replies where more than one is made: a rule in Markdown."""
_REASONS: Final = {
    Status.COMPLETE: "stop",
    Status.TRUNCATED: "length",
    Status.STOPPED: "interrupted",
}
_FAILED: Final = "error"
_FENCE: Final = re.compile(r"^[ \t>]*(?:`{3,}|~{3,}).*$", re.MULTILINE)
_MARKER: Final = re.compile(r"^[ \t>]*\d{1,9}[.)]", re.MULTILINE)
_WORD: Final = re.compile(r"[^\W_]+")
_SEQUENCE: Final = re.compile(r"\x1b\[[0-9;]*m")
_MOST_COLUMNS: Final = 100
_GROWTH: Final = 1.1
"""A block that is not whole yet is looked at again when the text has grown by this factor, so that long ones stay cheap."""


@dataclass(frozen=True, slots=True)
class Reply:
    """A reply that has ended.

    Attributes:
        text, reasoning: what was said.
        status: how it ended.
        error: why it is not whole, as sentences; empty where it is.
        generation: what it was made with, and what it cost.
        chat_id: the chat that it is saved in; empty where it is not.
        is_explained: whether the user was told why there is none.
        value: what the text is as JSON, where it was held to a schema.
    """

    text: str
    reasoning: str
    status: Status
    error: str
    generation: Generation
    chat_id: str = ""
    is_explained: bool = False
    value: Json = None

    def facts(self) -> dict[str, Json]:
        """Return it as a JSON object."""
        made = self.generation
        stats: dict[str, Json] = {
            name: round(value, 4) if isinstance(value, float) else value
            for name, value in asdict(made.stats).items()
        }
        facts: dict[str, Json] = {
            "text": self.text,
            "reasoning": self.reasoning,
            "finish_reason": _REASONS.get(self.status, _FAILED),
            "error": (self.error or None) if self.status not in _REASONS else None,
            "detail": self.error or None,
            "model": made.model,
            "quantization": made.quantization,
            "parameters": {
                name: value for name, value in made.parameters.items() if value is not None
            },
            "stats": stats,
            "chat": self.chat_id or None,
        }
        if self.value is not None:
            facts["json"] = self.value
        return facts


class Printer(Protocol):
    """Prints replies, one after another."""

    def take(self, event: Event) -> None:
        """Print what an event of the reply under way says."""

    def end(self, reply: Reply) -> None:
        """Print what is left of a reply that has ended."""

    def finish(self) -> None:
        """Print what is left when no further reply comes."""


def printer(form: Form, out: Stdout, *, variants: int) -> Printer:
    """Return what prints replies in a form.

    Args:
        form: the form.
        out: where to.
        variants: how many replies there will be.
    """
    match form:
        case Form.RENDERED:
            return Rendered(out)
        case Form.JSON:
            return JsonObject(out, is_list=variants > 1)
        case Form.STREAM_JSON:
            return JsonEvents(out)
        case _:
            return Plain(out)


class Plain:
    """The text as it comes, and a line's end behind it."""

    def __init__(self, out: Stdout) -> None:
        self._out = out
        self._last = ""
        self._count = 0

    def take(self, event: Event) -> None:
        """Print text."""
        if isinstance(event, TextDelta) and event.text:
            if not self._last and self._count:
                self._out.write(_BETWEEN)
            self._last = event.text
            self._out.write(event.text)

    def end(self, reply: Reply) -> None:
        """End the last line."""
        del reply
        if self._last and not self._last.endswith("\n"):
            self._out.write("\n")
        self._count += bool(self._last)
        self._last = ""

    def finish(self) -> None:
        """Do nothing: all is printed."""


class Rendered:
    """Markdown, laid out block by block: each as soon as the next one begins."""

    def __init__(self, out: Stdout) -> None:
        self._out = out
        self._text = ""
        self._look_at = 0
        self._is_first = True
        self._ended = 0
        """How many replies have ended."""
        self._begun = False

    def take(self, event: Event) -> None:
        """Print the blocks that are whole."""
        if isinstance(event, ReasoningFound):
            self._text = ""
        if not isinstance(event, TextDelta):
            return
        # Made safe before it is laid out, since what comes out holds sequences of our own.
        if self._ended and not self._begun:
            self._out.write_safe(_BETWEEN)
            self._is_first = True
        self._begun = True
        self._text += sanitize(event.text.replace("\r", ""))
        if "\n" in event.text and len(self._text) >= self._look_at:
            # A line that has only begun could turn out to belong to the block before it.
            whole = _whole_blocks(self._text[: self._text.rfind("\n") + 1])
            self._print(self._text[:whole])
            self._text = self._text[whole:]
            self._look_at = int(len(self._text) * _GROWTH)

    def end(self, reply: Reply) -> None:
        """Print the last block, and a rule where another reply follows."""
        del reply
        self._print(self._text)
        self._text, self._look_at = "", 0
        self._ended += self._begun
        self._begun = False

    def finish(self) -> None:
        """Do nothing: all is printed."""

    def _print(self, text: str) -> None:
        if not text.strip():
            return
        if not self._is_first:
            self._out.write_safe("\n")
        self._is_first = False
        self._out.write_safe(_laid_out(text, is_terminal=self._out.is_terminal))


class JsonObject:
    """One JSON object, or a list of them, when all has been said."""

    def __init__(self, out: Stdout, *, is_list: bool) -> None:
        self._out = out
        self._is_list = is_list
        self._replies: list[Json] = []

    def take(self, event: Event) -> None:
        """Do nothing before the end."""

    def end(self, reply: Reply) -> None:
        """Keep a reply."""
        self._replies.append(reply.facts())

    def finish(self) -> None:
        """Print what there is."""
        if self._is_list or self._replies:
            made = self._replies if self._is_list else self._replies[0]
            self._out.write(f"{_json(made, indent=2)}\n")


class JsonEvents:
    """One JSON object on each line: `text`, `reasoning`, and at the end of each reply `end` with all of it."""

    def __init__(self, out: Stdout) -> None:
        self._out = out
        self._number = 1

    def take(self, event: Event) -> None:
        """Print an event."""
        match event:
            case TextDelta(text):
                self._put({"event": "text", "text": text})
            case ReasoningDelta(text):
                self._put({"event": "reasoning", "text": text})
            case ReasoningFound(text):
                # All text of this reply so far was reasoning.
                self._put({"event": "text_was_reasoning", "text": text})

    def end(self, reply: Reply) -> None:
        """Print a reply whole."""
        self._put({"event": "end", **reply.facts()})
        self._number += 1

    def finish(self) -> None:
        """Do nothing: all is printed."""

    def _put(self, facts: Mapping[str, Json]) -> None:
        self._out.write(f"{_json({'reply': self._number, **facts})}\n")


def _json(value: Json, indent: int | None = None) -> str:
    """Return JSON that any program can read: half characters replaced, and on a terminal nothing that it would obey, as `Stdout` sees to it."""
    text = json.dumps(value, ensure_ascii=False, indent=indent)
    return text.encode("utf-8", "replace").decode()


def _whole_blocks(text: str) -> int:
    """Return where the last block of a Markdown text begins, which may not be whole yet."""
    from markdown_it import MarkdownIt

    tokens = MarkdownIt("commonmark").enable("table").parse(text)
    starts = [token.map[0] for token in tokens if token.level == 0 and token.map]
    lines = text.split("\n")
    return sum(len(line) + 1 for line in lines[: starts[-1]]) if starts else 0


def _laid_out(text: str, *, is_terminal: bool) -> str:
    from rich.console import Console
    from rich.markdown import Markdown

    console = Console(
        file=io.StringIO(),
        force_terminal=is_terminal and obeys_sequences(),
        no_color=True if is_terminal and not has_colors() else None,
        width=min(_MOST_COLUMNS, shutil.get_terminal_size().columns),
        highlight=False,
        emoji=False,
    )
    # A link that hides its address could lead the reader astray.
    with console.capture() as capture:
        console.print(Markdown(text, hyperlinks=False))
    laid_out = capture.get()
    if _lacks_words(laid_out, text):
        # Deep lists and quotes, and tables wider than the screen, lose text when they are laid out.
        return text if text.endswith("\n") else f"{text}\n"
    if not is_terminal:
        laid_out = "".join(f"{line.rstrip()}\n" for line in laid_out.splitlines())
    return laid_out


def _lacks_words(laid_out: str, text: str) -> bool:
    """Return whether a word of a text is missing from what was made of it. Marks and the languages of code blocks are no words."""
    said = _FENCE.sub("", text)
    shown = "".join(_WORD.findall(_SEQUENCE.sub("", laid_out)))
    return any(word not in shown for word in _WORD.findall(_MARKER.sub("", said)))
