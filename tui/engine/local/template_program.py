"""Reads and renders chat templates. It runs in a helper process, see `helper_serving`; `template.ChatTemplate` is the other end.

A chat template is a program of a stranger, in Jinja. It is rendered as transformers does it, in Jinja's sandbox, which keeps it from files
and other programs, but from neither time nor memory: those are the helper's to limit. For that reason nothing of the app is imported
here, and nothing of this module is run in the app.

Rendering also tells what the user typed from what the template wrote: a control token that was typed comes back as a piece of its own.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from functools import lru_cache
from typing import Any, Final

from jinja2 import Template, TemplateError, TemplateSyntaxError, meta, nodes
from jinja2.exceptions import SecurityError
from jinja2.ext import Extension
from jinja2.parser import Parser
from jinja2.sandbox import ImmutableSandboxedEnvironment
from jinja2.utils import Namespace

_GIVEN: Final = frozenset(
    (
        "messages", "tools", "documents", "add_generation_prompt", "continue_final_message", "conversation", "functions",
        "builtin_tools", "custom_tools", "tools_in_user_message", "controls", "citations", "date_string", "today",
    )
)  # fmt: skip
"""What every template is given, or what only tools and documents have a use for."""
_LISTS: Final = frozenset(("tools", "documents", "builtin_tools", "custom_tools"))
"""Those of them that are lists."""
_DATE: Final = re.compile(r"date|today|_day|now")
_ASKS_FOR_MISSING: Final = frozenset(("defined", "undefined", "none", "default", "d"))
"""Tests and filters that are for a variable that may be missing."""
_MOST_SWITCHES: Final = 20
_MOST_CHOICES: Final = 12
_LONGEST_CHOICE: Final = 200
_LONGEST_NAME: Final = 100
_LARGEST: Final = 10**15
_LONGEST_TEMPLATE: Final = 1_000_000
"""Characters. The longest that are in use have a tenth of that."""
_LONGEST_REASON: Final = 1_000
_TYPED_START: Final = "\ufdd0"
_TYPED_END: Final = "\ufdd1"
"""What marks a control token that was typed: characters that Unicode keeps for such uses inside a program, so that no text has them."""


def answer(question: Mapping[str, Any]) -> dict[str, Any]:
    """Answer a question about a template.

    Args:
        question: has the `template` and the special tokens by name as `special`. To have it rendered it also has what comes from the
            user as `typed`, by name, and the tokens that are no control tokens there as `control`; `fills_gaps` is true for a template
            that asks for more. To have it rendered several times it has a list of such values as `trials`.

    Returns:
        What `read` or `render` returns; for trials a list. A template that can't be rendered with some values has `refused` there
        instead, with the reason.
    """
    if "trials" in question:
        return {"trials": [answer(_trial(question, typed)) for typed in question["trials"]]}
    try:
        if "typed" in question:
            control = tuple(question["control"])
            gaps = question.get("fills_gaps", False)
            special = {**question["special"], **(_gaps(question["template"]) if gaps else {})}
            return {"pieces": render(question["template"], special, question["typed"], control)}
        return read(question["template"], question["special"])
    except MemoryError:
        return {"refused": "it took too much memory"}
    except Exception as error:  # noqa: BLE001 - the template is a program of somebody else
        return {"refused": _reason(error)}


def _trial(question: Mapping[str, Any], trial: Mapping[str, Any]) -> dict[str, Any]:
    rest = {name: value for name, value in question.items() if name != "trials"}
    return {**rest, **trial}


# -- reading


def read(template: str, special: Iterable[str]) -> dict[str, Any]:
    """Analyze a template without rendering it.

    Args:
        special: the names of the special tokens, which it is given.

    Returns:
        `problem`: what is wrong with how it is written, with the line; empty when nothing is. `switches`: what it lets the user choose,
        in the order of their names. `literals`: all text that stands in it.
    """
    if len(template) > _LONGEST_TEMPLATE:
        return _unread(f"it has {len(template):,} characters")
    environment = _environment()
    try:
        tree = environment.parse(template)
        _compiled(template)
    except TemplateSyntaxError as error:
        return _unread(f"line {error.lineno}: {_reason(error)}")
    except RecursionError:
        return _unread("it is nested too deeply")
    except (TemplateError, SyntaxError) as error:
        return _unread(_reason(error))
    return {
        "problem": "",
        "switches": _switches(environment, tree, special),
        "literals": _literals(tree),
    }


def _unread(problem: str) -> dict[str, Any]:
    return {"problem": problem, "switches": [], "literals": ""}


def _reason(error: BaseException) -> str:
    message = error.message if isinstance(error, TemplateError) else None
    return str(message or error)[:_LONGEST_REASON] or type(error).__name__


def _literals(tree: nodes.Template) -> str:
    """Return all text in a template, with a character between that no token has."""
    found = [node.data for node in tree.find_all(nodes.TemplateData)]
    found += [node.value for node in tree.find_all(nodes.Const) if isinstance(node.value, str)]
    return "\0".join(found)


def _switches(
    environment: ImmutableSandboxedEnvironment, tree: nodes.Template, special: Iterable[str]
) -> list[dict[str, Any]]:
    """Return the switches of a template.

    A variable that it asks for and that is none of those that every template is given is one, as `enable_thinking` is. Which values it
    takes is read from what the template compares it with.
    """
    asked = _asked(environment, tree)
    names = sorted(
        name
        for name in asked - _GIVEN - set(special)
        if not name.endswith(("_token", "_tokens")) and len(name) <= _LONGEST_NAME
    )
    return [_switch(tree, name) for name in names[:_MOST_SWITCHES]]


def _asked(environment: ImmutableSandboxedEnvironment, tree: nodes.Template) -> set[str]:
    """Return the variables that a template takes from whoever renders it.

    One that it sets in some branch only looks like one of them; what sets it where it is missing tells that it is.
    """
    called = {
        call.node.name for call in tree.find_all(nodes.Call) if isinstance(call.node, nodes.Name)
    }
    own = {name.name for name in tree.find_all(nodes.Name) if name.ctx == "store"}
    asked = meta.find_undeclared_variables(tree) - called - set(environment.globals)
    return (asked - own) | (asked & own & _set_where_missing(tree))


def _set_where_missing(tree: nodes.Template) -> set[str]:
    """Return the variables that a template sets where they are missing, by a branch or by a value that asks for itself."""
    found: set[str] = set()
    for branch in tree.find_all(nodes.If):
        found |= _missed(branch.test) & _set_by(branch.find_all(nodes.Assign))
    for assign in tree.find_all(nodes.Assign):
        found |= _missed(assign.node) & _set_by([assign])
    return found


def _missed(asking: nodes.Node) -> set[str]:
    """Return the variables of which an expression asks whether they are missing."""
    asked = [asking, *asking.find_all((nodes.Test, nodes.Filter))]
    return {
        one.node.name
        for one in asked
        if isinstance(one, nodes.Test | nodes.Filter)
        and one.name in _ASKS_FOR_MISSING
        and isinstance(one.node, nodes.Name)
    }


def _set_by(assigns: Iterable[nodes.Assign]) -> set[str]:
    return {one.target.name for one in assigns if isinstance(one.target, nodes.Name)}


# -- rendering


@lru_cache(maxsize=2)
def _asked_beside(template: str) -> frozenset[str]:
    environment = _environment()
    return frozenset(_asked(environment, environment.parse(template)))


def _gaps(template: str) -> dict[str, Any]:
    """Return something empty for each variable that a template asks for and that a chat does not have; dates are today's."""
    today = datetime.now().strftime("%Y-%m-%d")  # noqa: DTZ005 - the user's own time is meant
    names = (_asked_beside(template) | {"tools", "documents"}) - {
        "messages",
        "add_generation_prompt",
    }
    return {name: [] if name in _LISTS else today if _DATE.search(name) else "" for name in names}


