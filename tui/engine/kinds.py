"""Which kinds of models can't hold a chat, as far as a config.json tells it without transformers: for lists, which import nothing heavy.

What is said here, a load would say, too: `local.model_classes` asks transformers itself. In doubt nothing is said, since whatever is said
here stands beside a model that somebody may want to load.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any, Final

from tui.engine import pipelines
from tui.engine.base import ModelLoadError

ENCODERS: Final = frozenset((
    "albert", "bert", "bert-generation", "big_bird", "camembert", "convbert", "data2vec-text", "deberta", "deberta-v2",
    "distilbert", "electra", "ernie", "esm", "esmc", "eurobert", "flaubert", "fnet", "funnel", "gte", "ibert",
    "jina_embeddings_v3", "layoutlm", "longformer", "luke", "megatron-bert", "mobilebert", "modernbert", "modernvbert",
    "mpnet", "mra", "neomme", "nomic_bert", "nystromformer", "perceiver", "reformer", "rembert", "roberta",
    "roberta-prelayernorm", "roc_bert", "roformer", "squeezebert", "tapas", "ultrabert", "ultravbert", "xlm-roberta",
    "xlm-roberta-xl", "xmod", "yoso",
))  # fmt: skip
"""Kinds that read a text and write none, unless their config says that they are decoders."""
ENCODER_DECODERS: Final = frozenset((
    "audioflamingo3", "autoformer", "bart", "bigbird_pegasus", "blenderbot", "blenderbot-small", "canary", "canary_decoder",
    "cohere_asr", "conditional_detr", "d_fine", "dab-detr", "deformable_detr", "deimv2", "detr", "dia", "dia_decoder",
    "encoder-decoder", "fastspeech2_conformer", "florence2", "fsmt", "grounding-dino", "informer", "led", "longt5", "m2m_100",
    "marian", "mbart", "mm-grounding-dino", "moonshine", "moonshine_streaming", "mt5", "musicflamingo", "musicgen",
    "musicgen_melody", "mvp", "nemotron3_5_asr", "nemotron_asr_streaming", "nllb-moe", "omdet-turbo", "parakeet_rnnt",
    "parakeet_tdt", "pegasus", "pegasus_x", "pix2struct", "plbart", "pop2piano", "pp_doclayout_v2", "pp_doclayout_v3",
    "pp_doclayout_v4", "pp_formulanet", "pp_formulanet_text", "prophetnet", "rag", "rt_detr", "rt_detr_v2", "seamless_m4t",
    "seamless_m4t_v2", "speech-encoder-decoder", "speech_to_text", "speecht5", "switch_transformers", "t5", "t5gemma",
    "t5gemma2", "table-transformer", "time_series_transformer", "udop", "umt5", "vision-encoder-decoder", "whisper",
))  # fmt: skip
"""Kinds that turn one thing into a text or another, unless their config says that they are no encoder-decoders."""
_HINT: Final = "Choose a model made for chats or text generation."
_TABLES: Final = ("auto_mappings.py", "configuration_auto.py", "modeling_auto.py")
_LONGEST: Final = 60


def check(config: Mapping[str, Any], name: str) -> None:
    """Check that a model's kind is one that the installed transformers can load as a model that writes text.

    Args:
        config: what its config.json means.
        name: of the model.

    Raises:
        ModelLoadError: it certainly isn't.
    """
    if isinstance(config.get("auto_map"), Mapping):
        # Custom code may do anything.
        return
    kind = config.get("model_type")
    if not isinstance(kind, str) or not kind:
        _check_nameless(config, name)
    elif kind in ENCODER_DECODERS:
        if config.get("is_encoder_decoder", True) is True and not _is_decoder_alone(config):
            raise encoder_decoder(name, kind)
    elif kind in ENCODERS:
        if config.get("is_decoder") is not True:
            raise encoder(name, kind)
    elif not _is_mentioned(kind):
        raise ModelLoadError(
            f"{name} needs a newer version of transformers, or custom code: the installed version doesn't support "
            f"the architecture {kind[:_LONGEST]}.",
            "A newer version may support it: pip install -U transformers",
        )


def encoder(name: str, kind: str) -> ModelLoadError:
    """Return the error for a model that only reads."""
    return ModelLoadError(
        f"{name} is an encoder ({kind}), which reads text but doesn't generate it.", _HINT
    )


def encoder_decoder(name: str, kind: str) -> ModelLoadError:
    """Return the error for a model with an encoder beside its decoder."""
    return ModelLoadError(
        f"{name} is an encoder-decoder model ({kind}), which converts one text into another and can't chat.",
        _HINT,
    )


def nameless(name: str) -> ModelLoadError:
    """Return the error for a config that tells no kind of model."""
    return ModelLoadError(
        f"The config.json of {name} doesn't specify what kind of model it is: model_type is missing.",
        "It may belong to another program. Download or copy the model's own config.json.",
    )


def _check_nameless(config: Mapping[str, Any], name: str) -> None:
    """Check that a config without a model_type names a class that may tell the kind."""
    if part := pipelines.part(config):
        raise pipelines.error(name, part)
    named = config.get("architectures")
    if not any(_is_mentioned(str(one)) for one in (named if isinstance(named, list) else ())):
        raise nameless(name)


def _is_decoder_alone(config: Mapping[str, Any]) -> bool:
    """Return whether a checkpoint is only the decoder of an encoder-decoder model."""
    named = config.get("architectures")
    return any(
        isinstance(one, str) and one.endswith("ForCausalLM")
        for one in (named if isinstance(named, list) else ())
    )


def _is_mentioned(word: str) -> bool:
    """Return whether transformers' tables have a word for a kind or a class; True where they can't be looked into.

    A list of what one version knows would refuse what a newer one loads, so the installed one is asked: as text, since importing it
    takes seconds.
    """
    tables = _tables()
    return not tables or f'"{word}"' in tables


@cache
def _tables() -> str:
    """Return the source of transformers' tables of kinds and classes; empty where there is none."""
    try:
        # A top-level package is found without importing it.
        spec = importlib.util.find_spec("transformers")
    except (ImportError, ValueError):
        return ""
    found = []
    for folder in (spec.submodule_search_locations or ()) if spec else ():
        for name in _TABLES:
            try:
                found.append((Path(folder) / "models" / "auto" / name).read_text("utf-8"))
            except (OSError, UnicodeDecodeError):
                continue
    return "\n".join(found)
