"""What follows from the errors of all students: who transfers, by which factor, and how sure that is."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from aliquot.studies.entropy_transfer.sets import ENTROPY, EXPERT, PACKED
from aliquot.studies.record import Conclusion, Curve, Figure, Finding, Panel, Table
from aliquot.studies.results import Results
from aliquot.studies.statistics import Interval, holm, interval, paired

__all__ = ["conclude"]

Array = NDArray[np.float64]

ENERGY: Final = "energy_rmse_meV"
FORCE: Final = "force_rmse_meV_A"
DIFFERENCES: Final = "energy_differences_rmse_meV"

#: Names of sets in tables.
CALLED: Final = {EXPERT: "expert", ENTROPY: "entropy", PACKED: "packings"}

#: Half of each.
BOTH: Final = f"{EXPERT} + {ENTROPY}"

#: An order of magnitude, and what counts as a small factor.
LARGE, SMALL = 10.0, 3.0

#: Level of significance.
LEVEL: Final = 0.05


class _Errors:
    """Errors of all repeats under one truth."""

    def __init__(self, settings: Any, results: Results, truth: str) -> None:
        self.truth, self.students, self.teach = truth, settings.students, settings.teach
        self._results = results.where(truth=truth)
        # structures that judge over structures that teach: splits overlap from repeat to repeat
        self.overlap = settings.test / (1.0 - settings.test - settings.validation)

    def of(self, student: str, taught: str, judged: str, what: str = ENERGY, kind: str = "") -> Array:
        """One number for each repeat."""
        return self._results.where(student=student, taught=taught, judged=judged, kind=kind).column(what)

    def home_and_away(self, student: str, taught: str, what: str = ENERGY) -> Array:
        """Error on the other set over that on one's own."""
        away = ENTROPY if taught == EXPERT else EXPERT
        return self.of(student, taught, away, what) / self.of(student, taught, taught, what)

    def mixture(self, student: str) -> Array:
        """Energy error of half of each over that of the specialist, on the set where that is larger."""
        own = [self.of(student, BOTH, one) / self.of(student, one, one) for one in (EXPERT, ENTROPY)]
        return np.maximum(*own)

    def kinds(self) -> tuple[str, ...]:
        """Config types of the expert set."""
        return tuple(kind for kind in self._results.where(judged=EXPERT).values("kind") if kind)


def conclude(settings: Any, results: Results) -> Conclusion:
    """Factors, findings, tables and figures; what holds does so under every truth."""
    all_errors = [_Errors(settings, results, truth) for truth in settings.truths]
    claims: dict[str, list[Finding]] = {}
    for errors in all_errors:
        for finding in _findings(errors):
            claims.setdefault(finding.claim, []).append(finding)
    findings = [_joined(same) for same in claims.values()]
    tables = [_strange(settings, results), *(table for errors in all_errors for table in _tables(errors))]
    return Conclusion(
        _summary(all_errors[0]), tuple(findings), tuple(tables), tuple(map(_figure, all_errors))
    )


def _joined(same: list[Finding]) -> Finding:
    """One claim under several truths."""
    verdicts = {one.holds for one in same}
    holds = None if None in verdicts else verdicts == {True}
    return Finding(same[0].claim, "; ".join(one.measured for one in same), holds)


def _geometric(values: Array) -> Interval:
    """Geometric mean with its interval."""
    logs = interval(np.log(values))  # repeats without a value are left out
    return Interval(*(float(np.exp(x)) for x in (logs.value, logs.low, logs.high)))


def _summary(errors: _Errors) -> str:
    if not {EXPERT, ENTROPY} <= set(errors.teach):
        return "Both sets have to teach before anything can be said."

    def span(ratios: Callable[[str], Array]) -> str:
        found = [_geometric(ratios(student)).value for student in errors.students]
        return f"{_short(min(found))} to {_short(max(found))}"

    def away(taught: str, what: str) -> str:
        return span(lambda student: errors.home_and_away(student, taught, what))

    return (
        f"With labels of {errors.truth}, students taught by the expert set have {away(EXPERT, ENERGY)} times the energy"
        f" error on structures of maximum entropy that they have on the expert set, and {away(EXPERT, FORCE)} times the"
        f" force error. Students taught by entropy have {away(ENTROPY, ENERGY)} times the energy error on the expert"
        f" set that they have on their own ({away(ENTROPY, DIFFERENCES)} times after one constant per atom is"
        f" subtracted), and {away(ENTROPY, FORCE)} times the force error."
        + (
            f" Half of each, as many structures in all, has {span(errors.mixture)} times the energy error of the"
            " specialist where it is worse."
            if BOTH in errors.teach
            else ""
        )
        + f" (Ranges are over {len(errors.students)} students.)"
    )


def _short(x: float) -> str:
    """Two digits, never as a power of ten."""
    return f"{float(f'{x:.2g}'):g}"


