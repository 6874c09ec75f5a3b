"""A potential in PACE's conventions as the text of a ``.yace`` or ``.yaml`` file."""

from __future__ import annotations

import os
import tempfile
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path
from typing import Final

import numpy as np

from aliquot.ace.basis import Factor
from aliquot.ace.pace import couplings_of_class, same_factors
from aliquot.ace.pace_file import Bond, PaceContent, Term
from aliquot.errors import InputError

__all__ = ["COUNT", "check_unwritten", "replace_file", "yace_text", "yaml_text"]

#: PACE tabulates its radial functions in steps of this many Å; at this one its forces are good to about 1e-8.
SPLINE_STEP: Final = 1e-4

#: First line of our files: a file that was cut off between two functions would still be valid YAML.
COUNT: Final = "# made by aliquot: {} functions"

#: Energies of the core repulsion beyond which PACE would switch the potential off; there is no core.
CORE: Final = "rho_core_{0}: 100000, drho_core_{0}: 250"


def check_unwritten(path: Path, force: bool) -> None:
    """Refuse to replace a file unless told to."""
    if path.exists() and not force:
        raise InputError(f"{path} exists; use force to replace it")


def replace_file(path: Path, text: str) -> None:
    """Write a file, complete or not at all."""
    handle, working = tempfile.mkstemp(prefix=f".{path.name}-", dir=path.parent)
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
        Path(working).chmod(0o644)
        os.replace(working, path)
    except BaseException:
        Path(working).unlink(missing_ok=True)
        raise


def _float(value: float) -> str:
    """Shortest text that reads back as the same number, also by YAML 1.1 (which needs the point in 1.0e-05)."""
    text = repr(float(value))
    return text.replace("e", ".0e") if "e" in text and "." not in text else text


def _list(values: Iterable[object]) -> str:
    return "[" + ", ".join(_float(v) if isinstance(v, float) else str(v) for v in values) + "]"


def _radcoefficients(bond: Bond) -> str:
    return (
        "["
        + ", ".join("[" + ", ".join(_list(map(float, l)) for l in n) + "]" for n in bond.coefficients)
        + "]"
    )


def _symbols(content: PaceContent) -> list[str]:
    from ase.data import chemical_symbols

    return [chemical_symbols[z] for z in content.elements]


def yace_text(content: PaceContent) -> str:
    """Text of a ``.yace`` file."""
    lines = [
        COUNT.format(len(content.terms)),
        f"elements: [{', '.join(_symbols(content))}]",
        f"E0: {_list(content.reference)}",
        f"deltaSplineBins: {_float(SPLINE_STEP)}",
        "embeddings:",
    ]
    lines += [
        f"  {a}: {{ndensity: 1, FS_parameters: [1, 1], npoti: FinnisSinclair, {CORE.format('cutoff')}}}"
        for a in range(len(content.elements))
    ]
    lines.append("bonds:")
    for (a, b), bond in sorted(content.bonds.items()):
        n_max, l_count, n_base = bond.coefficients.shape
        lines.append(
            f"  [{a}, {b}]: {{nradmax: {n_max}, lmax: {l_count - 1}, nradbasemax: {n_base},"
            f" radbasename: {bond.base}, radparameters: [{_float(bond.lam)}],"
            f" radcoefficients: {_radcoefficients(bond)}, prehc: 0, lambdahc: 0, rcut: {_float(bond.cutoff)},"
            f" dcut: {_float(bond.dcut)}, rcut_in: 0, dcut_in: 0, inner_cutoff_type: distance}}"
        )
    lines.append("functions:")
    for a in range(len(content.elements)):
        lines.append(f"  {a}:")
        lines += [f"    - {_tilde(term)}" for term in content.terms if term.centre == a] or ["    []"]
    return "\n".join(lines) + "\n"


def _tilde(term: Term) -> str:
    ms = [m for key in term.table for m in key]
    return (
        f"{{mu0: {term.centre}, rank: {len(term.ns)}, ndensity: 1, num_ms_combs: {len(term.table)},"
        f" mus: {_list(term.elements)}, ns: {_list(term.ns)}, ls: {_list(term.ls)}, ms_combs: {_list(ms)},"
        f" ctildes: {_list(map(float, term.table.values()))}}}"
    )


