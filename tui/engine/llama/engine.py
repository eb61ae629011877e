"""The engine that holds a GGUF model in llama.cpp. It speaks the dialect of llama-server with the server in its own process."""

from __future__ import annotations

import importlib
import logging
import os
import re
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import psutil

from tui.conversation.turn import USER, Message
from tui.engine import catalog, fit, gguf_files, memory
from tui.engine.base import (
    Cancelled,
    Capabilities,
    ContextOverflowError,
    Emit,
    Finished,
    GenerateRequest,
    GenerationError,
    IsCancelled,
    LoadRequest,
    MemoryReading,
    ModelInfo,
    ModelLoadError,
    Overflow,
    Progress,
    PromptDescribed,
    StopReason,
    TemplateSwitch,
)
from tui.engine.facts import ModelFacts
from tui.engine.failures import words
from tui.engine.llama.pieces import whole_pieces
from tui.engine.llama.reply import Stream
from tui.engine.llama.server import NAME, LlamaServer, Plan
from tui.engine.remote import overflow
from tui.engine.remote.chat_completions import ChatCompletions
from tui.engine.remote.dialect import THINKING, Served
from tui.engine.remote.dialects.llama_server import LLAMA_SERVER, defaults
from tui.engine.remote.problems import ServerError
from tui.engine.remote.telling import Telling, fitting
from tui.engine.remote.values import table, tables, text, whole
from tui.json_types import Json
from tui.parameters import whole as whole_parameter

_log = logging.getLogger(__name__)

_CHUNK_BYTES: Final = 4 * 2**20
_SPINS: Final = "1000"
"""How often a thread looks for more work before it sleeps, some ten microseconds: those that look for long take the cores from others,
and make a tenth of the tokens as soon as something else computes."""
_FIRST, _SECOND = "zqfirst", "zqsecond"
"""Words that stand for the user's next message."""
_EFFORTS: Final = ("low", "medium", "high")
_SAID_TEST: Final = "Hi"


def import_llama() -> None:
    """Import llama.cpp, with threads that don't keep the cores from others."""
    # Taken from the environment when the library is loaded.
    os.environ.setdefault("GOMP_SPINCOUNT", _SPINS)
    importlib.import_module("xllamacpp")


def _dialect(context_tokens: int = 0) -> ChatCompletions:
    """Return llama-server's dialect, for a model with so many tokens of context."""

    def more(body: dict[str, Json], request: GenerateRequest) -> None:
        # As far back as transformers looks: to the start of the chat.
        body["repeat_last_n"] = context_tokens
        if request.cached_at_most == 0:
            body["cache_prompt"] = False

    return replace(LLAMA_SERVER, name=NAME, more=more)


@dataclass(frozen=True, slots=True)
class _Held:
    """A model that is loaded."""

    server: LlamaServer
    dialect: ChatCompletions
    served: Served
    info: ModelInfo
    cache_bytes: int


