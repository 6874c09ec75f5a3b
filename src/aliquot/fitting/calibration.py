r"""Does the posterior know how wrong the model is? Errors of held-out labels against predicted deviations.

The predicted variance of a label is that of the model plus that of the noise, :math:`\|U^{-\top} b\|^2 + (\sigma/w)^2`
with the weight w of the label's rows. An interval of nominal probability p is central and normal.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.special import erfinv

from aliquot.ace.evaluator import AceEvaluator
from aliquot.fitting.accumulate import Baseline, each
from aliquot.fitting.posterior import Posterior
from aliquot.fitting.record import Calibration
from aliquot.fitting.weights import Weights
from aliquot.progress import Progress, silent
from aliquot.structures.frames import Frames

__all__ = ["calibrate"]

#: Structures that are looked at, at most.
SAMPLE: Final = 200

LEVELS: Final = np.linspace(0.05, 0.95, 19)


def calibrate(
    evaluator: AceEvaluator,
    frames: Frames,
    which: NDArray[np.int64],
    coefficients: NDArray[np.float64],
    posterior: Posterior,
    *,
    part: str,
    weights: Weights,
    groups: NDArray[np.str_],
    offsets: Mapping[str, float],
    baseline: Baseline | None = None,
    threads: int | None = None,
    progress: Progress = silent,
) -> Calibration:
    """How often labels of held-out structures lie inside central intervals.

    Parameters
    ----------
    evaluator, frames
    which : array of int
        Held-out structures; an even sample of at most 200 is used.
    coefficients : (d,) array
    posterior : Posterior
        Of the same model.
    part : str
        What these structures are.
    weights, groups, offsets, baseline
        Of the fit.
    threads, progress
    """
    some = which[np.linspace(0, len(which) - 1, min(SAMPLE, len(which))).astype(int)]
    ratio: dict[str, list[NDArray[np.float64]]] = {}
    stream = each(evaluator, frames, some.tolist(), baseline=baseline, threads=threads)
    for count, (i, labelled) in enumerate(stream):
        for quantity, (rows, target) in labelled.items():
            w = weights.of(quantity, str(groups[i]))
            if w == 0:
                continue
            shift = (
                offsets.get(str(groups[i]), 0.0) * np.sqrt(frames.sizes[i]) if quantity == "energy" else 0.0
            )
            wrong = rows @ coefficients - (target - shift)
            deviation = np.sqrt(posterior.variance(rows) + (posterior.noise / w) ** 2)
            ratio.setdefault(quantity, []).append(wrong / deviation)
        progress("calibration", count + 1, len(some))
    z = {quantity: np.concatenate(pieces) for quantity, pieces in ratio.items()}
    limits = np.sqrt(2.0) * erfinv(LEVELS)
    return Calibration(
        LEVELS,
        {q: np.mean(np.abs(v)[:, None] <= limits, axis=0) for q, v in z.items()},
        {q: float(np.sqrt(np.mean(np.square(v)))) for q, v in z.items()},
        part,
    )
