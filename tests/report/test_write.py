"""The page as a whole: complete, offline, correct, the same again, and never half-written."""

from __future__ import annotations

import re
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from aliquot.errors import InputError
from aliquot.report import write_report
from aliquot.structures import Column
from aliquot.table import Features

SECTIONS = ["asked", "gain", "map", "composition", "labels", "distances", "structures", "record"]


def test_page_has_every_section_and_loads_nothing(records, write):
    page = write(records)
    assert list(page.sections) == SECTIONS
    assert page.head == "6 of 30 structures chosen, conditioned on 7 known"
    policy = next(a["content"] for t, a in page.tags if t == "meta" and "http-equiv" in a)
    assert policy is not None
    assert policy.startswith("default-src 'none'")
    plots = [a for t, a in page.tags if t == "svg" and a.get("class") == "plot"]
    assert len(plots) == 6  # gain, map, composition, energy, force, distance
    drawings = [a for t, a in page.tags if t == "svg" and a.get("class") == "atoms"]
    assert len(drawings) == 6
    assert all(a["role"] == "img" and a["aria-label"] for a in plots + drawings)


def test_the_words_say_what_the_records_say(records, write):
    page = write(records)
    assert "pool.xyz (30 frames)" in page.sections["asked"]
    assert "known.xyz (7 frames)" in page.sections["asked"]
    assert "score entropy, noise 0.001" in page.sections["asked"]
    assert "one candidate is a duplicate" in page.sections["asked"]
    assert "The budget is spent." in page.sections["asked"]
    assert "At least 97 % of the best possible information gain" in page.sections["gain"]  # 15.75/16.2
    assert "After 4 picks the noise is larger than the doubt." in page.sections["gain"]
    assert "suggested stop: 4" in page.sections["gain"]
    assert page.tables["Picks kept when prior changes"][1:] == [["10×", "83 %"], ["0.1×", "100 %"]]
    assert page.tables["Time by stage"][1:] == [["read", "500 ms"], ["select", "250 ms"], ["all", "750 ms"]]
    assert records.selection.pool_hash in page.sections["record"]
    assert '"noise": 0.001' in page.sections["record"]
    assert "https://doi.org/10.1000/abc.123" in page.attributes("href")


def test_composition_counts(records, write):
    page = write(records)
    (rows,) = [rows for caption, rows in page.tables.items() if caption.startswith("Structures by config")]
    assert rows[1:] == [
        ["bulk", "6", "24", "80 %", "3", "50 %", "0.62×"],
        ["slab", "1", "6", "20 %", "3", "50 %", "2.50×"],
    ]
    assert "2 of the 2 config types" in page.sections["composition"]


def test_top_table_is_in_order_of_gain(records, write):
    gain = np.array([1.0, 5.0, 2.0, 4.0, 3.0, 0.5])
    page = write(records.choose([4, 0, 9, 20, 14, 3], gain=gain))
    rows = page.tables["The six most informative structures"]
    head = rows[0]
    assert [r[head.index("pick")] for r in rows[1:]] == ["2", "4", "5", "3", "1", "6"]
    assert [r[head.index("frame")] for r in rows[1:]] == ["0", "20", "14", "9", "4", "3"]
    assert [float(r[head.index("gain (nat)")]) for r in rows[1:]] == sorted(gain, reverse=True)
    energy = records.pool.energy.values[0] / records.pool.sizes[0]
    assert float(rows[1][head.index("energy per atom (eV)")].replace("−", "-")) == pytest.approx(
        energy, abs=1e-4
    )


def test_hostile_names_stay_text(records, write):
    evil = "<script>alert(1)</script>\"'&$\\frac{1}{0}$ ]]> --> 東京 \x00\udcff\u202e"
    types = np.where(np.arange(30) % 2, evil, "fill: #d55e00;$x_")
    pool = replace(
        records.pool,
        files=(evil,),
        frame_columns={**records.pool.frame_columns, "config_type": Column(types, np.ones(30, bool))},
    )
    ids = replace(records.features.ids, files=(evil,))
    features = replace(records.features, ids=ids, notes=(evil,), recipe={"features": evil, evil: evil})
    hostile = replace(records, pool=pool, features=features).choose(
        [1, 2, 3],
        method=evil,
        recipe={evil: evil, "score": evil},
        stop=evil,
        gain_unit=evil,
        references=(evil, "10.1000/<script>"),
        notes=(evil,),
        suggested_stop=replace(records.selection.suggested_stop, reason=evil),
        certificate=replace(records.selection.certificate, objective=evil, argument=evil),
        sensitivity=replace(records.selection.sensitivity, parameter=evil, kept={evil: 0.5}),
        timings={evil: 1.0},
        pool_hash=evil,
    )
    hostile.optional["exclusions"] = [SimpleNamespace(file=evil, frame=3, problem=evil)]
    page = write(hostile)  # also checks that nothing can run or be fetched
    for key in SECTIONS:
        if key not in ("labels",):
            assert "<script>alert(1)</script>" in page.sections[key], key
    shown = " ".join(page.sections.values())
    assert "$\\frac{1}{0}$" in shown
    assert "fill: #d55e00;$x_" in page.sections["composition"]
    assert "\x00" not in shown
    assert "\u202e" not in shown


