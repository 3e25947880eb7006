"""Small changes of a backward's source, each the cure of a mistake that people make: signs, axes, indices, factors."""

import ast
import itertools
from collections.abc import Callable, Iterator

import numpy as np

from .sites import Edit, Scope, Site, Values, called, is_call, is_index, sites, within_index


def small_edits(scope: Scope) -> Iterator[Edit]:
    """The edits of one place that need no other name."""
    for site in sites(scope):
        stored = isinstance(getattr(site.node, "ctx", None), (ast.Store, ast.Del))
        if not stored or isinstance(site.node, ast.Subscript):
            for edits in SMALL:
                yield from edits(site, scope.values)


def assignments(site: Site, values: Values) -> Iterator[Edit]:
    """= for +=, and the other way round."""
    node = site.node
    if isinstance(node, ast.Assign) and len(node.targets) == 1:
        target = node.targets[0]
        if isinstance(target, (ast.Subscript, ast.Name, ast.Attribute)):
            message = "what was there is overwritten: add to it with +=, every window, step or example has its share"
            yield site.edit(ast.AugAssign(target, ast.Add(), node.value), "overlap-overwritten", message)
            if isinstance(target, ast.Subscript):
                times = ast.AugAssign(target, ast.Mult(), node.value)
                yield site.edit(times, "upstream-ignored", "what was there is replaced: multiply it, with *=")
    if isinstance(node, ast.AugAssign) and isinstance(node.op, ast.Add):
        message = "this is added to what was there, but should replace it: = instead of +="
        yield site.edit(ast.Assign([node.target], node.value), "added-twice", message)


def opposite(op: ast.operator) -> ast.operator:
    """- for +, / for *, and the other way round."""
    return next(b if isinstance(op, a) else a for a, b in OPPOSITES if isinstance(op, (a, b)))()


OPPOSITES: tuple[tuple[type[ast.operator], type[ast.operator]], ...] = ((ast.Add, ast.Sub), (ast.Mult, ast.Div))


def signs(site: Site, values: Values) -> Iterator[Edit]:
    node = site.node
    if isinstance(node, ast.BinOp) and isinstance(node.op, (ast.Add, ast.Sub)) and not within_index(site):
        changed = ast.BinOp(node.left, opposite(node.op), node.right)
        yield site.edit(changed, "wrong-sign", "the sign is wrong here")
        yield site.edit(ast.BinOp(node.right, node.op, node.left), "wrong-sign", "this is the wrong way round")
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub) and not isinstance(node.operand, ast.Constant):
        yield site.edit(node.operand, "wrong-sign", "there is a minus sign too many")
    whole = isinstance(site.holder, (ast.Assign, ast.AugAssign, ast.Return, ast.Lambda))
    if whole and site.field in ("value", "body") and not isinstance(node, (ast.Subscript, ast.Attribute, ast.Compare)):
        yield site.edit(ast.UnaryOp(ast.USub(), node), "wrong-sign", "the sign is wrong here")


REDUCTIONS = ("sum", "mean", "max", "flip", "concatenate", "argmax", "repeat")


def axes(site: Site, values: Values) -> Iterator[Edit]:
    """Another axis of a sum or mean."""
    named = isinstance(site.holder, ast.keyword) and site.holder.arg == "axis"
    second = is_call(site.holder, *REDUCTIONS) and site.field == "args"
    if named or (second and isinstance(site.node, (ast.Constant, ast.Tuple, ast.UnaryOp))):
        yield from (site.edit(new, "wrong-axis", "this runs over the wrong axis") for new in other_axes(site.node))


