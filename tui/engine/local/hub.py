"""Downloads a model from the Hugging Face Hub into its cache, or finds it there."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from tui.engine.base import LoadRequest, ModelLoadError
from tui.engine.local.progress import Reporter

_SMALL_FILES: Final = ("*.json", "*.jinja", "*.txt", "*.model", "tokenizer*", "*.tiktoken")
_ELSEWHERE: Final = (
    "original/*",
    "onnx/*",
    "openvino/*",
    "coreml/*",
    "*.gguf",
    "*.msgpack",
    "*.h5",
)


def snapshot(repo_id: str, request: LoadRequest, reporter: Reporter) -> Path:
    """Return the folder that holds a repository's model; downloads what is not there.

    Safetensors come first; weights in torch's older format are fetched only where there are no others.

    Raises:
        ModelLoadError: the repository holds no model that transformers could load.
        Cancelled: the job was cancelled.
        Exception: whatever huggingface_hub raised.
    """
    from huggingface_hub import snapshot_download

    code = ("*.py",) if request.trust_remote_code else ()

    def fetch(*patterns: str) -> Path:
        return Path(
            snapshot_download(
                repo_id,
                revision=request.revision or None,
                allow_patterns=[*_SMALL_FILES, *code, *patterns],
                ignore_patterns=list(_ELSEWHERE),
                tqdm_class=reporter.download_bar("Downloading"),
            )
        )

    reporter.step("Asking the Hub")
    folder = fetch("*.safetensors")
    if not (folder / "config.json").is_file():
        raise ModelLoadError(
            f"{repo_id} has no config.json, so transformers can't load it.",
            "For a GGUF repository download one .gguf file and name it; else choose another model.",
        )
    if not any(folder.glob("*.safetensors")):
        folder = fetch("*.bin")
    return folder
