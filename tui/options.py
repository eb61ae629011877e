"""The options of the command line: those of `transformers chat`, old and new, and our own. Parsing alone; nothing is opened.

Most options are settings under another name, so that they join the file and the environment in one order.
"""

from __future__ import annotations

import argparse
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, NoReturn

from tui import __version__
from tui.console import Parser
from tui.engine.quantization import QUANTIZATIONS
from tui.engine.remote.address import is_server
from tui.engine.remote.address import parse as parse_address
from tui.errors import UserError
from tui.files import exists
from tui.flags import looks_like_flag, read_flags, read_value
from tui.json_types import Json
from tui.parameters import PARAMETERS, UNUSED, ParameterError, did_you_mean, readable
from tui.settings.schema import GENERATION, SETTINGS

_WORDS: Final = {
    **dict.fromkeys(("true", "t", "yes", "y", "1"), True),
    **dict.fromkeys(("false", "f", "no", "n", "0"), False),
}
_HOST: Final = re.compile(r"(?:localhost|[\w-]+(?:\.[\w-]+)+):\d{2,5}(?:/.*)?")
_IGNORED: Final = "host", "port", "verbose"


@dataclass(frozen=True, slots=True)
class Option:
    """One option that is a setting under another name.

    Attributes:
        name: without its dashes.
        key: the setting's.
        help: one sentence; empty for the setting's own.
        is_theirs: whether `transformers chat` has it, in a version new or old.
        aliases: other names.
        choices: the values allowed, where the setting does not know them.
    """

    name: str
    key: str
    help: str = ""
    is_theirs: bool = True
    aliases: tuple[str, ...] = ()
    choices: tuple[str, ...] = ()


OPTIONS: Final = (
    Option("user", "chat.user", "your name above your messages"),
    Option("system-prompt", "chat.system_prompt", "what the model is told before the chat begins"),
    Option("save-folder", "chat.save_folder", "the folder that /save writes to"),
    Option("examples-path", "chat.examples", "a YAML file with examples for /example"),
    Option("dtype", "model.dtype", "the type of the weights", aliases=("torch-dtype",)),
    Option("device", "model.device", "auto, balanced, sequential, cpu, cuda, cuda:1, mps and the like"),
    Option("attn-implementation", "model.attention", "the attention implementation, as in sdpa"),
    Option("revision", "model.revision", "the model's branch, tag or commit on the Hub", False, aliases=("model-revision",)),
    Option(
        "quantization", "model.quantization", "how the weights are held in memory", False, choices=tuple(QUANTIZATIONS)
    ),
    Option("preset", "chat.preset", "the name or file of a preset to begin with", False),
    Option("theme", "screen.theme", "the colors", False),
)  # fmt: skip
_SWITCHES: Final = {
    "load-in-4bit": "hold the weights in 4 bits; the same as --quantization 4bit",
    "load-in-8bit": "hold the weights in 8 bits; the same as --quantization 8bit",
    "use-bnb-nested-quant": "quantise the scales of 4-bit weights too (that is the default; =false turns it off)",
    "trust-remote-code": "run the Python code that the model's own repository ships, as it is now; other repositories still ask",
}
_OWN_SWITCHES: Final = {
    "continue": "reopen the newest chat",
    "dry-run": "print as JSON what would be used and where each setting comes from, and exit",
    "log-path": "print where the log file is, and exit",
    "version": "print the version, and exit",
}


@dataclass(frozen=True, slots=True)
class Arguments:
    """What a command line says.

    Attributes:
        settings: by their keys, all of them checked.
        trust_remote_code: whether the code of the model's own repository may run.
        resume: reopen the newest chat.
        session: a chat to open.
        config: the configuration file to use; None for the usual one.
        dry_run: say what would be used, and nothing else.
        log_path: say where the log is, and nothing else.
        generation_config: a file or a Hub repository with generation settings.
        notices: sentences about what was not used.
    """

    settings: Mapping[str, Json] = field(default_factory=dict)
    trust_remote_code: bool = False
    resume: bool = False
    session: str = ""
    config: Path | None = None
    dry_run: bool = False
    log_path: bool = False
    generation_config: str = ""
    notices: tuple[str, ...] = ()


