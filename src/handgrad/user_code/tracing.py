"""Somebody's functions made anew from their source, with a probe around every expression; nothing of theirs is changed.

The traced function shares globals and closure with the original. Each expression is a `Place`; a probe sees its value
each time it is computed (step 0, 1, ... in loops), may note it, and may put another in its place.
"""

import ast
import copy
import functools
import inspect
import operator
import os
import sys
import sysconfig
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from types import CellType, CodeType, FrameType, FunctionType, MethodType
from typing import Any, TypeAlias

import numpy as np

from ..arrays import Array

Definition: TypeAlias = ast.FunctionDef | ast.Lambda
# (step, value, the frame that computes it) -> the value to go on with
Change: TypeAlias = Callable[[int, Any, FrameType], Any]

# our names in the traced code, which are free variables of it
OURS = PROBE, CALL, WROTE, UPDATE = "__probe__", "__call__", "__wrote__", "__update__"
UPDATES: dict[str, Callable[[Any, Any], Any]] = {
    "Add": operator.iadd, "Sub": operator.isub, "Mult": operator.imul, "Div": operator.itruediv,
    "MatMult": operator.imatmul, "Pow": operator.ipow, "FloorDiv": operator.ifloordiv, "Mod": operator.imod,
    "BitOr": operator.ior, "BitAnd": operator.iand, "BitXor": operator.ixor,
    "LShift": operator.ilshift, "RShift": operator.irshift,
}  # fmt: skip
LEFT_ALONE = ("super", "locals", "globals", "vars", "dir", "eval", "exec")  # they look at the frame that calls them
OPERATIONS = (ast.BinOp, ast.UnaryOp, ast.Compare, ast.BoolOp, ast.IfExp, ast.Call)
MOST_STEPS = 40  # of one place that are noted: the first ones of a long loop
FUTURE = functools.reduce(lambda a, b: a | b, (0x20000, 0x40000, 0x80000, 0x100000, 0x200000, 0x400000, 0x1000000))

PACKAGE = os.path.dirname(os.path.dirname(os.path.abspath(__file__))) + os.sep
LIBRARIES = tuple(
    os.path.join(folder, "") for folder in {sysconfig.get_path("stdlib"), sysconfig.get_path("platstdlib")} if folder
)
# a module of ours has it whose functions only call the user's: entered to get there, never shown
PASSES_ON = "PASSES_ON"


@dataclass(frozen=True)
class Routine:
    """A function that is traced: its tree as it stands in the source, its file, and whether it is shown."""

    name: str
    file: str
    node: Definition
    shown: bool


@dataclass(frozen=True, eq=False)
class Place:
    """An expression in the source: `children` are the places of its operands, `statement` is what it stands in.

    kind: "value", "use" (a variable is read), "index" (within brackets) or "update" (a variable after +=).
    """

    index: int
    node: ast.expr
    statement: ast.AST
    routine: Routine
    kind: str
    children: tuple[int, ...] = ()

    @property
    def line(self) -> int:
        """Its line in the file."""
        return self.node.lineno

    @property
    def text(self) -> str:
        """The expression in the words of the source."""
        return ast.unparse(self.statement if self.kind == "update" else self.node)

    @property
    def name(self) -> str:
        """The variable that gets its value; '' where none does."""
        if isinstance(self.statement, (ast.Assign, ast.AugAssign, ast.AnnAssign)):
            targets = self.statement.targets if isinstance(self.statement, ast.Assign) else [self.statement.target]
            if self.node is self.statement.value or self.kind == "update":
                return ast.unparse(targets[0])
            value = self.statement.value
            if isinstance(value, ast.Tuple) and isinstance(targets[0], ast.Tuple) and self.node in value.elts:
                return ast.unparse(targets[0].elts[value.elts.index(self.node)])
        return ""


