"""The connection to one server, with limits on everything that is received.

A key goes to its server's own origin and nowhere else: redirects are not followed, and no text that leaves here holds it. Everything
that is read has a bound, since the other side may be anything.
"""

from __future__ import annotations

import asyncio
import codecs
import json
import logging
import ssl
from collections.abc import AsyncGenerator, AsyncIterator, Iterator, Mapping
from contextlib import aclosing, asynccontextmanager
from typing import Any, Final

import httpx2

from tui import __version__
from tui.engine.remote.address import Address
from tui.engine.remote.problems import ServerError, refusal, tells_error
from tui.engine.remote.values import NotJsonError, read_json
from tui.sanitize import sanitize_line

CONNECT_S: Final = 10.0
ANSWER_S: Final = 15.0
"""How long a pause may be in an answer that no model has to work for."""
WHOLE_S: Final = 60.0
"""How long such an answer may take from its first byte to its last."""
MOST_BYTES: Final = 16_000_000
"""Of an answer that is no stream."""
MOST_PIECE: Final = 1_000_000
"""Characters of one piece of a stream."""
_LEAST_WHOLE_KEY: Final = 12
"""Characters of a key that nobody writes by chance: a shorter one may be a word of a reply."""
_HIDDEN: Final = "[key]"
_LEAST_OF_A_KEY: Final = 4
"""Characters of a key's beginning that are hidden where a sentence is cut in its middle."""
_EVENT_STREAM: Final = "text/event-stream"
_MOST_CAUSES: Final = 10

# It logs the headers of answers, in which a server may repeat the key.
logging.getLogger("httpcore2").setLevel(logging.INFO)


