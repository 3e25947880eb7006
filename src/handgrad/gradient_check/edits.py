"""Small changes of a backward's source, each the cure of a mistake that people make, the likeliest kinds first.

Most are rules of rules.txt, matched with the expressions of a statement; what compares names or counts is a generator
here. Nothing is tried: `mending.py` runs what these propose.
"""

import ast
import itertools
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import lru_cache, partial
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias

import numpy as np

from ..arrays import Array, Shape
from .differences import mistake_in
from .sites import (
    PLACES,
    Edit,
    Scope,
    Site,
    Values,
    computed,
    fitting,
    is_call,
    is_index,
    is_read,
    is_whole,
    kind,
    mentions,
    named,
    number_of,
    rebuilt,
    sites,
    within_index,
)

Kind: TypeAlias = Callable[[Scope], Iterator[Edit]]

# what letters of a rule stand for: parts of the code, by the letters of rules.txt
Found: TypeAlias = dict[str, Any]


@lru_cache(maxsize=2**14)
def text_of(node: ast.AST) -> str:
    """The source of a tree, each of which is asked for by many rules."""
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
    for heading, line in lines_of(path):
        section = rules.setdefault(heading, [])
        if line.startswith("= "):
            section += rules[line[2:]]
        else:
            change, *words = (part.strip() for part in line.split(" | "))
            told = words or told
            wrong, right = (parsed(side, "axis" in heading) for side in change.split(" => "))
            section.append(Rule(wrong, right, told[0], told[1], tuple(sorted(letters(right) - letters(wrong)))))
    return rules


def lines_of(path: Path) -> Iterator[tuple[str, str]]:
    """(the heading above it, line) of a table, without comments."""
    heading = ""
    for line in path.read_text("utf-8").splitlines():
        if line.startswith("["):
            heading = line.strip("[]")
        elif line and not line.startswith("#"):
            yield heading, line


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
        if node is None:
            return False
        if pattern.id in found:
            return text_of(found[pattern.id]) == text_of(node)
        found[pattern.id] = node
        return is_meant(pattern.id, node, scope)
    if isinstance(pattern, list):
        same = len(pattern) == len(node)
        return same and all(matches(a, b, scope, found) for a, b in zip(pattern, node, strict=True))
    if isinstance(pattern, ast.expr_context) or not isinstance(pattern, ast.AST):
        return isinstance(pattern, ast.expr_context) or bool(pattern == node)
    if isinstance(pattern, ast.Call) and isinstance(node, ast.Call):
        return is_same_call(pattern, node, scope, found)
    parts = ((part, getattr(node, name)) for name, part in ast.iter_fields(pattern))
    return type(pattern) is type(node) and all(matches(a, b, scope, found) for a, b in parts)


def is_same_call(pattern: ast.Call, node: ast.Call, scope: Scope, found: Found) -> bool:
    """A call of the same function, with the same arguments and keywords before *r and **k, the others."""
    args = [argument for argument in pattern.args if not isinstance(argument, ast.Starred)]
    wanted, given = ({keyword.arg: keyword.value for keyword in call.keywords} for call in (pattern, node))
    is_open = wanted.pop(None, None) is not None
    rest, others = node.args[len(args) :], [keyword for keyword in node.keywords if keyword.arg not in wanted]
    if len(node.args) < len(args) or not wanted.keys() <= given.keys():
        return False
    if (rest and len(args) == len(pattern.args)) or (others and not is_open):
        return False
    found["r"], found["k"] = rest, others
    due = [pattern.func, *args, *wanted.values()]
    return matches(due, [node.func, *node.args[: len(args)], *(given[name] for name in wanted)], scope, found)


def is_meant(letter: str, node: Any, scope: Scope) -> bool:
    """Whether a letter can stand for a part of the code."""
    if letter == "i" and isinstance(node, ast.Name):  # what a function is given is wrong where it is called
        given = {argument.arg for argument in ast.walk(scope.routine.node) if isinstance(argument, ast.arg)}
        return node.id not in given and is_axes(scope.names.get(node.id))
    if letter in KINDS:
        return KINDS[letter](node)
    return letter.islower() or text_of(node) in {text for text, _ in known(scope, letter)}


def is_axes(value: Any) -> bool:
    """Whether a name holds an axis or several."""
    return is_index(value) or (isinstance(value, tuple) and bool(value) and all(map(is_index, value)))


