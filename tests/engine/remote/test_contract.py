"""What holds for every engine holds for a scripted one, the one of this machine, the one for servers, and the one over both."""

from __future__ import annotations

from contextlib import contextmanager

import pytest

from tests.engine import tiny
from tests.engine.conftest import load
from tests.engine.contract import CONTRACT, Subject
from tests.engine.remote.columns import COLUMNS
from tests.engine.remote.fake_server import serving
from tests.scripted import ScriptedEngine
from tui.engine.engines import Engines
from tui.engine.remote.engine import RemoteEngine

KINDS = ("scripted", "local", "either", *COLUMNS)


@contextmanager
def served(dialect, engine):
    with serving(dialect) as server:
        load(engine, server.url)
        yield Subject(engine, "http://127.0.0.1:9/#none")
        engine.unload()


@pytest.fixture(params=KINDS)
def subject(request, tmp_path):
    if request.param == "scripted":
        engine = ScriptedEngine()
        load(engine, "scripted")
        yield Subject(engine)
    elif request.param == "local":
        engine = request.getfixturevalue("engine")
        load(engine, tiny.llama(tmp_path / "model"), dtype="float32")
        yield Subject(engine, str(tmp_path / "none"))
    elif request.param == "either":
        with served("vllm", Engines(ScriptedEngine(), RemoteEngine)) as made:
            yield made
    else:
        with served(request.param, RemoteEngine()) as made:
            yield made


@pytest.mark.parametrize("holds", CONTRACT, ids=lambda one: one.__name__)
def test_every_engine(subject, holds):
    holds(subject)
