"""SGLang: https://docs.sglang.ai/backend/openai_api_completions.html."""

from __future__ import annotations

from typing import Final

from tui.engine.remote.chat_completions import PLAIN_PARAMETERS, ChatCompletions
from tui.engine.remote.dialects.vllm import tokens_of

SGLANG: Final = ChatCompletions(
    name="SGLang",
    names={
        **PLAIN_PARAMETERS,
        "top_k": "top_k",
        "min_p": "min_p",
        "min_new_tokens": "min_tokens",
        "repetition_penalty": "repetition_penalty",
        "eos_token_id": "stop_token_ids",
    },
    reasoning="reasoning_content",
    continuing={"continue_final_message": True},
    always={"stream_options": {"include_usage": True, "continuous_usage_stats": True}},
    template="chat_template_kwargs",
    effort=True,
    counted=tokens_of,
)
