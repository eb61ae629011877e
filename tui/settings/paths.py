"""Where chat-tui keeps its files: one place that every other part is handed its folders from.

It makes the folders and says so when it can't. It reads and writes no file.
"""

from __future__ import annotations

import contextlib
import os
from pathlib import Path
from typing import Final

import platformdirs

from tui.dataclass import dataclass
from tui.errors import UserError
from tui.files import FOLDER_MODE, absolute, make_private_folder, reason

APP: Final = "chat-tui"
HOME_VARIABLE: Final = "CHAT_TUI_HOME"
"""An environment variable that names one folder to hold everything."""


class PathsError(UserError):
    """A folder of the app can't be used."""


@dataclass(frozen=True, slots=True)
class AppPaths:
    """The app's folders.

    Attributes:
        config: what the user writes: settings, presets, keys, themes.
        data: what must not be lost: chats.
        cache: what can be made again: converted models, the search index.
        logs: the log file.
    """

    config: Path
    data: Path
    cache: Path
    logs: Path

    @classmethod
    def default(cls) -> AppPaths:
        """Return the folders of this user: below `CHAT_TUI_HOME` if that is set, else where the system keeps such things.

        Raises:
            PathsError: the user has no home folder, and none is named.
        """
        try:
            if home := os.environ.get(HOME_VARIABLE, "").strip():
                return cls.under(Path(home).expanduser())
            return cls(
                config=platformdirs.user_config_path(APP, appauthor=False),
                data=platformdirs.user_data_path(APP, appauthor=False),
                cache=platformdirs.user_cache_path(APP, appauthor=False),
                logs=platformdirs.user_log_path(APP, appauthor=False),
            )
        except RuntimeError as error:
            raise PathsError(
                "There is no home folder for chats and settings (HOME is not set or is not an absolute path).",
                f"Set HOME, or set the environment variable {HOME_VARIABLE} to the absolute path of a folder for everything.",
            ) from error

    @classmethod
    def under(cls, folder: Path) -> AppPaths:
        """Return folders that all stand in one."""
        base = absolute(folder)
        return cls(base / "config", base / "data", base / "cache", base / "logs")

    @property
    def sessions(self) -> Path:
        """The folder of the chats."""
        return self.data / "sessions"

    @property
    def themes(self) -> Path:
        """The folder of the user's own color themes."""
        return self.config / "themes"

    @property
    def config_file(self) -> Path:
        """What the user sets the app to."""
        return self.config / "config.toml"

    @property
    def presets(self) -> Path:
        """The folder of the presets."""
        return self.config / "presets"

    @property
    def prompts(self) -> Path:
        """The folder of the named system prompts."""
        return self.config / "prompts"

    @property
    def history(self) -> Path:
        """What was sent, over all chats."""
        return self.data / "history.jsonl"

    @property
    def drafts(self) -> Path:
        """What was written and not sent, by chat."""
        return self.data / "drafts.json"

    @property
    def state(self) -> Path:
        """The file in which the app remembers what it was last set to."""
        return self.data / "state.json"

    @property
    def index(self) -> Path:
        """The search index of the chats."""
        return self.cache / "sessions.sqlite3"

    @property
    def measurements(self) -> Path:
        """What was measured of models on this machine."""
        return self.cache / "measurements.json"

    def ensure(self) -> None:
        """Make every folder, readable by its owner alone, and check that it can be written to.

        Raises:
            PathsError: one can't be made or written to. Those that can, are there.
        """
        failed: list[str] = []
        if len({folder.parent for folder in (self.config, self.data, self.cache, self.logs)}) == 1:
            # The one folder that holds everything is private too when it is made here; one that is there stays as it is.
            with contextlib.suppress(OSError):
                make_private_folder(self.config.parent)
        for folder in (self.config, self.data, self.sessions, self.cache, self.logs):
            try:
                make_private_folder(folder)
                if folder.stat().st_mode & 0o077:
                    folder.chmod(FOLDER_MODE)
                if not os.access(folder, os.W_OK | os.X_OK):
                    failed.append(f"{folder} (not writable)")
            except OSError as error:
                failed.append(f"{folder} ({reason(error)})")
        if failed:
            raise PathsError(
                f"chat-tui can't use {', '.join(failed)}.",
                "Make sure chat-tui can write there, or set the environment variable "
                f"{HOME_VARIABLE} to another folder for everything.",
            )
