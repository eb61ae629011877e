"""Headers of safetensors files: what they say is believed only as far as the file bears it out."""

import json
import struct

import pytest

from tui.engine.safetensors_header import read_header


def write(path, header, data_bytes, *, length=None):
    made = header if isinstance(header, bytes) else json.dumps(header).encode()
    path.write_bytes(
        struct.pack("<Q", len(made) if length is None else length) + made + bytes(data_bytes)
    )
    return path


def tensor(shape=(2, 3), offsets=(0, 24), dtype="F32"):
    return {"dtype": dtype, "shape": shape, "data_offsets": offsets}


def test_a_valid_header(tmp_path):
    header = {"__metadata__": {"format": "pt"}, "a": tensor(), "b": tensor([2], [24, 28], "BF16")}
    path = write(tmp_path / "m.safetensors", header, 28)
    assert read_header(path) == {"a": ("F32", (2, 3)), "b": ("BF16", (2,))}


def test_a_dtype_that_is_not_known_yet_is_no_fault(tmp_path):
    path = write(tmp_path / "m.safetensors", {"a": tensor([8], [0, 4], "F4")}, 4)
    assert read_header(path) == {"a": ("F4", (8,))}


@pytest.mark.parametrize(
    "entry",
    [
        None, 5, [], {}, tensor(None), tensor([-2, 3]), tensor([2**63, 2**63]), tensor([10**30]), tensor([2.0, 3]), tensor([True, 6]),
        tensor([2, 4]), tensor(dtype=7), tensor(offsets=None), tensor(offsets=[0]), tensor(offsets=[0, 24, 24]),
        tensor(offsets=[24, 0]), tensor(offsets=[-24, 0]), tensor(offsets=[0, 2**64]), tensor(offsets=[0, 1e999]),
        tensor(offsets=["0", "24"]), tensor([[2, 3]]), tensor([1] * 100),
    ],
)  # fmt: skip
def test_a_tensor_that_can_not_be_is_refused(tmp_path, entry):
    path = write(tmp_path / "m.safetensors", {"a": entry}, 24)
    with pytest.raises(ValueError, match=r"tensor|header|short|JSON|nested|digits"):
        read_header(path)


def test_tensors_that_overlap_are_refused(tmp_path):
    path = write(tmp_path / "m.safetensors", {"a": tensor(), "b": tensor()}, 24)
    with pytest.raises(ValueError, match="overlap"):
        read_header(path)


@pytest.mark.parametrize("length", [0, 1, 2**32, 2**63, 2**64 - 1])
def test_a_header_of_another_length_than_it_says_is_refused(tmp_path, length):
    path = write(tmp_path / "m.safetensors", {"a": tensor()}, 24, length=length)
    with pytest.raises(ValueError, match=r"tensor|header|short|JSON|nested|digits"):
        read_header(path)


def test_a_vast_header_is_refused_unread(tmp_path):
    path = tmp_path / "m.safetensors"
    with path.open("wb") as file:
        file.write(struct.pack("<Q", 4 * 2**30))
        file.truncate(5 * 2**30)
    with pytest.raises(ValueError, match="longer than"):
        read_header(path)


@pytest.mark.parametrize("header", [b"[]", b"7", b"[" * 9000, b'{"a": 1' + b"0" * 999 + b"}"])
def test_a_header_that_is_no_object_is_refused(tmp_path, header):
    with pytest.raises(ValueError, match=r"tensor|header|short|JSON|nested|digits"):
        read_header(write(tmp_path / "m.safetensors", header, 0))


def test_a_name_is_bounded_as_libraries_match_it_with_regular_expressions(tmp_path):
    path = write(tmp_path / "m.safetensors", {"experts.1." * 100: tensor()}, 24)
    assert len(read_header(path)) == 1
    write(path, {"experts.1." * 100 + "w": tensor()}, 24)
    with pytest.raises(ValueError, match="name of 1,001 characters"):
        read_header(path)
