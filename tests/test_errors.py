"""The one kind of error that a person reads: whole sentences, and a hint that is never lost."""

from __future__ import annotations

import ast
import importlib
import pickle
import re
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest

import tui
from tui.commands import parse_command
from tui.conversation import Conversation, codec
from tui.conversation.formats import FORMATS, export_text, import_text
from tui.conversation.formats.archive import Archive
from tui.engine.base import Overflow
from tui.engine.catalog import resolve
from tui.errors import UserError, listed
from tui.flags import read_flags, split_words
from tui.options import generation_settings
from tui.parameters import PARAMETERS, UNUSED, parameter
from tui.sessions import SessionStore
from tui.settings.config import parse_config, read_environment, write_settings
from tui.settings.examples import read_examples
from tui.settings.presets import Library, Preset, parse_preset
from tui.settings.schema import SETTINGS
from tui.settings.themes import parse_theme, read_theme
from tui.transfer import read_sources, write_new

PACKAGE = Path(tui.__file__).parent
EXAMPLES = sorted((Path(__file__).parent / "conversation" / "examples").iterdir())
BEGINS = re.compile(
    r"""[A-Z0-9"“'`/~-]|(chat-tui|config\.(toml|json)|huggingface_hub|transformers)\b"""
)
"""How what a person reads begins: as a sentence, or with a name, a path or a number."""
ENDS = re.compile(r"[.?]$|: (pip install |hf auth login$|torch\.)|^\], 'pytorch_model.bin'\)$")
"""How it ends; a command that is to be copied has no full stop behind it."""
WRONG = (
    "", "x" * 200, "nonsense", "[1", "-1", "1.5", "1e999", "9" * 30, "maybe", '["a", 1]', "a=b",
)  # fmt: skip


def assert_sentences(text: str) -> None:
    assert BEGINS.match(text), text
    assert ENDS.search(text), text
    assert "?." not in text, text


def refusal(work: Callable[[], object]) -> UserError | None:
    """Return the error with which something is refused, having checked it; None where nothing is."""
    refused: UserError | None = None
    try:
        work()
    except UserError as error:
        refused = error
    if refused is not None:
        assert_sentences(refused.message)
        assert_sentences(str(refused))
        assert str(refused).endswith(refused.hint)
    return refused


# -- the classes


_CLASS = re.compile(r"^[ \t]*class (\w+)(?:\(([^)]*)\))?:", re.MULTILINE)


@cache
def bases() -> dict[str, list[str]]:
    """Return the names of all classes in the package with the names of those that they are made of.

    By the look of the lines: every worker asks while it collects the tests, and to parse the package takes seconds.
    """
    return {
        name: [base.strip().rpartition(".")[2] for base in made_of.split(",")]
        for path in sorted(PACKAGE.rglob("*.py"))
        for name, made_of in _CLASS.findall(path.read_text())
    }


@cache
def trees() -> dict[Path, ast.Module]:
    return {path: ast.parse(path.read_text()) for path in sorted(PACKAGE.rglob("*.py"))}


def kinds() -> list[str]:
    """Return the names of the classes of such errors."""
    known = bases()

    def is_one(name: str) -> bool:
        return name == "UserError" or any(map(is_one, known.get(name, ())))

    return sorted(filter(is_one, known))


def home(name: str) -> str:
    """Return the module in which a class stands."""
    path = next(
        path
        for path, tree in trees().items()
        if any(isinstance(node, ast.ClassDef) and node.name == name for node in tree.body)
    )
    return ".".join(path.relative_to(PACKAGE.parent).with_suffix("").parts).removesuffix(
        ".__init__"
    )


OF_ITS_OWN: dict[str, Any] = {
    "ContextOverflowError": Overflow(20, 10, (20,)),
    "HubWaitError": 3.0,
    "_StoppedError": "it took too long",
}
"""The classes that make their words themselves, each with what they make them of."""


