"""What a teacher writes down of an assignment, SPEC.toml: its files, its tasks, and what differs between students."""

import ast
import math
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path, PurePosixPath
from typing import Annotated, Any, ClassVar, Literal, NamedTuple, TypeAlias

import numpy as np
from pydantic import AfterValidator, BeforeValidator, ConfigDict, Field, StringConstraints

from ..arrays import Generator
from ..blanks import find_function, functions_in
from ..courses import COURSES
from ..courses.copies import course_files
from ..experiments.configuration import Count, Section, check_table, read_table
from ..naming import look_up, nearest
from ..user_files import load
from ..user_files.checks import partner
from ..user_files.serving import at, line_of, quoted
from .bugs import bug_of, subjects

# those that come along, by name
EXAMPLES = {path.parent.name: path for path in sorted(Path(__file__).parent.glob("examples/*/SPEC.toml"))}
MOST_NUMBERS = 10**6  # of an array that a task is checked with: it is called a hundred times
Arguments: TypeAlias = dict[str, Any]  # of a function by name: arrays, and numbers as they are


class Place(NamedTuple):
    """A function in one of an assignment's files, written 'solution.py:relu_backward'."""

    file: str
    function: str

    def __str__(self) -> str:
        return f"{self.file}:{self.function}"


# The keys: what SPEC.toml may say, with types and defaults ------------------------------------------------------------


def place(value: object) -> Place:
    """'file.py:function' taken apart."""
    if isinstance(value, Place):
        return value
    file, colon, function = value.rpartition(":") if isinstance(value, str) else ("", "", "")
    if not (file and colon and function):
        raise ValueError("expected a function in a file, such as 'solution.py:relu_backward'")
    return Place(file, function)


def checked_inputs(value: object) -> dict[str, Any] | Place:
    """{name: shape or number}, or the place of a function that draws the arguments."""
    if not isinstance(value, dict):
        return place(value)
    for name, shape in value.items():
        sizes = shape if isinstance(shape, list) else [1]
        if not all(type(size) is int and size > 0 for size in sizes) or not isinstance(shape, (list, int, float)):
            raise ValueError(f"{name} must be the shape of an array, such as [5, 7], or a number, got {shape!r}")
        if math.prod(sizes) > MOST_NUMBERS:
            raise ValueError(f"{name} would have {math.prod(sizes):,} numbers: give it at most {MOST_NUMBERS:,}")
    return value


def on_a_line(value: str) -> str:
    """A text that is shown in lines and tables."""
    if not value.isprintable():
        raise ValueError("expected text on one line, without control characters")
    return value


Function = Annotated[Place, BeforeValidator(place)]
Positive = Annotated[float, Field(gt=0, le=1e9)]
Line = Annotated[str, StringConstraints(max_length=300, strip_whitespace=True), AfterValidator(on_a_line)]
Text = Annotated[Line, Field(min_length=1)]
Hints: TypeAlias = Literal["none", "where", "what", "fix"]


class Keys(Section):
    """A table of SPEC.toml, which nobody changes."""

    model_config: ClassVar[ConfigDict] = ConfigDict(frozen=True)


