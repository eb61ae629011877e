"""Loading: what a loaded model says of itself, and a sentence for everything that can go wrong."""

import gc
import importlib
import importlib.util
import json
import shutil
import subprocess
import sys
import threading
import weakref
from types import SimpleNamespace

import pytest
import torch

from tests.engine import tiny
from tests.engine.conftest import ask, chat, load, never
from tui.engine.base import Cancelled, GenerationError, LoadRequest, ModelLoadError, Progress
from tui.engine.local import loading
from tui.engine.local.cpu import linear
from tui.engine.local.cpu.native_library import find_compiler
from tui.engine.local.engine import LocalEngine


@pytest.fixture(scope="module")
def llama(tmp_path_factory):
    return tiny.llama(
        tmp_path_factory.mktemp("models") / "tiny-llama",
        temperature=0.7, top_p=5.0, do_sample=True, repetition_penalty=1.1,
    )  # fmt: skip


@pytest.fixture
def broken(llama, tmp_path):
    """A copy of the model to break."""
    return shutil.copytree(llama, tmp_path / "broken")


def change_config(folder, **values):
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, **values}))


def test_a_loaded_model_says_what_it_is(engine, llama):
    info = load(engine, llama, dtype="float32", device="cpu")
    assert info == engine.loaded
    assert (info.model, info.name) == (str(llama), "tiny-llama")
    assert (info.device, info.dtype, info.context_tokens) == ("cpu", "float32", 512)
    parameters = list(engine._loaded.model.parameters())
    assert info.parameters == sum(weight.numel() for weight in parameters)
    buffers = sum(b.nbytes for b in engine._loaded.model.buffers())
    assert info.weights_bytes == sum(weight.nbytes for weight in parameters) + buffers
    # top_p 5 is not valid
    assert info.defaults == {
        "temperature": 0.7, "repetition_penalty": 1.1, "do_sample": True, "eos_token_id": [257],
    }  # fmt: skip
    assert info.has_chat_template
    assert (info.quantization, info.quantization_locked, info.notes) == ("none", "", ())


def test_a_model_that_does_not_sample_has_temperature_zero(engine, tmp_path):
    info = load(engine, tiny.llama(tmp_path / "m", do_sample=False, temperature=0.9))
    assert info.defaults["temperature"] == 0


@pytest.mark.skipif(find_compiler() is None, reason="without a compiler there are no kernels")
def test_kernels_that_can_not_be_used_are_noted(tmp_path, llama):
    (tmp_path / "cache").mkdir()
    (tmp_path / "cache" / "kernels").symlink_to(tmp_path)
    engine = LocalEngine(tmp_path / "cache")
    (note,) = (note for note in load(engine, llama).notes if "CPU kernels" in note)
    assert note.startswith(
        "chat-tui's CPU kernels can't be used, so replies are slower: [Errno 20]"
    )
    assert not any("CPU kernels" in note for note in load(engine, llama, kernels=False).notes)


def test_a_base_model_is_loaded_with_a_word_about_it(engine, tmp_path):
    info = load(engine, tiny.llama(tmp_path / "m", None))
    assert not info.has_chat_template
    assert "no chat template" in info.notes[0]
    assert ask(engine, chat("Once"), max_new_tokens=3).finished.stats.new_tokens == 3


def test_a_template_without_system_role_is_noted(engine, tmp_path):
    info = load(engine, tiny.llama(tmp_path / "m", tiny.NO_SYSTEM_TEMPLATE))
    assert "no system role" in info.notes[0]


STAGES = [
    "Importing torch", "Reading config", "Tokenizer", "Loading weights", "Choosing kernels", "Warming up",
]  # fmt: skip


def test_stages_are_reported_in_order(engine, llama):
    events = []
    engine.load(LoadRequest(str(llama)), events.append, never)
    assert all(isinstance(event, Progress) for event in events)
    stages = list(dict.fromkeys(event.stage for event in events))
    assert stages == STAGES
    weights = [event for event in events if event.stage == "Loading weights"]
    assert weights[-1].done == weights[-1].total > 0


@pytest.mark.parametrize("stage", STAGES)
def test_a_load_can_be_cancelled_at_every_stage(engine, llama, stage):
    load(engine, llama)
    seen = []
    with pytest.raises(Cancelled):
        engine.load(
            LoadRequest(str(llama)), seen.append, lambda: any(e.stage == stage for e in seen)
        )
    assert seen[-1].stage == stage
    assert (engine.loaded is None) == (
        stage in ("Loading weights", "Choosing kernels", "Warming up")
    )
    from transformers.utils import logging

    assert logging.set_tqdm_hook(None) is None
    assert load(engine, llama)


