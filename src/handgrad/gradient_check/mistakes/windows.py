"""Sliding windows: overlaps overwritten instead of added, ties paid more than once."""

import numpy as np

from ...functional import avg_pool2d_backward, avg_pool2d_forward
from ..verdict import Verdict


def ties(case):
    """Each entry alone may pass as a subgradient; all of them together pay the maximum several times."""
    if not case.check.ties_error:
        return None
    return Verdict(
        case.name, "ties-all-paid",
        "every tie of a maximum is paid the whole gradient: choose one of them (the first), or share it out",
        f"moving equal entries together changes y by less than the gradient says (error {case.check.ties_error:.2g})")


def overwritten(case):
    """Of the windows that an entry is in, only one is paid: the last or the first that was written."""
    if case.columns is None or case.y.ndim < 3:
        return None
    for channel in (case.y.ndim - 1, 1):
        parts = by_window(case, case.dy[:, None, :] * case.columns[None], channel).sum(axis=-1)
        reached = (by_window(case, case.columns[None], channel)[0] != 0).any(axis=-1)
        last = reached.shape[1] - 1 - np.argmax(reached[:, ::-1], axis=1)
        order = {"last": last, "first": np.argmax(reached, axis=1)}
        for which, window in order.items():
            candidate = np.take_along_axis(parts, window[None, :, None], axis=2)[..., 0]
            if reached.sum(axis=1).max() > 1 and case.explains(candidate):
                return Verdict(
                    case.name, "overlap-overwritten",
                    f"of overlapping windows only one reaches {case.name}: add their gradients with +=, do not assign",
                    f"each entry has the share of its {which} window alone")
    return None


def by_window(case, values, channel):
    """values (..., outputs) as (..., windows, channels): the channels of one place belong to one window."""
    full = values.reshape(*values.shape[:2], *case.y.shape)
    return np.moveaxis(full, 2 + channel, -1).reshape(*values.shape[:2], -1, case.y.shape[channel])


def counted(case):
    """Divided by the number of windows that each entry is in."""
    if case.columns is None or case.y.ndim < 3:
        return None
    for channel in (case.y.ndim - 1, 1):
        reached = (by_window(case, case.columns[None], channel)[0] != 0).any(axis=-1).sum(axis=1)
        if reached.max(initial=0) > 1 and case.explains(case.expected / np.maximum(reached, 1)):
            return Verdict(
                case.name, "overlap-averaged",
                f"the gradient by {case.name} is averaged over overlapping windows: add them up",
                "found · (windows an entry is in) is right everywhere")
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
        return Verdict(
            case.name, "winner-ignored", "every entry of a window is paid; only the largest one moves y",
            f"dx equals {c:.6g} times average pooling's gradient in every entry")
    sums = [[avg_pool2d_forward(g, **geometry)[0] for g in gradients] for gradients in
            (case.analytic, case.expected_full)]
    if case.same(*map(np.stack, sums)):
        return Verdict(
            case.name, "winner-misplaced",
            "each window pays the right amount, but to another entry than the largest: compare how argmax counts "
            "with how rows and columns are read", "right once summed over each window")
    return None
