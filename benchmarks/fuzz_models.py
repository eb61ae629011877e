"""The long fuzz of model folders: `python -m benchmarks.fuzz_models [how many] [first seed]`.

Mutations go through catalog, facts, fit and `load` in child processes with limits of time and memory, so that a hang or a crash is
reported and skipped. Failures found this way have tests in `test_hostile_models`.
"""

from __future__ import annotations

import collections
import gc
import json
import resource
import select
import subprocess
import sys
import tempfile
import time
import traceback
from pathlib import Path

from tests.engine.hostile_models import Mutator, bases, copy, look, try_load

HANG_S = 180
"""Generous, because other programs may use the CPU."""
READY = "ready"
MEMORY_BYTES = 16 * 2**30


def main(count: int, first: int) -> int:
    """Run all seeds; return how many failed."""
    with tempfile.TemporaryDirectory() as place:
        bases(Path(place))
        results = {}
        while len(results) < count:
            results |= _batch(place, first + len(results), first + count)
    kinds = collections.Counter(result.partition(":")[0] for result in results.values())
    for seed, result in results.items():
        if result.startswith(("foreign", "hang", "crash", "unknown")):
            print(seed, result)
    print(dict(kinds))
    return sum(kinds[kind] for kind in ("foreign", "hang", "crash"))


def _batch(place: str, start: int, end: int) -> dict[int, str]:
    """Return the results of the seeds that ran in one process before it ended."""
    command = [
        sys.executable,
        "-m",
        "benchmarks.fuzz_models",
        "child",
        place,
        str(start),
        str(end),
    ]
    found: dict[int, str] = {}
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as child:
        while True:
            ready, _, _ = select.select([child.stdout], [], [], HANG_S)
            line = child.stdout.readline() if ready else ""
            if line.startswith(READY):
                continue
            if line and not line.startswith("["):
                # Discard the output of libraries.
                print("PRINTED", line.rstrip(), flush=True)
                continue
            if line:
                seed, result = json.loads(line)
                found[seed] = result
                print(seed, result[:300], flush=True)
                continue
            if len(found) < end - start:
                seed = start + len(found)
                child.kill()
                found[seed] = f"crash: {child.wait()}" if ready else "hang"
                print(seed, found[seed], flush=True)
            return found


def _child(place: Path, start: int, end: int) -> None:
    import torch

    from tui.engine.local.engine import LocalEngine

    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
    torch.set_num_threads(1)
    engine = LocalEngine(place / "cache")
    kinds = sorted((place / "bases").iterdir())
    for base in kinds:
        try_load(engine, base)
    # The objects of the libraries stay, so exclude them from garbage collection after every load.
    gc.freeze()
    print(READY, flush=True)
    for seed in range(start, end):
        began_s = time.process_time()
        mutator, work = Mutator(seed), place / f"work-{start}"
        base = kinds[seed % len(kinds)]
        folder = copy(base, work / "model")
        ggufs = [path for path in folder.glob("*.gguf") if not (folder / "config.json").exists()]
        done = mutator.gguf(ggufs[0]) if ggufs else mutator.folder(folder)
        try:
            look(work)
            result = try_load(engine, folder)
        except BaseException:  # noqa: BLE001 - that is what is looked for
            result = f"foreign: {traceback.format_exc(limit=-6)}"
        engine.unload()
        spent_s = time.process_time() - began_s
        print(json.dumps([seed, f"{result} <- {base.name}: {done} ({spent_s:.1f} s)"]), flush=True)


if __name__ == "__main__":
    if sys.argv[1:2] == ["child"]:
        _child(Path(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4]))
    else:
        numbers = [int(argument) for argument in sys.argv[1:]]
        sys.exit(bool(main(*numbers, *(3000, 0)[len(numbers) :])))
