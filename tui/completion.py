"""Completion of the command line in a shell: scripts for bash, zsh and fish, made from the parser."""

from __future__ import annotations

import argparse
import re
import shlex
from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import chain
from typing import Final

from tui.dataclass import dataclass
from tui.options import parser
from tui.parameters import PARAMETERS
from tui.sanitize import sanitize_line


@dataclass(frozen=True, slots=True)
class _Shown:
    """One option as a shell completes it."""

    names: tuple[str, ...]
    help: str
    choices: tuple[str, ...]
    takes_value: bool


_WORD: Final = re.compile(r"[\w.@+-]+")
"""What needs no quotes in any shell."""


def _options(
    parsers: Iterable[argparse.ArgumentParser], values: Mapping[str, Iterable[str]]
) -> Iterator[_Shown]:
    """Yield the options of several parsers, each once."""
    seen: set[str] = set()
    # argparse has no other way to list them.
    for action in chain.from_iterable(one._actions for one in parsers):  # noqa: SLF001
        is_new = seen.isdisjoint(action.option_strings)
        seen.update(action.option_strings)
        if action.option_strings and is_new and action.help is not argparse.SUPPRESS:
            known = action.choices or values.get(action.option_strings[0].lstrip("-"), ())
            yield _Shown(
                tuple(action.option_strings),
                sanitize_line(action.help or "").replace("%%", "%"),
                tuple(str(one) for one in known if _WORD.fullmatch(str(one))),
                action.nargs is None,
            )


def script(
    shell: str,
    subcommands: Mapping[str, str],
    values: Mapping[str, Iterable[str]] | None = None,
    parsers: Iterable[argparse.ArgumentParser] = (),
) -> str:
    """Return the completion script for a shell.

    Args:
        shell: a name in `SHELLS`.
        subcommands: their names with one line of help each.
        values: by an option's name without dashes, what it can be given; those that a shell would take apart are left out.
        parsers: those of subcommands whose options are completed too.
    """
    options = _options((parser(), *parsers), values or {})
    return SHELLS[shell](list(options), dict(subcommands))


def _bash(options: list[_Shown], subcommands: dict[str, str]) -> str:
    words = " ".join([*(name for one in options for name in one.names), *subcommands])
    flags = " ".join(f"{name}=" for name in PARAMETERS)
    cases = "\n".join(
        f'        {"|".join(one.names)}) COMPREPLY=($(compgen -W {shlex.quote(" ".join(one.choices))} -- "$cur")); return ;;'
        for one in options
        if one.choices
    )
    return f"""# bash completion for chat-tui;  eval "$(chat-tui completion bash)"
_chat_tui() {{
    local cur="${{COMP_WORDS[COMP_CWORD]}}" prev="${{COMP_WORDS[COMP_CWORD-1]}}"
    case "$prev" in
{cases}
    esac
    COMPREPLY=($(compgen -W {shlex.quote(f"{words} {flags}")} -- "$cur"))
    [[ ${{#COMPREPLY[@]}} -eq 1 && ${{COMPREPLY[0]}} == *= ]] && compopt -o nospace
    [[ ${{#COMPREPLY[@]}} -eq 0 ]] && compopt -o default
    return 0
}}
complete -F _chat_tui chat-tui
"""


def _zsh(options: list[_Shown], subcommands: dict[str, str]) -> str:
    def text(words: str) -> str:
        return (
            words.replace("\\", "\\\\").replace("[", "\\[").replace("]", "\\]").replace(":", "\\:")
        )

    lines = []
    for one in options:
        value = ""
        if one.choices:
            value = f":value:({' '.join(one.choices)})"
        elif one.takes_value:
            value = ":value:_files"
        lines += [shlex.quote(f"{name}[{text(one.help)}]{value}") for name in one.names]
    words = [f"{name}:{text(help_text)}" for name, help_text in subcommands.items()]
    words += [f"{known.name}=:{text(known.help)}" for known in PARAMETERS.values()]
    described = "\n        ".join(shlex.quote(word) for word in words)
    joined = " \\\n        ".join(lines)
    return f"""#compdef chat-tui
# zsh completion for chat-tui;  eval "$(chat-tui completion zsh)"
_chat_tui_words() {{
    local -a words
    words=(
        {described}
    )
    _describe -t words 'command or parameter' words -S ''
    _files
}}
_chat_tui() {{
    _arguments -s \\
        {joined} \\
        '*:word:_chat_tui_words'
}}
compdef _chat_tui chat-tui
"""


def _fish(options: list[_Shown], subcommands: dict[str, str]) -> str:
    lines = ["# fish completion for chat-tui;  chat-tui completion fish | source"]
    for one in options:
        parts = ["complete -c chat-tui"]
        parts += [
            f"-l {name[2:]}" if name.startswith("--") else f"-s {name[1:]}" for name in one.names
        ]
        if one.choices:
            parts.append(f"-x -a {shlex.quote(' '.join(one.choices))}")
        elif one.takes_value:
            parts.append("-r")
        lines.append(" ".join([*parts, f"-d {_fish_quoted(one.help)}"]))
    first = "__fish_is_first_token"
    lines += [
        f"complete -c chat-tui -n {first} -a {name} -d {_fish_quoted(text)}"
        for name, text in subcommands.items()
    ]
    lines += [
        f"complete -c chat-tui -a {known.name}= -d {_fish_quoted(known.help)}"
        for known in PARAMETERS.values()
    ]
    return "\n".join(lines) + "\n"


def _fish_quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace("'", "\\'")
    return f"'{escaped}'"


SHELLS: Final[Mapping[str, Callable[[list[_Shown], dict[str, str]], str]]] = {
    "bash": _bash,
    "zsh": _zsh,
    "fish": _fish,
}
