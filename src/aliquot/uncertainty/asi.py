r"""How do grades reach LAMMPS? As an ``.asi`` file, for ``pair_style pace/extrapolation``.

The file is a numpy zip: for each element, by its symbol, the square matrix :math:`A^{-1}` with :math:`\gamma = \max_j
|b A^{-1}|_j`, where b are PACE's functions in PACE's order: by rank, neighbour elements, n, l and L, as the ``.yaml``
file has them. Our functions are combinations of PACE's, :math:`b = b_{PACE} S`, so that :math:`A_{PACE}^{-1} = S
A^{-1}`. S is one number per function up to order 3, and a small block where order 4 has several couplings; it is
exact. It exists where the ``.yaml`` file of the potential (:func:`~aliquot.ace.pace_write.write_pace_yaml`) has as
many functions as the potential; anything else is refused.

In LAMMPS: ``pair_coeff * * pot.yaml pot.asi Cu`` and ``fix g all pair 10 pace/extrapolation gamma 1``.

References
----------
Y. Lysogorskiy, A. Bochkarev, M. Mrovec and R. Drautz, Phys. Rev. Materials 7, 043801 (2023),
doi:10.1103/PhysRevMaterials.7.043801
"""

from __future__ import annotations

import io
import os
import tempfile
import zipfile
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from aliquot.ace.basis import Factor, Function
from aliquot.ace.pace import canonical, couplings_of_class, project, same_factors
from aliquot.ace.pace_radial import is_native
from aliquot.ace.potential import AcePotential
from aliquot.errors import InputError
from aliquot.uncertainty.uncertainty import Uncertainty

__all__ = ["pace_mixing", "write_asi"]

Array = NDArray[np.float64]

#: (rank, neighbours, n, l, intermediate L): PACE's order of the functions of a centre.
Key = tuple[int, tuple[int, ...], tuple[int, ...], tuple[int, ...], tuple[int, ...]]


def write_asi(path: Path | str, known: Uncertainty, *, force: bool = False) -> Path:
    """Write the inverses of the active sets; beside the ``.yaml`` of the same potential.

    Parameters
    ----------
    path : path
    known : Uncertainty
        On the selected functions.
    force : bool
        Replace an existing file.

    Raises
    ------
    InputError
        If the file exists, the potential is not in PACE's own functions, or grades are on its full basis.
    """
    from ase.data import chemical_symbols

    path = Path(path)
    if path.exists() and not force:
        raise InputError(f"{path} exists; use force to replace it")
    if known.full_basis:
        raise InputError(
            "an .asi file belongs to the functions in use; build the active set without full_basis"
        )
    mixing = pace_mixing(known.potential)
    parts = {
        chemical_symbols[z]: np.ascontiguousarray(S @ one.inverse)
        for z, S, one in zip(known.potential.basis.elements, mixing, known.active, strict=True)
    }
    handle, working = tempfile.mkstemp(prefix=".aliquot-", dir=path.parent)
    try:
        with os.fdopen(handle, "wb") as file, zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as archive:
            for symbol, matrix in parts.items():
                content = io.BytesIO()
                np.save(content, matrix, allow_pickle=False)
                archive.writestr(f"{symbol}.npy", content.getvalue())
        Path(working).chmod(0o644)
        os.replace(working, path)
    except BaseException:
        Path(working).unlink(missing_ok=True)
        raise
    return path


def pace_mixing(potential: AcePotential) -> tuple[Array, ...]:
    """S of each element: our selected functions are ``b_pace @ S``; rows in PACE's order.

    Raises
    ------
    InputError
        If the potential is not in PACE's functions, or PACE needs more of them.
    """
    small = replace(potential, repulsion=None).pruned
    if not is_native(small):
        raise InputError(
            f"an .asi file holds grades of ChebExpCos or SBessel functions only; the potential has"
            f" {small.basis.radial.name} functions or pair functions: fit it in a basis of PACE's, or use aliquot md"
        )
    return tuple(_of_centre(small, z) for z in range(len(small.basis.elements)))


