r"""LaTeX formulas as a line of Unicode: `\frac{a}{b} \le x_1^2` becomes `a/b ≤ x₁²`.

pylatexenc parses a formula and knows most symbols. This module arranges its result so that no meaning is
lost on one line. A formula with anything unknown is not converted at all. Finding the
formulas in a text is done elsewhere.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache
from typing import Any, Final, NamedTuple

LONGEST: Final = 2_000
"""Longer formulas, in characters, stay as they were written."""
_DEEPEST: Final = 30
_CLOSINGS: Final = {"$$": "$$", "$": "$", r"\(": r"\)", r"\[": r"\]"}

_SUPERSCRIPTS: Final = str.maketrans(
    "0123456789+-=()abcdefghijklmnoprstuvwxyzABDEGHIJKLMNOPRTUVW′*βγδθ",
    "⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻⁼⁽⁾ᵃᵇᶜᵈᵉᶠᵍʰⁱʲᵏˡᵐⁿᵒᵖʳˢᵗᵘᵛʷˣʸᶻᴬᴮᴰᴱᴳᴴᴵᴶᴷᴸᴹᴺᴼᴾᴿᵀᵁⱽᵂ′*ᵝᵞᵟᶿ",
)
_SUBSCRIPTS: Final = str.maketrans(
    "0123456789+-=()aehijklmnoprstuvxβγρφχ", "₀₁₂₃₄₅₆₇₈₉₊₋₌₍₎ₐₑₕᵢⱼₖₗₘₙₒₚᵣₛₜᵤᵥₓᵦᵧᵨᵩᵪ"
)
_SCRIPTS: Final = {"^": _SUPERSCRIPTS, "_": _SUBSCRIPTS}
_VULGAR: Final = {
    "1/2": "½", "1/3": "⅓", "2/3": "⅔", "1/4": "¼", "3/4": "¾", "1/5": "⅕", "1/6": "⅙", "1/8": "⅛", "3/8": "⅜",
    "5/8": "⅝", "7/8": "⅞",
}  # fmt: skip
_RELATION: Final = re.compile(
    r"[ \u00a0]*([=≠<>≤≥≪≫≈≅≃≡∼∝∈∉∋⊂⊆⊃⊇→←↔⇒⇐⇔⟶⟵⟹⟸⟺↦∧∨∩∪·×÷±∓⊕⊗⊥∥]|:=)[ \u00a0]*"
)
_WHOLE: Final = re.compile(
    r"(?:\d[\d.]*|\w{0,4}\([^()]*\)|\|[^|]*\||[d∂√]?[^\W\d_][\u0300-\u036f\u20d7]?|∞)[′⁰¹²³⁴-⁹ⁿₐ-ₜ₀-₉ᵢ-ᵪⱼⱽᵃ-ᶿ]*"
)
"""A term that needs no parentheses anywhere."""

_SYMBOLS: Final = {
    "implies": "⟹", "impliedby": "⟸", "iff": "⟺", "degree": "°", "land": "∧", "lor": "∨", "lnot": "¬", "neg": "¬",
    "mid": " | ", "vert": "|", "lvert": "|", "rvert": "|", "Vert": "‖", "lVert": "‖", "rVert": "‖", "|": "‖",
    "{": "{", "}": "}", "lbrace": "{", "rbrace": "}", "lbrack": "[", "rbrack": "]", "%": "%", "$": "$", "&": "&",
    "#": "#", "_": "_", "quad": "  ", "qquad": "    ", ",": " ", ";": " ", ":": " ", ">": " ", " ": " ", "!": "",
    "to": "→", "gets": "←", "le": "≤", "leq": "≤", "leqslant": "≤", "ge": "≥", "geq": "≥", "geqslant": "≥",
    "ne": "≠", "neq": "≠", "dots": "…", "dotsc": "…", "dotsb": "⋯", "colon": ":", "bmod": " mod ", "prime": "′",
    "top": "⊤", "hslash": "ℏ", "limits": "", "nolimits": "", "displaystyle": "", "textstyle": "", "nonumber": "",
    "notag": "", "max": "max", "min": "min", "sup": "sup", "inf": "inf",
    "argmax": "argmax", "argmin": "argmin", "det": "det", "gcd": "gcd", "log": "log", "ln": "ln", "exp": "exp",
    "mapsto": "↦", "triangleq": "≜", "blacksquare": "■", "square": "□", "checkmark": "✓", "llbracket": "⟦",
    "rrbracket": "⟧",
}  # fmt: skip
_SIZES: Final = frozenset(
    ("left", "right", "middle", "big", "Big", "bigg", "Bigg", "bigl", "bigr", "bigm", "Bigl", "Bigr", "biggl", "biggr")
)  # fmt: skip
_ACCENTS: Final = {
    "hat": "\u0302", "widehat": "\u0302", "tilde": "\u0303", "widetilde": "\u0303", "bar": "\u0304", "dot": "\u0307",
    "ddot": "\u0308", "vec": "\u20d7", "check": "\u030c", "breve": "\u0306", "overline": "\u0305",
    "underline": "\u0332",
}  # fmt: skip
_OVER_EVERY_LETTER: Final = frozenset(("overline", "underline"))
_TRANSPARENT: Final = (
    "mathrm", "mathbf", "mathit", "mathsf", "mathtt", "mathnormal", "boldsymbol", "bm", "mathop", "mathbin", "mathrel",
    "operatorname", "boxed", "underbrace", "overbrace", "phantom", "ensuremath",
)  # fmt: skip
_WORDS: Final = (
    "text",
    "textrm",
    "textbf",
    "textit",
    "textsf",
    "texttt",
    "mbox",
    "hbox",
    "textnormal",
)
_ALPHABETS: Final = ("mathbb", "mathcal", "mathfrak", "mathscr")
_FRACTIONS: Final = ("frac", "dfrac", "tfrac", "cfrac")
_MATRICES: Final = {
    "matrix": ("", ""), "pmatrix": ("(", ")"), "bmatrix": ("[", "]"), "Bmatrix": ("{", "}"), "vmatrix": ("|", "|"),
    "Vmatrix": ("‖", "‖"), "smallmatrix": ("", ""), "array": ("", ""), "cases": ("{ ", ""),
}  # fmt: skip
_ALIGNED: Final = frozenset(
    name + star
    for name in ("aligned", "align", "gather", "gathered", "split", "equation", "multline", "eqnarray")
    for star in ("", "*")
)  # fmt: skip


class _UnreadableError(Exception):
    """The formula contains something that can't be shown on a line of text."""


