"""How is a comparison on one's own data declared? From two files and a few numbers."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from aliquot.errors import InputError
from aliquot.studies.declaration import SIZES, Study

__all__ = ["METHODS", "REPEATS", "study_of"]

#: What competes where nothing is said: one of every kind.
METHODS: Final = (
    "random",
    "stratified",
    "bayes",
    "bayes:score=energy",
    "bayes:score=goal",
    "bayes:score=energy with forces",
    "bayes:score=goal with forces",
    "fps",
    "kmedoids",
    "kmeans",
    "kdpp",
    "direct",
    "maxvol",
    "cur",
)

#: Repeats by size.
REPEATS: Final = {"quick": 6, "standard": 20, "full": 50}

#: Candidates that are taken at most.
MOST: Final = 1500


def study_of(
    pool: Path | str,
    train: Path | str | None = None,
    *,
    methods: Sequence[str] = (),
    budgets: Sequence[int] = (),
    repeats: int | None = None,
    features: str = "ace",
    group: str = "config_type",
    seed: int = 0,
) -> Study:
    """The comparison of methods on a labelled pool.

    Parameters
    ----------
    pool : Path
        Labelled structures.
    train : Path, optional
        Labelled structures that every method knows already.
    methods : sequence of str
        :data:`METHODS` by default; a random choice always competes.
    budgets : sequence of int
        Structures to choose; 2, 5, 10, 20 and 40 % of the candidates by default.
    repeats : int, optional
        By default those of the size, :data:`REPEATS`.
    features : str
        What methods see, as in ``aliquot select --features``.
    group : str
        Key that divides structures into types.
    seed : int

    Raises
    ------
    InputError
        If a file is not there.
    """
    sets = [_place(pool, "--pool")]
    settings: dict[str, Any] = {
        "methods": list(dict.fromkeys(("random", *methods))) if methods else list(METHODS),
        "shares": [0.02, 0.05, 0.1, 0.2, 0.4],
        "reference": [0.7, 1.0],
        "budgets": sorted(set(budgets)),
        "features": features,
        "group": group,
        "seed": seed,
        "by_group": True,
        "most": MOST,
    }
    if train is not None:
        sets.append(_place(train, "--train"))
        settings["train"] = sets[-1]
        if sets[0] == sets[1]:
            raise InputError(f"{sets[0]} is both pool and known set; leave --train out")
    settings["sets"] = sets
    name = Path(sets[0]).name
    return Study(
        name="own",
        title=f"Which method for {name}?",
        paper="",
        question=f"How many labels does each method need on {name}, and is any reliably better than a random choice?",
        method=_METHOD.strip(),
        published="",
        discussion="",
        protocol="learning_curve",
        settings={size: {**settings, "repeats": repeats or REPEATS[size]} for size in SIZES},
    )


_METHOD: Final = """
Each repeat sets the same quarter of the pool aside for all methods, the same share of every type. Methods choose from
the rest, given the known structures, without seeing a label of the pool. A linear ACE model, its prior of the largest
evidence, is fitted to what is known and chosen, and judged by the structures set aside. Reference energies are those
of free atoms where there are any, else a least-squares fit to all energies: the same constants for all methods.
Differences are paired by repeat; p-values are of the corrected resampled t-test, and corrected by Holm for the number
of methods.
"""


def _place(path: Path | str, option: str) -> str:
    place = Path(path)
    if not place.is_file():
        raise InputError(f"{option} {path}: there is no such file")
    return str(place.resolve())
