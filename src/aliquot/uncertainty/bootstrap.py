r"""What would the coefficients be, had other structures of the same kind been labelled? A committee of refits.

Each member is fitted, with the functions of the potential, to as many training structures as there are, drawn with
replacement (Poisson counts of mean one in their place: the same in the limit, and rows pass only once). Rows are
weighted by the square root of the count; the prior is that of the largest evidence on the original structures.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from aliquot.ace.evaluator import AceEvaluator
from aliquot.ace.potential import AcePotential
from aliquot.errors import InputError
from aliquot.fitting import Baseline, Weights
from aliquot.fitting.accumulate import each
from aliquot.progress import Progress, silent
from aliquot.solvers import LeastSquares, Triangle, best_prior
from aliquot.structures.frames import Frames
from aliquot.uncertainty.spread import Spread, columns_of

__all__ = ["bootstrap_committee", "refits"]

Array = NDArray[np.float64]


def bootstrap_committee(
    potential: AcePotential,
    frames: Frames,
    members: int = 8,
    *,
    rng: np.random.Generator,
    weights: Weights | None = None,
    groups: NDArray[np.str_] | None = None,
    threads: int | None = None,
    progress: Progress = silent,
) -> Spread:
    """A committee of refits to resampled training structures.

    Parameters
    ----------
    potential : AcePotential
    frames : Frames
        Its training structures, labelled.
    members : int
        At least 2.
    rng : numpy.random.Generator
    weights : Weights, optional
        Of its fit; 30/1/1 by default.
    groups : (n_frames,) array of str, optional
        For the weights; the config types by default.
    threads, progress

    Raises
    ------
    InputError
        If there are fewer than two members, or no labels.

    Notes
    -----
    2 m k² flops per member for m label rows and k functions, and k² doubles each.
    """
    if members < 2:
        raise InputError(f"a bootstrap needs at least two members to differ; got {members}")
    counts = rng.poisson(1.0, size=(members, len(frames)))
    fits = refits(
        potential, frames, counts, weights=weights, groups=groups, threads=threads, progress=progress
    )
    return Spread("bootstrap", (fits - fits.mean(axis=0)).T / np.sqrt(members - 1))


def refits(
    potential: AcePotential,
    frames: Frames,
    counts: NDArray[np.int64],
    *,
    weights: Weights | None = None,
    groups: NDArray[np.str_] | None = None,
    threads: int | None = None,
    progress: Progress = silent,
) -> Array:
    """Coefficients of the potential's functions fitted to structures that count so often: (members, k).

    Parameters
    ----------
    counts : (members, n_frames) array of int
    potential, frames, weights, groups, threads, progress
        As for :func:`bootstrap_committee`.
    """
    weights = Weights() if weights is None else weights
    groups = frames.config_type if groups is None else groups
    small, columns = potential.pruned, columns_of(potential)
    evaluator, baseline = AceEvaluator(small.basis), _baseline(potential)
    k = len(columns)
    held = [Triangle(k) for _ in counts]
    original = Triangle(k)
    prior = np.tile(small.basis.prior, len(small.basis.elements))[columns]
    for i, labelled in each(evaluator, frames, baseline=baseline, threads=threads):
        for quantity, (rows, target) in labelled.items():
            w = weights.of(quantity, str(groups[i]))
            if w == 0.0:
                continue
            own = w * rows[:, columns]
            original.absorb(own, w * target)
            for triangle, count in zip(held, counts[:, i].tolist(), strict=True):
                if count:
                    triangle.absorb(np.sqrt(count) * own, np.sqrt(count) * w * target)
        progress("committee", i + 1, len(frames))
    if original.n_rows == 0:
        raise InputError("no structure has a label to fit to; name the keys of energies and forces")
    found = best_prior(_scaled(original, prior))
    return np.array([_solve(triangle, prior, found.precision) for triangle in held])


def _scaled(triangle: Triangle, prior: Array) -> Triangle:
    """The triangle in smoothness-scaled coordinates."""
    problem = LeastSquares.of(triangle, prior=prior)
    out = Triangle(len(prior))
    out.absorb(problem.X, problem.b)
    out.absorb(np.zeros((1, len(prior))), np.array([np.sqrt(problem.rest)]))
    out.n_rows = triangle.n_rows
    return out


def _solve(triangle: Triangle, prior: Array, precision: float) -> Array:
    """Ridge regression on a triangle."""
    problem = LeastSquares.of(triangle, prior=prior)
    k = len(prior)
    stacked = np.vstack((problem.X, np.sqrt(precision) * np.eye(k)))
    right = np.concatenate((problem.b, np.zeros(k)))
    return np.linalg.lstsq(stacked, right, rcond=None)[0] / prior


def _baseline(potential: AcePotential) -> Baseline:
    """What the fit subtracted from labels: free atoms and the repulsion."""
    reference = dict(zip(potential.basis.elements, potential.reference.tolist(), strict=True))
    if potential.repulsion is None:
        return Baseline(reference)
    zero = np.zeros_like(potential.coefficients)
    return Baseline(
        reference,
        AcePotential(potential.basis, zero, np.zeros_like(potential.reference), potential.repulsion),
    )
