"""One module per kind of server: its field names and capabilities."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from tui.engine.remote.dialect import Dialect
from tui.engine.remote.dialects.llama_server import LLAMA_SERVER
from tui.engine.remote.dialects.lm_studio import LM_STUDIO
from tui.engine.remote.dialects.mlx import MLX
from tui.engine.remote.dialects.ollama import OLLAMA
from tui.engine.remote.dialects.openai import OPENAI
from tui.engine.remote.dialects.sglang import SGLANG
from tui.engine.remote.dialects.transformers_serve import TRANSFORMERS_SERVE
from tui.engine.remote.dialects.vllm import VLLM

DIALECTS: Final[Mapping[str, Dialect]] = {
    "transformers": TRANSFORMERS_SERVE,
    "vllm": VLLM,
    "sglang": SGLANG,
    "llama-server": LLAMA_SERVER,
    "ollama": OLLAMA,
    "lm-studio": LM_STUDIO,
    "mlx": MLX,
    "openai": OPENAI,
}
"""By the names that the configuration file has for them."""
