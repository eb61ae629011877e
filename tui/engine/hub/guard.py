"""Stands between huggingface_hub and the network: whatever a library asks for, the answer's headers can't do harm.

Libraries make paths of ETags and commits, and follow redirects. Here, what could not be a plain name is taken away before they
see it, a redirect goes nowhere but to a safe address, and what was compressed grows only to a limit. Which answers the
app itself makes use of is decided in `client`.
"""

from __future__ import annotations

import functools
import zlib
from collections.abc import Iterator
from typing import Any, Final
from urllib.parse import urljoin, urlsplit

from tui.engine.hub.values import bad_answer, etag_of, is_commit

_UNPACKED_BYTES: Final = 64 * 2**20
"""What is compressed is text, which is never this long."""
_PIECE_BYTES: Final = 2**18
_ETAGS: Final = ("etag", "x-linked-etag")
_COMMIT: Final = "x-repo-commit"


@functools.cache
def install() -> None:
    """Guard every answer that huggingface_hub gets in this process from now on."""
    from huggingface_hub import set_client_factory
    from huggingface_hub.utils._http import default_client_factory

    def guarded_client() -> Any:
        client = default_client_factory()
        hooks = client.event_hooks
        client.event_hooks = {**hooks, "response": [*hooks.get("response", ()), check]}
        return client

    set_client_factory(guarded_client)


def check(response: Any) -> None:
    """Make an answer harmless; called for each, also for those that redirect.

    Raises:
        ModelLoadError: it leads to where nothing may be fetched from, or is compressed in a way that was not asked for.
    """
    headers = response.headers
    for name in _ETAGS:
        if name in headers and not etag_of(headers[name].removeprefix("W/")):
            del headers[name]
    if _COMMIT in headers and not is_commit(headers[_COMMIT]):
        del headers[_COMMIT]
    if response.has_redirect_location:
        redirect_target(str(response.url), headers["location"])
    coding = headers.get("content-encoding", "").strip().lower()
    if coding and coding != "identity":
        # A library unpacks as much as comes, through as many codings as are named.
        if coding not in ("gzip", "x-gzip", "deflate"):
            raise bad_answer("it uses a compression method that wasn't requested")
        del headers["content-encoding"]
        headers.pop("content-length", None)
        response.stream = _unpacking(response.stream, is_gzip=coding != "deflate")


def redirect_target(address: str, location: str) -> str:
    """Return where a redirect leads.

    Raises:
        ModelLoadError: it leads to no web address, or from a protected connection to an open one.
    """
    try:
        target = urljoin(address, location)
    except ValueError:
        target = ""
    if not is_web_address(target) or urlsplit(target).username is not None:
        raise bad_answer("it redirects to an invalid web address")
    if urlsplit(target).scheme == "http" and urlsplit(address).scheme == "https":
        raise bad_answer("it redirects from an encrypted connection to an unencrypted one")
    return target


def is_web_address(address: str) -> bool:
    """Return whether an address is one of http or https, with a host and a possible port."""
    try:
        parts = urlsplit(address)
        return parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        return False


def origin(address: str) -> tuple[str, str, int]:
    """Return scheme, host and port of an address: what decides who is asked."""
    parts = urlsplit(address)
    standard = {"http": 80, "https": 443}.get(parts.scheme, 0)
    return parts.scheme, (parts.hostname or "").lower(), parts.port or standard


def _unpacking(stream: Any, *, is_gzip: bool) -> Any:
    """Return a stream of what is in a compressed one, which fails when that is too much."""
    import httpx2

    class Unpacking(httpx2.SyncByteStream):
        def __iter__(self) -> Iterator[bytes]:
            return _unpacked(stream, is_gzip=is_gzip)

        def close(self) -> None:
            stream.close()

    return Unpacking()


def _unpacked(pieces: Any, *, is_gzip: bool) -> Iterator[bytes]:
    unpacker = zlib.decompressobj(zlib.MAX_WBITS | (16 if is_gzip else 0))
    left = packed_left = _UNPACKED_BYTES
    for piece in pieces:
        # Empty blocks could arrive forever.
        packed_left -= len(piece)
        rest = piece
        while rest:
            try:
                unpacked = unpacker.decompress(rest, _PIECE_BYTES)
            except zlib.error as error:
                raise bad_answer("its compression doesn't match its headers") from error
            left -= len(unpacked)
            if min(left, packed_left) < 0:
                raise bad_answer("it is far too long when decompressed")
            rest = unpacker.unconsumed_tail
            if unpacked:
                yield unpacked
    yield unpacker.flush()
