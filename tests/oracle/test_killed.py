"""kill -9 at random moments: the same command goes on, nothing is lost and nothing calculated twice."""

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
from ase.calculators.emt import EMT

from aliquot.oracle import label
from aliquot.structures import read, write

NUMBER, WORKERS = 40, 2


def command(folder, pool, out):
    words = [
        "label",
        pool,
        "--oracle",
        "python:oracles_for_tests:Slow",
        "-o",
        out,
        "--workers",
        WORKERS,
        "--json",
    ]
    start = "from aliquot.cli import main; main()"
    environment = {**os.environ, "PYTHONPATH": f"{folder}{os.pathsep}{os.environ.get('PYTHONPATH', '')}"}
    return subprocess.Popen(
        [sys.executable, "-c", start, *map(str, words)],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )


@pytest.mark.slow
def test_killed_at_random_moments(tmp_path, oracles, coppers, calls):
    pool, out, store = tmp_path / "pool.xyz", tmp_path / "labelled.xyz", tmp_path / "labelled.labels"
    write(pool, coppers(NUMBER))
    moments = random.Random(5)
    kills = 0
    for _ in range(5):
        before = len(_answers(store))
        running = command(oracles, pool, out)
        wanted = before + moments.randint(1, 8)  # answers after which it is killed
        deadline = time.monotonic() + 120
        while len(_answers(store)) < wanted and running.poll() is None and time.monotonic() < deadline:
            time.sleep(0.002)
        time.sleep(moments.uniform(0, 0.05))
        running.send_signal(signal.SIGKILL)
        running.communicate()
        kills += 1
        kept = _answers(store)
        assert wanted <= len(kept) < NUMBER
        for path in kept:  # whole, every one
            assert np.isfinite(json.loads(path.read_text())["energy"])
        assert not out.exists()
        _alone(oracles, calls)
    begun_before, finished = calls(oracles), len(_answers(store))
    last = command(oracles, pool, out)
    words, errors = last.communicate(timeout=300)
    assert last.returncode == 0, errors
    record = json.loads(words)
    assert (record["reused"], record["computed"]) == (finished, NUMBER - finished)
    total = calls(oracles)
    assert len(total) == NUMBER
    assert total.total() - begun_before.total() == NUMBER - finished  # the last run repeated nothing
    assert total.total() <= NUMBER + kills * WORKERS  # a kill costs at most what was in work
    ours, expected = read(out), label(coppers(NUMBER), EMT, folder=tmp_path / "other").frames
    assert np.array_equal(ours.hashes, expected.hashes)
    assert np.array_equal(ours.energy.values, expected.energy.values)
    assert np.array_equal(ours.forces.values, expected.forces.values)


def _answers(store):
    return [p for p in store.glob("*/*.json") if p.name != "oracle.json" and not p.name.startswith(".")]


def _alone(folder, calls):
    """Wait until the processes that the killed one left have gone; they must go by themselves."""
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        counts = calls(folder).total()
        time.sleep(1.2)
        if calls(folder).total() == counts:
            return
    raise AssertionError("calculations go on although nobody waits for them")


def test_terminated_politely(tmp_path, oracles, coppers, calls):
    pool, out = tmp_path / "pool.xyz", tmp_path / "labelled.xyz"
    write(pool, coppers(NUMBER))
    running = command(oracles, pool, out)
    while not calls(oracles, "end"):
        time.sleep(0.01)
        assert running.poll() is None
    running.send_signal(signal.SIGINT)
    words, errors = running.communicate(timeout=60)
    assert running.returncode == 130
    assert b"the same command goes on" in errors
    assert words == b""
    assert _answers(tmp_path / "labelled.labels")
    assert not out.exists()


def test_nothing_is_left_running(tmp_path, oracles, coppers):
    """A code that hangs, started by a calculator, ends soon after the labelling was killed."""
    (oracles / "plan.json").write_text(json.dumps({"3.5000": "spawn and hang"}))
    write(tmp_path / "pool.xyz", coppers(1))
    running = command(oracles, tmp_path / "pool.xyz", tmp_path / "labelled.xyz")
    deadline = time.monotonic() + 60
    while not (oracles / "grandchild").exists() and time.monotonic() < deadline:
        time.sleep(0.02)
    time.sleep(0.1)
    grandchild = int((oracles / "grandchild").read_text())
    running.send_signal(signal.SIGKILL)
    running.communicate()
    while _runs(grandchild) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert not _runs(grandchild)


def _runs(pid):
    try:
        with open(f"/proc/{pid}/stat") as stat:
            return stat.read().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False
