r"""How alike are two structures? Kernels between the points that stand for them.

=============  ==============================================================  ===========================
kernel         value of x and y                                                parameters
=============  ==============================================================  ===========================
linear         :math:`x \cdot y`
cosine         :math:`(x \cdot y / |x||y|)^\alpha`                             ``exponent`` α = 1, 2, …
polynomial     :math:`(x \cdot y / \ell^2 + c)^p`                              ``degree`` p, ``offset`` c, ℓ
rbf            :math:`\exp(-|x - y|^2 / 2 \ell^2)`                             ``length`` ℓ
=============  ==============================================================  ===========================

The exponents are whole numbers: a product of positive semidefinite kernels is one again, and a broken power of
one with negative values need not be. Where no length is given, ℓ² is the mean squared distance between two
candidates (rbf) or the mean of |x|² (polynomial). A row of zeros is like nothing, not even itself, to the cosine.

Points are in smoothness-scaled coordinates. A candidate of several rows is represented by the mean of its
observable rows (its energy rows, or all of its rows where it has none); noise weights play no part.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from aliquot.errors import InputError

__all__ = ["KERNELS", "Kernel"]

Matrix = NDArray[np.float64]

#: Parameters of each kernel, and what turns their text into numbers.
KERNELS: Final[dict[str, dict[str, Callable[[str], Any]]]] = {
    "linear": {},
    "cosine": {"exponent": int},
    "polynomial": {"degree": int, "offset": float, "length": float},
    "rbf": {"length": float},
}


@dataclass(frozen=True)
class Kernel:
    """A kernel with its parameters; see the table of this module.

    Examples
    --------
    >>> kernel = Kernel.parse("cosine:exponent=2")
    >>> kernel.between(np.array([[1.0, 1.0]]), np.array([[2.0, 0.0], [3.0, 3.0]])).round(12)
    array([[0.5, 1. ]])
    """

    name: str = "linear"
    exponent: int = 1
    degree: int = 2
    offset: float = 1.0
    length: float | None = None

    def __post_init__(self) -> None:
        if self.name not in KERNELS:
            raise InputError(f"kernel {self.name!r} is not known; choose one of {', '.join(KERNELS)}")
        for name, power in (("exponent", self.exponent), ("degree", self.degree)):
            if int(power) != power or power < 1:
                raise InputError(f"{name} of a kernel must be a whole number from 1 on; got {power}")
        if not (math.isfinite(self.offset) and self.offset >= 0):
            raise InputError(f"the offset of a polynomial kernel must be 0 or more; got {self.offset}")
        if self.length is not None and not (math.isfinite(self.length) and self.length > 0):
            raise InputError(f"the length of a kernel must be positive and finite; got {self.length}")

    @classmethod
    def parse(cls, text: str) -> Kernel:
        """``"rbf:length=2.5"`` and the like.

        Raises
        ------
        InputError
        """
        name, _, rest = text.strip().partition(":")
        if name not in KERNELS:
            raise InputError(f"kernel {name!r} is not known; choose one of {', '.join(KERNELS)}")
        accepted, given = KERNELS[name], dict[str, Any]()
        for item in filter(None, rest.split(",")):
            key, equals, value = (part.strip() for part in item.partition("="))
            if not equals or key not in accepted:
                has = f"it has {', '.join(accepted)}" if accepted else "it has none"
                raise InputError(f"kernel {name} has no parameter {item.strip()!r}; {has}")
            try:
                given[key] = accepted[key](value)
            except ValueError as error:
                raise InputError(f"{key} of kernel {name} must be a number; got {value!r}") from error
        return cls(name, **given)

    def __str__(self) -> str:
        """The text that :meth:`parse` reads back."""
        given = [f"{k}={getattr(self, k)}" for k in KERNELS[self.name] if getattr(self, k) is not None]
        return self.name + (":" + ",".join(given) if given else "")

    @property
    def has_features(self) -> bool:
        """Whether the kernel is the inner product of rows as short as the points themselves."""
        return self.name == "linear" or (self.name == "cosine" and self.exponent == 1)

    def features(self, x: Matrix) -> Matrix:
        """Those rows: the points, of unit length for the cosine."""
        return _normalised(x) if self.name == "cosine" else x

    def fitted(self, x: Matrix) -> Kernel:
        """The same kernel with a length, from points (n, features), where it needs one and none was given."""
        if self.length is not None or "length" not in KERNELS[self.name]:
            return self
        if len(x) == 0:
            return replace(self, length=1.0)
        centred = x - x.mean(axis=0) if self.name == "rbf" else x
        square = float(np.square(centred).sum() / len(x))
        square *= 2.0 if self.name == "rbf" else 1.0
        return replace(self, length=math.sqrt(square) if square > 0 else 1.0)

    def between(self, x: Matrix, y: Matrix) -> Matrix:
        """Values for all pairs of the points x, (n, features), and y, (m, features)."""
        if self.name == "linear" or 0 in (len(x), len(y)):
            return x @ y.T
        if self.name == "cosine":
            return (_normalised(x) @ _normalised(y).T) ** self.exponent
        if self.length is None:
            raise InputError(f"the length of kernel {self.name} is not set; use fitted(points) first")
        if self.name == "polynomial":
            return (x @ y.T / self.length**2 + self.offset) ** self.degree
        centre = y.mean(axis=0)  # far from the origin, squares would cancel
        x, y = x - centre, y - centre
        squared: Matrix = np.einsum("ij,ij->i", x, x)[:, None] + np.einsum("ij,ij->i", y, y) - 2.0 * (x @ y.T)
        return np.exp(-np.maximum(squared, 0.0) / (2.0 * self.length**2))

    def diagonal(self, x: Matrix) -> NDArray[np.float64]:
        """Value of each point with itself, (n,)."""
        squared = np.einsum("ij,ij->i", x, x)
        if self.name == "linear":
            return squared
        if self.name == "cosine":
            return (squared > 0).astype(np.float64)
        if self.name == "polynomial" and self.length is not None:
            return (squared / self.length**2 + self.offset) ** self.degree
        return np.ones(len(x))


def _normalised(x: Matrix) -> Matrix:
    """Rows of unit length; rows of zeros as they are. Scaled first, so that no square overflows or vanishes."""
    largest = np.abs(x).max(axis=1, initial=0.0, keepdims=True)
    scaled = x / np.where(largest > 0, largest, 1.0)
    length = np.sqrt(np.einsum("ij,ij->i", scaled, scaled))[:, None]
    return scaled / np.where(length > 0, length, 1.0)
