"""The engine whose model is on a server. It runs on the worker's thread, with an event loop of its own so that waiting can be ended."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Callable, Coroutine, Iterable, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass, replace
from typing import Any, Final, TypeVar

from tui.conversation.reasoning_marks import PLAIN
from tui.conversation.thoughts import Piece, ThinkSplitter
from tui.conversation.turn import USER, Message, ReplyStats
from tui.engine.base import (
    Cancelled,
    Capabilities,
    ContextOverflowError,
    Emit,
    FailureCause,
    Finished,
    GenerateRequest,
    GenerationError,
    IsCancelled,
    LoadRequest,
    MemoryReading,
    ModelInfo,
    ModelLoadError,
    Progress,
    PromptDescribed,
    PromptReady,
    ReasoningDelta,
    ReasoningFound,
    StopReason,
    TextDelta,
)
from tui.engine.remote import overflow
from tui.engine.remote.address import Address, AddressError, parse
from tui.engine.remote.chat_completions import DONE
from tui.engine.remote.dialect import Dialect, Ended, Reading, Said, Served, Tell, Usage, Words
from tui.engine.remote.link import Link, Stream
from tui.engine.remote.probing import probe
from tui.engine.remote.problems import ServerError
from tui.engine.remote.servers import Server, server_of
from tui.engine.stop_texts import StopTexts
from tui.errors import listed
from tui.parameters import Value, whole
from tui.sanitize import sanitize_line

LOOK_S: Final = 0.05
"""How often a wait looks whether it was cancelled."""
AFTER_END_S: Final = 3.0
"""How long a server may take for what comes behind the last word."""
MOST_CHARACTERS: Final = 20_000_000
"""Of a reply."""
_GREATEST_SEED: Final = 2**31 - 1
_LEAST_ROOM_TOKENS: Final = 16
_T = TypeVar("_T")


def unencrypted_subject(address: Address) -> str:
    """Return the agreement subject for sending chats unencrypted to a server; see `LoadRequest.trusted`."""
    return f"unencrypted {address.origin}"


@dataclass(frozen=True, slots=True)
class _Connected:
    """A model that replies can be asked of."""

    server: Server
    link: Link
    dialect: Dialect
    model: Served
    info: ModelInfo


class RemoteEngine:
    """Has one model of one server at a time; implements `tui.engine.base.Engine`."""

    def __init__(self, servers: Callable[[], Iterable[Server]] = tuple) -> None:
        """Start without a model.

        Args:
            servers: returns the servers that the user has named, with their keys.
        """
        self._servers = servers
        self._connected: _Connected | None = None
        self._runner: asyncio.Runner | None = None

    # -- which model

    @property
    def loaded(self) -> ModelInfo | None:
        """The model that replies are asked of."""
        return self._connected.info if self._connected is not None else None

    def load(self, request: LoadRequest, emit: Emit, cancelled: IsCancelled) -> ModelInfo:
        """Connect to a model's server, and replace the current connection.

        Raises:
            ModelLoadError: it can't be reached, or has no such model; the former connection still holds.
            Cancelled: `cancelled` returned True; the same holds.
        """
        try:
            address = parse(request.model)
        except AddressError as error:
            raise ModelLoadError(error.message, error.hint) from error
        server = server_of(address, self._servers())
        if address.is_readable_by_others and unencrypted_subject(address) not in request.trusted:
            raise ModelLoadError(
                f"Messages to {server.label} could be read in transit: the address starts with http:// "
                "rather than https:// and isn't on a private network.",
                "Use https if the server supports it.",
                cause=FailureCause.UNENCRYPTED,
                subject=unencrypted_subject(address),
            )
        emit(Progress(f"Connecting to {server.label}"))
        link = Link(server.address, server.key, name=server.label)
        try:
            made = self._wait(self._connect(server, link, address.model, emit), cancelled)
        except BaseException as error:
            self._end(link)
            if isinstance(error, ServerError):
                clean = link.clean(error)
                raise ModelLoadError(clean.message, clean.hint) from clean
            raise
        self.unload()
        self._connected = made
        return made.info

    async def _connect(self, server: Server, link: Link, wanted: str, tell: Tell) -> _Connected:
        dialect, models = await probe(link, server.dialect)
        model = _chosen(models, wanted, link.name, loads_any=dialect.loads_any)
        if server.context_tokens:
            model = replace(model, context_tokens=server.context_tokens)
        model = await dialect.details(link, model, tell)
        if server.context_tokens:
            model = replace(model, context_tokens=server.context_tokens)
        return _Connected(server, link, dialect, model, _info(server, dialect, model))

    def unload(self) -> None:
        """Close the connection; does nothing without one."""
        connected, self._connected = self._connected, None
        if connected is not None:
            self._end(connected.link)

    def _end(self, link: Link) -> None:
        if self._runner is not None:
            self._runner.run(link.close())

    # -- replies

    def generate(self, request: GenerateRequest, emit: Emit, cancelled: IsCancelled) -> Finished:
        """Have a reply made; see `Engine.generate`. A connection that is lost is never asked again by itself."""
        connected = self._connected
        if connected is None:
            raise GenerationError("No model is loaded.")
        if request.continue_last and not connected.dialect.continues:
            raise GenerationError(_cannot(connected.dialect, "continue a reply"))
        reply = _Reply(request, emit, connected)
        try:
            return self._wait(reply.run(), cancelled)
        except Cancelled:
            return reply.finished(StopReason.CANCELLED)
        except ServerError as error:
            clean = connected.link.clean(error)
            too_long = overflow.told_by(clean, request.messages, connected.model.context_tokens)
            if too_long is not None and not reply.has_begun:
                raise ContextOverflowError(too_long) from clean
            reply.tell_rest()
            cause = FailureCause.CONNECTION if clean.is_lost else FailureCause.OTHER
            raise GenerationError(clean.message, clean.hint, reply.stats, cause=cause) from clean

    def prepare(self, _request: GenerateRequest, _cancelled: IsCancelled) -> bool:
        """Do nothing: what is not sent by the user stays here."""
        return True

    def describe(self, _request: GenerateRequest) -> PromptDescribed:
        """Refuse: a server doesn't tell the prompt that it makes.

        Raises:
            GenerationError: always.
        """
        raise GenerationError("The server builds the prompt and doesn't expose it.")

    def split(self, _text: str) -> tuple[str, ...]:
        """Return nothing: a text is not sent to a server to be cut into tokens."""
        return ()

    def memory(self) -> MemoryReading:
        """Return a reading without figures: the memory is the server's."""
        connected = self._connected
        return MemoryReading("", connected.server.label if connected else "")

    def target_memory(self) -> tuple[str, MemoryReading]:
        """Return the same, without a device."""
        return "", self.memory()

    # -- waiting

    def _wait(self, work: Coroutine[Any, Any, _T], cancelled: IsCancelled) -> _T:
        """Run until it is done or cancelled.

        Raises:
            Cancelled: it was; the connection that it waited for is closed.
        """
        if self._runner is None:
            self._runner = asyncio.Runner()
        return self._runner.run(_until_cancelled(work, cancelled))


