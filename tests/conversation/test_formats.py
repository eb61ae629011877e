"""Files of other tools: what each example holds, what is written, and what becomes of broken and hostile ones."""

from __future__ import annotations

import json
import random
from pathlib import Path

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from tests.conversation.strategies import JSON, chats
from tui.conversation import Conversation, Generation, Status, codec, from_messages
from tui.conversation.formats import (
    FORMATS,
    ChatFormatError,
    Imported,
    export_text,
    import_text,
    selection_of,
)

EXAMPLES = Path(__file__).parent / "examples"
NAMES = sorted(path.name for path in EXAMPLES.iterdir())

FORMAT_OF = {
    "chat_tui.json": "chat-tui",
    "chatgpt.json": "chatgpt",
    "llama_cpp.json": "llama.cpp",
    "llama_cpp_single.json": "llama.cpp",
    "lm_studio.json": "lm-studio",
    "open_webui.json": "open-webui",
    "open_webui_old.json": "open-webui",
    "openai.json": "openai",
    "openai.jsonl": "openai",
    "openai_bare.json": "openai",
    "sharegpt.json": "sharegpt",
    "sharegpt.jsonl": "sharegpt",
    "sharegpt_list.json": "sharegpt",
    "text_generation_webui.json": "text-generation-webui",
    "text_generation_webui_old.json": "text-generation-webui",
    "transformers_4.json": "transformers",
    "transformers_5.json": "transformers",
}


def read(name: str) -> Imported:
    return import_text((EXAMPLES / name).read_bytes())


def chat_of(name: str, index: int = 0) -> Conversation:
    return read(name).conversations[index]


def said(chat: Conversation) -> list[tuple[str, str]]:
    return [(turn.role[0], turn.text) for turn in chat.path]


def assert_sound(chat: Conversation, *, ours: bool = False) -> None:
    """A chat is one tree, and its variants have an order; in a file of ours that was tampered with, times may be equal."""
    reached = {t.id for turn in chat.children(None) for t in (turn, *chat.descendants(turn.id))}
    assert reached == set(chat.turns)
    for parent in (None, *chat.turns):
        times = [turn.created_at for turn in chat.children(parent)]
        assert times == sorted(times if ours else set(times))
    decoded = codec.loads(codec.dumps(chat))
    assert decoded.problems == ()
    assert len(decoded.conversation.turns) == len(chat.turns)


# -- what each example holds


def test_there_is_an_example_of_every_format_that_can_be_read():
    assert FORMAT_OF.keys() == set(NAMES)
    readable = {name for name, known in FORMATS.items() if known.read} - {"openai-jsonl"}
    assert set(FORMAT_OF.values()) == readable


@pytest.mark.parametrize("name", NAMES)
def test_an_example_is_recognised_and_read(name):
    imported = read(name)
    assert imported.format is FORMATS[FORMAT_OF[name]]
    for chat in imported.conversations:
        assert chat.path
        assert_sound(chat)


@pytest.mark.parametrize("name", NAMES)
def test_every_import_is_a_chat_of_its_own(name):
    assert chat_of(name).id != chat_of(name).id
    assert set(chat_of(name).id) <= set("0123456789abcdef")


def test_our_own_file_keeps_branches_history_and_what_made_a_reply():
    chat = chat_of("chat_tui.json")
    assert said(chat) == [("u", "What is 3+3?"), ("a", "Si")]
    assert chat.path[1].status is Status.STOPPED
    assert len(chat.turns) == 4
    assert chat.redo().title == "Sums"
    first = chat.select(chat.children(None)[0].id)
    assert said(first) == [("u", "What is 2+2?"), ("a", "Four.")]
    assert first.path[1].generation.parameters["seed"] == 7


def test_transformers_chat():
    chat = chat_of("transformers_5.json")
    assert chat.system_prompt == "Be brief."
    assert said(chat) == [("u", "What is 2+2?"), ("a", "4"), ("u", "And 3+3?"), ("a", "6")]
    assert chat.path[1].reasoning == "Two and two."
    assert chat.settings["model_id"] == "HuggingFaceTB/SmolLM2-135M-Instruct"
    assert chat.settings["config"]["temperature"] == 0.7


