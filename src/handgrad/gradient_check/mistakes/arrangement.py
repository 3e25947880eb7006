"""The right numbers in the wrong place or shape: transposed, flipped, shifted, not summed, in another window."""

import itertools
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from ...arrays import Array
from ...functional import avg_pool2d_backward, avg_pool2d_forward
from ..verdict import Verdict
from .case import EQUAL, Candidate, Case, named_axes, ratio


def transposed(case: Case) -> Verdict | None:
    """The same axes in another order (only possible where sizes agree)."""
    for axes in orders_of_axes(case.array):
        if moved_fits(case, [a.transpose(axes) for a in case.analytic]):
            evidence = f"with its axes in the order {axes} it is right {case.everywhere}"
            return case.verdict("transposed", f"{case.label} is transposed", evidence)
    return None


def orders_of_axes(array: Array) -> list[tuple[int, ...]]:
    """Every order of its axes but the one that they have."""
    return [*itertools.permutations(range(array.ndim))][1:]


def groups_of_axes(ndim: int) -> Iterator[tuple[int, ...]]:
    """Every choice of axes, single ones first."""
    for n in range(1, ndim + 1):
        yield from itertools.combinations(range(ndim), n)


def moved_fits(case: Case, moved: Sequence[Array]) -> bool:
    """Whether the gradients found, moved back, are what is expected."""
    return moved[0].shape == case.array.shape and case.same(case.pick(moved), case.expected)


def flipped(case: Case) -> Verdict | None:
    """Some axes run backwards."""
    for axes in (axes for n in (2, 1, 3) for axes in itertools.combinations(range(case.array.ndim), n)):
        if all(case.array.shape[a] > 1 for a in axes) and moved_fits(case, [np.flip(g, axes) for g in case.analytic]):
            mistake, what = "reversed", "the entries are in reverse order"
            if case.array.ndim == 4 and axes in ((0, 1), (2, 3)):
                mistake, what = "flipped-kernel", "the kernel is flipped"
            evidence = f"flipped along axes {axes} it is right {case.everywhere}"
            return case.verdict(mistake, f"in {case.label} {what}", evidence)
    return None


def shifted(case: Case) -> Verdict | None:
    """Everything one or two places along an axis; what left at one end may have come in at the other, or be lost."""
    n, places = case.array.ndim, (1, -1, 2, -2)
    shifts: list[tuple[Sequence[int], Sequence[int]]] = [((axis,), (step,)) for axis in range(n) for step in places]
    shifts += [((1, 2), steps) for steps in itertools.product(places, places)] if n == 4 else []
    for axes, steps in shifts:
        if shift_fits(case, axes, steps):
            by, along = (", ".join(map(str, group)) for group in (steps, axes))
            message = f"{case.label} is shifted by {by} along axis {along}, as where a padding, stride or index is off"
            return case.verdict("shifted", message, f"moved back by {by} it is right where it overlaps")
    return None


def shift_fits(case: Case, axes: Sequence[int], steps: Sequence[int]) -> bool:
    index, inside = np.unravel_index(case.entries, case.array.shape), np.ones(len(case.entries), bool)
    for axis, step in zip(axes, steps, strict=True):
        inside &= (index[axis] + step >= 0) & (index[axis] + step < case.array.shape[axis])
    if inside.sum() < 4 or not np.any(case.expected[:, inside]):
        return False
    moved = case.pick([np.roll(a, [-s for s in steps], axes) for a in case.analytic])
    return case.same(moved[:, inside], case.expected[:, inside])


def reshaped(case: Case) -> Verdict | None:
    """A reshape where a transpose was due, or the other way round."""
    shape = case.array.shape
    for axes in orders_of_axes(case.array):
        back, sizes = np.argsort(axes), tuple(shape[a] for a in axes)
        if moved_fits(case, [a.reshape(sizes).transpose(back) for a in case.analytic]) or moved_fits(
            case, [a.transpose(axes).reshape(shape) for a in case.analytic]
        ):
            message = f"the numbers of {case.label} are in another order: reshape moves no axes, transpose does"
            return case.verdict("reshaped", message, f"right {case.everywhere} once the axes {axes} are moved")
    return None


