"""HTTP client for the Hub that enforces limits on the length, time, and address of responses.

The token goes to the Hub's own address and to no other. An answer is read as it comes, and given up when it is too long or takes
too long; one that may be another a moment later is asked for again, when the Hub says so. What an answer means is decided by
whoever asked.
"""

from __future__ import annotations

import contextlib
import email.utils
import json
import math
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import field
from typing import Any, Final, TypeVar
from urllib.parse import urljoin

from tui.dataclass import dataclass
from tui.engine.base import Cancelled, ModelLoadError
from tui.engine.hub.guard import is_web_address, origin, redirect_target
from tui.engine.hub.problems import (
    HubWaitError,
    is_network_problem,
    is_switched_off,
    no_address,
    no_client,
    no_token,
    status_of,
    wait_text,
)
from tui.engine.hub.values import bad_answer

PARTIAL_CONTENT: Final = 206
_REDIRECTS: Final = 5
_PASSING: Final = (408, 429, 500, 502, 503, 504)
"""Answers that may be others a moment later."""
_ASKS_TO_WAIT: Final = (429, 503)
_SHORT_DIGITS: Final = 4
_WAIT_STEP_S: Final = 0.1
_ERROR_HEADERS: Final = ("x-error-code", "retry-after", "ratelimit")
_Result = TypeVar("_Result")


@dataclass(frozen=True, slots=True)
class Limits:
    """Limits on time and retries for responses.

    Attributes:
        answer_s: for an answer to begin, and for all of one that is held in memory.
        quiet_s: between two pieces of it; 0 for what HF_HUB_DOWNLOAD_TIMEOUT says.
        wait_at_most_s: that the Hub is waited for when it asks to, in one go.
        again_s: before something is asked for again; longer each time.
        pace_bytes, pace_s: what has to come of a file in which time, else the connection counts as broken.
    """

    answer_s: float = 30.0
    quiet_s: float = 0.0
    wait_at_most_s: float = 300.0
    again_s: float = 1.0
    pace_bytes: int = 16_384
    pace_s: float = 60.0


@dataclass(frozen=True, slots=True)
class Patience:
    """Retry and wait settings of a caller.

    Attributes:
        tries: how often in a row nothing may come of it.
        wait_s: how long the Hub may ask to wait; what is longer is an error.
        check: is called while it waits; ends it by raising.
        tell: receives a sentence about what is being waited for; empty when the wait is over.
    """

    tries: int = 1
    wait_s: float = 5.0
    check: Callable[[], None] = field(default=lambda: None)
    tell: Callable[[str], None] = field(default=lambda _text: None)


