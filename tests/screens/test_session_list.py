from __future__ import annotations

import json
from dataclasses import replace

import pytest
from textual.widgets import Input, Label, Static

from tests.screens.host import OPEN, Host, screen_text, type_text, until
from tui.conversation import Conversation, Generation, Status
from tui.screens.ask import Ask, AskText
from tui.screens.dialog import PickList
from tui.screens.session_list import OpenChat, SessionList, split_tags
from tui.screens.session_preview import REST_S
from tui.screens.session_rows import chat_row, snippet
from tui.sessions import SearchHit, SessionStore, SessionSummary
from tui.sessions.writer import SessionWriter
from tui.widgets.preview_pane import PreviewPane


def chat(question: str, answer: str = "Well.", **fields: object) -> Conversation:
    made = Conversation(**fields).add_user(question)
    made = made.begin_reply(made.path[-1].id, Generation(model="org/some-model"))
    return made.finish(made.path[-1].id, Status.COMPLETE, text=answer)


@pytest.fixture
def store(tmp_path):
    return SessionStore(tmp_path / "chats")


@pytest.fixture
def chats(store):
    """Three chats, the newest first: tea, sky, bread."""
    made = {
        "bread": chat("How is bread baked?", "With flour and a lot of patience."),
        "sky": chat("Why is the sky blue?", "Short waves scatter more than long ones."),
        "tea": chat("How hot should tea be?", "Eighty degrees, and let no waves form."),
    }
    for day, (name, conversation) in enumerate(made.items()):
        store.save(replace(conversation, updated_at=1_700_000_000 + day * 86_400))
        if name != "tea":
            store.unlock(conversation.id)
    return {name: conversation.id for name, conversation in made.items()}


@pytest.fixture
def writer(store):
    made = SessionWriter(store)
    yield made
    made.close(5)


class Desk:
    """The dialog with the chat about tea open below it."""

    def __init__(self, writer, chats):
        self.changed: list[Conversation] = []
        self.left: list[str] = []
        self.dialog = SessionList(
            writer, chats["tea"], self.changed.append, lambda: self.left.append(chats["tea"])
        )
        self.app = Host(self.dialog)

    @property
    def options(self) -> PickList:
        return self.dialog.query_one("#chats", PickList)

    @property
    def ids(self) -> list[str | None]:
        return [option.id for option in self.options.options]

    @property
    def note(self) -> str:
        return str(self.dialog.query_one("#note", Label).render())

    @property
    def problem(self) -> str:
        return str(self.dialog.query_one("#problem", Label).render())

    async def choose(self, pilot, chat_id: str) -> None:
        await until(pilot, lambda: chat_id in self.ids)
        self.options.focus()
        self.options.highlighted = self.ids.index(chat_id)
        await pilot.pause()

    async def accept(self, pilot, text: str) -> None:
        await until(pilot, lambda: isinstance(self.app.screen, AskText))
        self.app.screen.query_one("#text", Input).value = text
        await pilot.press("enter")
        await pilot.pause()


@pytest.fixture
def desk(writer, chats):
    return Desk(writer, chats)


async def test_the_list_shows_the_newest_first_with_model_and_turns(desk, chats):
    async with desk.app.run_test(size=(80, 24)) as pilot:
        await until(pilot, lambda: len(desk.ids) == 3)
        assert desk.ids == [chats["tea"], chats["sky"], chats["bread"]]
        await pilot.pause()
        text = screen_text(pilot)
        assert "Why is the sky blue?" in text
        assert "2 turns · some-model" in text
        assert "3 chats" in text


async def test_enter_in_the_field_opens_the_first_chat_that_fits(desk, chats):
    async with desk.app.run_test() as pilot:
        await until(pilot, lambda: desk.ids)
        await type_text(pilot, "bre")
        await until(pilot, lambda: desk.ids[:1] == [chats["bread"]])
        await pilot.press("enter")
        await pilot.pause()
        assert desk.app.result == OpenChat(chats["bread"])


