"""Models: which layer is wrong, each checked by itself, and whether layers that are right make the model right."""

import functools
from functools import partial, wraps
from typing import NamedTuple

import numpy as np

from .conduct import draw_upstreams
from .slots import find_slots, label, parts, read, read_gradient
from .subjects import WithLoss, inner
from .verdict import Verdict

CHAINED = (
    "kinks meet in this model, so that no difference along its entries is reliable: right because each layer is right "
    "by itself and gets just what the one above returned (chain rule)"
)
CONSEQUENCE = "the layers below a wrong one get a wrong gradient: mend it first, then check again"


def locate(subject, report, check):
    """Replace a model's verdicts by those of its wrong layers; check(layer, *arrays) makes the reports.

    Done for a wrong model, and for one with kinks: at a kink only the layers by themselves tell right from wrong.
    """
    model = inner(getattr(subject, "original", None))
    if not parts(model) or (report.ok and not any(kink.at_point for kink in report.kinks)):
        return
    seen = inputs_of_parts(subject)
    found = []
    for i, part in enumerate(parts(model)):
        if i in seen and seen[i][0].dtype.kind == "f":
            inner_report = check(part, *seen[i])
            report.num_forwards += inner_report.num_forwards
            found += [prefixed(v, label(part, i)) for v in inner_report.verdicts]
    loss = subject.original.loss if isinstance(subject.original, WithLoss) else None
    if loss is not None and "loss" in seen:
        found += [prefixed(v, "loss") for v in check(loss, *seen["loss"]).verdicts]
    if found:
        report.notes.append(CONSEQUENCE)
    elif report.ok or not all(v.array for v in report.verdicts):
        return  # verdicts without an array are on the model's own code: conduct, exceptions
    elif report.kinks and all(i in seen for i in range(len(parts(model)))) and is_chain(subject, upstream(subject)):
        report.notes.append(CHAINED)
        for check in report.arrays.values():
            check.ok = True
    elif len(seen) < len(parts(model)):
        return  # not every layer could be watched: what was found in the model stands
    else:
        found = [
            Verdict(
                "",
                "not-passed-down",
                "each layer is right by itself, the model is not: its backward calls them in the wrong order, leaves "
                "one out, or hands on another gradient than the layer above returned; or two layers use the same "
                "cache or parameter",
                f"wrong in the model: {', '.join(v.array for v in report.verdicts if v.array)}",
            )
        ]
    report.verdicts[:] = found


def upstream(subject):
    """A random dy for the model."""
    return draw_upstreams(subject, subject.at(np.float64).forward(), np.random.default_rng(0))[0]


def prefixed(verdict, part):
    array = f"{part}.{verdict.array}" if verdict.array else part
    return Verdict(array, verdict.mistake, verdict.message, verdict.evidence)


def inputs_of_parts(subject):
    """{position: arrays} that each layer gets in one forward; 'loss' for the loss."""
    seen = {}

    def recording(position, forward):
        @wraps(forward)
        def record(*arrays, **keywords):
            came = [np.array(a) for a in (*arrays, *keywords.values()) if isinstance(a, np.ndarray)]
            if came:
                seen.setdefault(position, came)
            return forward(*arrays, **keywords)

        return record

    point = subject.at(np.float64)
    for i, part in enumerate(parts(inner(point.layer))):
        if hasattr(part, "forward"):
            part.forward = recording(i, part.forward)
        else:  # called itself: the object of a class whose calls are noted
            cls = type(part)
            call = recording(i, partial(cls.__call__, part))
            part.__class__ = type(cls.__name__, (cls,), {"__call__": lambda self, *a, call=call, **k: call(*a, **k)})
    if isinstance(point.layer, WithLoss):
        loss = point.layer.loss
        if isinstance(loss, tuple):
            point.layer.loss = (recording("loss", loss[0]), loss[1])
        else:
            loss.forward = recording("loss", loss.forward)
    point.forward()
    return seen


