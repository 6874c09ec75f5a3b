"""What does ``aliquot grade`` do? Make or open the active set, calibrate it, grade files, write what was asked."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from aliquot.cli.options import Reading
from aliquot.cli.outputs import Outputs
from aliquot.errors import InputError

if TYPE_CHECKING:
    from aliquot.ace.potential import AcePotential
    from aliquot.progress import Progress
    from aliquot.structures import Exclusion, Frames
    from aliquot.uncertainty import Uncertainty
    from aliquot.uncertainty.graded import Graded

__all__ = ["GradeJob", "GradeOutcome", "active_beside", "open_uncertainty", "run_grade"]


@dataclass(frozen=True)
class GradeJob:
    """Everything that ``aliquot grade`` was asked."""

    model: Path
    active: Path
    files: Sequence[Path] = ()
    train: Sequence[Path] = ()
    calibrate: Sequence[Path] = ()
    committee: int = 0
    weights: str = "30/1/1"
    full_basis: bool = False
    guard: bool = True
    spreads: bool = True
    select: float = 5.0
    stop: float = 25.0
    out: Path | None = None
    page: Path | None = None
    asi: Path | None = None
    seed: int = 0
    force: bool = False
    reading: Reading = field(default_factory=Reading)

    @property
    def inputs(self) -> list[Path]:
        """Files that are read."""
        return [self.model, *self.files, *self.train, *self.calibrate]

    def check(self) -> None:
        """Refuse what cannot be done before anything is read."""
        for place, ends in (
            (self.out, (".xyz", ".extxyz", ".gz", ".xz", ".traj", ".db")),
            (self.page, (".html",)),
            (self.asi, (".asi",)),
        ):
            if place is not None and place.suffix not in ends:
                raise InputError(f"{place}: its name must end in {' or '.join(ends)}")
        if not (self.files or self.train or self.calibrate or self.asi):
            raise InputError(
                "give structures to grade, or --train with those that the potential was fitted to"
            )
        if (self.out or self.page) and not self.files:
            raise InputError("there is nothing to write to -o or --page: give structures to grade")


@dataclass(frozen=True)
class GradeOutcome:
    """What was found, and where it is."""

    job: GradeJob
    known: Uncertainty
    graded: Graded | None
    exclusions: tuple[Exclusion, ...]
    notes: tuple[str, ...]

    @property
    def files(self) -> dict[str, Path]:
        """What was written."""
        job = self.job
        made = {
            "active": job.active if job.train or job.calibrate else None,
            "out": job.out,
            "page": job.page,
            "asi": job.asi,
        }
        return {what: path for what, path in made.items() if path is not None}


def run_grade(job: GradeJob, progress: Progress) -> GradeOutcome:
    """Do the job; every output appears, or none."""
    from aliquot.ace.potential import AcePotential

    job.check()
    # calibration adds to the active set in place; making one replaces another only by force
    with (
        Outputs(force=job.force, inputs=job.inputs) as outputs,
        Outputs(force=job.force or not job.train, inputs=job.inputs) as kept,
    ):
        staged = kept.claim(job.active) if job.train or job.calibrate else None
        places = {name: outputs.claim(p) for name in ("out", "page", "asi") if (p := getattr(job, name))}
        potential = AcePotential.load(job.model)
        known, notes = (
            _build(job, potential, progress)
            if job.train
            else (open_uncertainty(job.active, potential, job.model), ())
        )
        if job.calibrate:
            known, more = _calibrated(job, known, progress)
            notes += more
        if staged is not None:
            known.save(staged)
        graded, exclusions = _grade(job, known, progress) if job.files else (None, ())
        outcome = GradeOutcome(job, known, graded, exclusions, (*known.notes, *notes))
        _write(outcome, places)
    return outcome


def active_beside(model: Path) -> Path:
    """``model.active`` beside ``model.ace``."""
    return model.with_name(model.name.removesuffix(".ace") + ".active")


def open_uncertainty(place: Path, potential: AcePotential, model: Path) -> Uncertainty:
    """Read an active set, or say how to make one."""
    from aliquot.uncertainty import Uncertainty

    if not place.exists():
        raise InputError(
            f"there is no {place}; make it once from the structures that the potential was fitted to:"
            f" aliquot grade {model} --train FILE"
        )
    return Uncertainty.load(place, potential)


def _grade(job: GradeJob, known: Uncertainty, progress: Progress) -> tuple[Graded, tuple[Exclusion, ...]]:
    from aliquot.cli.options import read_usable
    from aliquot.uncertainty.graded import grade

    frames, exclusions, _ = read_usable(job.files, job.reading, progress)
    return grade(known, frames, spreads=job.spreads, progress=progress), exclusions


def _write(outcome: GradeOutcome, places: dict[str, Path]) -> None:
    """Annotated structures, the page, the file for LAMMPS."""
    job, graded = outcome.job, outcome.graded
    if "asi" in places:
        from aliquot.uncertainty import write_asi

        write_asi(places["asi"], outcome.known)
    if "out" in places and graded is not None:
        from aliquot.structures import write

        write(places["out"], graded.annotated())
    if "page" in places and graded is not None:
        from aliquot.report.grade import write_grades

        write_grades(
            places["page"],
            graded,
            model=str(job.model),
            select=job.select,
            stop=job.stop,
            exclusions=outcome.exclusions,
            notes=outcome.notes,
        )


def _build(job: GradeJob, potential: AcePotential, progress: Progress) -> tuple[Uncertainty, tuple[str, ...]]:
    """The active set, and a committee if one is asked for."""
    import numpy as np

    from aliquot.cli.options import read_usable
    from aliquot.fitting import Weights
    from aliquot.uncertainty import Uncertainty, bootstrap_committee

    frames, _, _ = read_usable(job.train, job.reading, progress)
    spread = None
    if job.committee:
        spread = bootstrap_committee(
            potential,
            frames,
            job.committee,
            rng=np.random.default_rng(job.seed),
            weights=Weights.from_text(job.weights),
            progress=progress,
        )
    known = Uncertainty.build(
        potential, frames, full_basis=job.full_basis, guard=job.guard, spread=spread, progress=progress
    )
    return known, _told_part(potential, frames)


def _told_part(potential: AcePotential, frames: Frames) -> tuple[str, ...]:
    """Say if these are not the structures that the potential was fitted to."""
    fitted = potential.meta.get("structures_hash")
    if fitted is None or fitted == frames.ids.digest():
        return ()
    return (
        f"the active set is of {len(frames)} structures, not of all {potential.meta.get('structures', 0)} that the fit"
        " read; right if the others only validated or tested",
    )


def _calibrated(job: GradeJob, known: Uncertainty, progress: Progress) -> tuple[Uncertainty, tuple[str, ...]]:
    import numpy as np

    from aliquot.cli.options import read_usable
    from aliquot.uncertainty import calibrated

    frames, _, _ = read_usable(job.calibrate, job.reading, progress)
    part = f"{len(frames)} structures of {', '.join(str(f) for f in job.calibrate)}"
    out = calibrated(known, frames, rng=np.random.default_rng(job.seed), part=part, progress=progress)
    return out, (f"calibrated on {part}: bounds hold for structures like those",)
