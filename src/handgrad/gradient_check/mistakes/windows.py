"""Sliding windows: overlaps overwritten instead of added, ties paid more than once."""

import itertools

import numpy as np

from ...functional import avg_pool2d_backward, avg_pool2d_forward
from ..verdict import Verdict


def ties(case):
    """Each entry alone may pass as a subgradient; all of them together pay the maximum several times."""
    if not case.check.ties_error:
        return None
    return Verdict(
        case.name,
        "ties-all-paid",
        "every tie of a maximum is paid the whole gradient: choose one of them (the first), or share it out",
        f"moving equal entries together changes y by less than the gradient says (error {case.check.ties_error:.2g})",
    )


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
                    case.name,
                    "overlap-overwritten",
                    f"of overlapping windows only one reaches {case.name}: add their gradients with +=, do not assign",
                    f"each entry has the share of its {which} window alone",
                )
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
                case.name,
                "overlap-averaged",
                f"the gradient by {case.name} is averaged over overlapping windows: add them up",
                "found · (windows an entry is in) is right everywhere",
            )
    return None


def winners(case):
    """Maximum pooling whose gradient does not go to the winner of each window."""
    if case.y.ndim != 4 or case.array.ndim != 4 or not case.complete:
        return None
    return next(filter(None, (unpaid(case, *found) for found in geometries(case))), None)


def geometries(case):
    """(axes that put channels last, kernel, stride, padding) of every pooling that could give y's shape."""
    known = {**case.subject.defaults, **case.subject.kwargs}
    for layout in ((0, 1, 2, 3), (0, 2, 3, 1)):
        (n, *size, c), (m, *out, d) = ([a.shape[i] for i in layout] for a in (case.array, case.y))
        if (n, c) != (m, d):
            continue
        if "kernel_size" in known:
            yield layout, {k: known[k] for k in ("kernel_size", "stride", "padding") if k in known}
            continue
        for kernel, stride in itertools.product((2, 3, 4), (1, 2, 3, 4)):
            if all((length - kernel) // stride + 1 == o for length, o in zip(size, out, strict=True)):
                yield layout, {"kernel_size": kernel, "stride": stride}


def unpaid(case, layout, geometry):
    """The verdict if the gradient is wrong within windows of this geometry."""

    def pooled(array):
        return avg_pool2d_forward(array.transpose(layout), **geometry)

    back = np.argsort(layout)
    _, cache = pooled(case.array)
    shared = np.stack(
        [
            avg_pool2d_backward(dy.reshape(case.y.shape).transpose(layout), cache)[0].transpose(back).ravel()
            for dy in case.dy
        ]
    )
    c = case.factor(shared[:, case.entries])
    if c is not None and case.factor(case.expected) is None:
        return Verdict(
            case.name,
            "winner-ignored",
            "every entry of a window is paid; only the largest one moves y",
            f"dx equals {c:.6g} times average pooling's gradient in every entry",
        )
    sums = [[pooled(g)[0] for g in gradients] for gradients in (case.analytic, case.expected_full)]
    if case.same(*map(np.stack, sums)):
        return Verdict(
            case.name,
            "winner-misplaced",
            "each window pays the right amount, but to another entry than the largest: compare how argmax counts "
            "with how rows and columns are read",
            "right once summed over each window",
        )
    return None
