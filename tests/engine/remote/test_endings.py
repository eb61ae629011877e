"""How a reply ends that the server breaks off, or that is stopped."""

from __future__ import annotations

import json
import threading

from tests.engine.remote.asking import after_words, soon
from tui.engine.base import FailureCause, GenerationError, StopReason


def dialect_of(server):
    return server.column.dialect


def test_an_error_in_place_of_a_reply_is_told_in_the_servers_words(server, asker):
    asker.load(server.url)
    refused = server.column.refused
    server.answers[server.column.chat] = lambda talk: talk.json(refused, 500)
    heard = asker.ask()
    said = "No way." if dialect_of(server) == "openai" else "The engine died."
    assert said in heard.error.message
    assert heard.events == []
    assert heard.error.cause is FailureCause.OTHER


def test_an_error_in_the_middle_of_a_reply_keeps_the_words(server, asker):
    asker.load(server.url)
    line = json.dumps(server.column.refused).encode()

    def break_off(talk):
        if dialect_of(server) == "ollama":
            talk.stream("application/x-ndjson")
            talk.chunk(b'{"message": {"content": "One <"}, "done": false}\n')
            talk.chunk(line + b"\n")
        else:
            talk.words("One <")
            talk.chunk(b"data: " + line + b"\n\n")
        talk.end()

    server.answers[server.column.chat] = break_off
    heard = asker.ask()
    assert type(heard.error) is GenerationError
    assert heard.text == "One <"
    assert heard.error.stats.new_tokens == 1


def test_a_stop_closes_the_connection_and_keeps_words_and_figures(server, asker):
    asker.load(server.url)

    def hold(talk):
        if dialect_of(server) == "ollama":
            talk.stream("application/x-ndjson")
            talk.chunk(b'{"message": {"content": "One "}, "done": false}\n')
        else:
            talk.words("One ")
        talk.wait_until_left()

    server.answers[server.column.chat] = hold
    heard = asker.ask(cancelled=after_words(1))
    assert heard.finished.reason is StopReason.CANCELLED
    assert heard.text == "One "
    assert heard.finished.stats.new_tokens == 1
    assert soon(server.left)


def test_a_stop_before_the_server_answers_closes_the_connection_too(server, asker):
    asker.load(server.url)
    asked = threading.Event()

    def hold(talk):
        asked.set()
        talk.wait_until_left()

    server.answers[server.column.chat] = hold
    heard = asker.ask(cancelled=lambda _heard: asked.is_set())
    assert heard.finished.reason is StopReason.CANCELLED
    assert soon(server.left)


def test_two_replies_are_each_asked_for_once(server, asker):
    asker.load(server.url)
    assert [asker.ask().text for _ in range(2)] == ["The sky."] * 2
    assert len(server.replies_asked) == 2


def test_a_failed_reply_is_not_asked_for_again(server, asker):
    asker.load(server.url)
    server.answers[server.column.chat] = lambda talk: talk.close()
    heard = asker.ask()
    assert heard.error.cause is FailureCause.CONNECTION
    assert len(server.replies_asked) == 1
