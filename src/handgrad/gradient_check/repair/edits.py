"""Small changes of a backward's source, each the cure of a mistake that people make: signs, axes, indices, factors."""

import ast
import itertools
from collections.abc import Callable, Iterator

import numpy as np

from .places import Edit, Site, is_call, sites, within_index
from .source import Routine, Values


def small_edits(routine: Routine) -> Iterator[Edit]:
    """The edits of one place that need no other name."""
    for site in sites(routine.part):
        stored = isinstance(getattr(site.node, "ctx", None), (ast.Store, ast.Del))
        if not stored or isinstance(site.node, ast.Subscript):
            for edits in SMALL:
                yield from edits(site, routine.values)


def assignments(site: Site, values: Values) -> Iterator[Edit]:
    """= for +=, and the other way round."""
    node = site.node
    if (
        isinstance(node, ast.Assign)
        and len(node.targets) == 1
        and isinstance(node.targets[0], (ast.Subscript, ast.Name, ast.Attribute))
    ):
        yield site.edit(
            ast.AugAssign(node.targets[0], ast.Add(), node.value),
            "overlap-overwritten",
            "what was there is overwritten: add to it with +=, every window, step or example has its share",
        )
    if isinstance(node, ast.AugAssign) and isinstance(node.op, ast.Add):
        yield site.edit(
            ast.Assign([node.target], node.value),
            "added-twice",
            "this is added to what was there, but should replace it: = instead of +=",
        )
    if isinstance(node, ast.AugAssign) and isinstance(node.op, (ast.Add, ast.Sub)):
        other = ast.Sub() if isinstance(node.op, ast.Add) else ast.Add()
        yield site.edit(ast.AugAssign(node.target, other, node.value), "wrong-sign", "the sign is wrong here")


def signs(site: Site, values: Values) -> Iterator[Edit]:
    node = site.node
    if isinstance(node, ast.BinOp) and isinstance(node.op, (ast.Add, ast.Sub)) and not within_index(site):
        other = ast.Sub() if isinstance(node.op, ast.Add) else ast.Add()
        yield site.edit(ast.BinOp(node.left, other, node.right), "wrong-sign", "the sign is wrong here")
        yield site.edit(ast.BinOp(node.right, node.op, node.left), "wrong-sign", "this is the wrong way round")
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub) and not isinstance(node.operand, ast.Constant):
        yield site.edit(node.operand, "wrong-sign", "there is a minus sign too many")
    if isinstance(site.holder, (ast.Assign, ast.AugAssign, ast.Return)) and site.field == "value":
        yield site.edit(ast.UnaryOp(ast.USub(), node), "wrong-sign", "the sign is wrong here")


REDUCTIONS = ("sum", "mean", "max", "flip", "concatenate", "argmax", "repeat")


def axes(site: Site, values: Values) -> Iterator[Edit]:
    """Another axis of a sum or mean."""
    named = isinstance(site.holder, ast.keyword) and site.holder.arg == "axis"
    if named or (
        is_call(site.holder, *REDUCTIONS)
        and site.field == "args"
        and isinstance(site.node, (ast.Constant, ast.Tuple, ast.UnaryOp))
    ):
        yield from (site.edit(new, "wrong-axis", "this runs over the wrong axis") for new in other_axes(site.node))


def other_axes(node: ast.AST) -> Iterator[ast.expr]:
    for value in (0, 1, -1, 2, 3, None, (0, 1), (0, 2), (0, 3), (1, 2), (2, 3), (0, 1, 2), (0, 2, 3), (1, 2, 3)):
        new = ast.parse(repr(value), mode="eval").body
        if ast.dump(new) != ast.dump(node):
            yield new


def means(site: Site, values: Values) -> Iterator[Edit]:
    """sum for mean, and the other way round."""
    for wrong, right, mistake, message in (
        ("sum", "mean", "not-averaged", "a sum stands where a mean is due"),
        ("mean", "sum", "not-summed", "a mean stands where a sum is due"),
    ):
        if is_call(site.node, wrong) and isinstance(site.node.func, ast.Attribute):
            function = ast.Attribute(site.node.func.value, right, ast.Load())
            yield site.edit(ast.Call(function, site.node.args, site.node.keywords), mistake, message)


def comparisons(site: Site, values: Values) -> Iterator[Edit]:
    node = site.node
    if (
        isinstance(node, ast.Compare)
        and len(node.ops) == 1
        and isinstance(node.ops[0], (ast.Gt, ast.Lt, ast.GtE, ast.LtE))
    ):
        other = ast.Lt() if isinstance(node.ops[0], (ast.Gt, ast.GtE)) else ast.Gt()
        yield site.edit(
            ast.Compare(node.left, [other], node.comparators), "wrong-mask", "the condition is the wrong way round"
        )


