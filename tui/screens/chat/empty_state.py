"""What a chat without turns shows: the app's logo, the model, suggestions, and how things work."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Final

from textual.content import Content
from textual.geometry import Size
from textual.style import Style

from tui.chat.core import Core
from tui.engine.base import ModelInfo
from tui.parameters import parameter
from tui.sanitize import sanitize, sanitize_line
from tui.screens.chat.drafts_elsewhere import DraftsElsewhere
from tui.settings.examples import STARTERS
from tui.settings.schema import GENERATION
from tui.widgets.columns import cut
from tui.widgets.defaults import Defaults
from tui.widgets.figures import bar_text, bytes_text, count_text

MARK: Final = (
    "┏━╸╻ ╻┏━┓╺┳╸   ╺┳╸╻ ╻╻",
    "┃  ┣━┫┣━┫ ┃ ╺━╸ ┃ ┃ ┃┃",
    "┗━╸╹ ╹╹ ╹ ╹     ╹ ┗━┛╹",
)
NO_MODEL: Final = "No model is loaded."
_COLUMN: Final = 64
"""Cells of the block, whatever is in it, so that the logo keeps its place. The suggestions fit."""
_LINES: Final = 13
"""Lines of the block where it has no more, for the same reason."""
_BAR: Final = 24
_BETWEEN: Final = " · "
_WIDE: Final = 60
"""The least width, in cells, for suggestions and the model's figures in one line."""
_WIDEST: Final = 90
"""The longest line about drafts, in cells."""
_SHORTEST_TITLE: Final = 12
"""Cells that a chat's title has at least."""
_TALL: Final = 14
"""The least height, in lines, for the logo."""


