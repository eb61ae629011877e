"""Random checkpoints in published shapes."""

import json

import pytest
from safetensors import safe_open
from tokenizers import Tokenizer

from benchmarks import _shapes
from benchmarks._shapes import SHAPES, Shape
from tui.engine.facts import folder_facts
from tui.engine.fit import need

SMALL = Shape("small", "", 32, 64, 2, 4, 2, 400, 128, False)


@pytest.mark.parametrize(("name", "parameters"), [("1b", 1_235_814_400), ("8b", 8_030_261_248)])
def test_the_published_shapes_have_the_published_number_of_parameters(name, parameters):
    assert SHAPES[name].weights_bytes == 2 * parameters


def test_the_shapes_are_what_transformers_makes_of_their_config():
    from transformers import AutoModelForCausalLM, LlamaConfig

    made = AutoModelForCausalLM.from_config(LlamaConfig(**SMALL.config))
    expected = {name: tuple(weight.shape) for name, weight in made.state_dict().items()}
    assert dict(SMALL.tensors()) == expected


def test_a_checkpoint_is_written_once_and_is_what_the_app_reads(tmp_path):
    folder = _shapes.write(SMALL, tmp_path / "small", "cpu")
    facts = folder_facts(folder)
    assert need(facts).weights_bytes == SMALL.weights_bytes
    assert need(facts, context_tokens=100).cache_bytes == 100 * SMALL.cache_bytes_per_token
    before = {path: path.stat().st_mtime_ns for path in folder.iterdir()}
    _shapes.write(SMALL, folder, "cpu")
    assert {path: path.stat().st_mtime_ns for path in folder.iterdir()} == before


def test_weights_are_random_and_special_tokens_never_win(tmp_path):
    folder = _shapes.write(SMALL, tmp_path / "small", "cpu")
    with safe_open(folder / "model-00001-of-00001.safetensors", "pt") as file:
        head, query = (
            file.get_tensor(name)
            for name in ("lm_head.weight", "model.layers.1.self_attn.q_proj.weight")
        )
        assert (file.get_tensor("model.norm.weight") == 1).all()
    assert query.float().std().item() == pytest.approx(32**-0.5, rel=0.2)
    assert not head[-len(_shapes.SPECIAL) :].any()
    assert head[: -len(_shapes.SPECIAL)].any(dim=1).all()


def test_large_weights_are_divided_among_files_in_order():
    parts = _shapes.shards(SMALL, 10_000)
    assert len(parts) > 2
    assert [name for part in parts for name in part] == [name for name, _ in SMALL.tensors()]


def test_the_header_says_where_each_tensor_is():
    made = _shapes.header({"a": (2, 3), "b": (4,)})
    said = json.loads(made[8:])
    assert int.from_bytes(made[:8], "little") == len(made) - 8
    assert len(made) % 8 == 0
    assert (said["a"]["data_offsets"], said["b"]["data_offsets"]) == ([0, 12], [12, 20])


def test_the_tokenizer_fills_the_vocabulary_and_reads_what_was_written():
    made = Tokenizer.from_str(_shapes.tokenizer(2048))
    assert made.get_vocab_size() == 2048
    words = list(range(256, 2048 - len(_shapes.SPECIAL)))
    assert made.encode(made.decode(words)).ids == words
    assert made.decode(made.encode("Grüße, 世界!").ids) == "Grüße, 世界!"


def test_a_prompt_has_as_many_tokens_as_asked_for_and_each_begins_otherwise():
    made = Tokenizer.from_str(_shapes.tokenizer(2048))
    assert len(made.encode(_shapes.prompt(500)).ids) == 500
    starts = {_shapes.prompt(1, number) for number in range(200)}
    assert len(starts) == 200
