"""Threads, set on purpose: parts of a batch go to worker threads, and BLAS keeps to one thread meanwhile."""

import contextlib
import os
import threading
from collections.abc import Callable
from queue import SimpleQueue
from typing import Any, TypeAlias, TypeVar

from ..naming import check_count
from . import blas

T = TypeVar("T")
Task: TypeAlias = Callable[[int, int, int], None]  # (worker, start, stop)
WORTH_A_THREAD = 1_000_000  # multiply-adds: some 20 microseconds of work, what it takes to wake a thread
TOO_SMALL_TO_SHARE = (
    8192  # multiply-adds that OpenBLAS computes in the calling thread, its matrix times vector included
)
SMALL_PRODUCT = 2**24  # multiply-adds: below, a second thread of BLAS costs more in waiting than it brings

_lock = threading.Lock()  # one shared task at a time; a second caller does its parts alone
_workers: list[SimpleQueue[Any]] = []  # inboxes of the running worker threads
_finished: SimpleQueue[BaseException | None] = SimpleQueue()
_num_threads = 0  # 0: not decided yet


def num_threads() -> int:
    """How many threads share the work: set_threads, else $HANDGRAD_THREADS, else as many as BLAS uses."""
    if not _num_threads:
        if wish := os.environ.get("HANDGRAD_THREADS"):
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
    _blas_threads.set(n)


def len_affinity() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def share(count: int, task: Task, work: int) -> None:
    """Call task(worker, start, stop) once for each thread, on equal contiguous parts of range(count).

    work, in multiply-adds or the like, decides how many threads are worth waking. The parts depend on nothing but
    these two and the number of threads, so that sums kept per worker come out the same each time. What a task raises
    is raised here, after all parts have ended.
    """
    if num_threads() == 1:  # and BLAS has one, too
        task(0, 0, count)
        return
    parts = max(min(num_threads(), count, work // WORTH_A_THREAD), 1)
    bounds = [count * i // parts for i in range(parts + 1)]
    with one_blas_thread:
        if parts == 1 or not _lock.acquire(blocking=False):
            for worker in range(parts):
                task(worker, bounds[worker], bounds[worker + 1])
            return
        try:
            run(task, bounds)
        finally:
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
    _held.single = True  # by who waits for it
    while True:
        task, *part = inbox.get()
        try:
            task(*part)
        except BaseException as problem:
            finished.put(problem)
        else:
            finished.put(None)
        task = None  # a waiting worker must not keep the last task's arrays alive


# The threads of BLAS --------------------------------------------------------------------------------------------------


class BlasThreads:
    """BLAS's number of threads: the whole process has one, and the bits of a product depend on it.

    Blocks that need one thread and blocks that let BLAS have all its threads take turns: any number of one kind run at
    a time, and never both kinds. So a product comes out the same whatever other threads do meanwhile.
    """

    def __init__(self) -> None:
        self.lock: threading.Lock = threading.Lock()
        self.changed: threading.Condition = threading.Condition(self.lock)
        self.running: int = 0  # how many blocks
        self.single: bool = False  # which kind they are
        self.turn: bool = False  # which kind goes first where both wait
        self.waiting: dict[bool, int] = {True: 0, False: 0}
        self.outside: int = 1  # the threads of BLAS before and after blocks of one

    def enter(self, single: bool) -> None:
        """Begin a block, when its turn has come."""
        with self.lock:
            if not self.may_begin(single):
                self.waiting[single] += 1
                try:
                    self.changed.wait_for(lambda: self.may_begin(single))
                finally:
                    self.waiting[single] -= 1
                    self.changed.notify_all()
            if single and not self.running:
                self.outside = limit_blas(1)
            self.single = single
            self.running += 1

    def may_begin(self, single: bool) -> bool:
        """Never beside the other kind; and where that waits, only in turn."""
        if self.running:
            return self.single == single and not self.waiting[not single]
        return self.turn == single or not self.waiting[not single]

    def leave(self) -> None:
        """End a block."""
        with self.lock:
            self.running -= 1
            if not self.running:
                if self.single and self.outside != 1:
                    limit_blas(self.outside)
                self.turn = not self.single
                if self.waiting[self.turn]:
                    self.changed.notify_all()

    def set(self, n: int) -> None:
        """Give BLAS n threads, now or after the blocks of one."""
        with self.lock:
            if self.running and self.single:
                self.outside = n
            else:
                limit_blas(n)


class Held(threading.local):
    """The kind of block that a thread is in: True for one BLAS thread, False for all, None for neither."""

    single: bool | None = None

    def __init__(self) -> None:
        self.outer: list[bool | None] = []  # around each block that it is in


class BlasBlock:
    """A block of `BlasThreads`. In one of one thread the other kind changes nothing; in one of all it is left for the
    time of a block of one."""

    def __init__(self, single: bool) -> None:
        self.single: bool = single

    def __enter__(self) -> None:
        outer = _held.single
        if outer is not self.single and (self.single or (outer is None and num_threads() > 1)):
            move(self.single)
        _held.outer.append(outer)

    def __exit__(self, *problem: object) -> None:
        outer = _held.outer.pop()
        if outer is not _held.single:
            move(outer)


def threads_for(products: int) -> contextlib.AbstractContextManager[object]:
    """What products of so many multiply-adds run in: one thread of BLAS for small ones, all for large ones.

    Tiny ones are none of our business, since BLAS computes them in the calling thread.
    """
    if products <= TOO_SMALL_TO_SHARE:
        return contextlib.nullcontext()
    return one_blas_thread if products <= SMALL_PRODUCT else all_blas_threads


def in_turn(function: Callable[..., T], products: int) -> Callable[..., T]:
    """The function, called with the threads of BLAS that are right for products of so many multiply-adds.

    Within a block it keeps to the block's.
    """
    if _held.single is not None:
        return function

    def call(*arguments: Any, **options: Any) -> T:
        with threads_for(products):
            return function(*arguments, **options)

    return call


def is_in_block() -> bool:
    """Whether the threads of BLAS are settled for this thread."""
    return _held.single is not None


def move(single: bool | None) -> None:
    """Leave the kind of block that this thread is in for another one."""
    if _held.single is not None:
        _blas_threads.leave()
        _held.single = None
    if single is not None:
        _blas_threads.enter(single)
        _held.single = single


def limit_blas(n: int) -> int:
    """Set BLAS's number of threads, and return what it was."""
    if (library := blas.find()) is None:
        return n
    if (before := library.num_threads()) != n:
        library.set_threads(n)
    return before


_blas_threads, _held = BlasThreads(), Held()
one_blas_thread: BlasBlock = BlasBlock(True)
all_blas_threads: BlasBlock = BlasBlock(False)


def forget() -> None:
    """In a forked child the other threads are gone: start afresh."""
    global _lock, _finished, _blas_threads
    _lock, _finished = threading.Lock(), SimpleQueue()
    _workers.clear()
    outside, _blas_threads = _blas_threads.outside, BlasThreads()
    if _held.single is not None:
        _blas_threads.running, _blas_threads.single, _blas_threads.outside = 1, _held.single, outside


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=forget)
