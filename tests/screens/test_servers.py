"""Models on servers, as a user of the whole app meets them."""

from __future__ import annotations

import json

import pytest
from textual.widgets import Input, Select

from tests.engine.remote.fake_server import FakeServer, serving
from tests.engine.remote.talk import CHAT, MODEL, Told
from tests.screens.conftest import Desk, answered, ready, say, send, until
from tests.screens.host import screen_text
from tests.scripted import ScriptedEngine
from tui.engine.base import LoadRequest
from tui.engine.engines import Engines
from tui.engine.remote.engine import RemoteEngine
from tui.screens.ask import Ask
from tui.screens.dialog import PickList
from tui.screens.models.picker import ModelPicker
from tui.settings.state import AppState
from tui.widgets.parameter_field import ParameterField, ValueInput

WIDE = (120, 40)


@pytest.fixture
def server():
    with serving("vllm") as running:
        yield running


def app_of(desk: Desk, local: ScriptedEngine | None = None, **how):
    """The app with the engine of this machine and that of servers, as the command line makes it."""
    made = []
    app = desk.app(
        Engines(local or ScriptedEngine(), lambda: RemoteEngine(made[0].servers.named)), **how
    )
    made.append(app)
    return app


def name_servers(desk: Desk, **servers: dict[str, str]) -> None:
    desk.paths.config_file.parent.mkdir(parents=True, exist_ok=True)
    text = ""
    for name, entry in servers.items():
        text += f"[servers.{name}]\n" + "".join(f'{key} = "{one}"\n' for key, one in entry.items())
    desk.paths.config_file.write_text(text)


async def picker(pilot) -> ModelPicker:
    await pilot.press("f4")
    await until(pilot, lambda: isinstance(pilot.app.screen, ModelPicker))
    await until(pilot, lambda: pilot.app.screen.query("#words"))
    return pilot.app.screen


def field(screen, name: str) -> ValueInput:
    return screen.query_one(f"#parameter-{name}", ParameterField).query_one(ValueInput)


def listed(screen) -> str:
    return screen_text_of(screen.query_one("#models", PickList))


def screen_text_of(options: PickList) -> str:
    return "\n".join(str(options.get_option_at_index(at).prompt) for at in range(options.option_count))  # fmt: skip


async def test_the_address_of_a_server_is_typed_and_its_model_answers(desk: Desk, server):
    app = app_of(desk)
    async with app.run_test(size=WIDE) as pilot:
        screen = await ready(pilot)
        dialog = await picker(pilot)
        dialog.query_one("#words", Input).value = f"{server.url}/v1"
        await until(pilot, lambda: "Connect to" in listed(dialog))
        assert server.requests == []
        await pilot.press("enter")
        await until(pilot, lambda: screen.model.info and screen.model.info.server)
        assert screen.model.info.name == f"model-1b (127.0.0.1:{server.port})"
        await ready(pilot)

        await say(pilot, "Why is it blue?")
        await answered(pilot, screen, 2)
        assert [turn.text for turn in screen.conversation.path] == ["Why is it blue?", "The sky."]
        made = screen.conversation.path[-1].generation
        assert made.model == f"{server.url}/#{MODEL}"
        assert (made.stats.prompt_tokens, made.stats.cached_tokens) == (20, 8)
        assert " 22/2k" in screen_text(pilot)
        assert app.sessions is not None
        (kept,) = desk.files()
        assert kept["settings"]["model_id"] == made.model


async def test_what_a_server_does_not_take_is_dimmed_and_what_it_decides_is_said(
    desk: Desk, server
):
    start = f"{server.url}/#{MODEL}"
    app = app_of(desk, start=_start(start))
    async with app.run_test(size=WIDE) as pilot:
        screen = await ready(pilot)
        await until(pilot, lambda: field(screen, "temperature").placeholder == "server's own")
        screen.view.sidebar.focus_on("typical_p")
        await until(pilot, lambda: screen.query("#parameter-typical_p ValueInput"))
        refused = screen.query_one("#parameter-typical_p", ParameterField)
        await until(pilot, lambda: field(screen, "typical_p").disabled)
        assert "doesn't support this parameter" in str(refused.tooltip)
        assert not field(screen, "temperature").disabled
        assert field(screen, "seed").placeholder == "random"
        assert screen.query_one("#quantization", Select).disabled
        screen.view.sidebar.focus_on("model")
        await until(pilot, lambda: "determines the " in screen_text(pilot))
        assert not screen.query_one("#group-drafting").display
        await pilot.press("f4")
        await until(pilot, lambda: isinstance(app.screen, ModelPicker))
        # Back on this machine, all of it is there again.
        app.screen.dismiss(LoadRequest("scripted"))
        await until(pilot, lambda: screen.model.info and not screen.model.info.server)
        await until(pilot, lambda: not field(screen, "typical_p").disabled)
        assert not screen.query_one("#quantization", Select).disabled
        assert screen.query_one("#group-drafting").display


