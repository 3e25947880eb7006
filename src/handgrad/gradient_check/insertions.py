"""Changes that bring in another name: one variable for another, a factor or a term that was forgotten."""

import ast
import copy
import itertools
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Any

import numpy as np

from ..arrays import Array
from .sites import (
    Edit,
    Node,
    Scope,
    Site,
    Values,
    fitting,
    is_call,
    is_index,
    kind,
    mentions,
    named,
    openings,
    sites,
    within_index,
)

OUR_WRAPPERS = ("sigmoid", "softmax", "relu")
WRAPPERS = ("tanh", "exp", "sign", "abs", "sqrt", *OUR_WRAPPERS)


def other_indices(scope: Scope) -> Iterator[Edit]:
    """Another number of the loop in an index: i, i - 1 or i + 1."""
    counters = [text for text, value in scope.values.items() if is_index(value) and text.isidentifier()]
    for site in sites(scope):
        if (
            isinstance(site.node, (ast.Name, ast.BinOp))
            and isinstance(site.holder, ast.Subscript)
            and site.field == "slice"
        ):
            for text in counters if len(counters) <= 12 else ():
                for other in (text, f"{text} - 1", f"{text} + 1"):
                    if other != ast.unparse(site.node):
                        message = f"the index {other} is due here, not {ast.unparse(site.node)}"
                        mistake = "off-by-one" if text in ast.unparse(site.node) else "wrong-index"
                        yield site.edit(named(other), mistake, message)


def positions(scope: Scope) -> Iterator[Edit]:
    """A position that is due a multiple of an index: i * stride."""
    counters = [text for text, value in scope.values.items() if is_index(value) and text.isidentifier()]
    if isinstance(scope.statement, ast.Assign) and is_index(scope.values.get(scope.target)):
        for site in sites(scope):
            for text in counters if site.field == "value" and site.holder is scope.statement else ():
                yield site.edit(times(site.node, text), "shifted", f"the position is the index times {text}")


def other_names(scope: Scope) -> Iterator[Edit]:
    """One variable for another of the same kind: in one place, in all of an index, in all of a statement."""
    values = scope.values | scope.containers
    for site, text in mentions(scope, values):
        if isinstance(site.holder, ast.Attribute) and site.holder.attr == "shape":
            continue
        for other, value in values.items():
            if other != text and alike(value, values[text]):
                yield site.edit(named(other), *misnamed(site, text, other, values))
    yield from renamed(scope)


def renamed(scope: Scope) -> Iterator[Edit]:
    """One name for another in all of a statement or an index, or two of them exchanged."""
    values = scope.values | scope.containers
    for site in sites(scope):
        node = site.node
        whole = isinstance(node, (ast.Assign, ast.AugAssign, ast.Return)) or node is getattr(scope.statement, "body", 0)
        if not whole and not isinstance(node, (ast.Slice, ast.Tuple, ast.Subscript)):
            continue
        read = Counter(ast.unparse(n) for n in ast.walk(node) if is_read(n))
        used = sorted(read.keys() & set(values))
        for a, b in itertools.combinations(used, 2) if whole or isinstance(node, ast.Tuple) else ():
            if alike(values[a], values[b]):
                mistake = "swapped-gradients" if isinstance(node, ast.Return) else "swapped"
                mistake = "index-repeated" if is_index(values[a]) else mistake
                yield site.edit(substituted(node, {a: b, b: a}), mistake, f"{a} and {b} are exchanged here")
        for a, b in itertools.product((name for name in used if read[name] > 1), values):
            if a != b and alike(values[a], values[b]):
                yield site.edit(substituted(node, {a: b}), *misnamed(site, a, b, values))
        yield from applied_twice(site) if whole else ()


def is_read(node: ast.AST) -> bool:
    return isinstance(node, (ast.Name, ast.Attribute, ast.Subscript)) and isinstance(node.ctx, ast.Load)


def applied_twice(site: Site) -> Iterator[Edit]:
    """A function applied to the same value several times in a statement, where the value itself is due."""
    calls = [n for n in ast.walk(site.node) if isinstance(n, ast.Call) and len(n.args) == 1 and not n.keywords]
    texts = [ast.unparse(call) for call in calls]
    for text, call in dict(zip(texts, calls, strict=True)).items():
        if texts.count(text) > 1:
            message = f"{ast.unparse(call.func)} was applied to {ast.unparse(call.args[0])} already"
            unapplied = ast.unparse(site.node).replace(text, f"({ast.unparse(call.args[0])})")
            yield site.edit(ast.parse(unapplied).body[0], "derivative-at-output", message)


