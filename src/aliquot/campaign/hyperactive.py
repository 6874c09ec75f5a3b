"""Where does the model meet what it does not know, if it is driven there? Biased walks (:mod:`aliquot.explore.hal`)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from aliquot.campaign.settings import Exploring
from aliquot.errors import InputError
from aliquot.explore import Biased, HalSettings, bias_from_potential, hal
from aliquot.structures import Frames, write
from aliquot.uncertainty import Uncertainty

__all__ = ["search"]

_STATE = "search.hal"


def search(
    folder: Path, told: Exploring, temperature: float, known: Uncertainty, starts: Frames, *, seed: int
) -> dict[str, Any]:
    """Find ``told.walkers`` structures at one temperature, without labels in between; on from where it was cut.

    Parameters
    ----------
    folder : Path
        Gets ``candidates.xyz`` with ``gamma_max`` of each, unless nothing was found.
    told : Exploring
    temperature : float, K
    known : Uncertainty
        Of a potential with a posterior.
    starts : Frames
    seed : int

    Returns
    -------
    dict
        The record of a walk: how far, and why nothing was found if so.
    """
    folder.mkdir(exist_ok=True)
    settings = HalSettings(
        temperature=temperature,
        steps=told.steps,
        bias=told.bias,
        trigger=told.trigger,
        timestep=told.timestep,
    )
    record: dict[str, Any] = {"temperature": temperature, "steps": 0, "finished": False, "largest": 0.0}
    model = Biased(bias_from_potential(known.potential))
    try:
        found = hal(starts, told.walkers, model=model, settings=settings, seed=seed, state=folder / _STATE)
    except InputError as error:  # every walk was quiet or broke
        return record | {"reason": str(error)}
    frames = found.frames
    gamma = np.array([one.largest for one in known.each(frames, forces=False)])
    write(folder / "candidates.xyz", frames.with_frame_column("gamma_max", gamma), force=True)
    reason = f"{len(frames)} of {told.walkers} structures found in {len(found.walks)} walks"
    return record | {
        "steps": found.steps,
        "finished": len(frames) == told.walkers,
        "largest": float(gamma.max(initial=0.0)),
        "reason": reason,
    }
