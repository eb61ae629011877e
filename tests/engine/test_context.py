"""The longest context that a config tells of."""

import pytest

from tui.engine import context, limits


@pytest.mark.parametrize(
    ("text", "tokens"),
    [
        ({"max_position_embeddings": 4096}, 4096),
        ({"n_positions": 1024}, 1024),
        ({}, 0),
        ({"max_position_embeddings": 64, "rope_scaling": {"type": "dynamic", "factor": 8.0}}, 512),
        ({"max_position_embeddings": 64, "rope_parameters": {"full": {"rope_type": "dynamic", "factor": 2}, "near": None}}, 128),
        ({"max_position_embeddings": 64, "rope_parameters": {"rope_type": "linear", "factor": 8.0}}, 64),
        ({"max_position_embeddings": 32768, "rope_scaling": {"rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": 32768}}, 131072),
        ({"max_position_embeddings": 131072, "rope_scaling": {"rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": 8192}}, 131072),
        ({"max_position_embeddings": 64, "rope_scaling": {"type": "dynamic", "factor": float("nan")}}, 64),
        ({"max_position_embeddings": 64, "rope_scaling": {"type": "dynamic", "factor": 1e300}}, 64),
        ({"max_position_embeddings": 64, "rope_scaling": {"type": "dynamic", "factor": True}}, 64),
        ({"max_position_embeddings": 64, "rope_scaling": {"type": ["dynamic"], "factor": "8"}}, 64),
        ({"max_position_embeddings": "64", "rope_scaling": {"type": "dynamic", "factor": 8}}, 0),
        ({"max_position_embeddings": 2**30, "rope_scaling": {"type": "dynamic", "factor": 2**20}}, limits.CONTEXT_TOKENS),
    ],
)  # fmt: skip
def test_it_is_what_the_frequencies_reach(text, tokens):
    assert context.longest(text) == tokens