class EmptyState:
    """Builds the content of an empty chat each time it is painted."""

    def __init__(
        self,
        core: Core,
        drafts: DraftsElsewhere,
        *,
        keys: Callable[[str], str],
        has_tour: bool,
        draws: Callable[[], bool],
    ) -> None:
        """Create it.

        Args:
            core: owns the chat.
            drafts: knows which other chats hold a draft.
            keys: returns the name of an action's key; empty if it has none.
            has_tour: whether to show an introduction at the first start.
            draws: whether the terminal can show line and block characters.
        """
        self._core = core
        self.drafts = drafts
        self._keys = keys
        self._has_tour = has_tour
        self._draws = draws

    def __call__(self, size: Size) -> Content:
        """Return the content for an area of `size` cells. The caller crops the lines to it."""
        blocks = [self._state(size), self._inherited(size), self._drafts(size)]
        if self._core.loader.ready and size.width >= _WIDE:
            blocks.append(self._suggestions())
        if self._says_how:
            blocks.append(self._how())
        blocks = [block for block in blocks if block]
        needed = sum(len(block) + 1 for block in blocks)
        if needed - 1 > size.height:
            # Without blank lines, everything is in sight on a low screen.
            blocks = [[line for block in blocks for line in block]]
        if size.height >= max(_TALL, needed + len(MARK)) and self._draws():
            blocks.insert(0, [Content.styled(line, "$primary") for line in MARK])
        lines = [line for block in blocks for line in (*block, Content(""))][:-1]
        # The last line is never blank, because blank lines at the end would not count.
        lines += [Content("")] * (min(_LINES, size.height) - len(lines))
        lines = (
            [line.pad_right(_COLUMN - line.cell_length) for line in lines]
            if size.width >= _COLUMN
            else lines
        )
        return Content("\n").join(lines[: max(1, size.height)])

    def begun(self) -> None:
        """Remember that the introduction has been shown."""
        settings = self._core.settings
        if self._has_tour and self._core.loader.ready and not settings.state.toured:
            settings.remember(toured=True)

    # -- the model

    def _state(self, size: Size) -> list[Content]:
        loader = self._core.loader
        if loader.loading:
            return self._loading()
        info = loader.info
        if info is None:
            failure = loader.failure
            said = [sanitize_line(f"{failure.message} {failure.hint}", 400)] if failure else []
            key = self._keys("model.choose")
            choose = f"Press {key} to choose one." if key else "Type /model to choose one."
            return [*map(Content, said), Content(f"{NO_MODEL} {choose}")]
        where = f" on {sanitize_line(info.server, 40)}" if info.server else ""
        return [
            Content.assemble(("Ready", "bold"), where),
            *(
                Content.styled(line, "$text-muted")
                for line in _in_lines(self._facts(info), size.width)
            ),
        ]

    def _loading(self) -> list[Content]:
        loader, progress = self._core.loader, self._core.loader.progress
        lines = [Content.assemble("Loading ", (sanitize_line(loader.name, 60), "bold"), "…")]
        if progress is not None:
            stage = sanitize_line(progress.stage, 60)
            if progress.total:
                share = progress.done / progress.total
                lines.append(Content.styled(f"{bar_text(share, _BAR)} {share:.0%}", "$text-accent"))
            lines.append(Content.styled(stage, "$text-muted"))
        lines.append(Content.styled("You can start typing.", "$text-muted"))
        return lines

    def _facts(self, info: ModelInfo) -> list[str]:
        """Return what the status bar doesn't say of a model: size, memory, and speed on this machine."""
        known = [f"{count_text(info.parameters)} parameters"] if info.parameters else []
        measured: Mapping[str, tuple[int, float]] = self._core.measuring.figures(info.model)
        weight, speed = measured.get(info.quantization, (0, 0.0))
        if taken := weight or info.weights_bytes:
            known.append(bytes_text(taken))
        if speed:
            known.append(f"{speed:.0f} tok/s here")
        return [sanitize_line(one, 60) for one in known]

    # -- what to do

    def _suggestions(self) -> list[Content]:
        lines = []
        for number, text in enumerate(STARTERS, 1):
            action = f"composer.suggestion_{number}"
            line = Content.assemble((self._keys(action).ljust(7), "bold $text-accent"), text)
            lines.append(line.stylize(Style.from_meta({"@click": f"screen.do('{action}')"})))
        return lines

    @property
    def _says_how(self) -> bool:
        """Whether to show how things work: while a model is loading, and at the very first start."""
        return self._core.loader.loading or (self._has_tour and self._core.loader.ready)

    def _how(self) -> list[Content]:
        keys = self._keys
        rows = ((("reply.stop", "stop a reply"), ("turn.previous", "edit or regenerate a turn")),)
        lines = []
        for row in rows:
            known = [(keys(action), text) for action, text in row]
            parts = [
                Content.assemble((key, "bold"), (f" {text}", "$text-muted"))
                for key, text in known
                if key
            ]
            lines.append(Content("   ").join(parts))
        return lines

    def _inherited(self, size: Size) -> list[Content]:
        """Return what a new chat keeps from before, and how to reset it; empty if nothing is kept."""
        settings = self._core.settings
        defaults = Defaults.of(self._core.loader.info)
        prompt = sanitize(settings.system_prompt).replace("\n", " ")
        is_kept = prompt.strip() and self._is_from_before("chat.system_prompt")
        parts = [f"system prompt “{sanitize_line(prompt, 60)}”"] if is_kept else []
        parts += [
            f"{parameter(name).label.lower()} {sanitize_line(parameter(name).shown(value), 40)}"
            for name, value in settings.parameters.items()
            if defaults.differs(parameter(name), value)
            and self._is_from_before(f"{GENERATION}{name}")
        ]
        if not parts:
            return []
        lines = [
            Content.styled(f"Remembered from last time: {', '.join(parts)}.", "$text-warning"),
            Content.assemble(("/reset", "bold"), (" restores the defaults.", "$text-muted")),
        ]
        together = Content(" ").join(lines)
        return [together] if together.cell_length <= size.width else lines

    def _drafts(self, size: Size) -> list[Content]:
        """Return a line about drafts in other chats; empty without any."""
        others, key = self.drafts.count - 1, self._keys("chat.open")
        if others < 0:
            return []
        more = f" and {others} other chat{'' if others == 1 else 's'}" if others else ""
        said = f"{more} {'have drafts' if others else 'has a draft'}."
        way = f"{key or '/open'} lists the chats."
        room = min(size.width, _WIDEST) - Content(f"“”{said} {way}").cell_length
        title = cut(self.drafts.title, max(_SHORTEST_TITLE, room))
        return [
            Content.assemble(
                (f"“{title}”{said} ", "$text-warning"),
                (key or "/open", "bold"),
                (" lists the chats.", "$text-muted"),
            )
        ]

    def _is_from_before(self, key: str) -> bool:
        """Return whether a value was set in the app, before this chat."""
        settings = self._core.settings
        return settings.is_inherited(key) and not settings.is_said(key)


def _in_lines(facts: Sequence[str], width: int) -> list[str]:
    """Return the facts joined into lines, with as many in each line as fit."""
    lines: list[str] = []
    for fact in facts:
        together = f"{lines[-1]}{_BETWEEN}{fact}" if lines else fact
        if lines and Content(together).cell_length <= width:
            lines[-1] = together
        else:
            lines.append(fact)
    return lines
