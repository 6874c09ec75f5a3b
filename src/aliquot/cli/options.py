"""What do the commands have in common? The same option by the same name, with the same meaning and help; reading."""

from __future__ import annotations

import re
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from aliquot.errors import InputError

if TYPE_CHECKING:
    from aliquot.progress import Progress
    from aliquot.structures import Exclusion, Frames, LabelKeys, Loaded

__all__ = [
    "AsJson",
    "Cache",
    "EnergyKey",
    "FeatureSpec",
    "Force",
    "ForcesKey",
    "OnError",
    "OnErrorChoice",
    "Overlap",
    "Pool",
    "Pooling",
    "Quiet",
    "Reading",
    "TypeMap",
    "VirialKey",
    "count",
    "find_modules_here",
    "read_usable",
]


#: The reader's own default, written here so that help does not wait for the reader.
OVERLAP: Final = 0.35


class OnErrorChoice(str, Enum):
    """What to do with a frame that cannot be used."""

    RAISE = "raise"
    SKIP = "skip"


Pool = Annotated[
    list[Path],
    typer.Argument(
        metavar="POOL",
        show_default=False,
        help="Files of candidate structures: extended XYZ (also .gz, .xz), .traj, .db, VASP, LAMMPS.",
    ),
]
FeatureSpec = Annotated[
    str,
    typer.Option(
        "--features",
        metavar="SPEC",
        help="What describes a structure: ace, ace:size=120, ace:degree=12,cutoff=5.5,order=3 (cutoff in Å), soap,"
        " python:module:function, or file:features.npy.",
    ),
]
Pooling = Annotated[
    str,
    typer.Option(
        metavar="HOW", help="From atoms to a structure: mean, sum, element (mean per element) or none."
    ),
]
OnError = Annotated[
    OnErrorChoice,
    typer.Option(help="A frame that cannot be used: stop at it, or skip it and count it."),
]
EnergyKey = Annotated[
    str | None,
    typer.Option(metavar="KEY", show_default="REF_energy, dft_energy, energy", help="Total energy, eV."),
]
ForcesKey = Annotated[
    str | None,
    typer.Option(metavar="KEY", show_default="REF_forces, dft_forces, forces", help="Forces, eV/Å."),
]
VirialKey = Annotated[
    str | None,
    typer.Option(metavar="KEY", show_default="REF_virial, …, stress", help="Virial, eV (= −V·stress)."),
]
TypeMap = Annotated[
    list[str] | None,
    typer.Option(metavar="TYPE=ELEMENT", help="Elements of LAMMPS types, e.g. 1=Si,2=O."),
]
Cache = Annotated[
    bool,
    typer.Option("--cache/--no-cache", help="Keep features on disk ($ALIQUOT_CACHE) and use them again."),
]
Overlap = Annotated[
    float,
    typer.Option(
        min=0.0,
        help="Atoms closer than this share of the sum of their covalent radii make a frame unusable;"
        " 0 accepts any distance.",
    ),
]
Force = Annotated[bool, typer.Option("--force", help="Overwrite existing output files.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object on stdout and nothing else.")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Print nothing but errors.")]


@dataclass(frozen=True)
class Reading:
    """How structure files are read."""

    energy_key: str | None = None
    forces_key: str | None = None
    virial_key: str | None = None
    type_map: Sequence[str] | None = None
    on_error: str = "raise"
    overlap: float = OVERLAP

    def label_keys(self) -> LabelKeys:
        """The default keys, except where a key was named: then that key alone."""
        from aliquot.structures import LabelKeys

        default = LabelKeys()
        return LabelKeys(
            energy=(self.energy_key,) if self.energy_key else default.energy,
            forces=(self.forces_key,) if self.forces_key else default.forces,
            virial=(self.virial_key,) if self.virial_key else default.virial,
            stress=() if self.virial_key else default.stress,
        )

    def types(self) -> dict[int, str] | None:
        """``["1=Si,2=O"]`` or ``["1=Si", "2=O"]`` as a dictionary."""
        if not self.type_map:
            return None
        types: dict[int, str] = {}
        for text in ",".join(self.type_map).split(","):
            pair = re.fullmatch(r"\s*(\d{1,9})\s*=\s*([A-Z][a-z]?)\s*", text)
            if pair is None:
                raise InputError(f"--type-map {text!r} is not of the form TYPE=ELEMENT, e.g. 1=Si")
            types[int(pair[1])] = pair[2]
        return types

    def load(self, paths: Sequence[Path], progress: Progress) -> Loaded:
        """All usable frames of all files, and what was left out."""
        from aliquot.structures import load

        return load(
            *map(str, paths),
            label_keys=self.label_keys(),
            type_map=self.types(),
            on_error="skip" if self.on_error == "skip" else "raise",
            overlap=self.overlap or None,
            progress=progress,
        )


def count(text: str, pool_size: int) -> int:
    """How many structures ``-n`` means: a number, or a percentage of the pool, rounded, at least one.

    >>> count("200", 1000), count("10%", 412), count("0.1%", 50)
    (200, 41, 1)
    """
    share = re.fullmatch(r"(\d+(?:\.\d*)?|\.\d+)\s*%", text.strip())
    if share:
        percent = float(share[1])
        if not 0 < percent <= 100:
            raise InputError(f"-n {text}: a percentage must be above 0 and at most 100")
        return max(1, round(percent / 100 * pool_size))
    if not re.fullmatch(r"[0-9]{1,15}", text.strip()) or int(text) < 1:
        raise InputError(f"-n {text}: give a positive number of structures, or a percentage such as 10%")
    return int(text)


def read_usable(
    paths: Sequence[Path], reading: Reading, progress: Progress
) -> tuple[Frames, tuple[Exclusion, ...], tuple[str, ...]]:
    """Frames of all files that are physically possible, what was left out, and what to know about them.

    Raises
    ------
    FrameError
        At the first unusable frame, unless they are to be skipped.
    """
    loaded = reading.load(paths, progress)
    if len(loaded.frames) == 0:
        raise InputError(
            f"no usable frame in {', '.join(map(str, paths))}; {len(loaded.exclusions)} were excluded"
        )
    return loaded.frames, loaded.exclusions, loaded.notes


def find_modules_here(spec: str) -> None:
    """Let ``python:module:function`` name a module of the current folder, after all installed ones."""
    if spec.startswith("python:") and "" not in sys.path:
        sys.path.append("")
