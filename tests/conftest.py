"""What holds for all the tests: nothing reaches out for a network, and tests of the real model take turns."""

from __future__ import annotations

import gc
import os

import pytest
from hypothesis import settings

from tests import real_servers

# Before any library of the Hub is imported: a test that needed a network would fail at once and not hang.
os.environ["HF_HUB_OFFLINE"] = "1"

# Workers share the cores. With threads for all of them each, tiny models would wait for threads that are not run.
if (workers := int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "0"))) > 1:
    os.environ.setdefault("OMP_NUM_THREADS", str(max(1, (os.cpu_count() or 1) // workers)))

# What libraries and tests have made stays to the end: looking for garbage in it took a quarter of the time of tests of screens.
gc.set_threshold(100_000, 20, 50)

# No test asserts on the clock, and Hypothesis does by itself: an example that takes long on a busy machine is no failure.
settings.register_profile("chat-tui", deadline=None)
settings.load_profile("chat-tui")


@pytest.fixture(scope="module", autouse=True)
def _what_was_imported_is_no_garbage():
    """Each load and unload of a model collects garbage too. As in the app, what is there by then is not searched for it again."""
    gc.collect()
    gc.freeze()


@pytest.fixture(scope="session")
def transformers_serve(tmp_path_factory):
    """The address of the demo model on `transformers serve`."""
    with real_servers.transformers_serve(tmp_path_factory.mktemp("transformers")) as url:
        yield url


@pytest.fixture(scope="session")
def llama_server(tmp_path_factory):
    """The address of the demo model on llama-server."""
    with real_servers.llama_server(tmp_path_factory.mktemp("llama")) as url:
        yield url


_SERVERS = {"transformers_serve", "llama_server"}


def _needs_servers(item):
    """Whether a test needs a real server, by a fixture or by the name of one as a parameter."""
    asked = set(item.fixturenames)
    if (call := getattr(item, "callspec", None)) is not None:
        asked |= {value for value in call.params.values() if isinstance(value, str)}
    return bool(asked & _SERVERS)


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items):
    # Each real server is started by one worker alone, and two real models at a time would fight for cores and memory: one worker
    # runs all tests of a kind, one after another.
    for item in items:
        if _needs_servers(item):
            item.add_marker(pytest.mark.xdist_group("servers"))
        elif item.get_closest_marker("model"):
            item.add_marker(pytest.mark.xdist_group("model"))
