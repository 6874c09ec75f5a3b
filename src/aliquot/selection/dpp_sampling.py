r"""How is a determinantal point process drawn? First which eigenvectors, then which candidates.

**k-DPP.** :math:`P(S) = \det L_S / e_k(\lambda)` for :math:`|S| = k` is a mixture: draw a set J of k eigenvectors
with probability :math:`\prod_{m \in J} \lambda_m / e_k`, then S from the projection process of their span.

**More candidates than the rank.** With :math:`L + \varepsilon I` in place of L, expand the determinant in its
diagonal:

.. math:: \det(L + \varepsilon I)_S = \sum_{T \subseteq S} \varepsilon^{k - |T|} \det L_T .

So S is drawn exactly by drawing T and then adding: T has j elements with probability proportional to
:math:`e_j(\lambda)\, \varepsilon^{k-j} \binom{N-j}{k-j}`, the last factor being the number of S that contain T; given
j, T is a j-DPP of L; the other k - j are uniform among the rest.

**Variable size.** For the DPP of :math:`\alpha (L + \varepsilon I)` add up the same over all S that contain T: T is
drawn from the DPP of :math:`\alpha L / (1 + \alpha\varepsilon)`, eigenvector m being taken with probability
:math:`\alpha\lambda_m / (1 + \alpha(\lambda_m + \varepsilon))`, and every other candidate then joins by itself with
probability :math:`\alpha\varepsilon / (1 + \alpha\varepsilon)`.

**Projection process.** With the chosen eigenvectors as the columns of V, row i is next with probability
proportional to the square of what is left of it beside the rows drawn before. That is never larger than
:math:`|V_i|^2`, so: propose one of the k eigenvectors uniformly and a row by its squared entry in it, which is
row i with probability :math:`|V_i|^2 / k`, and accept with probability what is left over :math:`|V_i|^2`. This
takes :math:`k (1 + 1/2 + … + 1/k)` proposals on average, whatever the size of the pool. The squared entries are
summed once over chunks of rows; a row is found by bisection over the chunks and by the entries of one of them.

References
----------
J. B. Hough, M. Krishnapur, Y. Peres and B. Virág, Probab. Surv. 3, 206 (2006), doi:10.1214/154957806000000078
A. Kulesza and B. Taskar, Found. Trends Mach. Learn. 5, 123 (2012), doi:10.1561/2200000044
"""

# pyright: reportMissingTypeStubs=false, reportUnknownVariableType=false, reportUnknownMemberType=false
# pyright: reportUnknownArgumentType=false
# (SciPy brings no types)

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from aliquot.information.spectrum import Spectrum
from aliquot.progress import Progress, silent
from aliquot.selection.elementary import draw_set, inclusion, log_polynomials, size_probabilities
from aliquot.table import TILE_ROWS

__all__ = ["FixedSize", "VariableSize"]

Indices = NDArray[np.int64]
Vector = NDArray[np.float64]
Matrix = NDArray[np.float64]

_CHUNK = 32  # rows whose squared entries are summed together
_BATCH = 128  # proposals made at a time, at most
_ENTRIES = 1 << 21  # numbers of F looked at together


