"""The model side of the app: finding one, what would fit, downloading, loading with options, ways out of failures."""

from __future__ import annotations

import json
import os
import re
import threading
import time
from dataclasses import replace
from pathlib import Path

import pytest

from tests.engine import tiny
from tests.engine.llama import tiny_gguf
from tests.hub_server import HubServer, Repo, serving
from tests.screens.conftest import ROOMY, WIDE, Desk, answered, ready, say, shown, still, until
from tests.scripted import ScriptedEngine
from tui.app import Start
from tui.engine.base import (
    FailureCause,
    GenerationError,
    LoadRequest,
    MemoryReading,
    ModelInfo,
    ModelLoadError,
    TextDelta,
)
from tui.engine.facts import ModelFacts
from tui.engine.hub.downloads import Download
from tui.engine.hub.hub import Hub
from tui.engine.llama import choice
from tui.errors import UserError
from tui.screens.ask import Ask
from tui.screens.chat import ChatScreen
from tui.screens.models.load_options import LoadOptions, parse_limits
from tui.screens.models.memory_view import MemoryView
from tui.screens.models.picker import ModelPicker
from tui.screens.models.rescue import ways_out
from tui.screens.models.rows import FreeMemory, download_text
from tui.settings.state import AppState

GB = 2**30


@pytest.fixture(scope="module")
def model(tmp_path_factory) -> Path:
    return tiny.llama(tmp_path_factory.mktemp("shelf") / "tiny-llama")


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch) -> Path:
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(constants, "DOWNLOAD_CHUNK_SIZE", 16_384)
    return tmp_path / "hub"


@pytest.fixture
def server():
    with serving() as running:
        yield running


def state(model: Path, **values) -> AppState:
    return AppState(model_folders=(str(model.parent),), **values)


async def picker(pilot) -> ModelPicker:
    await pilot.press("f4")
    await until(pilot, lambda: isinstance(pilot.app.screen, ModelPicker))
    return pilot.app.screen


async def test_models_of_this_machine_with_figures_and_a_verdict(desk: Desk, model):
    async with desk.app(state=state(model)).run_test(size=WIDE) as pilot:
        await ready(pilot)
        await picker(pilot)
        await until(pilot, lambda: "27k · float32" in shown(pilot))
        await until(pilot, lambda: "fits" in shown(pilot))
        await pilot.press("t", "i", "n", "y")
        await until(pilot, lambda: "4-bit nf4" in shown(pilot))
        assert "YOUR FOLDERS" in shown(pilot)
        assert "16.0 GB free" in shown(pilot)
        # What the total consists of adds up.
        assert "other 128 MB" in shown(pilot)


async def test_one_bad_model_takes_nothing_from_the_others(desk: Desk, model, tmp_path):
    for name, number in (("huge", "1" + "0" * 400), ("endless", "1e999"), ("minus", "-5")):
        (tmp_path / "bad" / name).mkdir(parents=True)
        text = f'{{"hidden_size": {number}, "num_attention_heads": 1}}'
        (tmp_path / "bad" / name / "config.json").write_text(text)
    os.mkfifo(tmp_path / "bad" / "pipe.gguf")
    folders = (str(tmp_path / "bad"), str(model.parent))
    async with desk.app(state=AppState(model_folders=folders)).run_test(size=ROOMY) as pilot:
        await ready(pilot)
        await picker(pilot)
        await until(pilot, lambda: "27k · float32" in shown(pilot))
        await until(pilot, lambda: "401 digits" in shown(pilot))
        assert "endless" in shown(pilot)


async def test_enter_loads_what_is_highlighted(desk: Desk, model):
    engine = ScriptedEngine()
    async with desk.app(engine, state=state(model)).run_test(size=ROOMY) as pilot:
        screen = await ready(pilot)
        await picker(pilot)
        await until(pilot, lambda: "27k · float32" in shown(pilot))
        await pilot.press("t", "i", "n", "y", "enter")
        await until(pilot, lambda: screen.model.ready and screen.model.model == str(model))
        await until(pilot, lambda: desk.states and desk.states[-1].recent_models)
        assert desk.states[-1].recent_models[0] == str(model)


