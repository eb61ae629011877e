"""The one table of generation parameters.

The sidebar, the command line, `/set`, the configuration file, validation, the session file and the table in docs/reference are made from
it. A value that is not set (None) means the model's own default, else the one named here. Names are those of transformers'
`GenerationConfig`, plus `seed`. Those of its names that a chat has no use for stand in `UNUSED`, each with the reason.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from difflib import get_close_matches
from typing import Any, Final, TypeAlias

from tui.dataclass import dataclass
from tui.errors import UserError
from tui.json_types import Json

Value: TypeAlias = bool | int | float | str | list[Json] | None
"""What a parameter can be; None for "not set"."""

Kind = type[float | int | bool | str | list[Json]]

_WORDS: Final = {
    "true": True, "yes": True, "on": True, "1": True,
    "false": False, "no": False, "off": False, "0": False,
}  # fmt: skip
_NOT_SET: Final = ("", "none", "default", "auto")
_MAX_ITEMS: Final = 10_000


class ParameterError(UserError):
    """An invalid parameter value, or an unknown parameter."""


@dataclass(frozen=True, slots=True)
class Parameter:
    """One generation parameter.

    Attributes:
        name: as in `GenerationConfig`.
        label: what the sidebar calls it.
        kind: `float`, `int`, `bool`, `str` or `list`.
        minimum, maximum: the numbers allowed, both included; None for no bound.
        step: what one press of an arrow key changes.
        default: in force when neither the user nor the model names a value; None for "none".
        help: one sentence.
        group: what the sidebar lists it under.
        items: of a list: `int`, `str`, or `list` for anything that is JSON.
        choices: of a text: the ones allowed; empty where any is.
        is_common: whether it is shown where there is room for a few only.
        blank: what holds when there is neither a value nor a default, in a word or two; it can be typed too.
        off: what the word "off" stands for, where that is not the same as no value.
        scale: the least and the greatest value that a bar shows; None for no bar. People set far less than what is allowed.
    """

    name: str
    label: str
    kind: Kind
    minimum: float | None
    maximum: float | None
    step: float
    default: Value
    help: str
    group: str = "Sampling"
    items: type | None = None
    choices: tuple[str, ...] = ()
    is_common: bool = False
    blank: str = "off"
    off: Value = None
    scale: tuple[float, float] | None = None

    def share(self, value: Value) -> float | None:
        """Return where a value lies on the scale, from 0 to 1; None where there is no scale or no number."""
        if self.scale is None or isinstance(value, bool) or not isinstance(value, int | float):
            return None
        least, most = self.scale
        return max(0.0, min(1.0, (value - least) / (most - least)))

    @property
    def is_number(self) -> bool:
        """Whether it takes a number."""
        return self.kind is int or self.kind is float

    def shown(self, value: Value) -> str:
        """Return a value as it can be typed, and "off" for what that stands for; empty for no value."""
        is_off = self.off is not None and not isinstance(value, bool) and value == self.off
        return "off" if is_off else format_value(value)

    def parse(self, text: str) -> Value:
        """Return the value that a user typed; empty and `none` mean "not set".

        Raises:
            ParameterError: it is no value of this kind, or out of range.
        """
        typed = text.strip()
        word = typed.lower()
        if word == "off" and self.off is not None:
            return self.off
        is_blank = self.default is None and word == self.blank
        if word in _NOT_SET or (is_blank and (self.kind is not bool or word not in _WORDS)):
            return None
        if self.kind is bool:
            if word not in _WORDS:
                raise self._refused("true or false", repr(_brief(typed)))
            return _WORDS[word]
        if self.kind is list:
            return self.check(self._list(typed))
        if self.kind is str:
            return self.check(typed)
        try:
            number: float = int(typed) if self.kind is int else float(typed)
        except ValueError:
            what = "a whole number" if self.kind is int else "a number"
            raise self._refused(what, repr(_brief(typed))) from None
        return self.check(number)

    def _list(self, typed: str) -> list[Json]:
        """Return a list as people type it: as JSON, as numbers between commas, or a single text."""
        if typed.startswith("["):
            try:
                found = json.loads(typed)
            except (ValueError, RecursionError):
                raise self._refused(self.range_text, repr(_brief(typed))) from None
            return list(found)
        if self.items is str:
            return [typed]
        try:
            return [int(part) for part in typed.split(",")]
        except ValueError:
            raise self._refused(self.range_text, repr(_brief(typed))) from None

    def check(self, value: object) -> Value:
        """Return `value` as this parameter's kind.

        Raises:
            ParameterError: it is of another kind, not finite or out of range.
        """
        if value is None:
            return None
        if self.kind is bool:
            if not isinstance(value, bool):
                raise self._refused("true or false", _shown(value))
            return value
        if self.kind is str:
            return self._checked_text(value)
        if self.kind is list:
            return self._checked_list(value)
        return self._checked_number(value)

    def _checked_number(self, value: object) -> Value:
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise self._refused("a number", _shown(value))
        if isinstance(value, float) and not math.isfinite(value):
            raise self._refused("a finite number", str(value))
        if self.kind is int and value != int(value):
            raise self._refused("a whole number", str(value))
        low, high = self.minimum, self.maximum
        if (low is not None and value < low) or (high is not None and value > high):
            raise self._refused(self.range_text, _brief(format_value(value)))
        return int(value) if self.kind is int else float(value)

    def _checked_text(self, value: object) -> Value:
        if not isinstance(value, str) or (self.choices and value not in self.choices):
            raise self._refused(self.range_text, _shown(value))
        return value

    def _checked_list(self, value: Any) -> Value:
        # A single token or text stands for a list of one, as it does in transformers.
        if self.items in (int, str) and type(value) is self.items:
            value = [value]
        is_list = isinstance(value, list | tuple) and 0 < len(value) <= _MAX_ITEMS
        if not is_list or not all(self._is_item(one) for one in value):
            raise self._refused(self.range_text, _shown(value))
        return [_plain(one) for one in value]

    def _is_item(self, value: object) -> bool:
        if self.items is int:
            low = self.minimum or 0
            return type(value) is int and low <= value < 2**31
        if self.items is str:
            return isinstance(value, str) and bool(value)
        return _is_json(value)

    def _refused(self, expected: str, shown: str) -> ParameterError:
        return ParameterError(f"{self.label} must be {expected}, not {shown}.")

    @property
    def range_text(self) -> str:
        """The allowed values in words, for example "from 0 to 1"."""
        if self.kind is bool:
            return "true or false"
        if self.kind is str:
            return f"one of {', '.join(self.choices)}" if self.choices else "a string"
        if self.kind is list:
            return _LISTS[self.items or list]
        low, high = self.minimum, self.maximum
        if low is not None and high is not None:
            return f"from {format_value(low)} to {format_value(high)}"
        if low is not None:
            return f"{format_value(low)} or more"
        return f"{format_value(high)} or less" if high is not None else "any number"

    def stepped(self, value: Value, steps: int, start: Value = None) -> Value:
        """Return the value `steps` presses of an arrow key away, within the range; lists stay as they are.

        Args:
            start: where to step from when `value` is not set: the default in force.
        """
        origin = next((v for v in (value, start, self.default, self.minimum) if v is not None), 0)
        if self.kind is bool:
            return not origin if value is not None or origin else True
        if self.kind is str and self.choices:
            at = self.choices.index(origin) if origin in self.choices else -1
            return self.choices[(at + steps) % len(self.choices)]
        if not self.is_number or not isinstance(origin, int | float):
            return value
        moved = round(origin + steps * self.step, 6)
        if self.minimum is not None:
            moved = max(self.minimum, moved)
        if self.maximum is not None:
            moved = min(self.maximum, moved)
        return int(moved) if self.kind is int else float(moved)


_LISTS: Final = {
    int: "a list of token IDs (for example [1, 2])",
    str: 'a list of strings (for example ["a", "b"])',
    list: "a list",
}


def format_value(value: object) -> str:
    """Return a value as a field shows it: no trailing zeros, empty for "not set"."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return f"{value:.6g}"
    if isinstance(value, list | tuple):
        return json.dumps(value, ensure_ascii=False)
    return str(value)


