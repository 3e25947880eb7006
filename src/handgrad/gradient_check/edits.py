"""Small changes of a backward's source, each the cure of a mistake that people make, the likeliest kinds first.

A kind is a generator: from a statement, or from one place in it, to the changes that it knows of. Nothing is tried
here: `mending.py` runs what these propose.
"""

import ast
import copy
import itertools
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any, TypeAlias, TypeGuard

import numpy as np

from ..arrays import Array
from .sites import (
    Edit,
    Node,
    Scope,
    Site,
    Values,
    called,
    fitting,
    is_call,
    is_index,
    is_summed,
    kind,
    mentions,
    named,
    openings,
    sites,
    within_index,
)

Kind: TypeAlias = Callable[[Scope], Iterator[Edit]]


def text_of(node: ast.AST) -> str:
    return ast.unparse(node)


# What needs no other name ---------------------------------------------------------------------------------------------


def assignments(site: Site) -> Iterator[Edit]:
    """= for +=, and the other way round."""
    node = site.node
    if isinstance(node, ast.Assign) and len(node.targets) == 1 and not isinstance(node.value, ast.Constant):
        target = node.targets[0]
        if isinstance(target, (ast.Subscript, ast.Name, ast.Attribute)):
            told = "overlap-overwritten", "what was there is overwritten: add to it with +=, every share counts"
            if is_carried(site.scope, target):
                told = (
                    "term-missing",
                    f"what comes back in {text_of(target)} from the step before is overwritten: add to it",
                )
            yield site.edit(ast.AugAssign(target, ast.Add(), node.value), *told)
        if isinstance(target, ast.Subscript):
            product = ast.AugAssign(target, ast.Mult(), node.value)
            yield site.edit(product, "upstream-ignored", "what was there is replaced: multiply it, with *=")
    if isinstance(node, ast.AugAssign) and isinstance(node.op, ast.Add):
        message = "this is added to what was there, but should replace it: = instead of +="
        yield site.edit(ast.Assign([node.target], node.value), "added-twice", message)


def is_carried(scope: Scope, target: ast.expr) -> bool:
    """Whether a statement in a loop makes a variable anew that the loop gives another value as well."""
    loops = [n for n in ast.walk(scope.routine.node) if isinstance(n, ast.For)]
    around = next((loop for loop in loops if scope.statement in loop.body), None)
    stored = [n for n in ast.walk(around) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store)] if around else []
    return sum(n.id == getattr(target, "id", None) for n in stored) > 1


OPPOSITES: dict[type[ast.operator], type[ast.operator]] = {
    a: b for pair in ((ast.Add, ast.Sub), (ast.Mult, ast.Div)) for a, b in (pair, pair[::-1])
}


def signs(site: Site) -> Iterator[Edit]:
    node = site.node
    if isinstance(node, ast.BinOp) and isinstance(node.op, (ast.Add, ast.Sub)) and not within_index(site):
        changed = ast.BinOp(node.left, OPPOSITES[type(node.op)](), node.right)
        yield site.edit(changed, "wrong-sign", "the sign is wrong here")
        yield site.edit(ast.BinOp(node.right, node.op, node.left), "wrong-sign", "this is the wrong way round")
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub) and not isinstance(node.operand, ast.Constant):
        yield site.edit(node.operand, "wrong-sign", "there is a minus sign too many")
    if site.is_whole and not isinstance(node, (ast.Subscript, ast.Attribute, ast.Compare)):
        yield site.edit(ast.UnaryOp(ast.USub(), node), "wrong-sign", "the sign is wrong here")
    functions = "exp", "tanh", "sin", "log", "maximum", "sigmoid", "where"
    if is_call(site.holder, *functions) and site.field == "args" and isinstance(node, (ast.Name, ast.Attribute)):
        yield site.edit(f"-{text_of(node)}", "wrong-sign", f"the sign of {text_of(node)} is wrong here")


REDUCTIONS = ("sum", "mean", "max", "flip", "concatenate", "argmax", "repeat")
AXES = (
    0,
    1,
    -1,
    2,
    3,
    None,
    *((a, b) for a in range(3) for b in range(a + 1, 4)),
    (0, 1, 2),
    (0, 2, 3),
    (1, 2, 3),
    (2, 4),
    (3, 5),
)
MORE_AXES = ((2, 3, 4), (1, 3, 4), (0, 3, 4), (3, 4), (2, 4), (3, 5), (1, 2, 4))  # of groups and windows


def axes(site: Site) -> Iterator[Edit]:
    """Another axis of a sum or mean."""
    named_so = isinstance(site.holder, ast.keyword) and site.holder.arg == "axis"
    second = is_call(site.holder, *REDUCTIONS) and site.field == "args"
    if named_so or (second and isinstance(site.node, (ast.Constant, ast.Tuple, ast.UnaryOp))):
        for axis in other_axes(site.node):
            yield site.edit(axis, "wrong-axis", "this runs over the wrong axis")


def axes_missing(site: Site) -> Iterator[Edit]:
    """A sum or mean over everything that is due over an axis; keepdims that is missing or too much."""
    node = site.node
    if not is_call(node, "sum", "mean", "max", "var", "std", "prod") or not isinstance(node.func, ast.Attribute):
        return
    function, given = text_of(node.func), {keyword.arg: keyword.value for keyword in node.keywords}
    before, keywords = [list(map(text_of, nodes)) for nodes in (node.args, node.keywords)]
    bare = isinstance(node.func.value, ast.Name) and node.func.value.id in ("np", "numpy")
    if "axis" not in given and len(node.args) == int(bare):
        for axis in other_axes(ast.Constant(None)):
            new = f"{function}({', '.join([*before, f'axis={axis}', *keywords])})"
            yield site.edit(new, "wrong-axis", "this runs over everything, where an axis is due")
    elif "axis" in given and "keepdims" not in given:
        for axis in other_axes(given["axis"]):
            new = f"{function}({', '.join([*before, f'axis={axis}', 'keepdims=True'])})"
            yield site.edit(new, "wrong-axis", "this runs over the wrong axis, which must be kept besides")
    kept = [text_of(keyword) for keyword in node.keywords if keyword.arg != "keepdims"]
    more = [] if len(kept) < len(node.keywords) else ["keepdims=True"]
    message = f"keepdims is {'missing' if more else 'too much'}: shapes meet the wrong way"
    yield site.edit(f"{function}({', '.join([*before, *kept, *more])})", "broadcast", message)


