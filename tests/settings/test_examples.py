"""Examples come from YAML files of `transformers chat`, or are built in under its names."""

from __future__ import annotations

import pytest

from tui.settings.examples import BUILT_IN, ExamplesError, read_examples


def test_the_names_that_are_built_in_are_theirs():
    theirs = pytest.importorskip("transformers.cli.chat").DEFAULT_EXAMPLES
    assert list(BUILT_IN) == list(theirs)


def test_a_file_of_theirs_is_read(tmp_path):
    file = tmp_path / "examples.yml"
    file.write_text('a: {text: "one"}\nb:\n  text: |\n    two\n    lines\nc: three\n')
    assert read_examples(file) == {"a": "one", "b": "two\nlines\n", "c": "three"}


@pytest.mark.parametrize(
    "content", ["- a\n- b", "a: {txt: x}", "a: [", "", "!!python/object:os.system x", "\x00"]
)
def test_another_file_is_refused_in_a_sentence(tmp_path, content):
    file = tmp_path / "examples.yml"
    file.write_text(content)
    with pytest.raises(ExamplesError, match=r"examples\.yml"):
        read_examples(file)


def test_a_file_that_is_not_there_is_said(tmp_path):
    with pytest.raises(ExamplesError, match="can't be read"):
        read_examples(tmp_path / "none.yml")
