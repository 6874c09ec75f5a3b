r"""All solutions of the LASSO, from the largest penalty down: the dual active-set homotopy.

For each λ the dual variable of

.. math:: \min_\theta \tfrac12 \|X\theta - b\|^2 + \lambda \sum_j \omega_j |\theta_j|

is the residual in units of λ, :math:`y = (b - X\theta)/\lambda`, and the conditions of optimality (Karush, Kuhn and
Tucker) are

.. math:: |X_j^\top y| \le \omega_j, \qquad X_j^\top y = \omega_j\, \mathrm{sign}\,\theta_j
   \ \text{where}\ \theta_j \ne 0 .

While the active functions S and their bounds s (ω with signs) stay the same, with :math:`X_S = Q T`,
:math:`w = T^{-\top} s` and the part :math:`b_\perp` of b that is orthogonal to Q,

.. math:: X^\top (b - X\theta) = u + \lambda v, \quad u = X^\top b_\perp,\ v = X^\top Q w, \qquad
   \theta_S = T^{-1} (Q^\top b - \lambda w) :

all is linear in λ. The next event is the largest λ below the present one at which an inactive correlation reaches ±λω
(its function enters) or an active coefficient reaches zero (it leaves).

u and v are computed anew at every step from an orthonormal Q, so that nothing drifts. The dual variable is bounded by
‖b‖/λ however ill-conditioned the columns are, and with it the rounding errors of every decision; the coefficients are
not, and no decision rests on them but that of leaving. A function that has just left is kept from coming
back at the same λ, and for no longer.

ω is 1, or falls as the support grows, where functions become cheaper the more is there: at each step the ω of
functions that never were active falls to what is asked, but not below :math:`|X_j^\top y|`, so that the solution stays
optimal; those at their bound enter next. Every solution is exact for the ω of its moment.

References
----------
M. P. Friedlander and M. A. Saunders, A dual active-set quadratic programming method for finding sparse least-squares
solutions, University of British Columbia (2012)
M. R. Osborne, B. Presnell and B. A. Turlach, IMA J. Numer. Anal. 20, 389 (2000), doi:10.1093/imanum/20.3.389
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from aliquot.errors import InputError
from aliquot.solvers.updated_qr import UpdatedQR, triangular_product

__all__ = ["Event", "Homotopy"]

Array = NDArray[np.float64]
Index = NDArray[np.int64]

#: A column of which a smaller share is new lies in the span of the active ones.
DEPENDENT: Final = 1e-12

_SAME = 1e-9  # relative difference of λ below which two events are one
_ANEW = 50  # steps after which the orthogonal part of b is projected again


class Event(NamedTuple):
    """What happens next.

    Parameters
    ----------
    penalty : float
        λ at which it happens.
    function : int
        Which function; -1 if nothing happens before λ = 0.
    position : int
        Where it stands among the active ones if it leaves; -1 if it enters.
    sign : float
        With which sign it enters.
    """

    penalty: float
    function: int
    position: int = -1
    sign: float = 0.0


class Homotopy:
    """Active functions, signs and λ; ``find`` the next event, ``take`` it.

    Parameters
    ----------
    X : (d, d) array
        Upper triangular, Fortran order.
    b : (d,) array
    most : int
        Functions that may ever be active at once.
    reluctance : callable, optional
        ω that is asked for, (d,), given the active functions.

    Notes
    -----
    A step costs about 2 d² + 10 d k flops for k active functions.
    """

    def __init__(
        self, X: Array, b: Array, most: int, reluctance: Callable[[list[int]], Array] | None = None
    ) -> None:
        self.X, self.b = X, b
        self.qr = UpdatedQR(len(b), most)
        self.active: list[int] = []
        self.signs: list[float] = []
        self.inactive: NDArray[np.bool_] = np.ones(X.shape[1], np.bool_)
        self.outside = b.copy()  # the part of b orthogonal to Q
        self._reluctance = reluctance
        self.omega: Array = np.ones_like(b)
        if reluctance is not None:
            self.omega = reluctance(self.active)
        self.entered: NDArray[np.bool_] = np.zeros(X.shape[1], np.bool_)
        self.penalty = float(np.max(np.abs(triangular_product(X, b)) / self.omega, initial=0.0))
        self._left: set[int] = set()  # at the present λ
        self._spanned: set[int] = set()  # by the active columns
        self._age = 0
        self._split = self.qr.split(np.zeros_like(b))  # of the function that was last found to enter
        self._line()

    def state(self) -> dict[str, Any]:
        """What :meth:`resume` needs, JSON values."""
        return {
            "penalty": self.penalty,
            "active": list(self.active),
            "signs": list(self.signs),
            "omega": self.omega.tolist(),
            "entered": np.flatnonzero(self.entered).tolist(),
        }

    def resume(self, state: Mapping[str, Any], *, tolerance: float = 1e-4) -> None:
        """Continue from a state of an earlier run.

        Raises
        ------
        InputError
            If it does not solve this problem at this λ.
        """
        self.penalty = penalty = float(state["penalty"])
        self.omega = np.array(state["omega"], np.float64)
        self.entered[state["entered"]] = True
        for function, sign in zip(state["active"], state["signs"], strict=True):
            self._split = self.qr.split(self.X[:, function])
            self._enter(int(function), float(sign))
        self._line()
        wrong = self.infeasibility(penalty)
        if not wrong <= tolerance:
            raise InputError(
                f"the state to resume does not solve this problem: at λ = {penalty:.6g} its conditions of optimality"
                f" are violated by {wrong:.1e} λ; begin a new path"
            )

    def _line(self) -> None:
        """u, v and the coefficients as functions of λ."""
        k = self.qr.size
        if self._age >= _ANEW:
            Q = self.qr.Q
            self.outside = self.b - Q @ (Q.T @ self.b)
            self.outside -= Q @ (Q.T @ self.outside)
            self._age = 0
        self.w = self.qr.solve_transposed(self.bounds())
        self.u = triangular_product(self.X, self.outside)
        self.v = triangular_product(self.X, self.qr.Q @ self.w) if k else np.zeros_like(self.u)
        self.along = self.qr.Q.T @ self.b if k else np.empty(0)

    def bounds(self) -> Array:
        """ω of the active functions, with their signs, (k,)."""
        return self.omega[self.active] * np.array(self.signs)

    def coefficients(self, penalty: float) -> Array:
        """Coefficients of the active functions at a λ of the present segment, (k,)."""
        return self.qr.solve(self.along - penalty * self.w)

    def infeasibility(self, penalty: float) -> float:
        """Largest violation of the dual conditions at a λ of the present segment, in units of λ."""
        z = (self.u + penalty * self.v) / penalty
        held = np.max(np.abs(z[self.active] - self.bounds()), initial=0.0)
        free = np.max(np.abs(z[self.inactive]) - self.omega[self.inactive], initial=0.0)
        return float(max(held, free))

    def find(self) -> Event:
        """The next event."""
        leaving = self._leaving()
        while True:
            entering = self._entering()
            if entering.function < 0 or leaving.penalty > entering.penalty:
                return leaving
            column = self.X[:, entering.function]
            self._split = self.qr.split(column)
            if self._split[2] > DEPENDENT * float(np.linalg.norm(column)):
                return entering
            self._spanned.add(entering.function)

    def _leaving(self) -> Event:
        """The active function whose coefficient reaches zero first."""
        if not self.active:
            return Event(0.0, -1)
        s = np.array(self.signs)
        at_zero, slope = self.qr.solve(self.along), self.qr.solve(self.w)
        falling = s * slope < 0  # towards zero as λ falls
        at = np.divide(at_zero, slope, out=np.full(len(s), -np.inf), where=falling)
        np.minimum(at, self.penalty, out=at)
        position = int(np.argmax(at))
        return (
            Event(float(at[position]), self.active[position], position)
            if at[position] > 0
            else Event(0.0, -1)
        )

    def _entering(self) -> Event:
        """The function whose correlation reaches the bound first."""
        best = Event(0.0, -1)
        for side in (1.0, -1.0):
            slope = (
                self.omega - side * self.v
            )  # the gap to the bound is λ slope − side u; it closes where slope > 0
            closing = self.inactive & (slope > 0)
            at = np.divide(side * self.u, slope, out=np.full(len(slope), -np.inf), where=closing)
            np.minimum(at, self.penalty, out=at)
            for function in self._spanned:
                at[function] = -np.inf
            for function in self._left:
                if at[function] >= self.penalty * (1.0 - _SAME):
                    at[function] = -np.inf
            function = int(np.argmax(at))
            if at[function] > best.penalty:
                best = Event(float(at[function]), function, sign=side)
        return best

    def take(self, event: Event) -> None:
        """Go to the event that was just found and let it happen."""
        if event.penalty < self.penalty * (1.0 - _SAME):
            self._left = set()
        self.penalty = event.penalty
        if event.position < 0:
            self._enter(event.function, event.sign)
        else:
            self._leave(event.position)
        self._line()
        if self._reluctance is not None:
            new = ~self.entered
            reached = np.abs(self.u[new] / self.penalty + self.v[new])
            self.omega[new] = np.maximum(
                np.minimum(self._reluctance(self.active)[new], self.omega[new]), reached
            )

    def _enter(self, function: int, sign: float) -> None:
        self.qr.append(*self._split)
        q = self._split[1]
        self.outside -= (q @ self.outside) * q
        self.active.append(function)
        self.signs.append(sign)
        self.inactive[function] = False
        self.entered[function] = True
        self._age += 1

    def _leave(self, position: int) -> None:
        function = self.active.pop(position)
        del self.signs[position]
        self.qr.pop(position)
        self.inactive[function] = True
        self._left.add(function)
        self._spanned.clear()
        self._age = _ANEW
