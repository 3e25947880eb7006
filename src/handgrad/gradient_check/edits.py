"""Small changes of a backward's source, each the cure of a mistake that people make, the likeliest kinds first.

Most are rules of rules.txt, matched with the expressions of a statement; what compares names or counts is a generator
here. Nothing is tried: `mending.py` runs what these propose.
"""

import ast
import copy
import itertools
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias

import numpy as np

from ..arrays import Array, Shape
from .sites import (
    Edit,
    Node,
    Scope,
    Site,
    Values,
    computed,
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

# what letters of a rule stand for: parts of the code, by the letters of rules.txt
Found: TypeAlias = dict[str, Any]


def text_of(node: ast.AST) -> str:
    return ast.unparse(node)


# Rules ----------------------------------------------------------------------------------------------------------------


class Rule(NamedTuple):
    """What is written wrongly, what is due instead, and the letters that only the latter has."""

    wrong: ast.AST
    right: Any
    mistake: str
    message: str
    free: tuple[str, ...]


def read_rules(path: Path) -> dict[str, list[Rule]]:
    """{heading: its rules} of a table."""
    rules: dict[str, list[Rule]] = {}
    told: list[str] = []
    for line in path.read_text("utf-8").splitlines():
        if line.startswith("["):
            heading = line.strip("[]")
            section = rules.setdefault(heading, [])
        elif line.startswith("= "):
            section += rules[line[2:]]
        elif line and not line.startswith("#"):
            change, *words = (part.strip() for part in line.split(" | "))
            told = words or told
            wrong, right = (parsed(side, "axis" in heading) for side in change.split(" => "))
            section.append(Rule(wrong, right, told[0], told[1], tuple(sorted(letters(right) - letters(wrong)))))
    return rules


def parsed(text: str, in_index: bool) -> ast.AST:
    """A statement, an expression, or what may stand in an index."""
    if in_index:
        subscript: Any = named(f"_[{text}]")
        index: ast.AST = subscript.slice
        return index
    statement = ast.parse(text).body[0]
    return statement.value if isinstance(statement, ast.Expr) else statement


def letters(node: ast.AST) -> set[str]:
    return {n.id for n in ast.walk(node) if isinstance(n, ast.Name) and len(n.id) == 1 and n.id.isupper()}


def matches(pattern: Any, node: Any, scope: Scope, found: Found) -> bool:
    """Whether a part of the code is what a rule means; found gets what the letters stand for."""
    if isinstance(pattern, ast.Name) and len(pattern.id) == 1:
        letter = pattern.id
        if node is None:
            return False
        if letter in found:
            return text_of(found[letter]) == text_of(node)
        found[letter] = node
        return is_meant(letter, node, scope)
    if type(pattern) is not type(node):
        return False
    if isinstance(pattern, ast.Call):
        return is_same_call(pattern, node, scope, found)
    for name, part in ast.iter_fields(pattern):
        other = getattr(node, name)
        if isinstance(part, list):
            if len(part) != len(other) or not all(
                matches(a, b, scope, found) for a, b in zip(part, other, strict=True)
            ):
                return False
        elif not isinstance(part, ast.expr_context) and not (
            matches(part, other, scope, found) if isinstance(part, ast.AST) else part == other
        ):
            return False
    return True


def is_same_call(pattern: ast.Call, node: ast.Call, scope: Scope, found: Found) -> bool:
    """A call of the same function, with the same arguments and keywords before *r and **k, the others."""
    args, rest = pattern.args, len(node.args)
    if args and isinstance(args[-1], ast.Starred):
        args, rest = args[:-1], len(args) - 1
    given = {keyword.arg: keyword.value for keyword in node.keywords}
    wanted = {keyword.arg: keyword.value for keyword in pattern.keywords}
    open_end = wanted.pop(None, None) is not None
    if len(args) != rest or len(node.args) < rest or not wanted.keys() <= given.keys():
        return False
    if not open_end and len(given) > len(wanted):
        return False
    found["r"], found["k"] = node.args[rest:], [keyword for keyword in node.keywords if keyword.arg not in wanted]
    pairs = [
        (pattern.func, node.func),
        *zip(args, node.args, strict=False),
        *((v, given[k]) for k, v in wanted.items()),
    ]
    return all(matches(a, b, scope, found) for a, b in pairs)


def is_meant(letter: str, node: Any, scope: Scope) -> bool:
    """Whether a letter can stand for a part of the code."""
    if letter == "n":
        return number_of(node) is not None
    if letter == "d":
        return number_of(node) is None
    if letter == "i":
        return all(isinstance(n, AXIS_PARTS) for n in ast.walk(node))
    if letter == "x":
        return isinstance(node, (ast.Name, ast.Attribute, ast.Subscript))
    if letter == "f":
        return text_of(node) not in NEVER
    return letter.islower() or text_of(node) in {text for text, _ in known(scope, letter)}


AXIS_PARTS = (ast.Constant, ast.Tuple, ast.UnaryOp, ast.unaryop, ast.expr_context)
NEVER = ("range", "len", "list", "tuple", "reversed", "int", "float", "np.zeros", "np.zeros_like", "np.empty_like")


def filled(right: Any, found: Found) -> Any:
    """What is due, with parts of the code in the place of its letters, and sums of numbers computed."""
    if isinstance(right, ast.Name) and len(right.id) == 1:
        return found[right.id]
    if not isinstance(right, ast.AST):
        return right
    parts: dict[str, Any] = {}
    for name, value in ast.iter_fields(right):
        if isinstance(value, list):
            parts[name] = [new for part in value for new in spliced(part, found)]
        else:
            parts[name] = filled(value, found)
    node = type(right)(**parts)
    numbers = [number_of(n) for n in ast.iter_child_nodes(node) if isinstance(n, ast.expr)]
    if isinstance(node, (ast.BinOp, ast.UnaryOp)) and None not in numbers:
        number = eval(text_of(node))
        return ast.Constant(int(number) if number == int(number) and isinstance(numbers[0], int) else number)
    return node


def number_of(node: ast.AST) -> int | float | None:
    """The number that stands there, with its sign; None where none does."""
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
        number = number_of(node.operand)
        return None if number is None else -number
    value = node.value if isinstance(node, ast.Constant) else None
    return value if isinstance(value, (int, float)) and not isinstance(value, bool) else None


def spliced(part: Any, found: Found) -> list[Any]:
    """A part of a list as it is due; of *r and **k, all that they stand for."""
    if isinstance(part, ast.Starred) or (isinstance(part, ast.keyword) and part.arg is None):
        return list(found[vars(part.value)["id"]])
    return [filled(part, found)]


# What names hold ------------------------------------------------------------------------------------------------------

AXES = (
    *(0, 1, -1, 2, 3, None, *itertools.combinations(range(4), 2), (0, 1, 2), (0, 2, 3), (1, 2, 3)),
    *((2, 4), (3, 5), (2, 3, 4), (1, 3, 4), (0, 3, 4), (3, 4), (1, 2, 4)),  # of groups and windows
)
TESTS: dict[str, Callable[[Any], bool]] = {
    "B": lambda v: np.ndim(v) == 1,
    "L": lambda v: np.ndim(v) == 1 and v.dtype.kind in "iu",
    "M": lambda v: bool(np.ndim(v) and np.isin(v, (0, 1)).all()),
    "W": lambda v: kind(v) == "array" and v.dtype == np.bool_,
    "Q": lambda v: bool(np.ndim(v) and v.dtype.kind == "f" and (v >= 0).all() and np.allclose(v.sum(axis=-1), 1)),
    "N": lambda v: is_index(v) and v > 1,
    "Z": is_index,
    "S": lambda v: kind(v) == "number",
    "V": lambda v: True,
}


def known(scope: Scope, letter: str) -> list[tuple[str, Any]]:
    """[(text, value)] of what a letter may stand for; the value None where it is of no interest."""
    if letter not in scope.drawn:
        scope.drawn[letter] = [*draw(scope, letter).items()]
    return scope.drawn[letter]


def draw(scope: Scope, letter: str) -> Values:
    values, arrays = scope.values, arrays_of(scope)
    if letter in TESTS:
        chosen = {text: value for text, value in values.items() if TESTS[letter](value)}
        return chosen if letter != "S" else {t: v for t, v in chosen.items() if t != scope.upstream}
    fixed: dict[str, Sequence[Any]] = {"I": AXES, "J": range(4), "K": (1, -1, 0)}
    if letter in fixed:
        return {str(axis): axis for axis in fixed[letter]}
    every: dict[str, Callable[[], Values]] = {
        "A": lambda: arrays,
        "Y": lambda: {text: value for text, value in arrays.items() if text != scope.upstream},
        "U": lambda: {text: value for text, value in values.items() if text == scope.upstream},
        "P": lambda: {text: value for text, value in values.items() if text in scope.parameters},
        "F": lambda: {text: value for text, value in arrays.items() if is_kept(scope, text, value)},
        "O": lambda: {str(order): order for ndim in (2, 3, 4) for order in itertools.permutations(range(ndim))},
        "X": lambda: {t: v for t, v in scope.expressions.items() if kind(v) == "array" and t not in arrays},
        "C": lambda: dict.fromkeys(counters_of(scope)[-12:]),
        "T": lambda: {t: v for t, v in (values | parts_of(scope)).items() if kind(v) != "integer"},
        "E": lambda: {text: None for text, value in scope.expressions.items() if np.ndim(value) == 0},
        "H": lambda: {f"{text}.shape[0]": None for text, value in arrays.items() if is_batch(scope, value)},
        "G": lambda: dict.fromkeys(lengths(scope)),
        "D": lambda: dict.fromkeys(products(scope)),
        "R": lambda: {t: v for t, v in arrays.items() if t in unread(scope)},
    }
    return every[letter]()


def is_kept(scope: Scope, text: str, value: Array) -> bool:
    """Whether an array is one of the forward's, or an object's, by whatever name."""
    held = getattr(scope.names.get("self"), "__dict__", {}).values()
    return text in scope.parameters or any(value is other for other in held)


def unread(scope: Scope) -> set[str]:
    """The names that the function assigns to and never reads."""
    names = [n for n in ast.walk(scope.routine.node) if isinstance(n, ast.Name)]
    return {n.id for n in names if isinstance(n.ctx, ast.Store)} - {n.id for n in names if isinstance(n.ctx, ast.Load)}


def counters_of(scope: Scope) -> list[str]:
    return [text for text, value in scope.values.items() if is_index(value) and text.isidentifier()]


def arrays_of(scope: Scope) -> dict[str, Array]:
    return {text: value for text, value in scope.values.items() if kind(value) == "array"}


def parts_of(scope: Scope) -> Values:
    """{expression: value} of the arrays cut as the code cuts them: a[:, :D] where b[:, :D] is written."""
    cuts = {
        text_of(n).removeprefix(text_of(n.value))
        for n in ast.walk(scope.statement)
        if isinstance(n, ast.Subscript) and isinstance(n.slice, (ast.Tuple, ast.Slice))
    }
    texts = [f"{t}{cut}" for t in arrays_of(scope) if t.isidentifier() for cut in sorted(cuts)]
    return {text: value for text in texts if (value := computed(named(text), scope)) is not None}


def products(scope: Scope) -> list[str]:
    """Two or three sizes multiplied, where they are few."""
    sizes = [text for text, value in scope.values.items() if TESTS["N"](value)]
    chosen = (some for count in (2, 3) for some in itertools.combinations(sizes, count))
    return [f"({' * '.join(some)})" for some in chosen] if len(sizes) <= 8 else []


def is_batch(scope: Scope, value: Array) -> bool:
    """Whether an array's first axis may be that of the examples: dy's, where that has as many axes."""
    upstream: Any = scope.values.get(scope.upstream or "", 0.0)
    return np.ndim(upstream) < np.ndim(value) or len(value) == len(upstream)


def lengths(scope: Scope) -> list[str]:
    """A text for each count of entries along an axis, or the two last, of indices and arrays of several axes."""
    found: dict[int, str] = {}
    for text, value in arrays_of(scope).items():
        for axis, size in enumerate(value.shape[1:], 1):
            found.setdefault(size, f"{text}.shape[{axis}]")
        if value.ndim > 2:
            found.setdefault(value.shape[-1] * value.shape[-2], f"({text}.shape[-2] * {text}.shape[-1])")
    return [text for size, text in found.items() if size > 1]


# Where rules are tried ------------------------------------------------------------------------------------------------


def is_of_index(site: Site) -> bool:
    """Whether it is an index or a part of one, or of what a loop runs over."""
    path = (*site.path, site.node)
    within = any(isinstance(a, ast.Subscript) and b is a.slice for a, b in itertools.pairwise(path))
    return within or any(is_call(node, "range") for node in path[:-1])


def is_value(site: Site) -> bool:
    """Whether an expression is computed with, and is no index."""
    stored = isinstance(getattr(site.node, "ctx", None), (ast.Store, ast.Del))
    index = isinstance(site.holder, ast.Slice) or (isinstance(site.holder, ast.Subscript) and site.field == "slice")
    return isinstance(site.node, ast.expr) and not stored and not index


def is_length(site: Site) -> bool:
    """Whether it is the index of a shape."""
    return isinstance(site.holder, ast.Subscript) and getattr(site.holder.value, "attr", "") == "shape"


def is_number(site: Site) -> bool:
    """Whether it is a number that something is computed with."""
    signed = isinstance(site.holder, ast.UnaryOp) and number_of(site.holder) is not None
    setting = signed or isinstance(site.holder, (ast.keyword, ast.Tuple, ast.List)) or is_call(site.holder, *SETTINGS)
    return not (is_of_index(site) or setting or is_call(site.holder, *REDUCTIONS))


SETTINGS = ("transpose", "reshape", "swapaxes", "moveaxis", "tril", "triu", "zeros", "ones")
REDUCTIONS = ("sum", "mean", "max", "flip", "concatenate", "argmax", "repeat", "cumsum", "split", "stack", "squeeze")


def is_carried(site: Site) -> bool:
    """Whether it is an assignment in a loop to a variable that the loop gives another value as well."""
    target = getattr(site.node, "targets", [None])[0]
    loops = [n for n in ast.walk(site.scope.routine.node) if isinstance(n, ast.For) and site.node in n.body]
    stored = (
        [n.id for n in ast.walk(loops[0]) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store)] if loops else []
    )
    return stored.count(getattr(target, "id", "")) > 1


