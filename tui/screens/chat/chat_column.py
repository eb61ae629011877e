"""The open chat from its title to the message box, and what clicking and searching in it does."""

from __future__ import annotations

from textual import on
from textual.app import ComposeResult
from textual.content import Content

from tui.screens.chat.handlers import Handlers
from tui.screens.chat.pane import TurnPane
from tui.screens.chat.ui import ScreenUi
from tui.screens.chat.view import View
from tui.widgets.bindings import key_name
from tui.widgets.find_bar import FindBar
from tui.widgets.ground import Column, Middle
from tui.widgets.transcript import Transcript


class ChatColumn(Column):
    """Lays out the chat and handles the messages of its widgets, except the composer's, which `ComposerArea` handles."""

    def __init__(self, view: View, handlers: Handlers, ui: ScreenUi) -> None:
        """Create it.

        Args:
            view: the widgets.
            handlers: search the chat, page through variants and move the cursor.
            ui: runs work in the background.
        """
        super().__init__(id="chat")
        self._view = view
        self._focus_control = handlers.focus_control
        self._reading = handlers.reading
        self._turns = handlers.turns
        self._ui = ui
        self._below = Middle()

    def compose(self) -> ComposeResult:
        """Lay out the chat."""
        view = self._view
        with Middle():
            yield view.title
        yield view.transcript
        with self._below:
            yield view.unseen
        yield view.area

    def on_mount(self) -> None:
        """Add the search bar, which is hidden at first, after the first frame."""
        self.call_after_refresh(self._below.mount, self._view.find_bar)

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
        self._turns.page(event.step, event.turn_id)

    @on(Transcript.FollowChanged)
    def _follow_changed(self, event: Transcript.FollowChanged) -> None:
        key = key_name(self.app, "transcript.follow")
        self._view.unseen.update(Content(f"↓ new text{f' · {key}' if key else ''}"))
        self._view.unseen.set_class(not event.following and event.unseen, "-shown")

    @on(Transcript.LinkClicked)
    def _link_clicked(self, event: Transcript.LinkClicked) -> None:
        self._ui.start(self._reading.offer_link(event.url))

    # -- the search

    @on(Transcript.HitsCounted)
    def _hits_counted(self) -> None:
        self._reading.show_count()

    @on(FindBar.Wanted)
    def _find(self, event: FindBar.Wanted) -> None:
        self._reading.search(event.query)

    @on(FindBar.Stepped)
    def _find_next(self, event: FindBar.Stepped) -> None:
        self._reading.search_next(event.step)

    @on(FindBar.Closed)
    def _find_closed(self) -> None:
        self._reading.end_search()
