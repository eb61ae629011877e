"""Code of a stranger: none of it runs unasked, and agreement holds for what was agreed to."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.engine import tiny
from tests.engine.conftest import ask, chat
from tests.engine.conftest import load as load_with
from tests.engine.hub.test_hub import cache as _cache
from tests.engine.strangers import Strangers, change, needs_code, tokenizer_needs_code
from tests.engine.test_gguf import write_gguf
from tests.hub_server import Repo, serving
from tui import files
from tui.engine.base import FailureCause, ModelLoadError
from tui.engine.hub.hub import Hub
from tui.engine.local import module_cache
from tui.engine.local.code_files import CodeFiles, lay_down
from tui.engine.local.engine import LocalEngine

hub_cache = _cache


@pytest.fixture(scope="module")
def plain(tmp_path_factory):
    return tiny.llama(tmp_path_factory.mktemp("models") / "plain")


@pytest.fixture(autouse=True)
def modules(tmp_path, monkeypatch):
    """The folder that transformers imports models' code from; each test has its own."""
    from transformers import dynamic_module_utils

    place = tmp_path / "hf-modules"
    monkeypatch.setattr(dynamic_module_utils, "HF_MODULES_CACHE", str(place))
    monkeypatch.setattr(sys, "path", list(sys.path))
    _forget_modules()
    yield place
    _forget_modules()


def _forget_modules():
    for name in [one for one in sys.modules if one.startswith("transformers_modules")]:
        del sys.modules[name]


@pytest.fixture
def server():
    with serving() as running:
        yield running


@pytest.fixture
def strangers(tmp_path):
    return Strangers(tmp_path)


@pytest.fixture
def hub_engine(tmp_path, server, hub_cache, own_cache):
    import torch

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    made = LocalEngine(own_cache, Hub(server.url))
    yield made
    made.unload()
    torch.set_num_threads(threads)


@pytest.fixture
def world(tmp_path, plain, server, strangers):
    return World(tmp_path, plain, server, strangers)


class World:
    """Models on this machine and on the Hub, plain ones and some with code."""

    def __init__(self, tmp_path: Path, plain: Path, server, strangers: Strangers) -> None:
        self._tmp_path = tmp_path
        self._plain = plain
        self.server = server
        self.strangers = strangers

    def folder(self, name: str) -> Path:
        return Path(shutil.copytree(self._plain, self._tmp_path / "models" / name))

    def with_code(self, name: str) -> Path:
        """A folder with a model that needs code of its own."""
        made = self.folder(name)
        needs_code(made)
        (made / "own.py").write_text(self.strangers.model(made.name))
        return made

    def with_tokenizer(self, name: str) -> Path:
        """A folder with a known model whose tokenizer needs code of its own."""
        made = self.folder(name)
        tokenizer_needs_code(made, "tokens")
        (made / "tokens.py").write_text(self.strangers.tokenizer(made.name))
        return made

    def on_hub(self, name: str, folder: Path) -> Repo:
        files = {
            path.relative_to(folder).as_posix(): path.read_bytes()
            for path in folder.rglob("*")
            if path.is_file()
        }
        return self.server.add(Repo(name, files))

    def repository(self, name: str, **files: str) -> Repo:
        return self.server.add(
            Repo(name, {f"{key}.py": text.encode() for key, text in files.items()})
        )


def load(engine, model, **options):
    """Load a model without kernels, which would be compiled anew in each test."""
    return load_with(engine, model, kernels=False, **options)


def problem_of(engine, model, **options) -> ModelLoadError | None:
    try:
        load(engine, model, **options)
    except ModelLoadError as error:
        return error
    return None


def refused(engine, model, **options) -> ModelLoadError:
    with pytest.raises(ModelLoadError) as raised:
        load(engine, model, **options)
    return raised.value


