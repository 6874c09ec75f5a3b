"""The page that compares: true numbers, every choice, text of others only text, the same bytes again."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from aliquot.errors import InputError
from aliquot.report import write_comparison
from aliquot.report.heat import Shaded, heat
from aliquot.selection import Selection, select
from aliquot.selection.comparison import Comparison, compare
from aliquot.structures import Frames
from aliquot.table import Features

SECTIONS = ["numbers", "overlap", "information", "composition", "map", "record"]


@dataclass
class Choices:
    """Arguments of ``write_comparison``."""

    found: Comparison
    made: dict[str, Selection]
    features: Features
    pool: Frames
    optional: dict[str, Any] = field(default_factory=dict)

    def write(self, path: Path, **more: Any) -> Path:
        return write_comparison(
            path, self.found, self.made, self.features, self.pool, **{**self.optional, **more}
        )


def choices_of(features: Features, pool: Frames, known: Features | None, *labels: str, n: int = 6) -> Choices:
    made = {label: select(features, n, method=label.split(":")[0], known=known) for label in labels}
    return Choices(compare(features, made, known=known), made, features, pool, {"known_features": known})


@pytest.fixture
def choices(records) -> Choices:
    known = records.optional["known_features"]
    out = choices_of(records.features, records.pool, known, "bayes", "fps", "random")
    out.optional["known"] = records.optional["known"]
    return out


@pytest.fixture
def read(tmp_path, page_of) -> Callable[..., Any]:
    def written(choices: Choices, **more: Any):
        path = choices.write(tmp_path / "compare.html", force=True, **more)
        page = page_of(path.read_text("utf-8"))
        page.assert_offline()
        return page

    return written


def test_page_has_every_section_and_loads_nothing(choices, read):
    page = read(choices)
    assert list(page.sections) == SECTIONS
    assert page.head == "3 ways to choose 6 of 30 structures, conditioned on 7 known"
    plots = [a for t, a in page.tags if t == "svg" and a.get("class") == "plot"]
    assert len(plots) == 2  # curves, maps
    assert all(a["role"] == "img" and a["aria-label"] for a in plots)
    policy = next(a["content"] for t, a in page.tags if t == "meta" and "http-equiv" in a)
    assert str(policy).startswith("default-src 'none'")


def test_side_by_side_says_what_was_measured(choices, read):
    page = read(choices)
    (rows,) = [rows for caption, rows in page.tables.items() if caption.startswith("Every choice measured")]
    head, *rest = rows
    assert [row[0] for row in rest] == ["bayes", "fps", "random", "nothing more"]
    for i, row in enumerate(rest[:3]):
        told = float(choices.found.total_information[i])
        assert float(row[head.index("information (nat)")]) == pytest.approx(told, rel=1e-3)
        radius = float(choices.found.radius[i])
        assert float(row[head.index("worst distance")]) == pytest.approx(radius, rel=6e-3)
        atoms = choices.pool[choices.made[row[0]].index].n_atoms
        assert int(row[head.index("atoms to compute")]) == atoms
    assert float(rest[3][head.index("worst distance")]) == pytest.approx(choices.found.known_radius, rel=6e-3)


def test_overlap_matrix_is_symmetric_and_true(choices, read):
    page = read(choices)
    head, *rows = page.tables["Overlap of each two choices"]
    assert head[1:] == [row[0] for row in rows]  # the same order down and across
    for row in rows:
        for name, cell in zip(head[1:], row[1:], strict=True):
            shared = len(set(choices.made[row[0]].index) & set(choices.made[name].index))
            assert cell == "—" if name == row[0] else cell.endswith(f"{shared} shared")
    picked = page.tables["How many methods pick a structure"]
    union = set().union(*(set(c.index.tolist()) for c in choices.made.values()))
    assert sum(int(row[1]) for row in picked[1:]) == len(union)


def test_composition_counts_every_choice(choices, read):
    page = read(choices)
    head, *rows = page.tables["Structures by config type: how many, and their share"]
    assert [row[0] for row in rows] == ["pool", *choices.made]
    assert rows[0][1:] == ["2480 %", "620 %"]  # the count, and beneath it the share
    for row in rows[1:]:
        types = choices.pool.config_type[choices.made[row[0]].index]
        for name, cell in zip(head[1:], row[1:], strict=True):
            assert cell.startswith(str(int(np.sum(types == name))))


def test_elements_are_counted_where_there_are_several(frames_of, read):
    from ase.build import bulk

    images = [bulk("NaCl", "rocksalt", a=5.6) if i % 2 else bulk("Cu") for i in range(10)]
    pool = frames_of(images)
    features = Features.from_array(np.random.default_rng(0).normal(size=(10, 4)), ids=pool.ids)
    page = read(choices_of(features, pool, None, "bayes", "fps", n=3))
    head, *rows = page.tables["Atoms by element: how many, and their share"]
    assert head[1:] == ["Na", "Cl", "Cu"]
    assert rows[0] == ["pool", "533 %", "533 %", "533 %"]


def test_refused_excluded_and_noted(choices, read):
    page = read(
        choices,
        refused={"kdpp:<b>": "impossible with a kernel of rank 19"},
        exclusions=[SimpleNamespace(file="pool.xyz", frame=3, problem="a cell of no volume")],
        notes=["energy from REF_energy"],
    )
    assert page.tables["Methods that refused"][1:] == [["kdpp:<b>", "impossible with a kernel of rank 19"]]
    assert "1 frame left out before the choice" in page.sections["record"]
    assert page.tables["Frames left out before the choice"][1] == ["pool.xyz", "3", "a cell of no volume"]
    assert "energy from REF_energy" in page.sections["record"]


def test_notes_of_one_method_carry_its_name(choices, read):
    made = dict(choices.made)
    made["fps"] = made["fps"].with_notes("only here")
    made = {name: choice.with_notes("everywhere") for name, choice in made.items()}
    page = read(replace(choices, made=made))
    assert "fps: only here" in page.sections["record"]
    assert page.sections["record"].count("everywhere") == 1
    assert "fps: everywhere" not in page.sections["record"]


def test_record_can_be_traced(choices, read):
    said = read(choices).sections["record"]
    for trace in (choices.made["bayes"].pool_hash, choices.made["bayes"].known_hash, "aliquot ", '"score"'):
        assert trace in said
    assert "covering radius" in said  # the certificate of fps, as a size and not as minus one
    assert "−" not in said.split("Inputs")[0]


def test_hostile_names_stay_text(choices, read, tmp_path):
    evil = "<script>alert(1)</script>\"'&$\\frac{1}{0}$ ]]> --> 東京 \x00\u202e"
    types = np.where(np.arange(30) % 2, evil, "$x_")
    column = replace(choices.pool.frame_columns["config_type"], values=types)
    columns = {**choices.pool.frame_columns, "config_type": column}
    pool = replace(choices.pool, files=(evil,), frame_columns=columns)
    labels = [evil, "fps", f"x:{evil}"]
    made = dict(zip(labels, choices.made.values(), strict=True))
    hostile = replace(
        choices,
        pool=pool,
        made=made,
        found=compare(choices.features, made, known=choices.optional["known_features"]),
    )
    page = read(
        hostile,
        refused={evil: evil},
        notes=[evil],
        exclusions=[SimpleNamespace(file=evil, frame=-1, problem=evil)],
    )
    assert not {"script", "frac"} & {tag for tag, _ in page.tags}
    markup = (tmp_path / "compare.html").read_text("utf-8")
    assert "<script" not in markup
    assert "\x00" not in markup
    assert "\u202e" not in markup
    assert "alert(1)" in page.sections["overlap"]


def test_same_records_same_bytes(choices, tmp_path):
    first = choices.write(tmp_path / "a.html").read_bytes()
    assert choices.write(tmp_path / "b.html").read_bytes() == first


def test_nothing_is_overwritten_or_half_written(choices, tmp_path):
    path = tmp_path / "compare.html"
    path.write_text("old")
    with pytest.raises(InputError, match="exists already"):
        choices.write(path)
    assert path.read_text() == "old"
    choices.write(path, force=True)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["compare.html"]
    with pytest.raises(InputError, match="there is no folder"):
        choices.write(tmp_path / "none" / "compare.html")


def test_records_that_do_not_belong_together_are_refused(choices, tmp_path):
    with pytest.raises(InputError, match="not of these choices"):
        replace(choices, made={"other": choices.made["fps"]}).write(tmp_path / "a.html")
    with pytest.raises(InputError, match="not of this pool"):
        replace(choices, pool=choices.pool[:5]).write(tmp_path / "a.html")
    assert not list(tmp_path.iterdir())


def test_one_choice_and_one_group(frames_of, read):
    from ase.build import bulk

    pool = frames_of([bulk("Cu", a=3.6 + 0.01 * i) for i in range(6)])
    features = Features.from_array(np.random.default_rng(1).normal(size=(6, 3)), ids=pool.ids)
    page = read(choices_of(features, pool, None, "fps", n=2))
    assert page.head == "1 way to choose 2 of 6 structures"
    assert "only one choice" in page.sections["overlap"]
    assert "the same formula" in page.sections["composition"]


def test_maps_share_one_projection(choices):
    from aliquot.report.compare import _same_axes
    from aliquot.report.compare_tables import Several
    from aliquot.report.findings import Case

    cases = [Case(c, choices.features, choices.pool, None, None, ()) for c in choices.made.values()]
    maps = _same_axes(Several(choices.found, tuple(choices.made), cases, {}, ()))
    for place, case in zip(maps, cases, strict=True):
        everything = np.concatenate([place.candidates, place.chosen])
        assert len(everything) == 30
        assert len(place.chosen) == len(case.selection)
        first = np.concatenate([maps[0].candidates, maps[0].chosen])
        np.testing.assert_allclose(np.sort(everything, axis=0), np.sort(first, axis=0))


def test_methods_that_agree_stand_together():
    from aliquot.report.compare_tables import _alike_together

    overlap = np.full((5, 5), 0.05)
    for i, j in [(0, 3), (1, 4)]:
        overlap[i, j] = overlap[j, i] = 0.9
    np.fill_diagonal(overlap, 1.0)
    order = _alike_together(overlap)
    assert sorted(order) == list(range(5))
    assert abs(order.index(0) - order.index(3)) == abs(order.index(1) - order.index(4)) == 1


def test_heat_shades_are_bounded(page_of):
    markup = heat("c<", ["", "a:b"], [("<x>", [Shaded("1", 7.0)]), ("y", [Shaded("2", -0.5, "half")])])
    page = page_of(markup)
    assert [a["style"] for _, a in page.tags if "style" in a] == ["--s:100%", "--s:50%"]
    assert page.tables["c<"] == [["", "a:b"], ["<x>", "1"], ["y", "2half"]]