def other_axes(node: ast.AST) -> Iterator[str]:
    given = text_of(node)
    more = MORE_AXES if given in ("3", "4", "5", *map(str, MORE_AXES)) else ()
    return (str(axis) for axis in (*AXES, *more) if str(axis) != given)


def means(site: Site) -> Iterator[Edit]:
    """sum for mean, and the other way round."""
    for wrong, right, mistake, message in (
        ("sum", "mean", "not-averaged", "a sum stands where a mean is due"),
        ("mean", "sum", "not-summed", "a mean stands where a sum is due"),
    ):
        if is_call(site.node, wrong) and isinstance(site.node.func, ast.Attribute):
            function = ast.Attribute(site.node.func.value, right, ast.Load())
            yield site.edit(ast.Call(function, site.node.args, site.node.keywords), mistake, message)


EQUALITY: dict[type[ast.cmpop], tuple[type[ast.cmpop], str]] = {
    **{ast.Lt: (ast.LtE, "hold"), ast.Gt: (ast.GtE, "hold")},
    **{ast.LtE: (ast.Lt, "not hold"), ast.GtE: (ast.Gt, "not hold")},
}


def comparisons(site: Site) -> Iterator[Edit]:
    node = site.node
    if isinstance(node, ast.Compare) and len(node.ops) == 1:
        op, (less, more) = node.ops[0], ((ast.Lt, ast.LtE), (ast.Gt, ast.GtE))
        if isinstance(op, (*less, *more)):
            changed = ast.Compare(node.left, [ast.Lt() if isinstance(op, more) else ast.Gt()], node.comparators)
            yield site.edit(changed, "wrong-mask", "the condition is the wrong way round")
            equal, words = EQUALITY[type(op)]
            changed = ast.Compare(node.left, [equal()], node.comparators)
            yield site.edit(changed, "wrong-mask", f"the condition must {words} where both sides are equal")
    inverted = isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Invert)
    if inverted or getattr(site.scope.values.get(text_of(node)), "dtype", None) == np.bool_:
        new = node.operand if inverted else ast.UnaryOp(ast.Invert(), node)
        yield site.edit(new, "wrong-mask", f"the mask is the wrong way round: {text_of(new)} is due")
    if is_call(node, "triu", "tril", "eye"):
        given = [text_of(n) for n in (*node.args[:1], *(k for k in node.keywords if k.arg != "k"))]
        for k in (1, -1, 0):
            new = f"{text_of(node.func)}({', '.join([*given, f'k={k}'])})"
            yield site.edit(new, "wrong-mask", f"the diagonal is in or out wrongly: k={k}")


def removals(site: Site) -> Iterator[Edit]:
    """A factor, a term or a statement that does not belong."""
    node, values = site.node, site.scope.values
    if isinstance(node, ast.BinOp) and not within_index(site):
        left, right = node.left, node.right
        yield site.edit(left, *too_many(node.op, right, values, counts(site)))
        if not isinstance(node.op, (ast.Div, ast.Sub, ast.Pow)):
            yield site.edit(right, *too_many(node.op, left, values))
        if isinstance(node.op, ast.Mult) and isinstance(left, ast.BinOp) and isinstance(left.op, ast.Mult):
            yield site.edit(left.left, *too_many(node.op, ast.BinOp(left.right, ast.Mult(), right), values))
    if isinstance(node, ast.BinOp) and isinstance(node.op, (ast.Mult, ast.Div)):
        due, found = ("multiply", "divide") if isinstance(node.op, ast.Div) else ("divide", "multiply")
        message = f"{due} by {text_of(node.right)}, do not {found}"
        power = is_call(node.right, "sqrt") or (
            isinstance(node.right, ast.BinOp) and isinstance(node.right.op, ast.Pow)
        )
        mistake = "wrong-exponent" if power else "derivative-inverted"
        yield site.edit(ast.BinOp(node.left, OPPOSITES[type(node.op)](), node.right), mistake, message)


def too_many(op: ast.operator, removed: ast.expr, values: Values, whole: bool = False) -> tuple[str, str]:
    """(mistake, message) of an operand that is left out."""
    text = text_of(removed)
    if isinstance(op, (ast.Add, ast.Sub)):
        named_number = isinstance(values.get(text), float)  # such as eps, which the forward has in another place
        mistake = "off-by-one" if text == "1" and whole else "term-misplaced" if named_number else "term-too-many"
        return mistake, f"the term {text} does not belong here"
    if isinstance(op, ast.MatMult):
        return "extra-product", f"the product with {text} does not belong here"
    if isinstance(op, ast.Pow):
        return "wrong-exponent", f"the power {text} does not belong here"
    what = "the factor" if isinstance(op, ast.Mult) else "the division by"
    return factor_kind(removed, text, values), f"{what} {text} does not belong here"


def factor_kind(node: ast.expr, text: str, values: Values) -> str:
    """What a factor too many is, by the look of it."""
    if isinstance(node, ast.Constant):
        return "factor-two" if node.value in (2, 0.5) else "constant-factor"
    if "len(" in text or ".shape" in text or ".size" in text or is_index(values.get(text)):
        return "batch-size-factor"
    if isinstance(node, ast.Compare) or "1 - " in text or "1.0 - " in text:
        return "derivative-twice"
    return "extra-product"


def numbers(site: Site) -> Iterator[Edit]:
    """Another number: an index or offset one off, an exponent, a coefficient."""
    n, holder = number_of(site.node), site.holder
    if n is None or is_call(holder, "transpose", "reshape", "swapaxes", "moveaxis", "tril", "triu", *REDUCTIONS):
        return
    if isinstance(holder, ast.keyword) or (isinstance(holder, ast.UnaryOp) and number_of(holder) is not None):
        return
    of_power = is_call(holder, "power") and site.index == 1
    if of_power or (isinstance(holder, ast.BinOp) and isinstance(holder.op, ast.Pow) and site.field == "right"):
        for value in (n + 1, n - 1, -n, n / 2, n + 0.5, n - 0.5):
            yield site.edit(repr(value), "wrong-exponent", f"the exponent should be {value:g}, not {n:g}")
        return
    index = is_of_index(site) or counts(site)
    of_shape = isinstance(holder, ast.Subscript) and getattr(holder.value, "attr", "") == "shape"
    for value in dict.fromkeys((n + 1, n - 1, 2 * n, n / 2, 3 * n, n / 3, -n, 0, 1)):
        if value != n and (value == int(value) or (value in (n / 2, -n) and not index)):
            new = int(value) if value == int(value) and isinstance(n, int) else value
            mistake = ("off-by-one" if abs(value - n) == 1 else "shifted") if index else "formula-slip"
            told = mistake, f"{n} should be {new}"
            if of_shape:
                told = "element-count-factor", f"the size of axis {new} is due, not that of axis {n}"
            yield site.edit(repr(new), *told)


