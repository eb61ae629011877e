"""Runs benchmarks by name, each in a separate process, so that none warms up another.

    python -m benchmarks [NAME ...] [--anyway]

Without names, it runs those that publish figures of speed. These refuse to publish anything from a machine that isn't quiet;
with `--anyway`, they print their figures, and write nothing.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final

FOLDER: Final = Path(__file__).resolve().parent
NAMES: Final = sorted(path.stem for path in FOLDER.glob("*.py") if not path.stem.startswith("_"))
PUBLISHING: Final = ("engines", "opening", "servers", "sessions", "streaming", "whole")


def parse(words: Sequence[str]) -> argparse.Namespace:
    """Read the command line.

    Raises:
        SystemExit: it asks for help, or for a benchmark that there isn't.
    """
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks", description=(__doc__ or "").partition("\n")[0]
    )
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"some of: {', '.join(NAMES)}")
    parser.add_argument(
        "--anyway", action="store_true", help="print figures even if the machine is not quiet"
    )
    given = parser.parse_args(words)
    unknown = sorted(set(given.names) - set(NAMES))
    if unknown:
        parser.error(f"there is no benchmark named {unknown[0]}; use some of: {', '.join(NAMES)}")
    return given


def commands(given: argparse.Namespace) -> list[list[str]]:
    """Return the programs to run, with their arguments."""
    return [
        [f"{name}.py", *(["--anyway"] if given.anyway and name in PUBLISHING else [])]
        for name in given.names or PUBLISHING
    ]


def main() -> int:
    """Run the benchmarks; return 1 if one failed, or refused to publish."""
    failed = 0
    for name, *options in commands(parse(sys.argv[1:])):
        print(f"== {name.removesuffix('.py')}", flush=True)
        command = [sys.executable, str(FOLDER / name), *options]
        failed += bool(subprocess.run(command, check=False).returncode)
    return min(failed, 1)


if __name__ == "__main__":
    sys.exit(main())
