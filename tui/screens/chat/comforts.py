"""What makes one feel at home: what was sent before, drafts, the terminal's title, a call when a long reply ends, the first words."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

from textual import on, work
from textual.content import Content
from textual.message import Message
from textual.timer import Timer
from textual.widgets import TextArea

from tui.commands import typed_text
from tui.conversation import USER
from tui.sanitize import sanitize_line
from tui.screens.chat.commanding import Commanding
from tui.screens.live_reply import LiveReply
from tui.screens.picker import Entry, Picker
from tui.sessions import Loaded
from tui.settings.history import (
    Draft,
    Sent,
    add_to_history,
    read_drafts,
    read_history,
    write_drafts,
)
from tui.settings.state import AppState

_NOT_BEGUN: Final = ""
_DRAFT_S: Final = 0.5
TOUR: Final = (
    "Enter sends, Ctrl+J begins a line, Esc stops a reply.",
    "F1 lists every key, Ctrl+P finds everything by name, / shows the commands.",
    "F2 has the settings, Alt+Up goes to a turn to change it or have it made again.",
)


class Comforts(Commanding):
    """Remembers what was written, and tells the terminal what goes on."""

    _draft_timer: Timer | None = None
    _shows_tour = False

    @dataclass
    class TitleChanged(Message):
        """The window is to be called something else."""

        title: str

    @dataclass
    class AlertWanted(Message):
        """Something has ended that the user may be waiting for elsewhere."""

        text: str

    def on_mount(self) -> None:
        """Read what was kept, behind the screen."""
        self._history: list[Sent] = []
        self._drafts: dict[str, Draft] = {}
        self._shows_tour = (
            self.paths is not None
            and not self._last_state.toured
            and self.preferences.value("screen.tour")
        )
        self._read_kept()

    @work(thread=True, group="kept", exit_on_error=False)
    def _read_kept(self) -> None:
        if self.paths is not None:
            history, drafts = read_history(self.paths.history), read_drafts(self.paths.drafts)
            self.app.call_from_thread(self._kept_is_read, history, drafts)

    def _kept_is_read(self, history: list[Sent], drafts: dict[str, Draft]) -> None:
        self._history = [*history, *self._history]
        self._drafts = {**drafts, **self._drafts}
        self._offer_history()
        if not self.composer.text:
            self._show_draft()

    # -- what was sent

    def was_sent(self, text: str) -> None:
        """Keep what was sent for the Up key and the search."""
        super().was_sent(text)
        # Before the chat may go on as a copy, under another id.
        gone = [self._drafts.pop(key, None) for key in (self.conversation.id, _NOT_BEGUN)]
        if any(draft is not None for draft in gone):
            self._write_drafts()
        if not text.strip() or self.temporary:
            return
        sent = Sent(text, self.conversation.id)
        self._history.append(sent)
        if self.paths is not None:
            path = self.paths.history
            self.sessions.run(lambda: add_to_history(path, sent))

    def show_conversation(self, *, follow: bool = True) -> None:
        """Show the chat; Up brings back its messages, and before those what was sent elsewhere."""
        super().show_conversation(follow=follow)
        self._offer_history()

    def _offer_history(self) -> None:
        own = [typed_text(turn.text) for turn in self.conversation.path if turn.role == USER]
        elsewhere = [one.text for one in self._history if one.chat_id != self.conversation.id]
        self.composer.remember([*elsewhere, *own])

    @work(exclusive=True, group="history")
    async def action_composer_history(self) -> None:
        """Search what was sent."""
        own = [
            Sent(typed_text(turn.text), self.conversation.id)
            for turn in self.conversation.path
            if turn.role == USER
        ]
        seen: set[str] = set()
        entries: list[Entry] = []
        for one in reversed(
            [*(sent for sent in self._history if sent.chat_id != self.conversation.id), *own]
        ):
            if one.text not in seen:
                seen.add(one.text)
                where = "this chat" if one.chat_id == self.conversation.id else ""
                entries.append(Entry(one.text, sanitize_line(one.text, 120), where))
        chosen = await self.app.push_screen_wait(
            Picker("What you sent", entries, empty="Nothing was sent yet.")
        )
        if chosen is not None:
            self.composer.set_text(chosen)
            self.set_focus(self.composer)

    # -- drafts

    @on(TextArea.Changed, "#composer")
    def _draft_typed(self) -> None:
        if self._draft_timer is not None:
            self._draft_timer.stop()
        self._draft_timer = self.set_timer(_DRAFT_S, self.keep_draft)

    def keep_draft(self) -> None:
        """Put what is written and not sent on disk, behind the screen."""
        draft = Draft(self.composer.text, self.attachments)
        key = self._draft_key
        if self.temporary or draft == self._drafts.get(key, Draft()):
            return
        self._drafts.pop(key, None)
        if not draft.is_empty:
            self._drafts[key] = draft
        self._write_drafts()

    @property
    def _draft_key(self) -> str:
        """The chat that a draft belongs to; a chat that has not begun is as good as any new one."""
        return self.conversation.id if self.conversation.turns else _NOT_BEGUN

    def _write_drafts(self) -> None:
        if self.paths is not None:
            path, drafts = self.paths.drafts, dict(self._drafts)
            self.sessions.run(lambda: write_drafts(path, drafts))

    def _show_draft(self) -> None:
        draft = self._drafts.get(self._draft_key)
        if draft is not None:
            self.composer.set_text(draft.text)
            self.set_attachments(tuple(draft.attachments))

    def open_conversation(self, opened: Loaded) -> None:
        """Go on with another chat; what was being written stays with the one before, if that has anything to come back to."""
        self.take_back_waiting()
        stays = (
            bool(self.conversation.path)
            and not self.temporary
            and opened.conversation.id != self.conversation.id
        )
        if stays:
            self.keep_draft()
        super().open_conversation(opened)
        if stays:
            self.composer.set_text("")
            self.set_attachments(())
            self._show_draft()

    # -- the terminal

    def show_title(self) -> None:
        """Show the chat's title, on the terminal's window too."""
        super().show_title()
        title = sanitize_line(self.conversation.title, 60)
        self.post_message(self.TitleChanged(f"{title} - chat-tui" if title else "chat-tui"))

    def _end_reply(self, reply: LiveReply) -> None:
        super()._end_reply(reply)
        stats = reply.generation.stats
        is_long = stats.ttft_s + stats.decode_s >= self.preferences.value("alerts.after_s")
        if is_long and not self.quitting and not self.app.app_focus:
            name = sanitize_line(self.conversation.title, 60) or "the chat"
            self.post_message(self.AlertWanted(f"The reply in {name} has ended."))

    # -- the first words

    def show_model(self) -> None:
        """Show the model; at the very first start also how things work."""
        super().show_model()
        if self._shows_tour and self.model.ready:
            ready = self.transcript.empty or Content("")
            self.transcript.empty = Content("\n").join([ready, Content(""), *map(Content, TOUR)])
            if not self._last_state.toured:
                self.remember()

    def remembered(self, state: AppState) -> AppState:
        """Return what the next start should know, the tour among it."""
        toured = self._last_state.toured or (self._shows_tour and self.model.ready)
        return super().remembered(replace(state, toured=toured))
