"""Color themes as data: read from TOML files, checked, and handed on as plain values.

A theme here is what the screen's toolkit needs to make its own; nothing of that toolkit is known here. A file is read
strictly, because a color that is none would take the app down when the theme is chosen.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import field
from pathlib import Path
from typing import Any, Final

from tui.dataclass import dataclass
from tui.errors import UserError
from tui.files import read_regular, reason
from tui.settings.toml_text import TomlError, parse_toml

DEFAULT_THEME: Final = "ember-dark"

_LOWER: Final = frozenset("abcdefghijklmnopqrstuvwxyz")
_DIGITS: Final = frozenset("0123456789")
_HEX: Final = _DIGITS | frozenset("abcdefABCDEF")
_STYLE_ENDS: Final = ("-style", "-style-hover")
"""How the names of variables end that hold a style; all others hold a color."""
_STYLES: Final = frozenset(("bold", "dim", "italic", "underline", "reverse", "strike"))
_COLORS: Final = (
    "primary",
    "secondary",
    "accent",
    "foreground",
    "background",
    "surface",
    "panel",
    "warning",
    "error",
    "success",
)
_FORMER_TABLE: Final = "colours"
"""What the table of the colors was called before, as files of the user's may still have it."""
_LONGEST_NAME: Final = 40
_LONGEST_VARIABLE: Final = 60
_MAX_BYTES: Final = 100_000


class ThemeError(UserError):
    """A theme file can't be used."""


@dataclass(frozen=True, slots=True)
class ThemeColors:
    """One color theme; the colors are `#rrggbb`.

    Attributes:
        name: lowercase letters, digits, `-` and `_`.
        dark: whether the background is darker than the text.
        variables: what else of the toolkit's color variables the theme sets.
    """

    name: str
    dark: bool
    primary: str
    secondary: str
    accent: str
    foreground: str
    background: str
    surface: str
    panel: str
    warning: str
    error: str
    success: str
    variables: Mapping[str, str] = field(default_factory=dict)


def parse_theme(text: str) -> ThemeColors:
    """Read a theme from TOML text.

    Raises:
        ThemeError: it is no TOML, something is missing, unknown, or no color.
    """
    try:
        document = parse_toml(text)
    except TomlError as error:
        raise ThemeError(f"It is not valid TOML ({error}).") from error
    if _FORMER_TABLE in document and "colors" not in document:
        document = {"colors" if key == _FORMER_TABLE else key: one for key, one in document.items()}
    name, dark = document.get("name"), document.get("dark")
    colors, variables = document.get("colors"), document.get("variables", {})
    if not (isinstance(name, str) and _is_name(name)):
        raise ThemeError("`name` must be 1 to 40 lowercase letters, digits, - or _.")
    if not isinstance(dark, bool):
        raise ThemeError("`dark` must be true or false.")
    if not isinstance(colors, dict):
        raise ThemeError("The table [colors] is missing.")
    if not isinstance(variables, dict):
        raise ThemeError("`variables` must be a table.")
    _refuse_unknown(document, ("name", "dark", "colors", "variables"), "the file")
    _refuse_unknown(colors, _COLORS, "[colors]")
    for key in _COLORS:
        _check(key, colors.get(key), _is_color, "a color such as #1a2b3c")
    for key, value in variables.items():
        _check("a name in [variables]", key, _is_variable, "lowercase letters, digits and -")
        if key.endswith(_STYLE_ENDS):
            _check(key, value, _is_style, "a style such as bold reverse")
        else:
            _check(key, value, _is_color, "a color such as #1a2b3c")
    return ThemeColors(name=name, dark=dark, variables=dict(variables), **colors)


def _is_name(text: str) -> bool:
    return (
        0 < len(text) <= _LONGEST_NAME
        and text[0] not in "_-"
        and set(text) <= _LOWER | _DIGITS | {"_", "-"}
    )


