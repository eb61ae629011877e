"""Runs benchmarks by name, each in a separate process, so that none warms up another."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

FOLDER = Path(__file__).resolve().parent
NAMES = sorted(path.stem for path in FOLDER.glob("*.py") if not path.stem.startswith("_"))


def main(wanted: list[str]) -> int:
    """Run the benchmarks with these names, or all."""
    unknown = sorted(set(wanted) - set(NAMES))
    if unknown:
        print(
            f"There is no benchmark {unknown[0]!r}. Use one of these: {', '.join(NAMES)}",
            file=sys.stderr,
        )
        return 2
    failed = 0
    for name in wanted or NAMES:
        print(f"== {name}", flush=True)
        failed += bool(
            subprocess.run([sys.executable, FOLDER / f"{name}.py"], check=False).returncode
        )
    return min(failed, 1)


sys.exit(main(sys.argv[1:]))
