"""How the list of chats shows each chat and each match: the prompts of its options. No widgets."""

from __future__ import annotations

import time
from typing import Final

from rich.cells import cell_len
from textual.content import Content

from tui.chat.loader import short_name
from tui.sanitize import sanitize, sanitize_line
from tui.sessions import SearchHit, SessionSummary
from tui.widgets.columns import cut

_TITLE_LIMIT: Final = 120
_BETWEEN: Final = " · "
_LEAST: Final = 12
"""The least number of cells for the first words of a chat."""
_BEFORE_HIT: Final = 24
"""Characters of a snippet kept before its first match, so that the match is visible on a narrow screen."""


def chat_row(
    summary: SessionSummary, width: int, *, is_current: bool, has_draft: bool = False
) -> Content:
    """Return two lines: the title; and date, draft, tags, size, model and first words, or what is wrong with the file. Facts that don't
    fit `width` cells are left out whole, except for the first words, which may be cut.
    """
    title = sanitize_line(summary.title, _TITLE_LIMIT) or "(untitled)"
    first = Content.assemble(
        ("●" if is_current else " ", "$text-success"),
        ("★" if summary.pinned else " ", "$text-warning"),
        " ",
        (title, "bold"),
    )
    if summary.problem:
        return Content.assemble(
            first, "\n   ", (f"! {sanitize_line(summary.problem)}", "$text-error")
        )
    turns = f"{summary.turns} turn{'' if summary.turns == 1 else 's'}"
    tags = " ".join(f"#{sanitize_line(tag)}" for tag in summary.tags)
    when = date_text(summary.updated_at)
    draft = "draft" if has_draft else ""
    room = width - 3 - sum(cell_len(one) + len(_BETWEEN) for one in (when, draft, tags) if one)
    kept: list[str] = []
    for part in filter(None, (turns, short_name(sanitize_line(summary.model)))):
        room -= cell_len(part) + len(_BETWEEN)
        if room + len(_BETWEEN) >= 0:
            kept.append(part)
    words = sanitize_line(summary.first_words)
    if words and words != title and not words.startswith(title.rstrip("…")) and room >= _LEAST:
        kept.append(cut(words, room))
    facts = _BETWEEN.join(kept)
    return Content.assemble(
        first,
        ("\n   " + (f"{when} · " if when else ""), "$text-muted"),
        (draft, "$text-warning"),
        (_BETWEEN if draft and (tags or facts) else "", "$text-muted"),
        (tags, "$text-accent"),
        (f" · {facts}" if tags and facts else facts, "$text-muted"),
    )


def hit_row(hit: SearchHit, *, is_old: bool) -> Content:
    """Return two lines: the chat's title and date; the text around the match, with the words highlighted.

    Args:
        is_old: whether the search words have changed since.
    """
    title = sanitize_line(hit.title, _TITLE_LIMIT) or "(untitled)"
    text, matches = snippet(hit)
    found = Content(text)
    if not is_old:
        for start, end in matches:
            found = found.stylize("bold $text-warning", start, end)
    when = date_text(hit.updated_at)
    return Content.assemble(
        "   ", title, (f" · {when}" if when else "", "$text-muted"), "\n   ", found
    )


def snippet(hit: SearchHit) -> tuple[str, tuple[tuple[int, int], ...]]:
    """Return a match's text, starting shortly before its first word, and the positions of the words in it."""
    text = sanitize(hit.snippet).replace("\n", " ").replace("\t", " ")
    cut = hit.matches[0][0] - _BEFORE_HIT if hit.matches else 0
    if cut <= 0:
        return text, hit.matches
    space = text.find(" ", cut, hit.matches[0][0])
    cut = space + 1 if space >= 0 else cut
    moved = tuple((start - cut + 1, end - cut + 1) for start, end in hit.matches)
    return "…" + text[cut:], moved


def date_text(at: float) -> str:
    """Return a Unix time as a time of today or a date; empty if unknown."""
    if not at:
        return ""
    try:
        then, today = time.localtime(at), time.localtime()
    except (OverflowError, ValueError, OSError):
        return ""
    if then[:3] == today[:3]:
        return time.strftime("today %H:%M", then)
    return time.strftime("%Y-%m-%d %H:%M" if then[0] == today[0] else "%Y-%m-%d", then)
