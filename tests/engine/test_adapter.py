"""LoRA adapters: on the model that they were made for, and on another."""

import importlib.util
import json
import os
import shutil
import subprocess
import sys

import pytest

from tests.engine import tiny
from tests.engine.conftest import ask, chat, load
from tests.engine.hub.test_hub import cache as _cache
from tests.hub_server import serving
from tui.engine.base import ModelLoadError
from tui.engine.hub.hub import Hub
from tui.engine.local.adapter import check_config, check_fits
from tui.engine.local.engine import LocalEngine

hub_cache = _cache
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


def test_an_adapter_of_the_hub_is_fetched_and_put_on(base, adapter, tmp_path, hub_cache, own_cache):
    with serving() as server:
        server.add_folder("org/lora", adapter)
        engine = LocalEngine(own_cache, Hub(server.url))
        info = load(engine, base, adapter="org/lora", kernels=False)
        assert "Using the adapter lora." in info.notes
        with pytest.raises(ModelLoadError, match="org/none doesn't exist on the Hugging Face Hub"):
            load(engine, base, adapter="org/none")
        server.add_folder("org/empty", tmp_path)
        with pytest.raises(ModelLoadError, match=r"org/empty has no adapter_config\.json"):
            load(engine, base, adapter="org/empty")
        assert engine.loaded == info
        engine.unload()


def test_an_adapter_for_another_base_is_refused_and_a_model_can_be_loaded_again(
    engine, adapter, tmp_path
):
    other = tiny.llama(tmp_path / "other")
    former = load(engine, other)
    with pytest.raises(ModelLoadError, match="doesn't fit this model") as raised:
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
    with pytest.raises(ModelLoadError, match=r"The adapter folder .* doesn't exist"):
        load(engine, base, adapter=place)
    assert engine.loaded == info


def test_an_adapter_whose_config_is_broken_is_refused_before_the_model_goes(
    engine, base, adapter, tmp_path
):
    info = load(engine, base)
    folder = shutil.copytree(adapter, tmp_path / "broken")
    (folder / "adapter_config.json").write_text("{")
    with pytest.raises(ModelLoadError, match=r"adapter_config\.json can't be used"):
        load(engine, base, adapter=str(folder))
    assert engine.loaded == info


def test_without_peft_there_is_a_word_about_it(engine, base, adapter, monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda _name: None)
    with pytest.raises(ModelLoadError, match="requires the package peft") as raised:
        load(engine, base, adapter=str(adapter))
    assert "pip install peft" in raised.value.hint


@pytest.mark.parametrize(
    "values", [{"r": 10**9}, {"r": -1}, {"r": "4"}, {"rank_pattern": {"q_proj": 10**9}}]
)
def test_a_rank_that_the_matrices_do_not_have_is_refused_before_they_are_made(
    engine, base, adapter, tmp_path, values
):
    folder = shutil.copytree(adapter, tmp_path / "lora")
    config = json.loads((folder / "adapter_config.json").read_text())
    (folder / "adapter_config.json").write_text(json.dumps({**config, **values}))
    with pytest.raises(ModelLoadError, match="rank"):
        load(engine, base, adapter=str(folder))


def _changed(adapter, folder, **values):
    """Return a copy of an adapter whose config says something else."""
    shutil.copytree(adapter, folder)
    config = json.loads((folder / "adapter_config.json").read_text())
    (folder / "adapter_config.json").write_text(json.dumps({**config, **values}))
    return folder


@pytest.mark.parametrize(
    "values",
    [
        {"target_modules": "([a-z_.0-9]+)+!"},
        {"exclude_modules": "([a-z_.0-9]+)+!"},
        {"modules_to_save": ["([a-z_.0-9]+)+!"]},
        {"rank_pattern": {"([a-z_.0-9]+)+!": 4}},
        {"alpha_pattern": {"([a-z_.0-9]+)+!": 4}},
        {"layers_to_transform": [0], "layers_pattern": "([a-z_.0-9]+)+!"},
    ],
)
def test_a_pattern_that_takes_forever_is_refused_before_the_model_goes(
    engine, base, adapter, tmp_path, values
):
    info = load(engine, base)
    folder = _changed(adapter, tmp_path / "lora", **values)
    with pytest.raises(ModelLoadError, match="could take too long"):
        load(engine, base, adapter=str(folder))
    assert engine.loaded == info


def test_an_adapter_that_names_its_layers_by_a_pattern_is_put_on(engine, base, adapter, tmp_path):
    pattern = r"(.*\.)?(q_proj|v_proj)$"
    folder = _changed(
        adapter, tmp_path / "lora", target_modules=pattern, rank_pattern={r".*\.q_proj": 4}
    )
    assert "Using the adapter lora." in load(engine, base, adapter=str(folder)).notes


