"""Commands in the composer, what is completed while one types, and what goes with a message: examples, files, long pastes."""

from __future__ import annotations

import asyncio
import inspect
import os
import re
import time
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import Final

from textual import on, work
from textual.widgets import TextArea

from tui.commands import Command, CommandError, completions, message_text, parse_command
from tui.conversation import Conversation
from tui.files import read_regular, reason
from tui.sanitize import sanitize, sanitize_line
from tui.screens.ask import AskText
from tui.screens.chat.named_things import NamedThings
from tui.screens.picker import Entry, Picker
from tui.sessions import Loaded
from tui.settings.examples import ExamplesError
from tui.settings.history import Attachment
from tui.transfer import TransferError, write_chats
from tui.widgets.attachment_bar import AttachmentBar, Chip
from tui.widgets.command_menu import CommandMenu, Offer
from tui.widgets.composer import Composer
from tui.widgets.sidebar import SystemPrompt

_AT_WORD: Final = re.compile(r"(?:^|\s)@([^\s@]*)$")
_AT_NAMES: Final = re.compile(r"(?:^|(?<=\s))@([^\s@]+)")
_MOST_FILES: Final = 400
_LARGEST_FILE: Final = 1_000_000
_FENCE: Final = re.compile(r"^`{3,}", re.MULTILINE)


class Commanding(NamedThings):
    """Does what is typed with `/` or `!` in front, and gathers what goes with a message."""

    attachments: tuple[Attachment, ...] = ()
    _looked_at = ""
    """The message whose names of files were looked for last."""

    @property
    def _menu(self) -> CommandMenu:
        return self.query_one("#commands", CommandMenu)

    def on_mount(self) -> None:
        """Fold pastes as the settings say."""
        self.composer.fold_lines = self.preferences.value("composer.fold_lines")

    def take_configuration(self) -> None:
        """Hold by another configuration, but for what was changed in this chat."""
        super().take_configuration()
        self.composer.fold_lines = self.preferences.value("composer.fold_lines")

    # -- sending

    @on(Composer.Submitted, "#composer")
    def _command_or_message(self, event: Composer.Submitted) -> None:
        self._show_offers(())
        try:
            command = parse_command(event.text)
        except CommandError as error:
            event.stop()
            event.prevent_default()
            self.composer.take_back(event.text)
            self.tell(str(error), severity="warning")
            return
        if command is not None:
            event.stop()
            event.prevent_default()
            self.run_command(command)
            return
        if not self.must_wait and not self.model.ready and not self.model.loading:
            return  # the text goes back into the composer, and what goes with it stays
        if named := self._not_attached(event.text):
            event.stop()
            event.prevent_default()
            self._attach_and_send(event.text, named)
            return
        self._looked_at = ""
        self.was_sent(event.text)
        event.text = self._with_attachments(message_text(event.text))
        self.set_attachments(())

    def _not_attached(self, text: str) -> list[str]:
        """Return what a message names with an @ and does not have with it; nothing if it was looked at already."""
        if text == self._looked_at:
            return []
        there = {one.name for one in self.attachments}
        return [
            one
            for one in dict.fromkeys(_AT_NAMES.findall(text))
            if _attachment_name(one) not in there
        ]

    @work(group="attach")
    async def _attach_and_send(self, text: str, names: list[str]) -> None:
        """Send a message with the files that it names; where one can't go along, leave it to the user to send it without."""
        self._looked_at = text
        for name in names:
            path = Path(name).expanduser()
            if not await asyncio.to_thread(_is_there, path):
                continue
            if not await self._take_along(path):
                self.composer.take_back(text)
                return
        self.composer.post_message(Composer.Submitted(self.composer, text))

    def was_sent(self, text: str) -> None:
        """A message was sent, as it was typed; for floors above."""

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

    def draft_message(self) -> str:
        """Return what would be sent: nothing of a command, and a message with what goes with it."""
        try:
            is_command = parse_command(self.composer.text) is not None
        except CommandError:
            is_command = True
        return "" if is_command else self._with_attachments(message_text(self.composer.text))

    def set_attachments(self, attachments: tuple[Attachment, ...]) -> None:
        """Have other texts go with the message."""
        self.attachments = attachments
        self.composer.has_attachments = bool(attachments)
        chips = [Chip(one.name, one.text.count("\n") + 1) for one in attachments]
        self.query_one("#attachments", AttachmentBar).show(chips)
        self.draft_changed()

    def _with_attachments(self, text: str) -> str:
        """Return a message with its attachments behind it, each in a fence that its text can't close."""
        parts = [text] if text.strip() else []
        return "\n\n".join([*parts, *map(_fenced, self.attachments)])

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
        if await self._take_along(Path(name.strip()).expanduser()):
            self.set_focus(self.composer)

    async def _take_along(self, path: Path) -> bool:
        """Have a file go with the message; return whether it does, having said why it does not."""
        try:
            text = await asyncio.to_thread(_text_of, path)
        except (OSError, ValueError) as error:
            why = reason(error) if isinstance(error, OSError) else str(error)
            self.tell(f"{path} can't be attached: {why}.", severity="warning")
            return False
        self.set_attachments((*self.attachments, Attachment(_attachment_name(str(path)), text)))
        return True

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
                self.composer.set_text(examples[name])

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
            path = Path(argument).expanduser()
            path = path if path.suffix else path.with_suffix(".json")
        else:
            folder = Path(self.preferences.value("chat.save_folder")).expanduser()
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


@lru_cache(maxsize=32)
def _fenced(attachment: Attachment) -> str:
    """Return an attachment as it is sent; kept, since it is counted at every pause of the typing."""
    longest = max((len(fence) for fence in _FENCE.findall(attachment.text)), default=2)
    fence = "`" * max(3, longest + 1)
    return f"{attachment.name}:\n{fence}\n{attachment.text.rstrip()}\n{fence}"


def _attachment_name(path: str) -> str:
    return sanitize_line(str(Path(path).expanduser()), 200)


def _is_there(path: Path) -> bool:
    try:
        return path.is_file()
    except OSError:
        return False


def _files(typed: str) -> list[str]:
    """Return the files and folders whose path goes on from what was typed; folders end with a slash."""
    before, slash, begun = typed.rpartition("/")
    folder = Path(before + slash).expanduser() if slash else Path()
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
