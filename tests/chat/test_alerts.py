from __future__ import annotations

import pytest

from tests.chat.desk import desk
from tui.chat.alerts import Alerts
from tui.settings.preferences import Preferences


@pytest.mark.parametrize(
    ("after_s", "is_watched", "called"),
    [(0.0, False, ["The reply in Cats is done."]), (0.0, True, []), (600.0, False, [])],
)
async def test_a_long_reply_calls_whoever_does_not_look(tmp_path, after_s, is_watched, called):
    preferences = Preferences(command_line={"alerts.after_s": after_s})
    async with desk(tmp_path, preferences=preferences) as one:
        calls: list[str] = []
        core = one.core
        Alerts(
            core.session,
            core.settings,
            core.replies,
            is_watched=lambda: is_watched,
            call=calls.append,
        )
        await one.load()
        core.session.rename("Cats")
        await one.say("x")
        assert calls == called
