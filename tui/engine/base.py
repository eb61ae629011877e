"""The `Engine` protocol, and the events that make up a reply.

Only plain values cross this line, so that an engine can run in the app's worker thread or, later, in a process of its own.
An engine knows nothing of screens, chats on disk or settings files.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import field
from enum import StrEnum
from typing import Any, Protocol

from tui.conversation.turn import Message, ReplyStats
from tui.dataclass import dataclass
from tui.errors import UserError
from tui.json_types import Json
from tui.parameters import Value


class FailureCause(StrEnum):
    """Causes of failed jobs for which the app can offer more than a message."""

    OTHER = "other"
    MEMORY = "memory"
    """Memory ran out, on whichever device."""
    CODE = "code"
    """Code would have to run that the user has not agreed to."""
    UNENCRYPTED = "unencrypted"
    """The connection to a server is unencrypted, and the user has not agreed to that."""
    CONNECTION = "connection"
    """A server was lost in the middle of a reply."""
    DEVICE = "device"
    """A GPU gives this process nothing more; another one can use it."""
    ENGINE = "engine"
    """The process of the engine has ended; another one can be started."""


class EngineError(UserError):
    """An engine operation failed.

    Attributes:
        cause: what the app can offer a way out of.
        subject: what the cause is about: with `CODE` whose code it is and in which version, with `UNENCRYPTED` the server; see
            `engine.trust`.
    """

    def __init__(
        self,
        message: str,
        hint: str = "",
        *,
        cause: FailureCause = FailureCause.OTHER,
        subject: str = "",
    ) -> None:
        super().__init__(message, hint)
        self.cause = cause
        self.subject = subject


class ModelLoadError(EngineError):
    """A model could not be found or loaded."""


class GenerationError(EngineError):
    """A reply could not be generated, or failed partway.

    Attributes:
        stats: what the reply cost so far.
    """

    def __init__(
        self,
        message: str,
        hint: str = "",
        stats: ReplyStats | None = None,
        *,
        cause: FailureCause = FailureCause.OTHER,
    ) -> None:
        super().__init__(message, hint, cause=cause)
        self.stats = stats or ReplyStats()


@dataclass(frozen=True, slots=True)
class Overflow:
    """By how much a chat exceeds the context.

    Attributes:
        prompt_tokens: what the chat takes.
        context_tokens: what the model takes at most, its reply included.
        message_tokens: what each message of the request takes with what the template puts around it, in their order.
    """

    prompt_tokens: int
    context_tokens: int
    message_tokens: tuple[int, ...]


class ContextOverflowError(GenerationError):
    """The chat no longer fits the model's context; `overflow` has the figures."""

    def __init__(self, overflow: Overflow) -> None:
        super().__init__(
            f"The chat has {overflow.prompt_tokens:,} tokens, but the model's context is limited to "
            f"{overflow.context_tokens:,}, including the reply.",
            "Shorten or delete turns, start a new chat, or use a model with a longer context.",
        )
        self.overflow = overflow


class Cancelled(Exception):  # noqa: N818 - it reports no error
    """Raised inside an engine when the job was cancelled."""


class StopReason(StrEnum):
    """Why a reply ended."""

    END = "end"
    """The model ended its turn."""
    LENGTH = "length"
    """The limit of new tokens, or the end of the context."""
    CANCELLED = "cancelled"


class Speculation(StrEnum):
    """How tokens are drafted for speculative decoding."""

    AUTO = "auto"
    """An assistant model where one is loaded; else prompt lookup as long as it pays."""
    OFF = "off"
    LOOKUP = "lookup"
    """Prompt lookup: drafts are copied from text already in the chat."""
    ASSISTANT = "assistant"
    EARLY_EXIT = "early-exit"
    """The model's own first layers draft; only for models trained for it."""


@dataclass(frozen=True, slots=True)
class TemplateSwitch:
    """An option of a chat template.

    Attributes:
        name: the template's variable.
        choices: the values that the template compares it with; empty where anything goes.
        default: the value if nothing is chosen; None if the template doesn't specify it.
    """

    name: str
    choices: tuple[Json, ...] = ()
    default: Json = None


