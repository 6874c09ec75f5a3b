"""A basis as the flat arrays that kernels read: what to evaluate, in which order, and where it goes.

Kernels work through three lists: the radial–angular pairs (n, l) in use; the densities A made from them, one
entry per channel; and the products, function by function, each a short sum of coefficient × A × A × ….
"""

from __future__ import annotations

from collections.abc import Sequence
from math import factorial, pi, sqrt
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from aliquot.ace.basis import AceBasis, Function

__all__ = ["Jacobian", "Program", "Radials", "compile_jacobian", "compile_program", "compile_radials"]


class Radials(NamedTuple):
    """Numbers of the radial functions of every pair of species.

    ``kind`` of the many-body family, ``recursion`` (n_base, 3) and ``pairs`` (Z, Z, 8) its ``recursion`` and
    ``parameters``; ``pair_recursion`` (n_pair, 3) and ``pair_pairs`` (Z, Z, 8) those of the pair functions. Rows
    of ``mix`` (Z, Z, n_mixed, n_base) are further functions, each a combination of the base.
    """

    kind: int
    recursion: NDArray[np.float64]
    pairs: NDArray[np.float64]
    pair_recursion: NDArray[np.float64]
    pair_pairs: NDArray[np.float64]
    mix: NDArray[np.float64]


class Program(NamedTuple):
    """What to evaluate around one atom.

    Radial–angular pairs: ``pair_row`` (the radial function) and ``pair_l`` (Q,), by ascending l, and ``pair_first``
    (Q + 1,), the position of m = −l of each.
    Densities: entries ``channel_first[c]:channel_first[c + 1]`` of channel c are pair ``channel_pair`` at
    position ``channel_density`` of A. Products: functions ``order_first[v]:order_first[v + 1]`` have order
    v + 1; function k is the sum over its terms ``term_first[k]:term_first[k + 1]`` of ``term_coefficient``
    times the entries ``term_factor`` (T, 4) of A. ``harmonic_norm`` (l_max + 1, l_max + 1) belongs to Yₗₘ.
    """

    pair_row: NDArray[np.int64]
    pair_l: NDArray[np.int64]
    pair_first: NDArray[np.int64]
    channel_first: NDArray[np.int64]
    channel_pair: NDArray[np.int64]
    channel_density: NDArray[np.int64]
    channel_weights: NDArray[np.float64]
    order_first: NDArray[np.int64]
    term_first: NDArray[np.int64]
    term_factor: NDArray[np.int64]
    term_coefficient: NDArray[np.float64]
    harmonic_norm: NDArray[np.float64]
    n_density: int


class Jacobian(NamedTuple):
    """Where dB/dA is not zero, grouped by channel, then by function.

    Groups ``channel_first[c]:channel_first[c + 1]`` belong to channel c; group g is function ``function[g]`` and
    holds entries ``entry_first[g]:entry_first[g + 1]``; entry e is the derivative by the density at position
    ``pair_sum[e]`` of its channel. ``term_entry`` (T, 4) says to which entries a term contributes.
    """

    channel_first: NDArray[np.int64]
    function: NDArray[np.int64]
    entry_first: NDArray[np.int64]
    pair_sum: NDArray[np.int64]
    term_entry: NDArray[np.int64]


def compile_radials(basis: AceBasis) -> Radials:
    """Radial numbers for every pair of elements of a basis."""
    z = len(basis.elements)
    many, pair = basis.radial, basis.pair_radial
    pairs, pair_pairs = np.empty((2, z, z, 8))
    for a in range(z):
        for b in range(z):
            pairs[a, b] = many.parameters(basis.r0[a, b], basis.cutoffs[a, b])
            pair_pairs[a, b] = pair.parameters(basis.r0[a, b], basis.cutoffs[a, b])
    mix = np.zeros((z, z, 0, basis.n_base)) if basis.mix is None else basis.mix.matrix
    return Radials(
        many.kind, many.recursion(basis.n_base), pairs, pair.recursion(basis.n_pair), pair_pairs, mix
    )


