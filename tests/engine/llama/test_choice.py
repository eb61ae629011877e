"""Which models run in llama.cpp."""

from __future__ import annotations

import pytest

from tests.engine.llama import tiny_gguf
from tui.engine import catalog
from tui.engine.base import LoadRequest, ModelLoadError
from tui.engine.facts import ModelFacts
from tui.engine.fit import llama_context, llama_need, need
from tui.engine.llama import choice

GB = 10**9


@pytest.fixture(params=[True, False], ids=["installed", "missing"])
def installed(request, monkeypatch):
    monkeypatch.setattr(choice, "is_installed", lambda: request.param)
    return request.param


@pytest.fixture
def path(tmp_path):
    return str(tiny_gguf.make(tmp_path / "tiny.gguf"))


def test_a_gguf_file_runs_in_llama_cpp_where_that_is_installed(installed, path):
    assert choice.takes(LoadRequest(path)) is installed
    assert not choice.takes(LoadRequest(path, gguf=choice.TRANSFORMERS))
    assert not choice.takes(LoadRequest(path, adapter="somewhere"))
    assert not choice.takes(LoadRequest(path, assistant="somewhere"))


def test_a_choice_that_can_not_be_had_is_told(installed, path):
    request = LoadRequest(path, gguf=choice.LLAMA_CPP)
    if installed:
        assert choice.takes(request)
        return
    with pytest.raises(ModelLoadError, match=r"isn't installed"):
        choice.takes(request)


@pytest.mark.parametrize("model", ["org/model", "/nowhere/x.gguf", ""])
def test_no_other_model_does(installed, model):
    for engine in choice.ENGINES:
        assert not choice.takes(LoadRequest(model, gguf=engine))


def test_what_is_known_of_a_file_goes_by_what_runs_it(installed, path):
    found = choice.facts(catalog.resolve(path), choice.AUTO)
    assert (found.engine, found.method) == (("llama.cpp", "F32") if installed else ("", ""))
    there = choice.in_engine(found, choice.TRANSFORMERS)
    assert (there.engine, there.method) == ("", "")
    other = ModelFacts(dtype="bfloat16", method="gptq")
    assert choice.in_engine(other, choice.AUTO) is other


def facts(**changes):
    return ModelFacts(**{
        "stored_bytes": 4 * GB, "parameters": 8 * GB, "layers": 32, "kv_heads": 8, "head_dim": 128,
        "context_tokens": 131_072, "dtype": "GGUF Q4_K", "method": "Q4_K", "engine": "llama.cpp", **changes,
    })  # fmt: skip


def test_what_a_file_needs_is_its_size_and_the_whole_context():
    needed = need(facts(), free_bytes=100 * GB)
    assert needed.weights_bytes == 4 * GB
    assert needed.context_tokens == 32_768
    assert needed.cache_bytes == 2 * 2 * 8 * 128 * 32 * 32_768
    assert llama_need(ModelFacts(), GB) is None


@pytest.mark.parametrize(
    ("free", "wanted", "tokens"),
    [
        (100 * GB, 0, 32_768),
        (8 * GB, 0, 7_424),
        (1 * GB, 0, 4_096),
        (1 * GB, 100_000, 100_000),
        (1 * GB, 200_000, 131_072),
    ],
)
def test_the_context_leaves_most_of_the_memory(free, wanted, tokens):
    assert llama_context(facts(), free, wanted) == tokens


def test_a_short_context_is_taken_whole():
    assert llama_context(facts(context_tokens=2048), 100 * GB) == 2048
    assert llama_context(facts(context_tokens=0, layers=0), 100 * GB) == 4096
