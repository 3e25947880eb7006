"""Better on the test than on validation?

`handgrad train iris` ends with an accuracy of 0.9167 on 24 validation rows and of 0.9667 on 30 test rows, of flowers
that it did not train on. Why do the two differ?

    1  It overfits.
    2  The test rows were used in training.
    3  By chance: of so few rows one more that is right moves the accuracy by 3 to 4 points.
    4  The test was made with another network.

Replace the `raise` by `return` and the number of what is true.
"""


def answer():
    """1, 2, 3 or 4."""
    return 3
