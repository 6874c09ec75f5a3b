r"""Which structures teach a model everything, before there is any model or label? Entropy-driven generation.

Random cells are packed, relaxed on a soft core, and then on the same core less K times the entropy of environments
(:mod:`aliquot.explore.landscape`): atoms move to where no environment of the set has been. A structure is accepted
if no two atoms are too close, no atom is alone, and it would widen the set more than the packing that it began with.
(The published test, that the entropy of the set must rise, is ``strict``. The set becomes wider still, but it accepts
less and less: of tungsten seven attempts in eight at first, one in fourteen after 130 structures.)

Attempts go in rounds: all of a round are driven by the set as it was before, so that any number of processes may share
them, and are judged one after another. A round is a quarter of the set, 8 to 64 attempts; nothing in it depends on
how many structures are wanted, so the first 100 of 500 are those of 100. What is kept of the set are one second
moment per element: an attempt costs as much at the end as at the beginning.

Deviations from what is published: both entropies per dimension and in one sum, the global one multiplied by the number
of environments so that its slope does not fade; environments are those of the atomic cluster expansion; the second
moment is about the mean of random packings in the objective and in the acceptance alike; no structure is accepted
unconditionally; K follows the share of
attempts whose atoms come too close (aimed at 20 %, once a round) rather than counts of ten in a row.

References
----------
M. Karabin and D. Perez, J. Chem. Phys. 153, 094110 (2020), arXiv:2002.07876
D. Montes de Oca Zapiain et al., npj Comput. Mater. 8, 189 (2022), doi:10.1038/s41524-022-00872-x
A. P. A. Subramanyam and D. Perez, npj Comput. Mater. 11, 218 (2025), doi:10.1038/s41524-025-01602-9
"""

from __future__ import annotations

import tempfile
from concurrent.futures import BrokenExecutor, Executor
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from aliquot.errors import InputError
from aliquot.explore.attempt import Attempt, attempts, compile_loops, packings
from aliquot.explore.census import COLUMNS, Census, take_census
from aliquot.explore.entropy import Standard
from aliquot.explore.journal import Journal
from aliquot.explore.recipe import Recipe
from aliquot.explore.state import Accepted, State
from aliquot.progress import Progress, silent
from aliquot.solvers.threads import one_thread
from aliquot.structures import Frames, read
from aliquot.structures.columns import Column
from aliquot.structures.extended_xyz_writer import lines

__all__ = ["REFERENCES", "Generated", "generate"]

REFERENCES: Final = (
    "M. Karabin and D. Perez, J. Chem. Phys. 153, 094110 (2020), arXiv:2002.07876",
    "D. Montes de Oca Zapiain et al., npj Comput. Mater. 8, 189 (2022), doi:10.1038/s41524-022-00872-x",
    "A. P. A. Subramanyam and D. Perez, npj Comput. Mater. 11, 218 (2025), doi:10.1038/s41524-025-01602-9",
)

#: Attempts that one process makes at a time.
TOGETHER: Final = 4

#: Seconds between two entries of the journal: what a kill can cost.
EVERY: Final = 2.0

#: Attempts without a single structure after which a recipe counts as impossible.
HOPELESS: Final = 400


