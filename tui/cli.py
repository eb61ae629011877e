"""The command line: finds what to begin with, and opens the app.

Nothing heavy is imported before it is needed: `--help` and wrong arguments answer at once.
"""

from __future__ import annotations

import contextlib
import gc
import json
import os
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, NoReturn

from tui.arguments import SUBCOMMANDS, Arguments, of_words
from tui.console import (
    OutputError,
    ReaderGoneError,
    complain,
    discard_out,
    flush_out,
    write_out,
)
from tui.errors import UserError
from tui.interrupts import ending_at_once
from tui.startup import (
    UsageError,
    llama_engine,
    load_request,
    local_engine,
    opened_chat,
    preferences_for,
    remote_engine,
)

# After Esc, Textual waits this many milliseconds for the rest of a sequence. What a terminal sends comes at once; with Textual's
# 100, a letter typed right after Esc would be taken for Alt with that letter.
os.environ.setdefault("ESCDELAY", "40")

if TYPE_CHECKING:
    from tui.app import ChatApp
    from tui.settings.paths import AppPaths

__all__ = ["main"]

USAGE_ERROR = 2
CRASHED = 1
HANG_UP_S = 5.0
"""How long the app may take to end when the system asks for it, before that is done from outside."""
LAST_WORDS_S = 1.0
"""How long it may then still take to say what became of the chats."""
_ID_DIGITS = 8
"""Of a chat's id, where a person is to type it."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run `chat-tui`.

    Returns:
        the exit code: 0; 1 when the app failed, a chat could not be saved or the output not be written; 2 when it could not start.
    """
    given = list(sys.argv[1:] if argv is None else argv)
    is_subcommand = bool(given) and given[0] in SUBCOMMANDS
    name = f"chat-tui {given[0]}" if is_subcommand else "chat-tui"

    try:
        code = _run_subcommand(given) if is_subcommand else _run(_parsed(given))
        flush_out()
    except ReaderGoneError:
        discard_out()
        return 0
    except OutputError as error:
        discard_out()
        complain(f"{name}: {error}")
        return CRASHED
    except UserError as error:
        complain(f"{name}: {error}")
        return USAGE_ERROR
    except Exception as error:  # noqa: BLE001 - once a log is kept, nobody else would say anything of it
        return _unexpected(name, error)
    return code


def _parsed(given: Sequence[str]) -> Arguments:
    """Return what a command line says; exits with code 2 and a sentence when it can't be understood."""
    if (found := of_words(given)) is not None:
        # Making the parser would take a fiftieth of the time to the first frame.
        return found
    from tui.options import parse

    return parse(given)


def _run_subcommand(given: Sequence[str]) -> int:
    if given[0] == "ask":
        # Until the question has handlers of its own.
        with ending_at_once():
            from tui.ask.command import run as answer

            return answer(given[1:])
    from tui.subcommands import run

    return run(given)


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
        f"{name}: Unexpected error ({failures.type_name(error)}: {failures.words(error)}). {where}"
    )
    return CRASHED


def _run(arguments: Arguments) -> int:
    from tui import logs
    from tui.settings.paths import AppPaths

    paths = AppPaths.default()
    if arguments.log_path:
        write_out(str(logs.log_path(paths.logs)))
        return 0
    if arguments.dry_run:
        return _dry_run(arguments, paths)
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        raise UsageError(
            "This is a full-screen app and needs a terminal for input and output.",
            'To ask one question with a pipe, use `chat-tui ask "Your question"`.',
        )
    return _open(arguments, paths)


def _dry_run(arguments: Arguments, paths: AppPaths) -> int:
    """Print what would be used, and where each setting comes from; what is wrong goes to stderr too."""
    from tui.subcommands import theme_problem

    preferences, notices = preferences_for(arguments, paths)
    request, more = load_request(arguments, preferences)
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


def _collect() -> None:
    """Look for garbage from now on, but not in what was imported and made for the first frame: that stays."""
    gc.freeze()
    gc.enable()


def _made_app(arguments: Arguments, paths: AppPaths) -> ChatApp:
    from tui import logs
    from tui.chat.servers import Servers
    from tui.sessions import SessionStore

    notices: list[str] = []
    try:
        paths.ensure()
    except UserError as error:
        notices.append(f"{error} Your chats are kept in memory only.")
    try:
        logs.start_logging(paths.logs)
    except UserError as error:
        notices.append(str(error))
    store = SessionStore(paths.sessions, paths.index)
    opened = opened_chat(arguments, store)
    preferences, problems = preferences_for(arguments, paths)
    servers = Servers(lambda: preferences.values.servers, os.environ)
    request, more = load_request(arguments, preferences)
    # Its imports run beside those of the screen.
    engine = local_engine(preferences, paths, request)
    make_llama = llama_engine(paths, request)
    from tui.app import ChatApp
    from tui.engine.engines import Engines
    from tui.screens.chat import Start
    from tui.sessions.writer import SessionWriter
    from tui.settings.measurements import Measurements
    from tui.settings.state import save_state
    from tui.settings.themes import first_themes, shipped_themes, user_themes

    themes, broken = user_themes(paths.themes)
    state = preferences.state()
    app = ChatApp(
        Engines(engine, lambda: remote_engine(servers), make_llama),
        SessionWriter(store),
        state,
        start=Start(opened, request, (*notices, *problems, *servers.problems(), *more, *broken)),
        themes=(*first_themes(state.theme), *themes),
        more_themes=shipped_themes,
        copy_file=paths.cache / "copied.txt",
        measurements=Measurements(paths.measurements),
        save_state=lambda changed: save_state(paths.state, changed),
        preferences=preferences,
        servers=servers,
        paths=paths,
        on_signal=lambda: _end_in_time(app),
        on_first_frame=_collect,
    )
    return app


def _open(arguments: Arguments, paths: AppPaths) -> int:
    # Looking for garbage again and again would take a twentieth of the time to the first frame.
    gc.disable()
    app = _made_app(arguments, paths)
    app.run()
    ending = app.close()
    code = CRASHED if app.crash is not None or ending.problems else app.return_code or 0
    if app.crash is not None:
        from tui import logs

        name = type(app.crash).__name__
        where = logs.log_path(paths.logs)
        complain(f"chat-tui: The app failed ({name}). The details are in {where}.")
    for chat_id, problem in ending.problems.items():
        complain(f"chat-tui: {problem}")
        if (copy := ending.copies.get(chat_id)) is not None:
            import shlex

            opens_it = f"chat-tui --session {shlex.quote(str(copy))}"
            complain(f"chat-tui: A copy is in {copy}. Open it with: {opens_it}")
    if code == 0 and app.kept_chat:
        write_out(f"To continue this chat: chat-tui --session {app.kept_chat[:_ID_DIGITS]}")
    if not ending.ended:
        _leave(code)
    return code


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


def _leave(code: int) -> NoReturn:
    """End the process at once: the engine is inside a library call that can't be interrupted."""
    import logging

    logging.shutdown()
    # A terminal that is gone takes nothing any more.
    with contextlib.suppress(OSError):
        sys.stdout.flush()
        sys.stderr.flush()
    os._exit(code)
