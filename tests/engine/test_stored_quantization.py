"""Checkpoints that are quantized in a way that can't be used here, and attention that a config wishes for."""

import json
import shutil

import pytest

from tests.engine import tiny
from tests.engine.conftest import ask, chat, load
from tui.engine import facts
from tui.engine.base import ModelLoadError


@pytest.fixture(scope="module")
def llama(tmp_path_factory):
    return tiny.llama(tmp_path_factory.mktemp("models") / "llama")


@pytest.fixture
def changed(llama, tmp_path):
    folder = shutil.copytree(llama, tmp_path / "m")

    def change(**values):
        config = json.loads((folder / "config.json").read_text())
        (folder / "config.json").write_text(json.dumps({**config, **values}))
        return folder

    return change


GPTQ = {"quant_method": "gptq", "bits": 4, "group_size": 128}
METHODS = [
    ({"quantization_config": GPTQ}, "quantized with gptq, which can't run on this machine"),
    ({"quantization_config": {"quant_method": "awq", "bits": 4}}, "quantized with awq, which can't"),
    ({"quantization_config": {"quant_method": "exl2", "bits": 4.0}}, "with exl2, which transformers"),
    ({"quantization_config": {"quant_method": "aqlm"}}, "quantized with aqlm, which can't run on this machine"),
    ({"quantization_config": {"bits": 4}}, "a method that its config doesn't specify"),
    ({"quantization": {"group_size": 64, "bits": 4}}, "quantized for MLX"),
    ({"quantization": {"group_size": 64, "bits": 4}, "quantization_config": {"group_size": 64, "bits": 4}}, "quantized for MLX"),
]  # fmt: skip


@pytest.mark.parametrize(("values", "message"), METHODS)
def test_a_method_that_can_not_be_used_here_is_named_and_the_former_model_stays(
    engine, llama, changed, values, message
):
    load(engine, llama)
    with pytest.raises(ModelLoadError, match=message) as raised:
        load(engine, changed(**values))
    assert "Choose an unquantized version" in raised.value.hint
    assert engine.loaded is not None


@pytest.mark.parametrize("key", ["attn_implementation", "_attn_implementation"])
@pytest.mark.parametrize(
    "wish", ["flash_attention_2", "flash_attention_3", "kernels-community/flash-attn", "paged|x", "flex"]
)  # fmt: skip
def test_attention_that_a_config_wishes_for_is_not_taken_and_that_is_noted(
    engine, changed, key, wish
):
    info = load(engine, changed(**{key: wish}))
    [note] = [note for note in info.notes if "attention" in note]
    assert wish in note
    assert "choose it in the settings" in note
    ask(engine, chat("hello"), max_new_tokens=2)


@pytest.mark.parametrize("wish", [None, "sdpa", "", 7, ["flash"], {"": "flash_attention_2"}])
def test_a_wish_that_is_met_or_none_needs_no_note(engine, changed, wish):
    info = load(engine, changed(attn_implementation=wish))
    assert not [note for note in info.notes if "attention" in note]


@pytest.mark.parametrize(
    "name", ["flash_attention_2", "flash_attention_3", "nonsense", "Sdpa", "\x1b[31m"]
)
def test_what_the_user_names_and_can_not_run_here_is_refused_and_the_model_stays(
    engine, llama, name
):
    load(engine, llama)
    with pytest.raises(ModelLoadError, match="attention") as raised:
        load(engine, llama, attention=name, device="cpu")
    assert "\x1b" not in raised.value.message
    assert "sdpa" in raised.value.hint
    assert engine.loaded is not None


def test_what_the_user_names_is_taken_without_a_note(engine, changed):
    info = load(engine, changed(attn_implementation="flash_attention_2"), attention="eager")
    assert info.notes == ()
    assert engine._loaded.model.config._attn_implementation == "eager"


@pytest.mark.parametrize("ending", ["qweight", "q_weight", "weight_packed"])
def test_packed_weights_of_which_the_config_says_nothing_are_named(engine, changed, ending):
    from safetensors.torch import load_file, save_file

    folder = changed()
    tensors = load_file(folder / "model.safetensors")
    name = "model.layers.0.self_attn.q_proj"
    tensors[f"{name}.{ending}"] = tensors.pop(f"{name}.weight")
    save_file(tensors, folder / "model.safetensors")
    with pytest.raises(
        ModelLoadError, match=r"its config\.json doesn't specify the method"
    ) as raised:
        load(engine, folder)
    assert f"{name}.{ending}" in raised.value.message


@pytest.mark.parametrize(
    "stored",
    [
        {"quant_method": "bitsandbytes", "load_in_4bit": True},
        {"quant_method": "bitsandbytes", "load_in_4bit": False, "load_in_8bit": False},
        {"load_in_8bit": True},
    ],
)
def test_weights_that_are_not_quantized_as_their_config_says_are_loaded_as_they_are(
    engine, tmp_path, stored
):
    folder = tiny.llama(tmp_path / "model")
    load(engine, folder)
    right = ask(engine, chat("hello"), max_new_tokens=6).text
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, "quantization_config": stored}))
    assert facts.folder_facts(folder).method == ""
    info = load(engine, folder)
    assert ask(engine, chat("hello"), max_new_tokens=6).text == right
    assert not info.quantization_locked
    assert any("they aren't, so they are loaded as they are" in note for note in info.notes)
