"""The table of generation parameters: every value that gets through is one that generation takes."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.conversation.strategies import JSON
from tui.parameters import (
    PARAMETERS,
    UNUSED,
    ParameterError,
    checked,
    format_value,
    in_force,
    parameter,
    readable,
)

EACH = pytest.mark.parametrize("known", PARAMETERS.values(), ids=PARAMETERS)
NUMERIC = pytest.mark.parametrize(
    "known", [one for one in PARAMETERS.values() if one.is_number], ids=lambda known: known.name
)
NUMBERS = st.integers() | st.floats()


def is_valid(known, value) -> bool:
    if known.kind is list:
        fits = {int: int, str: str}.get(known.items, object)
        return type(value) is list and bool(value) and all(isinstance(one, fits) for one in value)
    if known.kind is str:
        return value in known.choices if known.choices else isinstance(value, str)
    low, high = known.minimum, known.maximum
    return (
        type(value) is known.kind
        and (low is None or value >= low)
        and (high is None or value <= high)
    )


def test_every_parameter_is_listed_under_its_name():
    assert all(name == known.name for name, known in PARAMETERS.items())
    assert {"temperature", "top_p", "top_k", "max_new_tokens", "seed"} <= PARAMETERS.keys()


@EACH
def test_a_default_is_valid_and_help_is_a_sentence(known):
    assert known.default is None or is_valid(known, known.check(known.default))
    assert known.help.endswith(".")
    assert known.label
    assert known.step > 0


@EACH
@pytest.mark.parametrize("typed", ["", "  ", "none", "None", "default", "auto"])
def test_empty_and_none_mean_not_set(known, typed):
    assert known.parse(typed) is None


@EACH
@given(typed=st.text(max_size=12) | NUMBERS.map(str))
def test_what_is_typed_is_valid_or_refused(known, typed):
    try:
        value = known.parse(typed)
    except ParameterError:
        return
    assert value is None or is_valid(known, value)


@EACH
@given(value=JSON | NUMBERS)
def test_what_a_file_holds_is_valid_or_refused(known, value):
    try:
        checked_value = known.check(value)
    except ParameterError:
        return
    assert checked_value is None or is_valid(known, checked_value)


@NUMERIC
@pytest.mark.parametrize(
    "huge",
    [10**400, -(10**400), 1e400, float("nan"), "9" * 400],
    ids=["int", "negative", "inf", "nan", "typed"],
)
def test_a_number_beyond_all_bounds_is_refused(known, huge):
    with pytest.raises(ParameterError) as caught:
        known.parse(huge) if isinstance(huge, str) else known.check(huge)
    assert len(str(caught.value)) < 100


@EACH
@given(
    value=st.none() | NUMBERS,
    steps=st.integers(-1000, 1000),
)
def test_stepping_stays_in_range(known, value, steps):
    try:
        start = known.check(value)
    except ParameterError:
        return
    stepped = known.stepped(start, steps)
    assert is_valid(known, stepped) or (stepped == start and not known.is_number)


@pytest.mark.parametrize(
    ("name", "typed", "value"),
    [
        ("temperature", ".9", 0.9),
        ("temperature", "1e-3", 0.001),
        ("temperature", " 0 ", 0.0),
        ("top_k", "40", 40),
        ("max_new_tokens", "1000000", 1_000_000),
        ("seed", "4294967295", 2**32 - 1),
    ],
)
def test_numbers_as_people_type_them(name, typed, value):
    parsed = parameter(name).parse(typed)
    assert parsed == value
    assert type(parsed) is parameter(name).kind


@pytest.mark.parametrize(
    ("name", "typed", "words"),
    [
        ("temperature", "hot", "Temperature must be a number, not 'hot'."),
        ("temperature", "300", "Temperature must be from 0 to 100, not 300."),
        ("temperature", "inf", "Temperature must be a finite number, not inf."),
        ("top_k", "1.5", "Top-k must be a whole number, not '1.5'."),
        ("max_new_tokens", "0", "Max new tokens must be from 1 to 1000000, not 0."),
    ],
)
def test_a_refusal_says_what_is_allowed(name, typed, words):
    with pytest.raises(ParameterError, match=f"^{re.escape(words)}$"):
        parameter(name).parse(typed)


def test_a_boolean_is_no_number():
    with pytest.raises(ParameterError, match=r"Temperature must be a number, not True\."):
        parameter("temperature").check(True)


def test_an_unknown_name_gets_the_nearest_one():
    with pytest.raises(ParameterError, match=r"'temprature'\. Did you mean temperature\?"):
        parameter("temprature")


def test_checked_leaves_out_what_is_not_set():
    assert checked({"temperature": 1, "seed": None}) == {"temperature": 1.0}
    with pytest.raises(ParameterError):
        checked({"heat": 1})


@given(JSON | st.dictionaries(st.sampled_from([*PARAMETERS, "x"]), JSON))
def test_readable_keeps_what_is_valid_of_anything(values):
    found = readable(values)
    assert checked(found) == found


def test_the_users_value_goes_before_the_models_and_that_before_the_tables():
    force = in_force({"temperature": 0.2, "top_p": None}, {"temperature": 0.7, "top_p": 0.9})
    assert (force["temperature"], force["top_p"]) == (0.2, 0.9)
    assert force["top_k"] == parameter("top_k").default
    assert force.keys() == PARAMETERS.keys()


@pytest.mark.parametrize(
    ("value", "shown"),
    [(None, ""), (1.0, "1"), (0.7, "0.7"), (40, "40"), (0.30000000000000004, "0.3")],
)
def test_a_value_is_shown_without_noise(value, shown):
    assert format_value(value) == shown


@pytest.mark.parametrize(
    "known", [one for one in PARAMETERS.values() if one.default is None], ids=lambda one: one.name
)
def test_what_an_empty_field_says_can_be_typed(known):
    switched_off = False if known.kind is bool else known.off
    assert known.parse(known.blank) is (switched_off if known.blank == "off" else None)


def test_off_is_no_prompt_lookup_rather_than_its_default():
    assert PARAMETERS["prompt_lookup_num_tokens"].parse("Off") == 0


def test_off_switches_off_what_the_model_sets_itself():
    defaults = {"min_p": 0.9, "no_repeat_ngram_size": 3, "top_k": 20, "repetition_penalty": 1.3}
    typed = {name: PARAMETERS[name].parse("off") for name in defaults}
    force = in_force(typed, defaults)
    assert {name: force[name] for name in defaults} == {
        "min_p": 0, "no_repeat_ngram_size": 0, "top_k": 0, "repetition_penalty": 1,
    }  # fmt: skip


@EACH
def test_what_is_shown_is_what_is_typed(known):
    value = known.stepped(None, 3)
    assert known.parse(format_value(value)) == value


def test_the_table_knows_every_name_of_transformers():
    from transformers import GenerationConfig

    names = {name for name in vars(GenerationConfig()) if not name.startswith("_")}
    known = PARAMETERS.keys() | UNUSED.keys()
    assert names - known == set()
    assert known - names - {"seed"} <= UNUSED.keys()
    assert not PARAMETERS.keys() & UNUSED.keys()


@pytest.mark.parametrize("name", UNUSED)
def test_a_name_that_a_chat_has_no_use_for_is_refused_with_the_reason(name):
    with pytest.raises(ParameterError, match=r"can't be set in a chat: [a-z]"):
        parameter(name)


@pytest.mark.parametrize(
    ("name", "typed", "value"),
    [
        ("do_sample", "no", False),
        ("do_sample", "True", True),
        ("stop_strings", "###", ["###"]),
        ("stop_strings", '["a b", "c"]', ["a b", "c"]),
        ("eos_token_id", "2", [2]),
        ("eos_token_id", "1, 2", [1, 2]),
        ("eos_token_id", "[1,2]", [1, 2]),
        ("bad_words_ids", "[[5, 6], [7]]", [[5, 6], [7]]),
        ("num_assistant_tokens_schedule", "constant", "constant"),
    ],
)
def test_switches_texts_and_lists_as_people_type_them(name, typed, value):
    assert parameter(name).parse(typed) == value
    assert parameter(name).parse(format_value(value)) == value


@pytest.mark.parametrize(
    ("name", "typed", "words"),
    [
        ("do_sample", "maybe", "Sample must be true or false, not 'maybe'"),
        (
            "eos_token_id",
            "[-1]",
            r"End tokens must be a list of token IDs \(for example \[1, 2\]\), not \[-1\]",
        ),
        (
            "eos_token_id",
            "x",
            r"End tokens must be a list of token IDs \(for example \[1, 2\]\), not 'x'",
        ),
        (
            "num_assistant_tokens_schedule",
            "x",
            "Draft schedule must be one of constant, .*, not 'x'",
        ),
    ],
)
def test_other_kinds_say_what_is_allowed_too(name, typed, words):
    with pytest.raises(ParameterError, match=f"^{words}"):
        parameter(name).parse(typed)


@pytest.mark.parametrize(
    ("name", "value", "shown"),
    [
        ("min_p", 0.0, "off"),
        ("top_p", 1.0, "off"),
        ("top_p", 0.9, "0.9"),
        ("seed", 0, "0"),
        ("min_p", None, ""),
    ],
)
def test_a_value_that_is_off_is_shown_so_and_can_be_typed(name, value, shown):
    known = PARAMETERS[name]
    assert known.shown(value) == shown
    assert known.parse(shown) == value
