"""Rotary frequencies that depend on the length: which lengths go together."""

import pytest
import torch
from transformers import AutoModelForCausalLM

from tests.engine import tiny
from tui.engine.local import habits
from tui.engine.local.rotary import Rotary


def rotary(make, folder):
    return Rotary(AutoModelForCausalLM.from_pretrained(make(folder), dtype=torch.float32).eval())


def test_most_models_have_the_same_ones_at_any_length(tmp_path):
    made = rotary(tiny.llama, tmp_path / "model")
    assert made.is_steady
    assert made.alike(5, 500) == 500


@pytest.mark.parametrize("make", [tiny.longrope, tiny.longrope_kept])
def test_longrope_has_two_sets(tmp_path, make):
    made = rotary(make, tmp_path / "model")
    assert made.limits == [64]
    assert made.key(1) == made.key(64) != made.key(65) == made.key(500)
    assert made.alike(10, 64) == 64
    assert made.alike(10, 100) == 64
    assert made.alike(70, 30) == 30
    assert made.alike(70, 100) == 100


@pytest.mark.parametrize("make", [tiny.dynamic_rope, tiny.rope_by_layers])
def test_dynamic_scaling_has_one_for_each_length(tmp_path, make):
    made = rotary(make, tmp_path / "model")
    assert made.key(1) == made.key(64) != made.key(65) != made.key(66)
    assert made.alike(10, 100) == 64
    assert made.alike(70, 75) == 70


def test_no_length_that_a_config_names_fills_the_memory():
    class Model:
        def get_input_embeddings(self):
            return torch.nn.Embedding(1, 1)

        def prepare_inputs_for_generation(self, ids, **_options):
            asked.append(ids.shape[1])
            return {}

    asked = []
    assert habits.gives_up_cache(Model(), "", 64)
    assert not habits.gives_up_cache(Model(), "", 1 << 31)
    assert asked == [65]
