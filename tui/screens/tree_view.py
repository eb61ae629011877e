"""The dialog that shows every branch of a chat, to jump to any turn."""

from __future__ import annotations

import re
from typing import Final

from textual import on
from textual.app import ComposeResult
from textual.containers import Horizontal, Vertical
from textual.content import Content
from textual.widgets import Label

from tui.conversation import ASSISTANT, USER, Conversation
from tui.sanitize import sanitize_line
from tui.scopes import Scope
from tui.screens.branch_map import branch_from
from tui.screens.dialog import Hint, KeyHints
from tui.screens.reading_dialog import ReadingDialog
from tui.screens.turn_tree import GLYPHS, OTHER_GLYPH, TurnTree
from tui.widgets.long_text import LongText

PREVIEW_WIDTH: Final = 120
"""The least width of the screen, in cells, for a preview of the highlighted branch."""
_SHARE: Final = 0.94
_LEAST: Final = 8
_LEAST_BESIDE: Final = 16
"""The least height of the map in lines, without and with the preview."""
_MOST_TURNS: Final = 8
_MOST_CHARACTERS: Final = 2_000
_NAMES: Final = {USER: "You", ASSISTANT: "Assistant"}
_HEADING: Final = re.compile(r"^[❯●◆] (?:You|Assistant)$", re.MULTILINE)


class TreeView(ReadingDialog[str]):
    """Returns the ID of the turn to jump to, or None."""

    PLACE = Scope.TREE
    HORIZONTAL_BREAKPOINTS = [(0, "-slim"), (72, "-wide"), (PREVIEW_WIDTH, "-roomy")]  # noqa: RUF012 - Textual's declaration
    CSS = """
    TreeView {
        & > #dialog { width: 110; height: auto; }
        & #map { height: 8; margin: 1 0; }
        &.-short #map { margin: 0; }
        & TurnTree { width: 1fr; height: 1fr; }
        & LongText { display: none; width: 2fr; height: 1fr; margin-left: 1; padding: 0 1; border-left: solid $border; background: $surface; }
        &.-roomy > #dialog { width: 200; }
        &.-roomy TurnTree { width: 3fr; }
        &.-roomy LongText { display: block; }
    }
    """

    def __init__(self, conversation: Conversation, cursor: str | None = None) -> None:
        """Create the dialog.

        Args:
            conversation: the chat to show.
            cursor: the turn to start at; None for the last turn of the active path.
        """
        super().__init__()
        self._conversation = conversation
        self._cursor = cursor

    def compose(self) -> ComposeResult:
        """Lay out the tree and the keys."""
        count = len(self._conversation.turns)
        leaves = sum(
            not self._conversation.children(turn_id) for turn_id in self._conversation.turns
        )
        facts = f"  {count:,} turn{'' if count == 1 else 's'}"
        if leaves > 1:
            # Other places say how many turns the open branch has.
            facts += f" in {leaves:,} branches, {len(self._conversation.path):,} in the current one"
        title = sanitize_line(self._conversation.title, 60) or "Branches"
        with Vertical(id="dialog"):
            yield Label(
                Content.assemble((title, "bold"), (facts, "not bold $text-muted")), classes="title"
            )
            with Horizontal(id="map"):
                yield TurnTree(self._conversation, self._cursor)
                yield LongText(mark=_HEADING)
            yield KeyHints(
                [
                    Hint("Enter", "go there", "jump"),
                    Hint("tree.next_branch/tree.previous_branch", "variants", "next_branch"),
                    Hint("tree.fold/tree.unfold", "fold/unfold", "fold"),
                    Hint("Esc", "close", "close"),
                ]
            )

    def on_resize(self) -> None:
        """Keep within the screen."""
        self.call_after_refresh(self._make_room)

    def _make_room(self) -> None:
        """Fit the height to the whole map, within the screen. Folding doesn't change it."""
        if self.app.has_class("-plain"):
            self.query_one("#map").styles.height = "1fr"
            return
        around = sum(
            one.outer_size.height + one.styles.margin.height
            for one in self.query_one("#dialog").children
            if one.id != "map"
        )
        frame = self.query_one("#dialog").gutter.height + (0 if self.has_class("-short") else 2)
        most = int(self.size.height * self._share) - frame - around
        least = _LEAST_BESIDE if self.has_class("-roomy") else _LEAST
        self.query_one("#map").styles.height = max(
            3, min(max(least, self.query_one(TurnTree).most_rows), most)
        )

    @property
    def _share(self) -> float:
        """The largest share of the screen's height that the frame takes."""
        return 1.0 if self.has_class("-short") else _SHARE

    def action_jump(self) -> None:
        """Return the ID of the highlighted turn."""
        self.query_one(TurnTree).action_choose()

    def action_next_branch(self) -> None:
        """Go to the next turn with more than one variant."""
        self.query_one(TurnTree).action_branch(1)

    def action_fold(self) -> None:
        """Fold or unfold what hangs on the turn."""
        self.query_one(TurnTree).action_fold()

    @on(TurnTree.Highlighted)
    def _highlighted(self, event: TurnTree.Highlighted) -> None:
        event.stop()
        self.query_one(LongText).set_text(preview(self._conversation, event.turn_id))

    @on(TurnTree.Chosen)
    def _chosen(self, event: TurnTree.Chosen) -> None:
        event.stop()
        self.dismiss(event.turn_id)


def preview(conversation: Conversation, turn_id: str) -> str:
    """Return the start of a turn's text, and of the turns that follow it."""
    parts = []
    for turn in branch_from(conversation, turn_id, _MOST_TURNS):
        name = _NAMES.get(turn.role, turn.role.capitalize())
        said = turn.gist or turn.error or "(empty)"
        cut = said[:_MOST_CHARACTERS].rstrip() + "…" if len(said) > _MOST_CHARACTERS else said
        parts.append(f"{GLYPHS.get(turn.role, OTHER_GLYPH)} {name}\n{cut}")
    return "\n\n".join(parts)
