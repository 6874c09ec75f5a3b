"""Time the rows and forces of ace-jax for the sizes of ``bench_potential.py``; called from there."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from ase import Atoms

from aliquot.ace.basis import AceBasis
from aliquot.ace.pace_write import write_yace
from aliquot.ace.potential import AcePotential
from aliquot.ace.radial import ChebExpCos

__all__ = ["time_peer"]


def time_peer(ace_jax: Any, atoms: Atoms, best: Callable[..., float]) -> None:
    """Print µs per atom of ace-jax's rows and of its forces for a PACE model that we write."""
    import jax

    jax.config.update("jax_enable_x64", True)
    from ace_jax.basis.model import build_model
    from ace_jax.calc.point import ACECalculator
    from ace_jax.eval import load_yace
    from ace_jax.fit.data import Config, build_dataset
    from ace_jax.fit.inducing import GPConfig
    from ace_jax.fit.rows import linear_rows

    print("\nace-jax       functions    rows  forces")
    for degree in (12, 16, 19):
        built = build_model([14], 3, degree, rcut=5.5)
        n = len(atoms)
        config = Config(
            atoms.positions,
            atoms.numbers,
            atoms.cell[:],
            atoms.pbc,
            0.0,
            np.zeros((n, 3)),
            None,
            1.0,
            1.0,
            1.0,
        )
        data = build_dataset([config], built.meta, np.zeros(1), 1, rcut=5.5)
        batch = jax.tree.map(lambda x: x[0], data)
        shape = GPConfig(2.35, 5.5, max(built.model.WB.shape), max(built.model.Wpair.shape), 1, 1)
        run = jax.jit(lambda b, m=built.model, c=shape: linear_rows(m, c, b)[0])
        rows = best(lambda f=run, b=batch: jax.block_until_ready(f(b)), 3) / n * 1e6

        basis = AceBasis((14,), 5.5, (degree,) * 3, radial=ChebExpCos())
        draws = np.random.default_rng(0).normal(size=(1, len(basis.functions)))
        with TemporaryDirectory() as folder:
            path = Path(folder) / "a.yace"
            write_yace(path, AcePotential(basis, 0.2 * draws / basis.prior, np.zeros(1)))
            model, meta, _ = load_yace(str(path))
        moving = atoms.copy()
        moving.calc = ACECalculator(model, meta)

        def step(a: Atoms = moving) -> None:
            a.positions += 1e-6
            a.get_forces()

        print(f"{'':14s}{len(basis.functions):9d}  {rows:6.0f}  {best(step, 5) / n * 1e6:6.0f}", flush=True)
