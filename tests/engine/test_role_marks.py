"""What a template writes between turns, and which of that ends a reply."""

from __future__ import annotations

import pytest

from tests.engine import rigged
from tui.engine.local.prompt import PromptBuilder
from tui.engine.local.role_marks import found_in, marks_in


def marks(template, specials=("</s>",), pieces=(), kept=()):
    made = rigged.tokenizer(template, specials=specials, eos="</s>", pieces=pieces)
    builder = PromptBuilder(made)
    kept = {*kept, *marks_in(builder.unwritten_head())}
    found = found_in(builder.behind_replies(), builder.template_ids, made, kept)
    return {made.convert_ids_to_tokens(token) for token in found.ids}, set(found.texts)


def turns(user, assistant, after):
    return (
        "{% for m in messages %}{% if m.role == 'user' %}" + user + "{{ m.content }}" + assistant
        + "{% else %}{{ m.content }}" + after + "{% endif %}{% endfor %}"
    )  # fmt: skip


def test_marks_are_ids_where_they_are_tokens_and_texts_where_not():
    template = rigged.CHATML
    assert marks(template, ("</s>", "<|im_end|>")) == (
        {"<|im_end|>"},
        {"<|im_start|>", "\n<|im_start|>"},
    )
    both = {"<|im_start|>", "<|im_end|>"}
    assert marks(template, ("</s>", *both)) == (both, set())
    assert marks(template, pieces=both) == (both, set())
    assert marks(template)[1] == {"<|im_end|>", "<|im_start|>", "\n<|im_start|>"}


@pytest.mark.parametrize(
    ("template", "texts"),
    [
        (turns("User: ", "\nAssistant: ", "\n"), {"\n\nUser:", "\nUser:"}),
        (turns("### Instruction:\n", "\n### Response:\n", "\n\n"), {"\n\n### Instruction:", "\n### Instruction:"}),
        (turns("### User\n", "\n### Assistant\n", "\n\n"), {"\n\n### User\n", "\n### User\n"}),
        (turns("[Round 2]\n\n问：", "\n答：", "\n"), {"\n\n问：", "\n问："}),
        (turns("<user>", "</user><bot>", "</bot>"), {"</bot>", "<user>"}),
        (turns("USER: ", " ASSISTANT: ", " "), {" USER:"}),
        # What could stand in any answer ends none.
        (turns("", "\n", "\n"), set()),
        (turns("- ", "\n", "\n"), set()),
        (turns("user: ", " bot: ", " "), set()),
        (turns("<s>", "[s]", "\n"), set()),
        (turns("you say\n", "\nI say\n", "\n"), set()),
        ("no turns at all", set()),
        ("{{ raise_exception('no') }}", set()),
    ],
)  # fmt: skip
def test_labels_and_marks_that_are_text(template, texts):
    assert marks(template) == (set(), texts)


def test_a_label_is_not_looked_for_where_a_token_ends_turns():
    assert marks(turns("User: ", "\nAssistant: ", "</s>\n")) == ({"</s>"}, set())


def test_marks_that_a_reply_holds_end_it_only_with_the_user_s_role():
    template = (
        "{% for m in messages %}<|start|>{{ m.role }}<|message|>{{ m.content }}<|end|>{% endfor %}"
    )
    kept = {"<|start|>", "<|message|>", "<|end|>", "<|start|>assistant"}
    for are_special in (True, False):
        own = ("<|start|>", "<|message|>", "<|end|>")
        found = marks(template, ("</s>", *own) if are_special else ("</s>",), kept=kept)
        assert found == (set(), {"<|start|>user"})


def test_line_breaks_that_are_tokens_end_nothing():
    template = turns("", "\n", "\n\n")
    assert marks(template, pieces=["\n\n", "\n"]) == (set(), set())


def test_what_a_model_has_to_write_itself_before_its_reply_ends_none():
    head = "{% if m.role == 'assistant' %}<|say|>{% endif %}"
    template = rigged.CHATML.replace("{{ m['content'] }}", head + "{{ m['content'] }}")
    template = template.replace("<|im_end|>", "<|im_end|><|say|>")
    assert "<|say|>" not in marks(template)[1]
    assert "<|im_end|>" in marks(template)[1]


def test_the_marks_of_a_start_that_the_prompt_has_already_end_a_reply():
    template = rigged.CHATML.partition("{% if add_generation_prompt")[0]
    assert {"<|im_end|>", "<|im_start|>"} <= marks(template)[1]
    both = {"<|im_start|>", "<|im_end|>"}
    assert marks(template, ("</s>", *both)) == (both, set())


def test_a_template_with_any_number_of_marks_has_few():
    made = rigged.tokenizer(rigged.CHATML, specials=("</s>",), eos="</s>")
    text = " ".join(f"<mark{number}>" for number in range(100_000))
    found = found_in(["<end>" + text, text], lambda _text: [], made)
    assert "<end>" in found.texts
    assert len(found.texts) < 2_000
