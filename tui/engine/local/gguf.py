"""Converts a GGUF file once, in the cache folder, into a folder that transformers loads in a second.

transformers parses GGUF in pure Python, which takes half a minute even for a small model. The weights are unpacked to
16 bits on the way. A conversion becomes visible under its key only when it is whole, and is used only as long as it is as it was
written; otherwise it is rebuilt.
"""

from __future__ import annotations

import contextlib
import hashlib
import logging
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from tui.engine import gguf_files, plausibility
from tui.engine.base import Cancelled, ModelLoadError
from tui.engine.gguf_files import Whole
from tui.engine.gguf_header import Header, read_vocabulary
from tui.engine.local import gguf_join, manifest, problems, weights
from tui.engine.local.heavy import stdout_shut
from tui.engine.local.progress import Bar, Reporter
from tui.engine.local.scratch import clear, scratch
from tui.files import FILE_MODE, FOLDER_MODE, fsync_folder, make_own_folder

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

_log = logging.getLogger(__name__)

_SHARD_SIZE: Final = "512MB"
_FORMAT: Final = 1
"""Changes when conversions of an older version of this module must not be used any more."""


def converted_folder(path: Path, cache_folder: Path, *others: Path) -> Path:
    """Return the folder that a file's conversion has, whether it is there yet or not.

    Args:
        path: the file.
        cache_folder: holds the conversions.
        others: the other parts of the same model.
    """
    identity = f"{_FORMAT}"
    for part in (path, *others):
        status = part.stat()
        identity += f":{part.resolve()}:{status.st_size}:{status.st_mtime_ns}"
    key = hashlib.sha256(identity.encode()).hexdigest()[:24]
    return cache_folder / "gguf" / key


def convert(path: Path, cache_folder: Path, reporter: Reporter) -> Path:
    """Return a folder with the model of a GGUF file, made now unless it was made before.

    Raises:
        ModelLoadError: the file is not whole, of an architecture that transformers can't read, or there is no room.
        Cancelled: the job was cancelled; nothing is left behind.
    """
    whole = gguf_files.read_whole(path)
    plausibility.check_header(path, whole.header)
    folder = converted_folder(whole.parts[0], cache_folder, *whole.parts[1:])
    try:
        # It may be a link to a disk with more room; where that leads must be the user's own.
        make_own_folder(folder.parent.resolve())
        clear(folder.parent)
        if _is_there(folder, reporter):
            return folder
        plausibility.check_vocabulary(
            whole.parts[0], read_vocabulary(whole.parts[0], whole.headers[0])
        )
        _check_room(folder.parent, whole)
        with (
            _in_one_file(whole, folder.parent, reporter) as source,
            _whole_or_nothing(folder, reporter) as unfinished,
        ):
            _convert_into(source, unfinished, whole.header, reporter)
    except OSError as error:
        raise ModelLoadError(
            f"The converted model can't be written to {folder.parent} ({error.strerror or error}).",
            "Free some space there, and check that you own the folder.",
        ) from error
    return folder


def _is_there(folder: Path, reporter: Reporter) -> bool:
    """Return whether there is a whole conversion; what is there of another is removed."""
    if not os.path.lexists(folder):
        return False
    if manifest.is_whole(folder, reporter.check):
        return True
    _log.warning("redoing the conversion %s: it changed since it was written", folder)
    if folder.is_dir() and not folder.is_symlink():
        shutil.rmtree(folder)
    else:
        folder.unlink()
    return False


@contextlib.contextmanager
def _whole_or_nothing(folder: Path, reporter: Reporter) -> Iterator[Path]:
    """Give a private folder that takes the name of `folder` when the block ended well."""
    with scratch(folder.parent, folder.name) as work:
        unfinished = work / "model"
        unfinished.mkdir(FOLDER_MODE)
        yield unfinished
        for path in unfinished.rglob("*"):
            path.chmod(FOLDER_MODE if path.is_dir() else FILE_MODE)
        manifest.write(unfinished, reporter.check)
        try:
            unfinished.rename(folder)
        except OSError:
            # Another process may have converted the same file in the meantime.
            if not manifest.is_whole(folder, reporter.check):
                raise
        fsync_folder(folder.parent)