async def test_a_place_in_a_text_is_found_marked_and_opened_at_its_turn(desk, chats, store):
    async with desk.app.run_test() as pilot:
        await until(pilot, lambda: desk.ids)
        await type_text(pilot, "scatter")
        await until(pilot, lambda: desk.ids[:1] == ["heading"])
        row = desk.options.options[1].prompt
        marked = [
            row.plain[span.start : span.end] for span in row.spans if "bold" in str(span.style)
        ]
        assert marked == ["scatter"]
        await pilot.press("down", "enter")
        await pilot.pause()
        reply = store.load(chats["sky"], lock=False).conversation.path[1]
        assert desk.app.result == OpenChat(chats["sky"], reply.id)


async def test_places_found_for_earlier_words_cannot_be_opened(desk, writer):
    async with desk.app.run_test() as pilot:
        await until(pilot, lambda: desk.ids)
        await type_text(pilot, "waves")
        await until(pilot, lambda: "heading" in desk.ids)
        desk.dialog.query_one("#words", Input).value = "wavesx"
        await pilot.pause()
        assert all(option.disabled for option in desk.options.options)
        await pilot.press("enter")
        await pilot.pause()
        assert desk.app.result is OPEN
        await until(pilot, lambda: desk.ids == [])


async def test_escape_returns_nothing(desk):
    async with desk.app.run_test() as pilot:
        await pilot.press("escape")
        await pilot.pause()
        assert desk.app.result is None


async def test_a_click_highlights_and_a_double_click_opens(desk, chats):
    async with desk.app.run_test(size=(80, 24)) as pilot:
        await until(pilot, lambda: len(desk.ids) == 3)
        await pilot.pause()
        await pilot.click("#chats", offset=(5, 2))
        assert desk.ids[desk.options.highlighted] == chats["sky"]
        assert desk.app.result is OPEN
        await pilot.click("#chats", offset=(5, 4), times=2)
        await pilot.pause()
        assert desk.app.result == OpenChat(chats["bread"])


@pytest.mark.parametrize("key", ["f2", "ctrl+r"])
async def test_a_chat_is_renamed(desk, chats, store, key):
    async with desk.app.run_test() as pilot:
        await desk.choose(pilot, chats["sky"])
        await pilot.press(key)
        await desk.accept(pilot, "Heaven")
        await until(pilot, lambda: "Heaven" in screen_text(pilot))
        assert store.load(chats["sky"], lock=False).conversation.title == "Heaven"
        assert desk.changed == []
        assert desk.ids[desk.options.highlighted] == chats["sky"]


async def test_renaming_the_open_chat_hands_it_to_the_caller(desk, chats):
    async with desk.app.run_test() as pilot:
        await desk.choose(pilot, chats["tea"])
        await pilot.press("ctrl+r")
        await desk.accept(pilot, "Tea time")
        await until(pilot, lambda: desk.changed)
        assert [(one.id, one.title) for one in desk.changed] == [(chats["tea"], "Tea time")]


async def test_an_empty_title_is_refused(desk, chats):
    async with desk.app.run_test() as pilot:
        await desk.choose(pilot, chats["sky"])
        await pilot.press("ctrl+r")
        await desk.accept(pilot, "  ")
        assert isinstance(desk.app.screen, AskText)


async def test_a_rename_is_done_also_when_the_dialog_is_closed_at_once(desk, chats, store):
    async with desk.app.run_test() as pilot:
        await desk.choose(pilot, chats["tea"])
        await pilot.press("ctrl+r")
        await until(pilot, lambda: isinstance(desk.app.screen, AskText))
        desk.app.screen.query_one("#text", Input).value = "Late"
        await pilot.press("enter", "escape")
        await until(pilot, lambda: desk.app.result is None and desk.changed)
        assert store.load(chats["tea"], lock=False).conversation.title == "Late"