def is_alias(site: Site) -> bool:
    """Whether it is an array's name that gets a second one."""
    return isinstance(site.holder, ast.Assign) and is_read(site.node)


def is_out(site: Site) -> bool:
    """Whether it is an array that a function writes its result into."""
    return isinstance(site.holder, ast.keyword) and site.holder.arg == "out" and is_read(site.node)


def is_factor(site: Site) -> bool:
    """Whether it is an operand of a product of matrices, or what a function of the user's is given."""
    node, holder = site.node, site.holder
    product = isinstance(holder, ast.BinOp) and isinstance(holder.op, ast.MatMult)
    product |= isinstance(holder, ast.Attribute) and holder.attr == "dot"
    if isinstance(holder, ast.Call) and site.field == "args":
        own = isinstance(holder.func, ast.Name) and isinstance(node, (ast.BinOp, ast.Name))
        product |= own or is_call(holder, "dot", "matmul", "outer")
    return product


def is_part(site: Site) -> bool:
    """Whether it is an operand in an index, or an element of one."""
    variable = isinstance(site.node, (ast.Name, ast.BinOp)) and isinstance(site.holder, (ast.Subscript, ast.Tuple))
    return is_of_index(site) and (variable or isinstance(site.node, ast.Constant))


def filtered(test: Callable[[Site], bool]) -> Callable[[Scope], Iterator[Site]]:
    return lambda scope: (site for site in sites(scope) if test(site))


