"""No text, whoever wrote it, reaches the terminal as anything but text."""

from __future__ import annotations

import contextlib
import os
import re
import tempfile
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import pytest

from tests.e2e.hostile import (
    NAMES,
    PAYLOADS,
    PLACES,
    compact,
    copied,
    foreign,
    in_pieces,
    is_forbidden,
    together,
)
from tests.e2e.scripted_app import program, write_replies
from tests.e2e.seeing import is_ready, send
from tests.e2e.terminal import ScreenTimeoutError, Terminal
from tui.conversation import ASSISTANT, USER, Conversation, Generation, Status, Turn
from tui.conversation.codec import dumps

COLUMNS, ROWS = 150, 110
SHOWN = [payload.shown for payload in PAYLOADS]
VERBATIM = [payload.verbatim or payload.shown for payload in PAYLOADS]

Start = Callable[..., Terminal]


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """A folder that the engine takes for a model."""
    return make_model(tmp_path / "model")


def make_model(folder: Path) -> Path:
    folder.mkdir(parents=True)
    (folder / "config.json").write_text("{}")
    return folder


@pytest.fixture
def start(start_app, model, tmp_path) -> Start:
    """Starts the app on an engine that gives `replies`, and waits until a model is ready."""

    def begin(*arguments: str, replies: Sequence[object] = (), name: str = "") -> Terminal:
        script = program(write_replies(tmp_path / "replies.json", replies) if replies else None)
        app = start_app(name or str(model), *arguments, script=script, columns=COLUMNS, rows=ROWS)
        app.wait_for(is_ready)
        return app

    return begin


def missing(app: Terminal, wanted: Iterable[str]) -> list[str]:
    shown = compact(app.text)
    return [text for text in wanted if compact(text) not in shown]


def see(app: Terminal, wanted: Iterable[str], timeout_s: float = 10.0) -> None:
    """Wait until all of the texts stand on the screen, however they are wrapped."""
    texts = list(wanted)
    try:
        app.wait_for(lambda _screen: not missing(app, texts), timeout_s)
    except AssertionError as error:
        raise AssertionError(f"not to be seen: {missing(app, texts)}\n{app.text}") from error


def leave(app: Terminal) -> None:
    """End the app and look through all that it has written."""
    app.press("ctrl+q")
    assert app.wait_for_exit() == 0
    assert app.unrestored() == []
    check_output(app)


def check_output(app: Terminal) -> None:
    assert foreign(bytes(app.raw)) == []
    for payload in PAYLOADS:
        if payload.raw != payload.verbatim and payload.raw != payload.shown:
            assert payload.raw.encode("utf-8", "surrogatepass") not in app.raw


def make_chat(title: str, turns: Sequence[dict[str, object]], **more: object) -> Conversation:
    made, parent = {}, None
    for number, values in enumerate(turns):
        turn_id = f"{number:032x}"
        made[turn_id] = Turn(turn_id, parent, created_at=1.7e9 + number, **values)
        parent = turn_id
    return Conversation(title=title, turns=made, **more)


def store(home, chat: Conversation) -> None:
    folder = home.folder / "data" / "sessions"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{chat.id}.json").write_bytes(dumps(chat))


# -- what a model says


def test_a_reply_is_text_in_every_construct_however_it_is_cut_into_pieces(start, home):
    home.remember(sidebar=False)
    texts = [payload.raw for payload in PAYLOADS]
    documents = {name: place.write(texts) for name, place in PLACES.items() if place.is_shown}
    hidden = [place.write(texts) for place in PLACES.values() if not place.is_shown]
    documents["all others"] = "\n\n".join(hidden)
    app = start(
        replies=[
            [("text", piece) for piece in in_pieces(f"{text}\n\nthe end of {name}", seed)]
            for seed, (name, text) in enumerate(documents.items())
        ]
    )
    for name in documents:
        send(app, name)
        app.wait_for(lambda screen, name=name: f"the end of {name}" in screen and is_ready(screen))
        if name in PLACES:
            assert missing(app, PLACES[name].shown()) == [], f"{name}\n{app.text}"
    leave(app)
    assert copied(app.raw) == []


def test_reasoning_and_the_reason_of_a_failure_are_text(start, home):
    home.remember(sidebar=False)
    texts = [payload.raw for payload in PAYLOADS]
    thought = [("reasoning", piece) for piece in in_pieces(PLACES["list"].write(texts), 1)]
    app = start(replies=[[*thought, ("text", "the answer")], [("error", together())]])
    send(app, "think")
    app.wait_for("the answer")
    app.wait_for(is_ready)
    app.press("ctrl+t")
    see(app, SHOWN)
    app.press("ctrl+t")
    app.wait_for(lambda screen: "pwned" not in screen)
    send(app, "fail")
    see(app, VERBATIM)
    leave(app)


