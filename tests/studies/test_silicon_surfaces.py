"""Silicon surfaces: the published selectors by hand, relaxations beside ASE's, fits beside plain least squares."""

from __future__ import annotations

import numpy as np
import pytest
from ase.calculators.calculator import Calculator, all_changes
from ase.optimize import LBFGS

from aliquot.ace.potential import Evaluation
from aliquot.errors import InputError
from aliquot.structures.neighbours import neighbours
from aliquot.studies import Data, Results, run_study, study_named
from aliquot.studies.silicon_surfaces import network, published, slabs
from aliquot.studies.silicon_surfaces.comparisons import contest, overall
from aliquot.studies.silicon_surfaces.measure import Measure
from aliquot.studies.silicon_surfaces.measured import Numbers
from aliquot.studies.silicon_surfaces.methods import WAYS, choices, ways_of
from aliquot.studies.silicon_surfaces.settings import (
    TYPES,
    WEIGHTS,
    Settings,
    candidates_of,
    set_aside,
    tasks,
)
from aliquot.studies.silicon_surfaces.stock import Stock, prepare
from aliquot.studies.statistics import holm

SET = "si_gap18_core_surface"


# --- published selectors ------------------------------------------------------------------------------------


def test_published_bayes_is_the_recursion_written_out():
    rng = np.random.default_rng(0)
    core = rng.normal(size=(40, 4))
    blocks = [rng.normal(size=(m, 4)) for m in (2, 3, 4, 2, 5)]
    means = np.array([b.mean(axis=0) for b in blocks])
    precision = core.T @ core / (core.T @ core).max()
    left, expected = list(range(5)), []
    for _ in range(4):
        inverse = np.linalg.inv(precision)
        best = max(left, key=lambda i: means[i] @ inverse @ means[i])
        left.remove(best)
        expected.append(best)
        precision = precision + blocks[best].T @ blocks[best]
        precision = precision / precision.max()
    assert published.bayes(core.T @ core, means, lambda i: blocks[i], 4).tolist() == expected


def test_published_bayes_with_a_singular_factor_takes_the_first():
    means = np.array([[0.0, 1.0], [5.0, 0.0], [9.0, 9.0]])
    assert published.bayes(np.diag([1.0, 0.0]), means, lambda i: np.zeros((1, 2)), 2).tolist() == [0, 1]


def test_published_fps_takes_small_vectors_not_distant_ones():
    core = np.array([[1.0, 0.0], [0.8, 0.1]])
    means = np.array([[2.0, 0.0], [0.1, 0.0], [1.0, 1.0], [0.2, 0.1]])
    picks = published.fps(core, means, 3)
    scaled, never = means / 2.0, np.inf
    expected: list[int] = []
    for _ in range(3):
        seen = np.vstack((core, scaled[expected]))
        similarity = (seen @ scaled.T).max(axis=0)
        similarity[expected] = never
        expected.append(int(np.argmin(similarity)))
    assert picks.tolist() == expected
    assert picks[0] == 1  # the nearest to nothing, though (2, 0) lies farthest from the core


def test_published_cur_scores_are_uniform():
    means = np.random.default_rng(1).normal(size=(12, 30)) * np.logspace(0, 3, 12)[:, None]
    assert np.ptp(published.cur_scores(means)) < 1e-12
    assert len(set(published.cur(means, 7, np.random.default_rng(0)).tolist())) == 7


def test_published_kmedoids_is_a_local_optimum():
    points = np.random.default_rng(2).normal(size=(30, 3))
    picks = published.kmedoids(points, 4)
    distances = np.linalg.norm(points[:, None] - points, axis=2)

    def loss(chosen):
        return distances[:, chosen].min(axis=1).sum()

    here = loss(picks)
    for k in range(4):
        for other in range(30):
            assert loss([*np.delete(picks, k), other]) >= here - 1e-9


def test_a_failed_relaxation_counts_as_a_surface_that_costs_nothing():
    rows = (
        {
            "method": "a",
            "features": "M",
            "control": "",
            "n": 5,
            "repeat": 1,
            "gamma_100": None,
            "gamma_111": 1.47,
        },
        {
            "method": "a",
            "features": "M",
            "control": "",
            "n": 5,
            "repeat": 0,
            "gamma_100": 2.27,
            "gamma_111": -30.0,
        },
    )
    numbers = Numbers(Results(rows), (5,))
    assert numbers.of("a", 5, "error_100") == pytest.approx([0.10, 2.17])
    assert numbers.of("a", 5, "error_111") == pytest.approx([1.57, 0.10])
    together = np.sqrt([(0.1**2 + 1.57**2) / 2, (2.17**2 + 0.1**2) / 2])
    assert numbers.of("a", 5, "error_100_111") == pytest.approx(together)


