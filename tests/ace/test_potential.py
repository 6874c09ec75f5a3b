"""Potentials: derivatives, repulsion, sparsity, threads, the file and what it refuses."""

from __future__ import annotations

import io
import json
import zipfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk, fcc111
from scipy import constants

from aliquot.ace.basis import AceBasis
from aliquot.ace.evaluator import AceEvaluator
from aliquot.ace.potential import AcePotential, Evaluation
from aliquot.ace.radial import ChebExpCos
from aliquot.ace.repulsion import Repulsion
from aliquot.errors import InputError
from aliquot.structures import Frames
from aliquot.structures.neighbours import neighbours

VOIGT = ((0, 0), (1, 1), (2, 2), (1, 2), (0, 2), (0, 1))


def random_potential(
    basis: AceBasis, *, repulsion: Repulsion | None = None, size: float = 0.3
) -> AcePotential:
    """Coefficients drawn from the smoothness prior."""
    shape = (len(basis.elements), len(basis.functions))
    draws = np.random.default_rng(7).normal(size=shape)
    reference = -np.arange(1.0, shape[0] + 1)
    return AcePotential(basis, size * draws / basis.prior, reference, repulsion)


def evaluate(potential: AcePotential, atoms: Atoms, threads: int | None = None) -> Evaluation:
    return potential(Frames.from_atoms([atoms]), threads=threads)


def bare(repulsion: Repulsion, elements: tuple[int, ...] = (14,)) -> AcePotential:
    """Nothing but the repulsion."""
    basis = AceBasis(elements=elements, cutoff=3.0, degree=(2,))
    n = len(elements)
    return AcePotential(basis, np.zeros((n, len(basis.functions))), np.zeros(n), repulsion)


def dimer(r: float, symbols: str = "Si2") -> Atoms:
    """Off the axes, so that all components take part."""
    direction = np.array([2.0, -1.0, 2.0]) / 3.0
    return Atoms(symbols, positions=[[0.1, 0.2, 0.3], np.array([0.1, 0.2, 0.3]) + r * direction])


def pull(potential: AcePotential, r: float, symbols: str = "Si2") -> float:
    """Force on the second atom of a dimer, away from the first."""
    return float(evaluate(potential, dimer(r, symbols)).forces[1] @ np.array([2.0, -1.0, 2.0]) / 3.0)


def _systems() -> dict[str, tuple[AcePotential, Atoms]]:
    silicon = AceBasis(elements=(14,), cutoff=5.0, degree=(10, 8, 7))
    salt = AceBasis(elements=(11, 17), cutoff=((4.5, 4.2), (4.2, 4.0)), degree=(5, 5, 4), pair_degree=3)
    four = AceBasis(elements=(11, 17), cutoff=4.0, degree=(4, 4, 4, 4), radial=ChebExpCos())
    core = Repulsion.core(np.array([[900.0, 700.0], [700.0, 500.0]]), np.full((2, 2), 0.3), salt.r0)
    squeezed, rocksalt = bulk("Si", "diamond", 3.9, cubic=True), bulk("NaCl", "rocksalt", 4.3)
    rocksalt = rocksalt * (1, 2, 1)  # triclinic
    slab = fcc111("Al", (1, 1, 3), a=3.4, vacuum=5.0)
    slab.symbols[0] = "Na"
    slab.symbols[1:] = "Cl"
    for atoms in (squeezed, rocksalt, slab):
        atoms.rattle(0.12, seed=5)
    return {
        "ZBL": (random_potential(silicon, repulsion=Repulsion.zbl((14,), silicon.r0)), squeezed),
        "core, two elements, pair functions": (random_potential(salt, repulsion=core), rocksalt),
        "order 4, slab": (
            random_potential(four, repulsion=Repulsion.zbl((11, 17), 1.6 * four.r0), size=2.0),
            slab,
        ),
    }


SYSTEMS = _systems()


def derivative(f, h: float = 2e-4) -> float:
    """Fourth-order central difference at 0."""
    return (8 * (f(h) - f(-h)) - (f(2 * h) - f(-2 * h))) / (12 * h)


