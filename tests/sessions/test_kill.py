"""A process that is killed at any instant loses nothing that it had confirmed."""

import json
import os
import random
import signal
import time
import traceback
from pathlib import Path

from tui.conversation import Conversation, Generation, Status, Turn
from tui.sessions import SessionStore, SessionWriter

KILLS = 132
KILLS_PER_CHAT = 22


class Confirmed:
    """What the killed processes said was on the disk: whole turns, and how a reply in progress began."""

    def __init__(self) -> None:
        self.turns: dict[str, str] = {}
        self.replies: dict[str, str] = {}

    def read(self, lines: bytes) -> None:
        for line in lines.split(b"\n")[:-1]:
            kind, turn_id, text = json.loads(line)
            if kind == "turn":
                self.turns[turn_id] = text
                self.replies.pop(turn_id, None)
            else:
                self.replies[turn_id] = text

    def check(self, conversation: Conversation) -> None:
        for turn_id, text in self.turns.items():
            assert conversation.turn(turn_id).text == text
        for turn_id, text in self.replies.items():
            assert conversation.turn(turn_id).text.startswith(text)


def talk(folder: Path, chat_id: str, pipe: int, rng: random.Random) -> None:
    """Send, stream, edit and save as the app does, and confirm each step once the writer says that it is done."""

    def confirm(kind: str, turn: Turn, text: str) -> None:
        os.write(pipe, json.dumps([kind, turn.id, text]).encode() + b"\n")

    writer = SessionWriter(SessionStore(folder))
    store = writer.store
    chat = store.load(chat_id).conversation if store.path(chat_id).exists() else None
    chat = chat or Conversation(id=chat_id)
    while True:
        chat = chat.add_user(f"question {len(chat.turns)} é漢\n" * rng.randint(1, 20))
        writer.save(chat).result()
        confirm("turn", chat.path[-1], chat.path[-1].text)
        chat = chat.begin_reply(chat.path[-1].id, Generation("demo"), text="So: ")
        reply = chat.path[-1]
        writer.save(chat).result()
        said = reply.text
        for number in range(rng.randint(1, 8)):
            piece = f"word{number} " * rng.randint(1, 30)
            said += piece
            writer.checkpoint(chat_id, reply.id, piece).result()
            confirm("reply", reply, said)
            if rng.random() < 0.1:
                chat = chat.rename(f"title {number}")
                writer.save(chat).result()
        chat = chat.finish(reply.id, rng.choice((Status.COMPLETE, Status.STOPPED)), text=said)
        writer.save(chat).result()
        confirm("turn", reply, said)
        if rng.random() < 0.5:
            chat = chat.edit(rng.choice(chat.path).id, f"edited {len(chat.turns)}")
            edited = next(turn for turn in chat.path if turn.text.startswith("edited"))
            writer.save(chat).result()
            confirm("turn", edited, edited.text)


def run_and_kill(folder: Path, chat_id: str, rng: random.Random) -> bytes:
    """Let a process talk, kill it at a random instant, and return what it had confirmed."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.close(reading)
            talk(folder, chat_id, writing, rng)
        except BaseException:  # noqa: BLE001 - a forked test process must not return into pytest
            traceback.print_exc()
        finally:
            os._exit(7)
    os.close(writing)
    lines = b""
    steps = rng.choice((0, 0, 1, rng.randrange(20)))
    try:
        while lines.count(b"\n") < steps and (piece := os.read(reading, 1 << 16)):
            lines += piece
        # Then anywhere in what it does next; the shortest waits end in the start or in the middle of a write.
        time.sleep(rng.random() * rng.choice((0.0005, 0.003, 0.02)))
        os.kill(child, signal.SIGKILL)
        _, status = os.waitpid(child, 0)
        assert os.WIFSIGNALED(status), "the talking process failed by itself"
        while piece := os.read(reading, 1 << 16):
            lines += piece
        return lines
    finally:
        os.close(reading)


def test_kill_9_at_any_instant_loses_no_confirmed_turn(tmp_path) -> None:
    rng = random.Random(3)
    confirmed = Confirmed()
    interrupted = 0
    all_turns = 0
    for number in range(KILLS):
        if number % KILLS_PER_CHAT == 0:
            all_turns += len(confirmed.turns)
            chat_id, confirmed = f"{number:032x}", Confirmed()
            folder = tmp_path / str(number)
        confirmed.read(run_and_kill(folder, chat_id, random.Random(rng.random())))
        store = SessionStore(folder)
        if not store.path(chat_id).exists():
            assert not confirmed.turns
            continue
        loaded = store.load(chat_id)
        assert not loaded.read_only
        assert loaded.problems == ()
        confirmed.check(loaded.conversation)
        assert all(t.status is not Status.STREAMING for t in loaded.conversation.turns.values())
        interrupted += loaded.conversation.path[-1].status is Status.INTERRUPTED
        assert [entry.id for entry in store.list()] == [chat_id]
        store.close()
    assert all_turns > KILLS / 2, "the processes were killed too early to say anything"
    assert interrupted, "hardly any reply was cut"
