"""The worker as the event loop sees it."""

from __future__ import annotations

import asyncio

from tests.scripted import ScriptedEngine
from tui.conversation import USER, Message
from tui.engine.base import Finished, GenerateRequest, LoadRequest, TextDelta
from tui.engine.client import EngineClient, ends_job
from tui.engine.worker import EngineWorker

REQUEST = GenerateRequest((Message(USER, "hi"),))


async def _until(client, condition):
    while not condition():
        client.pump()
        await asyncio.sleep(0.001)


async def test_a_job_is_its_events_and_the_last_one_ends_it():
    worker, asked = EngineWorker(ScriptedEngine(["one two"])), []
    client = EngineClient(worker, lambda: asked.append(True))
    try:
        worker.load(LoadRequest("scripted"))
        job = client.generate(REQUEST)
        assert asked == [True]
        reading = asyncio.create_task(_read(job))
        await _until(client, reading.done)
        events = reading.result()
        assert "".join(one.text for one in events if isinstance(one, TextDelta)) == "one two"
        assert [ends_job(one) for one in events] == [False] * (len(events) - 1) + [True]
        assert isinstance(events[-1], Finished)
    finally:
        worker.close(5)


async def _read(job):
    return [event async for event in job]


async def test_what_was_asked_elsewhere_does_no_harm():
    worker = EngineWorker(ScriptedEngine(["one"]))
    client = EngineClient(worker, lambda: None)
    try:
        worker.load(LoadRequest("scripted"))
        reply = asyncio.create_task(client.generate(REQUEST).end())
        while not reply.done():
            client.pump()
            await asyncio.sleep(0.001)
        assert isinstance(reply.result(), Finished)
    finally:
        worker.close(5)


async def test_jobs_end_each_for_itself():
    worker = EngineWorker(ScriptedEngine(["one"]))
    client = EngineClient(worker, lambda: None)
    try:
        worker.load(LoadRequest("scripted"))
        ends = [
            asyncio.create_task(client.split("a b").end()),
            asyncio.create_task(client.generate(REQUEST).end()),
        ]
        await _until(client, lambda: all(end.done() for end in ends))
        assert ends[0].result().pieces == ("a", " b")
        assert isinstance(ends[1].result(), Finished)
    finally:
        worker.close(5)


async def test_a_job_whose_reader_is_gone_disturbs_nobody():
    worker = EngineWorker(ScriptedEngine(["one"]))
    client = EngineClient(worker, lambda: None)
    try:
        worker.load(LoadRequest("scripted"))
        client.generate(REQUEST)
        second = asyncio.create_task(client.generate(REQUEST).end())
        await _until(client, second.done)
        assert isinstance(second.result(), Finished)
    finally:
        worker.close(5)