def test_transformers_chat_before_5_0():
    chat = chat_of("transformers_4.json")
    assert said(chat) == [("u", "Grüße"), ("a", "Hallo!")]
    assert chat.settings["model_id"] == "Qwen/Qwen3-0.6B"
    assert chat.settings["config"]["max_new_tokens"] == 256


def test_openai_messages():
    imported = read("openai.json")
    chat = imported.conversations[0]
    assert chat.system_prompt == "Answer in verse."
    assert said(chat) == [
        ("u", "What is in\nthis picture?"),
        ("t", "a cat"),
        ("a", "A cat upon a mat."),
    ]
    assert chat.path[-1].reasoning == "It is a cat."
    assert chat.settings == {"model_id": "some-model"}
    assert set(imported.problems) == {"1 × an image was left out", "1 × a tool call was left out"}


def test_a_bare_list_of_messages():
    chat = chat_of("openai_bare.json")
    assert said(chat) == [("u", "ping"), ("a", "pong")]
    assert chat.path[1].reasoning == "easy"


def test_json_lines_hold_one_chat_a_line():
    first, second = read("openai.jsonl").conversations
    assert first.system_prompt == "You are a poet."
    assert said(first) == [("u", "Hi"), ("a", "Oh, hi")]
    assert said(second) == [("u", "Bye"), ("a", "Farewell\u2028friend")]


def test_sharegpt():
    chat = chat_of("sharegpt.json")
    assert chat.system_prompt == "Be kind."
    assert said(chat) == [("u", "Hello"), ("a", "Hi there")]
    assert chat.path[1].reasoning == "greet"
    assert [len(chat.path) for chat in read("sharegpt_list.json").conversations] == [2, 4]
    assert chat_of("sharegpt_list.json", 1).system_prompt == "S"
    assert [chat.title for chat in read("sharegpt.jsonl").conversations] == ["eins", "zwei"]


def test_text_generation_webui_versions_become_variants():
    chat = chat_of("text_generation_webui.json")
    assert said(chat) == [
        ("a", "How can I help you today?"),
        ("u", "Is 1 < 2?"),
        ("a", "Yes, 1 < 2."),
        ("u", "Sure?"),
        ("a", "Quite."),
    ]
    assert [turn.text for turn in chat.variants(chat.path[2].id)] == ["No.", "Yes, 1 < 2."]
    assert said(chat_of("text_generation_webui_old.json")) == [("u", "Hi"), ("a", "Hello")]


def test_open_webui_keeps_the_tree():
    imported = read("open_webui.json")
    chat = imported.conversations[0]
    assert said(chat) == [
        ("u", "Tell a joke"),
        ("a", "A horse walks into a bar."),
        ("u", "Another"),
        ("a", "No."),
    ]
    assert chat.path[1].reasoning == "is it\n1 < 2"
    assert chat.variants(chat.path[1].id)[0].text == "Knock knock"
    assert [t.generation.model for t in chat.variants(chat.path[1].id)] == ["llama3:8b", "qwen3:4b"]
    assert (chat.title, chat.system_prompt) == ("Jokes 😀", "Be funny.")
    assert (chat.created_at, chat.updated_at) == (1750000000, 1750000030)
    assert imported.problems == ("1 × an attachment was left out",)


def test_open_webui_without_the_wrapper_shows_its_current_message():
    chat = chat_of("open_webui_old.json")
    assert said(chat) == [("u", "Tell a joke"), ("a", "Knock knock")]
    assert len(chat.turns) == 5


def test_lm_studio_versions_become_variants():
    imported = read("lm_studio.json")
    chat = imported.conversations[0]
    assert said(chat) == [("u", "Pick a number"), ("a", "7"), ("u", "Why?"), ("a", "Because.")]
    assert chat.path[1].reasoning == "seven?"
    assert chat.path[1].generation.model == "qwen3-4b"
    assert [turn.text for turn in chat.variants(chat.path[1].id)] == ["7", "9"]
    assert (chat.title, chat.system_prompt) == ("Numbers", "Be a dice.")
    assert chat.created_at == 1740000000
    assert imported.problems == ("1 × an attachment was left out",)


