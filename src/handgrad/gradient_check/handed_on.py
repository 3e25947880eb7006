"""Whether a model is its layers in a row, and its backward theirs in reverse: then layers that are right make it right.

It is the chain rule itself, seen at work. Where many kinks meet no difference decides, this does. The layers must have
nothing in common: with a cache, a parameter or an output that two of them use, each may be right and the model wrong.
"""

import functools
from typing import NamedTuple

import numpy as np

from .layer_targets import WithLoss, inner
from .slots import find_slots, parts, read, read_gradient


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
