"""Bounds hold as often as they say on exchangeable structures; maps are monotone; what cannot be learnt is refused."""

from __future__ import annotations

import json

import numpy as np
import pytest

from aliquot import read
from aliquot.errors import InputError
from aliquot.structures import Frames
from aliquot.uncertainty import Calibration, Uncertainty, calibrate, calibrated, coverage, coverages, observe
from aliquot.uncertainty.calibration import LEVELS


def population(rng: np.random.Generator, structures: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Indicators, errors and structures: errors grow with the indicator, and structures have errors of their own."""
    structure = np.repeat(np.arange(structures), rng.integers(5, 30, structures))
    indicator = rng.gamma(2.0, 1.0, len(structure))
    own = np.exp(0.3 * rng.normal(size=structures))[structure]
    return indicator, own * (0.02 + 0.1 * indicator) * np.abs(rng.normal(size=len(structure))), structure


def test_coverage_is_within_two_points_on_exchangeable_structures():
    rng = np.random.default_rng(0)
    found = []
    for _ in range(40):
        one = calibrate(*population(rng, 120), rng=rng)
        found.append(list(coverage(one, *population(rng, 200)).values()))
    np.testing.assert_allclose(np.mean(found, axis=0), LEVELS, atol=0.02)


def test_an_indicator_that_says_nothing_still_covers():
    rng = np.random.default_rng(1)
    found = []
    for _ in range(40):
        indicator, error, structure = population(rng, 120)
        one = calibrate(rng.random(len(indicator)), error, structure, rng=rng)
        _, error, structure = population(rng, 200)
        found.append(list(coverage(one, rng.random(len(error)), error, structure).values()))
    np.testing.assert_allclose(np.mean(found, axis=0), LEVELS, atol=0.02)


def test_the_map_is_the_error_and_the_scale_its_size():
    rng = np.random.default_rng(2)
    structure = np.repeat(np.arange(300), 20)
    sigma = rng.gamma(2.0, 1.0, len(structure))
    one = calibrate(sigma, 3.0 * sigma * np.abs(rng.normal(size=len(sigma))), structure, rng=rng)
    assert one.scale == pytest.approx(3.0, rel=0.05)
    at = np.array([1.0, 2.0, 4.0])
    np.testing.assert_allclose(one.expected(at), 3.0 * at * np.sqrt(2 / np.pi), rtol=0.15)
    assert np.all(np.diff(one.errors) >= 0)
    end = one.knots[-1]
    assert one.expected(np.array([3 * end]))[0] == pytest.approx(3 * one.errors[-1])
    again = Calibration.from_dict(json.loads(json.dumps(one.to_dict())))
    np.testing.assert_array_equal(again.bound(at, 0.9), one.bound(at, 0.9))
    with pytest.raises(InputError, match=r"levels 0\.5, 0\.68"):
        one.bound(at, 0.99)


def test_too_little_or_too_strange_is_refused():
    rng = np.random.default_rng(3)
    with pytest.raises(InputError, match="at least 10"):
        calibrate(*population(rng, 9), rng=rng)
    indicator, error, structure = population(rng, 20)
    with pytest.raises(InputError, match="finite"):
        calibrate(indicator, np.where(structure == 3, np.nan, error), structure, rng=rng)
    with pytest.raises(InputError, match="zero on all"):
        calibrate(0 * indicator, error, structure, rng=rng)


def test_real_indicators_are_calibrated_and_kept_in_the_file(tmp_path, fitted, known_frames, copper_cells):
    known = Uncertainty.build(fitted, known_frames)
    fresh = Frames.from_atoms(copper_cells(40, rattle=0.12, seed=11))
    told = calibrated(known, fresh, rng=np.random.default_rng(0), part="fresh cells")
    assert {(c.target, c.indicator) for c in told.calibrations} == {
        (t, i) for t in ("forces", "energy") for i in ("gamma", "leverage", "posterior")
    }
    found = coverages(told, observe(told, Frames.from_atoms(copper_cells(40, rattle=0.12, seed=12))))
    assert len(found) == 6
    forces = [shares[0.9] for one, shares in found if one.target == "forces"]
    assert all(0.8 < share < 0.98 for share in forces)  # one draw of forty structures
    path = told.save(tmp_path / "a.active")
    again = Uncertainty.load(path, fitted).calibration("forces", "gamma")
    assert again is not None
    assert again.part == "fresh cells"
    assert known.calibration("forces", "gamma") is None


def test_coverage_on_copper_from_dft(data_folder):
    """Atoms of Zuo's copper: the same potential calibrated on some held-out structures, judged on others."""
    from aliquot.ace.basis import AceBasis
    from aliquot.fitting import Recipe, fit

    frames = read(data_folder / "zuo2020_Cu.xyz.xz")
    rng = np.random.default_rng(4)
    order = rng.permutation(len(frames))
    train, rest = frames[np.sort(order[:90])], frames[np.sort(order[90:])]
    basis = AceBasis(elements=(29,), cutoff=5.0, degree=(7, 7, 6))
    potential = fit(train, Recipe(basis=basis, choice="size 40", posterior=True)).potential
    known = Uncertainty.build(potential, train)
    seen = observe(known, rest)
    found = []
    for _ in range(60):
        some = np.isin(seen.frame, rng.permutation(np.unique(seen.frame))[: len(rest) // 2])
        one = calibrate(seen.per_atom["posterior"][some], seen.forces[some], seen.frame[some], rng=rng)
        judged = seen.per_atom["posterior"][~some], seen.forces[~some], seen.frame[~some]
        found.append(list(coverage(one, *judged).values()))
    np.testing.assert_allclose(np.mean(found, axis=0), LEVELS, atol=0.02)
