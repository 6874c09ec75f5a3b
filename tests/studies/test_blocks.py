"""Fits from blocks on disk are the fits to the rows themselves."""

from __future__ import annotations

import numpy as np
import pytest

from aliquot.ace.basis import AceBasis
from aliquot.ace.evaluator import AceEvaluator
from aliquot.ace.potential import AcePotential
from aliquot.fitting.accumulate import labelled_rows
from aliquot.fitting.baseline import Baseline
from aliquot.fitting.weights import Weights
from aliquot.solvers.evidence import best_prior
from aliquot.solvers.triangle import Triangle
from aliquot.structures import Frames
from aliquot.studies.blocks import Blocks, size_of, write_blocks

WEIGHTS = Weights(30.0, 1.0, 2.0, groups={"hot bulk": (10.0, 0.5, 0.0)})


@pytest.fixture
def frames(silicon_pool):
    from ase.build import bulk

    rng = np.random.default_rng(3)
    large = bulk("Si", cubic=True).repeat((2, 2, 1))
    large.positions += rng.normal(scale=0.1, size=large.positions.shape)
    large.info |= {"config_type": "bulk", "REF_energy": -158.0 * len(large)}
    large.arrays["REF_forces"] = rng.normal(size=large.positions.shape)
    for atoms in silicon_pool[:5]:
        virial = rng.normal(size=(3, 3))
        atoms.info["REF_virial"] = virial + virial.T
    del silicon_pool[7].arrays["REF_forces"]
    small = bulk("Si")
    small.rattle(0.1, seed=4)
    small.info |= {"config_type": "bulk", "REF_energy": -316.5}
    small.arrays["REF_forces"] = rng.normal(size=small.positions.shape)
    return Frames.from_atoms([*silicon_pool, large, small])


@pytest.fixture
def basis():
    return AceBasis(elements=(14,), cutoff=4.5, degree=(9, 8, 6))


@pytest.fixture
def blocks(frames, basis, tmp_path):
    write_blocks(tmp_path / "blocks", basis, frames, baseline=Baseline({14: -158.0}), weights=WEIGHTS)
    return Blocks(tmp_path / "blocks")


def triangle(frames, basis, which):
    evaluator, baseline = AceEvaluator(basis), Baseline({14: -158.0})
    out = Triangle(evaluator.n_columns)
    for i in which:
        for quantity, (rows, target) in labelled_rows(evaluator, frames, i, baseline=baseline).items():
            if w := WEIGHTS.of(quantity, str(frames.config_type[i])):
                out.absorb(w * rows / basis.prior, w * target)
    return out


def test_fit_is_the_fit_to_the_rows(frames, basis, blocks):
    which = np.array([0, 1, 2, 5, 7, 9, 10, 12, 13])
    kinds = {int(k) for k in np.load(blocks.place / "forces.npy")[:, 0]}
    assert kinds == {0, 1, 2}  # without forces, rows, Gram matrices
    assert blocks.directions <= len(basis.prior)
    expected = triangle(frames, basis, which)
    evidence = best_prior(expected)
    root = np.sqrt(evidence.precision) * np.eye(expected.n_columns)
    c = np.linalg.lstsq(
        np.vstack((expected.R, root)), np.append(expected.z, np.zeros(len(root))), rcond=None
    )[0]
    sums = blocks.sums(which[:3], WEIGHTS, frames.config_type) + blocks.sums(
        which[3:], WEIGHTS, frames.config_type
    )
    assert sums.n_rows == expected.n_rows
    fitted = blocks.fit(sums)
    assert np.log(fitted.evidence.precision) == pytest.approx(np.log(evidence.precision), abs=0.05)
    assert fitted.evidence.log_evidence == pytest.approx(evidence.log_evidence, rel=1e-6)
    assert fitted.evidence.noise == pytest.approx(evidence.noise, rel=1e-3)
    assert fitted.evidence.effective == pytest.approx(evidence.effective, rel=1e-2)
    again = blocks.fit(sums, near=7 * evidence.precision).evidence.precision
    assert np.log(again) == pytest.approx(np.log(evidence.precision), abs=0.05)
    far = blocks.fit(sums, near=1e7 * evidence.precision).evidence.precision
    assert np.log(far) == pytest.approx(np.log(evidence.precision), abs=0.05)
    same = blocks.transform @ blocks.ridge(sums, evidence.precision)
    assert np.linalg.norm(same * basis.prior - c) < 1e-5 * np.linalg.norm(c)


def test_errors_are_those_of_the_potential(frames, basis, blocks):
    fitted = blocks.fit(blocks.sums(np.arange(8), WEIGHTS, frames.config_type))
    potential = AcePotential(basis, (blocks.transform @ fitted.z)[None], np.array([-158.0]))
    found = blocks.errors(fitted.z, np.arange(len(frames)))
    for i in range(len(frames)):
        said = potential(frames, i)
        wrong = (said.energy - frames.energy.values[i]) / frames.sizes[i]
        assert found.energy[i] == pytest.approx(wrong, rel=1e-7, abs=1e-9)
        if frames.forces.present[i]:
            labels = frames.forces.values[frames.offsets[i] : frames.offsets[i + 1]]
            assert found.force_squares[i] == pytest.approx(np.sum((said.forces - labels) ** 2), rel=1e-8)
            assert found.components[i] == labels.size
        else:
            assert found.components[i] == 0
    assert found.energy_rmse == pytest.approx(np.sqrt(np.mean(found.energy**2)))


def test_as_large_as_said_and_complete_or_not_there(frames, basis, blocks, tmp_path):
    stored = sum((blocks.place / f"{n}.npy").stat().st_size for n in ("energy", "virial", "rows", "grams"))
    assert stored == size_of(frames, blocks.directions) + 4 * 128  # heads of the files

    def stopped(stage, done, total):
        if stage.startswith("blocks, ") and stage.endswith(" GB") and done == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_blocks(tmp_path / "other", basis, frames, progress=stopped)
    assert [path.name for path in tmp_path.iterdir()] == ["blocks"]
