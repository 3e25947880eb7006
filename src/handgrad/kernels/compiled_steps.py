"""Functions of `plain` by the compiled loops, for what is done outside a sweep."""

import numpy as np

from . import compiled

NO_CHOICE = np.empty((0, 1), np.uint8)


def moments(scratch, x):
    """Count, mean and Σ (x - mean)² per channel."""
    mean, squares = np.empty((2, x.shape[3]), x.dtype)
    compiled.moments_of(rows(x), mean, squares)
    return x.size // x.shape[3], mean, squares


def activate(x, scale, shift, relu, y, choice=None, pooled=False):
    """y = scale x + shift, then ReLU; choice is narrowed to where ReLU lets through, or begun where nothing pooled."""
    compiled.activate_rows(rows(x), scale, shift, relu, rows(y), NO_CHOICE if choice is None else rows(choice), pooled)


def gradient_sums(scratch, dy, choice, x, mean):
    """Σ g and Σ g (x - mean) per channel, where g is what passes of dy; choice None: all of it."""
    total, along = np.zeros((2, len(mean)), dy.dtype)
    compiled.add_gradient_sums(rows(dy), NO_CHOICE if choice is None else rows(choice), rows(x), mean, total, along)
    return total.reshape(-1, dy.shape[3]).sum(axis=0), along.reshape(-1, dy.shape[3]).sum(axis=0)


def spread_affine(scratch, dy, choice, pool, scale, z, slope, constant, dz):
    """dz = slope z + constant, plus scale dy at the place it passes to; choice None: everywhere."""
    chosen = np.empty((0, *dy.shape[1:]), np.uint8) if choice is None else choice
    compiled.spread_rows(dy, chosen, pool[0], scale, z, slope, constant, dz)


def rows(x):
    return x.reshape(-1, x.shape[2] * x.shape[3])
