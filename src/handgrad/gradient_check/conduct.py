"""How the code behaves, before its numbers: the same y twice, inputs untouched, nothing left over between calls."""

import contextlib
from collections import deque

import numpy as np

from ..arrays import Array, Cache, Generator
from ..user_code.arguments import Gradients
from ..user_code.faults import CodeFault
from ..user_code.subjects import Point, Subject
from .report import Report
from .verdict import Verdict

OPTION = "{} holds arrays, by which the backward gives no gradients: it was taken for an option"
UNCHECKED = "{} moves y, but {}: it was not checked"


def check_conduct(subject: Subject, report: Report, rng: Generator) -> tuple[list[Array], list[Gradients]]:
    """Run forward and backward; verdicts on conduct go to the report. Returns (upstreams, gradients per upstream)."""
    y = check_forward(subject, report, rng)
    without = subject.without_gradient()
    report.unchecked += without
    report.notes += [UNCHECKED.format(*told) for told in without.items()]
    report.notes += [OPTION.format(name) for name in subject.options()]
    upstreams = subject.draw_upstreams(y, rng)
    pure = check_backward_inputs(subject, report, upstreams[0])
    gradients = [subject.gradients(dy) for dy in upstreams]
    if len(subject.names) > 1 and all(gradient is None for gradient in gradients[0].values()):
        raise CodeFault("not-written", f"the backward gives None for {', '.join(subject.names)}: it is not written yet")
    if pure and check_second_backward(subject, report, upstreams[0], gradients[0]):
        check_other_forward(subject, report, upstreams[0], gradients[0], rng)
    return upstreams, gradients


# The forward ----------------------------------------------------------------------------------------------------


def check_forward(subject: Subject, report: Report, rng: Generator) -> Array:
    """y, after making sure that it is finite, repeatable, in double precision, and leaves its input alone."""
    point = subject.at(np.float64)
    y = point.forward().copy()
    if y.dtype.kind == "c":
        message = f"the forward returned {y.dtype} numbers for arrays of real ones: return floats"
        raise CodeFault("wrong-output", message)
    if changes_arrays(subject, report, point, "forward"):
        subject.guarded = True
        point = subject.at(np.float64)
        y = point.forward().copy()
    if not np.isfinite(y).all():
        message = "the forward gives NaN or infinity at these arrays: no gradient exists there"
        raise CodeFault("not-finite", message, evidence=f"{int((~np.isfinite(y)).sum())} of {y.size} numbers of y")
    check_repeatable(subject, point, y)
    check_precision(subject, rng)
    return y


def changes_arrays(subject: Subject, report: Report, point: Point, part: str) -> bool:
    """Whether the last call changed an array in place; with a verdict for every one that it did."""
    fresh = subject.at(np.float64).arrays
    return sum(changes(report, part, name, array, fresh[name]) for name, array in point.arrays.items()) > 0


def changes(report: Report, part: str, name: str, array: Array, before: Array) -> bool:
    """Whether an array is not what it was before a call; then with a verdict."""
    differing = int((~np.isclose(array, before, 0, 0, equal_nan=True)).sum())
    if differing:
        evidence = f"{differing} of {array.size} numbers differ after the call"
        report.add(Verdict(name, "input-modified", f"the {part} changes {name} in place; work on a copy", evidence))
    return differing > 0


def check_repeatable(subject: Subject, point: Point, y: Array) -> None:
    """The same arrays must give the same y: from the same object, and from a fresh copy of it."""
    again = point.forward()
    if again.shape != y.shape:
        message = f"for the same arrays the forward returned y of shape {y.shape}, then {again.shape}"
        raise CodeFault("shape-changes", message)
    if np.array_equal(y, again):
        return
    mistake, message = "nondeterministic-forward", "the forward gives another y for the same arrays: "
    if np.array_equal(y, subject.at(np.float64).forward()):
        mistake, message = "state-mutated", "the forward changes something that its next call depends on: "
        message += "the first call of a fresh copy is repeatable, the second gives another y"
    elif global_generator_explains(point):
        message = "the forward draws from NumPy's global generator: take a Generator as rng, and pass it in kwargs"
    else:
        message += "pass rng in kwargs (it is replayed), or seed it"
    raise CodeFault(mistake, message, evidence=f"y differs by up to {np.abs(y - again).max():.3g} between two calls")


def global_generator_explains(point: Point) -> bool:
    """Whether y repeats once np.random's global generator is put back; it is left as it was found."""
    saved = np.random.get_state()  # noqa: NPY002 (only read and restored)
    y = point.forward().copy()
    np.random.set_state(saved)  # noqa: NPY002
    again = point.forward()
    np.random.set_state(saved)  # noqa: NPY002
    return np.array_equal(y, again)


def check_precision(subject: Subject, rng: Generator) -> None:
    """A forward that rounds to float32 has no derivative worth the name: its y moves in steps."""
    point = subject.at(np.float64)
    for array in point.arrays.values():
        array += 1e-3 * rng.normal(size=array.shape) * array
    try:
        y = point.forward()
    except CodeFault:  # it need not take other arrays than those given
        return
    said = "the forward {} in float32 although its arrays are float64: keep the dtype of the input"
    rounded = np.array_equal(y, y.astype(np.float32)) and (y * 1024 != np.round(y * 1024)).any()
    if rounded and np.isfinite(y).all():
        evidence = f"all {y.size} numbers of y are float32 numbers; y.dtype is {y.dtype}"
        raise CodeFault("float32-precision", said.format("computes"), evidence=evidence)
    for name, array in point.arrays.items():
        if np.isfinite(y).all() and is_rounded(point, array, y, rng):
            evidence = f"y is the same to the last bit for {name} and for {name} rounded to float32"
            raise CodeFault("float32-precision", said.format(f"takes {name}"), evidence=evidence)


