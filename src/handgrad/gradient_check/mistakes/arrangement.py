"""The right numbers in the wrong place or shape: transposed, flipped, shifted, not summed, in another window."""

import itertools
from collections.abc import Iterator

import numpy as np

from ...arrays import Array, Shape
from ..verdict import Guess, Verdict
from .case import Case, Wrong, apart, groups_of_axes, named_axes, ratio


def moved(case: Case, moves: Wrong) -> Verdict | None:
    """The first (mistake, message, gradient moved back) that is right; up to a factor, where its shape was wrong."""
    for mistake, message, back in moves:
        c = None if np.shape(back)[1:] != case.array.shape else ratio(case.pick(back), case.expected, case.tolerance)
        if c is not None and (np.isclose(c, 1) or case.analytic[0].shape != case.array.shape):
            off = "" if np.isclose(c, 1) else f", but for a factor {c:.6g}"
            return case.verdict(mistake, message, f"its numbers are right once moved back, {case.everywhere}{off}")
    return None


def transposed(case: Case) -> Verdict | None:
    """The same axes in another order (only possible where sizes agree)."""
    return moved(case, orders(case, f"{case.label} is transposed"))


def orders(case: Case, message: str) -> Wrong:
    for axes in [*itertools.permutations(range(case.analytic[0].ndim))][1:]:
        yield "transposed", message, [a.transpose(axes) for a in case.analytic]


def flipped(case: Case) -> Verdict | None:
    """Some axes run backwards; kernels first."""
    return moved(case, flips(case))


def flips(case: Case) -> Wrong:
    for axes in (axes for n in (2, 1, 3) for axes in itertools.combinations(range(case.array.ndim), n)):
        kernel = case.array.ndim == 4 and axes in ((0, 1), (2, 3))
        what = f"in {case.label} {'the kernel is flipped' if kernel else 'the entries are in reverse order'}"
        yield "flipped-kernel" if kernel else "reversed", what, [np.flip(a, axes) for a in case.analytic]


def in_another_order(case: Case) -> Verdict | None:
    """The right numbers, each in another's place: a reshape where a transpose was due, or the other way round."""
    has_same = case.complete and case.same(np.sort(case.found), np.sort(case.expected))
    if not has_same or len(np.unique(case.expected)) < 4:
        return None
    message = f"the numbers of {case.label} are in another order: reshape moves no axes, transpose does"
    return Guess(case.name, "reshaped", message, f"the same {case.array.size} numbers")


def misplaced(case: Case) -> Verdict | None:
    """Right once summed along an axis of which one entry is due in each row."""
    found, due = (np.reshape(rows, (-1, *case.array.shape)) for rows in (case.found, case.expected))
    for axis in range(1, due.ndim) if case.complete else ():
        if (np.count_nonzero(due, axis) <= 1).all() and due.any() and case.same(found.sum(axis), due.sum(axis)):
            message = f"along axis {axis - 1} {case.label} goes to another entry than the one that moves y"
            return case.verdict("winner-misplaced", message, case.deviates_most())
    return None


def shifted(case: Case) -> Verdict | None:
    """Everything one or two places along an axis; what left at one end may have come in at the other, or be lost."""
    n, places = case.array.ndim, (1, -1, 2, -2)
    steps = [step * along for along in np.eye(n, dtype=int) for step in places]
    steps += [np.array((0, down, across, 0)) for down in places for across in places] if n == 4 else []
    index, sides = np.array(np.unravel_index(case.entries, case.array.shape)), np.array(case.array.shape)
    for step in steps:
        there = index + step[:, None]
        inside = ((there >= 0) & (there < sides[:, None])).all(axis=0)
        due, found = case.expected[:, inside], [a[tuple(there[:, inside])] for a in case.analytic]
        varied = len(np.unique(np.abs(due).round(12))) > len(due) * 2  # or equal numbers meet by chance
        if inside.sum() > 3 and varied and case.same(found, due):
            by, axes = (", ".join(map(str, numbers)) for numbers in (step[step != 0], np.flatnonzero(step)))
            message = f"{case.label} is shifted by {by} along axis {axes}, as where a padding, stride or index is off"
            return case.verdict("shifted", message, f"moved back by {by} it is right where it overlaps")
    return None


