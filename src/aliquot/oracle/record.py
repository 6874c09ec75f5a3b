"""What comes back from an oracle: one answer per structure, and the record of a whole labelling."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from aliquot.errors import InputError
from aliquot.structures import Frames

__all__ = ["Answer", "Labelled", "Unlabelled"]


@dataclass(frozen=True, eq=False)
class Answer:
    """What an oracle computed for one structure.

    Parameters
    ----------
    energy : float, eV
        What the code calls the energy; where electrons are smeared, usually extrapolated to none.
    free_energy : float or None, eV
        The energy of which the forces are the derivative, if the code says it apart.
    forces : (n_atoms, 3) array or None, eV/Å
        Without regard to constraints.
    stress : (6,) array or None, eV/Å³
        In the order xx, yy, zz, yz, xz, xy; None where the cell spans no volume, or the code computes none.
    converged : bool or None
        None where the code does not say.
    seconds : float
        What it took.
    """

    energy: float
    free_energy: float | None = None
    forces: NDArray[np.float64] | None = None
    stress: NDArray[np.float64] | None = None
    converged: bool | None = None
    seconds: float = 0.0

    def to_json(self) -> str:
        """As JSON text; every number comes back bit for bit."""
        values = {
            name: value.tolist() if isinstance(value, np.ndarray) else value
            for name, value in vars(self).items()
        }
        return json.dumps(values)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Answer:
        """Back from :meth:`to_json`, or from the process that computed it.

        Raises
        ------
        InputError
            If it is not an answer.
        """
        try:
            forces, stress = (
                None if values.get(name) is None else np.asarray(values[name], np.float64)
                for name in ("forces", "stress")
            )
            free, sure = values.get("free_energy"), values.get("converged")
            return cls(
                energy=float(values["energy"]),
                free_energy=None if free is None else float(free),
                forces=forces,
                stress=stress,
                converged=None if sure is None else bool(sure),
                seconds=float(values.get("seconds", 0.0)),
            )
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise InputError(f"not the answer of an oracle ({type(error).__name__}: {error})") from error


@dataclass(frozen=True)
class Unlabelled:
    """A structure that got no label that may be used, and why.

    Parameters
    ----------
    kind : {"failed", "quarantined", "pending"}
        No answer; an answer that cannot be believed; or not tried yet.
    position : int
        In the frames that were to be labelled.
    key : str
        Names the structure in the folder of labels.
    file, frame
        Where it came from.
    reason : str
    attempts : int
        How often it was tried, in all runs.
    """

    kind: Literal["failed", "quarantined", "pending"]
    position: int
    key: str
    file: str
    frame: int
    reason: str
    attempts: int = 0

    def __str__(self) -> str:
        return f"{self.file}, frame {self.frame}: {self.kind}: {self.reason}"


@dataclass(frozen=True, eq=False)
class Labelled:
    """What :func:`~aliquot.oracle.label` returns.

    Parameters
    ----------
    frames : Frames
        Those with a label, in the order given, with ``REF_energy`` (eV), ``REF_forces`` (eV/Å), ``REF_virial`` (eV,
        = −volume × stress) and where they come from (``aliquot_oracle``, ``aliquot_oracle_id``,
        ``aliquot_energy_kind``, ``aliquot_label_seconds``).
    index : (n_labelled,) array of int
        Their positions in what was given.
    unlabelled : tuple of Unlabelled
        The others.
    computed : int
        Structures labelled now.
    reused : int
        Structures whose labels were there.
    seconds : float
        Time of all calculations whose labels are used, of this and of earlier runs.
    oracle, fingerprint : str
        Who labelled.
    """

    frames: Frames
    index: NDArray[np.int64]
    unlabelled: tuple[Unlabelled, ...]
    computed: int
    reused: int
    seconds: float
    oracle: str
    fingerprint: str

    def of_kind(self, kind: str) -> tuple[Unlabelled, ...]:
        """The structures that are ``failed``, ``quarantined`` or ``pending``."""
        return tuple(one for one in self.unlabelled if one.kind == kind)

    def to_dict(self) -> dict[str, Any]:
        """Everything but the structures, for JSON."""
        return {
            "oracle": self.oracle,
            "fingerprint": self.fingerprint,
            "labelled": len(self.frames),
            "computed": self.computed,
            "reused": self.reused,
            "seconds": self.seconds,
            "unlabelled": [dict(vars(one)) for one in self.unlabelled],
        }
