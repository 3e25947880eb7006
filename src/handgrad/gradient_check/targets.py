"""Whatever was written by hand, as one thing to check: arrays to move, a forward, a backward.

A target makes points. A point owns float64 (or complex) copies of every array, which the checker moves in place; its
forward and backward call the user's code and replay its random generators, so that the same point gives the same y.
"""

import copy
import inspect
import re

import numpy as np

from .randomness import Replay
from .verdict import CodeFault


class PairTarget:
    """A forward that returns (y, cache), and a backward that takes (dy, cache)."""

    keeps_cache = False  # the cache is handed over, not kept between the calls
    has_parts = False
    guarded = False  # True: the forward gets copies, because it changes its arrays
    one_function = False  # True: the loss and its gradients come from the same function

    def __init__(self, forward, backward, arrays, kwargs, wrt, label=None, has_upstream=True):
        self.forward, self.backward, self.kwargs = forward, backward, dict(kwargs or {})
        self.label = label or getattr(forward, "__name__", type(forward).__name__)
        self.arguments, self.has_upstream = list(arrays), has_upstream
        self.all_names = argument_names(forward, len(arrays))
        self.wrt_given = wrt is not None
        self.names = choose(wrt, self.all_names, self.arguments)
        self.num_forwards, self.defaults = 0, keyword_defaults(forward)

    @property
    def uses_random(self):
        return bool(self.at(np.float64).replay.states)

    def at(self, dtype):
        return PairPoint(self, dtype)

    def settle(self):
        """A loss (one number) is differentiated by its first array, unless its backward answers for all of them."""
        try:
            point = self.at(np.float64)
            if self.wrt_given or np.ndim(point.forward()):
                return self
            answers = self.backward(1.0, point.cache)
        except Exception:  # the check proper runs into it again, and reports it
            return self
        answers = answers if isinstance(answers, (tuple, list, dict)) else (answers,)
        if len(answers) < len(self.names) or any(a is None for a in answers):
            self.names = [loss_argument(self.names)]
        return self


class PairPoint:
    def __init__(self, target, dtype):
        self.target = target
        self.arguments = [
            copy_argument(a, dtype if n in target.names else np.float64)
            for n, a in zip(target.all_names, target.arguments, strict=True)
        ]
        self.kwargs = copy.deepcopy(target.kwargs)
        self.replay = Replay(self.arguments, self.kwargs)
        self.arrays = {n: a for n, a in zip(target.all_names, self.arguments, strict=True) if n in target.names}
        self.cache = None

    def forward(self):
        self.target.num_forwards += 1
        self.replay.restore()
        with blame("forward"):
            arguments = copy.deepcopy(self.arguments) if self.target.guarded else self.arguments
            returned = self.target.forward(*arguments, **self.kwargs)
        if not isinstance(returned, tuple) or len(returned) != 2:
            got = f"{len(returned)} values" if isinstance(returned, tuple) else f"a {type(returned).__name__}"
            raise CodeFault("wrong-output", f"the forward must return (y, cache), but returned {got}")
        self.cache = returned[1]
        return as_output(returned[0])

    def backward(self, dy):
        """The gradients by name, as the backward returned them."""
        with blame("backward"):
            returned = self.target.backward(dy, self.cache)
        return arrays_of(by_name(returned, self.target.names, np.ndim(dy) == 0))


class blame:
    """An exception of the code under test becomes a fault that quotes it in one line."""

    def __init__(self, part):
        self.part = part

    def __enter__(self):
        return self

    def __exit__(self, kind, problem, trace):
        if problem is not None and isinstance(problem, Exception) and not isinstance(problem, CodeFault):
            while trace.tb_next:
                trace = trace.tb_next
            said = str(problem).split("\n")[0]
            if mirrored(said):
                said += ": one is the other's transpose"
            raise CodeFault(
                "transposed" if mirrored(said) else f"{self.part}-raises",
                f"the {self.part} raised {kind.__name__}: {said} (line {trace.tb_lineno} of "
                f"{trace.tb_frame.f_code.co_name})",
            ) from problem


