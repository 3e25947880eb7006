"""The right numbers in the wrong place or shape: transposed, flipped, shifted, not summed, or only some of them."""

import itertools

import numpy as np

from ..verdict import Verdict
from .case import ratio


def transposed(case):
    """The same axes in another order (only possible where sizes agree)."""
    for axes in itertools.permutations(range(case.array.ndim)):
        if axes != tuple(range(case.array.ndim)) and moved_fits(case, lambda a, axes=axes: a.transpose(axes)):
            return Verdict(
                case.name,
                "transposed",
                f"the gradient by {case.name} is transposed",
                f"with its axes in the order {axes} it is right in all {len(case.entries)} entries",
            )
    return None


def moved_fits(case, move):
    """Whether found, put back by `move`, is what is expected; a constant factor is let pass."""
    moved = [move(a) for a in case.analytic]
    if moved[0].shape != case.array.shape:
        return False
    return case.same(case.pick(moved), case.expected)


def flipped(case):
    """Some axes run backwards."""
    shape = case.array.shape
    candidates = [axes for n in (2, 1, 3) for axes in itertools.combinations(range(case.array.ndim), n)]
    for axes in candidates:
        if all(shape[a] > 1 for a in axes) and moved_fits(case, lambda a, axes=axes: np.flip(a, axes)):
            slug = "flipped-kernel" if case.array.ndim > 2 else "reversed"
            what = (
                "the kernel is flipped: convolution here means cross-correlation, without a flip"
                if slug == "flipped-kernel"
                else "its entries are in reverse order"
            )
            return Verdict(
                case.name,
                slug,
                f"in the gradient by {case.name} {what}",
                f"flipped along axes {axes} it is right in all {len(case.entries)} entries",
            )
    return None


def shifted(case):
    """Everything one or two places along an axis; what left at one end may have come in at the other, or be lost."""
    n = case.array.ndim
    single = [((axis,), (step,)) for axis in range(n) for step in (1, -1, 2, -2)]
    double = [((1, 2), (i, j)) for i in (1, -1, 2, -2) for j in (1, -1, 2, -2)] if n == 4 else []
    for axes, steps in single + double:
        if shift_fits(case, axes, steps):
            by, along = (", ".join(map(str, group)) for group in (steps, axes))
            return Verdict(
                case.name,
                "shifted",
                f"the gradient by {case.name} is shifted by {by} along axis {along}: an offset (padding, stride, an "
                "index) is wrong",
                f"moved back by {by} it is right where it overlaps",
            )
    return None


def shift_fits(case, axes, steps):
    index, inside = np.unravel_index(case.entries, case.array.shape), np.ones(len(case.entries), bool)
    for axis, step in zip(axes, steps, strict=True):
        inside &= (index[axis] + step >= 0) & (index[axis] + step < case.array.shape[axis])
    if inside.sum() < 4 or not np.any(case.expected[:, inside]):
        return False
    moved = case.pick([np.roll(a, [-s for s in steps], axes) for a in case.analytic])
    return case.same(moved[:, inside], case.expected[:, inside])


def reshaped(case):
    """A reshape where a transpose was due, or the other way round."""
    shape = case.array.shape
    for axes in itertools.permutations(range(len(shape))):
        back = np.argsort(axes)
        sizes = tuple(shape[a] for a in axes)
        moves = (lambda a, s=sizes, b=back: a.reshape(s).transpose(b), lambda a, x=axes: a.transpose(x).reshape(shape))
        if axes != tuple(range(len(shape))) and any(moved_fits(case, move) for move in moves):
            return Verdict(
                case.name,
                "reshaped",
                f"the numbers of the gradient by {case.name} are laid out in another order: a reshape does not move "
                "axes, transpose does",
                f"right in all {len(case.entries)} entries once the axes {axes} are moved",
            )
    return None


def swapped(case):
    """Another array's gradient."""
    for other, array in case.arrays.items():
        if other == case.name or array.shape != case.array.shape:
            continue
        numeric = case.numbers.entries(other, case.entries)
        if case.same(case.found, numeric.values):
            return Verdict(
                case.name,
                "swapped-gradients",
                f"this is the gradient by {other}, returned in {case.name}'s place: gradients come in the order of "
                "the forward's arrays",
                "equal to it in every entry checked",
            )
    return None


