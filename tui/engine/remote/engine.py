"""The engine whose model is on a server. It runs on the worker's thread, with an event loop of its own so that waiting can be ended."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Iterable, Sequence
from contextlib import aclosing
from dataclasses import replace
from typing import Any, Final, TypeVar

from tui.conversation.turn import ReplyStats
from tui.dataclass import dataclass
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
    StopReason,
)
from tui.engine.remote import overflow
from tui.engine.remote.address import Address, AddressError, parse
from tui.engine.remote.chat_completions import DONE
from tui.engine.remote.dialect import Dialect, Served, Tell
from tui.engine.remote.link import Link, Stream
from tui.engine.remote.probing import probe
from tui.engine.remote.problems import ServerError
from tui.engine.remote.servers import Server, server_of
from tui.engine.remote.telling import Telling, fitting
from tui.errors import listed
from tui.parameters import whole
from tui.sanitize import sanitize_line

LOOK_S: Final = 0.05
"""How often a wait looks whether it was cancelled."""
AFTER_END_S: Final = 3.0
"""How long a server may take for what comes behind the last word."""
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

    @property
    def lost(self) -> str:
        """Nothing: a server that is gone is reported when it is asked."""
        return ""

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
        raise ServerError(f"{server} lists no models.", hint)
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


def _cannot(dialect: Dialect, what: str) -> str:
    return f"{dialect.name} can't {what}."


class _Reply:
    """One reply, from the request to its last word."""

    def __init__(self, request: GenerateRequest, emit: Emit, connected: _Connected) -> None:
        self._on = connected
        self._request, dropped = fitting(request, connected.dialect)
        self._telling = Telling(self._request, emit, _notes(connected.server.label, dropped))
        self._telling.start()

    @property
    def has_begun(self) -> bool:
        """Whether anything was said."""
        return self._telling.has_begun

    @property
    def stats(self) -> ReplyStats:
        """What it cost."""
        return self._telling.stats

    def tell_rest(self) -> None:
        """Emit what was held back, as nothing more comes."""
        self._telling.tell_rest()

    def finished(self, reason: StopReason) -> Finished:
        """Return the end of the reply."""
        return self._telling.finished(reason)

    async def run(self) -> Finished:
        """Ask for the reply and hand on what comes of it."""
        limit = await self._limit()
        ask = self._on.dialect.ask(self._on.model, self._request, limit)
        async with self._on.link.stream(ask.path, ask.body) as stream:
            self._telling.tell_prompt()
            await self._hear_all(stream)
        if self._telling.ended is None:
            raise ServerError(
                f"{self._on.link.name} closed the connection in the middle of the reply.",
                "Check that the server is still running.",
                is_lost=True,
            )
        return self.finished(self._telling.ended.reason)

    async def _hear_all(self, stream: Stream) -> None:
        """Take all that comes, and behind the last word only what comes soon: the figures, and from some servers nothing."""
        reader = self._on.dialect.reader()
        try:
            async with asyncio.timeout(None) as patience, aclosing(aiter(stream)) as pieces:
                async for piece in pieces:
                    for said in reader.read(self._on.link.hidden(piece)):
                        self._telling.take(said)
                    if piece.strip() == DONE:
                        return
                    if self._telling.ended is not None and patience.when() is None:
                        patience.reschedule(asyncio.get_running_loop().time() + AFTER_END_S)
        except TimeoutError:
            return
        except ServerError:
            # Nothing of a reply that has ended is lost with the connection.
            if self._telling.ended is None:
                raise

    async def _limit(self) -> int:
        """Return how many tokens the reply may have, where that is less than what was asked for; 0 for no other limit.

        Raises:
            ContextOverflowError: the prompt leaves no room.
        """
        context, messages = self._on.model.context_tokens, self._request.messages
        wanted = whole(self._request.parameters, "max_new_tokens") or 0
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
        self._telling.prompt_tokens = counted
        return overflow.limit(messages, counted, context, wanted)


def _notes(server: str, dropped: Sequence[str]) -> tuple[str, ...]:
    """Return a sentence about unsupported parameters, for example when regenerating a reply of another engine."""
    if not dropped:
        return ()
    it = "it" if len(dropped) == 1 else "them"
    return (f"{server} doesn't support {listed(dropped)}; the reply is generated without {it}.",)
