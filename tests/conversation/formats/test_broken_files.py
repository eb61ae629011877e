"""What becomes of broken and hostile files: each is read, or refused in a sentence."""

from __future__ import annotations

import json
import random
import subprocess
import sys
import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.conversation.formats.test_examples import EXAMPLES, NAMES, assert_sound, said
from tests.conversation.strategies import JSON
from tui.conversation.formats import (
    FORMATS,
    ChatFormatError,
    import_text,
)


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


def test_a_message_of_very_many_parts_is_read_at_once():
    parts = [f"part {number} " + "x" * 50 for number in range(30_000)]
    (chat,) = import_text(
        json.dumps([{"role": "user", "content": parts, "parts": [*parts, "more"]}]).encode()
    ).conversations
    assert chat.path[0].text == "\n".join([*parts, "more"])


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
    assert imported.problems == ("Left out: lines that aren't valid JSON (1)",)


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


@pytest.mark.parametrize(
    "text",
    [
        '"<details " + 60_000 * \'type="reasoning" \'',
        '\'<details type="reasoning">\' + 500_000 * " " + "</details>"',
        '\'<details type="reasoning">\' + 100_000 * "<summary>" + "</details>"',
        '" " * 500_000 + "<details"',
    ],
)
def test_reasoning_of_open_webui_is_read_at_once_whatever_is_in_it(text):
    # In a process, since a match that doesn't end can't be interrupted.
    script = f"""
import json
from tui.conversation.formats import import_text
message = {{"id": "a", "parentId": None, "role": "assistant", "content": {text} + "x", "childrenIds": []}}
chat = {{"title": "t", "chat": {{"history": {{"messages": {{"a": message}}, "currentId": "a"}}}}}}
assert import_text(json.dumps([chat]).encode()).conversations
"""
    subprocess.run([sys.executable, "-c", script], timeout=60, check=True)


def items(*entries: dict) -> bytes:
    return json.dumps({"messages": [{"role": "user", "content": "q"}, *entries]}).encode()


def thought(number: int) -> dict:
    return {"type": "reasoning", "content": f"thought {number} " + "x" * 1000}


def test_a_chain_of_thoughts_takes_memory_with_its_length():
    data = items(*map(thought, range(1000)), {"role": "assistant", "content": "a"})
    tracemalloc.start()
    try:
        (chat,) = import_text(data).conversations
        most = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert most < 30 * len(data)
    assert all(f"thought {number} " in chat.path[-1].reasoning for number in range(1000))


def test_thoughts_above_many_replies_are_not_told_to_each_of_them():
    messages = {"0": {"id": "0", "parentId": None, "role": "user", "content": "q"}}
    for number in range(1, 301):
        above = str(number - 1)
        messages[str(number)] = thought(number) | {"id": str(number), "parentId": above}
        reply = {"id": f"r{number}", "role": "assistant", "content": f"a{number}"}
        messages[f"r{number}"] = reply | {"parentId": str(number)}
    data = json.dumps({"messages": list(messages.values())}).encode()
    (chat,) = import_text(data).conversations
    told = [turn.reasoning for turn in chat.turns.values() if turn.role == "assistant"]
    assert len(told) == 300
    assert sum(map(len, told)) < 30 * len(data)
    whole = "\n".join(told)
    assert all(f"thought {number} " in whole for number in range(1, 301))


def takeout(page: str) -> bytes:
    return json.dumps(
        [
            {
                "header": "Gemini Apps",
                "title": "Prompted q",
                "time": "2025-01-01T00:00:00Z",
                "safeHtmlItem": [{"html": page}],
            }
        ]
    ).encode()


ENDLESS = "&#" + "1" * 5000 + ";"
"""A reference to a character whose number Python refuses to read."""


@pytest.mark.parametrize(
    ("page", "words"),
    [
        (f"<p>before {ENDLESS} behind</p>", ("before", "behind")),
        (f"<h{'1' * 5000}>before</h1> behind", ("before", "behind")),
        ("before <![foo[ x ]]> behind", ("before", "behind")),
        ("before <![ behind", ("before", "behind")),
        ("before <!-- behind", ("before", "behind")),
        ('<p title="a>b">before</p> <p don\'t>behind', ("before", "behind")),
    ],
)
def test_no_page_of_takeout_is_too_strange(page, words):
    (chat,) = import_text(takeout(page)).conversations
    assert all(word in chat.path[-1].text for word in words)


@pytest.mark.parametrize(
    "piece",
    ["<a ", '<a "', '<a x="', "<a =", "<a ='<a", "<!--", "<!--->-", "<![CDATA[", "</", "<a/"],
)
def test_a_page_takes_time_with_its_length(piece):
    """In a process of its own, since a match can't be interrupted."""
    page = takeout("hello " + piece * (1_000_000 // len(piece)))
    script = (
        "import sys; from tui.conversation.formats import import_text; "
        "print(import_text(sys.stdin.buffer.read()).conversations[0].path[-1].text[:5])"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], input=page, capture_output=True, timeout=60, check=True
    )
    assert done.stdout.split() == [b"hello"]


@pytest.mark.parametrize(
    "text",
    [
        f'<details type="reasoning" done="true">\n&gt; thought {ENDLESS}\n</details>\nanswer',
        f'<details type="reasoning" done="true" x="{ENDLESS}">\n&gt; thought\n</details>\nanswer',
    ],
)
def test_a_block_with_an_endless_number_keeps_its_words(text):
    (chat,) = import_text(items({"role": "assistant", "content": text})).conversations
    assert "thought" in chat.path[-1].reasoning
    assert chat.path[-1].text == "answer"
