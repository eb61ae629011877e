"""What a chat template lets the user choose, read from the template itself.

A variable that the template asks for and that is none of those that every template is given is a switch, as `enable_thinking`
is. Which values it takes is read from what the template compares it with. The template is parsed, and never run.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from typing import Any, Final

from jinja2 import Environment, TemplateError, TemplateSyntaxError, meta, nodes
from jinja2.ext import Extension
from jinja2.parser import Parser

from tui.engine.base import TemplateSwitch

_log = logging.getLogger(__name__)

_GIVEN: Final = frozenset(
    (
        "messages", "tools", "documents", "add_generation_prompt", "continue_final_message", "conversation", "functions",
        "builtin_tools", "custom_tools", "tools_in_user_message", "controls", "citations", "date_string", "today",
    )
)  # fmt: skip
"""What every template is given, or what only tools and documents have a use for."""
_MOST_SWITCHES: Final = 20
_MOST_CHOICES: Final = 12


class _Generation(Extension):
    """The tag around what the assistant said, which transformers adds to the language; here it is only looked into."""

    tags = {"generation"}  # noqa: RUF012 - the library's declaration

    def parse(self, parser: Parser) -> Any:
        line = next(parser.stream).lineno
        body = parser.parse_statements(("name:endgeneration",), drop_needle=True)
        return nodes.Scope(body, lineno=line)


def template_problem(tokenizer: Any) -> str:
    """Return what is wrong with how a tokenizer's chat template is written, with the line; empty when nothing is."""
    try:
        _environment().parse(_template(tokenizer))
    except TemplateSyntaxError as error:
        return f"line {error.lineno}: {error.message}"
    except (TemplateError, RecursionError) as error:
        return str(error) or type(error).__name__
    return ""


def _template(tokenizer: Any) -> str:
    template = getattr(tokenizer, "chat_template", None)
    if isinstance(template, Mapping):
        template = template.get("default")
    return template if isinstance(template, str) else ""


def _environment() -> Environment:
    return Environment(extensions=["jinja2.ext.loopcontrols", _Generation], autoescape=False)  # noqa: S701 - it is only parsed


def template_switches(tokenizer: Any) -> tuple[TemplateSwitch, ...]:
    """Return the switches of a tokenizer's chat template, in the order of their names; none where it can't be read."""
    template, environment = _template(tokenizer), _environment()
    try:
        tree = environment.parse(template)
        asked = meta.find_undeclared_variables(tree)
    except (TemplateError, RecursionError):
        _log.info("the chat template can't be read for its switches", exc_info=True)
        return ()
    special = set(getattr(tokenizer, "special_tokens_map", {}) or {})
    called = {
        call.node.name for call in tree.find_all(nodes.Call) if isinstance(call.node, nodes.Name)
    }
    names = sorted(
        name
        for name in asked - _GIVEN - special - called
        if not name.endswith(("_token", "_tokens")) and name not in environment.globals
    )
    return tuple(_switch(tree, name) for name in names[:_MOST_SWITCHES])


def _switch(tree: nodes.Template, name: str) -> TemplateSwitch:
    choices: list[Any] = []
    for value in _compared(tree, name):
        if value is not None and value not in choices:
            choices.append(value)
    default = _default(tree, name)
    if default is not None and default not in choices:
        choices.insert(0, default)
    if not choices and _is_tested(tree, name):
        choices = [True, False]
    if all(isinstance(one, bool) for one in choices) and choices:
        choices = [True, False]
    return TemplateSwitch(name, tuple(choices[:_MOST_CHOICES]), default)


def _compared(tree: nodes.Template, name: str) -> Iterator[Any]:
    """Yield the constants that a variable is compared with."""
    for test in tree.find_all(nodes.Test):
        if test.name in ("true", "false") and _is(test.node, name):
            yield test.name == "true"
    for compare in tree.find_all(nodes.Compare):
        sides = [compare.expr, *(operand.expr for operand in compare.ops)]
        if not any(_is(side, name) for side in sides):
            continue
        for side in sides:
            for constant in [side] if isinstance(side, nodes.Const) else _members(side):
                if isinstance(constant, nodes.Const):
                    # The parser has made one constant of a list of constants.
                    several = isinstance(constant.value, list | tuple)
                    yield from constant.value if several else (constant.value,)


def _members(node: nodes.Node) -> list[nodes.Expr]:
    return node.items if isinstance(node, nodes.List | nodes.Tuple) else []


def _is(node: nodes.Node, name: str) -> bool:
    """Return whether a node is a variable, or that variable through filters such as `lower`."""
    while isinstance(node, nodes.Filter) and node.node is not None:
        node = node.node
    return isinstance(node, nodes.Name) and node.name == name


def _is_tested(tree: nodes.Template, name: str) -> bool:
    """Return whether a variable stands where only true or false matters."""
    tests = [found.test for found in tree.find_all(nodes.If)]
    tests += [found.test for found in tree.find_all(nodes.CondExpr)]
    return any(_has_bare(test, name) for test in tests)


def _has_bare(node: nodes.Node, name: str) -> bool:
    if isinstance(node, nodes.And | nodes.Or):
        return _has_bare(node.left, name) or _has_bare(node.right, name)
    if isinstance(node, nodes.Not):
        return _has_bare(node.node, name)
    return isinstance(node, nodes.Name) and node.name == name


def _default(tree: nodes.Template, name: str) -> Any:
    """Return what the template takes where the variable is not given, if it says so."""
    for filtered in tree.find_all(nodes.Filter):
        is_default = filtered.name in ("default", "d") and filtered.args
        if is_default and _is(filtered, name) and isinstance(filtered.args[0], nodes.Const):
            return filtered.args[0].value
    for branch in tree.find_all(nodes.If):
        if _asks_whether_missing(branch.test, name):
            for assigned in branch.find_all(nodes.Assign):
                if _is(assigned.target, name) and isinstance(assigned.node, nodes.Const):
                    return assigned.node.value
    return None


def _asks_whether_missing(test: nodes.Node, name: str) -> bool:
    if isinstance(test, nodes.Not):
        inner = test.node
        return isinstance(inner, nodes.Test) and inner.name == "defined" and _is(inner.node, name)
    return isinstance(test, nodes.Test) and test.name == "undefined" and _is(test.node, name)
