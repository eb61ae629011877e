"""Everything that can stand in the place of one of the app's files, and the use of every such file.

It is used in a process of its own, so that what waits for ever can be ended.
"""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from tui import logs
from tui.conversation import Conversation
from tui.sessions import SessionError, SessionStore
from tui.sessions.rescue import write_copy
from tui.settings.config import ConfigError, read_config, write_setting
from tui.settings.history import (
    Draft,
    Sent,
    add_to_history,
    read_drafts,
    read_history,
    write_drafts,
)
from tui.settings.measurements import Measurements
from tui.settings.paths import AppPaths, PathsError
from tui.settings.presets import Library, Preset, PresetError
from tui.settings.state import AppState, StateError, load_state, save_state
from tui.settings.themes import user_themes

WORDS = "words of somebody"


def make_folder(path: Path) -> None:
    path.mkdir()
    (path / "somebody's file").write_text(WORDS)


def make_huge(path: Path) -> None:
    with path.open("wb") as file:
        file.truncate(1 << 30)


def make_link_to_pipe(path: Path) -> None:
    pipe = path.with_name(f"{path.name}-pipe")
    os.mkfifo(pipe)
    path.symlink_to(pipe)


KINDS: dict[str, Callable[[Path], object]] = {
    "folder": make_folder,
    "pipe": os.mkfifo,
    "link to a pipe": make_link_to_pipe,
    "dangling link": lambda path: path.symlink_to("nowhere/at/all"),
    "link to a folder": lambda path: path.symlink_to("/"),
    "link to a device": lambda path: path.symlink_to("/dev/full"),
    "1 GB": make_huge,
    "garbage": lambda path: path.write_bytes(
        f"\x00\ud800{WORDS}\xff\n".encode("latin-1", "ignore") * 50
    ),
    "deep": lambda path: path.write_bytes(b"[" * 200_000 + WORDS.encode()),
    "long number": lambda path: path.write_bytes(b"a = 1" + b"0" * 5000),
    "long key": lambda path: path.write_bytes(b"a." * 100_000 + b"a = 1"),
    "nothing": lambda path: path.write_bytes(b""),
    "foreign JSON": lambda path: path.write_text(json.dumps(FOREIGN)),
}
FOREIGN: dict[str, Any] = {
    "model": 7,
    "parameters": {"temperature": 10**400, "seed": [1], "top_p": float("nan")},
    "sidebar": "no",
    "favorites": {"a": 1},
    "m": {"none": {"memory_bytes": 10**400, "tokens_per_s": [10**400, "x", float("inf"), True]}},
    "chat": {"text": ["a"], "attachments": 7},
    "other": {"text": "b", "attachments": [{"name": 1}, 7]},
    "text": None,
}

Problem = list[str]


def use_state(paths: AppPaths, said: Problem) -> None:
    said.append(load_state(paths.state)[1])
    save_state(paths.state, AppState(model="kept"))
    assert load_state(paths.state)[0].model == "kept"


def use_history(paths: AppPaths, said: Problem) -> None:
    read_history(paths.history)
    add_to_history(paths.history, Sent("kept"))
    add_to_history(paths.history, Sent("kept too"))
    assert [one.text for one in read_history(paths.history)][-2:] == ["kept", "kept too"]


def use_drafts(paths: AppPaths, said: Problem) -> None:
    drafts, problem = read_drafts(paths.drafts)
    said.append(problem)
    write_drafts(paths.drafts, {**drafts, "c": Draft("kept")})
    assert read_drafts(paths.drafts)[0]["c"].text == "kept"


def use_config(paths: AppPaths, said: Problem) -> None:
    said += read_config(paths.config_file).problems
    try:
        write_setting(paths.config_file, "screen.theme", "x")
    except ConfigError as error:
        said.append(str(error))


def use_measurements(paths: AppPaths, said: Problem) -> None:
    figures = Measurements(paths.measurements)
    for model in figures.figures.values():
        assert all(0 <= memory < 1 << 61 and 0 <= speed < 1e10 for memory, speed in model.values())
    figures.note_speed("m", "none", 3.0)
    assert Measurements(paths.measurements).figures["m"]["none"][1] > 0


def use_presets(paths: AppPaths, said: Problem) -> None:
    library = Library(paths.presets, paths.prompts)
    library.preset_names(), library.prompt_names()
    for read in (library.preset, library.prompt):
        try:
            read("kept")
        except PresetError as error:
            said.append(str(error))
    library.save_preset(Preset("kept", system_prompt="kept"))
    library.save_prompt("kept", "kept")
    assert library.preset("kept").system_prompt == library.prompt("kept") == "kept"


def use_themes(paths: AppPaths, said: Problem) -> None:
    said += user_themes(paths.themes)[1]


def use_chats(paths: AppPaths, said: Problem) -> None:
    store = SessionStore(paths.sessions, paths.index)
    chat = Conversation().add_user("kept")
    store.save(chat)
    assert store.load(chat.id).conversation == chat
    assert store.list()[0].id == chat.id
    assert store.search("kept")
    store.close()


def use_log(paths: AppPaths, said: Problem) -> None:
    path = logs.start_logging(paths.logs)
    for _ in range(3):
        logging.getLogger("x").warning("kept")
    if path.is_file():
        assert "kept" in path.read_text("utf-8", "replace")


PLACES: dict[str, tuple[Callable[[AppPaths], Path], Callable[[AppPaths, Problem], None]]] = {
    "state": (lambda paths: paths.state, use_state),
    "staged state": (lambda paths: paths.data / ".state.json.tmp", use_state),
    "history": (lambda paths: paths.history, use_history),
    "drafts": (lambda paths: paths.drafts, use_drafts),
    "config_file": (lambda paths: paths.config_file, use_config),
    "measurements": (lambda paths: paths.measurements, use_measurements),
    "a preset": (lambda paths: paths.presets / "kept.toml", use_presets),
    "a prompt": (lambda paths: paths.prompts / "kept.txt", use_presets),
    "presets": (lambda paths: paths.presets, use_presets),
    "prompts": (lambda paths: paths.prompts, use_presets),
    "a theme": (lambda paths: paths.themes / "x.toml", use_themes),
    "themes": (lambda paths: paths.themes, use_themes),
    "sessions": (lambda paths: paths.sessions, use_chats),
    "index": (lambda paths: paths.index, use_chats),
    "log": (lambda paths: logs.log_path(paths.logs), use_log),
    "older log": (lambda paths: paths.logs / "chat-tui.log.1", use_log),
    "logs": (lambda paths: paths.logs, use_log),
    "config": (lambda paths: paths.config, use_config),
    "cache": (lambda paths: paths.cache, use_chats),
    "data": (lambda paths: paths.data, use_chats),
}


def put_in_the_way(paths: AppPaths, kind: str, place: str) -> None:
    """Put something in the place of a file or folder of the app."""
    target = PLACES[place][0](paths)
    target.parent.mkdir(parents=True, exist_ok=True)
    if not os.path.lexists(target):
        KINDS[kind](target)


def use(paths: AppPaths, place: str) -> list[str]:
    """Use a file as the app does, and return what the user is told."""
    said: list[str] = []
    with suppress(PathsError):
        paths.ensure()
    try:
        PLACES[place][1](paths, said)
    except (StateError, PresetError, logs.LogError, SessionError, OSError) as error:
        said.append(str(error))
        if isinstance(error, SessionError):
            write_copy(Conversation().add_user("kept"), [paths.config.parent.parent])
    return [sentence for sentence in said if sentence]
