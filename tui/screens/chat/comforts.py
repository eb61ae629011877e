"""What makes one feel at home: what was sent before, drafts, the terminal's title, a call when a long reply ends, the first words."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

from textual import on, work
from textual.content import Content
from textual.message import Message
from textual.timer import Timer
from textual.widgets import TextArea

from tui.chat.drafts import draft_key
from tui.sanitize import sanitize_line
from tui.screens.chat.commanding import Commanding
from tui.screens.live_reply import LiveReply
from tui.screens.picker import Entry, Picker
from tui.sessions import Loaded
from tui.settings.history import Draft, Sent
from tui.settings.state import AppState

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
        self._shows_tour = (
            self.paths is not None
            and not self._last_state.toured
            and self.preferences.values.screen.tour
        )
        self._read_kept()

    @work(thread=True, group="kept", exit_on_error=False)
    def _read_kept(self) -> None:
        drafts, problem = self.drafts.read()
        self.app.call_from_thread(self._kept_is_read, self.sent.read(), drafts, problem)

    def _kept_is_read(
        self, history: list[Sent], drafts: dict[str, Draft], problem: str = ""
    ) -> None:
        if problem:
            self.tell(problem, severity="warning")
        self.sent.add_read(history)
        found = drafts.get(self._draft_key)
        self.drafts.add_read(drafts)
        self._offer_history()
        if found is not None:
            self._take_in(found)

    # -- what was sent

    def show_conversation(self, *, follow: bool = True) -> None:
        """Show the chat; Up brings back its messages, and before those what was sent elsewhere."""
        super().show_conversation(follow=follow)
        self._offer_history()

    def _offer_history(self) -> None:
        self.composer.remember([one.text for one in self.sent.for_chat(self.conversation)])

    @work(exclusive=True, group="history")
    async def action_composer_history(self) -> None:
        """Search what was sent."""
        seen: set[str] = set()
        entries: list[Entry] = []
        for one in reversed(self.sent.for_chat(self.conversation)):
            if one.text not in seen:
                seen.add(one.text)
                where = "this chat" if one.chat_id == self.conversation.id else ""
                entries.append(Entry(one.text, sanitize_line(one.text, 120), where))
        chosen = await self.app.push_screen_wait(
            Picker("What you sent", entries, empty="Nothing was sent yet.")
        )
        if chosen is not None:
            self.composer.recall(chosen)
            self.set_focus(self.composer)

    # -- drafts

    @on(TextArea.Changed, "#composer")
    def _draft_typed(self) -> None:
        if self._draft_timer is not None:
            self._draft_timer.stop()
        self._draft_timer = self.set_timer(_DRAFT_S, self.keep_draft)

    def keep_draft(self) -> None:
        """Put what is written and not sent on disk, behind the screen."""
        if not self.temporary:
            self.drafts.keep(self._draft_key, Draft(self.composer.unsent, self.attachments))

    @property
    def _draft_key(self) -> str:
        return draft_key(self.conversation)

    def _take_in(self, draft: Draft) -> None:
        """Put a draft into the composer, in front of what has been written there since."""
        if self.composer.text != draft.text:
            self.composer.take_back(draft.text)
        fresh = [one for one in self.attachments if one not in draft.attachments]
        self.set_attachments((*draft.attachments, *fresh))

    def open_conversation(self, opened: Loaded) -> None:
        """Go on with another chat.

        What was being written stays with the one before, if that has anything to come back to or if something else was being
        written in the one that is opened; otherwise it goes along.
        """
        self.take_back_waiting()
        self.take_back_edit()
        is_other = opened.conversation.id != self.conversation.id
        found = self.drafts.of(draft_key(opened.conversation)) if is_other else None
        may_stay = bool(self.conversation.path) or found is not None
        if is_other and not self.temporary:
            self.keep_draft()
            if may_stay:
                found = self.drafts.of(draft_key(opened.conversation))
                self.composer.begin()
                self.set_attachments(())
            else:
                self.drafts.drop(self._draft_key)
        super().open_conversation(opened)
        if found is not None:
            self._take_in(found)
        elif is_other:
            self.keep_draft()

    # -- the terminal

    def show_title(self) -> None:
        """Show the chat's title, on the terminal's window too."""
        super().show_title()
        title = sanitize_line(self.conversation.title, 60)
        self.post_message(self.TitleChanged(f"{title} - chat-tui" if title else "chat-tui"))

    def _end_reply(self, reply: LiveReply) -> None:
        super()._end_reply(reply)
        stats = reply.generation.stats
        is_long = stats.ttft_s + stats.decode_s >= self.preferences.values.alerts.after_s
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
