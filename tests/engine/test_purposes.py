"""Models that are made for something else than a chat: said in lists and at loads alike."""

import json

import pytest

from tests.engine.conftest import load
from tests.engine.test_checkpoint import weights
from tui.engine import catalog
from tui.engine.base import ModelLoadError


@pytest.fixture
def folder(tmp_path):
    weights(tmp_path, "model.safetensors")
    return tmp_path


@pytest.mark.parametrize(
    ("config", "files", "said"),
    [
        ({"architectures": ["LlamaForSequenceClassification"]}, (), "classifies or scores"),
        ({"architectures": ["Qwen2ForRewardModel"]}, (), "classifies or scores"),
        ({"quantization": {"group_size": 64, "bits": 4}}, (), "for MLX"),
        ({"architectures": ["Qwen3ForCausalLM"]}, ("modules.json", "config_sentence_transformers.json"), "sentence-transformers"),
    ],
)  # fmt: skip
def test_what_is_made_for_something_else(engine, folder, config, files, said):
    (folder / "config.json").write_text(json.dumps({"model_type": "llama", **config}))
    for name in files:
        (folder / name).write_text("{}")
    with pytest.raises(ModelLoadError, match=said):
        catalog.facts(catalog.resolve(str(folder)))
    with pytest.raises(ModelLoadError, match=said):
        load(engine, folder)