class LlamaEngine:
    """Has one model in its life; implements `tui.engine.base.Engine`. Another model takes another process."""

    def __init__(self, folder: Path) -> None:
        """Start without a model.

        Args:
            folder: a private one for a socket; made when it is needed.
        """
        self._folder = folder
        self._held: _Held | None = None
        self._last: Stream | None = None

    @property
    def loaded(self) -> ModelInfo | None:
        """The model that is loaded."""
        return self._held.info if self._held is not None else None

    # -- loading

    def load(self, request: LoadRequest, emit: Emit, cancelled: IsCancelled) -> ModelInfo:
        """Load a model; see `Engine.load`. Only the reading of its files can be cancelled."""
        source = catalog.resolve(request.model)
        whole_file = gguf_files.read_whole(source.path)
        facts = catalog.facts(source)
        _read_ahead(whole_file.parts, emit, cancelled)
        emit(Progress("Loading weights"))
        free = psutil.virtual_memory().available
        plan = Plan(
            whole_file.parts[0],
            fit.llama_context(facts, free, request.context),
            request.threads,
            request.device,
            has_template=facts.has_template is not False,
        )
        server = self._served(plan)
        settings = table(server.ask("/props"), "default_generation_settings")
        template = text(table(server.ask("/props")).get("chat_template"))
        served = Served(
            "model",
            context_tokens=whole(settings.get("n_ctx")) or plan.context_tokens,
            thinks=None if THINKING in template or "reasoning_effort" in template else False,
            parameters=facts.parameters,
            defaults=defaults(table(settings, "params")),
        )
        info = _info(source, facts, served, server, _switches(template))
        dialect = _dialect(served.context_tokens)
        self._held = _Held(
            server, dialect, served, info, fit.cache_bytes(facts, served.context_tokens, dtype="float16")
        )
        _log.info("loaded %s", info)
        return info

    def _served(self, plan: Plan) -> LlamaServer:
        """Return a server with a model, in which its template works."""
        try:
            import_llama()
            server = LlamaServer(plan, self._folder)
        except ImportError as error:
            raise ModelLoadError(
                f"{NAME} can't be imported ({words(error)}).",
                "Install it again, or set model.gguf to transformers.",
            ) from error
        except (RuntimeError, ValueError) as error:
            raise ModelLoadError(f"{NAME} can't load {plan.path.name} ({words(error)}).") from error
        try:
            server.ask("/apply-template", {"messages": [{"role": USER, "content": _SAID_TEST}]})
        except ServerError:
            if not plan.parses:
                raise
            del server
            return self._served(replace(plan, parses=False))
        return server

    def unload(self) -> None:
        """Forget the model; its memory is freed with the process."""
        self._held = None

    # -- replies

    def generate(self, request: GenerateRequest, emit: Emit, cancelled: IsCancelled) -> Finished:
        """Generate a reply; see `Engine.generate`."""
        held = self._model()
        fits, dropped = fitting(request, held.dialect)
        telling = Telling(fits, emit, _notes(dropped))
        telling.start()
        try:
            self._wait(cancelled)
            telling.prompt_tokens = self._count(fits)
            wanted = whole_parameter(fits.parameters, "max_new_tokens") or 0
            limit = overflow.limit(
                fits.messages, telling.prompt_tokens, held.served.context_tokens, wanted
            )
            body = held.dialect.ask(held.served, fits, limit).body
            telling.tell_prompt()
            self._hear(Stream(held.server.chat, body), telling, cancelled)
        except Cancelled:
            return telling.finished(StopReason.CANCELLED)
        except ContextOverflowError as error:
            raise ContextOverflowError(self._overflow(fits, error.overflow)) from error
        except (ServerError, ValueError) as error:
            telling.tell_rest()
            raise _failed(error, telling) from error
        if telling.ended is None:
            raise GenerationError(f"{NAME} ended the reply without a reason.", "", telling.stats)
        return telling.finished(telling.ended.reason)

    def _hear(self, stream: Stream, telling: Telling, cancelled: IsCancelled) -> None:
        self._last = stream
        reader = self._model().dialect.reader()
        try:
            for piece in stream.pieces(cancelled):
                for said in reader.read(piece):
                    telling.take(said)
        finally:
            stream.stop()

    def prepare(self, request: GenerateRequest, cancelled: IsCancelled) -> bool:
        """Compute ahead what the next prompt begins with; see `Engine.prepare`."""
        if self._held is None or request.continue_last:
            return True
        try:
            self._wait(cancelled)
            start = self._certain(request)
            if not start:
                return True
            body: dict[str, Json] = {
                "prompt": start, "max_tokens": 0, "stream": True, "return_progress": True, "cache_prompt": True,
            }  # fmt: skip
            self._last = Stream(self._held.server.complete, body)
            for _ in self._last.pieces(cancelled):
                pass
        except Cancelled:
            return False
        except (ServerError, ValueError) as error:
            _log.info("nothing is computed ahead: %s", error)
        return True

    def _certain(self, request: GenerateRequest) -> str:
        """Return what the prompt begins with whatever the user says next."""
        texts = [
            self._prompt(
                replace(request, messages=(*request.messages, Message(USER, word)))
            ).partition(word)[0]
            for word in (_FIRST, _SECOND)
        ]
        return _common_start(*texts)

    def describe(self, request: GenerateRequest) -> PromptDescribed:
        """Return the prompt that the model would be given; see `Engine.describe`."""
        held = self._model()
        fits, _ = fitting(request, held.dialect)
        try:
            prompt = self._prompt(fits)
            return PromptDescribed(prompt, self._count(fits))
        except ServerError as error:
            raise _failed(error) from error

    def split(self, text: str) -> tuple[str, ...]:
        """Return a text cut into the model's tokens; see `Engine.split`."""
        if self._held is None or not text:
            return ()
        body: dict[str, Json] = {"content": text, "with_pieces": True}
        answer = self._held.server.ask("/tokenize", body)
        return whole_pieces([one.get("piece") for one in tables(table(answer).get("tokens"))])

    def memory(self) -> MemoryReading:
        """Return the memory of this machine and what the model takes of it; see `Engine.memory`."""
        held = self._held
        if held is None:
            return memory.read("cpu")
        return replace(memory.read("cpu"), weights=held.info.weights_bytes, cache=held.cache_bytes)

    def target_memory(self) -> tuple[str, MemoryReading]:
        """Return the same; where a model would go is known when it is loaded."""
        return "cpu", memory.read("cpu")

    # -- asking the server

    def _model(self) -> _Held:
        if self._held is None:
            raise GenerationError("No model is loaded.")
        return self._held

    def _wait(self, cancelled: IsCancelled) -> None:
        """Wait for a job that was stopped, which is still computing.

        Raises:
            Cancelled: this one is given up too.
        """
        if cancelled() or (self._last is not None and not self._last.wait(cancelled)):
            raise Cancelled

    def _prompt(self, request: GenerateRequest) -> str:
        held = self._model()
        body = held.dialect.ask(held.served, request, 0).body
        answer = held.server.ask("/apply-template", body)
        return text(table(answer).get("prompt"))

    def _count(self, request: GenerateRequest) -> int:
        held = self._model()
        body = held.dialect.ask(held.served, request, 0).body
        answer = held.server.ask("/v1/chat/completions/input_tokens", body)
        return whole(table(answer).get("input_tokens"))

    def _length(self, text: str) -> int:
        found = table(self._model().server.ask("/tokenize", {"content": text})).get("tokens")
        return len(found) if isinstance(found, list) else 0

    def _overflow(self, request: GenerateRequest, found: Overflow) -> Overflow:
        """Return by how much a chat is too long, with the tokens of each message as they are."""
        each = [self._length(message.content) for message in request.messages]
        around = max(0, found.prompt_tokens - sum(each)) // max(1, len(each))
        return replace(found, message_tokens=tuple(one + around for one in each))


