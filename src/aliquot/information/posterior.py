r"""What a linear model knows after some structures, labels unseen.

The posterior precision of the coefficients is

.. math:: P = P_0 + \sum_r w_r^2\, x_r x_r^\top ,

with the prior :math:`P_0` and the absorbed rows :math:`x_r` (smoothness-scaled, noise :math:`1/w_r`). Labels
enter nowhere. The data are kept as the triangular factor of their rows, not as a sum of outer products: prior
and data differ by up to twelve orders of magnitude, and squaring the rows would lose the smaller half of their
digits. The precision is factored from both by orthogonal transformations, never formed and never inverted;
log-determinants are sums of logarithms.

References
----------
K. Chaloner and I. Verdinelli, Stat. Sci. 10, 273 (1995), doi:10.1214/ss/1177009939
"""

from __future__ import annotations

from concurrent.futures import Executor
from typing import Any

import numpy as np
from numpy.typing import NDArray

from aliquot.errors import InputError
from aliquot.information.blocks import Part
from aliquot.information.passes import Passes, threads
from aliquot.table import Features

__all__ = ["PRIOR_FRACTION", "Posterior", "default_precision", "logdet_gains"]

#: Default prior precision, as a fraction of the largest eigenvalue of the pool's second-moment matrix. The
#: evidence of labelled energies asks for about 10⁻¹³ on sets of Si, Cu, Mo, Ti–Al and W in the smoothness-scaled
#: ACE features (``benchmarks/prior_scale.py``); rounded up, to stay clear of features in single precision.
PRIOR_FRACTION = 1e-12

Matrix = NDArray[np.float64]

_KEPT_ROWS = 1024  # rows that may wait before they are compressed
_STACK_ENTRIES = 1 << 21  # entries of the Gram matrices factored together: 16 MB


