"""The kinds of servers: what each lists, says of itself, takes, streams and refuses, in its own shape."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from tests.engine.remote.talk import CHAT, CONTEXT, MODEL, Talk, Told, delta, usage


@dataclass
class Column:
    """One kind of server.

    Attributes:
        dialect: its name in `dialects.DIALECTS`.
        name: for people.
        owner: what stands as `owned_by` in its list; empty for nothing.
        entry: what else its list says of the model.
        pages: what it answers to other paths.
        missing: what it says where there is nothing.
        reasoning: the field of the reasoning in a delta.
        has_done: whether a stream ends with `[DONE]`.
        too_long: what it says to a chat that is too long, by tokens.
        refused: another error, in its shape.
    """

    dialect: str
    name: str
    owner: str = ""
    entry: dict[str, Any] = field(default_factory=dict)
    pages: dict[str, Any] = field(default_factory=dict)
    missing: tuple[int, Any] = (404, {"detail": "Not Found"})
    reasoning: str = "reasoning_content"
    has_done: bool = True
    chat: str = CHAT
    too_long: Callable[[int], tuple[int, Any]] | None = None
    refused: Any = field(default_factory=lambda: {"error": {"message": "No way.", "code": 500}})

    def models(self) -> dict[str, Any]:
        owner = {"owned_by": self.owner} if self.owner else {}
        return {
            "object": "list",
            "data": [{"id": MODEL, "object": "model", **owner, **self.entry}],
        }

    def answer(self, talk: Talk) -> None:
        path = talk.asked.path
        if path == self.chat:
            self.reply(talk)
        elif path in self.pages:
            page = self.pages[path]
            page(talk) if callable(page) else talk.json(page)
        elif path == "/v1/models":
            talk.json(self.models())
        else:
            talk.json(self.missing[1], self.missing[0])

    def reply(self, talk: Talk) -> None:
        tokens = tokens_of(talk.body.get("messages"))
        if self.too_long is not None and tokens >= CONTEXT:
            status, value = self.too_long(tokens)
            talk.json(value, status)
            return
        self.tell(talk, talk.server.told)

    def tell(self, talk: Talk, told: Told) -> None:
        talk.stream()
        talk.event(delta(role="assistant", content=""))
        for text, is_reasoning in told.pieces:
            talk.event(delta(**{self.reasoning if is_reasoning else "content": text}))
        for last in self.ends(told):
            talk.event(last)
        if self.has_done:
            talk.event("[DONE]")
        talk.end()

    def ends(self, told: Told) -> list[dict[str, Any]]:
        """What comes behind the last word."""
        return [delta(told.reason), {"choices": [], "usage": usage(told)}]


def tokens_of(messages: Any) -> int:
    """Words, and two for each message."""
    return sum(len(one["content"].split()) + 2 for one in messages or ())


# -- the kinds


def _tokenize(talk: Talk) -> None:
    talk.json({"count": tokens_of(talk.body.get("messages")), "max_model_len": CONTEXT})


class _LlamaServer(Column):
    def tell(self, talk: Talk, told: Told) -> None:
        talk.stream()
        for done in (8, 14, 20):
            progress = {"total": 20, "cache": 8, "processed": done, "time_ms": 1}
            talk.event({**delta(role="assistant", content=None), "prompt_progress": progress})
        for text, is_reasoning in told.pieces:
            talk.event(delta(**{self.reasoning if is_reasoning else "content": text}))
        for last in self.ends(told):
            talk.event(last)
        talk.event("[DONE]")
        talk.end()

    def ends(self, told: Told) -> list[dict[str, Any]]:
        timings = {
            "cache_n": told.cached_tokens,
            "prompt_n": told.prompt_tokens - told.cached_tokens,
            "prompt_ms": 250.0,
            "predicted_n": told.new_tokens,
            "predicted_ms": 500.0,
        }
        last = {"choices": [], "timings": timings, "usage": usage(told)}
        return [delta(told.reason), last]


class _Ollama(Column):
    def tell(self, talk: Talk, told: Told) -> None:
        talk.stream("application/x-ndjson")
        for text, is_reasoning in told.pieces:
            talk.chunk(_line({("thinking" if is_reasoning else "content"): text}))
        talk.chunk(
            _line(
                {"content": ""},
                done=True,
                done_reason=told.reason,
                prompt_eval_count=told.prompt_tokens,
                eval_count=told.new_tokens,
                prompt_eval_duration=250_000_000,
                eval_duration=500_000_000,
            )
        )
        talk.end()


def _line(message: dict[str, Any], **more: Any) -> bytes:
    line = {"model": MODEL, "message": {"role": "assistant", **message}, "done": False, **more}
    return json.dumps(line).encode() + b"\n"


class _Transformers(Column):
    def reply(self, talk: Talk) -> None:
        pinned = talk.server.pinned
        if not talk.body.get("model") or (pinned and talk.body["model"] != pinned):
            asked = talk.body.get("model")
            said = f"Server is pinned to '{pinned}'; requested '{asked}'."
            talk.json({"detail": said if pinned else "No such model."}, 400)
        elif unknown := set(talk.body) - _TAKEN:
            talk.json({"detail": f"Unexpected fields in the request: {unknown}"}, 422)
        else:
            super().reply(talk)

    def ends(self, told: Told) -> list[dict[str, Any]]:
        return [{**delta(told.reason), "usage": usage(told)}]


_TAKEN = {
    "model", "messages", "stream", "temperature", "top_p", "seed", "max_tokens", "stop", "generation_config",
    "chat_template_kwargs", "frequency_penalty", "stream_options",
}  # fmt: skip


def _load_model(talk: Talk) -> None:
    talk.stream()
    talk.event({"status": "loading", "model": talk.body["model"], "stage": "config"})
    progress = {"current": 3, "total": 7}
    talk.event({"status": "loading", "stage": "weights", "progress": progress})
    talk.event({"status": "ready", "model": talk.body["model"], "cached": False})
    talk.end()


def _vllm_too_long(tokens: int) -> tuple[int, Any]:
    said = (
        f"This model's maximum context length is {CONTEXT} tokens. However, your request has {tokens} input tokens. "
        "Please reduce the length of the input messages."
    )
    return 400, {"error": {"message": said, "type": "BadRequestError", "param": None, "code": 400}}


def _sglang_too_long(tokens: int) -> tuple[int, Any]:
    said = (
        f"The input ({tokens} tokens) is longer than the model's context length ({CONTEXT} tokens)."
    )
    return 400, {"object": "error", "message": said, "type": "BadRequestError", "code": 400}


def _llama_too_long(tokens: int) -> tuple[int, Any]:
    said = f"request ({tokens} tokens) exceeds the available context size ({CONTEXT} tokens), try increasing it"
    error = {"code": 400, "message": said, "type": "exceed_context_size_error"}
    return 400, {"error": {**error, "n_prompt_tokens": tokens, "n_ctx": CONTEXT}}


def _ollama_too_long(_tokens: int) -> tuple[int, Any]:
    return 400, {"error": "the input length exceeds the context length"}


def _lm_studio_too_long(tokens: int) -> tuple[int, Any]:
    said = (
        f"Trying to keep the first {tokens} tokens when context the overflows. However, the model is loaded with context "
        f"length of only {CONTEXT} tokens, which is not enough. Try to load the model with a longer context length, or "
        "provide a shorter input"
    )
    return 400, {"error": said}


def _openai_too_long(tokens: int) -> tuple[int, Any]:
    said = (
        f"This model's maximum context length is {CONTEXT} tokens. However, your messages resulted in {tokens} tokens. "
        "Please reduce the length of the messages."
    )
    error = {"message": said, "type": "invalid_request_error", "code": "context_length_exceeded"}
    return 400, {"error": error}


LLAMA_PROPS = {
    "default_generation_settings": {
        "n_ctx": CONTEXT,
        "params": {"temperature": 0.800000011920929, "top_k": 40, "top_p": 0.949999988079071,
                   "repeat_penalty": 1.0, "seed": 4294967295, "stop": [], "n_predict": -1},
    },
    "modalities": {"vision": False, "audio": False},
    "chat_template": "{% if enable_thinking %}<think>{% endif %}",
}  # fmt: skip

COLUMNS: dict[str, Column] = {
    column.dialect: column
    for column in (
        Column(
            "vllm", "vLLM", "vllm", {"max_model_len": CONTEXT}, {"/tokenize": _tokenize},
            reasoning="reasoning", too_long=_vllm_too_long,
            refused={"error": {"message": "The engine died.", "type": "InternalServerError", "param": None, "code": 500}},
        ),
        Column(
            "sglang", "SGLang", "sglang", {"max_model_len": CONTEXT}, {"/tokenize": _tokenize},
            too_long=_sglang_too_long,
            refused={"object": "error", "message": "The engine died.", "type": "InternalServerError", "code": 500},
        ),
        _LlamaServer(
            "llama-server", "llama-server", "llamacpp",
            {"meta": {"n_params": 1_000_000, "n_ctx_train": 8192}},
            {
                "/props": LLAMA_PROPS,
                "/apply-template": lambda talk: talk.json(
                    {"prompt": "\n".join(one["content"] for one in talk.body["messages"])}
                ),
                "/tokenize": lambda talk: talk.json({"tokens": list(range(len(talk.body["content"].split())))}),
            },
            missing=(404, {"error": {"code": 404, "message": "File Not Found", "type": "not_found_error"}}),
            too_long=_llama_too_long,
            refused={"error": {"code": 500, "message": "The engine died.", "type": "server_error"}},
        ),
        _Ollama(
            "ollama", "Ollama", "library", {},
            {
                "/api/version": {"version": "0.12.0"},
                "/api/tags": {"models": [{"name": MODEL, "details": {"quantization_level": "Q4_K_M"}}]},
                "/api/show": {
                    "model_info": {
                        "general.architecture": "tiny", "tiny.context_length": CONTEXT,
                        "general.parameter_count": 1_000_000,
                    },
                    "capabilities": ["completion", "thinking"],
                    "details": {"quantization_level": "Q4_K_M"},
                },
                "/api/ps": {"models": []},
            },
            missing=(404, "404 page not found"), chat="/api/chat", too_long=_ollama_too_long,
            refused={"error": "The engine died."},
        ),
        Column(
            "lm-studio", "LM Studio", "organization_owner", {},
            {
                "/api/v0/models": {
                    "object": "list",
                    "data": [{
                        "id": MODEL, "type": "llm", "state": "loaded", "quantization": "Q4_K_M",
                        "max_context_length": 32768, "loaded_context_length": CONTEXT,
                        "capabilities": ["tool_use"],
                    }],
                },
            },
            missing=(200, {"error": "Unexpected endpoint or method. (GET /api/version)"}),
            too_long=_lm_studio_too_long,
            refused={"error": "The engine died."},
        ),
        _Transformers(
            "transformers", "transformers serve", "org", {},
            {
                "/openapi.json": {"paths": {"/load_model": {}, CHAT: {}}},
                "/load_model": _load_model,
                "/health": {"status": "ok"},
            },
            has_done=False,
            refused={"detail": "The engine died."},
        ),
        Column(
            "mlx", "mlx_lm.server", "", {"created": 1}, {"/health": {"status": "ok"}},
            missing=(404, "Not Found"), reasoning="reasoning", refused={"error": "The engine died."},
        ),
        Column(
            "openai", "OpenAI-compatible", "someone",
            missing=(404, {"error": {"message": "Invalid URL", "type": "invalid_request_error"}}),
            too_long=_openai_too_long,
        ),
    )
}  # fmt: skip