class OptionParser(Parser):
    """Parses words in any order; the underscores of older spellings count as dashes."""

    def parse_args(self, args: Any = None, namespace: Any = None) -> Any:
        """Return what was given, or exit with a sentence and what was perhaps meant."""
        found, unknown = self.parse_known_intermixed_args(self._spelt(list(args or ())), namespace)
        if unknown:
            self._refuse(unknown[0])
        return found

    def _spelt(self, words: list[str]) -> list[str]:
        """Return the words with options as they are spelt here, and switches with their value, if one follows, joined to them."""
        spelt: list[str] = []
        switches = {f"--{name}" for name in (*_SWITCHES, "verbose")}
        while words:
            word = words.pop(0)
            if word == "--":
                return [*spelt, word, *words]
            name, equals, value = word.partition("=")
            if name.startswith("--"):
                word = name.lower().replace("_", "-") + equals + value
                if word in switches:
                    follows = bool(words) and words[0].lower() in _WORDS
                    word += f"={words.pop(0) if follows else 'true'}"
            spelt.append(word)
        return spelt

    def _refuse(self, word: str) -> NoReturn:
        options = [option for action in self._actions for option in action.option_strings]
        name = word.partition("=")[0]
        known = [one.lstrip("-") for one in options if one[:2] == "--"]
        near = did_you_mean(name.lstrip("-"), known, "--")
        self.error(
            f"There is no option {name}. {near}".rstrip()
            if word.startswith("-")
            else f"{word!r} is one word too many."
        )


def parser() -> OptionParser:
    """Return the parser of the command line."""
    result = OptionParser(
        prog="chat-tui",
        usage="chat-tui [MODEL | URL [MODEL]] [name=value ...] [options]",
        description="Talk with a language model in a full-screen terminal app: one of this machine, or of a server that you name.",
        epilog="Without MODEL, the one used last is loaded, else the demo model if it is installed. "
        "'chat-tui list', 'chat-tui export' and 'chat-tui import' work on chats without a screen; 'chat-tui config' "
        "explains every setting, 'chat-tui bench' measures a model on this machine, and 'chat-tui completion' completes what is "
        "typed in a shell.",
        allow_abbrev=False,
    )
    result.add_argument(
        "words",
        nargs="*",
        metavar="MODEL name=value",
        help="a Hub id (org/name), a local folder, a .gguf file, or 'demo'; or the address of a server, as in http://localhost:8000, "
        "with or without a model that it has; and generation parameters, as in temperature=0.7",
    )
    chat = result.add_mutually_exclusive_group()
    chat.add_argument(
        "--continue", dest="resume", action="store_true", help=_OWN_SWITCHES["continue"]
    )
    chat.add_argument(
        "--session",
        default="",
        metavar="ID_OR_FILE",
        help="open a saved chat, by its id, the id's beginning, or file",
    )
    for option in OPTIONS:
        setting = SETTINGS[option.key]
        choices = option.choices or setting.choices or None
        metavar = None if choices else option.name.rpartition("-")[2].upper()
        result.add_argument(
            f"--{option.name}", dest=option.key, choices=choices, metavar=metavar, help=option.help
        )
        for alias in option.aliases:
            result.add_argument(
                f"--{alias}", dest=option.key, choices=choices, help=argparse.SUPPRESS
            )
    result.add_argument(
        "--generation-config",
        default="",
        metavar="FILE_OR_REPO",
        help="a generation_config.json, or a Hub repository with one; flags go before it",
    )
    result.add_argument(
        "--bnb-4bit-quant-type", choices=("nf4", "fp4"), help="the kind of 4-bit weights"
    )
    for name, text in _SWITCHES.items():
        result.add_argument(f"--{name}", nargs="?", const="true", metavar="BOOL", help=text)
    result.add_argument(
        "--config", type=Path, metavar="FILE", help="use another configuration file"
    )
    result.add_argument("--dry-run", action="store_true", help=_OWN_SWITCHES["dry-run"])
    result.add_argument("--log-path", action="store_true", help=_OWN_SWITCHES["log-path"])
    result.add_argument("--version", action="version", version=f"chat-tui {__version__}")
    result.add_argument(
        "--model-name-or-path",
        "--model-name-or-path-or-address",
        "--model",
        dest="model",
        default="",
        help=argparse.SUPPRESS,
    )
    result.add_argument("--base-url", default="", help=argparse.SUPPRESS)
    for name in _IGNORED:
        result.add_argument(f"--{name}", nargs="?", help=argparse.SUPPRESS)
    # `temperature=0.7` is the form that help shows; `--temperature 0.7` is that of older versions.
    for known in PARAMETERS:
        result.add_argument(
            f"--{known.replace('_', '-')}", dest=GENERATION + known, help=argparse.SUPPRESS
        )
    result.add_argument("--eos-token-ids", dest=f"{GENERATION}eos_token_id", help=argparse.SUPPRESS)
    return result


def parse(words: Sequence[str]) -> Arguments:
    """Return what a command line says; exits with code 2 and a sentence when it can't be understood."""
    made = parser()
    given = made.parse_args(words)
    try:
        return _arguments(given)
    except UserError as error:
        made.error(str(error))


