"""The command line: parses arguments, finds what to begin with, and opens the app.

Nothing heavy is imported before it is needed: `--help` and wrong arguments answer at once.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from tui import __version__
from tui.console import Parser, complain
from tui.engine.quantization import QUANTIZATIONS

if TYPE_CHECKING:
    from tui.app import ChatApp
    from tui.sessions import Loaded, SessionStore
    from tui.settings.paths import AppPaths

SUBCOMMANDS = ("export", "import", "list", "models")
USAGE_ERROR = 2
CRASHED = 1
HANG_UP_S = 5.0
"""How long the app may take to end when the system asks for it, before that is done from outside."""
LAST_WORDS_S = 1.0
"""How long it may then still take to say what became of the chats."""


class UsageError(Exception):
    """The app can't start; the message is a sentence for a person."""


def parser() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    result = Parser(
        prog="chat-tui",
        description="Talk with a local language model in a full-screen terminal app.",
        epilog="Without MODEL, the one used last is loaded, else the demo model if it is installed. "
        "'chat-tui list', 'chat-tui export' and 'chat-tui import' work on chats without a screen, and "
        "'chat-tui models' lists models.",
    )
    result.add_argument(
        "model",
        nargs="?",
        metavar="MODEL",
        help="a Hub id (org/name), a local folder, a .gguf file, or 'demo'",
    )
    chat = result.add_mutually_exclusive_group()
    chat.add_argument(
        "--continue", dest="resume", action="store_true", help="reopen the newest chat"
    )
    chat.add_argument(
        "--session",
        metavar="ID_OR_FILE",
        help="open a saved chat, by its id, the id's beginning, or file",
    )
    result.add_argument(
        "--quantization", choices=list(QUANTIZATIONS), help="how the weights are held in memory"
    )
    result.add_argument(
        "--revision", default="", help="the model's branch, tag or commit on the Hub"
    )
    result.add_argument(
        "--trust-remote-code",
        action="store_true",
        help="run Python code that the model's repository ships; only for repositories that you trust",
    )
    result.add_argument(
        "--log-path", action="store_true", help="print where the log file is, and exit"
    )
    result.add_argument("--version", action="version", version=f"chat-tui {__version__}")
    return result


def main(argv: Sequence[str] | None = None) -> int:
    """Run `chat-tui`.

    Returns:
        the exit code: 0; 1 when the app failed or a chat could not be saved; 2 when it could not start.
    """
    given = list(sys.argv[1:] if argv is None else argv)
    if given and given[0] in SUBCOMMANDS:
        from tui.subcommands import run

        return run(given)
    arguments = parser().parse_args(given)
    try:
        return _run(arguments)
    except UsageError as error:
        complain(f"chat-tui: {error}")
        return USAGE_ERROR


def _run(arguments: argparse.Namespace) -> int:
    from tui import logs
    from tui.settings.paths import AppPaths

    paths = AppPaths.default()
    if arguments.log_path:
        print(logs.log_path(paths.logs))
        return 0
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        raise UsageError(
            "this is a full-screen app and needs a terminal for input and output. "
            "Run it without pipes or redirections."
        )
    return _open(arguments, paths)


def _open(arguments: argparse.Namespace, paths: AppPaths) -> int:
    from tui import logs
    from tui.app import ChatApp, Start
    from tui.engine.base import LoadRequest
    from tui.engine.catalog import demo_model
    from tui.engine.local import LocalEngine
    from tui.sessions import SessionStore
    from tui.sessions.writer import SessionWriter
    from tui.settings.measurements import Measurements
    from tui.settings.paths import PathsError
    from tui.settings.state import load_state, save_state
    from tui.settings.themes import shipped_themes, user_themes

    notices: list[str] = []
    try:
        paths.ensure()
    except PathsError as error:
        notices.append(f"{error} What you write is kept in memory only.")
    try:
        logs.start_logging(paths.logs)
    except logs.LogError as error:
        notices.append(str(error))
    store = SessionStore(paths.sessions, paths.index)
    opened = _opened(arguments, store)
    state, problem = load_state(paths.state)
    notices += [problem] if problem else []
    themes, problems = user_themes(paths.themes)
    notices += problems
    model = arguments.model or state.model or ("demo" if demo_model() else "")
    quantization = arguments.quantization or (state.quantization if not arguments.model else "none")
    request = None
    if model:
        trusted = arguments.trust_remote_code
        request = LoadRequest(
            model, quantization, revision=arguments.revision, trust_remote_code=trusted
        )
    app = ChatApp(
        LocalEngine(paths.cache),
        SessionWriter(store),
        state,
        start=Start(opened, request, tuple(notices)),
        themes=(*shipped_themes(), *themes),
        copy_file=paths.cache / "copied.txt",
        measurements=Measurements(paths.measurements),
        save_state=lambda changed: save_state(paths.state, changed),
        drafts=paths.drafts,
        on_signal=lambda: _end_in_time(app),
    )
    app.run()
    ending = app.close()
    code = CRASHED if app.crash is not None or ending.problems else app.return_code or 0
    if app.crash is not None:
        name = type(app.crash).__name__
        where = logs.log_path(paths.logs)
        complain(f"chat-tui: the app failed ({name}); the details are in {where}")
    for chat_id, problem in ending.problems.items():
        complain(f"chat-tui: {problem}")
        if (copy := ending.copies.get(chat_id)) is not None:
            opens_it = f"chat-tui --session {shlex.quote(str(copy))}"
            complain(f"chat-tui: a copy of it is in {copy}; open it with: {opens_it}")
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


def _opened(arguments: argparse.Namespace, store: SessionStore) -> Loaded | None:
    """Return the chat that the command line asks for.

    Raises:
        UsageError: it can't be opened.
    """
    from tui.sessions import SessionError

    try:
        if arguments.resume:
            newest = store.newest()
            if newest is None:
                raise UsageError("there is no saved chat to continue. Start one with: chat-tui")
            return store.load(newest)
        if arguments.session:
            path = Path(arguments.session).expanduser()
            if path.exists():
                return store.open_file(path)
            from tui.subcommands import whole_id

            return store.load(whole_id(store, arguments.session))
    except SessionError as error:
        raise UsageError(str(error)) from error
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
