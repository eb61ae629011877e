"""The lines of a turn that are not its text: the speaker, the head of the reasoning, how it ended."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from rich.cells import cell_len
from textual.selection import Selection

from tui.conversation import ASSISTANT, SYSTEM, USER, Status
from tui.sanitize import sanitize_line
from tui.widgets.markdown.document import Lines
from tui.widgets.markdown.lines import Line, Span, clipped_spans, copied_text, wrap
from tui.widgets.other_parts import Rows
from tui.widgets.shown_turn import ShownTurn

_LABELS: Final = {USER: "You", ASSISTANT: "Assistant", SYSTEM: "System", "tool": "Tool"}
_SILENT: Final = "The model returned an empty reply."
_KEPT: Final = " What was written is kept."
_ENDINGS: Final = {
    Status.STOPPED: ("status-quiet", "■ Stopped by you."),
    Status.TRUNCATED: (
        "status-warning",
        "… Cut off: the limit of new tokens or the end of the context was reached.",
    ),
    Status.INTERRUPTED: (
        "status-warning",
        "⚠ Interrupted: the app closed while this was being written.",
    ),
}


def head_line(turn: ShownTurn, width: int, caption: str, *, is_degraded: bool) -> Line:
    """Return the line above a turn: the speaker on the left, `caption` on the right.

    Args:
        turn: the turn below the line.
        width: the width in cells.
        caption: quiet facts about the turn.
        is_degraded: whether part of it is shown unformatted, because it was too heavy for Markdown.
    """
    kind = turn.role if turn.role in (USER, ASSISTANT) else "other"
    label = (
        sanitize_line(turn.speaker, 24)
        or _LABELS.get(turn.role)
        or sanitize_line(turn.role, 24).capitalize()
        or "Unknown"
    )
    spans = [Span(label, f"label-{kind}")]
    if turn.variants > 1:
        spans.append(Span("  "))
        spans.append(Span(f"‹ {turn.variant}/{turn.variants} ›", "variants"))
    if turn.change:
        spans.append(Span(f"  ⇄ {sanitize_line(turn.change, 60)}", "status-warning"))
    if not turn.in_context:
        spans.append(Span("  left out of the context", "status-quiet"))
    if is_degraded:
        spans.append(Span("  ⚠ partly unformatted", "status-warning"))
    used = sum(cell_len(span.text) for span in spans)
    quiet = clipped_spans([Span(sanitize_line(caption), "caption")], width - used - 2)
    taken = sum(cell_len(span.text) for span in quiet)
    if taken > 1:
        spans.append(Span(" " * (width - used - taken)))
        spans.extend(quiet)
    return Line(tuple(spans))


def thought_head(turn: ShownTurn, *, has_answer: bool, is_open: bool) -> Line:
    """Return the line that folds and unfolds the reasoning."""
    caption = sanitize_line(turn.reasoning_caption)
    if not caption:
        live = turn.status == Status.STREAMING and not has_answer
        caption = "thinking…" if live else "thought"
    caption = caption[:1].upper() + caption[1:]
    return Line((Span(("▾ " if is_open else "▸ ") + caption, "thought"),))


def wordless_lines(turn: ShownTurn, width: int) -> Sequence[Line]:
    """Return the lines shown instead of an empty text."""
    if turn.status == Status.STREAMING:
        return [Line((Span("…", "status-quiet"),))]
    is_silent = turn.role == ASSISTANT and turn.status == Status.COMPLETE
    if is_silent and not turn.parts:
        return wrap([Span(_SILENT, "status-quiet")], width)
    return []


def ending_lines(turn: ShownTurn, width: int) -> Sequence[Line]:
    """Return the lines below a turn that did not end normally."""
    if turn.status == Status.FAILED:
        reason = sanitize_line(turn.error)
        text = f"✕ Failed: {reason}" if reason else "✕ Failed."
        return wrap([Span(text, "status-error")], width)
    if turn.status in _ENDINGS:
        style, text = _ENDINGS[turn.status]
        kept = _KEPT if turn.text or turn.reasoning else ""
        reason = sanitize_line(turn.error)
        if turn.status is Status.TRUNCATED and reason:
            text = f"… Cut off: {reason}"
        elif turn.status is Status.INTERRUPTED and reason:
            text = f"⚠ Interrupted: {reason}{kept}"
        elif turn.status is Status.STOPPED:
            text = f"■ Stopped: {reason}{kept}" if reason else f"{text}{kept}"
        return wrap([Span(text, style)], width)
    return []


def changed_rows(old: Sequence[Rows], new: Sequence[Rows]) -> Sequence[range] | None:
    """Return the rows of a turn that differ between two layouts of the same height; None if their parts differ."""
    if [(part.name, len(part.lines)) for part in old] != [
        (part.name, len(part.lines)) for part in new
    ]:
        return None
    found = []
    row = 0
    for before, after in zip(old, new, strict=True):
        changed = _changed_range(before.lines, after.lines)
        if changed is not None:
            found.append(range(row + changed[0], row + changed[1] + 1))
        row += len(after.lines)
    return found


def _changed_range(old: Sequence[Line], new: Sequence[Line]) -> tuple[int, int] | None:
    """Return the first and last of the rows that differ between two lists of the same length."""
    start = new.first_change(old) if isinstance(new, Lines) else 0
    changed = [n for n in range(start, len(new)) if old[n] is not new[n] and old[n] != new[n]]
    return (changed[0], changed[-1]) if changed else None


def selected_text(parts: Sequence[Rows], selection: Selection) -> str:
    """Return the text to copy from a turn: only the name from its first row, and everything else as it was written."""
    lines = [line for part in parts for line in part.lines]
    if not lines:
        return ""
    lines[0] = Line(lines[0].spans[:1])
    start_y, start_x = selection.start.transpose if selection.start is not None else (0, 0)
    if selection.end is None:
        return copied_text(lines, start_y, len(lines) - 1, start_x, None)
    end_y, end_x = selection.end.transpose
    return copied_text(lines, start_y, end_y, start_x, end_x)
