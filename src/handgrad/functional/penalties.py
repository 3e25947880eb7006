"""Penalties on a weight array, added to the loss: L2 with the one half, L1 without.

>>> penalty, cache = l2_penalty_forward(np.array([3.0, 4.0]), strength=0.1)
>>> penalty
1.25
>>> l2_penalty_backward(1.0, cache)[0]
array([0.3, 0.4])

Derivations: docs/derivations/penalties.md.
"""

import numpy as np

from ..arrays import Array, Cache
from .analytic import magnitude


def l2_penalty_forward(weight: Array, strength: float = 1.0) -> tuple[float, Cache]:
    """½ strength Σ w²: the ½ (as in CS231n and UCLA's nndl) makes the gradient strength · w, which is weight decay."""
    strength, flat = float(strength), weight.reshape(-1)
    return 0.5 * strength * flat.dot(flat).item(), (weight, strength)


def l2_penalty_backward(dpenalty: float, cache: Cache) -> tuple[Array]:
    """dweight = dpenalty strength w."""
    weight, strength = cache
    return (weight * (float(dpenalty) * strength),)


def l1_penalty_forward(weight: Array, strength: float = 1.0) -> tuple[float, Cache]:
    """strength Σ |w|: it draws small weights to exactly 0 (Tibshirani 1996)."""
    strength = float(strength)
    return strength * magnitude(weight).sum().item(), (weight, strength)


def l1_penalty_backward(dpenalty: float, cache: Cache) -> tuple[Array]:
    """dweight = dpenalty strength sign(w): 0 where w = 0."""
    weight, strength = cache
    return (np.sign(weight.real) * (float(dpenalty) * strength),)