def _common_start(one: str, other: str) -> str:
    same = (at for at, pair in enumerate(zip(one, other, strict=False)) if pair[0] != pair[1])
    return one[: next(same, min(len(one), len(other)))]


def _failed(error: Exception, telling: Telling | None = None) -> GenerationError:
    stats = telling.stats if telling is not None else None
    if isinstance(error, ServerError):
        return GenerationError(error.message, error.hint, stats)
    return GenerationError(
        f"{NAME} can't use the request ({words(error)}).",
        "Set model.gguf to transformers to use the other engine.",
        stats,
    )


def _notes(dropped: list[str]) -> tuple[str, ...]:
    if not dropped:
        return ()
    names = ", ".join(dropped)
    return (f"{NAME} doesn't support {names}; the reply is generated without it.",)


def _read_ahead(parts: tuple[Path, ...], emit: Emit, cancelled: IsCancelled) -> None:
    """Read the files once, so that the system has them in memory when they are mapped, and it shows how far that is.

    Raises:
        Cancelled: the job was cancelled.
        ModelLoadError: they can't be read.
    """
    total = sum(part.stat().st_size for part in parts)
    if total > psutil.virtual_memory().available:
        # What is read first would be gone at the end.
        return
    done = 0
    buffer = bytearray(_CHUNK_BYTES)
    try:
        for part in parts:
            with part.open("rb", buffering=0) as file:
                while count := file.readinto(buffer):
                    if cancelled():
                        raise Cancelled
                    done += count
                    emit(Progress("Reading the file", done, total, "B"))
    except OSError as error:
        raise ModelLoadError(
            f"The file {part} can't be read ({error.strerror or error}).", "Check its permissions."
        ) from error


def _switches(template: str) -> tuple[TemplateSwitch, ...]:
    found = []
    for name in (THINKING, "thinking"):
        if re.search(rf"\b{name}\b", template) and "thinking" in template:
            found.append(TemplateSwitch(name, (True, False)))
            break
    if "reasoning_effort" in template:
        found.append(TemplateSwitch("reasoning_effort", _EFFORTS))
    return tuple(found)


def _info(
    source: catalog.ModelSource,
    facts: ModelFacts,
    served: Served,
    server: LlamaServer,
    switches: tuple[TemplateSwitch, ...],
) -> ModelInfo:
    return ModelInfo(
        model=source.model,
        name=source.name,
        device=server.gpu or "cpu",
        dtype=facts.dtype,
        quantization_locked="llama.cpp keeps the quantization of the file. Choose another one when you load it to use transformers.",
        context_tokens=served.context_tokens,
        weights_bytes=facts.stored_bytes,
        defaults=dict(served.defaults),
        has_chat_template=facts.has_template is not False,
        notes=_context_note(facts, served),
        template_switches=switches,
        parameters=facts.parameters,
        is_mixture=facts.is_mixture,
        engine=NAME,
        capabilities=Capabilities(
            parameters=_dialect().parameters,
            drafts=False,
            holds_schema=True,
            because=f"{NAME} doesn't support this.",
        ),
    )


def _context_note(facts: ModelFacts, served: Served) -> tuple[str, ...]:
    if served.context_tokens >= facts.context_tokens:
        return ()
    note = (
        f"The context is {served.context_tokens:,} of {facts.context_tokens:,} tokens, because llama.cpp reserves its memory in advance. "
        "Set model.context to change it."
    )
    return (note,)
