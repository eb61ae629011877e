"""Undo and redo over the chat and what it is set to."""

from __future__ import annotations

from tests.chat.desk import desk
from tests.scripted import ScriptedEngine


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
