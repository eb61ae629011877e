"""The pages in docs/reference, which are generated from the code: command line, keys, commands, parameters, settings, themes, what
becomes of everything that `transformers chat` has, and the quality of quantizations.

`make docs` writes them; a test checks that they are up to date.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

from benchmarks._tables import quality_markdown
from tui.actions import Action, actions
from tui.arguments import SUBCOMMANDS
from tui.ask.options import parser as ask_parser
from tui.commands import COMMANDS
from tui.options import OPTIONS, parser
from tui.parameters import PARAMETERS, format_value, grouped
from tui.scopes import PLACES, Scope
from tui.settings.schema import GENERATION, SETTINGS, VARIABLE_PREFIX, Setting
from tui.settings.themes import shipped_themes
from tui.subcommands import PARSERS
from tui.widgets.bindings import keys_text

ROOT = Path(__file__).parent.parent
FOLDER = ROOT / "docs" / "reference"
_HELP_COLUMNS = "82"
"""argparse leaves two of them free."""
_NOTE = "<!-- Generated from the code by `make docs`. Manual changes are lost. -->"


def pages() -> dict[str, str]:
    """Return the text of each page by its file's name."""
    return {f"{name}.md": f"{_NOTE}\n\n{make().strip()}\n" for name, make in _MAKERS.items()}


