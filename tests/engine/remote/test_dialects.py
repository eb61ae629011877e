"""What each kind of server is found to be, is asked, and says. The kinds are written down in `columns`."""

from __future__ import annotations

import json

import pytest

from tests.engine.remote.asking import QUESTION, asking, known, soon, words
from tests.engine.remote.talk import CONTEXT, MODEL, Told, delta
from tui.conversation.turn import Message
from tui.engine.base import (
    Cancelled,
    ContextOverflowError,
    GenerationError,
    ModelLoadError,
    Progress,
    PromptReady,
    ReasoningDelta,
    StopReason,
    TemplateSwitch,
    TextDelta,
)
from tui.engine.remote import engine as engine_module
from tui.engine.remote.dialects import DIALECTS

THINKING = TemplateSwitch("enable_thinking", (True, False))
EFFORT = TemplateSwitch("reasoning_effort", ("low", "medium", "high"))
SWITCHES = {
    "vllm": (THINKING, EFFORT),
    "sglang": (THINKING, EFFORT),
    "llama-server": (THINKING,),
    "ollama": (THINKING,),
    "transformers": (THINKING,),
    "mlx": (THINKING,),
}
CONTINUES = ("vllm", "sglang", "llama-server", "ollama", "lm-studio")
COUNTS = ("vllm", "sglang", "llama-server")
REFUSES = (*COUNTS, "ollama", "lm-studio", "openai")
HAS_CONTEXT = (*COUNTS, "ollama", "lm-studio")
REASONING_FIELD = {
    "vllm": "reasoning",
    "sglang": "reasoning_content",
    "llama-server": "reasoning_content",
    "ollama": "thinking",
    "transformers": "reasoning_content",
    "mlx": "reasoning_content",
}
TIMED = ("llama-server", "ollama")
SET = {
    "temperature": 0.5,
    "top_p": 0.9,
    "top_k": 7,
    "min_p": 0.1,
    "typical_p": 0.8,
    "min_new_tokens": 3,
    "repetition_penalty": 1.1,
    "no_repeat_ngram_size": 4,
    "seed": 5,
    "max_new_tokens": 50,
    "stop_strings": ["END"],
}
PLAIN = {"temperature": 0.5, "top_p": 0.9, "seed": 5, "max_tokens": 50, "stop": ["END"]}
SENT = {
    "vllm": {**PLAIN, "top_k": 7, "min_p": 0.1, "min_tokens": 3, "repetition_penalty": 1.1},
    "sglang": {**PLAIN, "top_k": 7, "min_p": 0.1, "min_tokens": 3, "repetition_penalty": 1.1},
    "llama-server": {**PLAIN, "top_k": 7, "min_p": 0.1, "typical_p": 0.8, "repeat_penalty": 1.1},
    "lm-studio": {**PLAIN, "top_k": 7, "repeat_penalty": 1.1},
    "mlx": {**PLAIN, "top_k": 7, "min_p": 0.1, "repetition_penalty": 1.1},
    "openai": PLAIN,
    "transformers": PLAIN,
}
AROUND = {
    "model",
    "messages",
    "stream",
    "stream_options",
    "return_progress",
    "timings_per_token",
    "cache_prompt",
}
"""What a request for a reply has beside its parameters."""


def dialect_of(server):
    return server.column.dialect


def asked_body(server):
    (asked,) = server.replies_asked
    return asked.body


# -- what is found


def test_every_kind_has_a_column(server):
    assert dialect_of(server) in DIALECTS


def test_the_kind_of_a_server_is_found_out(server, asker):
    info = asker.load(server.url)
    assert info.model == f"{server.url}/#{MODEL}"
    assert info.capabilities.because == f"127.0.0.1:{server.port} ({server.column.name}) doesn't support this."  # fmt: skip
    assert info.server == f"127.0.0.1:{server.port}"
    assert not info.capabilities.is_private


def test_nothing_but_the_chat_is_asked_for_while_it_is_probed(server, asker):
    asker.load(server.url)
    assert server.replies_asked == []


