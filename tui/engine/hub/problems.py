"""Turns errors of the Hub, the network, and the cache into messages for users. Makes no requests."""

from __future__ import annotations

import errno
import importlib
import os
import ssl
from typing import Any, Final

from tui.engine import failures
from tui.engine.base import Cancelled, ModelLoadError
from tui.sanitize import sanitize_line

_LENGTH: Final = 300
_PROXIES: Final = (
    "HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy",
)  # fmt: skip
_TOKENS: Final = ("HF_OIDC_RESOURCE", "HF_TOKEN", "HUGGING_FACE_HUB_TOKEN")
_HTTP_PACKAGES: Final = ("httpx", "httpx2", "httpcore", "httpcore2", "requests", "urllib3")


class HubWaitError(ModelLoadError):
    """The Hub rate-limits requests.

    Attributes:
        wait_s: for how many seconds.
    """

    def __init__(self, wait_s: float) -> None:
        super().__init__(
            wait_text(wait_s) + ".", "It has received too many requests. Try again after that time."
        )
        self.wait_s = wait_s


class HubUnaskableError(ModelLoadError):
    """The Hub can't be contacted because of this machine's configuration; complete local models still work."""


class sentences:  # noqa: N801 - used like a function
    """Converts errors raised inside the block into messages."""

    def __init__(self, name: str) -> None:
        """Make it.

        Args:
            name: the model's name as the user entered it; empty for a search.
        """
        self._name = name

    def __enter__(self) -> None:
        """Begin."""

    def __exit__(self, _kind: object, error: BaseException | None, _trace: object) -> None:
        """Raise the message instead of the error."""
        if not isinstance(error, Exception) or isinstance(error, ModelLoadError | Cancelled):
            return
        found = problem(error, self._name) or _cache_problem(error)
        raise found or ModelLoadError(
            f"The Hugging Face Hub sent an unusable response ({failures.words(error)}).",
            "Try again later.",
        ) from error


def wait_text(wait_s: float) -> str:
    """Return how long the Hub asks to wait, in words."""
    return f"The Hugging Face Hub asks you to wait {max(1, round(wait_s))} s"


def problem(error: Exception, name: str) -> ModelLoadError | None:
    """Return what the Hub, the network or the cache did as a sentence; None when it was something else.

    Args:
        error: what was raised.
        name: the model's name as the user entered it; empty for a search.
    """
    # Some errors only say that something failed; the cause has the details.
    for at in failures.causes(error, stated=True):
        found = (
            _full_disk(at, name) or _refusal(at, name) or _no_answer(at, name) or _error_status(at)
        )
        if found is not None:
            return found
    return None


def no_client(error: Exception) -> HubUnaskableError:
    """Return the error to raise when not even an HTTP client can be made: the environment says something impossible."""
    variable = _culprit()
    if variable.startswith("SSL_"):
        return unaskable(
            f"{variable} doesn't name a readable certificate file",
            f"Correct {variable}, or unset it.",
        )
    if variable:
        hint = f"Correct {variable} (for example http://host:port), or unset it."
        if isinstance(error, ImportError):
            hint = f"Install socksio (pip install socksio), or set {variable} to an HTTP proxy."
        return unaskable(f"the proxy in {variable} can't be used", hint)
    return unaskable(
        f"the HTTP client can't be created ({failures.words(error)})",
        "Check the environment variables for proxies and certificates.",
    )


def no_token(error: Exception) -> HubUnaskableError:
    """Return the error to raise when the user's token can't be read, or can't be sent."""
    from huggingface_hub import constants

    named = next((one for one in _TOKENS if os.environ.get(one)), "")
    where = named or sanitize_line(str(constants.HF_TOKEN_PATH), _LENGTH)
    if isinstance(error, OSError):
        why = error.strerror or failures.words(error)
        return unaskable(
            f"the token in {where} can't be read ({why})", f"Check the permissions of {where}."
        )
    return unaskable(
        f"{where} doesn't contain a valid token",
        f"Correct it, or unset {named}." if named else "Run: hf auth login",
    )


def no_address(name: str) -> HubUnaskableError:
    """Return the error to raise when the Hub's address isn't valid."""
    return unaskable(
        f"{sanitize_line(name, _LENGTH)!r} isn't a valid web address",
        "Correct HF_ENDPOINT (for example https://huggingface.co), or unset it.",
    )


def unaskable(why: str, hint: str) -> HubUnaskableError:
    """Return the error to raise when the Hub can't be used for a local reason."""
    return HubUnaskableError(f"The Hugging Face Hub can't be used: {why}.", hint)


def check_library() -> None:
    """Import huggingface_hub, which reads its settings from the environment meanwhile.

    Raises:
        ModelLoadError: a variable keeps it from being imported, or it is not installed.
    """
    try:
        importlib.import_module("huggingface_hub.constants")
    except (ImportError, ValueError, RuntimeError) as error:
        text = failures.words(error)
        named = [one for one, value in os.environ.items() if one.startswith("HF_") and value]
        culprits = [one for one in named if repr(os.environ[one]) in text]
        raise ModelLoadError(
            f"huggingface_hub can't be used ({text}).",
            f"Correct {culprits[0]}, or unset it." if culprits else "Reinstall chat-tui.",
        ) from error


