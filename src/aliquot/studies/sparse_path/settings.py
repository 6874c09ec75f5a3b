"""What may be decided about the comparison of solvers."""

from __future__ import annotations

from dataclasses import dataclass, field

from aliquot.errors import InputError

__all__ = ["Settings"]


@dataclass(frozen=True)
class Settings:
    """What is compared, on which structures, how often.

    Parameters
    ----------
    sets : tuple of str
    methods : tuple of str
        Names of :data:`aliquot.studies.sparse_path.solving.METHODS`.
    degree : tuple of float
        Of the candidate functions of each correlation order.
    degrees : dict of str to list of float
        Of some sets that have their own.
    power : float
        Of the algebraic smoothness prior.
    powers : dict of str to float
        Of some sets that have their own.
    sizes : tuple of int
        Numbers of functions at which models are judged.
    asp_largest, asp_points : int
        Functions at which active-set pursuit ends, and models that it stores on the way.
    stability : tuple of int
        Numbers of functions at which supports are compared.
    chunks, validation, test : int
        Chunks of structures, and how many of them validate and (where no test is published) judge.
    seed, repeats : int
        First seed of the splits, and how many there are.
    fewer : dict of str to int
        Splits of some sets that have fewer.
    """

    sets: tuple[str, ...]
    methods: tuple[str, ...]
    degree: tuple[float, ...]
    sizes: tuple[int, ...]
    stability: tuple[int, ...]
    degrees: dict[str, list[float]] = field(default_factory=dict[str, "list[float]"])
    power: float = 4.0
    powers: dict[str, float] = field(default_factory=dict[str, float])
    asp_largest: int = 500
    asp_points: int = 40
    chunks: int = 20
    validation: int = 3
    test: int = 3
    seed: int = 0
    repeats: int = 10
    fewer: dict[str, int] = field(default_factory=dict[str, int])

    def __post_init__(self) -> None:
        if not 0 < self.validation + self.test < self.chunks or min(self.validation, self.test) < 1:
            raise InputError(
                f"{self.validation} + {self.test} of {self.chunks} chunks validate and test; at least one each, and at"
                " least one must be left to teach"
            )
        if list(self.sizes) != sorted(set(self.sizes)) or self.sizes[0] < 1:
            raise InputError(f"sizes must be positive and ascending; got {self.sizes}")

    def degree_of(self, name: str) -> tuple[float, ...]:
        """Degree of the candidates of a set."""
        return tuple(map(float, self.degrees.get(name, self.degree)))

    def seeds_of(self, name: str) -> range:
        """Seeds of the splits of a set."""
        return range(self.seed, self.seed + int(self.fewer.get(name, self.repeats)))

    def power_of(self, name: str) -> float:
        """Power of the smoothness prior of a set."""
        return float(self.powers.get(name, self.power))
