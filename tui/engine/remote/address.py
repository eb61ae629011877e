"""Server addresses, and the notation for a model on a server: `http://localhost:8000/#Qwen/Qwen3-8B`.

The part before the first `#` is the server's base, without the `/v1` that many give it with; all behind it is the model's id as
the server writes it. So a model stays one text wherever the app keeps one: in chats, presets, favorites and on the command line.
"""

from __future__ import annotations

import ipaddress
import socket
from typing import Final
from urllib.parse import urlsplit

from tui.dataclass import dataclass
from tui.errors import UserError
from tui.pattern import pattern
from tui.sanitize import sanitize_line

_SCHEMES: Final = ("http://", "https://")
_PORTS: Final = {"http": 80, "https": 443}
_LOCAL_ENDINGS: Final = (".local", ".lan", ".internal", ".home", ".localhost", ".home.arpa")
_PATHS: Final = pattern(r"(?:/v1)?(?:/(?:chat/completions|completions|models|responses))?/*$")
"""What people paste behind the base, since other programs want it there."""
_UNFIT: Final = pattern(r"[\x00-\x20\x7f-\x9f\\]")
_LONGEST: Final = 500


class AddressError(UserError):
    """A text that looks like a server address but isn't valid."""


def is_server(text: str) -> bool:
    """Return whether a model's name is one of a server, or a server's address."""
    return text.lstrip()[:8].lower().startswith(_SCHEMES)


@dataclass(frozen=True, slots=True)
class Address:
    """A server, and perhaps one of its models.

    Attributes:
        base: scheme, host, port where it is not the usual one, and path; without a slash at its end.
        model: as the server writes it; empty for none.
    """

    base: str
    model: str = ""

    def __str__(self) -> str:
        return f"{self.base}/#{self.model}" if self.model else self.base

    def with_model(self, model: str) -> Address:
        """Return a model of the same server."""
        return Address(self.base, model)

    @property
    def scheme(self) -> str:
        """`http` or `https`."""
        return self.base.partition(":")[0]

    @property
    def host(self) -> str:
        """The host without brackets, for example `localhost` or `::1`."""
        return urlsplit(self.base).hostname or ""

    @property
    def origin(self) -> str:
        """Scheme, host and port: what a key belongs to."""
        parts = urlsplit(self.base)
        return f"{parts.scheme}://{parts.netloc}"

    @property
    def name(self) -> str:
        """The server for people, for example `localhost:8000`."""
        parts = urlsplit(self.base)
        return parts.netloc + parts.path

    @property
    def is_private(self) -> bool:
        """Whether it is this machine, or one of a network that is not the internet."""
        address = _number(self.host)
        if address is None:
            return "." not in self.host or self.host.endswith(_LOCAL_ENDINGS)
        return address.is_loopback or address.is_private or address.is_link_local

    @property
    def is_this_machine(self) -> bool:
        """Whether it is a loopback address."""
        address = _number(self.host)
        if address is None:
            return self.host == "localhost" or self.host.endswith(".localhost")
        return address.is_loopback

    @property
    def is_readable_by_others(self) -> bool:
        """Whether traffic could be read in transit through the internet."""
        return self.scheme == "http" and not self.is_private


def parse(text: str) -> Address:
    """Parse a server address; see `is_server`.

    Raises:
        AddressError: it isn't a valid server address.
    """
    url, _, model = text.strip().partition("#")
    if len(url) > _LONGEST or len(model) > _LONGEST or _UNFIT.search(url):
        raise _refused(text, "it is too long or contains invalid characters.")
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise _refused(text, "its host or port isn't valid.") from error
    host = (parts.hostname or "").rstrip(".")
    if parts.scheme not in _PORTS or not host:
        raise _refused(text, "it must start with http:// or https:// followed by a host.")
    if parts.username is not None or parts.password is not None:
        raise _refused(
            text.replace(parts.netloc, parts.netloc.rpartition("@")[2]),
            "it must not contain a user name or password. Put the key into an environment variable and set its name as "
            "key_env in [servers.NAME] of the configuration file.",
        )
    if parts.query:
        shown = text.partition("?")[0]
        raise _refused(shown, "it must not contain a query string.")
    shown = f"[{host}]" if ":" in host else _in_ascii(host, text)
    place = shown if port in (None, _PORTS[parts.scheme]) else f"{shown}:{port}"
    path = _without_endpoint(parts.path)
    return Address(f"{parts.scheme}://{place}{path}", model.strip())


def _without_endpoint(path: str) -> str:
    """Return a path without what people paste behind the base, also where they did so twice."""
    while (shorter := _PATHS.sub("", path)) != path:
        path = shorter
    return path


def _in_ascii(host: str, text: str) -> str:
    """Return a host as the network knows it, so that letters that only look alike are seen."""
    if host.isascii():
        return host
    try:
        return host.encode("idna").decode("ascii")
    except UnicodeError as error:
        raise _refused(text, "its host isn't valid.") from error


def _number(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    """Return the number that a host is, also where it is written as the network takes it too: `127.1`, `0x7f000001`, `2130706433`."""
    try:
        address = ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        try:
            return ipaddress.IPv4Address(socket.inet_aton(host))
        except OSError:
            return None
    # Otherwise, all of the internet would count as private.
    return getattr(address, "ipv4_mapped", None) or address


def _refused(text: str, why: str) -> AddressError:
    return AddressError(
        f"{sanitize_line(text, 80) or 'An empty string'} isn't a valid server address: {why}"
    )
