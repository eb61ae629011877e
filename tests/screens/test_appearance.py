"""What is seen in the running app: every theme, plain and ASCII screens, keys and files that change while it runs."""

from __future__ import annotations

import ast
import itertools
import re
from pathlib import Path

import pytest
from rich.cells import cell_len
from textual.color import Color
from textual.widgets import Input

import tui
from tests.screens.conftest import ROOMY, Desk, answered, ready, say, shown, still, until
from tests.scripted import ScriptedEngine
from tests.settings.test_themes import GOOD, THEMES, contrast
from tui.app import ChatApp
from tui.appearance import _ASCII, is_ascii_terminal
from tui.screens.chat.empty_state import MARK
from tui.screens.picker import Picker

REPLY = "A **bold** word, `code` and a [link](https://example.org).\n\n```python\ndef f(): return 1\n```\n\n> quoted\n\n- one\n- two"
AA = 4.5


def painted(app):
    """Every run of visible text on the screen with its colors, as they are drawn."""
    for line in app.screen._compositor.render_strips():
        for segment in line:
            style = segment.style
            is_text = any(one.isalnum() for one in segment.text)
            if is_text and style is not None and style.color and style.bgcolor:
                pair = (
                    (style.bgcolor, style.color) if style.reverse else (style.color, style.bgcolor)
                )
                yield segment.text, *map(Color.from_rich_color, pair)


def unreadable(app):
    """What is painted with less contrast than WCAG AA asks for, with its ratio."""
    seen = {text: round(contrast(front.hex6, back.hex6), 2) for text, front, back in painted(app)}
    assert len(seen) > 10
    return {text: ratio for text, ratio in seen.items() if ratio < AA}


@pytest.mark.parametrize("name", THEMES)
async def test_all_text_of_a_running_app_has_enough_contrast_in_every_shipped_theme(
    desk: Desk, name
):
    app = desk.app(
        ScriptedEngine([REPLY]), command_line={"screen.theme": name, "generation.top_k": 7}
    )
    async with app.run_test(size=ROOMY) as pilot:
        screen = await ready(pilot)
        assert app.theme == name
        await say(pilot, "hi")
        await answered(pilot, screen, 2)
        screen.composer.set_text("unsent words")
        await still(pilot, screen)
        assert unreadable(app) == {}
        screen.composer.set_text("/")
        await until(pilot, lambda: "/attach" in shown(pilot))
        assert unreadable(app) == {}
        await pilot.press("alt+up")
        await pilot.pause()
        assert unreadable(app) == {}
        for key, sign in (("ctrl+p", "/system"), ("f1", "Type to filter")):
            await pilot.press(key)
            await until(pilot, lambda sign=sign: sign in shown(pilot))
            # What lies below is dimmed, and not meant to be read.
            app.screen.styles.background = app.get_css_variables()["background"]
            await pilot.pause()
            assert unreadable(app) == {}
            if key == "ctrl+p":
                await pilot.press("down", "down")
                assert unreadable(app) == {}
            await pilot.press("escape")
            await until(pilot, lambda: app.screen is screen)


async def test_a_theme_is_shown_while_choosing_and_given_back(desk: Desk):
    app = desk.app()
    async with app.run_test(size=ROOMY) as pilot:
        screen = await ready(pilot)
        before = app.theme
        screen.do("theme.choose")
        await until(pilot, lambda: isinstance(app.screen, Picker))
        await pilot.press("down")
        await until(pilot, lambda: app.theme != before)
        await pilot.press("escape")
        await until(pilot, lambda: app.screen is screen and app.theme == before)
        screen.do("theme.choose")
        await until(pilot, lambda: isinstance(app.screen, Picker))
        await pilot.press(*"glacier", "enter")
        await until(pilot, lambda: app.screen is screen and app.theme == "glacier")
        await until(pilot, lambda: desk.states and desk.states[-1].theme == "glacier")


