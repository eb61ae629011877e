"""The one table of settings: what the configuration file, the environment and the settings screen can set.

The file's strict reader, `chat-tui config --explain`, the settings screen and the README's table are made from it. What can be set
of generation is the table of parameters.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from tui.conversation.context import OverflowPolicy
from tui.errors import UserError
from tui.flags import read_value
from tui.parameters import PARAMETERS, ParameterError, format_value

GENERATION: Final = "generation."
VARIABLE_PREFIX: Final = "CHAT_TUI_"
_SWITCH_NAME: Final = re.compile(r"[A-Za-z_]\w{0,63}")
_MAX_TEXT: Final = 1_000_000
_MOST_NUMBER: Final = 2**63
_WORDS: Final = {"true": True, "yes": True, "on": True, "1": True} | {
    "false": False, "no": False, "off": False, "0": False,
}  # fmt: skip


class SettingError(UserError):
    """A value that a setting can't take, or a setting that there is not."""


@dataclass(frozen=True, slots=True)
class Setting:
    """One setting.

    Attributes:
        key: its section and its name in the file, as in `screen.theme`.
        kind: `str`, `bool`, `int`, `float`, `list`, or `dict` for a table of texts.
        default: in force when nothing else is said; None for "not set".
        help: one sentence.
        choices: of a text: the ones allowed; empty where any is.
        minimum, maximum: of a number.
        keys: of a table: what its keys are.
        example: how it is written in the explanation when it has no default.
    """

    key: str
    kind: type
    default: Any
    help: str
    choices: tuple[str, ...] = ()
    minimum: float | None = None
    maximum: float | None = None
    keys: str = ""
    example: str = ""

    @property
    def section(self) -> str:
        """The table of the file that it stands in."""
        return self.key.rpartition(".")[0]

    @property
    def name(self) -> str:
        """Its name in that table."""
        return self.key.rpartition(".")[2]

    @property
    def variable(self) -> str:
        """The environment variable that sets it."""
        return VARIABLE_PREFIX + self.key.replace(".", "_").upper()

    @property
    def range_text(self) -> str:
        """What is allowed, in words."""
        if self.key.startswith(GENERATION):
            return PARAMETERS[self.name].range_text
        if self.kind is bool:
            return "true or false"
        if self.kind is dict:
            return f"a table of {self.keys}"
        if self.kind is str:
            return f"one of {', '.join(self.choices)}" if self.choices else "a text"
        low, high = format_value(self.minimum), format_value(self.maximum)
        return f"a number from {low} to {high}"

    def check(self, value: Any) -> Any:
        """Return a value as this setting's kind.

        Raises:
            SettingError: it is of another kind, or not allowed.
        """
        if self.key.startswith(GENERATION):
            try:
                return PARAMETERS[self.name].check(value)
            except ParameterError as error:
                raise self._refused(error.message, error.hint) from error
        if type(value) is int and abs(value) > _MOST_NUMBER:
            raise self._refused(f"the number is not {self.range_text}.")
        if self.kind is float and type(value) is int:
            value = float(value)
        is_right = type(value) is self.kind or (self.kind is dict and isinstance(value, Mapping))
        if not is_right or not self._is_allowed(value):
            raise self._refused(f"{str(value)[:40]!r} is not {self.range_text}.")
        return dict(value) if self.kind is dict else value

    def _is_allowed(self, value: Any) -> bool:
        if self.kind is str:
            return len(value) <= _MAX_TEXT and (not self.choices or value in self.choices)
        if self.kind in (int, float):
            low, high = self.minimum, self.maximum
            return (
                math.isfinite(value)
                and (low is None or value >= low)
                and (high is None or value <= high)
            )
        if self.kind is dict:
            scalars = (str,) if self.key != "template" else (str, bool, int, float)
            return all(isinstance(one, scalars) for one in value.values()) and (
                self.key != "template" or all(map(_SWITCH_NAME.fullmatch, value))
            )
        return True

    def parse(self, text: str) -> Any:
        """Return the value that a text stands for, as in an environment variable or a field.

        Raises:
            SettingError: it is not allowed.
        """
        if self.key.startswith(GENERATION):
            try:
                return read_value(self.name, text)
            except ParameterError as error:
                raise self._refused(error.message, error.hint) from error
        if self.kind is bool:
            if text.strip().lower() not in _WORDS:
                raise self._refused(f"{text[:40]!r} is not true or false.")
            return _WORDS[text.strip().lower()]
        if self.kind is dict:
            pairs = [pair.partition("=") for pair in text.split(",") if pair.strip()]
            return self.check({name.strip(): _plain(value.strip()) for name, _, value in pairs})
        try:
            value = self.kind(text)
        except ValueError as error:
            raise self._refused(f"{text[:40]!r} is not {self.range_text}.") from error
        return self.check(value)

    def _refused(self, why: str, hint: str = "") -> SettingError:
        return SettingError(f"Setting {self.key}: {why}", hint)


def _plain(text: str) -> Any:
    return text.lower() == "true" if text.lower() in ("true", "false") else text


