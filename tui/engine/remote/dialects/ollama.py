"""Ollama, through its own interface: only there can the context's length be set, and a chat that is too long be refused and not cut.

https://docs.ollama.com/api.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any, Final

from tui.conversation.turn import ASSISTANT
from tui.dataclass import dataclass
from tui.engine.base import GenerateRequest, StopReason, TemplateSwitch
from tui.engine.remote.chat_completions import listed_model, sampled
from tui.engine.remote.dialect import THINKING, Ask, Ended, Reader, Said, Served, Tell, Usage, Words
from tui.engine.remote.link import Link
from tui.engine.remote.problems import ServerError, refusal, tells_error
from tui.engine.remote.values import NotJsonError, number, read_json, table, tables, text, whole
from tui.json_types import Json
from tui.sanitize import sanitize_line

USUAL_CONTEXT_TOKENS: Final = 8192
"""Asked for where the model can more, and neither the user nor the model that is loaded says otherwise: memory grows with it."""
_NAMES: Final = {
    "temperature": "temperature",
    "top_p": "top_p",
    "top_k": "top_k",
    "min_p": "min_p",
    "typical_p": "typical_p",
    "seed": "seed",
    "max_new_tokens": "num_predict",
    "stop_strings": "stop",
    "repetition_penalty": "repeat_penalty",
}
_NS: Final = 1e9


@dataclass(frozen=True)
class Ollama:
    """The native interface; implements `Dialect`."""

    name: str = "Ollama"
    continues: bool = True
    holds_schema: bool = True
    loads_any: bool = False

    @property
    def parameters(self) -> frozenset[str]:
        """The generation parameters that it supports."""
        return frozenset(_NAMES) | {"do_sample"}

    async def models(self, link: Link) -> list[Served]:
        """Return the models that were pulled."""
        entries = tables(table(await link.get("/api/tags")).get("models"))
        loaded = {text(one.get("name")) for one in await self._running(link)}
        found = [
            replace(
                listed_model({"id": one.get("name")}),
                quantization=text(table(one, "details").get("quantization_level")),
                is_loaded=one.get("name") in loaded,
            )
            for one in entries
            if _talks(one)
        ]
        return [model for model in found if model.id]

    async def details(self, link: Link, model: Served, _tell: Tell) -> Served:
        """Return what `/api/show` says of a model, with the context that is to be asked for."""
        shown = table(await link.post("/api/show", {"model": model.id}))
        facts = table(shown, "model_info")
        kind = text(facts.get("general.architecture"))
        longest = whole(facts.get(f"{kind}.context_length"))
        abilities = shown.get("capabilities")
        can = [one for one in abilities if isinstance(one, str)] if isinstance(abilities, list) else None  # fmt: skip
        wanted = model.context_tokens or await self._loaded_context(link, model.id)
        return replace(
            model,
            context_tokens=min(wanted or USUAL_CONTEXT_TOKENS, longest or _NO_LIMIT),
            images=None if can is None else "vision" in can,
            tools=None if can is None else "tools" in can,
            thinks=None if can is None else "thinking" in can,
            parameters=whole(facts.get("general.parameter_count")),
            quantization=text(table(shown, "details").get("quantization_level")),
            notes=_passed_on(link, text(shown.get("remote_host"))),
        )

    async def _loaded_context(self, link: Link, model: str) -> int:
        """Return the context that a model in memory has; 0 where it is not there. Another one would load it again."""
        names = (model, f"{model}:latest")
        found = (one for one in await self._running(link) if text(one.get("name")) in names)
        return whole(next(found, {}).get("context_length"))

    async def _running(self, link: Link) -> list[Mapping[str, Any]]:
        """Return what is said of the models in memory."""
        try:
            return tables(table(await link.get("/api/ps")).get("models"))
        except ServerError as error:
            if error.is_lost:
                raise
            return []

    async def count(self, _link: Link, _model: Served, _request: GenerateRequest) -> int:
        """Return 0: it counts a prompt only by reading it."""
        return 0

    def switches(self, model: Served) -> tuple[TemplateSwitch, ...]:
        """Return the switch of reasoning, where the model has one."""
        return (TemplateSwitch(THINKING, (True, False)),) if model.thinks else ()

    def ask(self, model: Served, request: GenerateRequest, limit: int) -> Ask:
        """Return the request for a reply."""
        values = sampled(request)
        options: dict[str, Json] = {
            theirs: values[ours] for ours, theirs in _NAMES.items() if values.get(ours) is not None
        }
        if limit:
            options["num_predict"] = limit
        if model.context_tokens:
            options["num_ctx"] = model.context_tokens
        body: dict[str, Json] = {
            "model": model.id,
            "messages": _messages(request),
            "stream": True,
            "truncate": False,
            "shift": False,
            "options": options,
        }
        if request.schema is not None:
            body["format"] = request.schema
        thinking = request.template.get(THINKING)
        if model.thinks and isinstance(thinking, bool):
            body["think"] = thinking
        return Ask("/api/chat", body)

    def reader(self) -> Reader:
        """Return what understands the lines of the reply."""
        return _LineReader()


_NO_LIMIT: Final = 2**40


def _passed_on(link: Link, host: str) -> tuple[str, ...]:
    """Return a note about a model that Ollama itself runs on another server."""
    if not host:
        return ()
    return (f"{link.name} forwards chats with this model to {sanitize_line(host, 100)}.",)


def _talks(entry: Mapping[str, Any]) -> bool:
    """Return whether a model of the list can be talked with: some only make numbers of texts. Older versions don't tell."""
    abilities = entry.get("capabilities")
    return not isinstance(abilities, list) or not abilities or "completion" in abilities


def _messages(request: GenerateRequest) -> list[Json]:
    messages: list[Json] = []
    for message in request.messages:
        entry: dict[str, Json] = {"role": message.role, "content": message.content}
        if message.role == ASSISTANT and message.reasoning:
            entry["thinking"] = message.reasoning
        messages.append(entry)
    return messages


class _LineReader:
    """Reads the lines of a reply, each a JSON object."""

    def __init__(self) -> None:
        self._calls = 0

    def read(self, piece: str) -> Iterator[Said]:
        """Yield what a line says; see `Reader`."""
        line = self._line(piece)
        message = table(line, "message")
        if words := text(message.get("thinking")):
            yield Words(words, is_reasoning=True)
        if words := text(message.get("content")):
            yield Words(words)
        for call in tables(message.get("tool_calls")):
            yield Words(_call_text(table(call, "function")))
        if line.get("done") is True:
            yield Usage(
                prompt_tokens=whole(line.get("prompt_eval_count")),
                new_tokens=whole(line.get("eval_count")),
                prefill_s=number(line.get("prompt_eval_duration")) / _NS,
                decode_s=number(line.get("eval_duration")) / _NS,
            )
            is_cut = text(line.get("done_reason")) == "length"
            yield Ended(StopReason.LENGTH if is_cut else StopReason.END)

    def _line(self, piece: str) -> Mapping[str, Any]:
        try:
            line = read_json(piece)
        except NotJsonError:
            line = None
        if not isinstance(line, Mapping):
            raise ServerError("Ollama sent part of a reply that isn't valid JSON.", is_lost=True)
        if tells_error(line):
            raise refusal("Ollama", 0, line)
        return line


def _call_text(function: Mapping[str, Any]) -> str:
    """Return a tool call as text: nothing here runs tools."""
    import json

    arguments = json.dumps(function.get("arguments"), ensure_ascii=False)
    return f"\n\nTool call: {text(function.get('name'))} {arguments}"


OLLAMA: Final = Ollama()