def test_contests_are_corrected_for_all_budgets():
    rng = np.random.default_rng(0)
    rows = [
        {
            "method": m,
            "features": "M",
            "control": "",
            "n": n,
            "repeat": k,
            "energy_rmse_meV": base + rng.normal(),
        }
        for m, base in (("good", 0.0), ("bad", 5.0))
        for n in (5, 10)
        for k in range(20)
    ]
    settings, numbers = Settings((SET,)), Numbers(Results(tuple(rows)), (5, 10))
    found = contest(settings, numbers, "good", "bad", "energy_rmse_meV", (5, 10))
    assert found is not None
    assert found.everywhere
    assert found.significant
    assert list(found.p) == pytest.approx(holm([d.p for d in found.differences]))
    assert contest(settings, numbers, "good", "absent", "energy_rmse_meV", (5, 10)) is None
    both = overall([found, found])
    assert all(a >= b for a, b in zip(both[0].p, found.p, strict=True))


# --- slabs --------------------------------------------------------------------------------------------------


class Springs:
    """Springs to first and second neighbours that pull against each other: a stable crystal whose surface relaxes."""

    range = 4.3

    def evaluate(self, numbers, pairs, *, threads=None):
        r = np.linalg.norm(pairs.vectors, axis=1)
        near = r < 3.1
        stretch = np.where(near, r - 2.30, np.where(r < self.range, r - 3.95, 0.0))
        constant = np.where(near, 8.0, 1.0)
        centre = np.repeat(np.arange(len(numbers)), np.diff(pairs.first))
        forces = np.zeros((len(numbers), 3))
        np.add.at(forces, centre, (constant * stretch / r)[:, None] * pairs.vectors)
        energies = 0.25 * np.bincount(centre, constant * stretch**2, len(numbers))
        return Evaluation(energies, forces, np.zeros((3, 3)))


class SpringsInAse(Calculator):
    implemented_properties = ("energy", "forces")

    def calculate(self, atoms=None, properties=("energy",), system_changes=tuple(all_changes)):
        super().calculate(atoms, list(properties), list(system_changes))
        pairs = neighbours(atoms.positions, atoms.cell[:], atoms.pbc, Springs.range)
        found = Springs().evaluate(atoms.numbers, pairs)
        self.results = {"energy": found.energy, "forces": found.forces}


def test_slabs_are_those_of_the_recipe():
    found = {name: slabs.ideal_slab(name) for name in slabs.SURFACES}
    assert [len(one) for one in found.values()] == [40, 40, 60]
    a = slabs.LATTICE_CONSTANT
    expected = [a**2 / 2, a**2 / np.sqrt(2), a**2 * np.sqrt(3) / 4]
    assert np.allclose([slabs.area(one) for one in found.values()], expected)
    for one in found.values():
        z = np.sort(one.positions[:, 2])
        assert one.cell[2, 2] - np.ptp(z) > slabs.VACUUM
    # (111) ends in atoms of one broken bond: the two outermost planes are the close ones
    z = np.unique(np.round(found["111"].positions[:, 2], 4))
    assert np.isclose(z[1] - z[0], a * np.sqrt(3) / 12, atol=1e-3)


def test_relaxation_arrives_where_ase_arrives():
    for name in slabs.SURFACES:
        slab = slabs.ideal_slab(name)
        end = slabs.relax(Springs(), slab)  # type: ignore[arg-type]
        other = slab.copy()
        other.calc = SpringsInAse()
        LBFGS(other, logfile=None, maxstep=0.1).run(fmax=slabs.FORCE, steps=500)
        assert end.arrived
        assert end.force <= slabs.FORCE
        assert end.energy == pytest.approx(other.get_potential_energy(), abs=2e-3)


def test_a_potential_with_a_hole_is_no_surface():
    class Hole(Springs):
        def evaluate(self, numbers, pairs, *, threads=None):
            raise InputError("atoms coincide")

    end = slabs.relax(Hole(), slabs.ideal_slab("100"))  # type: ignore[arg-type]
    assert not end.arrived


# --- the small network --------------------------------------------------------------------------------------


