"""The app on an engine that says what a file tells it to say: for tests that need a terminal and no model.

It is the real command line. Only the local engine is another one, which takes any model by its name; importing torch and loading a
model would take several seconds of each test.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

from tests.scripted import ScriptedEngine
from tui.engine.base import (
    Emit,
    GenerationError,
    IsCancelled,
    LoadRequest,
    ModelInfo,
    ReasoningDelta,
    TextDelta,
)
from tui.engine.catalog import resolve

_HELLO: Final = [[("text", "Hello.")]]


@dataclass
class NamedEngine(ScriptedEngine):
    """Loads any model there is by name only; replies with the steps that it was given."""

    def load(self, request: LoadRequest, emit: Emit, cancelled: IsCancelled) -> ModelInfo:
        source = resolve(request.model)
        self.info = replace(self.info, name=source.name, notes=(f"A note on {source.name}.",))
        return super().load(request, emit, cancelled)


def _steps(reply: Iterable[Sequence[str]]) -> Iterator[Any]:
    kinds = {"text": TextDelta, "reasoning": ReasoningDelta, "error": GenerationError}
    for kind, text in reply:
        yield kinds[kind](text)


def program(replies: Path | None = None, *, piece_s: float = 0.0) -> str:
    """Return the script that runs the app.

    Args:
        replies: a file made by `write_replies`; None for one greeting.
        piece_s: how long each piece of a reply takes, in seconds.
    """
    started = f"main({str(replies or '')!r}, {piece_s})"
    return f"import sys\nfrom tests.e2e.scripted_app import main\nsys.exit({started})\n"


def write_replies(file: Path, replies: Sequence[Sequence[tuple[str, str]]]) -> Path:
    """Write replies into a file, each a list of pairs of a kind (`text`, `reasoning`, `error`) and a text; return the file."""
    file.write_text(json.dumps(replies))
    return file


def main(replies: str, piece_s: float) -> int:
    """Run the command line on an engine that says what stands in a file."""
    import tui.engine.local.engine
    from tui import cli

    os.environ["CHAT_TUI_MODEL_PROCESS"] = "false"
    said = json.loads(Path(replies).read_text("ascii")) if replies else _HELLO
    engine = NamedEngine([list(_steps(reply)) for reply in said], piece_s)
    tui.engine.local.engine.LocalEngine = lambda _cache: engine  # type: ignore[assignment, misc]
    return cli.main(sys.argv[1:])