@pytest.mark.parametrize("name", ["llama_cpp.json", "llama_cpp_single.json"])
def test_llama_cpp_keeps_the_tree(name):
    chat = chat_of(name)
    assert chat.system_prompt == "You bake."
    assert said(chat) == [("u", "How long does rye bread bake?"), ("a", "Longer.")]
    assert chat.path[1].reasoning == "rye is dense"
    other = chat.select(chat.children(None)[0].id)
    assert said(other) == [("u", "How long does bread bake?"), ("a", "An hour.")]
    assert chat.title == "Bread"
    assert chat.path[0].created_at == 1760000003


def test_llama_cpp_lists_hold_many_chats():
    assert len(read("llama_cpp.json").conversations) == 2
    assert chat_of("llama_cpp.json", 1).path[1].reasoning == "hm"


def test_chatgpt_keeps_the_tree_and_skips_hidden_nodes_without_breaking_it():
    imported = read("chatgpt.json")
    (chat,) = imported.conversations
    assert said(chat) == [
        ("u", "Name a planet"),
        ("a", "Mars"),
        ("u", "Draw it"),
        ("a", "```python\nprint('o')\n```"),
        ("t", "o"),
        ("a", "Done: o"),
    ]
    assert [turn.text for turn in chat.variants(chat.path[1].id)] == ["Mars", "Venus"]
    assert chat.path[1].reasoning == "Choosing\n\nMars or Venus"
    assert chat.path[1].generation.model == "gpt-4o"
    assert (chat.title, chat.created_at) == ("Planets", 1730000000.1)
    assert set(imported.problems) == {
        "1 × an image was left out",
        "1 × a chat without messages was left out",
    }


# -- writing


@pytest.fixture
def chat() -> Conversation:
    chat = from_messages(
        [
            {"role": "system", "content": "Be brief."},
            {"role": "user", "content": "one?\n```python\nprint(1)"},
            {"role": "assistant", "content": "1", "reasoning_content": "count"},
            {"role": "user", "content": "two? \ud800\x1b[31m"},
        ]
    )
    chat = chat.begin_reply(chat.path[-1].id, Generation(model="tiny"))
    return chat.finish(chat.path[-1].id, Status.STOPPED, text="# 2")


@pytest.mark.parametrize(
    "name", [name for name, known in FORMATS.items() if known.write and known.read]
)
@given(many=st.lists(chats(), min_size=1, max_size=3))
@settings(deadline=None, max_examples=30)
def test_what_is_written_is_read_back(name, many):
    many = [chat for chat in many if chat.messages()]
    words = [word for chat in many for turn in messages(chat) for word in turn]
    # Reasoning that stands in the text has tests of its own.
    assume(many and not any("think" in word for word in words))
    data = export_text(many, FORMATS[name]).encode()
    imported = import_text(data)
    assert imported.format.name == name.removesuffix("-jsonl")
    before = [json.loads(json.dumps(messages(chat))) for chat in many]
    assert [messages(chat) for chat in imported.conversations] == before


def messages(chat: Conversation) -> list[list[str]]:
    """What was said; a format that keeps reasoning in the text can't tell the line ends between the two apart."""
    return [
        [message.role, message.content.lstrip("\r\n"), message.reasoning.strip()]
        for message in chat.messages()
    ]


def test_reasoning_survives_where_the_format_has_no_field_for_it():
    chat = from_messages([{"role": "assistant", "content": "4", "reasoning_content": "2\n+ 2"}])
    (again,) = import_text(export_text([chat], FORMATS["sharegpt"]).encode()).conversations
    assert (again.path[0].reasoning, again.path[0].text) == ("2\n+ 2", "4")


@pytest.mark.parametrize("name", [name for name, known in FORMATS.items() if known.write])
def test_every_export_can_be_written_as_utf_8(name, chat):
    assert export_text([chat], FORMATS[name]).encode()


@pytest.mark.parametrize("name", [name for name, known in FORMATS.items() if not known.write])
def test_an_import_only_format_says_so(name, chat):
    with pytest.raises(ChatFormatError, match="can be read but not written"):
        export_text([chat], FORMATS[name])


def test_our_own_format_keeps_every_branch(chat):
    branched = chat.edit(chat.path[0].id, "uno?")
    (again,) = import_text(export_text([branched], FORMATS["chat-tui"]).encode()).conversations
    assert again.turns.keys() == branched.turns.keys()
    assert again.can_undo


