"""LM Studio: https://lmstudio.ai/docs/developer/openai-compat; what it says of models comes from its own interface."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final

from tui.engine.remote.chat_completions import (
    PLAIN_PARAMETERS,
    ChatCompletions,
    listed_model,
    models_in,
)
from tui.engine.remote.dialect import Served, Tell
from tui.engine.remote.link import Link
from tui.engine.remote.problems import ServerError
from tui.engine.remote.values import table, tables, text, whole

_EMBEDS: Final = "embeddings"


async def _found(link: Link) -> list[Served]:
    """Return the models to talk with, and which of them are in memory."""
    entries = await _entries(link)
    if not entries:
        return models_in(await link.get("/v1/models"), listed_model)
    fit = (_filled(listed_model(one), one) for one in entries if one.get("type") != _EMBEDS)
    return [model for model in fit if model.id]


async def _told(link: Link, model: Served, _tell: Tell) -> Served:
    entries = await _entries(link)
    found = (_filled(model, one) for one in entries if text(one.get("id")) == model.id)
    return next(found, model)


async def _entries(link: Link) -> list[Mapping[str, Any]]:
    try:
        return tables(table(await link.get("/api/v0/models")).get("data"))
    except ServerError as error:
        if error.is_lost:
            raise
        return []


def _filled(model: Served, entry: Mapping[str, Any]) -> Served:
    abilities = entry.get("capabilities")
    return replace(
        model,
        # The trained context doesn't tell the loaded context, and anything beyond that may be cut silently.
        context_tokens=whole(entry.get("loaded_context_length")),
        images=text(entry.get("type")) == "vlm",
        tools="tool_use" in abilities if isinstance(abilities, list) else None,
        is_loaded=text(entry.get("state")) == "loaded",
        quantization=text(entry.get("quantization")),
    )


LM_STUDIO: Final = ChatCompletions(
    name="LM Studio",
    names={**PLAIN_PARAMETERS, "top_k": "top_k", "repetition_penalty": "repeat_penalty"},
    continuing={},
    always={"stream_options": {"include_usage": True}},
    found=_found,
    told=_told,
)
