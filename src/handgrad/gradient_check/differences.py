"""The name of what distinguishes an expression that is wrong from the one that is due."""

import ast
from collections import Counter

from .sites import called, is_call, is_read, named, number_of

TURNS = ("transpose", "swapaxes", "reshape", "broadcast_to", "expand_dims", "reduceat", "flip")
PRODUCTS = ("einsum", "outer", "dot", "matmul", "multiply")


def mistake_in(old: ast.expr, new: ast.expr) -> str:
    """The mistake that leads from what is due, new, to what stands there, old."""
    terms, due = Counter(terms_of(old)), Counter(terms_of(new))
    if terms != due and (terms <= due or due <= terms):
        return "term-missing" if terms <= due else "term-too-many"
    lost, more = [[named(text) for text in (a - b)] for a, b in ((terms, due), (due, terms))]
    if max(len(terms), len(due)) > 1:
        return mistake_in(lost[0], more[0]) if len(lost) == len(more) == 1 else "wrong-derivative"
    (found, sums), (wanted, other_sums) = factors_of(old), factors_of(new)
    changed = [text for text in {**found, **wanted} if found[text] != wanted[text]]
    missing, extra = [t for t in changed if not found[t]], [t for t in changed if not wanted[t]]
    if not changed:
        if sums == other_sums or "reshape" in ast.unparse(old):
            return "reshaped" if "reshape" in ast.unparse(old) else "transposed"
        return "not-summed" if sums <= other_sums else "wrong-axis"
    if changed == ["-1"]:
        return "wrong-sign"
    if missing and extra and is_sum(new) and isinstance(old, ast.BinOp) and (is_sum(old.left) or is_sum(old.right)):
        return "factor-misplaced"
    if len(missing) == len(extra) > 0:
        pairs = zip(map(named, sorted(extra)), map(named, sorted(missing)), strict=True)
        between = {mistake_between(a, b) for a, b in pairs}
        return between.pop() if len(between) == 1 else "wrong-derivative"
    if len(changed) > 1:
        return "wrong-derivative"
    (text,) = changed
    if missing:
        factor = named(text)
        return "winner-ignored" if is_choice(factor) else "factor-missing" if is_read(factor) else "derivative-missing"
    if extra:
        return "extra-product"
    return "derivative-inverted" if found[text] == -wanted[text] else "wrong-exponent"


def factor_due(old: ast.expr, new: ast.expr) -> tuple[str, ast.expr] | None:
    """(variable, what it should be) where one factor of a product stands for others that are due."""
    (found, _), (wanted, _) = factors_of(old), factors_of(new)
    changed = {text: wanted[text] - found[text] for text in {**found, **wanted} if found[text] != wanted[text]}
    extra = [text for text, power in changed.items() if power < 0]
    if len(terms_of(new)) > 1 or len(changed) < 2 or len(extra) != 1 or not extra[0].isidentifier():
        return None
    due = [text if power == 1 else f"({text}) ** {power}" for text, power in changed.items() if power > 0]
    return extra[0], named(" * ".join(f"({text})" for text in due))


def terms_of(node: ast.expr) -> list[str]:
    """What is added up, each with its sign."""
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
        return [*terms_of(node.left), *terms_of(node.right)]
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Sub):
        return [*terms_of(node.left), f"-{ast.unparse(node.right)}"]
    return [ast.unparse(node)]


def factors_of(node: ast.expr) -> tuple[Counter[str], Counter[str]]:
    """({factor: its power}, {axes: how many sums run over them}) of a product, however its factors are turned."""
    factors, sums = Counter[str](), Counter[str]()
    count_factors(node, 1, factors, sums)
    return factors, sums


