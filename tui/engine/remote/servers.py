"""The servers that a user has named, and how a model's address finds its server's key."""

from __future__ import annotations

from collections.abc import Iterable

from tui.dataclass import dataclass
from tui.engine.remote.address import Address


@dataclass(frozen=True, slots=True)
class Server:
    """A server, as the configuration or an address tells of it.

    Attributes:
        address: where it is, without a model.
        name: what the user calls it; empty where only the address is known.
        key: sent to it and to nobody else; empty for none. It is in memory alone.
        dialect: its kind, as `dialects.DIALECTS` names it; empty to find out.
        context_tokens: the context to ask for, or to reckon with where the server doesn't say; 0 for what the server says.
    """

    address: Address
    name: str = ""
    key: str = ""
    dialect: str = ""
    context_tokens: int = 0

    @property
    def label(self) -> str:
        """What the app calls it."""
        return self.name or self.address.name

    def __repr__(self) -> str:
        """Leave out the key, which must not get into a log."""
        return f"Server({self.address}, {self.name!r})"


def server_of(address: Address, known: Iterable[Server]) -> Server:
    """Return the server of an address: one that the user has named, or one without a key."""
    found = (one for one in known if one.address.base == address.base)
    return next(found, Server(Address(address.base)))
