"""Somebody's file, run apart: each task in a process of its own, with limits, and one outcome whatever the file does.

What the file prints goes to one temporary file, what the task found to another, under a name that only the two
processes know: prints can neither break nor forge it. The limits stop accidents; no process keeps its own code from
cheating, so that whoever runs the files of strangers does it in a container, or as a user who owns nothing.
"""

import contextlib
import ctypes
import faulthandler
import hashlib
import itertools
import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import threading
import time
import warnings
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import IO, Any, NamedTuple, NoReturn, TypeAlias

from ..files import FilePath, Form, check_form, from_json
from ..naming import check_number
from .serving import Job, serve

Child: TypeAlias = "Copy | subprocess.Popen[bytes]"

QUIET = 0.3  # seconds that a saved file must keep still
LONGEST_PAUSE = 0.05  # seconds between looks at a child
GRACE = 0.5  # seconds that a child has to say where it was when its time was up
MOST_ANSWER = 2**25  # bytes of what a task may return
MOST_SOURCE = 10**7  # bytes of a file of somebody's
MOST_PROCESSES = 200  # that it starts
ANSWER: Form = {"problem?": str, "mistake?": {"out-of-memory", "process-died"}, "message?": str, "line?": int}
ALONE = ("-I", "-S", "-B", "-X", "utf8")  # nothing of the environment, of this folder or of site-packages
ENVIRONMENT = {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1", "LC_ALL": "C.UTF-8"}
KEPT = ("SYSTEMROOT",)  # what no Python on Windows starts without
START = """
import json, sys
job = json.loads(sys.stdin.buffer.read())
sys.path[:] = job["path"] + [folder for folder in sys.path if folder and job["alone"]]
from handgrad.user_files.serving import serve
serve(job)
"""


class Limits(NamedTuple):
    """What a task may take.

    Attributes
    ----------
    seconds : float
        By the clock on the wall.
    kept : int
        Bytes of its prints that are kept.
    printed : int
        Bytes of prints that end it.
    memory : int
        Bytes that its process may come to hold beside what it starts with, where the system can limit them.
    """

    seconds: float = 30.0
    kept: int = 10_000
    printed: int = 50_000_000
    memory: int = 2**32


class Outcome(NamedTuple):
    """How a task ended: with data, with a problem, or with a mistake of the file that ended its process.

    Attributes
    ----------
    data : plain data or None
        What the task returned.
    problem : str
        The line with which it refused what it was given.
    mistake : str
        The name of what ended it: "timed-out", "process-died", "too-much-output", "too-many-processes" or
        "out-of-memory".
    message : str
        The same in a sentence.
    line : int or None
        The line of the file that was running, where that is known.
    printed : str
        What it printed, as far as it was kept.
    num_dropped : int
        How many bytes were not.
    """

    data: Any = None
    problem: str = ""
    mistake: str = ""
    message: str = ""
    line: int | None = None
    printed: str = ""
    num_dropped: int = 0


def run(
    task: str,
    arguments: Mapping[str, Any],
    file: str,
    limits: Limits | None = None,
    while_waiting: Callable[[], object] = bool,
    path: Sequence[str] | None = None,
    keeps_open: bool = False,
) -> Outcome:
    """Run one task about somebody's file in a fresh process, and end all that it started.

    Parameters
    ----------
    task : str
        The function to call, as "package.module:function". It returns plain data for JSON; by a ValueError, TypeError,
        OSError or ImportError it refuses what it was given.
    arguments : dict of str to plain data
        Its keyword arguments.
    file : str
        The file as tracebacks name it, for the line that was running.
    limits : Limits, optional
        What it may take.
    while_waiting : callable
        Called some twenty times a second; what it raises ends the process and comes out here.
    path : sequence of str, optional
        Folders to import from. The process then has nothing of this one: it is a new interpreter with these folders and
        the standard library, no environment, an empty folder to work in and, where the system can, no network.
    keeps_open : bool
        Whether a copy of this process goes on with the files that are open.

    Returns
    -------
    Outcome
        Whatever the file does.

    Examples
    --------
    >>> run("platform:python_version_tuple", {}, "none.py").data[0]
    '3'
    """
    with contextlib.closing(run_each(task, arguments, file, limits, while_waiting, path, keeps_open)) as outcomes:
        return next(outcomes)


def run_each(
    task: str,
    arguments: Mapping[str, Any],
    file: str,
    limits: Limits | None = None,
    while_waiting: Callable[[], object] = bool,
    path: Sequence[str] | None = None,
    keeps_open: bool = False,
) -> Generator[Outcome, None, None]:
    """As `run`, of a task that may be a generator: an outcome as soon as each is there, until it or its process ends.

    For each but the first it may take three times as long, since such a task has limits of its own to watch over.
    """
    limits = limits or Limits()
    check_number("Limits", "seconds", limits.seconds, above=0)
    with tempfile.TemporaryDirectory(prefix="handgrad-", ignore_cleanup_errors=True) as folder:
        answer, trace = Path(folder, os.urandom(16).hex()), Path(folder, "trace")
        ends = time.time() + limits.seconds
        job = dict(task=task, arguments=arguments, file=file, answer=str(answer), trace=str(trace), ends=ends)
        with tempfile.TemporaryFile() as prints, adopting():
            child = start({**job, "memory": limits.memory, "keeps_open": keeps_open}, prints, path)
            try:
                for number in itertools.count():
                    part, allowed = Path(f"{answer}{number or ''}"), limits.seconds * (3 if number else 1)
                    overstepped = wait_for(child, prints, limits._replace(seconds=allowed), while_waiting, part)
                    if (outcome := read_answer(part)) is None:
                        end_group(child)
                        if number:
                            return
                        outcome = ended(overstepped, child.wait(), limits, *where(trace, file))
                    size = os.fstat(prints.fileno()).st_size
                    prints.seek(0)
                    printed = prints.read(limits.kept).decode("utf-8", "replace")
                    prints.seek(0, os.SEEK_END)  # where the child writes on
                    yield outcome._replace(printed=printed, num_dropped=max(0, size - limits.kept))
            finally:
                end_group(child)


# The parent: start, wait, end, read -----------------------------------------------------------------------------


def start(job: Job, prints: IO[bytes], path: Sequence[str] | None) -> Child:
    """A child at work: a copy of this process where that is safe and no path is given, else a new interpreter."""
    return Copy(job, prints) if path is None and can_copy() else new_interpreter(job, prints, path)


def can_copy() -> bool:
    """Whether no other thread can hold a lock that a copy would wait for; elsewhere than on Linux who knows."""
    return sys.platform == "linux" and threading.active_count() == 1


def can_be_parent() -> bool:
    """Leave off watching over this child, and say whether it may be copied: no compiled code has a thread either."""
    if can_copy():
        signal.alarm(0)
        faulthandler.cancel_dump_traceback_later()
        for _ in range(100):  # the thread that watched needs a moment to end
            if len(os.listdir("/proc/self/task")) == 1:
                return True
            time.sleep(0.001)
    return False


class Copy:
    """A copy of this process, with all modules loaded; has what is asked of a subprocess.Popen."""

    def __init__(self, job: Job, prints: IO[bytes]) -> None:
        for shown in filter(None, (sys.stdout, sys.stderr)):
            shown.flush()
        self.code: int | None = None
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # BLAS has threads, and is ready for this
            self.pid: int = os.fork()
        if self.pid == 0:
            serve(job, prints.fileno())

    def poll(self, options: int = getattr(os, "WNOHANG", 0)) -> int | None:
        if self.code is None:
            pid, status = os.waitpid(self.pid, options)
            self.code = os.waitstatus_to_exitcode(status) if pid else None
        return self.code

    def wait(self) -> int | None:
        return self.poll(0)

    def kill(self) -> None:
        os.kill(self.pid, signal.SIGKILL)


def new_interpreter(job: Job, prints: IO[bytes], path: Sequence[str] | None) -> Child:
    """A new Python, which is told its job by its standard input; with a path of its own, alone."""
    alone, pipe, folder = path is not None, subprocess.PIPE, Path(job["answer"]).parent / "empty"
    folder.mkdir(exist_ok=True)
    child = subprocess.Popen(
        [sys.executable, *(ALONE if alone else ()), "-c", START],
        stdin=pipe,
        stdout=prints,
        stderr=prints,
        start_new_session=True,
        env={name: os.environ[name] for name in KEPT if name in os.environ} | ENVIRONMENT if alone else None,
        cwd=folder if alone else None,
    )
    if child.stdin:
        told = {**job, "path": [*(sys.path if path is None else path)], "alone": alone}
        with contextlib.suppress(BrokenPipeError), child.stdin:
            child.stdin.write(json.dumps(told).encode())
    return child


def wait_for(child: Child, prints: IO[bytes], limits: Limits, while_waiting: Callable[[], object], answer: Path) -> str:
    """Wait until the child answers, ends or oversteps a limit; the name of that mistake, else ''."""
    deadline, pause = time.monotonic() + limits.seconds + GRACE, 0.001
    while child.poll() is None and not answer.is_file():
        if time.monotonic() > deadline:
            return "timed-out"
        if os.fstat(prints.fileno()).st_size > limits.printed:
            return "too-much-output"
        if pause == LONGEST_PAUSE and num_processes(child.pid) > MOST_PROCESSES:
            return "too-many-processes"
        while_waiting()
        time.sleep(pause)
        pause = min(1.3 * pause, LONGEST_PAUSE)  # most checks are over soon
    return ""


def num_processes(session: int) -> int:
    """How many processes a session has, where the system says."""
    num = 0
    for entry in os.listdir("/proc") if sys.platform == "linux" else ():
        with contextlib.suppress(OSError):
            num += entry.isdigit() and os.getsid(int(entry)) == session
    return num


def end_group(child: Child) -> None:
    """End the child and the processes that it started."""
    if sys.platform == "win32":
        subprocess.run(["taskkill", "/F", "/T", "/PID", str(child.pid)], capture_output=True, check=False)
    else:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(child.pid, signal.SIGKILL)
    if child.poll() is None:
        child.kill()
    child.wait()


@contextlib.contextmanager
def adopting() -> Iterator[None]:
    """Within the block processes that lose their parent become this one's, and after it they are ended.

    So end daemons too, which left their group. On Linux; and where this process has neither threads nor other children,
    or somebody else's might be taken for them.
    """
    if not can_copy() or children():
        yield
        return
    set_adoption = partial(ctypes.CDLL(None).prctl, 36)  # PR_SET_CHILD_SUBREAPER
    set_adoption(1)
    try:
        yield
    finally:
        for strays in itertools.takewhile(bool, (children() for _ in range(100))):  # theirs come when they are gone
            for pid in strays:
                os.kill(pid, signal.SIGKILL)
                os.waitpid(pid, 0)
        set_adoption(0)


def children() -> list[int]:
    """The children of this process, which has one thread; none where the system does not tell."""
    with contextlib.suppress(OSError):
        return [int(pid) for pid in Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()]
    return []


def read_answer(path: Path) -> Outcome | None:
    """What the task said, or None where it did not come to that, or said what no task says."""
    try:
        if not path.is_file() or path.is_symlink():  # a pipe would keep its reader waiting
            return None
        if path.stat().st_size > MOST_ANSWER:
            return Outcome(mistake="too-much-output", message=f"its result takes more than {MOST_ANSWER:,} bytes")
        said = from_json(path.read_text(encoding="ascii"), path)
        check_form(said, ANSWER, path)
        return Outcome(**said)
    except (OSError, ValueError, TypeError):
        return None


def ended(overstepped: str, code: int | None, limits: Limits, line: int | None, function: str) -> Outcome:
    """The outcome of a process that gave no answer."""
    running = f", while {function} ran" if function.isidentifier() else ""
    if overstepped == "timed-out":
        message = f"it was not done after {limits.seconds:g} s{running}: an endless loop?"
    elif overstepped == "too-many-processes":
        message = f"it started more than {MOST_PROCESSES} processes"
    elif overstepped:
        message = f"it printed more than {limits.printed:,} bytes: is a print in a loop?"
    elif code is not None and code < 0:
        message = f"its process was ended by {signal_name(-code)}{running}"
    else:
        message = f"its process ended itself before it was done, with exit code {code}: look for exit, quit and _exit"
    return Outcome(mistake=overstepped or "process-died", message=message, line=line)


def signal_name(number: int) -> str:
    known = {s.value: s.name for s in signal.Signals}
    reasons = {"SIGSEGV": "a crash in compiled code, or endless recursion", "SIGKILL": "for want of memory, perhaps"}
    name = known.get(number, f"signal {number}")
    return f"{name} ({reasons[name]})" if name in reasons else name


def where(trace: Path, file: str) -> tuple[int | None, str]:
    """The line of the file that was running when faulthandler looked, and its function."""
    with contextlib.suppress(OSError):
        # it writes ASCII, names cut to 500 letters, the innermost call first
        wanted = re.escape(file.encode("ascii", "backslashreplace").decode()[:500])
        with open(trace, encoding="ascii", errors="replace") as lines:
            found = re.search(rf'File "{wanted}(?:\.\.\.)?", line (\d+) in (\S+)', lines.read(100_000))
        if found:
            return int(found[1]), found[2]
    return None, ""


# Being saved ----------------------------------------------------------------------------------------------------


class Saved(Exception):
    """The file is another one than when its check began."""


class Look(NamedTuple):
    """What a look at a file sees: when it was written and how large, and a digest of what it holds."""

    stamp: tuple[int, ...] = ()
    digest: bytes = b""


def follow(path: FilePath, act: Callable[[Callable[[], None]], object]) -> NoReturn:
    """Act at once, and again whenever what the file holds has become other and has then been still for 0.3 s.

    Parameters
    ----------
    path : path
        The file; it may go and come back, as with editors that save by renaming.
    act : callable
        Takes a function to call while it waits (see `run`), which raises Saved as soon as the file is another one.
    """
    seen = look_at(path)

    def stop_when_saved() -> None:
        if look_at(path, seen).digest != seen.digest:
            raise Saved

    while True:
        with contextlib.suppress(Saved):
            act(stop_when_saved)
        seen = next_save(path, seen)


def next_save(path: FilePath, seen: Look, is_called: Callable[[], bool] = bool) -> Look:
    """Wait until the file holds something else than was seen, and keeps still; or until one is called away."""
    latest, since = seen, time.monotonic()
    while not is_called() and (latest.digest == seen.digest or time.monotonic() - since < QUIET):
        time.sleep(0.05)
        if (now := look_at(path, latest)) != latest:
            latest, since = now, time.monotonic()
    return latest


def look_at(path: FilePath, before: Look | None = None) -> Look:
    """A look at the file; where nothing says that it was written since the look before, that one."""
    try:
        status = os.stat(path)
        stamp = (status.st_mtime_ns, status.st_size, status.st_ino)
        is_old = time.time_ns() - status.st_mtime_ns > 2e9  # or the file system's clock may be too coarse to tell
        if before and before.stamp == stamp and is_old:
            return before
        return Look(stamp, hashlib.sha256(read_source(path)).digest())
    except (OSError, ValueError):
        return Look()


def read_source(path: FilePath) -> bytes:
    """What somebody's Python file holds; ValueError where that is no text of a reasonable size."""
    path = Path(path)
    if path.is_dir():
        raise ValueError(f"{path} is a folder: name one .py file in it")
    if path.suffix.lower() == ".ipynb":
        raise ValueError(
            f"{path} is a notebook: export it (jupyter nbconvert --to script {path}), and name the .py file"
        )
    if not path.exists():
        raise ValueError(f"there is no file {path}")
    if path.suffix.lower() != ".py":
        raise ValueError(f"{path} is no Python file: its name must end in .py")
    if not path.is_file():
        raise ValueError(f"{path} is no ordinary file, but a device or a pipe")
    with open(path, "rb") as file:
        source = file.read(MOST_SOURCE + 1)
    if len(source) > MOST_SOURCE:
        raise ValueError(f"{path} holds more than {MOST_SOURCE:,} bytes: no Python that a person wrote")
    if b"\0" in source:
        raise ValueError(f"{path} is no text in UTF-8, as Python files are: save it as such")
    return source
