"""A learning rate that comes down.

Large steps find the valley, small ones its bottom. The cosine schedule goes from peak to 0 along half a wave: slowly
at first, slowly at the end.
"""

import numpy as np


def cosine_rate(step, num_steps, peak):
    """The learning rate at a step from 0 (peak) to num_steps (0): peak · ½ (1 + cos(π step / num_steps))."""
    return peak * 0.5 * (1 + np.cos(np.pi * step / num_steps))
