"""What is said of a tokenizer that can't be read, and the ones that can although something is odd about them."""

import json
import shutil

import pytest

from tests.engine import tiny
from tests.engine.conftest import ask, chat, load
from tui.engine import catalog
from tui.engine.base import ModelLoadError


@pytest.fixture(scope="module")
def llama(tmp_path_factory):
    return tiny.llama(tmp_path_factory.mktemp("models") / "tiny-llama")


@pytest.fixture
def folder(llama, tmp_path):
    return shutil.copytree(llama, tmp_path / "model")


def change(path, **values):
    path.write_text(json.dumps({**json.loads(path.read_text()), **values}))


def cut(folder):
    path = folder / "tokenizer.json"
    path.write_text(path.read_text()[:2000])


def with_mark(folder):
    path = folder / "tokenizer.json"
    path.write_text("\ufeff" + path.read_text())


@pytest.mark.parametrize(
    ("breaks", "said"), [(cut, "it is incomplete"), (with_mark, "a byte order mark")]
)
def test_a_broken_tokenizer_is_named_in_the_list_and_at_the_load(engine, folder, breaks, said):
    breaks(folder)
    with pytest.raises(ModelLoadError, match=said):
        catalog.facts(catalog.resolve(str(folder)))
    with pytest.raises(ModelLoadError, match=said):
        load(engine, folder)


@pytest.mark.parametrize("part", ["model", "pre_tokenizer"])
def test_a_tokenizer_of_a_newer_kind_is_not_called_harmful(engine, folder, part):
    change(folder / "tokenizer.json", **{part: {"type": "Hyper", "vocab": {}, "merges": []}})
    with pytest.raises(ModelLoadError, match="the installed version of tokenizers") as raised:
        load(engine, folder)
    assert "pip install -U tokenizers" in raised.value.hint


def test_files_of_a_tokenizer_that_are_not_enough(engine, folder):
    vocabulary = json.loads((folder / "tokenizer.json").read_text())["model"]["vocab"]
    (folder / "tokenizer.json").unlink()
    change(folder / "tokenizer_config.json", tokenizer_class="GPT2Tokenizer")
    (folder / "vocab.json").write_text(json.dumps(vocabulary))
    with pytest.raises(ModelLoadError, match=r"merges\.txt is missing"):
        load(engine, folder)
    (folder / "vocab.json").unlink()
    (folder / "tokenizer_config.json").unlink()
    (folder / "vocab.txt").write_text("[UNK]\na")
    with pytest.raises(ModelLoadError, match=r"from the files that exist: vocab\.txt"):
        load(engine, folder)


def test_a_package_that_a_tokenizer_needs_is_named(engine, folder, monkeypatch):
    from transformers import AutoTokenizer

    def lacks(*_args, **_options):
        raise ImportError("It requires mistral-common: `pip install mistral-common`. Restart.")

    monkeypatch.setattr(AutoTokenizer, "from_pretrained", lacks)
    with pytest.raises(ModelLoadError, match="without the package mistral-common") as raised:
        load(engine, folder)
    assert raised.value.hint == "Install it with: pip install mistral-common"


def test_an_unknown_token_without_a_text_goes_round_in_no_circle(engine, folder):
    change(folder / "tokenizer_config.json", unk_token="", pad_token="")
    load(engine, folder)
    assert ask(engine, chat("hello"), max_new_tokens=2).finished.stats.new_tokens
