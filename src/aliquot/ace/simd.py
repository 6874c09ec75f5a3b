"""Vectors of eight (or four) doubles for compiled loops.

Numba compiles scalar loops and hopes that LLVM finds the vectors in them; for short loops over gathered rows it
does not (two to three times slower, measured on the products and the row combinations of this package). Here a
*lane vector* is a value of its own that lives in a register: ``load`` and ``store`` move it from and to flat
positions of a contiguous float64 array, ``axpy`` and ``multiply_add`` compute with it. LLVM turns one such
operation into one AVX-512, two AVX2 or four NEON/SSE instructions, whatever the machine has.

Positions are not checked: callers index within their own work arrays.
"""

from __future__ import annotations

from typing import Any, Final

import numba.extending
from llvmlite import ir
from numba.core import types
from numba.extending import models, register_model

__all__ = [
    "LANES",
    "axpy",
    "load",
    "load4",
    "multiply",
    "multiply_add",
    "splat",
    "splat4",
    "store",
    "subtract_halves",
    "voigt",
]

#: Doubles in a lane vector.
LANES: Final = 8

intrinsic: Final[Any] = numba.extending.intrinsic
_CONTRACT: Final = ("contract",)  # a·b + c may become one fused operation


class _LaneVector(types.Type):
    """The numba type of a vector of ``width`` doubles."""

    def __init__(self, width: int) -> None:
        self.width = width
        super().__init__(name=f"LaneVector({width})")


@register_model(_LaneVector)
class _LaneVectorModel(models.PrimitiveModel):
    def __init__(self, manager: Any, kind: Any) -> None:
        super().__init__(manager, kind, _llvm(kind.width))


_eight: Final = _LaneVector(LANES)
_four: Final = _LaneVector(4)


def _llvm(width: int) -> Any:
    return ir.VectorType(ir.DoubleType(), width)


def _address(context: Any, builder: Any, array_type: Any, array: Any, position: Any, width: int) -> Any:
    data = context.make_array(array_type)(context, builder, array).data
    return builder.bitcast(builder.gep(data, [position]), _llvm(width).as_pointer())


def _read(builder: Any, where: Any) -> Any:
    value = builder.load(where)
    value.align = 8
    return value


def _pick(builder: Any, vector: Any, lanes: list[int]) -> Any:
    """The named lanes of a vector, as another vector."""
    mask = ir.Constant(ir.VectorType(ir.IntType(32), len(lanes)), lanes)
    return builder.shuffle_vector(vector, ir.Constant(vector.type, ir.Undefined), mask)


def _broadcast(builder: Any, scalar: Any, width: int) -> Any:
    undefined = ir.Constant(_llvm(width), ir.Undefined)
    first = builder.insert_element(undefined, scalar, ir.Constant(ir.IntType(32), 0))
    return _pick(builder, first, [0] * width)


def _sum_of_product(builder: Any, x: Any, y: Any, z: Any) -> Any:
    return builder.fadd(builder.fmul(x, y, flags=_CONTRACT), z, flags=_CONTRACT)


def _loader(vector: _LaneVector) -> Any:
    def implement(typing: Any, array: Any, position: Any) -> Any:
        def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            values, where = arguments
            return _read(builder, _address(context, builder, signature.args[0], values, where, vector.width))

        return vector(array, types.intp), generate

    return implement


def _splatter(vector: _LaneVector) -> Any:
    def implement(typing: Any, scalar: Any) -> Any:
        def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            return _broadcast(builder, arguments[0], vector.width)

        return vector(types.float64), generate

    return implement


#: ``load(array, position)``: eight consecutive doubles; ``load4`` four.
load: Final = intrinsic(_loader(_eight))
load4: Final = intrinsic(_loader(_four))

#: ``splat(scalar)``: the scalar in all eight lanes; ``splat4`` in four.
splat: Final = intrinsic(_splatter(_eight))
splat4: Final = intrinsic(_splatter(_four))


@intrinsic
def store(typing: Any, array: Any, position: Any, value: Any) -> Any:
    """``array.flat[position : position + width] = value``."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        array_type, _, vector = signature.args
        where = _address(context, builder, array_type, arguments[0], arguments[1], vector.width)
        builder.store(arguments[2], where).align = 8
        return context.get_dummy_value()

    return types.void(array, types.intp, value), generate


@intrinsic
def axpy(typing: Any, a: Any, x: Any, y: Any) -> Any:
    """``a * x + y`` with a scalar a."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        scalar = _broadcast(builder, arguments[0], signature.args[1].width)
        return _sum_of_product(builder, scalar, arguments[1], arguments[2])

    return x(types.float64, x, x), generate


@intrinsic
def multiply(typing: Any, x: Any, y: Any) -> Any:
    """``x * y``."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.fmul(arguments[0], arguments[1], flags=_CONTRACT)

    return x(x, x), generate


@intrinsic
def multiply_add(typing: Any, x: Any, y: Any, z: Any) -> Any:
    """``x * y + z``."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return _sum_of_product(builder, *arguments)

    return x(x, x, x), generate


@intrinsic
def voigt(typing: Any, vector: Any) -> Any:
    """(x, y, z, 0) → (x, y, z, z, z, y, 0, 0): the second factor of xx, yy, zz, yz, xz, xy."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return _pick(builder, arguments[0], [0, 1, 2, 2, 2, 1, 3, 3])

    return _eight(_four), generate


@intrinsic
def subtract_halves(typing: Any, array: Any, low: Any, high: Any, value: Any) -> Any:
    """Subtract lanes 0–3 from four doubles at ``low``, then lanes 4–7 from those at ``high`` (may be the same)."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        for position, lanes in ((arguments[1], [0, 1, 2, 3]), (arguments[2], [4, 5, 6, 7])):
            where = _address(context, builder, signature.args[0], arguments[0], position, 4)
            difference = builder.fsub(_read(builder, where), _pick(builder, arguments[3], lanes))
            builder.store(difference, where).align = 8
        return context.get_dummy_value()

    return types.void(array, types.intp, types.intp, _eight), generate
