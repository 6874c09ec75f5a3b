"""Predictions beside labels, quantity by quantity: the part that the page of a fit and that of a test share."""

from __future__ import annotations

from aliquot.report.fit_figures import distribution, parity, parity_caption
from aliquot.report.judged import NAMES, Judged
from aliquot.report.page import figure

__all__ = ["parities"]


def parities(judged: Judged) -> str:
    """Every quantity: predictions against labels, and how errors are distributed."""
    out: list[str] = []
    for quantity in judged.quantities:
        left = figure(parity(judged, quantity), parity_caption(judged, quantity))
        right = figure(
            distribution(judged, quantity),
            "Read upwards: which share of the labels has an error smaller than the abscissa.",
        )
        out.append(f'<h3>{NAMES[quantity]}</h3><div class="pair"><div>{left}</div><div>{right}</div></div>')
    return "".join(out)