def test_where_a_link_leads_is_shown_and_copied_as_text(start, home):
    home.remember(sidebar=False)
    link = "[a link](<https://example.org/\x1b]0;pwned\x07&#x202e;\u202e>)"
    app = start(replies=[[("text", link)]])
    send(app, "link")
    app.wait_for("https://example.org")
    app.wait_for(is_ready)
    row, line = next(
        (y, one) for y, one in enumerate(app.text.splitlines(), 1) if "a link (" in one
    )
    column = line.index("a link (") + 2
    app.type(f"\x1b[<0;{column};{row}M\x1b[<0;{column};{row}m")
    app.wait_for("Copy the address")
    app.rest()
    app.press("c")
    app.wait_for(lambda _screen: copied(app.raw))
    leave(app)
    assert not any(is_forbidden(character) for character in copied(app.raw)[0])


# -- what is stored


def test_a_stored_chat_is_text_in_all_its_parts(start, home, tmp_path):
    chat = make_chat(
        f"A title {PAYLOADS[0].raw}",
        [
            {"role": USER, "text": together()},
            *(
                {
                    "role": ASSISTANT,
                    "text": payload.raw,
                    "reasoning": payload.raw,
                    "status": Status.FAILED,
                    "error": f"failed {payload.raw}",
                    "generation": Generation(
                        payload.raw, payload.raw, payload.raw, {payload.raw: payload.raw}
                    ),
                }
                for payload in PAYLOADS
            ),
            {"role": f"tool{together()}", "text": together()},
        ],
        system_prompt=together(PAYLOADS[:4]),
        settings={"model_id": together(), "quantization": together()},
    )
    file = tmp_path / "a chat\x1b]0;pwned\x07\udc9b8m.json"
    file.write_bytes(dumps(chat))
    app = start("--session", os.fsdecode(os.fsencode(file)))
    see(app, [f"A title {SHOWN[0]}", *SHOWN[:2]])
    # Beside the settings, lines of the chat would be read together with theirs.
    # The key goes there first, and hides them from there.
    app.press("f2", "f2")
    app.wait_for(lambda screen: "System prompt" not in screen)
    app.press("pageup", "pageup")
    see(app, VERBATIM)
    leave(app)


def test_the_lists_of_chats_and_branches_show_text(start, home):
    for payload in PAYLOADS:
        turns = [
            {"role": USER, "text": f"first {payload.raw}"},
            {"role": ASSISTANT, "text": payload.raw},
        ]
        store(
            home, make_chat(f"title {payload.raw}", turns, extra={"tags": [f"tag {payload.raw}"]})
        )
    app = start("--continue")
    app.press("f3")
    see(app, [f"title {one}" for one in VERBATIM])
    see(app, [f"#tag {one}" for one in VERBATIM])
    app.type("first")
    app.wait_for("matches in the text")
    see(app, [f"first {one}" for one in VERBATIM])
    app.press("escape")
    app.wait_for(lambda screen: "matches in the text" not in screen)
    run_command(app, "Show all branches")
    app.wait_for("Go there")
    leave(app)


def test_a_turn_is_text_in_every_view_of_it_and_when_it_is_copied(start, home):
    home.remember(sidebar=False)
    code = f"{together()}\n\n```\n{together()}\n```\n"
    made = Generation(together(), together(), "none", {together(): together(), "b": [together()]})
    turns = [
        {"role": USER, "text": together()},
        {"role": ASSISTANT, "text": code, "reasoning": together(), "error": together(),
         "status": Status.FAILED, "generation": made},
    ]  # fmt: skip
    store(home, make_chat("A chat", turns))
    app = start("--continue")
    app.press("alt+up")
    app.act("m")
    app.wait_for("```")
    see(app, VERBATIM)
    for count, key in enumerate(("y", "Y", "b"), 1):
        app.act(key)
        app.wait_for(lambda _screen, count=count: len(copied(app.raw)) == count)
    app.act("i")
    app.wait_for("Copy what is shown")
    for count in range(4, 8):
        app.press("y")
        app.wait_for(lambda _screen, count=count: len(copied(app.raw)) == count)
        app.press("right")
    app.press("escape")
    app.wait_for(lambda screen: "Raw text" not in screen)
    app.act("e")
    app.wait_for("Edit")
    see(app, VERBATIM)
    leave(app)
    texts = copied(app.raw)
    assert not any(is_forbidden(one) for text in texts for one in text if one not in "\n\t")
    for text in texts:
        assert "␛]0;pwned␇" in text


# -- names of files and models


