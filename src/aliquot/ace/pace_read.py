"""How to import a linear potential of pacemaker: ``.yace`` (C-tilde) and ``.yaml`` (B-basis) files.

Only what our basis can express exactly is accepted; everything else is refused with what was found. Files are
parsed as plain data by PyYAML's safe loader.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import numpy as np
import yaml

from aliquot.ace.pace import b_table
from aliquot.ace.pace_file import Bond, PaceContent, Term, potential_of
from aliquot.ace.pace_text import COUNT
from aliquot.ace.potential import AcePotential
from aliquot.errors import InputError

__all__ = ["read_pace"]

#: Keys of a bond in ``.yaml`` by those of ``.yace``.
YAML_NAMES: Final = {
    "rcut_in": "r_in",
    "dcut_in": "delta_in",
    "radbasename": "radbase",
    "nradmax": "nradmaxi",
    "lmax": "lmaxi",
    "nradbasemax": "nradbaseij",
    "rcut": "rcutij",
    "dcut": "dcutij",
}
YACE_NAMES: Final = {v: v for v in ("prehc", *YAML_NAMES)}


_Safe: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # in C where PyYAML was built with libyaml


class _Loader(_Safe):
    """The safe loader, with ``[0, 1]:`` allowed as a key (read as a tuple)."""


def _mapping(loader: Any, node: yaml.MappingNode) -> dict[Any, Any]:
    out: dict[Any, Any] = {}
    for key_node, value_node in node.value:
        key = loader.construct_object(key_node, deep=True)
        out[tuple(key) if isinstance(key, list) else key] = loader.construct_object(value_node, deep=True)
    return out


_Loader.add_constructor(yaml.resolver.BaseResolver.DEFAULT_MAPPING_TAG, _mapping)


def read_pace(path: Path | str) -> AcePotential:
    """Import a linear potential of PACE.

    Parameters
    ----------
    path : path
        A ``.yace`` or ``.yaml`` file; the content decides which of the two it is.

    Returns
    -------
    AcePotential
        Equal to the file's potential to rounding: radial functions are evaluated, not splined.

    Raises
    ------
    InputError
        If the file cannot be read, is damaged, is not linear (several densities, an embedding other than
        Finnis–Sinclair with parameters [1, 1]), has a core repulsion or inner cutoff, radial functions other than
        ChebExpCos and SBessel, or a rank above 4.
    """
    path = Path(path)
    try:
        text = path.read_text(encoding="utf-8")
        tree = yaml.load(text, Loader=_Loader)
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path} cannot be read: {error}") from error
    except (yaml.YAMLError, TypeError) as error:
        raise InputError(f"{path} is not a complete YAML file: {error}") from error
    try:
        if not isinstance(tree, Mapping):
            raise InputError("it holds no keys")
        if "species" in tree:
            content, kind = _b_basis(tree), "B-basis"
        elif "functions" in tree:
            content, kind = _c_tilde(tree), "C-tilde"
        else:
            raise InputError("it has neither the key 'functions' (.yace) nor 'species' (.yaml)")
        count = re.match(COUNT.format(r"(\d+)"), text)
        if count and int(count[1]) != len(content.terms):
            raise InputError(
                f"it was made with {count[1]} functions but holds {len(content.terms)}; it is cut off"
            )
        return potential_of(content, meta={"imported": path.name, "format": f"PACE {kind}"})
    except InputError as error:
        raise InputError(f"{path} cannot be imported: {error}") from error
    except (TypeError, ValueError, AttributeError, KeyError, IndexError) as error:
        raise InputError(
            f"{path} is not a PACE potential: something has the wrong type: {error!r}"
        ) from error


def _need(mapping: Mapping[Any, Any], key: Any, where: str) -> Any:
    """The value of a key."""
    if not isinstance(mapping, Mapping):
        raise InputError(f"{where} is {type(mapping).__name__}, expected keys and values")
    if key not in mapping:
        raise InputError(f"{where} lacks {key if not isinstance(key, tuple) else list(key)!r}")
    return mapping[key]


def _number(mapping: Mapping[Any, Any], key: str, where: str, default: float | None = None) -> float:
    """A finite number; exponents without a decimal point are strings to YAML 1.1."""
    value = _need(mapping, key, where) if default is None else mapping.get(key, default)
    try:
        number = float(value)
    except (TypeError, ValueError):
        number = float("nan")
    if isinstance(value, bool) or not np.isfinite(number):
        raise InputError(f"{key} of {where} is {value!r}, expected a finite number")
    return number


def _whole(values: Any, where: str) -> tuple[int, ...]:
    """A list of integers."""
    if not isinstance(values, list) or any(not isinstance(v, int) or isinstance(v, bool) for v in values):
        raise InputError(f"{where} is {values!r}, expected a list of integers")
    return tuple(values)


def _numbers(values: Any, where: str) -> np.ndarray:
    """An array of finite numbers."""
    try:
        array = np.asarray(values, float)
    except (TypeError, ValueError) as error:
        raise InputError(f"{where} is not a table of numbers: {error}") from error
    if not np.all(np.isfinite(array)):
        raise InputError(f"{where} has a number that is not finite")
    return array


def _atomic_number(symbol: Any) -> int:
    from ase.data import atomic_numbers

    number = atomic_numbers.get(symbol if isinstance(symbol, str) else "", 0)
    if number == 0:
        raise InputError(f"{symbol!r} is not a chemical element")
    return number


def _check_embedding(where: str, kind: Any, densities: Any, parameters: Any) -> None:
    """Refuse what is not linear."""
    if densities != 1 or kind != "FinnisSinclair" or _numbers(parameters, where).tolist() != [1.0, 1.0]:
        raise InputError(
            f"{where} is {kind} of {densities} densities with parameters {parameters}; only a linear potential"
            " can be imported: FinnisSinclair of 1 density with parameters [1, 1]"
        )


def _bond(raw: Mapping[str, Any], where: str, names: Mapping[str, str]) -> Bond:
    """Radial functions of one bond; ``names`` are the keys of the format."""
    inner = raw.get("inner_cutoff_type", "density")
    core = _number(raw, names["prehc"], where, 0.0) if "prehc" in names else _core(raw, where)
    close = _number(raw, names["rcut_in"], where, 0.0), _number(raw, names["dcut_in"], where, 0.0)
    if core != 0.0 or inner not in ("density", "distance") or close != (0.0, 0.0):
        raise InputError(
            f"{where} has a core repulsion of height {core} with inner cutoff {close[0]} Å ({inner}, width"
            f" {close[1]} Å); these cannot be expressed here: refit or export without them"
        )
    base = _need(raw, names["radbasename"], where)
    lam = _numbers(_need(raw, "radparameters", where), f"radparameters of {where}")
    coefficients = _numbers(_need(raw, "radcoefficients", where), f"radcoefficients of {where}")
    shape = [_need(raw, names[k], where) for k in ("nradmax", "lmax", "nradbasemax")]
    n_max, l_max, n_base = _whole(shape, f"nradmax, lmax and nradbasemax of {where}")
    if n_max == 0:
        coefficients = np.zeros((0, l_max + 1, n_base))
    if coefficients.shape != (n_max, l_max + 1, n_base):
        raise InputError(
            f"radcoefficients of {where} have shape {coefficients.shape}, expected {(n_max, l_max + 1, n_base)}"
        )
    return Bond(
        base=str(base),
        lam=float(lam.flat[0]) if lam.size else 0.0,
        cutoff=_number(raw, names["rcut"], where),
        dcut=_number(raw, names["dcut"], where),
        coefficients=coefficients,
    )


def _core(raw: Mapping[str, Any], where: str) -> float:
    """Height of the core repulsion of a ``.yaml`` block."""
    values = _numbers(raw.get("core-repulsion", [0.0]), f"core-repulsion of {where}")
    return float(values.flat[0]) if values.size else 0.0


# --- .yace ------------------------------------------------------------------------------------------------------


def _c_tilde(tree: Mapping[str, Any]) -> PaceContent:
    symbols = _need(tree, "elements", "the file")
    if not isinstance(symbols, list) or not symbols or len(set(map(str, symbols))) != len(symbols):
        raise InputError(f"elements are {symbols!r}, expected a list of distinct symbols")
    numbers = tuple(_atomic_number(s) for s in symbols)
    reference = _numbers(tree.get("E0", [0.0] * len(numbers)), "E0")
    if reference.shape != (len(numbers),):
        raise InputError(f"E0 has {reference.size} values for {len(numbers)} elements")
    embeddings, raw_bonds = _need(tree, "embeddings", "the file"), _need(tree, "bonds", "the file")
    bonds: dict[tuple[int, int], Bond] = {}
    for a in range(len(numbers)):
        where = f"embedding {a}"
        given = _need(embeddings, a, "embeddings")
        kind = (_need(given, k, where) for k in ("npoti", "ndensity", "FS_parameters"))
        _check_embedding(where, *kind)
        for b in range(len(numbers)):
            bonds[a, b] = _bond(_need(raw_bonds, (a, b), "bonds"), f"bond [{a}, {b}]", YACE_NAMES)
    if tree.get("summed_neighbour_A"):
        raise InputError(
            "it sums the densities of all elements (summed_neighbour_A), which is not known here"
        )
    functions = _need(tree, "functions", "the file")
    if not isinstance(functions, Mapping):
        raise InputError(f"functions are {type(functions).__name__}, expected one list per element")
    terms = [
        _tilde_term(raw, a, f"function {i} of element {a}", len(numbers))
        for a in range(len(numbers))
        for i, raw in enumerate(_need(functions, a, "functions") or [])
    ]
    return PaceContent(numbers, tuple(map(float, reference)), bonds, terms)


def _tilde_term(raw: Mapping[str, Any], centre: int, where: str, n_elements: int) -> Term:
    lists = [_whole(_need(raw, key, where), f"{key} of {where}") for key in ("mus", "ns", "ls", "ms_combs")]
    mus, ns, ls, flat = lists
    rank = _need(raw, "rank", where)
    if not len(mus) == len(ns) == len(ls) == rank or rank < 1 or len(flat) % rank:
        raise InputError(f"{where} has rank {rank} but lists of {[len(x) for x in lists]} entries")
    if _need(raw, "mu0", where) != centre or any(not 0 <= m < n_elements for m in mus):
        raise InputError(f"{where} names elements {raw['mu0']}, {list(mus)}; there are {n_elements}")
    if _need(raw, "ndensity", where) != 1:
        raise InputError(f"{where} has {raw['ndensity']} densities; only a linear potential can be imported")
    values = _numbers(_need(raw, "ctildes", where), f"ctildes of {where}")
    combinations = [flat[i : i + rank] for i in range(0, len(flat), rank)]
    if values.shape != (len(combinations),) or _need(raw, "num_ms_combs", where) != len(combinations):
        raise InputError(f"{where} has {len(combinations)} combinations of m but {values.size} ctildes")
    table: dict[tuple[int, ...], float] = {}
    for ms, value in zip(combinations, values, strict=True):
        if any(abs(m) > l for m, l in zip(ms, ls, strict=True)):
            raise InputError(f"{where} has m = {list(ms)} for l = {list(ls)}")
        table[ms] = table.get(ms, 0.0) + float(value)
    return Term(centre, mus, ns, ls, table)


# --- .yaml ------------------------------------------------------------------------------------------------------


def _b_basis(tree: Mapping[str, Any]) -> PaceContent:
    blocks: dict[tuple[str, ...], Mapping[str, Any]] = {}
    for raw in _need(tree, "species", "the file") or []:
        blocks[tuple(str(_need(raw, "speciesblock", "a species block")).split())] = raw
    symbols = sorted({s for names in blocks for s in names})
    numbers = tuple(_atomic_number(s) for s in symbols)
    if not numbers:
        raise InputError("it has no species block")
    bonds: dict[tuple[int, int], Bond] = {}
    for a, one in enumerate(symbols):
        where = f"species block {one!r}"
        own = _need(blocks, (one,), "species")
        kind = (_need(own, k, where) for k in ("npoti", "ndensityi", "parameters"))
        _check_embedding(where, *kind)
        bonds[a, a] = _bond(own, where, YAML_NAMES)
        for b, other in enumerate(symbols):
            if a != b:  # one block may serve both directions
                pair = (one, other) if (one, other) in blocks else (other, one)
                bonds[a, b] = _bond(
                    _need(blocks, pair, "species"), f"species block {' '.join(pair)!r}", YAML_NAMES
                )
    place = {s: i for i, s in enumerate(symbols)}
    terms = [
        _b_term(raw, place, f"function {i} of species block {' '.join(names)!r}")
        for names, block in blocks.items()
        for i, raw in enumerate(_need(block, "nbody", f"species block {' '.join(names)!r}") or [])
    ]
    return PaceContent(numbers, (0.0,) * len(numbers), bonds, terms)


def _b_term(raw: Mapping[str, Any], place: Mapping[str, int], where: str) -> Term:
    kinds = str(_need(raw, "type", where)).split()
    unknown = [k for k in kinds if k not in place]
    if unknown:
        raise InputError(f"{where} names {unknown[0]!r}, which has no species block")
    ns, ls = (_whole(_need(raw, key, where), f"{key} of {where}") for key in ("nr", "nl"))
    if not len(kinds) - 1 == len(ns) == len(ls) or not ns:
        raise InputError(f"{where} has {len(kinds) - 1} neighbours, {len(ns)} nr and {len(ls)} nl")
    if len(ns) > 4:
        raise InputError(f"{where} has rank {len(ns)}; ranks 1 to 4 can be imported")
    intermediate = _whole(raw.get("lint", raw.get("LS", [])), f"lint of {where}")
    coefficients = _numbers(_need(raw, "c", where), f"c of {where}")
    if coefficients.shape != (1,):
        raise InputError(
            f"{where} has {coefficients.size} densities; only a linear potential can be imported"
        )
    table = {ms: coupling * float(coefficients[0]) for ms, coupling in b_table(ls, intermediate).items()}
    return Term(place[kinds[0]], tuple(place[k] for k in kinds[1:]), ns, ls, table)
