"""Widgets in small apps of their own."""

from __future__ import annotations

import pytest

from tests.quick_pilot import make_quick


@pytest.fixture(autouse=True)
def _pilots_are_quick(monkeypatch: pytest.MonkeyPatch) -> None:
    make_quick(monkeypatch)