def agreeing(engine, model, limit=5, **options) -> list[str]:
    """Load a model, agreeing to whatever is asked for; return what was asked for, in that order."""
    trusted = list(options.pop("trusted", ()))
    asked = []
    for _ in range(limit):
        failure = problem_of(engine, model, trusted=tuple(trusted), **options)
        if failure is None:
            return asked
        assert failure.cause is FailureCause.CODE, failure
        assert failure.subject not in (*trusted, "")
        asked.append(failure.subject)
        trusted.append(failure.subject)
    raise AssertionError(asked)


# -- nothing runs unasked


def _own_code_of_a_folder(world):
    return {"model": world.with_code("own")}


def _own_code_on_the_hub(world):
    world.on_hub("org/own", world.with_code("own"))
    return {"model": "org/own"}


def _an_assistant_in_a_folder(world):
    return {"model": world.folder("main"), "assistant": str(world.with_code("assistant"))}


def _an_assistants_tokenizer(world):
    main, assistant = world.folder("main"), world.with_tokenizer("assistant")
    return {"model": main, "assistant": str(assistant), "trust_own_code": True}


def _an_assistant_on_the_hub(world):
    world.on_hub("org/assistant", world.with_tokenizer("assistant"))
    return {"model": world.folder("main"), "assistant": "org/assistant", "trust_own_code": True}


def _a_tokenizer(world):
    folder = world.folder("tokenizer")
    change(folder / "config.json", model_type="own", auto_map={"AutoConfig": "own.Config"})
    tokenizer_needs_code(folder, "tokens")
    (folder / "own.py").write_text(world.strangers.model("own"))
    (folder / "tokens.py").write_text(world.strangers.tokenizer("tokens"))
    return {"model": folder}


def _a_tokenizer_of_a_known_model(world):
    return {"model": world.with_tokenizer("tokenizer")}


def _another_repository(world):
    folder = world.folder("elsewhere")
    needs_code(folder, "other/code--own")
    world.repository("other/code", own=world.strangers.model("other"))
    return {"model": folder}


def _another_repository_for_the_tokenizer(world):
    folder = world.folder("elsewhere")
    change(folder / "config.json", model_type="own", auto_map={"AutoConfig": "own.Config"})
    tokenizer_needs_code(folder, "other/code--tokens")
    world.repository("other/code", tokens=world.strangers.tokenizer("tokens"))
    return {"model": folder}


def _a_processor(world):
    folder = world.folder("processor")
    for name in (
        "processor_config.json",
        "preprocessor_config.json",
        "video_preprocessor_config.json",
    ):
        keys = ("AutoProcessor", "AutoImageProcessor", "AutoVideoProcessor", "AutoFeatureExtractor")
        auto_map = dict.fromkeys(keys, "own.Processor")
        (folder / name).write_text(json.dumps({"auto_map": auto_map}))
    (folder / "own.py").write_text(world.strangers.python("processor"))
    return {"model": folder}


def _a_generate_of_its_own(world):
    folder = world.folder("generate")
    (folder / "custom_generate").mkdir()
    (folder / "custom_generate" / "generate.py").write_text(world.strangers.python("generate"))
    change(
        folder / "generation_config.json", custom_generate="custom_generate", trust_remote_code=True
    )
    return {"model": folder, "trust_own_code": True}


def _code_that_a_known_model_names_without_need(world):
    folder = world.folder("known")
    needs_code(folder, model_type="llama")
    (folder / "own.py").write_text(world.strangers.model("known", "llama"))
    tokenizer_needs_code(folder, "own")
    change(folder / "tokenizer_config.json", tokenizer_class="PreTrainedTokenizerFast")
    return {"model": folder, "trust_own_code": True, "trusted": (f"{folder}@",)}


def _a_config_for_newer_versions(world):
    folder = world.with_code("newer")
    (folder / "config.json").rename(folder / "config.4.0.0.json")
    config = {"model_type": "llama", "configuration_files": ["config.4.0.0.json"]}
    (folder / "config.json").write_text(json.dumps(config))
    return {"model": folder}


