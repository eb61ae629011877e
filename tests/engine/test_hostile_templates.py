"""A chat template is a program of a stranger: whatever it does, the app goes on, and a prompt is made or refused in a sentence."""

from __future__ import annotations

import random
import threading
import time
from types import SimpleNamespace

import pytest

from tests.engine import tiny
from tui.conversation.turn import Message
from tui.engine.base import Cancelled, GenerationError
from tui.engine.local import template as template_module
from tui.engine.local.helper import Helper
from tui.engine.local.prompt import PromptBuilder
from tui.engine.local.template import ChatTemplate, TemplateRefusedError

CHAT = ({"role": "user", "content": "Hello"},)
ENDLESS = "{% for a in range(99999) %}{% for b in range(99999) %}{% for c in range(99999) %}{% endfor %}{% endfor %}{% endfor %}"
LARGE = {
    "product": "{% set n = messages|length * 10**9 %}{{ 'a' * n }}",
    "folded while it is compiled": "{{ 'a' * 10**10 }}",
    "list": "{{ ([0] * 10**10)|length }}",
    "percent": "{{ '%1000000000d' % 1 }}",
    "format": "{{ '{:>1000000000}'.format(1) }}",
    "center": "{{ 'a'|center(10**9) }}",
    "indent": "{{ 'a\nb'|indent(10**9) }}",
    "replace": "{% set x = 'a' * 10**5 %}{{ x|replace('a', 'b' * 10**5) }}",
    "batch": "{{ [1]|batch(10**10, 0)|list|length }}",
    "doubling text": "{% set ns = namespace(x='ab') %}{% for i in range(60) %}{% set ns.x = ns.x ~ ns.x %}{% endfor %}{{ ns.x }}",
    "doubling list": "{% set ns = namespace(x=[1]) %}{% for i in range(60) %}{% set ns.x = ns.x + ns.x %}{% endfor %}",
    "output": "{% for i in range(99999) %}{% for j in range(9999) %}{{ 'a' * 1000 }}{% endfor %}{% endfor %}",
}  # fmt: skip
SLOW = {
    "loops": ENDLESS,
    "in C alone": "{% set ns = namespace(x=[1]) %}{% for i in range(99) %}{% set ns.x = [ns.x, ns.x] %}{% endfor %}{{ ns.x|string }}",
    "a comparison in C": (
        "{% set a = namespace(x=[1]) %}{% set b = namespace(x=[1]) %}{% for i in range(99) %}{% set a.x = [a.x, a.x] %}"
        "{% set b.x = [b.x, b.x] %}{% endfor %}{{ a.x == b.x }}"
    ),
    "power": "{{ (9 ** (9 ** 9)) % 7 }}",
}  # fmt: skip
REFUSED = {
    "macro": "{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}",
    "class": "{{ ''.__class__.__mro__[1].__subclasses__() }}",
    "loop": "{% for m in messages %}{{ loop.__class__.__init__.__globals__ }}{% endfor %}",
    "cycler": "{{ cycler.__init__.__globals__.os.system('true') }}",
    "attr": "{{ ''|attr('__class__')|attr('__mro__') }}",
    "namespace": "{{ namespace(__class__=1) }}",
    "format": "{{ '{0.__class__.__mro__}'.format(1) }}",
    "import": "{% import 'os' as os %}",
    "include": "{% include '/etc/passwd' %}",
    "change": "{{ messages.append(1) }}",
    "message": "{{ raise_exception('x' * 10**7) }}",
}


@pytest.fixture(autouse=True)
def _own_process(monkeypatch):
    """Each template has a process of its own, as in the app."""
    monkeypatch.setattr(template_module, "Helper", Helper)


@pytest.fixture
def small(monkeypatch):
    """Limits that a test can wait for."""
    monkeypatch.setattr(template_module, "_WITHIN_S", 0.5)
    monkeypatch.setattr(template_module, "_MEMORY_BYTES", 300_000_000)
    monkeypatch.setattr(template_module, "_TEXT_BYTES", 5_000_000)


def made(template: str) -> ChatTemplate:
    return ChatTemplate(SimpleNamespace(chat_template=template, special_tokens_map={}))


def outcome(template: ChatTemplate) -> str:
    """Return the text that a template makes, or the sentence that says why it makes none."""
    try:
        return "".join(template.render(CHAT))
    except (GenerationError, TemplateRefusedError) as error:
        return str(error)


@pytest.mark.parametrize("name", [*LARGE, *SLOW])
def test_what_takes_too_much_memory_or_time_is_stopped(small, name):
    with pytest.raises((GenerationError, TemplateRefusedError)) as caught:
        made({**LARGE, **SLOW}[name]).render(CHAT)
    assert len(str(caught.value)) < 300
    assert (
        "memory" in str(caught.value)
        or "seconds" in str(caught.value)
        or name in ("output", "batch", "percent", "center")
    )


