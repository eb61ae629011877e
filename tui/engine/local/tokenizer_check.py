"""Checks, before a tokenizer is used, that it doesn't block the app, exhaust the memory, or fail.

A fast tokenizer is data of a stranger: regular expressions and replacements that compiled code runs, some of it while every other thread has
to wait. Those that are made of nothing but what is in common use are taken as they are. The others are tried in a helper process first.
"""

from __future__ import annotations

import importlib.util
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from tui.engine import model_files
from tui.engine.base import ModelLoadError
from tui.engine.failures import words
from tui.engine.folder_files import TOKENIZER_BYTES, wrong
from tui.engine.local import tokenizer_parts
from tui.engine.local.helper import Helper, HelperError, HelperNotStartedError
from tui.engine.tokenizer_settings import MOST_ADDED, MOST_ADDED_BYTES

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

_HARMFUL: Final = "It is damaged or malicious. Use another model."
UNREADABLE: Final = "the installed version of tokenizers can't read it"
"""What the helper says of a file that is no tokenizer, or one of a kind that is not known."""
UNREADABLE_HINT: Final = "Update them (pip install -U tokenizers transformers). If that doesn't help, the file may be damaged: download it again."
_PROGRAM: Final = Path(__file__).with_name("tokenizer_program.py")
_MEMORY_BYTES: Final = 4 << 30
_WITHIN_S: Final = 20.0
_ANSWER_BYTES: Final = 10_000
_MOST_ENTRIES: Final = 600_000
"""Pairs of a name and a value: the vocabularies in use have up to 260,000."""
_MOST_VALUES: Final = 3_000_000
_MOST_OBJECTS: Final = 2 * MOST_ADDED
"""Each added token is one, and some thousand words of a vocabulary hold their sign."""
_MOST_TRIE_BYTES: Final = 4_000_000
"""Of all texts of a vocabulary that becomes a tree: each byte may take a microsecond and 300 bytes. Those in use have up to 2.5 MB."""
_MOST_GROWTH: Final = 300
"""How much longer a tokenizer's replacements may make a text, all together, without being tried."""
_HOPELESS_GROWTH: Final = 10_000
"""What makes a text this much longer is refused as it is: the helper may not hit on the character at which it does."""
_PACKED: Final = ("tokenizer.model", "spm.model", "spiece.model", "sentencepiece.bpe.model")
_READ_ALONE: Final = ("tokenizer.json", "vocab.json", "vocab.txt", "tekken.json")
"""With one of these, a packed one need not be read."""
_TIKTOKEN: Final = re.compile(rb"[A-Za-z0-9+/]+=* \d+\r?\n")
_FOR_TIKTOKEN: Final = {"tiktoken": "tiktoken"}
_FOR_PIECES: Final = {"protobuf": "google.protobuf", "sentencepiece": "sentencepiece"}
_STRING: Final = re.compile(rb'\s*:\s*"((?:[^"\\]|\\.)*)"', re.DOTALL)
_REPLACEMENT: Final = re.compile(rb'"(?:content|prepend)"\s*:\s*"((?:[^"\\]|\\.)*)"', re.DOTALL)
_PARTS: Final = ("normalizer", "pre_tokenizer", "post_processor", "decoder")
_SETTINGS: Final = (
    "continuing_subword_prefix",
    "end_of_word_suffix",
    "max_input_chars_per_word",
)
_KNOWN: Final = frozenset(
    (
        "'s", "'t", "'re", "'ve", "'m", "'ll", "'d", "(?i:'s|'t|'re|'ve|'m|'ll|'d)", "(?i:[sdmt]|ll|ve|re)",
        r"\p{N}", r"\p{N}{1,3}", r"\p{L}+", r"\d", r"\s+", r"\s+(?!\S)", r"\s*[\r\n]+", r"\s*[\r\n]", " {2,}", " ", r"[\r\n]", r"\n",
        r" ?\p{L}+", r" ?\p{N}+", r" ?[^\s\p{L}\p{N}]+", r" ?[^\s\p{L}\p{N}]+[\r\n]*", r" ?[^\s\p{L}\p{N}]+[\r\n/]*",
        r" ?[^\s\p{L}\p{M}\p{N}]+[\r\n]*", r"[^\r\n\p{L}\p{N}]?\p{L}+", r"[^\r\n\p{L}\p{N}]?[\p{L}\p{M}]+",
        r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+",
        r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*",
        r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?",
        r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?",
        r"[^\s\p{L}\p{N}]+", r"[\p{L}]+", r"[\p{N}]", "[0-9]", "[0-9][0-9][0-9]", r"\s?\p{L}+", r"\s?\p{P}+",
    )
)  # fmt: skip
"""What the regular expressions in common use are made of. None of it reads a text more than a few times."""