AXIS_PARTS = (ast.Constant, ast.Tuple, ast.UnaryOp, ast.unaryop, ast.expr_context)
NEVER = ("range", "len", "list", "tuple", "reversed", "int", "float", "np.zeros", "np.zeros_like", "np.empty_like")


KINDS: dict[str, Callable[[ast.AST], bool]] = {
    "n": lambda node: number_of(node) is not None,
    "d": lambda node: number_of(node) is None,
    "i": lambda node: all(isinstance(n, AXIS_PARTS) for n in ast.walk(node)),
    "x": lambda node: isinstance(node, (ast.Name, ast.Attribute, ast.Subscript)),
    "f": lambda node: text_of(node) not in NEVER,
}


def filled(right: Any, found: Found) -> Any:
    """What is due, with parts of the code in the place of its letters, and sums of numbers computed."""
    if isinstance(right, ast.Name) and len(right.id) == 1:
        return found[right.id]
    if isinstance(right, list):
        return [new for part in right for new in spliced(part, found)]
    if not isinstance(right, ast.AST):
        return right
    node = type(right)(**{name: filled(part, found) for name, part in ast.iter_fields(right)})
    numbers = [number_of(n) for n in ast.iter_child_nodes(node) if isinstance(n, ast.expr)]
    if isinstance(node, (ast.BinOp, ast.UnaryOp)) and None not in numbers:
        number = eval(text_of(node))
        return ast.Constant(int(number) if number == int(number) and isinstance(numbers[0], int) else number)
    return node


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
# what a letter stands for among the names: (statement, name, its value) -> whether it may be that
AMONG_NAMES: dict[str, Callable[[Scope, str, Any], bool]] = {
    "A": lambda scope, t, v: kind(v) == "array",
    "B": lambda scope, t, v: np.ndim(v) == 1,
    "F": lambda scope, t, v: kind(v) == "array" and is_kept(scope, t, v),
    "L": lambda scope, t, v: np.ndim(v) == 1 and v.dtype.kind in "iu",
    "M": lambda scope, t, v: bool(np.ndim(v) and np.isin(v, (-1, 0, 1)).all()),
    "N": lambda scope, t, v: is_index(v) and v > 1,
    "P": lambda scope, t, v: t in scope.parameters,
    "Q": lambda scope, t, v: bool(np.ndim(v) and v.dtype.kind == "f" and (v >= 0).all() and np.allclose(v.sum(-1), 1)),
    "S": lambda scope, t, v: kind(v) == "number" and t != scope.upstream,
    "U": lambda scope, t, v: t == scope.upstream,
    "V": lambda scope, t, v: True,
    "W": lambda scope, t, v: kind(v) == "array" and v.dtype == np.bool_,
    "Y": lambda scope, t, v: kind(v) == "array" and t != scope.upstream and v.dtype != np.bool_,
    "Z": lambda scope, t, v: is_index(v),
}
# what else: {text: value} of all that it may be; the value None where it is of no interest
MADE: dict[str, Callable[[Scope], Values]] = {
    "C": lambda scope: dict.fromkeys(counters_of(scope)[-12:]),
    "D": lambda scope: dict.fromkeys(products(scope)),
    "E": lambda scope: {text: None for text, value in scope.expressions.items() if np.ndim(value) == 0},
    "G": lambda scope: dict.fromkeys(lengths(scope)),
    "H": lambda scope: dict.fromkeys(batches(scope)),
    "I": lambda scope: {str(axes): axes for axes in AXES},
    "J": lambda scope: {str(axis): axis for axis in range(4)},
    "K": lambda scope: {str(diagonal): diagonal for diagonal in (1, -1, 0)},
    "O": lambda scope: {str(order): order for n in (2, 3, 4) for order in itertools.permutations(range(n))},
    "R": lambda scope: unread(scope),
    "T": lambda scope: {t: v for t, v in (scope.values | parts_of(scope)).items() if kind(v) != "integer"},
    "X": lambda scope: {t: v for t, v in scope.expressions.items() if kind(v) == "array" and t not in scope.values},
}


