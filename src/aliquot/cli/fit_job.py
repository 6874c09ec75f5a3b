"""What does ``aliquot fit`` do? Read, divide, fit, write: a potential, its record, its report."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from aliquot.cli.options import Reading
from aliquot.cli.outputs import Outputs
from aliquot.cli.screen import Screen
from aliquot.errors import InputError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from aliquot.ace.basis import AceBasis
    from aliquot.fitting import Fit, Recipe
    from aliquot.progress import Progress
    from aliquot.solvers import Solver
    from aliquot.structures import Exclusion, Frames

__all__ = ["FitJob", "FitOutcome", "Splitting", "column", "parse_solver", "run_fit"]


@dataclass(frozen=True)
class Splitting:
    """How structures are divided.

    Parameters
    ----------
    column : str or None
        Names the part of each structure.
    validation, test : float
        Shares that are set aside at random.
    folds : int
        Of whole groups, in place of validation structures; 0 for none.
    fold_by : str
        Column that names the groups.
    seed : int
    """

    column: str | None = None
    validation: float = 0.15
    test: float = 0.0
    folds: int = 0
    fold_by: str = "config_type"
    seed: int = 0


@dataclass(frozen=True)
class FitJob:
    """Everything that ``aliquot fit`` was asked; texts as they were given."""

    train: Sequence[Path]
    out: Path
    test: Sequence[Path] = ()
    degree: str | None = None
    order: int = 3
    cutoff: float | None = None
    pair: int | None = None
    smoothness: float = 4.0
    solver: str = "omp:penalty=evidence"
    choice: str = "within 1.02"
    weights: str = "30/1/1"
    reference: str | None = None
    repulsion: bool = True
    offsets: Sequence[str] = ()
    force_cap: float | None = None
    robust: bool = False
    by_cost: bool = False
    posterior: bool = False
    active: bool = False
    learning_curve: bool = False
    memory: float = 2.0
    group_by: str = "config_type"
    splitting: Splitting = field(default_factory=Splitting)
    lammps: bool = True
    report: bool = True
    force: bool = False
    reading: Reading = field(default_factory=Reading)

    def beside(self, ending: str) -> Path:
        """``model.html`` beside ``model.ace``."""
        return self.out.with_name(self.out.name.removesuffix(".ace") + ending)

    def places(self) -> dict[str, Path]:
        """Every file that may appear, by what it is."""
        places = {"potential": self.out, "record": self.beside(".path.json")}
        if self.lammps:
            places["lammps"] = self.beside(".yace")
            if self.repulsion:
                places["repulsion"] = self.beside(".repulsion.table")
        if self.active:
            places["active"] = self.beside(".active")
        if self.report:
            places["report"] = self.beside(".html")
        return places


@dataclass(frozen=True)
class FitOutcome:
    """What a fit did, and where it lies."""

    fit: Fit
    frames: Frames
    exclusions: tuple[Exclusion, ...]
    files: Mapping[str, Path]
    notes: tuple[str, ...]

    def to_dict(self) -> dict[str, Any]:
        """The JSON object of ``--json``."""
        record = self.fit.to_dict()
        del record["path"]  # it is in its own file
        return {
            "command": "fit",
            "files": {what: str(path) for what, path in self.files.items()},
            "excluded": [{"file": e.file, "frame": e.frame, "problem": e.problem} for e in self.exclusions],
            "notes": [*self.notes, *record.pop("notes")],
            "fit": record,
        }


def run_fit(job: FitJob, screen: Screen) -> FitOutcome:
    """Do the job; every output appears, or none."""
    from aliquot.fitting import Weights, fit

    if job.out.suffix != ".ace":
        raise InputError(f"{job.out}: the name of a potential ends in .ace")
    solver, weights, reference = (
        parse_solver(job.solver),
        Weights.from_text(job.weights),
        _reference(job.reference),
    )
    places = job.places()
    with Outputs(force=job.force, inputs=[*job.train, *job.test]) as outputs:
        staged = {what: outputs.claim(place) for what, place in places.items()}
        with screen.progress() as progress:
            frames, parts, exclusions, notes = _read(job, progress)
            recipe = _recipe(job, frames, solver, weights, reference)
            groups = column(frames, job.group_by)
            done = fit(
                frames,
                recipe,
                parts=parts,
                groups=groups,
                folds=_folds(job, frames, parts),
                meta=_provenance(job, frames),
                progress=progress,
            )
            if job.active:
                notes += _write_active(staged["active"], done, frames, parts, progress)
        notes += _write(staged, job, done, frames, exclusions, notes)
    files = {what: place for what, place in places.items() if place.exists()}
    return FitOutcome(done, frames, exclusions, files, notes)


def parse_solver(text: str) -> Solver:
    """``omp`` or ``omp:max_size=500,penalty=evidence``.

    Raises
    ------
    InputError
        If there is no such solver or parameter.
    """
    from dataclasses import fields

    from aliquot.cli.method_spec import parameters_of
    from aliquot.solvers import SOLVERS

    name, _, rest = (part.strip() for part in text.partition(":"))
    if name not in SOLVERS:
        raise InputError(f"solver {name!r} is not known; choose one of {', '.join(SOLVERS)}")
    kind = SOLVERS[name].solver
    parameters = parameters_of(kind, text, rest)
    known = [f.name for f in fields(kind)]
    if unknown := sorted(set(parameters) - set(known)):
        raise InputError(f"solver {name} has no parameter {', '.join(unknown)}; it has {', '.join(known)}")
    return kind(**parameters)


def _read(
    job: FitJob, progress: Progress
) -> tuple[Frames, NDArray[np.str_], tuple[Exclusion, ...], tuple[str, ...]]:
    """All structures with the part of each."""
    import numpy as np

    from aliquot.cli.options import read_usable
    from aliquot.fitting import TEST, split_at_random, split_by_column
    from aliquot.structures import Frames

    frames, exclusions, notes = read_usable(job.train, job.reading, progress)
    how = job.splitting
    parts = None if how.column is None else split_by_column(frames, how.column)
    has_validation = parts is not None and bool(np.any(parts == "validation"))
    share = 0.0 if has_validation or how.folds or len(frames) < 4 else how.validation
    parts = split_at_random(frames, parts, validation=share, test=how.test, seed=how.seed)
    if job.test:
        judges, bad, test_notes = read_usable(job.test, job.reading, progress)
        exclusions, notes = (*exclusions, *bad), (*notes, *(f"test: {note}" for note in test_notes))
        parts = np.concatenate((parts, np.full(len(judges), TEST)))
        frames = Frames.concatenate((frames, judges))
    if exclusions:
        notes = (*notes, f"{len(exclusions)} frames were excluded; the first: {exclusions[0]}")
    seen = frames.hashes[parts != TEST]
    if repeated := int(np.isin(frames.hashes[parts == TEST], seen).sum()):
        notes = (*notes, f"{repeated} test structures are also among those of training or validation")
    return frames, parts, exclusions, notes


def _recipe(job: FitJob, frames: Frames, solver: Solver, weights: Any, reference: Any) -> Recipe:
    from aliquot.fitting import Recipe

    return Recipe(
        basis=_basis(job, frames.elements),
        solver=solver,
        choice=job.choice,
        weights=weights,
        reference=reference,
        repulsion=job.repulsion,
        offsets=tuple(job.offsets),
        force_cap=job.force_cap,
        robust=job.robust,
        by_cost=job.by_cost,
        posterior=job.posterior,
        learning_curve=job.learning_curve,
        memory=int(job.memory * 1e9),
    )


def _basis(job: FitJob, elements: tuple[int, ...]) -> AceBasis:
    from aliquot.fitting import candidate_basis

    degree = None
    if job.degree is not None:
        try:
            degree = tuple(float(part) for part in job.degree.replace("/", ",").split(","))
        except ValueError:
            raise InputError(f"--degree {job.degree!r}: give one number per order, as in 25,21,17") from None
        if len(degree) == 1:
            degree = degree * job.order
    return candidate_basis(
        elements, order=job.order, degree=degree, cutoff=job.cutoff, pair=job.pair, smoothness=job.smoothness
    )


def _reference(text: str | None) -> dict[int, float] | None:
    """``Si=-158.5,O=-432`` by atomic number."""
    if text is None:
        return None
    from ase.data import atomic_numbers

    out: dict[int, float] = {}
    for piece in text.split(","):
        name, _, value = (part.strip() for part in piece.partition("="))
        try:
            out[int(atomic_numbers[name])] = float(value)
        except (KeyError, ValueError):
            raise InputError(f"--reference {piece!r} is not ELEMENT=ENERGY in eV, as in Si=-158.54") from None
    return out


def column(frames: Frames, name: str) -> NDArray[np.str_]:
    """Values of a key as text, empty where a frame has none."""
    import numpy as np

    column = frames.frame_columns.get(name)
    if column is None:
        if name != "config_type":
            raise InputError(
                f"no frame has a key {name!r} to group by; there are {', '.join(sorted(frames.frame_columns))}"
            )
        return frames.config_type
    return np.where(column.present, column.values.astype(str), "")


def _folds(job: FitJob, frames: Frames, parts: NDArray[np.str_]) -> NDArray[np.int64] | None:
    if not job.splitting.folds:
        return None
    import numpy as np

    from aliquot.fitting import TRAIN, folds_of_groups

    teach = parts == TRAIN
    out = np.zeros(len(frames), np.int64)
    groups = column(frames, job.splitting.fold_by)[teach]
    out[teach] = folds_of_groups(groups, job.splitting.folds, seed=job.splitting.seed)
    return out


def _provenance(job: FitJob, frames: Frames) -> dict[str, Any]:
    """What the potential says of its origin."""
    from aliquot import __version__

    return {
        "made_by": f"aliquot {__version__} fit",
        "structures": len(frames),
        "structures_hash": frames.ids.digest(),
        "seed": job.splitting.seed,
    }


def _write(
    staged: Mapping[str, Path],
    job: FitJob,
    done: Fit,
    frames: Frames,
    exclusions: tuple[Exclusion, ...],
    read: tuple[str, ...],
) -> tuple[str, ...]:
    """Every file; what could not be written exactly is told, and what was ``read`` goes into the report."""
    notes: tuple[str, ...] = ()
    done.potential.save(staged["potential"])
    staged["record"].write_text(done.to_json() + "\n", encoding="utf-8")
    if job.lammps:
        notes = _write_lammps(staged, done)
    if "report" in staged:
        from aliquot.report.fit import write_fit_report

        write_fit_report(staged["report"], done, frames, exclusions=exclusions, notes=(*read, *notes))
    return notes


def _write_active(
    place: Path, done: Fit, frames: Frames, parts: NDArray[np.str_], progress: Progress
) -> tuple[str, ...]:
    """What the structures that taught span, for ``aliquot grade`` and ``aliquot md``."""
    import numpy as np

    from aliquot.fitting import TRAIN
    from aliquot.uncertainty import Uncertainty

    known = Uncertainty.build(done.potential, frames[np.flatnonzero(parts == TRAIN)], progress=progress)
    known.save(place)
    return known.notes


def _write_lammps(staged: Mapping[str, Path], done: Fit) -> tuple[str, ...]:
    from aliquot.ace.pace_repulsion import write_repulsion_table
    from aliquot.ace.pace_write import write_yace

    notes: tuple[str, ...] = ()
    try:
        made = write_yace(staged["lammps"], done.potential, without_repulsion=True)
        if not made.exact:
            notes = (
                f"the file for LAMMPS fits the radial functions: energies differ by at most {made.energy_bound:.1g}"
                f" eV/atom and forces by {made.force_bound:.1g} eV/Å on probes beyond {made.r_min:.2f} Å",
            )
        if "repulsion" in staged:
            write_repulsion_table(staged["repulsion"], done.potential)
    except InputError as error:
        staged["lammps"].unlink(missing_ok=True)
        return (f"no file for LAMMPS was written: {error}",)
    return notes