class _Atom(NamedTuple):
    text: str
    kind: str = ""
    """`name`, `fraction`, `space`, `script`, `size`, `row`, `cell`, or nothing."""


@lru_cache(maxsize=1024)
def readable(formula: str) -> str | None:
    """Return a formula, given with its delimiters, as Unicode text, or None if it has to stay as it is."""
    for opening, closing in _CLOSINGS.items():
        if formula.startswith(opening) and formula.endswith(closing):
            return _converted(formula[len(opening) : len(formula) - len(closing)])
    return None


def _converted(source: str) -> str | None:
    source = source.strip()
    if (
        not source
        or len(source) > LONGEST
        or source.count("{") > _DEEPEST * 4
        or _depth(source) > _DEEPEST
    ):
        return None
    from pylatexenc.latexwalker import LatexWalker, LatexWalkerError

    walker = LatexWalker(source, latex_context=_context(), tolerant_parsing=False)
    try:
        nodes, _, _ = walker.get_latex_nodes()
        text = _text(nodes)
    except (LatexWalkerError, _UnreadableError, RecursionError):
        return None
    lines = (re.sub(r"(?<=\S) +", " ", line).strip() for line in text.split("\n"))
    return "\n".join(line for line in lines if line) or None


def _depth(source: str) -> int:
    depth = deepest = 0
    for sign in source:
        depth += (sign == "{") - (sign == "}")
        deepest = max(deepest, depth)
    return deepest + source.count(r"\begin") + source.count(r"\left")


@lru_cache(maxsize=1)
def _context() -> Any:
    from pylatexenc.latexwalker import get_default_latex_context_db
    from pylatexenc.macrospec import std_macro

    context = get_default_latex_context_db()
    one = (*_TRANSPARENT, *_WORDS, *_ALPHABETS, *_ACCENTS, "pmod", "tag", "label", "xrightarrow")
    two = (*_FRACTIONS, "binom", "overset", "underset", "stackrel")
    macros = [std_macro(name, "{") for name in one] + [std_macro(name, "{{") for name in two]
    context.add_context_category("formulas", macros=macros, prepend=True)
    return context


@lru_cache(maxsize=512)
def _symbol(name: str) -> str | None:
    if name in _SYMBOLS:
        return _SYMBOLS[name]
    spec = _symbol_table().get_macro_spec(name)
    found = spec.simplify_repl if spec is not None else None
    return found if isinstance(found, str) and found and "%" not in found else None


