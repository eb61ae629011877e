"""The list that something is chosen from: columns, marks, and what an entry holds beside it."""

from __future__ import annotations

from typing import Any

import pytest
from textual.pilot import Pilot

from tests.screens.host import Host, screen_text, type_text, until
from tui.screens.library_entries import preset_entries, prompt_entries
from tui.screens.picker import Entry, Picker
from tui.settings.presets import Library, Preset
from tui.widgets.preview_pane import PreviewPane

ENTRIES = [
    Entry("a", "first", "the rest", columns=("small-model",), preview="All of the first."),
    Entry("b", "second one", "more", columns=("m",), preview="All of [b]the second[/b]."),
]


def columns(pilot: Pilot[Any], *words: str) -> list[int]:
    """Where each word begins on its line."""
    lines = screen_text(pilot).splitlines()
    return [next(line.index(word) for line in lines if word in line) for word in words]


async def test_the_columns_of_all_entries_stand_below_each_other():
    async with Host(Picker("Which?", ENTRIES)).run_test(size=(120, 40)) as pilot:
        await until(pilot, lambda: "small-model" in screen_text(pilot))
        assert len(set(columns(pilot, "small-model", "m  "))) == 1
        first, second = columns(pilot, "the rest", "more")
        assert first == second


async def test_what_an_entry_holds_stands_beside_the_list_and_is_no_markup():
    async with Host(Picker("Which?", ENTRIES)).run_test(size=(120, 40)) as pilot:
        await until(pilot, lambda: "All of the first." in screen_text(pilot))
        await pilot.press("down")
        await until(pilot, lambda: "All of [b]the second[/b]." in screen_text(pilot))


async def test_there_is_no_preview_where_there_is_no_room_or_nothing_to_show():
    async with Host(Picker("Which?", ENTRIES)).run_test(size=(80, 24)) as pilot:
        await until(pilot, lambda: "second one" in screen_text(pilot))
        assert "All of the first." not in screen_text(pilot)
    app = Host(Picker("Which?", [Entry("a", "first")]))
    async with app.run_test(size=(120, 40)) as pilot:
        await until(pilot, lambda: "first" in screen_text(pilot))
        assert not app.screen.query_one(PreviewPane).display


async def test_an_empty_list_offers_no_key_that_does_nothing():
    async with Host(Picker("Which?", [], empty="None yet.")).run_test(size=(80, 24)) as pilot:
        await until(pilot, lambda: "Esc Close" in screen_text(pilot))
        text = screen_text(pilot)
        assert "Enter" not in text
        assert "Move" not in text
        rows = [line.strip(" │") for line in text.splitlines()]
        assert rows[rows.index("None yet.") + 1] == ""
    async with Host(Picker("Which?", ENTRIES)).run_test(size=(80, 24)) as pilot:
        await until(pilot, lambda: "Enter Choose" in screen_text(pilot))
        await type_text(pilot, "zzz")
        await until(pilot, lambda: "Nothing matches." in screen_text(pilot))
        await until(pilot, lambda: "Enter Choose" not in screen_text(pilot))


async def test_words_are_found_in_what_an_entry_holds():
    app = Host(Picker("Which?", ENTRIES))
    async with app.run_test(size=(80, 24)) as pilot:
        await type_text(pilot, "second[")
        await until(pilot, lambda: "first" not in screen_text(pilot))
        await pilot.press("enter")
        await until(pilot, lambda: app.result == "b")


async def test_only_what_holds_now_is_marked():
    entries = [Entry("a", "first"), Entry("b", "second", is_current=True)]
    async with Host(Picker("Which?", entries)).run_test() as pilot:
        await until(pilot, lambda: "● second" in screen_text(pilot))
        assert "● first" not in screen_text(pilot)


@pytest.fixture
def library(tmp_path):
    made = Library(tmp_path / "presets", tmp_path / "prompts")
    parameters = {"temperature": 0.2, "top_k": 20}
    made.save_preset(Preset("careful", "org/model-1b", "int8", "Be careful.", parameters))
    made.save_preset(Preset("any"))
    made.save_prompt("french", "Answer in French.")
    return made


def test_presets_are_listed_with_model_temperature_and_prompt(library):
    any_model, careful = preset_entries(library, "careful")
    assert careful.columns == ("model-1b", "temp. 0.2")
    assert careful.detail == "Be careful."
    assert careful.is_current
    for line in ("Model         org/model-1b", "Quantization  int8", "Top-k         20"):
        assert line in careful.preview.splitlines()
    assert careful.preview.endswith("System prompt\nBe careful.")
    assert (any_model.columns, any_model.is_current) == (("any model", ""), False)


def test_prompts_are_listed_with_their_text(library):
    (french,) = prompt_entries(library)
    assert (french.title, french.preview) == ("french", "Answer in French.")


def test_a_preset_that_can_not_be_read_is_listed_and_says_why(library, tmp_path):
    (tmp_path / "presets" / "broken.toml").write_text("model = ")
    broken = preset_entries(library)[1]
    assert (broken.id, broken.columns) == ("broken", ("", ""))
    assert "not valid TOML" in broken.detail
