"""``aliquot inspect``: what is in these files? The survey drawn as tables, or as JSON."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from aliquot.cli.options import (
    AsJson,
    EnergyKey,
    ForcesKey,
    OnError,
    OnErrorChoice,
    Reading,
    TypeMap,
    VirialKey,
)
from aliquot.cli.screen import Screen

if TYPE_CHECKING:
    from aliquot.structures.survey import Range, Survey

__all__ = ["inspect_command"]

#: Lines of a table before the rest is only counted; ``--all`` and ``--json`` have everything.
_SHOWN: Final = 12

_UNITS: Final = {
    "atoms": ("atoms per frame", ""),
    "energy_per_atom": ("energy per atom", "eV"),
    "largest_force": ("largest force", "eV/Å"),
    "volume_per_atom": ("volume per atom", "Å³"),
}


def inspect_command(
    files: Annotated[
        list[Path],
        typer.Argument(
            metavar="FILE",
            show_default=False,
            help="Files of structures: extended XYZ (also .gz, .xz), .traj, .db, VASP, LAMMPS.",
        ),
    ],
    energy_key: EnergyKey = None,
    forces_key: ForcesKey = None,
    virial_key: VirialKey = None,
    type_map: TypeMap = None,
    on_error: OnError = OnErrorChoice.RAISE,
    near: Annotated[
        float,
        typer.Option(min=0.0, help="Frames whose atoms and cell agree within this are near duplicates, Å."),
    ] = 0.01,
    show_all: Annotated[bool, typer.Option("--all", help="Show every line of every table.")] = False,
    as_json: AsJson = False,
) -> None:
    """Tell what is in files: elements, labels, ranges, distances, duplicates, suspicious frames.

    Frames in which atoms overlap are listed as suspicious; other commands refuse or skip them.
    """
    from aliquot.structures import load
    from aliquot.structures.survey import survey

    pairs = [pair for text in type_map or () for pair in text.split(",")]
    reading = Reading(energy_key, forces_key, virial_key, pairs, on_error.value)
    screen = Screen(as_json=as_json)
    with screen.progress() as progress:
        loaded = load(
            *map(str, files),
            label_keys=reading.label_keys(),
            type_map=reading.types(),
            on_error="skip" if on_error is OnErrorChoice.SKIP else "raise",
            overlap=None,
            progress=progress,
        )
        found = survey(loaded, near=near, progress=progress)
    if as_json:
        screen.emit(found.to_dict())
    else:
        _draw(screen, found, None if show_all else _SHOWN)


def _draw(screen: Screen, found: Survey, shown: int | None) -> None:
    names = _short_names(found.files)
    files = "1 file" if len(found.files) == 1 else f"{len(found.files)} files"
    screen.say(f"{found.n_frames} frames, {found.n_atoms} atoms in {files}")
    for title, first, counts in (
        ("Files", "file", found.files),
        ("Elements", "element", found.elements),
        ("Compositions", "formula", found.compositions),
        ("Config types", "config type", found.config_types),
        ("Periodic axes", "axes", found.periodicity),
    ):
        second = "atoms" if first == "element" else "frames"
        _table(screen, title, (first, second), [(k, str(n)) for k, n in counts.items()], shown)
    labels = [
        (name, ", ".join(f"{key}: {n}" for key, n in label.keys.items()) or "none", str(label.missing))
        for name, label in found.labels.items()
    ]
    _table(screen, "Labels", ("label", "keys and frames they serve", "frames without"), labels, None)
    ranges = [_range(*_UNITS[name], values, names) for name, values in found.ranges.items()]
    ranges += [_range(f"shortest {pair}", "Å", values, names) for pair, values in found.shortest.items()]
    _table(screen, "Ranges", ("quantity", "unit", "smallest", "in", "mean", "largest", "in"), ranges, None)
    other = [(f"per frame: {k}", str(n)) for k, n in found.frame_keys.items()]
    other += [(f"per atom: {k}", str(n)) for k, n in found.atom_keys.items()]
    _table(screen, "Keys", ("key", "frames"), other, shown)
    _draw_findings(screen, found, names, shown)
    for note in found.notes:
        screen.say(f"Note: {note}")


def _draw_findings(screen: Screen, found: Survey, names: Mapping[str, str], shown: int | None) -> None:
    atoms = [
        (a.element, _at(a.at, names), "" if a.energy is None else f"{a.energy:.6f}")
        for a in found.isolated_atoms
    ]
    _table(screen, "Isolated atoms", ("element", "frame", "energy (eV)"), atoms, shown)
    for title, groups in (
        ("Exact duplicates", found.exact_duplicates),
        ("Near duplicates", found.near_duplicates),
    ):
        spare = sum(len(g) - 1 for g in groups)
        rows = [(_at(g[0], names), str(len(g) - 1), _listed([_at(x, names) for x in g[1:]])) for g in groups]
        _table(screen, f"{title}: {spare} frames", ("frame", "others", "which"), rows, shown)
        if not rows:
            screen.say(f"{title}: none")
    for title, frames in (("Suspicious frames", found.suspicious), ("Left out", found.exclusions)):
        rows = [
            (names.get(e.file, e.file) or e.file, "" if e.frame < 0 else str(e.frame), e.problem)
            for e in frames
        ]
        _table(screen, f"{title}: {len(rows)}", ("file", "frame", "what was found"), rows, shown)
        if not rows:
            screen.say(f"{title}: none")


def _short_names(files: Mapping[str, int]) -> dict[str, str]:
    """Names that tell the files apart in a table: none for a single file, without folders where that is enough."""
    last = [Path(file).name for file in files]
    if len(last) == 1:
        return dict.fromkeys(files, "")
    return dict(zip(files, last if len(set(last)) == len(last) else files, strict=True))


def _at(name: str, names: Mapping[str, str]) -> str:
    """``file#frame`` with the short name of the file."""
    file, _, frame = name.rpartition("#")
    return f"{names.get(file, file)}#{frame}"


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")


def _range(name: str, unit: str, values: Range, names: Mapping[str, str]) -> tuple[str, ...]:
    smallest, mean, largest = (f"{x:.6g}" for x in (values.smallest, values.mean, values.largest))
    return name, unit, smallest, _at(values.smallest_at, names), mean, largest, _at(values.largest_at, names)


def _table(
    screen: Screen, title: str, columns: Sequence[str], rows: Sequence[Sequence[str]], shown: int | None
) -> None:
    """The table, cut to ``shown`` lines; nothing if there are none."""
    if not rows:
        return
    kept = rows if shown is None else rows[:shown]
    screen.table(title, columns, kept)
    if len(kept) < len(rows):
        screen.say(f"  … and {len(rows) - len(kept)} more; --all shows them")
