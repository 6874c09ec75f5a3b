"""What may be chosen, and for how much? The options of ``aliquot select`` about costs, groups and limits."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from aliquot.cli.cost import budget_of, costs
from aliquot.cli.formula import check_formula
from aliquot.cli.options import Reading
from aliquot.errors import InputError
from aliquot.progress import Progress

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from aliquot.selection import Constraints, Cost
    from aliquot.structures import Exclusion, Frames
    from aliquot.structures.limits import Sieved
    from aliquot.table import Features

__all__ = ["Limits"]

_HASH: Final = re.compile(r"[0-9a-f]{32}")


@dataclass(frozen=True)
class Limits:
    """Options as given.

    Parameters
    ----------
    cost, budget : str or None
        ``"atoms^3"``; ``"1e6"`` or ``"10%"``.
    group_by : str
        ``config_type``, ``formula`` or another key of the frames.
    at_least, at_most : sequence of str
        ``"liquid=20"``; ``"*=50"`` for every group not named.
    exclude : sequence of Path
        Structures, records of earlier choices (``.json``) or lists (``.txt``).
    apart, dedupe : str or None
        Distances in feature space, ``"0.3"``, or shares of the pool's spread, ``"2%"``.
    max_force : float or None
        eV/Å.
    min_distance : float or None
        Å.
    """

    cost: str | None = None
    budget: str | None = None
    group_by: str = "config_type"
    at_least: Sequence[str] = ()
    at_most: Sequence[str] = ()
    exclude: Sequence[Path] = ()
    apart: str | None = None
    dedupe: str | None = None
    max_force: float | None = None
    min_distance: float | None = None

    @property
    def constrained(self) -> bool:
        """Whether there is anything to keep to besides the cost."""
        return bool(self.at_least or self.at_most or self.exclude or self.apart or self.dedupe)

    def check(self, number: str | None) -> None:
        """Refuse what makes no sense, before any file is read.

        Raises
        ------
        InputError
        """
        if (number is None) == (self.budget is None):
            both = "both are given" if number is not None else "neither is given"
            raise InputError(f"give either -n, how many, or --budget, what they may cost; {both}")
        if self.budget is not None and self.cost is None:
            raise InputError(
                "--budget needs --cost, which says what a structure costs, such as --cost atoms^3"
            )
        if self.cost is not None:
            check_formula(self.cost, option="--cost")
        if self.budget is not None:
            budget_of(self.budget, lambda: 1.0)
        _quotas("--at-least", self.at_least)
        _quotas("--at-most", self.at_most)
        for option, text in (("--apart", self.apart), ("--dedupe", self.dedupe)):
            _distance(option, text, lambda: 1.0)

    def sieve(self, pool: Frames) -> Sieved:
        """The pool within the limits on forces and distances."""
        from aliquot.structures.limits import sieve

        return sieve(pool, max_force=self.max_force, min_distance=self.min_distance)

    def cost_of(self, pool: Frames) -> Cost | None:
        """What each frame costs, and the budget."""
        if self.cost is None:
            return None
        import numpy as np

        from aliquot.selection import Cost

        price = costs(self.cost, pool, None)
        if self.budget is None:
            return price
        return Cost(price.values, budget_of(self.budget, lambda: float(np.sum(price.values))), price.unit)

    def trial(self) -> tuple[Cost | None, Constraints | None]:
        """Costs and constraints of the same sort for a pool of one, to ask whether a method heeds them."""
        import numpy as np

        from aliquot.selection import Constraints, Cost

        cost = None if self.cost is None else Cost(np.ones(1), None if self.budget is None else 1.0)
        between = bool(self.at_least or self.at_most or self.apart)
        return cost, Constraints(apart=float(between)) if self.constrained else None

    def labels(self, pool: Frames) -> NDArray[np.str_]:
        """The group of every candidate, by the key of ``--group-by``; empty where it has none."""
        return _labels(pool, self.group_by)

    def constraints(
        self,
        pool: Frames,
        features: Features,
        *,
        reading: Reading,
        gone: Sequence[Exclusion],
        progress: Progress,
    ) -> Constraints | None:
        """Who may be chosen, and with whom; ``gone`` are frames that were left out before."""
        if not self.constrained:
            return None
        from aliquot.selection import Constraints
        from aliquot.selection.constraints import scale_of

        def scale() -> float:
            return scale_of(features)

        grouped = bool(self.at_least or self.at_most)
        return Constraints(
            labels=_labels(pool, self.group_by) if grouped else None,
            at_least=_quotas("--at-least", self.at_least),
            at_most=_quotas("--at-most", self.at_most),
            exclude=self._excluded(pool, reading, gone, progress) if self.exclude else None,
            apart=_distance("--apart", self.apart, scale),
            tolerance=_distance("--dedupe", self.dedupe, scale),
        )

    def _excluded(
        self, pool: Frames, reading: Reading, gone: Sequence[Exclusion], progress: Progress
    ) -> NDArray[np.bool_]:
        """Which frames of the pool are named in the files of ``exclude``, by content or by file and number."""
        import numpy as np

        hashes: set[bytes] = set()
        names: set[str] = set()
        for path in self.exclude:
            if path.suffix == ".json":
                from aliquot.selection import Selection

                hashes |= set(Selection.from_json(_text(path)).ids.hash.tolist())
            elif path.suffix == ".txt":
                for line in filter(None, map(str.strip, _text(path).splitlines())):
                    if _HASH.fullmatch(line):
                        hashes.add(line.encode())
                    else:
                        names.add(line)
            else:
                hashes |= set(reading.load([path], progress).frames.hashes.tolist())
        if len(pool.files) == 1:
            names = {f"{pool.files[0]}#{name}" if name.isdigit() else name for name in names}
        own = {pool.ids.name(i): i for i in range(len(pool))} if names else {}
        strangers = sorted(names - own.keys() - {f"{e.file}#{e.frame}" for e in gone})
        if strangers:
            raise InputError(
                f"--exclude: {strangers[0]!r} is no frame of the pool ({len(strangers)} such); give FILE#NUMBER"
                " as in the record, a number where the pool is one file, or a content hash"
            )
        out = np.isin(pool.hashes, list(hashes))
        out[[own[name] for name in names & own.keys()]] = True
        return out


def _quotas(option: str, texts: Sequence[str]) -> dict[str, int]:
    """``["liquid=20", "*=5"]`` as a dictionary."""
    quotas: dict[str, int] = {}
    for text in texts:
        found = re.fullmatch(r"(.+)=\s*(\d{1,15})\s*", text)
        if found is None:
            raise InputError(f"{option} {text!r} is not of the form GROUP=NUMBER, e.g. liquid=20 or '*=50'")
        if found[1].strip() in quotas:
            raise InputError(f"{option} names the group {found[1].strip()!r} twice")
        quotas[found[1].strip()] = int(found[2])
    return quotas


def _distance(option: str, text: str | None, scale: Callable[[], float]) -> float:
    """A distance in feature space, or a share of the spread of the pool."""
    if text is None:
        return 0.0
    found = re.fullmatch(r"\s*(\d+\.?\d*(?:[eE][+-]?\d+)?|\.\d+(?:[eE][+-]?\d+)?)\s*(%?)\s*", text)
    if found is None or not 0 < float(found[1]) < float("inf"):
        raise InputError(
            f"{option} {text}: give a positive distance in feature space, or a share of the pool's spread such as 2%"
        )
    return float(found[1]) / 100 * scale() if found[2] else float(found[1])


def _labels(pool: Frames, key: str) -> NDArray[np.str_]:
    """The group of every frame."""
    import numpy as np

    if key == "config_type":
        return pool.config_type
    if key == "formula":
        from aliquot.report.findings import formulas

        return formulas(pool, reduced=True)
    column = pool.frame_columns.get(key)
    if column is None:
        has = ", ".join(sorted(pool.frame_columns)) or "none"
        raise InputError(f"--group-by {key}: no frame has this key; there are formula and {has}")
    return np.array(
        [str(v) if p else "" for v, p in zip(column.values, column.present, strict=True)], dtype=np.str_
    )


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"--exclude {path}: cannot be read: {error}") from error
