"""Time greedy log-det and farthest-point selection against peers, and against the rate of a matrix product.

Run ``python benchmarks/bench_selection.py [--large | --atoms]``. Synthetic tables are float32: *structured* ones have
40 clusters and a spectrum falling as k^-1.5, as descriptors do; *iid* ones are Gaussian noise, the worst case for a
lazy engine, in which every candidate is as good as the next. *tungsten* ones are linear ACE features of atoms
(Szlachta and others, 2014), every atom a candidate; left out where the data are missing. ``floor`` is 2 N d n flops at
the rate of a float64 matrix product measured just before each case; ``passes`` counts rows read over rows in the pool.
Each peer runs once. Peers: FPS of scikit-matter (a float64 copy of the table, as it makes itself); greedy log-det with
all candidates updated at every pick (pivoted Cholesky of the kernel, numpy), whose differences lose all digits, and
whose picks go astray, once there are more picks than features. Those that are not installed, or that would take
more than a few minutes, are left out.

``--large`` adds 200,000 × 668 with 1,000 picks (3 GB of memory), and as many picks from the 158,256 atoms of tungsten
in 668 features; ``--atoms`` is that last case alone. Beside other work, ``OMP_NUM_THREADS=1`` gives steadier ratios.

``--clusters`` runs other cases instead: ``kmedoids`` against its package called bare (distances by scikit-learn, random
start), ``kmeans`` against scikit-learn (one start), ``direct``, and ``fps`` in each metric against Euclidean distances.
Turns of ours and of the peer alternate; the best of ``TURNS`` counts. ``loss`` is what was minimised, per candidate.
"""

from __future__ import annotations

import lzma
import os
import sys
import tempfile
import time
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np

from aliquot.information import Distance, Entropy, Posterior, default_precision, gather
from aliquot.information.metric import METRICS
from aliquot.selection import select
from aliquot.selection.greedy import greedy
from aliquot.table import Features

CASES = [("structured", 50_000, 211, 1000), ("structured", 20_000, 668, 300), ("iid", 50_000, 211, 1000)]
LARGE = [("structured", 200_000, 668, 1000), ("iid", 200_000, 668, 1000)]
CLUSTERED = [(10_000, 211, 100), (10_000, 211, 1000)]
TURNS = 3
DATA = Path(os.environ.get("ALIQUOT_DATA", Path(__file__).resolve().parents[2] / "shared" / "data"))
PEER_FLOPS = 3e11  # what a peer that works by matrix–vector products does in a few minutes


def table(kind: str, n: int, d: int) -> Features:
    """Rows of a stated kind."""
    rng = np.random.default_rng(0)
    rows = rng.standard_normal((n, d), dtype=np.float32)
    if kind == "structured":
        rows += (3.0 * rng.standard_normal((40, d), dtype=np.float32))[rng.integers(40, size=n)]
        rows *= (np.arange(1, d + 1) ** -1.5).astype(np.float32)
        rotation = np.linalg.qr(rng.normal(size=(d, d)))[0].astype(np.float32)
        for start in range(0, n, 4096):
            rows[start : start + 4096] = rows[start : start + 4096] @ rotation
    return Features.from_array(rows)


def tungsten() -> Features | None:
    """ACE features of all atoms, float32, or None where the data are not here."""
    packed = DATA / "w_szlachta2014.xyz.xz"
    if not packed.exists():
        return None
    from aliquot.features import featurize
    from aliquot.structures import read

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "tungsten.xyz"
        path.write_bytes(lzma.decompress(packed.read_bytes()))
        (atoms,) = featurize("ace:degree=16", read(path, on_error="skip"), pooling="none")
    return Features.from_array(np.asarray(atoms.rows, np.float32), prior=atoms.prior)


def gemm_rate(d: int) -> float:
    """Flops per second of a tile times a panel, float64; best of ten."""
    a, b = np.random.default_rng(0).normal(size=(4096, d)), np.ones((d, 128))
    return max(2 * a.size * 128 / timed(lambda: a @ b)[0] for _ in range(10))


def timed(function: Callable[[], object]) -> tuple[float, object]:
    """Seconds, and the answer."""
    start = time.perf_counter()
    answer = function()
    return time.perf_counter() - start, answer


def entropy_of(pool: Features) -> Entropy:
    """With the default prior."""
    return Entropy(Posterior(np.full(pool.n_features, default_precision(pool))))


def distance_from_first(pool: Features) -> Distance:
    """Both FPS start with candidate 0."""
    distance = Distance(pool.n_features)
    distance.absorb(gather(pool, np.array([0])))
    return distance


def naive_log_det(pool: Features, n: int, precision: float) -> list[int]:
    """Update every candidate at every pick: h_i loses (x_i · v)², one matrix–vector product a pick."""
    x = np.asarray(pool.rows, np.float64)
    h = np.einsum("ij,ij->i", x, x) / precision
    directions, picks = np.empty((n, x.shape[1])), []
    for k in range(n):
        i = int(np.argmax(h))
        picks.append(i)
        v = x[i] / precision - directions[:k].T @ (directions[:k] @ x[i])
        directions[k] = v / np.sqrt(1.0 + x[i] @ v)
        h -= np.square(x @ directions[k])
    return picks


