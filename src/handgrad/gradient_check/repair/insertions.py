"""Changes that bring in another name: one variable for another, a factor or a term that was forgotten."""

import ast
import copy
import itertools
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Any

import numpy as np

from ...arrays import Array
from .places import Edit, Node, Site, fitting, is_index, kind, mentions, named, openings, sites, within_index
from .source import Routine, Values

OUR_WRAPPERS = ("sigmoid", "softmax", "relu")
WRAPPERS = ("tanh", "exp", "sign", "abs", "sqrt", *OUR_WRAPPERS)


def other_names(routine: Routine) -> Iterator[Edit]:
    """One variable for another of the same kind: in one place, in all of an index, in all of a statement."""
    values = routine.values
    for site, text in mentions(routine, values):
        if isinstance(site.holder, ast.Attribute) and site.holder.attr == "shape":
            continue
        for other, value in values.items():
            if other != text and alike(value, values[text]):
                yield site.edit(named(other), *misnamed(site, text, other, values))
    yield from renamed(routine)


def renamed(routine: Routine) -> Iterator[Edit]:
    for site in sites(routine.part):
        node = site.node
        whole = isinstance(node, (ast.Assign, ast.AugAssign, ast.Return))
        if not whole and not isinstance(node, (ast.Slice, ast.Tuple, ast.Subscript)):
            continue
        read = {n.id for n in ast.walk(node) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Load)}
        used = sorted(read & set(routine.values))
        for a, b in itertools.combinations(used, 2) if whole or isinstance(node, ast.Tuple) else ():
            if alike(routine.values[a], routine.values[b]):
                mistake = "swapped-gradients" if isinstance(node, ast.Return) else "swapped"
                mistake = "index-repeated" if is_index(routine.values[a]) else mistake
                yield site.edit(substituted(node, {a: b, b: a}), mistake, f"{a} and {b} are exchanged here")
        for a, b in itertools.product(used, routine.values):
            if a != b and b.isidentifier() and alike(routine.values[a], routine.values[b]):
                yield site.edit(substituted(node, {a: b}), *misnamed(site, a, b, routine.values))
        yield from applied_twice(site) if whole else ()


def applied_twice(site: Site) -> Iterator[Edit]:
    """A function applied to the same value several times in a statement, where the value itself is due."""
    calls = [n for n in ast.walk(site.node) if isinstance(n, ast.Call) and len(n.args) == 1 and not n.keywords]
    texts = [ast.unparse(call) for call in calls]
    for text, call in dict(zip(texts, calls, strict=True)).items():
        if texts.count(text) > 1:
            message = f"{ast.unparse(call.func)} was applied to {ast.unparse(call.args[0])} already"
            unapplied = ast.unparse(site.node).replace(text, f"({ast.unparse(call.args[0])})")
            yield site.edit(ast.parse(unapplied).body[0], "derivative-at-output", message)


def substituted(node: Node, names: Mapping[str, str]) -> Node:
    """A copy of the node with names exchanged."""
    new = copy.deepcopy(node)
    for name in ast.walk(new):
        if isinstance(name, ast.Name) and isinstance(name.ctx, ast.Load):
            name.id = names.get(name.id, name.id)
    return new


def misnamed(site: Site, text: str, other: str, values: Values) -> tuple[str, str]:
    message = f"{other} is due here, not {text}"
    if is_index(values[text]) and (within_index(site) or isinstance(site.holder, (ast.BinOp, ast.Tuple, ast.Call))):
        return "index-repeated", message
    return "wrong-mask" if isinstance(site.holder, ast.Compare) else "wrong-variable", message


def alike(a: Any, b: Any) -> bool:
    """Whether one can stand for the other: numbers of a kind, arrays of a shape."""
    return kind(a) == kind(b) and np.shape(a) == np.shape(b)


def operands(routine: Routine) -> Iterator[Edit]:
    """A value where the derivative is due that is computed from it."""
    for site, text in mentions(routine, routine.values):
        if kind(routine.values[text]) != "array" or not isinstance(site.holder, (ast.BinOp, ast.Return)):
            continue
        for derivative, words in derivatives(text):
            message = f"{text} stands where {words}, {derivative}, is due"
            yield site.edit(named(derivative), "value-for-derivative", message)


def derivatives(text: str) -> tuple[tuple[str, str], ...]:
    return (
        (f"({text} > 0)", "ReLU's derivative"),
        (f"(1 - {text}**2)", "tanh's derivative"),
        (f"{text} * (1 - {text})", "the sigmoid's derivative"),
        (f"np.sign({text})", "its sign"),
    )


