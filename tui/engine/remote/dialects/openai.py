"""Any other server that speaks the chat completions of OpenAI: only what all of them take is sent."""

from __future__ import annotations

from typing import Final

from tui.engine.remote.chat_completions import ChatCompletions

OPENAI: Final = ChatCompletions(
    name="OpenAI-compatible",
    # A proxy in front of others may list some of them only.
    loads_any=True,
    always={"stream_options": {"include_usage": True}},
)
