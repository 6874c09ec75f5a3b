"""What does a code want to read, and what did it write? Inputs and outputs of one calculation, through ASE.

A template knows one code: it writes the input of a single-point calculation into a folder, and reads what lies there
afterwards. A code that is not here has its place in :data:`TEMPLATES`.
"""

from __future__ import annotations

import gzip
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Final

from ase import Atoms

from aliquot.errors import InputError

__all__ = ["TEMPLATES", "Espresso", "Found", "Template", "Vasp", "template_of"]


@dataclass(frozen=True)
class Found:
    """What a job folder holds: the structure as the code saw it, with results; or why there is none.

    ``complete`` is False while the calculation has not begun or has not ended.
    """

    atoms: Atoms | None = None
    converged: bool | None = None
    problem: str = ""
    complete: bool = True


class Template(ABC):
    """One code."""

    name: ClassVar[str]
    #: The shell script that runs it, without a submit script of the user's.
    script: ClassVar[str]

    @abstractmethod
    def write(self, folder: Path, atoms: Atoms, parameters: Mapping[str, Any]) -> None:
        """Write the input; ``atoms`` are grouped by element."""

    @abstractmethod
    def read(self, folder: Path) -> Found:
        """Read the output, if there is one."""


class Espresso(Template):
    """Quantum ESPRESSO's pw.x.

    Parameters are those of :func:`ase.io.espresso.write_espresso_in`: namelists (nested or flat), and
    ``pseudopotentials`` (element to file), ``kpts`` or ``kspacing`` (1/Å, with 2π), ``koffset``.
    """

    name = "espresso"
    script = "pw.x -in espresso.pwi > espresso.pwo"

    def write(self, folder: Path, atoms: Atoms, parameters: Mapping[str, Any]) -> None:
        """Write ``espresso.pwi``.

        Raises
        ------
        InputError
            If an element has no pseudopotential.
        """
        from ase.io.espresso import write_espresso_in
        from ase.io.espresso_namelist.namelist import Namelist

        given = dict(parameters)
        cards = {k: given.pop(k) for k in ("pseudopotentials", "kpts", "kspacing", "koffset") if k in given}
        missing = sorted(set(atoms.get_chemical_symbols()) - set(cards.get("pseudopotentials") or {}))
        if missing:
            raise InputError(
                f"no pseudopotential for {', '.join(missing)}; add them to [pseudopotentials] of the parameters"
            )
        data = Namelist(given)
        data.to_nested("pw")
        control = data["control"]
        for key, value in (("prefix", "aliquot"), ("outdir", "./out")):
            control.setdefault(key, value)
        control.update(calculation="scf", tprnfor=True, tstress=True)
        with (folder / "espresso.pwi").open("w", encoding="utf-8") as out:
            write_espresso_in(out, atoms, input_data=data, **cards)

    def read(self, folder: Path) -> Found:
        """Read ``espresso.pwo``, or the one file that ends in ``.pwo`` or ``.out``."""
        path = _output(folder, ["espresso.pwo", "*.pwo", "pw.out", "*.out"])
        if path is None:
            return Found(problem="there is no output yet", complete=False)
        text = _text(path)
        if "convergence NOT achieved" in text:
            return Found(problem=f"{path.name}: convergence was not achieved")
        if "JOB DONE." not in text:
            error = _after(text, "Error in routine")
            if error:
                return Found(problem=f"{path.name}: {error}")
            return Found(problem=f"{path.name} is not complete", complete=False)
        return Found(_last_image(path, "espresso-out"), converged="convergence has been achieved" in text)