@pytest.mark.parametrize("name", [name for name in kinds() if name not in OF_ITS_OWN])
def test_every_class_takes_a_message_and_a_hint_and_says_both(name):
    kind = getattr(importlib.import_module(home(name)), name)
    error = kind("It failed.", "Try again.")
    assert isinstance(error, UserError)
    assert (error.message, error.hint) == ("It failed.", "Try again.")
    assert str(error) == "It failed. Try again."
    assert str(kind("It failed.")) == "It failed."


@pytest.mark.parametrize("name", OF_ITS_OWN)
def test_a_class_that_makes_its_words_itself_says_what_to_do_too(name):
    error = getattr(importlib.import_module(home(name)), name)(OF_ITS_OWN[name])
    assert_sentences(error.message)
    assert_sentences(error.hint)
    assert str(error) == f"{error.message} {error.hint}"


@pytest.mark.parametrize(
    ("names", "words"), [("a", "a"), ("ab", "a and b"), ("abc", "a, b, and c"), ("", "")]
)
def test_names_are_listed_as_in_a_sentence(names, words):
    assert listed(names) == words


def test_an_error_can_go_to_another_process():
    sent = pickle.loads(pickle.dumps(UserError("It failed.", "Try again.")))
    assert (sent.message, sent.hint) == ("It failed.", "Try again.")


# -- what is written where they are raised


def raised() -> Iterator[tuple[str, ast.expr]]:
    """Yield each text that such an error is made of where it stands in the code, with its place."""
    names = {*kinds()} - {*OF_ITS_OWN}
    for path, tree in trees().items():
        for node in ast.walk(tree):
            if isinstance(node, ast.Call) and ast.unparse(node.func).rpartition(".")[2] in names:
                texts = [*node.args[:2], *(one.value for one in node.keywords if one.arg == "hint")]
                for text in texts:
                    yield f"{path.relative_to(PACKAGE)}:{text.lineno}", text


def edges(text: ast.expr) -> tuple[str, str]:
    """Return how a text begins and ends; empty where that is not written there but put in."""
    parts = text.values if isinstance(text, ast.JoinedStr) else [text]
    first, last = (
        one.value if isinstance(one, ast.Constant) and isinstance(one.value, str) else ""
        for one in (parts[0], parts[-1])
    )
    return first, last


def test_whatever_is_raised_is_written_in_whole_sentences():
    found = [(place, *edges(text)) for place, text in raised()]
    assert len(found) > 200
    wrong = [
        (place, first, last)
        for place, first, last in found
        if (first and not BEGINS.match(first)) or (last and not ENDS.search(last))
    ]
    assert wrong == []


# -- what is said of what people type and keep


@pytest.mark.parametrize("name", PARAMETERS)
def test_a_parameter_refuses_in_sentences(name):
    values = [True, "x", 1.5, -1, 10**20, float("inf"), [], ["a", 1], {}]
    refused = [refusal(lambda text=text: parameter(name).parse(text)) for text in WRONG]
    refused += [refusal(lambda value=value: parameter(name).check(value)) for value in values]
    assert any(refused)


@pytest.mark.parametrize("key", SETTINGS)
def test_a_setting_refuses_in_sentences(key, tmp_path):
    setting = SETTINGS[key]
    values = [True, "x" * 2_000_000, 1.5, -1, 10**20, float("inf"), [], {"a b": 1}]
    refused = [refusal(lambda text=text: setting.parse(text)) for text in WRONG]
    refused += [refusal(lambda value=value: setting.check(value)) for value in values]
    refused += [
        refusal(lambda value=value: write_settings(tmp_path / "c.toml", {key: value}))
        for value in values[4:6]
    ]
    assert any(refused)
    for text in WRONG:
        for problem in read_environment({setting.variable: text}).problems:
            assert_sentences(problem.removeprefix(f"{setting.variable}: "))


@pytest.mark.parametrize(
    "text",
    ["[screen", "x = 1", "[screen]\nthem = 1", "[screen]\ntheme = 1", "[alerts]\nkind = 'x'"],
)
def test_a_configuration_file_is_refused_in_sentences(text, tmp_path):
    (problem,) = parse_config(text).problems
    assert_sentences(problem)
    file = tmp_path / "config.toml"
    file.write_text(text)
    refusal(lambda: write_settings(file, {"screen.theme": "x"}))