def partly_missing(case: Case) -> Verdict | None:
    """Right in some entries, zero in the others: say which."""
    due = case.expected.any(axis=0)
    wrong = ~case.found.any(axis=0) & due
    right, missing = due & ~wrong, f"{case.label} is zero"
    if not wrong.any() or not right.any() or not case.same(case.found[:, ~wrong], case.expected[:, ~wrong]):
        return None
    for name, sign in signs(case):
        if set(sign[wrong]).isdisjoint(sign[right]):
            return case.own_branch(f"{missing} on one side, by the sign of {name}", case.deviates_most())
    index = np.unravel_index(case.entries, case.array.shape)
    for place in apart([where[wrong] for where in index], [where[right] for where in index]):
        message = f"{missing} at {place}, as where a loop or a slice stops short"
        return Guess(case.name, "partly-missing", message, "right in every other entry")
    if chooses(case):
        what = f"the mask leaves out {wrong.sum()} of the entries that the forward chooses"
        return case.verdict("wrong-mask", f"{what}: compare the two conditions", case.deviates_most())
    message = f"{missing} in {wrong.sum()} entries where it is due, right elsewhere"
    return Guess(case.name, "partly-missing", message, case.deviates_most())


def signs(case: Case) -> Iterator[tuple[str, Array]]:
    """(what it is of, sign at the entries) of the array, and of its difference to others."""
    yield case.name, np.sign(case.values)
    for name, value in (case.inputs | case.keywords).items():
        if name != case.name and np.shape(value) == case.array.shape:
            yield f"{case.name} - {name}", np.sign(case.values - np.ravel(value)[case.entries])


def let_through(case: Case) -> Verdict | None:
    """Right where something is due, but not zero elsewhere."""
    due = case.expected.any(axis=0)
    if due.all() or not due.any() or not case.same(case.found[:, due], case.expected[:, due]):
        return None
    for axis in range(case.array.ndim) if case.complete else ():
        if (due.reshape(case.array.shape).sum(axis=axis) == 1).all() and case.array.shape[axis] > 1:
            message = f"all entries of {case.label} along axis {axis} are paid, where one of them alone moves y"
            return Guess(case.name, "winner-ignored", message, case.deviates_most())
    message = f"{case.label} is right but for {int((~due).sum())} entries, where it must be 0: a mask is missing"
    return Guess(case.name, "wrong-mask", message, case.deviates_most())


def index_repeated(case: Case) -> Verdict | None:
    """One index used twice: a[i, j] holds what belongs to [j, j] or [i, i]."""
    if not case.complete or case.array.ndim < 2 or case.array.shape[0] != case.array.shape[1]:
        return None
    n, due, said = np.arange(len(case.array)), case.expected_full, f"an index is used twice in {case.label}:"
    slips = (("[j, j]", n[None, :]), ("[i, i]", n[:, None]))
    wrong = [(f"{said} {slip} stands where [i, j] is due", [g[i, i] + 0 * g for g in due]) for slip, i in slips]
    return case.named(("index-repeated", *told) for told in wrong)


def extra_product(case: Case) -> Verdict | None:
    """The right gradient multiplied by another matrix of the forward."""
    if not case.complete or case.array.ndim != 2:
        return None
    full, matrices = np.stack(case.expected_full), [(name, a) for name, a in case.arrays.items() if a.ndim == 2]
    for word, factor in [*matrices, *((f"{name}ᵀ", a.T) for name, a in matrices)]:
        for side, left, right in (("right", full, factor), ("left", factor, full)):
            if left.shape[-1] == right.shape[-2] and case.same(left @ right, case.analytic):
                message = f"{case.label} is multiplied by {word} from the {side}, which does not belong there"
                return case.verdict("extra-product", message, "right without it, for every upstream gradient")
    return None


