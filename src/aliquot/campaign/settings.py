"""What is a campaign told? One table per stage, everything with a default that works, and a goal at which to stop."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Final

from aliquot.errors import InputError

__all__ = ["Choosing", "Exploring", "Fitting", "Goal", "Labelling", "Settings", "Structures"]

#: Where labels come from.
SOURCES: Final = ("oracle", "file")

#: How to explore.
MODES: Final = ("md", "hal")

#: What a candidate's quality may be: the largest of its atoms' values.
QUALITIES: Final = ("gamma", "leverage", "force_std")

#: Methods that take a quality of each candidate.
_WITH_QUALITY: Final = ("kdpp", "dpp")


@dataclass(frozen=True)
class Structures:
    """Structures to begin with, or to test on.

    Parameters
    ----------
    structures : tuple of str
        Files.
    labels : str
        ``oracle``: labelled by the oracle of the campaign; ``file``: as they are in the files.
    """

    structures: tuple[str, ...] = ()
    labels: str = "oracle"

    def __post_init__(self) -> None:
        _one_of("labels", self.labels, SOURCES)


@dataclass(frozen=True)
class Exploring:
    """Dynamics at every temperature, under guard of the grade or driven to where the model is ignorant.

    Parameters
    ----------
    mode : str
        ``md``: :mod:`aliquot.dynamics.guarded`; ``hal``: :mod:`aliquot.explore.hal`.
    structures : tuple of str
        Files with the structures where walks begin; those of the start by default.
    temperatures : tuple of float, K
    walkers : int
        Walks per temperature and round; in ``hal``, structures to be found at each temperature.
    steps : int
    displace : float, Å
        Standard deviation by which every coordinate is displaced at the beginning of a walk.
    timestep : float, fs
    friction : float, 1/fs
    select, stop : float
        Grade above which a structure is a candidate, and above which a walk ends.
    every, spacing : int
        Steps between two looks at the grade, and between two candidates.
    dump : int
        Every so many steps a structure is a candidate whatever its grade; 0 for none.
    pool : int
        Candidates of one round, at most; beyond, a random part of them.
    bias, trigger : float
        Of ``hal``: share of the forces that the bias has, and relative uncertainty of a force that ends a walk.
    """

    mode: str = "md"
    structures: tuple[str, ...] = ()
    temperatures: tuple[float, ...] = (300.0, 600.0, 900.0, 1200.0)
    walkers: int = 1
    steps: int = 2000
    displace: float = 0.05
    timestep: float = 2.0
    friction: float = 0.01
    select: float = 2.0
    stop: float = 25.0
    every: int = 10
    spacing: int = 20
    dump: int = 50
    pool: int = 300
    bias: float = 0.2
    trigger: float = 0.3

    def __post_init__(self) -> None:
        _one_of("mode", self.mode, MODES)
        if not self.temperatures:
            raise InputError("temperatures is empty; give at least one, in K")
        _positive(
            self, "walkers", "steps", "timestep", "friction", "select", "every", "pool", "bias", "trigger"
        )
        for value in self.temperatures:
            if not value > 0:
                raise InputError(f"temperatures has {value:g}; each must be positive, in K")
        if self.stop < self.select:
            raise InputError(
                f"stop is {self.stop:g}, below select, which is {self.select:g}; it must be above"
            )
        if min(self.spacing, self.dump, self.displace) < 0:
            raise InputError("spacing, dump and displace must not be negative")


@dataclass(frozen=True)
class Choosing:
    """Which candidates are labelled.

    Parameters
    ----------
    batch : int
        Structures per round.
    method : str
        Of :data:`aliquot.selection.METHODS`.
    features : str
        ``fit``: the rows that the fit would absorb for ``bayes``, the same functions averaged over atoms for other
        methods; or as for ``aliquot select --features``.
    quality : str or None
        For ``kdpp``: the uncertainty of the model that makes a candidate likelier (``gamma``, ``leverage``,
        ``force_std``).
    cost_power : float
        A label costs the number of atoms to this power; 0 where all cost the same.
    parameters : dict
        Of the method.
    """

    batch: int = 10
    method: str = "bayes"
    features: str = "fit"
    quality: str | None = None
    cost_power: float = 0.0
    parameters: Mapping[str, Any] = field(default_factory=dict[str, Any])

    def __post_init__(self) -> None:
        from aliquot.selection import METHODS, selector_named

        _positive(self, "batch")
        if self.cost_power < 0:
            raise InputError(f"cost_power is {self.cost_power:g}; it must not be negative")
        selector_named(self.method, self.parameters)
        if self.quality is not None:
            _one_of("quality", self.quality, QUALITIES)
            if self.method not in _WITH_QUALITY:
                raise InputError(
                    f"method {self.method} has no use for a quality; use {' or '.join(_WITH_QUALITY)}, or leave it out"
                )
        if self.cost_power and "cost" not in METHODS[self.method].heeds:
            able = ", ".join(name for name, method in METHODS.items() if "cost" in method.heeds)
            raise InputError(f"method {self.method} cannot heed costs; set cost_power = 0 or use {able}")


@dataclass(frozen=True)
class Labelling:
    """Who labels, and how; see :func:`aliquot.oracle.label`.

    Parameters
    ----------
    oracle : str
        As for :func:`aliquot.oracle.open_oracle`.
    workers, timeout, retries, retry_failed, scratch, energy
        As for :func:`aliquot.oracle.label`.
    max_force, energy_spreads : float
        As for :class:`aliquot.oracle.Limits`; 0 for no limit.
    """

    oracle: str = "emt"
    workers: int = 1
    timeout: float | None = None
    retries: int = 1
    retry_failed: bool = False
    scratch: str | None = None
    energy: str = "free_energy"
    max_force: float = 50.0
    energy_spreads: float = 20.0

    def __post_init__(self) -> None:
        _positive(self, "workers")
        if self.timeout is not None and not self.timeout > 0:
            raise InputError(f"timeout is {self.timeout:g}; it must be positive, in s, or left out")
        if min(self.retries, self.max_force, self.energy_spreads) < 0:
            raise InputError("retries, max_force and energy_spreads must not be negative")


@dataclass(frozen=True)
class Fitting:
    """How the potential is fitted; see :class:`aliquot.fitting.Recipe`.

    Parameters
    ----------
    order, degree, cutoff, pair
        As for :func:`aliquot.fitting.candidate_basis`; ``degree`` one number per order.
    solver : str
        Of :data:`aliquot.solvers.SOLVERS`.
    parameters : dict
        Of the solver.
    choice : str
        As for :func:`aliquot.solvers.choose`.
    weights : tuple of three float
        Of energies, forces and virials.
    repulsion : bool
    """

    order: int = 3
    degree: tuple[float, ...] = ()
    cutoff: float | None = None
    pair: int | None = None
    solver: str = "omp"
    parameters: Mapping[str, Any] = field(default_factory=lambda: dict[str, Any](penalty="evidence"))
    choice: str = "within 1.02"
    weights: tuple[float, ...] = (30.0, 1.0, 1.0)
    repulsion: bool = True

    def __post_init__(self) -> None:
        from aliquot.solvers import SOLVERS

        _one_of("solver", self.solver, tuple(SOLVERS))
        _positive(self, "order")
        if len(self.weights) != 3 or min(self.weights) < 0:
            raise InputError("weights are three numbers that are not negative: energy, forces, virial")
        try:
            SOLVERS[self.solver].solver(**self.parameters)
        except TypeError as error:
            raise InputError(f"solver {self.solver} does not take these parameters: {error}") from error


@dataclass(frozen=True)
class Goal:
    """When to stop: when everything that is asked of the model is reached, or any limit is.

    Parameters
    ----------
    force_mae : float or None, eV/Å
        Mean absolute error of a force component on the test structures.
    gamma : float or None
        Grade below which the walks of a round stay, but for the share ``1 - quantile`` of looks.
    quantile : float
    labels : int or None
        Structures that teach, labelled in vain or not, those of the start among them. A limit.
    cost : float or None
        What their labels may cost together, in atoms to ``cost_power``. A limit.
    rounds : int or None
        A limit.
    """

    force_mae: float | None = None
    gamma: float | None = None
    quantile: float = 0.99
    labels: int | None = None
    cost: float | None = None
    rounds: int | None = None

    def __post_init__(self) -> None:
        for name in ("force_mae", "gamma", "labels", "cost", "rounds"):
            if (value := getattr(self, name)) is not None and not value > 0:
                raise InputError(f"{name} is {value}; it must be positive, or left out")
        if not 0 < self.quantile <= 1:
            raise InputError(f"quantile is {self.quantile:g}; it must be above 0 and at most 1")
        if all(getattr(self, name) is None for name in ("force_mae", "gamma", "labels", "cost", "rounds")):
            raise InputError(
                "no goal is stated, so the campaign would never end; give force_mae, gamma, labels, cost or rounds"
            )


@dataclass(frozen=True)
class Settings:
    """Everything that a campaign is told.

    Parameters
    ----------
    start, test : Structures
        What to begin with, and what errors are measured on.
    explore, select, label, fit, goal
        One table per stage.
    seed : int
    """

    start: Structures
    goal: Goal
    test: Structures = field(default_factory=Structures)
    explore: Exploring = field(default_factory=Exploring)
    select: Choosing = field(default_factory=Choosing)
    label: Labelling = field(default_factory=Labelling)
    fit: Fitting = field(default_factory=Fitting)
    seed: int = 0

    def __post_init__(self) -> None:
        if not self.start.structures:
            raise InputError("[start] has no structures; name a file with a few to begin with")
        if self.goal.force_mae is not None and not self.test.structures:
            raise InputError(
                "[goal] force_mae is measured on test structures, and [test] has none; name a file, or leave the"
                " goal out"
            )
        if self.goal.gamma is not None and self.explore.mode == "hal":
            raise InputError(
                '[goal] gamma is measured along walks without bias; set mode = "md" in [explore], or leave gamma out'
            )
        if self.seed < 0:
            raise InputError(f"seed is {self.seed}; it must not be negative")

    def to_dict(self) -> dict[str, Any]:
        """JSON object."""
        return asdict(self)


def _positive(table: Any, *names: str) -> None:
    for name in names:
        if not getattr(table, name) > 0:
            raise InputError(f"{name} is {getattr(table, name)}; it must be positive")


def _one_of(name: str, value: str, known: tuple[str, ...]) -> None:
    if value not in known:
        raise InputError(f"{name} is {value!r}; choose one of {', '.join(known)}")
