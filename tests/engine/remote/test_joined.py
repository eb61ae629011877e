from __future__ import annotations

import pytest

from tests.engine.remote.columns import COLUMNS
from tests.engine.remote.talk import MODEL
from tui.conversation.turn import Message
from tui.engine.base import ModelLoadError
from tui.engine.remote import probing
from tui.engine.remote.address import parse
from tui.engine.remote.listing import list_models
from tui.engine.remote.servers import Server
from tui.engine.remote.telling import joined

KEY = "sk-0123456789abcdef"


def test_messages_of_the_user_in_a_row_are_sent_as_one(server, asker):
    asker.load(server.url)
    asker.ask((Message("user", "one"), Message("user", "two"), Message("assistant", "ok"), Message("user", "three")))  # fmt: skip
    (asked,) = server.replies_asked
    assert [one["content"] for one in asked.body["messages"]] == ["one\n\ntwo", "ok", "three"]


def test_other_roles_stay_apart():
    messages = (Message("system", "a"), Message("system", "b"), Message("assistant", "c"), Message("assistant", "d"))  # fmt: skip
    assert joined(messages) == messages


@pytest.mark.parametrize("server", ["openai"], indirect=True)
def test_a_key_that_a_server_repeats_is_not_in_its_reply(server):
    from tests.engine.remote.asking import asking

    with asking(Server(parse(server.url), "home", KEY)) as asker:
        server.answers["/v1/models"] = lambda talk: talk.json(
            {"data": [{"id": f"model-{KEY}"}, {"id": MODEL}]}
        )
        asker.load(server.url)
        server.answers[server.column.chat] = lambda talk: (
            talk.words(f"Your key is {KEY}."),
            talk.end(),
        )
        heard = asker.ask()
        assert KEY not in heard.said
        assert "[key]" in heard.said
    found = list_models(Server(parse(server.url), "home", KEY))
    assert [one.id for one in found.models] == [MODEL]


@pytest.mark.parametrize("server", ["openai"], indirect=True)
def test_a_server_that_drips_is_given_up(server, asker, monkeypatch):
    monkeypatch.setattr(probing, "PROBE_S", 0.2)

    def drips(talk):
        talk.stream("application/json")
        while not talk.server.closing.wait(0.05):
            talk.chunk(b" ")

    server.answers["/v1/models"] = drips
    with pytest.raises(ModelLoadError, match="took too long to list its models"):
        asker.load(server.url)
    assert "took too long" in list_models(Server(parse(server.url))).problem


def test_every_kind_is_tried():
    assert len(COLUMNS) == 8
