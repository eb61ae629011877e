"""The settings sidebar: model, quantization, system prompt, generation parameters. It takes values and posts changes.

It has most of the widgets on the screen, and users don't look there first, so its groups (`setting_groups`) are imported and created
after its first frame, in steps, so that keys are handled in between. On a narrow screen, that may never happen. Values that are set
before are shown as soon as the groups exist.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, ClassVar, Final

from textual import events, on, work
from textual.binding import BindingType
from textual.containers import VerticalScroll
from textual.css.query import NoMatches
from textual.message import Message
from textual.widgets import Button, Select, TextArea

from tui.conversation import ReplyStats
from tui.conversation.context import OverflowPolicy
from tui.dataclass import dataclass
from tui.engine.base import ModelInfo, Speculation, TemplateSwitch
from tui.json_types import Json
from tui.late import imported
from tui.parameters import Value
from tui.sanitize import sanitize

if TYPE_CHECKING:
    from tui.widgets.parameter_field import ParameterField
    from tui.widgets.setting_groups import SettingGroups
    from tui.widgets.switch_field import SwitchField

_STEPS: Final = (0, 2, 3, 5, 8, None)
"""Where the steps begin in which the groups are mounted. Those at the front are open, so they cost more."""
_PAUSE_S: Final = 0.02
"""How long keys have the screen to themselves between two steps."""


class Sidebar(VerticalScroll):
    """Shows and changes the settings of the next reply."""

    BINDINGS: ClassVar[list[BindingType]] = []
    DEFAULT_CSS = """
    Sidebar {
        width: 38;
        padding: 0 1;
        background: $surface;
        scrollbar-size-vertical: 1;
    }
    """

    class ModelPressed(Message):
        """The user wants another model."""

    class ResetPressed(Message):
        """The user wants to reset all parameters."""

    @dataclass
    class QuantizationChanged(Message):
        """The user chose another quantization."""

        name: str

    @dataclass
    class OverflowPolicyChanged(Message):
        """The user chose what to do when a chat no longer fits the context."""

        policy: OverflowPolicy

    @dataclass
    class SystemPromptChanged(Message):
        """The text of the system prompt has changed."""

        text: str

    def __init__(
        self,
        *,
        quantization: str = "none",
        system_prompt: str = "",
        parameters: Mapping[str, Value] | None = None,
        overflow: OverflowPolicy = OverflowPolicy.ASK,
        speculation: Speculation = Speculation.AUTO,
        id: str | None = None,  # noqa: A002 - Textual's name
    ) -> None:
        super().__init__(id=id, can_focus=False)

        def make_groups() -> SettingGroups:
            from tui.widgets.setting_groups import SettingGroups

            return SettingGroups(
                self,
                quantization=quantization,
                system_prompt=system_prompt,
                parameters=parameters or {},
                overflow=overflow,
                speculation=speculation,
            )

        self._make_groups = make_groups
        self._groups: SettingGroups | None = None
        self._model: tuple[str, ModelInfo | None] = ("", None)
        """The name of the loaded or requested model, and what it is."""
        self._is_begun = False
        self._waiting: dict[str, Callable[[], object]] | None = {}
        """The newest pending call of each kind, waiting for the groups; None once they exist."""

    def on_show(self) -> None:
        """Create the groups after the first frame that shows the sidebar is painted."""
        if not self._is_begun:
            self._is_begun = True
            self.call_after_refresh(self._fill)

    @work(group="fill")
    async def _fill(self) -> None:
        try:
            await self._mount_groups()
        except Exception:
            # If the app is closing, there is nothing left to mount to.
            if self.is_attached and self.app.is_running:
                raise

    async def _mount_groups(self) -> None:
        await imported("tui.widgets.setting_groups")
        self._groups = groups = self._make_groups()
        widgets = list(groups.widgets(*self._model))
        # Each step lays out everything again. With many steps, it would take three times as long; with one, keys would wait for it.
        for first, end in pairwise(_STEPS):
            if self.is_attached:
                await self.mount_all(widgets[first:end])
                await asyncio.sleep(_PAUSE_S)
        try:
            groups.begin()
        except NoMatches:
            # The app is closing, and the mounted widgets are being removed one by one.
            return
        waiting, self._waiting = self._waiting or {}, None
        for call in waiting.values():
            call()

    @property
    def is_filled(self) -> bool:
        """Whether all groups exist."""
        return self._waiting is None

    def when_filled(self, kind: str, call: Callable[[], object]) -> None:
        """Make a call that needs the groups: now, or when they exist, unless a newer call of the same kind has replaced it.

        Not while they are being removed, for example because the app is closing.
        """
        if self._waiting is not None:
            self._waiting.pop(kind, None)
            self._waiting[kind] = call
        elif self.is_running:
            call()

    def _show(self, kind: str, show: Callable[[SettingGroups], object]) -> None:
        """Have the groups show something, now or when they exist."""

        def shown() -> None:
            if self._groups is not None:
                show(self._groups)

        self.when_filled(kind, shown)

    # -- values down

    def show_model(self, name: str, info: ModelInfo | None) -> None:
        """Show the loaded or requested model, and its defaults."""
        self._model = name, info
        self._show("model", lambda groups: groups.show_model(name, info))

    def show_quantization(self, name: str) -> None:
        """Show a quantization without posting a change."""
        self._show("quantization", lambda groups: groups.show_quantization(name))

    def show_overflow(self, policy: OverflowPolicy) -> None:
        """Show what happens when the context is full, without posting a change."""
        self._show("overflow", lambda groups: groups.show_overflow(policy))

    def show_system_prompt(self, text: str) -> None:
        """Show a system prompt without posting a change."""
        self._show("system_prompt", lambda groups: groups.show_system_prompt(text))

    def show_prompt_note(self, text: str) -> None:
        """Show a note about the system prompt, such as its number of tokens."""
        self._show("prompt_note", lambda groups: groups.show_prompt_note(text))

    def show_parameters(self, values: Mapping[str, Value]) -> None:
        """Show parameter values without posting changes."""
        self._show("parameters", lambda groups: groups.show_parameters(values))

    def show_switches(self, switches: Sequence[TemplateSwitch], values: Mapping[str, Json]) -> None:
        """Show the switches of the model's chat template, and their values."""
        self._show("switches", lambda groups: groups.show_switches(switches, values))

    def show_drafting(
        self, info: ModelInfo | None, assistant: str, stats: ReplyStats | None
    ) -> None:
        """Show the assistant model, and how many drafts of the last reply were accepted."""
        self._show("drafting", lambda groups: groups.drafting.show_state(info, assistant, stats))

    def show_speculation(self, choice: Speculation) -> None:
        """Show how tokens are drafted, without posting a change."""
        self._show("speculation", lambda groups: groups.drafting.show_choice(choice))

    def show_measured(self, measured: Mapping[str, tuple[int, float]]) -> None:
        """Show what was measured for the model on this machine, by quantization: bytes after loading, and tokens per second."""
        self._show("measured", lambda groups: groups.show_measured(measured))

    def focus_on(self, wanted: str) -> None:
        """Focus a setting: the model, the system prompt, or a parameter by name."""
        self._show("focus", lambda groups: groups.focus_on(wanted))

    @property
    def has_or_awaits_focus(self) -> bool:
        """Whether one of the settings has the focus, or will have it once the groups exist."""
        return self.has_focus_within or "focus" in (self._waiting or {})

    @on(events.DescendantFocus)
    @on(events.DescendantBlur)
    def _focus_moved(self) -> None:
        if self._groups is not None and self.is_filled:
            self._groups.explain_focus()

    # -- messages up. Those of widgets that are imported with the groups are found by their names.

    def on_parameter_field_changed(self, event: ParameterField.Changed) -> None:
        """Offer to reset the parameters. The message bubbles on to the screen, which keeps the value."""
        if (groups := self._groups) is not None:
            groups.show_reset({**groups.parameters, event.name: event.value})

    def on_switch_field_changed(self, event: SwitchField.Changed) -> None:
        """Count the changed switches. The message bubbles on to the screen, which keeps the value."""
        if self._groups is not None:
            self._groups.take_switch(event.name, event.value)

    @on(Button.Pressed, "#reset-all")
    def _reset_pressed(self, event: Button.Pressed) -> None:
        event.stop()
        self.post_message(self.ResetPressed())

    @on(Button.Pressed, "#model")
    def _model_pressed(self, event: Button.Pressed) -> None:
        event.stop()
        self.post_message(self.ModelPressed())

    @on(Select.Changed, "#quantization")
    def _quantization_chosen(self, event: Select.Changed) -> None:
        event.stop()
        # Select reports its first value when it is mounted, which is not the user's choice. Neither is a value that has been replaced since.
        groups = self._groups
        if groups is None or not isinstance(event.value, str):
            return
        if event.value == groups.quantization or event.value != event.select.value:
            return
        groups.quantization = event.value
        groups.explain(event.value)
        self.post_message(self.QuantizationChanged(event.value))

    @on(Select.Changed, "#overflow")
    def _overflow_chosen(self, event: Select.Changed) -> None:
        event.stop()
        groups = self._groups
        if groups is None or not isinstance(event.value, str):
            return
        if event.value != groups.overflow.value:
            groups.overflow = OverflowPolicy(event.value)
            self.post_message(self.OverflowPolicyChanged(groups.overflow))

    @on(TextArea.Changed, "#system-prompt")
    def _prompt_typed(self, event: TextArea.Changed) -> None:
        event.stop()
        text = event.text_area.text
        groups = self._groups
        if groups is not None and text != sanitize(groups.system_prompt):
            groups.system_prompt = text
            self.post_message(self.SystemPromptChanged(text))