def test_context_switches_and_what_it_can_are_read(server, asker):
    info = asker.load(server.url)
    kind = dialect_of(server)
    assert info.context_tokens == (CONTEXT if kind in HAS_CONTEXT else 0)
    assert info.template_switches == SWITCHES.get(kind, ())
    assert info.capabilities.continues == (kind in CONTINUES)
    assert info.capabilities.takes("temperature")
    assert not info.capabilities.takes("num_beams") or kind == "transformers"


@pytest.mark.parametrize("server", ["llama-server"], indirect=True)
def test_llama_servers_own_defaults_are_known(server, asker):
    info = asker.load(server.url)
    assert info.defaults == {
        "temperature": 0.8,
        "top_k": 40,
        "top_p": 0.95,
        "repetition_penalty": 1.0,
    }
    assert info.parameters == 1_000_000


@pytest.mark.parametrize("server", ["ollama", "lm-studio"], indirect=True)
def test_the_quantization_is_known_where_it_is_said(server, asker):
    assert asker.load(server.url).dtype == "Q4_K_M"


def test_a_kind_that_is_named_is_not_looked_for(server):
    with asking(known(server, dialect=dialect_of(server))) as asker:
        info = asker.load(server.url)
    assert server.column.name in info.capabilities.because
    strangers = {"/api/version", "/props", "/api/v0/models", "/openapi.json", "/health"}
    asked = {one.path for one in server.requests} & strangers
    assert asked <= set(server.column.pages)


def test_a_kind_that_there_is_not_is_found_out(server):
    with asking(known(server, dialect="no such")) as asker:
        assert server.column.name in asker.load(server.url).capabilities.because


def test_the_context_that_the_user_names_holds(server):
    with asking(known(server, context_tokens=1000)) as asker:
        assert asker.load(server.url).context_tokens == 1000


@pytest.mark.parametrize("base", ["/v1", "/v1/", "/v1/chat/completions", "/"])
def test_the_usual_ends_of_an_address_are_left_out(server, asker, base):
    assert asker.load(server.url + base).model == f"{server.url}/#{MODEL}"


def test_a_model_that_is_not_there_is_refused_with_those_that_are(server, asker):
    if DIALECTS[dialect_of(server)].loads_any:
        assert asker.load(f"{server.url}/#other").model == f"{server.url}/#other"
        return
    with pytest.raises(ModelLoadError, match="no model other") as raised:
        asker.load(f"{server.url}/#other")
    assert MODEL in raised.value.hint


@pytest.mark.parametrize("server", ["transformers"], indirect=True)
def test_transformers_serve_tells_how_a_load_gets_on(server, asker):
    events = []
    asker.load(f"{server.url}/#{MODEL}", events.append)
    assert Progress("Loading weights", 3, 7, "tensors") in events
    assert server.asked("/load_model")[0].body == {"model": MODEL}


@pytest.mark.parametrize("server", ["transformers"], indirect=True)
def test_the_model_that_transformers_serve_is_pinned_to_is_found(server, asker):
    server.pinned = "/models/mine"
    assert asker.load(server.url).model == f"{server.url}/#/models/mine"
    assert asker.ask().text == "The sky."


@pytest.mark.parametrize("server", ["transformers"], indirect=True)
def test_a_load_that_fails_on_the_server_says_why(server, asker):
    def fail(talk):
        talk.stream()
        talk.event({"status": "error", "message": "No file\nof weights."})
        talk.end()

    server.answers["/load_model"] = fail
    with pytest.raises(ModelLoadError, match=r"No file of weights\."):
        asker.load(server.url)


@pytest.mark.parametrize("server", ["transformers"], indirect=True)
def test_transformers_serve_that_can_not_list_loads_what_is_named(server, asker):
    server.answers["/v1/models"] = lambda talk: talk.answer(b"Internal Server Error", 500, "text/plain")  # fmt: skip
    with pytest.raises(ModelLoadError, match="lists no models") as raised:
        asker.load(server.url)
    assert "Add a model after the address" in raised.value.hint
    assert asker.load(f"{server.url}/#{MODEL}").model == f"{server.url}/#{MODEL}"


