"""Running text: emphasis, code, links and formulas within one block, as styled spans."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import unquote

from tui.sanitize import sanitize
from tui.widgets.markdown.formulas import readable
from tui.widgets.markdown.lines import Span

if TYPE_CHECKING:
    from markdown_it import MarkdownIt
    from markdown_it.rules_inline import StateInline
    from markdown_it.token import Token

_MOST_BRACKETS: Final = 400
"""The most opening brackets in one block for which links are parsed; the search is quadratic."""
_MOST_ADDRESSES: Final = 100
"""The most possible addresses in one block. Beyond, none is parsed, because each is a separate search."""
_ADDRESS_SIGNS: Final = ("//", "www.", "mailto:")
_LONGEST_WORD: Final = 1_000
_BARE_ADDRESSES: Final = "bare addresses"
_LONGEST_TARGET: Final = 200
_RAISED: Final = str.maketrans("0123456789", "⁰¹²³⁴⁵⁶⁷⁸⁹")
_PAIRS: Final = {"strong": "strong", "em": "em", "s": "strike"}
_LONGEST: Final = 6_000
"""A block with more characters than this is not parsed for emphasis, links and so on."""
_SIGN_WEIGHT: Final = 12
_BRACKET_WEIGHT: Final = 24
_SIGNS: Final = re.compile(r"[*_~`!<>&$\\:^{\n]")
_MATH: Final = re.compile(
    r"\\\(.{1,400}?\\\)|\\\[.{1,800}?\\\]|\$\$.{1,800}?\$\$|\$(?=[^\s$])[^\n$]{0,200}?[^\s$\\]\$(?!\w)",
    re.DOTALL,
)
_FORMULA_SIGN: Final = re.compile(r"[\\^_=<>+*/|{}()-]")
_SURE_SIGN: Final = re.compile(r"[\\^_=<>]")
_PROSE: Final = re.compile(r"[^\W\d_]{3,}[,.;:]?\s+[^\W\d_]{2,}")
_TEXT_COMMAND: Final = re.compile(r"\\(?:text\w*|mbox|operatorname)\{[^{}]*\}")
_TAG: Final = re.compile(
    r"""</?[A-Za-z][^\s<>`]*> | <[A-Za-z][\w:.-]*
    (?:\s+[A-Za-z_:@][\w:.-]*(?:\s*=\s*(?:"[^"\n]*"|'[^'\n]*'|[^\s"'=<>`]+))?)*\s*/?>""",
    re.VERBOSE,
)
"""An HTML tag, or the parameters of a type. Nothing in it is markup."""
_KEPT_ESCAPES: Final = frozenset((r"\(", r"\)", r"\[", r"\]"))


def _is_formula(text: str) -> bool:
    """Whether the text between single dollar signs looks like a formula rather than prices or names."""
    if len(text) == 1:
        return text.isalnum()
    if _PROSE.search(_TEXT_COMMAND.sub("", text)):
        return False
    if text[0].isdigit() and " " in text:
        return _SURE_SIGN.search(text) is not None
    return _FORMULA_SIGN.search(text) is not None or (len(text) < 4 and text.isalnum())


def math_rule(state: StateInline, silent: bool) -> bool:
    r"""Parse `\(..\)`, `\[..\]`, `$..$` and `$$..$$` as a unit, for markdown-it's inline parser; never with code inside."""
    if state.src[state.pos] not in "$\\":
        return False
    match = _MATH.match(state.src, state.pos, state.posMax)
    if match is None or "`" in match[0]:
        return False
    is_single = match[0][0] == "$" and match[0][1] != "$"
    before = state.src[state.pos - 1 : state.pos]
    if is_single and (before.isalnum() or not _is_formula(match[0][1:-1])):
        return False
    if not silent:
        state.push("math", "", 0).content = match[0]
    state.pos = match.end()
    return True


def tag_rule(state: StateInline, silent: bool) -> bool:
    """Keep what looks like an HTML tag as it is written, for markdown-it's inline parser."""
    match = _TAG.match(state.src, state.pos, state.posMax)
    if match is None:
        return False
    if not silent:
        state.push("text", "", 0).content = match[0]
    state.pos = match.end()
    return True


def inline_weight(content: str) -> int:
    """Return the cost of parsing `content` for emphasis, links and so on, in characters of plain prose."""
    signs = sum(1 for _ in _SIGNS.finditer(content))
    return len(content) + _SIGN_WEIGHT * signs + _BRACKET_WEIGHT * content.count("[")


def inline_spans(parser: MarkdownIt, content: str, env: dict[str, Any]) -> tuple[Span, ...]:
    """Return `content`, the text of one block, as spans without control characters."""
    if len(content) > _LONGEST or content.count("[") > _MOST_BRACKETS:
        return (Span(content),)
    return _parsed(parser, content, env) if env else _parsed_without_references(parser, content)


@lru_cache(maxsize=512)
def _parsed_without_references(parser: MarkdownIt, content: str) -> tuple[Span, ...]:
    """Cache what was parsed, because the blocks of a growing list item are built again and again."""
    return _parsed(parser, content, {})