async def _until_cancelled(work: Coroutine[Any, Any, _T], cancelled: IsCancelled) -> _T:
    if cancelled():
        # Send nothing if the caller no longer waits.
        work.close()
        raise Cancelled
    task = asyncio.get_running_loop().create_task(work)
    while not task.done():
        await asyncio.wait({task}, timeout=LOOK_S)
        if not task.done() and cancelled():
            task.cancel()
            await asyncio.wait({task})
    if task.cancelled():
        raise Cancelled
    return task.result()


def _chosen(models: list[Served], wanted: str, server: str, *, loads_any: bool) -> Served:
    """Return the model of a name; the only one, or the one in memory, where none is named.

    Raises:
        ServerError: there is none.
    """
    if not models and not (wanted and loads_any):
        named = "Add a model after the address, for example http://localhost:8000/#org/model."
        hint = named if loads_any else "Load or pull a model there first."
        raise ServerError(f"{server} lists no model.", hint)
    names = {model.id: model for model in models}
    if wanted:
        found = names.get(wanted) or names.get(f"{wanted}:latest")
        if found is None and loads_any:
            return Served(wanted)
        if found is None:
            known = ", ".join(list(names)[:8])
            raise ServerError(
                f"{server} has no model {sanitize_line(wanted, 200)}.",
                f"Available models: {known}.",
            )
        return found
    return next((model for model in models if model.is_loaded), models[0])


