"""Whatever a text holds, what widgets and dialogs paint holds no character that a terminal would act on."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from textual.app import App, ComposeResult
from textual.containers import Horizontal
from textual.pilot import Pilot
from textual.screen import Screen

from tests.e2e.hostile import PAYLOADS, PLACES, is_forbidden
from tui.chat.ui import Answer
from tui.conversation import ASSISTANT, USER, Conversation, Generation, Status, Turn
from tui.engine.base import LoadRequest, MemoryReading, ModelInfo, Progress
from tui.engine.hub.downloads import Downloads
from tui.engine.hub.hub import Hub
from tui.screens.ask import Ask, AskText
from tui.screens.export_dialog import ExportDialog
from tui.screens.models.load_options import LoadOptions
from tui.screens.models.memory_view import MemoryView
from tui.screens.models.picker import ModelDesk, ModelPicker
from tui.screens.models.rows import FreeMemory
from tui.screens.path_dialog import PathDialog
from tui.screens.picker import Entry, Picker
from tui.screens.presenting import Presenter
from tui.screens.session_list import SessionList
from tui.screens.session_rows import chat_row, hit_row
from tui.screens.tree_view import TreeView
from tui.screens.turn_details import TurnDetails, facts
from tui.sessions import SearchHit, SessionStore, SessionSummary
from tui.sessions.writer import SessionWriter
from tui.settings.state import AppState
from tui.widgets.sidebar import Sidebar
from tui.widgets.status_bar import ModelState, StatusBar, StatusValues
from tui.widgets.transcript import Transcript
from tui.widgets.waiting_message import WaitingMessage

HOSTILE = st.sampled_from([payload.raw for payload in PAYLOADS])
CONTROLS = st.text(st.characters(categories=["Cc", "Cf", "Cs", "Zl", "Zp"]), max_size=8)
WORDS = st.text(max_size=20)
TEXTS = st.lists(HOSTILE | CONTROLS | WORDS, min_size=1, max_size=6).map("".join)
WRITTEN = st.sampled_from(list(PLACES.values()))


def forbidden(text: str) -> set[str]:
    """Characters of a painted row that are no plain text."""
    return {character for character in text if is_forbidden(character)}


def painted(app: App[Any]) -> set[str]:
    strips = app.screen._compositor.render_strips()
    return forbidden("".join(segment.text for strip in strips for segment in strip))


def made_chat(text: str, markdown: str) -> Conversation:
    made = Generation(text, text, text, {text: text, "temperature": text})
    turns = [
        Turn("1", None, USER, text, 1.0),
        Turn("2", "1", ASSISTANT, markdown, 2.0, markdown, Status.FAILED, text, "1", made),
        Turn("3", "1", text or "tool", text, 3.0, origin="gone"),
        Turn("4", "2", USER, markdown, 4.0, error=text, status=Status.STOPPED),
    ]
    return Conversation(
        title=text, turns={turn.id: turn for turn in turns}, settings={"model_id": text}
    )


class Wall(App[None]):
    """Hangs every widget that shows foreign text side by side."""

    def compose(self) -> ComposeResult:
        with Horizontal():
            yield Transcript()
            yield Sidebar(system_prompt=self.title)
        yield WaitingMessage()
        yield StatusBar()


async def hang(app: Wall, pilot: Pilot[None], text: str, chat: Conversation, cut: int) -> None:
    """Show a text in every widget, the last turn of the chat as a stream in two pieces."""
    transcript = app.query_one(Transcript)
    *shown, last = Presenter().turns(chat)
    transcript.show(shown)
    begun = type(last)("live", ASSISTANT, last.text[:cut], status=Status.STREAMING)
    transcript.append(begun)
    transcript.stream("live", text=last.text[cut:], reasoning=last.text)
    info = ModelInfo(text, text, text, text, quantization_locked=text)
    sidebar = app.query_one(Sidebar)
    sidebar.show_model(text, info)
    sidebar.show_system_prompt(text)
    memory = MemoryReading(text, text, 1, 2, 1)
    app.query_one(StatusBar).values = StatusValues(
        ModelState.LOADING, text, text, Progress(text, 1, 2, text), memory
    )
    app.query_one(WaitingMessage).show(text)
    await pilot.pause()


def dialogs(text: str, chat: Conversation, sessions: SessionWriter) -> Iterator[Screen[Any]]:
    yield Ask(text, text, [Answer("a", text), Answer("b", text)])
    yield AskText(text, text, note=text)
    yield TreeView(chat)
    for turn in chat.turns.values():
        yield TurnDetails(turn, chat, text, text)
    hub = Hub("http://127.0.0.1:9")
    state = AppState(favorites=(text,), model_folders=(text,))
    desk = ModelDesk(
        hub, Downloads(lambda: hub), state, lambda: FreeMemory(text, text, 1), lambda _state: None
    )
    yield ModelPicker(desk, message=text, current=text)
    yield LoadOptions(
        LoadRequest(text, revision=text, adapter=text), None, FreeMemory(text, text, 1)
    )
    reading = MemoryReading(text, text, 1, 2, 1)
    yield MemoryView(lambda: reading, ModelInfo(text, text, text, text, parameters=1))
    yield ExportDialog([("a", text, "md")], Path(f"/{text}".replace("\0", "")))
    yield SessionList(sessions)
    entries = [Entry("a", text, text, is_current=True, columns=(text,), preview=text)]
    yield Picker(text, entries)
    yield PathDialog(text, text, accept="attach", note=text)


async def look(text: str, chat: Conversation, cut: int) -> None:
    app = Wall()
    with TemporaryDirectory() as folder:
        store = SessionStore(Path(folder) / "chats", Path(folder) / "index")
        sessions = SessionWriter(store)
        store.save(chat)
        async with app.run_test(size=(140, 60)) as pilot:
            await hang(app, pilot, text, chat, cut)
            assert painted(app) == set()
        # Apart from the widgets: each kind of dialog brings rules of its own, by which all that is there is styled once more.
        empty: App[None] = App()
        async with empty.run_test(size=(140, 60)) as pilot:
            for dialog in dialogs(text, chat, sessions):
                await empty.push_screen(dialog)
                await pilot.pause()
                assert painted(empty) == set(), dialog
                empty.pop_screen()
        sessions.close(5.0)


# Each example paints a dozen screens: searching for a smaller one that fails would take minutes.
@settings(max_examples=3, deadline=None, phases=(Phase.reuse, Phase.generate))
@given(TEXTS, WRITTEN, st.lists(TEXTS, min_size=1, max_size=5), st.integers(0, 60))
def test_nothing_but_text_is_painted(text, place, texts, cut):
    asyncio.run(look(text, made_chat(text, place.write(texts)), cut))


@settings(max_examples=200, deadline=None)
@given(TEXTS, TEXTS, st.integers(0, 20))
def test_the_rows_of_the_list_of_chats_hold_nothing_but_text(text, other, start):
    summary = SessionSummary("1", text, text, 1.0, 1.0, 1, other, tags=(text, other))
    broken = SessionSummary("1", text, problem=other)
    hit = SearchHit("1", "2", text, other, ((start, start + 3),), 1.0)
    rows = [chat_row(summary, 60, is_current=True), chat_row(broken, 60, is_current=False)]
    rows += [hit_row(hit, is_old=False), hit_row(hit, is_old=True)]
    for row in rows:
        assert forbidden(row.plain) <= {"\n"}
        assert row.plain.count("\n") == 1


@settings(max_examples=200, deadline=None)
@given(TEXTS, TEXTS)
def test_what_is_known_of_a_turn_holds_nothing_but_text(text, other):
    chat = made_chat(text, other)
    for turn in chat.turns.values():
        for fact in facts(turn, chat):
            assert forbidden(fact.name) == set()
            assert forbidden(fact.value) <= {"\n", "\t"}
