"""Files of models as what they are: other people's."""

import math
import os

import pytest

from tui.engine.model_files import entries, parse_json, read_bytes, read_json, total_bytes


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b'{"a": 1' + b"0" * 400 + b"}", "401 digits"),
        (b'{"a": -1' + b"0" * 5000 + b"}", "digits"),
        (b"[" * 10_000, "nested"),
        (b"[" * 100 + b"]" * 100, "nested"),
        (b'{"a":' * 100 + b"1" + b"}" * 100, "nested"),
        ('{"a": 1}'.encode("utf-16"), "UTF-8"),
        (b"\xff\xfe", "UTF-8"),
        (b"", "isn't valid JSON"),
        (b"\xef\xbb\xbf{}", "isn't valid JSON"),
        (b'{"a": 1', "isn't valid JSON"),
    ],
)
def test_json_that_no_library_should_see_is_refused_in_plain_words(data, words):
    with pytest.raises(ValueError, match=words):
        parse_json(data)


def test_what_valid_files_hold_is_read():
    assert parse_json(b'{"model_max_length": 1000000000000000019884624838656}')
    assert parse_json(b'{"time_step_limit": [0.0, Infinity]}')["time_step_limit"][1] == math.inf
    assert parse_json(b'{"a": 1, "a": 2}') == {"a": 2}


def test_a_file_larger_than_the_limit_is_not_read_whole(tmp_path):
    path = tmp_path / "config.json"
    with path.open("wb") as file:
        file.truncate(5 * 2**30)
    with pytest.raises(ValueError, match="larger than"):
        read_json(path)


@pytest.mark.parametrize("kind", ["pipe", "folder", "device", "loop", "dangling"])
def test_what_is_no_regular_file_is_not_opened(tmp_path, kind):
    path = tmp_path / "config.json"
    make_trap(path, kind)
    with pytest.raises(OSError):  # noqa: PT011 - which one is the system's business
        read_bytes(path, 10)
    assert entries(tmp_path) == []


def make_trap(path, kind):
    """Put something under a file's name that is none."""
    match kind:
        case "pipe":
            os.mkfifo(path)
        case "folder":
            path.mkdir()
        case "device":
            path.symlink_to("/dev/zero")
        case "loop":
            path.symlink_to(path.name)
        case "dangling":
            path.symlink_to("nowhere")


def test_a_vast_folder_is_listed_in_part(tmp_path, monkeypatch):
    from tui.engine import model_files

    monkeypatch.setattr(model_files, "_MOST_ENTRIES", 5)
    for number in range(9):
        (tmp_path / str(number)).write_bytes(b"ab")
    found = entries(tmp_path)
    assert len(found) == 5
    assert total_bytes([*found, tmp_path / "gone"]) == 10
