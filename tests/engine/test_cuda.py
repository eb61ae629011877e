"""The engine on a GPU, as the app uses it; skipped where there is none.

`CHAT_TUI_TEST_DEVICE=cpu` runs those parts that a CPU can do as well, so that this file can be worked on without a GPU.
"""

import gc
import json
import os
import subprocess
import sys
import threading

import pytest
import torch
from safetensors.torch import load_file, save_file

from tests.engine import tiny
from tests.engine.conftest import Heard, ask, chat, load, never
from tests.engine.test_settings import SAMPLES
from tui.engine import memory
from tui.engine.base import (
    FailureCause,
    GenerateRequest,
    GenerationError,
    ModelLoadError,
    Progress,
    Speculation,
    StopReason,
)
from tui.engine.facts import folder_facts
from tui.engine.fit import need, weights_bytes
from tui.engine.local import stopping, streamer
from tui.engine.quantization import QUANTIZATIONS, availability
from tui.parameters import PARAMETERS

DEVICE = os.environ.get("CHAT_TUI_TEST_DEVICE", "cuda:0")
IS_CUDA = DEVICE.startswith("cuda")
MB = 2**20

pytestmark = pytest.mark.skipif(
    IS_CUDA and not torch.cuda.is_available(), reason="there is no CUDA device"
)
only_cuda = pytest.mark.skipif(not IS_CUDA, reason="it is about the memory of a GPU")

KINDS = {
    "full": tiny.llama, "sliding": tiny.sliding, "mixed": tiny.mixed,
    "recurrent": tiny.recurrent, "forgetful": tiny.forgetful, "hybrid": tiny.hybrid,
}  # fmt: skip
WIDE = {
    "hidden_size": 1024, "intermediate_size": 2048, "num_hidden_layers": 4, "num_attention_heads": 16,
    "num_key_value_heads": 8, "max_position_embeddings": 65536,
}  # fmt: skip
"""A model that takes enough memory to be seen, and prompts that do."""
QUOTING = chat("say it again: " + "one two three " * 8)


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """Returns the checkpoint of a kind; made once."""
    place, made = tmp_path_factory.mktemp("models"), {}

    def folder(kind):
        if kind not in made:
            made[kind] = KINDS[kind](place / kind)
        return made[kind]

    return folder


@pytest.fixture(scope="module")
def wide(tmp_path_factory):
    return tiny.llama(tmp_path_factory.mktemp("wide") / "wide", sizes=WIDE)


@pytest.fixture(autouse=True)
def limits_end():
    """A test that takes memory away gives it back."""
    yield
    if IS_CUDA and torch.cuda.is_available():
        torch.cuda.set_per_process_memory_fraction(1.0)


def on(engine, folder, **options):
    return load(engine, folder, device=DEVICE, **options)


def drafted(engine, messages, how, **parameters):
    heard = Heard()
    request = GenerateRequest(messages, {"temperature": 0.0, **parameters}, speculation=how)
    heard.finished = engine.generate(request, heard.events.append, never)
    return heard


def ids_of(engine, messages):
    return torch.tensor([engine._loaded.prompts.build(messages).ids], device=DEVICE)


def generated(engine, ids, count, **options):
    """What transformers itself writes: the ids after the prompt."""
    from transformers import GenerationConfig

    config = GenerationConfig(do_sample=False, max_new_tokens=count, pad_token_id=0, **options)
    made = engine._loaded.model.generate(
        ids, attention_mask=torch.ones_like(ids), generation_config=config
    )
    return made[0, ids.shape[1] :].tolist()


def recomputed(engine, *arguments, **parameters):
    """A reply of which nothing was computed before."""
    engine._loaded.cache.drop()
    heard = ask(engine, *arguments, **parameters)
    assert heard.prompt.cached_tokens == 0
    return heard


@pytest.fixture
def written(monkeypatch):
    """The ids of the last reply; as a text, bytes that are no character can't be told apart."""
    found, finish = [], streamer.ReplyStreamer.finish

    def noting(self):
        found[:] = self.ids
        finish(self)

    monkeypatch.setattr(streamer.ReplyStreamer, "finish", noting)
    return found


