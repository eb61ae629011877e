"""The table of models on a plain terminal: what the picker shows, as lines or as JSON."""

from __future__ import annotations

import json
from contextlib import suppress
from dataclasses import asdict
from typing import Any

from tui.console import complain, write_out
from tui.engine import catalog
from tui.engine.base import ModelLoadError
from tui.engine.facts import ModelFacts
from tui.engine.hub.hub import Hub
from tui.engine.llama import choice
from tui.engine.local.engine import LocalEngine
from tui.engine.remote.servers import Server
from tui.logs import LogError, start_logging
from tui.sanitize import sanitize, sanitize_line
from tui.screens.models import rows
from tui.screens.models.rows import FreeMemory, Verdict
from tui.settings.measurements import Measurements
from tui.settings.paths import AppPaths
from tui.settings.state import load_state
from tui.widgets.figures import bytes_text, count_text


def print_server_models(server: Server, *, as_json: bool) -> int:
    """Print the models of a server.

    Returns:
        the exit code: 0, or 1 where the server can't be asked.
    """
    from tui.engine.remote.listing import list_models

    listed = list_models(server)
    if listed.problem:
        complain(f"chat-tui models: {sanitize(listed.problem)}")
        return 1
    found = [(str(server.address.with_model(one.id)), one) for one in listed.models]
    if as_json:
        models = [{"model": name, **asdict(one)} for name, one in found]
        write_out(json.dumps({"server": listed.kind, "models": models}, indent=2))
        return 0
    for name, one in found:
        facts = [part for part in rows.served_parts(one) if part]
        write_out(sanitize_line(name))
        if facts:
            write_out("    " + sanitize_line(" · ".join(facts)))
    plural = "" if len(found) == 1 else "s"
    write_out(f"{len(found)} model{plural} on {sanitize_line(server.label)} ({listed.kind})")
    return 0


def print_models(
    paths: AppPaths, *, hub_words: str | None, as_json: bool, hub: Hub | None = None
) -> int:
    """Print the models of this machine, or those that the Hub finds.

    Args:
        hub_words: what to search the Hub for; None for this machine.
        as_json: print JSON rather than lines.

    Returns:
        the exit code, 0.

    Raises:
        ModelLoadError: the Hub can't be reached.
    """
    with suppress(LogError):
        start_logging(paths.logs)
    device, reading = LocalEngine(paths.cache).target_memory()
    figures = Measurements(paths.measurements).figures
    free = FreeMemory(
        device,
        f"{reading.device} ({reading.kind})",
        reading.free,
        measured=figures,
        half_dtype=reading.half_dtype,
    )
    entries = _local(paths, free) if hub_words is None else _hub(hub or Hub(), hub_words, free)
    if as_json:
        memory = {"device": device, "name": free.name, "free_bytes": free.free_bytes}
        write_out(json.dumps({"memory": memory, "models": entries}, indent=2))
        return 0
    for entry in entries:
        write_out("\n".join(_lines(entry)))
    found = f"{len(entries)} model{'' if len(entries) == 1 else 's'}"
    write_out(f"{found}; {bytes_text(free.free_bytes)} free on {sanitize_line(free.name)}")
    return 0


def _local(paths: AppPaths, free: FreeMemory) -> list[dict[str, Any]]:
    state, _ = load_state(paths.state)
    found = []
    for source in catalog.local_models(state.model_folders):
        problem = ""
        facts = ModelFacts()
        try:
            facts = choice.facts(source, choice.AUTO)
        except ModelLoadError as error:
            problem = str(error)
        size = bytes_text(source.size_bytes) if source.size_bytes else ""
        found.append(
            {
                "model": source.model,
                "name": source.name,
                "kind": source.kind.value,
                "location": source.location,
                "size_bytes": source.size_bytes,
                "complete": catalog.is_complete(source),
                "problem": problem,
                **_facts(facts),
                "summary": rows.facts_parts(facts, size),
                "fit": [_verdict(one) for one in rows.verdicts(source.model, facts, free)],
            }
        )
    return found


def _hub(hub: Hub, words: str, free: FreeMemory) -> list[dict[str, Any]]:
    found = []
    for model in hub.search(words):
        one = rows.verdict(model.id, rows.hub_facts(model), "none", free)
        downloads = f"{count_text(model.downloads)} downloads" if model.downloads else ""
        found.append(
            {
                "model": model.id,
                "name": model.id,
                "kind": "hub",
                **{key: value for key, value in asdict(model).items() if key != "id"},
                "summary": [
                    count_text(model.parameters),
                    model.method or model.dtype,
                    downloads,
                    model.licence,
                    "gated" if model.is_gated else "",
                ],
                "fit": [_verdict(one)],
            }
        )
    return found


def _facts(facts: ModelFacts) -> dict[str, Any]:
    return {
        "architecture": facts.architecture,
        "parameters": facts.parameters,
        "dtype": facts.dtype,
        "method": facts.method,
        "engine": facts.engine or choice.TRANSFORMERS,
        "context_tokens": facts.context_tokens,
        "has_template": facts.has_template,
        "is_mixture": facts.is_mixture,
    }


def _verdict(one: Verdict) -> dict[str, Any]:
    return {
        "quantization": one.quantization,
        "label": one.label,
        "grade": one.grade.value,
        "weights_bytes": one.needed.weights_bytes if one.needed else None,
        "cache_bytes": one.needed.cache_bytes if one.needed else None,
        "other_bytes": one.needed.other_bytes if one.needed else None,
        "total_bytes": one.needed.total_bytes if one.needed else None,
        "context_tokens": one.needed.context_tokens if one.needed else None,
        "unavailable": one.unavailable,
        "measured_bytes": one.measured_bytes,
        "tokens_per_s": one.tokens_per_s,
    }


def _lines(entry: dict[str, Any]) -> list[str]:
    facts = [part for part in entry["summary"] if part]
    if not entry.get("complete", True):
        facts.append("not complete")
    if entry.get("problem"):
        facts.append(entry["problem"])
    lines = [sanitize_line(str(entry["model"])), "    " + sanitize_line(" · ".join(facts))]
    fits = [_fit_text(one) for one in entry["fit"] if one["weights_bytes"] is not None]
    return [*lines, *(f"    {text}" for text in fits)]


def _fit_text(one: dict[str, Any]) -> str:
    note = f"  ({one['unavailable']})" if one["unavailable"] else ""
    speed = f"  {one['tokens_per_s']:.0f} tok/s here" if one["tokens_per_s"] else ""
    return f"{one['label'] or one['quantization']:<13}{one['grade']:<8}{bytes_text(one['total_bytes']):>9}{speed}{note}"
