"""Memory comes back: after many loads the process is as large as after the first."""

import subprocess
import sys
import weakref

import pytest

from tests.engine import tiny
from tests.engine.conftest import ask, chat, load
from tui.engine.base import LoadRequest
from tui.engine.demo import demo_model

_ROUNDS = """
import os, sys
from pathlib import Path
import psutil
from tui.conversation.turn import Message
from tui.engine.base import GenerateRequest, LoadRequest
from tui.engine.local.engine import LocalEngine

engine = LocalEngine(Path(sys.argv[1]))
quiet, never = (lambda event: None), (lambda: False)
sizes = []
for _ in range(7):
    engine.load(LoadRequest("demo"), quiet, never)
    engine.generate(GenerateRequest((Message("user", "Hello"),), {"max_new_tokens": 4}), quiet, never)
    engine.unload()
    sizes.append(psutil.Process().memory_info().rss)
print(sizes[0], sizes[-1])
"""


@pytest.mark.model
def test_after_six_rounds_the_process_is_as_large_as_after_the_first(converted):
    if demo_model() is None:
        pytest.skip("the demo model is not installed")
    done = subprocess.run(
        [sys.executable, "-c", _ROUNDS, str(converted)], capture_output=True, text=True, check=True
    )
    first, last = map(int, done.stdout.split())
    # A model that stayed would be more than half as much again; what comes and goes between two rounds is less.
    assert last <= first * 1.06


def test_a_model_can_be_kept_beside_another_and_taken_up_again_at_once(engine, tmp_path):
    one, other = tiny.llama(tmp_path / "one"), tiny.llama(tmp_path / "other")
    load(engine, one)
    kept = engine._loaded.model
    load(engine, other, keeps_former=True)
    both = engine.memory().weights
    assert both == 2 * engine.loaded.weights_bytes
    left = weakref.ref(engine._loaded.model)
    events = []
    engine.load(LoadRequest(str(one)), events.append, lambda: False)
    assert engine._loaded.model is kept
    assert events == []
    assert left() is None
    assert ask(engine, chat("hello"), max_new_tokens=2).finished.stats.new_tokens == 2
    engine.unload()
    assert engine.memory().weights == 0


def test_unloading_frees_what_was_kept_too(engine, tmp_path):
    one, other = tiny.llama(tmp_path / "one"), tiny.llama(tmp_path / "other")
    load(engine, one)
    known = weakref.ref(engine._loaded.model)
    load(engine, other, keeps_former=True)
    assert known() is not None
    engine.unload()
    assert known() is None
