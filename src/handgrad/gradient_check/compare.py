"""One array's gradient against the numeric one: entry by entry, then all entries at once along directions."""

import numpy as np

from .directions import check_directions
from .kinks import accept_kinks, crossings
from .verdict import ArrayCheck

EXACT_THRESHOLD = 1e-9
DIFFERENCE_THRESHOLD = 1e-7


def compare_array(subject, numbers, upstreams, gradients, name, entries, floor):
    """(ArrayCheck, Numeric) of one array; check.ok says whether its numbers agree."""
    array = numbers.real.arrays[name]
    check = ArrayCheck(name, array.shape, numbers.methods[name])
    analytic = [found[name] for found in gradients]
    check.analytic = analytic[0]
    numeric = numbers.entries(name, entries)
    if usable(analytic, array):
        found = at_entries(analytic, entries)
        if numbers.mistrusts(name, numeric, found, floor):
            numeric = numbers.entries(name, entries)
        judge_entries(subject, check, numbers, upstreams, numeric, found, floor)
        if check.ok:
            check_directions(subject, check, numbers, upstreams, analytic, floor)
    else:
        check.ok = False
    record(check, numbers, numeric)
    return check, numeric


def usable(analytic, array):
    """Whether the gradient has numbers that can be compared."""
    return all(a is not None and a.shape == array.shape and np.isfinite(a).all() for a in analytic)


def at_entries(analytic, entries):
    return np.stack([a.ravel()[entries] for a in analytic])


def judge_entries(subject, check, numbers, upstreams, numeric, found, floor):
    """Set the error, the threshold and the kinks of the entries checked one by one."""
    check.method, check.num_checked = numeric.method, len(numeric.entries)
    check.threshold = EXACT_THRESHOLD if numeric.method == "complex step" else DIFFERENCE_THRESHOLD
    check.error = relative_error(found, numeric.values)
    if check.error > check.threshold:
        kinked = accept_kinks(subject, check, numbers, upstreams, numeric, found)
        noise = np.maximum(floor, 5 * np.linalg.norm(numeric.errors, axis=1))
        check.error = relative_error(found[:, ~kinked], numeric.values[:, ~kinked], noise)
    check.kinks += crossings(check, numbers, numeric)
    check.ok = check.error <= check.threshold


def record(check, numbers, numeric):
    check.method, check.num_checked = numbers.methods[check.name], len(numeric.entries)
    check.numeric = np.full(check.shape, np.nan)
    check.numeric.flat[numeric.entries] = numeric.values[0]


def relative_error(a, n, noise=0.0):
    """|a - n| / (|a| + |n|) by norm, the worst of the upstream gradients (rows); differences below noise are none."""
    sizes = np.linalg.norm(a, axis=1) + np.linalg.norm(n, axis=1)
    off = np.linalg.norm(a - n, axis=1)
    return float(np.max(np.where(off <= noise, 0, off / np.where(sizes == 0, 1, sizes)), initial=0.0))


def rounding_floors(subject, upstreams, gradients, fresh_gradients, rng):
    """{name: how far its gradient moves when every array is rounded anew}: a difference below it says nothing.

    It matters where the true gradient is zero, as by a bias before batch norm: what is left there is rounding.
    """
    point = subject.at(np.float64)
    for array in point.arrays.values():
        array *= 1 + 4 * np.finfo(float).eps * rng.choice((-1, 1), size=array.shape)
    moved = fresh_gradients(subject, upstreams[0], point)
    sizes = [np.linalg.norm(g) for g in gradients[0].values() if g is not None and np.isfinite(g).all()]
    cap = 1e-9 * max(sizes, default=0.0)
    return {name: floor_of(gradients[0][name], moved[name], cap) for name in subject.names}


def floor_of(gradient, moved, cap):
    if gradient is None or moved is None or np.shape(gradient) != np.shape(moved):
        return 0.0
    noise = np.linalg.norm(gradient - moved)
    return float(min(30 * noise + 1e-15, cap)) if np.isfinite(noise) else 0.0
