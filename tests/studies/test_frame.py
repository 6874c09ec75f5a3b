"""The frame of studies: declarations, tasks kept one by one, tidy results, statistics."""

from __future__ import annotations

import csv
import io
import json
import math
import multiprocessing
from concurrent.futures import ProcessPoolExecutor

import numpy as np
import pytest
from scipy import stats

from aliquot.errors import InputError
from aliquot.studies import Data, Results, expected, left, plan, run_study, studies, study_named
from aliquot.studies.record import Conclusion, Curve, Finding, Record, Table
from aliquot.studies.statistics import corrected_t, holm, interval, paired, wilcoxon


@pytest.fixture
def study(own_study):
    return study_named(str(own_study))


@pytest.fixture
def data(own_study):
    return Data.find()


class TestTasks:
    def test_run(self, study, data, tmp_path):
        record, results = run_study(study, "quick", data, tmp_path / "out")
        assert len(results.rows) == 3 * 4
        assert results.values("repeat") == (0, 1, 2)
        drawn = [
            8 + np.random.default_rng([0, repeat]).normal(size=4)  # cells of 8 atoms
            for repeat in range(3)
        ]
        assert results.column("rmse_meV") == pytest.approx(np.concatenate(drawn))
        assert np.isnan(results.column("empty")).all()
        assert record.inputs == {"few": data.hash("few")}
        assert record.settings == {"sets": ("few",), "seed": 0, "repeats": 3, "pause": 0.0}
        assert record.conclusion.findings[0].holds is False

    def test_interrupted_it_goes_on(self, study, data, tmp_path, monkeypatch):
        whole = run_study(study, "quick", data, tmp_path / "whole")
        monkeypatch.setenv("STOP_AT", "1")
        with pytest.raises(KeyboardInterrupt):
            run_study(study, "quick", data, tmp_path / "out")
        planned = plan(study, "quick", data, tmp_path / "out")
        assert [task["repeat"] for task in planned.done] == [0]
        assert [task["repeat"] for task in planned.missing] == [1, 2]
        monkeypatch.delenv("STOP_AT")
        told = []
        record, results = run_study(
            study, "quick", data, tmp_path / "out", progress=lambda *words: told.append(words)
        )
        assert results == whole[1]
        assert record.conclusion == whole[0].conclusion
        assert (planned.place / "begun.log").read_text().split() == ["0", "1", "1", "2"]
        assert (planned.place / "prepared.log").read_text().split() == ["once"]
        assert [words for words in told if words[0] == "tasks"] == [("tasks", 2, 3), ("tasks", 3, 3)]
        run_study(study, "quick", data, tmp_path / "out")  # nothing is missing
        assert (planned.place / "begun.log").read_text().split() == ["0", "1", "1", "2"]

    def test_failure_is_told_and_the_rest_kept(self, study, data, tmp_path, monkeypatch):
        monkeypatch.setenv("FAIL_AT", "2")
        with pytest.raises(InputError, match=r"task \{'repeat': 2\} failed: nothing to work with"):
            run_study(study, "quick", data, tmp_path / "out")
        assert len(plan(study, "quick", data, tmp_path / "out").done) == 2

    @pytest.mark.parametrize("content", ["", '{"task": {', "[]", '{"rows": []}'])
    def test_damaged_task_is_told(self, study, data, tmp_path, content):
        run_study(study, "quick", data, tmp_path / "out")
        planned = plan(study, "quick", data, tmp_path / "out")
        file = planned.file(planned.tasks[1])
        file.write_text(content)
        with pytest.raises(InputError, match=r"damaged .* remove it, and its task is done again") as told:
            run_study(study, "quick", data, tmp_path / "out")
        assert str(file) in str(told.value)
        file.unlink()
        assert len(run_study(study, "quick", data, tmp_path / "out")[1].rows) == 12

    def test_two_workers_find_the_same(self, study, data, tmp_path):
        alone = run_study(study, "standard", data, tmp_path / "alone")
        with ProcessPoolExecutor(2, mp_context=multiprocessing.get_context("spawn")) as executor:
            both = run_study(study, "standard", data, tmp_path / "both", executor=executor)
        assert both[1] == alone[1]
        assert both[0].conclusion == alone[0].conclusion

    def test_other_settings_or_data_are_other_work(self, own_study, study, data, tmp_path):
        places = {plan(study, size, data, tmp_path).place for size in ("quick", "standard", "full")}
        own_study.write_text(own_study.read_text().replace("[settings]", "[settings]\nseed = 1"))
        places.add(plan(study_named(str(own_study)), "quick", data, tmp_path).place)
        more = data.path("few").read_text() * 2
        data.path("few").write_text(more)
        places.add(plan(study, "quick", data, tmp_path).place)
        assert len(places) == 5

    def test_time(self, study, data, tmp_path):
        assert expected(study, "standard") == 30
        assert expected(study, "full") == 300  # ten times the tasks
        assert left(plan(study, "full", data, tmp_path)) == 300
        planned = plan(study, "quick", data, tmp_path)
        planned.place.mkdir(parents=True)
        planned.file(planned.tasks[0]).write_text(json.dumps({"rows": [], "seconds": 7.0}))
        assert left(planned) == 14  # as measured
        run_study(study, "standard", data, tmp_path)
        assert left(plan(study, "standard", data, tmp_path)) == 0


