"""The settings there are, each a field of its section: its type, its default, what it is for and what it can be.

The code reads them as `preferences.values.alerts.after_s`, and mypy knows the type. All else that deals with settings is made from
the same fields by `schema`. What can be set of generation is the table of parameters.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, TypeVar

from tui.conversation.context import OverflowPolicy
from tui.parameters import Value

_T = TypeVar("_T")


def setting(
    default: _T, text: str, *, choices: tuple[str, ...] = (), minimum: float | None = None, maximum: float | None = None,
) -> _T:  # fmt: skip
    """Declare a field of a section as a setting; see `schema.Setting` for what the arguments say."""
    facts = {"help": text, "choices": choices, "minimum": minimum, "maximum": maximum}
    return field(default=default, metadata=facts)


def table(text: str, *, keys: str, example: str, about: str = "", entry: type | None = None) -> Mapping[str, Any]:  # fmt: skip
    """Declare a field as a setting that is a table, empty by default.

    Args:
        text, keys, example: as in `schema.Setting`.
        about: of a table that is a section of its own: what the section is for.
        entry: of a table of tables: the class whose fields are what each of them can say.
    """
    facts = {"help": text, "keys": keys, "example": example, "about": about, "entry": entry}
    return field(default_factory=dict, metadata=facts)


# fmt: off
DIALECTS: Final = ("transformers", "vllm", "sglang", "llama-server", "ollama", "lm-studio", "mlx", "openai")
_DTYPES: Final = ("auto", "bfloat16", "float16", "float32")


@dataclass(frozen=True, slots=True)
class ModelSection:
    """What is loaded when the command line names no model, and how."""

    name: str = setting("", "A Hub id, a folder, a .gguf file, or demo; empty takes the one used last.")
    quantization: str = setting("", "How the weights are held in memory, as in --quantization; empty takes what was used last.")
    revision: str = setting("", "The model's branch, tag or commit on the Hub.")
    dtype: str = setting("auto", "The type of the weights.", choices=_DTYPES)
    device: str = setting("auto", "auto, balanced, sequential, cpu, cuda, cuda:1, mps and the like.")
    attention: str = setting("", "The attention implementation, as in sdpa or eager; empty takes the best one here.")
    double_quant: bool = setting(True, "Whether the scales of 4-bit weights are quantised too.")
    kernels: bool = setting(True, "On a CPU, use chat-tui's own linear layers and attention where they are faster than PyTorch's.")
    compile: bool = setting(False, "Decode with a pass that PyTorch compiles, for a GPU: a minute or two once for each model, then seconds at each load. On a CPU chat-tui's own kernels are faster.")
    threads: int = setting(0, "On a CPU, the threads that compute from the next load on; 0 takes as many as there are cores.", minimum=0, maximum=1024)
    compute_dtype: str = setting("auto", "What 4-bit weights are computed in.", choices=_DTYPES)
    max_memory: Mapping[str, str] = table("How much of each device is used at most.", keys="devices with amounts", example='{ "cuda:0" = "6GiB", cpu = "20GiB" }')


@dataclass(frozen=True, slots=True)
class ChatSection:
    """What a new chat begins with, and what belongs to every chat."""

    system_prompt: str = setting("", "What the model is told before a new chat begins.")
    user: str = setting("", "Your name above your messages; empty is You.")
    preset: str = setting("", "The preset that new chats begin with.")
    when_full: str = setting(
        OverflowPolicy.ASK.value, "What happens when a chat no longer fits the context.",
        choices=tuple(policy.value for policy in OverflowPolicy),
    )
    save_folder: str = setting("./chat_history/", "The folder that /save writes to when it is given no name.")
    examples: str = setting("", "A YAML file with examples for /example; empty takes the seven that are built in.")


@dataclass(frozen=True, slots=True)
class ScreenSection:
    """How the app looks."""

    theme: str = setting("", "The colours; empty takes the theme chosen last.")
    sidebar: bool = setting(True, "Whether the sidebar is shown where there is room for it.")
    reduced_motion: bool = setting(False, "Whether nothing moves by itself: no animation, no blinking cursor.")
    plain: bool = setting(False, "A plain screen for screen readers: no lines drawn, everything in one column.")
    ascii: bool = setting(False, "Whether lines and signs are drawn in ASCII alone; a terminal that is not UTF-8 has that anyway.")
    title: bool = setting(True, "Whether the terminal's title shows the chat's title.")
    tour: bool = setting(True, "Whether the first start says in three lines how things work.")


@dataclass(frozen=True, slots=True)
class ComposerSection:
    """The box in which a message is written."""

    fold_lines: int = setting(40, "A paste of more lines than this becomes an attachment; 0 never folds.", minimum=0, maximum=100_000)


@dataclass(frozen=True, slots=True)
class AlertsSection:
    """What happens when a long reply ends while the window is not in front."""

    kind: str = setting("bell", "What is done then.", choices=("off", "bell", "notification", "both"))
    after_s: float = setting(10.0, "A reply that took at least this many seconds is a long one.", minimum=0, maximum=86_400)


@dataclass(frozen=True, slots=True)
class KeysSection:
    """Which key does what."""

    map: str = setting("default", "A ready-made set of keys.", choices=("default", "vim", "emacs"))
    bindings: Mapping[str, str] = table("Keys of your own.", keys="actions with keys", example='{ "chat.new" = "ctrl+n,f12" }')


@dataclass(frozen=True, slots=True)
class ServerEntry:
    """A server whose models one talks with."""

    url: str = setting("", "Its address, as in http://localhost:8000, with or without /v1.")
    key_env: str = setting("", "The environment variable that holds the key it wants; the key itself is never written down.")
    dialect: str = setting("", "What it is, where that can't be found out.", choices=DIALECTS)
    context: int = setting(0, "The context in tokens: asked for of Ollama, and taken for granted where a server does not say.", minimum=0, maximum=100_000_000)


@dataclass(frozen=True, slots=True)
class Values:
    """Every setting with a value of its type, in the order in which they are listed."""

    model: ModelSection = field(default_factory=ModelSection)
    chat: ChatSection = field(default_factory=ChatSection)
    generation: Mapping[str, Value] = field(default_factory=dict, metadata={"about": "How replies are made; what is not set here is the model's own default."})
    """Those parameters that are set, by their names."""
    template: Mapping[str, str | bool | int | float] = table("Switches of the chat template.", keys="switches with their values", example="enable_thinking = false", about="Switches of chat templates, as in enable_thinking = false; a template that has none of that name ignores it.")
    screen: ScreenSection = field(default_factory=ScreenSection)
    composer: ComposerSection = field(default_factory=ComposerSection)
    alerts: AlertsSection = field(default_factory=AlertsSection)
    presets: Mapping[str, str] = table("The preset that is applied when a model is loaded.", keys="models with presets", example='"org/model" = "careful"', about="Which preset goes with which model.")
    servers: Mapping[str, ServerEntry] = table("Servers by names of your own, each a table [servers.NAME] with url, and where needed key_env, dialect and context.", keys="names with servers", example='home = { url = "http://localhost:8000", key_env = "HOME_KEY" }', about="Servers whose models can be talked with.", entry=ServerEntry)
    keys: KeysSection = field(default_factory=KeysSection)
# fmt: on
