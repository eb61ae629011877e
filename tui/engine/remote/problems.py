"""What can be wrong with a server, in sentences; servers say it in many shapes, and some say it with status 200."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from tui.engine.remote.values import table, tables, text, whole
from tui.errors import UserError
from tui.sanitize import sanitize_line

_MOST: Final = 400
_HINTS: Final = {
    401: "It requires a valid key. Put the key into an environment variable and set that variable's name as key_env in [servers.NAME] of the "
    "configuration file.",
    403: "The key doesn't permit this request.",
    404: "Check the address and the model name.",
    408: "Try again.",
    413: "Shorten the chat.",
    429: "It is overloaded, or your quota is used up. Try again later.",
    503: "It may be starting or loading a model. Try again in a moment.",
}


class ServerError(UserError):
    """A server refused something, failed, or can't be reached.

    Attributes:
        status: the HTTP status; 0 where there was none.
        body: the JSON that it answered with; None where there was none.
        is_lost: whether the connection was lost or never came about, so that what the server had to say is not known.
    """

    def __init__(
        self, message: str, hint: str = "", *, status: int = 0, body: Any = None, is_lost: bool = False
    ) -> None:  # fmt: skip
        super().__init__(message, hint)
        self.status = status
        self.body = body
        self.is_lost = is_lost


def refusal(server: str, status: int, body: Any, raw: str = "") -> ServerError:
    """Return the error that a server's answer stands for.

    Args:
        server: its name.
        status: the HTTP status.
        body: the JSON that it sent; None where that was none.
        raw: what it sent instead of JSON.
    """
    said = said_in(body)
    if not said and raw.lstrip()[:1] == "<":
        said = "It responded with a web page, so it may not be a model server."
    elif not said:
        said = sanitize_line(raw, _MOST)
    what = f"{server} refused the request" if 400 <= status < 500 else f"{server} failed"
    message = f"{what} ({status}). {_sentence(said)}" if status else f"{what}. {_sentence(said)}"
    return ServerError(message.rstrip(), _HINTS.get(status, ""), status=status, body=body)


def said_in(body: Any) -> str:
    """Return what an answer says of an error, as a line that may be shown; empty where it tells of none."""
    if isinstance(body, str):
        return sanitize_line(body, _MOST)
    if not isinstance(body, Mapping):
        return ""
    error = body.get("error")
    if isinstance(error, Mapping):
        said = text(error.get("message")) or text(error.get("type")) or text(error.get("code"))
    elif isinstance(error, str):
        said = error
    elif body.get("object") == "error" or "message" in body:
        said = text(body.get("message"))
    else:
        said = _detail(body.get("detail"))
    return sanitize_line(said, _MOST)


def _detail(detail: Any) -> str:
    """Return what FastAPI says: a text, or a list of what is wrong with each field."""
    if isinstance(detail, str):
        return detail
    found = [
        f"{'.'.join(str(at) for at in one.get('loc', ()) if isinstance(at, str | int))}: {text(one.get('msg'))}"
        if isinstance(one.get("loc"), list)
        else text(one.get("msg"))
        for one in tables(detail)
    ]
    return "; ".join(found)


def tells_error(body: Any) -> bool:
    """Return whether an answer tells of an error, whatever its status."""
    return isinstance(body, Mapping) and (
        bool(body.get("error")) or body.get("object") == "error" or bool(body.get("detail"))
    )


def error_code(body: Any) -> str:
    """Return the type of an error, as the server names it; empty where it names none."""
    error = table(body, "error")
    return text(error.get("type")) or text(error.get("code")) or text(table(body).get("type"))


def figures(body: Any, *names: str) -> tuple[int, ...]:
    """Return figures that stand with an error, by their names; 0 for each that is missing."""
    error = table(body, "error")
    return tuple(whole(error.get(name)) or whole(table(body).get(name)) for name in names)


def _sentence(said: str) -> str:
    said = said.strip()
    return said if not said or said.endswith((".", "!", "?", "…")) else f"{said}."
