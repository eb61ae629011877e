"""The command line of `chat-tui ask`."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import field
from enum import StrEnum
from typing import Final

from tui.arguments import Arguments
from tui.dataclass import dataclass
from tui.errors import UserError
from tui.options import (
    OptionParser,
    add_chat,
    add_settings,
    common_arguments,
    not_empty,
)

STDIN: Final = "-"
_MOST_VARIANTS: Final = 100
_NOT_HERE: Final = frozenset(
    ("chat.user", "chat.save_folder", "chat.examples", "screen.theme", "chat.system_prompt")
)
"""Settings that have no effect here, or that there is another option for."""
_EXAMPLES: Final = (
    'chat-tui ask "Why is the sky blue?"',
    'git diff --staged | chat-tui ask "Write a commit message for this diff"',
    'chat-tui ask -f notes.md -s "You are a careful editor." "Summarize this"',
)


class Form(StrEnum):
    """What the reply looks like on stdout."""

    PLAIN = "plain"
    """The text as the model writes it."""
    RENDERED = "rendered"
    """Markdown, laid out for a terminal."""
    JSON = "json"
    """One JSON object, at the end."""
    STREAM_JSON = "stream-json"
    """One JSON object on each line, as things happen."""


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked, and how.

    Attributes:
        text: the question; empty where it comes from `prompt_file` or stdin.
        prompt_file: the file that holds the question; `-` for stdin, empty for none.
        files: files that go with it, in their order.
        form: what the reply looks like.
        variants: how many replies to make.
        saves: whether the chat is saved; None for what the settings say.
        is_quiet: whether only errors go to stderr.
        shows_reasoning: whether the model's reasoning goes to stderr.
        schema: what holds the reply to JSON: a file, a JSON Schema or its short form; empty for nothing.
        arguments: all that `chat-tui` has options for too.
    """

    text: str = ""
    prompt_file: str = ""
    files: tuple[str, ...] = ()
    form: Form = Form.PLAIN
    variants: int = 1
    saves: bool | None = None
    is_quiet: bool = False
    shows_reasoning: bool = False
    schema: str = ""
    arguments: Arguments = field(default_factory=Arguments)


def parser() -> OptionParser:
    """Return the parser of `chat-tui ask`."""
    result = OptionParser(
        prog="chat-tui ask",
        usage="chat-tui ask [options] [QUESTION | -]",
        examples=_EXAMPLES,
        description="Ask a model one question and print the reply. Piped input is attached to the question; without a question, "
        "it is the question. With --prompt, it is ignored.",
        epilog="Generation parameters are options too, such as --temperature 0.2 or --max-new-tokens 200; 'chat-tui config "
        "--explain' lists them. Exit codes: 0 complete, 1 failed, 2 wrong usage, 3 cut off at the token limit, 130 interrupted with Ctrl+C, 129 and 143 ended by SIGHUP and SIGTERM.",
        allow_abbrev=False,
    )
    result.add_argument(
        "words", nargs="*", metavar="QUESTION", help="the question; - reads it from stdin"
    )
    result.add_argument(
        "-f",
        "--file",
        type=not_empty,
        dest="files",
        action="append",
        default=[],
        metavar="FILE",
        help="attach a text file; may be repeated",
    )
    result.add_argument(
        "-p",
        "--prompt",
        type=not_empty,
        dest="prompt_file",
        default=None,
        metavar="FILE",
        help="read the question from a file",
    )
    result.add_argument(
        "-m",
        "--model",
        type=not_empty,
        dest="model",
        default=None,
        metavar="MODEL",
        help="a Hub ID, a folder, a .gguf file, demo, or a server's address; default: the model in the configuration file, or the last used model",
    )
    result.add_argument(
        "--base-url",
        default="",
        metavar="URL",
        help="the address of the server that the model is on",
    )
    result.add_argument(
        "-s",
        "--system",
        "--system-prompt",
        dest="chat.system_prompt",
        metavar="TEXT",
        help="the system prompt",
    )
    form = result.add_mutually_exclusive_group()
    form.add_argument(
        "--render",
        dest="form",
        action="store_const",
        const=Form.RENDERED,
        help="lay out the reply's Markdown for a terminal",
    )
    form.add_argument(
        "--json",
        dest="form",
        action="store_const",
        const=Form.JSON,
        help="print one JSON object: text, reasoning, finish reason, stats",
    )
    form.add_argument(
        "--stream-json",
        dest="form",
        action="store_const",
        const=Form.STREAM_JSON,
        help="print JSON events, one per line, as they happen",
    )
    result.add_argument(
        "--schema",
        type=not_empty,
        default=None,
        metavar="SCHEMA",
        help="make the reply follow a JSON Schema: a file, the schema itself, or a short form such as 'name, age int, tags [str]'",
    )
    result.add_argument(
        "-n", "--variants", type=_count, default=1, metavar="N", help="generate N replies"
    )
    result.add_argument("-q", "--quiet", action="store_true", help="print only errors on stderr")
    result.add_argument(
        "--show-reasoning", action="store_true", help="print the model's reasoning on stderr"
    )
    saves = result.add_mutually_exclusive_group()
    saves.add_argument(
        "--save", dest="saves", action="store_const", const=True, help="save the chat"
    )
    saves.add_argument(
        "--no-save",
        dest="saves",
        action="store_const",
        const=False,
        help="don't save the chat; the default for a new chat unless stdin and stdout are terminals",
    )
    add_chat(result)
    add_settings(result, without=_NOT_HERE)
    return result  # fmt: skip


def parse(words: Sequence[str]) -> Question:
    """Return what a command line asks; exits with code 2 and a sentence when it can't be understood."""
    made = parser()
    given = made.parse_args(words)
    try:
        return _question(given)
    except UserError as error:
        made.error(str(error))


def _question(given: argparse.Namespace) -> Question:
    text, prompt_file = " ".join(given.words), given.prompt_file or ""
    if text == STDIN:
        text = ""
        if prompt_file not in ("", STDIN):
            raise UserError("Stdin and --prompt can't be combined.", "Use one of them.")
        prompt_file = STDIN
    if text.strip() and prompt_file:
        raise UserError("A question and --prompt can't be combined.", "Use one of them.")
    return Question(
        text=text,
        prompt_file=prompt_file,
        files=tuple(given.files),
        form=given.form or Form.PLAIN,
        variants=given.variants,
        saves=given.saves,
        is_quiet=given.quiet,
        shows_reasoning=given.show_reasoning,
        schema=given.schema or "",
        arguments=common_arguments(given, given.model or "", given.base_url),
    )


def _count(text: str) -> int:
    if text.isdecimal() and 1 <= int(text[:9]) <= _MOST_VARIANTS:
        return int(text)
    raise argparse.ArgumentTypeError(f"{text!r} is not a number from 1 to {_MOST_VARIANTS}")
