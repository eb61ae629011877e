"""Textual's pilot, made quick: it waits for the app alone, and lets it paint when there is something to look at.

Textual's own waits look at the processor time of the whole process, so that each key waits up to a second while a model or another
thread is at work. What a test of a screen waits for is the event loop, which lives on one thread.

An app lays itself out up to sixty times a second for whoever looks at it. In a test nobody looks but the test itself: the app lays out
whenever a wait finds that all else is done, so that what a test sees next is what a user would see. What would go to a terminal that is
not there is not drawn: the screen is drawn when a test looks at it, and once at the end.
"""

from __future__ import annotations

import asyncio
import time
from typing import Any, Final

import pytest
import textual.app
import textual.pilot
import textual.screen
from textual._compositor import Compositor
from textual._context import active_app, visible_screen_stack
from textual.css.model import RuleSet
from textual.css.stylesheet import Stylesheet
from textual.css.types import CSSLocation

STEP_S: Final = 1 / 1000
IDLE_S: Final = 1 / 5000
"""Less processor time than this in a step is none that an app with nothing to do would not take for its timers."""
FRAME_S: Final = 1.0
"""How often an app paints by itself."""


def make_quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have the pilots of a test wait in this way."""
    for module in (textual.pilot, textual.app):
        monkeypatch.setattr(module, "wait_for_idle", wait_for_idle)
    monkeypatch.setattr(textual.pilot.Pilot, "_wait_for_screen", _wait_for_screen)
    monkeypatch.setattr(textual.screen, "UPDATE_PERIOD", FRAME_S)
    monkeypatch.setattr(Stylesheet, "_parse_rules", _parse_once)
    monkeypatch.setattr(Compositor, "render_update", _draw_nothing)
    monkeypatch.setattr(textual.app.App, "_shutdown", _draw_and_shut_down)


_parsed: dict[tuple[object, ...], list[RuleSet]] = {}
_parse_rules = Stylesheet._parse_rules


def _parse_once(
    self: Stylesheet, css: str, read_from: CSSLocation, *place: Any, **names: Any
) -> list[RuleSet]:
    """Parse each style sheet once for all the apps of a run that have the same theme, where Textual does it once for each app."""
    theme = tuple(sorted(self._variables.items()))
    key = (theme, css, read_from, place, tuple(names.items()))
    if key not in _parsed:
        _parsed[key] = _parse_rules(self, css, read_from, *place, **names)
    return _parsed[key]


_render_update = Compositor.render_update
_shutdown = textual.app.App._shutdown


def _draw_nothing(
    self: Compositor,
    full: bool = False,
    screen_stack: list[Any] | None = None,
    simplify: bool = False,
) -> Any:
    if full:
        return _render_update(self, full, screen_stack, simplify)
    # What is looked at shows the screens behind, too.
    visible_screen_stack.set(screen_stack or [])
    self._dirty_regions.clear()
    return None


async def _draw_and_shut_down(app: textual.app.App[Any]) -> None:
    try:
        if app.is_running and app._screen_stack:
            app.screen._compositor.render_strips()
    finally:
        await _shutdown(app)


async def wait_for_idle(min_sleep: float = STEP_S, max_sleep: float = 1) -> bool:
    """Wait until the event loop's thread has nothing to do and the screen is painted.

    Args:
        min_sleep, max_sleep: seconds to wait at least and at most.

    Returns:
        Whether there was anything to do.
    """
    loop: Any = asyncio.get_running_loop()
    start, was_busy = time.monotonic(), False
    while True:
        before = time.thread_time()
        await asyncio.sleep(STEP_S)
        is_busy = bool(loop._ready) or time.thread_time() - before >= IDLE_S
        if not is_busy:
            is_busy = _paint()
        waited = time.monotonic() - start
        was_busy |= is_busy
        if waited >= max_sleep or (waited > min_sleep and not is_busy):
            return was_busy


def _paint() -> bool:
    """Let the screen in front lay itself out and paint what has changed; return whether anything had."""
    app = active_app.get(None)
    if app is None or not app.is_running or not app._screen_stack:
        return False
    if app._resize_timer is not None:
        # Textual waits for the last of several sizes.
        app._check_resize()
        return True
    screen = app.screen
    due = (
        screen._layout_required
        or screen._scroll_required
        or screen._repaint_required
        or screen._recompose_required
        or screen._dirty_widgets
        or screen._callbacks
    )
    if not due or app._batch_count:
        return False
    screen._on_timer_update()
    return True


async def _wait_for_screen(_pilot: textual.pilot.Pilot[Any], timeout: float = 30.0) -> bool:
    # Textual's sends a message to every widget, and there are hundreds. A loop that is idle has processed them all.
    await wait_for_idle(0, timeout)
    return True
