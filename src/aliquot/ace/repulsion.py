r"""Inner repulsion: what keeps two atoms apart where no data have ever been.

The universal potential of Ziegler, Biersack and Littmark is the screened Coulomb repulsion of the nuclei,

.. math:: E = \sum_{i<j} \frac{Z_i Z_j e^2}{4\pi\epsilon_0 r_{ij}}\, \phi(r_{ij}/a)\, S(r_{ij}), \quad
          a = \frac{0.46850\,\text{Å}}{Z_i^{0.23} + Z_j^{0.23}},

an exponential core is :math:`E = \sum_{i<j} A\, e^{-r/\rho} S(r)`. Both are switched off by a quintic S that is one
below ``inner`` and zero beyond ``outer``, with two continuous derivatives. A potential adds the repulsion to
its energies; a fit subtracts it from the labels first.

References
----------
J. F. Ziegler, J. P. Biersack and U. Littmark, The Stopping and Range of Ions in Matter (Pergamon, 1985).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from aliquot.ace.jit import jit
from aliquot.errors import InputError

__all__ = ["Repulsion"]

Table = tuple[tuple[float, ...], ...]

#: Coulomb constant e²/4πε₀, eV Å, and the universal screening function: weights and decay rates.
COULOMB: Final = 14.399645478
WEIGHTS: Final = (0.18175, 0.50986, 0.28022, 0.02817)
RATES: Final = (3.19980, 0.94229, 0.40290, 0.20162)
SCREENING_LENGTH: Final = 0.46850


@dataclass(frozen=True)
class Repulsion:
    """A pair repulsion: up to four exponentials, divided by r or not, switched off smoothly.

    Make one with :meth:`zbl` or :meth:`core`.

    Parameters
    ----------
    kind : {"zbl", "core"}
    height, decay : (n_elements, n_elements) nested tuples
        ``zbl``: Z₁Z₂e²/4πε₀ (eV Å) and screening length a (Å); ``core``: A (eV) and ρ (Å).
    inner, outer : (n_elements, n_elements) nested tuples, Å
        Where the switch begins and ends.
    """

    kind: str
    height: Table
    decay: Table
    inner: Table
    outer: Table

    def __post_init__(self) -> None:
        if self.kind not in ("zbl", "core"):
            raise InputError(f"repulsion {self.kind!r} is not known; use zbl or core")
        tables = [np.array(t, float) for t in (self.height, self.decay, self.inner, self.outer)]
        shape = tables[0].shape
        if any(t.shape != shape or t.ndim != 2 or not np.array_equal(t, t.T) for t in tables):
            raise InputError("every table of a repulsion must be symmetric, (elements × elements)")
        if not all(np.all(np.isfinite(t)) and np.all(t > 0) for t in tables):
            raise InputError("every number of a repulsion must be positive and finite")
        if np.any(tables[2] >= tables[3]):
            raise InputError("the switch of a repulsion must begin before it ends (inner < outer)")

    @classmethod
    def zbl(cls, elements: tuple[int, ...], r0: NDArray[np.float64]) -> Repulsion:
        """Universal repulsion, switched off between 0.4 and 0.75 bond lengths ``r0`` (Z, Z), Å."""
        z = np.array(elements, float)
        screening = SCREENING_LENGTH / (z[:, None] ** 0.23 + z[None, :] ** 0.23)
        height = COULOMB * z[:, None] * z[None, :]
        return cls("zbl", _table(height), _table(screening), _table(0.4 * r0), _table(0.75 * r0))

    @classmethod
    def core(
        cls, height: NDArray[np.float64], decay: NDArray[np.float64], r0: NDArray[np.float64]
    ) -> Repulsion:
        """Exponential core of stated height (eV) and decay (Å), with the switch of :meth:`zbl`."""
        return cls("core", _table(height), _table(decay), _table(0.4 * r0), _table(0.75 * r0))

    @property
    def range(self) -> float:
        """Beyond this distance (Å) there is no repulsion."""
        return float(np.max(self.outer))

    def tables(self) -> NDArray[np.float64]:
        """Numbers for the kernel, (Z, Z, 5): height, decay, inner, outer, and 1 for ``zbl``."""
        kind = np.full_like(np.array(self.height), self.kind == "zbl")
        return np.stack(
            [np.array(t) for t in (self.height, self.decay, self.inner, self.outer)] + [kind], axis=-1
        )

    def to_dict(self) -> dict[str, Any]:
        """JSON-serialisable specification."""
        return {
            name: value if name == "kind" else [list(row) for row in value]
            for name, value in vars(self).items()
        }

    @classmethod
    def from_dict(cls, spec: Mapping[str, Any]) -> Repulsion:
        """The repulsion that :meth:`to_dict` described."""
        try:
            tables = {name: tuple(map(tuple, value)) for name, value in spec.items() if name != "kind"}
            return cls(kind=spec["kind"], **tables)
        except (KeyError, TypeError) as error:
            raise InputError(f"the description of the repulsion is damaged: {error}") from error


def _table(values: NDArray[np.float64]) -> Table:
    return tuple(tuple(float(v) for v in row) for row in np.asarray(values))


@jit
def repel(
    first: NDArray[np.int64],
    index: NDArray[np.int64],
    vectors: NDArray[np.float64],
    species: NDArray[np.int64],
    tables: NDArray[np.float64],
    energies: NDArray[np.float64],
    forces: NDArray[np.float64],
    virial: NDArray[np.float64],
) -> None:
    """Add the repulsion; each pair appears from both ends and counts half each time."""
    for i in range(first.shape[0] - 1):
        for k in range(first[i], first[i + 1]):
            x, y, z = vectors[k, 0], vectors[k, 1], vectors[k, 2]
            r = math.sqrt(x * x + y * y + z * z)
            table = tables[species[i], species[index[k]]]
            height, decay, inner, outer = table[0], table[1], table[2], table[3]
            if r >= outer:
                continue
            value, slope = 0.0, 0.0
            if table[4] == 1.0:
                for t in range(4):
                    term = height * WEIGHTS[t] * math.exp(-RATES[t] * r / decay) / r
                    value += term
                    slope -= term * (RATES[t] / decay + 1.0 / r)
            else:
                value = height * math.exp(-r / decay)
                slope = -value / decay
            if r > inner:
                u = (r - inner) / (outer - inner)
                switch = 1.0 - u * u * u * (10.0 - 15.0 * u + 6.0 * u * u)
                dswitch = -30.0 * u * u * (1.0 - u) * (1.0 - u) / (outer - inner)
                value, slope = value * switch, slope * switch + value * dswitch
            energies[i] += 0.5 * value
            pull = 0.5 * slope / r
            j = index[k]
            for a in range(3):
                d = pull * vectors[k, a]
                forces[i, a] += d
                forces[j, a] -= d
                for b in range(3):
                    virial[a, b] -= d * vectors[k, b]
