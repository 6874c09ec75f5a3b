"""The front door: public names, their number, and what importing them costs."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

import aliquot

HEAVY = ("ase", "numba", "scipy", "sklearn", "matplotlib", "rich")


def test_public_names_are_few_and_exist():
    assert len(aliquot.__all__) <= 15
    for name in aliquot.__all__:
        assert getattr(aliquot, name) is not None


def test_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="no attribute 'selekt'"):
        aliquot.selekt  # noqa: B018


@pytest.mark.parametrize("statement", ["import aliquot", "import aliquot.cli"])
def test_import_brings_nothing_heavy(statement):
    code = f"import sys; {statement}; print([m for m in {HEAVY} + ('numpy',) if m in sys.modules])"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"


def test_versions_agree():
    """The changelog and the citation file speak of this version."""
    root = Path(__file__).resolve().parent.parent
    assert f"## [{aliquot.__version__}]" in (root / "CHANGELOG.md").read_text(encoding="utf-8")
    assert f"version: {aliquot.__version__}" in (root / "CITATION.cff").read_text(encoding="utf-8")