COMPUTED = (ast.BinOp, ast.UnaryOp, ast.Call, ast.Name)
PLACES: dict[str, Callable[[Scope], Iterator[Site]]] = {
    "statement": filtered(lambda site: isinstance(site.node, ast.stmt)),
    "last": filtered(lambda site: isinstance(site.node, ast.stmt)),
    "carried": filtered(is_carried),
    "alias": filtered(is_alias),
    "out": filtered(is_out),
    "reshaped": filtered(lambda site: getattr(site.holder, "attr", "") == "reshape"),
    "value": filtered(lambda site: is_value(site) and not is_of_index(site)),
    "condition": filtered(
        lambda site: isinstance(site.node, (ast.Compare, ast.UnaryOp, ast.Call, ast.Name, ast.Attribute))
    ),
    "factor": filtered(lambda site: is_value(site) and is_factor(site)),
    "index": filtered(lambda site: is_of_index(site) and not is_length(site)),
    "length": filtered(is_length),
    "number": filtered(is_number),
    "place": filtered(is_part),
    "operand": filtered(lambda site: isinstance(site.holder, (ast.BinOp, ast.Return)) and is_value(site)),
    "summed": filtered(is_summed),
    "softmax": filtered(is_value),
    "anywhere": filtered(is_value),
    "whole value": lambda scope: (s for s in openings(scope, True) if isinstance(s.node, COMPUTED)),
    "derivative": lambda scope: itertools.chain(openings(scope, True), openings(scope, False)),
    "part factor": partial(openings, whole=False),
    "part": partial(openings, whole=False, in_products=True),
}