def settled():
    gc.collect()
    if IS_CUDA:
        torch.cuda.synchronize()
        torch.cuda.empty_cache()


def taken():
    """What torch holds on the GPU."""
    settled()
    return torch.cuda.memory_allocated()


# -- where it goes, and what it says


def test_a_model_goes_to_the_gpu_in_16_bits(engine, folders):
    info = load(engine, folders("full")) if IS_CUDA else on(engine, folders("full"))
    assert info.device == DEVICE
    if IS_CUDA:
        assert info.dtype == "bfloat16"
        assert engine.target_memory()[0] == DEVICE
    weights = list(engine._loaded.model.parameters())
    assert {str(weight.device) for weight in weights} == {DEVICE}
    assert {str(weight.dtype) for weight in weights} == {f"torch.{info.dtype}"}
    assert ask(engine, chat("hello"), max_new_tokens=5).finished.stats.new_tokens == 5
    layer = engine._loaded.cache._entries[0].cache.layers[0]
    assert str(layer.keys.device) == DEVICE


@pytest.mark.parametrize("kind", KINDS)
def test_a_greedy_reply_is_what_transformers_writes(engine, folders, written, kind):
    on(engine, folders(kind), dtype="float32")
    messages = chat("hello, how are you?", "fine", "and now?")
    expected = generated(engine, ids_of(engine, messages), 24)
    heard = ask(engine, messages, max_new_tokens=24)
    assert written == expected
    assert heard.finished.reason is StopReason.LENGTH


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
@pytest.mark.parametrize("kind", KINDS)
def test_in_16_bits_each_token_is_as_good_as_the_likeliest(engine, folders, written, kind, dtype):
    on(engine, folders(kind), dtype=dtype)
    messages = chat("hello, how are you?")
    prompt = ids_of(engine, messages)
    ask(engine, messages, max_new_tokens=24)
    assert len(written) == 24
    ids = torch.cat((prompt, torch.tensor([written], device=DEVICE)), dim=1)
    with torch.inference_mode():
        rows = engine._loaded.model(input_ids=ids, use_cache=False).logits[0].float()
    rows = rows[prompt.shape[1] - 1 : -1]
    chosen = rows.gather(1, ids[0, prompt.shape[1] :, None])[:, 0]
    spread = rows.max(-1).values - rows.min(-1).values
    assert (rows.max(-1).values - chosen <= 0.05 * spread).all()


@pytest.mark.parametrize("name", PARAMETERS)
def test_a_reply_can_be_made_with_each_parameter(engine, folders, name):
    on(engine, folders("full"))
    value = PARAMETERS[name].check(SAMPLES[name])
    heard = ask(engine, chat("hello"), **{"temperature": 0.7, "max_new_tokens": 4, name: value})
    assert heard.finished.stats.new_tokens > 0


def test_the_same_seed_gives_the_same_reply(engine, folders):
    on(engine, folders("full"))
    drawn = {"temperature": 1.0, "max_new_tokens": 30}
    first = ask(engine, chat("hello"), seed=5, **drawn)
    again = ask(engine, chat("hello"), seed=5, cached_at_most=0, **drawn)
    assert again.text == first.text
    assert ask(engine, chat("hello"), seed=6, **drawn).text != first.text


def test_whether_a_reply_is_over_is_asked_where_nobody_waits_for_the_gpu(
    engine, folders, monkeypatch
):
    on(engine, folders("full"))
    asked, is_over = [], stopping.CancelCriteria.__call__

    def noting(self, input_ids, scores, **options):
        asked.append((str(input_ids.device), input_ids.shape[1]))
        return is_over(self, input_ids, scores, **options)

    monkeypatch.setattr(stopping.CancelCriteria, "__call__", noting)
    prompt = ask(engine, chat("hello"), max_new_tokens=3).prompt.prompt_tokens
    assert asked == [("cpu", prompt + count) for count in (1, 2, 3)]


# -- what is kept of a prompt


