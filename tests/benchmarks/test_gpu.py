"""How the GPU benchmark divides its time, and what it makes of what it found. What it measures needs a GPU."""

import argparse
import io
import json
import sys
import time

import pytest

from benchmarks import _gpu_bench, _gpu_sections, gpu
from benchmarks._gpu_report import BUDGETS, Outcome, Row, Section, allowed_s, markdown, plan
from benchmarks._shapes import SHAPES

ABOUT = {"card": "A Card, 80 GiB", "torch": "2.11"}


def of(*kinds):
    return [Section(kind, "1b", 10.0) for kind in kinds]


def test_all_kinds_are_measured_with_the_smallest_shape_and_speed_with_the_largest():
    found = plan(["1b", "8b"])
    assert [one.kind for one in found if one.shape == "1b"] == list(BUDGETS)
    assert [one.kind for one in found if one.shape == "8b"] == ["decode", "quantized"]
    assert [one.title for one in plan(["tiny"], ["prefix"])] == ["prefix, tiny"]


def test_a_large_model_gets_more_time_and_what_may_be_cut_off_comes_last():
    found = plan(["1b", "8b"])
    assert [one.title for one in found[-3:]] == ["decode, 8b", "compiled, 1b", "quantized, 8b"]
    assert found[-1].budget_s > BUDGETS["quantized"]


def test_each_kind_has_a_measurement():
    assert set(_gpu_sections.SECTIONS) == set(BUDGETS)


def test_a_section_takes_its_budget_or_what_is_left():
    section = Section("decode", "1b", 90.0)
    assert allowed_s(section, 400.0) == 90.0
    assert allowed_s(section, 40.0) == 40.0
    assert allowed_s(section, 5.0) == 0.0


def test_the_default_stays_under_eight_minutes():
    assert gpu.MINUTES * 60 < 8 * 60 - 15


@pytest.mark.parametrize(
    ("row", "figure"),
    [
        (Row("a", (3 * 2**20,), "bytes"), "3 MiB"),
        (Row("a", (1.0, 2.0, 4.0), "s"), "2.00 (1.00 to 4.00) s"),
        (Row("a", note="left out"), ""),
    ],
)
def test_a_figure_has_its_unit_and_range(row, figure):
    assert row.figure == figure


def test_a_row_survives_the_pipe():
    row = Row("a", (1.0, 2.0), "s", "a note | with a bar", "other", (2.0, 4.0))
    assert Row.read(row.line()) == row
    assert Row.read("a line of a library") is None
    assert Row.read('{"row": 1}') is None


def test_the_result_names_the_card_and_what_failed_and_what_else_was_found():
    (first, second) = of("decode", "prefix")
    rows = (
        Row("engine: decode", (20.0, 40.0, 60.0), "tokens/s", "", "generate", (10.0, 20.0, 30.0)),
        Row("4bit", note="left out: needs a|b"),
    )
    text = markdown(
        ABOUT, [Outcome(first, rows, 12.0), Outcome(second, (), 3.0, "it crashed")], "Quiet."
    )
    assert text.startswith("**A Card, 80 GiB**")
    line = "| engine: decode | 40.0 (20.0 to 60.0) tokens/s | generate: 20.0 (10.0 to 30.0) tokens/s | 2.00 (2.00 to 2.00) |  |"
    assert line in text
    assert "| 4bit |  |  |  | left out: needs a\\|b |" in text
    assert "### prefix, 1b\n\nNot finished: it crashed." in text
    assert "torch 2.11" in text
    assert "The run took 15 s. Quiet." in text


@pytest.mark.parametrize("words", [["--shapes", "9b"], ["--only", "magic"], ["--shapes", ""]])
def test_unknown_words_are_refused(words):
    with pytest.raises(SystemExit):
        gpu.arguments(words)


# -- the processes of sections


