"""Every bad input is named with file, frame and value; skipping it loses nothing else."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from ase import Atoms

from aliquot.errors import FrameError, InputError
from aliquot.structures import FrameIndex, Frames, exact_duplicates, iter_batches, load, read, unusable, write

from .conftest import frame_text

GOOD = frame_text(4, 'Lattice="20 0 0 0 20 0 0 0 20" Properties=species:S:1:pos:R:3 REF_energy=1.5')

BAD = {
    "too few lines": (GOOD.replace("4\n", "9\n", 1), "9 atoms are announced, 4 lines follow"),
    "one line short": (GOOD.replace("4\n", "5\n", 1), "5 atoms are announced, 4 lines follow"),
    "two lines short": (GOOD.replace("4\n", "6\n", 1), "6 atoms are announced, 4 lines follow"),
    "swallows a frame": (GOOD.replace("4\n", "10\n", 1), "10 atoms are announced, 4 lines follow"),
    "absurd count": (
        GOOD.replace("4\n", "99999999999\n", 1),
        "99999999999 atoms are announced, 4 lines follow",
    ),
    "too many lines": (GOOD.replace("4\n", "3\n", 1), "3 atoms are announced, 4 lines follow"),
    "no atoms": ("0\nREF_energy=1\n", "has no atoms"),
    "garbage": ("these lines\nare no frame\n", "expected the number of atoms, found 'these lines'"),
    "short row": (GOOD.replace("Si 0.0 0.0 6.0", "Si 0.0 0.0"), "atom 2 has 3 columns where 4"),
    "long row": (GOOD.replace("Si 0.0 0.0 6.0", "Si 0.0 0.0 6.0 1.0"), "atom 2 has 5 columns where 4"),
    "word for number": (GOOD.replace("6.0\n", "six\n"), "pos of atom 2 is not a number: '0.0 0.0 six'"),
    "nan position": (GOOD.replace("6.0\n", "nan\n"), "position of atom 2 is not finite: [0.0, 0.0, nan]"),
    "inf position": (GOOD.replace("6.0\n", "inf\n"), "position of atom 2 is not finite: [0.0, 0.0, inf]"),
    "stars": (GOOD.replace("6.0\n", "******\n"), "pos of atom 2 is not a number: '0.0 0.0 ******'"),
    "unknown element": (
        GOOD.replace("Si 0.0 0.0 6.0", "Xx 0.0 0.0 6.0"),
        "atom 2 is 'Xx', which is no chemical element",
    ),
    "no volume": (GOOD.replace('0 0 20"', '0 0 0"'), "the periodic axes abc span no volume"),
    "flat cell": (
        GOOD.replace("20 0 0 0 20 0 0 0 20", "20 0 0 0 20 0 20 20 0"),
        "the periodic axes abc span no volume",
    ),
    "short lattice": (GOOD.replace("20 0 0 0 20 0 0 0 20", "20 0 0 0 20"), "Lattice is not nine numbers"),
    "nan lattice": (GOOD.replace("20 0 0 0 20 0 0 0 20", "20 0 0 0 nan 0 0 0 20"), "the cell is not finite"),
    "overlap": (
        GOOD.replace("Si 0.0 0.0 6.0", "Si 0.0 0.3 3.0"),
        "atoms 1 (Si) and 2 (Si) are 0.3 Å apart; less than 0.777 Å",
    ),
    "image overlap": (
        GOOD.replace("Si 0.0 0.0 6.0", "Si 0.0 0.0 19.5"),
        "atoms 0 (Si) and 2 (Si) are 0.5 Å apart",
    ),
    "text label": (
        GOOD.replace("REF_energy=1.5", "REF_energy=low"),
        "label REF_energy is not numeric: 'low'",
    ),
    "vector label": (
        GOOD.replace("REF_energy=1.5", 'REF_energy="1 2"'),
        "label REF_energy has shape (2,), expected ()",
    ),
    "bad properties": (GOOD.replace("pos:R:3", "pos:R"), "Properties=species:S:1:pos:R is not a list"),
    "no positions": (GOOD.replace("pos:R:3", "velo:R:3"), "has no column pos:R:3"),
    "no species": (GOOD.replace("species:S:1", "name:S:1"), "has no column species:S:1"),
    "open quote": (GOOD.replace("REF_energy=1.5", 'REF_energy=1.5 note="abc'), "is never closed"),
    "bad pbc": (GOOD.replace("REF_energy", "pbc=maybe REF_energy"), "pbc is not three of T and F"),
}


@pytest.mark.parametrize("name", BAD)
@pytest.mark.parametrize("chunk", [None, 64])
def test_stops_at_it_and_says_where(
    name: str, chunk: int | None, text_file: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    if chunk:
        monkeypatch.setattr("aliquot.structures.reading.blocks", _small_blocks(chunk))
    bad, problem = BAD[name]
    path = text_file(GOOD * 2 + bad + GOOD)
    with pytest.raises(FrameError) as caught:
        read(path)
    assert caught.value.file == str(path)
    assert caught.value.frame == 2
    assert problem in str(caught.value)


@pytest.mark.parametrize("name", BAD)
@pytest.mark.parametrize("chunk", [None, 64])
def test_skips_it_and_nothing_else(
    name: str, chunk: int | None, text_file: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    if chunk:
        monkeypatch.setattr("aliquot.structures.reading.blocks", _small_blocks(chunk))
    bad, problem = BAD[name]
    path = text_file(GOOD * 2 + bad + GOOD * 3)
    loaded = load(path, on_error="skip")
    assert loaded.frames.frame.tolist() == [0, 1, 3, 4, 5]
    assert [e.frame for e in loaded.exclusions] == [2]
    assert problem in loaded.exclusions[0].problem
    assert np.array_equal(
        loaded.frames.positions, np.tile(read(text_file(GOOD, "one.xyz")).positions, (5, 1))
    )


def _small_blocks(chunk: int):
    from aliquot.structures.framing import blocks

    return lambda read, **kw: blocks(read, **{**kw, "chunk": chunk})


def test_every_bad_frame_at_once(text_file: Callable[..., Path]) -> None:
    path = text_file(GOOD + "".join(bad + GOOD for bad, _ in BAD.values()))
    loaded = load(path, on_error="skip")
    assert loaded.frames.frame.tolist() == list(range(0, 2 * len(BAD) + 1, 2))
    assert [e.frame for e in loaded.exclusions] == list(range(1, 2 * len(BAD), 2))
    for exclusion, (_, problem) in zip(loaded.exclusions, BAD.values(), strict=True):
        assert problem in exclusion.problem


@pytest.mark.parametrize("kept", [1, 2, 3, 30, 80, 100, 120, len(GOOD) - 6])
def test_truncated(kept: int, text_file: Callable[..., Path]) -> None:
    path = text_file(GOOD * 2 + GOOD[:kept])
    with pytest.raises(FrameError, match=r"frame 2: (the file ends after|atom . has 3 columns)"):
        read(path)
    loaded = load(path, on_error="skip")
    assert loaded.frames.frame.tolist() == [0, 1]
    assert [e.frame for e in loaded.exclusions] == [2]


@pytest.mark.parametrize("ending", [".gz", ".xz"])
def test_damaged_packed_file(ending: str, tmp_path: Path, labelled: Callable[..., list[Atoms]]) -> None:
    path = tmp_path / f"pool.xyz{ending}"
    write(path, Frames.from_atoms(labelled(40)))
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) * 2 // 3])
    with pytest.raises(FrameError):
        read(path)
    loaded = load(path, on_error="skip")
    assert any("damaged or cut off" in e.problem for e in loaded.exclusions)
    assert loaded.frames.frame.tolist() == list(range(len(loaded.frames)))


@pytest.mark.parametrize("name", ["empty.xyz", "empty.traj", "empty.db", "POSCAR"])
def test_empty_file(name: str, text_file: Callable[..., Path]) -> None:
    path = text_file("", name)
    with pytest.raises(FrameError, match=r"empty: |is empty"):
        read(path)
    loaded = load(path, on_error="skip")
    assert len(loaded.frames) == 0
    assert loaded.exclusions[0].frame == -1


def test_blank_file(text_file: Callable[..., Path]) -> None:
    path = text_file("\n \n\n")
    with pytest.raises(FrameError, match=r"holds no frames: it is empty"):
        read(path)
    with pytest.raises(FrameError, match=r"holds no frames: it is empty"):
        FrameIndex.build(path)


def test_an_empty_file_among_others_is_skipped(text_file: Callable[..., Path]) -> None:
    loaded = load(text_file(GOOD, "a.xyz"), text_file("", "b.xyz"), text_file(GOOD, "c.xyz"), on_error="skip")
    assert len(loaded.frames) == 2
    assert [Path(f).name for f in loaded.frames.files] == ["a.xyz", "c.xyz"]
    assert len(loaded.exclusions) == 1


def test_missing_file_and_folder(tmp_path: Path) -> None:
    for on_error in ("raise", "skip"):
        with pytest.raises(InputError, match="does not exist"):
            load(tmp_path / "none.xyz", on_error=on_error)
        with pytest.raises(InputError, match="is a folder"):
            load(tmp_path, on_error=on_error)
    with pytest.raises(InputError, match="no file to read"):
        read()


@pytest.mark.parametrize("content", [b"\x00\x01\x02binary\x00" * 50, "1\nx\nH 0 0 0\n".encode("utf-16")])
def test_not_text(content: bytes, text_file: Callable[..., Path]) -> None:
    with pytest.raises(FrameError, match="is not text"):
        read(text_file(content))


def test_unknown_format(text_file: Callable[..., Path]) -> None:
    with pytest.raises(InputError, match="the format is not known"):
        read(text_file("hello\n", "notes.qqq"))


def test_bad_arguments(text_file: Callable[..., Path]) -> None:
    path = text_file(GOOD)
    with pytest.raises(InputError, match="on_error"):
        read(path, on_error="ignore")  # type: ignore[arg-type]
    with pytest.raises(InputError, match="batch_frames=0"):
        list(iter_batches(path, batch_frames=0))


def test_long_names_in_the_error_stay_short(text_file: Callable[..., Path]) -> None:
    with pytest.raises(FrameError) as caught:
        read(text_file("1\nx\nSi 0 0 " + "9" * 50 + "x" * 5000 + "\n"))
    assert len(str(caught.value)) < 600


def test_overlap_is_a_choice(text_file: Callable[..., Path]) -> None:
    path = text_file(BAD["overlap"][0])
    assert len(read(path, overlap=None)) == 1
    frames = read(path, overlap=None)
    (exclusion,) = unusable(frames)
    assert str(exclusion).startswith(f"{path}, frame 0: atoms 1 (Si) and 2 (Si)")
    assert not unusable(frames, overlap=0.1)


def test_duplicates_are_found_whatever_their_labels(text_file: Callable[..., Path]) -> None:
    other = GOOD.replace("REF_energy=1.5", "REF_energy=2.5")
    frames = read(text_file(GOOD + frame_text(2) + other + GOOD.replace("Si 0.0 0.0 6.0", "Si -0.0 0.0 6.0")))
    assert [g.tolist() for g in exact_duplicates(frames)] == [[0, 2, 3]]
    assert exact_duplicates(frames[[1]]) == []
