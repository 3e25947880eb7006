"""A derivative is a slope.

Move x a little to both sides, see how far y moves, and divide: (f(x + h) - f(x - h)) / 2h. A gradient check does
nothing else, and it is the one tool of this course that needs no calculus. Write `slope` with the h that it is given.
"""


def f(x):
    """y = x³ - 2 x, the function whose slope is wanted."""
    return x**3 - 2 * x


def slope(x, h):
    """The slope of f at each x, by central differences with the step h."""
    return (f(x + h) - f(x - h)) / (2 * h)