@pytest.mark.parametrize("kind", KINDS)
def test_turns_edits_and_variants_say_what_they_say_when_all_is_computed_anew(
    engine, folders, kind
):
    on(engine, folders(kind), dtype="float32")
    first = ask(engine, chat("hello there, tell me " + "more " * 30), max_new_tokens=12)
    question = "hello there, tell me " + "more " * 30
    chats = {
        "second turn": chat(question, first.text, "and then?"),
        "edit": chat("hello there, tell us " + "more " * 30),
        "edit of a later turn": chat(question, first.text, "or else?"),
        "variant": chat(question),
    }
    cached = {}
    heard = {}
    for name, messages in chats.items():
        heard[name] = ask(engine, messages, max_new_tokens=12)
        cached[name] = heard[name].prompt.cached_tokens
    if kind in ("full", "sliding", "mixed"):
        assert all(cached.values())
    for name, messages in chats.items():
        assert recomputed(engine, messages, max_new_tokens=12).text == heard[name].text, name


def test_what_is_computed_ahead_is_what_the_next_message_goes_on_from(engine, folders):
    on(engine, folders("full"), dtype="float32")
    first = ask(engine, chat("hello"), max_new_tokens=12)
    assert engine.prepare(GenerateRequest(chat("hello", first.text)), never)
    later = chat("hello", first.text, "again")
    heard = ask(engine, later, max_new_tokens=12)
    assert heard.prompt.cached_tokens > 0
    assert recomputed(engine, later, max_new_tokens=12).text == heard.text


def test_a_long_prompt_is_read_in_chunks(engine, wide, written):
    on(engine, wide, dtype="float32")
    messages = chat("a tale of words " * 200)
    expected = generated(engine, ids_of(engine, messages), 8)
    heard = ask(engine, messages, max_new_tokens=8)
    assert written == expected
    steps = [event for event in heard.events if isinstance(event, Progress)]
    chunk = engine._loaded.prefill.chunk_tokens
    assert len(steps) >= heard.prompt.prompt_tokens // chunk
    if IS_CUDA:
        assert chunk == 1024


def test_stopping_while_the_prompt_is_read_keeps_what_was_read(engine, wide):
    on(engine, wide, dtype="float32")
    messages = chat("a tale of words " * 200)
    seen = []

    def cancelled():
        # Once for each layer and chunk; in the second chunk.
        seen.append(1)
        return len(seen) > 8

    heard = ask(engine, messages, cancelled=cancelled, max_new_tokens=8)
    assert heard.finished.reason is StopReason.CANCELLED
    assert not heard.text
    again = ask(engine, messages, max_new_tokens=8)
    assert again.prompt.cached_tokens % engine._loaded.prefill.chunk_tokens == 0
    assert recomputed(engine, messages, max_new_tokens=8).text == again.text


def test_stopping_within_a_reply_keeps_its_text_and_the_next_goes_on(engine, folders, written):
    on(engine, folders("full"), dtype="float32")
    ask(engine, chat("hello"), max_new_tokens=40)
    whole = list(written)
    looks = []

    def cancelled():
        looks.append(1)
        return len(looks) > 20

    heard = ask(engine, chat("hello"), cancelled=cancelled, max_new_tokens=40)
    assert heard.finished.reason is StopReason.CANCELLED
    assert 0 < len(written) < 40
    assert written == whole[: len(written)]
    again = ask(engine, chat("hello"), max_new_tokens=40)
    assert written == whole
    assert again.prompt.cached_tokens == again.prompt.prompt_tokens - 1


# -- drafts


@pytest.mark.parametrize("kind", ["full", "sliding", "mixed"])
@pytest.mark.parametrize("how", [Speculation.AUTO, Speculation.LOOKUP])
def test_prompt_lookup_changes_no_reply(engine, folders, kind, how):
    on(engine, folders(kind), dtype="float32")
    plain = drafted(engine, QUOTING, Speculation.OFF, max_new_tokens=40)
    assert drafted(engine, QUOTING, how, max_new_tokens=40).text == plain.text
    always = drafted(engine, QUOTING, how, max_new_tokens=40, prompt_lookup_num_tokens=5)
    assert always.text == plain.text
    assert always.finished.stats.drafted_tokens > 0