@dataclass(eq=False)
class Record:
    """A value that was computed at a place: a copy, and the indices of the records that it was computed from."""

    index: int
    place: Place | None  # None: an argument
    step: int
    value: Array
    operands: tuple[int, ...] = ()
    alias: bool = False  # the very object of its one operand
    gathered: bool = False  # what others wrote into an array, or an array from elsewhere: seen where it is read
    name: str = ""


@dataclass
class Recording:
    """What a run computed, in order."""

    records: list[Record] = field(default_factory=list)
    computed: dict[int, list[int]] = field(default_factory=dict)  # by place, since the place around it last was
    producers: dict[int, int] = field(default_factory=dict)  # by identity of the object
    writes: dict[int, list[int]] = field(default_factory=dict)  # into an array, since it was last read
    written: dict[int, Array] = field(default_factory=dict)  # these arrays
    alive: list[Any] = field(default_factory=list)  # the objects, so that no identity is used twice

    def argument(self, name: str, value: Any) -> None:
        """Note an array that the run starts from."""
        if is_numeric(value):
            self.producers[id(value)] = len(self.records)
            self.records.append(Record(len(self.records), None, 0, np.array(value), name=name))
            self.alive.append(value)

    def note(self, place: Place, step: int, value: Any) -> None:
        """Note what a place computed."""
        index, producer = len(self.records), self.producers.get(id(value))
        changed = place.kind != "value" and id(root(value)) in self.writes
        written = self.writes.pop(id(root(value))) if changed else []
        operands = [i for child in place.children for i in self.computed.pop(child, [])]
        if producer is not None and place.kind != "update":
            operands = [producer]
        elif not operands and id(root(value)) in self.producers:  # the rows that a loop takes of an array
            operands = [self.producers[id(root(value))]]
        alias = producer is not None and not changed and place.kind != "update"
        if not alias:
            self.producers[id(value)] = index
        gathered = place.kind == "use" and (changed or not operands)
        operands += written
        self.records.append(Record(index, place, step, np.array(value), tuple(operands), alias, gathered, place.name))
        self.computed.setdefault(place.index, []).append(index)
        self.alive.append(value)

    def gather(self, place: int, values: Iterable[Any]) -> None:
        """Note the arrays that a list or tuple holds: what is computed from it is computed from them."""
        self.computed[place] = [self.producers[id(value)] for value in values if id(value) in self.producers]

    def returned(self, value: Array) -> Record | None:
        """What a run returned last, found by its numbers: an array that others were written into, or a record."""
        for array in self.written.values():
            if id(array) in self.writes and np.array_equal(array.ravel(), value.ravel()):
                before = [self.producers[id(array)]] if id(array) in self.producers else []
                operands = *before, *self.writes[id(array)]
                self.records.append(Record(len(self.records), None, 0, np.array(array), operands, gathered=True))
                return self.records[-1]
        for record in reversed(self.records):
            if np.array_equal(record.value.ravel(), value.ravel()):
                return record
        return None

    def resolved(self, record: Record) -> Record:
        """The record that first had the value of this one."""
        while record.alias:
            record = self.records[record.operands[0]]
        return record

    def reached(self, start: Iterable[int], below: Callable[[Record], Iterable[int]] | None = None) -> set[int]:
        """These records and all that they are made of, or what of it `below` goes on to."""
        found: set[int] = set()
        todo = [*start]
        while todo:
            if (index := todo.pop()) not in found:
                found.add(index)
                todo += below(self.records[index]) if below else self.records[index].operands
        return found

    def wrote(self, place: int, *held: Any) -> None:
        """Note that the value at a place, which is no record if it is a whole number, was written into an array.

        held: what was written into, and the items of it that were.
        """
        array = next((root(value) for value in held if isinstance(value, np.ndarray)), None)
        if array is not None:
            self.written[id(array)] = array
            self.writes.setdefault(id(array), []).extend(self.computed.get(place, [])[-1:])


def is_numeric(value: Any) -> bool:
    """Whether a value is an array or a number of floats."""
    return (isinstance(value, (np.ndarray, np.floating)) and value.dtype.kind in "fc") or isinstance(value, float)


