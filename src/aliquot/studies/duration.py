"""How long will a study take? As measured on the tasks that are done, else as declared, else in proportion to cost."""

from __future__ import annotations

from aliquot.studies.declaration import SIZES, Study
from aliquot.studies.run import Plan

__all__ = ["expected", "left"]


def expected(study: Study, size: str) -> float | None:
    """Seconds of a whole study in one process, from its declaration; None where that says nothing.

    A size without a time of its own takes that of the largest declared one, in proportion to what its protocol says
    the tasks cost.
    """
    if size in study.minutes:
        return 60 * study.minutes[size]
    for known in reversed(SIZES):
        if known in study.minutes and (unit := _cost(study, known)) > 0:
            return 60 * study.minutes[known] * _cost(study, size) / unit
    return None


def left(planned: Plan) -> float | None:
    """Seconds in one process of what is missing; None where nothing says."""
    missing, done = planned.missing, planned.done
    if not missing:
        return 0.0
    if (spent := planned.cost(done)) > 0:
        return planned.seconds(done) / spent * planned.cost(missing)
    whole, cost = expected(planned.study, planned.size), planned.cost(planned.tasks)
    return None if whole is None or cost <= 0 else whole * planned.cost(missing) / cost


def _cost(study: Study, size: str) -> float:
    settings, protocol = study.settings_of(size), study.carried_out_by
    return sum(protocol.cost(settings, task) for task in protocol.tasks(settings))