def known(scope: Scope, letter: str) -> list[tuple[str, Any]]:
    """[(text, value)] of what a letter may stand for."""
    if letter not in scope.drawn:
        values, is_it = scope.values.items(), AMONG_NAMES.get(letter)
        found = {t: v for t, v in values if is_it(scope, t, v)} if is_it else MADE[letter](scope)
        scope.drawn[letter] = [*found.items()]
    return scope.drawn[letter]


def is_kept(scope: Scope, text: str, value: Array) -> bool:
    """Whether an array is one of the forward's, or an object's, by whatever name."""
    held = getattr(scope.names.get("self"), "__dict__", {}).values()
    return text in scope.parameters or any(value is other for other in held)


def unread(scope: Scope) -> Values:
    """The arrays that the function assigns to a name and never reads."""
    names = [n for n in ast.walk(scope.routine.node) if isinstance(n, ast.Name)]
    read = {n.id for n in names if isinstance(n.ctx, ast.Load)}
    stored = {n.id for n in names if isinstance(n.ctx, ast.Store)} - read
    return {text: value for text, value in arrays_of(scope).items() if text in stored}


def counters_of(scope: Scope) -> list[str]:
    return [text for text, value in scope.values.items() if is_index(value) and text.isidentifier()]


def arrays_of(scope: Scope) -> dict[str, Array]:
    return {text: value for text, value in scope.values.items() if kind(value) == "array"}


def parts_of(scope: Scope) -> Values:
    """{expression: value} of the arrays cut as the code cuts them, a[:, :D] where b[:, :D] stands; a list's items."""
    items = [n for n in ast.walk(scope.statement) if isinstance(n, ast.Subscript)]
    cuts = {text_of(n).removeprefix(text_of(n.value)) for n in items if isinstance(n.slice, (ast.Tuple, ast.Slice))}
    counts = [count for count in indices_of(scope) if count.isidentifier()]
    cuts |= {f"[{count}]" for count in counts if count in names_in(scope.statement)}
    texts = [f"{t}{cut}" for t in arrays_of(scope) if t.isidentifier() for cut in sorted(cuts)]
    texts += [f"{t}[{c}]" for t, items in scope.containers.items() if isinstance(items, list) for c in counts]
    return {text: value for text in texts if (value := computed(text, scope.names)) is not None}


def products(scope: Scope) -> list[str]:
    """Two or three sizes multiplied, where they are few."""
    sizes = [text for text, _ in known(scope, "N")]
    chosen = (some for count in (2, 3) for some in itertools.combinations(sizes, count))
    return [f"({' * '.join(some)})" for some in chosen] if len(sizes) <= 8 else []


def batches(scope: Scope) -> list[str]:
    """Texts for what may be the number of examples: of all that the forward was given, and one of each other length."""
    arrays = {text: v for text, v in reversed(arrays_of(scope).items()) if is_batch(scope, v)}
    others = {len(v): text for text, v in arrays.items() if text not in scope.parameters}
    return [f"{text}.shape[0]" for text in (*(t for t in arrays if t in scope.parameters), *others.values())]


def is_batch(scope: Scope, value: Array) -> bool:
    """Whether an array's first axis may be that of the examples: dy's, where that has as many axes."""
    upstream: Any = scope.values.get(scope.upstream or "", 0.0)
    lengths = scope.lengths if np.ndim(upstream) == 0 else {len(upstream)}
    return len(value) in lengths or 0 < np.ndim(upstream) < np.ndim(value)


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


def ruled(heading: str, scope: Scope) -> Iterator[Edit]:
    """What the rules of a heading make of a statement."""
    is_meant_for = PLACES.get(heading.partition(": ")[2], is_whole)
    for site in filter(is_meant_for, sites(scope)):
        seen = {text_of(site.node)}
        for rule in RULES[heading]:
            for new, words in results(rule, site):
                if words["new"] not in seen:
                    seen.add(words["new"])
                    mistake, message = told_of(rule, site, new, words)
                    edit = site.edit(new, mistake, message)
                    brought = [words[letter] for letter in rule.free]
                    change = f"{heading}, {text_of(rule.wrong)} => {text_of(rule.right)}"
                    edit.kind = f"{mistake if mistake == 'wrong-axis' else change}, {brought}"
                    edit.is_two = rule.mistake == "factor-two" and isinstance(rule.wrong, ast.Name)
                    yield edit