def ruled(heading: str, scope: Scope) -> Iterator[Edit]:
    """What the rules of a heading make of a statement."""
    place = heading.partition(": ")[2]
    for site in PLACES.get(place, partial(openings, whole=True))(scope):
        seen = {text_of(site.node)}
        for rule in RULES[heading]:
            for new, words in results(rule, site):
                if words["new"] not in seen:
                    seen.add(words["new"])
                    edit = site.edit(new, rule.mistake, rule.message.format(**words))
                    edit.kind = f"{heading}, {text_of(rule.right)}, {[words[letter] for letter in rule.free]}"
                    edit.number = 2 if rule.mistake == "factor-two" and isinstance(rule.wrong, ast.Name) else None
                    yield edit


def results(rule: Rule, site: Site) -> Iterator[tuple[Any, dict[str, str]]]:
    """(what a rule makes of a place, its letters in words) for every choice of names that it brings in."""
    found: Found = {}
    if matches(rule.wrong, site.node, site.scope, found):
        for chosen in itertools.product(*(known(site.scope, letter) for letter in rule.free)):
            brought = dict(zip(rule.free, chosen, strict=True))
            if fits(rule, site, found, {letter: value for letter, (_, value) in brought.items()}):
                parts = {letter: named(text) for letter, (text, _) in brought.items()}
                new = ast.copy_location(filled(rule.right, found | parts), site.node)
                words = {k: text_of(v) for k, v in (found | parts).items() if isinstance(v, ast.AST)}
                yield new, {**words, "new": text_of(new)}


