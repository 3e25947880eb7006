"""Homework out of solved source: functions found by their dotted names, and their bodies cut out.

>>> print(blanked("def double(x):\\n    '''2 x.'''\\n    return x + x  # so\\n", ["double"], "x.py"), end="")
def double(x):
    '''2 x.'''
    raise NotImplementedError("implement double")
"""

import ast
from collections.abc import Iterable, Iterator

from .naming import nearest


def blanked(text: str, names: Iterable[str], where: object) -> str:
    """The source with `raise NotImplementedError("implement NAME")` under the docstring of each of the names.

    Parameters
    ----------
    text : str
        Solved source.
    names : iterable of str
        Functions, or methods as 'Class.method'.
    where : object
        What messages call the source.

    Returns
    -------
    str
        The source without the bodies, and without the comments in them and behind them.

    Raises
    ------
    ValueError
        For a name that is no function there, or one without a docstring on lines of its own: what is to be written.
    """
    lines = text.splitlines(keepends=True)
    nodes = {name: find_function(text, name, where) for name in names}
    for name, node in sorted(nodes.items(), key=lambda pair: -pair[1].lineno):
        docstring = node.body[0]
        indent = lines[docstring.lineno - 1][: docstring.col_offset]
        lines[docstring.end_lineno : end_of(node, lines)] = [f'{indent}raise NotImplementedError("implement {name}")\n']
    return "".join(lines)


def end_of(node: ast.FunctionDef, lines: list[str]) -> int:
    """The number of a function's last line, comments included that stand behind it as far in as its body."""
    end = last = node.end_lineno or 0
    for number, line in enumerate(lines[end:], end + 1):
        inside = len(line) - len(line.lstrip()) >= node.body[0].col_offset
        if line.strip() and not (inside and line.lstrip().startswith("#")):
            break
        last = number if line.strip() else last
    return last


def find_function(text: str, name: str, where: object) -> ast.FunctionDef:
    """The function or method of that dotted name; ValueError where there is none with a docstring to go by."""
    known = functions_in(text)
    node = known.get(name)
    if [other for other, _ in named_functions(ast.parse(text).body, "")].count(name) > 1:
        raise ValueError(f"{where} defines {name} more than once: which of them is meant?")
    if node is None or not ast.get_docstring(node):
        raise ValueError(f"{where} has no function {name} with a docstring{'' if node else nearest(name, known)}")
    if node.body[0].lineno == node.lineno or node.body[0].end_lineno in {inner.lineno for inner in node.body[1:]}:
        raise ValueError(f"{where}: the docstring of {name} must stand on lines of its own, or its body would be left")
    return node


def functions_in(text: str) -> dict[str, ast.FunctionDef]:
    """The functions of a source by dotted name, methods as 'Class.method'.

    >>> list(functions_in("class A:\\n    def f(self): pass\\ndef g(): pass"))
    ['A.f', 'g']
    """
    return dict(named_functions(ast.parse(text).body, ""))


def named_functions(body: Iterable[ast.stmt], prefix: str) -> Iterator[tuple[str, ast.FunctionDef]]:
    """(dotted name, function) of each in a body, and in the classes there."""
    for node in body:
        if isinstance(node, ast.ClassDef):
            yield from named_functions(node.body, f"{prefix}{node.name}.")
        elif isinstance(node, ast.FunctionDef):
            yield prefix + node.name, node