def skip_missing(case: Case) -> Verdict | None:
    """dy itself is missing: a connection around the function, y = x + f(x)."""
    if case.y.shape != case.array.shape:
        return None
    message = f"in {case.label} dy itself is missing: a way around a function, y = x + f(x), has a gradient too"
    return case.named([("skip-missing", message, case.expected - case.dy_at_entries)], f"off by dy {case.everywhere}")


# Gradients of another shape than their array, or none at all -----------------------------------------------------


def misshapen(case: Case) -> Verdict | None:
    """What became of a gradient that is missing, not finite or of the wrong shape; None where it is none of these."""
    a = case.analytic[0]
    if case.missing:
        return case.verdict("gradient-missing", f"the backward gives None where {case.label} is due")
    if not np.isfinite(a).all():
        return not_finite(case, a)
    if a.shape == case.array.shape:
        return None
    said = f"{case.label} has shape {a.shape}, but {case.name} has {case.array.shape}"
    found = swapped(case) or extra_product(case) or moved(case, moves_to_shape(case, said))
    if found := found or cropped(case, said) or summed(case, said):
        return found
    spread = a.size > case.array.size and a.size % case.array.size == 0
    said += ", as where shapes such as (N,) and (N, 1) meet as (N, N)" * spread
    mistake = "broadcast" if spread else "wrong-shape"
    return case.verdict(mistake, said, f"{a.size} numbers instead of {case.array.size}")


def not_finite(case: Case, a: Array) -> Verdict:
    bad = ~np.isfinite(a)
    first = ", ".join(str(int(i[0])) for i in np.nonzero(bad))
    what = f"{case.label} has {int(bad.sum())} NaN or infinite numbers of {a.size}"
    message = f"{what}, as from a division or log of zero, or an overflow"
    return case.verdict("not-finite", message, f"the first at {case.name}[{first}]")


def swapped(case: Case) -> Verdict | None:
    """Another array's gradient in this one's place."""
    for other, array in case.arrays.items():
        if other != case.name and array.shape == case.analytic[0].shape:
            numeric = case.numbers.entries(other, np.arange(array.size))
            if case.same([g.ravel() for g in case.analytic], numeric.values):
                message = f"this is the gradient by {other}, not by {case.name}: return them in the order of the arrays"
                return case.verdict("swapped-gradients", message, "equal to it in every entry")
    return None


def moves_to_shape(case: Case, said: str) -> Wrong:
    """Transposed, given the shape, summed over axes that were kept, the batch's above all, and without its rim."""
    full, shape = np.stack(case.analytic), case.array.shape
    yield from orders(case, f"{said}: it is transposed")
    if full[0].size == case.array.size:
        yield "wrong-shape", f"{said}; its numbers are right, reshape it", full.reshape(-1, *shape)
    for axes in groups_of_axes(full.ndim - 1):
        sums = full.sum(axis=tuple(axis + 1 for axis in axes))
        if sums[0].size == case.array.size:
            message = f"{said}: sum over {named_axes(axes)}, along which the same {case.name} is used"
            yield "not-summed", message, sums.reshape(-1, *shape)
    for cut in rims(full.shape[1:], shape):
        yield "padding-kept", f"{said}: it still has the padding; cut it off", [g[cut] for g in full]


