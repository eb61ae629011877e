"""A key goes to its own server and to another server, and is never shown."""

from __future__ import annotations

import json
import logging

import pytest

from tests.engine.remote.asking import QUESTION, asking, known
from tests.engine.remote.fake_server import serving
from tui.conversation.turn import Message
from tui.engine.base import ModelLoadError
from tui.engine.remote.address import Address
from tui.engine.remote.servers import Server, server_of

KEY = "sk-0123456789-secret-abcdef"


def shown(error):
    """All that may be shown or logged of an error and of what it came from."""
    parts = []
    while error is not None:
        parts += [
            str(error),
            repr(error),
            getattr(error, "message", ""),
            getattr(error, "hint", ""),
        ]
        error = error.__cause__
    return "\n".join(parts)


def sends_key(request):
    return any(KEY in value for value in request.headers.values())


@pytest.fixture(autouse=True)
def _nothing_is_logged(caplog):
    caplog.set_level(logging.DEBUG)
    yield
    logged = [one.getMessage() for one in caplog.get_records("call")]
    assert not [line for line in logged if KEY in line]


def test_the_key_goes_to_its_server_with_every_request_and_not_to_another(server):
    with serving(server.column.dialect) as other, asking(known(server, key=KEY)) as asker:
        asker.load(server.url)
        asker.ask()
        asker.load(other.url)
        asker.ask()
    assert all(one.headers.get("authorization") == f"Bearer {KEY}" for one in server.requests)
    assert other.requests
    assert not any("authorization" in one.headers or sends_key(one) for one in other.requests)


def test_two_servers_get_a_key_each():
    with serving() as one, serving() as other:
        servers = (known(one, key=KEY), known(other, key="sk-of-the-other"))
        with asking(*servers) as asker:
            for server in (one, other, one):
                asker.load(server.url)
                asker.ask()
        assert {request.headers["authorization"] for request in one.requests} == {f"Bearer {KEY}"}
        assert {request.headers["authorization"] for request in other.requests} == {
            "Bearer sk-of-the-other"
        }


def test_another_port_of_the_same_host_does_not_get_the_key():
    with serving() as server, serving() as other, asking(known(server, key=KEY)) as asker:
        asker.load(other.url)
        assert not any(map(sends_key, other.requests))


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_the_target_of_a_redirect_gets_neither_key_nor_chat(status):
    with serving() as server, serving() as other, asking(known(server, key=KEY)) as asker:
        asker.load(server.url)
        to = f"{other.url}/?key={KEY}"
        server.answers[""] = lambda talk: talk.answer(b"", status, Location=to)
        heard = asker.ask()
        with pytest.raises(ModelLoadError) as raised:
            asker.load(server.url)
        assert other.requests == []
        assert KEY not in shown(heard.error) + shown(raised.value)


def test_the_key_is_in_nothing_that_is_known_of_a_model(server):
    with asking(known(server, key=KEY, name="mine")) as asker:
        info = asker.load(server.url)
        heard = asker.ask()
    assert KEY not in repr(info)
    assert KEY not in repr(heard.events) + repr(heard.finished)


def test_a_servers_repr_has_no_key(server):
    assert KEY not in repr(known(server, key=KEY))
    assert KEY not in str(known(server, key=KEY))


ECHOES = {
    "an error": lambda said: {"error": {"message": said}},
    "a flat error": lambda said: {"object": "error", "message": said},
    "a detail": lambda said: {"detail": said},
    "fields": lambda said: {"detail": [{"loc": ["header", said], "msg": said}]},
    "a text": lambda said: said,
}


@pytest.mark.parametrize("shape", ECHOES)
@pytest.mark.parametrize("filler", [0, 375, 390, 396])
def test_a_key_that_a_server_repeats_is_not_shown(shape, filler):
    # The longer ones are cut in the middle of the key.
    value = ECHOES[shape]("x" * filler + f" {KEY} is not valid")
    with serving() as server, asking(known(server, key=KEY)) as asker:
        asker.load(server.url)
        server.answers[""] = lambda talk: talk.json(value, 401)
        heard = asker.ask()
        with pytest.raises(ModelLoadError) as raised:
            asker.load(server.url)
    said = shown(heard.error) + shown(raised.value)
    assert KEY[:8] not in said


def test_a_key_in_an_error_in_the_middle_of_a_reply_is_not_shown(server):
    def break_off(talk):
        talk.stream("application/x-ndjson" if server.column.dialect == "ollama" else "text/event-stream")  # fmt: skip
        data = json.dumps({"error": f"Bad key {KEY}"})
        talk.chunk(f"{data}\n".encode())
        talk.end()

    with asking(known(server, key=KEY)) as asker:
        asker.load(server.url)
        server.answers[server.column.chat] = break_off
        heard = asker.ask()
    assert "Bad key [key]." in heard.error.message
    assert KEY not in shown(heard.error)


def test_a_key_in_a_web_page_is_not_shown():
    with serving() as server, asking(known(server, key=KEY)) as asker:
        server.answers[""] = lambda talk: talk.answer(f"Key {KEY}".encode(), 403, "text/plain")
        with pytest.raises(ModelLoadError, match=r"Key \[key\]") as raised:
            asker.load(server.url)
    assert KEY not in shown(raised.value)


def test_blanks_around_a_key_are_left_out():
    with serving() as server, asking(known(server, key=f" {KEY}\n")) as asker:
        asker.load(server.url)
    assert {one.headers["authorization"] for one in server.requests} == {f"Bearer {KEY}"}


@pytest.mark.parametrize("stray", ["\n.", "é", "\x00", "\r\nX-Other: 1"])
def test_a_key_that_can_not_be_sent_is_refused_and_not_shown(stray):
    with serving() as server, asking(known(server, key=KEY + stray)) as asker:
        with pytest.raises(ModelLoadError, match="contains invalid characters") as raised:
            asker.load(server.url)
        assert server.requests == []
    assert KEY not in shown(raised.value)


def test_a_key_belongs_to_one_address():
    mine = Server(Address("https://host.example/a"), key=KEY)
    assert server_of(Address("https://host.example/a", "m"), [mine]).key == KEY
    for base in ("http://host.example/a", "https://host.example/b", "https://host.example:444/a", "https://other.example/a"):  # fmt: skip
        assert server_of(Address(base), [mine]).key == ""


def test_words_of_the_chat_that_are_like_the_key_are_left_alone():
    with serving() as server, asking(known(server, key="The")) as asker:
        asker.load(server.url)
        heard = asker.ask((*QUESTION, Message("assistant", "The"), Message("user", "Go on.")))
        assert heard.text == "The sky."
        assert server.replies_asked[0].body["messages"][1]["content"] == "The"
