r"""The same chosen structures, fitted in five ways: from the published solver to a regularised one with forces.

``published``
    Energies per atom by mean descriptors as they are: :math:`c = (A^\top A)^+ A^\top b`, eigenvalues below 10⁻⁸ of the
    largest left out; no intercept, no reference energies, no weights.
``absolute``
    The same with total energies and summed descriptors, and the cut of 10⁻⁸ not relative but in their units: next to
    none, so that rounding of the squared condition number enters.
``referenced``
    As published, after energies of free atoms: least squares on the chosen structures.
``evidence``
    Energies less those of free atoms, by Bayesian ridge regression: smoothness prior, strength of the largest evidence.
``forces``
    The same with forces (weights 30 and 1).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Final

import numpy as np
from numpy.typing import NDArray

from aliquot.fitting.weights import Weights
from aliquot.solvers.evidence import best_of_spectrum
from aliquot.studies.blocks import Blocks, Sums

__all__ = [
    "CUT",
    "ENERGY_ALONE",
    "FORCES",
    "REGIMES",
    "Structures",
    "Trial",
    "bayesian",
    "free_atoms",
    "pseudo_inverse",
]

Array = NDArray[np.float64]
Index = NDArray[np.int64]

#: Of the published pseudo-inverse.
CUT: Final = 1e-8

ENERGY_ALONE: Final = ("published", "absolute", "referenced", "evidence")
REGIMES: Final = (*ENERGY_ALONE, "forces")

#: Forces alone.
FORCES: Final = Weights(energy=0.0, forces=1.0, virial=0.0)


@dataclass(frozen=True, eq=False)
class Structures:
    """All structures of the set, as fits see them.

    Parameters
    ----------
    rows : (n, d) array
        Mean descriptors.
    prior : (d,) array
    energy : (n,) array, eV/atom
    shares : (n, elements) array
        Share of the atoms of each element.
    sizes : (n,) array of int
        Atoms.
    blocks : Blocks, optional
        For fits with forces.
    """

    rows: Array
    prior: Array
    energy: Array
    shares: Array
    sizes: NDArray[np.int64]
    blocks: Blocks | None = None

    @cached_property
    def scaled(self) -> Array:
        """Rows in coordinates in which the prior is isotropic, (n, r)."""
        if self.blocks is None:
            return self.rows / self.prior
        return self.blocks.energy[:, :-1] * self.blocks.singular / np.sqrt(self.sizes)[:, None]


def pseudo_inverse(A: Array, b: Array, *, cut: float, relative: bool) -> Array:
    r""":math:`(A^\top A)^+ A^\top b`, formed literally; eigenvalues up to ``cut`` left out.

    Parameters
    ----------
    A : (m, d) array
    b : (m, k) array
    cut : float
    relative : bool
        Whether ``cut`` is a share of the largest.
    """
    # by singular values, as the published code has it: rounding leaves some eigenvalues of either sign
    values, vectors = np.linalg.eigh(A.T @ A)
    size = np.abs(values)
    kept = size > cut * (size.max() if relative else 1.0)
    return np.asarray(vectors[:, kept] @ ((vectors[:, kept].T @ (A.T @ b)) / values[kept, None]), np.float64)


def bayesian(A: Array, b: Array) -> Array:
    """Coordinates of Bayesian ridge regression under the isotropic prior of the largest evidence."""
    small = A @ A.T if len(A) < A.shape[1] else A.T @ A
    values, vectors = np.linalg.eigh(small)
    values = np.maximum(values, 0.0)
    kept = values > 1e-15 * values[-1]
    s = np.sqrt(values[kept])
    u = vectors[:, kept] if len(A) < A.shape[1] else (A @ vectors[:, kept]) / s
    along = u.T @ b
    rest = max(float(b @ b - along @ along), 0.0)
    evidence = best_of_spectrum(s**2, along**2, rest, len(b))
    v = (A.T @ u) / s if len(A) < A.shape[1] else vectors[:, kept]
    return np.asarray(v @ (s * along / (s**2 + evidence.precision)), np.float64)


def free_atoms(shares: Array, energy: Array) -> Array:
    """Energy of a free atom of each element, by least squares of minimal norm, eV."""
    return np.asarray(np.linalg.lstsq(shares, energy, rcond=None)[0], np.float64)


class Trial:
    """One division of the structures, and the errors of fits to parts of its pool.

    Parameters
    ----------
    structures : Structures
    test : (m,) array of int
    """

    def __init__(self, structures: Structures, test: Index, *, energy_weight: float) -> None:
        self.structures, self.test, self.energy_weight = structures, test, energy_weight
        self._groups = [""] * len(structures.energy)

    def energy_errors(self, chosen: Index) -> dict[str, float]:
        """RMSE of energies on the test structures by regime, meV/atom; of forces where there are blocks, meV/Å."""
        s, test = self.structures, self.test
        free = free_atoms(s.shares[chosen], s.energy[chosen])
        bound = s.energy - s.shares @ free
        targets = np.column_stack((s.energy[chosen], bound[chosen]))
        c = pseudo_inverse(s.rows[chosen], targets, cut=CUT, relative=True)
        total = s.sizes[chosen, None] * s.rows[chosen]
        plain = pseudo_inverse(total, (s.sizes * s.energy)[chosen][:, None], cut=CUT, relative=False)
        z = bayesian(s.scaled[chosen], bound[chosen])
        out = {
            "published_energy_rmse_meV": _rms(s.rows[test] @ c[:, 0] - s.energy[test]),
            "absolute_energy_rmse_meV": _rms(s.rows[test] @ plain[:, 0] - s.energy[test]),
            "referenced_energy_rmse_meV": _rms(s.rows[test] @ c[:, 1] - bound[test]),
            "evidence_energy_rmse_meV": _rms(s.scaled[test] @ z - bound[test]),
        }
        if s.blocks is not None:
            out["evidence_force_rmse_meV_A"] = self._force_error(s.blocks.singular * z)
        return {name: 1000.0 * value for name, value in out.items()}

    def force_errors(self, sets: Sequence[Index]) -> list[dict[str, float]]:
        """Errors of fits with forces to each of these sets: energies, meV/atom, and forces, meV/Å."""
        blocks, s = self.structures.blocks, self.structures
        assert blocks is not None
        out: list[dict[str, float]] = []
        near: dict[int, float] = {}  # sets of equal size want priors of about equal strength
        for chosen, forces in zip(sets, blocks.sums_of(sets, FORCES, self._groups), strict=True):
            free = free_atoms(s.shares[chosen], s.energy[chosen])
            bound = s.energy - s.shares @ free
            rows = np.column_stack((blocks.energy[chosen, :-1], np.sqrt(s.sizes[chosen]) * bound[chosen]))
            rows *= self.energy_weight
            fitted = blocks.fit(forces + Sums(rows.T @ rows, len(chosen)), near=near.get(len(chosen)))
            near[len(chosen)] = fitted.evidence.precision
            said = blocks.energy[self.test, :-1] @ fitted.z / np.sqrt(s.sizes[self.test])
            out.append(
                {
                    "forces_energy_rmse_meV": 1000.0 * _rms(said - bound[self.test]),
                    "forces_force_rmse_meV_A": 1000.0 * self._force_error(fitted.z),
                }
            )
        return out

    @cached_property
    def _test_forces(self) -> Sums:
        blocks = self.structures.blocks
        assert blocks is not None
        return blocks.sums(self.test, FORCES, self._groups)

    def _force_error(self, z: Array) -> float:
        u = np.append(z, -1.0)
        return float(np.sqrt(max(u @ self._test_forces.matrix @ u, 0.0) / self._test_forces.n_rows))


def _rms(x: Array) -> float:
    return float(np.sqrt(np.mean(np.square(x))))