async def test_the_keys_say_what_enter_does_and_escape_goes_back_from_the_hub(desk: Desk, model):
    async with desk.app(state=state(model)).run_test(size=(120, 40)) as pilot:
        screen = await ready(pilot)
        chosen = await picker(pilot)
        await until(pilot, lambda: "27k · float32" in shown(pilot))
        await until(pilot, lambda: "Enter Load" in shown(pilot) and "Ctrl+B Pin" in shown(pilot))
        await pilot.press(*"nothing", "space", *"here")
        await until(pilot, lambda: "Enter Search the Hub" in shown(pilot))
        assert "Load with" not in shown(pilot)
        await pilot.press("ctrl+t")
        await until(pilot, lambda: "Choose a model · the Hub" in shown(pilot))
        await until(pilot, lambda: "Esc Back" in shown(pilot))
        await pilot.press("escape")
        await until(pilot, lambda: "Choose a model · this machine" in shown(pilot))
        assert pilot.app.screen is chosen
        await pilot.press("escape")
        await until(pilot, lambda: pilot.app.screen is screen)


async def test_a_favorite_stands_first_and_is_remembered(desk: Desk, model):
    async with desk.app(state=state(model)).run_test(size=ROOMY) as pilot:
        await ready(pilot)
        chosen = await picker(pilot)
        await until(pilot, lambda: "27k · float32" in shown(pilot))
        await pilot.press("t", "i", "n", "y", "down", "ctrl+b")
        await until(pilot, lambda: desk.states and desk.states[-1].favorites == (str(model),))
        assert "PINNED AND RECENT" in shown(pilot)
        assert "★" in shown(pilot)
        await pilot.press("ctrl+b")
        await until(pilot, lambda: desk.states[-1].favorites == ())
        assert isinstance(chosen, ModelPicker)


async def test_what_is_typed_in_the_list_finds_models_and_does_nothing_else(desk: Desk, model):
    async with desk.app(state=state(model)).run_test(size=ROOMY) as pilot:
        await ready(pilot)
        chosen = await picker(pilot)
        await until(pilot, lambda: "27k · float32" in shown(pilot))
        await pilot.press("down", "f", "a", "s", "h", "o", "/", "c", "t")
        assert chosen.query_one("#words").value == "fasho/ct"
        assert pilot.app.screen is chosen
        assert not desk.states or desk.states[-1].favorites == ()


async def test_a_folder_is_added_and_forgotten_and_its_files_stay(desk: Desk, model):
    async with desk.app().run_test(size=ROOMY) as pilot:
        await ready(pilot)
        await picker(pilot)
        await pilot.press("down", "ctrl+n")
        await until(pilot, lambda: "Add a folder" in shown(pilot))
        pilot.app.screen.query_one("Input").value = "/no/such/folder"
        await pilot.press("enter")
        await until(pilot, lambda: "doesn't exist" in shown(pilot))
        pilot.app.screen.query_one("Input").value = str(model.parent)
        await pilot.press("enter")
        await until(pilot, lambda: "tiny-llama" in shown(pilot))
        await until(pilot, lambda: desk.states[-1].model_folders == (str(model.parent),))
        chosen = pilot.app.screen
        options = chosen.query_one("PickList")
        options.highlighted = next(
            n for n, one in enumerate(options.options) if one.id == str(model)
        )
        await pilot.press("delete")
        await until(pilot, lambda: isinstance(pilot.app.screen, Ask))
        await pilot.press("f")
        await until(pilot, lambda: desk.states[-1].model_folders == ())
        await until(pilot, lambda: "tiny-llama" not in shown(pilot))
        assert (model / "config.json").is_file()