def removals(site: Site, values: Values) -> Iterator[Edit]:
    """A factor, a term or a statement that does not belong."""
    node = site.node
    if isinstance(node, ast.BinOp) and not within_index(site):
        left, right = node.left, node.right
        yield site.edit(left, *too_many(node.op, right, values))
        if not isinstance(node.op, (ast.Div, ast.Sub, ast.Pow)):
            yield site.edit(right, *too_many(node.op, left, values))
        if isinstance(node.op, ast.Mult) and isinstance(left, ast.BinOp) and isinstance(left.op, ast.Mult):
            yield site.edit(left.left, *too_many(node.op, ast.BinOp(left.right, ast.Mult(), right), values))
    if isinstance(node, ast.BinOp) and isinstance(node.op, (ast.Mult, ast.Div)):
        other = ast.Div() if isinstance(node.op, ast.Mult) else ast.Mult()
        due, found = ("multiply", "divide") if isinstance(node.op, ast.Div) else ("divide", "multiply")
        message = f"{due} by {ast.unparse(node.right)}, do not {found}"
        yield site.edit(ast.BinOp(node.left, other, node.right), "derivative-inverted", message)
    if (
        isinstance(node, (ast.AugAssign, ast.Assign))
        and isinstance(getattr(site.holder, site.field), list)
        and not isinstance(getattr(node, "targets", [None])[0], (ast.Name, ast.Tuple))
    ):
        yield site.edit(ast.Pass(), "statement-too-many", "this statement does not belong here")


def too_many(op: ast.operator, removed: ast.expr, values: Values) -> tuple[str, str]:
    """(mistake, message) of an operand that is left out."""
    text = ast.unparse(removed)
    if isinstance(op, (ast.Add, ast.Sub)):
        return "term-too-many", f"the term {text} does not belong here"
    if isinstance(op, ast.MatMult):
        return "extra-product", f"the product with {text} does not belong here"
    if isinstance(op, ast.Pow):
        return "formula-slip", f"the power {text} does not belong here"
    what = "the factor" if isinstance(op, ast.Mult) else "the division by"
    return factor_kind(removed, text, values), f"{what} {text} does not belong here"


def factor_kind(node: ast.expr, text: str, values: Values) -> str:
    """What a factor too many is, by the look of it."""
    if isinstance(node, ast.Constant):
        return "factor-two" if node.value in (2, 0.5) else "constant-factor"
    value = values.get(text)
    if "len(" in text or ".shape" in text or ".size" in text or isinstance(value, (int, np.integer)):
        return "batch-size-factor"
    if isinstance(node, ast.Compare) or "1 - " in text or "1.0 - " in text:
        return "derivative-twice"
    return "extra-product"


def numbers(site: Site, values: Values) -> Iterator[Edit]:
    """Another number: an index or offset one off, an exponent, a coefficient."""
    node = site.node
    if (
        not isinstance(node, ast.Constant)
        or isinstance(node.value, (bool, str))
        or node.value is None
        or not isinstance(node.value, (int, float))
    ):
        return
    if is_call(site.holder, "transpose", "reshape", *REDUCTIONS) or isinstance(site.holder, (ast.keyword, ast.UnaryOp)):
        return
    index = within_index(site)
    for value in dict.fromkeys(
        (
            node.value + 1,
            node.value - 1,
            2 * node.value,
            node.value / 2,
            3 * node.value,
            node.value / 3,
            -node.value,
            0,
            1,
        )
    ):
        if value != node.value and not (index and value != int(value)):
            new = int(value) if value == int(value) and isinstance(node.value, int) else value
            yield site.edit(ast.Constant(new), "shifted" if index else "formula-slip", f"{node.value} should be {new}")


def powers(site: Site, values: Values) -> Iterator[Edit]:
    """(1 - y)² where 1 - y² is due, and the other way round."""
    node = site.node
    if not isinstance(node, ast.BinOp):
        return
    left, right = node.left, node.right
    if isinstance(node.op, ast.Pow) and isinstance(left, ast.BinOp) and isinstance(left.op, (ast.Add, ast.Sub)):
        new = ast.BinOp(left.left, left.op, ast.BinOp(left.right, ast.Pow(), right))
        yield site.edit(new, "formula-slip", f"{ast.unparse(new)} is due, not {ast.unparse(node)}")
    if isinstance(node.op, (ast.Add, ast.Sub)) and isinstance(right, ast.BinOp) and isinstance(right.op, ast.Pow):
        new = ast.BinOp(ast.BinOp(left, node.op, right.left), ast.Pow(), right.right)
        yield site.edit(new, "formula-slip", f"{ast.unparse(new)} is due, not {ast.unparse(node)}")


