"""How to hand a potential to LAMMPS ML-PACE and pacemaker: exact where the radial functions are PACE's, else fitted.

What PACE cannot hold is never dropped silently: an inner repulsion is refused unless it is written as a table of
its own (for ``pair_style hybrid/overlay``), reference energies are refused by the ``.yaml`` format.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from aliquot.ace.basis import Factor, Function
from aliquot.ace.pace import Table, canonical, class_tables, same_factors
from aliquot.ace.pace_file import Bond, PaceContent, Term, potential_of
from aliquot.ace.pace_probe import largest_differences
from aliquot.ace.pace_radial import LAMBDAS, SIZES, PaceRadials, exact_radials, fitted_radials, is_native
from aliquot.ace.pace_text import check_unwritten, replace_file, yace_text, yaml_text
from aliquot.ace.potential import AcePotential
from aliquot.ace.radial import ChebExpCos
from aliquot.errors import InputError
from aliquot.structures.frames import Frames

__all__ = ["PaceExport", "write_pace_yaml", "write_yace"]

Array = NDArray[np.float64]

#: Default of the shortest distance between atoms at which a fitted file is held to its tolerance, bond lengths.
CLOSEST: Final = 0.55

#: The stated bounds are this many times the largest difference that was seen.
SAFETY: Final = 10.0


@dataclass(frozen=True)
class PaceExport:
    """What was written, and how far it is from the potential.

    Parameters
    ----------
    path : Path
    exact : bool
        Function for function the same; otherwise the radial functions were fitted.
    n_radial : int
        Radial base functions K.
    lam : float
        λ of the base functions; 0 for SBessel.
    r_min : float
        Shortest distance (Å) of the fit; 0 if exact.
    radial_error, slope_error : float
        Largest error of a radial function and of its derivative, relative to its largest value.
    energy_bound, force_bound : float
        eV per atom and eV/Å: ten times the largest difference seen in probe structures, where forces beyond
        1 eV/Å count relative to the largest of their structure. Zero if exact.
    """

    path: Path
    exact: bool
    n_radial: int
    lam: float
    r_min: float = 0.0
    radial_error: float = 0.0
    slope_error: float = 0.0
    energy_bound: float = 0.0
    force_bound: float = 0.0

    def __str__(self) -> str:
        if self.exact:
            return f"{self.path}: exact, {self.n_radial} radial functions"
        return (
            f"{self.path}: radial functions fitted by {self.n_radial} ChebExpCos (λ = {self.lam}) beyond"
            f" {self.r_min:.2f} Å to {self.radial_error:.1e} (slopes {self.slope_error:.1e}); energies within"
            f" {self.energy_bound:.1e} eV per atom, forces within {self.force_bound:.1e} eV/Å"
        )


def write_yace(
    path: Path | str,
    potential: AcePotential,
    *,
    tolerance: float = 1e-5,
    r_min: float | None = None,
    probes: Frames | None = None,
    without_repulsion: bool = False,
    force: bool = False,
) -> PaceExport:
    """Write a ``.yace`` (C-tilde) file for LAMMPS ``pair_style pace``.

    Parameters
    ----------
    path : path
    potential : AcePotential
    tolerance : float
        Largest bound on forces (eV/Å) and energies (eV per atom) that is accepted where radial functions must be
        fitted.
    r_min : float, optional
        Shortest distance of the fit, Å; 0.55 bond lengths of each pair of elements if not given.
    probes : Frames, optional
        Structures of interest on which the fit is measured, besides the built-in ones.
    without_repulsion : bool
        Leave the inner repulsion out; write it with
        :func:`~aliquot.ace.pace_repulsion.write_repulsion_table` and overlay the two.
    force : bool
        Replace an existing file.

    Raises
    ------
    InputError
        If the file exists, the potential has a repulsion, or the fit misses the tolerance (with the numbers).
    """
    path = Path(path)
    check_unwritten(path, force)
    _refuse_repulsion(potential, without_repulsion)
    small = replace(potential, repulsion=None).pruned
    if is_native(small):
        radials = exact_radials(small)
        export = PaceExport(path, True, radials.single.shape[2], _lam(radials))
        content = _content(small, radials)
    else:
        export, content = _best_fit(path, small, tolerance=tolerance, r_min=r_min, probes=probes)
    replace_file(path, yace_text(content))
    return export


def write_pace_yaml(
    path: Path | str, potential: AcePotential, *, without_reference: bool = False, force: bool = False
) -> PaceExport:
    """Write a ``.yaml`` (B-basis) file for pacemaker and LAMMPS ``pair_style pace/extrapolation``; always exact.

    Parameters
    ----------
    path : path
    potential : AcePotential
        In ChebExpCos or SBessel functions.
    without_reference : bool
        Leave reference energies out: the format has no place for them. Forces do not change.
    force : bool
        Replace an existing file.

    Raises
    ------
    InputError
        If the file exists, or the potential has something that the format has not.
    """
    path = Path(path)
    check_unwritten(path, force)
    _refuse_repulsion(potential, False)
    small = potential.pruned
    if not is_native(small):
        raise InputError(
            f"a .yaml holds ChebExpCos or SBessel functions only, the potential has {small.basis.radial.name} and"
            f" pair functions {small.basis.pair_radial.name}; use write_yace, which fits them"
        )
    if np.any(potential.reference != 0.0) and not without_reference:
        raise InputError(
            f"a .yaml has no place for the reference energies {potential.reference.tolist()}; leave them out"
            " with without_reference=True, or write a .yace"
        )
    radials = exact_radials(small)
    content = _content(small, radials)
    replace_file(path, yaml_text(content))
    return PaceExport(path, True, radials.single.shape[2], _lam(radials))


# --- what goes into a file --------------------------------------------------------------------------------------


def _refuse_repulsion(potential: AcePotential, allowed: bool) -> None:
    if potential.repulsion is not None and not allowed:
        raise InputError(
            f"the potential has an inner repulsion ({potential.repulsion.kind}) that PACE's formats cannot hold;"
            " write it with write_repulsion_table, the rest with write_yace(…, without_repulsion=True), and"
            " overlay the two in LAMMPS"
        )


def _lam(radials: PaceRadials) -> float:
    return radials.family.lam if isinstance(radials.family, ChebExpCos) else 0.0


def _best_fit(
    path: Path, potential: AcePotential, *, tolerance: float, r_min: float | None, probes: Frames | None
) -> tuple[PaceExport, PaceContent]:
    """The smallest expansion within tolerance."""
    basis = potential.basis
    closest = CLOSEST * basis.r0 if r_min is None else np.full_like(basis.r0, r_min)
    if not np.all((closest > 0) & (closest < basis.cutoffs)):
        raise InputError(f"r_min must lie between 0 and the cutoff; got {closest.max()} Å")
    export = None
    for size in SIZES:
        tries = [fitted_radials(potential, size=size, lam=lam, r_min=closest) for lam in LAMBDAS]
        radials = min(tries, key=lambda t: t.slopes + t.pair_force)
        if size < SIZES[-1] and radials.pair_force > tolerance:
            continue  # the pair energies alone miss it
        content = _content(potential, radials)
        energy, forces = largest_differences(potential, potential_of(content), closest, probes)
        export = PaceExport(
            path,
            False,
            size,
            _lam(radials),
            float(closest.min()),
            radials.values,
            radials.slopes,
            SAFETY * energy,
            max(SAFETY * forces, radials.pair_force),
        )
        if max(export.energy_bound, export.force_bound) <= tolerance:
            return export, content
    raise InputError(
        f"the potential cannot be written to {path} within {tolerance:.1e} eV/Å: {export}; allow a larger"
        " tolerance or r_min. Written exactly are potentials in ChebExpCos or SBessel functions without pair"
        " functions; beside pair functions ChebExpCos needs dcut = 1e-5"
    )


def _content(potential: AcePotential, radials: PaceRadials) -> PaceContent:
    """The potential in PACE's conventions."""
    basis = potential.basis
    z, n_base = radials.single.shape[0], radials.single.shape[2]
    n_max = max((n for n, _ in radials.many), default=1)
    l_max = max((l for _, l in radials.many), default=0)
    family = radials.family
    bonds: dict[tuple[int, int], Bond] = {}
    for a in range(z):
        for b in range(z):
            table = np.zeros((n_max, l_max + 1, n_base))
            for (n, l), rows in radials.many.items():
                table[n - 1, l] = rows[a, b]
            lam, dcut = (family.lam, family.dcut) if isinstance(family, ChebExpCos) else (1.0, 0.01)
            bonds[a, b] = Bond(family.name, lam, float(basis.cutoffs[a, b]), dcut, table)
    terms = [
        Term(a, (b,), (int(k) + 1,), (0,), {(0,): float(radials.single[a, b, k])})
        for a in range(z)
        for b in range(z)
        for k in np.flatnonzero(radials.single[a, b])
    ]
    terms += _many_terms(potential)
    return PaceContent(basis.elements, tuple(map(float, potential.reference)), bonds, terms)


