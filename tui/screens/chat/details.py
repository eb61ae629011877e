"""The exact prompt, the tokens, the parameters and the times of a turn."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tui.chat import requests
from tui.chat.core import Core
from tui.conversation import ASSISTANT, Generation, Turn
from tui.engine.base import Failed
from tui.screens.chat.copying import Copying
from tui.screens.chat.focus_control import FocusControl
from tui.screens.chat.ui import ScreenUi

if TYPE_CHECKING:
    from tui.screens.turn_details import TurnDetails


class Details:
    """Shows the details of the turn under the cursor."""

    def __init__(
        self, core: Core, focus_control: FocusControl, copying: Copying, ui: ScreenUi
    ) -> None:
        self._core = core
        self._ui = ui
        self._focus_control = focus_control
        self._copying = copying

    async def show_facts(self) -> None:
        """Show the exact prompt, parameters and times of the turn under the cursor."""
        await self._show("facts")

    async def show_tokens(self) -> None:
        """Show the tokens of the turn under the cursor."""
        await self._show("tokens")

    async def _show(self, start: str) -> None:
        from tui.screens.turn_details import TurnDetails

        turn = self._focus_control.acted_turn(ASSISTANT)
        if turn is None:
            return
        chat = self._core.session.conversation
        dialog = TurnDetails(
            turn, chat, copy=lambda text: self._copying.copy(text, "The text"), start=start
        )
        self._ui.open(dialog)
        await self._fill_prompt(dialog, turn)
        loader = self._core.loader
        splits = loader.info is not None and loader.info.capabilities.splits
        if loader.ready and splits and self._core.replies.live is None:
            dialog.set_tokens(await self._core.side.split(turn.content))

    async def _fill_prompt(self, dialog: TurnDetails, turn: Turn) -> None:
        loader = self._core.loader
        info = loader.info
        if not loader.ready or self._core.replies.live is not None or info is None:
            dialog.set_prompt(
                "", "The prompt can be shown when a model is loaded and no reply is being written."
            )
            return
        made = turn.generation
        note = ""
        if made is not None and made.model != info.model:
            note = f"The prompt that {info.name} would be given. The reply was made by {made.name or made.model}."
        request = requests.for_prompt_of(
            self._core.session.conversation, turn, self._core.settings.snapshot()
        )
        if request is None:
            dialog.set_prompt("", "Nothing came before this turn.")
            return
        described = await self._core.side.describe(request)
        if isinstance(described, Failed):
            dialog.set_prompt("", f"{described.message} {described.hint}")
            return
        if not note and made is not None:
            note = _changed_since(described.tokens, made)
        dialog.set_prompt(described.text, " ".join(filter(None, (note, *described.notes))))


def _changed_since(tokens: int, made: Generation) -> str:
    """Return a sentence if a prompt has another length than the one that a reply was made from; empty otherwise."""
    then = made.stats.prompt_tokens
    if not then or then == tokens or made.start_text or made.continued:
        return ""
    return (
        f"This is the prompt as it would be built now, with {tokens:,} tokens. The reply was made from {then:,} tokens. The system "
        "prompt, the earlier turns, or what is left out of the context have changed since."
    )
