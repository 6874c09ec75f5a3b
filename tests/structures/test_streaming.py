"""Batches, packed files and random access give what reading at once gives, in bounded memory."""

from __future__ import annotations

import gzip
import lzma
import os
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from ase import Atoms
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from aliquot.errors import AliquotError, FrameError, InputError
from aliquot.structures import FrameIndex, Frames, iter_batches, load, read, write
from aliquot.structures.framing import blocks

from .conftest import assert_same, frame_text


@pytest.fixture
def pool(labelled: Callable[..., list[Atoms]], tmp_path: Path) -> Path:
    path = tmp_path / "pool.xyz"
    write(path, Frames.from_atoms(labelled(60)))
    return path


@pytest.mark.parametrize("chunk", [1, 100, 5_000, 10**7])
@pytest.mark.parametrize("batch_frames", [1, 7, 1000])
def test_batches_are_the_whole(
    pool: Path, chunk: int, batch_frames: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = read(pool)
    monkeypatch.setattr(
        "aliquot.structures.reading.blocks", lambda r, **kw: blocks(r, **{**kw, "chunk": chunk})
    )
    batches = [b.frames for b in iter_batches(pool, batch_frames=batch_frames)]
    assert max(map(len, batches)) <= batch_frames
    assert_same(whole, Frames.concatenate(batches))
    assert np.concatenate([b.frame for b in batches]).tolist() == list(range(60))


def test_memory_is_bounded(tmp_path: Path) -> None:
    path = tmp_path / "long.xyz"
    frame = frame_text(
        200, 'Lattice="9 0 0 0 9 0 0 0 900" Properties=species:S:1:pos:R:3:f:R:3', extra=" 1 2 3"
    )
    with path.open("w") as out:
        for _ in range(40):
            out.write(frame * 100)
    assert path.stat().st_size > 15 * 2**20

    def peak(part: str) -> int:
        tracemalloc.start()
        frames = sum(len(b.frames) for b in iter_batches(part, batch_frames=100, overlap=None))
        top = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert frames == Path(part).stat().st_size // len(frame)
        return top

    half = tmp_path / "half.xyz"
    half.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    assert peak(str(path)) < 1.2 * peak(str(half))


@pytest.mark.parametrize(("ending", "pack"), [(".gz", gzip.compress), (".xz", lzma.compress)])
def test_packed_files(ending: str, pack: Callable[[bytes], bytes], pool: Path, own_cache: Path) -> None:
    packed = pool.with_name(f"pool.xyz{ending}")
    text = pool.read_bytes()
    half = len(text) // 2
    packed.write_bytes(
        pack(text[:half]) + pack(text[half:])
    )  # members one after another, as gzip and xz allow
    assert_same(read(pool), read(packed))
    assert not list(own_cache.iterdir())  # reading through unpacks nothing to disk
    index = FrameIndex.build(packed)
    assert_same(read(pool)[[50, 3]], index[[50, 3]])
    (unpacked,) = (own_cache / "unpacked").iterdir()
    assert unpacked.read_bytes() == text
    before = unpacked.stat().st_mtime_ns
    FrameIndex.build(packed)
    assert unpacked.stat().st_mtime_ns == before  # once


def test_random_access(pool: Path) -> None:
    whole, index = read(pool), FrameIndex.build(pool)
    assert len(index) == 60
    assert index.n_atoms.tolist() == whole.sizes.tolist()
    for some in ([5], [59, 0, 17, 17], slice(10, 40, 7), slice(None), -1, np.arange(60) % 13 == 4):
        assert_same(whole[some], index[some])
        assert index[some].frame.tolist() == whole[some].frame.tolist()
    assert_same(whole[[4, 2]], read(pool, frames=[4, 2]))
    assert_same(whole[-3:], read(pool, frames=slice(-3, None)))
    assert len(index[[]]) == 0


def test_only_the_bytes_asked_for_are_read(pool: Path) -> None:
    index = FrameIndex.build(pool)
    text = bytearray(pool.read_bytes())
    a, b = int(index.start[3]), int(index.stop[3])
    text[:a], text[b:] = b"#" * a, b"#" * (len(text) - b)
    whole = read(pool)
    pool.write_bytes(text)
    assert_same(whole[3], index[3])


def test_index_is_kept_until_the_file_changes(pool: Path, own_cache: Path) -> None:
    FrameIndex.build(pool)
    (stored,) = (own_cache / "index").iterdir()
    stored.write_bytes(b"damaged")
    assert len(FrameIndex.build(pool)) == 60  # what cannot be used is made again
    pool.write_text(frame_text() * 3)
    os.utime(pool, ns=(1, 1))
    assert len(FrameIndex.build(pool)) == 3
    assert not list(pool.parent.glob(".*"))
    assert sorted(p.name for p in pool.parent.iterdir()) == ["pool.xyz"]  # nothing beside the user's file


def test_index_of_a_file_with_bad_frames(text_file: Callable[..., Path]) -> None:
    good = frame_text(3)
    path = text_file(good + good.replace("3\n", "5\n", 1) + good + good.replace("Si", "Xx") + good)
    index = FrameIndex.build(path)
    assert len(index) == 5
    assert index[[0, 2, 4]].frame.tolist() == [0, 2, 4]
    with pytest.raises(FrameError, match="frame 1: 5 atoms are announced, 3 lines follow"):
        index[1]
    with pytest.raises(FrameError, match="frame 3: atom 0 is 'Xx'"):
        index[[2, 3]]
    loaded = load(path, frames=slice(None), on_error="skip")
    assert loaded.frames.frame.tolist() == [0, 2, 4]
    assert [e.frame for e in loaded.exclusions] == [1, 3]


def test_frames_that_are_not_there(pool: Path) -> None:
    with pytest.raises(InputError, match="has 60 frames, counted from 0"):
        read(pool, frames=[60])
    with pytest.raises(InputError, match="can be asked of one file"):
        read(pool, pool, frames=[0])


def test_progress_is_told(pool: Path) -> None:
    told: list[tuple[str, int, int]] = []
    read(pool, progress=lambda *step: told.append(step))
    assert told[-1] == ("reading", pool.stat().st_size, pool.stat().st_size)


TEXT = (
    frame_text(3, "Properties=species:S:1:pos:R:3:f:R:1:t:S:1 REF_energy=1.5", extra=" 1.0 a") * 3
).encode()


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(
        st.tuples(
            st.integers(0, len(TEXT) - 1),
            st.one_of(st.binary(max_size=3), st.sampled_from([b"\n", b"", b"9"])),
        ),
        min_size=1,
        max_size=6,
    )
)
def test_whatever_happens_to_a_file(tmp_path: Path, edits: list[tuple[int, bytes]]) -> None:
    """Damage anywhere gives frames or exclusions, never a crash or a foreign exception."""
    text = bytearray(TEXT)
    for place, new in edits:
        text[place : place + 1] = new
    path = tmp_path / "damaged.xyz"
    path.write_bytes(bytes(text))
    try:
        loaded = load(path, on_error="skip")
    except AliquotError:
        return
    numbers = [*loaded.frames.frame.tolist(), *(e.frame for e in loaded.exclusions if e.frame >= 0)]
    assert len(set(numbers)) == len(numbers)
    assert np.isfinite(loaded.frames.positions).all()
