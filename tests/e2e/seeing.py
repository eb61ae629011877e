"""What a person sees on the app's screen, in words: whether the model is ready, how much of a reply is there."""

from __future__ import annotations

import re
import time

from tests.e2e.terminal import Terminal

LOAD_S = 240.0
REPLY_S = 180.0
SOON_S = 15.0
"""Long enough for a busy machine to end the app, far too short for a load or a reply to end by itself."""
_OVER_S = 15.0
"""Until then a reply that was asked for has begun."""

_FOOT = 5
"""Lines of the message box, the status bar and the line of keys."""

STOPPED = "Stopped by you"

_READY = "●"
_LOADING = "◌"
_REPLYING = "◉"


def is_ready(screen: str) -> bool:
    """Whether a model is loaded and waits for a message."""
    return _READY in _foot(screen)


def is_loading(screen: str) -> bool:
    """Whether a model is being loaded."""
    return _LOADING in _foot(screen)


def is_replying(screen: str) -> bool:
    """Whether a reply is being written."""
    return _REPLYING in _foot(screen)


def words_shown(reply: str, screen: str) -> int:
    """How many of a reply's words, from its start, the screen shows one after another, however they are wrapped."""
    words, shown = re.findall(r"\w+", reply), re.findall(r"\w+", screen)
    longest = 0
    for start in range(len(shown)):
        count = 0
        while count < len(words) and shown[start + count : start + count + 1] == [words[count]]:
            count += 1
        longest = max(longest, count)
    return longest


def send(app: Terminal, message: str) -> None:
    """Type a message, see it in the composer, and send it."""
    app.type(message)
    app.wait_for(message)
    app.press("enter")


def watch_reply(app: Terminal) -> list[str]:
    """Wait for the end of a reply; return the screens that were seen while it was written."""
    seen: list[str] = []
    began = time.monotonic()

    def ended(screen: str) -> bool:
        if is_replying(screen):
            seen.append(screen)
        # A short reply may be over before anybody looks.
        return is_ready(screen) and (bool(seen) or time.monotonic() - began > _OVER_S)

    app.wait_for(ended, REPLY_S)
    return seen


def wait_for_more_words(app: Terminal, count: int) -> None:
    """Wait until a reply is being written and has grown by so many words."""
    app.wait_for(is_replying, REPLY_S)
    first = _last_turn_words(app.text)
    app.wait_for(lambda screen: _last_turn_words(screen) >= first + count, REPLY_S)


def _last_turn_words(screen: str) -> int:
    # The line with its name counts tokens, and the foot of the screen too.
    said = screen.rpartition("Assistant")[2].splitlines()[1:-_FOOT]
    return len(re.findall(r"\w+", "\n".join(said)))


def _foot(screen: str) -> str:
    return "\n".join(screen.splitlines()[-2:])