def totals(scope: Scope) -> Iterator[Edit]:
    """A number that is added into an array, where the sum of its rows or columns is due."""
    for site in sites(scope):
        n, holder = number_of(site.node), site.holder
        target = getattr(holder, "targets", [getattr(holder, "target", None)])[0]
        if n and isinstance(holder, (ast.Assign, ast.AugAssign)) and isinstance(target, ast.Subscript):
            for axis in (1, 0):
                total = f"{'-' * (n < 0)}{text_of(target.value)}.sum(axis={axis})"
                yield site.edit(total, "not-summed", f"the sum over axis {axis} is due, {total}, not {n}")


def number_of(node: ast.AST) -> int | float | None:
    """The number that stands there, with its sign; None where none does."""
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
        number = number_of(node.operand)
        return None if number is None else -number
    value = node.value if isinstance(node, ast.Constant) else None
    return value if isinstance(value, (int, float)) and not isinstance(value, bool) else None


def is_of_index(site: Site) -> bool:
    """Whether it is an index or a part of one."""
    path = (*site.path, site.node)
    return any(isinstance(a, ast.Subscript) and b is a.slice for a, b in itertools.pairwise(path))


def counts(site: Site) -> bool:
    """Whether a number is part of what a loop runs over."""
    return any(is_call(node, "range") for node in (*site.path, site.holder))


def powers(site: Site) -> Iterator[Edit]:
    """A square that is missing, or is taken of too much: (1 - y)² where 1 - y² is due, and the other way round."""
    node = site.node
    if not isinstance(node, ast.BinOp) or within_index(site):
        return
    op, (left, right), texts = node.op, (node.left, node.right), (f"({text_of(node.left)})", f"({text_of(node.right)})")
    sign = "+" if isinstance(op, ast.Add) else "-" if isinstance(op, ast.Sub) else ""
    times = "*" if isinstance(op, ast.Mult) else "/"
    if isinstance(op, ast.Pow) and isinstance(right, ast.Constant) and isinstance(right.value, int):
        more = right.value + 1
        message = f"the factor {more} of the derivative of a power {more} is missing"
        yield site.edit(f"{more} * {text_of(node)}", "factor-missing", message)
    if isinstance(op, (ast.Mult, ast.Div)):
        variable = (ast.Name, ast.Attribute)
        if isinstance(right, (*variable, ast.BinOp) if times == "/" else variable):
            count = times == "/" and is_index(site.scope.values.get(text_of(right)))
            mistake = "element-count-factor" if count else "wrong-exponent"
            yield site.edit(f"{texts[0]} {times} {texts[1]}**2", mistake, f"{text_of(right)} is due squared here")
        if isinstance(left, variable) and times == "*":
            yield site.edit(f"{texts[0]}**2 * {texts[1]}", "wrong-exponent", f"{text_of(left)} is due squared here")
    if sign and isinstance(right, (ast.Name, ast.Attribute, ast.Subscript)) and not counts(site):
        squared = f"{texts[0]} {sign} {texts[1]}**2"
        yield site.edit(squared, "wrong-exponent", f"{text_of(right)} is due squared here")
    for part, other in ((left, right), (right, left)) if sign == "+" else ():
        if isinstance(part, ast.Call) and len(part.args) == 1:
            call = ast.Call(part.func, [ast.BinOp(part.args[0], ast.Add(), other)], part.keywords)
            message = f"{text_of(other)} belongs inside {called(part)}, as in the forward"
            yield site.edit(call, "term-misplaced", message)
    news = []
    if isinstance(op, ast.Pow) and isinstance(left, ast.BinOp) and isinstance(left.op, (ast.Add, ast.Sub)):
        news.append(ast.BinOp(left.left, left.op, ast.BinOp(left.right, ast.Pow(), right)))
    if sign and isinstance(right, ast.BinOp) and isinstance(right.op, ast.Pow):
        news.append(ast.BinOp(ast.BinOp(left, op, right.left), ast.Pow(), right.right))
    for new in news:
        yield site.edit(new, "wrong-exponent", f"{text_of(new)} is due, not {text_of(node)}")


CONFUSED = {a: b for pair in (("argmax", "argmin"), ("maximum", "minimum"), ("sin", "cos"), ("max", "min"))
            for a, b in (pair, pair[::-1])}  # fmt: skip
TURNS = ("flip", "flipud", "fliplr", "rot90")


def functions(site: Site) -> Iterator[Edit]:
    """A function applied once too often, or its opposite, or to the wrong side of a sum."""
    node = site.node
    if not isinstance(node, ast.Call):
        return
    name, inside = called(node), node.args[0] if len(node.args) == 1 else None
    added = inside.right if isinstance(inside, ast.BinOp) and isinstance(inside.op, ast.Add) else None
    if isinstance(inside, ast.BinOp) and isinstance(added, (ast.Name, ast.Attribute, ast.Constant)):
        new = ast.BinOp(ast.Call(node.func, [inside.left], node.keywords), ast.Add(), added)
        yield site.edit(new, "term-misplaced", f"{text_of(added)} belongs outside {name}, as in the forward")
    if name in CONFUSED and isinstance(node.func, ast.Attribute):
        changed = ast.Call(ast.Attribute(node.func.value, CONFUSED[name], ast.Load()), node.args, node.keywords)
        mistake = "winner-misplaced" if name.startswith("arg") else "formula-slip"
        yield site.edit(changed, mistake, f"{CONFUSED[name]} is due, not {name}")
    if inside and not node.keywords and name not in ("range", "len", "list", "tuple", "zeros", *TURNS):
        yield site.edit(inside, "function-too-many", f"{name} does not belong here")
    if name == "range" and isinstance(site.holder, (ast.For, ast.Call)):
        yield site.edit(f"reversed({text_of(node)})", "reversed", "the loop must run from the last step to the first")


