"""Undo and redo over the chat and what it is set to."""

from __future__ import annotations

from tests.chat.desk import desk
from tests.scripted import ScriptedEngine
from tui.chat.undoing import TOGETHER_S, Undoing
from tui.conversation.context import OverflowPolicy
from tui.engine.base import Speculation


async def test_a_reset_comes_back_with_undo_and_goes_again_with_redo(tmp_path):
    async with desk(tmp_path) as one:
        core = one.core
        core.settings.set({"temperature": 0.9, "seed": 4})
        core.settings.set_prompt("You are a pirate.")
        with core.undoing.step("Reset"):
            core.settings.set({"temperature": None, "seed": None})
            core.session.replace_prompt("")
        assert core.undoing.can_undo
        assert core.undoing.undo() == "Reset"
        assert dict(core.settings.parameters) == {"temperature": 0.9, "seed": 4}
        assert core.settings.system_prompt == "You are a pirate."
        assert core.undoing.redo() == "Reset"
        assert dict(core.settings.parameters) == {}
        assert core.settings.system_prompt == ""


async def test_what_was_set_since_stays(tmp_path):
    async with desk(tmp_path) as one:
        core = one.core
        core.settings.set({"temperature": 0.9, "seed": 4})
        with core.undoing.step("Reset"):
            core.settings.set({"temperature": None, "seed": None})
        core.settings.set({"seed": 5})
        core.settings.set_prompt("Be brief.")
        core.undoing.undo()
        assert dict(core.settings.parameters) == {"temperature": 0.9, "seed": 5}
        assert core.settings.system_prompt == "Be brief."


async def test_steps_stand_among_the_operations_on_the_chat(tmp_path):
    async with desk(tmp_path, ScriptedEngine(["a", "b"])) as one:
        core = one.core
        await one.load()
        await one.say("first")
        core.settings.set_prompt("You are a pirate.")
        with core.undoing.step("Reset"):
            core.session.replace_prompt("")
        await one.say("second")
        undone = []
        while core.settings.system_prompt != "You are a pirate.":
            undone.append(core.undoing.undo())
        assert one.texts == ["first", "a"]
        assert undone[:2] == ["Reply", "Send"]
        while label := core.undoing.redo():
            undone.append(label)
        assert one.texts == ["first", "a", "second", "b"]
        assert core.settings.system_prompt == ""


async def test_a_new_message_ends_what_could_be_redone(tmp_path):
    async with desk(tmp_path, ScriptedEngine(["a"])) as one:
        core = one.core
        await one.load()
        core.settings.set({"seed": 4})
        with core.undoing.step("Reset"):
            core.settings.set({"seed": None})
        core.undoing.undo()
        assert core.undoing.can_redo
        await one.say("first")
        assert not core.undoing.can_redo


async def test_nothing_is_kept_where_nothing_changed(tmp_path):
    async with desk(tmp_path) as one:
        with one.core.undoing.step("Reset"):
            one.core.settings.set({"seed": None})
        assert not one.core.undoing.can_undo
        assert one.core.undoing.undo() == ""


class Clock:
    now_s = 100.0

    def __call__(self) -> float:
        return self.now_s


async def test_quick_changes_of_one_setting_are_one_step(tmp_path):
    async with desk(tmp_path) as one:
        settings, clock = one.core.settings, Clock()
        undoing = Undoing(one.core.session, settings, one.core.loader, clock=clock)
        settings.set({"temperature": 1.0})

        def change(value: float, name: str = "temperature") -> None:
            with undoing.step(f"Set {name}", name):
                settings.set({name: value})

        for value in (1.1, 1.2, 1.3):
            change(value)
            clock.now_s += TOGETHER_S
        clock.now_s += 1
        change(1.4)
        change(0.5, "top_p")
        change(1.5)
        seen = []
        while undoing.undo():
            seen.append((settings.parameters["temperature"], settings.parameters.get("top_p")))
        assert seen == [(1.4, 0.5), (1.4, None), (1.3, None), (1.0, None)]
        assert undoing.redo() == "Set temperature"
        assert settings.parameters["temperature"] == 1.3
        change(1.4)
        assert undoing.undo()
        assert settings.parameters["temperature"] == 1.3


async def test_drafting_and_what_happens_to_a_full_context_are_undone_too(tmp_path):
    async with desk(tmp_path) as one:
        settings, undoing = one.core.settings, one.core.undoing
        overflow, speculation = settings.overflow, settings.speculation
        with undoing.step("Overflow", "overflow"):
            settings.set_overflow(OverflowPolicy.SUMMARIZE)
        with undoing.step("Drafting", "speculation"):
            settings.set_speculation(Speculation.OFF)
        assert undoing.undo() == "Drafting"
        assert undoing.undo() == "Overflow"
        assert (settings.overflow, settings.speculation) == (overflow, speculation)


async def test_a_prompt_that_was_sent_is_undone_once(tmp_path):
    async with desk(tmp_path, ScriptedEngine(["a"])) as one:
        core = one.core
        await one.load()
        with core.undoing.step("System prompt", "system prompt"):
            core.settings.set_prompt("Be brief.")
        await one.say("first")
        undone = []
        while label := core.undoing.undo():
            undone.append(label)
        assert undone == ["Reply", "Send", "System prompt"]
        assert core.settings.system_prompt == ""


async def test_undo_after_undo_goes_on_to_the_next_older_change(tmp_path):
    async with desk(tmp_path, ScriptedEngine(["a"])) as one:
        core = one.core
        await one.load()
        await one.say("first")
        reply = core.session.conversation.path[-1].id
        core.session.rename("Renamed")
        core.session.change(lambda chat: chat.delete(reply, following=False))
        assert core.undoing.undo() == "Delete"
        core.session.change(lambda chat: chat.delete(reply, following=False))
        assert core.undoing.undo() == "Delete"
        assert core.undoing.undo() == "Rename"
        assert one.texts == ["first", "a"]
        # Words that are nowhere else stay within reach, and undo says what it does.
        core.undoing.redo()
        core.undoing.undo()
        core.undoing.undo()
        assert one.texts == ["first"]
        core.session.rename("Other")
        core.undoing.undo()
        assert core.undoing.undo() == "Undo (Reply)"
        assert one.texts == ["first", "a"]
