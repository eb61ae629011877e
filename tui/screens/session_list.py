"""The dialog of the saved chats: find a chat by its title or text, open it, and organize the chats.

All file access is the writer's, on its thread. This dialog shows the writer's latest answer.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Container, Sequence
from typing import ClassVar, Final

from textual import events, on, work
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Horizontal, Vertical
from textual.content import Content
from textual.widgets import Input, Label
from textual.widgets.option_list import Option

from tui.chat.ui import Answer
from tui.conversation import Conversation
from tui.dataclass import dataclass
from tui.sanitize import sanitize, sanitize_line
from tui.scopes import Scope
from tui.screens.ask import Ask, AskText
from tui.screens.dialog import Finder, KeyHints, PickList, show_problem
from tui.screens.session_keys import hints
from tui.screens.session_options import SessionOptions, hit_of, hit_options
from tui.screens.session_preview import Previews
from tui.sessions import SearchHit, SessionError, SessionStore, SessionSummary
from tui.sessions.writer import SessionWriter
from tui.widgets.bindings import bindings, key_name
from tui.widgets.line_input import LineInput
from tui.widgets.preview_pane import PreviewPane

SEARCH_AFTER_S: Final = 0.15
"""How long typing has to pause before the texts are searched, in seconds."""

_ROW_LINES: Final = 2
_ROW_AROUND: Final = 3
"""Cells beside a row: its padding and the scrollbar."""
_LEAST: Final = 8
_LEAST_BESIDE: Final = 14
"""The least height of the list in lines, without and with the preview."""
_AROUND: Final = 14
_AROUND_SHORT: Final = 8
"""Lines of the screen that the dialog leaves free, or needs for everything but the list; the second value is for a low screen."""
_EMPTY_TITLE: Final = "Type a title, or press Esc to keep the old one."


@dataclass(frozen=True, slots=True)
class OpenChat:
    """The chat to open, and the turn to show; without a turn, the chat opens where it was left."""

    chat_id: str
    turn_id: str = ""


class SessionList(Finder[OpenChat]):
    """Returns the chat to open, or None."""

    PLACE = Scope.CHATS
    BINDINGS: ClassVar[list[BindingType]] = bindings(Scope.FINDER, Scope.CHATS)
    CSS = """
    SessionList {
        & > #dialog { width: 84; height: auto; }
        &.-broad > #dialog { width: 140; }
        & #body { height: 8; margin: 1 0; }
        &.-tall #words { margin-top: 1; }
        &.-short #body { margin: 0; }
        & PickList { width: 1fr; height: 1fr; }
        & PreviewPane { display: none; }
        &.-broad PreviewPane { display: block; visibility: hidden; }
        &.-broad PreviewPane.-filled { visibility: visible; }
        & KeyHints { margin-top: 1; }
        &.-short KeyHints { margin-top: 0; }
    }
    """

    def __init__(
        self,
        sessions: SessionWriter,
        current: str = "",
        on_current_changed: Callable[[Conversation], None] | None = None,
        leave_current: Callable[[], object] | None = None,
        drafts: Container[str] = (),
    ) -> None:
        """Create the dialog.

        Args:
            sessions: accesses the files.
            current: the ID of the open chat.
            on_current_changed: called with that chat when its title, pin or tags were changed here, also if that happens
                after the dialog was closed.
            leave_current: opens another chat, so that the open one can be moved to the trash.
            drafts: the IDs of the chats that hold a draft.
        """
        super().__init__()
        self._sessions = sessions
        self._current = current
        self._on_current_changed = on_current_changed
        self._leave_current = leave_current
        self._chats: dict[str, SessionSummary] = {}
        self._trashed: dict[str, SessionSummary] = {}
        self._options = SessionOptions(current, drafts)
        self._hits: Sequence[SearchHit] = ()
        self._hits_for = ""
        self._in_trash = False
        self._is_loaded = False
        self._undo: list[str] = []
        self._told = ""
        """What was done last, shown instead of the count until something else is done."""
        self._previews = Previews(sessions, self._show_preview)

    def compose(self) -> ComposeResult:
        """Lay out the field, the list and the keys."""
        with Vertical(id="dialog"):
            yield Label("Chats", classes="title", id="title")
            yield LineInput(
                placeholder="Find a title, or words in any chat",
                compact=True,
                id="words",
                select_on_focus=False,
            )
            with Horizontal(id="body"):
                yield PickList(id="chats")
                yield PreviewPane(id="preview")
            yield Label("", id="problem", classes="problem -none", markup=False)
            yield Label("Reading the chats…", id="note", classes="note", markup=False)
            yield KeyHints(id="keys")

    def on_mount(self) -> None:
        """Start reading the list."""
        self._show_keys()
        self.app.run_worker(self._reload())

    # -- work on the files; it continues after the dialog is closed

    async def _reload(self, select: str | None = None) -> None:
        try:
            chats = await self._sessions.do(SessionStore.list)
            trashed = await self._sessions.do(SessionStore.trashed) if self._in_trash else []
        except SessionError as error:
            self._say(str(error))
            return
        if not self._is_open:
            return
        self._chats = {summary.id: summary for summary in chats}
        self._trashed = {summary.id: summary for summary in trashed}
        self._is_loaded = True
        self._show(select)

    def _change(
        self,
        chat_id: str,
        work: Callable[[SessionStore], object],
        done: str = "",
        select: str | None = None,
    ) -> None:
        """Change one chat, then show the updated list.

        Args:
            work: the change; if it returns a string and `select` is None, that is the ID of the chat to highlight.
            done: the message for the user.
        """

        async def change() -> None:
            try:
                result = await self._sessions.do(work)
            except SessionError as error:
                self._say(str(error))
                await self._reload()
                return
            tell = self._on_current_changed if chat_id == self._current else None
            if tell is not None and isinstance(result, Conversation):
                tell(result)
            self._say("")
            self._told = ""
            if done:
                self._tell(done)
            made = result if isinstance(result, str) else None
            await self._reload(select or made)

        self.app.run_worker(change())

    @property
    def _is_open(self) -> bool:
        """Whether the dialog still has its widgets. A dialog that is closing loses them first."""
        return self.is_running and bool(self.query("#chats"))

    def _tell(self, done: str) -> None:
        """Report what was done: in the dialog while it is open, because its keys may undo it."""
        if self._is_open:
            self._told = done
        else:
            self.app.notify(sanitize(done), markup=False)

    def _say(self, problem: str) -> None:
        if self._is_open:
            show_problem(self, problem)
        elif problem:
            self.app.notify(sanitize(problem), severity="error", markup=False)

    # -- display

    @property
    def _words(self) -> str:
        return self.query_one("#words", Input).value

    def _show(self, select: str | None = None) -> None:
        """Show the matching chats. Highlight the option `select`, else the previous one, else the first."""
        options = self.query_one("#chats", PickList)
        highlighted = options.highlighted_option
        wanted = select or (highlighted.id if highlighted else None)
        before = options.highlighted
        rows = self._chat_options()
        count = len(rows)
        rows += self._hit_options()
        options.set_options(rows)
        places = [row.id for row in rows]
        if wanted in places and not rows[places.index(wanted)].disabled:
            options.highlighted = places.index(wanted)
        elif before is not None and count:
            options.highlighted = min(before, count - 1)
        else:
            options.action_first()
        self._show_count(count)
        self._show_keys()
        self._make_room()
        if not rows:
            self._look(None)

    def _make_room(self) -> None:
        """Fit the height to the number of chats, within the screen. Filtering doesn't change it."""
        if self._words.strip() or not self._is_loaded:
            return
        count = len(self._trashed if self._in_trash else self._chats)
        beside = max(_LEAST_BESIDE, self.size.height // 3)
        least = beside if self.has_class("-broad") else _LEAST
        most = self.size.height - (_AROUND_SHORT if self.has_class("-short") else _AROUND)
        lines = max(least, _ROW_LINES * count)
        is_plain = self.app.has_class("-plain")
        self.query_one("#body").styles.height = "1fr" if is_plain else max(3, min(lines, most))

    def on_resize(self, _event: events.Resize) -> None:
        """Keep within the screen, and show the preview if there is room now."""
        self.call_after_refresh(self._resized)

    def _resized(self) -> None:
        if not self._is_open:
            return
        self._make_room()
        if self._is_loaded:
            # The rows depend on the width.
            self._show()
        if option := self.query_one("#chats", PickList).highlighted_option:
            self._look(option.id)

    # -- the preview

    def _show_preview(self, text: Content) -> None:
        if self._is_open:
            pane = self.query_one(PreviewPane)
            pane.set_class(bool(text.plain), "-filled")
            pane.show(text, at_end=True)

    @on(PickList.OptionHighlighted)
    def _highlighted(self, event: PickList.OptionHighlighted) -> None:
        event.stop()
        self._look(event.option_id)

    @work(exclusive=True, group="preview")
    async def _look(self, option_id: str | None) -> None:
        """Show the preview of an option if there is room. The next call cancels this one."""
        if not self.has_class("-broad"):
            return
        hit = hit_of(self._hits, option_id) if option_id is not None else None
        chat_id = hit.session_id if hit is not None else option_id or ""
        turn_id = (hit.turn_id or "") if hit is not None else ""
        # Chats in the trash are not read. They are restored unchanged.
        known = None if self._in_trash else self._chats.get(chat_id)
        await self._previews.look(known, turn_id)

    def _chat_options(self) -> list[Option]:
        source = self._trashed if self._in_trash else self._chats
        titled = {hit.session_id for hit in self._fresh_hits() if hit.turn_id is None}
        width = self.query_one("#chats", PickList).outer_size.width - _ROW_AROUND
        return self._options.chats(source.values(), self._words, titled, width)

    def _fresh_hits(self) -> Sequence[SearchHit]:
        is_fresh = self._hits_for == self._words.strip() and not self._in_trash
        return self._hits if is_fresh else ()

    def _hit_options(self) -> list[Option]:
        if self._in_trash or not self._words.strip():
            return []
        is_old = self._hits_for != self._words.strip()
        return hit_options(self._hits, self._chats, is_old=is_old)

    def _show_count(self, count: int) -> None:
        if not self._is_loaded:
            return
        words = self._words.strip()
        what = "chat" if count == 1 else "chats"
        note = f"{count} {what} in the trash" if self._in_trash else f"{count} {what}"
        if words and not self._in_trash:
            found = sum(hit.turn_id is not None for hit in self._fresh_hits())
            places = f"{found} match{'' if found == 1 else 'es'} in the text"
            searched = self._hits_for == words
            if searched and not count and not found:
                note = "No chats found."
            elif not searched:
                note = f"{count} by title · searching the texts…"
            else:
                note = f"{count} by title · {places}"
        elif not count and not words:
            note = "The trash is empty." if self._in_trash else "There are no saved chats yet."
        if self._told:
            note = f"{self._told}{self._way_back() if self._undo and not self._in_trash else ''}"
        self.query_one("#note", Label).update(sanitize(note))

    def _show_keys(self) -> None:
        self.query_one("#title", Label).update("Trash" if self._in_trash else "Chats")
        in_list = isinstance(self.focused, PickList)
        keys = hints(
            in_list=in_list,
            in_trash=self._in_trash,
            can_undo=bool(self._undo),
            has_rows=bool(self.query_one("#chats", PickList).option_count),
            can_empty=bool(self._trashed),
        )
        self.query_one("#keys", KeyHints).show(keys)

    def on_descendant_focus(self, _event: events.DescendantFocus) -> None:
        """List the keys that are available now."""
        self._show_keys()

    # -- searching

    @on(Input.Changed)
    def _typed(self, event: Input.Changed) -> None:
        event.stop()
        self._told = ""
        options = self.query_one("#chats", PickList)
        options.highlighted = None
        self._show()
        self._search(event.value.strip())

    @work(exclusive=True, group="search")
    async def _search(self, words: str) -> None:
        """Search the texts when typing pauses. The next call cancels this one."""
        if words == self._hits_for or self._in_trash:
            return
        if words:
            await asyncio.sleep(SEARCH_AFTER_S)
        try:
            hits = await self._sessions.do(lambda store: store.search(words)) if words else []
        except SessionError as error:
            self._say(str(error))
            hits = []
        self._hits, self._hits_for = hits, words
        if self._is_open:
            self._show()

    # -- actions

    def _chosen(self) -> str | None:
        """The ID of the highlighted chat, or of the chat of the highlighted match."""
        option = self.query_one("#chats", PickList).highlighted_option
        if option is None or option.id is None:
            return None
        hit = hit_of(self._hits, option.id)
        return hit.session_id if hit is not None else option.id

    def action_open(self) -> None:
        """Open the highlighted chat or match; in the trash, restore the chat."""
        options = self.query_one("#chats", PickList)
        option = options.highlighted_option
        if option is None or option.id is None or option.disabled:
            return
        if self._in_trash:
            self._restore(option.id)
            return
        hit = hit_of(self._hits, option.id)
        if hit is not None:
            self.dismiss(OpenChat(hit.session_id, hit.turn_id or ""))
        else:
            self.dismiss(OpenChat(option.id))

    @work
    async def action_rename(self) -> None:
        """Ask for a new title."""
        chat_id = self._chosen()
        if chat_id is None:
            return
        if self._in_trash:
            self._restore(chat_id)
            return
        title = await self.app.push_screen_wait(
            AskText("Rename the chat", self._title(chat_id), check=_title_problem)
        )
        if title is not None:
            self._change(chat_id, lambda store: store.rename(chat_id, title))

    def action_pin(self) -> None:
        """Pin the chat to the top of the list, or unpin it."""
        chat_id = self._chosen()
        if chat_id is not None and not self._in_trash and chat_id in self._chats:
            pinned = not self._chats[chat_id].pinned
            self._change(
                chat_id,
                lambda store: store.set_pinned(chat_id, pinned),
                select=chat_id,
            )

    @work
    async def action_tag(self) -> None:
        """Ask for the chat's tags."""
        chat_id = self._chosen()
        if chat_id is None or self._in_trash or chat_id not in self._chats:
            return
        text = await self.app.push_screen_wait(
            AskText(
                "Tags of the chat",
                ", ".join(self._chats[chat_id].tags),
                note="Separate tags with commas. Leave the field empty to remove all tags.",
            )
        )
        if text is not None:
            tags = split_tags(text)
            self._change(chat_id, lambda store: store.set_tags(chat_id, tags))

    def action_duplicate(self) -> None:
        """Duplicate the chat."""
        chat_id = self._chosen()
        if chat_id is not None and not self._in_trash:
            done = f"Duplicated “{self._title(chat_id)}”."
            self._change(chat_id, lambda store: store.duplicate(chat_id), done)

    def action_trash(self) -> None:
        """Move the chat to the trash."""
        chat_id = self._chosen()
        if chat_id is None or self._in_trash:
            return
        title = self._title(chat_id)
        if chat_id == self._current and self._leave_current is not None:
            self._leave_current()
            self._current = ""
            self._options = SessionOptions(self._current)

        def trash(store: SessionStore) -> None:
            store.trash(chat_id)
            self._undo.append(chat_id)

        self._change(chat_id, trash, f"“{title}” is in the trash.")

    def _way_back(self) -> str:
        key = key_name(self.app, "chats.untrash")
        return f" Press {key} to restore it." if key else ""

    def action_untrash(self) -> None:
        """Restore the chat that was last moved to the trash."""
        if self._undo:
            self._restore(self._undo.pop())

    def _restore(self, chat_id: str) -> None:
        if chat_id in self._undo:
            self._undo.remove(chat_id)
        title = self._title(chat_id)
        done = f"“{title}” was restored." if title else "The chat was restored."
        self._change(chat_id, lambda store: store.restore(chat_id), done)

    def action_switch(self) -> None:
        """Switch between the chats and the trash."""
        self._in_trash = not self._in_trash
        self._is_loaded = False
        self._told = ""
        show_problem(self, "")
        self.query_one("#chats", PickList).clear_options()
        self._show_keys()
        self.app.run_worker(self._reload())
        self._search(self._words.strip())

    @work
    async def action_empty(self) -> None:
        """Delete everything in the trash permanently, after asking."""
        if not self._in_trash or not self._trashed:
            return
        asked = frozenset(self._trashed)
        count = len(asked)
        what = "The chat in it will be" if count == 1 else f"The {count} chats in it will be"
        answer = await self.app.push_screen_wait(
            Ask(
                "Empty the trash?",
                f"{what} permanently deleted. This can't be undone.",
                [
                    Answer("keep", "Keep", "k"),
                    Answer("delete", "Delete permanently", style="error"),
                ],
            )
        )
        if answer == "delete":
            self._undo.clear()
            # Another window may have added chats since, which the user was not asked about.
            done = "The chat was deleted." if count == 1 else f"{count} chats were deleted."
            self._change("", lambda store: store.empty_trash(asked), done)

    def action_close(self) -> None:
        """Leave the trash, or else close the dialog."""
        if self._in_trash:
            self.action_switch()
        else:
            self.dismiss(None)

    def _title(self, chat_id: str) -> str:
        known = self._chats.get(chat_id) or self._trashed.get(chat_id)
        return sanitize_line(known.title, 60) if known is not None else ""

    @on(Input.Submitted)
    def _entered(self, event: Input.Submitted) -> None:
        event.stop()
        self.action_open()

    @on(PickList.OptionSelected)
    def _picked(self, event: PickList.OptionSelected) -> None:
        event.stop()
        self.action_open()


def split_tags(text: str) -> list[str]:
    """Return the tags in a typed text, separated by commas or `#`."""
    return [tag.strip() for tag in re.split(r"[,#\n]", text) if tag.strip()]


def _title_problem(title: str) -> str | None:
    return None if title.strip() else _EMPTY_TITLE
