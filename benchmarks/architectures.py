"""Tests every architecture of the installed transformers that generates text: `python -m benchmarks.architectures [names] [--out
FILE]`.

For each, a tiny checkpoint is created, loaded, and tested with two turns, an edit and each quantization, and compared with transformers' own
`generate`, in a separate process with limits of time and memory. All of them take about two hours on one core. Results
are kept beside the table (`FILE.json`), so an interrupted run can be resumed; `--again` discards them.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

LIMIT_S: Final = 600
MEMORY_BYTES: Final = 24 * 2**30
ROOT: Final = Path(__file__).resolve().parents[1]
COLUMNS: Final = (
    "loads",
    "equals generate",
    "auto",
    "int8",
    "int4",
    "8bit",
    "4bit",
    "4bit-fp4",
    "torchao-int8",
    "torchao-int4",
)
_LONGEST: Final = 220
Row = dict[str, Any]


def main(arguments: Sequence[str]) -> int:
    """Test architectures and print a table; return how many had problems."""
    parser = argparse.ArgumentParser(prog="benchmarks.architectures", description=__doc__)
    parser.add_argument(
        "names", nargs="*", help="kinds of models, for example llama; all by default"
    )
    parser.add_argument("--out", type=Path, help="also write the table to this file")
    parser.add_argument("--again", action="store_true", help="discard earlier results")
    chosen = parser.parse_args(arguments)
    classes = text_classes()
    if unknown := sorted(set(chosen.names) - set(classes)):
        parser.error(f"unknown kind: {unknown[0]!r}")
    kept = chosen.out.with_suffix(".json") if chosen.out else None
    rows = _known(kept)
    for name in chosen.names or sorted(classes):
        if name in rows and not chosen.again:
            continue
        rows[name] = tried(name, classes[name])
        print(name, _in_short(rows[name]), flush=True)
        if kept:
            kept.write_text(json.dumps(rows, indent=1, sort_keys=True))
    shown = [rows[name] for name in sorted(rows) if not chosen.names or name in chosen.names]
    text = markdown(shown)
    print(text)
    if chosen.out:
        chosen.out.write_text(text)
    return min(1, sum(not _is_whole(row) for row in shown))


def text_classes() -> dict[str, str]:
    """Return the class name of each kind of model that can generate text: preferably one that also takes images or audio."""
    from transformers.models.auto import modeling_auto as auto

    found: dict[str, str] = {}
    for mapping in (
        auto.MODEL_FOR_CAUSAL_LM_MAPPING_NAMES,
        auto.MODEL_FOR_MULTIMODAL_LM_MAPPING_NAMES,
        auto.MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING_NAMES,
    ):
        for kind, names in mapping.items():
            found[kind] = names if isinstance(names, str) else names[0]
    return found


def tried(kind: str, class_name: str) -> Row:
    """Return the result of one kind."""
    command = [sys.executable, "-m", "benchmarks._one_architecture", kind, class_name]
    environment = {
        **os.environ,
        "HF_HUB_OFFLINE": "1",
        "TRANSFORMERS_VERBOSITY": "error",
        "PYTHONPATH": str(ROOT),
    }
    blank: Row = {"kind": kind, "class": class_name, "cells": {}, "errors": {}}
    try:
        made = subprocess.run(
            command,
            cwd=ROOT,
            env=environment,
            capture_output=True,
            text=True,
            timeout=LIMIT_S,
            check=False,
            preexec_fn=_limit_memory,
        )
    except subprocess.TimeoutExpired:
        return blank | {"died": f"took more than {LIMIT_S} s"}
    lines = [line for line in made.stdout.splitlines() if line.startswith("{")]
    if not lines:
        return blank | {"died": f"ended with {made.returncode}: {made.stderr.strip()[-_LONGEST:]}"}
    row: Row = json.loads(lines[-1])
    return row


def markdown(rows: Sequence[Row]) -> str:
    """Return the table, after a summary."""
    able = [row for row in rows if "untestable" not in row]
    refused = [row for row in able if row["cells"].get("loads") == "refused"]
    tried_ones = [row for row in able if row not in refused]
    counts = " · ".join(
        f"{name}: {sum(row['cells'].get(name) == 'yes' for row in tried_ones)} of {len(tried_ones)}"
        for name in COLUMNS
    )
    lines = [
        "# Architectures",
        "",
        (
            "Made by `python -m benchmarks.architectures`. *Fit* is the largest error of the estimated size of the weights, in percent, "
            "without tables that a model computes itself."
        ),
        "",
        (
            f"{len(rows)} architectures: {len(rows) - len(able)} that transformers itself can't run as a tiny model of random "
            f"weights, {len(refused)} refused. {counts}."
        ),
        "",
        f"| architecture | class | {' | '.join(COLUMNS)} | cache | fit % | problems |",
        f"|{'---|' * (len(COLUMNS) + 5)}",
    ]
    return "\n".join([*lines, *(_line(row) for row in rows)]) + "\n"


def _line(row: Row) -> str:
    cells = [row["cells"].get(name, "-") for name in COLUMNS]
    fits = row.get("fit", {})
    worst = max(fits.values(), key=abs, default=None)
    shown = "" if worst is None else f"{worst:+.1f}"
    why = row.get("untestable") or row.get("died") or "; ".join(
        f"{name}: {error}" for name, error in row["errors"].items()
    )  # fmt: skip
    return f"| {row['kind']} | {row['class']} | {' | '.join(cells)} | {row.get('cache', '-')} | {shown} | {_cell(why)} |"


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "/")[:_LONGEST]


def _is_whole(row: Row) -> bool:
    is_refused = row["cells"].get("loads") == "refused"
    return "untestable" in row or is_refused or ("died" not in row and not row["errors"])


def _in_short(row: Row) -> str:
    if "untestable" in row:
        return f"can't be tried: {_cell(row['untestable'])}"
    why = row.get("died") or "; ".join(f"{name}: {error}" for name, error in row["errors"].items())
    return f"{row.get('seconds', '?')} s: {_cell(why) or 'no problems'}"


def _known(kept: Path | None) -> dict[str, Row]:
    if kept is None or not kept.is_file():
        return {}
    found: Mapping[str, Row] = json.loads(kept.read_text())
    return dict(found)


def _limit_memory() -> None:
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
