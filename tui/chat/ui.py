"""How the core turns to a person: what it says and asks, without knowing how that looks."""

from __future__ import annotations

from collections.abc import Coroutine, Sequence
from typing import Any, Literal, Protocol

from tui.dataclass import dataclass

AnswerStyle = Literal["default", "primary", "success", "warning", "error"]


@dataclass(frozen=True, slots=True)
class Answer:
    """One of the answers that can be given to a question.

    Attributes:
        id: what the question returns for it.
        label: for people.
        key: the letter that gives it; empty for none. An answer that destroys or replaces something has no letter, because
            a user who has not noticed the question may be typing.
        style: how it looks; `error` for what destroys something.
        is_escape: whether it is what leaving the question amounts to. Where no answer is marked, it is the first one.
    """

    id: str
    label: str
    key: str = ""
    style: AnswerStyle = "default"
    is_escape: bool = False

    @property
    def letter(self) -> str:
        """The letter that gives it; empty for none, and for what destroys something."""
        return self.key if self.style != "error" else ""


class Ui(Protocol):
    """Shows and asks. Texts of any origin are safe in all of it."""

    def tell(
        self,
        text: str,
        *,
        title: str = "",
        severity: str = "information",
        is_shown: bool = False,
    ) -> None:
        """Show a passing message.

        Args:
            text: whole sentences.
            title: what it is about; may be empty.
            severity: `information`, `warning` or `error`.
            is_shown: whether the screen says the same in another place, so that it may pass sooner.
        """

    async def ask(
        self, title: str, text: str, answers: Sequence[Answer], *, interrupts: bool = False
    ) -> str | None:
        """Return the id of the answer to a question; None where it was left without one.

        Args:
            title: the question in a few words.
            text: the consequences; may be empty.
            answers: two to four; the safest first.
            interrupts: whether it comes up by itself rather than after a key that asks for it. The user may be typing then, so
                letters go on to the message, and answer only with Alt.
        """

    def way(self, action_id: str) -> str:
        """Return how an action is done, to begin a sentence with: `Press F8`, with the key in force, else `Type /undo`."""

    def start(self, work: Coroutine[Any, Any, object]) -> object:
        """Begin work that goes on beside everything else; an exception in it ends the app, as one anywhere does."""
