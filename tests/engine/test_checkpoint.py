"""Which files of a folder are its weights."""

import json

import pytest

from tests.engine.test_stand_ins import LFS
from tui.engine import catalog, checkpoint, facts
from tui.engine.base import ModelLoadError
from tui.engine.checkpoint import find_weights


def weights(folder, name, *tensors):
    """A file of safetensors with tensors of one number each."""
    header = {
        tensor: {"dtype": "F32", "shape": [1], "data_offsets": [4 * at, 4 * at + 4]}
        for at, tensor in enumerate(tensors or ("a.weight",))
    }
    data = json.dumps(header).encode()
    content = len(data).to_bytes(8, "little") + data + bytes(4 * len(header))
    (folder / name).write_bytes(content)


def mapped(folder, mapping, **more):
    (folder / "model.safetensors.index.json").write_text(
        json.dumps({"metadata": {}, "weight_map": mapping, **more})
    )


ONE, TWO = "model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"


def shards(folder):
    weights(folder, ONE, "a")
    weights(folder, TWO, "b")


def test_one_file_under_its_usual_name(tmp_path):
    weights(tmp_path, "model.safetensors")
    found = find_weights(tmp_path)
    assert (found.files, found.is_usual) == (("model.safetensors",), True)
    assert found.tensors == {"a.weight": ("F32", (1,))}


def test_shards_with_an_index_that_fits(tmp_path):
    shards(tmp_path)
    mapped(tmp_path, {"a": ONE, "b": TWO})
    assert find_weights(tmp_path).files == (ONE, TWO)
    assert find_weights(tmp_path).is_usual


@pytest.mark.parametrize("what", ["none", "of fewer files", "of other files", "without metadata"])
def test_shards_say_themselves_what_they_hold(tmp_path, what):
    shards(tmp_path)
    if what == "of fewer files":
        mapped(tmp_path, {"a": ONE})
    elif what == "of other files":
        mapped(tmp_path, {"a": "old-00001-of-00001.safetensors"})
    elif what == "without metadata":
        (tmp_path / "model.safetensors.index.json").write_text(
            json.dumps({"weight_map": {"a": ONE, "b": TWO}})
        )
    found = find_weights(tmp_path)
    assert (found.files, found.is_usual, set(found.tensors)) == ((ONE, TWO), False, {"a", "b"})


def test_names_of_zeros_are_no_shards_and_soon_known_as_none():
    # Tried from each of its places with each number of zeros, one would take minutes.
    names = ["0" * 6000, "0" * 6000 + "-of-" + "0" * 6000 + ".bin"]
    assert checkpoint._whole_sets(names, ".bin") == []


@pytest.mark.parametrize("start", [0, 1])
def test_shards_of_other_names_and_counts(tmp_path, start):
    names = [f"pytorch_model-0000{start + n}-of-00003.safetensors" for n in range(3)]
    for number, name in enumerate(names):
        weights(tmp_path, name, f"t{number}")
    assert find_weights(tmp_path).files == tuple(names)


def test_a_stale_index_beside_whole_weights_of_the_other_format(tmp_path):
    mapped(tmp_path, {"a": ONE})
    (tmp_path / "pytorch_model.bin").write_bytes(b"\x80\x02}q\x00.")
    found = find_weights(tmp_path)
    assert (found.files, found.is_usual) == (("pytorch_model.bin",), False)


def test_whole_weights_are_taken_where_the_others_are_pointers(tmp_path):
    (tmp_path / "model.safetensors").write_text(LFS)
    (tmp_path / "pytorch_model.bin").write_bytes(b"\x80\x02}q\x00.")
    assert find_weights(tmp_path).files == ("pytorch_model.bin",)


@pytest.mark.parametrize(
    "name",
    ["model.fp16.safetensors", "model.bf16.safetensors", "weights.safetensors", "consolidated.safetensors", "pytorch_model.fp32.bin",
     "my-model.safetensors", "gptq_model-4bit-128g.safetensors", "diffusion.safetensors"],
)  # fmt: skip
def test_other_names_and_variants(tmp_path, name):
    if name.endswith(".bin"):
        (tmp_path / name).write_bytes(b"\x80\x02}q\x00.")
    else:
        weights(tmp_path, name)
    for beside in ("adapter_model.safetensors", "optimizer.bin", "training_args.bin"):
        weights(tmp_path, beside)
    found = find_weights(tmp_path)
    assert (found.files, found.is_usual) == ((name,), False)


def test_of_several_variants_that_of_16_bits_is_taken(tmp_path):
    for kind in ("fp32", "fp16", "non_ema"):
        weights(tmp_path, f"model.{kind}.safetensors")
    assert find_weights(tmp_path).files == ("model.fp16.safetensors",)


def test_what_a_training_left_beside_is_no_weight_of_the_model(tmp_path):
    weights(tmp_path, "model.safetensors", "a")
    for name in ("adapter_model.safetensors", "consolidated.safetensors", "model.fp16.safetensors"):
        weights(tmp_path, name, "b", "c")
    (tmp_path / "config.json").write_text("{}")
    assert facts.folder_facts(tmp_path).parameters == 1