async def test_the_hub_is_searched_and_a_model_downloaded_and_loaded_while_one_chats(
    desk: Desk, server: HubServer, model
):
    server.add_folder("org/tiny-chat", model, downloads=1200)
    server.add(Repo("org/locked", {"config.json": b"{}"}, gated=True, downloads=5))
    engine = ScriptedEngine()
    app = desk.app(engine, hub=Hub(server.url))
    async with app.run_test(size=ROOMY, notifications=True) as pilot:
        screen = await ready(pilot)
        await picker(pilot)
        await pilot.press("ctrl+t")
        await until(pilot, lambda: "org/tiny-chat" in shown(pilot))
        assert "1.2k downloads · apache-2.0" in shown(pilot)
        assert "gated" in shown(pilot)
        await until(pilot, lambda: "weights" in shown(pilot))
        await pilot.press("enter")
        await until(pilot, lambda: "Download org/tiny-chat?" in shown(pilot))
        assert "free on the disk" in shown(pilot)
        server.repos["org/tiny-chat"].piece_s = 0.01
        await pilot.press("l")
        await until(pilot, lambda: isinstance(pilot.app.screen, ChatScreen))
        await say(pilot, "hello")
        await answered(pilot, screen, 2)
        await until(pilot, lambda: screen.model.ready and screen.model.model == "org/tiny-chat", 30)
        assert not app.downloads.running
        # It is a model of this machine from now on, and needs no question any more.
        await picker(pilot)
        await until(pilot, lambda: "HUGGING FACE CACHE" in shown(pilot) or "RECENT" in shown(pilot))


async def test_what_the_hub_refuses_stands_in_the_picker(desk: Desk, server: HubServer, model):
    server.add_folder("org/locked", model, gated=True)
    async with desk.app(hub=Hub(server.url)).run_test(size=ROOMY) as pilot:
        await ready(pilot)
        chosen = await picker(pilot)
        chosen.query_one("#words").value = "org/locked"
        await pilot.pause()
        await pilot.press("enter")
        await until(pilot, lambda: "accept its terms" in shown(pilot))
        assert "hf auth login" in shown(pilot)


async def test_a_name_typed_in_whole_finds_its_row(desk: Desk, server: HubServer, model):
    server.add_folder("org/tiny-chat", model, downloads=1200)
    async with desk.app(hub=Hub(server.url)).run_test(size=ROOMY) as pilot:
        await ready(pilot)
        chosen = await picker(pilot)
        await pilot.press("ctrl+t")
        await until(pilot, lambda: "org/tiny-chat" in shown(pilot))
        for letter in "org/tiny-chat":
            await pilot.press("slash" if letter == "/" else "minus" if letter == "-" else letter)
        await until(pilot, lambda: "1.2k downloads" in shown(pilot))
        await until(pilot, lambda: "weights" in shown(pilot))
        assert "Searching the Hub" not in shown(pilot)
        assert "1 model ·" in shown(pilot)
        assert [option.id for option in chosen.query_one("PickList").options] == ["org/tiny-chat"]


async def test_why_nothing_is_known_of_a_model_takes_the_place_of_waiting(
    desk: Desk, server: HubServer, model
):
    server.add_folder("org/locked", model, gated=True)
    server.files_open.clear()
    async with desk.app(hub=Hub(server.url)).run_test(size=ROOMY) as pilot:
        await ready(pilot)
        await picker(pilot)
        await pilot.press("ctrl+t")
        await until(pilot, lambda: "Estimating its memory use" in shown(pilot))
        server.files_open.set()
        await until(pilot, lambda: "accept its terms" in shown(pilot))
        assert "Estimating its memory use" not in shown(pilot)


async def test_without_a_network_the_picker_says_so(desk: Desk):
    async with desk.app().run_test(size=ROOMY) as pilot:
        await ready(pilot)
        await picker(pilot)
        await pilot.press("ctrl+t")
        await until(pilot, lambda: "can't be reached" in shown(pilot))


