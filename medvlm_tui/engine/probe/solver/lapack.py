"""Three LAPACK and BLAS routines without Python's lock, in float64 on lower triangles in Fortran order.

SciPy's own wrappers hold the lock while they compute, so that the classes of a probe, one a thread, would wait for
each other. Here the same routines are called through the addresses that `scipy.linalg.cython_blas` and
`cython_lapack` publish; a ctypes call gives the lock back. Matrices may be empty, which LAPACK takes for an error.
"""

from __future__ import annotations

import ctypes
from types import ModuleType
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import cython_blas, cython_lapack

Floats = NDArray[np.float64]

_LOWER, _PLAIN = b"L", b"N"


def _routine(module: ModuleType, name: str, arguments: int) -> Any:
    """Return a routine that takes so many addresses, as Fortran's do."""
    capsule = module.__pyx_capi__[name]
    signature, address = ctypes.pythonapi.PyCapsule_GetName, ctypes.pythonapi.PyCapsule_GetPointer
    signature.restype, signature.argtypes = ctypes.c_char_p, [ctypes.py_object]
    address.restype, address.argtypes = ctypes.c_void_p, [ctypes.py_object, ctypes.c_char_p]
    return ctypes.CFUNCTYPE(None, *[ctypes.c_void_p] * arguments)(address(capsule, signature(capsule)))


_dsyrk = _routine(cython_blas, "dsyrk", 10)
_dpotrf = _routine(cython_lapack, "dpotrf", 5)
_dpotrs = _routine(cython_lapack, "dpotrs", 8)


def add_products(sign: float, rows: Floats, total: Floats) -> None:
    """Add sign X'X of the (m, d) rows, in C order, to the lower triangle of `total` (d, d)."""
    _check(total, total.shape[0])
    if not rows.flags.c_contiguous or rows.dtype != np.float64 or rows.shape[1] != len(total):
        raise ValueError("rows must be float64, in C order, as wide as the total")
    d, m, one = ctypes.c_int(len(total)), ctypes.c_int(len(rows)), ctypes.c_double(1.0)
    by, width, x, out = ctypes.byref(ctypes.c_double(sign)), ctypes.byref(d), rows.ctypes.data, total.ctypes.data
    _dsyrk(_LOWER, _PLAIN, width, ctypes.byref(m), by, x, width, ctypes.byref(one), out, width)


def factorise(matrix: Floats) -> Floats:
    """Return the Cholesky factor of a positive definite matrix, in its place; LinAlgError where it is not."""
    _check(matrix, matrix.shape[0])
    if not len(matrix):
        return matrix
    size, info = ctypes.byref(ctypes.c_int(len(matrix))), ctypes.c_int(0)
    _dpotrf(_LOWER, size, matrix.ctypes.data, size, ctypes.byref(info))
    if info.value:
        raise np.linalg.LinAlgError(f"not positive definite at row {info.value}")
    return matrix


def solve(factor: Floats, right: Floats) -> Floats:
    """Return the solution of the factorised system for one right-hand side."""
    _check(factor, len(right))
    found = np.array(right, dtype=np.float64)
    if not len(found):
        return found
    size, one, info = ctypes.byref(ctypes.c_int(len(found))), ctypes.c_int(1), ctypes.c_int(0)
    _dpotrs(
        _LOWER,
        size,
        ctypes.byref(one),
        factor.ctypes.data,
        size,
        found.ctypes.data,
        size,
        ctypes.byref(info),
    )
    return found


def _check(matrix: Floats, size: int) -> None:
    if matrix.shape != (size, size) or not matrix.flags.f_contiguous or matrix.dtype != np.float64:
        raise ValueError("the matrix must be square, float64, in Fortran order")
