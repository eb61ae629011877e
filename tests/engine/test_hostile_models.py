"""Folders of models that say nonsense: each ends in a sentence, and none takes anything from the others.

The long form, in child processes, is `python -m benchmarks.fuzz_models`.
"""

import contextlib
import json
import os

import pytest

from tests.engine import tiny
from tests.engine.conftest import ask, chat, load
from tests.engine.hostile_models import Mutator, copy, look, tiny_gguf, try_load
from tui.engine import plausibility
from tui.engine.base import ModelLoadError
from tui.engine.local import progress

LIGHT, HEAVY = 100, 16


@pytest.fixture(scope="module")
def bases(tmp_path_factory):
    place = tmp_path_factory.mktemp("bases")
    return [tiny.llama(place / "llama"), tiny.mixed(place / "mixed"), tiny_gguf(place / "gguf")]


@pytest.fixture
def folder(bases, tmp_path):
    return copy(bases[0], tmp_path / "models" / "model")


def change(folder, name="config.json", raw="", **values):
    """Change values of a JSON file; `raw` is put in as it is, as one more entry."""
    path = folder / name
    known = json.loads(path.read_text()) if path.is_file() else {}
    text = json.dumps({**known, **values})
    path.write_text(text[:-1] + f", {raw}}}" if raw else text)


def mutated(bases, to, seed):
    folder = copy(bases[seed % len(bases)], to)
    mutator = Mutator(seed)
    ggufs = list(folder.glob("*.gguf"))
    done = mutator.gguf(ggufs[0]) if ggufs else mutator.folder(folder)
    return folder, done


@pytest.mark.parametrize("start", range(0, LIGHT, 50))
def test_a_list_with_any_folder_in_it_has_figures_of_the_good_one(bases, tmp_path, start):
    copy(bases[0], tmp_path / "good")
    for seed in range(start, start + 50):
        _, done = mutated(bases, tmp_path / "bad", seed)
        assert any("good" in text and "chat template" in text for text in look(tmp_path)), done


def test_loading_any_folder_ends_well_or_in_a_sentence(engine, bases, tmp_path):
    for seed in range(HEAVY):
        model, done = mutated(bases, tmp_path / "model", seed)
        assert not try_load(engine, model).startswith("unknown"), (seed, done)


NUMBERS = (
    "1" + "0" * 400, "1e999", "-1e999", "NaN", "-1", "true", '"three"', "[[]]", "{}", "1e18", str(2**63), "1000000000", "32.5",
    "[" * 10_000 + "]" * 10_000,
)  # fmt: skip


COUNTED = ("hidden_size", "num_hidden_layers", "vocab_size")


@pytest.mark.parametrize(
    ("number", "name"),
    [(number, COUNTED[n % len(COUNTED)]) for n, number in enumerate(NUMBERS)],
    ids=lambda value: value[:20],
)
def test_a_number_that_no_model_has_is_a_sentence_in_the_list_and_at_loading(
    engine, folder, bases, name, number
):
    change(folder, raw=f'"{name}": {number}')
    good = copy(bases[0], folder.parent / "good")
    assert any(good.name in text and "chat template" in text for text in look(folder.parent))
    with pytest.raises(ModelLoadError, match=r"config\.json") as raised:
        load(engine, folder)
    assert raised.value.hint


@pytest.mark.parametrize(
    "values",
    [
        {"num_hidden_layers": 1999},
        {"vocab_size": 2**24},
        {"intermediate_size": 2**20},
        {"num_attention_heads": 1024, "head_dim": 1024},
        {"num_labels": 10**9},
        {"layer_types": ["full_attention"] * 10**5},
        {"vision_config": {"depth": 10**6}},
        {"vision_config": {"depths": [2000] * 100}},
        {"audio_config": {"num_conv_blocks": 50_000}},
        {"attention_types": [[["global"], 10**9]]},
        {"num_key_value_heads": 0},
        {"num_attention_heads": 3},
        {"hidden_act": "no such thing"},
        {"rope_parameters": {"rope_type": "no such thing"}},
        {"quantization_config": {"quant_method": 5}},
        {"quantization_config": {"quant_method": ["gptq"]}},
    ],
)
def test_a_config_that_asks_for_what_the_files_do_not_hold_keeps_the_former_model(
    engine, folder, bases, values
):
    load(engine, bases[1])
    change(folder, **values)
    with pytest.raises(ModelLoadError) as raised:
        load(engine, folder)
    assert "could not be loaded" not in raised.value.message
    assert engine.loaded is not None


