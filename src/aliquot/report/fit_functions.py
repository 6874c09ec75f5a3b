"""Which functions did the data choose? A map over radial index and angular momentum, per order and element."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

import numpy as np
from numpy.typing import NDArray

from aliquot.fitting import Fit
from aliquot.report.canvas import CHOSEN, GRID, INK, MUTED, WIDTH, svg
from aliquot.report.page import figure
from aliquot.report.tables import count, number, percent, plural, table, text

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["functions"]

#: Elements whose maps are open; those of others unfold.
OPEN: Final = 3
#: Coefficients that are listed.
LISTED: Final = 12

_ORDERS: Final = {0: "pair", 1: "order 1", 2: "order 2", 3: "order 3", 4: "order 4"}
_SAYS: Final = {
    0: "radial functions of their own",
    1: "one neighbour",
    2: "two neighbours: angles",
    3: "three neighbours",
    4: "four neighbours",
}


@dataclass
class _Map:
    """Functions of one order at one element: how many, how many chosen, by factor (n, l)."""

    candidates: int = 0
    chosen: int = 0
    squares: list[float] = field(default_factory=list[float])
    offered: defaultdict[tuple[int, int], int] = field(default_factory=lambda: defaultdict(int))
    taken: defaultdict[tuple[int, int], int] = field(default_factory=lambda: defaultdict(int))


def _maps(fit: Fit) -> list[dict[int, _Map]]:
    """By element of the centre, then by order (0 for pair functions)."""
    basis = fit.potential.basis
    out: list[dict[int, _Map]] = []
    for row in fit.potential.coefficients:
        maps: dict[int, _Map] = {}
        for function, c, gamma in zip(basis.functions, row.tolist(), basis.prior.tolist(), strict=True):
            pair = function.factors[0].l < 0
            own = maps.setdefault(0 if pair else function.order, _Map())
            own.candidates += 1
            own.chosen += c != 0.0
            own.squares.append((c * gamma) ** 2)
            for n, l in {(f.n, max(f.l, 0)) for f in function.factors}:
                own.offered[n, l] += 1
                own.taken[n, l] += c != 0.0
        out.append(dict(sorted(maps.items())))
    return out


def functions(fit: Fit) -> str:
    """The section: counts by order, maps, the largest coefficients."""
    maps, symbols = _maps(fit), _symbols(fit)
    total = sum(m.candidates for of in maps for m in of.values())
    sparse = fit.size < total
    said = (
        "<p>A function is a product of as many factors as its order; a factor has a radial index n and an angular"
        " momentum l. Each cell says how many of the functions with such a factor were chosen, and is the stronger"
        " in colour the larger their share of the candidates. Empty cells were offered and not taken.</p>"
        if sparse
        else "<p>Every candidate was kept. Each cell says how many functions have a factor of radial index n and"
        " angular momentum l.</p>"
    )
    drawn: list[str] = []
    for symbol, of in zip(symbols, maps, strict=True):
        head = f"<h3>Around {text(symbol)}</h3>" if len(symbols) > 1 else ""
        cells = "".join(f"<div>{_figure(symbol, order, m)}</div>" for order, m in of.items())
        drawn.append(f'{head}<div class="pair">{cells}</div>')
    shown = "".join(drawn[:OPEN])
    if len(drawn) > OPEN:
        rest = ", ".join(map(text, symbols[OPEN:]))
        shown += f"<details><summary>Around {rest}</summary>{''.join(drawn[OPEN:])}</details>"
    return said + _by_order(symbols, maps) + shown + _largest(fit, symbols)


def _symbols(fit: Fit) -> list[str]:
    from ase.data import chemical_symbols

    return [chemical_symbols[z] for z in fit.potential.basis.elements]


def _by_order(symbols: list[str], maps: list[dict[int, _Map]]) -> str:
    rows = [
        (
            f"{symbol}, {_ORDERS.get(order, f'order {order}')}",
            count(m.candidates),
            count(m.chosen),
            percent(m.chosen / m.candidates),
            number(float(np.sqrt(sum(m.squares) / m.chosen))) if m.chosen else "—",
        )
        for symbol, of in zip(symbols, maps, strict=True)
        for order, m in of.items()
    ]
    heads = ["centre and order", "candidates", "chosen", "share", "Γ·coefficient, r.m.s. (eV)"]
    return table(
        "Functions by order; Γ·coefficient is what the smoothness prior believes to be of one size",
        heads,
        rows,
        numeric=[1, 2, 3, 4],
    )


def _figure(symbol: str, order: int, m: _Map) -> str:
    name = _ORDERS.get(order, f"order {order}")
    said = f"<strong>{name[:1].upper()}{name[1:]}</strong> ({_SAYS.get(order, '')}):"
    return figure(
        _drawing(symbol, order, m), f"{said} {count(m.chosen)} of {plural(m.candidates, 'function')}."
    )


def _drawing(symbol: str, order: int, m: _Map) -> str:
    wide, high = max(n for n, _ in m.offered), 1 + max(l for _, l in m.offered)
    across = max(wide, 12)  # few cells do not grow huge

    def draw() -> Figure:
        from matplotlib.figure import Figure

        side = (WIDTH - 0.7) / across
        drawn = Figure(figsize=(WIDTH, max(0.75 + side * high, 1.0)))
        ax = drawn.add_subplot()
        for (n, l), offered in m.offered.items():
            _cell(ax, n, l, m.taken[n, l], offered)
        ax.set(xlim=(0.45, across + 0.55), ylim=(-0.55, high - 0.45), aspect="equal", anchor="W")
        step = 1 if wide <= 14 else 2
        ax.set_xticks(range(1, wide + 1, step))
        ax.set_yticks(range(0, high, 1 if high <= 8 else 2))
        ax.tick_params(length=0)
        ax.grid(visible=False)
        ax.spines[:].set_visible(False)
        ax.set_xlabel("n", labelpad=2, x=0.5 * wide / across)
        ax.set_ylabel("l" if order else "", rotation=0, labelpad=9, va="center")
        if not order:
            ax.set_yticks([])
        return drawn

    most = sorted(m.taken.items(), key=lambda item: -item[1])[:3]
    said = ", ".join(f"n={n} l={l}: {k}" for (n, l), k in most if k)
    label = (
        f"Chosen functions around {symbol}, {_ORDERS.get(order, order)}: {m.chosen} of {m.candidates}. {said}"
    )
    return svg(f"map-{symbol}-{order}", label, draw)


def _cell(ax: Axes, n: int, l: int, taken: int, offered: int) -> None:
    from matplotlib.patches import Rectangle

    share = taken / offered
    place = ((n - 0.46, l - 0.46), 0.92, 0.92)
    ax.add_patch(Rectangle(*place, fc="none", ec=GRID, lw=0.8))
    if taken:
        ax.add_patch(Rectangle(*place, fc=CHOSEN, ec="none", alpha=0.12 + 0.6 * share))
        written = str(taken)
        ax.text(
            n, l, written, ha="center", va="center_baseline", fontsize=9.2 - 0.7 * len(written), color=INK
        )
    else:
        ax.plot(n, l, ".", ms=1.5, color=MUTED)


def _largest(fit: Fit, symbols: list[str]) -> str:
    """Functions that matter most in the prior's own measure."""
    basis = fit.potential.basis
    scaled: NDArray[np.float64] = fit.potential.coefficients * basis.prior
    order = np.argsort(-np.abs(scaled).ravel(), kind="stable")[: min(LISTED, fit.size)]
    rows = [
        (
            basis.names[k % len(basis.names)],
            symbols[k // len(basis.names)],
            number(float(fit.potential.coefficients.flat[k])),
            number(float(scaled.flat[k])),
        )
        for k in order.tolist()
    ]
    listed = table(
        "Largest coefficients in the measure of the smoothness prior",
        ["function: neighbour(n,l) of each factor", "centre", "coefficient (eV)", "Γ·coefficient (eV)"],
        rows,
        numeric=[2, 3],
    )
    return f"<details><summary>Largest coefficients</summary>{listed}</details>" if rows else ""
