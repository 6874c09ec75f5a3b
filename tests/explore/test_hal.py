"""Walks end where they should, go on where they were cut, and give the same structures again."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from ase.calculators.calculator import Calculator, all_changes
from ase.calculators.emt import EMT

from aliquot.errors import InputError
from aliquot.explore import Biased, HalSettings, Moves, bias_from_potential, hal
from aliquot.structures import Frames

FAST = HalSettings(
    temperature=900.0,
    steps=60,
    trigger=0.05,
    floor=0.2,
    check_every=5,
    patience=3,
    save_every=20,
    hard_core=0.5,
)


@pytest.fixture
def starts(alloy):
    return Frames.from_atoms([alloy(31, 0.02), alloy(32, 0.02)])


def test_finds_structures_that_teach(unsure, starts):
    found = hal(starts, 3, model=Biased(bias_from_potential(unsure)), settings=FAST, seed=1)
    assert len(found.frames) == len(found.picks) == 3
    for pick, walk in zip(found.picks, [w for w in found.walks if w.kind == "found"], strict=True):
        assert pick.score > FAST.trigger
        assert pick.gain > 0
        assert walk.steps == pick.step
    # the score is what it is said to be
    bias = bias_from_potential(unsure)
    atoms = found.frames.to_atoms()[0]
    relative = Biased(bias)(atoms).relative(bias.forces_std(atoms), FAST.floor).max()
    assert relative >= found.picks[0].score - 1e-9
    assert found.frames.frame_columns["hal_step"].values[0] == found.picks[0].step


def test_the_same_seed_finds_the_same(unsure, starts):
    ends = [
        hal(starts, 2, model=Biased(bias_from_potential(unsure)), settings=FAST, seed=seed)
        for seed in (5, 5, 6)
    ]
    assert np.array_equal(ends[0].frames.positions, ends[1].frames.positions)
    assert not np.array_equal(ends[0].frames.positions, ends[2].frames.positions)


def test_goes_on_where_it_was_cut(unsure, starts, tmp_path):
    settings = replace(FAST, trigger=0.2, moves=Moves(every=4, strain=0.01, swap=True))
    model = Biased(bias_from_potential(unsure))
    whole = hal(starts, 3, model=model, settings=settings, seed=3, state=tmp_path / "whole.hal")
    state = tmp_path / "cut.hal"
    model = Biased(bias_from_potential(unsure))
    for after in (1, 2, 4, 100):
        left = [after]

        def cut(stage: str, done: int, total: int, left: list[int] = left) -> None:
            left[0] -= stage == "walk"
            if left[0] == 0:
                raise KeyboardInterrupt

        try:
            again = hal(starts, 3, model=model, settings=settings, seed=3, state=state, progress=cut)
        except KeyboardInterrupt:
            continue
    assert np.array_equal(again.frames.positions, whole.frames.positions)
    assert [w.steps for w in again.walks] == [w.steps for w in whole.walks]
    assert sum(w.tried for w in whole.walks) > 0
    with pytest.raises(InputError, match="other settings"):
        hal(starts, 3, model=model, settings=settings, seed=4, state=state)
    state.write_bytes(b"PK nonsense")
    with pytest.raises(InputError, match="cannot be continued"):
        hal(starts, 3, model=model, settings=settings, seed=3, state=state)


def test_one_shot_labels_and_fits_after_each(unsure, starts, tmp_path):
    asked: list[int] = []

    def label(frames):
        images = frames.to_atoms()
        for atoms in images:
            atoms.calc = EMT()
            atoms.info["REF_energy"] = atoms.get_potential_energy()
            atoms.arrays["REF_forces"] = atoms.get_forces()
            atoms.calc = None
        asked.append(len(images))
        return Frames.from_atoms(images)

    def refit(frames):
        bias = bias_from_potential(unsure)
        for atoms in frames.to_atoms():
            bias, _ = bias.taught(atoms)
        return Biased(bias)

    model, state = Biased(bias_from_potential(unsure)), tmp_path / "one.hal"
    found = hal(starts, 3, model=model, settings=FAST, seed=1, label=label, refit=refit, batch=2, state=state)
    assert asked == [2, 1]
    assert found.frames.energy.present.all()
    assert found.frames.forces.present.all()
    asked.clear()
    more = hal(starts, 3, model=model, settings=FAST, seed=1, label=label, refit=refit, batch=2, state=state)
    assert asked == []  # nothing is labelled twice
    np.testing.assert_array_equal(more.frames.energy.values, found.frames.energy.values)
    with pytest.raises(InputError, match="together"):
        hal(starts, 1, model=model, settings=FAST, label=label)


class Exploding(Calculator):
    """Pushes atoms apart without end, or answers what is no number."""

    implemented_properties = ["energy", "forces"]  # noqa: RUF012 (ASE reads it)

    def __init__(self, push: float) -> None:
        super().__init__()
        self.push = push

    def calculate(self, atoms=None, properties=("energy",), system_changes=tuple(all_changes)):
        super().calculate(atoms, list(properties), list(system_changes))
        if self.push == 0:
            raise RuntimeError("no convergence")
        forces = np.full((len(self.atoms), 3), self.push)
        forces[::2] *= -1
        self.results = {"energy": 0.0, "forces": forces}


@pytest.mark.parametrize(
    ("push", "words"), [(300.0, "temperature|hard core"), (np.nan, "not finite"), (0.0, "no convergence")]
)
def test_what_breaks_down_is_told(push, words, unsure, starts, tmp_path):
    model = Biased(bias_from_potential(unsure), Exploding(push))
    with pytest.raises(InputError, match=words):
        hal(starts, 2, model=model, settings=FAST, seed=1, state=tmp_path / "state.hal")
    assert not (tmp_path / "state.hal").exists()  # nothing was found, so other settings may try


def test_fewer_than_asked_for_are_kept_and_told(unsure, starts):
    first = hal(starts, 1, model=Biased(bias_from_potential(unsure)), settings=FAST, seed=1)
    high = replace(FAST, trigger=first.picks[0].score * 0.999, steps=20)
    found = hal(starts, 50, model=Biased(bias_from_potential(unsure)), settings=high, seed=1)
    assert 0 < len(found.frames) < 50
    assert "walks in a row found nothing" in found.notes[0]


def test_refusals(unsure, starts, tmp_path):
    model = Biased(bias_from_potential(unsure))
    with pytest.raises(InputError, match="no force as uncertain"):
        hal(starts, 1, model=model, settings=replace(FAST, trigger=1e3, steps=10), seed=1)
    with pytest.raises(InputError, match="no structure to start"):
        hal(starts[:0], 1, model=model)
    with pytest.raises(InputError, match="positive numbers"):
        hal(starts, 0, model=model)
    with pytest.raises(InputError, match="cannot write"):
        hal(starts, 1, model=model, settings=FAST, state=tmp_path / "nowhere" / "state.hal")
    for wrong in ({"temperature": -1.0}, {"trigger": 0.0}, {"steps": 0}, {"bias": np.nan}):
        with pytest.raises(InputError):
            replace(FAST, **wrong)
    with pytest.raises(InputError, match="strain"):
        Moves(strain=0.5)
