"""Getting something out of a chat: copying, quoting, and writing code to a file."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING, Final

from tui.chat.ui import Answer
from tui.conversation import ASSISTANT, Turn
from tui.files import absolute, is_file, typed_path
from tui.sanitize import sanitize
from tui.screens.chat.focus_control import FocusControl
from tui.screens.chat.ui import ScreenUi
from tui.screens.chat.view import View

if TYPE_CHECKING:
    from tui.widgets.markdown.pieces import CodeText

_PLAIN: Final = " as plain text"


class Copying:
    """Copies the turn under the cursor, or its selected block."""

    def __init__(self, view: View, focus_control: FocusControl, ui: ScreenUi) -> None:
        self._view = view
        self._focus_control = focus_control
        self._ui = ui
        self._code_copied = ("", 0)
        """The turn whose code was copied last, and the number of that block, counted from the end."""

    def copy(self, text: str, what: str, how: str = "") -> None:
        """Copy a text, made safe to paste, and report it, for example as " as plain text"."""
        self._view.screen.app.copy_to_clipboard(sanitize(text))
        self._ui.tell(f"{what} was copied{how}.")

    def copy_turn(self) -> None:
        """Copy the source of the turn under the cursor, or of its selected block."""
        if block := self._view.transcript.block:
            self.copy(block.source, "The block")
        elif turn := self._focus_control.acted_turn(ASSISTANT):
            self.copy(turn.content, "The turn")

    def copy_shown(self) -> None:
        """Copy the turn under the cursor, or its selected block, as it is displayed."""
        if block := self._view.transcript.block:
            self.copy(block.shown, "The block", _PLAIN)
        elif turn := self._focus_control.acted_turn(ASSISTANT):
            self.copy(self._view.transcript.shown_text(turn.id), "The turn", _PLAIN)

    def mark_block(self) -> None:
        """Select a block of the turn under the cursor. Keys then move the selection and copy it."""
        turn = self._focus_control.acted_turn(ASSISTANT)
        transcript = self._view.transcript
        if turn is None or transcript.block is not None:
            return
        self._focus_control.to_turns()
        transcript.cursor = turn.id
        if not transcript.move_block(0):
            self._ui.tell("There is nothing to select in this turn.")

    def quote(self) -> None:
        """Quote the turn under the cursor in the message."""
        if turn := self._focus_control.acted_turn(ASSISTANT):
            quoted = "\n".join(f"> {line}".rstrip() for line in turn.text.splitlines())
            before = self._view.composer.text
            between = "\n" if before and not before.endswith("\n") else ""
            self._view.composer.set_text(f"{before}{between}{quoted}\n\n")
            self._focus_control.to_composer()

    # -- code

    def copy_code(self) -> None:
        """Copy the last code block of the turn under the cursor. Each further press copies the one before it."""
        turn = self._focus_control.acted_turn(ASSISTANT)
        if turn is None:
            return
        blocks = _code_of(turn)
        if not blocks:
            self._ui.tell("There is no code block in this turn.")
            return
        again = self._code_copied[1] + 1 if self._code_copied[0] == turn.id else 1
        number = again if again <= len(blocks) else 1
        self._code_copied = (turn.id, number)
        place = len(blocks) - number
        code = blocks[place].text.removesuffix("\n")
        self.copy(code, f"Code block {place + 1} of {len(blocks)}")

    async def save_code(self) -> None:
        """Write a code block of the turn under the cursor to a file: the one copied last, or else the last one."""
        from tui.highlighting.languages import extension_of
        from tui.screens.ask import AskText

        turn = self._focus_control.acted_turn(ASSISTANT)
        blocks = _code_of(turn) if turn else ()
        if turn is None or not blocks:
            self._ui.tell("There is no code block in this turn.")
            return
        number = self._code_copied[1] if self._code_copied[0] == turn.id else 1
        place = max(0, len(blocks) - number)
        code = blocks[place]
        count = len(code.text.splitlines())
        note = f"Code block {place + 1} of {len(blocks)}, {count} line{'' if count == 1 else 's'}"
        extension = await asyncio.to_thread(extension_of, code.language)
        name: str | None = f"code{extension}"
        while True:
            name = await self._ui.show(
                AskText("Save the code to a file", name or "", note=note, is_path=True)
            )
            if name is None or not name.strip():
                return
            if await self._written(absolute(typed_path(name.strip())), code.text):
                return

    async def _written(self, path: Path, text: str) -> bool:
        """Write a file, asking before an existing one is replaced. Return False to ask for another name."""
        overwrite = await asyncio.to_thread(is_file, path)
        if overwrite:
            answers = (
                Answer("name", "Another name", "n"),
                Answer("replace", "Replace it", style="error"),
            )
            why = f"{path} already exists."
            if await self._ui.ask("Replace the file?", why, answers) != "replace":
                return False
        from tui.transfer import TransferError, write_new

        try:
            await asyncio.to_thread(write_new, path, text, overwrite=overwrite)
        except TransferError as error:
            self._ui.tell(str(error), title="Nothing was written", severity="error")
            return False
        self._ui.tell(f"Saved to {path}")
        return True


def _code_of(turn: Turn) -> tuple[CodeText, ...]:
    from tui.widgets.markdown.pieces import code_texts

    return code_texts(turn.text, verbatim=turn.role != ASSISTANT)
