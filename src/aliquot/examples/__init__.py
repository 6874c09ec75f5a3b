"""Where is the copper example? The files that ``aliquot demo`` reads; ``scripts/make_example.py`` makes them."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path

__all__ = ["example_files"]


def example_files() -> tuple[Path, Path]:
    """The packaged pool of 400 candidates and the known set of 60 frames: copper, labelled by EMT.

    Labels are ``REF_energy`` (eV), ``REF_forces`` (eV/Å) and, for periodic frames, ``REF_virial`` (eV).

    Examples
    --------
    >>> [path.name for path in example_files()]
    ['copper_pool.xyz.xz', 'copper_known.xyz.xz']
    """
    folder = Path(str(files("aliquot.examples")))
    return folder / "copper_pool.xyz.xz", folder / "copper_known.xyz.xz"
