"""In the process of a submission: arrays in, arrays out, and nothing there that is worth stealing.

It runs beside a copy of `user_files/serving.py`, in an interpreter that has NumPy, the standard library, and nothing
else of handgrad. What it returns is what the submission says; it is judged in another process.
"""

import contextlib
import importlib
import importlib.util
import inspect
import sys
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import Any, TypeAlias

import numpy as np

from ..text import one_line
from ..user_files.confinement import confine
from ..user_files.serving import at, line_of, quoted

Inputs: TypeAlias = dict[str, Any]
Task: TypeAlias = Mapping[str, Any]  # what the process is told of it: `grading.told`
Run: TypeAlias = Callable[[Inputs, Any], Any]  # (inputs, dy or None) -> y, or the gradients for dy

MOST_RESULT = 2**25  # bytes
MOST_WORDS = 300  # letters of an exception


def answer(folder: str, task: Task, plain: Inputs, calls: Mapping[str, Mapping[str, str]]) -> list[str]:
    """Make the calls on the arrays of `folder`/arrays.npz, write `folder`/results.npz, and say what was odd.

    calls is {name: {argument: name of its array in the file}}, with a `dy` where gradients are wanted.
    """
    place, notes, results = Path(folder), dict[str, None](), dict[str, Any]()
    changed: dict[bool, dict[str, None]] = {False: {}, True: {}}  # without and with a backward
    with np.load(place / "arrays.npz", allow_pickle=False) as file:
        arrays = {name: file[name] for name in file.files}
    warnings.formatwarning = in_a_line
    forget_library()
    confine([np.__path__[0], f"{np.__path__[0]}.libs"], [place, Path.cwd().parent])  # where its answer is to go
    code = place / "code"
    module = imported(task["file"], code)
    run = caller_of(module, task, notes)
    for number, call in calls.items():
        given = {name: arrays[key].copy() for name, key in call.items()}
        inputs = {name: given.get(name, plain.get(name)) for name in task["inputs"]}
        dy = None if "dy" in inputs else given.get("dy")
        called = partial(run, inputs, dy)
        with lines_counted(code, task["counts_lines"]) as lines:
            returned = told_in_a_line(called, task, str(module.__file__))
        values = named(returned, () if dy is None else task["gradients"], task["several"])
        values.update({"speed": len(lines)} if task["counts_lines"] else {})
        for name, value in values.items():
            if (array := as_numbers(value, name, notes)) is not None:
                results[f"{number}/{name}"] = array
        if sum(array.nbytes for array in results.values()) > MOST_RESULT:
            raise ValueError(f"{task['function']} returned more than {MOST_RESULT:,} bytes for arrays this small")
        moved = [name for name, key in call.items() if given[name].tobytes() != arrays[key].tobytes()]
        changed[dy is not None].update(dict.fromkeys(moved))
    for backward, names in changed.items():
        function = task["function"] if backward else task["forward"] or task["function"]
        own = [name for name in names if not (backward and name in changed[False])]
        notes.update(dict.fromkeys(f"{function} changes its argument {name} in place" for name in own))
    np.savez(place / "results.npz", **results)
    return list(notes)


def in_a_line(
    message: Warning | str, category: type[Warning], filename: str, lineno: int, line: str | None = None
) -> str:
    """A warning without the file's place, which is one of ours."""
    return f"{category.__name__}: {message}{at(lineno)}\n"


def forget_library() -> None:
    """Leave NumPy and the standard library to import from."""
    sys.path[:] = [path for path in sys.path if path.startswith(sys.base_prefix) and not path.endswith("-packages")]
    for name in [name for name in sys.modules if name.partition(".")[0] == "handgrad"]:
        del sys.modules[name]


def imported(file: str, code: Path) -> ModuleType:
    """Her file as a module; a ValueError says why it is none."""
    sys.path.append(str(code))
    try:
        importlib.util.decode_source((code / file).read_bytes())
        return importlib.import_module(".".join(Path(file).with_suffix("").parts))
    except UnicodeDecodeError as problem:
        line = problem.object.count(b"\n", 0, problem.start) + 1
        raise ValueError(f"{file}: line {line} is no text in {problem.encoding.upper()}: save it as such") from None
    except MemoryError:
        raise
    except Exception as problem:
        there = " (NumPy and the standard library are there)" * isinstance(problem, ModuleNotFoundError)
        raise ValueError(f"{file} does not import: {said(problem, str(code / file))}{there}") from None


def told_in_a_line(run: Callable[[], Any], task: Task, file: str) -> Any:
    """What her code returns; what it raises becomes one line."""
    try:
        return run()
    except MemoryError:
        raise
    except NotImplementedError as problem:
        what = one_line(problem)[:MOST_WORDS] or task["function"]
        raise ValueError(f"still to be written: {what}{at(line_of(problem, file))}") from None
    except Exception as problem:
        raise ValueError(f"{task['function']} raised {said(problem, file)}") from None


def said(problem: Exception, file: str) -> str:
    """An exception in a line that is not too long, and the line of the file that it came from."""
    return f"{quoted(problem)[:MOST_WORDS]}{at(line_of(problem, file))}"


# How a task is called -------------------------------------------------------------------------------------------------


