"""Lends a model's own response parser, so that a reply ends whatever the parser does.

A response template comes with the model's tokenizer and may hold regular expressions. Where it does, each piece of text is parsed as an
attempt that can be left behind. What the parts of a reply mean is the splitter's business.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final, TypeVar

from tui.engine.attempts import Attempts
from tui.engine.base import IsCancelled

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

_WITHIN_S: Final = 10.0

_Result = TypeVar("_Result")


class ResponseParsing:
    """Looks like a transformers `ResponseParser` to those who feed it."""

    def __init__(
        self, tokenizer: PreTrainedTokenizerBase, prompt_ids: Sequence[int], cancelled: IsCancelled
    ) -> None:
        """Begin with a reply.

        Args:
            tokenizer: one that has a `response_template`.
            prompt_ids: what the reply follows.
            cancelled: tells when the reply is not wanted any more.

        Raises:
            Cancelled: `cancelled` returned True.
            StuckError: the template does not come to an end.
            Exception: whatever the library raised: the template can't be used.
        """
        self._attempts = Attempts(_WITHIN_S)
        self._cancelled = cancelled
        self._has_patterns = "pattern" in str(tokenizer.response_template)
        make = tokenizer.get_response_parser
        self._parser = self._run(lambda: make(prefix=list(prompt_ids)))

    @property
    def initial_events(self) -> Sequence[Mapping[str, Any]]:
        """What the prompt says of the reply already."""
        events: Sequence[Mapping[str, Any]] = self._parser.initial_events
        return events

    def feed(self, text: str) -> Sequence[Mapping[str, Any]]:
        """Return what more text says; raises as `__init__` does."""
        return self._run(lambda: self._parser.feed(text))

    def finalize(self) -> tuple[Any, Sequence[Mapping[str, Any]]]:
        """Return what the end of the text says; raises as `__init__` does."""
        told: tuple[Any, Sequence[Mapping[str, Any]]] = self._run(self._parser.finalize)
        return told

    def _run(self, work: Callable[[], _Result]) -> _Result:
        # A thread per token costs little, and nothing if it isn't needed.
        return self._attempts.run(work, self._cancelled) if self._has_patterns else work()