@pytest.mark.parametrize("quantization", ["int8", "int4"])
def test_quantizing_tells_its_layers_and_ends_between_two_when_it_is_cancelled(
    engine, tmp_path, quantization
):
    sizes = {"hidden_size": 64, "intermediate_size": 128, "num_hidden_layers": 4}
    folder = tiny.llama(tmp_path / "model", sizes=tuple(sizes.items()))
    asked = 0

    def cancelled():
        nonlocal asked
        asked += bool(seen) and seen[-1].stage == "Quantizing the weights"
        return asked > 5

    seen = []
    with pytest.raises(Cancelled):
        engine.load(
            LoadRequest(str(folder), quantization, dtype="bfloat16"), seen.append, cancelled
        )
    assert seen[-1].stage == "Quantizing the weights"
    assert asked == 6
    assert seen[-1].total == 4 * 7 + 1
    assert engine.loaded is None


@pytest.mark.parametrize("kind", [linear.Int4, linear.TorchInt4])
def test_rounding_a_large_layer_in_blocks_is_rounding_it_whole(monkeypatch, kind):
    weight = torch.randn(48, 64, generator=torch.Generator().manual_seed(1))
    options = (None,) if kind is linear.Int4 else ()
    whole = kind(weight, *options)
    monkeypatch.setattr(linear, "_BLOCK_WEIGHTS", 64 * 5)
    checked = []
    parts = kind(weight, *options, lambda: checked.append(1))
    assert torch.equal(whole.q, parts.q)
    assert torch.equal(whole.scales, parts.scales)
    assert len(checked) == 10


def test_a_cancel_does_not_wait_for_what_has_to_be_imported(engine, llama, monkeypatch):
    go, ended = threading.Event(), []

    def slow(_prepared):
        go.wait(30)
        ended.append(True)

    monkeypatch.setattr(loading, "_import_needed", slow)
    seen = []
    with pytest.raises(Cancelled):
        engine.load(
            LoadRequest(str(llama)),
            seen.append,
            lambda: any(one.stage == "Loading weights" for one in seen),
        )
    assert not ended
    go.set()


def test_unloading_frees_the_model(engine, llama):
    load(engine, llama)
    ask(engine, chat("hello"), max_new_tokens=3)
    known = weakref.ref(engine._loaded.model)
    engine.unload()
    gc.collect()
    assert known() is None
    assert engine.loaded is None
    engine.unload()
    with pytest.raises(GenerationError, match="No model"):
        ask(engine, chat("hello"))


def test_the_former_model_is_free_before_the_next_one_is_read(engine, llama, monkeypatch):
    load(engine, llama)
    known = weakref.ref(engine._loaded.model)
    read = loading.load
    freed = []

    def watched(*args):
        freed.append(known() is None)
        return read(*args)

    monkeypatch.setattr(loading, "load", watched)
    load(engine, llama)
    assert freed == [True]


# -- what can go wrong


def refused(engine, model, **options):
    with pytest.raises(ModelLoadError) as raised:
        load(engine, model, **options)
    assert raised.value.hint
    assert "Traceback" not in raised.value.message
    return raised.value.message


@pytest.mark.parametrize(
    ("breaks", "message"),
    [
        (lambda f: (f / "model.safetensors").unlink(), "no weights"),
        (lambda f: (f / "model.safetensors").write_bytes(b"\x00" * 50), "filled with zeros only"),
        (lambda f: (f / "model.safetensors").write_bytes(b"\x01" * 50), "damaged or incomplete"),
        (
            lambda f: (f / "model.safetensors").write_bytes(
                (f / "model.safetensors").read_bytes()[:-9]
            ),
            "damaged or incomplete",
        ),
        (lambda f: (f / "model.safetensors").write_bytes(b""), "is empty"),
        (lambda f: (f / "config.json").write_text("{not json"), "isn't valid JSON"),
        (lambda f: (f / "config.json").write_text("[1]"), "doesn't contain a model config"),
        (lambda f: change_config(f, model_type="not-yet-invented"), "architecture"),
        (lambda f: change_config(f, model_type="vit"), "isn't a text generation model"),
        (
            lambda f: change_config(
                f,
                model_type="own",
                auto_map={"AutoConfig": "code.C", "AutoModelForCausalLM": "code.M"},
            ),
            "code from its own folder",
        ),
        (
            lambda f: (
                (f / "model.safetensors").unlink(),
                (f / "model.safetensors.index.json").write_text(
                    json.dumps({"weight_map": {"a": "model-00001-of-00002.safetensors"}})
                ),
            ),
            "model-00001-of-00002.safetensors is missing",
        ),
        (lambda f: (f / "tokenizer.json").write_text("{"), "tokenizer.json can't be used"),
    ],
)
def test_a_broken_folder_is_refused_before_the_former_model_is_freed(
    engine, llama, broken, breaks, message
):
    before = load(engine, llama)
    breaks(broken)
    assert message in refused(engine, broken)
    assert engine.loaded == before
    assert ask(engine, chat("hello"), max_new_tokens=2).finished


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"quantization": "3bit"}, "isn't a valid quantization"),
        ({"dtype": "int4"}, "isn't a valid data type"),
        ({"device": "cuda:7"}, "isn't available"),
        ({"device": "toaster"}, "isn't available"),
    ],
)
def test_choices_that_are_not_there(engine, llama, options, message):
    load(engine, llama)
    assert message in refused(engine, llama, **options)
    assert engine.loaded


