"""Max pooling over windows that lie side by side, in whole-array operations."""

import numpy as np


def places(z, pool, size):
    """One view per place (i, j) of the window: entry (i, j) of every window of z, shape (n, *size, channels)."""
    (ph, pw), (height, width) = pool, size
    return [z[:, i:height * ph:ph, j:width * pw:pw] for i in range(ph) for j in range(pw)]


def largest(z, pool, best, rows):
    """Write the maximum of each window into best (n, h, w, C); rows (n, h, w pw, C) is scratch."""
    (ph, pw), (height, width) = pool, best.shape[1:3]
    # first down the columns of a window: there whole image rows are compared, the longest runs in memory
    tops = [z[:, i:height * ph:ph, :width * pw] for i in range(ph)]
    rows = accumulate(tops, rows)
    accumulate([rows[:, :, j::pw] for j in range(pw)], best)


def accumulate(arrays, out):
    """out = the elementwise maximum of all arrays."""
    if len(arrays) == 1:
        np.copyto(out, arrays[0])
        return out
    np.maximum(arrays[0], arrays[1], out=out)
    for array in arrays[2:]:
        np.maximum(out, array, out=out)
    return out


def find_winners(candidates, best, winners, taken):
    """winners[p] = True where candidates[p] is the first of its window to equal best; taken is scratch."""
    last = len(candidates) - 1
    np.equal(candidates[0], best, out=winners[0])
    np.copyto(taken, winners[0])
    for candidate, winner in zip(candidates[1:last], winners[1:last], strict=True):
        np.equal(candidate, best, out=winner)
        np.greater(winner, taken, out=winner)
        np.logical_or(taken, winner, out=taken)
    np.logical_not(taken, out=winners[last])
