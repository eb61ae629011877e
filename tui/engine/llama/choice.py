"""Decides which models run in llama.cpp. Imports neither it nor torch."""

from __future__ import annotations

import importlib.util
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from tui.engine.base import LoadRequest, ModelLoadError
from tui.engine.demo import DEMO, demo_model, demo_name

if TYPE_CHECKING:
    from tui.engine.catalog import ModelSource
    from tui.engine.facts import ModelFacts

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


def facts(source: ModelSource, engine: str) -> ModelFacts:
    """Return what is known of a model on this machine, and of a GGUF file also what runs it.

    Args:
        source: the model.
        engine: for GGUF files; one of `ENGINES`.

    Raises:
        ModelLoadError: its files are broken.
    """
    from tui.engine import catalog

    return in_engine(catalog.facts(source), engine)


def in_engine(known: ModelFacts, engine: str) -> ModelFacts:
    """Return facts as they are with what runs GGUF files: in llama.cpp they are as quantized as their file is."""
    if not known.is_gguf:
        return known
    if not prefers(engine):
        return replace(known, engine="", method="")
    return replace(known, engine=LLAMA_CPP, method=known.dtype.partition(" ")[2])


def takes(request: LoadRequest) -> bool:
    """Return whether a model is for llama.cpp.

    A GGUF file is, unless transformers is chosen for it, or an adapter or an assistant model is asked for, which only transformers has.

    Raises:
        ModelLoadError: llama.cpp is chosen and not installed.
    """
    wants_more = request.adapter or request.assistant
    if request.gguf == TRANSFORMERS or wants_more:
        return False
    if not prefers(request.gguf):
        return False
    name = _gguf_name(request.model)
    if not name:
        return False
    if not is_installed():
        raise ModelLoadError(
            f"{name} is set to run in llama.cpp, which isn't installed.",
            f"Install it with: {INSTALL}. Or set model.gguf to auto.",
        )
    return True


def _gguf_name(model: str) -> str:
    """Return the name, for people, of a model that is a GGUF file; empty for any other."""
    if model.strip() == DEMO:
        # The first frame waits for this, so the catalog isn't imported for it.
        path = demo_model()
        return demo_name(path) if path is not None else ""
    from tui.engine import catalog

    try:
        source = catalog.resolve(model)
    except ModelLoadError:
        # The other engine says why.
        return ""
    return source.name if source.kind in (catalog.ModelKind.GGUF, catalog.ModelKind.DEMO) else ""