def _info(server: Server, dialect: Dialect, model: Served) -> ModelInfo:
    short = model.id.rstrip("/").rpartition("/")[2] or model.id
    return ModelInfo(
        model=str(server.address.with_model(model.id)),
        name=f"{short} ({server.label})",
        device=server.label,
        dtype=model.quantization,
        quantization_locked=f"{server.label} determines the quantization of the weights.",
        context_tokens=model.context_tokens,
        defaults=dict(model.defaults),
        template_switches=dialect.switches(model),
        notes=model.notes,
        parameters=model.parameters,
        server=server.label,
        capabilities=Capabilities(
            parameters=dialect.parameters,
            continues=dialect.continues,
            is_private=False,
            shows_prompt=False,
            splits=False,
            drafts=False,
            holds_schema=dialect.holds_schema,
            because=f"{server.label} ({dialect.name}) doesn't support this.",
        ),
    )


def joined(messages: Sequence[Message]) -> tuple[Message, ...]:
    """Return messages of which no two in a row are the user's, as when a reply failed: many chat templates refuse that."""
    found: list[Message] = []
    for message in messages:
        before = found[-1] if found else None
        if before is not None and before.role == message.role == USER:
            content = f"{before.content}\n\n{message.content}"
            found[-1] = replace(before, content=content, parts=(*before.parts, *message.parts))
        else:
            found.append(message)
    return tuple(found)


def _cannot(dialect: Dialect, what: str) -> str:
    return f"{dialect.name} can't {what}."