def fits(rule: Rule, site: Site, found: Found, values: Values) -> bool:
    """Whether what is brought in can meet what stands there, by its shape."""
    held: Any = site.scope.values.get(text_of(site.node))
    if "J" in values and values["J"] >= np.ndim(held):
        return False
    if "O" in values and len(values["O"]) != np.ndim(scope_value(site, found, values)):
        return False
    if "Q" in values and "A" in (found.keys() | values.keys()):
        return bool(np.shape(scope_value(site, found, values)) == np.shape(values["Q"]))
    bare = isinstance(rule.wrong, ast.Name) and rule.wrong.id == "a"
    column = any(isinstance(n, ast.Subscript) for n in ast.walk(rule.right))
    divided = isinstance(rule.right, ast.BinOp) and isinstance(rule.right.op, ast.Div)
    if divided and any(value is not None and not np.all(value) for value in values.values()):
        return False
    met = [v for letter, v in values.items() if letter in "UYVTNSX" or (letter in "MP" and not column)]
    return not bare or all(fitting(site, value, site.scope.values) for value in met)


def scope_value(site: Site, found: Found, values: Values) -> Any:
    """The array that a rule's A stands for."""
    return values.get("A", site.scope.values.get(text_of(found["A"]) if "A" in found else ""))


def everywhere(scope: Scope) -> Iterator[Edit]:
    """A factor that is missing on dy before anything is made of it, or on an array once it is filled."""
    target: Any = getattr(scope.statement, "targets", [getattr(scope.statement, "target", None)])[0]
    filled_array = target.value if isinstance(target, ast.Subscript) else None
    for site in sites(scope):
        if isinstance(site.node, ast.Name) and (site.node is filled_array or site.node.id == scope.upstream):
            held = np.shape(scope.values.get(site.node.id, 0.0))
            for rule in RULES["insertions: everywhere"]:
                for new, words in results(rule, site):
                    met: list[Any] = [scope.values.get(words[letter]) for letter in rule.free if letter in "YMV"]
                    if all(np.shape(value) == held for value in met):
                        edit = site.edit(new, rule.mistake, rule.message.format(**words))
                        yield replace(edit, everywhere=site.node.id)
            return