class Task(Keys):
    """One function to write, and how it is checked.

    Attributes
    ----------
    function : str
        A function, or a method as 'Class.method'. Its body is blank where it is handed out.
    file : str
        The one of the assignment's files that it stands in. It may be left out where there is one file.
    name : str
        What it is called on pages; the function's own name unless given.
    points : float
        What it is worth.
    partial : bool
        Whether each array that is right has its share of the points, or only all of them together earn any.
    inputs : dict of str to list of int or number, or Place
        Arguments by name. A list is the shape of an array of standard normal numbers; a number is itself. Or a
        function in a file that is not handed out, which is called with a generator and returns the arguments.
    forward : str
        Of a backward: the forward that it belongs to, in the same file. Found by its name unless given.
    gradients : list of str
        Of a backward: the inputs that it answers for, in its order; all arrays unless given.
    call : Place, optional
        A function in a file that is not handed out, for what is called in a way of its own. It gets the module of
        `file`, the inputs by name, and for a backward dy: it returns the value where that is None, else the gradients
        of `gradients`, in order or by name. It runs in the submission's process, so that it must hold no answers.
    reference : Place
        Where the right code stands; the function itself, as `file` has it solved, unless given.
    hints : {"none", "where", "what", "fix"}
        How much feedback tells; the assignment's unless given.
    time_limit : float
        Seconds that it may take; the assignment's unless given.
    most_lines : int, optional
        How many lines of Python a call may run, loops counted as often as they go round: for what is to be fast.
    mistake : str
        Of the table of mistakes, "linear.dbias_averaged": the file is then made of it, wrong in one line, to be mended.
    clues : list of str
        For `handgrad learn`: what helps somebody who is stuck, a little at first and then more.
    said : dict of str to str
        Of a question, a function without inputs: wrong answers as Python writes them, and what to say to each.
    """

    function: Text
    file: str = ""
    name: Line = ""
    points: Positive = 1
    partial: bool = True
    inputs: Annotated[Any, BeforeValidator(checked_inputs)]
    forward: str = ""
    gradients: list[str] = []
    call: Function | None = None
    reference: Function | None = None
    hints: Hints | None = None
    time_limit: Positive | None = None
    most_lines: Count | None = None
    mistake: str = ""
    clues: list[Text] = []
    said: dict[str, Text] = {}

    @property
    def is_backward(self) -> bool:
        """Whether gradients are what it computes."""
        return bool(self.forward)


class Variant(Keys):
    """What is drawn for each student, by id and a secret.

    Attributes
    ----------
    blank : int, optional
        How many of the tasks are to be written; the others are handed out solved, and count nothing.
    shapes : bool
        Whether sizes of the inputs differ.
    constants : dict of str to list
        Names that the files assign at their top level, with the values to draw from.
    find_the_bug : dict of str to float
        Subjects of the table of mistakes, such as "layer norm", and points: for each a file comes along whose code is
        wrong in one line, to be found and mended.
    """

    blank: Count | None = None
    shapes: bool = False
    constants: dict[str, Annotated[list[Any], Field(min_length=1)]] = {}
    find_the_bug: dict[str, Positive] = {}


class Specification(Keys):
    """The keys of SPEC.toml; `read_assignment` checks them against the files, and fills in what is left out.

    `course` names one of handgrad's courses, from whose solved copy files are taken that are not beside SPEC.toml.
    The name of a folder among `given` and `public_tests` stands for all files in it, but for those to hand in.
    """

    title: Text
    course: str | None = None
    files: Annotated[list[str], Field(min_length=1)]
    given: list[str] = []
    public_tests: list[str] = []
    hints: Hints = "where"
    time_limit: Positive = 20
    memory_limit: Positive = 1024
    tasks: Annotated[list[Task], Field(min_length=1)]
    variant: Variant = Variant()


# Read and checked -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Assignment:
    """An assignment as it is handed out and graded: SPEC.toml checked against its files, or one student's variant.

    Attributes
    ----------
    path : Path
        SPEC.toml.
    title : str
        What it is called.
    files : tuple of str
        The files to hand in, solved in `contents`.
    given, public_tests : tuple of str
        The files handed out as they are.
    memory_limit : float
        Megabytes that a task may take.
    tasks : tuple of Task
        What counts, every field filled in.
    variant : Variant
        What is drawn for each student.
    contents : dict of str to bytes
        What every file holds, by its path with '/'; those that are not handed out too.
    wrong : dict of str to bytes
        What is handed out of the files in which a bug is to be found.
    """

    path: Path
    title: str
    files: tuple[str, ...]
    given: tuple[str, ...]
    public_tests: tuple[str, ...]
    memory_limit: float
    tasks: tuple[Task, ...]
    variant: Variant
    contents: Mapping[str, bytes]
    wrong: Mapping[str, bytes] = field(default_factory=dict)

    @property
    def max_score(self) -> float:
        """The points of all tasks."""
        return sum(task.points for task in self.tasks)

    def arguments(self, task: Task, rng: Generator) -> Arguments:
        """Arguments to check a task with, drawn anew. Runs the teacher's own code where `inputs` names a function."""
        if isinstance(task.inputs, Place):
            return self.drawn(task.inputs, rng)
        return {name: rng.normal(size=it) if isinstance(it, list) else it for name, it in task.inputs.items()}

    def drawn(self, place: Place, rng: Generator) -> Arguments:
        """What a teacher's function returns for a generator, once that is arguments by name."""
        file = self.path.parent / place.file
        try:
            drawn = getattr(load(file, self.contents[place.file]), place.function)(rng)
        except Exception as problem:
            where = at(line_of(problem, str(file)))
            raise ValueError(f"{self.path}: {place} raised {quoted(problem)}{where}") from None
        if isinstance(drawn, dict) and all(isinstance(it, (np.ndarray, int, float)) for it in drawn.values()):
            return drawn
        raise ValueError(f"{self.path}: {place} must return a dict of arrays and numbers, by name")


