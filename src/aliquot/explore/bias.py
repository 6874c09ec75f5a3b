r"""Which way is the model less sure? The spread of the energy of a structure, its gradient, and what a pick changes.

With e the energy row of a structure and :math:`M M^\top` the covariance of the coefficients (of a posterior, or of a
committee, :mod:`aliquot.uncertainty.spread`),

.. math:: \sigma = |e M|, \qquad \frac{\partial \sigma}{\partial x} = \frac{\partial e}{\partial x}
          \cdot \frac{M M^\top e}{\sigma},

so that the bias forces of :math:`E - \tau \sigma` cost one linear combination of force rows: one pullback, no row.
Spreads of forces, :math:`|F_{i\alpha} M|`, need the rows; by the Cauchy–Schwarz inequality the bias force is never
larger, :math:`|\partial \sigma / \partial x_{i\alpha}| \le \sigma_{F,i\alpha}`.

A structure that will be labelled teaches before its label is there: its rows X, in units of the noise, change the
covariance to :math:`(P + X^\top X)^{-1} = M (I + M^\top X^\top X M)^{-1} M^\top`, whose root is :math:`M R^{-1}` with
R the triangle of :math:`[X M; I]`. The same formula updates a committee (it is the square-root form of the Kalman
filter). :math:`\log\det R` is the information gained.

References
----------
C. van der Oord, M. Sachs, D. P. Kovács, C. Ortner and G. Csányi, npj Comput. Mater. 9, 168 (2023),
doi:10.1038/s41524-023-01104-6
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np
import scipy.linalg
from ase import Atoms
from numpy.typing import NDArray

from aliquot.ace.potential import AcePotential
from aliquot.errors import InputError
from aliquot.explore.surrogate import AceSurrogate, Seen, Surrogate, SurrogateRows
from aliquot.progress import Progress, silent
from aliquot.structures.frames import Frames
from aliquot.uncertainty.spread import Spread, posterior_spread

__all__ = ["Bias", "Noise", "Tilt", "bias_from_frames", "bias_from_potential"]

Array = NDArray[np.float64]

#: Prior precision of a surrogate, as a fraction of the largest eigenvalue of its information in scaled coordinates.
PRIOR: Final = 1e-6


@dataclass(frozen=True)
class Noise:
    """How well a label is told by the best coefficients.

    Parameters
    ----------
    energy : float, eV/√atom
        Of a total energy divided by √N.
    forces : float, eV/Å
    virial : float or None, eV/√atom
        None where virials will not be labelled.

    Raises
    ------
    InputError
        If one is not positive.
    """

    energy: float = 0.01
    forces: float = 0.1
    virial: float | None = 0.1

    def __post_init__(self) -> None:
        given = [self.energy, self.forces, *([] if self.virial is None else [self.virial])]
        if not all(np.isfinite(x) and x > 0 for x in given):
            raise InputError(f"noise must be positive numbers of energies, forces and virials; got {given}")

    @classmethod
    def of(cls, potential: AcePotential) -> Noise:
        """As the fit found it.

        Raises
        ------
        InputError
            If the potential does not say.
        """
        told: Any = potential.meta.get("noise")
        if not isinstance(told, Mapping) or not {"energy", "forces"} <= set(told):
            raise InputError(
                "the potential does not say how noisy its labels were, so that a chosen structure cannot teach its"
                " posterior; fit it again with --posterior, or give the noise of energies, forces and virials"
            )
        virial = told.get("virial")
        return cls(float(told["energy"]), float(told["forces"]), None if virial is None else float(virial))

    def whiten(self, rows: SurrogateRows) -> Array:
        """Rows in units of the noise, (m, d): one of the energy, 3N of forces, six of the virial."""
        n, d = len(rows.forces), len(rows.energy)
        parts = [
            rows.energy[None] / (np.sqrt(n) * self.energy),
            rows.forces.reshape(3 * n, d) / self.forces,
        ]
        if self.virial is not None and rows.virial is not None:
            parts.append(rows.virial / (np.sqrt(n) * self.virial))
        return np.concatenate(parts)


@dataclass(frozen=True, eq=False)
class Tilt:
    """The spread of the energy of one structure.

    Parameters
    ----------
    sigma : float, eV
    uphill : (n_atoms, 3) array, eV/Å
        ∂σ/∂x: the bias forces of −σ.
    virial : (3, 3) array or None, eV
        That of −σ.
    """

    sigma: float
    uphill: Array
    virial: Array | None


@dataclass(frozen=True, eq=False)
class Bias:
    """A surrogate and the spread of its coefficients.

    Parameters
    ----------
    surrogate : Surrogate
    spread : Spread
    noise : Noise
        Of labels to come.
    """

    surrogate: Surrogate
    spread: Spread
    noise: Noise

    def __post_init__(self) -> None:
        if self.spread.root.ndim != 2 or not np.isfinite(self.spread.root).all():
            raise InputError("the spread of coefficients must be a finite matrix")

    def cotangent(self, row: Array) -> tuple[float, Array]:
        """σ of an energy row, and ∂σ/∂row; zero where σ is."""
        flat = row @ self.spread.root
        sigma = float(np.sqrt(flat @ flat))
        return sigma, self.spread.root @ (flat / sigma) if sigma > 0 else np.zeros_like(row)

    def tilt(self, atoms: Atoms) -> Tilt:
        """σ of a structure and its gradient: one look and one pullback."""
        seen = self.surrogate.look(atoms)
        sigma, slope = self.cotangent(seen.row)
        return self.pulled(seen, sigma, slope)

    def pulled(self, seen: Seen, sigma: float, slope: Array) -> Tilt:
        """The same from a look that has been taken."""
        forces, virial = self.surrogate.pull(seen, slope)
        return Tilt(sigma, -forces, None if virial is None else -virial)

    def sigma(self, atoms: Atoms) -> float:
        """σ alone, eV."""
        return self.cotangent(self.surrogate.look(atoms).row)[0]

    def forces_std(self, atoms: Atoms) -> Array:
        """Spread of every force component, (n_atoms, 3), eV/Å: 6 d² flops per atom, and all rows."""
        return self.spread.std(self.surrogate.rows(atoms).forces)

    def taught(self, atoms: Atoms) -> tuple[Bias, float]:
        """The bias once this structure will have been labelled, and the information that brings, in nat.

        Notes
        -----
        2 m d² flops for m = 3N + 7 rows.
        """
        X = self.noise.whiten(self.surrogate.rows(atoms))
        root, gain = condition(self.spread.root, X)
        return replace(self, spread=Spread(self.spread.kind, root)), gain


def condition(root: Array, X: Array) -> tuple[Array, float]:
    """Root of the covariance after rows X (m, d) in units of their noise, and ½ log det(I + X M Mᵀ Xᵀ)."""
    stacked = np.concatenate((X @ root, np.eye(root.shape[1])))
    R = np.linalg.qr(stacked, mode="r")
    gain = float(np.sum(np.log(np.abs(np.diagonal(R)))))
    updated = scipy.linalg.solve_triangular(R, root.T, trans=1, check_finite=False).T
    return np.ascontiguousarray(updated), gain


def bias_from_potential(
    potential: AcePotential, *, spread: Spread | None = None, noise: Noise | None = None
) -> Bias:
    """The bias of a potential that carries its posterior, or of a committee of it.

    Raises
    ------
    InputError
        If it carries no precision and no spread is given, or does not tell the noise and none is given.
    """
    return Bias(
        AceSurrogate(potential),
        posterior_spread(potential) if spread is None else spread,
        Noise.of(potential) if noise is None else noise,
    )


def bias_from_frames(
    surrogate: Surrogate,
    frames: Frames,
    *,
    noise: Noise | None = None,
    progress: Progress = silent,
) -> Bias:
    """The posterior of a surrogate that has seen these structures; their labels are not needed.

    The prior is λ in coordinates that the surrogate's scales, and the size of each feature, make comparable; λ is
    10⁻⁶ of the largest eigenvalue of the information.

    Raises
    ------
    InputError
        If there is no structure.
    """
    if not len(frames):
        raise InputError("a surrogate needs structures that the model was trained on; there are none")
    noise = noise or Noise()
    R = np.empty((0, 0))
    for i, atoms in enumerate(frames.to_atoms()):
        rows = noise.whiten(surrogate.rows(atoms))
        R = np.asarray(np.linalg.qr(np.concatenate((R, rows)) if R.size else rows, mode="r"))
        progress("surrogate", i + 1, len(frames))
    surrogate.forget()
    gamma = surrogate.scales
    if np.all(gamma == 1.0):
        length = np.linalg.norm(R, axis=0)
        gamma = np.where(length > 0, length, 1.0)
    strength = np.sqrt(PRIOR) * float(np.linalg.norm(R / gamma, 2)) or 1.0
    U = np.linalg.qr(np.concatenate((R / gamma, strength * np.eye(len(gamma)))), mode="r")
    root = scipy.linalg.solve_triangular(U, np.eye(len(U))) / gamma[:, None]
    return Bias(surrogate, Spread("posterior", root), noise)
