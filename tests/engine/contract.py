"""What holds for every engine, whatever makes its replies. What one can't do, its model's capabilities say.

Each function takes a `Subject`; `CONTRACT` has them all.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest

from tests.engine.conftest import Heard, ask, chat, never
from tui.engine.base import (
    Engine,
    Finished,
    GenerateRequest,
    GenerationError,
    LoadRequest,
    MemoryReading,
    ModelLoadError,
    Progress,
    PromptReady,
    StopReason,
    TextDelta,
)


@dataclass
class Subject:
    """An engine with a model.

    Attributes:
        missing: the name of a model that it can't load; empty for none.
        parameters: that keep its replies short.
    """

    engine: Engine
    missing: str = ""
    parameters: dict[str, Any] = field(default_factory=lambda: {"max_new_tokens": 12})

    def ask(self, *contents: str, **options: Any) -> Heard:
        return ask(self.engine, chat(*(contents or ("Count to ten.",))), **self.parameters, **options)  # fmt: skip

    def stopped(self, when: Callable[[list[Any]], bool]) -> tuple[Finished, list[Any]]:
        events: list[Any] = []
        request = GenerateRequest(chat("Count to ten."), {"temperature": 0.0, **self.parameters})
        return self.engine.generate(request, events.append, lambda: when(events)), events

    @property
    def can(self) -> Any:
        assert self.engine.loaded is not None
        return self.engine.loaded.capabilities


def words_in(events: list[Any]) -> str:
    return "".join(event.text for event in events if isinstance(event, TextDelta))


def a_reply_tells_its_prompt_its_words_and_its_figures(subject: Subject) -> None:
    heard = subject.ask()
    told = [event for event in heard.events if not isinstance(event, Progress)]
    assert type(told[0]) is PromptReady
    assert heard.prompt.parameters["temperature"] == 0
    assert heard.text
    assert isinstance(heard.finished, Finished)
    assert heard.finished.stats.new_tokens > 0
    assert heard.finished.stats.prompt_tokens > 0


def the_same_request_gives_the_same_reply(subject: Subject) -> None:
    first, again = (subject.ask(seed=3, cached_at_most=0) for _ in range(2))
    assert first.text == again.text


def a_seed_is_told_so_that_a_reply_can_be_made_again(subject: Subject) -> None:
    if subject.can.takes("seed"):
        assert isinstance(subject.ask().prompt.parameters["seed"], int)


def a_reply_that_is_stopped_keeps_its_words(subject: Subject) -> None:
    finished, events = subject.stopped(lambda events: bool(words_in(events)))
    if finished.reason is StopReason.CANCELLED:
        assert words_in(events)
        assert finished.stats.new_tokens > 0
    assert subject.ask().text


def a_reply_that_is_stopped_at_once_has_no_words(subject: Subject) -> None:
    finished, events = subject.stopped(lambda _events: True)
    assert finished.reason is StopReason.CANCELLED
    assert words_in(events) == ""


def a_reply_is_written_on_where_that_is_possible(subject: Subject) -> None:
    if subject.can.continues:
        assert subject.ask("Count to ten.", "One, two,", continue_last=True).finished
        return
    with pytest.raises(GenerationError, match=r"\.$"):
        subject.ask("Count to ten.", "One, two,", continue_last=True)


def a_prompt_is_shown_where_that_is_possible(subject: Subject) -> None:
    request = GenerateRequest(chat("Count to ten."))
    if subject.can.shows_prompt:
        shown = subject.engine.describe(request)
        assert "Count to ten." in shown.text
        assert shown.tokens > 0
        return
    with pytest.raises(GenerationError, match=r"\.$"):
        subject.engine.describe(request)


def a_text_is_split_where_that_is_possible(subject: Subject) -> None:
    pieces = subject.engine.split("one two")
    assert "".join(pieces) == ("one two" if subject.can.splits else "")


def computing_ahead_does_no_harm(subject: Subject) -> None:
    assert subject.engine.prepare(GenerateRequest(chat("Hello.", "Hi.")), never)
    assert subject.ask().text


def memory_can_be_asked_for(subject: Subject) -> None:
    assert isinstance(subject.engine.memory(), MemoryReading)
    device, reading = subject.engine.target_memory()
    assert isinstance(device, str)
    assert isinstance(reading, MemoryReading)


def a_load_that_fails_is_told_as_such(subject: Subject) -> None:
    if not subject.missing:
        return
    before = subject.engine.loaded
    with pytest.raises(ModelLoadError) as raised:
        subject.engine.load(LoadRequest(subject.missing), lambda _event: None, never)
    assert raised.value.message
    assert subject.engine.loaded == before


def without_a_model_there_is_no_reply(subject: Subject) -> None:
    for _ in range(2):
        subject.engine.unload()
        assert subject.engine.loaded is None
    with pytest.raises(GenerationError):
        subject.ask()


CONTRACT: tuple[Callable[[Subject], None], ...] = (
    a_reply_tells_its_prompt_its_words_and_its_figures,
    the_same_request_gives_the_same_reply,
    a_seed_is_told_so_that_a_reply_can_be_made_again,
    a_reply_that_is_stopped_keeps_its_words,
    a_reply_that_is_stopped_at_once_has_no_words,
    a_reply_is_written_on_where_that_is_possible,
    a_prompt_is_shown_where_that_is_possible,
    a_text_is_split_where_that_is_possible,
    computing_ahead_does_no_harm,
    memory_can_be_asked_for,
    a_load_that_fails_is_told_as_such,
    without_a_model_there_is_no_reply,
)
"""In an order in which each leaves a model for the next, but for the last."""
