"""The dialog for load options: quantization, dtype, devices, memory limits, attention, revision, adapter."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Final

from textual import on
from textual.app import ComposeResult
from textual.containers import Horizontal, Vertical, VerticalScroll
from textual.content import Content
from textual.widgets import Input, Label, Select

from tui.engine.base import LoadRequest
from tui.engine.facts import ModelFacts
from tui.engine.llama.choice import ENGINES, in_engine
from tui.engine.quantization import NONE, QUANTIZATIONS, availability
from tui.errors import UserError
from tui.sanitize import sanitize_line
from tui.screens.dialog import FormDialog, Hint, show_problem
from tui.screens.models import rows
from tui.screens.models.rows import FreeMemory
from tui.widgets.line_input import LineInput
from tui.widgets.tick import Tick

_DTYPES: Final = ("auto", "bfloat16", "float16", "float32")
_DEVICES: Final = ("auto", "balanced", "sequential", "cpu", "cuda:0", "cuda:1", "mps", "xpu:0")
_ATTENTION: Final = (
    "",
    "sdpa",
    "eager",
    "flash_attention_2",
    "flash_attention_3",
    "flex_attention",
)
_LIMIT: Final = re.compile(r"\d+(\.\d+)?\s*([KMGT]i?B)", re.IGNORECASE)


class LoadOptions(FormDialog[LoadRequest]):
    """Returns the load request with the chosen options, or None."""

    CSS = """
    LoadOptions {
        & > #dialog { width: 84; height: auto; max-height: 94%; }
        & #fields { height: auto; max-height: 24; background: $surface; }
        &.-short #fields { height: 1fr; }
        & .row { height: auto; width: 1fr; }
        & .row > Label { width: 22; color: $text-muted; }
        & .row > Select, & .row > Input { width: 1fr; }
        & #fit { height: auto; width: 1fr; margin: 1 0; }
        & Tick { border: none; padding: 0; background: $surface; }
    }
    """

    def __init__(self, request: LoadRequest, facts: ModelFacts | None, memory: FreeMemory) -> None:
        """Create the dialog.

        Args:
            request: the load request to start from.
            facts: what is known about the model; None if nothing is.
            memory: the free memory.
        """
        super().__init__()
        self._request = request
        self._facts = facts
        self._memory = memory

    def compose(self) -> ComposeResult:
        """Lay out the fields."""
        request = self._request
        facts = self._facts_in(request.gguf)
        locked = bool(facts and facts.method)
        with Vertical(id="dialog"):
            yield Label(f"Load {sanitize_line(request.model, 60)}", classes="title", markup=False)
            yield Label("", id="fit", markup=False)
            with VerticalScroll(id="fields", can_focus=False):
                if facts is not None and facts.is_gguf:
                    yield from self._plain_choice("GGUF engine", "gguf", ENGINES, request.gguf)
                yield from self._choice(
                    "Quantization",
                    "quantization",
                    [(self._quantization_label(name), name) for name in QUANTIZATIONS],
                    NONE if locked else request.quantization,
                    disabled=locked,
                )
                with Horizontal(classes="row"):
                    yield Label("4-bit scales")
                    yield Tick(
                        "quantize them too (double quantization)", request.double_quant, id="double"
                    )
                yield from self._plain_choice(
                    "4-bit compute type", "compute", _DTYPES, request.compute_dtype
                )
                yield from self._plain_choice("Data type", "dtype", _DTYPES, request.dtype)
                yield from self._plain_choice("Device", "device", _DEVICES, request.device)
                yield from self._text(
                    "Memory limits",
                    "limits",
                    ", ".join(f"{name}={limit}" for name, limit in request.max_memory.items()),
                    "cuda:0=6GiB, cpu=20GiB",
                )
                yield from self._plain_choice(
                    "Attention", "attention", _ATTENTION, request.attention
                )
                yield from self._text("Revision", "revision", request.revision, "main")
                yield from self._text(
                    "LoRA adapter", "adapter", request.adapter, "a folder or Hub ID"
                )
                with Horizontal(classes="row"):
                    yield Label("Current model")
                    yield Tick("keep in memory too", request.keeps_former, id="keep")
            yield from self.compose_end(
                "Load",
                [
                    Hint("form.accept", "load", "accept"),
                    Hint("Tab", "next field", "app.focus_next"),
                    Hint("Esc", "close", "close"),
                ],
            )

    def _quantization_label(self, name: str) -> str:
        found = availability(name, self._memory.device)
        return QUANTIZATIONS[name].label + ("" if found.ok else f" – {sanitize_line(found.reason)}")

    def _choice(
        self,
        label: str,
        field: str,
        options: list[tuple[str, str]],
        value: str,
        *,
        disabled: bool = False,
    ) -> ComposeResult:
        with Horizontal(classes="row"):
            yield Label(label)
            yield Select(
                # As `Content`, because a plain string would be parsed as markup.
                [(Content(prompt), one) for prompt, one in options],
                value=value,
                allow_blank=False,
                compact=True,
                id=field,
                disabled=disabled,
            )

    def _plain_choice(
        self, label: str, field: str, values: tuple[str, ...], value: str
    ) -> ComposeResult:
        known = values if value in values else (*values, value)
        options = [(sanitize_line(one) or "the best one available", one) for one in known]
        yield from self._choice(label, field, options, value)

    def _text(self, label: str, field: str, value: str, placeholder: str) -> ComposeResult:
        with Horizontal(classes="row"):
            yield Label(label)
            yield LineInput(sanitize_line(value), placeholder=placeholder, compact=True, id=field)

    def on_mount(self) -> None:
        """Show whether the model fits."""
        self._show_fit()

    def _facts_in(self, engine: str) -> ModelFacts | None:
        """Return the facts with what is chosen to run GGUF files."""
        return in_engine(self._facts, engine) if self._facts is not None else None

    @property
    def _engine(self) -> str:
        chosen = self.query("#gguf").results(Select)
        return str(next((one.value for one in chosen), self._request.gguf))

    def _show_fit(self) -> None:
        facts = self._facts_in(self._engine)
        if facts is None:
            return
        name = str(self.query_one("#quantization", Select).value)
        dtype = str(self.query_one("#dtype", Select).value)
        one = rows.verdict(self._request.model, facts, name, self._memory, dtype)
        line = rows.verdict_line(one, self._memory.free_bytes)
        if facts.method:
            locked = Content.styled(rows.locked_text(facts), "$text-muted")
            line = Content("\n").join((line, locked))
        self.query_one("#fit", Label).update(line)

    @on(Select.Changed, "#quantization")
    @on(Select.Changed, "#dtype")
    def _quantization_changed(self, event: Select.Changed) -> None:
        event.stop()
        self._show_fit()

    @on(Select.Changed, "#gguf")
    def _engine_changed(self, event: Select.Changed) -> None:
        event.stop()
        facts = self._facts_in(self._engine)
        select = self.query_one("#quantization", Select)
        select.disabled = bool(facts and facts.method)
        if select.disabled:
            select.value = NONE
        self._show_fit()

    def action_accept(self) -> None:
        """Return the load request, or show what is wrong with a field."""
        try:
            limits = parse_limits(self.query_one("#limits", Input).value)
        except UserError as error:
            show_problem(self, str(error))
            return
        quantization = self._value("quantization")
        found = availability(quantization, self._memory.device)
        if not found.ok:
            remedy = f" Install it with: {found.command}" if found.command else ""
            show_problem(self, f"This quantization can't be used here: it {found.reason}.{remedy}")
            return
        self.dismiss(
            replace(
                self._request,
                quantization=quantization,
                gguf=self._engine,
                double_quant=self.query_one("#double", Tick).value,
                compute_dtype=self._value("compute"),
                dtype=self._value("dtype"),
                device=self._value("device"),
                max_memory=limits,
                attention=self._value("attention"),
                revision=self.query_one("#revision", Input).value.strip(),
                adapter=self.query_one("#adapter", Input).value.strip(),
                keeps_former=self.query_one("#keep", Tick).value,
            )
        )

    def _value(self, field: str) -> str:
        return str(self.query_one(f"#{field}", Select).value)


def parse_limits(text: str) -> dict[str, str]:
    """Return the memory limits that the user typed, for example `cuda:0=6GiB, cpu=20GiB`, by device.

    Raises:
        UserError: an entry isn't a device with an amount.
    """
    limits: dict[str, str] = {}
    for entry in filter(None, (part.strip() for part in text.split(","))):
        device, _, amount = (part.strip() for part in entry.partition("="))
        if not device or _LIMIT.fullmatch(amount) is None:
            raise UserError(f"Memory limits: {entry!r} isn't valid. Use the form cuda:0=6GiB.")
        limits[device] = amount.replace(" ", "")
    return limits
