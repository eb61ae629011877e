"""Whatever stands in the place of a file of the app: nothing blocks, nothing fails for good, nobody's words are deleted."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.settings.in_the_way import KINDS, PLACES, WORDS
from tui.settings.examples import ExamplesError, read_examples
from tui.settings.paths import AppPaths
from tui.settings.toml_text import TomlError, parse_toml

LONGEST_S = 120

RUN_ALL = """
import json, os, sys
from pathlib import Path
from tests.settings.in_the_way import *
root, kind = Path(sys.argv[1]), sys.argv[2]
told = {}
for number, place in enumerate(PLACES):
    print("at", place, file=sys.stderr, flush=True)
    paths = AppPaths.under(root / str(number) / "home")
    put_in_the_way(paths, kind, place)
    told[place] = [use(paths, place), use(paths, place)]
print(json.dumps(told))
"""
FOLDERS = {"config", "data", "cache", "logs", "sessions", "presets", "prompts", "themes"}


def test_every_file_of_the_app_is_tried() -> None:
    names = {name for name, value in vars(AppPaths).items() if isinstance(value, property)}
    assert names | {"config", "data", "cache", "logs"} <= PLACES.keys()


@pytest.mark.parametrize("kind", [*KINDS])
def test_whatever_is_in_the_way_of_the_apps_files(tmp_path, kind) -> None:
    done = subprocess.run(
        [sys.executable, "-c", RUN_ALL, str(tmp_path), kind],
        capture_output=True,
        text=True,
        timeout=LONGEST_S,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    for place, (first, second) in told.items():
        sentences = [*first, *second]
        assert all("\n" not in sentence for sentence in sentences), place
        if place not in FOLDERS and place != "config_file":
            assert not [one for one in second if "can't be written" in one], (place, second)
    assert_no_words_deleted(tmp_path, kind)


def assert_no_words_deleted(root: Path, kind: str) -> None:
    if kind in ("folder", "garbage"):
        for number, place in enumerate(PLACES):
            texts = [
                path.read_text("utf-8", "replace")
                for path in (root / str(number)).rglob("*")
                if path.is_file()
            ]
            kept = any(WORDS in text for text in texts)
            # What was measured, the index and the state staged by a dead process are no words of anybody's.
            replaced = {"a preset", "a prompt", "measurements", "index", "staged state"}
            assert kept or place in replaced, place


def test_a_named_example_file_cannot_be_a_bomb(tmp_path) -> None:
    path = tmp_path / "examples.yaml"
    lines = ["a0: &a0 {k: v}"]
    lines += [f"a{n}: &a{n} {{<<: [*a{n - 1}, *a{n - 1}]}}" for n in range(1, 40)]
    for text in (
        "\n".join(lines),
        "a: &a [*a]",
        "x: " + "[" * 100_000,
        "x: " + "{a: " * 500,
        "- " * 5000,
        "x: 1" + "0" * 5000,
        "x: !!python/object/apply:os.system [ls]",
        "a: 9999-99-99",
        "\ud800".encode("utf-8", "surrogatepass").decode("latin-1"),
    ):
        path.write_text(text)
        with pytest.raises(ExamplesError):
            read_examples(path)
    path.unlink()
    for make in (os.mkfifo, Path.mkdir, lambda one: one.symlink_to("/dev/zero")):
        make(path)
        with pytest.raises(ExamplesError):
            read_examples(path)
        path.rmdir() if path.is_dir() else path.unlink()


@pytest.mark.parametrize(
    "text",
    [
        "a." * 50_000 + "a = 1",
        "[" + "a." * 50_000 + "a]",
        "x = {" + '"a" . ' * 50_000 + "a = 1}",
        "a = 1" + "0" * 5000,
        "a = " + "[" * 100_000,
        "a = " + "{a = " * 100_000,
        "a = 1979-99-99",
    ],
)
def test_no_toml_takes_long_or_fails_with_anything_else(text) -> None:
    with pytest.raises(TomlError):
        parse_toml(text)


def test_ordinary_toml_with_many_dots_is_read() -> None:
    sentence = "Wait... e.g. one. Two. Three." * 100
    assert parse_toml(f"a.b.c = {json.dumps(sentence)}") == {"a": {"b": {"c": sentence}}}
