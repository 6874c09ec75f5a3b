"""How does Markdown become part of a page? Markup in it stays text, and links lead to web addresses alone."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import cache
from typing import TYPE_CHECKING, Any, Final

from aliquot.report.tables import linked, printable, text

if TYPE_CHECKING:
    from markdown_it import MarkdownIt
    from markdown_it.token import Token

__all__ = ["blocks", "escaped", "inline", "plain"]

_CODE: Final = re.compile(r"(`+)(?:(?!`).)+?\1(?!`)", re.DOTALL)

#: A mark of significance behind an interval, which would begin emphasis.
_MARK: Final = re.compile(r"(?<=\])\*(?=[\s,;.)|]|$)")

_POWER: Final = re.compile(r"(?<![\w.])(\d+(?:\.\d+)?)e([+-])0*(\d+)(?!\w)")

_SUPERSCRIPTS: Final = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")

_MINUS: Final = re.compile(r"(?<![\w.,;:/)\]-])-(?=[\d.])")


def blocks(source: str) -> str:
    """Paragraphs, lists, tables, emphasis, code and links as markup; every heading is one of third level.

    Examples
    --------
    >>> blocks("A *b* <script>")
    '<p>A <em>b</em> &lt;script&gt;</p>'
    """
    return (
        _reader()
        .render("\n".join(_MARK.sub(r"\\*", printable(line)) for line in source.splitlines()))
        .strip()
    )


def inline(source: str) -> str:
    """Markup of one line.

    Examples
    --------
    >>> inline("2-3 times, [-0.5, 1.6e-3]*, p < 1e-12")
    '2-3 times, [−0.5, 1.6×10⁻³]*, p &lt; 10⁻¹²'
    >>> inline("**2.1** [x](javascript:alert)")
    '<strong>2.1</strong> [x](javascript:alert)'
    """
    return _reader().renderInline(_MARK.sub(r"\\*", printable(source)))


def plain(source: str) -> str:
    """The words alone, as for a figure, which has no markup.

    Examples
    --------
    >>> plain("**2.1** `a_b` [here](https://example.org)")
    '2.1 a_b here'
    """
    tokens = _reader().parseInline(printable(source))
    return "".join(one.content for token in tokens for one in token.children or ())


def escaped(source: str) -> str:
    """Markdown whose markup of pages, if any, is text wherever it is read; numbers as :func:`inline` writes them.

    Examples
    --------
    >>> escaped("-0.2 [-0.3, 1e-05]")
    '−0.2 [−0.3, 10⁻⁵]'
    >>> escaped("a <b> `c <d>` <https://example.org>")
    'a &lt;b> `c <d>` <https://example.org>'
    """
    out, end = [], 0
    for code in _CODE.finditer(source):
        out += [_escaped(source[end : code.start()]), code.group()]
        end = code.end()
    return "".join([*out, _escaped(source[end:])])


def _escaped(source: str) -> str:
    source = re.sub(r"<(?=[A-Za-z/!?])(?!https?://)", "&lt;", source)
    source = _MINUS.sub("−", _POWER.sub(_power, _MARK.sub(r"\\*", source)))
    return re.sub(r"\](?=\(\s*(?!https?:)[A-Za-z][\w+.-]*:)", r"\]", source)


@cache
def _reader() -> MarkdownIt:
    from markdown_it import MarkdownIt

    reader: Any = MarkdownIt("commonmark", {"html": False}).enable("table").disable("image")
    reader.validateLink = lambda url: url.lower().startswith(("https://", "http://"))
    rules = reader.renderer.rules
    rules["text"] = _text
    rules["heading_open"] = lambda *_: "<h3>"
    rules["heading_close"] = lambda *_: "</h3>\n"
    rules["table_open"] = lambda *_: '<div class="scroll" tabindex="0"><table>\n'
    rules["table_close"] = lambda *_: "</table></div>\n"
    rules["link_open"] = lambda tokens, at, *_: (
        f'<a href="{text(tokens[at].attrGet("href"))}" rel="noreferrer">'
    )
    return reader


def _text(tokens: Sequence[Token], at: int, *_: object) -> str:
    """Words, with true minus signs and powers; a DOI among them is a link, unless it is in one."""
    depth = sum(token.nesting for token in tokens[:at] if token.type in ("link_open", "link_close"))
    words = _MINUS.sub("−", _POWER.sub(_power, tokens[at].content))
    return text(words) if depth else linked(words)


def _power(found: re.Match[str]) -> str:
    """``1.6e-17`` as it is written by hand."""
    factor, sign, exponent = found.groups()
    power = f"10{(exponent if sign == '+' else '-' + exponent).translate(_SUPERSCRIPTS)}"
    return power if factor == "1" else f"{factor}×{power}"
