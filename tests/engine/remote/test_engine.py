"""The engine for servers, whatever the kind: what is agreed to, what is sent at all, and what it has to say of itself."""

from __future__ import annotations

import pytest

from tests.engine.conftest import never
from tests.engine.remote.asking import QUESTION, asking, known
from tests.engine.remote.fake_server import serving
from tests.engine.remote.talk import MODEL
from tui.conversation.turn import Message
from tui.engine.base import (
    FailureCause,
    GenerateRequest,
    GenerationError,
    LoadRequest,
    MemoryReading,
    ModelLoadError,
    Progress,
    StopReason,
)
from tui.engine.remote.address import Address, parse
from tui.engine.remote.engine import unencrypted_subject

FAR = "http://8.8.8.8:9"


@pytest.fixture
def server():
    with serving() as running:
        yield running


@pytest.fixture
def far(server, monkeypatch):
    """A server that passes for one of the internet."""
    monkeypatch.setattr(Address, "is_private", property(lambda _address: False))
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    return server


def load(asker, model, *trusted):
    request = LoadRequest(model, trusted=trusted)
    return asker.run(asker.engine.load, request, lambda _event: None, never)


# -- what could be read in transit


def test_nothing_goes_unencrypted_through_the_internet_unasked(asker):
    with pytest.raises(ModelLoadError, match="could be read in transit") as raised:
        asker.load(f"{FAR}/#m")
    assert "starts with http:// rather than https:// and isn't on a private network." in str(
        raised.value
    )
    assert raised.value.cause is FailureCause.UNENCRYPTED
    assert raised.value.subject == unencrypted_subject(parse(FAR))


def test_what_was_agreed_to_goes(far, asker):
    with pytest.raises(ModelLoadError) as raised:
        load(asker, far.url)
    assert far.requests == []
    load(asker, far.url, raised.value.subject)
    assert asker.ask().text == "The sky."


def test_an_agreement_is_for_one_server(far, asker):
    with pytest.raises(ModelLoadError):
        load(asker, far.url, f"unencrypted {FAR}", "unencrypted http://127.0.0.1")
    assert far.requests == []


def test_an_agreement_is_for_all_models_of_a_server():
    assert unencrypted_subject(parse(f"{FAR}/#a")) == unencrypted_subject(parse(f"{FAR}/v1/#b"))


def test_what_is_near_goes_through_no_proxy(server, asker, monkeypatch):
    with serving() as proxy:
        for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
            monkeypatch.setenv(name, proxy.url)
        asker.load(server.url)
        assert asker.ask().text == "The sky."
        assert proxy.requests == []


# -- what is sent at all


def test_without_a_model_nothing_is_asked(asker):
    heard = asker.ask()
    assert type(heard.error) is GenerationError
    assert heard.error.message == "No model is loaded."


@pytest.mark.parametrize("name", ["http://", "http://a b", "https://me:pw@host"])
def test_what_is_no_address_is_told(asker, name):
    with pytest.raises(ModelLoadError, match="isn't a valid server address"):
        asker.load(name)


def test_a_reply_that_was_stopped_before_it_began_is_not_asked_for(server, asker):
    asker.load(server.url)
    heard = asker.ask(cancelled=lambda _heard: True)
    assert heard.finished.reason is StopReason.CANCELLED
    assert heard.events == []
    assert server.replies_asked == []


def test_nothing_is_sent_that_the_user_does_not_send(server, asker):
    asker.load(server.url)
    before = len(server.requests)
    request = GenerateRequest(QUESTION)
    assert asker.run(asker.engine.prepare, request, never)
    assert asker.run(asker.engine.split, "some words") == ()
    with pytest.raises(GenerationError):
        asker.run(asker.engine.describe, request)
    asker.engine.memory()
    asker.engine.target_memory()
    assert len(server.requests) == before


def test_after_an_unload_nothing_is_sent(server, asker):
    asker.load(server.url)
    asker.run(asker.engine.unload)
    assert asker.ask().error is not None
    assert server.replies_asked == []


def test_words_that_are_no_unicode_can_be_sent(server, asker):
    asker.load(server.url)
    assert asker.ask((Message("user", "a\ud83d\x00\u2028b"),)).text == "The sky."
    assert server.replies_asked[0].body["messages"][0]["content"] == "a?\x00\u2028b"


# -- what it says of itself


def test_a_server_is_called_what_the_user_calls_it(server):
    with asking(known(server, name="mine")) as asker:
        events = []
        info = asker.load(server.url, events.append)
        assert events[0] == Progress("Connecting to mine")
        assert (info.server, info.device, info.name) == ("mine", "mine", "model-1b (mine)")
        assert info.model == f"{server.url}/#{MODEL}"
        assert asker.engine.memory() == MemoryReading("", "mine")
        server.close()
        assert asker.ask().error.message.startswith("mine can't be reached")


def test_the_first_model_is_taken_where_none_is_named(asker):
    with serving() as server:
        listed = {"data": [{"id": "a"}, {"id": "b"}]}
        server.answers["/v1/models"] = lambda talk: talk.json(listed)
        assert asker.load(server.url).model.endswith("/#a")
        assert asker.load(f"{server.url}/#b").model.endswith("/#b")


def test_a_model_without_its_tag_is_the_latest(asker):
    with serving("ollama") as server:
        pulled = {"models": [{"name": "tiny:latest"}]}
        server.answers["/api/tags"] = lambda talk: talk.json(pulled)
        assert asker.load(f"{server.url}/#tiny").model.endswith("/#tiny:latest")