class Posterior:
    """Precision of a linear model: a prior and the data absorbed so far, held apart.

    Parameters
    ----------
    prior : (features,) or (features, features) array
        Prior precision, its diagonal or in full, in smoothness-scaled coordinates; positive definite.

    Attributes
    ----------
    prior : array
    root : (features, features) array
        Upper triangular factor of the data: ``rootᵀ root`` is the sum of the weighted outer products of all
        absorbed rows.
    n_rows : int
        Rows absorbed.
    absorbed : int
        Calls of :meth:`absorb`.

    Notes
    -----
    One row is absorbed in O(d²), many at once in O(m d² + d³). Memory: a few d × d matrices, and one vector of
    length d for every row absorbed on its own since the last larger block.

    Examples
    --------
    >>> posterior = Posterior(np.ones(2))
    >>> posterior.absorb(np.array([[3.0, 0.0]]))
    >>> posterior.variance(np.eye(2))
    array([0.1, 1. ])
    """

    def __init__(self, prior: NDArray[np.floating[Any]]) -> None:
        prior = np.array(prior, np.float64)
        d = len(prior)
        if prior.shape not in ((d,), (d, d)):
            raise InputError(f"prior precision must be a vector or a square matrix; got shape {prior.shape}")
        if not np.all(np.isfinite(prior)) or (prior.ndim == 1 and not np.all(prior > 0)):
            raise InputError("prior precision must be finite and positive")
        self.prior: Matrix = prior
        self._root: Matrix = np.zeros((0, d))
        self._pending: Matrix = np.zeros((0, d))  # rows not yet in the root
        self.n_rows = 0
        self.absorbed = 0
        self._factor: Matrix | None = None
        self._directions: Matrix = np.empty((0, d))
        self._first_direction = 0  # clock of row 0 of _directions
        if prior.ndim == 2:
            self.factor()  # fails here, not later, where the prior is not positive definite

    @property
    def n_features(self) -> int:
        """Length of a row."""
        return len(self.prior)

    def copy(self) -> Posterior:
        """An independent copy."""
        twin = Posterior.__new__(Posterior)
        twin.__dict__.update({k: v.copy() if isinstance(v, np.ndarray) else v for k, v in vars(self).items()})
        return twin

    def reader(self, since: int) -> Posterior:
        """A small copy that answers, but neither absorbs nor merges: the factor, and directions from ``since``."""
        twin = Posterior.__new__(Posterior)
        first = max(since, self._first_direction)
        kept = self._directions[first - self._first_direction : self.absorbed - self._first_direction]
        twin.__dict__.update(vars(self), _root=self._root[:0], _pending=self._pending[:0])
        twin.__dict__.update(_factor=self.factor(), _directions=kept, _first_direction=first)
        return twin

    def factor(self) -> Matrix:
        """Upper Cholesky factor R of the precision, ``P = Rᵀ R``, in C order."""
        if self._factor is None:
            self._factor = _triangle(np.vstack([self._prior_root(), self.root]))
        return self._factor

    @property
    def root(self) -> Matrix:
        """Upper triangular (or fewer rows than features): ``rootᵀ root`` is what the data add to the precision."""
        if len(self._pending):
            self._root = _triangle(np.vstack([self._root, self._pending]))
            self._pending = self._pending[:0]
        return self._root

    @property
    def data(self) -> Matrix:
        """What the data add to the precision, (features, features)."""
        return self.root.T @ self.root

    def _prior_root(self) -> Matrix:
        if self.prior.ndim == 1:
            return np.diag(np.sqrt(self.prior))
        try:
            lower: Any = np.linalg.cholesky(self.prior)
        except np.linalg.LinAlgError as error:
            raise InputError(f"the prior precision is not positive definite: {error}") from error
        return np.ascontiguousarray(lower.T)

    def whiten(self, x: Matrix) -> Matrix:
        """Rows ``x R⁻¹``, whose inner products are posterior covariances ``x P⁻¹ yᵀ``."""
        if self.n_rows == 0 and self.prior.ndim == 1:
            return x / np.sqrt(self.prior)
        from aliquot.information.triangular import whiten  # numba: imported when needed

        return whiten(self.factor(), x)

    def variance(self, x: Matrix) -> NDArray[np.float64]:
        """Posterior variance ``x P⁻¹ xᵀ`` of the observable of each row; O(d²) a row."""
        z = self.whiten(x)
        return np.einsum("ij,ij->i", z, z)

    def logdet_gain(self, x: Matrix) -> float:
        """½ log det(I + X P⁻¹ Xᵀ) of the weighted rows ``x``, in nat: what absorbing them would add."""
        return float(logdet_gains(self.whiten(x), np.array([0, len(x)], np.int64))[0])

    def log_det(self) -> float:
        """Natural logarithm of the determinant of the precision."""
        return 2.0 * float(np.sum(np.log(np.diag(self.factor()))))

    def absorb(self, x: Matrix) -> None:
        """Add weighted rows, (m, features)."""
        x = np.asarray(x, np.float64)
        if len(x) == 1:
            self._absorb_row(x)
        else:
            self._keep(x)
            self._factor = None
        self.n_rows += len(x)
        self.absorbed += 1
        if len(x) != 1:
            self._directions = self._directions[:0]
            self._first_direction = self.absorbed

    def _absorb_row(self, x: Matrix) -> None:
        """Absorb one row: P⁻¹ loses v vᵀ with v = P⁻¹x / √(1 + xᵀP⁻¹x), and v is remembered."""
        from aliquot.information.triangular import solve, update, whiten

        factor = self.factor()
        v = whiten(factor, x)[0]
        v /= np.sqrt(1.0 + v @ v)
        solve(factor, v)
        count = self.absorbed - self._first_direction
        if count >= len(self._directions):
            room = np.empty((max(16, 2 * count), self.n_features))
            room[:count] = self._directions[:count]
            self._directions = room
        self._directions[count] = v
        self._keep(x)
        update(factor, x[0].copy())

    def _keep(self, x: Matrix) -> None:
        """Add rows to the data; they enter the root when it is needed, or when they take as much room."""
        self._pending = np.vstack([self._pending, x])
        if len(self._pending) > max(_KEPT_ROWS, self.n_features):
            _ = self.root

    def directions(self, since: int) -> Matrix | None:
        """Rows V such that P⁻¹ is what it was at clock ``since`` less ``VᵀV``; None where not remembered.

        One row per call of :meth:`absorb` since then; only single rows are remembered.
        """
        if since < self._first_direction:
            return None
        return self._directions[since - self._first_direction : self.absorbed - self._first_direction]

    def merge(self, other: Posterior) -> Posterior:
        """The posterior given the data of both. The prior, which both must share, counts once."""
        if self.prior.shape != other.prior.shape or not np.array_equal(self.prior, other.prior):
            raise InputError("posteriors with different priors cannot be merged")
        merged = Posterior(self.prior)
        merged._pending = np.vstack([self.root, other.root])
        merged.n_rows = self.n_rows + other.n_rows
        merged.absorbed = self.absorbed + other.absorbed
        merged._first_direction = merged.absorbed
        merged._factor = None
        return merged


