"""What the app is set to and where it keeps its files: folders, remembered state, color themes. No screen."""

from tui.settings.paths import AppPaths, PathsError
from tui.settings.state import AppState, StateError, load_state, save_state
from tui.settings.themes import (
    DEFAULT_THEME,
    ThemeColors,
    ThemeError,
    read_theme,
    shipped_themes,
    user_themes,
)

__all__ = [
    "DEFAULT_THEME",
    "AppPaths",
    "AppState",
    "PathsError",
    "StateError",
    "ThemeColors",
    "ThemeError",
    "load_state",
    "read_theme",
    "save_state",
    "shipped_themes",
    "user_themes",
]
