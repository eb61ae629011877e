"""A server to talk to, and the engine that talks to it."""

from __future__ import annotations

import pytest

from tests.engine.remote.asking import asking
from tests.engine.remote.columns import COLUMNS
from tests.engine.remote.fake_server import serving


@pytest.fixture(params=list(COLUMNS))
def server(request):
    """Each kind of server in turn; `mark.parametrize("server", [...], indirect=True)` picks some."""
    with serving(request.param) as running:
        yield running


@pytest.fixture
def asker():
    with asking() as made:
        yield made
