"""Gradients of another shape than their array, or none at all."""

import itertools

import numpy as np

from ..verdict import Verdict
from .arrangement import extra_product
from .case import ratio


def misshapen(case):
    """What became of a gradient whose shape is wrong; None where the shape is right."""
    a, shape = case.analytic[0], case.array.shape
    if a is None:
        return Verdict(
            case.name, "gradient-missing", f"the backward gives None where the gradient by {case.name} is due"
        )
    if a.shape == shape:
        return not_finite(case, a)
    said = f"the gradient by {case.name} has shape {a.shape}, but {case.name} has {shape}"
    if not np.isfinite(a).all():
        return Verdict(case.name, "wrong-shape", said)
    for hypothesis in SHAPES:
        verdict = hypothesis(case, a, said)
        if verdict is not None:
            return verdict
    return Verdict(case.name, "wrong-shape", said, f"{a.size} numbers instead of {case.array.size}")


def not_finite(case, a):
    bad = ~np.isfinite(a)
    if not bad.any():
        return None
    first = ", ".join(str(int(i[0])) for i in np.nonzero(bad))
    return Verdict(
        case.name,
        "not-finite",
        f"the gradient by {case.name} has {int(bad.sum())} NaN or infinite numbers of {a.size}: a division by zero, "
        "an overflow or a log of zero",
        f"the first at {case.name}[{first}]",
    )


def others(case, a, said):
    """Another array's gradient in this one's place."""
    for other, array in case.arrays.items():
        if other != case.name and array.shape == a.shape:
            numeric = case.numbers.entries(other, np.arange(array.size))
            if case.same(np.stack([g.ravel() for g in case.analytic]), numeric.values):
                return Verdict(
                    case.name,
                    "swapped-gradients",
                    f"this is the gradient by {other}, returned in {case.name}'s place: gradients come in the order "
                    "of the forward's arrays",
                    "equal to it in every entry",
                )
    return None


def fits(case, moved):
    """Whether these arrays, of the right shape, are the expected gradients up to a factor."""
    if np.shape(moved[0]) != case.array.shape:
        return False
    return ratio(case.pick(moved), case.expected, case.tolerance) is not None


def same_numbers(case, a, said):
    if a.size != case.array.size:
        return None
    if a.ndim == case.array.ndim:
        for axes in itertools.permutations(range(a.ndim)):
            if a.transpose(axes).shape == case.array.shape and fits(case, [g.transpose(axes) for g in case.analytic]):
                return Verdict(
                    case.name, "transposed", f"{said}: it is transposed", "its numbers are right once transposed"
                )
    if fits(case, [g.reshape(case.array.shape) for g in case.analytic]):
        return Verdict(case.name, "wrong-shape", f"{said}; its numbers are right, reshape it", "right in every entry")
    return None


def not_summed(case, a, said):
    """Right once summed over axes that were kept, the batch's above all."""
    for n in range(1, a.ndim + 1):
        for axes in itertools.combinations(range(a.ndim), n):
            for keepdims in (False, True):
                total = [g.sum(axis=axes, keepdims=keepdims) for g in case.analytic]
                if total[0].size == case.array.size and case.same(case.pick(total), case.expected):
                    return Verdict(
                        case.name,
                        "not-summed",
                        f"{said}: sum over axis {', '.join(map(str, axes))}, because every example uses the same "
                        f"{case.name}",
                        "right in every entry once summed",
                    )
    return None


def padding_kept(case, a, said):
    """Right once the rim is cut off."""
    if a.ndim < 3 or a.ndim != case.array.ndim:
        return None
    extra = np.subtract(a.shape, case.array.shape)
    if (extra < 0).any():
        return None
    for before in (extra // 2, extra * 0, extra):
        cut = tuple(slice(int(b), int(b) + n) for b, n in zip(before, case.array.shape, strict=True))
        if fits(case, [g[cut] for g in case.analytic]):
            return Verdict(
                case.name,
                "padding-kept",
                f"{said}: it still has the padding; cut it off",
                f"right in every entry once cropped by {tuple(int(b) for b in before)}",
            )
    return None


def padding_cut(case, a, said):
    """The inner part of what is due."""
    if a.ndim < 3 or a.ndim != case.array.ndim or not case.complete:
        return None
    lost = np.subtract(case.array.shape, a.shape)
    if (lost < 0).any():
        return None
    cut = tuple(slice(int(b // 2), int(b // 2) + n) for b, n in zip(lost, a.shape, strict=True))
    if all(case.same(g, e[cut]) for g, e in zip(case.analytic, case.expected_full, strict=True)):
        return Verdict(
            case.name, "padding-cut", f"{said}: padding is cut off that was never added", "its numbers are right"
        )
    return None


def wrong_axis(case, a, said):
    """dy, or what should have been summed, summed over another axis."""
    for n in range(1, case.y.ndim + 1):
        for axes in itertools.combinations(range(case.y.ndim), n):
            sums = [np.squeeze(dy.sum(axis=axes)) for dy in case.upstreams]
            if (
                sums[0].shape == np.squeeze(a).shape
                and sums[0].ndim
                and all(ratio(np.squeeze(g), s) is not None for g, s in zip(case.analytic, sums, strict=True))
            ):
                return Verdict(
                    case.name,
                    "wrong-axis",
                    f"{said}: dy was summed over axis {', '.join(map(str, axes))}, which leaves the wrong one",
                    "equal to that sum of dy",
                )
    return None


def summed_too_far(case, a, said):
    if not case.complete:
        return None
    for n in range(1, case.array.ndim + 1):
        for axes in itertools.combinations(range(case.array.ndim), n):
            sums = [g.sum(axis=axes) for g in case.expected_full]
            if sums[0].size == a.size and all(
                ratio(g.ravel(), s.ravel()) is not None for g, s in zip(case.analytic, sums, strict=True)
            ):
                return Verdict(
                    case.name,
                    "wrong-axis",
                    f"{said}: it is summed over axis {', '.join(map(str, axes))}, which {case.name} has",
                    "equal to that sum of what is due",
                )
    return None


def spread(case, a, said):
    """Broadcasting made it larger: two shapes such as (N,) and (N, 1) met."""
    if a.size <= case.array.size or a.size % case.array.size:
        return None
    return Verdict(
        case.name,
        "broadcast",
        f"{said}: two arrays of different shapes were broadcast, as (N,) and (N, 1) become (N, N); give them the same "
        "shape",
        f"{a.size} numbers instead of {case.array.size}",
    )


SHAPES = (
    others,
    lambda case, a, said: extra_product(case),
    same_numbers,
    not_summed,
    padding_kept,
    padding_cut,
    wrong_axis,
    summed_too_far,
    spread,
)
