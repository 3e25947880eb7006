"""Submissions graded: what they compute beside what the reference does, in points, and what may be told of it.

A submission runs in processes that hold nothing but its own code and arrays (child.py). Reference, comparison and
points stay here. What a submission says is taken for numbers to be judged, whatever it did to say it.
"""

import ast
import multiprocessing
import os
import secrets
import shutil
import struct
import tempfile
import zipfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias, TypeGuard

import numpy as np

from ..arrays import Array, Generator
from ..blanks import functions_in
from ..derivatives.numeric import STEPS, Slope, extrapolate
from ..files import UNZIPPING, check_form, read_arrays
from ..gradient_check.compare import TOLERANCE, direction_error
from ..gradient_check.hints import keep_to
from ..gradient_check.reference import difference
from ..gradient_check.report import Report, plain, verdict_data, verdict_lines
from ..gradient_check.verdict import ArrayCheck, Verdict
from ..gradient_check.vocabulary import VOCABULARY
from ..text import clipped, one_line, printable
from ..user_files.runner import Limits, Outcome, run
from ..user_files.serving import at
from .make import EVERYONE, Key, handout
from .specification import Arguments, Assignment, Place, Task, Variant
from .submissions import VARIANT, Contents, Submission, check_paths, read_submission, written_in

Answers: TypeAlias = Mapping[str, Array]  # what a call returned, as 'call/name'

PACKAGE = Path(__file__).parents[1]
CHILD = ("text.py", "user_files/serving.py", "user_files/confinement.py", "assignment/child.py")
NUMPY = str(Path(np.__file__).parents[1])
ANSWER, CHECK = "handgrad.assignment.child:answer", "handgrad.user_files.checks:check_handed_in"
WORDS = ("array", "message", "evidence", "variable", "fix")
SAID = {**dict.fromkeys(WORDS, str), "mistake": {*VOCABULARY}, "line?": int}  # of a mistake
UNFIT = "it is not the gradient of the forward that was handed in"
ELSE = "it is the gradient of the forward that was handed in, and that computes something else than it should"
OTHER = f"{ELSE}: mend the forward, and the points of both come with it"
IMAGINARY = "it has imaginary parts, where real numbers are due"
STEPPING = "differences instead of a derivative, or the forward's code in a copy?"
VISIBLE = {"visibility": "visible"}  # to the student, on Gradescope
NUM_TRIALS, NUM_UPSTREAMS, NUM_DIRECTIONS = 3, 2, 2
MOST_ANSWER = 2**26  # bytes of the arrays that a task returns
MOST_SHOWN, MOST_WORDS, MOST_SOURCE = 2000, 500, 200_000  # letters of prints, of a line, of a file
MOST_PRINTS = 6  # lines, each told once


# What a task is asked -------------------------------------------------------------------------------------------------


class Moved(NamedTuple):
    """Calls with one array moved along a direction, by ±h and ±h/2."""

    name: str
    direction: Array
    h: float
    calls: dict[float, str]


class Trial(NamedTuple):
    """Arguments drawn once, and the calls on them: twice alike, with upstream gradients, and along lines."""

    inputs: Arguments
    alike: list[str]
    backward: list[tuple[Array, str]] = []
    lines: list[Moved] = []


class Questions:
    """All calls of a task; their names and order are random, so that nothing tells which is for what."""

    def __init__(self, task: Task, rng: Generator) -> None:
        self.task: Task = task
        self.rng: Generator = rng
        self.arrays: dict[str, Array] = {}
        self.calls: dict[str, dict[str, str]] = {}
        self.plain: dict[str, Any] = {}
        self.trials: list[Trial] = []

    def ask(self, inputs: Arguments) -> str:
        """Note a call; returns its name."""
        name = self.rng.bytes(8).hex()
        arrays = {key: value for key, value in inputs.items() if isinstance(value, np.ndarray)}
        self.arrays.update({f"{name}/{key}": value for key, value in arrays.items()})
        self.plain.update({key: plain(value) for key, value in inputs.items() if key not in arrays})
        self.calls[name] = {key: f"{name}/{key}" for key in arrays}
        return name

    def add_trial(self, inputs: Arguments, y: Array | None) -> None:
        """Ask twice for the value; where y is given, for gradients, and for values along random directions."""
        trial = Trial(inputs, [self.ask(inputs), self.ask(inputs)], [], [])
        for _ in range(NUM_UPSTREAMS if y is not None else 0):
            dy = self.rng.normal(size=() if y is None else y.shape)
            trial.backward.append((dy, self.ask({**inputs, "dy": dy})))
        moving = gradients_of(self.task, inputs) if y is not None else []
        for name in (name for name in moving for _ in range(NUM_DIRECTIONS)):
            direction = self.rng.normal(size=inputs[name].shape)
            h = STEPS[1] * max(float(np.sqrt(np.mean(inputs[name] ** 2))), 1e-2)
            places = {t: np.asarray(inputs[name] + t * direction) for t in (h, -h, h / 2, -h / 2)}
            moved = {t: self.ask({**inputs, name: place}) for t, place in places.items()}
            trial.lines.append(Moved(name, direction, h, moved))
        self.trials.append(trial)


