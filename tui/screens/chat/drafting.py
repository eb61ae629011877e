"""How a reply's tokens are drafted: the choice, the assistant model, and what the last drafts were worth."""

from __future__ import annotations

from dataclasses import replace

from textual import on

from tui.engine.base import LoadRequest, Speculation
from tui.screens.ask import Answer, Ask
from tui.screens.chat.models import Models
from tui.screens.model_control import short_name
from tui.screens.models.picker import ModelPicker
from tui.widgets.drafting_group import DraftingGroup


class Drafting(Models):
    """Keeps the choice; a small model that drafts is loaded with the one that it drafts for."""

    @property
    def speculation(self) -> Speculation:
        """How tokens are drafted."""
        return next(
            (one for one in Speculation if one.value == self.state.speculation), Speculation.AUTO
        )

    def load_model(self, request: LoadRequest) -> None:
        """Load a model behind the screen, with the assistant model that the user chose for it."""
        self.assistant = request.assistant
        super().load_model(request)

    assistant = ""
    """The model that drafts for the one that is loaded."""

    def show_model(self) -> None:
        """Show the model, and what drafts for it."""
        super().show_model()
        self.show_drafting()

    def show_drafting(self) -> None:
        """Show how tokens are drafted and what that was worth."""
        known = (turn.generation for turn in reversed(self.conversation.path) if turn.generation)
        stats = next((made.stats for made in known if made.stats.new_tokens), None)
        self.sidebar.show_drafting(self.model.info, short_name(self.assistant), stats)

    @on(DraftingGroup.Changed)
    def _drafting_changed(self, event: DraftingGroup.Changed) -> None:
        self.state = replace(self.state, speculation=event.choice.value)
        self.remember()

    @on(DraftingGroup.AssistantPressed)
    def _assistant_pressed(self) -> None:
        self.action_model_assistant()

    def action_model_assistant(self) -> None:
        """Choose a small model that drafts for the loaded one, or none."""
        if self.model.info is None or self.model.wanted is None:
            self.tell("Load a model first; then choose one that drafts for it.", severity="warning")
        elif self.assistant:
            answers = (
                Answer("other", "Choose another", "c"),
                Answer("none", "No assistant model", "n"),
            )
            text = f"{short_name(self.assistant)} drafts for {self.model.name}."
            self.app.push_screen(Ask("The assistant model", text, answers), self._asked)
        else:
            self._pick()

    def command_model_assistant(self, argument: str) -> None:
        """Have a model draft for the loaded one, or none; with nothing named, ask."""
        wanted = self.model.wanted
        if not argument.strip() or self.model.info is None or wanted is None:
            self.action_model_assistant()
            return
        name = "" if argument.strip().casefold() == "none" else argument.strip()
        if name == self.assistant:
            self.tell(f"{short_name(name)} drafts already." if name else "No model drafts.")
        else:
            self.choose_model(replace(wanted, assistant=name))

    def _asked(self, answer: str | None) -> None:
        if answer == "other":
            self._pick()
        elif answer == "none" and self.model.wanted is not None:
            self.choose_model(replace(self.model.wanted, assistant=""))

    def _pick(self) -> None:
        def chosen(request: LoadRequest | None) -> None:
            wanted = self.model.wanted
            if request is not None and wanted is not None:
                self.choose_model(replace(wanted, assistant=request.model))

        message = (
            f"A small model of the same family works best; it drafts, and {self.model.name} checks."
        )
        picker = ModelPicker(self.model_desk, message=message, assistant=True)
        self.app.push_screen(picker, chosen)