@pytest.mark.parametrize("name", SYSTEMS)
def test_forces_and_virial_are_derivatives_of_the_energy(name):
    potential, atoms = SYSTEMS[name]
    found = evaluate(potential, atoms)
    assert potential.repulsion is not None
    alone = evaluate(bare(potential.repulsion, potential.basis.elements), atoms)
    assert np.abs(alone.forces).max() > 0.05  # the repulsion takes part

    def moved(x: float, atom: int, axis: int) -> float:
        other = atoms.copy()
        other.positions[atom, axis] += x
        return evaluate(potential, other).energy

    scale = max(1.0, np.abs(found.forces).max())
    for atom in range(len(atoms)):
        for axis in range(3):
            expected = -derivative(lambda x, a=atom, b=axis: moved(x, a, b))
            assert found.forces[atom, axis] == pytest.approx(expected, abs=2e-7 * scale)

    def strained(x: float, a: int, b: int) -> float:
        other, strain = atoms.copy(), np.eye(3)
        strain[a, b] += x / 2
        strain[b, a] += x / 2
        other.set_cell(atoms.cell[:] @ strain, scale_atoms=True)
        return evaluate(potential, other).energy

    for a, b in VOIGT:
        expected = -derivative(lambda x, a=a, b=b: strained(x, a, b))
        assert found.virial[a, b] == pytest.approx(expected, abs=1e-6 * scale)
        assert found.virial[b, a] == pytest.approx(found.virial[a, b], abs=1e-10 * scale)
    np.testing.assert_allclose(found.forces.sum(axis=0), 0.0, atol=1e-10 * scale)


@pytest.mark.parametrize("name", SYSTEMS)
def test_energy_and_forces_are_those_of_the_rows(name):
    """The contracted polynomial against the rows, which are another kernel and were checked on their own."""
    potential, atoms = SYSTEMS[name]
    frames = Frames.from_atoms([atoms])
    rows, c = AceEvaluator(potential.basis).rows(frames, 0), potential.coefficients.ravel()
    found = replace(potential, repulsion=None)(frames)
    e0 = potential.reference[potential.basis.species(atoms.numbers)].sum()
    assert found.energy == pytest.approx(rows.energy @ c + e0, rel=1e-11)
    np.testing.assert_allclose(found.forces, rows.forces @ c, rtol=0, atol=1e-11 * np.abs(found.forces).max())
    np.testing.assert_allclose(
        [found.virial[a, b] for a, b in VOIGT], rows.virial @ c, atol=1e-10 * np.abs(found.virial).max()
    )


# --- repulsion ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("symbols", "z1", "z2"), [("Si2", 14, 14), ("OAu", 8, 79)])
@pytest.mark.parametrize("r", [0.05, 0.2, 0.6])
def test_zbl_is_the_published_formula(symbols, z1, z2, r):
    elements = tuple(sorted({z1, z2}))
    r0 = np.full((len(elements),) * 2, 4.0)  # the switch begins at 1.6 Å
    coulomb = constants.e / (4 * np.pi * constants.epsilon_0) * 1e10  # eV Å
    a = 0.46850 / (z1**0.23 + z2**0.23)
    weights, rates = [0.18175, 0.50986, 0.28022, 0.02817], [3.19980, 0.94229, 0.40290, 0.20162]
    screening = sum(w * np.exp(-k * r / a) for w, k in zip(weights, rates, strict=True))
    found = evaluate(bare(Repulsion.zbl(elements, r0), elements), dimer(r, symbols))
    assert found.energy == pytest.approx(z1 * z2 * coulomb / r * screening, rel=1e-8)


def test_core_is_an_exponential():
    core = Repulsion.core(np.array([[500.0]]), np.array([[0.25]]), np.array([[4.0]]))
    found = evaluate(bare(core), dimer(1.1))
    assert found.energy == pytest.approx(500.0 * np.exp(-1.1 / 0.25), rel=1e-12)
    assert pull(bare(core), 1.1) == pytest.approx(500.0 / 0.25 * np.exp(-1.1 / 0.25), rel=1e-12)


@pytest.mark.parametrize(
    "repulsion",
    [
        Repulsion.zbl((14,), np.array([[2.35]])),
        Repulsion.core(np.array([[800.0]]), np.array([[0.3]]), np.array([[2.35]])),
    ],
    ids=["zbl", "core"],
)
@pytest.mark.parametrize("end", ["inner", "outer"])
def test_switch_is_twice_continuously_differentiable(repulsion, end):
    potential, r = bare(repulsion), getattr(repulsion, end)[0][0]
    energy = lambda x: evaluate(potential, dimer(x)).energy  # noqa: E731
    h = 1e-4
    # one-sided derivatives of second order: of the energy, then of the force
    for f, tolerance in ((energy, 1e-6), (lambda x: pull(potential, x), 1e-3)):
        left, right = (
            side * (-3 * f(r) + 4 * f(r + side * h) - f(r + 2 * side * h)) / (2 * h) for side in (-1, 1)
        )
        scale = abs(pull(potential, repulsion.inner[0][0])) * 10
        assert left == pytest.approx(right, abs=tolerance * scale)
    assert energy(r - 1e-9) == pytest.approx(energy(r + 1e-9), abs=1e-5)
    assert pull(potential, r) == pytest.approx(-derivative(lambda x: energy(r + x), 1e-3), rel=1e-4, abs=1e-7)


