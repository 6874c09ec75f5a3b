"""Structures made on the spot; every test has a cache of its own."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk

from aliquot.structures import Frames


@pytest.fixture(autouse=True)
def own_cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path_factory.mktemp("cache")
    monkeypatch.setenv("ALIQUOT_CACHE", str(folder))
    return folder


@pytest.fixture
def labelled() -> Callable[..., list[Atoms]]:
    """Rattled silicon cells with labels as a DFT workflow leaves them."""

    def make(n: int = 5, *, size: int = 1, seed: int = 0) -> list[Atoms]:
        rng = np.random.default_rng(seed)
        images: list[Atoms] = []
        for i in range(n):
            atoms = bulk("Si", cubic=True).repeat((size, size, 1 + i % 2))
            atoms.rattle(0.05, rng=rng)
            atoms.info["REF_energy"] = float(rng.normal())
            atoms.info["REF_virial"] = rng.normal(size=(3, 3))
            atoms.info["config_type"] = ["bulk", "liquid 300K"][i % 2]
            atoms.arrays["REF_forces"] = rng.normal(size=(len(atoms), 3))
            images.append(atoms)
        return images

    return make


@pytest.fixture
def text_file(tmp_path: Path) -> Callable[..., Path]:
    def make(text: str | bytes, name: str = "pool.xyz") -> Path:
        path = tmp_path / name
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return path

    return make


def frame_text(n: int = 2, comment: str = "", *, first: float = 0.0, extra: str = "") -> str:
    """A valid frame of ``n`` silicon atoms on a line."""
    lattice = comment or f'Lattice="9 0 0 0 9 0 0 0 {3 * n + 9}" Properties=species:S:1:pos:R:3'
    lines = "".join(f"Si {first} 0.0 {3.0 * k}{extra}\n" for k in range(n))
    return f"{n}\n{lattice}\n{lines}"


def same_values(a: Any, b: Any) -> bool:
    """Equal in type family, shape and every bit; NaN equals NaN."""
    if isinstance(a, np.ndarray) or isinstance(b, np.ndarray):
        a, b = np.asarray(a), np.asarray(b)
        if a.shape != b.shape or a.dtype.kind != b.dtype.kind:
            return False
        return bool(np.array_equal(a, b, equal_nan=a.dtype.kind == "f"))
    if isinstance(a, float) and isinstance(b, float):
        return a == b or (a != a and b != b)
    return type(a) is type(b) and a == b


def assert_same(a: Frames, b: Frames) -> None:
    """The same frames with the same keys, frame by frame."""
    from aliquot.structures.atoms import atom_values, frame_values

    assert len(a) == len(b)
    for name in ("numbers", "positions", "cells", "pbc", "offsets"):
        assert np.array_equal(getattr(a, name), getattr(b, name)), name
    for i in range(len(a)):
        for left, right in (
            (frame_values(a.frame_columns, i), frame_values(b.frame_columns, i)),
            (atom_values(a, i), atom_values(b, i)),
        ):
            assert left.keys() == right.keys(), i
            for key, value in left.items():
                other = right[key]
                if isinstance(value, int | float) and not isinstance(value, bool):
                    value, other = float(value), float(other)  # -1 and -1.0 in one column are one value
                assert same_values(value, other), (i, key, value, other)
