"""Run a study: task by task, each on disk when it is done, in as many processes as there are.

A folder keeps, by the hash of settings, data and revision, what tasks share and the rows of each task. Interrupted at
any point, the same call goes on with the tasks that are missing. Results do not depend on how many work.
"""

from __future__ import annotations

import json
import math
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import BrokenExecutor, Executor, Future, as_completed
from dataclasses import asdict
from importlib.metadata import version as version_of
from pathlib import Path
from typing import Any

import numpy as np
from threadpoolctl import threadpool_limits

from aliquot import __version__
from aliquot.campaign.folder import write_json
from aliquot.errors import AliquotError, InputError
from aliquot.progress import Progress, silent
from aliquot.studies.data import Data
from aliquot.studies.declaration import Protocol_, Study, Task, protocol_named
from aliquot.studies.record import Record
from aliquot.studies.results import Results
from aliquot.table import recipe_hash

__all__ = ["Plan", "plan", "run_study"]


class Plan:
    """A study of one size on the data of a folder, and what of it is done.

    Parameters
    ----------
    study : Study
    size : str
    data : Data
    folder : Path
        Where tasks are kept.
    """

    def __init__(self, study: Study, size: str, data: Data, folder: Path) -> None:
        self.study, self.size, self.data = study, size, data
        self.protocol: Protocol_ = study.carried_out_by
        self.settings = study.settings_of(size)
        self.inputs = {name: data.hash(name) for name in self.settings.sets}
        told = {
            "protocol": study.protocol,
            "revision": self.protocol.REVISION,
            "settings": asdict(self.settings),
            "inputs": self.inputs,
        }
        self.place = folder / "work" / recipe_hash(told)
        self.tasks: Sequence[Task] = list(self.protocol.tasks(self.settings))
        if len({recipe_hash(task) for task in self.tasks}) < len(self.tasks):
            raise InputError(f"{study.name} [{size}]: tasks are alike; each must differ in a value")

    @property
    def done(self) -> list[Task]:
        """Tasks that are done."""
        return [task for task in self.tasks if self.file(task).exists()]

    @property
    def missing(self) -> list[Task]:
        """Tasks that are not done."""
        return [task for task in self.tasks if not self.file(task).exists()]

    def file(self, task: Task) -> Path:
        """Where the rows of a task are kept."""
        return self.place / f"task-{recipe_hash(task)}.json"

    def cost(self, tasks: Sequence[Task]) -> float:
        """Time of tasks, in the unit of the protocol."""
        return sum(self.protocol.cost(self.settings, task) for task in tasks)

    def rows(self) -> Iterator[dict[str, Any]]:
        """Rows of all tasks, in the order of the tasks."""
        for task in self.tasks:
            yield from (
                {**{k: v for k, v in task.items() if not isinstance(v, list | dict)}, **row}
                for row in _kept(self.file(task))["rows"]
            )

    def seconds(self, tasks: Sequence[Task] | None = None) -> float:
        """Wall time of tasks that are done (all by default) together."""
        return sum(_kept(self.file(task))["seconds"] for task in (self.tasks if tasks is None else tasks))


def plan(study: Study, size: str, data: Data, folder: Path) -> Plan:
    """What running a study would mean.

    Raises
    ------
    InputError
        If a setting is wrong, or data are missing.
    """
    return Plan(study, size, data, folder)


def run_study(
    study: Study,
    size: str,
    data: Data,
    folder: Path,
    *,
    executor: Executor | None = None,
    progress: Progress = silent,
) -> tuple[Record, Results]:
    """Do what is missing and conclude.

    Parameters
    ----------
    study : Study
    size : str
    data : Data
    folder : Path
        Created where it is missing; tasks are kept in ``folder/work``.
    executor : concurrent.futures.Executor, optional
        Where tasks run; in this process by default.
    progress : callable

    Returns
    -------
    Record and Results

    Raises
    ------
    InputError
        If a task fails; those that are done are kept.
    """
    planned = plan(study, size, data, folder)
    planned.place.mkdir(parents=True, exist_ok=True)
    missing = planned.missing
    if missing:
        planned.protocol.prepare(planned.settings, data, planned.place, progress)
    done = len(planned.tasks) - len(missing)
    for number, _ in enumerate(_work(planned, missing, executor), done + 1):
        progress("tasks", number, len(planned.tasks))
    results = Results(tuple(planned.rows()))
    record = Record(
        name=study.name,
        title=study.title,
        paper=study.paper,
        question=study.question,
        method=study.method,
        published=study.published,
        discussion=study.discussion,
        size=size,
        settings=asdict(planned.settings),
        inputs=planned.inputs,
        command=f"aliquot study {study.name} --size {size}",
        version=__version__,
        versions={"python": sys.version.split()[0]}
        | {name: version_of(name) for name in ("numpy", "scipy", "numba")},
        seconds=planned.seconds(),
        conclusion=planned.protocol.conclude(planned.settings, results),
    )
    return record, results


def _work(planned: Plan, tasks: Sequence[Task], executor: Executor | None) -> Iterator[Task]:
    """Tasks as they are done."""
    name = planned.study.protocol
    if executor is None:
        for task in tasks:
            _one(name, planned.settings, planned.data, planned.place, planned.file(task), task)
            yield task
        return
    waiting: dict[Future[None], Task] = {
        executor.submit(
            _one, name, planned.settings, planned.data, planned.place, planned.file(task), task
        ): task
        for task in tasks
    }
    try:
        for future in as_completed(waiting):
            future.result()
            yield waiting[future]
    except BrokenExecutor as error:
        raise InputError(f"a worker died ({error}); the same command goes on with what is missing") from error
    finally:
        for future in waiting:
            future.cancel()


def _one(protocol: str, settings: Any, data: Data, place: Path, file: Path, task: Task) -> None:
    """Do one task and keep its rows; in one BLAS thread, so that every process computes the same bits."""
    import scipy.linalg.blas  # noqa: F401  (only a library that is loaded can be limited; numpy's is loaded with it)

    carried_out_by = protocol_named(protocol)
    began = time.perf_counter()
    try:
        with threadpool_limits(1):
            rows = carried_out_by.work(settings, data, place, task)
    except AliquotError as error:
        raise InputError(f"task {dict(task)} failed: {error}") from error
    write_json(
        file,
        {"task": dict(task), "seconds": time.perf_counter() - began, "rows": [_plain(row) for row in rows]},
    )


def _plain(row: Mapping[str, Any]) -> dict[str, Any]:
    """A row as JSON has it: None for what is not a finite number."""
    plain = {name: value.item() if isinstance(value, np.generic) else value for name, value in row.items()}
    return {name: None if isinstance(v, float) and not math.isfinite(v) else v for name, v in plain.items()}


def _kept(file: Path) -> dict[str, Any]:
    again = "remove it, and its task is done again"
    try:
        kept = json.loads(file.read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise InputError(f"{file} is damaged ({error}); {again}") from error
    if not isinstance(kept, dict) or not {"rows", "seconds"} <= set(kept):
        raise InputError(f"{file} is damaged (it has no rows); {again}")
    return kept
