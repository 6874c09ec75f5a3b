"""Draws of determinantal processes against the exact distribution, by the determinants of all subsets."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.stats import chisquare

from aliquot.errors import InputError, SelectionError
from aliquot.information import spectrum as room
from aliquot.information.kernel import Kernel
from aliquot.information.likelihood import likelihood, nystrom
from aliquot.selection import DPP, KDPP, Constraints, select
from aliquot.selection.dpp_sampling import FixedSize, VariableSize
from aliquot.table import Features, Ids

Matrix = NDArray[np.float64]
N = 7
SAMPLES = 20_000


def _cosine(x: Matrix, y: Matrix) -> Matrix:
    return (x @ y.T) / np.linalg.norm(x, axis=1)[:, None] / np.linalg.norm(y, axis=1)


def _rbf(x: Matrix, y: Matrix) -> Matrix:
    return np.exp(-np.square(x[:, None] - y).sum(axis=2) / (2 * 1.5**2))


#: Text of a kernel, and its values written out plainly.
KERNELS: dict[str, Callable[[Matrix, Matrix], Matrix]] = {
    "linear": lambda x, y: x @ y.T,
    "cosine": _cosine,
    "cosine:exponent=2": lambda x, y: _cosine(x, y) ** 2,
    "polynomial:degree=3,offset=0.5,length=2": lambda x, y: (x @ y.T / 4 + 0.5) ** 3,
    "rbf:length=1.5": _rbf,
}


def _pool(d: int = 4) -> Matrix:
    """Seven points in four dimensions, two of them equal."""
    x = np.random.default_rng(5).normal(size=(N, d)) * np.linspace(1, 2, d)
    x[6] = x[2]
    return x


def _distribution(
    weigh: Callable[[Sequence[int]], float], sizes: Sequence[int]
) -> dict[tuple[int, ...], float]:
    """Probability of each subset of these sizes, from its weight."""
    weights = {s: max(weigh(s), 0.0) for k in sizes for s in itertools.combinations(range(N), k)}
    total = sum(weights.values())
    return {s: w / total for s, w in weights.items()}


def _determinants(L: Matrix) -> Callable[[Sequence[int]], float]:
    return lambda s: float(np.linalg.det(L[np.ix_(s, s)]))


def _agree(draw: Callable[[], NDArray[np.int64]], exact: dict[tuple[int, ...], float]) -> None:
    """χ² over at least 20,000 draws; what is impossible is never drawn."""
    count = dict.fromkeys(exact, 0)
    for _ in range(SAMPLES):
        count[tuple(sorted(draw().tolist()))] += 1
    possible = [s for s, p in exact.items() if p > 1e-12]
    assert sum(count[s] for s in exact if s not in set(possible)) == 0
    likely = [s for s in possible if SAMPLES * exact[s] >= 5]
    observed = [count[s] for s in likely] + [sum(count[s] for s in possible) - sum(count[s] for s in likely)]
    expected = [SAMPLES * exact[s] for s in likely]
    expected.append(SAMPLES - sum(expected))
    if expected[-1] < 5:  # too rare, all together, for the test
        assert observed[-1] < 30
        observed, expected = (
            observed[:-1],
            [e * (sum(observed[:-1]) / sum(expected[:-1])) for e in expected[:-1]],
        )
    assert chisquare(observed, expected).pvalue > 1e-3


def _marginals(exact: dict[tuple[int, ...], float]) -> list[float]:
    return [sum(p for s, p in exact.items() if i in s) for i in range(N)]


def _process(kernel: str, k: int, *, ridge: float = 0.0, **more: object) -> FixedSize:
    table = Features.from_array(_pool())
    L = likelihood(table, np.arange(N), kernel=Kernel.parse(kernel), **more)  # type: ignore[arg-type]
    return FixedSize(L.spectrum, k, ridge=ridge)


@pytest.mark.parametrize("k", [1, 3])
@pytest.mark.parametrize("kernel", KERNELS)
def test_k_dpp(kernel: str, k: int) -> None:
    exact = _distribution(_determinants(KERNELS[kernel](_pool(), _pool())), [k])
    process, rng = _process(kernel, k), np.random.default_rng(k)
    assert process.inclusion() == pytest.approx(_marginals(exact), abs=1e-10)
    _agree(lambda: process.draw(rng=rng)[0], exact)


@pytest.mark.parametrize("ridge", [0.05, 2.0])
@pytest.mark.parametrize(
    ("kernel", "k"), [("linear", 5), ("linear", 3), ("cosine", 6), ("rbf:length=1.5", 4)]
)
def test_k_dpp_with_a_ridge_is_that_of_the_regularised_kernel(kernel: str, k: int, ridge: float) -> None:
    """At and beyond the rank, 4, and below it."""
    L = KERNELS[kernel](_pool(), _pool())
    exact = _distribution(_determinants(L + ridge * np.eye(N)), [k])
    process, rng = _process(kernel, k, ridge=ridge), np.random.default_rng(k)
    assert process.inclusion() == pytest.approx(_marginals(exact), abs=1e-10)
    sizes: list[int] = []

    def draw() -> NDArray[np.int64]:
        index, j = process.draw(rng=rng)
        sizes.append(j)
        return index

    _agree(draw, exact)
    # How many came from L, by the determinants of all T in S, the others being ε on the diagonal.
    minors = _determinants(L)
    weight = [
        sum(max(minors(t), 0.0) * ridge ** (k - j) for s in exact for t in itertools.combinations(s, j))
        for j in range(min(k, 6 if "rbf" in kernel else 4) + 1)
    ]
    expected = np.array(weight) / sum(weight)
    assert process.size_probability[: len(expected)] == pytest.approx(expected, abs=1e-9)
    observed = np.bincount(sizes, minlength=len(expected))[: len(expected)]
    likely = expected * SAMPLES >= 5
    total = observed[likely].sum()
    assert total > 0.99 * SAMPLES
    assert chisquare(observed[likely], expected[likely] / expected[likely].sum() * total).pvalue > 1e-3


def _known() -> tuple[Features, Matrix, NDArray[np.float64]]:
    rows = np.random.default_rng(8).normal(size=(2, 4))
    weight = np.array([0.7, 2.0])
    return Features.from_array(rows, weight=weight), rows, weight


@pytest.mark.parametrize("precision", [0.0, 0.3])
@pytest.mark.parametrize("kernel", KERNELS)
def test_conditioned(kernel: str, precision: float) -> None:
    """The determinant of known and drawn together, with noise on the diagonal of the known."""
    known, rows, weight = _known()
    k = 2
    noise = precision / weight**2 if kernel == "linear" else np.full(2, precision)
    everything = np.vstack((rows, _pool()))
    joint = KERNELS[kernel](everything, everything) + np.diag(np.concatenate((noise, np.zeros(N))))
    exact = _distribution(lambda s: _determinants(joint)((0, 1, *(2 + i for i in s))), [k])
    process, rng = _process(kernel, k, known=known, precision=precision), np.random.default_rng(3)
    assert process.inclusion() == pytest.approx(_marginals(exact), abs=1e-8)
    _agree(lambda: process.draw(rng=rng)[0], exact)


def test_conditioned_on_blocks_of_rows() -> None:
    """All rows of what is known are absorbed, weighted; the points of candidates are means of their rows."""
    rng = np.random.default_rng(4)
    rows, weight, prior = rng.normal(size=(5, 4)), rng.uniform(0.5, 2, 5), rng.uniform(1, 2, 4)
    known = Features.from_array(rows, offsets=np.array([0, 2, 5]), weight=weight, prior=prior, kind="force")
    known = replace(known, ids=Ids.numbered(2, "known"))
    blocks = rng.normal(size=(2 * N, 4))
    pool = Features.from_array(blocks, offsets=np.arange(0, 2 * N + 1, 2), prior=prior, kind="force")
    points = (blocks / prior).reshape(N, 2, 4).mean(axis=1)
    P = 0.2 * np.eye(4) + (rows / prior).T @ np.diag(weight**2) @ (rows / prior)
    exact = _distribution(_determinants(points @ np.linalg.inv(P) @ points.T), [2])
    got = KDPP(precision=0.2).inclusion(pool, 2, known=known)
    assert got == pytest.approx(_marginals(exact), abs=1e-10)


@pytest.mark.parametrize("kernel", ["linear", "rbf:length=1.5"])
def test_quality(kernel: str) -> None:
    q = np.geomspace(0.3, 3, N)
    L = q[:, None] * KERNELS[kernel](_pool(), _pool()) * q
    exact = _distribution(_determinants(L), [2])
    process, rng = _process(kernel, 2, quality=q), np.random.default_rng(1)
    _agree(lambda: process.draw(rng=rng)[0], exact)
    table = Features.from_array(_pool())
    assert KDPP(kernel=kernel, quality=q).inclusion(table, 2) == pytest.approx(_marginals(exact), abs=1e-10)


@pytest.mark.parametrize("kernel", KERNELS)
def test_variable_size(kernel: str) -> None:
    L = likelihood(Features.from_array(_pool()), np.arange(N), kernel=Kernel.parse(kernel))
    process = VariableSize.rescaled(L.spectrum, 2.5)
    plain = process.scale * KERNELS[kernel](_pool(), _pool())
    exact = _distribution(_determinants(plain), range(N + 1))
    assert sum(len(s) * p for s, p in exact.items()) == pytest.approx(2.5, abs=1e-9)
    assert process.inclusion() == pytest.approx(np.diag(plain @ np.linalg.inv(np.eye(N) + plain)), abs=1e-9)
    spread = sum((len(s) - 2.5) ** 2 * p for s, p in exact.items())
    assert process.size_deviation == pytest.approx(np.sqrt(spread), abs=1e-8)
    rng = np.random.default_rng(2)
    _agree(lambda: process.draw(rng=rng)[0], exact)


@pytest.mark.parametrize(
    ("kernel", "mean", "ridge"), [("linear", 2.5, 0.05), ("linear", 5.5, 2.0), ("rbf:length=1.5", 4.0, 0.05)]
)
def test_variable_size_with_a_ridge(kernel: str, mean: float, ridge: float) -> None:
    """Below the rank, 4, and beyond it: the DPP of the regularised kernel, by all subsets of all sizes."""
    L = likelihood(Features.from_array(_pool()), np.arange(N), kernel=Kernel.parse(kernel))
    process = VariableSize.rescaled(L.spectrum, mean, ridge=ridge)
    plain = process.scale * (KERNELS[kernel](_pool(), _pool()) + ridge * np.eye(N))
    exact = _distribution(_determinants(plain), range(N + 1))
    assert sum(len(s) * p for s, p in exact.items()) == pytest.approx(mean, abs=1e-9)
    assert process.expected_size == pytest.approx(mean, abs=1e-9)
    assert process.inclusion() == pytest.approx(_marginals(exact), abs=1e-9)
    spread = sum((len(s) - mean) ** 2 * p for s, p in exact.items())
    assert process.size_deviation == pytest.approx(np.sqrt(spread), abs=1e-8)
    rng, sizes = np.random.default_rng(2), list[int]()

    def draw() -> NDArray[np.int64]:
        index, j = process.draw(rng=rng)
        sizes.append(j)
        return index

    _agree(draw, exact)
    assert np.mean(sizes) == pytest.approx(process.expected_from_kernel, abs=4 * np.std(sizes) / SAMPLES**0.5)


@pytest.mark.parametrize("given", [False, True])
@pytest.mark.parametrize("kernel", ["polynomial:degree=3,offset=0.5,length=2", "rbf:length=1.5"])
def test_k_dpp_by_nystrom_is_that_of_its_kernel(kernel: str, given: bool) -> None:
    """Landmarks by the largest diagonal that is left, written out; then the determinants of what they span."""
    known, rows, _ = _known()
    known = replace(known, ids=Ids.numbered(2, "known"))
    everything = np.vstack((rows, _pool()))
    joint = KERNELS[kernel](everything, everything)
    L = joint[2:, 2:]
    if given:
        L = L - joint[2:, :2] @ np.linalg.solve(joint[:2, :2] + 0.3 * np.eye(2), joint[:2, 2:])
    landmarks, left = list[int](), L.copy()
    for _ in range(4):
        j = int(np.argmax(np.diag(left)))
        landmarks.append(j)
        left = left - np.outer(left[:, j], left[j]) / left[j, j]
    exact = _distribution(_determinants(L - left), [3])
    selector = KDPP(kernel=kernel, exact=5, rank=4, precision=0.3)
    table = Features.from_array(_pool())
    conditions = known if given else None
    got = selector.inclusion(table, 3, known=conditions)
    assert got == pytest.approx(_marginals(exact), abs=1e-8)
    drawn = iter(selector.draws(table, 3, SAMPLES, known=conditions, rng=np.random.default_rng(6)))
    _agree(lambda: next(drawn), exact)


def test_select_draws_from_the_k_dpp() -> None:
    table = Features.from_array(_pool())
    exact = _distribution(_determinants(_pool() @ _pool().T), [3])
    drawn = iter(KDPP().draws(table, 3, SAMPLES, rng=np.random.default_rng(0)))
    _agree(lambda: next(drawn), exact)
    one = KDPP().draws(table, 3, 1, rng=np.random.default_rng(9))[0]
    assert select(table, 3, method="kdpp", seed=9).index.tolist() == one.tolist()


def test_select_draws_from_the_dpp() -> None:
    """The size that is asked for is the mean one; sizes are those of the enumerated process."""
    table = Features.from_array(_pool())
    process = VariableSize.rescaled(likelihood(table, np.arange(N), kernel=Kernel()).spectrum, 3)
    exact = _distribution(_determinants(process.scale * _pool() @ _pool().T), range(5))
    assert DPP().inclusion(table, mean=3) == pytest.approx(_marginals(exact), abs=1e-9)
    sizes = np.bincount([len(select(table, 3, method="dpp", seed=s)) for s in range(1_000)], minlength=5)
    expected = np.array([sum(p for s, p in exact.items() if len(s) == k) for k in range(5)])
    likely = expected > 0.01
    assert (
        chisquare(sizes[likely], expected[likely] / expected[likely].sum() * sizes[likely].sum()).pvalue
        > 1e-3
    )


@pytest.mark.parametrize("n", [8, 20, 30])
def test_what_is_drawn_uniformly_comes_from_the_rest(n: int) -> None:
    """Beyond the rank, 2: everybody not drawn by the kernel has the same chance, at every number of them."""
    x = np.random.default_rng(3).normal(size=(30, 2)) * np.linspace(0.2, 3, 30)[:, None]
    table = Features.from_array(x)
    drawn = KDPP().draws(table, n, SAMPLES // 5, rng=np.random.default_rng(1))
    assert all(len(set(one)) == n for one in drawn.tolist())
    mean = KDPP().inclusion(table, n) * len(drawn)
    counts = np.bincount(drawn.ravel(), minlength=30)
    error = np.sqrt(mean * (1 - mean / len(drawn))) + 1e-9
    assert np.abs((counts - mean) / error).max() < 4.5


def test_draws_across_tiles() -> None:
    """Inclusion by hand, N × N; and as often drawn as it says, by parts of a pool of several tiles."""
    n, k, rng = 5_000, 6, np.random.default_rng(0)
    x = rng.normal(size=(n, 8)) * np.exp(rng.normal(size=(n, 1)))
    process = FixedSize(likelihood(Features.from_array(x), np.arange(n), kernel=Kernel()).spectrum, k)
    values, V = np.linalg.eigh(x.T @ x)
    others = [list(itertools.combinations(np.delete(values, m), k - 1)) for m in range(8)]
    e = sum(np.prod(s) for s in itertools.combinations(values, k))
    share = [values[m] * sum(np.prod(s) for s in others[m]) / e for m in range(8)]
    expected = np.square(x @ V / np.sqrt(values)) @ share
    assert process.inclusion() == pytest.approx(expected, abs=1e-12)
    counts, runs = np.zeros(n), 4_000
    for _ in range(runs):
        counts[process.draw(rng=rng)[0]] += 1
    part = np.arange(n) // 313
    observed, mean = np.bincount(part, counts), np.bincount(part, expected) * runs
    # Parts repel themselves a little: their counts vary less than independent ones.
    assert chisquare(observed, mean).pvalue > 1e-3


def test_rows_that_are_not_held_in_memory_give_the_same_draw(monkeypatch: pytest.MonkeyPatch) -> None:
    pool = Features.from_array(np.random.default_rng(0).normal(size=(300, 12)).astype(np.float32))
    known = pool[np.arange(20)]
    held = KDPP().select(pool, 10, known=known, rng=np.random.default_rng(1))
    monkeypatch.setattr(room, "HELD_BYTES", 0)
    read = KDPP().select(pool, 10, known=known, rng=np.random.default_rng(1))
    assert held.index.tolist() == read.index.tolist()


@pytest.mark.parametrize("ridge", [0.0, 1e-9])
def test_a_draw_reads_as_many_rows_from_a_large_pool_as_from_a_small_one(
    ridge: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After one pass; also with others that are drawn uniformly."""
    monkeypatch.setattr(room, "HELD_BYTES", 0)
    read: dict[int, float] = {}
    for n in (1_000, 50_000):
        x, count = np.random.default_rng(0).normal(size=(n, 12)), [0]

        def rows(some: object, x: Matrix = x, count: list[int] = count) -> Matrix:
            chosen = x[some]  # type: ignore[index]
            count[0] += len(chosen)
            return chosen

        process = FixedSize(room.Spectrum.of_rows(rows, n), 15 if ridge else 10, ridge=ridge)
        process.draw(rng=np.random.default_rng(0))
        count[0] = 0
        for seed in range(50):
            process.draw(rng=np.random.default_rng(seed))
        read[n] = count[0] / 50
    assert read[50_000] < 1.2 * read[1_000]


