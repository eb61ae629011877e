"""The README and the pages in docs/ say what the program does."""

from __future__ import annotations

import ast
import inspect
import json
import re
import shlex
import sys
import tomllib
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

from tests.reference import FOLDER, ROOT, pages
from tui.ask.options import parser as ask_parser
from tui.conversation import codec
from tui.conversation.messages import plain_message
from tui.options import parse
from tui.settings.config import parse_config
from tui.settings.presets import parse_preset
from tui.settings.themes import parse_theme
from tui.subcommands import PARSERS

README = ROOT / "README.md"
DOCS = ROOT / "docs"
CHANGELOG, CONTRIBUTING = ROOT / "CHANGELOG.md", ROOT / "CONTRIBUTING.md"
PAGES = sorted((README, CHANGELOG, CONTRIBUTING, *DOCS.rglob("*.md")), key=str)
EXAMPLE = DOCS / "examples" / "chat.json"
MOST_README_LINES = 150
MOST_COLUMNS = 5
_BLOCK = re.compile(r"^( *)```([a-z]*)\n(.*?)^\1```$", re.DOTALL | re.MULTILINE)
_DATA = ("toml", "json", "python", "yaml", "text", "vim", "gitconfig")
_BEFORE = ("if", "then", "else", "elif", "while", "do", "!", "{", "exec", "command", "env")
"""Words of a shell, before which another command may stand."""
_PARSERS = {**PARSERS, "ask": ask_parser}

every_page = pytest.mark.parametrize("page", PAGES, ids=lambda path: str(path.relative_to(ROOT)))


def blocks(page: Path) -> Iterator[tuple[str, str]]:
    """Yield each code block of a page: its language and its text."""
    for found in _BLOCK.finditer(page.read_text("utf-8")):
        yield found[2], found[3].replace("\n" + found[1], "\n").removeprefix(found[1])


def prose(page: Path) -> str:
    """Return the text of a page without its code blocks."""
    return _BLOCK.sub("", page.read_text("utf-8"))


# -- command lines


def command_lines(page: Path) -> Iterator[list[str]]:
    """Yield the arguments of every chat-tui command that a page shows."""
    for language, text in blocks(page):
        if language not in _DATA:
            is_session = any(line.startswith("$ ") for line in text.splitlines())
            typed = [line[2:] for line in text.splitlines() if line.startswith("$ ")]
            yield from commands_in("\n".join(typed) if is_session else text)
    if page not in (CHANGELOG, CONTRIBUTING):
        # These two name commands without their arguments.
        for text in re.findall(r"`(chat-tui [^`\n]+)`", prose(page)):
            yield from commands_in(text)


def commands_in(script: str) -> Iterator[list[str]]:
    """Yield the arguments of every chat-tui command in a shell script, those in `$(…)` and functions too."""
    for inner in re.findall(r"\$\((chat-tui [^()]*)\)", script):
        yield from commands_in(inner)
    lexer = shlex.shlex(
        re.sub(r"(^| )#.*$", "", script.replace("\\\n", " "), flags=re.MULTILINE),
        posix=True,
        punctuation_chars="();<>|&\n",
    )
    lexer.whitespace = " \t"
    lexer.whitespace_split = True
    lexer.commenters = ""
    words: list[str] | None = None
    is_redirected, is_first = False, True
    for token in lexer:
        if set(token) & set("();<>|&\n") and not set(token) - set("();<>|&\n"):
            is_redirected = token[0] in "<>" and token != "<("
            if not is_redirected:
                if words is not None:
                    yield words
                words, is_first = None, True
        elif is_redirected:
            is_redirected = False
        elif words is not None:
            words.append(token)
        elif token == "chat-tui" and is_first:
            words = []
        else:
            is_first = is_first and (token in _BEFORE or "=" in token)
    if words is not None:
        yield words


@every_page
def test_every_command_line_is_understood(page):
    for words in command_lines(page):
        if "--help" in words or "--version" in words:
            continue
        try:
            if words and words[0] in _PARSERS:
                _PARSERS[words[0]]().parse_args(words[1:])
            else:
                parse(words)
        except SystemExit:
            pytest.fail(f"chat-tui {shlex.join(words)}")