def root(value: Any) -> Any:
    """The array that owns the numbers that this one shows."""
    while isinstance(value, np.ndarray) and isinstance(value.base, np.ndarray):
        value = value.base
    return value


class Tracer:
    """Makes traced functions, and is what their probes report to.

    `changes` are by place what a run puts there; `recording` notes what it computes.
    """

    def __init__(self, at_home: bool | None = None) -> None:
        self.places: list[Place] = []
        self.codes: dict[CodeType, CodeType | None] = {}
        self.trees: dict[CodeType, Definition | None] = {}  # with all probes
        self.kept: set[int] | None = None  # the places that have probes; None: all
        self.most_steps: float = np.inf  # of one place: a changed loop may be endless
        self.most_numbers: float = np.inf  # in one value: it may double what it grows by
        self.followed: set[int] = set()  # calls of what is traced
        self.changes: dict[int, Change] = {}
        self.recording: Recording | None = None
        self.steps: Counter[int] = Counter()
        self.at_home = at_home  # whether our own code is what is traced; None: as what is entered first

    def start(self, changes: dict[int, Change] | None = None, recording: Recording | None = None) -> None:
        """Begin a run."""
        self.changes, self.recording, self.steps = changes or {}, recording, Counter()

    def at(self, places: Iterable[int]) -> "Tracer":
        """One with the same places, but probes at these alone: for runs that look at nothing else."""
        new = Tracer()
        new.places, new.trees, new.followed, new.at_home = self.places, self.trees, self.followed, self.at_home
        new.kept = {*places, *self.followed}
        return new

    # What the traced code calls ---------------------------------------------------------------------------------

    def probe(self, place: int, value: Any, depth: int = 1) -> Any:
        step = self.steps[place]
        self.steps[place] = step + 1
        if step >= self.most_steps:
            raise RecursionError("a change has made a loop endless")
        if isinstance(value, np.ndarray) and value.size > self.most_numbers:
            raise MemoryError("a change has made an array grow")
        if place in self.changes:
            value = self.changes[place](step, value, sys._getframe(depth))
        if self.recording is not None and step < MOST_STEPS:
            if is_numeric(value):
                self.recording.note(self.places[place], step, value)
            elif isinstance(value, (list, tuple)):
                self.recording.gather(place, value)
        return value

    def call(self, place: int, function: Any, /, *arguments: Any, **keywords: Any) -> Any:
        followed = self.follow(function)
        if followed is not function:
            self.followed.add(place)
        elif any(isinstance(a, FunctionType) for a in arguments):  # which NumPy or Python call: map, apply_along_axis
            self.followed.add(place)
            arguments = tuple(self.follow(a) if isinstance(a, FunctionType) else a for a in arguments)
        return self.probe(place, followed(*arguments, **keywords), 2)

    def wrote(self, place: int, *held: Any) -> None:
        if self.recording is not None:
            self.recording.wrote(place, *held)

    # From functions to traced functions -------------------------------------------------------------------------

    def follow(self, function: Any, entered: bool = False) -> Any:
        """The traced version of a function, method, class or callable object of the user's; else what was given.

        entered: also where it is a library's, as the target of a check may be.
        """
        if entered and self.at_home is None and isinstance(function, (FunctionType, MethodType)):
            self.at_home = module_of(function).startswith("handgrad.")
        if isinstance(function, FunctionType):
            ours = is_ours(function.__code__) and (self.at_home or passes_on(function))
            return self.traced(function) if entered or ours or is_users(function.__code__) else function
        if isinstance(function, MethodType):
            within = self.follow(function.__func__, entered)
            return function if within is function.__func__ else MethodType(within, function.__self__)
        if isinstance(function, functools.partial):
            return functools.partial(self.follow(function.func, entered), *function.args, **function.keywords)
        if isinstance(function, type):
            return self.follow_class(function)
        if isinstance(vars(type(function)).get("__call__"), FunctionType):
            return self.follow(MethodType(type(function).__call__, function), entered)
        return function

    def follow_class(self, cls: type) -> Any:
        start = vars(cls).get("__init__")
        plain = type(cls) is type and not any("__new__" in vars(base) for base in cls.__mro__[:-1])
        if not isinstance(start, FunctionType) or not plain:
            return cls
        traced = self.follow(start)

        def construct(*arguments: Any, **keywords: Any) -> Any:
            made: Any = object.__new__(cls)
            traced(made, *arguments, **keywords)
            return made

        return cls if traced is start else construct

    def traced(self, function: FunctionType) -> FunctionType:
        code = function.__code__
        if code not in self.codes:
            self.codes[code] = self.instrumented(function)
        new = self.codes[code]
        if new is None:
            return function
        cells = dict(zip(code.co_freevars, function.__closure__ or (), strict=True))
        cells |= zip(OURS, map(CellType, (self.probe, self.call, self.wrote, update)), strict=True)
        closure = tuple(cells[name] for name in new.co_freevars)
        traced = FunctionType(new, function.__globals__, function.__name__, function.__defaults__, closure)
        traced.__kwdefaults__ = function.__kwdefaults__
        return traced

    def instrumented(self, function: FunctionType) -> CodeType | None:
        """The code of a function with probes, or None where its source cannot be had."""
        code = function.__code__
        if code not in self.trees:
            node = definition_of(function)
            shown = not passes_on(function)
            routine = None if node is None else Routine(function.__name__, code.co_filename, node, shown)
            self.trees[code] = None if routine is None else Instrumenter(self.places, routine).instrumented()
        tree = self.trees[code]
        if tree is None:
            return None
        kept = tree if self.kept is None else Pruner(self.kept).visit(copy.deepcopy(tree))
        try:
            return compiled(kept, function, OURS)
        except (SyntaxError, ValueError, RecursionError):  # more than the compiler nests
            return None