def transposes(site: Site) -> Iterator[Edit]:
    """.T where it is missing or too much, of an operand of a product or of what a function is given."""
    node, holder, message = site.node, site.holder, "a transpose is missing or too many here"
    if is_transpose(node):
        yield site.edit(node.value, "transposed", message)
        return
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.MatMult):
        sides = [text_of(n.value) if is_transpose(n) else f"({text_of(n)}).T" for n in (node.left, node.right)]
        if is_transpose(node.left) != is_transpose(node.right):
            yield site.edit(" @ ".join(sides), "transposed", "the other of the two factors is due transposed")
    product = isinstance(holder, ast.BinOp) and isinstance(holder.op, ast.MatMult)
    product |= isinstance(holder, ast.Attribute) and holder.attr == "dot"
    if isinstance(holder, ast.Call) and site.field == "args":
        own = isinstance(holder.func, ast.Name) and isinstance(node, (ast.BinOp, ast.Name))
        product |= own or is_call(holder, "dot", "matmul", "outer")
    if product:
        yield from transposed(site)
    if is_call(node, "swapaxes") and len(node.args) == 2 and isinstance(node.func, ast.Attribute):
        yield site.edit(node.func.value, "transposed", message)
    if is_call(node, "transpose"):
        yield from other_orders(site)
    if is_call(node, "einsum") and isinstance(node.args[0], ast.Constant):
        yield from other_outputs(site)


def is_transpose(node: ast.AST) -> TypeGuard[ast.Attribute]:
    return isinstance(node, ast.Attribute) and node.attr == "T"


def wholes(site: Site) -> Iterator[Edit]:
    """A whole statement that does not belong, or whose value is due in another shape."""
    node = site.node
    whole = isinstance(node, (ast.AugAssign, ast.Assign))
    if whole and not isinstance(getattr(node, "targets", [None])[0], (ast.Name, ast.Tuple)):
        yield site.edit(ast.Pass(), "statement-too-many", "this statement does not belong here")
    if isinstance(site.holder, (ast.Assign, ast.Return, ast.Tuple)) and isinstance(node, (ast.BinOp, ast.Call)):
        yield from transposed(site)
    if is_call(node, "reshape"):
        for elements, message in exchanged(node.args):
            yield site.edit(ast.Call(node.func, elements, node.keywords), "reshaped", message)


def transposed(site: Site) -> Iterator[Edit]:
    text = f"({text_of(site.node)})"
    yield site.edit(f"{text}.T", "transposed", "a transpose is missing or too many here")
    yield site.edit(f"{text}.swapaxes(-1, -2)", "transposed", "the last two axes must be exchanged here")


def other_orders(site: Site) -> Iterator[Edit]:
    node = site.node
    order = [a.value for a in node.args if isinstance(a, ast.Constant) and isinstance(a.value, int)]
    if len(order) == len(node.args) and sorted(order) == list(range(len(order))) and len(order) <= 4:
        for axes in itertools.permutations(order):
            if list(axes) != order:
                new = ast.Call(node.func, [ast.Constant(a) for a in axes], [])
                yield site.edit(new, "transposed", "the axes are in the wrong order here")


def other_outputs(site: Site) -> Iterator[Edit]:
    """Another order of the axes of the output or of one operand of einsum, or other axes of the output."""
    node, spec = site.node, site.node.args[0].value.replace(" ", "")
    if "->" not in spec:
        return
    left, right = spec.split("->")
    letters = sorted(set(left) - {",", "."})
    for chosen in itertools.permutations(letters, len(right)) if len(right) <= 4 and len(letters) <= 5 else ():
        same, output = sorted(chosen) == sorted(right), "".join(chosen)
        if output != right:
            told = ("transposed", "the axes are in the wrong order here")
            told = told if same else ("wrong-axis", f"this sums over the wrong axes: {output} is due, not {right}")
            new = ast.Call(node.func, [ast.Constant(f"{left}->{output}"), *node.args[1:]], node.keywords)
            yield site.edit(new, *told)
    for i, operand in enumerate(operands := left.split(",")):
        for a, b in itertools.combinations(operand.replace(".", ""), 2):
            inputs = ",".join([*operands[:i], operand.translate(str.maketrans(a + b, b + a)), *operands[i + 1 :]])
            message = f"{a} and {b} are exchanged here: {inputs} is due, not {left}"
            changed = [ast.Constant(f"{inputs}->{right}"), *node.args[1:]]
            yield site.edit(ast.Call(node.func, changed, node.keywords), "transposed", message)


def reversals(site: Site) -> Iterator[Edit]:
    """A flip too many or too few; a running sum from the wrong end."""
    node, values = site.node, site.scope.values
    if is_call(node, "cumsum") and isinstance(node.func, ast.Attribute) and node.args:
        axis = next((text_of(n) for n in (*(k.value for k in node.keywords), *node.args[1:])), "None")
        turned_sum = f"np.flip(np.cumsum(np.flip({text_of(node.args[0])}, {axis}), {axis}), {axis})"
        yield site.edit(turned_sum, "reversed", "the gradient of a running sum is a running sum from the other end")
    if is_call(node, *TURNS) and node.args:
        yield site.edit(node.args[0], "flipped-kernel", "the flip does not belong here")
    if isinstance(node, ast.Subscript):
        kept = [end for end in indices(node) if not (isinstance(end, ast.Slice) and isinstance(end.step, ast.UnaryOp))]
        whole = all(isinstance(end, ast.Slice) and end.lower is end.upper for end in kept)
        if whole and len(kept) < len(indices(node)):
            yield site.edit(node.value, "flipped-kernel", "the order must not be reversed here")
    name = text_of(node) if isinstance(node, (ast.Name, ast.Attribute)) else None
    if name in values and np.ndim(values[name]) and not isinstance(site.holder, (ast.Subscript, ast.Attribute)):
        yield site.edit(f"{name}[::-1]", "flipped-kernel", f"{name} must be reversed here")
        if np.ndim(values[name]) > 1 and name.removeprefix("self.") in site.scope.parameters:
            message = f"{name} must be reversed along its last axis here"
            yield site.edit(f"{name}[..., ::-1]", "flipped-kernel", message)
        if np.ndim(values[name]) > 1:
            first = "..., " if np.ndim(values[name]) > 2 else ""
            message = f"{name} must be turned by half a turn here"
            yield site.edit(f"{name}[{first}::-1, ::-1]", "flipped-kernel", message)


