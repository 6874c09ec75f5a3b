"""Potentials of PACE: independent values, round trips, another reader of our files, and files that are refused."""

from __future__ import annotations

import json
import os
from collections import defaultdict
from dataclasses import replace
from pathlib import Path

import ase.io
import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk
from scipy.linalg import subspace_angles

from aliquot.ace.basis import AceBasis, Factor, Function
from aliquot.ace.evaluator import AceEvaluator
from aliquot.ace.pace import b_table, canonical, class_tables, couplings_of_class, project, same_factors
from aliquot.ace.pace_read import read_pace
from aliquot.ace.pace_repulsion import write_repulsion_table
from aliquot.ace.pace_write import write_pace_yaml, write_yace
from aliquot.ace.potential import AcePotential
from aliquot.ace.radial import AgnesiJacobi, ChebExpCos, SBessel
from aliquot.ace.repulsion import Repulsion
from aliquot.errors import InputError
from aliquot.structures import Frames

FROZEN = Path(__file__).resolve().parent / "reference_tables"
FULL = Path(os.environ.get("ALIQUOT_REFERENCE") or FROZEN.parents[3] / "shared" / "reference")
NAMES = ("si_chebexpcos", "si_sbessel", "tial_order4")


@pytest.fixture(params=["frozen", "full"])
def folder(request) -> Path:
    """Where the reference values are."""
    if request.param == "frozen":
        return FROZEN
    if not (FULL / "si_chebexpcos.yace").is_file():
        pytest.skip(f"no reference values in {FULL}; set ALIQUOT_REFERENCE to a folder that has them")
    return FULL


def frames_of(atoms: Atoms) -> Frames:
    return Frames.from_atoms([atoms])


# --- independent values -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("file", [*(f"{name}.yaml" for name in NAMES), *(f"{name}.yace" for name in NAMES)])
def test_energies_forces_and_virials_agree_with_python_ace(folder, file):
    name = Path(file).stem
    if folder == FROZEN and file in ("si_chebexpcos.yace", "si_sbessel.yace"):
        file = "tial_order4.yace"  # the only one of its format in the small tables
        name = "tial_order4"
    potential = read_pace(folder / file)
    structures = ase.io.read(folder / f"{name}.xyz", ":")
    assert structures
    for atoms in structures:
        got = potential(frames_of(atoms))
        np.testing.assert_allclose(got.energies, atoms.arrays["REF_site_energy"], rtol=0, atol=1e-6)
        assert abs(got.energy - atoms.info["REF_energy"]) < 1e-6 * len(atoms)
        np.testing.assert_allclose(got.forces, atoms.arrays["REF_forces"], rtol=0, atol=1e-6)
        np.testing.assert_allclose(
            got.virial, np.reshape(atoms.info["REF_virial"], (3, 3)), rtol=0, atol=1e-6
        )


def described(folder: Path, name: str) -> np.ndarray:
    """Functions of PACE as ``scripts/freeze_reference_tables.py`` encodes them."""
    table = np.load(FROZEN / f"{name}_projections.npz")["functions"]
    text = folder / f"{name}_functions.json"
    if text.is_file():
        assert [f["n"] for f in json.loads(text.read_text())] == [list(n[n > 0]) for n in table[:, 5:9]]
    return table


def projections(folder: Path, name: str) -> list[tuple[int, np.ndarray, np.ndarray]]:
    """(centre, ours, PACE's) values: (atoms × our functions), (atoms × PACE's functions), of each kind of centre."""
    potential = read_pace(folder / f"{name}.yaml")
    evaluator, elements = AceEvaluator(potential.basis), potential.basis.elements
    tables = np.load(folder / f"{name}_projections.npz")
    per_centre: dict[int, tuple[list[np.ndarray], list[np.ndarray]]] = defaultdict(lambda: ([], []))
    for k, atoms in enumerate(ase.io.read(folder / f"{name}.xyz", ":")):
        if f"projections_{k}" not in tables:
            continue
        chosen = tables[f"atoms_{k}"] if f"atoms_{k}" in tables else np.arange(len(atoms))
        mine = evaluator.site_values(frames_of(atoms), 0)[chosen]
        for row, values, number in zip(mine, tables[f"projections_{k}"], atoms.numbers[chosen], strict=True):
            per_centre[elements.index(number)][0].append(row)
            per_centre[elements.index(number)][1].append(values)
    return [(centre, np.array(a), np.array(b)) for centre, (a, b) in sorted(per_centre.items())]


