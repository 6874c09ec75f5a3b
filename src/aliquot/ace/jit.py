"""How the loops of this package are compiled."""

from __future__ import annotations

from typing import Any, Final

import numba

__all__ = ["jit"]

#: Reordering of sums is allowed; NaN and infinity keep their meaning.
FAST: Final = {"reassoc", "contract", "arcp", "nsz"}


def jit(function: Any) -> Any:
    """Compile once, keep the result on disk, and release the interpreter lock while running."""
    return numba.njit(cache=True, nogil=True, fastmath=FAST, error_model="numpy")(function)