def indices(node: ast.Subscript) -> list[ast.expr]:
    """The index or slice of each axis."""
    return node.slice.elts if isinstance(node.slice, ast.Tuple) else [node.slice]


def orders(site: Site) -> Iterator[Edit]:
    """Two elements exchanged; a loop the wrong way round."""
    node = site.node
    if isinstance(node, ast.Tuple) and isinstance(site.holder, ast.Subscript):
        yield from other_new_axes(site)
    if isinstance(node, (ast.Tuple, ast.List)) and 2 <= len(node.elts) <= 8 and isinstance(node.ctx, ast.Load):
        mistake = "swapped-gradients" if isinstance(site.holder, ast.Return) else "swapped"
        mistake = "index-repeated" if within_index(site) else mistake
        for elements, message in exchanged(node.elts):
            yield site.edit(type(node)(elements, ast.Load()), mistake, message)
    if is_call(node, "transpose", "subtract", "divide", "outer", "dot", "matmul", "where"):
        for elements, message in exchanged(node.args):
            yield site.edit(ast.Call(node.func, elements, node.keywords), "swapped", message)
    if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Tuple) and isinstance(node.value, ast.Call):
        for elements, message in exchanged(node.targets[0].elts) if len(node.targets[0].elts) == 2 else ():
            yield site.edit(ast.Assign([ast.Tuple(elements, ast.Store())], node.value), "swapped", message)
    if is_call(node, "reversed") and isinstance(site.holder, ast.For):
        yield site.edit(node.args[0], "reversed", "the loop must run from the first step to the last")


def exchanged(elements: Sequence[ast.expr]) -> Iterator[tuple[list[ast.expr], str]]:
    """Every two elements exchanged, and what is said of it."""
    for j, i in sorted(itertools.combinations(range(len(elements)), 2), key=lambda pair: pair[1]):
        new = list(elements)
        new[i], new[j] = new[j], new[i]
        yield new, f"{text_of(new[i])} and {text_of(new[j])} are exchanged here"


def other_new_axes(site: Site) -> Iterator[Edit]:
    """New axes in other positions of an index."""
    elements = site.node.elts
    new = [e for e in elements if text_of(e) in ("None", "np.newaxis")]
    kept = [e for e in elements if e not in new]
    for positions in itertools.combinations(range(len(elements)), len(new)) if new and len(elements) <= 7 else ():
        rest, added = iter(kept), iter(new)
        order = [next(added) if i in positions else next(rest) for i in range(len(elements))]
        if order != elements:
            message = "the new axis stands in the wrong position"
            yield site.edit(ast.Tuple(order, ast.Load()), "broadcast", message)


def slices(site: Site) -> Iterator[Edit]:
    """An offset (padding) or a stride that is missing in a slice or an index."""
    node = site.node
    if not isinstance(node, ast.Subscript):
        return
    ends = indices(node)
    changes = [([turned(end) for end in ends], "flipped-kernel", "the index must not run back")]
    changes.append(([both_sides(end) for end in ends], "shifted", "the padding is on both sides"))
    names = [name for name, value in site.scope.values.items() if is_index(value)]
    for name in (*names, "2") if isinstance(node.ctx, ast.Store) else names:
        start = f"the slice should start at {name}: cut off the padding there"
        changes.append(([moved(end, name) for end in ends], "shifted", start))
        position = f"the position is the index times {name}, the stride"
        changes.append(([scaled(end, name) for end in ends], "shifted", position))
    for elements, mistake, message in changes:
        if any(a is not b for a, b in zip(elements, ends, strict=True)):
            index = ast.Tuple(elements, ast.Load()) if isinstance(node.slice, ast.Tuple) else elements[0]
            yield site.edit(ast.Subscript(node.value, index, node.ctx), mistake, message)


def turned(end: ast.expr) -> ast.expr:
    """n - 1 - i as i."""
    if isinstance(end, ast.BinOp) and isinstance(end.op, ast.Sub) and isinstance(end.left, ast.BinOp):
        return end.right if isinstance(end.left.op, ast.Sub) and text_of(end.left.right) == "1" else end
    return end


def both_sides(end: ast.expr) -> ast.expr:
    """:-2 * p as p:-p, and :-p as p:."""
    if isinstance(end, ast.Slice) and end.lower is None and end.step is None and end.upper is not None:
        names = [n for n in ast.walk(end.upper) if isinstance(n, ast.Name)]
        if len(names) == 1:
            return ast.Slice(names[0], ast.UnaryOp(ast.USub(), names[0]), None)
    return end


def moved(end: ast.expr, name: str) -> ast.expr:
    """:n as p:n + p."""
    if not isinstance(end, ast.Slice) or end.upper is None or end.step is not None:
        return end
    if end.lower is not None and not (isinstance(end.lower, ast.Constant) and end.lower.value == 0):
        return end
    return ast.Slice(named(name), ast.BinOp(end.upper, ast.Add(), named(name)), None)


def scaled(end: ast.expr, name: str) -> ast.expr:
    """i:i + k as i*s:i*s + k, and i + r as i*s + r."""
    if isinstance(end, ast.Slice) and isinstance(end.lower, ast.Name) and isinstance(end.upper, ast.BinOp):
        start = named(f"{end.lower.id} * {name}")
        if isinstance(end.upper.left, ast.Name) and end.upper.left.id == end.lower.id:
            return ast.Slice(start, ast.BinOp(start, end.upper.op, end.upper.right), None)
    if isinstance(end, ast.BinOp) and isinstance(end.op, ast.Add) and isinstance(end.left, ast.Name):
        return named(f"{end.left.id} * {name} + {text_of(end.right)}")
    return end


def at_each_place(scope: Scope, kinds: Sequence[Callable[[Site], Iterator[Edit]]]) -> Iterator[Edit]:
    """What these kinds change at one place of a statement after another."""
    for site in sites(scope):
        stored = isinstance(getattr(site.node, "ctx", None), (ast.Store, ast.Del))
        if not stored or isinstance(site.node, ast.Subscript):
            yield from itertools.chain.from_iterable(kind(site) for kind in kinds)


