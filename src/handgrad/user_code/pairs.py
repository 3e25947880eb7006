"""Pairs of functions, and what is made one: a function and its gradient, a closure, a class with static methods."""

import ast
import contextlib
import copy
import inspect
import sys
from collections.abc import Iterable, Sequence
from types import FunctionType
from typing import Any

import numpy as np

from ..arrays import Array, DTypeLike, Shape
from .arguments import (
    Function,
    Gradients,
    Pair,
    Settings,
    Wanted,
    choose,
    described,
    loss_argument,
    name_of,
    num_required,
    parameters_of,
    several,
)
from .faults import CodeFault, line_of, report_faults
from .nested import is_container
from .subjects import Point, Subject, arrays_of, by_name
from .tracing import definition_of, module_of

PASSES_ON = True  # to the functions that it was given


class PairSubject(Subject):
    """A forward that returns (y, cache), and a backward that takes (dy, cache)."""

    def __init__(
        self,
        pair: Pair,
        arrays: Iterable[Any],
        kwargs: Settings,
        wrt: Wanted,
        label: str = "",
        names: Sequence[str] = (),
    ) -> None:
        super().__init__(label or name_of(pair[0]), pair[0], arrays, kwargs or {})
        self.all_names = list(names) or self.all_names
        self.forward: Function = pair[0]
        self.backward: Function = pair[1]
        self.is_ours = all(module_of(function).startswith("handgrad.") for function in pair)
        self.wrt_given: bool = wrt is not None
        self.names: list[str] = choose(wrt, self.all_names, self.arguments)
        self.input_names: list[str] = self.names
        given = [p for p in parameters_of(self.forward) or () if p.default is not p.empty]
        self.defaults: dict[str, Any] = {p.name: p.default for p in given}

    def at(self, dtype: DTypeLike) -> "PairPoint":
        return PairPoint(self, dtype)

    def options(self) -> list[str]:
        return [n for n, given in zip(self.all_names, self.arguments, strict=True) if is_container(given)]

    def answered(self, returned: Any) -> list[str]:
        """The first arrays, where several gradients fit their shapes, or those that a dict has gradients by."""
        if isinstance(returned, dict):
            return [n for n, gradient in by_name(returned, self, self.names).items() if gradient is not None]
        held = dict(zip(self.all_names, self.arguments, strict=True))
        first = list(zip(self.names, returned, strict=False)) if isinstance(returned, (tuple, list)) else []
        return [n for n, _ in first] if all(np.shape(g) == np.shape(held[n]) for n, g in first) else []

    def settle(self) -> "PairSubject":
        """A loss (one number) is differentiated by its first array, unless its backward answers for all of them.

        Where its forward has made the gradients already, and the backward but hands them out, times dy, both are one.
        """
        try:
            point = self.at(np.float64)
            if np.ndim(point.forward()):
                return self
            returned, more = (self.backward(scale, copy.deepcopy(point.cache)) for scale in (1.0, 2.0))
            answers, doubled = leaves(returned), leaves(more)
        except (Exception, SystemExit):  # the check proper runs into it again, and reports it
            return self
        if not self.wrt_given and (len(answers) < len(self.names) or any(a is None for a in answers)):
            self.names = self.input_names = self.answered(returned) or [loss_argument(self.names)]
        made, given = leaves(point.cache), [a for a in answers if a is not None]
        handed_on = len(made) == len(given) and all(any(same(a, kept) for kept in made) for a in given)
        times_dy = all(a is None or same(2 * a, b) for a, b in zip(answers, doubled, strict=False))
        if handed_on and times_dy and makes_apart(self.forward):
            self.one_function, self.has_upstream = True, False
        return self


def leaves(kept: Any) -> list[Any]:
    """What a tuple, list or dict holds, as deep as such go; of anything else it alone."""
    if not isinstance(kept, (tuple, list, dict)):
        return [kept]
    return [leaf for item in (kept.values() if isinstance(kept, dict) else kept) for leaf in leaves(item)]


