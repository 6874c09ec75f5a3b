"""The page of a study: true numbers, verdicts in words, text of others only text."""

from __future__ import annotations

import json
import re
import xml.etree.ElementTree as ElementTree
from dataclasses import replace
from html.parser import HTMLParser

import numpy as np
import pytest

from aliquot.report.markdown import blocks, escaped, inline
from aliquot.report.study import study_files, study_page
from aliquot.report.study_figures import looks
from aliquot.report.study_markdown import study_markdown
from aliquot.studies import Conclusion, Curve, Figure, Finding, Panel, Record, Results, Table

EVIL = "<script>alert('x')</script>"


def curve(label, shift=0.0, n=4):
    x = np.array([5.0, 10, 20, 50])[:n]
    y = (10 + shift) / np.sqrt(x)
    return Curve(label, tuple(x), tuple(y), tuple(0.9 * y), tuple(1.1 * y))


@pytest.fixture
def record():
    many = tuple(curve(f"method {k}", k) for k in range(20))
    conclusion = Conclusion(
        "The best has **2.1** meV/atom.",
        (
            Finding("random is worse than 3 meV/atom", "4.0 [3.8, 4.2] meV/atom", True),
            Finding("k-medoids | wins", "it does not", np.bool_(False)),  # type: ignore[arg-type]
            Finding(EVIL, "unknown", None),
        ),
        (
            Table("errors", "Errors", ("method", "N", "RMSE"), (("a|b", 20, 2.1234), (EVIL, None, float("nan")))),
        ),
        (
            Figure("two", "Learning *curves*.", (
                Panel("(100)", "N", "RMSE (meV/atom)", many[:3], log_x=True, log_y=True, reference=3.0),
                Panel("(110)", "N", "RMSE (meV/atom)", many, log_x=True, log_y=True),
            )),
            Figure("one", EVIL, (Panel(EVIL, "N", "$x$", (many[1], curve(EVIL)),),)),
        ),
    )  # fmt: skip
    return Record(
        "toy", f"Which? {EVIL}", "A. Author (2025), doi:10.1000/xyz", "Which *one*?", f"- a\n- {EVIL}",
        "| a | b |\n|---|---|\n| 1 | 2 |", "Since [here](https://example.org), not [there](javascript:alert(1)).",
        "quick", {"seed": 0, "x": EVIL}, {"few": "0123abcd"}, "aliquot study toy --size quick", "1.2.3",
        {"numpy": "2.0"}, 754.0, conclusion,
    )  # fmt: skip


RESULTS = Results(({"method": "a", "rmse": 1.5},))


def test_page(record):
    page = study_page(record, 1234)
    parser = HTMLParser()
    parser.feed(page)
    assert "<script" not in page
    assert "javascript:alert" not in re.sub(r">[^<]*<", "><", page)  # as text, not as an address
    assert '<a href="https://example.org" rel="noreferrer">here</a>' in page
    assert '<a href="https://doi.org/10.1000/xyz"' in page
    assert "The best has <strong>2.1</strong> meV/atom." in page
    for words in ("holds", "does not hold", "undecided"):
        assert f">{words}</span>" in page
    assert "1 <small>of 3</small>" in page
    assert "1,234" in page
    assert "12 <small>min</small>" in page
    assert "aliquot study toy --size quick" in page
    assert "0123abcd" in page
    assert page.count("<svg") == 2
    assert "written about the run of standard size" in page
    assert "written about" not in study_page(replace(record, size="standard"), 1)
    assert ">2.12<" in page
    assert "nan" not in re.sub(r"<svg.*?</svg>", "", page, flags=re.DOTALL).split("<main>")[1]


def test_files(record):
    made = study_files(record, RESULTS)
    assert set(made) == {"toy.md", "toy.csv", "toy.json", "toy-two.svg", "toy-one.svg", "toy.html"}
    assert set(study_files(record, RESULTS, report=False)) == set(made) - {"toy.html"}
    assert made == study_files(record, RESULTS)  # the same bytes
    assert made["toy.csv"] == "method,rmse\na,1.5\n"
    told = json.loads(made["toy.json"])
    assert told["conclusion"]["findings"][1]["holds"] is False
    for name in ("toy-two.svg", "toy-one.svg"):
        drawn = ElementTree.fromstring(made[name])
        assert drawn.tag == "{http://www.w3.org/2000/svg}svg"
        assert "var(--" not in made[name]
        assert not drawn.findall(".//{http://www.w3.org/2000/svg}script")


def test_labels_look_alike_everywhere_and_never_alike_in_one_figure(record):
    look = looks(record)
    assert len(look) == 21
    for figure in record.conclusion.figures:
        labels = {curve.label for panel in figure.panels for curve in panel.curves}
        assert len({(x.colour, x.marker, str(x.line), x.hollow) for x in map(look.get, labels)}) == len(
            labels
        )
    two, one = (study_files(record, RESULTS)[f"toy-{name}.svg"] for name in ("two", "one"))
    assert look["method 1"].colour in two
    assert look["method 1"].colour in one