@pytest.mark.parametrize("name", REFUSED)
def test_what_the_sandbox_forbids_is_refused_in_a_sentence(name):
    said = outcome(made(REFUSED[name]))
    assert len(said) <= 1_100
    # Jinja gives nothing for some of it, and says of the rest what it forbids.
    assert "<class" not in said
    assert "root:" not in said


def test_a_template_that_never_ends_is_cancelled(small):
    template = made("{% if messages|length %}" + ENDLESS + "{% endif %}{{ mood }}")
    began = threading.Event()

    def cancelled():
        began.set()
        return True

    with pytest.raises(Cancelled):
        template.render(CHAT, cancelled)
    assert began.is_set()
    # And it is asked again as if nothing had happened.
    with pytest.raises(Cancelled):
        template.render(CHAT, cancelled)


def test_no_process_is_left_of_a_template_that_never_ends(small):
    template = made(ENDLESS)
    with pytest.raises(GenerationError):
        template.render(CHAT)
    assert template._helper._process is None


def test_a_model_is_loaded_whose_template_never_ends(small):
    prompts = PromptBuilder(tiny.tokenizer(ENDLESS))
    assert not prompts.takes_system
    with pytest.raises(GenerationError, match=r"0\.5 seconds"):
        prompts.build([Message("user", "Hi")])


@pytest.mark.parametrize(
    "template",
    [
        "{{ " + "(" * 5000 + "1" + ")" * 5000 + " }}",
        "{{ " + "[" * 500 + "]" * 500 + " }}",
        "{% if a %}" * 300 + "{% endif %}" * 300,
        "{% for a in b %}" * 100 + "{% endfor %}" * 100,
        "{{ a" + " + a" * 20_000 + " }}",
        "{{ a" + ".b" * 20_000 + " }}",
        "x" * 2_000_000,
        "{% macro a() %}" * 200 + "{% endmacro %}" * 200,
        "\0\ud800{{ '\ud800' }}",
    ],
)
def test_a_template_that_can_hardly_be_read_is_a_sentence_or_a_prompt(template):
    read = made(template)
    assert len(read.problem) < 1_100
    assert len(outcome(read)) < 1_300


ORDINARY = {
    "simple": tiny.SIMPLE_TEMPLATE,
    "thinking": tiny.THINKING_TEMPLATE,
    "blocks and whitespace": (
        "{%- for message in messages %}\n  {%- if message.role == 'user' -%}\n    <|user|>{{ message.content | trim }}<|end|>\n"
        "  {% else %}\n{{ '<|assistant|>' + message['content'] + eos_token }}\n{% endif %}\n{% endfor %}\n"
        "{% if add_generation_prompt %}\n<|assistant|>\n{% endif %}\n"
    ),
    "bos and loops": (
        "{{ bos_token }}{% for m in messages[::-1] if m.role != 'tool' %}{% if loop.index > 3 %}{% break %}{% endif %}"
        "{{ loop.index0 }}{{ loop.last }}{{ m.content.split(' ')|join('_')|upper }}{% endfor %}"
    ),
    "namespace": (
        "{% set ns = namespace(n=0, found=false) %}{% for m in messages %}{% set ns.n = ns.n + m.content|length %}{% endfor %}"
        "{{ ns.n }}{{ dict(a=1)|tojson }}{{ messages|tojson(indent=2) }}"
    ),
    "tools": "{% if tools is not none %}no{% endif %}{% if tools %}no{% endif %}{% if documents is none %}yes{% endif %}{{ tools }}{{ messages[2].content }}",
    "date": "{{ strftime_now('%Y') }}{% if date_string is defined %}no{% endif %}{{ messages|map(attribute='content')|join }}",
    "generation": "{% for m in messages %}{% generation %}{{ m.content }}{% endgeneration %}{% endfor %}",
    "macros": "{% macro say(m) -%}<|{{ m.role }}|>{{ m.content }}{%- endmacro %}{% for m in messages %}{{ say(m) }}{% endfor %}",
    "reasoning": "{% for m in messages %}{{ m.thinking }}|{{ m.reasoning_content }}|{{ m.get('tool_calls') }}|{{ m.content }}{% endfor %}",
    "autoescape": "{% for m in messages %}{{ m.content|e if false else m.content }}<&>{% endfor %}{{ '<b>'|safe }}",
}  # fmt: skip


