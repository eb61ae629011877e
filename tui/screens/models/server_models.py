"""The models of servers in the model picker. Each server is asked on a separate thread, so that none waits for another."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from textual.content import Content
from textual.screen import Screen
from textual.widgets.option_list import Option

from tui.engine.remote.address import Address
from tui.engine.remote.servers import Server, server_of
from tui.sanitize import sanitize_line
from tui.screens.models import rows

if TYPE_CHECKING:
    from tui.engine.remote.listing import Listed

_MOST_ROWS: Final = 200
"""The most models listed of one server; some have thousands."""


class ServerModels:
    """Asks servers for their models and keeps the answers."""

    def __init__(
        self, screen: Screen[Any], servers: Iterable[Server], changed: Callable[[Listed], object]
    ) -> None:
        """Create it. No request is sent yet.

        Args:
            screen: runs the threads.
            servers: the servers to ask.
            changed: called on the screen's thread after a server has answered.
        """
        self._screen = screen
        self._servers = {one.address.base: one for one in servers}
        self._listed: dict[str, Listed] = {}
        self._changed = changed

    def resolve(self, model: str) -> str:
        """Return the address of a server's model if `model` starts with the name of a known server; otherwise `model` itself."""
        found = (str(one.address) for one in self._servers.values() if one.name == model)
        return next(found, model)

    def ask_all(self) -> None:
        """Ask all servers for their models."""
        for server in self._servers.values():
            self.ask(server)

    def ask_at(self, address: Address) -> None:
        """Ask the server at an address, which is then listed too."""
        server = server_of(address, self._servers.values())
        self._servers[address.base] = server
        self._listed.pop(address.base, None)
        self.ask(server)

    def ask(self, server: Server) -> None:
        """Ask one server for its models."""
        self._screen.run_worker(
            partial(self._ask, server), thread=True, exit_on_error=False, group="servers"
        )

    def _ask(self, server: Server) -> None:
        # Imported here because it is needed only with servers.
        from tui.engine.remote.listing import list_models

        listed = list_models(server)
        self._screen.app.call_from_thread(self._take, listed)

    def _take(self, listed: Listed) -> None:
        self._listed[listed.server.address.base] = listed
        self._changed(listed)

    def options(
        self, wanted: Sequence[str], current: str, favorites: Sequence[str]
    ) -> list[Option]:
        """Return the options for each server: its header, and its models that match the words."""
        made: list[Option] = []
        for base, server in self._servers.items():
            listed = self._listed.get(base)
            found = [] if listed is None else self._rows(listed, wanted, current, favorites)
            if found or not wanted:
                made += [Option(_header(server, listed), disabled=True), *found]
        return made

    def _rows(
        self, listed: Listed, wanted: Sequence[str], current: str, favorites: Sequence[str]
    ) -> list[Option]:
        address = listed.server.address
        made: list[Option] = []
        for model in listed.models:
            name = str(address.with_model(model.id))
            if not all(word in f"{name} {listed.server.label}".casefold() for word in wanted):
                continue
            if len(made) == _MOST_ROWS:
                more = Content.styled("   … and more. Type part of the name", "$text-muted")
                return [*made, Option(more, disabled=True)]
            row = rows.server_row(model, is_current=name == current, is_favorite=name in favorites)
            made.append(Option(row, id=name))
        return made


def _header(server: Server, listed: Listed | None) -> Content:
    """Return the header of a server: what it is, or why it has no models."""
    label = sanitize_line(server.label, 60)
    if listed is None:
        text = f"   SERVER {label} · listing its models…"
    elif listed.problem:
        return Content.styled(f"   {sanitize_line(listed.problem, 200)}", "$text-warning")
    else:
        text = f"   SERVER {label} · {listed.kind}" + ("" if listed.models else " · no models")
    return Content.styled(text, "$text-muted")
