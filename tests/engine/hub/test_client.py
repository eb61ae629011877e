"""How the Hub is asked: where redirects lead, who gets the token, when to wait, and what an impossible environment does."""

import email.utils
import os
import subprocess
import sys
import threading
import time

import pytest
from huggingface_hub.errors import OfflineModeIsEnabled

from tests.engine.hub.hub_case import ID, QUICK, hub, is_file_request, is_whole, model
from tests.engine.hub.test_hub import wait
from tests.hub_server import serving
from tui.engine.base import Cancelled, ModelLoadError
from tui.engine.hub.client import HubClient, Limits, Patience, retry_after
from tui.engine.hub.downloads import Downloads, DownloadStatus

TOKEN = "hf_secret"


@pytest.fixture
def token(hub_cache, monkeypatch):
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    return TOKEN


def redirecting(target, is_wanted=is_file_request, status=302):
    """Return a fault that redirects what is wanted."""

    def fault(request):
        if not is_wanted(request.path):
            return False
        place = target(request) if callable(target) else target
        request.reply(status, b"", {"Location": place})
        return True

    return fault


@pytest.mark.parametrize(
    "target",
    ["file:///etc/passwd", "ftp://127.0.0.1/x", "data:,x", "http://[bad", "http://127.0.0.1:99999/", "https:///x", "javascript:1", "http://user:word@127.0.0.1/"],
)  # fmt: skip
@pytest.mark.parametrize("what", ["search", "facts", "plan", "snapshot"])
def test_a_redirect_to_no_web_address_is_refused(hub_server, hub_cache, what, target):
    model(hub_server)
    hub_server.fault = redirecting(target, lambda _path: True)
    with pytest.raises(ModelLoadError, match="an invalid web address"):
        getattr(hub(hub_server), what)("" if what == "search" else ID)


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_in_a_circle_is_called_one(hub_server, hub_cache, status):
    model(hub_server)
    other = {"/a": "/b", "/b": "/a"}
    hub_server.fault = redirecting(
        lambda request: other.get(request.path, "/a"), lambda _path: True, status
    )
    for call in (hub(hub_server).facts, hub(hub_server).plan, hub(hub_server).snapshot):
        with pytest.raises(ModelLoadError, match="redirects in a loop") as raised:
            call(ID)
        assert raised.value.hint
    assert len(hub_server.requests) == 9


def test_redirects_that_go_on_and_on_are_given_up(hub_server, hub_cache):
    hub_server.fault = redirecting(lambda request: f"{request.path}/x", lambda _path: True)
    with pytest.raises(ModelLoadError, match="more than 5 times"):
        hub(hub_server).search()
    assert len(hub_server.requests) == 6


def test_a_model_that_was_renamed_is_found(hub_server, hub_cache):
    model(hub_server)
    hub_server.fault = redirecting(
        lambda request: request.path.replace("org/old", "org/model"),
        lambda path: "org/old" in path,
        307,
    )
    assert is_whole(hub(hub_server).snapshot("org/old"))


def test_the_token_goes_to_the_hub_and_nowhere_else(hub_server, hub_cache, token):
    model(hub_server)
    with serving() as store:
        model(store)
        hub_server.fault = redirecting(
            lambda request: f"{store.url}{request.path}",
            lambda path: "model.safetensors" in path,
        )
        assert hub(hub_server).facts(ID).parameters == 60_000
        assert is_whole(hub(hub_server).snapshot(ID))
        assert store.requests
        assert not [line for line, sent in store.seen if "authorization" in sent]
    asked = [sent.get("authorization") for _, sent in hub_server.seen]
    assert set(asked) == {f"Bearer {TOKEN}"}


def test_a_redirect_that_comes_back_to_the_hub_has_the_token_again_but_another_port_has_not(
    hub_server, hub_cache, token
):
    model(hub_server)
    with serving() as other:
        other.fault = redirecting(
            lambda request: f"{hub_server.url}{request.path}?back=1", lambda _p: True
        )
        hub_server.fault = redirecting(
            lambda request: f"{other.url}{request.path}",
            lambda path: "config.json" in path and "back" not in path,
        )
        hub(hub_server).facts(ID)
        assert all("authorization" not in sent for _, sent in other.seen)