def partly_missing(case: Case) -> Verdict | None:
    """Right in some entries, zero in the others: say which."""
    due = case.expected.any(axis=0)
    wrong = ~case.found.any(axis=0) & due
    if not wrong.any() or wrong.all() or not case.same(case.found[:, ~wrong], case.expected[:, ~wrong]):
        return None
    if not case.found[:, ~wrong].any():
        return None
    message = f"{case.label} is zero in {int(wrong.sum())} entries where it is due, right elsewhere"
    evidence = case.deviates_most()
    for axis, where in enumerate(np.unravel_index(case.entries, case.array.shape)):
        missing, present = set(where[wrong].tolist()), set(where[~wrong & due].tolist())
        if not missing & present:
            places = ", ".join(map(str, sorted(missing)[:6])) + (", ..." if len(missing) > 6 else "")
            where_zero = f"index {places} of axis {axis}"
            message = f"{case.label} is zero at {where_zero}, as where a loop or a slice stops short"
            evidence = "right in every other entry"
            break
    return case.verdict("partly-missing", message, evidence)


def index_repeated(case: Case) -> Verdict | None:
    """One index used twice: a[i, j] holds what belongs to [j, j] or [i, i]."""
    if not case.complete or case.array.ndim < 2 or case.array.shape[0] != case.array.shape[1]:
        return None
    n = np.arange(case.array.shape[0])
    slips = (("[j, j]", n[None, :]), ("[i, i]", n[:, None]))
    candidates = (
        Candidate(
            "index-repeated",
            f"an index is used twice in {case.label}: {slip} stands where [i, j] is due",
            case.pick([np.broadcast_to(g[index, index], g.shape) for g in case.expected_full]),
        )
        for slip, index in slips
    )
    return case.named(candidates, EQUAL)


def extra_product(case: Case) -> Verdict | None:
    """The right gradient multiplied by another matrix of the forward."""
    if not case.complete or case.array.ndim != 2 or case.analytic[0].ndim != 2:
        return None
    matrices = [(name, a) for name, a in case.arrays.items() if a.ndim == 2]
    factors = [pair for name, a in matrices for pair in ((name, a), (f"{name}ᵀ", a.T))]
    for (word, factor), side in itertools.product(factors, ("right", "left")):
        if product_fits(case, factor, side):
            message = f"{case.label} is multiplied by {word} from the {side}, which does not belong there"
            return case.verdict("extra-product", message, "right without it, for every upstream gradient")
    return None


def product_fits(case: Case, factor: Array, side: str) -> bool:
    pairs = [(g, factor) if side == "right" else (factor, g) for g in case.expected_full]
    if pairs[0][0].shape[1] != pairs[0][1].shape[0]:
        return False
    products = [a @ b for a, b in pairs]
    return products[0].shape == case.analytic[0].shape and all(map(case.same, case.analytic, products))


def skip_missing(case: Case) -> Verdict | None:
    """dy itself is missing, or there once too often: a connection around the function, y = x + f(x)."""
    if case.y.shape != case.array.shape:
        return None
    missing = f"in {case.label} dy itself is missing: a way around a function, y = x + f(x), has a gradient too"
    twice = f"in {case.label} dy itself is there once too often, as where the way around a function is counted twice"
    candidates = (
        Candidate("skip-missing", missing, case.expected - case.dy_at_entries),
        Candidate("skip-missing", twice, case.expected + case.dy_at_entries),
    )
    return case.named(candidates, f"off by dy {case.everywhere}")


# Gradients of another shape than their array, or none at all -----------------------------------------------------


