"""LoRA adapters: on the model that they were made for, and on another."""

import importlib.util
import shutil

import pytest

from tests.engine import tiny
from tests.engine.conftest import ask, chat, load
from tui.engine.base import ModelLoadError

SIZES = {"hidden_size": 64, "intermediate_size": 128}


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    return tiny.llama(tmp_path_factory.mktemp("models") / "base", sizes=SIZES)


@pytest.fixture(scope="module")
def adapter(base, tmp_path_factory):
    import torch
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModelForCausalLM

    torch.manual_seed(3)
    config = LoraConfig(r=4, target_modules=["q_proj", "v_proj"], init_lora_weights=False)
    wrapped = get_peft_model(AutoModelForCausalLM.from_pretrained(base), config)
    folder = tmp_path_factory.mktemp("adapters") / "lora"
    wrapped.save_pretrained(folder)
    return folder


@pytest.mark.parametrize("quantization", ["none", "4bit"])
def test_an_adapter_changes_what_a_model_says(engine, base, adapter, quantization):
    load(engine, base, quantization=quantization)
    plain = ask(engine, chat("hello"), max_new_tokens=12).text
    info = load(engine, base, quantization=quantization, adapter=str(adapter))
    assert any("lora" in note for note in info.notes)
    assert ask(engine, chat("hello"), max_new_tokens=12).text != plain
    assert engine._loaded.cache.is_usable
    load(engine, base, quantization=quantization)
    assert ask(engine, chat("hello"), max_new_tokens=12).text == plain


def test_an_adapter_for_another_base_is_refused_and_a_model_can_be_loaded_again(
    engine, adapter, tmp_path
):
    other = tiny.llama(tmp_path / "other")
    former = load(engine, other)
    with pytest.raises(ModelLoadError, match="does not go with this model") as raised:
        load(engine, other, adapter=str(adapter))
    assert "It was made for" in raised.value.message
    assert "state_dict" not in raised.value.message
    assert engine.loaded == former
    assert load(engine, other)


def test_a_folder_without_an_adapter_is_refused_before_anything_is_loaded(engine, base, tmp_path):
    info = load(engine, base)
    with pytest.raises(ModelLoadError, match=r"no adapter_config\.json"):
        load(engine, base, adapter=str(tmp_path))
    assert engine.loaded == info


@pytest.mark.parametrize("place", ["there/is/none", "/nowhere/at/all"])
def test_a_folder_that_is_not_there_is_said_not_to_be_there(engine, base, place):
    info = load(engine, base)
    with pytest.raises(ModelLoadError, match="There is no folder"):
        load(engine, base, adapter=place)
    assert engine.loaded == info


def test_an_adapter_whose_config_is_broken_is_refused_before_the_model_goes(
    engine, base, adapter, tmp_path
):
    info = load(engine, base)
    folder = shutil.copytree(adapter, tmp_path / "broken")
    (folder / "adapter_config.json").write_text("{")
    with pytest.raises(ModelLoadError, match=r"adapter_config\.json can't be read"):
        load(engine, base, adapter=str(folder))
    assert engine.loaded == info


def test_without_peft_there_is_a_word_about_it(engine, base, adapter, monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda _name: None)
    with pytest.raises(ModelLoadError, match="needs the package peft") as raised:
        load(engine, base, adapter=str(adapter))
    assert "pip install peft" in raised.value.hint
