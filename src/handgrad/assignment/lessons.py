"""Exercises one after the other: what each asks, how an attempt at it stands, and what is solved so far."""

import ast
import secrets
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from ..experiments.run_folder import locked
from ..files import add_files, check_folder, check_form, from_json, write_json
from ..gradient_check.hints import HINTS
from ..user_files.runner import read_source
from .grading import AnswerKey, grade_task, make_answers_to, program
from .make import EVERYONE, handout
from .specification import Assignment, Task, read_assignment
from .submissions import Submission

LEVELS = tuple(HINTS)
PROGRESS = {"solved": [str], "hints": {str: range(len(LEVELS))}, "current": str}


class Exercise(NamedTuple):
    """A file of an assignment: its number from 1, its name, the first line and the rest of its docstring, its tasks."""

    number: int
    file: str
    title: str
    text: str
    tasks: list[Task]


class Attempt(NamedTuple):
    """How a file stands: whether it solves its exercise, the lines, and those that the exercise says by itself."""

    solved: bool
    told: list[str]
    clues: list[str] = []


class Lessons:
    """The exercises of an assignment in a folder, and how far somebody has come with them."""

    def __init__(self, assignment: Assignment, folder: Path, program: str = "") -> None:
        self.assignment: Assignment = assignment
        self.folder: Path = folder
        self.exercises: list[Exercise] = [exercise_in(assignment, file) for file in assignment.files]
        self.solved: list[str] = []
        self.hints: dict[str, int] = {}
        self.current: Exercise = self.exercises[0]
        self.task: Task = self.current.tasks[0]  # of its tasks the one that is at work
        self._program: str = program
        self._answers: dict[str, AnswerKey] = {}
        files = {exercise.file: exercise for exercise in self.exercises}
        said: dict[str, Any] = {"solved": self.unlocked(), "hints": {}, "current": ""}
        if self.record.exists():
            where = f"{self.record} (delete it: by the folder solutions it is known what you solved)"
            said = from_json(self.record.read_text("utf-8", "replace"), where)
            check_form(said, PROGRESS, where)
        self.solved, self.hints = [file for file in said["solved"] if file in files], said["hints"]
        self.go(files.get(said["current"], self.current).number)

    @property
    def record(self) -> Path:
        """Where progress is kept."""
        return self.folder / "progress.json"

    @property
    def level(self) -> int:
        """How often a hint was asked for on the function at work."""
        return self.hints.get(self.task.name, 0)

    def unlocked(self) -> list[str]:
        """The exercises whose solution is in the folder."""
        return [it.file for it in self.exercises if (self.folder / "solutions" / it.file).is_file()]

    def hand_out(self) -> None:
        """Write the files that are not there; those that are stay as they are."""
        held = handout(self.assignment, EVERYONE)
        add_files(self.folder, {Path(file): held[file] for file in self.assignment.files})

    def save(self) -> None:
        """Keep how far one has come."""
        write_json(self.record, {"solved": self.solved, "hints": self.hints, "current": self.current.file})

    def more_hints(self) -> None:
        """Tell more of the function at work from now on."""
        self.hints[self.task.name] = min(self.level + 1, len(LEVELS) - 1)

    def go(self, number: int) -> None:
        """To the exercise of that number."""
        self.current = self.exercises[number - 1]
        self.task = self.current.tasks[0]

    def next(self) -> None:
        """To the next one that is not solved, from the beginning again after the last; else to the next."""
        after = [*self.exercises[self.current.number :], *self.exercises[: self.current.number]]
        self.go(next((it for it in after if it.file not in self.solved), after[0]).number)

    def attempt(self) -> Attempt:
        """Check the current file as it stands; one that solves its exercise unlocks the solution, and counts."""
        attempt, file = self.checked(), self.current.file
        self.solved = [it for it in self.solved if it != file] + [file] * attempt.solved
        if attempt.solved:
            add_files(self.folder / "solutions", {Path(file): self.assignment.contents[file]})
        self.save()
        return attempt

    def checked(self) -> Attempt:
        """How the current file stands, by the first of its tasks that is not right yet."""
        try:
            contents = {self.current.file: read_source(self.folder / self.current.file)}
        except (ValueError, OSError) as problem:
            return Attempt(False, [str(problem)])
        submission = Submission("you", contents, [])
        for task in self.current.tasks:
            self.task = task
            if task.name not in self._answers:
                self._answers[task.name] = make_answers_to(self.assignment, task, secrets.randbits(32), self._program)
            hinted = task.model_copy(update={"hints": LEVELS[self.level]})
            graded = grade_task(self.assignment, hinted, self._answers[task.name], submission, self._program)
            if graded.score < task.points or any("in place" in note for note in graded.notes):
                return Attempt(False, graded.told, task.clues[: self.level])
        return Attempt(True, graded.told)


@contextmanager
def lessons_in(folder: str | Path, name: str = "backpropagation") -> Iterator[Lessons]:
    """The lessons of a folder, which is made or filled up, within the block; no other process has them meanwhile.

    Parameters
    ----------
    folder : str or path
        Gets the files of the exercises, progress.json, and a solution for each exercise that is solved.
    name : str
        An assignment that comes along, or a SPEC.toml, each file of which is an exercise.

    Yields
    ------
    Lessons

    Raises
    ------
    ValueError
        Where the folder is a file, its progress.json is damaged, nothing can be written there, or another
        process is at work there.
    """
    assignment, folder = read_assignment(name), check_folder(folder)
    with ExitStack() as held:
        library = held.enter_context(program())
        try:
            folder.mkdir(parents=True, exist_ok=True)
            held.enter_context(locked(folder / ".learning", "used"))
            lessons = Lessons(assignment, folder, library)
            lessons.hand_out()
            lessons.save()
        except OSError as problem:
            said = problem.strerror or problem
            raise ValueError(f"{folder} cannot be written ({said}): choose a writable folder") from None
        yield lessons


def exercise_in(assignment: Assignment, file: str) -> Exercise:
    """What a file of an assignment asks, by the docstring that is handed out."""
    tasks = [task for task in assignment.tasks if task.file == file]
    text = assignment.wrong.get(file, assignment.contents[file]).decode()
    said = ast.get_docstring(ast.parse(text)) or file
    title, _, rest = said.partition("\n")
    if file in assignment.wrong:
        title, rest = tasks[0].name.partition(" ")[2].capitalize() + ".", said
    return Exercise(assignment.files.index(file) + 1, file, title, rest.strip(), tasks)
