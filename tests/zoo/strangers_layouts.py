"""Rewrites of a module of forward/backward cases that keep its meaning: other layouts of the same code.

    python layouts.py N [case_module.py ...] [--seed S] [--dump FOLDER]

generates N variants over the cases of the modules (right.py beside this file when none is named), runs each
against its original and prints how many of each kind passed.

A case module holds CASES (tuples whose first item is the name and whose last is make) and functions at module
level; a trailing comment `# wrong` marks a line, and every variant knows which of its lines came from it.

    variants(source, rng)               -> [(kind, source)]            one module's source, each kind once
    generate(path, count, seed)         -> iterator of Variant         verified against the case's own arrays
    Variant(name, kind, source, wrong_lines, make, ...)                make(rng) -> (target, arrays, keywords)
"""
import ast
import atexit
import collections
import contextlib
import copy
import importlib.util
import io
import itertools
import os
import re
import shutil
import sys
import tempfile
import tokenize
import traceback
import warnings
from dataclasses import dataclass, field

import numpy as np

TOLERANCE = 1e-10
MARK = re.compile(r"#\s*wrong\b(?:@([\d,]+))?")
LITTER = "()[]{}"


# ------------------------------------------------------------------ source with marks <-> tree with marks

def statements(tree):
    """Every statement under tree, in a fixed order."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.stmt):
            yield node
        yield from statements(node)


def header_end(stmt):
    """The last line of a compound statement's header, or of the whole of a simple one."""
    body = getattr(stmt, "body", None)
    if isinstance(body, list) and body and isinstance(body[0], ast.stmt):
        first = min([body[0].lineno] + [d.lineno for d in getattr(body[0], "decorator_list", [])])
        return max(stmt.lineno, first - 1)
    return stmt.end_lineno


def marks_in(source):
    """{line: {ids}} of the comments `# wrong` (`# wrong@17` keeps the line the mark had at first)."""
    found = {}
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type == tokenize.COMMENT and (hit := MARK.search(token.string)):
            line = token.start[0]
            found[line] = {int(n) for n in hit[1].split(",")} if hit[1] else {line}
    return found


def parse_marked(source):
    tree = ast.parse(source)
    everything = list(statements(tree))
    for stmt in everything:
        stmt.wrong = set()
    for line, ids in marks_in(source).items():
        holders = [s for s in everything if s.lineno <= line <= header_end(s)]
        if not holders:     # a line of its own: the statement that follows, or else the last before
            after = [s for s in everything if s.lineno > line]
            holders = [min(after, key=lambda s: s.lineno)] if after else everything[-1:]
        least = min(header_end(s) - s.lineno for s in holders)
        for stmt in holders:
            if header_end(stmt) - stmt.lineno == least:
                stmt.wrong |= ids
    return tree


def wrong_of(stmt):
    return getattr(stmt, "wrong", set())


def plain_text(tree):
    """ast.unparse, but `return a, b` and `x = a, b` without the brackets that nobody writes."""
    ast.fix_missing_locations(tree)
    text = ast.unparse(tree)
    lines = text.split("\n")
    for stmt in statements(ast.parse(text)):
        value = getattr(stmt, "value", None)
        if isinstance(stmt, (ast.Assign, ast.Return)) and isinstance(value, ast.Tuple) and len(value.elts) > 1 \
                and stmt.lineno == stmt.end_lineno and not has(value, (ast.NamedExpr, ast.Starred)):
            line = lines[stmt.lineno - 1]
            if line.isascii() and line.endswith(")") and line[value.col_offset] == "(" and value.end_col_offset == len(line):
                lines[stmt.lineno - 1] = line[:value.col_offset] + line[value.col_offset + 1:-1]
    return "\n".join(lines)


def emit(tree):
    """The source of the tree, its marks as trailing comments `# wrong@ids`."""
    text = plain_text(tree)
    lines = text.split("\n")
    for old, new in zip(statements(tree), statements(ast.parse(text)), strict=True):
        assert type(old) is type(new), "the statements of the text are not those of the tree"
        if wrong_of(old):
            tag = "  # wrong@" + ",".join(map(str, sorted(wrong_of(old))))
            for number in range(new.lineno, header_end(new) + 1):
                lines[number - 1] += tag
    return "\n".join(lines) + "\n"


def strip_marks(source):
    """(source without marks, {id: set of lines})."""
    groups = collections.defaultdict(set)
    lines = source.split("\n")
    for line, ids in marks_in(source).items():
        for one in ids:
            groups[one].add(line)
        lines[line - 1] = re.sub(r"\s*#\s*wrong\b.*$", "", lines[line - 1])
    return "\n".join(lines), dict(groups)


# ------------------------------------------------------------------ what a tree says about its names

def names_of(node, kind=None):
    return {n.id for n in ast.walk(node) if isinstance(n, ast.Name) and (kind is None or isinstance(n.ctx, kind))}


def all_words(tree):
    words = set()
    for n in ast.walk(tree):
        for attr in ("id", "name", "arg", "attr", "asname"):
            if isinstance(getattr(n, attr, None), str):
                words.update(getattr(n, attr).split("."))
    return words | set(dir(__builtins__) if not isinstance(__builtins__, dict) else __builtins__) | set(dir(np)) | {"np"}


def module_names(tree):
    found = set()
    for stmt in tree.body:
        if isinstance(stmt, (ast.FunctionDef, ast.ClassDef)):
            found.add(stmt.name)
        elif isinstance(stmt, (ast.Import, ast.ImportFrom)):
            found.update((a.asname or a.name).split(".")[0] for a in stmt.names)
        else:
            found |= names_of(stmt, ast.Store)
    return found


def imported(tree):
    return {(a.asname or a.name).split(".")[0] for s in tree.body if isinstance(s, (ast.Import, ast.ImportFrom)) for a in s.names}


def units(tree):
    """(function, parent list holding its outermost owner) for each function to be rewritten: module-level ones, methods,
    and those inside make."""
    def inside(owner):
        for stmt in owner.body:
            if isinstance(stmt, ast.FunctionDef):
                yield stmt
            elif isinstance(stmt, ast.ClassDef):
                yield from inside(stmt)
    for stmt in tree.body:
        if isinstance(stmt, ast.FunctionDef):
            if stmt.name == "make":
                yield from inside(stmt)
            else:
                yield stmt
        elif isinstance(stmt, ast.ClassDef):
            yield from inside(stmt)


def blocks(node):
    """Every list of statements under a function, the innermost last."""
    for name in ("body", "orelse", "finalbody"):
        block = getattr(node, name, None)
        if isinstance(block, list) and block and isinstance(block[0], ast.stmt):
            yield block
            for stmt in block:
                yield from blocks(stmt)
    for handler in getattr(node, "handlers", []):
        yield from blocks(handler)


class Names:
    """Hands out names that the module does not have yet."""

    def __init__(self, tree, rng):
        self.taken = all_words(tree)
        self.rng = rng

    def fresh(self, base):
        name = base
        for n in itertools.count(1):
            if name not in self.taken:
                self.taken.add(name)
                return name
            name = f"{base}{n}"


