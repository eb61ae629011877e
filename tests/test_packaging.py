"""What a user gets who installs the wheel, and what the set-up files must agree on."""

from __future__ import annotations

import email
import os
import re
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from importlib.metadata import distribution
from itertools import chain
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]


@pytest.fixture(scope="module")
def built(tmp_path_factory) -> Path:
    """A folder with the wheel and the sdist."""
    folder = tmp_path_factory.mktemp("dist")
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-d", str(folder)],
        cwd=ROOT,
        check=True,
        capture_output=True,
        timeout=120,
    )
    return folder


@pytest.fixture(scope="module")
def wheel(built) -> zipfile.ZipFile:
    [path] = built.glob("*.whl")
    with zipfile.ZipFile(path) as opened:
        yield opened


def test_the_wheel_has_every_module_and_every_theme(wheel):
    shipped = set(wheel.namelist())
    modules = {str(path.relative_to(ROOT)) for path in (ROOT / "tui").rglob("*.py")}
    styles = {str(path.relative_to(ROOT)) for path in (ROOT / "tui").rglob("*.tcss")}
    themes = {f"tui/themes/{path.name}" for path in (ROOT / "themes").glob("*.toml")}
    assert themes
    assert modules | styles | themes <= shipped


def test_the_wheel_has_nothing_beside_the_package(wheel):
    tops = {name.partition("/")[0] for name in wheel.namelist()}
    assert {top for top in tops if not top.endswith(".dist-info")} == {"tui"}
    assert not [name for name in wheel.namelist() if "__pycache__" in name]


def test_the_wheel_says_what_it_is(wheel):
    [name] = [name for name in wheel.namelist() if name.endswith("/METADATA")]
    metadata = email.message_from_bytes(wheel.read(name))
    assert metadata["Name"] == "chat-tui"
    assert metadata["License-Expression"] == "Apache-2.0"
    assert metadata["Requires-Python"] == ">=3.11"
    assert any("LICENSE" in name for name in wheel.namelist())


def test_the_unpacked_wheel_runs(wheel, tmp_path):
    wheel.extractall(tmp_path / "site")
    ended = subprocess.run(
        [sys.executable, "-m", "tui", "--help"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(tmp_path / "site")},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr
    assert "chat-tui" in ended.stdout


def test_the_sdist_has_what_the_wheel_is_built_from(built):
    [path] = built.glob("*.tar.gz")
    with tarfile.open(path) as opened:
        names = {name.partition("/")[2] for name in opened.getnames()}
    themes = {f"themes/{path.name}" for path in (ROOT / "themes").glob("*.toml")}
    assert {"pyproject.toml", "LICENSE", "README.md", "tui/cli.py"} | themes <= names


def _pins() -> dict[str, str]:
    lines = (ROOT / "constraints.txt").read_text("utf-8").splitlines()
    pins = [line.split("==") for line in lines if line and not line.startswith("#")]
    assert all(len(pin) == 2 for pin in pins), "a constraint is one exact version"
    return {canonicalize_name(name): version for name, version in pins}


def _requirements() -> list[Requirement]:
    extras = PROJECT["optional-dependencies"].values()
    return [Requirement(text) for text in chain(PROJECT["dependencies"], *extras)]


@pytest.mark.parametrize("requirement", _requirements(), ids=lambda requirement: requirement.name)
def test_every_requirement_is_pinned_within_its_range(requirement):
    version = _pins()[canonicalize_name(requirement.name)]
    assert requirement.specifier.contains(version)
    assert re.search(r"\d", str(requirement.specifier)), "a requirement without a lower bound"


def test_what_the_requirements_bring_along_is_pinned_too():
    pins, seen = _pins(), set()
    waiting = [
        requirement
        for requirement in _requirements()
        if (m := requirement.marker) is None or m.evaluate()
    ]
    while waiting:
        requirement = waiting.pop()
        name = canonicalize_name(requirement.name)
        if name in seen:
            continue
        seen.add(name)
        brought = map(Requirement, distribution(name).requires or ())
        waiting += [
            inner
            for inner in brought
            if inner.marker is None
            or any(inner.marker.evaluate({"extra": extra}) for extra in ("", *requirement.extras))
        ]
    # GPU builds of torch bring packages of their own, whose versions torch itself pins.
    foreign = re.compile(r"nvidia-|cuda-|triton|setuptools")
    assert [name for name in sorted(seen - pins.keys()) if not foreign.match(name)] == []
