from __future__ import annotations

import threading

from tests.chat.desk import desk
from tests.scripted import ScriptedEngine
from tui.chat.outbox import Outgoing
from tui.conversation import Conversation
from tui.engine.base import GenerationError, LoadRequest, ModelLoadError
from tui.sessions import Loaded
from tui.settings.history import Attachment


async def test_a_message_waits_for_the_reply_under_way_and_goes_then(tmp_path):
    engine = ScriptedEngine(["one two", "three"], hold=threading.Event())
    async with desk(tmp_path, engine) as one:
        shown: list[Outgoing | None] = []
        one.core.sender.waiting.listen(shown.append)
        await one.load()
        one.send("first")
        assert one.core.sender.must_wait
        one.send("second")
        one.send("and more")
        assert [each and each.typed for each in shown] == ["second", "second\n\nand more"]
        engine.hold.set()
        await one.until(lambda: len(one.texts) == 4 and not one.core.replies.is_due)
        assert one.texts == ["first", "one two", "second\n\nand more", "three"]
        assert shown[-1] is None


async def test_what_waits_comes_back_when_the_reply_fails(tmp_path):
    hold = threading.Event()
    engine = ScriptedEngine([GenerationError("no")], load_hold=hold)
    async with desk(tmp_path, engine) as one:
        back: list[Outgoing] = []
        one.core.sender.returned.listen(back.append)
        hold.set()
        await one.load()
        one.send("first")
        note = Attachment("notes.txt", "text")
        one.core.sender.dispatch(one.core.sender.outgoing("//quit", (note,)))
        await one.until(lambda: not one.core.replies.is_due)
        assert [(each.typed, each.attachments) for each in back] == [("//quit", (note,))]
        assert one.texts[0] == "first"
        assert len(one.texts) == 2


async def test_a_message_is_never_sent_in_another_chat(tmp_path):
    async with desk(tmp_path) as one:
        await one.load()
        await one.say("begun")
        written = one.core.sender.outgoing("meant for the first")
        one.core.session.open(Loaded(Conversation()))
        one.core.sender.dispatch(written)
        await one.still()
        assert one.texts == []
        draft = one.core.drafts.of(written.draft_key)
        assert draft is not None
        assert draft.text == "meant for the first"


async def test_a_message_of_a_temporary_chat_that_is_gone_comes_back_into_the_composer(tmp_path):
    async with desk(tmp_path) as one:
        back: list[Outgoing] = []
        one.core.sender.returned.listen(back.append)
        one.core.session.open(Loaded(Conversation()), temporary=True)
        written = one.core.sender.outgoing("secret")
        one.core.session.open(Loaded(Conversation()))
        one.core.sender.dispatch(written)
        assert [each.typed for each in back] == ["secret"]


async def test_what_is_sent_is_kept_for_the_up_key_but_for_a_temporary_chat(tmp_path):
    async with desk(tmp_path) as one:
        await one.load()
        await one.say("kept")
        one.core.session.open(Loaded(Conversation()), temporary=True)
        await one.say("secret")
        one.core.session.open(Loaded(Conversation()))
        sent = one.core.sent.for_chat(one.core.session.conversation)
        assert [each.text for each in sent] == ["kept"]


async def test_without_a_model_nothing_can_be_sent(tmp_path):
    async with desk(tmp_path) as one:
        assert not one.core.sender.can_send
        await one.load()
        assert one.core.sender.can_send


async def test_what_waits_for_a_reply_that_is_never_made_comes_back(tmp_path):
    engine = ScriptedEngine(load_hold=threading.Event(), load_error=ModelLoadError("no"))
    async with desk(tmp_path, engine) as one:
        back: list[Outgoing] = []
        one.core.sender.returned.listen(back.append)
        one.core.loader.load(LoadRequest("m"))
        one.send("first")
        one.send("second")
        engine.load_hold.set()
        await one.until(lambda: back)
        assert [each.typed for each in back] == ["second"]
        assert one.core.sender.outbox.waiting is None