def pick(rng, options):
    options = list(options)
    return options[int(rng.integers(len(options)))]


def load(name):
    return ast.Name(id=name, ctx=ast.Load())


def assign(name, value, wrong=()):
    stmt = ast.Assign(targets=[ast.Name(id=name, ctx=ast.Store())], value=value, lineno=0)
    stmt.wrong = set(wrong)
    return stmt


SCOPED = (ast.Lambda, ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)
LAZY = SCOPED + (ast.IfExp, ast.BoolOp, ast.NamedExpr, ast.JoinedStr, ast.Yield, ast.YieldFrom, ast.Await)


def has(node, types):
    return any(isinstance(n, types) for n in ast.walk(node))


def in_module(node, modules):
    """Is this np, np.linalg, np.add.at, ..."""
    while isinstance(node, ast.Attribute):
        node = node.value
    return isinstance(node, ast.Name) and node.id in modules


# ------------------------------------------------------------------ the kinds

OP_NAMES = {ast.Add: ("total", "s"), ast.Sub: ("diff", "d"), ast.Mult: ("prod", "m"), ast.Div: ("ratio", "q"),
            ast.MatMult: ("mm", "prod"), ast.Pow: ("power", "p"), ast.USub: ("neg", "minus")}


def staged(tree, rng, context):
    fresh, modules, changed = Names(tree, rng), imported(tree), 0
    p = pick(rng, (1.0, 1.0, 0.6))
    style = pick(rng, ("numbered", "operator", "underscore"))

    def temp_name(node):
        if style == "numbered":
            return fresh.fresh(pick(rng, ("t", "tmp", "v")) + "0")
        if style == "underscore":
            return fresh.fresh("_t")
        if isinstance(node, (ast.BinOp, ast.UnaryOp)) and type(node.op) in OP_NAMES:
            return fresh.fresh(pick(rng, OP_NAMES[type(node.op)]))
        if isinstance(node, ast.Call):
            f = node.func
            return fresh.fresh((f.attr if isinstance(f, ast.Attribute) else getattr(f, "id", "val")) + "_out")
        return fresh.fresh("part")

    def go(node, out, wrong, root=False):
        nonlocal changed
        if isinstance(node, (ast.Constant, ast.Name) + LAZY) or node is None:
            return node
        if isinstance(node, ast.Attribute):
            if in_module(node, modules):
                return node
            node.value = go(node.value, out, wrong)
        elif isinstance(node, ast.Call):
            if isinstance(node.func, ast.Name) and node.func.id in ("super", "locals", "globals", "range", "zip", "enumerate", "reversed"):
                return node
            node.func = go(node.func, out, wrong, root=True)
            node.args = [a if isinstance(a, ast.Starred) else go(a, out, wrong) for a in node.args]
            for k in node.keywords:
                k.value = go(k.value, out, wrong)
        elif isinstance(node, ast.BinOp):
            node.left = go(node.left, out, wrong)
            node.right = go(node.right, out, wrong)
        elif isinstance(node, ast.UnaryOp):
            node.operand = go(node.operand, out, wrong)
        elif isinstance(node, ast.Compare) and len(node.ops) == 1:
            node.left = go(node.left, out, wrong)
            node.comparators = [go(c, out, wrong) for c in node.comparators]
        elif isinstance(node, ast.Subscript):
            node.value = go(node.value, out, wrong)
        elif isinstance(node, (ast.Tuple, ast.List)):
            node.elts = [e if isinstance(e, ast.Starred) else go(e, out, wrong) for e in node.elts]
            return node
        else:
            return node
        if root or isinstance(node, ast.Attribute) and node.attr != "T" or isinstance(node, ast.Subscript) and rng.random() < 0.5:
            return node
        if isinstance(node, ast.UnaryOp) and isinstance(node.operand, ast.Constant) or rng.random() > p:
            return node
        name = temp_name(node)
        out.append(assign(name, node, wrong))
        changed += 1
        return load(name)

    for unit in units(tree):
        for block in list(blocks(unit)):
            new = []
            for stmt in block:
                wrong = wrong_of(stmt)
                if isinstance(stmt, (ast.Assign, ast.AugAssign, ast.Return, ast.Expr)) and stmt.value is not None \
                        and not has(stmt.value, (ast.NamedExpr, ast.Yield)):
                    out = []
                    if isinstance(stmt, ast.Return) and isinstance(stmt.value, (ast.BinOp, ast.Call)) and rng.random() < 0.5:
                        stmt.value = go(stmt.value, out, wrong)
                    else:
                        stmt.value = go(stmt.value, out, wrong, root=True)
                    new += out
                new.append(stmt)
            block[:] = new
    return changed


MUTATORS = {"append", "extend", "insert", "pop", "popitem", "clear", "update", "sort", "reverse", "fill", "remove",
            "setdefault", "add", "discard", "move_to_end", "appendleft", "popleft"}
WRITES_FIRST = {"at", "put_along_axis", "copyto", "put", "place", "putmask", "fill_diagonal", "next", "shuffle"}


def base_of(node):
    """The name (or self.name) whose contents a store into node changes."""
    while isinstance(node, (ast.Subscript, ast.Attribute, ast.Starred)):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "self":
            return "self." + node.attr
        node = node.value
    return node.id if isinstance(node, ast.Name) else None


def effects(stmt):
    """(names read, names written or changed in place, must it stay where it is)."""
    reads, writes, pinned = set(), set(), False
    for n in ast.walk(stmt):
        if isinstance(n, ast.Name):
            (reads if isinstance(n.ctx, ast.Load) else writes).add(n.id)
        elif isinstance(n, ast.Attribute) and isinstance(n.value, ast.Name) and n.value.id == "self":
            (reads if isinstance(n.ctx, ast.Load) else writes).add("self." + n.attr)
        if isinstance(n, (ast.Subscript, ast.Attribute)) and isinstance(n.ctx, (ast.Store, ast.Del)):
            writes.add(base_of(n))
        elif isinstance(n, ast.AugAssign):
            reads.add(base_of(n.target))
            writes.add(base_of(n.target))
        elif isinstance(n, ast.Call):
            f = n.func
            if isinstance(f, ast.Attribute):
                if f.attr in MUTATORS or "rng" in (base_of(f) or "") or "rand" in ast.unparse(f):
                    writes.add(base_of(f))
                if isinstance(f.value, ast.Name) and f.value.id == "self":
                    writes.add("self")
            if (getattr(f, "attr", None) or getattr(f, "id", None)) in WRITES_FIRST and n.args:
                writes.add(base_of(n.args[0]))
            for k in n.keywords:
                if k.arg == "out":
                    writes.add(base_of(k.value))
            if isinstance(f, ast.Name) and f.id in ("print", "locals", "globals", "super"):
                pinned = True
        elif isinstance(n, (ast.Return, ast.Raise, ast.Assert, ast.Break, ast.Continue, ast.Yield, ast.YieldFrom,
                            ast.Global, ast.Nonlocal, ast.Delete, ast.Import, ast.ImportFrom, ast.Try, ast.Pass)):
            pinned = True
    return reads, writes, pinned


