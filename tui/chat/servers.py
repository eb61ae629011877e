"""The servers that a user has named in the configuration, with their keys from the environment."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from tui.engine.remote.address import Address, AddressError, is_server, parse
from tui.engine.remote.servers import Server
from tui.settings.values import ServerEntry


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
        """Return the servers that have a name and an address that can be used."""
        found = (self._server(name, entry) for name, entry in self._entries().items())
        return tuple(one for one in found if one is not None)

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
        key = self._environment.get(entry.key_env, "").strip() if entry.key_env else ""
        return key if key.isascii() and key.isprintable() else ""

    def _problem(self, name: str, entry: ServerEntry) -> str:
        if not entry.url:
            return f"[servers.{name}] names no url."
        try:
            parse(entry.url)
        except AddressError as error:
            return f"[servers.{name}]: {error}"
        if entry.key_env and not self._key(entry):
            return (
                f"[servers.{name}]: {entry.key_env} holds no key, so {name} is asked without one."
            )
        return ""
