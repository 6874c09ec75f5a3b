"""Rounds, goals and limits of small campaigns, and what happens when a stage fails."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import pytest
from ase.build import bulk

from aliquot.ace.potential import AcePotential
from aliquot.campaign import History, Round, read_history, run
from aliquot.campaign.exploring import _quantile
from aliquot.campaign.loop import verdict
from aliquot.campaign.settings import Goal
from aliquot.errors import InputError
from aliquot.fitting import compare
from aliquot.report.campaign import write_campaign
from aliquot.structures import Frames, read, write


def test_rounds(tmp_path, settings):
    stages: list[str] = []
    done = run(settings(), tmp_path / "run", on_stage=lambda history, stage: stages.append(stage))
    assert stages == ["label", "fit", "test"] + 2 * ["explore", "select", "label", "fit", "test"]
    assert done.ended == "2 rounds are done, as many as the goal allows"
    assert [one.asked for one in done.rounds] == [6, 8, 10]
    # what is told is what the files say
    model = AcePotential.load(done.model)
    judged = compare(model, read(tmp_path / "run" / "test-labelled.xyz"), threads=1)
    wrong = judged.predicted["forces"] - judged.label["forces"]
    assert done.rounds[-1].force_mae == pytest.approx(np.abs(wrong).mean())
    assert done.rounds[-1].force_mae < 0.5 * done.rounds[0].force_mae
    # nothing is chosen twice
    chosen = [read(path) for path in sorted((tmp_path / "run").glob("round-*/selected.xyz"))]
    every = np.concatenate([frames.hashes for frames in chosen])
    assert len(np.unique(every)) == len(every) == 10
    # a second call does nothing, a farther goal goes on
    assert run(settings(), tmp_path / "run", on_stage=pytest.fail).ended == done.ended
    more = run(settings(goal={"rounds": 3}), tmp_path / "run")
    assert [one.asked for one in more.rounds] == [6, 8, 10, 12]
    assert read_history(tmp_path / "run").rounds == more.rounds
    # a stage whose record is gone is done again, from what was known then
    record = tmp_path / "run" / "round-001" / "fit.json"
    before = json.loads(record.read_text())
    record.unlink()
    redone: list[str] = []
    run(settings(goal={"rounds": 3}), tmp_path / "run", on_stage=lambda history, stage: redone.append(stage))
    assert redone == ["fit"]
    assert json.loads(record.read_text())["errors"]["forces"] == pytest.approx(
        before["errors"]["forces"], rel=1e-6
    )


def test_labels_are_a_limit(tmp_path, settings):
    done = run(settings(goal={"labels": 9, "rounds": 9}), tmp_path / "run")
    assert [one.asked for one in done.rounds] == [6, 8, 9]
    assert done.ended == "9 labels are spent, as many as the goal allows"


def test_costs(tmp_path, settings):
    told = settings(select={"cost_power": 1.0, "batch": 5}, goal={"cost": 100.0, "rounds": 9})
    done = run(told, tmp_path / "run")
    assert done.rounds[0].cost == 24.0  # six cells of four atoms
    assert [one.cost for one in done.rounds[:2]] == [24.0, 88.0]  # two of 32 atoms can be paid
    assert done.ended == "round 2 chose nothing: no candidate can be paid any more"


@pytest.mark.parametrize("quality", ["gamma", "leverage", "force_std"])
def test_uncertainty_as_quality(tmp_path, settings, quality):
    told = settings(select={"method": "kdpp", "quality": quality}, goal={"rounds": 1})
    done = run(told, tmp_path / "run")
    assert done.rounds[1].stages["select"]["method"] == "kdpp"
    assert done.rounds[1].asked == 8


def test_biased_walks(tmp_path, settings):
    told = settings(explore={"mode": "hal", "trigger": 0.03, "temperatures": [900]}, goal={"rounds": 1})
    done = run(told, tmp_path / "run")
    assert 1 <= done.rounds[1].stages["explore"]["candidates"] <= 2
    assert not done.rounds[1].beyond  # nobody looked
    page = write_campaign(tmp_path / "page.html", done).read_text("utf-8")
    assert "that biased walks found" in page
    assert "beyond" not in re.sub(r"<h2.*?</h2>", "", page)
    assert done.rounds[-1].force_mae < 0.5 * done.rounds[0].force_mae
    high = settings(
        explore={"mode": "hal", "trigger": 30.0, "temperatures": [900], "steps": 10}, goal={"rounds": 1}
    )
    quiet = run(high, tmp_path / "high")
    assert "Lower trigger" in quiet.ended
    assert "at 1 of 1 temperature." in write_campaign(tmp_path / "high.html", quiet).read_text("utf-8")
    with pytest.raises(InputError, match="along walks without bias"):
        settings(explore={"mode": "hal"}, goal={"gamma": 2.0})


def test_executor_and_a_factory(tmp_path, settings):
    from ase.calculators.emt import EMT

    with ThreadPoolExecutor(2) as executor:
        done = run(settings(goal={"rounds": 1}), tmp_path / "run", oracle=EMT, executor=executor)
    assert done.rounds[-1].labelled == 8


def test_labels_of_the_start_from_its_file(tmp_path, settings, table):
    first = run(settings(goal={"rounds": 1}), tmp_path / "first")
    given = str(tmp_path / "first" / "round-000" / "labelled.xyz")
    done = run(
        settings(start={"structures": given, "labels": "file"}, goal={"rounds": 1}), tmp_path / "second"
    )
    assert done.rounds[0].force_mae == pytest.approx(first.rounds[0].force_mae, rel=1e-6)
    bad = settings(start={"structures": str(tmp_path / "start.xyz"), "labels": "file"})
    with pytest.raises(InputError, match="has energy and forces in its file"):
        run(bad, tmp_path / "third")


def test_oracle_that_fails(tmp_path, settings, oracles):
    told = settings(label={"oracle": "python:counted_oracle:Fails", "retries": 0}, test={"structures": []})
    with pytest.raises(InputError, match=r"none of 2 structures .* was labelled; .* no convergence"):
        run(told, tmp_path / "run")
    history = read_history(tmp_path / "run")
    assert [list(one.stages) for one in history.rounds] == [["label", "fit", "test"], ["explore", "select"]]
    # what failed is told, and the rest teaches
    half = settings(label={"oracle": "python:counted_oracle:Some", "retries": 0}, test={"structures": []},
                    select={"batch": 8}, goal={"rounds": 1})  # fmt: skip
    done = run(half, tmp_path / "half")
    last = done.rounds[-1]
    chosen, failed = last.stages["select"]["selected"], len(last.stages["label"]["failed"])
    assert 0 < failed < chosen
    assert (last.asked, last.labelled) == (6 + chosen, 6 + chosen - failed)


@pytest.mark.parametrize(
    ("name", "timeout", "words"),
    [("NoNumbers", 60.0, "finite"), ("Dies", 60.0, "exit 11"), ("Hangs", 1.0, "longer than 1 s")],
)
def test_oracle_that_answers_nothing(tmp_path, settings, oracles, name, timeout, words):
    label = {"oracle": f"python:counted_oracle:{name}", "retries": 0, "timeout": timeout}
    with pytest.raises(InputError, match=rf"none of 4 structures of \[test\] was labelled; .*{words}"):
        run(settings(label=label), tmp_path / "run")
    assert not list((tmp_path / "run" / "labels").rglob("*.tmp"))


def test_elements_that_nothing_teaches(tmp_path, settings):
    write(tmp_path / "silver.xyz", Frames.from_atoms([bulk("Ag", cubic=True)]))
    for part in ("test", "explore"):
        with pytest.raises(InputError, match=r"Ag of .*silver.xyz is in no structure of \[start\]"):
            run(settings(**{part: {"structures": str(tmp_path / "silver.xyz")}}), tmp_path / "run")
        assert not list((tmp_path / "run").glob("*.xyz"))  # so that the file may be mended


def test_other_oracle_other_folder(tmp_path, settings, oracles):
    run(settings(goal={"labels": 6}), tmp_path / "run")
    with pytest.raises(InputError, match=r"label.oracle = 'emt', and now it is 'python"):
        run(settings(label={"oracle": "python:counted_oracle:Counted"}), tmp_path / "run")
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "thesis.tex").write_text("x")
    with pytest.raises(InputError, match=r"holds 'thesis.tex' and no campaign"):
        run(settings(), tmp_path / "other")
    with pytest.raises(InputError, match="there is no campaign in"):
        read_history(tmp_path / "other")


def test_unwritable_folder(tmp_path, settings):
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="name a folder that can be written to"):
        run(settings(), tmp_path / "file" / "run")


def test_finished_walks_are_not_walked_again(tmp_path, settings, monkeypatch):
    from aliquot.campaign import exploring

    walked: list[str] = []
    really = exploring.run_guarded

    def cut(*args, **more):
        walked.append(more["folder"].name)
        if len(walked) == 3:
            raise KeyboardInterrupt
        return really(*args, **more)

    told = settings(goal={"rounds": 1})
    run(told, tmp_path / "whole")
    monkeypatch.setattr(exploring, "run_guarded", cut)
    with pytest.raises(KeyboardInterrupt):
        run(told, tmp_path / "cut")
    run(told, tmp_path / "cut")
    assert walked == ["walk-000", "walk-001", "walk-002", "walk-002", "walk-003"]
    ours, theirs = (read(tmp_path / name / "round-001" / "candidates.xyz") for name in ("cut", "whole"))
    np.testing.assert_array_equal(ours.hashes, theirs.hashes)


def test_only_one_at_a_time(tmp_path, settings):
    from aliquot.campaign.folder import Folder, plain

    (tmp_path / "told.json").write_text(json.dumps(plain(settings())))
    code = (
        "import json, sys; from aliquot.campaign import run, settings_from;"
        " run(settings_from(json.load(open(sys.argv[1]))), sys.argv[2])"
    )
    with Folder(tmp_path / "run", settings()):
        words = [sys.executable, "-c", code, str(tmp_path / "told.json"), str(tmp_path / "run")]
        other = subprocess.run(words, capture_output=True, text=True, check=False)
    assert "another process is at work" in other.stderr


def test_a_damaged_stage_is_told(tmp_path, settings):
    run(settings(goal={"labels": 6}), tmp_path / "run")
    (tmp_path / "run" / "round-000" / "fit.json").write_text("{")
    with pytest.raises(InputError, match=r"fit.json is damaged .*its stage is done again"):
        run(settings(), tmp_path / "run")


def test_nothing_new_ends_it(tmp_path, settings):
    # walks that write nothing down
    told = settings(explore={"dump": 0, "select": 1e30, "stop": 1e30, "steps": 10})
    done = run(told, tmp_path / "run")
    assert done.rounds[-1].dry
    assert "no walk met a structure that was not known" in done.ended


def _history(*rounds):
    return History(None, {}, rounds)  # type: ignore[arg-type]


def _round(number, error=None, gamma=None, asked=0):
    seconds = {"seconds": 0.0}
    stages = {
        "label": seconds,
        "fit": seconds,
        "test": {"errors": {"forces": {"mae": error}} if error else {}},
    }
    if number:
        stages |= {"explore": {"gamma_quantile": gamma}, "select": seconds}
    return Round(number, stages, asked, asked, float(asked))


def test_verdicts():
    both = Goal(force_mae=0.05, gamma=2.0)
    assert verdict(both, _history(_round(0, 0.01))) == ""  # nothing has walked yet
    assert verdict(both, _history(_round(0, 0.01), _round(1, 0.01, None))) == ""  # walks ended early
    assert verdict(both, _history(_round(0, 0.1), _round(1, 0.06, 1.0))) == ""
    assert verdict(both, _history(_round(0, 0.1), _round(1, 0.04, 1.0))).startswith("the goal is reached")
    assert (
        verdict(Goal(labels=5), _history(_round(0, asked=5)))
        == "5 labels are spent, as many as the goal allows"
    )
    assert verdict(Goal(rounds=1), _history(_round(0), replace(_round(1), stages={}))) == ""  # under way


def test_quantile_counts_looks_that_never_came():
    grades = np.array([1.0, 3.0, 2.0, 4.0])
    assert _quantile(grades, 4, 0.5) == 2.0
    assert _quantile(grades, 4, 1.0) == 4.0
    assert _quantile(grades, 8, 0.5) == 4.0
    assert _quantile(grades, 8, 0.6) is None
