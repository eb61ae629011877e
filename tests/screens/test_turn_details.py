from __future__ import annotations

from dataclasses import replace

import pytest

from tests.screens.host import Host, screen_text, until
from tui.conversation import Conversation, Generation, ReplyStats, Status
from tui.screens.turn_details import NO_PROMPT, SPECIAL_TOKEN, TurnDetails, facts

GENERATION = Generation(
    model="org/some-model",
    name="Some Model",
    quantization="4bit",
    parameters={"temperature": 0.7, "min_p": None, "seed": 4711, "strange\x1b": 1},
    stats=ReplyStats(
        512, 480, new_tokens=88, reasoning_tokens=20, ttft_s=0.31, decode_s=8.7, reasoning_s=1.5
    ),
)
PROMPT = "<|im_start|>user\nWhy?<|im_end|>\n<|im_start|>assistant\n"


@pytest.fixture
def chat():
    made = Conversation().add_user("Why?")
    made = made.begin_reply(made.path[0].id, GENERATION)
    return made.finish(
        made.path[-1].id, Status.TRUNCATED, text="Be[b]cause\x1b[2J", reasoning="Hm."
    )


def test_all_that_is_known_of_a_reply_is_told(chat):
    known = {fact.name: fact.value for fact in facts(chat.path[1], chat)}
    assert known["role"] == "assistant"
    assert known["status"].startswith("cut off")
    assert known["variant"] == "1 of 1"
    assert known["name"] == "Some Model"
    assert known["loaded as"] == "org/some-model"
    assert known["quantization"] == "4bit"
    assert (known["Temperature"], known["Min-p"], known["Seed"]) == ("0.7", "off", "4711")
    assert known["prompt"] == "512 tokens: 480 reused, 32 read"
    assert known["reply"] == "88 tokens"
    assert known["first token after"] == "0.31 s"
    assert known["decoding"] == "8.70 s, 10.0 tokens/s"
    assert known["reasoning"] == "20 tokens, 1.50 s"
    assert not any("\x1b" in fact.name + fact.value for fact in facts(chat.path[1], chat))


def test_what_the_cache_and_the_drafts_did_is_told(chat):
    stats = ReplyStats(
        512, 300, dropped_tokens=40, rewritten_tokens=38, new_tokens=88, drafted_tokens=50,
        accepted_tokens=40, prefill_s=0.5,
    )  # fmt: skip
    turn = replace(chat.path[1], generation=replace(GENERATION, stats=stats))
    known = {fact.name: fact.value for fact in facts(turn, chat)}
    assert known["prompt"] == "512 tokens: 300 reused, 212 read, 40 dropped"
    assert "chat template" in known["read again because"]
    assert "38 tokens" in known["read again because"]
    assert known["reading the prompt"] == "0.50 s, 424 tokens/s"
    assert known["drafted"] == "50 tokens, 40 of them accepted (80%)"


def test_where_an_edited_turn_comes_from_is_told(chat):
    edited = chat.edit(chat.path[0].id, "Why not?")
    known = {fact.name: fact.value for fact in facts(edited.path[0], edited)}
    assert known["origin"] == "edited from “Why?”"
    assert known["variant"] == "2 of 2"
    orphan = replace(edited.path[0], origin="gone")
    told = {fact.name: fact.value for fact in facts(orphan, edited)}
    assert told["origin"] == "edited from a turn that has been deleted"


def test_special_tokens_are_known_by_their_looks():
    found = SPECIAL_TOKEN.findall("<s>[INST]hi <b>[/INST]<|eot|><｜User｜>")
    assert found == ["<s>", "[INST]", "[/INST]", "<|eot|>", "<｜User｜>"]


@pytest.mark.parametrize(("tabs", "shown"), [(1, PROMPT), (2, "Be[b]cause␛[2J"), (3, "Hm.")])
async def test_y_copies_the_tab_that_is_shown(chat, tabs, shown):
    copied = []
    app = Host(TurnDetails(chat.path[1], chat, PROMPT, copy=copied.append))
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.press(*["right"] * tabs, "y")
        await pilot.pause()
        assert copied == [shown]
        assert all(line in screen_text(pilot) for line in shown.splitlines())


async def test_the_facts_are_copied_as_lines(chat):
    copied = []
    app = Host(TurnDetails(chat.path[1], chat, copy=copied.append))
    async with app.run_test() as pilot:
        await pilot.press("y")
        assert "quantization: 4bit" in copied[0].splitlines()


async def test_a_prompt_that_is_not_known_can_be_given_later(chat):
    dialog = TurnDetails(chat.path[1], chat)
    app = Host(dialog)
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.press("right")
        await pilot.pause()
        assert NO_PROMPT in screen_text(pilot)
        dialog.set_prompt(PROMPT, "Made with the model that is loaded now.")
        await pilot.pause()
        assert "<|im_start|>assistant" in screen_text(pilot)
        assert "Made with the model" in screen_text(pilot)
        assert NO_PROMPT not in screen_text(pilot)


async def test_a_prompt_may_come_before_the_dialog_is_up_or_after_it_is_gone(chat):
    dialog = TurnDetails(chat.path[1], chat)
    dialog.set_prompt(PROMPT)
    app = Host(dialog)
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.press("right")
        await pilot.pause()
        assert "<|im_end|>" in screen_text(pilot)
        await pilot.press("escape")
        await pilot.pause()
        dialog.set_prompt("late")
        await pilot.pause()
        assert app.result is None


async def test_copying_a_prompt_that_is_not_known_says_so(chat):
    copied = []
    app = Host(TurnDetails(chat.path[1], chat, copy=copied.append))
    async with app.run_test() as pilot:
        await pilot.press("right", "y")
        await pilot.pause()
        assert copied == []
        assert "nothing to copy here" in app.said[-1]


async def test_a_user_turn_has_no_prompt(chat):
    app = Host(TurnDetails(chat.path[0], chat, PROMPT))
    async with app.run_test() as pilot:
        assert "Prompt" not in screen_text(pilot)
        await pilot.press("right")
        await pilot.pause()
        assert "Why?" in screen_text(pilot)
        await pilot.press("escape")
        await pilot.pause()
        assert app.result is None


async def test_a_long_prompt_is_scrolled_by_key(chat):
    app = Host(TurnDetails(chat.path[1], chat, "start\n" * 5 + "middle\n" * 500 + "the end"))
    async with app.run_test(size=(60, 20)) as pilot:
        await pilot.press("right")
        await pilot.pause()
        assert "start" in screen_text(pilot)
        await pilot.press("end")
        await until(pilot, lambda: "the end" in screen_text(pilot))


def test_the_words_that_a_reply_was_given_to_begin_with_are_told(chat):
    made = replace(chat.path[1].generation, start_text="Well,")
    told = facts(replace(chat.path[1], generation=made), chat)
    assert "Well," in {fact.value for fact in told}


def test_a_reason_is_no_sentence_in_the_table():
    chat = Conversation().add_user("hi")
    chat = chat.begin_reply(chat.path[-1].id, Generation(model="m"))
    chat = chat.finish(chat.path[-1].id, Status.STOPPED, text="", error="you quit.")
    known = {fact.name: fact.value for fact in facts(chat.path[1], chat)}
    assert known["stopped because"] == "you quit"