def variables(routine: Routine) -> Iterator[Edit]:
    """A number where a variable is due: 1 for dy above all."""
    holders = (ast.BinOp, ast.Assign, ast.AugAssign, ast.Call, ast.Return)
    for site in sites(routine.part):
        number = isinstance(site.node, ast.Constant) and isinstance(site.node.value, (int, float))
        if number and isinstance(site.holder, holders):
            for text in routine.values:
                mistake = "upstream-ignored" if text == routine.upstream else "wrong-variable"
                yield site.edit(named(text), mistake, f"{text} is due here, not {site.node.value}")


def factors(routine: Routine, whole: bool) -> Iterator[Edit]:
    """A factor that is missing: dy, a parameter, an activation's derivative, a size."""
    for site in openings(routine, whole):
        for new, value, mistake, message in missing_factors(site.node, routine):
            if fitting(site, value, routine.values):
                yield site.edit(new, mistake, message)


def activations(routine: Routine) -> Iterator[Edit]:
    """An activation's derivative that is missing."""
    for site in itertools.chain(openings(routine, True), openings(routine, False)):
        for text, value in arrays_of(routine).items():
            if text == routine.upstream or not fitting(site, value, routine.values):
                continue
            last = (f"(1 - {text})", "a derivative's last factor"), (f"(1 - np.tanh({text})**2)", "tanh's derivative")
            for derivative, words in (*derivatives(text), *last):
                mistake = "factor-missing" if "sign" in derivative else "derivative-missing"
                message = f"{words} is missing: multiply by {derivative}"
                yield site.edit(times(site.node, derivative), mistake, message)


def arrays_of(routine: Routine) -> dict[str, Array]:
    return {text: value for text, value in routine.values.items() if kind(value) == "array"}


def entries(routine: Routine) -> Iterator[Edit]:
    """An activation's derivative that is missing on dy itself, before anything is made of it."""
    dy, values = routine.upstream, routine.values
    if dy is None or dy not in values:
        return
    for site in sites(routine.part):
        if site.holder is not routine.part or not isinstance(site.node, ast.Assign):
            continue
        for text in {n.id for n in ast.walk(site.node.targets[0]) if isinstance(n, ast.Name)} & set(values):
            for derivative, words in derivatives(text) if np.shape(values[text]) == np.shape(values[dy]) else ():
                given = ast.Assign([ast.Name(dy, ast.Store())], times(ast.Name(dy, ast.Load()), derivative))
                message = f"{words} is missing: multiply {dy} by {derivative} first"
                yield site.edit(ast.If(ast.Constant(True), [site.node, given], []), "derivative-missing", message)


def missing_factors(node: ast.expr, routine: Routine) -> Iterator[tuple[ast.expr, Any, str, str]]:
    for text, value in routine.values.items():
        if text == routine.upstream:
            yield times(node, text), value, "upstream-ignored", f"the factor {text} is missing"
            continue
        mistake = "batch-size-factor" if is_index(value) else "factor-missing"
        mistake = "parameter-ignored" if text in routine.parameters else mistake
        yield times(node, text), value, mistake, f"the factor {text} is missing"
        yield over(node, text), value, mistake, f"divide by {text}"
        if kind(value) == "array":
            yield over(node, f"{text}.shape[0]"), None, "batch-size-factor", f"divide by the batch, {text}.shape[0]"
        if np.ndim(value) == 1:
            yield over(node, f"{text}[:, None]"), None, mistake, f"divide by {text}"
    yield times(node, "2"), None, "factor-two", "the factor 2 of a square's derivative is missing"
    yield over(node, "2"), None, "factor-two", "a factor 2 is too many"


def terms(routine: Routine, whole: bool) -> Iterator[Edit]:
    """A term that is missing: the way around a function, what comes back from the next step of time."""
    known = dict(routine.values) | parts_of(routine)
    for site in openings(routine, whole, in_products=True):
        for text, value in known.items():
            if kind(value) == "array" and fitting(site, value, routine.values):
                mistake = "skip-missing" if text == routine.upstream else "term-missing"
                for op in (ast.Add(), ast.Sub()):
                    yield site.edit(ast.BinOp(site.node, op, named(text)), mistake, f"the term {text} is missing")