def read_assignment(source: str | Path) -> Assignment:
    """The assignment that a SPEC.toml describes, or one of those that come along by its name.

    Parameters
    ----------
    source : str or path
        SPEC.toml, or the name of an example such as "layer-norm".

    Returns
    -------
    Assignment

    Raises
    ------
    ValueError
        In one line: for an unknown key, a wrong value, a file that is missing, a function that is none, a file with
        solutions that would be handed out.
    """
    is_file = str(source).endswith(".toml")
    if (Path(source) / "SPEC.toml").is_file():
        raise ValueError(f"{source} is a folder: name {Path(source) / 'SPEC.toml'} in it")
    path = Path(source) if is_file else look_up("assignment or .toml file", source, EXAMPLES)
    table = read_table(path)
    try:
        said = check_table(Specification, table, path)
    except ValueError as problem:
        raise ValueError(re.sub(r"\btasks\.(\d+)", partial(task_in, table), str(problem))) from None
    try:
        return assembled(said, path)
    except ValueError as problem:
        raise ValueError(f"{path}: {problem}") from None


def task_in(table: Mapping[str, Any], found: re.Match[str]) -> str:
    """'tasks.0' as people count, with the function that it says."""
    number = int(found[1])
    task = table["tasks"][number]
    function = task.get("function") if isinstance(task, dict) else None
    return f"task {number + 1}{f' ({function})' if isinstance(function, str) and function.isprintable() else ''}"


def assembled(said: Specification, path: Path) -> Assignment:
    """The keys with the files that they name; ValueError where the two do not go together."""
    bugs = [with_bug(task) for task in said.tasks if task.mistake]
    said = said.model_copy(update={"tasks": [*({t.file: t for t, _, _ in bugs}.get(t.file, t) for t in said.tasks)]})
    made = {name: content for _, right, _ in bugs for name, content in right.items()}
    contents = {**files_of_course(said.course), **files_beside(said, path.parent), **made}
    given, public = (tuple(named(names, said.files, contents)) for names in (said.given, said.public_tests))
    tasks = tuple(filled(said, number, contents) for number in range(len(said.tasks)))
    check_once("the file", [*said.files, *given, *public])
    if path.name in (*said.files, *given, *public):
        raise ValueError(f"{path.name} itself would be handed out: take it out of the files that are given")
    check_once("the task", [task.name for task in tasks])
    places, own = named_places(said), {(task.file, task.function) for task in tasks}
    for place in places:
        if place.file in (*given, *public) or (place.file in said.files and place not in own):
            raise ValueError(f"{place} would be handed out: put it in a file that is neither in files nor given")
    wanted = {*said.files, *given, *public, *(place.file for place in places)}
    contents = {name: content for name, content in contents.items() if name in wanted}
    check_variant(said.variant, tasks, [contents[file].decode() for file in said.files])
    wrong = {task.file: text for task, _, text in bugs}
    made_of = tasks, said.variant, contents, wrong
    return Assignment(path, said.title, tuple(said.files), given, public, said.memory_limit, *made_of)