def render(
    template: str, special: Mapping[str, Any], typed: Mapping[str, Any], control: tuple[str, ...]
) -> list[str]:
    """Return the text that a template makes: its own text and control tokens that the user typed, in turn, beginning with its own.

    Args:
        special: the special tokens, by the names that templates have for them.
        typed: the messages, and further values that come from the user.
        control: the tokens that count as text where the user typed them.

    Raises:
        Exception: whatever the template raised.
    """
    tokens, marks = _patterns(control)
    values = {"tools": None, "documents": None, "add_generation_prompt": False, **special}
    text = _compiled(template).render(values | _marked(typed, tokens))
    pieces: list[str] = []
    done = 0
    for mark in marks.finditer(text):
        # A mark without a token was torn from it by the template; it still parts the text.
        pieces += [text[done : mark.start()], mark.group(1) or ""]
        done = mark.end()
    return [*pieces, text[done:]]


@lru_cache(maxsize=4)
def _patterns(control: tuple[str, ...]) -> tuple[re.Pattern[str], re.Pattern[str]]:
    """Return what finds a control token, the longest first, and what finds a marked one or a mark that is alone."""
    longest_first = sorted(filter(None, control), key=len, reverse=True)
    tokens = "|".join(map(re.escape, longest_first)) or "(?!)"
    marks = f"{_TYPED_START}({tokens}){_TYPED_END}|[{_TYPED_START}{_TYPED_END}]"
    return re.compile(tokens), re.compile(marks)


