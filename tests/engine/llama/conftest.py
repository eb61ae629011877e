"""A tiny model in llama.cpp, in its process. Native code never runs in the process of the tests."""

from __future__ import annotations

import pytest

from tests.engine.conftest import load
from tests.engine.llama import tiny_gguf
from tui.engine.llama import choice
from tui.engine.llama.process import LlamaProcess


@pytest.fixture(scope="session")
def model(tmp_path_factory):
    """The file of a tiny model."""
    return tiny_gguf.make(tmp_path_factory.mktemp("gguf") / "tiny.gguf")


@pytest.fixture(scope="session")
def llama(tmp_path_factory):
    """The engine, with whatever model the last test has loaded."""
    if not choice.is_installed():
        pytest.skip("xllamacpp is not installed (pip install 'chat-tui[gguf]')")
    made = LlamaProcess(tmp_path_factory.mktemp("llama") / "cache")
    yield made
    made.close()


@pytest.fixture
def tiny(llama, model):
    """The engine with the tiny model."""
    if llama.loaded is None or llama.loaded.model != str(model):
        load(llama, str(model))
    return llama
