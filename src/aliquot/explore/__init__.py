"""New structures, where there are none or where a model is ignorant."""

from aliquot.explore.bias import Bias, Noise, bias_from_frames, bias_from_potential
from aliquot.explore.biased import Biased
from aliquot.explore.census import Census
from aliquot.explore.generation import Generated, generate
from aliquot.explore.grade_driven import GradeExploration, GradeSettings, explore_grades
from aliquot.explore.hal import hal
from aliquot.explore.moves import Moves
from aliquot.explore.recipe import SHAPES, Recipe
from aliquot.explore.record import Exploration, Pick
from aliquot.explore.settings import HalSettings
from aliquot.explore.surrogate import (
    AceSurrogate,
    DescriptorSurrogate,
    Surrogate,
    surrogate_from_python,
)

__all__ = [
    "SHAPES",
    "AceSurrogate",
    "Bias",
    "Biased",
    "Census",
    "DescriptorSurrogate",
    "Exploration",
    "Generated",
    "GradeExploration",
    "GradeSettings",
    "HalSettings",
    "Moves",
    "Noise",
    "Pick",
    "Recipe",
    "Surrogate",
    "bias_from_frames",
    "bias_from_potential",
    "explore_grades",
    "generate",
    "hal",
    "surrogate_from_python",
]