def gradients_of(task: Task, inputs: Arguments) -> list[str]:
    """The inputs that a backward answers for."""
    floats = [k for k, v in inputs.items() if isinstance(v, np.ndarray) and v.dtype.kind == "f"]
    return [name for name in task.gradients if name in floats] or floats


# In a process of its own ----------------------------------------------------------------------------------------------


class Answered(NamedTuple):
    """What came of running a task: the arrays that its calls returned, what was odd, and how the process ended."""

    arrays: Answers
    notes: list[str]
    outcome: Outcome

    @property
    def problem(self) -> str:
        """The line that says why there are no arrays; '' where there are."""
        return self.outcome.problem or self.outcome.message


@contextmanager
def program() -> Iterator[str]:
    """A folder with the few files of ours that a submission's process needs."""
    with tempfile.TemporaryDirectory(prefix="handgrad-", ignore_cleanup_errors=True) as folder:
        for name in CHILD:
            place = Path(folder, "handgrad", name)
            place.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(PACKAGE / name, place)
            (place.parent / "__init__.py").touch()
        yield folder


def run_task(assignment: Assignment, questions: Questions, contents: Contents, file: Place, program: str) -> Answered:
    """Put the questions to the task's function in these files, in a process of its own."""
    task = questions.task
    with workplace(assignment, contents, questions.arrays) as folder:
        about = told(assignment, task, file, questions.trials[0].inputs)
        calls = dict(sorted(questions.calls.items()))
        arguments = dict(folder=str(folder), task=about, plain=questions.plain, calls=calls)
        outcome = run_apart(ANSWER, arguments, folder, file.file, limits_of(assignment, task), program)
        return answered(folder / "results.npz", outcome)


@contextmanager
def workplace(assignment: Assignment, contents: Contents, arrays: Mapping[str, Array]) -> Iterator[Path]:
    """A folder with arrays.npz and, in `code`, the files of a submission, over them those handed out as they are."""
    with tempfile.TemporaryDirectory(prefix="handgrad-", ignore_cleanup_errors=True) as folder:
        place = Path(folder)
        for name, content in {**contents, **{name: assignment.contents[name] for name in assignment.given}}.items():
            (place / "code" / name).parent.mkdir(parents=True, exist_ok=True)
            (place / "code" / name).write_bytes(content)
        np.savez(place / "arrays.npz", **dict[str, Any](arrays))
        yield place


def run_apart(entry: str, arguments: dict[str, Any], folder: Path, file: str, limits: Limits, library: str) -> Outcome:
    """Run a task about a submission's file alone, with NumPy and one folder of ours; messages do not tell its place."""
    outcome = run(entry, arguments, str(folder / "code" / file), limits, path=[library, NUMPY])
    return outcome._replace(problem=outcome.problem.replace(f"{folder / 'code'}{os.sep}", ""))


def told(assignment: Assignment, task: Task, place: Place, inputs: Arguments) -> dict[str, Any]:
    """What a process is told of a task: nothing that leads to points or to the right code."""
    source = assignment.contents[task.call.file].decode() if task.call else ""
    several, call = not task.forward and "forward" not in task.function, task.call.function if task.call else ""
    about = dict(file=place.file, function=place.function, forward=task.forward, several=several, call=call)
    named = dict(gradients=gradients_of(task, inputs), inputs=[*inputs])
    return {**about, **named, "counts_lines": bool(task.most_lines), "source": source}


def limits_of(assignment: Assignment, task: Task) -> Limits:
    return Limits(task.time_limit or 20.0, printed=2**24, memory=int(assignment.memory_limit * 2**20))