def _an_adapter_that_names_a_module(world):
    adapter = world.folder("adapter")
    (adapter / "evil").mkdir()
    settings = {
        "peft_type": "LORA", "r": 2, "target_modules": ["q_proj"], "megatron_config": {"a": 1},
        "megatron_core": "megatron.core",
    }  # fmt: skip
    (adapter / "adapter_config.json").write_text(json.dumps(settings))
    return {"model": world.folder("main"), "adapter": str(adapter)}


def _an_adapter_in_the_model(world):
    main = world.folder("main")
    settings = {"peft_type": "XLORA", "adapters": {"a": "org/other"}, "hidden_size": 32}
    (main / "adapter_config.json").write_text(json.dumps(settings))
    return {"model": main}


def _an_adapter_of_a_kind_that_loads_others_from_the_hub(world):
    settings = {
        "peft_type": "PROMPT_TUNING",
        "tokenizer_name_or_path": "org/tokens",
        "num_virtual_tokens": 2,
    }
    world.server.add(Repo("org/adapter", {"adapter_config.json": json.dumps(settings).encode()}))
    return {"model": world.folder("main"), "adapter": "org/adapter"}


UNASKED = [
    _own_code_of_a_folder, _own_code_on_the_hub, _an_assistant_in_a_folder, _an_assistants_tokenizer,
    _an_assistant_on_the_hub, _a_tokenizer, _a_tokenizer_of_a_known_model, _another_repository, _another_repository_for_the_tokenizer, _a_processor,
    _a_generate_of_its_own, _code_that_a_known_model_names_without_need, _a_config_for_newer_versions,
    _an_adapter_that_names_a_module, _an_adapter_in_the_model, _an_adapter_of_a_kind_that_loads_others_from_the_hub,
]  # fmt: skip


@pytest.mark.parametrize("make", UNASKED, ids=lambda one: one.__name__.strip("_"))
def test_nothing_of_a_model_or_beside_it_runs_unasked(make, world, hub_engine):
    options = make(world)
    failure = problem_of(hub_engine, options.pop("model"), **options)
    # What needs an answer says whose code it is; what can't be asked about is refused for good.
    assert failure is None or bool(failure.subject) == (failure.cause is FailureCause.CODE)
    assert world.strangers.ran == []


def test_code_agreed_to_for_the_model_says_nothing_of_its_assistants(world, hub_engine):
    main, assistant = world.with_tokenizer("main"), world.with_tokenizer("assistant")
    error = refused(hub_engine, main, assistant=str(assistant), trust_own_code=True)
    assert error.subject.startswith(f"{assistant}@")
    assert "assistant" not in world.strangers.ran
    asked = agreeing(hub_engine, main, assistant=str(assistant))
    assert [one.partition("@")[0] for one in asked] == [str(main), str(assistant)]
    assert world.strangers.ran == ["assistant", "main"]
    assert ask(hub_engine, chat("hello"), max_new_tokens=3).finished


def test_an_assistant_that_is_refused_leaves_the_former_model(world, hub_engine):
    info = load(hub_engine, world.folder("former"))
    refused(hub_engine, world.folder("main"), assistant=str(world.with_tokenizer("assistant")))
    assert hub_engine.loaded == info


@pytest.mark.parametrize("makers", [("folder", "with_code"), ("with_code", "folder")])
def test_a_model_of_its_own_code_that_could_not_draft_anyway_is_not_asked_about(
    makers, world, hub_engine
):
    main, assistant = (getattr(world, make)(make) for make in makers)
    error = refused(hub_engine, main, assistant=str(assistant), trust_own_code=True)
    assert "speculative decoding" in error.message
    assert error.cause is not FailureCause.CODE
    assert world.strangers.ran == []


