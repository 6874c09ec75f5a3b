"""Which groups should each have their share? What ``--group-by`` says, for the methods that ask for labels."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from typing import TYPE_CHECKING, Any

from aliquot.errors import SelectionError

if TYPE_CHECKING:
    from aliquot.cli.limits import Limits
    from aliquot.structures import Frames

__all__ = ["strata_of"]


def strata_of(
    method: str, parameters: Mapping[str, Any], limits: Limits, pool: Frames, known: Frames | None
) -> dict[str, Any]:
    """The parameters ``labels`` and, where known structures count, ``known_labels``; empty for a method without.

    Raises
    ------
    SelectionError
        If no frame has the key.
    """
    from aliquot.selection import METHODS

    if "labels" not in {field.name for field in fields(METHODS[method].selector)}:
        return {}
    labels = limits.labels(pool)
    if not any(labels.tolist()):
        raise SelectionError(
            f"method {method} gives every group its share, but no frame of the pool has a {limits.group_by}; give"
            " --group-by formula, or a key that the frames have"
        )
    if known is None or not parameters.get("count_known"):
        return {"labels": labels}
    return {"labels": labels, "known_labels": limits.labels(known)}