@pytest.mark.parametrize("server", ["lm-studio"], indirect=True)
def test_the_context_of_a_model_that_lm_studio_has_not_loaded_is_not_known(server, asker):
    entry = {"id": MODEL, "state": "not-loaded", "max_context_length": 131072}
    server.answers["/api/v0/models"] = lambda talk: talk.json({"data": [entry]})
    assert asker.load(server.url).context_tokens == 0


@pytest.mark.parametrize("server", ["lm-studio"], indirect=True)
def test_lm_studio_is_talked_to_through_the_model_in_its_memory(server, asker):
    entries = [
        {"id": "embed", "type": "embeddings", "state": "loaded"},
        {"id": "cold", "type": "llm", "state": "not-loaded"},
        {"id": "warm", "type": "vlm", "state": "loaded", "loaded_context_length": 512},
    ]
    server.answers["/api/v0/models"] = lambda talk: talk.json({"data": entries})
    info = asker.load(server.url)
    assert (info.model, info.context_tokens) == (f"{server.url}/#warm", 512)
    with pytest.raises(ModelLoadError, match="no model embed"):
        asker.load(f"{server.url}/#embed")


@pytest.mark.parametrize("server", ["ollama"], indirect=True)
def test_ollama_is_talked_to_through_the_model_in_its_memory(server, asker):
    pulled = {
        "models": [
            {"name": "embed:1b", "capabilities": ["embedding"]},
            {"name": "cold:1b", "capabilities": ["completion"]},
            {"name": "warm:1b"},
        ]
    }
    server.answers["/api/tags"] = lambda talk: talk.json(pulled)
    assert asker.load(server.url).model == f"{server.url}/#cold:1b"
    loaded = {"models": [{"name": "embed:1b"}, {"name": "warm:1b"}]}
    server.answers["/api/ps"] = lambda talk: talk.json(loaded)
    assert asker.load(server.url).model == f"{server.url}/#warm:1b"


@pytest.mark.parametrize("server", ["llama-server"], indirect=True)
def test_a_llama_server_for_several_models_is_asked_for_each(server, asker):
    listed = {
        "data": [
            {"id": "a/cold:Q4", "owned_by": "llamacpp", "status": {"value": "unloaded"}},
            {"id": "a/warm:Q4", "owned_by": "llamacpp", "status": {"value": "loaded"}},
        ]
    }
    props = server.column.pages["/props"]

    def of_one(talk):
        is_cold = "cold" in talk.asked.query
        talk.json({"error": {"message": "model is not loaded"}} if is_cold else props, 400 if is_cold else 200)  # fmt: skip

    server.answers["/v1/models"] = lambda talk: talk.json(listed)
    server.answers["/props"] = of_one
    info = asker.load(server.url)
    assert (info.model, info.context_tokens) == (f"{server.url}/#a/warm:Q4", CONTEXT)
    assert server.asked("/props")[-1].query == "model=a%2Fwarm%3AQ4&autoload=false"
    assert asker.load(f"{server.url}/#a/cold:Q4").context_tokens == 0


@pytest.mark.parametrize("server", ["llama-server"], indirect=True)
def test_a_llama_server_that_wants_a_key_says_so_at_once(server, asker):
    refused = {"error": {"code": 401, "message": "Invalid API Key", "type": "authentication_error"}}
    server.answers["/props"] = lambda talk: talk.json(refused, 401)
    with pytest.raises(ModelLoadError, match="Invalid API Key") as raised:
        asker.load(server.url)
    assert "key_env" in raised.value.hint


@pytest.mark.parametrize("server", ["ollama"], indirect=True)
def test_a_model_that_ollama_has_elsewhere_says_so(server, asker):
    shown = {**server.column.pages["/api/show"], "remote_host": "https://ollama.com:443"}
    server.answers["/api/show"] = lambda talk: talk.json(shown)
    (note,) = asker.load(server.url).notes
    assert "forwards chats with this model to https://ollama.com:443" in note