OPPOSITE = {
    "argmax": "argmin",
    "argmin": "argmax",
    "maximum": "minimum",
    "minimum": "maximum",
    "sin": "cos",
    "cos": "sin",
    "max": "min",
    "min": "max",
}


def functions(site: Site, values: Values) -> Iterator[Edit]:
    """A function applied once too often, or its opposite."""
    node = site.node
    if not isinstance(node, ast.Call) or not node.args:
        return
    name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
    if name in TURNS:
        return
    if name in OPPOSITE and isinstance(node.func, ast.Attribute):
        yield site.edit(
            ast.Call(ast.Attribute(node.func.value, OPPOSITE[name], ast.Load()), node.args, node.keywords),
            "winner-misplaced" if name.startswith("arg") else "formula-slip",
            f"{OPPOSITE[name]} is due, not {name}",
        )
    if len(node.args) == 1 and not node.keywords and name not in ("range", "len", "list", "tuple", "zeros"):
        yield site.edit(node.args[0], "derivative-at-output", f"{name} does not belong here: it was applied already")
    if name == "range" and isinstance(site.holder, (ast.For, ast.Call)):
        yield site.edit(
            ast.Call(ast.Name("reversed", ast.Load()), [node], []),
            "reversed",
            "the loop must run from the last step to the first",
        )


def transposes(site: Site, values: Values) -> Iterator[Edit]:
    """.T where it is missing or too much, other orders of axes in transpose, a transpose before a reshape."""
    node, message = site.node, "a transpose is missing or too many here"
    if isinstance(node, ast.Attribute) and node.attr == "T":
        yield site.edit(node.value, "transposed", message)
        return
    holder = site.holder
    product = (
        (isinstance(holder, ast.BinOp) and isinstance(holder.op, ast.MatMult))
        or is_call(holder, "dot", "matmul")
        or (is_call(holder, "outer") and site.field == "args")
        or (isinstance(holder, ast.Attribute) and holder.attr == "dot")
    )
    whole = isinstance(holder, (ast.Assign, ast.Return, ast.Tuple)) and isinstance(node, (ast.BinOp, ast.Call))
    if (product or whole) and isinstance(node, ast.expr):
        yield site.edit(ast.Attribute(node, "T", ast.Load()), "transposed", message)
    if is_call(node, "transpose"):
        yield from other_orders(site)
    if is_call(node, "einsum") and isinstance(node.args[0], ast.Constant):
        yield from other_outputs(site)


def other_orders(site: Site) -> Iterator[Edit]:
    node = site.node
    order = [a.value for a in node.args if isinstance(a, ast.Constant) and isinstance(a.value, int)]
    if len(order) == len(node.args) and sorted(order) == list(range(len(order))) and len(order) <= 4:
        for axes in itertools.permutations(order):
            if list(axes) != order:
                new = ast.Call(node.func, [ast.Constant(a) for a in axes], [])
                yield site.edit(new, "transposed", "the axes are in the wrong order here")


def other_outputs(site: Site) -> Iterator[Edit]:
    node, spec = site.node, site.node.args[0].value
    if "->" in spec:
        left, right = spec.split("->")
        for letters in itertools.permutations(right) if len(right) <= 4 else ():
            if "".join(letters) != right:
                new = ast.Call(node.func, [ast.Constant(f"{left}->{''.join(letters)}"), *node.args[1:]], node.keywords)
                yield site.edit(new, "transposed", "the axes are in the wrong order here")


TURNS = ("flip", "flipud", "fliplr", "rot90")


def reversals(site: Site, values: Values) -> Iterator[Edit]:
    """A flip too many or too few."""
    node = site.node
    if is_call(node, *TURNS) and node.args:
        yield site.edit(node.args[0], "flipped-kernel", "the flip does not belong here")
    ends = (
        []
        if not isinstance(node, ast.Subscript)
        else (node.slice.elts if isinstance(node.slice, ast.Tuple) else [node.slice])
    )
    if any(isinstance(end, ast.Slice) and isinstance(end.step, ast.UnaryOp) for end in ends):
        kept = [end for end in ends if not (isinstance(end, ast.Slice) and isinstance(end.step, ast.UnaryOp))]
        if all(isinstance(end, ast.Slice) and end.lower is end.upper for end in kept):
            yield site.edit(node.value, "flipped-kernel", "the order must not be reversed here")
    name = ast.unparse(node) if isinstance(node, (ast.Name, ast.Attribute)) else None
    if name in values and np.ndim(values[name]) and not isinstance(site.holder, (ast.Subscript, ast.Attribute)):
        flip = ast.Slice(None, None, ast.UnaryOp(ast.USub(), ast.Constant(1)))
        yield site.edit(ast.Subscript(node, flip, ast.Load()), "flipped-kernel", f"{name} must be reversed here")