def yaml_text(content: PaceContent) -> str:
    """Text of a ``.yaml`` file.

    Raises
    ------
    InputError
        If bonds differ with the centre: the format has one block for both directions.
    """
    for (a, b), bond in content.bonds.items():
        if not np.array_equal(bond.coefficients, content.bonds[b, a].coefficients):
            raise InputError(
                f"bonds [{a}, {b}] and [{b}, {a}] have different radial functions; a .yaml has one for both, write"
                " a .yace"
            )
    symbols = _symbols(content)
    blocks: defaultdict[tuple[str, ...], list[str]] = defaultdict(list)
    for one in symbols:  # every block that carries radial functions
        blocks[(one,)] = []
        blocks.update({(one, other): [] for other in symbols if other != one})
    # in the order to which PACE sorts them: matrices of an .asi file have no other names for their rows
    for term in sorted(
        content.terms, key=lambda t: (len(t.ns), [symbols[e] for e in t.elements], t.ns, t.ls)
    ):
        own = symbols[term.centre]
        name = (own, *sorted({symbols[e] for e in term.elements} - {own}))
        blocks[name] += [f"      - {text}" for text in _b_functions(term, symbols)]
    count = COUNT.format(sum(map(len, blocks.values())))
    lines = [count, "global:", f"  DeltaSplineBins: {_float(SPLINE_STEP)}", "species:"]
    for name, functions in blocks.items():
        first, last = name[0], name[-1]
        lines.append(f"  - speciesblock: {' '.join(name)}")
        if len(name) == 1:
            lines += ["    ndensityi: 1", "    npoti: FinnisSinclair", "    parameters: [1, 1]"]
            lines += [f"    {part}" for part in CORE.format("cut").split(", ")]
        if len(name) <= 2:
            bond = content.bonds[symbols.index(first), symbols.index(last)]
            lines += [f"    {key}: {value}" for key, value in _bond_keys(bond)]
        lines += ["    nbody:", *functions] if functions else ["    nbody: []"]
    return "\n".join(lines) + "\n"


def _bond_keys(bond: Bond) -> list[tuple[str, str]]:
    n_max, l_count, n_base = bond.coefficients.shape
    return [
        ("nradmaxi", str(n_max)),
        ("lmaxi", str(l_count - 1)),
        ("rcutij", _float(bond.cutoff)),
        ("dcutij", _float(bond.dcut)),
        ("NameOfCutoffFunctionij", "cos"),
        ("r_in", "0"),
        ("delta_in", "0"),
        ("inner_cutoff_type", "distance"),
        ("nradbaseij", str(n_base)),
        ("radbase", bond.base),
        ("radparameters", f"[{_float(bond.lam)}]"),
        ("radcoefficients", _radcoefficients(bond)),
        ("core-repulsion", "[0, 0]"),
    ]


def _b_functions(term: Term, symbols: list[str]) -> list[str]:
    """The functions B that make up one class of products."""
    factors = tuple(Factor(*f) for f in zip(term.elements, term.ns, term.ls, strict=True))
    found = couplings_of_class(term.ls, same_factors(factors))
    keys = sorted({key for _, table in found for key in table} | set(term.table))
    matrix = np.array([[table.get(key, 0.0) for _, table in found] for key in keys])
    right = np.array([term.table.get(key, 0.0) for key in keys])
    solution = np.linalg.lstsq(matrix, right, rcond=None)[0]
    if np.abs(matrix @ solution - right).max() > 1e-10 * np.abs(right).max():
        raise InputError(
            f"products of l = {list(term.ls)} are not made of PACE's functions; this is a defect"
        )
    kinds = " ".join(symbols[e] for e in (term.centre, *term.elements))
    return [
        f"{{type: {kinds}, nr: {_list(term.ns)}, nl: {_list(term.ls)},"
        + (f" lint: {_list(intermediate)}," if intermediate else "")
        + f" c: [{_float(c)}]}}"
        for (intermediate, _), c in zip(found, solution, strict=True)
        if c != 0.0
    ]
