"""``aliquot props``: what does a potential make of a crystal? Its properties as tables, or as JSON."""

from __future__ import annotations

import json
import re
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from aliquot.cli import options
from aliquot.cli.screen import Screen
from aliquot.errors import InputError

if TYPE_CHECKING:
    from aliquot.properties import CrystalProperties

__all__ = ["props_command"]


def props_command(
    model: Annotated[
        str,
        typer.Argument(
            metavar="MODEL",
            show_default=False,
            help="The potential: model.ace, a linear model.yace, or python:module:factory, a function that returns an"
            " ASE calculator (e.g. python:ase.calculators.emt:EMT).",
        ),
    ],
    prototype: Annotated[
        str,
        typer.Option(
            metavar="NAME",
            show_default=False,
            help="sc, fcc, bcc, hcp, diamond; of two elements rocksalt, zincblende, cesiumchloride, wurtzite.",
        ),
    ],
    elements: Annotated[
        str | None,
        typer.Option(
            metavar="A[,B]",
            show_default="those of the potential",
            help="Elements, in the order of the sites.",
        ),
    ] = None,
    only: Annotated[
        str | None,
        typer.Option(
            metavar="LIST",
            show_default="all",
            help="Of eos, elastic, vacancy, surfaces, separated by commas.",
        ),
    ] = None,
    surface: Annotated[
        list[str] | None,
        typer.Option(
            metavar="HKL",
            show_default="100, 110, 111; hexagonal 001, 100",
            help="A surface, 111 or 1,-1,0; once per surface.",
        ),
    ] = None,
    start: Annotated[
        float | None,
        typer.Option(metavar="A", show_default="from tables", help="Lattice constant near which to look, Å."),
    ] = None,
    images: Annotated[float, typer.Option(help="Least distance of a vacancy from its images, Å.")] = 15.0,
    thickness: Annotated[float, typer.Option(help="Least thickness of slabs, Å.")] = 30.0,
    vacuum: Annotated[float, typer.Option(help="Vacuum between slabs, Å.")] = 15.0,
    fmax: Annotated[float, typer.Option(help="Relaxed when no force is larger, eV/Å.")] = 1e-3,
    steps: Annotated[
        int, typer.Option(min=1, help="Steps of a relaxation before it counts as failed.")
    ] = 500,
    out: Annotated[
        Path | None, typer.Option("-o", "--out", show_default=False, help="Also write the record, .json.")
    ] = None,
    force: options.Force = False,
    as_json: options.AsJson = False,
    quiet: options.Quiet = False,
) -> None:
    """Measure a crystal: lattice constant, bulk modulus, elastic constants, vacancy, surfaces."""
    from aliquot.cli.options import find_modules_here
    from aliquot.cli.outputs import Outputs
    from aliquot.properties import QUANTITIES, crystal_properties, open_calculator

    if out is not None and out.suffix != ".json":
        raise InputError(f"-o {out}: the record is written as .json; got the extension {out.suffix!r}")
    faces = [_miller(text) for text in surface or ()]
    screen = Screen(quiet, as_json)
    started = time.perf_counter()
    inputs = [] if model.startswith("python:") else [Path(model)]
    with Outputs(force=force, inputs=inputs) as outputs:
        staged = None if out is None else outputs.claim(out)
        find_modules_here(model)
        calculator, known = open_calculator(model)
        with screen.progress() as progress:
            found = crystal_properties(
                calculator,
                prototype,
                elements=_elements(elements, known),
                quantities=QUANTITIES if only is None else [word.strip() for word in only.split(",")],
                surfaces=faces or None,
                start=start,
                images=images,
                thickness=thickness,
                vacuum=vacuum,
                fmax=fmax,
                steps=steps,
                progress=progress,
            )
        record = {"command": "props", "model": model, **found.to_dict()}
        if staged is not None:
            staged.write_text(json.dumps(record, indent=1, allow_nan=False) + "\n", encoding="utf-8")
    _draw(screen, found)
    seconds = time.perf_counter() - started
    screen.say(f"{found.calls} evaluations of {found.atoms_evaluated} atoms in {seconds:.1f} s")
    if out is not None:
        screen.say(f"Record: {out}")
    screen.emit(record)