def axes_of_indices(scope: Scope) -> Iterator[Edit]:
    """An offset (padding) or a stride that is missing in a slice or an index, along all axes alike."""
    for site in (site for site in sites(scope) if isinstance(site.node, ast.Subscript)):
        ends = indices(site.node)
        for rule in RULES["small: every axis"]:
            for chosen in itertools.product(*(known(scope, letter) for letter in rule.free)):
                brought = {letter: named(text) for letter, (text, _) in zip(rule.free, chosen, strict=True)}
                found = [dict[str, Any]() for _ in ends]
                right = [
                    filled(rule.right, f | brought) if matches(rule.wrong, end, scope, f) else end
                    for end, f in zip(ends, found, strict=True)
                ]
                if any(a is not b for a, b in zip(right, ends, strict=True)):
                    index = ast.Tuple(right, ast.Load()) if isinstance(site.node.slice, ast.Tuple) else right[0]
                    words = {letter: text_of(node) for letter, node in brought.items()}
                    message = rule.message.format(**words)
                    yield site.edit(ast.Subscript(site.node.value, index, site.node.ctx), rule.mistake, message)


# What no rule says ----------------------------------------------------------------------------------------------------


def orders(scope: Scope) -> Iterator[Edit]:
    """Arguments, axes, letters or elements in another order."""
    for site in sites(scope):
        node, given = site.node, getattr(site.node, "args", ())
        if is_call(node, "einsum") and isinstance(node.args[0], ast.Constant):
            yield from other_outputs(site)
        elif is_call(node, "transpose", "reshape") and len(given) <= 4:
            mistake = "transposed" if is_call(node, "transpose") else "reshaped"
            for order in itertools.permutations(given):
                if list(order) != given:
                    new = ast.Call(node.func, [*order], node.keywords)
                    yield site.edit(new, mistake, f"the axes are in the wrong order here: {text_of(new)} is due")
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and 2 <= len(given) <= 6:
            for arguments, message in exchanged(given):
                yield site.edit(ast.Call(node.func, arguments, node.keywords), "swapped", message)
        elif isinstance(node, ast.Tuple) and isinstance(site.holder, ast.Subscript):
            yield from other_new_axes(site)
        if isinstance(node, (ast.Tuple, ast.List)) and 2 <= len(node.elts) <= 8 and isinstance(node.ctx, ast.Load):
            mistake = "swapped-gradients" if isinstance(site.holder, ast.Return) else "swapped"
            mistake = "index-repeated" if within_index(site) else mistake
            for elements, message in exchanged(node.elts):
                yield site.edit(type(node)(elements, ast.Load()), mistake, message)
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Tuple) and isinstance(node.value, ast.Call):
            for elements, message in exchanged(node.targets[0].elts) if len(node.targets[0].elts) == 2 else ():
                yield site.edit(ast.Assign([ast.Tuple(elements, ast.Store())], node.value), "swapped", message)


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


def names_in(node: ast.AST) -> set[str]:
    """The names, attributes and items that an expression reads."""
    return {text_of(n) for n in ast.walk(node) if is_read(n)}


def items(scope: Scope) -> Iterator[Edit]:
    """What a list keeps of this step, in the place of a variable, which another step left."""
    for site, text in mentions(scope, scope.values):
        if kind(scope.values[text]) != "array" or (isinstance(site.holder, ast.Attribute) and site.holder.attr != "T"):
            continue
        for name, values in scope.containers.items():
            if isinstance(values, (list, tuple)) and any(alike(value, scope.values[text]) for value in values):
                for index in indices_of(scope):
                    message = f"{text} is what another step left: {name}[{index}] is this one's"
                    yield site.edit(f"{name}[{index}]", "wrong-variable", message)
            first = values[0] if isinstance(values, (list, tuple)) and values else None
            keys = (
                [k for k, v in first.items() if np.ndim(v) == np.ndim(scope.values[text])]
                if isinstance(first, dict)
                else []
            )
            for index, key in itertools.product(indices_of(scope), keys):
                other = f"{name}[{index}][{key!r}]"
                yield site.edit(other, *misnamed(site, text, other, scope.values))