def test_a_table_that_grows_with_the_square_of_the_context_is_not_made(engine, tmp_path):
    from transformers import GPTNeoConfig

    sizes = {"hidden_size": 32, "num_layers": 2, "num_heads": 4, "max_position_embeddings": 64}
    config = GPTNeoConfig(**sizes, attention_types=[[["global"], 2]])
    folder = tiny.checkpoint(tmp_path / "neo", config)
    assert load(engine, folder)
    change(folder, max_position_embeddings=65_536)
    with pytest.raises(ModelLoadError, match="requires 2,130,848 weights"):
        load(engine, folder)


@pytest.mark.parametrize(
    "values",
    [
        {"eos_token_id": 10**30}, {"eos_token_id": [-1, 10**9]}, {"eos_token_id": "end"}, {"eos_token_id": [None, True]},
        {"max_length": -1}, {"max_length": "x"}, {"temperature": []}, {"bos_token_id": 10**9}, {"pad_token_id": -7},
        {"suppress_tokens": [10**9]}, {"bad_words_ids": "x"}, {"bad_words_ids": [[]]}, {"sequence_bias": [[[1], "x"]]},
        {"no_repeat_ngram_size": "x"}, {"no_repeat_ngram_size": 10**12},
    ],
)  # fmt: skip
def test_nonsense_in_a_generation_config_is_refused_or_left_out(engine, folder, values):
    change(folder, "generation_config.json", **values)
    assert try_load(engine, folder).startswith(("loaded", "refused"))


def test_ids_that_end_a_reply_are_ids_of_tokens(engine, folder):
    change(folder, "generation_config.json", eos_token_id=[257, 10**9, -1])
    load(engine, folder)
    assert 257 in engine._loaded.end_ids
    assert max(engine._loaded.end_ids) < 300
    assert ask(engine, chat("Hi"), max_new_tokens=2).finished


@pytest.mark.parametrize(
    "template",
    [5, True, [], {}, [1], ["x"], [{"name": 5, "template": "x"}], {"default": 5}, {"other": "x"}, "x" * 2_000_000],
    ids=lambda template: repr(template)[:20],
)  # fmt: skip
def test_a_chat_template_of_an_odd_type_is_refused_or_replies_are(engine, folder, template):
    (folder / "chat_template.jinja").unlink()
    change(folder, "tokenizer_config.json", chat_template=template)
    assert try_load(engine, folder).startswith(("loaded", "refused", "mute"))


@pytest.mark.parametrize("length", ["x", [[]], {}, None, True, -5, 10**400, 1e999])
def test_a_longest_context_of_an_odd_type_is_none(engine, folder, length):
    change(folder, "tokenizer_config.json", model_max_length=length)
    assert try_load(engine, folder).startswith(("loaded", "refused"))


@pytest.mark.parametrize("key", ["-1", "x", "1e9", "99999999999", ""])
def test_an_added_token_has_a_number_that_a_token_can_have(engine, folder, key):
    change(folder, "tokenizer_config.json", added_tokens_decoder={key: {"content": "a"}})
    with pytest.raises(ModelLoadError, match="adds a token"):
        load(engine, folder)


@pytest.mark.parametrize(
    "change_it",
    [
        lambda tokenizer: tokenizer.update(model=[]),
        lambda tokenizer: tokenizer.update(added_tokens={}),
        lambda tokenizer: tokenizer["added_tokens"][0].update(id=-1),
        lambda tokenizer: tokenizer["added_tokens"][0].update(id=2**40),
        lambda tokenizer: tokenizer["model"].update(vocab={"a": -1}),
        lambda tokenizer: tokenizer["model"].update(merges=[["x", "y"]]),
        lambda tokenizer: tokenizer.update(pre_tokenizer={"type": "Split", "pattern": {"Regex": "("}}),
    ],
)  # fmt: skip
def test_a_tokenizer_that_can_not_be_is_named(engine, folder, change_it):
    path = folder / "tokenizer.json"
    tokenizer = json.loads(path.read_text())
    change_it(tokenizer)
    path.write_text(json.dumps(tokenizer))
    with pytest.raises(ModelLoadError, match="tokenizer"):
        load(engine, folder)


