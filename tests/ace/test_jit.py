"""A compiled loop is not used after the source of anything it may contain has changed."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import aliquot

CALLEE = """
from aliquot.ace.jit import jit

@jit
def callee():
    return {value}
"""
CALLER = """
from aliquot.ace.callee_for_test import callee
from aliquot.ace.jit import jit

@jit
def caller():
    return callee()
"""


def test_a_changed_callee_is_noticed(tmp_path):
    package = tmp_path / "aliquot"
    shutil.copytree(Path(aliquot.__file__).parent, package, ignore=shutil.ignore_patterns("__pycache__"))
    (package / "ace" / "caller_for_test.py").write_text(CALLER)
    command = [sys.executable, "-c", "from aliquot.ace.caller_for_test import caller; print(caller())"]
    environment = {
        "PYTHONPATH": str(tmp_path),
        "PATH": "",
        "NUMBA_CACHE_DIR": str(tmp_path / "cache"),
        "PYTHONDONTWRITEBYTECODE": "1",  # sources change faster than the clock of file times ticks
    }
    answers = []
    for value in (1, 1, 2):
        (package / "ace" / "callee_for_test.py").write_text(CALLEE.format(value=value))
        run = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
        answers.append(run.stdout.strip())
    assert answers == ["1", "1", "2"]
    assert list((tmp_path / "cache").rglob("*.nbi")), "nothing was stored, so nothing was tested"