def test_a_protected_connection_is_not_left_for_an_open_one():
    from tui.engine.hub.guard import redirect_target

    with pytest.raises(ModelLoadError, match="to an unencrypted one"):
        redirect_target("https://huggingface.co/a", "http://huggingface.co/a")
    assert redirect_target("http://a.org/x", "https://b.org/y") == "https://b.org/y"
    assert redirect_target("https://a.org/x/y", "../z") == "https://a.org/z"


def busy(times, value, status=429, is_wanted=lambda _path: True):
    """Return a fault that requires a wait of, so often."""
    left = [times]

    def fault(request):
        if not left[0] or not is_wanted(request.path):
            return False
        left[0] -= 1
        request.reply(status, b"", {} if value is None else {"Retry-After": value})
        return True

    return fault


@pytest.mark.parametrize("status", [429, 503])
@pytest.mark.parametrize("place", ["/revision/", "/tree/", "config.json", "model.safetensors"])
def test_a_hub_that_asks_to_wait_is_waited_for_and_that_is_said(
    hub_server, hub_cache, place, status
):
    model(hub_server)
    hub_server.fault = busy(2, "1", status, lambda path: place in path)
    said = []
    assert is_whole(hub(hub_server).snapshot(ID, tell=said.append))
    assert "The Hugging Face Hub asks you to wait 1 s" in said
    assert said[-1] == ""


def test_a_search_waits_a_moment_but_not_for_minutes(hub_server, hub_cache):
    model(hub_server)
    asked = hub(hub_server)
    hub_server.fault = busy(1, "1")
    assert len(asked.search()) == 1
    hub_server.fault = busy(1, "30")
    with pytest.raises(ModelLoadError, match="asks you to wait 30 s"):
        asked.search()
    # What it asked for holds for whatever comes next.
    before = len(hub_server.requests)
    with pytest.raises(ModelLoadError, match=r"asks you to wait (30|29) s"):
        asked.facts(ID)
    assert len(hub_server.requests) == before


def test_a_limit_of_requests_is_waited_for(hub_server, hub_cache):
    model(hub_server)
    hub_server.fault = lambda request: (
        request.reply(429, b"", {"RateLimit": '"api";r=0;t=40'}) or True
    )
    with pytest.raises(ModelLoadError, match="asks you to wait 40 s"):
        hub(hub_server).plan(ID)


def test_too_many_requests_without_a_time_are_tried_a_few_times(hub_server, hub_cache):
    model(hub_server)
    hub_server.fault = busy(3, None)
    assert is_whole(hub(hub_server).snapshot(ID))
    hub_server.fault = busy(10**9, None)
    before = len(hub_server.requests)
    with pytest.raises(ModelLoadError, match=r"returned an error \(429\)"):
        hub(hub_server).plan(ID)
    assert len(hub_server.requests) - before == 1


@pytest.mark.parametrize(
    "value", ["0", "1", "soon", "-5", "1e999", "Wed, 21 Oct 2015 07:28:00 GMT"]
)
def test_a_hub_that_is_always_busy_is_given_up(hub_server, hub_cache, value):
    model(hub_server)
    hub_server.fault = busy(10**9, value)
    with pytest.raises(ModelLoadError, match=r"asks you to wait|returned an error"):
        hub(hub_server, type(QUICK)(answer_s=1, again_s=0.01, wait_at_most_s=0.05)).snapshot(ID)
    assert len(hub_server.requests) < 10


def test_waiting_for_the_hub_can_be_cancelled(hub_server, hub_cache):
    model(hub_server)
    hub_server.fault = busy(1, "250")
    told = threading.Event()

    def check():
        if told.is_set():
            raise Cancelled

    with pytest.raises(Cancelled):
        hub(hub_server).snapshot(ID, check=check, tell=lambda _text: told.set())


def test_a_download_says_that_it_waits_and_can_be_cancelled(hub_server, hub_cache):
    model(hub_server)
    hub_server.fault = busy(1, "250", is_wanted=lambda path: "model.safetensors" in path)
    downloads = Downloads(lambda: hub(hub_server))
    downloads.start(ID)
    deadline = time.monotonic() + 20
    while not downloads.all[0].waiting:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    assert "asks you to wait 250 s" in downloads.all[0].waiting
    downloads.cancel(ID)
    assert wait(downloads, ID).status is DownloadStatus.CANCELLED
    assert downloads.all[0].waiting == ""


