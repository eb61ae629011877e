"""What `chat-tui list`, `export`, `import`, `models`, `config` and `completion` do, without a screen; `bench` has a module of its own."""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Final

from tui import bench
from tui.arguments import SUBCOMMANDS
from tui.ask.options import parser as ask_parser
from tui.chat.servers import Servers
from tui.completion import SHELLS, script
from tui.console import complain, write_out
from tui.conversation import Conversation
from tui.conversation.formats import FORMATS, export_text
from tui.engine.remote.address import is_server
from tui.engine.remote.address import parse as parse_address
from tui.engine.remote.servers import Server, server_of
from tui.files import exists, is_file, is_folder, typed_path
from tui.json_types import Json
from tui.parameters import did_you_mean
from tui.parser import Parser
from tui.sanitize import sanitize_line
from tui.sessions import SessionStore
from tui.settings.config import explain, write_settings
from tui.settings.paths import AppPaths
from tui.settings.preferences import Origin, Preferences
from tui.settings.presets import Library
from tui.settings.schema import SETTINGS, SettingError
from tui.settings.state import load_state
from tui.settings.themes import shipped_themes, user_themes
from tui.startup import whole_id
from tui.transfer import (
    EXPORTS,
    Source,
    Tally,
    TransferError,
    format_for,
    read_sources,
    write_chats,
)

FAILED: Final = 2


def run(arguments: Sequence[str]) -> int:
    """Run the subcommand that the first argument names.

    Returns:
        the exit code: 0, or 2 with a sentence on stderr.

    Raises:
        UserError: it can't be done.
    """
    name, *rest = arguments
    if name == "bench":
        return bench.run(rest)
    given = PARSERS[name]().parse_args(rest)
    paths = AppPaths.default()
    store = SessionStore(paths.sessions, paths.index)
    try:
        paths.ensure()
        return _COMMANDS[name](given, store)
    finally:
        store.close()


def export_parser() -> argparse.ArgumentParser:
    """Return the parser of `chat-tui export`."""
    parser = Parser(
        prog="chat-tui export",
        examples=(
            "chat-tui export newest",
            "chat-tui export newest --to html -o chat.html",
            "chat-tui export 3f28acdc --to openai -o chat.json",
        ),
        description="Export a saved chat.",
    )
    parser.add_argument(
        "chat", metavar="ID", help="a chat's ID or the first part of it, a chat file, or 'newest'"
    )
    parser.add_argument(
        "--to", choices=list(EXPORTS), metavar="FORMAT", help=f"the format: {', '.join(EXPORTS)}"
    )
    parser.add_argument(
        "--output", "-o", type=Path, metavar="FILE", help="the file to write; default: stdout"
    )
    parser.add_argument("--force", action="store_true", help="overwrite the file if it exists")
    return parser


def import_parser() -> argparse.ArgumentParser:
    """Return the parser of `chat-tui import`."""
    labels = ", ".join(one.label for one in FORMATS.values() if one.read is not None)
    parser = Parser(
        prog="chat-tui import",
        examples=(
            "chat-tui import conversations.json",
            "chat-tui import ~/Downloads/export.zip",
            "chat-tui import ~/.lmstudio/conversations",
        ),
        description="Import chats from other tools' files, from ZIP archives, or from folders. Chats that are already imported are skipped.",
        epilog=f"The format is detected from the content of each file. Known formats: {labels}.",
    )
    parser.add_argument(
        "files",
        metavar="FILE",
        type=_named,
        nargs="+",
        help="a file in a known format, a ZIP archive, or a folder",
    )
    return parser


def _named(text: str) -> Path:
    """Return the path of an argument; an empty one would be the folder that the shell is in."""
    if not text.strip():
        raise argparse.ArgumentTypeError("the file name is empty; check your shell variables")
    return Path(text)


def list_parser() -> argparse.ArgumentParser:
    """Return the parser of `chat-tui list`."""
    return Parser(
        prog="chat-tui list",
        examples=("chat-tui list", "chat-tui list | head", "chat-tui list | grep -i budget"),
        description="List the saved chats with their IDs: pinned chats first, then newest first.",
    )


