"""The laid-out texts of a turn: answer, reasoning, source and files. Layouts are kept while a text grows."""

from __future__ import annotations

from tui.conversation import ASSISTANT, Status
from tui.widgets.markdown.document import LiveDocument
from tui.widgets.markdown.highlight import CodeColors
from tui.widgets.markdown.raw import RawText
from tui.widgets.other_parts import OtherParts
from tui.widgets.shown_turn import ShownTurn, ViewState


class TurnTexts:
    """The texts of one turn."""

    def __init__(self, turn: ShownTurn, colors: CodeColors) -> None:
        """Create them; `colors` colors the code."""
        self._colors = colors
        self._turn = turn
        self.body = self._answer(turn)
        self.thought = self._reasoning(turn)
        self.raw = RawText()
        self.others = OtherParts(colors)

    def _answer(self, turn: ShownTurn) -> LiveDocument:
        return LiveDocument(
            turn.text,
            verbatim=turn.role != ASSISTANT,
            finished=turn.status != Status.STREAMING,
            colors=self._colors,
        )

    def _reasoning(self, turn: ShownTurn) -> LiveDocument:
        finished = turn.status != Status.STREAMING
        return LiveDocument(turn.reasoning, finished=finished, colors=self._colors)

    @property
    def has_answer(self) -> bool:
        """Whether the answer contains anything but whitespace."""
        return bool(self.body.source) and not self.body.source.isspace()

    def append(self, text: str, reasoning: str) -> None:
        """Append text from the model."""
        if text:
            self.body.append(text)
        if reasoning:
            self.thought.append(reasoning)

    def update(self, turn: ShownTurn) -> None:
        """Use the texts of `turn`, keeping the layout of those that only continue."""
        finished = turn.status != Status.STREAMING
        if turn.role == self._turn.role and turn.text.startswith(self.body.source):
            self.body.append(turn.text[len(self.body.source) :])
            if finished:
                self.body.finish()
        else:
            self.body = self._answer(turn)
            self.raw = RawText()
        if turn.reasoning.startswith(self.thought.source):
            self.thought.append(turn.reasoning[len(self.thought.source) :])
            if finished:
                self.thought.finish()
        else:
            self.thought = self._reasoning(turn)
        if turn.parts != self._turn.parts:
            self.others.clear()
        self._turn = turn

    def documents(self, state: ViewState) -> dict[str, LiveDocument]:
        """Return the documents that may contain code, by the names of their rows."""
        shown = {"body": self.body, "thought": self.thought}
        return shown | self.others.documents(state.open_files)

    def is_waiting(self, state: ViewState, *, thought_is_open: bool) -> bool:
        """Return whether some visible text is not laid out yet."""
        body = self.raw if state.raw else self.body
        files = self.others.documents(state.open_files).values()
        return (
            body.is_waiting
            or (thought_is_open and self.thought.is_waiting)
            or any(file.is_waiting for file in files)
        )

    def clear(self) -> None:
        """Drop everything."""
        self.body = self.thought = LiveDocument()
        self.others.clear()