@pytest.mark.parametrize("server", ["ollama"], indirect=True)
def test_the_context_of_a_model_in_ollamas_memory_is_kept(server, asker):
    running = {"models": [{"name": MODEL, "context_length": 1024}]}
    server.answers["/api/ps"] = lambda talk: talk.json(running)
    assert asker.load(server.url).context_tokens == 1024
    asker.ask()
    assert asked_body(server)["options"]["num_ctx"] == 1024


def test_a_load_can_be_cancelled(server, asker):
    server.answers[""] = lambda talk: talk.wait_until_left()
    with pytest.raises(Cancelled):
        asker.load(server.url, cancelled=lambda: bool(server.requests))
    assert soon(server.left)
    assert asker.engine.loaded is None


def test_a_load_that_fails_leaves_the_former_model(server, asker):
    asker.load(server.url)
    with pytest.raises(ModelLoadError):
        asker.load("http://127.0.0.1:9/#x")
    assert asker.engine.loaded.model == f"{server.url}/#{MODEL}"
    assert asker.ask().text == "The sky."


# -- what is sent


def test_parameters_go_under_the_servers_names_and_those_it_lacks_nowhere(server, asker):
    asker.load(server.url)
    asker.ask(parameters=SET)
    body = asked_body(server)
    kind = dialect_of(server)
    if kind == "ollama":
        assert body["options"] == {
            "temperature": 0.5, "top_p": 0.9, "top_k": 7, "min_p": 0.1, "typical_p": 0.8, "seed": 5, "num_predict": 50,
            "stop": ["END"], "repeat_penalty": 1.1, "num_ctx": CONTEXT,
        }  # fmt: skip
        return
    if kind == "transformers":
        assert json.loads(body.pop("generation_config")) == {
            "top_k": 7, "min_p": 0.1, "typical_p": 0.8, "min_new_tokens": 3, "repetition_penalty": 1.1,
            "no_repeat_ngram_size": 4, "do_sample": True,
        }  # fmt: skip
    assert {name: value for name, value in body.items() if name not in AROUND} == SENT[kind]


def test_what_is_not_passed_on_is_said_with_the_reply(server, asker):
    info = asker.load(server.url)
    notes = asker.ask(parameters={"temperature": 0.5, "prompt_lookup_num_tokens": 3}).prompt.notes
    assert notes == (
        f"{info.server} doesn't support prompt_lookup_num_tokens; the reply is generated without it.",
    )
    both = {"prompt_lookup_num_tokens": 3, "max_matching_ngram_size": 2}
    assert asker.ask(parameters=both).prompt.notes == (
        f"{info.server} doesn't support {' and '.join(both)}; the reply is generated without them.",
    )
    assert asker.ask(parameters={"temperature": 0.5}).prompt.notes == ()


def test_a_reply_that_is_not_sampled_is_asked_for_with_a_temperature_of_zero(server, asker):
    asker.load(server.url)
    asker.ask(parameters={"do_sample": False, "temperature": 0.7, "seed": 1})
    body = asked_body(server)
    assert body.get("options", body)["temperature"] == 0.0
    assert "do_sample" not in body
    assert "do_sample" not in json.loads(body.get("generation_config", "{}"))


def test_a_seed_is_chosen_and_told_so_that_a_reply_can_be_made_again(server, asker):
    asker.load(server.url)
    seed = asker.ask().prompt.parameters["seed"]
    body = asked_body(server)
    assert body.get("options", body)["seed"] == seed


@pytest.mark.parametrize("server", ["transformers"], indirect=True)
def test_a_generation_config_of_ones_own_does_not_make_replies_short(server, asker):
    asker.load(server.url)
    asker.ask(parameters={"top_k": 5, "temperature": 1.0})
    assert asked_body(server)["max_tokens"] == 1024


def test_earlier_reasoning_goes_back_under_the_servers_own_name(server, asker):
    asker.load(server.url)
    chat = (Message("user", "a"), Message("assistant", "b", "because"), Message("user", "c"))
    asker.ask(chat)
    sent = asked_body(server)["messages"]
    expected = {"role": "assistant", "content": "b"}
    if name := REASONING_FIELD.get(dialect_of(server)):
        expected[name] = "because"
    assert sent == [
        {"role": "user", "content": "a"},
        expected,
        {"role": "user", "content": "c"},
    ]