class TestDeclaration:
    def test_all_that_are_packaged(self):
        for name in studies():
            study = study_named(name)
            for size in ("quick", "standard", "full"):
                settings = study.settings_of(size)
                assert settings.sets
                assert list(study.carried_out_by.tasks(settings))

    @pytest.mark.parametrize(
        ("old", "new", "words"),
        [
            ("question", "querstion", "querstion is not known; did you mean question"),
            ('title = "Of one\'s own"\n', "", "lacks title"),
            ("[sizes.full]", "[sizes.huge]", "huge is not known"),
            ("standard = 0.5", 'standard = "long"', "standard is 'long'; it must be a number"),
            ('"python:drawing_numbers"', '"../up"', "is not a name"),
            ('"python:drawing_numbers"', '"python:not_there"', "no module 'not_there' can be imported"),
            ('"python:drawing_numbers"', '"not_there"', "no module 'aliquot.studies.not_there'"),
            ('"python:drawing_numbers"', '"statistics"', "is no protocol: it does not define Settings"),
            ("repeats = 5", "repeat = 5", "repeat is not known; did you mean repeats"),
            ("repeats = 5", "repeats = 0.5", "repeats is 0.5; it must be a whole number"),
        ],
    )
    def test_what_is_wrong_is_told(self, own_study, old, new, words):
        text = own_study.read_text()
        assert old in text
        own_study.write_text(text.replace(old, new))
        with pytest.raises(InputError, match=words.replace("..", r"\.\.")):
            study_named(str(own_study)).settings_of("standard")

    def test_unknown(self, tmp_path):
        with pytest.raises(InputError, match="there is no study 'silicium'"):
            study_named("silicium")
        with pytest.raises(InputError, match="cannot read"):
            study_named(str(tmp_path / "none.toml"))

    def test_unknown_size(self, study):
        with pytest.raises(InputError, match="size 'huge' is not known; use quick, standard, full"):
            study.settings_of("huge")


class TestData:
    def test_what_is_missing_is_told(self, tmp_path, monkeypatch):
        monkeypatch.delenv("ALIQUOT_DATA", raising=False)
        with pytest.raises(InputError, match="name their folder with --data or ALIQUOT_DATA"):
            Data.find()
        with pytest.raises(InputError, match="there is no folder"):
            Data.find(tmp_path / "none")
        with pytest.raises(InputError, match=r"has no many\.xyz\.xz"):
            Data.find(tmp_path).path("many")

    def test_hash(self, data):
        import hashlib

        assert data.hash("few") == hashlib.sha256(data.path("few").read_bytes()).hexdigest()
        assert len(data.read("few")) == 3


class TestResults:
    rows = (
        {"n": 5, "method": "a", "rmse": 2.0},
        {"n": 10, "method": "a", "rmse": None},
        {"n": 5, "method": "b, c", "note": 'x"y'},
    )

    def test_groups(self):
        results = Results(self.rows)
        assert [key for key, _ in results.by("method")] == [("a",), ("b, c",)]
        assert results.where(method="a", n=5).column("rmse") == [2.0]
        assert np.isnan(results.column("rmse")).tolist() == [False, True, True]
        assert results.values("n") == (5, 10)
        assert not results.where(method="z").rows

    def test_csv_reads_back(self):
        read = list(csv.DictReader(io.StringIO(Results(self.rows).to_csv())))
        assert read[0] == {"n": "5", "method": "a", "rmse": "2", "note": ""}
        assert read[2] == {"n": "5", "method": "b, c", "rmse": "", "note": 'x"y'}