@pytest.mark.parametrize(
    ("names", "message", "hint"),
    [
        (["model.safetensors.index.json"], ONE + " is missing", "again"),
        ([ONE], "1 of the 2 files", "missing files"),
        ([ONE, TWO + ".incomplete"], "1 of the 2 files", "missing files"),
        (["model.safetensors.part"], "didn't finish", "Resume"),
        (["a.safetensors", "b.safetensors"], "2 weights files", "one model"),
        (["model.onnx"], "ONNX", "Hugging Face format"),
        (["tf_model.h5"], "TensorFlow", "Hugging Face format"),
        (["flax_model.msgpack"], "Flax", "Hugging Face format"),
        (["openvino_model.xml", "openvino_model.bin"], "OpenVINO", "Hugging Face format"),
        (
            ["consolidated.00.pth", "params.json"],
            "developer's original format",
            "Hugging Face format",
        ),
        (["adapter_model.safetensors", "adapter_config.json"], "adapter", "base model"),
        (["optimizer.pt", "trainer_state.json"], "in a PyTorch file", "pytorch_model.bin"),
        (["optimizer.bin", "training_args.bin"], "left by a training run", "saved to"),
        (["rank0.engine"], "TensorRT", "Hugging Face format"),
        (["model.pt"], "in a PyTorch file", "pytorch_model.bin"),
        ([], "no weights", "model.safetensors"),
    ],
)
def test_what_can_not_be_loaded_is_named(tmp_path, names, message, hint):
    for name in names:
        if name.endswith(".index.json"):
            mapped(tmp_path, {"a": ONE})
        else:
            weights(tmp_path, name)
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(ModelLoadError, match=message) as raised:
        find_weights(tmp_path)
    assert hint in raised.value.hint
    # The list says the same as the load.
    with pytest.raises(ModelLoadError, match=message):
        catalog.facts(catalog.resolve(str(tmp_path)))


def test_an_unfinished_file_of_an_index_is_named(tmp_path):
    weights(tmp_path, ONE, "a")
    mapped(tmp_path, {"a": ONE, "b": TWO})
    (tmp_path / (TWO + ".incomplete")).write_text("")
    with pytest.raises(ModelLoadError, match="is missing") as raised:
        find_weights(tmp_path)
    assert TWO + ".incomplete" in raised.value.hint


def test_an_index_that_names_tensors_in_none_of_its_files_is_stale(tmp_path):
    shards(tmp_path)
    mapped(tmp_path, {"a": ONE, "b": TWO, "c": TWO})
    found = find_weights(tmp_path)
    # What the files hold decides, and the load says what is lacking for the config.
    assert not found.is_usual


def test_a_bin_file_that_is_cut_short_is_found_before_it_is_read(tmp_path):
    (tmp_path / "pytorch_model.bin").write_bytes(b"PK\x03\x04" + b"x" * 3000)
    with pytest.raises(ModelLoadError, match="damaged or incomplete"):
        find_weights(tmp_path)


def test_an_index_may_name_files_in_a_folder_below(tmp_path):
    below = tmp_path / "weights"
    below.mkdir()
    shards(below)
    mapped(tmp_path, {"a": f"weights/{ONE}", "b": f"./weights/{TWO}"})
    assert find_weights(tmp_path).files == (f"weights/{ONE}", f"weights/{TWO}")


@pytest.mark.parametrize(
    "name", ["../x.safetensors", "/etc/x", "a/../../x", "a//b", "c:/x", "a\\b"]
)
def test_an_index_names_nothing_outside_its_folder(tmp_path, name):
    mapped(tmp_path, {"a": name})
    with pytest.raises(ModelLoadError, match="outside its folder"):
        find_weights(tmp_path)


def test_of_two_whole_sets_the_one_with_the_usual_name_is_the_model(tmp_path):
    shards(tmp_path)
    for name in (ONE, TWO):
        weights(tmp_path, name.replace("model", "checkpoint"), "other")
    assert find_weights(tmp_path).files == (ONE, TWO)


def test_a_file_that_aria2_has_not_finished(tmp_path):
    weights(tmp_path, "model.safetensors")
    (tmp_path / "model.safetensors.aria2").write_bytes(b"x")
    with pytest.raises(ModelLoadError, match=r"download of model\.safetensors didn't finish"):
        find_weights(tmp_path)


@pytest.mark.parametrize(
    ("name", "content", "what"),
    [
        ("model.safetensors", b"GGUF\3\0\0\0" + bytes(50), "a GGUF file"),
        ("model.safetensors", b"\x80\x02}q\0." + bytes(50), "a weights file in PyTorch format"),
        ("pytorch_model.bin", (2).to_bytes(8, "little") + b"{}", "a safetensors file"),
        ("pytorch_model.bin", b"\x06\0\0\0spec", "doesn't contain weights in PyTorch's format"),
    ],
)
def test_weights_of_another_format_than_their_name_says(tmp_path, name, content, what):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(ModelLoadError, match=what):
        find_weights(tmp_path)