@contextlib.contextmanager
def _in_one_file(whole: Whole, place: Path, reporter: Reporter) -> Iterator[Path]:
    """Give the file that a model is in; for one in several parts a file that is gone afterwards."""
    if len(whole.parts) == 1:
        yield whole.parts[0]
        return
    reporter.step("Joining the parts")
    with scratch(place, "joined") as work:
        joined = work / f"{gguf_files.title(whole.parts[0])}.gguf"
        gguf_join.join(whole, joined, reporter.check)
        yield joined


def _check_room(folder: Path, whole: Whole) -> None:
    needed = whole.header.parameters * 2
    if len(whole.parts) > 1:
        needed += gguf_join.size_bytes(whole)
    free = shutil.disk_usage(folder).free
    if needed > free:
        raise ModelLoadError(
            f"Unpacking this GGUF file takes {needed / 1e9:.1f} GB in {folder}, but only {free / 1e9:.1f} GB is free there.",
            "Free some space there.",
        )


def _convert_into(source: Path, folder: Path, header: Header, reporter: Reporter) -> None:
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer

    stage = "Converting GGUF (once)"
    reporter.step(stage, 0, len(header.tensors), "tensors")
    try:
        with _by_itself(source, folder) as place:
            with stdout_shut():
                config = reporter.run_frugally(lambda: AutoConfig.from_pretrained(**place))
                tokenizer: PreTrainedTokenizerBase = reporter.run_frugally(
                    lambda: AutoTokenizer.from_pretrained(**place)
                )
            with reporter.alone(), reporter.weights(stage), _gguf_bar(reporter, stage):
                made: Any = AutoModelForCausalLM.from_pretrained(
                    **place, config=config, dtype=torch.bfloat16, output_loading_info=True
                )
            model, report = made
            weights.check_complete(model, report, source.name)
    except (Cancelled, MemoryError, ModelLoadError):
        raise
    except Exception as error:
        if problems.is_out_of_memory(error):
            raise
        if "ignore_mismatched_sizes" in problems.words(error):
            raise ModelLoadError(
                f"The weights in {source.name} have different shapes than its header specifies.",
                "The program that created or changed the file left the two inconsistent. Download another version of the file.",
            ) from error
        raise ModelLoadError(
            f"The GGUF file {source.name} can't be used ({problems.words(error)}).",
            f"transformers can't read every GGUF architecture (this one is {header.architecture or 'unnamed'}). "
            "Choose the model's original weights instead.",
        ) from error
    reporter.step("Saving the converted model")
    model.hf_quantizer = None
    if hasattr(model.config, "quantization_config"):
        del model.config.quantization_config
    # Small shards: cancellation is checked between shards.
    with reporter.alone(), reporter.weights("Saving the converted model", "files"):
        model.to(torch.bfloat16).save_pretrained(folder, max_shard_size=_SHARD_SIZE)
    tokenizer.save_pretrained(folder)


@contextlib.contextmanager
def _by_itself(source: Path, folder: Path) -> Iterator[dict[str, Any]]:
    """Give what names the file to transformers, without what lies beside it: that may name code, an adapter or another model."""
    alone = Path(tempfile.mkdtemp(prefix=f"{folder.name}.", suffix=".source", dir=folder.parent))
    try:
        (alone / source.name).symlink_to(source.resolve())
        yield {
            "pretrained_model_name_or_path": str(alone),
            "gguf_file": source.name,
            "local_files_only": True,
            "trust_remote_code": False,
        }
    finally:
        shutil.rmtree(alone, ignore_errors=True)


@contextlib.contextmanager
def _gguf_bar(reporter: Reporter, stage: str) -> Iterator[None]:
    """Stand in for the bar of transformers' GGUF loader, which knows no hook and writes to the terminal."""
    from transformers import modeling_gguf_pytorch_utils as loader

    def bar(*args: Any, **kwargs: Any) -> Bar:
        return Bar(reporter, stage, "tensors", *args, **kwargs)

    former: Callable[..., Any] | None = getattr(loader, "tqdm", None)
    if former is None:
        yield
        return
    setattr(loader, "tqdm", bar)  # noqa: B010 - mypy sees an imported class
    try:
        yield
    finally:
        setattr(loader, "tqdm", former)  # noqa: B010
