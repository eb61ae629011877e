"""llama-server of llama.cpp: https://github.com/ggml-org/llama.cpp/tree/master/tools/server."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final
from urllib.parse import urlencode

from tui.engine.remote.chat_completions import PLAIN_PARAMETERS, ChatCompletions, listed_model
from tui.engine.remote.dialect import THINKING, Served, Tell
from tui.engine.remote.link import Link
from tui.engine.remote.problems import ServerError
from tui.engine.remote.values import table, text, whole
from tui.json_types import Json
from tui.parameters import PARAMETERS, ParameterError, Value

_NAMES: Final = {
    **PLAIN_PARAMETERS,
    "top_k": "top_k",
    "min_p": "min_p",
    "typical_p": "typical_p",
    "repetition_penalty": "repeat_penalty",
}


_WITHOUT_KEY: Final = (401, 403)
"""Its list of models can be had without a key, and nothing else can."""


def _listed(entry: Mapping[str, Any]) -> Served:
    found, meta = listed_model(entry), table(entry, "meta")
    state = text(table(entry, "status").get("value"))
    return replace(
        found,
        parameters=whole(meta.get("n_params")),
        is_loaded=state == "loaded" if state else None,
    )


async def _told(link: Link, model: Served, _tell: Tell) -> Served:
    query = urlencode({"model": model.id, "autoload": "false"})
    try:
        props = table(await link.get(f"/props?{query}"))
    except ServerError as error:
        if error.is_lost or error.status in _WITHOUT_KEY:
            raise
        # One for several models, which loads this one when a reply is asked for.
        return replace(model, is_loaded=False)
    settings = table(props, "default_generation_settings")
    kinds = table(props, "modalities")
    return replace(
        model,
        context_tokens=whole(settings.get("n_ctx")) or model.context_tokens,
        images=kinds.get("vision") is True if kinds else None,
        thinks=None if not (template := text(props.get("chat_template"))) else _thinks(template),
        is_loaded=True,
        defaults=defaults(table(settings, "params") or settings),
    )


def _thinks(template: str) -> bool:
    return "enable_thinking" in template or "reasoning_effort" in template


def defaults(params: Mapping[str, Any]) -> dict[str, Value]:
    """Return the server's own parameters that are of the kind that ours are."""
    found: dict[str, Value] = {}
    for ours, theirs in _NAMES.items():
        if ours in ("seed", "max_new_tokens", "stop_strings") or theirs not in params:
            continue
        try:
            value = PARAMETERS[ours].check(params[theirs])
        except ParameterError:
            continue
        found[ours] = round(value, 4) if isinstance(value, float) else value
    return found


async def _counted(
    link: Link, model: Served, messages: list[Json], shape: Mapping[str, Json]
) -> int:
    body: dict[str, Json] = {"model": model.id, "messages": messages, **shape}
    prompt = text(table(await link.post("/apply-template", body)).get("prompt"))
    counted = await link.post("/tokenize", {"content": prompt, "parse_special": True})
    tokens = table(counted).get("tokens")
    return len(tokens) if isinstance(tokens, list) else 0


LLAMA_SERVER: Final = ChatCompletions(
    name="llama-server",
    names=_NAMES,
    reasoning="reasoning_content",
    # A last message of the assistant is written on at its end. Where reasoning is on, many versions refuse to do so.
    continuing={"chat_template_kwargs": {THINKING: False}},
    always={
        "stream_options": {"include_usage": True},
        "return_progress": True,
        "timings_per_token": True,
        "cache_prompt": True,
    },
    template="chat_template_kwargs",
    told=_told,
    counted=_counted,
    listed=_listed,
)