def test_names_of_models_are_text(start, home, tmp_path):
    models = tmp_path / "models"
    for number, payload in enumerate(NAMES):
        make_model(models / f"m{number:02}{payload.raw}")
    home.remember(model_folders=(str(models),))
    folder = make_model(tmp_path / "good\x1b]0;pwned\x07\udc9b8m")
    app = start(name=os.fsdecode(os.fsencode(folder)))
    see(app, ["good␛]0;pwned␇\ufffd8m"])
    app.press("f4")
    named = [f"m{n:02}{one.verbatim or one.shown}" for n, one in enumerate(NAMES)]
    see(app, named[:8])
    app.press("down", "end")
    see(app, named[-8:])
    app.press("escape")
    leave(app)


def test_a_model_that_can_not_be_loaded_is_named_as_text(start_app):
    name = "/no" + "".join(payload.raw for payload in NAMES) + "/model.gguf"
    app = start_app(name, script=program(), columns=62, rows=50)
    app.wait_for("The model was not loaded")
    see(app, [f"/no{''.join(one.verbatim or one.shown for one in NAMES)}/model.gguf"])
    leave(app)


# -- what is pasted

PASTED = "\x1b]0;pwned\x07\x9b8m\u202e&#27;[/][red]"
PASTED_SHOWN = "␛]0;pwned␇\ufffd8m⟪RLO⟫&#27;[/][red]"


def test_pasted_text_is_text_in_the_composer(start):
    app = start()
    pasted = [one for one in PAYLOADS if one.name != "half a character"]
    app.paste(together(pasted))
    see(app, [one.verbatim or one.shown for one in pasted])
    leave(app)


def run_command(app: Terminal, title: str) -> None:
    for _ in range(9):
        # A key that comes right after an escape, or while a dialog closes, can be lost on a busy machine.
        app.press("ctrl+p")
        with contextlib.suppress(ScreenTimeoutError):
            app.wait_for("Type a command", 3.0)
            break
    app.type(title)
    app.wait_for(lambda screen: len(re.findall(title, screen)) > 1)
    app.press("enter")
    app.wait_for(lambda screen: "Enter Run" not in screen)


def test_pasted_text_is_text_in_every_field(start, home):
    store(home, make_chat("A chat", [{"role": USER, "text": "hello"}]))
    app = start("--continue")
    for opening, sign in (("ctrl+f", "Find"), ("f3", "Open"), ("f4", "Choose a model")):
        app.press(opening)
        app.wait_for(sign)
        app.paste(PASTED)
        see(app, [PASTED_SHOWN])
        app.press("escape")
        app.wait_for(lambda _screen: missing(app, [PASTED_SHOWN]))
    for title, sign in (
        ("Rename the chat", "Rename the chat"),
        ("Import chats", "Import chats"),
        ("Export the chat", "Export the chat"),
    ):
        run_command(app, title)
        app.wait_for(sign)
        if "Export" in title:
            app.type("\t")
        app.paste(PASTED)
        see(app, [PASTED_SHOWN])
        # Export would write a file.
        app.press(*([] if "Export" in title else ["enter"]), "escape", "escape")
        app.wait_for(lambda screen, sign=sign: sign not in screen)
    leave(app)


# -- the command line


@pytest.fixture
def short_folder():
    with tempfile.TemporaryDirectory(prefix="h") as folder:
        yield Path(folder)


def test_sentences_on_stderr_are_text(start_app, short_folder, home):
    # Short, since a sentence cuts a long name.
    bad = os.fsdecode(os.fsencode(short_folder / "bad\x1b]0;pwned\x07\x9b8m\u202e\udc9b.json"))
    Path(bad).write_text("{}")
    gone = bad + "gone"
    for arguments in (
        ["--session", bad],
        ["--session", gone],
        ["import", bad],
        ["import", gone],
        ["export", gone],
        ["demo", bad],
        ["import", bad, "--" + bad],
        ["export", bad, "--to", bad],
        ["--quantization", bad],
    ):
        app = start_app(*arguments, columns=300, rows=30)
        assert app.wait_for_exit() == 2
        assert foreign(bytes(app.raw)) == [], arguments
        assert "pwned" in app.text


def test_an_exported_chat_is_text_on_a_terminal(start_app, tmp_path):
    file = tmp_path / "chat.json"
    file.write_bytes(dumps(make_chat("A chat", [{"role": USER, "text": together()}])))
    app = start_app("export", str(file), columns=150, rows=60)
    assert app.wait_for_exit() == 0
    # Nothing is drawn there that a tab could spoil.
    assert foreign(bytes(app.raw).replace(b"\t", b" ")) == []
    assert missing(app, VERBATIM) == []
