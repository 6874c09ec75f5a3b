"""From structures to rows of numbers: which features, how atoms are pooled, and where the table is kept.

>>> from ase.build import bulk
>>> from aliquot.structures import Frames
>>> pool = Frames.from_atoms([bulk("Cu", cubic=True), bulk("Cu", a=3.7)])
>>> (features,) = featurize("ace:degree=8", pool)
>>> features.rows.shape
(2, 54)
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from aliquot.errors import InputError
from aliquot.features.featurizer import Featurizer
from aliquot.features.pooling import Pooling, check_pooling
from aliquot.progress import Progress, silent
from aliquot.structures.frames import Frames
from aliquot.table import Features

if TYPE_CHECKING:
    from aliquot.ace.basis import AceBasis

__all__ = ["Featurizer", "featurize", "featurizer_of", "featurizers"]


def featurize(
    spec: str,
    *frames: Frames,
    pooling: str = "mean",
    cache: Path | None = None,
    progress: Progress = silent,
) -> tuple[Features, ...]:
    """Features of one or more sets of frames, all from one basis.

    Parameters
    ----------
    spec : str
        ``ace`` or ``soap``, with parameters as in ``ace:size=120``, ``ace:degree=12,cutoff=5.5,order=3`` or
        ``ace:degree=20/16/12,pair=8,radial=ChebExpCos`` (see :func:`aliquot.features.ace.choose_ace`), and
        ``ace:rows=energy+forces+virial,weights=30/1/1`` (or ``rows=all``) for the rows that a fit absorbs;
        ``python:module:function`` for any function from ASE atoms to an (n_atoms, d) array;
        ``file:pool.npy`` (``file:pool.npy,known.npy``) for numbers from files.
    *frames : Frames
        Usually the pool, then the known set. Elements are taken from all of them together.
    pooling : {"mean", "sum", "element", "none"}
        How atoms become the rows of a structure; ``none`` keeps one row per atom.
    cache : Path, optional
        Folder where tables are kept and found again.
    progress : callable

    Returns
    -------
    tuple of Features
        One table per set of frames.
    """
    made = featurizers(spec, *frames, pooling=pooling)
    if cache is None:
        return tuple(make(some, progress=progress) for make, some in zip(made, frames, strict=True))
    from aliquot.features.cache import cached

    return tuple(
        cached(make, some, cache, progress=progress) for make, some in zip(made, frames, strict=True)
    )


def featurizers(spec: str, *frames: Frames, pooling: str = "mean") -> tuple[Featurizer, ...]:
    """The featurizer of each set of frames: the same one for all, except for files.

    Raises
    ------
    InputError
        If the specification cannot be read; the message names what is known.
    """
    elements = tuple(sorted({z for some in frames for z in some.elements}))
    if not elements:
        raise InputError("cannot choose features without any frame")
    if spec.startswith("file:"):
        return _array_files(spec.removeprefix("file:"), len(frames), elements, check_pooling(pooling))
    return (featurizer_of(spec, elements, pooling=pooling),) * len(frames)


def featurizer_of(spec: str, elements: tuple[int, ...], *, pooling: str = "mean") -> Featurizer:
    """The featurizer of a specification for these elements (atomic numbers, ascending): of any frames of them.

    Raises
    ------
    InputError
        If the specification cannot be read, or is of a file, which holds the features of certain frames only.
    """
    kind, _, rest = spec.partition(":")
    how = check_pooling(pooling)
    if kind == "file":
        raise InputError(f"{spec} holds the features of certain structures; it cannot make those of others")
    if kind == "python":
        from aliquot.features.external import CallableFeaturizer, load_callable

        one: Featurizer = CallableFeaturizer(f"python:{rest}", load_callable(rest), elements, how)
    elif kind == "ace":
        from aliquot.features.ace import choose_ace

        known: dict[str, Callable[[str], Any]] = {
            "degree": _degrees,
            "size": int,
            "order": int,
            "cutoff": float,
            "pair": int,
            "weight_l": float,
            "radial": str,
            "prior": str,
            "rows": _quantities,
            "weights": _weights,
        }
        parameters = _parameters(spec, rest, known)
        quantities, weights = parameters.pop("rows", None), parameters.pop("weights", None)
        if weights is not None and quantities is None:
            raise InputError(
                f"weights in features {spec!r} need rows, as in ace:rows=energy+forces,weights=30/1/1"
            )
        one = choose_ace(elements, pooling=how, resolved=quantities is not None, **parameters)
        if quantities is not None:
            one = _blocks(spec, one.basis, how, quantities, weights)
    elif kind == "soap":
        from aliquot.features.soap import choose_soap

        known = {"cutoff": float, "n_max": int, "l_max": int, "sigma": float}
        one = choose_soap(elements, pooling=how, **_parameters(spec, rest, known))
    else:
        raise InputError(
            f"features {spec!r} are not known; use ace, soap, python:module:function or file:features.npy"
        )
    return one


def _blocks(
    spec: str, basis: AceBasis, pooling: str, quantities: tuple[str, ...], weights: tuple[float, ...] | None
) -> Featurizer:
    from aliquot.features.ace_blocks import QUANTITIES, WEIGHTS, AceBlockFeaturizer

    if pooling != "mean":
        raise InputError(
            f"features {spec!r} are rows of whole structures; pooling {pooling!r} cannot apply to them"
        )
    quantities = QUANTITIES if quantities == ("all",) else quantities
    if weights is not None and len(weights) != 3:
        raise InputError(f"weights in features {spec!r} are three numbers, as in weights=30/1/1")
    return AceBlockFeaturizer(
        basis, quantities, WEIGHTS if weights is None else (weights[0], weights[1], weights[2])
    )


def _array_files(rest: str, sets: int, elements: tuple[int, ...], pooling: Pooling) -> tuple[Featurizer, ...]:
    from aliquot.features.external import ArrayFile

    paths = tuple(path for path in rest.split(",") if path)
    if len(paths) != sets:
        raise InputError(
            f"file:{rest} names {len(paths)} file(s) for {sets} set(s) of frames; name one .npy per set, separated"
            " by commas (pool first, then known)"
        )
    return tuple(ArrayFile(path, paths, elements, pooling) for path in paths)


def _parameters(spec: str, rest: str, known: dict[str, Callable[[str], Any]]) -> dict[str, Any]:
    """Read ``a=1,b=2``; every name and value is checked."""
    out: dict[str, Any] = {}
    for item in filter(None, rest.split(",")):
        name, equals, value = item.partition("=")
        name = name.strip()
        if not equals or name not in known:
            raise InputError(
                f"{item!r} in features {spec!r} is not known; use {', '.join(known)}, as in name=value"
            )
        try:
            out[name] = known[name](value)
        except ValueError:
            raise InputError(f"{name}={value} in features {spec!r} is not a number") from None
        values = out[name] if isinstance(out[name], tuple) else (out[name],)
        if any(isinstance(number, float) and not np.isfinite(number) for number in values):
            raise InputError(f"{name}={value} in features {spec!r} must be finite")
    return out


def _quantities(text: str) -> tuple[str, ...]:
    """``energy+forces``, or ``all``."""
    return tuple(text.split("+"))


def _weights(text: str) -> tuple[float, ...]:
    """``30/1/1``."""
    return tuple(float(part) for part in text.split("/"))


def _degrees(text: str) -> float | tuple[float, ...]:
    """One degree, or one per order as in ``20/16/12``."""
    degrees = tuple(float(part) for part in text.split("/"))
    return degrees[0] if len(degrees) == 1 else degrees
