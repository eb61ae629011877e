"""Detects invalid logits: NaN or infinite.

They come of weights that overflow in a dtype with too small a range, and of broken ones. The likeliest token of such logits is any, often
`!`, and keys and values of that kind spoil whatever is computed after them: a NaN stays one under every mask. So a reply ends there, and
nothing that it computed is kept.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from tui.conversation.turn import ReplyStats
from tui.dataclass import dataclass
from tui.engine.base import GenerationError, ModelInfo
from tui.engine.quantization import NONE

if TYPE_CHECKING:
    from torch import Tensor

_WIDER: Final = {"float16": "bfloat16 or float32", "bfloat16": "float32"}
"""What has a greater range, or more digits, than a dtype."""


class NotFiniteError(ArithmeticError):
    """A model's logits are NaN or infinite."""


class NothingLeftError(ArithmeticError):
    """The settings of a reply exclude every possible next token, although the logits are valid."""


@dataclass(slots=True)
class Soundness:
    """Watches the logits of one reply.

    Attributes:
        allows_others: the user wants numbers that are none replaced, and the reply to go on.
    """

    allows_others: bool = False
    is_sound: bool = True
    """Whether all logits so far were numbers."""

    def check(self, logits: Tensor) -> None:
        """Look at the logits of one position.

        Raises:
            NotFiniteError: they are none, and that is not allowed.
        """
        if not bool(logits.max().isfinite()):
            self.is_sound = False
            if not self.allows_others:
                raise NotFiniteError

    def __call__(self, input_ids: Tensor, scores: Tensor) -> Tensor:  # noqa: ARG002 - `generate` passes it
        """Look at scores as a logits processor of `generate`, behind all others.

        Raises:
            NothingLeftError: the others rule out every token.
            NotFiniteError: as `check` does.
        """
        if bool(scores.max().isneginf()):
            raise NothingLeftError
        self.check(scores)
        return scores


def likeliest(scores: Tensor) -> int:
    """Return the likeliest token of scores of shape `(1, vocabulary)`.

    Raises:
        NotFiniteError: they are no numbers.
    """
    # The largest of numbers with a NaN among them is that NaN.
    token = scores.argmax(-1, keepdim=True)
    return _sound(token, scores.gather(-1, token))


def drawn(scores: Tensor) -> int:
    """Return a token drawn from scores of shape `(1, vocabulary)`.

    Raises:
        NotFiniteError: they are no numbers.
    """
    import torch

    chances = scores.softmax(-1)
    # One NaN or infinity makes all probabilities NaN.
    some = chances[:, :1]
    if scores.device.type != "cpu":
        # Sampling from them makes the GPU unusable for this process.
        chances = torch.where(some.isfinite(), chances, 1.0)
    elif not bool(some.isfinite()):
        raise NotFiniteError
    return _sound(torch.multinomial(chances, num_samples=1), some)


def _sound(token: Tensor, value: Tensor) -> int:
    """Return a token unless a value that shows whether it is one is no number; both come from a device in one go."""
    import torch

    number, is_sound = torch.cat((token, value.isfinite().to(token.dtype)), -1)[0].tolist()
    if not is_sound:
        raise NotFiniteError
    return int(number)


def nothing_left(stats: ReplyStats) -> GenerationError:
    """Return the error of a reply whose settings leave no token.

    Args:
        stats: of the reply so far.
    """
    return GenerationError(
        "The settings exclude every possible next token, so the reply ends here.",
        "Reset the settings that ban or bias tokens, such as “Banned sequences”, “Banned tokens”, or “Sequence bias”.",
        stats,
    )


def generation_error(info: ModelInfo, stats: ReplyStats) -> GenerationError:
    """Return the error of a reply that ended for this reason, with what to try.

    Args:
        info: of the model as it is loaded.
        stats: of the reply so far.
    """
    wider = _WIDER.get(info.dtype, "")
    tries = []
    if info.quantization != NONE and not info.quantization_locked:
        tries.append("without a quantization")
    if wider:
        tries.append(f"with the data type {wider}")
    hint = (
        f"Load it again {' or '.join(tries)}."
        if tries
        else "Its weights may be damaged. Download or copy them again, or choose another model."
    )
    return GenerationError(
        f"The model's outputs are out of range in {info.dtype or 'its data type'} (NaN or infinite), so its reply ends here.",
        hint,
        stats,
    )