async def test_a_model_named_in_a_command_is_downloaded_only_when_asked(
    desk: Desk, server: HubServer, model
):
    server.add_folder("org/tiny-chat", model)
    app = desk.app(ScriptedEngine(), hub=Hub(server.url))
    async with app.run_test(size=ROOMY, notifications=True) as pilot:
        screen = await ready(pilot)
        await say(pilot, "/model org/tiny-chat")
        await until(pilot, lambda: "Download org/tiny-chat?" in shown(pilot))
        assert "free on the disk" in shown(pilot)
        await pilot.press("n")
        await until(pilot, lambda: isinstance(pilot.app.screen, ChatScreen))
        assert not app.downloads.all
        assert screen.model.model == "scripted"
        await say(pilot, "/model org/tiny-chat")
        await until(pilot, lambda: "Download org/tiny-chat?" in shown(pilot))
        await pilot.press("l")
        await until(pilot, lambda: screen.model.ready and screen.model.model == "org/tiny-chat", 30)
        await say(pilot, "/model org/not-there")
        await until(pilot, lambda: "The model org/not-there doesn't exist" in shown(pilot))
        # What is in the cache is loaded without a question.
        screen.do("model.unload")
        await until(pilot, lambda: not screen.model.ready)
        await say(pilot, "/model org/tiny-chat")
        await until(pilot, lambda: screen.model.ready and screen.model.model == "org/tiny-chat")
        assert not app.downloads.all


async def test_a_download_is_stopped_by_its_action(desk: Desk, server: HubServer, model):
    server.add_folder("org/slow", model, piece_s=0.05)
    app = desk.app(hub=Hub(server.url))
    async with app.run_test(size=ROOMY, notifications=True) as pilot:
        screen = await ready(pilot)
        app.downloads.start("org/slow")
        screen.handlers.downloading.watch()
        await until(pilot, lambda: "↓" in shown(pilot))
        screen.do("download.cancel")
        await until(pilot, lambda: "was stopped" in shown(pilot))
        assert not app.downloads.running


async def test_a_download_is_seen_in_a_small_terminal(desk: Desk, server: HubServer, model):
    server.add_folder("org/a-model-with-a-name-of-some-length", model, piece_s=0.05)
    app = desk.app(hub=Hub(server.url))
    async with app.run_test(size=(80, 24), notifications=True) as pilot:
        screen = await ready(pilot)
        await say(pilot, "hello")
        await answered(pilot, screen, 2)
        app.downloads.start("org/a-model-with-a-name-of-some-length")
        screen.handlers.downloading.watch()
        await until(pilot, lambda: re.search(r"↓ \d+% ", shown(pilot)))
        await until(pilot, lambda: not app.downloads.running, 30)
        await until(pilot, lambda: "↓" not in shown(pilot))


async def test_a_cached_model_is_deleted_only_when_asked(desk: Desk, server: HubServer, model):
    server.add_folder("org/tiny-chat", model)
    Hub(server.url).snapshot("org/tiny-chat")
    app = desk.app(hub=Hub(server.url))
    async with app.run_test(size=WIDE, notifications=True) as pilot:
        await ready(pilot)
        chosen = await picker(pilot)
        await until(pilot, lambda: "tiny-chat" in shown(pilot))
        options = chosen.query_one("PickList")
        for answer, stays in ((["k"], True), (["right", "enter"], False)):
            options.focus()
            options.highlighted = next(
                n for n, one in enumerate(options.options) if one.id == "org/tiny-chat"
            )
            assert "org/tiny-chat" in shown(pilot)
            await pilot.press("delete")
            await until(pilot, lambda: "Delete org/tiny-chat?" in shown(pilot))
            await pilot.press(*answer)
            await until(pilot, lambda: isinstance(pilot.app.screen, ModelPicker))
            if not stays:
                await until(pilot, lambda: "org/tiny-chat was deleted" in shown(pilot))
                assert "This freed " in shown(pilot)
                await until(pilot, lambda: "org/tiny-chat" not in {o.id for o in options.options})


@pytest.fixture
def file(tmp_path, monkeypatch) -> Path:
    """A GGUF file where llama.cpp is installed."""
    monkeypatch.setattr(choice, "is_installed", lambda: True)
    (tmp_path / "files").mkdir()
    return tiny_gguf.make(tmp_path / "files" / "small.gguf")