def test_a_quantization_without_its_package(engine, llama, monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda _name: None)
    assert "needs the package bitsandbytes" in refused(engine, llama, quantization="4bit")


@pytest.mark.parametrize(
    "error", [MemoryError(), torch.OutOfMemoryError("CUDA out of memory."), RuntimeError("DefaultCPUAllocator: not enough memory")]
)  # fmt: skip
def test_running_out_of_memory(engine, llama, monkeypatch, error):
    load(engine, llama)

    def fail(*_args, **_options):
        half_a_model = torch.nn.Linear(8, 8)
        known.append(weakref.ref(half_a_model))
        raise error

    known = []
    from transformers import LlamaForCausalLM

    monkeypatch.setattr(LlamaForCausalLM, "from_pretrained", fail)
    assert "isn't enough memory" in refused(engine, llama)
    assert engine.loaded is None
    assert known[0]() is None
    monkeypatch.undo()
    assert load(engine, llama)


def test_no_network_and_an_unknown_id(engine, llama, monkeypatch):
    before = load(engine, llama)
    # The tests keep the Hub switched off.
    assert "is disabled (HF_HUB_OFFLINE is set)" in refused(engine, "no-such-org/no-such-model")
    assert engine.loaded == before


@pytest.mark.parametrize(
    ("kind", "status", "message"),
    [
        ("RepositoryNotFoundError", 404, "doesn't exist on the Hugging Face Hub"),
        ("GatedRepoError", 403, "accept its terms"),
        ("RevisionNotFoundError", 404, "no such revision"),
        ("HfHubHTTPError", 401, "accept its terms"),
        ("HfHubHTTPError", 500, "returned an error"),
    ],
)
def test_what_the_hub_answers(engine, monkeypatch, kind, status, message):
    from huggingface_hub import errors

    response = SimpleNamespace(status_code=status, headers={})

    def fail(*_args, **_options):
        wanted = getattr(errors, kind)
        error = wanted.__new__(wanted)
        error.args = ("answer",)
        error.response = response
        raise error

    monkeypatch.setattr("tui.engine.hub.hub.list_model", fail)
    assert message in refused(engine, "org/model")


def test_a_connection_that_breaks(engine, monkeypatch):
    def fail(*_args, **_options):
        raise ConnectionError("reset by peer")

    monkeypatch.setattr("tui.engine.hub.hub.list_model", fail)
    assert "can't be reached" in refused(engine, "org/model")


def test_an_already_quantized_checkpoint_locks_the_choice(engine, broken):
    change_config(
        broken, quantization_config={"quant_method": "bitsandbytes", "load_in_4bit": True}
    )
    prepared = loading.facts.quantization_method(json.loads((broken / "config.json").read_text()))
    assert prepared == "bitsandbytes 4-bit"


@pytest.mark.parametrize(("name", "kind"), [("8bit", "Linear8bitLt"), ("4bit", "Linear4bit")])
def test_quantized_models_load_and_reply_on_a_cpu(engine, tmp_path, name, kind):
    # Its first import logs an exception, whose frames pytest keeps with the record, and the model with them.
    importlib.import_module("bitsandbytes")
    folder = tiny.llama(tmp_path / "m", sizes={"hidden_size": 64, "intermediate_size": 128})
    plain = load(engine, folder)
    info = load(engine, folder, quantization=name)
    assert info.quantization == name
    assert info.weights_bytes < plain.weights_bytes
    assert any(type(module).__name__ == kind for module in engine._loaded.model.modules())
    assert ask(engine, chat("hello"), max_new_tokens=3).finished.stats.new_tokens == 3
    known = weakref.ref(engine._loaded.model)
    engine.unload()
    gc.collect()
    assert known() is None


