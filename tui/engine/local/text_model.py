"""The engine's view of a transformers model, where the library's own types are incomplete."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

if TYPE_CHECKING:
    from torch import Tensor
    from transformers import PreTrainedModel

    class TextModel(PreTrainedModel):
        """A model that can generate, for annotations alone. `generate` takes more kinds of arguments than its own types name."""

        def generate(self, inputs: Tensor, **options: Any) -> Any:
            """Return prompt and reply."""

        def prepare_inputs_for_generation(
            self, input_ids: Tensor, **options: Any
        ) -> dict[str, Any]:
            """Return what the next pass is given."""
            ...


def input_weights(model: PreTrainedModel) -> Tensor:
    """Return the weights of the embedding that a model looks its ids up in: a row for each token."""
    return cast("Tensor", model.get_input_embeddings().weight)
