"""What was asked, what was found, and how can it be done again? The words around the figures."""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np

from aliquot.report.figures import gain_curve
from aliquot.report.findings import Case
from aliquot.report.page import figure, tile
from aliquot.report.tables import (
    Raw,
    count,
    linked,
    number,
    percent,
    plural,
    printable,
    seconds,
    sentence,
    table,
    text,
)
from aliquot.structures import Frames

__all__ = ["asked", "at_least", "gains", "headline", "lede", "record", "tiles"]

#: Name of a method and one sentence on what it does; with its score where it has several.
_METHODS: Final[dict[tuple[str, str], tuple[str, str]]] = {
    ("bayes", "entropy"): (
        "Bayesian selection by information gain",
        "Each pick is the structure from which a linear model, given everything known or picked before, would"
        " learn most: the one whose label shrinks the volume of the model's posterior most.",
    ),
    ("bayes", "energy"): (
        "Bayesian selection by energy variance",
        "Each pick is the structure whose energy per atom a linear model, given everything known or picked"
        " before, is least certain of.",
    ),
    ("fps", ""): (
        "Farthest-point sampling",
        "Each pick is the structure that lies farthest, in feature space, from everything known or picked"
        " before.",
    ),
    ("random", ""): (
        "Random selection",
        "Every structure had the same chance: the baseline that other methods must beat.",
    ),
}

#: Excluded frames that are listed one by one.
_LISTED: Final = 50


def _method(case: Case) -> tuple[str, str]:
    """Name and sentence; the bare name of a method that this room has no words for."""
    method, score = case.selection.method, str(case.selection.recipe.get("score", ""))
    if method == "bayes" and not score:
        score = "entropy"
    name, what = _METHODS.get((method, score)) or _METHODS.get((method, "")) or (method, "")
    return text(name), text(what)


def headline(case: Case) -> str:
    """The result in one line, plain text."""
    chosen = case.selection
    given = f", conditioned on {count(chosen.known_size)} known" if chosen.known_size else ""
    return f"{count(len(chosen))} of {plural(chosen.pool_size, 'structure')} chosen{given}"


def at_least(share: float) -> str:
    """A share rounded down, so that the statement stays true.

    >>> at_least(0.9789), at_least(0.99999)
    ('97 %', '99.9 %')
    """
    percents = 100 * min(1.0, share)
    return f"{math.floor(percents)} %" if percents < 99 else f"{math.floor(10 * percents) / 10:g} %"


def _certified(case: Case) -> float | None:
    """Achieved share of the upper bound, where both are positive."""
    proof = case.selection.certificate
    if proof is None or not (proof.achieved > 0 and proof.upper_bound > 0):
        return None
    return proof.achieved / proof.upper_bound


def _half(case: Case) -> int | None:
    """Picks that carry half of the total gain, where gains add up."""
    chosen = case.selection
    if chosen.gain is None or chosen.gain_unit != "nat" or len(chosen) < 2 or chosen.gain.sum() <= 0:
        return None
    running = np.cumsum(chosen.gain)
    return int(np.argmax(running >= 0.5 * running[-1])) + 1


def lede(case: Case) -> str:
    """The result in a few sentences."""
    chosen, (name, _) = case.selection, _method(case)
    said = [f"{name}."]
    share, half, stop = _certified(case), _half(case), chosen.suggested_stop
    if share is not None:
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
    if chosen.gain is not None and chosen.gain_unit == "nat" and len(chosen):
        out.append(
            tile(f"{number(float(chosen.gain.sum()))} <small>nat</small>", "information gained in all")
        )
    share = _certified(case)
    if share is not None:
        out.append(tile(f"≥ {at_least(share)}", "of the best possible information gain, proved"))
    if chosen.suggested_stop is not None:
        n = chosen.suggested_stop.n
        out.append(tile("none" if n is None else count(n), "picks after which more stop paying"))
    if chosen.timings:
        out.append(tile(seconds(sum(chosen.timings.values())), "from files to choice"))
    return out


# --- what was asked -----------------------------------------------------------------------------------------


