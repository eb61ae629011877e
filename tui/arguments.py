"""What a command line says. That of most starts is nothing, or a model, which needs no parser: the options have it, see `tui.options`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import field
from pathlib import Path
from typing import Final

from tui.dataclass import dataclass
from tui.engine.remote.address import is_server
from tui.engine.remote.address import parse as parse_address
from tui.errors import UserError
from tui.files import exists
from tui.flags import looks_like_flag
from tui.json_types import Json
from tui.parameters import PARAMETERS, ParameterError, did_you_mean
from tui.pattern import pattern

_HOST: Final = pattern(r"(?:localhost|[\w-]+(?:\.[\w-]+)+):\d{2,5}(?:/.*)?")
SUBCOMMANDS: Final[Mapping[str, str]] = {
    "ask": "ask one question and print the reply",
    "bench": "measure how fast a model runs on this machine",
    "completion": "print a completion script for bash, zsh or fish",
    "config": "check, explain or change the configuration",
    "export": "export a saved chat",
    "import": "import chats from other tools",
    "list": "list the saved chats",
    "models": "list models on this machine, the Hub or a server",
}
"""What `chat-tui` does without a screen, by its first word."""


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


def of_words(words: Sequence[str]) -> Arguments | None:
    """Return what words alone say: a model, a server, or nothing. None for anything else, whatever is wrong with it."""
    if any(word.startswith("-") for word in words):
        return None
    try:
        model, server, flags = sorted_words(words)
        named = named_model(model, server)
    except UserError:
        return None
    if flags:
        return None
    return Arguments(settings={"model.name": named} if named else {})


def named_model(model: str, server: str) -> str:
    """Return a model as the app names it; one on a server with its address. Empty where none is named.

    Raises:
        AddressError: the server's address can't be used.
    """
    if server:
        return str(parse_address(server).with_model(model)) if model else str(parse_address(server))
    return str(parse_address(model)) if is_server(model) else model


def sorted_words(words: Sequence[str]) -> tuple[str, str, list[str]]:
    """Return the model, the server that it is on, and the flags; server and model in any order, as `transformers chat` has them."""
    model, server, flags = "", "", []
    for at, word in enumerate(words):
        if looks_like_flag(word) and not (at == 0 and _is_there(word)):
            flags.append(word)
        elif is_server(word):
            if server:
                raise ParameterError(f"Two servers are given: {server} and {word}.")
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
                f"{word!r} is not a name=value parameter, and a model is already given: {model!r}.",
                near,
            )
    return model, server, flags


def _is_there(word: str) -> bool:
    """Return whether a word of the command line names a file or folder."""
    return exists(Path(word))
