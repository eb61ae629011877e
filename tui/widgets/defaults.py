"""What applies where no value is set: the defaults of the model, of what runs it, of its server, or of the app."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from typing import Final

from tui.dataclass import dataclass
from tui.engine.base import Capabilities, ModelInfo
from tui.parameters import Parameter, Value
from tui.sanitize import sanitize_line

UNKNOWN: Final = "server's own"
"""The placeholder for a value that only the server knows."""
_DRAWN_HERE: Final = ("seed",)
"""The parameter that the app chooses itself if it is not set, also for a server."""


@dataclass(frozen=True, slots=True)
class Defaults:
    """The values that apply if nothing is set, and the parameters that have an effect.

    Attributes:
        own: the defaults of the model, of what runs it, or of its server.
        server: the model's server; empty for this machine.
        capabilities: which parameters can be set.
        engine: what runs the model and has defaults of its own; empty for transformers.
    """

    own: Mapping[str, Value] = field(default_factory=dict)
    server: str = ""
    capabilities: Capabilities = field(default_factory=Capabilities)
    engine: str = ""

    @classmethod
    def of(cls, info: ModelInfo | None) -> Defaults:
        """Return the defaults of a model; without a model, the app's own."""
        if info is None:
            return cls()
        return cls(info.defaults, info.server, info.capabilities, info.engine)

    def value(self, parameter: Parameter) -> Value:
        """Return the default; None if only the server knows it, or if there is none."""
        own = self.own.get(parameter.name)
        return own if own is not None or self.server else parameter.default

    def text(self, parameter: Parameter) -> str:
        """Return the default in words."""
        value = self.value(parameter)
        if value is None and self.server and parameter.name not in _DRAWN_HERE:
            return UNKNOWN
        return sanitize_line(parameter.shown(value)) or parameter.blank

    def differs(self, parameter: Parameter, value: Value) -> bool:
        """Return whether a value differs from the default."""
        return value is not None and value != self.value(parameter)

    def is_own(self, parameter: Parameter) -> bool:
        """Whether the default comes from the model."""
        return self.own.get(parameter.name) is not None

    def refusal(self, parameter: Parameter) -> str:
        """Return why a parameter has no effect; empty if it has."""
        if self.capabilities.takes(parameter.name):
            return ""
        return f"{self.server or self.engine or 'The model'} doesn't support this parameter."