async def test_another_theme_reaches_the_ground_that_nothing_is_drawn_on(desk: Desk):
    app = desk.app(ScriptedEngine([REPLY]))
    async with app.run_test(size=ROOMY) as pilot:
        screen = await ready(pilot)
        await say(pilot, "hello")
        await answered(pilot, screen, 2)
        grounds = []
        for name in ("glacier", "beacon"):
            app.theme = name
            await pilot.pause()
            await pilot.pause()
            wanted = Color.parse(app.get_css_variables()["background"]).hex6
            strips = screen._compositor.render_strips()
            # The row below the last turn, and the one above the composer's frame.
            rows = [strips[y] for y in (20, ROOMY[1] - 6)]
            seen = {s.style.bgcolor.get_truecolor().hex for row in rows for s in row.crop(0, 60)}
            assert seen == {wanted.lower()}
            grounds.append(wanted)
        assert len(set(grounds)) == 2


async def test_a_theme_that_is_edited_is_seen_at_once_and_a_broken_one_is_said(desk: Desk):
    desk.paths.themes.mkdir(parents=True)
    file = desk.paths.themes / "mine.toml"
    app = desk.app()
    async with app.run_test(size=ROOMY, notifications=True) as pilot:
        await ready(pilot)
        file.write_text(GOOD)
        await until(pilot, lambda: "mine" in app.available_themes)
        app.theme = "mine"
        await pilot.pause()
        file.write_text(GOOD.replace("#000000", "#001122"))
        await until(pilot, lambda: app.current_theme.background == "#001122")
        file.write_text("name = ")
        await until(
            pilot, lambda: "not valid TOML" in " ".join(one.message for one in app._notifications)
        )
        assert app.theme == "mine"


async def test_a_plain_screen_draws_no_lines(desk: Desk):
    app = desk.app(ScriptedEngine([REPLY]), command_line={"screen.plain": True})
    async with app.run_test(size=ROOMY) as pilot:
        screen = await ready(pilot)
        await say(pilot, "hi")
        await answered(pilot, screen, 2)
        await until(pilot, lambda: "quoted" in shown(pilot))
        assert not set(shown(pilot)) & set("─│╭╮╰╯┃━┊█▌░▔▁")
        assert not screen.has_class("-sidebar")
        await pilot.press("f2")
        await until(pilot, lambda: "Temperature" in shown(pilot))
        await pilot.press("escape")
        await until(pilot, lambda: "quoted" in shown(pilot))
        assert app.animation_level == "none"


async def test_an_ascii_screen_is_ascii_and_keeps_its_columns(desk: Desk):
    app = desk.app(ScriptedEngine(["naïve 日本 → “x”"]), command_line={"screen.ascii": True})
    async with app.run_test(size=ROOMY) as pilot:
        screen = await ready(pilot)
        await say(pilot, "hi")
        await answered(pilot, screen, 2)
        await until(pilot, lambda: "na?ve" in shown(pilot))
        text = shown(pilot)
        assert text.isascii()
        assert 'na?ve ???? > "x"' in text
        assert {len(line) for line in text.splitlines()} == {ROOMY[0]}


@pytest.mark.parametrize(
    ("environment", "is_ascii"),
    [({}, False), ({"LANG": "en_US.UTF-8"}, False), ({"LANG": "C.utf8"}, False), ({"LANG": "en_US.ISO-8859-1"}, True), ({"LC_ALL": "de_DE.latin1@euro", "LANG": "C.UTF-8"}, True), ({"LANG": "C"}, False), ({"LC_ALL": "C", "LC_CTYPE": "C.UTF-8"}, True)],
)  # fmt: skip
def test_a_terminal_that_is_not_utf_8_is_known_by_its_locale(environment, is_ascii):
    assert is_ascii_terminal(environment) is is_ascii


async def test_without_colors_nothing_is_lost(desk: Desk, monkeypatch):
    monkeypatch.setenv("NO_COLOR", "1")
    app = desk.app(ScriptedEngine([REPLY]))
    async with app.run_test(size=ROOMY) as pilot:
        screen = await ready(pilot)
        await say(pilot, "hi")
        await answered(pilot, screen, 2)
        await until(pilot, lambda: "quoted" in shown(pilot))
        for strip in app.screen._compositor.render_strips():
            for segment in strip:
                for color in (segment.style.color, segment.style.bgcolor) if segment.style else ():
                    if color is not None and color.triplet is not None:
                        assert len(set(color.triplet)) == 1


def told(app: ChatApp) -> str:
    return " ".join(one.message for one in app._notifications)