def columns(folder: Path, name: str, centre: int) -> dict[tuple[Factor, ...], list[int]]:
    """Columns of PACE's projections by our factors."""
    rows = [row for row in described(folder, name) if row[0] == centre]
    shift = read_pace(folder / f"{name}.yaml").basis.functions[0].factors[0].n - 1  # of single densities
    out: dict[tuple[Factor, ...], list[int]] = defaultdict(list)
    for column, row in enumerate(rows):
        order = np.count_nonzero(row[1:5])
        quantum = zip(row[1 : 1 + order], row[5 : 5 + order], row[9 : 9 + order], strict=True)
        factors = [Factor(int(z) - 1, int(n) + shift * (order == 1), int(l)) for z, n, l in quantum]
        out[tuple(sorted(factors, key=lambda f: (f.l, f.n, f.channel)))].append(column)
    return out


@pytest.mark.parametrize("name", NAMES)
def test_every_function_is_proportional_to_pace_by_one_constant(folder, name):
    functions = read_pace(folder / f"{name}.yaml").basis.functions
    compared = 0
    for centre, ours, theirs in projections(folder, name):
        for factors, where in columns(folder, name, centre).items():
            if len(factors) == 4:
                continue
            order, l = len(factors), factors[0].l
            constant = (4 * np.pi) ** (order / 2) * ((-1) ** l if order == 2 else 1)
            mine = constant * ours[:, functions.index(Function(factors, -1))]
            assert len(where) == 1
            pace = theirs[:, where[0]]
            assert np.abs(mine - pace).max() <= 1e-9 * np.abs(pace).max()
            compared += 1
    assert compared == {"si_chebexpcos": 211, "si_sbessel": 195, "tial_order4": 470}[name]


def test_functions_of_order_4_span_the_space_of_pace(folder):
    functions = read_pace(folder / "tial_order4.yaml").basis.functions
    sizes = []
    for centre, ours, theirs in projections(folder, "tial_order4"):
        for factors, where in columns(folder, "tial_order4", centre).items():
            if len(factors) < 4:
                continue
            mine = ours[:, [k for k, f in enumerate(functions) if f.factors == factors]]
            pace = theirs[:, where]
            assert mine.shape == pace.shape
            mine, pace = (x / np.linalg.norm(x, axis=0) for x in (mine, pace))
            assert np.sin(subspace_angles(mine, pace)).max() <= 1e-7
            sizes.append(len(where))
    assert sum(sizes) == 40
    assert max(sizes) == 2  # otherwise the angles would prove nothing that the constants do not


# --- conventions ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("ls", [(0,), (2, 2), (3, 3), (1, 2, 3), (2, 2, 4)])
def test_couplings_of_pace_are_ours_times_the_known_constant(ls):
    same = tuple(range(len(ls)))
    [(_, ours)] = class_tables(ls, same)
    pace = canonical(b_table(ls, ls[2:]), same)
    sign = (-1) ** ls[0] if len(ls) == 2 else 1
    assert set(ours) == set(pace)
    for key, value in pace.items():
        assert sign * (4 * np.pi) ** (-len(ls) / 2) * value == pytest.approx(ours[key], rel=1e-12)