def test_the_transformers_export_has_its_keys(chat):
    written = json.loads(export_text([chat], FORMATS["transformers"]))
    assert written.keys() == {"settings", "chat_history"}
    assert written["chat_history"][0] == {"role": "system", "content": "Be brief."}


def test_json_lines_are_one_line_for_each_chat(chat):
    text = export_text([chat, chat], FORMATS["openai-jsonl"])
    assert [len(json.loads(line)["messages"]) for line in text.splitlines()] == [5, 5]


def test_markdown_shows_who_said_what_and_keeps_an_open_fence_to_its_turn(chat):
    text = export_text([chat], FORMATS["markdown"])
    assert text.startswith("# one?")
    assert "## System prompt\n\nBe brief." in text
    assert "print(1)\n```\n\n## Assistant" in text
    assert "> **Reasoning**\n>\n> count" in text
    assert "## Assistant (tiny, stopped)\n\n# 2" in text
    assert "\x1b" not in text


def test_plain_text_holds_the_words_and_no_control_characters(chat):
    text = export_text([chat], FORMATS["text"])
    assert "User:\none?" in text
    assert "[reasoning]\ncount\n[/reasoning]\n1" in text
    assert "two? \ufffd␛[31m" in text


def test_a_selection_is_written_alone_and_in_order(chat):
    chosen = {chat.path[3].id, chat.path[0].id, "nowhere"}
    text = export_text([chat], FORMATS["openai"], chosen)
    assert [entry["content"] for entry in json.loads(text)["messages"]] == [
        chat.path[0].text,
        "# 2",
    ]
    assert [turn.id for turn in selection_of(chat, chosen).path] == [
        chat.path[0].id,
        chat.path[3].id,
    ]


def test_an_empty_selection_is_refused(chat):
    with pytest.raises(ChatFormatError, match="nothing to export"):
        export_text([chat], FORMATS["markdown"], {"nowhere"})
    with pytest.raises(ChatFormatError, match="nothing to export"):
        export_text([], FORMATS["markdown"])


# -- broken and hostile files


def open_webui(messages: dict, current: str | None = None) -> bytes:
    history = {"messages": messages, "currentId": current}
    return json.dumps([{"chat": {"history": history}}]).encode()


def test_a_chain_of_5000_messages_needs_no_recursion():
    nodes = {
        str(n): {
            "id": str(n),
            "parentId": str(n - 1) if n else None,
            "role": "user",
            "content": "x",
        }
        for n in range(5000)
    }
    (chat,) = import_text(open_webui(nodes, "4999")).conversations
    assert len(chat.path) == 5000


def test_a_chain_of_hidden_nodes_is_passed_over():
    mapping = {str(n): {"parent": str(n - 1) if n else None, "message": None} for n in range(3000)}
    mapping["end"] = {
        "parent": "2999",
        "message": {"author": {"role": "user"}, "content": {"parts": ["x"]}},
    }
    (chat,) = import_text(json.dumps([{"mapping": mapping}]).encode()).conversations
    assert said(chat) == [("u", "x")]


def test_messages_in_a_loop_are_all_reachable():
    nodes = {
        "a": {"parentId": "b", "role": "user", "content": "a"},
        "b": {"parentId": "a", "role": "assistant", "content": "b"},
        "c": {"parentId": "c", "role": "user", "content": "c"},
    }
    imported = import_text(open_webui(nodes, "b"))
    assert len(imported.conversations[0].turns) == 3
    assert_sound(imported.conversations[0])
    assert imported.problems


def test_a_message_whose_parent_is_missing_is_kept():
    nodes = {"a": {"parentId": "gone", "role": "user", "content": "a"}}
    imported = import_text(open_webui(nodes, "nowhere"))
    assert said(imported.conversations[0]) == [("u", "a")]
    assert imported.problems


def test_siblings_at_one_time_stay_in_the_files_order():
    nodes = {"u": {"parentId": None, "role": "user", "content": "u", "childrenIds": list("cab")}}
    nodes |= {
        key: {"parentId": "u", "role": "assistant", "content": key, "timestamp": 1750000000}
        for key in "abc"
    }
    (chat,) = import_text(open_webui(nodes)).conversations
    assert [turn.text for turn in chat.children(chat.path[0].id)] == ["c", "a", "b"]
    assert_sound(chat)


