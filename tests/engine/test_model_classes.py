"""What can be loaded, and what the others are called."""

import json

import pytest

from tests.engine import tiny
from tests.engine.conftest import load
from tui.engine.base import ModelLoadError
from tui.engine.local import model_classes


def refused(engine, folder):
    with pytest.raises(ModelLoadError) as raised:
        load(engine, folder)
    return raised.value.message


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"model_type": "bert"}, "is an encoder (bert)"),
        ({"model_type": "bert", "architectures": ["BertForMaskedLM"]}, "is an encoder (bert)"),
        ({"model_type": "modernbert"}, "is an encoder (modernbert)"),
        ({"model_type": "t5"}, "is an encoder-decoder model (t5)"),
        (
            {"model_type": "bart", "architectures": ["BartForConditionalGeneration"]},
            "is an encoder-decoder model (bart)",
        ),
        ({"model_type": "florence2"}, "is an encoder-decoder model (florence2)"),
        ({"model_type": "whisper"}, "is an encoder-decoder model (whisper)"),
        (
            {"architectures": ["LlamaForSequenceClassification"]},
            "classifies or scores text (LlamaForSequenceClassification)",
        ),
        ({"model_type": "pi0"}, "isn't a text generation model (it is a pi0 model)"),
        ({"architectures": [7, None]}, ""),
    ],
)
def test_what_writes_no_chat_is_called_what_it_is(engine, tmp_path, change, message):
    folder = tiny.llama(tmp_path / "model")
    path = folder / "config.json"
    known = {} if "model_type" in change else json.loads(path.read_text())
    path.write_text(json.dumps(known | change))
    if message:
        assert message in refused(engine, folder)
        assert engine.loaded is None
    else:
        assert load(engine, folder)


def test_a_decoder_of_an_encoder_decoder_is_a_checkpoint_of_its_own(engine, tmp_path):
    from transformers import BartConfig, BartForCausalLM

    config = BartConfig(
        d_model=32, decoder_layers=2, decoder_ffn_dim=64, decoder_attention_heads=4, max_position_embeddings=128,
        encoder_layers=1, encoder_ffn_dim=64, encoder_attention_heads=4,
    )  # fmt: skip
    config.is_decoder, config.is_encoder_decoder = True, False
    folder = tiny.checkpoint(tmp_path / "model", config, model_class=BartForCausalLM)
    assert load(engine, folder)


@pytest.mark.parametrize("kind", ["AutoModelForImageTextToText", "AutoModelForMultimodalLM"])
def test_code_of_a_repository_for_models_that_see_is_asked_about(engine, tmp_path, kind):
    folder = tiny.llama(tmp_path / "model")
    auto_map = {"AutoConfig": "code.Config", kind: "code.Model"}
    (folder / "config.json").write_text(json.dumps({"model_type": "own", "auto_map": auto_map}))
    (folder / "code.py").write_text("raise SystemExit\n")
    assert "code from its own folder" in refused(engine, folder)


def test_a_config_class_of_several_kinds_is_known():
    from transformers import EvollaConfig

    # Its table, asked whether it has the class, says no.
    assert model_classes.is_known(EvollaConfig())


def test_the_class_that_a_checkpoint_names_is_taken():
    from transformers import Emu3Config, Qwen3_5Config

    for config, named in (
        (Emu3Config(), "Emu3ForConditionalGeneration"),
        (Qwen3_5Config(), "Qwen3_5ForConditionalGeneration"),
        (Qwen3_5Config(), "Qwen3_5ForCausalLM"),
    ):
        config.architectures = [named]
        assert model_classes.class_of(config).__name__ == named
    text = model_classes.config_for(model_classes.class_of(config), config)
    assert text is config.get_text_config()


def test_a_model_that_needs_a_picture_to_write_says_so(engine, tmp_path):
    said = refused(engine, tiny.captioning(tmp_path / "model"))
    assert "only generates text from images or audio (blip)" in said


def test_what_fails_in_the_language_model_is_not_put_down_to_a_missing_picture(engine, tmp_path):
    from transformers import LlavaConfig, LlavaForConditionalGeneration, Qwen2Config

    # A window whose size is not said.
    kinds = ["sliding_attention", "full_attention"]
    text = Qwen2Config(**tiny._sizes(tie_word_embeddings=False), layer_types=kinds)
    assert text.sliding_window is None
    eye = {"model_type": "clip_vision_model", **tiny._EYE}
    config = LlavaConfig(vision_config=eye, text_config=text)
    folder = tiny.checkpoint(tmp_path / "model", config, model_class=LlavaForConditionalGeneration)
    said = refused(engine, folder)
    assert "picture" not in said
    assert "sliding_window" in said
