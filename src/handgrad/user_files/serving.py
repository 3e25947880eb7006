"""The child's side of a run: shut itself in, do its job, answer. It needs nothing but the standard library."""

import contextlib
import ctypes
import faulthandler
import importlib
import json
import os
import signal
import sys
import time
import traceback
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal, NoReturn, TextIO, TypeAlias

from ..text import complaint, one_line
from .confinement import leave_others

Job: TypeAlias = dict[str, Any]  # what a child is told

MOST_FILE = 2**30  # bytes of any file that it writes
MOST_WORDS = 10_000  # letters of an exception
TOOLS = json.dumps, os.replace, os._exit  # before a file can put others in their place
END_WITH_PARENT = 1  # a request to prctl


def serve(job: Job, prints: int | None = None) -> NoReturn:
    """Do a job in this process and end it. prints: where output goes, for a copy of another process."""
    encode, replace, leave = TOOLS
    try:
        if job.get("alone"):
            leave_others()
        shut_in(job, prints)
        for number, answer in enumerate(answers_of(job)):
            part = f"{job['answer']}{number or ''}"
            Path(part + "+").write_text(encode(answer, allow_nan=False), encoding="ascii")
            replace(part + "+", part)
    except BaseException:
        traceback.print_exc()
    finally:
        leave(1)


def shut_in(job: Job, prints: int | None) -> None:
    """Nothing to read, prints to their file, limits, and a watchman who notes the line when time is up or all ends."""
    if prints is not None:
        os.setsid()
        os.dup2(prints, 1)
        os.dup2(prints, 2)
        ctypes.CDLL(None).prctl(END_WITH_PARENT, signal.SIGKILL)
        if not job["keeps_open"]:
            os.closerange(3, 256)  # what the copied process has open
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    sys.stdin, sys.stdout, sys.stderr = stream(0, "r"), stream(1, "w"), stream(2, "w")
    sys.argv = [job["file"]]
    sys.dont_write_bytecode = True
    os.environ["MPLBACKEND"] = "Agg"  # or plt.show() waits for somebody to close its window
    trace = os.open(job["trace"], os.O_WRONLY | os.O_CREAT)
    seconds = max(0.01, job["ends"] - time.time())
    faulthandler.enable(trace, all_threads=False)
    faulthandler.dump_traceback_later(seconds, file=trace)
    limit_resources(seconds, job["memory"])


def stream(number: int, mode: Literal["r", "w"]) -> TextIO:
    return open(number, mode, encoding="utf-8", errors="backslashreplace", buffering=1, closefd=False)


def limit_resources(seconds: float, memory: int) -> None:
    """What the system itself can watch over; and should nobody be left to end this process, it ends by an alarm."""
    try:
        import resource
    except ImportError:  # Windows
        return
    limits = {"RLIMIT_CORE": 0, "RLIMIT_FSIZE": MOST_FILE}
    with contextlib.suppress(OSError):  # Linux alone says, and limits, what a process holds
        pages = int(Path("/proc/self/statm").read_text().split()[5])
        limits["RLIMIT_DATA"] = memory + pages * resource.getpagesize()
    for name, value in limits.items():
        kind = getattr(resource, name, None)
        with contextlib.suppress(ValueError, OSError):
            if kind is not None:
                hard = resource.getrlimit(kind)[1]
                value = value if hard == resource.RLIM_INFINITY else min(value, hard)
                resource.setrlimit(kind, (value, value))
    for number in (signal.SIGALRM, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_DFL)
    signal.alarm(int(seconds) + 10)


def answers_of(job: Job) -> Iterator[dict[str, Any]]:
    """Fields of each Outcome: the task's data, or what a generator yields, its problem, or what it ended with."""
    module, _, name = job["task"].partition(":")
    try:
        data = getattr(importlib.import_module(module), name)(**job["arguments"])
        yield from ({"data": part} for part in (data if isinstance(data, Iterator) else [data]))
    except (ValueError, TypeError, OSError, ImportError) as problem:
        yield {"problem": str(problem)}
    except BaseException as problem:
        said, line = f"it raised {quoted(problem)}", line_of(problem, job["file"])
        if isinstance(problem, Exception) and not isinstance(problem, MemoryError):
            yield {"problem": f"{job['file']}: {said}{at(line)}"}
            return
        mistake = "out-of-memory" if isinstance(problem, MemoryError) else "process-died"
        yield {"mistake": mistake, "message": said, "line": line}


def quoted(problem: BaseException) -> str:
    """An exception in one line, as Python shows it."""
    return one_line(f"{type(problem).__name__}: {complaint(problem)}"[:MOST_WORDS]).removesuffix(":")


def line_of(problem: BaseException, file: str) -> int | None:
    """The last line of a file that an error came through."""
    lines = [line for frame, line in traceback.walk_tb(problem.__traceback__) if frame.f_code.co_filename == file]
    return lines[-1] if lines else None


def at(line: int | None) -> str:
    return f" (line {line})" if line else ""