@pytest.mark.parametrize("layers", [[[0, 10**9]], [[0, 30]] * 50_000, [[0]], "all", [["0", "1"]]])
def test_layers_without_end_are_refused(adapter, tmp_path, layers):
    folder = _changed(adapter, tmp_path / "lora", layer_replication=layers)
    with pytest.raises(ModelLoadError, match="more layers than any model"):
        check_config(folder)


def test_an_adapter_in_the_models_folder_is_not_put_on_unasked(engine, base, adapter, tmp_path):
    load(engine, base)
    plain = ask(engine, chat("hello"), max_new_tokens=12).text
    folder = shutil.copytree(base, tmp_path / "both")
    shutil.copytree(adapter, folder, dirs_exist_ok=True)
    info = load(engine, folder)
    assert any("also contains an adapter" in note for note in info.notes)
    assert ask(engine, chat("hello"), max_new_tokens=12).text == plain
    info = load(engine, folder, adapter=str(folder))
    assert not any("also contains" in note for note in info.notes)
    assert ask(engine, chat("hello"), max_new_tokens=12).text != plain


def test_a_broken_adapter_in_the_models_folder_does_no_harm(engine, base, tmp_path):
    folder = shutil.copytree(base, tmp_path / "both")
    config = {"peft_type": "LORA", "r": 4, "target_modules": "([a-z_.0-9]+)+!"}
    (folder / "adapter_config.json").write_text(json.dumps(config))
    assert load(engine, folder)