def clash(a, b):
    if a[2] or b[2]:
        return True
    if "self" in a[1] or "self" in b[1]:
        if any(str(n).startswith("self") for s in (a, b) for n in s[0] | s[1] if n != "self") or "self" in a[1] and "self" in b[1]:
            return True
    return bool(a[1] & (b[0] | b[1]) or b[1] & a[0])


def inlined(tree, rng, context):
    changed = 0
    p = pick(rng, (1.0, 0.7))
    limit = pick(rng, (100, 160, 240))
    for unit in units(tree):
        for block in list(blocks(unit)):
            at = 0
            while at < len(block):
                stmt = block[at]
                at += 1
                if not (isinstance(stmt, ast.Assign) and len(stmt.targets) == 1 and isinstance(stmt.targets[0], ast.Name)):
                    continue
                name = stmt.targets[0].id
                occurrences = [n for n in ast.walk(unit) if isinstance(n, ast.Name) and n.id == name]
                arguments = {a.arg for a in ast.walk(unit) if isinstance(a, ast.arg)}
                if name in arguments or has(stmt.value, (ast.NamedExpr, ast.Yield)) or rng.random() > p:
                    continue
                if sorted(type(n.ctx).__name__ for n in occurrences) != ["Load", "Store"]:
                    continue
                reads, writes, pinned = effects(stmt)
                for later in block[at:]:
                    if name in names_of(later):
                        if isinstance(later, (ast.Assign, ast.AugAssign, ast.Return, ast.Expr)) and later.value is not None \
                                and name in names_of(later.value) and not any(
                                    name in names_of(n) for n in ast.walk(later) if isinstance(n, SCOPED)):
                            trial = copy.deepcopy(later.value)
                            value = Swap(name, stmt.value).visit(trial)
                            if len(ast.unparse(value)) <= limit and not isinstance(stmt.value, ast.Lambda):
                                later.value = value
                                later.wrong = wrong_of(later) | wrong_of(stmt)
                                at -= 1
                                del block[at]
                                changed += 1
                        break
                    if effects(later)[1] & reads or pinned or has(later, (ast.FunctionDef,)):
                        break
    return changed


class Swap(ast.NodeTransformer):
    """Puts an expression in the place of a name."""

    def __init__(self, name, value):
        self.name, self.value = name, value

    def visit_Name(self, node):
        return copy.deepcopy(self.value) if node.id == self.name and isinstance(node.ctx, ast.Load) else node


PLAUSIBLE = {
    "x": "inp inputs data feats a_in xs X".split(), "X": "x inputs features data batch".split(),
    "w": "weight kernel W wts theta".split(), "W": "w weight weights kernel M".split(), "b": "bias offset beta0 shift b_vec".split(),
    "y": "out output result res yhat".split(), "out": "y output result ret o".split(), "z": "pre logits lin a score".split(),
    "h": "hid hidden state act".split(), "p": "prob probs soft q".split(), "probs": "p softm prob pr".split(),
    "mask": "keep m on active sel".split(), "mu": "mean m avg center".split(), "mean": "mu avg m".split(),
    "var": "v sigma2 variance".split(), "std": "sd sigma s".split(), "n": "count N num m".split(), "N": "n batch B num".split(),
    "loss": "L cost err value total".split(), "cache": "saved ctx memo tape state stash stuff".split(), "t": "step tt k".split(),
    "i": "ii r row a".split(), "j": "jj c col e".split(), "gamma": "g scale gain".split(), "beta": "shift bias offset".split(),
    "q": "query qs Q".split(), "k": "key ks kk".split(), "v": "value val vs".split(), "scores": "logits s out z".split(),
    "y_": "target labels".split(), "labels": "y target t tgt classes".split(), "s": "sig sm total tmp".split(),
}
UPSTREAM = "dout dy grad_out g upstream grad_output delta gy dL_dout top_grad d_out".split()
PLAIN = "val arr buf acc aux term piece part u r e f blk item obj rec coef stat alpha1 val2 cur".split()


def renamed(tree, rng, context):
    fresh = Names(tree, rng)
    keep = module_names(tree) | fresh.taken & set(dir(np)) | {"self", "cls", "make"}
    keep |= {k.arg for n in ast.walk(tree) if isinstance(n, ast.Call) for k in n.keywords if k.arg}
    keep |= {n.value for n in ast.walk(tree) if isinstance(n, ast.Constant) and isinstance(n.value, str) and n.value.isidentifier()}
    style = pick(rng, ("grad_{}", "d_{}", "{}_grad", "g_{}", "d{}", "dL_d{}", "{}_bar"))
    changed = 0

    def invent(name, args):
        if name in UPSTREAM and name in args:
            options = [u for u in UPSTREAM if u != name]
        elif name in PLAUSIBLE:
            options = PLAUSIBLE[name]
        elif len(name) > 1 and name[0] == "d" and name[1:] in context.get("locals", ()):
            root = name[1:]
            options = [style.format(pick(rng, PLAUSIBLE.get(root, [root])))]
        else:
            options = [pick(rng, PLAIN), name + "_", name + pick(rng, ("_val", "_arr", "2", "_tmp", "x")), "my_" + name, name.upper() if len(name) > 1 else name * 2]
        return pick(rng, options)

    for unit in units(tree):
        bound = {a.arg for n in ast.walk(unit) if isinstance(n, ast.arguments) for a in n.posonlyargs + n.args + [x for x in (n.vararg, n.kwarg) if x]}
        fixed = {a.arg for n in ast.walk(unit) if isinstance(n, ast.arguments) for a in n.kwonlyargs + (n.args[len(n.args) - len(n.defaults):] if n.defaults else [])}
        args = set(bound)
        bound |= names_of(unit, ast.Store)
        bound |= {n.name for n in ast.walk(unit) if isinstance(n, ast.FunctionDef) and n is not unit}
        bound -= {g for n in ast.walk(unit) if isinstance(n, (ast.Global, ast.Nonlocal)) for g in n.names}
        bound -= {h.name for h in ast.walk(unit) if isinstance(h, ast.ExceptHandler) and h.name}
        if "_" in bound:
            bound.discard("_")
        context["locals"] = bound
        table, used = {}, set(names_of(unit)) | args
        for name in sorted(bound - keep - fixed):
            if rng.random() < 0.15:
                continue
            base = invent(name, args)
            new = base
            for n in itertools.count(1):
                if new not in used and new not in keep and new not in module_names(tree) and new not in set(dir(np)) | {"np"} \
                        and new.isidentifier() and not hasattr(__import__("builtins"), new) and not __import__("keyword").iskeyword(new):
                    break
                new = f"{base}{n}"
            used.add(new)
            table[name] = new
        if table:
            Rename(table).visit(unit)
            for n in ast.walk(unit):
                if isinstance(n, ast.FunctionDef) and n is not unit and n.name in table:
                    n.name = table[n.name]
            changed += len(table)
    return changed


class Rename(ast.NodeTransformer):
    def __init__(self, table):
        self.table = table

    def visit_Name(self, node):
        node.id = self.table.get(node.id, node.id)
        return node

    def visit_arg(self, node):
        node.arg = self.table.get(node.arg, node.arg)
        return node


