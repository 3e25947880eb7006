"""Slopes multiply along a chain.

Let u = 3 x + 1 and y = u². When x grows by a little, u grows three times as much, and y 2 u times as much as u. So
dy/dx = dy/du · du/dx. Replace the `raise` by `return` and the number.
"""


def answer():
    """dy/dx at x = 1."""
    return 24