class TestStatistics:
    def test_nadeau_and_bengio_by_hand(self):
        d = [1.0, 2.0, 4.0, 5.0]  # mean 3, variance 10/3
        t = 3 / math.sqrt(10 / 3 * (1 / 4 + 1 / 3))
        assert corrected_t(d, 1 / 3) == pytest.approx(2 * stats.t.sf(t, 3), rel=1e-12)
        assert corrected_t(d, 0.0) == pytest.approx(float(stats.ttest_1samp(d, 0).pvalue), rel=1e-12)
        assert corrected_t([0.0, 0.0, 0.0], 0.1) == 1.0
        assert corrected_t([1.0, 1.0], 0.1) == 0.0

    def test_correction_keeps_the_level_where_the_plain_test_does_not(self):
        """Cross-validated means of nothing but noise: overlap makes the plain test find differences in it."""
        rng = np.random.default_rng(4)
        plain, corrected = 0, 0
        for _ in range(300):
            sample = rng.normal(size=60)
            # each repeat judges by a random quarter
            d = [np.mean(sample[rng.permutation(60)[:15]]) for _ in range(20)]
            plain += corrected_t(d, 0.0) < 0.05
            corrected += corrected_t(d, 15 / 45) < 0.05
        assert plain / 300 > 0.2
        assert corrected / 300 < 0.12

    def test_wilcoxon(self):
        rng = np.random.default_rng(1)
        d = rng.normal(0.4, 1, size=30)
        assert wilcoxon(d) == pytest.approx(float(stats.wilcoxon(d).pvalue), rel=1e-12)
        assert wilcoxon([0.0, 0.0]) == 1.0

    def test_paired_chooses_the_test(self):
        rng = np.random.default_rng(2)
        a, b = rng.normal(1, 1, 12), rng.normal(0, 1, 12)
        a[3] = np.nan
        d = (a - b)[np.isfinite(a)]
        found = paired(a, b, test_over_train=0.5)
        assert found.repeats == 11
        assert found.mean.value == pytest.approx(d.mean())
        assert found.p == corrected_t(d, 0.5)
        assert paired(a, b, test_over_train=None).p == wilcoxon(d)
        with pytest.raises(InputError, match="1 paired repeats are too few"):
            paired([1.0, np.nan], [0.0, 0.0], test_over_train=None)

    def test_holm_by_definition(self):
        """Reject in order while p ≤ α/(m − k): the corrected value is the smallest α at which a test is rejected."""
        rng = np.random.default_rng(3)
        for _ in range(50):
            p = np.round(rng.uniform(size=rng.integers(1, 8)) ** 3, 3)
            found = holm(p)
            for level in rng.uniform(size=10):
                rejected = np.zeros(len(p), bool)
                for k, i in enumerate(np.argsort(p, kind="stable")):
                    if p[i] > level / (len(p) - k):
                        break
                    rejected[i] = True
                assert ((found <= level) == rejected).all()
        assert len(holm([])) == 0

    def test_interval_against_scipy(self):
        x = np.random.default_rng(5).normal(3, 2, size=80)
        for name, of in (("mean", np.mean), ("median", np.median)):
            found = interval(x, statistic=name, draws=20_000)
            truth = stats.bootstrap(
                (x,), of, n_resamples=20_000, method="percentile", rng=np.random.default_rng(6)
            ).confidence_interval
            assert found.value == pytest.approx(of(x))
            assert (found.low, found.high) == pytest.approx((truth.low, truth.high), abs=0.05)
        assert interval(x, statistic="rms").value == pytest.approx(math.sqrt(np.mean(x**2)))
        assert interval([1.0, np.nan, 1.0]).value == 1.0
        assert np.isnan(interval([np.nan]).value)
        with pytest.raises(InputError, match="statistic 'mode' is not known"):
            interval(x, statistic="mode")

    def test_interval_covers(self):
        rng = np.random.default_rng(7)
        held = 0
        for k in range(300):
            found = interval(rng.normal(1, 1, size=40), draws=500, seed=k)
            held += found.low <= 1 <= found.high
        assert 0.9 < held / 300 < 0.98


def test_tables_are_rectangular():
    with pytest.raises(ValueError, match="table t: 1 cells under 2 heads"):
        Table("t", "T", ("a", "b"), ((1,),))


def test_record_is_json():
    found = Conclusion(
        "",
        (Finding("c", "m", np.bool_(True)),),  # type: ignore[arg-type]
        (Table("t", "T", ("a", "b"), ((np.int64(3), float("nan")),)),),
    )
    record = Record("n", "", "", "", "", "", "", "quick", {"sets": ("a",)}, {}, "", "", {}, 1.0, found)
    told = json.loads(json.dumps(record.to_dict(), allow_nan=False))
    assert told["conclusion"]["findings"][0]["holds"] is True
    assert told["conclusion"]["tables"][0]["rows"] == [[3, None]]
    assert told["settings"] == {"sets": ["a"]}
    assert Curve("a", (1.0,), (2.0,)).line
