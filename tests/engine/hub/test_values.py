"""What a server may say: which values become names and sizes, and which are refused."""

import pytest

from tui.engine.base import ModelLoadError
from tui.engine.hub.values import (
    bad_answer,
    check_together,
    count_of,
    etag_of,
    file_name_of,
    is_repo_id,
    is_revision,
    text_of,
)


@pytest.mark.parametrize(
    "name", ["config.json", "a/b.json", "model-00001-of-00002.safetensors", "Ünï códe.json", "tokenizer.tiktoken", ".hidden.json"]
)  # fmt: skip
def test_names_that_repositories_have_are_taken(name):
    assert file_name_of(name) == name


def test_files_beside_each_other_are_taken():
    check_together(["a/b.json", "a/c.json", "a.json", "b/a.json"])


@pytest.mark.parametrize("names", [["a.json", "A.json"], ["é.json", "e\u0301.json"], ["a", "a/b"]])
def test_files_on_top_of_each_other_are_not(names):
    with pytest.raises(ModelLoadError):
        check_together(names)


@pytest.mark.parametrize("name", ["org/model", "gpt2", "meta-llama/Llama-3.1-8B", "org/_x.y"])
def test_ids_that_models_have(name):
    assert is_repo_id(name)


@pytest.mark.parametrize("name", ["main", "v1.0", "refs/pr/1", "0" * 40, "feature/a-b+c"])
def test_names_that_revisions_have(name):
    assert is_revision(name)


def test_an_etag_loses_its_quotes_and_a_weak_one_is_none():
    assert etag_of('"abc-1"') == "abc-1"
    assert etag_of("abc") == "abc"
    assert etag_of('W/"abc"') == ""


def test_what_is_only_shown_is_short_clean_and_never_fails():
    assert text_of("a\x1b[0m\nb") == "a␛[0m b"
    assert len(text_of("x" * 1000)) == 100
    assert text_of(5) == ""
    assert [count_of(n) for n in (5, -1, True, 2**60, 1e9, "7", None)] == [5, 0, 0, 0, 0, 0, 0]
    assert "\x1b" not in bad_answer("\x1b[31m").message
