"""Kinds of models that can't hold a chat: what lists say of them without transformers, held against what transformers says."""

import json
import subprocess
import sys
import warnings

import pytest

from tests.engine import tiny
from tests.engine.conftest import load
from tui.engine import catalog, kinds
from tui.engine.base import ModelLoadError
from tui.engine.local import model_classes


@pytest.fixture
def folder(tmp_path):
    return tiny.llama(tmp_path / "model")


def configure(folder, **config):
    (folder / "config.json").write_text(json.dumps(config))
    return folder


def listed(folder):
    return catalog.facts(catalog.resolve(str(folder)))


@pytest.mark.parametrize(
    ("config", "said"),
    [
        ({"model_type": "bert"}, "is an encoder"),
        ({"model_type": "bert", "architectures": ["BertModel"]}, "is an encoder"),
        ({"model_type": "roberta", "architectures": ["RobertaForMaskedLM"]}, "is an encoder"),
        ({"model_type": "t5", "architectures": ["T5ForConditionalGeneration"]}, "is an encoder-decoder"),
        ({"model_type": "bart"}, "is an encoder-decoder"),
        ({"model_type": "llama", "architectures": ["LlamaForTokenClassification"]}, "classifies or scores"),
        ({"architectures": ["Nothing"]}, "model_type is missing"),
        ({}, "model_type is missing"),
        ({"_class_name": "UNet2DConditionModel", "_diffusers_version": "0.30"}, "part of a diffusion pipeline"),
    ],
)  # fmt: skip
def test_a_list_says_of_what_writes_no_chat_what_a_load_says(engine, folder, config, said):
    configure(folder, **config)
    with pytest.raises(ModelLoadError, match=said) as in_list:
        listed(folder)
    with pytest.raises(ModelLoadError, match=said) as at_load:
        load(engine, folder)
    assert in_list.value.message == at_load.value.message
    assert in_list.value.hint == at_load.value.hint


def test_an_unknown_architecture_needs_what_is_not_here(engine, folder):
    configure(folder, model_type="foo99")
    with pytest.raises(
        ModelLoadError, match="needs a newer version of transformers, or custom code"
    ):
        listed(folder)
    with pytest.raises(ModelLoadError):
        load(engine, folder)


@pytest.mark.parametrize(
    "config",
    [
        {"model_type": "foo99", "auto_map": {"AutoModelForCausalLM": "a.B"}},
        {"auto_map": {"AutoConfig": "a.B"}},
        {"architectures": ["LlamaForCausalLM"]},
        {"model_type": "llama", "architectures": ["LlamaForMaskedLM"]},
        {"model_type": "bert", "is_decoder": True},
        {"model_type": "bart", "architectures": ["BartForCausalLM"]},
        {"model_type": "mbart", "is_encoder_decoder": False},
    ],
)
def test_of_what_may_load_nothing_is_said(config):
    kinds.check(config, "it")


def test_all_kinds_and_classes_that_transformers_knows_are_known():
    from transformers.models.auto.configuration_auto import CONFIG_MAPPING_NAMES
    from transformers.models.auto.modeling_auto import (
        MODEL_FOR_CAUSAL_LM_MAPPING_NAMES,
        MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING_NAMES,
    )

    assert len(CONFIG_MAPPING_NAMES) > 300
    refused = []
    for kind in CONFIG_MAPPING_NAMES:
        if kind not in kinds.ENCODERS | kinds.ENCODER_DECODERS:
            try:
                kinds.check({"model_type": kind}, kind)
            except ModelLoadError:
                refused.append(kind)
    for table in (MODEL_FOR_CAUSAL_LM_MAPPING_NAMES, MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING_NAMES):
        for names in table.values():
            for name in (names,) if isinstance(names, str) else names:
                try:
                    kinds.check({"architectures": [name]}, name)
                except ModelLoadError:
                    refused.append(name)
    assert not refused


def test_the_tables_are_what_transformers_says():
    from transformers import CONFIG_MAPPING
    from transformers.models.auto.configuration_auto import CONFIG_MAPPING_NAMES

    encoders, both = set(), set()
    for kind in CONFIG_MAPPING_NAMES:
        try:
            with warnings.catch_warnings(action="ignore"):
                config = CONFIG_MAPPING[kind]()
        except Exception:  # noqa: BLE001 - some can't be made of nothing, and no table speaks of them
            continue
        if model_classes._is_encoder_decoder(config, {}):
            both.add(kind)
        elif model_classes._is_encoder(config):
            encoders.add(kind)
    assert encoders == kinds.ENCODERS
    assert both == kinds.ENCODER_DECODERS


def test_a_look_at_an_unknown_kind_imports_no_transformers():
    program = (
        "import sys\nfrom tui.engine import kinds\nfrom tui.engine.base import ModelLoadError\n"
        "try:\n    kinds.check({'model_type': 'foo99'}, 'it')\nexcept ModelLoadError:\n    print('transformers' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)  # fmt: skip
    assert done.stdout.strip() == "False"


def test_where_transformers_tables_are_not_found_nothing_is_said(monkeypatch):
    monkeypatch.setattr(kinds, "_tables", lambda: "")
    kinds.check({"model_type": "foo99"}, "it")


def test_a_model_without_any_tokenizer(engine, folder):
    for path in folder.glob("*token*"):
        path.unlink()
    with pytest.raises(ModelLoadError, match="has no tokenizer") as in_list:
        listed(folder)
    with pytest.raises(ModelLoadError, match="has no tokenizer") as at_load:
        load(engine, folder)
    assert in_list.value.message == at_load.value.message


@pytest.mark.parametrize("name", ["tokenizer.json", "spiece.model", "qwen.tiktoken", "tokenization_x.py", "vocab.bpe"])  # fmt: skip
def test_whatever_may_make_a_tokenizer_is_one(folder, name):
    for path in folder.glob("*token*"):
        path.unlink()
    (folder / name).write_text('{"a": 1}')
    assert listed(folder).parameters
