"""Do the known labels say how strong the prior should be? Then Bayesian selection uses that."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from aliquot.progress import Progress

if TYPE_CHECKING:
    from aliquot.structures import Frames
    from aliquot.table import Features

__all__ = ["with_prior"]


def with_prior(
    method: str,
    parameters: Mapping[str, Any],
    known: Frames | None,
    features: Features | None,
    progress: Progress,
) -> dict[str, Any]:
    """Parameters of a method; for ``bayes`` with the prior precision of the largest evidence, where labels have one.

    A precision that was given stays, and so does the default where fewer than ten energies are known or the
    evidence has no maximum.
    """
    if method != "bayes" or "precision" in parameters or known is None or features is None:
        return dict(parameters)
    from aliquot.fitting import prior_from_labels

    found = prior_from_labels(known, features, progress=progress)
    if found is None or not found.stationary:
        return dict(parameters)
    decided = f"which decide {found.effective:.0f} directions; noise {found.noise:.3g}"
    source = f"evidence of {found.n_rows} labels, {decided}"
    return {**parameters, "precision": found.precision, "precision_from": source}
