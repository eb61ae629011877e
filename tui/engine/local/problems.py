"""Turns what transformers, huggingface_hub and torch raise into a sentence that says what happened and what to do."""

from __future__ import annotations

import contextlib
import ctypes
import errno
import gc
import re
import sys
import traceback
from typing import Any, Final

from tui.conversation.turn import ReplyStats
from tui.engine.base import GenerationError, ModelLoadError

_SMALLER: Final = "Try a smaller model, 4-bit quantization, or close other programs."
_LENGTH: Final = 300


def load_error(error: Exception, name: str) -> ModelLoadError:
    """Return the error to raise for a load that failed.

    Args:
        error: what was raised.
        name: what the user called the model.
    """
    if isinstance(error, ModelLoadError):
        return error
    found = _hub_problem(error, name) or _model_problem(error, name)
    return found or ModelLoadError(
        f"{name} could not be loaded ({brief(error)}).",
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
        )
    return GenerationError(
        f"The model failed ({brief(error)}).", "Try again; the log has the details.", stats
    )


def is_out_of_memory(error: BaseException) -> bool:
    """Return whether memory ran out, on whichever device."""
    if isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError":
        return True
    if isinstance(error, OSError) and error.errno == errno.ENOMEM:
        return True
    text = str(error).lower()
    return isinstance(error, RuntimeError) and (
        "out of memory" in text or "can't allocate memory" in text or "not enough memory" in text
    )


def brief(error: BaseException) -> str:
    """Return an error in one line that is not too long."""
    text = " ".join(str(error).split()) or type(error).__name__
    return text if len(text) <= _LENGTH else text[: _LENGTH - 1] + "…"


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


def _hub_problem(error: Exception, name: str) -> ModelLoadError | None:
    from huggingface_hub import errors

    gated = ModelLoadError(
        f"{name} is private or asks you to agree to its terms first.",
        f"Agree on https://huggingface.co/{name} and run: hf auth login",
    )
    if isinstance(error, errors.GatedRepoError):
        return gated
    if isinstance(error, errors.RepositoryNotFoundError):
        return ModelLoadError(
            f"There is no model {name} on the Hugging Face Hub, or it is private.",
            "Check the spelling; for a private model run: hf auth login",
        )
    if isinstance(error, errors.RevisionNotFoundError):
        return ModelLoadError(
            f"{name} has no such revision.", "Check the branch, tag or commit, or leave it out."
        )
    if isinstance(error, errors.HFValidationError):
        return ModelLoadError(
            f"{name!r} is not the name of a model.", "Name a Hub id such as org/model."
        )
    if _status(error) in (401, 403):
        return gated
    if isinstance(error, errors.LocalEntryNotFoundError | errors.OfflineModeIsEnabled) or (
        _is_network_problem(error)
    ):
        return ModelLoadError(
            f"The Hugging Face Hub can't be reached, and {name} is not completely on this machine.",
            "Check the network, or name a model that was downloaded before, a folder or a .gguf file.",
        )
    if isinstance(error, errors.HfHubHTTPError):
        return ModelLoadError(
            f"The Hugging Face Hub answered with an error ({brief(error)}).", "Try again later."
        )
    return None


def _model_problem(error: Exception, name: str) -> ModelLoadError | None:
    text = brief(error)
    if is_out_of_memory(error):
        return ModelLoadError(f"There is not enough memory to load {name}.", _SMALLER)
    if isinstance(error, OSError) and error.errno == errno.ENOSPC:
        return ModelLoadError(f"The disk is full, so {name} can't be stored.", "Make room there.")
    if "custom code" in text or "trust_remote_code" in text:
        return ModelLoadError(
            f"{name} needs code from its own repository, which is not run unasked.",
            "If you trust its authors, allow it with --trust-remote-code.",
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
    if type(error).__name__ == "SafetensorError":
        return ModelLoadError(
            f"The weights of {name} are broken ({text}).", "Download or copy them again."
        )
    return None


def _is_network_problem(error: BaseException) -> bool:
    seen: Any = error
    while seen is not None:
        module = type(seen).__module__.partition(".")[0]
        if isinstance(seen, ConnectionError | TimeoutError) or module in (
            "httpx",
            "httpx2",
            "httpcore",
            "requests",
            "urllib3",
        ):
            return _status(seen) is None
        seen = seen.__cause__ or seen.__context__
    return False


def _status(error: BaseException) -> int | None:
    status = getattr(getattr(error, "response", None), "status_code", None)
    return status if isinstance(status, int) else None
