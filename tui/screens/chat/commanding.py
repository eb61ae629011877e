"""Commands in the composer, what is completed while one types, and what goes with a message: examples, files, long pastes."""

from __future__ import annotations

import asyncio
import inspect
import os
import re
import time
from dataclasses import replace
from pathlib import Path
from typing import Final

from textual import on, work
from textual.widgets import TextArea

from tui.chat.drafts import draft_key
from tui.chat.outbox import Outgoing
from tui.commands import Command, CommandError, completions, parse_command
from tui.conversation import Conversation
from tui.files import is_file, read_regular, reason, typed_path, with_ending
from tui.sanitize import sanitize, sanitize_line
from tui.screens.ask import AskText
from tui.screens.chat.named_things import NamedThings
from tui.screens.picker import Entry, Picker
from tui.sessions import Loaded
from tui.settings.examples import ExamplesError
from tui.settings.history import Attachment, Sent
from tui.transfer import TransferError, write_chats
from tui.widgets.attachment_bar import AttachmentBar
from tui.widgets.command_menu import CommandMenu, Offer
from tui.widgets.composer import Composer
from tui.widgets.sidebar import SystemPrompt

_AT_WORD: Final = re.compile(r"(?:^|\s)@([^\s@]*)$")
_AT_NAMES: Final = re.compile(r"(?:^|(?<=\s))@([^\s@]+)")
_MOST_FILES: Final = 400
_LARGEST_FILE: Final = 1_000_000


