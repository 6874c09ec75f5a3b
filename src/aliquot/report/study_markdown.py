"""A study that has been run, as Markdown: for documentation, beside its figures and its numbers."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Sequence
from typing import Final

from aliquot.report.markdown import escaped, plain
from aliquot.report.tables import count, number, plural, seconds
from aliquot.studies.record import Cell, Figure, Finding, Record, Table

__all__ = [
    "SECTIONS",
    "VERDICTS",
    "aligned_right",
    "figure_file",
    "said",
    "study_markdown",
    "study_tables",
    "written_about",
]

#: What became of an expectation, in words.
VERDICTS: Final = {True: "holds", False: "does not hold", None: "undecided"}

#: Headings, shared with the page.
SECTIONS: Final = {
    "question": "The question",
    "protocol": "What was done",
    "published": "What the paper reported",
    "findings": "What was expected, and what came out",
    "figures": "Figures",
    "tables": "Tables",
    "discussion": "Where results differ, and why",
    "record": "How to run it again",
}


def said(cell: Cell | bool) -> str:
    """A cell of a table as Markdown: numbers to three digits, or as they are where they have fewer.

    Examples
    --------
    >>> said(2.7182), said(1200), said(0.0098), said(None), said(True), said("**a**")
    ('2.72', '1,200', '0.0098', '—', 'yes', '**a**')
    """
    if cell is None:
        return "—"
    if isinstance(cell, str):
        return cell
    if cell is True or cell is False:
        return "yes" if cell else "no"
    if isinstance(cell, int):
        return count(cell)
    value = float(cell)
    digits = next((few for few in (1, 2) if float(f"{value:.{few}g}") == value), 3)
    return number(value, digits)


def aligned_right(table: Table) -> list[int]:
    """Columns of numbers, with or without an interval."""
    return [
        column
        for column in range(len(table.header))
        if column
        and all(
            cell is None
            or not isinstance(cell, str)
            or plain(cell).lstrip("−-–+±<>≤≥≈ ")[:1].isdigit()
            or plain(cell) in ("", "—", "–")
            for cell in (row[column] for row in table.rows)
        )
    ]


def figure_file(record: Record, figure: Figure) -> str:
    """Name of the file of a figure."""
    return f"{record.name}-{re.sub(r'[^A-Za-z0-9]+', '-', figure.name).strip('-')}.svg"


def written_about(record: Record) -> str:
    """A word of caution where the discussion is about another size than the run."""
    return "" if record.size == "standard" else "This was written about the run of standard size."


def study_tables(record: Record) -> str:
    """The numbers of all tables of the page, one below the other, as CSV."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    for table in record.conclusion.tables:
        writer.writerow([plain(table.title)])
        writer.writerow([plain(head) for head in table.header])
        writer.writerows(
            [plain(cell) if isinstance(cell, str) else cell for cell in row] for row in table.rows
        )
        writer.writerow([])
    return out.getvalue()


def study_markdown(record: Record, measurements: int, *, tables: bool = False) -> str:
    """The whole page.

    Parameters
    ----------
    record : Record
    measurements : int
        Rows of the table of results.
    tables : bool
        Whether it links to the numbers of its tables, where all measurements are too many for documentation.
    """
    numbers = f"[the tables]({record.name}-tables.csv)" if tables else f"[every number]({record.name}.csv)"
    parts = [
        f"# {record.title}",
        record.conclusion.summary,
        f"*Size {record.size}: {plural(measurements, 'measurement')}, {seconds(record.seconds)} of computing;"
        f" {numbers}.*",
        _part("question", record.question),
        _part("protocol", "\n\n".join(filter(None, (_paper(record.paper), record.method)))),
        _part("published", record.published),
        _part("findings", _findings(record.conclusion.findings)),
        _part("figures", "\n\n".join(_figure(record, one) for one in record.conclusion.figures)),
        _part("tables", "\n\n".join(_table(one) for one in record.conclusion.tables)),
        _part("discussion", _discussion(record)),
        f"## {SECTIONS['record']}",
    ]
    return escaped("\n\n".join(part for part in parts if part)) + "\n\n" + _record(record) + "\n"


def _part(key: str, content: str) -> str:
    return f"## {SECTIONS[key]}\n\n{content}" if content else ""


def _paper(reference: str) -> str:
    """The citation; a DOI that is not a link becomes one."""
    if not reference:
        return ""
    linked = re.sub(
        r"(?<![\w/\[])(?:doi:\s*)?(10\.\d{4,9}/[^\s)\]<>]*[^\s)\]<>.,;])",
        r"[\1](https://doi.org/\1)",
        reference,
    )
    return f"Paper: {linked}"


def _discussion(record: Record) -> str:
    if not record.discussion:
        return ""
    caution = written_about(record)
    return (f"*{caution}*\n\n" if caution else "") + record.discussion


def _findings(findings: Sequence[Finding]) -> str:
    if not findings:
        return ""
    rows = [
        (one.claim, one.measured, f"**{VERDICTS[None if one.holds is None else bool(one.holds)]}**")
        for one in findings
    ]
    return _lines(("expected", "measured", ""), rows, ())


def _figure(record: Record, figure: Figure) -> str:
    alternative = plain(figure.caption).replace("[", "(").replace("]", ")")
    return f"![{alternative}]({figure_file(record, figure)})\n\n{figure.caption}"


def _table(table: Table) -> str:
    rows = [tuple(said(cell) for cell in row) for row in table.rows]
    made = f"**{table.title}**\n\n" + _lines(table.header, rows, aligned_right(table))
    return f"{made}\n\n{table.note}" if table.note else made


def _lines(heads: Sequence[str], rows: Sequence[Sequence[str]], right: Sequence[int]) -> str:
    def line(cells: Sequence[str]) -> str:
        return "| " + " | ".join(" ".join(cell.split()).replace("|", "\\|") for cell in cells) + " |"

    rule = "|" + "|".join("--:" if column in right else "---" for column in range(len(heads))) + "|"
    return "\n".join([line(heads), rule, *map(line, rows)])


def _record(record: Record) -> str:
    ran = " · ".join(f"{name} {value}" for name, value in record.versions.items())
    hashes = "\n".join(f"- `{name}` {value}" for name, value in record.inputs.items())
    settings = json.dumps(dict(record.settings), ensure_ascii=False, default=str)
    return "\n\n".join(
        part
        for part in (
            f"```console\n$ {record.command}\n```",
            f"{seconds(record.seconds)} of computing, over all tasks. aliquot {record.version} · {ran}.",
            f"Data (SHA-256 of each file):\n\n{hashes}" if hashes else "",
            f"Settings:\n\n```json\n{settings}\n```",
        )
        if part
    )