def parts_of(routine: Routine) -> Values:
    """{expression: value} of the arrays cut as the code cuts them: a[:, :D] where b[:, :D] is written."""
    cuts = {
        ast.unparse(n).removeprefix(ast.unparse(n.value))[1:-1]
        for n in ast.walk(routine.part)
        if isinstance(n, ast.Subscript) and isinstance(n.slice, (ast.Tuple, ast.Slice))
    }
    found = {}
    for (text, value), cut in itertools.product(routine.values.items(), sorted(cuts)):
        if kind(value) == "array" and text.isidentifier():
            try:
                found[f"{text}[{cut}]"] = eval(f"{text}[{cut}]", {"__builtins__": {}}, dict(routine.values))
            except Exception:  # this array cannot be cut so
                continue
    return found


def jacobians(routine: Routine) -> Iterator[Edit]:
    """The whole softmax Jacobian, where only part of it was applied."""
    for (text, p), (other, u) in itertools.permutations(arrays_of(routine).items(), 2):
        if p.dtype.kind == "f" and p.shape == u.shape and (p >= 0).all() and np.allclose(p.sum(axis=-1), 1):
            whole = f"{text} * ({other} - ({other} * {text}).sum(axis=-1, keepdims=True))"
            message = f"through the softmax {text} each number moves all the others: {whole}"
            for site in openings(routine, True):
                yield site.edit(named(whole), "cross-terms-missing", message)


def statistics(routine: Routine) -> Iterator[Edit]:
    """The terms of a normalisation's mean and variance, which move with every x they are taken over."""
    arrays = {text: value for text, value in arrays_of(routine).items() if value.ndim > 1}
    axes: tuple[int | tuple[int, ...], ...] = (-1, 0, (0, 1, 2), (0, 2, 3))
    normal = [(text, axis) for text, value in arrays.items() for axis in axes if is_normal(value, axis)]
    for site, text in mentions(routine, arrays):
        for h, axis in normal:
            if h != text and arrays[h].shape == arrays[text].shape:
                mean, spread = (f"{a}.mean({axis}, keepdims=True)" for a in (text, f"({text} * {h})"))
                for terms_, words in (
                    (f" - {mean} - {h} * {spread}", "mean and variance move"),
                    (f" - {h} * {spread}", "the variance moves"),
                    (f" - {mean}", "the mean moves"),
                ):
                    message = f"{words} with every x: the term{terms_} is missing"
                    yield site.edit(named(f"({text}{terms_})"), "statistics-constant", message)


def is_normal(h: Array, axis: int | tuple[int, ...]) -> bool:
    """Whether mean and variance over these axes are 0 and about 1."""
    if np.max(axis) >= h.ndim:
        return False
    return np.allclose(h.mean(axis=axis), 0, atol=1e-8) and np.allclose((h * h).mean(axis=axis), 1, atol=0.05)


def wrapped(routine: Routine) -> Iterator[Edit]:
    """A function that was not applied, or axes that were not moved."""
    for site, text in mentions(routine, routine.values | routine.given):
        for name in WRAPPERS if kind(routine.values.get(text)) == "array" else ():
            call = ast.Call(named(name if name in OUR_WRAPPERS else f"np.{name}"), [site.node], [])
            mistake = "softmax-missing" if name == "softmax" else "function-missing"
            yield site.edit(call, mistake, f"{name} is not applied to {text}")
        if 4 in (np.ndim(held.get(text, 0)) for held in (routine.values, routine.given)):
            yield from moved_first(site, text)


def moved_first(site: Site, text: str) -> Iterator[Edit]:
    """Axes to move before a reshape."""
    message = f"the axes of {text} must be moved first: a reshape does not move them"
    for axes in ((0, 2, 3, 1), (0, 3, 1, 2), (1, 2, 3, 0), (3, 0, 1, 2), (1, 0, 2, 3), (2, 3, 1, 0)):
        yield site.edit(named(f"{text}.transpose{axes}"), "reshaped", message)


def times(left: ast.expr, right: str) -> ast.BinOp:
    return ast.BinOp(left, ast.Mult(), named(right))


def over(left: ast.expr, right: str) -> ast.BinOp:
    return ast.BinOp(left, ast.Div(), named(right))


INSERTIONS: tuple[Callable[[Routine], Iterator[Edit]], ...] = (
    *(variables, operands, entries, activations, other_names, jacobians, statistics),
    *(partial(factors, whole=True), partial(terms, whole=True), wrapped),
    *(partial(factors, whole=False), partial(terms, whole=False)),
)
