"""The library of kernels: only one that this user made, that is as it was written and passed its trial is ever loaded."""

import os
import random
import shutil
import signal
import stat
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tui.engine.local.cpu import native, native_library

REAL = shutil.which("gcc") or shutil.which("clang") or shutil.which("cc")

pytestmark = pytest.mark.skipif(
    REAL is None or sys.platform != "linux", reason="there is no C compiler here, or no Linux"
)


class Compiler:
    """Stands in the path as `cc`, notes each run, and does what it is told."""

    def __init__(self, folder: Path, library: Path) -> None:
        self._folder = folder
        self._library = library
        self._runs = folder / "runs"
        folder.mkdir()
        self.works()

    def works(self) -> None:
        """Make the library that all the tests share: compiling takes long."""
        self.does(f'while [ "$1" != -o ]; do shift; done; exec cp {self._library} "$2"')

    def does(self, script: str) -> None:
        """Be another program from now on."""
        path = self._folder / "cc"
        path.write_text(
            f"#!/bin/sh\necho run >> {self._runs}\nenv > {self.environment}\n{script}\n"
        )
        path.chmod(0o700)

    def replaces(self, function: str, code: str) -> None:
        """Compile the kernels with another function in the place of one of theirs."""
        extra = self._folder / "extra.c"
        extra.write_text(
            f"#undef {function}\n#include <signal.h>\n#include <stdlib.h>\n#include <unistd.h>\n"
            f"long {function}(void) {{ {code} }}\n"
        )
        self.does(f'exec {REAL} -D{function}=original_{function} "$@" -O1 {extra}')

    @property
    def environment(self) -> Path:
        """What it saw of variables."""
        return self._folder / "environment"

    @property
    def runs(self) -> int:
        """How often it was run."""
        return len(self._runs.read_text().splitlines()) if self._runs.exists() else 0


@pytest.fixture(scope="session")
def library(tmp_path_factory):
    made = tmp_path_factory.mktemp("library") / "native.so"
    source = Path(native.__file__).with_name("native.c")
    step = [REAL, *native_library._FLAGS, "-O1", "-shared", str(source), "-o", str(made)]
    subprocess.run([*step, "-lpthread", "-lm"], check=True)
    return made


@pytest.fixture
def compiler(tmp_path, library, monkeypatch):
    made = Compiler(tmp_path / "bin", library)
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:{os.environ['PATH']}")
    return made


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "cache" / "kernels"


def kept(folder):
    (path,) = folder.glob("native-*")
    return path


def mode(path):
    return stat.S_IMODE(path.lstat().st_mode)


def test_a_library_is_compiled_once_and_private(compiler, folder):
    assert native.build(folder) is not None
    assert native.build(folder) is not None
    assert compiler.runs == 1
    assert (mode(folder), mode(kept(folder))) == (0o700, 0o600)
    assert [path.name for path in folder.iterdir()] == [kept(folder).name]


def cut(path):
    path.write_bytes(path.read_bytes()[:-5000])


def emptied(path):
    path.write_bytes(b"")


def cut_in_the_digest(path):
    path.write_bytes(path.read_bytes()[:20])


def garbage(path):
    path.write_bytes(random.Random(1).randbytes(path.stat().st_size))


def zeros(path):
    path.write_bytes(bytes(path.stat().st_size))


def longer(path):
    path.write_bytes(path.read_bytes() + b"more")


def link(path):
    path.rename(path.parent.parent / "elsewhere")
    path.symlink_to(path.parent.parent / "elsewhere")


def dangling_link(path):
    path.unlink()
    path.symlink_to(path.parent.parent / "nowhere")


def second_name(path):
    os.link(path, path.parent.parent / "second")


def folder_of_that_name(path):
    path.unlink()
    (path / "inside").mkdir(parents=True)


def pipe(path):
    path.unlink()
    os.mkfifo(path)


def writable_by_others(path):
    path.chmod(0o666)


