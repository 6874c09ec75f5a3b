"""How was the fit made, and how can it be made again? What was done to labels, recipe, hashes, time, papers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from aliquot.fitting import Fit
from aliquot.report.findings import Excluded
from aliquot.report.judged import Judged, part_name
from aliquot.report.page import facts
from aliquot.report.provenance import pretty, versions
from aliquot.report.tables import count, linked, number, plural, resolved, seconds, sentence, table, text
from aliquot.solvers import SOLVERS

__all__ = ["excluded", "labels", "record"]

#: Excluded frames that are listed one by one.
LISTED: Final = 50

_ACE: Final = (
    "R. Drautz, Phys. Rev. B 99, 014104 (2019), doi:10.1103/PhysRevB.99.014104",
    "G. Dusson et al., J. Comput. Phys. 454, 110946 (2022), doi:10.1016/j.jcp.2022.110946",
)


def labels(fit: Fit, judged: Judged, exclusions: Sequence[Excluded], notes: Sequence[str]) -> str:
    """Structures by part, reference energies, offsets, weights, notes, and what was left out."""
    from ase.data import chemical_symbols

    basis = fit.potential.basis
    free = table(
        f"Energies of free atoms: {fit.reference_from or 'origin not stated'}",
        ["element", "energy (eV)"],
        [
            (chemical_symbols[z], resolved(e, 0.01))
            for z, e in zip(basis.elements, fit.potential.reference.tolist(), strict=True)
        ],
        numeric=[1],
    )
    side = free + _offsets(fit) + _weights(fit)
    all_notes = [*notes, *fit.notes]
    said = "".join(f"<li>{sentence(note)}</li>" for note in dict.fromkeys(all_notes))
    noted = f'<h3>Notes</h3><ul class="notes">{said}</ul>' if said else ""
    return (
        f'<div class="pair"><div>{_divided(judged)}{noted}</div><div>{side}</div></div>{excluded(exclusions)}'
    )


def _divided(judged: Judged) -> str:
    called = {"energy": "energies", "forces": "force components", "virial": "virial components"}
    rows = [
        (
            part_name(part),
            count(judged.count(part)),
            *(count(int(judged.inside(q, part).sum())) for q in judged.quantities),
        )
        for part in reversed(judged.parts)
    ]
    heads = ["part", "structures", *(called[q] for q in judged.quantities)]
    return table("What there was to learn from and to judge by", heads, rows, numeric=range(1, len(heads)))


def _offsets(fit: Fit) -> str:
    rows = [(group, f"{number(1000 * value, 4)}") for group, value in fit.offsets.items()]
    caption = (
        "Energies of these config types lie this far from the others; fitted, and taken off before errors"
    )
    return table(caption, ["config type", "offset (meV/atom)"], rows, numeric=[1]) if rows else ""


def _weights(fit: Fit) -> str:
    w = fit.weights
    rows = [("all" if not w.groups else "others", *map(_plain, (w.energy, w.forces, w.virial)))]
    rows += [(group, *map(_plain, own)) for group, own in w.groups.items()]
    heads = ["config type", "energy", "forces", "virial"]
    return table("Weights of labels", heads, rows, numeric=[1, 2, 3])


def _plain(value: float) -> str:
    return f"{value:g}"


def excluded(exclusions: Sequence[Excluded]) -> str:
    """Frames that could not take part."""
    if not exclusions:
        return ""
    rows = [(e.file, "whole file" if e.frame < 0 else e.frame, e.problem) for e in exclusions[:LISTED]]
    rest = len(exclusions) - len(rows)
    more = f"<p>{rest} more are not listed.</p>" if rest else ""
    listed = table("Frames left out", ["file", "frame", "problem"], rows, numeric=[1])
    return f"<details><summary>{plural(len(exclusions), 'frame')} left out</summary>{listed}{more}</details>"


def record(fit: Fit, judged: Judged) -> str:
    """Solver, time, versions, hashes, recipe and papers."""
    method = SOLVERS.get(fit.path.method)
    summary = fit.path.method if method is None else f"{fit.path.method}, {method.summary}"
    basis = fit.potential.basis
    range_of = f"orders 1 to {basis.order}, degree {', '.join(f'{d:g}' for d in basis.degree)}, cutoff"
    cutoff = f"{number(basis.max_cutoff)} Å"
    made = facts(
        [
            ("Solver", text(summary)),
            (
                "Path",
                text(f"{plural(len(fit.path), 'model')} kept; end: {fit.path.stopped or '—'}"),
            ),
            (
                "Basis",
                text(f"{range_of} {cutoff}, {plural(basis.pair_degree, 'pair function')} per neighbour"),
            ),
            ("Smoothness", text(f"Γ {basis.smoothness.kind}, power {basis.smoothness.power:g}")),
            (
                "Repulsion",
                "none" if fit.potential.repulsion is None else "universal (ZBL), beneath the functions",
            ),
            ("Versions", versions()),
            ("Structures", f"<code>{text(judged.frames.ids.digest())}</code>"),
            ("Functions", f"<code>{text(basis.hash)}</code>"),
        ]
    )
    times = [(stage, seconds(t)) for stage, t in fit.timings.items()]
    times += [("all", seconds(sum(fit.timings.values())))] if len(times) > 1 else []
    timed = table("Time by stage", ["stage", "time"], times, numeric=[1], heard=True) if times else ""
    cited = "".join(f"<li>{linked(r)}</li>" for r in (*_ACE, *(() if method is None else method.references)))
    recipe = {"solver_parameters": dict(fit.path.parameters), **fit.recipe}
    return (
        f'<div class="lead"><div><h3>How</h3>{made}</div><div><h3>Time</h3>{timed}</div></div>'
        f"<details><summary>Recipe (JSON)</summary><pre>{pretty(recipe)}</pre></details>"
        f'<h3>Papers to cite</h3><ol class="references">{cited}</ol>'
    )
