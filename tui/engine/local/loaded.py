"""The data of a load: a model's files, the results of the checks before its weights are read, and the loaded model."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from pathlib import Path
from typing import TYPE_CHECKING

from tui.dataclass import dataclass
from tui.engine.base import LoadRequest, ModelInfo
from tui.engine.catalog import ModelSource
from tui.engine.local.code import Code
from tui.engine.local.held_to_schema import Grammars
from tui.engine.local.history import LastReply
from tui.engine.local.prefill import Prefill
from tui.engine.local.prefix_cache import PrefixCache
from tui.engine.local.prompt import PromptBuilder
from tui.engine.local.speculation import Speculator
from tui.engine.template_files import TemplateChoice

if TYPE_CHECKING:
    import torch
    from transformers import (
        GenerationConfig,
        PreTrainedConfig,
        PreTrainedTokenizerBase,
    )

    from tui.engine.local.compiled import Compiled
    from tui.engine.local.cpu.kernels import Installed
    from tui.engine.local.text_model import TextModel


@dataclass(slots=True)
class LoadedModel:
    """A model that is ready to reply, with everything needed for replies."""

    model: TextModel
    tokenizer: PreTrainedTokenizerBase
    info: ModelInfo
    cache: PrefixCache
    prompts: PromptBuilder
    end_ids: frozenset[int]
    end_texts: tuple[str, ...]
    """Role marks of the chat template that are no tokens; they end a reply, too."""
    silent_ids: frozenset[int]
    beyond: Mapping[int, str]
    """The tokenizer's tokens that the model has no rows for, by their ids."""
    model_settings: GenerationConfig
    """The generation config that came with the model."""
    input_device: torch.device
    prefill: Prefill
    speculation: Speculator
    gives_up_cache: bool = False
    """Whether `generate` computes the whole text again when its rotary frequencies change; see `rotary`."""
    last_reply: LastReply = field(default_factory=LastReply)
    installed: Installed | None = None
    """The faster layers that were put into it."""
    assistant: LoadedModel | None = None
    """The model that drafts for it."""
    grammars: Grammars = field(default_factory=Grammars)
    """What holds replies to a JSON Schema."""
    compiled: Compiled | None = None
    """Its compiled decoding pass, if the user wants one."""

    def forget_computed(self) -> None:
        """Forget what replies go on from that is not in the pool of caches, as after one whose numbers were none."""
        self.last_reply = LastReply()
        self.speculation.forget()
        if self.compiled is not None:
            self.compiled.drop_cache()


@dataclass(frozen=True, slots=True)
class Parts:
    """The locations of a model and its parts on this machine.

    Attributes:
        source: names the model.
        folder: holds it.
        code: what of its code may run, and where transformers loads it from.
        adapter: the folder of an adapter to put on it; None for none.
    """

    source: ModelSource
    folder: Path
    code: Code
    adapter: Path | None = None


@dataclass(frozen=True, slots=True)
class Preparation:
    """Everything determined before the weights are read."""

    parts: Parts
    request: LoadRequest
    config: PreTrainedConfig
    tokenizer: PreTrainedTokenizerBase
    device: str
    dtype: torch.dtype
    method: str
    """How the checkpoint is already quantized; empty if it isn't."""
    wished_attention: str = ""
    """The attention that config.json asks for, and the user doesn't; empty when it asks for none."""
    template: TemplateChoice | None = None
    """The chat template that stands in the folder."""
    stale_method: str = ""
    """A quantization that config.json names and the weights don't have."""