@pytest.mark.parametrize("quantization", ["none", "4bit"])
def test_an_assistant_drafts_and_changes_no_reply(engine, wide, tmp_path, quantization):
    on(engine, wide, dtype="float32", quantization=quantization)
    plain = drafted(engine, QUOTING, Speculation.OFF, max_new_tokens=30)
    small = tiny.llama(tmp_path / "small", sizes={"num_hidden_layers": 1})
    on(engine, wide, dtype="float32", quantization=quantization, assistant=str(small))
    assert str(engine._loaded.assistant.input_device) == DEVICE
    heard = drafted(engine, QUOTING, Speculation.ASSISTANT, max_new_tokens=30)
    assert heard.finished.stats.drafted_tokens > 0
    if quantization == "none":
        assert heard.text == plain.text


def test_an_assistant_with_other_tokens_drafts_by_way_of_the_text(engine, folders, tmp_path):
    on(engine, folders("full"), dtype="float32")
    plain = drafted(engine, QUOTING, Speculation.OFF, max_new_tokens=30)
    small = tiny.llama(tmp_path / "small")
    path = small / "tokenizer.json"
    content = json.loads(path.read_text())
    vocabulary = content["model"]["vocab"]
    words = sorted(vocabulary, key=vocabulary.get)
    content["model"]["vocab"] = {word: place for place, word in enumerate(reversed(words))}
    path.write_text(json.dumps(content))
    on(engine, folders("full"), dtype="float32", assistant=str(small))
    heard = drafted(engine, QUOTING, Speculation.ASSISTANT, max_new_tokens=30)
    assert heard.text == plain.text


# -- quantizations


@pytest.mark.parametrize("name", QUANTIZATIONS)
def test_each_quantization_replies_in_what_was_estimated_or_says_why_not(engine, wide, name):
    on(engine, wide, dtype="bfloat16")
    ids = ids_of(engine, QUOTING)
    with torch.inference_mode():
        whole = engine._loaded.model(input_ids=ids).logits[0, -1].float()
    engine.unload()
    before = taken() if IS_CUDA else 0
    found = availability(name, DEVICE)
    if not found.ok:
        with pytest.raises(ModelLoadError) as raised:
            on(engine, wide, quantization=name)
        assert found.reason in raised.value.message
        assert engine.loaded is None
        return
    info = on(engine, wide, dtype="bfloat16", quantization=name)
    assert (info.device, info.quantization) == (DEVICE, name)
    estimate = weights_bytes(folder_facts(wide), name, dtype="bfloat16", device=DEVICE)
    assert info.weights_bytes == pytest.approx(estimate, rel=0.1)
    if IS_CUDA:
        assert taken() - before == pytest.approx(estimate, rel=0.1)
    heard = ask(engine, chat("hello"), max_new_tokens=8)
    assert heard.finished.stats.new_tokens == 8
    later = chat("hello", heard.text, "again")
    assert ask(engine, later, max_new_tokens=8).prompt.cached_tokens > 0
    with torch.inference_mode():
        logits = engine._loaded.model(input_ids=ids).logits[0, -1].float()
    assert torch.nn.functional.cosine_similarity(whole, logits, dim=0) > 0.9
    # What it sets for itself must not hold for the next model.
    assert torch.get_float32_matmul_precision() == "highest"


@pytest.mark.parametrize("name", ["none", "8bit", "4bit", "4bit-fp4", "torchao-int8"])
@pytest.mark.parametrize("dtype", ["float16", "float32"])
def test_quantizations_reply_in_other_types_too(engine, wide, name, dtype):
    on(engine, wide, quantization=name, dtype=dtype)
    assert ask(engine, chat("hello"), max_new_tokens=4).finished.stats.new_tokens == 4


@pytest.mark.parametrize("kind", ["full", "mixed", "hybrid"])
def test_int4_of_torchao_takes_layers_of_other_sizes(engine, folders, kind):
    on(engine, folders(kind), quantization="torchao-int4", dtype="bfloat16")
    assert ask(engine, chat("hello"), max_new_tokens=4).finished.stats.new_tokens == 4