def huge(path):
    os.truncate(path, 1 << 40)


def another_owner(path):
    if os.geteuid():
        pytest.skip("only root can give a file away")
    os.chown(path, 12345, 12345)


DAMAGES = [
    cut, emptied, cut_in_the_digest, garbage, zeros, longer, link, dangling_link, second_name,
    folder_of_that_name, pipe, writable_by_others, huge, another_owner,
]  # fmt: skip


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_library_that_is_not_as_it_was_left_is_made_anew(compiler, folder, damage):
    native.build(folder)
    good = kept(folder).read_bytes()
    damage(kept(folder))
    assert native.build(folder) is not None
    assert compiler.runs == 2
    assert kept(folder).is_file()
    assert not kept(folder).is_symlink()
    assert (mode(kept(folder)), kept(folder).lstat().st_uid) == (0o600, os.geteuid())
    assert len(kept(folder).read_bytes()) == len(good)
    assert native.build(folder) is not None
    assert compiler.runs == 2


def test_a_flipped_bit_is_found_wherever_it_is(compiler, folder, monkeypatch):
    def fails(_store):
        raise native_library.LibraryError("rebuilding")

    native.build(folder)
    path = kept(folder)
    good = path.read_bytes()
    spread = random.Random(2)
    monkeypatch.setattr(native_library.LibraryStore, "_make", fails)
    places = [0, 63, 64, 65, 66, len(good) - 1, *spread.sample(range(len(good)), 40)]
    for place in places:
        bad = bytearray(good)
        bad[place] ^= 1 << spread.randrange(8)
        path.write_bytes(bytes(bad))
        path.chmod(0o600)
        assert native.build(folder) is None, place
        assert not path.exists()


def test_a_library_that_was_tried_under_another_name_is_not_taken(compiler, folder, monkeypatch):
    """For another CPU, say: whoever can rename files must not choose among them."""
    native.build(folder)
    monkeypatch.setattr(native_library, "_fingerprint", lambda *_given: "0" * 16)
    kept(folder).rename(folder / f"native-{'0' * 16}")
    assert native.build(folder) is not None
    assert compiler.runs == 2


def test_a_library_that_cannot_be_loaded_is_made_anew_once(compiler, folder, caplog):
    native.build(folder)
    path = kept(folder)
    rest = b"\n" + b"\x7fELF of another system"
    key = path.name.removeprefix("native-")
    path.write_bytes(native_library._digest(key, rest) + b"\n" + rest)
    assert native.build(folder) is not None
    assert compiler.runs == 2
    assert "rebuilding" in caplog.text


def test_what_happens_to_the_file_later_does_not_matter(compiler, folder):
    import torch

    made = native.build(folder)
    weights = torch.randn(7, 64).bfloat16()
    x = torch.randn(1, 64)
    os.truncate(kept(folder), 0)
    for name in Path("/proc/self/maps").read_text().splitlines():
        assert str(folder) not in name
    assert torch.allclose(made.bfloat16(x, weights), x @ weights.float().T, atol=1e-3)


def test_a_folder_that_others_could_write_to_is_closed_to_them(compiler, folder):
    folder.mkdir(parents=True)
    folder.chmod(0o777)
    assert native.build(folder) is not None
    assert mode(folder) == 0o700


@pytest.mark.parametrize("kind", ["link", "file", "another owner"])
def test_a_folder_that_is_not_the_users_own_is_not_used(compiler, folder, kind, caplog):
    folder.parent.mkdir()
    if kind == "link":
        (folder.parent / "other").mkdir()
        folder.symlink_to(folder.parent / "other")
    elif kind == "file":
        folder.write_text("")
    else:
        if os.geteuid():
            pytest.skip("only root can give a folder away")
        folder.mkdir()
        os.chown(folder, 12345, 12345)
    told = []
    assert native.build(folder, told.append) is None
    assert compiler.runs == 0
    (line,) = caplog.messages
    assert "not using" in line
    assert len(told) == 1
    assert told[0] in line


