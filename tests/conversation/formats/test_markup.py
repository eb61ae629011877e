"""Blocks and marks that other tools write into a reply's text become reasoning, are counted, or stay where a person wrote them."""

from __future__ import annotations

import pytest

from tui.conversation.formats.markup import parted
from tui.conversation.formats.problems import Problems


def read(text: str) -> tuple[str, str, tuple[str, ...]]:
    problems = Problems()
    reasoning, rest = parted(text, problems)
    return reasoning, rest, problems.sentences()


def block(kind: str, body: str, more: str = 'done="true"') -> str:
    return f'<details type="{kind}" {more}>\n<summary>Said</summary>\n{body}\n</details>\n'


def test_reasoning_in_mid_text_is_taken_out_and_its_signs_unescaped():
    text = f"Let me look.\n{block('reasoning', '&gt; is a &lt; b?')}{block('reasoning', '&gt; yes')}So."
    assert read(text) == ("is a < b?\n\nyes", "Let me look.\n\nSo.", ())


def test_tools_are_left_out_and_counted():
    call = 'done="true" name="f" arguments="&quot;{\\&quot;a\\&quot;: 1}&quot;" result="a > b"'
    text = block("tool_calls", "", call) + block("code_interpreter", "```py\n1\n```") + "Twelve."
    assert read(text) == (
        "",
        "Twelve.",
        ("Left out: tool calls (1)", "Left out: code blocks run by tools (1)"),
    )


def test_a_block_of_a_tool_that_is_not_known_is_counted_too():
    assert read(block("search", "x") + "y") == (
        "",
        "y",
        ("Left out: collapsed blocks from other tools (1)",),
    )


@pytest.mark.parametrize(
    "text",
    [
        "<details>\n<summary>More</summary>\nwords\n</details>",
        '<details open class="a">\nwords\n</details>',
        '<details type="aside">\nwords\n</details>',
        '```html\n<details type="reasoning" done="true">\n&gt; x\n</details>\n```',
        'It writes `<details type="reasoning">` first.',
        "<details",
        'a <details type="reasoning"',
    ],
)
def test_what_a_person_wrote_stays(text):
    assert read(text) == ("", text, ())


def test_a_block_in_a_block_ends_with_the_outer_one():
    inner = "<details><summary>x</summary>y</details>"
    assert read(block("reasoning", f"> a\n{inner}") + "b")[:2] == (f"a\n{inner}", "b")


def test_a_block_that_is_never_closed_holds_what_is_quoted():
    text = '<details type="reasoning" done="false">\n<summary>Thinking…</summary>\n> one\n> two\nAnswer.'
    assert read(text)[:2] == ("one\ntwo", "Answer.")


def test_marks_of_chatgpt_are_taken_out_and_words_among_them_kept():
    text = (
        "Rome\ue200cite\ue202turn0search0\ue202turn0search1\ue201 is in \ue200entity\ue202"
        '["country","Italy","x"]\ue201, see \ue200url\ue202its page\ue202turn0\ue201.\ue200cite\ue202a'
    )
    assert read(text) == (
        "",
        "Rome is in Italy, see its page.",
        ("Left out: citations (2)",),
    )


def test_brackets_of_sources_are_taken_out_but_not_other_brackets():
    text = "Rome【12†source】is old 【4:0†a.pdf】, they say【注】."
    assert read(text) == ("", "Romeis old, they say【注】.", ("Left out: citations (2)",))


@pytest.mark.parametrize(
    ("text", "rest", "count"),
    [
        ("Old:contentReference[oaicite:0]{index=0}.", "Old.", 1),
        ("Old【oaicite:12】.", "Old.", 1),
        ("[cite_start]It is old [cite: 1, 2].", "It is old.", 1),
        ("[cite_start] is no mark alone", "[cite_start] is no mark alone", 0),
    ],
)
def test_marks_of_older_and_other_tools_are_citations_too(text, rest, count):
    assert read(text) == ("", rest, ("Left out: citations (1)",) * count)