def module_of(function: Any) -> str:
    """The module that a function, or the object of a method, is from."""
    return str(type(function.__self__).__module__ if inspect.ismethod(function) else function.__module__)


def is_ours(code: CodeType) -> bool:
    """Whether code is handgrad's."""
    return code.co_filename.startswith(PACKAGE)


def is_users(code: CodeType) -> bool:
    """Whether code is somebody's own, neither a library's nor ours."""
    parts = code.co_filename.split(os.sep)
    is_librarys = code.co_filename.startswith(LIBRARIES) or "site-packages" in parts or "dist-packages" in parts
    return not is_librarys and not is_ours(code)


def passes_on(function: FunctionType) -> bool:
    """Whether a function is ours, and only calls the user's."""
    return is_ours(function.__code__) and PASSES_ON in function.__globals__


# Source ---------------------------------------------------------------------------------------------------------


def definition_of(function: FunctionType) -> Definition | None:
    """The definition in the source that this function was compiled from, or None where that cannot be had.

    Several lambdas may stand in one line, and a file may have changed since it was loaded: what is taken compiles to
    this very code.
    """
    try:
        lines, _ = inspect.findsource(function.__code__)
        tree = parsed("".join(lines))
    except (OSError, TypeError, SyntaxError, ValueError, IndexError):
        return None
    for node in definitions(tree, function.__code__.co_firstlineno):
        if getattr(node, "name", "<lambda>") == function.__code__.co_name:
            code = compiled(node, function, imports=imports_of(tree))
            if code is not None and fingerprint(code) == fingerprint(function.__code__):
                return node
    return None


@functools.lru_cache(8)
def parsed(text: str) -> ast.Module:
    return ast.parse(text)


def definitions(tree: ast.Module, line: int) -> Iterator[Definition]:
    """The definitions that begin in a line: at their name, or at their first decorator."""
    for node in ast.walk(tree):
        if isinstance(node, (ast.FunctionDef, ast.Lambda)):
            starts = (node.lineno, *(d.lineno for d in getattr(node, "decorator_list", [])))
            if line in starts:
                yield node


