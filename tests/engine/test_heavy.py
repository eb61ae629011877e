"""How torch comes into the process, and what its libraries write."""

import contextlib
import os
import subprocess
import sys
import threading

import pytest

from tests.engine import tiny
from tui.engine.base import Cancelled, LoadRequest
from tui.engine.local.heavy import stdout_shut

LOAD = """
import ctypes, sys
from tui.engine.local.heavy import _load_torch_libraries
opened, real = [], ctypes.CDLL
def counted(name, *more, **named):
    opened.append(name)
    return real(name, *more, **named)
ctypes.CDLL = counted
_load_torch_libraries()
assert "torch" not in sys.modules
# CDLL itself would keep the lock while it loads a library.
print([name for name in ("c10", "torch_cpu", "torch") if f"lib{name}.so" not in open("/proc/self/maps").read()], opened)
import torch
print(torch.ones(2).sum().item())
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")
def test_its_libraries_are_there_before_it_is_imported():
    done = subprocess.run(
        [sys.executable, "-c", LOAD], capture_output=True, text=True, timeout=120, check=True
    )
    assert done.stdout.split("\n")[:2] == ["[] [None]", "2.0"]


def _place():
    status = os.fstat(1)
    return status.st_dev, status.st_ino


def test_standard_output_comes_back_when_the_last_of_several_leaves():
    before = _place()
    first, second = contextlib.ExitStack(), contextlib.ExitStack()
    first.enter_context(stdout_shut())
    second.enter_context(stdout_shut())
    shut = _place()
    assert shut != before
    first.close()
    assert _place() == shut
    second.close()
    assert _place() == before
    with pytest.raises(ValueError, match="within"), stdout_shut():
        raise ValueError("within")
    assert _place() == before


def test_standard_output_that_is_closed_stays_so():
    code = (
        "import os; from tui.engine.local.heavy import stdout_shut; os.close(1)\n"
        "with stdout_shut(): pass\n"
        "try: os.fstat(1)\n"
        "except OSError: os._exit(7)\n"
    )
    assert subprocess.run([sys.executable, "-c", code], timeout=120, check=False).returncode == 7


def test_standard_output_comes_back_when_a_load_is_cancelled_that_goes_on(
    engine, tmp_path, monkeypatch
):
    import transformers

    folder = tiny.llama(tmp_path / "model")
    before, seen = _place(), []
    started, ended = threading.Event(), threading.Event()

    def endless(*_args, **_options):
        seen.append(_place())
        started.set()
        ended.wait(60)
        raise OSError("enough")

    monkeypatch.setattr(transformers.AutoTokenizer, "from_pretrained", endless)
    try:
        with pytest.raises(Cancelled):
            engine.load(LoadRequest(str(folder)), lambda _event: None, started.is_set)
        assert _place() == before
        assert seen[0] != before
    finally:
        ended.set()