def _sources(frames: Frames) -> str:
    """Files and how many frames each gave, the first six by name."""
    numbers = np.bincount(frames.file, minlength=len(frames.files)) if len(frames) else []
    held = [(name, int(n)) for name, n in zip(frames.files, numbers, strict=False) if n]
    shown = [f"<code>{text(name)}</code> ({plural(n, 'frame')})" for name, n in held[:6]]
    if len(held) > 6:
        rest = held[6:]
        shown.append(f"and {plural(len(rest), 'more file')} ({plural(sum(n for _, n in rest), 'frame')})")
    return ", ".join(shown) or "no frames"


def _parameters(recipe: Mapping[str, Any], leave_out: Sequence[str]) -> str:
    """Scalar entries of a recipe in words: ``degree 12, cutoff 5.5``."""
    said = [
        f"{key.replace('_', ' ')} {f'{value:.6g}' if isinstance(value, float) else value}"
        for key, value in recipe.items()
        if key not in leave_out and isinstance(value, (int, float, str)) and value != ""
    ]
    return ", ".join(said)


def _features(case: Case) -> str:
    table_, recipe = case.features, case.features.recipe
    name = str(recipe.get("features") or recipe.get("name") or recipe.get("featurizer") or "features")
    parameters = _parameters(recipe, ["features", "name", "featurizer", "version"])
    size = plural(table_.n_features, "feature")
    each = " per structure" if table_.single_rows else f" per row, {count(table_.rows.shape[0])} rows in all"
    return f"{text(name)}: {text(parameters)}{'; ' if parameters else ''}{size}{each}"


def asked(case: Case) -> str:
    """What was asked and what was found, with notes and exclusions."""
    chosen, (name, what) = case.selection, _method(case)
    parameters = _parameters(chosen.recipe, ["method", "seed", "n", "features", "aliquot", "version"])
    wanted = chosen.recipe.get("n", len(chosen))
    if chosen.known_size == 0:
        known = "nothing; the choice starts from the prior alone"
    else:
        files = "" if case.known is None else ": " + _sources(case.known)
        known = f"{plural(chosen.known_size, 'structure')}{files}"
    question = [
        ("Budget", plural(int(wanted), "structure") if isinstance(wanted, int) else text(wanted)),
        ("Pool", f"{plural(chosen.pool_size, 'structure')}: {_sources(case.pool)}"),
        ("Known", known),
        ("Method", f"<strong>{name}</strong>{'. ' + what if what else ''}"),
        ("Parameters", text(parameters)),
        ("Features", _features(case)),
        ("Seed", "none" if chosen.seed is None else str(chosen.seed)),
    ]
    stop = chosen.suggested_stop
    answer = [
        ("Chosen", f"{plural(len(chosen), 'structure')}, {plural(case.chosen.n_atoms, 'atom')}"),
        ("Stopped", sentence(chosen.stop)),
        ("Suggested stop", "" if stop is None else sentence(stop.reason)),
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
        f'<div class="lead"><div><h3>Asked</h3>{_facts(question)}</div>'
        f"<div><h3>Found</h3>{_facts(answer)}</div></div>"
        f"{_notes(case)}{_exclusions(case)}"
    )


def _facts(pairs: Sequence[tuple[str, str]]) -> str:
    return '<dl class="facts">' + "".join(f"<dt>{k}</dt><dd>{v}</dd>" for k, v in pairs if v) + "</dl>"


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


# --- what each pick brought ---------------------------------------------------------------------------------


def gains(case: Case) -> str:
    """The gain curve, the certificate and the sensitivity to the default prior."""
    chosen = case.selection
    stop = chosen.suggested_stop
    if not len(chosen):
        return "<p>Nothing was chosen, so there is nothing to plot.</p>"
    if chosen.gain is None:
        drawn = f"<p>The method “{_method(case)[0]}” assigns no gain to a pick, so there is no curve.</p>"
    elif not np.all(np.isfinite(chosen.gain)):
        drawn = "<p>Some gains are not finite numbers, so there is no curve; they are in the JSON record.</p>"
    else:
        plot = gain_curve(chosen.gain, chosen.gain_unit, None if stop is None else stop.n)
        drawn = figure(plot, _gain_caption(case))
    beside = _stop(case) + _certificate(case) + _sensitivity(case)
    return f'<div class="lead"><div>{drawn}</div><div>{beside}</div></div>' if beside else drawn