def answered(path: Path, outcome: Outcome) -> Answered:
    """The arrays that a process left, where they are arrays of numbers in a size that one may read."""
    if outcome.problem or outcome.mistake:
        return Answered({}, [], outcome)
    try:
        if not path.is_file() or path.is_symlink():  # a pipe would keep its reader waiting
            raise ValueError("no file")
        with zipfile.ZipFile(path) as archive:
            if sum(entry.file_size for entry in archive.infolist()) > MOST_ANSWER:
                raise ValueError("too large")
        arrays = {name: array for name, array in read_arrays(path)[0].items() if array.dtype.kind in "fciub"}
    except (*UNZIPPING, struct.error):
        return Answered({}, [], outcome._replace(problem="its process left no results"))
    notes = outcome.data[:20] if isinstance(outcome.data, list) else []
    return Answered(arrays, [clipped(one_line(note), 300) for note in notes if isinstance(note, str)], outcome)


# The key --------------------------------------------------------------------------------------------------------------


class AnswerKey(NamedTuple):
    """What a task is asked, and the right answers."""

    questions: Questions
    right: Answers


def make_answers_to(assignment: Assignment, task: Task, seed: int, program: str) -> AnswerKey:
    """Draw what a task is asked, and have the reference answer it; ValueError where the reference fails."""
    place = task.reference or Place(task.file, task.function)
    rng = np.random.default_rng([seed, *task.name.encode()])
    first = Questions(task, rng)
    for _ in range(NUM_TRIALS):
        first.add_trial(assignment.arguments(task, rng), None)
    values = right_answers(assignment, first, place, program)
    questions = Questions(task, rng)
    for trial in first.trials:
        questions.add_trial(trial.inputs, values[f"{trial.alike[0]}/y"] if task.is_backward else None)
    key = AnswerKey(questions, right_answers(assignment, questions, place, program))
    for trial in questions.trials:
        trial.lines[:] = [line for line in trial.lines if slope_along(line, trial, key.right).smooth]
        for why in wrong_in(task, trial, key, key.right).values():
            raise ValueError(f"{assignment.path}: the reference of {task.name} fails its own check: {why}")
    return key


AnswerKeys: TypeAlias = Mapping[str, AnswerKey]  # by the task's name


def make_answers(assignment: Assignment, seed: int, program: str) -> AnswerKeys:
    """The answers to all tasks."""
    return {task.name: make_answers_to(assignment, task, seed, program) for task in assignment.tasks}


def right_answers(assignment: Assignment, questions: Questions, place: Place, program: str) -> Answers:
    """What the reference returns."""
    found = run_task(assignment, questions, dict(assignment.contents), place, program)
    if found.problem or not found.arrays:
        raise ValueError(f"{assignment.path}: the reference {place} does not run: {found.problem or found.notes}")
    return found.arrays


def try_reference(assignment: Assignment) -> None:
    """Have the reference answer all tasks once; ValueError for the first that fails, or does not fit its inputs."""
    with program() as folder:
        make_answers(assignment, 0, folder)


# Judged ---------------------------------------------------------------------------------------------------------------


def judged(task: Task, key: AnswerKey, answers: Answers) -> dict[str, str]:
    """{output or gradient: what is wrong with it, or ''} over all trials that count."""
    wrong = {name: "" for trial in key.questions.trials for name in wanted(task, trial, key)}
    for trial in reversed(key.questions.trials):
        wrong.update(wrong_in(task, trial, key, answers))
    return wrong


def wanted(task: Task, trial: Trial, key: AnswerKey) -> list[str]:
    """The names of what is judged: gradients, or the outputs that the reference has."""
    if task.is_backward:
        return gradients_of(task, trial.inputs)
    head = f"{trial.alike[0]}/"
    return [name.removeprefix(head) for name in key.right if name.startswith(head) and name != f"{head}speed"]