def test_a_checkpoint_saved_quantized_is_loaded_as_it_is(engine, tmp_path):
    folder = tiny.llama(tmp_path / "m", sizes={"hidden_size": 64, "intermediate_size": 128})
    load(engine, folder, quantization="4bit")
    saved = tmp_path / "saved"
    engine._loaded.model.save_pretrained(saved)
    engine._loaded.tokenizer.save_pretrained(saved)
    info = load(engine, saved, quantization="8bit")
    assert info.quantization == "bitsandbytes 4-bit"
    assert "already quantized" in info.quantization_locked
    assert any("not used" in note for note in info.notes)
    assert ask(engine, chat("hello"), max_new_tokens=3).finished.stats.new_tokens == 3


def test_libraries_write_nothing_to_the_terminal(llama, tmp_path):
    code = (
        "import logging, sys, warnings; from pathlib import Path;"
        f"logging.basicConfig(filename={str(tmp_path / 'log')!r}, level=logging.DEBUG);"
        "from tui.engine.local.engine import LocalEngine; from tui.engine.base import *;"
        "from tui.conversation.turn import Message;"
        f"e = LocalEngine(Path({str(tmp_path / 'c')!r})); no = lambda: False; quiet = lambda _e: None;"
        f"e.load(LoadRequest({str(llama)!r}, quantization='8bit'), quiet, no);"
        "e.generate(GenerateRequest((Message('user', 'hi'),), {'max_new_tokens': 4}), quiet, no);"
        "import transformers; transformers.logging.get_logger('transformers.x').warning('spoken');"
        "warnings.warn('warned'); import gc; assert gc.isenabled()"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    log = (tmp_path / "log").read_text()
    assert "spoken" in log
    assert "warned" in log


def test_a_model_computes_with_the_threads_that_were_asked_for(engine, tmp_path):
    folder = tiny.llama(tmp_path / "model")
    # What torch takes by itself is found out at the first load of a process, which was another test's perhaps.
    load(engine, folder)
    own = torch.get_num_threads()
    load(engine, folder, threads=1)
    assert torch.get_num_threads() == 1
    load(engine, folder)
    assert torch.get_num_threads() == own


def test_a_file_that_can_not_be_mapped_is_memory_that_ran_out():
    from tui.engine.base import FailureCause
    from tui.engine.local import problems

    text = "unable to mmap 129000000000 bytes from file <model.safetensors>: Cannot allocate memory (12)"
    for kind in (RuntimeError, OSError):
        error = problems.load_error(kind(text), "big")
        assert error.cause is FailureCause.MEMORY
        assert "isn't enough memory" in error.message


def test_weights_of_another_architecture_are_refused(engine, broken):
    change_config(
        broken,
        model_type="gpt_neox",
        architectures=["GPTNeoXForCausalLM"],
        num_attention_heads=4,
    )
    assert "lacks" in refused(engine, broken)


def test_weights_of_other_shapes_are_refused_in_a_sentence(engine, broken):
    change_config(broken, intermediate_size=48)
    assert "don't match the shapes in its config.json" in refused(engine, broken)


def test_a_model_without_a_tokenizer_is_refused_in_a_sentence(engine, broken):
    for path in broken.glob("tokenizer*"):
        path.unlink()
    assert "has no tokenizer" in refused(engine, broken)


def test_a_quantization_that_an_architecture_refuses(engine, llama, monkeypatch):
    from transformers import LlamaForCausalLM

    def fail(*_args, **_options):
        raise RuntimeError("We encountered some issues during automatic conversion of the weights.")

    monkeypatch.setattr(LlamaForCausalLM, "from_pretrained", fail)
    said = refused(engine, llama, quantization="torchao-int8")
    assert "doesn't support its layers" in said


def test_the_most_memory_of_the_cpu_holds_without_another_device(engine, llama):
    former = load(engine, llama)
    assert "more than the limit of 10KiB" in refused(engine, llama, max_memory={"cpu": "10KiB"})
    assert engine.loaded == former
    assert load(engine, llama, max_memory={"cpu": "1GiB"})


def test_a_revision_of_a_folder_is_said_not_to_be_used(engine, llama):
    [note] = load(engine, llama, revision="v2").notes
    assert "revision v2 isn't used" in note


def test_a_broken_template_is_called_broken(engine, tmp_path):
    template = "{% for m in messages %}\n{{ m['content' }}\n{% endfor %}"
    [note] = load(engine, tiny.llama(tmp_path / "m", template)).notes
    assert "template is broken (line 2:" in note
    with pytest.raises(GenerationError, match="template is broken") as raised:
        ask(engine, chat("hello"))
    assert "alternate" not in raised.value.hint