def check_files(folder: Path, name: str) -> None:
    """Check the files of a folder that a tokenizer may be read from, before it is.

    Args:
        name: the model's name as the user entered it.

    Raises:
        ModelLoadError: a tokenizer there can't be used.
    """
    for path in sorted(folder.glob("tokenizer*.json")):
        if path.name == "tokenizer_config.json" or not path.is_file():
            continue
        data = _content(path)
        _check_amount(data, name)
        _check_growth(data, name)
        patterns = _unknown(data)
        if patterns is not None:
            _try({"path": str(path), "patterns": "".join(patterns)}, name)


def check_packages(folder: Path, name: str) -> None:
    """Check that the packages are here by which the one file of a tokenizer can be read: transformers names others, or none.

    Raises:
        ModelLoadError: one is missing.
    """
    if any((folder / other).is_file() for other in _READ_ALONE):
        return
    path = next((folder / one for one in _PACKED if (folder / one).is_file()), None)
    if path is None:
        return
    try:
        is_tiktoken = _TIKTOKEN.match(model_files.read_start(path, 200)) is not None
    except OSError as error:
        raise ModelLoadError(
            f"{path} can't be read ({error.strerror or error}).", "Check its permissions."
        ) from error
    kind, modules = ("tiktoken", _FOR_TIKTOKEN) if is_tiktoken else ("SentencePiece", _FOR_PIECES)
    missing = [package for package, module in modules.items() if not is_installed(module)]
    if missing:
        raise ModelLoadError(
            f"The tokenizer of {name} is only a {kind} file ({path.name}), which requires {' and '.join(missing)}.",
            f"Install {'it' if len(missing) == 1 else 'them'} (pip install {' '.join(missing)}), or add the model's tokenizer.json.",
        )
    if not is_tiktoken and (problem := pieces_problem()):
        raise ModelLoadError(
            f"The tokenizer of {name} is only a SentencePiece file ({path.name}), which can't be read ({problem}).",
            "Install compatible versions (pip install -U sentencepiece protobuf), or add the model's tokenizer.json.",
        )


def pieces_problem() -> str:
    """Return why no SentencePiece file can be read with the packages that are here; empty when nothing is known to be wrong."""
    from transformers.convert_slow_tokenizer import import_protobuf

    read: Any = import_protobuf
    try:
        read()
    except Exception as error:  # noqa: BLE001 - protobuf has errors of its own for versions that don't fit
        return words(error, first_line=True)
    return ""


def is_installed(module: str) -> bool:
    """Return whether a module can be imported, without importing it."""
    try:
        return importlib.util.find_spec(module) is not None
    except (ImportError, ValueError):
        return False


def check(tokenizer: PreTrainedTokenizerBase, name: str) -> None:
    """Check what a tokenizer was made to be: it need not be what stood in the files that were looked at.

    Raises:
        ModelLoadError: it can't be used.
    """
    backend = getattr(tokenizer, "backend_tokenizer", None)
    if backend is None:
        # Python code, which can be ended.
        return
    parts = [getattr(backend, part, None) for part in _PARTS]
    written = [part.__getstate__() for part in parts if part is not None]
    written.append(_model_settings(backend.model))
    for data in written:
        _check_growth(data, name)
    found = [_unknown(data) for data in written]
    patterns = [pattern for some in found if some is not None for pattern in some]
    if any(some is not None for some in found):
        _try({"text": backend.to_str(), "patterns": "".join(patterns)}, name)


def _content(path: Path) -> bytes:
    try:
        return model_files.read_bytes(path, TOKENIZER_BYTES)
    except OSError as error:
        raise ModelLoadError(
            f"{path} can't be read ({error.strerror or error}).", "Check its permissions."
        ) from error
    except ValueError as error:
        raise wrong(path, str(error)) from error


