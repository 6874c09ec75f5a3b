r"""Linear and quadratic students: the energy of an atom is a polynomial of its site values.

.. math:: E_i = c_0 + \sum_a c_a x_{ia} \;\Big[ + \sum_{a \le b} c_{ab}\, x_{ia} x_{ib} \Big], \qquad
          x_{ia} = (q_{ia} - \mu_a) / s_a,

as linear and quadratic SNAP are of bispectrum components. Ridge regression; validation structures choose its strength.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from aliquot.solvers import LeastSquares, Ridge, Triangle, choose
from aliquot.studies.entropy_transfer.environments import Environments
from aliquot.studies.entropy_transfer.lessons import Lessons, Scale

__all__ = ["Polynomial", "fit_polynomial"]

Array = NDArray[np.float64]

#: Weight of the constant in the penalty, against one of every other coefficient.
CONSTANT: Final = 1e-3

#: Strengths of the penalty, from which the validation structures choose.
PENALTIES: Final = tuple(10.0 ** (-k / 2) for k in range(4, 29))

#: Rows that are absorbed at a time.
ROWS: Final = 4096


@dataclass(frozen=True, eq=False)
class Polynomial:
    """A polynomial of scaled site values.

    Parameters
    ----------
    scale : Scale
    constant : float, eV
    linear : (d,) array, eV
    quadratic : (d, d) array, eV
        Symmetric; zeros for a linear one.
    """

    scale: Scale
    constant: float
    linear: Array
    quadratic: Array

    def sites(self, values: Array) -> tuple[Array, Array]:
        """Energies of atoms (n,), eV, and their slopes by the site values, (n, d)."""
        x = self.scale(values)
        bent = x @ self.quadratic
        energies = self.constant + x @ self.linear + np.sum(bent * x, axis=1)
        return energies, (self.linear + 2.0 * bent) * self.scale.inverse


def fit_polynomial(degree: int, parts: list[tuple[Environments, Lessons]], scale: Scale) -> Polynomial:
    """Fit to what teaches (the first of each set), as what decides prefers.

    Parameters
    ----------
    degree : int
        1 or 2.
    parts : list of (Environments, Lessons)
    scale : Scale
    """
    d = len(scale.mean)
    upper = np.triu_indices(d)
    width = 1 + d + (len(upper[0]) if degree == 2 else 0)
    triangles = {"train": Triangle(width), "validation": Triangle(width)}
    for seen, lessons in parts:
        for name, triangle in triangles.items():
            for rows, targets in _pieces(degree, seen, lessons, getattr(lessons, name), scale):
                triangle.absorb(rows, targets)
    prior = np.concatenate(([CONSTANT], np.ones(width - 1)))
    path = Ridge(PENALTIES).solve(
        LeastSquares.of(triangles["train"], prior=prior), validation=triangles["validation"]
    )
    c = path.coefficients(choose(path, "best by validation")[0])
    quadratic = np.zeros((d, d))
    if degree == 2:
        quadratic[upper] = c[1 + d :]
        quadratic = 0.5 * (quadratic + quadratic.T)
    return Polynomial(scale, float(c[0]), c[1 : 1 + d], quadratic)


def _pieces(
    degree: int, seen: Environments, lessons: Lessons, chosen: NDArray[np.int64], scale: Scale
) -> Iterator[tuple[Array, Array]]:
    """Rows and targets of some structures at a time: one energy per atom each, and the slopes."""
    block: list[Array] = []
    targets: list[Array] = []
    for i in chosen:
        block.append(_rows(degree, seen, int(i), lessons.energy_weight, scale))
        targets.append(np.concatenate(([lessons.energy_weight * lessons.energies[i]], lessons.slopes[i])))
        if sum(map(len, block)) >= ROWS:
            yield np.concatenate(block), np.concatenate(targets)
            block, targets = [], []
    if block:
        yield np.concatenate(block), np.concatenate(targets)


def _rows(degree: int, seen: Environments, i: int, energy_weight: float, scale: Scale) -> Array:
    """Weighted rows of one structure, (1 + m, columns): its energy per atom, and v · F."""
    atoms = seen.atoms(i)
    x, change = scale(seen.values[atoms]), scale.slope(seen.slopes[atoms])
    n, m, d = change.shape
    parts = [
        np.concatenate(([[energy_weight]], np.zeros((m, 1)))),
        np.concatenate((energy_weight / n * x.sum(axis=0)[None], -change.sum(axis=0))),
    ]
    if degree == 2:
        a, b = np.triu_indices(d)
        products = np.concatenate((energy_weight / n * (x.T @ x)[None], -_product_slopes(x, change)))
        parts.append(products[:, a, b])
    return np.concatenate(parts, axis=1)


def _product_slopes(x: Array, change: Array) -> Array:
    """Slopes of Σ x_a x_b, (m, d, d)."""
    half = np.einsum("ia,imb->mab", x, change, optimize=True)
    return half + half.transpose(0, 2, 1)
