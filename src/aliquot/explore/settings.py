"""How far, how hot, how biased, and when to stop: what hyperactive learning can be told."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

from aliquot.errors import InputError
from aliquot.explore.langevin import Langevin
from aliquot.explore.moves import Moves

__all__ = ["HalSettings"]


@dataclass(frozen=True)
class HalSettings:
    """Settings of :func:`~aliquot.explore.hal.hal`; defaults are the published ones.

    Parameters
    ----------
    temperature : float, K
    steps : int
        Of one walk, at most.
    bias : float
        τ_rel: mean size of the bias forces over that of the forces; 0.1 to 0.3 is usual.
    trigger : float
        A walk ends where a force is this uncertain in relation to its size; 0.2 to 0.4 is usual.
    floor : float, eV/Å
        ε: added to the size of forces in that relation.
    check_every : int
        Steps between looks at the spread of every force. In between, the bias forces alone can trigger: they are
        never larger than that spread.
    window : int
        Steps over which τ averages.
    timestep, friction_time : float, fs
    moves : Moves
        Of cells and elements.
    hard_core : float
        A walk is given up where two atoms are closer than this share of the sum of their covalent radii.
    hottest : float
        And where the kinetic temperature exceeds the thermostat's by this factor.
    patience : int
        So many walks in a row without a structure end the search.
    save_every : int
        Steps between checkpoints.

    Raises
    ------
    InputError
        If a number makes no sense.
    """

    temperature: float = 800.0
    steps: int = 2000
    bias: float = 0.2
    trigger: float = 0.3
    floor: float = 0.2
    check_every: int = 40
    window: int = 100
    timestep: float = 1.0
    friction_time: float = 100.0
    moves: Moves = field(default_factory=Moves)
    hard_core: float = 0.6
    hottest: float = 5.0
    patience: int = 5
    save_every: int = 500

    def __post_init__(self) -> None:
        _ = self.bath
        for name in ("steps", "check_every", "window", "patience", "save_every"):
            if getattr(self, name) < 1:
                raise InputError(f"{name} must be at least 1; got {getattr(self, name)}")
        for name in ("trigger", "floor", "hottest"):
            value = getattr(self, name)
            if not (np.isfinite(value) and value > 0):
                raise InputError(f"{name} must be positive; got {value}")
        for name in ("bias", "hard_core"):
            value = getattr(self, name)
            if not (np.isfinite(value) and value >= 0):
                raise InputError(f"{name} must not be negative; got {value}")

    @property
    def bath(self) -> Langevin:
        """The heat bath."""
        return Langevin(self.temperature, self.timestep, self.friction_time)

    def to_dict(self) -> dict[str, Any]:
        """JSON values."""
        return asdict(self)
