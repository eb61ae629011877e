"""What the sections of `gpu` share: the device and its memory, this program's engine, and transformers' own `generate`.

Uses nothing that is newer than torch 2.11 and transformers 5.17, and of them only what is public.
"""

from __future__ import annotations

import contextlib
import gc
import importlib.util
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, Final

import psutil

from benchmarks import _shapes
from benchmarks._gpu_report import Row
from benchmarks._shapes import Shape
from tui.conversation.turn import Message, ReplyStats
from tui.engine.base import Engine, GenerateRequest, LoadRequest, ModelInfo, Speculation
from tui.engine.facts import folder_facts
from tui.engine.local.engine import LocalEngine

PACKAGES: Final = ("torch", "transformers", "bitsandbytes", "torchao", "accelerate", "textual")
_SMI_S: Final = 10.0
_ROOM: Final = 1.1


@dataclass(frozen=True, slots=True)
class Times:
    """One reply: seconds to the first token, and tokens per second after it."""

    ttft_s: float
    tokens_per_s: float
    new_tokens: int = 0
    prompt_tokens: int = 0
    cached_tokens: int = 0

    @classmethod
    def of(cls, stats: ReplyStats) -> Times:
        """Return those of a reply of the engine."""
        return cls(
            stats.ttft_s, stats.tokens_per_s, stats.new_tokens, stats.prompt_tokens, stats.cached_tokens
        )  # fmt: skip


@dataclass(frozen=True)
class Bench:
    """Where a section measures, and what it says.

    Attributes:
        shape: of the model.
        device: as torch names it.
        work: a folder for checkpoints and caches; other sections find them there.
        say: takes each row as soon as it is known.
        ends_at: when the section is ended, by `time.monotonic`.
    """

    shape: Shape
    device: str
    work: Path
    say: Callable[[Row], None]
    ends_at: float

    @property
    def is_cuda(self) -> bool:
        """Whether the device is a GPU that torch calls CUDA, ROCm ones included."""
        return self.device.startswith("cuda")

    @property
    def left_s(self) -> float:
        """The time that the section still has."""
        return self.ends_at - time.monotonic()

    @property
    def folder(self) -> Path:
        """The checkpoint; see `prepare`."""
        return self.work / self.shape.name

    @property
    def facts(self) -> Any:
        """What the files say of the model, as the app sees it."""
        return folder_facts(self.folder)

    def row(self, what: str, *values: float, **more: Any) -> None:
        """Say a row."""
        self.say(Row(what, values, **more))

    def prepare(self) -> None:
        """Write the checkpoint, so that what follows measures nothing of that.

        Raises:
            OSError: there is no room for it.
        """
        free = shutil.disk_usage(self.work).free
        if not self.folder.exists() and free < self.shape.weights_bytes * _ROOM:
            needed = f"{self.shape.weights_bytes / 1e9:.0f} GB"
            raise OSError(f"{self.work} has no room for {needed}; name another folder with --work")
        _shapes.write(self.shape, self.folder, self.device)
        self.settle()

    # -- memory

    def settle(self) -> None:
        """Free what nobody holds any more, and wait for the device."""
        gc.collect()
        if self.is_cuda:
            import torch

            torch.cuda.synchronize()
            torch.cuda.empty_cache()

    def used_bytes(self) -> int:
        """Return what everybody uses of the device's memory, by torch's driver interface."""
        if self.is_cuda:
            import torch

            free, total = torch.cuda.mem_get_info(self.device)
            return int(total - free)
        return int(psutil.virtual_memory().total - psutil.virtual_memory().available)

    def free_bytes(self) -> int:
        """Return the free memory of the device, by torch's driver interface."""
        if self.is_cuda:
            import torch

            return int(torch.cuda.mem_get_info(self.device)[0])
        return int(psutil.virtual_memory().available)

    def smi_bytes(self) -> int:
        """Return what the driver's own tool says is used; 0 where it says nothing."""
        if not self.is_cuda:
            return 0
        index = self.device.partition(":")[2] or "0"
        command = (
            "nvidia-smi",
            "-i",
            index,
            "--query-gpu=memory.used",
            "--format=csv,noheader,nounits",
        )
        with contextlib.suppress(OSError, ValueError, subprocess.SubprocessError):
            done = subprocess.run(
                command, capture_output=True, text=True, timeout=_SMI_S, check=True
            )
            return int(done.stdout.split()[0]) << 20
        return 0

    def torch_bytes(self) -> tuple[int, int]:
        """Return what torch has allocated and what it has reserved in this process; 0 where it doesn't count."""
        if not self.is_cuda:
            return 0, 0
        import torch

        return int(torch.cuda.memory_allocated()), int(torch.cuda.memory_reserved())

    @contextlib.contextmanager
    def filled(self, leave_bytes: int) -> Iterator[None]:
        """Take the memory of a GPU but for some of it; gives it back at the end. Does nothing elsewhere."""
        ballast = None
        if self.is_cuda:
            import torch

            self.settle()
            take = max(0, self.free_bytes() - leave_bytes)
            ballast = torch.empty(take, dtype=torch.uint8, device=self.device)
        try:
            yield
        finally:
            del ballast
            self.settle()

    # -- the engine

    def request(self, quantization: str = "none", **more: Any) -> LoadRequest:
        """Return what the engine is asked to load."""
        return LoadRequest(
            str(self.folder), quantization, device=self.device, kernels=False, **more
        )

    def engine(self) -> LocalEngine:
        """Return an engine in this process, without a model."""
        return LocalEngine(self.work / "cache")

    def load(self, engine: Engine, request: LoadRequest) -> tuple[ModelInfo, float]:
        """Load a model; return it, and the seconds that took."""
        began = time.perf_counter()
        info = engine.load(request, lambda _event: None, lambda: False)
        return info, time.perf_counter() - began


