"""A step that remembers.

Plain gradient descent goes w - learning_rate · g. In a narrow valley it jumps from side to side. Momentum keeps a
velocity, the sum of past gradients, each step fading by the factor momentum: what changes sign cancels, what persists
adds up.
"""


def momentum_step(w, g, velocity, learning_rate, momentum):
    """(new w, new velocity): velocity = momentum · velocity + g, and w goes against it, learning_rate times as far."""
    velocity = momentum * velocity + g
    return w - learning_rate * velocity, velocity