def with_bug(task: Task) -> tuple[Task, dict[str, bytes], bytes]:
    """(the task of mending a mistake; its file right, and one that draws inputs; the file wrong)."""
    bug, private = bug_of(task.mistake), f"{task.file.removesuffix('.py')}_inputs.py"
    said = dict(function=bug.backward, inputs=Place(private, "draw"), forward=bug.forward, gradients=bug.gradients)
    files = {task.file: bug.right.encode(), private: bug.draw.encode()}
    return task.model_copy(update={**said, "partial": False}), files, bug.wrong.encode()


def files_of_course(course: str | None) -> dict[str, bytes]:
    """The solved copy of a course's package, whose files SPEC.toml then names."""
    if course is None:
        return {}
    look_up("course", course, COURSES)
    return {name.as_posix(): content for name, content in course_files(course, self_contained=True).items()}


def files_beside(said: Specification, folder: Path) -> dict[str, bytes]:
    """{name: content} of the files beside SPEC.toml that it names, in folders too."""
    contents = {}
    for name in (*said.files, *said.given, *said.public_tests, *(place.file for place in named_places(said))):
        if PurePosixPath(name).is_absolute() or {"..", "."} & {*name.split("/")} or "\\" in name:
            raise ValueError(f"{name!r} must be the name of a file beside it, with / between folders")
        inside = sorted((folder / name).rglob("*"))
        for file in filter(Path.is_file, [folder / name, *inside]):
            if "__pycache__" not in file.parts:
                contents[file.relative_to(folder).as_posix()] = file.read_bytes()
    return contents


def named(names: Iterable[str], files: Iterable[str], contents: Mapping[str, bytes]) -> Iterator[str]:
    """The files that are meant: each itself, or in the folder of that name all but those to hand in."""
    for name in names:
        inside = {file for file in contents if file.startswith(f"{name}/")}
        if not (found := [file for file in contents if file == name or file in inside.difference(files)]):
            raise ValueError(f"there is no file {name} beside it{nearest(name, contents)}")
        yield from found


def filled(said: Specification, number: int, contents: Mapping[str, bytes]) -> Task:
    """A task with every field that was left out, once all that it names is there."""
    task = said.tasks[number]
    where = f"task {number + 1} ({task.function})"
    if not task.file and len(said.files) > 1:
        raise ValueError(f"{where}: say which file it stands in: {', '.join(said.files)}")
    file = task.file or said.files[0]
    if file not in said.files:
        raise ValueError(f"{where}.file: {file} is none of the files to hand in ({', '.join(said.files)})")
    find_function(text_of(file, contents), task.function, f"{where}: {file}")
    known = functions_in(text_of(file, contents))
    forward = task.forward or forward_of(task.function, known)
    for place in (*places_of(task), *([Place(file, forward)] if forward else [])):
        there = functions_in(text_of(place.file, contents))
        check_known(f"{where}: {place.file} has no function", place.function, there)
    if isinstance(task.inputs, dict):
        check_inputs(where, task, known[forward or task.function])
    names = {"file": file, "name": task.name or task.function, "forward": forward}
    gradients, reference = task.gradients or arrays_of(task.inputs), task.reference or Place(file, task.function)
    usual = {"hints": task.hints or said.hints, "time_limit": task.time_limit or said.time_limit}
    return task.model_copy(update={**names, "gradients": gradients, "reference": reference, **usual})


def text_of(name: str, contents: Mapping[str, bytes]) -> str:
    """The source that a file holds, which is Python."""
    check_known("there is no file", name, contents)
    try:
        text = contents[name].decode("utf-8")
        ast.parse(text)
    except (SyntaxError, ValueError) as problem:
        raise ValueError(f"{name} is no Python in UTF-8: {problem}") from None
    return text


def named_places(said: Specification) -> list[Place]:
    """The functions that its tasks name in files which are not handed out."""
    return [place for task in said.tasks for place in places_of(task)]