@np.errstate(all="ignore")
def wrong_in(task: Task, trial: Trial, key: AnswerKey, answers: Answers) -> dict[str, str]:
    """{what is wrong: why} of the values and gradients on one trial's arguments."""
    calls = [call for _, call in trial.backward] if task.is_backward else trial.alike
    wrong = {}
    for name in wanted(task, trial, key):
        unlike = first(of_another_form(name, call, key, answers) for call in calls)
        why = unlike or first(differing(task, name, call, trial, key, answers) for call in calls)
        fits = not task.is_backward or (not unlike and is_derivative(name, trial, answers))
        is_seen = any(line.name == name for line in trial.lines)  # none is where an array stands on a kink
        wrong[name] = (OTHER if why and fits and is_seen else why) or ("" if fits else UNFIT)
    if task.most_lines:
        wrong["speed"] = too_slow(task.most_lines, [answers.get(f"{call}/speed") for call in calls])
    known = {*wanted(task, trial, key), "speed"} if not task.is_backward else ()
    for name in {name.partition("/")[2] for name in answers if known and name.startswith(f"{calls[0]}/")} - {*known}:
        wrong[name] = "it is one too many"
    return {name: why for name, why in wrong.items() if why}


def too_slow(most: int, counts: Sequence[Array | None]) -> str:
    """That a call ran more lines of Python than it may; '' where it did not."""
    ran = max(int(it) if it is not None and it.size == 1 else most + 1 for it in counts)
    what = f"it runs {ran:,} lines of Python on these arrays, where {most} are enough"
    return f"{what}: let NumPy do what the loop does" if ran > most else ""


def first(texts: Iterable[str]) -> str:
    """The first that is not empty, or ''."""
    return next(filter(None, texts), "")


def differing(task: Task, name: str, call: str, trial: Trial, key: AnswerKey, answers: Answers) -> str:
    """What is wrong with one array of one call, beside the reference's; '' where nothing is."""
    right, yours = numbers(key.right[f"{call}/{name}"]), answers[f"{call}/{name}"]
    if numbers(yours).dtype.kind == "c" != right.dtype.kind:
        return IMAGINARY
    arrays = {key: value for key, value in trial.inputs.items() if isinstance(value, np.ndarray)}
    of = f"d{name}" if task.is_backward else name
    verdict = difference(right, numbers(yours), arrays, "solution", "", of)
    return verdict.message if verdict else ""


def of_another_form(name: str, call: str, key: AnswerKey, answers: Answers) -> str:
    """That an array is not there, has another shape than the reference's, or NaN where that has numbers; else ''."""
    right, yours = numbers(key.right[f"{call}/{name}"]), answers.get(f"{call}/{name}")
    if yours is None:
        return "it is not there"
    if yours.shape != right.shape:
        return f"it has shape {yours.shape}, expected {right.shape}"
    count = int((np.isfinite(right) & ~np.isfinite(numbers(yours))).sum())
    return f"it holds {count:,} numbers that are NaN or infinite, of {yours.size:,}" if count else ""


def numbers(array: Array) -> Array:
    """Whatever numbers, as those that can be subtracted; complex ones only where they have imaginary parts."""
    if array.dtype.kind == "c":
        return array if np.any(array.imag) else array.real
    return array if array.dtype.kind == "f" else array.astype(np.float64)


def is_derivative(name: str, trial: Trial, answers: Answers) -> bool:
    """Whether a gradient agrees with differences of the values along random directions, for each upstream."""
    rows = np.stack([dy.ravel() for dy, _ in trial.backward])
    for line in (line for line in trial.lines if line.name == name):
        try:
            gradients = [numbers(answers[f"{call}/{name}"]) for _, call in trial.backward]
            slope = slope_along(line, trial, answers)
            if "c" in {it.dtype.kind for it in (*gradients, slope.value)}:
                return False
            noise = 20 * float(np.max(np.abs(rows) @ slope.error.ravel(), initial=0.0))
            error = direction_error(gradients, line.direction, rows @ slope.value.ravel(), noise)
        except (KeyError, ValueError):  # values that are missing, or of other shapes
            return False
        if not (slope.smooth and error <= TOLERANCE):
            return False
    return True


def slope_along(line: Moved, trial: Trial, answers: Answers) -> Slope:
    """How the value changes along a line, by what the calls there returned."""
    values = Recorded({t: numbers(answers[f"{call}/y"]) for t, call in line.calls.items()})
    return extrapolate(values, numbers(answers[f"{trial.alike[0]}/y"]), line.h)[0]


class Recorded(dict[float, Array]):
    """t -> y where the values are known already."""

    scale: float = 1.0

    def __call__(self, t: complex) -> Array:
        return self[t.real]


# Many submissions -----------------------------------------------------------------------------------------------------


