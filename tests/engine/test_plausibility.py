"""Which numbers of a config.json are believed: those of every kind of model that there is, however unusual, and no others."""

import json

import pytest

from tui.engine import model_files, plausibility
from tui.engine.base import ModelLoadError

FEWEST_KINDS = 700


def said(folder, config):
    """Return what is said against a config, as a file says it; empty when it is let through."""
    path = folder / "config.json"
    path.write_text(config if isinstance(config, str) else json.dumps(config))
    try:
        plausibility.check_folder(folder, model_files.read_json(path))
    except (ModelLoadError, ValueError) as error:
        return str(error)
    return ""


def test_no_kind_of_model_is_refused_as_it_comes(tmp_path):
    from transformers.models.auto.configuration_auto import CONFIG_MAPPING, CONFIG_MAPPING_NAMES

    refused, made = {}, 0
    for kind in CONFIG_MAPPING_NAMES:
        try:
            config = CONFIG_MAPPING[kind]()
            texts = [config.to_json_string(use_diff=is_short) for is_short in (True, False)]
        except Exception:  # noqa: BLE001 - a few can't be made without being told more
            continue
        made += 1
        refused[kind] = [why for text in texts if (why := said(tmp_path, text))]
    assert made > FEWEST_KINDS
    assert {kind: why for kind, why in refused.items() if why} == {}


@pytest.mark.parametrize(
    "config",
    [
        # Experts that are rows of a table, a million of them in each layer.
        {"num_experts": 1024**2, "num_hidden_layers": 48},
        {"num_hidden_layers": {"language": 9, "vision": 5}},
        {"num_hidden_layers": 32.0, "vocab_size": 1e5},
        {"max_position_embeddings": 1200.0},
        {"max_position_embeddings": 1234.5},
        {"max_position_embeddings": -1},
        {"sliding_window": -1},
        {"num_bpe_labels": 262_144},
        {"id2label": {str(number): "a" for number in range(21_841)}},
        {"ngram_vocab_size_base": 10**9},
        {"num_embeddings": 262_144},
        {"num_hash_buckets": 500_000},
        {"num_parameters": 7 * 10**9, "n_params": 10**12, "num_train_tokens": 15 * 10**12},
        {"num_training_steps": 1_000_000},
        {"mask_value": -1e38, "rope_theta": 1e30, "time_step_limit": [0.0, float("inf")]},
        {"model_max_length": 10**30},
        {"num_samples_seen": 34 * 10**9},
        {"num_key_value_heads": [4, 4, 2]},
        {"num_attention_heads": None},
    ],
    ids=str,
)
def test_an_unusual_number_is_no_reason_to_refuse_a_model(tmp_path, config):
    assert said(tmp_path, config) == ""


@pytest.mark.parametrize(
    "config",
    [
        {"num_hidden_layers": 10**9},
        {"num_hidden_layers": 1e9},
        {"num_hidden_layers": -1},
        {"num_hidden_layers": -1.0},
        {"num_hidden_layers": True},
        {"num_hidden_layers": "32"},
        {"num_hidden_layers": {}},
        {"num_hidden_layers": {"language": 10**9}},
        {"num_hidden_layers": {"language": {"deep": [10**9]}}},
        {"encoder_layers": {"language": 10**9}},
        {"text_config": {"num_hidden_layers": {"a": 10**9}}},
        {"hidden_size": 32.5},
        {"vocab_size": 10**9},
        {"ngram_vocab_size_base": 10**12},
        {"num_labels": 10**9},
        {"num_experts": 10**9},
        {"num_conv_pos_embeddings": 10**9},
        {"max_position_embeddings": 10**18},
        {"max_position_embeddings": -2},
        '{"max_position_embeddings": NaN}',
        '{"max_position_embeddings": 1e999}',
        '{"max_position_embeddings": -1e999}',
        '{"num_hidden_layers": NaN}',
        '{"num_hidden_layers": 1e999}',
        f'{{"num_hidden_layers": 1{"0" * 400}}}',
        f'{{"num_hidden_layers": {"[" * 10_000}1{"]" * 10_000}}}',
    ],
    ids=lambda value: str(value)[:60],
)
def test_a_number_that_no_model_has_is_refused_at_any_place(tmp_path, config):
    assert said(tmp_path, config)