def test_how_long_to_wait_is_seconds_or_a_date():
    now_s = 1_800_000_000.0
    date = email.utils.formatdate(now_s + 90, usegmt=True)
    assert retry_after("30", now_s) == 30
    assert retry_after(" 5 ", now_s) == 5
    assert retry_after(date, now_s) == pytest.approx(90, abs=1)
    assert retry_after(email.utils.formatdate(now_s - 90, usegmt=True), now_s) == 0
    for junk in ("", "soon", "-1", "1.5", "٣", "Wed, 99 Foo 9999 99:99:99 GMT", "x" * 10_000):
        assert retry_after(junk, now_s) is None
    assert retry_after("9" * 5000, now_s) is not None


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("ALL_PROXY", "socks://127.0.0.1:1"),
        ("all_proxy", "socks5://127.0.0.1:1"),
        ("HTTPS_PROXY", "gopher://x"),
        ("HTTP_PROXY", "http://[::1"),
        ("HTTPS_PROXY", "http://127.0.0.1:port"),
        ("SSL_CERT_FILE", "/nowhere/certificates.pem"),
    ],
)
@pytest.mark.parametrize("what", ["search", "facts", "plan", "snapshot"])
def test_an_environment_that_makes_asking_impossible_is_named(
    hub_server, hub_cache, monkeypatch, what, name, value
):
    import huggingface_hub

    huggingface_hub.close_session()
    monkeypatch.setenv(name, value)
    with pytest.raises(ModelLoadError, match=name) as raised:
        getattr(hub(hub_server), what)("" if what == "search" else ID)
    assert name in raised.value.hint


@pytest.mark.parametrize(
    "value", ["http://127.0.0.1:9", "http://127.0.0.1:99999999", "127.0.0.1:9"]
)
def test_a_proxy_that_is_not_there_is_hinted_at(hub_cache, monkeypatch, value):
    import huggingface_hub

    from tui.engine.hub.hub import Hub

    huggingface_hub.close_session()
    monkeypatch.setenv("HTTP_PROXY", value)
    with pytest.raises(ModelLoadError, match="Hugging Face Hub") as raised:
        Hub("http://hub.invalid", QUICK).search()
    assert "HTTP_PROXY" in f"{raised.value.message} {raised.value.hint}"


def test_a_certificate_that_is_not_trusted_is_said():
    import ssl

    from tui.engine.hub.problems import problem

    error = ConnectionError("it failed")
    error.__cause__ = ssl.SSLCertVerificationError("[SSL: CERTIFICATE_VERIFY_FAILED] self-signed")
    found = problem(error, ID)
    assert "certificate that isn't trusted" in found.message
    assert "SSL_CERT_FILE" in found.hint


UNASKABLE = [
    ("ALL_PROXY", "socks://127.0.0.1:1080/"), ("all_proxy", "socks5://127.0.0.1:1"), ("HTTPS_PROXY", "http://h:port"),
    ("HTTPS_PROXY", "http://[::1"), ("HTTP_PROXY", "://x"), ("HTTPS_PROXY", "http://u:\udcff@h:1"), ("HTTPS_PROXY", "http://" + "a" * 70_000),
    ("SSL_CERT_FILE", "/nowhere"), ("SSL_CERT_FILE", "/"), ("SSL_CERT_FILE", __file__), ("HF_TOKEN", "gehörtnicht"), ("HF_TOKEN", "a\udcff"),
]  # fmt: skip


@pytest.fixture
def cached(hub_server, hub_cache):
    """A model that is whole in the cache."""
    import huggingface_hub

    repo = model(hub_server)
    folder = hub(hub_server).snapshot(ID)
    huggingface_hub.close_session()
    return folder, repo


@pytest.mark.parametrize(("name", "value"), UNASKABLE)
@pytest.mark.parametrize("is_offline", [False, True])
def test_what_is_whole_in_the_cache_needs_no_client(
    cached, hub_server, monkeypatch, name, value, is_offline
):
    from huggingface_hub import constants

    monkeypatch.setenv(name, value)
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", is_offline)
    assert hub(hub_server).snapshot(ID) == cached[0]


