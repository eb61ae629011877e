"""Loads a GGUF file into llama.cpp, and is what is then loaded."""

from __future__ import annotations

import importlib
import logging
import os
import re
from dataclasses import replace
from pathlib import Path
from typing import Final

import psutil

from tui.conversation.thoughts import ThinkSplitter
from tui.dataclass import dataclass
from tui.engine import catalog, fit, gguf_files
from tui.engine.base import (
    Cancelled,
    Capabilities,
    Emit,
    GenerateRequest,
    IsCancelled,
    LoadRequest,
    ModelInfo,
    ModelLoadError,
    Progress,
    TemplateSwitch,
)
from tui.engine.facts import ModelFacts
from tui.engine.failures import words
from tui.engine.gguf_header import read_control_tokens
from tui.engine.llama import reasoning
from tui.engine.llama.control_tokens import ControlTokens
from tui.engine.llama.reasoning import Reasoning
from tui.engine.llama.server import NAME, LlamaServer, Plan
from tui.engine.quantization import NONE
from tui.engine.remote.chat_completions import ChatCompletions
from tui.engine.remote.dialect import THINKING, Served
from tui.engine.remote.dialects.llama_server import LLAMA_SERVER, defaults
from tui.engine.remote.problems import ServerError
from tui.engine.remote.telling import fitting, joined
from tui.engine.remote.values import table, text, whole
from tui.json_types import Json
from tui.parameters import PARAMETERS

_log = logging.getLogger(__name__)

_CHUNK_BYTES: Final = 4 * 2**20
_ENVIRONMENT: Final = {
    # How often a thread looks for more work before it sleeps, some ten microseconds. Threads that look for long take the cores from
    # others, and make a tenth of the tokens as soon as something else computes.
    "GOMP_SPINCOUNT": "1000",
    # It would start a debugger.
    "GGML_NO_BACKTRACE": "1",
}
_LIMIT: Final = PARAMETERS["max_new_tokens"]
_EFFORTS: Final = ("low", "medium", "high")


def import_llama() -> None:
    """Import llama.cpp, with threads that don't keep the cores from others."""
    # Taken from the environment when the library is loaded.
    for name, value in _ENVIRONMENT.items():
        os.environ.setdefault(name, value)
    importlib.import_module("xllamacpp")


@dataclass(frozen=True, slots=True)
class Loaded:
    """A model that is loaded.

    Attributes:
        server: has it.
        dialect: how it is asked.
        served: the model, as the dialect knows it.
        info: the model, as the app knows it.
        control_tokens: of its vocabulary.
        cache_bytes: that its keys and values take.
        reasoning: separates reasoning that llama.cpp leaves in the text; None if it leaves none.
        writes_reasoning: whether llama.cpp knows how to write the reasoning of a reply that is continued.
    """

    server: LlamaServer
    dialect: ChatCompletions
    served: Served
    info: ModelInfo
    control_tokens: ControlTokens
    cache_bytes: int
    reasoning: Reasoning | None = None
    writes_reasoning: bool = True

    def fitting(self, request: GenerateRequest) -> tuple[GenerateRequest, list[str]]:
        """Return a request as it is sent, and the names of the parameters that were left out; raises `ServerError`."""
        messages = tuple(map(self.control_tokens.as_text, request.messages))
        if self.reasoning is not None and request.continue_last and not self.writes_reasoning:
            last = self.reasoning.written(self._before_last(request), messages[-1])
            messages = (*messages[:-1], last)
        # It would write to the end of the context.
        values = {_LIMIT.name: _LIMIT.default, **request.parameters}
        return fitting(replace(request, messages=messages, parameters=values), self.dialect)

    def splitter(self, request: GenerateRequest) -> ThinkSplitter | None:
        """Return what separates the reasoning of a reply; None where that can be told from the reply. Raises `ServerError`.

        Args:
            request: as it was before `fitting`.
        """
        # What has to fit a schema does so from the first token: it isn't reasoning.
        if self.reasoning is None or request.schema is not None:
            return None
        if request.continue_last:
            return self.reasoning.continuing(self._before_last(request), request.messages[-1])
        return self.reasoning.splitter(self.prompt(self.fitting(request)[0]))

    def _before_last(self, request: GenerateRequest) -> str:
        """Return the prompt that the last message of a request is the reply to."""
        messages = tuple(map(self.control_tokens.as_text, request.messages[:-1]))
        # With the switches of the request, which are others where a reply is continued.
        return self.prompt(replace(request, messages=joined(messages)))

    def body(self, request: GenerateRequest, limit: int = 0) -> dict[str, Json]:
        """Return what is sent for a reply of so many tokens at most; 0 for any number."""
        return self.dialect.ask(self.served, request, limit).body

    def prompt(self, request: GenerateRequest) -> str:
        """Return the prompt that is made of a request; raises `ServerError`, as the two below do."""
        return text(table(self.server.ask("/apply-template", self.body(request))).get("prompt"))

    def count(self, request: GenerateRequest) -> int:
        """Return how many tokens that is."""
        answer = self.server.ask("/v1/chat/completions/input_tokens", self.body(request))
        return whole(table(answer).get("input_tokens"))

    def tokens(self, content: str) -> object:
        """Return the tokens of a text, each with its piece of it, as the server tells them."""
        body: dict[str, Json] = {"content": content, "with_pieces": True}
        return table(self.server.ask("/tokenize", body)).get("tokens")


