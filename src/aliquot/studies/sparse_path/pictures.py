"""Figures: error against functions, error against time, stability of supports."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from aliquot.studies.record import Curve, Figure, Panel
from aliquot.studies.sparse_path.measured import Measured
from aliquot.studies.sparse_path.sets import METALS, PEERS, short
from aliquot.studies.sparse_path.solving import DENSE, EQUAL, METHODS

__all__ = ["figures"]

_BY_FUNCTIONS: Final = (DENSE, EQUAL, "rrqr", "omp", "asp", "ard")
_BY_TIME: Final = (DENSE, "omp", "omp-cost", "asp-cost", "ard", "ard-cost")
_ENERGY: Final = ("energy_mae_meV", "energy MAE, meV/atom")
_FORCE: Final = ("force_mae_meV_A", "force MAE, meV/Å")
_ABREAST: Final = 3

_BANDS: Final = "Means over splits; bands are 95 % intervals from resampling splits."


def figures(measured: Measured) -> tuple[Figure, ...]:
    """All figures."""
    metals = measured.among(METALS)
    others = tuple(name for name in measured.settings.sets if name not in METALS)
    return (
        *_rows(measured, "energy", metals, _ENERGY, "functions", _BY_FUNCTIONS),
        *_rows(measured, "forces", metals, _FORCE, "functions", _BY_FUNCTIONS),
        *_rows(measured, "time", metals, _FORCE, "us_per_atom", _BY_TIME),
        *_larger(measured, others),
        *_stability(measured),
    )


def _rows(
    measured: Measured,
    name: str,
    sets: Sequence[str],
    error: tuple[str, str],
    x: str,
    methods: Sequence[str],
) -> Iterator[Figure]:
    """Panels of sets, a few abreast."""
    against = "number of functions" if x == "functions" else "time of evaluation"
    caption = f"Error of test structures against {against}. {_BANDS}"
    if error is _ENERGY:
        caption += " Horizontal: GAP as published."
    for start in range(0, len(sets), _ABREAST):
        some = sets[start : start + _ABREAST]
        number = f"-{start // _ABREAST + 1}" if len(sets) > _ABREAST else ""
        panels = tuple(_panel(measured, one, error, x, methods) for one in some)
        yield Figure(f"{name}{number}", f"{', '.join(map(short, some))}. {caption}", panels)


def _larger(measured: Measured, sets: Sequence[str]) -> Iterator[Figure]:
    """One figure for each of the other sets: energies and forces against functions, forces against time."""
    for one in sets:
        panels = (
            _panel(measured, one, _ENERGY, "functions", _BY_FUNCTIONS),
            _panel(measured, one, _FORCE, "functions", _BY_FUNCTIONS),
            _panel(measured, one, _FORCE, "us_per_atom", _BY_TIME),
        )
        name = short(one).split()[0]
        yield Figure(name, f"{short(one)}: error against number of functions and time. {_BANDS}", panels)


def _panel(measured: Measured, name: str, error: tuple[str, str], x: str, methods: Sequence[str]) -> Panel:
    column, label = error
    curves = tuple(
        curve
        for method in measured.methods(*methods)
        if (curve := _curve(measured, name, method, column, x)) is not None
    )
    return Panel(
        short(name),
        "functions" if x == "functions" else "µs per atom",
        label,
        curves,
        log_x=True,
        log_y=True,
        reference=PEERS[name][0] if error is _ENERGY and name in PEERS else None,
    )


def _curve(measured: Measured, name: str, method: str, column: str, x: str) -> Curve | None:
    bands = [measured.band("budget", name, method, n, column) for n in measured.settings.sizes]
    places = [measured.band("budget", name, method, n, x).value for n in measured.settings.sizes]
    there = [(at, band) for at, band in zip(places, bands, strict=True) if at == at]
    if not there:
        return None
    there.sort(key=lambda one: one[0])
    return Curve(
        METHODS[method].label,
        tuple(at for at, _ in there),
        tuple(band.value for _, band in there),
        tuple(band.low for _, band in there),
        tuple(band.high for _, band in there),
    )


def _stability(measured: Measured) -> Iterator[Figure]:
    """Consistency of supports against their size."""
    panels: list[Panel] = []
    for name in measured.settings.sets:
        curves: list[Curve] = []
        for method in measured.methods("rrqr", "omp", "asp", "ard"):
            found = [
                (n, both[1])
                for n in measured.settings.stability
                if (both := measured.overlaps(name, method, n))
            ]
            if found:
                x, y = tuple(float(n) for n, _ in found), tuple(i.value for _, i in found)
                curves.append(Curve(METHODS[method].label, x, y))
        if curves:
            panels.append(Panel(short(name), "functions", "overlap beyond chance", tuple(curves), log_x=True))
    for start in range(0, len(panels), _ABREAST):
        some = tuple(panels[start : start + _ABREAST])
        caption = (
            f"{', '.join(panel.title for panel in some)}. Agreement of the functions chosen in different splits: 1 if"
            " the same, 0 as by chance."
        )
        number = f"-{start // _ABREAST + 1}" if len(panels) > _ABREAST else ""
        yield Figure(f"stability{number}", caption, some)
