"""Acting on turns: editing, making replies again, continuing, deleting, paging through variants, undo."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shlex
import shutil
import subprocess
import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Final

from textual import on, work

from tui.chat import requests
from tui.conversation import ASSISTANT, USER, Conversation, Generation, Turn
from tui.engine.base import Failed, LoadRequest
from tui.engine.catalog import local_models
from tui.files import absolute, is_file, typed_path
from tui.highlighting.languages import extension_of
from tui.parameters import in_force, readable
from tui.sanitize import sanitize
from tui.screens.ask import Answer, Ask, AskText
from tui.screens.chat.models import Pending
from tui.screens.chat.pane import TurnPane
from tui.screens.chat.talk import Talk
from tui.screens.reply_options import ChosenOptions, ReplyOptions
from tui.screens.tree_view import TreeView
from tui.screens.turn_details import TurnDetails
from tui.transfer import TransferError, write_new
from tui.widgets.markdown.pieces import CodeText, code_texts
from tui.widgets.transcript import Transcript
from tui.widgets.turn_editor import TurnEditor

_EDITORS: Final = ("editor", "nano", "vim", "vi", "emacs", "notepad")
"""What is tried where $EDITOR names none."""


class Turns(Talk):
    """Changes what was said; nothing is lost by it, see `conversation`."""

    _code_copied: tuple[str, int] = ("", 0)

    # -- which turn

    def acted_turn(self, role: str = "") -> Turn | None:
        """Return the turn under the cursor; without a cursor the last one, of that role if one is given. Say so if there is none."""
        path = self.conversation.path
        cursor = self.transcript.cursor
        under = next((turn for turn in path if turn.id == cursor), None)
        if under is not None:
            return under
        found = next((turn for turn in reversed(path) if role in ("", turn.role)), None)
        if found is None:
            self.tell("There is no turn yet that this could be done to.")
        return found

    def _changed(self, conversation: Conversation) -> None:
        """Show and save a chat that an action changed; where one only looks around, a read-only chat is not saved."""
        self.conversation = conversation
        self.show_conversation(follow=False)
        if not self.read_only:
            self.save()

    # -- the cursor

    def show_conversation(self, *, follow: bool = True) -> None:
        """Show the chat; while keys act on turns, one of them is marked."""
        super().show_conversation(follow=follow)
        self._mark_cursor()

    def show_growth(self) -> None:
        """Show a chat that has grown; see `show_conversation`."""
        super().show_growth()
        self._mark_cursor()

    def _mark_cursor(self) -> None:
        if self.focused is not self.transcript or self.transcript.cursor is not None:
            return
        path = self.conversation.path
        if path:
            self.transcript.cursor = path[-1].id
        else:
            self.action_composer_focus()

    def action_turn_previous(self) -> None:
        """Move the cursor to the turn above."""
        self.set_focus(self.transcript)
        self.transcript.move_cursor(-1 if self.transcript.cursor else 0)

    def action_turn_next(self) -> None:
        """Move the cursor to the turn below; below the last one is the composer."""
        path = self.conversation.path
        if not path or self.transcript.cursor in (None, path[-1].id):
            self.transcript.follow()
            self.action_composer_focus()
            return
        self.set_focus(self.transcript)
        self.transcript.move_cursor(1)

    def action_scroll_or_move(self, step: int, may_leave: bool = True) -> None:
        """Scroll within a turn that is taller than the screen, else move the cursor.

        Args:
            step: -1 for up, 1 for down.
            may_leave: go on to the composer, which is below the end.
        """
        if self.transcript.block is not None:
            self.transcript.move_block(step)
            return
        path = self.conversation.path
        at_end = self.transcript.scroll_offset.y >= self.transcript.max_scroll_y
        if may_leave and step > 0 and at_end and path and self.transcript.cursor == path[-1].id:
            self.action_composer_focus()
        else:
            self.transcript.scroll_or_move(step)

    def action_composer_focus(self) -> None:
        """Put the cursor into the composer."""
        self.transcript.cursor = None
        super().action_composer_focus()

    @on(TurnPane.Typed)
    def _typed_on_turn(self, event: TurnPane.Typed) -> None:
        event.stop()
        self.action_composer_focus()
        self.composer.take_typed(event.text)

    @on(Transcript.TurnClicked)
    def _turn_clicked(self, event: Transcript.TurnClicked) -> None:
        self.transcript.cursor = event.turn_id

    # -- editing

    async def action_turn_edit(self) -> None:
        """Edit the turn under the cursor in place."""
        turn = self.acted_turn(USER)
        region = self.transcript.turn_region(turn.id) if turn else None
        if turn is None or region is None or self.query(TurnEditor):
            return
        editor = TurnEditor(turn.id, turn.text, is_user=turn.role == USER)
        editor.place(region, self.transcript.region)
        # Keys that are typed at once must find the editor: to the transcript they would be commands.
        await self.mount(editor)
        self.set_focus(editor)

    def take_back_edit(self) -> None:
        """End the edit of a turn, if one is under way; what was written goes to the message, where it is kept."""
        for editor in self.query(TurnEditor):
            if editor.is_changed:
                self.composer.take_back(editor.text)
            editor.remove()

    @on(TurnEditor.Left)
    def _edit_left(self) -> None:
        self.query(TurnEditor).remove()
        self.set_focus(self.transcript)

    @on(TurnEditor.Edited)
    def _edit_ended(self, event: TurnEditor.Edited) -> None:
        self.query(TurnEditor).remove()
        if event.turn_id not in self.conversation.turns or self.reply is not None:
            self.composer.take_back(event.text)
            self.action_composer_focus()
            self.tell(
                "The turn can't be changed now; your text is in the composer.", severity="warning"
            )
            return
        # What is typed next is a message and no command.
        self.action_composer_focus()
        self.apply_edit(event.turn_id, event.text, answer=event.answer)

    def apply_edit(self, turn_id: str, text: str, *, answer: bool) -> None:
        """Give a turn another text, as a variant of it.

        Args:
            answer: have a user turn answered; a reply that is edited needs none.
        """
        turn = self.conversation.turn(turn_id)
        if not text.strip():
            self.tell(
                "A turn can't be empty. To delete it, select it and press Delete.",
                severity="warning",
            )
            return
        if text != sanitize(turn.text):
            self.will_change()
            self._changed(self.conversation.edit(turn_id, text))
            turn_id = next(variant.id for variant in reversed(self.conversation.variants(turn_id)))
        if answer and turn.role == USER:
            if self.conversation.path[-1].id == turn_id:
                self.answer(turn_id)
            else:
                self.begin_reply(turn_id)

    def action_turn_edit_outside(self) -> None:
        """Edit the turn under the cursor in the editor that $EDITOR names."""
        turn = self.acted_turn(USER)
        if turn is None:
            return
        before = sanitize(turn.text)
        text = self.edit_outside(before)
        if text not in (None, before):
            self.apply_edit(turn.id, text or "", answer=True)

    def edit_outside(self, text: str) -> str | None:
        """Have a text changed in $VISUAL or $EDITOR while the app steps aside; None when nothing came of it."""
        name = os.environ.get("VISUAL") or os.environ.get("EDITOR") or ""
        usual = next((one for one in _EDITORS if shutil.which(one)), _EDITORS[0])
        handle, file_name = tempfile.mkstemp(suffix=".md", prefix="chat-tui-")
        path = Path(file_name)
        is_kept = False
        try:
            command = shlex.split(name) or [usual]
            if shutil.which(command[0]) is None:
                # Nothing may fail while the screen is put away: it would not come back.
                raise FileNotFoundError("there is no such program")
            with os.fdopen(handle, "w", encoding="utf-8", errors="replace") as file:
                file.write(text)
            with self.app.suspend():
                code = _run(command, file_name)
            if isinstance(code, OSError):
                raise code
            if code:
                # An editor that was killed may have written the file before.
                is_kept = path.read_text(encoding="utf-8", errors="replace") not in ("", text)
                where = f" What you wrote is in {path}." if is_kept else ""
                self.tell(f"{command[0]} ended with {code}; nothing was changed.{where}")
                return None
            changed = path.read_text(encoding="utf-8", errors="replace")
        except (OSError, ValueError) as error:
            what = name.strip() or usual
            self.tell(f"{what} could not be run ({error}). Set $EDITOR.", severity="error")
            return None
        finally:
            if not is_kept:
                with contextlib.suppress(OSError):
                    path.unlink()
        return changed if text.endswith("\n") else changed.removesuffix("\n")

    # -- replies

    def action_turn_regenerate(self) -> None:
        """Make another reply in place of the one under the cursor, or to the user turn under it."""
        turn = self.acted_turn(ASSISTANT)
        if turn is not None:
            self.action_composer_focus()
            self.begin_reply(_answered(turn), label="Regenerate")

    @work(exclusive=True, group="regenerate")
    async def action_turn_regenerate_with(self) -> None:
        """Make another reply with other parameters, another model or given first words, just for once."""
        turn = self.acted_turn(ASSISTANT)
        if turn is None:
            return
        defaults = in_force({}, self.model.info.defaults if self.model.info else None)
        dialog = ReplyOptions(dict(self.parameters), defaults, local_models, self.model.model)
        options = await self.app.push_screen_wait(dialog)
        if options is None:
            return
        self.action_composer_focus()
        if options.model and options.model != self.model.model:
            self._reply_with_another_model(_answered(turn), options)
        else:
            self.begin_reply(
                _answered(turn),
                parameters=options.parameters,
                start_text=options.start_text,
                label="Regenerate",
            )

    def _reply_with_another_model(self, parent: str | None, options: ChosenOptions) -> None:
        self._once_with(
            self.request_for(options.model),
            lambda: self.begin_reply(
                parent,
                parameters=options.parameters,
                start_text=options.start_text,
                label="Regenerate",
            ),
        )

    def _once_with(self, request: LoadRequest, begin: Callable[[], None]) -> None:
        """Load another model for one reply, and go back to the present one afterwards."""
        if self.reply is not None or self.model.loading:
            self.tell("A reply or a load is under way. Esc stops it first.", severity="warning")
            return
        back_to = self.model.wanted if self.model.info is not None else None
        self.begin_when_loaded(Pending(self.conversation.id, begin, request, back_to))
        self.load_model(request)

    def action_turn_reproduce(self) -> None:
        """Make a reply again with the seed and the parameters that it was made with."""
        turn = self.acted_turn(ASSISTANT)
        if turn is None or turn.generation is None:
            self.tell("Only a reply that a model made can be made again.", severity="warning")
            return
        made = turn.generation
        if made.continued:
            self.tell(
                "This reply was written on later: only its last part's seed is known.",
                severity="warning",
            )
        self.action_composer_focus()

        def begin() -> None:
            self.begin_reply(
                turn.parent,
                parameters=readable(made.parameters),
                start_text=made.start_text,
                label="Reproduce",
                as_before=made.stats,
            )

        info = self.model.info
        if info is not None and (info.model, info.quantization) == (made.model, made.quantization):
            begin()
        else:
            self._once_with(self.request_for(made.model, made.quantization), begin)

    def action_turn_continue(self) -> None:
        """Write on at the end of the reply under the cursor, else of the last."""
        turn = self.acted_turn(ASSISTANT)
        if turn is None or turn.role != ASSISTANT:
            self.tell("Only a reply can be continued.", severity="warning")
        elif turn.is_empty:
            self.action_composer_focus()
            self.begin_reply(turn.parent, label="Regenerate")
        else:
            self.action_composer_focus()
            self.continue_reply(turn.id)

    # -- variants, deleting, undo

    def action_turn_older(self) -> None:
        """Show the variant before this one."""
        self.page(-1)

    def action_turn_newer(self) -> None:
        """Show the variant after this one."""
        self.page(1)

    @on(Transcript.VariantPaged)
    def _variant_paged(self, event: Transcript.VariantPaged) -> None:
        if self.reply is None:
            self.page(event.step, event.turn_id)

    def page(self, step: int, turn_id: str = "") -> None:
        """Show another variant of a turn, by default of the one under the cursor, with what follows it."""
        turn = self.conversation.turn(turn_id) if turn_id else self.acted_turn(ASSISTANT)
        if turn is None:
            return
        place = [one.id for one in self.conversation.path].index(turn.id)
        paged = self.conversation.page(turn.id, step)
        if paged is self.conversation:
            self.tell("There is no other variant on that side.")
            return
        self._changed(paged)
        self.transcript.cursor = self.conversation.path[place].id

    def action_turn_delete(self) -> None:
        """Take out the turn under the cursor; what follows it stays."""
        self._delete(following=False)

    def action_turn_delete_following(self) -> None:
        """Take out the turn under the cursor and all that follows it."""
        self._delete(following=True)

    def _delete(self, *, following: bool) -> None:
        turn = self.acted_turn()
        if turn is None:
            return
        place = [one.id for one in self.conversation.path].index(turn.id)
        count = 1 + sum(1 for _ in self.conversation.descendants(turn.id)) if following else 1
        self.will_change()
        self._changed(self.conversation.delete(turn.id, following=following))
        path = self.conversation.path
        self.transcript.cursor = path[min(place, len(path) - 1)].id if path else None
        self.tell(f"{count} turn{'' if count == 1 else 's'} deleted. Press F8 to undo.")

    def action_chat_undo(self) -> None:
        """Take back the last change of the chat."""
        self.keep_prompt()
        if not self.conversation.can_undo:
            self.tell("There is nothing to undo.")
            return
        self.tell(f"Undone: {self.conversation.history.undo[-1].label}")
        self._undone(self.conversation.undo())

    def action_chat_redo(self) -> None:
        """Do again what was undone last."""
        self.keep_prompt()
        if not self.conversation.can_redo:
            self.tell("There is nothing to redo.")
            return
        self.tell(f"Done again: {self.conversation.history.redo[-1].label}")
        self._undone(self.conversation.redo())

    def _undone(self, conversation: Conversation) -> None:
        if self.read_only:
            self.will_change()
            conversation = replace(conversation, id=self.conversation.id)
        self.system_prompt = conversation.system_prompt
        self._changed(conversation)

    def action_turn_undo(self) -> None:
        """Take back the last change of the chat."""
        self.action_chat_undo()

    def action_turn_redo(self) -> None:
        """Do again what was undone last."""
        self.action_chat_redo()

    @work(exclusive=True, group="tree")
    async def action_chat_tree(self) -> None:
        """Show every branch of the chat and jump to a turn."""
        chosen = await self.app.push_screen_wait(
            TreeView(self.conversation, self.transcript.cursor)
        )
        if chosen is not None and self.reply is None:
            self.go_to_turn(chosen)

    def go_to_turn(self, turn_id: str) -> None:
        """Lead the active path through a turn and put the cursor on it."""
        if turn_id not in self.conversation.turns:
            return
        self._changed(self.conversation.select(turn_id))
        self.set_focus(self.transcript)
        self.transcript.cursor = turn_id
        self.transcript.move_cursor(0)

    # -- copying and looking

    def action_turn_copy(self) -> None:
        """Copy the turn under the cursor, or its marked block, as it was written."""
        if block := self.transcript.block:
            self.copy(block.source, "The block")
        elif turn := self.acted_turn(ASSISTANT):
            self.copy(turn.text, "The turn")

    def action_turn_copy_shown(self) -> None:
        """Copy the turn under the cursor, or its marked block, as it is shown."""
        if block := self.transcript.block:
            self.copy(block.shown, "The block as shown")
        elif turn := self.acted_turn(ASSISTANT):
            self.copy(self.transcript.shown_text(turn.id), "The turn as shown")

    def action_turn_mark_block(self) -> None:
        """Mark a block of the turn under the cursor, which keys then move over and copy."""
        turn = self.acted_turn(ASSISTANT)
        if turn is None or self.transcript.block is not None:
            return
        self.set_focus(self.transcript)
        self.transcript.cursor = turn.id
        if not self.transcript.move_block(0):
            self.tell("There is nothing to mark in this turn.")

    def action_turn_copy_code(self) -> None:
        """Copy the last code block of the turn under the cursor; pressed again, the one before."""
        turn = self.acted_turn(ASSISTANT)
        if turn is None:
            return
        blocks = _code_of(turn)
        if not blocks:
            self.tell("There is no code block in this turn.")
            return
        again = self._code_copied[1] + 1 if self._code_copied[0] == turn.id else 1
        number = again if again <= len(blocks) else 1
        self._code_copied = (turn.id, number)
        place = len(blocks) - number
        code = blocks[place].text.removesuffix("\n")
        self.copy(code, f"Code block {place + 1} of {len(blocks)}")

    @work(exclusive=True, group="code")
    async def action_turn_save_code(self) -> None:
        """Write a code block of the turn under the cursor to a file: the one copied last, else the last one."""
        turn = self.acted_turn(ASSISTANT)
        blocks = _code_of(turn) if turn else ()
        if turn is None or not blocks:
            self.tell("There is no code block in this turn.")
            return
        number = self._code_copied[1] if self._code_copied[0] == turn.id else 1
        place = max(0, len(blocks) - number)
        code = blocks[place]
        count = len(code.text.splitlines())
        note = f"Code block {place + 1} of {len(blocks)}, {count} line{'' if count == 1 else 's'}"
        extension = await asyncio.to_thread(extension_of, code.language)
        name: str | None = f"code{extension}"
        while True:
            name = await self.app.push_screen_wait(
                AskText("Write the code to a file", name or "", note=note)
            )
            if name is None or not name.strip():
                return
            if await self._written(absolute(typed_path(name.strip())), code.text):
                return

    async def _written(self, path: Path, text: str) -> bool:
        """Write a new file; replace one that is there if that is wanted. Returns False to ask for another name."""
        overwrite = await asyncio.to_thread(is_file, path)
        if overwrite:
            answers = [
                Answer("name", "Another name", "n"),
                Answer("replace", "Replace it", "r", "error"),
            ]
            question = Ask("There is such a file already", str(path), answers)
            if await self.app.push_screen_wait(question) != "replace":
                return False
        try:
            await asyncio.to_thread(write_new, path, text, overwrite=overwrite)
        except TransferError as error:
            self.tell(f"Nothing was written: {error}.", severity="error")
            return False
        self.tell(f"Written: {path}")
        return True

    def action_turn_quote(self) -> None:
        """Put the turn under the cursor, quoted, into the message."""
        if turn := self.acted_turn(ASSISTANT):
            quoted = "\n".join(f"> {line}".rstrip() for line in turn.text.splitlines())
            self.composer.set_text(f"{self.composer.text}{quoted}\n\n")
            self.action_composer_focus()

    def copy(self, text: str, what: str) -> None:
        """Copy a text, made safe to paste, and say so."""
        self.app.copy_to_clipboard(sanitize(text))
        self.tell(f"{what} was copied.")

    def action_turn_raw(self) -> None:
        """Show the turn under the cursor as it was written, or rendered again."""
        if turn := self.acted_turn(ASSISTANT):
            self.transcript.toggle_raw(turn.id)

    def action_turn_toggle_reasoning(self) -> None:
        """Fold or unfold the reasoning of the turn under the cursor, else of the last with any."""
        self.transcript.toggle_reasoning(self.transcript.cursor)

    def action_turn_details(self) -> None:
        """Show the exact prompt, parameters and times of the turn under the cursor."""
        self._show_details("facts")

    def action_turn_tokens(self) -> None:
        """Show the turn under the cursor cut into the model's tokens."""
        self._show_details("tokens")

    def _show_details(self, start: str) -> None:
        turn = self.acted_turn(ASSISTANT)
        if turn is None:
            return
        dialog = TurnDetails(
            turn, self.conversation, copy=lambda text: self.copy(text, "It"), start=start
        )
        self.app.push_screen(dialog)
        self._fill_details(dialog, turn)

    @work(exclusive=True, group="details", description="fill the details of a turn")
    async def _fill_details(self, dialog: TurnDetails, turn: Turn) -> None:
        await self._fill_prompt(dialog, turn)
        if self.model.ready and self.reply is None:
            dialog.set_tokens(await self.side.split(turn.text))

    async def _fill_prompt(self, dialog: TurnDetails, turn: Turn) -> None:
        info = self.model.info
        if not self.model.ready or self.reply is not None or info is None:
            dialog.set_prompt(
                "", "The prompt can be shown when a model is loaded and no reply is under way."
            )
            return
        made = turn.generation
        note = ""
        if made is not None and made.model != info.model:
            note = f"As {info.name} would be given it; the reply was made by {made.name or made.model}."
        request = requests.for_prompt_of(self.conversation, turn, self.reply_settings())
        if request is None:
            dialog.set_prompt("", "Nothing came before this turn.")
            return
        described = await self.side.describe(request)
        if isinstance(described, Failed):
            dialog.set_prompt("", f"{described.message} {described.hint}")
            return
        if not note and made is not None:
            note = _changed_since(described.tokens, made)
        dialog.set_prompt(described.text, " ".join(filter(None, (note, *described.notes))))


def _answered(turn: Turn) -> str | None:
    """The turn that a new reply answers: a user turn itself, else what the reply stands below."""
    return turn.id if turn.role == USER else turn.parent


def _code_of(turn: Turn) -> tuple[CodeText, ...]:
    return code_texts(turn.text, verbatim=turn.role != ASSISTANT)


def _changed_since(tokens: int, made: Generation) -> str:
    """A sentence about a prompt that is not as long as the one that a reply was made from; empty where it is."""
    then = made.stats.prompt_tokens
    if not then or then == tokens or made.start_text or made.continued:
        return ""
    return (
        f"As it would be made now, with {tokens:,} tokens. The reply was made from {then:,}: the system prompt, the turns "
        "before it or what was left out of the context have changed since."
    )


def _run(command: list[str], file_name: str) -> int | OSError:
    """Run an editor on a file; return its exit code, or why it could not be started."""
    try:
        return subprocess.run([*command, file_name], check=False).returncode
    except OSError as error:
        return error
