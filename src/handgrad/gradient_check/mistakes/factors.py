"""Right up to a number: signs, factors of known origin, single precision, and gradients that are not there."""

import numpy as np

from ..verdict import Verdict


def zero(case):
    """All zeros where something is due."""
    if np.any(case.found) or not np.any(case.expected):
        return None
    return Verdict(
        case.name,
        "gradient-missing",
        f"the gradient by {case.name} is zero everywhere: it is never computed, or overwritten",
        f"expected norm {np.linalg.norm(case.expected[0]):.3g}",
    )


def single_precision(case):
    """Errors of the size of float32's rounding, and numbers that are float32 numbers."""
    error = np.linalg.norm(case.found - case.expected) / max(np.linalg.norm(case.expected), 1e-300)
    if not 1e-10 < error < 1e-4:
        return None
    rounded = np.array_equal(case.found, case.found.astype(np.float32))
    dtype = case.analytic[0].dtype
    if not rounded and dtype != np.float32 and not 3e-9 < error < 1e-6:
        return None
    kind = "its numbers are float32 numbers" if rounded else "the error is of the size of float32's rounding, 6e-8"
    return Verdict(
        case.name,
        "float32-precision",
        f"the gradient by {case.name} is right to single precision only: something in the backward computes in float32",
        f"relative error {error:.2g}; {kind}",
    )


def constant(case):
    """One factor for all entries; its origin when it is a size, a keyword or a common number."""
    c = case.factor(case.expected)
    if c is None or abs(c - 1) < 1e-5:
        return None
    evidence = f"found / expected = {c:.6g} in all {len(case.entries)} entries, for {len(case.dy)} upstream gradients"
    if abs(c + 1) < 1e-6:
        return Verdict(case.name, "wrong-sign", f"the gradient by {case.name} has the wrong sign", evidence)
    origins = [(slug, words) for slug, value, words in known_factors(case) if value and abs(c / value - 1) < 1e-6]
    if not origins:
        return Verdict(
            case.name, "constant-factor", f"the gradient by {case.name} is {c:.6g} times what it should be", evidence
        )
    slug = origins[0][0]
    words = list(dict.fromkeys(words for kind, words in origins if kind == slug or kind != "element-count-factor"))
    return Verdict(
        case.name,
        slug,
        f"the gradient by {case.name} is {c:.6g} times what it should be: {' or '.join(words[:2])}{advice(slug, c)}",
        evidence,
    )


ADVICE = {
    ("batch-size-factor", True): "; the mean over the batch divides by it once",
    ("batch-size-factor", False): "; divide by the batch once, in the loss, and sum everywhere else",
    ("class-count-factor", False): "; divide by the number of examples, not of classes",
    ("kernel-area-factor", True): "; each number of a window gets its share, 1 / (kh kw)",
    ("factor-two", False): "; the derivative of a square has a 2, unless the function has a ½",
}


def advice(slug, c):
    return ADVICE.get((slug, abs(c) > 1), "")


TWO = "a 2 from the derivative of a square"


def known_factors(case):
    """(slug, value, words) of every number that could have slipped in, most telling first."""
    m, sizes = case.batch_size, []
    sizes.append(("batch-size-factor", m, f"the batch size {m}"))
    if case.y.ndim == 0:
        sizes.append(("factor-two", 2, TWO))
    last = case.y.shape[-1] if case.y.ndim > 1 else last_axis(case)
    last = len(case.y) if case.y.ndim == 2 and m != len(case.y) else last
    sizes.append(("class-count-factor", last, f"the number of classes (or outputs) {last}"))
    for area in kernel_areas(case):
        sizes.append(("kernel-area-factor", area, f"the kernel's area {area}"))
    for name, value in keywords(case).items():
        for v, words in (
            (value, name),
            (1 - value, f"1 - {name}"),
            (1 + value, f"1 + {name}"),
            (value / (1 - value) if value != 1 else 0, f"{name} / (1 - {name})"),
        ):
            sizes.append(("keyword-factor", v, f"{words} = {v:.6g}"))
    sizes += [("factor-two", 2, TWO)]
    sizes += [("element-count-factor", n, f"the number of elements {n}") for n in element_counts(case)]
    sizes += [("learning-rate-factor", v, f"{v:g}, a learning rate?") for v in (0.1, 0.01, 0.001, 1e-4)]
    for slug, value, words in sizes:
        if isinstance(value, (int, float)) and value not in (0, 1, -1):
            for v, text in (
                (value, words),
                (1 / value, f"1 / {words}"),
                (-value, f"minus {words}"),
                (-1 / value, f"minus 1 / {words}"),
            ):
                yield slug, v, text
    yield from combinations(m, last)


def combinations(m, last):
    """Two sizes at once: the classes divided by where the examples should have been, the unbiased variance."""
    if isinstance(last, int) and last > 1:
        yield "class-count-factor", m / last, f"divided by the {last} classes, not by the {m} examples"
        yield "class-count-factor", last / m, f"divided by the {m} examples, not by the {last} classes"
    if m > 1:
        yield "unbiased-variance", m / (m - 1), f"m / (m - 1) with m = {m}, the unbiased variance"
        yield "unbiased-variance", (m - 1) / m, f"(m - 1) / m with m = {m}, the unbiased variance"


def last_axis(case):
    """The last axis of the first argument, for losses."""
    first = next(iter(case.inputs.values()), None)
    return int(np.shape(first)[-1]) if np.ndim(first) > 1 else None


def kernel_areas(case):
    """kh kw as the weight's shape or a keyword gives it."""
    size = case.subject.kwargs.get("kernel_size", case.subject.defaults.get("kernel_size"))
    if isinstance(size, (int, np.integer)):
        yield int(size) ** 2
    elif size is not None:
        yield int(np.prod(size))
    for name, value in keywords(case).items():
        if name.lower() in WINDOWS and value == int(value) > 1:
            yield int(value) ** 2
    for array in case.arrays.values():
        if array.ndim == 4 and array is not next(iter(case.arrays.values())):
            yield int(array.shape[0] * array.shape[1])
            yield int(array.shape[2] * array.shape[3])


WINDOWS = ("k", "size", "pool", "pool_size", "kernel", "ksize", "window", "f", "hh", "pool_height", "pool_h", "p")


def keywords(case):
    """The forward's numbers by name: keywords, given or by default, arguments, and what a dict of settings holds."""
    known = {**case.subject.defaults, **case.inputs, **case.subject.kwargs}
    for value in [*known.values()]:
        known |= value if isinstance(value, dict) else {}
    return {k: float(v) for k, v in known.items() if isinstance(v, (int, float)) and not isinstance(v, bool)}


def element_counts(case):
    sizes = {case.y.size, case.array.size, int(np.prod(case.y.shape[1:3])), int(np.prod(case.array.shape[1:]))}
    sizes |= {case.y.size // case.batch_size, int(np.prod(case.y.shape[:-1]))} | {int(np.prod(case.array.shape[:-1]))}
    return sorted(n for n in sizes if n > 1)
