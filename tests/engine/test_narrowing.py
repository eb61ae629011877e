"""Models that also see or hear, loaded for text with only what that takes."""

import pytest

from tests.engine import tiny
from tests.engine.conftest import ask, chat, load
from tui.engine import towers
from tui.engine.facts import facts_of, folder_facts
from tui.engine.fit import weights_bytes
from tui.engine.local import loading, narrowing, placement

NOTE = "Loaded for text only, without the model's vision and audio parts."


@pytest.mark.parametrize("quantization", ["none", "int8"])
@pytest.mark.parametrize("make", [tiny.seeing, tiny.hearing])
def test_what_it_sees_or_hears_with_takes_no_memory_and_the_estimate_knows(
    engine, tmp_path, make, quantization
):
    folder = make(tmp_path / "model")
    known = folder_facts(folder)
    info = load(engine, folder, quantization=quantization, dtype="bfloat16")
    assert NOTE in info.notes
    assert narrowing.left_out(engine._loaded.model)
    assert known.tower_weights > 5_000
    assert not any("tower" in name for name, _ in engine._loaded.model.named_parameters())
    estimate = weights_bytes(known, quantization, dtype="bfloat16")
    assert estimate == pytest.approx(info.weights_bytes, rel=0.1)


def test_it_can_be_kept(engine, tmp_path, monkeypatch):
    plain = loading.load

    def whole(*args, **options):
        return plain(*args, **options, keeps_towers=True)

    monkeypatch.setattr(loading, "load", whole)
    info = load(engine, tiny.seeing(tmp_path / "model"))
    assert not narrowing.left_out(engine._loaded.model)
    assert any("together with the model's vision" in note for note in info.notes)
    assert ask(engine, chat("hello"), max_new_tokens=2).finished


@pytest.mark.parametrize("asks", ["calls it", "looks at it"])
def test_a_model_whose_code_needs_it_for_text_too_is_loaded_whole(
    engine, tmp_path, monkeypatch, asks
):
    from transformers import LlavaForConditionalGeneration

    plain = LlavaForConditionalGeneration.forward

    def forward(self, input_ids=None, **options):
        tower = self.model.vision_tower
        if asks == "calls it":
            tower(input_ids.new_zeros((1, 3, 32, 32)).float().to(self.dtype))
        assert tower.config is not None
        return plain(self, input_ids=input_ids, **options)

    monkeypatch.setattr(LlavaForConditionalGeneration, "forward", forward)
    info = load(engine, tiny.seeing(tmp_path / "model"))
    assert NOTE not in info.notes
    assert ask(engine, chat("hello"), max_new_tokens=2).finished


@pytest.mark.parametrize(
    ("name", "is_one"),
    [
        ("model.visual.blocks.0.attn.qkv.weight", True),
        ("visual.merger.mlp.0.weight", True),
        ("vision_tower.vision_model.encoder.layers.0.mlp.fc1.weight", True),
        ("model.high_res_vision_neck.conv1.weight", True),
        ("thinker.audio_tower.conv1.weight", True),
        ("blocks.0.norm1.weight", True),
        ("model.sam_model.net_3.weight", True),
        ("perception.encoder.asr_norm.weight", True),
        ("vit_large_projector.weight", True),
        ("patch_merger.merging_layer.weight", True),
        ("mlp1.1.weight", True),
        ("mlp_AR.linear_1.weight", True),
        ("vision_language_adapter.w_in.weight", True),
        ("llm.model.layers.0.mlp.up_proj.weight", False),
        ("language_model.model.layers.0.mlp.up_proj.weight", False),
        ("model.language_model.layers.0.cross_attn.vision_gate.weight", False),
        ("model.layers.0.mlp.projector.weight", False),
        ("per_layer_model_projection.weight", False),
        ("lm_head.weight", False),
    ],
)
def test_towers_are_known_by_their_names_in_the_files(name, is_one):
    assert towers.is_of_tower(name) == is_one


def test_a_model_of_text_alone_has_no_towers_whatever_its_parts_are_called():
    tensors = {"encoder.layers.0.weight": ("BF16", (8, 8)), "lm_head.weight": ("BF16", (8, 8))}
    assert facts_of({}, tensors).tower_weights == 0
    assert facts_of({"text_config": {}}, tensors).tower_weights == 64


def test_the_whole_config_says_whether_the_head_is_the_embedding():
    tensors = {"embed.weight": ("BF16", (8, 8)), "lm_head.weight": ("BF16", (8, 8))}
    tied = {"tie_word_embeddings": True}
    assert facts_of({"tie_word_embeddings": False, "text_config": tied}, tensors).parameters == 128
    assert facts_of({"text_config": tied}, tensors).parameters == 128
    assert facts_of(tied | {"text_config": {}}, tensors).parameters == 64


@pytest.mark.parametrize("stored", ["bfloat16", "float32"])
def test_the_dtype_of_the_whole_holds_for_a_language_model_that_names_none(stored):
    from transformers import LlavaConfig

    config = LlavaConfig(dtype=stored)
    config.text_config.dtype = None
    # Two computers: one that computes in 16 bits, one that doesn't.
    for half, held in (("bfloat16", "bfloat16"), ("", stored)):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(placement, "half_dtype", lambda _device, half=half: half)
            assert str(placement.choose_dtype("auto", "cpu", config)) == f"torch.{held}"
