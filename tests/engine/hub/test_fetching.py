"""Files of the Hub that come in more than one go, against a server on this machine that counts what it sends."""

import errno
import hashlib
import random
import shutil
import time
from types import SimpleNamespace

import pytest

from tests.engine.hub.hub_case import QUICK
from tests.engine.hub.test_hub import wait
from tests.hub_server import Repo, serving
from tui.engine.base import ModelLoadError
from tui.engine.hub.cache import RepoCache
from tui.engine.hub.downloads import Downloads, DownloadStatus
from tui.engine.hub.hub import Hub
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


def partial_bytes(repo_id):
    return RepoCache(repo_id).partial_bytes()


def blobs_folder(repo_id):
    return RepoCache(repo_id).blobs


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
    downloads = Downloads(lambda: Hub(server.url))
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
    downloads = Downloads(lambda: Hub(server.url))
    downloads.start("org/big")
    ended = wait(downloads, "org/big")
    assert (ended.status, ended.done_bytes) == (DownloadStatus.DONE, len(WEIGHTS) + len(CONFIG))
    assert weights(Hub(server.url).snapshot("org/big")) == WEIGHTS


def test_what_is_not_what_the_hub_promised_never_becomes_a_file_of_the_cache(
    server, monkeypatch
):  # fmt: skip
    repo(server)
    monkeypatch.setattr("tests.hub_server.etag", lambda _name, data: f"{len(data):064}")
    with pytest.raises(ModelLoadError, match="was damaged during the download"):
        Hub(server.url).snapshot("org/big")
    assert not list(blobs_folder("org/big").glob("*[0-9]"))


def test_a_connection_that_breaks_goes_on_in_the_same_download(server):
    repo(server, breaks_after=200_000)
    assert weights(Hub(server.url).snapshot("org/big")) == WEIGHTS
    assert server.sent_bytes < len(WEIGHTS) + 200_000


def test_a_slow_download_moves_with_every_piece(server):
    repo(server, piece_s=0.01)
    downloads = Downloads(lambda: Hub(server.url))
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
    with pytest.raises(ModelLoadError, match="disk is full") as raised:
        Hub(server.url).snapshot("org/big")
    assert raised.value.__cause__.errno == errno.ENOSPC
    assert server.sent_bytes == 0


def test_without_the_hub_what_is_whole_in_the_cache_is_taken(server):
    repo(server)
    folder = Hub(server.url).snapshot("org/big")
    assert Hub("http://127.0.0.1:9").snapshot("org/big") == folder
    server.broken = 503
    assert Hub(server.url).snapshot("org/big") == folder


def fault_of(kind):
    """Return a fault at the rest of the weights: it shows once, and then the server is honest."""
    done = []

    def fault(request):
        if "Range" not in request.headers or done or request.command != "GET":
            return False
        done.append(kind)
        start = int(request.headers["Range"].removeprefix("bytes=").partition("-")[0])
        rest, total = WEIGHTS[start:], len(WEIGHTS)
        match kind:
            case "no such range":
                request.reply(416, b"", {"Content-Range": f"bytes */{total}"})
            case "another start":
                request.reply(206, WEIGHTS, {"Content-Range": f"bytes 0-{total - 1}/{total}"})
            case "another total":
                ends = f"bytes {start}-{total - 1}/{total + 5}"
                request.reply(206, rest, {"Content-Range": ends})
            case "no start":
                request.reply(206, rest)
            case "other bytes":
                ends = f"bytes {start}-{total - 1}/{total}"
                request.reply(206, b"x" * len(rest), {"Content-Range": ends})
            case "less":
                ends = f"bytes {start}-{total - 1}/{total}"
                request.reply(206, rest[:10], {"Content-Range": ends})
            case "more":
                request.reply(206, rest + b"x" * 100_000)
        return True

    return fault, done


@pytest.mark.parametrize(
    "kind",
    ["no such range", "another start", "another total", "no start", "other bytes", "less", "more"],
)
def test_a_server_that_goes_on_wrongly_is_asked_for_the_whole(server, kind):
    repo(server)
    leave_a_part(WEIGHTS[:300_000])
    server.fault, seen = fault_of(kind)
    assert weights(Hub(server.url, QUICK).snapshot("org/big")) == WEIGHTS
    assert seen == [kind]
    assert partial_bytes("org/big") == 0


def test_a_range_that_is_refused_again_and_again_is_an_error(server):
    repo(server)
    server.fault = lambda request: (
        "model.safetensors" in request.path and (request.reply(416, b"") or True)
    )
    with pytest.raises(ModelLoadError, match=r"error \(416\)"):
        Hub(server.url, QUICK).snapshot("org/big")


def test_a_file_that_changes_between_two_tries_is_begun_anew(server):
    big = repo(server, breaks_after=200_000)
    asked = []

    def fault(request):
        if "model.safetensors" in request.path and request.command == "GET":
            asked.append((request.headers.get("Range"), request.headers.get("If-Range")))
            if len(asked) == 2:
                # The part would be of another content.
                big.ranges = False
        return False

    server.fault = fault
    assert weights(Hub(server.url, QUICK).snapshot("org/big")) == WEIGHTS
    assert asked[0] == (None, None)
    assert asked[1][0] is not None
    assert asked[1][1] == f'"{ETAG}"'


def test_damage_on_the_way_is_asked_for_once_more_and_then_said(server):
    repo(server)
    left = [1]

    def fault(request):
        if "model.safetensors" in request.path and request.command == "GET" and left[0]:
            left[0] -= 1
            request.reply(200, b"?" + WEIGHTS[1:])
            return True
        return False

    server.fault = fault
    assert weights(Hub(server.url, QUICK).snapshot("org/big")) == WEIGHTS
    shutil.rmtree(blobs_folder("org/big"))
    left[0] = 10
    with pytest.raises(ModelLoadError, match="was damaged during the download") as raised:
        Hub(server.url, QUICK).snapshot("org/big")
    assert left[0] == 8
    assert raised.value.hint
    assert partial_bytes("org/big") == 0


def test_a_file_beyond_what_the_hub_sends_in_one_go_is_fetched_by_the_library_and_checked(
    server, monkeypatch
):
    from huggingface_hub import constants, file_download

    repo(server)
    monkeypatch.setattr(constants, "MAX_HTTP_DOWNLOAD_SIZE", 100_000)
    server.changed_headers = {"X-Xet-Hash": "a" * 64, "X-Xet-Refresh-Route": f"{server.url}/api/x"}
    content = [WEIGHTS]
    monkeypatch.setattr(
        file_download,
        "xet_get",
        lambda incomplete_path, **_o: incomplete_path.write_bytes(content[0]),
    )
    assert weights(Hub(server.url, QUICK).snapshot("org/big")) == WEIGHTS
    shutil.rmtree(blobs_folder("org/big"))
    content[0] = b"?" + WEIGHTS[1:]
    with pytest.raises(ModelLoadError, match="was damaged during the download"):
        Hub(server.url, QUICK).snapshot("org/big")
    # The token would go to where access is renewed.
    for changed in ({"X-Xet-Refresh-Route": "https://evil.example/x"}, {"X-Xet-Hash": "../x"}):
        server.changed_headers |= changed
        with pytest.raises(ModelLoadError, match="the location of a large file"):
            Hub(server.url, QUICK).snapshot("org/big")
        server.changed_headers |= {"X-Xet-Refresh-Route": f"{server.url}/api/x"}