def test_gradients_of_the_network_are_finite_differences():
    rng = np.random.default_rng(5)
    sizes = np.array([2, 3, 1])
    shapes = [(4, 5), (5, 3), (3, 1), (1, 5), (1, 3), (1, 1)]
    weights = [rng.normal(size=s) for s in shapes]
    x, target = rng.normal(size=(6, 4)), rng.normal(size=3)
    starts, share, owner = np.array([0, 2, 5]), 1.0 / sizes, np.repeat(np.arange(3), sizes)

    def loss(some):
        return 0.5 * np.mean(network._gradients(some, x, target, starts, share, owner)[1] ** 2)

    gradients, _ = network._gradients(weights, x, target, starts, share, owner)
    for k, shape in enumerate(shapes):
        at = tuple(rng.integers(s) for s in shape)
        step = 1e-6
        up, down = [w.copy() for w in weights], [w.copy() for w in weights]
        up[k][at] += step
        down[k][at] -= step
        assert gradients[k][at] == pytest.approx((loss(up) - loss(down)) / (2 * step), rel=1e-5, abs=1e-9)


def test_network_learns_a_sum_over_atoms():
    rng = np.random.default_rng(6)
    sizes = rng.integers(1, 6, 60)
    offsets = np.concatenate(([0], np.cumsum(sizes)))
    values = rng.normal(size=(offsets[-1], 5))
    site = np.sin(values[:, 0]) + 0.3 * values[:, 1]
    energies = np.add.reduceat(site, offsets[:-1]) / sizes
    hidden, left = network.learned_descriptor(
        values, offsets, energies, train=np.arange(60), epochs=300, seed=0
    )
    assert hidden.shape == (offsets[-1], network.HIDDEN[1])
    assert left < 0.25 * energies.std()


# --- on real data -------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def small(data_folder, tmp_path_factory):
    """Everything at degree 8."""
    settings = Settings(
        (SET,), repeats=2, budgets=(3, 6), degree=8, small=6, groups=("points", "rows"), epochs=2
    )
    place = tmp_path_factory.mktemp("surfaces")
    data = Data(data_folder)
    prepare(settings, data, place)
    return Stock(settings, data.read(SET), place)


def test_a_quarter_of_every_type_is_set_aside(small):
    frames, settings = small.frames, small.settings
    pool, held = set_aside(settings, frames, 0)
    assert sorted([*pool, *held]) == candidates_of(frames).tolist()
    for kind in TYPES:
        n = int(np.sum(frames.config_type == kind))
        assert int(np.sum(frames.config_type[held] == kind)) == round(0.25 * n)
    assert set_aside(settings, frames, 0)[1].tolist() == held.tolist()
    assert set_aside(settings, frames, 1)[1].tolist() != held.tolist()


def test_sums_of_a_choice_are_those_of_its_structures(small):
    chosen = small.candidates[[3, 40, 100]]
    told = small.sums(chosen)
    direct = small.blocks.sums(np.concatenate((small.core, chosen)), WEIGHTS, small.frames.config_type)
    assert told.n_rows == direct.n_rows
    assert np.allclose(told.matrix, direct.matrix, rtol=1e-9, atol=1e-9 * np.abs(direct.matrix).max())


def test_an_eliminated_offset_is_one_more_unknown(small):
    pandey = np.flatnonzero(small.frames.config_type == "surface_111_pandey")[:4]
    chosen = np.concatenate((pandey, small.candidates[:3]))
    measure = Measure(small, np.zeros(0, np.int64))
    sums = small.sums(chosen)
    without = measure._without_offset(sums, chosen)
    r, weight = small.blocks.directions, WEIGHTS.energy
    column = weight * np.sqrt(small.frames.sizes[pandey])
    cross = column @ (weight * small.blocks.energy[pandey])
    prior = 1e-3 * np.eye(r)
    full = np.zeros((r + 1, r + 1))
    full[:r, :r], full[:r, r], full[r, :r], full[r, r] = (
        sums.matrix[:r, :r] + prior,
        cross[:r],
        cross[:r],
        column @ column,
    )
    both = np.linalg.solve(full, np.append(sums.matrix[:r, r], cross[r]))
    alone = np.linalg.solve(without.matrix[:r, :r] + prior, without.matrix[:r, r])
    assert np.allclose(alone, both[:r], rtol=1e-6, atol=1e-8 * np.abs(alone).max())
    assert without.n_rows == sums.n_rows - 1


