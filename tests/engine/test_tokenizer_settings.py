"""What stands beside a vocabulary: so many added tokens, and no names of files that nobody looked at."""

import json

import pytest

from tui.engine import plausibility, tokenizer_settings
from tui.engine.base import ModelLoadError
from tui.engine.local import tokenizer_check


def check(folder, name, **values):
    (folder / name).write_text(json.dumps(values))
    plausibility.check_folder(folder, {})


def tokens(count, first=1000):
    return {
        str(first + i): {"content": f"<x{i}>", "special": bool(i % 2), "normalized": bool(i % 2)}
        for i in range(count)
    }


MANY = {
    "added_tokens_decoder": tokens(11_000),
    "extra_special_tokens": [f"<{i}>" for i in range(11_000)],
    "additional_special_tokens": [f"<{i}>" for i in range(11_000)],
    "model_specific_special_tokens": {f"{i}_token": f"<{i}>" for i in range(11_000)},
}


@pytest.mark.parametrize("file", ["tokenizer_config.json", "special_tokens_map.json"])
@pytest.mark.parametrize("name", MANY)
def test_tens_of_thousands_of_added_tokens_are_refused(tmp_path, file, name):
    with pytest.raises(ModelLoadError, match="adds more than 10,000 tokens"):
        check(tmp_path, file, **{name: MANY[name]})


def test_they_are_counted_together(tmp_path):
    split = {name: [f"<{name}{i}>" for i in range(6_000)] for name in list(MANY)[1:3]}
    with pytest.raises(ModelLoadError, match="adds more than"):
        check(tmp_path, "tokenizer_config.json", **split)
    with pytest.raises(ModelLoadError, match="adds more than"):
        check(tmp_path, "tokenizer_config.json", **{f"{i}_token": f"<{i}>" for i in range(11_000)})


def test_a_list_of_added_tokens_alone_is_bounded(tmp_path):
    with pytest.raises(ModelLoadError, match="adds more than"):
        check(tmp_path, "added_tokens.json", **{f"<{i}>": i for i in range(11_000)})


def test_so_are_those_in_the_tokenizer(tmp_path, monkeypatch):
    monkeypatch.setattr(tokenizer_check, "Helper", None)
    added = [{"id": int(number), **token} for number, token in tokens(21_000).items()]
    (tmp_path / "tokenizer.json").write_text(json.dumps({"added_tokens": added}))
    with pytest.raises(ModelLoadError, match="adds more than 10,000 tokens"):
        tokenizer_check.check_files(tmp_path, "org/model")


def test_as_many_as_the_models_in_use_have_are_taken(tmp_path):
    check(tmp_path, "tokenizer_config.json", added_tokens_decoder=tokens(6_500))


@pytest.mark.parametrize(
    "name",
    [
        "sub/tokenizer.4.0.0.json",
        "../tokenizer.4.json",
        "/x/tokenizer.4.json",
        r"a\tokenizer.4.json",
        "x-tokenizer.4.json",
        "tokenizer.4.json.txt",
        5,
    ],
)
def test_a_tokenizer_for_a_version_is_one_that_was_looked_at(tmp_path, name):
    with pytest.raises(ModelLoadError, match="fast_tokenizer_files"):
        check(tmp_path, "tokenizer_config.json", fast_tokenizer_files=["tokenizer.json", name])


def test_tokenizers_for_versions_beside_each_other_are_taken_and_tried(tmp_path):
    names = ["tokenizer.json", "tokenizer.4.0.0.json"]
    check(tmp_path, "tokenizer_config.json", fast_tokenizer_files=names)
    harmful = {"pre_tokenizer": {"type": "Split", "pattern": {"Regex": "^(a+)+$"}}}
    (tmp_path / names[1]).write_text(json.dumps(harmful))
    with pytest.raises(ModelLoadError, match="can't be used"):
        tokenizer_check.check_files(tmp_path, "org/model")


@pytest.mark.parametrize(
    ("file", "values"),
    [
        ("tokenizer_config.json", {"vocab": "/x/vocab.json"}),
        ("tokenizer_config.json", {"merges": "/x/merges.txt"}),
        ("tokenizer_config.json", {"init_inputs": ["/x/vocab.json"]}),
        ("special_tokens_map.json", {"tokenizer_file": "/x/tokenizer.json"}),
        ("special_tokens_map.json", {"vocab_file": "sub/vocab.txt"}),
        ("special_tokens_map.json", {"vocab": "/x/vocab.json"}),
    ],
)
def test_settings_lead_to_no_other_file(tmp_path, file, values):
    with pytest.raises(ModelLoadError, match=r"refers to (another|other) files?"):
        check(tmp_path, file, **values)


def test_a_path_on_the_machine_of_its_author_is_of_no_matter(tmp_path):
    path = "/home/author/tokenizer.json"
    check(tmp_path, "tokenizer_config.json", tokenizer_file=path, init_inputs=[], vocab_file=None)


@pytest.mark.parametrize("name", ["extra_ids", "offset", "num_madeup_words", "something_new"])
def test_a_number_that_tokens_may_be_made_up_by_is_bounded(tmp_path, name):
    check(tmp_path, "tokenizer_config.json", **{name: 10_000})
    with pytest.raises(ModelLoadError, match=name):
        check(tmp_path, "tokenizer_config.json", **{name: 10_001})


def test_numbers_of_tokens_and_lengths_may_be_large(tmp_path):
    check(
        tmp_path, "tokenizer_config.json", model_max_length=10**30, max_length=131_072,
        pad_token_id=151_643, image_token_id=200_000, vocab_size=250_000,
    )  # fmt: skip


LONG = ["x" * 100 + str(number) for number in range(2_500)]


@pytest.mark.parametrize(
    "values",
    [
        {"extra_special_tokens": LONG},
        {"added_tokens_decoder": {str(n): {"content": text} for n, text in enumerate(LONG)}},
        {"model_specific_special_tokens": dict.fromkeys(LONG, "x")},
        {"eos_token": "".join(LONG)},
    ],
)
def test_added_tokens_are_bounded_in_length_too(tmp_path, values):
    with pytest.raises(ModelLoadError, match="far too long"):
        check(tmp_path, "tokenizer_config.json", **values)


def test_the_keys_of_added_tokens_are_the_tokens(tmp_path):
    with pytest.raises(ModelLoadError, match="far too long"):
        check(tmp_path, "added_tokens.json", **{text: n for n, text in enumerate(LONG)})


def test_a_template_is_no_token(tmp_path):
    check(tmp_path, "tokenizer_config.json", chat_template="x" * 900_000)


@pytest.mark.parametrize("options", [{"model_file": "/dev/zero"}, {"model_proto": "x"}, "x", [1]])
def test_sentencepiece_is_given_no_file_by_its_options(options):
    with pytest.raises(ValueError, match="SentencePiece"):
        tokenizer_settings.check("tokenizer_config.json", {"sp_model_kwargs": options})


@pytest.mark.parametrize("options", [{}, None, {"enable_sampling": True, "nbest_size": -1}])
def test_sentencepiece_may_be_asked_to_sample(options):
    tokenizer_settings.check("tokenizer_config.json", {"sp_model_kwargs": options})