def test_beyond_the_rank_the_answer_says_what_was_random() -> None:
    pool = Features.from_array(np.random.default_rng(0).normal(size=(40, 4)))
    chosen = KDPP().select(pool, 10, rng=np.random.default_rng(0))
    assert chosen.recipe["rank"] == 4
    assert (chosen.recipe["drawn_by_kernel"], chosen.recipe["drawn_uniformly"]) == (4, 6)
    assert any("4 of the 10 were drawn from it" in note and "6 uniformly" in note for note in chosen.notes)
    with pytest.raises(SelectionError, match="rank 4 without a ridge cannot draw 10 candidates"):
        KDPP(ridge=0.0).select(pool, 10, rng=np.random.default_rng(0))


def test_rank_in_single_precision_is_that_of_the_rows_before_rounding() -> None:
    rng = np.random.default_rng(0)
    rows = rng.normal(size=(500, 5)) @ rng.normal(size=(5, 30))
    for kind in (np.float64, np.float32):
        chosen = KDPP().select(Features.from_array(rows.astype(kind)), 5, rng=rng)
        assert chosen.recipe["rank"] == 5


@pytest.mark.parametrize(("kernel", "rank"), [("linear", 4), ("cosine", 4), ("polynomial:degree=1", 5)])
def test_conditioning_without_noise_needs_fewer_known_than_the_rank(kernel: str, rank: int) -> None:
    rng = np.random.default_rng(0)
    pool = Features.from_array(rng.normal(size=(20, 4)))
    known = Features.from_array(rng.normal(size=(rank, 4)), ids=Ids.numbered(rank, "known"))
    selector = KDPP(kernel=kernel, precision=0.0)
    with pytest.raises(SelectionError, match=f"{rank} known structures .* rank {rank}"):
        selector.select(pool, 1, known=known, rng=rng)
    last = selector.select(pool, 1, known=known[: rank - 1], rng=rng)
    assert (last.recipe["rank"], last.recipe["drawn_by_kernel"]) == (1, 1)
    assert len(KDPP(kernel=kernel).select(pool, 3, known=known, rng=rng)) == 3


