from __future__ import annotations

import json

from tests.chat.desk import desk
from tui.chat.session import Change, Changed
from tui.conversation import Conversation, Status
from tui.sessions import Loaded


def chat_of(*texts: str) -> Conversation:
    chat = Conversation()
    for text in texts:
        chat = chat.add_user(text)
    return chat


async def test_a_change_is_shown_and_on_the_disk(tmp_path):
    async with desk(tmp_path) as one:
        heard: list[Changed] = []
        one.core.session.changed.listen(heard.append)
        one.core.session.change(lambda chat: chat.add_user("hello"), Change.GROWN, follow=True)
        await one.still()
        assert heard == [Changed(Change.GROWN, follow=True)]
        (file,) = (tmp_path / "chats").glob("*.json")
        assert json.loads(file.read_text())["chat_history"] == [
            {"role": "user", "content": "hello"}
        ]


async def test_a_chat_that_is_read_only_goes_on_as_a_copy(tmp_path):
    opened = Loaded(chat_of("theirs"), read_only=True)
    async with desk(tmp_path, opened=opened) as one:
        session = one.core.session
        session.navigate(lambda chat: chat.select(chat.path[0].id))
        assert session.read_only
        assert session.conversation.id == opened.conversation.id
        session.change(lambda chat: chat.add_user("mine"))
        assert not session.read_only
        assert session.conversation.id != opened.conversation.id
        assert one.texts == ["theirs", "mine"]
        assert "copy" in one.person.told[0]
        await one.still()
        assert [file.stem for file in (tmp_path / "chats").glob("*.json")] == [
            session.conversation.id
        ]


async def test_undo_in_a_chat_that_is_read_only_leaves_the_chat_that_was_opened(tmp_path):
    opened = Loaded(chat_of("theirs", "more"), read_only=True)
    async with desk(tmp_path, opened=opened) as one:
        assert one.core.session.undo()
        assert one.core.session.conversation.id != opened.conversation.id
        assert one.texts == ["theirs"]


async def test_the_system_prompt_in_force_becomes_the_chat_s_with_a_change(tmp_path):
    async with desk(tmp_path) as one:
        one.core.settings.set_prompt("Be brief.")
        assert one.core.session.conversation.system_prompt == ""
        one.core.session.change(lambda chat: chat.add_user("x"))
        assert one.core.session.conversation.system_prompt == "Be brief."
        one.core.settings.set_prompt("Be long.")
        one.core.session.undo()
        assert one.core.settings.system_prompt == one.core.session.conversation.system_prompt


async def test_what_was_typed_as_the_prompt_stays_with_the_chat_before_another_one_is_taken(
    tmp_path,
):
    async with desk(tmp_path) as one:
        one.core.session.change(lambda chat: chat.add_user("x"))
        one.core.settings.set_prompt("typed")
        one.core.session.replace_prompt("from the library")
        assert one.core.session.conversation.system_prompt == "typed"
        assert one.core.settings.system_prompt == "from the library"


async def test_there_is_nothing_to_undo_or_redo_in_a_new_chat(tmp_path):
    async with desk(tmp_path) as one:
        assert one.core.session.undo() == ""
        assert one.core.session.redo() == ""
        one.core.session.change(lambda chat: chat.add_user("x"))
        assert one.core.session.undo()
        assert one.texts == []
        assert one.core.session.redo()
        assert one.texts == ["x"]


async def test_a_temporary_chat_is_never_written(tmp_path):
    async with desk(tmp_path) as one:
        one.core.session.open(Loaded(Conversation()), temporary=True)
        one.core.session.change(lambda chat: chat.add_user("secret"))
        assert await one.core.session.save() is False
        await one.load()
        await one.say("more")
        await one.still()
        assert not list((tmp_path / "chats").glob("*.json*"))


async def test_the_chat_that_is_left_gives_its_lock_back(tmp_path):
    async with desk(tmp_path) as one:
        session = one.core.session
        session.change(lambda chat: chat.add_user("x"))
        await one.still()
        left = session.conversation.id
        session.open(Loaded(Conversation()))
        await one.still()
        assert not one.store.load(left).read_only