async def test_a_named_server_gets_its_key_and_one_that_is_gone_says_so(desk: Desk, server):
    name_servers(
        desk,
        home={"url": server.url, "key_env": "HOME_KEY"},
        gone={"url": "http://127.0.0.1:9", "key_env": "GONE_KEY"},
    )
    app = app_of(desk, keys={"HOME_KEY": "sk-home", "GONE_KEY": "sk-gone"})
    async with app.run_test(size=WIDE) as pilot:
        screen = await ready(pilot)
        dialog = await picker(pilot)
        await until(pilot, lambda: "gone can't be reached" in listed(dialog))
        await until(pilot, lambda: "SERVER home · vLLM" in listed(dialog))
        dialog.query_one("#words", Input).value = "home"
        await until(pilot, lambda: "gone" not in listed(dialog))
        await pilot.press("enter")
        await until(pilot, lambda: screen.model.ready and screen.model.info.server == "home")
        assert {one.headers.get("authorization") for one in server.requests} == {"Bearer sk-home"}
        send(screen, "hi")
        await answered(pilot, screen, 2)
        assert "sk-home" not in json.dumps(desk.files())


async def test_a_server_with_several_models_lists_them(desk: Desk, server: FakeServer):
    models = {"data": [{"id": one, "owned_by": "vllm"} for one in ("small", "large")]}
    server.answers["/v1/models"] = lambda talk: talk.json(models)
    app = app_of(desk)
    async with app.run_test(size=WIDE) as pilot:
        screen = await ready(pilot)
        dialog = await picker(pilot)
        dialog.query_one("#words", Input).value = server.url
        await pilot.press("enter")
        await until(pilot, lambda: "large" in listed(dialog))
        assert dialog.query_one("#words", Input).value == ""
        await pilot.press("down", "enter")
        await until(pilot, lambda: screen.model.ready and screen.model.info.server)
        assert screen.model.model == f"{server.url}/#large"


async def test_an_address_that_no_server_of_models_has_is_said_in_the_dialog(desk: Desk, server):
    server.answers[""] = lambda talk: talk.answer(b"<html>Hello</html>", 200, "text/html")
    app = app_of(desk)
    async with app.run_test(size=WIDE) as pilot:
        await ready(pilot)
        dialog = await picker(pilot)
        dialog.query_one("#words", Input).value = server.url
        await pilot.press("enter")
        await until(pilot, lambda: "a web page" in screen_text(pilot))
        assert app.screen is dialog
        dialog.query_one("#words", Input).value = "http://x:y"
        await until(pilot, lambda: "host or port isn't valid" in listed(dialog))


async def test_engines_change_in_the_middle_of_a_chat_and_the_change_is_marked(desk: Desk, server):
    local = ScriptedEngine(["From here."])
    app = app_of(desk, local, state=AppState(recent_models=(f"{server.url}/#{MODEL}",)))
    async with app.run_test(size=WIDE) as pilot:
        screen = await ready(pilot)
        await say(pilot, "one")
        await answered(pilot, screen, 2)
        screen.do("model.choose", f"{server.url}/#{MODEL}")
        await until(pilot, lambda: screen.model.ready and screen.model.info.server)
        # Connecting tells the server nothing of the chat, or of what is being written.
        screen.composer.text = "unsent words"
        assert [each.body for each in server.requests if each.body] == []
        screen.composer.text = ""
        send(screen, "two")
        await answered(pilot, screen, 4)
        assert "model changed to model-1b" in screen_text(pilot)
        (asked,) = server.replies_asked
        assert [each["content"] for each in asked.body["messages"]] == ["one", "From here.", "two"]
        assert not any("unsent" in str(each.body) for each in server.requests)
        screen.do("model.choose", "scripted")
        await until(pilot, lambda: screen.model.ready and not screen.model.info.server)
        send(screen, "three")
        await answered(pilot, screen, 6)
        assert len(server.replies_asked) == 1
        assert local.requests[-1].messages[3].content == "The sky."