def told_of(rule: Rule, site: Site, new: ast.AST, words: Mapping[str, str]) -> tuple[str, str]:
    """(mistake, message): the rule's own, or what its change is called at this place."""
    mistake, message, scope = rule.mistake, rule.message.format(**words), site.scope
    if mistake == "batch-size-factor" and not counts_examples(words.get("N"), scope):
        return "element-count-factor", message
    if mistake == "term-missing" and is_number_added(site, words.get("T", "")):
        return "formula-slip", message  # what comes back by another way is no bare number
    if mistake == "skip-missing" and np.ndim(scope.values.get(scope.upstream or "", 0)) == 0:
        return "term-missing", message  # nothing goes around a function that gives one number
    if mistake == "factor-missing" and words.get("E") in ("0.5", "2.0"):
        return "factor-two", message
    if mistake == "factor-missing" and is_square(new):
        return "wrong-exponent", f"{text_of(site.node)} is due squared here"
    return mistake, message


def is_number_added(site: Site, text: str) -> bool:
    """Whether a number is added to an array."""
    number, value = site.scope.values.get(text), computed(text_of(site.node), site.scope.names)
    return number is not None and np.ndim(number) == 0 and value is not None and np.ndim(value) > 0


def counts_examples(count: str | None, scope: Scope) -> bool:
    """Whether a count may be that of the examples: the first axis of dy or an array, or the second of columns; where
    the statement knows none of these, the first of what the forward was given.
    """
    names = (scope.upstream, *scope.parameters)
    shapes = [shape for name in names if name in scope.values and (shape := np.shape(scope.values[name]))]
    axes = {n for shape in shapes for n in (shape[0], shape[-1 if len(shape) == 2 else 0])} or scope.lengths
    return count is None or not axes or scope.values.get(count) in axes


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
                if not is_one(new, site.scope):
                    yield new, {**words, "new": text_of(new)}


def is_one(node: ast.AST, scope: Scope) -> bool:
    """Whether something is divided by itself, or is the size of an axis of one entry."""
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Div):
        return text_of(node.left) == text_of(node.right)
    is_size = isinstance(node, ast.Subscript) and getattr(node.value, "attr", "") == "shape"
    return is_size and computed(text_of(node), scope.names) == 1


def is_square(node: ast.AST) -> bool:
    """Whether something is multiplied by itself."""
    return isinstance(node, ast.BinOp) and isinstance(node.op, ast.Mult) and text_of(node.left) == text_of(node.right)


def fits(rule: Rule, site: Site, found: Found, values: Values) -> bool:
    """Whether what is brought in can meet what stands there, by its shape."""
    array: Any = values.get("A", site.scope.values.get(text_of(found.get("A", site.node))))
    if values.get("J", -1) >= np.ndim(array) or len(values.get("O", np.shape(array))) != np.ndim(array):
        return False
    if "Q" in values and "A" in (found.keys() | values.keys()):
        return bool(np.shape(array) == np.shape(values["Q"]))
    bare = isinstance(rule.wrong, ast.Name) and rule.wrong.id == "a"
    column = any(isinstance(n, ast.Subscript) for n in ast.walk(rule.right))
    divided = isinstance(rule.right, ast.BinOp) and isinstance(rule.right.op, ast.Div)
    if divided and any(value is not None and not np.all(value) for value in values.values()):
        return False
    met = [v for letter, v in values.items() if letter in "UYVTNSX" or (letter in "MP" and not column)]
    return not bare or all(fitting(site, value) for value in met)


def everywhere(scope: Scope) -> Iterator[Edit]:
    """A factor that is missing on dy wherever a statement reads it."""
    statement, *parts = sites(scope)
    reads = [site for site in parts if is_read(site.node) and text_of(site.node) == scope.upstream]
    for rule in RULES["everywhere"] if len(reads) > 1 else ():
        for _, words in results(rule, reads[0]):
            changed = substituted(statement.node, {words["a"]: words["new"]})
            edit = statement.edit(changed, rule.mistake, rule.message.format(**words))
            yield replace(edit, added=f"{words['a']} = {words['new']}  # a line more, above this one")