async def test_a_gguf_file_says_what_runs_it(desk: Desk, file):
    async with desk.app(state=state(file)).run_test(size=WIDE) as pilot:
        await ready(pilot)
        await picker(pilot)
        await until(pilot, lambda: "F32 in llama.cpp" in shown(pilot))
        await pilot.press("s", "m", "a", "l", "l")
        await until(pilot, lambda: "llama.cpp runs the file as it is (F32)" in shown(pilot))
        assert "at 512" in shown(pilot)
        assert "4-bit nf4" not in shown(pilot)


async def test_a_gguf_file_is_loaded_in_transformers(desk: Desk, file):
    engine = ScriptedEngine()
    async with desk.app(engine, state=state(file)).run_test(size=ROOMY) as pilot:
        screen = await ready(pilot)
        chosen = await picker(pilot)
        await until(pilot, lambda: "F32 in llama.cpp" in shown(pilot))
        chosen.query_one("#words").value = str(file)
        await pilot.pause()
        await pilot.press("f2")
        await until(pilot, lambda: isinstance(pilot.app.screen, LoadOptions))
        options = pilot.app.screen
        quantization = options.query_one("#quantization")
        assert quantization.disabled
        options.query_one("#gguf").value = choice.TRANSFORMERS
        await until(pilot, lambda: not quantization.disabled)
        quantization.value = "8bit"
        options.query_one("#gguf").value = choice.LLAMA_CPP
        await until(pilot, lambda: quantization.disabled)
        assert quantization.value == "none"
        options.query_one("#gguf").value = choice.TRANSFORMERS
        await pilot.pause()
        await pilot.press("ctrl+s")
        await until(pilot, lambda: screen.model.ready and len(engine.load_requests) == 2)
        assert engine.load_requests[-1].gguf == choice.TRANSFORMERS


async def test_the_status_bar_says_what_runs_a_model(desk: Desk):
    info = ModelInfo("m.gguf", "m", dtype="GGUF Q4_K", engine="llama.cpp", context_tokens=4096)
    async with desk.app(ScriptedEngine(info=info)).run_test(size=WIDE) as pilot:
        await ready(pilot)
        await until(pilot, lambda: "GGUF Q4_K · llama.cpp · cpu" in shown(pilot))


async def test_a_model_is_loaded_with_options(desk: Desk, model):
    engine = ScriptedEngine()
    async with desk.app(engine, state=state(model)).run_test(size=ROOMY) as pilot:
        screen = await ready(pilot)
        chosen = await picker(pilot)
        await until(pilot, lambda: "27k · float32" in shown(pilot))
        chosen.query_one("#words").value = str(model)
        await pilot.pause()
        await pilot.press("f2")
        await until(pilot, lambda: isinstance(pilot.app.screen, LoadOptions))
        options = pilot.app.screen
        options.query_one("#limits").value = "nonsense"
        await pilot.press("ctrl+s")
        await until(pilot, lambda: "Use the form cuda:0=6GiB" in shown(pilot))
        options.query_one("#limits").value = "cpu=2GiB"
        options.query_one("#quantization").value = "8bit"
        options.query_one("#dtype").value = "float32"
        options.query_one("#keep").value = True
        await pilot.press("ctrl+s")
        await until(pilot, lambda: screen.model.ready and len(engine.load_requests) == 2)
        request = engine.load_requests[-1]
        assert (request.model, request.quantization, request.dtype) == (
            str(model),
            "8bit",
            "float32",
        )
        assert (request.max_memory, request.keeps_former) == ({"cpu": "2GiB"}, True)


async def test_code_of_a_model_runs_only_after_a_question_that_names_it(desk: Desk):
    engine = ScriptedEngine()
    async with desk.app(engine).run_test(size=ROOMY, notifications=True) as pilot:
        screen = await ready(pilot)
        engine.load_error = ModelLoadError(
            "own needs code.", "Allow it.", cause=FailureCause.CODE, subject="org/own@4f2a"
        )
        for answer in (["enter"], ["right", "enter"]):
            screen.core.loader.load(LoadRequest("org/own"))
            await until(pilot, lambda: isinstance(pilot.app.screen, Ask))
            await until(pilot, lambda: "Run code from org/own@4f2a?" in shown(pilot))
            loads = len(engine.load_requests)
            engine.load_error = None if len(answer) > 1 else engine.load_error
            await pilot.press(*answer)
            await until(pilot, lambda: isinstance(pilot.app.screen, ChatScreen))
            if answer == ["enter"]:
                await still(pilot, screen)
                assert len(engine.load_requests) == loads
        await until(pilot, lambda: screen.model.ready and screen.model.model == "org/own")
        assert engine.load_requests[-1].trusted == ("org/own@4f2a",)
        await until(pilot, lambda: desk.states[-1].trusted == ("org/own@4f2a",))


