"""What does a structure look like? Shaded balls in orthographic projection, as a small SVG of our own.

The longest lattice vector points up, so that slabs stand as they do in papers; the view is turned a little to
show depth, and what is far away is greyed.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from aliquot.report.tables import text
from aliquot.structures import Frames

__all__ = ["MAX_BALLS", "drawing", "element_colour"]

#: Balls drawn at most: the nearest ones, which hide the others.
MAX_BALLS: Final = 400
#: Width and height of a drawing in its own units.
SIDE: Final = 160.0
#: Ball radius over covalent radius.
BALL: Final = 0.85
#: Levels of grey for depth.
DEPTHS: Final = 4

FloatArray = NDArray[np.float64]


def element_colour(number: int) -> FloatArray:
    """Jmol's colour of an element, (3,) in 0–1."""
    from ase.data.colors import jmol_colors

    return np.asarray(jmol_colors[number if number < len(jmol_colors) else 0], np.float64)


def drawing(frames: Frames, i: int, *, label: str, key: str) -> str:
    """Frame ``i`` as an inline SVG element.

    Parameters
    ----------
    frames : Frames
    i : int
    label : str
        Alternative text.
    key : str
        Distinguishes the gradients of this drawing from those of the others on the page.
    """
    from ase.data import covalent_radii

    atoms = slice(frames.offsets[i], frames.offsets[i + 1])
    numbers, cell = frames.numbers[atoms], frames.cells[i]
    spans = abs(np.linalg.det(cell)) > 1e-9
    positions = frames.positions[atoms]
    positions = _centred(positions, cell, frames.pbc[i]) if spans else positions
    turn = _view(positions, cell)
    radii = BALL * covalent_radii[np.minimum(numbers, len(covalent_radii) - 1)]
    balls, corners = positions @ turn, (_CORNERS @ cell @ turn if spans else np.zeros((0, 3)))

    reach = np.concatenate([balls[:, :2] - radii[:, None], balls[:, :2] + radii[:, None], corners[:, :2]])
    low, high = (reach.min(axis=0), reach.max(axis=0)) if len(reach) else (np.zeros(2), np.ones(2))
    scale = (SIDE - 6) / max(float(np.max(high - low)), 4.0)  # a lone atom does not fill the frame
    middle = (low + high) / 2

    def place(points: FloatArray) -> FloatArray:
        return (points[:, :2] - middle) * [scale, -scale] + SIDE / 2

    behind, front = _box(corners, place(corners))
    gradients, circles = _balls(place(balls), balls[:, 2], radii * scale, numbers, key)
    return (
        f'<svg class="atoms" role="img" aria-label="{text(label)}" viewBox="0 0 {SIDE:g} {SIDE:g}">'
        f'<defs>{gradients}</defs><path class="back" d="{behind}"/><g class="balls">{circles}</g>'
        f'<path class="cell" d="{front}"/></svg>'
    )


_CORNERS: Final = np.array([[a, b, c] for a in (0, 1) for b in (0, 1) for c in (0, 1)], np.float64)
_EDGES: Final = [(i, j) for i in range(8) for j in range(i) if np.abs(_CORNERS[i] - _CORNERS[j]).sum() == 1]


def _centred(positions: FloatArray, cell: FloatArray, pbc: NDArray[np.bool_]) -> FloatArray:
    """Atoms inside the cell, moved along periodic axes so that the faces of the cell halve the widest gap."""
    fractions = np.linalg.solve(cell.T, positions.T).T
    for axis in np.flatnonzero(pbc) if len(positions) else ():
        f = fractions[:, axis] % 1.0
        levels = np.sort(f)
        gaps = np.diff(np.append(levels, levels[0] + 1.0))
        widest = int(np.argmax(gaps > gaps.max() - 1e-6))
        start = levels[(widest + 1) % len(levels)]
        fractions[:, axis] = (f - start + 1e-6) % 1.0 + gaps[widest] / 2
    return fractions @ cell