# --- findings ------------------------------------------------------------------------------------------------


def _findings(errors: _Errors) -> Iterator[Finding]:
    have = set(errors.teach)
    if {EXPERT, ENTROPY} <= have:
        yield _grow(errors)
        yield _flat(errors)
        yield _flatter(errors)
        yield _specialists(errors)
        yield _differences(errors)
        yield _forces(errors)
    if {ENTROPY, PACKED} <= have:
        yield from _driven(errors)
    if {EXPERT, ENTROPY, BOTH} <= have:
        yield _mixture(errors)


def _told(errors: _Errors, value: Callable[[str], Interval]) -> tuple[str, list[Interval]]:
    found = [value(student) for student in errors.students]
    words = " · ".join(f"{s} {v.text(2)}" for s, v in zip(errors.students, found, strict=True))
    return f"{errors.truth}: {words}", found


def _grow(errors: _Errors) -> Finding:
    words, found = _told(errors, lambda s: _geometric(errors.home_and_away(s, EXPERT)))
    return Finding(
        "Energy errors of models taught by the expert set grow by one to two orders of magnitude on the entropy set"
        f" (a number recalled, not verified): at least {LARGE:g}-fold for every student",
        words,
        all(v.low >= LARGE for v in found),
    )


def _flat(errors: _Errors) -> Finding:
    words, found = _told(errors, lambda s: _geometric(errors.home_and_away(s, ENTROPY)))
    return Finding(
        "Models taught by the entropy set stay within a small factor on the expert set (recalled; we say at most"
        f" {SMALL:g}) in energy, for every student",
        words,
        all(v.high <= SMALL for v in found),
    )


def _flatter(errors: _Errors) -> Finding:
    differences = [
        paired(
            np.log(errors.home_and_away(s, EXPERT)),
            np.log(errors.home_and_away(s, ENTROPY)),
            test_over_train=errors.overlap,
        )
        if len(errors.of(s, EXPERT, EXPERT)) > 1
        else None
        for s in errors.students
    ]
    words, found = _told(
        errors,
        lambda s: _geometric(errors.home_and_away(s, EXPERT) / errors.home_and_away(s, ENTROPY)),
    )
    known = [one for one in differences if one is not None]
    p = holm([one.p for one in known]) if known else np.array([np.nan])
    return Finding(
        "Errors of models taught by the entropy set are far flatter: the factor by which the energy error grows"
        " away from home is larger for the expert set, for every student (p < 0.05, corrected)",
        f"{words} times larger, largest corrected p {p.max():.2g}",
        bool(all(v.value > 1 for v in found) and p.max() < LEVEL) if known else None,
    )


def _specialists(errors: _Errors) -> Finding:
    words, found = _told(
        errors, lambda s: _geometric(errors.of(s, ENTROPY, EXPERT) / errors.of(s, EXPERT, EXPERT))
    )
    return Finding(
        "On the expert set, models taught by it have the lower energy error (published), for every student",
        f"{words} times the error when taught by entropy instead",
        all(v.low > 1 for v in found),
    )


def _differences(errors: _Errors) -> Finding:
    words, found = _told(errors, lambda s: _geometric(errors.home_and_away(s, ENTROPY, DIFFERENCES)))
    shifts = ", ".join(
        f"{np.nanmean(errors.of(s, ENTROPY, EXPERT, 'energy_shift_meV')):+.3g}" for s in errors.students
    )
    return Finding(
        "(Ours) What models taught by the entropy set miss on the expert set is mostly one constant per atom: errors"
        f" of energy differences stay within a factor of {SMALL:g} of those at home, for every student",
        f"{words}, the constants {shifts} meV/atom",
        all(v.high <= SMALL for v in found),
    )


def _forces(errors: _Errors) -> Finding:
    own, found = _told(errors, lambda s: _geometric(errors.home_and_away(s, EXPERT, FORCE)))
    other, others = _told(errors, lambda s: _geometric(errors.home_and_away(s, ENTROPY, FORCE)))
    return Finding(
        "Forces tell the same: errors grow away from home for the expert set and do not for the entropy set",
        f"{own} (taught by the expert set); {other} (by entropy)",
        all(v.low > 1 for v in found) and all(v.low <= 1 for v in others),
    )


def _driven(errors: _Errors) -> Iterator[Finding]:
    """Whether it is entropy that teaches, or random packings would do."""
    for judged in (EXPERT, ENTROPY):
        words, found = _told(
            errors,
            lambda s, judged=judged: _geometric(errors.of(s, PACKED, judged) / errors.of(s, ENTROPY, judged)),
        )
        yield Finding(
            f"(Ours) Entropy teaches more than the random packings it begins with: lower energy errors on the"
            f" {CALLED[judged]} set, for every student",
            f"{words} times the error when taught by packings instead",
            all(v.low > 1 for v in found),
        )


