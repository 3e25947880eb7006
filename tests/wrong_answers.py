"""Wrong answers to the exercises, made from the right ones by one change each: does any verdict mislead?

python tests/wrong_answers.py [COUNT]: tries so many (200 unless told), and lists what passes, and each line said to be
right that does not make the answer right.
"""

import ast
import copy
import random
import sys

from handgrad.assignment import read_assignment
from handgrad.assignment.grading import grade_task, make_answers_to, program
from handgrad.assignment.submissions import Submission

SWAPS = {ast.Add: ast.Sub, ast.Sub: ast.Add, ast.Mult: ast.Div, ast.Div: ast.Mult, ast.Gt: ast.Lt, ast.GtE: ast.LtE}


def changed(node):
    """Yield what a beginner might write in the place of an expression."""
    if isinstance(node, ast.BinOp):
        if type(node.op) in SWAPS:
            yield ast.BinOp(node.left, SWAPS[type(node.op)](), node.right)
        if isinstance(node.op, (ast.Mult, ast.Add, ast.Sub, ast.Div)):
            yield node.left
        if isinstance(node.op, (ast.Mult, ast.Add)):
            yield node.right
        if isinstance(node.op, ast.MatMult):
            yield ast.BinOp(node.right, node.op, node.left)
    elif isinstance(node, ast.Attribute) and node.attr == "T":
        yield node.value
    elif (
        isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in ("sum", "mean", "max")
    ):
        yield node.func.value
        other = ast.Attribute(node.func.value, {"sum": "mean", "mean": "sum", "max": "min"}[node.func.attr], ast.Load())
        yield ast.Call(other, node.args, node.keywords)
        for keyword in node.keywords:
            others = [it for it in node.keywords if it is not keyword]
            yield ast.Call(node.func, node.args, others)
    elif isinstance(node, ast.Constant) and isinstance(node.value, (int, float)) and not isinstance(node.value, bool):
        yield ast.Constant(node.value + 1)
    elif isinstance(node, ast.Compare) and type(node.ops[0]) in SWAPS:
        yield ast.Compare(node.left, [SWAPS[type(node.ops[0])]()], node.comparators)
    elif isinstance(node, ast.Tuple) and isinstance(node.ctx, ast.Load) and len(node.elts) > 1:
        yield ast.Tuple([node.elts[1], node.elts[0], *node.elts[2:]], ast.Load())
    elif isinstance(node, ast.Name) and node.id in ("dy", "dloss") and isinstance(node.ctx, ast.Load):
        yield ast.Constant(1.0)
    elif isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
        yield node.operand


def wrong_versions(source, function):
    """Yield (the source with one expression of a function changed, what was changed)."""
    tree = ast.parse(source)
    body = next(node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef) and node.name == function)
    places = [node for statement in body.body[1:] for node in ast.walk(statement) if isinstance(node, ast.expr)]
    for number, place in enumerate(places):
        for choice, _ in enumerate(changed(place)):
            other = copy.deepcopy(tree)
            same = next(n for n in ast.walk(other) if isinstance(n, ast.FunctionDef) and n.name == function)
            target = [n for s in same.body[1:] for n in ast.walk(s) if isinstance(n, ast.expr)][number]
            new = list(changed(target))[choice]
            for parent in ast.walk(other):
                for field, value in ast.iter_fields(parent):
                    if value is target:
                        setattr(parent, field, new)
                    elif isinstance(value, list) and any(it is target for it in value):
                        value[:] = [new if it is target else it for it in value]
            what = f"{ast.unparse(place)} -> {ast.unparse(new)}"
            yield ast.unparse(ast.fix_missing_locations(other)), what


def mended(text, mistakes):
    """The text with the lines that verdicts say are right, where they say any."""
    lines, fixes = text.splitlines(), [it for it in mistakes if it["fix"] and it["line"]]
    for it in fixes:
        old = lines[it["line"] - 1]
        lines[it["line"] - 1] = old[: len(old) - len(old.lstrip())] + it["fix"]
    return "\n".join(lines) + "\n" if fixes else None


def main(count):
    assignment, rng = read_assignment("backpropagation"), random.Random(0)
    cases = []
    for task in assignment.tasks:
        if task.inputs != {}:
            versions = list(wrong_versions(assignment.contents[task.file].decode(), task.function))
            cases += [(task, *version) for version in rng.sample(versions, min(len(versions), 12))]
    rng.shuffle(cases)
    answers, passed, misled, named, fixes = {}, [], [], 0, 0
    with program() as library:
        for task, text, what in cases[:count]:
            if task.name not in answers:
                answers[task.name] = make_answers_to(assignment, task, 0, library)

            def grade(text, task=task):
                hinted = task.model_copy(update={"hints": "fix"})
                handed_in = Submission("x", {task.file: text.encode()}, [])
                return grade_task(assignment, hinted, answers[task.name], handed_in, library)

            graded = grade(text)
            if graded.score == task.points:
                passed.append(f"{task.name}: {what}")
                continue
            named += any("→" in line and "unexplained" not in line for line in graded.told)
            right = mended(text, graded.mistakes)
            if right is not None:
                fixes += 1
                if grade(right).score < task.points:
                    misled.append(f"{task.name}: {what}\n    " + "\n    ".join(graded.told))
    tried = len(cases[:count])
    print(f"{tried} wrong answers: {len(passed)} pass, {named} named, {fixes} with a line that is right")
    print(f"{len(misled)} of these lines do not mend:", *misled, "", "passed:", *passed, sep="\n")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 200)