@pytest.mark.parametrize(("name", "value"), UNASKABLE)
def test_else_the_variable_is_named(hub_server, hub_cache, monkeypatch, name, value):
    import huggingface_hub

    huggingface_hub.close_session()
    model(hub_server)
    monkeypatch.setenv(name, value)
    with pytest.raises(ModelLoadError, match=name) as raised:
        hub(hub_server).snapshot(ID)
    assert name in raised.value.hint
    assert "traceback" not in str(raised.value).lower()


def test_offline_is_said_before_what_is_wrong_with_a_proxy(hub_server, hub_cache, monkeypatch):
    from huggingface_hub import constants

    monkeypatch.setenv("ALL_PROXY", "socks://127.0.0.1:1080/")
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(ModelLoadError, match="HF_HUB_OFFLINE"):
        hub(hub_server).snapshot(ID)


@pytest.mark.parametrize(
    "value", ["[::1,*,", "http://[, ://, ::1/128, a b, *.*, x/24, [::1]:80", "\udcff", ",,"]
)
def test_an_odd_list_of_hosts_without_a_proxy_keeps_nothing_from_being_asked(
    hub_server, hub_cache, monkeypatch, value
):
    import huggingface_hub

    huggingface_hub.close_session()
    model(hub_server)
    monkeypatch.setenv("NO_PROXY", value)
    assert is_whole(hub(hub_server).snapshot(ID))


@pytest.mark.parametrize(
    "address", ["nonsense", "http://[::1", "ftp://x", "http://", "https://h:port", "https://h:0", "\udcff", "//x"]
)  # fmt: skip
def test_an_address_of_the_hub_that_is_none_is_named(cached, monkeypatch, address):
    from huggingface_hub import constants

    from tui.engine.hub.hub import Hub

    monkeypatch.setattr(constants, "ENDPOINT", address)
    assert Hub(limits=QUICK).snapshot(ID) == cached[0]
    for ask in (
        lambda: Hub(limits=QUICK).snapshot("org/other"),
        lambda: Hub(limits=QUICK).search("x"),
    ):
        with pytest.raises(ModelLoadError, match="isn't a valid web address") as raised:
            ask()
        assert "HF_ENDPOINT" in raised.value.hint


def test_a_token_that_may_not_be_read_keeps_no_cached_model_back(
    cached, hub_server, tmp_path, monkeypatch
):
    from huggingface_hub import constants

    (tmp_path / "token").mkdir()
    monkeypatch.setattr(constants, "HF_TOKEN_PATH", str(tmp_path / "token"))
    assert hub(hub_server).snapshot(ID) == cached[0]
    with pytest.raises(ModelLoadError, match=r"the token in .*/token can't be read"):
        hub(hub_server).search("x")


def test_a_token_with_a_line_end_is_taken_without_it(hub_server, hub_cache, monkeypatch):
    monkeypatch.setenv("HF_TOKEN", "hf_abc\r\n")
    model(hub_server)
    assert is_whole(hub(hub_server).snapshot(ID))


@pytest.mark.parametrize("name", ["HF_HUB_DOWNLOAD_TIMEOUT", "HF_HUB_ETAG_TIMEOUT"])
def test_a_setting_that_the_library_stumbles_over_is_named(name):
    code = (
        "from tui.engine.hub.hub import Hub; from tui.engine.catalog import local_models\n"
        "from tui.engine.base import ModelLoadError\n"
        "print(len(local_models()) >= 0)\n"
        "try: Hub().search('x')\n"
        "except ModelLoadError as error: print(error.hint)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], env={**os.environ, name: "soon"}, capture_output=True, text=True, check=False
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == ["True", f"Correct {name}, or unset it."]


def test_a_hub_that_is_switched_off_is_asked_once(monkeypatch):
    monkeypatch.setattr(HubClient, "_pause", lambda *_: pytest.fail("it waited"))
    client = HubClient("http://127.0.0.1:9", Limits())
    asked = []

    def ask():
        asked.append(1)
        raise OfflineModeIsEnabled("HF_HUB_OFFLINE is set")

    with pytest.raises(OfflineModeIsEnabled):
        client.again(ask, Patience(tries=5))
    assert asked == [1]