# One variable for another ---------------------------------------------------------------------------------------------


def counters_of(scope: Scope) -> list[str]:
    return [text for text, value in scope.values.items() if is_index(value) and text.isidentifier()]


def other_indices(scope: Scope) -> Iterator[Edit]:
    """Another number of the loop in an index: i, i - 1 or i + 1."""
    for site in sites(scope):
        variable = isinstance(site.node, (ast.Name, ast.BinOp)) and isinstance(site.holder, ast.Subscript)
        number = isinstance(site.node, ast.Constant) and isinstance(site.holder, ast.Tuple)
        if (variable or number) and is_of_index(site):
            given = text_of(site.node)
            for text, other in ((c, f"{c}{more}") for c in counters_of(scope)[-12:] for more in ("", " - 1", " + 1")):
                if other != given:
                    mistake = "off-by-one" if text in given else "wrong-index"
                    yield site.edit(other, mistake, f"the index {other} is due here, not {given}")


def positions(scope: Scope) -> Iterator[Edit]:
    """A position that is due a multiple of an index: i * stride."""
    if isinstance(scope.statement, ast.Assign) and is_index(scope.values.get(scope.target)):
        for site in (s for s in sites(scope) if s.field == "value" and s.holder is scope.statement):
            for text in counters_of(scope):
                yield site.edit(times(site.node, text), "shifted", f"the position is the index times {text}")


def other_names(scope: Scope) -> Iterator[Edit]:
    """One variable for another of the same kind: in one place, in all of an index, in all of a statement."""
    values = scope.values | scope.containers
    for site, text in mentions(scope, values):
        if isinstance(site.holder, ast.Attribute) and site.holder.attr == "shape":
            continue
        reduced = is_call(site.holder, "max", "min", "sum", "mean") and kind(values[text]) == "array"
        for other, value in values.items():
            if other != text and (alike(value, values[text]) or (reduced and kind(value) == "array")):
                yield site.edit(other, *misnamed(site, text, other, values))
    yield from renamed(scope)


def expressions(scope: Scope) -> Iterator[Edit]:
    """What the forward makes of a variable, in its place."""
    for site, text in mentions(scope, arrays_of(scope)):
        for other, value in scope.expressions.items():
            if text in names_in(named(other)) and alike(value, scope.values[text]):
                yield site.edit(other, "wrong-variable", f"{other} is due here, not {text}")


def names_in(node: ast.AST) -> set[str]:
    """The names, attributes and items that an expression reads."""
    return {text_of(n) for n in ast.walk(node) if is_read(n)}


def items(scope: Scope) -> Iterator[Edit]:
    """What a list keeps of this step, in the place of a variable, which another step left."""
    for site, text in mentions(scope, scope.values):
        if kind(scope.values[text]) != "array" or (
            isinstance(site.holder, ast.Attribute) and not is_transpose(site.holder)
        ):
            continue
        for name, values in scope.containers.items():
            if isinstance(values, (list, tuple)) and any(alike(value, scope.values[text]) for value in values):
                for index in (f"{c}{more}" for c in counters_of(scope)[-12:] for more in ("", " + 1", " - 1")):
                    message = f"{text} is what another step left: {name}[{index}] is this one's"
                    yield site.edit(f"{name}[{index}]", "wrong-variable", message)


def renamed(scope: Scope) -> Iterator[Edit]:
    """One name for another in all of a statement or an index, or two of them exchanged."""
    values = scope.values | scope.containers
    for site in sites(scope):
        node = site.node
        whole = isinstance(node, (ast.Assign, ast.AugAssign, ast.Return)) or node is getattr(scope.statement, "body", 0)
        if not whole and not isinstance(node, (ast.Slice, ast.Tuple, ast.Subscript)):
            continue
        read = Counter(text_of(n) for n in ast.walk(node) if is_read(n))
        used = sorted(read.keys() & set(values))
        for a, b in itertools.combinations(used, 2) if whole or isinstance(node, ast.Tuple) else ():
            if alike(values[a], values[b]):
                mistake = "swapped-gradients" if isinstance(node, ast.Return) else "swapped"
                mistake = "index-repeated" if is_index(values[a]) else mistake
                yield site.edit(substituted(node, {a: b, b: a}), mistake, f"{a} and {b} are exchanged here")
        for a, b in itertools.product((name for name in used if read[name] > 1), values):
            if a != b and alike(values[a], values[b]):
                yield site.edit(substituted(node, {a: b}), *misnamed(site, a, b, values))
        yield from itertools.chain(applied_twice(site), masks_turned(site, read)) if whole else ()


def is_read(node: ast.AST) -> bool:
    return isinstance(node, (ast.Name, ast.Attribute, ast.Subscript)) and isinstance(node.ctx, ast.Load)


def applied_twice(site: Site) -> Iterator[Edit]:
    """A function applied to the same value several times in a statement, where the value itself is due."""
    calls = [n for n in ast.walk(site.node) if isinstance(n, ast.Call) and len(n.args) == 1 and not n.keywords]
    texts = [text_of(call) for call in calls]
    for text, call in dict(zip(texts, calls, strict=True)).items():
        if texts.count(text) > 1:
            message = f"{text_of(call.func)} was applied to {text_of(call.args[0])} already"
            unapplied = text_of(site.node).replace(text, f"({text_of(call.args[0])})")
            yield site.edit(ast.parse(unapplied).body[0], "derivative-at-output", message)


def masks_turned(site: Site, read: Mapping[str, int]) -> Iterator[Edit]:
    """A mask the other way round wherever it stands in a statement."""
    for mask in (text for text in read if getattr(site.scope.values.get(text), "dtype", None) == np.bool_):
        text, inverse = text_of(site.node), f"~{mask}"
        right, turned = (
            (mask, text.replace(inverse, mask)) if inverse in text else (inverse, text.replace(mask, inverse))
        )
        message = f"the mask is the wrong way round: {right} is due"
        yield site.edit(ast.parse(turned).body[0], "wrong-mask", message)


class Substitution(ast.NodeTransformer):
    """Puts other names in the place of names, attributes and items that are read."""

    def __init__(self, names: Mapping[str, str]) -> None:
        self.names = names

    def visit(self, node: ast.AST) -> Any:
        text = text_of(node) if is_read(node) else ""
        return ast.copy_location(named(self.names[text]), node) if text in self.names else super().visit(node)


