"""Hold a selection method to its contract: the same checks that the methods of aliquot pass.

>>> from aliquot.selection import FPS
>>> check_selector(FPS())
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from aliquot.errors import SelectionError
from aliquot.selection import Selection, Selector
from aliquot.table import KINDS, Features, Ids

__all__ = ["Problem", "check_selector", "selection_problems"]


@dataclass(frozen=True, eq=False)
class Problem:
    """One thing that can be asked of a selector.

    Parameters
    ----------
    name : str
    candidates, n, known
        The question.
    refuse : bool
        Whether the only right answer is a :class:`~aliquot.errors.SelectionError`.
    """

    name: str
    candidates: Features
    n: int
    known: Features | None = None
    refuse: bool = False

    def ask(self, selector: Selector, *, seed: int = 0) -> Selection:
        """Put the question."""
        return selector.select(self.candidates, self.n, known=self.known, rng=np.random.default_rng(seed))


def check_selector(
    selector: Selector, *, problems: Iterable[Problem] | None = None, random_size: bool = False
) -> None:
    """Check that a selector keeps the contract of :class:`aliquot.selection.Selector`.

    On every problem it must return exactly ``n`` different candidates with their own ids, leave its input
    alone, give the same answer for the same seed, choose new structures before known or repeated ones, survive
    JSON, and claim no more than its certificate allows; what it says is nested must be. A method whose answer
    does not depend on the seed must also be indifferent to the order of the pool and to whether it lies in
    memory or on disk. What cannot be done must be refused with a :class:`~aliquot.errors.SelectionError`.

    Parameters
    ----------
    selector : Selector
    problems : iterable of Problem, optional
        :func:`selection_problems` by default.
    random_size : bool
        Whether ``n`` is only the mean of how many are chosen, as for ``dpp``. All that are new must then be chosen
        where ``n`` asks for as many, and only new ones where it asks for fewer.

    Raises
    ------
    AssertionError
        Naming the problem and the clause that is broken.
    """
    asked = tuple(selection_problems() if problems is None else problems)
    fixed = all(_same(p.ask(selector, seed=1), p.ask(selector, seed=2)) for p in asked if not p.refuse)
    for problem in asked:
        if problem.refuse:
            _check_refusal(selector, problem)
            continue
        before = problem.candidates.rows.copy()
        answer = problem.ask(selector)
        _demand(np.array_equal(before, problem.candidates.rows), problem, "its input must not be changed")
        _check_answer(answer, problem, random_size)
        _demand(_same(answer, problem.ask(selector)), problem, "the same seed must give the same answer")
        if answer.nested:
            _check_prefix(selector, problem, answer)
        if fixed:
            _check_order(selector, problem, answer)
            _check_disk(selector, problem, answer)


def _demand(kept: bool, problem: Problem, clause: str) -> None:
    if not kept:
        raise AssertionError(f"problem {problem.name!r}: {clause}")


def _same(a: Selection, b: Selection) -> bool:
    return np.array_equal(a.index, b.index)


def _check_refusal(selector: Selector, problem: Problem) -> None:
    try:
        answer = problem.ask(selector)
    except SelectionError as error:
        _demand(len(str(error)) > 20, problem, "a refusal must say why")
        return
    raise AssertionError(f"problem {problem.name!r}: must be refused, not answered with {len(answer)} picks")


def _check_answer(answer: Selection, problem: Problem, random_size: bool) -> None:
    pool, known, n = problem.candidates, problem.known, problem.n
    index = answer.index
    taken = set() if known is None else set(known.ids.hash.tolist())
    new = len(set(pool.ids.hash.tolist()) - taken)
    if random_size and n < new:
        n = len(index)
        _demand(n <= new, problem, f"{n} of {new} new structures were chosen")
    _demand(len(index) == n, problem, f"{n} picks were asked for and {len(index)} given")
    _demand(len(np.unique(index)) == n, problem, "no candidate may be chosen twice")
    _demand(bool(np.all((index >= 0) & (index < len(pool)))), problem, "picks must be positions in the pool")
    _demand(np.array_equal(answer.ids.hash, pool.ids.hash[index]), problem, "ids must be those of the picks")
    _demand(answer.pool_size == len(pool), problem, "pool_size must be the size of the pool")
    _demand(answer.known_size == (0 if known is None else len(known)), problem, "known_size is wrong")
    fresh = [h for h in dict.fromkeys(answer.ids.hash.tolist()) if h not in taken]
    _demand(len(fresh) == min(n, new), problem, "new structures come before known and repeated ones")
    if answer.gain is not None:
        _demand(bool(np.all(np.isfinite(answer.gain))), problem, "gains must be finite")
        _demand(bool(np.all(answer.gain >= 0)), problem, "gains must not be negative")
    if (bound := answer.certificate) is not None:
        slack = 1e-9 * (1 + abs(bound.achieved))
        _demand(bound.achieved <= bound.upper_bound + slack, problem, "no choice exceeds its upper bound")
    again = Selection.from_json(answer.to_json())
    _demand(_same(again, answer) and again.to_json() == answer.to_json(), problem, "JSON must lose nothing")


def _check_prefix(selector: Selector, problem: Problem, answer: Selection) -> None:
    for n in {1, problem.n // 2} & set(range(problem.n)):
        shorter = replace(problem, n=n).ask(selector)
        _demand(np.array_equal(shorter.index, answer.index[:n]), problem, f"nested, but its first {n} differ")


def _check_order(selector: Selector, problem: Problem, answer: Selection) -> None:
    order = np.random.default_rng(7).permutation(len(problem.candidates))
    shuffled = replace(problem, candidates=problem.candidates[order]).ask(selector)
    _demand(
        np.array_equal(shuffled.ids.hash, answer.ids.hash), problem, "the order of the pool must not matter"
    )


def _check_disk(selector: Selector, problem: Problem, answer: Selection) -> None:
    rows = problem.candidates.rows
    if rows.size == 0:
        return
    with tempfile.TemporaryDirectory(prefix="aliquot-check-") as folder:
        path = Path(folder) / "rows.npy"
        np.save(path, rows)
        stored = np.load(path, mmap_mode="r")
        mapped = replace(problem, candidates=replace(problem.candidates, rows=stored)).ask(selector)
        _demand(_same(mapped, answer), problem, "picks from disk must be those from memory")
        del stored


def _table(rows: NDArray[np.floating], seed: int, **more: object) -> Features:
    """A table whose content hashes are in no order, as in life."""
    offsets = more.get("offsets")
    n = len(rows) if offsets is None else len(offsets) - 1  # type: ignore[arg-type]
    table = Features.from_array(rows, **more)  # type: ignore[arg-type]
    digits = np.random.default_rng([seed, n]).integers(0, 16, (n, 32))
    hashes = np.array(["".join(f"{d:x}" for d in row) for row in digits], dtype="S32")
    return replace(table, ids=replace(Ids.numbered(n), hash=hashes))


def selection_problems(seed: int = 0) -> tuple[Problem, ...]:
    """Problems that life brings: repetitions, blocks, extreme scales, nothing to choose from, broken rows."""
    rng = np.random.default_rng(seed)
    rows = rng.normal(size=(24, 5))
    pool, known = _table(rows, 1), _table(rng.normal(size=(6, 5)), 2)
    return (*_ordinary(rng, rows, pool, known), *_refused(rows, pool, known))


def _ordinary(
    rng: np.random.Generator, rows: NDArray[np.float64], pool: Features, known: Features
) -> tuple[Problem, ...]:
    lengths = rng.integers(1, 9, 12)
    offsets = np.concatenate(([0], np.cumsum(lengths)))
    block_rows = rng.normal(size=(offsets[-1], 4))
    blocks = _table(block_rows, 3, offsets=offsets, kind="atom")
    mixed = np.full(len(block_rows), KINDS.index("force"), np.uint8)
    mixed[offsets[:-1]] = KINDS.index("energy")
    weights = np.where(mixed == KINDS.index("energy"), 10.0, 1.0)
    thrice = pool[np.arange(24) % 8]
    twins = _table(rows[np.arange(24) % 8], 4)
    zeros = _table(np.vstack((rows[:4], np.zeros((4, 5)))), 5)
    constant = rows.copy()
    constant[:, 2] = 3.0
    return (
        Problem("plain", pool, 6),
        Problem("plain, given known structures", pool, 6, known),
        Problem("empty known set", pool, 6, known[:0]),
        Problem("known = pool", pool, 6, pool),
        Problem("part of the pool is known", pool, 20, pool[:8]),
        Problem("n = 0", pool, 0),
        Problem("n = pool", pool, 24),
        Problem("n = pool, given known structures", pool, 24, known),
        Problem("nothing from an empty pool", pool[:0], 0),
        Problem("a single candidate", pool[:1], 1),
        Problem("every structure three times", thrice, 6),
        Problem("more than there are different ones", thrice, 12),
        Problem("equal rows of different structures", twins, 12),
        Problem("rank deficient", _table(rng.normal(size=(20, 2)) @ rng.normal(size=(2, 6)), 6), 8),
        Problem("more features than candidates", _table(rng.normal(size=(6, 30)), 7), 4),
        Problem("float32", _table(rows.astype(np.float32), 8), 6),
        Problem("a constant feature", _table(constant, 9), 6),
        Problem("rows of zeros", zeros, 8),
        Problem("nothing but zeros", _table(np.zeros((5, 3)), 10), 3),
        Problem("wildly scaled features", _table(rows * 10.0 ** np.array([-9, -4, 0, 4, 9]), 11), 8),
        Problem("a smoothness prior", _table(rows, 12, prior=np.geomspace(1, 1e4, 5)), 8),
        Problem("noise of different size", _table(rows, 13, weight=np.geomspace(0.1, 100, 24)), 8),
        Problem("ragged blocks", blocks, 5),
        Problem("ragged blocks, some known", blocks[4:], 8, blocks[:6]),
        Problem("energy and force rows", replace(blocks, kind=mixed, weight=weights), 5),
    )


def _refused(rows: NDArray[np.float64], pool: Features, known: Features) -> tuple[Problem, ...]:
    nan, infinite, huge = rows.copy(), rows.copy(), rows.copy()
    nan[3, 1], infinite[23, 4], huge[5, 0] = np.nan, -np.inf, 1e200
    weightless = np.ones(24)
    weightless[2] = 0.0
    hollow = _table(rows, 14, offsets=np.array([0, 10, 10, 24]))
    return (
        Problem("more than there are", pool, 25, refuse=True),
        Problem("something from an empty pool", pool[:0], 1, refuse=True),
        Problem("a negative number", pool, -1, refuse=True),
        Problem("a row that is not a number", replace(pool, rows=nan), 3, refuse=True),
        Problem("an infinite row", replace(pool, rows=infinite), 3, refuse=True),
        Problem("an entry too large to square", replace(pool, rows=huge), 3, refuse=True),
        Problem("a known row that is not a number", pool, 3, replace(pool, rows=nan), refuse=True),
        Problem("different features", pool, 3, _table(rows[:, :3], 15), refuse=True),
        Problem("different priors", pool, 3, replace(known, prior=np.full(5, 2.0)), refuse=True),
        Problem("a weight of zero", replace(pool, weight=weightless), 3, refuse=True),
        Problem("a candidate without rows", hollow, 2, refuse=True),
    )