def _triangle(rows: Matrix) -> Matrix:
    """The triangular R with ``RᵀR = rowsᵀ rows`` and a positive diagonal, in C order; by Householder QR."""
    if len(rows) == 0:
        return rows
    R = np.linalg.qr(rows, mode="r")
    signs = np.where(np.diagonal(R) < 0, -1.0, 1.0)
    return np.ascontiguousarray(R * signs[:, None])


def logdet_gains(z: Matrix, offsets: NDArray[np.int64]) -> NDArray[np.float64]:
    """½ log det(I + Z Zᵀ) of each block of whitened, weighted rows; equal sizes are done together."""
    lengths = np.diff(offsets)
    if np.all(lengths == 1):
        return 0.5 * np.log1p(np.einsum("ij,ij->i", z, z))
    gains = np.zeros(len(lengths))
    for m in np.unique(lengths):
        members = np.flatnonzero(lengths == m)
        at_once = max(1, _STACK_ENTRIES // max(1, int(m) * min(int(m), z.shape[1])))
        for start in range(0, len(members), at_once):
            some = members[start : start + at_once]
            block = z[offsets[some][:, None] + np.arange(m)]
            transposed = block.transpose(0, 2, 1)
            gram = block @ transposed if m <= z.shape[1] else transposed @ block
            lower = np.linalg.cholesky(gram + np.eye(gram.shape[-1]))
            gains[some] = np.sum(np.log(np.diagonal(lower, axis1=1, axis2=2)), axis=1)
    return gains


def default_precision(pool: Features, *, executor: Executor | None = None) -> float:
    r"""Prior precision λ where no label sets it: 10⁻¹² of the largest eigenvalue of the second moment.

    The second moment of the pool is the mean over rows of :math:`w^2 x x^\top` in scaled coordinates. One
    pass in tiles, O(rows · d²) time, O(d²) memory. A pool of zeros gets 10⁻¹². With an ``executor``, its workers
    read a pool on disk; the sum is the same.

    Examples
    --------
    >>> round(default_precision(Features.from_array(np.diag([2.0, 1.0]))) * 1e12, 9)
    2.0
    """
    d = pool.n_features
    moment = np.zeros((d, d))
    with threads() as local:
        passes = Passes(pool, executor, local)
        for part in passes.over(_moment, None, passes.parts()):
            moment += part
        moment /= max(1, len(pool.rows))
        if d == 0 or not moment.any():
            return PRIOR_FRACTION
        return PRIOR_FRACTION * float(np.linalg.eigvalsh(moment)[-1])


def _moment(information: Any, part: Part) -> Matrix:
    """What the rows of a part add to the second moment."""
    x = part.blocks().weighted
    return x.T @ x
