"""Whatever a server does: no word that came is lost, a job ends and says why, and a reply is asked for at most once."""

from __future__ import annotations

import re
import socket
import ssl

import httpx2
import pytest

from tests.engine.remote.asking import QUESTION, after_words, asking, known, soon
from tests.engine.remote.fake_server import FakeServer, serving
from tests.engine.remote.faults import (
    LISTED,
    LOAD_FAULTS,
    REPLY_FAULTS,
    TAKE_FOREVER,
    endless,
    refuse,
)
from tests.engine.remote.talk import CHAT
from tui.engine.base import (
    FailureCause,
    Finished,
    GenerationError,
    ModelLoadError,
    StopReason,
)
from tui.engine.remote import engine as engine_module
from tui.engine.remote import link as link_module
from tui.engine.remote import telling
from tui.engine.remote.address import parse
from tui.sanitize import sanitize_line

SENTENCES = re.compile(r"[^\s].*[.!?…]$", re.DOTALL)


def test_there_are_enough_faults():
    assert len(REPLY_FAULTS) + len(LOAD_FAULTS) >= 100


@pytest.fixture(autouse=True)
def _small(monkeypatch):
    """A bound that a test can reach."""
    monkeypatch.setattr(telling, "MOST_CHARACTERS", 200_000)


def impatient(monkeypatch):
    """Wait less than what is being waited for would take."""
    monkeypatch.setattr(engine_module, "AFTER_END_S", 0.2)
    monkeypatch.setattr(link_module, "WHOLE_S", 0.3)
    monkeypatch.setattr(link_module, "ANSWER_S", 0.3)


def is_clear(error):
    """Whether an error can be read: a few sentences, without anything that a terminal would act on."""
    for text in (error.message, error.hint):
        assert text == sanitize_line(text)
        assert len(text) < 700
        assert not text or SENTENCES.fullmatch(text), text
    return bool(error.message)


@pytest.mark.parametrize("name", REPLY_FAULTS)
def test_whatever_happens_to_a_reply(name, monkeypatch):
    fault = REPLY_FAULTS[name]
    with serving(fault.dialect) as server, asking() as asker:
        asker.load(server.url)
        if name in TAKE_FOREVER:
            impatient(monkeypatch)
        server.answers[server.column.chat] = fault.act
        heard = asker.ask()
        assert len(server.replies_asked) == 1
        if fault.match == "exceeded 200,000 characters":
            assert heard.said.startswith(fault.said)
        else:
            assert heard.said == fault.said
        if not fault.fails:
            assert heard.error is None
            assert type(heard.finished) is Finished
            assert heard.finished.reason is StopReason.END
            return
        assert type(heard.error) is GenerationError
        assert heard.error.stats.new_tokens == 0 or heard.said
        assert is_clear(heard.error)
        assert re.search(fault.match, heard.error.message)
        assert (heard.error.cause is FailureCause.CONNECTION) == fault.lost
        # And the next one is made as if nothing had been.
        server.answers.clear()
        assert asker.ask().text == "The sky."


# -- while a model is looked for


@pytest.mark.parametrize("name", LOAD_FAULTS)
def test_whatever_happens_while_a_server_is_asked_what_it_is(name, monkeypatch):
    if name in TAKE_FOREVER:
        impatient(monkeypatch)
    with serving() as server, asking() as asker:
        server.answers[""] = LOAD_FAULTS[name]
        with pytest.raises(ModelLoadError) as raised:
            asker.load(server.url)
        assert type(raised.value) is ModelLoadError
        assert is_clear(raised.value)
        assert asker.engine.loaded is None


@pytest.mark.parametrize("name", LISTED)
def test_whatever_a_server_lists(name):
    answer, ids = LISTED[name]
    with serving() as server, asking() as asker:
        server.answers["/v1/models"] = lambda talk: talk.json(answer)
        if not ids:
            with pytest.raises(ModelLoadError, match="lists no models") as raised:
                asker.load(server.url)
            assert is_clear(raised.value)
            return
        info = asker.load(server.url)
        assert info.model == f"{server.url}/#{ids[0]}"
        assert info.context_tokens == 0
        asker.load(info.model)
        asker.ask()
        assert [one.body["model"] for one in server.asked(CHAT)] == [ids[0]]


@pytest.mark.parametrize("dialect", ["llama-server", "ollama", "lm-studio", "transformers"])
@pytest.mark.parametrize(
    "value", [None, [], 3, "x", {"data": 3}, {"model_info": [], "default_generation_settings": 3}]
)
def test_whatever_a_page_of_a_kind_says(dialect, value):
    with serving(dialect) as server, asking(known(server, dialect=dialect)) as asker:
        for path in server.column.pages:
            if path not in ("/api/tags", "/load_model"):
                server.answers[path] = lambda talk: talk.json(value)
        asker.load(server.url)
        heard = asker.ask()
        assert heard.text == "The sky."


