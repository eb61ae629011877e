"""Turns errors of transformers, huggingface_hub, and torch into messages that say what happened and what to do."""

from __future__ import annotations

import contextlib
import ctypes
import errno
import gc
import logging
import re
import sys
import traceback
from collections.abc import Iterator
from typing import Final

from tui.conversation.turn import ReplyStats
from tui.engine import failures
from tui.engine.base import Cancelled, FailureCause, GenerationError, ModelLoadError
from tui.engine.hub import problems as hub_problems
from tui.engine.local import hub_kernels
from tui.engine.local.interruptible import GreedyError

_log = logging.getLogger(__name__)

_NO_MEMORY: Final = (
    "out of memory", "can't allocate memory", "cannot allocate memory", "not enough memory", "status_alloc_failed",
)  # fmt: skip
_GAVE_UP: Final = re.compile(
    r"device-side assert|illegal (memory access|address|instruction)|misaligned address|invalid program counter"
    r"|unspecified launch failure|launch timed out|uncorrectable (ECC|NVLink) error",
    re.IGNORECASE,
)
"""Errors of a GPU after which it does nothing more for this process."""
_START_AGAIN: Final = (
    "Restart chat-tui. The chat is saved. Until you restart, only the CPU can be used."
)
_LONGEST: Final = 10_000
_SMALLER: Final = "Try a smaller model or 4-bit quantization, or close other programs."


def load_error(error: BaseException, name: str) -> ModelLoadError:
    """Return the error to raise for a load that failed.

    Args:
        error: what was raised.
        name: the model's name as the user entered it.
    """
    if isinstance(error, ModelLoadError):
        return error
    return _known_problem(error, name) or ModelLoadError(
        f"{name} could not be loaded ({words(error)}).",
        "See the log for details, or try another model.",
    )


@contextlib.contextmanager
def blamed_on(part: str, name: str) -> Iterator[None]:
    """Convert an error raised inside the block into a message that names the faulty part of a model.

    Args:
        part: of the model, for example `config.json`.
        name: the model's name as the user entered it.

    Raises:
        ModelLoadError: instead of any error except those that end the thread.
    """
    try:
        yield
    except (ModelLoadError, Cancelled):
        raise
    except BaseException as error:
        if not isinstance(error, Exception) and not is_panic(error):
            raise
        failures.log(_log, logging.WARNING, f"the {part} of {name} can't be used", error)
        raise _known_problem(error, name) or ModelLoadError(
            f"The {part} of {name} can't be used ({words(error)}).",
            "Download or copy it again, or choose another model.",
        ) from error


def is_panic(error: BaseException) -> bool:
    """Return whether a library written in Rust gave up, as tokenizers does; that is no `Exception`."""
    return type(error).__name__ == "PanicException"


def words(error: BaseException) -> str:
    """Return what an error says; one that holds no words of a sentence, as KeyError, with its type."""
    text = failures.words(error)
    return text if " " in text else f"{type(error).__name__}: {text}"


def is_known(error: BaseException, name: str) -> bool:
    """Return whether there is a sentence for an error that a library raised for a model of a name."""
    return isinstance(error, ModelLoadError) or _known_problem(error, name) is not None


def _known_problem(error: BaseException, name: str) -> ModelLoadError | None:
    if not isinstance(error, Exception):
        return None
    return hub_problems.problem(error, name) or _model_problem(error, name)


def generation_error(error: Exception, stats: ReplyStats) -> GenerationError:
    """Return the error to raise for a reply that failed.

    Args:
        error: what was raised.
        stats: of the reply so far.
    """
    if isinstance(error, GenerationError):
        error.stats = stats
        return error
    if is_out_of_memory(error):
        return GenerationError(
            "There isn't enough memory to continue this reply.",
            "Shorten the chat, or load a smaller or quantized model.",
            stats,
            cause=FailureCause.MEMORY,
        )
    if gave_up(error):
        return GenerationError(
            _gave_up_words(error), _START_AGAIN, stats, cause=FailureCause.DEVICE
        )
    return GenerationError(
        f"The model failed ({failures.words(error)}).",
        "Try again. See the log for details.",
        stats,
    )


