"""A deep network that does not move.

Digits, ten classes, seven layers with sigmoids between them. What is wrong with this training?

    epoch   loss   accuracy       gradient by the weights (root mean square)
        1   2.338    0.1052       layer 1  1.8e-06
        2   2.316    0.0913       layer 2  2.9e-06
        4   2.314    0.0957       layer 3  9.4e-06
        8   2.313    0.0922       layer 4  4.4e-05
       12   2.316    0.0878       layer 5  1.9e-04
                                  layer 6  8.8e-04
                                  layer 7  6.1e-03

    1  It overfits.
    2  The learning rate is too large.
    3  The gradients vanish: each sigmoid shrinks what goes back, and the first layers get next to nothing.
    4  All units are dead.

Replace the `raise` by `return` and the number of what is true.
"""


def answer():
    """1, 2, 3 or 4."""
    return 3