def grade(
    assignment: Assignment,
    submissions: Iterable[str | Path],
    key: Key | None = None,
    seed: int | None = None,
    jobs: int = 1,
    submitters: Sequence[str] | None = None,
) -> Iterator[dict[str, Any]]:
    """Grade submissions, each in processes of its own.

    Parameters
    ----------
    assignment : Assignment
        As `read_assignment` returns it.
    submissions : iterable of path
        A folder, a .py file, a .zip or a .tar.gz each, named like the student.
    key : Key, optional
        What `make` kept, where students have variants: `read_key`.
    seed : int, optional
        That of the random arrays, to grade again as before; results say it. Drawn from the system unless given.
    jobs : int
        How many submissions at a time.
    submitters : sequence of str, optional
        By what ids the students may be known who handed in, where the system that collected it says so: they decide
        whose variant it is, before its name and its variant.json.

    Yields
    ------
    dict
        Each submission's results in their order, as Gradescope reads them: score, visibility, output, tests (name,
        score, max_score, status, output, visibility) and extra_data, which is for the teacher.

    Raises
    ------
    ValueError
        When the reference does not run, or fails its own check; where a variant needs a key; and for paths that do not
        exist, are two of one student, or hold several students' submissions.
    """
    submissions = list(submissions)
    check_paths(submissions, assignment.files, key.variants if key else ())
    if key is None and assignment.variant != Variant():
        raise ValueError(f"{assignment.path} gives each student a variant: say where the key is (--key DIR/key)")
    seed = secrets.randbits(48) if seed is None else seed
    with program() as folder:
        answers = {} if key else make_answers(assignment, seed, folder)
        one = partial(grade_one, assignment, key, answers, folder, seed, submitters)
        if jobs == 1:
            yield from map(one, submissions)
        else:
            try:
                with ProcessPoolExecutor(jobs, multiprocessing.get_context("spawn")) as pool:
                    yield from pool.map(one, submissions)
            except BrokenProcessPool:
                raise ValueError("a grading process was ended from outside: grade those that are left again") from None


def grade_one(
    assignment: Assignment,
    key: Key | None,
    answers: AnswerKeys,
    program: str,
    seed: int,
    submitters: Sequence[str] | None,
    path: str | Path,
) -> dict[str, Any]:
    """The results of one submission, as its student's variant asks."""
    submission = read_submission(path, assignment.files)
    if key:
        student, problem = student_of(submission, key, submitters)
        if not student:
            assignment = key.variant_of(assignment, next(iter(key.variants)))  # all are worth the same
            unknown = Graded(0.0, {}, [problem], [])
            graded = dict.fromkeys((task.name for task in assignment.tasks), unknown)
            return results(assignment, submission._replace(problems=[problem]), graded, seed)
        assignment = key.variant_of(assignment, student)
        submission = read_submission(path, assignment.files)
        name = submission.name if student == EVERYONE else student
        submission = submission._replace(name=name, problems=[*filter(None, [problem]), *submission.problems])
        answers = make_answers(assignment, seed, program)
    graded = {it.name: grade_task(assignment, it, answers[it.name], submission, program) for it in assignment.tasks}
    return results(assignment, submission, graded, seed)


def student_of(submission: Submission, key: Key, submitters: Sequence[str] | None) -> tuple[str, str]:
    """(whose variant it is or '', the line about that or ''): by who handed it in, its name, its variant.json."""
    damaged = written = ""
    try:
        written = written_in(submission.contents[VARIANT])
    except KeyError:
        damaged = f"hand in {VARIANT} too"
    except ValueError as problem:
        damaged = one_line(problem)
    ids = {it.lower() for it in submitters or ()}
    known = [it for it in key.variants if it.lower() in ids or (submitters is None and it == submission.name)]
    of = f"its {VARIANT} is that of {clipped(one_line(written), 64)}"
    unread = damaged if VARIANT in submission.contents else ""
    if known:
        student = written if written in known else known[0]
        return student, f"{of}, and it was handed in as {student}'s" if written not in ("", student) else unread
    by = clipped(one_line(submission.name if submitters is None else " or ".join(submitters)), 200)
    if written in key.variants and written != EVERYONE:
        return written, f"it is graded as {written}'s: {of}, and no student has the id {by}"
    if EVERYONE in key.variants:
        return EVERYONE, ""
    where = ": name it like its student, or " if submitters is None else ": "
    return "", "; ".join([f"no student has the id {by}{where}{damaged or of}", *submission.problems])