def _many_terms(potential: AcePotential) -> list[Term]:
    """Products of two and more densities, one term per class and centre, factors in PACE's order."""
    classes: dict[tuple[Factor, ...], list[tuple[int, Function]]] = defaultdict(list)
    for k, function in enumerate(potential.basis.functions):
        if function.order > 1:
            classes[function.factors].append((k, function))
    terms: list[Term] = []
    for centre, coefficients in enumerate(potential.coefficients):
        for factors, members in classes.items():
            tables = dict(class_tables(tuple(f.l for f in factors), same_factors(factors)))
            total: Table = {}
            for k, function in members:
                for ms, value in tables[function.L].items():
                    total[ms] = total.get(ms, 0.0) + float(coefficients[k]) * value
            if not any(total.values()):
                continue
            order = sorted(
                range(len(factors)), key=lambda i: (factors[i].channel, factors[i].n, factors[i].l)
            )
            chosen = tuple(factors[i] for i in order)
            permuted = {tuple(ms[i] for i in order): value for ms, value in total.items() if value != 0.0}
            table = dict(sorted(canonical(permuted, same_factors(chosen)).items()))
            channels, ns, ls = (tuple(f[i] for f in chosen) for i in range(3))
            terms.append(Term(centre, channels, ns, ls, table))
    return terms
