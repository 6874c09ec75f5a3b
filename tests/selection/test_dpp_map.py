"""Likeliest sets against brute force, and every step of greedy and exchange against determinants."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from numpy.typing import NDArray

from aliquot.errors import SelectionError
from aliquot.information.kernel import Kernel
from aliquot.information.likelihood import likelihood
from aliquot.selection import Bayes, DPPMap, Selection
from aliquot.selection.dpp_map import _Exchanges
from aliquot.table import Features, Ids

Matrix = NDArray[np.float64]
RIDGE = 1e-3


def _regularised(x: Matrix, kernel: str, ridge: float) -> tuple[Matrix, float]:
    k = Kernel.parse(kernel)
    L = k.fitted(x).between(x, x)
    epsilon = ridge * float(np.trace(L)) / len(L)
    return L + epsilon * np.eye(len(L)), epsilon


def _log_det(M: Matrix, some: NDArray[np.int64] | tuple[int, ...]) -> float:
    return float(np.linalg.slogdet(M[np.ix_(some, some)])[1])


def _choose(x: Matrix, n: int, **parameters: object) -> Selection:
    selector = DPPMap(**parameters)  # type: ignore[arg-type]
    return selector.select(Features.from_array(x), n, rng=np.random.default_rng(0))


@pytest.mark.parametrize("kernel", ["linear", "cosine", "cosine:exponent=2", "polynomial", "rbf"])
@pytest.mark.parametrize("n", [2, 4])
def test_against_brute_force(kernel: str, n: int) -> None:
    """Every greedy pick is the best next one; exchanges end where none helps; the bound holds for all sets."""
    found = 0
    for seed in range(12):
        x = np.random.default_rng([seed, n]).normal(size=(9, 4))
        M, epsilon = _regularised(x, kernel, RIDGE)
        best = max(_log_det(M, s) for s in itertools.combinations(range(9), n)) - n * np.log(epsilon)
        greedy = _choose(x, n, kernel=kernel, ridge=RIDGE)
        for t in range(n):
            now = 0.0 if t == 0 else _log_det(M, greedy.index[:t])
            steps = [_log_det(M, (*greedy.index[:t], j)) for j in range(9) if j not in greedy.index[:t]]
            step = _log_det(M, greedy.index[: t + 1])
            assert step == pytest.approx(max(steps), abs=1e-9)
            assert greedy.gain is not None
            assert greedy.gain[t] == pytest.approx(step - now - np.log(epsilon), abs=1e-9)
        swapped = _choose(x, n, kernel=kernel, ridge=RIDGE, swaps=50)
        assert greedy.certificate is not None
        assert swapped.certificate is not None
        reached = swapped.certificate.achieved
        assert reached == pytest.approx(_log_det(M, swapped.index) - n * np.log(epsilon), abs=1e-8)
        assert greedy.certificate.achieved - 1e-9 <= reached <= best + 1e-9
        for certificate in (greedy.certificate, swapped.certificate):
            assert certificate.upper_bound >= best - 1e-9
        others = [j for j in range(9) if j not in swapped.index]
        exchanged = [_log_det(M, (*np.delete(swapped.index, s), j)) for s in range(n) for j in others]
        assert max(exchanged) <= _log_det(M, swapped.index) + 1.1e-3
        found += reached > best - 2e-3
    assert found >= 8  # a local optimum need not be the global one, but mostly is


def test_long_runs_of_exchanges_stay_exact() -> None:
    """From a poor start: each exchange multiplies the determinant by what was promised, and updates lose little."""
    x = np.random.default_rng(1).normal(size=(300, 12))
    M, epsilon = _regularised(x, "linear", 0.01)
    L = likelihood(Features.from_array(x), np.arange(300), kernel=Kernel())
    state = _Exchanges(L, np.argsort(np.square(x).sum(axis=1))[:40], epsilon, np.arange(300))
    made, before = 0, _log_det(M, state.picks)
    while state.improve():
        made, after = made + 1, _log_det(M, state.picks)
        assert after > before + 0.9e-3
        before = after
    assert made > 30
    fresh = _Exchanges(L, state.picks, epsilon, np.arange(300))
    assert pytest.approx(np.linalg.inv(M[np.ix_(state.picks, state.picks)]), rel=1e-6, abs=1e-6) == fresh.B
    for now, anew in ((state.A, fresh.A), (state.B, fresh.B), (state.h, fresh.h)):
        assert now == pytest.approx(anew, rel=1e-7, abs=1e-7)


def test_linear_without_noise_is_energy_variance_with_that_prior() -> None:
    """The same greedy, one in kernel and one in coefficient space."""
    x = np.random.default_rng(2).normal(size=(80, 10))
    pool, epsilon = Features.from_array(x), RIDGE * float(np.square(x).sum()) / 80
    bayes = Bayes(score="energy", precision=epsilon).select(pool, 25, rng=np.random.default_rng(0))
    assert _choose(x, 25, ridge=RIDGE).index.tolist() == bayes.index.tolist()


@pytest.mark.parametrize("kernel", ["linear", "rbf:length=1.5"])
def test_known_structures(kernel: str) -> None:
    """The pair that, joined to the known ones, has the largest determinant."""
    rng = np.random.default_rng(3)
    x, y = rng.normal(size=(9, 4)), rng.normal(size=(3, 4))
    known = Features.from_array(y, ids=Ids.numbered(3, "known"))
    chosen = DPPMap(kernel=kernel, precision=0.05, ridge=1e-9, swaps=20).select(
        Features.from_array(x), 2, known=known, rng=rng
    )
    everything = np.vstack((y, x))
    joint = Kernel.parse(kernel).between(everything, everything) + np.diag([0.05] * 3 + [0.0] * 9)
    values = {s: _log_det(joint, (0, 1, 2, 3 + s[0], 3 + s[1])) for s in itertools.combinations(range(9), 2)}
    assert tuple(sorted(chosen.index.tolist())) == max(values, key=lambda s: values[s])


def test_beyond_the_rank() -> None:
    x = np.random.default_rng(4).normal(size=(30, 3))
    chosen = _choose(x, 10)
    assert len(set(chosen.index.tolist())) == 10
    assert chosen.gain is not None
    assert np.all(chosen.gain[3:] < 5) and np.all(chosen.gain[:3] > 20)  # noqa: PT018


def test_quality_tips_the_balance() -> None:
    x, q = np.eye(4), np.array([1.0, 3.0, 2.0, 1.0])
    assert _choose(x, 2, quality=q).index.tolist() == [1, 2]


@pytest.mark.parametrize(
    ("wrong", "message"), [({"ridge": 0.0}, "must be positive"), ({"swaps": -1}, "0 or more")]
)
def test_wrong_parameters(wrong: dict[str, float], message: str) -> None:
    with pytest.raises(SelectionError, match=message):
        DPPMap(**wrong)  # type: ignore[arg-type]
