"""Changes that bring in another name: one variable for another, a factor or a term that was forgotten."""

import ast
import copy
import itertools

import numpy as np

from .places import is_call, sites, within_index

OUR_WRAPPERS = ("sigmoid", "softmax", "relu")
WRAPPERS = ("tanh", "exp", "sign", "abs", "sqrt", *OUR_WRAPPERS)


def other_names(routine):
    """One variable for another of the same kind: in one place, in all of an index, in all of a statement."""
    values = routine.values
    for site in sites(routine.part):
        text = expression(site.node, values)
        if text is None or isinstance(site.node.ctx, ast.Store) or (
                isinstance(site.holder, ast.Attribute) and site.holder.attr == "shape"):
            continue
        for other, value in values.items():
            if other != text and kind(value) == kind(values[text]):
                yield site.edit(named(other), *misnamed(site, text, other, values))
    yield from renamed(routine)


def renamed(routine):
    for site in sites(routine.part):
        node = site.node
        whole = isinstance(node, (ast.Assign, ast.AugAssign, ast.Return))
        if not whole and not isinstance(node, (ast.Slice, ast.Tuple, ast.Subscript)):
            continue
        used = sorted({n.id for n in ast.walk(node) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Load)}
                      & set(routine.values))
        for a, b in itertools.permutations(used, 2) if whole or isinstance(node, ast.Tuple) else ():
            if a < b and kind(routine.values[a]) == kind(routine.values[b]):
                mistake = "index-repeated" if is_index(routine.values[a]) else \
                    "swapped-gradients" if isinstance(node, ast.Return) else "swapped"
                yield site.edit(substituted(node, {a: b, b: a}), mistake, f"{a} and {b} are exchanged here")
        for a, b in itertools.product(used, routine.values):
            if a != b and b.isidentifier() and kind(routine.values[a]) == kind(routine.values[b]):
                yield site.edit(substituted(node, {a: b}), *misnamed(site, a, b, routine.values))


def substituted(node, names):
    """A copy of the node with names exchanged."""
    new = copy.deepcopy(node)
    for name in ast.walk(new):
        if isinstance(name, ast.Name) and isinstance(name.ctx, ast.Load):
            name.id = names.get(name.id, name.id)
    return new


def is_index(value):
    return isinstance(value, (int, np.integer))


def misnamed(site, text, other, values):
    message = f"{other} is due here, not {text}"
    if is_index(values[text]) and (within_index(site) or isinstance(site.holder, (ast.BinOp, ast.Tuple, ast.Call))):
        return "index-repeated", message
    return "wrong-mask" if isinstance(site.holder, ast.Compare) else "wrong-variable", message


def expression(node, values):
    """The text of a name or of an attribute of self, where its value is known."""
    if not isinstance(node, (ast.Name, ast.Attribute)):
        return None
    text = ast.unparse(node)
    return text if text in values else None


def named(text):
    return ast.parse(text, mode="eval").body


def kind(value):
    return "array" if isinstance(value, np.ndarray) and value.ndim else "integer" if is_index(value) else "number"


def openings(routine, whole):
    """Where a factor or a term may be missing: in a value assigned or returned (whole), or in a part of one."""
    for site in sites(routine.part):
        holder, node = site.holder, site.node
        if not isinstance(node, ast.expr) or isinstance(getattr(node, "ctx", None), ast.Store) or isinstance(
                node, (ast.Tuple, ast.List, ast.Dict, ast.Constant, ast.Slice)) or isinstance(site.statement, ast.For):
            continue
        if (isinstance(holder, (ast.Assign, ast.AugAssign, ast.Return)) and site.field == "value") or (
                isinstance(holder, (ast.Tuple, ast.List, ast.Dict)) and site.field in ("elts", "values")):
            if whole and fitting(site, None, routine.values):
                yield site
        elif not whole and (is_operand(holder) or (
                isinstance(holder, ast.Call) and site.field == "args" and not is_call(
                    holder, "zeros", "zeros_like", "range", "reshape", "transpose", "len"))):
            yield site


def is_operand(holder):
    return isinstance(holder, ast.BinOp) and isinstance(holder.op, (ast.MatMult, ast.Add, ast.Sub))


def fitting(site, value, values):
    """Whether an array of this value's shape can be a factor or a term of what the statement assigns."""
    targets = getattr(site.statement, "targets", [getattr(site.statement, "target", None)])
    assigned = values.get(ast.unparse(targets[0])) if targets[0] is not None and site.field == "value" else None
    assigned = computed(site.node, values) if assigned is None else assigned
    if assigned is None:
        return True
    if value is None:
        return not is_index(assigned)
    try:
        return np.broadcast_shapes(np.shape(assigned), np.shape(value)) == np.shape(assigned)
    except ValueError:
        return False


def computed(node, values):
    """What a plain expression comes to with the names as they were at the end, or None."""
    if any(isinstance(n, (ast.Call, ast.Lambda)) for n in ast.walk(node)):
        return None
    try:
        return eval(ast.unparse(node), {}, {k: v for k, v in values.items() if k.isidentifier()})
    except Exception:  # an attribute of an object, a name that is not an array
        return None


def operands(routine):
    """A value where the derivative is due that is computed from it."""
    for site in sites(routine.part):
        text = expression(site.node, routine.values)
        if kind(routine.values.get(text)) != "array" or not isinstance(site.holder, (ast.BinOp, ast.Return)):
            continue
        for derivative, words in derivatives(text):
            yield site.edit(named(derivative), "value-for-derivative",
                            f"{text} stands where {words}, {derivative}, is due")


