"""Files of the Hub that come in more than one go, against a server on this machine that counts what it sends."""

import errno
import hashlib
import random
import shutil
import time
from types import SimpleNamespace

import pytest

from tests.engine.test_hub import wait
from tests.hub_server import Repo, serving
from tui.engine.base import ModelLoadError
from tui.engine.downloads import Downloads, DownloadStatus
from tui.engine.fetching import blobs_folder, partial_bytes
from tui.engine.hub import Hub
from tui.engine.local.progress import Bar, Reporter

HEADER = b'{"w": {"dtype": "U8", "shape": [600000], "data_offsets": [0, 600000]}}'
WEIGHTS = len(HEADER).to_bytes(8, "little") + HEADER + random.Random(7).randbytes(600_000)
CONFIG = b'{"model_type": "llama"}'
ETAG = hashlib.sha256(WEIGHTS).hexdigest()


@pytest.fixture
def server():
    with serving() as running:
        yield running


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr(constants, "HF_TOKEN_PATH", str(tmp_path / "no-token"))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(constants, "HF_HUB_DOWNLOAD_TIMEOUT", 2)


def repo(server, **options):
    return server.add(
        Repo("org/big", {"config.json": CONFIG, "model.safetensors": WEIGHTS}, **options)
    )


def leave_a_part(part):
    folder = blobs_folder("org/big")
    folder.mkdir(parents=True)
    (folder / f"{ETAG}.chat-tui.incomplete").write_bytes(part)


def weights(folder):
    return (folder / "model.safetensors").read_bytes()


def stop_at(downloads, count):
    deadline = time.monotonic() + 20
    while not any(one.done_bytes > count for one in downloads.all):
        assert time.monotonic() < deadline
        time.sleep(0.005)
    downloads.cancel("org/big")
    # The thread that was stopped lets go of the file a moment later.
    while True:
        before = partial_bytes("org/big")
        time.sleep(0.2)
        if before == partial_bytes("org/big"):
            return before


def test_a_stopped_download_asks_only_for_the_rest(server):
    big = repo(server, piece_s=0.01)
    downloads = Downloads(Hub(server.url))
    downloads.start("org/big")
    held = stop_at(downloads, len(WEIGHTS) // 2)
    assert held >= len(WEIGHTS) // 2
    plan = Hub(server.url).plan("org/big")
    assert plan.missing_bytes == len(WEIGHTS) - held
    big.piece_s = 0.0
    server.sent_bytes = 0
    downloads.start("org/big")
    ended = wait(downloads, "org/big")
    assert ended.status is DownloadStatus.DONE
    assert ended.done_bytes == ended.total_bytes == len(WEIGHTS) + len(CONFIG)
    assert len(WEIGHTS) - held <= server.sent_bytes <= len(WEIGHTS) - held + len(CONFIG)
    assert weights(Hub(server.url).snapshot("org/big")) == WEIGHTS
    assert partial_bytes("org/big") == 0


def test_a_download_that_goes_on_counts_from_where_it_was(server):
    repo(server)
    leave_a_part(WEIGHTS[:400_000])
    seen = []

    class Seen(Bar):
        def __init__(self, *args, **options):
            seen.append((options.get("initial"), options.get("total"), options.get("unit")))
            super().__init__(Reporter(lambda _event: None, lambda: False), "", "", *args, **options)

    Hub(server.url).snapshot("org/big", tqdm_class=Seen)
    assert seen[0] == (400_000, len(WEIGHTS) + len(CONFIG), "B")
    assert all(unit == "file" for _, _, unit in seen[1:])


@pytest.mark.parametrize(
    "part", [b"x" * 300_000, WEIGHTS[:-1] + b"?", WEIGHTS + b"more"], ids=["other", "whole", "longer"]
)  # fmt: skip
def test_a_part_that_is_of_something_else_is_thrown_away(server, part):
    repo(server)
    leave_a_part(part)
    assert weights(Hub(server.url).snapshot("org/big")) == WEIGHTS
    assert partial_bytes("org/big") == 0


def test_a_part_that_was_complete_needs_nothing_of_the_server(server):
    repo(server)
    leave_a_part(WEIGHTS)
    assert weights(Hub(server.url).snapshot("org/big")) == WEIGHTS
    assert server.sent_bytes <= len(CONFIG)


def test_a_server_without_ranges_sends_the_whole(server):
    repo(server, ranges=False)
    leave_a_part(WEIGHTS[:300_000])
    downloads = Downloads(Hub(server.url))
    downloads.start("org/big")
    ended = wait(downloads, "org/big")
    assert (ended.status, ended.done_bytes) == (DownloadStatus.DONE, len(WEIGHTS) + len(CONFIG))
    assert weights(Hub(server.url).snapshot("org/big")) == WEIGHTS


def test_what_is_not_what_the_hub_promised_never_becomes_a_file_of_the_cache(
    server, monkeypatch
):  # fmt: skip
    repo(server)
    monkeypatch.setattr("tests.hub_server._etag", lambda data: f"{len(data):064}")
    with pytest.raises(ModelLoadError, match="arrived damaged"):
        Hub(server.url).snapshot("org/big")
    assert not list(blobs_folder("org/big").glob("*[0-9]"))


def test_a_connection_that_breaks_goes_on_in_the_same_download(server):
    repo(server, breaks_after=200_000)
    assert weights(Hub(server.url).snapshot("org/big")) == WEIGHTS
    assert server.sent_bytes < len(WEIGHTS) + 200_000


def test_a_slow_download_moves_with_every_piece(server):
    repo(server, piece_s=0.01)
    downloads = Downloads(Hub(server.url))
    downloads.start("org/big")
    counts, speeds = set(), []
    deadline = time.monotonic() + 30
    while downloads.running and time.monotonic() < deadline:
        [one] = downloads.all
        counts.add(one.done_bytes)
        speeds.append(one.bytes_per_s)
        time.sleep(0.01)
    assert len(counts) > 10
    # It can't be faster than the server's pace.
    assert max(speeds) < 4096 / 0.01


def test_a_disk_without_room_is_not_filled_first(server, monkeypatch):
    repo(server)
    monkeypatch.setattr(shutil, "disk_usage", lambda _path: SimpleNamespace(free=1000))
    with pytest.raises(OSError, match="No space") as raised:
        Hub(server.url).snapshot("org/big")
    assert raised.value.errno == errno.ENOSPC
    assert server.sent_bytes == 0


def test_without_the_hub_what_is_whole_in_the_cache_is_taken(server):
    repo(server)
    folder = Hub(server.url).snapshot("org/big")
    assert Hub("http://127.0.0.1:9").snapshot("org/big") == folder
    server.broken = 503
    assert Hub(server.url).snapshot("org/big") == folder