@only_cuda
@pytest.mark.parametrize("dtype", ["float16", "float32"])
def test_int4_of_torchao_says_what_it_does_not_take(engine, wide, dtype):
    with pytest.raises(ModelLoadError, match="only support bfloat16"):
        on(engine, wide, quantization="torchao-int4", dtype=dtype)


# -- memory


@only_cuda
def test_the_reading_of_memory_is_what_the_gpu_says_and_falls_after_unloading(engine, wide):
    on(engine, wide)
    engine.unload()
    settled()
    _, empty = engine.target_memory()
    assert (empty.kind, empty.weights, empty.cache) == ("VRAM", 0, 0)
    assert empty.total == torch.cuda.get_device_properties(0).total_memory
    info = on(engine, wide)
    ask(engine, chat("word " * 200), max_new_tokens=8)
    full = engine.memory()
    assert full.weights == info.weights_bytes
    assert full.cache == engine._loaded.cache.bytes > 0
    assert full.own >= full.weights + full.cache
    assert full.own <= full.used <= full.total
    assert full.used - empty.used >= 0.9 * (full.weights + full.cache)
    assert [one.kind for one in full.others] == ["RAM"]
    engine.unload()
    after = memory.read(DEVICE)
    assert after.own <= empty.own + 4 * MB
    assert full.used - after.used >= 0.9 * (full.weights + full.cache)


@only_cuda
def test_loads_in_a_row_leave_nothing_behind(engine, wide, folders):
    """One after another, also when a load fails or a reply does."""

    def again(**options):
        on(engine, wide, **options)
        ask(engine, chat("word " * 300), max_new_tokens=8)

    again()
    engine.unload()
    before = taken()
    for options in ({}, {"quantization": "4bit"}, {"quantization": "8bit"}, {"dtype": "float32"}):
        again(**options)
    with pytest.raises(ModelLoadError):
        on(engine, wide, quantization="int8")
    again()
    loaded = taken()
    again()
    assert taken() <= loaded + MB
    again(keeps_former=True, dtype="float32")
    on(engine, folders("full"))
    engine.unload()
    assert taken() <= before + MB


@only_cuda
@pytest.mark.parametrize("name", ["none", "4bit"])
def test_the_estimate_is_what_the_whole_of_a_chat_takes(engine, wide, name):
    on(engine, wide)
    ask(engine, chat("hello"), max_new_tokens=2)
    engine.unload()
    before = taken()
    torch.cuda.reset_peak_memory_stats()
    on(engine, wide, quantization=name)
    loading = torch.cuda.max_memory_allocated() - before
    heard = ask(engine, chat("word " * 3200), max_new_tokens=8)
    tokens = heard.finished.stats.context_tokens
    needed = need(folder_facts(wide), name, context_tokens=tokens, device=DEVICE)
    held = needed.weights_bytes + needed.cache_bytes
    assert taken() - before == pytest.approx(held, rel=0.1)
    peak = torch.cuda.max_memory_allocated() - before
    assert peak <= needed.total_bytes, f"{peak / MB:.0f} MB, {loading / MB:.0f} while it was loaded"


def leave(more):
    """Let torch take so many bytes more than it holds."""
    settled()
    total = torch.cuda.get_device_properties(0).total_memory
    torch.cuda.set_per_process_memory_fraction((torch.cuda.memory_reserved() + more) / total)


@only_cuda
def test_a_prompt_too_long_for_the_memory_is_a_sentence_and_the_next_reply_works(engine, wide):
    on(engine, wide)
    before = ask(engine, chat("hello"), max_new_tokens=8).text
    settled()
    held = torch.cuda.memory_reserved()
    leave(100 * MB)
    with pytest.raises(GenerationError) as raised:
        ask(engine, chat("word " * 12_000), max_new_tokens=8)
    assert raised.value.cause is FailureCause.MEMORY
    assert "isn't enough memory" in raised.value.message
    assert ask(engine, chat("hello"), max_new_tokens=8).text == before
    settled()
    # A library may have taken room to work in, which it keeps.
    assert engine.memory().own <= held + 50 * MB