def compile_program(basis: AceBasis, functions: Sequence[Function] | None = None) -> Program:
    """Flat arrays for the named functions of a basis (all of them by default), in the order given.

    Only pairs, densities and products that these functions use are evaluated.
    """
    functions = basis.functions if functions is None else functions
    factors = {f for function in functions for f in function.factors}
    pairs = sorted({(f.n, f.l) for f in factors}, key=lambda pair: (max(pair[1], 0), pair[1], pair[0]))
    pair_of = {pair: q for q, pair in enumerate(pairs)}
    angular = [max(l, 0) for _, l in pairs]  # pair functions have no angular part: l = 0
    density, n_density = {}, 0
    for f in sorted(factors, key=lambda f: (f.channel, f.l, f.n)):
        density[f] = n_density
        n_density += 2 * max(f.l, 0) + 1
    by_channel = [[f for f in density if f.channel == c] for c in range(basis.n_channels)]

    term_first, term_factor, term_coefficient = [0], [], []
    for function in functions:
        for ms, coefficient in function.terms():
            where = [density[f] + m for f, m in zip(function.factors, ms, strict=True)]
            term_factor.append(where + [0] * (4 - len(where)))
            term_coefficient.append(coefficient)
        term_first.append(len(term_coefficient))
    orders = np.array([f.order for f in functions])
    if np.any(np.diff(orders) < 0):
        raise ValueError("functions must stand in ascending correlation order")

    return Program(
        pair_row=np.array([basis.radial_row(n, l) for n, l in pairs], np.int64),
        pair_l=np.array(angular, np.int64),
        pair_first=np.concatenate(([0], np.cumsum([2 * l + 1 for l in angular]))).astype(np.int64),
        channel_first=np.concatenate(([0], np.cumsum([len(c) for c in by_channel]))).astype(np.int64),
        channel_pair=np.array([pair_of[f.n, f.l] for c in by_channel for f in c], np.int64),
        channel_density=np.array([density[f] for c in by_channel for f in c], np.int64),
        channel_weights=basis.channel_weights,
        order_first=np.searchsorted(orders, np.arange(1, 6)).astype(np.int64),
        term_first=np.array(term_first, np.int64),
        term_factor=np.array(term_factor, np.int64).reshape(-1, 4),
        term_coefficient=np.array(term_coefficient),
        harmonic_norm=_harmonic_norm(max(angular)),
        n_density=n_density,
    )


def compile_jacobian(program: Program) -> Jacobian:
    """The sparsity of dB/dA of a compiled basis."""
    channel_of = np.empty(program.n_density, np.int64)
    pair_sum_of = np.empty(program.n_density, np.int64)
    for channel in range(len(program.channel_first) - 1):
        for entry in range(program.channel_first[channel], program.channel_first[channel + 1]):
            pair, start = program.channel_pair[entry], program.channel_density[entry]
            width = int(2 * program.pair_l[pair] + 1)
            channel_of[start : start + width] = channel
            pair_sum_of[start : start + width] = program.pair_first[pair] + np.arange(width)

    n_terms = len(program.term_coefficient)
    function = np.repeat(np.arange(len(program.term_first) - 1), np.diff(program.term_first))
    order = np.searchsorted(program.order_first[1:], function, side="right") + 1
    used = np.arange(4)[None, :] < order[:, None]
    density = program.term_factor[used]
    key = np.stack([channel_of[density], np.broadcast_to(function[:, None], (n_terms, 4))[used], density])
    entries, position = np.unique(key, axis=1, return_inverse=True)
    term_entry = np.zeros((n_terms, 4), np.int64)
    term_entry[used] = position.ravel()
    groups, first = np.unique(entries[:2], axis=1, return_index=True)
    channels = np.arange(len(program.channel_first))
    return Jacobian(
        channel_first=np.searchsorted(groups[0], channels).astype(np.int64),
        function=np.ascontiguousarray(groups[1]),
        entry_first=np.append(first, entries.shape[1]).astype(np.int64),
        pair_sum=pair_sum_of[entries[2]],
        term_entry=term_entry,
    )


def _harmonic_norm(l_max: int) -> NDArray[np.float64]:
    """Norm of the real harmonic (l, |m|) over unnormalised Legendre functions, (l_max + 1, l_max + 1)."""
    out = np.zeros((l_max + 1, l_max + 1))
    for l in range(l_max + 1):
        for m in range(l + 1):
            out[l, m] = sqrt((2 * l + 1) / (4 * pi) * factorial(l - m) / factorial(l + m)) * (
                1 if m == 0 else 2**0.5
            )
    return out
