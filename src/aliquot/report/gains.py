"""What did each pick bring, and how good is the whole? Method, gain curve, certificate, sensitivity."""

from __future__ import annotations

import math
import re
from typing import Final

import numpy as np

from aliquot.report.figures import gain_curve
from aliquot.report.findings import Case
from aliquot.report.page import figure
from aliquot.report.tables import number, percent, plural, printable, sentence, table, text

__all__ = ["at_least", "certified", "gains", "half_way", "method_words"]

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
    ("bayes", "force-max"): (
        "Bayesian selection by the largest force variance",
        "Each pick is the structure in which some force component is what a linear model, given everything known or"
        " picked before, is least certain of.",
    ),
    ("bayes", "force-mean"): (
        "Bayesian selection by mean force variance",
        "Each pick is the structure whose force components a linear model, given everything known or picked before,"
        " is least certain of, on average.",
    ),
    ("bayes", "goal"): (
        "Bayesian selection towards a goal",
        "Each pick is the structure whose label would remove most of the uncertainty, in a linear model given"
        " everything known or picked before, of what was asked for.",
    ),
    ("bayes", ""): (
        "Bayesian selection by a sum of scores",
        "Each pick is the structure of the largest weighted sum of information gain and predictive variances, in a"
        " linear model given everything known or picked before.",
    ),
    ("fps", ""): (
        "Farthest-point sampling",
        "Each pick is the structure that lies farthest, in feature space, from everything known or picked"
        " before.",
    ),
    ("dpp", ""): (
        "Draw of random size from a determinantal point process",
        "Sets of structures of all sizes were drawn at random, each with a probability proportional to the squared"
        " volume that its features span: alike structures seldom come together. The number asked for is the mean.",
    ),
    ("kdpp", ""): (
        "Draw from a determinantal point process",
        "Sets of structures were drawn at random, each with a probability proportional to the squared volume that"
        " its features span: alike structures seldom come together.",
    ),
    ("dpp-map", ""): (
        "Likeliest set of a determinantal point process",
        "Each pick is the structure least like everything known or picked before: the one whose features, as far"
        " as the others do not already span them, are longest.",
    ),
    ("entropy", "covariance"): (
        "Entropy of the covariance",
        "Each pick is the structure that, joined to everything known or picked before, makes the cloud of all their"
        " atomic environments widest in all directions at once.",
    ),
    ("entropy", "neighbour"): (
        "Nearest-neighbour entropy",
        "Each pick is the structure that, joined to everything known or picked before, leaves all their atomic"
        " environments farthest from their nearest neighbours, on average of the logarithm.",
    ),
    ("msc", "coverage"): (
        "Set cover",
        "Each pick is the structure whose atomic environments are like most environments of the pool that are not yet"
        " like one of a known or picked structure.",
    ),
    ("msc", "quests"): (
        "Set cover by surprise",
        "Each pick is the structure that holds the environment least like any known or picked before, and whose own"
        " environments differ most.",
    ),
    ("two-level", ""): (
        "Information gain, in two levels",
        "The pool was dealt out into parts; each part chose what a linear model would learn most from, and the picks"
        " were chosen in the same way from what the parts had chosen.",
    ),
    ("sieve", ""): (
        "Information gain, from a stream",
        "Structures passed by once; those were kept from which a linear model would learn enough, and the picks are the"
        " most informative of what was kept.",
    ),
    ("sketch", ""): (
        "Information gain, from projected features",
        "Each pick is the structure from which a linear model would learn most, as far as a projection of the features"
        " to fewer dimensions can tell.",
    ),
    ("kmeans", ""): (
        "Middles of clusters",
        "The pool was divided into clusters about as many centres as there are picks, beside the known structures,"
        " which are clusters of their own; each pick is the structure nearest to a centre, those of large clusters"
        " first.",
    ),
    ("kmedoids", ""): (
        "Medoids",
        "The picks are those structures to which, or to a known one, the others lie nearest on average: each stands for"
        " the structures around it. They are in the order of how much each brings among them.",
    ),
    ("maxvol", ""): (
        "MaxVol",
        "The picks hold the atomic environments in terms of which all others of the pool are short combinations, with"
        " no coefficient much above one: the active set of an extrapolation grade.",
    ),
    ("direct", ""): (
        "DIRECT sampling",
        "Features were standardised and reduced to their leading principal components, and the pool divided into"
        " clusters there; the picks are the members nearest to the centroids of clusters without a known structure.",
    ),
    ("stratified", ""): (
        "Stratified random selection",
        "Every group of structures got its share of the picks, at least one where there were enough; within a group"
        " every structure had the same chance.",
    ),
    ("cur", ""): (
        "CUR by leverage scores",
        "The picks are the structures that carry most of the leading directions of the pool's features.",
    ),
    ("leverage", ""): (
        "Leverage scores",
        "The picks are structures that pull hard at a fit of the whole pool: drawn in proportion to that, or the"
        " largest.",
    ),
    ("exchange", ""): (
        "D-optimal design by exchanges",
        "The picks are structures of which none could be exchanged for another so that a linear model, given everything"
        " known, would learn more from all of them together.",
    ),
    ("random", ""): (
        "Random selection",
        "Every structure had the same chance: the baseline that other methods must beat.",
    ),
}