def _check_amount(data: bytes, name: str) -> None:
    """Check how much is in a tokenizer's JSON: reading it holds up every other thread.

    Signs are counted rather than the JSON read. Words of the vocabulary hold few of them, and no structure can do without.
    """
    values = data.count(b",") + data.count(b"[") + data.count(b"{")
    if data.count(b":") > _MOST_ENTRIES or values > _MOST_VALUES:
        raise _refusal(name, "it contains far more than a vocabulary")
    if data.count(b"{") > _MOST_OBJECTS:
        raise _refusal(name, f"it adds more than {MOST_ADDED:,} tokens")
    if tokenizer_parts.added_bytes(data) > MOST_ADDED_BYTES:
        raise _refusal(name, "its added tokens are far too long")
    if tokenizer_parts.trie_bytes(data) > _MOST_TRIE_BYTES:
        raise _refusal(name, "its vocabulary contains far more text than any real one")


def _model_settings(model: Any) -> bytes:
    """Return a model's settings as JSON, without its vocabulary."""
    return json.dumps({name: getattr(model, name, None) for name in _SETTINGS}).encode()


def _check_growth(data: bytes, name: str) -> None:
    if _HOPELESS_GROWTH < _growth(data) < float("inf"):
        raise _refusal(name, "it creates far too many tokens from a text")


def _refusal(name: str, problem: str) -> ModelLoadError:
    return ModelLoadError(
        f"The tokenizer of {name} can't be used: {problem}.",
        UNREADABLE_HINT if problem == UNREADABLE else _HARMFUL,
    )


def _try(question: dict[str, str], name: str) -> None:
    helper = Helper(
        _PROGRAM, memory_bytes=_MEMORY_BYTES, within_s=_WITHIN_S, answer_bytes=_ANSWER_BYTES
    )
    try:
        problem = str(helper.ask(question))
    except HelperNotStartedError as error:
        raise ModelLoadError(
            f"The tokenizer of {name} can't be checked: {error}.",
            "Close other programs and try again.",
        ) from error
    except HelperError as error:
        problem = str(error)
    finally:
        helper.close()
    if problem:
        raise _refusal(name, problem)


def _unknown(data: bytes) -> list[str] | None:
    """Return the regular expressions in a tokenizer's JSON if anything in it has to be tried; None when nothing has.

    The text is searched rather than read as JSON, which for a large vocabulary takes a third of a second.
    """
    patterns = [_text(found) for found in _strings(data, b'"Regex"')]
    is_known = all(part in _KNOWN for pattern in patterns for part in alternatives(pattern))
    has_escaped_letters = b"\\u00" in data and re.search(rb"\\u00[2-7]", data) is not None
    is_known = is_known and tokenizer_parts.are_harmless(data)
    if is_known and not has_escaped_letters and _growth(data) <= _MOST_GROWTH:
        return None
    # Literal characters are worth trying, too.
    return [*patterns, *(_text(found) for found in _strings(data, b'"String"'))]


def _growth(data: bytes) -> float:
    """Return how many bytes at most the replacements in a tokenizer's JSON make of one."""
    factor = tokenizer_parts.growth(data)
    for kind in (b'"Replace"', b'"Prepend"'):
        at = data.find(kind)
        while at >= 0:
            after = at + len(kind)
            # With a colon behind it, it is a word of the vocabulary.
            if not re.match(rb"\s*:", data[after : after + 20]):
                factor *= max(1, _replacement_bytes(data, after))
            at = data.find(kind, after)
    return factor


def _replacement_bytes(data: bytes, start: int) -> float:
    """Return how long a replacement is whose type ends at `start`; infinite when it does not stand where the library writes it."""
    found = _REPLACEMENT.search(data, start)
    if found is None or b'"type"' in data[start : found.start()]:
        return float("inf")
    return len(found.group(1))


def _strings(data: bytes, key: bytes) -> Iterator[bytes]:
    """Yield the strings, as JSON writes them, that stand under a key."""
    at = data.find(key)
    while at >= 0:
        after = at + len(key)
        if found := _STRING.match(data, after):
            yield found.group(1)
        at = data.find(key, after)


def _text(written: bytes) -> str:
    try:
        return str(json.loads(b'"' + written + b'"'))
    except ValueError:
        return written.decode(errors="replace")


def alternatives(pattern: str) -> list[str]:
    """Return the parts of a regular expression between the bars that stand in no bracket."""
    parts, depth, is_set, start, at = [], 0, False, 0, 0
    while at < len(pattern):
        sign = pattern[at]
        if sign == "\\":
            at += 1
        elif is_set:
            is_set = sign != "]"
        elif sign == "[":
            is_set = True
        elif sign == "|" and depth == 0:
            parts.append(pattern[start:at])
            start = at + 1
        else:
            depth += (sign == "(") - (sign == ")")
        at += 1
    return [*parts, pattern[start:]]
