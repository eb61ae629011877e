"""Weights that transformers would not find by their names load, and say the same as under the usual ones."""

import json
import shutil

import pytest

from tests.engine import tiny
from tests.engine.conftest import ask, chat, load
from tui.engine.base import ModelLoadError


@pytest.fixture(scope="module")
def llama(tmp_path_factory):
    return tiny.llama(tmp_path_factory.mktemp("models") / "llama")


@pytest.fixture(scope="module")
def in_shards(llama, tmp_path_factory):
    from transformers import AutoModelForCausalLM

    folder = shutil.copytree(llama, tmp_path_factory.mktemp("models") / "shards")
    (folder / "model.safetensors").unlink()
    AutoModelForCausalLM.from_pretrained(llama).save_pretrained(folder, max_shard_size="20KB")
    return folder


def said(engine, folder):
    load(engine, folder)
    return ask(engine, chat("hello"), max_new_tokens=5).text


def without_index(folder):
    (folder / "model.safetensors.index.json").unlink()


def with_fewer_files(folder):
    path = folder / "model.safetensors.index.json"
    index = json.loads(path.read_text())
    first = min(index["weight_map"].values())
    index["weight_map"] = {k: v for k, v in index["weight_map"].items() if v == first}
    path.write_text(json.dumps(index))


def without_metadata(folder):
    path = folder / "model.safetensors.index.json"
    path.write_text(json.dumps({"weight_map": json.loads(path.read_text())["weight_map"]}))


@pytest.mark.parametrize("change", [without_index, with_fewer_files, without_metadata])
def test_shards_load_whatever_their_index_says(engine, llama, in_shards, tmp_path, change):
    folder = shutil.copytree(in_shards, tmp_path / "m")
    change(folder)
    before = sorted(path.name for path in folder.iterdir())
    assert said(engine, folder) == said(engine, llama)
    assert sorted(path.name for path in folder.iterdir()) == before


@pytest.mark.parametrize(
    "name", ["consolidated.safetensors", "model.fp16.safetensors", "weights.safetensors"]
)
def test_weights_of_another_name_load(engine, llama, tmp_path, name):
    folder = shutil.copytree(llama, tmp_path / "m")
    (folder / "model.safetensors").rename(folder / name)
    assert said(engine, folder) == said(engine, llama)


def test_a_link_to_itself_beside_weights_of_another_name_is_no_matter(engine, llama, tmp_path):
    folder = shutil.copytree(llama, tmp_path / "m")
    (folder / "model.safetensors").rename(folder / "weights.safetensors")
    (folder / "loop").symlink_to("loop")
    assert said(engine, folder) == said(engine, llama)


def test_a_whole_file_beside_a_stale_index_loads(engine, llama, tmp_path):
    import torch
    from safetensors.torch import load_file

    folder = shutil.copytree(llama, tmp_path / "m")
    torch.save(load_file(folder / "model.safetensors"), folder / "pytorch_model.bin")
    (folder / "model.safetensors").unlink()
    mapping = {"model.norm.weight": "model-00001-of-00002.safetensors"}
    (folder / "model.safetensors.index.json").write_text(
        json.dumps({"metadata": {}, "weight_map": mapping})
    )
    assert said(engine, folder) == said(engine, llama)


def test_an_adapter_beside_merged_weights_is_left_alone(engine, llama, tmp_path):
    folder = shutil.copytree(llama, tmp_path / "m")
    (folder / "adapter_config.json").write_text(json.dumps({"peft_type": "LORA", "r": 4}))
    (folder / "adapter_model.safetensors").write_bytes(b"")
    assert said(engine, folder) == said(engine, llama)


def test_shards_of_which_one_holds_too_little_are_refused(engine, in_shards, tmp_path):
    from safetensors.torch import load_file, save_file

    folder = shutil.copytree(in_shards, tmp_path / "m")
    first = min(folder.glob("*.safetensors"))
    tensors = load_file(first)
    del tensors[min(tensors)]
    save_file(tensors, first)
    with pytest.raises(ModelLoadError, match="lacks 1 of the"):
        load(engine, folder)