class Substitution(ast.NodeTransformer):
    """Puts other names in the place of names, attributes and items that are read."""

    def __init__(self, names: Mapping[str, str]) -> None:
        self.names = names

    def visit(self, node: ast.AST) -> Any:
        text = ast.unparse(node) if is_read(node) else ""
        return ast.copy_location(named(self.names[text]), node) if text in self.names else super().visit(node)


def substituted(node: Node, names: Mapping[str, str]) -> Node:
    """A copy of the node with names exchanged."""
    new: Node = Substitution(names).visit(copy.deepcopy(node))
    return new


def misnamed(site: Site, text: str, other: str, values: Values) -> tuple[str, str]:
    message = f"{other} is due here, not {text}"
    if is_index(values[text]) and (within_index(site) or isinstance(site.holder, (ast.BinOp, ast.Tuple, ast.Call))):
        return "index-repeated", message
    return "wrong-mask" if isinstance(site.holder, ast.Compare) else "wrong-variable", message


def alike(a: Any, b: Any) -> bool:
    """Whether one can stand for the other: numbers of a kind, arrays of a shape, lists of as many."""
    if isinstance(a, (list, tuple, dict)) or isinstance(b, (list, tuple, dict)):
        return type(a) is type(b) and abs(len(a) - len(b)) <= 1
    return kind(a) == kind(b) and np.shape(a) == np.shape(b)


def operands(scope: Scope) -> Iterator[Edit]:
    """A value where the derivative is due that is computed from it."""
    for site, text in mentions(scope, scope.values):
        if kind(scope.values[text]) != "array" or not isinstance(site.holder, (ast.BinOp, ast.Return)):
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


def variables(scope: Scope) -> Iterator[Edit]:
    """A number where a variable is due: 1 for dy above all."""
    holders = (ast.BinOp, ast.UnaryOp, ast.Assign, ast.AugAssign, ast.Call, ast.Return)
    for site in sites(scope):
        number = isinstance(site.node, ast.Constant) and isinstance(site.node.value, (int, float))
        if number and isinstance(site.holder, holders):
            for text in scope.values:
                mistake = "upstream-ignored" if text == scope.upstream else "wrong-variable"
                yield site.edit(named(text), mistake, f"{text} is due here, not {site.node.value}")


def factors(scope: Scope, whole: bool) -> Iterator[Edit]:
    """A factor that is missing: dy, a parameter, an activation's derivative, a size."""
    for site in openings(scope, whole):
        for new, value, mistake, message in missing_factors(site.node, scope):
            if fitting(site, value, scope.values):
                yield site.edit(new, mistake, message)


def later_factors(scope: Scope) -> Iterator[Edit]:
    """A size that an array must be divided by after others were written into it."""
    target: Any = getattr(scope.statement, "targets", [getattr(scope.statement, "target", None)])[0]
    if isinstance(target, ast.Subscript) and isinstance(target.value, ast.Name):
        site = next(s for s in sites(scope) if s.node is target.value)
        for new, _, mistake, message in missing_factors(ast.Name(target.value.id, ast.Load()), scope):
            if isinstance(new, ast.BinOp):
                yield Edit(site, new, mistake, message, target.value.id)


def activations(scope: Scope) -> Iterator[Edit]:
    """An activation's derivative that is missing."""
    for site in itertools.chain(openings(scope, True), openings(scope, False)):
        for text, value in arrays_of(scope).items():
            if text == scope.upstream or not fitting(site, value, scope.values):
                continue
            last = (f"(1 - {text})", "a derivative's last factor"), (f"(1 - np.tanh({text})**2)", "tanh's derivative")
            for derivative, words in (*derivatives(text), *last):
                mistake = "factor-missing" if "sign" in derivative else "derivative-missing"
                message = f"{words} is missing: multiply by {derivative}"
                yield site.edit(times(site.node, derivative), mistake, message)


