"""Commands in the composer: `/name argument` or, as in `transformers chat`, `!name argument`.

Says what a text means and what could be completed; doing it is the screen's business. `//` and `!!` begin a message with that sign.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from tui.actions import Action, actions
from tui.dataclass import dataclass
from tui.errors import UserError
from tui.parameters import did_you_mean
from tui.pattern import pattern
from tui.scopes import MAIN

SIGNS: Final = ("/", "!")
_COMMAND: Final = pattern(r"[/!]([A-Za-z][\w-]*)(?:\s+(.*))?", re.DOTALL)
_ONE_THING: Final = ("[MODEL]", "[NAME]", "[FILE]")
"""Arguments that are one name or path, which may stand between quotes."""
_OFTEN: Final = (
    "new", "model", "system", "set", "attach", "chats", "regenerate", "continue", "edit", "preset", "export", "status", "help",
)  # fmt: skip
"""Commands that are wanted most, those first."""
_BEGUN: Final = pattern(r"[/!][\w-]*")


class CommandError(UserError):
    """A text that looks like a command is none."""


@dataclass(frozen=True, slots=True)
class Command:
    """What a text asks for.

    Attributes:
        action: what to do.
        argument: what stands behind the name.
    """

    action: Action
    argument: str = ""


COMMANDS: Final[Mapping[str, Action]] = {
    name: one for one in actions(*MAIN) for name in one.commands
}


def parse_command(text: str) -> Command | None:
    """Return the command that a text is; None for a message.

    Raises:
        CommandError: it looks like a command, and there is none of that name, or it takes no argument.
    """
    found = _COMMAND.fullmatch(text.strip())
    if found is None or text.startswith(tuple(2 * sign for sign in SIGNS)):
        return None
    sign, name, argument = (
        text.strip()[0],
        found[1].lower().replace("_", "-"),
        (found[2] or "").strip(),
    )
    literally = f"To send it as text, start it with {2 * sign}."
    action = COMMANDS.get(name)
    if action is None:
        near = did_you_mean(name, COMMANDS, sign)
        raise CommandError(
            f"There is no command {sign}{name[:40]}.", f"{near} {literally}".lstrip()
        )
    if argument and not action.argument:
        raise CommandError(f"{sign}{name} takes no argument.", literally)
    return Command(action, unquoted(argument) if action.argument in _ONE_THING else argument)


def is_command(text: str) -> bool:
    """Return whether a text is a command, or looks like one and is none."""
    try:
        return parse_command(text) is not None
    except CommandError:
        return True


def unquoted(text: str) -> str:
    """Return what stands between quotes, where a text begins and ends with the same ones and has no more of them."""
    inside = text[1:-1]
    is_quoted = len(text) > 1 and text[0] in "'\"" and text[0] == text[-1] and text[0] not in inside
    return inside if is_quoted else text


def typed_text(text: str) -> str:
    """Return what one types to send a text: a sign at its beginning is doubled where it would make it a command."""
    body = text.lstrip()
    is_text = message_text(text) == text and _COMMAND.fullmatch(text.strip()) is None
    return text if is_text else body[0] + body


def message_text(text: str) -> str:
    """Return what is sent of a message: of a doubled sign at its beginning, one stays."""
    return text[1:] if text.startswith(tuple(2 * sign for sign in SIGNS)) else text


def completions(text: str) -> list[tuple[str, Action]]:
    """Return the commands that a text that is being typed may become, each as it would stand there; the likeliest first.

    The names of actions, as in `chat-copy`, are for whoever knows them: they are offered once a hyphen was typed, or where nothing
    else begins so.
    """
    if not _BEGUN.fullmatch(text):
        return []
    sign, typed = text[0], text[1:].lower()
    named = {one.slash[0]: one for one in actions(*MAIN) if one.slash}
    others = {
        name: one
        for name, one in COMMANDS.items()
        if typed and name not in named and (one.listed or name == typed)
    }
    begins = [name for name in named if name.startswith(typed)]
    also = [
        name
        for name, one in others.items()
        if name.startswith(typed) and (name in one.slash or "-" in typed or not begins)
    ]
    inside = [name for name in named if len(typed) > 1 and name.find(typed) > 0]
    ordered = (*sorted(begins, key=_rank), *sorted(also), *sorted(inside, key=_rank))
    return [(sign + name, COMMANDS[name]) for name in ordered]


def find_actions(typed: str, offered: Iterable[Action], recent: Sequence[str] = ()) -> list[Action]:
    """Return the actions that match what was typed, the best match first.

    Titles count before names of commands, and those before the help; beginnings of words before what lies within one.

    Args:
        typed: words that all have to be found; with none, everything is.
        offered: what is looked through.
        recent: the ids of those that come first among equals, the first of them before the others.
    """
    words = typed.casefold().strip().lstrip("/!").split()
    places = {action_id: at for at, action_id in enumerate(recent)}
    found = []
    for at, one in enumerate(offered):
        often = min((_rank(name)[0] for name in one.slash), default=len(_OFTEN))
        match = _match(one, words)
        if match is not None:
            found.append((match, places.get(one.id, len(places)), often, at, one))
    return [one for *_, one in sorted(found, key=lambda entry: entry[:-1])]


def _match(one: Action, words: Sequence[str]) -> int | None:
    """Return how well an action matches, 0 for best; None where a word is not found."""
    title, explained = one.title.casefold(), one.help.casefold()
    if " ".join(words) == title:
        return -1
    worst = 0
    for word in words:
        ranks = (
            title.startswith(word),
            word in one.slash,
            f" {word}" in title,
            any(name.startswith(word) for name in one.commands),
            word in title,
            any(word in name for name in one.slash),
            f" {word}" in f" {explained}",
            len(word) > 1 and word in explained,
        )
        if True not in ranks:
            return None
        worst = max(worst, ranks.index(True))
    return worst


def _rank(name: str) -> tuple[int, str]:
    """Return what sorts commands by how often they are wanted, and others by name."""
    return (_OFTEN.index(name) if name in _OFTEN else len(_OFTEN), name)