def substituted(node: Node, names: Mapping[str, str]) -> Node:
    """A copy of the node with names exchanged."""
    new: Node = Substitution(names).visit(copy.deepcopy(node))
    return new


def misnamed(site: Site, text: str, other: str, values: Values) -> tuple[str, str]:
    message = f"{other} is due here, not {text}"
    if is_index(values[text]) and not any(isinstance(n, (ast.Subscript, ast.Call)) for n in (*site.path, site.node)):
        return "element-count-factor", message
    if is_index(values[text]) and (within_index(site) or isinstance(site.holder, (ast.BinOp, ast.Tuple, ast.Call))):
        names = [n.id for n in ast.walk(site.scope.statement) if isinstance(n, ast.Name)]
        return "index-repeated" if names.count(text) > 1 else "wrong-index", message
    return "wrong-mask" if isinstance(site.holder, ast.Compare) else "wrong-variable", message


def alike(a: Any, b: Any) -> bool:
    """Whether one can stand for the other: numbers of a kind, arrays of a shape, lists of as many."""
    if isinstance(a, (list, tuple, dict)) or isinstance(b, (list, tuple, dict)):
        return type(a) is type(b) and abs(len(a) - len(b)) <= 1
    return kind(a) == kind(b) and np.shape(a) == np.shape(b)


OUR_WRAPPERS = ("sigmoid", "softmax", "relu")
WRAPPERS = ("tanh", "exp", "sign", "abs", "sqrt", *OUR_WRAPPERS)

# A factor, a term or a function that is missing ---------------------------------------------------------------------


def operands(scope: Scope) -> Iterator[Edit]:
    """A value where the derivative is due that is computed from it."""
    for site, text in mentions(scope, scope.values):
        if kind(scope.values[text]) != "array" or not isinstance(site.holder, (ast.BinOp, ast.Return)):
            continue
        for derivative, words in derivatives(text):
            message = f"{text} stands where {words}, {derivative}, is due"
            yield site.edit(derivative, "value-for-derivative", message)


def derivatives(text: str) -> tuple[tuple[str, str], ...]:
    return (
        (f"({text} > 0)", "ReLU's derivative"),
        (f"(1 - {text}**2)", "tanh's derivative"),
        (f"{text} * (1 - {text})", "the sigmoid's derivative"),
        (f"np.sign({text})", "its sign"),
    )


def columns(scope: Scope) -> Iterator[Edit]:
    """A number for each row that must stand in a column, before it meets rows."""
    labels = [text for text, value in scope.values.items() if np.ndim(value) == 1 and value.dtype.kind in "iu"]
    for site, text in mentions(scope, arrays_of(scope)):
        if np.ndim(scope.values[text]) == 1 and isinstance(site.holder, ast.BinOp):
            for column in (f"{text}[:, None]", *(f"{text}[{y}][:, None]" for y in labels if y != text)):
                message = f"a number for each row must stand in a column: {column}, not {text}"
                yield site.edit(column, "broadcast", message)


def variables(scope: Scope) -> Iterator[Edit]:
    """A number where a variable is due: 1 for dy above all."""
    holders = (ast.BinOp, ast.UnaryOp, ast.Assign, ast.AugAssign, ast.Call, ast.Return)
    for site in sites(scope):
        number = isinstance(site.node, ast.Constant) and isinstance(site.node.value, (int, float))
        if number and isinstance(site.holder, holders):
            for text in scope.values:
                mistake = "upstream-ignored" if text == scope.upstream else "wrong-variable"
                yield site.edit(text, mistake, f"{text} is due here, not {site.node.value}")


def factors(scope: Scope, whole: bool) -> Iterator[Edit]:
    """A factor that is missing: dy, a parameter, an activation's derivative, a size."""
    for site in openings(scope, whole):
        for new, value, mistake, message in missing_factors(site.node, scope):
            if fitting(site, value, scope.values):
                number = 2 if mistake == "factor-two" else None
                yield replace(site.edit(new, mistake, message), number=number)


def summands(scope: Scope) -> Iterator[Edit]:
    """A factor that is missing within a sum: another array, or where one is positive or not."""
    arrays = {text: value for text, value in arrays_of(scope).items() if value.ndim > 1}
    for site in filter(is_summed, sites(scope)):
        for text in (text for text, value in arrays.items() if fitting(site, value, scope.values)):
            message = f"the factor {text} is missing within the sum"
            yield site.edit(ast.BinOp(site.node, ast.Mult(), named(text)), "factor-missing", message)
            for mask in (f"({text} > 0)", f"({text} <= 0)") if text in names_in(scope.routine.node) else ():
                message = f"the sum runs over everything, where the mask {mask} is due"
                yield site.edit(times(site.node, mask), "wrong-mask", message)


def masked_means(scope: Scope) -> Iterator[Edit]:
    """A mean over all entries, where that over those a mask lets through is due."""
    masks = [text for text, value in arrays_of(scope).items() if value.dtype == np.bool_]
    for site, mask in itertools.product((s for s in sites(scope) if is_call(s.node, "mean")), masks):
        keywords = [*site.node.keywords, ast.keyword("where", named(mask))]
        message = f"the mean runs over everything, where that over {mask} alone is due"
        yield site.edit(ast.Call(site.node.func, site.node.args, keywords), "wrong-mask", message)


def product_rules(scope: Scope) -> Iterator[Edit]:
    """The slope of a sigmoid where that of a number times its own sigmoid is due."""
    for site in sites(scope):
        node = site.node
        if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Sub) and number_of(node.left) == 1:
            slope = scope.values.get(text_of(node.right), 0.0)
            for text in (
                t for t, v in arrays_of(scope).items() if alike(v, slope) and np.allclose(1 / (1 + np.exp(-v)), slope)
            ):
                message = f"{text} is a factor of its own: the product rule makes (1 + {text} * ({text_of(node)})) due"
                yield site.edit(f"(1 + {text} * ({text_of(node)}))", "wrong-derivative", message)


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
            last = (
                (f"(1 - {text})", "a derivative's last factor"),
                (f"(1 - np.tanh({text})**2)", "tanh's derivative"),
                (f"(1 / (1 + np.exp(-{text})))", "softplus's derivative"),
            )
            for derivative, words in (*derivatives(text), *last):
                mistake = "wrong-sign" if "np.sign" in derivative else "derivative-missing"
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


