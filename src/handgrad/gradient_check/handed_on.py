"""Whether a model is its layers in a row, and its backward theirs in reverse: then layers that are right make it right.

It is the chain rule itself, seen at work. Where many kinks meet no difference decides, this does.
"""

import functools

import numpy as np

from .layer_targets import WithLoss, inner
from .slots import find_slots, parts, read_gradient


def is_chain(subject, dy):
    """Whether one forward and one backward pass everything from layer to layer, and change none of it on the way."""
    point = subject.at(np.float64)
    model = inner(point.layer)
    if not all(hasattr(part, "forward") for part in [model, *parts(model)]):
        return False
    forwards, backwards, left = [], [], {}
    for i, part in enumerate(parts(model)):
        part.forward = listened(part.forward, i, forwards)
        part.backward = listened(part.backward, i, backwards, after=lambda i=i: left.update(gradients(model, i)))
    model.forward = listened(model.forward, "model", forwards)
    model.backward = listened(model.backward, "model", backwards)
    point.forward()
    found = point.backward(dy.copy())
    order = list(range(len(parts(model))))
    return (in_a_row(forwards, order) and in_a_row(backwards, order[::-1]) and left.keys() <= found.keys()
            and all(np.array_equal(found[name], gradient) for name, gradient in left.items())
            and (isinstance(point.layer, WithLoss) or equal(backwards[-1][1], dy)))


def gradients(model, position):
    """{name: gradient} of one layer's parameters, as they stand."""
    return {name: np.array(read_gradient(model, slot)) for name, slot in find_slots(model).items()
            if slot.path[:1] == (position,)}


def listened(function, position, calls, after=lambda: None):
    """The function; each call leaves (position, what came in, what went out) in calls."""

    @functools.wraps(function)
    def listening(*arguments, **keywords):
        came = next((np.array(a) for a in (*arguments, *keywords.values())), None)
        went = function(*arguments, **keywords)
        calls.append((position, came, None if went is None else np.array(went)))
        after()
        return went

    return listening


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
