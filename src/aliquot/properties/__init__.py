"""What does a potential make of a crystal? Properties that are known from experiment or DFT, by definition.

:func:`crystal_properties` measures all of them with any ASE calculator; each has a module of its own.
"""

from aliquot.properties.calculators import CountedCalculator, open_calculator
from aliquot.properties.elastic import ElasticConstants, elastic_constants
from aliquot.properties.equation_of_state import EquationOfState, birch_murnaghan, equation_of_state
from aliquot.properties.lattice import Lattice, relax_lattice
from aliquot.properties.measure import QUANTITIES, CrystalProperties, crystal_properties
from aliquot.properties.prototypes import PROTOTYPES, Prototype
from aliquot.properties.surfaces import Surface, surface_energy
from aliquot.properties.vacancy import Vacancy, vacancy

__all__ = [
    "PROTOTYPES",
    "QUANTITIES",
    "CountedCalculator",
    "CrystalProperties",
    "ElasticConstants",
    "EquationOfState",
    "Lattice",
    "Prototype",
    "Surface",
    "Vacancy",
    "birch_murnaghan",
    "crystal_properties",
    "elastic_constants",
    "equation_of_state",
    "open_calculator",
    "relax_lattice",
    "surface_energy",
    "vacancy",
]
