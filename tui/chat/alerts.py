"""Calls the user back when a reply ends that took long, while something else has the terminal."""

from __future__ import annotations

from collections.abc import Callable

from tui.chat.live_reply import LiveReply
from tui.chat.replies import ReplyRunner
from tui.chat.session import ChatSession
from tui.chat.settings import ChatSettings
from tui.sanitize import sanitize_line

_LONGEST_TITLE = 60


class Alerts:
    """Decides when to call; how that sounds or looks is up to whoever is asked."""

    def __init__(
        self,
        session: ChatSession,
        settings: ChatSettings,
        replies: ReplyRunner,
        *,
        is_watched: Callable[[], bool],
        call: Callable[[str], object],
    ) -> None:
        """Make it.

        Args:
            session: names the chat.
            settings: say how long a reply has to take.
            replies: are listened to.
            is_watched: returns whether the user is looking at the app.
            call: calls the user, with a sentence.
        """
        self._session = session
        self._settings = settings
        self._replies = replies
        self._is_watched = is_watched
        self._call = call
        replies.ended.listen(self._reply_ended)

    def _reply_ended(self, reply: LiveReply) -> None:
        stats = reply.generation.stats
        after_s = self._settings.preferences.values.alerts.after_s
        is_long = stats.ttft_s + stats.decode_s >= after_s
        if is_long and not self._replies.is_leaving and not self._is_watched():
            title = sanitize_line(self._session.conversation.title, _LONGEST_TITLE)
            self._call(f"The reply in {title or 'the chat'} is done.")