def test_nystrom() -> None:
    x = np.random.default_rng(0).normal(size=(60, 3))
    pool = Features.from_array(x)
    L = likelihood(pool, np.arange(60), kernel=Kernel.parse("rbf:length=1.5"))
    short = nystrom(L, 12, order=np.arange(60))
    plain = _rbf(x, x)
    F = short.columns(np.arange(60))
    landmarks = [i for i in range(60) if abs(F[i, i] - plain[i, i]) < 1e-12]
    assert len(landmarks) == 12
    inner = np.linalg.solve(plain[np.ix_(landmarks, landmarks)], plain[landmarks])
    assert pytest.approx(plain[:, landmarks] @ inner, abs=1e-9) == F
    assert short.spectrum.rank == 12
    lost = (np.trace(plain) - np.trace(F)) / np.trace(plain)
    assert (
        f"rank 12 on greedy landmarks (pivoted Cholesky); it misses {lost:.2g} of the trace" in short.notes[0]
    )


def test_the_answer_names_nystrom() -> None:
    pool = Features.from_array(np.random.default_rng(0).normal(size=(60, 3)))
    exactly = KDPP(kernel="rbf").select(pool, 8, rng=np.random.default_rng(0))
    assert not any("Nyström" in note for note in exactly.notes)
    approximate = KDPP(kernel="rbf", exact=50, rank=20).select(pool, 8, rng=np.random.default_rng(0))
    assert any("Nyström's approximation of rank 20" in note for note in approximate.notes)
    complete = KDPP(kernel="rbf", exact=50, rank=60).inclusion(pool, 8)
    assert complete == pytest.approx(KDPP(kernel="rbf").inclusion(pool, 8), abs=1e-8)