async def test_pinning_moves_a_chat_to_the_top_and_back(desk, chats):
    async with desk.app.run_test() as pilot:
        await desk.choose(pilot, chats["bread"])
        await pilot.press("ctrl+b")
        await until(pilot, lambda: desk.ids[0] == chats["bread"])
        assert desk.options.highlighted == 0
        await pilot.press("ctrl+b")
        await until(pilot, lambda: desk.ids[0] == chats["tea"])


async def test_tags_are_set_shown_and_found(desk, chats, store):
    async with desk.app.run_test(size=(80, 24)) as pilot:
        await desk.choose(pilot, chats["sky"])
        await pilot.press("ctrl+g")
        await desk.accept(pilot, "#physics, at work")
        await until(pilot, lambda: "#physics #at work" in screen_text(pilot))
        await pilot.press("ctrl+f")
        await type_text(pilot, "#phys")
        await until(pilot, lambda: chats["sky"] in desk.ids and chats["bread"] not in desk.ids)


async def test_a_duplicate_is_highlighted(desk, chats, store):
    async with desk.app.run_test() as pilot:
        await desk.choose(pilot, chats["sky"])
        await pilot.press("ctrl+d")
        await until(pilot, lambda: len(desk.ids) == 4)
        copy = desk.ids[desk.options.highlighted]
        assert copy not in chats.values()
        assert store.load(copy, lock=False).conversation.title == "Why is the sky blue? (copy)"


@pytest.mark.parametrize("key", ["f8", "ctrl+z"])
async def test_a_chat_goes_to_the_trash_and_comes_back_with_the_key_that_is_named(desk, chats, key):
    async with desk.app.run_test() as pilot:
        await desk.choose(pilot, chats["sky"])
        await pilot.press("delete")
        await until(pilot, lambda: len(desk.ids) == 2)
        assert desk.note.endswith("is in the trash. Press F8 to restore it.")
        assert desk.app.said == []
        await pilot.press(key)
        await until(pilot, lambda: chats["sky"] in desk.ids)
        assert desk.note.endswith("was restored.")


async def test_a_key_of_the_list_is_not_promised_when_the_list_is_closed(desk, chats, store):
    async with desk.app.run_test() as pilot:
        await desk.choose(pilot, chats["sky"])
        await pilot.press("delete", "escape")
        await until(pilot, store.trashed)
        await pilot.pause()
        assert not any("F8" in said for said in desk.app.said)


@pytest.mark.parametrize("prose", ["pad", "tea #1", "rude", "/Eu"])
async def test_what_is_typed_in_the_list_goes_on_in_the_field(desk, chats, store, prose):
    async with desk.app.run_test() as pilot:
        await desk.choose(pilot, chats["sky"])
        await type_text(pilot, prose)
        await pilot.pause()
        assert desk.dialog.query_one("#words", Input).value == prose
        assert desk.app.screen is desk.dialog
        assert len(store.list()) == 3
        assert store.trashed() == []
        await desk.choose(pilot, desk.ids[0]) if desk.ids else desk.options.focus()
        await pilot.press("backspace", "x")
        assert desk.dialog.query_one("#words", Input).value == f"{prose[:-1]}x"


async def test_the_acts_of_the_list_work_from_the_field_too(desk, chats, store):
    async with desk.app.run_test() as pilot:
        await until(pilot, lambda: desk.ids)
        await type_text(pilot, "bread")
        await until(pilot, lambda: desk.ids[:1] == [chats["bread"]])
        await pilot.press("ctrl+b")
        await until(pilot, lambda: any(one.pinned for one in store.list()))
        await pilot.press("ctrl+d")
        await until(pilot, lambda: len(store.list()) == 4)


async def test_the_open_chat_is_left_before_it_is_moved_to_the_trash(desk, chats, store):
    async with desk.app.run_test() as pilot:
        await desk.choose(pilot, chats["sky"])
        await pilot.press("delete")
        await until(pilot, lambda: len(desk.ids) == 2)
        assert not desk.left
        await desk.choose(pilot, chats["tea"])
        await pilot.press("delete")
        await until(pilot, lambda: desk.ids == [chats["bread"]])
        assert desk.left == [chats["tea"]]
        assert {one.id for one in store.trashed()} == {chats["tea"], chats["sky"]}


