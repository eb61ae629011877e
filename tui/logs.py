"""The log file: everything that libraries would write over the screen goes there, and every error that nobody caught.

It knows nothing of the app; what the user should see is shown by the screen, not read from the log.
"""

from __future__ import annotations

import logging
import os
import sys
import threading
from logging.handlers import RotatingFileHandler
from pathlib import Path
from types import TracebackType
from typing import Any, Final

from tui.errors import UserError
from tui.files import make_private_folder, open_own, reason

_MAX_BYTES: Final = 1_000_000
_BACKUPS: Final = 2
_FORMAT: Final = "%(asctime)s %(levelname)-7s %(threadName)s %(name)s: %(message)s"

_log = logging.getLogger(__name__)


class LogError(UserError):
    """There can be no log file. The app works without."""


class _PrivateHandler(RotatingFileHandler):
    """A rotating log that only its owner can read, and that never complains on the screen."""

    def _open(self) -> Any:
        fd = open_own(Path(self.baseFilename), os.O_WRONLY | os.O_APPEND)
        return open(fd, self.mode, encoding=self.encoding, errors=self.errors)  # noqa: PTH123

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 - logging's name
        """Drop what can't be written: logging's own way is a traceback on stderr, over the screen."""


def log_path(folder: Path) -> Path:
    """Return the log file in a folder, whether it is there or not."""
    return folder / "chat-tui.log"


def start_logging(folder: Path, level: int = logging.INFO) -> Path:
    """Send all logging, warnings and uncaught errors of this process to a file; nothing goes to stderr any more.

    The file is kept below 1 MB, with two older ones beside it. A second call takes the place of the first.

    Returns:
        The log file.

    Raises:
        LogError: the file can't be written; logging is off, and still nothing goes to stderr.
    """
    root = logging.getLogger()
    for old in list(root.handlers):
        root.removeHandler(old)
        old.close()
    logging.captureWarnings(True)
    sys.excepthook = _log_uncaught
    threading.excepthook = _log_uncaught_in_thread
    sys.unraisablehook = _log_unraisable
    path = log_path(folder)
    try:
        make_private_folder(folder)
        handler = _PrivateHandler(
            path, maxBytes=_MAX_BYTES, backupCount=_BACKUPS, encoding="utf-8", errors="replace"
        )
    except OSError as error:
        root.addHandler(logging.NullHandler())
        raise LogError(
            f"Logging is off: {path} can't be written ({reason(error)}).",
            "chat-tui works without it.",
        ) from error
    handler.setFormatter(logging.Formatter(_FORMAT))
    root.addHandler(handler)
    root.setLevel(level)
    return path


def _log_uncaught(
    kind: type[BaseException], error: BaseException, trace: TracebackType | None
) -> None:
    if not issubclass(kind, KeyboardInterrupt):
        _log.critical("uncaught error", exc_info=(kind, error, trace))


def _log_unraisable(args: sys.UnraisableHookArgs) -> None:
    """Log what was raised where nothing can catch it, as while an object is freed; without the object, whose code failed."""
    if args.exc_value is not None:
        _log.error("unraisable error", exc_info=args.exc_value)


def _log_uncaught_in_thread(args: threading.ExceptHookArgs) -> None:
    if args.exc_value is not None and not isinstance(args.exc_value, SystemExit):
        name = args.thread.name if args.thread else "?"
        trace = (args.exc_type, args.exc_value, args.exc_traceback)
        _log.critical("uncaught error in thread %s", name, exc_info=trace)