def _brief(text: str, limit: int = 30) -> str:
    return text if len(text) <= limit else text[: limit - 1] + "…"


def _shown(value: object) -> str:
    try:
        return _brief(repr(value))
    except (ValueError, RecursionError):  # an int of too many digits, a list in itself
        return "this"


def _is_json(value: object) -> bool:
    if isinstance(value, list | tuple):
        return all(map(_is_json, value))
    if isinstance(value, float):
        return math.isfinite(value)
    return isinstance(value, int | str | bool)


def _plain(value: Any) -> Any:
    return [_plain(one) for one in value] if isinstance(value, list | tuple) else value


def _number(
    name: str, label: str, kind: Kind, low: float | None, high: float | None, step: float, default: Value,
    group: str, text: str, *, is_common: bool = False, blank: str = "off", off: Value = None,
    scale: tuple[float, float] | None = None,
) -> Parameter:  # fmt: skip
    return Parameter(
        name,
        label,
        kind,
        low,
        high,
        step,
        default,
        text,
        group,
        is_common=is_common,
        blank=blank,
        off=off,
        scale=scale,
    )


def _switch(name: str, label: str, group: str, text: str, blank: str = "off") -> Parameter:
    return Parameter(name, label, bool, None, None, 1, None, text, group, blank=blank)