@dataclass(frozen=True, eq=False)
class Generated:
    """Structures, how they came about, and what they are like.

    Parameters
    ----------
    frames : Frames
        In the order of acceptance; keys ``attempt``, ``cell_shape``, ``entropy_gain`` (nat per dimension).
    recipe : Recipe
    standard : Standard
        By what environments are standardised.
    curve : (n, 2) array
        Entropy of the set, and of the random packings, with every structure; nat per dimension.
    census, packed : Census
        Of the structures, and of the random packings in the same cells that they began with.
    weight : float
        K at the end.
    attempts : int
    verdicts : dict of str to int
    history : list of dict
        After every round; see :class:`~aliquot.explore.state.State`.
    seconds : float
        Wall time, of all runs together if it was stopped in between.
    """

    frames: Frames
    recipe: Recipe
    standard: Standard
    curve: NDArray[np.float64]
    census: Census
    packed: Census
    weight: float
    attempts: int
    verdicts: dict[str, int]
    history: list[dict[str, Any]]
    seconds: float

    def compare(self, name: str, frames: Frames, *, progress: Progress = silent) -> Census:
        """Another set, described and standardised in the same way."""
        return take_census(name, frames, self.recipe, self.standard, progress=progress)

    def to_dict(self) -> dict[str, Any]:
        """JSON-serialisable."""
        return {
            "structures": len(self.frames),
            "atoms": self.frames.n_atoms,
            "attempts": self.attempts,
            "verdicts": self.verdicts,
            "weight": self.weight,
            "seconds": self.seconds,
            "generated": self.census.to_dict(),
            "random_packings": self.packed.to_dict(),
            "history": self.history,
            "recipe": self.recipe.to_dict(),
            "references": list(REFERENCES),
        }


def generate(
    recipe: Recipe,
    n: int,
    *,
    folder: Path | None = None,
    executor: Executor | None = None,
    progress: Progress = silent,
) -> Generated:
    """Make ``n`` diverse structures; neither model nor labels are needed.

    Parameters
    ----------
    recipe : Recipe
        With the seed; on one machine the same recipe gives the same structures, whatever the number of workers. Other
        processors round differently, and so may the one process that compiles the loops at their first use ever;
        relaxations make other structures of that.
    n : int
    folder : Path, optional
        Where everything is kept as it comes; the same call goes on from there, also with a larger ``n``.
    executor : Executor, optional
        Who makes the attempts; this process by default.
    progress : callable

    Raises
    ------
    InputError
        If the recipe leads to no structure, or the folder holds something else.

    Notes
    -----
    32 atoms of one element, 110 functions: about 0.07 s a structure on one core, at 10,000 structures as at 100
    (``benchmarks/bench_generate.py``).

    Examples
    --------
    >>> made = generate(Recipe("Cu", atoms=(4, 8), features="ace:degree=6", reference=8, steps=5), 12)
    >>> len(made.frames), made.census.entropy > made.packed.entropy
    (12, True)
    """
    if n < 1:
        raise InputError(f"the number of structures must be positive; got {n}")
    with (
        tempfile.TemporaryDirectory(prefix="aliquot-") as scratch,
        Journal(Path(scratch) / "journal" if folder is None else folder, recipe) as journal,
    ):
        try:
            with one_thread():
                state = _Run(recipe, journal, executor, progress).until(n)
        except BaseException:
            journal.discard()
            raise
        return _answer(recipe, journal, state, n)


