from __future__ import annotations

import threading

from tests.chat.desk import Desk, desk
from tests.scripted import ScriptedEngine
from tui.chat.replies import ReplyOrder
from tui.conversation import Conversation, Status
from tui.conversation.context import OverflowPolicy
from tui.engine.base import (
    ContextOverflowError,
    FailureCause,
    GenerationError,
    LoadRequest,
    ModelLoadError,
    Overflow,
    PromptReady,
    StopReason,
    TextDelta,
)
from tui.sessions import Loaded


def held() -> threading.Event:
    return threading.Event()


def order(one: Desk, place: int, **how) -> ReplyOrder:
    chat = one.core.session.conversation
    return ReplyOrder(chat.id, chat.path[place].id, **how)


async def begun(one: Desk) -> None:
    await one.until(lambda: one.core.replies.live and one.core.replies.live.new_tokens)


async def test_a_message_is_on_the_disk_before_the_engine_is_asked(tmp_path):
    engine = ScriptedEngine()
    async with desk(tmp_path, engine) as one:
        await one.load()

        def look(_request):
            (file,) = (tmp_path / "chats").glob("*.json")
            assert "a question" in file.read_text()

        engine.on_generate = look
        await one.say("a question")
        assert one.texts == ["a question", "Hello there."]


async def test_a_message_that_is_sent_while_the_model_loads_is_answered_then(tmp_path):
    engine = ScriptedEngine(load_hold=held())
    async with desk(tmp_path, engine) as one:
        one.core.loader.load(LoadRequest("m"))
        one.send("early")
        assert one.core.replies.waits_for_model
        assert "once m is loaded" in one.person.told[0]
        engine.load_hold.set()
        await one.until(lambda: len(one.texts) == 2 and not one.core.replies.is_due)
        assert one.texts == ["early", "Hello there."]


async def test_a_message_whose_model_can_not_be_loaded_stays_without_a_reply(tmp_path):
    engine = ScriptedEngine(load_hold=held(), load_error=ModelLoadError("no"))
    async with desk(tmp_path, engine) as one:
        one.core.loader.load(LoadRequest("m"))
        one.send("early")
        engine.load_hold.set()
        await one.until(lambda: not one.core.replies.is_due)
        assert one.texts == ["early"]
        assert "No reply was generated" in one.person.told[-1]


async def test_stopping_keeps_what_was_said(tmp_path):
    engine = ScriptedEngine(["one two three"], hold=held())
    async with desk(tmp_path, engine) as one:
        await one.load()
        one.send("x")
        await begun(one)
        one.core.replies.stop()
        await one.until(lambda: not one.core.replies.is_due)
        last = one.core.session.conversation.path[-1]
        assert last.status is Status.STOPPED
        assert last.text.startswith("one")
        assert last.error == ""


async def test_a_reply_that_a_load_stops_says_so(tmp_path):
    engine = ScriptedEngine(["one two three"], hold=held())
    async with desk(tmp_path, engine) as one:
        await one.load()
        one.send("x")
        await begun(one)
        one.core.loader.load(LoadRequest("other"))
        await one.until(lambda: not one.core.replies.is_due and one.core.loader.ready)
        assert "another model was loaded" in one.core.session.conversation.path[-1].error


async def test_a_reply_that_is_stopped_before_the_engine_was_asked_is_never_made(tmp_path):
    async with desk(tmp_path) as one:
        await one.load()
        one.send("x")
        one.core.replies.stop()
        await one.until(lambda: not one.core.replies.is_due)
        assert one.engine.requests == []
        assert one.core.session.conversation.path[-1].status is Status.STOPPED


async def test_keeping_ends_a_reply_here_and_now(tmp_path):
    engine = ScriptedEngine(["one two three"], hold=held())
    async with desk(tmp_path, engine) as one:
        await one.load()
        one.send("x")
        await begun(one)
        one.core.replies.end_now("you quit.")
        assert one.core.replies.live is None
        kept = one.core.session.conversation.path[-1]
        assert (kept.status, kept.error) == (Status.STOPPED, "you quit.")
        assert kept.generation.stats.new_tokens
        await one.still()
        assert one.core.session.conversation.path[-1] == kept


async def test_what_is_said_comes_with_the_reply_that_has_taken_it(tmp_path):
    async with desk(tmp_path) as one:
        await one.load()
        said = []
        one.core.replies.said.listen(lambda said_: said.append((said_.reply.text, said_.event)))
        await one.say("x")
        texts = [text for text, event in said if isinstance(event, TextDelta)]
        assert texts[-1] == "Hello there."
        assert "".join(event.text for _, event in said if isinstance(event, TextDelta)) == texts[-1]


