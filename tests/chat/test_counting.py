from __future__ import annotations

import threading

from tests.chat.desk import desk
from tests.scripted import ScriptedEngine


async def test_the_chat_and_the_draft_are_counted_and_the_next_prompt_computed_ahead(tmp_path):
    async with desk(tmp_path) as one:
        counting = one.core.counting
        await one.load()
        await one.say("hello")
        one.draft = "what is written"
        counting.forget()
        await one.until(lambda: counting.draft_tokens and counting.chat_tokens)
        assert counting.draft_tokens != counting.chat_tokens
        await one.until(lambda: one.engine.prepared)
        assert [message.content for message in one.engine.prepared[-1].messages] == one.texts


async def test_a_draft_that_is_gone_counts_nothing(tmp_path):
    async with desk(tmp_path) as one:
        counting = one.core.counting
        await one.load()
        one.draft = "what is written"
        counting.touch()
        await one.until(lambda: counting.draft_tokens)
        one.draft = ""
        counting.drop_draft()
        assert counting.draft_tokens is None


async def test_nothing_is_counted_while_a_reply_is_written(tmp_path):
    engine = ScriptedEngine(["one two"], hold=threading.Event())
    async with desk(tmp_path, engine) as one:
        await one.load()
        one.send("x")
        one.draft = "next"
        await one.until(lambda: one.core.replies.live and one.core.replies.live.new_tokens)
        await one.core.counting._count(0)
        assert one.core.counting.draft_tokens is None
        engine.hold.set()
