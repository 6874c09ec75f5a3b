r"""What a choice is worth, however it was found: where exact greedy begins, and how far from the best one ends.

The approximations of entropy-greedy share the objective of :class:`aliquot.selection.Bayes`, the information
:math:`F(S) = \tfrac12\log\det P_S - \tfrac12\log\det P_\varnothing` gained over the known set, and are held to it: the
gains of an answer are those of the real objective, and its certificate is a bound on the loss for this very pool.

What is kept of the lead that exact greedy has over chance, by ``python benchmarks/approximations.py`` (20,000
candidates of 211 features, with clusters and a falling spectrum, or Gaussian noise; 4,846 frames of tungsten, as many
known):

=========================  ==============  ==============  ============  =============
method                     clusters, 100   clusters, 500   noise, 100    tungsten, 100
=========================  ==============  ==============  ============  =============
two-level, default parts   0.93            1.03            1.00          1.00
two-level, 50 parts        0.95            1.00            1.00          1.00
sieve, ε = 0.1             0.40            0.42            0.86          1.00
sieve, ε = 0.4             0.24            0.22            0.85          1.00
sketch, principal to 64    0.77            0.37            0.51          0.93
sketch, principal to 32    0.47            0.14            0.35          0.87
sketch, gaussian to 64     0.68            0.38            0.46          0.94
sketch, count to 64        0.68            0.36            0.48          0.93
=========================  ==============  ==============  ============  =============

In memory, exact greedy was faster than two levels (2 to 13 times) and a sieve (4 to 27 times), and about as fast as a
sketch: they are for pools of which a second pass is dear, or that many machines hold.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from aliquot.information import Entropy, Posterior, default_precision, gather
from aliquot.selection.certificate import entropy_certificate
from aliquot.selection.greedy import greedy
from aliquot.selection.record import Selection
from aliquot.selection.request import Request

__all__ = ["answered", "gains_of", "opening", "prior_of"]

Indices = NDArray[np.int64]
Vector = NDArray[np.float64]


def prior_of(request: Request, precision: float | None) -> tuple[float, str]:
    """The prior precision λ, and where it is from."""
    if precision is None:
        return default_precision(
            request.candidates, executor=request.executor
        ), "1e-12 of the largest eigenvalue of the pool"
    return float(precision), "given"


def opening(request: Request, precision: float) -> Entropy:
    """The information before the first pick."""
    information = Entropy(Posterior(np.full(request.candidates.n_features, precision)))
    if request.known is not None:
        for some, _ in request.known.tiles():
            information.absorb(gather(request.known, some))
    return information


def gains_of(information: Entropy, request: Request, index: Indices) -> Vector:
    """Absorb these candidates one after another; the gain of each."""
    gains = np.empty(len(index))
    for k, pick in enumerate(index):
        block = gather(request.candidates, np.array([pick]))
        gains[k] = information.gain(block)[0]
        information.absorb(block)
    return gains


def answered(
    request: Request,
    information: Entropy,
    index: Indices,
    gain: Vector,
    *,
    certify: bool,
    recipe: dict[str, Any],
    **fields: Any,
) -> Selection:
    """The record of a choice of new candidates, filled up with others if it must be.

    Parameters
    ----------
    request : Request
    information : Entropy
        After the last of them.
    index, gain : array
        Picks and their gains.
    certify : bool
        Whether to read the pool once more for a certificate.
    recipe, **fields
        What the record needs.
    """
    if missing := request.n - len(index):
        trace = greedy(information, request.candidates, missing, allowed=~request.distinct)
        index, gain = np.concatenate((index, trace.index)), np.concatenate((gain, trace.gain))
    certificate = entropy_certificate(information, request, index, gain) if certify and len(index) else None
    return request.answer(
        index,
        method=recipe["method"],
        recipe=recipe,
        gain=gain,
        gain_unit="nat",
        certificate=certificate,
        nested=False,
        **fields,
    )
