"""Encodings, lines and values of files, and times, however they are written."""

from __future__ import annotations

import codecs
import gzip
import json

import pytest

from tui.conversation.formats import ChatFormatError, Imported, import_text, reading
from tui.conversation.formats.values import seconds

CHAT = [{"role": "user", "content": "Grüße, 日本"}]
TEXT = json.dumps(CHAT, ensure_ascii=False)


def text_in(data: bytes) -> str:
    return import_text(data).conversations[0].path[0].text


@pytest.mark.parametrize(
    "encoding",
    ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-32-le", "utf-32-be"],
)
def test_every_encoding_of_unicode_is_read_with_a_mark_and_without(encoding):
    assert text_in(TEXT.encode(encoding)) == "Grüße, 日本"


@pytest.mark.parametrize("mark", [codecs.BOM_UTF16_BE, codecs.BOM_UTF32_BE])
def test_a_mark_of_the_other_order_is_read(mark):
    encoding = "utf-16-be" if len(mark) == 2 else "utf-32-be"
    assert text_in(mark + TEXT.encode(encoding)) == "Grüße, 日本"


def test_another_encoding_is_read_and_said():
    imported = import_text('[{"role": "user", "content": "Grüße – “so”"}]'.encode("cp1252"))
    assert imported.conversations[0].path[0].text == "Grüße – “so”"
    assert "Windows-1252" in imported.problems[0]


def test_halves_of_a_pair_are_kept_and_do_not_stop_the_rest():
    assert text_in(b'[{"role": "user", "content": "a \xed\xa0\xbd b"}]') == "a \ud83d b"
    assert text_in(rb'[{"role": "user", "content": "a \ud83d b \u0000"}]') == "a \ud83d b \0"


@pytest.mark.parametrize("end", [b"\0\0\0", b"\r\n", b"\n\xef\xbb\xbf"])
def test_what_follows_the_text_is_no_obstacle(end):
    assert text_in(TEXT.encode() + end) == "Grüße, 日本"


def lines(*values: object, end: str = "\n") -> bytes:
    return "".join(json.dumps(value) + end for value in values).encode()


def read_many(data: bytes) -> Imported:
    imported = import_text(data)
    assert [chat.path[0].text for chat in imported.conversations] == ["one", "two"]
    return imported


ONE, TWO = ({"messages": [{"role": "user", "content": text}]} for text in ("one", "two"))


@pytest.mark.parametrize("end", ["\n", "\r\n", "\n\n", "\n\ufeff"])
def test_lines_end_as_they_like(end):
    read_many(lines(ONE, TWO, end=end))


def test_values_that_go_over_several_lines_are_read_one_after_another():
    read_many(json.dumps(ONE, indent=1).encode() + b"\n" + json.dumps(TWO, indent=1).encode())


def test_what_is_cut_off_after_whole_values_is_said():
    imported = read_many(
        json.dumps(ONE, indent=1).encode() + json.dumps(TWO, indent=1).encode() + b'{"me'
    )
    assert imported.problems == ("Left out: the rest of the file, which isn't valid JSON",)


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"SQLite format 3\0rest", "database"),
        (gzip.compress(b"[]", mtime=0), "gzip"),
        (b"<!DOCTYPE html><html>", "web page"),
        (b"\x89PNG\r\n\x1a\n", "It is an image."),
        (b"GGUF\x03\0\0\0", "model"),
        (b"version https://git-lfs.github.com/spec/v1\n", "git lfs pull"),
        (b"a" * 257 + b"ustar", "tar archive"),
        (b"\0\0\0", "empty"),
        (b"Dear diary, caf\xe9", "isn't a text file"),
        (b'[{"a": ' + b"9" * 5000 + b"}]", "too long"),
    ],
)
def test_what_is_something_else_is_named(data, words):
    with pytest.raises(ChatFormatError, match=words):
        import_text(data)


def test_a_table_whose_only_row_has_an_open_quote_names_the_line():
    with pytest.raises(ChatFormatError, match=r"a quote is not closed in the row .* line 2"):
        import_text(b'question,answer\n"Q,A\n')


def test_of_a_table_with_an_open_quote_the_rows_before_it_are_read():
    imported = import_text(b'question,answer\n"Q\n1",A1\n"Q2,A2\nQ3,A3\n')
    (chat,) = imported.conversations
    assert [turn.text for turn in chat.path] == ["Q\n1", "A1"]
    assert imported.problems == (
        "A quote is not closed in the row that starts on line 4; the table was read up to that row",
    )


@pytest.mark.parametrize(
    ("value", "at"),
    [
        (1760000000, 1760000000),
        (1760000000.5, 1760000000.5),
        (1760000000000, 1760000000),
        (1760000000000000, 1760000000),
        (1760000000000000000, 1760000000),
        ("1760000000", 1760000000),
        ("2025-10-09T08:53:20Z", 1760000000),
        ("2025-10-09T08:53:20.123456789Z", 1760000000.123),
        ("2025-10-09T10:53:20+02:00", 1760000000),
        ("2025-10-09 08:53:20", 1760000000),
        ("2025-10-9@08h53m20s", 1760000000),
        ("2025-10-9 @08h 53m 20s 120ms", 1760000000),
        ("October 9, 2025 8:53am", 1759999980),
        *((value, 0) for value in (None, True, "", "soon", -5, 0, 1e308, 10**400, float("nan"))),
        *((value, 0) for value in ("nan", "1e400", "0001-01-01", "9" * 5000, [], {})),
    ],
)
def test_a_time_is_read_however_it_is_written(value, at):
    assert seconds(value) == at


def test_a_file_of_far_more_objects_than_chats_have_is_refused(monkeypatch):
    monkeypatch.setattr(reading, "_MOST_CONTAINERS", 2)
    assert text_in(TEXT.encode())
    with pytest.raises(ChatFormatError, match="too many objects"):
        import_text(b"[{},{}]")
