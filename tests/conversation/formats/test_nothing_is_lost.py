"""Whatever is done to a file of any format: what was said in it is there, or its loss is counted, or the file is refused."""

from __future__ import annotations

import copy
import json
import random
from functools import cache
from itertools import count
from pathlib import Path
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.conversation.formats.test_broken_files import HOSTILE
from tests.conversation.formats.test_examples import EXAMPLES, FORMAT_OF
from tui.conversation.formats import ChatFormatError, Imported, import_text

# Our own file has a codec, and tests of it.
NAMES = sorted(name for name, known in FORMAT_OF.items() if known != "chat-tui")
TEXT_KEYS = ("content", "text", "value", "mes", "thinking", "reasoning_content", "reasoningContent",
             "parts", "swipes", "internal", "data", "prompt", "actions", "completion", "chosen", "rejected", "message",
             "thinking_trace", "think")  # fmt: skip


def marked(document: Any) -> Any:
    """Return a document in which each text that a format knows is a word of its own."""
    words = count()

    def mark(value: Any, *, is_text: bool) -> Any:
        if isinstance(value, str):
            return f"w{next(words)}q" if is_text and value.strip() else value
        if isinstance(value, list):
            return [mark(one, is_text=is_text) for one in value]
        if isinstance(value, dict):
            # Settings have values too, which are no texts of a chat.
            is_setting = "key" in value
            return {
                key: mark(one, is_text=key in TEXT_KEYS and not is_setting)
                for key, one in value.items()
            }
        return value

    return mark(document, is_text=False)


def texts_of(value: Any) -> set[str]:
    """Return the marked words in the places where a format looks for them."""
    found: set[str] = set()

    def look(inner: Any, *, is_text: bool) -> None:
        if isinstance(inner, str) and is_text and inner.startswith("w") and inner.endswith("q"):
            found.add(inner)
        elif isinstance(inner, list):
            for one in inner:
                look(one, is_text=is_text)
        elif isinstance(inner, dict):
            for key, one in inner.items():
                look(one, is_text=key in TEXT_KEYS)

    look(value, is_text=False)
    return found


def written(name: str, document: Any) -> bytes:
    if name.endswith(".jsonl") and isinstance(document, list):
        return "\n".join(map(json.dumps, document)).encode()
    return json.dumps(document).encode()


def document_of(name: str) -> Any:
    text = Path(EXAMPLES / name).read_text(encoding="utf-8")
    lines = [line for line in text.split("\n") if line.strip()]
    return marked(
        [json.loads(line) for line in lines] if name.endswith(".jsonl") else json.loads(text)
    )


def wrapped(text: Any, rng: random.Random) -> Any:
    """Return a text in one of the wrappings that tools use."""
    ways = (
        lambda: [text],
        lambda: {"value": text},
        lambda: {"type": "text", "text": text},
        lambda: [{"type": "output_text", "text": {"value": text, "annotations": []}}],
        lambda: {"parts": [text], "content_type": "text"},
        lambda: {"type": "hologram", "content": text},
    )
    return rng.choice(ways)()


def damaged(document: Any, rng: random.Random) -> Any:
    """Return the document with a few values replaced, taken out, doubled, or wrapped otherwise."""
    for _ in range(rng.randint(1, 3)):
        places: list[tuple[Any, Any]] = []
        pending = [document]
        while pending:
            holder = pending.pop()
            keys = list(holder) if isinstance(holder, dict) else range(len(holder))
            places += [(holder, key) for key in keys]
            pending += [holder[key] for key in keys if isinstance(holder[key], dict | list)]
        if not places:
            return document
        holder, key = rng.choice(places)
        kind = rng.randrange(5)
        if kind == 0:
            holder[key] = copy.deepcopy(rng.choice(HOSTILE))
        elif kind == 1:
            del holder[key]
        elif kind == 2 and isinstance(holder, list):
            holder.insert(rng.randrange(len(holder)), copy.deepcopy(holder[key]))
        elif kind == 3 and key in TEXT_KEYS and isinstance(holder[key], str):
            holder[key] = wrapped(holder[key], rng)
        elif isinstance(holder, dict):
            name = rng.choice(["id", "parent", "parentId", "role", "type", "children"])
            holder[name] = copy.deepcopy(rng.choice(HOSTILE))
    return document


def missing_in(imported: Imported, document: Any) -> set[str]:
    said = " ".join(
        part
        for chat in imported.conversations
        for part in (chat.system_prompt, *(f"{t.text} {t.reasoning}" for t in chat.turns.values()))
    )
    return {word for word in texts_of(document) if word not in said}


@cache
def before(name: str) -> tuple[frozenset[str], tuple[str, ...]]:
    document = document_of(name)
    imported = import_text(written(name, document))
    return frozenset(missing_in(imported, document)), imported.problems


@given(st.sampled_from(NAMES), st.randoms(use_true_random=False))
@settings(deadline=None, max_examples=300)
def test_a_text_is_there_or_its_loss_is_counted_or_the_file_is_refused(name, rng):
    document = damaged(document_of(name), rng)
    try:
        imported = import_text(written(name, document))
    except ChatFormatError:
        return
    missing, problems = before(name)
    if lost := missing_in(imported, document) - missing:
        assert imported.problems != problems, (lost, json.dumps(document))
    if imported.format.name not in ("chat-tui", "transformers"):
        assert not any(
            turn.is_empty for chat in imported.conversations for turn in chat.turns.values()
        )
