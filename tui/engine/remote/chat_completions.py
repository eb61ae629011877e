"""The chat completions of OpenAI, as the servers of open models speak them: one way to ask and to read, with what differs in fields."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator, Mapping
from dataclasses import field, replace
from typing import Any, Final

from tui.conversation.turn import ASSISTANT
from tui.dataclass import dataclass
from tui.engine.base import GenerateRequest, StopReason, TemplateSwitch
from tui.engine.remote.dialect import (
    THINKING,
    Ask,
    Ended,
    Reader,
    Reading,
    Said,
    Served,
    Tell,
    Usage,
    Words,
)
from tui.engine.remote.link import Link
from tui.engine.remote.problems import ServerError, refusal, tells_error
from tui.engine.remote.values import NotJsonError, number, read_json, table, tables, text, whole
from tui.json_types import Json
from tui.sanitize import sanitize_line

DONE: Final = "[DONE]"
PATH: Final = "/v1/chat/completions"
PLAIN_PARAMETERS: Final[Mapping[str, str]] = {
    "temperature": "temperature",
    "top_p": "top_p",
    "seed": "seed",
    "max_new_tokens": "max_tokens",
    "stop_strings": "stop",
}
"""What every such server takes: our names with theirs."""
_REASONING: Final = ("reasoning_content", "reasoning")
_CONTEXT: Final = ("max_model_len", "context_length", "context_window", "max_context_length")
_LONGEST_NAME: Final = 200


def _nothing_more(_body: dict[str, Json], _request: GenerateRequest) -> None:
    """Leave a request as it is."""


async def _as_listed(_link: Link, model: Served, _tell: Tell) -> Served:
    return model


async def _not_told(_link: Link, _model: Served, _messages: list[Json], _more: Mapping[str, Json]) -> int:  # fmt: skip
    return 0


@dataclass(frozen=True)
class ChatCompletions:
    """A dialect of chat completions; implements `Dialect`.

    Attributes:
        name: for people.
        names: the parameters that it takes, with its own names for them at the top level of a request; empty where they go elsewhere.
        reasoning: the field in which it wants earlier reasoning back; empty for none.
        continuing: what a request to write on at the end of the last message has beside it; None where that can't be asked for.
        always: what every request has.
        template: the field that holds switches of the chat template; empty where there is none.
        effort: whether `reasoning_effort` is understood.
        holds_schema: whether `response_format` holds a reply to a JSON Schema.
        more: makes a request fit for the server once it is made.
        found: returns the models of the server; None to take the usual list.
        loads_any: whether a model that is not in the list may still be there.
        told: returns what the server says of one model.
        counted: returns the tokens of messages.
        listed: returns a model from its entry in the list.
    """

    name: str
    names: Mapping[str, str] = field(default_factory=lambda: PLAIN_PARAMETERS)
    reasoning: str = ""
    continuing: Mapping[str, Json] | None = None
    always: Mapping[str, Json] = field(default_factory=dict)
    template: str = ""
    effort: bool = False
    holds_schema: bool = True
    more: Callable[[dict[str, Json], GenerateRequest], None] = _nothing_more
    found: Callable[[Link], Awaitable[list[Served]]] | None = None
    loads_any: bool = False
    told: Callable[[Link, Served, Tell], Awaitable[Served]] = _as_listed
    counted: Callable[[Link, Served, list[Json], Mapping[str, Json]], Awaitable[int]] = _not_told
    listed: Callable[[Mapping[str, Any]], Served] = lambda entry: listed_model(entry)

    @property
    def parameters(self) -> frozenset[str]:
        """The generation parameters that it supports."""
        return frozenset(self.names) | {"do_sample"}

    @property
    def continues(self) -> bool:
        """Whether it can continue a reply."""
        return self.continuing is not None

    async def models(self, link: Link) -> list[Served]:
        """Return the models that the server has."""
        if self.found is not None:
            return await self.found(link)
        return models_in(await link.get("/v1/models"), self.listed)

    async def details(self, link: Link, model: Served, tell: Tell) -> Served:
        """Return the server's details of one model."""
        return await self.told(link, model, tell)

    async def count(self, link: Link, model: Served, request: GenerateRequest) -> int:
        """Return how many tokens the prompt of a request has; 0 where the server can't tell."""
        return await self.counted(link, model, self._messages(request), self._shape(request))

    def switches(self, model: Served) -> tuple[TemplateSwitch, ...]:
        """Return the switches that chat templates of reasoning models have."""
        if not self.template or model.thinks is False:
            return ()
        found = [TemplateSwitch(THINKING, (True, False))]
        if self.effort:
            found.append(TemplateSwitch("reasoning_effort", ("low", "medium", "high")))
        return tuple(found)

    def ask(self, model: Served, request: GenerateRequest, limit: int) -> Ask:
        """Return the request for a reply."""
        body: dict[str, Json] = {
            "model": model.id,
            "messages": self._messages(request),
            "stream": True,
            **self.always,
            **self._parameters(request),
            **self._shape(request),
        }
        if limit:
            body["max_tokens"] = limit
        if request.schema is not None and self.holds_schema:
            form: Json = {"name": "reply", "schema": request.schema, "strict": True}
            body["response_format"] = {"type": "json_schema", "json_schema": form}
        self.more(body, request)
        return Ask(PATH, body)

    def reader(self) -> Reader:
        """Return the parser for the stream of the reply."""
        return ChunkReader(self.name)

    def _messages(self, request: GenerateRequest) -> list[Json]:
        messages: list[Json] = []
        for message in request.messages:
            entry: dict[str, Json] = {"role": message.role, "content": message.content}
            if message.role == ASSISTANT and message.reasoning and self.reasoning:
                entry[self.reasoning] = message.reasoning
            messages.append(entry)
        return messages

    def _parameters(self, request: GenerateRequest) -> dict[str, Json]:
        values = sampled(request)
        return {
            theirs: values[ours]
            for ours, theirs in self.names.items()
            if theirs and values.get(ours) is not None
        }

    def _shape(self, request: GenerateRequest) -> dict[str, Json]:
        """Return what decides how the prompt is made of the messages."""
        shape: dict[str, Json] = {}
        switches = dict(request.template)
        if request.continue_last and self.continuing is not None:
            shape |= self.continuing
            switches |= table(self.continuing, self.template)
        effort = switches.pop("reasoning_effort", None) if self.effort else None
        if self.template and switches:
            shape[self.template] = switches
        if effort is not None:
            shape["reasoning_effort"] = effort
        return shape