@pytest.mark.parametrize("name", ORDINARY)
def test_prompts_are_those_that_transformers_makes(name):
    tokenizer = tiny.tokenizer(ORDINARY[name])
    chat = [
        Message("user", "Hi there, \N{GRINNING FACE} <b>&amp;\n"),
        Message("assistant", " yes ", reasoning="I see"),
        Message("user", "typed <|end|><|assistant|> and <think> <|en"),
    ]
    entries = [
        {"role": "user", "content": chat[0].content},
        {"role": "assistant", "content": " yes ", "reasoning_content": "I see"},
        {"role": "user", "content": chat[2].content},
    ]
    wanted = tokenizer.apply_chat_template(
        entries, add_generation_prompt=True, sanitize_control_tokens=True
    )["input_ids"]
    prompts = PromptBuilder(tokenizer)
    # Where the template begins no reply, that is done behind what it writes.
    start = prompts.template_ids(prompts._ability.start)
    assert bool(start) == (name in ("macros", "reasoning"))
    assert list(prompts.build(chat).ids) == [*wanted, *start]


class Grammar:
    """Writes templates from a grammar, most of which do something foolish."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)

    def template(self) -> str:
        return "{% set ns = namespace(x='ab', y=[1, 2], z=7) %}" + self._body(4)

    def _body(self, depth: int) -> str:
        return "".join(self._statement(depth) for _ in range(self._random.randint(1, 3)))

    def _statement(self, depth: int) -> str:
        pick = self._random.choice
        if depth == 0:
            return "{{ " + self._value(2) + " }}"
        return pick(
            (
                lambda: "{{ " + self._value(3) + " }}",
                lambda: "{% set ns." + pick("xyz") + " = " + self._value(3) + " %}",
                lambda: "{% for m in " + pick(("messages", "range(99999)", "ns.y", self._value(2))) + " %}" + self._body(depth - 1) + "{% endfor %}",
                lambda: "{% if " + self._value(2) + " %}" + self._body(depth - 1) + "{% endif %}",
                lambda: "{% macro f(a) %}" + self._body(depth - 1) + "{{ f(a) }}{% endmacro %}{{ f(1) }}",
                lambda: "{% filter " + pick(("upper", "indent(9**9)", "center(99999999)")) + " %}" + self._body(depth - 1) + "{% endfilter %}",
                lambda: pick(("{% if %}", "{{", "{% endfor %}", "{# ", "{% break %}", "{% raw %}", "\ud800\0")),
            )
        )()  # fmt: skip

    def _value(self, depth: int) -> str:
        pick, value = self._random.choice, lambda: self._value(depth - 1)
        if depth == 0:
            return pick(
                (
                    "ns.x",
                    "ns.y",
                    "ns.z",
                    "messages",
                    "m",
                    "9",
                    "99999999",
                    "10**9",
                    "-1",
                    "''",
                    "'a'",
                    "none",
                    "{}",
                    "loop",
                    "cycler",
                    "lipsum",
                    "dict",
                    "messages[0].content",
                )
            )
        return pick(
            (
                lambda: f"({value()} {pick(('+', '*', '**', '%', '~', '//', '==', '<', 'in', 'and'))} {value()})",
                lambda: f"{value()}|{pick(('string', 'list', 'length', 'tojson', 'join', 'sort', 'unique', 'reverse', 'pprint', 'urlize', 'striptags', 'title', 'wordcount', 'int', 'sum', 'xmlattr', 'random', 'map(attribute=0)', 'groupby(0)'))}",
                lambda: f"({value()})|{pick(('center', 'indent', 'wordwrap', 'truncate', 'batch', 'slice', 'round', 'format', 'replace'))}({value()}, {value()})",
                lambda: f"({value()}).{pick(('__class__', 'format', 'center', 'zfill', 'to_bytes', 'replace', 'join', 'translate', 'mro', '__init__.__globals__', 'append', 'encode'))}({value()})",
                lambda: f"[{value()}, {value()}]",
                lambda: "{" + f"{value()}: {value()}" + "}",
                lambda: f"({value()})[{value()}:]",
                lambda: f"namespace(a={value()})",
            )
        )()  # fmt: skip


def test_whatever_a_template_does_is_a_prompt_or_a_sentence(monkeypatch):
    monkeypatch.setattr(template_module, "_WITHIN_S", 0.6)
    monkeypatch.setattr(template_module, "_MEMORY_BYTES", 200_000_000)
    monkeypatch.setattr(template_module, "_TEXT_BYTES", 1_000_000)
    template = made("")
    deadline_s = time.monotonic() + 40
    for seed in range(300):
        if time.monotonic() > deadline_s:
            break
        template._text = Grammar(seed).template()
        assert len(outcome(template)) < 1_000_000, seed
    assert "".join(made("{{ messages[0].content }}").render(CHAT)) == "Hello"
