"""What a config.json means that says it in another way than transformers takes it, and what is said of values that mean nothing."""

import json
import shutil

import pytest

from tests.engine import tiny
from tests.engine.conftest import ask, chat, load
from tui.engine.base import ModelLoadError
from tui.engine.config_values import mended


@pytest.mark.parametrize(
    ("said", "meant"),
    [
        ({"rms_norm_eps": "1e-6"}, {"rms_norm_eps": 1e-6}),
        ({"hidden_size": "64"}, {"hidden_size": 64}),
        ({"num_attention_heads": 4.0}, {"num_attention_heads": 4}),
        ({"tie_word_embeddings": "False"}, {"tie_word_embeddings": False}),
        ({"torch_dtype": "torch.bfloat16"}, {"torch_dtype": "bfloat16"}),
        ({"dtype": "fp16"}, {"dtype": "float16"}),
        ({"torch_dtype": "auto"}, {}),
        ({"torch_dtype": "int8"}, {}),
        ({"torch_dtype": "float8_e4m3fn"}, {"torch_dtype": "bfloat16"}),
        ({"dtype": {"text_config": "float16"}}, {"dtype": "float16"}),
        ({"sliding_window": 0}, {"sliding_window": None}),
        ({"sliding_window": "4096"}, {"sliding_window": 4096}),
        ({"max_position_embeddings": None}, {}),
        ({"rope_scaling": {"type": "su"}}, {"rope_scaling": {"type": "longrope"}}),
        ({"rope_scaling": {"factor": "2.0"}}, {"rope_scaling": {"factor": 2.0}}),
        ({"rope_scaling": False}, {"rope_scaling": None}),
        ({"rope_theta": None}, {}),
        ({"vocab_size": 100, "pad_token_id": 100}, {"vocab_size": 100, "pad_token_id": None}),
        ({"bos_token_id": -1}, {"bos_token_id": None}),
        ({"eos_token_id": "2"}, {"eos_token_id": 2}),
        ({"text_config": {"head_dim": "8"}}, {"text_config": {"head_dim": 8}}),
    ],
)
def test_what_is_meant(said, meant):
    assert mended(said) == meant


@pytest.mark.parametrize(
    "config",
    [
        {},
        {"transformers_version": "5", "model_type": "llama", "hidden_act": "silu", "x": float("nan")},
        {"quantization_config": {"bits": "4", "dtype": "auto"}, "id2label": {"0": "1"}},
        {"torch_dtype": "bfloat16", "rope_scaling": {"type": "linear", "factor": 2}, "eos_token_id": [1, 2]},
        {"rope_scaling": None, "sliding_window": None, "dtype": None, "pad_token_id": 0, "vocab_size": 5},
    ],
)  # fmt: skip
def test_a_config_that_says_what_it_means_is_left_alone(config):
    assert mended(config) is config


@pytest.fixture(scope="module")
def llama(tmp_path_factory):
    return tiny.llama(tmp_path_factory.mktemp("models") / "tiny-llama", sharp=True)


@pytest.fixture
def folder(llama, tmp_path):
    return shutil.copytree(llama, tmp_path / "model")


def change(folder, *, without=(), **values):
    config = json.loads((folder / "config.json").read_text())
    kept = {key: value for key, value in config.items() if key not in without}
    (folder / "config.json").write_text(json.dumps({**kept, **values}))


@pytest.mark.parametrize(
    "values",
    [
        {"rms_norm_eps": "1e-6", "max_position_embeddings": "512", "pad_token_id": 32_000},
        {"dtype": "torch.float32", "eos_token_id": "256", "tie_word_embeddings": "true"},
        {"model_type": None},
    ],
)
def test_such_a_model_replies_as_ever(engine, llama, folder, values):
    load(engine, llama)
    right = ask(engine, chat("hello"), max_new_tokens=8).text
    change(folder, **values)
    load(engine, folder)
    assert ask(engine, chat("hello"), max_new_tokens=8).text == right


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"hidden_act": "supergelu"}, "sets hidden_act to 'supergelu', which the installed"),
        ({"hidden_act": None}, "sets hidden_act to None, which isn't valid"),
        ({"rope_scaling": {"type": "odd", "factor": 2.0}}, r"rope_scaling\.type to 'odd'"),
        ({"rope_scaling": "linear"}, "sets rope_parameters to 'linear', which isn't valid"),
        ({"rope_scaling": {"rope_type": "llama3", "factor": 8.0}}, "but doesn't specify high_freq_factor, low_freq_factor"),
        ({"rope_scaling": {"type": "longrope", "short_factor": [1.0] * 6, "long_factor": [2.0] * 6}}, "6 instead of 4"),
        ({"model_type": "", "architectures": None}, "doesn't specify what kind of model it is"),
        ({"model_type": None, "architectures": None, "_class_name": "UNet2DConditionModel"}, "a diffusion pipeline"),
    ],
)  # fmt: skip
def test_what_means_nothing_is_named(engine, folder, values, said):
    change(folder, without=("rope_parameters",), **values)
    with pytest.raises(ModelLoadError, match=said):
        load(engine, folder)
