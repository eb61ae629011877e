"""What is sent is encrypted to whom the certificate names, or not sent."""

from __future__ import annotations

import shutil
import ssl
import subprocess

import pytest

from tests.engine.remote.asking import asking, known
from tests.engine.remote.fake_server import serving
from tui.engine.base import ModelLoadError

KEY = "sk-0123456789"
pytestmark = pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl makes the certificate")  # fmt: skip


def certificate(folder, name):
    """A certificate that vouches for itself, and its key, in one file."""
    place = folder / f"{name}.pem"
    command = f"openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=test -keyout {place} -out {place}.crt"
    subprocess.run([*command.split(), "-addext", f"subjectAltName={name}"], check=True, capture_output=True)  # fmt: skip
    place.write_text(place.read_text() + (folder / f"{name}.pem.crt").read_text())
    return place


@pytest.fixture
def pem(tmp_path):
    return certificate(tmp_path, "IP:127.0.0.1")


def context(pem):
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    made.load_cert_chain(pem)
    return made


def test_a_certificate_that_nobody_vouches_for_gets_nothing(pem):
    with serving(tls=context(pem)) as server, asking(known(server, key=KEY)) as asker:
        with pytest.raises(ModelLoadError, match="can't be trusted, so nothing was sent") as raised:
            asker.load(server.url)
        assert "SSL_CERT_FILE" in raised.value.hint
        assert server.requests == []


def test_a_certificate_that_the_user_trusts_is_enough(pem, monkeypatch):
    monkeypatch.setenv("SSL_CERT_FILE", str(pem))
    with serving(tls=context(pem)) as server, asking(known(server, key=KEY)) as asker:
        asker.load(server.url)
        assert asker.ask().text == "The sky."
        assert server.replies_asked[0].headers["authorization"] == f"Bearer {KEY}"


def test_a_certificate_for_another_host_gets_nothing(tmp_path, monkeypatch):
    pem = certificate(tmp_path, "DNS:other.example")
    monkeypatch.setenv("SSL_CERT_FILE", str(pem))
    with serving(tls=context(pem)) as server, asking(known(server, key=KEY)) as asker:
        with pytest.raises(ModelLoadError, match="can't be trusted"):
            asker.load(server.url)
        assert server.requests == []


@pytest.mark.parametrize("content", [None, "no certificate"])
def test_certificates_that_can_not_be_read_are_told(tmp_path, monkeypatch, content):
    named = tmp_path / "named.pem"
    if content is not None:
        named.write_text(content)
    monkeypatch.setenv("SSL_CERT_FILE", str(named))
    with asking() as asker, pytest.raises(ModelLoadError, match="can't be read") as raised:
        asker.load("https://127.0.0.1:9/")
    assert "SSL_CERT_FILE" in raised.value.hint


def test_an_address_without_https_needs_no_certificates(monkeypatch, tmp_path):
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "none"))
    with serving() as server, asking() as asker:
        assert asker.load(server.url)
