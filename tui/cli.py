"""The command line: finds what to begin with, and opens the app.

Nothing heavy is imported before it is needed: `--help` and wrong arguments answer at once.
"""

from __future__ import annotations

import contextlib
import gc
import json
import os
import shlex
import sys
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, NoReturn

from tui.console import complain, write_out
from tui.errors import UserError
from tui.files import exists, is_file, is_folder, read_regular, reason, typed_path
from tui.json_types import Json
from tui.options import Arguments, generation_settings, parse, parser

# After Esc, Textual waits this many milliseconds for the rest of a sequence. What a terminal sends comes at once; with Textual's
# 100, a letter typed right after Esc would be taken for Alt with that letter.
os.environ.setdefault("ESCDELAY", "40")

if TYPE_CHECKING:
    from tui.app import ChatApp
    from tui.chat.servers import Servers
    from tui.engine.base import Engine, LoadRequest
    from tui.sessions import Loaded, SessionStore
    from tui.settings.paths import AppPaths
    from tui.settings.preferences import Preferences

__all__ = ["main", "parser"]

SUBCOMMANDS = ("bench", "completion", "config", "export", "import", "list", "models")
USAGE_ERROR = 2
CRASHED = 1
HANG_UP_S = 5.0
"""How long the app may take to end when the system asks for it, before that is done from outside."""
LAST_WORDS_S = 1.0
"""How long it may then still take to say what became of the chats."""
_ID_DIGITS = 8
"""Of a chat's id, where a person is to type it."""
_GENERATION_CONFIG = "generation_config.json"
_MOST_CONFIG_BYTES = 5_000_000


class UsageError(UserError):
    """The app can't start."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run `chat-tui`.

    Returns:
        the exit code: 0; 1 when the app failed or a chat could not be saved; 2 when it could not start.
    """
    given = list(sys.argv[1:] if argv is None else argv)
    is_subcommand = bool(given) and given[0] in SUBCOMMANDS
    name = f"chat-tui {given[0]}" if is_subcommand else "chat-tui"

    try:
        if is_subcommand:
            from tui.subcommands import run

            return run(given)
        return _run(parse(given))
    except UserError as error:
        complain(f"{name}: {error}")
        return USAGE_ERROR
    except Exception as error:  # noqa: BLE001 - once a log is kept, nobody else would say anything of it
        return _unexpected(name, error)


def _unexpected(name: str, error: Exception) -> int:
    """Say that something failed that nobody thought of, and where the details are; return the exit code."""
    import logging

    from tui import logs
    from tui.engine import failures
    from tui.settings.paths import AppPaths

    try:
        where = f"The details are in {logs.start_logging(AppPaths.default().logs)}."
    except UserError as problem:
        where = str(problem)
    failures.log(logging.getLogger(__name__), logging.CRITICAL, "uncaught error", error)
    complain(
        f"{name}: It failed unexpectedly ({failures.type_name(error)}: {failures.words(error)}). {where}"
    )
    return CRASHED


def _run(arguments: Arguments) -> int:
    from tui import logs
    from tui.settings.paths import AppPaths

    paths = AppPaths.default()
    if arguments.log_path:
        print(logs.log_path(paths.logs))
        return 0
    if arguments.dry_run:
        return _dry_run(arguments, paths)
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        raise UsageError(
            "This is a full-screen app and needs a terminal for input and output.",
            "Run it without pipes or redirections.",
        )
    return _open(arguments, paths)


def _preferences(arguments: Arguments, paths: AppPaths) -> tuple[Preferences, list[str]]:
    """Return the settings in force, and sentences about what was not used.

    Raises:
        UsageError, PresetError: something that the command line names can't be used.
    """
    from tui.settings.preferences import Origin, Preferences
    from tui.settings.presets import Library, PresetError
    from tui.settings.state import load_state

    state, problem = load_state(paths.state)
    notices = [*arguments.notices, *([problem] if problem else [])]
    command_line = dict(arguments.settings)
    if arguments.generation_config:
        command_line = {**_generation_config(arguments.generation_config), **command_line}
    path = typed_path(str(arguments.config)) if arguments.config else paths.config_file
    if arguments.config and not is_file(path):
        raise UsageError(f"There is no configuration file {path}.")
    preferences = Preferences(
        path,
        environment=os.environ,
        command_line=command_line,
        state=state,
        library=Library(paths.presets, paths.prompts),
    )
    notices += preferences.problems
    name = preferences.preset_name(preferences.values.model.name)
    try:
        if name:
            preferences.apply_preset(preferences.library.preset(name))
    except PresetError as error:
        if preferences.origin("chat.preset") is Origin.COMMAND_LINE:
            raise
        notices.append(str(error))
    return preferences, notices