def test_nothing_of_a_tokenizer_is_written_to_the_terminal(engine, folder, capfd):
    path = folder / "tokenizer.json"
    tokenizer = json.loads(path.read_text())
    tokenizer["added_tokens"][0]["\x1b]0;title\x07"] = 1
    path.write_text(json.dumps(tokenizer))
    with contextlib.suppress(ModelLoadError):
        load(engine, folder)
    assert "\x1b" not in capfd.readouterr().out


@pytest.mark.parametrize("dtype", [2**32, "int64", "nn", "float8_e4m3fn", [], {"": "x"}, "Tensor"])
def test_a_dtype_that_no_weights_are_computed_in_is_none(engine, folder, dtype):
    change(folder, dtype=dtype)
    assert try_load(engine, folder).startswith(("loaded", "refused"))


NAMES = (
    "config.json", "model.safetensors", "tokenizer_config.json", "generation_config.json", "chat_template.jinja", "tokenizer.json",
    "additional_chat_templates/x.jinja", "anything",
)  # fmt: skip


@pytest.mark.parametrize("name", NAMES)
def test_a_pipe_named_like_a_file_blocks_neither_list_nor_load(engine, folder, bases, name):
    path = folder / name
    path.parent.mkdir(exist_ok=True)
    path.unlink(missing_ok=True)
    os.mkfifo(path)
    copy(bases[0], folder.parent / "good")
    assert any("good" in text for text in look(folder.parent))
    with pytest.raises(ModelLoadError):
        load(engine, folder)


def test_a_folder_of_very_many_files_is_refused(engine, folder, monkeypatch):
    from tui.engine import folder_files

    monkeypatch.setattr(folder_files, "_MOST_FILES", 3)
    with pytest.raises(ModelLoadError, match="more than"):
        load(engine, folder)


def test_what_rust_gives_up_on_is_a_sentence(engine, folder, monkeypatch):
    from tui.engine.local import assembling, tokenizer_reading

    panic = type("PanicException", (BaseException,), {})

    def give_up(*_args):
        raise panic("index out of bounds")

    for module, name in ((tokenizer_reading, "read"), (assembling, "assembled")):
        with monkeypatch.context() as patch:
            patch.setattr(module, name, give_up)
            with pytest.raises(ModelLoadError, match="index out of bounds"):
                load(engine, folder)


@pytest.mark.parametrize("names", [["config.4.0.0.json"], ["config.1.0.json", "config.4.0.0.json"]])
def test_a_config_for_other_versions_is_looked_at_like_the_first(engine, folder, names):
    known = json.loads((folder / "config.json").read_text())
    change(folder, "config.4.0.0.json", **known, num_labels=2**31)
    change(folder, configuration_files=names)
    with pytest.raises(ModelLoadError, match="num_labels"):
        load(engine, folder)


@pytest.mark.parametrize("names", ["config.4.0.0.json", ["config.4/../x.json"], [7], {"a": 1}])
def test_a_config_outside_the_folder_is_not_followed(engine, folder, names):
    change(folder, configuration_files=names)
    with pytest.raises(ModelLoadError, match="configuration_files"):
        load(engine, folder)


@pytest.mark.parametrize("name", ["decoder", "question_encoder", "text"])
def test_a_config_within_a_config_is_looked_at_whatever_its_name(engine, folder, name):
    change(folder, **{name: {"model_type": "bert", "num_labels": 2**31}})
    with pytest.raises(ModelLoadError, match="num_labels"):
        load(engine, folder)


def test_a_config_that_fills_the_memory_is_refused_and_ended(engine, folder, monkeypatch):
    monkeypatch.setattr(progress, "MOST_BYTES", 1 << 28)
    # This one is found out before it is read; the next may not be.
    monkeypatch.setattr(plausibility, "check_folder", lambda *_: None)
    change(
        folder, model_type="gpt_neo", num_layers=2, attention_types=[[["global"], 3 * 10**9]],
    )  # fmt: skip
    with pytest.raises(ModelLoadError, match="memory to read its config"):
        load(engine, folder)


def test_a_special_token_without_a_text_is_no_reason_to_refuse(engine, folder):
    path = folder / "tokenizer_config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"bos_token": ""}))
    load(engine, folder)
    assert ask(engine, chat("hello"), max_new_tokens=2).finished.stats.new_tokens