@dataclass(frozen=True, slots=True)
class LoadRequest:
    """A model to load.

    Attributes:
        model: a Hub ID, a local folder, a `.gguf` file, `demo`, or a model on a server as `engine.remote.address` writes it.
        quantization: a name in `engine.quantization.QUANTIZATIONS`.
        dtype: `auto`, `bfloat16`, `float16` or `float32`.
        device: `auto`, `balanced`, `sequential`, or a torch device such as `cuda:0` or `cpu`.
        revision: a Hub branch, tag or commit; empty for the default.
        trust_own_code: run the code that the model itself needs from its own repository or folder, as it is now; the code of
            other repositories and of an assistant model still has to be in `trusted`.
        attention: the attention implementation, in transformers' names; empty for the best available one.
        max_memory: how much of each device may be used at most, for example `{"cuda:0": "6GiB", "cpu": "20GiB"}`.
        adapter: a folder or Hub id of a LoRA adapter; empty for none.
        assistant: a small model that drafts for this one, named as `model` is; empty for none.
        double_quant, compute_dtype: of bitsandbytes' 4-bit quantizations; the dtype as `dtype`.
        trusted: subjects that the user has agreed to, each for one version of the code of one repository or folder; see
            `engine.trust`.
        kernels: on a CPU, use this program's own linear layers where they are faster.
        compile: decode with a pass that torch compiles, where the model's code is made for that.
        keeps_former: keep the model that is loaded in memory, so that going back to it costs nothing.
        threads: that compute on a CPU; 0 for the engine's own choice.
        gguf: what runs a GGUF file: `auto`, `llama.cpp` or `transformers`; see `engine.llama.choice`.
        context: tokens that llama.cpp makes room for; 0 for what fits well.
    """

    model: str
    quantization: str = "none"
    dtype: str = "auto"
    device: str = "auto"
    revision: str = ""
    trust_own_code: bool = False
    attention: str = ""
    max_memory: Mapping[str, str] = field(default_factory=dict)
    adapter: str = ""
    assistant: str = ""
    double_quant: bool = True
    compute_dtype: str = "auto"
    trusted: tuple[str, ...] = ()
    keeps_former: bool = False
    kernels: bool = True
    threads: int = 0
    compile: bool = False
    gguf: str = "auto"
    context: int = 0


@dataclass(frozen=True, slots=True)
class GenerateRequest:
    """A reply to generate.

    Attributes:
        messages: the whole chat, oldest first.
        parameters: the parameters that the user set; the model's defaults apply to the others.
        continue_last: write on at the end of the last message, which is the assistant's.
        template: switches of the model's chat template, for example `{"enable_thinking": False}`.
        speculation: how tokens are drafted.
        cached_at_most: tokens of the prompt that may come from what was computed before; None for all. A reply that is to
            be made again takes as many as at the first time, so that numbers are rounded in the same places.
        schema: the JSON Schema that the reply's text has to fit; None for any text. Reasoning before it is free.
    """

    messages: tuple[Message, ...]
    parameters: Mapping[str, Value] = field(default_factory=dict)
    continue_last: bool = False
    template: Mapping[str, Json] = field(default_factory=dict)
    speculation: Speculation = Speculation.AUTO
    cached_at_most: int | None = None
    schema: Json = None


@dataclass(frozen=True, slots=True)
class Capabilities:
    """What an engine can do with a model. Anything else isn't offered, and `because` gives the reason.

    Attributes:
        parameters: the generation parameters that it takes; None for all.
        continues: whether it writes on at the end of a reply, or after words that a reply is to begin with.
        is_private: whether what it is given stays in the app: only then is a message counted while it is being written, and a prompt
            computed ahead.
        shows_prompt: whether it tells the exact prompt.
        splits: whether it cuts a text into tokens.
        drafts: whether it can draft tokens.
        holds_schema: whether it can constrain a reply to a JSON Schema.
        because: why it can't do the rest, as a sentence; empty where it can do all.
    """

    parameters: frozenset[str] | None = None
    continues: bool = True
    is_private: bool = True
    shows_prompt: bool = True
    splits: bool = True
    drafts: bool = True
    holds_schema: bool = False
    because: str = ""

    def takes(self, parameter: str) -> bool:
        """Return whether a generation parameter has an effect."""
        return self.parameters is None or parameter in self.parameters


