from __future__ import annotations

import pytest

from tui.chat import live_reply
from tui.chat.live_reply import LiveReply
from tui.conversation import Generation, ReplyStats, Status
from tui.engine.base import (
    Failed,
    FailureCause,
    Finished,
    PromptReady,
    ReasoningDelta,
    ReasoningFound,
    StopReason,
    TextDelta,
)


def reply(**fields: str) -> LiveReply:
    return LiveReply("turn", Generation("model", parameters={"temperature": 0.5}), **fields)


def test_deltas_gather_into_answer_and_reasoning():
    live = reply()
    for event in (ReasoningDelta("hm", 2), TextDelta("a", 1), TextDelta("b", 3)):
        live.take(event)
    assert (live.text, live.reasoning, live.new_tokens) == ("ab", "hm", 6)


def test_a_continued_reply_begins_with_what_the_turn_held():
    live = reply(start_text="once ")
    live.take(TextDelta("more"))
    assert live.text == "once more"


@pytest.mark.parametrize(
    ("reason", "status"),
    [
        (StopReason.END, Status.COMPLETE),
        (StopReason.LENGTH, Status.TRUNCATED),
        (StopReason.CANCELLED, Status.STOPPED),
    ],
)
def test_the_reason_it_ended_for_becomes_the_turns_status(reason, status):
    live = reply()
    live.take(Finished(ReplyStats(new_tokens=5), reason))
    assert live.ended
    assert live.status is status
    assert live.generation.stats.new_tokens == 5


def test_a_failure_keeps_text_message_and_hint():
    live = reply()
    live.take(TextDelta("half"))
    live.take(Failed("It broke.", "Mend it."))
    assert (live.status, live.text, live.error) == (Status.FAILED, "half", "It broke. Mend it.")
    assert live.generation.stats.new_tokens == 1


def test_the_parameters_in_force_are_noted_with_the_seed():
    live = reply()
    live.take(PromptReady(10, 4, {"temperature": 0.5, "seed": 7}))
    assert live.generation.parameters == {"temperature": 0.5, "seed": 7}
    assert live.context_tokens == 10


def test_unsaved_text_is_handed_out_once_and_not_too_often(monkeypatch):
    clock = iter(range(100))
    monkeypatch.setattr(live_reply.time, "monotonic", lambda: next(clock) * 0.01)
    live = reply()
    live.take(TextDelta("a"))
    assert live.take_unsaved() is None
    monkeypatch.setattr(live_reply.time, "monotonic", lambda: 1e9)
    live.take(ReasoningDelta("r"))
    assert live.take_unsaved() == ("a", "r")
    live.take(TextDelta("b"))
    assert live.take_unsaved() is None
    monkeypatch.setattr(live_reply.time, "monotonic", lambda: 1e9 + 1)
    assert live.take_unsaved() == ("b", "")


def test_reasoning_has_ended_when_the_answer_begins_and_each_time_it_goes_on():
    live = reply()
    ended = []
    for event in (
        ReasoningDelta("hm", 2), ReasoningDelta("ah", 2), TextDelta("a", 1), TextDelta("b", 1),
        ReasoningDelta("so", 1), TextDelta("c", 1),
    ):  # fmt: skip
        live.take(event)
        ended.append(live.reasoning_ended)
    assert ended == [False, False, True, False, False, True]


def test_text_without_reasoning_ends_none():
    live = reply()
    live.take(TextDelta("a", 1))
    assert not live.reasoning_ended


def test_a_reply_that_is_written_on_never_has_more_of_its_prompt_cached_than_there_is():
    first = Generation("model", stats=ReplyStats(91, 60, new_tokens=39))
    live = LiveReply("turn", first)
    live.take(PromptReady(131, 130))
    live.take(Finished(ReplyStats(131, 130, new_tokens=5), StopReason.END))
    stats = live.generation.stats
    assert (stats.prompt_tokens, stats.cached_tokens, stats.new_tokens) == (91, 60, 44)


@pytest.mark.parametrize(
    ("context", "limit", "said"),
    [(100, 10, "10 new tokens"), (30, 10, "context of 30 tokens"), (0, None, "")],
)
def test_which_limit_cut_a_reply_off_is_said_where_it_is_known(context, limit, said):
    made = Generation("model", parameters={"max_new_tokens": limit})
    live = LiveReply("turn", made, context_tokens_at_most=context)
    live.take(Finished(ReplyStats(20, new_tokens=10), StopReason.LENGTH))
    assert said in live.error
    assert bool(live.error) == bool(said)


def test_an_answer_that_was_reasoning_changes_sides_and_the_disk_has_what_the_model_wrote(
    monkeypatch,
):
    monkeypatch.setattr(live_reply, "CHECKPOINT_S", 0.0)
    live = reply(start_text="I ")
    live.take(TextDelta("look"))
    assert live.take_unsaved() == ("look", "")
    live.take(TextDelta(" at it."))
    live.take(ReasoningFound("I look at it.", "</think>"))
    assert (live.text, live.reasoning) == ("", "I look at it.")
    live.take(TextDelta("Yes."))
    assert (live.text, live.reasoning, live.new_tokens) == ("Yes.", "I look at it.", 4)
    assert live.reasoning_ended
    assert live.stats.reasoning_tokens == 3
    assert live.take_unsaved() == (" at it.\n</think>\n\nYes.", "")


@pytest.mark.parametrize(
    ("events", "status"),
    [([TextDelta("half")], Status.INTERRUPTED), ([], Status.FAILED)],
    ids=["after some words", "before the first"],
)
def test_a_server_that_is_lost_interrupts_what_it_had_begun(events, status):
    live = reply()
    for event in events:
        live.take(event)
    live.take(Failed("It is gone.", cause=FailureCause.CONNECTION))
    assert (live.status, live.error) == (status, "It is gone.")


def test_the_speed_is_taken_of_stretches_and_a_pause_takes_its_time(monkeypatch):
    now = [10.0]
    monkeypatch.setattr(live_reply.time, "monotonic", lambda: now[0])
    live = reply()
    for at, tokens in ((10.0, 1), (10.25, 5), (10.5, 5), (11.5, 4)):
        now[0] = at
        live.take(TextDelta("x", tokens))
    assert live.speeds == (20.0, 4.0, 4.0)