def test_a_folder_that_cannot_be_written_to_costs_one_line(compiler, folder, monkeypatch, caplog):
    def fails(*_args):
        raise OSError(30, "Read-only file system")

    monkeypatch.setattr(native_library, "scratch", fails)
    assert native.build(folder) is None
    (line,) = caplog.messages
    assert "Read-only" in line


def test_a_full_disk_costs_a_compilation_at_the_next_start_and_no_more(
    compiler, folder, monkeypatch, caplog
):
    def fails(_fd):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as full:
        full.setattr(native_library.os, "fsync", fails)
        assert native.build(folder) is not None
    assert "No space left" in caplog.text
    assert list(folder.iterdir()) == []
    assert native.build(folder) is not None
    assert compiler.runs == 2


CRASHES = {
    "raise(SIGILL); return 1;": "signal 4",
    "for (;;) pause();": "did not finish",
    "return 1;": "wrong numbers",
}


@pytest.mark.parametrize("code", CRASHES)
def test_a_library_that_fails_its_trial_is_neither_used_nor_tried_again(
    compiler, folder, code, monkeypatch, caplog
):
    if "for" in code:
        monkeypatch.setattr(native_library, "_TRIAL_S", 5)
    compiler.replaces("product_int8", code)
    assert native.build(folder) is None
    assert CRASHES[code] in caplog.text
    assert kept(folder).stat().st_size < 200
    monkeypatch.setattr(native_library.child, "run", None)
    assert native.build(folder) is None
    assert compiler.runs == 1


@pytest.mark.parametrize(
    "function",
    [
        "product_bfloat16",
        "product_int8",
        "product_int4",
        "unpack_rows_int4",
        "attention_bfloat16",
        "normalised_bfloat16",
        "use_threads",
    ],
)
def test_each_function_is_tried(compiler, folder, function, caplog):
    compiler.replaces(function, "raise(SIGSEGV); return 1;")
    assert native.build(folder) is None
    assert "signal 11" in caplog.text


def test_each_function_that_python_calls_is_in_the_trial():
    called = Path(native.__file__).read_text().split("library.")[1:]
    trial = Path(native.__file__).with_name("native_trial.py").read_text()
    for rest in called:
        assert rest.split(None, 1)[0].rstrip(",)") in trial


@pytest.mark.parametrize("line", ["w[part] * scale + offset", "* SCALE(n + o * apart)"])
def test_numbers_that_are_a_little_off_are_found(compiler, folder, line, caplog):
    changed = line.replace("offset", "offset * 1.02f").replace("apart)", "apart) + 0.01f")
    compiler.does(
        f"{sys.executable} - \"$@\" <<'END'\nimport sys\nfrom pathlib import Path\n"
        f"path = next(Path(one) for one in sys.argv if one.endswith('.c'))\n"
        f"text = path.read_text()\nassert {line!r} in text\n"
        f'path.write_text(text.replace({line!r}, {changed!r}))\nEND\nexec {REAL} "$@" -O1'
    )
    assert native.build(folder) is None
    assert "wrong numbers" in caplog.text


def test_a_trial_that_somebody_ends_says_nothing_of_the_library(compiler, folder, caplog):
    compiler.replaces("product_int8", "raise(SIGKILL); return 1;")
    assert native.build(folder) is None
    assert "can't be tested" in caplog.text
    assert not list(folder.iterdir())
    compiler.works()
    assert native.build(folder) is not None


def test_another_compiler_makes_another_library(compiler, folder):
    compiler.replaces("product_int8", "return 0;")
    assert native.build(folder) is None
    compiler.works()
    assert native.build(folder) is not None