# A submission ---------------------------------------------------------------------------------------------------------


class Graded(NamedTuple):
    """What came of one task.

    Attributes
    ----------
    score : float
        The points, each array its share.
    arrays : dict of str to bool
        Which outputs or gradients are right.
    told : list of str
        The lines for the student, at the level of hints that the task allows.
    mistakes : list of dict
        For the teacher, whatever the hints: array, mistake, message, line, lesson.
    notes : sequence of str
        What was odd, whatever the points: arguments that were changed in place, differences for a derivative.
    """

    score: float
    arrays: dict[str, bool]
    told: list[str]
    mistakes: list[dict[str, Any]]
    notes: Sequence[str] = ()


def results(assignment: Assignment, submission: Submission, graded: Mapping[str, Graded], seed: int) -> dict[str, Any]:
    """What came of a submission as Gradescope reads it, with what the teacher wants to know under `extra_data`."""
    done = [(task, graded[task.name]) for task in assignment.tasks]
    tests = list[dict[str, Any]]()
    for task, it in done:
        score = {"score": it.score, "max_score": task.points}
        status = "passed" if it.score == task.points else "failed"
        tests.append({"name": task.name, **score, "status": status, "output": "\n".join(it.told), **VISIBLE})
    handed_in = {name: submission.contents[name] for name in assignment.files if name in submission.contents}
    files = {name: content.decode("utf-8", "replace")[:MOST_SOURCE] for name, content in handed_in.items()}
    given = handout(assignment, submission.name)
    return {
        **{"score": round(sum(it.score for it in graded.values()), 6), **VISIBLE},
        "output": "\n".join([f"{assignment.title}: {submission.name}", *submission.problems]),
        "tests": tests,
        "extra_data": {
            **{"assignment": assignment.title, "student": submission.name, "max_score": assignment.max_score},
            **{"seed": seed, "problems": submission.problems},
            "tasks": {t.name: {"file": t.file, "arrays": it.arrays, "mistakes": it.mistakes} for t, it in done},
            "files": files,
            "handed_out": {name: lines_of_handout(text, given.get(name, b"").decode()) for name, text in files.items()},
        },
    }


def lines_of_handout(text: str, given: str) -> list[int]:
    """The numbers of the lines that stood in the handout already."""
    known = {line.strip() for line in given.splitlines()}
    return [number for number, line in enumerate(text.splitlines(), 1) if line.strip() in known]


def grade_task(assignment: Assignment, task: Task, key: AnswerKey, submission: Submission, program: str) -> Graded:
    """Points and feedback of one task; never an exception of the submission's."""
    if task.file not in submission.contents:
        return Graded(0.0, {}, [first(submission.problems) or f"{task.file} is missing"], [])
    found = run_task(assignment, key.questions, submission.contents, Place(task.file, task.function), program)
    prints = [*dict.fromkeys(printable(found.outcome.printed, "?")[:MOST_SHOWN].splitlines())]
    printed = [f"it printed: {line}" for line in prints[:MOST_PRINTS]]
    printed += ["it printed more: it is called on many arrays"] * (len(prints) > MOST_PRINTS)
    if found.problem:
        line = at(found.outcome.line) if found.outcome.mistake else ""
        said = clipped(one_line(found.problem), MOST_WORDS) + line
        verdicts = [Verdict("", found.outcome.mistake, said, line=found.outcome.line)] if found.outcome.mistake else []
        return Graded(0.0, {}, [said, *printed], [verdict_data(verdict, "fix") for verdict in verdicts])
    wrong = judged(task, key, found.arrays)
    lines = [f"{it} is {'wrong' if why else 'right'}{f': {why}' * is_told(why)}" for it, why in wrong.items()]
    more, mistakes = ([], []) if not any(wrong.values()) else explained(assignment, task, key, submission, wrong)
    notes = found.notes
    if task.inputs == {}:
        lines, more, notes = [about_answer(task, key, found, any(wrong.values()))], [], []
    share = sum(not why for why in wrong.values()) / max(len(wrong), 1)
    score = task.points * (share if task.partial else int(share))
    lines += [*more, *notes, *steps_in(task, submission), *printed]
    return Graded(score, {name: not why for name, why in wrong.items()}, lines, mistakes, notes)


