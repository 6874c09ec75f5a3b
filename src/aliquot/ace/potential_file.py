"""How a potential becomes one file and comes back.

A zip of ``potential.json`` (format, schema, basis, names of its functions, reference energies, repulsion, meta),
``coefficients.npy``, and ``precision.npy`` where the potential keeps the precision of its coefficients. No pickle:
nothing in the file is executed. What this version does not know it refuses, and the names say whether it makes the
same functions in the same order as the version that wrote the file.
"""

from __future__ import annotations

import io
import json
import os
import tempfile
import zipfile
import zlib
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from aliquot.ace.basis import AceBasis
from aliquot.ace.potential import AcePotential
from aliquot.ace.repulsion import Repulsion
from aliquot.errors import InputError

__all__ = ["SCHEMA", "read_potential", "write_potential"]

#: Raised when a field of the file changes its meaning.
SCHEMA: Final = 1

#: What can go wrong inside a file that someone damaged, or that is something else.
DAMAGE: Final = (
    OSError,
    KeyError,
    ValueError,
    TypeError,
    AttributeError,
    EOFError,
    RecursionError,
    NotImplementedError,
    zipfile.BadZipFile,
    zlib.error,
)


def write_potential(potential: AcePotential, path: Path, *, force: bool = False) -> Path:
    """See :meth:`aliquot.ace.potential.AcePotential.save`."""
    from aliquot import __version__

    if path.exists() and not force:
        raise InputError(f"{path} exists; use force to replace it")
    header = {
        "format": "aliquot-potential",
        "schema": SCHEMA,
        "aliquot": __version__,
        "basis": potential.basis.to_dict(),
        "names": potential.basis.names,
        "reference": potential.reference.tolist(),
        "repulsion": potential.repulsion and potential.repulsion.to_dict(),
        "meta": dict(potential.meta),
    }
    try:
        text = json.dumps(header, ensure_ascii=False, allow_nan=False)
    except (TypeError, ValueError) as error:
        raise InputError(f"meta must be made of plain JSON values: {error}") from error
    parts = {"potential.json": text.encode(), "coefficients.npy": _packed(potential.coefficients)}
    if potential.precision is not None:
        parts["precision.npy"] = _packed(potential.precision)
    try:
        _write_whole(path, parts)
    except OSError as error:
        raise InputError(f"cannot write {path}: {error.strerror}") from error
    return path


def _packed(array: NDArray[np.float64]) -> bytes:
    numbers = io.BytesIO()
    np.save(numbers, np.ascontiguousarray(array, np.float64), allow_pickle=False)
    return numbers.getvalue()


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


def read_potential(path: Path) -> AcePotential:
    """See :meth:`aliquot.ace.potential.AcePotential.load`."""
    try:
        with zipfile.ZipFile(path) as archive:
            header: dict[str, Any] = json.loads(archive.read("potential.json"))
            numbers = archive.read("coefficients.npy")
            precision = archive.read("precision.npy") if "precision.npy" in archive.namelist() else None
        if header.get("format") != "aliquot-potential" or header.get("schema") != SCHEMA:
            raise InputError(
                f"format {header.get('format')!r}, schema {header.get('schema')!r} is not known here; this version"
                f" reads schema {SCHEMA}"
            )
        repulsion = header["repulsion"]
        potential = AcePotential(
            basis=AceBasis.from_dict(header["basis"]),
            coefficients=_unpacked(numbers),
            reference=np.array(header["reference"], np.float64),
            repulsion=None if repulsion is None else Repulsion.from_dict(repulsion),
            meta=dict(header["meta"]),
            precision=None if precision is None else _unpacked(precision),
        )
        if list(potential.basis.names) != header["names"]:
            raise InputError(
                "the functions that this version makes of its basis are not those of the file, which was written"
                f" by version {header.get('aliquot')}"
            )
    except DAMAGE as error:
        raise InputError(f"{path} is not a potential of aliquot: {error}") from error
    return potential


def _unpacked(content: bytes) -> NDArray[np.float64]:
    array = np.load(io.BytesIO(content), allow_pickle=False)
    if array.dtype != np.float64:
        raise InputError(f"numbers are of type {array.dtype}, not float64")
    return array