@pytest.mark.parametrize(
    "name", ["adapter_model.safetensors", "adapter_model.bin", "adapter_config.json", "README.md"]
)
def test_a_pipe_in_an_adapters_folder_is_refused_rather_than_opened(base, adapter, tmp_path, name):
    folder = shutil.copytree(adapter, tmp_path / "lora")
    (folder / name).unlink(missing_ok=True)
    os.mkfifo(folder / name)
    code = (
        "import sys; from pathlib import Path; from tui.engine.base import ModelLoadError\n"
        "from tui.engine.local import adapter\n"
        "try: adapter.check_fits('lora', Path(sys.argv[1]), Path(sys.argv[2]))\n"
        "except ModelLoadError as error: print(error)\n"
    )
    # In a process that can be ended, since whoever opens a pipe waits for ever.
    done = subprocess.run(
        [sys.executable, "-c", code, folder, base],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert name in done.stdout
    assert "neither a file nor a folder" in done.stdout or name == "adapter_config.json"


def test_a_link_to_a_device_in_an_adapters_folder_is_refused(base, adapter, tmp_path):
    folder = shutil.copytree(adapter, tmp_path / "lora")
    (folder / "adapter_model.bin").symlink_to("/dev/zero")
    with pytest.raises(ModelLoadError, match="neither a file nor a folder"):
        check_fits("lora", folder, base)


def _for_tokens(folder, **config):
    """Return an adapter that changes single tokens."""
    import torch
    from safetensors.torch import save_file

    folder.mkdir()
    (folder / "adapter_config.json").write_text(json.dumps(config))
    name = "base_model.model.model.embed_tokens.trainable_tokens_delta"
    save_file({name: torch.ones(1, 64)}, folder / "adapter_model.safetensors")
    return folder


@pytest.mark.parametrize(
    "config",
    [
        {"peft_type": "TRAINABLE_TOKENS", "token_indices": [10**9], "target_modules": ["embed_tokens"]},
        {"peft_type": "TRAINABLE_TOKENS", "token_indices": [-10**9]},
        {"peft_type": "TRAINABLE_TOKENS", "token_indices": [100], "target_modules": ["k_proj"]},
        {"peft_type": "TRAINABLE_TOKENS", "token_indices": [100], "target_modules": r".*\.k_proj"},
        {"peft_type": "TRAINABLE_TOKENS", "token_indices": "many"},
        {"r": 4, "target_modules": ["q_proj"], "trainable_token_indices": [10**9]},
        {"r": 4, "target_modules": ["q_proj"], "trainable_token_indices": {"embed_tokens": [264, 10**9]}},
        {"r": 4, "target_modules": ["q_proj"], "trainable_token_indices": {"k_proj": [100]}},
    ],
)  # fmt: skip
def test_an_adapter_for_tokens_that_the_model_does_not_have_is_refused_before_they_are_looked_for(
    engine, base, tmp_path, monkeypatch, config
):
    import peft

    looked_for = []
    monkeypatch.setattr(
        peft.PeftModel, "from_pretrained", lambda *_args, **_options: looked_for.append(1)
    )
    folder = _for_tokens(tmp_path / "tokens", **config)
    with pytest.raises(ModelLoadError, match=r"The adapter .*tokens doesn't fit this model"):
        load(engine, base, adapter=str(folder))
    # A GPU that is asked for them does nothing more.
    assert not looked_for


def test_an_adapter_for_a_token_is_put_on(engine, base, tmp_path):
    config = {"peft_type": "TRAINABLE_TOKENS", "token_indices": [100], "target_modules": ["embed_tokens"]}  # fmt: skip
    load(engine, base, adapter=str(_for_tokens(tmp_path / "tokens", **config)))
    rows = engine._loaded.model.get_input_embeddings().weight
    assert rows[100].eq(1).all()
    assert not rows[101].eq(1).any()


def test_a_gpu_that_gave_up_is_not_blamed_on_the_adapter(engine, base, adapter, monkeypatch):
    import peft

    def fails(*_args, **_options):
        raise RuntimeError("CUDA error: device-side assert triggered")

    monkeypatch.setattr(peft.PeftModel, "from_pretrained", fails)
    with pytest.raises(ModelLoadError, match="The GPU failed"):
        load(engine, base, adapter=str(adapter))


def test_broken_weights_of_an_adapter_are_blamed_on_the_adapter(engine, base, adapter, tmp_path):
    folder = shutil.copytree(adapter, tmp_path / "lora")
    (folder / "adapter_model.safetensors").write_bytes(b"nothing")
    with pytest.raises(
        ModelLoadError, match=r"lora/adapter_model\.safetensors is damaged or incomplete"
    ):
        load(engine, base, adapter=str(folder))


def test_memory_that_runs_out_is_not_blamed_on_the_adapter(engine, base, adapter, monkeypatch):
    import peft

    def fails(*_args, **_options):
        raise MemoryError

    monkeypatch.setattr(peft.PeftModel, "from_pretrained", fails)
    with pytest.raises(ModelLoadError, match="isn't enough memory"):
        load(engine, base, adapter=str(adapter))


@pytest.mark.parametrize("name", ["adapter_model.safetensors", "adapter_config.json"])
def test_a_pointer_in_place_of_an_adapter_is_named_and_the_model_stays(
    engine, base, adapter, tmp_path, name
):
    info = load(engine, base)
    folder = shutil.copytree(adapter, tmp_path / "lora")
    (folder / name).write_text(
        "version https://git-lfs.github.com/spec/v1\noid sha256:ab\nsize 9\n"
    )
    with pytest.raises(ModelLoadError, match="Git LFS pointer"):
        load(engine, base, adapter=str(folder))
    assert engine.loaded == info


def test_an_adapter_in_a_file_is_said_to_be_none_that_can_be_used(engine, base, tmp_path):
    (tmp_path / "lora.gguf").write_bytes(b"GGUF")
    with pytest.raises(ModelLoadError, match="is a file") as raised:
        load(engine, base, adapter=str(tmp_path / "lora.gguf"))
    assert "original format" in raised.value.hint


def check_with(folder, **values):
    settings = {"peft_type": "LORA", "r": 2, "target_modules": ["q_proj"], **values}
    (folder / "adapter_config.json").write_text(json.dumps(settings))
    check_config(folder)


@pytest.mark.parametrize(
    "values",
    [
        {"init_lora_weights": "pissa_niter_1000000"},
        {"init_lora_weights": "pissa_niter_" + "9" * 5_000},
        {"init_lora_weights": "loftq", "loftq_config": {"loftq_iter": 10**9}},
        {"init_lora_weights": "loftq", "loftq_config": {"loftq_iter": "many"}},
    ],
)
def test_work_in_rounds_before_the_weights_are_read_is_bounded(tmp_path, values):
    with pytest.raises(ModelLoadError, match="rounds"):
        check_with(tmp_path, **values)


@pytest.mark.parametrize("way", [True, False, None, "gaussian", "pissa", "pissa_niter_16", "olora"])
def test_the_ways_to_begin_that_are_in_use_are_taken(tmp_path, way):
    check_with(tmp_path, init_lora_weights=way, loftq_config={"loftq_bits": 4, "loftq_iter": 5})


def test_a_name_without_end_in_an_adapter_is_refused_before_it_is_matched(base, adapter, tmp_path):
    from safetensors.torch import load_file, save_file

    folder = shutil.copytree(adapter, tmp_path / "adapter")
    weights = load_file(folder / "adapter_model.safetensors")
    first = next(iter(weights.values()))
    save_file({**weights, "layers.0." * 200: first.clone()}, folder / "adapter_model.safetensors")
    with pytest.raises(ModelLoadError, match="characters"):
        check_fits("adapter", folder, base)