def mirrored(said):
    """Whether an exception complains of two shapes such as (3,5) and (5,3)."""
    shapes = [tuple(map(int, pair)) for pair in re.findall(r"\((\d+), ?(\d+)\)", said)]
    return len(shapes) == 2 and shapes[0] == shapes[1][::-1] and shapes[0] != shapes[1]


def argument_names(forward, count):
    """The names of the forward's first arguments, as its signature gives them."""
    try:
        parameters = list(inspect.signature(forward).parameters.values())
    except (TypeError, ValueError):
        parameters = []
    names = [p.name for p in parameters if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)][:count]
    return names + [f"array{i}" for i in range(len(names), count)]


def keyword_defaults(forward):
    """The forward's keywords and their defaults."""
    try:
        parameters = inspect.signature(forward).parameters.values()
    except (TypeError, ValueError):
        return {}
    return {p.name: p.default for p in parameters if p.default is not p.empty}


def choose(wrt, names, arguments):
    """The names of the arrays to differentiate by: those of wrt (names or positions), or all that hold floats."""
    if wrt is None:
        chosen = [n for n, a in zip(names, arguments, strict=True) if is_float_array(a)]
        if not chosen and arguments:
            kinds = ", ".join(f"{n}: {describe(a)}" for n, a in zip(names, arguments, strict=True))
            raise TypeError(
                f"check_gradients needs at least one array of floats to differentiate by, got {kinds}"
                " (integers are taken for labels: make inputs floats)"
            )
        return chosen
    wanted = [wrt] if isinstance(wrt, (str, int)) else list(wrt)
    wanted = [names[w] if isinstance(w, int) and w < len(names) else w for w in wanted]
    for name in wanted:
        if name not in names:
            raise ValueError(f"wrt names '{name}', but the arrays are: {', '.join(names)}")
    return [n for n in names if n in wanted]


def loss_argument(names):
    """Of a loss's arrays the one it is differentiated by: the outputs, by name, or else the first."""
    words = ("hat", "pred", "out", "logit", "score", "prob")
    return next((name for name in names if any(word in name.lower() for word in words)), names[0])


def is_float_array(argument):
    """Floats with at least one axis; a NumPy array may also have none."""
    if isinstance(argument, (np.ndarray, np.floating)):
        return argument.dtype.kind in "fc"
    return isinstance(argument, list) and np.asarray(argument).dtype.kind == "f"


def describe(argument):
    return f"{argument.dtype} {argument.shape}" if isinstance(argument, np.ndarray) else type(argument).__name__


def copy_argument(argument, dtype):
    """Float arrays in the dtype of this point; everything else as a copy of itself."""
    if is_float_array(argument):
        return np.array(argument, dtype)
    return copy.deepcopy(argument)


def as_output(y):
    """y as an array of floats, or a fault that says what came instead."""
    y = y if isinstance(y, np.ndarray) else np.asarray(y)
    if y.dtype.kind in "iub":
        raise CodeFault(
            "integer-output",
            f"the forward returned {y.dtype} numbers for float input; return floats (is there a // or an integer "
            "array in it?)",
        )
    if y.dtype.kind not in "fc":
        raise CodeFault("wrong-output", f"the forward's y must be an array of floats, but is {y.dtype}")
    return y


def arrays_of(gradients):
    """Copies as arrays: code may hand out the same array again and again."""
    return {name: None if g is None else np.array(g) for name, g in gradients.items()}


def by_name(returned, names, allow_extra=False):
    """What a backward returned, keyed by the arrays' names; the wrong number of gradients is a fault."""
    if isinstance(returned, dict):
        keys = {n: [k for k in (n, "d" + n, "d_" + n, "grad_" + n) if k in returned] for n in names}
        return {n: returned[found[0]] if found else None for n, found in keys.items()}
    answers = returned if isinstance(returned, (tuple, list)) else (returned,)
    if len(answers) < len(names) or (
        len(answers) > len(names) and not allow_extra and any(a is not None for a in answers[len(names) :])
    ):
        kind = "missing-gradient" if len(answers) < len(names) else "extra-gradient"
        raise CodeFault(
            kind,
            f"the backward returned {len(answers)} gradient{'s' * (len(answers) != 1)}, but there are {len(names)} "
            f"arrays: {', '.join(names)} (one gradient each, in this order)",
        )
    return dict(zip(names, answers, strict=False))