def imports_of(tree: ast.Module) -> list[ast.stmt]:
    """The imports of a file, those it tries included."""
    scopes = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
    within = [[s, *getattr(s, "body", [])] for s in tree.body if not isinstance(s, scopes)]
    imports = [s for part in within for s in part if isinstance(s, (ast.Import, ast.ImportFrom))]
    return [s for s in imports if getattr(s, "module", None) != "__future__"]


def compiled(
    node: Definition, function: FunctionType, more: Sequence[str] = (), imports: Sequence[ast.stmt] = ()
) -> CodeType | None:
    """The code of a definition standing where the function does: undecorated, with its free names and more.

    imports: those of its file, since Python compiles np.tanh otherwise where it knows np as a module.
    """
    code, node = function.__code__, copy.copy(node)
    if isinstance(node, ast.FunctionDef):
        node.decorator_list = []
    holder: ast.stmt = ast.Expr(node) if isinstance(node, ast.Lambda) else node
    ast.copy_location(holder, node)
    owner = function.__qualname__.split(".")[-2:-1]
    if owner and owner[0].isidentifier():  # names such as self.__x mean something else in a class
        named = ast.parse(f"class {owner[0]}: pass").body[0]
        vars(named)["body"] = [holder]
        holder = named
    outer = ast.parse(f"def outer({', '.join((*code.co_freevars, *more))}): pass")
    own = [name for name in owner if name.isidentifier() and name not in code.co_freevars]
    known: list[ast.stmt] = [ast.Global(own)] if own else []  # a class that names itself means the module's
    vars(outer.body[0])["body"] = [*known, holder]
    outer.body[:0] = imports
    module = compile(ast.fix_missing_locations(outer), code.co_filename, "exec", code.co_flags & FUTURE, True)
    return next((c for c in codes_in(module) if c.co_name == code.co_name), None)


def codes_in(code: CodeType) -> Iterator[CodeType]:
    """A code object and all within it."""
    yield code
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from codes_in(constant)


def fingerprint(code: CodeType) -> tuple[Any, ...]:
    """What a code object does, wherever it stands."""
    constants = tuple(fingerprint(c) if isinstance(c, CodeType) else c for c in code.co_consts)
    return code.co_code, code.co_names, code.co_varnames, code.co_freevars, code.co_cellvars, constants


