"""Formats of models that transformers doesn't load, told by the names and headers of their files, and what to do about each."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, Final

from tui.dataclass import dataclass
from tui.pattern import pattern

_HERE: Final = "Download the model in Hugging Face format, with config.json and model.safetensors."


@dataclass(frozen=True, slots=True)
class Foreign:
    """What a folder contains instead of a loadable model.

    Attributes:
        what: continues after "contains".
        hint: what to do.
    """

    what: str
    hint: str = _HERE


ADAPTER_HINT: Final = "In the model list (F4), select its base model, press F2 (Load with options), and enter the adapter there."
"""What to do with an adapter alone: that dialog is the only place where one is named."""
TRAINING: Final = Foreign(
    "files left by a training run but no weights", "Use the folder that the model was saved to."
)
_FORMATS: Final = (
    (("model_index.json",), Foreign("a diffusion pipeline, which generates images or audio, not text", "Choose a model made for text generation.")),
    (("*.onnx", "*.onnx_data"), Foreign("a model for ONNX Runtime only")),
    (("openvino_*.xml", "openvino_*.bin"), Foreign("a model for OpenVINO only")),
    (("*.mlpackage", "*.mlmodel", "*.mlmodelc"), Foreign("a model for Core ML only")),
    (("tf_model*.h5", "*.h5", "saved_model.pb", "*.ckpt.index", "model.ckpt*", "*.keras"), Foreign("weights for TensorFlow only, which transformers no longer loads")),
    (("flax_model*.msgpack", "*.msgpack"), Foreign("weights for Flax (JAX) only, which transformers no longer loads")),
    (("*.tflite", "*.task", "*.litertlm"), Foreign("a model for LiteRT only")),
    (("*.engine", "rank*.engine", "*.plan"), Foreign("a model compiled for TensorRT only")),
    (("*.mlc", "mlc-chat-config.json", "params_shard_*.bin", "ndarray-cache.json"), Foreign("a model for MLC only")),
    (("*.nemo",), Foreign("a model for NeMo only")),
    (("*.llamafile",), Foreign("a llamafile, which is a program with an embedded model", "Download the model as a .gguf file or as safetensors.")),
    (("*.distcp", ".metadata"), Foreign("a training checkpoint split across several devices", "Merge it first, for example with: accelerate merge-weights FOLDER OUTPUT")),
    (("latest_checkpointed_iteration.txt",), Foreign("a Megatron-LM checkpoint", "Convert it to Hugging Face format first.")),
    (("global_step*", "zero_to_fp32.py", "mp_rank_*"), Foreign("a DeepSpeed checkpoint", "Merge it first: python zero_to_fp32.py FOLDER OUTPUT")),
    (("params.json", "consolidated*", "tokenizer.model.v3", "tekken.json"), Foreign("a model in its developer's original format (params.json, consolidated), which transformers can't read")),
    (("adapter_model.*", "adapter_config.json"), Foreign("an adapter (LoRA), not a whole model", ADAPTER_HINT)),
    (("shared_vocabulary.*", "vocabulary.json", "vocabulary.txt"), Foreign("a model for CTranslate2 only")),
    (("_METADATA", "_CHECKPOINT_METADATA", "ocdbt*", "checkpoint_manifest*"), Foreign("a checkpoint for JAX (Orbax) only")),
    (("lit_model*.pth", "lit_config.json"), Foreign("a model for LitGPT only", "Convert it to Hugging Face format: litgpt convert_from_litgpt FOLDER OUTPUT")),
    (("RWKV-*.pth",), Foreign("a model for RWKV's own program only")),
    (("*.ot",), Foreign("weights for rust-bert only")),
    (("weights.npz", "weights.*.npz"), Foreign("weights for MLX only")),
    (("*.pth", "*.pt", "*.ckpt"), Foreign("weights in a PyTorch file (.pt, .pth) that transformers doesn't load", "Download the model in Hugging Face format. If the file is a complete state dict of the model whose config.json is in the same folder, rename it to pytorch_model.bin.")),
    (("optimizer.*", "training_args.bin", "trainer_state.json", "rng_state*.pth"), TRAINING),
)  # fmt: skip
"""Patterns of names, the most telling first."""
_OWN_FOLDERS: Final = ("onnx", "openvino", "coreml")
"""In which folders models of other programs lie beside those of transformers: a name alone says nothing, their files do."""
_MOST_LOOKED_AT: Final = 500
_NATIVE: Final = pattern(
    r"layers\.\d+\.(attention\.w[qkvo]|feed_forward\.w[123]|feed_forward\.experts)"
)
_METAL_BITS: Final = "quantization"


def foreign_format(
    folder: Path, names: Iterable[str], *, looks_below: bool = True
) -> Foreign | None:
    """Return what a folder contains instead of a loadable model; None if unknown.

    Args:
        folder: to look for folders in it; those that hold a model of their own say nothing of it.
        names: of its files.
        looks_below: whether what lies in its folders tells what it holds.
    """
    known = [*names, *(_folders(folder) if looks_below else ())]
    for patterns, found in _FORMATS:
        if any(fnmatchcase(name, pattern) for name in known for pattern in patterns):
            return found
    return None


def native_names(tensors: Iterable[str]) -> list[str]:
    """Return the tensors that are called as in the files that Meta and Mistral give out, rather than as in most of transformers."""
    return [name for name in tensors if _NATIVE.match(name)]


def is_mlx(config: Mapping[str, Any]) -> bool:
    """Return whether a config says that weights are packed as MLX does it."""
    packed = config.get(_METAL_BITS)
    return isinstance(packed, Mapping) and "group_size" in packed and "bits" in packed


def _folders(folder: Path) -> Sequence[str]:
    """Return the names of the folders in a folder, and of the files in those that are named for a program."""
    found: list[str] = []
    for path in _entries(folder):
        is_own = path.name in _OWN_FOLDERS
        if path.is_dir() and (is_own or not (path / "config.json").is_file()):
            found.append(path.name)
            found += [one.name for one in _entries(path)] if is_own else []
    return found


def _entries(folder: Path) -> list[Path]:
    try:
        return sorted(folder.iterdir())[:_MOST_LOOKED_AT]
    except OSError:
        return []