class _Run:
    """Rounds of attempts, entered into a journal."""

    def __init__(
        self, recipe: Recipe, journal: Journal, executor: Executor | None, progress: Progress
    ) -> None:
        self.recipe, self.journal, self.executor, self.progress = recipe, journal, executor, progress
        self._texts: list[str] = []
        self._rows: list[NDArray[np.float64]] = []

    def until(self, n: int) -> State:
        """The state with ``n`` structures or a few more."""
        started = perf_counter()
        state = self.journal.load()
        if self.executor is not None:
            compile_loops(self.recipe)
        if state is None:
            reference = self._spread(packings, list(range(self.recipe.reference)))
            state = State.begin(self.recipe, reference)
        before, saved = state.seconds, perf_counter()
        try:
            while state.accepted < n:
                found: list[Attempt] = self._spread(attempts, state.round(), state.drive())
                self._enter(state.absorb(self.recipe, found), state)
                state.seconds = before + perf_counter() - started
                state.remember()
                self._complain(state)
                self.progress("structures", min(state.accepted, n), n)
                if perf_counter() - saved > EVERY:
                    self._save(state)
                    saved = perf_counter()
        except BaseException:
            if self._texts and state.history and state.history[-1]["attempts"] == state.attempts:
                self._save(state)
            raise
        self._save(state)
        return state

    def _spread(self, task: Any, numbers: list[int], *shared: Any) -> list[Any]:
        """Results of a task for every number, in order."""
        parts = [numbers[i : i + TOGETHER] for i in range(0, len(numbers), TOGETHER)]
        if self.executor is None:
            return [one for part in parts for one in task(self.recipe, *shared, part)]
        waiting = [self.executor.submit(task, self.recipe, *shared, part) for part in parts]
        try:
            return [one for future in waiting for one in future.result()]
        except BrokenExecutor as error:
            raise InputError(
                f"a worker process died: {error}; the same command goes on from the last structures kept. Fewer workers"
                " need less memory"
            ) from error
        finally:
            for future in waiting:
                future.cancel()

    def _enter(self, kept: list[Accepted], state: State) -> None:
        """Take the accepted into what the next entry of the journal will hold."""
        if not kept:
            return
        self._texts.extend(lines(_frames(kept)))
        for a, _, entropy, packed in kept:
            self._rows.append(
                np.concatenate(
                    ([entropy, packed], a.seen, a.seen_packed, a.rows.mean(axis=0), a.packed.mean(axis=0))
                )
            )

    def _save(self, state: State) -> None:
        table = np.array(self._rows) if self._rows else np.empty((0, 0))
        self.journal.append(state, "".join(self._texts), table)
        self._texts, self._rows = [], []

    def _complain(self, state: State) -> None:
        last = next((h["attempts"] for h in reversed(state.history) if h["accepted"] < state.accepted), 0)
        if state.attempts - last < HOPELESS:
            return
        told = ", ".join(f"{times} {verdict}" for verdict, times in state.verdicts.items() if times)
        raise InputError(
            f"{state.attempts - last} attempts in a row gave no structure (all so far: {told}); allow more volume per"
            " atom, or a smaller core"
        )


def _frames(kept: list[Accepted]) -> Frames:
    """Accepted attempts as frames."""
    packings = [one.attempt.packing for one in kept]
    n, every = len(kept), np.ones(len(kept), bool)
    columns = {
        "attempt": np.array([one.attempt.number for one in kept], np.int64),
        "cell_shape": np.array([packing.shape for packing in packings], np.str_),
        "entropy_gain": np.array([one.gain for one in kept]),
    }
    return Frames(
        numbers=np.concatenate([packing.numbers for packing in packings]),
        positions=np.concatenate([packing.positions for packing in packings]),
        cells=np.array([packing.cell for packing in packings]),
        pbc=np.ones((n, 3), bool),
        offsets=np.cumsum([0, *(len(packing.numbers) for packing in packings)]).astype(np.int64),
        files=("generated",),
        file=np.zeros(n, np.int32),
        frame=np.arange(n),
        frame_columns={name: Column(values, every) for name, values in columns.items()},
    )


def _answer(recipe: Recipe, journal: Journal, state: State, n: int) -> Generated:
    """The first ``n`` structures."""
    frames = read(str(journal.structures))[np.arange(n)]
    k, d = len(COLUMNS), len(recipe.basis.functions)
    table = journal.table(2 + 2 * k + 2 * d)[:n]
    curve, seen, seen_packed, means, packed = np.split(table, np.cumsum([2, k, k, d]), axis=1)
    environments = frames.n_atoms
    return Generated(
        frames=frames,
        recipe=recipe,
        standard=state.standard,
        curve=curve,
        census=Census("generated", seen, means, float(curve[-1, 0]), environments),
        packed=Census("random packings", seen_packed, packed, float(curve[-1, 1]), environments),
        weight=state.weight,
        attempts=state.attempts,
        verdicts=dict(state.verdicts),
        history=state.history,
        seconds=state.seconds,
    )