@pytest.mark.parametrize(
    ("ls", "same"), [((1, 1, 1, 1), (0, 0, 0, 0)), ((1, 1, 2, 2), (0, 0, 2, 2)), ((2, 2, 2, 2), (0, 1, 2, 3))]
)
def test_order_4_couplings_of_pace_are_combinations_of_ours(ls, same):
    pace = couplings_of_class(ls, same)
    assert len(pace) == len(class_tables(ls, same))
    tables = dict(class_tables(ls, same))
    for _, table in pace:
        found = project(table, ls, same)
        again = {}
        for big, c in found.items():
            for key, value in tables[big].items():
                again[key] = again.get(key, 0.0) + c * value
        assert max(abs(again.get(k, 0) - table.get(k, 0)) for k in {*again, *table}) < 1e-12


def test_what_is_not_invariant_is_refused():
    with pytest.raises(InputError, match="not invariant"):
        project({(0, 0): 1.0, (1, -1): 0.5}, (1, 1), (0, 1))
    with pytest.raises(InputError, match="not an invariant"):
        b_table((1, 2), ())
    with pytest.raises(InputError, match="not an invariant"):
        b_table((1, 1, 1), (1,))
    assert same_factors((Factor(0, 1, 0), Factor(0, 1, 0), Factor(0, 2, 0))) == (0, 0, 2)


# --- round trips ------------------------------------------------------------------------------------------------

NATIVE = {
    "ChebExpCos": {"elements": (14,), "cutoff": 5.0, "degree": (9, 9, 8), "radial": ChebExpCos(4.0, 0.02)},
    "SBessel": {"elements": (14,), "cutoff": 5.0, "degree": (9, 9, 8), "radial": SBessel()},
    "two elements, order 4": {
        "elements": (13, 22),
        "cutoff": ((5.0, 4.8), (4.8, 4.5)),
        "degree": (6, 6, 6, 7),
        "radial": ChebExpCos(),
    },
}
FITTED = {
    "Agnesi": {"elements": (14,), "cutoff": 5.0, "degree": (10, 10, 9), "pair_degree": 10},
    "two elements, order 4": {
        "elements": (13, 22),
        "cutoff": ((5.0, 4.8), (4.8, 4.5)),
        "degree": (6, 6, 6, 6),
        "pair_degree": 6,
        "radial": AgnesiJacobi(envelope=3),
    },
    "SBessel with pairs": {
        "elements": (14,),
        "cutoff": 5.0,
        "degree": (5, 5),
        "radial": SBessel(),
        "pair_degree": 5,
    },
}


def potential(spec: dict) -> AcePotential:
    """Random coefficients as smooth as the prior believes, with reference energies."""
    rng = np.random.default_rng(7)
    basis = AceBasis(**spec)
    shape = (len(basis.elements), len(basis.functions))
    coefficients = rng.normal(size=shape) * basis.prior.min() / basis.prior
    return AcePotential(basis, coefficients, rng.normal(size=shape[0]))


def structures(elements: tuple[int, ...]) -> list[Atoms]:
    """Crystals at three densities, and a free trimer."""
    out = [bulk("Si", a=a, cubic=True) for a in (4.9, 5.43, 6.2)]
    for seed, atoms in enumerate(out):
        atoms.rattle(0.1, seed=seed)
        atoms.numbers = np.resize(elements, len(atoms))
    places = [[0, 0, 0], [2.2, 0.1, 0], [0.4, 2.5, 0.3]]
    trimer = Atoms([elements[0], elements[-1], elements[0]], positions=places, cell=np.eye(3) * 20)
    return [*out, trimer]


def differences(one: AcePotential, other: AcePotential) -> tuple[float, float]:
    """Largest difference of site energies and forces."""
    energy = force = 0.0
    for atoms in structures(one.basis.elements):
        a, b = one(frames_of(atoms)), other(frames_of(atoms))
        assert np.abs(a.forces).max() > 1e-3
        energy = max(energy, np.abs(a.energies - b.energies).max())
        force = max(force, np.abs(a.forces - b.forces).max())
    return energy, force