def places_of(task: Task) -> list[Place]:
    """The functions that it names in files which are not handed out."""
    return [place for place in (task.inputs, task.call, task.reference) if isinstance(place, Place)]


def forward_of(function: str, known: Mapping[str, Any]) -> str:
    """The forward whose backward or derivative a function is by its name, or ''."""
    owner, dot, name = function.rpartition(".")
    beside = {other.removeprefix(owner + dot): True for other in known if other.rpartition(".")[0] == owner}
    return next((owner + dot + other for other in beside if partner(other, beside) == name), "")


def arrays_of(inputs: object) -> list[str]:
    """The names of inputs that are arrays, where SPEC.toml says so itself."""
    return [name for name, it in inputs.items() if isinstance(it, list)] if isinstance(inputs, dict) else []


# Refused --------------------------------------------------------------------------------------------------------------


def check_known(what: str, name: str, known: Iterable[str]) -> None:
    """Refuse a name that is not there, with the one that is meant."""
    if name not in known:
        raise ValueError(f"{what} {name}{nearest(name, known)}")


def check_inputs(where: str, task: Task, function: ast.FunctionDef) -> None:
    """Refuse inputs that a function does not take by these names, and gradients of what is no input."""
    known = [it.arg for it in (*function.args.posonlyargs, *function.args.args, *function.args.kwonlyargs)]
    for name in task.inputs if task.call is None and not function.args.kwarg else ():
        check_known(f"{where}.inputs: {function.name} takes no", name, known)
    for name in task.gradients:
        check_known(f"{where}.gradients: there is no array", name, arrays_of(task.inputs))


def check_once(what: str, names: Sequence[str]) -> None:
    """Refuse a name that stands twice."""
    for name, count in Counter(names).items():
        if count > 1:
            raise ValueError(f"{what} {name} stands there twice: leave one out")


def check_variant(variant: Variant, tasks: Sequence[Task], texts: Iterable[str]) -> None:
    """Refuse variants that nobody could draw, or that would not be worth the same."""
    if variant.blank is not None and variant.blank > len(tasks):
        raise ValueError(f"variant.blank = {variant.blank}: there are {len(tasks)} tasks")
    if variant.blank not in (None, len(tasks)) and len({task.points for task in tasks}) > 1:
        raise ValueError("variant.blank needs tasks of the same points, or students could reach unlike sums")
    solved = {name: node for text in texts for name, node in constants_in(text).items()}
    for name, values in variant.constants.items():
        check_known("variant.constants: no file assigns at its top level a", name, solved)
        for value in values:
            check_constant(name, value, solved[name])
    for name in variant.find_the_bug:
        look_up("subject in variant.find_the_bug", name, subjects())


def check_constant(name: str, value: object, solved: ast.expr) -> None:
    """Refuse a constant of another kind than the files have, and what has no literal."""
    try:
        kind = kind_of(ast.literal_eval(solved))
    except ValueError:  # an expression, such as 1 / 3
        kind = ""
    if not kind_of(value) or kind not in ("", kind_of(value)):
        expected = f"{kind or 'a number or text'}, as in {name} = {ast.unparse(solved):.80}"
        raise ValueError(f"variant.constants.{name}: {value!r:.80} is none of its kind: expected {expected}")


def kind_of(value: object) -> str:
    """What a constant is in words; '' for what cannot be written as one."""
    if isinstance(value, bool):
        return "true or false"
    if isinstance(value, (int, float)):
        return "a number" if math.isfinite(value) else ""
    if isinstance(value, (list, tuple)):
        return "a list" if all(map(kind_of, value)) else ""
    return "a text" if isinstance(value, str) else ""


def constants_in(text: str) -> dict[str, ast.expr]:
    """{name: value} of what a source assigns at its top level."""
    nodes = [node for node in ast.parse(text).body if isinstance(node, (ast.Assign, ast.AnnAssign)) and node.value]
    targets = [(it, node) for node in nodes for it in (node.targets if isinstance(node, ast.Assign) else [node.target])]
    return {target.id: node.value for target, node in targets if isinstance(target, ast.Name) and node.value}
