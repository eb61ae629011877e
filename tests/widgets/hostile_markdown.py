"""Markdown that is written to be slow: for each kind, a text of about a given length.

Every kind aims at one loop, either of this project or of the libraries that it calls (markdown-it, linkify-it, pylatexenc).
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from typing import Final


def _repeat(unit: str) -> Callable[[int], str]:
    return lambda size: (unit * (size // len(unit) + 1))[:size]


def _lines(line: str) -> Callable[[int], str]:
    return _repeat(line + "\n")


def _nested_list(marker: str) -> Callable[[int], str]:
    """One item deeper on each line, again and again."""

    def text(size: int) -> str:
        depth = 24
        ladder = "".join(
            " " * (len(marker) + 1) * level + f"{marker} x\n" for level in range(depth)
        )
        return _repeat(ladder)(size)

    return text


def _same_line(unit: str, end: str = "x") -> Callable[[int], str]:
    """Lines that open as many containers as fit on them."""
    return lambda size: "".join(
        f"{unit * 40}{end}\n" for _ in range(size // (len(unit) * 40 + 2) + 1)
    )[:size]


def _definitions(size: int) -> str:
    count = size // 30
    head = "".join(f"[label {n}]: https://a.example/{n}\n" for n in range(count // 2))
    return head + "\n" + "".join(f"[label {n}] " for n in range(count // 2))


def _footnotes(size: int) -> str:
    count = size // 24
    return (
        "".join(f"a[^{n}] " for n in range(count))
        + "\n\n"
        + "".join(f"[^{n}]: note\n" for n in range(count))
    )


def _table(columns: int, cell: str = "a") -> Callable[[int], str]:
    row = "|" + f"{cell}|" * columns + "\n"
    rule = "|" + "-|" * columns + "\n"
    return lambda size: (row + rule + row * (size // len(row) + 1))[
        : max(size, len(row) + len(rule))
    ]


def _formula(inside: Callable[[int], str]) -> Callable[[int], str]:
    """Many formulas just below the length beyond which they stay as they are."""

    def text(size: int) -> str:
        one = f"\\({inside(360)}\\) "
        return (one * (size // len(one) + 1))[:size]

    return text


def _displayed(inside: Callable[[int], str]) -> Callable[[int], str]:
    """Displayed formulas of 1,900 characters."""

    def text(size: int) -> str:
        one = f"$$\n{inside(1_900)}\n$$\n\n"
        return (one * (size // len(one) + 1))[:size]

    return text


def _fractions(size: int) -> str:
    depth = min(28, size // 9)
    one = r"\frac{" * depth + "a" + "}{b}" * depth
    return one * max(1, size // len(one))


def _matrix(size: int) -> str:
    return r"\begin{pmatrix}" + _repeat(r"a&b\\")(size - 28) + r"\end{pmatrix}"


def _begins(size: int) -> str:
    depth = 14
    return (
        r"\begin{matrix}" * depth
        + _repeat("a&")(max(2, size - 26 * depth))
        + r"\end{matrix}" * depth
    )


KINDS: Final[dict[str, Callable[[int], str]]] = {
    "quotes on one line": _repeat(">"),
    "quotes with blanks": _repeat("> "),
    "quotes on each line": _same_line(">"),
    "quotes, spaced": _same_line("> "),
    "quotes, 10 deep": lambda size: _lines("> " * 10 + "x y z")(size),
    "quotes, 20 deep, blank": lambda size: _lines(">" * 20)(size),
    "quotes, lazy": lambda size: ">" * 19 + " a\n" + _lines("b")(size),
    "quotes in lists": _same_line("- > "),
    "lists in quotes": _same_line("> - "),
    "lists on one line": _same_line("- "),
    "ordered on one line": _same_line("1. "),
    "lists, stairs": _nested_list("-"),
    "ordered, stairs": _nested_list("1."),
    "list of one item, paragraphs": lambda size: "- a\n\n" + _repeat("  b\n\n")(size),
    "list, empty items": _lines("-"),
    "list, items": _lines("- a"),
    "list, tasks": _lines("- [x] a"),
    "schemes": _repeat("://"),
    "schemes with letters": _repeat("http://"),
    "schemes, spaced": _repeat("http://a "),
    "schemes in words": _repeat("a://"),
    "links with slashes": _repeat("http://a/"),
    "link, very long": lambda size: "http://a.b/" + _repeat("(")(size),
    "links, brackets": _repeat("http://a.b/(("),
    "links, dots": lambda size: "http://" + _repeat("a.")(size),
    "links, dashes": lambda size: "http://" + _repeat("a-")(size),
    "links, user": _repeat("http://a:b@"),
    "www": _repeat("www."),
    "www, words": _repeat("www.a "),
    "www after one link": lambda size: "www. " + _repeat("a@")(size),
    "at signs": _repeat("@"),
    "mail addresses": _repeat("a@b.co "),
    "mailto": _repeat("mailto:a@b.co "),
    "mailto, one": lambda size: "://" + _repeat("mailto:")(size),
    "double slashes": lambda size: "http://a " + _repeat("//")(size),
    "double slashes, words": lambda size: "http://a " + _repeat("//a.b ")(size),
    "link, entities": lambda size: "http://a/" + _repeat("&amp;")(size),
    "brackets": _repeat("["),
    "brackets, both": lambda size: "[" * (size // 2) + "]" * (size // 2),
    "brackets, closing": _repeat("]"),
    "brackets, 390": lambda size: ("[" * 390 + _repeat("a](b")(size))[:size],
    "links": _repeat("[a](b) "),
    "links, unclosed": _repeat("[a]("),
    "links, unclosed angle": _repeat("[a](<"),
    "link, title unclosed": _repeat('[a](b "'),
    "links, parens": lambda size: "[a](" + "(" * size,
    "images": _repeat("![a](b)"),
    "images, nested": _repeat("!["),
    "images, nested, 390": lambda size: "![" * 390 + "a" + "](b)" * 390,
    "backticks": _repeat("`"),
    "backticks, growing": lambda size: " ".join("`" * n for n in range(1, int((2 * size) ** 0.5)))[
        :size
    ],
    "backticks, single": _repeat("`a "),
    "asterisks": _repeat("*"),
    "asterisks, opening": _repeat("*a "),
    "asterisks, closing": _repeat("a* "),
    "asterisks, double": _repeat("**a "),
    "asterisks, mixed": _repeat("*a **a "),
    "asterisks, mixed closing": _repeat("a**b*c**"),
    "asterisks and underscores": _repeat("*a_ "),
    "asterisks, threes": _repeat("***a** b* "),
    "asterisks, balanced": lambda size: "*a " * (size // 6) + "b* " * (size // 6),
    "underscores": _repeat("_a "),
    "underscores, words": _repeat("a_b "),
    "tildes": _repeat("~~a "),
    "tildes, long": lambda size: "a" + "~" * size,
    "dollars": _repeat("$"),
    "dollars, spaced": _repeat("$a "),
    "dollars, double": _repeat("$$a "),
    "dollars, never closed": lambda size: "$" + "$a" * (size // 2),
    "dollars, formulas": _repeat("$x^2$ "),
    "parens": _repeat(r"\( "),
    "parens, tight": _repeat(r"\("),
    "brackets, escaped": _repeat(r"\["),
    "escapes": _repeat("\\"),
    "escapes, stars": _repeat(r"\*"),
    "angles": _repeat("<"),
    "tags": _repeat("<a "),
    "tags, attributes": _repeat("<a b=c "),
    "tag, one": lambda size: "<a" + " b" * (size // 2),
    "tag, quotes": lambda size: "<a " + 'b="c" ' * (size // 6),
    "tags, quotes": _repeat('<a b="'),
    "autolinks": _repeat("<http://a> "),
    "autolinks, unclosed": _repeat("<http://a"),
    "comments": _repeat("<!--"),
    "entities": _repeat("&amp;"),
    "entities, bad": _repeat("&a"),
    "entities, numeric": _repeat("&#x41;"),
    "bangs": _repeat("!"),
    "table, 2": _table(2),
    "table, 40": _table(40),
    "table, 400": _table(400),
    "table, 4000": _table(4_000),
    "table, emphasis": _table(40, "*a*"),
    "table, wide cells": _table(3, "word " * 60),
    "table, long words": _table(3, "w" * 400),
    "table, pipes": _repeat("|"),
    "table, pipe lines": _lines("|a|b|"),
    "table, header only": lambda size: "|a" * (size // 4) + "|\n" + "|-" * (size // 4) + "|\n",
    "table, short rows": lambda size: "|a" * 60 + "|\n" + "|-" * 60 + "|\n" + _repeat("|\n")(size),
    "table, surplus": lambda size: "|a|\n|-|\n" + _lines("|" + "b|" * 60)(size),
    "table, escaped pipes": _table(20, r"\|" * 10),
    "table, links": _table(20, "http://a.b"),
    "table, CJK": _table(10, "漢字" * 20),
    "table in quote": lambda size: "".join(f"> {line}\n" for line in _table(30)(size).split("\n")),
    "definitions": _definitions,
    "definitions, unclosed": _lines("[a]: <b"),
    "definitions, open titles": _lines('[a]: b "c'),
    "footnotes": _footnotes,
    "footnotes, nested": lambda size: (
        "".join(" " * 4 * n + f"[^{n}]: a\n" for n in range(20)) + _lines("[^a]: x")(size)
    ),
    "footnotes, references": _repeat("[^a]"),
    "footnotes, inline": _repeat("^[a"),
    "headings": _lines("# a"),
    "headings, long": lambda size: "# " + _repeat("# ")(size),
    "headings, trailing": lambda size: "# a" + "#" * size,
    "setext": _lines("a\n==="),
    "setext, long paragraph": lambda size: _lines("a")(size) + "===\n",
    "rules": _lines("---"),
    "rules, spaced": _repeat("- " * 40 + "\n"),
    "rules, long": lambda size: "* " * (size // 2),
    "fences": _lines("```\n```"),
    "fences, unclosed": _lines("```\na\n~~~"),
    "fences, long": lambda size: "`" * size,
    "fences in quotes": _lines("> ```"),
    "fences in items": _lines("- ```\n  a\n  ```"),
    "fence, one": lambda size: "```\n" + _lines("x = 1")(size),
    "fence, one line": lambda size: "```\n" + _repeat("x")(size),
    "indented": _lines("    a"),
    "tabs": _repeat("\t"),
    "tabs, words": _repeat("a\t"),
    "tabs, lines": _lines("\ta"),
    "tabs, quotes": _lines(">\t>\t>\ta"),
    "blank lines": _repeat("\n"),
    "paragraph, lines": _lines("a"),
    "paragraph, hard breaks": _lines("a  "),
    "paragraph, backslash breaks": _lines("a\\"),
    "paragraphs": _lines("a\n"),
    "returns": _repeat("\r"),
    "returns, words": _repeat("a\r"),
    "bidi": _repeat("\u202ea"),
    "bidi, words": _repeat("\u202e a"),
    "controls": _repeat("\x1b[0m"),
    "words": _repeat("word "),
    "letters": _repeat("a"),
    "one letter words": _repeat("a "),
    "CJK": _repeat("漢字仮名"),
    "CJK, punctuation": _repeat("。"),
    "CJK, opening": _repeat("「"),
    "emoji": _repeat("😀"),
    "emoji, ZWJ": _repeat("👩‍👩‍👧‍👦"),
    "emoji, joined": _repeat("😀‍"),
    "combining": lambda size: "a" + _repeat("\u0301")(size),
    "combining, words": _repeat("a\u0301 "),
    "zero width": _repeat("\u200b"),
    "flags": _repeat("🇩🇪"),
    "variation": _repeat("☺\ufe0f"),
    "CJK with combining": lambda size: "漢" + _repeat("\u0301")(size),
    "spaces": _repeat(" "),
    "spaces between": lambda size: "a" + " " * size + "b",
    "no-break spaces": _repeat("\u00a0"),
    "fractions": _formula(_fractions),
    "fractions, displayed": _displayed(_fractions),
    "matrix": _formula(_matrix),
    "matrix, displayed": _displayed(_matrix),
    "environments": _formula(_begins),
    "environments, displayed": _displayed(_begins),
    "scripts": _formula(_repeat("x^")),
    "scripts, displayed": _displayed(_repeat("x_1^2 ")),
    "commands, displayed": _displayed(_repeat(r"\alpha")),
    "unknown commands": _displayed(_repeat(r"\a ")),
    "accents": _displayed(_repeat(r"\overline{a}")),
    "parens, displayed": _displayed(_repeat("(")),
    "parens, relation": _displayed(_repeat("a  =")),
    "bars, displayed": _displayed(_repeat(r"\frac{|}{|}")),
    "alphabets": _displayed(_repeat(r"\mathbb{R}")),
    "displayed, unclosed": _lines("$$"),
    "displayed, never": lambda size: "$$\n" + _lines("a")(size),
    "html": _lines("<div>"),
    "details": _lines("<details><summary>a</summary>"),
    "front matter": lambda size: "---\n" + _lines("a: b")(size),
}
"""A text of about the given number of characters, by the name of its kind."""

_PIECES: Final = (
    "> ", ">", "- ", "1. ", "* ", "\n", "\n\n", "    ", "\t", "`", "```", "~~~", "*", "**", "_", "~~", "[", "]", "(", ")", "![",
    "](", "<", ">", "<a ", "&amp;", "&", "\\", "$", "$$", r"\(", r"\)", r"\[", r"\]", r"\frac{", "}", r"\begin{matrix}", "|",
    "|-|", "---", "===", "# ", "://", "http://", "www.", "@", "a.b", "mailto:", "[^1]", "[^1]: ", "[a]: b", "a", "word ", "漢",
    "😀", "\u200d", "\u0301", "\r", "\u202e", "\x1b", " ",
)  # fmt: skip


def mixtures(seed: int, count: int, size: int) -> Iterator[str]:
    """Yield texts in which a few hostile pieces follow each other again and again, now and then with another one."""
    chance = random.Random(seed)
    for _ in range(count):
        few = chance.choices(_PIECES, k=chance.randint(1, 5))
        unit = "".join(chance.choices(few, k=chance.randint(1, 12)))
        text = ""
        while len(text) < size:
            text += unit * chance.randint(1, 400) + chance.choice(_PIECES)
        yield text[:size]
