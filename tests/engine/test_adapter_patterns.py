"""Patterns in an adapter's config: those in use pass, and none passes that takes long to match."""

import random
import subprocess
import sys

import pytest

from tui.engine.local.adapter_patterns import wrong_field

IN_USE = [
    "all-linear",
    "q_proj|v_proj",
    r".*\.(q_proj|v_proj)",
    r"(.*\.)?(q|k|v|o)_proj$",
    r"^language_model(?=\.).*\.(down_proj|gate_proj|q_proj)$",
    r"model\.layers\.(\d|1\d)\.self_attn\.(q|k)_proj",
    r"^(?!.*(?:lm_head|embed)).*\.(q_proj|k_proj)$",
    # What one tool writes for models that also see.
    (
        r"(?:.*?(?:language|text).*?(?:self_attn|attention|attn|mlp).*?(?:k_proj|v_proj|out_proj|fc1).*?)"
        r"|(?:\bmodel\.layers\.[\d]{1,}\.(?:self_attn|attention|attn|mlp)\.(?:(?:k_proj|v_proj)))"
    ),
]
ENDLESS = [
    "([a-z_.0-9]+)+!",
    "(a|a)" * 30 + "!",
    "(?:a?)" * 40 + "a" * 40,
    ".*" * 8 + "!",
    "(?:.*a)*!",
    r"(.*)\1!",
    "(" * 5000 + ")" * 5000,
    "a" * 5000 + ".*",
    "(",
]
FIELDS = ["target_modules", "exclude_modules", "feedforward_modules", "layers_pattern"]


@pytest.mark.parametrize("pattern", IN_USE)
@pytest.mark.parametrize("field", FIELDS)
def test_a_pattern_in_use_passes(field, pattern):
    assert wrong_field({field: pattern}) == ""


@pytest.mark.parametrize("pattern", ENDLESS)
@pytest.mark.parametrize("field", FIELDS)
def test_a_pattern_that_can_take_forever_is_found(field, pattern):
    assert wrong_field({"r": 4, field: pattern}) == field


@pytest.mark.parametrize("pattern", ENDLESS)
@pytest.mark.parametrize(
    "field", ["target_modules", "modules_to_save", "target_parameters", "layers_pattern"]
)
def test_one_in_a_list_is_found(field, pattern):
    assert wrong_field({field: ["q_proj", pattern]}) == field


@pytest.mark.parametrize("pattern", ENDLESS)
@pytest.mark.parametrize(
    "field", ["rank_pattern", "alpha_pattern", "lambda_pattern", "n_frequency_pattern"]
)
def test_one_that_is_a_key_is_found(field, pattern):
    assert wrong_field({field: {"q_proj": 4, pattern: 8}}) == field


def test_names_and_what_is_no_name_pass():
    config = {
        "target_modules": ["q_proj", "model.layers.0.mlp.down-proj"],
        "rank_pattern": {r".*\.q_proj": 4, "^model.layers.1.mlp": 8},
        "modules_to_save": None,
        "trainable_token_indices": [1, 2, 3],
        "base_model_name_or_path": "(a+)+",
        "r": 4,
    }
    assert wrong_field(config) == ""


def test_too_many_names_are_found():
    assert wrong_field({"target_modules": ["q_proj"] * 100_000}) == "target_modules"
    assert wrong_field({"rank_pattern": {f"q{n}": 4 for n in range(10_000)}}) == "rank_pattern"


MATCH = """
import re, sys
for pattern in sys.stdin.read().splitlines():
    for name in ("a" * 40, "ab" * 20, "a.a" * 14):
        re.fullmatch(pattern, name)
print("done")
"""


def test_whatever_passes_is_matched_in_time():
    chance = random.Random(12)
    passed = [
        one for _ in range(3000) if not wrong_field({"target_modules": (one := _made(chance, 3))})
    ]
    assert len(passed) > 300
    done = subprocess.run(
        [sys.executable, "-c", MATCH],
        input="\n".join(passed),
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    assert done.stdout == "done\n"


def _made(chance, depth):
    """Return a pattern that hostile hands might write."""
    parts = []
    for _ in range(chance.randint(1, 6)):
        part = chance.choice(["a", "b", ".", r"\.", "[ab]", "ab", "(?:a|ab)", "(?:a|b)"])
        if depth and chance.random() < 0.4:
            part = f"({_made(chance, depth - 1)}|{_made(chance, depth - 1)})"
        parts.append(part + chance.choice(["", "", "", "*", "+", "?", "{2,}", "*?", "{3}"]))
    return "".join(parts)