class Instrumenter(ast.NodeTransformer):
    """Puts a probe around each expression of a copy of a routine's tree, and adds the places to the list."""

    def __init__(self, places: list[Place], routine: Routine) -> None:
        self.places = places
        self.routine = routine
        self.copied: Definition = copy.deepcopy(routine.node)
        self.original: dict[ast.AST, Any] = dict(zip(ast.walk(self.copied), ast.walk(routine.node), strict=True))
        self.statement: ast.AST = routine.node
        self.operands: list[list[int]] = [[]]  # of each expression that is open

    def instrumented(self) -> Definition:
        visit: Any = self.visit_Lambda if isinstance(self.copied, ast.Lambda) else self.visit_FunctionDef
        visit(self.copied)
        return self.copied

    def visit(self, node: ast.AST) -> Any:
        before = self.statement
        if isinstance(node, ast.stmt):
            self.statement = self.original[node]
        try:
            return self.probed(node) if isinstance(node, ast.expr) and has_value(node) else super().visit(node)
        finally:
            self.statement = before

    def probed(self, node: Any, kind: str = "value") -> ast.expr:
        """The expression within a probe."""
        place, line = len(self.places), self.original[node]
        kind = "use" if kind == "value" and isinstance(node, (ast.Name, ast.Attribute, ast.Subscript)) else kind
        self.places.append(Place(place, line, self.statement, self.routine, kind))
        self.operands.append([])
        new = super().visit(node) if kind != "index" else node
        self.places[place] = Place(place, line, self.statement, self.routine, kind, tuple(self.operands.pop()))
        self.operands[-1].append(place)
        if isinstance(new, ast.Call) and isinstance(node, ast.Call):
            return ast.copy_location(called(CALL, place, new.func, *new.args, keywords=new.keywords), node)
        return ast.copy_location(called(PROBE, place, new), node)

    def visit_Call(self, node: ast.Call) -> ast.Call:
        if isinstance(node.func, ast.Attribute):
            node.func.value = self.visit(node.func.value)
        elif not isinstance(node.func, ast.Name):
            node.func = self.visit(node.func)
        node.args = [self.visit(argument) for argument in node.args]
        for keyword in node.keywords:
            keyword.value = self.visit(keyword.value)
        return node

    def visit_Subscript(self, node: ast.Subscript) -> ast.Subscript:
        if isinstance(node.ctx, ast.Load):
            node.value = self.visit(node.value)
        opened = len(self.operands[-1])
        node.slice = self.index(node.slice)
        del self.operands[-1][opened:]
        return node

    def index(self, node: Any) -> Any:
        """What stands in brackets: each bound of a slice and each index within a probe of its own."""
        if isinstance(node, (ast.Slice, ast.Tuple)):
            for name, value in ast.iter_fields(node):
                if isinstance(value, list):
                    setattr(node, name, [self.index(item) for item in value])
                elif isinstance(value, ast.expr):
                    setattr(node, name, self.index(value))
            return node
        return node if isinstance(node, (ast.Starred, ast.Lambda)) else self.probed(node, "index")

    def visit_Assign(self, node: ast.Assign) -> list[ast.stmt]:
        node.value = self.assigned(node.value)
        node.targets = [self.visit(target) for target in node.targets]
        pairs = [pair for target in node.targets for pair in assigned_pairs(target, node.value)]
        parts = [(target, value) for target, value in pairs if isinstance(target, ast.Subscript) and is_probe(value)]
        return [node, *(self.written(target, value) for target, value in parts)]

    def assigned(self, node: ast.expr) -> Any:
        """What is assigned; a number, too, has a place there."""
        number = isinstance(getattr(node, "operand", node), ast.Constant)
        return self.probed(node) if number else self.visit(node)

    def visit_AugAssign(self, node: ast.AugAssign) -> list[ast.stmt]:
        """x += e as x = update(x, e), each in a probe; of x[i] += e, e is."""
        if not isinstance(node.target, ast.Name):
            node.value = self.assigned(node.value)
            node.target = self.visit(node.target)
            return [node, self.written(node.target, node.value, within=True)] if is_probe(node.value) else [node]
        read = ast.copy_location(ast.Name(node.target.id, ast.Load()), node.target)
        self.original[read] = ast.copy_location(ast.Name(node.target.id, ast.Load()), node.target)
        opened = len(self.operands[-1])
        parts = ast.Constant(type(node.op).__name__), self.probed(read), self.assigned(node.value)
        children, place = tuple(self.operands[-1][opened:]), len(self.places)
        self.places.append(Place(place, self.original[read], self.statement, self.routine, "update", children))
        total = called(PROBE, place, ast.Call(ast.Name(UPDATE, ast.Load()), list(parts), []))
        return [ast.copy_location(ast.Assign([node.target], total), node)]

    def visit_Expr(self, node: ast.Expr) -> list[ast.stmt]:
        """np.add.at(x, i, e) writes e into x, and so do others."""
        call = node.value
        name = str(getattr(getattr(call, "func", None), "attr", ""))
        given = call.args if isinstance(call, ast.Call) else []
        target = given[0] if name in WRITERS and len(given) > WRITERS[name] else None
        node.value = self.visit(call)
        if target is None or not is_probe(value := vars(node.value)["args"][WRITERS[name]]):
            return [node]
        return [node, self.written(target, value)]

    def written(self, target: ast.AST, value: Any, within: bool = False) -> ast.stmt:
        """A statement that notes what a probed value was written into; within: into an item that may be an array."""
        item: ast.AST = self.original[target]
        chain = [item]
        while isinstance(item, ast.Subscript):
            item = item.value
            chain.insert(0, item)
        texts = [ast.unparse(n) for n in (chain if within else chain[:1]) if not any(map(is_call, ast.walk(n)))]
        held = [ast.copy_location(ast.parse(text, mode="eval").body, target) for text in texts]
        return ast.copy_location(ast.Expr(called(WROTE, vars(value.args[0])["value"], *held)), target)

    def visit_AnnAssign(self, node: ast.AnnAssign | ast.NamedExpr) -> ast.AST:
        """Its value alone: targets and annotations are no values."""
        node.value = self.visit(node.value) if node.value else None
        return node

    visit_NamedExpr = visit_AnnAssign

    def visit_FunctionDef(self, node: ast.FunctionDef | ast.match_case) -> ast.AST:
        node.body = [new for statement in node.body for new in listed(self.visit(statement))]
        return node

    def visit_Lambda(self, node: ast.Lambda) -> ast.Lambda:
        node.body = self.visit(node.body)
        return node

    def visit_match_case(self, node: ast.match_case) -> ast.AST:
        node.guard = self.visit(node.guard) if node.guard else None
        return self.visit_FunctionDef(node)

    def unchanged(self, node: ast.AST) -> ast.AST:
        return node

    visit_ClassDef = visit_AsyncFunctionDef = visit_JoinedStr = visit_Delete = visit_Assert = visit_Raise = unchanged