def is_switched_off(error: BaseException) -> bool:
    """Return whether the environment disables the Hub."""
    from huggingface_hub import errors

    return any(isinstance(seen, errors.OfflineModeIsEnabled) for seen in failures.causes(error))


def is_network_problem(error: BaseException) -> bool:
    """Return whether there was no response, as opposed to a refusal."""
    for seen in failures.causes(error):
        module = str(type(seen).__module__).partition(".")[0]
        if isinstance(seen, ConnectionError | TimeoutError) or module in _HTTP_PACKAGES:
            return status_of(seen) is None
    return False


def status_of(error: BaseException) -> int | None:
    """Return the HTTP status of an answer that became an error."""
    status = getattr(getattr(error, "response", None), "status_code", None)
    return status if isinstance(status, int) else None


def _full_disk(error: BaseException, name: str) -> ModelLoadError | None:
    if isinstance(error, OSError) and error.errno == errno.ENOSPC:
        return ModelLoadError(
            f"The disk is full, so {name} can't be stored.", "Free some space there."
        )
    return None


def _cache_problem(error: Exception) -> ModelLoadError | None:
    """Return what is wrong with a file of the cache."""
    if isinstance(error, OSError) and error.filename and error.strerror:
        return ModelLoadError(
            f"{sanitize_line(str(error.filename), _LENGTH)} can't be used ({error.strerror}).",
            "Check what is at that path and the permissions of the Hugging Face cache.",
        )
    return None


def _refusal(error: BaseException, name: str) -> ModelLoadError | None:
    from huggingface_hub import errors

    gated = ModelLoadError(
        f"{name} is private or requires you to accept its terms first.",
        f"Accept them on https://huggingface.co/{name} and run: hf auth login",
    )
    if isinstance(error, errors.GatedRepoError):
        return gated
    if isinstance(error, errors.RepositoryNotFoundError):
        return ModelLoadError(
            f"The model {name} doesn't exist on the Hugging Face Hub or is private.",
            "Check the spelling. For a private model, run: hf auth login",
        )
    if isinstance(error, errors.RevisionNotFoundError):
        return ModelLoadError(
            f"{name} has no such revision.",
            "Check the branch, tag, or commit, or omit the revision.",
        )
    if isinstance(error, errors.HFValidationError):
        return ModelLoadError(
            f"{name!r} isn't a valid model name.", "Use a Hub ID such as org/model."
        )
    return gated if status_of(error) in (401, 403) else None


def _no_answer(error: BaseException, name: str) -> ModelLoadError | None:
    from huggingface_hub import errors

    is_offline = isinstance(error, errors.OfflineModeIsEnabled)
    is_absent = isinstance(error, errors.LocalEntryNotFoundError)
    if not (is_offline or is_absent or is_network_problem(error)):
        return None
    why = "is disabled (HF_HUB_OFFLINE is set)" if is_offline else "can't be reached"
    rest = f", and {name} isn't fully downloaded to this machine." if name else "."
    check = "the network"
    if not is_offline and "CERTIFICATE_VERIFY_FAILED" in _all_texts(error):
        why = "has a certificate that isn't trusted on this machine"
        check = "the clock (if a proxy decrypts traffic, set SSL_CERT_FILE to its certificate)"
    elif named := next((one for one in _PROXIES if os.environ.get(one)), ""):
        check = f"the network and the proxy in {named}"
    return ModelLoadError(
        f"The Hugging Face Hub {why}{rest}",
        f"Check {check}, or use a downloaded model, a folder, or a .gguf file.",
    )


def _error_status(error: BaseException) -> ModelLoadError | None:
    from huggingface_hub import errors

    if not isinstance(error, errors.HfHubHTTPError):
        return None
    # The library's message contains the whole requested URL.
    why = str(status_of(error) or failures.words(error))
    return ModelLoadError(f"The Hugging Face Hub returned an error ({why}).", "Try again later.")


def _all_texts(error: BaseException) -> str:
    return " ".join(failures.words(at, 1000) for at in failures.causes(error))


def _culprit() -> str:
    """Return the variable that keeps an HTTP client from being made; empty when it can't be told."""
    import httpx2

    # httpx looks at the second one only where the first is not set.
    for name in ("SSL_CERT_FILE", "SSL_CERT_DIR"):
        if place := os.environ.get(name):
            if not _has_certificates(name, place):
                return name
            break
    options: dict[str, Any] = {"trust_env": False, "verify": False}
    for name in _PROXIES:
        address = os.environ.get(name)
        if not address:
            continue
        try:
            httpx2.Client(
                proxy=address if "://" in address else f"http://{address}", **options
            ).close()
        except (ValueError, ImportError, OSError, httpx2.InvalidURL):
            return name
    return ""


def _has_certificates(name: str, place: str) -> bool:
    try:
        if name == "SSL_CERT_FILE":
            ssl.create_default_context(cafile=place)
        else:
            ssl.create_default_context(capath=place)
    except (OSError, ValueError):
        return False
    return True
