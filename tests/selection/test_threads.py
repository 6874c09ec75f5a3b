"""No pick depends on how many threads there are, also where gains are the last digits of what they were."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import numpy as np
import pytest

from aliquot.selection import select
from aliquot.table import Features

# More picks than directions, columns that all but depend on each other, nothing known: variances fall by 12 orders.
CHOOSE = """
import json, sys
import numpy as np
from aliquot.selection import select
from aliquot.table import Features
rng = np.random.default_rng(0)
rows = (rng.normal(size=(9000, 60)) * np.arange(1, 61) ** -2.0) @ rng.normal(size=(60, 60))
rows[:, 50:] = rows[:, :10] * (1 + 1e-7 * rng.normal(size=(9000, 10)))
known = Features.from_array(rows[:50] + 1e-3)
answers = {}
for name, more in {
    "entropy": {}, "energy": {"score": "energy"}, "goal": {"score": "goal"}, "fps": {"method": "fps"},
    "given known": {"known": known},
}.items():
    if more.get("method") != "fps":
        more = {"sensitivity": False, **more}
    some = rows[:2500] if name == "goal" else rows
    pool = Features.from_array(some if "known" in more else some.astype(np.float32))
    answer = select(pool, 150, **more)
    answers[name] = [answer.index.tolist(), answer.gain.tolist()]
json.dump(answers, sys.stdout)
"""


def answers(threads: int) -> dict[str, list[list[float]]]:
    names = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
    environment = {**os.environ, **dict.fromkeys(names, str(threads))}
    done = subprocess.run(
        [sys.executable, "-c", CHOOSE], env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_one_thread_and_two_choose_the_same() -> None:
    one, two = answers(1), answers(2)
    for name in one:
        assert one[name][0] == two[name][0], name
        assert one[name][1] == two[name][1], name
    assert min(one["goal"][1]) < 1e-11 * max(one["goal"][1]), "the test must reach the end of the digits"


@pytest.mark.parametrize(("score", "first"), [("entropy", 12), ("energy", 12), ("goal", 6)])
def test_gains_that_are_rounding_are_ties(score: str, first: int) -> None:
    """Rows of very different sizes in orthogonal directions: the smallest are beneath the rounding of the largest."""
    rows = np.diag(10.0 ** -np.arange(0.0, 20.0, 1.0))
    table = Features.from_array(rows)
    answer = select(table, 20, score=score, precision=1.0, sensitivity=False)
    assert answer.gain is not None
    begin = int(np.argmax(answer.gain == 0.0))
    assert first <= begin <= first + 2
    assert answer.index[:begin].tolist() == list(range(begin))
    rest = answer.ids.hash[begin:].tolist()
    assert rest == sorted(rest)
    assert any(f"from pick {begin + 1} on the gain is zero within rounding" in note for note in answer.notes)