def _gain_caption(case: Case) -> str:
    half = _half(case)
    said = "Gain of each pick at the moment it was made."
    return said if half is None else f"{said} The first {plural(half, 'pick')} carry half of the total."


def _stop(case: Case) -> str:
    stop = case.selection.suggested_stop
    if stop is None:
        return ""
    return (
        f"<h3>Suggested stop</h3><p>{sentence(stop.reason)}</p><p>Predictive standard deviation"
        f" {number(stop.predicted_std)} against a noise of {number(stop.noise)}, both in the unit of the"
        " rows.</p>"
    )


def _certificate(case: Case) -> str:
    proof, share = case.selection.certificate, _certified(case)
    if proof is None:
        return (
            "<h3>Certificate</h3><p>None: this method gives no bound on what the best choice could reach.</p>"
        )
    unit = text(case.selection.gain_unit)
    first = "" if share is None else f"At least {at_least(share)} of the best possible information gain. "
    return (
        f"<h3>Certificate</h3><p>{first}The picks reach {number(proof.achieved, 4)} {unit}; no choice of as"
        f" many structures exceeds {number(proof.upper_bound, 4)} {unit} ({text(proof.objective)};"
        f" {text(proof.argument)}).</p>"
    )


def _sensitivity(case: Case) -> str:
    sensitivity = case.selection.sensitivity
    if sensitivity is None:
        return ""
    kept = [(name, percent(share)) for name, share in sensitivity.kept.items()]
    return (
        f"<h3>If the default were different</h3><p>No label has set {text(sensitivity.parameter)} ="
        f" {number(sensitivity.value)}. Picks kept at other values:</p>"
        + table(
            f"Picks kept when {printable(sensitivity.parameter)} changes",
            ["value", "kept"],
            kept,
            numeric=[1],
            heard=True,
        )
    )


# --- how it can be done again -------------------------------------------------------------------------------


def record(case: Case) -> str:
    """Timings, versions, hashes, recipe and references."""
    chosen = case.selection
    times = [(name, Raw(text(seconds(t)))) for name, t in chosen.timings.items()]
    total = [("all", seconds(sum(chosen.timings.values())))] if len(times) > 1 else []
    timed = (
        table("Time by stage", ["stage", "time"], [*times, *total], numeric=[1], heard=True) if times else ""
    )
    hashes = [
        ("Pool", chosen.pool_hash),
        ("Known", chosen.known_hash),
        ("Picks", chosen.ids.digest() if len(chosen) else ""),
    ]
    identity = _facts([(name, f"<code>{text(value)}</code>" if value else "—") for name, value in hashes])
    recipe = json.dumps(
        {"selection": dict(chosen.recipe), "features": dict(case.features.recipe)},
        indent=2,
        ensure_ascii=False,
        default=str,
    )
    cited = "".join(f"<li>{linked(reference)}</li>" for reference in chosen.references)
    references = f'<h3>References</h3><ol class="references">{cited}</ol>' if cited else ""
    pretty = "\n".join(text(line).replace("\u00a0", " ") for line in recipe.split("\n"))
    return (
        f'<div class="pair"><div><h3>Timings</h3>{timed or "<p>None were recorded.</p>"}</div>'
        f"<div><h3>Versions</h3>{_facts(_versions())}<h3>Content hashes</h3>{identity}</div></div>"
        f"<details><summary>Recipe (JSON)</summary><pre>{pretty}</pre></details>{references}"
    )


def _versions() -> list[tuple[str, str]]:
    import platform
    from importlib.metadata import version

    from aliquot import __version__

    packages = ["numpy", "scipy", "ase", "vesin", "matplotlib"]
    return [
        ("aliquot", __version__),
        ("Python", platform.python_version()),
        *((name, text(version(name))) for name in packages),
    ]