def _arguments(given: argparse.Namespace) -> Arguments:
    model, server, flags = _sorted_words(given.words)
    notices: list[str] = []
    settings: dict[str, Json] = {}
    for option in OPTIONS:
        if (text := getattr(given, option.key)) is not None:
            settings[option.key] = SETTINGS[option.key].parse(text)
    for name in PARAMETERS:
        if (text := getattr(given, GENERATION + name)) is not None:
            settings[GENERATION + name] = read_value(name, text)
    settings |= _quantization(given)
    usable, left_out = _usable(flags)
    notices += left_out
    settings |= {GENERATION + name: value for name, value in read_flags(usable).items()}
    if model and given.model and model != given.model:
        raise ParameterError(f"Two models are named: {model} and {given.model}.")
    if server and given.base_url and server != given.base_url:
        raise ParameterError(f"Two servers are named: {server} and {given.base_url}.")
    if named := _named_model(given.model or model, server or given.base_url):
        settings["model.name"] = named
    notices += [
        f"--{name} has no meaning here: no server is started. The address of one that runs can be given, as in "
        "http://localhost:8000."
        for name in _IGNORED
        if getattr(given, name.replace("-", "_")) is not None and name != "verbose"
    ]
    return Arguments(
        settings={key: value for key, value in settings.items() if value is not None},
        trust_remote_code=_is_on(given.trust_remote_code),
        resume=given.resume,
        session=given.session,
        config=given.config,
        dry_run=given.dry_run,
        log_path=given.log_path,
        generation_config=given.generation_config,
        notices=tuple(notices),
    )


def _named_model(model: str, server: str) -> str:
    """Return a model as the app names it; one on a server with its address. Empty where none is named.

    Raises:
        AddressError: the server's address can't be used.
    """
    if server:
        return str(parse_address(server).with_model(model)) if model else str(parse_address(server))
    return str(parse_address(model)) if is_server(model) else model


def _sorted_words(words: Sequence[str]) -> tuple[str, str, list[str]]:
    """Return the model, the server that it is on, and the flags; server and model in any order, as `transformers chat` has them."""
    model, server, flags = "", "", []
    for at, word in enumerate(words):
        if looks_like_flag(word) and not (at == 0 and _is_there(word)):
            flags.append(word)
        elif is_server(word):
            if server:
                raise ParameterError(f"Two servers are named: {server} and {word}.")
            server = word
        elif _HOST.fullmatch(word) and not _is_there(word):
            raise ParameterError(
                f"{word!r} looks like the address of a server.", f"Did you mean http://{word}?"
            )
        elif not model:
            model = word
        else:
            near = did_you_mean(word, PARAMETERS)
            raise ParameterError(
                f"{word!r} is neither a model nor name=value, and the model is {model!r}.", near
            )
    return model, server, flags


def _is_there(word: str) -> bool:
    """Return whether a word of the command line names a file or folder."""
    return exists(Path(word))


def _usable(flags: Sequence[str]) -> tuple[list[str], list[str]]:
    """Part the flags that a chat has a use for from those of transformers' that it has none for."""
    usable = [flag for flag in flags if flag.partition("=")[0] not in UNUSED]
    names = (flag.partition("=")[0] for flag in flags if flag not in usable)
    return usable, [f"{name} is not used in a chat: {UNUSED[name]}." for name in names]


def _quantization(given: argparse.Namespace) -> dict[str, Json]:
    settings: dict[str, Json] = {}
    four, eight = _is_on(given.load_in_4bit), _is_on(given.load_in_8bit)
    if four and eight:
        raise ParameterError("--load-in-4bit and --load-in-8bit exclude each other.")
    named = getattr(given, "model.quantization") or ""
    if named and ((four and "4bit" not in named) or (eight and named != "8bit")):
        flag = f"--load-in-{8 if eight else 4}bit"
        raise ParameterError(f"--quantization {named} and {flag} exclude each other.")
    if eight:
        settings["model.quantization"] = "8bit"
    if four:
        settings["model.quantization"] = (
            "4bit-fp4" if given.bnb_4bit_quant_type == "fp4" else "4bit"
        )
    if given.use_bnb_nested_quant is not None:
        settings["model.double_quant"] = _is_on(given.use_bnb_nested_quant)
    return settings


def _is_on(text: str | None) -> bool:
    if text is None:
        return False
    if text.lower() not in _WORDS:
        raise ParameterError(f"{text!r} is neither true nor false.")
    return _WORDS[text.lower()]


def generation_settings(text: str) -> dict[str, Json]:
    """Return what a `generation_config.json` sets, as settings by their keys; what a chat has no use for is left out.

    Raises:
        ParameterError: it is no JSON object.
    """
    try:
        document = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ParameterError(f"It is not valid JSON ({error}).") from error
    if not isinstance(document, Mapping):
        raise ParameterError("It holds no settings.")
    return {GENERATION + name: value for name, value in readable(document).items()}
