"""The choices in numbers: measures side by side, what two choices share, what each is made of."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from aliquot.report.figures import MAX_GROUPS
from aliquot.report.findings import Case, composition
from aliquot.report.heat import Shaded, breakable, heat
from aliquot.report.tables import Raw, count, number, percent, plural, seconds, table, text, words
from aliquot.selection import Selection
from aliquot.selection.comparison import Comparison

__all__ = ["Several", "groups", "overlaps", "seconds_of", "side_by_side"]

#: Stages that are no part of a choice.
_OTHER_STAGES: Final = ("read", "features", "sensitivity")

#: Powers of two between the share in the pool and the share that is shaded fully.
_FOURFOLD: Final = 2.0


@dataclass(frozen=True, eq=False)
class Several:
    """Everything that the page is made from."""

    found: Comparison
    names: tuple[str, ...]
    cases: list[Case]
    refused: Mapping[str, str]
    notes: tuple[str, ...]

    @property
    def n(self) -> int:
        """Picks of the largest choice."""
        return max(len(case.selection) for case in self.cases)

    @property
    def choices(self) -> list[tuple[str, Selection]]:
        """Every choice with its name."""
        return [(name, case.selection) for name, case in zip(self.names, self.cases, strict=True)]


def seconds_of(selection: Selection) -> float:
    """Time of the choice itself: without what all methods need, and without asking how much a default matters."""
    return sum(t for stage, t in selection.timings.items() if stage not in _OTHER_STAGES)


def side_by_side(several: Several) -> str:
    """Every measure of every choice; the best of each column in bold."""
    found = several.found
    told = found.total_information
    by, parts = composition(several.cases[0])
    reached = [sum(g.chosen > 0 for g in composition(case)[1]) for case in several.cases]
    kinds = sum(g.pool > 0 for g in parts)
    atoms = [case.chosen.n_atoms for case in several.cases]
    times = [seconds_of(case.selection) for case in several.cases]
    columns: list[tuple[str, list[str], int | None]] = [
        ("information (nat)", [number(float(v), 4) for v in told], int(np.argmax(told))),
        ("of the most", [percent(float(v / told.max())) if told.max() > 0 else "—" for v in told], None),
        ("worst distance", [number(float(v)) for v in found.radius], int(np.argmin(found.radius))),
        (
            "mean distance",
            [number(float(v)) for v in found.mean_distance],
            int(np.argmin(found.mean_distance)),
        ),
        (
            f"{by}s reached, of {kinds}",
            [count(r) for r in reached],
            int(np.argmax(reached)) if kinds > 1 else None,
        ),
        ("atoms to compute", [count(a) for a in atoms], int(np.argmin(atoms))),
        ("time to choose", [seconds(t) for t in times], int(np.argmin(times))),
    ]
    rows: list[list[Any]] = []
    for i, name in enumerate(several.names):
        cells: list[Any] = [Raw(breakable(name))]
        for _, values, best in columns:
            bold = best is not None and values[i] == values[best]
            cells.append(Raw(f"<strong>{text(values[i])}</strong>") if bold else values[i])
        rows.append(cells)
    if np.isfinite(found.known_radius):
        blank = ["—"] * (len(columns) - 4)
        rows.append(["nothing more", "0", "—", number(found.known_radius), number(found.known_mean), *blank])
    shown = table(
        "Every choice measured with the same posterior and the same distances; the best of a column in bold",
        ["method", *(head for head, _, _ in columns)],
        rows,
        numeric=range(1, len(columns) + 1),
    )
    meaning = (
        "<p>Information: half the log-determinant that the picks add to the precision of one linear model, given"
        " what is known. Distance: from a candidate to the nearest chosen or known structure, in feature space;"
        " the worst is the covering radius. A method that maximises one of them is expected to win that"
        " column: what counts is how little it loses in the others.</p>"
    )
    return shown + meaning + _refused(several)


def _refused(several: Several) -> str:
    if not several.refused:
        return ""
    rows = [(Raw(breakable(name)), words(why)) for name, why in several.refused.items()]
    return "<h3>Could not choose</h3>" + table("Methods that refused", ["method", "why"], rows, heard=True)


def overlaps(several: Several) -> str:
    """What each two choices share, those that agree next to each other; and how often a structure is picked."""
    found, m, n = several.found, len(several.names), several.n
    if m < 2:
        return "<p>There is only one choice.</p>"
    order = _alike_together(found.overlap)
    apart = found.overlap[~np.eye(m, dtype=bool)]
    top = max(0.25, float(apart.max()))
    rows: list[tuple[str, list[Shaded]]] = []
    for i in order:
        cells = [
            Shaded("—")
            if i == j
            else Shaded(
                percent(float(found.overlap[i, j])),
                float(found.overlap[i, j]) / top,
                f"{count(int(found.common[i, j]))} shared" if m <= 8 else "",
            )
            for j in order
        ]
        rows.append((several.names[i], cells))
    matrix = heat("Overlap of each two choices", ["", *(several.names[i] for i in order)], rows)
    times = np.zeros(several.cases[0].selection.pool_size, np.int64)
    for case in several.cases:
        times[case.selection.index] += 1
    chance = n / max(1, 2 * len(times) - n)
    agreed = table(
        "How many methods pick a structure",
        ["picked by", "structures"],
        [(_of(k, m), count(int(np.sum(times == k)))) for k in range(m, 0, -1) if np.any(times == k)],
        numeric=[1],
    )
    meaning = (
        "<p>Each cell: of all structures that either of the two picks, the share that both pick. Two random choices"
        f" of {count(n)} would share about {percent(chance)}. Methods that agree stand next to each other.</p>"
    )
    if m <= 8:
        return f'<div class="lead"><div>{matrix}</div><div>{meaning}{agreed}</div></div>'
    return f"{meaning}{matrix}<details><summary>How often a structure is picked</summary>{agreed}</details>"


def _of(k: int, m: int) -> str:
    return f"all {m} methods" if k == m else plural(k, "method")


def _alike_together(overlap: NDArray[np.float64]) -> list[int]:
    """Order of the choices in which those that share most stand together (hierarchical clustering)."""
    from scipy.cluster.hierarchy import leaves_list, linkage
    from scipy.spatial.distance import squareform

    if len(overlap) < 3:
        return list(range(len(overlap)))
    distance = squareform(1 - overlap, checks=False)
    order = leaves_list(linkage(distance, "average", optimal_ordering=True)).tolist()
    return order if order[0] < order[-1] else order[::-1]


def groups(several: Several) -> str:
    """How many of each group (config type or formula) every choice has, and of which elements its atoms are."""
    by, parts = composition(several.cases[0])
    held = [g for g in parts if g.pool]
    elements = _elements(several)
    if len(held) <= 1:
        return f"<p>Every structure has the same {by}.</p>{elements}"
    chosen = [[g.chosen for g in composition(case)[1] if g.pool] for case in several.cases]
    counts = np.array([[g.pool for g in held], *chosen])  # (1 + choices, groups)
    return (
        "<p>Shaded where a choice has more of a group than the pool has, in grey where it has less; a fourfold"
        " is the darkest.</p>"
        + _shares(
            f"Structures by {by}: how many, and their share", by, [g.name for g in held], counts, several
        )
        + elements
    )


def _elements(several: Several) -> str:
    """Atoms of each element, where there are several."""
    pool = several.cases[0].pool
    if len(pool.elements) < 2:
        return ""
    everything = [pool, *(case.chosen for case in several.cases)]
    counts = np.array([[int(np.sum(frames.numbers == z)) for z in pool.elements] for frames in everything])
    return _shares("Atoms by element: how many, and their share", "element", pool.symbols, counts, several)


def _shares(caption: str, by: str, names: Sequence[str], counts: NDArray[np.int64], several: Several) -> str:
    """Counts of the pool (first row) and of each choice, shaded by how they differ in share."""
    if len(names) > MAX_GROUPS:  # groups that are small everywhere share a column
        weight = (counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)).max(axis=0)
        top = np.sort(np.argsort(-weight, kind="stable")[: MAX_GROUPS - 1])
        rest = np.setdiff1d(np.arange(len(names)), top)
        counts = np.column_stack([counts[:, top], counts[:, rest].sum(axis=1)])
        names = [*(str(names[i]) for i in top), f"other ({len(rest)} {by}s)"]
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    rows: list[tuple[str, list[Shaded]]] = []
    for name, own, share in zip(("pool", *several.names), counts, shares, strict=True):
        cells = [
            Shaded(count(int(c)), _more(s, p), percent(float(s)))
            for c, s, p in zip(own, share, shares[0], strict=True)
        ]
        rows.append((name, cells))
    return heat(caption, ["method", *names], rows)


def _more(share: float, of_pool: float) -> float:
    """From −1, none of what the pool has, to 1, a fourfold of its share.

    >>> _more(0.2, 0.1), _more(0.1, 0.1), _more(0.0, 0.1)
    (0.5, 0.0, -1.0)
    """
    if of_pool == share:
        return 0.0
    if share == 0 or of_pool == 0:
        return -1.0 if share == 0 else 1.0
    return float(np.clip(np.log2(share / of_pool) / _FOURFOLD, -1, 1))