def _is_variable(text: str) -> bool:
    has_signs = set(text) <= _LOWER | _DIGITS | {"-"}
    return 0 < len(text) <= _LONGEST_VARIABLE and text[0] in _LOWER and has_signs


def _is_color(text: str) -> bool:
    return len(text) == len("#rrggbb") and text[0] == "#" and set(text[1:]) <= _HEX


def _is_style(text: str) -> bool:
    words = text.split(" ")
    return text == "none" or (len(words) <= len(_STYLES) and set(words) <= _STYLES)


def _refuse_unknown(table: Mapping[str, Any], known: tuple[str, ...], where: str) -> None:
    unknown = sorted(set(table) - set(known))
    if unknown:
        raise ThemeError(f"{unknown[0]!r} is not known in {where} (known: {', '.join(known)}).")


def _check(key: str, value: Any, is_fit: Callable[[str], bool], what: str) -> None:
    if value is None:
        raise ThemeError(f"`{key}` is missing from [colors].")
    if not (isinstance(value, str) and is_fit(value)):
        shown = repr(value[:40]) if isinstance(value, str) else "no text"
        raise ThemeError(f"`{key}` is {shown}, which is not {what}.")


def read_theme(path: Path) -> ThemeColors:
    """Read a theme file.

    Raises:
        ThemeError: it can't be read, or is no theme; the message names the file.
    """
    try:
        return parse_theme(read_regular(path, most_bytes=_MAX_BYTES).decode("utf-8-sig"))
    except OSError as error:
        raise ThemeError(f"Theme {path.name} can't be read ({reason(error)}).") from error
    except UnicodeDecodeError as error:
        raise ThemeError(f"Theme {path.name} is not a text file.") from error
    except ThemeError as error:
        raise ThemeError(f"Theme {path.name} can't be used. {error.message}", error.hint) from error


def shipped_themes() -> tuple[ThemeColors, ...]:
    """Return the themes that come with the app, the default first.

    Raises:
        ThemeError: the installation is damaged.
    """
    themes = [read_theme(path) for path in sorted(_shipped_folder().glob("*.toml"))]
    return tuple(sorted(themes, key=lambda theme: (theme.name != DEFAULT_THEME, theme.name)))


def first_themes(*wanted: str) -> tuple[ThemeColors, ...]:
    """Return what of the themes that come with the app a start needs: the default, and those that are wanted, if they are among them.

    Nine files are read in the time of ten modules. If a name is not among theirs, all are returned, to offer a similar one.

    Raises:
        ThemeError: the installation is damaged.
    """
    names = dict.fromkeys((DEFAULT_THEME, *filter(None, wanted)))
    paths = [_shipped_folder() / f"{name}.toml" for name in names if _is_name(name)]
    if len(paths) < len(names) or not all(path.is_file() for path in paths):
        return shipped_themes()
    return tuple(read_theme(path) for path in paths)


def user_themes(folder: Path) -> tuple[tuple[ThemeColors, ...], tuple[str, ...]]:
    """Return the themes in a user's folder by name, and a sentence for each file that is left out.

    A folder that is not there has none. Of two themes with one name the second is left out.
    """
    themes: dict[str, ThemeColors] = {}
    problems: list[str] = []
    try:
        paths = sorted(path for path in folder.iterdir() if path.suffix == ".toml")
    except FileNotFoundError:
        return (), ()
    except OSError as error:
        return (), (f"The themes in {folder} can't be read ({reason(error)}).",)
    for path in paths:
        try:
            theme = read_theme(path)
        except ThemeError as error:
            problems.append(str(error))
            continue
        if theme.name in themes:
            problems.append(
                f"Theme {path.name} is not used: another theme is also named {theme.name!r}."
            )
        else:
            themes[theme.name] = theme
    return tuple(themes[name] for name in sorted(themes)), tuple(problems)


def _shipped_folder() -> Path:
    package = Path(__file__).resolve().parent.parent
    installed = package / "themes"
    # An editable installation runs from the checkout, where the themes stand beside the package.
    return installed if installed.is_dir() else package.parent / "themes"