def is_docstring(stmt):
    return isinstance(stmt, ast.Expr) and isinstance(stmt.value, ast.Constant)


def reordered(tree, rng, context):
    changed = 0
    for unit in units(tree):
        for block in list(blocks(unit)):
            before = list(block)
            what = {id(s): effects(s) for s in block}
            for _ in range(3 * len(block)):
                if len(block) < 2:
                    break
                i = int(rng.integers(len(block) - 1))
                a, b = block[i], block[i + 1]
                if is_docstring(a) or is_docstring(b) or clash(what[id(a)], what[id(b)]):
                    continue
                block[i], block[i + 1] = b, a
            changed += sum(a is not b for a, b in zip(before, block))
    return changed


HELPERS = "_helper _combine _term compute_term scaled_part inner_part _step_value mix _local_grad weighted _expr".split()


def helpers(tree, rng, context):
    fresh, globals_, changed = Names(tree, rng), module_names(tree), 0
    builtin = set(dir(__import__("builtins")))
    wanted = int(rng.integers(1, 5))
    places = []
    for unit in units(tree):
        nested = any(n is not unit and isinstance(n, (ast.FunctionDef, ast.ClassDef)) for n in ast.walk(unit))
        for block in blocks(unit):
            for stmt in block:
                if isinstance(stmt, (ast.Assign, ast.AugAssign, ast.Return)) and stmt.value is not None and not has(stmt.value, (ast.NamedExpr, ast.Yield)):
                    scoped = {id(m) for n in ast.walk(stmt.value) if isinstance(n, SCOPED) for m in ast.walk(n)}
                    for node in ast.walk(stmt.value):
                        if isinstance(node, (ast.BinOp, ast.Call)) and id(node) not in scoped and len(list(ast.walk(node))) >= 5:
                            if not names_of(node) & {"super", "locals", "globals", "vars"} and not has(node, ast.Starred):
                                places.append((stmt, node))
    if not places:
        return 0
    made = []
    for index in rng.permutation(len(places)):
        stmt, node = places[int(index)]
        if len(made) >= wanted:
            break
        if not any(node is n for n in ast.walk(stmt)) or any(h is stmt for h, _ in made):
            continue
        inner = {n.id for s in ast.walk(node) if isinstance(s, SCOPED) for n in ast.walk(s) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store)}
        inner |= {a.arg for n in ast.walk(node) if isinstance(n, ast.arguments) for a in n.args}
        free = []
        for n in ast.walk(node):
            if isinstance(n, ast.Name) and n.id not in free and n.id not in inner and n.id not in builtin:
                if n.id not in globals_:
                    free.append(n.id)
        if inner & set(free) or not free or len(free) > 6:
            continue
        name = fresh.fresh(pick(rng, HELPERS))
        table = {"self": pick(rng, ("layer", "obj", "module"))} if "self" in free else {}
        body = copy.deepcopy(node)
        if table:
            Rename(table).visit(body)
        ret = ast.Return(value=body)
        ret.wrong = set(wrong_of(stmt))
        parameters = [ast.arg(arg=table.get(f, f)) for f in free]
        function = ast.FunctionDef(name=name, args=ast.arguments(posonlyargs=[], args=parameters, kwonlyargs=[], kw_defaults=[], defaults=[]),
                                   body=[ret], decorator_list=[], returns=None, type_comment=None, type_params=[])
        function.wrong = set()
        call = ast.Call(func=load(name), args=[load(f) for f in free], keywords=[])
        if stmt.value is node:
            stmt.value = call
        else:
            Replace(node, call).visit(stmt)
        made.append((stmt, function))
    for _, function in made:
        at = next(i for i, s in enumerate(tree.body) if isinstance(s, (ast.FunctionDef, ast.ClassDef)))
        if rng.random() < 0.3:
            at = next((i for i, s in enumerate(tree.body) if getattr(s, "name", "") == "make"), at)
        tree.body.insert(at, function)
        changed += 1
    return changed


class Replace(ast.NodeTransformer):
    def __init__(self, old, new):
        self.old, self.new = old, new

    def visit(self, node):
        return self.new if node is self.old else self.generic_visit(node)


ELEMENTWISE = {"exp", "tanh", "sqrt", "log", "abs", "absolute", "maximum", "minimum", "where", "sign", "square", "log1p", "expm1",
               "heaviside", "logaddexp", "power", "cosh", "clip", "multiply", "divide", "add", "subtract", "sin", "cos"}


def shape_of(node, shapes):
    """The shape of a name, self.name or number as every run saw it; None when unknown or not always the same."""
    if isinstance(node, ast.Constant) and isinstance(node.value, (int, float)):
        return ()
    key = node.id if isinstance(node, ast.Name) else "self." + node.attr if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "self" else None
    seen = shapes.get(key, set())
    return next(iter(seen))[0] if len({s for s, _ in seen}) == 1 else None


def is_float(node, shapes):
    key = node.id if isinstance(node, ast.Name) else base_of(node)
    return {d for _, d in shapes.get(key, {(None, "?")})} == {"f"}


def by_row(node, shapes, row, n, modules):
    """node for one row, or None if it is not elementwise; (node, shape)."""
    shape = shape_of(node, shapes) if isinstance(node, (ast.Name, ast.Attribute, ast.Constant)) else None
    if shape is not None:
        if len(shape) < 2 or len(shape) == 2 and shape[0] == 1 != n:
            return copy.deepcopy(node), shape
        if len(shape) == 2 and shape[0] == n:
            return ast.Subscript(value=copy.deepcopy(node), slice=copy.deepcopy(row), ctx=ast.Load()), shape
        return None
    if isinstance(node, ast.Attribute) and in_module(node, modules):
        return copy.deepcopy(node), ()
    if isinstance(node, ast.BinOp) and isinstance(node.op, (ast.Add, ast.Sub, ast.Mult, ast.Div, ast.Pow)):
        left, right = by_row(node.left, shapes, row, n, modules), by_row(node.right, shapes, row, n, modules)
        if left and right:
            return ast.BinOp(left=left[0], op=node.op, right=right[0]), np.broadcast_shapes(left[1], right[1])
    if isinstance(node, ast.Compare) and len(node.ops) == 1:
        left, right = by_row(node.left, shapes, row, n, modules), by_row(node.comparators[0], shapes, row, n, modules)
        if left and right:
            return ast.Compare(left=left[0], ops=node.ops, comparators=[right[0]]), np.broadcast_shapes(left[1], right[1])
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
        if inner := by_row(node.operand, shapes, row, n, modules):
            return ast.UnaryOp(op=node.op, operand=inner[0]), inner[1]
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and in_module(node.func, modules) \
            and isinstance(node.func.value, ast.Name) and node.func.attr in ELEMENTWISE and not node.keywords:
        args = [by_row(a, shapes, row, n, modules) for a in node.args]
        if all(args) and args:
            return ast.Call(func=copy.deepcopy(node.func), args=[a for a, _ in args], keywords=[]), np.broadcast_shapes(*(s for _, s in args))
    return None


