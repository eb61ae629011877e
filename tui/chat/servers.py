"""The servers that a user has named in the configuration, with their keys from the environment."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from typing import Final

from tui.engine.remote.address import Address, AddressError, is_server, parse
from tui.engine.remote.servers import Server
from tui.pattern import pattern
from tui.settings.values import ServerEntry

_VARIABLE: Final = pattern(r"[A-Za-z_]\w{0,200}", re.ASCII)


class Servers:
    """Knows which servers there are. What the configuration says is read each time, so that a change holds at once."""

    def __init__(
        self,
        entries: Callable[[], Mapping[str, ServerEntry]],
        environment: Mapping[str, str],
    ) -> None:
        """Make it.

        Args:
            entries: returns what the configuration says, by the servers' names; called from any thread.
            environment: holds the keys.
        """
        self._entries = entries
        self._environment = environment

    def named(self) -> tuple[Server, ...]:
        """Return the servers that have a name and an address that can be used; of two with one address the first."""
        found: dict[str, Server] = {}
        for name, entry in self._entries().items():
            if (server := self._server(name, entry)) is not None:
                found.setdefault(server.address.base, server)
        return tuple(found.values())

    def resolve(self, model: str) -> str:
        """Return the address that a model's name stands for, where it is the name of a server; else the name itself."""
        found = (str(one.address) for one in self.named() if one.name == model)
        return next(found, model)

    def problems(self) -> tuple[str, ...]:
        """Return a sentence for each thing that is wrong with them."""
        return tuple(
            problem
            for name, entry in self._entries().items()
            if (problem := self._problem(name, entry))
        )

    def known(self, models: Iterable[str]) -> tuple[Server, ...]:
        """Return the named servers, and those that some models are on, each once."""
        found = {one.address.base: one for one in self.named()}
        for model in filter(is_server, models):
            try:
                base = parse(model).base
            except AddressError:
                continue
            found.setdefault(base, Server(Address(base)))
        return tuple(found.values())

    def _server(self, name: str, entry: ServerEntry) -> Server | None:
        try:
            address = Address(parse(entry.url).base)
        except AddressError:
            return None
        return Server(address, name, self._key(entry), entry.dialect, entry.context)

    def _key(self, entry: ServerEntry) -> str:
        is_name = _VARIABLE.fullmatch(entry.key_env) is not None
        key = self._environment.get(entry.key_env, "").strip() if is_name else ""
        return key if key.isascii() and key.isprintable() else ""

    def _problem(self, name: str, entry: ServerEntry) -> str:
        if not entry.url:
            return f"[servers.{name}] has no url."
        try:
            parse(entry.url)
        except AddressError as error:
            return f"[servers.{name}]: {error}"
        if entry.key_env and _VARIABLE.fullmatch(entry.key_env) is None:
            # It may be the key itself, which is not to be shown.
            return f"[servers.{name}]: key_env must be the name of an environment variable, not the key itself."
        if entry.key_env and not self._key(entry):
            return f"[servers.{name}]: {entry.key_env} is not set or doesn't contain a valid key, so requests to {name} are sent without a key."
        if name not in [one.name for one in self.named()]:
            return f"[servers.{name}] has the same address as another server and is ignored."
        return ""
