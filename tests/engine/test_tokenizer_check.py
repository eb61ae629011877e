"""A tokenizer is a stranger's: one that hangs, fills the memory or fails is refused before it is used, in a sentence."""

from __future__ import annotations

import json
import struct
import sys
from types import SimpleNamespace

import pytest
from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors

from tests.engine import tiny
from tests.engine.conftest import ask, chat, load
from tui.engine.base import ModelLoadError
from tui.engine.local import tokenizer_check
from tui.engine.local.tokenizer_check import alternatives, check, check_files
from tui.engine.local.tokenizer_parts import are_harmless, growth

GPT2 = r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"
LLAMA3 = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
LONG = "b" * 1_000_000


def backend(**parts):
    made = tiny.tokenizer().backend_tokenizer
    made = Tokenizer.from_str(made.to_str())
    for name, part in parts.items():
        setattr(made, name, part)
    return made


def charsmap(replacement):
    """A map of SentencePiece that puts something in place of each "a"."""
    tree = [0] * 512
    tree[0] = 256 << 10
    letter = 256 ^ ord("a")
    tree[letter] = ord("a") | 1 << 8 | 1 << 10
    tree[letter ^ 1] = 1 << 31
    packed = struct.pack("<512I", *tree)
    return struct.pack("<I", len(packed)) + packed + replacement + b"\0"


def added(count):
    return processors.TemplateProcessing(
        "$A <s>", special_tokens=[{"id": "<s>", "ids": [0] * count, "tokens": ["<s>"] * count}]
    )


def split(pattern):
    return pre_tokenizers.Split(Regex(pattern), "isolated")


HARMFUL = {
    "exponential": {"pre_tokenizer": split(r"^(a+)+$")},
    "exponential in blanks": {"pre_tokenizer": split(r"(\s|\s)*x")},
    "hidden among known ones": {"pre_tokenizer": split(r"(?:=|=)+x|" + GPT2)},
    "in the normalizer": {"normalizer": normalizers.Replace(Regex(r"(0|0)+x"), "")},
    "text that grows": {"normalizer": normalizers.Replace("a", LONG)},
    "text that grows at a pattern": {"normalizer": normalizers.Replace(Regex("."), LONG)},
    "text that grows step by step": {
        "normalizer": normalizers.Sequence([normalizers.Replace("a", "a" * 250)] * 4)
    },
    "tokens that grow": {"decoder": decoders.Sequence([decoders.Replace("a", LONG)])},
    "text that grows at a rare letter": {"normalizer": normalizers.Replace("\u1234", LONG)},
    "text that grows by a map": {"normalizer": normalizers.Precompiled(charsmap(b"b" * 1_000_000))},
    "text that grows by maps in turn": {
        "normalizer": normalizers.Sequence([normalizers.Precompiled(charsmap(b"a" * 200))] * 4)
    },
    "text that is added": {"post_processor": added(1_000_000)},
    "a prefix for each character": {
        "model": models.BPE({"a": 0}, [], continuing_subword_prefix=LONG)
    },
    "a suffix for each word": {"model": models.BPE({"a": 0}, [], end_of_word_suffix=LONG)},
    "words of any length": {
        "model": models.WordPiece(
            {"a" * 99: 0, "[UNK]": 1, "##b": 2, "a": 3, "##a": 4},
            unk_token="[UNK]",
            max_input_chars_per_word=10**9,
        )
    },
}
HARMLESS = {
    "a map of characters": {
        "normalizer": normalizers.Sequence([normalizers.Precompiled(charsmap(b"b" * 33)), normalizers.Replace(Regex(" {2,}"), "▁")])
    },
    "bert": {
        "normalizer": normalizers.BertNormalizer(), "pre_tokenizer": pre_tokenizers.BertPreTokenizer(), "post_processor": added(1),
        "decoder": decoders.WordPiece(), "model": models.WordPiece({"[UNK]": 0, "a": 1}, unk_token="[UNK]"),
    },
    "bytes": {"decoder": decoders.Sequence([decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)])},
    "gpt2": {"pre_tokenizer": split(GPT2)},
    "llama 3": {"pre_tokenizer": pre_tokenizers.Sequence([split(LLAMA3)])},
    "blanks": {"normalizer": normalizers.Replace(Regex(" {2,}"), " ")},
    "metaspace": {"normalizer": normalizers.Replace(" ", "▁"), "decoder": decoders.Replace("▁", " ")},
    "none": {},
}  # fmt: skip


