"""Programs that crash, hang or flood their output end when they must, and are told apart."""

import os
import signal
import subprocess
import sys
import time

import pytest

from tui.engine.local import child


def python(code, deadline_s=60.0, **options):
    return child.run([sys.executable, "-I", "-S", "-c", code], deadline_s, **options)


@pytest.mark.parametrize("code", [0, 1, 86])
def test_a_program_ends_with_its_status(code):
    assert python(f"print('said'); raise SystemExit({code})") == child.Ended(code, "said\n")


@pytest.mark.parametrize("number", [signal.SIGILL, signal.SIGSEGV, signal.SIGKILL])
def test_a_crash_is_told_by_its_signal(number):
    assert python(f"import os; os.kill(os.getpid(), {int(number)})").code == -number


@pytest.mark.parametrize(
    "code",
    [
        "while True: pass",
        "import time; time.sleep(1000)",
        "import os, time; os.close(1); os.close(2); time.sleep(1000)",
        "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); time.sleep(1000)",
        "import os\nwhile True: os.write(1, b'x' * 65536)",
    ],
)
def test_one_that_never_ends_is_killed(code):
    ended = python(code, 1.0)
    assert ended.code is None
    assert len(ended.said) <= 4096


@pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")
def test_the_programs_that_it_started_go_with_it(tmp_path):
    code = (
        "import subprocess, sys, time\n"
        f"started = subprocess.Popen(['sleep', '1000'])\n"
        f"open({str(tmp_path / 'id')!r}, 'w').write(str(started.pid))\ntime.sleep(1000)"
    )
    assert python(code, 3.0).code is None
    number = int((tmp_path / "id").read_text())
    for _ in range(200):
        try:
            state = open(f"/proc/{number}/stat").read().rpartition(")")[2].split()[0]  # noqa: SIM115, PTH123
        except OSError:
            return
        if state == "Z":
            return
        time.sleep(0.05)
    raise AssertionError("it is still there")


def test_one_that_leaves_a_program_behind_is_not_waited_for():
    code = "import subprocess; subprocess.Popen(['sleep', '5'])"
    assert python(code).code == 0


def test_much_output_is_read_and_forgotten():
    ended = python("import sys\nfor _ in range(3000): sys.stderr.write('x' * 65536)")
    assert ended.code == 0
    assert ended.said == "x" * 4096


def test_it_has_no_terminal_and_only_what_it_is_given(tmp_path):
    code = "import os, sys; print(sys.stdin.read(), os.getsid(0) == os.getpid(), os.getcwd(), len(os.environ))"
    ended = python(code, cwd=tmp_path, env={"LC_ALL": "C.UTF-8"})
    assert ended.said.split() == ["True", str(tmp_path), "1"]


def test_a_program_that_is_not_there_is_an_error(tmp_path):
    with pytest.raises(OSError, match="No such file"):
        child.run([str(tmp_path / "none")], 1.0)


@pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")
def test_nothing_is_left_open():
    before = len(os.listdir("/proc/self/fd"))  # noqa: PTH208
    for _ in range(5):
        python("")
    assert len(os.listdir("/proc/self/fd")) == before  # noqa: PTH208
    assert not subprocess._active
