"""What has a campaign done? One record per round, read back from the folder."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

__all__ = ["STAGES", "History", "Round"]

#: In order; the first round has no exploration and no choice.
STAGES: Final = ("explore", "select", "label", "fit", "test")


@dataclass(frozen=True)
class Round:
    """One round; what a stage that is not done would say is None.

    Parameters
    ----------
    number : int
        0 is the fit to the structures of the start.
    stages : dict of str to dict
        What each finished stage wrote down.
    asked, labelled : int
        Structures that teach whose labels were asked for until then, and that have one.
    cost : float
        What asking cost until then, in atoms to ``cost_power``.
    """

    number: int
    stages: Mapping[str, Mapping[str, Any]]
    asked: int
    labelled: int
    cost: float

    @property
    def complete(self) -> bool:
        """Whether every stage is done, or nothing was chosen and there was no more to do."""
        return self.next_stage is None

    @property
    def next_stage(self) -> str | None:
        """The first stage that is not done; None if there is none."""
        needed = STAGES[2:] if self.number == 0 else STAGES[:2] if self.dry else STAGES
        return next((name for name in needed if name not in self.stages), None)

    @property
    def dry(self) -> bool:
        """Whether nothing was chosen."""
        return self.stages.get("select", {}).get("selected") == 0

    @property
    def force_mae(self) -> float | None:
        """Of a force component on the test structures, eV/Å."""
        return self.stages.get("test", {}).get("errors", {}).get("forces", {}).get("mae")

    @property
    def energy_mae(self) -> float | None:
        """On the test structures, eV/atom."""
        return self.stages.get("test", {}).get("errors", {}).get("energy", {}).get("mae")

    @property
    def surprise(self) -> float | None:
        """Mean absolute error of the model before this round on the forces labelled in it, eV/Å."""
        return self.stages.get("test", {}).get("before", {}).get("forces", {}).get("mae")

    @property
    def gamma(self) -> float | None:
        """The quantile of grades along the walks of this round; None also where too many walks ended early."""
        return self.stages.get("explore", {}).get("gamma_quantile")

    @property
    def beyond(self) -> bool:
        """Whether grades were looked at along the walks, and too many walks ended early for a quantile."""
        return self.gamma is None and self.stages.get("explore", {}).get("looks", 0) > 0

    @property
    def seconds(self) -> dict[str, float]:
        """Wall time of each finished stage, from its last beginning."""
        return {name: float(stage["seconds"]) for name, stage in self.stages.items()}

    def to_dict(self) -> dict[str, Any]:
        """JSON object."""
        return {
            "number": self.number,
            "asked": self.asked,
            "labelled": self.labelled,
            "cost": self.cost,
            "force_mae": self.force_mae,
            "energy_mae": self.energy_mae,
            "surprise": self.surprise,
            "gamma": self.gamma,
            "stages": {name: dict(stage) for name, stage in self.stages.items()},
        }


@dataclass(frozen=True)
class History:
    """A campaign so far.

    Parameters
    ----------
    folder : Path
    settings : dict
        Those of the last run.
    rounds : tuple of Round
    ended : str
        Why the last run ended; empty while it has not.
    """

    folder: Path
    settings: Mapping[str, Any]
    rounds: tuple[Round, ...] = ()
    ended: str = ""

    @property
    def complete(self) -> tuple[Round, ...]:
        """Rounds of which every stage is done."""
        return tuple(one for one in self.rounds if one.complete)

    @property
    def model(self) -> Path | None:
        """The last potential."""
        for one in reversed(self.rounds):
            if "fit" in one.stages:
                return self.folder / f"round-{one.number:03d}" / "model.ace"
        return None

    def to_dict(self) -> dict[str, Any]:
        """JSON object."""
        return {
            "format": "aliquot-campaign",
            "schema": 1,
            "folder": str(self.folder),
            "settings": dict(self.settings),
            "rounds": [one.to_dict() for one in self.rounds],
            "model": None if self.model is None else str(self.model),
            "ended": self.ended,
        }