def sampled(request: GenerateRequest) -> dict[str, Json]:
    """Return the parameters of a request, "do not sample" as a temperature of 0."""
    values: dict[str, Json] = dict(request.parameters)
    if values.pop("do_sample", None) is False:
        values["temperature"] = 0.0
    return values


# -- the list of models


def models_in(answer: Any, listed: Callable[[Mapping[str, Any]], Served]) -> list[Served]:
    """Return the models of a list, each once."""
    entries = tables(answer.get("data") if isinstance(answer, Mapping) else answer)
    found = {model.id: model for entry in entries if (model := listed(entry)).id}
    return list(found.values())


def listed_model(entry: Mapping[str, Any]) -> Served:
    """Return a model from its entry in the list of `/v1/models`."""
    name = text(entry.get("id"))
    # What holds a line's end or the like would be shown as another model than the one that is asked for.
    is_fit = len(name) <= _LONGEST_NAME and name == sanitize_line(name) == name.strip()
    return Served(name if is_fit else "", context_tokens=_context(entry))


def _context(entry: Mapping[str, Any]) -> int:
    """Return the context that a list tells, under whichever name; 0 where it doesn't."""
    return next((found for name in _CONTEXT if (found := whole(entry.get(name)))), 0)


def _thought(part: Mapping[str, Any]) -> str:
    """Return the reasoning in a part of a content; empty where it is another part."""
    thinking = part.get("thinking")
    return text(thinking) or "".join(text(one.get("text")) for one in tables(thinking))


# -- the stream

_REASONS: Final = {"length": StopReason.LENGTH, "max_tokens": StopReason.LENGTH}


