"""Asks a server once which models it has, from any thread."""

from __future__ import annotations

import asyncio

from tui.dataclass import dataclass
from tui.engine.remote.dialect import Served
from tui.engine.remote.link import Link
from tui.engine.remote.probing import probe
from tui.engine.remote.problems import ServerError
from tui.engine.remote.servers import Server


@dataclass(frozen=True, slots=True)
class Listed:
    """What came of asking a server.

    Attributes:
        server: that was asked.
        kind: what it is, for example `vLLM`; empty where it did not say.
        models: that it has.
        problem: why it has none, in a sentence or two; empty where it answered.
    """

    server: Server
    kind: str = ""
    models: tuple[Served, ...] = ()
    problem: str = ""


def list_models(server: Server) -> Listed:
    """Return the models of a server; waits for it, and never raises for what it does."""
    return asyncio.run(_list_models(server))


async def _list_models(server: Server) -> Listed:
    link = Link(server.address, server.key, name=server.label)
    try:
        dialect, models = await probe(link, server.dialect)
    except ServerError as error:
        return Listed(server, problem=str(error))
    finally:
        await link.close()
    return Listed(server, dialect.name, tuple(models))