def test_draws_of_variable_size() -> None:
    pool = Features.from_array(np.random.default_rng(0).normal(size=(200, 30)))
    process = DPP(kernel="cosine")
    drawn = [process.select(pool, 12, rng=np.random.default_rng(seed)) for seed in range(40)]
    sizes = np.array([len(one) for one in drawn])
    assert len(set(sizes.tolist())) > 1
    assert abs(sizes.mean() - 12) < 4 * sizes.std() / np.sqrt(40)
    assert "12 ± " in drawn[0].stop
    assert process.inclusion(pool, mean=12.5).sum() == pytest.approx(12.5)
    again = process.draw(pool, mean=12, rng=np.random.default_rng(0))
    assert again.index.tolist() == drawn[0].index.tolist()
    with pytest.raises(SelectionError, match=r"rank 30 without a ridge cannot draw 30 candidates"):
        DPP(ridge=0.0).select(pool, 30, rng=np.random.default_rng(0))
    with pytest.raises(SelectionError, match=r"above 0 and below 200, the number of new candidates; got 200"):
        process.draw(pool, mean=200, rng=np.random.default_rng(0))
    beyond = process.select(pool, 60, rng=np.random.default_rng(0))
    assert beyond.recipe["drawn_by_kernel"] == 30
    assert beyond.recipe["drawn_uniformly"] == len(beyond) - 30
    assert len(process.select(pool, 200, rng=np.random.default_rng(0))) == 200


