"""Chats on disk, as seen from the main screen: opening, beginning, forking, naming, importing and exporting them."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Final

from textual import work

from tui.conversation import USER, Conversation, Message, Status
from tui.conversation.formats import FORMATS, export_text
from tui.engine.base import Event, Finished, GenerateRequest
from tui.parameters import readable
from tui.sanitize import sanitize_line
from tui.screens.ask import AskText
from tui.screens.chat.full_context import FullContext
from tui.screens.export_dialog import ExportDialog
from tui.screens.presenting import Presenter
from tui.screens.session_list import SessionList
from tui.sessions import Loaded, SessionError
from tui.transfer import EXPORTS, TransferError, read_chats, write_chats
from tui.widgets.turn_editor import TurnEditor

_TITLE_TOKENS: Final = 600
"""Enough also for what a model thinks first; it is stopped after the first line."""
_ASK_FOR_TITLE: Final = "Give this conversation a title of at most six words. Answer with the title alone, without quotes."


class Files(FullContext):
    """Opens, begins, names, imports and exports chats."""

    def on_mount(self) -> None:
        """Have the search index made ready behind the screen."""
        self.sessions.index_texts()

    # -- going to another chat

    def open_conversation(self, opened: Loaded) -> None:
        """Go on with another chat; the one before gives its lock back. A reply under way ends here with what was said."""
        self.keep_reply(Status.STOPPED)
        self.drop_pending("another chat was opened")
        self.forget_side_jobs()
        self.take_back_waiting()
        self.query(TurnEditor).remove()
        self.presenter = Presenter(self.presenter.user)
        left = self.conversation.id
        if left != opened.conversation.id:
            store = self.sessions.store
            self.sessions.run(lambda: store.unlock(left))
        self.conversation = opened.conversation
        self.temporary = False
        self.system_prompt = self.conversation.system_prompt
        self.parameters = readable(self.conversation.settings.get("config")) or self.parameters
        self.sidebar.show_parameters(self.parameters)
        self.transcript.cursor = None
        self.tell_opened(opened)
        self.show_conversation()
        self.set_focus(self.composer)

    def may_leave(self) -> bool:
        """Return whether the chat can be left now, and say why when it can't."""
        if self.reply is not None:
            self.tell("A reply is being written. Esc stops it first.")
        return self.reply is None

    @work(exclusive=True, group="open")
    async def action_chat_open(self) -> None:
        """List the saved chats and open the one that is chosen."""
        chosen = await self.app.push_screen_wait(
            SessionList(self.sessions, self.conversation.id, self._current_changed)
        )
        if chosen is None:
            return
        if chosen.chat_id != self.conversation.id:
            store = self.sessions.store
            try:
                opened = await asyncio.wrap_future(
                    self.sessions.run(partial(store.load, chosen.chat_id))
                )
            except SessionError as error:
                self.tell(str(error), title="The chat was not opened", severity="error")
                return
            was_replying = self.reply is not None
            self.open_conversation(opened)
            if was_replying:
                self.tell("The reply in the chat before was stopped; what it said is kept there.")
        if chosen.turn_id and self.reply is None:
            self.go_to_turn(chosen.turn_id)

    def _current_changed(self, changed: Conversation) -> None:
        """The chat that is open was renamed, pinned or tagged in the list."""
        if changed.id == self.conversation.id:
            renamed = self.conversation.rename(changed.title)
            self.conversation = replace(renamed, extra=dict(changed.extra))
            self.show_title()

    def action_chat_new(self) -> None:
        """Begin a new chat."""
        if self.may_leave():
            self.open_conversation(Loaded(Conversation(system_prompt=self.system_prompt)))

    def action_chat_temporary(self) -> None:
        """Begin a chat that is never written to disk."""
        if not self.may_leave():
            return
        self.action_chat_new()
        self.temporary = True
        self.show_title()
        self.tell("This chat is not saved: it is gone when you leave it.")

    def action_turn_fork(self) -> None:
        """Go on from the turn under the cursor in a new chat."""
        turn = self.acted_turn()
        if turn is not None and self.may_leave():
            self._go_on_in(self.conversation.fork(turn.id))

    def action_chat_duplicate(self) -> None:
        """Go on in a copy of the whole chat."""
        if self.conversation.turns and self.may_leave():
            copy = Conversation()
            title = f"{self.conversation.title} (copy)"
            self._go_on_in(replace(self.conversation, id=copy.id, title=title))

    def _go_on_in(self, copy: Conversation) -> None:
        was_temporary = self.temporary
        self.open_conversation(Loaded(copy))
        self.temporary = was_temporary
        self.show_title()
        self.save()
        if was_temporary:
            self.tell("You are in the copy now, which is temporary too; the chat before is gone.")
        else:
            self.tell("You are in the new chat now; the one before is as it was.")

    # -- names

    @work(exclusive=True, group="rename")
    async def action_chat_rename(self) -> None:
        """Give the chat another title."""
        title = await self.app.push_screen_wait(AskText("Rename the chat", self.conversation.title))
        if title is not None and title.strip():
            self._rename(title)

    def _rename(self, title: str) -> None:
        self.will_change()
        self.conversation = self.conversation.rename(sanitize_line(title, 200))
        self.show_title()
        if self.conversation.turns:
            self.save()

    def action_chat_title(self) -> None:
        """Have the model find a title."""
        if not self.conversation.path:
            self.tell("There is nothing to find a title for yet.")
        elif self.may_reply():
            chat_id = self.conversation.id

            def done(text: str, event: Event) -> None:
                title = sanitize_line(text.strip().partition("\n")[0], 80).strip(" \"'*#.`")
                if self.conversation.id != chat_id:
                    return
                if isinstance(event, Finished) and title:
                    self._rename(title)
                else:
                    self.tell("The model found no title.", severity="warning")

            messages = (*self.conversation.messages(), Message(USER, _ASK_FOR_TITLE))
            parameters = {"temperature": 0.0, "max_new_tokens": _TITLE_TOKENS}
            self.ask_model(
                GenerateRequest(messages, parameters), done, one_line=True, label="finding a title"
            )

    # -- files of other tools

    def action_chat_copy(self) -> None:
        """Copy the whole chat as Markdown."""
        if self.conversation.path:
            self.copy(export_text([self.conversation], FORMATS["markdown"]), "The chat")

    @work(exclusive=True, group="export")
    async def action_chat_export(self) -> None:
        """Write the chat to a file in one of many formats."""
        if not self.conversation.path:
            self.tell("There is nothing to export yet.")
            return
        turn_id = self.transcript.cursor
        offered = [(one.name, one.label, one.extensions[0]) for one in EXPORTS.values()]
        choice = await self.app.push_screen_wait(
            ExportDialog(offered, _suggested_path(self.conversation), turn_id is not None)
        )
        if choice is None:
            return
        selection = None if choice.whole or turn_id is None else [turn_id]
        write = partial(
            write_chats,
            [self.conversation],
            choice.format,
            choice.path,
            overwrite=choice.overwrite,
            selection=selection,
        )
        try:
            await asyncio.to_thread(write)
        except TransferError as error:
            self.tell(f"Nothing was exported: {error}.", severity="error")
        else:
            self.tell(f"Written: {choice.path}")

    @work(exclusive=True, group="import")
    async def action_chat_import(self) -> None:
        """Read chats from a file and open the newest of them."""
        if not self.may_leave():
            return
        name = await self.app.push_screen_wait(
            AskText("Import chats from a file", check=_no_file_problem)
        )
        if name is None:
            return
        path = Path(name.strip()).expanduser()
        count = 0
        try:
            imported = await asyncio.to_thread(read_chats, path)
            store = self.sessions.store
            for chat in imported.conversations:
                await asyncio.wrap_future(self.sessions.save(chat))
                self.sessions.run(partial(store.unlock, chat.id))
                count += 1
            newest = max(imported.conversations, key=lambda chat: chat.updated_at)
            opened = await asyncio.wrap_future(self.sessions.run(partial(store.load, newest.id)))
        except (TransferError, SessionError) as error:
            some = f"{count} chats were imported, then it ended: " if count else "Not imported: "
            self.tell(f"{some}{error}.", severity="error")
            return
        self.tell(f"{count} chat{'' if count == 1 else 's'} from {imported.format.label} imported.")
        if self.may_leave():
            problems = (*imported.problems, *opened.problems)
            self.open_conversation(replace(opened, problems=problems))


def _suggested_path(chat: Conversation) -> Path:
    """A file name made of the title, in the folder that the app was started in."""
    words = "".join(c if c.isalnum() or c in " -_" else " " for c in chat.title)
    return Path.cwd() / ("-".join(words.split())[:60] or "chat")


def _no_file_problem(name: str) -> str:
    path = Path(name.strip()).expanduser()
    return "" if path.is_file() else f"There is no file {sanitize_line(str(path), 60)}."
