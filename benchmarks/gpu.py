"""What a GPU is worth to this program: memory, speed, what happens when memory runs out or the GPU fails.

    python -m benchmarks.gpu [--minutes 7.5] [--shapes 1b,8b] [--only KIND,KIND] [--device cuda:0] [--work FOLDER] [--json FILE]

The models are made at random in published shapes, so that neither weights nor a network are needed; those of 1b and 8b take 18 GB of disk.
Each section runs in a process of its own and has a limit of time: one that fails or takes too long is a line, and the rest goes on.
`--device cpu --shapes tiny` tries all of it without a GPU. The result is Markdown on stdout; figures are medians with their ranges.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import queue
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import IO, Final

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks._gpu_report import (
    BUDGETS,
    Outcome,
    Row,
    Section,
    allowed_s,
    figures,
    markdown,
    plan,
)
from benchmarks._quiet import Quiet
from benchmarks._shapes import SHAPES

MINUTES: Final = 7.5
NO_GPU: Final = 2
_ABOUT_S: Final = 60.0
_LEFT_FOR_END_S: Final = 5.0
_LOOK_S: Final = 0.5


def arguments(words: Sequence[str] | None = None) -> argparse.Namespace:
    """Read the command line.

    Raises:
        SystemExit: something in it is unknown.
    """
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--minutes", type=float, default=MINUTES, help="for all of it")
    parser.add_argument(
        "--shapes", default="1b,8b", help=f"the smallest first: {', '.join(SHAPES)}"
    )
    parser.add_argument("--only", default="", help=f"kinds of sections: {', '.join(BUDGETS)}")
    parser.add_argument("--device", default="cuda:0")
    parser.add_argument("--work", type=Path, help="keep the models in this folder")
    parser.add_argument("--json", type=Path, help="write the figures to this file")
    parser.add_argument("--section", nargs=2, help=argparse.SUPPRESS)
    parser.add_argument("--limit", type=float, default=0.0, help=argparse.SUPPRESS)
    given = parser.parse_args(words)
    given.shapes = [one for one in given.shapes.split(",") if one]
    given.only = [one for one in given.only.split(",") if one]
    for named, known in ((given.shapes, SHAPES), (given.only, BUDGETS)):
        for one in named:
            if one not in known:
                parser.error(f"there is no {one}; use some of: {', '.join(known)}")
    if not given.shapes:
        parser.error("name a shape")
    return given


# -- in a section's process


def run_section(given: argparse.Namespace) -> None:
    """Run one section, and write its rows to stdout."""
    lines = os.fdopen(os.dup(1), "w", encoding="utf-8")
    # Whatever a library prints goes to the log.
    os.dup2(2, 1)

    def write(line: str) -> None:
        print(line, file=lines, flush=True)

    from benchmarks import _gpu_bench

    threading.Thread(target=_end_with, args=(os.getppid(),), daemon=True).start()
    kind, shape = given.section
    if kind == "about":
        write(json.dumps({"about": _gpu_bench.about(given.device)}))
        return
    from benchmarks._gpu_sections import SECTIONS
    from tui.engine.local.heavy import import_heavy

    import_heavy()
    bench = _gpu_bench.Bench(
        SHAPES[shape],
        given.device,
        given.work,
        lambda row: write(row.line()),
        time.monotonic() + given.limit,
    )
    bench.prepare()
    SECTIONS[kind](bench)


def _end_with(parent: int) -> None:
    """End this process when the one that has started it is gone, however that has ended."""
    while os.getppid() == parent:
        time.sleep(_LOOK_S)
    os._exit(1)


# -- in the process that starts them


def about(given: argparse.Namespace, work: Path, log: IO[bytes]) -> dict[str, str]:
    """Return what the figures depend on; empty where the device can't be used."""
    lines, _ = _lines(given, "about", "", _ABOUT_S, work, log)
    for line in lines:
        with contextlib.suppress(ValueError, KeyError, TypeError):
            return dict(json.loads(line)["about"])
    return {}


def measure(
    given: argparse.Namespace, section: Section, limit_s: float, work: Path, log: IO[bytes]
) -> Outcome:
    """Run a section in its own process; return what it found, also if it fails or is ended."""
    began = time.monotonic()
    lines, problem = _lines(given, section.kind, section.shape, limit_s, work, log)
    rows = tuple(row for line in lines if (row := Row.read(line)) is not None)
    return Outcome(section, rows, time.monotonic() - began, problem)


