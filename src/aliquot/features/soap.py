"""SOAP power spectrum, computed by featomic (the extra ``aliquot[soap]``).

Reference: A. P. Bartók, R. Kondor and G. Csányi, Phys. Rev. B 87, 184115 (2013),
doi:10.1103/PhysRevB.87.184115.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from aliquot.errors import MissingExtraError
from aliquot.features.external import CallableFeaturizer
from aliquot.features.pooling import Pooling

__all__ = ["choose_soap"]


def choose_soap(
    elements: tuple[int, ...],
    *,
    cutoff: float = 5.0,
    n_max: int = 7,
    l_max: int = 6,
    sigma: float = 0.5,
    pooling: Pooling = "mean",
) -> CallableFeaturizer:
    """SOAP features for these elements.

    Parameters
    ----------
    elements : tuple of int
        Atomic numbers; every pair of them gets (n_max + 1)² (l_max + 1) columns, or the half for equal ones.
    cutoff : float, Å
        With a cosine switch over the last 0.5 Å.
    n_max, l_max : int
        Radial and angular resolution.
    sigma : float, Å
        Width of the Gaussian densities.
    pooling : {"mean", "sum", "element", "none"}

    Raises
    ------
    MissingExtraError
        If featomic is not installed.
    """
    try:
        from featomic import SoapPowerSpectrum  # type: ignore[import-not-found]
        from metatensor import Labels  # type: ignore[import-not-found]
    except ImportError as error:
        raise MissingExtraError(
            "SOAP features need featomic: install aliquot[soap], or use --features ace"
        ) from error
    calculator: Any = SoapPowerSpectrum(
        cutoff={"radius": cutoff, "smoothing": {"type": "ShiftedCosine", "width": min(0.5, cutoff)}},
        density={"type": "Gaussian", "width": sigma},
        basis={
            "type": "TensorProduct",
            "max_angular": l_max,
            "radial": {"type": "Gto", "max_radial": n_max},
        },
    )
    neighbours: Any = Labels(
        ["neighbor_1_type", "neighbor_2_type"],
        np.array([[a, b] for k, a in enumerate(elements) for b in elements[k:]]),
    )

    def soap(atoms: Any) -> NDArray[np.float64]:
        spectrum: Any = (
            calculator.compute(atoms).keys_to_samples("center_type").keys_to_properties(neighbours)
        )
        block = spectrum.block()
        values = np.empty(block.values.shape)
        values[block.samples["atom"]] = block.values  # samples stand by centre type, not by atom
        return values

    return CallableFeaturizer(
        name="soap",
        function=soap,
        elements=elements,
        pooling=pooling,
        parameters={"cutoff": cutoff, "n_max": n_max, "l_max": l_max, "sigma": sigma},
    )
