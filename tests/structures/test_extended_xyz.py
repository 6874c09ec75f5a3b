"""Extended XYZ: every bit, every oddity of the field, and the round trip of every key."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import ase.io
import numpy as np
import pytest
from ase import Atoms
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from aliquot.structures import Frames, LabelKeys, load, read, write
from aliquot.structures.tables import parse_glued, parse_lines, parse_properties

from .conftest import assert_same, frame_text


def test_agrees_with_ase(labelled: Callable[..., list[Atoms]], tmp_path: Path) -> None:
    images = labelled(7)
    ase.io.write(tmp_path / "pool.xyz", images)
    frames = read(tmp_path / "pool.xyz")
    theirs = ase.io.read(tmp_path / "pool.xyz", ":")
    assert len(frames) == 7
    for i, (one, atoms) in enumerate(zip(frames, theirs, strict=True)):
        assert np.array_equal(one.positions, atoms.positions)
        assert np.array_equal(one.numbers, atoms.numbers)
        assert np.array_equal(one.cells[0], atoms.cell.array)
        assert np.array_equal(one.pbc[0], atoms.pbc)
        assert np.array_equal(one.forces.values, atoms.arrays["REF_forces"])
        assert one.energy.values[0] == atoms.info["REF_energy"] == images[i].info["REF_energy"]
        assert np.array_equal(one.virial.values[0], atoms.info["REF_virial"])
        assert one.config_type[0] == atoms.info["config_type"]
        assert (one.file[0], one.frame[0]) == (0, i)


@pytest.mark.parametrize("style", ["{!r}", "{:.17g}", "{:.8f}", "{:25.18e}"])
def test_numbers_are_those_of_python(style: str, text_file: Callable[..., Path]) -> None:
    rng = np.random.default_rng(1)
    values = rng.normal(size=(500, 6)) * 10.0 ** rng.integers(-3, 4, (500, 6))
    words = [[style.format(float(x)) for x in row] for row in values]
    table = "".join(f"H {' '.join(row)}\n" for row in words)
    path = text_file(f"500\nProperties=species:S:1:pos:R:3:f:R:3\n{table}")
    frames = read(path, overlap=None)
    exact = np.array([[float(w) for w in row] for row in words])
    assert np.array_equal(frames.positions, exact[:, :3])
    assert np.array_equal(frames.atom_columns["f"].values, exact[:, 3:])


FIELDS = parse_properties("species:S:1:pos:R:3:n:I:1:flag:L:1:tag:S:2")


@pytest.mark.parametrize(
    "line",
    [
        "Si 0.0 1.5 -2.25 7 T a b",
        "  Si\t0. .5 1e-3   -7 F long_name_of_a_site b  ",
        "Si 1.5D-3 2.5d2 0 0 True x y\r",
        "Si 1 2 3 9007199254740991 T a b",
    ],
)
def test_both_parsers_agree(line: str) -> None:
    text = (line + "\n").encode() * 3
    fast, slow = parse_glued(text, 3, FIELDS), parse_lines(text, 3, FIELDS)
    assert fast is not None
    for a, b in zip(fast, slow, strict=True):
        assert a.dtype.kind == b.dtype.kind
        assert np.array_equal(a, b)


@pytest.mark.parametrize(
    ("line", "column", "value"),
    [
        ("Si nan 0 inf 1 T a b", 1, [np.nan, 0, np.inf]),
        ("Si 0 0 0 9223372036854775807 T a b", 2, 2**63 - 1),
        ("Si 0 0 0 99999999999 T a b", 2, 99999999999),  # the C parser wraps at 32 bits
        ("Si 0 0 0 1 1 a b", 3, True),
        ("Si 0 0 0 1 T é ü", 4, ["é", "ü"]),
        ("Si, 0, 0, 0, 1, T, a, b", 4, ["a", "b"]),
    ],
)
def test_what_the_fast_parser_refuses(line: str, column: int, value: Any) -> None:
    text = (line + "\n").encode()
    columns = parse_glued(text, 1, FIELDS)
    if columns is None:
        columns = parse_lines(text, 1, FIELDS)
    got = columns[column][0]
    assert np.array_equal(got, value, equal_nan=columns[column].dtype.kind == "f")


def test_hexadecimal_is_no_number() -> None:
    text = b"Si 0x10 0 0 1 T a b\n"
    assert parse_glued(text, 1, FIELDS) is None
    with pytest.raises(ValueError, match=r"pos of atom 0 is not a number: '0x10 0 0'"):
        parse_lines(text, 1, FIELDS)


def test_long_lines_and_names() -> None:
    fields = parse_properties("species:S:1:x:R:4000:name:S:1")
    text = (f"Si {'0.123456789012345 ' * 4000}{'n' * 300}\n" * 2).encode()
    fast, slow = parse_glued(text, 2, fields), parse_lines(text, 2, fields)
    assert fast is not None
    assert all(np.array_equal(a, b) for a, b in zip(fast, slow, strict=True))


# --- files of the field -------------------------------------------------------------------------------------


def test_plain_xyz(text_file: Callable[..., Path]) -> None:
    frames = read(text_file("2\nwater, cut\nO 0 0 0\nH 0 0 0.97\n\n1\n\nHe 0 0 0\n\n\n"))
    assert frames.symbols == ("H", "He", "O")
    assert not frames.pbc.any()
    assert not frames.cells.any()
    assert frames.frame_columns["comment"].values[0] == "water, cut"
    assert frames.frame_columns["comment"].present.tolist() == [True, False]


def test_unnamed_columns_are_kept(text_file: Callable[..., Path]) -> None:
    frames = read(text_file("1\nx\nH 0 0 0 0.1 0.2 0.3\n"))
    assert frames.atom_columns["extra"].values.tolist() == [[0.1, 0.2, 0.3]]


def test_windows_lines_and_byte_order_mark(text_file: Callable[..., Path]) -> None:
    text = "\ufeff" + frame_text(2).replace("\n", "\r\n") * 2
    frames = read(text_file(text))
    assert len(frames) == 2
    assert frames.cells[1, 2, 2] == 15.0


def test_no_line_end_at_the_end_is_noted(text_file: Callable[..., Path]) -> None:
    loaded = load(text_file(frame_text(2).rstrip("\n")))
    assert len(loaded.frames) == 1
    assert "does not end with a line end" in loaded.notes[-1]


def test_lattice_forms(text_file: Callable[..., Path]) -> None:
    forms = [
        'Lattice="1 2 3 4 5 7 7 8 10"',
        "Lattice={1 2 3 4 5 7 7 8 10}",
        "lattice = '1 2 3 4 5 7 7 8 10'",
        "Lattice=[[1, 4, 7], [2, 5, 8], [3, 7, 10]]",
    ]
    frames = read(text_file("".join(f"1\n{form} pbc=T\nH 0 0 0\n" for form in forms)), overlap=None)
    assert np.array_equal(frames.cells, np.broadcast_to([[1, 2, 3], [4, 5, 7], [7, 8, 10]], (4, 3, 3)))
    assert frames.pbc.all()


def test_cell_as_pseudo_atoms(tmp_path: Path) -> None:
    atoms = Atoms("SiO", [(0, 0, 0), (2, 0, 0)], cell=[[5, 0, 0], [1, 6, 0], [0, 0, 7]], pbc=True)
    ase.io.write(tmp_path / "vec.xyz", [atoms, atoms], format="extxyz", vec_cell=True)
    frames = read(tmp_path / "vec.xyz")
    assert np.array_equal(frames.cells, [atoms.cell.array] * 2)
    assert frames.pbc.all()


def test_elements_in_all_spellings(text_file: Callable[..., Path]) -> None:
    frames = read(text_file("5\nx\nSI 0 0 0\nsi 0 0 3\n14 0 0 6\nCl 0 0 9\nCL 0 0 12\n"))
    assert frames.numbers.tolist() == [14, 14, 14, 17, 17]
    numbers = read(text_file("1\nProperties=Z:I:1:pos:R:3\n29 0 0 0\n", "z.xyz"))
    assert numbers.symbols == ("Cu",)


def test_frames_with_different_columns_keep_their_order(text_file: Callable[..., Path]) -> None:
    one = frame_text(2, "Properties=species:S:1:pos:R:3:f:R:3 e=1", extra=" 1 2 3")
    two = frame_text(3, "Properties=species:S:1:pos:R:3:f:R:1 e=two", extra=" 5")
    three = frame_text(1, "Properties=species:S:1:pos:R:3 other=T")
    frames = read(text_file((one + two + three) * 3))
    assert frames.frame.tolist() == list(range(9))
    assert frames.sizes.tolist() == [2, 3, 1] * 3
    f = frames.atom_columns["f"]
    assert f.present.tolist() == [True, True, False] * 3
    assert f.values[3].tolist() == [[1, 2, 3]] * 2
    assert f.values[4].tolist() == [5, 5, 5]
    assert frames.frame_columns["e"].values[3] == 1
    assert frames.frame_columns["e"].values[4] == "two"


# --- round trip ---------------------------------------------------------------------------------------------


def test_every_key_survives(labelled: Callable[..., list[Atoms]], tmp_path: Path) -> None:
    images = labelled(4)
    images[0].info.update(flag=True, count=3, name="a b", quote='he said "x = y"', back="C:\\x\\", text="12")
    images[1].info.update(flag=2, matrix=np.arange(6.0).reshape(2, 3), only_here=None, unicode="Ångström é")
    images[2].info.update(nested={"a": [1, {"b": None}]}, words=["x", "y z"], one=np.array([3]))
    images[3].info.update(
        {"odd key": 1.5, "pbc": "reserved", "Lattice": 3, "line\nbreak": "a\nb", "": "empty"}
    )
    images[0].arrays["tag"] = np.arange(len(images[0]))
    images[1].arrays["tag"] = np.full((len(images[1]), 2), 0.1)
    images[2].arrays["site name"] = np.array(["a b", "", "c", "d:e"] * 2)
    images[2].arrays["born"] = np.arange(len(images[2]) * 9.0).reshape(-1, 3, 3) / 7
    images[2].arrays["pos"] = np.ones((len(images[2]), 1))
    images[3].arrays["mask"] = np.arange(len(images[3])) % 2 == 0
    images[3].arrays["x:y"] = np.float32(np.arange(len(images[3])) / 3)
    frames = Frames.from_atoms(images)
    for name in ("a.xyz", "a.extxyz.gz", "a.xyz.xz"):
        write(tmp_path / name, frames)
        again = read(tmp_path / name)
        assert_same(frames, again)
        write(tmp_path / name, again, force=True)
        assert_same(frames, read(tmp_path / name))


def test_ase_reads_what_we_write(labelled: Callable[..., list[Atoms]], tmp_path: Path) -> None:
    images = labelled(3)
    write(tmp_path / "a.xyz", Frames.from_atoms(images))
    for theirs, ours in zip(ase.io.read(tmp_path / "a.xyz", ":"), images, strict=True):
        assert np.array_equal(theirs.positions, ours.positions)
        assert np.array_equal(theirs.arrays["REF_forces"], ours.arrays["REF_forces"])
        assert theirs.info["REF_energy"] == ours.info["REF_energy"]
        assert np.array_equal(theirs.info["REF_virial"], ours.info["REF_virial"])
        assert theirs.info["config_type"] == ours.info["config_type"]


NAMES = st.text(min_size=1, max_size=6).filter(lambda s: s not in ("numbers", "positions"))
WORDS = st.text(max_size=8).filter(lambda s: "\0" not in s)
SCALARS = st.one_of(st.floats(), st.integers(-(2**53), 2**53), st.booleans(), WORDS)


@st.composite
def some_atoms(draw: st.DrawFn) -> Atoms:
    n = draw(st.integers(1, 3))
    atoms = Atoms(draw(st.lists(st.sampled_from(["H", "Si", "Xe"]), min_size=n, max_size=n)))
    atoms.positions = draw(hnp.arrays(np.float64, (n, 3), elements=st.floats(-1e6, 1e6)))
    for name in draw(st.lists(NAMES, max_size=3, unique=True)):
        atoms.info[name] = draw(SCALARS)
    kinds = st.sampled_from([np.float64, np.int64, np.bool_])
    for name in draw(st.lists(NAMES, max_size=3, unique=True)):
        width = draw(st.sampled_from([(), (1,), (2,), (2, 2)]))
        elements = None
        if draw(st.booleans()):
            atoms.arrays[name] = draw(hnp.arrays(draw(kinds), (n, *width), elements=elements))
        else:
            atoms.arrays[name] = np.array(draw(st.lists(WORDS, min_size=n, max_size=n)), np.str_)
    return atoms


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(some_atoms(), min_size=1, max_size=4))
def test_any_key_survives(tmp_path: Path, images: list[Atoms]) -> None:
    nothing = LabelKeys((), (), (), ())
    frames = Frames.from_atoms(images, label_keys=nothing)
    write(tmp_path / "any.xyz", frames, force=True)
    assert_same(frames, read(tmp_path / "any.xyz", overlap=None, label_keys=nothing))
