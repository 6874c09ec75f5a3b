"""What do the approximations of entropy-greedy lose, and what do they save? Beside exact greedy and chance.

Run ``python benchmarks/approximations.py [--small]``. ``share`` is the information of the picks over that of the picks
of exact greedy (not over the optimum, which nobody knows). Under a weak prior any n different structures carry most of
it, so ``lead`` is what counts: the share of what exact greedy brings *beyond chance*, the mean of five random draws.
``certified`` is what the certificate of the run proves of the optimum; seconds are without it, best of two.

*structured* tables have 40 clusters and a spectrum falling as k^-1.5, as descriptors do; *iid* ones are Gaussian
noise; float32. *tungsten* are linear ACE features of the frames of Szlachta and others (2014), of which half are
known; it is left out where ``ALIQUOT_DATA``, or ``../shared/data``, does not hold them. The prior is the default.
"""

from __future__ import annotations

import lzma
import os
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from aliquot.information import Entropy, Posterior, default_precision, gather
from aliquot.selection import Bayes, Random, Sieve, Sketch, TwoLevel
from aliquot.selection.certificate import entropy_certificate
from aliquot.selection.request import Request
from aliquot.table import Features

CASES = [("structured", 20_000, 211, 100), ("structured", 20_000, 211, 500), ("iid", 20_000, 211, 100)]
SMALL = [("structured", 2_000, 60, 40), ("iid", 2_000, 60, 40)]
DATA = Path(os.environ.get("ALIQUOT_DATA", Path(__file__).resolve().parents[2] / "shared" / "data"))

METHODS: dict[str, Any] = {
    "exact greedy": Bayes(sensitivity=False),
    "two-level, default parts": TwoLevel(certify=False),
    "two-level, 50 parts": TwoLevel(parts=50, certify=False),
    "sieve, ε = 0.1": Sieve(certify=False),
    "sieve, ε = 0.4": Sieve(epsilon=0.4, certify=False),
    "sketch, principal to 64": Sketch(certify=False),
    "sketch, principal to 32": Sketch(dimension=32, certify=False),
    "sketch, gaussian to 64": Sketch(projection="gaussian", certify=False),
    "sketch, count to 64": Sketch(projection="count", certify=False),
}


def synthetic(kind: str, n: int, d: int) -> Features:
    """Rows of a stated kind."""
    rng = np.random.default_rng(0)
    rows = rng.standard_normal((n, d))
    if kind == "structured":
        rows += (3.0 * rng.standard_normal((40, d)))[rng.integers(40, size=n)]
        rows *= np.arange(1, d + 1) ** -1.5
        rows = rows @ np.linalg.qr(rng.normal(size=(d, d)))[0]
    return Features.from_array(rows.astype(np.float32))


def tungsten() -> tuple[Features, Features] | None:
    """Candidates and known structures, or None where the data are not here."""
    packed = DATA / "w_szlachta2014.xyz.xz"
    if not packed.exists():
        return None
    from aliquot.features import featurize
    from aliquot.structures import read

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "tungsten.xyz"
        path.write_bytes(lzma.decompress(packed.read_bytes()))
        (features,) = featurize("ace:degree=12", read(path))
    order = np.random.default_rng(0).permutation(len(features))
    return features[order[len(order) // 2 :]], features[order[: len(order) // 2]]


def judged(pool: Features, known: Features | None, index: np.ndarray) -> tuple[float, float]:
    """Information of the picks, and the share of the optimum that is certain."""
    information = Entropy(Posterior(np.full(pool.n_features, default_precision(pool))))
    if known is not None:
        information.absorb(gather(known, slice(0, len(known))))
    gain = np.empty(len(index))
    for k, pick in enumerate(index):
        block = gather(pool, np.array([pick]))
        gain[k] = information.gain(block)[0]
        information.absorb(block)
    bound = entropy_certificate(information, Request.check(pool, len(index), known=known), index, gain)
    return bound.achieved, bound.achieved / bound.upper_bound


def run(name: str, pool: Features, known: Features | None, n: int) -> None:
    """One block of the table."""
    print(f"\n{name}: {len(pool)} × {pool.n_features}, n = {n}, known {0 if known is None else len(known)}")
    draws = [
        Random().select(pool, n, known=known, rng=np.random.default_rng(seed)).index for seed in range(5)
    ]
    chance = float(np.mean([judged(pool, known, draw)[0] for draw in draws]))
    exact = 0.0
    for method, selector in METHODS.items():
        seconds = np.inf
        for _ in range(2):
            start = time.perf_counter()
            answer = selector.select(pool, n, known=known, rng=np.random.default_rng(0))
            spent = time.perf_counter() - start - answer.timings.get("certificate", 0.0)
            seconds = min(seconds, spent)
        worth, certain = judged(pool, known, answer.index)
        exact = exact or worth
        lead = (worth - chance) / (exact - chance)
        print(
            f"  {method:26s} {seconds:7.2f} s  {worth:10.3f} nat  share {worth / exact:7.4f}  lead {lead:6.3f}"
            f"  certified {certain:6.3f}"
        )
    print(f"  {'chance':26s} {'':9s}  {chance:10.3f} nat  share {chance / exact:7.4f}  lead {0:6.3f}")


def main() -> None:
    """Every case."""
    for kind, n, d, k in SMALL if "--small" in sys.argv else CASES:
        run(kind, synthetic(kind, n, d), None, k)
    tables = tungsten()
    if tables is None:
        print(f"\ntungsten left out: {DATA} does not hold it")
    else:
        run("tungsten", *tables, 100)


if __name__ == "__main__":
    main()
