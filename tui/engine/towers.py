"""What a model that also sees or hears keeps for that, told by the names of its parts.

A chat of text needs none of it. The estimate leaves it out by the names in the files, and loading by the names of modules: both ask here.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from tui.pattern import pattern

_NAMES: Final = (
    # Encoders of images, video, or audio.
    r"(\w+_)?(vision|visual|image|video|audio|speech)_(tower|model|encoder|backbone|neck|proj)",
    r"visual|vqmodel|encoder|qformer|(acoustic|semantic)_tokenizer_encoder|word_timestamp_(encoder|head)",
    # Projectors from features to embeddings.
    r"multi_modal_projector|mm_projector|projector|language_projection|image_to_text_projection|vision_projection",
    r"aligner|connector|merger|resampler_model|vision_resampler|vision_adapter|perception_emb_norm",
    r"vision_embed_tokens|visual_embeddings_table",
    # Image generators.
    r"generation_(embeddings|aligner|head)",
)
_IN_FILES: Final = (
    r"sam_model|qwen2_model|vit|visual|audio(_adapter)?|sound_(encoder|projection)|perception|ctc_timestamp",
    r"\w+_projector|mlp1|mlp_AR|patch_merger|pre_mm_projector_norm|vision_language_adapter",
    r"blocks\.\d+|deepstack_merger_list|patch_embed|pos_embed",
)
"""What files call such parts that transformers gives other names; the last of them don't even name their tower."""
_NAME: Final = pattern("|".join(_NAMES))
_PLACE: Final = pattern(rf"(?:model\.|thinker\.)*(?:{'|'.join((*_NAMES, *_IN_FILES))})\.")


def is_tower(name: str) -> bool:
    """Return whether a module of this name, which lies beside the language model, is only there to see, hear or draw."""
    return _NAME.fullmatch(name) is not None


def is_of_tower(tensor: str) -> bool:
    """Return whether a tensor of a model that has a language model in it belongs to a tower, by its name in the files."""
    return _PLACE.match(tensor) is not None


def has_language_model(config: Mapping[str, Any]) -> bool:
    """Return whether a config has another one in it for its language model, as models that also see or hear have."""
    return isinstance(config.get("text_config"), Mapping)