def _lines(
    given: argparse.Namespace, kind: str, shape: str, limit_s: float, work: Path, log: IO[bytes]
) -> tuple[list[str], str]:
    """Run a section's process; return its lines, and why it did not end well."""
    command = [
        sys.executable, str(Path(__file__).resolve()), "--section", kind, shape, "--device", given.device,
        "--work", str(work), "--limit", str(limit_s),
    ]  # fmt: skip
    before = log.seek(0, os.SEEK_END)
    process = subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=log,
        text=True,
        env=_environment(),
        start_new_session=True,
    )
    assert process.stdout is not None
    try:
        lines, problem = _said(process, process.stdout, limit_s)
    finally:
        # What it has started ends with it, too.
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)
        code = process.wait()
    if code and not problem:
        problem = _last_words(log, before) or f"it ended with status {code}"
    return lines, problem


def _said(process: subprocess.Popen[str], stdout: IO[str], limit_s: float) -> tuple[list[str], str]:
    """Return the lines of a process until it ends or its time is over, and why it has to be ended."""
    said: queue.SimpleQueue[str | None] = queue.SimpleQueue()

    def read() -> None:
        for line in stdout:
            said.put(line)
        said.put(None)

    threading.Thread(target=read, daemon=True).start()
    until, lines = time.monotonic() + limit_s, []
    while True:
        try:
            line = said.get(timeout=max(0.0, until - time.monotonic()))
        except queue.Empty:
            return lines, f"it took longer than {limit_s:.0f} s"
        if line is None:
            break
        lines.append(line)
    try:
        process.wait(_LEFT_FOR_END_S)
    except subprocess.TimeoutExpired:
        return lines, "it didn't end"
    return lines, ""


def _last_words(log: IO[bytes], start: int) -> str:
    """Return the last line that a process has written to the log, which is the error that ended it."""
    log.seek(start)
    lines = log.read().decode("utf-8", "replace").strip().splitlines()
    return lines[-1].strip().rstrip(".")[:300] if lines else ""


def _environment() -> dict[str, str]:
    root = str(Path(__file__).resolve().parent.parent)
    paths = os.pathsep.join(filter(None, (root, os.environ.get("PYTHONPATH", ""))))
    return {
        **os.environ,
        "PYTHONPATH": paths,
        "HF_HUB_OFFLINE": "1",
        "HF_HUB_DISABLE_TELEMETRY": "1",
        "TOKENIZERS_PARALLELISM": "false",
    }


def run(given: argparse.Namespace, work: Path) -> int:
    """Run all sections, and print the result."""
    ends_at = time.monotonic() + given.minutes * 60 - _LEFT_FOR_END_S
    quiet, outcomes = Quiet(), []
    with (work / "log.txt").open("w+b") as log:
        found = about(given, work, log)
        if not found:
            said = _last_words(log, 0)
            print(
                f"{given.device} can't be used: {said}. Try --device cpu --shapes tiny.",
                file=sys.stderr,
            )
            return NO_GPU
        quiet.look()
        for section in plan(given.shapes, given.only):
            limit_s = allowed_s(section, ends_at - time.monotonic())
            print(f"{section.title} ...", file=sys.stderr, flush=True)
            if limit_s:
                outcome = measure(given, section, limit_s, work, log)
            else:
                outcome = Outcome(section, (), problem="no time was left")
            outcomes.append(outcome)
            if outcome.problem:
                print(f"  not finished: {outcome.problem}", file=sys.stderr, flush=True)
            quiet.look()
            if given.json is not None:
                # After each, so that an interrupted run still leaves results.
                made = figures(found, outcomes, quiet.figures())
                given.json.write_text(json.dumps(made, indent=1) + "\n", encoding="utf-8")
    print(markdown(found, outcomes, quiet.sentence()))
    return int(any(one.problem for one in outcomes))


def main() -> int:
    """Do what the command line says."""
    given = arguments()
    if given.section is not None:
        run_section(given)
        return 0
    if given.work is not None:
        given.work.mkdir(parents=True, exist_ok=True)
        return run(given, given.work.absolute())
    with tempfile.TemporaryDirectory(prefix="chat-tui-gpu-") as folder:
        return run(given, Path(folder))


if __name__ == "__main__":
    sys.exit(main())