def count_factors(node: ast.expr, by: int, factors: Counter[str], sums: Counter[str]) -> None:
    """Count what a product multiplies, what it divides by as less than nothing, and the sums around them."""
    if isinstance(node, ast.BinOp) and isinstance(node.op, (ast.Mult, ast.Div, ast.MatMult)):
        count_factors(node.left, by, factors, sums)
        count_factors(node.right, -by if isinstance(node.op, ast.Div) else by, factors, sums)
    elif isinstance(node, ast.BinOp) and isinstance(node.op, ast.Pow) and isinstance(n := number_of(node.right), int):
        count_factors(node.left, by * n, factors, sums)
    elif isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
        factors["-1"] = (factors["-1"] + by) % 2
        count_factors(node.operand, by, factors, sums)
    elif is_call(node, "sum", *PRODUCTS, *TURNS):
        method = isinstance(node.func, ast.Attribute) and ast.unparse(node.func.value) not in ("np", "numpy", "np.add")
        operands = [*([vars(node.func)["value"]] if method else []), *node.args]
        if is_call(node, "sum"):
            sums[", ".join(ast.unparse(n) for n in (*operands[1:], *node.keywords))] += by
        operands = operands[1:] if is_call(node, "einsum") else operands
        for operand in operands if called(node) in PRODUCTS else operands[:1]:
            count_factors(operand, by, factors, sums)
    elif getattr(node, "attr", "") == "T" or (isinstance(node, ast.Subscript) and is_new_axis(node.slice)):
        count_factors(vars(node)["value"], by, factors, sums)
    elif number_of(node) != 1:
        factors[ast.unparse(node)] += by


def is_sum(node: ast.expr) -> bool:
    """Whether it is a sum, or cut out of one."""
    return is_call(node, "sum") or (isinstance(node, ast.Subscript) and is_sum(node.value))


def is_new_axis(index: ast.expr) -> bool:
    """Whether an index but adds axes."""
    parts = index.elts if isinstance(index, ast.Tuple) else [index]
    return all(ast.unparse(part) in (":", "None", "np.newaxis", "...") for part in parts)


def mistake_between(old: ast.expr, new: ast.expr) -> str:
    """The name of one thing in the place of another."""
    if isinstance(old, ast.Subscript) and is_alike(old.value, new):
        return "examples-missing"
    if is_choice(new) and not is_choice(old):
        return "winner-ignored"
    if isinstance(old, ast.Call) and any(is_alike(argument, new) for argument in old.args):
        return "function-too-many"
    if isinstance(new, ast.Call) and any(is_alike(argument, old) for argument in new.args):
        return "function-missing"
    if is_read(old):
        one = isinstance(old, ast.Subscript) and isinstance(new, ast.Subscript) and is_alike(old.value, new.value)
        return "wrong-index" if one else "wrong-variable"
    if ast.unparse(old) in (f"{ast.unparse(new)}.T", ast.unparse(new).removesuffix(".T")):
        return "transposed"
    if isinstance(old, ast.Call) and isinstance(new, ast.Call) and not is_alike(old.func, new.func):
        return "wrong-derivative"
    if isinstance(old, ast.Constant) and isinstance(new, ast.Constant):
        return "formula-slip"
    if type(old) is not type(new):
        return "wrong-derivative"
    if isinstance(old, ast.BinOp) and isinstance(new, ast.BinOp) and type(old.op) is not type(new.op):
        signs = isinstance(old.op, (ast.Add, ast.Sub)) and isinstance(new.op, (ast.Add, ast.Sub))
        return "wrong-sign" if signs else "formula-slip"
    parts = zip(ast.iter_child_nodes(old), ast.iter_child_nodes(new), strict=False)
    different = [(a, b) for a, b in parts if not is_alike(a, b)]
    within = [mistake_between(a, b) for a, b in different if isinstance(a, ast.expr) and isinstance(b, ast.expr)]
    return within[0] if len(different) == len(within) == 1 else "wrong-derivative"


def is_choice(node: ast.expr) -> bool:
    """Whether it chooses what equals something, the largest of a window, say."""
    return isinstance(node, ast.Compare) and isinstance(node.ops[0], ast.Eq)


def is_alike(a: ast.AST, b: ast.AST) -> bool:
    """Whether two expressions say the same."""
    return ast.unparse(a) == ast.unparse(b)
