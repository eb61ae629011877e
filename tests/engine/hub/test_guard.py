"""What stands between huggingface_hub and the network: a hostile answer does no harm to whoever calls the library."""

import contextlib
import gzip

import pytest

from tests.engine.hub.hub_case import ID, WEIGHTS, leads_out, model, outside
from tests.engine.hub.test_hostile import bomb
from tui.engine.base import ModelLoadError
from tui.engine.hub.hub import keep_quiet

EVIL = "../../../../evil"


def download(server, name="model.safetensors"):
    from huggingface_hub import hf_hub_download

    keep_quiet()
    return hf_hub_download(ID, name, endpoint=server.url, etag_timeout=2)


@pytest.mark.parametrize("header", ["ETag", "X-Linked-ETag", "X-Repo-Commit"])
@pytest.mark.parametrize("value", [EVIL, f'"{EVIL}"', f'W/"{EVIL}"', "/evil", "..", "a\\b"])
def test_the_library_makes_no_path_of_what_a_server_says(
    hub_server, hub_cache, tmp_path, header, value
):
    model(hub_server)
    before = outside(tmp_path, hub_cache)
    hub_server.changed_headers = {header: value}
    with contextlib.suppress(OSError, ValueError, ModelLoadError):
        download(hub_server)
    assert outside(tmp_path, hub_cache) == before
    assert leads_out(hub_cache) == []


def test_the_library_still_downloads_from_an_honest_server(hub_server, hub_cache):
    model(hub_server)
    with open(download(hub_server), "rb") as file:  # noqa: PTH123 - a text path, as the library gives it
        assert file.read() == WEIGHTS


def test_the_library_is_not_led_to_what_is_no_web_address(hub_server, hub_cache):
    model(hub_server)
    hub_server.fault = lambda request: (
        request.reply(302, b"", {"Location": "file:///etc/passwd"}) or True
    )
    with pytest.raises(ModelLoadError, match="an invalid web address"):
        download(hub_server)


def test_the_library_unpacks_no_bomb(hub_server, hub_cache):
    from huggingface_hub import HfApi

    hub_server.fault = lambda request: (
        request.reply(200, bomb("gzip"), {"Content-Encoding": "gzip"}) or True
    )
    keep_quiet()
    with pytest.raises(ModelLoadError, match="far too long"):
        HfApi(endpoint=hub_server.url).model_info(ID)


def test_what_is_packed_for_the_library_is_unpacked(hub_server, hub_cache):
    from huggingface_hub import get_session

    hub_server.fault = lambda request: (
        request.reply(200, gzip.compress(b"words"), {"Content-Encoding": "gzip"}) or True
    )
    keep_quiet()
    assert get_session().get(hub_server.url).text == "words"
