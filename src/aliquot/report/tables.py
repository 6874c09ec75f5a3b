"""How is a value written into the page? Escaped text, numbers as a reader expects them, tables.

Everything that comes from a user's file passes through :func:`text` before it reaches the page.
"""

from __future__ import annotations

import html
import math
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

__all__ = [
    "Raw",
    "count",
    "linked",
    "number",
    "percent",
    "plural",
    "printable",
    "resolved",
    "seconds",
    "sentence",
    "table",
    "text",
    "words",
]

_NO_BREAK: Final = "\u00a0"
_SUPERSCRIPTS: Final = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")
_DOI: Final = re.compile(r"(?:https?://(?:dx\.)?doi\.org/|doi:\s*)?(10\.\d{4,9}/[^\s\"<>]+)", re.IGNORECASE)
_ARXIV: Final = re.compile(r"arXiv:\s*(\d{4}\.\d{4,5})", re.IGNORECASE)


@dataclass(frozen=True)
class Raw:
    """Markup made by this package: goes into a table as it is."""

    html: str


def words(value: str) -> Raw:
    """A cell of several words that a narrow screen does not press into one column of letters.

    >>> words("x < y").html
    '<span class="words">x &lt; y</span>'
    """
    return Raw(f'<span class="words">{text(value)}</span>')


def printable(value: object) -> str:
    r"""One line of printable characters; what cannot be shown or encoded becomes U+FFFD.

    File names may hold lone surrogates, and labels control or bidirectional characters.

    >>> printable("a\nb\x00")
    'a b�'
    """
    return "".join(
        c if c.isprintable() or c == _NO_BREAK else " " if c.isspace() else "\ufffd" for c in str(value)
    )


def text(value: object) -> str:
    """Text of unknown origin, safe inside an element or a quoted attribute.

    >>> text("<b>&'")
    '&lt;b&gt;&amp;&#x27;'
    """
    return html.escape(printable(value), quote=True)


def number(value: float, digits: int = 3) -> str:
    """A number to so many significant digits, with a true minus sign; an em dash where there is none.

    >>> number(-163.17263, 6), number(float("nan")), number(12345.6), number(4.2e-9)
    ('−163.173', '—', '12,346', '4.2×10⁻⁹')
    """
    if not math.isfinite(value):
        return "—"
    size = abs(value)
    if size and (size < 1e-3 or size >= 1e7):
        mantissa, exponent = f"{value:.{digits - 1}e}".split("e")
        mantissa = mantissa.rstrip("0").rstrip(".") if "." in mantissa else mantissa
        written = f"{mantissa}×10{str(int(exponent)).translate(_SUPERSCRIPTS)}"
    else:
        before = math.floor(math.log10(size)) + 1 if size else 1
        written = f"{value:,.{max(digits - before, 0)}f}"
    return written.replace("-", "−")


def resolved(value: float, over: float) -> str:
    """A number with the decimals that tell apart three digits of the range it lies in.

    >>> resolved(-163.17263, 0.6), resolved(0.08749, 6.1), resolved(2.0, 0.0)
    ('−163.173', '0.09', '2.000')
    """
    decimals = 2 - math.floor(math.log10(over)) if over > 0 else 3
    return f"{value:,.{min(max(decimals, 0), 8)}f}".replace("-", "−")


def sentence(value: str) -> str:
    """Escaped text that begins with a capital and ends with a full stop.

    >>> sentence("the budget is spent")
    'The budget is spent.'
    """
    said = printable(value).strip()
    return text(said[:1].upper() + said[1:] + ("" if said.endswith((".", "!", "?")) else ".")) if said else ""


def count(value: int) -> str:
    """A whole number with thousands separated.

    >>> count(12345)
    '12,345'
    """
    return f"{value:,}"


def plural(value: int, noun: str) -> str:
    """A count and its noun.

    >>> plural(1, "frame"), plural(2500, "frame")
    ('1 frame', '2,500 frames')
    """
    return f"{value:,} {noun}{'' if value == 1 else 's'}"


def percent(share: float) -> str:
    """A share as per cent: one decimal below ten, none above; never rounded up to all or down to nothing.

    Number and sign stay on one line.

    >>> [percent(x).replace(_NO_BREAK, " ") for x in (0.0312, 0.5, 0.9996, 1, 0.0002)]
    ['3.1 %', '50 %', '99.9 %', '100 %', '< 0.1 %']
    """
    if not math.isfinite(share):
        return "—"
    value = 100 * share
    if 0 < value < 0.1:
        written = "< 0.1"
    elif 99 < value < 100:
        written = f"{math.floor(value * 10) / 10:.1f}"
    else:
        written = f"{value:.1f}" if 0 < value < 9.95 else f"{value:.0f}"
    return f"{written} %".replace(" ", _NO_BREAK)


def seconds(value: float) -> str:
    """A duration.

    >>> seconds(0.0123), seconds(4.26), seconds(754)
    ('12 ms', '4.3 s', '12 min 34 s')
    """
    if value < 0.9995:
        return f"{1000 * value:.0f} ms"
    if value < 100:
        return f"{value:.1f} s"
    return f"{int(value) // 60} min {int(value) % 60} s"


def linked(reference: str) -> str:
    """A reference as escaped text whose DOI (or arXiv number, through its DOI) is a link.

    >>> linked("A. Author, 10.1000/x<y")
    'A. Author, <a href="https://doi.org/10.1000/x" rel="noreferrer">10.1000/x</a>&lt;y'
    """
    found = _DOI.search(reference)
    doi = found.group(1).rstrip(".,;)") if found else ""
    if found:
        start, stop = found.start(), found.start(1) + len(doi)
    else:
        found = _ARXIV.search(reference)
        if not found:
            return text(reference)
        doi, (start, stop) = f"10.48550/arXiv.{found.group(1)}", found.span()
    shown = doi if "doi" in reference[start:stop].lower() else reference[start:stop]
    link = f'<a href="https://doi.org/{text(doi)}" rel="noreferrer">{text(shown)}</a>'
    return text(reference[:start]) + link + text(reference[stop:])


def table(
    caption: str,
    heads: Sequence[str],
    rows: Iterable[Sequence[object]],
    *,
    numeric: Iterable[int] = (),
    heard: bool = False,
) -> str:
    """A table that scrolls sideways on a narrow screen.

    Parameters
    ----------
    caption : str
        What it shows; also its accessible name.
    heads : sequence of str
        Column headings.
    rows : iterable of sequences
        Cells: :class:`Raw` markup, or anything else as escaped text. The first cell heads its row.
    numeric : iterable of int
        Columns aligned to the right.
    heard : bool
        The caption is for screen readers alone, where a heading says it already.
    """
    hidden = ' class="heard"' if heard else ""
    right = set(numeric)

    def cell(tag: str, column: int, content: object, extra: str = "") -> str:
        aligned = ' class="n"' if column in right else ""
        inner = content.html if isinstance(content, Raw) else text(content)
        return f"<{tag}{aligned}{extra}>{inner}</{tag}>"

    head = "".join(cell("th", i, h, ' scope="col"') for i, h in enumerate(heads))
    body = "\n".join(
        "<tr>"
        + "".join(cell("td" if i else "th", i, c, "" if i else ' scope="row"') for i, c in enumerate(row))
        + "</tr>"
        for row in rows
    )
    return (
        f'<div class="scroll" tabindex="0" role="region" aria-label="{text(caption)}"><table>'
        f"<caption{hidden}>{text(caption)}</caption><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>"
    )
