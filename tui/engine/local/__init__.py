"""The engine that runs transformers in this process. Importing it loads neither torch nor transformers."""

from tui.engine.local.engine import LocalEngine

__all__ = ["LocalEngine"]