def _generation_config(named: str) -> dict[str, Json]:
    """Return the settings of a generation config: a file, a folder with one, or a Hub repository.

    Raises:
        UsageError: it can't be read.
    """
    path = typed_path(named)
    if is_folder(path):
        path /= _GENERATION_CONFIG
    unusable = f"The generation config {named} can't be used"
    try:
        if ".json" not in named and not is_file(path):
            from tui.engine.hub.hub import Hub

            return generation_settings(Hub().small_file(named, _GENERATION_CONFIG).decode("utf-8"))
        return generation_settings(
            read_regular(path, most_bytes=_MOST_CONFIG_BYTES).decode("utf-8")
        )
    except UserError as error:
        raise UsageError(f"{unusable}. {error.message}", error.hint) from error
    except OSError as error:
        raise UsageError(f"{unusable} ({reason(error)}).") from error
    except ValueError as error:
        raise UsageError(f"{unusable} ({error}).") from error


def _load_request(
    arguments: Arguments, preferences: Preferences
) -> tuple[LoadRequest | None, list[str]]:
    """Return the model to load, None where there is none to begin with, and sentences about what is not used."""
    from tui.chat.servers import Servers
    from tui.engine.base import LoadRequest
    from tui.engine.catalog import demo_model
    from tui.engine.quantization import QUANTIZATIONS
    from tui.engine.remote.address import is_server
    from tui.settings.preferences import Origin

    wanted = preferences.values.model
    servers = Servers(lambda: preferences.values.servers, os.environ)
    model = servers.resolve(wanted.name) or ("demo" if demo_model() else "")
    if not model:
        return None, []
    if is_server(model):
        return _server_request(model, preferences, servers)
    quantization, origin = wanted.quantization, preferences.origin("model.quantization")
    # What was chosen for another model says nothing of the one that is named now.
    is_named = preferences.origin("model.name") is not Origin.REMEMBERED
    if not quantization or (origin is Origin.REMEMBERED and is_named):
        quantization = "none"
    notices = []
    if quantization not in QUANTIZATIONS:
        notices.append(
            f"There is no quantization {quantization!r} (there are: {', '.join(QUANTIZATIONS)})."
        )
        quantization = "none"
    request = LoadRequest(
        model,
        quantization,
        revision=wanted.revision,
        trust_own_code=arguments.trust_remote_code,
        **preferences.load_options,
    )
    return request, notices


def _server_request(
    model: str, preferences: Preferences, servers: Servers
) -> tuple[LoadRequest | None, list[str]]:
    """Return what connects to a model's server; None where only a preset names it, since that can come from anybody."""
    from tui.engine.base import LoadRequest
    from tui.engine.remote.address import AddressError, parse
    from tui.settings.preferences import Origin

    state = preferences.remembered
    known = {one.address.base for one in servers.known((*state.favorites, *state.recent_models))}
    try:
        base = parse(model).base
    except AddressError as error:
        return None, [str(error)]
    if preferences.origin("model.name") is Origin.PRESET and base not in known:
        return None, [f"The preset names a server that you have not used: {base}. If you trust it, press F4 and enter its address."]  # fmt: skip
    unused = [
        f"--{key.partition('.')[2]}"
        for key in ("model.quantization", "model.dtype", "model.device")
        if preferences.origin(key) is Origin.COMMAND_LINE
    ]
    notices = [f"{', '.join(unused)} has no effect on a model of a server."] if unused else []
    return LoadRequest(model, **preferences.load_options), notices


def _dry_run(arguments: Arguments, paths: AppPaths) -> int:
    """Print what would be used, and where each setting comes from; what is wrong goes to stderr too."""
    from tui.subcommands import theme_problem

    preferences, notices = _preferences(arguments, paths)
    request, more = _load_request(arguments, preferences)
    if problem := theme_problem(preferences.values.screen.theme, paths):
        more.append(problem)
    settings = {
        key: {"value": value, "origin": origin.value} for key, value, origin in preferences.items()
    }
    report = {
        "model": None if request is None else request.model,
        "quantization": None if request is None else request.quantization,
        "trust_remote_code": arguments.trust_remote_code,
        "chat": "newest" if arguments.resume else arguments.session or "new",
        "config_file": str(preferences.path),
        "settings": settings,
        "notices": [*notices, *more],
    }
    write_out(json.dumps(report, indent=2, ensure_ascii=False))
    for notice in (*notices, *more):
        complain(f"chat-tui: {notice}")
    return 0