def test_each_repository_asks_for_itself_and_agreeing_to_one_runs_just_that_one(world, hub_engine):
    folder = world.with_code("main")
    tokenizer_needs_code(folder, "other/tokens--tokens")
    other = world.repository("other/tokens", tokens=world.strangers.tokenizer("tokens"))
    first = refused(hub_engine, folder)
    assert first.subject.startswith(f"{folder}@")
    second = refused(hub_engine, folder, trusted=(first.subject,))
    assert second.subject.startswith(f"other/tokens@{other.sha}#")
    assert f"other/tokens@{other.sha[:12]}" in second.message
    assert "tokens.py" in second.message
    assert world.strangers.ran == []
    load(hub_engine, folder, trusted=(first.subject, second.subject))
    assert world.strangers.ran == ["main", "tokens"]
    assert ask(hub_engine, chat("hello"), max_new_tokens=3).finished


def test_the_switch_of_the_command_line_agrees_to_the_models_own_code_alone(world, hub_engine):
    folder = world.with_code("main")
    tokenizer_needs_code(folder, "other/tokens--tokens")
    world.repository("other/tokens", tokens=world.strangers.tokenizer("tokens"))
    error = refused(hub_engine, folder, trust_own_code=True)
    assert error.subject.startswith("other/tokens@")
    assert world.strangers.ran == []


def test_code_of_several_other_repositories_runs_each_at_its_commit(world, hub_engine):
    folder = world.folder("main")
    auto_map = {"AutoConfig": "a/config--own.Config", "AutoModelForCausalLM": "b/model--own.Model"}
    change(folder / "config.json", model_type="own", auto_map=auto_map)
    world.repository("a/config", own=world.strangers.model("a"), helper="")
    # Classes of one name count as one to transformers: the model is used with the other repository's config.
    code = world.strangers.python("b", "from .helper import Model\n")
    helper = world.strangers.model("helper")
    world.repository("b/model", own=code, helper=helper)
    asked = agreeing(hub_engine, folder)
    assert [one.partition("@")[0] for one in asked] == ["a/config", "b/model"]
    assert world.strangers.ran == ["a", "b", "helper"]


def test_another_repository_that_has_moved_on_asks_again(world, hub_engine):
    folder = world.folder("main")
    needs_code(folder, "other/code--own")
    world.repository("other/code", own=world.strangers.model("old"))
    asked = agreeing(hub_engine, folder)
    world.strangers.forget()
    new = world.repository("other/code", own=world.strangers.model("new"))
    error = refused(hub_engine, folder, trusted=tuple(asked))
    assert error.subject.startswith(f"other/code@{new.sha}#")
    assert world.strangers.ran == []


def test_code_of_another_repository_that_cant_be_had_is_a_sentence(world, hub_engine):
    folder = world.folder("main")
    needs_code(folder, "other/code--own")
    error = refused(hub_engine, folder, trust_own_code=True)
    assert "other/code" in error.message
    assert error.cause is not FailureCause.CODE


@pytest.mark.parametrize(
    "where", ["/tmp/evil--own", "../evil--own", "/tmp/own", "../own", "a--b--own", "own.x", ""]
)
def test_code_outside_of_the_model_is_refused(world, hub_engine, where):
    folder = world.folder("main")
    needs_code(folder, where)
    error = refused(hub_engine, folder, trust_own_code=True)
    assert error.cause is not FailureCause.CODE
    assert world.strangers.ran == []


def test_a_folder_on_this_machine_is_never_taken_for_another_repository(
    world, hub_engine, tmp_path, monkeypatch
):
    folder = world.folder("main")
    needs_code(folder, "other/code--own")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "other" / "code").mkdir(parents=True)
    (tmp_path / "other" / "code" / "own.py").write_text(world.strangers.model("planted"))
    world.repository("other/code", own=world.strangers.model("real"))
    agreeing(hub_engine, folder)
    assert world.strangers.ran == ["real"]


