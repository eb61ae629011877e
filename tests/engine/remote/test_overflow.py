"""What servers say of a chat that is too long for them, in their own words."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tui.conversation.turn import Message
from tui.engine.remote import overflow
from tui.engine.remote.problems import refusal

CHAT = (Message("user", "word " * 300), Message("assistant", "Yes."), Message("user", "ü" * 900))


def told(said, *, status=400, context=4096, shape="error"):
    body = {"error": said} if isinstance(said, dict) else {shape: said}
    return overflow.told_by(refusal("Server", status, body), CHAT, context)


@pytest.mark.parametrize(
    ("said", "prompt", "limit"),
    [
        # vLLM, the older ones first
        (("This model's maximum context length is 2048 tokens. However, you requested 3100 tokens (3000 in the messages, 100 in the "
         "completion). Please reduce the length of the messages or completion."), 3000, 2048),
        (("The decoder prompt (length 12324) is longer than the maximum model length of 8192. Make sure that `max_model_len` is no "
         "smaller than the number of text tokens."), 12324, 8192),
        (("This model's maximum context length is 2048 tokens. However, your request has 3000 input tokens. Please reduce the length "
         "of the input messages."), 3000, 2048),
        (("'max_tokens' or 'max_completion_tokens' is too large: 3000. This model's maximum context length is 2048 tokens and your "
         "request has 2000 input tokens (3000 > 2048 - 2000)."), 2048, 2048),
        # SGLang
        ("The input (3000 tokens) is longer than the model's context length (2048 tokens).", 3000, 2048),
        (("Requested token count exceeds the model's maximum context length of 2048 tokens. You requested a total of 4000 tokens: "
         "3000 tokens from the input messages and 1000 tokens for the completion. Please reduce the number of tokens in the input "
         "messages or the completion to fit within the limit."), 3000, 2048),
        # llama-server
        ("request (3000 tokens) exceeds the available context size (2048 tokens), try increasing it", 3000, 2048),
        # LM Studio
        (("Trying to keep the first 5013 tokens when context the overflows. However, the model is loaded with context length of only "
         "4096 tokens, which is not enough. Try to load the model with a longer context length, or provide a shorter input"), 5013, 4096),
        (("The number of tokens to keep from the initial prompt is greater than the context length (n_keep: 28148>= n_ctx: 4096). Try "
         "to load the model with a longer context length, or provide a shorter input"), 28148, 4096),
        # OpenAI and those behind proxies
        (("This model's maximum context length is 2,048 tokens. However, your messages resulted in 3,000 tokens. Please reduce the "
         "length of the messages."), 3000, 2048),
        (("This endpoint's maximum context length is 2048 tokens. However, you requested about 3100 tokens (3000 of text input, 100 "
         "in the output)."), 3000, 2048),
        ("prompt is too long: 210000 tokens > 200000 maximum", 210000, 200000),
        ("This model's maximum prompt length is 2048 but the request contains 3000 tokens", 3000, 2048),
    ],
)  # fmt: skip
def test_the_figures_of_a_refusal_are_read(said, prompt, limit):
    found = told(said)
    assert (found.prompt_tokens, found.context_tokens) == (prompt, limit)
    assert len(found.message_tokens) == len(CHAT)


@pytest.mark.parametrize(
    "said",
    [
        # Ollama
        "the input length exceeds the context length",
        (
            "the prompt is longer than the context length currently available to the model; shorten the prompt, adjust the context "
            "length in settings, or use a model with a longer context length"
        ),
        "the request exceeds the available context size, try increasing it",
    ],
)
def test_where_there_are_no_figures_the_known_context_is_taken(said):
    found = told(said)
    assert found.context_tokens == 4096
    assert found.prompt_tokens == 4096
    assert told(said, context=0) is None


def test_figures_that_stand_beside_the_words_come_first():
    error = {
        "code": 400, "message": "request (1 tokens) exceeds the available context size (2 tokens)",
        "type": "exceed_context_size_error", "n_prompt_tokens": 9000, "n_ctx": 8192,
    }  # fmt: skip
    found = told(error)
    assert (found.prompt_tokens, found.context_tokens) == (9000, 8192)


@pytest.mark.parametrize(
    "said",
    ["The model does not exist.", "Out of memory.", "stop: at most 4 texts", "", "model requires more system memory (5 GiB) than is available"],
)  # fmt: skip
def test_other_errors_are_about_something_else(said):
    assert told(said) is None


@given(st.text(max_size=300))
def test_any_words_are_read_without_harm(said):
    found = told(f"context length {said}")
    assert found is None or found.prompt_tokens >= found.context_tokens > 0


@given(
    st.lists(st.text(max_size=50), min_size=1, max_size=8),
    st.integers(1, 10**6),
    st.integers(1, 10**6),
)
def test_each_message_takes_something_and_all_together_about_the_prompt(texts, prompt, context):
    chat = tuple(Message("user", text) for text in texts)
    each = overflow.overflow_of(chat, prompt, context).message_tokens
    assert all(one >= 1 for one in each)
    assert prompt - len(each) <= sum(each) <= prompt + len(each)


def test_a_longer_message_is_thought_to_take_more():
    few, many = Message("user", "a"), Message("user", "a" * 300)
    assert overflow.estimate(few) < overflow.estimate(many) < overflow.most_tokens((many,))
