"""The options of the command line: those of `transformers chat`, old and new, and our own. Parsing alone; nothing is opened.

Most options are settings under another name, so that they join the file and the environment in one order.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Final, NoReturn

from tui import __version__
from tui.arguments import SUBCOMMANDS, Arguments, named_model, sorted_words
from tui.dataclass import dataclass
from tui.engine.quantization import QUANTIZATIONS
from tui.errors import UserError
from tui.flags import read_flags, read_value
from tui.json_types import Json
from tui.parameters import PARAMETERS, UNUSED, ParameterError, did_you_mean, readable
from tui.parser import Parser, PrintVersion
from tui.settings.schema import GENERATION, SETTINGS

_WORDS: Final = {
    **dict.fromkeys(("true", "t", "yes", "y", "1"), True),
    **dict.fromkeys(("false", "f", "no", "n", "0"), False),
}
_IGNORED: Final = "host", "port", "verbose"
_NAMES_MODEL: Final[Mapping[str, Any]] = {"dest": "model", "default": "", "help": argparse.SUPPRESS}


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
    Option("user", "chat.user", "the name shown above your messages"),
    Option("system-prompt", "chat.system_prompt", "the system prompt"),
    Option("save-folder", "chat.save_folder", "the folder that /save writes to"),
    Option("examples-path", "chat.examples", "a YAML file with examples for /example"),
    Option("dtype", "model.dtype", "the data type of the weights", aliases=("torch-dtype",)),
    Option("device", "model.device", "where the model runs: auto, balanced, sequential, cpu, cuda, cuda:1, mps and so on"),
    Option("attn-implementation", "model.attention", "the attention implementation, such as sdpa"),
    Option("revision", "model.revision", "the branch, tag or commit of the model on the Hub", False, aliases=("model-revision",)),
    Option(
        "quantization", "model.quantization", "how the weights are stored in memory", False, choices=tuple(QUANTIZATIONS)
    ),
    Option("preset", "chat.preset", "a preset to start with: its name or file", False),
    Option("theme", "screen.theme", "the color theme", False),
)  # fmt: skip
_SWITCHES: Final = {
    "load-in-4bit": "same as --quantization 4bit",
    "load-in-8bit": "same as --quantization 8bit",
    "use-bnb-nested-quant": "quantize the scales of 4-bit weights too (default; =false turns it off)",
    "trust-remote-code": "run the Python code in the model's own repository without asking; code from other repositories still needs your permission",
}
_OWN_SWITCHES: Final = {
    "continue": "continue the newest chat",
    "dry-run": "print the settings in effect and where each comes from as JSON, and exit",
    "log-path": "print the path of the log file and exit",
    "version": "print the version and exit",
}


class _OwnEpilog(argparse.HelpFormatter):
    """Leaves lines that are broken already as they are."""

    def _fill_text(self, text: str, width: int, indent: str) -> str:
        if "\n" in text:
            return "".join(f"{indent}{line}\n" for line in text.splitlines())
        return super()._fill_text(text, width, indent)


class OptionParser(Parser):
    """Parses words in any order; the underscores of older spellings count as dashes."""

    def parse_args(self, args: Any = None, namespace: Any = None) -> Any:
        """Return what was given, or exit with a sentence and what was perhaps meant."""
        given = list(args or ())
        at = given.index("--") if "--" in given else len(given)
        found, unknown = self.parse_known_intermixed_args(self._spelt(given[:at]), namespace)
        if unknown:
            self._refuse(unknown[0])
        # argparse would look for options among them in the second of its two passes.
        found.words = [*found.words, *given[at + 1 :]]
        return found

    def _spelt(self, words: list[str]) -> list[str]:
        """Return the words with options as they are spelt here, and switches with their value, if one follows, joined to them."""
        spelt: list[str] = []
        switches = {f"--{name}" for name in (*_SWITCHES, "verbose")}
        while words:
            word = words.pop(0)
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
        begun = [one for one in known if one.startswith(name.lstrip("-"))]
        near = did_you_mean(name.lstrip("-"), begun or known, "--") or did_you_mean(
            min(begun, key=len, default=""), begun, "--"
        )
        self.error(
            f"There is no option {name}. {near}".rstrip()
            if word.startswith("-")
            else f"Unexpected argument: {word!r}."
        )


def parser() -> OptionParser:
    """Return the parser of the command line."""
    result = OptionParser(
        prog="chat-tui",
        usage="chat-tui [MODEL | URL [MODEL]] [name=value ...] [options]",
        examples=(
            "chat-tui",
            "chat-tui Qwen/Qwen3-4B-Instruct-2507 --quantization 4bit temperature=0.7",
            "chat-tui http://localhost:8000",
        ),
        description="Chat with a language model in a full-screen terminal app. The model runs on this machine or on a server "
        "that you name. Without MODEL, the model in the configuration file is loaded, or else the last used model, or else the demo model, if installed.",
        epilog="commands, each with its own --help:\n"
        + "\n".join(f"  chat-tui {name:<12}{about}" for name, about in SUBCOMMANDS.items()),
        formatter_class=_OwnEpilog,
        allow_abbrev=False,
    )
    result.add_argument(
        "words",
        nargs="*",
        metavar="MODEL name=value",
        help="a Hub ID (org/name), a local folder, a .gguf file, or 'demo'; or the address of a server, such as "
        "http://localhost:8000, optionally followed by a model; and generation parameters, such as temperature=0.7",
    )
    add_chat(result)
    add_settings(result)
    result.add_argument("--dry-run", action="store_true", help=_OWN_SWITCHES["dry-run"])
    result.add_argument("--log-path", action="store_true", help=_OWN_SWITCHES["log-path"])
    result.add_argument(
        "--version",
        action=PrintVersion,
        version=f"chat-tui {__version__}",
        help=_OWN_SWITCHES["version"],
    )
    result.add_argument("-m", "--model", **_NAMES_MODEL)
    result.add_argument("--base-url", default="", help=argparse.SUPPRESS)
    for name in _IGNORED:
        result.add_argument(f"--{name}", nargs="?", help=argparse.SUPPRESS)
    return result


def add_chat(result: argparse.ArgumentParser) -> None:
    """Add the options that name a saved chat."""
    chat = result.add_mutually_exclusive_group()
    chat.add_argument(
        "-c", "--continue", dest="resume", action="store_true", help=_OWN_SWITCHES["continue"]
    )
    chat.add_argument(
        "--session",
        type=not_empty,
        default=None,
        metavar="ID_OR_FILE",
        help="open a saved chat: its ID, the first part of its ID, or a chat file",
    )


def add_settings(result: argparse.ArgumentParser, *, without: Collection[str] = ()) -> None:
    """Add the options that are settings under another name, and the generation parameters.

    Args:
        result: the parser.
        without: keys of settings that there is no option for.
    """
    for option in OPTIONS:
        if option.key in without:
            continue
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
        help="a generation_config.json, or a Hub repository with one; other options override it",
    )
    result.add_argument("--bnb-4bit-quant-type", choices=("nf4", "fp4"), help="the 4-bit data type")
    for name, text in _SWITCHES.items():
        result.add_argument(f"--{name}", nargs="?", const="true", metavar="BOOL", help=text)
    result.add_argument(
        "--config", type=Path, metavar="FILE", help="use another configuration file"
    )
    result.add_argument("--model-name-or-path", "--model-name-or-path-or-address", **_NAMES_MODEL)
    # `temperature=0.7` is the form that the app's help shows; `--temperature 0.7` is that of older versions.
    for known in PARAMETERS:
        result.add_argument(
            f"--{known.replace('_', '-')}", dest=GENERATION + known, help=argparse.SUPPRESS
        )
    result.add_argument("--eos-token-ids", dest=f"{GENERATION}eos_token_id", help=argparse.SUPPRESS)


def not_empty(text: str) -> str:
    """Return the value of an option; an empty one is refused, since it is most likely a shell variable that isn't set."""
    if not text.strip():
        raise argparse.ArgumentTypeError("the value is empty; check your shell variables")
    return text


