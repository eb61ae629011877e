"""What lies in a file's place and isn't the file."""

import pytest

from tui.engine import facts, folder_files, stand_ins
from tui.engine.base import ModelLoadError
from tui.engine.checkpoint import find_weights

LFS = "version https://git-lfs.github.com/spec/v1\noid sha256:" + "ab" * 32 + "\nsize 269060552\n"
KINDS = {
    "lfs": (LFS, "Git LFS pointer", "git lfs pull"),
    "older lfs": (LFS.replace("git-lfs", "hawser"), "Git LFS pointer", "git lfs pull"),
    "xet": ("# xet version 0\nfilesize = 10\nhash = 'ab'\n", "Xet pointer", "git lfs pull"),
    "annex": ("/annex/objects/SHA256E-s10--ab.safetensors\n", "git-annex", "git annex get"),
    "page": ("<!DOCTYPE html>\n<html><body>Log in</body></html>", "web page", "Download it again"),
    "page with a mark": ("\ufeff\n <HTML>", "web page", "Download it again"),
    "denied": ("<?xml version='1.0'?><Error><Code>AccessDenied</Code></Error>", "error", "hf auth"),
    "message": ("Access to model org/x is restricted.", "error message", "hf auth login"),
    "gone": ("Entry not found", "error message", "hf auth login"),
    "object": ('{"error":"Invalid credentials"}', "error message", "hf auth login"),
    "nothing": ("", "empty", "interrupted"),
    "zeros": ("\0" * 5000, "filled with zeros only", "interrupted"),
}  # fmt: skip


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    "name", ["tokenizer.json", "config.json", "x.safetensors", "a.gguf", "b.bin"]
)
def test_each_is_called_what_it_is_with_the_next_step(tmp_path, kind, name):
    content, what, hint = KINDS[kind]
    path = tmp_path / name
    path.write_text(content)
    with pytest.raises(ModelLoadError, match=what) as raised:
        stand_ins.check(path)
    assert hint in raised.value.hint
    assert name in raised.value.message
    if "{" not in hint and "git" in hint and "lfs" in kind:
        assert str(tmp_path) in raised.value.hint


@pytest.mark.parametrize(
    "content",
    ["{}", '{"model_type": "llama", "error": 1}', "\0\0\0\0data" * 500, "x" * 10, "{% for m in messages %}<html>{% endfor %}",
     "{{ bos_token }}", '{"version": "1.0", "truncation": null}', "#version: 0.2\n"],
)  # fmt: skip
def test_what_may_be_the_file_itself_is_left_alone(tmp_path, content):
    path = tmp_path / "chat_template.jinja"
    path.write_text(content)
    stand_ins.check(path)


def test_zeros_at_the_start_alone_are_not_all_zeros(tmp_path):
    path = tmp_path / "tokenizer.model"
    path.write_bytes(bytes(5000) + b"x")
    stand_ins.check(path)


@pytest.mark.parametrize(("magic", "what"), [(b"PK\x03\x04", "ZIP"), (b"\x1f\x8b", "gzip")])
def test_an_archive_is_named_but_for_files_that_are_archives(tmp_path, magic, what):
    for name in ("model.safetensors", "tokenizer.json", "x.gguf"):
        (tmp_path / name).write_bytes(magic + b"x" * 5000)
        with pytest.raises(ModelLoadError, match=what):
            stand_ins.check(tmp_path / name)
    (tmp_path / "pytorch_model.bin").write_bytes(magic + b"x" * 5000)
    stand_ins.check(tmp_path / "pytorch_model.bin")


def test_a_link_that_leads_nowhere_is_named(tmp_path):
    (tmp_path / "a.gguf").symlink_to("nowhere")
    (tmp_path / "b.gguf").symlink_to(".git/annex/objects/xx/SHA256E-s10--ab.gguf")
    with pytest.raises(ModelLoadError, match="link to a file that doesn't exist"):
        stand_ins.check(tmp_path / "a.gguf")
    with pytest.raises(ModelLoadError, match="git-annex"):
        stand_ins.check(tmp_path / "b.gguf")


def test_an_unfinished_download_is_found_beside_its_name(tmp_path):
    (tmp_path / "model.safetensors.aria2").write_text("")
    assert stand_ins.partial_of(tmp_path / "model.safetensors").name == "model.safetensors.aria2"
    assert stand_ins.partial_of(tmp_path / "other.safetensors") is None
    assert stand_ins.is_partial("model.gguf.crdownload")
    assert not stand_ins.is_partial("model.gguf")


# -- where they are met


@pytest.mark.parametrize(
    "name",
    ["tokenizer.json", "tokenizer_config.json", "generation_config.json", "chat_template.jinja", "chat_template.json",
     "tokenizer.model", "vocab.json", "additional_chat_templates/tool.jinja", "special_tokens_map.json"],
)  # fmt: skip
def test_a_pointer_in_any_file_that_is_read_is_refused(tmp_path, name):
    (tmp_path / name).parent.mkdir(exist_ok=True)
    (tmp_path / name).write_text(LFS)
    with pytest.raises(ModelLoadError, match="Git LFS pointer"):
        folder_files.check(tmp_path)


@pytest.mark.parametrize(
    "name", ["tokenizer.model", "vocab.json", "merges.txt", "README.md", "a.png"]
)
def test_a_pointer_in_a_file_that_nobody_reads_does_no_harm(tmp_path, name):
    (tmp_path / "tokenizer.json").write_text("{}")
    (tmp_path / name).write_text(LFS)
    folder_files.check(tmp_path)


def test_a_pointer_in_place_of_the_config(tmp_path):
    (tmp_path / "config.json").write_text(LFS)
    with pytest.raises(ModelLoadError, match="Git LFS pointer"):
        facts.read_config(tmp_path)


@pytest.mark.parametrize(
    "name", ["model.safetensors", "pytorch_model.bin", "model.safetensors.index.json", "model.fp16.safetensors"]
)  # fmt: skip
def test_a_pointer_in_place_of_weights(tmp_path, name):
    (tmp_path / name).write_text(LFS)
    with pytest.raises(ModelLoadError, match="Git LFS pointer"):
        find_weights(tmp_path)
