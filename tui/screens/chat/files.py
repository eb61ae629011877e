"""Chats on disk, as seen from the main screen: opening, beginning, forking, naming, importing and exporting them."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Final

from textual import work

from tui.chat import requests
from tui.conversation import Conversation, Status
from tui.conversation.formats import FORMATS, export_text
from tui.engine.base import Finished
from tui.files import absolute, is_file, is_folder, typed_path
from tui.parameters import readable
from tui.sanitize import sanitize_line
from tui.screens.ask import AskText
from tui.screens.chat.full_context import FullContext
from tui.screens.chat.importing import Import
from tui.screens.export_dialog import ExportDialog
from tui.screens.presenting import Presenter
from tui.screens.report import Report
from tui.screens.session_list import SessionList
from tui.sessions import Loaded, SessionError
from tui.transfer import EXPORTS, Source, TransferError, write_chats

_SHOWN_PROBLEMS: Final = 3
"""More of them than this are shown in a dialog."""
_SHOWN_AGAIN: Final = 50
"""After so many chats the status bar says how many there are."""


class Files(FullContext):
    """Opens, begins, names, imports and exports chats."""

    _import: Import | None = None
    """What is being imported."""

    def on_mount(self) -> None:
        """Have the search index made ready behind the screen."""
        self.sessions.index_texts()

    # -- going to another chat

    def open_conversation(self, opened: Loaded) -> None:
        """Go on with another chat; the one before gives its lock back. A reply under way ends here with what was said."""
        self.keep_reply(Status.STOPPED)
        self.keep_prompt()
        self.drop_pending("another chat was opened")
        self.side.end()
        self.take_back_waiting()
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

    @work(group="title")
    async def action_chat_title(self) -> None:
        """Have the model find a title."""
        if not self.conversation.path:
            self.tell("There is nothing to find a title for yet.")
        elif self.may_reply():
            request = requests.for_title(self.conversation, self.reply_settings())
            written = await self.side.write(request, one_line=True, label="finding a title")
            title = sanitize_line(written.text.strip().partition("\n")[0], 80).strip(" \"'*#.`")
            if isinstance(written.end, Finished) and title:
                self._rename(title)
            else:
                self.tell("The model found no title.", severity="warning")

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

    @work(group="import")
    async def action_chat_import(self) -> None:
        """Read chats from a file, an archive or a folder and open the newest of them."""
        if not self._may_import() or not self.may_leave():
            return
        name = await self.app.push_screen_wait(
            AskText("Import chats from a file or folder", check=_no_file_problem)
        )
        if name is None or not self._may_import():
            return
        under_way = self._import = Import(typed_path(name.strip()))
        tally, end = under_way.tally, ""
        self._show_import()
        try:
            async for source in under_way.sources():
                await self._keep(source, under_way)
        except SessionError as error:
            end = f"The import ended: {error}"
        finally:
            self._import = None
            self._show_import()
        end = end or ("The import was stopped." if under_way.is_stopped else "")
        told = tally.account() if end else tally.summary()
        summary = " ".join(filter(None, (told, end)))
        if tally.chats and not end:
            await self._open_imported(max(tally.chats, key=lambda chat: chat.updated_at).id)
        self._report_import(summary, under_way.said, is_whole=bool(tally.chats) and not end)

    def _may_import(self) -> bool:
        if self._import is not None:
            self.tell("An import is under way. Esc stops it.", severity="warning")
        return self._import is None

    def _report_import(self, summary: str, said: list[str], *, is_whole: bool) -> None:
        """Say what came of an import: in passing where that is short, else in a dialog, where it can be read."""
        if len(said) > _SHOWN_PROBLEMS:
            more = "`chat-tui import` says all of it."
            self.app.push_screen(Report("About this import", summary, said, more))
        elif said or not is_whole:
            self.tell("\n".join((summary, *said)), title="About this import", severity="warning")
        else:
            self.tell(summary)

    def stop_import(self) -> bool:
        """Stop the import under way; return whether there was one."""
        if self._import is None:
            return False
        self._import.stop()
        return True

    @property
    def side_work(self) -> str:
        """What is done beside the chat, in a few words; empty for nothing."""
        return super().side_work or (self._import.label if self._import is not None else "")

    def _show_import(self) -> None:
        """Show that an import is under way, and that it can be stopped, or no longer."""
        if self.is_mounted:
            self.show_status()
            self.refresh_bindings()

    async def _keep(self, source: Source, under_way: Import) -> None:
        """Put the chats of a file on the disk; where the import is stopped, those that come next are not.

        Raises:
            SessionError: one could not be written.
        """
        under_way.note(source)
        found = source.imported
        adopt = self.sessions.store.adopt
        for chat, origin in zip(found.conversations, found.origins, strict=True) if found else ():
            if under_way.is_stopped:
                break
            kept = self.sessions.run(partial(adopt, chat, origin))
            under_way.tally.add_chat(chat, is_new=await asyncio.wrap_future(kept))
            if len(under_way.tally.chats) % _SHOWN_AGAIN == 0:
                self._show_import()

    async def _open_imported(self, chat_id: str) -> None:
        """Open a chat that was imported."""
        load = partial(self.sessions.store.load, chat_id)
        try:
            opened = await asyncio.wrap_future(self.sessions.run(load))
        except SessionError:
            # It is here already, as a chat of another id.
            return
        if self.may_leave():
            self.open_conversation(opened)


def _suggested_path(chat: Conversation) -> Path:
    """A file name made of the title, in the folder that the app was started in."""
    words = "".join(c if c.isalnum() or c in " -_" else " " for c in chat.title)
    return absolute(Path()) / ("-".join(words.split())[:60] or "chat")


def _no_file_problem(name: str) -> str:
    if not name.strip():
        return "Type the path of a file or folder."
    path = typed_path(name.strip())
    is_there = is_file(path) or is_folder(path)
    return "" if is_there else f"There is no file {sanitize_line(str(path), 60)}."
