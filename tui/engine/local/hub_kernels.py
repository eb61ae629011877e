"""Blocks Hub kernels: code that transformers would download and run without asking, even in the middle of a reply.

A config may name one as its attention, a quantized checkpoint may ask for one by its method, and FlashAttention is replaced by one
where its package is missing. All of that goes through the package `kernels`.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Final

from tui.engine.base import ModelLoadError

if TYPE_CHECKING:
    from transformers import PreTrainedConfig

_PACKAGE: Final = "kernels"
_MISSING: Final = ("`kernels`", "kernels-community")
_HINT: Final = "Choose sdpa, eager, or another installed implementation, or leave it empty for the best available one."


def block() -> None:
    """Make the package that fetches kernels count as not installed; before transformers looks for it."""
    # Python's own way to make an import fail. Whoever has another way then takes that.
    sys.modules[_PACKAGE] = None  # type: ignore[assignment]


def refuse(attention: str) -> None:
    """Check that an attention implementation chosen by the user isn't a Hub kernel.

    Raises:
        ModelLoadError: it is.
    """
    if "/" in attention:
        raise ModelLoadError(
            f"The attention implementation {attention} is a Hub kernel: code to download and run. chat-tui doesn't run Hub kernels.",
            _HINT,
        )


def forget_choices(config: PreTrainedConfig) -> None:
    """Forget which implementations a model's config names, its parts included: what is used is decided here.

    Beside kernels of the Hub, these may be implementations that can't run on this machine.
    """
    from transformers import PreTrainedConfig

    if isinstance(config, PreTrainedConfig):
        config._attn_implementation = None  # noqa: SLF001 - transformers has no public name for them
        config._experts_implementation = None  # noqa: SLF001


def is_missed(error: Exception) -> bool:
    """Return whether a load failed because Hub kernels are blocked."""
    return isinstance(error, ImportError) and any(word in str(error) for word in _MISSING)