class _Projection:
    """Draws from the projection processes of sets of eigenvectors of one pool.

    One pass over the pool when made: 2 N p r flops, N r / 4 bytes kept.
    """

    def __init__(self, spectrum: Spectrum) -> None:
        self.spectrum = spectrum
        n, r = spectrum.n, spectrum.rank
        sums = np.zeros((-(-n // _CHUNK) + 1, r))
        for start in range(0, n, TILE_ROWS):
            square = np.square(spectrum.vectors(slice(start, min(start + TILE_ROWS, n))))
            chunks = np.add.reduceat(square, np.arange(0, len(square), _CHUNK), axis=0)
            first = start // _CHUNK + 1
            sums[first : first + len(chunks)] = chunks
        self._cumulative = np.ascontiguousarray(np.cumsum(sums, axis=0).T)

    def draw(
        self, which: Indices, *, rng: np.random.Generator, progress: Progress = silent, total: int = 0
    ) -> Indices:
        """As many candidates as eigenvectors, (k,), in the order drawn."""
        k = len(which)
        index, basis = np.empty(k, np.int64), np.zeros((k, k))
        done, batch = 0, min(_BATCH, 3 * k)
        while done < k:
            proposed = self._propose(which[rng.integers(k, size=batch)], rng)
            level = rng.random(batch)
            V = self.spectrum.vectors(proposed, which)
            whole = np.einsum("ij,ij->i", V, V)
            left = whole - np.square(V @ basis[:done].T).sum(axis=1)
            left[np.isin(proposed, index[:done])] = 0.0
            at = 0
            while done < k and len(ok := np.flatnonzero(level[at:] * whole[at:] < left[at:])):
                at += int(ok[0])
                index[done], basis[done] = proposed[at], _beside(basis[:done], V[at])
                left -= np.square(V @ basis[done])
                left[proposed == proposed[at]] = 0.0
                done, at = done + 1, at + 1
                progress("select", done, total or k)
        return index

    def _propose(self, which: Indices, rng: np.random.Generator) -> Indices:
        """One row for each of these eigenvectors, by its squared entry."""
        cumulative = self._cumulative
        aim = rng.random(len(which)) * cumulative[which, -1]
        last = cumulative.shape[1] - 2
        found = [np.searchsorted(cumulative[m], a, side="right") for m, a in zip(which, aim, strict=True)]
        chunk = np.minimum(np.array(found, np.int64) - 1, last)
        rows = chunk[:, None] * _CHUNK + np.arange(_CHUNK)
        inside = rows < self.spectrum.n
        rows = np.minimum(rows, self.spectrum.n - 1)
        squares = np.empty(rows.shape)
        mixing = self.spectrum.mixing
        step = max(1, _ENTRIES // (_CHUNK * (1 if mixing is None else len(mixing))))
        for start in range(0, len(which), step):
            some = slice(start, start + step)
            squares[some] = np.square(self.spectrum.entries(rows[some], which[some]))
        running = np.cumsum(np.where(inside, squares, 0.0), axis=1)
        aim = rng.random(len(which)) * running[:, -1]
        place = np.minimum((running <= aim[:, None]).sum(axis=1), inside.sum(axis=1) - 1)
        return rows[np.arange(len(which)), place]


def _beside(basis: Matrix, v: Vector) -> Vector:
    """Unit vector along what is left of v; projected twice, because once leaves rounding behind."""
    for _ in range(2):
        v = v - (v @ basis.T) @ basis
    return v / np.sqrt(v @ v)


class FixedSize:
    """The k-DPP of L, or of L + εI.

    Parameters
    ----------
    spectrum : Spectrum
        Of L.
    k : int
        At most the number of candidates; at most the rank where ``ridge`` is 0.
    ridge : float
        ε.

    Attributes
    ----------
    size_probability : (…,) array
        Probability that j of the k come from L, j = 0, 1, …; the others are uniform.

    Examples
    --------
    >>> import numpy as np
    >>> line = np.array([[1.0], [2.0], [0.0]])
    >>> process = FixedSize(Spectrum.of_rows(lambda some: line[some], 3), 1)
    >>> process.inclusion().round(12)
    array([0.2, 0.8, 0. ])
    """

    def __init__(self, spectrum: Spectrum, k: int, *, ridge: float = 0.0) -> None:
        self.spectrum, self.k, self.ridge = spectrum, k, ridge
        self._log_values = np.log(spectrum.values)
        self._table = log_polynomials(self._log_values, min(k, spectrum.rank))
        self._log_weight = self._log_ways()
        self.size_probability = size_probabilities(self._table, self._log_weight)
        self._projection: _Projection | None = None

    def _log_ways(self) -> Vector:
        """Logarithm of what multiplies e_j: ε^(k-j) times the number of S that hold a T of j elements."""
        j = np.arange(self._table.shape[1])
        more = self.k - j
        if self.ridge == 0.0:
            return np.where(more == 0, 0.0, -np.inf)
        from scipy.special import gammaln

        left = self.spectrum.n - j
        ways = gammaln(left + 1) - gammaln(more + 1) - gammaln(left - more + 1)
        return more * np.log(self.ridge) + ways

    @property
    def expected_from_kernel(self) -> float:
        """Mean of how many are drawn from L."""
        return float(self.size_probability @ np.arange(len(self.size_probability)))

    def draw(self, *, rng: np.random.Generator, progress: Progress = silent) -> tuple[Indices, int]:
        """Candidates, (k,), and how many of them, the first j, were drawn from L; the others are uniform."""
        if self._projection is None:
            self._projection = _Projection(self.spectrum)
        j = int(rng.choice(len(self.size_probability), p=self.size_probability))
        which = draw_set(self._table, self._log_values, j, rng=rng)
        index = self._projection.draw(which, rng=rng, progress=progress, total=self.k)
        return np.concatenate((index, _others(self.spectrum.n, index, self.k - j, rng))), j

    def inclusion(self) -> Vector:
        """Probability that each candidate is in S, (n,)."""
        n = self.spectrum.n
        more = self.k - np.arange(len(self.size_probability))
        uniform = more / np.maximum(n - np.arange(len(more)), 1)
        kept = float(self.size_probability @ (1.0 - uniform))
        added = float(self.size_probability @ uniform)
        if kept == 0.0 or self.spectrum.rank == 0:
            return np.full(n, added)
        with np.errstate(divide="ignore"):
            weight = self._log_weight + np.log1p(-uniform)
        share = inclusion(self._table, self._log_values, weight)
        return added + kept * _weighted_squares(self.spectrum, share)


class VariableSize:
    r"""The DPP of :math:`M = \alpha (L + \varepsilon I)`: every set S has probability :math:`\det M_S / \det(I + M)`.

    Parameters
    ----------
    spectrum : Spectrum
        Of L.
    scale : float
        α; see :meth:`rescaled`.
    ridge : float
        ε.

    Attributes
    ----------
    probability : (rank,) array
        Of each eigenvector of L.
    uniform : float
        Probability with which any candidate that was not drawn from L joins by itself.
    """

    def __init__(self, spectrum: Spectrum, *, scale: float = 1.0, ridge: float = 0.0) -> None:
        self.spectrum, self.scale, self.ridge = spectrum, scale, ridge
        self.probability: Vector = 1.0 / (1.0 + (1.0 / scale + ridge) / spectrum.values)
        self.uniform = ridge / (1.0 / scale + ridge)
        self._projection: _Projection | None = None

    @classmethod
    def rescaled(cls, spectrum: Spectrum, mean: float, *, ridge: float = 0.0) -> VariableSize:
        """With the α that makes ``mean`` the mean size: the sum of μ / (1 + μ) over the eigenvalues μ of M.

        The mean must be below the number of candidates, and below the rank where ``ridge`` is 0.
        """
        from scipy.optimize import brentq
        from scipy.special import expit

        equal = spectrum.n - spectrum.rank if ridge else 0  # eigenvalues of L + εI that are ε
        logs = np.log(np.concatenate((spectrum.values + ridge, [ridge] * min(1, equal))))
        count = np.ones(len(logs))
        count[spectrum.rank :] = equal

        def excess(shift: float) -> float:
            return float(count @ expit(logs + shift)) - mean

        # All eigenvalues the largest, or all the smallest, bracket the answer.
        middle = float(np.log(mean / (count.sum() - mean)))
        low, high = middle - float(logs.max()) - 1e-9, middle - float(logs.min()) + 1e-9
        shift: Any = brentq(excess, low, high, xtol=1e-13)
        return cls(spectrum, scale=float(np.exp(float(shift))), ridge=ridge)

    @property
    def expected_from_kernel(self) -> float:
        """Mean of how many are drawn from L."""
        return float(self.probability.sum())

    @property
    def expected_size(self) -> float:
        """Mean of the size."""
        drawn = self.expected_from_kernel
        return drawn + (self.spectrum.n - drawn) * self.uniform

    @property
    def size_deviation(self) -> float:
        """Standard deviation of the size: that of independent eigenvectors of L + εI."""
        each = self.probability + (1.0 - self.probability) * self.uniform
        equal = self.spectrum.n - self.spectrum.rank
        return float(np.sqrt(each @ (1.0 - each) + equal * self.uniform * (1.0 - self.uniform)))

    def draw(self, *, rng: np.random.Generator, progress: Progress = silent) -> tuple[Indices, int]:
        """Some candidates, and how many of them, the first j, were drawn from L; the others are uniform."""
        if self._projection is None:
            self._projection = _Projection(self.spectrum)
        which = np.flatnonzero(rng.random(self.spectrum.rank) < self.probability)
        index, n = self._projection.draw(which, rng=rng, progress=progress), self.spectrum.n
        more = int(rng.binomial(n - len(index), self.uniform))
        return np.concatenate((index, _others(n, index, more, rng))), len(index)

    def inclusion(self) -> Vector:
        """Probability that each candidate is in S, (n,): the diagonal of K = M (I + M)⁻¹."""
        return self.uniform + (1.0 - self.uniform) * _weighted_squares(self.spectrum, self.probability)


def _others(n: int, index: Indices, more: int, rng: np.random.Generator) -> Indices:
    """So many of the candidates that are not in ``index``, uniformly; O(k log k) whatever n."""
    before = np.sort(index) - np.arange(len(index))  # how many others come before each of those drawn
    place = rng.choice(n - len(index), size=more, replace=False)
    return place + np.searchsorted(before, place, side="right")


def _weighted_squares(spectrum: Spectrum, weight: Vector) -> Vector:
    """Sum over eigenvectors of weight times squared entry, for every candidate."""
    tiles = [slice(k, min(k + TILE_ROWS, spectrum.n)) for k in range(0, spectrum.n, TILE_ROWS)]
    return np.concatenate([np.zeros(0), *(np.square(spectrum.vectors(tile)) @ weight for tile in tiles)])