def load(request: LoadRequest, folder: Path, emit: Emit, cancelled: IsCancelled) -> Loaded:
    """Load a model. Only the reading of its files can be cancelled.

    Args:
        request: names a GGUF file.
        folder: a private one for a socket; made when it is needed.
        emit: takes the progress.
        cancelled: tells when to stop.

    Raises:
        ModelLoadError: it can't be loaded.
        Cancelled: the job was cancelled.
    """
    source = catalog.resolve(request.model)
    whole_file = gguf_files.read_whole(source.path)
    facts = catalog.facts(source)
    first = whole_file.parts[0]
    control_tokens = ControlTokens(read_control_tokens(first, whole_file.headers[0]))
    _read_ahead(whole_file.parts, emit, cancelled)
    emit(Progress("Loading weights"))
    room = fit.llama_context(facts, psutil.virtual_memory().available, request.context)
    has_template = facts.has_template is not False
    server = _served(Plan(first, room, request.threads, request.device, has_template), folder)
    props = server.ask("/props")
    settings, template = table(props, "default_generation_settings"), text(table(props).get("chat_template"))  # fmt: skip
    served = Served(
        first.name,
        context_tokens=whole(settings.get("n_ctx")) or room,
        parameters=facts.parameters,
        defaults=defaults(table(settings, "params")),
    )
    info = _info(request, source, facts, served, server, switches(template))
    cache = fit.cache_bytes(facts, served.context_tokens, dtype="float16")
    _log.info("loaded %s", info)
    held = Loaded(server, _dialect(served.context_tokens), served, info, control_tokens, cache)
    return _with_reasoning(held, template) if has_template else held


def _with_reasoning(held: Loaded, template: str) -> Loaded:
    """Return a model with what separates its reasoning, if llama.cpp doesn't."""
    try:
        prompt = held.prompt(GenerateRequest(reasoning.PROBE, continue_last=True))
    except ServerError:
        # The template rejects so short a chat.
        return held
    is_known = reasoning.is_known(prompt)
    if is_known and held.server.parses:
        return held
    found = Reasoning(template, held.control_tokens)
    return replace(held, reasoning=found, writes_reasoning=is_known)


def _served(plan: Plan, folder: Path) -> LlamaServer:
    """Return a server with a model; where its template has reasoning that llama.cpp can't find, one that doesn't look for it."""
    try:
        import_llama()
        return LlamaServer(plan, folder)
    except ImportError as error:
        raise ModelLoadError(
            f"{NAME} can't be imported ({words(error)}).",
            "Install it again, or set model.gguf to transformers.",
        ) from error
    except (RuntimeError, ValueError) as error:
        if plan.parses:
            return _served(replace(plan, parses=False), folder)
        raise ModelLoadError(f"The file {plan.path.name} can't be loaded by llama.cpp.") from error


def _dialect(context_tokens: int = 0) -> ChatCompletions:
    """Return llama-server's dialect, for a model with so many tokens of context."""

    def more(body: dict[str, Json], request: GenerateRequest) -> None:
        # As far back as transformers looks: to the start of the chat.
        body["repeat_last_n"] = context_tokens
        if request.cached_at_most == 0:
            body["cache_prompt"] = False

    return replace(LLAMA_SERVER, name=NAME, more=more)


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


def switches(template: str) -> tuple[TemplateSwitch, ...]:
    """Return the switches of reasoning that a chat template has."""
    found = [
        TemplateSwitch(name, (True, False))
        for name in (THINKING, "thinking")
        if re.search(rf"\b{name}\b", template)
    ][:1]
    if "reasoning_effort" in template:
        found.append(TemplateSwitch("reasoning_effort", _EFFORTS))
    return tuple(found)


def _info(
    request: LoadRequest,
    source: catalog.ModelSource,
    facts: ModelFacts,
    served: Served,
    server: LlamaServer,
    found: tuple[TemplateSwitch, ...],
) -> ModelInfo:
    return ModelInfo(
        model=source.model,
        name=source.name,
        device=server.gpu or "cpu",
        dtype=facts.dtype,
        quantization_locked="llama.cpp keeps the quantization of the file. For others, set model.gguf to transformers.",
        context_tokens=served.context_tokens,
        weights_bytes=facts.stored_bytes,
        defaults=dict(served.defaults),
        has_chat_template=facts.has_template is not False,
        notes=(*_quantization_note(request), *_context_note(facts, served)),
        template_switches=found,
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


def _quantization_note(request: LoadRequest) -> tuple[str, ...]:
    if request.quantization == NONE:
        return ()
    note = f"The quantization {request.quantization} has no effect in llama.cpp. Set model.gguf to transformers to use it."
    return (note,)


def _context_note(facts: ModelFacts, served: Served) -> tuple[str, ...]:
    if served.context_tokens >= facts.context_tokens:
        return ()
    note = (
        f"The context is limited to {served.context_tokens:,} of the model's {facts.context_tokens:,} tokens, because llama.cpp reserves the memory for it in advance. "
        "Set model.context to change it."
    )
    return (note,)