def test_switches_of_the_template_go_where_the_server_has_them(server, asker):
    asker.load(server.url)
    asker.ask(template={"enable_thinking": False, "reasoning_effort": "low"})
    body, kind = asked_body(server), dialect_of(server)
    if kind in ("vllm", "sglang"):
        assert body["chat_template_kwargs"] == {"enable_thinking": False}
        assert body["reasoning_effort"] == "low"
    elif kind == "ollama":
        assert body["think"] is False
    elif kind in SWITCHES:
        assert body["chat_template_kwargs"] == {
            "enable_thinking": False,
            "reasoning_effort": "low",
        }
    else:
        assert not {"chat_template_kwargs", "reasoning_effort", "think"} & set(body)


def test_a_reply_is_written_on_where_the_server_can(server, asker):
    asker.load(server.url)
    heard = asker.ask((*QUESTION, Message("assistant", "The")), continue_last=True)
    kind = dialect_of(server)
    if kind not in CONTINUES:
        assert type(heard.error) is GenerationError
        assert server.replies_asked == []
        return
    body = asked_body(server)
    assert body["messages"][-1]["content"] == "The"
    assert body.get("continue_final_message") == (True if kind in ("vllm", "sglang") else None)
    assert body.get("add_generation_prompt") == (False if kind == "vllm" else None)


@pytest.mark.parametrize("server", ["llama-server"], indirect=True)
def test_llama_server_writes_on_without_reasoning_and_with_the_other_switches(server, asker):
    # Some versions refuse to write on where reasoning is on, as it is by default.
    asker.load(server.url)
    chat = (*QUESTION, Message("assistant", "The"))
    asker.ask(chat, continue_last=True, template={"enable_thinking": True, "tone": "dry"})
    kwargs = asked_body(server)["chat_template_kwargs"]
    assert kwargs == {"enable_thinking": False, "tone": "dry"}


@pytest.mark.parametrize("server", ["ollama"], indirect=True)
def test_ollama_is_told_to_refuse_and_not_to_cut(server, asker):
    asker.load(server.url)
    asker.ask()
    body = asked_body(server)
    assert (body["truncate"], body["shift"]) == (False, False)


# -- what comes


def test_words_and_reasoning_come_as_they_are(server, asker):
    server.told = Told((("Blue", True), (" light.", True), ("It is ", False), ("blue.", False)))
    asker.load(server.url)
    heard = asker.ask()
    assert heard.error is None
    assert heard.finished.reason is StopReason.END
    said = [event for event in heard.events if isinstance(event, TextDelta | ReasoningDelta)]
    assert [type(event) for event in said] == [ReasoningDelta] * 2 + [TextDelta] * 2
    assert (heard.reasoning, heard.text) == ("Blue light.", "It is blue.")
    assert heard.finished.stats.reasoning_tokens == 2


def test_reasoning_between_marks_is_parted_from_the_answer(server, asker):
    server.told = Told((("<thi", False), ("nk>Hm.</th", False), ("ink>\n\nBlue.", False)))
    asker.load(server.url)
    heard = asker.ask()
    assert (heard.reasoning, heard.text) == ("Hm.", "Blue.")


def test_the_figures_of_a_reply_are_the_servers(server, asker):
    asker.load(server.url)
    stats = asker.ask().finished.stats
    assert (stats.prompt_tokens, stats.new_tokens) == (20, 2)
    assert stats.cached_tokens == (0 if dialect_of(server) == "ollama" else 8)
    if dialect_of(server) in TIMED:
        assert (stats.prefill_s, stats.decode_s) == (0.25, 0.5)
    assert stats.ttft_s > 0


def test_the_prompt_is_told_before_the_first_word(server, asker):
    asker.load(server.url)
    heard = asker.ask()
    kinds = [type(event) for event in heard.events if not isinstance(event, Progress)]
    assert kinds[0] is PromptReady
    last = [event for event in heard.events if isinstance(event, PromptReady)][-1]
    assert last.prompt_tokens == 20


