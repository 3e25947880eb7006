"""How the code behaves, before its numbers: the same y twice, inputs untouched, nothing left over between calls."""

import numpy as np

from .verdict import CodeFault, Verdict

NUM_UPSTREAMS = 3
CLOSE = {"rtol": 1e-9, "atol": 1e-300}


def check_conduct(subject, report, rng):
    """Run forward and backward; verdicts on conduct go to the report. Returns (upstreams, gradients per upstream)."""
    y = check_forward(subject, report, rng)
    upstreams = draw_upstreams(subject, y, rng)
    pure = check_backward_inputs(subject, report, upstreams[0])
    gradients = [fresh_gradients(subject, dy) for dy in upstreams]
    if pure and check_second_backward(subject, report, upstreams[0], gradients[0]):
        check_other_forward(subject, report, upstreams[0], gradients[0], rng)
    return upstreams, gradients


def fresh_gradients(subject, dy, point=None):
    """The gradients of one forward and one backward at a point of their own."""
    point = point or subject.at(np.float64)
    point.forward()
    return point.backward(dy.copy())


def draw_upstreams(subject, y, rng):
    """Random upstream gradients; the number 1 where the code takes none."""
    if not subject.has_upstream:
        return [np.ones_like(y, dtype=np.float64)]
    return [rng.normal(size=y.shape) if y.ndim else np.asarray(rng.uniform(0.5, 2.0)) for _ in range(NUM_UPSTREAMS)]


# The forward ----------------------------------------------------------------------------------------------------


def check_forward(subject, report, rng):
    """y, after making sure that it is finite, repeatable, in double precision, and leaves its input alone."""
    point = subject.at(np.float64)
    y = point.forward().copy()
    if note_changes(subject, report, point, "forward"):
        subject.guarded = True
        point = subject.at(np.float64)
        y = point.forward().copy()
    if not np.isfinite(y).all():
        raise CodeFault(
            "not-finite",
            "the forward gives NaN or infinity at these arrays: no gradient exists there",
            evidence=f"{int((~np.isfinite(y)).sum())} of {y.size} numbers of y",
        )
    check_repeatable(subject, point, y)
    check_precision(subject, rng)
    return y


def note_changes(subject, report, point, part):
    """A verdict for every array that the last call changed in place; whether there was one."""
    fresh, changed = subject.at(np.float64), False
    for name, array in point.arrays.items():
        kept = (array == fresh.arrays[name]) | (np.isnan(array) & np.isnan(fresh.arrays[name]))
        if not kept.all():
            changed = True
            count = int((~kept).sum())
            report.add(
                Verdict(
                    name,
                    "input-modified",
                    f"the {part} changes {name} in place; work on a copy",
                    f"{count} of {array.size} numbers differ after the call",
                )
            )
    return changed


def check_repeatable(subject, point, y):
    """The same arrays must give the same y: from the same object, and from a fresh copy of it."""
    again = point.forward()
    if again.shape != y.shape:
        raise CodeFault(
            "shape-changes", f"for the same arrays the forward returned y of shape {y.shape}, then {again.shape}"
        )
    if np.array_equal(y, again):
        return
    evidence = f"y differs by up to {np.abs(y - again).max():.3g} between two calls"
    if np.array_equal(y, subject.at(np.float64).forward()):
        raise CodeFault(
            "state-mutated",
            "the forward changes something that its next call depends on: the first call of a fresh "
            "copy is repeatable, the second gives another y",
            evidence=evidence,
        )
    if global_generator_explains(point):
        raise CodeFault(
            "nondeterministic-forward",
            "the forward draws from NumPy's global generator: take a "
            "Generator as rng and pass it in kwargs (it is replayed)",
            evidence=evidence,
        )
    raise CodeFault(
        "nondeterministic-forward",
        "the forward gives another y for the same arrays: pass rng in kwargs (it is replayed), or seed it",
        evidence=evidence,
    )


def global_generator_explains(point):
    """Whether y repeats once np.random's global generator is put back; it is left as it was found."""
    saved = np.random.get_state()  # noqa: NPY002 (only read and restored)
    y = point.forward().copy()
    np.random.set_state(saved)  # noqa: NPY002
    again = point.forward()
    np.random.set_state(saved)  # noqa: NPY002
    return np.array_equal(y, again)


