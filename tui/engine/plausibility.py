"""Plausibility checks of a model folder's files, before any library reads them.

A config that names a billion layers would keep transformers busy forever. What is wrong is said as a sentence. Kinds and sizes of
files are `folder_files`' business, weights are `checkpoint`'s business, and what follows from all numbers together is found out in
`local.blueprint`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from tui.engine import (
    folder_files,
    limits,
    model_files,
    module_patterns,
    quantization_types,
    tokenizer_settings,
)
from tui.engine.base import ModelLoadError
from tui.engine.folder_files import TEMPLATE_BYTES, wrong
from tui.engine.gguf_header import Array, Header, Vocabulary

_MOST_BYTES: Final[Mapping[str, int]] = {
    "config.json": model_files.CONFIG_BYTES,
    "generation_config.json": model_files.CONFIG_BYTES,
    "adapter_config.json": model_files.CONFIG_BYTES,
    "processor_config.json": model_files.CONFIG_BYTES,
    "tokenizer_config.json": 2 * model_files.CONFIG_BYTES,
    "special_tokens_map.json": 2 * model_files.CONFIG_BYTES,
    "added_tokens.json": 2 * model_files.CONFIG_BYTES,
    "chat_template.json": TEMPLATE_BYTES,
}
"""The files that hold one JSON object, and how long they can be."""
_OTHER_WEIGHTS: Final = "transformers_weights"
"""Names the file that weights are read from instead of the one that `checkpoint` looks at, and that facts are told of."""
_VERSIONS: Final = "configuration_files"
_VERSION: Final = re.compile(r"config\.[\w.-]{1,40}\.json")
_CORE: Final[Mapping[str, int]] = {
    "num_hidden_layers": limits.LAYERS, "n_layer": limits.LAYERS,
    "num_attention_heads": limits.HEADS, "n_head": limits.HEADS, "num_key_value_heads": limits.HEADS,
    "head_dim": limits.HEAD_DIM, "hidden_size": limits.WIDTH, "n_embd": limits.WIDTH, "intermediate_size": limits.WIDTH,
    "vocab_size": limits.VOCABULARY, "max_position_embeddings": limits.CONTEXT_TOKENS, "n_positions": limits.CONTEXT_TOKENS,
    "num_local_experts": limits.EXPERTS, "num_experts": limits.EXPERTS, "n_routed_experts": limits.EXPERTS,
}  # fmt: skip
"""What nearly every config says: nothing but a number can be meant, or one for each part of the model."""
_LENGTHS: Final = frozenset(("max_position_embeddings", "n_positions"))
"""Those of them that say how far positions go."""
_ANY: Final = 1 << 63
_KINDS: Final = (
    (re.compile(r"layers?$|(^|_)depths?$|^attention_types$|^num_(\w+_)?blocks$"), limits.LAYERS),
    (re.compile(r"experts?(_|$)"), limits.EXPERTS),
    (re.compile(r"heads?$"), limits.HEADS),
    # Each gets a name of its own, and some stand for the words of a vocabulary.
    (re.compile(r"labels$"), limits.WIDTH),
    (re.compile(r"positions|ctx|seq_len|context|window"), limits.CONTEXT_TOKENS),
    (re.compile(r"vocab|words|(^|_)num_embeddings$|buckets$"), limits.TABLE_ROWS),
    (re.compile(r"(_size|_dim|_width|_rank|_kernel)$|^d_|^n_(embd|inner)"), limits.VOCABULARY),
    # Tokenizers say 10**30 for "no limit".
    (re.compile(r"max_length$"), 10**31),
    # What a model was trained with is written down beside what it is made of.
    (re.compile(r"param|flop|token|sample|step|example|byte"), _ANY),
    (re.compile(r"^(num|n)_"), 100_000),
)
"""Other numbers by their names; the first that fits holds."""
_LAYERS_BY_STAGE: Final = "depths"
"""How the names of lists end that say how many layers each stage of a tower has."""
_HEADER_NUMBERS: Final[Mapping[str, int]] = {
    "embedding_length": limits.WIDTH, "feed_forward_length": limits.WIDTH, "expert_feed_forward_length": limits.WIDTH,
    "attention.head_count": limits.HEADS, "attention.head_count_kv": limits.HEADS,
    "attention.key_length": limits.HEAD_DIM, "attention.value_length": limits.HEAD_DIM, "rope.dimension_count": limits.HEAD_DIM,
    "attention.relative_buckets_count": limits.WIDTH,
    "context_length": limits.CONTEXT_TOKENS, "vocab_size": limits.VOCABULARY,
    "expert_count": limits.EXPERTS, "expert_used_count": limits.EXPERTS,
    "ssm.conv_kernel": limits.WIDTH, "ssm.inner_size": limits.WIDTH, "ssm.state_size": limits.WIDTH,
    "ssm.time_step_rank": limits.WIDTH, "shortconv.l_cache": limits.WIDTH,
}  # fmt: skip
"""The numbers of a GGUF header that a config is made of, but for that of the layers."""
_OF_EACH_LAYER: Final = frozenset(
    ("attention.head_count", "attention.head_count_kv", "feed_forward_length")
)
"""Those that some architectures give once for each layer."""
_MOST_TEXT_BYTES: Final = 4_000_000
"""Of all tokens in a GGUF file. Those in use have up to 2.5 MB."""


def check_folder(folder: Path, config: Mapping[str, Any]) -> None:
    """Check the files of a folder, but for its weights.

    Args:
        folder: contains a model.
        config: what its config.json says.

    Raises:
        ModelLoadError: something in it can't be as it says.
    """
    folder_files.check(folder)
    for one in (config, *_others(folder, config)):
        _check_config(folder, one)
    for name, most in _MOST_BYTES.items():
        if name != "config.json" and (folder / name).is_file():
            _check_object(folder / name, most)


def _others(folder: Path, config: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """Yield the configs that transformers may read instead of config.json: those that it names for other versions."""
    names = config.get(_VERSIONS)
    for name in () if names is None else names if isinstance(names, list) else (None,):
        if not (isinstance(name, str) and _VERSION.fullmatch(name)):
            raise wrong(
                folder / "config.json", f"{_VERSIONS} refers to a config that isn't in this folder"
            )
        if (folder / name).exists():
            yield _object(folder / name, model_files.CONFIG_BYTES)


def _check_config(folder: Path, config: Mapping[str, Any]) -> None:
    for part in _parts(config):
        _check_numbers(part, folder)
        if part.get(_OTHER_WEIGHTS) is not None:
            raise wrong(folder / "config.json", f"{_OTHER_WEIGHTS} refers to other weights")
        method = _mapping(part.get("quantization_config")).get("quant_method", "")
        if not isinstance(method, str):
            raise _says(folder / "config.json", "quant_method", method)
        try:
            module_patterns.check(part)
            quantization_types.check(part)
        except ValueError as error:
            raise wrong(folder / "config.json", str(error)) from error


def check_header(path: Path, header: Header) -> None:
    """Check what a GGUF file says of its model.

    Raises:
        ModelLoadError: it can't be.
    """
    layers = min(limits.LAYERS, len(header.tensors))
    for key, value in header.values.items():
        # Whatever stands before it: the library takes another architecture's numbers, too.
        name = key.partition(".")[2]
        most = layers if name == "block_count" else _HEADER_NUMBERS.get(name)
        if most is not None and not _is_header_number(name, value, most):
            raise _says(path, name, value)


def check_vocabulary(path: Path, vocabulary: Vocabulary) -> None:
    """Check how much is in the vocabulary of a GGUF file: making a tokenizer of it holds up every other thread.

    Raises:
        ModelLoadError: it is more than any model's.
    """
    if vocabulary.text_bytes > _MOST_TEXT_BYTES:
        raise wrong(path, "its vocabulary contains far more text than any real one")
    if vocabulary.added > tokenizer_settings.MOST_ADDED:
        raise wrong(path, f"it adds more than {tokenizer_settings.MOST_ADDED:,} tokens")
    if vocabulary.added_bytes > tokenizer_settings.MOST_ADDED_BYTES:
        raise wrong(path, "the tokens that it adds are far too long")


def _is_header_number(name: str, value: Any, most: int) -> bool:
    """Return whether a value is a number from 0 to `most`, or such a number for each layer where that can be."""
    if not isinstance(value, Array):
        return limits.is_count(value, most)
    # An array too long to have been kept has no numbers.
    return (
        name in _OF_EACH_LAYER
        and 0 < value.length == len(value.numbers)
        and all(limits.is_count(one, most) for one in value.numbers)
    )


def _parts(config: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """Yield a config and the configs in it, such as that of the language model in one that also sees."""
    yield config
    for inner in config.values():
        # Some stand under names such as `decoder`.
        if isinstance(inner, Mapping):
            yield from _parts(inner)


def _check_numbers(config: Mapping[str, Any], folder: Path) -> None:
    for name, value in config.items():
        values = list(_flat(value))
        if name.endswith(_LAYERS_BY_STAGE):
            values.append(sum(one for one in values if isinstance(one, int)))
        is_empty = name in _CORE and isinstance(value, Mapping) and not value
        if is_empty or not all(_can_be(name, one) for one in values):
            raise _says(folder / "config.json", name, value)


def _flat(value: Any) -> Iterator[Any]:
    """Yield a value, or those in a list or a mapping, and in the lists and mappings in it.

    Left out are those whose own names say of what kind they are: `_parts` comes to them, too.
    """
    if isinstance(value, list):
        for one in value:
            yield from _flat(one)
    elif isinstance(value, Mapping):
        for name, one in value.items():
            if name not in _CORE and _limit(name) is None:
                yield from _flat(one)
    else:
        yield value


def _can_be(name: str, value: Any) -> bool:
    if name in _LENGTHS and isinstance(value, float):
        # Some models measure positions in seconds. No comparison with NaN holds.
        return -1 <= value <= limits.CONTEXT_TOKENS
    if name in _CORE and not (name in _LENGTHS and value == -1):
        # Programs with only one number type write 32 as 32.0.
        whole = int(value) if isinstance(value, float) and value.is_integer() else value
        return whole is None or limits.is_count(whole, _CORE[name])
    if isinstance(value, bool) or not isinstance(value, int):
        return True
    # -1 often says "none".
    return value == -1 or abs(value) <= (_limit(name) or _ANY)


def _limit(name: str) -> int | None:
    """Return the largest number of the kind that a name is of; None where it says nothing of that."""
    return next((most for kind, most in _KINDS if kind.search(name)), None)


def _object(path: Path, most_bytes: int) -> Mapping[str, Any]:
    """Return what a JSON file holds, which must be an object."""
    try:
        value = model_files.read_json(path, most_bytes)
    except OSError as error:
        raise ModelLoadError(
            f"{path} can't be read ({error.strerror or error}).", "Check its permissions."
        ) from error
    except ValueError as error:
        raise wrong(path, str(error)) from error
    if not isinstance(value, dict):
        raise wrong(path, "it isn't a JSON object")
    return value


def _check_object(path: Path, most_bytes: int) -> None:
    value = _object(path, most_bytes)
    if not _is_template(value.get("chat_template")):
        raise wrong(path, "its chat template isn't text, or is far too long")
    if path.name in tokenizer_settings.FILES:
        try:
            tokenizer_settings.check(path.name, value)
        except ValueError as error:
            raise wrong(path, str(error)) from error


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _is_template(value: Any) -> bool:
    """Return whether a value can be a chat template: a text, or several by their names."""
    if isinstance(value, list):
        return all(
            isinstance(one, dict)
            and isinstance(one.get("name"), str)
            and _is_text(one.get("template"))
            for one in value
        )
    if isinstance(value, dict):
        return all(_is_text(one) for one in value.values())
    return value is None or _is_text(value)


def _is_text(value: Any) -> bool:
    return isinstance(value, str) and len(value) <= TEMPLATE_BYTES


def _says(path: Path, name: str, value: Any) -> ModelLoadError:
    shown = repr(value)
    shown = shown if len(shown) <= 40 else shown[:40] + "…"
    return wrong(path, f"{name} is {shown}, which isn't plausible for any model")
