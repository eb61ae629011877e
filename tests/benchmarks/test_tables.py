"""The tables of the benchmarks: ranges, pairs, and no words of Python."""

import argparse

import pytest

from benchmarks import opening, servers, sessions, streaming
from benchmarks._tables import compared, markdown, whole_markdown
from benchmarks.servers import Times
from benchmarks.streaming import Case

ABOUT = {
    "model": "demo", "cores": 2, "cpu": "a CPU", "torch": "2", "transformers": "5", "date": "today", "load_average": 0.1,
}  # fmt: skip


def of(*values):
    return dict(enumerate(values))


def engines(ours, llama):
    results = {
        "chat-tui engine, int4": {"decode_64": ours, "first_frame": of(0.5), "key_p99_ms": of(20)},
        "llama.cpp, Q4_1": {"decode_64": llama},
    }
    return markdown({"surroundings": ABOUT, "missing": {"serve": "it is gone"}, "results": results})


def test_engines_show_ranges_and_compare_pairs():
    text = engines(of(30.0, 60.0, 90.0), of(10.0, 20.0, 30.0))
    assert "| chat-tui engine, int4 | 60.0 (30.0 to 90.0) |" in text
    assert "| chat-tui engine, int4 / llama.cpp, Q4_1 | 3.00 (3.00 to 3.00) |" in text
    assert "Left out: it is gone." in text


def test_engines_that_swing_to_both_sides_are_not_said_to_differ():
    assert "no difference (0.67 to 1.15)" in engines(of(67.0, 115.0, 90.0), of(100.0, 100.0, 100.0))


def test_only_the_same_round_is_a_pair():
    found = compared({0: 1.0, 2: 6.0, 3: 2.0}, {1: 5.0, 2: 2.0, 3: 1.0})
    assert (found.ratio.low, found.ratio.high, found.ratio.count) == (2.0, 3.0, 2)
    assert compared({0: 1.0}, {1: 1.0}) is None


def test_the_whole_app_is_compared_by_rounds():
    figures = {
        "first frame, s": of(0.9, 0.6, 0.3),
        "bare Textual app, first frame, s": of(0.6, 0.4, 0.2),
        "idle, share of a core": of(0.001, 0.002, 0.003),
    }
    text = whole_markdown({"surroundings": ABOUT, "figures": figures})
    assert "| 1.50 (1.50 to 1.50) |" in text
    assert "| idle, share of a core | 0.002 (0.001 to 0.003) |  |  |  |" in text


def results(rounds=3):
    found = []
    for number in range(rounds):
        for way, depth, cost in (
            ("transcript", 500, 0.5), ("transcript", 20_000, 0.5), ("MarkdownStream", 500, 1.0)
        ):  # fmt: skip
            found.append(Case(way, "list", depth, 400).result(cost + number / 10, 5.0, 0.1))
        found.append(Case("MarkdownStream", "list", 20_000, 400).given_up())
    return found


def test_streaming_shows_ranges_ratios_growth_and_who_gave_up():
    table = streaming.markdown_table(results())
    assert "| transcript | list | 500 | 400 | 0.60 (0.50 to 0.70) |" in table
    assert "| MarkdownStream | list | 20,000 | 400 | gave up | | |" in table
    assert "| list | 500 | 400 | 0.55 (0.50 to 0.58) |" in streaming.ratios(results())
    assert "no difference (1.00 to 1.00)" in streaming.growth(results())
    assert streaming.ratios([]) == streaming.growth([]) == ""


def test_streaming_lets_both_contestants_have_each_text_in_turn():
    options = argparse.Namespace(
        quick=False, ways="transcript,MarkdownStream", kinds="list", depths="500", rates="100,20"
    )
    first = [(one.way, one.rate_tokens_per_s) for one in streaming.cases(options)]
    other = [(one.way, one.rate_tokens_per_s) for one in streaming.cases(options, swapped=True)]
    assert first == [
        ("transcript", 20), ("MarkdownStream", 20), ("transcript", 100), ("MarkdownStream", 100)
    ]  # fmt: skip
    assert other == [first[1], first[0], first[3], first[2]]


def test_opening_has_no_ratio_where_an_empty_chat_has_nothing():
    empty = [{"open_ms": 100.0 + number} for number in range(3)]
    full = [{"open_ms": 200.0 + number, "page_up_ms": 9.0} for number in range(3)]
    text = opening.table(2000, empty, full)
    assert "| start without imports, ms | 101.0 (100.0 to 102.0) | 201.0 (200.0 to 202.0) |" in text
    assert "| page up, ms |  | 9.0 (9.0 to 9.0) |  |" in text


def test_sessions_show_how_many_calls_a_range_is_of():
    table = sessions.Table()
    table.add("open", [3.0, 1.0, 2.0], "a note")
    assert table.text().splitlines()[2] == "| open | 2.00 (1.00 to 3.00) | 3 | a note |"


def test_servers_are_compared_by_pairs():
    text = servers.table([(Times(0.2, 50.0), Times(0.1, 100.0))] * 3)
    assert "| first token, s | 0.200 (0.200 to 0.200) |" in text
    assert "| 0.50 (0.50 to 0.50) |" in text


@pytest.mark.parametrize(
    "text",
    [
        engines(of(1.0), of(2.0)), streaming.markdown_table(results(1)), streaming.growth(results(1)),
        whole_markdown({"surroundings": ABOUT, "figures": {"first frame, s": of(0.5)}}),
    ],
)  # fmt: skip
def test_tables_hold_nothing_of_python(text):
    assert not any(sign in text for sign in "{}[]")
    assert "None" not in text