@only_cuda
def test_kept_caches_are_given_up_before_memory_runs_out(engine, wide):
    on(engine, wide)
    leave(400 * MB)
    for start in "abcdefgh":
        heard = ask(engine, chat(start + "word " * 1600), max_new_tokens=4)
        assert heard.finished.stats.new_tokens == 4


@only_cuda
@pytest.mark.parametrize("options", [{}, {"quantization": "8bit"}, {"compile": True}])
def test_a_model_too_large_for_the_memory_is_a_sentence_and_a_smaller_one_loads(
    engine, wide, folders, options
):
    on(engine, folders("full"))
    engine.unload()
    before = taken()
    leave(20 * MB)
    with pytest.raises(ModelLoadError) as raised:
        on(engine, wide, **options)
    assert raised.value.cause is FailureCause.MEMORY
    assert "isn't enough memory" in raised.value.message
    assert taken() <= before + MB
    on(engine, folders("full"))
    assert ask(engine, chat("hello"), max_new_tokens=4).finished.stats.new_tokens == 4


@only_cuda
@pytest.mark.parametrize("limit", ["120MiB", "60MiB", "1MiB"])
def test_what_does_not_fit_runs_on_the_cpu_and_says_the_same(engine, wide, limit):
    on(engine, wide, dtype="float32")
    first = ask(engine, chat("hello"), max_new_tokens=6)
    later = chat("hello", first.text, "again")
    second = ask(engine, later, max_new_tokens=6)
    limits = {"cuda:0": limit, "cpu": "20GiB"}
    info = load(engine, wide, dtype="float32", max_memory=limits)
    assert any("runs on the CPU" in note for note in info.notes), info
    assert ask(engine, chat("hello"), max_new_tokens=6).text == first.text
    heard = ask(engine, later, max_new_tokens=6)
    assert heard.prompt.cached_tokens > 0
    assert heard.text == second.text


# -- numbers that are none


@pytest.mark.parametrize("kind", ["full", "forgetful"])
@pytest.mark.parametrize("value", [float("nan"), float("inf")])
@pytest.mark.parametrize("temperature", [0.0, 0.8])
def test_a_model_that_computes_no_numbers_says_so_and_the_next_one_works(
    engine, folders, tmp_path, kind, value, temperature
):
    folder = KINDS[kind](tmp_path / "broken")
    path = folder / "model.safetensors"
    weights = load_file(path)
    # From the last norm it reaches the choice of every token.
    name = next(one for one in weights if one.endswith(("model.norm.weight", "norm_f.weight")))
    weights[name] = torch.full_like(weights[name], value)
    save_file(weights, path, metadata={"format": "pt"})
    on(engine, folder)
    with pytest.raises(GenerationError, match="out of range"):
        ask(engine, chat("hello"), temperature=temperature, max_new_tokens=4)
    on(engine, folders("full"))
    assert ask(engine, chat("hello"), max_new_tokens=4).finished.stats.new_tokens == 4


# -- in processes of their own: what is broken or bound to a thread there stays there

WORKER = """
import sys, threading, time
from pathlib import Path
from tui.conversation.turn import Message
from tui.engine.base import Failed, Finished, GenerateRequest, LoadRequest, ModelReady, TextDelta
from tui.engine.local.engine import LocalEngine
from tui.engine.worker import EngineWorker

cache, device, folder, *others = sys.argv[1:]
worker = EngineWorker(LocalEngine(Path(cache)))

def until_end(job):
    events, deadline = [], time.monotonic() + 200
    while time.monotonic() < deadline:
        events += [event for of, event in worker.drain() if of == job]
        # As the status bar does, from another thread.
        worker.memory()
        if events and isinstance(events[-1], (Failed, Finished, ModelReady)):
            return events
        time.sleep(0.01)
    raise SystemExit("no end")

def loaded(**options):
    end = until_end(worker.load(LoadRequest(folder, device=device, dtype="float32", **options)))[-1]
    assert isinstance(end, ModelReady), end
    return end.info

def reply(*texts):
    messages = tuple(Message(("user", "assistant")[i % 2], text) for i, text in enumerate(texts))
    request = GenerateRequest(messages, {"temperature": 0.0, "max_new_tokens": 12})
    events = until_end(worker.generate(request))
    assert isinstance(events[-1], Finished), events[-1]
    return "".join(event.text for event in events if isinstance(event, TextDelta))
"""

