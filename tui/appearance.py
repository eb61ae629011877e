"""How the app looks and which keys it has, as the settings say: themes, keys, motion, plain and ASCII screens, the terminal's title.

It follows the configuration file and the user's themes while the app runs. What a chat is, is not known here.
"""

from __future__ import annotations

import asyncio
import logging
import os
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from rich.segment import Segment
from textual import work
from textual.app import App
from textual.color import Color
from textual.filter import LineFilter
from textual.theme import Theme

from tui.actions import ACTIONS
from tui.files import Stamp, stamp
from tui.keymap import Keymap, keymap
from tui.parameters import did_you_mean
from tui.sanitize import sanitize_line
from tui.settings.paths import AppPaths
from tui.settings.preferences import Preferences
from tui.settings.themes import ThemeColors, ThemeError, user_themes

_log = logging.getLogger(__name__)

WATCH_S: Final = 1.0
"""How often the configuration file and the user's themes are looked at."""
_NO_KEY: Final = "none"
_LINES: Final = "─━│┃┄┅┆┇┈┉┊┋┌┍┎┏┐┑┒┓└┕┖┗┘┙┚┛├┤┬┴┼═║╒╓╔╕╖╗╘╙╚╛╜╝╞╟╠╡╢╣╤╥╦╧╨╩╪╫╬╭╮╯╰╱╲╳╴╵╶╷╸╹╺╻▁▂▃▄▅▆▇█▉▊▋▌▍▎▏▐░▒▓▔▕▖▗▘▙▚▛▜▝▞▟"
_ASCII: Final = {
    **dict.fromkeys(map(ord, _LINES), " "),
    **dict.fromkeys(map(ord, "─━┄┅┈┉═╌╍▁▔"), "-"),
    **dict.fromkeys(map(ord, "│┃┆┇┊┋║╎╏▎▏▕▐▌▍"), "|"),
    **dict.fromkeys(map(ord, "┌┐└┘├┤┬┴┼╭╮╯╰╔╗╚╝╠╣╦╩╬"), "+"),
    **dict.fromkeys(map(ord, "█▇▆▅▓▉▊▋▄▀"), "#"),
    **dict.fromkeys(map(ord, "●•◉◆■▪★"), "*"),
    **dict.fromkeys(map(ord, "○◌□▫·"), "."),
    **dict.fromkeys(map(ord, "›▸▶»❯→⟶"), ">"),
    **dict.fromkeys(map(ord, "‹◂◀«❮←"), "<"),
    **dict.fromkeys(map(ord, "▾▼↓"), "v"),
    **dict.fromkeys(map(ord, "▴▲↑"), "^"),
    **dict.fromkeys(map(ord, "“”"), '"'),
    **dict.fromkeys(map(ord, "‘’"), "'"),
    **dict.fromkeys(map(ord, "–—"), "-"),
    **dict.fromkeys(map(ord, "░▒"), "."),
    ord("⇄"): "=", ord("✎"): "~", ord("◐"): "*", ord("⚠"): "!", ord("✕"): "x", ord("…"): ".", ord("×"): "x", ord("✓"): "v", ord("✗"): "x", ord("⏎"): "<", ord("↺"): "@", ord("\u00a0"): " ",
}  # fmt: skip
_BARE: Final = dict.fromkeys(map(ord, _LINES), " ")


class SignFilter(LineFilter):
    """Puts other signs of the same width in the place of lines and ornaments; all else that is not ASCII becomes `?` if asked for."""

    def __init__(self, signs: Mapping[int, str], *, ascii_only: bool) -> None:
        super().__init__()
        self._signs = dict(signs)
        self._ascii_only = ascii_only

    def apply(self, segments: list[Segment], background: Color) -> list[Segment]:  # noqa: ARG002 - Textual's
        """Return the segments with their signs exchanged."""
        return [self._exchanged(one) for one in segments]

    def _exchanged(self, segment: Segment) -> Segment:
        text = segment.text
        if text.isascii() or segment.control:
            return segment
        text = text.translate(self._signs)
        if self._ascii_only and not text.isascii():
            text = "".join(
                one if one.isascii() else "?" * max(0, Segment(one).cell_length) for one in text
            )
        return Segment(text, segment.style, segment.control)