@lru_cache(maxsize=1)
def _symbol_table() -> Any:
    from pylatexenc.latex2text import get_default_latex_context_db

    return get_default_latex_context_db()


# Atoms


def _atoms(nodes: Sequence[Any]) -> Iterator[_Atom]:
    for node in nodes:
        kind = type(node).__name__
        if kind == "LatexCharsNode":
            for sign in node.chars:
                yield _sign(sign)
        elif kind == "LatexGroupNode":
            yield _group(node)
        elif kind == "LatexMacroNode":
            yield from _macro(node)
        elif kind == "LatexEnvironmentNode":
            yield _Atom(_environment(node))
        elif kind == "LatexSpecialsNode":
            yield _special(node.specials_chars)
        else:
            raise _UnreadableError


def _sign(sign: str) -> _Atom:
    if sign.isspace():
        return _Atom(" ", "space")
    if sign in _SCRIPTS:
        return _Atom(sign, "script")
    return _Atom("′" if sign == "'" else sign)


def _group(node: Any) -> _Atom:
    opening, closing = node.delimiters
    text = _text(node.nodelist)
    return _Atom(text if opening == "{" else f"{opening}{text}{closing}")


def _special(signs: str) -> _Atom:
    if signs == "&":
        return _Atom("", "cell")
    if signs == "~":
        return _Atom(" ", "space")
    return _Atom("′" * len(signs) if set(signs) == {"'"} else signs)


def _macro(node: Any) -> Iterator[_Atom]:
    name = node.macroname
    arguments = _arguments(node)
    if name in ("\\", "newline"):
        yield _Atom("", "row")
        return
    if name == "label":
        return
    if name in _SIZES:
        yield _Atom("", "size")
        return
    known = _COMMANDS.get(name)
    if known is not None and arguments:
        yield known(name, arguments)
    else:
        symbol = _symbol(name)
        if symbol is None or arguments:
            raise _UnreadableError
        yield _Atom(symbol, "name" if len(symbol) > 1 and symbol.isalpha() else "")


def _arguments(node: Any) -> list[list[Any]]:
    found = node.nodeargd.argnlist if node.nodeargd is not None else ()
    return [_nodes(argument) for argument in found or () if argument is not None]


def _nodes(argument: Any) -> list[Any]:
    return list(argument.nodelist) if type(argument).__name__ == "LatexGroupNode" else [argument]


def _fraction(name: str, arguments: list[list[Any]]) -> _Atom:  # noqa: ARG001 - a table's signature
    over, under = (_text(argument) for argument in arguments)
    plain = f"{over}/{under}"
    if plain in _VULGAR:
        return _Atom(_VULGAR[plain])
    return _Atom(f"{_closed(over)}/{_closed(under)}", "fraction")


def _closed(text: str) -> str:
    """Return `text` in parentheses, unless it needs none."""
    return text if _WHOLE.fullmatch(text) else f"({text})"


def _root(name: str, arguments: list[list[Any]]) -> _Atom:  # noqa: ARG001
    *degree, inner = (_text(argument) for argument in arguments)
    sign = "".join(degree).strip("[]")
    return _Atom(f"{_script('^', sign).removeprefix('^') if sign else ''}√{_closed(inner)}")


def _binomial(name: str, arguments: list[list[Any]]) -> _Atom:  # noqa: ARG001
    over, under = (_text(argument) for argument in arguments)
    return _Atom(f"({over} choose {under})")


def _inside(name: str, arguments: list[list[Any]]) -> _Atom:
    text = _text(arguments[-1])
    return _Atom(text, "name" if name == "operatorname" else "")


def _words(name: str, arguments: list[list[Any]]) -> _Atom:  # noqa: ARG001
    if any(type(node).__name__ != "LatexCharsNode" for node in arguments[-1]):
        raise _UnreadableError
    return _Atom("".join(node.chars for node in arguments[-1]))


def _alphabet(name: str, arguments: list[list[Any]]) -> _Atom:
    from pylatexenc.latex2text import LatexNodes2Text

    letters = _text(arguments[-1])
    if not (letters.isascii() and letters.isalnum()):
        raise _UnreadableError
    return _Atom(LatexNodes2Text().latex_to_text(f"\\{name}{{{letters}}}"))


def _accent(name: str, arguments: list[list[Any]]) -> _Atom:
    text, mark = _text(arguments[-1]), _ACCENTS[name]
    if name in _OVER_EVERY_LETTER:
        return _Atom("".join(letter + mark for letter in text))
    if len(text) == 1:
        return _Atom(text + mark)
    return _Atom(f"{name}({text})")