async def test_keys_change_with_the_file_and_a_clash_is_refused_in_words(desk: Desk):
    app = desk.app()
    async with app.run_test(size=ROOMY, notifications=True) as pilot:
        screen = await ready(pilot)
        await pilot.press("f12")
        assert not screen.has_class("-find")
        desk.paths.config_file.write_text('[keys.bindings]\n"sidebar.toggle" = "f12"\n')
        await until(pilot, lambda: app.keymap_in_force.keys["sidebar.toggle"] == ("f12",))
        for is_shown in (True, False):
            await pilot.press("f12")
            await until(pilot, lambda is_shown=is_shown: screen.has_class("-sidebar") == is_shown)
        await pilot.press("f2")
        await pilot.pause()
        assert not screen.has_class("-sidebar")
        desk.paths.config_file.write_text('[keys.bindings]\n"sidebar.toggle" = "f1"\n')
        await until(
            pilot, lambda: "f1 is assigned to both app.help and sidebar.toggle" in told(app)
        )
        assert app.keymap_in_force.is_default


async def test_what_is_wrong_with_keys_and_theme_is_said_at_the_start(desk: Desk):
    said = {"keys.bindings": {"chat.new": "f2"}, "screen.theme": "becon"}
    app = desk.app(command_line=said)
    async with app.run_test(size=ROOMY, notifications=True) as pilot:
        await ready(pilot)
        told = " ".join(one.message for one in app._notifications)
        assert "The key f2 is assigned to both sidebar.toggle and chat.new." in told
        assert "There is no theme 'becon'. Did you mean beacon?" in told
        assert app.keymap_in_force.is_default


async def test_an_edit_of_the_file_holds_at_once(desk: Desk):
    app = desk.app()
    async with app.run_test(size=ROOMY) as pilot:
        screen = await ready(pilot)
        desk.paths.config_file.write_text(
            "[generation]\ntop_k = 7\n[screen]\ntheme = 'glacier'\n[composer]\nfold_lines = 3\n"
        )
        await until(pilot, lambda: screen.core.settings.parameters == {"top_k": 7})
        assert app.theme == "glacier"
        assert screen.composer.fold_lines == 3
        desk.paths.config_file.write_text("[generation]\ntop_k = ")
        await until(pilot, lambda: not app.preferences.is_whole)
        assert screen.core.settings.parameters == {"top_k": 7}
        desk.paths.config_file.write_text("")
        await until(pilot, lambda: screen.core.settings.parameters == {})


async def test_help_and_footer_show_the_keys_in_force(desk: Desk):
    app = desk.app(command_line={"keys.bindings": {"sidebar.toggle": "f12"}})
    async with app.run_test(size=ROOMY) as pilot:
        await ready(pilot)
        await until(pilot, lambda: "F12 Settings" in " ".join(shown(pilot).split()))
        await pilot.press("f1")
        await until(pilot, lambda: "Type to filter" in shown(pilot))
        pilot.app.screen.query_one(Input).value = "settings"
        await until(pilot, lambda: re.search(r"F12 +Go to settings", shown(pilot)))
        assert not re.search(r"F2 +Go to settings", shown(pilot))


def test_the_signs_for_ascii_have_the_width_of_what_they_replace():
    from rich.cells import cell_len

    from tui.appearance import _ASCII, _BARE

    for table in (_ASCII, _BARE):
        assert all(cell_len(chr(code)) == len(sign) == 1 for code, sign in table.items())
    assert list(itertools.islice(_ASCII, 1))


def test_every_sign_that_the_screen_draws_has_a_substitute_in_ascii():
    drawn: set[str] = set()
    for path in (Path(tui.__path__[0]) / "screens", Path(tui.__path__[0]) / "widgets"):
        for file in path.rglob("*.py"):
            if file.parent.name == "markdown":
                # Formulas have signs that ASCII has none for.
                continue
            for node in ast.walk(ast.parse(file.read_text("utf-8"))):
                if isinstance(node, ast.Constant) and isinstance(node.value, str):
                    drawn |= {one for one in node.value if not one.isascii()}
    # The mark is not drawn there, and wide letters are text.
    known = {*map(chr, _ASCII), *"".join(MARK)}
    assert {one for one in drawn - known if one.isprintable() and cell_len(one) == 1} == set()