def caller_of(module: ModuleType, task: Task, notes: dict[str, None]) -> Run:
    """How a task is called: by the teacher's own `call`, as methods of an object, or as functions."""
    if task["call"]:
        space: dict[str, Any] = {"__name__": "call"}
        exec(compile(task["source"], "call.py", "exec"), space)
        call = space[task["call"]]
        return lambda inputs, dy: call(module, **inputs, **({"dy": dy} if task["forward"] else {}))
    owner, _, name = task["function"].rpartition(".")
    home = found(module, owner, task)
    forward = task["forward"].rpartition(".")[2] or name

    def run(inputs: Inputs, dy: Any) -> Any:
        thing = home() if isinstance(home, type) else home
        returned = apply(found(thing, forward, task), inputs)
        if dy is None:
            return returned
        kept = arrays_in(returned)
        with counted(home, forward) as calls:
            gradients = differentiated(found(thing, name, task), returned, inputs, dy, home is not module)
        if arrays_in(returned) != kept:
            notes[f"{task['function']} changes its cache in place: a second call would get another one"] = None
        if len(calls) > 1:
            notes[f"{task['function']} calls {forward} {len(calls)} times: differences instead of a derivative?"] = None
        return gradients

    return run


def found(thing: Any, name: str, task: Task) -> Any:
    """What a dotted name means in her module; the module itself for ''."""
    for part in filter(None, name.split(".")):
        if not hasattr(thing, part):
            raise NotImplementedError(f"{task['file']} has no {name}")
        thing = getattr(thing, part)
    return thing


def apply(function: Callable[..., Any], inputs: Inputs) -> Any:
    """Call by name where she kept the names, else in order."""
    try:
        inspect.signature(function).bind(**inputs)
    except (TypeError, ValueError):
        return function(*inputs.values())
    return function(**inputs)


def differentiated(backward: Callable[..., Any], returned: Any, inputs: Inputs, dy: Any, is_method: bool) -> Any:
    """The gradients by backward(dy), backward(dy, cache), backward(dy, *inputs), or derivative(*inputs) times dy."""
    if isinstance(returned, tuple):
        return backward(dy, returned[-1])
    parameters = inspect.signature(backward).parameters.values()
    if any(it.name == "cache" for it in parameters):
        raise NotImplementedError("the forward returns no cache: return a tuple, (y, cache)")
    required = sum(p.default is p.empty for p in parameters)
    if is_method and required == 1:
        return backward(dy)
    if required == len(inputs) + 1:
        return backward(dy, *inputs.values())
    slopes = apply(backward, inputs)
    return tuple(dy * slope for slope in slopes) if isinstance(slopes, tuple) else dy * slopes


def arrays_in(value: Any) -> list[bytes]:
    """What the arrays hold that a forward returned, in its tuples, lists and dicts."""
    if isinstance(value, (tuple, list, dict)):
        return [held for part in (value.values() if isinstance(value, dict) else value) for held in arrays_in(part)]
    return [value.tobytes()] if isinstance(value, np.ndarray) and value.dtype.kind in "fciub" else []


@contextlib.contextmanager
def counted(home: Any, name: str) -> Iterator[list[None]]:
    """Within the block a list grows whenever the function of that name is called."""
    function, calls = inspect.getattr_static(home, name), list[None]()

    def counting(*arguments: Any, **named: Any) -> Any:
        calls.append(None)
        return original(*arguments, **named)

    original = function.__func__ if isinstance(function, (staticmethod, classmethod)) else function
    setattr(home, name, type(function)(counting) if original is not function else counting)
    try:
        yield calls
    finally:
        setattr(home, name, function)


@contextlib.contextmanager
def lines_counted(code: Path, wanted: bool) -> Iterator[list[None]]:
    """Within the block a list grows with each line that runs in a folder's files and in NumPy's, if that is wanted."""
    lines, homes = list[None](), (str(code), np.__path__[0])

    def trace(frame: Any, event: str, argument: Any) -> Any:
        lines.extend([None] * (event == "line" and frame.f_code.co_filename.startswith(homes)))
        return trace

    sys.settrace(trace if wanted else None)
    try:
        yield lines
    finally:
        sys.settrace(None)


# What it returned -----------------------------------------------------------------------------------------------------


def named(returned: Any, gradients: Sequence[str], several: bool) -> dict[str, Any]:
    """{name: value}: gradients by the names that the task gives them, else y, or outputs by their numbers."""
    if gradients and isinstance(returned, dict):
        return {name: returned.get(name, returned.get(f"d{name}")) for name in gradients}
    values = returned if isinstance(returned, (tuple, list)) else (returned,)
    if gradients:
        return dict(zip(gradients, values, strict=False))
    if several and len(values) > 1:
        return {f"output {number}": value for number, value in enumerate(values, 1)}
    return {"y": returned[0] if isinstance(returned, tuple) and returned else returned}


def as_numbers(value: Any, name: str, notes: dict[str, None]) -> Any:
    """An array of numbers, or None and a note."""
    if value is None:
        notes[f"{name} is None: is it still to be computed, or a return missing?"] = None
        return None
    kind = type(value).__name__
    with contextlib.suppress(Exception):  # of whatever it has in the place of an array
        array = np.asarray(value)
        if array.dtype.kind in "fciub":
            return array
        kind += f" of {array.dtype}" * (array.ndim > 0)
    notes[f"{name} is {kind[:MOST_WORDS]}: it must be an array of numbers"] = None
    return None
