"""What is known, and what is not? Of each set, kinds of structure that a potential learns, and kinds it never sees."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from aliquot.ace.basis import AceBasis
from aliquot.errors import InputError
from aliquot.fitting import candidate_basis
from aliquot.structures import Frames

__all__ = ["SUBJECTS", "Division", "Subject", "divide", "subject_named"]

#: Share of the structures of known kinds that is set aside as the test in distribution.
TEST: Final = 0.25


@dataclass(frozen=True)
class Subject:
    """How a set of data is divided, and the basis of the potential.

    Parameters
    ----------
    name : str
        For people.
    degree : tuple of float
        Of each correlation order.
    held : dict of str to tuple of str
        Kind of held-out structures to the beginnings of its config types.
    left_out : tuple of str
        Beginnings of config types that take no part.
    cutoff : float, Å
    """

    name: str
    degree: tuple[float, ...]
    held: dict[str, tuple[str, ...]]
    left_out: tuple[str, ...] = ()
    cutoff: float = 5.5

    def basis(self, elements: tuple[int, ...]) -> AceBasis:
        """Candidate functions."""
        return candidate_basis(elements, degree=self.degree, cutoff=self.cutoff)


SUBJECTS: Final[dict[str, Subject]] = {
    "si_gap18_available": Subject(
        "silicon",
        (15.0, 13.0, 11.0),
        {
            "liquid": ("liq",),
            "amorphous": ("amorph",),
            "surfaces": ("surface", "111adatom", "decohesion", "crack"),
        },
    ),
    "zuo2020_Mo": Subject(
        "molybdenum", (16.0, 13.0, 11.0), {"surface": ("Surface",), "vacancy": ("Vacancy",)}, cutoff=6.0
    ),
    "w_szlachta2014": Subject(
        "tungsten",
        (16.0, 13.0, 11.0),
        {
            "γ-surfaces": ("gamma_surface",),
            "surfaces": ("surface",),
            "dislocations": ("dislocation",),
        },
    ),
    "zuo2020_Ge": Subject(
        "germanium", (16.0, 13.0, 11.0), {"surface": ("Surface",), "vacancy": ("Vacancy",)}
    ),
}


def subject_named(name: str) -> Subject:
    """How the set of this name is divided.

    Raises
    ------
    InputError
        If nobody has said that.
    """
    if name not in SUBJECTS:
        raise InputError(
            f"it is not stated which kinds of {name} are held out; there are {', '.join(SUBJECTS)}"
        )
    return SUBJECTS[name]


@dataclass(frozen=True, eq=False)
class Division:
    """Structures that teach, a test in distribution, and held-out structures by kind."""

    train: Frames
    test: Frames
    held: dict[str, Frames]

    @property
    def test_over_train(self) -> float:
        """Structures that judge over structures that teach."""
        return (len(self.test) + sum(map(len, self.held.values()))) / len(self.train)


def divide(
    subject: Subject, frames: Frames, *, train_cap: int, test_cap: int, rng: np.random.Generator
) -> Division:
    """At random; no config type gives more than its cap to a part, so that no kind outvotes the others.

    Raises
    ------
    InputError
        If a held-out kind is empty.
    """
    kinds = frames.config_type
    known = ~_begins(kinds, subject.left_out)
    held: dict[str, Frames] = {}
    for name, begin in subject.held.items():
        own = _begins(kinds, begin)
        if not own.any():
            raise InputError(f"no structure is of a config type that begins with {' or '.join(begin)}")
        held[name] = _sampled(frames[own], test_cap, rng)
        known &= ~own
    test = known & (rng.random(len(frames)) < TEST)
    return Division(
        _sampled(frames[known & ~test], train_cap, rng), _sampled(frames[test], test_cap, rng), held
    )


def _begins(kinds: np.ndarray, begin: tuple[str, ...]) -> np.ndarray:
    return np.array([str(kind).startswith(begin) for kind in kinds], bool)


def _sampled(frames: Frames, cap: int, rng: np.random.Generator) -> Frames:
    """At most ``cap`` structures of each config type, in their order."""
    chosen: list[int] = []
    for kind in np.unique(frames.config_type):
        own = np.flatnonzero(frames.config_type == kind)
        chosen += rng.permutation(own)[:cap].tolist()
    return frames[np.sort(np.array(chosen, np.int64))]
