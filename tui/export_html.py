"""A chat as one self-contained HTML file: Markdown rendered, code highlighted, nothing loaded from anywhere.

All text is treated as hostile: it is sanitized and escaped, raw HTML in it stays text, images become links, and links lead only to
http, https and mailto. This module is not part of `conversation.formats`, which uses only the standard library. The renderer is imported
when a page is written, so that the app's first frame does not wait for it.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from contextlib import closing
from html import escape
from typing import TYPE_CHECKING, Final

from tui.conversation import Conversation, FilePart, Part, Turn
from tui.conversation.entries import ChatFormatError
from tui.conversation.formats import Format, export_text
from tui.conversation.formats.prose import heading, told_parts
from tui.conversation.parts import label_of
from tui.highlighting.lexers import Lexers, Run
from tui.highlighting.stretches import stretches
from tui.sanitize import sanitize, sanitize_line

if TYPE_CHECKING:
    from markdown_it import MarkdownIt

_LINKS: Final = ("http:", "https:", "mailto:")
_STYLE: Final = """
:root { color-scheme: light dark; }
body { font: 16px/1.55 system-ui, sans-serif; max-width: 50rem; margin: 2rem auto; padding: 0 1rem; }
section { border-left: 4px solid #8888; padding: 0 1rem; margin: 1.5rem 0; overflow-wrap: anywhere; }
section.user { border-color: #2a7fd4; }
section.assistant { border-color: #3a9a5b; }
h2 { font-size: 0.9rem; margin: 0; opacity: 0.75; }
pre { padding: 0.75rem; overflow-x: auto; background: #f6f8fa; color: #1f2328; border-radius: 6px; }
code { font-family: ui-monospace, monospace; font-size: 0.9em; }
table { border-collapse: collapse; }
th, td { border: 1px solid #8888; padding: 0.25rem 0.5rem; }
blockquote, details { opacity: 0.8; }
"""
# No script, no frame and no request of any kind, even if the escaping above missed one.
_POLICY: Final = (
    "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"
)


def _renderer(lexers: Lexers) -> MarkdownIt:
    from markdown_it import MarkdownIt

    def highlighted(code: str, language: str, _attributes: str) -> str:
        return _highlighted(lexers, code, language)

    markdown = MarkdownIt("commonmark", {"html": False, "highlight": highlighted, "breaks": True})
    markdown.enable(["table", "strikethrough"]).disable("image")
    markdown.validateLink = _is_safe_link  # type: ignore[method-assign]
    return markdown


def _highlighted(lexers: Lexers, code: str, language: str) -> str:
    """Return code as colored HTML, or plain if its language is unknown or its lexer fails."""
    html: list[str] = []
    for lines in stretches(code.split("\n")):
        rows = lexers.rows(lines, language)
        html += map(escape, lines) if rows is None else map(_colored, lines, rows)
    return "\n".join(html)


def _colored(line: str, row: Sequence[Run]) -> str:
    html, start = "", 0
    for length, kind in row:
        text = escape(line[start : start + length])
        html += f'<span class="{kind}">{text}</span>' if kind else text
        start += length
    return html


def _is_safe_link(url: str) -> bool:
    return url.strip().lower().startswith(_LINKS)


def _markdown(renderer: MarkdownIt, text: str) -> str:
    try:
        return str(renderer.render(sanitize(text)))
    except RecursionError:
        return f"<pre>{escape(sanitize(text))}</pre>"


def _section(renderer: MarkdownIt, turn: Turn) -> str:
    kind = turn.role if turn.role in ("user", "assistant", "system") else "other"
    parts = [f'<section class="{kind}">', f"<h2>{escape(heading(turn))}</h2>"]
    if turn.reasoning:
        thought = _markdown(renderer, turn.reasoning)
        parts.append(f"<details><summary>Reasoning</summary>{thought}</details>")
    parts += [_told(renderer, words, part) for words, part in told_parts(turn)]
    return "\n".join([*parts, "</section>"])


def _told(renderer: MarkdownIt, words: str, part: Part | None) -> str:
    if part is None:
        return _markdown(renderer, words)
    label = escape(sanitize_line(label_of(part)))
    if isinstance(part, FilePart):
        return (
            f"<details><summary>{label}</summary><pre>{escape(sanitize(part.text))}</pre></details>"
        )
    return f"<p><small>{label}</small></p>"


def _chat(renderer: MarkdownIt, chat: Conversation) -> Iterator[str]:
    yield f"<h1>{escape(sanitize_line(chat.title) or 'Chat')}</h1>"
    if chat.system_prompt:
        yield '<section class="system">\n<h2>System prompt</h2>'
        yield _markdown(renderer, chat.system_prompt)
        yield "</section>"
    for turn in chat.path:
        yield _section(renderer, turn)


def _write(chats: Sequence[Conversation]) -> str:
    from pygments.formatters import HtmlFormatter

    title = escape(sanitize_line(chats[0].title) or "Chat")
    colors = HtmlFormatter(style="default").get_style_defs("pre")
    with closing(Lexers()) as lexers:
        renderer = _renderer(lexers)
        body = "\n".join(block for chat in chats for block in _chat(renderer, chat))
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{title}</title>\n<style>{colors}\n{_STYLE}</style>\n</head>\n"
        f"<body>\n{body}\n</body>\n</html>\n"
    )


HTML: Final = Format("html", "HTML page", (".html",), lambda _: False, write=_write)


def export_html(
    conversations: Sequence[Conversation], selection: Collection[str] | None = None
) -> str:
    """Return one HTML page with the active paths of these chats.

    Args:
        selection: the IDs of turns on the active paths to write; None for all.

    Raises:
        ChatFormatError: there are no turns to write.
    """
    return export_text(conversations, HTML, selection)


__all__ = ["HTML", "ChatFormatError", "export_html"]