def method_words(case: Case) -> tuple[str, str]:
    """Name and sentence; the bare name of a method that this room has no words for."""
    method, score = case.selection.method, str(case.selection.recipe.get("score", ""))
    if method == "bayes" and not score:
        score = "entropy"
    name, what = _METHODS.get((method, score)) or _METHODS.get((method, "")) or (method, "")
    return text(name), text(what)


def at_least(share: float) -> str:
    """A share rounded down, so that the statement stays true.

    >>> at_least(0.9789), at_least(0.99999)
    ('97 %', '99.9 %')
    """
    percents = 100 * min(1.0, share)
    return f"{math.floor(percents)} %" if percents < 99 else f"{math.floor(10 * percents) / 10:g} %"


def certified(case: Case) -> float | None:
    """Achieved share of the upper bound, where both are positive."""
    proof = case.selection.certificate
    if proof is None or not (proof.achieved > 0 and proof.upper_bound > 0):
        return None
    return proof.achieved / proof.upper_bound


def half_way(case: Case) -> int | None:
    """Picks that carry half of the total gain, where gains add up."""
    chosen = case.selection
    if chosen.gain is None or chosen.gain_unit != "nat" or len(chosen) < 2 or chosen.gain.sum() <= 0:
        return None
    running = np.cumsum(chosen.gain)
    return int(np.argmax(running >= 0.5 * running[-1])) + 1


def gains(case: Case) -> str:
    """The gain curve, the certificate and the sensitivity to the default prior."""
    chosen = case.selection
    stop = chosen.suggested_stop
    if not len(chosen):
        return "<p>Nothing was chosen, so there is nothing to plot.</p>"
    if chosen.gain is None:
        drawn = (
            f"<p>The method “{method_words(case)[0]}” assigns no gain to a pick, so there is no curve.</p>"
        )
    elif not np.all(np.isfinite(chosen.gain)):
        drawn = "<p>Some gains are not finite numbers, so there is no curve; they are in the JSON record.</p>"
    else:
        plot = gain_curve(chosen.gain, chosen.gain_unit, None if stop is None else stop.n)
        drawn = figure(plot, _gain_caption(case))
    beside = _stop(case) + _certificate(case) + _sensitivity(case)
    return f'<div class="lead"><div>{drawn}</div><div>{beside}</div></div>' if beside else drawn


def _gain_caption(case: Case) -> str:
    half = half_way(case)
    said = "Gain of each pick at the moment it was made."
    return said if half is None else f"{said} The first {plural(half, 'pick')} carry half of the total."


def _stop(case: Case) -> str:
    stop = case.selection.suggested_stop
    return "" if stop is None else f"<h3>Suggested stop</h3><p>{sentence(stop.reason)}</p>"


def _certificate(case: Case) -> str:
    proof, share = case.selection.certificate, certified(case)
    if proof is None:
        return (
            "<h3>Certificate</h3><p>None: this method gives no bound on what the best choice could reach.</p>"
        )
    unit = text(case.selection.gain_unit)
    what = "information gain" if case.selection.gain_unit == "nat" else "choice"
    first = "" if share is None else f"At least {at_least(share)} of the best possible {what}. "
    rivals = (
        "no choice of as many structures" if case.selection.budget is None else "nothing this budget buys"
    )
    return (
        f"<h3>Certificate</h3><p>{first}The picks reach {number(proof.achieved, 4)} {unit}; {rivals}"
        f" exceeds {number(proof.upper_bound, 4)} {unit} ({text(proof.objective)};"
        f" {text(proof.argument)}).</p>"
    )


def _sensitivity(case: Case) -> str:
    sensitivity = case.selection.sensitivity
    if sensitivity is None:
        recipe = case.selection.recipe
        if "precision_from" not in recipe:
            return ""
        value, origin = number(float(recipe["precision"])), text(recipe["precision_from"])
        return f"<h3>Prior</h3><p>Precision {value}, in units of the inverse noise variance: {origin}.</p>"
    kept = [(re.sub(r"(?<=\d)x$", "×", name), percent(share)) for name, share in sensitivity.kept.items()]
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