async def test_a_title_a_pin_and_tags_leave_a_chat_its_date(store, chats):
    before = {one.id: one.updated_at for one in store.list()}
    store.rename(chats["bread"], "Baking")
    store.set_tags(chats["bread"], ["food"])
    store.set_pinned(chats["bread"], True)
    store.set_pinned(chats["bread"], False)
    assert {one.id: one.updated_at for one in store.list()} == before


async def test_without_a_match_there_are_no_keys_for_one(desk, chats):
    async with desk.app.run_test(size=(120, 40)) as pilot:
        await until(pilot, lambda: "Enter Open" in screen_text(pilot))
        await type_text(pilot, "xyzzy")
        await until(pilot, lambda: desk.note == "No chats found.")
        assert "Enter Open" not in screen_text(pilot)
        assert "Esc Close" in screen_text(pilot)


def test_facts_that_do_not_fit_are_left_out_whole():
    summary = SessionSummary("id", title="Tea", model="org/some-model", turns=2, first_words="How hot should it be?")  # fmt: skip
    wide, narrow = (chat_row(summary, width, is_current=False).plain for width in (60, 30))
    assert wide.endswith("2 turns · some-model · How hot should it be?")
    assert narrow.endswith("2 turns · some-model")


async def test_the_trash_gives_back_and_is_emptied_after_asking(desk, chats, store):
    store.trash(chats["sky"])
    store.trash(chats["bread"])
    async with desk.app.run_test() as pilot:
        await desk.choose(pilot, chats["tea"])
        await pilot.press("ctrl+t")
        await desk.choose(pilot, chats["sky"])
        assert set(desk.ids) == {chats["sky"], chats["bread"]}
        await pilot.press("enter")
        await until(pilot, lambda: desk.ids == [chats["bread"]])
        await pilot.press("shift+delete")
        await until(pilot, lambda: isinstance(desk.app.screen, Ask))
        await pilot.press("k")
        await pilot.pause()
        assert len(store.trashed()) == 1
        await pilot.press("shift+delete")
        await until(pilot, lambda: isinstance(desk.app.screen, Ask))
        await pilot.press("right", "enter")
        await until(pilot, lambda: desk.ids == [])
        assert store.trashed() == []
        await pilot.press("escape")
        await until(pilot, lambda: set(desk.ids) == {chats["tea"], chats["sky"]})
        assert desk.app.result is OPEN


async def test_what_cannot_be_done_is_said_and_the_list_stays(desk, chats, store, tmp_path):
    other = SessionStore(tmp_path / "chats")
    other.load(chats["sky"])
    async with desk.app.run_test() as pilot:
        await desk.choose(pilot, chats["sky"])
        await pilot.press("ctrl+b")
        await until(pilot, lambda: "open in another window" in desk.problem)
        assert len(desk.ids) == 3
    other.close()


async def test_hostile_titles_and_damaged_files_are_shown_safely(desk, store, chats):
    evil = chat("x", title="[red]\x1b]0;title\x07 evil[/red] \u202eabc")
    store.save(evil)
    (store.folder / f"{'a' * 32}.json").write_text("{broken")
    async with desk.app.run_test(size=(98, 30)) as pilot:
        await until(pilot, lambda: len(desk.ids) == 5)
        await pilot.pause()
        text = screen_text(pilot)
        assert "[red]␛]0;title␇ evil[/red] ⟪RLO⟫abc" in text
        assert "! The file can't be read" in text