def _parsed(parser: MarkdownIt, content: str, env: dict[str, Any]) -> tuple[Span, ...]:
    children: list[Token] = []
    env = {**env, _BARE_ADDRESSES: _has_few_addresses(content)}
    parser.inline.parse(content, parser, env, children)
    return merged(_walk(_linkified(parser, children, content)))


def address_rule(state: StateInline, silent: bool) -> bool:
    """Parse a bare address as markdown-it's own rule does, unless there are so many that it would take too long."""
    from markdown_it.rules_inline.linkify import linkify

    return bool(state.env.get(_BARE_ADDRESSES)) and linkify(state, silent)


def _has_few_addresses(content: str) -> bool:
    """Whether searching for bare addresses is no slower than the rest of the parsing; each may be as long as a whole word."""
    if sum(content.count(sign) for sign in _ADDRESS_SIGNS) > _MOST_ADDRESSES:
        return False
    return len(content) < _LONGEST_WORD or max(map(len, content.split()), default=0) < _LONGEST_WORD


def _linkified(parser: MarkdownIt, tokens: list[Token], content: str) -> list[Token]:
    if ("://" not in content and "www." not in content) or not _has_few_addresses(content):
        return tokens
    from markdown_it.rules_core import StateCore, linkify
    from markdown_it.token import Token

    holder = Token("inline", "", 0, content=content, children=_joined(tokens))
    linkify(StateCore("", parser, {}, [holder]))
    return holder.children or []


def _joined(tokens: list[Token]) -> list[Token]:
    """Join runs of text, because the linkifier needs them in one piece; keep the escapes that formulas need."""
    joined: list[Token] = []
    for token in tokens:
        if token.type == "text_special":
            token.type, token.content = "text", _escape_text(token)
        if token.type == "text" and joined and joined[-1].type == "text":
            joined[-1].content += token.content
        else:
            joined.append(token)
    return joined


def _escape_text(token: Token) -> str:
    return token.markup if token.markup in _KEPT_ESCAPES else token.content


def merged(spans: Iterable[Span]) -> tuple[Span, ...]:
    """Return `spans` sanitized, with neighbors of the same style joined."""
    result: list[Span] = []
    for span in spans:
        text = sanitize(span.text)
        if result and result[-1].style == span.style and result[-1].link == span.link:
            result[-1] = result[-1]._replace(text=result[-1].text + text)
        elif text:
            result.append(span._replace(text=text))
    return tuple(result)


def _walk(tokens: list[Token]) -> Iterator[Span]:
    styles: list[str] = []
    link, title, shown = "", "", ""
    for token in tokens:
        kind = token.type
        leaf = _LEAVES.get(kind)
        if leaf is not None:
            text, style = leaf(token)
            shown += text
            yield Span(text, " ".join((*styles, style) if style else styles), link)
        elif kind == "link_open":
            link, shown = sanitize(str(token.attrGet("href") or "")), ""
            title = str(token.attrGet("title") or "")
            styles.append("link")
        elif kind == "link_close":
            styles.remove("link")
            target = _target(link, shown, title)
            if target:
                yield Span(target, " ".join((*styles, "quiet")), link)
            link = ""
        elif kind.endswith("_open"):
            styles.append(_PAIRS.get(kind[:-5], "em"))
        elif kind.endswith("_close"):
            styles.remove(_PAIRS.get(kind[:-6], "em"))
        else:
            yield Span(token.content, " ".join(styles), link)


def _target(link: str, shown: str, title: str) -> str:
    """Return the address and title to show after a link; empty if the link's text shows them already."""
    if not title and (not link or _bare(link) == _bare(shown)):
        return ""
    return f" ({_shortened(link, title)})"


def _bare(address: str) -> str:
    """Return an address without the parts that don't change its target."""
    scheme = address.partition(":")[0].lower()
    if scheme in ("http", "https", "mailto"):
        address = address[len(scheme) + 1 :].removeprefix("//")
    return unquote(address.strip().rstrip("/"))


def _shortened(link: str, title: str) -> str:
    if len(link) > _LONGEST_TARGET:
        link = link[: _LONGEST_TARGET - 1] + "…"
    return f'{link} "{title}"' if title else link


def footnote_mark(label: str) -> str:
    """Return the mark of a footnote: its number as a superscript, or its name as it was written."""
    return label.translate(_RAISED) if label.isascii() and label.isdigit() else f"[^{label}]"


def _image(token: Token) -> tuple[str, str]:
    source = _shortened(str(token.attrGet("src") or ""), str(token.attrGet("title") or ""))
    alt = "".join(span.text for span in _walk(token.children or [])) or token.content
    return (f"[image: {alt}] ({source})" if alt else f"[image] ({source})"), "quiet"


_LEAVES: Final[dict[str, Callable[[Token], tuple[str, str]]]] = {
    "text": lambda token: (token.content, ""),
    "text_special": lambda token: (_escape_text(token), ""),
    "softbreak": lambda _: ("\n", ""),
    "hardbreak": lambda _: ("\n", ""),
    "code_inline": lambda token: (token.content, "code"),
    "math": lambda token: (readable(token.content) or token.content, "math"),
    "footnote_ref": lambda token: (footnote_mark(token.meta["label"]), "footnote"),
    "image": _image,
}