@pytest.mark.parametrize("name", HARMFUL)
def test_a_harmful_tokenizer_is_refused_from_its_file_and_from_what_was_made_of_it(
    name, tmp_path, monkeypatch, capfd
):
    monkeypatch.setattr(tokenizer_check, "_WITHIN_S", 1.5)
    monkeypatch.setattr(tokenizer_check, "_MEMORY_BYTES", 1 << 29)
    made = backend(**HARMFUL[name])
    with pytest.raises(ModelLoadError, match=r"The tokenizer of org/model can't be used: it .*\."):
        check(SimpleNamespace(backend_tokenizer=made), "org/model")
    made.save(str(tmp_path / "tokenizer.json"))
    with pytest.raises(ModelLoadError, match="can't be used"):
        check_files(tmp_path, "org/model")
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("name", HARMLESS)
def test_a_tokenizer_in_common_use_is_not_even_tried(name, tmp_path, monkeypatch):
    monkeypatch.setattr(tokenizer_check, "Helper", None)
    made = backend(**HARMLESS[name])
    made.save(str(tmp_path / "tokenizer.json"))
    check_files(tmp_path, "org/model")
    check(SimpleNamespace(backend_tokenizer=made), "org/model")


def test_an_unusual_tokenizer_that_does_no_harm_is_taken(tmp_path):
    made = backend(pre_tokenizer=split(r"[A-Z]?[a-z]+|\d{1,2}|."))
    check(SimpleNamespace(backend_tokenizer=made), "org/model")
    made.save(str(tmp_path / "tokenizer.json"))
    check_files(tmp_path, "org/model")


def test_a_pattern_can_not_be_hidden_behind_escaped_letters(tmp_path):
    path = tmp_path / "tokenizer.json"
    backend(**HARMFUL["exponential"]).save(str(path))
    path.write_text(path.read_text().replace('"Regex"', '"\\u0052egex"'))
    with pytest.raises(ModelLoadError):
        check_files(tmp_path, "org/model")


def test_a_slow_tokenizer_and_a_folder_without_one_are_left_alone(tmp_path):
    check(SimpleNamespace(), "org/model")
    check_files(tmp_path, "org/model")
    check(SimpleNamespace(backend_tokenizer=Tokenizer(models.BPE())), "org/model")


def test_a_broken_file_is_said(tmp_path):
    (tmp_path / "tokenizer.json").write_text('{"Regex": "x')
    check_files(tmp_path, "org/model")
    (tmp_path / "tokenizer.json").write_text('{"Regex": "x(y"}')
    with pytest.raises(ModelLoadError):
        check_files(tmp_path, "org/model")


def test_the_alternatives_of_an_expression():
    assert alternatives(r"a|(b|c)|[|)]|\||d") == ["a", "(b|c)", "[|)]", r"\|", "d"]
    assert alternatives("") == [""]


@pytest.mark.parametrize(
    "filling",
    [
        '{"model": {"vocab": {' + '"a": 1, ' * 700_000 + '"b": 2}}}',
        '{"model": {"x": [' + "[], " * 2_000_000 + "[]]}}",
        '{"model": {"x": [' + ("[" * 90 + "]" * 90 + ",") * 40_000 + "[]]}}",
    ],
    ids=["words", "lists", "lists in lists"],
)
def test_a_tokenizer_with_far_more_in_it_than_a_vocabulary_is_refused_before_it_is_read(
    filling, tmp_path, monkeypatch
):
    monkeypatch.setattr(tokenizer_check, "Helper", None)
    (tmp_path / "tokenizer.json").write_text(filling)
    with pytest.raises(ModelLoadError, match="far more than a vocabulary"):
        check_files(tmp_path, "org/model")


UNUSUAL = {
    "an unsupported kind of GGUF file": b'{"type": "FixedLength", "length": 5}',
    "a part that does not name its kind": b'{"pattern": {"String": "a"}, "content": "b"}',
    "a map that does not name its kind": b'{"precompiled_charsmap": "AAAA"}',
    "a long piece": json.dumps({"vocab": {"a" * 5_000: 0}}).encode(),
    "a long piece of quotation marks": json.dumps({"vocab": {'"' * 5_000: 0}}).encode(),
    "a fixed length": b'{"padding": {"strategy": {"Fixed": 1000000000}}}',
    "many templates": b'{"SpecialToken": 1}' * 300,
}


@pytest.mark.parametrize("name", UNUSUAL)
def test_what_is_not_in_common_use_is_not_taken_as_it_is(name):
    assert not are_harmless(UNUSUAL[name])


