"""The settings there are, each a field of its section: its type, its default, what it is for and what it can be.

The code reads them as `preferences.values.alerts.after_s`, and mypy knows the type. All else that deals with settings is made from
the same fields by `schema`. What can be set of generation is the table of parameters.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from typing import Any, Final, TypeVar

from tui.conversation.context import OverflowPolicy
from tui.dataclass import dataclass
from tui.parameters import Value

_T = TypeVar("_T")


def setting(
    default: _T, title: str, text: str, *,
    blank: str = "", choices: tuple[str, ...] = (), minimum: float | None = None, maximum: float | None = None,
) -> _T:  # fmt: skip
    """Declare a field of a section as a setting; see `schema.Setting` for what the arguments say."""
    facts = {"title": title, "help": text, "blank": blank, "choices": choices, "minimum": minimum, "maximum": maximum}  # fmt: skip
    return field(default=default, metadata=facts)


def table(
    title: str, text: str, *, keys: str, example: str, blank: str = "none", about: str = "", group: str = "", entry: type | None = None,
) -> Mapping[str, Any]:  # fmt: skip
    """Declare a field as a setting that is a table, empty by default.

    Args:
        title, text, keys, example, blank: as in `schema.Setting`.
        about, group: of a table that is a section of its own: what the section is for, and its group's title.
        entry: of a table of tables: the class whose fields are what each of them can say.
    """
    facts = {"title": title, "help": text, "keys": keys, "example": example, "blank": blank, "about": about, "group": group, "entry": entry}  # fmt: skip
    return field(default_factory=dict, metadata=facts)


# fmt: off
DIALECTS: Final = ("transformers", "vllm", "sglang", "llama-server", "ollama", "lm-studio", "mlx", "openai")
_DTYPES: Final = ("auto", "bfloat16", "float16", "float32")


@dataclass(frozen=True, slots=True)
class ModelSection:
    """The model to load if the command line names none, and how to load it."""

    name: str = setting("", "Model", "A Hub ID, a folder, a .gguf file, or demo. Empty loads the last used model.", blank="none")
    quantization: str = setting("", "Quantization", "How the weights are stored in memory. Empty keeps the last used quantization, or uses none if a model is named.", blank="none")
    revision: str = setting("", "Revision", "The branch, tag or commit of the model on the Hub.", blank="main")
    dtype: str = setting("auto", "Data type", "The data type of the weights.", choices=_DTYPES)
    device: str = setting("auto", "Device", "Where the model runs: auto, balanced, sequential, cpu, cuda, cuda:1, mps and so on.")
    attention: str = setting("", "Attention", "The attention implementation, such as sdpa or eager. Empty picks the best one for this machine.", blank="auto")
    double_quant: bool = setting(True, "Double quantization", "Quantize the scales of 4-bit weights too.")
    kernels: bool = setting(True, "Fast CPU kernels", "On a CPU, use chat-tui's own linear layers and attention where they are faster than PyTorch's.")
    compile: bool = setting(False, "Compile decoding", "Compile decoding with PyTorch, for a GPU. The first load of a model takes a minute or two longer; later loads, a few seconds. On a CPU, chat-tui's own kernels are faster.")
    threads: int = setting(0, "CPU threads", "The number of threads to compute with on a CPU; 0 uses one per core.", blank="one per core", minimum=0, maximum=1024)
    compute_dtype: str = setting("auto", "4-bit compute type", "The data type to compute with when weights have 4 bits.", choices=_DTYPES)
    gguf: str = setting("auto", "GGUF engine", "What runs GGUF files. llama.cpp keeps the weights as they are in the file; transformers unpacks them to 16 bits. Auto uses llama.cpp if it is installed.", choices=("auto", "llama.cpp", "transformers"))
    context: int = setting(0, "GGUF context", "The context length, in tokens, that llama.cpp reserves memory for when loading a GGUF file; 0 picks what fits.", blank="what fits", minimum=0, maximum=100_000_000)
    process: bool = setting(True, "Separate process", "Run the engine in a separate process, so that a crash ends only the engine, not the app.")
    max_memory: Mapping[str, str] = table("Memory limits", "The most memory to use on each device.", blank="no limit", keys="devices and sizes", example='{ "cuda:0" = "6GiB", cpu = "20GiB" }')


FORMER_CHOICES: Final[Mapping[str, str]] = {"summarise": OverflowPolicy.SUMMARIZE.value}
"""What choices were called before, as files of the user's may still have it."""


@dataclass(frozen=True, slots=True)
class ChatSection:
    """Defaults for new chats, and settings for every chat."""

    system_prompt: str = setting("", "System prompt", "Instructions for the model, sent before the chat.", blank="none")
    user: str = setting("", "Your name", "The name shown above your messages.", blank="You")
    preset: str = setting("", "Default preset", "The preset that new chats start with.", blank="none")
    when_full: str = setting(
        OverflowPolicy.ASK.value, "When the context is full", "What to do when a chat no longer fits the context.",
        choices=tuple(policy.value for policy in OverflowPolicy),
    )
    save_folder: str = setting("./chat_history/", "Save folder", "The folder that /save writes to when you give no file name.")
    examples: str = setting("", "Examples file", "A YAML file with examples for /example. Empty uses the built-in ones.", blank="built-in")


