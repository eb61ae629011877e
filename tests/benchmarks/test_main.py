"""Which benchmarks `make bench` runs."""

import pytest

from benchmarks import __main__ as main


def test_without_names_those_run_that_publish():
    assert [name for name, *_ in main.commands(main.parse([]))] == [
        "engines.py", "opening.py", "servers.py", "sessions.py", "streaming.py", "whole.py"
    ]  # fmt: skip


def test_anyway_is_passed_on_to_those_that_publish():
    given = main.parse(["lexers", "opening", "--anyway"])
    assert main.commands(given) == [["lexers.py"], ["opening.py", "--anyway"]]


def test_all_that_publish_are_there_and_take_it():
    for name in main.PUBLISHING:
        text = (main.FOLDER / f"{name}.py").read_text()
        assert "add_options(parser)" in text, name
        assert "publisher.end(" in text, name


def test_an_unknown_name_is_refused_with_the_known_ones(capsys):
    with pytest.raises(SystemExit):
        main.parse(["nothing"])
    assert "streaming" in capsys.readouterr().err
