"""The saved chats, the open chat and the settings side by side, and what happens when a setting is changed."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from textual import on
from textual.app import ComposeResult

from tui.chat.settings import ChatSettings
from tui.chat.ui import Ui
from tui.chat.undoing import Undoing
from tui.parameters import parameter
from tui.screens.chat.chat_column import ChatColumn
from tui.screens.chat.chats_column import ChatsColumn
from tui.widgets.ground import Row
from tui.widgets.sidebar import Sidebar

if TYPE_CHECKING:
    from tui.widgets.drafting_group import DraftingGroup
    from tui.widgets.parameter_field import ParameterField
    from tui.widgets.switch_field import SwitchField
    from tui.widgets.system_prompt import SystemPrompt


class Body(Row):
    """Lays out the columns and handles the messages of the settings. The other two columns handle their own messages."""

    def __init__(
        self,
        chats: ChatsColumn,
        chat: ChatColumn,
        sidebar: Sidebar,
        *,
        settings: ChatSettings,
        undoing: Undoing,
        requantize: Callable[[str], object],
        ui: Ui,
        run: Callable[[str], object],
    ) -> None:
        """Create it.

        Args:
            chats: the saved chats.
            chat: the open chat.
            sidebar: the settings.
            settings: the settings of the chat.
            undoing: undoes changes of the settings.
            requantize: loads the model with another quantization.
            ui: shows notifications.
            run: runs an action.
        """
        super().__init__(id="main")
        self._chats = chats
        self._chat = chat
        self._sidebar = sidebar
        self._settings = settings
        self._undoing = undoing
        self._requantize = requantize
        self._ui = ui
        self._run_action = run

    def compose(self) -> ComposeResult:
        """Lay out the columns."""
        yield self._chats
        yield self._chat
        yield self._sidebar

    # The messages of widgets that are imported after the first frame are found by their names.

    def on_parameter_field_changed(self, event: ParameterField.Changed) -> None:
        """Set a parameter."""
        label = parameter(event.name).label
        # A reset is a step of its own, so that undoing it restores the value that was reset.
        setting = event.name if event.value is not None else ""
        with self._undoing.step(label, setting):
            self._settings.set({event.name: event.value})

    def on_switch_field_changed(self, event: SwitchField.Changed) -> None:
        """Set a switch of the model's chat template."""
        with self._undoing.step(f"Set {event.name}", f"switch {event.name}"):
            self._settings.set_switch(event.name, event.value)

    @on(Sidebar.SystemPromptChanged)
    def _prompt_changed(self, event: Sidebar.SystemPromptChanged) -> None:
        with self._undoing.step("System prompt", "system prompt"):
            self._settings.set_prompt(event.text)

    def on_system_prompt_left(self, event: SystemPrompt.Left) -> None:
        """Say from when on a changed system prompt applies."""
        event.stop()
        way = self._ui.way("chat.undo")
        self._ui.tell(f"The system prompt applies from the next reply. {way} to undo.")

    @on(Sidebar.OverflowPolicyChanged)
    def _policy_changed(self, event: Sidebar.OverflowPolicyChanged) -> None:
        with self._undoing.step("Setting “When the context is full”", "overflow"):
            self._settings.set_overflow(event.policy)

    def on_drafting_group_changed(self, event: DraftingGroup.Changed) -> None:
        """Set how tokens are drafted."""
        with self._undoing.step("Drafting", "speculation"):
            self._settings.set_speculation(event.choice)

    @on(Sidebar.QuantizationChanged)
    def _quantization_changed(self, event: Sidebar.QuantizationChanged) -> None:
        self._requantize(event.name)

    def on_drafting_group_assistant_pressed(self) -> None:
        """Choose an assistant model."""
        self._run_action("model.assistant")

    @on(Sidebar.ModelPressed)
    def _model_pressed(self) -> None:
        self._run_action("model.choose")

    @on(Sidebar.ResetPressed)
    def _reset_pressed(self) -> None:
        self._run_action("settings.reset")
