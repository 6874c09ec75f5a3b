"""Which structures does each method choose? Published kernels see raw mean descriptors, our methods scaled ones.

Published selections look at the plain mean of the descriptors over the atoms of a structure. Ours look at the same
numbers divided by the smoothness prior, as the regularised fit does.
"""

from __future__ import annotations

from functools import cached_property
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from aliquot.information.likelihood import Likelihood
from aliquot.information.posterior import PRIOR_FRACTION, default_precision
from aliquot.selection import FPS, Bayes, DPPMap, KMeans, KMedoids, MaxVol, Random
from aliquot.selection.dpp_kernel import RIDGE, KernelChoice
from aliquot.selection.dpp_sampling import FixedSize, VariableSize
from aliquot.table import Features

__all__ = ["DETERMINISTIC", "KERNELS", "NAMES", "Pool", "likeness_as_published"]

Array = NDArray[np.float64]
Index = NDArray[np.int64]

#: k-DPPs: kernel, and whether it sees smoothness-scaled descriptors.
KERNELS: Final = {
    "kdpp-cosine": ("cosine", False),
    "kdpp-cosine2": ("cosine:exponent=2", False),
    "kdpp-rbf": ("rbf", False),
    "kdpp-smooth": ("cosine", True),
}

#: One answer for one pool.
DETERMINISTIC: Final = ("maxvol", "dpp-map", "bayes", "bayes-firm", "bayes-goal", "fps", "kmedoids")

#: Of these the choice of fewer is the beginning of that of more.
_NESTED: Final = ("bayes", "bayes-firm", "bayes-goal", "dpp-map", "fps")

#: A firm prior, as a fraction of the largest eigenvalue of the second moment of the pool; 10⁻¹² is the default.
_FIRM: Final = 1e-6

NAMES: Final = {
    "random": "random (SRS)",
    "dpp": "DPP of mean size N, cosine",
    "kdpp-cosine": "k-DPP, cosine",
    "kdpp-cosine2": "k-DPP, cosine²",
    "kdpp-rbf": "k-DPP, RBF",
    "kdpp-smooth": "k-DPP, cosine, scaled",
    "kmeans": "k-means",
    "maxvol": "MaxVol",
    "dpp-map": "DPP, greedy mode",
    "bayes": "Bayes, entropy",
    "bayes-firm": "Bayes, entropy, firm prior",
    "bayes-goal": "Bayes, goal: pool, firm prior",
    "fps": "farthest points",
    "kmedoids": "k-medoids",
}

#: Candidates up to which kernels are decomposed exactly: all there are.
_EXACT: Final = 1_000_000


class Pool:
    """Candidates, and what several draws from them share.

    Parameters
    ----------
    rows : (n, d) array
        Mean descriptors.
    prior : (d,) array
        Smoothness prior.
    """

    def __init__(self, rows: Array, prior: Array) -> None:
        self.raw = Features.from_array(rows)
        self.scaled = Features.from_array(rows, prior=prior)
        self._likelihoods: dict[str, Likelihood] = {}
        self._nested: dict[str, Index] = {}
        self._processes: dict[tuple[str, int], FixedSize | VariableSize] = {}

    def __len__(self) -> int:
        return len(self.raw)

    @cached_property
    def _selectors(self) -> dict[str, tuple[Any, Features]]:
        firm = _FIRM / PRIOR_FRACTION * default_precision(self.scaled)
        return {
            "random": (Random(), self.raw),
            "kmeans": (KMeans(), self.raw),
            "maxvol": (MaxVol(), self.raw),
            "dpp-map": (DPPMap(kernel="cosine"), self.raw),
            "bayes": (Bayes(sensitivity=False), self.scaled),
            "bayes-firm": (Bayes(precision=firm, sensitivity=False), self.scaled),
            "bayes-goal": (Bayes(score="goal", precision=firm, sensitivity=False), self.scaled),
            "fps": (FPS(), self.scaled),
            "kmedoids": (KMedoids(), self.scaled),
        }

    def choose(self, method: str, n: int, most: int, rng: np.random.Generator) -> Index:
        """Positions of ``n`` candidates; where the choices of all sizes are nested, ``most`` are chosen once."""
        if method == "dpp" or method in KERNELS:
            return self._process(method, n).draw(rng=rng)[0]
        if method in self._nested:
            return self._nested[method][:n]
        selector, table = self._selectors[method]
        ahead = method in _NESTED
        chosen = selector.select(table, most if ahead else n, rng=rng)
        if ahead and chosen.nested:
            self._nested[method] = chosen.index
        return chosen.index[:n]

    def likelihood(self, kernel: str, scaled: bool) -> Likelihood:
        """L of all candidates, decomposed once."""
        key = f"{kernel} {scaled}"
        if key not in self._likelihoods:
            choice = KernelChoice(kernel, None, None, None, _EXACT, 1)
            table = self.scaled if scaled else self.raw
            self._likelihoods[key] = choice.likelihood(table, np.arange(len(self)), None, least=1)
        return self._likelihoods[key]

    def _process(self, method: str, n: int) -> FixedSize | VariableSize:
        """The process that draws n, beyond the rank of L with the least ridge that it takes, as KDPP and DPP do."""
        if (method, n) not in self._processes:
            L = self.likelihood(*KERNELS["kdpp-cosine" if method == "dpp" else method])
            beyond = n >= L.spectrum.rank if method == "dpp" else n > L.spectrum.rank
            ridge = RIDGE * L.level if beyond else 0.0
            make = VariableSize.rescaled if method == "dpp" else FixedSize
            self._processes[method, n] = make(L.spectrum, n, ridge=ridge)
        return self._processes[method, n]

    def uniform_share(self, method: str, n: int) -> float | None:
        """Share of a draw that is plain random, since the rank of the kernel is smaller than n."""
        if method not in KERNELS:
            return None
        process = self._process(method, n)
        assert isinstance(process, FixedSize)
        return 1.0 - process.expected_from_kernel / n


def likeness_as_published(rows: Array) -> float:
    r"""Mean of the published RBF kernel between different structures.

    :math:`\exp(-d^2/2)` with :math:`d^2 = (a - b)^\top C^+ (a - b)`, C the covariance of the descriptors, its
    eigenvalues below 10⁻⁶ of the largest left out. Where it vanishes, the k-DPP is plain random sampling.
    """
    centred = rows - rows.mean(axis=0)
    values, vectors = np.linalg.eigh(centred.T @ centred / len(rows))
    kept = values > 1e-6 * values[-1]
    white = centred @ (vectors[:, kept] / np.sqrt(values[kept]))
    squares = np.square(white).sum(axis=1)
    near = squares[:, None] + squares - 2.0 * (white @ white.T)
    total = float(np.exp(-0.5 * np.maximum(near, 0.0)).sum()) - len(rows)
    return total / (len(rows) * (len(rows) - 1))
