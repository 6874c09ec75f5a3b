"""LAPACK without Python's lock: three routines that several threads may run at the same time.

SciPy's Python functions hold the interpreter's lock while LAPACK works. The same routines are published as C pointers
(``scipy.linalg.cython_lapack``, ``cython_blas``) for compiled code; called through ctypes they leave the lock free.
Arrays are double precision, in Fortran order, and are changed in place.
"""

# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false
# (SciPy brings no types)

from __future__ import annotations

import ctypes
from ctypes import POINTER, byref, c_char, c_double, c_int
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["eliminate", "factor", "solve_right"]

Array = NDArray[np.float64]

_INT, _DOUBLE, _CHAR = POINTER(c_int), POINTER(c_double), POINTER(c_char)


@cache
def _routine(module: str, name: str, *kinds: Any) -> Any:
    """A routine of ``scipy.linalg.cython_blas`` or ``cython_lapack`` as a function of ctypes."""
    import importlib

    capsule: Any = importlib.import_module(f"scipy.linalg.{module}").__pyx_capi__[name]
    api = ctypes.pythonapi
    api.PyCapsule_GetName.restype, api.PyCapsule_GetName.argtypes = ctypes.c_char_p, [ctypes.py_object]
    api.PyCapsule_GetPointer.restype = ctypes.c_void_p
    api.PyCapsule_GetPointer.argtypes = [ctypes.py_object, ctypes.c_char_p]
    pointer: Any = api.PyCapsule_GetPointer(capsule, api.PyCapsule_GetName(capsule))
    return ctypes.CFUNCTYPE(None, *kinds)(pointer)


def _at(array: Array) -> Any:
    return array.ctypes.data_as(_DOUBLE)


def _fortran(**arrays: Array) -> None:
    for name, array in arrays.items():
        if array.dtype != np.float64 or (array.strides[0] != 8 and len(array) > 1):
            raise ValueError(f"{name} must be float64 in Fortran order")


def _leading(array: Array) -> c_int:
    """Distance between columns, in doubles."""
    return c_int(max(1, array.strides[1] // 8 if array.shape[1] > 1 else len(array)))


def eliminate(triangle: Array, rows: Array, *, panel: int) -> None:
    """Rotate rows, (m, d), into an upper triangle, (d, d), ``panel`` columns at a time; rows are destroyed."""
    _fortran(triangle=triangle, rows=rows)
    m, d = rows.shape
    dtpqrt = _routine(
        "cython_lapack",
        "dtpqrt",
        *(_INT, _INT, _INT, _INT, _DOUBLE, _INT, _DOUBLE, _INT, _DOUBLE, _INT, _DOUBLE, _INT),
    )
    t, work, info = np.empty((panel, d), order="F"), np.empty(panel * d), c_int()
    dtpqrt(
        byref(c_int(m)),
        byref(c_int(d)),
        byref(c_int(0)),
        byref(c_int(panel)),
        _at(triangle),
        byref(_leading(triangle)),
        _at(rows),
        byref(_leading(rows)),
        _at(t),
        byref(c_int(panel)),
        _at(work),
        byref(info),
    )
    if info.value:
        raise ValueError(f"dtpqrt refused argument {-info.value}")


def factor(matrix: Array) -> None:
    """Cholesky factor U, UᵀU = matrix, into the upper triangle; the lower is not touched.

    Raises
    ------
    numpy.linalg.LinAlgError
        If the matrix is not positive definite.
    """
    _fortran(matrix=matrix)
    dpotrf = _routine("cython_lapack", "dpotrf", _CHAR, _INT, _DOUBLE, _INT, _INT)
    info = c_int()
    dpotrf(byref(c_char(b"U")), byref(c_int(len(matrix))), _at(matrix), byref(_leading(matrix)), byref(info))
    if info.value:
        raise np.linalg.LinAlgError(f"the leading minor {info.value} is not positive")


def solve_right(upper: Array, right: Array) -> None:
    """X with X U = ``right`` in its place; ``right`` is (k, n), U (n, n) upper triangular."""
    _fortran(upper=upper, right=right)
    dtrsm = _routine(
        "cython_blas",
        "dtrsm",
        *(_CHAR, _CHAR, _CHAR, _CHAR, _INT, _INT, _DOUBLE, _DOUBLE, _INT, _DOUBLE, _INT),
    )
    k, n = right.shape
    letters = [byref(c_char(letter)) for letter in (b"R", b"U", b"N", b"N")]
    dtrsm(
        *letters,
        byref(c_int(k)),
        byref(c_int(n)),
        byref(c_double(1.0)),
        _at(upper),
        byref(_leading(upper)),
        _at(right),
        byref(_leading(right)),
    )
