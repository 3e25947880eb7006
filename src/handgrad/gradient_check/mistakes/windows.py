"""Sliding windows: overlaps overwritten instead of added, ties paid more than once."""

import itertools
from collections.abc import Iterator
from typing import Any

import numpy as np

from ...arrays import Array
from ...functional import avg_pool2d_backward, avg_pool2d_forward
from ..verdict import Verdict
from .case import Case


def ties(case: Case) -> Verdict | None:
    """Each entry alone may pass as a subgradient; all of them together pay the maximum several times."""
    error = case.check.ties_error
    if not error:
        return None
    message = "every tie of a maximum is paid the whole gradient: choose one of them (the first), or share it out"
    evidence = f"moving equal entries together changes y by less than the gradient says (error {error:.2g})"
    return case.verdict("ties-all-paid", message, evidence)


def overwritten(case: Case) -> Verdict | None:
    """Of the windows that an entry is in, only one is paid: the last or the first that was written."""
    if case.columns is None or case.y.ndim < 3:
        return None
    for channel in (case.y.ndim - 1, 1):
        parts = by_window(case, case.dy[:, None, :] * case.columns[None], channel).sum(axis=-1)
        reached = (by_window(case, case.columns[None], channel)[0] != 0).any(axis=-1)
        last = reached.shape[1] - 1 - np.argmax(reached[:, ::-1], axis=1)
        for which, window in (("last", last), ("first", np.argmax(reached, axis=1))):
            candidate = np.take_along_axis(parts, window[None, :, None], axis=2)[..., 0]
            if reached.sum(axis=1).max() > 1 and case.explains(candidate):
                message = f"of overlapping windows only one reaches {case.name}: add with +=, do not assign"
                evidence = f"each entry has the share of its {which} window alone"
                return case.verdict("overlap-overwritten", message, evidence)
    return None


def by_window(case: Case, values: Array, channel: int) -> Array:
    """values (..., outputs) as (..., windows, channels): the channels of one place belong to one window."""
    full = values.reshape(*values.shape[:2], *case.y.shape)
    return np.moveaxis(full, 2 + channel, -1).reshape(*values.shape[:2], -1, case.y.shape[channel])


def winners(case: Case) -> Verdict | None:
    """Maximum pooling whose gradient does not go to the winner of each window."""
    if case.y.ndim != 4 or case.array.ndim != 4 or not case.complete:
        return None
    return next(filter(None, (unpaid(case, *found) for found in geometries(case))), None)


def geometries(case: Case) -> Iterator[tuple[tuple[int, ...], dict[str, Any]]]:
    """(axes that put channels last, kernel, stride, padding) of every pooling that could give y's shape."""
    known = case.keywords
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


def unpaid(case: Case, layout: tuple[int, ...], geometry: dict[str, Any]) -> Verdict | None:
    """The verdict if the gradient is wrong within windows of this geometry."""
    _, cache = avg_pool2d_forward(case.array.transpose(layout), **geometry)
    shared = [avg_pool2d_backward(dy.transpose(layout), cache)[0].transpose(np.argsort(layout)) for dy in case.dy_full]
    c = case.factor(case.pick(shared))
    if c is not None and case.factor(case.expected) is None:
        evidence = f"dx equals {c:.6g} times average pooling's gradient in every entry"
        return case.verdict("winner-ignored", "every entry of a window is paid; only the largest moves y", evidence)

    def sums(gradients: list[Array]) -> Array:
        return np.stack([avg_pool2d_forward(g.transpose(layout), **geometry)[0] for g in gradients])

    if case.same(sums(case.analytic), sums(case.expected_full)):
        message = (
            "each window pays the right amount, but to another entry than the largest: compare how argmax counts with "
            "how rows and columns are read"
        )
        return case.verdict("winner-misplaced", message, "right once summed over each window")
    return None
