"""The dialog that shows every branch of a chat, to jump to any turn.

A run of turns stands on one level, however long it is: from where it begins, along the active path or else along its longest
way down. Only the other variants that it passes are indented, each with the run that begins with it. So the depth of what
is drawn grows with the logarithm of the number of turns at most.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar, Final

from rich.style import Style
from rich.text import Text
from textual import on
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.widgets import Label, Tree
from textual.widgets.tree import TreeNode

from tui.chat.loader import short_name
from tui.conversation import ASSISTANT, USER, Conversation, Status, Turn
from tui.sanitize import sanitize_line
from tui.scopes import Scope
from tui.screens.dialog import Dialog, Hint, KeyHints
from tui.screens.session_rows import date_text
from tui.widgets.bindings import bindings

_GLYPHS: Final = {USER: "❯", ASSISTANT: "●"}
_ENDINGS: Final = {
    Status.STREAMING: "being written",
    Status.STOPPED: "stopped",
    Status.TRUNCATED: "cut off",
    Status.FAILED: "failed",
    Status.INTERRUPTED: "interrupted",
}
_WORDS_LIMIT: Final = 300
_FACTS_SHARE: Final = 0.5
"""Of a row's width, at most; what a turn says is more telling than its facts."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where a turn stands in the drawing: below which other one; None for the top level."""

    turn_id: str
    host: str | None


def places(conversation: Conversation) -> Iterator[Place]:
    """Yield every turn once, in the order in which they are drawn below the same host; a host comes before what it holds."""
    sizes = _sizes(conversation)
    active = {turn.id for turn in conversation.path}
    runs: list[str | None] = [None]
    while runs:
        head = runs.pop()
        at = head
        while children := conversation.children(at):
            on_way = [turn for turn in children if turn.id in active]
            follower = on_way[0] if on_way else max(children, key=lambda turn: sizes[turn.id])
            if at is None:
                # Nothing is passed here that could hold them: they stand before the run, whose turns follow one another.
                others = [turn.id for turn in children if turn.id != follower.id]
                runs += others
                yield from (Place(turn_id, None) for turn_id in (*others, follower.id))
                at = follower.id
                continue
            for turn in children:
                if turn.id != follower.id:
                    yield Place(turn.id, at)
                    runs.append(turn.id)
            yield Place(follower.id, head)
            at = follower.id


def _sizes(conversation: Conversation) -> dict[str, int]:
    """Return how many turns each turn has from itself downwards."""
    first = conversation.children(None)
    order = [turn.id for head in first for turn in (head, *conversation.descendants(head.id))]
    sizes = dict.fromkeys(order, 1)
    for turn_id in reversed(order):
        parent = conversation.turns[turn_id].parent
        if parent is not None:
            sizes[parent] += sizes[turn_id]
    return sizes