async def test_a_server_that_is_lost_keeps_its_words_and_the_next_message_can_be_sent(
    desk: Desk, server
):
    def breaks_off(talk):
        talk.words("Once upon ", "a time")
        talk.close()

    server.answers[CHAT] = breaks_off
    app = app_of(desk, start=_start(f"{server.url}/#{MODEL}"))
    async with app.run_test(size=WIDE) as pilot:
        screen = await ready(pilot)
        send(screen, "tell")
        await answered(pilot, screen, 2)
        turn = screen.conversation.path[-1]
        assert (turn.text, turn.status.value) == ("Once upon a time", "interrupted")
        await until(pilot, lambda: "Interrupted:" in screen_text(pilot))
        assert len(server.replies_asked) == 1
        del server.answers[CHAT]
        server.told = Told(pieces=((" there was", False),))
        screen.do("turn.continue")
        await until(
            pilot,
            lambda: screen.reply is None and screen.conversation.path[-1].text.endswith("was"),
        )
        assert screen.conversation.path[-1].text == "Once upon a time there was"
        assert server.replies_asked[-1].body["continue_final_message"] is True


async def test_a_chat_goes_unencrypted_through_the_internet_only_when_asked(desk: Desk):
    app = app_of(desk)
    async with app.run_test(size=WIDE) as pilot:
        screen = await ready(pilot)
        screen.do("model.choose", "http://models.example.com/#m")
        await until(pilot, lambda: isinstance(app.screen, Ask))
        await until(pilot, lambda: "Send chats unencrypted?" in screen_text(pilot))
        await pilot.press("enter")
        await until(pilot, lambda: app.screen is screen)
        assert screen.model.info.model == "scripted"
        assert desk.states == [] or desk.states[-1].trusted == ()


async def test_a_file_can_not_send_its_chat_to_a_server_of_its_own(desk: Desk, server):
    app = app_of(desk)
    async with app.run_test(size=WIDE) as pilot:
        screen = await ready(pilot)
        await say(pilot, "one")
        await answered(pilot, screen, 2)
        screen.core.session.change(lambda chat: _made_by(chat, f"{server.url}/#{MODEL}"))
        screen.do("turn.reproduce")
        await until(pilot, lambda: isinstance(app.screen, Ask))
        await pilot.press("n")
        await until(pilot, lambda: app.screen is screen)
        assert server.requests == []
        screen.do("turn.reproduce")
        await until(pilot, lambda: isinstance(app.screen, Ask))
        await pilot.press("right", "enter")
        await until(pilot, lambda: len(server.replies_asked) == 1 and screen.reply is None)


async def test_another_reply_can_come_from_a_server_that_was_used(desk: Desk, server):
    app = app_of(desk, state=AppState(favorites=(f"{server.url}/#{MODEL}",)))
    async with app.run_test(size=WIDE) as pilot:
        screen = await ready(pilot)
        await say(pilot, "one")
        await answered(pilot, screen, 2)
        screen.do("turn.regenerate_with")
        await until(pilot, lambda: app.screen.query("#models") and app.screen._models)
        app.screen.query_one("#model", Input).value = f"{server.url}/#{MODEL}"
        app.screen.action_accept()
        await until(pilot, lambda: len(server.replies_asked) == 1)
        await until(pilot, lambda: screen.model.ready and screen.model.info.model == "scripted")
        assert screen.conversation.path[-1].text == "The sky."


def _start(model: str):
    from tui.app import Start

    return Start(request=LoadRequest(model))


def _made_by(chat, model: str):
    from dataclasses import replace

    turn = chat.path[-1]
    made = replace(turn.generation, model=model)
    return replace(chat, turns={**chat.turns, turn.id: replace(turn, generation=made)})
