"""How do the chosen structures stand in the pool? Map, composition, labels and shortest distances."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from aliquot.report.figures import MAX_GROUPS, composition_bars, histogram
from aliquot.report.findings import (
    Case,
    Group,
    composition,
    distance_sample,
    energy_above_composition,
    energy_per_atom,
    max_force,
    shortest_distances,
)
from aliquot.report.map_figure import RASTER_POINTS, TITLED, map_figure, window
from aliquot.report.page import figure
from aliquot.report.projection import PoolMap, pool_map
from aliquot.report.tables import count, number, percent, plural, printable, resolved, table, text

__all__ = ["distances", "groups", "labels", "on_the_map"]

#: Rows of the folded table of all groups; what is smaller shares the last.
_MAX_ROWS: Final = 300


def on_the_map(case: Case) -> str:
    """Principal components of the features: known, candidates, chosen."""
    points = pool_map(case.features, case.selection.index, case.known_features)
    if not points.explained[0] > 0:
        return (
            "<p>All structures have the same features, or there are fewer than two, so there is no direction"
            " to draw a map along.</p>"
        )
    plot = map_figure(points, [_pick_title(case, int(r) - 1) for r in points.rank])
    words = _map_words(case, points)
    return f'<div class="lead"><div>{figure(plot, "")}</div><div>{words}</div></div>'


def _pick_title(case: Case, i: int) -> str:
    chosen = case.selection
    parts = [f"pick {i + 1}: {chosen.ids.name(i)}", str(case.chosen.config_type[i])]
    if chosen.gain is not None:
        parts.append(f"gain {number(float(chosen.gain[i]))} {chosen.gain_unit}")
    return ", ".join(p for p in parts if p)


def _map_words(case: Case, points: PoolMap) -> str:
    """How to read the map, and what it leaves out."""
    what = "Mean scaled row of each structure" if points.per_atom else "Scaled features of each structure"
    who = "candidates and known" if points.n_known else "candidates"
    said = [
        f"{what} along the two directions in which {who} differ most;"
        f" together {percent(float(points.explained.sum()))} of the variance."
    ]
    if len(points.chosen):
        some = "each" if points.n_chosen <= TITLED else f"each of the first {TITLED}"
        said.append(f"Diamonds are the chosen, the first ten with their number; hover for what {some} is.")
    if points.n_known:
        said.append("Hollow squares are known.")
    if case.selection.known_size and not points.n_known:
        said.append("The known structures came without features and are not on the map.")
    shown = len(points.candidates) + len(points.known) + len(points.chosen)
    total = points.n_candidates + points.n_known + points.n_chosen
    if shown < total:
        said.append(f"An even sample of {count(shown)} of {count(total)} structures is shown.")
    if max(len(points.candidates), len(points.known), len(points.chosen)) > RASTER_POINTS:
        said.append("The background is drawn as pixels.")
    _, beyond = window(points)
    if beyond:
        verb = "lies" if beyond == 1 else "lie"
        said.append(f"{plural(beyond, 'far outlier')} {verb} beyond the edges.")
    return "".join(f"<p>{sentence}</p>" for sentence in said)


def groups(case: Case) -> str:
    """Composition by config type (or formula): bars and table."""
    by, found = composition(case)
    if not len(case.pool):
        return "<p>The pool is empty.</p>"
    if len(found) == 1:
        return f"<p>Every structure has the same {by}: {text(found[0].name)}.</p>"
    in_pool = sum(g.pool > 0 for g in found)
    reached = sum(g.chosen > 0 for g in found)
    intro = f"<p>The chosen come from {count(reached)} of the {plural(in_pool, by)} in the pool.</p>"
    if by == "formula":
        intro += "<p>No frame names a config type, so structures are grouped by their chemical formula.</p>"
    bars = composition_bars(_shortened([g for g in found if g.pool], MAX_GROUPS))
    caption = "Hatched: share of the pool. Solid: share of the chosen."
    shown = _table(by, _shortened(found, MAX_GROUPS), case)
    if len(found) > MAX_GROUPS:
        every = _table(by, _shortened(found, _MAX_ROWS), case)
        shown += f"<details><summary>All {plural(len(found), by)}</summary>{every}</details>"
    return f'{intro}<div class="pair">{figure(bars, caption)}<div>{shown}</div></div>'


def _shortened(found: list[Group], most: int) -> list[Group]:
    """The groups that matter most in the pool or among the chosen, and one for the rest."""
    if len(found) <= most:
        return found
    pool, chosen = (max(1, sum(getattr(g, k) for g in found)) for k in ("pool", "chosen"))
    weight = [max(g.pool / pool, g.chosen / chosen) for g in found]
    kept = set(sorted(range(len(found)), key=lambda i: (-weight[i], i))[: most - 1])
    rest = [g for i, g in enumerate(found) if i not in kept]
    sums = [sum(getattr(g, k) for g in rest) for k in ("known", "pool", "chosen")]
    return [*(g for i, g in enumerate(found) if i in kept), Group(f"other ({len(rest)} groups)", *sums)]


def _table(by: str, found: list[Group], case: Case) -> str:
    pool, chosen = max(1, len(case.pool)), max(1, len(case.selection))
    heads = [by, "known", "pool", "share of pool", "chosen", "share of chosen", "ratio of shares"]
    rows = [
        [
            g.name,
            count(g.known),
            count(g.pool),
            percent(g.pool / pool) if g.pool else "—",
            count(g.chosen) if g.pool else "—",
            percent(g.chosen / chosen) if g.pool else "—",
            f"{g.chosen / chosen / (g.pool / pool):.2f}×" if g.pool else "—",
        ]
        for g in found
    ]
    if case.known is None:
        heads, rows = [heads[0], *heads[2:]], [[r[0], *r[2:]] for r in rows]
    caption = f"Structures by {by}: above a ratio of one, the choice favours the {by}"
    return table(caption, heads, rows, numeric=range(1, len(heads)))


def labels(case: Case) -> str:
    """Coverage of energies and forces, where labels exist."""
    several = len(case.pool.elements) > 1
    energy = energy_above_composition(case.pool) if several else energy_per_atom(case.pool)
    force = max_force(case.pool)
    if not np.any(np.isfinite(energy)) and not np.any(np.isfinite(force)):
        return "<p>No structure of the pool has an energy or forces, so there is nothing to compare.</p>"
    name = "energy per atom above the composition's (eV)" if several else "energy per atom (eV)"
    parts = [
        _histogram(case, "energy", energy, name),
        _histogram(case, "force", force, "largest force on an atom (eV/Å)"),
    ]
    note = (
        "<p>The composition's energy is the least-squares sum of one energy per element over the pool.</p>"
        if several and np.any(np.isfinite(energy))
        else ""
    )
    return f'<p>Labels did not enter the choice.</p>{note}<div class="pair">{"".join(parts)}</div>'


def _histogram(case: Case, key: str, values: NDArray[np.float64], quantity: str) -> str:
    """Pool against chosen for one quantity, with its coverage in words."""
    has = np.isfinite(values)
    picked = values[case.selection.index]
    picked = picked[np.isfinite(picked)]
    if not np.any(has):
        return f"<p>No structure of the pool has a value of: {text(quantity)}.</p>"
    plot, *beyond = histogram(key, values[has], picked, quantity)
    said = [f"{count(int(has.sum()))} of {plural(len(values), 'structure')} have this label."]
    if len(picked):
        said.append(_coverage(values[has], picked))
    if any(beyond):
        said.append("Beyond the axis: {} of the pool, {} of the chosen.".format(*map(count, beyond)))
    return figure(plot, " ".join(said))


def _coverage(pool: NDArray[np.float64], picked: NDArray[np.float64]) -> str:
    low, high, near, far = pool.min(), pool.max(), picked.min(), picked.max()
    wide = float(high - low)
    share = f", {percent((far - near) / wide)} of the range" if wide > 0 else ""
    a, b, c, d = (resolved(float(v), wide) for v in (low, high, near, far))
    return f"The pool runs from {a} to {b}, the chosen from {c} to {d}{share}."


def distances(case: Case) -> str:
    """Histogram of shortest distances."""
    pool_sample = distance_sample(case.pool)
    chosen_sample = distance_sample(case.chosen)
    pool = shortest_distances(case.pool[pool_sample])
    picked = shortest_distances(case.chosen[chosen_sample])
    alone = int(np.sum(np.isnan(pool)))
    pool, picked = pool[np.isfinite(pool)], picked[np.isfinite(picked)]
    if not len(pool):
        return "<p>No structure of the pool has two atoms near each other.</p>"
    plot, *beyond = histogram("distance", pool, picked, "shortest interatomic distance (Å)")
    said = ["Periodic images count."]
    if len(pool_sample) < len(case.pool) or len(chosen_sample) < len(case.selection):
        said.append(
            f"An even sample: {count(len(pool_sample))} of {count(len(case.pool))} in the pool,"
            f" {count(len(chosen_sample))} of {count(len(case.selection))} chosen."
        )
    if len(picked):
        said.append(_coverage(pool, picked))
    if any(beyond):
        said.append("Beyond the axis: {} of the pool, {} of the chosen.".format(*map(count, beyond)))
    if alone:
        said.append(f"{plural(alone, 'structure')} without a neighbour within 12 Å.")
    worst = int(np.argmin(pool))
    closest = text(printable(case.pool.ids_name(int(pool_sample[worst])))) if not alone else ""
    if closest:
        said.append(f"The shortest of all, {number(pool[worst], 4)} Å, is in <code>{closest}</code>.")
    words = "".join(f"<p>{line}</p>" for line in said)
    return f'<div class="pair">{figure(plot, "")}<div>{words}</div></div>'
