"""The private temporary folder from which transformers imports a model's code.

transformers copies the code to a folder that stays, and there Python takes what an earlier process compiled, whoever put it there: what
ran was not what had been agreed to. It does not decide what may run; that is `code`'s business.
"""

from __future__ import annotations

import atexit
import contextlib
import os
import sys
import threading
from pathlib import Path
from typing import Any, Final

from tui.engine.base import ModelLoadError
from tui.engine.local.scratch import clear, scratch
from tui.files import make_own_folder

_NAME: Final = "process"


class ModuleCache:
    """The folder of a process. There is one, as there is one list of imported modules."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._held = contextlib.ExitStack()
        self._folder: Path | None = None
        self._process = 0

    def use(self, parent: Path) -> None:
        """Have transformers import from the folder; before any code of a model runs, and after transformers was imported.

        Args:
            parent: where the folder is made, unless this process has one.

        Raises:
            ModelLoadError: it can't be made.
        """
        from transformers import dynamic_module_utils

        # mypy takes what a module imports for private.
        importer: Any = dynamic_module_utils
        try:
            with self._lock:
                folder = self._own(parent)
        except OSError as error:
            raise ModelLoadError(
                f"A private folder for the model's code can't be created in {parent} ({error.strerror or error}).",
                "Free some space there.",
            ) from error
        importer.HF_MODULES_CACHE = str(folder)
        if str(folder) not in sys.path:
            # Before the current folder, which may hold something of the same name.
            sys.path.insert(0, str(folder))

    def _own(self, parent: Path) -> Path:
        if self._folder is None or self._process != os.getpid():
            make_own_folder(parent)
            clear(parent)
            self._folder = self._held.enter_context(scratch(parent, _NAME))
            self._process = os.getpid()
            atexit.register(self._remove)
        # Whoever tidies up folders for temporary files may have removed it.
        make_own_folder(self._folder)
        return self._folder

    def _remove(self) -> None:
        # A process that was forked off leaves that of its parent alone.
        if self._process == os.getpid():
            self._held.close()


PROCESS: Final = ModuleCache()