@pytest.mark.parametrize("name", NATIVE)
def test_native_families_survive_a_round_trip(name, tmp_path):
    original = potential(NATIVE[name])
    export = write_yace(tmp_path / "a.yace", original)
    assert export.exact
    assert "exact" in str(export)
    back = read_pace(tmp_path / "a.yace")
    assert max(differences(original, back)) < 1e-10
    assert len(back.basis.functions) == len(original.basis.functions)
    np.testing.assert_array_equal(back.reference, original.reference)

    bare = replace(original, reference=np.zeros_like(original.reference))
    write_pace_yaml(tmp_path / "a.yaml", bare)
    assert max(differences(bare, read_pace(tmp_path / "a.yaml"))) < 1e-10
    # and once more, now with the imported radial functions
    write_yace(tmp_path / "b.yace", back)
    assert max(differences(original, read_pace(tmp_path / "b.yace"))) < 1e-10


@pytest.mark.parametrize("name", FITTED)
def test_other_families_agree_to_their_stated_bound(name, tmp_path):
    original = potential(FITTED[name])
    export = write_yace(tmp_path / "a.yace", original)
    assert not export.exact
    assert 0 < export.force_bound <= 1e-5
    assert f"{export.force_bound:.1e}" in str(export)
    energy, force = differences(original, read_pace(tmp_path / "a.yace"))
    assert energy <= export.energy_bound
    assert force <= export.force_bound


def test_elements_need_not_be_in_ascending_order(tmp_path):
    original = potential(NATIVE["two elements, order 4"])
    write_yace(tmp_path / "a.yace", original)
    text = (tmp_path / "a.yace").read_text()
    assert text.count("[Al, Ti]") == 1
    (tmp_path / "b.yace").write_text(text.replace("[Al, Ti]", "[Ti, Al]", 1))
    exchanged = read_pace(tmp_path / "b.yace")
    assert exchanged.basis.elements == (13, 22)
    for atoms in structures((13, 22)):
        mirror = atoms.copy()
        mirror.numbers = 35 - atoms.numbers
        a, b = original(frames_of(atoms)), exchanged(frames_of(mirror))
        np.testing.assert_allclose(a.forces, b.forces, rtol=0, atol=1e-10)
        np.testing.assert_allclose(a.energies, b.energies, rtol=0, atol=1e-10)


def test_a_fit_that_misses_its_tolerance_is_refused(tmp_path):
    original = potential(FITTED["Agnesi"])
    with pytest.raises(InputError, match=r"cannot be written .* within 1.0e-16 eV/Å: .*forces within"):
        write_yace(tmp_path / "a.yace", original, tolerance=1e-16)
    with pytest.raises(InputError, match="r_min must lie"):
        write_yace(tmp_path / "a.yace", original, r_min=9.0)
    assert list(tmp_path.iterdir()) == []


def test_nothing_is_overwritten_or_left_out_silently(tmp_path):
    original = potential(NATIVE["ChebExpCos"])
    write_yace(tmp_path / "a.yace", original)
    with pytest.raises(InputError, match="exists; use force"):
        write_yace(tmp_path / "a.yace", original)
    write_yace(tmp_path / "a.yace", original, force=True)
    with pytest.raises(InputError, match="no place for the reference energies"):
        write_pace_yaml(tmp_path / "a.yaml", original)
    write_pace_yaml(tmp_path / "a.yaml", original, without_reference=True)
    with pytest.raises(InputError, match="use write_yace"):
        write_pace_yaml(tmp_path / "b.yaml", potential(FITTED["Agnesi"]))
    armed = replace(original, repulsion=Repulsion.zbl((14,), original.basis.r0))
    with pytest.raises(InputError, match="write_repulsion_table"):
        write_yace(tmp_path / "c.yace", armed)
    with pytest.raises(InputError, match="no repulsion"):
        write_repulsion_table(tmp_path / "c.table", original)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.yace", "a.yaml"]