def arrays_of(scope: Scope) -> dict[str, Array]:
    return {text: value for text, value in scope.values.items() if kind(value) == "array"}


def entries(scope: Scope) -> Iterator[Edit]:
    """An activation's derivative that is missing on dy itself, before anything is made of it."""
    dy, values = scope.upstream, scope.values
    site = next((s for s in sites(scope) if isinstance(s.node, ast.Name) and s.node.id == dy), None)
    if dy is None or site is None or dy not in values:
        return
    for text in values:
        for derivative, words in derivatives(text) if np.shape(values[text]) == np.shape(values[dy]) else ():
            message = f"{words} is missing: multiply {dy} by {derivative} first"
            new = times(ast.Name(dy, ast.Load()), derivative)
            yield Edit(site, new, "derivative-missing", message, dy)


def missing_factors(node: ast.expr, scope: Scope) -> Iterator[tuple[ast.expr, Any, str, str]]:
    for text, value in scope.values.items():
        if text == scope.upstream:
            yield times(node, text), value, "upstream-ignored", f"the factor {text} is missing"
            continue
        mistake = "batch-size-factor" if is_index(value) else "factor-missing"
        mistake = "parameter-ignored" if text in scope.parameters else mistake
        yield times(node, text), value, mistake, f"the factor {text} is missing"
        yield over(node, text), value, mistake, f"divide by {text}"
        if kind(value) == "array":
            yield over(node, f"{text}.shape[0]"), None, "batch-size-factor", f"divide by {text}.shape[0]"
        if np.ndim(value) == 1:
            yield over(node, f"{text}[:, None]"), None, mistake, f"divide by {text}"
    sizes = [text for text, value in scope.values.items() if is_index(value) and value > 1]
    for text in sizes:
        yield over(node, f"np.sqrt({text})"), None, "factor-missing", f"the divisor √{text} is missing"
    for text in sizes if len(sizes) <= 12 else ():
        yield over(node, f"{text}**2"), None, "factor-missing", f"divide by {text}²"
    for a, b in itertools.combinations(sizes, 2) if len(sizes) <= 8 else ():
        for product in (f"{a} * {b}", *(f"{a} * {b} * {c}" for c in sizes if c > b)):
            yield times(node, f"({product})"), None, "element-count-factor", f"multiply by {product}"
            yield over(node, f"({product})"), None, "element-count-factor", f"divide by {product}"
    yield times(node, "2"), None, "factor-two", "a factor 2 is missing"
    yield over(node, "2"), None, "factor-two", "a factor 2 is too many"


def terms(scope: Scope, whole: bool) -> Iterator[Edit]:
    """A term that is missing: the way around a function, what comes back from the next step of time."""
    known = dict(scope.values) | parts_of(scope)
    for site in openings(scope, whole, in_products=True):
        for text, value in known.items():
            if kind(value) != "integer" and fitting(site, value, scope.values):
                mistake = "skip-missing" if text == scope.upstream else "term-missing"
                for op in (ast.Add(), ast.Sub()):
                    yield site.edit(ast.BinOp(site.node, op, named(text)), mistake, f"the term {text} is missing")


def parts_of(scope: Scope) -> Values:
    """{expression: value} of the arrays cut as the code cuts them: a[:, :D] where b[:, :D] is written."""
    cuts = {
        ast.unparse(n).removeprefix(ast.unparse(n.value))[1:-1]
        for n in ast.walk(scope.statement)
        if isinstance(n, ast.Subscript) and isinstance(n.slice, (ast.Tuple, ast.Slice))
    }
    found = {}
    for (text, value), cut in itertools.product(scope.values.items(), sorted(cuts)):
        if kind(value) == "array" and text.isidentifier():
            try:
                found[f"{text}[{cut}]"] = eval(f"{text}[{cut}]", {"__builtins__": {}}, dict(scope.values))
            except Exception:  # this array cannot be cut so
                continue
    return found