def axes_missing(site: Site, values: Values) -> Iterator[Edit]:
    """A sum or mean over everything that is due over an axis; keepdims that is missing or too much."""
    node = site.node
    if not is_call(node, "sum", "mean", "max", "var", "std", "prod") or not isinstance(node.func, ast.Attribute):
        return
    given = {keyword.arg: keyword.value for keyword in node.keywords}
    bare = isinstance(node.func.value, ast.Name) and node.func.value.id in ("np", "numpy")
    if "axis" not in given and len(node.args) == int(bare):
        for axis in other_axes(ast.Constant(None)):
            keyword = ast.keyword("axis", axis)
            new = ast.Call(node.func, node.args, [keyword, *node.keywords])
            yield site.edit(new, "wrong-axis", "this runs over everything, where an axis is due")
    elif "axis" in given and "keepdims" not in given:
        for axis in other_axes(given["axis"]):
            kept = [ast.keyword("axis", axis), ast.keyword("keepdims", ast.Constant(True))]
            new = ast.Call(node.func, node.args, kept)
            yield site.edit(new, "wrong-axis", "this runs over the wrong axis, which must be kept besides")
    kept = [keyword for keyword in node.keywords if keyword.arg != "keepdims"]
    more = [] if len(kept) < len(node.keywords) else [ast.keyword("keepdims", ast.Constant(True))]
    new = ast.Call(node.func, node.args, [*kept, *more])
    yield site.edit(new, "broadcast", f"keepdims is {'missing' if more else 'too much'}: shapes meet the wrong way")


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
    if isinstance(node, ast.Compare) and len(node.ops) == 1:
        op, (less, more) = node.ops[0], ((ast.Lt, ast.LtE), (ast.Gt, ast.GtE))
        if isinstance(op, (*less, *more)):
            changed = ast.Compare(node.left, [ast.Lt() if isinstance(op, more) else ast.Gt()], node.comparators)
            yield site.edit(changed, "wrong-mask", "the condition is the wrong way round")
    if is_call(node, "triu", "tril", "eye"):
        given = [keyword for keyword in node.keywords if keyword.arg != "k"]
        for k in (1, -1, 0):
            new = ast.Call(node.func, node.args, [*given, ast.keyword("k", ast.Constant(k))])
            yield site.edit(new, "wrong-mask", f"the diagonal is in or out wrongly: k={k}")


def removals(site: Site, values: Values) -> Iterator[Edit]:
    """A factor, a term or a statement that does not belong."""
    node = site.node
    if isinstance(node, ast.BinOp) and not within_index(site):
        left, right = node.left, node.right
        yield site.edit(left, *too_many(node.op, right, values, counts(site)))
        if not isinstance(node.op, (ast.Div, ast.Sub, ast.Pow)):
            yield site.edit(right, *too_many(node.op, left, values))
        if isinstance(node.op, ast.Mult) and isinstance(left, ast.BinOp) and isinstance(left.op, ast.Mult):
            yield site.edit(left.left, *too_many(node.op, ast.BinOp(left.right, ast.Mult(), right), values))
    if isinstance(node, ast.BinOp) and isinstance(node.op, (ast.Mult, ast.Div)):
        due, found = ("multiply", "divide") if isinstance(node.op, ast.Div) else ("divide", "multiply")
        message = f"{due} by {ast.unparse(node.right)}, do not {found}"
        yield site.edit(ast.BinOp(node.left, opposite(node.op), node.right), "derivative-inverted", message)
    statement = isinstance(node, (ast.AugAssign, ast.Assign))
    if statement and not isinstance(getattr(node, "targets", [None])[0], (ast.Name, ast.Tuple)):
        yield site.edit(ast.Pass(), "statement-too-many", "this statement does not belong here")


def too_many(op: ast.operator, removed: ast.expr, values: Values, whole: bool = False) -> tuple[str, str]:
    """(mistake, message) of an operand that is left out."""
    text = ast.unparse(removed)
    if isinstance(op, (ast.Add, ast.Sub)):
        return "off-by-one" if text == "1" and whole else "term-too-many", f"the term {text} does not belong here"
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
    if "len(" in text or ".shape" in text or ".size" in text or is_index(value):
        return "batch-size-factor"
    if isinstance(node, ast.Compare) or "1 - " in text or "1.0 - " in text:
        return "derivative-twice"
    return "extra-product"


