r"""The selectors as they were published, line by line in their effect, so that what each slip costs can be measured.

- ``bayes``: precision :math:`A = \sum D^\top D` over the atoms of the core, divided by its largest entry; no prior,
  no weights. Score :math:`\bar d^\top A^{-1} \bar d` of the mean descriptor through an LU without pivots checked; after
  each pick :math:`A \leftarrow A + D^\top D` and again divided by its largest entry, so that everything absorbed so
  far loses weight against the next pick. A singular factor scores every candidate −∞, and the first wins.
- ``fps``: "similarity" is the raw dot product, of candidates over the largest entry of all candidates, with core
  vectors that are not divided; the candidate whose largest similarity is least is taken. Small and anti-aligned vectors
  win, not distant ones.
- ``cur``: leverage scores from a *full* singular value decomposition: V is square and orthogonal, all scores are 1/N,
  and the draw is uniform.
- ``kmedoids``: PAM from a k-medoids++ start, seed 42, candidates alone; anew for every size.

Source: github.com/kermodegroup/BayesianSelectionMLIP and the packages that it calls, rewritten from their description.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import get_lapack_funcs

__all__ = ["bayes", "cur", "cur_scores", "fps", "kmedoids"]

Array = NDArray[np.float64]
Index = NDArray[np.int64]


def bayes(core_moment: Array, means: Array, atoms: Callable[[int], Array], n: int) -> Index:
    """Unregularised posterior whose old data decay.

    Parameters
    ----------
    core_moment : (d, d) array
        DᵀD over all atoms of the core.
    means : (candidates, d) array
    atoms : callable
        The (n_atoms, d) descriptors of a candidate.
    n : int

    Notes
    -----
    2/3 d³ flops a pick.
    """
    precision = core_moment / core_moment.max()
    factorise, solve = get_lapack_funcs(("getrf", "getrs"), (precision,))
    left = np.arange(len(means))
    picks: list[int] = []
    for _ in range(n):
        factors, pivots, singular = factorise(precision)
        scores = np.full(len(left), -np.inf)
        if not singular:
            scores = np.sum(means[left].T * solve(factors, pivots, means[left].T)[0], axis=0)
        k = int(np.argmax(scores))
        picks.append(int(left[k]))
        left = np.delete(left, k)
        rows = atoms(picks[-1])
        precision = precision + rows.T @ rows
        precision /= precision.max()
    return np.array(picks, np.int64)


def fps(core: Array, means: Array, n: int) -> Index:
    """Least largest dot product."""
    scaled = means / np.abs(means).max()
    similarity = np.vstack((core, scaled)) @ scaled.T
    never = similarity.max() + 1.0
    nearest = similarity[: len(core)].max(axis=0)
    picks: list[int] = []
    for _ in range(n):
        picks.append(int(np.argmin(nearest)))
        nearest = np.maximum(nearest, similarity[len(core) + picks[-1]])
        nearest[picks] = never
    return np.array(picks, np.int64)


def cur_scores(means: Array) -> Array:
    """Scores of a full decomposition, summing to one: all alike."""
    right = np.linalg.svd(means.T, full_matrices=True)[2]
    scores = np.mean(right**2, axis=0)
    return scores / scores.sum()


def cur(means: Array, n: int, rng: np.random.Generator) -> Index:
    """A draw without replacement by these scores."""
    return rng.choice(len(means), n, replace=False, p=cur_scores(means))


def kmedoids(means: Array, n: int, *, seed: int = 42) -> Index:
    """PAM from k-medoids++."""
    import kmedoids as package

    distances = np.sqrt(np.maximum(_squares(means), 0.0))
    start = _spread_start(distances, n, np.random.default_rng(seed))
    found = package.pam(distances, start.astype(np.uint64), max_iter=300)
    return np.asarray(found.medoids, np.int64)


def _squares(x: Array) -> Array:
    centred = x - x.mean(axis=0)
    norms = np.sum(centred**2, axis=1)
    squares = norms[:, None] + norms - 2 * centred @ centred.T
    np.fill_diagonal(squares, 0.0)
    return squares


def _spread_start(distances: Array, n: int, rng: np.random.Generator) -> Index:
    """The start of k-means++, among the points themselves, the best of a few trials each time."""
    chosen = [int(rng.integers(len(distances)))]
    nearest = distances[chosen[0]] ** 2
    for _ in range(n - 1):
        total = np.cumsum(nearest)
        trials = np.searchsorted(total, rng.random(2 + int(np.log(n))) * total[-1])
        trials = np.minimum(trials, len(distances) - 1)
        left = np.minimum(nearest, distances[trials] ** 2)
        best = int(np.argmin(left.sum(axis=1)))
        chosen.append(int(trials[best]))
        nearest = left[best]
    return np.array(chosen, np.int64)
