"""Models: which layer is wrong, each checked by itself, and whether layers that are right make the model right.

The latter is the chain rule itself, seen at work: a model that is its layers in a row, and whose backward is theirs in
reverse, is right when they are. Where many kinks meet no difference decides, this does. The layers must have nothing in
common: with a cache, a parameter or an output that two of them use, each may be right and the model wrong.
"""

import functools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, TypeAlias

import numpy as np

from ..arrays import Array
from ..user_code.arguments import Function, Gradients
from ..user_code.layers import LayerSubject, WithLoss, inner
from ..user_code.slots import find_slots, label, parts, read, read_gradient
from ..user_code.subjects import Point, Subject
from .report import Report
from .verdict import Verdict

Method: TypeAlias = tuple[str, int | str]  # "forward" or "backward", and of which layer, or of "model" or "loss"
Call: TypeAlias = tuple[Method, Array | None, Array | None]  # what came in, and what went out

CHAINED = (
    "kinks meet in this model, so that no difference along its entries is reliable: right because each layer is right "
    "by itself and gets just what the one above returned (chain rule)"
)
CONSEQUENCE = "the layers below a wrong one get a wrong gradient: mend it first, then check again"
NOT_PASSED_DOWN = (
    "each layer is right by itself, the model is not: its backward calls them in the wrong order, leaves one out, "
    "or hands on another gradient than the layer above returned; or two layers use the same cache or parameter"
)


def check_layers(subject: Subject, report: Report, check: Callable[..., Report]) -> list[Verdict] | None:
    """The verdicts on a model's layers, each checked by itself on what reaches it in the model's forward.

    None: what was found in the model stands. check(layer, *arrays) makes the reports. Done for a wrong model, and for
    one with kinks: at a kink only the layers by themselves tell right from wrong.
    """
    layers = parts(inner(subject.original))
    if not isinstance(subject, LayerSubject) or not layers or (report.ok and not any(k.at_point for k in report.kinks)):
        return None
    seen = inputs_of_parts(subject)
    found: list[Verdict] = []
    for i, part in enumerate(layers):
        if i in seen and seen[i][0].dtype.kind == "f":
            of_part = check(part, *seen[i])
            report.num_forwards += of_part.num_forwards
            found += [prefixed(v, label(part, i)) for v in of_part.verdicts]
    if isinstance(subject.original, WithLoss) and "loss" in seen:
        found += [prefixed(v, "loss") for v in check(subject.original.loss, *seen["loss"]).verdicts]
    if found:
        report.notes.append(CONSEQUENCE)
        return found
    if report.ok or not all(v.array for v in report.verdicts):
        return None  # verdicts without an array are on the model's own code: conduct, exceptions
    watched = all(i in seen for i in range(len(layers)))
    if report.kinks and watched and is_chain(subject, upstream(subject)):
        report.notes.append(CHAINED)
        for array in report.arrays.values():
            array.ok = True
        return []
    if len(seen) < len(layers):
        return None  # not every layer could be watched
    evidence = f"wrong in the model: {', '.join(v.array for v in report.verdicts)}"
    return [Verdict("", "not-passed-down", NOT_PASSED_DOWN, evidence)]


def upstream(subject: Subject) -> Array:
    """A random dy for the model."""
    return subject.draw_upstreams(subject.at(np.float64).forward(), np.random.default_rng(0))[0]


def prefixed(verdict: Verdict, part: str) -> Verdict:
    arrays = [f"{part}.{array}" if array else part for array in verdict.array.split(", ")]
    return replace(verdict, array=", ".join(arrays))


def inputs_of_parts(subject: Subject) -> dict[int | str, list[Array]]:
    """{position: arrays} that each layer gets in one forward; 'loss' for the loss."""
    seen: dict[int | str, list[Array]] = {}

    def note(method: Method, came: list[Array], went: Any) -> None:
        if came:
            seen.setdefault(method[1], came)

    point = subject.at(np.float64)
    for i, part in enumerate(parts(inner(point.layer))):
        if hasattr(part, "forward"):
            part.forward = listened(part.forward, ("forward", i), note)
        else:  # called itself: the object of a class whose calls are noted
            cls = type(part)
            call = listened(functools.partial(cls.__call__, part), ("forward", i), note)
            part.__class__ = type(cls.__name__, (cls,), {"__call__": lambda self, *a, call=call, **k: call(*a, **k)})
    if isinstance(point.layer, WithLoss):
        loss = point.layer.loss
        if isinstance(loss, tuple):
            point.layer.loss = (listened(loss[0], ("forward", "loss"), note), loss[1])
        else:
            loss.forward = listened(loss.forward, ("forward", "loss"), note)
    point.forward()
    return seen