def numbers(site: Site, values: Values) -> Iterator[Edit]:
    """Another number: an index or offset one off, an exponent, a coefficient."""
    n = site.node.value if isinstance(site.node, ast.Constant) else None
    if isinstance(n, bool) or not isinstance(n, (int, float)):
        return
    if is_call(site.holder, "transpose", "reshape", "swapaxes", "moveaxis", *REDUCTIONS) or isinstance(
        site.holder, (ast.keyword, ast.UnaryOp)
    ):
        return
    if isinstance(site.holder, ast.BinOp) and isinstance(site.holder.op, ast.Pow) and site.field == "right":
        for value in (n + 1, n - 1, -n, n / 2, n + 0.5, n - 0.5):
            yield site.edit(ast.Constant(value), "wrong-exponent", f"the exponent should be {value:g}, not {n:g}")
        return
    index = within_index(site) or counts(site)
    for value in dict.fromkeys((n + 1, n - 1, 2 * n, n / 2, 3 * n, n / 3, -n, 0, 1)):
        if value != n and (value == int(value) or (value in (n / 2, -n) and not index)):
            new = int(value) if value == int(value) and isinstance(n, int) else value
            mistake = ("off-by-one" if abs(value - n) == 1 else "shifted") if index else "formula-slip"
            yield site.edit(ast.Constant(new), mistake, f"{n} should be {new}")


def counts(site: Site) -> bool:
    """Whether a number is part of what a loop runs over."""
    return any(is_call(node, "range") for node in (*site.path, site.holder))


def powers(site: Site, values: Values) -> Iterator[Edit]:
    """(1 - y)² where 1 - y² is due, and the other way round."""
    node = site.node
    if not isinstance(node, ast.BinOp):
        return
    left, right = node.left, node.right
    if isinstance(node.op, ast.Pow) and isinstance(right, ast.Constant) and isinstance(right.value, int):
        more = right.value + 1
        message = f"the factor {more} of the derivative of a power {more} is missing"
        yield site.edit(ast.BinOp(ast.Constant(more), ast.Mult(), node), "factor-missing", message)
    if isinstance(node.op, (ast.Mult, ast.Div)) and not within_index(site):
        for part, other in ((left, right), (right, left)):
            if isinstance(part, (ast.Name, ast.Attribute)) and (isinstance(node.op, ast.Mult) or part is right):
                squared = ast.BinOp(part, ast.Pow(), ast.Constant(2))
                new = ast.BinOp(other, node.op, squared) if part is right else ast.BinOp(squared, node.op, other)
                yield site.edit(new, "wrong-exponent", f"{ast.unparse(part)} is due squared here")
    read = isinstance(right, (ast.Name, ast.Attribute, ast.Subscript)) and not (within_index(site) or counts(site))
    if isinstance(node.op, (ast.Add, ast.Sub)) and read:
        squared = ast.BinOp(right, ast.Pow(), ast.Constant(2))
        message = f"{ast.unparse(right)} is due squared here"
        yield site.edit(ast.BinOp(left, node.op, squared), "wrong-exponent", message)
    if isinstance(node.op, ast.Div) and isinstance(right, ast.BinOp) and not within_index(site):
        squared = ast.BinOp(right, ast.Pow(), ast.Constant(2))
        yield site.edit(ast.BinOp(left, ast.Div(), squared), "wrong-exponent", "the divisor is due squared here")
    for part, other in ((left, right), (right, left)) if isinstance(node.op, ast.Add) else ():
        if isinstance(part, ast.Call) and len(part.args) == 1:
            call = ast.Call(part.func, [ast.BinOp(part.args[0], ast.Add(), other)], part.keywords)
            message = f"{ast.unparse(other)} belongs inside {called(part)}, as in the forward"
            yield site.edit(call, "term-misplaced", message)
    if isinstance(node.op, ast.Pow) and isinstance(left, ast.BinOp) and isinstance(left.op, (ast.Add, ast.Sub)):
        new = ast.BinOp(left.left, left.op, ast.BinOp(left.right, ast.Pow(), right))
        yield site.edit(new, "formula-slip", f"{ast.unparse(new)} is due, not {ast.unparse(node)}")
    if isinstance(node.op, (ast.Add, ast.Sub)) and isinstance(right, ast.BinOp) and isinstance(right.op, ast.Pow):
        new = ast.BinOp(ast.BinOp(left, node.op, right.left), ast.Pow(), right.right)
        yield site.edit(new, "formula-slip", f"{ast.unparse(new)} is due, not {ast.unparse(node)}")