def loops(tree, rng, context):
    fresh, modules, changed = Names(tree, rng), imported(tree), 0
    if "np" not in modules:
        return 0
    p = pick(rng, (1.0, 0.6, 0.4))
    for unit in units(tree):
        shapes = context["shapes"].get(unit.lineno, {})
        own = {id(s) for n in ast.walk(unit) if isinstance(n, (ast.FunctionDef,)) and n is not unit for s in ast.walk(n)}
        for block in list(blocks(unit)):
            new = []
            for stmt in block:
                made = None
                if id(stmt) not in own and rng.random() < p:
                    if isinstance(stmt, ast.Assign) and len(stmt.targets) == 1 and isinstance(stmt.targets[0], ast.Name):
                        target = stmt.targets[0].id
                        if target not in names_of(stmt.value) and not isinstance(stmt.value, (ast.Name, ast.Attribute, ast.Compare, ast.Constant)):
                            made = row_loop(stmt, target, stmt.value, shapes, fresh, rng, modules, new_array=True)
                    elif isinstance(stmt, ast.AugAssign) and isinstance(stmt.target, ast.Name):
                        if stmt.target.id not in names_of(stmt.value):
                            made = row_loop(stmt, stmt.target.id, stmt.value, shapes, fresh, rng, modules, new_array=False)
                    elif isinstance(stmt, ast.Return) and isinstance(stmt.value, (ast.BinOp, ast.Call)):
                        target = fresh.fresh(pick(rng, ("res", "result", "filled")))
                        made = row_loop(stmt, target, stmt.value, shapes, fresh, rng, modules, new_array=True)
                        if made:
                            last = ast.Return(value=load(target))
                            last.wrong = set(wrong_of(stmt))
                            made.append(last)
                if made:
                    changed += 1
                new += made or [stmt]
            block[:] = new
    return changed


def row_loop(stmt, target, value, shapes, fresh, rng, modules, new_array):
    full = [n for n in ast.walk(value) if isinstance(n, (ast.Name, ast.Attribute)) and len(shape_of(n, shapes) or ()) == 2 and is_float(n, shapes)]
    if not new_array:
        if len(shape_of(load(target), shapes) or ()) != 2 or not is_float(load(target), shapes):
            return None
        full = [load(target)]
    if not full:
        return None
    full.sort(key=lambda n: -np.prod(shape_of(n, shapes)))
    lead = full[0]
    size = shape_of(lead, shapes)
    index = fresh.fresh(pick(rng, ("i", "row", "r", "n_i")))
    done = by_row(value, shapes, load(index), size[0], modules)
    if done is None or new_array and done[1] != size or not new_array and np.broadcast_shapes(done[1], size) != size:
        return None
    wrong = wrong_of(stmt)
    lead_text = ast.unparse(lead)
    out = []
    if new_array:
        form = pick(rng, ("np.empty_like({})", "np.zeros_like({})", "np.zeros({}.shape)", "np.empty({0}.shape)"))
        out.append(assign(target, ast.parse(form.format(lead_text), mode="eval").body, wrong))
    slot = ast.Subscript(value=load(target), slice=pick(rng, (load(index), ast.parse(f"_[{index}, :]", mode="eval").body.slice)), ctx=ast.Store())
    line = ast.Assign(targets=[slot], value=done[0], lineno=0) if new_array else ast.AugAssign(target=slot, op=stmt.op, value=done[0])
    line.wrong = set(wrong)
    count = pick(rng, (f"range(len({lead_text}))", f"range({lead_text}.shape[0])"))
    loop = ast.For(target=ast.Name(id=index, ctx=ast.Store()), iter=ast.parse(count, mode="eval").body, body=[line], orelse=[], lineno=0)
    loop.wrong = set(wrong)
    return out + [loop]


def einsum(tree, rng, context):
    changed = 0
    if "np" not in imported(tree):
        return 0
    p = pick(rng, (1.0, 0.7))

    def operand(node, shapes):
        """(node to pass, shape, transposed)"""
        if isinstance(node, ast.Attribute) and node.attr == "T" or isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) \
                and node.func.attr == "transpose" and not node.args and not in_module(node.func, {"np"}):
            inner = node.value if isinstance(node, ast.Attribute) else node.func.value
            seen = shape_of(inner, shapes) if isinstance(inner, (ast.Name, ast.Attribute)) else None
            return (inner, seen, True) if seen and len(seen) == 2 else None
        seen = shape_of(node, shapes) if isinstance(node, (ast.Name, ast.Attribute)) else None
        return (node, seen, False) if seen and len(seen) in (1, 2, 3) else None

    class Products(ast.NodeTransformer):
        def __init__(self, shapes):
            self.shapes = shapes

        def visit_FunctionDef(self, node):
            return node

        def visit_Lambda(self, node):
            return node

        visit_ListComp = visit_GeneratorExp = visit_DictComp = visit_SetComp = visit_Lambda

        def both(self, node, a, b):
            nonlocal changed
            a, b = operand(a, self.shapes), operand(b, self.shapes)
            if not a or not b or rng.random() > p:
                return node
            la, lb = len(a[1]), len(b[1])
            if (la, lb) not in ((2, 2), (1, 2), (2, 1), (3, 2), (3, 3), (1, 1)):
                return node
            if isinstance(node, ast.Call) and (la, lb) == (3, 3):
                return node
            i, j, k, t = pick(rng, ("ijkb", "ndkb", "abcz", "pqrs"))
            first = {1: j, 2: i + j, 3: t + i + j}[la]
            second = {1: j, 2: j + k, 3: t + j + k}[lb]
            result = {(2, 2): i + k, (1, 2): k, (2, 1): i, (3, 2): t + i + k, (3, 3): t + i + k, (1, 1): ""}[la, lb]
            if a[2]:
                first = first[::-1]
            if b[2]:
                second = second[::-1]
            changed += 1
            text = pick(rng, ("{},{}->{}", "{}, {} -> {}")).format(first, second, result)
            return ast.Call(func=ast.parse("np.einsum", mode="eval").body, args=[ast.Constant(value=text), a[0], b[0]], keywords=[])

        def visit_BinOp(self, node):
            self.generic_visit(node)
            return self.both(node, node.left, node.right) if isinstance(node.op, ast.MatMult) else node

        def visit_Call(self, node):
            self.generic_visit(node)
            f = node.func
            if isinstance(f, ast.Attribute) and not node.keywords:
                if in_module(f, {"np"}) and f.attr in ("dot", "matmul") and len(node.args) == 2 and isinstance(f.value, ast.Name):
                    return self.both(node, *node.args)
                if f.attr == "dot" and len(node.args) == 1 and not in_module(f, imported(tree)):
                    return self.both(node, f.value, node.args[0])
            return node

    for unit in units(tree):
        products = Products(context["shapes"].get(unit.lineno, {}))
        unit.body = [products.visit(s) for s in unit.body]
    return changed


