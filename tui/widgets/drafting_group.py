"""The sidebar's group for speculative decoding: how tokens are drafted, by which model, and how well it worked last time."""

from __future__ import annotations

from typing import Final

from textual import on
from textual.content import Content
from textual.message import Message
from textual.widgets import Button, Select

from tui.conversation import ReplyStats
from tui.dataclass import dataclass
from tui.engine.base import ModelInfo, Speculation
from tui.sanitize import sanitize_line
from tui.widgets.parameter_group import Group

_LABELS: Final = {
    Speculation.AUTO: "automatic",
    Speculation.OFF: "off",
    Speculation.LOOKUP: "prompt lookup",
    Speculation.ASSISTANT: "a small assistant model",
    Speculation.EARLY_EXIT: "the model's first layers",
}
_HELP: Final = {
    Speculation.AUTO: "Uses drafts from the chat or the assistant model while enough of them are accepted.",
    Speculation.OFF: "Tokens are computed one at a time.",
    Speculation.LOOKUP: "Drafts are copied from the chat. Good for editing and quoting.",
    Speculation.ASSISTANT: "A small model drafts several tokens, and this model checks them at once.",
    Speculation.EARLY_EXIT: "Only for models trained for it.",
}


class DraftingGroup(Group):
    """Shows and changes how tokens are drafted. The reply's text is the same in any case."""

    DEFAULT_CSS = """
    DraftingGroup {
        & Contents { padding: 0 0 0 2; }
        & #assistant { width: 1fr; height: 1; min-width: 10; border: none; content-align: left middle; text-align: left; }
    }
    """

    @dataclass
    class Changed(Message):
        """The user chose another way to draft tokens."""

        choice: Speculation

    class AssistantPressed(Message):
        """The user wants another assistant model, or none."""

    def __init__(self, choice: Speculation, *, id: str | None = None) -> None:  # noqa: A002 - Textual's name
        super().__init__(
            "Drafting",
            Select(
                [(label, one.value) for one, label in _LABELS.items()],
                value=choice.value,
                allow_blank=False,
                compact=True,
                id="speculation",
            ),
            Button("no assistant model ▾", id="assistant", compact=True),
            collapsed=True,
            id=id,
        )
        self._choice = choice
        self.explanation = _HELP[choice]

    def show_choice(self, choice: Speculation) -> None:
        """Show how tokens are drafted, without posting a change."""
        select = self.query_one("#speculation", Select)
        self._choice = choice
        if select.value != choice.value:
            with select.prevent(Select.Changed):
                select.value = choice.value
            self._explain("")

    def show_state(self, info: ModelInfo | None, assistant: str, stats: ReplyStats | None) -> None:
        """Show the assistant model, how many drafts of the last reply were accepted, and a note about mixtures of experts."""
        name = sanitize_line(assistant, 40) or "no assistant model"
        self.query_one("#assistant", Button).label = Content(f"{name} ▾")
        sentences = []
        if stats is not None and stats.drafted_tokens:
            share = stats.accepted_tokens / stats.drafted_tokens
            sentences.append(
                f"Last reply: {stats.accepted_tokens:,} of {stats.drafted_tokens:,} drafted tokens were accepted ({share:.0%})."
            )
        if info is not None and info.is_mixture:
            sentences.append(
                "This is a mixture of experts: checking several tokens at once uses more experts, so drafting rarely helps."
            )
        self._explain("\n".join(sentences))

    def _explain(self, more: str) -> None:
        self.explanation = f"{_HELP[self._choice]}\n{more}".rstrip()

    @on(Select.Changed, "#speculation")
    def _chosen(self, event: Select.Changed) -> None:
        event.stop()
        if isinstance(event.value, str) and event.value != self._choice.value:
            self._choice = Speculation(event.value)
            self._explain("")
            self.post_message(self.Changed(self._choice))

    @on(Button.Pressed, "#assistant")
    def _assistant_pressed(self, event: Button.Pressed) -> None:
        event.stop()
        self.post_message(self.AssistantPressed())