class Commanding(NamedThings):
    """Does what is typed with `/` or `!` in front, and gathers what goes with a message."""

    _looked_at = ""
    """The message of which a file can't go along: sent once more, it goes without."""

    @property
    def _menu(self) -> CommandMenu:
        return self.query_one("#commands", CommandMenu)

    def on_mount(self) -> None:
        """Fold pastes as the settings say."""
        self.composer.fold_lines = self.preferences.values.composer.fold_lines

    def take_configuration(self) -> None:
        """Hold by another configuration, but for what was changed in this chat."""
        super().take_configuration()
        self.composer.fold_lines = self.preferences.values.composer.fold_lines

    # -- sending

    @on(Composer.Submitted, "#composer")
    def _submitted(self, event: Composer.Submitted) -> None:
        event.stop()
        self._show_offers(())
        try:
            command = parse_command(event.text)
        except CommandError as error:
            self.composer.take_back(event.text)
            self.tell(str(error), severity="warning")
            return
        if command is not None:
            self.run_command(command)
            return
        outgoing = self._outgoing(event.text, self.attachments)
        if not self.must_wait and not self.has_model:
            self.composer.take_back(event.text)
            self.action_model_choose(
                message="Choose a model to send this to; your text stays in the composer."
            )
            return
        self.set_attachments(())
        names = self._not_attached(outgoing)
        self._looked_at = ""
        # What is typed behind a message whose files are being read goes behind it.
        if names or self._attaching.locked():
            self._attach_and_send(outgoing, names)
        else:
            self._dispatch(outgoing)

    def _outgoing(self, typed: str, attachments: tuple[Attachment, ...]) -> Outgoing:
        key = "" if self.temporary else draft_key(self.conversation)
        return Outgoing(typed, attachments, self.conversation.id, key)

    def _dispatch(self, outgoing: Outgoing) -> None:
        """Send a message in the chat that it was written in; where that is not open any more, give it back."""
        if outgoing.chat_id != self.conversation.id:
            self._give_back(outgoing)
            return
        self._note_sent(outgoing)
        self.send_or_wait(outgoing)

    def _note_sent(self, outgoing: Outgoing) -> None:
        """Keep what is sent for the Up key and the search."""
        # Before the chat may go on as a copy, under another id.
        self.drafts.drop(draft_key(self.conversation))
        if outgoing.typed.strip() and not self.temporary:
            self.sent.add(Sent(outgoing.typed, outgoing.chat_id))

    def _not_attached(self, outgoing: Outgoing) -> list[str]:
        """Return what a message names with an @ and does not have with it; nothing where that was tried already."""
        if outgoing.typed == self._looked_at:
            return []
        there = {one.name for one in outgoing.attachments}
        return [
            one
            for one in dict.fromkeys(_AT_NAMES.findall(outgoing.typed))
            if _attachment_name(one) not in there
        ]

    @work(group="attach")
    async def _attach_and_send(self, outgoing: Outgoing, names: list[str]) -> None:
        """Send a message with the files that it names; where one can't go along, leave it to the user to send it without."""
        async with self._attaching:
            for name in names:
                path = typed_path(name)
                if not await asyncio.to_thread(is_file, path):
                    continue
                attachment = await self._read(path)
                if attachment is None:
                    self._looked_at = outgoing.typed
                    self._give_back(outgoing)
                    return
                outgoing = replace(outgoing, attachments=(*outgoing.attachments, attachment))
            self._dispatch(outgoing)

    def _give_back(self, outgoing: Outgoing) -> None:
        """Put a message back to where it was written: into the composer, or among the drafts of a chat that was left."""
        if outgoing.chat_id == self.conversation.id:
            self.take_back(outgoing)
        elif outgoing.draft_key:
            self.drafts.put_in_front(outgoing.draft_key, outgoing)
            self.tell(
                "Another chat was opened before your message was sent; it is kept as a draft in its own."
            )
        else:
            self.take_back(outgoing)
            self.tell("Another chat was opened before your message was sent; it is here now.")

    @work(group="command")
    async def run_command(self, command: Command) -> None:
        """Do what a command asks for."""
        action = command.action
        if self.check_action(action.method, ()) is not True:
            self.tell(f"/{action.commands[0]} is not possible now.", severity="warning")
            return
        with_argument = getattr(self, f"command_{action.method}", None)
        own = getattr(self, f"action_{action.method}", None)
        if with_argument is not None:
            done = with_argument(command.argument)
        elif own is not None:
            done = own()
        else:
            done = self.app.run_action(action.method)
        if inspect.iscoroutine(done):
            await done

    # -- completing

    @on(TextArea.Changed, "#composer")
    def _composer_changed(self) -> None:
        text = self.composer.text
        offers = [
            Offer(
                f"{name} " if action.argument else name,
                f"{name} {action.argument}".rstrip(),
                action.help,
            )
            for name, action in completions(text)
        ]
        is_whole = len(offers) == 1 and offers[0].text.strip() == text
        if is_whole or self.composer.is_recalling:
            # A list would take the Up key, which is on its way through earlier messages.
            offers = []
        self._show_offers(offers)
        row, column = self.composer.cursor_location
        at_word = _AT_WORD.search(self.composer.document.get_line(row)[:column])
        if at_word is not None:
            self._offer_files(at_word[1], column - len(at_word[1]), row)

    def _show_offers(self, offers: list[Offer] | tuple[Offer, ...]) -> None:
        self._menu.show(offers)
        self.composer.menu_open = self._menu.is_open

    @work(exclusive=True, group="files", exit_on_error=False)
    async def _offer_files(self, typed: str, column: int, row: int) -> None:
        """Offer files whose path goes on from what was typed behind an @."""
        found = await asyncio.to_thread(_files, typed)
        if self.composer.cursor_location[0] == row and self.composer.document.get_line(row)[
            column:
        ].startswith(typed):
            self._show_offers(
                [
                    Offer(path, path, "folder" if path.endswith("/") else "file", column)
                    for path in found
                ]
            )

    @on(Composer.MenuKey)
    def _menu_key(self, event: Composer.MenuKey) -> None:
        event.stop()
        steps = {"up": -1, "down": 1, "pageup": -7, "pagedown": 7}
        if event.key in steps:
            self._menu.move(steps[event.key])
        elif event.key == "escape":
            self._show_offers(())
        elif (offer := self._menu.current) is not None:
            typed = self.composer.text
            is_whole = event.key == "enter" and any(
                typed == name for name, _ in completions(typed)[:1]
            )
            if is_whole:
                self._show_offers(())
                self.composer.action_submit()
            else:
                self._take_offer(offer)
        elif event.key == "enter":
            # It was pressed before the list was gone that the last letter closed.
            self.composer.action_submit()

    @on(CommandMenu.Taken)
    def _offer_clicked(self, event: CommandMenu.Taken) -> None:
        event.stop()
        self._take_offer(event.offer)
        self.set_focus(self.composer)

    def _take_offer(self, offer: Offer) -> None:
        self._show_offers(())
        if not offer.help.startswith(("file", "folder")):
            self.composer.set_text(offer.text)
            return
        row, column = self.composer.cursor_location
        self.composer.replace(offer.text, (row, offer.start), (row, column))
        if not offer.text.endswith("/"):
            self.composer.insert(" ")
            self.command_composer_attach(offer.text)

    # -- what goes with a message

    @on(Composer.Pasted)
    def _pasted(self, event: Composer.Pasted) -> None:
        event.stop()
        number = sum(one.name.startswith("pasted text") for one in self.attachments)
        name = "pasted text" if not number else f"pasted text {number + 1}"
        self.set_attachments((*self.attachments, Attachment(name, event.text)))
        self.tell(
            "The long paste goes with your message. A click unfolds it; Backspace in an empty message takes it away."
        )

    @on(Composer.LastAttachmentUnwanted)
    def _last_unwanted(self, event: Composer.LastAttachmentUnwanted) -> None:
        event.stop()
        self.set_attachments(self.attachments[:-1])

    @on(AttachmentBar.Removed)
    def _chip_removed(self, event: AttachmentBar.Removed) -> None:
        event.stop()
        self.set_attachments(
            tuple(one for at, one in enumerate(self.attachments) if at != event.place)
        )

    @on(AttachmentBar.Unfolded)
    def _chip_unfolded(self, event: AttachmentBar.Unfolded) -> None:
        event.stop()
        if event.place < len(self.attachments):
            self.composer.insert(sanitize(self.attachments[event.place].text))
            self._chip_removed(AttachmentBar.Removed(event.place))
            self.set_focus(self.composer)

    def action_composer_attach(self) -> None:
        """Ask for a file to send along."""
        self.command_composer_attach("")

    @work(group="attach")
    async def command_composer_attach(self, argument: str) -> None:
        """Send the named text file along; ask for one without a name."""
        name = argument or await self.asked(AskText("Attach a text file", placeholder="its path"))
        if not name or not name.strip():
            return
        outgoing = self._outgoing("", ())
        attachment = await self._read(typed_path(name.strip()))
        if attachment is None:
            return
        if outgoing.chat_id != self.conversation.id:
            self._give_back(replace(outgoing, attachments=(attachment,)))
            return
        self.set_attachments((*self.attachments, attachment))
        self.set_focus(self.composer)

    async def _read(self, path: Path) -> Attachment | None:
        """Return a file that goes with a message; None where it can't, having said why."""
        try:
            text = await asyncio.to_thread(_text_of, path)
        except (OSError, ValueError) as error:
            why = reason(error) if isinstance(error, OSError) else str(error)
            self.tell(f"{path} can't be attached: {why}.", severity="warning")
            return None
        return Attachment(_attachment_name(str(path)), text)

    # -- examples and saving

    def action_chat_example(self) -> None:
        """Ask for an example and begin a chat with it."""
        self.command_chat_example("")

    @work(exclusive=True, group="example")
    async def command_chat_example(self, argument: str) -> None:
        """Begin a chat with the named example; ask for one without a name."""
        try:
            examples = await asyncio.to_thread(self.preferences.examples)
        except ExamplesError as error:
            self.tell(str(error), severity="warning")
            return
        name = argument
        if not name:
            entries = [Entry(one, one, text) for one, text in examples.items()]
            name = await self.asked(Picker("Examples", entries)) or ""
        if not name:
            return
        if name not in examples:
            self.tell(
                f"There is no example {name}. There are: {', '.join(examples)}.", severity="warning"
            )
        elif self.may_leave():
            self.open_conversation(Loaded(Conversation(system_prompt=self.system_prompt)))
            if self.model.ready or self.model.loading:
                self.send(examples[name])
            else:
                self.composer.take_back(examples[name])

    def action_chat_save(self) -> None:
        """Write the chat as `transformers chat` does."""
        self.command_chat_save("")

    @work(exclusive=True, group="save")
    async def command_chat_save(self, argument: str) -> None:
        """Write the chat as `transformers chat` does, to the named file or into its folder."""
        if not self.conversation.path:
            self.tell("There is nothing to save yet.")
            return
        info = self.model.info
        if argument:
            path = with_ending(typed_path(argument), ".json")
        else:
            folder = typed_path(self.preferences.values.chat.save_folder)
            model = info.model if info else "no-model"
            inside = Path(model).name if Path(model).is_absolute() else model
            path = folder / inside / f"chat_{time.strftime('%Y-%m-%d_%H-%M-%S')}.json"
        chat = replace(self.conversation, settings=self.chat_settings())
        try:
            await asyncio.to_thread(_save, chat, path)
        except (TransferError, OSError) as error:
            self.tell(f"Not saved: {error}.", severity="error")
        else:
            self.tell(f"Written: {path}")

    # -- the editor

    def action_composer_edit_outside(self) -> None:
        """Write the message, or the system prompt where the cursor is in it, in the editor that $EDITOR names."""
        if isinstance(self.focused, SystemPrompt):
            text = self.edit_outside(self.system_prompt)
            if text is not None:
                self.set_prompt(text)
            return
        text = self.edit_outside(self.composer.text)
        if text is not None:
            self.composer.set_text(text)
        self.set_focus(self.composer)


def _attachment_name(path: str) -> str:
    return sanitize_line(str(typed_path(path)), 200)


def _files(typed: str) -> list[str]:
    """Return the files and folders whose path goes on from what was typed; folders end with a slash."""
    before, slash, begun = typed.rpartition("/")
    folder = typed_path(before + slash) if slash else Path()
    found = []
    try:
        with os.scandir(folder) as entries:
            for entry in entries:
                if (
                    entry.name.lower().startswith(begun.lower())
                    and (begun or not entry.name.startswith("."))
                    and not any(one.isspace() for one in entry.name)
                ):
                    found.append(f"{before}{slash}{entry.name}{'/' if entry.is_dir() else ''}")
                if len(found) >= _MOST_FILES:
                    break
    except OSError:
        return []
    return sorted(found)


def _text_of(path: Path) -> str:
    """Return the text of a file.

    Raises:
        OSError: it can't be read.
        ValueError: it is no text, or too long to send.
    """
    data = read_regular(path)
    if len(data) > _LARGEST_FILE:
        raise ValueError("it is larger than 1 MB")
    if b"\0" in data:
        raise ValueError("it is not a text file")
    return data.decode("utf-8-sig", "replace")


def _save(chat: Conversation, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    write_chats([chat], "transformers", path)