def test_what_lies_beside_a_gguf_file_leads_to_no_code(engine, tmp_path, monkeypatch):
    from transformers import AutoConfig

    place = tmp_path / "downloads"
    place.mkdir()
    write_gguf(place / "a.gguf")
    for name in ("config.json", "tokenizer_config.json", "adapter_config.json", "own.py"):
        (place / name).write_text("{}")
    seen = {}

    def looked_at(pretrained_model_name_or_path, **options):
        seen["files"] = sorted(path.name for path in Path(pretrained_model_name_or_path).iterdir())
        seen["options"] = options
        raise ValueError("that is enough")

    monkeypatch.setattr(AutoConfig, "from_pretrained", looked_at)
    assert "that is enough" in refused(engine, place / "a.gguf").message
    assert seen["files"] == ["a.gguf"]
    assert seen["options"]["trust_remote_code"] is False
    assert not list((tmp_path / "cache").rglob("*.source"))


# -- agreement holds for what was agreed to


def _change_code(folder, strangers):
    (folder / "own.py").write_text(strangers.model("changed"))


def _change_a_helper(folder, strangers):
    (folder / "lib").mkdir(exist_ok=True)
    (folder / "lib" / "helper.py").write_text(strangers.python("helper"))


def _change_linked_code(folder, strangers):
    elsewhere = folder.parent / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "more.py").write_text("")
    (folder / "linked").symlink_to(elsewhere)


def _change_the_config(folder, _strangers):
    change(folder / "config.json", rope_theta=20_000.0)


def _change_the_tokenizers_config(folder, _strangers):
    change(folder / "tokenizer_config.json", extra="x")


def _change_the_generation_config(folder, _strangers):
    change(folder / "generation_config.json", temperature=0.5)


def _add_a_processor(folder, _strangers):
    (folder / "preprocessor_config.json").write_text('{"auto_map": {}}')


def _add_a_generate(folder, strangers):
    (folder / "custom_generate").mkdir()
    (folder / "custom_generate" / "generate.py").write_text(strangers.python("generate"))


CHANGES = [
    _change_code, _change_a_helper, _change_linked_code, _change_the_config, _change_the_tokenizers_config,
    _change_the_generation_config, _add_a_processor, _add_a_generate,
]  # fmt: skip


@pytest.mark.parametrize("make", CHANGES, ids=lambda one: one.__name__.strip("_"))
def test_a_folder_that_has_changed_asks_again(make, world, hub_engine):
    folder = world.with_code("own")
    [subject] = agreeing(hub_engine, folder)
    world.strangers.forget()
    make(folder, world.strangers)
    error = refused(hub_engine, folder, trusted=(subject,))
    assert error.cause is FailureCause.CODE
    assert error.subject != subject
    assert world.strangers.ran == []


def test_names_and_contents_of_files_are_told_apart():
    from tui.engine.local.code_files import CodeFiles

    layouts = [
        {"a.py": b"b.pyx"},
        {"a.py": b"", "b.py": b"x"},
        {"a.pyb.py": b"x"},
        {"a.py": b"b.py", "x": b""},
    ]
    assert len({CodeFiles(files).digest for files in layouts}) == len(layouts)


def test_a_folder_whose_links_lead_in_circles_is_read_once(world, hub_engine):
    folder = world.with_code("own")
    (folder / "again").symlink_to(folder)
    assert len(agreeing(hub_engine, folder)) == 1


def test_code_that_is_a_pipe_is_a_sentence(world, hub_engine):
    folder = world.with_code("own")
    os.mkfifo(folder / "pipe.py")
    assert "can't be read" in refused(hub_engine, folder).message


def test_two_folders_of_one_name_run_each_its_own_code(world, hub_engine):
    one, two = world.with_code("one/same"), world.with_code("two/same")
    (one / "own.py").write_text(world.strangers.model("one") + "from .helper import *\n")
    (two / "own.py").write_text(world.strangers.model("one") + "from .helper import *\n")
    (one / "helper.py").write_text(world.strangers.python("helper-one"))
    (two / "helper.py").write_text(world.strangers.python("helper-two"))
    agreeing(hub_engine, one)
    assert world.strangers.ran == ["helper-one", "one"]
    world.strangers.forget()
    agreeing(hub_engine, two)
    assert "helper-two" in world.strangers.ran
    assert "helper-one" not in world.strangers.ran


