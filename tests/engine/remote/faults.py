"""What servers do that they should not, one by one: to a reply, and while they are asked what they are."""

from __future__ import annotations

import gzip
import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from tests.engine.remote.talk import Talk, delta, usage

HUGE = 3_000_000


@dataclass(frozen=True)
class Fault:
    """Something that a server does.

    Attributes:
        act: does it.
        said: what of the reply has to come through.
        fails: whether the reply fails.
        lost: whether it is the connection that failed.
        match: what the error says.
        dialect: the kind of server that does it.
    """

    act: Callable[[Talk], None]
    said: str = "One two"
    fails: bool = True
    lost: bool = False
    match: str = ""
    dialect: str = "openai"


def started(then: Callable[[Talk], None]) -> Callable[[Talk], None]:
    """Do something after two words."""

    def act(talk: Talk) -> None:
        talk.words("One ", "two")
        then(talk)

    return act


def ended(then: Callable[[Talk], None]) -> Callable[[Talk], None]:
    """Do something after the last word and the reason why it is the last."""

    def act(talk: Talk) -> None:
        talk.words("One ", "two")
        talk.event(delta("stop"))
        then(talk)

    return act


def whole(*between: Any) -> Callable[[Talk], None]:
    """Put chunks between two words of a reply that is otherwise as it should be."""

    def act(talk: Talk) -> None:
        talk.words("One ")
        for one in between:
            talk.chunk(one) if isinstance(one, bytes) else talk.event(one)
        talk.event(delta(content="two"))
        talk.event(delta("stop"))
        talk.event("[DONE]")
        talk.end()

    return act


def refuse(
    status: int, value: Any, kind: str = "application/json", **headers: str
) -> Callable[[Talk], None]:
    data = value if isinstance(value, bytes) else json.dumps(value).encode()
    return lambda talk: talk.answer(data, status, kind, **headers)


def sent(*chunks: bytes) -> Callable[[Talk], None]:
    """After two words, send chunks and end the stream as it should end."""

    def act(talk: Talk) -> None:
        talk.words("One ", "two")
        for one in chunks:
            talk.chunk(one)
        talk.end()

    return act


def raw(data: bytes) -> Callable[[Talk], None]:
    def act(talk: Talk) -> None:
        talk.raw(data)
        talk.close()

    return act


def cut(talk: Talk) -> None:
    talk.close()


def _slowly(talk: Talk) -> None:
    talk.stream()
    for character in "One two":
        data = f"data: {json.dumps(delta(content=character))}\n\n".encode()
        for at in range(0, len(data), 40):
            talk.chunk(data[at : at + 40])
            time.sleep(0.002)
    talk.event(delta("stop"))
    talk.end()


def _byte_by_byte(talk: Talk) -> None:
    talk.stream()
    text = json.dumps(delta(content="Größe 🙂"), ensure_ascii=False)
    for byte in f"data: {text}\r\n\r\ndata: [DONE]\r\n\r\n".encode():
        talk.chunk(bytes([byte]))
    talk.end()


def _tiny_chunks(talk: Talk) -> None:
    talk.stream()
    piece = f"data: {json.dumps(delta(content='a'))}\n\n".encode()
    framed = f"{len(piece):x}\r\n".encode() + piece + b"\r\n"
    for _ in range(30):
        talk.raw(framed * 1000)
    talk.event(delta("stop"))
    talk.end()


def endless(piece: bytes) -> Callable[[Talk], None]:
    def act(talk: Talk) -> None:
        talk.words("One ", "two")
        while True:
            talk.chunk(piece)

    return act


def _without_newline(talk: Talk) -> None:
    talk.words("One ", "two")
    talk.chunk(b"data: ")
    while True:
        talk.chunk(b"x" * 5000)


def _json_lines_without_newline(talk: Talk) -> None:
    talk.stream("application/x-ndjson")
    talk.chunk(b'{"message": {"content": "One two"}, "done": false}\n')
    while True:
        talk.chunk(b"x" * 5000)


def _endless_error(talk: Talk) -> None:
    talk.raw(b"HTTP/1.1 500 No\r\nContent-Type: application/json\r\nConnection: close\r\n\r\n")
    while True:
        talk.raw(b" " * 65536)


def _error_that_never_comes(talk: Talk) -> None:
    talk.raw(b"HTTP/1.1 500 No\r\nContent-Type: application/json\r\nContent-Length: 99\r\n\r\n{")
    talk.wait_until_left()