def jacobians(scope: Scope) -> Iterator[Edit]:
    """The whole softmax Jacobian, where only part of it was applied."""
    for (text, p), (other, u) in itertools.permutations(arrays_of(scope).items(), 2):
        if p.dtype.kind == "f" and p.shape == u.shape and (p >= 0).all() and np.allclose(p.sum(axis=-1), 1):
            whole = f"{text} * ({other} - ({other} * {text}).sum(axis=-1, keepdims=True))"
            message = f"through the softmax {text} each number moves all the others: {whole}"
            for site in openings(scope, True):
                yield site.edit(named(whole), "cross-terms-missing", message)
            for site, _ in mentions(scope, {other: u}):
                yield site.edit(named(f"({whole})"), "cross-terms-missing", message)


def statistics(scope: Scope) -> Iterator[Edit]:
    """The terms of a normalisation's mean and variance, which move with every x they are taken over."""
    arrays = {text: value for text, value in arrays_of(scope).items() if value.ndim > 1}
    axes: tuple[int | tuple[int, ...], ...] = (-1, 0, (0, 1, 2), (0, 2, 3))
    normal = [(text, axis) for text, value in arrays.items() for axis in axes if is_normal(value, axis)]
    for site, text in mentions(scope, arrays):
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


def summed(scope: Scope) -> Iterator[Edit]:
    """A sum or mean over an axis that was not taken."""
    for site, text in mentions(scope, arrays_of(scope)):
        for axis in range(np.ndim(scope.values[text])):
            for verb, mistake in (("sum", "not-summed"), ("mean", "not-averaged")):
                new = named(f"{text}.{verb}(axis={axis}, keepdims=True)")
                yield site.edit(new, mistake, f"{text} is due as its {verb} over axis {axis}")


def wrapped(scope: Scope) -> Iterator[Edit]:
    """A function that was not applied, or axes that were not moved."""
    for site, text in mentions(scope, scope.values):
        for name in WRAPPERS if kind(scope.values.get(text)) == "array" else ():
            call = ast.Call(named(name if name in OUR_WRAPPERS else f"np.{name}"), [site.node], [])
            mistake = "softmax-missing" if name == "softmax" else "function-missing"
            yield site.edit(call, mistake, f"{name} is not applied to {text}")
        if np.ndim(scope.values[text]) == 4:
            yield from moved_first(site, text)
    yield from moved_after(scope)


def moved_first(site: Site, text: str) -> Iterator[Edit]:
    """Axes to move before a reshape."""
    message = f"the axes of {text} must be moved first: a reshape does not move them"
    for axes in ((0, 2, 3, 1), (0, 3, 1, 2), (1, 2, 3, 0), (3, 0, 1, 2), (1, 0, 2, 3), (2, 3, 1, 0)):
        yield site.edit(named(f"{text}.transpose{axes}"), "reshaped", message)


def moved_after(scope: Scope) -> Iterator[Edit]:
    """Axes to exchange after a reshape, which takes them in another order then; or none at all."""
    shape = np.shape(scope.values.get(scope.target, 0.0))
    for site in sites(scope):
        if site.field == "value" and isinstance(site.holder, ast.Assign) and is_call(site.node, *SHAPING):
            base: Any = site.node
            while is_call(base, *SHAPING) and isinstance(base.func, ast.Attribute):
                base = base.func.value
            message = "a reshape keeps the order of the numbers: split the axes as the forward does, then exchange them"
            text = ast.unparse(base)
            yield site.edit(named(f"{text}.reshape{shape}"), "reshaped", message)
            for i, j in itertools.combinations(range(len(shape)), 2):
                split = list(shape)
                split[i], split[j] = split[j], split[i]
                yield site.edit(named(f"{text}.reshape{tuple(split)}.swapaxes({i}, {j})"), "reshaped", message)


SHAPING = ("reshape", "transpose", "swapaxes")


def times(left: ast.expr, right: str) -> ast.BinOp:
    return ast.BinOp(left, ast.Mult(), named(right))


def over(left: ast.expr, right: str) -> ast.BinOp:
    return ast.BinOp(left, ast.Div(), named(right))


NAMES: tuple[Callable[[Scope], Iterator[Edit]], ...] = (positions, other_names, other_indices, variables)
INSERTIONS: tuple[Callable[[Scope], Iterator[Edit]], ...] = (
    *(
        operands,
        entries,
        later_factors,
        activations,
        partial(factors, whole=True),
        partial(terms, whole=True),
        summed,
        jacobians,
    ),
    *(statistics, wrapped, partial(factors, whole=False), partial(terms, whole=False)),
)
