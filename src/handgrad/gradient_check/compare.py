"""One array's gradient against the numeric one: entry by entry, and along random directions."""

import numpy as np

from .kinks import accept_kinks
from .verdict import ArrayCheck, Verdict

EXACT_THRESHOLD = 1e-9
DIFFERENCE_THRESHOLD = 1e-7


def compare_array(subject, report, numbers, upstreams, gradients, name, entries):
    """Add this array's ArrayCheck to the report, and a verdict when it is wrong."""
    array = numbers.real.arrays[name]
    check = ArrayCheck(name, array.shape, numbers.methods[name])
    report.arrays[name] = check
    analytic = [found[name] for found in gradients]
    numeric = numbers.entries(name, entries)
    check.num_checked = len(entries)
    check.numeric = np.full(array.shape, np.nan)
    check.numeric.flat[entries] = numeric.values[0]
    check.analytic = analytic[0]
    fault = shape_fault(analytic[0], array, name)
    if fault is None:
        fault = number_fault(check, numbers, upstreams, analytic, numeric, array)
    if fault is not None:
        check.ok = False
        report.verdicts.append(fault)


def shape_fault(analytic, array, name):
    if analytic is None:
        return Verdict(name, "missing-gradient", f"the backward gives None where the gradient by {name} is due")
    if analytic.shape != array.shape:
        return Verdict(name, "wrong-shape", f"the gradient has shape {analytic.shape}, but {name} has {array.shape}")
    if not np.isfinite(analytic).all():
        count = int((~np.isfinite(analytic)).sum())
        return Verdict(name, "not-finite", f"{count} of {analytic.size} numbers of the gradient are NaN or infinite")
    return None


def number_fault(check, numbers, upstreams, analytic, numeric, array):
    found = np.stack([a.ravel()[numeric.entries] for a in analytic])
    kinked = accept_kinks(check, numbers, numeric, found)
    check.error = relative_error(found[:, ~kinked], numeric.values[:, ~kinked])
    check.threshold = threshold(numeric)
    if check.error > check.threshold:
        return Verdict(check.name, "unexplained", f"the gradient is wrong (error {check.error:.2g})")
    return None


def threshold(numeric):
    if numeric.method == "complex step":
        return EXACT_THRESHOLD
    size = np.linalg.norm(numeric.values)
    return max(DIFFERENCE_THRESHOLD, 10 * np.linalg.norm(numeric.errors) / size if size else 0.0)


def relative_error(a, n):
    """|a - n| / (|a| + |n|) by norm, the worst of the upstream gradients (rows)."""
    sizes = np.linalg.norm(a, axis=1) + np.linalg.norm(n, axis=1)
    off = np.linalg.norm(a - n, axis=1)
    return float(np.max(off / np.where(sizes == 0, 1, sizes), initial=0.0))
