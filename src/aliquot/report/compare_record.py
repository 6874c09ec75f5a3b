"""How was the comparison made? What each method promises, what it noted, and how it can be done again."""

from __future__ import annotations

from aliquot.report.compare_tables import Several
from aliquot.report.findings import Excluded
from aliquot.report.heat import breakable
from aliquot.report.page import facts
from aliquot.report.provenance import pretty, versions
from aliquot.report.tables import Raw, count, linked, number, plural, table, text, words
from aliquot.selection import METHODS, Selection

__all__ = ["record"]

#: Excluded frames that are listed one by one.
_LISTED = 50


def record(several: Several) -> str:
    """Promises, notes, what was left out, versions, hashes, recipes and references."""
    first = several.cases[0]
    chosen = first.selection
    rows = [
        (
            Raw(breakable(name)),
            words(_summary(c)),
            words(_certificate(c)),
            {True: "yes", False: "no", None: "—"}[c.nested],
            _stop(c),
        )
        for name, c in several.choices
    ]
    promised = table(
        "What each method does, and what it promises",
        ["method", "what it does", "certificate", "nested", "suggested stop"],
        rows,
    )
    made = facts(
        [
            ("Pool", f"{plural(chosen.pool_size, 'structure')}, <code>{text(chosen.pool_hash)}</code>"),
            (
                "Known",
                f"{plural(chosen.known_size, 'structure')}, <code>{text(chosen.known_hash)}</code>"
                if chosen.known_size
                else "nothing",
            ),
            ("Seed", "none" if chosen.seed is None else str(chosen.seed)),
            ("Posterior", f"of the information: prior precision {number(several.found.precision)}"),
            ("Versions", versions()),
        ]
    )
    recipes = {name: {"method": c.method, **c.recipe} for name, c in several.choices}
    cited = dict.fromkeys(reference for _, c in several.choices for reference in c.references)
    references = "".join(f"<li>{linked(reference)}</li>" for reference in cited)
    return (
        promised
        + _notes(several)
        + _excluded(first.exclusions)
        + "<h3>Inputs and versions</h3>"
        + made
        + "<details><summary>Recipes (JSON)</summary><pre>"
        + pretty({"features": first.features.recipe, "methods": recipes})
        + "</pre></details>"
        + (f'<h3>References</h3><ol class="references">{references}</ol>' if references else "")
    )


def _summary(chosen: Selection) -> str:
    line = METHODS.get(chosen.method)
    return "" if line is None else line.summary


def _certificate(chosen: Selection) -> str:
    """What was reached and what can be reached at most; of a radius, which is bounded from below, the sizes."""
    proof = chosen.certificate
    if proof is None:
        return "—"
    if proof.upper_bound < 0:
        size = proof.objective.removeprefix("minus the ")
        return f"{size}: {number(-proof.achieved)} of at least {number(-proof.upper_bound)}"
    return f"{proof.objective}: {number(proof.achieved, 4)} of at most {number(proof.upper_bound, 4)}"


def _stop(chosen: Selection) -> str:
    stop = chosen.suggested_stop
    if stop is None:
        return "—"
    return "after all" if stop.n is None else f"after {count(stop.n)}"


def _notes(several: Several) -> str:
    """What all say once, and what only some say under their names."""
    sayers: dict[str, list[str]] = {}
    for name, chosen in several.choices:
        for note in chosen.notes:
            sayers.setdefault(note, []).append(name)
    everyone = len(several.names)
    shared = [note for note, names in sayers.items() if len(names) == everyone]
    said = [text(note) for note in dict.fromkeys([*several.notes, *several.cases[0].features.notes, *shared])]
    said += [
        f"<strong>{text(', '.join(names))}</strong>: {text(note)}"
        for note, names in sayers.items()
        if len(names) < everyone
    ]
    if not said:
        return ""
    return "<h3>Notes</h3><ul class=notes>" + "".join(f"<li>{line}</li>" for line in said) + "</ul>"


def _excluded(left_out: tuple[Excluded, ...]) -> str:
    if not left_out:
        return ""
    rows = [(e.file, "whole file" if e.frame < 0 else e.frame, e.problem) for e in left_out[:_LISTED]]
    listed = table("Frames left out before the choice", ["file", "frame", "problem"], rows, numeric=[1])
    rest = f"<p>{len(left_out) - _LISTED} more are not listed.</p>" if len(left_out) > _LISTED else ""
    return (
        f"<details><summary>{plural(len(left_out), 'frame')} left out before the choice</summary>"
        f"{listed}{rest}</details>"
    )
