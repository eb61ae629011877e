"""A model's chat template: its options, and rendering chats to text.

It is read and rendered in a helper process, see `template_program`: a template is a program of a stranger, and may never end or fill the
memory. What becomes token ids of the text is the prompt's business.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from tui.engine import template_files
from tui.engine.attempts import never
from tui.engine.base import GenerationError, IsCancelled, ModelLoadError, TemplateSwitch
from tui.engine.local.helper import Helper, HelperError, HelperNotStartedError

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

_log = logging.getLogger(__name__)

_PROGRAM: Final = Path(__file__).with_name("template_program.py")
_MEMORY_BYTES: Final = 1 << 30
_WITHIN_S: Final = 20.0
_PROBE_S: Final = 5.0
"""How long a template may take while its model is loaded; it is given some chats of a few words then."""
_TEXT_BYTES: Final = 64_000_000
"""A prompt of this length would be ten times as long as the longest context."""
_COMMAND: Final = re.compile(r"(?<![\w/<:.])/[A-Za-z][A-Za-z_]{2,30}(?![\w/>])")
_LATER: Final = "Close other programs and try again."
_OTHER: Final = "Use another model, or fix its chat template."


class TemplateRefusedError(Exception):
    """A template rejected a chat; the message is the template's own."""


class _StoppedError(GenerationError):
    """A template had to be stopped."""

    def __init__(self, reason: str) -> None:
        super().__init__(f"The model's chat template can't be used: {reason}.", _OTHER)
        self.reason = reason


class ChatTemplate:
    """The chat template of a tokenizer."""

    def __init__(self, tokenizer: PreTrainedTokenizerBase) -> None:
        """Read a template.

        Args:
            tokenizer: a transformers tokenizer that has a chat template.
        """
        self._helper = Helper(
            _PROGRAM, memory_bytes=_MEMORY_BYTES, within_s=_WITHIN_S, answer_bytes=_TEXT_BYTES
        )
        self._text = _text(tokenizer)
        special = getattr(tokenizer, "special_tokens_map", None) or {}
        self._special = {str(name): _plain(token) for name, token in special.items()}
        known = self._read()
        self.problem = str(known.get("problem", ""))
        """What is wrong with how it is written; empty when nothing is."""
        self.switches = tuple(
            TemplateSwitch(found["name"], tuple(found["choices"]), found["default"])
            for found in known.get("switches", ())
        )
        """What it lets the user choose, in the order of the names; none where it can't be read."""
        literals = str(known.get("literals", ""))
        self._control = _control_tokens(tokenizer, literals)
        self.commands = frozenset(_COMMAND.findall(literals))
        """What the user may type to switch something, as `/no_think`; it may be taken out of what was said."""

    def render(
        self,
        messages: Sequence[Mapping[str, Any]],
        cancelled: IsCancelled = never,
        *,
        fills_gaps: bool = False,
        **values: Any,
    ) -> list[str]:
        """Return the text that the template makes of a chat, in pieces: its own, and control tokens that were typed, in turn.

        Args:
            messages: as templates know them.
            cancelled: tells when the text is not wanted any more.
            fills_gaps: give it something empty for what it asks for and a chat does not have, as tools.
            values: further values that it is given by name.

        Raises:
            TemplateRefusedError: it does not take this chat.
            GenerationError: it can't be used: it is broken, takes too long or too much memory.
            Cancelled: `cancelled` returned True; it was stopped.
        """
        typed = {"messages": list(messages), **values}
        question = {"typed": typed, "fills_gaps": fills_gaps}
        said = self._ask(question, cancelled, _WITHIN_S)
        if "refused" in said:
            raise TemplateRefusedError(str(said["refused"]))
        return [str(piece) for piece in said["pieces"]]

    def try_out(self, trials: Sequence[Mapping[str, Any]]) -> list[tuple[str | None, str]]:
        """Return what the template makes of some very short chats: of each the text, or None and why it does not take it.

        One that has to be stopped counts as broken from then on.

        Args:
            trials: of each what it is given by name as `typed`, and `fills_gaps` as above.

        Raises:
            GenerationError: it can't be used, as above.
        """
        try:
            said = self._ask({"trials": list(trials)}, never, _PROBE_S)
        except _StoppedError as error:
            self.problem = error.reason
            raise
        return [
            (None, str(one["refused"])) if "refused" in one else ("".join(one["pieces"]), "")
            for one in said["trials"]
        ]

    def _ask(
        self, question: Mapping[str, Any], cancelled: IsCancelled, within_s: float
    ) -> Mapping[str, Any]:
        if self.problem:
            raise GenerationError(f"The model's chat template is broken ({self.problem}).", _OTHER)
        about = {"template": self._text, "special": self._special, "control": self._control}
        try:
            said: Mapping[str, Any] = self._helper.ask(
                {**about, **question}, cancelled, within_s=within_s
            )
        except HelperNotStartedError as error:
            raise GenerationError(
                f"The model's chat template can't be used: {error}.", _LATER
            ) from error
        except HelperError as error:
            raise _StoppedError(str(error)) from error
        return said

    def _read(self) -> Mapping[str, Any]:
        try:
            known: Mapping[str, Any] = self._helper.ask(
                {"template": self._text, "special": self._special}, within_s=_PROBE_S
            )
        except HelperNotStartedError as error:
            raise ModelLoadError(
                f"The model's chat template can't be read: {error}.", _LATER
            ) from error
        except HelperError as error:
            return {"problem": str(error)}
        return {"problem": known["refused"]} if "refused" in known else known


def _text(tokenizer: PreTrainedTokenizerBase) -> str:
    found = template_files.chosen(getattr(tokenizer, "chat_template", None))
    return found.text if found is not None else ""


def _plain(token: Any) -> Any:
    return [str(one) for one in token] if isinstance(token, list | tuple) else str(token)


def _control_tokens(tokenizer: PreTrainedTokenizerBase, literals: str) -> list[str]:
    """Return the tokens that are no control tokens where the user types them.

    They are the special ones and the others that the tokenizer names; where it names none, those that stand in the template's text.
    """
    named = getattr(tokenizer, "chat_control_tokens", None)
    added = getattr(tokenizer, "added_tokens_decoder", None) or {}
    return [
        token.content
        for token in added.values()
        if token.special
        or (
            token.content in named
            if named is not None
            else token.content in literals and not token.content.isspace()
        )
    ]