async def test_each_piece_of_code_that_a_model_needs_is_asked_about_in_turn(desk: Desk):
    subjects = [
        f"/models/own@{'a1' * 32}",
        f"other/tokens@{'b2' * 20}#{'c3' * 32}",
        f"org/\x1b[2Jassistant@{'d4' * 20}#{'e5' * 32}",
    ]

    class Asking(ScriptedEngine):
        def load(self, request, emit, cancelled):
            wanted = subjects if request.model == "org/own" else []
            asked = next((one for one in wanted if one not in request.trusted), "")
            self.load_error = (
                ModelLoadError(f"{asked} is needed.", cause=FailureCause.CODE, subject=asked)
                if asked
                else None
            )
            return super().load(request, emit, cancelled)

    engine = Asking()
    async with desk.app(engine).run_test(size=ROOMY, notifications=True) as pilot:
        screen = await ready(pilot)
        screen.core.loader.load(LoadRequest("org/own", trust_own_code=True))
        titles = (
            "Run code from /models/own@a1a1a1a1a1a1?",
            "Run code from other/tokens@b2b2b2b2b2b2?",
            "assistant@d4d4d4d4d4d4?",
        )
        for title in titles:
            await until(pilot, lambda title=title: title in shown(pilot))
            assert "\x1b" not in shown(pilot)
            await pilot.press("right", "enter")
        await until(pilot, lambda: screen.model.ready and screen.model.model == "org/own")
        assert engine.load_requests[-1].trusted == tuple(subjects)
        await until(pilot, lambda: desk.states[-1].trusted == tuple(subjects))


async def test_code_that_was_agreed_to_and_is_refused_all_the_same_is_not_asked_about_again(
    desk: Desk,
):
    engine = ScriptedEngine()
    async with desk.app(engine, state=AppState(trusted=("org/own@4f2a",))).run_test(
        size=ROOMY, notifications=True
    ) as pilot:
        screen = await ready(pilot)
        for subject, sentence in (("org/own@4f2a", "Refused once."), ("", "Refused again.")):
            engine.load_error = ModelLoadError(sentence, cause=FailureCause.CODE, subject=subject)
            screen.core.loader.load(LoadRequest("org/own"))
            await until(pilot, lambda sentence=sentence: sentence in shown(pilot))
            assert isinstance(pilot.app.screen, ChatScreen)


async def test_memory_that_runs_out_in_a_load_offers_what_would_fit(desk: Desk, model):
    engine = ScriptedEngine()
    async with desk.app(engine, state=state(model)).run_test(
        size=ROOMY, notifications=True
    ) as pilot:
        screen = await ready(pilot)
        engine.load_error = ModelLoadError("There is not enough memory.", cause=FailureCause.MEMORY)
        screen.core.loader.load(LoadRequest(str(model)))
        await until(pilot, lambda: isinstance(pilot.app.screen, Ask))
        await until(pilot, lambda: "int8 weight-only (CPU): " in shown(pilot))
        assert "of 16.0 GB" in shown(pilot)
        engine.load_error = None
        await pilot.press("alt+4")
        await until(pilot, lambda: screen.model.ready and screen.model.model == str(model))
        assert engine.load_requests[-1].quantization == "int4"