def check_precision(subject, rng):
    """A forward that rounds to float32 has no derivative worth the name: its y moves in steps."""
    point = subject.at(np.float64)
    for array in point.arrays.values():
        array += 1e-3 * rng.normal(size=array.shape) * array
    y = point.forward()
    rounded = np.array_equal(y, y.astype(np.float32)) and (y * 1024 != np.round(y * 1024)).any()
    if rounded and np.isfinite(y).all():
        raise CodeFault(
            "float32-precision",
            "the forward computes in float32 although its arrays are float64: "
            "keep the dtype of the input (look for astype, zeros or a constant of dtype float32)",
            evidence=f"all {y.size} numbers of y are float32 numbers; y.dtype is {y.dtype}",
        )


# The backward ---------------------------------------------------------------------------------------------------


def check_backward_inputs(subject, report, dy):
    """The backward may change neither dy nor the arrays; whether it leaves the arrays alone."""
    point = subject.at(np.float64)
    point.forward()
    given = dy.copy()
    point.backward(given)
    if not np.array_equal(given, dy):
        report.add(
            Verdict(
                "dy",
                "input-modified",
                "the backward changes dy in place; work on a copy",
                f"{int((given != dy).sum())} of {dy.size} numbers of dy differ after the call",
            )
        )
    return not note_changes(subject, report, point, "backward")


def check_second_backward(subject, report, dy, first):
    """A second backward must give the same again: nothing added up, no cache worn out, no mask drawn anew.

    Returns whether it does.
    """
    point = subject.at(np.float64)
    point.forward()
    point.backward(dy.copy())
    if subject.keeps_cache:
        point.forward()
    again, repeats = point.backward(dy.copy()), True
    for name in subject.names:
        a, b = first[name], again[name]
        if a is None or b is None or np.shape(a) != np.shape(b) or same(a, b):
            continue
        report.add(second_verdict(subject, name, a, b, dy))
        repeats = False
    return repeats


def second_verdict(subject, name, a, b, dy):
    if np.allclose(b, 2 * a, **CLOSE):
        return Verdict(
            name,
            "gradient-accumulated",
            f"the gradient by {name} is added to what was there: assign it, or clear it before each backward",
            "the second backward gave exactly twice the first",
        )
    ratio = np.where(dy != 0, a / dy, 0) if a.shape == dy.shape else np.arange(9)
    levels = np.unique(np.round(ratio, 9))
    if len(levels) == 2 and 0 in levels:
        return Verdict(
            name,
            "mask-redrawn",
            "the backward draws its mask anew: keep the forward's mask in the cache",
            "two backwards drop different entries",
        )
    fresh = fresh_gradients(subject, dy)[name]
    if same(fresh, fresh_gradients(subject, dy)[name]):
        return Verdict(
            name,
            "cache-modified",
            "a second backward with the same cache gives another gradient: the first changed what the forward had kept",
            f"they differ by {np.abs(a - b).max():.3g}",
        )
    return Verdict(
        name,
        "nondeterministic-backward",
        "the backward gives another gradient for the same dy and cache",
        f"they differ by {np.abs(a - b).max():.3g}",
    )


def same(a, b):
    return np.allclose(a, b, **CLOSE, equal_nan=True)


def check_other_forward(subject, report, dy, first, rng):
    """A forward on other arrays in between must not matter: a cache belongs to its own call."""
    point = subject.at(np.float64)
    if subject.keeps_cache:
        disturb(point, rng)
        guarded, subject.guarded = subject.guarded, True  # or what it kept would move with the arrays
        point.forward()
        point.restore(subject)
        point.forward()
        subject.guarded = guarded
    else:
        point.forward()
        kept = point.cache
        other = subject.at(np.float64)
        disturb(other, rng)
        other.forward()
        point.cache = kept
    found = point.backward(dy.copy())
    for name in subject.names:
        a, b = first[name], found[name]
        if a is not None and b is not None and np.shape(a) == np.shape(b) and not same(a, b):
            report.add(
                Verdict(
                    name,
                    "stale-cache",
                    f"the gradient by {name} depends on a forward made for other "
                    f"arrays: "
                    "the backward reads what another call left behind",
                    f"with such a forward in between it differs by {np.abs(a - b).max():.3g}",
                )
            )


def disturb(point, rng):
    """Move a point to other arrays that its code should accept as well: examples reversed, numbers 10% off."""
    for array in point.arrays.values():
        moved = array[::-1] if array.ndim > 1 else array
        array[...] = moved * (1 + 0.1 * rng.uniform(-1, 1, size=array.shape))
