r"""A small network whose hidden layer is a descriptor: what stands in for a bespoke neural potential's.

The energy per atom of a structure is the mean over its atoms of :math:`f(x_i) = v^\top \tanh(W_2 \tanh(W_1 x_i + b_1)
+ b_2) + c`, x the standardised ACE values of the atom; the descriptor of an atom is its last hidden layer. It is
trained on energies by Adam, all structures at once. The paper took the invariant and vector features (640) of MACE
potentials trained with forces on the same structures; what the two have in common is that labels shaped the descriptor.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

__all__ = ["HIDDEN", "learned_descriptor"]

Array = NDArray[np.float32]

#: Widths of the two layers; the second is the descriptor.
HIDDEN: Final = (64, 64)

_RATE: Final = 3e-3
_DECAY: Final = (0.9, 0.999)


def learned_descriptor(
    values: NDArray[np.float64],
    offsets: NDArray[np.int64],
    energies: NDArray[np.float64],
    *,
    train: NDArray[np.int64],
    epochs: int,
    seed: int,
) -> tuple[NDArray[np.float64], float]:
    """Hidden values of every atom, and the error that is left on the structures of training.

    Parameters
    ----------
    values : (atoms, d) array
    offsets : (structures + 1,) array of int
    energies : (structures,) array, eV/atom
        Less those of free atoms.
    train : (k,) array of int
        Structures whose energies are shown.
    epochs, seed : int

    Returns
    -------
    (atoms, h) array, and float in eV/atom

    Notes
    -----
    6 d h flops for every atom and epoch.
    """
    sizes = np.diff(offsets)
    rows = np.concatenate([np.arange(int(offsets[i]), int(offsets[i + 1])) for i in train.tolist()])
    starts = np.concatenate(([0], np.cumsum(sizes[train])[:-1]))
    mean, spread = values[rows].mean(axis=0), values[rows].std(axis=0)
    x = ((values - mean) / np.where(spread > 1e-12 * spread.max(), spread, 1.0)).astype(np.float32)
    np.clip(x, -5.0, 5.0, out=x)
    centre, scale = energies[train].mean(), energies[train].std()
    target = ((energies[train] - centre) / scale).astype(np.float32)
    rng = np.random.default_rng(seed)
    shapes = [(x.shape[1], HIDDEN[0]), HIDDEN, (HIDDEN[1], 1)]
    weights = [(rng.standard_normal(s) / np.sqrt(s[0])).astype(np.float32) for s in shapes]
    weights += [np.zeros((1, s[1]), np.float32) for s in shapes]
    first, second = [np.zeros_like(w) for w in weights], [np.zeros_like(w) for w in weights]
    shown, share = x[rows], (1.0 / sizes[train]).astype(np.float32)
    owner = np.repeat(np.arange(len(train)), sizes[train])
    miss = np.zeros(len(train), np.float32)
    for epoch in range(1, epochs + 1):
        gradients, miss = _gradients(weights, shown, target, starts, share, owner)
        rate = _RATE * 0.5 * (1 + np.cos(np.pi * (epoch - 1) / epochs))
        for w, g, m, v in zip(weights, gradients, first, second, strict=True):
            m += (1 - _DECAY[0]) * (g - m)
            v += (1 - _DECAY[1]) * (g * g - v)
            step = np.sqrt(v / (1 - _DECAY[1] ** epoch)) + 1e-8
            w -= rate * (m / (1 - _DECAY[0] ** epoch)) / step
    hidden = _layers(weights, x)[1]
    return hidden.astype(np.float64), float(scale * np.sqrt(np.mean(np.square(miss, dtype=np.float64))))


def _layers(weights: list[Array], x: Array) -> tuple[Array, Array]:
    one = np.tanh(x @ weights[0] + weights[3])
    return one, np.tanh(one @ weights[1] + weights[4])


def _gradients(
    weights: list[Array],
    x: Array,
    target: Array,
    starts: NDArray[np.int64],
    share: Array,
    owner: NDArray[np.int64],
) -> tuple[list[Any], Any]:
    """Derivatives of half the mean squared error by all weights, and the errors."""
    one, two = _layers(weights, x)
    site = (two @ weights[2] + weights[5])[:, 0]
    miss = np.add.reduceat(site, starts) * share - target
    back = (miss * share / np.float32(len(target)))[owner][:, None]
    to_two = (back @ weights[2].T) * (1 - two * two)
    to_one = (to_two @ weights[1].T) * (1 - one * one)
    return [
        x.T @ to_one,
        one.T @ to_two,
        two.T @ back,
        to_one.sum(axis=0, keepdims=True),
        to_two.sum(axis=0, keepdims=True),
        back.sum(axis=0, keepdims=True),
    ], miss
