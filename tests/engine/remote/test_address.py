"""Addresses of servers, and of models on them, as people write them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tui.engine.remote.address import Address, AddressError, is_server, parse
from tui.sanitize import sanitize_line

IDS = st.text(max_size=200).map(str.strip)
PARTS = st.sampled_from(
    ["http://", "https://", "HTTP://", "a", "localhost", "[::1]", "[fe80::1%eth0]", ":80", ":443", ":8000", ":", "/", "//",
     "/v1", "/models", "/chat/completions", "/api", "#", "?", "@", "%", "ß", "．", "例え", ".", "..", " ", "\\", "A", "x" * 64]
)  # fmt: skip


@given(st.one_of(st.text(), st.lists(PARTS, max_size=8).map("".join)))
def test_any_text_is_an_address_or_is_refused(text):
    refused, address = "", None
    try:
        address = parse(text)
    except AddressError as error:
        refused = str(error)
    assert refused == sanitize_line(refused)
    if address is None:
        assert refused
        return
    assert parse(str(address)) == address
    assert address.scheme in ("http", "https")
    assert address.host
    assert address.base.startswith(address.origin)
    assert is_server(str(address))
    assert isinstance(address.is_private, bool)
    assert not address.is_this_machine or address.is_private


@given(IDS)
def test_a_models_id_comes_back_as_it_was(model):
    address = Address("http://localhost:8000").with_model(model)
    assert parse(str(address)) == address


@given(IDS, st.text("abc/", max_size=290).map(lambda path: f"/{path}".rstrip("/")))
def test_a_long_address_leaves_room_for_a_long_id(model, path):
    address = parse(f"http://localhost{path}").with_model(model)
    assert parse(str(address)) == address


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("http://localhost:8000", "http://localhost:8000"),
        ("  http://localhost:8000/  ", "http://localhost:8000"),
        ("HTTP://LocalHost:8000/v1", "http://localhost:8000"),
        ("http://localhost:8000/v1/chat/completions", "http://localhost:8000"),
        ("http://localhost:8000/v1/v1/", "http://localhost:8000"),
        ("https://host.example:443/api/v1", "https://host.example/api"),
        ("http://host.example:80", "http://host.example"),
        ("http://host.example./", "http://host.example"),
        ("http://[::1]:8000/v1", "http://[::1]:8000"),
        ("https://bücher.example", "https://xn--bcher-kva.example"),
        ("http://localhost:8000/#org/model", "http://localhost:8000/#org/model"),
        ("http://localhost:8000/v1#org/model", "http://localhost:8000/#org/model"),
        ("http://localhost/#C:\\models\\a b.gguf", "http://localhost/#C:\\models\\a b.gguf"),
        ("http://localhost/#a#b", "http://localhost/#a#b"),
        ("http://localhost/#", "http://localhost"),
    ],
)
def test_what_people_write(text, address):
    assert str(parse(text)) == address


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("http://", "followed by a host"),
        ("http:///v1", "followed by a host"),
        ("ftp://host", "http:// or https://"),
        ("localhost:8000", "http:// or https://"),
        ("http://localhost:x", "host or port"),
        ("http://localhost:99999", "host or port"),
        ("http://[::1", "host or port"),
        ("http://a b", "characters"),
        ("http://a\nb", "characters"),
        ("http://a\x1b[2J", "characters"),
        ("http://a\\b", "characters"),
        ("http://" + "a" * 1000, "it is too long"),
        ("http://localhost/?key=1", "query string"),
        ("http://me@localhost", "name or password"),
        ("http://..ü", "isn't valid"),
    ],
)
def test_what_is_no_address(text, why):
    with pytest.raises(AddressError, match=why) as raised:
        parse(text)
    assert sanitize_line(str(raised.value)) == str(raised.value)


@pytest.mark.parametrize("text", ["https://me:secret@host/v1", "https://sk-secret@host", "https://:secret@host:1/#m"])  # fmt: skip
def test_a_password_in_an_address_is_not_repeated(text):
    with pytest.raises(AddressError, match="key_env") as raised:
        parse(text)
    assert "secret" not in str(raised.value)


@pytest.mark.parametrize("name", ["demo", "org/model", "/models/a.gguf", "", "httpx", "http:/x", "https"])  # fmt: skip
def test_other_models_are_on_no_server(name):
    assert not is_server(name)


@pytest.mark.parametrize(
    ("base", "private", "here"),
    [
        ("http://localhost:1", True, True),
        ("http://box.localhost", True, True),
        ("http://127.0.0.2", True, True),
        ("http://[::1]", True, True),
        ("http://192.168.1.5", True, False),
        ("http://10.0.0.1", True, False),
        ("http://[fd00::1]", True, False),
        ("http://169.254.1.1", True, False),
        ("http://gpu-box", True, False),
        ("http://gpu.local", True, False),
        ("http://8.8.8.8", False, False),
        ("http://api.example", False, False),
        ("http://local.example", False, False),
        ("http://[2001:4860:4860::8888]", False, False),
        ("http://0x08080808", False, False),
        ("http://134744072", False, False),
        ("http://8.8.2056", False, False),
        ("http://0x7f000001", True, True),
        ("http://127.1", True, True),
        ("http://[::ffff:8.8.8.8]", False, False),
        ("http://[::ffff:127.0.0.1]", True, True),
        ("http://[fe80::1%25eth0]", True, False),
    ],
)
def test_which_servers_are_near(base, private, here):
    address = parse(base)
    assert (address.is_private, address.is_this_machine) == (private, here)
    assert address.is_readable_by_others != private
