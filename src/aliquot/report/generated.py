"""One self-contained page about generated structures: how diverse they are, what they look like, how it went."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from aliquot.errors import InputError
from aliquot.explore import Census, Generated
from aliquot.explore.generation import REFERENCES
from aliquot.report.generated_figures import DISTINCT, distribution, entropy_curve, set_map, weight_curve
from aliquot.report.page import facts, figure, page, tile
from aliquot.report.provenance import pretty, versions
from aliquot.report.tables import count, linked, number, percent, plural, seconds, table, text
from aliquot.report.write import put

__all__ = ["write_generated_report"]


def write_generated_report(
    path: str | os.PathLike[str], made: Generated, *, others: Sequence[Census] = (), force: bool = False
) -> Path:
    """Write one HTML page about generated structures, complete in itself: nothing is fetched, nothing executed.

    Parameters
    ----------
    path : path
    made : Generated
    others : sequence of Census
        Sets to compare with, from :meth:`~aliquot.explore.Generated.compare`.
    force : bool
        Replace a file that is already there.

    Raises
    ------
    InputError
        If the file exists (and ``force`` is not set), its folder does not, or there are too many sets to tell apart.
    """
    path = Path(path)
    if path.exists() and not force:
        raise InputError(f"{path} exists already; give another name, or force to replace it")
    if not path.parent.is_dir():
        raise InputError(f"cannot write {path}: there is no folder {path.parent}; make it first")
    if len(others) > DISTINCT - 2:
        raise InputError(
            f"{len(others)} sets to compare with are too many for one page; give {DISTINCT - 2} or fewer"
        )
    put(path, _document(made, others))
    return path


def _document(made: Generated, others: Sequence[Census]) -> str:
    from aliquot import __version__

    sets = (made.census, made.packed, *others)
    sections = [
        ("entropy", "How diverse the set is", _entropy(made, sets)),
        ("map", "Where the structures lie", _map(sets)),
        ("structures", "What they are like", _structures(sets)),
        ("course", "How it went", _course(made)),
        ("record", "Recipe and papers to cite", _record(made)),
    ]
    return page(
        f"{plural(len(made.frames), 'structure')} of {made.recipe.composition}, made to differ",
        kicker="generation report",
        lede=_lede(made),
        tiles=_tiles(made),
        sections=sections,
        footer=f"Made by aliquot {__version__}. This page is complete in itself: it loads and runs nothing.",
    )


def _lede(made: Generated) -> str:
    d = made.census.means.shape[1]
    above = made.census.entropy - made.packed.entropy
    low, high = np.quantile(made.census.column("volume"), [0.0, 1.0])
    wider = number(float(np.exp(above)))
    return (
        f"{plural(made.frames.n_atoms, 'environment')} of {plural(len(made.frames), 'structure')}, driven apart in"
        f" {d} dimensions of the atomic cluster expansion by the entropy of the growing set; neither a model nor a"
        f" label was needed. Along an average dimension they spread <strong>{wider} times</strong> as"
        f" wide as random packings in the same cells. Volumes are {number(float(low))} to {number(float(high))} Å³"
        " per atom."
    )


def _tiles(made: Generated) -> list[str]:
    shortest = made.census.column("shortest")
    hourly = 3600.0 * made.verdicts["accepted"] / made.seconds if made.seconds > 0 else np.nan
    return [
        tile(count(len(made.frames)), "structures"),
        tile(count(made.frames.n_atoms), "environments"),
        tile(number(made.census.entropy - made.packed.entropy), "nat per dimension above random packings"),
        tile(f"{number(float(shortest.min()))}", "shortest distance, in bond lengths"),
        tile(percent(made.verdicts["accepted"] / made.attempts), "of attempts accepted"),
        tile(count(int(hourly)) if np.isfinite(hourly) else "—", "structures per hour"),
    ]


def _entropy(made: Generated, sets: Sequence[Census]) -> str:
    rows = [
        (
            one.name,
            count(one.environments),
            number(one.entropy, 4),
            number(float(np.nanmean(one.column("local"))), 4),
        )
        for one in sets
    ]
    heads = ["set", "environments", "of the set", "within a structure"]
    told = table("Entropy in nat per dimension", heads, rows, numeric=range(1, 4))
    words = (
        "<p>Entropy of the Gaussian that fits all environments, element by element, standardised by random packings;"
        " beside it the mean over structures of the nearest-neighbour entropy of their own environments. A difference"
        " of 0.7 between two sets is a factor of two in width along every dimension.</p>"
        "<p>Few environments span less: while a set has fewer than dimensions, its entropy says how many it has.</p>"
    )
    plot = figure(entropy_curve(made, sets[2:]), "")
    return f'<div class="lead"><div>{plot}</div><div>{told}{words}</div></div>'


def _map(sets: Sequence[Census]) -> str:
    drawn, share = set_map(sets)
    words = (
        "<p>Mean standardised environment of each structure along the two directions in which the sets together differ"
        f" most: {percent(share)} of the variance of the means. Means of many atoms differ less than atoms do.</p>"
    )
    return f'<div class="lead"><div>{figure(drawn, "")}</div><div>{words}</div></div>'


def _structures(sets: Sequence[Census]) -> str:
    drawn = [
        distribution("volume", "volume", sets, "volume per atom (Å³)"),
        distribution("shortest", "shortest", sets, "shortest distance (bond lengths)"),
        distribution("coordination", "coordination", sets, "neighbours within 1.25 bond lengths", whole=True),
        distribution("local", "local", sets, "entropy within the structure (nat per dimension)"),
    ]
    pairs = [figure(one, "") for one in drawn if one]
    rows = [
        '<div class="pair">' + "".join(f"<div>{one}</div>" for one in pairs[i : i + 2]) + "</div>"
        for i in range(0, len(pairs), 2)
    ]
    return "".join(rows)


def _course(made: Generated) -> str:
    rows = [
        (verdict, count(times), percent(times / made.attempts)) for verdict, times in made.verdicts.items()
    ]
    told = table("What became of the attempts", ["verdict", "attempts", "share"], rows, numeric=[1, 2])
    shapes = made.frames.frame_columns["cell_shape"].values
    kinds = [(str(s), count(int(np.sum(shapes == s)))) for s in made.recipe.shapes]
    cells = table("Families of cells", ["family", "structures"], kinds, numeric=[1])
    each = made.seconds / max(1, made.verdicts["accepted"])
    time = f"<p>{seconds(made.seconds)} in all, {seconds(each)} a structure.</p>"
    plot = figure(weight_curve(made), "")
    return f'<div class="lead"><div>{plot}</div><div>{told}{cells}{time}</div></div>'


def _record(made: Generated) -> str:
    recipe, basis = made.recipe, made.recipe.basis
    low, high = recipe.atoms
    how = facts(
        [
            ("Composition", text(recipe.composition)),
            ("Atoms", str(low) if low == high else f"{low} to {high}"),
            ("Seed", str(recipe.seed)),
            ("Environments", text(f"{len(basis.functions)} functions, cutoff {basis.max_cutoff:g} Å")),
            ("Objective", text(recipe.objective + (", strict" if recipe.strict else ""))),
            (
                "Core",
                text(f"repels below {recipe.core:g} bond lengths; accepted from {recipe.closest:g} of that"),
            ),
            ("Versions", versions()),
            ("Structures", f"<code>{text(made.frames.ids.digest())}</code>"),
        ]
    )
    cited = "".join(f"<li>{linked(reference)}</li>" for reference in REFERENCES)
    return (
        f"{how}<details><summary>Recipe (JSON)</summary><pre>{pretty(recipe.to_dict())}</pre></details>"
        f'<h3>Papers to cite</h3><ol class="references">{cited}</ol>'
    )
