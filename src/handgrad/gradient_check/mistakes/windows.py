"""Sliding windows: overlaps overwritten instead of added, ties paid more than once."""

import numpy as np

from ...functional import avg_pool2d_backward, avg_pool2d_forward
from ..verdict import Verdict


def ties(case):
    """Each entry alone may pass as a subgradient; all of them together pay the maximum several times."""
    if not case.check.ties_error:
        return None
    return Verdict(case.name, "ties-all-paid", "every tie of a maximum is paid the whole gradient: choose one of them (the "
                   "first), or share it out", "moving equal entries together changes y by less than the gradient says "
                   f"(error {case.check.ties_error:.2g})")


def overwritten(case):
    """Of the windows that an entry is in, only one is paid: the last or the first that was written."""
    if case.columns is None or case.y.ndim < 3:
        return None
    parts = case.dy[:, None, :] * case.columns[None]
    shape = case.y.shape
    # contributions per entry and window: channels (the last axis) of one window belong together
    parts = parts.reshape(len(case.dy), len(case.entries), -1, shape[-1]).sum(axis=-1)
    reached = (case.columns.reshape(len(case.entries), -1, shape[-1]) != 0).any(axis=-1)
    if (reached.sum(axis=1) < 2).all():
        return None
    order = {"last": reached.shape[1] - 1 - np.argmax(reached[:, ::-1], axis=1), "first": np.argmax(reached, axis=1)}
    for which, window in order.items():
        candidate = np.take_along_axis(parts, window[None, :, None], axis=2)[..., 0]
        if case.explains(candidate):
            return Verdict(case.name, "overlap-overwritten", f"of overlapping windows only one reaches {case.name}: add their "
                           "gradients with +=, do not assign", f"each entry equals the share of its {which} window alone")
    return None


def counted(case):
    """Divided by the number of windows that each entry is in."""
    if case.columns is None or case.y.ndim < 3:
        return None
    reached = (case.columns.reshape(len(case.entries), -1, case.y.shape[-1]) != 0).any(axis=-1).sum(axis=1)
    if reached.max(initial=0) > 1 and case.explains(case.expected / np.maximum(reached, 1)):
        return Verdict(case.name, "overlap-averaged", f"the gradient by {case.name} is averaged over overlapping windows: "
                       "add them up", "found · (windows an entry is in) is right everywhere")
    return None


def winners(case):
    """Maximum pooling whose gradient does not go to the winner of each window."""
    known = {**case.subject.defaults, **case.subject.kwargs}
    if case.y.ndim != 4 or case.array.ndim != 4 or "kernel_size" not in known or not case.complete:
        return None
    geometry = {k: known[k] for k in ("kernel_size", "stride", "padding") if k in known}
    _, cache = avg_pool2d_forward(case.array, **geometry)
    shared = np.stack([avg_pool2d_backward(dy.reshape(case.y.shape), cache)[0].ravel() for dy in case.dy])
    c = case.factor(shared[:, case.entries])
    if c is not None and case.factor(case.expected) is None:
        return Verdict(case.name, "winner-ignored", "every entry of a window is paid; only the largest one moves y",
                       f"dx equals {c:.6g} times average pooling's gradient in every entry")
    sums = [[avg_pool2d_forward(g, **geometry)[0] for g in gradients] for gradients in
            (case.analytic, case.expected_full)]
    if case.same(*map(np.stack, sums)):
        return Verdict(case.name, "winner-misplaced", "each window pays the right amount, but to another entry than the largest: "
                       "compare how argmax counts with how rows and columns are read", "right once summed over each window")
    return None