async def test_many_chats_are_filtered_without_new_rows(writer, store):
    for number in range(150):
        made = chat(f"Question {number}")
        store.folder.mkdir(parents=True, exist_ok=True)
        document = {"chat_history": [{"role": "user", "content": f"Question {number}"}]}
        (store.folder / f"{made.id}.json").write_text(json.dumps(document))
    dialog = SessionList(writer)
    app = Host(dialog)
    async with app.run_test() as pilot:
        options = dialog.query_one("#chats", PickList)
        await until(pilot, lambda: options.option_count == 150)
        rows = set(map(id, options.options))
        await type_text(pilot, "14")
        await until(pilot, lambda: "by title" in str(dialog.query_one("#note").render()))
        chat_rows = [option for option in options.options if len(option.id or "") == 32]
        assert len(chat_rows) == 12
        assert {id(option) for option in chat_rows} <= rows


def test_a_snippet_begins_shortly_before_its_first_match():
    words = "many words that stand in front of what was looked for "
    hit = SearchHit("id", "turn", "t", words + "needle and more", ((54, 60),))
    text, matches = snippet(hit)
    assert text == "…of what was looked for needle and more"
    assert [text[start:end] for start, end in matches] == ["needle"]


def test_tags_are_separated_by_commas_or_hashes():
    assert split_tags(" #a, b c #d,,") == ["a", "b c", "d"]


async def test_a_list_that_is_read_while_the_dialog_closes_does_no_harm(desk):
    async with desk.app.run_test(size=(80, 24)) as pilot:
        await until(pilot, lambda: len(desk.ids) == 3)
        # A screen that is dismissed loses its widgets before it is gone itself.
        await desk.dialog.query_one("#chats").remove()
        await desk.dialog._reload()
        desk.dialog._say("too late")
        await pilot.pause()
        assert pilot.app.is_running


def preview_of(desk) -> str:
    pane = desk.dialog.query_one(PreviewPane)
    return str(pane.query_one(Static).render()) if pane.display else ""


async def test_what_was_said_last_stands_beside_the_list_where_there_is_room(desk, chats):
    async with desk.app.run_test(size=(120, 40)) as pilot:
        await until(pilot, lambda: "Eighty degrees" in preview_of(desk))
        await desk.choose(pilot, chats["sky"])
        await until(pilot, lambda: "Short waves scatter" in preview_of(desk))
        assert "Eighty degrees" not in preview_of(desk)
        assert "Short waves scatter" in screen_text(pilot)


async def test_without_room_nothing_is_read_for_a_preview(desk, chats, store, monkeypatch):
    read: list[str] = []
    monkeypatch.setattr(store, "load", lambda chat_id, **_: read.append(chat_id))
    async with desk.app.run_test(size=(80, 24)) as pilot:
        await desk.choose(pilot, chats["sky"])
        await pilot.pause(REST_S * 2)
        assert (preview_of(desk), read) == ("", [])


async def test_a_place_that_was_found_is_shown_with_the_turn_before_it(desk):
    async with desk.app.run_test(size=(120, 40)) as pilot:
        await until(pilot, lambda: desk.ids)
        await type_text(pilot, "patience")
        await until(pilot, lambda: "hit-0" in desk.ids)
        await until(pilot, lambda: "a lot of patience" in preview_of(desk))
        assert preview_of(desk).startswith("You\nHow is bread baked?")


async def test_a_preview_does_not_take_the_chat_for_this_window(desk, chats, store, tmp_path):
    async with desk.app.run_test(size=(120, 40)) as pilot:
        await desk.choose(pilot, chats["sky"])
        await until(pilot, lambda: "Short waves" in preview_of(desk))
        other = SessionStore(tmp_path / "chats")
        assert not other.load(chats["sky"]).read_only
        other.close()


async def test_the_dialog_is_as_tall_as_its_chats_and_stays_so_while_one_types(desk, chats):
    async with desk.app.run_test(size=(98, 50)) as pilot:
        await until(pilot, lambda: len(desk.ids) == 3)
        await pilot.pause()
        frame = desk.dialog.query_one("#dialog")
        height = frame.size.height
        assert height < 25
        await type_text(pilot, "bread")
        # What is found in the texts may stand in the list already.
        await until(pilot, lambda: chats["sky"] not in desk.ids)
        await pilot.pause()
        assert frame.size.height == height