def _marked(value: Any, tokens: re.Pattern[str]) -> Any:
    """Return what the user typed with marks around its control tokens, and without marks that were typed."""
    if isinstance(value, str):
        plain = value.replace(_TYPED_START, "").replace(_TYPED_END, "")
        return tokens.sub(f"{_TYPED_START}\\g<0>{_TYPED_END}", plain)
    if isinstance(value, dict):
        return {key: _marked(item, tokens) for key, item in value.items()}
    if isinstance(value, list):
        return [_marked(item, tokens) for item in value]
    return value


@lru_cache(maxsize=2)
def _compiled(template: str) -> Template:
    return _environment().from_string(template)


class _Generation(Extension):
    """The tag around what the assistant said, which transformers adds to the language; here it only holds its text."""

    tags = {"generation"}  # noqa: RUF012 - the library's declaration

    def parse(self, parser: Parser) -> Any:
        line = next(parser.stream).lineno
        body = parser.parse_statements(("name:endgeneration",), drop_needle=True)
        return nodes.Scope(body, lineno=line)


class _Dict:
    """What a template has for `dict`: no class, whose attributes would lead further."""

    def __call__(self, *args: Any, **kwargs: Any) -> dict[Any, Any]:
        return dict(*args, **kwargs)

    def fromkeys(self, *args: Any) -> dict[Any, Any]:
        """Return a dict with these keys."""
        return dict.fromkeys(*args)


class _Namespace(Namespace):
    """A namespace without names that begin with an underscore: those are Python's."""

    def __init__(*args: Any, **kwargs: Any) -> None:
        made, *rest = args
        values = dict(*rest, **kwargs)
        for name in values:
            _check_name(name)
        Namespace.__init__(made, values)

    def __setitem__(self, name: str, value: Any) -> None:
        _check_name(name)
        super().__setitem__(name, value)


def _check_name(name: Any) -> None:
    if isinstance(name, str) and name.startswith("_"):
        raise SecurityError(f"a namespace can't have a name such as {name[:_LONGEST_NAME]!r}")


def _environment() -> ImmutableSandboxedEnvironment:
    """Return the language of chat templates, as transformers defines it."""
    made = ImmutableSandboxedEnvironment(
        trim_blocks=True, lstrip_blocks=True, extensions=["jinja2.ext.loopcontrols", _Generation]
    )
    made.filters["tojson"] = _tojson
    made.globals |= {
        "raise_exception": _refuse,
        "strftime_now": _strftime_now,
        "dict": _Dict(),
        "namespace": _Namespace,
    }
    return made


def _refuse(message: Any) -> None:
    raise TemplateError(str(message))


def _strftime_now(form: str) -> str:
    return datetime.now().strftime(form)  # noqa: DTZ005 - the user's own time is meant


def _tojson(
    value: Any,
    ensure_ascii: bool = False,
    indent: Any = None,
    separators: Any = None,
    sort_keys: bool = False,
) -> str:
    return json.dumps(
        value, ensure_ascii=ensure_ascii, indent=indent, separators=separators, sort_keys=sort_keys
    )


# -- switches


def _switch(tree: nodes.Template, name: str) -> dict[str, Any]:
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
    plain = [choice for choice in choices if _is_plain(choice)]
    default = default if _is_plain(default) else None
    return {"name": name, "choices": plain[:_MOST_CHOICES], "default": default}


def _is_plain(value: Any) -> bool:
    """Return whether a constant is something that a person can choose."""
    if isinstance(value, str):
        return len(value) <= _LONGEST_CHOICE
    return isinstance(value, bool) or (isinstance(value, int | float) and abs(value) < _LARGEST)


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
                value = assigned.node
                sign = -1 if isinstance(value, nodes.Neg) else 1
                value = value.node if isinstance(value, nodes.Neg) else value
                if _is(assigned.target, name) and isinstance(value, nodes.Const):
                    return value.value if sign > 0 else -value.value
    return None


def _asks_whether_missing(test: nodes.Node, name: str) -> bool:
    if isinstance(test, nodes.Or):
        return _asks_whether_missing(test.left, name) or _asks_whether_missing(test.right, name)
    if isinstance(test, nodes.Not):
        inner = test.node
        return isinstance(inner, nodes.Test) and inner.name == "defined" and _is(inner.node, name)
    return isinstance(test, nodes.Test) and test.name == "undefined" and _is(test.node, name)
