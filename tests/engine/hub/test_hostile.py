"""A Hub that means harm: nothing it says becomes a path outside the cache, takes all memory, or takes for ever."""

import contextlib
import gzip
import json
import time
import zlib

import pytest

from tests.engine.hub.hub_case import (
    CONFIG,
    ID,
    QUICK,
    WEIGHTS,
    hub,
    in_tree,
    is_file_request,
    is_whole,
    leads_out,
    model,
    outside,
    with_file,
)
from tui.engine.base import ModelLoadError

EVIL = "../../../../evil"
COMMITS = [EVIL, "", None, 5, "main", "A" * 40, "0" * 39, "0" * 40 + "/..", ["0" * 40], {"a": 1}]
NAMES = [
    "../../../../evil.json",
    "/evil.json",
    "a/../../../../evil.json",
    "..\\..\\evil.json",
    "C:evil.json",
    "a//b.json",
    "./a.json",
    "a/./b.json",
    "nul\0.json",
    "line\nbreak.json",
    "\x1b[31mred.json",
    "\u202egpj.json",
    "\ud800.json",
    "CON.json",
    "a/aux.json",
    "com1.json",
    "dot./a.json",
    " a.json",
    "x" * 300 + ".json",
    "/".join("d" * 20) + "/a.json",
    "x/" * 600 + "a.json",
]
SIZES = [-1, 2**63, 10**400, 1.5, "12", None, True, [1]]


@pytest.fixture
def before(tmp_path, hub_cache):
    """What must still be the same afterwards."""
    return outside(tmp_path, hub_cache)


def refused(call, match="unusable response"):
    with pytest.raises(ModelLoadError, match=match) as raised:
        call()
    assert raised.value.hint
    assert len(f"{raised.value.message}{raised.value.hint}") < 700
    assert raised.value.message.isprintable()
    return raised.value


def assert_nothing_stored(cache):
    assert not [path for path in cache.rglob("*") if path.is_file() and path.name != "CACHEDIR.TAG"]


@pytest.mark.parametrize(
    "etag", [EVIL, f'"{EVIL}"', "/evil", "..", ".", "", '"', "a\\..\\b", "x" * 5000, 'W/"../../evil"', '"a", "b"']
)  # fmt: skip
def test_an_etag_never_becomes_a_path(hub_server, hub_cache, tmp_path, before, etag):
    model(hub_server)
    hub_server.changed_headers = {"ETag": etag, "X-Linked-ETag": etag}
    assert is_whole(hub(hub_server).snapshot(ID))
    assert outside(tmp_path, hub_cache) == before
    assert leads_out(hub_cache) == []


@pytest.mark.parametrize("commit", COMMITS)
def test_a_revision_that_is_no_commit_is_refused(hub_server, hub_cache, tmp_path, before, commit):
    model(hub_server)
    hub_server.changed_json = lambda path, value: (
        {**value, "sha": commit} if "/revision/" in path else value
    )
    refused(lambda: hub(hub_server).plan(ID))
    refused(lambda: hub(hub_server).snapshot(ID))
    assert outside(tmp_path, hub_cache) == before
    assert_nothing_stored(hub_cache)


def test_the_commit_beside_a_file_becomes_no_path(hub_server, hub_cache, tmp_path, before):
    repo = model(hub_server)
    hub_server.changed_headers = {"X-Repo-Commit": EVIL}
    assert hub(hub_server).snapshot(ID).name == repo.sha
    assert outside(tmp_path, hub_cache) == before


@pytest.mark.parametrize("name", NAMES)
def test_a_file_name_that_could_lead_out_is_refused(hub_server, hub_cache, tmp_path, before, name):
    model(hub_server)
    hub_server.changed_json = with_file(name)
    refused(lambda: hub(hub_server).plan(ID), "lists a file with the invalid name")
    refused(lambda: hub(hub_server).snapshot(ID), "lists a file with the invalid name")
    assert outside(tmp_path, hub_cache) == before
    assert_nothing_stored(hub_cache)


@pytest.mark.parametrize("name", ["../../../photo.png", 5, None, ["a.json"], {}])
def test_a_name_that_no_one_wants_does_no_harm(hub_server, hub_cache, tmp_path, before, name):
    model(hub_server)
    hub_server.changed_json = with_file(name)
    assert is_whole(hub(hub_server).snapshot(ID))
    assert outside(tmp_path, hub_cache) == before