def _list(_given: argparse.Namespace, store: SessionStore) -> int:
    for one in store.list():
        when = time.strftime("%Y-%m-%d %H:%M", time.localtime(one.updated_at))
        plural = " " if one.turns == 1 else "s"
        mark = f"  [{sanitize_line(one.problem, 80)}]" if one.problem else ""
        title = sanitize_line(one.title, 60)
        write_out(f"{one.id}  {when}  {one.turns:>4} turn{plural}  {title}{mark}")
    return 0


def _export(given: argparse.Namespace, store: SessionStore) -> int:
    chat_id = store.newest() if given.chat == "newest" else given.chat
    if chat_id is None:
        raise TransferError("There are no saved chats yet.")
    path = typed_path(chat_id)
    if is_file(path):
        opened = store.open_file(path)
    else:
        opened = store.load(whole_id(store, chat_id), lock=False)
    for problem in opened.problems:
        complain(sanitize_line(problem))
    name = given.to or (format_for(given.output) if given.output else "markdown")
    if given.output is None:
        write_out(export_text([opened.conversation], EXPORTS[name]))
    else:
        if is_folder(given.output):
            raise TransferError(f"{given.output} is a folder.", "Give the name of a file in it.")
        if exists(given.output) and not given.force:
            raise TransferError(f"{given.output} already exists.", "--force replaces it.")
        write_chats([opened.conversation], name, given.output, overwrite=given.force)
    return 0


def _import(given: argparse.Namespace, store: SessionStore) -> int:
    tally = Tally()
    try:
        for source in read_sources(given.files):
            tally.add(source)
            _keep(source, tally, store)
    finally:
        # Also where a full disk ends it: what was imported until then is there.
        complain(tally.summary())
    return 0 if tally.is_whole else FAILED


def _keep(source: Source, tally: Tally, store: SessionStore) -> None:
    """Put the chats of a file on the disk, and print what there is to say of each and of the file."""
    name = sanitize_line(source.name)
    if source.imported is None:
        if source in tally.failures:
            complain(f"chat-tui import: {name} can't be imported. {source.failure}")
        return
    chats = zip(source.imported.conversations, source.imported.origins, strict=True)
    for chat, origin in chats:
        is_new = store.adopt(chat, origin)
        tally.add_chat(chat, is_new=is_new)
        turns = len(chat.path)
        plural = " " if turns == 1 else "s"
        mark = "" if is_new else "  [already imported]"
        write_out(f"{chat.id}  {turns:>4} turn{plural}  {_title(chat)}{mark}")
    for problem in source.imported.problems:
        complain(f"{name}: {sanitize_line(problem)}")


def _title(chat: Conversation) -> str:
    """Return what a list calls a chat: where it has no title, by the first words in it."""
    texts = (chat.title, *(turn.gist for turn in chat.path), chat.system_prompt)
    return next((line for text in texts if (line := sanitize_line(text, 60))), "Empty chat")


def models_parser() -> argparse.ArgumentParser:
    """Return the parser of `chat-tui models`."""
    parser = Parser(
        prog="chat-tui models",
        examples=(
            "chat-tui models",
            "chat-tui models --hub 'qwen3 instruct'",
            "chat-tui models --server http://localhost:11434",
        ),
        description="List the models on this machine, on the Hub or on a server. For this machine and the Hub, also show whether they fit into free memory.",
    )
    where = parser.add_mutually_exclusive_group()
    where.add_argument("--hub", metavar="WORDS", help="search the Hugging Face Hub instead")
    where.add_argument(
        "--server",
        metavar="NAME",
        help="list the models on a server instead: its address, or its name in the configuration file",
    )
    parser.add_argument("--json", action="store_true", help="print JSON")
    return parser


def _models(given: argparse.Namespace, _store: SessionStore) -> int:
    from tui.model_table import print_models, print_server_models

    if given.server:
        return print_server_models(_server(given.server), as_json=given.json)
    return print_models(AppPaths.default(), hub_words=given.hub, as_json=given.json)


def _server(named: str) -> Server:
    """Return a server by its name or address.

    Raises:
        SettingError, AddressError: there is none of that name, or it is no address.
    """
    preferences = Preferences(AppPaths.default().config_file, environment=os.environ)
    servers = Servers(lambda: preferences.values.servers, os.environ)
    if is_server(named):
        return server_of(parse_address(named), servers.named())
    found = {one.name: one for one in servers.named()}
    if named in found:
        return found[named]
    mark = f"servers.{named}"
    wrong = [one for one in (*preferences.problems, *servers.problems()) if mark in one]
    if wrong:
        raise SettingError(wrong[0])
    raise SettingError(
        f"There is no server {named!r}.",
        did_you_mean(named, found) or "The configuration file has no server with that name.",
    )


