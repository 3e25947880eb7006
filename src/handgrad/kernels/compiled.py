"""The functions of `plain` compiled by Numba, one pass over memory each: for no pooling and for windows of 2x2.

A choice is here one byte for each number of a pooled block: the place of its window that passes a gradient, or BLOCKED.
The loops run along rows of w C numbers, and few arrays meet in one, so that the compiler can vectorise them.
"""

import numpy as np
from numba import njit

BLOCKED = np.uint8(255)
CHOICE_DTYPE = np.uint8
compiled = njit(nogil=True, cache=True, fastmath={"contract"}, error_model="numpy")


def choice_shape(shape, pool):
    """The shape of one example's choice, for blocks (n, *shape)."""
    return shape


def moments(scratch, x):
    """Count, mean and Σ (x - mean)² per channel."""
    mean, squares = (np.zeros(x.shape[3], x.dtype) for _ in range(2))
    moments_loop(rows(x), mean, squares)
    return x.size // x.shape[3], mean, squares


def largest(scratch, z, pool, best, choice=None):
    """Write the maximum of each window of z into best, and the first place that has it into choice."""
    largest_loop(z, best, scratch.take("choice", best.shape, CHOICE_DTYPE) if choice is None else choice)


def activate(x, scale, shift, relu, y, choice=None, pooled=False):
    """y = scale x + shift, then ReLU; choice is narrowed to where ReLU lets through, or begun where nothing pooled."""
    activate_loop(rows(x), scale, shift, relu, rows(y), None if choice is None else rows(choice), pooled)


def gradient_sums(scratch, dy, choice, x, mean):
    """Σ g and Σ g (x - mean) per channel, where g is what passes of dy; choice None: all of it."""
    total, along = (np.zeros(len(mean), dy.dtype) for _ in range(2))
    gradient_sums_loop(rows(dy), None if choice is None else rows(choice), rows(x), mean, total, along)
    return total.reshape(-1, dy.shape[3]).sum(axis=0), along.reshape(-1, dy.shape[3]).sum(axis=0)


def passed_sum(scratch, dy, choice):
    """Σ g per channel, where g is what passes of dy."""
    total = np.zeros(dy.shape[2] * dy.shape[3], dy.dtype)
    passed_sum_loop(rows(dy), rows(choice), total)
    return total.reshape(-1, dy.shape[3]).sum(axis=0)


def spread(dy, choice, pool, dz):
    """dz = dy at the place it passes to, 0 at the other places of the window; dz has no other rows and columns."""
    spread_loop(dy, choice, pool[0], None, None, None, None, dz)


def spread_affine(scratch, dy, choice, pool, scale, z, slope, constant, dz):
    """dz = slope z + constant, plus scale dy at the place it passes to; choice None: everywhere."""
    if choice is None:
        choice = np.zeros(dy.shape, CHOICE_DTYPE)
    spread_loop(dy, choice, pool[0], scale, z, slope, constant, dz)


def rows(x):
    return x.reshape(-1, x.shape[2] * x.shape[3])


@compiled
def moments_loop(x, mean, squares):
    channels = len(mean)
    total, repeated = np.zeros(x.shape[1], x.dtype), np.empty(x.shape[1], x.dtype)
    for r in range(len(x)):
        for k in range(x.shape[1]):
            total[k] += x[r, k]
    for k in range(x.shape[1]):
        mean[k % channels] += total[k]
    mean /= x.dtype.type(x.size // channels)
    for k in range(x.shape[1]):
        repeated[k], total[k] = mean[k % channels], 0
    for r in range(len(x)):
        for k in range(x.shape[1]):
            d = x[r, k] - repeated[k]
            total[k] += d * d
    for k in range(x.shape[1]):
        squares[k % channels] += total[k]


@compiled
def largest_loop(z, best, choice):
    n, height, width, channels = best.shape
    for b in range(n):
        for p in range(height):
            for q in range(width):
                for c in range(channels):
                    top, place = z[b, 2 * p, 2 * q, c], np.uint8(0)
                    # a NaN wins, so that it stays visible
                    other = z[b, 2 * p, 2 * q + 1, c]
                    wins = (other > top) | (other != other)
                    top, place = other if wins else top, np.uint8(1) if wins else place
                    other = z[b, 2 * p + 1, 2 * q, c]
                    wins = (other > top) | (other != other)
                    top, place = other if wins else top, np.uint8(2) if wins else place
                    other = z[b, 2 * p + 1, 2 * q + 1, c]
                    wins = (other > top) | (other != other)
                    top, place = other if wins else top, np.uint8(3) if wins else place
                    best[b, p, q, c], choice[b, p, q, c] = top, place


@compiled
def activate_loop(x, scale, shift, relu, y, choice, pooled):
    zero = x.dtype.type(0)
    for r in range(len(x)):
        for k in range(x.shape[1]):
            y[r, k] = x[r, k] * scale[k] + shift[k]
        if choice is not None:
            if not pooled:
                choice[r] = 0
            if relu:
                for k in range(x.shape[1]):
                    choice[r, k] = choice[r, k] if y[r, k] > zero else BLOCKED
        if relu:
            for k in range(x.shape[1]):
                y[r, k] = zero if y[r, k] <= zero else y[r, k]


@compiled
def gradient_sums_loop(dy, choice, x, mean, total, along):
    zero, g = dy.dtype.type(0), np.empty(dy.shape[1], dy.dtype)
    for r in range(len(dy)):
        for k in range(dy.shape[1]):
            g[k] = dy[r, k]
        if choice is not None:
            for k in range(dy.shape[1]):
                g[k] = zero if choice[r, k] == BLOCKED else g[k]
        for k in range(dy.shape[1]):
            total[k] += g[k]
        for k in range(dy.shape[1]):
            along[k] += g[k] * (x[r, k] - mean[k])


@compiled
def passed_sum_loop(dy, choice, total):
    zero = dy.dtype.type(0)
    for r in range(len(dy)):
        for k in range(dy.shape[1]):
            total[k] += zero if choice[r, k] == BLOCKED else dy[r, k]


@compiled
def spread_loop(dy, choice, step, scale, z, slope, constant, dz):
    n, height, width, channels = dy.shape
    zero, g = dz.dtype.type(0), np.empty(width * channels, dz.dtype)
    dy_rows, choice_rows = dy.reshape(n, height, len(g)), choice.reshape(n, height, len(g))
    run = dz.shape[2] * channels
    dz_rows = dz.reshape(n, dz.shape[1], run)
    for b in range(n):
        for r in range(dz.shape[1]):
            if z is None:
                dz_rows[b, r] = zero
            else:
                z_rows = z.reshape(n, dz.shape[1], run)
                for k in range(run):
                    dz_rows[b, r, k] = z_rows[b, r, k] * slope[k] + constant[k]
            p = r // step
            for j in range(step if p < height else 0):
                place = np.uint8((r - p * step) * step + j)
                for k in range(len(g)):
                    g[k] = dy_rows[b, p, k] if choice_rows[b, p, k] == place else zero
                if scale is not None:
                    for k in range(len(g)):
                        g[k] *= scale[k]
                for q in range(width):
                    for c in range(channels):
                        dz[b, r, q * step + j, c] += g[q * channels + c]
