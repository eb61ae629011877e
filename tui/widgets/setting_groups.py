"""The groups of the sidebar: their widgets, and what these show. They are created after the first frame, and imported with that."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from textual.containers import Vertical
from textual.content import Content
from textual.widget import Widget
from textual.widgets import Button, Label, Select, TextArea

from tui.conversation.context import OverflowPolicy
from tui.engine.base import ModelInfo, Speculation, TemplateSwitch
from tui.engine.quantization import QUANTIZATIONS, availability
from tui.json_types import Json
from tui.parameters import PARAMETERS, Value, grouped
from tui.sanitize import sanitize, sanitize_line
from tui.widgets.defaults import Defaults
from tui.widgets.drafting_group import DraftingGroup
from tui.widgets.explanation import Explanation, SettingRow
from tui.widgets.figures import bytes_text
from tui.widgets.parameter_field import ValueInput
from tui.widgets.parameter_group import Group, ParameterGroup
from tui.widgets.switch_field import SwitchField
from tui.widgets.system_prompt import SystemPrompt

_POLICIES: Final = {
    OverflowPolicy.ASK: "stop and ask",
    OverflowPolicy.DROP_OLDEST: "leave out the oldest turns",
    OverflowPolicy.KEEP_ENDS: "keep first and last turns",
    OverflowPolicy.SUMMARIZE: "summarize the oldest turns",
}


class ModelGroup(Vertical):
    """Holds the model and its quantization. As the first of the groups, it brings the styles of all of them in their sidebar."""

    SCOPED_CSS = False
    DEFAULT_CSS = """
    Sidebar {
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


class SettingGroups:
    """Creates the groups of a sidebar and shows values in them. It posts nothing; messages of the widgets are the sidebar's business.

    Attributes:
        quantization: the one that is shown.
        overflow: what happens when the context is full.
        system_prompt: the text as it is, not as it is shown.
        parameters: the values that are set.
    """

    def __init__(
        self,
        holder: Widget,
        *,
        quantization: str,
        system_prompt: str,
        parameters: Mapping[str, Value],
        overflow: OverflowPolicy,
        speculation: Speculation,
    ) -> None:
        """Begin with the values that the groups have when they are created.

        Args:
            holder: where the groups are mounted.
            quantization: its name.
            system_prompt: the text.
            parameters: the values that are set.
            overflow: what to do when a chat no longer fits the context.
            speculation: how tokens are drafted.
        """
        self._holder = holder
        self.quantization = quantization
        self.system_prompt = system_prompt
        self.parameters = dict(parameters)
        self.overflow = overflow
        self._speculation = speculation
        self._measured: Mapping[str, tuple[int, float]] = {}
        self._switches: tuple[tuple[TemplateSwitch, ...], dict[str, Json]] = ((), {})

    def widgets(self, model: str, info: ModelInfo | None) -> Iterator[Widget]:
        """Create the groups.

        Args:
            model: the name of the loaded or requested model.
            info: how it is loaded; None if it isn't.
        """
        yield ModelGroup(
            SettingRow("", Button(_named(model), id="model", compact=True), id="model-row"),
            Label(_facts(info), id="model-note", markup=False),
            SettingRow(
                "Quantization",
                Select(
                    [(entry.label, entry.name) for entry in QUANTIZATIONS.values()],
                    value=self.quantization if self.quantization in QUANTIZATIONS else "none",
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
                sanitize(self.system_prompt),
                id="system-prompt",
                compact=True,
                highlight_cursor_line=False,
                placeholder="the model's default",
            ),
            id="group-system-prompt",
        )
        for group, members in grouped():
            yield ParameterGroup(group, members, self.parameters)
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
                    value=self.overflow.value,
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

    def begin(self) -> None:
        """Show what the groups have to say about their first values, when they are mounted."""
        self.explain(self._select("#quantization").value)
        self.show_reset(self.parameters)

    def _select(self, selector: str) -> Select[str]:
        return self._holder.query_one(selector, Select)

    @property
    def drafting(self) -> DraftingGroup:
        """The group of speculative decoding."""
        return self._holder.query_one(DraftingGroup)

    def show_model(self, name: str, info: ModelInfo | None) -> None:
        """Show the loaded or requested model, and its defaults."""
        self._holder.query_one("#model", Button).label = _named(name)
        explanation = "The model that replies. Press Enter to choose another."
        if info is not None:
            said = (explanation, info.quantization_locked, *info.notes)
            explanation = "\n".join(filter(None, said))
        self._holder.query_one("#model-note", Label).update(_facts(info))
        self._say("model-row", explanation)
        for group in self._holder.query(ParameterGroup):
            group.show_defaults(Defaults.of(info))
        self.drafting.display = info is None or info.capabilities.drafts
        select = self._select("#quantization")
        select.disabled = bool(info and info.quantization_locked)
        if info is not None and info.quantization_locked:
            self._say("quantization-row", info.quantization_locked)
        else:
            self.explain(select.value)

    def show_quantization(self, name: str) -> None:
        """Show a quantization without posting a change."""
        select = self._select("#quantization")
        if name in QUANTIZATIONS and select.value != name:
            with select.prevent(Select.Changed):
                select.value = name
        self.quantization = name
        if not select.disabled:
            self.explain(name)

    def show_overflow(self, policy: OverflowPolicy) -> None:
        """Show what happens when the context is full, without posting a change."""
        select = self._select("#overflow")
        self.overflow = policy
        if select.value != policy.value:
            with select.prevent(Select.Changed):
                select.value = policy.value

    def show_system_prompt(self, text: str) -> None:
        """Show a system prompt without posting a change."""
        editor = self._holder.query_one("#system-prompt", SystemPrompt)
        self.system_prompt = text
        if editor.text != sanitize(text):
            with editor.prevent(TextArea.Changed):
                editor.load_text(sanitize(text))

    def show_prompt_note(self, text: str) -> None:
        """Show a note about the system prompt, such as its number of tokens."""
        self._holder.query_one("#group-system-prompt", Group).show_note(sanitize_line(text))

    def show_parameters(self, values: Mapping[str, Value]) -> None:
        """Show parameter values without posting changes."""
        for group in self._holder.query(ParameterGroup):
            group.show_values(values)
        self.show_reset(values)

    def show_switches(self, switches: Sequence[TemplateSwitch], values: Mapping[str, Json]) -> None:
        """Show the switches of the model's chat template, and their values."""
        self._holder.query_one("#group-template").display = bool(switches)
        changed = sum(values.get(one.name) is not None for one in switches)
        self._holder.query_one("#group-template", Group).show_changed(changed)
        if self._switches == (tuple(switches), dict(values)):
            return
        self._switches = (tuple(switches), dict(values))
        holder = self._holder.query_one("#switches")
        holder.remove_children()
        holder.mount_all(SwitchField(one, values.get(one.name)) for one in switches)

    def focus_on(self, wanted: str) -> None:
        """Focus a setting: the model, the system prompt, or a parameter by name."""
        if not self._holder.display:
            return
        if wanted in PARAMETERS:
            found = (group.reveal(wanted) for group in self._holder.query(ParameterGroup))
            field = next((one for one in found if one is not None), None)
            if field is None:
                return
            if inputs := field.query(ValueInput):
                self._holder.screen.set_focus(inputs.first())
            else:
                # The field has just been created.
                self._holder.call_after_refresh(self.focus_on, wanted)
            return
        if wanted == "system-prompt":
            editor = self._holder.query_one("#system-prompt", SystemPrompt)
            editor.move_cursor(editor.document.end)
        # Its position is known after the next layout. Scrolling to it before that goes a line too far.
        self._holder.screen.set_focus(
            self._holder.query_one(f"#{wanted}"), scroll_visible=wanted != "model"
        )
        if wanted == "model":
            self._holder.scroll_home(animate=False)

    def show_measured(self, measured: Mapping[str, tuple[int, float]]) -> None:
        """Show what was measured for the model on this machine, by quantization: bytes after loading, and tokens per second."""
        self._measured = measured
        if not self._select("#quantization").disabled:
            self.explain(self.quantization)

    def explain(self, name: object) -> None:
        """Say what a quantization is, and what was measured with it."""
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
        self._holder.query_one(f"#{row}", SettingRow).explanation = text
        self.explain_focus()

    def explain_focus(self) -> None:
        """Explain the setting that has the focus."""
        self._holder.query_one(Explanation).look(self._holder)

    def take_switch(self, name: str, value: Json) -> None:
        """Take over the value of a switch that was changed in its field."""
        switches, values = self._switches
        values = {**values, name: value}
        self._switches = (switches, {name: one for name, one in values.items() if one is not None})
        self._holder.query_one("#group-template", Group).show_changed(len(self._switches[1]))

    def show_reset(self, values: Mapping[str, Value]) -> None:
        """Offer to reset the parameters if any are set."""
        self.parameters = {name: value for name, value in values.items() if value is not None}
        self._holder.query_one("#reset-all").display = bool(self.parameters)


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
