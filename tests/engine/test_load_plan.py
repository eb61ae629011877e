"""What is tried where a model's own code can't do with what was chosen."""

import pytest
import torch

from tests.engine import tiny
from tests.engine.conftest import ask, chat, load
from tui.engine.base import LoadRequest, ModelLoadError
from tui.engine.local import load_plan
from tui.engine.local.load_plan import Plan
from tui.engine.local.narrowing import LeftOutError

FAULT = RuntimeError("expected scalar type Float but found BFloat16")


def after(plan, error, **options):
    return load_plan.after(plan, error, LoadRequest("m", **options), "m")


def test_another_dtype_is_taken_and_said():
    made = after(Plan(torch.bfloat16), FAULT)
    assert made.dtype is torch.float32
    assert "doesn't support bfloat16" in made.notes[0]
    assert after(made, FAULT) is None


def test_a_dtype_that_was_asked_for_is_refused():
    with pytest.raises(ModelLoadError, match="doesn't support bfloat16"):
        after(Plan(torch.bfloat16), FAULT, dtype="bfloat16")


def test_another_attention_is_taken_unless_one_was_asked_for():
    fault = ValueError("M does not support an attention implementation through torch")
    made = after(Plan(torch.float32), fault)
    assert made.attention == "eager"
    assert after(made, fault) is None
    assert after(Plan(torch.float32, "sdpa"), fault, attention="sdpa") is None


def test_a_cause_counts_as_the_error_does():
    wrapped = ModelLoadError("it could not be loaded")
    wrapped.__cause__ = LeftOutError("vision_tower was left out")
    made = after(Plan(torch.float32), wrapped)
    assert made.keeps_towers
    assert after(made, wrapped) is None


@pytest.mark.parametrize("error", [MemoryError(), RuntimeError("shapes differ"), KeyError("x")])
def test_other_errors_stay_errors(error):
    assert after(Plan(torch.bfloat16), error) is None


@pytest.fixture
def float32_only(tmp_path, monkeypatch):
    """A model whose code computes in float32 only, on a device that has 16 bits."""
    from transformers import LlamaForCausalLM

    from tui.engine.local import placement

    plain = LlamaForCausalLM.forward

    def forward(self, *args, **options):
        if self.dtype is not torch.float32:
            raise FAULT
        return plain(self, *args, **options)

    monkeypatch.setattr(LlamaForCausalLM, "forward", forward)
    monkeypatch.setattr(placement, "half_dtype", lambda _device: "bfloat16")
    return tiny.llama(tmp_path / "model")


def test_a_model_that_computes_in_float32_only_replies(engine, float32_only):
    info = load(engine, float32_only)
    assert info.dtype == "float32"
    assert any("doesn't support bfloat16" in note for note in info.notes)
    assert ask(engine, chat("hello"), max_new_tokens=2).finished


def test_twice_the_memory_is_not_taken_where_that_is_over_the_limit(engine, float32_only):
    held = load(engine, float32_only).weights_bytes
    limit = f"{held * 3 // 4 // 1024}KiB"
    with pytest.raises(ModelLoadError, match="more than the limit"):
        load(engine, float32_only, max_memory={"cpu": limit})
