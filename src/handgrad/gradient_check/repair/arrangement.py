"""Small changes of where numbers stand: transposes, flips, exchanged elements, offsets and strides of slices."""

import ast
import itertools

import numpy as np

from .places import is_call, within_index


def transposes(site, values):
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


def other_orders(site):
    node = site.node
    order = [a.value for a in node.args if isinstance(a, ast.Constant)]
    if len(order) == len(node.args) and sorted(order) == list(range(len(order))) and len(order) <= 4:
        for axes in itertools.permutations(order):
            if list(axes) != order:
                yield site.edit(
                    ast.Call(node.func, [ast.Constant(a) for a in axes], []),
                    "transposed",
                    "the axes are in the wrong order here",
                )


def other_outputs(site):
    node, spec = site.node, site.node.args[0].value
    if "->" in spec:
        left, right = spec.split("->")
        for letters in itertools.permutations(right) if len(right) <= 4 else ():
            if "".join(letters) != right:
                new = ast.Call(node.func, [ast.Constant(f"{left}->{''.join(letters)}"), *node.args[1:]], node.keywords)
                yield site.edit(new, "transposed", "the axes are in the wrong order here")


TURNS = ("flip", "flipud", "fliplr", "rot90")


def reversals(site, values):
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


def orders(site, values):
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


def slices(site, values):
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
            (moved, "shifted", f"the slice starts at {name}: cut off the padding there"),
            (scaled, "shifted", f"the position is the index times {name}, the stride"),
        ):
            elements = [change(end, name) for end in ends]
            if any(a is not b for a, b in zip(elements, ends, strict=True)):
                index = ast.Tuple(elements, ast.Load()) if isinstance(node.slice, ast.Tuple) else elements[0]
                yield site.edit(ast.Subscript(node.value, index, node.ctx), mistake, message)


def turned(end):
    """n - 1 - i as i."""
    minus = isinstance(end, ast.BinOp) and isinstance(end.op, ast.Sub) and isinstance(end.left, ast.BinOp)
    return end.right if minus and isinstance(end.left.op, ast.Sub) and ast.unparse(end.left.right) == "1" else end


def moved(end, name):
    """:n as p:n + p."""
    if not isinstance(end, ast.Slice) or end.upper is None or end.step is not None:
        return end
    if end.lower is not None and not (isinstance(end.lower, ast.Constant) and end.lower.value == 0):
        return end
    offset = ast.Name(name, ast.Load())
    return ast.Slice(offset, ast.BinOp(end.upper, ast.Add(), offset), None)


def scaled(end, name):
    """i:i + k as i*s:i*s + k, and i + r as i*s + r."""
    stride = ast.Name(name, ast.Load())
    if isinstance(end, ast.Slice) and isinstance(end.lower, ast.Name) and isinstance(end.upper, ast.BinOp):
        start = ast.BinOp(end.lower, ast.Mult(), stride)
        if isinstance(end.upper.left, ast.Name) and end.upper.left.id == end.lower.id:
            return ast.Slice(start, ast.BinOp(start, end.upper.op, end.upper.right), None)
    if isinstance(end, ast.BinOp) and isinstance(end.op, ast.Add) and isinstance(end.left, ast.Name):
        return ast.BinOp(ast.BinOp(end.left, ast.Mult(), stride), ast.Add(), end.right)
    return end
