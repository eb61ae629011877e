"""Where the reasoning of a reply begins and ends, for the chat templates of which llama.cpp doesn't know it.

With most templates llama.cpp separates reasoning itself. With others it hands on all that the model writes, and if such a template opens
the reasoning at the end of the prompt, nothing in the reply says so: only the prompt does.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from tui.conversation.reasoning_marks import THINK, Marks, is_over_after, marks_in, opened_by
from tui.conversation.thoughts import ThinkSplitter
from tui.conversation.turn import ASSISTANT, USER, Message
from tui.engine.llama.control_tokens import ControlTokens

PROBE: Final = (Message(USER, "?"), Message(ASSISTANT, "zqsaid", reasoning="zqthought"))
"""A chat to continue. What llama.cpp makes of it shows whether it knows how the model writes reasoning."""


def is_known(prompt: str) -> bool:
    """Return whether llama.cpp knows how a model writes reasoning.

    Args:
        prompt: the one that continues the last message of `PROBE`. llama.cpp writes that message itself, and leaves its reasoning
            out if it doesn't know the marks.
    """
    return PROBE[-1].reasoning in prompt


class Reasoning:
    """Separates the reasoning of one model's replies by its marks."""

    def __init__(self, template: str, control_tokens: ControlTokens) -> None:
        """Find the marks.

        Args:
            template: the chat template.
            control_tokens: of the model's vocabulary. llama.cpp leaves them out of replies, so they can't close reasoning.
        """
        found = marks_in(template, control_tokens.has)
        self._marks = tuple(one for one in found if not all(map(control_tokens.has, one.closings)))

    def splitter(self, prompt: str) -> ThinkSplitter | None:
        """Return what separates a new reply; None if nothing is known of how it begins.

        Args:
            prompt: what it follows.
        """
        opened, is_over = self._end(prompt)
        if opened is None and not is_over:
            return None
        return ThinkSplitter(opened, self._marks, is_over=is_over)

    def continuing(self, prompt: str, said: Message) -> ThinkSplitter | None:
        """Return what separates the rest of a reply; None if nothing is known of how it begins.

        Args:
            prompt: what the whole reply follows.
            said: the reply so far.
        """
        if not (said.content or said.reasoning):
            return self.splitter(prompt)
        opened, is_over = self._end(prompt)
        if not said.content:
            return ThinkSplitter(opened or self._likeliest, self._marks)
        if opened is None and not (is_over or said.reasoning):
            return None
        return ThinkSplitter(None, self._marks, is_over=True, said=said.content)

    def written(self, prompt: str, said: Message) -> Message:
        """Return a reply to be continued as the model writes it: reasoning, marks, and answer as one text.

        Args:
            prompt: what the whole reply follows.
            said: the reply so far.
        """
        opened, is_over = self._end(prompt)
        if opened is None and not said.reasoning:
            return said
        pieces = (opened or self._likeliest).written(
            said.reasoning, said.content, is_open=opened is not None, is_over=is_over
        )
        return replace(said, content="".join(pieces), reasoning="")

    def _end(self, prompt: str) -> tuple[Marks | None, bool]:
        """Return the marks that a prompt has opened, and whether it ends after reasoning."""
        return opened_by(prompt, self._marks), is_over_after(prompt, self._marks)

    @property
    def _likeliest(self) -> Marks:
        return next(iter(self._marks), THINK)
