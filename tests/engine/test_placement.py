"""Where ids go, also to a model of which a part waits elsewhere."""

from types import SimpleNamespace

import pytest
import torch
from accelerate import cpu_offload
from transformers import AutoModelForCausalLM

from tests.engine import tiny
from tests.engine.conftest import ask, chat, load, never
from tui.engine.base import GenerateRequest, GenerationError, LoadRequest
from tui.engine.catalog import resolve
from tui.engine.local import load_notes
from tui.engine.local.loaded import Preparation
from tui.engine.local.placement import input_device
from tui.engine.local.prefix_cache import PrefixCache


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tiny.llama(tmp_path_factory.mktemp("models") / "llama")


def test_ids_go_to_the_first_layer(folder):
    model = AutoModelForCausalLM.from_pretrained(folder)
    assert input_device(model) == torch.device("cpu")


def test_ids_go_where_a_layer_is_computed_whose_weights_wait_elsewhere(folder):
    model = AutoModelForCausalLM.from_pretrained(folder)
    cpu_offload(model, torch.device("cpu"))
    assert model.get_input_embeddings().weight.device.type == "meta"
    assert input_device(model) == torch.device("cpu")
    assert PrefixCache(model).is_usable
    ids = torch.tensor([[1, 2, 3]], device=input_device(model))
    assert model(input_ids=ids).logits.isfinite().all()


@pytest.mark.parametrize(
    ("places", "device", "said"),
    [
        ({"a": 0, "b": "cpu"}, "cuda:0", ": part of it runs on the CPU"),
        ({"": "cpu"}, "cuda:0", "GPU: it runs on the CPU"),
        ({"": 0}, "cuda:0", ""),
        ({"": "cpu"}, "cpu", ""),
    ],
)
def test_what_does_not_go_to_the_gpu_is_told(engine, folder, monkeypatch, places, device, said):
    load(engine, folder)
    loaded = engine._loaded
    parts = SimpleNamespace(adapter=None, folder=folder, source=resolve(str(folder)))
    prepared = Preparation(
        parts, LoadRequest(str(folder)), loaded.model.config, None, device, "float32", method=""
    )
    monkeypatch.setattr(loaded.model, "hf_device_map", places, raising=False)
    notes = " ".join(load_notes.notes(prepared, loaded.model, loaded.prompts))
    assert said in notes
    assert bool(said) == ("does not fit" in notes)


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        (1, torch.device("cuda", 1)),
        ("cuda:0", torch.device("cuda", 0)),
        (torch.device("mps"), torch.device("mps")),
    ],
)
def test_a_gpu_may_be_named_by_its_number(folder, said, expected):
    model = AutoModelForCausalLM.from_pretrained(folder)
    cpu_offload(model, torch.device("cpu"))
    model.get_input_embeddings()._hf_hook.execution_device = said
    assert input_device(model) == expected


def test_a_model_that_is_all_on_the_cpu_has_no_map_and_is_told_of_too(engine, folder):
    load(engine, folder, device="cpu")
    loaded = engine._loaded
    assert not hasattr(loaded.model, "hf_device_map")
    parts = SimpleNamespace(adapter=None, folder=folder, source=resolve(str(folder)))
    prepared = Preparation(
        parts, LoadRequest(str(folder)), loaded.model.config, None, "cuda:0", "float32", method=""
    )
    notes = " ".join(load_notes.notes(prepared, loaded.model, loaded.prompts))
    assert "GPU: it runs on the CPU" in notes


@pytest.mark.parametrize("more", [1, 20])
def test_tokens_that_a_model_has_no_row_for_are_never_looked_for(
    engine, tmp_path, monkeypatch, more
):
    folder = tiny.llama(tmp_path / "model")
    made = tiny.tokenizer()
    made.add_tokens([f"<new {number}>" for number in range(more)])
    made.save_pretrained(folder)
    load(engine, folder)
    calls = []
    model = engine._loaded.model
    monkeypatch.setattr(model, "forward", lambda **_options: calls.append(1))
    with pytest.raises(GenerationError, match="a token that is in the tokenizer"):
        ask(engine, chat(f"hello <new {more - 1}>"))
    history = chat(f"hello <new {more - 1}>", "a reply")
    assert engine.prepare(GenerateRequest(history), never)
    assert not calls
    monkeypatch.undo()
    assert ask(engine, chat("hello"), max_new_tokens=2).finished.stats.new_tokens == 2
