"""Changing texts: a turn in place, or any text in the external editor that $EDITOR names."""

from __future__ import annotations

import contextlib
import os
import shlex
import subprocess
from pathlib import Path
from typing import Final

from tui.chat.core import Core
from tui.chat.replies import ReplyOrder
from tui.conversation import USER, Turn
from tui.conversation.parts import FilePart
from tui.sanitize import sanitize
from tui.screens.chat.focus_control import FocusControl
from tui.screens.chat.ui import ScreenUi
from tui.screens.chat.view import View
from tui.widgets.bindings import key_name
from tui.widgets.system_prompt import SystemPrompt
from tui.widgets.turn_editor import TurnEditor

_EDITORS: Final = ("editor", "nano", "vim", "vi", "emacs", "notepad")
"""The editors to try if neither $VISUAL nor $EDITOR is set."""


class Editing:
    """Edits turns, the message and the system prompt."""

    def __init__(self, core: Core, view: View, focus_control: FocusControl, ui: ScreenUi) -> None:
        self._core = core
        self._view = view
        self._focus_control = focus_control
        self._ui = ui

    # -- a turn in place

    async def edit(self) -> None:
        """Edit the turn under the cursor in place."""
        screen, transcript = self._view.screen, self._view.transcript
        turn = self._focus_control.acted_turn(USER)
        region = transcript.turn_region(turn.id) if turn else None
        if turn is None or region is None or screen.query(TurnEditor):
            return
        editor = TurnEditor(
            turn.id, turn.text, is_user=turn.role == USER, files=[one.name for one in _files(turn)]
        )
        if (kept := self._view.area.edits.pop(turn.id, None)) is not None:
            editor.set_text(kept)
        editor.place(region, transcript.region)
        # Keys typed right now must reach the editor. In the transcript they would be commands.
        await screen.mount(editor)
        screen.set_focus(editor)

    def take_back(self) -> None:
        """Close the editor of a turn, if one is open. Its text is kept with the draft of the chat, and returns when the turn is
        edited again.
        """
        for editor in self._view.screen.query(TurnEditor):
            if editor.is_changed and self._core.session.temporary and editor.is_user:
                # A temporary chat has no draft.
                self._view.composer.take_back(editor.text)
            elif editor.is_changed:
                self._view.area.edits[editor.turn_id] = editor.text
            editor.remove()

    def leave(self) -> None:
        """Close the editor of a turn without changing the turn. Its text returns when the turn is edited again."""
        for editor in self._view.screen.query(TurnEditor):
            if editor.is_changed:
                self._view.area.edits[editor.turn_id] = editor.text
                self._view.area.keep_draft()
                self._ui.tell("The turn is unchanged. Edit it again to continue your edit.")
            editor.remove()
        self._focus_control.to_turns()

    def end(self, event: TurnEditor.Edited) -> None:
        """Apply the edit of a turn."""
        self._view.screen.query(TurnEditor).remove()
        self._view.area.keep_draft()
        # What is typed next is a message, not a command.
        self._focus_control.to_composer()
        is_there = event.turn_id in self._core.session.conversation.turns
        if not is_there or self._core.replies.live is not None:
            self._view.composer.take_back(event.text)
            self._ui.tell(
                "The turn can't be changed now; your text is in the message box.",
                severity="warning",
            )
            return
        self._apply(event.turn_id, event.text, answer=event.answer, removed=event.removed)

    def _apply(self, turn_id: str, text: str, *, answer: bool, removed: int = 0) -> None:
        """Add a variant of a turn with another text.

        Args:
            turn_id: the ID of the turn.
            text: the new text.
            answer: whether to generate a reply to a user turn.
            removed: how many attachments to leave out, the last ones.
        """
        session, replies = self._core.session, self._core.replies
        turn = session.conversation.turn(turn_id)
        gone = _files(turn)[-removed:] if removed else []
        parts = [part for part in turn.parts if not any(part is one for one in gone)]
        if not text.strip() and len(turn.others) == len(gone):
            key = key_name(self._view.screen.app, "turn.delete")
            way = f" To delete it, select it and press {key}." if key else ""
            self._ui.tell(f"A turn can't be empty.{way}", severity="warning")
            return
        if text != sanitize(turn.text) or gone:
            session.change(lambda chat: chat.edit(turn_id, text, parts=parts))
            turn_id = session.conversation.variants(turn_id)[-1].id
        if answer and turn.role == USER:
            if session.conversation.path[-1].id == turn_id:
                replies.answer(turn_id)
            else:
                replies.begin(ReplyOrder(session.conversation.id, turn_id))

    # -- outside

    def edit_turn_outside(self) -> None:
        """Edit the turn under the cursor in the external editor."""
        turn = self._focus_control.acted_turn(USER)
        if turn is None:
            return
        before = sanitize(turn.text)
        text = self.edit_outside(before)
        if text not in (None, before):
            self._apply(turn.id, text or "", answer=True)

    def edit_message_outside(self) -> None:
        """Edit the message in the external editor, or the system prompt if it has the focus."""
        if isinstance(self._view.screen.focused, SystemPrompt):
            text = self.edit_outside(self._core.settings.system_prompt)
            if text is not None:
                with self._core.undoing.step("System prompt"):
                    self._core.session.replace_prompt(text)
            return
        text = self.edit_outside(self._view.composer.text)
        if text is not None:
            self._view.composer.set_text(text)
        self._view.screen.set_focus(self._view.composer)

    def edit_outside(self, text: str) -> str | None:
        """Open a text in $VISUAL or $EDITOR while the app is suspended. Return the new text, or None if nothing was changed."""
        import shutil
        import tempfile

        name = os.environ.get("VISUAL") or os.environ.get("EDITOR") or ""
        usual = next((one for one in _EDITORS if shutil.which(one)), _EDITORS[0])
        handle, file_name = tempfile.mkstemp(suffix=".md", prefix="chat-tui-")
        path = Path(file_name)
        is_kept = False
        try:
            command = shlex.split(name) or [usual]
            if shutil.which(command[0]) is None:
                # An exception while the app is suspended would leave the terminal unusable.
                raise FileNotFoundError("program not found")
            with os.fdopen(handle, "w", encoding="utf-8", errors="replace") as file:
                file.write(text)
            with self._ui.suspend():
                code = _run(command, file_name)
            if isinstance(code, OSError):
                raise code
            if code:
                # An editor that was killed may have written the file first.
                is_kept = path.read_text(encoding="utf-8", errors="replace") not in ("", text)
                where = f" What you wrote is in {path}." if is_kept else ""
                text = f"{command[0]} exited with code {code}. Nothing was changed.{where}"
                self._ui.tell(text, severity="warning")
                return None
            changed = path.read_text(encoding="utf-8", errors="replace")
        except (OSError, ValueError) as error:
            what = name.strip() or usual
            self._ui.tell(
                f"{what} could not be run ({error}). Set $VISUAL or $EDITOR to your editor.",
                severity="error",
            )
            return None
        finally:
            if not is_kept:
                with contextlib.suppress(OSError):
                    path.unlink()
        return changed if text.endswith("\n") else changed.removesuffix("\n")


def _files(turn: Turn) -> list[FilePart]:
    return [part for part in turn.parts if isinstance(part, FilePart)]


def _run(command: list[str], file_name: str) -> int | OSError:
    """Run an editor on a file. Return its exit code, or the error if it could not be started."""
    try:
        return subprocess.run([*command, file_name], check=False).returncode
    except OSError as error:
        return error