def test_exclusions_are_counted(records, write):
    records.optional["exclusions"] = [
        SimpleNamespace(file="a.xyz", frame=k, problem=f"position of atom {k} is inf") for k in range(60)
    ] + [SimpleNamespace(file="b.xyz", frame=-1, problem="empty file")]
    said = write(records)
    assert "61 frames could not take part: 60 of a.xyz; 1 of b.xyz." in said.sections["asked"]
    assert len(said.tables["Frames left out before the choice"]) == 1 + 50
    assert "11 more are not listed" in said.sections["asked"]


def test_same_records_same_bytes(records, tmp_path):
    import matplotlib

    one = write_report(tmp_path / "a.html", records.selection, records.features, records.pool)
    with matplotlib.rc_context({"axes.facecolor": "black", "font.size": 30, "svg.fonttype": "path"}):
        two = write_report(tmp_path / "b.html", records.selection, records.features, records.pool)
    assert one.read_bytes() == two.read_bytes()
    assert not re.search(rb"20\d\d-\d\d-\d\dT", one.read_bytes())


def test_overwrites_only_when_told(records, tmp_path):
    target = tmp_path / "a.html"
    target.write_text("mine")
    with pytest.raises(InputError, match=r"a\.html exists already"):
        write_report(target, records.selection, records.features, records.pool)
    assert target.read_text() == "mine"
    write_report(target, records.selection, records.features, records.pool, force=True)
    assert target.read_text("utf-8").startswith("<!DOCTYPE html>")
    with pytest.raises(InputError, match="no folder"):
        write_report(tmp_path / "none" / "a.html", records.selection, records.features, records.pool)


def test_a_failure_leaves_the_old_file_and_no_other(records, tmp_path, monkeypatch):
    target = tmp_path / "a.html"
    target.write_text("mine")

    def refuse(*_: object) -> None:
        raise OSError("no space left")

    monkeypatch.setattr("os.replace", refuse)
    with pytest.raises(OSError, match="no space left"):
        write_report(target, records.selection, records.features, records.pool, force=True)
    assert [p.name for p in tmp_path.iterdir()] == ["a.html"]
    assert target.read_text() == "mine"


def test_records_of_another_pool_are_refused(records, tmp_path):
    target = tmp_path / "a.html"
    with pytest.raises(InputError, match="made from 30 candidates, but there are 29"):
        write_report(target, records.selection, records.features[:29], records.pool)
    with pytest.raises(InputError, match="not the candidates at their positions"):
        write_report(target, records.selection, records.features[::-1], records.pool)
    with pytest.raises(InputError, match="conditioned on 7 known structures, but known has 3"):
        write_report(
            target, records.selection, records.features, records.pool, known=records.optional["known"][:3]
        )
    narrow = Features.from_array(np.ones((7, 2)))
    with pytest.raises(InputError, match="5 features and the known structures 2"):
        write_report(target, records.selection, records.features, records.pool, known_features=narrow)
    assert not target.exists()


def test_silicon_surfaces(data_folder, write, records):
    """Real data: every structure of a published study finds its place."""
    from aliquot.structures import read

    frames = read(data_folder / "si_gap18_core_surface.xyz.xz")
    core = np.isin(frames.config_type, ["dia", "isolated_atom"])
    pool, known = frames[~core], frames[core]
    rng = np.random.default_rng(0)
    features = Features.from_array(rng.normal(size=(len(pool), 8)), ids=pool.ids)
    real = replace(records, pool=pool, features=features)
    real.optional = {"known": known, "known_features": Features.from_array(rng.normal(size=(490, 8)))}
    page = write(real.choose(rng.permutation(186)[:20].tolist(), known_size=490))
    assert page.head == "20 of 186 structures chosen, conditioned on 490 known"
    (rows,) = [rows for caption, rows in page.tables.items() if caption.startswith("Structures by config")]
    counts = {r[0]: (r[1], r[2]) for r in rows[1:]}
    assert counts["dia"] == ("489", "0")
    assert counts["surface_111_pandey"] == ("0", "50")
    assert "186 of 186 structures have this label" in page.sections["labels"]