def is_chain(subject, dy):
    """Whether everything is passed from layer to layer unchanged, and no layer depends on another in other ways."""
    if not all(hasattr(part, "forward") for part in parts(inner(subject.original))):
        return False
    seen = Passes(subject, dy)
    if not seen.is_in_a_row():
        return False
    rng = np.random.default_rng(0)
    fed = Fed(
        {i: came for i, came, _ in seen.forwards},
        {i: rng.normal(size=came.shape) for i, came, _ in seen.backwards},
        find_slots(seen.model),
    )
    usual = Passes(subject, dy, fed)
    return all(usual.are_alike_but(i, Passes(subject, dy, fed, i)) for i in seen.order)


class Fed(NamedTuple):
    """What each layer is to get, by position, whatever reaches it; and where the model keeps its parameters."""

    x: dict
    dy: dict
    slots: dict


NOTHING = Fed({}, {}, {})


class Passes:
    """One forward and one backward of a model, with every layer listened to.

    The layer `moved` gets other x, dy and parameters than it is fed.
    """

    def __init__(self, subject, dy, fed=NOTHING, moved=None):
        self.point, self.dy, self.moved = subject.at(np.float64), dy, moved
        self.model = inner(self.point.layer)
        self.forwards, self.backwards, self.gradients = [], [], {}
        self.order = list(range(len(parts(self.model))))
        for i, part in enumerate(parts(self.model)):
            part.forward = self.listened(part.forward, i, self.forwards, fed.x.get(i))
            part.backward = self.listened(part.backward, i, self.backwards, fed.dy.get(i))
        self.model.forward = self.listened(self.model.forward, "model", self.forwards)
        self.model.backward = self.listened(self.model.backward, "model", self.backwards)
        for slot in fed.slots.values():
            if slot.path[:1] == (moved,):
                array = read(self.model, slot)
                array[...] = elsewhere(array)
        self.point.forward()
        self.found = self.point.backward(dy.copy())

    def listened(self, function, position, calls, given=None):
        """The function; each call leaves (position, what came in, what went out) in calls."""
        if given is not None and position == self.moved:
            given = elsewhere(given)

        @functools.wraps(function)
        def listening(*arguments, **keywords):
            if given is not None and arguments:
                arguments = (given.copy(), *arguments[1:])
            elif given is not None:
                keywords |= {next(iter(keywords)): given.copy()}
            came = next((np.array(a) for a in (*arguments, *keywords.values())), None)
            went = function(*arguments, **keywords)
            calls.append((position, came, None if went is None else np.array(went)))
            if calls is self.backwards:
                self.gradients |= {
                    name: np.array(read_gradient(self.model, slot))
                    for name, slot in find_slots(self.model).items()
                    if slot.path[:1] == (position,)
                }
            return went

        return listening

    def is_in_a_row(self):
        """Whether each layer was called once, got what the one before gave, and its gradients are the model's."""
        return (
            in_a_row(self.forwards, self.order)
            and in_a_row(self.backwards, self.order[::-1])
            and self.gradients.keys() <= self.found.keys()
            and all(np.array_equal(self.found[name], gradient) for name, gradient in self.gradients.items())
            and (isinstance(self.point.layer, WithLoss) or equal(self.backwards[-1][1], self.dy))
        )

    def are_alike_but(self, moved, other):
        """Whether all layers but one give the same in other passes, in which that one was moved."""
        own = {name for name, slot in find_slots(self.model).items() if slot.path[:1] == (moved,)}
        return (
            len(self.forwards) == len(other.forwards)
            and len(self.backwards) == len(other.backwards)
            and all(
                a[0] in (moved, "model") or equal(a[2], b[2])
                for a, b in zip(self.forwards + self.backwards, other.forwards + other.backwards, strict=True)
            )
            and all(
                np.array_equal(self.gradients[name], other.gradients.get(name)) for name in self.gradients.keys() - own
            )
        )


def elsewhere(array):
    """Other numbers of the same kind: those of the neighbours, 1% and a little off."""
    return 1.01 * np.roll(array, 1) + 0.01


def in_a_row(calls, order):
    """Whether the parts were called once each, in this order, each with what the one before gave, within the model."""
    if [position for position, _, _ in calls] != [*order, "model"]:
        return False
    *inside, (_, came, went) = calls
    handed = [came, *(out for _, _, out in inside)]
    taken = [*(array for _, array, _ in inside), went]
    return all(equal(a, b) for a, b in zip(handed, taken, strict=True))


def equal(a, b):
    return a is not None and b is not None and np.array_equal(a, b)