def branches(scope: Scope) -> Iterator[Edit]:
    """A case of np.where that passes nothing on, where the forward has a slope there."""
    slopes = [text for text, value in (scope.values | scope.expressions).items() if kind(value) == "number"]
    for site in sites(scope):
        given = site.node.args if is_call(site.node, "where") else []
        for i, other in ((1, 2), (2, 1)) if len(given) == 3 else ():
            for slope in slopes if number_of(given[i]) == 0 else ():
                message = f"the other case has a derivative of its own, {slope}"
                new = [*given[:i], times(named(slope), text_of(given[other])), *given[i + 1 :]]
                yield site.edit(ast.Call(site.node.func, new, site.node.keywords), "one-branch", message)


def missing_factors(node: ast.expr, scope: Scope) -> Iterator[tuple[ast.expr, Any, str, str]]:
    """With a factor or a divisor more; what stands in the code before what is made up, and a bare number last."""
    for text, value in scope.values.items():
        if text == scope.upstream:
            yield times(node, text), value, "upstream-ignored", f"the factor {text} is missing"
            continue
        mistake = "batch-size-factor" if is_index(value) else "wrong-mask" if is_mask(value) else "factor-missing"
        mistake = "parameter-ignored" if text in scope.parameters else mistake
        yield times(node, text), value, mistake, f"the factor {text} is missing"
        too_many = "extra-product" if text in scope.parameters else mistake
        yield over(node, text), value, too_many, f"divide by {text}"
        if kind(value) == "array":
            yield over(node, f"{text}.shape[0]"), None, "batch-size-factor", f"divide by {text}.shape[0]"
        if np.ndim(value) == 1:
            yield over(node, f"{text}[:, None]"), None, mistake, f"divide by {text}"
    for text, value in scope.expressions.items():
        if np.ndim(value) == 0:
            yield times(node, f"({text})"), None, "factor-missing", f"the factor {text} is missing"
            yield over(node, f"({text})"), None, "factor-missing", f"the divisor {text} is missing"
    sizes = [text for text, value in scope.values.items() if is_index(value) and value > 1]
    for text in sizes:
        yield over(node, f"np.sqrt({text})"), None, "factor-missing", f"the divisor √{text} is missing"
    for text in sizes if len(sizes) <= 12 else ():
        yield over(node, f"{text}**2"), None, "factor-missing", f"divide by {text}²"
    for a, b in itertools.combinations(sizes, 2) if len(sizes) <= 8 else ():
        for product in (f"{a} * {b}", *(f"{a} * {b} * {c}" for c in sizes if c > b)):
            yield times(node, f"({product})"), None, "element-count-factor", f"multiply by {product}"
            yield over(node, f"({product})"), None, "element-count-factor", f"divide by {product}"
    for size in lengths(scope):
        yield over(node, size), None, "element-count-factor", f"divide by {size}, the count that the mean runs over"
    yield times(node, "2"), None, "factor-two", "a factor 2 is missing"
    yield over(node, "2"), None, "factor-two", "a factor 2 is too many"


def lengths(scope: Scope) -> list[str]:
    """A text for each count of entries along an axis, or the two last, of indices and arrays of more than two axes."""
    found: dict[int, str] = {}
    counted = {text: v for text, v in arrays_of(scope).items() if v.ndim > 2 or v.dtype.kind in "iu"}
    for text, value in counted.items():
        for axis, size in enumerate(value.shape[1:], 1):
            found.setdefault(size, f"{text}.shape[{axis}]")
        if value.ndim > 2:
            found.setdefault(value.shape[-1] * value.shape[-2], f"({text}.shape[-2] * {text}.shape[-1])")
    return [text for size, text in found.items() if size > 1]


def is_mask(value: Any) -> bool:
    """Whether an array lets some entries through and others not."""
    return bool(np.ndim(value) and np.isin(value, (0, 1)).all())


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
        text_of(n).removeprefix(text_of(n.value))[1:-1]
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
                yield site.edit(whole, "cross-terms-missing", message)
            for site, _ in mentions(scope, {other: u}):
                yield site.edit(f"({whole})", "cross-terms-missing", message)


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
                    yield site.edit(f"({text}{terms_})", "statistics-constant", message)


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
        yield site.edit(f"{text}.transpose{axes}", "reshaped", message)


def moved_after(scope: Scope) -> Iterator[Edit]:
    """Axes to exchange after a reshape, which takes them in another order then; or none at all."""
    shape = np.shape(scope.values.get(scope.target, 0.0))
    for site in sites(scope):
        if site.field == "value" and isinstance(site.holder, ast.Assign) and is_call(site.node, *SHAPING):
            base: Any = site.node
            while is_call(base, *SHAPING) and isinstance(base.func, ast.Attribute):
                base = base.func.value
            message = "a reshape keeps the order of the numbers: split the axes as the forward does, then exchange them"
            text = text_of(base)
            yield site.edit(f"{text}.reshape{shape}", "reshaped", message)
            for i, j in itertools.combinations(range(len(shape)), 2):
                split = list(shape)
                split[i], split[j] = split[j], split[i]
                yield site.edit(f"{text}.reshape{tuple(split)}.swapaxes({i}, {j})", "reshaped", message)


SHAPING = ("reshape", "transpose", "swapaxes")


def times(left: ast.expr, right: str) -> ast.BinOp:
    return ast.BinOp(left, ast.Mult(), named(right))


def over(left: ast.expr, right: str) -> ast.BinOp:
    return ast.BinOp(left, ast.Div(), named(right))


SMALL: tuple[Kind, ...] = (
    totals,
    partial(
        at_each_place,
        kinds=(
            *(assignments, signs, transposes, axes, axes_missing, means, comparisons, removals, powers, numbers),
            *(functions, reversals, orders, slices),
        ),
    ),
    partial(at_each_place, kinds=(wholes,)),
    branches,
)
NAMES: tuple[Kind, ...] = (positions, other_names, columns, items, other_indices, variables, expressions)
INSERTIONS: tuple[Kind, ...] = (
    *(
        operands,
        entries,
        summands,
        masked_means,
        product_rules,
        later_factors,
        activations,
        partial(factors, whole=True),
    ),
    *(partial(terms, whole=True), summed, jacobians, statistics, wrapped),
    *(partial(factors, whole=False), partial(terms, whole=False)),
)
