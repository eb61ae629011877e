"""Downloading models while the chat continues: asking first, showing progress, and loading the finished model."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from textual.screen import Screen
from textual.timer import Timer

from tui.chat.loader import ModelLoader
from tui.chat.settings import ChatSettings
from tui.engine.base import LoadRequest, ModelLoadError
from tui.screens.chat.ui import ScreenUi

if TYPE_CHECKING:
    from tui.engine.hub.downloads import Download, Downloads
    from tui.engine.hub.hub import DownloadPlan, Hub

DOWNLOADS_S: Final = 0.5
"""How often the progress of downloads is read, in seconds."""
_NOT_LOADED: Final = "The model was not loaded"


class Downloading:
    """Starts downloads and follows them."""

    def __init__(
        self,
        screen: Screen[None],
        hub: Callable[[], Hub],
        downloads: Downloads,
        loader: ModelLoader,
        settings: ChatSettings,
        ui: ScreenUi,
        show: Callable[[str, str], object],
    ) -> None:
        """Create it.

        Args:
            screen: runs the timer.
            hub: returns what asks the Hub; called when that is needed.
            downloads: the downloads from it.
            loader: loads the models.
            settings: how models are loaded.
            ui: shows questions and notifications.
            show: shows the progress of downloads, as a long and a short text.
        """
        self._screen = screen
        self._hub = hub
        self._downloads = downloads
        self._loader = loader
        self._settings = settings
        self._ui = ui
        self._show = show
        self._timer: Timer | None = None
        self.is_leaving = False
        """Whether the app is closing, so that nothing more is loaded."""

    async def get(self, request: LoadRequest) -> None:
        """Load a model. If it has to be downloaded, ask first."""
        from tui.engine.hub.problems import is_network_problem
        from tui.screens.models.download_question import GET, LOAD, no_room, question

        try:
            plan = await asyncio.to_thread(self._plan, request)
        except ModelLoadError as error:
            if is_network_problem(error):
                # Offline, nothing is downloaded. The load uses the cached files, or reports what is missing.
                self._loader.load(request)
            else:
                self._ui.tell(str(error), title=_NOT_LOADED, severity="error")
            return
        if self.is_leaving:
            return
        if plan is None or not plan.missing_bytes:
            self._loader.load(request)
        elif not plan.fits:
            self._ui.tell(no_room(plan), title=_NOT_LOADED, severity="error")
        else:
            answer = await self._ui.show(question(plan))
            if answer in (LOAD, GET):
                self._downloads.start(request.model, request.revision, load=answer == LOAD)
                self.watch()

    def _plan(self, request: LoadRequest) -> DownloadPlan | None:
        """Return what has to be downloaded; None if the model is on this machine."""
        from tui.engine import catalog
        from tui.engine.catalog import ModelKind

        try:
            source = catalog.resolve(request.model)
        except ModelLoadError:
            # The load reports what is wrong with the name.
            return None
        if source.kind is not ModelKind.HUB:
            return None
        cached = {one.model: one for one in catalog.local_models()}.get(source.model)
        if cached is not None and catalog.is_complete(cached):
            return None
        return self._hub().plan(request.model, request.revision)

    def watch(self) -> None:
        """Read the progress of downloads regularly while there are any."""
        if self._timer is None and self._downloads.all:
            self._timer = self._screen.set_interval(DOWNLOADS_S, self._look)

    def cancel(self) -> None:
        """Stop the running downloads."""
        for one in self._downloads.running:
            self._downloads.cancel(one.repo_id)
        self._look()

    def _look(self) -> None:
        from tui.screens.models.rows import download_text, downloads_text

        for one in self._downloads.all:
            if one.status.has_ended:
                self._downloads.forget(one.repo_id)
                self._ended(one)
        running = self._downloads.running
        text = " · ".join(f"{one.repo_id} {download_text(one)}" for one in running)
        self._show(text, downloads_text(running))
        if not running and self._timer is not None:
            self._timer.stop()
            self._timer = None

    def _ended(self, one: Download) -> None:
        from tui.engine.hub.downloads import DownloadStatus

        match one.status:
            case DownloadStatus.FAILED:
                self._ui.tell(one.problem, title="The download failed", severity="error")
            case DownloadStatus.CANCELLED:
                self._ui.tell(
                    f"The download of {one.repo_id} was stopped. Start it again to resume it."
                )
            case DownloadStatus.DONE if one.load and not self.is_leaving:
                self._ui.tell(f"{one.repo_id} has been downloaded and is now loading.")
                request = self._settings.load_request(one.repo_id)
                self._loader.load(replace(request, revision=one.revision))
            case DownloadStatus.DONE:
                self._ui.tell(
                    f"{one.repo_id} is downloaded. {self._ui.way('model.choose')} to load it."
                )