async def test_memory_that_runs_out_in_a_reply_keeps_its_text_and_can_shorten_the_chat(desk: Desk):
    failure = GenerationError("There is not enough memory.", cause=FailureCause.MEMORY)
    engine = ScriptedEngine(["one", [TextDelta("half a "), failure], "whole"])
    async with desk.app(engine).run_test(size=ROOMY, notifications=True) as pilot:
        screen = await ready(pilot)
        await say(pilot, "first")
        await answered(pilot, screen, 2)
        await say(pilot, "second")
        await until(pilot, lambda: isinstance(pilot.app.screen, Ask))
        assert screen.conversation.path[-1].text == "half a "
        await pilot.press("alt+s")
        await until(
            pilot, lambda: screen.conversation.path[-1].text == "whole" and not screen.reply
        )
        assert screen.conversation.unseen
        assert [one.content for one in engine.requests[-1].messages][-1] == "second"
        assert len(engine.requests[-1].messages) < len(engine.requests[-2].messages)
        assert "half a " in json.dumps(desk.files()[-1])


def test_ways_out_have_numbers_and_leave_out_what_would_not_fit():
    facts = ModelFacts(parameters=8 * 10**9, linears={(4096, 4096): 400}, other_weights=10**9)
    memory = FreeMemory("cuda:0", "GPU", 8 * GB)
    ways = ways_out(LoadRequest("m"), facts, memory, in_reply=False)
    labels = [way.answer.label for way in ways]
    assert any(label.startswith("4-bit nf4 (bitsandbytes): ") for label in labels)
    offload = next(way.request for way in ways if way.answer.id == "offload")
    assert offload.max_memory == {"cuda:0": f"{int(8 * GB * 0.8) // 2**20}MiB", "cpu": "1TiB"}
    tiny_memory = replace(memory, free_bytes=GB)
    small = ways_out(LoadRequest("m"), facts, tiny_memory, in_reply=True)
    assert [way.answer.id for way in small] == ["shorter", "offload", "picker"]
    on_cpu = ways_out(LoadRequest("m"), None, FreeMemory("cpu", "CPU", GB), in_reply=False)
    assert [way.answer.id for way in on_cpu] == ["picker"]


@pytest.mark.parametrize(
    ("text", "limits"),
    [
        ("", {}),
        ("cuda:0=6GiB, cpu = 20 GiB", {"cuda:0": "6GiB", "cpu": "20GiB"}),
        ("cuda:1=1.5gb,", {"cuda:1": "1.5gb"}),
    ],
)
def test_limits_as_a_person_types_them(text, limits):
    assert parse_limits(text) == limits


@pytest.mark.parametrize("text", ["6GiB", "cuda:0", "cuda:0=much", "=6GiB", "cpu=6"])
def test_limits_that_mean_nothing(text):
    with pytest.raises(UserError, match="Memory limits"):
        parse_limits(text)


async def test_where_the_memory_goes(desk: Desk):
    async with desk.app().run_test(size=ROOMY) as pilot:
        await ready(pilot)
        await pilot.press("f7")
        await until(pilot, lambda: isinstance(pilot.app.screen, MemoryView))
        for word in ("RAM of CPU", "chat-tui", "other programs", "model weights", "KV cache"):
            assert word in shown(pilot)


async def test_a_quantization_that_can_not_run_here_is_refused_with_the_reason(
    desk: Desk, monkeypatch
):
    from tui.engine import quantization

    engine = ScriptedEngine()
    async with desk.app(engine).run_test(size=WIDE, notifications=True) as pilot:
        screen = await ready(pilot)
        monkeypatch.setattr(quantization, "_is_installed", lambda _package: False)
        screen.query_one("#quantization").value = "8bit"
        await until(pilot, lambda: "pip install bitsandbytes" in shown(pilot))
        assert screen.query_one("#quantization").value == "none"
        assert len(engine.load_requests) == 1


async def test_what_was_measured_stands_beside_the_choice(desk: Desk):
    engine = ScriptedEngine(["word " * 40])
    app = desk.app(engine)
    async with app.run_test(size=WIDE) as pilot:
        screen = await ready(pilot)
        await say(pilot, "hello")
        await answered(pilot, screen, 2)
        # After the reply, without anything else that would show it.
        screen.query_one("#quantization").focus()
        await until(
            pilot, lambda: re.search(r"Measured here: .*\d tok/s", shown(pilot).replace("\n", " "))
        )
        assert app.measurements.figures["scripted"]["none"][1] > 0


