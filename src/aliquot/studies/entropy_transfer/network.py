r"""Network students: the energy of an atom is a small neural network of its site values.

They are trained on energies and slopes,

.. math:: E_i = \bar E + s \, f(x_i), \qquad v \cdot F = -s \sum_i \nabla f(x_i) \cdot \dot x_i .

Values and slopes go through the layers together, :math:`a' = \phi(a W + b)` and :math:`t' = \phi'(a W + b) \circ
(t W)`, and their gradient comes back through both. Adam on small batches of structures, one random slope of each at a
time, with a learning rate that falls like a cosine; of all epochs the one that the validation structures prefer.

References
----------
D. P. Kingma and J. Ba, arXiv:1412.6980.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Final

import numpy as np
from numpy.typing import NDArray

from aliquot.studies.entropy_transfer.environments import Environments
from aliquot.studies.entropy_transfer.lessons import Lessons, Scale

__all__ = ["Batch", "Network", "Training", "fit_network", "loss_and_gradient", "start"]

Array = NDArray[np.float64]
Reals = NDArray[np.floating]
Layers = list[tuple[Reals, Reals]]

#: Decay of Adam's moments, and what keeps its quotient finite.
DECAY: Final = (0.9, 0.999)
TINY: Final = 1e-8


@dataclass(frozen=True)
class Training:
    """How a network is trained.

    Parameters
    ----------
    hidden : tuple of int
        Width of every hidden layer.
    epochs : int
    batch : int
        Structures.
    rate : float
        Learning rate at first.
    """

    hidden: tuple[int, ...]
    epochs: int
    batch: int
    rate: float


@dataclass(frozen=True, eq=False)
class Batch:
    """Structures that teach together.

    Parameters
    ----------
    x, t : (n_atoms, d) array
        Scaled site values, and one slope of each.
    first : (n_frames,) array of int
        First atom of every structure.
    sizes : (n_frames,) array
    energy, slope : (n_frames,) array
        eV per atom, eV/Å.
    weight : float
        Of the energies.
    """

    x: Reals
    t: Reals
    first: NDArray[np.int64]
    sizes: Reals
    energy: Reals
    slope: Reals
    weight: float


@dataclass(frozen=True, eq=False)
class Network:
    """A trained network.

    Parameters
    ----------
    scale : Scale
    layers : list of (matrix, vector)
        The last one to a single number.
    mean, unit : float, eV
    """

    scale: Scale
    layers: Layers
    mean: float
    unit: float

    def sites(self, values: Array) -> tuple[Array, Array]:
        """Energies of atoms (n,), eV, and their slopes by the site values, (n, d)."""
        layers = [(w.astype(np.float64), b.astype(np.float64)) for w, b in self.layers]
        a, bends = self.scale(values), []
        for w, b in layers[:-1]:
            a, bend, _ = _bent(a @ w + b)
            bends.append(bend)
        w, b = layers[-1]
        energies = self.mean + self.unit * (a @ w + b)[:, 0]
        back = np.broadcast_to(w[:, 0], (len(a), len(w)))
        for (w, _), bend in zip(layers[-2::-1], bends[::-1], strict=True):
            back = (back * bend) @ w.T
        return energies, self.unit * back * self.scale.inverse


def _bent(z: Reals) -> tuple[Reals, Reals, Reals]:
    """φ(z) = z / (1 + exp(−z)) and its first two derivatives."""
    s = 0.5 + 0.5 * np.tanh(0.5 * z)
    steep = s * (1.0 - s)
    return z * s, s + z * steep, steep * (2.0 + z * (1.0 - 2.0 * s))


def start(sizes: tuple[int, ...], rng: np.random.Generator, dtype: type = np.float32) -> Layers:
    """Random layers of these sizes; the last is small."""
    layers: Layers = []
    for n, m in pairwise(sizes):
        spread = np.sqrt(2.0 / n) if m > 1 else 0.1 / np.sqrt(n)
        layers.append(((spread * rng.standard_normal((n, m))).astype(dtype), np.zeros(m, dtype)))
    return layers


def loss_and_gradient(layers: Layers, batch: Batch) -> tuple[float, Layers]:
    """Mean loss of a batch, in the units of its labels, and its gradient by every weight."""
    a, t, kept = batch.x, batch.t, []
    for w, b in layers[:-1]:
        value, bend, second = _bent(a @ w + b)
        u = t @ w
        kept.append((a, t, bend, second, u))
        a, t = value, bend * u
    w, b = layers[-1]
    n = len(batch.first)
    energy = np.add.reduceat((a @ w + b)[:, 0], batch.first) / batch.sizes
    slope = -np.add.reduceat((t @ w)[:, 0], batch.first)
    off, tilt = batch.weight * (energy - batch.energy), slope - batch.slope
    loss = float(np.mean(off**2) + np.mean(tilt**2))

    counts = batch.sizes.astype(np.int64)
    of_a = np.repeat(2.0 / n * batch.weight * off / batch.sizes, counts)[:, None].astype(a.dtype)
    of_t = np.repeat(-2.0 / n * tilt, counts)[:, None].astype(a.dtype)
    gradient: Layers = [(a.T @ of_a + t.T @ of_t, of_a.sum(axis=0))]
    back_a, back_t = of_a @ w.T, of_t @ w.T
    for (w, _), (a, t, bend, second, u) in zip(layers[-2::-1], kept[::-1], strict=True):
        of_z, of_u = back_a * bend + back_t * second * u, back_t * bend
        gradient.append((a.T @ of_z + t.T @ of_u, of_z.sum(axis=0)))
        back_a, back_t = of_z @ w.T, of_u @ w.T
    return loss, gradient[::-1]


def fit_network(
    training: Training,
    parts: list[tuple[Environments, Lessons]],
    scale: Scale,
    *,
    rng: np.random.Generator,
) -> Network:
    """Train on what teaches; keep the epoch that what decides prefers."""
    class_room = _Room(parts, scale)
    layers = start((len(scale.mean), *training.hidden, 1), rng)
    moments = (
        [[np.zeros_like(p) for p in pair] for pair in layers],
        [[np.zeros_like(p) for p in pair] for pair in layers],
    )
    best, least, step = layers, np.inf, 0
    batches = -(-len(class_room.train) // training.batch)
    for _ in range(training.epochs):
        order = rng.permutation(len(class_room.train))
        for chosen in np.array_split(class_room.train[order], batches):
            _, gradient = loss_and_gradient(layers, class_room.batch(chosen, rng))
            step += 1
            rate = training.rate * 0.5 * (1.0 + np.cos(np.pi * step / (training.epochs * batches)))
            layers = _adam(layers, gradient, moments, step, rate)
        judged = loss_and_gradient(layers, class_room.judge)[0]
        if judged < least:
            best, least = layers, judged
    return Network(scale, best, class_room.mean, class_room.unit)


def _adam(
    layers: Layers,
    gradient: Layers,
    moments: tuple[list[list[Reals]], list[list[Reals]]],
    step: int,
    rate: float,
) -> Layers:
    """One step; the moments are updated in place."""
    out: Layers = []
    for pair, slope, first, second in zip(layers, gradient, *moments, strict=True):
        moved: list[Reals] = []
        for k, (p, g) in enumerate(zip(pair, slope, strict=True)):
            first[k] = DECAY[0] * first[k] + (1 - DECAY[0]) * g
            second[k] = DECAY[1] * second[k] + (1 - DECAY[1]) * g * g
            m, v = first[k] / (1 - DECAY[0] ** step), second[k] / (1 - DECAY[1] ** step)
            moved.append((p - rate * m / (np.sqrt(v) + TINY)).astype(p.dtype))
        out.append((moved[0], moved[1]))
    return out


class _Room:
    """All structures that teach and decide, scaled once."""

    def __init__(self, parts: list[tuple[Environments, Lessons]], scale: Scale) -> None:
        self.values, self.slopes, sizes, energies, labels, roles = [], [], [], [], [], []
        for seen, lessons in parts:
            for role, chosen in enumerate((lessons.train, lessons.validation)):
                for i in chosen:
                    atoms = seen.atoms(int(i))
                    self.values.append(scale(seen.values[atoms]).astype(np.float32))
                    self.slopes.append(scale.slope(seen.slopes[atoms]).astype(np.float32))
                    sizes.append(atoms.stop - atoms.start)
                    energies.append(lessons.energies[i])
                    labels.append(lessons.slopes[i])
                    roles.append(role)
        self.sizes, role = np.array(sizes), np.array(roles)
        energy, slope = np.array(energies), np.array(labels)
        self.train, decides = np.flatnonzero(role == 0), np.flatnonzero(role == 1)
        # networks predict numbers of order one
        self.mean = float(np.average(energy[self.train], weights=self.sizes[self.train]))
        self.unit = float(np.sqrt(np.mean((energy[self.train] - self.mean) ** 2))) or 1.0
        self.energy = ((energy - self.mean) / self.unit).astype(np.float32)
        self.label = (slope / self.unit).astype(np.float32)
        self.weight = parts[0][1].energy_weight
        self.judge = self._all(decides)

    def batch(self, chosen: NDArray[np.int64], rng: np.random.Generator) -> Batch:
        """These structures, one random slope of each."""
        return self._joined(chosen, rng.integers(self.label.shape[1], size=len(chosen)))

    def _all(self, chosen: NDArray[np.int64]) -> Batch:
        """These structures as often as they have slopes."""
        m = self.label.shape[1]
        return self._joined(np.repeat(chosen, m), np.tile(np.arange(m), len(chosen)))

    def _joined(self, chosen: NDArray[np.int64], which: NDArray[np.int64]) -> Batch:
        sizes = self.sizes[chosen]
        return Batch(
            np.concatenate([self.values[i] for i in chosen]),
            np.concatenate([self.slopes[i][:, k] for i, k in zip(chosen, which, strict=True)]),
            np.concatenate(([0], np.cumsum(sizes)[:-1])),
            sizes.astype(np.float32),
            self.energy[chosen],
            self.label[chosen, which],
            self.weight,
        )