def misshapen(case: Case) -> Verdict | None:
    """What became of a gradient whose shape is wrong; None where the shape is right."""
    a, shape = case.analytic[0], case.array.shape
    if case.missing:
        return case.verdict("gradient-missing", f"the backward gives None where {case.label} is due")
    if a.shape == shape:
        return not_finite(case, a)
    said = f"{case.label} has shape {a.shape}, but {case.name} has {shape}"
    if not np.isfinite(a).all():
        return case.verdict("wrong-shape", said)
    for hypothesis in SHAPES:
        verdict = hypothesis(case, a, said)
        if verdict is not None:
            return verdict
    evidence = f"{a.size} numbers instead of {case.array.size}"
    return case.verdict("wrong-shape", said, evidence)


def not_finite(case: Case, a: Array) -> Verdict | None:
    bad = ~np.isfinite(a)
    if not bad.any():
        return None
    first = ", ".join(str(int(i[0])) for i in np.nonzero(bad))
    what = f"{case.label} has {int(bad.sum())} NaN or infinite numbers of {a.size}"
    message = f"{what}, as from a division or log of zero, or an overflow"
    return case.verdict("not-finite", message, f"the first at {case.name}[{first}]")


def others(case: Case, a: Array, said: str) -> Verdict | None:
    """Another array's gradient in this one's place."""
    for other, array in case.arrays.items():
        if other != case.name and array.shape == a.shape:
            numeric = case.numbers.entries(other, np.arange(array.size))
            if case.same(np.stack([g.ravel() for g in case.analytic]), numeric.values):
                message = f"this is the gradient by {other}, not by {case.name}: return them in the order of the arrays"
                return case.verdict("swapped-gradients", message, "equal to it in every entry")
    return None


def fits(case: Case, moved: Sequence[Array]) -> bool:
    """Whether these arrays, of the right shape, are the expected gradients up to a factor."""
    if moved[0].shape != case.array.shape:
        return False
    return ratio(case.pick(moved), case.expected, case.tolerance) is not None


def same_numbers(case: Case, a: Array, said: str) -> Verdict | None:
    if a.size != case.array.size:
        return None
    for axes in itertools.permutations(range(a.ndim)) if a.ndim == case.array.ndim else ():
        if fits(case, [g.transpose(axes) for g in case.analytic]):
            return case.verdict("transposed", f"{said}: it is transposed", "its numbers are right once transposed")
    if fits(case, [g.reshape(case.array.shape) for g in case.analytic]):
        message = f"{said}; its numbers are right, reshape it"
        return case.verdict("wrong-shape", message, "right in every entry")
    return None


def not_summed(case: Case, a: Array, said: str) -> Verdict | None:
    """Right once summed over axes that were kept, the batch's above all."""
    for axes, keepdims in itertools.product(groups_of_axes(a.ndim), (False, True)):
        total = [g.sum(axis=axes, keepdims=keepdims) for g in case.analytic]
        if total[0].size == case.array.size and case.same(case.pick(total), case.expected):
            message = f"{said}: sum over {named_axes(axes)}, along which the same {case.name} is used"
            return case.verdict("not-summed", message, "right in every entry once summed")
    return None