class _Reply:
    """One reply, from the request to its last word."""

    def __init__(self, request: GenerateRequest, emit: Emit, connected: _Connected) -> None:
        values = {
            name: value
            for name, value in request.parameters.items()
            if value is not None and name in connected.dialect.parameters
        }
        if "seed" in connected.dialect.parameters and "seed" not in values:
            # So that the reply can be made again.
            values["seed"] = random.SystemRandom().randint(0, _GREATEST_SEED)
        self._dropped = [
            name
            for name, value in request.parameters.items()
            if value is not None and name not in connected.dialect.parameters
        ]
        messages = joined(request.messages)
        self._request = replace(request, messages=messages, parameters=values)
        self._values: Mapping[str, Value] = values
        self._emit = emit
        self._on = connected
        said = request.messages[-1].content if request.continue_last else ""
        self._splitter: ThinkSplitter | None = ThinkSplitter(marks=PLAIN, said=said)
        # Some servers leave the text that ended a reply in it, and some know of no such texts.
        self._stops = StopTexts(_texts(values.get("stop_strings")), emit)
        self._usage = Usage()
        self._prompt_tokens = -1
        self._pieces = self._thoughts = self._characters = 0
        self._ended: Ended | None = None
        self._start = self._first = self._last = 0.0

    @property
    def has_begun(self) -> bool:
        """Whether anything was said."""
        return self._pieces > 0

    @property
    def stats(self) -> ReplyStats:
        """What it cost, as the server says, and where it doesn't, as it was measured here."""
        usage = self._usage
        return ReplyStats(
            prompt_tokens=usage.prompt_tokens or max(0, self._prompt_tokens),
            cached_tokens=usage.cached_tokens,
            new_tokens=usage.new_tokens or self._pieces,
            reasoning_tokens=usage.reasoning_tokens or self._thoughts,
            drafted_tokens=usage.drafted_tokens,
            accepted_tokens=usage.accepted_tokens,
            ttft_s=max(0.0, self._first - self._start),
            prefill_s=usage.prefill_s,
            decode_s=usage.decode_s or max(0.0, self._last - self._first),
        )

    def tell_rest(self) -> None:
        """Emit what was held back, as nothing more comes."""
        self._tell(self._splitter.finish() if self._splitter else [])
        self._stops.finish()

    def finished(self, reason: StopReason) -> Finished:
        """Return the end of the reply."""
        self.tell_rest()
        return Finished(self.stats, reason)

    async def run(self) -> Finished:
        """Ask for the reply and hand on what comes of it."""
        self._start = time.monotonic()
        limit = await self._limit()
        ask = self._on.dialect.ask(self._on.model, self._request, limit)
        async with self._on.link.stream(ask.path, ask.body) as stream:
            self._tell_prompt(max(0, self._prompt_tokens))
            await self._hear_all(stream)
        if self._ended is None:
            raise ServerError(
                f"{self._on.link.name} closed the connection in the middle of the reply.",
                "Check that the server is still running.",
                is_lost=True,
            )
        return self.finished(self._ended.reason)

    async def _hear_all(self, stream: Stream) -> None:
        """Take all that comes, and behind the last word only what comes soon: the figures, and from some servers nothing."""
        reader = self._on.dialect.reader()
        try:
            async with asyncio.timeout(None) as patience, aclosing(aiter(stream)) as pieces:
                async for piece in pieces:
                    for said in reader.read(self._on.link.hidden(piece)):
                        self._take(said)
                    if piece.strip() == DONE:
                        return
                    if self._ended is not None and patience.when() is None:
                        patience.reschedule(asyncio.get_running_loop().time() + AFTER_END_S)
        except TimeoutError:
            return
        except ServerError:
            # Nothing of a reply that has ended is lost with the connection.
            if self._ended is None:
                raise

    async def _limit(self) -> int:
        """Return how many tokens the reply may have, where that is less than what was asked for; 0 for no other limit.

        Raises:
            ContextOverflowError: the prompt leaves no room.
        """
        context, messages = self._on.model.context_tokens, self._request.messages
        wanted = whole(self._values, "max_new_tokens") or 0
        if not context or overflow.most_tokens(messages) + wanted <= context:
            return 0
        try:
            counted = await self._on.dialect.count(self._on.link, self._on.model, self._request)
        except ServerError as error:
            if error.is_lost:
                raise
            return 0
        if not counted:
            return 0
        self._prompt_tokens = counted
        room = context - counted
        if room < min(_LEAST_ROOM_TOKENS, wanted or _LEAST_ROOM_TOKENS):
            raise ContextOverflowError(overflow.overflow_of(messages, counted, context))
        return room if wanted > room else 0

    def _take(self, said: Said) -> None:
        match said:
            case Words():
                self._hear(said)
            case Usage():
                self._usage = said
                if said.prompt_tokens and said.prompt_tokens != self._prompt_tokens:
                    self._tell_prompt(said.prompt_tokens, said.cached_tokens)
            case Reading(done, total, cached):
                if done < total:
                    self._emit(
                        Progress("Reading the chat", done - cached, total - cached, "tokens")
                    )
            case Ended():
                self._ended = said

    def _tell_prompt(self, tokens: int, cached: int = 0) -> None:
        self._prompt_tokens = tokens
        self._emit(PromptReady(tokens, cached, dict(self._values), notes=self._notes()))

    def _notes(self) -> tuple[str, ...]:
        """Return a sentence about unsupported parameters, for example when regenerating a reply of another engine."""
        if not self._dropped:
            return ()
        dropped, it = listed(self._dropped), "it" if len(self._dropped) == 1 else "them"
        return (
            f"{self._on.server.label} doesn't support {dropped}; the reply is generated without {it}.",
        )

    def _hear(self, words: Words) -> None:
        self._characters += len(words.text)
        if self._characters > MOST_CHARACTERS:
            raise ServerError(
                f"The reply was stopped because it exceeded {MOST_CHARACTERS:,} characters."
            )
        self._pieces += 1
        self._last = time.monotonic()
        self._first = self._first or self._last
        if words.is_reasoning:
            # Where the server parts the reply, the marks in the answer are words that are spoken about.
            self._tell(self._splitter.finish() if self._splitter else [])
            self._splitter = None
            self._thoughts += 1
            self._stops.take(ReasoningDelta(words.text))
        elif self._splitter is not None:
            self._thoughts += self._splitter.in_reasoning
            self._tell(self._splitter.feed(words.text))
        else:
            self._stops.take(TextDelta(words.text))
        if self._stops.found and self._ended is None:
            self._ended = Ended(StopReason.END)

    def _tell(self, pieces: Iterable[Piece]) -> None:
        for piece in pieces:
            if piece.tag:
                self._thoughts = self._pieces
                self._stops.take(ReasoningFound(piece.text, piece.tag))
            elif piece.text:
                made = ReasoningDelta if piece.is_reasoning else TextDelta
                self._stops.take(made(piece.text))


def _texts(value: Value) -> list[str]:
    return [one for one in value if isinstance(one, str)] if isinstance(value, list) else []
