"""Does the grade warn in time? A crystal is heated with a potential that has seen crystals alone, until it breaks.

The oracle, which can be run, teaches and judges. Every few steps of the dynamics there stand side by side: the largest
grade of any atom, the spreads of posterior and ensemble, the true force error, and whether atoms have left their
sites. An alarm is the first look at which an indicator is above its threshold, as a guard takes it; the error *doubles*
at the first look at which it is above twice its median on structures in distribution.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np
from ase import Atoms, units
from numpy.typing import NDArray

from aliquot.ace.potential import AcePotential
from aliquot.dynamics.engines import AseEngine, thermal
from aliquot.errors import InputError
from aliquot.fitting import Recipe, candidate_basis, fit, split_at_random
from aliquot.oracle import open_oracle
from aliquot.structures import Frames
from aliquot.studies.grade_vs_ensemble.ensemble import forces_of, refit, spread
from aliquot.uncertainty import Uncertainty

__all__ = ["CRYSTALS", "Crystal", "Look", "Walk", "first", "heat", "labelled", "passages", "teach"]

Array = NDArray[np.float64]

#: An atom farther from its site than this share of the nearest distance has left it; of so many it is molten.
LEFT: Final = 0.5
MOLTEN: Final = 0.25

#: Strains of the crystals whose dynamics teach; those that test are strained by less.
STRAINS: Final = (-0.015, -0.005, 0.005, 0.015)

#: Every so many looks a row is kept to be drawn; times of alarms are of all looks.
THIN: Final = 2

#: Looks for which an atom must stay away from its site, so that a wide swing is no defect.
LASTING: Final = 3


@dataclass(frozen=True)
class Crystal:
    """What is heated.

    Parameters
    ----------
    oracle : str
        One of :data:`aliquot.oracle.source.EMBEDDED`.
    symbol : str
    repeat : int
        Cubic cells along each axis.
    stretch : float
        Of the lattice constant, for the heat.
    timestep : float, fs
    temperatures : tuple of float, K
        Of the dynamics that teach; heating begins at the first.
    last : float, K
        At the end of heating.
    degree : tuple of float
    cutoff : float, Å
    """

    oracle: str
    symbol: str
    repeat: int
    stretch: float
    timestep: float
    temperatures: tuple[float, ...]
    last: float
    degree: tuple[float, ...]
    cutoff: float

    def build(self, stretch: float = 1.0) -> Atoms:
        """The perfect crystal, stretched further by a factor."""
        from ase.build import bulk

        atoms = bulk(self.symbol, cubic=True).repeat(self.repeat)
        atoms.set_cell(atoms.cell.array * self.stretch * stretch, scale_atoms=True)
        return atoms


_COPPER: Final = Crystal("emt", "Cu", 3, 1.04, 3.0, (600.0,), 4000.0, (14.0, 12.0, 10.0), 5.5)
_SILICON: Final = Crystal("stillinger-weber", "Si", 2, 1.0, 2.0, (600.0,), 4500.0, (14.0, 12.0, 10.0), 5.0)
_WIDE: Final = (300.0, 600.0, 900.0, 1200.0)

#: Taught at one temperature, and at four: then errors in distribution are of cold and hot crystals together.
CRYSTALS: Final[dict[str, Crystal]] = {
    "copper": _COPPER,
    "copper, four temperatures": replace(_COPPER, temperatures=_WIDE),
    "silicon": _SILICON,
    "silicon, four temperatures": replace(_SILICON, temperatures=_WIDE),
}


@dataclass(frozen=True, eq=False)
class Look:
    """One look: indicators and errors of a structure; forces in eV/Å."""

    gamma: float
    leverage: float
    posterior: float
    ensemble: float
    error: float
    worst: float


@dataclass(frozen=True, eq=False)
class Walk:
    """A heated crystal, look by look: time (fs), temperature of the thermostat (K), share of atoms off their sites."""

    time: Array
    temperature: Array
    left: Array
    frames: Frames
    ended: str


# --- what teaches -------------------------------------------------------------------------------------------


def labelled(atoms: Sequence[Atoms], calculator: Any) -> Frames:
    """The same structures with energy, forces and virial by a calculator."""
    out: list[Atoms] = []
    for one in atoms:
        asked = Atoms(one.numbers, one.positions, cell=one.cell, pbc=one.pbc, calculator=calculator)
        told = Atoms(one.numbers, one.positions, cell=one.cell, pbc=one.pbc)
        told.info["REF_energy"] = float(asked.get_potential_energy())
        told.info["REF_virial"] = -asked.get_volume() * asked.get_stress(voigt=False)
        told.arrays["REF_forces"] = np.array(asked.get_forces())
        told.info["config_type"] = str(one.info.get("config_type", "crystal"))
        out.append(told)
    return Frames.from_atoms(out, source="oracle")


def teach(
    crystal: Crystal, calculator: Any, number: int, strains: Sequence[float], rng: np.random.Generator
) -> Frames:
    """So many labelled structures from dynamics of the oracle, in one crystal per strain.

    Crystals take the temperatures in turn.
    """
    from ase.md.langevin import Langevin

    found: list[Atoms] = []
    for strain, temperature in zip(
        strains, np.resize(crystal.temperatures, len(strains)).tolist(), strict=True
    ):
        atoms = thermal(crystal.build(1 + strain), temperature, rng)
        atoms.calc = calculator
        walk: Any = Langevin(
            atoms,
            crystal.timestep * units.fs,
            temperature_K=temperature,
            friction=0.01 / units.fs,
            rng=rng,
            fixcm=False,
        )
        walk.run(80)
        for _ in range(max(1, number // len(strains))):
            walk.run(15)
            kept = Atoms(atoms.numbers, atoms.positions, cell=atoms.cell, pbc=True)
            kept.info["config_type"] = f"{temperature:g} K"
            found.append(kept)
    return labelled(found, calculator)


# --- the heat -----------------------------------------------------------------------------------------------


def heat(
    known: Uncertainty, crystal: Crystal, *, hold: int, steps: int, every: int, rng: np.random.Generator
) -> Walk:
    """Dynamics of the potential: ``hold`` steps at the lowest temperature taught, then ``steps`` up to the last."""
    start = crystal.build()
    rows: list[tuple[float, float, float]] = []
    kept: list[Atoms] = []
    ended = "heated to the end"
    away = 0
    atoms = thermal(start, crystal.temperatures[0], rng)
    for step, temperature in _schedule(crystal, hold, steps, every):
        engine = AseEngine(
            known,
            atoms,
            timestep=crystal.timestep,
            temperature=temperature,
            friction=0.01,
            rng=rng,
            threads=1,
        )
        try:
            engine.advance(every)
        except InputError as error:  # atoms on each other, or positions that are not finite
            ended = str(error)
            break
        atoms = engine.atoms()
        share = left_sites(atoms, start)
        rows.append((step * crystal.timestep, temperature, share))
        kept.append(atoms)
        away = away + 1 if share > MOLTEN else 0
        if away > 5 * LASTING:
            ended = "molten"
            break
    if not rows:
        raise InputError(f"dynamics of {crystal.symbol} broke before the first look: {ended}")
    time, kelvin, left = np.array(rows).T
    bare = [Atoms(a.numbers, a.positions, cell=a.cell, pbc=a.pbc) for a in kept]
    return Walk(time, kelvin, left, Frames.from_atoms(bare, source="heat"), ended)


def _schedule(crystal: Crystal, hold: int, steps: int, every: int) -> Iterator[tuple[int, float]]:
    """Steps at the end of each stretch, and its temperature."""
    low, high = crystal.temperatures[0], crystal.last
    for step in range(every, hold + steps + 1, every):
        yield step, low + (high - low) * max(0.0, (step - hold) / steps)


def left_sites(atoms: Atoms, start: Atoms) -> float:
    """Share of atoms that are farther from their sites than half the nearest distance; drift is none."""
    moved = atoms.positions - start.positions
    moved -= moved.mean(axis=0)
    distance = np.min(start.get_distances(0, range(1, len(start)), mic=True))
    return float(np.mean(np.linalg.norm(moved, axis=1) > LEFT * distance))


# --- what there is to see -----------------------------------------------------------------------------------


def looks(known: Uncertainty, ensemble: Sequence[AcePotential], frames: Frames) -> list[Look]:
    """Indicators beside errors of labelled structures, one by one."""
    out: list[Look] = []
    for i in range(len(frames)):
        told = known.assess(frames, i)
        assert told.force_std is not None
        said = known.potential(frames, i, threads=1).forces
        label = frames.forces.values[frames.offsets[i] : frames.offsets[i + 1]]
        wrong = np.linalg.norm(said - label, axis=1)
        others = spread(forces_of(ensemble, frames, i))
        out.append(
            Look(
                told.largest,
                float(told.leverage.max()),
                float(told.force_std.mean()),
                float(others.mean()),
                float(wrong.mean()),
                float(wrong.max()),
            )
        )
    return out


def first(times: Array, above: NDArray[np.bool_], lasting: int = 1) -> float:
    """Time of the first look from which so many looks in a row are above; NaN where there is none.

    Examples
    --------
    >>> first(np.array([10.0, 20.0, 30.0, 40.0]), np.array([False, True, False, True]))
    20.0
    >>> first(np.array([10.0, 20.0, 30.0, 40.0]), np.array([True, False, True, True]), 2)
    30.0
    """
    runs = np.convolve(above, np.ones(lasting), "valid") == lasting
    return float(times[np.argmax(runs)]) if runs.any() else float("nan")


def passages(
    walk: Walk, seen: Sequence[Look], inside: Sequence[Look], thresholds: Sequence[float]
) -> list[dict[str, Any]]:
    """When each alarm rang, and what share of structures in distribution would have rung it too."""

    def of(name: str, which: Sequence[Look]) -> Array:
        return np.array([getattr(look, name) for look in which])

    def usual(name: str) -> float:
        return float(np.median(of(name, inside)))

    doubled = first(walk.time, of("error", seen) > 2 * usual("error"))
    worst = first(walk.time, of("worst", seen) > 2 * usual("worst"))
    defect = first(walk.time, walk.left > 0, LASTING)
    molten = first(walk.time, walk.left > MOLTEN, LASTING)
    alarms: list[tuple[str, str, float]] = [(f"γ above {t:g}", "gamma", t) for t in thresholds]
    names = {"leverage": "leverage", "posterior": "σ posterior", "ensemble": "spread of the ensemble"}
    alarms += [(f"{shown} doubled", name, 2 * usual(name)) for name, shown in names.items()]
    names = {"gamma": "γ"} | names
    alarms += [
        (f"{shown} above all in distribution", name, float(of(name, inside).max()))
        for name, shown in names.items()
    ]
    out: list[dict[str, Any]] = []
    for shown, name, threshold in alarms:
        when = first(walk.time, of(name, seen) > threshold)
        out.append(
            {
                "what": "passage",
                "indicator": shown,
                "alarm_fs": when,
                "doubled_fs": doubled,
                "worst_doubled_fs": worst,
                "defect_fs": defect,
                "molten_fs": molten,
                "lead_fs": doubled - when,
                "lead_worst_fs": worst - when,
                "lead_defect_fs": defect - when,
                "alarm_K": _at(walk, when),
                "doubled_K": _at(walk, doubled),
                "defect_K": _at(walk, defect),
                "error_at_alarm": _at_value(walk, when, of("error", seen) / usual("error")),
                "false_percent": 100 * float(np.mean(of(name, inside) > threshold)),
                "usual_error_meV": 1000 * usual("error"),
            }
        )
    return out


def _at(walk: Walk, when: float) -> float:
    return _at_value(walk, when, walk.temperature)


def _at_value(walk: Walk, when: float, values: Array) -> float:
    here = np.flatnonzero(walk.time == when)
    return float(values[here[0]]) if len(here) else float("nan")


# --- one run ------------------------------------------------------------------------------------------------


def run(
    name: str,
    *,
    structures: int,
    hold: int,
    steps: int,
    every: int,
    members: int,
    share: float,
    noise: float,
    thresholds: Sequence[float],
    rng: np.random.Generator,
) -> list[dict[str, Any]]:
    """Teach, heat, look: rows of passages, and of looks."""
    if name not in CRYSTALS:
        raise InputError(f"it is not stated how {name} is heated; there are {', '.join(CRYSTALS)}")
    crystal = CRYSTALS[name]
    make: Callable[[], Any] = open_oracle(crystal.oracle).factory
    calculator = make()
    train = teach(crystal, calculator, structures, STRAINS, rng)
    milder = rng.permutation(np.array(STRAINS) * rng.uniform(0.0, 0.8, len(STRAINS))).tolist()
    test = teach(crystal, calculator, structures // 2, milder, rng)
    basis = candidate_basis(train.elements, degree=crystal.degree, cutoff=crystal.cutoff)
    parts = split_at_random(train, seed=int(rng.integers(2**31)))
    main = fit(train, Recipe(basis=basis, posterior=True), parts=parts, threads=1)
    known = Uncertainty.build(main.potential, train, threads=1)
    others = [m.potential for m in refit(main, train, members, share=share, noise=noise, rng=rng)]
    walk = heat(known, crystal, hold=hold, steps=steps, every=every, rng=rng)
    met = labelled(walk.frames.to_atoms(), calculator)
    seen, inside = looks(known, others, met), looks(known, others, test)
    usual = {name: float(np.median([getattr(look, name) for look in inside])) for name in _RATIOS}
    rows = [
        {
            "what": "look",
            "time_fs": float(walk.time[k]),
            "temperature_K": round(float(walk.temperature[k]), 1),
            "gamma": _rounded(seen[k].gamma),
            "left_percent": round(100 * float(walk.left[k]), 2),
            **{f"{name}_ratio": _rounded(getattr(seen[k], name) / usual[name]) for name in _RATIOS},
        }
        for k in range(0, len(seen), THIN)
    ]
    functions = {"functions": main.size, "ended": walk.ended}
    return [row | functions for row in passages(walk, seen, inside, thresholds)] + rows


_RATIOS: Final = ("error", "ensemble")


def _rounded(value: float) -> float:
    return float(f"{value:.5g}")
