r"""The likelihood kernel L of a determinantal point process over a pool, given what is known.

.. math:: P(S) \propto \det L_S, \qquad L_{ij} = q_i\, k(x_i, x_j)\, q_j .

Given known structures, k is the *posterior* kernel, the covariance that is left when their labels have been
seen. For kernels that are inner products of short rows (linear, cosine) it is

.. math:: L = \Phi P^{-1} \Phi^\top, \qquad P = \lambda I + \Phi_K^\top W^2 \Phi_K ,

with all rows of the known structures, weighted by inverse noise (unit rows and noise for the cosine). For every
kernel the same, up to the factor λ, is :math:`k(x, y) - k_{xK} (k_{KK} + \lambda I)^{-1} k_{Ky}`. At λ = 0 the
determinant of the known structures joined to S is what counts, without noise. That collapses once there are as
many known structures as the rank of the kernel: it is then refused.

Beyond a stated number of candidates, kernels without short rows are replaced by Nyström's approximation.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from aliquot.errors import SelectionError
from aliquot.information import spectrum as _spectrum
from aliquot.information.blocks import gather
from aliquot.information.kernel import Kernel
from aliquot.information.pivoted import pivoted_cholesky
from aliquot.information.posterior import PRIOR_FRACTION, Posterior, default_precision
from aliquot.information.spectrum import SMALLEST, Rows, Spectrum, triangle_of
from aliquot.table import TILE_ROWS, Features

__all__ = ["Likelihood", "likelihood", "nystrom"]

Matrix = NDArray[np.float64]
Vector = NDArray[np.float64]

_EPS = float(np.finfo(np.float64).eps)


@dataclass(frozen=True, eq=False)
class Likelihood:
    """L, by what can be asked of it; never held as a whole unless :meth:`spectrum` must.

    Parameters
    ----------
    n : int
        Candidates.
    diagonal : (n,) array
    columns : callable
        Columns of L by positions: (n, how many).
    rows : callable or None
        F with L = F Fᵀ, where it is short.
    resolution, floor : float
        What counts as zero; see :meth:`Spectrum.of_rows`.
    kernel : Kernel
        With every parameter set.
    precision : float or None
        λ, where something is known.
    notes : tuple of str
    """

    n: int
    diagonal: Vector
    columns: Callable[[NDArray[np.int64]], Matrix]
    rows: Rows | None
    resolution: float
    floor: float
    kernel: Kernel
    precision: float | None
    notes: tuple[str, ...] = ()

    @cached_property
    def spectrum(self) -> Spectrum:
        """Eigenvalues and eigenvectors: through F, or of the whole n × n matrix."""
        if self.rows is not None:
            return Spectrum.of_rows(self.rows, self.n, resolution=self.resolution, floor=self.floor)
        L: Matrix = np.empty((self.n, self.n), order="F")
        for tile in _tiles(self.n):
            L[:, tile] = self.columns(np.arange(self.n)[tile])
        return Spectrum.of_matrix(L, floor=self.floor)

    @property
    def level(self) -> float:
        """Mean of the diagonal; 1 for a kernel of zeros."""
        mean = float(self.diagonal.mean()) if self.n else 0.0
        return mean if mean > 0 else 1.0


def likelihood(
    pool: Features,
    members: NDArray[np.int64],
    *,
    kernel: Kernel,
    known: Features | None = None,
    precision: float | None = None,
    quality: Vector | None = None,
) -> Likelihood:
    """L of some candidates of a pool.

    Parameters
    ----------
    pool : Features
    members : (n,) array of int
        Which candidates.
    kernel : Kernel
    known : Features, optional
        Conditions the kernel.
    precision : float, optional
        λ; 0 for no noise. By default 10⁻¹² of the largest eigenvalue of the second moment of the pool (kernels of
        short rows) or of the mean of the diagonal (others).
    quality : (n,) array, optional
        q of each member, positive.

    Raises
    ------
    SelectionError
        If conditioning without noise is asked for and impossible.
    """
    q = np.ones(len(members)) if quality is None else quality
    build = _of_short_rows if kernel.has_features else _of_pairs
    return build(pool, members, kernel, known, precision, q)


def _check_rank(known: Features, rank: int) -> None:
    if len(known) >= rank:
        raise SelectionError(
            f"conditioning without noise (precision 0) on {len(known)} known structures is impossible with a kernel"
            f" of rank {rank}: it needs fewer known structures than that; give a positive precision, or a kernel of"
            " higher rank"
        )


def nystrom(L: Likelihood, rank: int, *, order: NDArray[np.int64]) -> Likelihood:
    """L replaced by its Nyström approximation of at most this rank, on greedily chosen landmarks; 8 n · rank bytes.

    Ties between landmarks go to the smaller ``order``.
    """
    pivots = pivoted_cholesky(
        L.diagonal, lambda j: L.columns(np.array([j]))[:, 0], rank, order=order, stage="landmarks"
    )
    F = np.ascontiguousarray(pivots.factor.T)
    lost = float(np.maximum(pivots.rest, 0.0).sum()) / max(float(L.diagonal.sum()), np.finfo(float).tiny)
    note = (
        f"the {L.kernel.name} kernel of {L.n} candidates was replaced by Nyström's approximation of rank"
        f" {F.shape[1]} on greedy landmarks (pivoted Cholesky); it misses {lost:.2g} of the trace"
    )
    return _short(lambda some: F[some], L.n, SMALLEST, 0.0, L.kernel, L.precision, (*L.notes, note))


def _short(
    rows: Rows,
    n: int,
    resolution: float,
    floor: float,
    kernel: Kernel,
    precision: float | None,
    notes: tuple[str, ...] = (),
) -> Likelihood:
    """L = F Fᵀ; F is held where it is small enough."""
    p = rows(slice(0, 0)).shape[1]
    if 8 * n * p <= _spectrum.HELD_BYTES:
        held = np.vstack([np.zeros((0, p)), *(rows(tile) for tile in _tiles(n))])
        rows = held.__getitem__

    def columns(which: NDArray[np.int64]) -> Matrix:
        chosen = rows(which).T
        return np.vstack([np.zeros((0, len(which))), *(rows(tile) @ chosen for tile in _tiles(n))])

    squares = [np.einsum("ij,ij->i", F, F) for F in map(rows, _tiles(n))]
    diagonal = np.concatenate([np.zeros(0), *squares])
    return Likelihood(n, diagonal, columns, rows, resolution, floor, kernel, precision, notes)


def _tiles(n: int) -> list[slice]:
    return [slice(k, min(k + TILE_ROWS, n)) for k in range(0, n, TILE_ROWS)]


def _of_short_rows(
    pool: Features,
    members: NDArray[np.int64],
    kernel: Kernel,
    known: Features | None,
    precision: float | None,
    q: Vector,
) -> Likelihood:
    single = pool.rows.dtype == np.float32
    resolution = 4.0 * np.sqrt(pool.n_features) * float(np.finfo(np.float32).eps) if single else SMALLEST

    def plain(some: Any) -> Matrix:
        return kernel.features(_points(pool, members[some])) * q[some, None]

    if known is None:
        return _short(plain, len(members), resolution, 0.0, kernel, None)
    if precision is None and kernel.name == "linear":
        precision = default_precision(pool)
    elif precision is None:
        top = np.linalg.norm(triangle_of(plain, len(members)), 2) ** 2 / max(1, len(members))
        precision = PRIOR_FRACTION * (float(top) or 1.0)
    if precision == 0.0:
        seen = np.vstack([_known_rows(known, some, kernel) for some, _ in known.tiles()])
        # The rank is that of all rows together, before a projection makes some of them small.
        both = np.linalg.svd(np.vstack((seen, triangle_of(plain, len(members)))), compute_uv=False)
        floor = resolution * float(both.max(initial=0.0))
        _check_rank(known, int((both > floor).sum()))
        _, s, vt = np.linalg.svd(seen, full_matrices=False)
        basis = vt[s > resolution * s.max(initial=0.0)]

        def projected(some: Any) -> Matrix:
            once = plain(some)
            once -= (once @ basis.T) @ basis
            return once - (once @ basis.T) @ basis  # again: once leaves rounding behind

        return _short(projected, len(members), resolution, floor, kernel, 0.0)
    posterior = Posterior(np.full(pool.n_features, precision))
    for some, _ in known.tiles():
        posterior.absorb(_known_rows(known, some, kernel))
    # √λ keeps L of the size that it has before anything is known.
    root = np.sqrt(precision)
    return _short(
        lambda some: root * posterior.whiten(plain(some)), len(members), resolution, 0.0, kernel, precision
    )


def _points(table: Features, some: Any) -> Matrix:
    blocks = gather(table, some)
    return blocks.observed_mean(blocks.x)


def _known_rows(known: Features, some: slice, kernel: Kernel) -> Matrix:
    """What the posterior absorbs: all rows, weighted; or the points, normalised."""
    return gather(known, some).weighted if kernel.name == "linear" else kernel.features(_points(known, some))


def _of_pairs(
    pool: Features,
    members: NDArray[np.int64],
    kernel: Kernel,
    known: Features | None,
    precision: float | None,
    q: Vector,
) -> Likelihood:
    x = _points(pool, members)
    kernel = kernel.fitted(x)
    diagonal = kernel.diagonal(x)
    if known is None:
        explained, lost, used = np.zeros((0, len(x))), 1.0, None
    else:
        points = _points(known, slice(None))
        used = (
            PRIOR_FRACTION * (float(diagonal.sum()) / max(1, len(x)) or 1.0)
            if precision is None
            else precision
        )
        if used == 0.0:
            _check_rank(known, _rank(kernel, np.vstack((points, x)), len(known) + 1))
        explained, lost = _seen(kernel, points, x, used)
    rounding = 4.0 * _EPS * float(diagonal.max(initial=0.0)) * float(np.max(q, initial=0.0)) ** 2
    floor = rounding * (len(x) if known is None else np.sqrt(len(x)) * lost)

    def columns(which: NDArray[np.int64]) -> Matrix:
        return (kernel.between(x, x[which]) - explained.T @ explained[:, which]) * q[:, None] * q[which]

    diagonal = np.maximum(diagonal - np.einsum("ij,ij->j", explained, explained), 0.0) * np.square(q)
    return Likelihood(len(x), diagonal, columns, None, SMALLEST, floor, kernel, used)


def _rank(kernel: Kernel, x: Matrix, most: int) -> int:
    """Numerical rank of the kernel matrix of these points, counted up to ``most``."""
    pivots = pivoted_cholesky(
        kernel.diagonal(x),
        lambda j: kernel.between(x, x[j : j + 1])[:, 0],
        min(most, len(x)),
        order=np.arange(len(x)),
    )
    return len(pivots.index)


def _seen(kernel: Kernel, known: Matrix, x: Matrix, precision: float) -> tuple[Matrix, float]:
    """V with ``VᵀV = k_xK (k_KK + λ)⁻¹ k_Kx``, and by how much rounding grows in it."""
    values, vectors = np.linalg.eigh(kernel.between(known, known))
    largest = float(values.max(initial=0.0))
    keep = values > len(known) * _EPS * largest
    if not keep.any():
        return np.zeros((0, len(x))), 1.0
    noisy: Vector = values[keep] + precision
    V = (vectors[:, keep].T @ kernel.between(known, x)) / np.sqrt(noisy)[:, None]
    return V, float(np.sqrt(max(1.0, largest / noisy.min())))
