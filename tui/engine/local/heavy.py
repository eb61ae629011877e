"""Imports torch and transformers without freezing the screen, and keeps library output off the terminal.

Everything heavy in `engine.local` is imported after `import_heavy` ran, on the worker's thread. Where log lines go in the
end is not decided here: they reach the root logger.
"""

from __future__ import annotations

import contextlib
import ctypes
import gc
import importlib
import importlib.util
import logging
import os
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

from tui.engine.base import ModelLoadError
from tui.engine.failures import words
from tui.engine.hub.hub import keep_quiet
from tui.engine.hub.problems import check_library
from tui.engine.local import hub_kernels

_LIBRARIES: Final = ("c10", "torch_cpu", "torch")
"""Those that know nothing of Python: what they do while they are loaded needs no lock of the interpreter."""
_SWITCH_INTERVAL_S: Final = 0.0005
_STDOUT: Final = 1
_TALKATIVE: Final = (
    "transformers",
    "torch",
    "accelerate",
    "bitsandbytes",
    "py.warnings",
)


def import_heavy() -> None:
    """Import torch and transformers and route their output to `logging`. Fast if they are already imported.

    Raises:
        ModelLoadError: they are not installed, or broken.
    """
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    # OpenMP's threads otherwise spin while they wait for each other. On a desktop in use, where one of them is often held
    # up, that makes a token several times as slow; the variable is read when the library is loaded.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    logging.captureWarnings(True)
    hub_kernels.block()
    try:
        if "transformers.generation.utils" not in sys.modules:
            with _smooth_import():
                _load_torch_libraries()
                importlib.import_module("torch")
                importlib.import_module("transformers.models.auto.modeling_auto")
                importlib.import_module("transformers.models.auto.tokenization_auto")
                importlib.import_module("transformers.generation.utils")
    except (ImportError, ValueError, RuntimeError) as error:
        check_library()
        raise ModelLoadError(
            f"PyTorch or transformers can't be imported ({words(error)}).",
            "Reinstall chat-tui or these two packages.",
        ) from error
    route_output_to_logging()


def route_output_to_logging() -> None:
    """Take from the libraries their own ways to the terminal: log handlers, warnings and progress bars."""
    from transformers import dynamic_module_utils
    from transformers.utils import logging as transformers_logging

    hide_bars: Callable[..., Any] = transformers_logging.disable_progress_bar
    # Otherwise it asks on the terminal, and takes a key for an answer, where a part of a model needs code that nobody agreed to.
    dynamic_module_utils.TIME_OUT_REMOTE_CODE = 0

    logging.captureWarnings(True)
    hide_bars()
    keep_quiet()
    for name in _TALKATIVE:
        logger = logging.getLogger(name)
        for handler in list(logger.handlers):
            if type(handler) is logging.StreamHandler:
                logger.removeHandler(handler)
        logger.propagate = True
    # It warns of a cast at every single product of an 8-bit model.
    logging.getLogger("bitsandbytes.autograd._functions").setLevel(logging.ERROR)


class _Stdout:
    """Standard output of the process, which several jobs may want shut at once."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._users = 0
        self._kept: int | None = None
        """Where it went before; None while it is as it was, or closed."""

    def shut(self) -> None:
        with self._lock:
            if self._users == 0:
                self._kept = _sent_nowhere()
            self._users += 1

    def open(self) -> None:
        """Let it go where it went, unless others still want it shut."""
        with self._lock:
            self._users -= 1
            if self._users == 0 and self._kept is not None:
                os.dup2(self._kept, _STDOUT)
                os.close(self._kept)
                self._kept = None


_PROCESS_STDOUT: Final = _Stdout()


@contextlib.contextmanager
def stdout_shut() -> Iterator[None]:
    """Discard everything written to standard output inside the block, including output from native code.

    tokenizers writes there what it does not know of a model's files, escape sequences included. The screen is drawn on standard error.
    The block belongs around what waits for such work, not into it: work that a cancel left to itself may never end, and programs
    such as the user's editor need standard output.
    """
    _PROCESS_STDOUT.shut()
    try:
        yield
    finally:
        _PROCESS_STDOUT.open()


def _sent_nowhere() -> int | None:
    """Send standard output nowhere; return a descriptor of where it went before, None if it is closed."""
    try:
        kept = os.dup(_STDOUT)
    except OSError:
        return None
    try:
        nowhere = os.open(os.devnull, os.O_WRONLY)
    except OSError:
        os.close(kept)
        raise
    os.dup2(nowhere, _STDOUT)
    os.close(nowhere)
    return kept


@contextlib.contextmanager
def _smooth_import() -> Iterator[None]:
    """Keep the other threads going: collections of a fast growing heap stop the process for half a second each."""
    interval_s = sys.getswitchinterval()
    collecting = gc.isenabled()
    gc.disable()
    sys.setswitchinterval(min(interval_s, _SWITCH_INTERVAL_S))
    try:
        yield
    finally:
        sys.setswitchinterval(interval_s)
        if collecting:
            # All of it stays. Looking for what does not would stop the other threads for a third of a second.
            gc.freeze()
            gc.enable()


def _load_torch_libraries() -> None:
    """Load torch's shared libraries while other threads run; neither `import torch` nor `ctypes.CDLL` lets them.

    ctypes gives up the interpreter's lock around every foreign function, but not, in Python 3.11, around its own dlopen. So
    dlopen is called as a foreign function.
    """
    if not sys.platform.startswith(("linux", "darwin")) or "torch" in sys.modules:
        return
    spec = importlib.util.find_spec("torch")
    if spec is None or spec.origin is None:
        return
    dlopen = getattr(ctypes.CDLL(None), "dlopen", None)
    if dlopen is None:
        return
    dlopen.restype, dlopen.argtypes = ctypes.c_void_p, (ctypes.c_char_p, ctypes.c_int)
    suffix = ".dylib" if sys.platform == "darwin" else ".so"
    for name in _LIBRARIES:
        path = Path(spec.origin).parent / "lib" / f"lib{name}{suffix}"
        # `import torch` knows further ways to find what is missing, and says what is wrong if there is none.
        if not path.is_file() or not dlopen(os.fsencode(path), os.RTLD_NOW | os.RTLD_GLOBAL):
            return
