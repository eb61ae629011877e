"""What tools write today, one small input of each: who said what in it, and what is said to be left out."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.conversation.formats.test_examples import EXAMPLES, NAMES
from tui.conversation import Conversation
from tui.conversation.formats import ChatFormatError, Imported, NoChatError, import_text

USER = {"role": "user", "content": "Q"}
REPLY = {"role": "assistant", "content": "A"}
BOTH = ["u Q", "a A"]


def read(document: Any) -> Imported:
    return import_text(json.dumps(document).encode())


def lines(*values: Any) -> bytes:
    return "\n".join(map(json.dumps, values)).encode()


def said(chat: Conversation) -> list[str]:
    return [
        f"{turn.role[0]} {turn.gist}" + (f" [{turn.reasoning}]" if turn.reasoning else "")
        for turn in chat.path
    ]


def libre(key: str, text: str, *children: Any) -> dict[str, Any]:
    return {
        "messageId": key,
        "sender": "User" if text.startswith("Q") else "Claude",
        "isCreatedByUser": text.startswith("Q"),
        "text": text,
        "children": list(children),
    }


def oasst(key: str, role: str, text: str, *replies: Any) -> dict[str, Any]:
    return {"message_id": key, "role": role, "text": text, "replies": list(replies)}


def grok(sender: str, text: str, at: int, **more: Any) -> dict[str, Any]:
    created = {"$date": {"$numberLong": str(at)}}
    return {
        "response": {"sender": sender, "message": text, "create_time": created, "_id": str(at)}
        | more
    }


KOBOLD = {"gamestarted": True, "memory": "", "worldinfo": []}

WORLD: dict[str, tuple[Any, list[str], tuple[str, ...]]] = {
    "LibreChat, each message in the one before": (
        {"title": "T", "messages": [libre("1", "Q", libre("2", "A", libre("3", "Q2")))]},
        [*BOTH, "u Q2"],
        (),
    ),
    "LibreChat, a sender called as the model": (
        {"messages": [libre("1", "Q"), libre("2", ":::thinking\nhm\n:::\n\nA")]},
        ["u Q", "a A [hm]"],
        (),
    ),
    "Open Assistant, a tree of replies": (
        [{"prompt": oasst("1", "prompter", "Q", oasst("2", "assistant", "A"))}],
        BOTH,
        (),
    ),
    "Le Chat, chunks beside an empty content": (
        [
            {"role": "user", "content": "", "contentChunks": [{"type": "text", "text": "Q"}]},
            {"role": "assistant", "content": "A", "contentChunks": [{"type": "text", "text": "A"}]},
        ],
        BOTH,
        (),
    ),
    "Chatbox": (
        {
            "session:1": {
                "name": "T",
                "messages": [
                    {"role": "user", "contentParts": [{"type": "text", "text": "Q"}]},
                    {
                        "role": "assistant",
                        "contentParts": [
                            {"type": "reasoning", "text": "hm"},
                            {"type": "text", "text": "A"},
                        ],
                    },
                ],
            }
        },
        ["u Q", "a A [hm]"],
        (),
    ),
    "Grok": (
        {
            "conversations": [
                {
                    "conversation": {"title": "T"},
                    "responses": [
                        grok("human", "Q", 1767261600000),
                        grok("ASSISTANT", "A", 1767261601000, thinking_trace="hm"),
                    ],
                }
            ]
        },
        ["u Q", "a A [hm]"],
        (),
    ),
    "Perplexity": (
        {"conversations": [{"title": "T", "entries": [{"query_str": "Q", "answer": "A"}]}]},
        BOTH,
        (),
    ),
    "TypingMind": ({"data": {"chats": [{"chatTitle": "T", "messages": [USER, REPLY]}]}}, BOTH, ()),
    "BetterChatGPT": (
        {"version": 1, "chats": [{"title": "T", "messages": [USER, REPLY]}]},
        BOTH,
        (),
    ),
    "NextChat": (
        {
            "chat-next-web-store": {
                "sessions": [{"topic": "T", "mask": {"context": []}, "messages": [USER, REPLY]}]
            }
        },
        BOTH,
        (),
    ),
    "Big-AGI": (
        {
            "conversations": [
                {
                    "userTitle": "T",
                    "messages": [
                        {"role": "user", "fragments": [{"part": {"pt": "text", "text": "Q"}}]},
                        {
                            "role": "assistant",
                            "fragments": [
                                {"part": {"pt": "ma", "aType": "reasoning", "aText": "hm"}},
                                {"part": {"pt": "text", "text": "A"}},
                            ],
                        },
                    ],
                }
            ]
        },
        ["u Q", "a A [hm]"],
        (),
    ),
    "Copilot in an editor": (
        {
            "requests": [
                {"message": {"text": "Q"}, "response": [{"value": "A"}, {"value": " more."}]}
            ]
        },
        ["u Q", "a A more."],
        (),
    ),
    "KoboldAI Lite, instructions": (
        KOBOLD | {"prompt": "\n### Instruction:\nQ\n### Response:\n", "actions": ["A"]},
        BOTH,
        (),
    ),
    "KoboldAI Lite, marks of any template": (
        KOBOLD | {"prompt": "{{[INPUT]}}Q{{[INPUT_END]}}{{[OUTPUT]}}", "actions": ["A"]},
        BOTH,
        (),
    ),
    "KoboldAI Lite, a chat with names": (
        KOBOLD
        | {
            "prompt": "\nMe: Q\nAnn:",
            "actions": [" A", "\nMe: Q2\nBob:", " A2"],
            "memory": "m",
            "savedsettings": {"opmode": 3, "chatname": "Me", "chatopponent": "Ann||$||Bob"},
        },
        [*BOTH, "u Q2", "a A2"],
        ("Left out: story memories (1)",),
    ),
    "LangChain, serialized": (
        [
            {"lc": 1, "id": ["langchain", "HumanMessage"], "kwargs": {"content": "Q"}},
            {"lc": 1, "id": ["langchain", "AIMessageChunk"], "kwargs": {"content": "A"}},
        ],
        BOTH,
        (),
    ),
    "LangChain, dicts": (
        [
            {"type": "human", "data": {"content": "Q", "type": "human"}},
            {"type": "ai", "data": {"content": "A", "tool_calls": [{"name": "f"}]}},
            {"type": "tool", "data": {"content": "42"}},
        ],
        [*BOTH, "t 42"],
        (),
    ),
    "LangChain, types alone": (
        {"messages": [{"type": "human", "content": "Q"}, {"type": "ai", "content": "A"}]},
        BOTH,
        (),
    ),
    "LlamaIndex": (
        {
            "store": {
                "u": [
                    {"role": "user", "blocks": [{"block_type": "text", "text": "Q"}]},
                    {"role": "assistant", "blocks": [{"block_type": "text", "text": "A"}]},
                ]
            }
        },
        BOTH,
        (),
    ),
    "Haystack": (
        [
            USER,
            {
                "role": "assistant",
                "content": [
                    {"reasoning": {"reasoning_text": "hm", "extra": {}}},
                    {"text": "A"},
                    {"tool_call": {"tool_name": "f"}},
                ],
            },
        ],
        ["u Q", "a A [hm]"],
        (),
    ),
    "an answer of the Chat Completions API": (
        {"object": "chat.completion", "choices": [{"index": 0, "message": REPLY}]},
        ["a A"],
        (),
    ),
    "Gemini, a batch": (
        [
            {
                "request": {"contents": [{"role": "user", "parts": [{"text": "Q"}]}]},
                "response": {"candidates": [{"content": {"parts": [{"text": "A"}]}}]},
            }
        ],
        BOTH,
        (),
    ),
    "the Assistants API lists the newest first": (
        {
            "object": "list",
            "data": [
                {"role": "assistant", "created_at": 1767261602, "content": "A"},
                {"role": "user", "created_at": 1767261600, "content": "Q"},
            ],
        },
        BOTH,
        ("The messages were listed from newest to oldest and were reversed",),
    ),
    "rows of the Hub's viewer": ({"rows": [{"row": {"messages": [USER, REPLY]}}]}, BOTH, ()),
    "Alpaca": (
        [{"instruction": "Q", "input": "about this", "output": "A"}],
        ["u Q\n\nabout this", "a A"],
        (),
    ),
    "TRL, prompt and completion": ([{"prompt": "Q", "completion": "A"}], BOTH, ()),
    "TRL, messages as both": ([{"prompt": [USER], "completion": [REPLY]}], BOTH, ()),
    "questions of many sets": ([{"question": "Q", "answer": "A"}], BOTH, ()),
    "AnythingLLM, an answer as JSON in a text": (
        [{"prompt": "Q", "response": '{"text": "A", "sources": [], "type": "chat"}'}],
        BOTH,
        (),
    ),
    "a log of llm": (
        [
            {"prompt": "Q", "response": "A", "conversation_id": "c"},
            {"prompt": "Q2", "response": "A2", "conversation_id": "c"},
        ],
        [*BOTH, "u Q2", "a A2"],
        (),
    ),
    "Claude, a pasted text": (
        [
            {
                "chat_messages": [
                    {
                        "sender": "human",
                        "text": "",
                        "attachments": [{"file_name": "paste.txt", "extracted_content": "Q"}],
                    },
                    {"sender": "assistant", "text": "A"},
                ]
            }
        ],
        ["u paste.txt · 1 line", "a A"],
        (),
    ),
    "an old LM Studio chat with its system prompt": (
        {"name": "T", "pre_prompt": "S", "messages": [USER, REPLY]},
        BOTH,
        (),
    ),
    "a sentence that goes through several parts": (
        [
            USER,
            {
                "role": "assistant",
                "content": [
                    {"type": "text", "text": "It is "},
                    {"type": "text", "text": "blue", "citations": [{"url": "u"}]},
                    {"type": "text", "text": ". So."},
                ],
            },
        ],
        ["u Q", "a It is blue. So."],
        (),
    ),
    "a part of a kind that nobody knows": (
        [USER, {"role": "assistant", "content": [{"text": "A"}, {"hologram": {"words": "B"}}]}],
        BOTH,
        ("Left out: parts that can't be read (1)",),
    ),
    "messages by their ids": (
        {
            "messages": {
                "b": REPLY | {"id": "b", "parent": "a"},
                "a": USER | {"id": "a", "parent": None},
            }
        },
        BOTH,
        (),
    ),
    "spoken words beside the sound": (
        [
            {"role": "user", "content": [{"type": "input_audio", "transcript": "Q"}]},
            {"role": "assistant", "content": None, "audio": {"id": "x", "transcript": "A"}},
        ],
        BOTH,
        ("Left out: attachments (1)",),
    ),
    "OpenRouter, reasoning in two fields": (
        [
            USER,
            REPLY
            | {
                "reasoning": "hm",
                "reasoning_details": [
                    {"type": "reasoning.text", "text": "hm"},
                    {"type": "reasoning.encrypted", "data": "x"},
                ],
            },
        ],
        ["u Q", "a A [hm]"],
        ("Left out: blocks of encrypted or hidden reasoning (1)",),
    ),
    "Cohere, the newest message apart": (
        {
            "chat_history": [
                {"role": "USER", "message": "Q"},
                {"role": "CHATBOT", "message": "A"},
            ],
            "message": "Q2",
        },
        [*BOTH, "u Q2"],
        (),
    ),
    "Gemini in a terminal": (
        {
            "sessionId": "s",
            "messages": [
                {"type": "user", "content": "Q"},
                {"type": "gemini", "content": "A", "thoughts": [{"description": "hm"}]},
            ],
        },
        ["u Q", "a A [hm]"],
        (),
    ),
    "roles in what is known of a message": (
        {
            "messages": [
                {"info": {"role": "user"}, "parts": [{"type": "text", "text": "Q"}]},
                {"info": {"role": "assistant"}, "parts": [{"type": "text", "text": "A"}]},
            ]
        },
        BOTH,
        (),
    ),
    "RikkaHub": (
        {
            "title": "T",
            "messageNodes": [
                {"messages": [{"role": "USER", "parts": [{"text": "Q"}]}], "selectIndex": 0},
                {
                    "messages": [
                        {"role": "ASSISTANT", "parts": [{"text": "A"}]},
                        {"role": "ASSISTANT", "parts": [{"text": "B"}]},
                    ],
                    "selectIndex": 0,
                },
            ],
        },
        BOTH,
        (),
    ),
    "Bedrock": (
        {
            "system": [{"text": "S"}],
            "messages": [
                {"role": "user", "content": [{"text": "Q"}]},
                {
                    "role": "assistant",
                    "content": [
                        {"reasoningContent": {"reasoningText": {"text": "hm"}}},
                        {"text": "A"},
                        {"toolUse": {"name": "f"}},
                    ],
                },
            ],
        },
        ["u Q", "a A [hm]"],
        (),
    ),
    "Dify, its own block of thoughts": (
        {
            "data": [
                {
                    "query": "Q",
                    "answer": '<details style="color:gray;background-color: #f8f8f8;" open> <summary> Thinking... </summary>\nhm</details>\nA',
                }
            ]
        },
        ["u Q", "a A [hm]"],
        (),
    ),
    "Flowise": (
        [{"role": "userMessage", "content": "Q"}, {"role": "apiMessage", "content": "A"}],
        BOTH,
        (),
    ),
    "an exporter that is an extension": (
        {"messages": [{"role": "Prompt", "say": "Q"}, {"role": "Response", "say": "A"}]},
        BOTH,
        (),
    ),
    "JSON as a text of JSON": (json.dumps([USER, REPLY]), BOTH, ()),
}


@pytest.mark.parametrize("name", WORLD)
def test_what_a_tool_wrote_is_read_and_the_rest_of_it_is_said(name):
    document, turns, problems = WORLD[name]
    imported = read(document)
    assert said(imported.conversations[0]) == turns
    assert imported.problems == problems


def test_titles_and_times_come_along_from_around_the_messages():
    (chat,) = read(WORLD["Grok"][0]).conversations
    assert (chat.title, chat.created_at) == ("T", 1767261600)


def test_branches_of_nested_messages_are_kept():
    tree = [libre("1", "Q", libre("2", "A"), libre("3", "A2", libre("4", "Q2")))]
    (chat,) = read({"messages": tree}).conversations
    assert {turn.text for turn in chat.turns.values()} == {"Q", "A", "A2", "Q2"}
    assert len(chat.children(chat.path[0].id)) == 2


def test_thousands_of_nested_messages_are_read():
    message = libre("end", "A")
    for number in range(150):
        message = libre(str(number), "Q", message)
    (chat,) = read({"messages": [message]}).conversations
    assert len(chat.turns) == 151


@pytest.mark.parametrize(
    "row",
    [
        {"prompt": [USER], "chosen": [REPLY], "rejected": [{"role": "assistant", "content": "B"}]},
        {"chosen": [USER, REPLY], "rejected": [USER, {"role": "assistant", "content": "B"}]},
        {"prompt": "Q", "chosen": "A", "rejected": "B"},
        {
            "prompt": "Q",
            "chosen": [USER, REPLY],
            "rejected": [USER, {"role": "assistant", "content": "B"}],
        },
        {
            "conversations": [{"from": "human", "value": "Q"}],
            "chosen": {"from": "gpt", "value": "A"},
            "rejected": {"from": "gpt", "value": "B"},
        },
        {"chosen": "\n\nHuman: Q\n\nAssistant: A", "rejected": "\n\nHuman: Q\n\nAssistant: B"},
        {
            "input": {"messages": [USER]},
            "preferred_output": [REPLY],
            "non_preferred_output": [{"role": "assistant", "content": "B"}],
        },
    ],
)
def test_what_was_not_preferred_is_a_variant_of_what_was(row):
    (chat,) = read([row]).conversations
    assert said(chat) == BOTH
    assert {turn.text for turn in chat.variants(chat.path[1].id)} == {"A", "B"}


def test_several_answers_to_one_request_are_variants():
    answers = [{"message": {"role": "assistant", "content": text}} for text in "AB"]
    line = {"request": {"messages": [USER]}, "response": {"body": {"choices": answers}}}
    (chat,) = import_text(lines(line)).conversations
    assert said(chat) == BOTH
    assert len(chat.variants(chat.path[1].id)) == 2


def test_an_answer_that_came_in_pieces_is_one_message():
    pieces = [
        {"model": "m", "message": {"role": "assistant", "content": text}, "done": text == ""}
        for text in ("He", "llo", "")
    ]
    (chat,) = import_text(lines(*pieces)).conversations
    assert said(chat) == ["a Hello"]
    deltas = [
        {"object": "chat.completion.chunk", "choices": [{"delta": {"content": text}}]}
        for text in ("He", "llo")
    ]
    (chat,) = import_text(lines(*deltas)).conversations
    assert said(chat) == ["a Hello"]
    events = "".join(f"data: {json.dumps(one)}\n\n" for one in deltas) + "data: [DONE]\n"
    (chat,) = import_text(events.encode()).conversations
    assert said(chat) == ["a Hello"]


def test_messages_of_several_trees_in_one_file_are_several_chats():
    rows = [
        {"message_id": "1", "text": "Q", "role": "prompter", "message_tree_id": "a"},
        {"message_id": "2", "parent_id": "1", "text": "A", "role": "assistant", "message_tree_id": "a"},
        {"message_id": "3", "text": "Other", "role": "prompter", "message_tree_id": "b"},
    ]  # fmt: skip
    first, second = import_text(lines(*rows)).conversations
    assert (said(first), said(second)) == (BOTH, ["u Other"])


def test_lines_that_hold_parts_of_one_message_keep_their_places():
    shared = {"id": "m", "role": "assistant"}
    (chat,) = import_text(
        lines(
            {"type": "user", "uuid": "1", "parentUuid": None, "message": USER},
            {"type": "assistant", "uuid": "2", "parentUuid": "1",
             "message": shared | {"content": [{"type": "thinking", "thinking": "hm"}]}},
            {"type": "assistant", "uuid": "3", "parentUuid": "2", "message": shared | {"content": "A"}},
        )
    ).conversations  # fmt: skip
    assert said(chat) == ["u Q", "a A [hm]"]


def test_other_talks_within_a_chat_are_chats_of_their_own():
    thread = {"name": "before", "messages": [USER]}
    chats = read({"session:1": {"messages": [REPLY], "threads": [thread]}}).conversations
    assert [chat.title for chat in chats][1:] == ["before"]


# A backup of Cherry Studio is what an app saves itself.
@pytest.mark.parametrize("name", [name for name in NAMES if name != "cherry_studio.json"])
def test_what_is_read_alone_is_also_read_within_what_an_app_saves(name):
    text = (EXAMPLES / name).read_text(encoding="utf-8")
    document = (
        [json.loads(line) for line in text.split("\n") if line.strip()]
        if name.endswith(".jsonl")
        else json.loads(text)
    )
    alone = read(document)
    within = read({"version": 1, "state": {"saved": {"chats": document}, "ui": ["x"]}})
    assert [chat.id for chat in within.conversations] == [chat.id for chat in alone.conversations]
    assert within.problems == alone.problems


def test_what_is_no_chat_among_what_is_one_is_counted():
    imported = read([{"row": {"messages": [USER, REPLY]}}, {"row": {"error": "x"}}])
    assert imported.problems == ("Left out: entries that aren't chats (1)",)


def test_a_document_without_any_chat_is_refused():
    with pytest.raises(NoChatError):
        read({"a": [{"b": {"c": "d"}}, 1], "settings": {"model": "m"}})


def test_a_question_has_no_model():
    (chat,) = read([USER | {"model": "m"}, REPLY | {"model": "m"}]).conversations
    assert [turn.generation is not None for turn in chat.path] == [False, True]


@pytest.mark.parametrize(
    ("table", "turns"),
    [
        ("role,content\nuser,Q\nassistant,A\n", BOTH),
        ("Role;Content\r\nuser;Q\r\nassistant;A\r\n", BOTH),
        ('prompt\tresponse\n"Q\nand more"\tA\n', ["u Q\nand more", "a A"]),
        ("question,answer\nÄh?,A\n".encode("cp1252"), ["u Äh?", "a A"]),
    ],
)
def test_a_table_of_messages_or_of_questions_is_read(table, turns):
    data = table if isinstance(table, bytes) else table.encode()
    assert said(import_text(data).conversations[0]) == turns


@settings(deadline=None)
@given(
    st.lists(
        st.tuples(*2 * [st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1)]),
        min_size=1,
    )
)
def test_no_row_of_a_table_is_lost(rows):
    import csv
    import io

    file = io.StringIO()
    csv.writer(file).writerows([("prompt", "response"), *rows])
    try:
        imported = import_text(file.getvalue().encode())
    except ChatFormatError:
        # A question that nobody answered is no chat.
        assert not any(all(text.strip() for text in row) for row in rows)
        return
    turns = [turn for chat in imported.conversations for turn in chat.turns.values()]
    # Blanks around an answer are none of its words.
    lost = {text.strip() for row in rows for text in row} - {turn.text.strip() for turn in turns}
    assert not lost - {""} or imported.problems


@given(st.lists(st.text("abc \n<[{#:", min_size=1), min_size=1, max_size=8))
def test_no_text_of_a_story_is_lost(texts):
    made = KOBOLD | {"prompt": "", "actions": []}
    for number, text in enumerate(texts):
        made["actions"].append("### Instruction:" if number % 2 == 0 else "### Response:")
        made["actions"].append(text)
    try:
        (chat,) = read(made).conversations
    except ChatFormatError:
        assert not any(text.strip() for text in texts)
        return
    everything = "".join(f"{turn.text}{turn.reasoning}" for turn in chat.path)
    assert "".join(everything.split()) == "".join("".join(texts).split())


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"PAR1....PAR1", "Parquet"),
        (b"ARROW1\0\0", "Arrow"),
        (b"# Chat\n\nHello", "neither JSON"),
        (b"<!doctype html><title>My Activity History</title>", "choose JSON"),
    ],
)
def test_what_is_no_chat_is_named_with_the_next_step(data, words):
    with pytest.raises(ChatFormatError, match=words):
        import_text(data)
