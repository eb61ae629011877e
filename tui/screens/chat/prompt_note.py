"""The note beside the title of the system prompt: how many tokens the prompt takes, and the first reply that it applies to."""

from __future__ import annotations

from typing import Final

from textual.timer import Timer

from tui.chat.core import Core
from tui.conversation import ASSISTANT
from tui.screens.chat.view import View

_COUNT_S: Final = 0.3


class PromptNote:
    """Counts the tokens of the system prompt when typing pauses."""

    def __init__(self, core: Core, view: View) -> None:
        self._core = core
        self._view = view
        self._timer: Timer | None = None

    def look(self) -> None:
        """Update the note after the prompt, the model or the chat has changed."""
        if self._timer is not None:
            self._timer.stop()
        self._timer = self._view.screen.set_timer(_COUNT_S, self._begin)
        self._show(0)

    def _begin(self) -> None:
        self._core.ui.start(self._count())

    async def _count(self) -> None:
        prompt = self._core.settings.system_prompt
        if prompt and self._core.loader.ready and not self._core.client.busy:
            pieces = await self._core.side.split(prompt)
            if prompt == self._core.settings.system_prompt:
                self._show(len(pieces))

    def _show(self, tokens: int) -> None:
        chat = self._core.session.conversation
        note = f"{tokens:,} token{'' if tokens == 1 else 's'}" if tokens else ""
        replies = sum(turn.role == ASSISTANT for turn in chat.path)
        if replies and self._core.settings.system_prompt != chat.system_prompt:
            # Only one of the two fits beside the title.
            note = f"from reply {replies + 1} on"
        self._view.sidebar.show_prompt_note(note)
