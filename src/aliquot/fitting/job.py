"""The stages of one fit: what there is, rows, models, judgement."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from aliquot.ace.basis import AceBasis
from aliquot.ace.evaluator import AceEvaluator
from aliquot.ace.potential import AcePotential
from aliquot.ace.repulsion import Repulsion
from aliquot.errors import InputError
from aliquot.fitting.accumulate import Compressed, accumulate
from aliquot.fitting.baseline import Baseline
from aliquot.fitting.basis import candidate_basis
from aliquot.fitting.calibration import calibrate
from aliquot.fitting.checks import check_labels, virials_look_inverted
from aliquot.fitting.costs import evaluation_cost
from aliquot.fitting.errors import Comparison, compare
from aliquot.fitting.ladder import judge, ladder_of
from aliquot.fitting.learning import CHUNKS, Lesson, chunks, shares
from aliquot.fitting.posterior import Posterior, posterior_of
from aliquot.fitting.recipe import Recipe
from aliquot.fitting.record import Calibration, Rung
from aliquot.fitting.references import free_atoms, reference_energies
from aliquot.fitting.robust import Huber
from aliquot.fitting.splits import TEST, TRAIN, VALIDATION
from aliquot.fitting.weights import QUANTITIES
from aliquot.progress import Progress
from aliquot.solvers import LeastSquares, Path, Ridge, choose
from aliquot.structures.distances import distances
from aliquot.structures.frames import Frames

__all__ = ["Job"]

Array = NDArray[np.float64]
Names = NDArray[np.str_]

#: The repulsion ends at this share of the shortest distance of the training structures.
BELOW: Final = 0.9

#: Rounds of reweighting of a robust fit.
ROUNDS: Final = 3


@dataclass(frozen=True, eq=False)
class Job:
    """One fit: what was asked, and every stage of it."""

    frames: Frames
    recipe: Recipe
    part: Names
    group: Names
    folds: NDArray[np.int64] | None
    threads: int | None
    progress: Progress
    seconds: dict[str, float] = field(default_factory=dict[str, float])

    @contextmanager
    def clock(self, stage: str) -> Iterator[None]:
        """Note how long a stage takes."""
        start = time.perf_counter()
        yield
        self.seconds[stage] = self.seconds.get(stage, 0.0) + time.perf_counter() - start

    # --- what there is ------------------------------------------------------------------------------------------

    @cached_property
    def stage(self) -> Names:
        """Part of each structure, folds and pieces of the training structures told apart."""
        if self.folds is not None:
            named = np.char.add("fold ", self.folds.astype(str))
        elif self.recipe.learning_curve:
            piece = np.zeros(len(self.part), np.int64)
            piece[self.part == TRAIN] = chunks(self.group[self.part == TRAIN])
            named = np.char.add("piece ", piece.astype(str))
        else:
            return self.part
        return np.where(self.part == TRAIN, named, self.part)

    @cached_property
    def teaching(self) -> tuple[str, ...]:
        """Parts that the final model learns from."""
        return tuple(sorted(set(self.stage[self.part == TRAIN].tolist())))

    @cached_property
    def held_out(self) -> str | None:
        """The part that judges the final model: validation, or else test."""
        there = [name for name in (VALIDATION, TEST) if np.any(self.part == name)]
        return there[0] if there else None

    @cached_property
    def seen(self) -> NDArray[np.int64]:
        """Structures that the fit may look at: all but those of the test."""
        return np.flatnonzero(self.part != TEST)

    @cached_property
    def seen_frames(self) -> Frames:
        """Those structures."""
        return self.frames[self.seen]

    @cached_property
    def basis(self) -> AceBasis:
        """Functions to choose from."""
        return self.recipe.basis or candidate_basis(self.frames.elements)

    @cached_property
    def evaluator(self) -> AceEvaluator:
        """Of the basis."""
        return AceEvaluator(self.basis)

    @cached_property
    def reference(self) -> tuple[dict[int, float], str]:
        """Energies of free atoms, and where they come from."""
        if self.recipe.reference is not None:
            return dict(self.recipe.reference), "given"
        teach = self.frames[self.part == TRAIN]
        alone = free_atoms(teach) & teach.energy.present
        isolated = set(teach.numbers[teach.offsets[:-1][alone]].tolist()) == set(teach.elements)
        return reference_energies(teach), "isolated atoms" if isolated else "least squares"

    @cached_property
    def repulsion(self) -> Repulsion | None:
        """Between atoms closer than any two of the training structures, where nothing else holds them off."""
        if not self.recipe.repulsion:
            return None
        elements = self.basis.elements
        seen = distances(self.frames[self.part == TRAIN])
        place = [elements.index(z) for z in seen.elements]
        shortest = np.full((len(elements), len(elements)), np.inf)
        shortest[np.ix_(place, place)] = seen.shortest.min(axis=0)
        ends = np.where(np.isfinite(shortest), BELOW * shortest, 0.0).clip(
            0.75 * self.basis.r0, 2.0 * self.basis.r0
        )
        return Repulsion.zbl(elements, ends / 0.75)

    @cached_property
    def baseline(self) -> Baseline:
        """What is subtracted from labels."""
        if self.repulsion is None:
            return Baseline(self.reference[0])
        smallest = AceBasis(elements=self.basis.elements, cutoff=self.repulsion.range, degree=(1.0,))
        zero = np.zeros((len(smallest.elements), len(smallest.functions)))
        beneath = AcePotential(smallest, zero, np.zeros(len(zero)), self.repulsion)
        return Baseline(self.reference[0], beneath)

    def check(self) -> tuple[str, ...]:
        """Refuse what cannot be fitted; say what the user should know."""
        teach = self.part == TRAIN
        if not teach.any():
            raise InputError("no structure is left to train on; set fewer aside")
        self.recipe.weights.check(self.group)
        if self.recipe.learning_curve and (self.folds is not None or teach.sum() < CHUNKS):
            raise InputError(
                f"a learning curve needs at least {CHUNKS} training structures, and validation structures, not folds"
            )
        missing = sorted(set(self.recipe.offsets) - set(self.group[teach].tolist()))
        if missing:
            raise InputError(
                f"an energy offset is asked for group {', '.join(missing)}, which no training structure has; there are"
                f" {', '.join(sorted(set(self.group[teach].tolist())))}"
            )
        if unknown := sorted(set(self.frames.elements) - set(self.basis.elements)):
            raise InputError(f"the basis has no functions for atomic number {', '.join(map(str, unknown))}")
        _, notes = check_labels(self.frames, teach)
        self.baseline.check(self.frames)
        if self.reference[1] == "least squares":
            notes += (
                "energies of free atoms are fitted to the training structures, as not every element has an isolated"
                " atom: energies of atoms apart mean nothing",
            )
        warning = virials_look_inverted(self.frames, np.flatnonzero(teach), self.baseline)
        return notes if warning is None else (*notes, warning)

    # --- rows ---------------------------------------------------------------------------------------------------

    def compress(self, factors: Huber | None) -> Compressed:
        """Triangles of all labelled rows that teach or judge the path."""
        return accumulate(
            self.evaluator,
            self.seen_frames,
            parts=self.stage[self.seen],
            groups=self.group[self.seen],
            offsets=self.recipe.offsets,
            weights=self.recipe.weights,
            baseline=self.baseline,
            factors=factors,
            memory=self.recipe.memory,
            threads=self.threads,
            progress=self.progress,
        )

    def doubts(self) -> Huber | None:
        """Factors of rows: a cap on forces, and what earlier rounds did not believe."""
        cap = self.recipe.force_cap
        factors = None if cap is None else Huber({}, cap)
        for _ in range(ROUNDS if self.recipe.robust else 0):
            held = self.compress(factors)
            path = Ridge().solve(self.problem(held, self.teaching), validation=self.validation(held))
            best = int(np.nanargmin(path.errors("training" if self.held_out != VALIDATION else "validation")))
            coefficients = path.coefficients(best)
            offsets = {g: held.offset(self.teaching, g, coefficients) for g in self.recipe.offsets}
            said = compare(
                self.potential(coefficients),
                self.seen_frames,
                groups=self.group[self.seen],
                offsets=offsets,
                threads=self.threads,
                progress=self.progress,
            )
            factors = Huber.after(said, cap=cap)
        return factors

    def account(self, factors: Huber | None, offsets: Mapping[str, float]) -> tuple[str, ...]:
        """What was done to labels."""
        notes: list[str] = []
        if (cap := self.recipe.force_cap) is not None:
            force = np.linalg.norm(self.frames.forces.values, axis=1)
            count = int(np.count_nonzero(force > cap))
            notes.append(
                f"{count} of {self.frames.n_atoms} atoms have a force above {cap:g} eV/Å and do not teach"
            )
        if self.recipe.robust and factors is not None:
            notes.append(
                f"{factors.doubted()} labels count less than others, as the model does not believe them"
            )
        for group, value in offsets.items():
            notes.append(
                f"energies of {group} lie {1000 * value:+.1f} meV/atom from the others; the offset was fitted, and is"
                " subtracted before errors are taken"
            )
        return tuple(notes)

    # --- models -------------------------------------------------------------------------------------------------

    def problem(self, held: Compressed, parts: tuple[str, ...]) -> LeastSquares:
        """Least squares of these parts."""
        return LeastSquares.of(
            held.weighted(parts, self.recipe.weights),
            prior=np.tile(self.basis.prior, len(self.basis.elements)),
            costs=evaluation_cost(self.basis) if self.recipe.by_cost else None,
        )

    def validation(self, held: Compressed) -> Any:
        """Triangle of the validation rows, if there are any."""
        return held.weighted([VALIDATION], self.recipe.weights) if np.any(self.part == VALIDATION) else None

    def solve(self, held: Compressed) -> tuple[Path, int, str]:
        """The path, the chosen point, and why."""
        problem = self.problem(held, self.teaching)
        path = self.recipe.solver.solve(problem, validation=self.validation(held), progress=self.progress)
        if self.folds is None:
            return path, *choose(path, self.recipe.choice)
        path, rule = self._cross_validated(held, path), self.recipe.choice
        return path, *choose(path, rule if " by " in rule or rule == "final" else f"{rule} by validation")

    def _cross_validated(self, held: Compressed, path: Path) -> Path:
        """The path, each point with the error of models of its size on folds that they did not see."""
        curves: list[Array] = []
        for fold in self.teaching:
            others = tuple(name for name in self.teaching if name != fold)
            one = self.recipe.solver.solve(
                self.problem(held, others),
                validation=held.weighted([fold], self.recipe.weights),
                progress=self.progress,
            )
            curves.append(_at_sizes(one, path))
        mean = np.sqrt(np.mean(np.square(curves), axis=0))
        points = tuple(replace(p, validation=float(e)) for p, e in zip(path.points, mean, strict=True))
        note = (
            f"validation errors are of {len(self.teaching)} folds, each judged by models that did not see it"
        )
        return replace(path, points=points, notes=(*path.notes, note))

    def posterior(self, held: Compressed, support: NDArray[np.int64]) -> Posterior | None:
        """Precision of the coefficients, where it is asked for or can be judged."""
        if not len(support) or not (self.recipe.posterior or self.held_out):
            return None
        return posterior_of(self.problem(held, self.teaching), support)

    def potential(
        self,
        coefficients: Array,
        *,
        meta: Mapping[str, Any] | None = None,
        posterior: Posterior | None = None,
    ) -> AcePotential:
        """The potential of these coefficients."""
        elements = self.basis.elements
        reference = np.array([self.reference[0].get(z, 0.0) for z in elements])
        told = dict(meta or {})
        if kept := posterior if self.recipe.posterior else None:
            told["noise"] = self._noise(kept)
        return AcePotential(
            self.basis,
            coefficients.reshape(len(elements), -1),
            reference,
            self.repulsion,
            meta=told,
            precision=kept.ordered() if kept else None,
        )

    def _noise(self, posterior: Posterior) -> dict[str, float | None]:
        """Of labels, as the posterior has it: energies and virials per √atom; None where they have no weight."""
        weights = self.recipe.weights
        return {q: posterior.noise / w if (w := getattr(weights, q)) else None for q in QUANTITIES}

    # --- judgement ----------------------------------------------------------------------------------------------

    def compare(self, potential: AcePotential, offsets: Mapping[str, float]) -> Comparison:
        """Labels and predictions of all structures."""
        return compare(
            potential,
            self.frames,
            parts=self.part,
            groups=self.group,
            offsets=offsets,
            threads=self.threads,
            progress=self.progress,
        )

    def calibrate(
        self, coefficients: Array, posterior: Posterior | None, offsets: Mapping[str, float]
    ) -> Calibration | None:
        """How honest the posterior is on held-out structures."""
        if posterior is None or self.held_out is None:
            return None
        return calibrate(
            self.evaluator,
            self.frames,
            np.flatnonzero(self.part == self.held_out),
            coefficients,
            posterior,
            part=self.held_out,
            weights=self.recipe.weights,
            groups=self.group,
            offsets=offsets,
            baseline=self.baseline,
            threads=self.threads,
            progress=self.progress,
        )

    def learning(self, held: Compressed) -> tuple[Lesson, ...]:
        """Models of growing shares of the training structures."""
        if not self.recipe.learning_curve:
            return ()
        columns: list[Array] = []
        facts: list[tuple[int, int, int]] = []
        for share in shares():
            names = self.teaching[:share]
            problem = self.problem(held, names)
            path = self.recipe.solver.solve(problem, validation=self.validation(held), progress=self.progress)
            point, _ = choose(path, self.recipe.choice)
            columns.append(path.coefficients(point))
            count = int(np.isin(self.stage, names).sum())
            facts.append((count, problem.n_rows, path[point].size))
        judged = judge(
            self.evaluator,
            self.frames,
            np.stack(columns, axis=1),
            self.part,
            self.group,
            baseline=self.baseline,
            offsets=self.recipe.offsets,
            held=held,
            teaching=self.teaching,
            threads=self.threads,
            progress=self.progress,
        )
        return tuple(Lesson(*fact, errors) for fact, errors in zip(facts, judged, strict=True))

    def ladder(self, held: Compressed, path: Path, chosen: int) -> tuple[Rung, ...]:
        """Some models of the path with errors and times."""
        return ladder_of(
            self.evaluator,
            self.frames,
            path,
            self.part,
            self.group,
            chosen,
            build=self.potential,
            baseline=self.baseline,
            offsets=self.recipe.offsets,
            held=held,
            teaching=self.teaching,
            threads=self.threads,
            progress=self.progress,
        )


def _at_sizes(one: Path, path: Path) -> Array:
    """Validation errors of one path at the sizes (or, where all are of one size, the points) of another."""
    errors = one.errors("validation")
    sizes, wanted = one.sizes, path.sizes
    if sizes.min() == sizes.max():
        return errors[np.minimum(np.arange(len(path)), len(errors) - 1)]
    order = np.argsort(sizes, kind="stable")
    return np.interp(wanted, sizes[order], errors[order])