def rims(large: Shape, small: Shape) -> Iterator[tuple[slice, ...]]:
    """Where an image may lie in a larger one."""
    extra = np.subtract(large, small) if len(large) == len(small) > 2 else np.array([-1])
    if (extra >= 0).all():
        for before in (extra // 2, extra * 0, extra):
            yield tuple(slice(int(b), int(b) + n) for b, n in zip(before, small, strict=True))


def cropped(case: Case, said: str) -> Verdict | None:
    """The inner part of what is due."""
    for cut in rims(case.array.shape, case.analytic[0].shape) if case.complete else ():
        if case.same(case.analytic, [g[cut] for g in case.expected_full]):
            message = f"{said}: padding is cut off that was never added"
            return case.verdict("padding-cut", message, "its numbers are right")
    return None


def summed(case: Case, said: str) -> Verdict | None:
    """dy, or what is due, summed over an axis too many or another one."""
    wholes = [("dy was summed over {}, which leaves the wrong one", [*case.dy_full])]
    wholes += [(f"it is summed over {{}}, which {case.name} keeps", case.expected_full)] if case.complete else []
    for words, full in wholes:
        for axes in groups_of_axes(full[0].ndim):
            sums = [g.sum(axis=axes).ravel() for g in full]
            if np.size(sums) > 1 and (c := ratio([g.ravel() for g in case.analytic], sums)) is not None:
                evidence = "equal to that sum" if abs(c - 1) < 1e-6 else f"{c:.6g} times that sum"
                return case.verdict("wrong-axis", f"{said}: {words.format(named_axes(axes))}", evidence)
    return None


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
    message = f"of the places in y that an entry of {case.name} reaches only one pays it: add with +="
    for channel in (case.y.ndim - 1, 1):
        dy, columns = (by_window(rows, case.y.shape, channel) for rows in (case.dy, case.columns))
        shares, reached = np.einsum("kwc,ewc->ekw", dy, columns), (columns != 0).any(axis=-1)
        last = reached.shape[1] - 1 - np.argmax(reached[:, ::-1], axis=1)
        for which, window in (("last", last), ("first", np.argmax(reached, axis=1))):
            share = np.take_along_axis(shares, window[:, None, None], axis=2)[..., 0].T
            if reached.sum(axis=1).max() > 1 and case.explains(share):
                evidence = f"each entry has the share of its {which} place alone"
                return Guess(case.name, "overlap-overwritten", message, evidence)
    return None


def by_window(rows: Array, shape: Shape, channel: int) -> Array:
    """Rows of numbers for each output as (row, window, channel): the channels of one place belong to one window."""
    full = np.moveaxis(rows.reshape(-1, *shape), 1 + channel, -1)
    return full.reshape(len(rows), -1, shape[channel])


def winners(case: Case) -> Verdict | None:
    """A maximum over windows whose gradient does not go to the winner of each window."""
    batch = case.array.shape[:1]
    if not case.complete or case.y.shape[:1] != batch or not chooses(case):
        return None
    found, due = (np.reshape(rows, (len(rows), *batch, -1)) for rows in (case.found, case.expected))
    c = ratio(found.sum(axis=2), due.sum(axis=2), case.tolerance)
    if c is not None and np.count_nonzero(found) > np.count_nonzero(due):
        evidence = f"it adds up to {c:.6g} times what is due for each example, in more places"
        message = "every entry of a window is paid; only the largest moves y"
        return Guess(case.name, "winner-ignored", message, evidence)
    if c is not None and np.isclose(c, 1):
        what = "each window pays the right amount, but to another entry than the largest"
        message = f"{what}: compare how argmax counts with how rows and columns are read"
        return case.verdict("winner-misplaced", message, "right once summed over each example")
    return None


def chooses(case: Case) -> bool:
    """Whether y is some of the entries, and which depends on their values: not so where an array is only cut."""
    if case.columns is None or case.y.size >= case.array.size:
        return False
    shares = np.round(case.columns, 6)
    if not np.isin(shares, (0, 1)).all() or (shares.sum(axis=0) > 1).any():
        return False
    point = case.subject.at(np.float64)
    point.arrays[case.name] *= -1
    return not case.same(point.forward(), -case.y)
