r"""Which structures should be labelled next? Those to which dynamics is driven by what the model does not know.

Hyperactive learning: molecular dynamics on :math:`E - \tau \sigma`, σ the spread of the energy, until the
spread of a force is large beside the force,

.. math:: \max_i \frac{|\sigma_{F,i}|}{|F_i| + \epsilon} > \text{trigger}.

The structure is taken, and what its labels will teach goes into the covariance at once, without the labels
(:meth:`~aliquot.explore.bias.Bias.taught`): the next walk finds something else. A batch is full after as many
structures as asked for; then, where there is somebody who labels and fits, they do, and the search goes on with the
new model. A batch of one is the published method ("one-shot"). Larger batches ("N-shot") can be labelled side by side.

References
----------
C. van der Oord, M. Sachs, D. P. Kovács, C. Ortner and G. Csányi, npj Comput. Mater. 9, 168 (2023),
doi:10.1038/s41524-023-01104-6
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from ase import Atoms
from threadpoolctl import threadpool_limits

from aliquot.errors import InputError
from aliquot.explore.biased import Biased
from aliquot.explore.checkpoint import SearchState, load_state, question, save_state
from aliquot.explore.record import Exploration, Pick, WalkRecord
from aliquot.explore.settings import HalSettings
from aliquot.explore.walk import FOUND, Walk, WalkEnd
from aliquot.progress import Progress, silent
from aliquot.structures.frames import Frames
from aliquot.uncertainty.spread import Spread

__all__ = ["hal"]

#: Labels structures, in the order given.
Label = Callable[[Frames], Frames]

#: Fits to everything found so far, with labels.
Refit = Callable[[Frames], Biased]


def hal(
    starts: Frames,
    n: int,
    *,
    model: Biased,
    settings: HalSettings | None = None,
    seed: int = 0,
    label: Label | None = None,
    refit: Refit | None = None,
    batch: int | None = None,
    state: Path | str | None = None,
    progress: Progress = silent,
) -> Exploration:
    """Find n structures that teach the model.

    Parameters
    ----------
    starts : Frames
        Walks begin from these in turn.
    n : int
    model : Biased
        Mean and bias.
    settings : HalSettings, optional
    seed : int
        The same seed finds the same structures.
    label : callable, optional
        ``label(frames)`` returns the frames with labels; together with ``refit``.
    refit : callable, optional
        ``refit(frames)``, all labelled structures so far, returns the next model.
    batch : int, optional
        Structures between refits; 1 by default. Without ``label`` nothing is refitted.
    state : path, optional
        Checkpoint. Where it exists, the search goes on from there; it stays when the search is done.
    progress : callable

    Returns
    -------
    Exploration
        Of fewer structures than asked for, with a note, if ``settings.patience`` walks in a row found nothing.

    Raises
    ------
    InputError
        If nothing can start, nothing at all was found, a file cannot be written, or the checkpoint is of another
        search. What was found until then is in the checkpoint.

    Notes
    -----
    Mean and bias cost 1.5 force calls of the potential at 211 functions, 2.0 at 1429 (``benchmarks/bench_hal.py``);
    with another calculator its own call and about one. Every ``check_every`` steps the rows of all forces, 7 calls at
    211 functions. Memory: rows of one structure, and k × m numbers of the covariance.
    """
    search = _Search(
        starts,
        n,
        model,
        settings or HalSettings(),
        seed,
        label,
        refit,
        batch or 1,
        None if state is None else Path(state),
        progress,
    )
    with threadpool_limits(1, "blas"):  # products of one structure's rows are too small to share
        search.check()
        return search.run()


@dataclass
class _Search:
    """A search under way."""

    starts: Frames
    n: int
    model: Biased
    settings: HalSettings
    seed: int
    label: Label | None
    refit: Refit | None
    batch: int
    path: Path | None
    progress: Progress

    def check(self) -> None:
        """Refuse what cannot start."""
        if self.n < 1 or self.batch < 1:
            raise InputError(f"give positive numbers of structures; got n={self.n}, batch={self.batch}")
        if not len(self.starts):
            raise InputError("there is no structure to start from")
        if (self.label is None) != (self.refit is None):
            raise InputError("give label and refit together: a label that nobody fits to changes nothing")
        for i, atoms in enumerate(self.starts.to_atoms()):
            self.settings.moves.check(atoms, self.starts.ids_name(i))
            found = self.model.bias.sigma(atoms)
            if not np.isfinite(found):
                raise InputError(f"{self.starts.ids_name(i)}: the spread of its energy is not finite")
            if found == 0.0 and self.settings.bias > 0:
                raise InputError(
                    f"{self.starts.ids_name(i)}: the spread of its energy is zero; no atom has a neighbour within the"
                    " cutoff"
                )
        self.model.bias.surrogate.forget()
        self.images = self.starts.to_atoms()
        self.asked = question(
            settings=self.settings.to_dict(),
            seed=self.seed,
            batch=self.batch if self.label else 0,
            starts=self.starts.ids.digest(),
            root=self.model.bias.spread.root,
            noise=vars(self.model.bias.noise),
        )

    def run(self) -> Exploration:
        """Walk until enough is found."""
        resumed = self.path is not None and self.path.exists()
        state = load_state(self.path, self.asked) if resumed and self.path else self._fresh()
        if resumed:
            self._catch_up(state)
            self._teach(state)
        while len(state.found) < self.n and state.quiet < self._patience:
            self._walk(state)
            self._teach(state)
            self._save(state)
        if not state.found:
            if self.path is not None:
                self.path.unlink(missing_ok=True)  # there is nothing to go on from
            raise InputError(self._why_nothing(state))
        return self._record(state)

    @property
    def _patience(self) -> int:
        return max(self.settings.patience, len(self.images))

    def _fresh(self) -> SearchState:
        state = SearchState(np.random.default_rng(self.seed))
        self._save(state)  # where nothing can be written, it fails here and not after hours
        return state

    def _catch_up(self, state: SearchState) -> None:
        """The model as it was at the checkpoint."""
        if state.labelled and self.refit is not None:
            self.model = self.refit(self._frames(state)[: state.labelled])
        if state.root is not None:
            self._set_root(state.root)

    def _set_root(self, root: Any) -> None:
        bias = self.model.bias
        if root.shape[0] != bias.spread.root.shape[0]:
            raise InputError("the model fitted again is not that of the checkpoint; is the fit reproducible?")
        self.model = replace(self.model, bias=replace(bias, spread=Spread(bias.spread.kind, root)))

    def _save(self, state: SearchState) -> None:
        if self.path is not None:
            save_state(self.path, state, self.asked)
        self.model.bias.surrogate.forget()  # a search that goes on from here begins with new neighbours too

    def _walk(self, state: SearchState) -> None:
        """One walk, or what is left of it, to its end."""
        if state.walk is None:
            start = len(state.walks) % len(self.images)
            state.walk = Walk.begin(self.images[start], len(state.walks), start, self.settings, state.rng)
        walk, end, every = state.walk, None, self.settings.save_every
        while end is None:
            began = time.perf_counter()
            stop = (walk.step // every + 1) * every
            end = walk.go(self.model, self.settings, state.rng, stop)
            state.seconds += time.perf_counter() - began
            self.progress("walk", walk.step, self.settings.steps)
            if end is None:
                self._save(state)
        self._close(state, walk, end)

    def _close(self, state: SearchState, walk: Walk, end: WalkEnd) -> None:
        """Note how a walk ended; take its structure."""
        state.walks.append(
            WalkRecord(
                walk.number,
                walk.start,
                walk.step,
                end.kind,
                end.reason,
                walk.largest,
                walk.tried,
                walk.accepted,
            )
        )
        state.walk, state.quiet = None, state.quiet + 1
        if end.kind != FOUND:
            return
        bias, gain = self.model.bias.taught(walk.atoms)
        self.model = replace(self.model, bias=bias)
        state.root, state.quiet = bias.spread.root, 0
        taken = Atoms(
            walk.atoms.numbers, positions=walk.atoms.positions, cell=walk.atoms.cell, pbc=walk.atoms.pbc
        )
        if walk.atoms.has("masses"):
            taken.set_array("masses", walk.atoms.get_masses())
        state.found.append(taken)
        state.picks.append(
            Pick(
                walk.number,
                walk.start,
                walk.step,
                end.score,
                end.sigma,
                walk.strength.tau,
                gain,
                walk.temperature,
            )
        )
        self.progress("structures", len(state.found), self.n)

    def _teach(self, state: SearchState) -> None:
        """Label and fit, where a batch is full."""
        new = len(state.found) - state.labelled
        full = new >= self.batch or (new > 0 and len(state.found) >= self.n)
        if self.label is None or self.refit is None or not full:
            return
        self._save(state)
        fresh = self._frames(state)[state.labelled :]
        told = self.label(fresh)
        if len(told) != new or not told.energy.present.all():
            raise InputError(
                f"{int(told.energy.present.sum())} of {new} structures came back with an energy; those found are kept"
                f" in {self.path or 'no file, as no state was named'}"
            )
        state.found[state.labelled :] = _labelled(state.found[state.labelled :], told)
        state.labelled = len(state.found)
        self.model = self.refit(self._frames(state))
        state.root = self.model.bias.spread.root

    def _frames(self, state: SearchState) -> Frames:
        images = [atoms.copy() for atoms in state.found]
        for atoms, pick in zip(images, state.picks, strict=True):
            atoms.info |= {"config_type": "hal", **{f"hal_{k}": v for k, v in vars(pick).items()}}
        return Frames.from_atoms(images, source="hal")

    def _record(self, state: SearchState) -> Exploration:
        notes: tuple[str, ...] = ()
        if len(state.found) < self.n:
            notes = (
                f"{len(state.found)} of {self.n} structures were found: {state.quiet} walks in a row found nothing"
                f" (the last: {state.walks[-1].reason})",
            )
        broken = [walk for walk in state.walks if walk.kind == "broken"]
        if broken:
            notes += (
                f"{len(broken)} of {len(state.walks)} walks broke down; the last at {broken[-1].reason}",
            )
        return Exploration(
            self._frames(state),
            tuple(state.picks),
            tuple(state.walks),
            notes,
            sum(walk.steps for walk in state.walks),
            state.seconds,
        )

    def _why_nothing(self, state: SearchState) -> str:
        broken = sum(walk.kind == "broken" for walk in state.walks)
        last = state.walks[-1]
        if broken > len(state.walks) / 2:
            return (
                f"{broken} of {len(state.walks)} walks broke down before anything was found; the last at {last.reason}."
                " Lower the temperature, the bias or the timestep"
            )
        largest = max(walk.largest for walk in state.walks)
        return (
            f"{len(state.walks)} walks of {self.settings.steps} steps found no force as uncertain as"
            f" {self.settings.trigger} of its size; the largest was {largest:.3f}. Lower trigger,"
            " or raise temperature, bias or steps"
        )


def _labelled(found: list[Atoms], told: Frames) -> list[Atoms]:
    """Structures with the labels that came back, under keys of their own."""
    out: list[Atoms] = []
    for i, atoms in enumerate(found):
        one = atoms.copy()
        one.info["REF_energy"] = float(told.energy.values[i])
        if told.forces.present[i]:
            one.arrays["REF_forces"] = told.forces.values[told.offsets[i] : told.offsets[i + 1]].copy()
        if told.virial.present[i]:
            one.info["REF_virial"] = told.virial.values[i].copy()
        out.append(one)
    return out
