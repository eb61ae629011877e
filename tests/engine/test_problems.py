"""What a GPU reports becomes a sentence that says what can be done about it."""

import pytest
import torch

from tests.engine.accelerator import FakeAccelerator, absent
from tests.engine.conftest import ask, chat, load
from tests.engine.tiny import llama
from tui.conversation.turn import ReplyStats
from tui.engine.base import FailureCause, GenerationError, ModelLoadError
from tui.engine.local import problems

NOTHING_MORE = (
    "CUDA error: device-side assert triggered\nCUDA kernel errors might be reported later",
    "CUDA error: an illegal memory access was encountered",
    "CUDA error: misaligned address",
    "HIP error: unspecified launch failure",
    "CUDA error: uncorrectable ECC error encountered",
)


@pytest.mark.parametrize("text", NOTHING_MORE)
def test_after_some_errors_only_a_new_start_helps(text):
    for error in (
        problems.generation_error(RuntimeError(text), ReplyStats()),
        problems.load_error(RuntimeError(text), "m"),
    ):
        assert "The GPU failed" in error.message
        assert "\n" not in error.message
        assert "Restart chat-tui" in error.hint


@pytest.mark.parametrize(
    "text",
    ["CUDA error: out of memory", "CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"],
)  # fmt: skip
def test_memory_that_a_library_of_the_gpu_lacks_is_memory(text):
    assert problems.generation_error(RuntimeError(text), ReplyStats()).cause is FailureCause.MEMORY
    assert problems.load_error(RuntimeError(text), "m").cause is FailureCause.MEMORY


def test_a_gpu_that_gave_up_takes_no_memory_back_and_hides_no_sentence(
    engine, tmp_path, monkeypatch
):
    folder = llama(tmp_path / "m")
    load(engine, folder)

    class Broken(FakeAccelerator):
        def empty_cache(self):
            raise RuntimeError(NOTHING_MORE[0])

    def fails(*_args, **_kwargs):
        raise RuntimeError(NOTHING_MORE[0])

    monkeypatch.setattr(torch, "cuda", Broken())
    monkeypatch.setattr(torch, "xpu", absent())
    monkeypatch.setattr(type(engine._loaded.model), "forward", fails)
    with pytest.raises(GenerationError, match="The GPU failed"):
        ask(engine, chat("hello"), max_new_tokens=4)
    with pytest.raises(ModelLoadError, match="The GPU failed"):
        load(engine, folder, device="cpu")
    engine.unload()
    assert engine.loaded is None
