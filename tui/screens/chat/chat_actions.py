"""Actions on whole chats: opening, creating, copying, naming, exporting."""

from __future__ import annotations

import asyncio
import os
import time
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final

from tui.chat import requests
from tui.chat.core import Core
from tui.conversation import Conversation
from tui.engine.base import Finished
from tui.errors import UserError
from tui.files import absolute, reason, typed_path, with_ending
from tui.sanitize import sanitize_line
from tui.screens.chat.copying import Copying
from tui.screens.chat.editing import Editing
from tui.screens.chat.focus_control import FocusControl
from tui.screens.chat.turn_actions import TurnActions
from tui.screens.chat.ui import ScreenUi
from tui.screens.chat.view import View
from tui.sessions import Loaded, SessionError
from tui.settings.examples import ExamplesError

if TYPE_CHECKING:
    from tui.conversation.formats import Format

_FOR_PEOPLE: Final = ("markdown", "html", "text")


class ChatActions:
    """Switches between chats, and copies and exports them."""

    def __init__(
        self,
        core: Core,
        view: View,
        focus_control: FocusControl,
        turns: TurnActions,
        editing: Editing,
        copying: Copying,
        ui: ScreenUi,
    ) -> None:
        self._core = core
        self._view = view
        self._focus_control = focus_control
        self._turns = turns
        self._editing = editing
        self._copying = copying
        self._ui = ui
        self._exported_to: Path | None = None
        """The folder of the last export."""

        # -- switching chats
        self._wanted = ""
        """The id of the saved chat that is being opened."""

    def open(self, opened: Loaded, *, temporary: bool = False, shows_draft: bool = True) -> None:
        """Continue with another chat. A reply in progress ends here and keeps its text; an unsent message stays with its chat.

        Args:
            opened: the chat.
            temporary: whether it is never written.
            shows_draft: whether to put its draft into the message box. Otherwise the draft is left for the next new chat.
        """
        core = self._core
        is_other = opened.conversation.id != core.session.conversation.id
        if is_other:
            self._ui.left_chat()
        core.sender.take_back_waiting()
        self._editing.take_back()
        draft = self._view.area.leave(opened.conversation, temporary=temporary)
        core.replies.leave_chat()
        core.side.end()
        core.session.open(opened, temporary=temporary)
        self.tell_opened(opened)
        self._focus_control.to_composer()
        if shows_draft:
            self._view.area.arrive(draft, is_other=is_other)

    def tell_opened(self, opened: Loaded) -> None:
        """Show the notes about a chat that was opened."""
        title = "Opened read-only" if opened.read_only else "About this chat"
        if opened.problems:
            self._ui.tell("\n".join(opened.problems), title=title, severity="warning")

    def may_leave(self) -> bool:
        """Return whether the chat can be left now; if not, tell the user why."""
        if self._core.replies.live is not None:
            self._ui.tell(
                f"A reply is being written. {self._ui.way('reply.stop')} to stop it first."
            )
        return self._core.replies.live is None

    async def choose(self) -> None:
        """List the saved chats, and open the chosen one."""
        from tui.screens.session_list import SessionList

        session, writer = self._core.session, self._core.writer
        drafts = self._core.drafts.chats
        chosen = await self._ui.show(
            SessionList(writer, session.conversation.id, session.take_facts, self.begin, drafts)
        )
        if chosen is None:
            return
        is_open = await self.open_saved(chosen.chat_id)
        if is_open and chosen.turn_id and self._core.replies.live is None:
            self._turns.go_to(chosen.turn_id)

    async def open_saved(self, chat_id: str) -> bool:
        """Open a saved chat, unless it is open already. Return whether it is open now; if not, tell the user why."""
        session = self._core.session
        if chat_id == session.conversation.id:
            self._focus_control.to_composer()
            return True
        # A temporary chat is not stored anywhere else.
        if session.temporary and not self.may_leave():
            return False
        left, self._wanted = session.conversation.id, chat_id
        try:
            opened = await self._core.writer.do(lambda store: store.load(chat_id))
        except SessionError as error:
            self._ui.tell(str(error), title="The chat was not opened", severity="error")
            return False
        if session.conversation.id != left or self._wanted != chat_id:
            # The user has switched to another chat meanwhile, or is opening another one.
            return False
        self._wanted = ""
        self._leave_for(opened)
        return True

    def _new(self) -> Loaded:
        return Loaded(Conversation(system_prompt=self._core.settings.system_prompt))

    def begin(self) -> None:
        """Start a new chat. A reply in progress ends in the old chat and keeps its text."""
        # A temporary chat is not stored anywhere else.
        if not self._core.session.temporary or self.may_leave():
            self._leave_for(self._new())

    def _leave_for(self, opened: Loaded) -> None:
        was_replying = self._core.replies.live is not None
        self.open(opened)
        if was_replying:
            self._ui.tell(
                "The reply in the previous chat was stopped. What was written is saved there."
            )

    def begin_temporary(self) -> None:
        """Start a chat that is never written to disk."""
        if self.may_leave():
            self.open(self._new(), temporary=True)
            self._ui.tell("This chat is not saved. It is lost when you leave it.")

    async def begin_example(self, name: str = "") -> None:
        """Start a chat with the named example; without a name, ask for one."""
        from tui.screens.picker import Entry, Picker

        try:
            examples = await asyncio.to_thread(self._core.settings.preferences.examples)
        except ExamplesError as error:
            self._ui.tell(str(error), severity="warning")
            return
        if not name:
            entries = [Entry(one, one, text, preview=text) for one, text in examples.items()]
            name = await self._ui.show(Picker("Examples", entries)) or ""
        if not name:
            return
        if name not in examples:
            self._ui.tell(
                f"There is no example {name}. Use one of these: {', '.join(examples)}.",
                severity="warning",
            )
        elif self.may_leave():
            sender = self._core.sender
            self.open(self._new(), shows_draft=not sender.has_model)
            if sender.has_model:
                sender.send(sender.outgoing(examples[name]))
            else:
                self._view.composer.take_back(examples[name])

    def fork(self) -> None:
        """Continue from the turn under the cursor in a new chat."""
        turn = self._focus_control.acted_turn()
        if turn is not None and self.may_leave():
            self._go_on_in(self._core.session.conversation.fork(turn.id))

    def duplicate(self) -> None:
        """Continue in a copy of the whole chat."""
        chat = self._core.session.conversation
        if chat.turns and self.may_leave():
            self._go_on_in(replace(chat, id=Conversation().id, title=f"{chat.title} (copy)"))

    def _go_on_in(self, copy: Conversation) -> None:
        is_temporary = self._core.session.temporary
        self.open(Loaded(copy), temporary=is_temporary)
        self._core.session.save()
        if is_temporary:
            self._ui.tell("You are now in the copy, which is temporary too. The original is gone.")
        else:
            self._ui.tell("You are now in the new chat. The previous one is unchanged.")

    def see_all(self) -> None:
        """Send the model all turns again."""
        self._core.room.see_all()

    # -- names

    async def rename(self, title: str = "") -> None:
        """Set the chat's title; without a title, ask for one."""
        title = title or await self._ui.text(
            "Rename the chat", self._core.session.conversation.title
        )
        if title.strip():
            self._core.session.rename(title)

    async def find_title(self) -> None:
        """Have the model suggest a title."""
        chat = self._core.session.conversation
        if not chat.path:
            self._ui.tell("There is nothing to name yet.")
        elif self._core.replies.may_begin():
            request = requests.for_title(chat, self._core.settings.snapshot())
            written = await self._core.side.write(
                request, one_line=True, label="generating a title"
            )
            title = sanitize_line(written.text.strip().partition("\n")[0], 80).strip(" \"'*#.`")
            if isinstance(written.end, Finished) and title:
                self._core.session.rename(title)
            else:
                why = written.failure or "The model didn't suggest a title."
                self._ui.tell(why, severity="warning")

    # -- copying and exporting

    def copy(self) -> None:
        """Copy the whole chat as Markdown."""
        chat = self._core.session.conversation
        if chat.path:
            from tui.conversation.formats import FORMATS, export_text

            self._copying.copy(export_text([chat], FORMATS["markdown"]), "The chat")

    async def export(self) -> None:
        """Write the chat to a file in one of the export formats."""
        from tui.screens.export_dialog import ExportDialog

        chat = self._core.session.conversation
        if not chat.path:
            self._ui.tell("There is nothing to export yet.")
            return
        from tui.transfer import EXPORTS, TransferError, write_chats

        turn_id = self._view.transcript.cursor
        formats = sorted(EXPORTS.values(), key=_rank)
        offered = [(one.name, one.label, one.extensions[0]) for one in formats]
        suggested = await asyncio.to_thread(_suggested_path, chat, self._exported_to)
        choice = await self._ui.show(ExportDialog(offered, suggested, turn_id is not None))
        if choice is None:
            return
        self._exported_to = choice.path.parent
        write = partial(
            write_chats,
            [self._core.session.conversation],
            choice.format,
            choice.path,
            overwrite=choice.overwrite,
            selection=None if choice.whole or turn_id is None else [turn_id],
        )
        try:
            await asyncio.to_thread(write)
        except TransferError as error:
            self._ui.tell(str(error), title="Nothing was exported", severity="error")
        else:
            self._ui.tell(f"Saved to {choice.path}")

    async def save(self, name: str = "") -> None:
        """Save the chat in the format of `transformers chat`, to the named file or into its folder."""
        chat, info = self._core.session.conversation, self._core.loader.info
        if not chat.path:
            self._ui.tell("There is nothing to save yet.")
            return
        if name:
            path = with_ending(typed_path(name), ".json")
        else:
            folder = typed_path(self._core.settings.preferences.values.chat.save_folder)
            model = info.model if info else "no-model"
            inside = Path(model).name if Path(model).is_absolute() else model
            path = folder / inside / f"chat_{time.strftime('%Y-%m-%d_%H-%M-%S')}.json"
        chat = replace(chat, settings=self._core.settings.for_file(chat, info))
        try:
            await asyncio.to_thread(_save, chat, path)
        except UserError as error:
            self._ui.tell(str(error), title="Nothing was written", severity="error")
        else:
            self._ui.tell(f"Saved to {path}")


def _save(chat: Conversation, path: Path) -> None:
    from tui.transfer import TransferError, write_chats

    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise TransferError(
            f"The folder {path.parent} can't be created ({reason(error)})."
        ) from error
    write_chats([chat], "transformers", path)


def _rank(known: Format) -> int:
    """Return the position of a format in the list; formats for people come first."""
    return _FOR_PEOPLE.index(known.name) if known.name in _FOR_PEOPLE else len(_FOR_PEOPLE)


def _suggested_path(chat: Conversation, folder: Path | None) -> Path:
    """Return a path named after the chat's title, in `folder` or else in the folder where the app was started.

    If nothing can be written there, for example because the desktop started the app, the path is in the home folder.
    """
    words = "".join(c if c.isalnum() or c in " -_" else " " for c in chat.title)
    folder = folder or absolute(Path())
    if not os.access(folder, os.W_OK | os.X_OK):
        folder = Path.home()
    return folder / ("-".join(words.split())[:60] or "chat")