def derivatives(text):
    return ((f"({text} > 0)", "ReLU's derivative"), (f"(1 - {text}**2)", "tanh's derivative"),
            (f"{text} * (1 - {text})", "the sigmoid's derivative"), (f"np.sign({text})", "its sign"))


def variables(routine):
    """A number where a variable is due: 1 for dy above all."""
    for site in sites(routine.part):
        if isinstance(site.node, ast.Constant) and isinstance(site.node.value, (int, float)) and isinstance(
                site.holder, (ast.BinOp, ast.Assign, ast.AugAssign, ast.Call, ast.Return)):
            for text in routine.values:
                mistake = "upstream-ignored" if text == routine.upstream else "wrong-variable"
                yield site.edit(named(text), mistake, f"{text} is due here, not {site.node.value}")


def factors(routine, whole):
    """A factor that is missing: dy, a parameter, an activation's derivative, a size."""
    for site in openings(routine, whole):
        for new, value, mistake, message in missing_factors(site.node, routine):
            if fitting(site, value, routine.values):
                yield site.edit(new, mistake, message)


def missing_factors(node, routine):
    for text, value in routine.values.items():
        mistake = "upstream-ignored" if text == routine.upstream else "parameter-ignored" if \
            text in routine.parameters else "batch-size-factor" if is_index(value) else "factor-missing"
        yield times(node, text), value, mistake, f"the factor {text} is missing"
        if text == routine.upstream:
            continue
        yield over(node, text), value, mistake, f"divide by {text}"
        if kind(value) == "array":
            for derivative, words in (*derivatives(text), (f"(1 - {text})", "its last factor"),
                                      (f"(1 - np.tanh({text})**2)", "tanh's derivative")):
                mistake = "factor-missing" if "sign" in derivative else "derivative-missing"
                yield times(node, derivative), value, mistake, f"{words} is missing: multiply by {derivative}"
            yield over(node, f"{text}.shape[0]"), None, "batch-size-factor", f"divide by the batch, {text}.shape[0]"
        if np.ndim(value) == 1:
            yield over(node, f"{text}[:, None]"), None, mistake, f"divide by {text}"
    yield times(node, "2"), None, "factor-two", "the factor 2 of a square's derivative is missing"
    yield over(node, "2"), None, "factor-two", "a factor 2 is too many"


def terms(routine, whole):
    """A term that is missing: the way around a function, what comes back from the next step of time."""
    known = dict(routine.values) | parts_of(routine)
    for site in openings(routine, whole):
        for text, value in known.items():
            if kind(value) == "array" and fitting(site, value, routine.values):
                mistake = "skip-missing" if text == routine.upstream else "term-missing"
                for op in (ast.Add(), ast.Sub()):
                    yield site.edit(ast.BinOp(site.node, op, named(text)), mistake, f"the term {text} is missing")


def parts_of(routine):
    """{expression: value} of the arrays cut as the code cuts them: a[:, :D] where b[:, :D] is written."""
    cuts = {ast.unparse(n).removeprefix(ast.unparse(n.value))[1:-1] for n in ast.walk(routine.part)
            if isinstance(n, ast.Subscript) and isinstance(n.slice, (ast.Tuple, ast.Slice))}
    found = {}
    for (text, value), cut in itertools.product(routine.values.items(), sorted(cuts)):
        if kind(value) == "array" and text.isidentifier():
            try:
                found[f"{text}[{cut}]"] = eval(f"{text}[{cut}]", {}, dict(routine.values))
            except Exception:  # this array cannot be cut so
                continue
    return found


def jacobians(routine):
    """The whole softmax Jacobian, where only part of it was applied."""
    arrays = {text: value for text, value in routine.values.items() if kind(value) == "array"}
    for (text, p), (other, u) in itertools.permutations(arrays.items(), 2):
        if p.dtype.kind == "f" and p.shape == u.shape and (p >= 0).all() and np.allclose(p.sum(axis=-1), 1):
            whole = f"{text} * ({other} - ({other} * {text}).sum(axis=-1, keepdims=True))"
            for site in openings(routine, True):
                yield site.edit(named(whole), "cross-terms-missing",
                                f"through the softmax {text} each number moves all the others: {whole}")


def wrapped(routine):
    """A function that was not applied, or axes that were not moved."""
    for site in sites(routine.part):
        text = expression(site.node, routine.values | routine.given)
        if text is None or isinstance(site.node.ctx, ast.Store):
            continue
        for name in WRAPPERS if kind(routine.values.get(text)) == "array" else ():
            call = ast.Call(named(name if name in OUR_WRAPPERS else f"np.{name}"), [site.node], [])
            mistake = "softmax-missing" if name == "softmax" else "function-missing"
            yield site.edit(call, mistake, f"{name} is not applied to {text}")
        if 4 in (np.ndim(routine.values.get(text)), np.ndim(routine.given.get(text))):
            yield from moved_first(site, text)


def moved_first(site, text):
    """Axes to move before a reshape."""
    for axes in ((0, 2, 3, 1), (0, 3, 1, 2), (1, 2, 3, 0), (3, 0, 1, 2), (1, 0, 2, 3), (2, 3, 1, 0)):
        yield site.edit(named(f"{text}.transpose{axes}"), "reshaped",
                        f"the axes of {text} must be moved first: a reshape does not move them")


def times(left, right):
    return ast.BinOp(left, ast.Mult(), named(right))


def over(left, right):
    return ast.BinOp(left, ast.Div(), named(right))


def whole_factors(routine):
    return factors(routine, True)


def part_factors(routine):
    return factors(routine, False)


def whole_terms(routine):
    return terms(routine, True)


def part_terms(routine):
    return terms(routine, False)


INSERTIONS = (other_names, variables, operands, whole_factors, jacobians, whole_terms, wrapped, part_factors,
              part_terms)