def test_a_map_of_characters_that_is_damaged_may_make_anything_of_a_text():
    for written in (b"A", b"AAAA", b"////"):
        data = b'{"type": "Precompiled", "precompiled_charsmap": "' + written + b'"}'
        assert growth(data) == float("inf")


# -- tokenizers in one packed file


@pytest.fixture
def pieces(tmp_path):
    """A model whose tokenizer is a SentencePiece file and nothing else."""
    import io

    import sentencepiece

    folder = tiny.llama(tmp_path / "pieces")
    made = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(["hello world", "how are you", "a b c d e f g"] * 20),
        model_writer=made, vocab_size=60, model_type="bpe", hard_vocab_limit=False, minloglevel=2,
    )  # fmt: skip
    for name in ("tokenizer.json", "tokenizer_config.json"):
        (folder / name).unlink()
    (folder / "tokenizer.model").write_bytes(made.getvalue())
    settings = {"tokenizer_class": "LlamaTokenizer", "chat_template": tiny.SIMPLE_TEMPLATE}
    (folder / "tokenizer_config.json").write_text(json.dumps(settings))
    return folder


def test_a_tokenizer_that_is_a_sentencepiece_file_alone_loads(engine, pieces):
    pytest.importorskip("google.protobuf")
    assert load(engine, pieces).has_chat_template
    assert ask(engine, chat("hello world"), max_new_tokens=3).finished
    assert not (pieces / "tokenizer.json").exists()


def test_the_package_that_a_packed_tokenizer_lacks_is_named(engine, pieces, monkeypatch):
    monkeypatch.setattr(tokenizer_check, "is_installed", lambda module: "google" not in module)
    with pytest.raises(
        ModelLoadError, match=r"only a SentencePiece file .*requires protobuf"
    ) as raised:
        load(engine, pieces)
    assert "pip install protobuf" in raised.value.hint


def test_packages_that_do_not_fit_together_are_said(engine, pieces, monkeypatch):
    monkeypatch.setattr(tokenizer_check, "is_installed", lambda _module: True)
    monkeypatch.setattr(tokenizer_check, "pieces_problem", lambda: "mismatched versions")
    with pytest.raises(ModelLoadError, match="mismatched versions") as raised:
        load(engine, pieces)
    assert "pip install -U" in raised.value.hint


def test_a_tokenizer_of_tiktoken_is_told_from_one_of_sentencepiece(tmp_path, monkeypatch):
    monkeypatch.setattr(tokenizer_check, "is_installed", lambda _module: False)
    (tmp_path / "tokenizer.model").write_text("IQ== 0\nIg== 1\nIw== 2\n")
    with pytest.raises(ModelLoadError, match=r"only a tiktoken file .*requires tiktoken"):
        tokenizer_check.check_packages(tmp_path, "x")
    (tmp_path / "tokenizer.json").write_text("{}")
    tokenizer_check.check_packages(tmp_path, "x")


def folder_with(tmp_path, change):
    document = json.loads(backend().to_str())
    change(document)
    (tmp_path / "tokenizer.json").write_text(json.dumps(document))
    return tmp_path


def test_added_tokens_that_would_hold_up_every_thread_are_refused(tmp_path):
    def change(document):
        document["added_tokens"] = [
            {"id": 1000 + n, "content": f"{n}" + "x" * 200, "special": True} for n in range(1_500)
        ]

    with pytest.raises(ModelLoadError, match="far too long"):
        check_files(folder_with(tmp_path, change), "model")


def unigram(pieces):
    def change(document):
        document["model"] = {
            "type": "Unigram",
            "unk_id": 0,
            "vocab": [[f'{n}"\\' + "x" * 40, -1.0] for n in range(pieces)],
        }

    return change


def test_a_vocabulary_that_would_become_a_tree_of_millions_of_nodes_is_refused(tmp_path):
    with pytest.raises(ModelLoadError, match="far more text"):
        check_files(folder_with(tmp_path, unigram(100_000)), "model")


def test_the_largest_vocabularies_of_that_kind_are_taken(tmp_path):
    check_files(folder_with(tmp_path, unigram(50_000)), "model")


def test_a_check_that_can_not_be_started_blames_no_tokenizer(monkeypatch):
    monkeypatch.setattr(sys, "executable", "/nowhere/python")
    made = backend(pre_tokenizer=split(r"[A-Z]?[a-z]+|\d{1,2}|."))
    with pytest.raises(ModelLoadError, match="can't be checked") as refused:
        check(SimpleNamespace(backend_tokenizer=made), "org/model")
    assert "damaged" not in refused.value.hint