@pytest.mark.parametrize("name", ["Config.json", "config.json/a.json", "CONFIG.JSON/b/a.json"])
def test_names_that_lie_on_each_other_are_refused(hub_server, hub_cache, name):
    model(hub_server)
    hub_server.changed_json = with_file(name)
    refused(lambda: hub(hub_server).snapshot(ID))
    assert_nothing_stored(hub_cache)


@pytest.mark.parametrize("size", SIZES)
def test_a_size_that_no_file_has_is_refused(hub_server, hub_cache, size):
    model(hub_server)
    hub_server.changed_json = in_tree(lfs={"oid": "0" * 64, "size": size})
    refused(lambda: hub(hub_server).plan(ID), "has the invalid size")


def test_a_size_that_no_disk_has_is_said_before_anything_is_fetched(hub_server, hub_cache):
    model(hub_server)
    hub_server.changed_json = in_tree(lfs={"oid": "0" * 64, "size": 2**49})
    assert not hub(hub_server).plan(ID).fits
    refused(lambda: hub(hub_server).snapshot(ID), "disk is full")
    assert hub_server.sent_bytes == 0


@pytest.mark.parametrize("digest", [EVIL, "", None, 7, "g" * 64, "0" * 63, ["0" * 64]])
def test_a_hash_that_is_none_is_refused(hub_server, hub_cache, tmp_path, before, digest):
    model(hub_server)
    hub_server.changed_json = in_tree(lfs={"oid": digest, "size": 5})
    refused(lambda: hub(hub_server).snapshot(ID), "has the invalid hash")
    assert outside(tmp_path, hub_cache) == before


@pytest.mark.parametrize(
    "name", ["../../evil", "..", "a/../b", "x--y/z", "org/model/more", "", "a b", "\0"]
)
def test_a_model_is_not_called_by_a_path(hub_server, hub_cache, tmp_path, before, name):
    for call in (hub(hub_server).plan, hub(hub_server).facts, hub(hub_server).snapshot):
        refused(lambda call=call: call(name), "isn't a valid model name")
    assert hub_server.requests == []
    assert outside(tmp_path, hub_cache) == before


@pytest.mark.parametrize(
    "revision", ["../../../evil", "/evil", "a/../b", "refs/.x", "a\nb", "x" * 200, "a\\b"]
)
def test_a_revision_is_not_called_by_a_path(hub_server, hub_cache, tmp_path, before, revision):
    model(hub_server)
    for call in (hub(hub_server).plan, hub(hub_server).facts, hub(hub_server).snapshot):
        refused(lambda call=call: call(ID, revision), "isn't a valid revision")
    assert outside(tmp_path, hub_cache) == before


def test_a_search_shows_only_what_can_be_a_model_and_short_clean_texts(hub_server, hub_cache):
    model(hub_server)
    long = "\x1b]52;c;evil\x07" + "x" * 100_000
    odd = {
        "id": "org/odd", "downloads": -5, "likes": 10**400, "gated": [], "lastModified": 7, "config": [],
        "tags": [f"license:{long}", 5, None], "safetensors": {"total": 1e999, "parameters": {long: -1, "F32": "x"}},
    }  # fmt: skip
    bad = [
        {"id": one} for one in ("../../evil", "a/../b", 5, None, "\x1b[31m", "a--b/c", "x" * 500)
    ]
    hub_server.changed_json = lambda _path, value: [*bad, "text", None, odd, *value]
    found = hub(hub_server).search("x")
    assert [one.id for one in found][:1] == ["org/odd"]
    assert (found[0].downloads, found[0].likes, found[0].parameters) == (0, 0, 0)
    for text in (found[0].licence, found[0].dtype, found[0].updated):
        assert len(text) <= 100
        assert text.isprintable()