class Link:
    """HTTP client for one server. Belongs to one event loop."""

    def __init__(self, address: Address, key: str = "", *, name: str = "") -> None:
        """Create the client; nothing is sent yet.

        Args:
            address: the server.
            key: sent as a bearer token; empty for none.
            name: the server for people; empty for its host and port.
        """
        self.address = address
        self.name = name or address.name
        self._key = key.strip()
        self._client: httpx2.AsyncClient | None = None

    def _open(self) -> httpx2.AsyncClient:
        """Return the HTTP client.

        Raises:
            ServerError: the key can't be sent.
        """
        if self._client is None:
            if not (self._key.isascii() and self._key.isprintable()):
                # The library's error message would contain the key.
                raise ServerError(
                    f"The key for {self.name} contains invalid characters, so nothing was sent.",
                    "Check the value of the environment variable named in key_env.",
                )
            headers = {
                "User-Agent": f"chat-tui/{__version__}",
                # Compressed data can expand to any size.
                "Accept-Encoding": "identity",
            }
            if self._key:
                headers["Authorization"] = f"Bearer {self._key}"
            self._client = httpx2.AsyncClient(
                headers=headers,
                follow_redirects=False,
                # Servers close connections that are kept, and a request that is under way then is lost: whether it was read can't
                # be known, and it may be one that must not be sent twice.
                limits=httpx2.Limits(max_keepalive_connections=0),
                timeout=httpx2.Timeout(ANSWER_S, connect=CONNECT_S),
                # Without https there is no certificate to check; loading the trusted ones takes a while.
                verify=self._trusted() if self.address.scheme == "https" else False,
                # Proxies are for the internet: private addresses are contacted directly.
                trust_env=not self.address.is_private,
            )
        return self._client

    def _trusted(self) -> ssl.SSLContext:
        """Return which certificates are trusted: this machine's, or those that `SSL_CERT_FILE` or `SSL_CERT_DIR` names."""
        try:
            return httpx2.create_ssl_context()
        except OSError as error:
            raise ServerError(
                f"The trusted certificates can't be read ({_named(error)}), so nothing was sent to {self.name}.",
                "Check SSL_CERT_FILE and SSL_CERT_DIR.",
            ) from error

    async def close(self) -> None:
        """Close the connections."""
        client, self._client = self._client, None
        if client is not None:
            await client.aclose()

    async def get(self, path: str) -> Any:
        """Return the JSON at a path below the base.

        Raises:
            ServerError: it could not be had.
        """
        return await self._json("GET", path, None)

    async def post(self, path: str, body: Mapping[str, Any]) -> Any:
        """Return the JSON that a request is answered with.

        Raises:
            ServerError: it could not be had.
        """
        return await self._json("POST", path, body)

    async def _json(self, method: str, path: str, body: Mapping[str, Any] | None) -> Any:
        async with self._response(method, path, body, read_s=ANSWER_S) as response:
            raw = await self._whole(response)
            try:
                value = read_json(raw)
            except NotJsonError:
                raise self._refusal(response.status_code, None, raw) from None
            if response.status_code >= 400 or tells_error(value):
                raise self._refusal(response.status_code, value)
            return value

    @asynccontextmanager
    async def stream(self, path: str, body: Mapping[str, Any]) -> AsyncIterator[Stream]:
        """Send a request whose answer comes piece by piece; leaving the context closes the connection.

        Raises:
            ServerError: it was refused, or the connection was lost in the middle.
        """
        async with self._response("POST", path, body, read_s=None) as response:
            kind = response.headers.get("content-type", "").partition(";")[0].strip().lower()
            if response.status_code >= 400 or kind in ("application/json", "text/html"):
                await self._refuse(response)
            yield Stream(response, self, is_events=kind == _EVENT_STREAM)

    async def _refuse(self, response: httpx2.Response) -> None:
        """Raise what an answer says that should have been a stream, unless it is one after all."""
        raw = await self._whole(response)
        try:
            value = read_json(raw)
        except NotJsonError:
            raise self._refusal(response.status_code, None, raw) from None
        if response.status_code >= 400 or tells_error(value):
            raise self._refusal(response.status_code, value)
        raise ServerError(f"{self.name} didn't respond with a reply stream.")

    @asynccontextmanager
    async def _response(
        self, method: str, path: str, body: Mapping[str, Any] | None, *, read_s: float | None
    ) -> AsyncIterator[httpx2.Response]:
        content = None if body is None else _written(body)
        headers = {} if content is None else {"Content-Type": "application/json"}
        client = self._open()
        timeout = httpx2.Timeout(ANSWER_S, connect=CONNECT_S, read=read_s)
        url = f"{self.address.base}{path}"
        try:
            async with client.stream(
                method, url, content=content, headers=headers, timeout=timeout
            ) as response:
                self._check(response)
                yield response
        except httpx2.HTTPError as error:
            raise self.lost(error) from error
        except (httpx2.InvalidURL, UnicodeError) as error:
            # UnicodeError is raised for host names with labels that are empty or too long.
            raise ServerError(f"{self.name} isn't a usable address.") from error
        except OSError as error:
            raise ServerError(
                f"{self.name} can't be reached ({_named(error)}).", is_lost=True
            ) from error

    def _check(self, response: httpx2.Response) -> None:
        if 300 <= response.status_code < 400:
            where = sanitize_line(self._without_key(response.headers.get("location", "")), 100)
            raise ServerError(
                f"{self.name} redirects to {where or 'another address'}.",
                "Redirects are not followed, so that your chat and key aren't sent to another server. If you trust that address, use it instead.",
                status=response.status_code,
            )
        packed = response.headers.get("content-encoding", "identity").strip().lower()
        if packed not in ("", "identity"):
            raise ServerError(
                f"{self.name} responded with compressed data ({sanitize_line(packed, 20)}), which wasn't requested."
            )

    async def _whole(self, response: httpx2.Response) -> bytes:
        """Return an answer, read within bounds of size and time."""
        pieces, size = [], 0
        try:
            async with asyncio.timeout(WHOLE_S):
                async for piece in response.aiter_bytes():
                    size += len(piece)
                    if size > MOST_BYTES:
                        raise ServerError(
                            f"{self.name} sent more than {MOST_BYTES:,} bytes in one response."
                        )
                    pieces.append(piece)
        except TimeoutError:
            raise self._too_slow() from None
        return b"".join(pieces)

    def _refusal(self, status: int, body: Any, raw: bytes = b"") -> ServerError:
        said = raw[:4000].decode("utf-8", "replace")
        if body is None and status < 400:
            what = "a web page" if said.lstrip()[:1] == "<" else "something that isn't JSON"
            return ServerError(
                f"{self.name} responded with {what}.",
                "Check that the address is that of a model server.",
                status=status,
            )
        return self.clean(refusal(self.name, status, body, said))

    def clean(self, error: ServerError) -> ServerError:
        """Return an error without the key, which a server may repeat."""
        return ServerError(
            self._without_key(error.message),
            self._without_key(error.hint),
            status=error.status,
            body=error.body,
            is_lost=error.is_lost,
        )

    def holds_key(self, said: str) -> bool:
        """Return whether a text repeats the key."""
        return len(self._key) >= _LEAST_WHOLE_KEY and self._key in said

    def hidden(self, said: str) -> str:
        """Return a piece of a reply without the key."""
        return said.replace(self._key, _HIDDEN) if self.holds_key(said) else said

    def _without_key(self, said: str) -> str:
        """Return a text without the key, and without the beginning of one that the text was cut in."""
        if not self._key:
            return said
        said = said.replace(self._key, _HIDDEN)
        for size in range(len(self._key) - 1, _LEAST_OF_A_KEY - 1, -1):
            said = said.replace(f"{self._key[:size]}…", f"{_HIDDEN}…")
        return said

    def _too_slow(self) -> ServerError:
        return ServerError(
            f"{self.name} took too long to respond.", "It may be busy. Try again.", is_lost=True
        )

    def lost(self, error: httpx2.HTTPError) -> ServerError:
        """Return what a failed connection means."""
        match error:
            case httpx2.ConnectTimeout() | httpx2.PoolTimeout():
                return ServerError(
                    f"{self.name} did not respond within {CONNECT_S:.0f} seconds.",
                    "Check that it is running and can be reached from this machine.",
                    is_lost=True,
                )
            case httpx2.TimeoutException():
                return self._too_slow()
            case httpx2.ConnectError() if _caused_by(error, ssl.SSLCertVerificationError):
                return ServerError(
                    f"The certificate of {self.name} can't be trusted, so nothing was sent.",
                    "If it is your own server, make this machine trust its certificate (set SSL_CERT_FILE to a file that contains it).",
                )
            case httpx2.ConnectError() if _caused_by(error, ssl.SSLError):
                return ServerError(
                    f"An encrypted connection to {self.name} could not be established, so nothing was sent.",
                    "Check that the server supports https. Many servers only support http, unless they are behind a proxy.",
                )
            case httpx2.ConnectError():
                return ServerError(
                    f"{self.name} can't be reached.",
                    "Check that the server is running and uses that port.",
                    is_lost=True,
                )
            case httpx2.LocalProtocolError():
                return ServerError(f"The request can't be sent to {self.name}.", is_lost=True)
            case _:
                return ServerError(
                    f"{self.name} closed the connection in the middle of the response.",
                    "See whether the server still runs.",
                    is_lost=True,
                )


