"""That figures are published only from a machine that was quiet."""

import json

import pytest

from benchmarks import _quiet
from benchmarks._quiet import NOT_QUIET, Look, Publisher, Quiet


def quiet(*looks):
    """One that finds these, and the last of them from then on."""
    waiting = [Look(took, waited) for took, waited in looks]
    return Quiet(lambda: waiting.pop(0) if len(waiting) > 1 else waiting[0])


@pytest.fixture(autouse=True)
def no_pause(monkeypatch):
    monkeypatch.setattr(_quiet, "_PAUSE_S", 0.0)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "figures.json"


def published(path, machine, *, anyway=False):
    publisher = Publisher(path=path, anyway=anyway, quiet=machine)
    publisher.begin()
    publisher.between()
    return publisher.end("| a table |", {"speed": [1.0]})


def test_a_quiet_machine_publishes_and_says_how_quiet_it_was(path, capsys):
    assert published(path, quiet((0.100, 0.0), (0.104, 0.01))) == 0
    out = capsys.readouterr().out
    assert out.startswith("| a table |")
    assert "was quiet" in out
    assert "varied by 4%" in out
    assert "limit for both: 10%" in out
    written = json.loads(path.read_text())
    assert written["speed"] == [1.0]
    assert written["quiet"]["is_quiet"]


@pytest.mark.parametrize("busy", [(0.15, 0.0), (0.10, 0.3)], ids=["slower", "waiting"])
def test_a_busy_machine_is_refused_before_anything_is_measured(path, capsys, busy):
    with pytest.raises(SystemExit) as raised:
        published(path, quiet((0.10, 0.0), busy))
    assert raised.value.code == NOT_QUIET
    said = capsys.readouterr()
    assert not said.out
    assert "Nothing was measured" in said.err
    assert not path.exists()


def test_load_that_is_always_the_same_is_found_too(path):
    with pytest.raises(SystemExit):
        published(path, quiet((0.2, 0.5)))


def test_load_in_the_middle_keeps_figures_from_being_published(path, capsys):
    machine = quiet((0.1, 0.0), (0.1, 0.0), (0.1, 0.0), (0.2, 0.4), (0.1, 0.0))
    assert published(path, machine) == NOT_QUIET
    said = capsys.readouterr()
    assert not said.out
    assert "varied by 100%" in said.err
    assert not path.exists()


def test_anyway_prints_and_writes_nothing(path, capsys):
    assert published(path, quiet((0.1, 0.0), (0.2, 0.4)), anyway=True) == NOT_QUIET
    said = capsys.readouterr()
    assert "| a table |" in said.out
    assert "was not quiet" in said.out
    assert "was not written" in said.err
    assert not path.exists()


def test_anyway_on_a_quiet_machine_writes_as_usual(path):
    assert published(path, quiet((0.1, 0.0)), anyway=True) == 0
    assert path.exists()


def test_the_reference_loop_measures_something():
    found = _quiet.look()
    assert found.loop_s > 0
    assert 0 <= found.waited <= 1
