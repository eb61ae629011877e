"""What happens before the first frame is painted."""

from __future__ import annotations

from tests.screens.conftest import ROOMY, Desk, answered, send, until
from tests.scripted import ScriptedEngine
from tui.screens.chat import ChatScreen


async def test_a_message_sent_before_the_first_frame_waits_for_the_model(desk: Desk, monkeypatch):
    after_the_frame = []
    paints = ChatScreen.call_after_refresh
    monkeypatch.setattr(
        ChatScreen, "call_after_refresh", lambda _screen, *call: after_the_frame.append(call)
    )
    async with desk.app(ScriptedEngine(["Hello."])).run_test(size=ROOMY) as pilot:
        screen = pilot.app.screen
        assert isinstance(screen, ChatScreen)
        assert screen.core.sender.can_send
        send(screen, "hi")
        await pilot.pause()
        assert pilot.app.screen is screen
        monkeypatch.setattr(ChatScreen, "call_after_refresh", paints)
        for call in after_the_frame:
            screen.call_after_refresh(*call)
        await answered(pilot, screen, 2)
        await until(pilot, lambda: screen.conversation.path[-1].text == "Hello.")
