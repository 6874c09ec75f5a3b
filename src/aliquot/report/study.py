"""One self-contained page about a study: its question, what was expected, what came out, and how to run it again."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import Final

from aliquot.report.canvas import as_file
from aliquot.report.markdown import blocks, inline, plain
from aliquot.report.page import facts, figure, page, tile
from aliquot.report.provenance import pretty
from aliquot.report.study_figures import drawing, looks, width
from aliquot.report.study_markdown import (
    SECTIONS,
    VERDICTS,
    aligned_right,
    figure_file,
    said,
    study_markdown,
    study_tables,
    written_about,
)
from aliquot.report.tables import Raw, count, seconds, table, text
from aliquot.studies import Figure, Finding, Record, Results, Table

__all__ = ["LARGE", "study_files", "study_page"]

#: Letters of a table of results beyond which documentation does not carry it.
LARGE: Final = 400_000

#: Pixels that an inch of a figure has at its largest.
_PIXELS: Final = 104


def study_files(record: Record, results: Results, *, report: bool = True) -> dict[str, str]:
    """Everything that is written about a study, by the name of the file.

    Parameters
    ----------
    record : Record
    results : Results
    report : bool
        Whether the page is among them.

    Returns
    -------
    dict of str to str
        ``NAME.md``, ``NAME.csv`` (every row; where that is large, ``NAME-tables.csv`` too), ``NAME.json`` (the
        record), ``NAME-FIGURE.svg``, ``NAME.html``.
    """
    look = looks(record)
    drawn = {one.name: drawing(one, look) for one in record.conclusion.figures}
    rows, every = len(results.rows), results.to_csv()
    large = len(every) > LARGE
    made = {
        f"{record.name}.md": study_markdown(record, rows, tables=large),
        f"{record.name}.csv": every,
        **({f"{record.name}-tables.csv": study_tables(record)} if large else {}),
        f"{record.name}.json": json.dumps(record.to_dict(), indent=1, allow_nan=False) + "\n",
        **{figure_file(record, one): as_file(drawn[one.name]) for one in record.conclusion.figures},
    }
    return made | ({f"{record.name}.html": _page(record, rows, drawn.__getitem__)} if report else {})


def study_page(record: Record, measurements: int) -> str:
    """The page; nothing is fetched and nothing is executed.

    Parameters
    ----------
    record : Record
    measurements : int
        Rows of the table of results.
    """
    look = looks(record)
    drawn = {one.name: drawing(one, look) for one in record.conclusion.figures}
    return _page(record, measurements, drawn.__getitem__)


def _page(record: Record, measurements: int, drawn: Callable[[str], str]) -> str:
    found = record.conclusion
    sections = {
        "question": _prose(record.question),
        "protocol": _paper(record) + _prose(record.method),
        "published": _prose(record.published),
        "findings": _findings(found.findings),
        "figures": "".join(_figure(one, drawn(one.name)) for one in found.figures),
        "tables": "".join(_table(one) for one in found.tables),
        "discussion": _discussion(record),
        "record": _record(record),
    }
    return page(
        plain(record.title),
        kicker=f"study · {text(record.name)}",
        lede=inline(found.summary) or "Nothing was concluded.",
        tiles=[
            *_verdicts(found.findings),
            tile(count(measurements), "measurements"),
            tile(_short(record.seconds), f"of computing, at size {text(record.size)}"),
        ],
        sections=[(key, SECTIONS[key], content) for key, content in sections.items() if content],
        footer=f"Made by aliquot {text(record.version)}. This page is complete in itself: it loads and runs nothing.",
    )


def _short(duration: float) -> str:
    value, unit = seconds(duration).split(" ")[:2]
    if duration >= 5400:
        value, unit = f"{duration / 3600:.1f}", "h"
    return f"{value} <small>{unit}</small>"


def _verdicts(findings: Sequence[Finding]) -> list[str]:
    if not findings:
        return []
    holding = sum(one.holds is not None and bool(one.holds) for one in findings)
    open_ = sum(one.holds is None for one in findings)
    told = [tile(f"{holding} <small>of {len(findings)}</small>", "expectations hold")]
    return told + ([tile(str(open_), "cannot be decided")] if open_ else [])


def _prose(source: str) -> str:
    return f'<div class="prose">{blocks(source)}</div>' if source else ""


def _paper(record: Record) -> str:
    return f"<p>{inline(record.paper)}</p>" if record.paper else ""


def _findings(findings: Sequence[Finding]) -> str:
    if not findings:
        return ""
    rows = [(_said(one.claim), _parts(one.measured), _verdict(one.holds)) for one in findings]
    made = table("Expectations", ["expected", "measured", "verdict"], rows, heard=True)
    return f'<div class="expectations">{made}</div>'


def _said(source: str) -> Raw:
    return Raw(f'<div class="said">{inline(source)}</div>')


def _parts(source: str) -> Raw:
    """What was measured; many parts below each other."""
    parts = source.split("; ")
    return (
        _said(source) if len(parts) < 3 else Raw(f'<div class="said">{"<br>".join(map(inline, parts))}</div>')
    )


def _verdict(holds: bool | None) -> Raw:
    known = None if holds is None else bool(holds)
    kind = {True: "yes", False: "no", None: "open"}[known]
    return Raw(f'<span class="verdict {kind}">{VERDICTS[known]}</span>')


def _figure(one: Figure, drawn: str) -> str:
    wide = f'<div class="wide" style="max-width:{_PIXELS * width(one):.0f}px">{drawn}</div>'
    return figure(wide, inline(one.caption))


def _table(one: Table) -> str:
    rows = [[Raw(inline(said(cell))) for cell in row] for row in one.rows]
    made = table(
        plain(one.title), [plain(head) for head in one.header], rows, numeric=aligned_right(one), heard=True
    )
    note = f"<figcaption>{inline(one.note)}</figcaption>" if one.note else ""
    return f"<h3>{inline(one.title)}</h3>{made}{note}"


def _discussion(record: Record) -> str:
    if not record.discussion:
        return ""
    caution = written_about(record)
    return (f"<p><em>{caution}</em></p>" if caution else "") + _prose(record.discussion)


def _record(record: Record) -> str:
    ran = " · ".join(f"{text(name)} {text(value)}" for name, value in record.versions.items())
    pairs = [
        ("Computing", f"{seconds(record.seconds)} over all tasks, whenever they were done"),
        ("Size", text(record.size)),
        ("Versions", f"aliquot {text(record.version)} · {ran}"),
        *(
            (f"Data <code>{text(name)}</code>", f"<code>{text(value)}</code>")
            for name, value in record.inputs.items()
        ),
    ]
    return (
        f"<pre>$ {text(record.command)}</pre>{facts(pairs)}"
        f"<details><summary>Settings (JSON)</summary><pre>{pretty(record.settings)}</pre></details>"
    )
