"""The engine's process with a fault planted: while a certain file exists, the fifth pass looks up a token that there isn't.

On a GPU that is a device-side assert, after which the device does nothing more for the process. Elsewhere an error with the same words is
raised. Started by `gpu` in place of the usual program, with the same arguments; the file is named in `VARIABLE`.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, Final

VARIABLE: Final = "CHAT_TUI_BENCHMARK_POISON"
PASSES: Final = 5
WORDS: Final = "CUDA error: device-side assert triggered"


def plant(path: Path) -> None:
    """Watch all passes from now on."""
    import torch
    from torch.nn.modules.module import register_module_forward_pre_hook

    passes = 0

    def look(module: Any, arguments: Any) -> Any:
        nonlocal passes
        if not isinstance(module, torch.nn.Embedding) or not path.exists():
            return None
        passes += 1
        if passes < PASSES:
            return None
        ids = arguments[0]
        if ids.device.type == "cpu":
            raise RuntimeError(WORDS)
        return (ids + module.num_embeddings, *arguments[1:])

    register_module_forward_pre_hook(look)


def main() -> None:
    """Run the engine's process."""
    from tui.engine.local.heavy import import_heavy
    from tui.engine.process import serving

    # Answers go there, and nothing that a library prints.
    answers = os.dup(1)
    os.dup2(2, 1)
    import_heavy()
    plant(Path(os.environ[VARIABLE]))
    os.dup2(answers, 1)
    os.close(answers)
    serving.main()


if __name__ == "__main__":
    main()