def _mixture(errors: _Errors) -> Finding:
    words, found = _told(errors, lambda s: _geometric(errors.mixture(s)))
    return Finding(
        "(Ours) Half of each, as many structures in all as one set has, is nowhere worse in energy than"
        " 1.5 times the specialist of that set, for every student",
        words,
        all(v.high <= 1.5 for v in found),
    )


# --- tables and figures -----------------------------------------------------------------------------------------


def _tables(errors: _Errors) -> Iterator[Table]:
    low = errors.truth.lower()
    judged = (EXPERT, ENTROPY, PACKED)
    for what, name, unit in ((ENERGY, "energy", "meV/atom"), (FORCE, "force", "meV/Å")):
        spread = what.replace("rmse", "spread")
        yield Table(
            f"{name}-{low}",
            f"{name.capitalize()} error (RMSE, {unit}) on held-out structures, truth {errors.truth}",
            ("student", "taught by", *(f"on {CALLED[j]}" for j in judged)),
            (
                (
                    "spread of the labels",
                    "",
                    *(_mean(errors, errors.students[0], errors.teach[0], j, spread) for j in judged),
                ),
                *(
                    (student, _called(taught), *(_mean(errors, student, taught, j, what) for j in judged))
                    for student in errors.students
                    for taught in errors.teach
                ),
            ),
            "Mean over splits, with 95 % intervals of that mean.",
        )
    if {EXPERT, ENTROPY} <= set(errors.teach):
        yield Table(
            f"ratios-{low}",
            f"Off-diagonal over diagonal, truth {errors.truth}",
            ("student", "taught by", "energy", "energy differences", "largest 1 % of energies", "forces"),
            tuple(
                (
                    student,
                    CALLED[taught],
                    *(
                        _geometric(errors.home_and_away(student, taught, what)).text(2)
                        for what in (ENERGY, DIFFERENCES, "energy_worst_percent_meV", FORCE)
                    ),
                )
                for student in errors.students
                for taught in (EXPERT, ENTROPY)
            ),
            "Error of one student on the other set over that on its own (geometric means over splits). Energy"
            " differences: after one constant per atom is subtracted.",
        )
    yield Table(
        f"kinds-{low}",
        f"Energy error (RMSE, meV/atom) by kind of the expert's structures, truth {errors.truth}",
        ("student", "taught by", *errors.kinds()),
        tuple(
            (
                student,
                _called(taught),
                *(
                    f"{np.nanmean(errors.of(student, taught, EXPERT, kind=kind)):.3g}"
                    for kind in errors.kinds()
                ),
            )
            for student in errors.students
            for taught in errors.teach
        ),
        "Mean over splits.",
    )


def _strange(settings: Any, results: Results) -> Table:
    """Who meets what was never seen; the truth does not matter."""
    some = results.where(truth=settings.truths[0], student=settings.students[0], kind="")
    return Table(
        "strange",
        "Environments that judge and lie outside of those that teach, %",
        ("taught by", *(f"of {CALLED[judged]}" for judged in (EXPERT, ENTROPY, PACKED))),
        tuple(
            (
                _called(taught),
                *(
                    f"{100 * np.mean(some.where(taught=taught, judged=judged).column('strange')):.3g}"
                    for judged in (EXPERT, ENTROPY, PACKED)
                ),
            )
            for taught in settings.teach
        ),
        "Outside: farther from the mean, in units of the covariance of the site values, than all but one in a thousand"
        " of the environments that teach. Mean over splits.",
    )


def _called(taught: str) -> str:
    return " + ".join(CALLED[part.strip()] for part in taught.split("+"))


def _mean(errors: _Errors, student: str, taught: str, judged: str, what: str) -> str:
    return interval(errors.of(student, taught, judged, what)).text(3)


def _figure(errors: _Errors) -> Figure:
    """Every student as a point: its error on one set against that on the other."""

    def curve(taught: str, what: str) -> Curve:
        here = [interval(errors.of(s, taught, EXPERT, what)) for s in errors.students]
        there = [interval(errors.of(s, taught, ENTROPY, what)) for s in errors.students]
        return Curve(
            f"taught by {_called(taught)}",
            tuple(v.value for v in here),
            tuple(v.value for v in there),
            tuple(v.low for v in there),
            tuple(v.high for v in there),
            line=False,
        )

    def panel(title: str, what: str, unit: str) -> Panel:
        return Panel(
            title,
            f"RMSE on the expert set, {unit}",
            f"RMSE on the entropy set, {unit}",
            tuple(curve(taught, what) for taught in errors.teach),
            log_x=True,
            log_y=True,
        )

    return Figure(
        f"transfer-{errors.truth.lower()}",
        f"One point for each student ({', '.join(errors.students)}); truth {errors.truth}. Low and left is good.",
        (panel("energies", ENERGY, "meV/atom"), panel("forces", FORCE, "meV/Å")),
    )