class Stream:
    """The pieces of an answer, one after another."""

    def __init__(self, response: httpx2.Response, link: Link, *, is_events: bool) -> None:
        self._response = response
        self._link = link
        self._is_events = is_events

    async def __aiter__(self) -> AsyncGenerator[str]:
        """Yield the text of each: the data of an event, or a line. All that came before the stream broke is yielded.

        Raises:
            ServerError: the connection was lost, or a piece is too large.
        """
        lines = _Lines()
        events = _Events()
        take = events.take if self._is_events else _unless_blank
        try:
            async with aclosing(self._response.aiter_raw()) as raw:
                async for received in raw:
                    for line in lines.take(received):
                        for piece in take(line):
                            yield piece
                    if lines.size + events.size > MOST_PIECE:
                        raise self._too_large()
        except httpx2.HTTPError as error:
            for piece in events.rest():
                yield piece
            raise self._link.lost(error) from error
        for piece in (*take(lines.rest()), *events.rest()):
            yield piece

    def _too_large(self) -> ServerError:
        return ServerError(
            f"{self._link.name} sent a part of a reply that is too large.", is_lost=True
        )


class _Lines:
    """Cuts what is received into lines. It is UTF-8, whatever the headers say; what is none becomes replacement characters."""

    def __init__(self) -> None:
        self._decoder = codecs.getincrementaldecoder("utf-8-sig")("replace")
        self._held: list[str] = []
        self.size = 0
        """Characters of the line that has not ended yet."""

    def take(self, received: bytes) -> Iterator[str]:
        """Yield the lines that end in what is received."""
        first, *others = self._decoder.decode(received).split("\n")
        self._hold(first)
        for line in others:
            yield self._whole()
            self._hold(line)

    def rest(self) -> str:
        """Return what stands behind the last line's end."""
        self._hold(self._decoder.decode(b"", final=True))
        return self._whole()

    def _hold(self, text: str) -> None:
        self._held.append(text)
        self.size += len(text)

    def _whole(self) -> str:
        line = "".join(self._held)
        self._held, self.size = [], 0
        return line.removesuffix("\r")


class _Events:
    """Makes server-sent events of lines; of an event only its data matters here."""

    def __init__(self) -> None:
        self._data: list[str] = []
        self.size = 0
        """Characters of the event that has not ended yet."""

    def take(self, line: str) -> Iterator[str]:
        """Yield the data of an event that ends with a line."""
        name, _, value = line.partition(":")
        if not line:
            yield from self.rest()
        elif name == "data":
            self._data.append(value.removeprefix(" "))
            self.size += len(line)
        elif line.startswith("{"):
            # An error may be written into a stream as it would be without one.
            yield from self.rest()
            yield line

    def rest(self) -> Iterator[str]:
        """Yield the data of an event that nothing came behind."""
        data, self._data, self.size = self._data, [], 0
        if data:
            yield "\n".join(data)


def _unless_blank(line: str) -> Iterator[str]:
    if line.strip():
        yield line


def _written(body: Mapping[str, Any]) -> bytes:
    text = json.dumps(body, ensure_ascii=False, separators=(",", ":"))
    # A chat may hold half of a surrogate pair, as an import has it.
    return text.encode("utf-8", "replace")


def _caused_by(error: BaseException, kind: type[BaseException]) -> bool:
    """Return whether an error of the network came of another one; the libraries in between wrap it."""
    at: BaseException | None = error
    for _ in range(_MOST_CAUSES):
        if at is None or isinstance(at, kind):
            break
        at = at.__cause__ or at.__context__
    return isinstance(at, kind)


def _named(error: OSError) -> str:
    return sanitize_line(error.strerror or type(error).__name__, 80)
