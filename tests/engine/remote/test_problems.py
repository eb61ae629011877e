"""Errors of servers in the shapes that there are, as sentences."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.engine.remote.test_values import ANY
from tui.engine.remote.problems import error_code, figures, refusal, said_in, tells_error
from tui.sanitize import sanitize_line


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ({"error": {"message": "No.", "type": "bad", "code": 400}}, "No."),
        ({"error": {"type": "not_found_error"}}, "not_found_error"),
        ({"error": {"code": "context_length_exceeded"}}, "context_length_exceeded"),
        ({"error": "model 'x' not found"}, "model 'x' not found"),
        ({"object": "error", "message": "Flat.", "code": 400}, "Flat."),
        ({"message": "Only this."}, "Only this."),
        ({"detail": "Not Found"}, "Not Found"),
        ({"detail": [{"loc": ["body", "x", 1], "msg": "Wrong"}, {"msg": "Too"}]}, "body.x.1: Wrong; Too"),
        ("404 page not found", "404 page not found"),
        ({"error": {"message": "a\n\tb\x1b[1m"}}, "a b␛[1m"),
        ({}, ""),
        (None, ""),
        (7, ""),
        ([], ""),
    ],
)  # fmt: skip
def test_what_an_error_says_is_found_in_each_shape(body, said):
    assert said_in(body) == said


@given(ANY | st.dictionaries(st.sampled_from(["error", "message", "detail", "object"]), ANY), st.integers(0, 599), st.text())  # fmt: skip
def test_any_body_gives_a_message_that_can_be_shown(body, status, raw):
    error = refusal("Server", status, body, raw)
    assert error.message == sanitize_line(error.message)
    assert error.message.startswith("Server ")
    assert error.message.endswith((".", "!", "?", "…"))
    assert len(error.message) < 500
    assert isinstance(tells_error(body), bool)
    assert isinstance(error_code(body), str)
    assert all(isinstance(one, int) for one in figures(body, "a", "b"))


def test_a_refusal_and_a_failure_are_told_apart():
    assert refusal("It", 400, {"error": "No"}).message == "It refused the request (400). No."
    assert refusal("It", 500, {"error": "No"}).message == "It failed (500). No."
    assert refusal("It", 0, {"error": "No"}).message == "It failed. No."
    assert refusal("It", 500, None).message == "It failed (500)."


def test_a_web_page_is_not_quoted():
    assert "web page" in refusal("It", 502, None, " <html>secret</html>").message
    assert "secret" not in refusal("It", 502, None, " <html>secret</html>").message


def test_a_missing_key_is_explained():
    assert "key_env" in refusal("It", 401, {"error": "No"}).hint


@pytest.mark.parametrize("body", [{"error": "x"}, {"error": {"a": 1}}, {"object": "error"}, {"detail": "x"}])  # fmt: skip
def test_what_tells_of_an_error(body):
    assert tells_error(body)


@pytest.mark.parametrize("body", [{"error": None}, {"error": ""}, {"data": []}, [], None, "error"])
def test_what_tells_of_none(body):
    assert not tells_error(body)