def about_answer(task: Task, key: AnswerKey, found: Answered, is_wrong: bool) -> str:
    """What to say of the answer to a question, without saying the right one."""
    call = f"{key.questions.trials[0].alike[0]}/"
    values = [str(it.tolist()) for name, it in sorted(found.arrays.items()) if name.startswith(call)]
    given = f"({', '.join(values)})" if len(values) > 1 else "".join(values)
    if not given:
        return f"{task.function}() gives no number: {first(found.notes).replace('y is', 'it is')}"
    more = f": {task.said[given]}" if given in task.said else ""
    return f"{task.function}() gives {clipped(given, 100)}, which is {'wrong' if is_wrong else 'right'}{more}"


def is_told(why: str) -> bool:
    """Whether a reason is told whatever the hints: what an array is, and not how its numbers differ."""
    return why.startswith("it ")


def explained(
    assignment: Assignment, task: Task, key: AnswerKey, submission: Submission, wrong: Mapping[str, str]
) -> tuple[list[str], list[dict[str, Any]]]:
    """(lines for the student, mistakes for the teacher) about what is wrong."""
    looks = task.is_backward and task.call is None and OTHER not in wrong.values()  # beside a wrong forward it misleads
    verdicts = looked_at(assignment, task, key, submission) if looks else []
    if not verdicts:
        verdicts = [Verdict(name, kind_of(task, why), why) for name, why in wrong.items() if why]
        numbers = [f"  {it.message}" for it in verdicts if task.hints in ("what", "fix") and not is_told(it.message)]
        return numbers, Report(task.name, {}, verdicts).to_dict()["verdicts"]
    checks = {name: ArrayCheck(name, (), "", ok=not why) for name, why in wrong.items()}
    report = Report(task.name, checks, verdicts)
    mistakes = report.to_dict()["verdicts"]
    keep_to(report, task.hints or "where")
    return [line for verdict in report.verdicts for line in verdict_lines(verdict, report.hints)], mistakes


def steps_in(task: Task, submission: Submission) -> list[str]:
    """A note for the teacher where the backward's source has complex numbers, a tiny step, or code objects."""
    try:
        node = functions_in(submission.contents[task.file].decode()).get(task.function)
    except (SyntaxError, ValueError, RecursionError):
        return []
    marked = [it.lineno for it in ast.walk(node) if is_stepping(it)] if node and task.is_backward else []
    return [f"{task.function}, line {min(marked)}: {STEPPING}"] if marked else []


def is_stepping(node: ast.AST) -> TypeGuard[ast.expr]:
    """Whether this is a complex number, a tiny one, or about either or code objects by name."""
    match node:
        case ast.Constant(value=float(value)):
            return 0 < abs(value) < 1e-18
        case ast.Attribute(attr="imag" | "complex128" | "__code__" | "FunctionType"):
            return True
        case ast.Constant(value=complex()) | ast.Name(id="complex" | "FunctionType"):
            return True
    return False


def kind_of(task: Task, why: str) -> str:
    """The name for what is wrong where a gradient check has none."""
    kinds = {"it has shape": "wrong-shape", "it holds": "not-finite", OTHER: "wrong-forward"}
    named = (kind for words, kind in kinds.items() if why.startswith(words))
    return next(named, "unexplained") if task.is_backward else "wrong-forward"


def looked_at(assignment: Assignment, task: Task, key: AnswerKey, submission: Submission) -> list[Verdict]:
    """What a gradient check of her pair says, in another process of its own: words, which count nothing."""
    inputs = key.questions.trials[0].inputs
    arrays = {name: value for name, value in inputs.items() if isinstance(value, np.ndarray)}
    given = {name: None if name in arrays else plain(value) for name, value in inputs.items()}
    with workplace(assignment, submission.contents, arrays) as folder:
        arguments = dict(folder=str(folder), file=task.file, forward=task.forward, inputs=given)
        outcome = run_apart(CHECK, arguments, folder, task.file, limits_of(assignment, task), str(PACKAGE.parent))
    try:
        check_form(outcome.data, [SAID], task.name)
    except ValueError:
        return []
    said = [(it, {word: one_line(it[word])[:MOST_WORDS] for word in WORDS}) for it in outcome.data[:20]]
    return [Verdict(mistake=it["mistake"], line=it.get("line"), **words) for it, words in said]
