"""The open chat from its title to the message box, and what clicking and searching in it does."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from textual import on
from textual.app import ComposeResult
from textual.content import Content

from tui.late import imported
from tui.screens.chat.focus_control import FocusControl
from tui.screens.chat.pane import TurnPane
from tui.screens.chat.ui import ScreenUi
from tui.screens.chat.view import View
from tui.widgets.bindings import key_name
from tui.widgets.ground import Column, Middle
from tui.widgets.transcript import Transcript

if TYPE_CHECKING:
    from tui.screens.chat.handlers import Handlers
    from tui.widgets.find_bar import FindBar


class ChatColumn(Column):
    """Lays out the chat and handles the messages of its widgets, except the composer's, which `ComposerArea` handles."""

    def __init__(
        self,
        view: View,
        focus_control: FocusControl,
        ui: ScreenUi,
        handlers: Callable[[], Handlers],
    ) -> None:
        """Create it.

        Args:
            view: the widgets.
            focus_control: moves the focus.
            ui: runs work in the background.
            handlers: return what searches the chat and pages through variants; called when that is needed.
        """
        super().__init__(id="chat")
        self._view = view
        self._focus_control = focus_control
        self._handlers = handlers
        self._ui = ui
        self._below = Middle()

    def compose(self) -> ComposeResult:
        """Lay out the chat."""
        view = self._view
        with Middle():
            yield view.title
        yield view.transcript
        yield self._below
        yield view.area

    def on_mount(self) -> None:
        """Add what is hidden at first after the first frame: the note about new text, and the search bar."""
        self.call_after_refresh(lambda: self._ui.start(self._add_hidden()))

    async def _add_hidden(self) -> None:
        await imported("tui.widgets.find_bar")
        if self.is_attached:
            self._below.mount(self._view.unseen, self._view.find_bar)

    # -- the turns

    @on(TurnPane.Typed)
    def _typed_on_turn(self, event: TurnPane.Typed) -> None:
        event.stop()
        self._focus_control.type_into_composer(event.text)

    @on(Transcript.TurnClicked)
    def _turn_clicked(self, event: Transcript.TurnClicked) -> None:
        self._view.transcript.cursor = event.turn_id

    @on(Transcript.VariantPaged)
    def _variant_paged(self, event: Transcript.VariantPaged) -> None:
        self._handlers().turns.page(event.step, event.turn_id)

    @on(Transcript.FollowChanged)
    def _follow_changed(self, event: Transcript.FollowChanged) -> None:
        key = key_name(self.app, "transcript.follow")
        self._view.unseen.update(Content(f"↓ new text{f' · {key}' if key else ''}"))
        self._view.unseen.set_class(not event.following and event.unseen, "-shown")

    @on(Transcript.LinkClicked)
    def _link_clicked(self, event: Transcript.LinkClicked) -> None:
        self._ui.start(self._handlers().reading.offer_link(event.url))

    # -- the search. The messages of its bar are found by their names, because it is imported after the first frame.

    @on(Transcript.HitsCounted)
    def _hits_counted(self) -> None:
        self._handlers().reading.show_count()

    def on_find_bar_wanted(self, event: FindBar.Wanted) -> None:
        """Search the chat."""
        self._handlers().reading.search(event.query)

    def on_find_bar_stepped(self, event: FindBar.Stepped) -> None:
        """Go to the next or the previous match."""
        self._handlers().reading.search_next(event.step)

    def on_find_bar_closed(self) -> None:
        """End the search."""
        self._handlers().reading.end_search()
