"""The objects that carry out the actions, created together for one screen."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from textual.screen import Screen

from tui.chat.core import Core
from tui.chat.server_consent import ServerConsent
from tui.chat.servers import Servers
from tui.dataclass import dataclass
from tui.screens.chat.chat_actions import ChatActions
from tui.screens.chat.composing import ComposerArea
from tui.screens.chat.copying import Copying
from tui.screens.chat.details import Details
from tui.screens.chat.downloading import Downloading
from tui.screens.chat.editing import Editing
from tui.screens.chat.focus_control import FocusControl
from tui.screens.chat.importing import Importing
from tui.screens.chat.leaving import Leaving
from tui.screens.chat.library_actions import LibraryActions
from tui.screens.chat.looking_up import LookingUp
from tui.screens.chat.model_actions import ModelActions
from tui.screens.chat.model_rescue import ModelRescue
from tui.screens.chat.reading import Reading
from tui.screens.chat.setting_actions import SettingActions
from tui.screens.chat.stopping import Stopping
from tui.screens.chat.turn_actions import TurnActions
from tui.screens.chat.ui import ScreenUi
from tui.screens.chat.view import View

if TYPE_CHECKING:
    from tui.engine.hub.downloads import Downloads
    from tui.engine.hub.hub import Hub


@dataclass(frozen=True, slots=True)
class Handlers:
    """The objects that carry out the actions."""

    area: ComposerArea
    chats: ChatActions
    copying: Copying
    details: Details
    downloading: Downloading
    editing: Editing
    importing: Importing
    leaving: Leaving
    library: LibraryActions
    looking_up: LookingUp
    models: ModelActions
    focus_control: FocusControl
    reading: Reading
    settings: SettingActions
    stopping: Stopping
    turns: TurnActions


def make_handlers(
    screen: Screen[None],
    core: Core,
    view: View,
    focus_control: FocusControl,
    rescue: ModelRescue,
    ui: ScreenUi,
    *,
    hub: Callable[[], Hub],
    downloads: Downloads,
    servers: Servers,
    show_downloads: Callable[[str, str], object],
    show_activity: Callable[[], object],
    first_model: str,
    offers: Callable[[str], bool],
    run: Callable[[str], object],
) -> Handlers:
    """Create the objects.

    Args:
        screen: runs the timers.
        core: owns the chat.
        view: the screen's widgets.
        focus_control: moves the focus.
        rescue: offers solutions when a model can't be loaded.
        ui: shows notifications and questions.
        hub: returns what asks the Hub; called when that is needed.
            downloads: the downloads from it.
        servers: the servers in the settings.
        show_downloads: shows the progress of downloads, as a long and a short text.
        show_activity: shows what is in progress.
        first_model: the model at the start; empty for none.
        offers: returns whether an action, given by ID, would have an effect.
        run: runs an action.
    """
    downloading = Downloading(
        screen, hub, downloads, core.loader, core.settings, ui, show_downloads
    )
    copying = Copying(view, focus_control, ui)
    editing = Editing(core, view, focus_control, ui)
    consent = ServerConsent(servers, core.settings, core.loader, ui)
    turns = TurnActions(core, view, focus_control, consent, ui)
    chats = ChatActions(core, view, focus_control, turns, editing, copying, ui)
    importing = Importing(core, chats, ui, show_activity)
    leaving = Leaving(core, view, editing, importing, downloading, ui)
    library = LibraryActions(core, view, consent, ui, first_model)
    models = ModelActions(core, view, hub, downloads, servers, downloading, rescue, ui)
    return Handlers(
        area=view.area,
        chats=chats,
        copying=copying,
        details=Details(core, focus_control, copying, ui),
        downloading=downloading,
        editing=editing,
        importing=importing,
        leaving=leaving,
        library=library,
        looking_up=LookingUp(core, view, ui, offers, run),
        models=models,
        focus_control=focus_control,
        reading=Reading(view, copying, ui),
        settings=SettingActions(core, view, focus_control, library, models, ui),
        stopping=Stopping(core, view, focus_control, importing, leaving, ui),
        turns=turns,
    )