def _elements(given: str | None, known: tuple[str, ...] | None) -> list[str]:
    """The elements of the crystal: those named, or all that the potential knows."""
    if given is None:
        if known is None:
            raise InputError("a calculator does not say which elements it knows; name them with --elements")
        return list(known)
    elements = [word.strip() for word in given.split(",")]
    unknown = [e for e in elements if known is not None and e not in known]
    if unknown:
        raise InputError(
            f"the potential does not know {', '.join(unknown)}; it knows {', '.join(known or ())}"
        )
    return elements


def _miller(text: str) -> tuple[int, int, int]:
    """``111`` or ``1,-1,0`` as numbers."""
    digits = re.fullmatch(r"([0-9])([0-9])([0-9])", text.strip())
    parts = digits or re.fullmatch(r"(-?[0-9]+)[ ,]+(-?[0-9]+)[ ,]+(-?[0-9]+)", text.strip())
    if parts is None:
        raise InputError(f"--surface {text!r}: give three Miller indices, as in 111 or 1,-1,0")
    h, k, l = (int(part) for part in parts.groups())
    return h, k, l


def _draw(screen: Screen, found: CrystalProperties) -> None:
    at = found.lattice
    rows = [("lattice constant a", f"{at.a:.4f}", "Å")]
    if at.c is not None:
        rows += [("lattice constant c", f"{at.c:.4f}", "Å"), ("c/a", f"{at.c / at.a:.4f}", "")]
    rows += [
        ("energy", f"{at.energy:.4f}", "eV/atom"),
        ("cohesive energy", _number(at.cohesive_energy, 4), "eV/atom"),
        ("volume", f"{at.volume:.3f}", "Å³/atom"),
    ]
    if found.eos is not None:
        rows += [
            ("bulk modulus (energies)", f"{found.eos.bulk_modulus:.1f}", "GPa"),
            ("its derivative by pressure", f"{found.eos.bulk_modulus_derivative:.2f}", ""),
        ]
    if found.elastic is not None:
        rows += [
            ("bulk modulus (stresses)", _number(found.elastic.bulk_modulus, 1), "GPa"),
            ("shear modulus (Hill)", _number(found.elastic.shear_modulus, 1), "GPa"),
        ]
    screen.table(f"{''.join(at.elements)} {at.prototype.name}", ("quantity", "value", "unit"), rows)
    if found.elastic is not None:
        elastic = found.elastic
        screen.table(
            "Elastic constants (GPa)",
            ("constant", "relaxed", "atoms clamped"),
            [(k, _number(elastic.relaxed.get(k), 1), f"{v:.1f}") for k, v in elastic.unrelaxed.items()],
        )
    _draw_defects(screen, found)
    for note in found.notes:
        screen.warn(f"note: {note}")


def _draw_defects(screen: Screen, found: CrystalProperties) -> None:
    if found.vacancy is not None:
        v = found.vacancy
        size = "×".join(map(str, v.supercell))
        row = (
            _number(v.formation_energy, 3),
            f"{v.unrelaxed_energy:.3f}",
            f"{size} cells, {v.n_atoms} atoms",
            "" if v.change is None else f"{v.change:+.3f}",
        )
        screen.table(
            "Vacancy (eV)", ("relaxed", "unrelaxed", "supercell", "change from a smaller one"), [row]
        )
    rows = [
        (
            s.name,
            _number(s.energy, 3),
            f"{s.unrelaxed_energy:.3f}",
            f"{s.n_atoms} atoms, {s.thickness:.0f} Å, vacuum {s.vacuum:.0f} Å",
        )
        for s in found.surfaces
    ]
    if rows:
        screen.table("Surface energies (J/m²)", ("surface", "relaxed", "unrelaxed", "slab"), rows)


def _number(value: float | None, digits: int) -> str:
    return "none" if value is None else f"{value:.{digits}f}"