def is_out_of_memory(error: BaseException) -> bool:
    """Return whether memory ran out, on whichever device."""
    if isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError":
        return True
    if isinstance(error, OSError) and error.errno == errno.ENOMEM:
        return True
    text = failures.words(error, _LONGEST).lower()
    if isinstance(error, RuntimeError | OSError) or type(error).__name__ == "SafetensorError":
        return any(words in text for words in _NO_MEMORY)
    return False


def gave_up(error: BaseException) -> bool:
    """Return whether a GPU failed in a way after which this process can't use it any more."""
    text = failures.words(error, _LONGEST)
    return isinstance(error, RuntimeError) and _GAVE_UP.search(text) is not None


def _gave_up_words(error: BaseException) -> str:
    # The hint says what to do: it depends on whether this process is the app's.
    return f"The GPU failed ({failures.words(error, first_line=True)})."


def release(error: BaseException) -> None:
    """Free what the frames of a caught error hold, such as half a model, and the device's cached memory."""
    for at in failures.causes(error):
        traceback.clear_frames(at.__traceback__)
    free_device_memory()


def free_device_memory() -> None:
    """Collect garbage, and give back the memory that torch and the C library keep for later."""
    import torch

    gc.collect()
    if sys.platform == "linux":
        with contextlib.suppress(AttributeError, OSError):
            ctypes.CDLL(None).malloc_trim(0)
    for interface in (torch.cuda, torch.xpu):
        # A failed GPU fails here too; report the original error.
        with contextlib.suppress(RuntimeError):
            if interface.is_available() and interface.is_initialized():
                interface.empty_cache()
    if torch.backends.mps.is_available():
        torch.mps.empty_cache()


def _model_problem(error: Exception, name: str) -> ModelLoadError | None:
    text = failures.words(error)
    if isinstance(error, GreedyError):
        return ModelLoadError(
            f"{name} can't be used: {error} to read its config and tokenizer.",
            "They are damaged or malicious. Use another model.",
        )
    if is_out_of_memory(error):
        return ModelLoadError(
            f"There isn't enough memory to load {name}.", _SMALLER, cause=FailureCause.MEMORY
        )
    if gave_up(error):
        return ModelLoadError(_gave_up_words(error), _START_AGAIN, cause=FailureCause.DEVICE)
    if "custom code" in text or "trust_remote_code" in text:
        return ModelLoadError(
            f"A part of {name} requires custom code that can't be reviewed first, so the code wasn't run.",
            "Choose another model or revision.",
        )
    if hub_kernels.is_missed(error):
        return ModelLoadError(
            f"On this device, {name} requires a Hub kernel. That is code from the Hub, which chat-tui doesn't download or run.",
            "Choose a model without that quantization, or another device.",
        )
    if re.search(r"does not recognize this architecture|Unrecognized model in", text):
        return ModelLoadError(
            f"The installed version of transformers doesn't support the architecture of {name}.",
            "A newer version may support it: pip install -U transformers",
        )
    if isinstance(error, ImportError):
        package = getattr(error, "name", None) or "a package that it needs"
        return ModelLoadError(
            f"{name} can't be loaded without {package} ({text}).", "Install it and load again."
        )
    if "ignore_mismatched_sizes" in failures.words(error, _LONGEST) or "size mismatch" in text:
        return ModelLoadError(
            f"The weights of {name} don't match the shapes in its config.json.",
            "They may belong to different models. Download or copy both again.",
        )
    if type(error).__name__ == "SafetensorError":
        return ModelLoadError(
            f"The weights of {name} are damaged ({text}).", "Download or copy them again."
        )
    return None