@pytest.mark.parametrize("what", ["search", "facts", "plan", "snapshot"])
@pytest.mark.parametrize(
    "body",
    [b"[" * 100_000, b'{"a":' * 100_000, b"9" * 10_000, b"\xff\xfe\x00", b"", b"null", b"5", b'"text"', b"[1]", b"{}"],
)  # fmt: skip
def test_an_answer_that_is_no_answer_is_a_sentence(hub_server, hub_cache, what, body):
    model(hub_server)
    hub_server.fault = lambda request: request.reply(200, body) or True
    call = getattr(hub(hub_server), what)
    with contextlib.suppress(ModelLoadError):
        call("" if what == "search" else ID)


def bomb(coding):
    """Return a few megabytes that unpack to gigabytes of blanks."""
    packer = zlib.compressobj(wbits=zlib.MAX_WBITS | (0 if coding == "deflate" else 16))
    start = packer.compress(b"[") + packer.flush(zlib.Z_FULL_FLUSH)
    block = packer.compress(b" " * 2**20) + packer.flush(zlib.Z_FULL_FLUSH)
    return start + block * 4000


@pytest.mark.parametrize("coding", ["gzip", "deflate", "x-gzip"])
@pytest.mark.parametrize("what", ["search", "facts", "plan", "snapshot"])
def test_what_is_packed_is_not_unpacked_beyond_a_limit(hub_server, hub_cache, what, coding):
    import resource

    model(hub_server)
    body = bomb(coding)
    hub_server.fault = lambda request: (
        request.reply(200, body, {"Content-Encoding": coding}) or True
    )
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    refused(lambda: getattr(hub(hub_server, SLOW), what)("" if what == "search" else ID))
    grown_kb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    assert grown_kb < 100_000


@pytest.mark.parametrize("coding", ["br", "zstd", "gzip, gzip", "identity, gzip", "what-ever"])
def test_a_coding_that_was_not_asked_for_is_refused(hub_server, hub_cache, coding):
    hub_server.fault = lambda request: (
        request.reply(200, b"[]", {"Content-Encoding": coding}) or True
    )
    refused(lambda: hub(hub_server).search(), "uses a compression")


def test_an_answer_that_comes_packed_unasked_is_read(hub_server, hub_cache):
    model(hub_server)

    def fault(request):
        if request.path.endswith("/config.json"):
            request.reply(200, gzip.compress(CONFIG), {"Content-Encoding": "gzip"})
            return True
        return False

    hub_server.fault = fault
    assert hub(hub_server).facts(ID).architecture == "llama"
    assert is_whole(hub(hub_server).snapshot(ID))


SLOW = type(QUICK)(answer_s=20.0, quiet_s=2.0, again_s=0.01)


def endless(request, pace_s=0.0, piece=b" " * 65_536):
    """Answer with a body that never ends."""
    request._begin(200, {"Transfer-Encoding": "chunked"})
    while True:
        request.wfile.write(b"%x\r\n%s\r\n" % (len(piece), piece))
        request.wfile.flush()
        time.sleep(pace_s)


@pytest.mark.parametrize("what", ["search", "facts", "plan", "snapshot"])
def test_a_body_that_never_ends_is_given_up(hub_server, hub_cache, what):
    model(hub_server)
    hub_server.fault = endless
    refused(lambda: getattr(hub(hub_server, SLOW), what)("" if what == "search" else ID))


@pytest.mark.parametrize("what", ["search", "facts", "plan", "snapshot"])
def test_an_answer_that_drips_is_given_up(hub_server, hub_cache, what):
    model(hub_server)
    hub_server.fault = lambda request: endless(request, 0.05, b" ")
    refused(
        lambda: getattr(hub(hub_server), what)("" if what == "search" else ID), "can't be reached"
    )


def test_headers_that_drip_are_given_up(hub_server, hub_cache):
    def fault(request):
        request.wfile.write(b"HTTP/1.1 200 OK\r\n")
        while True:
            request.wfile.write(b"X: y\r\n")
            request.wfile.flush()
            time.sleep(0.05)

    hub_server.fault = fault
    refused(lambda: hub(hub_server).search(), "can't be reached")


def test_an_answer_that_is_announced_for_ever_is_given_up(hub_server, hub_cache):
    def fault(request):
        while True:
            request.wfile.write(b"HTTP/1.1 103 Early Hints\r\n\r\n")
            request.wfile.flush()
            time.sleep(0.01)

    hub_server.fault = fault
    refused(lambda: hub(hub_server).search(), "can't be reached")


