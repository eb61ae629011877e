"""`mlx_lm.server`: https://github.com/ml-explore/mlx-lm/blob/main/mlx_lm/SERVER.md."""

from __future__ import annotations

from typing import Final

from tui.engine.remote.chat_completions import PLAIN_PARAMETERS, ChatCompletions

MLX: Final = ChatCompletions(
    name="mlx_lm.server",
    names={
        **PLAIN_PARAMETERS,
        "top_k": "top_k",
        "min_p": "min_p",
        "repetition_penalty": "repetition_penalty",
    },
    # It says "reasoning" itself, and hands messages on to chat templates as they are, which know it by this name.
    reasoning="reasoning_content",
    always={"stream_options": {"include_usage": True}},
    template="chat_template_kwargs",
    holds_schema=False,
)