def _two_replies(talk: Talk) -> None:
    whole()(talk)
    talk.raw(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}")


def _tool_call(*pieces: dict[str, Any]) -> list[dict[str, Any]]:
    return [delta(tool_calls=[{"index": 0, **piece}]) for piece in pieces]


CALLED = 'One \n\nTool call: look {"at": 1}two'
FIGURES = {"prompt_tokens": 10**400, "completion_tokens": -3, "prompt_tokens_details": [1]}
ODD_FIGURES = {
    "prompt_tokens": "many", "completion_tokens": True, "completion_tokens_details": {"reasoning_tokens": 1.5e300},
    "prompt_tokens_details": {"cached_tokens": None},
}  # fmt: skip
NO_NUMBERS = (
    b'data: {"choices": [], "usage": {"prompt_tokens": NaN, "completion_tokens": Infinity}, "timings": '
    b'{"prompt_ms": -Infinity, "predicted_ms": 1e999, "cache_n": "x"}, "prompt_progress": {"total": 5, "cache": 99}}\n\n'
)
DEEP = b"data: " + b"[" * 200_000 + b"\n\n"
DEEP_ERROR = b'{"error":' * 100_000 + b"1" + b"}" * 100_000
ONE_TWO_LEFT = b'data: {"choices": [{"delta": {"content": "'

