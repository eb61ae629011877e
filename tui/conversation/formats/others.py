"""What stands in another tool's message beside text, as parts: images, text files, calls of tools and what they answered.

The bytes of an image have no place in a chat's file; what is left out of one is noted.
"""

from __future__ import annotations

import binascii
import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import PurePosixPath
from typing import Any, Final

from tui.conversation.content import decode_part, is_flat
from tui.conversation.formats.problems import Problems
from tui.conversation.formats.values import key_of, mapping_of, text_of
from tui.conversation.parts import FilePart, ImagePart, Part, ToolCallPart, ToolResultPart

IMAGE: Final = "images"
ATTACHMENT: Final = "attachments"
CALL: Final = "tool calls"
RESULT: Final = "tool results"
_LONGEST_URL: Final = 2_000
_NAME_KEYS: Final = (
    "name",
    "file_name",
    "filename",
    "fileName",
    "fileIdentifier",
    "title",
    "tool_name",
    "toolName",
)
_ID_KEYS: Final = (
    "call_id",
    "callId",
    "tool_use_id",
    "toolUseId",
    "tool_call_id",
    "toolCallId",
    "id",
)
_WRAPPERS: Final = (
    "function",
    "functionCall",
    "function_call",
    "functionResponse",
    "function_response",
    "toolUse",
    "toolCall",
    "tool_call",
    "toolResult",
    "tool_call_result",
    "inlineData",
    "inline_data",
    "fileData",
    "file_data",
    "executableCode",
    "codeExecutionResult",
    "source",
    "file",
    "image",
)
"""Fields in which a part keeps what it is."""
_ARGUMENT_KEYS: Final = ("arguments", "args", "input", "parameters", "code")
_ANSWER_KEYS: Final = ("content", "output", "response", "result")
_TYPE_KEYS: Final = ("media_type", "mimeType", "mime_type", "contentType", "content_type", "type")
_LINK_KEYS: Final = ("image_url", "url", "base64Url", "asset_pointer", "fileUri", "file_uri")


def part_of(value: Mapping[str, Any], what: str, problems: Problems) -> Part | None:
    """Return the part that an object of another tool stands for; None for one that can't be kept.

    Args:
        value: the object.
        what: what it is called, for example `IMAGE`.
        problems: where the bytes of an image are noted.
    """
    ours = decode_part(value)
    if isinstance(ours, ImagePart | FilePart | ToolCallPart | ToolResultPart) and is_flat(value):
        return ours
    whole = {**value, **_inside(value)}
    if what == CALL:
        return _call(whole)
    if what == RESULT:
        return _result(whole)
    if what == IMAGE or (what == ATTACHMENT and _is_image(whole)):
        return _image(whole, problems)
    return _file(whole) if what == ATTACHMENT else None


def attached(value: Any, what: str, problems: Problems) -> list[Part]:
    """Return as a part what was attached to a message, or note it."""
    found = part_of(value, what, problems) if isinstance(value, Mapping) else None
    if isinstance(value, str) and what == IMAGE:
        found = _image({"url": value}, problems)
    problems.note(what, found is None)
    return [found] if found is not None else []


def without_repeats(known: Iterable[str | Part], more: Sequence[Part]) -> list[Part]:
    """Return the parts that are not among those known: some tools keep a call among the words and beside them."""
    seen = list(known)
    calls = {part.id for part in seen if isinstance(part, ToolCallPart) and part.id}
    return [
        part
        for part in more
        if part not in seen and not (isinstance(part, ToolCallPart) and part.id in calls)
    ]


def _inside(value: Mapping[str, Any]) -> Mapping[str, Any]:
    return next((value[key] for key in _WRAPPERS if isinstance(value.get(key), Mapping)), {})


def _first(value: Mapping[str, Any], keys: Iterable[str]) -> Any:
    return next((value[key] for key in keys if value.get(key) is not None), None)


def _name(value: Mapping[str, Any]) -> str:
    return next((name for key in _NAME_KEYS if (name := text_of(value.get(key)).strip())), "")


def _id(value: Mapping[str, Any]) -> str:
    return key_of(_first(value, _ID_KEYS)) or ""


# -- tools


def _call(value: Mapping[str, Any]) -> Part | None:
    name = _name(value) or ("code" if text_of(value.get("code")) else "")
    arguments = _first(value, _ARGUMENT_KEYS)
    if not name or not is_flat(arguments):
        return None
    return ToolCallPart(_id(value), name, "" if arguments is None else arguments)


def _result(value: Mapping[str, Any]) -> Part | None:
    answer = answer_text(_first(value, _ANSWER_KEYS))
    return ToolResultPart(_id(value), _name(value), answer) if answer.strip() else None


def answer_text(answer: Any) -> str:
    """Return what a tool answered as text: as it is, its texts, or JSON."""
    if isinstance(answer, str) or not answer:
        return answer or ""
    listed = answer if isinstance(answer, list) else [answer]
    texts = [text_of(mapping_of(one).get("text")) for one in listed]
    if texts and all(texts):
        return "\n".join(texts)
    return json.dumps(answer, ensure_ascii=False)


# -- images and files


def _media_type(value: Mapping[str, Any]) -> str:
    types = (text_of(value.get(key)) for key in _TYPE_KEYS)
    return next((one for one in types if "/" in one and len(one) < 100), "")


def _is_image(value: Mapping[str, Any]) -> bool:
    kinds = (text_of(value.get(key)).lower() for key in (*_TYPE_KEYS, "fileType", "file_kind"))
    return any(kind == "image" or kind.startswith(("image/", "imagefile")) for kind in kinds)


def _image(value: Mapping[str, Any], problems: Problems) -> Part:
    link: Any = _first(value, _LINK_KEYS)
    link = text_of(mapping_of(link).get("url") if isinstance(link, Mapping) else link)
    media_type, data = _media_type(value), text_of(value.get("data"))
    name, alt = _name(value), text_of(value.get("alt"))
    if link.startswith("data:"):
        head, _, data = link.partition(",")
        media_type, link = head[len("data:") :].partition(";")[0][:100], ""
    elif not data and (len(link) > _LONGEST_URL or not any(sign in link for sign in ":.")):
        # Some tools store the bytes where others store an address.
        data, link = link, ""
    file = PurePosixPath(link.partition("?")[0])
    name = name or (file.name if file.suffix else "")
    problems.note("image contents", bool(data) or not (link or name))
    extra = {"url": link} if link else {}
    return ImagePart(media_type, _sha256(data), name, alt, extra)


def _sha256(data: str) -> str:
    try:
        content = binascii.a2b_base64(data.encode("ascii"))
    except (ValueError, UnicodeEncodeError):
        return ""
    return hashlib.sha256(content).hexdigest() if content else ""


def _file(value: Mapping[str, Any]) -> Part | None:
    text = text_of(_first(value, ("extracted_content", "content")))
    text = text or text_of(mapping_of(value.get("data")).get("content"))
    return FilePart(_name(value) or "attachment", text) if text.strip() else None