def test_command_lines_are_found_wherever_they_stand():
    script = (
        "git diff | chat-tui ask 'Why (a|b)?' > out.txt  # a comment\n"
        'eval "$(chat-tui completion bash)"\n'
        'while read -r x; do chat-tui ask "$x" </dev/null; done\n'
        "chat-tui ask x \\\n  --json\n"
    )
    assert list(commands_in(script)) == [
        ["completion", "bash"],
        ["ask", "Why (a|b)?"],
        ["ask", "$x"],
        ["ask", "x", "--json"],
    ]
    assert sum(1 for page in PAGES for _ in command_lines(page)) > 100


# -- links, pictures, tables, texts


def anchors(page: Path) -> set[str]:
    """Return the anchors of a page's headings, as GitHub makes them."""
    found: set[str] = set()
    for title in re.findall(r"^#+ (.+)$", prose(page), re.MULTILINE):
        plain = re.sub(r"\[([^]]*)\]\([^)]*\)", r"\1", title).strip().lower()
        found.add(re.sub(r"[^\w\- ]", "", plain).replace(" ", "-"))
    return found


@every_page
def test_every_link_leads_somewhere(page):
    links = re.findall(r"\]\(([^)\s]+)\)", prose(page))
    for link in links:
        path, _, anchor = link.partition("#")
        if link.startswith(("https://", "http://")):
            continue
        target = (page.parent / path).resolve() if path else page
        assert target.exists(), link
        if anchor:
            assert anchor in anchors(target), link


def test_every_page_can_be_reached_from_the_readme():
    reached, ahead = set(), [README]
    while ahead:
        page = ahead.pop()
        reached.add(page)
        links = re.findall(r"\]\(([^)#\s]+)", prose(page))
        found = [(page.parent / link).resolve() for link in links if link.endswith(".md")]
        ahead += [path for path in found if path.exists() and path not in reached]
    assert set(PAGES) - reached == set()


@every_page
def test_no_table_is_wider_than_a_page(page):
    for line in prose(page).splitlines():
        if line.startswith("|"):
            assert line.count("|") - line.count("\\|") <= MOST_COLUMNS + 1, line[:80]


@every_page
def test_nothing_is_written_for_the_interpreter(page):
    text = page.read_text("utf-8")
    assert re.findall(r"<(?:function|bound method|class|\w+ object)|<lambda>| at 0x[0-9a-f]{4}", text) == []  # fmt: skip


def test_the_readme_is_short():
    assert len(README.read_text("utf-8").splitlines()) <= MOST_README_LINES


# -- messages of the app


_QUOTED = re.compile(r"“([^”]+)”")
_MAKE_VARIABLES = {"$(PYTHON)": "python3", "$(VENV)": ".venv"}


def quoted(page: Path) -> list[str]:
    """Return the messages that the tables of a page quote; `…` stands for what differs."""
    rows = (line for line in prose(page).splitlines() if line.startswith("|"))
    return [message for row in rows for message in _QUOTED.findall(row.split("|")[1])]


@cache
def app_texts() -> frozenset[str]:
    """Return every string of the app and of the Makefile, with `…` for each value that is filled in."""
    found = set()
    for path in (ROOT / "tui").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.JoinedStr):
                pieces = (
                    str(piece.value) if isinstance(piece, ast.Constant) else "…"
                    for piece in node.values
                )
                found.add("".join(pieces))
            elif isinstance(node, ast.Constant) and isinstance(node.value, str):
                found.add(node.value)
    makefile = (ROOT / "Makefile").read_text("utf-8")
    for name, value in _MAKE_VARIABLES.items():
        makefile = makefile.replace(name, value)
    return frozenset((*found, makefile))