# what writes into its first argument, and the position of what it writes
WRITERS = {"at": 2, "put_along_axis": 2, "put": 2, "copyto": 1, "fill_diagonal": 1}


class Pruner(ast.NodeTransformer):
    """Takes probes out of a routine's tree again, but for some places."""

    def __init__(self, kept: set[int]) -> None:
        self.kept = kept

    def visit_Call(self, node: ast.Call) -> ast.AST:
        self.generic_visit(node)
        name = getattr(node.func, "id", "")
        if name not in (PROBE, CALL, WROTE) or vars(node.args[0])["value"] in self.kept:
            return node
        if name == PROBE:
            return node.args[1]
        bare = ast.Constant(None) if name == WROTE else ast.Call(node.args[1], node.args[2:], node.keywords)
        return ast.copy_location(bare, node)


def has_value(node: ast.expr) -> bool:
    """Whether an expression gets a probe: what is read or computed, but for calls that look at their frame."""
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in LEFT_ALONE:
        return False
    if isinstance(node, ast.UnaryOp) and isinstance(node.operand, ast.Constant):
        return False
    read = isinstance(node, (ast.Name, ast.Attribute, ast.Subscript)) and isinstance(node.ctx, ast.Load)
    return read or isinstance(node, OPERATIONS)


def update(kind: str, value: Any, by: Any) -> Any:
    """What an augmented assignment makes of a value, in place where it can be."""
    return UPDATES[kind](value, by)


def called(name: str, place: int, *arguments: ast.expr, keywords: Sequence[ast.keyword] = ()) -> ast.Call:
    return ast.Call(ast.Name(name, ast.Load()), [ast.Constant(place), *arguments], list(keywords))


def is_probe(node: ast.AST) -> bool:
    return isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in (PROBE, CALL)


def is_call(node: ast.AST) -> bool:
    return isinstance(node, ast.Call)


def assigned_pairs(target: ast.expr, value: ast.expr) -> list[tuple[ast.expr, ast.expr]]:
    """What is assigned to what: a, b = x, y are two."""
    several = isinstance(target, ast.Tuple) and isinstance(value, ast.Tuple) and len(target.elts) == len(value.elts)
    return list(zip(vars(target)["elts"], vars(value)["elts"], strict=True)) if several else [(target, value)]


def listed(node: Any) -> list[Any]:
    return node if isinstance(node, list) else [node]
