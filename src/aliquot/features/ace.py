"""Features from the atomic cluster expansion: the same functions as a linear ACE potential.

The default is as complete as fits into :data:`MAX_FEATURES` numbers per structure, whatever the number of
elements. With one or two elements every element keeps functions of its own. With more, elements are
*embedded*: each contributes to a few density channels with fixed weights, and centres are weighted likewise.
The weights are a constant and standard normal numbers seeded by the atomic number, so they distinguish elements
without claiming that any two are alike, and do not change when another element enters the pool.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from aliquot.ace.basis import AceBasis, Prior, count_functions
from aliquot.ace.evaluator import AceEvaluator
from aliquot.ace.radial import bond_length, radial_from_dict
from aliquot.errors import InputError
from aliquot.features.pooling import Pooling, pool_atoms
from aliquot.progress import Progress, silent
from aliquot.structures.frames import Frames
from aliquot.table import Features

__all__ = ["MAX_FEATURES", "AceFeaturizer", "choose_ace"]

#: Features per structure that the default never exceeds.
MAX_FEATURES: Final = 512

#: Below this degree an element-resolved basis is too poor to be worth its size.
LEAST_DEGREE: Final = 6

#: Density channels and centre groups when elements are embedded.
CHANNELS: Final = 3
CENTRES: Final = 2


def element_weights(elements: tuple[int, ...], rows: int) -> NDArray[np.float64]:
    """Fixed embedding (rows, n_elements): ones, then standard normal numbers seeded by the atomic number."""
    normal = np.array([np.random.default_rng(z).standard_normal(rows - 1) for z in elements])
    return np.vstack([np.ones(len(elements)), normal.T])


@dataclass(frozen=True, eq=False)
class AceFeaturizer:
    """Pooled site values of a linear ACE basis.

    Parameters
    ----------
    basis : AceBasis
    centres : (n_groups, n_elements) array
        How centres are grouped; the identity keeps the functions of each element apart, as a potential does.
    pooling : {"mean", "sum", "element", "none"}
    notes : tuple of str
    """

    basis: AceBasis
    centres: NDArray[np.float64]
    pooling: Pooling = "mean"
    notes: tuple[str, ...] = ()

    @property
    def recipe(self) -> Mapping[str, Any]:
        """Basis, centre groups and pooling."""
        return {
            "features": "ace",
            "basis": self.basis.to_dict(),
            "centres": self.centres.tolist(),
            "pooling": self.pooling,
        }

    @property
    def names(self) -> tuple[str, ...]:
        """``centre:function`` of every column."""
        from ase.data import chemical_symbols

        resolved = np.array_equal(self.centres, np.eye(len(self.basis.elements)))
        labels = (
            [chemical_symbols[z] for z in self.basis.elements]
            if resolved
            else [f"v{g}" for g in range(len(self.centres))]
        )
        return tuple(f"{label}:{name}" for label in labels for name in self.basis.names)

    def __call__(self, frames: Frames, *, progress: Progress = silent) -> Features:
        """The table of these frames.

        Raises
        ------
        InputError
            If a frame has an element that the basis does not know: names frame and element.
        """
        self.check_elements(frames)
        pooled = pool_atoms(
            frames,
            AceEvaluator(self.basis).site_values,
            len(self.basis.functions),
            pooling=self.pooling,
            elements=self.basis.elements,
            centres=self.centres,
            progress=progress,
        )
        return Features(
            rows=pooled.rows,
            offsets=pooled.offsets,
            kind=pooled.kind,
            weight=pooled.weight,
            prior=np.tile(self.basis.prior, len(self.centres)),
            names=self.names,
            recipe=self.recipe,
            ids=frames.ids,
            notes=self.notes,
        )

    def check_elements(self, frames: Frames) -> None:
        """Refuse frames with an element that the basis does not know."""
        unknown = sorted(set(frames.elements) - set(self.basis.elements))
        if not unknown:
            return
        atom = int(np.flatnonzero(np.isin(frames.numbers, unknown))[0])
        i = int(np.searchsorted(frames.offsets, atom, side="right")) - 1
        raise InputError(
            f"{frames.ids_name(i)}: atomic number {frames.numbers[atom]} is not among the elements of the"
            f" features, {self.basis.elements}; make the features from all files together"
        )


def choose_ace(
    elements: tuple[int, ...],
    *,
    degree: float | tuple[float, ...] | None = None,
    size: int | None = None,
    order: int = 3,
    cutoff: float | None = None,
    pair: int = 0,
    weight_l: float = 1.5,
    radial: str = "agnesi-jacobi",
    prior: str = "algebraic",
    resolved: bool = False,
    pooling: Pooling = "mean",
) -> AceFeaturizer:
    """ACE features for these elements; what is not given is chosen.

    Parameters
    ----------
    elements : tuple of int
        Atomic numbers, ascending.
    degree : float or tuple of float, optional
        Total degree of every order (one number, or one per order), element-resolved whatever its size. By default
        the largest that stays within ``size``, with embedded elements where that is too poor.
    size : int, optional
        Features at most, where no degree is given; :data:`MAX_FEATURES` by default.
    order : int
        Correlation order, 1 to 4; given by ``degree`` where that has one number per order.
    cutoff : float, optional
        Å; 2.5 times the longest bond length, within 5 and 6 Å, by default.
    pair : int
        Pair functions per neighbour element; only together with ``degree``.
    weight_l : float
        Weight of l against n in the degree.
    radial : str
        Radial family with its default parameters: ``agnesi-jacobi``, ``ChebExpCos`` or ``SBessel``.
    prior : {"algebraic", "exponential", "gaussian"}
        Smoothness prior.
    resolved : bool
        Never embed elements, however small the degree that fits: force rows need functions of every element.
    pooling : {"mean", "sum", "element", "none"}

    Examples
    --------
    >>> len(choose_ace((29,)).names), len(choose_ace(tuple(range(21, 33))).names)
    (509, 484)
    >>> len(choose_ace((29,), size=120).names)
    110
    """
    if not 1 <= order <= 4:
        raise InputError(f"features of order {order} are not implemented; orders 1 to 4 are")
    if pair and degree is None:
        raise InputError(f"pair={pair} needs a degree: the default size has no room for pair functions")
    if size is not None and (size < 1 or degree is not None):
        raise InputError(
            f"size={size} says how many features there may be at most: a positive number, and no degree beside it"
        )
    size = MAX_FEATURES if size is None else size
    family, smoothness = radial_from_dict({"family": radial}), Prior(prior)
    if cutoff is None:
        cutoff = min(max(2.5 * max(bond_length(z) for z in elements), 5.0), 6.0)
    n = len(elements)
    make = partial(
        AceBasis, elements=elements, cutoff=cutoff, weight_l=weight_l, radial=family, smoothness=smoothness
    )
    if degree is not None:
        degrees = degree if isinstance(degree, tuple) else (degree,) * order
        return AceFeaturizer(make(degree=degrees, pair_degree=pair), np.eye(n), pooling)
    largest = _largest_degree(size, order, weight_l, channels=n, groups=n)
    if largest is not None and (resolved or largest >= LEAST_DEGREE):
        return AceFeaturizer(make(degree=(largest,) * order), np.eye(n), pooling)
    if resolved:
        raise InputError(
            f"no basis of order {order} with functions of its own for each of {n} elements fits into {size} features;"
            " name a larger size, as in ace:size=1000"
        )
    if pooling == "element":
        raise InputError(
            f"{n} elements are embedded to stay within {size} features, and embedded centres cannot be"
            " averaged element by element; use pooling='mean', or name a degree to keep the elements apart"
        )
    small = _largest_degree(size, order, weight_l, channels=CHANNELS, groups=CENTRES)
    if small is None:
        raise InputError(
            f"no basis of order {order} fits into {size} features; name a degree or a lower order"
        )
    whole = n * count_functions((small,) * order, n, weight_l=weight_l)
    embedding = tuple(map(tuple, element_weights(elements, CHANNELS).tolist()))
    basis = make(degree=(small,) * order, embedding=embedding)
    featurizer = AceFeaturizer(basis, element_weights(elements, CENTRES), pooling)
    note = (
        f"{n} elements: the element-resolved basis of degree {small} has {whole:,} features; elements are embedded"
        f" into {CHANNELS} density channels and {CENTRES} centre groups, {len(featurizer.names)} features"
    )
    return AceFeaturizer(basis, featurizer.centres, pooling, (note,))


def _largest_degree(size: int, order: int, weight_l: float, *, channels: int, groups: int) -> int | None:
    """Largest integer degree whose features fit into ``size``; None if even the smallest does not."""
    best = None
    for degree in range(order, 41):
        found = count_functions((degree,) * order, channels, weight_l=weight_l, stop_at=size)
        if groups * found > size:
            break
        best = degree
    return best
