"""What differs between students: drawn from id and a secret, so that it can be drawn again and not guessed."""

import hmac
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from ..arrays import Generator
from .bugs import subjects
from .specification import Assignment, Place, Task, Variant, constants_in, with_bug


def variant_of(assignment: Assignment, student: str, secret: bytes) -> Assignment:
    """The assignment as one student has it: its tasks are those to write, `contents` solves them.

    Parameters
    ----------
    assignment : Assignment
        As `read_assignment` returns it.
    student : str
        The id.
    secret : bytes
        What nobody but the teacher knows.

    Returns
    -------
    Assignment
        The same for the same student and secret; of its own variant the constants are left, each with its one value.
    """
    variant = assignment.variant
    drawn = [generator(secret, student, purpose) for purpose in ("blank", "shapes", "constants", "bugs")]
    tasks = blank_tasks(assignment.tasks, variant.blank, drawn[0])
    if variant.shapes:
        tasks = with_sizes(tasks, drawn[1])
    constants = {name: values[drawn[2].integers(len(values))] for name, values in variant.constants.items()}
    contents, shown = dict(assignment.contents), {*assignment.given, *assignment.public_tests}
    for name in [name for name in contents if name not in shown and constants]:
        contents[name] = with_constants(contents[name], constants)
    singles = {name: [value] for name, value in constants.items()}
    plain = replace(assignment, tasks=tasks, contents=contents, variant=Variant(constants=singles))
    for subject, points in variant.find_the_bug.items():
        plain = with_drawn_bug(plain, subject, points, drawn[3])
    return plain


def generator(secret: bytes, student: str, purpose: str) -> Generator:
    """Random numbers of a student for a purpose: who knows the id, and not the secret, knows nothing of them."""
    digest = hmac.digest(secret, f"{purpose}\0{student}".encode(), "sha256")
    return np.random.default_rng(int.from_bytes(digest, "big"))


def blank_tasks(tasks: tuple[Task, ...], count: int | None, rng: Generator) -> tuple[Task, ...]:
    """So many of the tasks, in their order."""
    chosen = set(rng.permutation(len(tasks))[:count].tolist())
    return tuple(task for number, task in enumerate(tasks) if number in chosen)


def with_sizes(tasks: tuple[Task, ...], rng: Generator) -> tuple[Task, ...]:
    """The tasks with other sizes of arrays: equal ones stay equal, larger ones larger, and 1 stays 1."""
    shapes = [shape for task in tasks if isinstance(task.inputs, dict) for shape in task.inputs.values()]
    sizes = sorted({size for shape in shapes if isinstance(shape, list) for size in shape} - {1})
    drawn = [1]
    for gap in np.diff([1, *sizes]):
        drawn.append(drawn[-1] + max(1, int(gap + rng.integers(-1, 3))))
    new = dict(zip([1, *sizes], drawn, strict=True))
    return tuple(task.model_copy(update={"inputs": resized(task.inputs, new)}) for task in tasks)


def resized(inputs: Any, new: Mapping[int, int]) -> Any:
    """Inputs whose shapes have the new sizes."""
    if not isinstance(inputs, dict):
        return inputs
    return {name: [new[size] for size in it] if isinstance(it, list) else it for name, it in inputs.items()}


def with_constants(content: bytes, constants: Mapping[str, Any]) -> bytes:
    """The source with other values of what it assigns at its top level."""
    nodes = constants_in(content.decode())
    starts = np.cumsum([0, *map(len, content.splitlines(keepends=True))]).tolist()
    for constant, node in sorted(nodes.items(), key=lambda pair: (-pair[1].lineno, -pair[1].col_offset)):
        if constant in constants:
            start = starts[node.lineno - 1] + node.col_offset  # counted in bytes
            end = starts[(node.end_lineno or 0) - 1] + (node.end_col_offset or 0)
            content = content[:start] + repr(constants[constant]).encode() + content[end:]
    return content


def with_drawn_bug(assignment: Assignment, subject: str, points: float, rng: Generator) -> Assignment:
    """The assignment with one more file, in which a line is wrong."""
    mistakes, stem = subjects()[subject], f"find_the_bug_{subject.replace(' ', '_').replace('-', '_')}"
    mistake, limit = mistakes[int(rng.integers(len(mistakes)))], assignment.tasks[0].time_limit
    said: dict[str, Any] = dict(name=f"find the bug: {subject}", points=points, hints="none", time_limit=limit)
    task, files, wrong = with_bug(Task(function=subject, file=f"{stem}.py", inputs={}, mistake=mistake.name, **said))
    tasks = (*assignment.tasks, task.model_copy(update={"reference": Place(task.file, task.function)}))
    contents, all_wrong = {**assignment.contents, **files}, {**assignment.wrong, task.file: wrong}
    return replace(assignment, files=(*assignment.files, task.file), tasks=tasks, contents=contents, wrong=all_wrong)