# -- the connection itself


def closed_port():
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


def test_a_server_that_is_not_there(asker):
    with pytest.raises(ModelLoadError, match="can't be reached") as raised:
        asker.load(f"http://127.0.0.1:{closed_port()}")
    assert is_clear(raised.value)


@pytest.mark.parametrize(
    "host",
    [
        f"{'a' * 70}.localhost",
        "a..localhost",
        "xn--zzzzzzzz--.localhost",
        "%41.localhost",
        "[::1%25zz]",
    ],
)
def test_a_host_that_can_not_be_asked(asker, host):
    with pytest.raises(ModelLoadError) as raised:
        asker.load(f"http://{host}:9/")
    assert is_clear(raised.value)


def test_a_server_without_https_that_is_asked_for_it(asker):
    with serving() as server:
        with pytest.raises(ModelLoadError, match="An encrypted connection") as raised:
            asker.load(server.url.replace("http:", "https:"))
        assert "only support http" in raised.value.hint
        assert is_clear(raised.value)
        assert server.requests == []


def test_a_certificate_that_nobody_vouches_for():
    error = httpx2.ConnectError("no")
    error.__cause__ = OSError("also no")
    error.__cause__.__context__ = ssl.SSLCertVerificationError("self-signed certificate")
    told = link_module.Link(parse("https://host.example")).lost(error)
    assert "certificate of host.example can't be trusted" in told.message
    assert is_clear(told)
    assert not told.is_lost


def test_a_server_that_is_gone_when_a_reply_is_wanted(asker):
    with serving() as server:
        asker.load(server.url)
    heard = asker.ask()
    assert heard.error.cause is FailureCause.CONNECTION
    assert is_clear(heard.error)


def test_a_server_that_was_started_again_between_replies(asker):
    with serving() as server:
        asker.load(server.url)
        assert asker.ask().text == "The sky."
        port = server.port
    with serving(port=port) as server:
        assert asker.ask().text == "The sky."
        assert len(server.replies_asked) == 1


def test_a_server_that_closes_each_connection_behind_its_answer(server, asker):
    usual = server.column.answer

    def act(talk):
        usual(talk)
        talk.close()

    server.answers[""] = act
    for _ in range(5):
        asker.load(server.url)
        assert asker.ask().text == "The sky."
    assert len(server.replies_asked) == 5


def test_a_server_that_does_not_answer_can_be_stopped(asker):
    with serving() as server:
        asker.load(server.url)
        server.answers[CHAT] = lambda talk: talk.wait_until_left()
        heard = asker.ask(cancelled=lambda _heard: bool(server.asked(CHAT)))
        assert heard.finished.reason is StopReason.CANCELLED
        assert soon(server.left)


def test_an_endless_stream_can_be_stopped(asker):
    with serving() as server:
        asker.load(server.url)
        server.answers[CHAT] = endless(b": still here\n\n" * 500)
        heard = asker.ask(cancelled=after_words(2))
        assert (heard.text, heard.finished.reason) == ("One two", StopReason.CANCELLED)


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
@pytest.mark.parametrize("path", ["/v1/models", CHAT])
def test_a_redirect_is_not_followed(asker, status, path):
    with serving() as server, serving() as other:
        move = refuse(status, b"", Location=f"{other.url}{path}")
        if path == CHAT:
            asker.load(server.url)
            server.answers[path] = move
            error = asker.ask(QUESTION).error
        else:
            server.answers[path] = move
            with pytest.raises(ModelLoadError) as raised:
                asker.load(server.url)
            error = raised.value
        assert f"redirects to {other.url}" in error.message
        assert "to another server" in error.hint
        assert is_clear(error)
        assert other.requests == []


def test_a_redirect_to_something_odd_is_shown_as_one_line(asker):
    with serving() as server:
        server.answers[""] = lambda talk: talk.raw(
            b"HTTP/1.1 302 Go\r\nLocation: \xff\xfe\x1b[2J"
            + b"x" * 500
            + b"\r\nContent-Length: 0\r\n\r\n"
        )
        with pytest.raises(ModelLoadError) as raised:
            asker.load(server.url)
        assert is_clear(raised.value)


def test_fakes_end_with_their_tests():
    server = FakeServer()
    server.close()
    with pytest.raises(ConnectionError):
        socket.create_connection(("127.0.0.1", server.port), timeout=1).close()