def parse(words: Sequence[str]) -> Arguments:
    """Return what a command line says; exits with code 2 and a sentence when it can't be understood."""
    made = parser()
    given = made.parse_args(words)
    try:
        return _arguments(given)
    except UserError as error:
        made.error(str(error))


def _arguments(given: argparse.Namespace) -> Arguments:
    model, server, flags = sorted_words(given.words)
    usable, left_out = _usable(flags)
    if model and given.model and model != given.model:
        raise ParameterError(f"Two models are given: {model} and {given.model}.")
    if server and given.base_url and server != given.base_url:
        raise ParameterError(f"Two servers are given: {server} and {given.base_url}.")
    notices = [
        f"--{name} has no effect: chat-tui doesn't start a server. To use a running server, give its address, for example "
        "http://localhost:8000."
        for name in _IGNORED
        if getattr(given, name.replace("-", "_")) is not None and name != "verbose"
    ]
    found = common_arguments(given, given.model or model, server or given.base_url)
    more = {GENERATION + name: value for name, value in read_flags(usable).items()}
    return replace(
        found,
        settings={**found.settings, **_without_none(more)},
        dry_run=given.dry_run,
        log_path=given.log_path,
        notices=(*left_out, *notices),
    )


def common_arguments(given: argparse.Namespace, model: str, server: str) -> Arguments:
    """Return what the options of `add_chat` and `add_settings` say.

    Args:
        given: the parsed command line.
        model: as it is named; empty for none.
        server: the address of the server that it is on; empty for this machine.

    Raises:
        UserError: a value can't be used.
    """
    settings: dict[str, Json] = {}
    for option in OPTIONS:
        if (text := getattr(given, option.key, None)) is not None:
            settings[option.key] = SETTINGS[option.key].parse(text)
    for name in PARAMETERS:
        if (text := getattr(given, GENERATION + name)) is not None:
            settings[GENERATION + name] = read_value(name, text)
    settings |= _quantization(given)
    if named := named_model(model, server):
        settings["model.name"] = named
    return Arguments(
        settings=_without_none(settings),
        trust_remote_code=_is_on(given.trust_remote_code),
        resume=given.resume,
        session=given.session or "",
        config=given.config,
        generation_config=given.generation_config,
    )


def _without_none(settings: Mapping[str, Json]) -> dict[str, Json]:
    return {key: value for key, value in settings.items() if value is not None}


def _usable(flags: Sequence[str]) -> tuple[list[str], list[str]]:
    """Part the flags that a chat has a use for from those of transformers' that it has none for."""
    usable = [flag for flag in flags if flag.partition("=")[0] not in UNUSED]
    names = (flag.partition("=")[0] for flag in flags if flag not in usable)
    return usable, [f"{name} is ignored: {UNUSED[name]}." for name in names]


def _quantization(given: argparse.Namespace) -> dict[str, Json]:
    settings: dict[str, Json] = {}
    four, eight = _is_on(given.load_in_4bit), _is_on(given.load_in_8bit)
    if four and eight:
        raise ParameterError("--load-in-4bit and --load-in-8bit can't be combined.")
    named = getattr(given, "model.quantization") or ""
    if named and ((four and "4bit" not in named) or (eight and named != "8bit")):
        flag = f"--load-in-{8 if eight else 4}bit"
        raise ParameterError(f"--quantization {named} and {flag} can't be combined.")
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
        raise ParameterError("It contains no settings.")
    return {GENERATION + name: value for name, value in readable(document).items()}
