"""vLLM: https://docs.vllm.ai/en/stable/serving/openai_compatible_server.html."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from tui.engine.remote.chat_completions import PLAIN_PARAMETERS, ChatCompletions
from tui.engine.remote.dialect import Served
from tui.engine.remote.link import Link
from tui.engine.remote.values import table, whole
from tui.json_types import Json


async def tokens_of(
    link: Link, model: Served, messages: list[Json], shape: Mapping[str, Json]
) -> int:
    """Return what `/tokenize` counts; SGLang has it too."""
    body: dict[str, Json] = {"model": model.id, "messages": messages, **shape}
    answer = table(await link.post("/tokenize", body))
    return whole(answer.get("count"))


VLLM: Final = ChatCompletions(
    name="vLLM",
    names={
        **PLAIN_PARAMETERS,
        "top_k": "top_k",
        "min_p": "min_p",
        "min_new_tokens": "min_tokens",
        "repetition_penalty": "repetition_penalty",
        "eos_token_id": "stop_token_ids",
    },
    reasoning="reasoning",
    continuing={"continue_final_message": True, "add_generation_prompt": False},
    always={"stream_options": {"include_usage": True, "continuous_usage_stats": True}},
    template="chat_template_kwargs",
    effort=True,
    counted=tokens_of,
)