def _several(name: str, label: str, items: type, group: str, text: str, *, is_common: bool = False) -> Parameter:  # fmt: skip
    return Parameter(
        name, label, list, None, None, 1, None, text, group, items, is_common=is_common
    )


SAMPLING: Final = "Sampling"
REPETITION: Final = "Repetition"
LENGTH: Final = "Length and stopping"
TOKENS: Final = "Tokens"
SPEED: Final = "Speed"
GROUPS: Final = (SAMPLING, LENGTH, REPETITION, TOKENS, SPEED)

PARAMETERS: Final[Mapping[str, Parameter]] = {
    known.name: known
    for known in (
        _number(
            "temperature", "Temperature", float, 0.0, 100.0, 0.1, 0.7, SAMPLING,
            "Randomness of the next token: 0 always picks the most likely token; higher values vary more. Above 2, the text becomes incoherent.",
            is_common=True,
            scale=(0.0, 2.0),
        ),
        _number(
            "top_p", "Top-p", float, 0.0, 1.0, 0.05, 0.95, SAMPLING,
            "Sample from the most likely tokens whose probabilities add up to this value. 1 is off.", is_common=True, off=1.0, scale=(0.0, 1.0),
        ),
        _number(
            "top_k", "Top-k", int, 0, 100_000, 5, 50, SAMPLING,
            "Sample from this many of the most likely tokens. 0 is off.", is_common=True, off=0,
        ),
        _number(
            "min_p", "Min-p", float, 0.0, 1.0, 0.05, None, SAMPLING,
            "Exclude tokens less likely than this fraction of the most likely token's probability. Empty or 0 is off.", is_common=True, off=0.0, scale=(0.0, 1.0),
        ),
        _switch(
            "do_sample", "Sample", SAMPLING,
            "False always picks the most likely token, regardless of the temperature. If empty, the temperature decides.", blank="automatic",
        ),
        _number(
            "seed", "Seed", int, 0, 2**32 - 1, 1, None, SAMPLING,
            "Make replies reproducible. Empty uses a new random seed for each reply.", is_common=True, blank="random",
        ),
        _number(
            "typical_p", "Typical-p", float, 0.01, 1.0, 0.05, None, SAMPLING,
            "Sample from the tokens closest to the expected surprise, up to this total probability. 1 is off.", off=1.0, scale=(0.0, 1.0),
        ),
        _number(
            "top_h", "Top-h", float, 0.0, 1.0, 0.05, None, SAMPLING,
            "Keep the most likely tokens up to this fraction of the distribution's entropy.", scale=(0.0, 1.0),
        ),
        _number(
            "epsilon_cutoff", "Epsilon cutoff", float, 0.0, 0.999, 0.0001, None, SAMPLING,
            "Exclude tokens less likely than this; typically 3e-4 to 9e-4. 0 is off.", off=0.0,
        ),
        _number(
            "eta_cutoff", "Eta cutoff", float, 0.0, 0.999, 0.0001, None, SAMPLING,
            "Like the epsilon cutoff, but milder when the model is uncertain; typically 3e-4 to 4e-3. 0 is off.", off=0.0,
        ),
        _number(
            "guidance_scale", "Guidance scale", float, 0.01, 100.0, 0.1, None, SAMPLING,
            "Above 1 keeps the reply closer to the prompt, at twice the cost per token. 1 is off.", off=1.0,
        ),
        _switch(
            "renormalize_logits", "Renormalize", SAMPLING,
            "Rescale the probabilities to add up to 1 after tokens are excluded.",
        ),
        _switch(
            "remove_invalid_values", "Drop NaN and inf", SAMPLING,
            "Ignore NaN and infinite scores instead of failing, at some cost in speed.",
        ),
        _number(
            "max_new_tokens", "Max new tokens", int, 1, 1_000_000, 64, 1024, LENGTH,
            "End a reply after this many tokens, or when the context is full.", is_common=True,
        ),
        _number(
            "min_new_tokens", "Min new tokens", int, 0, 1_000_000, 16, None, LENGTH,
            "Don't end a reply before it has this many tokens. 0 is off.", off=0,
        ),
        _number(
            "max_length", "Max length", int, 1, 10_000_000, 256, None, LENGTH,
            "Limit prompt and reply together to this many tokens.",
        ),
        _number(
            "min_length", "Min length", int, 0, 10_000_000, 256, None, LENGTH,
            "Require at least this many tokens for prompt and reply together. 0 is off.", off=0,
        ),
        _number(
            "max_time", "Max time (s)", float, 0.1, 86_400.0, 5.0, None, LENGTH,
            "End a reply after this many seconds.",
        ),
        _several(
            "stop_strings", "Stop at", str, LENGTH,
            "End the reply before the first of these strings.", is_common=True,
        ),
        _several(
            "eos_token_id", "End tokens", int, LENGTH,
            "IDs of the tokens that end a reply, instead of the model's own.",
        ),
        _several(
            "forced_eos_token_id", "Forced last tokens", int, LENGTH,
            "IDs of the tokens to end a reply with when it reaches its maximum length.",
        ),
        _several(
            "exponential_decay_length_penalty", "Length decay", list, LENGTH,
            "[START, FACTOR]: from token START on, raise the probability of ending the reply by FACTOR per token.",
        ),
        _number(
            "repetition_penalty", "Repetition penalty", float, 0.01, 100.0, 0.05, 1.0, REPETITION,
            "Above 1 makes tokens that already occurred less likely. 1 is off.", is_common=True, off=1.0, scale=(1.0, 2.0),
        ),
        _number(
            "no_repeat_ngram_size", "No repeat n-gram", int, 0, 100, 1, None, REPETITION,
            "Don't repeat any sequence of this many tokens. 0 is off.", off=0,
        ),
        _number(
            "encoder_repetition_penalty", "Off-prompt penalty", float, 0.01, 100.0, 0.05, None, REPETITION,
            "Above 1 favors tokens that are in the prompt. 1 is off.", off=1.0,
        ),
        _number(
            "encoder_no_repeat_ngram_size", "No prompt n-gram", int, 0, 100, 1, None, REPETITION,
            "Don't copy any sequence of this many tokens from the prompt. 0 is off.", off=0,
        ),
        _several(
            "suppress_tokens", "Banned tokens", int, TOKENS, "IDs of tokens to never generate.",
        ),
        _several(
            "begin_suppress_tokens", "Banned at the start", int, TOKENS,
            "IDs of tokens that a reply must not start with.",
        ),
        _several(
            "bad_words_ids", "Banned sequences", list, TOKENS, "Sequences of token IDs to never generate, for example [[5, 6], [7]].",
        ),
        _several(
            "sequence_bias", "Sequence bias", list, TOKENS,
            "Sequences of token IDs with a value to add to their scores, for example [[[5, 6], -2.0]].",
        ),
        _number(
            "bos_token_id", "Start token", int, 0, 2**31 - 1, 1, None, TOKENS, "ID of the token that starts a text.",
        ),
        _number(
            "pad_token_id", "Padding token", int, 0, 2**31 - 1, 1, None, TOKENS, "ID of the token that pads a batch.",
        ),
        _number(
            "prompt_lookup_num_tokens", "Prompt lookup", int, 0, 100, 1, None, SPEED,
            "Draft this many tokens at a time from text already in the chat. 0 is off; empty enables it when it is faster.",
            blank="when faster", off=0,
        ),
        _number(
            "max_matching_ngram_size", "Lookup n-gram", int, 1, 20, 1, None, SPEED,
            "The longest sequence of tokens that prompt lookup searches for.", blank="auto",
        ),
        _number(
            "num_assistant_tokens", "Draft tokens", int, 1, 100, 1, None, SPEED,
            "The number of tokens that an assistant model drafts at a time.", blank="auto",
        ),
        Parameter(
            "num_assistant_tokens_schedule", "Draft schedule", str, None, None, 1, None,
            "How the number of drafted tokens adapts to how many were accepted.", SPEED,
            choices=("constant", "heuristic", "heuristic_transient"), blank="auto",
        ),
        _number(
            "assistant_confidence_threshold", "Draft confidence", float, 0.0, 1.0, 0.05, None, SPEED,
            "An assistant model stops drafting when its confidence is lower than this.", blank="auto",
        ),
    )
}  # fmt: skip

