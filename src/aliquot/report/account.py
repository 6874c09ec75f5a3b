"""What was asked, and what was found? The headline, the key numbers and the words around the figures."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping
from typing import Any, Final

import numpy as np

from aliquot.report.findings import Case, symbols
from aliquot.report.gains import at_least, certified, half_way, method_words
from aliquot.report.page import facts, tile
from aliquot.report.tables import count, number, percent, plural, seconds, sentence, table, text
from aliquot.structures import Frames

__all__ = ["asked", "headline", "lede", "tiles"]

#: Excluded frames that are listed one by one.
_LISTED: Final = 50


def headline(case: Case) -> str:
    """The result in one line, plain text."""
    chosen = case.selection
    given = f", conditioned on {count(chosen.known_size)} known" if chosen.known_size else ""
    return f"{count(len(chosen))} of {plural(chosen.pool_size, 'structure')} chosen{given}"


def lede(case: Case) -> str:
    """The result in a few sentences."""
    chosen, (name, what) = case.selection, method_words(case)
    said = [f"{name}."]
    share, half, stop = certified(case), half_way(case), chosen.suggested_stop
    if share is None:
        said += [what] if what else []
    else:
        said.append(f"The choice has at least {at_least(share)} of the best possible information gain.")
    if half is not None:
        said.append(f"Half of its gain comes from the first {plural(half, 'pick')}.")
    if stop is not None:
        said.append(sentence(stop.reason))
    return " ".join(said)


def tiles(case: Case) -> list[str]:
    """Key numbers."""
    chosen, pool = case.selection, case.pool
    atoms = case.chosen.n_atoms
    out = [
        tile(
            f"{count(len(chosen))} <small>of {count(chosen.pool_size)}</small>",
            f"structures chosen, {percent(len(chosen) / max(1, chosen.pool_size))} of the pool",
        ),
        tile(
            f"{count(atoms)} <small>of {count(pool.n_atoms)}</small>",
            f"atoms to compute, {percent(atoms / max(1, pool.n_atoms))} of the pool",
        ),
    ]
    if chosen.spent is not None:
        limit = "" if chosen.budget is None else f" <small>of {number(chosen.budget)}</small>"
        out.append(tile(f"{number(chosen.spent)}{limit}", f"cost, in {text(chosen.cost_unit or 'its unit')}"))
    if chosen.gain is not None and chosen.gain_unit == "nat" and len(chosen):
        out.append(
            tile(f"{number(float(chosen.gain.sum()))} <small>nat</small>", "information gained in all")
        )
    share = certified(case)
    if share is not None:
        out.append(tile(f"≥ {at_least(share)}", "of the best possible information gain, proved"))
    if chosen.suggested_stop is not None:
        n = chosen.suggested_stop.n
        out.append(tile("none" if n is None else count(n), "picks after which more stop paying"))
    if chosen.timings:
        out.append(tile(seconds(sum(chosen.timings.values())), "computing time, by stage below"))
    return out


def _sources(frames: Frames) -> str:
    """Files and how many frames each gave, the first six by name."""
    numbers = np.bincount(frames.file, minlength=len(frames.files)) if len(frames) else []
    held = [(name, int(n)) for name, n in zip(frames.files, numbers, strict=False) if n]
    shown = [f"<code>{text(name)}</code> ({plural(n, 'frame')})" for name, n in held[:6]]
    if len(held) > 6:
        rest = held[6:]
        shown.append(f"and {plural(len(rest), 'more file')} ({plural(sum(n for _, n in rest), 'frame')})")
    return ", ".join(shown) or "no frames"


def _parameters(recipe: Mapping[str, Any], leave_out: Collection[str], *, deep: bool = True) -> str:
    """The short entries of a recipe in words, also those of a recipe in it.

    >>> _parameters({"cutoff": 5.5, "basis": {"degree": [12, 12], "weight_l": 1.5}}, ())
    'cutoff 5.5, degree 12, weight l 1.5'
    """
    said: list[str] = []
    for key, value in recipe.items():
        if isinstance(value, Mapping) and deep and key not in leave_out:
            said.append(_parameters(value, {*leave_out, key}, deep=False))
        elif key == "elements" and isinstance(value, (list, tuple)):
            said.append("elements " + " ".join(symbols(value)))
        elif key not in leave_out and (words := _short(value)):
            said.append(f"{key.replace('_', ' ')} {words}")
    return ", ".join(part for part in said if part)


def _short(value: object) -> str:
    """A number or word, or a few of them; nothing where it would be long. Equal ones are said once."""
    if isinstance(value, (list, tuple)):
        parts = [_short(v) for v in value]
        return " ".join(dict.fromkeys(parts)) if all(parts) and len(set(parts)) <= 4 else ""
    if isinstance(value, float):
        return f"{value:.4g}"
    return str(value) if isinstance(value, (int, str)) else ""


def _features(case: Case) -> str:
    table_, recipe = case.features, case.features.recipe
    name = str(recipe.get("features") or recipe.get("name") or recipe.get("featurizer") or "features")
    parameters = _parameters(recipe, {"features", "name", "featurizer", "version"})
    size = plural(table_.n_features, "feature")
    each = " per structure" if table_.single_rows else f" per row, {count(table_.rows.shape[0])} rows in all"
    return f"{text(name)}: {text(parameters)}{'; ' if parameters else ''}{size}{each}"


def asked(case: Case) -> str:
    """What was asked and what was found, with notes and exclusions."""
    chosen, (name, what) = case.selection, method_words(case)
    parameters = _parameters(
        chosen.recipe, {"method", "seed", "n", "features", "constraints", "aliquot", "version"}
    )
    wanted = chosen.recipe.get("n", len(chosen))
    if chosen.known_size == 0:
        known = "nothing"
    else:
        files = "" if case.known is None else ": " + _sources(case.known)
        known = f"{plural(chosen.known_size, 'structure')}{files}"
    if chosen.budget is not None:
        budget = f"{number(chosen.budget)} {text(chosen.cost_unit)}"
    else:
        budget = plural(int(wanted), "structure") if isinstance(wanted, int) else text(wanted)
    question = [
        ("Budget", budget),
        ("Constraints", _constraints(chosen.recipe.get("constraints"))),
        ("Pool", f"{plural(chosen.pool_size, 'structure')}: {_sources(case.pool)}"),
        ("Known", known),
        ("Method", f"<strong>{name}</strong>{'. ' + what if what else ''}"),
        ("Parameters", text(parameters)),
        ("Features", _features(case)),
        ("Seed", "none" if chosen.seed is None else str(chosen.seed)),
    ]
    answer = [
        ("Chosen", f"{plural(len(chosen), 'structure')}, {plural(case.chosen.n_atoms, 'atom')}"),
        ("Stopped", sentence(chosen.stop)),
        (
            "Prefixes",
            {
                None: "",
                True: "The first k picks are the choice of size k.",
                False: "Not nested: a smaller choice differs.",
            }[chosen.nested],
        ),
        ("Left out", f"{plural(len(case.exclusions), 'frame')} before the choice" if case.exclusions else ""),
    ]
    return (
        f'<div class="lead"><div><h3>Asked</h3>{facts(question)}</div>'
        f"<div><h3>Found</h3>{facts(answer)}</div></div>"
        f"{_notes(case)}{_exclusions(case)}"
    )


def _constraints(words: object) -> str:
    """What the choice had to keep to.

    >>> _constraints({"at_most": {"bulk": 3, "*": 1}, "apart": 0.25})
    'at most 3 of bulk, at most 1 of every other group, at least 0.250 apart'
    """
    if not isinstance(words, Mapping):
        return ""
    said = [
        f"{bound.replace('_', ' ')} {n} of {'every other group' if group == '*' else group}"
        for bound in ("at_least", "at_most")
        for group, n in words.get(bound, {}).items()
    ]
    if "excluded" in words:
        said.append(f"{plural(int(words['excluded']), 'candidate')} excluded")
    if "apart" in words:
        said.append(f"at least {number(float(words['apart']))} apart")
    if "tolerance" in words:
        said.append(f"nothing nearer than {number(float(words['tolerance']))} to another")
    return text(", ".join(said))


def _notes(case: Case) -> str:
    notes = list(dict.fromkeys([*case.selection.notes, *case.features.notes]))
    if not notes:
        return ""
    return "<h3>Notes</h3><ul class=notes>" + "".join(f"<li>{text(n)}</li>" for n in notes) + "</ul>"


def _exclusions(case: Case) -> str:
    """How many frames each file lost, and the first of them one by one."""
    left_out = case.exclusions
    if not left_out:
        return ""
    per_file = Counter(e.file for e in left_out)
    lost = "; ".join(f"{n} of <code>{text(f)}</code>" for f, n in per_file.most_common(6))
    more = f", and of {len(per_file) - 6} more files" if len(per_file) > 6 else ""
    rows = [(e.file, "whole file" if e.frame < 0 else e.frame, e.problem) for e in left_out[:_LISTED]]
    listed = table("Frames left out before the choice", ["file", "frame", "problem"], rows, numeric=[1])
    rest = f"<p>{len(left_out) - _LISTED} more are not listed.</p>" if len(left_out) > _LISTED else ""
    return (
        f"<h3>Frames left out</h3><p>{plural(len(left_out), 'frame')} could not take part: {lost}{more}.</p>"
        f"<details><summary>Which, and why</summary>{listed}{rest}</details>"
    )