class HubClient:
    """Client for the Hub at one address. Thread-safe."""

    def __init__(self, endpoint: str | None, limits: Limits) -> None:
        self._endpoint = endpoint
        self.limits = limits
        self._closed_until_s = 0.0

    @property
    def endpoint(self) -> str:
        """The Hub's address, without a slash at its end.

        Raises:
            ModelLoadError: what is named as its address is none.
        """
        from huggingface_hub import constants

        named = (self._endpoint or constants.ENDPOINT).rstrip("/")
        if not is_web_address(named):
            raise no_address(named)
        return named

    @property
    def _quiet_s(self) -> float:
        from huggingface_hub import constants

        return self.limits.quiet_s or float(constants.HF_HUB_DOWNLOAD_TIMEOUT)

    @property
    def _answer_s(self) -> float:
        """How long an answer may take; never less than the user lets a connection be quiet."""
        return max(self.limits.answer_s, self._quiet_s)

    def json(self, address: str, limit_bytes: int, patience: Patience) -> tuple[Any, str]:
        """Return what an address answers, and the address of the next page; empty when there is none.

        Raises:
            ModelLoadError: the answer is no JSON, or too long.
            Exception: an error from huggingface_hub or the network.
        """

        def ask() -> tuple[bytes, str]:
            with self._opened("GET", address, {}, patience) as answer:
                following = answer.links.get("next", {}).get("url", "")
                return self._body(answer, limit_bytes), following

        body, following = self.again(lambda: self._in_time(ask, patience), patience)
        return _parsed(body), self._page(address, following)

    def head(self, address: str, patience: Patience) -> Mapping[str, str]:
        """Return what the Hub itself says of a file: the headers of its answer, which may lead elsewhere.

        Raises:
            Exception: an error from huggingface_hub or the network.
        """

        def ask() -> Mapping[str, str]:
            with self._opened("HEAD", address, {}, patience, only_hub=True) as answer:
                return dict(answer.headers)

        return self.again(lambda: self._in_time(ask, patience), patience)

    def read(
        self,
        address: str,
        limit_bytes: int,
        patience: Patience,
        *,
        start: int | None = None,
    ) -> bytes:
        """Return a file, or so much of it.

        Args:
            address: of the file.
            limit_bytes: of the whole file, which is an error when it is longer; with a start, what to read at most.
            patience: timeouts and retries to tolerate.
            start: read a part, from this byte on.

        Raises:
            ModelLoadError: it is longer, or the server sends another part of it.
            Exception: an error from huggingface_hub or the network.
        """

        def ask() -> bytes:
            if start is None:
                with self._opened("GET", address, {}, patience) as answer:
                    return self._body(answer, limit_bytes)
            wanted = {"Range": f"bytes={start}-{start + limit_bytes - 1}"}
            with self._opened("GET", address, wanted, patience) as answer:
                skipped = 0 if answer.status_code == PARTIAL_CONTENT else start
                if not skipped and range_start(answer.headers) not in (start, None):
                    raise bad_answer("it sent a different part of the file than was requested")
                return self._body(answer, skipped + limit_bytes, cut=True)[skipped:]

        return self.again(lambda: self._in_time(ask, patience), patience)

    @contextlib.contextmanager
    def stream(self, address: str, headers: Mapping[str, str], patience: Patience) -> Iterator[Any]:
        """Give the answer of an address, to be read in pieces by whoever asked.

        Raises:
            Exception: an error from huggingface_hub or the network.
        """
        with contextlib.ExitStack() as stack:

            def ask() -> Any:
                return stack.enter_context(self._opened("GET", address, headers, patience))

            yield self._in_time(ask, patience)

    def again(
        self,
        work: Callable[[], _Result],
        patience: Patience,
        done: Callable[[], int] = lambda: 0,
    ) -> _Result:
        """Return what `work` returns; when it fails for now, try again as long as something comes of it."""
        tries, before = 0, done()
        while True:
            self._wait_for_hub(patience)
            try:
                return work()
            except ModelLoadError:
                raise
            except Exception as error:
                if is_switched_off(error):
                    # Waiting doesn't change the environment.
                    raise
                if not (is_network_problem(error) or status_of(error) in _PASSING):
                    raise
                asked_s = self._asked_wait(error)
                tries, before = (0 if done() > before else tries + 1), done()
                if tries >= patience.tries and asked_s is None:
                    raise
                if asked_s is not None and (asked_s > patience.wait_s or tries > patience.tries):
                    raise HubWaitError(asked_s) from error
            if asked_s is None:
                self._pause(self.limits.again_s * 2 ** min(max(0, tries - 1), 3), patience)

    def _asked_wait(self, error: Exception) -> float | None:
        """Return for how many seconds the Hub asks to wait, and keep to it; None when it doesn't ask."""
        response = getattr(error, "response", None)
        if status_of(error) not in _ASKS_TO_WAIT or response is None:
            return None
        asked_s = retry_after(response.headers.get("retry-after", ""), time.time())
        if asked_s is None:
            asked_s = _rate_limited_s(response.headers)
        if asked_s is None:
            return None
        asked_s = min(asked_s, self.limits.wait_at_most_s)
        self._closed_until_s = max(self._closed_until_s, time.monotonic() + asked_s)
        return asked_s

    def _wait_for_hub(self, patience: Patience) -> None:
        """Wait until the Hub may be asked again."""
        left_s = self._closed_until_s - time.monotonic()
        if left_s <= 0:
            return
        if left_s > patience.wait_s:
            raise HubWaitError(left_s)
        patience.tell(wait_text(left_s))
        try:
            self._pause(left_s, patience)
        finally:
            patience.tell("")

    @staticmethod
    def _pause(seconds: float, patience: Patience) -> None:
        end_s = time.monotonic() + seconds
        while (left_s := end_s - time.monotonic()) > 0:
            patience.check()
            time.sleep(min(left_s, _WAIT_STEP_S))

    def _in_time(self, work: Callable[[], _Result], patience: Patience) -> _Result:
        """Return what `work` returns; leave it to itself when it takes too long: bytes that drip would keep it forever."""
        # Here, because the engine there has a Hub of its own.
        from tui.engine.local import interruptible

        end_s = time.monotonic() + self._answer_s

        def is_over() -> bool:
            return time.monotonic() > end_s

        def is_unwanted() -> bool:
            with contextlib.suppress(Exception):
                patience.check()
                return is_over()
            return True

        try:
            return interruptible.run(work, is_unwanted, alone=False)
        except Cancelled:
            patience.check()
            raise TimeoutError("the response took too long") from None

    @contextlib.contextmanager
    def _opened(
        self,
        method: str,
        address: str,
        headers: Mapping[str, str],
        patience: Patience,
        *,
        only_hub: bool = False,
    ) -> Iterator[Any]:
        """Give the answer of an address, and of whatever it redirects to; nothing of its body has been read.

        Args:
            method, address, headers: what to ask.
            patience: timeouts and retries to tolerate.
            only_hub: an answer that leads to somewhere else is the one wanted.
        """
        seen: list[str] = []
        while True:
            patience.check()
            seen.append(address)
            with self._session().stream(
                method, address, headers=self._headers(address, headers), follow_redirects=False,
                timeout=self._quiet_s,
            ) as answer:  # fmt: skip
                if not answer.has_redirect_location:
                    _raise_for_status(answer)
                    yield answer
                    return
                address = redirect_target(address, answer.headers["location"])
                if only_hub and origin(address) != origin(self.endpoint):
                    yield answer
                    return
                _finish(answer)
            if address in seen:
                raise ModelLoadError(
                    "The Hugging Face Hub redirects in a loop.",
                    "Check the address in HF_ENDPOINT and the proxy, or try again later.",
                )
            if len(seen) > _REDIRECTS:
                raise ModelLoadError(
                    f"The Hugging Face Hub redirects more than {_REDIRECTS} times.",
                    "Check the address in HF_ENDPOINT and the proxy, or try again later.",
                )

    def _headers(self, address: str, more: Mapping[str, str]) -> dict[str, str]:
        """Return what to send to an address; only the Hub itself gets the token."""
        from huggingface_hub.utils._headers import build_hf_headers

        is_hub = origin(address) == origin(self.endpoint)
        try:
            known = build_hf_headers(token=None if is_hub else False)
            for value in known.values():
                value.encode("ascii")
        except (OSError, ValueError) as error:
            raise no_token(error) from error
        return {**known, "Accept-Encoding": "identity", **more}

    def _body(self, answer: Any, limit_bytes: int, *, cut: bool = False) -> bytes:
        """Return a body, counted while it comes.

        Raises:
            ModelLoadError: it is longer than the limit, and not to be cut there.
        """
        body = bytearray()
        end_s = time.monotonic() + self._answer_s
        for piece in answer.iter_raw():
            body += piece
            if len(body) > limit_bytes:
                if cut:
                    break
                raise bad_answer(f"it is longer than {limit_bytes:,} bytes")
            # The caller is gone by then.
            if time.monotonic() > end_s:
                raise TimeoutError("the response took too long")
        return bytes(body[:limit_bytes])

    def _page(self, address: str, following: str) -> str:
        """Return the address of a list's next page."""
        from huggingface_hub.utils._http import fix_hf_endpoint_in_url

        if not following:
            return ""
        target = fix_hf_endpoint_in_url(urljoin(address, following), self.endpoint)
        if origin(target) != origin(self.endpoint):
            raise bad_answer("the next page of a list is on another server")
        return target

    @staticmethod
    def _session() -> Any:
        """Return the library's client.

        Raises:
            ModelLoadError: the environment keeps one from being made.
        """
        import httpx2
        from huggingface_hub import constants, errors, get_session

        if constants.is_offline_mode():
            # Before the library finds out, it makes a client, which the environment may not let it.
            raise errors.OfflineModeIsEnabled("HF_HUB_OFFLINE is set")
        try:
            return get_session()
        except (ValueError, ImportError, OSError, httpx2.InvalidURL) as error:
            raise no_client(error) from error