def ask(engine: Engine, messages: tuple[Message, ...], limit: int, **more: Any) -> Times:
    """Have the engine reply, without drafting."""
    request = GenerateRequest(
        messages,
        {"temperature": 0.0, "max_new_tokens": limit},
        speculation=Speculation.OFF,
        **more,
    )
    return Times.of(engine.generate(request, lambda _event: None, lambda: False).stats)


def user(text: str) -> tuple[Message, ...]:
    """Return a chat of one message."""
    return (Message("user", text),)


class Stock:
    """transformers' own `generate`, as it comes."""

    def __init__(self, bench: Bench) -> None:
        """Load the model."""
        import torch
        from transformers import AutoModelForCausalLM, AutoTokenizer

        began = time.perf_counter()
        options: dict[str, Any] = {"dtype": torch.bfloat16}
        if importlib.util.find_spec("accelerate") is not None:
            # Straight to the device, as people load a model that fits.
            options["device_map"] = {"": bench.device}
        made: Any = AutoModelForCausalLM.from_pretrained(bench.folder, **options)
        self._model = made.to(bench.device).eval()
        self._tokenizer = AutoTokenizer.from_pretrained(bench.folder)
        self.load_s = time.perf_counter() - began
        self._device = bench.device

    def ask(self, messages: tuple[Message, ...], limit: int) -> Times:
        """Have it reply."""
        began = time.perf_counter()
        ids = self._tokenizer.apply_chat_template(
            [{"role": one.role, "content": one.content} for one in messages],
            add_generation_prompt=True,
            return_tensors="pt",
            return_dict=True,
        ).to(self._device)
        arrived: list[float] = []
        counted = _Counting(arrived)
        self._model.generate(
            input_ids=ids["input_ids"],
            attention_mask=ids["attention_mask"],
            max_new_tokens=limit,
            do_sample=False,
            pad_token_id=0,
            streamer=counted,
        )
        after_first = arrived[-1] - arrived[0]
        speed = (len(arrived) - 1) / after_first if after_first > 0 else 0.0
        prompt_tokens = int(ids["input_ids"].shape[1])
        return Times(arrived[0] - began, speed, len(arrived), prompt_tokens)


class _Counting:
    """A streamer that notes when each token arrives; the first thing it is given is the prompt."""

    def __init__(self, arrived: list[float]) -> None:
        self._arrived = arrived
        self._is_prompt = True

    def put(self, _value: Any) -> None:
        """Take a token."""
        if not self._is_prompt:
            self._arrived.append(time.perf_counter())
        self._is_prompt = False

    def end(self) -> None:
        """Do nothing: the last token was taken."""


def offered(bench: Bench, engine: Engine, message: str, *, in_reply: bool) -> str:
    """Return what the app offers when memory has run out, in its words.

    Args:
        bench: whose model did not fit.
        engine: knows the free memory.
        message: the error's.
        in_reply: whether a reply failed, rather than a load.
    """
    from tui.screens.models.rescue import ways_out
    from tui.screens.models.rows import FreeMemory

    _, reading = engine.target_memory()
    held = engine.memory()
    freed = held.weights + held.cache if held.device == reading.device else 0
    free = FreeMemory(
        bench.device,
        f"{reading.device} ({reading.kind})",
        reading.free + freed,
        half_dtype=reading.half_dtype,
    )
    ways = ways_out(bench.request(), bench.facts, free, in_reply=in_reply)
    labels = "; ".join(way.answer.label for way in ways)
    return f"“{message}” Offered: {labels}"


def about(device: str) -> dict[str, str]:
    """Return what the figures depend on: the card, its driver, and the versions."""
    import platform

    found = {"card": "CPU", "date": time.strftime("%Y-%m-%d"), "Python": platform.python_version()}
    for name in PACKAGES:
        with contextlib.suppress(PackageNotFoundError):
            found[name] = version(name)
    if device.startswith("cuda"):
        import torch

        card = torch.cuda.get_device_properties(device)
        found["card"] = f"{card.name}, {card.total_memory / 2**30:.0f} GiB"
        found["compute capability"] = f"{card.major}.{card.minor}"
        found["CUDA"] = str(torch.version.cuda or torch.version.hip)
        found["driver"] = _driver()
    return found


def _driver() -> str:
    command = ("nvidia-smi", "--query-gpu=driver_version", "--format=csv,noheader")
    with contextlib.suppress(OSError, subprocess.SubprocessError, IndexError):
        done = subprocess.run(command, capture_output=True, text=True, timeout=_SMI_S, check=True)
        return done.stdout.split()[0]
    return "unknown"