def test_a_broken_line_does_not_lose_the_others():
    data = (EXAMPLES / "openai.jsonl").read_bytes() + b'{"messages": [{"ro\n'
    imported = import_text(data)
    assert len(imported.conversations) == 2
    assert imported.problems == ("1 × a line that is not complete JSON was left out",)


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16"])
def test_a_byte_order_mark_is_no_obstacle(encoding):
    text = (EXAMPLES / "transformers_4.json").read_text(encoding="utf-8")
    assert said(import_text(text.encode(encoding)).conversations[0])[0] == ("u", "Grüße")


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b" \n",
        b"\x00\xff\xfe",
        b"hello",
        b"{",
        b"[]",
        b"{}",
        b"3",
        b"null",
        b"[3, [], {}]",
        b'{"messages": []}',
        b'[{"conversations": [{"from": "human"}]}, 3]x',
        b'{"mapping": {}}',
        b'{"internal": [], "visible": []}',
        b"[" * 200_000,
        b'{"messages":' * 50_000,
        b'[{"messages": [{"role": "user", "content": ' + b"[" * 900 + b"]" * 900 + b"}]}",
        b"9" * 5000,
    ],
)
def test_what_holds_no_chat_is_refused_with_a_sentence(data):
    with pytest.raises(ChatFormatError) as caught:
        import_text(data)
    assert str(caught.value)


@given(JSON)
def test_any_json_is_read_or_refused(value):
    read_or_refuse(json.dumps(value).encode())


@given(st.binary(max_size=200))
def test_any_bytes_are_read_or_refused(data):
    read_or_refuse(data)


def read_or_refuse(data: bytes) -> bool:
    try:
        imported = import_text(data)
    except ChatFormatError:
        return False
    assert imported.conversations
    for chat in imported.conversations:
        assert_sound(chat, ours=imported.format is FORMATS["chat-tui"])
    return True


HOSTILE = [
    None, True, 0, -1, 1e308, 10**30, float("nan"), "", "\ud800", "../../etc/passwd", "\x1b]0;x\x07",
    [], {}, [None], [[]], {"": None}, {"role": None}, [{"versions": [None]}], "<think>", [["a"]],
]  # fmt: skip


def mutated(document, rng: random.Random):
    """Return the document with something in it replaced, taken out, doubled or moved elsewhere."""
    places: list[tuple[object, object]] = []

    def collect(value):
        for key in list(value) if isinstance(value, dict) else range(len(value)):
            places.append((value, key))
            if isinstance(value[key], dict | list):
                collect(value[key])

    collect(document)
    for _ in range(rng.randint(1, 4)):
        holder, key = rng.choice(places)
        other, elsewhere = rng.choice(places)
        kind = rng.randrange(4)
        try:
            if kind == 0:
                holder[key] = rng.choice(HOSTILE)
            elif kind == 1:
                del holder[key]
            elif kind == 2:
                holder[key] = json.loads(json.dumps(other[elsewhere]))
            elif isinstance(holder, list):
                holder.append(rng.choice(HOSTILE))
            else:
                holder[rng.choice(["id", "parent", "role", "content", "x"])] = rng.choice(HOSTILE)
        except (KeyError, IndexError):
            continue
    return document


@pytest.mark.parametrize("name", NAMES)
def test_a_corpus_of_broken_files_is_read_or_refused(name):
    """60 files for each example, over 1,000 in all: broken in their values, cut off, and with bytes changed."""
    data = (EXAMPLES / name).read_bytes()
    rng = random.Random(name)
    outcomes = []
    for number in range(60):
        if number % 3 == 0 and not name.endswith(".jsonl"):
            broken = json.dumps(mutated(json.loads(data), rng)).encode()
        elif number % 3 == 1:
            broken = data[: rng.randrange(len(data))]
        else:
            changed = bytearray(data)
            for _ in range(rng.randint(1, 8)):
                changed[rng.randrange(len(changed))] = rng.choice(b'{}[]",:x0\xff\\')
            broken = bytes(changed)
        outcomes.append(read_or_refuse(broken))
    assert not all(outcomes)
    assert any(outcomes)
