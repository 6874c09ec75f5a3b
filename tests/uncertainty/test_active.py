"""Active sets and grades: against enumeration, an independent code, and what they must not change with."""

from __future__ import annotations

import os
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
from ase.build import bulk

from aliquot.errors import InputError
from aliquot.structures import Frames
from aliquot.uncertainty import GradientSites, LinearSites, active_sets
from aliquot.uncertainty.active import grades
from aliquot.uncertainty.guard import believable, force_errors

REFERENCE = Path(
    os.environ.get("ALIQUOT_REFERENCE") or Path(__file__).resolve().parents[3] / "shared" / "reference"
)


def table_as_sites(x: np.ndarray, atoms_each: int = 4) -> tuple[GradientSites, Frames]:
    """A table of features as if they were those of the atoms of structures."""
    cells = [bulk("Cu", cubic=True) for _ in range(len(x) // atoms_each)]
    frames = Frames.from_atoms(cells)
    rows = x.reshape(len(frames), atoms_each, -1)
    return GradientSites((29,), (x.shape[1],), lambda _, i: rows[i]), frames


def test_the_volume_is_that_of_enumeration():
    rng = np.random.default_rng(0)
    for _ in range(5):
        x = rng.normal(size=(12, 3))
        sites, frames = table_as_sites(x)
        [found], [factor] = active_sets(sites, frames)
        best = max(abs(np.linalg.det(x[list(c)])) for c in combinations(range(12), 3))
        mine = abs(np.linalg.det(found.rows))
        # MaxVol is a local search: no single swap helps; three columns leave little room for anything worse
        assert mine >= best / 2
        assert found.largest <= 1.001 * (1 + 1e-9)
        chosen = 4 * found.origin[:, 0] + found.origin[:, 1]
        np.testing.assert_array_equal(found.rows, x[chosen])
        y = rng.normal(size=(50, 3)) * 3
        np.testing.assert_allclose(
            found.grade(y), np.abs(y @ np.linalg.inv(found.rows)).max(axis=1), rtol=1e-10
        )
        assert factor.count == 12
        np.testing.assert_allclose(factor.R.T @ factor.R, x.T @ x, atol=1e-10)


def test_units_of_features_change_no_grade():
    rng = np.random.default_rng(1)
    x, y, scale = rng.normal(size=(80, 6)), rng.normal(size=(20, 6)), np.geomspace(1e-6, 1e6, 6)
    one = active_sets(*table_as_sites(x))[0][0]
    other = active_sets(*table_as_sites(x * scale))[0][0]
    np.testing.assert_array_equal(one.origin, other.origin)
    np.testing.assert_allclose(one.grade(y), other.grade(y * scale), rtol=1e-8)


@pytest.mark.parametrize("hold", [1, 2000, 20_000])
def test_batches_end_where_nothing_exceeds_the_tolerance(hold):
    rng = np.random.default_rng(2)
    x = rng.normal(size=(400, 8)) * np.geomspace(1, 1e-3, 8)
    whole = active_sets(*table_as_sites(x))[0][0]
    batched = active_sets(*table_as_sites(x), hold=hold)[0][0]
    assert batched.largest <= 1.001 * (1 + 1e-9)
    assert np.abs(x @ np.linalg.inv(batched.rows)).max() <= 1.0011
    volumes = [np.linalg.slogdet(s.rows)[1] for s in (whole, batched)]
    assert abs(volumes[0] - volumes[1]) < 0.5


def test_a_direction_never_seen_is_no_interpolation():
    rng = np.random.default_rng(3)
    x = rng.normal(size=(40, 3)) @ rng.normal(size=(3, 6))  # rank 3 of 6
    [found], _ = active_sets(*table_as_sites(x))
    assert found.rank == 3
    assert found.grade(x).max() <= 1.01  # rounding has its stand-ins
    assert found.condition > 1e12
    assert found.grade(x + 1e-3 * rng.normal(size=x.shape)).min() > 1e3
    few = rng.normal(size=(4, 6))  # fewer environments than features
    [small], _ = active_sets(*table_as_sites(few))
    assert small.rank == 4
    assert small.grade(few).max() <= 1.01
    assert small.grade(rng.normal(size=(5, 6))).min() > 1e3


def test_grades_agree_with_pacemaker():
    file = REFERENCE / "si_chebexpcos_grade.npz"
    if not file.is_file():
        pytest.skip(f"no reference values in {REFERENCE}; set ALIQUOT_REFERENCE to a folder that has them")
    told = np.load(file)
    inverse = np.load(REFERENCE / "si_chebexpcos.asi")["Si"]
    projections = np.load(REFERENCE / "si_chebexpcos_projections.npz")
    for k in range(4):
        b = projections[f"projections_{k}"]
        # the site matrix has condition 2.7e16: the last digits of an inverse are not determined
        np.testing.assert_allclose(grades(b, inverse), told[f"grade_{k}"], atol=1e-3)
    candidates = told["candidates"]
    sites, frames = table_as_sites(candidates)
    [found], _ = active_sets(sites, frames)
    assert found.grade(candidates).max() <= 1.01
    scale = np.abs(candidates).max(axis=0)  # its own active set is of a larger volume only within rounding
    mine = np.linalg.svd(found.rows / scale, compute_uv=False)
    theirs = np.linalg.svd(candidates[told["active_rows"]] / scale, compute_uv=False)
    well = 150  # singular values far above rounding
    assert np.log(mine[:well]).sum() > np.log(theirs[:well]).sum() - 15


def test_each_element_has_functions_of_its_own(alloy, alloy_frames):
    sites = LinearSites(alloy)
    assert sum(sites.widths) == 30
    sets, factors = active_sets(sites, alloy_frames)
    assert [s.n_features for s in sets] == list(sites.widths)
    assert sum(f.count for f in factors) == alloy_frames.n_atoms
    for z, found in enumerate(sets):
        for row, (i, atom) in zip(found.rows, found.origin, strict=True):
            [block] = [b for b in sites.blocks(alloy_frames, i) if b.element == z]
            np.testing.assert_array_equal(block.rows[list(block.atoms).index(atom)], row)


def test_a_model_with_a_square_root_is_graded_by_its_gradient(fitted, known_frames):
    """E = ρ₁ + √ρ₂ with two densities of the same functions: dE/dc₁ = B, dE/dc₂ = B / (2 √ρ₂)."""
    sites = LinearSites(fitted)
    k = 6
    rng = np.random.default_rng(4)
    first = rng.normal(size=k)
    values = [sites.blocks(known_frames, i)[0].rows[:, :k] for i in range(len(known_frames))]
    second = np.linalg.lstsq(np.concatenate(values), np.ones(known_frames.n_atoms), rcond=None)[0]

    def energy(b: np.ndarray, c: np.ndarray) -> np.ndarray:
        return b @ c[:k] + np.sqrt(np.abs(b @ c[k:]))

    def gradient(frames: Frames, i: int) -> np.ndarray:
        b = sites.blocks(frames, i)[0].rows[:, :k]
        rho = b @ second
        return np.hstack((b, b * (np.sign(rho) / (2 * np.sqrt(np.abs(rho))))[:, None]))

    c = np.concatenate((first, second))
    for j in range(2 * k):  # the gradients are what they say
        step = 1e-6 * max(1.0, abs(c[j])) * np.eye(2 * k)[j]
        numeric = (energy(values[0], c + step) - energy(values[0], c - step)) / (2 * step[j])
        np.testing.assert_allclose(gradient(known_frames, 0)[:, j], numeric, rtol=1e-5, atol=1e-8)
    full = GradientSites((29,), (2 * k,), gradient)
    [found], _ = active_sets(full, known_frames)
    assert found.rank == 2 * k
    everything = np.concatenate([gradient(known_frames, i) for i in range(len(known_frames))])
    assert found.grade(everything).max() <= 1.0011
    linear = active_sets(GradientSites((29,), (k,), lambda f, i: gradient(f, i)[:, :k]), known_frames)[0][0]
    moved = known_frames.to_atoms()[0]
    moved.positions[0] += 0.7
    new = gradient(Frames.from_atoms([moved]), 0)
    assert found.grade(new).max() > 1.5
    assert found.grade(new).max() > linear.grade(new[:, :k]).max()  # the full grade is the more sensitive
    with pytest.raises(InputError, match="gradients have shape"):
        GradientSites((29,), (5,), gradient).blocks(known_frames, 0)


def test_outliers_are_left_out_element_by_element(fitted, known_frames):
    errors = force_errors(fitted, known_frames)
    assert np.isfinite(errors).all()
    numbers = known_frames.numbers.copy()
    numbers[::2] = 79
    errors[::2] *= 100.0  # of another scale, but not outliers among their own
    low, high = np.quantile(errors[::2], (0.25, 0.75))
    keep = believable(numbers, errors)
    np.testing.assert_array_equal(keep[::2], errors[::2] <= high + 1.5 * (high - low))
    assert keep[::2].mean() > 0.8


def test_an_element_without_environments_is_told(alloy, known_frames):
    with pytest.raises(InputError, match="no training structure has an atom of Au"):
        active_sets(LinearSites(alloy), known_frames)


def test_structures_may_lose_all_their_atoms_to_the_guard():
    x = np.random.default_rng(5).normal(size=(40, 3))
    sites, frames = table_as_sites(x)
    keep = np.ones(40, bool)
    keep[8:12] = False  # all of the third structure
    [found], [factor] = active_sets(sites, frames, keep=keep)
    assert factor.count == 36
    assert 2 not in found.origin[:, 0]
    assert found.grade(x[keep]).max() <= 1.0011
    with pytest.raises(InputError, match="give one per atom"):
        active_sets(sites, frames, keep=keep[:3])