def config_parser() -> argparse.ArgumentParser:
    """Return the parser of `chat-tui config`."""
    parser = Parser(
        prog="chat-tui config",
        examples=(
            "chat-tui config",
            "chat-tui config --explain",
            "chat-tui config screen.theme=beacon generation.temperature=0.7",
        ),
        description="Check the configuration file, explain every setting, or change settings.",
    )
    parser.add_argument(
        "changes",
        nargs="*",
        metavar="KEY=VALUE",
        help="set a value, for example screen.theme=beacon; KEY= removes the value",
    )
    parser.add_argument(
        "--explain",
        action="store_true",
        help="print every setting with its description and current value",
    )
    parser.add_argument("--path", action="store_true", help="print the path of the file")
    return parser


def completion_parser() -> argparse.ArgumentParser:
    """Return the parser of `chat-tui completion`."""
    parser = Parser(
        prog="chat-tui completion",
        examples=(
            'eval "$(chat-tui completion bash)"',
            'eval "$(chat-tui completion zsh)"',
            "chat-tui completion fish | source",
        ),
        description="Print a script that completes chat-tui command lines in a shell.",
    )
    parser.add_argument("shell", choices=list(SHELLS))
    return parser


def _config(given: argparse.Namespace, _store: SessionStore) -> int:
    paths = AppPaths.default()
    path = paths.config_file
    if given.path:
        write_out(str(path))
        return 0
    if given.changes:
        changes = dict(map(_change, given.changes))
        if problem := theme_problem(str(changes.get("screen.theme") or ""), paths):
            raise SettingError(problem)
        write_settings(path, changes)
    state, _ = load_state(paths.state)
    preferences = Preferences(path, environment=os.environ, state=state)
    if given.explain:
        known = list(preferences.items())
        values = {key: value for key, value, _ in known}
        write_out(explain(values, {key: origin.value for key, _, origin in known}).rstrip())
    elif not given.changes:
        there = "" if path.exists() else " (doesn't exist yet)"
        write_out(f"{path}{there}")
        for key, value, origin in preferences.items():
            if origin in (Origin.FILE, Origin.ENVIRONMENT):
                write_out(f"{key} = {value!r}  ({origin.value})")
    for problem in preferences.problems:
        complain(f"chat-tui config: {problem}")
    return FAILED if preferences.problems else 0


def _change(text: str) -> tuple[str, Json]:
    key, equals, value = text.partition("=")
    if not equals:
        raise SettingError(f"{text!r} is not KEY=VALUE.")
    if key not in SETTINGS:
        raise SettingError(f"There is no setting {key!r}.", did_you_mean(key, SETTINGS))
    return key, SETTINGS[key].parse(value) if value else None


def theme_problem(name: str, paths: AppPaths) -> str:
    """Return a sentence where there is no color theme of a name; empty when there is."""
    from textual.theme import BUILTIN_THEMES

    themes = (*shipped_themes(), *user_themes(paths.themes)[0])
    known = {*BUILTIN_THEMES, *(theme.name for theme in themes)}
    if not name or name in known:
        return ""
    near = did_you_mean(name, sorted(known))
    return f"There is no theme {sanitize_line(name, 40)!r}. {near}".rstrip()


def _completion(given: argparse.Namespace, _store: SessionStore) -> int:
    about = dict(SUBCOMMANDS)
    paths = AppPaths.default()
    themes = (*shipped_themes(), *user_themes(paths.themes)[0])
    values = {
        "preset": Library(paths.presets, paths.prompts).preset_names(),
        "theme": sorted({theme.name for theme in themes}),
    }
    write_out(script(given.shell, about, values, [ask_parser()]).rstrip())
    return 0


PARSERS: Final = {
    "bench": bench.parser,
    "completion": completion_parser,
    "config": config_parser,
    "export": export_parser,
    "import": import_parser,
    "list": list_parser,
    "models": models_parser,
}
_COMMANDS: Final[Mapping[str, Callable[[argparse.Namespace, SessionStore], int]]] = {
    "completion": _completion,
    "config": _config,
    "export": _export,
    "import": _import,
    "list": _list,
    "models": _models,
}