def is_ascii_terminal(environment: Mapping[str, str]) -> bool:
    """Return whether the locale names a character set other than UTF-8, as in `en_US.ISO-8859-1`, or is forced to be `C`."""
    named = next(
        (environment[name] for name in ("LC_ALL", "LC_CTYPE", "LANG") if environment.get(name)), ""
    )
    if environment.get("LC_ALL") in ("C", "POSIX"):
        return True
    charset = named.partition(".")[2].partition("@")[0].lower().replace("-", "")
    return bool(charset) and charset != "utf8"


class Appearance(App[None]):
    """An app that looks as its settings say."""

    _knows_theme = False

    def __init__(
        self,
        preferences: Preferences,
        paths: AppPaths | None,
        *,
        plain_css: Path | None = None,
        more_themes: Callable[[], Sequence[ThemeColors]] | None = None,
    ) -> None:
        super().__init__()
        self._more_themes = more_themes
        self._plain_css = plain_css
        self.preferences = preferences
        self.paths = paths
        self.keymap_in_force: Keymap = keymap()
        self.is_ascii = False
        """Whether nothing but ASCII is shown."""
        self._said = ""
        self._theme_stamps: dict[str, Stamp | None] = {}
        self._own_themes: set[str] = set()
        self._signs: SignFilter | None = None
        self._title_shown = ""
        self._is_watching = False

    # -- themes

    def offer_themes(self, themes: Sequence[ThemeColors], wanted: str) -> None:
        """Register themes, and take the one that is wanted, else the first."""
        self._knows_theme = True
        for theme in themes:
            self.register_theme(as_theme(theme))
        if wanted in self.available_themes:
            self.theme = wanted
        elif themes:
            self.theme = themes[0].name

    def get_css_variables(self) -> dict[str, str]:
        """Return the colors of the theme. Before it is known, none, because working them out twice would delay the first frame."""
        return super().get_css_variables() if self._knows_theme else {}

    def check_theme(self) -> str:
        """Return a sentence when the settings name a theme that there is not; empty when all is well."""
        wanted = self.preferences.values.screen.theme
        if not wanted or wanted in self.available_themes:
            return ""
        near = did_you_mean(wanted, list(self.available_themes))
        return f"There is no theme {sanitize_line(wanted, 40)!r}. {near}".rstrip()

    def _read_themes(self) -> tuple[Sequence[ThemeColors], Sequence[str], bool] | None:
        """Return the user's themes, what is wrong with them, and whether they are read for the first time; None where nothing changed."""
        if self.paths is None:
            return None
        folder = self.paths.themes
        try:
            found = {path.name: stamp(path) for path in folder.glob("*.toml")}
        except OSError:
            return None
        if found == self._theme_stamps:
            return None
        is_first, self._theme_stamps = not self._theme_stamps, found
        return *user_themes(folder), is_first

    def _take_themes(
        self, themes: Sequence[ThemeColors], problems: Sequence[str], is_first: bool
    ) -> None:
        """Take over what was changed in the user's themes."""
        if is_first and {theme.name for theme in themes} <= set(self.available_themes):
            return  # as they were when the app began
        for theme in themes:
            self.register_theme(as_theme(theme))
        if problems:
            self.notify("\n".join(problems), title="Themes", severity="warning", markup=False)
        if self.theme in {theme.name for theme in themes}:
            self.refresh_css(animate=False)
            self.theme_changed_signal.publish(self.current_theme)

    # -- all else that settings say

    def apply_settings(self) -> None:
        """Take over what the settings say now."""
        wanted = self.preferences.values.screen
        is_plain = wanted.plain
        self.is_ascii = is_ascii = wanted.ascii or is_ascii_terminal(os.environ)
        self.animation_level = "none" if wanted.reduced_motion or is_plain else "full"
        if is_plain:
            self._read_plain_css()
        self.set_class(is_plain, "-plain")
        self.set_class(wanted.reduced_motion or is_plain, "-still")
        self.set_class(is_ascii, "-ascii")
        self._signs = None
        if is_ascii or is_plain:
            signs = {**_ASCII, **(_BARE if is_plain else {})} if is_ascii else _BARE
            self._signs = SignFilter(signs, ascii_only=is_ascii)
        self._apply_keys()
        if wanted.theme in self.available_themes and wanted.theme != self.theme:
            self.theme = wanted.theme
        self.refresh()
        if self.is_running:
            for screen in self.screen_stack:
                screen.refresh()
                screen.refresh_bindings()

    def refresh_css(self, animate: bool = True) -> None:
        """Take the colors of the theme. Before there is a screen, what is there is not parsed twice for that."""
        if self.screen_stack:
            super().refresh_css(animate)
        else:
            self.stylesheet.set_variables(self.get_css_variables())
            self.stylesheet.update(self, animate=animate)

    def _read_plain_css(self) -> None:
        """Read the styles of a plain screen: most never need them, and the first frame waits for all that is parsed."""
        wanted, self._plain_css = self._plain_css, None
        if wanted is not None:
            self.stylesheet.read(wanted)

    def _apply_keys(self) -> None:
        wanted = self.preferences.values.keys
        found = keymap(wanted.map, wanted.bindings)
        self.keymap_in_force = found
        # All actions are named, or one of two that share a key, such as Escape, would lose it to the other.
        keys = {
            one.id: ",".join(found.keys[one.id]) or _NO_KEY
            for one in ACTIONS
            if one.keys or found.keys[one.id]
        }
        self.set_keymap({} if found.is_default else keys)

    def handle_bindings_clash(self, *_args: Any, **_kwargs: Any) -> None:
        """Do nothing: real clashes were refused before, and what is left shares a key by intention."""

    def settings_changed(self) -> None:
        """Hold by another configuration, at once."""
        self.apply_settings()
        self._tell(*self.preferences.problems, *self.keymap_in_force.problems, self.check_theme())

    def _tell(self, *problems: str) -> None:
        said = "\n".join(sanitize_line(problem, 400) for problem in problems if problem)
        # A file is read again at every change of it; what is as wrong as before was said.
        is_new, self._said = said != self._said, said
        if said and is_new:
            self.notify(said, title="Settings", severity="warning", timeout=12, markup=False)

    def get_line_filters(self) -> Sequence[LineFilter]:
        """Return what every line passes before it is drawn."""
        filters = super().get_line_filters()
        return [*filters, self._signs] if self._signs is not None else filters

    def on_mount(self) -> None:
        """Look every now and then whether a file was changed."""
        self.apply_settings()
        # What is wrong with the file itself was said by who began the app.
        self._tell(*self.keymap_in_force.problems, self.check_theme())
        self.call_after_refresh(self._watch)
        self.set_interval(WATCH_S, self._watch)

    # A look that has not come back from the disk is not followed by another one.
    def _watch(self) -> None:
        if not self._is_watching:
            self._is_watching = True
            self._look_at_files()

    @work(group="watch", exit_on_error=False)
    async def _look_at_files(self) -> None:
        """Look on a thread, since a disk that hangs must not hang the screen."""
        try:
            await self._offer_more_themes()
            is_other, themes = await asyncio.to_thread(
                lambda: (self.preferences.reload(), self._read_themes())
            )
            if is_other:
                self.settings_changed()
            if themes is not None:
                self._take_themes(*themes)
        finally:
            self._is_watching = False

    async def _offer_more_themes(self) -> None:
        """Offer the themes that the first frame did without."""
        read, self._more_themes = self._more_themes, None
        if read is None:
            return
        try:
            themes = await asyncio.to_thread(read)
        except ThemeError as error:
            self._tell(str(error))
            return
        for theme in themes:
            if theme.name not in self.available_themes:
                self.register_theme(as_theme(theme))

    # -- the terminal

    def show_terminal_title(self, title: str) -> None:
        """Put a title on the terminal's window, made safe for it; an empty one gives back the one from before."""
        text = re.sub(r"[\x00-\x1f\x7f-\x9f]", " ", sanitize_line(title, 80))
        if text == self._title_shown or not self.preferences.values.screen.title:
            return
        if not self._title_shown:
            self._to_terminal("\x1b[22;2t")
        self._title_shown = text
        self._to_terminal(f"\x1b]2;{text}\x07" if text else "\x1b[23;2t")

    def alert(self, text: str) -> None:
        """Call the user back to the window, in the way that the settings say."""
        kind = self.preferences.values.alerts.kind
        if kind in ("bell", "both"):
            self.bell()
        if kind in ("notification", "both"):
            shown = re.sub(r"[\x00-\x1f\x7f-\x9f;]", " ", sanitize_line(text, 120))
            self._to_terminal(f"\x1b]777;notify;chat-tui;{shown}\x07\x1b]9;{shown}\x07")

    def _to_terminal(self, sequence: str) -> None:
        driver = self._driver
        if driver is not None and not self.is_headless:
            driver.write(sequence)


def as_theme(colors: ThemeColors) -> Theme:
    """Return a theme for the toolkit."""
    return Theme(**{name: getattr(colors, name) for name in colors.__slots__})
