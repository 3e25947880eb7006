"""Steps of about the same size in every direction.

Adam keeps two running averages, of the gradient (m) and of its square (v), and divides one by the root of the other.
Both begin at 0 and are too small at first: after t steps they have collected 1 - beta^t of their weights, and are
divided by it.
"""

import numpy as np


def adam_step(w, g, m, v, t, learning_rate=0.1, beta1=0.9, beta2=0.99, epsilon=1e-8):
    """(new w, new m, new v) of step t = 1, 2, ...; epsilon is added to the root."""
    m = beta1 * m + (1 - beta1) * g
    v = beta2 * v + (1 - beta2) * g**2
    first, second = m / (1 - beta1**t), v / (1 - beta2**t)
    return w - learning_rate * first / (np.sqrt(second) + epsilon), m, v
