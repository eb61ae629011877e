"""Asks before a chat goes to a server that the user has not chosen: a name in a file can come from anybody."""

from __future__ import annotations

from tui.chat.loader import ModelLoader
from tui.chat.servers import Servers
from tui.chat.settings import ChatSettings
from tui.chat.ui import Answer, Ui
from tui.engine.remote.address import AddressError, is_server, parse

_ANSWERS = (Answer("no", "Don't connect", "n"), Answer("yes", "Send it there"))


class ServerConsent:
    """Knows which servers the user has chosen, and asks about others."""

    def __init__(
        self, servers: Servers, settings: ChatSettings, loader: ModelLoader, ui: Ui
    ) -> None:
        """Make it.

        Args:
            servers: those that the configuration names.
            settings: which models were used last, and are favorites.
            loader: the model in use.
            ui: asks.
        """
        self._servers = servers
        self._settings = settings
        self._loader = loader
        self._ui = ui

    async def may_use(self, model: str, why: str) -> bool:
        """Return whether a model may be used that a file names; asked where it is on a server that was not chosen before.

        Args:
            model: as the file names it; all but those on servers may.
            why: a sentence about where the name comes from.
        """
        if not is_server(model):
            return True
        try:
            address = parse(model)
        except AddressError as error:
            self._ui.tell(str(error), severity="warning")
            return False
        state = self._settings.state
        chosen = (*state.favorites, *state.recent_models, self._loader.model)
        if address.base in {one.address.base for one in self._servers.known(chosen)}:
            return True
        text = f"{why} You have not used {address.name} before. This chat would be sent there."
        return await self._ui.ask("Send this chat to another server?", text, _ANSWERS) == "yes"