COMPILED = """
loaded()
first = reply("hello")
second = reply("hello", first, "again")
for _ in range(2):
    info = loaded(compile=True)
    assert "The decoding pass is compiled." in info.notes, info.notes
    assert reply("hello") == first
    assert reply("hello", first, "again") == second
    assert worker.memory().cache > 0
    loaded()
    assert reply("hello") == first
assert worker.close(30)
"""

ASSERTED = """
import torch
from tui.engine.local import decoding

loaded()
reply("hello")
def fails(scores):
    torch._assert_async(torch.zeros(1, device=scores.device), "planted")
    return int(scores.argmax(-1))
decoding._greedy = fails
request = GenerateRequest((Message("user", "hello"),), {"temperature": 0.0, "max_new_tokens": 4})
end = until_end(worker.generate(request))[-1]
print(end)
assert isinstance(end, Failed), end
if device != "cpu":
    assert "GPU" in end.message and "Restart chat-tui" in end.hint, end
for job in (worker.generate(request), worker.load(LoadRequest(folder, device=device))):
    end = until_end(job)[-1]
    print(end)
    if device != "cpu":
        assert isinstance(end, Failed), end
        assert "GPU" in end.message and "Restart chat-tui" in end.hint, end
assert worker.close(30)
"""


def run(program, own_cache, folder):
    done = subprocess.run(
        [sys.executable, "-c", WORKER + program, str(own_cache), DEVICE, str(folder)],
        capture_output=True, text=True, timeout=240, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-3000:]


def test_a_compiled_model_says_the_same_in_the_apps_thread(own_cache, folders):
    run(COMPILED, own_cache, folders("full"))


def test_a_gpu_that_gave_up_is_a_sentence_that_says_to_start_again(own_cache, folders):
    run(ASSERTED, own_cache, folders("full"))


@pytest.mark.parametrize("quantization", ["none", "torchao-int8", "4bit"])
def test_a_compiled_model_says_the_same_and_leaves_no_memory(engine, wide, quantization):
    """Watched as the status bar does, from another thread."""
    if not IS_CUDA and quantization != "none":
        pytest.skip("it is about what a GPU records")
    wanted = {"dtype": "bfloat16" if quantization != "none" else "float32"}
    on(engine, wide, quantization=quantization, kernels=False, **wanted)
    first = ask(engine, chat("hello"), max_new_tokens=12)
    engine.unload()
    before = taken() if IS_CUDA else 0
    ended, read = threading.Event(), []

    def watch():
        while not ended.wait(0.005):
            read.append(engine.memory())

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        info = on(engine, wide, quantization=quantization, compile=True, **wanted)
        if not any("is compiled" in note for note in info.notes):
            assert quantization != "none", info.notes
            assert any("Not compiled" in note for note in info.notes)
        heard = ask(engine, chat("hello"), max_new_tokens=12)
        assert heard.finished.stats.new_tokens == 12
        if quantization == "none":
            assert heard.text == first.text
        lookup = drafted(engine, QUOTING, Speculation.LOOKUP, max_new_tokens=30)
        plain = drafted(engine, QUOTING, Speculation.OFF, max_new_tokens=30)
        if quantization == "none":
            assert lookup.text == plain.text
    finally:
        ended.set()
        watcher.join()
    assert read
    engine.unload()
    if IS_CUDA:
        assert taken() <= before + 2 * MB
    on(engine, wide, quantization=quantization, kernels=False, **wanted)
    assert ask(engine, chat("hello"), max_new_tokens=12).text == first.text
