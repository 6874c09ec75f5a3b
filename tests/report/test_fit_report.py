"""The page of a fit and the page of a test: true numbers, every part named, text of others only text."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ase.build import bulk
from ase.calculators.emt import EMT

from aliquot.ace.basis import AceBasis
from aliquot.errors import InputError
from aliquot.fitting import Fit, Recipe, Rung, compare, fit
from aliquot.fitting.checks import Outlier
from aliquot.fitting.contradictions import Contradiction
from aliquot.fitting.learning import Lesson
from aliquot.report.fit import write_fit_report
from aliquot.report.judged import Judged
from aliquot.report.model_errors import write_model_errors
from aliquot.report.tables import number
from aliquot.solvers import OMP, EvidenceRidge, Ridge
from aliquot.structures import Frames

SECTIONS = ["errors", "parity", "size", "functions", "outliers", "calibration", "labels", "record"]
EVIL = "<script>alert('x')</script>"


def copper(n: int, *, kinds: tuple[str, ...] = ("bulk", "hot")) -> Frames:
    """Strained and rattled cells with labels of EMT."""
    frames = []
    for i in range(n):
        atoms = bulk("Cu", cubic=True, a=3.5 + 0.02 * (i % 10))
        atoms.rattle(0.04 + 0.06 * (i % 2), seed=i)
        atoms.calc = EMT()
        atoms.info["REF_energy"] = atoms.get_potential_energy()
        atoms.arrays["REF_forces"] = atoms.get_forces()
        if i % 3:
            atoms.info["REF_virial"] = -atoms.get_volume() * atoms.get_stress(voigt=False)
        atoms.info["config_type"] = kinds[i % len(kinds)]
        atoms.calc = None
        frames.append(atoms)
    return Frames.from_atoms(frames)


PARTS = np.array(["train", "train", "train", "train", "validation", "test"] * 5)
BASIS = AceBasis(elements=(29,), cutoff=4.5, degree=(6, 6, 5), pair_degree=4)


@pytest.fixture(scope="module")
def frames() -> Frames:
    return copper(len(PARTS))


@pytest.fixture(scope="module")
def done(frames) -> Fit:
    return fit(frames, Recipe(basis=BASIS, solver=OMP()), parts=PARTS, threads=1)


@pytest.fixture(scope="module")
def written(done, frames, tmp_path_factory) -> Path:
    """The page of this fit, once."""
    return write_fit_report(tmp_path_factory.mktemp("page") / "fit.html", done, frames)


@pytest.fixture
def page(written, page_of):
    found = page_of(written.read_text("utf-8"))
    found.assert_offline()
    return found


@pytest.fixture
def read(tmp_path, page_of) -> Callable[..., Any]:
    def written(done: Fit, frames: Frames, **more: Any):
        path = write_fit_report(tmp_path / "fit.html", done, frames, force=True, **more)
        markup = path.read_text("utf-8")
        page = page_of(markup)
        page.assert_offline()
        assert "nan" not in {word.strip(".,;").lower() for s in page.sections.values() for word in s.split()}
        assert len(markup) < 2_000_000
        return page

    return written


def table_of(page, start: str) -> list[list[str]]:
    (rows,) = [rows for caption, rows in page.tables.items() if caption.startswith(start)]
    return rows


def test_every_section_and_every_figure(done, frames, page):
    assert list(page.sections) == SECTIONS
    assert page.head == f"A potential for Cu of {done.size} functions"
    plots = [a for t, a in page.tags if t == "svg" and a.get("class") == "plot"]
    maps = {0 if f.factors[0].l < 0 else f.order for f in BASIS.functions}
    # parity and distribution of three quantities; errors by size and by time of two; path; maps; calibration
    assert len(plots) == 6 + 4 + 1 + len(maps) + 1
    assert all(a["role"] == "img" and a["aria-label"] for a in plots)


def test_tables_say_the_errors_of_the_fit(done, frames, page):
    head, *rows = table_of(page, "Test structures: mean absolute")
    assert head[:4] == ["config type", "structures", "energy MAE (meV/atom)", "RMSE"]
    found = {(e.group or "all", e.quantity): e for e in done.errors() if e.part == "test"}
    assert [row[0] for row in rows] == sorted({g for g, _ in found}, key=lambda g: (g != "all", g))
    for row in rows:
        energy, forces = found[row[0], "energy"], found[row[0], "forces"]
        assert row[1:4] == [
            str(energy.structures),
            number(1000 * energy.mae),
            number(1000 * energy.rmse),
        ]
        assert row[4:6] == [number(1000 * forces.mae), number(1000 * forces.rmse)]
    assert [row[0] for row in table_of(page, "All config types")[1:]] == ["test", "validation", "training"]


def test_ladder_has_every_rung(done, frames, page):
    head, *rows = table_of(page, "Some models of the path")
    assert [row[0] for row in rows] == [f"{rung.size}" for rung in done.ladder]
    place = head.index("test forces (meV/Å)")
    assert [row[place] for row in rows] == [
        number(1000 * rung.errors["test"]["forces"][0]) for rung in done.ladder
    ]


def test_maps_count_the_functions(done, frames, page):
    rows = table_of(page, "Functions by order")[1:]
    assert sum(int(row[1]) for row in rows) == len(BASIS.functions)
    assert sum(int(row[2]) for row in rows) == done.size


def test_lede_names_the_part_that_judges(done, frames, page):
    test = next(e for e in done.errors() if (e.part, e.quantity, e.group) == ("test", "energy", ""))
    tiles = [a for t, a in page.tags if t == "div" and a.get("class") == "tile"]
    assert len(tiles) == 5
    judged = Judged(done.comparison, frames, {29: float(done.potential.reference[0])})
    assert judged.judge == "test"
    error = judged.error("energy")
    assert error is not None
    assert error.mae == test.mae


def test_without_validation_and_test_it_says_so(frames, read, tmp_path):
    alone = fit(
        frames, Recipe(basis=BASIS, solver=OMP(), choice="size 12"), parts=np.full(30, "train"), threads=1
    )
    page = read(alone, frames)
    assert "not calibrated" in page.sections["calibration"]
    assert "they taught it" in (tmp_path / "fit.html").read_text("utf-8")


def test_contradictions_and_what_more_data_would_bring(done, frames, read):
    pairs = [Contradiction(i, i + 1, 0.01, 1.5, 0.25) for i in range(14)]
    lessons = tuple(
        Lesson(
            n,
            100 * n,
            n,
            {p: dict.fromkeys(("energy", "forces"), (0.5 / n, 0.6 / n)) for p in ("test", "train")},
        )
        for n in (5, 10, 20)
    )
    page = read(replace(done, contradictions=tuple(pairs), learning=lessons), frames)
    first = table_of(page, "Pairs whose labels contradict")[1]
    assert first == [frames.ids_name(0), frames.ids_name(1), "0.010", "1.50", "0.250"]
    assert len(table_of(page, "More pairs")) == 3
    taught = table_of(page, "Mean absolute errors by what taught")
    assert taught[0][-2:] == ["test energy (meV/atom)", "test forces (meV/Å)"]
    assert [row[0] for row in taught[1:]] == ["5", "10", "20"]
    assert taught[-1][-1] == "25.0"
    assert list(page.sections) == [*SECTIONS[:5], "learning", *SECTIONS[5:]]


@pytest.mark.parametrize("solver", [Ridge(), EvidenceRidge()])
def test_dense_solvers_have_no_size_to_show(frames, read, solver):
    dense = fit(frames, Recipe(basis=BASIS, solver=solver), parts=PARTS, threads=1)
    page = read(dense, frames)
    assert "Every candidate was kept" in page.sections["functions"]
    assert ("one model" in page.sections["size"]) == (len(dense.path) == 1)
    assert len(dense.ladder) == min(24, len(dense.path))


def test_calibration_that_is_far_off_is_called_so(done, frames, read):
    assert done.calibration is not None
    spread = {"energy": 8.6, "forces": 1.1}
    odd = replace(done, calibration=replace(done.calibration, spread=spread))
    said = read(odd, frames).sections["calibration"]
    assert "Energy: errors are 8.60 times what is predicted (root mean square): not calibrated" in said
    assert "Forces: errors are 1.10 times what is predicted (root mean square): about as large" in said


def test_outliers_are_listed_with_file_and_frame(done, frames, read):
    found = [Outlier(i % 30, "energy", 0.5, 0.01) for i in range(70)]
    page = read(replace(done, outliers=tuple(found)), frames)
    first = table_of(page, "Training structures to look at")
    assert first[1][:3] == [frames.ids_name(0), "bulk", "energy"]
    assert first[1][3:] == ["500 meV/atom", "10.0 meV/atom", "50×"]
    assert len(first) + len(table_of(page, "More training structures")) == 62
    assert "10 labels more" in page.sections["outliers"]


def test_text_of_others_is_only_text(read, page_of, tmp_path):
    frames = copper(30, kinds=(EVIL, "a" * 60))
    done = fit(
        frames,
        Recipe(basis=BASIS, solver=OMP(max_size=10), offsets=(EVIL,)),
        parts=PARTS,
        threads=1,
    )
    page = read(done, frames, notes=[EVIL], exclusions=[SimpleExclusion(EVIL, 3, EVIL)])
    assert EVIL in page.sections["errors"]
    assert EVIL in page.sections["labels"]
    assert table_of(page, "Energies of these config types")[1][0] == EVIL
    path = write_model_errors(
        tmp_path / "test.html",
        done.comparison,
        frames,
        model=EVIL,
        reference={29: 0.0},
        size=10,
        meta={"by": EVIL},
        notes=[EVIL],
    )
    tested = page_of(path.read_text("utf-8"))
    tested.assert_offline()
    assert EVIL in tested.sections["record"]


class SimpleExclusion:
    def __init__(self, file: str, frame: int, problem: str) -> None:
        self.file, self.frame, self.problem = file, frame, problem


def test_a_ladder_without_times_or_errors(done, frames, read):
    bare = replace(done, ladder=tuple(Rung(r.point, r.size, r.errors) for r in done.ladder))
    assert "Error against time" not in read(bare, frames).sections["size"]
    empty = replace(done, ladder=())
    assert "path as the solver saw it" in read(empty, frames).sections["size"]


def test_a_model_without_functions_on_the_path(done, frames, read):
    nothing = replace(done.path[0], support=np.zeros(0, np.int64), values=np.zeros(0))
    path = replace(done.path, points=(nothing, *done.path.points[1:]))
    assert "path as the solver saw it" in read(replace(done, path=path), frames).sections["size"]
    assert "path as the solver saw it" in read(replace(done, path=path, chosen=0), frames).sections["size"]


def test_energies_are_shown_above_free_atoms(done, frames):
    judged = Judged(done.comparison, frames, {29: -2.0})
    np.testing.assert_allclose(
        judged.labels("energy"), frames.energy.values / frames.sizes + 2.0, rtol=0, atol=1e-12
    )
    np.testing.assert_array_equal(judged.labels("forces"), frames.forces.values.ravel())


def test_the_same_fit_gives_the_same_page(done, frames, written, tmp_path):
    assert write_fit_report(tmp_path / "b.html", done, frames).read_bytes() == written.read_bytes()


def test_refusals(done, frames, written, tmp_path):
    with pytest.raises(InputError, match="exists already"):
        write_fit_report(written, done, frames)
    with pytest.raises(InputError, match="no folder"):
        write_fit_report(tmp_path / "nowhere" / "fit.html", done, frames)
    with pytest.raises(InputError, match="30 structures, but 5 are given"):
        write_fit_report(tmp_path / "other.html", done, frames[np.arange(5)])


def test_page_of_a_test_has_its_errors(done, frames, page_of, tmp_path: Path):
    comparison = compare(done.potential, frames, threads=1)
    path = write_model_errors(
        tmp_path / "test.html", comparison, frames, model="m.ace", reference={29: 0.0}, size=done.size
    )
    page = page_of(path.read_text("utf-8"))
    page.assert_offline()
    assert list(page.sections) == ["errors", "parity", "structures", "record"]
    whole = next(e for e in comparison.table() if e.quantity == "forces" and not e.group)
    assert table_of(page, "Test structures: mean")[1][4:6] == [
        number(1000 * whole.mae),
        number(1000 * whole.rmse),
    ]
    with pytest.raises(InputError, match="exists already"):
        write_model_errors(path, comparison, frames, model="m.ace", reference={}, size=1)