@pytest.mark.parametrize("server", ["llama-server"], indirect=True)
def test_llama_server_tells_how_far_the_prompt_is_read(server, asker):
    asker.load(server.url)
    reading = [event for event in asker.ask().events if isinstance(event, Progress)]
    assert [(event.done, event.total, event.unit) for event in reading] == [
        (0, 12, "tokens"),
        (6, 12, "tokens"),
    ]


def test_a_reply_that_reached_its_limit_says_so(server, asker):
    server.told = Told(reason="length")
    asker.load(server.url)
    assert asker.ask().finished.reason is StopReason.LENGTH


@pytest.mark.parametrize(
    "pieces", [("One END two", ""), ("One E", "ND two"), ("One E", "N", "D")], ids=str
)
def test_the_answer_ends_before_a_stop_text_whatever_the_server_does(server, asker, pieces):
    server.told = Told(tuple((piece, False) for piece in pieces))
    asker.load(server.url)
    heard = asker.ask(parameters={"stop_strings": ["END"]})
    assert heard.text == "One "
    assert heard.finished.reason is StopReason.END
    assert heard.finished.stats.prompt_tokens == 20


def test_what_only_began_like_a_stop_text_is_not_lost(server, asker):
    server.told = Told((("One E", False), ("N", False)))
    asker.load(server.url)
    assert asker.ask(parameters={"stop_strings": ["END"]}).text == "One EN"


@pytest.mark.parametrize("server", ["openai"], indirect=True)
def test_a_server_that_knows_no_stop_texts_is_not_listened_to_for_long(server, asker, monkeypatch):
    monkeypatch.setattr(engine_module, "AFTER_END_S", 0.1)

    def on_and_on(talk):
        talk.words("One ", "END")
        while True:
            talk.event(delta(content="more "))

    asker.load(server.url)
    server.answers[server.column.chat] = on_and_on
    heard = asker.ask(parameters={"stop_strings": ["END"]})
    assert (heard.text, heard.finished.reason) == ("One ", StopReason.END)


# -- a chat that is too long


@pytest.mark.parametrize("server", REFUSES, indirect=True)
def test_a_chat_that_is_too_long_is_refused_with_figures(server, asker):
    asker.load(server.url)
    chat = (Message("user", words(1200)), Message("assistant", "no"), Message("user", words(1000)))
    heard = asker.ask(chat)
    assert type(heard.error) is ContextOverflowError
    assert heard.events == []
    overflow = heard.error.overflow
    assert overflow.context_tokens == CONTEXT
    assert overflow.prompt_tokens >= CONTEXT
    assert len(overflow.message_tokens) == 3
    assert overflow.message_tokens[0] > overflow.message_tokens[2] > overflow.message_tokens[1]
    # Where it can be counted, it is not sent.
    assert len(server.replies_asked) == (0 if dialect_of(server) in COUNTS else 1)


@pytest.mark.parametrize("server", COUNTS, indirect=True)
def test_where_the_server_does_not_count_its_refusal_is_understood(server, asker):
    server.answers["/tokenize"] = lambda talk: talk.json({"detail": "Not Found"}, 404)
    asker.load(server.url)
    heard = asker.ask((Message("user", words(3000)),))
    assert type(heard.error) is ContextOverflowError
    assert heard.error.overflow.prompt_tokens == 3002
    assert heard.error.overflow.context_tokens == CONTEXT


@pytest.mark.parametrize("server", COUNTS, indirect=True)
def test_a_reply_gets_no_more_tokens_than_there_is_room_for(server, asker):
    asker.load(server.url)
    asker.ask((Message("user", words(2000)),), parameters={"max_new_tokens": 500})
    counted = 2000 if dialect_of(server) == "llama-server" else 2002
    assert asked_body(server)["max_tokens"] == CONTEXT - counted


@pytest.mark.parametrize("server", COUNTS, indirect=True)
def test_a_short_chat_is_not_counted(server, asker):
    asker.load(server.url)
    asker.ask(parameters={"max_new_tokens": 100})
    assert server.asked("/tokenize") == []
