"""Messages on their way."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from tui.chat.outbox import Outbox, Outgoing
from tui.commands import message_text
from tui.settings.history import Attachment

NOTES = Attachment("notes.txt", "alpha\nbeta\n")
TYPED = st.sampled_from(["", "hello", "//quit", "!!ls", "a\nb", "  //x"])


def test_what_is_sent_has_one_sign_of_two():
    assert Outgoing("//quit").message == "/quit"


def test_what_goes_with_a_message_stands_in_fences_behind_it():
    assert Outgoing("look", (NOTES,)).message == "look\n\nnotes.txt:\n```\nalpha\nbeta\n```"


def test_a_fence_in_an_attachment_does_not_end_its_own():
    inner = Attachment("a.md", "```\ncode\n```")
    assert Outgoing("", (inner,)).message == "a.md:\n````\n```\ncode\n```\n````"


def test_nothing_waits_at_first():
    outbox = Outbox()
    assert outbox.waiting is None
    assert outbox.take() is None


def test_what_waits_is_taken_back_exactly_as_it_was_typed():
    outbox = Outbox()
    message = Outgoing("//quit", (NOTES,), "chat", "chat")
    outbox.wait(message)
    assert outbox.waiting == message
    assert outbox.take() == message
    assert outbox.waiting is None


@given(TYPED, TYPED)
def test_two_that_wait_are_sent_as_one_that_can_be_typed(first, second):
    outbox = Outbox()
    outbox.wait(Outgoing(first, (NOTES,)))
    outbox.wait(Outgoing(second))
    both = outbox.take()
    assert both is not None
    texts = [text for text in (message_text(first), message_text(second)) if text.strip()]
    assert message_text(both.typed) == "\n\n".join(texts)
    assert both.attachments == (NOTES,)


def test_the_line_that_stands_for_a_message_names_what_goes_with_it():
    assert Outgoing("look", (NOTES,)).label == "look [notes.txt]"
    assert Outgoing("", (NOTES,)).label == "[notes.txt]"