def test_reasoning_between_marks_in_mid_text_is_taken_out_where_it_begins_a_line():
    text = "Let me look.\n<think>\nIt is long.\n</think>\nDone."
    assert read(text) == ("It is long.", "Let me look.\n\nDone.", ())
    for kept in ("say <think>hm</think> so", "```\n<think>\nhm\n</think>\n```", "a\n<think> alone"):
        assert read(kept) == ("", kept, ())


def test_what_a_model_wrote_to_a_tool_is_left_out_and_counted():
    text = 'Look.\n<tool_call>\n{"name": "f"}\n</tool_call>\n<tool_response>\n1\n</tool_response>\nOne.'
    assert read(text) == (
        "",
        "Look.\n\nOne.",
        ("Left out: tool calls (1)", "Left out: tool results (1)"),
    )


@pytest.mark.parametrize(
    "text",
    [
        60_000 * '<details type="reasoning">',
        60_000 * '<details type="reasoning">\n',
        60_000 * "<think></think>",
        60_000 * "```\n<think>\n" + "</think>",
        200_000 * "<think>" + "</think>",
        60_000 * "\ue200cite\ue202",
        100_000 * "【1†" + 100_000 * "[cite: 1",
        60_000 * "<|channel|>a<|message|>",
        2_000 * ("<|channel|>" + 50 * "to=" + "<|constrain|>"),
        100_000 * "</think> a\n",
        300_000 * " " + "\n</think>",
        "<think>a" + 20_000_000 * " " + "b</think>c",
        20_000_000 * "\n" + "<think>a</think>c",
        20_000_000 * " " + "c",
    ],
)
def test_no_text_takes_long(text):
    # What would be looked at anew from each of its places would take minutes.
    read(text)


def test_signs_of_private_use_that_are_no_marks_stay():
    assert read("\ue0b0 \ue201 icon")[1] == "\ue0b0 \ue201 icon"


@pytest.mark.parametrize(
    ("text", "reasoning", "rest"),
    [
        ("<think>a</think>\n<think>b</think>c", "a\n\nb", "c"),
        ("[THINK]a[/THINK]b", "a", "b"),
        ("<seed:think>a</seed:think>b", "a", "b"),
        ("◁think▷a◁/think▷b", "a", "b"),
        ("<|START_THINKING|>a<|END_THINKING|><|START_RESPONSE|>b<|END_RESPONSE|>", "a", "b"),
        ("<thought>a</thought>b", "a", "b"),
        (":::thinking\na\n:::\nb", "a", "b"),
        ("a\n</think>\n\nb", "a", "b"),
        ("a.</think>b", "a.", "b"),
        ("</think>b", "", "b"),
        ("a. </think>\n\nb", "a.", "b"),
        ("a\n[/THINK]\nb", "a", "b"),
        ("the tag `</think>` ends the thoughts", "", "the tag `</think>` ends the thoughts"),
        ("the tag </think> ends the thoughts", "", "the tag </think> ends the thoughts"),
        ('"</think>" ends them', "", '"</think>" ends them'),
        ("```\na\n</think>\n```\nb", "", "```\na\n</think>\n```\nb"),
        (
            "<|channel|>analysis<|message|>a<|end|><|start|>assistant<|channel|>final<|message|>b<|return|>",
            "a",
            "b",
        ),
        ("analysisLook.assistantfinalYes.", "Look.", "Yes."),
        ("analysis of the text", "", "analysis of the text"),
    ],
)
def test_reasoning_of_every_family_is_told_from_the_answer(text, reasoning, rest):
    assert read(text) == (reasoning, rest, ())


def test_a_message_to_a_tool_among_channels_is_counted():
    text = (
        "<|channel|>analysis<|message|>a<|end|><|start|>assistant<|channel|>commentary to=functions.f "
        '<|constrain|>json<|message|>{"x": 1}<|call|><|start|>assistant<|channel|>final<|message|>b'
    )
    assert read(text) == ("a", "b", ("Left out: tool calls (1)",))
