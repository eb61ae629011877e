"""The main screen's frame: what it is laid out of, what it shows, the model and the settings beside the chat."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Mapping
from concurrent.futures import Future
from dataclasses import dataclass, replace
from time import monotonic
from typing import Any, Final

from textual import events, on
from textual.app import ComposeResult
from textual.content import Content
from textual.getters import query_one
from textual.message import Message
from textual.screen import Screen
from textual.widgets import Label, Static

from tui.chat.drafts import Drafts, SentHistory
from tui.chat.outbox import Outbox
from tui.chat.side_work import SideWork
from tui.conversation import Conversation, ReplyStats, new_id
from tui.conversation.context import OverflowPolicy
from tui.engine.base import LoadRequest, MemoryReading, ModelInfo, Progress, Speculation
from tui.engine.client import EngineClient
from tui.engine.hub.downloads import Downloads
from tui.engine.hub.hub import Hub
from tui.engine.worker import EngineWorker
from tui.parameters import Value, readable
from tui.sanitize import sanitize, sanitize_line
from tui.screens.chat.pane import TurnPane
from tui.screens.live_reply import LiveReply
from tui.screens.model_control import ModelControl
from tui.screens.presenting import Presenter
from tui.sessions import Loaded, SessionConflictError, SessionError
from tui.sessions.writer import SessionWriter
from tui.settings.history import Attachment
from tui.settings.measurements import Measurements
from tui.settings.paths import AppPaths
from tui.settings.preferences import Preferences
from tui.settings.state import AppState
from tui.widgets.attachment_bar import AttachmentBar
from tui.widgets.command_menu import CommandMenu
from tui.widgets.composer import Composer
from tui.widgets.find_bar import FindBar
from tui.widgets.footer import Footer
from tui.widgets.ground import Column, Middle, Row, ground
from tui.widgets.parameter_field import ParameterField
from tui.widgets.sidebar import Sidebar
from tui.widgets.status_bar import ModelState, StatusBar, StatusValues
from tui.widgets.waiting_message import WaitingMessage

MEMORY_S: Final = 2.0
SIDEBAR_WIDTH: Final = 100
"""On a terminal narrower than this the sidebar hides by itself and opens over the chat."""
_TALL: Final = 16
_MOST_TOLD: Final = 3
"""Messages at one time: more of them would cover what one works with, and the newest would find no room."""
NOTICE_S: Final = 5.0
"""How long a message stays that asks for nothing to be done."""
NO_MODEL: Final = "No model is loaded. F4 chooses one."


@dataclass
class _Told:
    """A passing message, already safe to show, and until when on the monotonic clock it stands."""

    text: str
    title: str
    severity: str
    until: float = 0.0

    def replaces(self, older: _Told) -> bool:
        """Whether the older one says nothing any more: of one origin the newest error counts, of quiet words the last."""
        if self.severity != older.severity:
            return False
        return self.severity == "information" or (
            self.severity == "error" and self.title == older.title
        )


class ChatFrame(Screen[None]):
    """Shows one chat and what it is talked with; subclasses add what can be done with it."""

    AUTO_FOCUS = "Composer"
    render_lines = ground
    HORIZONTAL_BREAKPOINTS = [(0, "-narrow"), (SIDEBAR_WIDTH, "-wide")]  # noqa: RUF012 - Textual's type
    VERTICAL_BREAKPOINTS = [(0, "-short"), (_TALL, "-tall")]  # noqa: RUF012 - Textual's type

    transcript = query_one("#transcript", TurnPane)
    composer = query_one("#composer", Composer)
    sidebar = query_one("#sidebar", Sidebar)
    waiting = query_one("#waiting", WaitingMessage)

    @dataclass
    class StateChanged(Message):
        """What the app should remember is another."""

        state: AppState

    def __init__(
        self,
        worker: EngineWorker,
        sessions: SessionWriter,
        state: AppState,
        *,
        hub: Hub,
        downloads: Downloads,
        measurements: Measurements,
        opened: Loaded | None = None,
        request: LoadRequest | None = None,
        notices: tuple[str, ...] = (),
        preferences: Preferences | None = None,
        paths: AppPaths | None = None,
    ) -> None:
        """Make the screen.

        Args:
            worker: runs the engine's jobs.
            sessions: does all work on chat files.
            state: what was remembered from the last time.
            hub, downloads: where models come from.
            measurements: what was measured of models on this machine.
            opened: a chat to go on with; None for a new one.
            request: the model to load at once; None to ask for one.
            notices: sentences to show once.
            preferences: the settings in force; None for the defaults.
            paths: the app's folders; None to keep nothing in them.
        """
        super().__init__()
        self.preferences = preferences or Preferences(state=state)
        self.paths = paths
        self.worker = worker
        self.sessions = sessions
        self.state = state
        self.hub = hub
        self.downloads = downloads
        self.measurements = measurements
        self.download_text = self.download_short = ""
        self.model = ModelControl(worker)
        self.conversation = (
            opened.conversation if opened else Conversation(system_prompt=state.system_prompt)
        )
        self.presenter = Presenter(self.preferences.values.chat.user)
        self.reply: LiveReply | None = None
        self.parameters: dict[str, Value] = readable(
            self.conversation.settings.get("config") or state.parameters
        )
        self.template: dict[str, Any] = {}
        """What is chosen of the chat template's switches."""
        self.system_prompt = self.conversation.system_prompt
        self.quantization = request.quantization if request else state.quantization
        self.overflow_policy = next(
            (one for one in OverflowPolicy if one.value == state.overflow), OverflowPolicy.ASK
        )
        self.client = EngineClient(worker, lambda: self.engine_asked())
        self.side = SideWork(self.client, self._side_work_changed)
        self.session_stats: list[ReplyStats] = []
        """What each reply since the start cost."""
        self.outbox = Outbox()
        self.attachments: tuple[Attachment, ...] = ()
        """The texts that go with the message in the composer."""
        self.drafts = Drafts(paths.drafts if paths else None, sessions.run)
        self.sent = SentHistory(paths.history if paths else None, sessions.run)
        self._attaching = asyncio.Lock()
        """Held while files of a message are read; what is sent meanwhile waits behind it."""
        self.read_only = False
        self.temporary = False
        """A temporary chat is never written."""
        self.opened = opened
        self.request = request
        self.notices = notices
        self._sidebar_wanted = state.sidebar
        self._has_room = False
        self.context_tokens: int | None = None
        """What the chat takes as it is shown; None when only the newest reply's figures are known."""
        self.draft_context: int | None = None
        """What the prompt would take if what is written in the composer were sent; None when that is not known."""
        self._memory = MemoryReading()
        self._told: list[_Told] = []

    def compose(self) -> ComposeResult:
        """Lay out the screen."""
        # Known before there are widgets: each class that comes later has all of them styled once more.
        width, height = self.app.size
        self._has_room = width >= SIDEBAR_WIDTH
        self.set_class(True, "-wide" if self._has_room else "-narrow", update=False)
        self.set_class(True, "-tall" if height >= _TALL else "-short", update=False)
        self.set_class(self._shows_sidebar, "-sidebar", update=False)
        with Row(id="main"):
            with Column(id="chat"):
                with Middle():
                    yield Label("", id="title", markup=False)
                yield TurnPane(id="transcript")
                with Middle():
                    yield Static("↓ new text · Ctrl+End", id="unseen")
                    yield FindBar()
                    yield WaitingMessage(id="waiting")
                    yield AttachmentBar(id="attachments")
                    yield CommandMenu(id="commands")
                    yield Composer(id="composer")
            yield Sidebar(
                quantization=self.quantization,
                system_prompt=self.system_prompt,
                parameters=self.parameters,
                overflow=self.overflow_policy,
                speculation=next(
                    (one for one in Speculation if one.value == self.state.speculation),
                    Speculation.AUTO,
                ),
                id="sidebar",
            )
        yield StatusBar(id="status")
        yield Footer(first=("reply.stop", "app.help", "app.quit"))

    def on_mount(self) -> None:
        """Show the chat."""
        self.set_interval(MEMORY_S, self.read_memory)
        self.show_conversation()

    def on_screen_suspend(self) -> None:
        """Leave messages to the screen above, which shows all of them too."""
        self.query("ToastRack").set(display=False)

    def on_screen_resume(self) -> None:
        """Show messages again."""
        self.query("ToastRack").set(display=True)

    # -- what is shown

    @property
    def side_work(self) -> str:
        """What is done beside the chat, in a few words; empty for nothing."""
        return self.side.label

    def engine_asked(self) -> None:
        """The worker was given a job; for floors above."""

    def _side_work_changed(self) -> None:
        if self.is_attached:
            self.show_status()
            self.refresh_bindings()

    def stop_import(self) -> bool:
        """Stop the import under way; return whether there was one."""
        return False

    @property
    def busy(self) -> bool:
        """Whether there is something that can be stopped."""
        return self.reply is not None or self.model.loading

    def tell(
        self,
        text: str,
        *,
        title: str = "",
        severity: str = "information",
        is_shown: bool = False,
    ) -> None:
        """Show a passing message; text of any origin is safe here. A quiet one takes the place of the quiet one before,
        an error that of an error with the same title. What `is_shown` on the screen too passes sooner.
        """
        new = _Told(sanitize(text), sanitize_line(title), severity)
        new.until = monotonic() + (NOTICE_S if is_shown or severity == "information" else 12)
        self._told = [told for told in self._told if told.until > monotonic()]
        kept = [told for told in self._told if not new.replaces(told)][-(_MOST_TOLD - 1) :]
        if len(kept) < len(self._told):
            # Textual takes away all of them or none.
            self.app.clear_notifications()
            for told in kept:
                self._notify(told)
        self._told = [*kept, new]
        self._notify(new)

    def _notify(self, told: _Told) -> None:
        self.app.notify(
            told.text,
            title=told.title,
            severity=told.severity,  # type: ignore[arg-type]
            timeout=told.until - monotonic(),
            markup=False,
        )

    def request_for(self, model: str, quantization: str = "") -> LoadRequest:
        """Return what loads a model as the settings have it, in the quantization in force if none is named."""
        return LoadRequest(
            model, quantization or self.quantization, **self.preferences.load_options
        )

    def show_conversation(self, *, follow: bool = True) -> None:
        """Show the chat's active path, title and settings."""
        self.transcript.show(self.presenter.turns(self.conversation), follow=follow)
        self.sidebar.show_system_prompt(self.system_prompt)
        self.context_tokens = None
        self.show_title()
        self.show_status()
        self.refresh_bindings()

    def show_title(self) -> None:
        """Show the chat's title and what is special about it."""
        title = sanitize_line(self.conversation.title) or "New chat"
        marks = " (read-only)" if self.read_only else ""
        marks += " (temporary: not saved)" if self.temporary else ""
        marks += " (not saved yet!)" if self.conversation.id in self.sessions.failures else ""
        label = self.query_one("#title", Label)
        # Any update has the whole screen laid out anew.
        if label.content != f"{title}{marks}":
            label.update(f"{title}{marks}")

    def show_turn(self, turn_id: str) -> None:
        """Show one turn as it is now, if it is on the screen's path."""
        if any(turn.id == turn_id for turn in self.transcript.turns):
            turn = self.conversation.turn(turn_id)
            self.transcript.update(self.presenter.turn(self.conversation, turn))

    def show_growth(self) -> None:
        """Show a chat that has grown by a turn at its end; anything else that changed is shown too, at a higher price."""
        shown, path = self.transcript.turns, self.conversation.path
        last = path[-2].id if len(path) > 1 else None
        if len(shown) == len(path) - 1 and (shown[-1].id if shown else None) == last:
            self.transcript.append(self.presenter.turn(self.conversation, path[-1]))
            self.transcript.follow()
            self.show_title()
            self.show_status()
            self.refresh_bindings()
        else:
            self.show_conversation()

    @property
    def _shows_sidebar(self) -> bool:
        """Whether the sidebar is to stand beside the chat."""
        return self._has_room and self._sidebar_wanted

    def show_measured(self) -> None:
        """Show what was measured of the model on this machine."""
        self.sidebar.show_measured(self.measurements.figures.get(self.model.model, {}))

    def show_model(self) -> None:
        """Show the model, its state and its defaults."""
        info = None if self.model.loading else self.model.info
        self.sidebar.show_model(self.model.name, info)
        self.sidebar.show_quantization(self.model.quantization)
        self.show_measured()
        if self.model.loading:
            text = f"Loading {self.model.name}…\nYou can already write."
        elif info is None:
            failure = self.model.failure
            text = f"{failure.message} {failure.hint}\n{NO_MODEL}" if failure else NO_MODEL
        else:
            text = f"{info.name} is ready.\nAsk anything."
        self.transcript.empty = Content(sanitize(text))
        self.show_status()
        self.refresh_bindings()

    def on_resize(self, event: events.Resize) -> None:
        """Show or hide the sidebar when the width crosses its threshold."""
        wide = event.size.width >= SIDEBAR_WIDTH
        if wide != self._has_room:
            self._has_room = wide
            self.set_class(self._shows_sidebar, "-sidebar")

    def show_status(self) -> None:
        """Show state, memory, context and speed."""
        model, reply, info = self.model, self.reply, self.model.info
        progress = model.progress
        if model.loading:
            state = ModelState.LOADING
        elif reply is not None:
            state = ModelState.REPLYING if reply.new_tokens else ModelState.READING
            progress = reply.progress
        elif self.side_work:
            state, progress = ModelState.BUSY, Progress(self.side_work)
        else:
            state = ModelState.READY if info else ModelState.NONE
        stats = reply.stats if reply and reply.prompt else None
        if stats is None:
            known = (
                turn.generation for turn in reversed(self.conversation.path) if turn.generation
            )
            stats = next((made.stats for made in known if made.stats.prompt_tokens), None)
        self.query_one("#status", StatusBar).values = StatusValues(
            state=state,
            model=model.name,
            detail="" if model.loading else model_detail(info),
            progress=progress,
            memory=self._memory,
            context_used=self._context_used(stats),
            context_total=info.context_tokens if info else 0,
            tokens_per_s=stats.tokens_per_s if stats else 0.0,
            ttft_s=stats.ttft_s if stats else 0.0,
            download=self.download_text,
            download_short=self.download_short,
            cached_tokens=stats.cached_tokens if stats else 0,
            read_tokens=stats.prompt_tokens - stats.cached_tokens if stats else 0,
            dropped_tokens=stats.dropped_tokens if stats else 0,
        )

    def _context_used(self, stats: ReplyStats | None) -> int:
        if self.reply is None and self.draft_context is not None:
            return self.draft_context
        if self.reply is None and self.context_tokens is not None:
            return self.context_tokens
        return stats.context_tokens if stats else 0

    def read_memory(self) -> None:
        """Show how much memory is in use now."""
        self._memory = self.worker.memory()
        self.show_status()
        self.show_title()

    # -- chats on disk

    def save(self) -> Awaitable[bool]:
        """Put the chat on disk behind the screen; the answer tells whether it is there."""
        if self.temporary:
            return asyncio.ensure_future(asyncio.sleep(0, result=False))
        saved = self._saved(self.conversation, self.sessions.save(self.conversation))
        return asyncio.ensure_future(saved)

    async def _saved(self, chat: Conversation, future: Future[None]) -> bool:
        try:
            await asyncio.wrap_future(future)
        except SessionConflictError as error:
            return await self._save_as_copy(chat, str(error))
        except SessionError as error:
            self.tell(str(error), title="The chat is not saved yet", severity="error")
            return False
        if self.sessions.store.take_remade():
            self.tell(
                "The folder of the chats had vanished. It was made again and this chat is in it; others that were "
                "there are not.",
                severity="warning",
            )
        if kept := self.sessions.store.take_kept():
            self.tell(
                f"The chat's file held something that chat-tui can't show. The original is kept as {kept}.",
                severity="warning",
            )
        return True

    async def _save_as_copy(self, chat: Conversation, why: str) -> bool:
        """Keep a chat whose file somebody else has written under another id, also when it is not shown any more."""
        if self.conversation.id == chat.id:
            self.fork_whole(f"{why} What is shown here goes on as a chat of its own.")
            return await self.save()
        copy = replace(chat, id=new_id(), title=f"{chat.title} (copy)")
        self.sessions.forget(chat.id)
        self.tell(f"{why} Your changes are kept as “{copy.title}”.", severity="warning")
        return await self._saved(copy, self.sessions.save(copy))

    def fork_whole(self, reason: str) -> None:
        """Go on with a copy of the whole chat under another id."""
        self.sessions.forget(self.conversation.id)
        title = f"{self.conversation.title} (copy)" if self.conversation.title else ""
        self.conversation = replace(self.conversation, id=new_id(), title=title)
        self.read_only = False
        self.tell(reason, severity="warning")
        self.show_title()

    def tell_opened(self, opened: Loaded) -> None:
        """Say what there is to say about a chat that was opened."""
        self.read_only = opened.read_only
        title = "Opened read-only" if opened.read_only else "About this chat"
        if opened.problems:
            self.tell("\n".join(opened.problems), title=title, severity="warning")
        self.show_title()

    # -- settings

    def remember(self) -> None:
        """Keep for the next start what is in force now."""
        info = self.model.info
        self.state = replace(
            self.state,
            model=info.model if info else "",
            quantization=self.quantization,
            parameters=dict(self.parameters),
            system_prompt=self.system_prompt,
            theme=self.app.theme,
            sidebar=self._sidebar_wanted,
            overflow=self.overflow_policy.value,
        )
        self.state = self.remembered(self.state)
        self.post_message(self.StateChanged(self.state))

    def remembered(self, state: AppState) -> AppState:
        """Return what the next start should know of what is in force."""
        return state

    def chat_settings(self) -> Mapping[str, Any]:
        """Return what the chat's file says of the model and parameters in force."""
        settings = {
            **self.conversation.settings,
            "config": dict(self.parameters),
            "template": dict(self.template),
        }
        if info := self.model.info:
            settings |= {
                "model_id": info.model,
                "model_name": info.name,
                "quantization": info.quantization,
            }
        return settings

    @on(ParameterField.Changed)
    def _parameter_changed(self, event: ParameterField.Changed) -> None:
        if event.value is None:
            self.parameters.pop(event.name, None)
        else:
            self.parameters[event.name] = event.value
        self.remember()

    @on(Sidebar.SystemPromptChanged)
    def _system_prompt_changed(self, event: Sidebar.SystemPromptChanged) -> None:
        self.system_prompt = event.text
        self.remember()

    # -- the sidebar

    def close_overlay(self) -> None:
        """Hide the sidebar where it lies over the chat."""
        if self.size.width < SIDEBAR_WIDTH:
            self.remove_class("-sidebar")

    def close_open(self) -> bool:
        """Close what Escape closes before anything else: settings over the chat, the search. Return whether there was any."""
        find = self.query_one(FindBar)
        if self.size.width < SIDEBAR_WIDTH and self.has_class("-sidebar"):
            self.action_composer_focus()
        elif find.has_class("-open"):
            find.action_close()
        else:
            return False
        return True

    def action_sidebar_toggle(self) -> None:
        """Show or hide the settings; what is shown gets the cursor."""
        self.toggle_class("-sidebar")
        shown = self.has_class("-sidebar")
        if self.size.width >= SIDEBAR_WIDTH:
            self._sidebar_wanted = shown
            self.remember()
        if shown:
            self.sidebar.focus_on("model")
        else:
            self.set_focus(self.composer)

    def action_composer_focus(self) -> None:
        """Put the cursor into the composer."""
        self.close_overlay()
        self.set_focus(self.composer)


def model_detail(info: ModelInfo | None) -> str:
    """Return how a model is held, as in `bfloat16 4bit · cuda:0`."""
    if info is None:
        return ""
    quantization = "" if info.quantization == "none" else f" {info.quantization}"
    return f"{info.dtype}{quantization} · {info.device}"
