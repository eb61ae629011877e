"""Files of other tools: what each example holds."""

from __future__ import annotations

from pathlib import Path

import pytest

from tui.conversation import (
    Conversation,
    FilePart,
    ImagePart,
    Status,
    TextPart,
    ToolCallPart,
    ToolResultPart,
    codec,
)
from tui.conversation.formats import (
    FORMATS,
    Imported,
    import_text,
)
from tui.conversation.formats.identity import content_id

EXAMPLES = Path(__file__).parents[1] / "examples"
NAMES = sorted(path.name for path in EXAMPLES.iterdir())

FORMAT_OF = {
    "chat_tui.json": "chat-tui",
    "chatgpt.json": "chatgpt",
    "claude.json": "claude",
    "deepseek.json": "chatgpt",
    "gemini_studio.json": "gemini",
    "gemini_takeout.json": "gemini",
    "jan.jsonl": "jan",
    "llama_cpp.jsonl": "llama.cpp",
    "lm_studio_today.json": "lm-studio",
    "open_webui_output.json": "open-webui",
    "openai_responses.json": "openai",
    "silly_tavern.jsonl": "silly-tavern",
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
    "chatbox.json": "openai",
    "cherry_studio.json": "openai",
    "grok.json": "openai",
    "kobold.json": "kobold",
    "langchain.json": "openai",
    "le_chat.json": "openai",
    "libre_chat.json": "openai",
    "pairs.jsonl": "pairs",
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
def test_a_chat_is_known_again_by_what_is_said_in_it(name):
    chat = chat_of(name)
    assert chat.id == chat_of(name).id
    assert len(chat.id) == 32
    assert set(chat.id) <= set("0123456789abcdef")
    assert chat.rename("Another title").id == chat.id
    others = {
        content_id(chat.set_system_prompt("Else.")),
        content_id(chat.edit(chat.path[0].id, "something else")),
        content_id(chat.add_user("more")),
    }
    assert len(others | {chat.id}) == 4


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
        ("a", ""),
        ("t", "a cat"),
        ("a", "A cat upon a mat."),
    ]
    assert chat.path[-1].reasoning == "It is a cat."
    assert chat.settings == {"model_id": "some-model"}
    assert set(imported.problems) == {
        "Left out: image contents (1)",
    }
    assert chat.path[1].parts == (ToolCallPart("call_1", "look", "{}"),)


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
    assert imported.problems == ("Left out: attachments (1)",)


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
    assert chat.path[2].others == (ImagePart(name="f"),)
    assert imported.problems == ()


@pytest.mark.parametrize("name", ["llama_cpp.json", "llama_cpp_single.json"])
def test_llama_cpp_keeps_the_tree(name):
    chat = chat_of(name)
    assert chat.system_prompt == "You bake."
    assert said(chat) == [("u", "How long does rye bread bake?"), ("a", "Longer.")]
    assert chat.path[1].reasoning == "rye is dense"
    other = chat.select(chat.children(None)[0].id)
    assert said(other) == [("u", "How long does bread bake?"), ("a", "An hour.")]
    assert chat.path[0].others == (FilePart("a.txt", "x"),)
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
        ("a", "Done: o"),
    ]
    assert [turn.text for turn in chat.variants(chat.path[1].id)] == ["Mars", "Venus"]
    assert chat.path[1].reasoning == "Choosing\n\nMars or Venus"
    assert chat.path[1].generation.model == "gpt-4o"
    assert chat.path[2].others == (ImagePart(extra={"url": "file-service://x"}),)
    assert chat.path[4].parts == (ToolResultPart("", "", "o"), TextPart("Done: o"))
    assert (chat.title, chat.created_at) == ("Planets", 1730000000.1)
    assert set(imported.problems) == {
        "Left out: custom instructions (1)",
        "Left out: chats without messages (1)",
    }


def test_claude_keeps_the_tree_with_tools_and_pasted_texts():
    imported = read("claude.json")
    (chat,) = imported.conversations
    assert said(chat) == [("u", "Why do bees dance?"), ("a", "Let me look.\nTo show the way.")]
    assert chat.path[1].reasoning == "The waggle dance."
    assert chat.path[0].others == (FilePart("paste.txt", "text"),)
    assert chat.path[1].parts[1:] == (
        TextPart("Let me look."),
        ToolCallPart("", "web_search", {"query": "bees"}),
        ToolResultPart("", "web_search", "..."),
        TextPart("To show the way."),
    )
    assert chat.variants(chat.path[1].id)[0].text == "First idea."
    assert (chat.title, chat.created_at) == ("Bees", 1767323045.679)
    assert imported.problems == (
        "Left out: attachments (1)",
        "Left out: chats without messages (1)",
    )


def test_a_thread_of_jan():
    imported = read("jan.jsonl")
    (chat,) = imported.conversations
    assert said(chat) == [
        ("u", "What is a jay?"),
        ("a", "A bird of the crow family."),
        ("u", "Thanks"),
        ("a", "Any time."),
    ]
    assert [turn.reasoning for turn in chat.path] == ["", "A bird.", "", "polite"]
    assert imported.problems == ("Left out: image contents (1)",)


