"""The weights of a loaded model are its own: what happens to their file later does not matter."""

import os
import subprocess
import sys
from types import SimpleNamespace

import pytest

from tests.engine import tiny
from tests.engine.conftest import load
from tui.engine.base import ModelLoadError
from tui.engine.checkpoint import Weights
from tui.engine.local.weights import (
    are_taken_apart,
    check_names,
    copy_out_of_files,
    others_can_change,
)

CUT_SHORT = """
import os, sys
from pathlib import Path
import torch
from tests.engine.conftest import ask, chat, load
from tui.engine.local.engine import LocalEngine

def computed():
    text = ask(engine, chat("abc"), max_new_tokens=8).text
    return text, engine._loaded.model(input_ids=torch.tensor([[1, 2, 3]])).logits.tolist()

folder = Path(sys.argv[1])
engine = LocalEngine(Path(sys.argv[2]))
load(engine, folder, dtype="float32", kernels=False)
before = computed()
for path in folder.glob("*.safetensors"):
    os.truncate(path, 100)
print(computed() == before)
"""


def test_a_file_that_somebody_else_cuts_short_while_its_model_is_loaded_changes_nothing(tmp_path):
    sizes = [("hidden_size", 128), ("intermediate_size", 256)]
    folder = tiny.llama(tmp_path / "model", sizes=sizes)
    (folder / "model.safetensors").chmod(0o666)
    done = subprocess.run(
        [sys.executable, "-c", CUT_SHORT, folder, tmp_path / "cache"],
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert (done.returncode, done.stdout.strip()) == (0, "True"), done.stderr


@pytest.mark.parametrize(
    ("file_mode", "folder_mode", "can"),
    [(0o644, 0o755, False), (0o664, 0o755, True), (0o646, 0o755, True), (0o644, 0o777, True)],
)
def test_others_can_change_what_they_can_write_to(tmp_path, file_mode, folder_mode, can):
    folder = tmp_path / "model"
    folder.mkdir()
    (folder / "model.safetensors").write_bytes(b"")
    (folder / "model.safetensors").chmod(file_mode)
    folder.chmod(folder_mode)
    assert others_can_change(folder) is can


def test_what_a_link_leads_to_is_what_counts(tmp_path):
    (tmp_path / "blobs").mkdir()
    (tmp_path / "blobs" / "a").write_bytes(b"")
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "model.safetensors").symlink_to(tmp_path / "blobs" / "a")
    assert not others_can_change(tmp_path / "model")
    (tmp_path / "blobs").chmod(0o777)
    assert others_can_change(tmp_path / "model")


def test_a_file_of_somebody_else_can_be_changed_by_them(tmp_path, monkeypatch):
    (tmp_path / "model.safetensors").write_bytes(b"")
    monkeypatch.setattr("os.geteuid", lambda: os.getuid() + 1)
    assert others_can_change(tmp_path)


def mapped(path, values):
    import torch
    from safetensors.torch import save_file

    save_file({"w": torch.tensor(values)}, path)
    from safetensors import safe_open

    with safe_open(path, framework="pt") as file:
        return file.get_tensor("w")


def test_mapped_weights_are_copied_and_the_others_stay_where_they_are(tmp_path):
    import torch

    model = torch.nn.Linear(2, 1)
    model.weight = torch.nn.Parameter(mapped(tmp_path / "w", [[1.0, 2.0]]))
    model.register_buffer("scale", mapped(tmp_path / "b", [3.0]))
    model.tied = model.weight
    places = [tensor.data_ptr() for tensor in (model.weight, model.scale, model.bias)]
    copy_out_of_files(model, lambda: None)
    after = [tensor.data_ptr() for tensor in (model.weight, model.scale, model.bias)]
    assert [one == other for one, other in zip(places, after, strict=True)] == [False, False, True]
    assert model.tied is model.weight
    assert (model.weight.tolist(), model.scale.tolist()) == ([[1.0, 2.0]], [3.0])


def test_what_a_quantized_weight_is_made_of_is_copied(tmp_path):
    import torch

    parts = SimpleNamespace(
        inner=mapped(tmp_path / "w", [1.0]), __tensor_flatten__=lambda: (["inner"], None)
    )
    place = parts.inner.data_ptr()
    copy_out_of_files(SimpleNamespace(parameters=lambda: [parts], buffers=list), lambda: None)
    assert parts.inner.data_ptr() != place
    assert torch.equal(parts.inner, torch.tensor([1.0]))


def test_a_cancel_is_looked_at_before_each_copy(tmp_path):
    import torch

    model = torch.nn.ParameterList([mapped(tmp_path / name, [1.0]) for name in "ab"])
    calls = []
    copy_out_of_files(model, lambda: calls.append(1))
    assert len(calls) == 2


NATIVE = (
    "tok_embeddings.weight",
    "layers.0.attention.wq.weight",
    "layers.0.feed_forward.w1.weight",
)


@pytest.mark.parametrize("name", ["model.safetensors", "consolidated.safetensors"])
@pytest.mark.parametrize("kind", ["llama", "mixtral", "mistral3"])
def test_weights_in_the_format_of_the_maker_are_refused_by_name(tmp_path, kind, name):
    found = Weights((name,), is_usual=True, tensors=dict.fromkeys(NATIVE, ("BF16", (1,))))
    with pytest.raises(ModelLoadError, match="developer's original format"):
        check_names(tmp_path, found, SimpleNamespace(model_type=kind))


def test_names_of_the_maker_that_transformers_knows_are_as_good_as_its_own(tmp_path):
    found = Weights(("m",), is_usual=True, tensors=dict.fromkeys(NATIVE, ("BF16", (1,))))
    check_names(tmp_path, found, SimpleNamespace(model_type="mistral_large4"))


def test_a_folder_with_the_makers_names_is_refused_before_its_weights_are_read(engine, tmp_path):
    from safetensors.torch import load_file, save_file

    folder = tiny.llama(tmp_path / "model")
    weights = load_file(folder / "model.safetensors")
    renamed = {
        name.removeprefix("model.").replace("self_attn.q_proj", "attention.wq"): weight
        for name, weight in weights.items()
    }
    save_file(renamed, folder / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(ModelLoadError, match="developer's original format"):
        load(engine, folder)


class Molmo2TextModel:
    """What transformers knows a rule for by the name of its class."""

    config = SimpleNamespace(model_type="molmo2_text")


def _of_kind(kind):
    part = SimpleNamespace(config=SimpleNamespace(model_type=kind))
    return SimpleNamespace(modules=lambda: [part, SimpleNamespace()])


def test_parts_of_a_tensor_that_is_taken_apart_are_known_by_their_names():
    whole = "model.H_module.layers.0.self_attn.q_proj.weight"
    assert are_taken_apart(_of_kind("hrm_text"), [whole])
    assert not are_taken_apart(_of_kind("hrm_text"), [whole, "lm_head.weight"])
    assert not are_taken_apart(_of_kind("hrm_text"), [])
    assert not are_taken_apart(_of_kind("llama"), [whole])
    by_class = SimpleNamespace(modules=lambda: [Molmo2TextModel()])
    assert are_taken_apart(by_class, ["model.language_model.layers.0.mlp.gate_proj.weight"])