def commuted(tree, rng, context):
    changed = 0
    p = pick(rng, (1.0, 0.5))
    for unit in units(tree):
        for n in ast.walk(unit):
            if isinstance(n, ast.BinOp) and isinstance(n.op, (ast.Add, ast.Mult)) and rng.random() < p:
                if any(isinstance(s, (ast.Tuple, ast.List, ast.JoinedStr, ast.ListComp)) or isinstance(s, ast.Constant) and isinstance(s.value, str)
                       or ".shape" in ast.unparse(s) for s in (n.left, n.right)):
                    continue
                n.left, n.right = n.right, n.left
                changed += 1
    return changed


def augmented(tree, rng, context):
    changed = 0
    way = pick(rng, ("both", "both", "out", "in"))
    for unit in units(tree):
        owned = set()
        args = {a.arg for n in ast.walk(unit) if isinstance(n, ast.arguments) for a in n.posonlyargs + n.args}
        for block in list(blocks(unit)):
            for at, stmt in enumerate(block):
                if isinstance(stmt, ast.Assign) and len(stmt.targets) == 1:
                    target, value = stmt.targets[0], stmt.value
                    same = isinstance(value, ast.BinOp) and isinstance(target, (ast.Name, ast.Subscript)) and ast.unparse(value.left) == ast.unparse(target)
                    if same and way in ("both", "in") and (isinstance(target, ast.Subscript) or target.id in owned):
                        block[at] = ast.AugAssign(target=target, op=value.op, value=value.right)
                        block[at].wrong = set(wrong_of(stmt))
                        changed += 1
                    elif isinstance(target, ast.Name) and target.id not in args:
                        (owned.add if isinstance(value, (ast.BinOp, ast.Call)) else owned.discard)(target.id)
                elif isinstance(stmt, ast.AugAssign) and way in ("both", "out") and rng.random() < 0.8:
                    if isinstance(stmt.target, (ast.Name, ast.Subscript, ast.Attribute)):
                        left = copy.deepcopy(stmt.target)
                        for n in ast.walk(left):
                            if hasattr(n, "ctx"):
                                n.ctx = ast.Load()
                        block[at] = ast.Assign(targets=[stmt.target], value=ast.BinOp(left=left, op=stmt.op, right=stmt.value), lineno=0)
                        block[at].wrong = set(wrong_of(stmt))
                        changed += 1
    return changed


REMARKS = ("chain rule", "upstream gradient times the local one", "see the notes", "shapes: same as the input", "TODO tidy up",
           "(N, D)", "this took me a while", "accumulate", "broadcasts over the batch", "step by step", "cf. lecture 4", "by the product rule",
           "equation 7", "don't forget the bias", "vectorised")
BREAK_AFTER, BREAK_BEFORE = {",", "(", "["}, {"+", "-", "*", "/", "@", "**"}


def reformatted(tree, rng, context):
    """Returns text, not a count: broken lines, comments and blank lines are not in a tree."""
    text = plain_text(tree)
    fresh = ast.parse(text)
    lines = text.split("\n")
    tags = {}
    starts = {}
    for old, new in zip(statements(tree), statements(fresh), strict=True):
        starts.setdefault(new.lineno, new)
        for number in range(new.lineno, header_end(new) + 1):
            if wrong_of(old):
                tags[number] = "  # wrong@" + ",".join(map(str, sorted(wrong_of(old))))
    out, changed = [], 0
    for number, line in enumerate(lines, 1):
        stmt = starts.get(number)
        pieces = [line]
        if stmt is not None and header_end(stmt) == number and line.isascii():
            indent = re.match(r" *", line)[0]
            value = getattr(stmt, "value", None)
            if isinstance(stmt, (ast.Assign, ast.AugAssign, ast.Return)) and isinstance(value, (ast.BinOp, ast.Call, ast.Tuple)) \
                    and value.end_lineno == number and not isinstance(value, ast.NamedExpr) and rng.random() < 0.6:
                line = line[:value.col_offset] + "(" + line[value.col_offset:value.end_col_offset] + ")" + line[value.end_col_offset:]
                pieces = [line]
            pieces = broken(line, indent, rng)
            if rng.random() < 0.12 and not isinstance(stmt, (ast.Import, ast.ImportFrom)):
                out.append(indent + "# " + pick(rng, REMARKS))
                changed += 1
            if rng.random() < 0.08:
                out.append("")
        changed += len(pieces) - 1
        for piece in pieces:
            tag = tags.get(number, "")
            if not tag and rng.random() < 0.05 and stmt is not None:
                tag = "  # " + pick(rng, REMARKS)
                changed += 1
            out.append(piece + tag)
    return "\n".join(out) + "\n" if changed else None


def broken(line, indent, rng):
    if "f'" in line or 'f"' in line:
        return [line]
    try:
        tokens = list(tokenize.generate_tokens(io.StringIO(line.strip() + (" pass" if line.rstrip().endswith(":") else "") + "\n").readline))
    except (tokenize.TokenError, IndentationError):
        return [line]
    cuts, depth, before = [], 0, None
    for token in tokens:
        if token.type == tokenize.OP:
            if token.string in ")]}":
                depth -= 1
            elif token.string in "([{":
                depth += 1
            binary = before is not None and (before.type in (tokenize.NAME, tokenize.NUMBER) or before.string in (")", "]"))
            if depth > 0:
                if token.string in BREAK_AFTER and rng.random() < 0.25:
                    cuts.append(len(indent) + token.end[1])
                elif token.string in BREAK_BEFORE and binary and rng.random() < 0.25:
                    cuts.append(len(indent) + token.start[1])
        before = token
    edges = [0] + sorted(set(cuts)) + [len(line)]
    hang = indent + pick(rng, ("    ", "        ", "  "))
    pieces = [line[a:b] for a, b in zip(edges, edges[1:])]
    pieces = [pieces[0].rstrip()] + [hang + q.strip() for q in pieces[1:] if q.strip()]
    return pieces


KINDS = {f.__name__: f for f in (staged, inlined, renamed, reordered, helpers, loops, einsum, commuted, augmented, reformatted)}


def rewrite(source, kind, rng, shapes=None):
    """The source rewritten one way, marks kept as comments; None where there was nothing to rewrite."""
    tree = parse_marked(source)
    context = {"shapes": shapes or {}}
    done = KINDS[kind](tree, rng, context)
    if not done:
        return None
    return done if isinstance(done, str) else emit(tree)


# ------------------------------------------------------------------ running

_folder = None
_serial = itertools.count()


def temporary_file(source):
    global _folder
    if _folder is None:
        _folder = tempfile.mkdtemp(prefix="layouts_")
        atexit.register(shutil.rmtree, _folder, ignore_errors=True)
    path = os.path.join(_folder, f"layout_{os.getpid()}_{next(_serial)}.py")
    with open(path, "w", encoding="utf-8") as f:
        f.write(source)
    return path


def load_module(path, name=None):
    name = name or os.path.splitext(os.path.basename(path))[0]
    spec = importlib.util.spec_from_file_location(name, path)
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    keep, sys.dont_write_bytecode = sys.dont_write_bytecode, True
    try:
        spec.loader.exec_module(module)
    finally:
        sys.dont_write_bytecode = keep
    return module


class Context:
    """What a function class with static methods gets."""

    def save_for_backward(self, *saved):
        self.saved_tensors = self.saved = saved

    needs_input_grad = (True,) * 20