def test_the_table_of_the_repulsion_holds_the_rest_of_the_energy(tmp_path):
    original = potential(NATIVE["two elements, order 4"])
    armed = replace(original, repulsion=Repulsion.zbl((13, 22), original.basis.r0))
    write_yace(tmp_path / "a.yace", armed, without_repulsion=True)
    lines = write_repulsion_table(tmp_path / "core.table", armed)
    assert lines[0].startswith("pair_style hybrid/overlay pace table")
    assert "pair_coeff 1 2 table core.table Al-Ti" in "\n".join(lines)
    sections = (tmp_path / "core.table").read_text().split("Al-Ti\n")[1].split("\n\n")
    table = np.array([line.split() for line in sections[1].split("\n") if line], float)
    bare = read_pace(tmp_path / "a.yace")
    for _, r, energy, force in table[200::900]:
        pair = frames_of(Atoms("AlTi", positions=[[0, 0, 0], [r, 0, 0]]))
        whole, rest = armed(pair), bare(pair)
        assert whole.energy - rest.energy == pytest.approx(energy, rel=1e-9, abs=1e-9)
        assert (whole.forces - rest.forces)[1, 0] == pytest.approx(force, rel=1e-9, abs=1e-9)


# --- another reader of our files --------------------------------------------------------------------------------


@pytest.mark.filterwarnings("default")  # of jax and its friends, which are not ours
@pytest.mark.parametrize("name", [*NATIVE, *(f"{name}, fitted" for name in FITTED)])
def test_ace_jax_reads_our_files_and_finds_our_energies_and_forces(name, tmp_path):
    pytest.importorskip("ace_jax", reason="ace-jax is in the extra [oracles]")
    import jax

    jax.config.update("jax_enable_x64", True)
    from ace_jax.calc.point import ACECalculator
    from ace_jax.eval import load_yace

    fitted = name.endswith(", fitted")
    original = potential(FITTED[name.removesuffix(", fitted")] if fitted else NATIVE[name])
    export = write_yace(tmp_path / "a.yace", original)
    model, meta, _ = load_yace(str(tmp_path / "a.yace"))
    for atoms in structures(original.basis.elements):
        ours = original(frames_of(atoms))
        atoms.calc = ACECalculator(model, meta)
        assert abs(atoms.get_potential_energy() - ours.energy) <= len(atoms) * (export.energy_bound + 1e-10)
        np.testing.assert_allclose(atoms.get_forces(), ours.forces, rtol=0, atol=export.force_bound + 1e-10)


# --- files that are refused -------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def texts(tmp_path_factory) -> dict[str, str]:
    """A small potential in both formats."""
    here = tmp_path_factory.mktemp("pace")
    spec = {"elements": (13, 22), "cutoff": 5.0, "degree": (3, 3, 3), "radial": ChebExpCos()}
    small = replace(potential(spec), reference=np.zeros(2))
    write_yace(here / "a.yace", small)
    write_pace_yaml(here / "a.yaml", small)
    return {suffix: (here / f"a.{suffix}").read_text() for suffix in ("yace", "yaml")}


