"""How torch comes into the process."""

import subprocess
import sys

import pytest

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