def indices_of(scope: Scope) -> list[str]:
    """The counts of the loops, and their neighbours."""
    loops = [n.target for n in ast.walk(scope.routine.node) if isinstance(n, (ast.For, ast.comprehension))]
    counted = {n.id for target in loops for n in ast.walk(target) if isinstance(n, ast.Name)}
    return [f"{c}{more}" for c in counters_of(scope) if c in counted for more in ("", " + 1", " - 1")]


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
        for mask, _ in known(scope, "W") if whole else ():
            if mask in used:
                turned = text_of(substituted(node, {mask: f"~{mask}"})).replace("~~", "")
                message = f"the mask {mask} is the wrong way round"
                yield site.edit(ast.parse(turned).body[0], "wrong-mask", message)


def is_read(node: ast.AST) -> bool:
    return isinstance(node, (ast.Name, ast.Attribute, ast.Subscript)) and isinstance(node.ctx, ast.Load)


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
    within = [n.slice for n in ast.walk(site.node) if isinstance(n, ast.Subscript)]
    if is_index(values[text]) and any(text in names_in(index) for index in within):
        return "wrong-index", message
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


def indices(node: ast.Subscript) -> list[ast.expr]:
    """The index or slice of each axis."""
    return node.slice.elts if isinstance(node.slice, ast.Tuple) else [node.slice]


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


SHAPING = ("reshape", "transpose", "swapaxes")


def moved_after(scope: Scope) -> Iterator[Edit]:
    """Axes to exchange after a reshape, which takes them in another order then; or none at all."""
    shape = np.shape(scope.values.get(scope.target, 0.0))
    for site in sites(scope):
        if site.field == "value" and isinstance(site.holder, ast.Assign) and is_call(site.node, *SHAPING):
            base: Any = site.node
            while is_call(base, *SHAPING) and isinstance(base.func, ast.Attribute):
                base = base.func.value
            message = "a reshape keeps the order of the numbers: split the axes as the forward does, then exchange them"
            text, words = text_of(base), sizes_in_words(site.node, shape)
            yield site.edit(f"{text}.reshape({', '.join(words)})", "reshaped", message)
            pairs = [*itertools.combinations(range(len(shape)), 2)]
            for (i, j), (k, m) in itertools.combinations(pairs, 2) if len(shape) > 4 else ():
                split = list(words)
                split[i], split[j], split[k], split[m] = split[j], split[i], split[m], split[k]
                if i + 1 == j != k and k + 1 == m:
                    new = f"{text}.reshape({', '.join(split)}).swapaxes({i}, {j}).swapaxes({k}, {m})"
                    yield site.edit(new, "reshaped", message)
            for i, j in itertools.combinations(range(len(shape)), 2):
                split = list(words)
                split[i], split[j] = split[j], split[i]
                yield site.edit(f"{text}.reshape({', '.join(split)}).swapaxes({i}, {j})", "reshaped", message)


def sizes_in_words(call: Any, shape: Shape) -> list[str]:
    """The sizes of a shape as a reshape to it has them, which are right for others too; else as numbers."""
    given = call.args[0].elts if len(call.args) == 1 and isinstance(call.args[0], ast.Tuple) else call.args
    if is_call(call, "reshape") and len(given) == len(shape):
        return [text_of(size) for size in given]
    of_array = is_call(call, "reshape") and len(given) == 1 and text_of(given[0]).endswith(".shape")
    return [f"{text_of(given[0])}[{i}]" if of_array else str(size) for i, size in enumerate(shape)]


def expressions(scope: Scope) -> Iterator[Edit]:
    """What the forward makes of a variable, in its place."""
    for site, text in mentions(scope, arrays_of(scope)):
        for other, value in scope.expressions.items():
            if text in names_in(named(other)) and alike(value, scope.values[text]):
                yield site.edit(other, *misnamed(site, text, other, scope.values))


def stage(name: str, *more: Kind) -> tuple[Kind, ...]:
    """The headings of a stage in their order, and what no rule says."""
    special: dict[str, Kind] = {"small: every axis": axes_of_indices, "insertions: everywhere": everywhere}
    headings = [heading for heading in RULES if heading.startswith(name)]
    return (*(special.get(heading, partial(ruled, heading)) for heading in headings), *more)


RULES = read_rules(Path(__file__).with_name("rules.txt"))
SMALL = stage("small", orders)
NAMES = (*stage("positions"), other_names, items, *stage("names"), expressions)
INSERTIONS = stage("insertions", moved_after)
terms: Kind = partial(ruled, "insertions: whole")