def test_what_runs_is_what_was_agreed_to_whatever_becomes_of_the_folder(
    world, hub_engine, monkeypatch
):
    from tui.engine.local import loading

    folder = world.with_code("own")
    [subject] = agreeing(hub_engine, folder)
    world.strangers.forget()
    _forget_modules()
    prepare = loading.prepare

    def swapped(*args):
        (folder / "own.py").write_text(world.strangers.model("swapped"))
        needs_code(folder, "other/code--own")
        return prepare(*args)

    monkeypatch.setattr(loading, "prepare", swapped)
    load(hub_engine, folder, trusted=(subject,))
    assert world.strangers.ran == ["own"]


def test_code_in_the_cache_that_was_edited_is_not_what_runs(world, hub_engine, hub_cache):
    world.on_hub("org/own", world.with_code("own"))
    [subject] = agreeing(hub_engine, "org/own")
    world.strangers.forget()
    [edited] = hub_cache.glob("models--org--own/snapshots/*/own.py")
    edited.unlink()
    edited.write_text(world.strangers.model("edited"))
    load(hub_engine, "org/own", trusted=(subject,))
    assert "edited" not in world.strangers.ran


def test_a_branch_that_has_moved_on_asks_again(world, hub_engine):
    folder = world.with_code("own")
    old = world.on_hub("org/own", folder)
    [subject] = agreeing(hub_engine, "org/own", revision="main")
    assert subject.startswith(f"org/own@{old.sha}#")
    world.strangers.forget()
    (folder / "own.py").write_text(world.strangers.model("new"))
    world.on_hub("org/own", folder)
    assert refused(hub_engine, "org/own", revision="main", trusted=(subject,)).subject != subject
    assert world.strangers.ran == []


def test_code_that_was_agreed_to_runs_without_the_hub_too(world, hub_engine):
    folder = world.with_code("own")
    tokenizer_needs_code(folder, "other/tokens--tokens")
    world.on_hub("org/own", folder)
    world.repository("other/tokens", tokens=world.strangers.tokenizer("tokens"))
    asked = agreeing(hub_engine, "org/own")
    world.strangers.forget()
    _forget_modules()
    world.server.broken = 503
    load(hub_engine, "org/own", trusted=tuple(asked))
    assert world.strangers.ran == ["own", "tokens"]


def test_a_generate_of_the_agreed_folder_is_part_of_what_was_agreed_to(world, hub_engine):
    folder = world.with_code("own")
    _add_a_generate(folder, world.strangers)
    (folder / "custom_generate" / "generate.py").write_text(
        world.strangers.python("generate", "def generate(model, *args, **kwargs): pass\n")
    )
    assert len(agreeing(hub_engine, folder)) == 1
    assert world.strangers.ran == ["generate", "own"]


def test_weights_and_templates_in_folders_are_found_beside_the_code(world, hub_engine):
    folder = world.with_code("own")
    (folder / "parts").mkdir()
    (folder / "model.safetensors").rename(folder / "parts" / "model.safetensors")
    (folder / "model.safetensors").symlink_to(folder / "parts" / "model.safetensors")
    (folder / "additional_chat_templates").mkdir()
    (folder / "additional_chat_templates" / "more.jinja").write_text("more")
    assert len(agreeing(hub_engine, folder)) == 1
    [laid] = (hub_engine._cache_folder / "code").iterdir()
    assert (laid / "additional_chat_templates" / "more.jinja").read_text() == "more"
    assert laid.stat().st_mode & 0o077 == 0


# -- kernels of the Hub, and pickles