def listened(
    function: Function, method: Method, note: Callable[[Method, list[Array], Any], None], given: Any = None
) -> Function:
    """The function; of each call it is noted which arrays came in and what went out. given: its first argument."""

    @functools.wraps(function)
    def listening(*arguments: Any, **keywords: Any) -> Any:
        if given is not None and arguments:
            arguments = (given.copy(), *arguments[1:])
        elif given is not None:
            keywords |= {next(iter(keywords)): given.copy()}
        came = [np.array(a) for a in (*arguments, *keywords.values()) if isinstance(a, np.ndarray)]
        went = function(*arguments, **keywords)
        note(method, came, went)
        return went

    return listening


def is_chain(subject: LayerSubject, dy: Array) -> bool:
    """Whether everything is passed from layer to layer unchanged, and no layer depends on another in other ways."""
    if not all(hasattr(part, "forward") for part in parts(inner(subject.original))):
        return False
    seen = Passes(subject, dy, {})
    if not seen.is_in_a_row():
        return False
    rng = np.random.default_rng(0)
    came = {method: array for method, array, _ in seen.calls if array is not None}
    fed = {m: array if m[0] == "forward" else rng.normal(size=array.shape) for m, array in came.items()}
    usual = Passes(subject, dy, fed)
    return all(usual.are_alike_but(i, Passes(subject, dy, fed, i)) for i in range(len(parts(seen.model))))


class Passes:
    """One forward and one backward of a model, with every layer listened to.

    fed: what each layer is to get in each method, whatever reaches it. The layer `moved` gets other x, dy and
    parameters than that.
    """

    def __init__(self, subject: LayerSubject, dy: Array, fed: Mapping[Method, Array], moved: int | None = None) -> None:
        self.point: Point = subject.at(np.float64)
        self.dy: Array = dy
        self.model: Any = inner(self.point.layer)
        self.calls: list[Call] = []
        self.gradients: dict[str, Array] = {}
        listened_to: list[tuple[int | str, Any]] = [*enumerate(parts(self.model)), ("model", self.model)]
        for i, part in listened_to:
            for name in ("forward", "backward"):
                given = fed.get((name, i))
                given = elsewhere(given) if given is not None and i == moved else given
                setattr(part, name, listened(getattr(part, name), (name, i), self.note, given))
        for slot in subject.every_slot.values():
            if slot.path[:1] == (moved,):
                array = read(self.model, slot)
                array[...] = elsewhere(array)
        self.point.forward()
        self.found: Gradients = self.point.backward(dy.copy())

    def note(self, method: Method, came: list[Array], went: Any) -> None:
        self.calls.append((method, came[0] if came else None, None if went is None else np.array(went)))
        if method[0] == "backward":
            slots = {name: slot for name, slot in find_slots(self.model).items() if slot.path[:1] == method[1:]}
            self.gradients |= {name: np.array(read_gradient(self.model, slot)) for name, slot in slots.items()}

    def is_in_a_row(self) -> bool:
        """Whether each layer was called once, got what the one before gave, and its gradients are the model's."""
        n = len(parts(self.model))
        return (
            in_a_row(self.calls[: n + 1], "forward", range(n))
            and in_a_row(self.calls[n + 1 :], "backward", range(n)[::-1])
            and self.gradients.keys() <= self.found.keys()
            and all(equal(self.found[name], gradient) for name, gradient in self.gradients.items())
            and (isinstance(self.point.layer, WithLoss) or equal(self.calls[-1][1], self.dy))
        )

    def are_alike_but(self, moved: int, other: "Passes") -> bool:
        """Whether all layers but one give the same in other passes, in which that one was moved."""
        own = {name for name, slot in find_slots(self.model).items() if slot.path[:1] == (moved,)}
        calls = zip(self.calls, other.calls, strict=False)
        return (
            len(self.calls) == len(other.calls)
            and all(a[0][1] in (moved, "model") or equal(a[2], b[2]) for a, b in calls)
            and all(equal(self.gradients[name], other.gradients.get(name)) for name in self.gradients.keys() - own)
        )


def elsewhere(array: Array) -> Array:
    """Other numbers of the same kind: those of the neighbours, 1% and a little off."""
    return 1.01 * np.roll(array, 1) + 0.01


def in_a_row(calls: Sequence[Call], name: str, order: Sequence[int]) -> bool:
    """Whether the parts were called once each, in this order, each with what the one before gave, within the model."""
    if [method for method, _, _ in calls] != [(name, i) for i in (*order, "model")]:
        return False
    *inside, (_, came, went) = calls
    handed, taken = [came, *(out for _, _, out in inside)], [*(array for _, array, _ in inside), went]
    return all(equal(a, b) for a, b in zip(handed, taken, strict=True))


def equal(a: Array | None, b: Array | None) -> bool:
    return a is not None and b is not None and np.array_equal(a, b)
