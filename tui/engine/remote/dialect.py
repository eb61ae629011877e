"""The interface of a server dialect: its requests and its responses."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import field
from typing import TYPE_CHECKING, Final, Protocol

from tui.dataclass import dataclass
from tui.engine.base import GenerateRequest, Progress, StopReason, TemplateSwitch
from tui.json_types import Json
from tui.parameters import Value

if TYPE_CHECKING:
    from tui.engine.remote.link import Link

THINKING: Final = "enable_thinking"
"""The switch of chat templates that turns reasoning on and off; what other servers have in its place is called so too."""


@dataclass(frozen=True, slots=True)
class Served:
    """A model on a server.

    Attributes:
        id: as the server writes it.
        context_tokens: of prompt and reply; 0 where it doesn't say.
        images, tools: whether the model takes images, and can ask for tools; None where the server doesn't say.
        thinks: whether it can reason; None where the server doesn't say.
        is_loaded: whether it is in memory; None where the server doesn't say.
        parameters: how many numbers its weights are; 0 where the server doesn't say.
        quantization: as the server names it; empty where it doesn't.
        defaults: generation parameters that hold where a request sets none, as far as the server says.
        notes: sentences that the user should see.
    """

    id: str
    context_tokens: int = 0
    images: bool | None = None
    tools: bool | None = None
    thinks: bool | None = None
    is_loaded: bool | None = None
    parameters: int = 0
    quantization: str = ""
    defaults: Mapping[str, Value] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


Tell = Callable[[Progress], object]
"""Takes the steps of something that takes long."""


@dataclass(frozen=True, slots=True)
class Ask:
    """A request for a reply: where it is sent, and what."""

    path: str
    body: dict[str, Json]


# -- what a stream says, piece by piece


@dataclass(frozen=True, slots=True)
class Words:
    """The next words of the reply."""

    text: str
    is_reasoning: bool = False


@dataclass(frozen=True, slots=True)
class Reading:
    """How far the prompt is read, in tokens."""

    done: int
    total: int
    cached: int = 0


@dataclass(frozen=True, slots=True)
class Usage:
    """What the reply costs so far. Zero means that the server doesn't say.

    Attributes:
        prefill_s, decode_s: seconds that the server took for the prompt and for the reply.
    """

    prompt_tokens: int = 0
    cached_tokens: int = 0
    new_tokens: int = 0
    reasoning_tokens: int = 0
    drafted_tokens: int = 0
    accepted_tokens: int = 0
    prefill_s: float = 0.0
    decode_s: float = 0.0


@dataclass(frozen=True, slots=True)
class Ended:
    """The reply is whole."""

    reason: StopReason


Said = Words | Reading | Usage | Ended


class Reader(Protocol):
    """Understands the stream of one reply."""

    def read(self, piece: str) -> Iterator[Said]:
        """Parse a piece of the stream and yield its events.

        Raises:
            ServerError: it tells of an error.
        """
        ...


class Dialect(Protocol):
    """One kind of server."""

    @property
    def name(self) -> str:
        """Its name for people, for example `vLLM`."""
        ...

    @property
    def parameters(self) -> frozenset[str]:
        """The generation parameters that it supports."""
        ...

    @property
    def continues(self) -> bool:
        """Whether it can continue a reply."""
        ...

    @property
    def holds_schema(self) -> bool:
        """Whether it can constrain a reply to a JSON Schema."""
        ...

    async def models(self, link: Link) -> list[Served]:
        """Return the models that the server has, with what the list alone says of them.

        Raises:
            ServerError: it could not be asked.
        """
        ...

    @property
    def loads_any(self) -> bool:
        """Whether a model that is not in the list may still be there."""
        ...

    async def details(self, link: Link, model: Served, tell: Tell) -> Served:
        """Return what the server says of one model, which is loaded there first if the server can be asked for that.

        Args:
            link: to the server.
            model: from the list, or with nothing but its id.
            tell: is told how a load gets on.

        Raises:
            ServerError: it could not be asked.
        """
        ...

    async def count(self, link: Link, model: Served, request: GenerateRequest) -> int:
        """Return how many tokens the prompt of a request has; 0 where the server can't tell.

        Raises:
            ServerError: it could not be asked.
        """
        ...

    def switches(self, model: Served) -> tuple[TemplateSwitch, ...]:
        """Return what can be chosen of the model's way to reply, beside the parameters."""
        ...

    def ask(self, model: Served, request: GenerateRequest, limit: int) -> Ask:
        """Return the request for a reply.

        Args:
            model: from `details`.
            request: of its parameters only those are used that the dialect takes.
            limit: tokens that the reply may have at most; 0 for what the server does by itself.
        """
        ...

    def reader(self) -> Reader:
        """Return the parser for the stream of the reply."""
        ...