async def test_a_reply_by_another_model_goes_back_to_the_one_before(tmp_path):
    async with desk(tmp_path, ScriptedEngine(["first", "second"])) as one:
        await one.load("own")
        await one.say("x")
        model = one.core.settings.load_request("other")
        one.core.replies.begin(order(one, 0, model=model))
        await one.until(
            lambda: (
                one.core.loader.model == "own"
                and one.core.loader.ready
                and not one.core.replies.is_due
            )
        )
        assert [request.model for request in one.engine.load_requests] == ["own", "other", "own"]
        assert one.core.session.conversation.path[-1].generation.model == "other"
        assert one.texts == ["x", "second"]


async def test_another_model_that_can_not_be_loaded_leaves_the_chat_as_it_was(tmp_path):
    async with desk(tmp_path, ScriptedEngine(["first"])) as one:
        await one.load("own")
        await one.say("x")
        one.engine.load_error = ModelLoadError("no")
        one.core.replies.begin(order(one, 0, model=one.core.settings.load_request("other")))
        await one.until(lambda: not one.core.replies.is_due and not one.core.loader.loading)
        assert one.texts == ["x", "first"]
        assert one.core.loader.model == "own"


async def test_choosing_a_model_drops_the_reply_that_waits_for_another_one(tmp_path):
    async with desk(tmp_path, ScriptedEngine(["first"])) as one:
        await one.load("own")
        await one.say("x")
        one.engine.load_hold = held()
        one.core.replies.begin(order(one, 0, model=one.core.settings.load_request("other")))
        one.core.loader.load(LoadRequest("chosen"))
        one.engine.load_hold.set()
        await one.until(lambda: one.core.loader.ready)
        await one.still()
        assert one.texts == ["x", "first"]
        assert one.core.loader.model == "chosen"
        assert any("another model was chosen" in told for told in one.person.told)


async def test_a_reply_that_waits_does_not_begin_in_another_chat(tmp_path):
    engine = ScriptedEngine(load_hold=held())
    async with desk(tmp_path, engine) as one:
        one.core.loader.load(LoadRequest("m"))
        one.send("early")
        one.core.replies.leave_chat()
        one.core.session.open(Loaded(Conversation()))
        engine.load_hold.set()
        await one.until(lambda: one.core.loader.ready)
        await one.still()
        assert one.engine.requests == []
        assert one.texts == []


async def test_a_reply_to_a_turn_that_is_gone_is_not_begun(tmp_path):
    async with desk(tmp_path) as one:
        await one.load()
        one.core.replies.begin(ReplyOrder(one.core.session.conversation.id, "gone"))
        assert not one.core.replies.is_due
        assert "no longer exists" in one.person.told[-1]


async def test_without_a_model_or_during_a_reply_none_begins(tmp_path):
    engine = ScriptedEngine(["one two"], hold=held())
    async with desk(tmp_path, engine) as one:
        assert not one.core.replies.may_begin()
        await one.load()
        assert one.core.replies.may_begin()
        one.send("x")
        assert not one.core.replies.may_begin()
        engine.hold.set()


async def test_a_continued_reply_keeps_what_it_had_said(tmp_path):
    engine = ScriptedEngine([["one "], "two"])
    engine.replies = [[TextDelta("one "), StopReason.LENGTH], "two"]
    async with desk(tmp_path, ScriptedEngine(["one", " two"])) as one:
        await one.load()
        await one.say("x")
        last = one.core.session.conversation.path[-1]
        one.core.replies.begin(ReplyOrder(one.core.session.conversation.id, continues=last.id))
        await one.until(lambda: not one.core.replies.is_due)
        assert one.texts == ["x", "one two"]
        assert one.core.session.conversation.path[-1].generation.continued
        assert one.engine.requests[-1].continue_last


async def test_what_was_done_for_the_model_s_sake_is_said_once_for_each_chat(tmp_path):
    noted = [PromptReady(5, notes=("Said once.",)), TextDelta("Yes")]
    async with desk(tmp_path, ScriptedEngine([noted])) as one:
        await one.load()
        await one.say("x")
        await one.say("y")
        assert one.person.told.count("Said once.") == 1
        one.core.session.open(Loaded(Conversation()))
        await one.say("z")
        assert one.person.told.count("Said once.") == 2


def too_long(*costs: int) -> ContextOverflowError:
    return ContextOverflowError(Overflow(sum(costs) + 10, 40, costs))


