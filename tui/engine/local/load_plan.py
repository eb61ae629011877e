"""Plans for the dtype, attention, and parts of a model, and fallbacks if its code doesn't support them.

Not every model's code computes in 16 bits, takes every implementation of attention, or does without the parts that see and hear. That
shows when it is made or computes its first token, and the load goes on with the next best.
"""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from tui.dataclass import dataclass
from tui.engine import failures
from tui.engine.base import LoadRequest, ModelLoadError
from tui.engine.local import problems
from tui.engine.local.narrowing import LeftOutError

if TYPE_CHECKING:
    import torch

_EAGER: Final = "eager"
_AUTO: Final = "auto"
_DTYPE_FAULT: Final = re.compile(
    r"scalar type|same dtype|dtypes? mismatch|to have the same dtype|Input type .* and (weight|bias) type|"
    r"not implemented for '(BFloat16|Half)'|unsupported (scalar|data ?type)",
    re.IGNORECASE,
)
_ATTENTION_FAULT: Final = re.compile(r"attention implementation|attn_implementation", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Plan:
    """The dtype, attention, and parts to load a model with.

    Attributes:
        dtype: of its weights, as torch has it.
        attention: the implementation, in transformers' names; empty for transformers' own choice.
        keeps_towers: whether to keep what a model sees and hears with.
        notes: what the user should know of it.
    """

    dtype: torch.dtype
    attention: str = ""
    keeps_towers: bool = False
    notes: tuple[str, ...] = ()


def after(plan: Plan, error: BaseException, request: LoadRequest, name: str) -> Plan | None:
    """Return the fallback for a failed plan; None if there is none.

    Args:
        plan: that failed.
        error: how.
        request: what the user asked for, which is not gone against.
        name: of the model.

    Raises:
        ModelLoadError: the user's own choice is what fails.
    """
    import torch

    if problems.is_out_of_memory(error):
        return None
    for cause in failures.causes(error):
        if isinstance(cause, LeftOutError) and not plan.keeps_towers:
            return replace(plan, keeps_towers=True)
        said = failures.words(cause, 10_000)
        if isinstance(cause, RuntimeError) and _DTYPE_FAULT.search(said):
            return _in_float32(plan, error, request, name) if plan.dtype != torch.float32 else None
        if isinstance(cause, ValueError | NotImplementedError) and _ATTENTION_FAULT.search(said):
            if request.attention or plan.attention == _EAGER:
                return None
            return replace(plan, attention=_EAGER)
    return None


def _in_float32(plan: Plan, error: BaseException, request: LoadRequest, name: str) -> Plan:
    import torch

    shown = str(plan.dtype).removeprefix("torch.")
    if request.dtype != _AUTO:
        raise ModelLoadError(
            f"The code of {name} doesn't support {shown}.", "Choose the data type float32, or auto."
        ) from error
    note = f"Converted to float32, which doubles the memory: the code of this model doesn't support {shown}."
    return replace(plan, dtype=torch.float32, notes=(*plan.notes, note))
