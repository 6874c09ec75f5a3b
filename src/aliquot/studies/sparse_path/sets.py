"""The sets of labelled structures on which the comparison is made, and what was published about them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from aliquot.fitting import Weights

__all__ = ["METALS", "PEERS", "SETS", "Labelled", "short"]


@dataclass(frozen=True)
class Labelled:
    """How a set is used.

    Parameters
    ----------
    cutoff : float, optional
        Å; by the longest bond where none is given (:func:`aliquot.fitting.candidate_basis`).
    published_test : bool
        Whether the file says which structures judge (column ``split``); drawn with every seed otherwise.
    weights : Weights
    without : tuple of str
        Config types that are left out, as those of another functional.
    n_elements : int
    """

    cutoff: float | None = None
    published_test: bool = False
    weights: Weights = field(default_factory=Weights)
    without: tuple[str, ...] = ()
    n_elements: int = 1


def _zuo(cutoff: float | None = None) -> Labelled:
    # Ni and Cu have no virials to teach; those of Mo and Ge disagree with their own energies: with weight 1 the energy
    # error of Mo on validation structures rises from 2.2 to 3.4 meV/atom
    return Labelled(cutoff, published_test=True, weights=Weights(30.0, 1.0, 0.0))


#: Weights of the published silicon fits, by config type.
_SILICON: Final = Weights(
    groups={
        "liq": (10.0, 0.66, 0.25),
        "amorph": (3.0, 0.5, 0.1),
        "sp": (3.0, 0.5, 0.1),
        "bc8": (50.0, 0.5, 0.1),
        "dia": (60.0, 2.0, 2.0),
    }
)

#: Sets by name; others are used with the defaults of :class:`Labelled`.
SETS: Final[dict[str, Labelled]] = {
    "zuo2020_Ni": _zuo(),
    "zuo2020_Cu": _zuo(),
    "zuo2020_Li": _zuo(),
    "zuo2020_Mo": _zuo(),
    "zuo2020_Si": _zuo(6.0),
    "zuo2020_Ge": _zuo(6.0),
    "si_gap18_available": Labelled(5.5, weights=_SILICON, without=("surface_111_pandey",)),
    "water_deepmd": Labelled(5.5, n_elements=2),
}

#: The six elements of Zuo et al.
METALS: Final = tuple(name for name in SETS if name.startswith("zuo2020_"))

#: Mean absolute errors on the same test structures: energies of GAP and MTP (meV/atom), forces of GAP and MTP (meV/Å).
PEERS: Final[dict[str, tuple[float, float, float, float]]] = {
    "zuo2020_Ni": (0.42, 0.48, 20.0, 10.0),
    "zuo2020_Cu": (0.46, 0.41, 10.0, 10.0),
    "zuo2020_Li": (0.49, 0.49, 10.0, 10.0),
    "zuo2020_Mo": (2.24, 2.83, 90.0, 90.0),
    "zuo2020_Si": (2.91, 2.21, 70.0, 60.0),
    "zuo2020_Ge": (2.06, 1.79, 50.0, 50.0),
}


def short(name: str) -> str:
    """How a set is called on the page.

    Examples
    --------
    >>> short("zuo2020_Ni"), short("water_deepmd")
    ('Ni', 'water')
    """
    names = {"si_gap18_available": "silicon (GAP 2018)", "water_deepmd": "water"}
    return names.get(name, name.removeprefix("zuo2020_"))