def makes_apart(forward: Function) -> bool:
    """Whether a forward makes what it returns behind its loss for that alone, by the names in its source."""
    node = definition_of(forward) if isinstance(forward, FunctionType) else None
    parts = list(ast.walk(node)) if isinstance(node, ast.FunctionDef) else []
    given = [n.value.elts for n in parts if isinstance(n, ast.Return) and isinstance(n.value, ast.Tuple)]
    assigned = [n for n in parts if isinstance(n, (ast.Assign, ast.AugAssign, ast.For))]
    needed = {name for first, *_ in given for name in names_in(first)}
    for _ in assigned:  # each may need another
        for statement in assigned:
            targets = statement.targets if isinstance(statement, ast.Assign) else [statement.target]
            if needed & {name for target in targets for name in names_in(target)}:
                needed |= names_in(statement.iter if isinstance(statement, ast.For) else statement.value)
    return bool(given) and not any(isinstance(n, ast.Name) and n.id in needed for _, *more in given for n in more)


def names_in(node: ast.AST) -> set[str]:
    return {n.id for n in ast.walk(node) if isinstance(n, ast.Name)}


def same(a: Any, b: Any) -> bool:
    """Whether two things are arrays of the same numbers."""
    return isinstance(a, np.ndarray) and isinstance(b, np.ndarray) and np.array_equal(a, b)


class PairPoint(Point):
    subject: PairSubject

    @property
    def function(self) -> Function:
        return self.subject.forward

    def as_output(self, y: Any) -> Array:
        if y is None:
            raise self.nothing_returned()
        several = isinstance(y, tuple) and len(y) > 2 and num_required(self.subject.backward) == len(y)
        if not isinstance(y, tuple) or (len(y) != 2 and not several):
            got = f"{len(y)} values" if isinstance(y, tuple) else f"one {type(y).__name__}"
            raise CodeFault("wrong-output", f"the forward must return (y, cache), but returned {got}")
        *outputs, self.cache = y
        return super().as_output(tuple(outputs) if several else outputs[0])

    def takes_each(self, count: int) -> bool:
        """Whether the backward takes the gradient by each output, or all of them together, besides the cache."""
        return num_required(self.subject.backward) in (2, count + 1)

    def of_several(self, y: tuple[Any, ...]) -> str:
        return f"the forward's y must be an array of floats, or several, but is ({', '.join(map(described, y))})"

    def backward(self, dy: Array) -> Gradients:
        with report_faults("backward", self.subject.backward):
            backward, given = self.subject.follow(self.subject.backward), self.by_output(dy)
            together = len(given) > 1 and num_required(self.subject.backward) == 2
            returned = backward(*([tuple(given)] if together else given), self.cache)
        line = line_of(self.subject.backward)
        if returned is None and line:
            what = f"{name_of(self.subject.backward)} gives None: is its return missing, or still to be written?"
            raise CodeFault("gradient-missing", what, line=line)
        return arrays_of(by_name(returned, self.subject, self.subject.names, np.ndim(dy) == 0), self.subject.backward)


# What is made a pair ---------------------------------------------------------------------------------------------


def from_arrays(forward: Function, backward: Function) -> Pair:
    """A forward that returns y alone, and a backward(dy, *arrays), as a pair."""

    def paired(*arrays: Any, **keywords: Any) -> Any:
        return forward(*arrays, **keywords), arrays

    return named_like(paired, forward), lambda dy, arrays: backward(dy, *arrays)


def function_pair(function: Function, gradient: Function) -> Pair:
    """f(x) and its gradient as a pair: the gradient of a number, element-wise derivatives, or a Jacobian."""

    def forward(*arrays: Any, **keywords: Any) -> Any:
        return function(*arrays, **keywords), (arrays, keywords)

    def backward(dy: Array, cache: Any) -> Any:
        arrays, keywords = cache
        found = gradient(*arrays, **keywords)
        found = several(found, arrays)
        return tuple(chain(dy, g, np.shape(x)) for g, x in zip(found, arrays, strict=False))

    return named_like(forward, function), backward


def chain(dy: Array, derivative: Any, shape: Shape) -> Any:
    """dy times a derivative by an array of this shape: per number, per entry, or as a Jacobian (outputs, *shape)."""
    if derivative is None or np.ndim(dy) == 0:
        return None if derivative is None else dy * np.asarray(derivative)
    derivative = np.asarray(derivative)
    if derivative.shape == dy.shape + tuple(shape) and derivative.ndim > dy.ndim:
        return np.tensordot(dy, derivative, axes=dy.ndim)
    return dy * derivative