REPLY_FAULTS: dict[str, Fault] = {
    # -- the connection
    "closes before the answer": Fault(cut, "", lost=True),
    "closes in the middle of the headers": Fault(raw(b"HTTP/1.1 200 OK\r\nContent-Ty"), "", lost=True),
    "is no HTTP": Fault(raw(b"SSH-2.0-OpenSSH_9.9\r\n"), "", lost=True),
    "closes after some words": Fault(started(cut), lost=True),
    "ends the stream after some words": Fault(started(Talk.end), lost=True),
    "closes in the middle of a line": Fault(
        started(lambda talk: (talk.chunk(ONE_TWO_LEFT), talk.close())), lost=True
    ),
    "closes behind a line, before the event ends": Fault(
        lambda talk: (
            talk.words("One "),
            talk.chunk(f"data: {json.dumps(delta(content='two'))}\n".encode()),
            talk.close(),
        ),
        lost=True,
    ),
    "closes in the middle of a chunk": Fault(
        started(lambda talk: (talk.raw(b"ff\r\ndata: {"), talk.close())), lost=True
    ),
    "sends a chunk whose size is no number": Fault(
        started(lambda talk: talk.raw(b"zz\r\nxx\r\n")), lost=True
    ),
    "closes after the last word": Fault(ended(cut), fails=False),
    "ends without [DONE]": Fault(ended(Talk.end), fails=False),
    "says nothing behind the last word": Fault(ended(Talk.wait_until_left), fails=False),
    "sends comments forever behind the last word": Fault(
        ended(lambda talk: endless(b": still here\n\n")(talk)), fails=False, said="One two"
    ),
    "breaks the JSON behind the last word": Fault(
        ended(lambda talk: (talk.chunk(b"data: {nonsense\n\n"), talk.end())), fails=False
    ),
    "announces more than it sends": Fault(
        raw(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nContent-Length: 900\r\n\r\n"
            b'data: {"choices": [{"delta": {"content": "One two"}}]}\n\n'),
        lost=True,
    ),
    "announces a length that is no number": Fault(
        raw(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nContent-Length: many\r\n\r\n"), "", lost=True
    ),
    "announces a negative length": Fault(
        raw(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nContent-Length: -5\r\n\r\n"), "", lost=True
    ),
    "sends headers without an end": Fault(raw(b"HTTP/1.1 200 OK\r\nX: " + b"x" * HUGE), "", lost=True),
    # -- text
    "sends half a character": Fault(
        sent(b'data: {"choices": [{"delta": {"content": "\xf0\x9f'), lost=True
    ),
    "sends what is no UTF-8": Fault(
        sent(b'data: {"choices": [{"delta": {"content": "\xff\xfe"}, "finish_reason": "stop"}]}\n\n'),
        "One two\ufffd\ufffd", fails=False,
    ),
    "says that the text is UTF-16": Fault(
        lambda talk: (
            talk.stream("text/event-stream; charset=utf-16"),
            talk.event(delta("stop", content="One two")),
            talk.end(),
        ),
        fails=False,
    ),
    "says that the text is packed by its encoding": Fault(
        lambda talk: (
            talk.stream("text/event-stream; charset=bz2"),
            talk.event(delta("stop", content="One two")),
            talk.end(),
        ),
        fails=False,
    ),
    "cuts characters between chunks": Fault(_byte_by_byte, "Größe 🙂", fails=False),
    "sends half of a surrogate pair": Fault(
        sent(b'data: {"choices": [{"delta": {"content": "\\ud83d"}, "finish_reason": "stop"}]}\n\n'),
        "One two?", fails=False,
    ),
    # -- chunks
    "sends a chunk that is no JSON": Fault(sent(b"data: {'a': 1}\n\n"), lost=True, match="isn't valid JSON"),
    "sends a chunk that is a number": Fault(sent(b"data: 17\n\n"), lost=True, match="other than a part of a reply"),
    "sends a chunk that is a list": Fault(sent(b"data: [1]\n\n"), lost=True, match="other than a part of a reply"),
    "nests a chunk too deep": Fault(sent(DEEP), lost=True, match="isn't valid JSON"),
    "sends a huge line": Fault(
        sent(b"data: " + b"x" * HUGE, b"\n\n"), lost=True, match="too large"
    ),
    "sends a line without an end": Fault(_without_newline, lost=True, match="too large"),
    "sends a line of JSON without an end": Fault(
        _json_lines_without_newline, lost=True, match="too large", dialect="ollama"
    ),
    "sends an event without an end": Fault(endless(b"data: x\n" * 500), lost=True, match="too large"),
    "sends an event of empty lines without an end": Fault(
        endless(b"data:\n" * 1000), lost=True, match="too large"
    ),
    "sends words without an end": Fault(
        endless(b"data: " + json.dumps(delta(content="ha " * 9000)).encode() + b"\n\n"),
        match="exceeded 200,000 characters", said="One twoha ha",
    ),
    "sends chunks without choices": Fault(whole({}, {"choices": []}, {"choices": None}), fails=False),
    "sends choices of another kind": Fault(
        whole({"choices": "x"}, {"choices": [None, 3]}, {"choices": {"a": 1}}, {"choices": [{"delta": "x"}]}),
        fails=False,
    ),
    "sends content of another kind": Fault(
        whole(*(delta(content=one) for one in (3, None, {"a": 1}, True, [1, None]))), fails=False
    ),
    "sends content as parts": Fault(
        whole(delta(content=[{"type": "text", "text": "and "}, {"type": "image_url"}])), "One and two", fails=False
    ),
    "ends for a reason that there is not": Fault(
        lambda talk: (talk.words("One two"), talk.event(delta("because")), talk.end()), fails=False
    ),
    "has a reason of another kind": Fault(whole(delta(7), delta(""), delta(["stop"])), fails=False),
    "asks for a tool, in pieces": Fault(
        whole(*_tool_call({"function": {"name": "look", "arguments": ""}}, {"function": {"arguments": '{"at"'}},
                          {"function": {"arguments": ": 1}"}})),
        CALLED, fails=False,
    ),
    "asks for tools of another kind": Fault(
        whole(delta(tool_calls="x"), delta(tool_calls=[3, {"function": "x"}, {"index": -9, "function": {"name": 4}}])),
        fails=False,
    ),
    "sends comments and empty events": Fault(
        whole(b": keepalive 3/9\n\n", b"\n\n\n", b"event: ping\n\n", b"id: 7\nretry: x\n\n", b"data: \n\n"), fails=False
    ),
    "sends words very slowly": Fault(_slowly, fails=False),
    "sends 30,000 tiny chunks": Fault(_tiny_chunks, "a" * 30_000, fails=False),
    "sends another reply behind the end": Fault(_two_replies, fails=False),
    "sends another reply before the end": Fault(
        ended(lambda talk: (talk.event(delta(content=" three")), talk.event("[DONE]"), talk.end())),
        "One two three", fails=False,
    ),
    "says [DONE] at once": Fault(lambda talk: (talk.stream(), talk.event("[DONE]"), talk.end()), "", fails=False),
    # -- figures
    "has figures that are too large": Fault(whole({"choices": [], "usage": FIGURES}), fails=False),
    "has figures that are none": Fault(whole({"choices": [], "usage": ODD_FIGURES}), fails=False),
    "has figures that are no numbers": Fault(whole(NO_NUMBERS), fails=False, dialect="llama-server"),
    "has figures with too many digits": Fault(
        sent(b'data: {"usage": {"prompt_tokens": ' + b"9" * 6000 + b"}}\n\n"), lost=True, match="isn't valid JSON"
    ),
    # -- something else than a stream
    "answers with a web page": Fault(
        refuse(200, b"<html>Sign in</html>", "text/html"), "", match="web page"
    ),
    "streams a web page": Fault(refuse(200, b"<html>Hi</html>", "text/plain"), "", lost=True, match="isn't valid JSON"),
    "answers with an error and status 200": Fault(
        refuse(200, {"error": {"message": "Not so."}}), "", match=r"failed. Not so\.|Not so\."
    ),
    "answers with a whole reply": Fault(refuse(200, usage and {"choices": []}), "", match="didn't respond with a reply stream"),
    "answers with nothing": Fault(refuse(200, b"", "text/event-stream"), "", lost=True),
    "answers with no content": Fault(raw(b"HTTP/1.1 204 No\r\n\r\n"), "", lost=True),
    "packs the answer": Fault(
        lambda talk: talk.answer(
            gzip.compress(b"x" * HUGE), kind="text/event-stream", **{"Content-Encoding": "gzip"}
        ),
        "", match="compressed data",
    ),
    "answers with an error without an end": Fault(_endless_error, "", match="more than"),
    "answers with an error that never comes": Fault(_error_that_never_comes, "", lost=True, match="too long"),
    # -- errors in a stream, in each shape
    "vLLM fails in the middle": Fault(
        sent(b'data: {"error": {"message": "EngineCore died", "type": "InternalServerError", "code": 500}}\n\n'),
        match=r"EngineCore died\.", dialect="vllm",
    ),
    "SGLang fails in the middle": Fault(
        sent(b'data: {"object": "error", "message": "Out of memory", "code": 500}\n\n'),
        match=r"Out of memory\.", dialect="sglang",
    ),
    "llama-server fails in the middle": Fault(
        sent(b'error: {"code": 500}\n\ndata: {"error": {"code": 500, "message": "Compute error."}}\n\n'),
        match=r"Compute error\.", dialect="llama-server",
    ),
    "Ollama fails in the middle": Fault(
        lambda talk: (
            talk.stream("application/x-ndjson"),
            talk.chunk(b'{"message": {"content": "One two"}, "done": false}\n{"error": "an error was encountered"}\n'),
            talk.end(),
        ),
        match=r"an error was encountered\.", dialect="ollama",
    ),
    "Ollama sends a line that is no JSON": Fault(
        lambda talk: (
            talk.stream("application/x-ndjson"),
            talk.chunk(b'{"message": {"content": "One two"}, "done": false}\nnonsense\n'),
            talk.end(),
        ),
        match="isn't valid JSON", lost=True, dialect="ollama",
    ),
    "Ollama ends without saying so": Fault(
        lambda talk: (
            talk.stream("application/x-ndjson"),
            talk.chunk(b'{"message": {"content": "One two"}, "done": false}'),
            talk.end(),
        ),
        lost=True, dialect="ollama",
    ),
    "transformers serve fails with quotes that are not escaped": Fault(
        sent(b'data: {"error": "index "7" of \'x\' is out of bounds"}\n\n'),
        match='index "7" of', dialect="transformers",
    ),
    "transformers serve fails with lines that are not escaped": Fault(
        sent(b'data: {"error": "CUDA error: no\nmore memory"}\n\n'),
        match="CUDA error: no", dialect="transformers",
    ),
    "an error is no event": Fault(sent(b'{"error": {"message": "Bare."}}\n'), match=r"Bare\."),
    "an error nests too deep": Fault(refuse(500, DEEP_ERROR), "", match="500"),
    "an error holds control characters": Fault(
        refuse(500, {"error": "a\x1b[31mb\nc\u202e\x00"}), "", match="500"
    ),
    "an error is long": Fault(refuse(500, {"error": "long words " * 100_000}), "", match="long words"),
    "an error is of another kind": Fault(refuse(500, [1, 2]), "", match="failed"),
    "an error says nothing": Fault(refuse(500, b""), "", match="failed"),
    # -- statuses
    **{
        f"answers with {status}": Fault(refuse(status, {"error": {"message": "Why."}}), "", match=f"{status}.*Why")
        for status in (400, 401, 403, 404, 408, 413, 429, 500, 503)
    },
    "answers with 422 and what is wrong with each field": Fault(
        refuse(422, {"detail": [{"loc": ["body", "top_k", 0], "msg": "Not a number"}, {"msg": "And"}, 3]}), "",
        match=r"body\.top_k\.0: Not a number; And",
    ),
    "answers with 502 and a web page": Fault(
        refuse(502, b"<html><h1>Bad gateway</h1>", "text/html"), "", match="502.*web page"
    ),
    "answers with 529, which is no status": Fault(refuse(529, {"error": "Full."}), "", match="529"),
    "answers with 101": Fault(raw(b"HTTP/1.1 101 Switch\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n"), "", lost=True),
    "answers with 100 again and again": Fault(
        lambda talk: (talk.raw(b"HTTP/1.1 100 Go on\r\n\r\n" * 500), whole()(talk)), fails=False
    ),
}  # fmt: skip
"""What is done to a reply, and what has to come of it."""


TAKE_FOREVER = (
    "says nothing behind the last word",
    "sends comments forever behind the last word",
    "answers with an error that never comes",
    "never answers",
    "drips",
)
"""Only the patience of who asks ends these."""

# -- while a model is looked for

LISTED: dict[str, tuple[Any, tuple[str, ...]]] = {
    "lists nothing": ({"data": []}, ()),
    "lists something that is no list": ({"data": "models"}, ()),
    "lists numbers": ({"data": [1, None, "x", []]}, ()),
    "lists ids that are none": ({"data": [{"id": 5}, {"id": None}, {"id": ""}, {}]}, ()),
    "lists an id with control characters": ({"data": [{"id": "a\x1b[2Jb"}, {"id": "ok"}]}, ("ok",)),
    "lists an id with a line's end": ({"data": [{"id": "a\nb"}, {"id": "ok"}]}, ("ok",)),
    "lists an id that reads backwards": ({"data": [{"id": "a\u202eb"}, {"id": "ok"}]}, ("ok",)),
    "lists an id of 10,000 characters": ({"data": [{"id": "a" * 10_000}, {"id": "ok"}]}, ("ok",)),
    "lists an id twice": ({"data": [{"id": "ok"}, {"id": "ok"}]}, ("ok",)),
    "lists an id with a hash": ({"data": [{"id": "a#b/#c"}]}, ("a#b/#c",)),
    "lists without a table": ([{"id": "ok"}], ("ok",)),
    "lists a context that is none": (
        {"data": [{"id": "ok", "owned_by": "vllm", "max_model_len": "many"}]}, ("ok",)
    ),
    "lists a negative context": ({"data": [{"id": "ok", "owned_by": "vllm", "max_model_len": -4}]}, ("ok",)),
    "lists owners of another kind": ({"data": [{"id": "ok", "owned_by": ["vllm"]}]}, ("ok",)),
    "lists 20,000 models": ({"data": [{"id": f"m{at}"} for at in range(20_000)]}, ("m0",)),
}  # fmt: skip

LOAD_FAULTS: dict[str, Callable[[Talk], None]] = {
    **{
        f"answers with {status}": refuse(status, {"error": {"message": "Why."}})
        for status in (400, 401, 403, 404, 405, 422, 429, 500, 502, 503)
    },
    "closes before the answer": cut,
    "closes in the middle of the headers": raw(b"HTTP/1.1 200 OK\r\nConte"),
    "is no HTTP": raw(b"220 mail.example ESMTP\r\n"),
    "never answers": lambda talk: talk.wait_until_left(),
    "drips": lambda talk: _drip(talk),
    "answers with a web page": refuse(200, b"<!doctype html>", "text/html"),
    "answers with text": refuse(200, b"hello", "text/plain"),
    "answers with nothing": refuse(200, b""),
    "answers with half a JSON": refuse(200, b'{"data": ['),
    "answers with a number": refuse(200, b"7"),
    "answers with null": refuse(200, b"null"),
    "nests too deep": refuse(200, b"[" * 500_000),
    "answers without an end": lambda talk: _endless_list(talk),
    "packs the answer": refuse(200, gzip.compress(b"{}"), **{"Content-Encoding": "gzip"}),
    "packs it in no known way": refuse(200, b"{}", **{"Content-Encoding": "\x7fodd, br"}),
    "cuts a character": refuse(200, b'{"data": [{"id": "\xf0\x9f'),
    "sends UTF-16": refuse(200, json.dumps({"data": []}).encode("utf-16")),
}


def _drip(talk: Talk) -> None:
    talk.raw(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 9000\r\n\r\n")
    while not talk.server.closing.is_set():
        talk.raw(b" ")
        time.sleep(0.02)


def _endless_list(talk: Talk) -> None:
    talk.raw(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nConnection: close\r\n\r\n")
    while True:
        talk.raw(b" " * 65536)
