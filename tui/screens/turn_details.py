"""The dialog that shows everything known about a turn: the model, the cost, the prompt that the model saw, the raw text."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator, Sequence
from typing import ClassVar, Final

from textual import on
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Grid, Vertical, VerticalScroll
from textual.widget import Widget
from textual.widgets import Label, TabbedContent, TabPane

from tui.conversation import ASSISTANT, USER, Conversation, Generation, ReplyStats, Status, Turn
from tui.dataclass import dataclass
from tui.engine.remote.address import is_server
from tui.parameters import PARAMETERS, format_value
from tui.sanitize import sanitize, sanitize_line
from tui.scopes import Scope
from tui.screens.dialog import Hint, KeyHints
from tui.screens.reading_dialog import ReadingDialog
from tui.widgets.bindings import bindings
from tui.widgets.figures import seconds_text
from tui.widgets.long_text import LongText

NO_PROMPT: Final = "The prompt is unknown."

_REWRITTEN: Final = (
    "the chat template formats the previous reply differently from how the model wrote it, for example without its "
    "reasoning: {:,} tokens no longer match"
)
_ROLES: Final = {USER: "you", ASSISTANT: "assistant"}
_STATUSES: Final = {
    Status.COMPLETE: "complete",
    Status.STREAMING: "being written",
    Status.STOPPED: "stopped",
    Status.TRUNCATED: "cut off at the limit of new tokens, or at the end of the context",
    Status.FAILED: "failed",
    Status.INTERRUPTED: "interrupted while being written",
}
_REASONS: Final = {
    Status.TRUNCATED: "cut off because",
    Status.STOPPED: "stopped because",
    Status.INTERRUPTED: "interrupted because",
}
SPECIAL_TOKEN: Final = re.compile(
    r"<[|｜][^<>|｜\n]{1,60}[|｜]>|</?s>|<(?:bos|eos|pad|unk)>|<(?:start|end)_of_turn>|\[/?(?:INST|SYSTEM_PROMPT)\]"
    r"|</?think>"
)


@dataclass(frozen=True, slots=True)
class Fact:
    """One line about a turn; without a value, it is a heading."""

    name: str
    value: str = ""


def facts(turn: Turn, conversation: Conversation) -> list[Fact]:
    """Return the facts about a turn, as text that is safe to show."""
    known = [*_turn_facts(turn, conversation)]
    if turn.generation is not None:
        known += _model_facts(turn.generation)
        known += _parameter_facts(turn.generation)
        known += _stats_facts(turn.generation.stats)
    return [Fact(fact.name, sanitize(fact.value)) for fact in known]


def _turn_facts(turn: Turn, conversation: Conversation) -> Iterator[Fact]:
    yield Fact("TURN")
    yield Fact("role", _ROLES.get(turn.role, sanitize_line(turn.role)))
    yield Fact("status", _STATUSES[turn.status])
    if turn.error:
        because = _REASONS.get(turn.status)
        yield Fact(because or "error", turn.error.removesuffix(".") if because else turn.error)
    yield Fact("written", _time_text(turn.created_at) or "unknown")
    place = len(conversation.ancestors(turn.id)) if turn.id in conversation.turns else 0
    if place:
        variants = [variant.id for variant in conversation.variants(turn.id)]
        yield Fact("place", f"turn {place:,} of its branch")
        yield Fact("variant", f"{variants.index(turn.id) + 1} of {len(variants)}")
    if turn.origin is not None:
        yield Fact("origin", _origin(turn.origin, conversation))
    reasoning = f", and {len(turn.reasoning):,} of reasoning" if turn.reasoning else ""
    yield Fact("length", f"{len(turn.content):,} characters{reasoning}")
    yield Fact("id", turn.id)


def _origin(origin: str, conversation: Conversation) -> str:
    original = conversation.turns.get(origin)
    if original is None:
        return "edited from a turn that has been deleted"
    return f"edited from “{sanitize_line(original.gist[:400], 60)}”"


def _model_facts(generation: Generation) -> Iterator[Fact]:
    yield Fact("MODEL")
    yield Fact("name", generation.name or generation.model or "unknown")
    if generation.model:
        yield Fact("loaded as", generation.model)
    if not is_server(generation.model):
        yield Fact("quantization", generation.quantization)
    if generation.start_text:
        yield Fact("opening", generation.start_text)


def _parameter_facts(generation: Generation) -> Iterator[Fact]:
    if generation.parameters:
        yield Fact("PARAMETERS")
    for name, value in generation.parameters.items():
        known = PARAMETERS.get(name)
        yield Fact(
            known.label if known is not None else sanitize_line(str(name), 60),
            (known.blank if known else "off")
            if value is None
            else sanitize_line(known.shown(value) if known else format_value(value), 200),
        )


def _stats_facts(stats: ReplyStats) -> Iterator[Fact]:
    if stats == ReplyStats():
        return
    yield Fact("STATISTICS")
    if stats.prompt_tokens:
        yield Fact("prompt", f"{stats.prompt_tokens:,} tokens: {cache_text(stats)}")
    if stats.rewritten_tokens:
        yield Fact("read again because", _REWRITTEN.format(stats.rewritten_tokens))
    if stats.prefill_s:
        speed = (
            f", {stats.prefill_tokens_per_s:,.0f} tokens/s" if stats.prefill_tokens_per_s else ""
        )
        yield Fact("reading the prompt", f"{seconds_text(stats.prefill_s)}{speed}")
    yield Fact("reply", f"{stats.new_tokens:,} tokens")
    if stats.context_tokens:
        yield Fact("context after reply", f"{stats.context_tokens:,} tokens")
    if stats.ttft_s:
        yield Fact("first token after", seconds_text(stats.ttft_s))
    if stats.decode_s:
        speed = f", {stats.tokens_per_s:.1f} tokens/s" if stats.tokens_per_s else ""
        yield Fact("decoding", f"{seconds_text(stats.decode_s)}{speed}")
    if stats.drafted_tokens:
        share = stats.accepted_tokens / stats.drafted_tokens
        right = f"{stats.accepted_tokens:,} of them accepted ({share:.0%})"
        yield Fact("drafted", f"{stats.drafted_tokens:,} tokens, {right}")
    if stats.reasoning_tokens or stats.reasoning_s:
        parts = [f"{stats.reasoning_tokens:,} tokens"] if stats.reasoning_tokens else []
        parts += [seconds_text(stats.reasoning_s)] if stats.reasoning_s else []
        yield Fact("reasoning", ", ".join(parts))


def cache_text(stats: ReplyStats) -> str:
    """Return how much of a prompt was in the KV cache, for example `1,204 reused, 38 read, 12 dropped`."""
    new = stats.prompt_tokens - stats.cached_tokens
    parts = [f"{stats.cached_tokens:,} reused", f"{new:,} read"]
    if stats.dropped_tokens:
        parts.append(f"{stats.dropped_tokens:,} dropped")
    return ", ".join(parts)


def _time_text(at: float) -> str:
    try:
        return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(at)) if at else ""
    except (OverflowError, ValueError, OSError):
        return ""


EDGE_MARK: Final = "│"
"""The separator between tokens when they are copied."""
NO_TOKENS: Final = "The tokens can be shown when a model is loaded and no reply is being written."


class Table(VerticalScroll, inherit_bindings=False):
    """The facts. It takes only the keys that move up and down; left and right belong to the tabs."""

    BINDINGS: ClassVar[list[BindingType]] = LongText.BINDINGS


class TurnDetails(ReadingDialog[None]):
    """Shows one turn. Returns nothing."""

    PLACE = Scope.DETAILS
    BINDINGS: ClassVar[list[BindingType]] = bindings(
        Scope.DETAILS, does={"details.previous_tab": "tab(-1)", "details.next_tab": "tab(1)"}
    )
    CSS = """
    TurnDetails {
        & > #dialog { width: 110; height: 90%; }
        &.-short > #dialog { height: 100%; }
        & TabbedContent { height: 1fr; }
        & ContentSwitcher { height: 1fr; }
        & TabPane { height: 1fr; padding: 0; }
        & Table, & LongText { height: 1fr; background: $surface; }
        & #table { grid-size: 2; grid-columns: 21 1fr; grid-rows: auto; height: auto; }
        & .heading { column-span: 2; height: auto; padding-top: 1; }
        &.-short .heading { padding-top: 0; }
        & .name { color: $text-muted; width: 1fr; height: auto; }
        & KeyHints { margin-top: 1; }
        &.-short KeyHints { margin-top: 0; }
    }
    """

    def __init__(
        self,
        turn: Turn,
        conversation: Conversation,
        prompt: str = "",
        prompt_note: str = "",
        copy: Callable[[str], None] | None = None,
        start: str = "facts",
    ) -> None:
        """Create the dialog.

        Args:
            turn: the turn to show.
            conversation: the chat that it is in.
            prompt: the exact text given to the model, including special tokens; see `set_prompt`.
            prompt_note: a sentence about the prompt, or why there is none.
            copy: copies the displayed text and reports it; by default the text
                goes to the app's clipboard.
            start: the initial tab: `facts`, `prompt`, `text`, `tokens` or `reasoning`.
        """
        super().__init__()
        self._turn = turn
        self._facts = facts(turn, conversation)
        self._prompt = prompt
        self._prompt_note = prompt_note
        self._copy = copy
        self._start = start
        self._tokens: Sequence[str] = ()
        self._tokens_note = NO_TOKENS

    def compose(self) -> ComposeResult:
        """Lay out the tabs."""
        with Vertical(id="dialog"):
            with TabbedContent(id="tabs", initial=self._start):
                with TabPane("Facts", id="facts"), Table(), Grid(id="table"):
                    for fact in self._facts:
                        if fact.value:
                            yield Label(f"  {fact.name}", classes="name", markup=False)
                            yield Label(fact.value, classes="text", markup=False)
                        else:
                            yield Label(fact.name, classes="heading", markup=False)
                if self._turn.role == ASSISTANT:
                    with TabPane("Prompt", id="prompt"):
                        yield Label("", id="prompt-note", classes="note", markup=False)
                        yield LongText(mark=SPECIAL_TOKEN)
                with TabPane("Raw text", id="text"):
                    yield LongText(self._turn.content)
                if self._turn.reasoning:
                    with TabPane("Reasoning", id="reasoning"):
                        yield LongText(self._turn.reasoning)
                with TabPane("Tokens", id="tokens"):
                    yield Label("", id="tokens-note", classes="note", markup=False)
                    yield LongText()
            yield KeyHints(
                [
                    Hint("details.previous_tab/details.next_tab", "tabs", "tab(1)"),
                    Hint("reader.up/reader.down", "scroll", "scroll_pane"),
                    Hint("details.copy", "copy what is shown", "copy"),
                    Hint("Esc", "close", "close"),
                ]
            )

    def on_mount(self) -> None:
        """Show the prompt and the tokens if they are known."""
        self._show_prompt()
        self._show_tokens()

    def set_prompt(self, text: str, note: str = "") -> None:
        """Show the prompt, or the reason why there is none. May be called before the dialog is mounted or after it is closed."""
        self._prompt, self._prompt_note = text, note
        if self.is_mounted and self.is_attached:
            self._show_prompt()

    def set_tokens(self, pieces: Sequence[str]) -> None:
        """Show the turn's text cut into tokens. May be called before the dialog is mounted or after it is closed."""
        self._tokens = tuple(pieces)
        self._tokens_note = f"{len(pieces):,} tokens"
        if self.is_mounted and self.is_attached:
            self._show_tokens()

    def _show_tokens(self) -> None:
        self.query_one("#tokens-note", Label).update(self._tokens_note)
        self.query_one("#tokens LongText", LongText).set_pieces(self._tokens)

    def _show_prompt(self) -> None:
        if self._turn.role != ASSISTANT:
            return
        note = self.query_one("#prompt-note", Label)
        note.update(sanitize(self._prompt_note) or ("" if self._prompt else NO_PROMPT))
        note.display = bool(self._prompt_note or not self._prompt)
        self.query_one("#prompt LongText", LongText).set_text(self._prompt)

    def shown_text(self) -> str:
        """Return the text of the visible tab in the form in which it is copied."""
        texts = {
            "facts": _facts_text(self._facts),
            "prompt": self._prompt,
            "text": self._turn.content,
            "tokens": EDGE_MARK.join(self._tokens),
            "reasoning": self._turn.reasoning,
        }
        return sanitize(texts[self.query_one("#tabs", TabbedContent).active])

    def action_copy(self) -> None:
        """Copy the displayed text."""
        text = self.shown_text()
        if not text:
            self.app.notify("There is nothing to copy here.", severity="warning", markup=False)
            return
        if self._copy is not None:
            self._copy(text)
            return
        self.app.copy_to_clipboard(text)
        self.app.notify(f"Copied {len(text):,} characters.", markup=False)

    def action_tab(self, step: int) -> None:
        """Show the tab `step` places away."""
        tabs = self.query_one("#tabs", TabbedContent)
        names = [pane.id or "" for pane in tabs.query(TabPane)]
        tabs.active = names[(names.index(tabs.active) + step) % len(names)]

    def action_scroll_pane(self) -> None:
        """Scroll a page down."""
        tabs = self.query_one("#tabs", TabbedContent)
        if tabs.active_pane is not None:
            _scroller(tabs.active_pane).scroll_page_down()

    @on(TabbedContent.TabActivated)
    def _activated(self, event: TabbedContent.TabActivated) -> None:
        event.stop()
        self.set_focus(_scroller(event.pane), scroll_visible=False)


def _scroller(pane: TabPane) -> Widget:
    return pane.query("Table, LongText").first()


def _facts_text(known: Sequence[Fact]) -> str:
    return "\n".join(f"{fact.name}: {fact.value}" if fact.value else fact.name for fact in known)