def is_in_the_app(message: str) -> bool:
    """Return whether the app has a text with this message, or one with a place for a text that it also has."""
    texts = app_texts()
    inner = {text for text in texts if " " in text and text in message and text != message}
    return any(
        re.search(r".+?".join(re.escape(part) for part in form.split("…")), text)
        for form in (message, *(message.replace(one, "…") for one in inner))
        if len(form.replace("…", " ").split()) > 1
        for text in texts
    )


@pytest.mark.parametrize(("name", "least"), [("troubleshooting", 20), ("servers", 6)])
def test_every_message_that_a_page_quotes_is_one_of_the_app(name, least):
    messages = quoted(DOCS / f"{name}.md")
    assert len(messages) >= least
    assert [message for message in messages if not is_in_the_app(message)] == []


@pytest.mark.parametrize(
    "message",
    [
        "There is no model … on the Hugging Face Hub, or it is private",
        "wants a key",
        "The GPU failed and can't be used until chat-tui is restarted",
        "Your message alone has more tokens than the model's context",
    ],
)
def test_a_message_that_the_app_no_longer_has_is_noticed(message):
    assert not is_in_the_app(message)


# -- data


@every_page
def test_every_toml_example_is_read_without_a_problem(page):
    for language, text in blocks(page):
        if language != "toml":
            continue
        keys = tomllib.loads(text)
        if "colors" in keys:
            parse_theme(text)
        elif "parameters" in keys or isinstance(keys.get("model"), str):
            parse_preset("example", text)
        else:
            assert parse_config(text).problems == ()
            assert parse_config(text).values


@every_page
def test_every_json_example_is_json(page):
    for language, text in blocks(page):
        if language == "json":
            json.loads(text)


def test_the_example_of_a_chat_file_opens_and_is_written_as_it_is():
    data = EXAMPLE.read_bytes()
    decoded = codec.loads(data)
    assert (decoded.format, decoded.problems, decoded.notes) == (codec.FORMAT, (), ())
    assert codec.dumps(decoded.conversation).decode() == data.decode().rstrip("\n")
    chat = decoded.conversation
    assert len(chat.path) < len(chat.turns), "the example shows a variant"
    assert chat.can_undo


def test_the_example_of_a_chat_file_can_be_used_as_messages():
    history = json.loads(EXAMPLE.read_bytes())["chat_history"]
    assert [plain_message(entry)["role"] for entry in history] == ["system", "user", "assistant"]
    assert all(isinstance(entry["content"], str) for entry in history)


def test_the_page_on_the_file_format_names_every_key_of_the_example():
    page = (DOCS / "file-format.md").read_text("utf-8")
    assert [key for key in set(_keys(json.loads(EXAMPLE.read_bytes()))) if f"`{key}`" not in page] == []  # fmt: skip


def _keys(value: object, within: str = "") -> Iterator[str]:
    if isinstance(value, dict) and within not in ("parameters", "config"):
        for key, inner in value.items():
            is_id = not key or re.fullmatch(r"[0-9a-f]{32}", key)
            yield from () if is_id else (key,)
            yield from _keys(inner, key)
    elif isinstance(value, list):
        for inner in value:
            yield from _keys(inner, within)


# -- what is generated from the code


def test_the_reference_is_up_to_date():
    there = {path.name: path.read_text("utf-8") for path in FOLDER.glob("*.md")}
    made = pages()
    assert there.keys() == made.keys()
    if sys.version_info >= (3, 13):
        # Its argparse lays out options with two names otherwise.
        made["command-line.md"] = there["command-line.md"]
    assert there == made, "`make docs` writes it"


def test_everything_that_transformers_chat_has_is_in_the_table():
    chat = pytest.importorskip("transformers.cli.chat")
    page = (FOLDER / "transformers-chat.md").read_text("utf-8")
    known = set(inspect.signature(chat.Chat.__init__).parameters)
    options = {
        f"--{name.replace('_', '-')}"
        for name in known - {"self", "model_id", "base_url", "generate_flags"}
    }
    commands = set(re.findall(r"\*\*(!\w+)", chat.HELP_STRING))
    assert options
    assert commands
    assert [one for one in options | commands if f"`{one}`" not in page] == []
