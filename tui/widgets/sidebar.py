"""The settings sidebar: model, quantization, system prompt, generation parameters. It shows values and posts changes.

It has most of the widgets on the screen, and users don't look there first, so its groups are created after its first frame,
in two steps, so that keys are handled in between. On a narrow screen, that may never happen. Values that are set before are shown
as soon as the groups exist.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import ClassVar, Final

from textual import events, on, work
from textual.binding import BindingType
from textual.containers import Vertical, VerticalScroll
from textual.content import Content
from textual.css.query import NoMatches
from textual.message import Message
from textual.widget import Widget
from textual.widgets import Button, Label, Select, TextArea

from tui.conversation import ReplyStats
from tui.conversation.context import OverflowPolicy
from tui.dataclass import dataclass
from tui.engine.base import ModelInfo, Speculation, TemplateSwitch
from tui.engine.quantization import QUANTIZATIONS, availability
from tui.json_types import Json
from tui.parameters import PARAMETERS, Value, grouped
from tui.sanitize import sanitize, sanitize_line
from tui.widgets.drafting_group import DraftingGroup
from tui.widgets.editor import Editor
from tui.widgets.explanation import Explanation, SettingRow
from tui.widgets.figures import bytes_text
from tui.widgets.parameter_field import Defaults, ParameterField, ValueInput
from tui.widgets.parameter_group import Group, ParameterGroup
from tui.widgets.switch_field import SwitchField

_POLICIES: Final = {
    OverflowPolicy.ASK: "stop and ask",
    OverflowPolicy.DROP_OLDEST: "leave out the oldest turns",
    OverflowPolicy.KEEP_ENDS: "keep first and last turns",
    OverflowPolicy.SUMMARIZE: "summarize the oldest turns",
}


_FIRST_GROUPS: Final = 4
"""Model, quantization, system prompt and sampling: the groups that are open at first."""


class SystemPrompt(Editor):
    """The editor of the system prompt."""

    HELP = "Instructions for the model, sent before the chat. Applies from the next reply."

    _text_before = ""
    """The text when the field got the focus."""

    class Left(Message):
        """The field lost the focus, and its text is not the one from before."""

    @property
    def explanation(self) -> str:
        """What it is for."""
        return self.HELP

    def on_focus(self) -> None:
        """Remember the text."""
        self._text_before = self.text

    def on_blur(self) -> None:
        """Post `Left` if the text was changed."""
        if self.text != self._text_before:
            self._text_before = self.text
            self.post_message(self.Left())


class Sidebar(VerticalScroll):
    """Shows and changes the settings of the next reply."""

    BINDINGS: ClassVar[list[BindingType]] = []
    DEFAULT_CSS = """
    Sidebar {
        width: 38;
        padding: 0 1;
        background: $surface;
        scrollbar-size-vertical: 1;
        & #group-model { height: auto; padding: 0 0 0 1; }
        & #model { width: 1fr; height: 1; min-width: 10; border: none; padding: 0; content-align: left middle; text-align: left; background: $surface; color: $text-primary; text-style: bold; }
        & #model:focus { background: $surface-lighten-2; }
        & #model-note { color: $text-muted; width: 1fr; height: 1; padding-left: 1; text-wrap: nowrap; text-overflow: ellipsis; }
        & Select, & #assistant, & SystemPrompt { margin-right: 2; }
        & Select { width: 1fr; }
        & #quantization-row > .name { width: 15; padding-left: 1; }
        & #group-overflow Contents { padding: 0 0 0 2; }
        & #switches { height: auto; }
        & #reset-all { width: 1fr; margin: 1 0 0 1; padding: 0; height: 1; border: none; color: $text-muted; text-style: none; text-align: left; content-align: left middle; background: $surface; }
        & #group-system-prompt Contents { padding: 0 0 0 2; }
        & SystemPrompt { height: auto; min-height: 1; max-height: 6; border: none; padding: 0 1; background: $surface-lighten-1; }
        & SystemPrompt:focus { background: $surface-lighten-2; }
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
        self._quantization = quantization
        self._system_prompt = system_prompt
        self._parameters = dict(parameters or {})
        self._overflow = overflow
        self._speculation = speculation
        self._model = self._facts = ""
        """The name of the model, and how it is loaded."""
        self._measured: Mapping[str, tuple[int, float]] = {}
        self._switches: tuple[tuple[TemplateSwitch, ...], dict[str, Json]] = ((), {})
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
        groups = list(self._groups())
        # Each step lays out everything again. With many steps, it would take three times as long.
        for some in (groups[:_FIRST_GROUPS], groups[_FIRST_GROUPS:]):
            if self.is_attached:
                await self.mount_all(some)
        try:
            self._explain(self.query_one("#quantization", Select).value)
            self._show_reset(self._parameters)
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

    def _groups(self) -> Iterator[Widget]:
        yield Vertical(
            SettingRow("", Button(_named(self._model), id="model", compact=True), id="model-row"),
            Label(self._facts, id="model-note", markup=False),
            SettingRow(
                "Quantization",
                Select(
                    [(entry.label, entry.name) for entry in QUANTIZATIONS.values()],
                    value=self._quantization if self._quantization in QUANTIZATIONS else "none",
                    allow_blank=False,
                    compact=True,
                    id="quantization",
                ),
                id="quantization-row",
            ),
            id="group-model",
        )
        yield Group(
            "System prompt",
            SystemPrompt(
                sanitize(self._system_prompt),
                id="system-prompt",
                compact=True,
                highlight_cursor_line=False,
                placeholder="the model's default",
            ),
            id="group-system-prompt",
        )
        for group, members in grouped():
            yield ParameterGroup(group, members, self._parameters)
        switches = Group("Template switches", Vertical(id="switches"), id="group-template")
        switches.display = False
        yield switches
        yield DraftingGroup(self._speculation, id="group-drafting")
        yield Group(
            "When the context is full",
            SettingRow(
                "",
                Select(
                    [(label, policy.value) for policy, label in _POLICIES.items()],
                    value=self._overflow.value,
                    allow_blank=False,
                    compact=True,
                    id="overflow",
                ),
                "What to do when a chat has more tokens than the model can read.",
            ),
            id="group-overflow",
        )
        # At the end, so that nothing moves when it appears.
        yield Button("Reset parameters and prompt", id="reset-all", compact=True)
        yield Explanation()

    # -- values down

    def show_model(self, name: str, info: ModelInfo | None) -> None:
        """Show the loaded or requested model, and its defaults."""
        self._model, self._facts = name, _facts(info)
        self.when_filled("model", partial(self._show_model, name, info))

    def _show_model(self, name: str, info: ModelInfo | None) -> None:
        self.query_one("#model", Button).label = _named(name)
        explanation = "The model that replies. Press Enter to choose another."
        if info is not None:
            said = (explanation, info.quantization_locked, *info.notes)
            explanation = "\n".join(filter(None, said))
        self.query_one("#model-note", Label).update(_facts(info))
        self._say("model-row", explanation)
        for group in self.query(ParameterGroup):
            group.show_defaults(Defaults.of(info))
        self.query_one(DraftingGroup).display = info is None or info.capabilities.drafts
        select = self.query_one("#quantization", Select)
        select.disabled = bool(info and info.quantization_locked)
        if info is not None and info.quantization_locked:
            self._say("quantization-row", info.quantization_locked)
        else:
            self._explain(select.value)

    def show_quantization(self, name: str) -> None:
        """Show a quantization without posting a change."""
        self.when_filled("quantization", partial(self._show_quantization, name))

    def _show_quantization(self, name: str) -> None:
        select = self.query_one("#quantization", Select)
        if name in QUANTIZATIONS and select.value != name:
            with select.prevent(Select.Changed):
                select.value = name
        self._quantization = name
        if not select.disabled:
            self._explain(name)

    def show_overflow(self, policy: OverflowPolicy) -> None:
        """Show what happens when the context is full, without posting a change."""
        self.when_filled("overflow", partial(self._show_overflow, policy))

    def _show_overflow(self, policy: OverflowPolicy) -> None:
        select = self.query_one("#overflow", Select)
        self._overflow = policy
        if select.value != policy.value:
            with select.prevent(Select.Changed):
                select.value = policy.value

    def show_system_prompt(self, text: str) -> None:
        """Show a system prompt without posting a change."""
        self.when_filled("system_prompt", partial(self._show_system_prompt, text))

    def _show_system_prompt(self, text: str) -> None:
        editor = self.query_one("#system-prompt", SystemPrompt)
        self._system_prompt = text
        if editor.text != sanitize(text):
            with editor.prevent(TextArea.Changed):
                editor.load_text(sanitize(text))

    def show_prompt_note(self, text: str) -> None:
        """Show a note about the system prompt, such as its number of tokens."""
        self.when_filled("prompt_note", partial(self._show_prompt_note, text))

    def _show_prompt_note(self, text: str) -> None:
        self.query_one("#group-system-prompt", Group).show_note(sanitize_line(text))

    def show_parameters(self, values: Mapping[str, Value]) -> None:
        """Show parameter values without posting changes."""
        self.when_filled("parameters", partial(self._show_parameters, values))

    def _show_parameters(self, values: Mapping[str, Value]) -> None:
        for group in self.query(ParameterGroup):
            group.show_values(values)
        self._show_reset(values)

    def show_switches(self, switches: Sequence[TemplateSwitch], values: Mapping[str, Json]) -> None:
        """Show the switches of the model's chat template, and their values."""
        self.when_filled("switches", partial(self._show_switches, switches, values))

    def _show_switches(
        self, switches: Sequence[TemplateSwitch], values: Mapping[str, Json]
    ) -> None:
        self.query_one("#group-template").display = bool(switches)
        changed = sum(values.get(one.name) is not None for one in switches)
        self.query_one("#group-template", Group).show_changed(changed)
        if self._switches == (tuple(switches), dict(values)):
            return
        self._switches = (tuple(switches), dict(values))
        holder = self.query_one("#switches")
        holder.remove_children()
        holder.mount_all(SwitchField(one, values.get(one.name)) for one in switches)

    def show_drafting(
        self, info: ModelInfo | None, assistant: str, stats: ReplyStats | None
    ) -> None:
        """Show the assistant model, and how many drafts of the last reply were accepted."""
        self.when_filled(
            "drafting",
            lambda: self.query_one(DraftingGroup).show_state(info, assistant, stats),
        )

    def show_speculation(self, choice: Speculation) -> None:
        """Show how tokens are drafted, without posting a change."""
        self.when_filled("speculation", lambda: self.query_one(DraftingGroup).show_choice(choice))

    def focus_on(self, wanted: str) -> None:
        """Focus a setting: the model, the system prompt, or a parameter by name."""
        self.when_filled("focus", partial(self._focus_on, wanted))

    def _focus_on(self, wanted: str) -> None:
        if not self.display:
            return
        if wanted in PARAMETERS:
            found = (group.reveal(wanted) for group in self.query(ParameterGroup))
            field = next((one for one in found if one is not None), None)
            if field is None:
                return
            if inputs := field.query(ValueInput):
                self.screen.set_focus(inputs.first())
            else:
                # The field has just been created.
                self.call_after_refresh(self._focus_on, wanted)
            return
        if wanted == "system-prompt":
            editor = self.query_one("#system-prompt", SystemPrompt)
            editor.move_cursor(editor.document.end)
        # Its position is known after the next layout. Scrolling to it before that goes a line too far.
        self.screen.set_focus(self.query_one(f"#{wanted}"), scroll_visible=wanted != "model")
        if wanted == "model":
            self.scroll_home(animate=False)

    def show_measured(self, measured: Mapping[str, tuple[int, float]]) -> None:
        """Show what was measured for the model on this machine, by quantization: bytes after loading, and tokens per second."""
        self.when_filled("measured", partial(self._show_measured, measured))

    def _show_measured(self, measured: Mapping[str, tuple[int, float]]) -> None:
        self._measured = measured
        if not self.query_one("#quantization", Select).disabled:
            self._explain(self._quantization)

    def _explain(self, name: object) -> None:
        entry = QUANTIZATIONS.get(str(name))
        if entry is None:
            return
        found = availability(entry.name, "")
        sentences = [entry.help if found.ok else f"It {found.reason}: {found.command}"]
        weight, speed = self._measured.get(entry.name, (0, 0.0))
        figures = [bytes_text(weight)] if weight else []
        figures += [f"{speed:.0f} tok/s"] if speed else []
        if figures:
            sentences.append(f"Measured here: {', '.join(figures)}.")
        self._say("quantization-row", "\n".join(sentences))

    def _say(self, row: str, text: str) -> None:
        self.query_one(f"#{row}", SettingRow).explanation = text
        self.query_one(Explanation).look(self)

    @on(events.DescendantFocus)
    @on(events.DescendantBlur)
    def _focus_moved(self) -> None:
        if self.is_filled:
            self.query_one(Explanation).look(self)

    def _show_reset(self, values: Mapping[str, Value]) -> None:
        self._parameters = {name: value for name, value in values.items() if value is not None}
        self.query_one("#reset-all").display = bool(self._parameters)

    # -- messages up

    @on(ParameterField.Changed)
    def _parameter_changed(self, event: ParameterField.Changed) -> None:
        # The message bubbles on to the screen, which keeps the value.
        self._show_reset({**self._parameters, event.name: event.value})

    @on(SwitchField.Changed)
    def _switch_changed(self, event: SwitchField.Changed) -> None:
        switches, values = self._switches
        values = {**values, event.name: event.value}
        self._switches = (switches, {name: one for name, one in values.items() if one is not None})
        self.query_one("#group-template", Group).show_changed(len(self._switches[1]))

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
        is_over = event.value == self._quantization or event.value != event.select.value
        if is_over or not isinstance(event.value, str):
            return
        self._quantization = event.value
        self._explain(event.value)
        self.post_message(self.QuantizationChanged(event.value))

    @on(Select.Changed, "#overflow")
    def _overflow_chosen(self, event: Select.Changed) -> None:
        event.stop()
        if isinstance(event.value, str) and event.value != self._overflow.value:
            self._overflow = OverflowPolicy(event.value)
            self.post_message(self.OverflowPolicyChanged(self._overflow))

    @on(TextArea.Changed, "#system-prompt")
    def _prompt_typed(self, event: TextArea.Changed) -> None:
        event.stop()
        text = event.text_area.text
        if text != sanitize(self._system_prompt):
            self._system_prompt = text
            self.post_message(self.SystemPromptChanged(text))


def _named(model: str) -> Content:
    """Return the label of the button that chooses a model."""
    return Content(f"{sanitize_line(model) or 'choose…'} ▾")


def _facts(info: ModelInfo | None) -> str:
    """Return how a model is loaded, and its context."""
    if info is None:
        return ""
    limit = f"{info.context_tokens:,} tokens" if info.context_tokens else ""
    # There is no room for more than that; the status bar has the context, too.
    end = (info.engine, info.device) if info.engine else (info.device, limit)
    return sanitize_line(" · ".join(filter(None, (info.dtype, *end))))