def skmatter_fps(pool: Features, n: int) -> list[int]:
    """scikit-matter's exact FPS of samples."""
    from skmatter.sample_selection import FPS

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        peer = FPS(n_to_select=n, initialize=0).fit(np.asarray(pool.rows, np.float64))
    return list(peer.selected_idx_)


def run(kind: str, pool: Features, n: int) -> None:
    """One block of the table."""
    n_rows, d = pool.rows.shape
    flops = 2.0 * n_rows * d * n
    for name, make, peer_name, peer in (
        ("log-det", entropy_of, "naive greedy", naive_log_det),
        ("FPS", distance_from_first, "scikit-matter", skmatter_fps),
    ):
        prior, information = timed(lambda make=make: make(pool))
        information.copy().absorb(gather(pool, np.array([0])))  # compile before the clock starts
        floor = flops / gemm_rate(d)
        count = n if name == "log-det" else n - 1
        seconds, trace = timed(lambda information=information, count=count: greedy(information, pool, count))
        passes = trace.rows_read / n_rows
        print(
            f"{kind:11s} {n_rows:7d} x {d:4d}, {n:4d}  {name:8s} aliquot {seconds:7.2f} s"
            f" ({seconds / floor:5.2f} x floor {floor:.2f} s, {passes:.1f} passes, prior {prior:.2f} s)",
            end="",
        )
        try:
            if flops > PEER_FLOPS:
                print(f"; {peer_name} left out: too long")
                continue
            arguments = (pool, n, float(information.posterior.prior[0])) if name == "log-det" else (pool, n)
            peer_seconds, picks = timed(lambda peer=peer, arguments=arguments: peer(*arguments))
        except ImportError as error:
            print(f"; {peer_name} left out: {error}")
            continue
        own = trace.index.tolist() if name == "log-det" else [0, *trace.index.tolist()]
        same = sum(a == b for a, b in zip(own, picks, strict=True))
        print(
            f"; {peer_name} {peer_seconds:7.2f} s ({peer_seconds / seconds:.1f} x), {same} of {n} picks the same"
        )


def bare_kmedoids(pool: Features, n: int) -> float:
    """Mean distance that the package leaves."""
    import kmedoids
    from sklearn.metrics import pairwise_distances

    distance = pairwise_distances(pool.rows)
    return float(kmedoids.fasterpam(distance, n, random_state=0, n_cpu=1).loss) / len(pool)


def sklearn_kmeans(pool: Features, n: int) -> float:
    """Root-mean-square distance to a centre that scikit-learn leaves."""
    from sklearn.cluster import KMeans

    return float(np.sqrt(KMeans(n, n_init=1, random_state=0).fit(pool.rows).inertia_ / len(pool)))


def told(pool: Features, n: int, method: str) -> float:
    """Choose, and read the loss from the last note: ``…: 0.58 after``."""
    note = select(pool, n, method=method).notes[-1]
    return float(note.rsplit(": ", 1)[1].split(" after")[0])


def run_clusters(n_rows: int, d: int, n: int) -> None:
    """Methods of clusters, and metrics."""
    pool = table("structured", n_rows, d)
    print(
        f"structured {n_rows} x {d}, {n}; N² d flops at the GEMM rate: {n_rows**2 * d / gemm_rate(d):.2f} s"
    )
    for method, peer_name, peer in (
        ("kmedoids", "the package bare", bare_kmedoids),
        ("kmeans", "scikit-learn", sklearn_kmeans),
    ):
        turns = 1 if method == "kmeans" and n > 100 else TURNS
        ours, theirs = [], []
        for _ in range(turns):
            ours.append(timed(lambda method=method: told(pool, n, method)))
            theirs.append(timed(lambda peer=peer: peer(pool, n)))
        (mine, loss), (its, its_loss) = min(ours), min(theirs)
        print(
            f"  {method:9s} aliquot {mine:6.2f} s, loss {loss:.4f}; {peer_name} {its:6.2f} s ({its / mine:.1f} x),"
            f" loss {its_loss:.4f}"
        )
    seconds = min(timed(lambda: select(pool, n, method="direct"))[0] for _ in range(TURNS))
    print(f"  direct    aliquot {seconds:6.2f} s")
    by_metric = dict.fromkeys(METRICS, np.inf)
    for _ in range(TURNS):
        for metric in METRICS:
            spent = timed(lambda metric=metric: select(pool, n, method="fps", metric=metric))[0]
            by_metric[metric] = min(by_metric[metric], spent)
    for metric, spent in by_metric.items():
        print(f"  fps {metric:12s} {spent:6.2f} s ({spent / by_metric['euclidean']:.1f} x euclidean)")


def main() -> None:
    """Print the table."""
    if "--clusters" in sys.argv[1:]:
        for n_rows, d, n in CLUSTERED:
            run_clusters(n_rows, d, n)
        return
    large, atoms = "--large" in sys.argv[1:], "--atoms" in sys.argv[1:]
    for kind, n_rows, d, n in [] if atoms else CASES + (LARGE if large else []):
        run(kind, table(kind, n_rows, d), n)
    if large or atoms:
        pool = tungsten()
        if pool is None:
            print(f"tungsten left out: {DATA} does not hold it")
        else:
            run("tungsten", pool, 1000)


if __name__ == "__main__":
    main()
