"""Pickled weights: nothing but tensors under names, found out without unpickling."""

import pickle
import zipfile

import pytest
import torch

from tui.engine.base import ModelLoadError
from tui.engine.pickled_weights import check_folder

TENSORS = {
    "a.weight": torch.zeros(2, 3),
    "b": torch.nn.Parameter(torch.ones(4, dtype=torch.bfloat16)),
}
NAME = "pytorch_model.bin"


class Greedy:
    def __reduce__(self):
        return bytearray, (1 << 40,)


def saved(folder, value, **options):
    torch.save(value, folder / NAME, **options)
    return folder


@pytest.mark.parametrize("archive", [True, False])
def test_tensors_are_taken(tmp_path, archive):
    check_folder(saved(tmp_path, TENSORS, _use_new_zipfile_serialization=archive))


@pytest.mark.parametrize("archive", [True, False])
@pytest.mark.parametrize("protocol", [2, 4])
def test_an_array_that_would_fill_the_memory_is_refused(tmp_path, archive, protocol):
    value = {**TENSORS, "more": Greedy()}
    saved(tmp_path, value, _use_new_zipfile_serialization=archive, pickle_protocol=protocol)
    with pytest.raises(ModelLoadError, match="objects other than tensors"):
        check_folder(tmp_path)


@pytest.mark.parametrize("name", [NAME, "pytorch_model-00001-of-00002.bin", "adapter_model.bin"])
def test_a_name_without_end_is_refused(tmp_path, name):
    torch.save({"experts.1." * 101: torch.zeros(1)}, tmp_path / name)
    with pytest.raises(ModelLoadError, match="characters"):
        check_folder(tmp_path)


def test_an_archive_that_unpacks_to_more_is_refused(tmp_path):
    saved(tmp_path, TENSORS)
    with zipfile.ZipFile(tmp_path / NAME) as archive:
        parts = {part: archive.read(part) for part in archive.namelist()}
    with zipfile.ZipFile(tmp_path / NAME, "w", zipfile.ZIP_DEFLATED) as archive:
        for part, data in parts.items():
            archive.writestr(part, data)
    with pytest.raises(ModelLoadError, match="compression method"):
        check_folder(tmp_path)


@pytest.mark.parametrize(
    "data", [b"", b"x", b"PK\x05\x06" + bytes(18), pickle.dumps(7), b"\x80\x02X\xff\xff\xff\x7f"]
)
def test_what_is_no_such_file_ends_in_a_sentence_or_is_left_to_torch(tmp_path, data):
    (tmp_path / NAME).write_bytes(data)
    if data.startswith(b"PK"):
        check_folder(tmp_path)
        return
    with pytest.raises(ModelLoadError, match="can't be used"):
        check_folder(tmp_path)


def test_what_is_not_unpickled_is_not_looked_at(tmp_path):
    (tmp_path / "training_args.bin").write_bytes(pickle.dumps(Greedy()))
    check_folder(tmp_path)