@pytest.mark.parametrize(
    ("suffix", "old", "new", "message"),
    [
        (
            "yace",
            "ndensity: 1, FS_parameters: [1, 1]",
            "ndensity: 2, FS_parameters: [1, 1, 1, 0.5]",
            "linear",
        ),
        ("yace", "FS_parameters: [1, 1]", "FS_parameters: [1, 0.5]", "only a linear potential"),
        ("yace", "npoti: FinnisSinclair", "npoti: FinnisSinclairShiftedScaled", "only a linear potential"),
        ("yaml", "parameters: [1, 1]", "parameters: [1, 0.5]", "only a linear potential"),
        ("yaml", "ndensityi: 1", "ndensityi: 2", "only a linear potential"),
        ("yace", "radbasename: ChebExpCos", "radbasename: ChebPow", "ChebPow.*ChebExpCos and SBessel"),
        ("yaml", "radbase: ChebExpCos", "radbase: ACE.jl.base", "ACE.jl.base"),
        ("yace", "radparameters: [5.25]", "radparameters: [3.0]", "one kind, λ and dcut"),
        ("yace", "prehc: 0,", "prehc: 100.0,", "core repulsion of height 100"),
        ("yaml", "core-repulsion: [0, 0]", "core-repulsion: [100.0, 5]", "core repulsion of height 100"),
        ("yace", "rcut_in: 0,", "rcut_in: 1.2,", "inner cutoff 1.2"),
        ("yace", "inner_cutoff_type: distance", "inner_cutoff_type: zbl", "zbl"),
        ("yace", "rcut: 5.0,", "rcut: far,", "rcut of bond.*'far'"),
        ("yace", "rcut: 5.0,", "rcut: -5.0,", "positive distance"),
        ("yace", "rcut: 5.0, ", "", "lacks 'rcut'"),
        ("yace", "  [0, 1]:", "  [0, 7]:", r"lacks \[0, 1\]"),
        ("yace", "elements: [Al, Ti]", "elements: [Al, Xx]", "'Xx' is not a chemical element"),
        ("yace", "elements: [Al, Ti]", "elements: [Al, Al]", "distinct"),
        ("yace", "elements: [Al, Ti]", "elements: Al", "distinct"),
        ("yace", "E0: [0.0, 0.0]", "E0: [0.0]", "E0 has 1 values for 2"),
        ("yace", "E0: [0.0, 0.0]", "E0: [0.0, .nan]", "not finite"),
        ("yace", "num_ms_combs: 1", "num_ms_combs: 3", "combinations of m"),
        ("yace", "rank: 2", "rank: 5", "rank 5"),
        ("yace", "ms_combs: [0, 0]", "ms_combs: [0, 1]", "m = "),
        ("yace", "ns: [1, 1]", "ns: [1, 9]", "ends at n = "),
        ("yace", "ns: [1, 1]", "ns: [1, 1.5]", "list of integers"),
        ("yace", "functions:", "other:", "neither the key"),
        ("yaml", "type: Al Al,", "type: Al Xx,", "'Xx'"),
        ("yaml", "speciesblock: Ti Al", "speciesblock: Ti Cu", "Cu"),
        ("yaml", "nr: [1, 1]", "nr: [1]", "neighbours"),
        ("yaml", "nl: [0, 0]", "nl: [0, 1]", "not an invariant"),
        ("yaml", "lmaxi: 0", "lmaxi: 3", "have shape"),
        ("yaml", "nbody:", "functions_of:", "lacks 'nbody'"),
        ("yaml", "lint: [0], c: [", "lint: [0], c: [0.0, ", "2 densities"),
        ("yace", "# made by aliquot: ", "# made by aliquot: 1", "cut off"),
    ],
)
def test_bad_files_are_refused_with_what_was_found(texts, tmp_path, suffix, old, new, message):
    assert old in texts[suffix]
    bad = tmp_path / f"bad.{suffix}"
    bad.write_text(texts[suffix].replace(old, new, 1))
    with pytest.raises(InputError, match=message) as caught:
        read_pace(bad)
    assert str(bad) in str(caught.value)


@pytest.mark.parametrize("suffix", ["yace", "yaml"])
@pytest.mark.parametrize("part", [0.0, 0.1, 0.3, 0.6, 0.9, 0.95, 0.99])
def test_truncated_files_are_refused(texts, tmp_path, suffix, part):
    bad = tmp_path / f"bad.{suffix}"
    bad.write_text(texts[suffix][: int(part * len(texts[suffix]))])
    with pytest.raises(InputError, match=r"bad\."):
        read_pace(bad)


@pytest.mark.parametrize(
    "content", ["", "1", "[1, 2]", "{", "a: !!python/object/apply:os.getcwd []", "species: 3"]
)
def test_what_is_no_potential_is_refused(tmp_path, content):
    bad = tmp_path / "bad.yace"
    bad.write_text(content)
    with pytest.raises(InputError, match=r"bad\.yace"):
        read_pace(bad)
    with pytest.raises(InputError, match="cannot be read"):
        read_pace(tmp_path / "missing.yace")
