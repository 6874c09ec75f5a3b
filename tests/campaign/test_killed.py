"""kill -9 at random moments: the same command goes on, nothing is lost and nothing labelled twice."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

from aliquot.campaign.folder import plain
from aliquot.structures import read

RUN = """
import json, sys
from aliquot.campaign import run, settings_from
done = run(settings_from(json.load(open(sys.argv[1]))), sys.argv[2], on_stage=lambda h, s: print(s, flush=True))
print(done.ended)
"""


def start(folder, file, out):
    environment = {**os.environ, "PYTHONPATH": str(folder), "PAUSE": "0.05", "OPENBLAS_NUM_THREADS": "1"}
    return subprocess.Popen(
        [sys.executable, "-c", RUN, str(file), str(out)],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )


def calls(oracles):
    lines = (oracles / "calls.log").read_text().splitlines() if (oracles / "calls.log").exists() else []
    return [line.split(" ", 1) for line in lines]


def stages(out):
    """When each record was written; what a kill left half-written has a hidden name."""
    paths = [path for path in out.glob("round-*/*.json") if not path.name.startswith(".")]
    return {path.relative_to(out): path.stat().st_mtime_ns for path in paths}


@pytest.mark.slow
def test_killed_at_random_moments(tmp_path, oracles, settings):
    told = settings(label={"oracle": "python:counted_oracle:Counted"})
    file, out, whole = tmp_path / "told.json", tmp_path / "killed", tmp_path / "whole"
    file.write_text(json.dumps(plain(told)))
    words, errors = start(oracles, file, whole).communicate(timeout=300)
    assert b"2 rounds are done" in words, errors
    expected = calls(oracles)
    (oracles / "calls.log").unlink()

    moments = random.Random(11)
    kills = 0
    for _ in range(12):
        before = stages(out) if out.exists() else {}
        running = start(oracles, file, out)
        # a random moment after a random sign of life: a stage, a label, or the very beginning
        wanted = len(calls(oracles)) + moments.randint(0, 8)
        deadline = time.monotonic() + moments.uniform(2.5, 8.0)
        while len(calls(oracles)) < wanted and running.poll() is None and time.monotonic() < deadline:
            time.sleep(0.002)
        time.sleep(moments.uniform(0, 0.3))
        if running.poll() is not None:
            running.communicate()
            break
        running.send_signal(signal.SIGKILL)
        running.communicate()
        kills += 1
        time.sleep(1.0)  # the process of the calculator ends by itself
        for path, when in before.items():  # what was done stays as it was
            assert stages(out)[path] == when
        for path in stages(out):
            json.loads((out / path).read_text())
    assert kills >= 3
    words, errors = start(oracles, file, out).communicate(timeout=300)
    assert b"2 rounds are done" in words, errors

    # no structure whose label was kept is calculated again: only one in flight at a kill can be
    names = [name for kind, name in calls(oracles) if kind == "end"]
    begun = [name for kind, name in calls(oracles) if kind == "begin"]
    assert len(names) - len(set(names)) <= kills
    assert len(begun) - len(set(begun)) <= kills
    assert set(names) == {name for kind, name in expected if kind == "end"}
    # and the campaign is the one that was never killed
    for path in sorted(whole.glob("round-*/*labelled.xyz")):
        ours, theirs = read(out / path.relative_to(whole)), read(path)
        np.testing.assert_array_equal(ours.hashes, theirs.hashes)
        np.testing.assert_array_equal(ours.energy.values, theirs.energy.values)
    errors_of = [json.loads((place / "round-002/test.json").read_text())["errors"] for place in (out, whole)]
    assert errors_of[0]["forces"]["mae"] == pytest.approx(errors_of[1]["forces"]["mae"], rel=1e-6)
