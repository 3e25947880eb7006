"""The bug zoo: plausible wrong versions of our pairs and layers, each with its mistake's name and a lesson.

`python -m handgrad.gradient_check.zoo` prints the kill matrix: which check catches which.
"""

from . import activations, images, layers, linear, losses, models, norms, students  # noqa: F401 (they register)
from .matrix import kill_matrix, render
from .specimens import SPECIMENS, Specimen

__all__ = ["SPECIMENS", "Specimen", "kill_matrix", "render"]
