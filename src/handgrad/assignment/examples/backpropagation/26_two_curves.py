"""Two curves that part.

Digits, 60 rows to train on, 200 units. What is wrong with this training?

    epoch   loss     accuracy  validation loss  validation accuracy
        1   2.294      0.1667            2.178               0.3194
        5   1.37       0.8667            1.291               0.8507
       10   0.352      0.9667            0.4985              0.875
       20   0.0579     1                 0.3518              0.9167
       40   0.01431    1                 0.3958              0.9028

    1  It underfits: the network is too small for the task.
    2  It overfits: it knows its 60 rows by heart, and gets no better, lately worse, on others.
    3  The learning rate is too large.
    4  The learning rate is too small.

Replace the `raise` by `return` and the number of what is true.
"""


def answer():
    """1, 2, 3 or 4."""
    return 2
