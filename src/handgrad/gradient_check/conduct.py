"""How the code behaves, before its numbers: the same y twice, inputs untouched, gradients of the right shape."""

import numpy as np

from .verdict import CodeFault, Verdict

NUM_UPSTREAMS = 3


def check_conduct(subject, report, rng):
    """Run forward and backward; verdicts on conduct go to the report. Returns (upstreams, gradients per upstream)."""
    point = subject.at(np.float64)
    y = point.forward()
    check_output(y)
    check_repeatable(point, y)
    upstreams = draw_upstreams(subject, y, rng)
    untouched(point, subject, report, "forward")
    gradients = []
    for dy in upstreams:
        point.forward()
        given = dy.copy()
        gradients.append(point.backward(given))
        if not np.array_equal(given, dy):
            message = "the backward changes dy in place"
            report.verdicts.append(Verdict("", "input-modified", message, "dy differs after the call"))
    untouched(point, subject, report, "backward")
    return upstreams, [{n: keep(g) for n, g in found.items()} for found in gradients]


def keep(gradient):
    return None if gradient is None else np.array(gradient)


def check_output(y):
    if not np.isfinite(y).all():
        raise CodeFault("not-finite", "the forward gives NaN or infinity at these arrays: no gradient exists there",
                        evidence=f"{int((~np.isfinite(y)).sum())} of {y.size} numbers of y")


def check_repeatable(point, y):
    again = point.forward()
    if again.shape != y.shape:
        raise CodeFault("shape-changes", "for the same arrays the forward returned y of shape "
                        f"{y.shape}, then {again.shape}")
    if not np.array_equal(y, again):
        raise CodeFault("nondeterministic-forward", "the forward gives another y for the same arrays: pass rng in "
                        "kwargs (it is replayed), or seed it", evidence=f"y differs by up to {np.abs(y - again).max():.3g}")


def draw_upstreams(subject, y, rng):
    """Random upstream gradients; the number 1 where the code takes none."""
    if not subject.has_upstream:
        return [np.ones_like(y, dtype=np.float64)]
    return [rng.normal(size=y.shape) if y.ndim else np.asarray(rng.uniform(0.5, 2.0)) for _ in range(NUM_UPSTREAMS)]


def untouched(point, subject, report, part):
    fresh = subject.at(np.float64)
    for name in point.arrays:
        if not np.array_equal(point.arrays[name], fresh.arrays[name]):
            report.verdicts.append(Verdict(name, "input-modified", f"the {part} changes {name} in place",
                                           "the array differs after the call"))
            point.arrays[name][...] = fresh.arrays[name]
