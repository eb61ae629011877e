"""The files of a model folder: what a library would read whole is of a size that it can read."""

import os

import pytest

from tui.engine import folder_files, plausibility
from tui.engine.base import ModelLoadError

VAST = (
    "tokenizer.json", "tokenizer.4.0.0.json", "tekken.json", "vocab.txt", "vocab.json", "merges.txt", "tokenizer.model", "spiece.model",
    "sentencepiece.bpe.model", "tokenizer.model.v3", "source.spm", "qwen.tiktoken", "special_tokens_map.json", "added_tokens.json",
    "tokenizer_config.json", "preprocessor_config.json", "processor_config.json", "video_preprocessor_config.json",
    "generation_config.json", "chat_template.json", "chat_template.jinja", "additional_chat_templates/tool.jinja",
)  # fmt: skip


def sparse(path, size_bytes):
    path.parent.mkdir(exist_ok=True)
    with path.open("wb") as file:
        file.write(b"{")
        file.truncate(size_bytes)


@pytest.mark.parametrize("name", VAST)
def test_a_vast_file_that_would_be_read_whole_is_refused_by_its_name(tmp_path, name):
    sparse(tmp_path / name, 150_000_000)
    with pytest.raises(ModelLoadError, match=rf"{name.split('/')[-1]} can't be used: .* larger"):
        plausibility.check_folder(tmp_path, {})


@pytest.mark.parametrize(
    ("name", "size"),
    [("model.safetensors", 1 << 40), ("model.gguf", 1 << 40), ("train.json", 1 << 40), ("film.mp4", 1 << 40)],
)  # fmt: skip
def test_weights_and_what_is_no_part_of_a_model_may_be_of_any_size(tmp_path, name, size):
    sparse(tmp_path / name, size)
    plausibility.check_folder(tmp_path, {})


def test_a_tokenizer_as_large_as_the_largest_in_use_is_taken(tmp_path):
    sparse(tmp_path / "tokenizer.json", 36_000_000)
    plausibility.check_folder(tmp_path, {})


@pytest.mark.parametrize("name", ["pipe", "sub/pipe.safetensors", "a/b/c/pipe", "a/b/c/README.md"])
def test_a_pipe_in_a_folder_of_the_folder_is_found(tmp_path, name):
    path = tmp_path / name
    path.parent.mkdir(parents=True, exist_ok=True)
    os.mkfifo(path)
    with pytest.raises(ModelLoadError, match=f"{path.name} can't be used: it is neither"):
        plausibility.check_folder(tmp_path, {})


def test_a_vast_vocabulary_in_a_folder_of_the_folder_is_found(tmp_path):
    sparse(tmp_path / "tokenizer" / "vocab.json", 150_000_000)
    with pytest.raises(ModelLoadError, match=r"vocab\.json can't be used"):
        plausibility.check_folder(tmp_path, {})


def test_folders_that_lead_back_to_themselves_are_looked_at_to_a_bound(tmp_path):
    (tmp_path / "again").symlink_to(tmp_path)
    plausibility.check_folder(tmp_path, {})


def test_what_git_keeps_is_not_looked_at(tmp_path, monkeypatch):
    monkeypatch.setattr(folder_files, "_MOST_FILES", 3)
    (tmp_path / ".git").mkdir()
    for number in range(5):
        (tmp_path / ".git" / str(number)).touch()
    plausibility.check_folder(tmp_path, {})


@pytest.mark.parametrize("name", ["sub/x.safetensors", "x.safetensors", "../x.safetensors", 5])
def test_weights_other_than_those_that_were_checked_are_not_read(tmp_path, name):
    for config in (
        {"transformers_weights": name},
        {"text_config": {"transformers_weights": name}},
    ):
        with pytest.raises(ModelLoadError, match=r"config\.json .* transformers_weights"):
            plausibility.check_folder(tmp_path, config)
