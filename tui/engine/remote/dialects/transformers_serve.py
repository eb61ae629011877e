"""`transformers serve`: https://huggingface.co/docs/transformers/serving."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from typing import Final

from tui.engine import catalog
from tui.engine.base import GenerateRequest, ModelLoadError, Progress
from tui.engine.remote.chat_completions import (
    PATH,
    PLAIN_PARAMETERS,
    ChatCompletions,
    listed_model,
    models_in,
    sampled,
)
from tui.engine.remote.dialect import Served, Tell
from tui.engine.remote.link import Link
from tui.engine.remote.problems import ServerError
from tui.engine.remote.values import NotJsonError, read_json, table, text, whole
from tui.json_types import Json
from tui.parameters import PARAMETERS
from tui.sanitize import sanitize_line

_AT_THE_TOP: Final = ("temperature", "top_p", "seed", "max_new_tokens", "stop_strings")
_SPEED: Final = "Speed"
_CONFIG_ONLY: Final = tuple(
    name
    for name, known in PARAMETERS.items()
    if name not in (*_AT_THE_TOP, "do_sample") and known.group != _SPEED
)
_PINNED: Final = re.compile(r"Server is pinned to '(.+)'; requested")
_REVISION: Final = "@main"
_STAGES: Final = {
    "config": "Reading the configuration",
    "processor": "Loading the tokenizer",
    "download": "Downloading",
    "weights": "Loading weights",
}


async def _found(link: Link) -> list[Served]:
    """Return the model that the server was started with; the ones in its Hugging Face cache where it was started with none."""
    if (pinned := await _pinned(link)).id:
        return [pinned]
    try:
        return models_in(await link.get("/v1/models"), listed_model)
    except ServerError as error:
        # It fails where its cache folder is not there yet. It loads what is named all the same.
        if error.is_lost or error.status < 500:
            raise
        return []


async def _pinned(link: Link) -> Served:
    """Return the one model that a server answers for. It names it where another one is asked for, and nowhere else."""
    try:
        await link.post(PATH, {"model": "", "messages": []})
    except ServerError as error:
        if error.is_lost:
            raise
        found = _PINNED.search(text(table(error.body).get("detail")))
        return listed_model({"id": found[1] if found else ""})
    return Served("")


async def _told(link: Link, model: Served, tell: Tell) -> Served:
    """Have the model loaded, so that the first reply need not wait for it; tell what its files here say, if they are here."""
    async with link.stream("/load_model", {"model": model.id}) as stream:
        async for piece in stream:
            _tell_stage(link, piece, tell)
    try:
        source = catalog.resolve(model.id.removesuffix(_REVISION))
        facts = catalog.facts(source)
    except (ModelLoadError, OSError):
        return replace(model, is_loaded=True)
    return replace(
        model,
        context_tokens=model.context_tokens or facts.context_tokens,
        parameters=facts.parameters,
        is_loaded=True,
    )


def _tell_stage(link: Link, piece: str, tell: Tell) -> None:
    try:
        step = table(read_json(piece))
    except NotJsonError:
        return
    if step.get("status") == "error":
        said = sanitize_line(text(step.get("message")), 400)
        raise ServerError(f"{link.name} could not load the model. {said}".rstrip())
    stage = text(step.get("stage"))
    progress = table(step, "progress")
    if stage in _STAGES:
        unit = "B" if stage == "download" else "tensors"
        done, total = whole(progress.get("current")), whole(progress.get("total"))
        tell(Progress(_STAGES[stage], min(done, total), total, unit if total else ""))


def _with_config(body: dict[str, Json], request: GenerateRequest) -> None:
    """Put the parameters that a request has no field for into a generation config, which the model's own completes."""
    values = sampled(request)
    config: dict[str, Json] = {
        name: values[name] for name in _CONFIG_ONLY if values.get(name) is not None
    }
    temperature = values.get("temperature")
    draws = isinstance(temperature, int | float) and temperature > 0
    if draws and request.parameters.get("do_sample") is not False:
        # A model whose own config is greedy would leave the temperature unused.
        config["do_sample"] = True
    if config:
        body["generation_config"] = json.dumps(config)
        # The server has a limit of its own only where it takes the model's config as it is. Without one, a reply has 20 tokens.
        body.setdefault("max_tokens", PARAMETERS["max_new_tokens"].default)


TRANSFORMERS_SERVE: Final = ChatCompletions(
    name="transformers serve",
    names={**PLAIN_PARAMETERS, **dict.fromkeys(_CONFIG_ONLY, "")},
    reasoning="reasoning_content",
    template="chat_template_kwargs",
    holds_schema=False,
    more=_with_config,
    found=_found,
    loads_any=True,
    told=_told,
)
