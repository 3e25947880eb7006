"""Worker threads: parts are shared out, errors come back, BLAS keeps to its place."""

import os
import subprocess
import sys
import threading

import pytest

from handgrad.kernels import blas, describe, set_threads
from handgrad.kernels.threads import all_blas_threads, in_turn, num_threads, one_blas_thread, share


@pytest.fixture(autouse=True)
def put_back():
    before = num_threads()
    yield
    set_threads(before)


def run_python(code, **environment):
    environment = {**os.environ, **environment}
    result = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    return result.stdout.strip()


@pytest.mark.parametrize("count", [0, 1, 2, 7, 100])
@pytest.mark.parametrize("threads", [1, 2, 4])
def test_parts_cover_the_range_once_in_order(count, threads):
    set_threads(threads)
    parts = {}
    share(count, lambda worker, start, stop: parts.update({worker: range(start, stop)}), work=10**9)
    assert [i for worker in sorted(parts) for i in parts[worker]] == list(range(count))
    assert len(parts) == max(min(threads, count), 1)


def test_little_work_stays_in_the_calling_thread():
    set_threads(2)
    names = []
    share(10, lambda *_: names.append(threading.current_thread()), work=1000)
    assert names == [threading.current_thread()]


@pytest.mark.parametrize("failing", [0, 1])
def test_an_error_in_any_thread_is_raised_and_the_workers_live_on(failing):
    set_threads(2)

    def task(worker, start, stop):
        if worker == failing:
            raise ArithmeticError(f"in worker {worker}")

    for _ in range(3):
        with pytest.raises(ArithmeticError, match=f"in worker {failing}"):
            share(10, task, work=10**9)


def test_a_task_may_share_work_itself():
    set_threads(2)
    seen = []
    share(2, lambda *_: share(4, lambda w, start, stop: seen.extend(range(start, stop)), work=10**9), work=10**9)
    assert sorted(seen) == [0, 0, 1, 1, 2, 2, 3, 3]


@pytest.mark.skipif(blas.find() is None, reason="NumPy's BLAS is not one whose threads can be set")
def test_blas_has_one_thread_inside_and_its_own_number_outside():
    set_threads(2)
    inside = []
    share(2, lambda *_: inside.append(blas.find().num_threads()), work=10**9)
    assert inside == [1, 1]
    assert blas.find().num_threads() == 2


@pytest.mark.parametrize("n", [0, -1, 1.5, True, "2"])
def test_set_threads_refuses(n):
    with pytest.raises(ValueError, match=f"set_threads: n must be a whole number >= 1, got {n!r}"):
        set_threads(n)


def test_the_environment_decides_at_first():
    show = "from handgrad import kernels; print(kernels.num_threads())"
    assert run_python(show, HANDGRAD_THREADS="3") == "3"


def test_a_wrong_environment_is_named():
    show = "from handgrad import kernels\ntry: kernels.num_threads()\nexcept ValueError as problem: print(problem)"
    message = "HANDGRAD_THREADS: its value must be a whole number >= 1, got 'two'"
    assert message in run_python(show, HANDGRAD_THREADS="two")


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_a_forked_child_starts_its_own_threads():
    code = (
        "import os, threading; from handgrad.kernels.threads import share, set_threads; set_threads(2)\n"
        "names = []; task = lambda *_: names.append(threading.current_thread().name)\n"
        "share(2, task, 10**9)\n"
        "if os.fork() == 0:\n    share(2, task, 10**9); print(len(names), flush=True); os._exit(0)\n"
        "os.wait()"
    )
    assert run_python(f"import warnings; warnings.simplefilter('ignore')\n{code}") == "4"


def test_describe_names_threads_and_blas():
    set_threads(2)
    facts = describe()
    assert facts["threads"] == 2
    assert facts["blas"] and isinstance(facts["advice"], str)


needs_blas = pytest.mark.skipif(blas.find() is None, reason="NumPy's BLAS is not one whose threads can be set")


@needs_blas
def test_blas_gets_its_threads_back_when_the_last_of_several_blocks_ends():
    set_threads(2)
    with one_blas_thread:
        with all_blas_threads, one_blas_thread:  # in a block of one thread, neither changes anything
            assert blas.find().num_threads() == 1
        assert blas.find().num_threads() == 1
        set_threads(3)
        assert blas.find().num_threads() == 1
    assert blas.find().num_threads() == 3
    with all_blas_threads:
        with one_blas_thread:
            assert blas.find().num_threads() == 1
        assert blas.find().num_threads() == 3


@needs_blas
def test_blocks_of_both_kinds_take_turns():
    set_threads(2)
    seen = []

    def note(block, threads):
        for _ in range(200):
            with block:
                seen.append((threads, blas.find().num_threads()))

    kinds = [(one_blas_thread, 1), (all_blas_threads, 2)] * 3
    callers = [threading.Thread(target=note, args=kind) for kind in kinds]
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join()
    assert len(seen) == 200 * len(kinds) and all(wanted == found for wanted, found in seen)
    assert blas.find().num_threads() == 2


@needs_blas
def test_an_error_in_a_block_ends_it():
    set_threads(2)
    with pytest.raises(KeyError), all_blas_threads, one_blas_thread:
        raise KeyError
    with all_blas_threads:
        assert blas.find().num_threads() == 2


@pytest.mark.skipif(not isinstance(blas.find(), blas.OpenBlas), reason="NumPy has no OpenBLAS")
def test_products_too_small_to_gain_from_threads_run_on_one():
    set_threads(2)
    assert [in_turn(blas.find().num_threads, products)() for products in (10**6, 10**9)] == [1, 2]