@contextlib.contextmanager
def _uncollected() -> Iterator[None]:
    """Import what stays to the end without looking for garbage in it again and again, then or later."""
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()


def _open(arguments: Arguments, paths: AppPaths) -> int:
    with _uncollected():
        from tui import logs
        from tui.app import ChatApp, Start
        from tui.chat.servers import Servers
        from tui.engine.engines import Engines
        from tui.engine.local import LocalEngine
        from tui.sessions import SessionStore
        from tui.sessions.writer import SessionWriter
        from tui.settings.measurements import Measurements
        from tui.settings.state import save_state
        from tui.settings.themes import shipped_themes, user_themes

    notices: list[str] = []
    try:
        paths.ensure()
    except UserError as error:
        notices.append(f"{error} What you write is kept in memory only.")
    try:
        logs.start_logging(paths.logs)
    except UserError as error:
        notices.append(str(error))
    store = SessionStore(paths.sessions, paths.index)
    opened = _opened(arguments, store)
    preferences, problems = _preferences(arguments, paths)
    themes, broken = user_themes(paths.themes)
    servers = Servers(lambda: preferences.values.servers, os.environ)
    request, more = _load_request(arguments, preferences)
    app = ChatApp(
        Engines(LocalEngine(paths.cache), lambda: _remote_engine(servers)),
        SessionWriter(store),
        preferences.state(),
        start=Start(opened, request, (*notices, *problems, *servers.problems(), *more, *broken)),
        themes=(*shipped_themes(), *themes),
        copy_file=paths.cache / "copied.txt",
        measurements=Measurements(paths.measurements),
        save_state=lambda changed: save_state(paths.state, changed),
        preferences=preferences,
        servers=servers,
        paths=paths,
        on_signal=lambda: _end_in_time(app),
    )
    app.run()
    ending = app.close()
    code = CRASHED if app.crash is not None or ending.problems else app.return_code or 0
    if app.crash is not None:
        name = type(app.crash).__name__
        where = logs.log_path(paths.logs)
        complain(f"chat-tui: The app failed ({name}). The details are in {where}.")
    for chat_id, problem in ending.problems.items():
        complain(f"chat-tui: {problem}")
        if (copy := ending.copies.get(chat_id)) is not None:
            opens_it = f"chat-tui --session {shlex.quote(str(copy))}"
            complain(f"chat-tui: a copy of it is in {copy}; open it with: {opens_it}")
    if code == 0 and app.kept_chat:
        write_out(f"To go on with this chat: chat-tui --session {app.kept_chat[:_ID_DIGITS]}")
    if not ending.ended:
        _leave(code)
    return code


def _remote_engine(servers: Servers) -> Engine:
    from tui.engine.remote.engine import RemoteEngine

    return RemoteEngine(servers.named)


def _end_in_time(app: ChatApp) -> None:
    """See to it that the process ends, also where the terminal is gone and something waits for it for ever."""
    import threading
    import time

    def watch() -> None:
        time.sleep(HANG_UP_S)
        problems = app.close().problems
        time.sleep(LAST_WORDS_S)
        _leave(CRASHED if problems else 0)

    threading.Thread(target=watch, name="end in time", daemon=True).start()


def _opened(arguments: Arguments, store: SessionStore) -> Loaded | None:
    """Return the chat that the command line asks for.

    Raises:
        UsageError, SessionError: it can't be opened.
    """
    if arguments.resume:
        newest = store.newest()
        if newest is None:
            raise UsageError("There is no saved chat to continue.", "`chat-tui` starts one.")
        return store.load(newest)
    if arguments.session:
        path = typed_path(arguments.session)
        if exists(path):
            return store.open_file(path)
        from tui.subcommands import whole_id

        return store.load(whole_id(store, arguments.session))
    return None


def _leave(code: int) -> NoReturn:
    """End the process at once: the engine is inside a library call that can't be interrupted."""
    import logging

    logging.shutdown()
    # A terminal that is gone takes nothing any more.
    with contextlib.suppress(OSError):
        sys.stdout.flush()
        sys.stderr.flush()
    os._exit(code)
