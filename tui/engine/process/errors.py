"""Errors of an engine as they cross between its process and the app."""

from __future__ import annotations

from typing import Any

from tui.conversation.turn import ReplyStats
from tui.engine import failures
from tui.engine.base import (
    Cancelled,
    ContextOverflowError,
    EngineError,
    FailureCause,
    GenerationError,
    ModelLoadError,
    Overflow,
)
from tui.engine.process import wire


def told(error: BaseException) -> dict[str, Any]:
    """Return what the app needs to raise an error again."""
    said: dict[str, Any] = {"kind": "other", "message": _sentence(error), "hint": ""}
    if isinstance(error, Cancelled):
        said["kind"] = "cancelled"
    elif isinstance(error, MemoryError):
        said["kind"] = "memory"
    elif isinstance(error, EngineError):
        said |= {
            "kind": "load" if isinstance(error, ModelLoadError) else "engine",
            "message": error.message,
            "hint": error.hint,
            "cause": error.cause.value,
            "subject": error.subject,
        }
    if isinstance(error, GenerationError):
        said |= {"kind": "generation", "stats": wire.encode(error.stats)}
    if isinstance(error, ContextOverflowError):
        said |= {"kind": "overflow", "overflow": wire.encode(error.overflow)}
    return said


def _sentence(error: BaseException) -> str:
    name, said = failures.type_name(error), failures.words(error)
    return name if said == name else f"{name}: {said}"


def raised(said: Any) -> BaseException:
    """Return the error that the engine has raised."""
    told: dict[str, Any] = said if isinstance(said, dict) else {}
    message = str(told.get("message") or "It failed.")
    hint = str(told.get("hint") or "")
    try:
        cause = FailureCause(told.get("cause", FailureCause.OTHER))
        subject = str(told.get("subject") or "")
        match told.get("kind"):
            case "cancelled":
                return Cancelled()
            case "memory":
                return MemoryError(message)
            case "load":
                return ModelLoadError(message, hint, cause=cause, subject=subject)
            case "overflow":
                return ContextOverflowError(wire.decode(Overflow, told.get("overflow")))
            case "generation":
                stats = wire.decode(ReplyStats, told.get("stats"))
                return GenerationError(message, hint, stats, cause=cause)
            case "engine":
                return EngineError(message, hint, cause=cause, subject=subject)
    except (wire.WireError, ValueError):
        pass
    return EngineError(message, hint or "The log has the details (chat-tui --log-path).")
