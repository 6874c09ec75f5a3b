"""Drawings of structures and figures: everything is drawn, inside the frame, and refers to what exists."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk, fcc111

from aliquot.report.atoms_drawing import MAX_BALLS, SIDE, drawing
from aliquot.report.figures import gain_curve, histogram


def circles(svg: str) -> list[tuple[float, float, float]]:
    tree = ET.fromstring(svg)
    found = [e.attrib for e in tree.iter() if e.tag == "circle"]
    return [(float(c["cx"]), float(c["cy"]), float(c["r"])) for c in found]


@pytest.mark.parametrize(
    "atoms",
    [
        bulk("NaCl", "rocksalt", a=5.64, cubic=True),
        fcc111("Cu", (3, 3, 4), vacuum=10.0),
        Atoms("OH2", positions=[[0, 0, 0], [0.96, 0, 0], [-0.24, 0.93, 0]]),
        Atoms("He"),
        Atoms("He", cell=np.eye(3) * 5, pbc=True),
        Atoms("X2", positions=[[0, 0, 0], [0, 0, 2]], cell=[0, 0, 4], pbc=[False, False, True]),
        bulk("Fe") * (1, 1, 6),
    ],
    ids=["rocksalt", "slab", "water", "atom", "atom in a cell", "wire", "column"],
)
def test_every_atom_is_inside_the_frame(frames_of, atoms):
    frames = frames_of([atoms])
    svg = drawing(frames, 0, label='<"a">', key="k")
    balls = circles(svg)
    assert len(balls) == len(atoms)
    for x, y, r in balls:
        assert x - r >= 0
        assert x + r <= SIDE
        assert y - r >= 0
        assert y + r <= SIDE
    defined = set(re.findall(r'id="([^"]+)"', svg))
    assert set(re.findall(r"url\(#([^)]+)\)", svg)) == defined
    assert ET.fromstring(svg).attrib["aria-label"] == '<"a">'
    edges = svg.count("M")
    assert edges == (12 if atoms.cell.rank == 3 else 0)


def test_a_slab_across_the_boundary_is_drawn_whole(frames_of):
    slab = fcc111("Cu", (2, 2, 3), vacuum=8.0)
    slab.pbc = True
    shifted = slab.copy()
    shifted.positions[:, 2] += 9.0
    shifted.wrap()
    drawn = [np.array(circles(drawing(frames_of([a]), 0, label="", key="k"))) for a in (slab, shifted)]
    np.testing.assert_allclose(np.sort(drawn[0], axis=0), np.sort(drawn[1], axis=0), atol=0.11)


def test_very_large_structures_show_the_nearest_atoms(frames_of):
    frames = frames_of([bulk("Cu", cubic=True) * (6, 6, 6)])
    assert len(circles(drawing(frames, 0, label="", key="k"))) == MAX_BALLS


def test_gain_axis_is_logarithmic_where_gains_span_decades():
    steep, flat = 10.0 ** -np.arange(6), np.linspace(2, 1, 6)
    assert "logarithmic axis" in gain_curve(steep, "nat", 3)
    assert "logarithmic axis" not in gain_curve(flat, "nat", None)
    assert "logarithmic axis" not in gain_curve(np.array([1.0, 0.0]), "nat", None)
    assert "gain of this pick (nat)" in gain_curve(flat, "nat", None)
    assert "suggested stop: 3" in gain_curve(steep, "nat", 3)


def test_histogram_counts_what_lies_beyond_its_axis():
    pool = np.concatenate([np.random.default_rng(0).normal(size=1000), [500.0]])
    svg, pool_beyond, chosen_beyond = histogram("h", pool, pool[:10], "x (eV)")
    low, high = np.quantile(pool, (0.005, 0.995))
    assert pool_beyond == np.sum((pool < low) | (pool > high))
    assert chosen_beyond == 0
    assert "pool (1,001)" in svg
    assert "x (eV)" in svg
    assert histogram("h", pool, pool[-30:], "x")[2] == 1  # the outlier among thirty chosen ones
    assert histogram("h", pool, pool[-1:], "x")[1:] == (0, 0)  # nothing but the outlier is chosen


def test_colours_follow_the_page():
    svg = gain_curve(np.array([3.0, 2.0]), "nat", None)
    assert "var(--chosen)" in svg
    assert "#d55e00" not in svg
