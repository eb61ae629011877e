"""The parts of the README that are made from the code: keys, commands, parameters, settings, the command line's help, and what
becomes of everything that `transformers chat` has.

`make readme` writes them anew; a test checks that they are up to date.
"""

from __future__ import annotations

import json
import re
from argparse import HelpFormatter
from functools import partial
from pathlib import Path

from benchmarks._tables import quality_markdown
from tui.actions import Action, actions
from tui.commands import COMMANDS
from tui.options import OPTIONS, parser
from tui.parameters import PARAMETERS, format_value
from tui.scopes import PLACES, Scope
from tui.settings.schema import GENERATION, SETTINGS
from tui.settings.themes import shipped_themes
from tui.widgets.bindings import keys_text

PATH = Path(__file__).parent.parent / "README.md"

_PART = re.compile(r"(<!-- from the code: ([a-z ]+) -->\n).*?(<!-- end -->)", re.DOTALL)
_HELP_COLUMNS = 100


def renewed(readme: str) -> str:
    """Return the README with every part between its marks made anew."""
    return _PART.sub(lambda part: f"{part[1]}\n{_MAKERS[part[2]]()}\n\n{part[3]}", readme)


def _table(head: tuple[str, ...], rows: list[tuple[str, ...]]) -> str:
    lines = [head, ("---",) * len(head), *rows]
    return "\n".join(
        f"| {' | '.join(cell.replace('|', '&#124;') for cell in line)} |" for line in lines
    )


def _keys(*scopes: Scope) -> str:
    return _table(
        ("key", "what it does"),
        [(keys_text(action.keys), action.help) for action in actions(*scopes) if action.keys],
    )


def _keys_of_places() -> str:
    rows = [
        (
            title,
            keys_text(action.keys),
            f"`{action.id}`{' (fixed)' if action.fixed else ''}",
            action.help,
        )
        for place, title in PLACES.items()
        for action in actions(place)
    ]
    return _table(("where", "key", "action", "what it does"), rows)


def _parameters() -> str:
    return _table(
        ("parameter", "range", "default", "what it does"),
        [
            (f"`{known.name}`", known.range_text, format_value(known.default) or "none", known.help)
            for known in PARAMETERS.values()
        ],
    )


def _commands() -> str:
    return _table(
        ("command", "what it does"),
        [
            (_names(action), action.help)
            for action in sorted(actions(Scope.APP, Scope.CHAT), key=lambda one: one.commands[0])
            if action.slash or action.argument
        ],
    )


def _names(action: Action) -> str:
    short = [f"`/{name}`" for name in action.slash or action.commands]
    argument = f" `{action.argument}`" if action.argument else ""
    return f"{', '.join(short)}{argument}"


def _settings() -> str:
    rows = [
        (f"`{one.key}`", one.range_text, format_value(one.default) if one.default else "", one.help)
        for one in SETTINGS.values()
        if not one.key.startswith(GENERATION)
    ]
    rows.append((f"`{GENERATION}*`", "as in the table above", "", "Every generation parameter."))
    return _table(("setting", "what it can be", "default", "what it does"), rows)


def _themes() -> str:
    return _table(
        ("theme", "", "what it is"),
        [
            (f"`{one.name}`", "dark" if one.dark else "light", _about(one.name))
            for one in shipped_themes()
        ],
    )


def _about(theme: str) -> str:
    lines = (PATH.parent / "themes" / f"{theme}.toml").read_text("utf-8").splitlines()
    about = (line.removeprefix("# ") for line in lines if line.startswith("# "))
    return next(about)


THEIR_FLAGS = {
    "MODEL": "`MODEL`: also a folder, a `.gguf` file or `demo`",
    "BASE_URL": "the address of a server, before or behind `MODEL`; without one the model runs in this process",
    "name=value ...": "`name=value ...`: the same values, and also `.9`, `1e-3`, texts with blanks and lists of texts",
    "--generation-config": "`--generation-config`",
    "--model_name_or_path": "`MODEL`, or under its old name",
    "--torch_dtype": "`--dtype`, or under its old name",
    "--model_revision": "`--revision`, or under its old name",
    "--load_in_4bit": "`--load-in-4bit`, or `--quantization 4bit`",
    "--load_in_8bit": "`--load-in-8bit`, or `--quantization 8bit`",
    "--bnb_4bit_quant_type": "`--bnb-4bit-quant-type nf4` or `fp4`",
    "--use_bnb_nested_quant": "`--use-bnb-nested-quant`; on by default",
    "--trust_remote_code": "`--trust-remote-code`",
    "--temperature 0.7 and the like": "the same, for every parameter",
    "--host, --port, --verbose": "taken and without meaning, since no server is started",
}
"""What became of the flags of `transformers chat`; the others have their own row under the same name."""
THEIR_BEHAVIOUR = {
    "`Continue generating?` sends a new message": "`c` writes on in the middle of the reply",
    "Ctrl+C ends the program, and the chat is gone": "Ctrl+C copies or stops; every chat is on disk",
    "`!save NAME` is refused": "`/save NAME` writes the same JSON",
    "reasoning is shown as text with escaped tags": "reasoning is folded, timed and counted",
    "every message has the whole chat computed again": "what is in the KV cache is not computed again",
    "a wrong flag is an error of Python": "a sentence, with what was perhaps meant",
    "samples, with at most 256 new tokens": "the model's own defaults, with at most 1024 new tokens",
}


def _theirs() -> str:
    named = dict(THEIR_FLAGS)
    for option in OPTIONS:
        if option.is_theirs:
            named.setdefault(f"--{option.name}", f"`--{option.name}`")
    rows = [(f"`{flag}`", text) for flag, text in named.items()]
    rows += [
        (f"`!{name}`", f"`!{name}` or `/{name}`: {COMMANDS[name].help}")
        for name in ("help", "status", "clear", "set", "example", "save", "exit")
    ]
    return _table(("`transformers chat`", "here"), [*rows, *THEIR_BEHAVIOUR.items()])


def _help() -> str:
    made = parser()
    made.formatter_class = partial(HelpFormatter, width=_HELP_COLUMNS)
    return f"```\n$ chat-tui --help\n{made.format_help().strip()}\n```"


def _quality() -> str:
    path = PATH.parent / "benchmarks" / "quality.json"
    return quality_markdown(json.loads(path.read_text("utf-8")))


_MAKERS = {
    "quality": _quality,
    "keys": lambda: _keys(Scope.APP, Scope.CHAT),
    "keys of a turn": lambda: _keys(Scope.TURN),
    "keys of other places": _keys_of_places,
    "parameters": _parameters,
    "commands": _commands,
    "settings": _settings,
    "themes": _themes,
    "transformers chat": _theirs,
    "help": _help,
}

if __name__ == "__main__":
    PATH.write_text(renewed(PATH.read_text("utf-8")), "utf-8")
