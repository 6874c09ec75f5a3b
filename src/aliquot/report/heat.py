"""A table whose cells are shaded by what they say: readable at any size, by eye and by ear."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from aliquot.report.tables import text

__all__ = ["Shaded", "breakable", "heat"]


@dataclass(frozen=True)
class Shaded:
    """One cell.

    Parameters
    ----------
    value : str
        What it says, plain.
    shade : float
        From 0, none, to 1, full; negative: the same in grey.
    detail : str
        A second, smaller line.
    """

    value: str
    shade: float = 0.0
    detail: str = ""


def heat(caption: str, heads: Sequence[str], rows: Iterable[tuple[str, Sequence[Shaded]]]) -> str:
    """A table of shaded cells that scrolls sideways on a narrow screen while the names of its rows stay.

    Parameters
    ----------
    caption : str
        What it shows; also its accessible name.
    heads : sequence of str
        Headings: of the rows first, then one per column.
    rows : iterable of (str, sequence of Shaded)
    """
    upright = len(heads) > 8 or max((len(h) for h in heads[1:]), default=0) > 14
    turned = ' class="turned"' if upright else ""
    head = f'<th scope="col">{text(heads[0])}</th>' + "".join(
        f'<th scope="col"{turned}><span>{breakable(h)}</span></th>' for h in heads[1:]
    )
    body = "\n".join(
        f'<tr><th scope="row">{breakable(name)}</th>{"".join(map(_cell, cells))}</tr>' for name, cells in rows
    )
    return (
        f'<div class="scroll" tabindex="0" role="region" aria-label="{text(caption)}"><table class="heat">'
        f"<caption>{text(caption)}</caption><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>"
    )


def breakable(name: str) -> str:
    """Escaped text that breaks where a method's parameters begin rather than anywhere.

    >>> breakable("a:b=<c>")
    'a:<wbr>b=<wbr>&lt;c&gt;'
    """
    return re.sub("[:,=]", r"\g<0><wbr>", text(name))


def _cell(cell: Shaded) -> str:
    strength = round(100 * min(1.0, abs(cell.shade)))
    grey = ' class="less"' if cell.shade < 0 else ""
    shade = f' style="--s:{strength}%"' if strength else ""
    detail = f"<small>{text(cell.detail)}</small>" if cell.detail else ""
    return f"<td{grey}{shade}>{text(cell.value)}{detail}</td>"
