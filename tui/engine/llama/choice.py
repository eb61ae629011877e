"""Decides which models run in llama.cpp. Imports neither it nor torch."""

from __future__ import annotations

import importlib.util
from typing import Final

from tui.engine import catalog
from tui.engine.base import LoadRequest, ModelLoadError
from tui.engine.catalog import ModelKind
from tui.engine.quantization import NONE

AUTO: Final = "auto"
LLAMA_CPP: Final = "llama.cpp"
TRANSFORMERS: Final = "transformers"
ENGINES: Final = (AUTO, LLAMA_CPP, TRANSFORMERS)
"""What may be chosen for GGUF files."""
INSTALL: Final = "pip install 'chat-tui[gguf]'"
_PACKAGE: Final = "xllamacpp"


def is_installed() -> bool:
    """Return whether llama.cpp is installed; it is not imported."""
    try:
        return importlib.util.find_spec(_PACKAGE) is not None
    except (ImportError, ValueError):
        return False


def prefers(engine: str) -> bool:
    """Return whether GGUF files run in llama.cpp unless something else is asked of them.

    Args:
        engine: one of `ENGINES`.
    """
    return engine == LLAMA_CPP or (engine == AUTO and is_installed())


def takes(request: LoadRequest) -> bool:
    """Return whether a model is for llama.cpp.

    A GGUF file is, unless transformers is chosen for it, or what only transformers can do with it: another quantization, an adapter, an
    assistant model.

    Raises:
        ModelLoadError: llama.cpp is chosen and not installed.
    """
    wants_more = request.adapter or request.assistant
    if request.gguf == TRANSFORMERS or wants_more:
        return False
    if request.gguf == AUTO and (request.quantization != NONE or not is_installed()):
        return False
    try:
        source = catalog.resolve(request.model)
    except ModelLoadError:
        # The other engine says why.
        return False
    if source.kind not in (ModelKind.GGUF, ModelKind.DEMO):
        return False
    if not is_installed():
        raise ModelLoadError(
            f"{source.name} is set to run in llama.cpp, which isn't installed.",
            f"Install it with: {INSTALL}. Or set model.gguf to auto.",
        )
    return True