def test_weights_that_drip_are_given_up(hub_server, hub_cache):
    model(hub_server)

    def fault(request):
        if "model.safetensors" not in request.path or request.command != "GET":
            return False
        request._begin(200, {"Content-Length": str(len(WEIGHTS))})
        for byte in WEIGHTS:
            request.wfile.write(bytes([byte]))
            request.wfile.flush()
            time.sleep(0.02)
        return True

    hub_server.fault = fault
    refused(lambda: hub(hub_server).snapshot(ID), "can't be reached")


def test_weights_that_are_longer_than_said_are_cut_and_refused(hub_server, hub_cache):
    model(hub_server)
    hub_server.fault = lambda request: (
        "model.safetensors" in request.path and request.command == "GET" and endless(request)
    )
    refused(lambda: hub(hub_server).snapshot(ID), "was damaged during the download")
    held = sum(path.lstat().st_size for path in hub_cache.rglob("*") if path.is_file())
    assert held < 10_000


def test_a_head_that_is_answered_with_a_body_does_no_harm(hub_server, hub_cache):
    model(hub_server)

    def fault(request):
        if request.command == "HEAD":
            request._begin(200, {"Content-Length": "50"})
            request.wfile.write(b"x" * 50)
            return True
        return False

    hub_server.fault = fault
    assert is_whole(hub(hub_server).snapshot(ID))


def test_a_server_without_ranges_is_not_read_to_its_end_for_a_header(hub_server, hub_cache):
    repo = model(hub_server, ranges=False)
    repo.files["model.safetensors"] = WEIGHTS + bytes(50_000_000)
    assert hub(hub_server, SLOW).facts(ID).parameters == 60_000
    assert hub_server.sent_bytes < 20_000_000


@pytest.mark.parametrize(
    "start",
    [(2**63).to_bytes(8, "little"), (2**31).to_bytes(8, "little"), b"\xff" * 8, b"", b"\0\0\0"],
)
def test_a_header_as_long_as_it_likes_is_refused(hub_server, hub_cache, start):
    repo = model(hub_server)
    repo.files["model.safetensors"] = start + b"{" * 200_000 if len(start) == 8 else start
    refused(lambda: hub(hub_server).facts(ID))


@pytest.mark.parametrize(
    "tensors",
    [
        {"w": {"dtype": "F32", "shape": [-1], "data_offsets": [0, 0]}},
        {"w": {"dtype": "F32", "shape": [10**400], "data_offsets": [0, 0]}},
        {"w": {"dtype": "F32", "shape": [2**40] * 7, "data_offsets": [0, 0]}},
        {"w": {"dtype": "F32", "shape": [1] * 1000, "data_offsets": [0, 0]}},
        {"w": {"dtype": "F32", "shape": 5}},
        {"w": {"dtype": ["F32"], "shape": [5]}},
        {"w": []},
    ],
)
def test_a_tensor_with_an_absurd_shape_is_refused(hub_server, hub_cache, tensors):
    repo = model(hub_server)
    header = json.dumps(tensors).encode()
    data = len(header).to_bytes(8, "little") + header
    hub_server.fault = lambda request: (
        "model.safetensors" in request.path and (request.reply(206, data) or True)
    )
    refused(lambda: hub(hub_server).facts(repo.id))


@pytest.mark.parametrize(
    "files",
    [["../../evil.safetensors"], ["/evil"], [5], [None], ["a.safetensors"] * 3, {"a": 1}, "x", [f"{n}" for n in range(2000)]],
)  # fmt: skip
def test_an_index_that_names_anything_is_refused_or_harmless(
    hub_server, hub_cache, tmp_path, before, files
):
    repo = model(hub_server)
    del repo.files["model.safetensors"]
    values = dict(enumerate(files)) if isinstance(files, list) else files
    repo.files["model.safetensors.index.json"] = json.dumps({"weight_map": values}).encode()
    with contextlib.suppress(ModelLoadError):
        hub(hub_server).facts(ID)
    assert not any("evil" in line for line in hub_server.requests)
    assert outside(tmp_path, hub_cache) == before