def test_without_a_compiler_there_are_none(folder, monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    assert native.build(folder) is None


@pytest.mark.parametrize("entry", ["", ".", "bin", "~/bin"])
def test_a_compiler_that_lies_in_the_current_folder_is_not_run(
    compiler, library, folder, entry, monkeypatch, tmp_path
):
    good = Compiler(tmp_path / "good", library)
    monkeypatch.chdir(tmp_path / "bin" if entry in ("", ".") else tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("PATH", entry)
    assert native.build(folder) is None
    monkeypatch.setenv("PATH", f"{entry}:{tmp_path / 'good'}:/usr/bin:/bin")
    assert native.build(folder) is not None
    assert (compiler.runs, good.runs) == (0, 1)


def test_the_compiler_sees_no_variable_that_could_change_what_it_does(
    compiler, folder, monkeypatch
):
    for name in ("CC", "CFLAGS", "CPATH", "LIBRARY_PATH", "COMPILER_PATH", "LD_PRELOAD"):
        monkeypatch.setenv(name, "")
    monkeypatch.setenv("CPATH", ":/elsewhere")
    assert native.build(folder) is not None
    seen = {line.partition("=")[0] for line in compiler.environment.read_text().splitlines()}
    assert seen <= {"PATH", "TMPDIR", "LC_ALL", "PWD", "SHLVL", "_", "OLDPWD"}


@pytest.mark.parametrize(
    "script", ["sleep 1000 & sleep 1000", "yes noise >&2", "exec >&- 2>&-; sleep 1000"]
)
def test_a_compiler_that_does_not_end_is_stopped_and_not_waited_for_again(
    compiler, folder, script, monkeypatch, caplog
):
    monkeypatch.setattr(native_library, "_COMPILE_S", 1)
    compiler.does(script)
    assert native.build(folder) is None
    assert "did not finish within 1 s" in caplog.text
    assert native.build(folder) is None
    assert compiler.runs == 1
    assert not list(folder.glob("*.part"))


def test_a_compiler_that_fails_costs_one_line_however_much_it_says(compiler, folder, caplog):
    compiler.does("head -c 100000000 /dev/zero | tr '\\0' 'x' >&2; exit 3")
    assert native.build(folder) is None
    (line,) = caplog.messages
    assert "failed (3)" in line
    assert len(line) < 5000
    assert not list(folder.iterdir())


def test_a_compiler_that_makes_nothing_costs_one_line(compiler, folder, caplog):
    compiler.does("exit 0")
    assert native.build(folder) is None
    assert len(caplog.messages) == 1
    assert not list(folder.iterdir())


BUILD = """
import sys
from pathlib import Path
from tui.engine.local.cpu import native
sys.exit(0 if native.build(Path(sys.argv[1])) is not None else 1)
"""


def started(folder):
    return subprocess.Popen([sys.executable, "-c", BUILD, str(folder)])


def test_several_processes_build_at_once(compiler, folder):
    processes = [started(folder) for _ in range(3)]
    assert [process.wait(100) for process in processes] == [0, 0, 0]
    runs = compiler.runs
    assert native.build(folder) is not None
    assert compiler.runs == runs
    assert [path.name for path in folder.iterdir()] == [kept(folder).name]


def test_a_build_that_is_killed_at_any_moment_leaves_nothing_that_is_used(compiler, folder):
    spread = random.Random(4)
    for _ in range(6):
        process = started(folder)
        # Until it compiles, tries or writes: the moment is anybody's guess, and any must do.
        time.sleep(spread.uniform(0.2, 2.0))
        process.send_signal(signal.SIGKILL)
        process.wait()
    assert native.build(folder) is not None
    assert [path.name for path in folder.iterdir()] == [kept(folder).name]


def test_libraries_of_other_versions_do_not_pile_up(compiler, folder):
    folder.mkdir(parents=True)
    for number in range(20):
        (folder / f"native-{number:016}").write_bytes(b"")
        os.utime(folder / f"native-{number:016}", (number, number))
    assert native.build(folder) is not None
    names = sorted(path.name for path in folder.iterdir())
    assert len(names) == 8
    assert f"native-{19:016}" in names