@dataclass(frozen=True, slots=True)
class ModelInfo:
    """A loaded model.

    Attributes:
        model: as in the request; what is stored to load it again.
        name: for people.
        device: where most of it lives, for example `cuda:0`.
        dtype: of its weights.
        quantization: in force; a checkpoint that is already quantized has its own method's name.
        quantization_locked: why the choice can't be changed; empty when it can.
        context_tokens: the longest context that the model takes.
        weights_bytes: what its parameters take in memory.
        defaults: generation parameters from the model's own generation config.
        has_chat_template: without one, messages are joined as plain text.
        notes: sentences that the user should see once.
        template_switches: what the chat template lets the user choose.
        revision: the commit, for a model of the Hub.
        parameters: how many numbers its weights are; 0 when not known.
        is_mixture: whether it is a mixture of experts.
        server: the name of the server that it is on; empty for this machine.
        engine: what runs it, for people; empty for transformers.
        capabilities: what can be done with it.
    """

    model: str
    name: str
    device: str = "cpu"
    dtype: str = ""
    quantization: str = "none"
    quantization_locked: str = ""
    context_tokens: int = 0
    weights_bytes: int = 0
    defaults: Mapping[str, Value] = field(default_factory=dict)
    has_chat_template: bool = True
    notes: tuple[str, ...] = ()
    template_switches: tuple[TemplateSwitch, ...] = ()
    revision: str = ""
    parameters: int = 0
    is_mixture: bool = False
    server: str = ""
    engine: str = ""
    capabilities: Capabilities = Capabilities()


@dataclass(frozen=True, slots=True)
class MemoryReading:
    """Memory of the device that a model runs on, in bytes. Zero means unknown.

    Attributes:
        kind: `VRAM` or `RAM`.
        device: its name for people.
        used: by everybody.
        total: what the device has.
        own: by this process.
        weights, cache: how much of that are the models' weights and the KV caches.
        others: the other devices that there are.
        engine: what of `own` is taken by the process of the engine, where that is not the app's.
        half_dtype: the 16-bit type that a model on it is held in whatever its files say; empty for the type of the files.
    """

    kind: str = "RAM"
    device: str = "CPU"
    used: int = 0
    total: int = 0
    own: int = 0
    weights: int = 0
    cache: int = 0
    others: tuple[MemoryReading, ...] = ()
    engine: int = 0
    half_dtype: str = "bfloat16"

    @property
    def free(self) -> int:
        """The free memory."""
        return max(0, self.total - self.used)


# -- events, in the order in which a job can emit them


@dataclass(frozen=True, slots=True)
class Progress:
    """The progress of a long job.

    Attributes:
        stage: what is being done, for example `Loading weights`.
        done, total: in `unit`; a total of 0 means that it is not known.
        unit: `B` for bytes, else a plural such as `tokens`.
    """

    stage: str
    done: int = 0
    total: int = 0
    unit: str = ""


@dataclass(frozen=True, slots=True)
class ModelReady:
    """A model was loaded."""

    info: ModelInfo


@dataclass(frozen=True, slots=True)
class PromptReady:
    """The prompt is ready: its length, how much of it was in the KV cache, and the parameters in effect.

    `dropped_tokens` and `rewritten_tokens` are as in `ReplyStats`. `notes` are sentences about what was added to the chat or left out
    so that the model takes it; the user should see each once.
    """

    prompt_tokens: int
    cached_tokens: int = 0
    parameters: Mapping[str, Any] = field(default_factory=dict)
    dropped_tokens: int = 0
    rewritten_tokens: int = 0
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class TextDelta:
    """The next piece of the answer."""

    text: str
    tokens: int = 1


@dataclass(frozen=True, slots=True)
class ReasoningDelta:
    """The next piece of the reasoning before the answer."""

    text: str
    tokens: int = 1


@dataclass(frozen=True, slots=True)
class ReasoningFound:
    """All that was told as the answer so far was reasoning: a tag came that ends it, and none had opened it.

    Attributes:
        text: the reasoning, whole; with what the reply went on from.
        tag: what ended it.
        tokens: that came since the last piece of text.
    """

    text: str
    tag: str
    tokens: int = 1


@dataclass(frozen=True, slots=True)
class Finished:
    """A reply ended."""

    stats: ReplyStats
    reason: StopReason = StopReason.END