@dataclass(frozen=True, slots=True)
class ScreenSection:
    """How the app looks."""

    theme: str = setting("", "Theme", "The color theme. Empty keeps the last used theme.", blank="last used")
    sidebar: bool = setting(True, "Sidebar", "Show the sidebar if there is room for it.")
    reduced_motion: bool = setting(False, "Reduced motion", "Turn off animations and the blinking cursor.")
    plain: bool = setting(False, "Plain screen", "Draw no lines and keep everything in one column, for screen readers.")
    ascii: bool = setting(False, "ASCII only", "Draw lines and symbols in ASCII. Terminals without UTF-8 always use ASCII.")
    title: bool = setting(True, "Terminal title", "Show the chat's title in the title of the terminal.")
    tour: bool = setting(True, "First-start tips", "Show a few tips at the first start.")


@dataclass(frozen=True, slots=True)
class ComposerSection:
    """The box that messages are written in."""

    fold_lines: int = setting(40, "Attach long pastes", "Attach a paste with more lines than this instead of inserting it; 0 turns this off.", blank="never", minimum=0, maximum=100_000)


@dataclass(frozen=True, slots=True)
class AlertsSection:
    """What happens when a long reply ends while the window is not in front."""

    kind: str = setting("bell", "Alert", "What to do when a long reply is done while the window doesn't have the focus.", choices=("off", "bell", "notification", "both"))
    after_s: float = setting(10.0, "Alert after", "A reply that takes at least this many seconds counts as long.", minimum=0, maximum=86_400)


@dataclass(frozen=True, slots=True)
class AskSection:
    """One question in a shell: chat-tui ask."""

    save: str = setting("terminal", "Save chats from ask", "When chat-tui ask saves a new chat: only if stdin and stdout are both terminals, always, or never.", choices=("terminal", "always", "never"))


@dataclass(frozen=True, slots=True)
class KeysSection:
    """Which key does what."""

    map: str = setting("default", "Key map", "A ready-made set of keys.", choices=("default", "vim", "emacs"))
    bindings: Mapping[str, str] = table("Custom keys", "Your own keys.", keys="actions and keys", example='{ "chat.new" = "ctrl+n,f12" }')


@dataclass(frozen=True, slots=True)
class ServerEntry:
    """A server whose models one talks with."""

    url: str = setting("", "Address", "The address, for example http://localhost:8000, with or without /v1.")
    key_env: str = setting("", "Key variable", "The environment variable that holds the API key. chat-tui never saves the key itself.")
    dialect: str = setting("", "Dialect", "The kind of server, if chat-tui can't detect it.", choices=DIALECTS)
    context: int = setting(0, "Context", "The context length in tokens: requested from Ollama, and assumed for servers that don't report it.", minimum=0, maximum=100_000_000)


@dataclass(frozen=True, slots=True)
class Values:
    """Every setting with a value of its type, in the order in which they are listed."""

    model: ModelSection = field(default_factory=ModelSection, metadata={"group": "Model"})
    chat: ChatSection = field(default_factory=ChatSection, metadata={"group": "Chat"})
    generation: Mapping[str, Value] = field(default_factory=dict, metadata={"about": "Generation parameters. Those that are not set use the model's defaults."})
    """Those parameters that are set, by their names."""
    template: Mapping[str, str | bool | int | float] = table("Template switches", "Switches of the chat template.", group="Chat", blank="template default", keys="switches and values", example="enable_thinking = false", about="Switches of chat templates, for example enable_thinking = false. A template ignores switches that it doesn't have.")
    screen: ScreenSection = field(default_factory=ScreenSection, metadata={"group": "Appearance"})
    composer: ComposerSection = field(default_factory=ComposerSection, metadata={"group": "Input"})
    alerts: AlertsSection = field(default_factory=AlertsSection, metadata={"group": "Alerts"})
    presets: Mapping[str, str] = table("Presets by model", "The preset to apply when a model is loaded.", group="Model", keys="models and presets", example='"org/model" = "careful"', about="The preset to apply for each model.")
    servers: Mapping[str, ServerEntry] = table("Servers", "Named servers, each a table [servers.NAME] with url and, if needed, key_env, dialect and context.", keys="server names and addresses", example='home = { url = "http://localhost:8000", key_env = "HOME_KEY" }', about="Servers whose models you use.", group="Model", entry=ServerEntry)
    ask: AskSection = field(default_factory=AskSection, metadata={"group": "Command line"})
    keys: KeysSection = field(default_factory=KeysSection, metadata={"group": "Input"})
# fmt: on
