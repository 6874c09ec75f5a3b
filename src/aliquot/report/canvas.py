"""How does a figure become part of the page? Matplotlib draws; this module sets the style and writes the SVG.

Text stays text, in the font of the page: selectable, and sharp in print. Colours are written as variables of
the page's style sheet, so that the figures follow its light and dark scheme.
"""

from __future__ import annotations

import io
import re
import warnings
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Final

from aliquot.report.tables import text

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = [
    "CHOSEN",
    "GRID",
    "INK",
    "KNOWN",
    "MUTED",
    "PAPER",
    "POOL",
    "WIDTH",
    "as_file",
    "new_figure",
    "svg",
]

#: Colours of Okabe and Ito where they carry meaning; shapes, fills and outlines carry it too.
INK: Final = "#1d2530"
MUTED: Final = "#5a6572"
GRID: Final = "#e2e6eb"
POOL: Final = "#9aa6b3"
KNOWN: Final = "#0072b2"
CHOSEN: Final = "#d55e00"
PAPER: Final = "#fffffe"

_VARIABLES: Final = {
    INK: "var(--ink)",
    MUTED: "var(--muted)",
    GRID: "var(--rule)",
    POOL: "var(--pool)",
    KNOWN: "var(--known)",
    CHOSEN: "var(--chosen)",
    PAPER: "var(--paper)",
}

#: Width of every figure in inches: one size of lettering throughout, legible on a telephone.
WIDTH: Final = 5.6

_STYLE: Final[dict[str, Any]] = {
    "axes.axisbelow": True,
    "axes.edgecolor": MUTED,
    "axes.facecolor": "none",
    "axes.grid": True,
    "axes.labelcolor": INK,
    "axes.labelpad": 6,
    "axes.labelsize": 9,
    "axes.linewidth": 0.7,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "figure.constrained_layout.use": True,
    "figure.facecolor": "none",
    "font.size": 9,
    "grid.color": GRID,
    "grid.linewidth": 0.7,
    "hatch.linewidth": 0.6,
    "legend.fontsize": 9,
    "legend.frameon": False,
    "legend.handletextpad": 0.4,
    "path.simplify": True,
    "savefig.facecolor": "none",
    "svg.fonttype": "none",
    "text.color": INK,
    "text.parse_math": False,  # a $ in a name is a dollar sign
    "xtick.color": MUTED,
    "xtick.labelcolor": INK,
    "xtick.labelsize": 8.5,
    "xtick.major.width": 0.7,
    "ytick.color": MUTED,
    "ytick.labelcolor": INK,
    "ytick.labelsize": 8.5,
    "ytick.major.width": 0.7,
}

_TAG: Final = re.compile(r"<[^>]+>")
_ID: Final = re.compile(r'\bid="([^"]*)"')
_USED: Final = re.compile(r'(?:url\(|href=")#([^")]+)')
_COLOUR: Final = re.compile("|".join(_VARIABLES))


def new_figure(height: float) -> tuple[Figure, Axes]:
    """An empty figure of the common width and this height in inches, and its axes."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(WIDTH, height))
    return figure, figure.add_subplot()


def svg(name: str, label: str, draw: Callable[[], Figure], *, titles: Mapping[str, str] | None = None) -> str:
    """What ``draw`` draws, as an inline SVG element.

    Parameters
    ----------
    name : str
        Distinguishes the identifiers of this figure from those of the others on the page.
    label : str
        Alternative text.
    draw : callable
        Makes the figure; called with the page's style in force, whatever the user's own settings.
    titles : dict of str to str
        Text shown when the pointer rests on the artist of this ``gid``.
    """
    import matplotlib.style

    buffer = io.StringIO()
    style = matplotlib.style.context(["default", {**_STYLE, "svg.hashsalt": name}])
    with style, warnings.catch_warnings():
        # The reader's browser has the fonts for what matplotlib's own font can only measure.
        warnings.filterwarnings("ignore", message=r"Glyph .* missing from font")
        figure = draw()
        figure.savefig(
            buffer, format="svg", dpi=200, metadata=dict.fromkeys(("Date", "Creator", "Format", "Type"))
        )
    drawn = buffer.getvalue()
    drawn = re.sub(r"<!--.*?-->|<metadata>.*?</metadata>", "", drawn[drawn.index("<svg") :], flags=re.DOTALL)
    used = set(_USED.findall(drawn))
    body = _TAG.sub(lambda tag: _on_page(tag.group(), name, used, titles or {}), drawn)
    view = re.search(r'viewBox="[^"]*"', drawn)
    assert view is not None
    opening = f'<svg class="plot" role="img" aria-label="{text(label)}" {view.group()}>'
    return re.sub(r"\n\s*", "\n", opening + body[body.index(">") + 1 :].strip())


def as_file(drawing: str) -> str:
    """An inline drawing as a file of its own, on white paper, for viewers that know no variables of a page."""
    view = re.search(r'viewBox="0 0 ([\d.]+) ([\d.]+)"', drawing)
    assert view is not None
    wide, high = (float(side) for side in view.groups())
    for colour, variable in _VARIABLES.items():
        drawing = drawing.replace(variable, colour)
    names = 'xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink"'
    style = "text { font-family: Inter, 'Helvetica Neue', Helvetica, Arial, 'Liberation Sans', sans-serif !important; }"
    paper = f'<rect width="{wide}" height="{high}" fill="#ffffff"/>'
    opening = f'<svg {names} width="{1.4 * wide:.0f}" height="{1.4 * high:.0f}"'
    body = drawing[drawing.index(">") + 1 :]
    head = drawing[: drawing.index(">") + 1].replace('<svg class="plot"', opening)
    return f"{head}\n<style>{style}</style>\n{paper}\n{body}\n"


def _on_page(tag: str, name: str, used: set[str], titles: Mapping[str, str]) -> str:
    """One tag of a drawing with identifiers unique on the page, colours as variables, and its title.

    Names of artists (``gid``) become classes; identifiers that nothing refers to are dropped.
    """
    if tag.startswith("<image"):
        return re.sub(_ID, "", tag)
    title = ""
    identifier = _ID.search(tag)
    if identifier:
        own = identifier.group(1)
        if own in used:
            tag = tag.replace(identifier.group(), f'id="{name}-{own}"')
        elif own in titles:
            tag = tag.replace(identifier.group(), 'class="titled"')
            title = f"<title>{text(titles[own])}</title>"
        else:
            tag = tag.replace(identifier.group(), 'class="halo"' if own.startswith("halo") else "")
    tag = re.sub(r'(url\(|href=")#', rf"\1#{name}-", tag)
    return _COLOUR.sub(lambda c: _VARIABLES[c.group()], tag) + title
