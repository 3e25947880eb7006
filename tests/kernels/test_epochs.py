"""The compiled steps where something is missing, shared or in the way: what happens is said, and training goes on."""

import os
import subprocess
import sys

import numpy as np
import pytest

import handgrad as hg
from handgrad.kernels import route
from handgrad.training import trainer as training

if route.epochs() is None:
    pytest.skip(route.why_numpy(), allow_module_level=True)

FIT = """
import numpy as np, handgrad as hg
x = np.random.default_rng(0).normal(size=(64, 3))
trainer = hg.Trainer(hg.Sequential([hg.Linear(4), hg.ReLU(), hg.Linear(2)]))
trainer.fit(x, (x[:, 0] > 0).astype(int), epochs=60)
print(trainer._at_once > 0, trainer.engine.how(32), repr(float(trainer.model.parameter_vector.sum())))
"""

PLACE = """
import numpy as np
from handgrad.kernels import compiled
bordered = np.zeros((1, 4, 4, 1))
with compiled.announced("a test"):
    compiled.place(np.ones((1, 2, 2, 1)), bordered, (1, 1))
print(bordered.sum())
"""
SAID = "handgrad: compiling a test for this machine, once: some 20 seconds ...\n"


def fit_elsewhere(code=FIT):
    """A new process that prints what became of a small fit."""
    return subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def small_fit():
    x = np.random.default_rng(0).normal(size=(64, 3))
    trainer = hg.Trainer(hg.Sequential([hg.Linear(4), hg.ReLU(), hg.Linear(2)]))
    trainer.fit(x, (x[:, 0] > 0).astype(int), epochs=60)
    return trainer


@pytest.mark.parametrize(
    ("why", "name", "value"),
    [
        ("Numba is not installed", "find_spec", lambda name: None),
        ("NumPy's products are not OpenBLAS's", "blas", type("blas", (), {"find": lambda: None, "OpenBlas": int})),
    ],
)
def test_what_is_missing_is_told(why, name, value, monkeypatch):
    monkeypatch.setattr(route, name, value)
    trainer = small_fit()
    assert not trainer._at_once
    assert trainer.engine.how(32).startswith(f"step by step: {why}")


def test_a_numba_too_old_is_told(monkeypatch):
    monkeypatch.setitem(sys.modules, "handgrad.kernels.compiled", None)
    monkeypatch.delattr("handgrad.kernels.compiled")
    assert small_fit().engine.how(32).startswith("step by step: Numba is too old for this NumPy")


def test_nowhere_to_keep_what_is_compiled():
    nowhere = "import numba.core.caching as caching; caching.CacheImpl._locator_classes = []\n"
    process = fit_elsewhere(nowhere + FIT)
    out, error = process.communicate()
    assert process.returncode == 0, error
    assert "step by step: Numba may keep what it compiles nowhere: set NUMBA_CACHE_DIR" in out and "too old" not in out


def test_a_small_fit_does_not_wait_for_numba():
    assert training.MANY_STEPS > 2 * 2
    code = FIT.replace("epochs=60", "epochs=2").split("print")[0] + "import sys; print('numba' in sys.modules)"
    assert fit_elsewhere(code).communicate()[0] == "False\n"


def test_few_steps_of_much_work_are_compiled(monkeypatch):
    monkeypatch.setattr(training, "MUCH_WORK", 3 * 64 * (3 * 4 + 4 + 4 * 2 + 2))
    for epochs, compiled in ((2, False), (3, True)):
        trainer = hg.Trainer(hg.Sequential([hg.Linear(4), hg.ReLU(), hg.Linear(2)]))
        trainer.fit(np.ones((64, 3)), np.arange(64) % 2, epochs=epochs)
        assert (trainer._at_once > 0) == compiled


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_fork_trains_to_the_same_bits():
    expected = small_fit().model.parameter_vector.tobytes()
    reader, writer = os.pipe()
    if not (child := os.fork()):
        os.write(writer, small_fit().model.parameter_vector.tobytes())
        os._exit(0)
    os.waitpid(child, 0)
    assert os.read(reader, len(expected)) == expected


def test_two_processes_come_to_the_same_bits():
    processes = [fit_elsewhere() for _ in range(2)]
    outs = [process.communicate()[0] for process in processes]
    assert outs[0] == outs[1]
    assert outs[0].startswith("True up to")


def test_two_processes_compile_at_once(tmp_path, monkeypatch):
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(tmp_path))
    processes = [fit_elsewhere(PLACE) for _ in range(2)]
    assert [process.communicate() for process in processes] == [("4.0\n", SAID)] * 2
    assert fit_elsewhere(PLACE).communicate() == ("4.0\n", "")


def test_two_processes_compile_an_epoch_at_once(tmp_path, monkeypatch):
    usual = fit_elsewhere().communicate()[0]
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(tmp_path))
    processes = [fit_elsewhere() for _ in range(2)]
    said = SAID.replace("a test", "the training of dense networks")
    assert [process.communicate() for process in processes] == [(usual, said)] * 2
    assert fit_elsewhere().communicate() == (usual, "")


def test_more_threads_than_cores_give_the_same_numbers():
    expected = small_fit().model.parameter_vector.copy()
    before = hg.kernels.num_threads()
    hg.set_threads(16)
    try:
        np.testing.assert_array_equal(small_fit().model.parameter_vector, expected)
    finally:
        hg.set_threads(before)