def partly_missing(case):
    """Right in some entries, zero in the others: say which."""
    zero = ~case.found.any(axis=0)
    due = case.expected.any(axis=0)
    wrong = zero & due
    if not wrong.any() or wrong.all() or not case.same(case.found[:, ~wrong], case.expected[:, ~wrong]):
        return None
    if not case.found[:, ~wrong].any():
        return None
    index = np.unravel_index(case.entries, case.array.shape)
    for axis, where in enumerate(index):
        missing, present = set(where[wrong].tolist()), set(where[~wrong & due].tolist())
        if not missing & present:
            places = ", ".join(map(str, sorted(missing)[:6])) + (", ..." if len(missing) > 6 else "")
            return Verdict(
                case.name,
                "partly-missing",
                f"the gradient by {case.name} is zero at positions {places} of axis {axis}: a loop or a slice stops "
                "short",
                "right in every other entry",
            )
    return Verdict(
        case.name,
        "partly-missing",
        f"the gradient by {case.name} is zero in {int(wrong.sum())} entries where it is due, and right in the others",
        case.deviates_most(),
    )


def averaged(case):
    """The same number along an axis along which the right gradient varies: its sum or mean was spread."""
    if not case.complete or case.array.ndim == 0:
        return None
    full = case.expected_full
    for n in range(1, case.array.ndim + 1):
        for axes in itertools.combinations(range(case.array.ndim), n):
            for how, words in ((np.sum, "summed"), (np.mean, "averaged")):
                spread = [np.broadcast_to(how(g, axis=axes, keepdims=True), g.shape) for g in full]
                if case.explains(case.pick(spread)):
                    return Verdict(
                        case.name,
                        "wrong-axis",
                        f"the gradient by {case.name} is {words} over axis {', '.join(map(str, axes))} and spread "
                        f"again: {case.name} keeps that axis",
                        "equal to that in every entry",
                    )
    return None


def index_repeated(case):
    """One index used twice: a[i, j] holds what belongs to [j, j] or [i, i]."""
    if not case.complete or case.array.ndim < 2 or case.array.shape[0] != case.array.shape[1]:
        return None
    n = np.arange(case.array.shape[0])
    for slip, index in (("[j, j]", n[None, :]), ("[i, i]", n[:, None])):
        wrong = [np.broadcast_to(g[index, index], g.shape) for g in case.expected_full]
        if case.explains(case.pick(wrong)):
            return Verdict(
                case.name,
                "index-repeated",
                f"an index is used twice in the gradient by {case.name}: {slip} stands where [i, j] is due",
                f"equal to that in all {len(case.entries)} entries",
            )
    return None


def extra_product(case):
    """The right gradient multiplied by another matrix of the forward."""
    if not case.complete or case.array.ndim != 2 or case.analytic[0].ndim != 2:
        return None
    for other, matrix in case.arrays.items():
        if matrix.ndim != 2:
            continue
        for factor, word in ((matrix, other), (matrix.T, other + "ᵀ")):
            for side in ("right", "left"):
                if product_fits(case, factor, side):
                    return Verdict(
                        case.name,
                        "extra-product",
                        f"the gradient by {case.name} is multiplied by {word} from the {side}, which does not belong "
                        "there",
                        "right without it, for every upstream gradient",
                    )
    return None


def product_fits(case, factor, side):
    first, second = (case.expected_full[0], factor) if side == "right" else (factor, case.expected_full[0])
    if first.shape[1] != second.shape[0]:
        return False
    products = [g @ factor if side == "right" else factor @ g for g in case.expected_full]
    return products[0].shape == case.analytic[0].shape and all(map(case.same, case.analytic, products))


def skip_missing(case):
    """dy itself is missing, or there once too often: a connection around the function, y = x + f(x)."""
    if case.y.shape != case.array.shape:
        return None
    dy = case.dy[:, case.entries]
    for words, candidate in (
        ("dy is missing from dx: the way around, y = x + f(x), has a gradient too", case.expected - dy),
        ("dy is in dx once too often: the way around is counted twice", case.expected + dy),
    ):
        if case.explains(candidate):
            return Verdict(
                case.name, "skip-missing", words, f"found - expected = ∓dy in all {len(case.entries)} entries"
            )
    return None


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
