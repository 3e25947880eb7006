"""Places in a syntax tree, and changes of what stands there."""

import ast
from dataclasses import dataclass


@dataclass
class Edit:
    """One change: in `holder`, the field (at index, in a list) becomes `new`. While entered, the tree has it."""

    holder: ast.AST
    field: str
    index: int | None
    new: ast.AST
    mistake: str
    message: str
    statement: ast.AST

    def __enter__(self):
        self.old = self.swap(self.new)

    def __exit__(self, *problem):
        self.swap(self.old)

    def swap(self, node):
        if self.index is None:
            old = getattr(self.holder, self.field)
            setattr(self.holder, self.field, node)
        else:
            old = getattr(self.holder, self.field)[self.index]
            getattr(self.holder, self.field)[self.index] = node
        return old

    def described(self):
        """'line 4: before -> after' in the words of the source."""
        line, before = self.statement.lineno, ast.unparse(self.statement)
        with self:
            whole = self.new if self.old is self.statement else self.statement
            after = ast.unparse(ast.fix_missing_locations(whole))
        return f"line {line}", before.split("\n")[0], after.split("\n")[0]


@dataclass
class Site:
    """An expression or statement in its place."""

    node: ast.AST
    holder: ast.AST
    field: str
    index: int | None
    statement: ast.AST

    def edit(self, new, mistake, message):
        ast.copy_location(new, self.node)
        return Edit(self.holder, self.field, self.index, new, mistake, message, self.statement)


def sites(tree):
    """Every expression and statement under tree, in the order of the source."""
    stack = [(tree, None)]
    while stack:
        holder, statement = stack.pop()
        below = []
        for field, value in ast.iter_fields(holder):
            if isinstance(holder, ast.While) or (
                    field in ("decorator_list", "args") and isinstance(holder, (ast.FunctionDef, ast.Lambda))):
                continue
            for index, node in enumerate(value) if isinstance(value, list) else [(None, value)]:
                within = node if isinstance(node, ast.stmt) else statement
                if isinstance(node, (ast.expr, ast.stmt)):
                    yield Site(node, holder, field, index, within or holder)
                if isinstance(node, (ast.expr, ast.stmt, ast.keyword, ast.comprehension)):
                    below.append((node, within))
        stack.extend(reversed(below))


def within_index(site):
    return isinstance(site.holder, (ast.Slice, ast.Subscript))


def is_call(node, *names):
    if not isinstance(node, ast.Call):
        return False
    name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
    return name in names