async def test_a_chat_whose_file_another_window_has_written_becomes_one_of_its_own(tmp_path):
    async with desk(tmp_path) as one:
        session = one.core.session
        session.change(lambda chat: chat.add_user("x"))
        await one.still()
        (file,) = (tmp_path / "chats").glob("*.json")
        file.write_text(file.read_text().replace('"x"', '"theirs"') + " ")
        before = session.conversation.id
        session.change(lambda chat: chat.add_user("mine"), saves=False)
        assert await session.save()
        assert session.conversation.id != before
        assert "theirs" in file.read_text()
        assert one.texts == ["x", "mine"]


async def test_two_saves_that_meet_the_same_conflict_make_one_copy(tmp_path):
    async with desk(tmp_path) as one:
        session = one.core.session
        session.change(lambda chat: chat.add_user("x"))
        await one.still()
        (file,) = (tmp_path / "chats").glob("*.json")
        file.write_text(file.read_text().replace('"x"', '"theirs"') + " ")
        before = session.conversation.id
        first = one.core.writer.run(lambda: None)
        session.change(lambda chat: chat.add_user("mine"), saves=False)
        saves = [session.save()]
        one.core.writer.run(lambda: None)
        session.change(lambda chat: chat.add_user("more"), saves=False)
        saves.append(session.save())
        assert [await save for save in saves] == [True, True]
        await one.still()
        assert first.done()
        assert session.is_open(before)
        assert len(list((tmp_path / "chats").glob("*.json"))) == 2
        assert one.texts == ["x", "mine", "more"]


async def test_a_rename_is_heard_of_and_one_from_the_list_of_chats_taken_over(tmp_path):
    async with desk(tmp_path) as one:
        session = one.core.session
        heard: list[Changed] = []
        session.changed.listen(heard.append)
        session.rename("A  title\n")
        assert session.conversation.title == "A title"
        session.take_facts(session.conversation.rename("Another"))
        assert session.conversation.title == "Another"
        session.take_facts(Conversation().rename("of some other chat"))
        assert session.conversation.title == "Another"
        assert {one.change for one in heard} == {Change.TITLE}


async def test_another_chat_brings_its_settings_along(tmp_path):
    chat = chat_of("x").with_settings({"config": {"top_k": 7}, "template": {"thinking": False}})
    async with desk(tmp_path) as one:
        one.core.settings.set({"top_k": 3})
        one.core.session.open(Loaded(chat.set_system_prompt("theirs")))
        assert one.core.settings.parameters == {"top_k": 7}
        assert one.core.settings.template == {"thinking": False}
        assert one.core.settings.system_prompt == "theirs"


async def test_a_reply_that_ends_changes_the_turn_that_it_was_written_into(tmp_path):
    async with desk(tmp_path) as one:
        await one.load()
        heard: list[Changed] = []
        one.core.session.changed.listen(heard.append)
        await one.say("hi")
        last = one.core.session.conversation.path[-1]
        assert last.status is Status.COMPLETE
        assert heard[-1] == Changed(Change.TURN, last.id)


async def test_what_is_set_after_the_last_reply_is_kept_with_the_chat(tmp_path):
    async with desk(tmp_path) as one:
        session, settings = one.core.session, one.core.settings
        session.change(lambda chat: chat.add_user("hello"))
        settings.set({"temperature": 0.4})
        saved = session.conversation.id
        session.open(Loaded(Conversation(settings={"config": {"temperature": 1.0}})))
        await one.still()
        session.open(Loaded(one.store.load(saved).conversation))
        assert dict(settings.parameters) == {"temperature": 0.4}


async def test_a_chat_with_nothing_set_does_not_take_over_what_the_chat_before_had(tmp_path):
    async with desk(tmp_path) as one:
        one.core.settings.set({"temperature": 0.4})
        one.core.session.open(Loaded(Conversation(settings={"config": {}})))
        assert dict(one.core.settings.parameters) == {}


async def test_the_switches_of_the_chat_before_do_not_hold_in_one_with_none(tmp_path):
    async with desk(tmp_path) as one:
        one.core.settings.set_switch("enable_thinking", False)
        one.core.session.open(Loaded(Conversation(settings={"config": {}, "template": {}})))
        assert dict(one.core.settings.template) == {}


async def test_a_chat_that_is_read_only_is_not_written_when_something_is_set(tmp_path):
    async with desk(tmp_path, opened=Loaded(chat_of("theirs"), read_only=True)) as one:
        one.core.settings.set({"temperature": 0.4})
        await one.still()
        assert not list((tmp_path / "chats").glob("*.json"))
        assert one.person.told == []
