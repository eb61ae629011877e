"""Files that are sent with a message: read when they are attached or named with an @, and sent in the chat where that happened."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path
from typing import Final

from tui.chat.attachments import attachment_name, text_of
from tui.chat.outbox import Outgoing
from tui.chat.ui import Ui
from tui.errors import UserError
from tui.files import is_file, typed_path
from tui.pattern import pattern
from tui.screens.path_offers import unquoted
from tui.settings.history import Attachment

_AT_NAMES: Final = pattern(r'(?:^|(?<=\s))@("[^"\n]+"|[^\s@]+)')


class Attaching:
    """Reads the files of messages, one message at a time."""

    def __init__(self, ui: Ui) -> None:
        self._ui = ui
        self._lock = asyncio.Lock()
        """Locked while the files of a message are read; messages sent meanwhile wait for it."""
        self._looked_at = ""
        """The message with a file that can't be sent. If the same message is sent again, it is sent without the file."""

    def names_in(self, outgoing: Outgoing) -> list[str]:
        """Return the files that a message names with an @ and that aren't attached yet. Empty if reading them has already failed
        once.
        """
        is_second_try = outgoing.typed == self._looked_at
        self._looked_at = ""
        if is_second_try:
            return []
        there = {one.name for one in outgoing.attachments}
        names = dict.fromkeys(map(unquoted, _AT_NAMES.findall(outgoing.typed)))
        return [one for one in names if attachment_name(one) not in there]

    async def with_files(self, outgoing: Outgoing, names: list[str]) -> Outgoing | None:
        """Return a message with the files that it names, added after its attachments; None if one can't be read, after reporting
        why.
        """
        async with self._lock:
            for name in names:
                path = typed_path(name)
                if not await asyncio.to_thread(is_file, path):
                    continue
                attachment = await self.read(path)
                if attachment is None:
                    self._looked_at = outgoing.typed
                    return None
                outgoing = replace(outgoing, attachments=(*outgoing.attachments, attachment))
            return outgoing

    async def read(self, path: Path) -> Attachment | None:
        """Return a file as an attachment; None if it can't be read, after reporting why."""
        try:
            text = await asyncio.to_thread(text_of, path)
        except UserError as error:
            self._ui.tell(str(error), severity="warning")
            return None
        return Attachment(attachment_name(str(path)), text)
