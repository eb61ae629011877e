"""The one table of generation parameters.

The sidebar, the command line, `/set`, validation, the session file and the README's table are made from it. A value that is
not set (None) means the model's own default, else the one named here. Names are those of transformers'
`GenerationConfig`, plus `seed`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

Value = float | int | None


class ParameterError(ValueError):
    """A value that a parameter can't take; the message is a sentence for a person."""


@dataclass(frozen=True, slots=True)
class Parameter:
    """One generation parameter.

    Attributes:
        name: as in `GenerationConfig`.
        label: what the sidebar calls it.
        kind: `float` or `int`.
        minimum, maximum: the values allowed, both included; None for no bound.
        step: what one press of an arrow key changes.
        default: in force when neither the user nor the model names a value; None for "none".
        help: one sentence.
    """

    name: str
    label: str
    kind: type[float | int]
    minimum: float | None
    maximum: float | None
    step: float
    default: Value
    help: str

    def parse(self, text: str) -> Value:
        """Return the value that a user typed; empty and `none` mean "not set".

        Raises:
            ParameterError: it is no number of this kind, or out of range.
        """
        typed = text.strip()
        if not typed or typed.lower() in ("none", "default", "auto"):
            return None
        try:
            number: float = int(typed) if self.kind is int else float(typed)
        except ValueError:
            what = "a whole number" if self.kind is int else "a number"
            raise ParameterError(f"{self.label}: {_brief(typed)!r} is not {what}") from None
        return self.check(number)

    def check(self, value: Any) -> Value:
        """Return `value` as this parameter's kind.

        Raises:
            ParameterError: it is of another kind, not finite or out of range.
        """
        if value is None:
            return None
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise ParameterError(f"{self.label}: {value!r} is not a number")
        if isinstance(value, float) and not math.isfinite(value):
            raise ParameterError(f"{self.label}: {value} is not a finite number")
        if self.kind is int and value != int(value):
            raise ParameterError(f"{self.label}: {value} is not a whole number")
        low, high = self.minimum, self.maximum
        if (low is not None and value < low) or (high is not None and value > high):
            shown = _brief(format_value(value))
            raise ParameterError(f"{self.label}: {shown} is not {self.range_text}")
        return self.kind(value)

    @property
    def range_text(self) -> str:
        """The allowed range in words, as in "from 0 to 1"."""
        low, high = self.minimum, self.maximum
        if low is not None and high is not None:
            return f"from {format_value(low)} to {format_value(high)}"
        if low is not None:
            return f"{format_value(low)} or more"
        return f"{format_value(high)} or less" if high is not None else "any number"

    def stepped(self, value: Value, steps: int, start: Value = None) -> Value:
        """Return the value `steps` presses of an arrow key away, within the range.

        Args:
            start: where to step from when `value` is not set: the default in force.
        """
        origin = next((v for v in (value, start, self.default, self.minimum) if v is not None), 0)
        moved = round(origin + steps * self.step, 6)
        if self.minimum is not None:
            moved = max(self.minimum, moved)
        if self.maximum is not None:
            moved = min(self.maximum, moved)
        return self.kind(moved)


def format_value(value: Any) -> str:
    """Return a value as a field shows it: no trailing zeros, empty for "not set"."""
    if value is None:
        return ""
    if isinstance(value, float):
        return f"{value:.6g}"
    return str(value)


def _brief(text: str, limit: int = 30) -> str:
    return text if len(text) <= limit else text[: limit - 1] + "…"


PARAMETERS: Final[Mapping[str, Parameter]] = {
    parameter.name: parameter
    for parameter in (
        Parameter(
            "temperature", "Temperature", float, 0.0, 2.0, 0.1, 0.7,
            "How freely the next token is drawn: 0 always takes the likeliest, higher values vary more.",
        ),
        Parameter(
            "top_p", "Top-p", float, 0.0, 1.0, 0.05, 0.95,
            "Draw from the likeliest tokens that together have this probability; 1 is off.",
        ),
        Parameter(
            "top_k", "Top-k", int, 0, 1000, 5, 50,
            "Draw from this many of the likeliest tokens; 0 is off.",
        ),
        Parameter(
            "min_p", "Min-p", float, 0.0, 1.0, 0.05, None,
            "Leave out tokens less likely than this share of the likeliest one; empty or 0 is off.",
        ),
        Parameter(
            "max_new_tokens", "Max new tokens", int, 1, 1_000_000, 64, 1024,
            "A reply ends after this many tokens, or when the context is full.",
        ),
        Parameter(
            "repetition_penalty", "Repetition penalty", float, 0.1, 5.0, 0.05, 1.0,
            "Above 1 makes tokens that already occur less likely; 1 is off.",
        ),
        Parameter(
            "seed", "Seed", int, 0, 2**32 - 1, 1, None,
            "Makes a reply repeatable; empty draws a new seed for each reply.",
        ),
    )
}  # fmt: skip


def parameter(name: str) -> Parameter:
    """Return the parameter of that name.

    Raises:
        ParameterError: there is none.
    """
    try:
        return PARAMETERS[name]
    except KeyError:
        known = ", ".join(PARAMETERS)
        raise ParameterError(
            f"there is no generation parameter {name!r} (known: {known})"
        ) from None


def checked(values: Mapping[str, Any]) -> dict[str, Value]:
    """Return the values that are set, each checked.

    Raises:
        ParameterError: a name or a value is not valid.
    """
    return {
        name: value
        for name, given in values.items()
        if (value := parameter(name).check(given)) is not None
    }


def readable(values: Any) -> dict[str, Value]:
    """Return those values of an untrusted mapping that are valid, and leave the others out."""
    found: dict[str, Value] = {}
    for name, known in PARAMETERS.items():
        try:
            value = known.check(values.get(name)) if isinstance(values, Mapping) else None
        except ParameterError:
            continue
        if value is not None:
            found[name] = value
    return found


def in_force(
    values: Mapping[str, Value], model_defaults: Mapping[str, Value] | None = None
) -> dict[str, Value]:
    """Return every parameter with the value in force: the user's, else the model's, else the table's."""
    defaults = model_defaults or {}
    result: dict[str, Value] = {}
    for name, known in PARAMETERS.items():
        value = values.get(name)
        if value is None:
            value = defaults.get(name)
        result[name] = known.default if value is None else value
    return result