class Vasp(Template):
    """VASP.

    Parameters are those of ASE's VASP calculator: INCAR tags in lower case, ``xc``, ``kpts``, ``gamma``,
    ``kspacing``; and ``potcars`` (element to POTCAR file), joined in the order of each POSCAR.
    """

    name = "vasp"
    script = "vasp_std > vasp.out"

    def write(self, folder: Path, atoms: Atoms, parameters: Mapping[str, Any]) -> None:
        """Write POSCAR, INCAR, KPOINTS (unless ``kspacing`` is given) and, of ``potcars``, POTCAR.

        Raises
        ------
        InputError
            If ASE does not take a parameter, or an element has no POTCAR although others have.
        """
        from ase.calculators.vasp.create_input import GenerateVaspInput
        from ase.io.vasp import write_vasp

        given = {str(k).lower(): v for k, v in parameters.items()}
        potcars: Mapping[str, str] = given.pop("potcars", {})
        symbols, counts = _runs(atoms.get_chemical_symbols())
        with (folder / "POSCAR").open("w", encoding="utf-8") as out:
            write_vasp(out, atoms, direct=True, vasp5=True)
        values = {"lwave": False, "lcharg": False, **given, "ibrion": -1, "nsw": 0, "isif": 2}
        writer: Any = GenerateVaspInput()
        try:
            writer.set(**values)
            writer.sort = list(range(len(atoms)))
            writer.symbol_count = list(zip(symbols, counts, strict=True))
            writer.spinpol = values.get("ispin") == 2 or bool(atoms.get_initial_magnetic_moments().any())
            writer.write_incar(atoms, str(folder))
            writer.write_kpoints(atoms, str(folder))
        except (TypeError, ValueError, KeyError, NotImplementedError, AttributeError) as error:
            raise InputError(f"ASE does not take these VASP parameters: {error}") from error
        if potcars:
            _join_potcars(folder / "POTCAR", symbols, potcars)

    def read(self, folder: Path) -> Found:
        """Read ``vasprun.xml`` or, without it, ``OUTCAR``; either may be packed with gzip."""
        outcar = _output(folder, ["OUTCAR", "OUTCAR.gz"])
        path = _output(folder, ["vasprun.xml", "vasprun.xml.gz"]) or outcar
        if path is None:
            return Found(problem="there is no output yet", complete=False)
        text = _text(path)
        ended = "</modeling>" if path.name.startswith("vasprun") else "General timing and accounting"
        if ended not in text:
            return Found(problem=f"{path.name} is not complete", complete=False)
        converged = _vasp_converged(text, None if outcar is None else _text(outcar))
        kind = "vasp-xml" if path.name.startswith("vasprun") else "vasp-out"
        return Found(_last_image(path, kind), converged=converged)


#: By name.
TEMPLATES: Final[Mapping[str, Template]] = {made.name: made for made in (Espresso(), Vasp())}


def template_of(name: str) -> Template:
    """The template of that name.

    Raises
    ------
    InputError
    """
    if name not in TEMPLATES:
        raise InputError(f"no template {name!r}; there are {', '.join(TEMPLATES)}")
    return TEMPLATES[name]


def _output(folder: Path, patterns: Iterable[str]) -> Path | None:
    """The file that the first matching pattern names; None if none does.

    Raises
    ------
    InputError
        If a pattern matches several.
    """
    for pattern in patterns:
        found = sorted(p for p in folder.glob(pattern) if p.is_file() and p.stat().st_size)
        if len(found) > 1:
            raise InputError(f"{folder} holds {found[0].name} and {found[1].name}; leave the right one")
        if found:
            return found[0]
    return None


def _text(path: Path) -> str:
    content = path.read_bytes()
    return (gzip.decompress(content) if path.suffix == ".gz" else content).decode("utf-8", "replace")


def _after(text: str, words: str) -> str:
    """The line with the words and the next, joined; empty if there is none."""
    lines = text.splitlines()
    for i, line in enumerate(lines):
        if words in line:
            return " ".join(part.strip() for part in lines[i : i + 2])
    return ""


def _last_image(path: Path, kind: str) -> Atoms:
    from ase.io import read

    found: Any = read(path, index=-1, format=kind)
    return found


def _vasp_converged(text: str, outcar: str | None) -> bool | None:
    """Whether the last electronic minimisation reached EDIFF; VASP 5 says nothing when it did not."""
    if outcar is not None:
        at = outcar.rfind("aborting loop")
        return at >= 0 and "EDIFF is reached" in outcar[at : at + 80]
    from xml.etree import ElementTree

    root = ElementTree.fromstring(text)
    steps = [len(one.findall("scstep")) for one in root.iter("calculation")]
    limits = [int(i.text or 0) for i in root.iter("i") if i.get("name") == "NELM"]
    return steps[-1] < limits[-1] if steps and limits and steps[-1] else None


def _runs(symbols: Iterable[str]) -> tuple[list[str], list[int]]:
    names: list[str] = []
    counts: list[int] = []
    for symbol in symbols:
        if names and names[-1] == symbol:
            counts[-1] += 1
        else:
            names.append(symbol)
            counts.append(1)
    return names, counts


def _join_potcars(path: Path, symbols: Iterable[str], potcars: Mapping[str, str]) -> None:
    parts: list[bytes] = []
    for symbol in symbols:
        source = potcars.get(symbol)
        if source is None or not Path(source).is_file():
            where = "none is given" if source is None else f"{source} does not exist"
            raise InputError(f"no POTCAR for {symbol}: {where}; set potcars.{symbol} in the parameters")
        parts.append(Path(source).read_bytes())
    path.write_bytes(b"".join(parts))