_DTYPES: Final = ("auto", "bfloat16", "float16", "float32")

SECTIONS: Final[Mapping[str, str]] = {
    "model": "What is loaded when the command line names no model, and how.",
    "chat": "What a new chat begins with, and what belongs to every chat.",
    "generation": "How replies are made; what is not set here is the model's own default.",
    "template": "Switches of chat templates, as in enable_thinking = false; a template that has none of that name ignores it.",
    "screen": "How the app looks.",
    "composer": "The box in which a message is written.",
    "alerts": "What happens when a long reply ends while the window is not in front.",
    "presets": "Which preset goes with which model.",
    "keys": "Which key does what.",
}

SETTINGS: Final[Mapping[str, Setting]] = {
    setting.key: setting
    for setting in (
        Setting("model.name", str, "", "A Hub id, a folder, a .gguf file, or demo; empty takes the one used last."),
        Setting("model.quantization", str, "", "How the weights are held in memory, as in --quantization; empty takes what was used last."),
        Setting("model.revision", str, "", "The model's branch, tag or commit on the Hub."),
        Setting("model.dtype", str, "auto", "The type of the weights.", _DTYPES),
        Setting("model.device", str, "auto", "auto, balanced, sequential, cpu, cuda, cuda:1, mps and the like."),
        Setting("model.attention", str, "", "The attention implementation, as in sdpa or eager; empty takes the best one here."),
        Setting("model.double_quant", bool, True, "Whether the scales of 4-bit weights are quantised too."),
        Setting("model.kernels", bool, True, "On a CPU, use chat-tui's own linear layers and attention where they are faster than PyTorch's."),
        Setting("model.compile", bool, False, "Decode with a pass that PyTorch compiles, for a GPU: a minute or two once for each model, then seconds at each load. On a CPU chat-tui's own kernels are faster."),
        Setting("model.threads", int, 0, "On a CPU, the threads that compute from the next load on; 0 takes as many as there are cores.", minimum=0, maximum=1024),
        Setting("model.compute_dtype", str, "auto", "What 4-bit weights are computed in.", _DTYPES),
        Setting("model.max_memory", dict, {}, "How much of each device is used at most.", keys="devices with amounts", example='{ "cuda:0" = "6GiB", cpu = "20GiB" }'),
        Setting("chat.system_prompt", str, "", "What the model is told before a new chat begins."),
        Setting("chat.user", str, "", "Your name above your messages; empty is You."),
        Setting("chat.preset", str, "", "The preset that new chats begin with."),
        Setting(
            "chat.when_full", str, OverflowPolicy.ASK.value, "What happens when a chat no longer fits the context.",
            tuple(policy.value for policy in OverflowPolicy),
        ),
        Setting("chat.save_folder", str, "./chat_history/", "The folder that /save writes to when it is given no name."),
        Setting("chat.examples", str, "", "A YAML file with examples for /example; empty takes the seven that are built in."),
        *(
            Setting(f"{GENERATION}{known.name}", known.kind, None, known.help, example=format_value(known.default))
            for known in PARAMETERS.values()
        ),
        Setting("template", dict, {}, "Switches of the chat template.", keys="switches with their values", example="enable_thinking = false"),
        Setting("screen.theme", str, "", "The colours; empty takes the theme chosen last."),
        Setting("screen.sidebar", bool, True, "Whether the sidebar is shown where there is room for it."),
        Setting("screen.reduced_motion", bool, False, "Whether nothing moves by itself: no animation, no blinking cursor."),
        Setting("screen.plain", bool, False, "A plain screen for screen readers: no lines drawn, everything in one column."),
        Setting("screen.ascii", bool, False, "Whether lines and signs are drawn in ASCII alone; a terminal that is not UTF-8 has that anyway."),
        Setting("screen.title", bool, True, "Whether the terminal's title shows the chat's title."),
        Setting("screen.tour", bool, True, "Whether the first start says in three lines how things work."),
        Setting("composer.fold_lines", int, 40, "A paste of more lines than this becomes an attachment; 0 never folds.", (), 0, 100_000),
        Setting("alerts.kind", str, "bell", "What is done then.", ("off", "bell", "notification", "both")),
        Setting("alerts.after_s", float, 10.0, "A reply that took at least this many seconds is a long one.", (), 0, 86_400),
        Setting("presets", dict, {}, "The preset that is applied when a model is loaded.", keys="models with presets", example='"org/model" = "careful"'),
        Setting("keys.map", str, "default", "A ready-made set of keys.", ("default", "vim", "emacs")),
        Setting("keys.bindings", dict, {}, "Keys of your own.", keys="actions with keys", example='{ "chat.new" = "ctrl+n,f12" }'),
    )
}  # fmt: skip


def settings_of(section: str) -> Iterator[Setting]:
    """Yield the settings of one section, in the table's order."""
    return (one for one in SETTINGS.values() if one.key.partition(".")[0] == section)


def default_values() -> dict[str, Any]:
    """Return every setting with its default."""
    return {key: setting.default for key, setting in SETTINGS.items()}