_ONE_REPLY: Final = "a chat streams one reply, and beams or several replies can't be streamed"
_REMOVED: Final = (
    "transformers moved this decoding method to separate repositories with custom code"
)
_INTERNAL: Final = "the app sets it automatically"
_OUTPUTS: Final = "a chat shows only the text"
_SERVING: Final = "it is for serving many requests at once"
_CODE: Final = "it requires a structure that only a program can supply"
_DRAFTS: Final = "it depends on the drafting method"

UNUSED: Final[Mapping[str, str]] = {
    **dict.fromkeys(
        (
            "num_beams", "num_beam_groups", "num_return_sequences", "length_penalty", "early_stopping",
            "diversity_penalty", "constraints", "force_words_ids",
        ),
        _ONE_REPLY,
    ),
    **dict.fromkeys(("penalty_alpha", "dola_layers", "low_memory"), _REMOVED),
    **dict.fromkeys(
        (
            "use_cache", "cache_implementation", "cache_config", "max_cache_len", "prefill_chunk_size", "compile_config",
            "disable_compile", "is_assistant", "token_healing", "transformers_version", "decoder_start_token_id",
            "forced_bos_token_id", "return_dict_in_generate",
        ),
        _INTERNAL,
    ),
    **dict.fromkeys(("output_attentions", "output_hidden_states", "output_logits", "output_scores"), _OUTPUTS),
    **dict.fromkeys(("continuous_batching_config",), _SERVING),
    **dict.fromkeys(("watermarking_config",), _CODE),
    **dict.fromkeys(
        (
            "assistant_early_exit", "assistant_ensemble_weight", "assistant_lookbehind", "target_lookbehind",
            "speculation_type", "use_mtp",
        ),
        _DRAFTS,
    ),
}  # fmt: skip
"""Unused names of `GenerationConfig`, with the reason."""


