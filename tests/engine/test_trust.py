"""What an agreement to run code is called, for the record and for people."""

import pytest

from tui.engine.trust import short, subject

COMMIT, DIGEST = "4f2a" * 10, "c3" * 32


@pytest.mark.parametrize(
    ("made", "shown"),
    [
        (subject("org/model", DIGEST, COMMIT), "org/model@4f2a4f2a4f2a"),
        (subject("/home/me/model", DIGEST), "/home/me/model@c3c3c3c3c3c3"),
        (subject("/home/me/a@b#c", DIGEST), "/home/me/a@b#c@c3c3c3c3c3c3"),
        ("something else", "something else"),
    ],
)
def test_a_subject_is_shown_with_the_first_digits_of_its_version(made, shown):
    assert short(made) == shown


def test_every_digit_of_the_version_counts_in_a_subject():
    changed = f"{DIGEST[:-1]}4"
    assert subject("org/model", DIGEST, COMMIT) != subject("org/model", changed, COMMIT)
    assert subject("org/model", DIGEST, COMMIT) != subject("org/model", DIGEST, f"{COMMIT[:-1]}b")
    assert subject("org/model", DIGEST, COMMIT) != subject("org/model", DIGEST)