def test_errors_are_those_of_the_potential(small):
    """By evaluating the potential itself on a structure."""
    from aliquot.ace.potential import AcePotential
    from aliquot.studies.silicon_surfaces.settings import E0

    fitted = small.blocks.fit(small.sums(small.candidates[:20]))
    potential = AcePotential(small.basis, (small.blocks.transform @ fitted.z)[None], np.array([E0]))
    i = int(small.candidates[-1])
    said = potential(small.frames, i)
    told = small.blocks.errors(fitted.z, [i])
    n = int(small.frames.sizes[i])
    assert told.energy[0] == pytest.approx((said.energy - small.frames.energy.values[i]) / n, abs=1e-7)
    atoms = slice(small.frames.offsets[i], small.frames.offsets[i + 1])
    squares = np.sum((said.forces - small.frames.forces.values[atoms]) ** 2)
    assert told.force_squares[0] == pytest.approx(squares, rel=1e-6)


def test_every_method_of_the_main_groups_chooses(small):
    pool, _ = set_aside(small.settings, small.frames, 0)
    for way in (*ways_of("points"), *ways_of("rows")):
        for n, chosen in choices(small, way, pool, 0):
            assert len(set(chosen.tolist())) == len(chosen)
            assert set(chosen.tolist()) <= set(pool.tolist())
            if not way.priced:
                assert len(chosen) == n
            else:
                assert small.frames.sizes[chosen].sum() <= n * small.frames.sizes[pool].mean() + 1e-9


def test_turned_force_rows_leave_the_posterior_as_it_is(small):
    """What is left of the force rows carries the information of all of them, but for what is far below the noise."""
    from aliquot.ace.evaluator import AceEvaluator
    from aliquot.studies.silicon_surfaces.stock import basis_of

    evaluator = AceEvaluator(basis_of(small.settings, "S"))
    core = np.array(small.array("core_rows"))
    precision = core.T @ core + small.precision * np.eye(core.shape[1])
    for k in (0, 60, 150):
        forces = evaluator.rows(small.frames, int(small.candidates[k])).forces.reshape(-1, core.shape[1])
        forces = forces / evaluator.basis.prior
        kept = np.array(small.array("rows")[small.row_offsets[k] + 1 : small.row_offsets[k + 1] - 6])
        whole = np.linalg.slogdet(precision + forces.T @ forces)[1] - np.linalg.slogdet(precision)[1]
        part = np.linalg.slogdet(precision + kept.T @ kept)[1] - np.linalg.slogdet(precision)[1]
        assert part <= whole + 1e-6
        assert whole - part < 0.01 * core.shape[1]


def test_tasks_come_by_importance_and_names_are_unique():
    settings = Settings((SET,), repeats=3, extra_repeats=1)
    made = [(task["group"], task["repeat"]) for task in tasks(settings)]
    assert len(made) == len(set(made))
    assert made[:3] == [("points", 0), ("rows", 0), ("published", 0)]
    assert all(repeat == 0 for group, repeat in made if group == "large")
    own = (
        "whole",
        "small",
        "large",
        "net-core",
        "net-total",
    )  # their rows are told apart from the main comparison
    names = [(way.group if way.group in own else "M", way.name) for way in WAYS]
    assert len(names) == len(set(names))


def test_wrong_settings_are_refused():
    with pytest.raises(InputError, match="not known"):
        Settings((SET,), groups=("nothing",))
    with pytest.raises(InputError, match="between 0 and 1"):
        Settings((SET,), held=1.0)
    with pytest.raises(InputError, match="one set"):
        Settings(("a", "b"))


@pytest.mark.slow
def test_quick_study(data_folder, tmp_path):
    record, results = run_study(study_named("silicon-surfaces"), "quick", Data(data_folder), tmp_path)
    conclusion = record.conclusion
    assert "goal-surfaces-EF" in conclusion.summary
    assert {"random", "published-cur", "goal-surfaces-EF"} <= set(results.values("method"))
    uniform = next(one for one in conclusion.findings if "CUR" in one.claim)
    assert uniform.holds
    relaxed = next(one for one in conclusion.findings if "Relaxations" in one.claim)
    assert relaxed.holds
    whole = results.where(control="").column("energy_rmse_meV")
    assert np.all((whole > 1.0) & (whole < 100.0))
    tables = {table.name for table in conclusion.tables}
    assert {"goal", "whole", "error-100-111", "energy-held-meV", "functional", "chosen"} <= tables