async def test_a_chat_that_is_too_long_goes_on_with_less_of_it(tmp_path):
    engine = ScriptedEngine(["a", "b", too_long(10, 10, 10, 10, 10), "c"])
    async with desk(tmp_path, engine) as one:
        one.core.settings.set_overflow(OverflowPolicy.DROP_OLDEST)
        await one.load()
        for text in ("1", "2", "3"):
            await one.say(text)
        assert one.texts == ["1", "a", "2", "b", "3", "c"]
        assert one.core.session.conversation.unseen
        assert len(one.engine.requests[-1].messages) < 5


async def test_a_person_who_wants_nothing_left_out_keeps_the_chat_as_it_is(tmp_path):
    engine = ScriptedEngine(["a", too_long(10, 10, 10)])
    async with desk(tmp_path, engine) as one:
        one.person.answers = ["cancel"]
        await one.load()
        await one.say("1")
        one.send("2")
        await one.until(lambda: one.person.asked)
        await one.still()
        assert one.texts == ["1", "a", "2"]
        assert not one.core.session.conversation.unseen


async def test_the_oldest_turns_are_summarized_where_that_is_wanted(tmp_path):
    engine = ScriptedEngine(["a", "b", too_long(10, 10, 10, 10, 10), "they", "they spoke", "c"])
    async with desk(tmp_path, engine) as one:
        one.person.answers = [OverflowPolicy.SUMMARIZE]
        await one.load()
        for text in ("1", "2", "3"):
            await one.say(text)
        await one.still()
        assert one.core.session.conversation.summary == "they spoke"
        assert one.texts[-1] == "c"


async def test_a_reply_for_which_memory_ran_out_is_made_again_with_less_of_the_chat(tmp_path):
    failure = GenerationError("no memory", cause=FailureCause.MEMORY)
    async with desk(tmp_path, ScriptedEngine(["a", failure, "b"])) as one:
        one.person.answers = ["shorter"]
        await one.load()
        await one.say("1")
        one.send("2")
        await one.until(lambda: one.person.asked)
        await one.still()
        assert one.texts == ["1", "a", "2", "b"]
        assert one.core.session.conversation.unseen


async def test_a_failure_that_takes_the_model_along_is_noted(tmp_path):
    failure = GenerationError("the device is gone")
    failure.keeps_model = False
    async with desk(tmp_path, ScriptedEngine([failure])) as one:
        await one.load()
        await one.say("1")
        assert one.core.session.conversation.path[-1].status is Status.FAILED


async def test_a_reply_by_another_model_for_which_memory_ran_out_is_made_again_by_that_one(
    tmp_path,
):
    failure = GenerationError("no memory", cause=FailureCause.MEMORY)
    async with desk(tmp_path, ScriptedEngine(["a", "b", failure, "c"])) as one:
        one.person.answers = ["shorter"]
        await one.load("own")
        await one.say("1")
        await one.say("2")
        one.core.replies.begin(order(one, 2, model=one.core.settings.load_request("other")))
        await one.until(lambda: one.person.asked)
        assert one.core.loader.model == "other"
        await one.still()
        await one.until(lambda: one.core.loader.model == "own" and one.core.loader.ready)
        assert one.core.session.conversation.path[-1].generation.model == "other"
        assert one.texts[-1] == "c"


async def test_leaving_that_is_taken_back_leaves_no_reply_behind_that_never_ends(tmp_path):
    engine = ScriptedEngine(load_hold=held())
    async with desk(tmp_path, engine) as one:
        one.core.loader.load(LoadRequest("m"))
        one.send("early")
        one.core.replies.is_leaving = True
        engine.load_hold.set()
        await one.until(lambda: one.core.loader.ready)
        await one.still()
        one.core.replies.is_leaving = False
        assert not one.core.replies.is_due
        assert one.texts == ["early"]
        await one.say("later")
        assert one.texts[-1] == "Hello there."


async def test_leaving_while_a_reply_is_put_on_the_disk_ends_it(tmp_path):
    async with desk(tmp_path) as one:
        await one.load()
        one.send("x")
        one.core.replies.is_leaving = True
        await one.until(lambda: not one.core.replies.is_due)
        assert one.engine.requests == []
        assert one.core.session.conversation.path[-1].status is Status.INTERRUPTED


async def test_a_chat_that_goes_on_as_a_copy_is_still_the_one_that_a_reply_waits_in(tmp_path):
    engine = ScriptedEngine(load_hold=held())
    async with desk(tmp_path, engine) as one:
        one.core.loader.load(LoadRequest("m"))
        one.send("early")
        one.core.session.read_only = True
        one.core.session.rename("Renamed")
        engine.load_hold.set()
        await one.until(lambda: len(one.texts) == 2 and not one.core.replies.is_due)
        assert one.texts == ["early", "Hello there."]