CONFUSED = (("argmax", "argmin"), ("maximum", "minimum"), ("sin", "cos"), ("max", "min"))


def functions(site: Site, values: Values) -> Iterator[Edit]:
    """A function applied once too often, or its opposite, or to the wrong side of a sum."""
    node = site.node
    if isinstance(node, ast.Call) and len(node.args) == 1 and isinstance(node.args[0], ast.BinOp):
        inside = node.args[0]
        if isinstance(inside.op, ast.Add) and isinstance(inside.right, (ast.Name, ast.Attribute, ast.Constant)):
            new = ast.BinOp(ast.Call(node.func, [inside.left], node.keywords), ast.Add(), inside.right)
            message = f"{ast.unparse(inside.right)} belongs outside {called(node)}, as in the forward"
            yield site.edit(new, "term-misplaced", message)
    signed = is_call(site.holder, "exp", "tanh", "sin", "log", "maximum", "sigmoid", "where") and site.field == "args"
    if signed and isinstance(node, (ast.Name, ast.Attribute)):
        message = f"the sign of {ast.unparse(node)} is wrong here"
        yield site.edit(ast.UnaryOp(ast.USub(), node), "wrong-sign", message)
    if not isinstance(node, ast.Call) or called(node) in TURNS:
        return
    name = called(node)
    for pair in CONFUSED:
        if name in pair and isinstance(node.func, ast.Attribute):
            due = pair[name == pair[0]]
            changed = ast.Call(ast.Attribute(node.func.value, due, ast.Load()), node.args, node.keywords)
            mistake = "winner-misplaced" if name.startswith("arg") else "formula-slip"
            yield site.edit(changed, mistake, f"{due} is due, not {name}")
    if len(node.args) == 1 and not node.keywords and name not in ("range", "len", "list", "tuple", "zeros"):
        yield site.edit(node.args[0], "function-too-many", f"{name} does not belong here")
    if name == "range" and isinstance(site.holder, (ast.For, ast.Call)):
        turned_round = ast.Call(ast.Name("reversed", ast.Load()), [node], [])
        yield site.edit(turned_round, "reversed", "the loop must run from the last step to the first")


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
        swapped = ast.Call(ast.Attribute(node, "swapaxes", ast.Load()), [ast.Constant(-1), ast.Constant(-2)], [])
        yield site.edit(swapped, "transposed", "the last two axes must be exchanged here")
    if is_call(node, "swapaxes") and len(node.args) == 2 and isinstance(node.func, ast.Attribute):
        yield site.edit(node.func.value, "transposed", message)
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
    if isinstance(node, ast.Subscript):
        kept = [end for end in indices(node) if not (isinstance(end, ast.Slice) and isinstance(end.step, ast.UnaryOp))]
        whole = all(isinstance(end, ast.Slice) and end.lower is end.upper for end in kept)
        if whole and len(kept) < len(indices(node)):
            yield site.edit(node.value, "flipped-kernel", "the order must not be reversed here")
    name = ast.unparse(node) if isinstance(node, (ast.Name, ast.Attribute)) else None
    if name in values and np.ndim(values[name]) and not isinstance(site.holder, (ast.Subscript, ast.Attribute)):
        flip = ast.Slice(None, None, ast.UnaryOp(ast.USub(), ast.Constant(1)))
        yield site.edit(ast.Subscript(node, flip, ast.Load()), "flipped-kernel", f"{name} must be reversed here")
        if np.ndim(values[name]) > 1:
            last: list[ast.expr] = [*([ast.Constant(...)] if np.ndim(values[name]) > 2 else []), flip, flip]
            turned_round = ast.Subscript(node, ast.Tuple(last, ast.Load()), ast.Load())
            yield site.edit(turned_round, "flipped-kernel", f"{name} must be turned by half a turn here")