def _of_centre(potential: AcePotential, z: int) -> Array:
    support = np.flatnonzero(potential.coefficients[z])
    functions = potential.basis.functions
    rank = _ranks(potential)
    entries: dict[Key, dict[int, float]] = {}
    classes: dict[tuple[Factor, ...], list[int]] = {}
    for column, k in enumerate(support.tolist()):
        if functions[k].order == 1:
            for key, value in _single(potential, z, functions[k], rank):
                entries.setdefault(key, {})[column] = value
        else:
            classes.setdefault(functions[k].factors, []).append(column)
    for factors, columns in classes.items():
        labels = [functions[support[c]].L for c in columns]
        keys, block = _product(factors, labels, rank)
        for key, row in zip(keys, block, strict=True):
            entries[key] = dict(zip(columns, row.tolist(), strict=True))
    if len(entries) != len(support):
        raise InputError(
            f"PACE writes the {len(support)} functions of this potential as {len(entries)} of its own; the matrix of"
            " an .asi file must be square: fit with a basis of plain PACE functions"
        )
    S = np.zeros((len(support), len(support)))
    for row, key in enumerate(sorted(entries)):
        for column, value in entries[key].items():
            S[row, column] = value
    return S


def _ranks(potential: AcePotential) -> tuple[int, ...]:
    """Position of each element in PACE, which sorts by symbol."""
    from ase.data import chemical_symbols

    symbols = [chemical_symbols[z] for z in potential.basis.elements]
    rank = tuple(sorted(symbols).index(s) for s in symbols)
    highest = max((f.order for f in potential.basis.functions), default=1)
    if highest > 3 and rank != tuple(range(len(rank))):
        raise InputError(
            f"the couplings of order 4 of {', '.join(symbols)} depend on the order of the elements, which PACE takes"
            " from their symbols; grades can be exported up to order 3"
        )
    return rank


def _single(
    potential: AcePotential, centre: int, function: Function, rank: tuple[int, ...]
) -> list[tuple[Key, float]]:
    """A function of one density as PACE's bare radial functions."""
    basis, factor = potential.basis, function.factors[0]
    row = basis.radial_row(factor.n, factor.l)
    weights = np.eye(basis.n_base)[min(row, basis.n_base - 1)]
    if basis.mix is not None and row >= basis.n_base:
        weights = basis.mix.matrix[centre, factor.channel, row - basis.n_base - basis.n_pair]
    return [
        ((1, (rank[factor.channel],), (int(k) + 1,), (0,), ()), float(weights[k] / np.sqrt(4 * np.pi)))
        for k in np.flatnonzero(weights)
    ]


def _product(
    factors: tuple[Factor, ...], labels: list[int], rank: tuple[int, ...]
) -> tuple[list[Key], Array]:
    """PACE's functions of a class of products, and ours (by their L) as combinations of them."""
    order = sorted(range(len(factors)), key=lambda i: (rank[factors[i].channel], factors[i].n, factors[i].l))
    theirs = tuple(factors[i] for i in order)
    ls, same = tuple(f.l for f in factors), same_factors(factors)
    keys: list[Key] = []
    T: list[list[float]] = []  # PACE's function = Σ T × ours
    for intermediate, table in couplings_of_class(tuple(f.l for f in theirs), same_factors(theirs)):
        back: dict[tuple[int, ...], float] = {}
        for ms, value in table.items():
            ours = [0] * len(ms)
            for place, m in zip(order, ms, strict=True):
                ours[place] = m
            back[tuple(ours)] = back.get(tuple(ours), 0.0) + value
        found = project(canonical(back, same), ls, same)
        T.append([found.get(L, 0.0) for L in labels])
        if any(abs(found[L]) > 1e-12 for L in set(found) - set(labels)):
            T[-1] = [np.nan] * len(labels)  # also of a coupling that the potential does not use
        keys.append(
            (
                len(theirs),
                tuple(rank[f.channel] for f in theirs),
                tuple(f.n for f in theirs),
                tuple(f.l for f in theirs),
                intermediate,
            )
        )
    square = np.array(T)
    if square.shape[0] != square.shape[1] or not np.isfinite(square).all():
        raise InputError(
            f"the potential uses {len(labels)} of the {len(keys)} couplings of the products of l = {list(ls)}; PACE's"
            " couplings are others, and only all of them span the same: an .asi file cannot hold its grades"
        )
    return keys, np.linalg.inv(square).T
