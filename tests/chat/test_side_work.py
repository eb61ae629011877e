"""Work beside the chat, on a scripted engine and a worker of its own; no app."""

from __future__ import annotations

import asyncio
import contextlib
import threading

import pytest

from tests.scripted import ScriptedEngine
from tui.chat.side_work import SideWork
from tui.conversation import USER, Message
from tui.engine.base import Failed, GenerateRequest, LoadRequest, PromptDescribed, ReasoningFound
from tui.engine.client import EngineClient
from tui.engine.worker import EngineWorker

REQUEST = GenerateRequest((Message(USER, "A title?"),))


@contextlib.asynccontextmanager
async def at_work(engine: ScriptedEngine):
    """Side work on an engine whose worker is looked at all the time."""
    worker = EngineWorker(engine)
    client = EngineClient(worker, lambda: None)
    changes: list[str] = []
    side = SideWork(client)
    side.changed.listen(lambda _none: changes.append(side.label))

    async def pump():
        while True:
            client.pump()
            await asyncio.sleep(0.001)

    pumping = asyncio.create_task(pump())
    try:
        worker.load(LoadRequest("scripted"))
        yield side, changes
    finally:
        pumping.cancel()
        worker.close(5)


async def begun(side: SideWork) -> None:
    while not side.is_writing:
        await asyncio.sleep(0.001)


async def test_what_is_written_comes_whole_and_is_named_while_it_lasts():
    async with at_work(ScriptedEngine(["A good title"])) as (side, changes):
        written = await side.write(REQUEST, label="generating a title")
        assert written.text == "A good title"
        assert written.is_whole
        assert not side.is_writing
        assert changes == ["generating a title", ""]


async def test_a_message_waits_for_what_blocks():
    hold = threading.Event()
    async with at_work(ScriptedEngine(["one two"], hold=hold)) as (side, _):
        writing = asyncio.create_task(side.write(REQUEST, blocks=True))
        await begun(side)
        assert side.blocks
        hold.set()
        await writing
        assert not side.blocks


async def test_stopping_ends_it_with_what_there_is_and_says_so_meanwhile():
    async with at_work(ScriptedEngine(["one two"], hold=threading.Event())) as (side, _):
        writing = asyncio.create_task(side.write(REQUEST))
        await begun(side)
        assert side.stop()
        assert side.label == "stopping"
        assert not (await writing).is_whole
        assert not side.stop()


async def test_whoever_waits_is_cancelled_when_the_chat_is_left():
    async with at_work(ScriptedEngine(["one two"], hold=threading.Event())) as (side, _):
        writing = asyncio.create_task(side.write(REQUEST))
        await begun(side)
        side.end()
        with pytest.raises(asyncio.CancelledError):
            await writing
        assert not side.is_writing
        assert await side.split("a b") == ("a", " b")


async def test_one_line_is_enough_where_only_one_is_wanted():
    async with at_work(ScriptedEngine(["Title\nand\nmuch\nmore"], word_s=0.01)) as (side, _):
        written = await side.write(REQUEST, one_line=True)
        assert written.text.partition("\n")[0] == "Title"


async def test_reasoning_that_is_found_late_is_no_part_of_what_was_written():
    replies = [[ReasoningFound("hm", "</think>"), "Title"]]
    async with at_work(ScriptedEngine(replies)) as (side, _):
        assert (await side.write(REQUEST)).text == "Title"


async def test_a_failure_is_an_end_like_any_other():
    engine = ScriptedEngine([RuntimeError("no")])
    async with at_work(engine) as (side, _):
        written = await side.write(REQUEST)
        assert isinstance(written.end, Failed)
        assert not written.is_whole


async def test_a_prompt_is_described_and_counted():
    async with at_work(ScriptedEngine()) as (side, _):
        assert isinstance(await side.describe(REQUEST), PromptDescribed)