def indices(node: ast.Subscript) -> list[ast.expr]:
    """The index or slice of each axis."""
    return node.slice.elts if isinstance(node.slice, ast.Tuple) else [node.slice]


def orders(site: Site, values: Values) -> Iterator[Edit]:
    """Two elements exchanged; a loop the wrong way round."""
    node = site.node
    if isinstance(node, ast.Tuple) and isinstance(site.holder, ast.Subscript):
        yield from other_new_axes(site)
    if isinstance(node, (ast.Tuple, ast.List)) and 2 <= len(node.elts) <= 8 and isinstance(node.ctx, ast.Load):
        mistake = "swapped-gradients" if isinstance(site.holder, ast.Return) else "swapped"
        mistake = "index-repeated" if within_index(site) else mistake
        for j, i in sorted(itertools.combinations(range(len(node.elts)), 2), key=lambda pair: pair[1]):
            elements = list(node.elts)
            elements[i], elements[j] = elements[j], elements[i]
            message = f"{ast.unparse(elements[i])} and {ast.unparse(elements[j])} are exchanged here"
            yield site.edit(type(node)(elements, ast.Load()), mistake, message)
    if is_call(node, "reshape", "transpose", "subtract", "divide", "outer", "dot", "matmul", "where"):
        for i, j in itertools.combinations(range(len(node.args)), 2):
            arguments = list(node.args)
            arguments[i], arguments[j] = arguments[j], arguments[i]
            mistake = "reshaped" if is_call(node, "reshape") else "swapped"
            message = f"{ast.unparse(node.args[i])} and {ast.unparse(node.args[j])} are exchanged here"
            yield site.edit(ast.Call(node.func, arguments, node.keywords), mistake, message)
    if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Tuple) and isinstance(node.value, ast.Call):
        names = node.targets[0].elts
        if len(names) == 2:
            message = f"{ast.unparse(names[0])} and {ast.unparse(names[1])} are exchanged here"
            turned_round = ast.Tuple(names[::-1], ast.Store())
            yield site.edit(ast.Assign([turned_round], node.value), "swapped", message)
    if is_call(node, "reversed") and isinstance(site.holder, ast.For):
        yield site.edit(node.args[0], "reversed", "the loop must run from the first step to the last")


def other_new_axes(site: Site) -> Iterator[Edit]:
    """New axes in other positions of an index."""
    elements = site.node.elts
    new = [e for e in elements if ast.unparse(e) in ("None", "np.newaxis")]
    if not new or len(elements) > 7:
        return
    kept = [e for e in elements if e not in new]
    for positions in itertools.combinations(range(len(elements)), len(new)):
        rest, added = iter(kept), iter(new)
        order = [next(added) if i in positions else next(rest) for i in range(len(elements))]
        if order != elements:
            yield site.edit(ast.Tuple(order, ast.Load()), "broadcast", "the new axis stands in the wrong position")


def slices(site: Site, values: Values) -> Iterator[Edit]:
    """An offset (padding) or a stride that is missing in a slice or an index."""
    node = site.node
    if not isinstance(node, ast.Subscript):
        return
    ends = indices(node)
    changes = [([turned(end) for end in ends], "flipped-kernel", "the index must not run back")]
    changes.append(([both_sides(end) for end in ends], "shifted", "the padding is on both sides"))
    for name, value in values.items():
        if is_index(value) and name.isidentifier():
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
        return end.right if isinstance(end.left.op, ast.Sub) and ast.unparse(end.left.right) == "1" else end
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
    *(assignments, signs, transposes, axes, axes_missing, means, comparisons, removals, powers, numbers, functions),
    *(reversals, orders, slices),
)