async def test_what_another_quantization_took_stands_there_when_it_is_loaded(
    desk: Desk, monkeypatch
):
    app = desk.app(ScriptedEngine())
    async with app.run_test(size=WIDE) as pilot:
        screen = await ready(pilot)
        note = app.measurements.note_load

        def late(model, quantization, _weights_bytes):
            time.sleep(0.3)
            note(model, quantization, 10**8)

        monkeypatch.setattr(app.measurements, "note_load", late)
        screen.core.loader.load(LoadRequest("scripted", "8bit"))
        await until(pilot, lambda: screen.model.ready and screen.model.quantization == "8bit")
        screen.query_one("#quantization").focus()
        await until(pilot, lambda: "Measured here" in shown(pilot))


async def test_another_model_in_the_middle_of_a_chat_is_marked_where_it_begins(desk: Desk):
    engine = ScriptedEngine()
    async with desk.app(engine).run_test(size=ROOMY, notifications=True) as pilot:
        screen = await ready(pilot)
        await say(pilot, "one")
        await answered(pilot, screen, 2)
        assert "model changed to" not in shown(pilot)
        engine.info = replace(engine.info, name="Other-2B")
        screen.core.loader.load(LoadRequest("other"))
        await until(pilot, lambda: screen.model.ready and screen.model.model == "other")
        for number, text in enumerate(("two", "three")):
            await say(pilot, text)
            await answered(pilot, screen, 4 + 2 * number)
        assert shown(pilot).count("model changed to Other-2B") == 1


async def test_the_picker_is_usable_in_a_small_terminal(desk: Desk, model):
    for size in ((60, 20), (80, 24), (200, 60)):
        async with desk.app(state=state(model)).run_test(size=size) as pilot:
            await ready(pilot)
            await picker(pilot)
            await until(pilot, lambda: "tiny-llama" in shown(pilot))
            await until(pilot, lambda: "Esc Close" in shown(pilot))


async def test_the_first_start_without_a_model_looks_for_room_behind_the_dialog(desk: Desk):
    looked = threading.Event()
    engine = ScriptedEngine()
    engine.target_memory = lambda: looked.set() or ("cpu", MemoryReading("RAM", "CPU", 1, GB))
    async with desk.app(engine, start=Start()).run_test(size=ROOMY) as pilot:
        await until(pilot, lambda: isinstance(pilot.app.screen, ModelPicker))
        await until(pilot, looked.is_set)
        assert ModelInfo("m", "m").parameters == 0


async def test_a_model_that_is_too_big_is_asked_about_before_the_one_in_use_goes(desk: Desk, model):
    engine = ScriptedEngine()
    engine.target_memory = lambda: ("cpu", MemoryReading("RAM", "CPU", 1, 2))
    engine.memory = lambda: MemoryReading("RAM", "CPU", 1, 2)
    async with desk.app(engine, state=state(model)).run_test(size=ROOMY) as pilot:
        screen = await ready(pilot)
        for keys, loads in ((["enter"], 1), (["right", "enter"], 2)):
            await picker(pilot)
            await until(pilot, lambda: "too big" in shown(pilot))
            await pilot.press("t", "i", "n", "y", "enter")
            await until(pilot, lambda: isinstance(pilot.app.screen, Ask))
            await pilot.press(*keys)
            await until(pilot, lambda: not isinstance(pilot.app.screen, Ask))
            if loads == 1:
                await pilot.press("escape")
            await until(pilot, lambda: pilot.app.screen is screen)
            await until(pilot, lambda: len(engine.load_requests) == loads and screen.model.ready)  # noqa: B023


def test_a_download_that_waits_for_the_hub_says_so():
    waiting = Download("org/model", waiting="The Hugging Face Hub asks to wait 30 s")
    assert download_text(waiting) == "↓ The Hugging Face Hub asks to wait 30 s"
    assert download_text(Download("org/model")) == "↓ contacting the Hub"