@dataclass(frozen=True, slots=True)
class Unloaded:
    """The model was unloaded and its memory freed."""


@dataclass(frozen=True, slots=True)
class LoadCancelled:
    """A load was cancelled.

    Attributes:
        keeps_model: whether the model that was there before still is.
    """

    keeps_model: bool = False


@dataclass(frozen=True, slots=True)
class Failed:
    """A job failed.

    Attributes:
        message, hint: as in `EngineError`.
        keeps_model: whether the model that was there before still is.
        stats: of a reply, so far.
        overflow: set when the chat did not fit the context, and nothing was said for that reason.
        cause, subject: as in `EngineError`.
    """

    message: str
    hint: str = ""
    keeps_model: bool = True
    stats: ReplyStats = field(default_factory=ReplyStats)
    overflow: Overflow | None = None
    cause: FailureCause = FailureCause.OTHER
    subject: str = ""


@dataclass(frozen=True, slots=True)
class PromptDescribed:
    """The exact prompt of a request, as `Engine.describe` returns it.

    Attributes:
        text: with its special tokens.
        tokens: how many there are.
        notes: as in `PromptReady`.
    """

    text: str
    tokens: int
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class TextSplit:
    """A text cut into the model's tokens, as `Engine.split` returns them."""

    pieces: tuple[str, ...]


Event = (
    Progress
    | ModelReady
    | PromptReady
    | TextDelta
    | ReasoningDelta
    | ReasoningFound
    | Finished
    | Unloaded
    | LoadCancelled
    | PromptDescribed
    | TextSplit
    | Failed
)
Emit = Callable[[Event], None]
IsCancelled = Callable[[], bool]


class Engine(Protocol):
    """Makes replies. All methods but `memory` and `target_memory` block and are called from one thread, one after another."""

    def load(self, request: LoadRequest, emit: Emit, cancelled: IsCancelled) -> ModelInfo:
        """Load a model and replace the loaded one.

        Emits `Progress`.

        Raises:
            ModelLoadError: it could not be loaded. `loaded` tells whether the former model is still there.
            Cancelled: `cancelled` returned True; the same holds.
        """
        ...

    def generate(self, request: GenerateRequest, emit: Emit, cancelled: IsCancelled) -> Finished:
        """Generate a reply.

        Emits `PromptReady`, `Progress` while a long prompt is computed, `TextDelta`, `ReasoningDelta` and `ReasoningFound`. A
        cancelled reply is not an error: it is returned with `StopReason.CANCELLED`.

        Raises:
            ContextOverflowError: the chat leaves no room for a reply; nothing was emitted.
            GenerationError: there is no model, or the reply failed; what was emitted before holds.
        """
        ...

    def prepare(self, request: GenerateRequest, cancelled: IsCancelled) -> bool:
        """Compute ahead what is certain of the prompt of the next message in a chat: all before it, in the template's form.

        Args:
            request: the chat so far, with the parameters and switches of the next reply.
            cancelled: tells when to stop at once.

        Returns:
            whether it is done, or there is nothing to do; False when it was cancelled.
        """
        ...

    def describe(self, request: GenerateRequest) -> PromptDescribed:
        """Return the prompt that the loaded model would be given, without making a reply.

        Raises:
            GenerationError: there is no model, or its chat template refuses the chat.
        """
        ...

    def split(self, text: str) -> tuple[str, ...]:
        """Return a text cut into the loaded model's tokens; nothing without a model.

        A token that holds only a part of a character is an empty piece, but for the first such, which has the character.
        """
        ...

    def unload(self) -> None:
        """Forget the model and free its memory; does nothing without one."""
        ...

    @property
    def loaded(self) -> ModelInfo | None:
        """The model that is loaded."""
        ...

    @property
    def lost(self) -> str:
        """Why the model that was loaded is gone though nobody unloaded it, as a sentence; empty otherwise. Safe from any thread."""
        ...

    def memory(self) -> MemoryReading:
        """Return the memory of the device in use. Safe from any thread, also during a job; takes well under 1 ms."""
        ...

    def target_memory(self) -> tuple[str, MemoryReading]:
        """Return the device that a model would be loaded to, and its memory. Safe from any thread, but may take seconds the first time.

        The device is named as torch names it, for example `cuda:0`.
        """
        ...
