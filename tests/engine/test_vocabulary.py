"""A tokenizer with more tokens than the model has rows for."""

import json

import pytest
import torch

from tests.engine import tiny
from tests.engine.conftest import ask, chat, load
from tui.engine.base import GenerationError, ModelLoadError


def model(folder, beyond=(), *, rows=None, template=tiny.SIMPLE_TEMPLATE, special=False):
    """A model whose tokenizer got tokens afterwards, or whose embedding is shorter by some."""
    from transformers import AutoModelForCausalLM, LlamaConfig

    made = tiny.tokenizer(template)
    config = LlamaConfig(**tiny._sizes(), vocab_size=rows or len(made))
    config.bos_token_id = config.pad_token_id = config.eos_token_id = None
    torch.manual_seed(3)
    AutoModelForCausalLM.from_config(config, dtype=torch.float32).save_pretrained(folder)
    if special:
        made.add_special_tokens({"pad_token": beyond[0]})
    made.add_tokens(list(beyond))
    made.save_pretrained(folder)
    (folder / "generation_config.json").write_text(json.dumps({}))
    return folder


@pytest.mark.parametrize("rows", [257, 200])
def test_a_tokenizer_that_does_not_fit_is_refused_with_both_numbers(engine, tmp_path, rows):
    with pytest.raises(
        ModelLoadError,
        match=rf"has 263 tokens, but according to vocab_size the model has only {rows}",
    ) as raised:
        load(engine, model(tmp_path / "m", rows=rows))
    assert raised.value.hint


def test_tokens_of_the_template_that_the_model_lacks_are_refused(engine, tmp_path):
    template = "{% for m in messages %}<|turn|>{{ m['content'] }}{% endfor %}"
    with pytest.raises(ModelLoadError, match=r"so it lacks '<\|turn\|>'"):
        load(engine, model(tmp_path / "m", ["<|turn|>"], template=template))


@pytest.mark.parametrize("special", [True, False])
def test_a_token_that_no_prompt_needs_is_noted_and_never_reaches_the_model(
    engine, tmp_path, special
):
    info = load(engine, model(tmp_path / "m", ["[PAD]"], special=special))
    [note] = [note for note in info.notes if "264 tokens" in note]
    assert "263" in note
    assert "[PAD]" in note
    ask(engine, chat("hello"), max_new_tokens=3)
    if special:
        # What is typed is text.
        ask(engine, chat("a [PAD] b"), max_new_tokens=3)
    else:
        with pytest.raises(GenerationError, match=r"\[PAD\]") as raised:
            ask(engine, chat("a [PAD] b"), max_new_tokens=3)
        assert "Remove it from the chat" in raised.value.hint
    ask(engine, chat("hello"), max_new_tokens=3)


def test_an_embedding_with_spare_rows_fits(engine, tmp_path):
    info = load(engine, model(tmp_path / "m", rows=500))
    assert not [note for note in info.notes if "tokens" in note]
    ask(engine, chat("hello"), max_new_tokens=20, temperature=1.5, seed=1)
