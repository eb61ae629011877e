"""Finds out what kind of server answers at an address. Asked once, when it is connected to."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any, Final

from tui.engine.remote.chat_completions import ChatCompletions, models_in
from tui.engine.remote.dialect import Dialect, Served
from tui.engine.remote.dialects import DIALECTS
from tui.engine.remote.dialects.ollama import OLLAMA
from tui.engine.remote.dialects.openai import OPENAI
from tui.engine.remote.link import Link
from tui.engine.remote.problems import ServerError
from tui.engine.remote.values import table, tables, text

_OWNERS: Final = {"vllm": "vllm", "sglang": "sglang", "llamacpp": "llama-server"}
"""What stands as `owned_by` in the list of models."""
_MAY_BE_ONE: Final = (400, 403, 404, 405, 500, 501)
"""A server of models may answer so too: one without the list, and one that can't make it."""

PROBE_S: Final = 30.0
"""How long a server may take to say what it is and what it has."""


async def probe(link: Link, named: str = "") -> tuple[Dialect, list[Served]]:
    """Return what a server speaks, and its models.

    Args:
        link: to the server.
        named: the dialect where it is known already; to find out, empty, or a name that there is not.

    Raises:
        ServerError: nobody answers there, or what answers is no server of models.
    """
    try:
        async with asyncio.timeout(PROBE_S):
            dialect, models = await _probed(link, named)
    except TimeoutError:
        raise ServerError(
            f"{link.name} took too long to list its models.",
            "It may be busy. Try again.",
            is_lost=True,
        ) from None
    # An ID that contains the key would expose it on the screen and in files.
    return dialect, [one for one in models if not link.holds_key(one.id)]


async def _probed(link: Link, named: str) -> tuple[Dialect, list[Served]]:
    if known := DIALECTS.get(named):
        return known, await known.models(link)
    problem, listed = None, None
    try:
        listed = await link.get("/v1/models")
    except ServerError as error:
        if error.is_lost or error.status not in _MAY_BE_ONE:
            raise
        problem = error
    dialect = await _kind(link, listed)
    if isinstance(dialect, ChatCompletions) and dialect.found is None:
        if problem is not None:
            raise problem
        return dialect, models_in(listed, dialect.listed)
    return dialect, await dialect.models(link)


async def _kind(link: Link, listed: Any) -> Dialect:
    entries = tables(listed.get("data") if isinstance(listed, Mapping) else listed)
    owners = {text(one.get("owned_by")) for one in entries}
    for owner, name in _OWNERS.items():
        if owner in owners:
            return DIALECTS[name]
    if "version" in await _asked(link, "/api/version"):
        return OLLAMA
    if "default_generation_settings" in await _asked(link, "/props"):
        return DIALECTS["llama-server"]
    if "data" in await _asked(link, "/api/v0/models"):
        return DIALECTS["lm-studio"]
    paths = table(await _asked(link, "/openapi.json"), "paths")
    if "/load_model" in paths and "/v1/chat/completions" in paths:
        return DIALECTS["transformers"]
    if await _asked(link, "/health") == {"status": "ok"}:
        return DIALECTS["mlx"]
    return OPENAI


async def _asked(link: Link, path: str) -> Mapping[str, Any]:
    """Return what a page says; nothing where there is none.

    Raises:
        ServerError: the connection is lost.
    """
    try:
        return table(await link.get(path))
    except ServerError as error:
        if error.is_lost:
            raise
        return {}
