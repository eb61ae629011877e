from __future__ import annotations

import asyncio

import pytest

from tests.engine.remote.columns import COLUMNS
from tests.engine.remote.talk import MODEL
from tui.engine.remote.address import parse
from tui.engine.remote.listing import list_models
from tui.engine.remote.servers import Server


def listed(server, key=""):
    return list_models(Server(parse(server.url), "home", key))


def test_a_server_is_asked_for_its_models(server):
    found = listed(server, "sk-1")
    assert (found.kind, found.problem) == (server.column.name, "")
    assert [one.id for one in found.models] == [MODEL]
    assert {one.headers.get("authorization") for one in server.requests} == {"Bearer sk-1"}


@pytest.mark.parametrize("server", ["openai"], indirect=True)
def test_what_is_wrong_is_said_and_never_raised(server):
    server.answers[""] = lambda talk: talk.json({"error": {"message": "sk-1 is no key."}}, 401)
    found = listed(server, "sk-1")
    assert (found.kind, found.models) == ("", ())
    assert "home" in found.problem
    assert "sk-1" not in found.problem
    server.close()
    assert "can't be reached" in listed(server).problem


@pytest.mark.parametrize("server", ["openai"], indirect=True)
def test_several_are_asked_at_a_time(server):
    async def both():
        return await asyncio.gather(*(asyncio.to_thread(listed, server) for _ in range(4)))

    assert all(one.models for one in asyncio.run(both()))


def test_each_kind_is_listed_by_its_name():
    assert len(COLUMNS) == 8
