"""How is what a potential does not know kept? In a file beside it.

A zip like the potential's own: ``uncertainty.json`` (format, schema, the potential it belongs to, notes, calibrations)
and one ``.npy`` per matrix. No pickle: nothing in the file is executed.

It is a file of its own, ``model.active`` beside ``model.ace``, not part of the potential: it depends on the
training set too, grows when structures are explored while the potential stays as it was, and whoever only runs
dynamics does not need it. The digest inside refuses any other potential.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import tempfile
import zipfile
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from aliquot.ace.potential import AcePotential
from aliquot.ace.potential_file import DAMAGE
from aliquot.errors import InputError
from aliquot.uncertainty.active import ActiveSet
from aliquot.uncertainty.calibration import Calibration
from aliquot.uncertainty.spread import Spread
from aliquot.uncertainty.uncertainty import Uncertainty

__all__ = ["SCHEMA", "digest", "read_uncertainty", "write_uncertainty"]

#: Raised when a field of the file changes its meaning.
SCHEMA: Final = 1

_FORMAT: Final = "aliquot-uncertainty"


def digest(potential: AcePotential) -> str:
    """What tells potentials apart: their functions and coefficients."""
    h = hashlib.blake2b(digest_size=16)
    h.update(json.dumps(potential.basis.to_dict(), sort_keys=True).encode())
    h.update(np.ascontiguousarray(potential.coefficients, "<f8").tobytes())
    return h.hexdigest()


def write_uncertainty(known: Uncertainty, path: Path, *, force: bool = False) -> Path:
    """See :meth:`aliquot.uncertainty.uncertainty.Uncertainty.save`; complete or not at all."""
    from aliquot import __version__

    if path.exists() and not force:
        raise InputError(f"{path} exists; use force to replace it")
    header = {
        "format": _FORMAT,
        "schema": SCHEMA,
        "aliquot": __version__,
        "potential": digest(known.potential),
        "full_basis": known.full_basis,
        "notes": list(known.notes),
        "recipe": dict(known.recipe),
        "spread": known.spread and known.spread.kind,
        "calibrations": [c.to_dict() for c in known.calibrations],
        "active": [
            {"condition": one.condition, "environments": one.environments, "largest": one.largest}
            for one in known.active
        ],
    }
    parts = {"uncertainty.json": json.dumps(header, ensure_ascii=False).encode()}
    for z, (one, root) in enumerate(zip(known.active, known.leverages, strict=True)):
        parts[f"rows.{z}.npy"] = _packed(one.rows)
        parts[f"origin.{z}.npy"] = _packed(one.origin)
        parts[f"inverse.{z}.npy"] = _packed(one.inverse)
        parts[f"leverage.{z}.npy"] = _packed(root)
    if known.spread is not None:
        parts["spread.npy"] = _packed(known.spread.root)
    try:
        _write_whole(path, parts)
    except OSError as error:
        raise InputError(f"cannot write {path}: {error.strerror}") from error
    return path


def read_uncertainty(path: Path, potential: AcePotential) -> Uncertainty:
    """See :meth:`aliquot.uncertainty.uncertainty.Uncertainty.load`."""
    try:
        with zipfile.ZipFile(path) as archive:
            header: dict[str, Any] = json.loads(archive.read("uncertainty.json"))
            if header.get("format") != _FORMAT or header.get("schema") != SCHEMA:
                raise InputError(
                    f"format {header.get('format')!r}, schema {header.get('schema')!r} is not known here; this"
                    f" version reads schema {SCHEMA}"
                )
            if header["potential"] != digest(potential):
                raise InputError("it was made for another potential; build it again for this one")
            sets = [_active(archive, z, told) for z, told in enumerate(header["active"])]
            roots = [_unpacked(archive, f"leverage.{z}.npy", np.float64) for z in range(len(sets))]
            kind = header["spread"]
            spread = kind and Spread(str(kind), _unpacked(archive, "spread.npy", np.float64))
            known = Uncertainty(
                potential,
                tuple(sets),
                tuple(roots),
                spread or None,
                tuple(Calibration.from_dict(c) for c in header["calibrations"]),
                bool(header["full_basis"]),
                tuple(map(str, header["notes"])),
                dict(header["recipe"]),
            )
        _check_shapes(known)
    except DAMAGE as error:
        raise InputError(f"{path} cannot be used as the uncertainty of this potential: {error}") from error
    return known


def _active(archive: zipfile.ZipFile, z: int, told: dict[str, Any]) -> ActiveSet:
    return ActiveSet(
        _unpacked(archive, f"rows.{z}.npy", np.float64),
        _unpacked(archive, f"origin.{z}.npy", np.int64),
        _unpacked(archive, f"inverse.{z}.npy", np.float64),
        float(told["condition"]),
        int(told["environments"]),
        float(told["largest"]),
    )


def _check_shapes(known: Uncertainty) -> None:
    widths = known.sites.widths
    shapes = [
        (one.inverse.shape, root.shape) for one, root in zip(known.active, known.leverages, strict=True)
    ]
    if shapes != [((k, k), (k, k)) for k in widths]:
        raise InputError(f"its matrices have shapes {shapes}, the potential has {widths} functions")
    k = int(np.count_nonzero(known.potential.coefficients))
    if known.spread is not None and (known.spread.root.ndim != 2 or len(known.spread.root) != k):
        raise InputError(
            f"its spread has shape {known.spread.root.shape}, the potential has {k} coefficients"
        )


def _packed(array: NDArray[Any]) -> bytes:
    numbers = io.BytesIO()
    np.save(numbers, np.ascontiguousarray(array), allow_pickle=False)
    return numbers.getvalue()


def _unpacked(archive: zipfile.ZipFile, name: str, kind: type) -> NDArray[Any]:
    array = np.load(io.BytesIO(archive.read(name)), allow_pickle=False)
    if array.dtype != kind or not np.isfinite(array).all():
        raise InputError(f"{name} holds numbers of type {array.dtype}, or some that are not finite")
    return array


def _write_whole(path: Path, parts: dict[str, bytes]) -> None:
    """Zip the parts under a temporary name, then rename."""
    handle, working = tempfile.mkstemp(prefix=".aliquot-", dir=path.parent)
    try:
        with os.fdopen(handle, "wb") as file, zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
            for name, content in parts.items():
                archive.writestr(name, content)
        mask = os.umask(0)
        os.umask(mask)
        os.chmod(working, 0o666 & ~mask)  # mkstemp makes files that only their owner reads
        os.replace(working, path)
    except BaseException:
        Path(working).unlink(missing_ok=True)
        raise
