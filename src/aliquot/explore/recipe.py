"""What kind of structures are generated? Everything that, together with a seed, decides the answer."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from aliquot.ace.basis import AceBasis, count_functions
from aliquot.ace.radial import bond_length
from aliquot.errors import InputError
from aliquot.explore.composition import Composition

__all__ = ["SHAPES", "Recipe", "atomic_volume"]

Array = NDArray[np.float64]

#: Edge ratios of the families of cells: cubes, needles, plates.
SHAPES: Final[Mapping[str, tuple[float, float, float]]] = {
    "cube": (1.0, 1.0, 1.0),
    "needle": (4.0, 1.0, 1.0),
    "plate": (3.0, 3.0, 1.0),
}

#: Volume per atom by default, in volumes of the reference crystals of the elements.
VOLUMES: Final = (0.8, 2.0)

#: Functions that describe an environment at most, where the features are not named.
FUNCTIONS: Final = 150

#: Most elements that keep density channels of their own, and the channels of more.
CHANNELS: Final = 3


def atomic_volume(number: int) -> float:
    """Volume per atom (Å³) of the reference crystal of an element, or a guess from its radii.

    Without a crystal whose geometry says it (ASE's table): that of close-packed spheres of twice the covalent radius
    for metals and the like, and three cubed van der Waals radii for elements that form molecules.

    Examples
    --------
    >>> [round(atomic_volume(z), 1) for z in (74, 14, 29, 8)]
    [15.8, 20.0, 11.8, 10.5]
    """
    from ase.data import covalent_radii, reference_states, vdw_radii

    state: Mapping[str, Any] = reference_states[number] or {}
    kind = state.get("symmetry")
    cubic = {"fcc": 4, "bcc": 2, "diamond": 8, "sc": 1}
    if kind in cubic:
        return float(state["a"]) ** 3 / cubic[kind]
    if kind == "hcp":
        return float(state["a"]) ** 3 * float(state["c/a"]) * math.sqrt(3.0) / 4.0
    if kind in ("diatom", "atom") and math.isfinite(vdw_radii[number]):
        return 3.0 * float(vdw_radii[number]) ** 3
    return (2.0 * float(covalent_radii[number])) ** 3 / math.sqrt(2.0)


@dataclass(frozen=True)
class Recipe:
    """How diverse structures are made; see :func:`aliquot.explore.generate`.

    Parameters
    ----------
    composition : str
        ``W``, ``HfO2`` (fixed ratio) or ``W-Be`` (any ratio).
    atoms : (int, int)
        Fewest and most atoms of a structure.
    volume : (float, float), optional
        Å³ per atom, drawn evenly; 0.8 to 2 times that of the reference crystals of the elements by default.
    shapes : tuple of str
        Families of cells, of :data:`SHAPES`, with equal probability.
    features : str, optional
        What describes an environment, as in ``ace:degree=10,cutoff=6``; order 3 and at most :data:`FUNCTIONS` functions
        by default.
    objective : {"both", "global", "local"}
        Entropy of the growing set, of the environments within each structure, or the sum of both.
    strict : bool
        Accept only what widens the whole set, as published; else what is more diverse than the packing it began with.
    core : float
        Distance at which two atoms begin to repel, in bond lengths.
    closest : float
        Shortest distance of an accepted structure, in those distances.
    steps : int
        Steps of each relaxation.
    ridge : float
        ε of the standardised covariance.
    reference : int
        Random packings by whose environments all others are standardised.
    seed : int

    Raises
    ------
    InputError
        If a parameter is not what it must be.

    Examples
    --------
    >>> recipe = Recipe("W")
    >>> len(recipe.basis.functions), recipe.basis.max_cutoff
    (110, 6.0)
    """

    composition: str
    atoms: tuple[int, int] = (32, 32)
    volume: tuple[float, float] | None = None
    shapes: tuple[str, ...] = tuple(SHAPES)
    features: str | None = None
    objective: str = "both"
    strict: bool = False
    core: float = 0.85
    closest: float = 0.9
    steps: int = 50
    ridge: float = 1e-4
    reference: int = 50
    seed: int = 0

    def __post_init__(self) -> None:
        low, high = self.atoms
        if not 1 <= low <= high <= 1000:
            raise InputError(f"atoms must be a range within 1 to 1000; got {low} to {high}")
        Composition(self.composition).sizes(low, high)
        if self.volume is not None and not 0 < self.volume[0] <= self.volume[1] < math.inf:
            raise InputError(f"volume must be a range of positive numbers, Å³ per atom; got {self.volume}")
        unknown = [name for name in self.shapes if name not in SHAPES]
        if unknown or not self.shapes:
            raise InputError(f"shape {', '.join(unknown) or 'none'} is not known; use {', '.join(SHAPES)}")
        if self.objective not in ("both", "global", "local"):
            raise InputError(f"objective {self.objective!r} is not known; use both, global or local")
        if self.strict and self.objective == "local":
            raise InputError(
                "strict acceptance is about the entropy of the set, which objective='local' ignores"
            )
        if not (0 < self.core <= 1.5 and 0 < self.closest <= 1):
            raise InputError(
                f"core must be in (0, 1.5] bond lengths and closest in (0, 1]; got {self.core}, {self.closest}"
            )
        if self.steps < 1 or self.reference < 2:
            raise InputError(
                f"steps must be 1 or more and reference 2 or more; got {self.steps}, {self.reference}"
            )
        if not (math.isfinite(self.ridge) and self.ridge > 0):
            raise InputError(f"the ridge must be positive and finite; got {self.ridge}")
        if self.seed < 0:
            raise InputError(f"the seed must be zero or more; got {self.seed}")
        _ = self.basis

    def to_dict(self) -> dict[str, Any]:
        """JSON-serialisable; with the basis, so that two recipes that differ in a default differ here."""
        return {
            "task": "generate",
            "version": 1,
            **asdict(self),
            "volume_per_atom": self.volumes.tolist(),
            "basis": self.basis.to_dict(),
        }

    @cached_property
    def basis(self) -> AceBasis:
        """What describes an environment."""
        elements = Composition(self.composition).elements
        if self.features is not None:
            from aliquot.features import featurizer_of
            from aliquot.features.ace import AceFeaturizer

            made = featurizer_of(self.features, elements, pooling="none")
            if not isinstance(made, AceFeaturizer):
                raise InputError(
                    f"features {self.features!r} have no gradients here; use ace, with its parameters"
                )
            return made.basis
        return _default_basis(elements)

    @cached_property
    def repel_below(self) -> Array:
        """Distance at which atoms of two elements begin to repel, (n_elements, n_elements), Å."""
        return self.core * self.basis.r0

    @cached_property
    def volumes(self) -> Array:
        """Lowest and highest volume per atom of every element, (n_elements, 2), Å³."""
        if self.volume is not None:
            return np.tile(np.array(self.volume, float), (len(self.basis.elements), 1))
        return np.outer([atomic_volume(z) for z in self.basis.elements], VOLUMES)


def _default_basis(elements: tuple[int, ...]) -> AceBasis:
    """Order 3, the highest degree within :data:`FUNCTIONS`; many elements share a few density channels."""
    from aliquot.features.ace import element_weights

    channels = min(len(elements), CHANNELS)
    degree = 5
    while count_functions((degree + 1,) * 3, channels) <= FUNCTIONS:
        degree += 1
    cutoff = min(max(2.5 * max(bond_length(z) for z in elements), 5.0), 6.0)
    shared = None
    if channels < len(elements):
        shared = tuple(map(tuple, element_weights(elements, channels).tolist()))
    return AceBasis(elements=elements, cutoff=cutoff, degree=(degree,) * 3, embedding=shared)