@pytest.fixture
def section(monkeypatch, tmp_path):
    """Runs a program as a section's process."""

    def run(program, limit_s=20.0):
        popen = gpu.subprocess.Popen
        command = [sys.executable, "-c", program]
        monkeypatch.setattr(
            gpu.subprocess, "Popen", lambda _command, **options: popen(command, **options)
        )
        given = argparse.Namespace(device="cpu")
        with (tmp_path / "log.txt").open("w+b") as log:
            return gpu.measure(given, *of("decode"), limit_s, tmp_path, log)

    return run


ROW = f"print({Row('a', (1.0,), 's').line()!r}, flush=True)\n"


def test_what_a_section_says_is_taken_and_other_lines_are_not(section):
    found = section(f"print('noise')\n{ROW}")
    assert found.rows == (Row("a", (1.0,), "s"),)
    assert found.problem == ""


def test_a_section_that_fails_keeps_what_it_said_and_says_why(section):
    found = section(f"{ROW}raise ValueError('no such thing')")
    assert len(found.rows) == 1
    assert found.problem == "ValueError: no such thing"


def test_a_section_that_crashes_is_a_line(section):
    found = section(f"{ROW}import os, signal; os.kill(os.getpid(), signal.SIGSEGV)")
    assert len(found.rows) == 1
    assert "status -11" in found.problem


def test_a_section_that_takes_too_long_is_ended_with_what_it_has_started(section, tmp_path):
    pid = tmp_path / "pid"
    program = (
        f"{ROW}import subprocess, sys, time\n"
        f"child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)'])\n"
        f"open({str(pid)!r}, 'w').write(str(child.pid))\n"
        "time.sleep(600)"
    )
    found = section(program, limit_s=3.0)
    assert len(found.rows) == 1
    assert "longer than 3 s" in found.problem
    psutil = pytest.importorskip("psutil")
    child = int(pid.read_text())
    deadline = time.monotonic() + 10
    while psutil.pid_exists(child) and psutil.Process(child).status() != psutil.STATUS_ZOMBIE:
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_the_run_goes_on_after_a_failure_and_stops_when_no_time_is_left(
    monkeypatch, tmp_path, capsys
):
    asked = []

    def measure(_given, section, limit_s, _work, _log):
        asked.append((section.kind, limit_s))
        return Outcome(section, (), problem="it crashed" if len(asked) == 1 else "")

    monkeypatch.setattr(gpu, "measure", measure)
    monkeypatch.setattr(gpu, "about", lambda *_given: ABOUT)
    monkeypatch.setattr(gpu, "Quiet", lambda: Still())
    path = tmp_path / "figures.json"
    given = gpu.arguments(["--shapes", "1b", "--only", "decode,prefix", "--json", str(path)])
    assert gpu.run(given, tmp_path) == 1
    assert [kind for kind, _ in asked] == ["decode", "prefix"]
    assert "Not finished: it crashed." in capsys.readouterr().out
    assert len(json.loads(path.read_text())["outcomes"]) == 2
    given.minutes = 0.1
    gpu.run(given, tmp_path)
    assert len(asked) == 2
    assert "no time was left" in capsys.readouterr().out


class Still:
    def look(self):
        pass

    def sentence(self):
        return "Quiet."

    def figures(self):
        return {}


def test_without_the_device_the_run_says_how_to_try_it(monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(gpu, "about", lambda *_given: {})
    assert gpu.run(gpu.arguments([]), tmp_path) == gpu.NO_GPU
    assert "--device cpu --shapes tiny" in capsys.readouterr().err


def test_the_last_words_are_those_of_this_process():
    log = io.BytesIO(b"an older error\nTraceback\nValueError: it.\n")
    assert gpu._last_words(log, 15) == "ValueError: it"


def test_a_model_that_the_disk_has_no_room_for_is_not_begun(tmp_path, monkeypatch):
    monkeypatch.setattr(
        _gpu_bench.shutil, "disk_usage", lambda _folder: argparse.Namespace(free=2**30)
    )
    bench = _gpu_bench.Bench(SHAPES["8b"], "cpu", tmp_path, lambda _row: None, 0.0)
    with pytest.raises(OSError, match="no room for 16 GB; name another folder"):
        bench.prepare()
    assert not bench.folder.exists()