def gradients_of(layer):
    """The arrays an object keeps after its backward, by attribute, however deep in dicts and lists."""
    found = {}

    def walk(key, value, depth):
        if isinstance(value, np.ndarray) or np.isscalar(value) and not isinstance(value, str):
            found[key] = np.array(value, copy=True)
        elif isinstance(value, dict) and depth < 3:
            for k, v in value.items():
                walk(f"{key}[{k!r}]", v, depth + 1)
        elif isinstance(value, (list, tuple)) and depth < 3:
            for k, v in enumerate(value):
                walk(f"{key}[{k}]", v, depth + 1)
    for key, value in vars(layer).items():
        if key.startswith("d") or "grad" in key:
            walk(key, value, 0)
    return found


def outcome(make, seed, upstream=None):
    """Everything a run of a case yields, as a flat list of arrays."""
    np.random.seed(seed)
    with warnings.catch_warnings(), np.errstate(all="ignore"), contextlib.redirect_stdout(io.StringIO()):
        warnings.simplefilter("ignore")
        target, arrays, keywords = make(np.random.default_rng(seed))
        extra = {}
        if isinstance(target, tuple):
            y, cache = target[0](*arrays, **keywords)
            kept = np.array(y, copy=True)
            backward = lambda dy: target[1](dy, cache)
        elif isinstance(target, type):
            ctx = Context()
            y = target.forward(ctx, *arrays, **keywords)
            kept = np.array(y, copy=True)
            backward = lambda dy: target.backward(ctx, dy)
        else:
            y = target.forward(*arrays, **keywords)
            kept = np.array(y[0] if isinstance(y, tuple) else y, copy=True)
            backward = target.backward
        dy = np.random.default_rng(seed + 1).normal(size=kept.shape) if kept.ndim else 0.7
        given = np.array(dy, copy=True)
        try:
            g = backward(dy)
        except TypeError:
            if kept.ndim:
                raise
            g = target[1](cache) if isinstance(target, tuple) else target.backward()
        g = [None if item is None else np.array(item, copy=True) for item in (g if isinstance(g, (tuple, list)) else (g,))]
        if not isinstance(target, (tuple, type)):
            extra = gradients_of(target)
        unchanged = np.asarray(dy) - given
        try:                # a second backward on the same cache: does the first one spoil it, in the same way?
            again = backward(2 * given if kept.ndim else 1.4)
            again = list(again) if isinstance(again, (tuple, list)) else [again]
        except Exception as e:
            again = [np.array([float(len(type(e).__name__))])]
    return [kept, *g, *(extra[k] for k in sorted(extra)), *arrays, unchanged, *again]


def same(a, b):
    if len(a) != len(b):
        return False
    for x, y in zip(a, b):
        if (x is None) != (y is None):
            return False
        if x is None:
            continue
        x, y = np.asarray(x), np.asarray(y)
        if x.shape != y.shape or x.dtype.kind != y.dtype.kind or not np.allclose(x, y, rtol=TOLERANCE, atol=TOLERANCE, equal_nan=True):
            return False
    return True


def trace_shapes(source, seed=0):
    """{first line of a function: {local name or self.name: {(shape, kind)}}} as a run of the source's make shows."""
    path = temporary_file(source)
    module = load_module(path)
    shapes = collections.defaultdict(lambda: collections.defaultdict(set))

    def note(frame):
        table = shapes[frame.f_code.co_firstlineno]
        for name, value in list(frame.f_locals.items()):
            record(table, name, value)
            if name == "self":
                for attr, inner in list(vars(value).items()) if hasattr(value, "__dict__") else ():
                    record(table, "self." + attr, inner)

    def record(table, name, value):
        if isinstance(value, np.ndarray):
            table[name].add((value.shape, value.dtype.kind))
        elif isinstance(value, (bool, int, float, np.generic)):
            table[name].add(((), np.asarray(value).dtype.kind))
        elif value is not None:
            table[name].add((None, "other"))

    def tracer(frame, event, arg):
        if frame.f_code.co_filename != path or frame.f_code.co_name.startswith("<"):
            return None
        if event in ("line", "return"):
            note(frame)
        return tracer

    old = sys.gettrace()
    sys.settrace(tracer)
    try:
        outcome(module.make, seed)
    finally:
        sys.settrace(old)
        sys.modules.pop(module.__name__, None)
    return {k: dict(v) for k, v in shapes.items()}


# ------------------------------------------------------------------ cases

def closure_source(path, make):
    """The part of a case module that one case needs, its case function renamed make; marks kept."""
    with open(path, encoding="utf-8") as f:
        source = f.read()
    return _closure(_parsed(path, source), make.__code__.co_firstlineno)


_trees = {}


def _parsed(path, source):
    if (path, source) not in _trees:
        _trees.clear()
        tree = parse_marked(source)
        definitions = collections.defaultdict(list)
        for stmt in tree.body:
            if isinstance(stmt, (ast.FunctionDef, ast.ClassDef)):
                definitions[stmt.name].append(stmt)
            elif isinstance(stmt, (ast.Import, ast.ImportFrom)):
                for a in stmt.names:
                    definitions[(a.asname or a.name).split(".")[0]].append(stmt)
            elif not is_docstring(stmt):
                for name in names_of(stmt, ast.Store) | {base_of(t) for t in getattr(stmt, "targets", [])}:
                    definitions[name].append(stmt)
        _trees[path, source] = tree, definitions
    return _trees[path, source]


def _closure(parsed, first_line):
    tree, definitions = parsed
    found = [s for s in tree.body if isinstance(s, ast.FunctionDef) and min([s.lineno] + [d.lineno for d in s.decorator_list]) <= first_line <= s.lineno]
    if len(found) != 1:
        raise LookupError(f"no case function at line {first_line}")
    wanted, queue = set(), [found[0]]
    while queue:
        stmt = queue.pop()
        if id(stmt) in wanted:
            continue
        wanted.add(id(stmt))
        probe = stmt
        if stmt is found[0]:
            probe = ast.Module(body=stmt.body, type_ignores=[])
        for name in names_of(probe):
            if name not in ("_", "CASES", "case"):
                queue += definitions.get(name, [])
    body = [copy.deepcopy(s) for s in tree.body if id(s) in wanted or isinstance(s, ast.ImportFrom) and s.module == "__future__"]
    for stmt in body:
        if isinstance(stmt, ast.FunctionDef) and stmt.lineno == found[0].lineno:
            stmt.name, stmt.decorator_list = "make", []
    return emit(ast.Module(body=body, type_ignores=[]))


@dataclass
class Variant:
    name: str
    kind: str
    source: str                 # without marks, as a checker sees it
    wrong_lines: set            # lines of source that came from lines marked wrong
    make: object = field(repr=False)
    wrong_groups: dict = field(default_factory=dict)    # {line of the case module: lines of source}
    path: str = ""              # the real file that make's functions live in, once make has been called


