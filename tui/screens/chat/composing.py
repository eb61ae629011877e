"""Where messages are written: the composer with its completions, attachments and waiting message, and the drafts of all chats."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from typing import TYPE_CHECKING, Final

from textual import on
from textual.app import ComposeResult
from textual.geometry import Region
from textual.timer import Timer
from textual.widgets import TextArea

from tui.chat.core import Core
from tui.chat.drafts import NOT_BEGUN, draft_key
from tui.chat.outbox import Outgoing
from tui.commands import Command, CommandError, is_command, parse_command, typed_text
from tui.conversation import Conversation, Turn
from tui.conversation.parts import FilePart
from tui.files import typed_path
from tui.late import imported
from tui.sanitize import sanitize, sanitize_line
from tui.screens.chat.ui import ScreenUi
from tui.settings.history import Attachment, Draft, Sent
from tui.widgets.composer import Composer
from tui.widgets.ground import Middle

if TYPE_CHECKING:
    from tui.screens.chat.attaching import Attaching
    from tui.screens.chat.completing import Completing
    from tui.screens.picker import Entry
    from tui.widgets.attachment_bar import AttachmentBar
    from tui.widgets.command_menu import CommandMenu
    from tui.widgets.waiting_message import WaitingMessage

_DRAFT_S: Final = 0.5
"""How long typing has to pause, in seconds, before the draft is saved to disk."""


class ComposerArea(Middle):
    """The composer and everything around it."""

    def __init__(
        self,
        core: Core,
        ui: ScreenUi,
        *,
        run: Callable[[Command], object],
        choose_model: Callable[[str], object],
    ) -> None:
        """Create it.

        Args:
            core: owns the open chat.
            ui: shows notifications and questions.
            run: runs a command.
            choose_model: asks for a model, with a sentence about the reason.
        """
        super().__init__()
        self._core = core
        self._ui = ui
        self._run = run
        self._choose_model = choose_model
        self.composer = Composer(id="composer")
        self.composer.fold_lines = core.settings.preferences.values.composer.fold_lines
        self.attachments: tuple[Attachment, ...] = ()
        """The texts that are sent with the message."""
        self.edits: dict[str, str] = {}
        """The texts of unfinished edits in this chat, by turn ID. They are kept with the draft."""
        self._being_read: list[Outgoing] = []
        """Messages whose files are being read, oldest first."""
        self._draft_timer: Timer | None = None
        self._offered = Draft()
        """The undone message that was last put back into the composer."""
        core.sender.waiting.listen(self._show_waiting)
        core.sender.returned.listen(self._take_back)

    def compose(self) -> ComposeResult:
        """Lay out the composer."""
        yield self.composer

    def on_mount(self) -> None:
        """Add the widgets above the composer, which are hidden at first, after the first frame."""
        self.call_after_refresh(lambda: self._ui.start(self._add_hidden()))

    async def _add_hidden(self) -> None:
        await imported(
            "tui.widgets.waiting_message", "tui.widgets.attachment_bar", "tui.widgets.command_menu"
        )
        if self.is_attached and not self._menu.is_attached:
            self.mount(self._waiting, self._chips, self._menu, before=self.composer)

    @cached_property
    def _attaching(self) -> Attaching:
        from tui.screens.chat.attaching import Attaching

        return Attaching(self._ui)

    @cached_property
    def _completing(self) -> Completing:
        from tui.screens.chat.completing import Completing

        return Completing(
            self.composer,
            lambda: self._menu,
            self._ui,
            lambda path: self._ui.start(self.attach(path)),
        )

    @cached_property
    def _waiting(self) -> WaitingMessage:
        from tui.widgets.waiting_message import WaitingMessage

        return WaitingMessage(id="waiting")

    @cached_property
    def _chips(self) -> AttachmentBar:
        from tui.widgets.attachment_bar import AttachmentBar

        return AttachmentBar(id="attachments")

    @cached_property
    def _menu(self) -> CommandMenu:
        from tui.widgets.command_menu import CommandMenu

        return CommandMenu(id="commands")

    def take_configuration(self) -> None:
        """Apply the current setting for folding pastes."""
        self.composer.fold_lines = self._core.settings.preferences.values.composer.fold_lines

    def on_resize(self) -> None:
        """Keep notifications clear of the composer and of the columns beside the chat."""
        self.place_notices()

    def place_notices(self) -> None:
        """Keep notifications clear of the composer and of an open search bar."""
        # Positions are known only after the layout is done.
        self.call_after_refresh(self._place_notices)

    def _place_notices(self) -> None:
        box, top = self.composer.region, self.region.y
        for bar in self.screen.query("FindBar"):
            top = min(top, bar.region.y) if bar.has_class("-open") else top
        self._ui.stand_above(Region(box.x, top, box.width, self.region.bottom - top))

    def suggest(self, text: str) -> None:
        """Put a suggested message into the composer, above any text that is already there."""
        if text not in self.composer.text:
            self.composer.take_back(text)
        self.screen.set_focus(self.composer)

    # -- sending

    @on(Composer.Submitted)
    def _submitted(self, event: Composer.Submitted) -> None:
        event.stop()
        self._completing.show(())
        try:
            command = parse_command(event.text)
        except CommandError as error:
            self.composer.take_back(event.text)
            self._ui.tell(str(error), severity="warning")
            return
        if command is not None:
            self._run(command)
        elif not self._core.sender.can_send:
            self.composer.take_back(event.text)
            self._choose_model(
                "Choose a model to send this to; your text stays in the message box."
            )
        else:
            outgoing = self._core.sender.outgoing(event.text, self.attachments)
            if self._core.counting.refuses(outgoing.message):
                self.composer.take_back(event.text)
            else:
                self._send(outgoing)

    def _send(self, outgoing: Outgoing) -> None:
        self.set_attachments(())
        names = self._attaching.names_in(outgoing)
        # A message typed while the files of an earlier one are being read is sent after that one.
        if names or self._being_read:
            self._being_read.append(outgoing)
            self._ui.start(self._send_with_files(outgoing, names))
        else:
            self._core.sender.dispatch(outgoing)

    async def _send_with_files(self, outgoing: Outgoing, names: list[str]) -> None:
        """Send a message with the files that it names. If one can't be read, let the user decide whether to send it without."""
        whole = await self._attaching.with_files(outgoing, names)
        if outgoing not in self._being_read:
            # The message was taken back meanwhile.
            return
        self._being_read.remove(outgoing)
        if whole is None:
            self._core.sender.give_back(outgoing)
        else:
            self._core.sender.dispatch(whole)

    def take_back_being_read(self) -> None:
        """Put messages whose files are still being read back into the composer, for example when the user quits."""
        for outgoing in reversed(self._being_read):
            self._core.sender.give_back(outgoing)
        self._being_read.clear()

    def _show_waiting(self, outgoing: Outgoing | None) -> None:
        self.composer.has_waiting = outgoing is not None
        self._waiting.show(outgoing.label if outgoing is not None else "")

    def on_waiting_message_clicked(self) -> None:
        """Take the waiting message back."""
        self._waiting_wanted()

    @on(Composer.WaitingWanted)
    def _waiting_wanted(self) -> None:
        if self._core.sender.take_back_waiting():
            self.screen.set_focus(self.composer)

    def _take_back(self, outgoing: Outgoing) -> None:
        """Put a message that could not be sent back as it was typed, before anything written since."""
        if outgoing.typed:
            self.composer.take_back(outgoing.typed)
        if outgoing.attachments:
            self.set_attachments((*outgoing.attachments, *self.attachments))

    # -- what is being written

    @property
    def message(self) -> str:
        """What Enter would send now: the message with its attachments; empty while a command is being typed."""
        text = self.composer.text
        return "" if is_command(text) else Outgoing(text, self.attachments).message

    @on(TextArea.Changed)
    def _typed(self, event: TextArea.Changed) -> None:
        event.stop()
        self.composer.is_blank = not self.composer.text
        self._completing.look()
        self._draft_changed()

    def _draft_changed(self) -> None:
        if not (self.composer.text.strip() or self.attachments):
            self._core.counting.drop_draft()
        self._core.counting.touch()
        if self._draft_timer is not None:
            self._draft_timer.stop()
        self._draft_timer = self.set_timer(_DRAFT_S, self.keep_draft)

    @on(Composer.MenuKey)
    def _menu_key(self, event: Composer.MenuKey) -> None:
        event.stop()
        self._completing.press(event.key)

    # The messages of widgets that are imported after the first frame are found by their names.

    def on_command_menu_taken(self, event: CommandMenu.Taken) -> None:
        """Complete what was clicked."""
        event.stop()
        self._completing.take(event.offer)
        self.screen.set_focus(self.composer)

    # -- what goes with a message

    def set_attachments(self, attachments: tuple[Attachment, ...]) -> None:
        """Set the texts that are sent with the message."""
        self.attachments = attachments
        self.composer.has_attachments = bool(attachments)
        from tui.widgets.attachment_bar import Chip

        self._chips.show(
            [Chip(one.name, max(1, len(one.text.splitlines()))) for one in attachments]
        )
        self._draft_changed()

    @on(Composer.Pasted)
    def _pasted(self, event: Composer.Pasted) -> None:
        event.stop()
        number = sum(one.name.startswith("pasted text") for one in self.attachments)
        name = "pasted text" if not number else f"pasted text {number + 1}"
        self.set_attachments((*self.attachments, Attachment(name, event.text)))
        self._ui.tell(
            "The long paste is attached to your message. Click it to unfold it, or press Backspace in an empty message to remove it."
        )

    @on(Composer.LastAttachmentUnwanted)
    def _last_unwanted(self, event: Composer.LastAttachmentUnwanted) -> None:
        event.stop()
        self.set_attachments(self.attachments[:-1])

    def on_attachment_bar_removed(self, event: AttachmentBar.Removed) -> None:
        """Remove an attachment."""
        event.stop()
        self._remove_attachment(event.place)

    def _remove_attachment(self, place: int) -> None:
        self.set_attachments(tuple(one for at, one in enumerate(self.attachments) if at != place))

    def on_attachment_bar_unfolded(self, event: AttachmentBar.Unfolded) -> None:
        """Put the text of an attachment into the composer."""
        event.stop()
        if event.place < len(self.attachments):
            self.composer.insert(sanitize(self.attachments[event.place].text))
            self._remove_attachment(event.place)
            self.screen.set_focus(self.composer)

    async def attach(self, argument: str = "") -> None:
        """Attach the named text file; without a name, ask for one."""
        name = argument or await self._ui.path("Attach a text file", accept="attach")
        if not name.strip():
            return
        outgoing = self._core.sender.outgoing("")
        attachment = await self._attaching.read(typed_path(name.strip()))
        if attachment is None:
            return
        if not self._core.session.is_open(outgoing.chat_id):
            self._core.sender.give_back(replace(outgoing, attachments=(attachment,)))
            return
        self.set_attachments((*self.attachments, attachment))
        self.screen.set_focus(self.composer)

    # -- a message that was undone

    @property
    def is_free(self) -> bool:
        """Whether the composer is empty, or holds an undone message without changes."""
        return self._now == self._offered or self._now.is_empty

    @property
    def _now(self) -> Draft:
        return Draft(self.composer.text, self.attachments)

    def offer(self, turn: Turn) -> None:
        """Put the text of a user turn into the composer."""
        files = [part for part in turn.parts if isinstance(part, FilePart)]
        self.composer.begin()
        self.composer.set_text(typed_text(turn.text) if turn.text else "")
        self.set_attachments(tuple(Attachment(one.name, one.text) for one in files))
        self._offered = self._now

    def withdraw(self) -> None:
        """Remove an undone message from the composer because it is in the chat again."""
        if self._now == self._offered and not self._offered.is_empty:
            self.composer.begin()
            self.set_attachments(())

    # -- what was sent

    def offer_sent(self) -> None:
        """Make the Up key recall the messages of this chat, and before them those of other chats."""
        sent = self._core.sent.for_chat(self._core.session.conversation)
        self.composer.remember([one.text for one in sent])

    async def search_sent(self) -> None:
        """Search the messages sent earlier."""
        from tui.screens.picker import Entry, Picker

        chat = self._core.session.conversation
        texts: dict[str, Entry] = {}
        for one in reversed(self._core.sent.for_chat(chat)):
            where = "this chat" if one.chat_id == chat.id else ""
            texts.setdefault(
                one.text,
                Entry(one.text, sanitize_line(one.text, 120), where, preview=one.text),
            )
        picker = Picker(
            "Your messages", list(texts.values()), empty="You have not sent anything yet."
        )
        chosen = await self._ui.show(picker)
        if chosen is not None:
            self.composer.recall(chosen)
            self.screen.set_focus(self.composer)

    # -- drafts

    async def read_kept(self) -> None:
        """Read the saved drafts and sent messages in the background."""
        drafts, problem = await asyncio.to_thread(self._core.drafts.read)
        sent = await asyncio.to_thread(self._core.sent.read)
        self._take_kept(sent, drafts, problem)

    def _take_kept(
        self, sent: Sequence[Sent], drafts: Mapping[str, Draft], problem: str = ""
    ) -> None:
        if problem:
            self._ui.tell(problem, severity="warning")
        self._core.sent.add_read(sent)
        key = draft_key(self._core.session.conversation)
        found = drafts.get(key)
        self._core.drafts.add_read(drafts)
        if found is None:
            found = self._core.drafts.of(key)
        self.offer_sent()
        if found is not None:
            self._take_in(found, is_start=True)

    def _take_in(self, draft: Draft, *, is_start: bool = False) -> None:
        """Put a draft into the composer, before any text typed there since, and restore the settings saved with it."""
        if draft.text.strip() and self.composer.text != draft.text:
            self.composer.take_back(draft.text)
        if draft.settings and not self._core.settings.is_touched:
            self._core.settings.take_from_draft(draft.settings, is_start=is_start)
        self.edits = {**draft.edits, **self.edits}
        if any(turn_id in self._core.session.conversation.turns for turn_id in draft.edits):
            self._ui.tell("This chat has an unfinished edit. Edit the turn again to continue it.")
        fresh = [one for one in self.attachments if one not in draft.attachments]
        self.set_attachments((*draft.attachments, *fresh))

    def keep_draft(self) -> None:
        """Save the draft to disk in the background."""
        session = self._core.session
        if not session.temporary:
            key = draft_key(session.conversation)
            settings = self._core.settings.for_draft if key == NOT_BEGUN else {}
            text, edits = self.composer.unsent, dict(self.edits)
            self._core.drafts.keep(key, Draft(text, self.attachments, settings, edits))

    def leave(self, opened: Conversation, *, temporary: bool = False) -> Draft | None:
        """Prepare to switch to another chat, and return that chat's draft.

        A draft always stays with its chat; that of a temporary chat goes with it, like the chat, unless a temporary copy replaces
        it. Values that were set in a chat that has not begun stay only with words, so that they don't replace newer ones when the
        user begins a chat.
        """
        session, drafts = self._core.session, self._core.drafts
        if opened.id == session.conversation.id:
            return None
        if session.temporary and temporary and opened.turns:
            return Draft(self.composer.text, self.attachments, edits=dict(self.edits))
        if not session.temporary:
            self.keep_draft()
            key = draft_key(session.conversation)
            kept = drafts.of(key) or Draft()
            has_words = bool(kept.text.strip() or kept.attachments)
            if kept.settings and not (has_words or self._has_own_prompt):
                drafts.keep(key, replace(kept, settings={}))
        self.edits.clear()
        self.composer.begin()
        self.set_attachments(())
        return None if temporary else drafts.of(draft_key(opened))

    @property
    def _has_own_prompt(self) -> bool:
        """Whether a system prompt was written in a chat that has not begun."""
        prompt = self._core.settings.system_prompt
        return bool(prompt.strip()) and prompt != self._core.session.conversation.system_prompt

    def arrive(self, draft: Draft | None, *, is_other: bool) -> None:
        """Continue writing in the chat that was opened."""
        if draft is not None:
            self._take_in(draft)
        elif is_other:
            self.keep_draft()