def _set_over(name: str, arguments: list[list[Any]]) -> _Atom:
    mark, base = (_text(argument) for argument in arguments)
    return _Atom(base + _script("_" if name == "underset" else "^", mark))


def _modulus(name: str, arguments: list[list[Any]]) -> _Atom:  # noqa: ARG001
    return _Atom(f" (mod {_text(arguments[-1])})")


def _tag(name: str, arguments: list[list[Any]]) -> _Atom:  # noqa: ARG001
    return _Atom(f"  ({_text(arguments[-1])})")


def _arrow(name: str, arguments: list[list[Any]]) -> _Atom:  # noqa: ARG001
    return _Atom(f" ─({_text(arguments[-1])})→ ")


_Command = Callable[[str, list[list[Any]]], _Atom]
_COMMANDS: Final[dict[str, _Command]] = {
    **dict.fromkeys(_FRACTIONS, _fraction),
    **dict.fromkeys(_TRANSPARENT, _inside),
    **dict.fromkeys(_WORDS, _words),
    **dict.fromkeys(_ALPHABETS, _alphabet),
    **dict.fromkeys(_ACCENTS, _accent),
    **dict.fromkeys(("overset", "underset", "stackrel"), _set_over),
    "sqrt": _root,
    "binom": _binomial,
    "pmod": _modulus,
    "tag": _tag,
    "xrightarrow": _arrow,
}


def _environment(node: Any) -> str:
    name = node.environmentname
    nodes = list(node.nodelist)
    if name in _ALIGNED:
        rows = _rows(nodes)
        return "\n".join(" ".join(cell for cell in row if cell) for row in rows)
    if name not in _MATRICES:
        raise _UnreadableError
    opening, closing = _MATRICES[name]
    separator = " " if name != "cases" else ", "
    rows = [[cell.strip(" ,") if name == "cases" else cell for cell in row] for row in _rows(nodes)]
    return opening + "; ".join(separator.join(row) for row in rows) + closing


def _rows(nodes: Sequence[Any]) -> list[list[str]]:
    rows: list[list[list[_Atom]]] = [[[]]]
    for atom in _atoms(nodes):
        if atom.kind == "row":
            rows.append([[]])
        elif atom.kind == "cell":
            rows[-1].append([])
        else:
            rows[-1][-1].append(atom)
    texts = [[_arranged(cell).strip() for cell in row] for row in rows]
    return [row for row in texts if any(row)]


# Arranging


def _text(nodes: Sequence[Any]) -> str:
    return _arranged(list(_atoms(nodes)))


def _arranged(atoms: list[_Atom]) -> str:
    text = ""
    number = 0
    while number < len(atoms):
        atom = atoms[number]
        number += 1
        if atom.kind == "script":
            while number < len(atoms) and atoms[number].kind == "space":
                number += 1
            if number == len(atoms) or atoms[number].kind == "script":
                raise _UnreadableError
            text = text.rstrip(" ") + _script(atom.text, atoms[number].text)
            number += 1
        elif atom.kind == "size":
            number += number < len(atoms) and atoms[number].text == "."
        elif atom.kind in ("row", "cell"):
            text += "\n" if atom.kind == "row" else " "
        else:
            text += _beside(text, atom, atoms[number] if number < len(atoms) else _Atom(""))
    return _RELATION.sub(r" \1 ", text).strip(" ")


def _beside(before: str, atom: _Atom, following: _Atom) -> str:
    """Return an atom with the spaces that keep it apart from its neighbors."""
    touches = before[-1:].isalnum() or before.endswith(")")
    touched = (
        following.text[:1].isalnum() or following.text[:1] == "(" or following.kind == "script"
    )
    if atom.kind == "fraction" and (touches or touched):
        return f"({atom.text})"
    if atom.kind == "name":
        after = " " if following.text[:1].isalnum() else ""
        return (" " if touches else "") + atom.text + after
    if atom.text and atom.text.isalpha() and len(atom.text) > 1 and touches:
        return " " + atom.text
    return atom.text


def _script(mark: str, text: str) -> str:
    """Return a superscript or subscript in Unicode if that has all the characters, or else after its mark."""
    table = _SCRIPTS[mark]
    close = text.replace(" ", "")
    if mark == "^" and close in ("∘", "°"):
        return "°"
    if mark == "^" and close == "⊤":
        return "ᵀ"
    if close and all(ord(sign) in table for sign in close):
        return close.translate(table)
    is_word = mark == "_" and text.isascii() and text.isalnum()
    return f"{mark}{text}" if is_word or len(text) == 1 else f"{mark}({text})"