def closure_pair(closure: Function) -> Pair:
    """closure(*arrays) -> (loss, gradients), as optimizers call it, as a pair."""

    def forward(*arrays: Any, **keywords: Any) -> Any:
        returned = closure(*arrays, **keywords)
        several = isinstance(returned, tuple) and len(returned) > 1
        if not several or np.ndim(returned[0]):
            got = f"({', '.join(map(described, returned))})" if several else described(returned)
            what = f"{name_of(closure)}, given alone, was taken for a function that returns (loss, gradients), the loss"
            due = "give a forward together with its backward, or a function with its gradient, as a pair"
            raise CodeFault("wrong-output", f"{what} one number, but it returned {got}: {due}")
        return (returned[0], returned[1:]) if len(returned) > 2 else returned

    def backward(dloss: Any, gradients: Any) -> Any:
        if isinstance(gradients, dict):
            return {k: dloss * np.asarray(g) for k, g in gradients.items()}
        gradients = gradients if isinstance(gradients, (tuple, list)) else (gradients,)
        return tuple(None if g is None else dloss * np.asarray(g) for g in gradients)

    return named_like(forward, closure), backward


class Context:
    """What a static forward may keep for its backward: any attribute, and save_for_backward."""

    saved_tensors: tuple[Any, ...] = ()
    needs_input_grad: tuple[bool, ...] = (True,) * 64

    def save_for_backward(self, *arrays: Any) -> None:
        self.saved_tensors = arrays

    def ignore(self, *arrays: Any) -> None:
        """Marks that mean something to torch alone."""

    mark_dirty = mark_non_differentiable = set_materialize_grads = ignore


def function_class(cls: type) -> Pair:
    """A class with static forward(ctx, ...) and backward(ctx, dy), as torch.autograd.Function has them, as a pair."""
    if not (hasattr(cls, "forward") and hasattr(cls, "backward")):
        raise TypeError(f"{cls.__name__} has no forward and backward")
    if not isinstance(inspect.getattr_static(cls, "forward"), staticmethod):
        raise TypeError(f"{cls.__name__} is a class: check an object of it, {cls.__name__}(...)")
    if not takes_context(cls):
        return cls.forward, cls.backward
    enter, leave = translations(cls)

    def forward(*arrays: Any, **keywords: Any) -> Any:
        context = Context()
        return leave(cls.forward(context, *map(enter, arrays), **keywords)), context

    def backward(dy: Array, context: Context) -> Any:
        returned = cls.backward(context, enter(np.asarray(dy)))
        return tuple(map(leave, returned)) if isinstance(returned, tuple) else leave(returned)

    names = list(inspect.signature(cls.forward).parameters.values())[1:]
    vars(forward)["__signature__"] = inspect.Signature(names)
    return forward, backward


def takes_context(cls: Any) -> bool:
    """Whether static methods begin with the same parameter, a context; else they are a pair as functions are."""
    first, second = (next(iter(inspect.signature(part).parameters), "") for part in (cls.forward, cls.backward))
    return first == second


def translations(cls: type) -> tuple[Function, Function]:
    """Functions from arrays to what the class computes with, and back: tensors for a true torch.autograd.Function."""
    if not any(base.__module__.startswith("torch.autograd") for base in cls.__mro__):
        return (lambda array: array), (lambda array: array)
    torch = sys.modules["torch"]  # loaded, or there were no such class
    return (
        (lambda array: torch.from_numpy(array.copy()) if isinstance(array, np.ndarray) else array),
        (lambda tensor: tensor.detach().numpy() if isinstance(tensor, torch.Tensor) else tensor),
    )


def named_like(forward: Function, function: Function) -> Function:
    """forward, with the parameter names that function's signature shows, as if from the same module."""
    with contextlib.suppress(TypeError, ValueError):
        vars(forward)["__signature__"] = inspect.signature(function)
    forward.__name__, forward.__module__ = name_of(function), module_of(function)
    return forward