def axes_of_indices(scope: Scope) -> Iterator[Edit]:
    """An offset (padding) or a stride that is missing in a slice or an index, along all axes alike."""
    for site in (site for site in sites(scope) if isinstance(site.node, ast.Subscript)):
        ends = site.node.slice.elts if isinstance(site.node.slice, ast.Tuple) else [site.node.slice]
        for rule in RULES["small: every axis"]:
            made = [[*results(rule, replace(site, node=end))] for end in ends]
            for n in range(max(map(len, made))):
                right = [found[n][0] if found else end for found, end in zip(made, ends, strict=True)]
                index = ast.Tuple(right, ast.Load()) if isinstance(site.node.slice, ast.Tuple) else right[0]
                message = rule.message.format(**next(found for found in made if found)[n][1])
                yield site.edit(ast.Subscript(site.node.value, index, site.node.ctx), rule.mistake, message)


def into_condition(scope: Scope) -> Iterator[Edit]:
    """What is added beside a condition, and belongs into it."""
    loops = (n for n in ast.walk(scope.routine.node) if isinstance(n, (ast.For, ast.FunctionDef)))
    around = [n.body for n in loops if scope.statement in n.body] if isinstance(scope.statement, ast.AugAssign) else []
    for condition in (n for body in around for n in body if isinstance(n, ast.If)):
        for site in (site for site in sites(scope) if (site.holder, site.field) == (scope.statement, "value")):
            new = f"({text_of(site.node)}) * ({text_of(condition.test)})"
            yield site.edit(new, "wrong-mask", f"this belongs into the if in line {condition.lineno}")


# What no rule says ----------------------------------------------------------------------------------------------------


def orders(scope: Scope) -> Iterator[Edit]:
    """Arguments, axes, letters or elements in another order."""
    for site in sites(scope):
        node, given = site.node, getattr(site.node, "args", ())
        if is_call(node, "einsum") and isinstance(node.args[0], ast.Constant):
            yield from other_letters(site)
        elif is_call(node, "transpose", "reshape") and len(given) <= 4:
            for order in [*itertools.permutations(given)][1:]:
                new = ast.Call(node.func, [*order], node.keywords)
                mistake = "transposed" if is_call(node, "transpose") else "reshaped"
                yield site.edit(new, mistake, f"the axes are in the wrong order here: {text_of(new)} is due")
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and len(given) <= 6:
            for arguments, message in exchanged(given):
                yield site.edit(ast.Call(node.func, arguments, node.keywords), "swapped", message)
        elif isinstance(node, (ast.Tuple, ast.List)) and isinstance(node.ctx, ast.Load) and len(node.elts) <= 8:
            yield from other_new_axes(site) if isinstance(site.holder, ast.Subscript) else ()
            mistake = "swapped-gradients" if isinstance(site.holder, ast.Return) else "swapped"
            for elements, message in exchanged(node.elts):
                yield site.edit(type(node)(elements, ast.Load()), mistake, message)
        elif isinstance(node, ast.Assign) and isinstance(node.value, ast.Call):
            targets = getattr(node.targets[0], "elts", ())
            for elements, message in exchanged(targets) if len(targets) == 2 else ():
                yield site.edit(ast.Assign([ast.Tuple(elements, ast.Store())], node.value), "swapped", message)


def other_names(scope: Scope) -> Iterator[Edit]:
    """One variable for another of the same kind: in one place, in all of an index, in all of a statement."""
    values = scope.values | scope.containers
    for site, text in mentions(scope, values):
        if isinstance(site.holder, ast.Attribute) and site.holder.attr == "shape":
            continue
        reduced = is_call(site.holder, "max", "min", "sum", "mean") and kind(values[text]) == "array"
        divided = isinstance(site.holder, ast.BinOp) and isinstance(site.holder.op, (ast.Div, ast.Sub))
        beside = {text_of(site.holder.left), text_of(site.holder.right)} if divided else {text}  # not a / a or a - a
        for other, value in values.items():
            if other not in {text, *beside} and (alike(value, values[text]) or (reduced and kind(value) == "array")):
                yield site.edit(other, *misnamed(site, text, other, values))
    yield from renamed(scope)


def names_in(node: ast.AST) -> set[str]:
    """The names, attributes and items that an expression reads."""
    return {text_of(n) for n in ast.walk(node) if is_read(n)}