class TurnTree(Tree[str]):
    """Draws the turns; a row is made when it comes into sight."""

    COMPONENT_CLASSES: ClassVar[set[str]] = {
        "turn-tree--active",
        "turn-tree--other",
        "turn-tree--fact",
        "turn-tree--problem",
    }
    BINDINGS: ClassVar[list[BindingType]] = bindings(
        Scope.TREE,
        does={
            "tree.next_branch": "branch(1)",
            "tree.previous_branch": "branch(-1)",
            "tree.fold": "shut",
            "tree.unfold": "open",
        },
    )
    DEFAULT_CSS = """
    TurnTree {
        background: $surface; overflow-x: hidden;
        & > .turn-tree--active { color: $foreground; text-style: bold; }
        & > .turn-tree--other { color: $text-muted; }
        & > .turn-tree--fact { color: $text-muted; }
        & > .turn-tree--problem { color: $text-warning; }
        & > .tree--cursor, &:focus > .tree--cursor { color: $foreground; background: $primary 40%; text-style: none; }
        & > .tree--guides, & > .tree--guides-selected, & > .tree--guides-hover { color: $border; text-style: none; }
        &:focus { background-tint: $foreground 0%; }
    }
    """

    def __init__(self, conversation: Conversation, cursor: str | None) -> None:
        super().__init__("", id="turns")
        self.show_root = False
        self.auto_expand = False
        self.guide_depth = 3
        self._conversation = conversation
        self._active = frozenset(turn.id for turn in conversation.path)
        leaf = conversation.leaf
        self._wanted = cursor or (leaf.id if leaf is not None else None)
        self._by_turn: dict[str, TreeNode[str]] = {}

    def on_mount(self) -> None:
        """Make the nodes, without their texts."""
        for place in places(self._conversation):
            host = self.root if place.host is None else self._by_turn[place.host]
            host.allow_expand = True
            node = host.add(Text(), place.turn_id, expand=True, allow_expand=False)
            self._by_turn[place.turn_id] = node
        self.root.expand()
        self.call_after_refresh(self._go_to_wanted)

    def _go_to_wanted(self) -> None:
        node = self._by_turn.get(self._wanted or "")
        if node is not None:
            self.move_cursor(node)
            self.scroll_to_node(node, animate=False)

    # -- moving

    def action_shut(self) -> None:
        """Fold what hangs on the turn, else go to the turn that it hangs on."""
        node = self.cursor_node
        if node is None:
            return
        if node.allow_expand and node.is_expanded:
            node.collapse()
        elif node.parent is not None and node.parent is not self.root:
            self.move_cursor(node.parent)

    def action_open(self) -> None:
        """Unfold what hangs on the turn."""
        if self.cursor_node is not None and self.cursor_node.allow_expand:
            self.cursor_node.expand()

    def action_branch(self, step: int) -> None:
        """Go to the next turn, or the one before, that has other variants."""
        line = self.cursor_line + step
        while 0 <= line <= self.last_line:
            node = self.get_node_at_line(line)
            if node is not None and self._has_variants(node):
                self.cursor_line = line
                return
            line += step

    def _has_variants(self, node: TreeNode[str]) -> bool:
        return len(self._conversation.variants(node.data or "")) > 1

    # -- drawing

    def get_label_width(self, node: TreeNode[str]) -> int:
        """Return the room that a row has: it fills its line and is never wider."""
        depth = -1
        above = node.parent
        while above is not None and above is not self.root:
            depth += 1
            above = above.parent
        return max(8, self.scrollable_content_region.width - (depth + 1) * self.guide_depth)

    def render_label(self, node: TreeNode[str], base_style: Style, style: Style) -> Text:
        """Draw a turn: role and first words on the left, what is known of it on the right."""
        turn = self._conversation.turns[node.data or ""]
        width = self.get_label_width(node)
        is_cursor = node.line == self.cursor_line
        fold = "  "
        if node.allow_expand:
            fold = "▾ " if node.is_expanded else "▸ "
        problem = _ENDINGS.get(turn.status, "")
        facts = self._facts(turn, int(width * _FACTS_SHARE) - len(problem))
        between = " · " if facts and problem else ""
        words = Text(f"{_GLYPHS.get(turn.role, '◆')} {_words(turn)}")
        taken = len(fold) + 2 + Text(problem + between + facts).cell_len
        words.truncate(max(4, width - taken), overflow="ellipsis", pad=True)
        is_active = turn.id in self._active
        parts = (
            (fold, "turn-tree--fact"),
            (words.plain, "turn-tree--active" if is_active else "turn-tree--other"),
            ("  ", ""),
            (problem, "turn-tree--problem"),
            (between + facts, "turn-tree--fact"),
        )
        row = Text()
        for text, name in parts:
            look = self.get_component_rich_style(name, partial=True) if name else Style()
            row.append(text, style + Style(bold=look.bold) if is_cursor else base_style + look)
        if node.allow_expand:
            row.stylize(Style(meta={"toggle": True}), 0, len(fold))
        return row

    def _facts(self, turn: Turn, room: int) -> str:
        variants = [variant.id for variant in self._conversation.variants(turn.id)]
        parts = []
        if len(variants) > 1:
            parts.append(f"{variants.index(turn.id) + 1}/{len(variants)}")
        if turn.origin is not None:
            parts.append("edited")
        if turn.generation is not None:
            name = turn.generation.name or turn.generation.model
            parts.append(sanitize_line(short_name(name), 24))
        parts.append(date_text(turn.created_at).removeprefix("today "))
        shown = ""
        for part in filter(None, parts):
            longer = f"{shown} · {part}" if shown else part
            if len(longer) <= room:
                shown = longer
        return shown


def _words(turn: Turn) -> str:
    text = turn.gist or turn.reasoning or turn.error
    return sanitize_line(text[: _WORDS_LIMIT * 4], _WORDS_LIMIT) or "(nothing said)"


class TreeView(Dialog[str]):
    """Returns the id of the turn to jump to, or None."""

    PLACE = Scope.TREE
    CSS = """
    TreeView {
        & > #dialog { width: 110; height: 90%; }
        &.-short > #dialog { height: 100%; }
        & TurnTree { height: 1fr; margin: 1 0; }
        &.-short TurnTree { margin: 0; }
    }
    """

    def __init__(self, conversation: Conversation, cursor: str | None = None) -> None:
        """Make the dialog.

        Args:
            conversation: what to show.
            cursor: the turn to begin at; None for the last one of the active path.
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
            facts += f", {leaves:,} ends"
        title = sanitize_line(self._conversation.title, 60) or "Branches"
        with Vertical(id="dialog"):
            yield Label(
                Content.assemble((title, "bold"), (facts, "not bold $text-muted")), classes="title"
            )
            yield TurnTree(self._conversation, self._cursor)
            if not count:
                yield Label("Nothing has been said in this chat yet.", classes="note")
            yield KeyHints(
                [
                    Hint("Enter", "jump there", "jump"),
                    Hint(
                        "tree.next_branch/tree.previous_branch",
                        "next/previous variants",
                        "next_branch",
                    ),
                    Hint("tree.fold/tree.unfold", "fold/unfold", "fold"),
                    Hint("Esc", "close", "close"),
                ]
            )

    def action_jump(self) -> None:
        """Return the turn under the cursor."""
        node = self.query_one(TurnTree).cursor_node
        if node is not None and node.data is not None:
            self.dismiss(node.data)

    def action_next_branch(self) -> None:
        """Go to the next turn that has other variants."""
        self.query_one(TurnTree).action_branch(1)

    def action_fold(self) -> None:
        """Fold or unfold what hangs on the turn."""
        self.query_one(TurnTree).action_toggle_node()

    @on(Tree.NodeSelected)
    def _selected(self, event: Tree.NodeSelected[str]) -> None:
        event.stop()
        self.action_jump()
