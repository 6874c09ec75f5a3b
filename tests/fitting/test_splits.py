"""Training, validation, test; folds."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from ase import Atoms

from aliquot.errors import InputError
from aliquot.fitting import TEST, TRAIN, VALIDATION, folds_of_groups, split_at_random, split_by_column
from aliquot.structures import Frames


@pytest.fixture(scope="module")
def frames() -> Frames:
    some = [Atoms("Si", info={"config_type": "isolated_atom"})]
    for k in range(200):
        kind = "bulk" if k < 150 else "liquid"
        x = 2.0 + 0.001 * (k - (k % 10 == 9))  # every tenth repeats the one before it
        some.append(Atoms("Si2", [[0, 0, 0], [x, 0, 0]], info={"config_type": kind, "part": "Train"}))
    some[0].info["part"] = "train"
    some[7].info["part"] = "TEST"
    some[8].info["part"] = "val"
    return Frames.from_atoms(some)


def test_shares_hold_for_every_type_and_copies_stay_together(frames):
    parts = split_at_random(frames, validation=0.2, test=0.1, seed=3)
    assert parts[0] == TRAIN
    for kind, n in (("bulk", 150), ("liquid", 50)):
        count = Counter(parts[frames.config_type == kind].tolist())
        assert abs(count[VALIDATION] - 0.2 * n) <= 4
        assert abs(count[TEST] - 0.1 * n) <= 4
    for h in set(frames.hashes.tolist()):
        assert len(set(parts[frames.hashes == h].tolist())) == 1
    assert np.array_equal(parts, split_at_random(frames, validation=0.2, test=0.1, seed=3))
    assert not np.array_equal(parts, split_at_random(frames, validation=0.2, test=0.1, seed=4))


def test_the_order_of_frames_does_not_matter(frames):
    order = np.random.default_rng(0).permutation(len(frames))
    assert np.array_equal(
        split_at_random(frames[order], validation=0.2, seed=1),
        split_at_random(frames, validation=0.2, seed=1)[order],
    )


def test_a_column_decides_and_the_rest_is_divided(frames):
    parts = split_by_column(frames, "part")
    assert parts[7] == TEST
    assert parts[8] == VALIDATION
    assert np.count_nonzero(parts == TRAIN) == 199
    more = split_at_random(frames, parts, validation=0.2)
    assert more[7] == TEST
    assert more[8] == VALIDATION
    assert np.count_nonzero(more == VALIDATION) > 30
    with pytest.raises(InputError, match="no frame has a column 'fold'"):
        split_by_column(frames, "fold")
    odd = frames.with_frame_column("part", np.array(["train"] * 200 + ["maybe"]))
    with pytest.raises(InputError, match="#200: column part is 'maybe'"):
        split_by_column(odd, "part")


def test_nothing_set_aside(frames):
    assert set(split_at_random(frames, validation=0.0).tolist()) == {TRAIN}
    with pytest.raises(InputError, match=r"0\.5 and 0\.6"):
        split_at_random(frames, validation=0.5, test=0.6)


def test_folds_keep_groups_whole():
    rng = np.random.default_rng(0)
    groups = rng.choice(list("abcdefghij"), 500)
    folds = folds_of_groups(groups, 4)
    for name in "abcdefghij":
        assert len(set(folds[groups == name].tolist())) == 1
    assert max(np.bincount(folds)) - min(np.bincount(folds)) < 60
    with pytest.raises(InputError, match="11 folds of 10 groups"):
        folds_of_groups(groups, 11)