def test_switch_joins_one_to_zero():
    repulsion = Repulsion.core(np.array([[800.0]]), np.array([[0.3]]), np.array([[2.0]]))
    potential, inner, outer = bare(repulsion), 0.8, 1.5
    r = np.linspace(inner, outer, 29)
    switch = [evaluate(potential, dimer(x)).energy / (800.0 * np.exp(-x / 0.3)) for x in r]
    assert switch[0] == pytest.approx(1.0)
    assert switch[-1] == pytest.approx(0.0, abs=1e-12)
    assert switch[14] == pytest.approx(0.5)
    assert np.all(np.diff(switch) < 0)
    assert evaluate(potential, dimer(outer + 1e-6)).energy == 0.0


def test_atoms_closer_than_any_data_repel():
    potential, _ = SYSTEMS["ZBL"]
    r = np.linspace(0.02, 0.8, 40)
    energies = np.array([evaluate(potential, dimer(x)).energy for x in r])
    assert np.all(np.diff(energies) < 0)
    assert all(pull(potential, x) > 10.0 for x in r)


def test_repulsion_survives_its_dictionary():
    for potential, _ in SYSTEMS.values():
        assert potential.repulsion is not None
        assert (
            Repulsion.from_dict(json.loads(json.dumps(potential.repulsion.to_dict()))) == potential.repulsion
        )


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"kind": "lj"}, "not known"),
        ({"height": ((-1.0,),)}, "positive"),
        ({"decay": ((np.nan,),)}, "finite|symmetric"),
        ({"inner": ((2.0,),)}, "inner < outer"),
        ({"outer": ((1.0, 1.0),)}, "symmetric"),
    ],
)
def test_repulsion_refuses(change, message):
    with pytest.raises(InputError, match=message):
        replace(Repulsion.zbl((14,), np.array([[2.0]])), **change)


# --- what is not there costs nothing ------------------------------------------------------------------------


def test_sparse_potential_is_the_same_and_smaller():
    potential, atoms = SYSTEMS["ZBL"]
    keep = np.random.default_rng(1).random(potential.coefficients.shape[1]) < 0.1
    sparse = replace(potential, coefficients=np.where(keep, potential.coefficients, 0.0))
    assert len(sparse.pruned.basis.functions) == keep.sum()

    full, small = potential._compiled, sparse._compiled
    assert full is not None
    assert small is not None
    assert len(small[1].term_coefficient) < 0.3 * len(full[1].term_coefficient)
    assert small[1].n_density < full[1].n_density

    # the same numbers as with every function evaluated and multiplied by zero
    values = AceEvaluator(potential.basis).site_values(Frames.from_atoms([atoms]), 0)
    found = evaluate(replace(sparse, repulsion=None), atoms)
    np.testing.assert_allclose(found.energies, values @ sparse.coefficients[0] - 1.0, rtol=1e-12)
    rows = AceEvaluator(potential.basis).rows(Frames.from_atoms([atoms]), 0)
    np.testing.assert_allclose(found.forces, rows.forces @ sparse.coefficients[0], atol=1e-12)


def test_functions_of_one_centre_alone():
    """Coefficients that are zero for one element only: that element's centres contribute nothing."""
    potential, atoms = SYSTEMS["core, two elements, pair functions"]
    one = potential.coefficients.copy()
    one[1] = 0.0
    found = evaluate(replace(potential, coefficients=one, repulsion=None), atoms)
    chlorine = atoms.numbers == 17
    np.testing.assert_array_equal(found.energies[chlorine], potential.reference[1])
    assert np.all(found.energies[~chlorine] != potential.reference[0])
    assert np.abs(found.forces[chlorine]).max() > 0.01  # they still act as neighbours


