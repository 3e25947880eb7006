"""Worker threads, set on purpose: parts of a batch go to them, and BLAS keeps to one thread meanwhile."""

import os
import threading
from collections.abc import Callable
from queue import SimpleQueue
from typing import Any, TypeAlias

from ..naming import check_count
from . import blas

Task: TypeAlias = Callable[[int, int, int], None]  # (worker, start, stop)
WORTH_A_THREAD = 1_000_000  # multiply-adds: some 20 microseconds of work, what it takes to wake a thread

_lock = threading.Lock()  # one shared task at a time; a second caller does its parts alone
_workers: list[SimpleQueue[Any]] = []  # inboxes of the running worker threads
_finished: SimpleQueue[BaseException | None] = SimpleQueue()
_num_threads = 0  # 0: not decided yet


def num_threads() -> int:
    """How many threads share the work: set_threads, else $HANDGRAD_THREADS, else as many as BLAS uses."""
    if not _num_threads:
        wish = os.environ.get("HANDGRAD_THREADS")
        if wish:
            set_threads(check_count("HANDGRAD_THREADS", "its value", int(wish) if wish.isdecimal() else wish))
        else:
            library = blas.find()
            set_threads(min(library.num_threads(), len_affinity()) if library else 1)
    return _num_threads


def set_threads(n: int) -> None:
    """Use n threads for convolutions, and for the matrix products of BLAS.

    Sums are split by the number of threads, so the same bits need the same number; a run's record has it.

    Parameters
    ----------
    n : int
        At least 1, which keeps everything in the calling thread. Until this is called, the environment's
        HANDGRAD_THREADS holds, or else as many as BLAS uses, and no more than the processors this process may use.

    Raises
    ------
    ValueError
        If n is no whole number of 1 or more.

    Examples
    --------
    >>> import handgrad as hg
    >>> from handgrad.kernels import num_threads
    >>> before = num_threads()
    >>> hg.set_threads(1)
    >>> num_threads()
    1
    >>> hg.set_threads(before)
    """
    global _num_threads
    _num_threads = check_count("set_threads", "n", n)
    library = blas.find()
    if library is not None:
        library.set_threads(n)


def len_affinity() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def share(count: int, task: Task, work: int) -> None:
    """Call task(worker, start, stop) once for each thread, on equal contiguous parts of range(count).

    work, in multiply-adds or the like, decides how many threads are worth waking. The parts depend on nothing but
    these two and the number of threads, so that sums kept per worker come out the same each time. What a task raises
    is raised here, after all parts have ended.
    """
    parts = max(min(num_threads(), count, work // WORTH_A_THREAD), 1)
    bounds = [count * i // parts for i in range(parts + 1)]
    if not _lock.acquire(blocking=False):
        for worker in range(parts):
            task(worker, bounds[worker], bounds[worker + 1])
        return
    before = limit_blas(1)
    try:
        run(task, bounds)
    finally:
        limit_blas(before)
        _lock.release()


def run(task: Task, bounds: list[int]) -> None:
    while len(_workers) < len(bounds) - 2:
        inbox = SimpleQueue[Any]()
        threading.Thread(target=work, args=(inbox, _finished), daemon=True, name="handgrad").start()
        _workers.append(inbox)
    others = _workers[: len(bounds) - 2]
    for worker, inbox in enumerate(others, start=1):
        inbox.put((task, worker, bounds[worker], bounds[worker + 1]))
    try:
        task(0, bounds[0], bounds[1])
    finally:
        problems = [_finished.get() for _ in others]
    for problem in problems:
        if problem is not None:
            raise problem


def work(inbox: SimpleQueue[Any], finished: SimpleQueue[BaseException | None]) -> None:
    """A worker thread: do what comes in, report the exception or None."""
    while True:
        task, *part = inbox.get()
        try:
            task(*part)
        except BaseException as problem:
            finished.put(problem)
        else:
            finished.put(None)
        task = None  # a waiting worker must not keep the last task's arrays alive


def limit_blas(n: int) -> int:
    """Set BLAS's number of threads, and return what it was."""
    library = blas.find()
    if library is None:
        return n
    before = library.num_threads()
    if before != n:
        library.set_threads(n)
    return before


def forget() -> None:
    """In a forked child the threads are gone: start afresh."""
    global _lock, _finished
    _lock, _finished = threading.Lock(), SimpleQueue()
    _workers.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=forget)