def test_an_attention_that_a_config_names_is_not_taken(plain, world, engine):
    folder = world.folder("named")
    change(
        folder / "config.json",
        attn_implementation="evil/kernel:forward",
        experts_implementation="evil/moe",
    )
    load(engine, folder)
    assert engine._loaded.model.config._attn_implementation == "sdpa"
    for name in (
        "_attn_implementation",
        "_attn_implementation_internal",
        "attn_implementation_internal",
    ):
        change(folder / "config.json", **{"attn_implementation": None, name: "flash_attention_2"})
        load(engine, folder)
        assert engine._loaded.model.config._attn_implementation == "sdpa"


def test_an_attention_that_the_user_names_is_taken(plain, engine):
    load(engine, plain, attention="eager")
    assert engine._loaded.model.config._attn_implementation == "eager"


@pytest.mark.parametrize("name", ["org/kernel", "org/kernel@main:forward", "paged|org/kernel"])
def test_an_attention_of_the_hub_is_refused_in_a_sentence(plain, engine, name):
    error = refused(engine, plain, attention=name)
    assert name in error.message
    assert "Hub kernel" in error.message


def test_the_package_that_fetches_kernels_counts_as_missing(tmp_path):
    site = tmp_path / "site"
    (site / "kernels").mkdir(parents=True)
    (site / "kernels" / "__init__.py").write_text("raise SystemExit('it was imported')\n")
    (site / "kernels-0.15.0.dist-info").mkdir()
    (site / "kernels-0.15.0.dist-info" / "METADATA").write_text(
        "Metadata-Version: 2.1\nName: kernels\nVersion: 0.15.0\n"
    )
    code = (
        "from tui.engine.local.heavy import import_heavy; import_heavy();"
        "from transformers.utils import is_kernels_available; assert not is_kernels_available();"
        "import transformers.integrations.hub_kernels"
    )
    path = os.pathsep.join([str(site), *filter(None, [os.environ.get("PYTHONPATH")])])
    ended = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "PYTHONPATH": path},
        check=False,
        timeout=120,
        capture_output=True,
        text=True,
    )
    assert ended.returncode == 0, ended.stderr


def test_a_model_that_needs_a_kernel_of_the_hub_is_refused_in_a_sentence():
    from transformers.integrations.hub_kernels import get_kernel

    from tui.engine.local import problems

    with pytest.raises(ImportError) as raised:
        get_kernel("kernels-community/finegrained-fp8", version=1)
    error = problems.load_error(raised.value, "org/fp8")
    assert "On this device, org/fp8 requires a Hub kernel" in error.message
    assert "pip install" not in f"{error.message} {error.hint}"


class _Marks:
    """Writes to a file when it is unpickled."""

    def __init__(self, path):
        self.path = str(path)

    def __reduce__(self):
        return (open, (self.path, "w"))


def test_weights_in_a_pickle_run_nothing(world, engine, tmp_path):
    import torch

    folder = world.folder("pickled")
    (folder / "model.safetensors").unlink()
    for name in ("pytorch_model.bin", "training_args.bin", "optimizer.pt"):
        torch.save({"a": _Marks(tmp_path / "unpickled")}, folder / name)
    (tmp_path / "unpickled").unlink(missing_ok=True)
    refused(engine, folder)
    assert not (tmp_path / "unpickled").exists()


def test_an_adapter_in_a_pickle_runs_nothing(world, engine, tmp_path):
    import torch

    folder = tmp_path / "adapter"
    folder.mkdir()
    settings = {"peft_type": "LORA", "r": 2, "target_modules": ["q_proj"]}
    (folder / "adapter_config.json").write_text(json.dumps(settings))
    torch.save({"a": _Marks(tmp_path / "unpickled")}, folder / "adapter_model.bin")
    (tmp_path / "unpickled").unlink(missing_ok=True)
    refused(engine, world.folder("main"), adapter=str(folder))
    assert not (tmp_path / "unpickled").exists()