def parameter(name: str) -> Parameter:
    """Return the parameter of that name.

    Raises:
        ParameterError: there is none.
    """
    try:
        return PARAMETERS[name]
    except KeyError:
        pass
    if name in UNUSED:
        raise ParameterError(f"{name!r} can't be set in a chat: {UNUSED[name]}.")
    raise ParameterError(
        f"There is no generation parameter {_brief(name)!r}.", did_you_mean(name, PARAMETERS)
    )


def did_you_mean(word: str, known: Sequence[str] | Mapping[str, object], sign: str = "") -> str:
    """Return `Did you mean ...?` with the known word that is nearest, behind a sign; empty when none is near."""
    folded = {name.replace("-", "_").lower(): name for name in known}
    near = get_close_matches(word.replace("-", "_").lower(), list(folded), n=1, cutoff=0.6)
    return f"Did you mean {sign}{folded[near[0]]}?" if near else ""


def grouped(*, is_common: bool | None = None) -> Iterator[tuple[str, list[Parameter]]]:
    """Yield each group with its parameters, in the table's order."""
    for group in GROUPS:
        members = [
            known
            for known in PARAMETERS.values()
            if known.group == group and is_common in (None, known.is_common)
        ]
        if members:
            yield group, members


def checked(values: Mapping[str, object]) -> dict[str, Value]:
    """Return the values that are set, each checked.

    Raises:
        ParameterError: a name or a value is not valid.
    """
    return {
        name: value
        for name, given in values.items()
        if (value := parameter(name).check(given)) is not None
    }


def readable(values: object) -> dict[str, Value]:
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


def whole(values: Mapping[str, Value], name: str) -> int | None:
    """Return a parameter that is a whole number; None where it is not set."""
    value = values.get(name)
    return int(value) if isinstance(value, int | float) else None


def whole_numbers(values: Mapping[str, Value], name: str) -> list[int]:
    """Return a parameter that is a list of whole numbers; empty where it is not set."""
    value = values.get(name)
    return [one for one in value if isinstance(one, int)] if isinstance(value, list) else []


def texts(values: Mapping[str, Value], name: str) -> list[str]:
    """Return a parameter that is a list of texts; empty where it is not set."""
    value = values.get(name)
    return [one for one in value if isinstance(one, str)] if isinstance(value, list) else []