def items(scope: Scope) -> Iterator[Edit]:
    """What a list keeps of this step, in the place of a variable, which another step left."""
    for site, text in mentions(scope, arrays_of(scope)):
        if not isinstance(site.holder, ast.Attribute) or site.holder.attr == "T":
            for other, values in kept_items(scope):
                if any(alike(value, scope.values[text]) for value in values):
                    message = f"{text} is what another step left: {other} is this one's"
                    yield site.edit(other, misnamed(site, text, other, scope.values)[0], message)


def kept_items(scope: Scope) -> Iterator[tuple[str, Sequence[Any]]]:
    """(expression, what it may be) of the items of lists by the counts of loops, and of what dicts in them keep."""
    lists = [(name, kept) for name, kept in scope.containers.items() if isinstance(kept, (list, tuple)) and kept]
    for (name, kept), index in itertools.product(lists, indices_of(scope)):
        yield f"{name}[{index}]", kept
        for key in kept[0] if isinstance(kept[0], dict) else ():
            yield f"{name}[{index}][{key!r}]", [item[key] for item in kept if isinstance(item, dict) and key in item]


def before_the_first(scope: Scope) -> Iterator[Edit]:
    """What stands one before in a row, and before its first, where the index of that is -1: the last."""
    counts = {text: c for c in indices_of(scope) if c.isidentifier() for text in (c, f"{c} - 1")}
    for site in (site for site in sites(scope) if isinstance(site.node, ast.Subscript) and is_read(site.node)):
        used = [part for part in getattr(site.node.slice, "elts", [site.node.slice]) if text_of(part) in counts]
        held: Any = computed(text_of(site.node), scope.names) if used else None
        for other, value in arrays_of(scope).items() if held is not None else ():
            if value.shape == np.shape(held):
                count = counts[text_of(used[0])]
                late = text_of(used[0]) == count
                before = text_of(substituted(site.node, {count: f"{count} - 1"}) if late else site.node)
                told = "the one before is due" if late else f"for {count} = 0 this is the last one"
                message = f"{told}: {before}, and {other} before the first"
                yield site.edit(f"({before} if {count} else {other})", "off-by-one", message)


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
                yield site.edit(substituted(node, {a: b, b: a}), mistake, f"{a} and {b} are exchanged here")
        for a, b in itertools.product((name for name in used if read[name] > 1), values):
            if a != b and alike(values[a], values[b]):
                yield site.edit(substituted(node, {a: b}), *misnamed(site, a, b, values))


def substituted(node: ast.AST, names: Mapping[str, str]) -> Any:
    """A copy of a node with other names in the place of names, attributes and items that are read."""
    return rebuilt(node, lambda n: named(names[text]) if is_read(n) and (text := text_of(n)) in names else None)


def misnamed(site: Site, text: str, other: str, values: Values) -> tuple[str, str]:
    message = f"{other} is due here, not {text}"
    within = [n.slice for n in ast.walk(site.node) if isinstance(n, ast.Subscript)]
    if is_index(values[text]) and any(text in names_in(index) for index in within):
        return "wrong-index", message
    operation = getattr(site.holder, "op", None)
    if is_index(values[text]) and isinstance(operation, (ast.FloorDiv, ast.Mod)):
        return "wrong-index", message
    if is_index(values[text]) and not any(isinstance(n, (ast.Subscript, ast.Call)) for n in (*site.path, site.node)):
        is_size = any(values[other] in value.shape for value in values.values() if isinstance(value, np.ndarray))
        return "element-count-factor" if is_size else "wrong-variable", message
    if is_index(values[text]) and (within_index(site) or isinstance(site.holder, (ast.BinOp, ast.Tuple, ast.Call))):
        statement = site.scope.statement
        around = statement.iter if isinstance(statement, ast.For) else statement
        names = [n.id for n in ast.walk(around) if isinstance(n, ast.Name)]
        return "index-repeated" if names.count(text) > 1 else "wrong-index", message
    mask = "mask-from-upstream" if text == site.scope.upstream else "wrong-mask"
    compared = [n for n in ast.walk(site.node) if isinstance(n, ast.Compare)]
    read = sum(text in names_in(part) for part in compared)
    is_mask = isinstance(site.holder, ast.Compare) or (read and read == count_of(text, site.node))
    both = [v for v in (values[text], values.get(other)) if isinstance(v, np.ndarray) and np.isin(v, (0, 1)).all()]
    is_mask = is_mask or len(both) == 2
    return mask if is_mask else "wrong-variable", message


