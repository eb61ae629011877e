"""The question before a download: its size, and the free disk space. Asked by the picker and by `/model`."""

from __future__ import annotations

from tui.chat.ui import Answer
from tui.engine.hub.hub import DownloadPlan
from tui.sanitize import sanitize_line
from tui.screens.ask import Ask
from tui.widgets.figures import bytes_text

LOAD = "load"
GET = "get"
"""The answers that start a download: with and without loading the model afterwards."""


def question(plan: DownloadPlan) -> Ask:
    """Return the dialog. It answers `LOAD`, `GET`, or anything else for no."""
    here = plan.total_bytes - plan.missing_bytes
    parts = [f"{bytes_text(plan.missing_bytes)} to download"]
    if here:
        parts.append(f"{bytes_text(here)} is on this machine already")
    parts.append(f"{bytes_text(plan.free_bytes)} is free on the disk")
    text = "; ".join(parts) + ". You can keep chatting in the meantime."
    answers = (
        Answer(LOAD, "Download and load", "l", "primary"),
        Answer(GET, "Download only", "d"),
        Answer("no", "Cancel", "n", is_escape=True),
    )
    return Ask(f"Download {sanitize_line(plan.repo_id)}?", text, answers)


def no_room(plan: DownloadPlan) -> str:
    """Return why a download can't start, and what to do."""
    return (
        f"{plan.repo_id} takes {bytes_text(plan.missing_bytes)}, but only {bytes_text(plan.free_bytes)} is free on the "
        "disk of the Hugging Face cache. Free some space there, or set HF_HOME to another disk."
    )