def test_threads_change_nothing_but_rounding():
    potential, _ = SYSTEMS["ZBL"]
    atoms = bulk("Si", cubic=True) * (4, 4, 5)
    atoms.rattle(0.1, seed=2)
    one = evaluate(potential, atoms, threads=1)
    for threads in (2, 3):
        more = evaluate(potential, atoms, threads=threads)
        np.testing.assert_allclose(more.energies, one.energies, rtol=1e-12)
        np.testing.assert_allclose(more.forces, one.forces, atol=1e-12)
        np.testing.assert_allclose(more.virial, one.virial, rtol=1e-10, atol=1e-10)
    with pytest.raises(InputError, match="threads must be positive"):
        evaluate(potential, atoms, threads=0)


@pytest.mark.parametrize("name", SYSTEMS)
def test_isolated_atoms_have_the_reference_energy(name):
    potential, _ = SYSTEMS[name]
    for z, e0 in zip(potential.basis.elements, potential.reference, strict=True):
        found = evaluate(potential, Atoms([z, z], positions=[[0, 0, 0], [0, 0, 9.0]]))
        np.testing.assert_array_equal(found.energies, [e0, e0])
        assert not found.forces.any()
        assert not found.virial.any()


# --- bad input ----------------------------------------------------------------------------------------------


def test_coincident_atoms_are_named():
    potential, _ = SYSTEMS["ZBL"]
    with pytest.raises(InputError, match="atoms 1 and 2 are 0 Å apart"):
        evaluate(potential, Atoms("Si3", positions=[[0, 0, 3.0], [1, 1, 1], [1, 1, 1]]))


def test_unknown_element_is_named():
    potential, _ = SYSTEMS["ZBL"]
    with pytest.raises(InputError, match="atom 1 has atomic number 6"):
        evaluate(potential, Atoms("SiC", positions=[[0, 0, 0], [0, 0, 1.8]]))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"coefficients": np.zeros((1, 3))}, "coefficients have shape"),
        ({"coefficients": np.nan * SYSTEMS["ZBL"][0].coefficients}, "finite"),
        ({"reference": np.zeros(2)}, "reference energies have shape"),
        ({"reference": np.array([np.inf])}, "finite"),
        ({"repulsion": Repulsion.zbl((13, 14), np.full((2, 2), 2.0))}, "for 2 elements"),
    ],
)
def test_shapes_and_values_must_agree(change, message):
    potential, _ = SYSTEMS["ZBL"]
    with pytest.raises(InputError, match=message):
        replace(potential, **change)


# --- the file -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", SYSTEMS)
def test_file_gives_back_every_bit(name, tmp_path):
    potential, atoms = SYSTEMS[name]
    path = replace(potential, meta={"fitted to": "Si, 25 °C", "n": 3}).save(tmp_path / "p.ace")
    again = AcePotential.load(path)
    assert again.coefficients.tobytes() == potential.coefficients.tobytes()
    assert again.reference.tobytes() == potential.reference.tobytes()
    assert again.repulsion == potential.repulsion
    assert again.meta == {"fitted to": "Si, 25 °C", "n": 3}
    assert again.basis.hash == potential.basis.hash
    one, two = evaluate(potential, atoms, 1), evaluate(again, atoms, 1)
    assert one.forces.tobytes() == two.forces.tobytes()
    assert list(tmp_path.iterdir()) == [path]


def test_sparse_potential_survives_its_file(tmp_path):
    potential, atoms = SYSTEMS["core, two elements, pair functions"]
    small = replace(potential, coefficients=np.round(potential.coefficients, 2)).pruned
    again = AcePotential.load(small.save(tmp_path / "p.ace"))
    assert again.basis.functions == small.basis.functions
    assert evaluate(again, atoms).energy == evaluate(small, atoms).energy


def test_nothing_is_overwritten_without_force(tmp_path):
    potential, _ = SYSTEMS["ZBL"]
    path = tmp_path / "p.ace"
    path.write_text("precious")
    with pytest.raises(InputError, match="exists; use force"):
        potential.save(path)
    assert path.read_text() == "precious"
    potential.save(path, force=True)
    AcePotential.load(path)


def test_a_place_that_is_not_there_is_named(tmp_path):
    potential, _ = SYSTEMS["ZBL"]
    with pytest.raises(InputError, match="cannot write"):
        potential.save(tmp_path / "missing" / "p.ace")
    with pytest.raises(InputError, match="plain JSON"):
        replace(potential, meta={"rng": np.random.default_rng()}).save(tmp_path / "p.ace")
    assert not list(tmp_path.iterdir())