def orders(site: Site, values: Values) -> Iterator[Edit]:
    """Two elements exchanged; a loop the wrong way round."""
    node = site.node
    if isinstance(node, (ast.Tuple, ast.List)) and 2 <= len(node.elts) <= 8 and isinstance(node.ctx, ast.Load):
        returned = isinstance(site.holder, ast.Return)
        for i in range(len(node.elts)):
            for j in range(i):
                elements = list(node.elts)
                elements[i], elements[j] = elements[j], elements[i]
                mistake = "index-repeated" if within_index(site) else "swapped-gradients" if returned else "swapped"
                yield site.edit(
                    type(node)(elements, ast.Load()),
                    mistake,
                    f"{ast.unparse(node.elts[j])} and {ast.unparse(node.elts[i])} are exchanged here",
                )
    if is_call(node, "reversed") and isinstance(site.holder, ast.For):
        yield site.edit(node.args[0], "reversed", "the loop must run from the first step to the last")


def slices(site: Site, values: Values) -> Iterator[Edit]:
    """An offset (padding) or a stride that is missing in a slice or an index."""
    node = site.node
    if not isinstance(node, ast.Subscript):
        return
    ends = node.slice.elts if isinstance(node.slice, ast.Tuple) else [node.slice]
    if any(turned(end) is not end for end in ends):
        elements = [turned(end) for end in ends]
        index = ast.Tuple(elements, ast.Load()) if isinstance(node.slice, ast.Tuple) else elements[0]
        yield site.edit(ast.Subscript(node.value, index, node.ctx), "flipped-kernel", "the index must not run back")
    steps = [name for name, value in values.items() if isinstance(value, (int, np.integer)) and name.isidentifier()]
    for name in steps:
        for change, mistake, message in (
            (moved, "shifted", f"the slice should start at {name}: cut off the padding there"),
            (scaled, "shifted", f"the position is the index times {name}, the stride"),
        ):
            elements = [change(end, name) for end in ends]
            if any(a is not b for a, b in zip(elements, ends, strict=True)):
                index = ast.Tuple(elements, ast.Load()) if isinstance(node.slice, ast.Tuple) else elements[0]
                yield site.edit(ast.Subscript(node.value, index, node.ctx), mistake, message)


def turned(end: ast.expr) -> ast.expr:
    """n - 1 - i as i."""
    if isinstance(end, ast.BinOp) and isinstance(end.op, ast.Sub) and isinstance(end.left, ast.BinOp):
        return end.right if isinstance(end.left.op, ast.Sub) and ast.unparse(end.left.right) == "1" else end
    return end


def moved(end: ast.expr, name: str) -> ast.expr:
    """:n as p:n + p."""
    if not isinstance(end, ast.Slice) or end.upper is None or end.step is not None:
        return end
    if end.lower is not None and not (isinstance(end.lower, ast.Constant) and end.lower.value == 0):
        return end
    offset = ast.Name(name, ast.Load())
    return ast.Slice(offset, ast.BinOp(end.upper, ast.Add(), offset), None)


def scaled(end: ast.expr, name: str) -> ast.expr:
    """i:i + k as i*s:i*s + k, and i + r as i*s + r."""
    stride = ast.Name(name, ast.Load())
    if isinstance(end, ast.Slice) and isinstance(end.lower, ast.Name) and isinstance(end.upper, ast.BinOp):
        start = ast.BinOp(end.lower, ast.Mult(), stride)
        if isinstance(end.upper.left, ast.Name) and end.upper.left.id == end.lower.id:
            return ast.Slice(start, ast.BinOp(start, end.upper.op, end.upper.right), None)
    if isinstance(end, ast.BinOp) and isinstance(end.op, ast.Add) and isinstance(end.left, ast.Name):
        return ast.BinOp(ast.BinOp(end.left, ast.Mult(), stride), ast.Add(), end.right)
    return end


SMALL: tuple[Callable[[Site, Values], Iterator[Edit]], ...] = (
    *(assignments, signs, transposes, axes, means, comparisons, removals, powers, numbers, functions),
    *(reversals, orders, slices),
)