def write() -> None:
    """Write every page, and remove those that no longer exist."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    made = pages()
    for old in FOLDER.glob("*.md"):
        if old.name not in made:
            old.unlink()
    for name, text in made.items():
        (FOLDER / name).write_text(text, "utf-8")


def table(head: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    """Return a Markdown table."""
    head = tuple(head)
    lines = [head, ("---",) * len(head), *rows]
    return "\n".join(
        f"| {' | '.join(cell.replace('|', '&#124;') for cell in line)} |" for line in lines
    )


# -- keys and commands


def _keys() -> str:
    parts = [
        "# Keys",
        (
            "These are the default keys. To change one, bind its action in the configuration file: see "
            "[Keys and key maps](../settings.md#keys-and-key-maps). Keys marked *fixed* can't be changed. "
            "F1 shows the same list in the app, with your own keys."
        ),
        _section("Anywhere and in the chat", actions(Scope.APP, Scope.CHAT)),
        _section(
            "On a turn: actions",
            actions(Scope.TURN),
            "Press Alt+Up to select a turn. Letters that follow each other quickly count as typing and go into your message.",
        ),
        *(
            _section("On a turn: movement" if place is Scope.TURNS else title, actions(place))
            for place, title in PLACES.items()
        ),
    ]
    return "\n\n".join(parts)


def _section(title: str, found: Iterable[Action], text: str = "") -> str:
    rows = [
        (
            keys_text(action.keys),
            action.help,
            f"`{action.id}`{' (fixed)' if action.fixed else ''}",
        )
        for action in found
        if action.keys
    ]
    return "\n\n".join(
        part
        for part in (f"## {title}", text, table(("key", "what it does", "action"), rows))
        if part
    )


def _commands() -> str:
    found = sorted(actions(Scope.APP, Scope.CHAT, Scope.TURN), key=lambda one: one.commands[0])
    rows = [(_names(one), one.help) for one in found if one.slash or one.argument]
    others = [
        (f"`/{one.commands[0]}`", one.help)
        for one in actions(Scope.APP, Scope.CHAT, Scope.TURN)
        if not (one.slash or one.argument) and one.listed
    ]
    return "\n\n".join(
        (
            "# Commands",
            (
                "Type `/` or `!` at the start of a message to list the commands. The list narrows down as you type, and Tab completes. "
                "`//` or `!!` sends a message that starts with `/` or `!`. The commands that are available right now are also in the command palette (Ctrl+P)."
            ),
            table(("command", "what it does"), rows),
            "## Commands named after their actions",
            "Most other actions that work in the chat have a command too. These appear in the list only when you type their names.",
            table(("command", "what it does"), others),
        )
    )


def _names(action: Action) -> str:
    short = [f"`/{name}`" for name in action.slash or action.commands]
    argument = f" `{action.argument}`" if action.argument else ""
    return f"{', '.join(short)}{argument}"


# -- values


def _parameters() -> str:
    parts = [
        "# Generation parameters",
        (
            "Set them in the sidebar (F2), in the settings (F10), with `/set temperature=0.7`, on the command line "
            "(`chat-tui temperature=0.7`, `chat-tui ask --temperature 0.7`), in a preset, or in the section `[generation]` of the "
            "configuration file. A parameter that is not set has the model's own default, or the default listed here if the model has none."
        ),
    ]
    for group, members in grouped():
        rows = [
            (f"`{one.name}`", one.range_text, format_value(one.default) or "none", one.help)
            for one in members
        ]
        parts += [f"## {group}", table(("parameter", "range", "default", "what it does"), rows)]
    assert sum(len(members) for _, members in grouped()) == len(PARAMETERS)
    return "\n\n".join(parts)


def _settings() -> str:
    groups: dict[str, list[tuple[str, ...]]] = {}
    for one in SETTINGS.values():
        if not one.key.startswith(GENERATION):
            groups.setdefault(one.group, []).append(
                (f"`{one.key}`", one.range_text, _default(one), one.help)
            )
    parts = [
        "# Settings",
        (
            "Change them with F10, with `chat-tui config KEY=VALUE`, or in the configuration file: see [Settings](../settings.md). "
            f"Each setting that is not a table can also be an environment variable: `screen.theme` is `{VARIABLE_PREFIX}SCREEN_THEME`."
        ),
    ]
    for group, rows in groups.items():
        parts += [f"## {group}", table(("setting", "values", "default", "what it does"), rows)]
    parts += [
        "## Generation",
        f"`{GENERATION}*`: every [generation parameter](parameters.md), such as `{GENERATION}temperature`.",
    ]
    return "\n\n".join(parts)


def _default(one: Setting) -> str:
    """Return what holds where a setting is not set, in a word or two."""
    if one.kind is bool:
        return str(one.default).lower()
    return format_value(one.default) if one.default else one.blank


def _themes() -> str:
    rows = [
        (f"`{one.name}`", "dark" if one.dark else "light", _about(one.name))
        for one in shipped_themes()
    ]
    return "\n\n".join(
        (
            "# Themes",
            (
                "`/theme` previews these and the themes that come with Textual. To make your own, see "
                "[Themes](../settings.md#themes)."
            ),
            table(("theme", "kind", "description"), rows),
        )
    )


def _about(theme: str) -> str:
    lines = (ROOT / "themes" / f"{theme}.toml").read_text("utf-8").splitlines()
    about = (line.removeprefix("# ") for line in lines if line.startswith("# "))
    return next(about)


# -- the command line


THEIR_FLAGS = {
    "MODEL": "`MODEL`: also a folder, a `.gguf` file or `demo`",
    "BASE_URL": "the address of a server, before or after `MODEL`; without one, chat-tui runs the model itself",
    "name=value ...": "`name=value ...`: the same values, plus `.9`, `1e-3`, quoted strings with spaces, and lists of strings",
    "--generation-config": "`--generation-config`",
    "--model_name_or_path": "`MODEL`, or the old option, which still works",
    "--torch_dtype": "`--dtype`, or the old option, which still works",
    "--model_revision": "`--revision`, or the old option, which still works",
    "--load_in_4bit": "`--load-in-4bit`, or `--quantization 4bit`",
    "--load_in_8bit": "`--load-in-8bit`, or `--quantization 8bit`",
    "--bnb_4bit_quant_type": "`--bnb-4bit-quant-type nf4` or `fp4`",
    "--use_bnb_nested_quant": "`--use-bnb-nested-quant`; on by default",
    "--trust_remote_code": "`--trust-remote-code`",
    "`--temperature 0.7` and the like": "the same, for every parameter",
    "`--host`, `--port`, `--verbose`": "accepted and ignored: chat-tui doesn't start a server",
}
"""What became of the flags of `transformers chat`; the others have their own row under the same name."""
THEIR_BEHAVIOR = {
    "`Continue generating?` sends a new message": "`c` on a reply continues the same reply",
    "Ctrl+C ends the program, and the chat is lost": "Ctrl+C copies the selection or stops the reply; every chat is saved",
    "`!save NAME` is refused": "`/save NAME` works, and writes the JSON that `!save` writes",
    "reasoning is shown as text with escaped tags": "reasoning is folded, with its time and token count",
    "every message recomputes the whole chat": "what is in the KV cache is reused",
    "a wrong flag causes a Python error": "a wrong flag gets a clear message, often with the name you meant",
    "it samples, and generates at most 256 new tokens": "the model's own defaults, with at most 1024 new tokens",
}
THEIR_COMMANDS = ("help", "status", "clear", "set", "example", "save", "exit")


def _theirs() -> str:
    named = dict(THEIR_FLAGS)
    for option in OPTIONS:
        if option.is_theirs:
            named.setdefault(f"--{option.name}", f"`--{option.name}`")
    head = ("`transformers chat`", "chat-tui")
    return "\n\n".join(
        (
            "# From `transformers chat`",
            "For the main differences, see [Coming from another tool](../coming-from.md#transformers-chat).",
            "## Command line",
            table(
                head, ((flag if "`" in flag else f"`{flag}`", text) for flag, text in named.items())
            ),
            "## Commands",
            table(
                head,
                (
                    (f"`!{name}`", f"`!{name}` or `/{name}`: {COMMANDS[name].help}")
                    for name in THEIR_COMMANDS
                ),
            ),
            "## Behavior",
            table(head, THEIR_BEHAVIOR.items()),
        )
    )


def _command_line() -> str:
    parsers = {"ask": ask_parser, **PARSERS}
    parts = ["# Command line", _help("chat-tui", parser().format_help)]
    for name in SUBCOMMANDS:
        parts += [f"## chat-tui {name}", _help(f"chat-tui {name}", parsers[name]().format_help)]
    return "\n\n".join(parts)


def _help(command: str, make: Callable[[], str]) -> str:
    before = os.environ.get("COLUMNS")
    os.environ["COLUMNS"] = _HELP_COLUMNS
    try:
        return f"```\n$ {command} --help\n{make().strip()}\n```"
    finally:
        if before is None:
            del os.environ["COLUMNS"]
        else:
            os.environ["COLUMNS"] = before


def _quality() -> str:
    path = ROOT / "benchmarks" / "quality.json"
    return "\n\n".join(
        (
            "# Quality of quantizations",
            (
                "Measured with `python -m benchmarks.quality` on two small checkpoints. *trained here* was trained for this purpose and never "
                "quantized; the text used to measure it is not from its training data. *demo* is the demo model, whose file is already stored in 4 bits, so its "
                "`int4` row says little about the loss. Larger models usually lose less than small ones."
            ),
            quality_markdown(json.loads(path.read_text("utf-8"))),
        )
    )


_MAKERS: Mapping[str, Callable[[], str]] = {
    "command-line": _command_line,
    "keys": _keys,
    "commands": _commands,
    "parameters": _parameters,
    "settings": _settings,
    "themes": _themes,
    "transformers-chat": _theirs,
    "quality": _quality,
}

if __name__ == "__main__":
    write()