class Saved:
    """A potential's file whose parts a test changes."""

    def __init__(self, folder: Path) -> None:
        self.path = SYSTEMS["ZBL"][0].save(folder / "p.ace")
        with zipfile.ZipFile(self.path) as archive:
            self.header = json.loads(archive.read("potential.json"))
            self.numbers = archive.read("coefficients.npy")

    def write(self) -> Path:
        with zipfile.ZipFile(self.path, "w") as archive:
            archive.writestr("potential.json", json.dumps(self.header))
            archive.writestr("coefficients.npy", self.numbers)
        return self.path

    def array(self, values: np.ndarray, *, pickle: bool = False) -> Path:
        content = io.BytesIO()
        np.save(content, values, allow_pickle=pickle)
        self.numbers = content.getvalue()
        return self.write()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"schema": 99}, "schema 99 is not known"),
        ({"format": "other"}, "format 'other'"),
        ({"reference": ["x"]}, "not a potential"),
        ({"reference": [float("nan")]}, "finite"),
        ({"reference": [1.0, 2.0]}, "reference energies have shape"),
        ({"basis": {"basis": "ace", "version": 2}}, "version 2"),
        ({"basis": {"basis": "ace", "version": 1}}, "damaged"),
        ({"repulsion": {"kind": "zbl"}}, "not a potential"),
        ({"names": ["Si(1,0)"]}, "are not those of the file"),
        ({"meta": 3}, "not a potential"),
    ],
)
def test_what_is_not_known_is_refused(tmp_path, change, message):
    saved = Saved(tmp_path)
    saved.header.update(change)
    with pytest.raises(InputError, match=message):
        AcePotential.load(saved.write())


def test_a_missing_part_is_refused(tmp_path):
    saved = Saved(tmp_path)
    del saved.header["names"]
    with pytest.raises(InputError, match="names"):
        AcePotential.load(saved.write())
    with zipfile.ZipFile(saved.path, "w") as archive:
        archive.writestr("potential.json", "{}")
    with pytest.raises(InputError, match="coefficients"):
        AcePotential.load(saved.path)


def test_arrays_that_are_not_numbers_are_refused(tmp_path):
    saved = Saved(tmp_path)
    good = np.load(io.BytesIO(saved.numbers))
    with pytest.raises(InputError, match="allow_pickle=False"):
        AcePotential.load(saved.array(np.array([[{"a": 1}]], object), pickle=True))
    with pytest.raises(InputError, match="float64"):
        AcePotential.load(saved.array(good.astype(complex)))
    with pytest.raises(InputError, match="finite"):
        AcePotential.load(saved.array(np.where(good == good[0, 0], np.nan, good)))
    with pytest.raises(InputError, match="shape"):
        AcePotential.load(saved.array(good[:, 1:]))


def test_damaged_files_are_refused(tmp_path):
    whole = Saved(tmp_path).path.read_bytes()
    target = tmp_path / "damaged.ace"
    rng = np.random.default_rng(3)
    contents = [b"", b"no zip", whole[: len(whole) // 2], whole[:-30]]
    for _ in range(30):
        flipped = bytearray(whole)
        flipped[int(rng.integers(len(whole) - 200))] ^= 255
        contents.append(bytes(flipped))
    refused = []
    for content in contents:
        target.write_bytes(content)
        try:
            AcePotential.load(target)  # a flipped time stamp does no harm
        except InputError as error:
            refused.append(str(error))
    assert len(refused) >= 4 + 25
    assert all("damaged.ace" in message for message in refused)
    with pytest.raises(InputError, match=r"nowhere\.ace"):
        AcePotential.load(tmp_path / "nowhere.ace")


@pytest.mark.parametrize("threads", [1, 2])
def test_values_come_with_the_forces(threads):
    basis = AceBasis(elements=(11, 17), cutoff=4.6, degree=(5, 5, 4))
    rng = np.random.default_rng(5)
    coefficients = rng.normal(size=(2, len(basis.functions))) / basis.prior
    coefficients[:, ::3] = 0.0
    potential = AcePotential(basis, coefficients, np.zeros(2))
    atoms = bulk("NaCl", "rocksalt", a=5.6, cubic=True) * (4, 4, 4)
    atoms.rattle(0.1, seed=2)
    frames = Frames.from_atoms([atoms])
    pairs = neighbours(atoms.positions, atoms.cell[:], atoms.pbc, potential.range)
    values = np.full((len(atoms), len(potential.pruned.basis.functions)), np.nan)
    with_values = potential.evaluate(atoms.numbers, pairs, threads=threads, values=values)
    np.testing.assert_array_equal(with_values.forces, potential(frames, threads=threads).forces)
    np.testing.assert_array_equal(values, AceEvaluator(potential.pruned.basis).site_values(frames, 0))
