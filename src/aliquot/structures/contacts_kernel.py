"""The compiled part of :mod:`aliquot.structures.contacts`: importing it imports numba."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

__all__ = ["worst_contacts"]


@njit(cache=True, nogil=True)
def worst_contacts(
    positions: Any, radii: Any, offsets: Any, cells: Any, inverses: Any, pbc: Any, sound: Any, closest: float
) -> Any:
    """Per frame: two atoms, their distance and threshold for the smallest distance/threshold below 1; inf if none."""
    n_frames = len(offsets) - 1
    worst = np.full((n_frames, 4), np.inf)
    for k in range(n_frames):
        if not sound[k]:
            continue
        first, stop = offsets[k], offsets[k + 1]
        n = stop - first
        largest = 0.0
        for i in range(first, stop):
            largest = max(largest, radii[i])
        reach = max(2.0 * largest, closest)
        inverse, cell = inverses[k], cells[k]
        heights = np.empty(3)
        images = np.zeros(3, np.int64)
        small = False
        for a in range(3):
            heights[a] = 1.0 / np.sqrt(inverse[0, a] ** 2 + inverse[1, a] ** 2 + inverse[2, a] ** 2)
            if pbc[k, a] and heights[a] <= 2.0 * reach:
                small = True
            if pbc[k, a]:
                images[a] = int(np.ceil(reach / heights[a]))
        fractional = np.empty((n, 3))
        for i in range(n):
            for a in range(3):
                x = 0.0
                for b in range(3):
                    x += positions[first + i, b] * inverse[b, a]
                fractional[i, a] = x - np.floor(x) if pbc[k, a] else x
        if small:
            _by_images(worst[k], fractional, radii[first:stop], cell, images, closest)
        else:
            _by_sweep(worst[k], fractional, radii[first:stop], cell, heights, pbc[k], reach, closest)
    return worst


@njit(cache=True, nogil=True, inline="always")
def _note(worst: Any, i: int, j: int, squared: float, limit: float) -> None:
    """Keep the pair if it is the worst so far."""
    if squared < limit * limit:
        distance = np.sqrt(squared)
        if worst[2] == np.inf or distance / limit < worst[2] / worst[3]:
            worst[0], worst[1], worst[2], worst[3] = min(i, j), max(i, j), distance, limit


@njit(cache=True, nogil=True)
def _by_sweep(
    worst: Any, fractional: Any, radii: Any, cell: Any, heights: Any, pbc: Any, reach: float, closest: float
) -> None:
    n = len(fractional)
    axis = 0
    spread = -1.0
    for a in range(3):
        extent = heights[a] if pbc[a] else (fractional[:, a].max() - fractional[:, a].min()) * heights[a]
        if extent > spread:
            axis, spread = a, extent
    order = np.argsort(fractional[:, axis])
    window = reach / heights[axis]
    for p in range(n):
        i = order[p]
        for q in range(p + 1, p + n):
            wrapped = q >= n
            if wrapped and not pbc[axis]:
                break
            j = order[q - n] if wrapped else order[q]
            ahead = fractional[j, axis] - fractional[i, axis] + (1.0 if wrapped else 0.0)
            if ahead > window:
                break
            limit = max(radii[i] + radii[j], closest)
            x = y = z = 0.0
            for a in range(3):
                d = fractional[j, a] - fractional[i, a]
                if pbc[a]:
                    d -= np.rint(d)
                x += d * cell[a, 0]
                y += d * cell[a, 1]
                z += d * cell[a, 2]
            _note(worst, i, j, x * x + y * y + z * z, limit)


@njit(cache=True, nogil=True)
def _by_images(worst: Any, fractional: Any, radii: Any, cell: Any, images: Any, closest: float) -> None:
    n = len(fractional)
    for u in range(-images[0] - 1, images[0] + 2):
        for v in range(-images[1] - 1, images[1] + 2):
            for w in range(-images[2] - 1, images[2] + 2):
                if (images[0] == 0 and u != 0) or (images[1] == 0 and v != 0) or (images[2] == 0 and w != 0):
                    continue
                for i in range(n):
                    for j in range(i, n):
                        if i == j and u == 0 and v == 0 and w == 0:
                            continue
                        f = fractional[j, 0] - fractional[i, 0] + u
                        g = fractional[j, 1] - fractional[i, 1] + v
                        h = fractional[j, 2] - fractional[i, 2] + w
                        x = f * cell[0, 0] + g * cell[1, 0] + h * cell[2, 0]
                        y = f * cell[0, 1] + g * cell[1, 1] + h * cell[2, 1]
                        z = f * cell[0, 2] + g * cell[1, 2] + h * cell[2, 2]
                        _note(worst, i, j, x * x + y * y + z * z, max(radii[i] + radii[j], closest))