def padding_kept(case: Case, a: Array, said: str) -> Verdict | None:
    """Right once the rim is cut off."""
    if a.ndim < 3 or a.ndim != case.array.ndim:
        return None
    extra = np.subtract(a.shape, case.array.shape)
    if (extra < 0).any():
        return None
    for before in (extra // 2, extra * 0, extra):
        cut = tuple(slice(int(b), int(b) + n) for b, n in zip(before, case.array.shape, strict=True))
        if fits(case, [g[cut] for g in case.analytic]):
            evidence = f"right in every entry once cropped by {tuple(int(b) for b in before)}"
            return case.verdict("padding-kept", f"{said}: it still has the padding; cut it off", evidence)
    return None


def padding_cut(case: Case, a: Array, said: str) -> Verdict | None:
    """The inner part of what is due."""
    if a.ndim < 3 or a.ndim != case.array.ndim or not case.complete:
        return None
    lost = np.subtract(case.array.shape, a.shape)
    if (lost < 0).any():
        return None
    cut = tuple(slice(int(b // 2), int(b // 2) + n) for b, n in zip(lost, a.shape, strict=True))
    if all(case.same(g, e[cut]) for g, e in zip(case.analytic, case.expected_full, strict=True)):
        message = f"{said}: padding is cut off that was never added"
        return case.verdict("padding-cut", message, "its numbers are right")
    return None


def wrong_axis(case: Case, a: Array, said: str) -> Verdict | None:
    """dy, or what should have been summed, summed over another axis."""
    for axes in groups_of_axes(case.y.ndim):
        sums = [np.squeeze(dy.sum(axis=axes)) for dy in case.dy_full]
        if sums[0].ndim and proportional([np.squeeze(g) for g in case.analytic], sums):
            message = f"{said}: dy was summed over {named_axes(axes)}, which leaves the wrong one"
            return case.verdict("wrong-axis", message, "equal to that sum of dy")
    return None


def summed_too_far(case: Case, a: Array, said: str) -> Verdict | None:
    for axes in groups_of_axes(case.array.ndim) if case.complete else ():
        sums = [g.sum(axis=axes) for g in case.expected_full]
        if sums[0].size == a.size and proportional([g.ravel() for g in case.analytic], [s.ravel() for s in sums]):
            message = f"{said}: it is summed over {named_axes(axes)}, which {case.name} keeps"
            return case.verdict("wrong-axis", message, "equal to that sum of what is due")
    return None


def proportional(found: Sequence[Array], expected: Sequence[Array]) -> bool:
    """Whether each array is another's, up to a factor."""
    return all(ratio(a, b) is not None for a, b in zip(found, expected, strict=True))


def spread(case: Case, a: Array, said: str) -> Verdict | None:
    """Broadcasting made it larger: two shapes such as (N,) and (N, 1) met."""
    if a.size <= case.array.size or a.size % case.array.size:
        return None
    message = f"{said}, as where shapes such as (N,) and (N, 1) meet as (N, N)"
    return case.verdict("broadcast", message, f"{a.size} numbers instead of {case.array.size}")


SHAPES: tuple[Callable[[Case, Array, str], Verdict | None], ...] = (
    others,
    lambda case, a, said: extra_product(case),
    *(same_numbers, not_summed, padding_kept, padding_cut, wrong_axis, summed_too_far, spread),
)


# Sliding windows: overlaps overwritten instead of added, ties paid more than once ----------------------------------


def ties(case: Case) -> Verdict | None:
    """Each entry alone may pass as a subgradient; all of them together pay the maximum several times."""
    error = case.check.ties_error
    if not error:
        return None
    message = "every tie of a maximum is paid the whole gradient: choose one of them (the first), or share it out"
    evidence = f"moving equal entries together changes y by less than the gradient says (error {error:.2g})"
    return case.verdict("ties-all-paid", message, evidence)


def overwritten(case: Case) -> Verdict | None:
    """An entry in several windows is paid by one of them only: the last or the first that was written."""
    if case.columns is None or case.y.ndim < 3:
        return None
    for channel in (case.y.ndim - 1, 1):
        parts = by_window(case, case.dy[:, None, :] * case.columns[None], channel).sum(axis=-1)
        reached = (by_window(case, case.columns[None], channel)[0] != 0).any(axis=-1)
        last = reached.shape[1] - 1 - np.argmax(reached[:, ::-1], axis=1)
        for which, window in (("last", last), ("first", np.argmax(reached, axis=1))):
            candidate = np.take_along_axis(parts, window[None, :, None], axis=2)[..., 0]
            if reached.sum(axis=1).max() > 1 and case.explains(candidate):
                message = f"of the places in y that an entry of {case.name} reaches only one pays it: add with +="
                evidence = f"each entry has the share of its {which} place alone"
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
        what = "each window pays the right amount, but to another entry than the largest"
        message = f"{what}: compare how argmax counts with how rows and columns are read"
        return case.verdict("winner-misplaced", message, "right once summed over each window")
    return None
