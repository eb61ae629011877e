"""Where a model's chat template is, whichever way its folder has it; the list of models goes by the same."""

from __future__ import annotations

import json

import pytest

from tui.engine import template_files
from tui.engine.base import ModelLoadError
from tui.engine.template_files import TemplateChoice

POINTER = "version https://git-lfs.github.com/spec/v1\noid sha256:" + "ab" * 32 + "\nsize 4321\n"


def folder_with(folder, files):
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if isinstance(content, bytes):
            path.write_bytes(content)
        else:
            path.write_text(content if isinstance(content, str) else json.dumps(content), "utf-8")
    return folder


def named(*names):
    return [{"name": name, "template": f"{{{{ {name} }}}}"} for name in names]


FOUND = {
    "a file": ({"chat_template.jinja": "{{ a }}"}, "{{ a }}"),
    "with a mark of its encoding": ({"chat_template.jinja": b"\xef\xbb\xbf{{ a }}"}, "{{ a }}"),
    "the tokenizer's settings": ({"tokenizer_config.json": {"chat_template": "{{ a }}"}}, "{{ a }}"),
    "the file goes before them": (
        {"tokenizer_config.json": {"chat_template": "{{ b }}"}, "chat_template.jinja": "{{ a }}"},
        "{{ a }}",
    ),
    "an empty file does not": (
        {"tokenizer_config.json": {"chat_template": "{{ b }}"}, "chat_template.jinja": "\n"},
        "{{ b }}",
    ),
    "the older file": ({"chat_template.json": {"chat_template": "{{ a }}"}}, "{{ a }}"),
    "a text alone in it": ({"chat_template.json": "\"{{ a }}\""}, "{{ a }}"),
    "a processor": ({"processor_config.json": {"chat_template": "{{ a }}"}}, "{{ a }}"),
    "an image processor": ({"preprocessor_config.json": {"chat_template": "{{ a }}"}}, "{{ a }}"),
    "null says nothing": (
        {"tokenizer_config.json": {"chat_template": None}, "chat_template.json": {"chat_template": "{{ a }}"}},
        "{{ a }}",
    ),
    "a file that is named": (
        {"tokenizer_config.json": {"chat_template": "my.jinja"}, "my.jinja": "{{ a }}"},
        "{{ a }}",
    ),
    "another name": ({"template.jinja2": "{{ a }}"}, "{{ a }}"),
    "the default of several": ({"tokenizer_config.json": {"chat_template": named("rag", "default")}}, "{{ default }}"),
    "the only one": ({"tokenizer_config.json": {"chat_template": named("tool_use")}}, "{{ tool_use }}"),
    "the plainest": ({"tokenizer_config.json": {"chat_template": named("rag", "tool_use", "plain_chat")}}, "{{ plain_chat }}"),
    "by their names": ({"tokenizer_config.json": {"chat_template": {"rag": "{{ r }} {{ x }}", "tool": "{{ t }}"}}}, "{{ t }}"),
    "files beside": (
        {"additional_chat_templates/rag.jinja": "{{ r }}", "tokenizer_config.json": {"chat_template": "{{ a }}"}},
        "{{ a }}",
    ),
    "files beside alone": ({"additional_chat_templates/rag.jinja": "{{ r }}"}, "{{ r }}"),
}  # fmt: skip


@pytest.mark.parametrize("name", FOUND)
def test_the_template_is_found(tmp_path, name):
    files, text = FOUND[name]
    found = template_files.find(folder_with(tmp_path, files))
    assert found is not None
    assert found.text == text
    assert template_files.is_there(tmp_path)


@pytest.mark.parametrize(
    "files",
    [
        {},
        {"tokenizer_config.json": {"chat_template": None}},
        {"tokenizer_config.json": {"chat_template": ""}},
        {"tokenizer_config.json": {"chat_template": {}}},
        {"tokenizer_config.json": {"chat_template": [{"name": "default"}, 7]}},
        {"tokenizer_config.json": '{"chat_template": '},
        {"chat_template.json": [1]},
        {"chat_template.jinja": "  \n"},
        {"one.jinja": "{{ a }}", "two.jinja": "{{ b }}"},
    ],
)
def test_there_is_none(tmp_path, files):
    assert template_files.find(folder_with(tmp_path, files)) is None
    assert not template_files.is_there(tmp_path)


@pytest.mark.parametrize(
    "name", ["chat_template.jinja", "chat_template.json", "tokenizer_config.json", "additional_chat_templates/rag.jinja"]
)  # fmt: skip
def test_a_pointer_of_git_lfs_is_named_for_what_it_is(tmp_path, name):
    with pytest.raises(ModelLoadError, match=r"is a Git LFS pointer") as caught:
        template_files.find(folder_with(tmp_path, {name: POINTER}))
    assert "git lfs pull" in caught.value.hint
    assert not template_files.is_there(tmp_path)


def test_a_file_in_another_encoding_is_named(tmp_path):
    with pytest.raises(ModelLoadError, match="isn't UTF-8"):
        template_files.find(
            folder_with(tmp_path, {"chat_template.jinja": "{{ a }}".encode("utf-16")})
        )


def test_which_one_was_taken_is_told():
    templates = {one["name"]: one["template"] for one in named("tool_use", "rag")}
    assert template_files.chosen(templates) == TemplateChoice("{{ rag }}", "rag", ("tool_use",))
    assert template_files.chosen(None) is None
