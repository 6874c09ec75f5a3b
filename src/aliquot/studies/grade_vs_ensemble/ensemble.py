r"""What would other people's potentials say? An ensemble of independent refits, each made from the beginning.

A member differs from the potential, and from every other member, in what people decide differently and what chance
decides: the structures it learns from (a random share of them, and within it its own validation structures), the basis
(degree, cutoff, transform of distances, smoothness), the functions that its own path selects, and noise on its labels,
normal, with a stated share of the training error of the potential as standard deviation. Spread of forces:

.. math:: \sigma_i^2 = \frac{1}{m - 1} \sum_m \lvert F_i^m - \bar F_i \rvert^2
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from aliquot.ace.basis import AceBasis, Prior
from aliquot.ace.potential import AcePotential
from aliquot.ace.radial import AgnesiJacobi
from aliquot.errors import InputError
from aliquot.fitting import Fit, Recipe, fit, split_at_random
from aliquot.structures import Column, Frames
from aliquot.structures.neighbours import neighbours

__all__ = ["Member", "forces_of", "noisy", "refit", "spread", "varied"]

Array = NDArray[np.float64]

#: What members choose from: steps of degree, factors of the cutoff, transforms (p, q), powers of the prior.
DEGREES: Final = (-1.0, 0.0, 1.0)
CUTOFFS: Final = (0.9, 0.95, 1.0, 1.05)
TRANSFORMS: Final = ((2, 4), (1, 3), (2, 3), (1, 2))
POWERS: Final = (3.0, 4.0, 5.0)


@dataclass(frozen=True, eq=False)
class Member:
    """One potential of the ensemble; ``seconds`` of CPU time made it."""

    potential: AcePotential
    seconds: float


def varied(basis: AceBasis, rng: np.random.Generator) -> AceBasis:
    """A basis that somebody else might have taken."""
    step = float(rng.choice(DEGREES))
    p, q = TRANSFORMS[int(rng.integers(len(TRANSFORMS)))]
    return replace(
        basis,
        degree=tuple(max(d + step, order) for order, d in enumerate(basis.degree, 1)),
        pair_degree=max(1, basis.pair_degree + int(step)),
        cutoff=round(basis.max_cutoff * float(rng.choice(CUTOFFS)), 3),
        radial=AgnesiJacobi(p=p, q=q),
        smoothness=Prior("algebraic", power=float(rng.choice(POWERS))),
    )


def noisy(frames: Frames, energy: float, force: float, rng: np.random.Generator) -> Frames:
    """The same structures with noise of these standard deviations on energies (eV per atom) and forces (eV/Å)."""
    out = frames.with_frame_column(
        "REF_energy", frames.energy.values + energy * rng.standard_normal(len(frames)) * frames.sizes
    )
    values = frames.forces.values + force * rng.standard_normal(frames.forces.values.shape)
    energies = Column(out.frame_columns["REF_energy"].values, frames.energy.present)
    return replace(
        out,
        frame_columns={**out.frame_columns, "REF_energy": energies},
        atom_columns={**frames.atom_columns, "REF_forces": Column(values, frames.forces.present)},
    )


def refit(
    main: Fit,
    frames: Frames,
    members: int,
    *,
    share: float,
    noise: float,
    rng: np.random.Generator,
) -> list[Member]:
    """An ensemble.

    Parameters
    ----------
    main : Fit
        The potential that is doubted: its basis is varied, its training error sets the noise.
    frames : Frames
        Its training structures.
    members : int
        At least 2.
    share : float
        Of the structures that each member sees.
    noise : float
        In training errors of the potential.
    rng : numpy.random.Generator

    Raises
    ------
    InputError
        If there are fewer than two members, or the share is not a share.
    """
    if members < 2 or not 0 < share <= 1:
        raise InputError(
            f"an ensemble needs two members and a share within (0, 1]; got {members} and {share:g}"
        )
    error = {e.quantity: e.rmse for e in main.errors() if e.part == "train" and not e.group}
    found: list[Member] = []
    for _ in range(members):
        some = np.sort(rng.permutation(len(frames))[: max(2, round(share * len(frames)))])
        seen = noisy(frames[some], noise * error.get("energy", 0.0), noise * error.get("forces", 0.0), rng)
        recipe = Recipe(basis=varied(main.potential.basis, rng))
        parts = split_at_random(seen, seed=int(rng.integers(2**31)))
        began = time.process_time()
        potential = fit(seen, recipe, parts=parts, threads=1).potential
        found.append(Member(potential, time.process_time() - began))
    return found


def forces_of(potentials: Sequence[AcePotential], frames: Frames, i: int) -> Array:
    """Forces by every potential, (members, n_atoms, 3), eV/Å; neighbours are looked for once."""
    atoms = slice(frames.offsets[i], frames.offsets[i + 1])
    reach = max(potential.range for potential in potentials)
    pairs = neighbours(frames.positions[atoms], frames.cells[i], frames.pbc[i], reach)
    return np.stack([p.evaluate(frames.numbers[atoms], pairs, threads=1).forces for p in potentials])


def spread(forces: Array) -> Array:
    """Standard deviation of the force of each atom among members, (n_atoms,)."""
    return np.sqrt(np.sum(np.var(forces, axis=0, ddof=1), axis=-1))
