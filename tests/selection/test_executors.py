"""Workers of an executor read a pool on disk: the same picks, and a clear word where there is nothing to share."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from concurrent.futures import Executor, ProcessPoolExecutor, ThreadPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from aliquot.errors import SelectionError
from aliquot.features.opening import open_store, save_store
from aliquot.information import default_precision
from aliquot.information.passes import ordered
from aliquot.selection import METHODS, select
from aliquot.table import Features

CHOICES: dict[str, dict[str, Any]] = {
    "bayes": {"sensitivity": False},
    "bayes energy": {"method": "bayes", "score": "energy", "sensitivity": False},
    "fps": {},
    "two-level": {"parts": 3},
}


@pytest.fixture(scope="module")
def pool() -> Features:
    """More than one tile, with structure."""
    rng = np.random.default_rng(0)
    centres = 3 * rng.normal(size=(15, 12))
    rows = (centres[rng.integers(15, size=20_000)] + rng.normal(size=(20_000, 12))) * np.arange(1, 13) ** -1.0
    return Features.from_array(rows.astype(np.float32), prior=np.arange(1.0, 13.0))


@pytest.fixture(scope="module")
def store(pool: Features, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("pools") / "store"
    save_store(folder, pool, shard_rows=3000)
    return folder


@pytest.fixture(scope="module")
def processes() -> Iterator[Executor]:
    with ProcessPoolExecutor(2, mp_context=get_context("spawn")) as executor:
        yield executor


class Counting(Executor):
    """Counts what is sent."""

    def __init__(self, inner: Executor) -> None:
        self.inner, self.sent = inner, 0

    def submit(self, fn: Any, /, *args: Any, **kwargs: Any) -> Any:
        self.sent += 1
        return self.inner.submit(fn, *args, **kwargs)


def chosen(name: str, pool: Features, **more: Any) -> Any:
    parameters = {"method": name, **CHOICES[name]}
    return select(pool, 40, **parameters, **more)


@pytest.mark.parametrize("name", CHOICES)
def test_processes_choose_the_same_from_a_store(
    name: str, pool: Features, store: Path, processes: Executor
) -> None:
    expected, executor = chosen(name, pool), Counting(processes)
    answer = chosen(name, open_store(store), executor=executor)
    assert executor.sent > 2
    assert answer.index.tolist() == expected.index.tolist()
    np.testing.assert_array_equal(answer.gain, expected.gain)
    assert answer.certificate == expected.certificate


@pytest.mark.parametrize("name", CHOICES)
def test_rows_in_memory_stay_here_or_are_sent(name: str, pool: Features) -> None:
    with ThreadPoolExecutor(2) as threads:
        executor = Counting(threads)
        answer = chosen(name, pool, executor=executor)
    assert (executor.sent > 0) == (name == "two-level")
    assert answer.index.tolist() == chosen(name, pool).index.tolist()


def test_the_prior_is_the_same_to_the_last_bit(pool: Features, store: Path, processes: Executor) -> None:
    assert default_precision(open_store(store), executor=processes) == default_precision(pool)


def test_methods_with_nothing_to_share_refuse(pool: Features) -> None:
    with ThreadPoolExecutor(1) as executor:
        for name, method in METHODS.items():
            if "executor" not in method.heeds:
                with pytest.raises(SelectionError, match="no passes over a pool to share"):
                    select(pool, 2, method=name, executor=executor)
        with pytest.raises(SelectionError, match="goal holds all rows"):
            select(pool, 2, score="goal", executor=executor)


def leave() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def test_workers_that_have_gone_are_said() -> None:
    with (
        ProcessPoolExecutor(1, mp_context=get_context("spawn")) as executor,
        pytest.raises(SelectionError, match="workers of the executor have gone"),
    ):
        list(ordered(executor, leave, [1], lambda job: ()))


def test_order_is_that_of_the_jobs() -> None:
    def late(job: int) -> int:
        time.sleep(0.002 * (job % 3))
        return job

    with ThreadPoolExecutor(4) as executor:
        assert list(ordered(executor, late, range(50), lambda job: (job,))) == list(range(50))


def dies_once(mark: str, job: int) -> int:
    """Kills its worker the first time that it is asked for job 3."""
    path = Path(mark)
    if job == 3 and not path.exists():
        path.touch()
        leave()
    return job * job


def test_dask_survives_a_worker(pool: Features, store: Path, tmp_path: Path) -> None:
    distributed = pytest.importorskip(
        "distributed", reason="Dask is not installed: pip install 'aliquot[dask]'"
    )
    import dask

    with (
        dask.config.set({"distributed.scheduler.allowed-failures": 5, "distributed.admin.tick.limit": "60s"}),
        distributed.LocalCluster(
            n_workers=2, threads_per_worker=1, dashboard_address=None, local_directory=str(tmp_path)
        ) as cluster,
        distributed.Client(cluster) as client,
    ):
        executor = client.get_executor()
        mark = str(tmp_path / "died")
        squares = list(ordered(executor, dies_once, range(8), lambda job: (mark, job)))
        assert squares == [k * k for k in range(8)]
        assert Path(mark).exists()
        killing = Killing(executor, client)
        answer = chosen("bayes", open_store(store), executor=killing)
    assert killing.killed
    expected = chosen("bayes", pool)
    assert answer.index.tolist() == expected.index.tolist()
    np.testing.assert_array_equal(answer.gain, expected.gain)


class Killing(Counting):
    """Kills one worker of the cluster in the middle of the work."""

    def __init__(self, inner: Executor, client: Any) -> None:
        super().__init__(inner)
        self.client, self.killed = client, False

    def submit(self, fn: Any, /, *args: Any, **kwargs: Any) -> Any:
        future = super().submit(fn, *args, **kwargs)
        if self.sent == 6:
            pids = self.client.run(os.getpid)
            os.kill(next(iter(pids.values())), signal.SIGKILL)
            self.killed = True
        return future
