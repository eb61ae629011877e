from dataclasses import fields

import pytest
from textual.theme import Theme

from tui.settings import (
    DEFAULT_THEME,
    ThemeColors,
    ThemeError,
    read_theme,
    shipped_themes,
    user_themes,
)
from tui.settings.themes import parse_theme

THEMES = {theme.name: theme for theme in shipped_themes()}
SIGNALS = ("error", "warning", "success")

each_theme = pytest.mark.parametrize("theme", THEMES.values(), ids=list(THEMES))


def luminance(color: str) -> float:
    """Relative luminance as WCAG 2 defines it."""
    parts = [int(color[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    red, green, blue = (p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one: str, other: str) -> float:
    """Contrast ratio as WCAG 2 defines it, from 1 to 21."""
    dark, light = sorted((luminance(one), luminance(other)))
    return (light + 0.05) / (dark + 0.05)


def test_contrast_is_computed_as_wcag_says() -> None:
    assert contrast("#000000", "#ffffff") == pytest.approx(21)
    assert contrast("#777777", "#ffffff") == pytest.approx(4.48, abs=0.01)


def test_there_are_themes_for_the_night_the_day_and_every_eye() -> None:
    assert next(iter(THEMES)) == DEFAULT_THEME
    assert len(THEMES) >= 8
    assert {"beacon", "beacon-light", "tidepool"} <= THEMES.keys()
    light = [theme.name for theme in THEMES.values() if not theme.dark]
    assert light == ["beacon-light", "ember-light", "glacier"]


@each_theme
def test_text_is_easy_to_read(theme) -> None:
    for ground in (theme.background, theme.surface, theme.panel):
        assert contrast(theme.foreground, ground) >= 7


@each_theme
def test_everything_else_that_is_read_has_enough_contrast(theme) -> None:
    quieter = [theme.primary, theme.secondary, theme.accent]
    quieter += [theme.variables["text-muted"], theme.variables["footer-key-foreground"]]
    quieter += [getattr(theme, signal) for signal in SIGNALS]
    for ground in (theme.background, theme.surface, theme.panel):
        for color in quieter:
            assert contrast(color, ground) >= 4.5, (color, ground)


@each_theme
def test_text_under_the_cursor_and_in_a_selection_can_be_read(theme) -> None:
    cursor = theme.variables["block-cursor-background"]
    assert contrast(theme.variables["block-cursor-foreground"], cursor) >= 4.5
    assert contrast(theme.foreground, theme.variables["input-selection-background"]) >= 4.5


@each_theme
def test_a_dark_theme_is_dark(theme) -> None:
    assert theme.dark == (luminance(theme.background) < luminance(theme.foreground))


@pytest.mark.parametrize("name", ["beacon", "beacon-light"])
def test_a_high_contrast_theme_is_that(name) -> None:
    theme = THEMES[name]
    assert contrast(theme.foreground, theme.background) == pytest.approx(21)
    for signal in (*SIGNALS, "primary", "accent"):
        assert contrast(getattr(theme, signal), theme.background) >= 7


def dichromat(color: str, kind: str) -> tuple[float, float, float]:
    """A color as linear RGB seen without one kind of cone (Viénot, Brettel and Mollon 1999)."""
    parts = [int(color[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    red, green, blue = (p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts)
    if kind == "protan":
        mixed = 0.11238 * red + 0.88762 * green
        return mixed, mixed, 0.00401 * red - 0.00401 * green + blue
    mixed = 0.29275 * red + 0.70725 * green
    return mixed, mixed, -0.02234 * red + 0.02234 * green + blue


@pytest.mark.parametrize("kind", ["protan", "deutan"])
def test_signals_stay_apart_for_color_blind_readers(kind) -> None:
    theme = THEMES["tidepool"]
    seen = [dichromat(getattr(theme, signal), kind) for signal in SIGNALS]
    for one, other in ((0, 1), (0, 2), (1, 2)):
        apart = sum((a - b) ** 2 for a, b in zip(seen[one], seen[other], strict=True)) ** 0.5
        assert apart > 0.25, (SIGNALS[one], SIGNALS[other])


@each_theme
def test_the_toolkit_takes_every_theme(theme) -> None:
    made = Theme(**{field.name: getattr(theme, field.name) for field in fields(ThemeColors)})
    colors = made.to_color_system().generate()
    for name, value in theme.variables.items():
        assert colors[name] == value


# -- files of users

GOOD = """
name = "mine"
dark = true
[colors]
primary = "#aabbcc"
secondary = "#aabbcc"
accent = "#aabbcc"
foreground = "#ffffff"
background = "#000000"
surface = "#111111"
panel = "#222222"
warning = "#ffff00"
error = "#ff0000"
success = "#00ff00"
[variables]
block-cursor-text-style = "bold reverse"
"""


def test_a_file_with_the_former_spelling_is_the_same_theme() -> None:
    assert parse_theme(GOOD.replace("[colors]", "[colours]")) == parse_theme(GOOD)


def test_a_good_file_is_a_theme() -> None:
    theme = parse_theme(GOOD)
    assert (theme.name, theme.dark, theme.primary) == ("mine", True, "#aabbcc")
    assert theme.variables == {"block-cursor-text-style": "bold reverse"}


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (('name = "mine"', ""), "`name`"),
        (('"mine"', '"My Theme"'), "`name`"),
        (('"mine"', '"../mine"'), "`name`"),
        (("dark = true", 'dark = "yes"'), "`dark`"),
        (("#aabbcc", "red; layer: x"), "not a color"),
        (("#aabbcc", "#abc"), "not a color"),
        (('"#aabbcc"', "7"), "not a color"),
        (('panel = "#222222"', ""), "`panel` is missing"),
        (("panel =", "pannel ="), "'pannel' is not known"),
        (("[colors]", "[colorz]"), r"table \[colors\] is missing"),
        (("bold reverse", "$x; }"), "block-cursor-text-style"),
        (('"bold reverse"', '"#12"'), "not a style"),
        (('"bold reverse"', '"zzz"'), "not a style"),
        (("block-cursor-text-style", "text"), "not a color"),
        (('block-cursor-text-style = "bold reverse"', 'border = "zzz qq"'), "not a color"),
        (('block-cursor-text-style = "bold reverse"', 'surface-lighten-1 = "12"'), "not a color"),
        (('block-cursor-text-style = "bold reverse"', f"text = 0x{'f' * 5000}"), "not valid TOML"),
        (("[variables]", "[variables"), "not valid TOML"),
        (("[variables]", "[more]"), "'more' is not known"),
    ],
)
def test_a_bad_file_is_refused_with_what_is_wrong(change, says) -> None:
    with pytest.raises(ThemeError, match=says):
        parse_theme(GOOD.replace(*change))


def test_bad_files_are_left_out_and_told_all_at_once(tmp_path) -> None:
    (tmp_path / "a.toml").write_text(GOOD)
    (tmp_path / "b.toml").write_text(GOOD)
    (tmp_path / "c.toml").write_text("name = ")
    (tmp_path / "d.toml").write_bytes(b"\xff\xfe")
    (tmp_path / "e.toml").mkdir()
    (tmp_path / "notes.txt").write_text("not a theme")
    themes, problems = user_themes(tmp_path)
    assert [theme.name for theme in themes] == ["mine"]
    assert [problem.partition(".toml ")[0] for problem in problems] == [
        f"Theme {name}" for name in "bcde"
    ]


def test_a_user_without_themes_has_none(tmp_path) -> None:
    assert user_themes(tmp_path / "themes") == ((), ())


def test_a_theme_file_that_is_not_there_is_named(tmp_path) -> None:
    with pytest.raises(ThemeError, match=r"x\.toml.*can't be read"):
        read_theme(tmp_path / "x.toml")