def make_of(source):
    """make(rng) of a source: writes it to a real file at the first call, so that inspect.getsource works."""
    module = None

    def make(rng):
        nonlocal module
        if module is None:
            module = load_module(temporary_file(source))
            make.path = module.__file__
        return module.make(rng)
    make.path = ""
    return make


def compose(source, kinds, rng):
    """The source rewritten in several ways, one after another; (kinds that changed something, source)."""
    done = []
    for kind in kinds:
        shapes = trace_shapes(strip_marks(source)[0]) if kind in ("loops", "einsum") and "def make" in source else None
        new = rewrite(source, kind, rng, shapes)
        if new is not None:
            source, done = new, done + [kind]
    return done, source


def draw_kinds(rng, singles=0.5):
    if rng.random() < singles:
        return [pick(rng, KINDS)]
    several = [k for k in KINDS if k != "reformatted"]
    chosen = [several[i] for i in rng.permutation(len(several))[:int(rng.integers(2, 5))]]
    return chosen + (["reformatted"] if rng.random() < 0.5 else [])


SEEDS = (0, 5)


def variants(function_source, rng, compositions=4):
    """Every kind once and some compositions of a module's source, as (kind, source). A source with a function
    make(rng) at module level is run, and variants that do not compute the same are dropped; without one nothing
    can be run: then loops and einsum, which need shapes, are left out and nothing is verified. Marks (`# wrong`)
    stay in the sources as trailing comments `# wrong@line`."""
    runs = bool(re.search(r"^def make\b", function_source, re.M))
    results = []
    reference = None
    if runs:
        plain = make_of(strip_marks(function_source)[0])
        reference = [outcome(plain, s) for s in SEEDS]
    plans = [[k] for k in KINDS] + [draw_kinds(rng, singles=0) for _ in range(compositions)]
    for plan in plans:
        if not runs:
            plan = [k for k in plan if k not in ("loops", "einsum")]
        done, new = compose(function_source, plan, rng)
        if not done or runs and failure(reference, make_of(strip_marks(new)[0])):
            continue
        results.append(("+".join(done), new))
    return results


def failure(reference, make):
    """Why a variant does not count, or an empty string."""
    for seed, expected in zip(SEEDS, reference):
        try:
            if not same(expected, outcome(make, seed)):
                return "different numbers"
        except Exception as e:
            return f"{type(e).__name__}: {e}"
    return ""


def generate(case_module_path, count, seed=0, stats=None, kinds=None, names=None, on_drop=None):
    """count verified variants of the module's cases. stats, a Counter, gets ("tried" | "unchanged" | "dropped" |
    "passed", kind); on_drop(name, kind, why, source) sees what was dropped; kinds and names restrict the draw."""
    path = os.path.abspath(case_module_path)
    rng = np.random.default_rng(seed)
    stats = collections.Counter() if stats is None else stats
    module = load_module(path, "layout_cases_" + re.sub(r"\W", "_", os.path.splitext(os.path.basename(path))[0]))
    cases = []
    for entry in module.CASES:
        if names is not None and entry[0] not in names:
            continue
        try:
            source = closure_source(path, entry[-1])
            plain = make_of(strip_marks(source)[0])
            reference = [outcome(entry[-1], s) for s in SEEDS]
            why = failure(reference, plain)
        except Exception as e:
            why = f"{type(e).__name__}: {e}"
        if why:
            stats["case left out", entry[0] + ": " + why] += 1
        else:
            cases.append((entry[0], source, reference))
    made, idle, seen = 0, 0, set()
    while made < count and cases and idle < 50 * len(cases):
        for index in rng.permutation(len(cases)):
            if made >= count:
                break
            name, source, reference = cases[int(index)]
            plan = draw_kinds(rng) if kinds is None else [pick(rng, kinds)]
            idle += 1
            label = plan[0] if len(plan) == 1 else "composed"
            stats["tried", label] += 1
            try:
                done, new = compose(source, plan, rng)
            except Exception as e:
                stats["dropped", label] += 1
                if on_drop:
                    on_drop(name, "+".join(plan), f"rewriting: {type(e).__name__}: {e}\n{traceback.format_exc()}", source)
                continue
            if not done:
                stats["unchanged", label] += 1
                continue
            if new in seen:
                stats["repeated", label] += 1
                continue
            text, groups = strip_marks(new)
            make = make_of(text)
            label = done[0] if len(done) == 1 else "composed"
            why = failure(reference, make)
            if why:
                stats["dropped", label] += 1
                if on_drop:
                    on_drop(name, "+".join(done), why, text)
                continue
            seen.add(new)
            stats["passed", label] += 1
            made, idle = made + 1, 0
            yield Variant(name, "+".join(done), text, set().union(*groups.values()), make, groups, make.path)


def main(argv):
    import argparse
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("count", type=int)
    parser.add_argument("modules", nargs="*")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--dump", help="write the variants into this folder")
    parser.add_argument("--drops", action="store_true", help="say why variants were dropped")
    args = parser.parse_args(argv)
    modules = args.modules or [os.path.join(os.path.dirname(os.path.abspath(__file__)), "right.py")]
    for m, path in enumerate(modules):
        stats, used, lost = collections.Counter(), collections.Counter(), []
        parts = collections.Counter()
        share = args.count // len(modules) + (m < args.count % len(modules))

        def on_drop(name, kind, why, source):
            if args.drops:
                print(f"dropped {name!r} {kind}: {why.splitlines()[0] if 'rewriting' not in why else why}")
            if args.dump:
                with open(os.path.join(args.dump, f"drop_{len(os.listdir(args.dump)):05d}.py"), "w") as f:
                    f.write(f"# {name} | {kind} | {why.splitlines()[0]}\n{source}")
        if args.dump:
            os.makedirs(args.dump, exist_ok=True)
        total = len(load_module(os.path.abspath(path), "count_cases").CASES)
        marked = len({l for l in marks_in(open(path, encoding="utf-8").read())})
        for v in generate(path, share, args.seed, stats, on_drop=on_drop):
            used[v.name] += 1
            parts.update(v.kind.split("+"))
            if marked and not v.wrong_lines:
                lost.append(v.name)
            if args.dump:
                with open(os.path.join(args.dump, f"{sum(used.values()):05d}.py"), "w") as f:
                    f.write(f"# {v.name} | {v.kind} | wrong lines (this one not counted) {sorted(v.wrong_lines)}\n{v.source}")
        print(f"{path}: seed {args.seed}, {sum(used.values())} variants of {len(used)} of {total} cases")
        print(f"{'kind':12} {'passed':>7} {'dropped':>8} {'nothing to do':>14} {'repeated':>9} {'in any, composed or not':>25}")
        for kind in [*KINDS, "composed"]:
            print(f"{kind:12} {stats['passed', kind]:7} {stats['dropped', kind]:8} {stats['unchanged', kind]:14} {stats['repeated', kind]:9} {parts[kind] if kind in KINDS else '':>25}")
        for (what, name), _ in stats.items():
            if what == "case left out":
                print("case left out:", name)
        if marked:
            print(f"{marked} lines marked wrong in the module; variants that know none of them: {len(lost)} {sorted(set(lost))}")


if __name__ == "__main__":
    main(sys.argv[1:])