def test_a_part_of_a_model_that_needs_code_never_asks_on_the_terminal(plain, engine):
    load(engine, plain)
    from transformers import dynamic_module_utils

    assert dynamic_module_utils.TIME_OUT_REMOTE_CODE == 0


PLANT = """
import importlib._bootstrap_external as external, importlib.util, sys
from pathlib import Path
from transformers import dynamic_module_utils
# What an earlier process compiled, or somebody put there, for every copy of the code.
for source in Path(dynamic_module_utils.HF_MODULES_CACHE).rglob("own.py"):
    status = source.stat()
    code = compile(Path(sys.argv[1]).read_text(), str(source), "exec")
    path = Path(importlib.util.cache_from_source(source))
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(external._code_to_timestamp_pyc(code, int(status.st_mtime), status.st_size))
"""
LOAD = """
import sys
from pathlib import Path
from tui.engine.base import LoadRequest
from tui.engine.local.engine import LocalEngine
engine = LocalEngine(Path(sys.argv[2]))
request = LoadRequest(sys.argv[3], trust_own_code=True, trusted=(sys.argv[4],), kernels=False)
engine.load(request, lambda event: None, lambda: False)
"""


def test_what_an_earlier_process_compiled_of_agreed_code_does_not_run(
    world, hub_engine, tmp_path, own_cache
):
    folder = world.with_code("main")
    subject = refused(hub_engine, folder).subject
    planted = tmp_path / "planted.py"
    planted.write_text(world.strangers.model("planted"))
    arguments = [planted, own_cache, folder, subject]
    environment = {**os.environ, "HF_HOME": str(tmp_path / "hf")}

    def run(code):
        done = subprocess.run(
            [sys.executable, "-c", code, *map(str, arguments)],
            env=environment,
            capture_output=True,
            text=True,
            timeout=200,
            check=False,
        )
        assert done.returncode == 0, done.stderr

    run(LOAD + PLANT + "import os; os._exit(0)\n")
    assert world.strangers.ran == ["main"]
    world.strangers.forget()
    run(LOAD)
    assert world.strangers.ran == ["main"]
    # Nothing stays behind: neither of the process that ended nor of the one that was killed.
    assert list((own_cache / "modules").iterdir()) == []


def test_the_folder_that_code_is_imported_from_is_the_users_alone(world, hub_engine, own_cache):
    (own_cache / "modules").mkdir(parents=True, mode=0o777)
    (own_cache / "modules").chmod(0o777)
    cache = module_cache.ModuleCache()
    cache.use(own_cache / "modules")
    assert (own_cache / "modules").stat().st_mode & 0o777 == 0o700
    (made,) = (own_cache / "modules").iterdir()
    assert made.stat().st_mode & 0o777 == 0o700
    assert sys.path[0] == str(made)
    shutil.rmtree(made)
    cache.use(own_cache / "modules")
    assert made.stat().st_mode & 0o777 == 0o700


def test_a_place_for_imported_code_that_cant_be_had_is_a_sentence(tmp_path):
    (tmp_path / "modules").write_text("in the way")
    with pytest.raises(ModelLoadError, match="A private folder for the model's code"):
        module_cache.ModuleCache().use(tmp_path / "modules")


def test_a_folder_of_agreed_code_that_others_can_write_to_is_closed(world, hub_engine, own_cache):
    (own_cache / "code").mkdir(parents=True)
    (own_cache / "code").chmod(0o777)
    assert agreeing(hub_engine, world.with_code("main"))
    assert (own_cache / "code").stat().st_mode & 0o777 == 0o700


def test_a_folder_of_agreed_code_that_belongs_to_somebody_else_is_refused(
    world, own_cache, monkeypatch
):
    (own_cache / "code").mkdir(parents=True, exist_ok=True)
    user = os.geteuid()
    monkeypatch.setattr(files.os, "geteuid", lambda: user + 1)
    with pytest.raises(ModelLoadError, match="belongs to another user"):
        lay_down(CodeFiles({}), own_cache / "code" / "m1", world.folder("main"))
