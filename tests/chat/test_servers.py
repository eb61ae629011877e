from __future__ import annotations

import pytest

from tests.chat.desk import desk
from tests.scripted import ScriptedEngine
from tui.chat.replies import ReplyOrder
from tui.chat.server_consent import ServerConsent
from tui.chat.servers import Servers
from tui.engine.base import Capabilities, ModelInfo
from tui.engine.remote.dialects import DIALECTS
from tui.settings import values
from tui.settings.values import ServerEntry

REMOTE = ModelInfo(
    "http://localhost:1/#m",
    "m (localhost:1)",
    context_tokens=2048,
    server="localhost:1",
    capabilities=Capabilities(
        parameters=frozenset({"temperature"}), continues=False, is_private=False
    ),
)


def servers(environment=None, **entries):
    return Servers(lambda: entries, environment or {})


def test_a_named_server_has_its_key_from_the_environment():
    entry = ServerEntry("http://localhost:8000/v1", "HOME_KEY", "vllm", 4096)
    known = servers({"HOME_KEY": " secret\n"}, home=entry)
    (found,) = known.named()
    assert (found.label, found.key, str(found.address)) == (
        "home",
        "secret",
        "http://localhost:8000",
    )
    assert (found.dialect, found.context_tokens) == ("vllm", 4096)
    assert known.problems() == ()
    assert "secret" not in repr(found)


@pytest.mark.parametrize(
    ("entry", "environment", "said"),
    [
        (ServerEntry(), {}, "has no url"),
        (ServerEntry("ftp://x"), {}, "isn't a valid server address"),
        (
            ServerEntry("http://x", "K"),
            {},
            "K is not set or doesn't contain a valid key, so requests to home are sent without a key",
        ),
        (
            ServerEntry("http://x", "K"),
            {"K": "a\x1bb"},
            "K is not set or doesn't contain a valid key",
        ),
    ],
)
def test_what_is_wrong_with_a_server_is_said(entry, environment, said):
    (problem,) = servers(environment, home=entry).problems()
    assert said in problem
    assert "\x1b" not in problem


def test_servers_of_models_are_known_too_each_once():
    named = ServerEntry("http://localhost:8000")
    models = ["http://localhost:8000/v1/#a", "http://other:1/#b", "http://other:1/#c", "org/m", "http://x:y/#d"]  # fmt: skip
    found = servers(home=named).known(models)
    assert [one.label for one in found] == ["home", "other:1"]


def test_the_kinds_of_servers_in_the_settings_are_those_there_are():
    assert tuple(DIALECTS) == values.DIALECTS


async def test_nothing_that_is_being_written_is_sent_to_a_server(tmp_path):
    engine = ScriptedEngine(info=REMOTE)
    described = []
    engine.describe = described.append
    async with desk(tmp_path, engine) as one:
        await one.load()
        await one.say("hello")
        one.draft = "a secret"
        counted = []
        one.core.counting.changed.listen(counted.append)
        await one.core.counting._count(one.core.counting._turn)
        assert (described, engine.prepared, counted) == ([], [], [])
        assert one.core.counting.draft_tokens is None


@pytest.mark.parametrize("how", ["continues", "start_text"])
async def test_a_reply_that_the_engine_can_not_go_on_from_is_not_begun(tmp_path, how):
    engine = ScriptedEngine(info=REMOTE)
    async with desk(tmp_path, engine) as one:
        await one.load()
        await one.say("hello")
        chat = one.core.session.conversation
        question, reply = chat.path
        order = (
            ReplyOrder(chat.id, continues=reply.id)
            if how == "continues"
            else ReplyOrder(chat.id, question.id, start_text="Sure")
        )
        one.core.replies.begin(order)
        assert not one.core.replies.is_due
        assert "can't continue a reply" in one.person.told[-1]
        assert one.core.session.conversation == chat
        assert len(engine.requests) == 1


@pytest.mark.parametrize(
    ("model", "answers", "may", "questions"),
    [
        ("org/model", [], True, 0),
        ("http://named/v1/#m", [], True, 0),
        ("http://used:1/#other", [], True, 0),
        ("http://loaded/#m", [], True, 0),
        ("http://evil/#m", ["no"], False, 1),
        ("http://evil/#m", [None], False, 1),
        ("http://evil/#m", ["yes"], True, 1),
        ("http://used:2/#m", ["no"], False, 1),
        ("https://used:1/#m", ["no"], False, 1),
        ("http://u:p@evil/#m", [], False, 0),
    ],
)
async def test_a_server_that_only_a_file_names_is_asked_about(
    tmp_path, model, answers, may, questions
):
    async with desk(tmp_path) as one:
        await one.load("http://loaded/#m")
        one.core.settings.remember(recent_models=("http://used:1/#m",))
        one.person.answers = list(answers)
        known = servers(home=ServerEntry("http://named"))
        consent = ServerConsent(known, one.core.settings, one.core.loader, one.person)
        assert await consent.may_use(model, "A file names it.") is may
        assert len(one.person.asked) == questions


def test_a_server_is_named_by_its_name():
    known = servers(home=ServerEntry("http://localhost:8000/v1"), broken=ServerEntry("x"))
    assert known.resolve("home") == "http://localhost:8000"
    assert known.resolve("broken") == "broken"
    assert known.resolve("org/home") == "org/home"


def test_of_two_names_for_one_address_the_first_is_used_and_that_is_said():
    known = servers(
        {"A": "sk-a", "B": "sk-b"},
        one=ServerEntry("http://x", "A"),
        two=ServerEntry("http://x/v1", "B"),
    )
    assert [(one.name, one.key) for one in known.named()] == [("one", "sk-a")]
    (problem,) = known.problems()
    assert problem.startswith("[servers.two] has the same address as another server")


def test_a_key_in_place_of_its_variable_is_not_shown():
    (problem,) = servers(home=ServerEntry("http://x", "sk-secret/1")).problems()
    assert "sk-secret" not in problem
    assert "not the key" in problem