def test_a_list_that_never_ends_is_given_up(hub_server, hub_cache):
    model(hub_server)
    hub_server.fault = lambda request: (
        "/tree/" in request.path
        and (
            request.reply(
                200, b"[]", {"Link": f'<{hub_server.url}{request.path}&cursor=x>; rel="next"'}
            )
            or True
        )
    )
    refused(lambda: hub(hub_server).plan(ID), "is endless")


def test_the_rest_of_a_list_is_not_looked_for_elsewhere(hub_server, hub_cache):
    from tests.hub_server import serving

    model(hub_server)
    with serving() as other:
        hub_server.changed_headers = {"Link": f'<{other.url}/api/models>; rel="next"'}
        refused(lambda: hub(hub_server).search(), "on another server")
        refused(lambda: hub(hub_server).plan(ID), "on another server")
        assert other.requests == []


@pytest.mark.parametrize("what", ["search", "facts", "plan", "snapshot"])
@pytest.mark.parametrize("status", [300, 304, 400, 404, 409, 418, 451, 500, 599])
def test_words_of_an_error_are_neither_read_nor_shown(hub_server, hub_cache, what, status):
    model(hub_server)
    said = "\x1b[31m" + "evil " * 100_000
    body = json.dumps({"error": said, "errors": [5, {"message": said}]}).encode()
    headers = {"X-Error-Message": "evil " * 1000, "X-Error-Code": "x" * 5000, "Content-Type": "application/json"}  # fmt: skip
    hub_server.fault = lambda request: request.reply(status, body, headers) or True
    error = refused(lambda: getattr(hub(hub_server), what)("" if what == "search" else ID), ".")
    assert "evil" not in error.message
    assert not is_file_request(error.message)


def test_headers_of_many_files_are_not_read_without_end(hub_server, hub_cache):
    repo = model(hub_server)
    header = b'{"w":{"dtype":"F32","shape":[1]}' + b" " * 7_000_000 + b"}"
    data = len(header).to_bytes(8, "little") + header
    names = {str(n): f"model-{n}.safetensors" for n in range(40)}
    del repo.files["model.safetensors"]
    repo.files["model.safetensors.index.json"] = json.dumps({"weight_map": names}).encode()
    hub_server.fault = lambda request: (
        "model-" in request.path and (request.reply(200, data) or True)
    )
    refused(lambda: hub(hub_server, SLOW).facts(ID), "too long")


def test_a_list_of_more_files_than_any_model_has_is_refused(hub_server, hub_cache):
    model(hub_server)

    def many(path, value):
        if "/tree/" not in path:
            return value
        more = [
            {"type": "file", "path": f"{n}.json", "size": 1, "oid": "0" * 40} for n in range(6000)
        ]
        return [*value, *more]

    hub_server.changed_json = many
    refused(lambda: hub(hub_server, SLOW).plan(ID), "6,001 files|6,002 files")


@pytest.mark.parametrize("what", ["search", "facts", "plan", "snapshot"])
@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"\0" * 1000,
        b"SSH-2.0-x\r\n",
        b"HTTP/9.9 200 OK\r\n\r\n",
        b"HTTP/1.1 99999 X\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: -5\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: " + b"9" * 400 + b"\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nffffffffffffffff\r\nx",
        b"HTTP/1.1 200 OK\r\nX: " + b"y" * 300_000 + b"\r\n\r\n",
        b"HTTP/1.1 302 X\r\nLocation: \xff\xfe\x80\r\n\r\n",
        b"HTTP/1.1 302 X\r\nLocation: /a\r\nLocation: /b\r\n\r\n",
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\nwords",
        b"HTTP/1.1 200 OK\r\nContent-Type: text/html; charset=\xff\r\nContent-Length: 2\r\n\r\n{}",
        b"HTTP/1.1 200 OK\r\nSet-Cookie: " + b"a" * 50_000 + b"\r\nContent-Length: 2\r\n\r\n{}",
    ],
    ids=range(16),
)
def test_what_is_no_http_is_a_sentence(hub_server, hub_cache, what, answer):
    model(hub_server)

    def fault(request):
        request.wfile.write(answer)
        request.close_connection = True
        return True

    hub_server.fault = fault
    refused(lambda: getattr(hub(hub_server), what)("" if what == "search" else ID), "Hub")