def test_swipes_of_silly_tavern_become_variants():
    imported = read("silly_tavern.jsonl")
    (chat,) = imported.conversations
    assert said(chat) == [("a", "Ahoy!"), ("u", "Where do we sail?"), ("a", "South, I say.")]
    assert (chat.path[2].reasoning, chat.path[2].generation.model) == ("The wind.", "m-2")
    assert [turn.text for turn in chat.variants(chat.path[2].id)][:2] == ["North.", "South."]
    assert (chat.title, chat.created_at) == ("Captain", 1767349230)
    assert imported.problems == (
        "Left out: images (1)",
        "Left out: hidden messages (1)",
    )


def test_a_prompt_of_ai_studio():
    imported = read("gemini_studio.json")
    (chat,) = imported.conversations
    assert chat.system_prompt == "Be short."
    assert said(chat) == [
        ("u", "What is rain?"),
        ("u", ""),
        ("a", "Water from clouds."),
        ("a", ""),
    ]
    assert [turn.parts for turn in chat.path[1::2]] == [
        (ImagePart(),),
        (ToolCallPart("", "code", "1"),),
    ]
    assert chat.path[2].reasoning == "Water falls."
    assert chat.settings == {"model_id": "gemini-2.5-pro"}
    assert imported.problems == ("Left out: image contents (1)",)


def test_questions_of_one_sitting_become_a_chat_of_gemini():
    imported = read("gemini_takeout.json")
    first, second = imported.conversations
    assert said(first) == [("u", "Hello")]
    assert said(second) == [
        ("u", "What is the moon?"),
        ("a", "A rock."),
        ("u", "And the sun?"),
        ("a", "A **star**.\n\n```\nx < 1\n  y\n```\n\n- hot\n- big"),
    ]
    assert "half an hour" in imported.problems[0]
    assert set(imported.problems[1:]) == {
        "Left out: attachments (1)",
        "Left out: activities that aren't questions (1)",
        "Left out: activities outside Gemini (1)",
    }


def test_llama_cpp_of_today_writes_lines_one_session_after_another():
    imported = read("llama_cpp.jsonl")
    tea, milk = imported.conversations
    assert said(tea) == [("u", "How hot is tea?"), ("a", "Eighty.")]
    other = tea.variants(tea.path[1].id)[0]
    assert (other.text, other.reasoning) == ("Ninety degrees.", "Green or black?")
    assert (tea.title, milk.title) == ("Tea", "Milk")
    assert tea.updated_at == 1780000050
    assert tea.path[0].others == (FilePart("a.txt", "x"),)
    assert isinstance(other.others[0], ToolCallPart)
    assert imported.problems == ()


def test_lm_studio_of_today_answers_in_steps():
    imported = read("lm_studio_today.json")
    (chat,) = imported.conversations
    assert said(chat) == [("u", "How many files?"), ("a", "There are 12.")]
    assert chat.path[0].others == (ImagePart(name="1.png"),)
    assert chat.path[1].reasoning == "Count them."
    assert chat.path[1].parts[1:] == (
        ToolCallPart("1", "list", {}),
        ToolResultPart("1", "", "12"),
        TextPart("There are 12."),
    )
    assert imported.problems == ()


def test_open_webui_of_today_keeps_replies_in_their_output():
    imported = read("open_webui_output.json")
    (chat,) = imported.conversations
    assert said(chat) == [
        ("u", "When does water boil?"),
        ("a", "At 100 degrees."),
        ("u", "And high up?"),
        ("a", "At 70 degrees."),
    ]
    assert chat.path[1].reasoning == "Physics."
    assert imported.problems == ("Left out: code blocks run by tools (1)",)
    assert chat.path[3].parts == (
        ToolCallPart("c", "height", "{}"),
        ToolResultPart("c", "", "8849"),
        TextPart("At 70 degrees."),
    )


def test_items_of_the_responses_api():
    imported = read("openai_responses.json")
    (chat,) = imported.conversations
    assert chat.system_prompt == "Be exact."
    assert said(chat) == [("u", "Who founded the firm?"), ("a", "Two sisters did.")]
    assert chat.path[1].reasoning == "Looking it up.\n\nTwo names."
    assert imported.problems == (
        "Left out: image contents (1)",
        "Left out: tool calls (1)",
    )
    assert chat.path[1].others == (
        ToolCallPart("c", "lookup", "{}"),
        ToolResultPart("c", "", "two sisters"),
    )


def test_deepseek_is_read_as_chatgpt_is():
    (chat,) = read("deepseek.json").conversations
    assert said(chat) == [("u", "Is 7 a prime?"), ("a", "Yes.")]
    assert chat.path[1].reasoning == "2, 3, 5: none."
    assert chat.path[1].generation.model == "deepseek-reasoner"
    assert chat.created_at == 1778022489
