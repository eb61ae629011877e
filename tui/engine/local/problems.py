"""Turns what transformers, huggingface_hub and torch raise into a sentence that says what happened and what to do."""

from __future__ import annotations

import contextlib
import ctypes
import errno
import gc
import re
import sys
import traceback
from typing import Final

from tui.conversation.turn import ReplyStats
from tui.engine import hub
from tui.engine.base import FailureCause, GenerationError, ModelLoadError

_NO_MEMORY: Final = (
    "out of memory", "can't allocate memory", "cannot allocate memory", "not enough memory",
)  # fmt: skip
_SMALLER: Final = "Try a smaller model, 4-bit quantization, or close other programs."


def load_error(error: Exception, name: str) -> ModelLoadError:
    """Return the error to raise for a load that failed.

    Args:
        error: what was raised.
        name: what the user called the model.
    """
    if isinstance(error, ModelLoadError):
        return error
    found = hub.problem(error, name) or _model_problem(error, name)
    return found or ModelLoadError(
        f"{name} could not be loaded ({hub.brief(error)}).",
        "The log has the details; try another model.",
    )


def generation_error(error: Exception, stats: ReplyStats) -> GenerationError:
    """Return the error to raise for a reply that failed.

    Args:
        error: what was raised.
        stats: of the reply as far as it got.
    """
    if isinstance(error, GenerationError):
        return error
    if is_out_of_memory(error):
        return GenerationError(
            "There is not enough memory to go on with this reply.",
            "Shorten the chat, or load a smaller model or a quantization.",
            stats,
            cause=FailureCause.MEMORY,
        )
    return GenerationError(
        f"The model failed ({hub.brief(error)}).", "Try again; the log has the details.", stats
    )


def is_out_of_memory(error: BaseException) -> bool:
    """Return whether memory ran out, on whichever device."""
    if isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError":
        return True
    if isinstance(error, OSError) and error.errno == errno.ENOMEM:
        return True
    text = str(error).lower()
    if isinstance(error, RuntimeError | OSError) or type(error).__name__ == "SafetensorError":
        return any(words in text for words in _NO_MEMORY)
    return False


def release(error: BaseException) -> None:
    """Free what the frames of a caught error hold, such as half a model, and the device's cached memory."""
    at: BaseException | None = error
    while at is not None:
        traceback.clear_frames(at.__traceback__)
        at = at.__cause__ or at.__context__
    free_device_memory()


def free_device_memory() -> None:
    """Collect garbage, and give back the memory that torch and the C library keep for later."""
    import torch

    gc.collect()
    if sys.platform == "linux":
        with contextlib.suppress(AttributeError, OSError):
            ctypes.CDLL(None).malloc_trim(0)
    for interface in (torch.cuda, torch.xpu):
        if interface.is_available() and interface.is_initialized():
            interface.empty_cache()
    if torch.backends.mps.is_available():
        torch.mps.empty_cache()


def _model_problem(error: Exception, name: str) -> ModelLoadError | None:
    text = hub.brief(error)
    if is_out_of_memory(error):
        return ModelLoadError(
            f"There is not enough memory to load {name}.", _SMALLER, cause=FailureCause.MEMORY
        )
    if "custom code" in text or "trust_remote_code" in text:
        return ModelLoadError(
            f"{name} needs code from its own repository, which is not run unasked.",
            "If you trust its authors, allow it with --trust-remote-code.",
            cause=FailureCause.CODE,
        )
    if re.search(r"does not recognize this architecture|Unrecognized model in", text):
        return ModelLoadError(
            f"{name} is of an architecture that the installed transformers does not know.",
            "A newer transformers may know it: pip install -U transformers",
        )
    if isinstance(error, ImportError):
        package = getattr(error, "name", None) or "a package that it needs"
        return ModelLoadError(
            f"{name} can't be loaded without {package} ({text}).", "Install it and load again."
        )
    if "ignore_mismatched_sizes" in str(error) or "size mismatch" in text:
        return ModelLoadError(
            f"The weights of {name} have other shapes than its config.json says.",
            "They may belong to different models: download or copy both again.",
        )
    if type(error).__name__ == "SafetensorError":
        return ModelLoadError(
            f"The weights of {name} are broken ({text}).", "Download or copy them again."
        )
    return None