def is_rounded(point: Point, array: Array, y: Array, rng: Generator) -> bool:
    """Whether rounding an array to float32 changes nothing in y, while moving it by a little more than that does."""
    kept = array.copy()
    array[...] = kept.astype(np.float32)
    rounded = not np.array_equal(array, kept) and np.array_equal(point.forward(), y)
    if rounded:
        array[...] = kept * (1 + 1e-6 * rng.uniform(0.5, 1, size=array.shape))
        # more than what y's own last bits had swallowed of an array that is small beside it
        rounded = bool((np.abs(point.forward() - y) > 64 * np.finfo(float).eps * np.abs(y)).any())
    array[...] = kept
    return rounded


# The backward ---------------------------------------------------------------------------------------------------


def check_backward_inputs(subject: Subject, report: Report, dy: Array) -> bool:
    """The backward may change neither dy nor the arrays; whether it leaves the arrays alone."""
    point = subject.at(np.float64)
    point.forward()
    given = dy.copy()
    point.backward(given)
    changes(report, "backward", "dy", given, dy)
    return not changes_arrays(subject, report, point, "backward")


def check_second_backward(subject: Subject, report: Report, dy: Array, first: Gradients) -> bool:
    """A second backward must give the same again: nothing added up, no cache worn out, no mask drawn anew.

    Returns whether it does.
    """
    point = subject.at(np.float64)
    point.forward()
    held = num_held(point.cache)
    point.backward(dy.copy())
    used_up = num_held(point.cache) < held
    if used_up:
        report.notes.append("the backward takes things out of its cache: it works once for each forward")
    if subject.keeps_cache or used_up:
        point.forward()
    differing = changed(first, point.backward(dy.copy()))
    subject.wears_cache = used_up or bool(differing)
    for name, (a, b) in differing.items():
        report.add(second_verdict(subject, name, a, b, dy))
    return not differing


def num_held(cache: Cache) -> int:
    """How many things a cache holds, in the lists and dictionaries within it too."""
    if isinstance(cache, (list, tuple, deque, dict)):
        return len(cache) + sum(map(num_held, cache.values() if isinstance(cache, dict) else cache))
    return 0


def second_verdict(subject: Subject, name: str, a: Array, b: Array, dy: Array) -> Verdict:
    if np.allclose(b, 2 * a, 1e-9, 1e-300):
        message = f"the gradient by {name} is added to what was there: assign it, or clear it before each backward"
        return Verdict(name, "gradient-accumulated", message, "the second backward gave exactly twice the first")
    # a mask has two levels, 0 and one more; only where dx has the shape of dy can it be seen
    levels = np.unique(np.round(np.where(dy != 0, a / dy, 0), 9)) if a.shape == dy.shape else np.empty(0)
    if len(levels) == 2 and 0 in levels:
        message = "the backward draws its mask anew: keep the forward's mask in the cache"
        return Verdict(name, "mask-redrawn", message, "two backwards drop different entries")
    evidence = f"they differ by {np.abs(a - b).max():.3g}"
    if name not in changed(subject.gradients(dy), subject.gradients(dy)):
        what = "a second backward with the same cache gives another gradient"
        return Verdict(name, "cache-modified", f"{what}: the first changed what the forward had kept", evidence)
    message = "the backward gives another gradient for the same dy and cache"
    return Verdict(name, "nondeterministic-backward", message, evidence)


def check_other_forward(subject: Subject, report: Report, dy: Array, first: Gradients, rng: Generator) -> None:
    """A forward on other arrays in between must not matter: a cache belongs to its own call."""
    point = subject.at(np.float64)
    if subject.keeps_cache:
        disturb(point, rng)
        guarded, subject.guarded = subject.guarded, True  # or what it kept would move with the arrays
        with contextlib.suppress(CodeFault):  # it need not take others
            point.forward()
        point.restore()
        point.forward()
        subject.guarded = guarded
    else:
        other = subject.at(np.float64)
        point.forward()
        disturb(other, rng)
        with contextlib.suppress(CodeFault):
            other.forward()
    for name, (a, b) in changed(first, point.backward(dy.copy())).items():
        message = f"the gradient by {name} changes with a forward of other arrays: the backward reads what it left"
        evidence = f"with such a forward in between it differs by {np.abs(a - b).max():.3g}"
        report.add(Verdict(name, "stale-cache", message, evidence))


def changed(first: Gradients, second: Gradients) -> dict[str, tuple[Array, Array]]:
    """The gradients that two backwards gave in the same shape with different numbers."""
    given = {name: (a, b) for name, a in first.items() if a is not None and (b := second[name]) is not None}
    pairs = ((name, a, b) for name, (a, b) in given.items() if a.shape == b.shape)
    return {name: (a, b) for name, a, b in pairs if not np.allclose(a, b, 1e-9, 1e-300, equal_nan=True)}


def disturb(point: Point, rng: Generator) -> None:
    """Move a point to other arrays that its code should accept as well: examples reversed, numbers 10% off."""
    for array in point.arrays.values():
        moved = array[::-1] if array.ndim > 1 else array
        array[...] = moved * (1 + 0.1 * rng.uniform(-1, 1, size=array.shape))
