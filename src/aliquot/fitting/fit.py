r"""How does a set of labels become a potential? Rows are compressed once; everything after is small linear algebra.

1. Energies of free atoms and an inner repulsion are subtracted from the labels.
2. Rows of every structure pass once and leave triangles (:mod:`aliquot.fitting.accumulate`).
3. A solver finds a path of models, from few functions to many; validation structures, or folds of whole groups,
   judge every one.
4. A stated rule chooses one; its coefficients become the potential. Test structures have had no part in that.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from aliquot.fitting.checks import outliers
from aliquot.fitting.contradictions import Contradiction, contradictions
from aliquot.fitting.job import Job
from aliquot.fitting.recipe import Recipe
from aliquot.fitting.record import Fit
from aliquot.fitting.splits import TRAIN, split_at_random
from aliquot.progress import Progress, silent
from aliquot.solvers import Path
from aliquot.structures.frames import Frames

__all__ = ["fit"]

Array = NDArray[np.float64]
Names = NDArray[np.str_]

#: Points of a path that are kept, about.
KEPT: Final = 100


def fit(
    frames: Frames,
    recipe: Recipe | None = None,
    *,
    parts: Names | None = None,
    groups: Names | None = None,
    folds: NDArray[np.int64] | None = None,
    meta: Mapping[str, Any] | None = None,
    threads: int | None = None,
    progress: Progress = silent,
) -> Fit:
    """Fit a potential to labelled structures.

    Parameters
    ----------
    frames : Frames
        Of all parts.
    recipe : Recipe, optional
        Defaults are stated there.
    parts : (n_frames,) array of str, optional
        ``train``, ``validation``, ``test``; 15 % for validation by default.
    groups : (n_frames,) array of str, optional
        For weights, offsets and errors; the config types by default.
    folds : (n_frames,) array of int, optional
        Instead of validation structures: each fold of training structures is judged by models that did not see it.
    meta : dict, optional
        Goes into the potential's own record.
    threads : int, optional
    progress : callable

    Returns
    -------
    Fit

    Raises
    ------
    InputError
        If labels, weights or parts do not allow a fit; the message says why.

    Notes
    -----
    2 m d² flops for m rows and d functions, then the solver's. Memory: triangles of at most ``recipe.memory``, a few
    triangles more for the solver, and the rows of a few structures; never all rows.
    """
    part = split_at_random(frames) if parts is None else np.asarray(parts).astype(str)
    group = frames.config_type if groups is None else np.asarray(groups).astype(str)
    job = Job(frames, recipe or Recipe(), part, group, folds, threads, progress)
    notes = job.check()
    opposed = contradictions(frames)
    with job.clock("rows"):
        factors = job.doubts()
        held = job.compress(factors)
    with job.clock("solve"):
        path, chosen, reason = job.solve(held)
        path, chosen = _kept(path, chosen)
    coefficients = path.coefficients(chosen)
    offsets = {g: held.offset(job.teaching, g, coefficients) for g in job.recipe.offsets}
    with job.clock("posterior"):
        posterior = job.posterior(held, np.flatnonzero(coefficients))
    potential = job.potential(coefficients, meta=meta, posterior=posterior)
    with job.clock("errors"):
        comparison = job.compare(potential, offsets)
        calibration = job.calibrate(coefficients, posterior, offsets)
        ladder = job.ladder(held, path, chosen)
        learning = job.learning(held)
    return Fit(
        potential=potential,
        path=path,
        chosen=chosen,
        reason=reason,
        ladder=ladder,
        comparison=comparison,
        weights=job.recipe.weights,
        offsets=offsets,
        outliers=outliers(comparison, lambda name: name == TRAIN),
        contradictions=opposed,
        calibration=calibration,
        learning=learning,
        reference_from=job.reference[1],
        notes=(*notes, *_told(frames, opposed), *job.account(factors, offsets), *path.notes),
        recipe=replace(job.recipe, basis=job.basis, reference=job.reference[0]).to_dict(),
        timings=dict(job.seconds),
    )


def _told(frames: Frames, opposed: tuple[Contradiction, ...]) -> tuple[str, ...]:
    if not opposed:
        return ()
    worst = opposed[0]
    return (
        f"labels of {len(opposed)} pairs of nearly the same structure contradict each other; the worst:"
        f" {frames.ids_name(worst.first)} and {frames.ids_name(worst.second)}, whose atoms move at most"
        f" {worst.displacement:.3f} Å, differ by {worst.energy:+.4g} eV, by their forces {worst.work:+.4g} eV",
    )


def _kept(path: Path, chosen: int) -> tuple[Path, int]:
    """At most about a hundred points, the chosen one among them; steps tell the rest."""
    some = np.linspace(0, len(path) - 1, min(KEPT, len(path))).round().astype(int)
    which = sorted({*some.tolist(), chosen})
    return replace(path, points=tuple(path.points[i] for i in which)), which.index(chosen)