class ChunkReader:
    """Reads the chunks of a streamed completion."""

    def __init__(self, server: str) -> None:
        """Start a reply.

        Args:
            server: its name, for errors.
        """
        self._server = server
        self._ended: Ended | None = None
        self._usage = Usage()
        self._calls: set[int] = set()

    def read(self, piece: str) -> Iterator[Said]:
        """Parse a piece of the stream; see `Reader`."""
        if piece.strip() == DONE:
            yield self._ended or Ended(StopReason.END)
            return
        if not piece.strip():
            return
        chunk = self._chunk(piece)
        yield from self._progress(chunk)
        for choice in tables(chunk.get("choices"))[:1]:
            yield from self._words(table(choice, "delta") or table(choice, "message"))
            if reason := text(choice.get("finish_reason")):
                self._ended = Ended(_REASONS.get(reason, StopReason.END))
        yield from self._figures(chunk)
        if self._ended is not None:
            yield self._ended

    def _chunk(self, piece: str) -> Mapping[str, Any]:
        try:
            chunk = read_json(piece)
        except NotJsonError:
            if piece.lstrip().startswith('{"error"'):
                # One server puts the sentence between quotes as it is.
                said = piece.partition(":")[2].strip(' "}\n')
                raise refusal(self._server, 0, {"error": said}) from None
            raise ServerError(
                f"{self._server} sent part of a reply that isn't valid JSON.", is_lost=True
            ) from None
        if not isinstance(chunk, Mapping):
            raise ServerError(
                f"{self._server} sent something other than a part of a reply.", is_lost=True
            )
        if tells_error(chunk):
            raise refusal(self._server, whole(table(chunk, "error").get("code")), chunk)
        return chunk

    def _progress(self, chunk: Mapping[str, Any]) -> Iterator[Reading]:
        progress = table(chunk, "prompt_progress")
        if total := whole(progress.get("total")):
            done = min(whole(progress.get("processed")), total)
            yield Reading(done, total, min(whole(progress.get("cache")), done))

    def _words(self, delta: Mapping[str, Any]) -> Iterator[Words]:
        for name in _REASONING:
            if words := text(delta.get(name)):
                yield Words(words, is_reasoning=True)
                break
        content = delta.get("content")
        if isinstance(content, list):
            parts = tables(content)
            if thoughts := "".join(map(_thought, parts)):
                yield Words(thoughts, is_reasoning=True)
            content = "".join(text(part.get("text")) for part in parts)
        if words := text(content) or text(delta.get("refusal")):
            yield Words(words)
        for call in tables(delta.get("tool_calls")):
            yield from self._call(call)

    def _call(self, call: Mapping[str, Any]) -> Iterator[Words]:
        """Yield a tool call as text: nothing here runs tools."""
        at, function = whole(call.get("index")), table(call, "function")
        if at not in self._calls and (name := text(function.get("name"))):
            self._calls.add(at)
            yield Words(f"\n\nTool call: {name} ")
        if arguments := text(function.get("arguments")):
            yield Words(arguments)

    def _figures(self, chunk: Mapping[str, Any]) -> Iterator[Usage]:
        usage, timings = table(chunk, "usage"), table(chunk, "timings")
        if not usage and not timings:
            return
        known = self._usage
        cached = whole(table(usage, "prompt_tokens_details").get("cached_tokens"))
        cached = cached or whole(timings.get("cache_n"))
        read = whole(timings.get("prompt_n"))
        self._usage = replace(
            known,
            prompt_tokens=whole(usage.get("prompt_tokens"))
            or (read + cached if read else known.prompt_tokens),
            cached_tokens=cached or known.cached_tokens,
            new_tokens=whole(usage.get("completion_tokens"))
            or whole(timings.get("predicted_n"))
            or known.new_tokens,
            reasoning_tokens=whole(
                table(usage, "completion_tokens_details").get("reasoning_tokens")
            )
            or known.reasoning_tokens,
            drafted_tokens=whole(timings.get("draft_n")) or known.drafted_tokens,
            accepted_tokens=whole(timings.get("draft_n_accepted")) or known.accepted_tokens,
            prefill_s=number(timings.get("prompt_ms")) / 1000 or known.prefill_s,
            decode_s=number(timings.get("predicted_ms")) / 1000 or known.decode_s,
        )
        if self._usage != known:
            yield self._usage
