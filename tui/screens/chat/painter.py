"""The only module that paints the chat. It listens to the core, and shows changes in the transcript, the sidebar, the title and
the status bar.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from tui.chat.core import Core
from tui.chat.live_reply import LiveReply
from tui.chat.loader import short_name
from tui.chat.replies import Said
from tui.chat.session import Change, Changed
from tui.chat.settings import Area
from tui.chat.side_work import STOPPING
from tui.conversation import Conversation, ReplyStats, title_from
from tui.engine.base import (
    MemoryReading,
    ModelInfo,
    Progress,
    ReasoningDelta,
    ReasoningFound,
    TextDelta,
)
from tui.sanitize import sanitize_line
from tui.screens.chat.empty_state import EmptyState
from tui.screens.chat.focus_control import FocusControl
from tui.screens.chat.prompt_note import PromptNote
from tui.screens.chat.view import View
from tui.screens.presenting import Presenter, caption, reasoning_caption
from tui.widgets.status_bar import ModelState, StatusValues


class ChatPainter:
    """Paints the chat and what is in progress in it."""

    def __init__(
        self,
        core: Core,
        view: View,
        focus_control: FocusControl,
        *,
        memory: Callable[[], MemoryReading],
        beside: Callable[[], str],
        name_window: Callable[[str], object],
        empty: EmptyState,
    ) -> None:
        """Create it.

        Args:
            core: owns what is shown.
            view: the widgets that show it.
            focus_control: knows the focus.
            memory: returns the memory of the device in use.
            beside: returns what else is in progress, in a few words; empty for nothing.
            name_window: sets the title of the terminal window.
            empty: builds the content of an empty chat.
        """
        self._core = core
        self._view = view
        self._focus_control = focus_control
        self._read_memory = memory
        self._beside = beside
        self._name_window = name_window
        self._empty = empty
        view.transcript.empty = empty
        self._memory = MemoryReading()
        self._prompt_note = PromptNote(core, view)
        self._presenter = Presenter(core.settings.preferences.values.chat.user)
        self._downloads = ("", "")
        core.session.changed.listen(self._chat_changed)
        core.settings.changed.listen(self._settings_changed)
        core.loader.changed.listen(lambda _none: self.show_model())
        core.measuring.changed.listen(lambda _none: self._show_measured())
        core.replies.changed.listen(lambda _none: self.show_activity())
        core.replies.said.listen(self._said)
        core.replies.ended.listen(self._reply_ended)
        core.side.changed.listen(lambda _none: self.show_activity())
        empty.drafts.changed.listen(lambda _none: self._show_empty())
        core.counting.changed.listen(lambda _none: self.show_status())
        focus_control.sidebar_changed.listen(lambda _none: self.show_activity())

    # -- the chat

    def _chat_changed(self, changed: Changed) -> None:
        match changed.change:
            case Change.OPENED:
                self._presenter = Presenter(self._presenter.user)
                self._view.transcript.cursor = None
                self.show_conversation()
            case Change.TURNS:
                self.show_conversation(follow=changed.follow)
            case Change.GROWN:
                self._show_growth()
            case Change.TURN:
                self._show_turn(changed.turn_id)
            case Change.TITLE:
                self.show_title()

    def show_conversation(self, *, follow: bool = True) -> None:
        """Show the chat's active path, title and settings."""
        chat = self._core.session.conversation
        self._view.transcript.show(self._presenter.turns(chat), follow=follow)
        self._view.sidebar.show_system_prompt(self._core.settings.system_prompt)
        self._core.counting.forget()
        self._view.area.offer_sent()
        self._chat_is_shown()

    def _show_growth(self) -> None:
        """Show a chat with a new turn at its end. Any other change is shown too, but at a higher cost."""
        chat, shown = self._core.session.conversation, self._view.transcript.turns
        path = chat.path
        last = path[-2].id if len(path) > 1 else None
        if len(shown) == len(path) - 1 and (shown[-1].id if shown else None) == last:
            self._view.transcript.append(self._presenter.turn(chat, path[-1]))
            self._view.transcript.follow()
            self._chat_is_shown()
        else:
            self.show_conversation()

    def _chat_is_shown(self) -> None:
        self.show_title()
        self.show_activity()
        self._focus_control.mark_cursor()
        self._prompt_note.look()

    def _show_turn(self, turn_id: str) -> None:
        """Update one turn, if it is on the active path."""
        if any(turn.id == turn_id for turn in self._view.transcript.turns):
            chat = self._core.session.conversation
            self._view.transcript.update(self._presenter.turn(chat, chat.turn(turn_id)))

    def show_title(self) -> None:
        """Show the chat's title and its special states, and set the title of the terminal window."""
        session = self._core.session
        title = session.conversation.title
        marks = " (read-only)" if session.read_only else ""
        marks += " (temporary: not saved)" if session.temporary else ""
        marks += " (not saved yet!)" if session.is_unsaved else ""
        shown = "" if _is_first_words(title, session.conversation) else sanitize_line(title)
        text = f"{shown}{marks}".strip() if title else f"New chat{marks}"
        # Any update lays out the whole screen again.
        if self._view.title.content != text:
            self._view.title.update(text)
        self._view.title.set_class(bool(marks), "-marked")
        self._view.title.set_class(not text, "-blank")
        name = sanitize_line(title, 60)
        self._name_window(f"{name} - chat-tui" if name else "chat-tui")

    # -- a reply

    def _said(self, said: Said) -> None:
        reply, transcript = said.reply, self._view.transcript
        match said.event:
            case TextDelta(text):
                transcript.stream(reply.turn_id, text=text)
                if reply.reasoning_ended:
                    thought = reasoning_caption(reply.stats)
                    transcript.caption_reasoning(reply.turn_id, thought)
            case ReasoningDelta(text):
                transcript.stream(reply.turn_id, reasoning=text)
            case ReasoningFound():
                transcript.retell(reply.turn_id, text=reply.text, reasoning=reply.reasoning)

    def show_figures(self) -> None:
        """Show the time and speed of the reply being written."""
        reply = self._core.replies.live
        if reply is not None and reply.new_tokens:
            chat = self._core.session.conversation
            shown = caption(chat.turn(reply.turn_id), stats=reply.stats)
            self._view.transcript.show_figures(reply.turn_id, shown)

    def _reply_ended(self, _reply: LiveReply) -> None:
        self._core.counting.forget()
        self._show_drafting()
        self.show_activity()

    # -- the settings

    def _settings_changed(self, area: Area) -> None:
        sidebar, settings = self._view.sidebar, self._core.settings
        if area in (Area.ALL, Area.PARAMETERS, Area.CONFIGURATION):
            sidebar.show_parameters(settings.parameters)
            self._view.screen.refresh_bindings()
        if area is Area.CONFIGURATION:
            self._presenter.user = settings.preferences.values.chat.user
        if area in (Area.ALL, Area.TEMPLATE):
            self._show_switches()
            self._core.counting.forget()
        if not self._core.session.conversation.path:
            self._view.transcript.refresh()
        if area is Area.PROMPT:
            sidebar.show_system_prompt(settings.system_prompt)
            self._prompt_note.look()
        if area in (Area.ALL, Area.OVERFLOW, Area.CONFIGURATION):
            sidebar.show_overflow(settings.overflow)
        if area is Area.SPECULATION:
            sidebar.show_speculation(settings.speculation)
        if area is Area.QUANTIZATION:
            sidebar.show_quantization(self._core.loader.quantization)

    def show_settings(self) -> None:
        """Show the system prompt and the parameters."""
        self._show_switches()
        self._prompt_note.look()

    def _show_switches(self) -> None:
        """Show the switches of the model's chat template."""
        info = self._info
        switches = info.template_switches if info is not None else ()
        self._view.sidebar.show_switches(switches, self._core.settings.template)

    def _show_drafting(self) -> None:
        """Show how tokens are drafted, and how much it helps."""
        path, loader = self._core.session.conversation.path, self._core.loader
        known = (turn.generation for turn in reversed(path) if turn.generation)
        stats = next((made.stats for made in known if made.stats.new_tokens), None)
        self._view.sidebar.show_drafting(loader.info, short_name(loader.assistant), stats)

    # -- the model

    @property
    def _info(self) -> ModelInfo | None:
        """The loaded model, unless it is about to be unloaded."""
        loader = self._core.loader
        return None if loader.loading else loader.info

    def show_model(self) -> None:
        """Show the model, its state, its defaults, and its assistant model."""
        loader, sidebar = self._core.loader, self._view.sidebar
        sidebar.show_model(loader.name, self._info)
        sidebar.show_quantization(loader.quantization)
        self._show_measured()
        self._show_switches()
        self._show_drafting()
        self._view.transcript.refresh()
        if loader.ready:
            self._core.counting.forget_model()
            self._empty.begun()
        self.show_activity()

    def _show_measured(self) -> None:
        """Show what was measured for the model on this machine."""
        self._view.sidebar.show_measured(self._core.measuring.figures(self._core.loader.model))
        self._show_empty()

    def _show_empty(self) -> None:
        """Show what a chat without turns has to say."""
        if not self._view.transcript.turns:
            self._view.transcript.refresh()

    # -- the status bar

    def show_activity(self) -> None:
        """Show what is in progress, and which actions are possible."""
        if self._view.screen.is_attached:
            self.show_status()
            self._view.screen.refresh_bindings()

    def show_downloads(self, text: str, short: str) -> None:
        """Show the progress of downloads, as a long and a short text."""
        self._downloads = (text, short)
        self.show_activity()

    def read_memory(self) -> None:
        """Read and show the memory use."""
        self._memory = self._read_memory()
        self.show_status()
        self.show_title()

    def show_status(self) -> None:
        """Show state, memory, context and speed."""
        loader, info = self._core.loader, self._core.loader.info
        state, progress = self._state()
        stats, speeds = self._newest()
        text, short = self._downloads
        # Most servers don't report what they had cached.
        tells_cache = info is None or not info.server or stats.cached_tokens > 0
        self._view.status.values = StatusValues(
            state=state,
            # The sidebar names the model, and how it is loaded.
            model="" if self._focus_control.has_sidebar else loader.name,
            detail="" if loader.loading or self._focus_control.has_sidebar else model_detail(info),
            progress=progress,
            memory=self._memory,
            context_used=self._context_used(stats),
            context_total=info.context_tokens if info else 0,
            tokens_per_s=stats.tokens_per_s,
            speeds=speeds,
            ttft_s=stats.ttft_s,
            download=text,
            download_short=short,
            cached_tokens=stats.cached_tokens,
            read_tokens=stats.prompt_tokens - stats.cached_tokens if tells_cache else 0,
            dropped_tokens=stats.dropped_tokens,
        )
        if loader.loading and not self._view.transcript.turns:
            # It contains the progress of the load.
            self._view.transcript.refresh()

    def _state(self) -> tuple[ModelState, Progress | None]:
        """Return the state of the model and its progress."""
        loader, reply = self._core.loader, self._core.replies.live
        if loader.loading:
            return ModelState.LOADING, loader.progress
        if reply is not None and reply.stop_wanted:
            # An engine that hangs is only ended after a while.
            return ModelState.BUSY, Progress(STOPPING)
        if reply is not None:
            state = ModelState.REPLYING if reply.new_tokens else ModelState.READING
            return state, reply.progress
        if label := self._beside():
            return ModelState.BUSY, Progress(label)
        return (ModelState.READY if loader.info else ModelState.NONE), loader.progress

    def _newest(self) -> tuple[ReplyStats, tuple[float, ...]]:
        """Return the figures of the reply in progress, or else of the newest reply that has any, and its speeds from its start
        on.
        """
        replies = self._core.replies
        reply = replies.live
        if reply is not None and reply.prompt and reply.prompt.prompt_tokens:
            return reply.stats, reply.speeds
        for turn in reversed(self._core.session.conversation.path):
            if turn.generation and turn.generation.stats.prompt_tokens:
                return turn.generation.stats, replies.speeds_of(turn.id)
        return ReplyStats(), ()

    def _context_used(self, stats: ReplyStats) -> int:
        counting = self._core.counting
        if self._core.replies.live is None and counting.draft_tokens is not None:
            return counting.draft_tokens
        if self._core.replies.live is None and counting.chat_tokens is not None:
            return counting.chat_tokens
        return stats.context_tokens


_TITLE_FROM: Final = 2_000
"""A title has at most this many characters."""


def _is_first_words(title: str, chat: Conversation) -> bool:
    """Return whether a title only repeats the start of the first visible message."""
    # A message may be very long, and this runs every two seconds.
    first = chat.path[0].gist[:_TITLE_FROM] if chat.path else ""
    return bool(title) and title == title_from(first)


def model_detail(info: ModelInfo | None) -> str:
    """Return how a model is loaded, for example `bfloat16 4bit · cuda:0`."""
    if info is None:
        return ""
    if info.server:
        return info.dtype
    if info.engine:
        return f"{info.dtype} · {info.engine} · {info.device}"
    quantization = "" if info.quantization == "none" else f" {info.quantization}"
    return f"{info.dtype}{quantization} · {info.device}"