def retry_after(value: str, now_s: float) -> float | None:
    """Return what a `Retry-After` header asks for in seconds; None when it asks for nothing that can be understood.

    Args:
        value: seconds, or a date.
        now_s: the time of day, in Unix seconds.
    """
    text = value.strip()[:64]
    if text.isascii() and text.isdigit():
        return float(text[:9])
    try:
        wait_s = email.utils.parsedate_to_datetime(text).timestamp() - now_s
    except (ValueError, TypeError, OverflowError, OSError):
        return None
    return max(0.0, wait_s) if math.isfinite(wait_s) else None


def _rate_limited_s(headers: Mapping[str, str]) -> float | None:
    """Return after how many seconds a limit of requests is lifted, in the header that the Hub has for this."""
    from huggingface_hub.utils._http import parse_ratelimit_headers

    found = parse_ratelimit_headers(headers)
    return float(found.reset_in_seconds) if found is not None and not found.remaining else None


def range_start(headers: Mapping[str, str]) -> int | None:
    """Return where a part of a file begins, as its server says; None when it doesn't say."""
    found = headers.get("content-range", "").partition("bytes ")[2].partition("-")[0].strip()
    return int(found[:18]) if found.isascii() and found.isdigit() else None


def range_total(headers: Mapping[str, str]) -> int | None:
    """Return how long a file is of which this is a part, as its server says; None when it doesn't say."""
    found = headers.get("content-range", "").rpartition("/")[2].strip()
    return int(found[:18]) if found.isascii() and found.isdigit() else None


def _finish(answer: Any) -> None:
    """Read an answer that only redirects to its end, where that is near: its connection serves again."""
    length = answer.headers.get("content-length", "")
    if answer.request.method != "HEAD" and length.isdigit() and len(length) <= _SHORT_DIGITS:
        for _piece in answer.iter_raw():
            pass


def _parsed(body: bytes) -> Any:
    try:
        return json.loads(body)
    except (ValueError, RecursionError) as error:
        raise bad_answer("it isn't valid JSON") from error


def _raise_for_status(answer: Any) -> None:
    """Raise the library's error for an answer that says no, without reading what it says at length."""
    import httpx2
    from huggingface_hub.utils._http import hf_raise_for_status

    if answer.status_code < 400:
        return
    known = {name: answer.headers[name][:200] for name in _ERROR_HEADERS if name in answer.headers}
    hf_raise_for_status(
        httpx2.Response(
            answer.status_code,
            headers={**known, "content-type": "text/html"},
            request=answer.request,
        )
    )
