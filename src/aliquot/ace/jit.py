"""How the loops of this package are compiled, and when a compiled loop is out of date."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any, Final

import numba

__all__ = ["jit"]

#: Reordering of sums is allowed; NaN and infinity keep their meaning.
FAST: Final = {"reassoc", "contract", "arcp", "nsz"}


def _sources() -> str:
    """Digest of every source file next to this one."""
    digest = hashlib.blake2b(digest_size=16)
    for path in sorted(Path(__file__).parent.glob("*.py")):
        digest.update(path.read_bytes())
    return digest.hexdigest()


_SOURCES: Final = _sources()


def jit(function: Any) -> Any:
    """Compile once, keep the result on disk, and release the interpreter lock while running.

    Numba compiles callees into their callers but looks only at the caller's file to tell whether the stored result
    is still right; a caller would go on with an old callee, or fail to read an index that names a type which has
    moved. So the version under which loops are stored is made to include a digest of all sources. (It is an
    internal of numba; where it is not found, numba's own rule stands.)
    """
    compiled = numba.njit(cache=True, nogil=True, fastmath=FAST, error_model="numpy")(function)
    stored: Any = getattr(getattr(compiled, "_cache", None), "_cache_file", None)
    if hasattr(stored, "_version"):
        stored._version = f"{stored._version} {_SOURCES}"
    return compiled
