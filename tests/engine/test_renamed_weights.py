"""Weights under other names than the model's: found where they are all there, and named where they are not."""

import shutil

import pytest
import torch

from tests.engine import tiny
from tests.engine.conftest import ask, chat, load
from tui.engine.base import ModelLoadError
from tui.engine.local.renamed_weights import renaming


@pytest.fixture(scope="module")
def llama(tmp_path_factory):
    folder = tmp_path_factory.mktemp("models") / "tiny-llama"
    return tiny.llama(folder, sizes={"tie_word_embeddings": False}.items(), sharp=True)


@pytest.fixture
def folder(llama, tmp_path):
    return shutil.copytree(llama, tmp_path / "model")


def rename(folder, change):
    from safetensors.torch import load as read
    from safetensors.torch import save_file

    path = folder / "model.safetensors"
    tensors = {change(name): tensor for name, tensor in read(path.read_bytes()).items()}
    save_file(tensors, path, {"format": "pt"})


@pytest.mark.parametrize(
    "change",
    [
        lambda name: f"module.{name}",
        lambda name: f"_orig_mod.{name}",
        lambda name: f"language_model.{name}",
        lambda name: name.replace("model.", "model.language_model."),
        lambda name: "base_model.model." + name.replace("q_proj.", "q_proj.base_layer."),
    ],
)
def test_a_model_whose_weights_were_renamed_as_a_whole_replies_as_ever(
    engine, llama, folder, change
):
    load(engine, llama)
    right = ask(engine, chat("hello"), max_new_tokens=8).text
    rename(folder, change)
    load(engine, folder)
    assert ask(engine, chat("hello"), max_new_tokens=8).text == right


def test_nothing_is_renamed_where_that_does_not_find_all_weights():
    assert renaming({"a.weight", "b.weight"}, {"module.a.weight", "c.weight"}) == {}
    assert renaming({"a.weight"}, set()) == {}
    assert renaming({"a.weight"}, {"x.a.weight", "x.a.lora_A.weight"}) == {}
    assert renaming({"a.weight"}, {"x.y.a.weight", "z"}) == {r"^x\.y\.": ""}


def test_an_adapter_in_the_place_of_weights_is_named(engine, folder):
    rename(folder, lambda name: f"base_model.model.{name[:-7]}.lora_A.weight")
    with pytest.raises(ModelLoadError, match="wasn't merged"):
        load(engine, folder)


def test_a_checkpoint_of_a_training_is_named(engine, folder):
    (folder / "model.safetensors").unlink()
    torch.save({"state_dict": {"a": torch.zeros(2)}, "step": 5}, folder / "pytorch_model.bin")
    with pytest.raises(ModelLoadError, match="under 'state_dict'"):
        load(engine, folder)


def test_a_model_without_its_last_layer_is_told_from_another_model(engine, folder):
    rename(folder, lambda name: name.replace("lm_head", "score"))
    with pytest.raises(ModelLoadError, match=r"for example lm_head\.weight") as raised:
        load(engine, folder)
    assert "tie_word_embeddings" in raised.value.hint