def _view(positions: FloatArray, cell: FloatArray) -> FloatArray:
    """Rotation (3, 3) whose columns are screen right, screen up, and towards the reader."""
    lengths = np.linalg.norm(cell, axis=1)
    if lengths.max() > 0:
        tall = int(np.argmax(lengths)) if lengths.max() > 1.25 * np.median(lengths) else 2
        up = cell[tall] if lengths[tall] > 0 else np.array([0.0, 0.0, 1.0])
        side = cell[(tall + 1) % 3]
    elif len(positions) > 2:
        _, axes = np.linalg.eigh(np.cov(positions.T))
        up, side = axes[:, 1], axes[:, 2]  # widest across, flattest towards the reader
    else:
        up, side = np.array([0.0, 0.0, 1.0]), np.array([1.0, 0.0, 0.0])
    up = up / np.linalg.norm(up)
    side = side - (side @ up) * up
    if np.linalg.norm(side) < 1e-6:
        side = np.eye(3)[int(np.argmin(np.abs(up)))]
        side = side - (side @ up) * up
    side = side / np.linalg.norm(side)
    frame = np.stack([side, up, np.cross(side, up)], axis=1)
    a, b = np.deg2rad([22.0, 14.0])
    about_up = np.array([[np.cos(a), 0, np.sin(a)], [0, 1, 0], [-np.sin(a), 0, np.cos(a)]])
    about_side = np.array([[1, 0, 0], [0, np.cos(b), -np.sin(b)], [0, np.sin(b), np.cos(b)]])
    return frame @ about_up @ about_side.T


def _box(corners: FloatArray, flat: FloatArray) -> tuple[str, str]:
    """Paths of the cell's edges: those that meet in the farthest corner, and the others."""
    if not len(corners):
        return "", ""
    farthest = int(np.argmin(corners[:, 2]))
    paths: dict[bool, list[str]] = {True: [], False: []}
    for i, j in _EDGES:
        (x1, y1), (x2, y2) = flat[i], flat[j]
        paths[farthest in (i, j)].append(f"M{x1:.1f} {y1:.1f}L{x2:.1f} {y2:.1f}")
    return "".join(paths[True]), "".join(paths[False])


def _balls(
    flat: FloatArray, depth: FloatArray, radii: FloatArray, numbers: NDArray[np.integer], key: str
) -> tuple[str, str]:
    """Gradients, one per element and level of depth, and circles from back to front."""
    order = np.argsort(depth, kind="stable")[-MAX_BALLS:]
    near = depth[order]
    extent = float(near[-1] - near[0]) if len(near) else 0.0
    shade = np.zeros(len(near), int)
    if extent > 1.0:
        shade = np.minimum(((near[-1] - near) / extent * DEPTHS).astype(int), DEPTHS - 1)
    kinds = sorted({(int(z), int(s)) for z, s in zip(numbers[order], shade, strict=True)})
    circles = "".join(
        f'<circle cx="{flat[i, 0]:.1f}" cy="{flat[i, 1]:.1f}" r="{radii[i]:.1f}"'
        f' fill="url(#{key}-{numbers[i]}-{s})"/>'
        for i, s in zip(order, shade, strict=True)
    )
    return "".join(_gradient(f"{key}-{z}-{s}", z, s) for z, s in kinds), circles


def _gradient(identifier: str, number: int, shade: int) -> str:
    """Light from the upper left; the farther, the closer to grey."""
    grey = np.array([0.62, 0.66, 0.71])
    base = element_colour(number) + (grey - element_colour(number)) * 0.6 * shade / max(1, DEPTHS - 1)
    stops = [(0, base + 0.75 * (1 - base)), (0.45, base), (1, 0.55 * base)]
    colours = "".join(
        f'<stop offset="{at:g}" stop-color="#{"".join(f"{round(255 * c):02x}" for c in colour)}"/>'
        for at, colour in stops
    )
    return f'<radialGradient id="{identifier}" cx=".36" cy=".32" r=".75">{colours}</radialGradient>'