def test_legend_names_all(record):
    drawn = study_files(record, RESULTS)["toy-two.svg"]
    for k in range(20):
        assert f">method {k}<" in drawn


def test_axes_in_plain_numbers(record):
    drawn = study_files(record, RESULTS)["toy-two.svg"]
    said = re.findall(r"<text[^>]*>([^<]*)</text>", drawn)
    assert {"5", "10", "20", "50"} <= set(said)
    assert not [word for word in said if "mathdefault" in word]


def test_markdown(record):
    page = study_markdown(record, 12)
    assert page.startswith("# Which? &lt;script>")
    assert "<script" not in page.split("```json")[0]
    assert "| a\\|b | 20 | 2.12 |" in page
    assert "| k-medoids \\| wins | it does not | **does not hold** |" in page
    assert "![Learning curves.](toy-two.svg)" in page
    assert "[there\\](javascript:" in page
    assert "[here](https://example.org)" in page
    assert "12 measurements, 12 min 34 s of computing; [every number](toy.csv)" in page
    assert "$ aliquot study toy --size quick" in page
    assert "- `few` 0123abcd" in page
    assert "(2025), [10.1000/xyz](https://doi.org/10.1000/xyz)" in page


def test_many_measurements_leave_the_tables_to_documentation(record):
    many = Results(tuple({"method": "a" * 40, "rmse": float(k)} for k in range(10_000)))
    made = study_files(record, many)
    assert "[the tables](toy-tables.csv)" in made["toy.md"]
    assert made["toy-tables.csv"].startswith("Errors\nmethod,N,RMSE\na|b,20,2.1234\n")
    assert len(made["toy.csv"].splitlines()) == 10_001


def test_marks_of_significance_are_no_emphasis():
    assert inline("0.9 [0.8, 1.0]*, *k-DPP* 1.8 [1.5, 2.2]*; and") == (
        "0.9 [0.8, 1.0]*, <em>k-DPP</em> 1.8 [1.5, 2.2]*; and"
    )
    assert escaped("1.8 [1.5, 2.2]*; and *x*") == r"1.8 [1.5, 2.2]\*; and *x*"


def test_little_is_enough():
    record = Record("n", "T", "", "", "", "", "", "standard", {}, {}, "aliquot study n", "1", {}, 0.0)
    page = study_page(record, 0)
    assert "How to run it again" in page
    assert "The question" not in page
    assert "# T" in study_markdown(record, 0)


@pytest.mark.parametrize(
    "odd",
    [
        Curve("a", (), ()),
        Curve("a", (5.0,), (float("nan"),)),
        Curve("a", (5.0, 10.0), (-1.0, 0.0), (-2.0, -1.0), (0.0, 1.0)),
        Curve("a", (0.0, 10.0), (1.0, 2.0)),
        Curve("a", (5.0, 10.0), (1.0, 2.0), line=False),
        Curve("a", (5.0, 10.0), (1.0, None), (1.0, None), (1.0, None)),  # type: ignore[arg-type]
        Curve("a", tuple(np.linspace(1, 1000, 300)), tuple(np.ones(300))),
        Curve("a" * 200, (5.0,), (2.0,)),
    ],
)
def test_odd_curves(record, odd):
    for log in (True, False):
        panels = (Panel("t" * 100, "x", "y", (odd,), log_x=log, log_y=log, reference=-1.0),)
        for figure in (Figure("f", "c", panels), Figure("f", "c", 2 * panels), Figure("f", "c", 5 * panels)):
            some = replace(record, conclusion=Conclusion("", figures=(figure,)))
            ElementTree.fromstring(study_files(some, RESULTS)["toy-f.svg"])


def test_markdown_is_safe():
    assert blocks("<b>x</b>\n\n# H") == "<p>&lt;b&gt;x&lt;/b&gt;</p>\n<h3>H</h3>"
    for address in (
        "javascript:alert(1)",
        "data:text/html,x",
        "file:///etc/passwd",
        "ftp://a",
        "//a.b",
        "a.md",
    ):
        assert "<a" not in inline(f"[x]({address})")
        assert "<a" not in inline(f"<{address}>")
    assert "<img" not in blocks("![x](https://example.org/y.png)")
    assert inline("[x](https://a.b/'\"onclick=y)").startswith('<a href="https://a.b/&#x27;%22onclick=y" ')
    assert inline("[x](https://a.b 'y\" onclick=z')") == '<a href="https://a.b" rel="noreferrer">x</a>'
    assert inline("10.1000/a and `10.1000/b`").count("<a ") == 1
    assert "\u202e" not in inline("a\u202eb")
    assert escaped("a<b, x < y, <em>") == "a&lt;b, x < y, &lt;em>"