@pytest.mark.parametrize(
    "work",
    [
        lambda: read_flags(["temperature"]),
        lambda: read_flags(["temprature=1"]),
        lambda: read_flags(["stop_strings=[x]"]),
        lambda: split_words("a 'b"),
        lambda: split_words("a [b"),
        lambda: parameter("nothing like it"),
        *(lambda name=name: parameter(name) for name in UNUSED),
        lambda: parse_command("/nothinglikeit"),
        lambda: parse_command("/hlep"),
        lambda: parse_command("/quit now"),
        lambda: generation_settings("{"),
        lambda: generation_settings("[]"),
        lambda: resolve("no such name"),
        lambda: parse_preset("x", "a ="),
        lambda: parse_preset("x", "modl = 1"),
        lambda: parse_preset("x", "model = 1"),
        lambda: parse_preset("x", "template = 1"),
        lambda: parse_preset("x", "[parameters]\ntemperature = 900"),
        lambda: parse_theme("a ="),
        lambda: parse_theme("name = 'X'"),
        lambda: parse_theme("name = 'x'\ndark = 1"),
        lambda: parse_theme("name = 'x'\ndark = true"),
        lambda: parse_theme("name = 'x'\ndark = true\n[colors]\nfirst = 1"),
        lambda: codec.loads(b"\xff"),
        lambda: codec.loads(b"{"),
        lambda: codec.loads(b"[]"),
        lambda: codec.loads(b"{}"),
        lambda: Archive(b"PK\x03\x04"),
        lambda: export_text([], FORMATS["chat-tui"]),
        lambda: export_text([Conversation()], FORMATS["chatgpt"]),
    ],
)
def test_what_is_typed_is_refused_in_sentences(work):
    assert refusal(work) is not None


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.name)
def test_a_file_of_another_tool_that_is_broken_is_refused_in_sentences(path):
    data = path.read_bytes()
    refused = [
        refusal(lambda broken=broken: import_text(broken))
        for broken in (
            data[: len(data) // 3],
            data[:1],
            b"\0" + data,
            b"[" * 100_000 + data,
            b"[1]",
        )
    ]
    assert any(refused)


def test_what_lies_on_the_disk_is_refused_in_sentences(tmp_path):
    folder, file = tmp_path / "folder", tmp_path / "file"
    folder.mkdir()
    file.write_text("- [")
    library = Library(folder, folder)
    store = SessionStore(tmp_path / "chats")
    for work in (
        lambda: read_examples(folder),
        lambda: read_examples(file),
        lambda: read_theme(folder),
        lambda: read_theme(file),
        lambda: library.preset("x"),
        lambda: library.prompt("x"),
        lambda: library.save_prompt("/", "x"),
        lambda: Library(file, file).save_preset(Preset("x")),
        lambda: write_new(file, "x"),
        lambda: write_new(folder / "none" / "x", "x"),
        lambda: store.load("x"),
        lambda: store.load("0" * 32),
        lambda: store.trash("0" * 32),
        lambda: store.restore("0" * 32),
        lambda: store.open_file(file),
        lambda: store.open_file(folder),
        lambda: store.open_file(tmp_path / "none"),
    ):
        assert refusal(work) is not None
    store.close()


def test_what_is_found_in_place_of_chats_is_told_in_sentences(tmp_path):
    for name, data in {
        "a.json": b"{", "b.txt": b"words", "c.pdf": b"%PDF", "d.gz": b"\x1f\x8b", "e.zip": b"PK\x03\x04",
        "f.html": b"<html>", "g.json": b"", "h.csv": b'role,text\n"',
    }.items():  # fmt: skip
        (tmp_path / name).write_bytes(data)
    failures = [one.failure for one in read_sources([tmp_path, *tmp_path.iterdir()]) if one.failure]
    assert len(failures) > 10
    for failure in failures:
        assert_sentences(failure)
