"""A loss that explodes.

A line through the diabetes data, one unit, plain gradient descent. What is wrong with this training?

    epoch   loss
        1   2.426e+11
        2   3.678e+21
        3   2.719e+31
    stopped: the loss became inf

    1  It overfits.
    2  The learning rate is too small.
    3  The learning rate is too large: each step goes so far that it lands higher on the other side.
    4  Its units are dead.

Replace the `raise` by `return` and the number of what is true.
"""


def answer():
    """1, 2, 3 or 4."""
    return 3