def count_of(text: str, node: ast.AST) -> int:
    """How often a name is read."""
    return sum(is_read(n) and text_of(n) == text for n in ast.walk(node))


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
    texts = [text_of(element) for element in site.node.elts]
    kept = [text for text in texts if text not in ("None", "np.newaxis")]
    for order in dict.fromkeys(itertools.permutations(texts)) if len(kept) < len(texts) <= 6 else ():
        if order != (*texts,) and [text for text in order if text in kept] == kept:
            index = vars(named(f"_[{', '.join(order)}]"))["slice"]
            yield site.edit(index, "broadcast", "the new axis stands in the wrong position")


def other_letters(site: Site) -> Iterator[Edit]:
    """Other axes of the output of einsum, or another order of those of the output or of one operand."""
    node, spec = site.node, site.node.args[0].value.replace(" ", "")
    inputs, _, output = spec.partition("->")
    letters, operands = sorted(set(inputs) - {",", "."}), inputs.split(",")
    few = output and len(output) <= 4 and len(letters) <= 5
    outputs = itertools.permutations(letters, len(output)) if few else ()
    changed = [f"{inputs}->{''.join(chosen)}" for chosen in outputs]
    for i, operand in enumerate(operands if output else ()):
        for a, b in itertools.combinations(operand.replace(".", ""), 2):
            turned = operand.translate(str.maketrans(a + b, b + a))
            changed.append(f"{','.join([*operands[:i], turned, *operands[i + 1 :]])}->{output}")
    for new in (new for new in changed if new != spec):
        mistake, words = "wrong-axis", "this sums over the wrong axes"
        if sorted(new) == sorted(spec):
            mistake, words = "transposed", "the axes are in the wrong order here"
        call = ast.Call(node.func, [ast.Constant(new), *node.args[1:]], node.keywords)
        yield site.edit(call, mistake, f"{words}: {new} is due, not {spec}")


SHAPING = ("reshape", "transpose", "swapaxes")


def moved_after(scope: Scope) -> Iterator[Edit]:
    """Axes to exchange after a reshape, which takes them in another order then; or none at all."""
    shape = np.shape(scope.values.get(scope.target, 0.0))
    pairs = [*itertools.combinations(range(len(shape)), 2)]
    next_to = [(i, j) for i, j in pairs if i + 1 == j] if len(shape) > 4 else []
    twice = (two for two in itertools.combinations(next_to, 2) if two[0][1] != two[1][0])
    exchanges = [(), *twice, *((pair,) for pair in pairs)]
    for site in sites(scope):
        if site.field == "value" and isinstance(site.holder, ast.Assign) and is_call(site.node, *SHAPING):
            base: Any = site.node
            while is_call(base, *SHAPING) and isinstance(base.func, ast.Attribute):
                base = base.func.value
            for exchange in exchanges:
                split = sizes_in_words(site.node, shape)
                for i, j in exchange:
                    split[i], split[j] = split[j], split[i]
                turned = "".join(f".swapaxes({i}, {j})" for i, j in exchange)
                yield site.edit(f"{text_of(base)}.reshape({', '.join(split)}){turned}", "reshaped", SPLIT_FIRST)


SPLIT_FIRST = "a reshape keeps the order of the numbers: split the axes as the forward does, then exchange them"


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
                mistake, message = misnamed(site, text, other, scope.values)
                change = mistake_in(site.node, named(other))
                yield site.edit(other, mistake if change == "wrong-derivative" else change, message)


def stage(name: str, *more: Kind) -> tuple[Kind, ...]:
    """The headings of a stage in their order, and what no rule says."""
    headings = [heading for heading in RULES if heading.startswith(name)]
    return (*(axes_of_indices if "axis" in heading else partial(ruled, heading) for heading in headings), *more)


RULES = read_rules(Path(__file__).with_name("rules.txt"))
SMALL = stage("small", orders, *stage("late"))
NAMES = (*stage("positions"), other_names, items, before_the_first, into_condition, *stage("names"), expressions)
INSERTIONS = (everywhere, *stage("insertions", moved_after))
terms: Kind = partial(ruled, "insertions: whole")
FACTORS = stage("insertions: derivative", *stage("insertions: whole factor"))