def test_unscaled_dpp_keeps_the_scale_of_its_kernel() -> None:
    x = _pool()
    L = x @ x.T
    expected = np.diag(L @ np.linalg.inv(np.eye(N) + L))
    assert DPP().inclusion(Features.from_array(x)) == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("method", ["kdpp", "dpp", "dpp-map"])
def test_qualities_stay_with_their_candidates_when_others_are_left_out(method: str) -> None:
    table, quality = Features.from_array(np.eye(6)), np.array([1e9, 1e9, 1.0, 1.0, 1e3, 1.0])
    only = Constraints(exclude=np.arange(6) < 2)
    chosen = [select(table, 1, method=method, quality=quality, groups=only, seed=s) for s in range(20)]
    picks = [i for one in chosen for i in one.index.tolist()]
    assert picks.count(4) >= 19 if method != "dpp" else set(picks) == {4}
    with pytest.raises(SelectionError, match="5 of 6 candidates: 4 are left"):
        select(table, 5, method=method, quality=quality, groups=only)


def test_repetitions_come_last() -> None:
    pool = Features.from_array(_pool())[np.array([0, 0, 1, 2, 1])]
    chosen = KDPP().select(pool, 4, rng=np.random.default_rng(0))
    assert sorted(chosen.index[:3].tolist()) == [0, 2, 3]
    assert KDPP().inclusion(pool, 4) == pytest.approx([1, 0.5, 1, 1, 0.5])


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"kernel": "sinc"}, "kernel 'sinc' is not known; choose one of linear, cosine"),
        ({"kernel": "rbf:width=2"}, "kernel rbf has no parameter 'width=2'; it has length"),
        ({"kernel": "rbf:length=-1"}, "length of a kernel must be positive"),
        ({"kernel": "cosine:exponent=1.5"}, "exponent of kernel cosine must be a number"),
        ({"kernel": "cosine:exponent=0"}, "exponent of a kernel must be a whole number from 1"),
        ({"precision": -1.0}, "precision must be 0 or more"),
        ({"ridge": float("nan")}, "ridge must be 0 or more"),
        ({"rank": 0}, "rank must be 1 or more"),
    ],
)
def test_wrong_parameters(wrong: dict[str, object], message: str) -> None:
    with pytest.raises((SelectionError, InputError), match=message):
        KDPP(**wrong)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("quality", "message"), [(np.ones(3), "7 candidates"), (-np.ones(N), "array#0 is -1")]
)
def test_wrong_quality(quality: Matrix, message: str) -> None:
    with pytest.raises(SelectionError, match=message):
        KDPP(quality=quality).select(Features.from_array(_pool()), 2, rng=np.random.default_rng(0))
