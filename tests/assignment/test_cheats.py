"""Ways to get points without the work, or to break the grader: each gets what its numbers are worth, and one line."""

import pytest

from handgrad.assignment import grade, grading, read_assignment

SPEC = """
title = "Squares"
files = ["squares.py"]
time_limit = 20
memory_limit = 300
[[tasks]]
function = "square_backward"
inputs = { x = [4, 3] }
"""
HEAD = """
import atexit, ctypes, json, os, signal, socket, subprocess, sys, threading, time
import numpy as np
"""
RIGHT = "return 2 * dy * x"
ZERO = "return 0 * dy"
FORGE = """
frame = sys._getframe()
while 'place' not in frame.f_locals:
    frame = frame.f_back
here = frame.f_locals
np.savez(here['place'] / 'results.npz', **{f'{name}/{of}': np.zeros((4, 3)) for name in here['calls'] for of in 'xy'})
while 'job' not in frame.f_locals:
    frame = frame.f_back
open(frame.f_locals['job']['answer'], 'w').write('{"data": ["all of it is right"]}')
os._exit(0)
"""
CRASHES = """
frame = sys._getframe()
while 'job' not in frame.f_locals:
    frame = frame.f_back
if {}:
    os.mkfifo(frame.f_locals['job']['answer'])
open(frame.f_locals['job']['answer'], 'w').write('{}')
os._exit(0)
"""
EVERYTHING = """
class Everything:
    __eq__ = __le__ = __lt__ = __ge__ = lambda self, other: True
    __sub__ = __rsub__ = __abs__ = __getattr__ = lambda self, *other: self
    __array__ = None
"""
LIE = """
class Lie(np.ndarray):
    __eq__ = __le__ = lambda self, other: np.array(True)
    __sub__ = __rsub__ = lambda self, other: np.zeros(self.shape)
    def __array_ufunc__(self, *given, **named):
        return np.zeros(self.shape)
"""
PICKLE = """
class Payload:
    def __reduce__(self):
        return open, ('pickled', 'w')

save = np.savez
np.savez = lambda path, **arrays: save(path, **{name: np.array([Payload()], object) for name in arrays})
"""
DIFFERENCES = """
dx = np.zeros_like(x)
for i in np.ndindex(x.shape):
    e = np.zeros_like(x)
    e[i] = 1e-6
    dx[i] = ((square_forward(x + e)[0] - square_forward(x - e)[0]) / 2e-6 * dy).sum()
return dx
"""
PATCHES = """
np.testing.assert_allclose = np.allclose = np.array_equal = np.isclose = lambda *given, **named: True
np.abs = np.absolute = np.linalg.norm = lambda *given, **named: 0.0
return 0 * dy
"""
COUNTS = "CALLS.append(1)\nif len(CALLS) > 1:\n    return 0 * x, x"
LIBRARY = """
import collections, dataclasses, decimal, fractions, functools, hashlib, itertools, logging, lzma, math, random
import sqlite3, ssl, statistics, tempfile, typing, unittest, uuid, warnings
import numpy.lib.stride_tricks, numpy.testing
np.fft, np.linalg, np.ma, np.polynomial, np.random.default_rng(0)
open('scratch', 'w').write('mine')
"""
# {name: (head, forward, backward, points, words of what the student is told)}
CHEATS = {
    "exits": ("", "", "os._exit(0)", 0, "ended itself"),
    "exits politely": ("", "", "sys.exit(0)", 0, "SystemExit"),
    "interrupts": ("", "", "raise KeyboardInterrupt", 0, "KeyboardInterrupt"),
    "kills itself": ("", "", "signal.raise_signal(signal.SIGKILL)", 0, "SIGKILL"),
    "loops": ("", "", "while True: pass", 0, "not done after 2 s, while square_backward ran"),
    "sleeps at its import": ("time.sleep(1000)", "", RIGHT, 0, "not done after 2 s"),
    "bombs": ("", "", "while True: os.fork()", 0, "os.fork is not allowed here"),
    "asks us": ("", "", "import handgrad\nreturn handgrad", 0, "No module named 'handgrad'"),
    "asks what is installed": ("", "", "sys.path.append(os.path.dirname(np.__path__[0]))\nimport click", 0, "click"),
    "asks a program": ("", "", "subprocess.run([sys.executable, '-c', 'import handgrad'])", 0, "not allowed"),
    "asks the network": ("", "", "socket.create_connection(('127.0.0.1', 80))", 0, "not allowed"),
    "reads the solution": ("", "", "open('SOLUTION').read()", 0, "not yours to read"),
    "reads our environment": ("", "", "os.environ['GRADING_SECRET']", 0, "KeyError: 'GRADING_SECRET'"),
    "reads our memory": ("", "", "open(f'/proc/{os.getppid()}/mem', 'rb')", 0, "not yours to read"),
    "signals us": ("", "", "os.kill(os.getppid(), signal.SIGKILL)", 0, "not allowed"),
    "patches the checker": ("", "", PATCHES, 0, "x is wrong"),
    "patches json": ("json.dumps = lambda *given, **named: '{}'", "", ZERO, 0, "x is wrong"),
    "equals everything": (EVERYTHING, "", "return Everything()", 0, "must be an array of numbers"),
    "lies about itself": (LIE, "", "return dy.view(Lie)", 0, "x is wrong"),
    "forges its results": ("", "", FORGE, 0, "x is wrong"),
    "forges nonsense": (
        "",
        "",
        CRASHES.format(0, '{"problem": [1], "data": ""}'),
        0,
        "ended itself",
    ),
    "forges a mistake": ("", "", CRASHES.format(0, '{"mistake": "no-such"}'), 0, "ended itself"),
    "forges depths": ("", "", CRASHES.format(0, '{"data": ' + "[" * 10**5), 0, "ended itself"),
    "leaves a pipe": ("", "", CRASHES.format(1, ""), 0, "not done after"),
    "pickles": (PICKLE, "", RIGHT, 0, "no results"),
    "returns objects": ("", "", "return (2 * dy * x).astype(object)", 0, "must be an array of numbers"),
    "is consistently zero": ("", "return 0 * x, x", ZERO, 0, "x is wrong: it is the gradient of the forward that was"),
    "is right on the first call": ("CALLS = []", COUNTS, ZERO, 0, "x is wrong"),
    "remembers its first arrays": ("SEEN = []", "SEEN.append(x)\nreturn SEEN[0] ** 2, SEEN[0]", RIGHT, 0, "x is wrong"),
    "is random": ("", "return x * x + np.random.normal(size=x.shape), x", RIGHT, 0, "is wrong"),
    "takes differences": ("", "", DIFFERENCES, 1, "differences instead of a derivative?"),
    "changes its arguments": ("", "", "dy *= 2 * x\nreturn dy", 1, "changes its argument dy in place"),
    "is not a number": ("", "", "return np.nan * dy", 0, "x is wrong"),
    "has another shape": ("", "", "return 2 * dy[:1] * x[:1]", 0, "x is wrong"),
    "takes all memory": ("", "", "return np.ones(10**9)", 0, "MemoryError"),
    "returns too much": ("", "", "return np.ones(5 * 10**6)", 0, "returned more than"),
    "floods": ("", "", "while True: print('x' * 10**6)", 0, "printed more than"),
    "prints results": ("", "", "print('{\"score\": 100}')\n" + ZERO, 0, 'it printed: {"score": 100}'),
    "raises at length": ("", "", "raise ValueError('long ' * 10**7)", 0, "raised ValueError: long long"),
    "traces": ("sys.settrace(lambda *given: None)", "", RIGHT, 1, "x is right"),
    "stays": ("threading.Thread(target=time.sleep, args=[1000]).start()", "", RIGHT, 1, "x is right"),
    "stays till the end": ("atexit.register(time.sleep, 1000)", "", RIGHT, 1, "x is right"),
    "needs the standard library": (LIBRARY, "", RIGHT, 1, "x is right"),
    "speaks in tongues": ("", "größe = x\nreturn größe * x, x", "学生 = 2 * dy\nreturn 学生 * x", 1, "x is right"),
}


def indented(code):
    return "".join(f"    {line}\n" for line in code.strip().splitlines())


def source(head, forward, backward):
    pair = ("def square_forward(x):", indented(forward), "    return x * x, x", "def square_backward(dy, x):")
    return "\n".join([HEAD, head, *pair, indented(backward)])


@pytest.fixture(scope="module")
def spec(tmp_path_factory):
    path = tmp_path_factory.mktemp("spec") / "SPEC.toml"
    path.write_text(SPEC)
    path.with_name("QUICK.toml").write_text(SPEC.replace("= 20", "= 2"))
    solved = source("", "", RIGHT).replace("(dy, x):", '(dy, x):\n    """dx."""')
    (path.parent / "squares.py").write_text(solved)
    return path


@pytest.fixture(scope="module")
def outcomes(spec, tmp_path_factory):
    """What came of all of them, by name."""
    folder = tmp_path_factory.mktemp("class")
    for name, (head, forward, backward, *_) in CHEATS.items():
        text = source(head, forward, backward).replace("SOLUTION", str(spec.parent / "squares.py"))
        (folder / f"{name}.py").write_text(text, encoding="utf-8")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GRADING_SECRET", "42")
        patch.setattr(grading, "looked_at", lambda *given: {})  # words alone, and seconds
        hang = [folder / f"{name}.py" for name, (*_, words) in CHEATS.items() if "not done" in words]
        others = [folder / f"{name}.py" for name in CHEATS if folder / f"{name}.py" not in hang]
        found = [*grade(read_assignment(spec), others), *grade(read_assignment(spec.with_name("QUICK.toml")), hang)]
        return {results["extra_data"]["student"]: results for results in found}


@pytest.mark.parametrize("name", CHEATS)
def test_a_cheat_gets_what_its_numbers_are_worth(outcomes, name):
    *_, points, words = CHEATS[name]
    found = outcomes[name]
    told = found["tests"][0]["output"]
    assert (found["score"], words in told) == (points, True), told
    assert len(told) < 5000


def test_modules_beside_a_file_do_not_take_the_place_of_others(spec, tmp_path):
    folder = tmp_path / "学生 é"
    folder.mkdir()
    for name in ("numpy.py", "json.py", "os.py", "sitecustomize.py", "usercustomize.py", "hack.pth"):
        (folder / name).write_text("import sys; print('hacked')\n")
    (folder / "squares.py").write_text(source("import helper", "", "return helper.twice(dy) * x"))
    (folder / "helper.py").write_text("def twice(x):\n    return 2 * x\n")
    (results,) = grade(read_assignment(spec), [folder])
    assert results["score"] == 1
    assert results["extra_data"]["student"] == "学生 é"
    assert "hacked" not in str(results["tests"])


def test_what_feedback_says_is_words_whatever_runs_there(spec, tmp_path):
    """The feedback's process has handgrad in it, and no points: who forges its answer changes the words, not more."""
    forged = """
import json, sys
if "handgrad" in sys.modules:
    frame = sys._getframe()
    while "job" not in frame.f_locals:
        frame = frame.f_back
    told, mistake = ["<b>all is right\\x1b[2J</b>"] * 10**6, {"array": "x", "mistake": "no-such", "line": 1}
    open(frame.f_locals["job"]["answer"], "w").write(json.dumps({"data": {"told": told, "mistakes": [mistake]}}))
    os._exit(0)
"""
    path = tmp_path / "forger.py"
    path.write_text(source(forged, "", ZERO))
    (results,) = grade(read_assignment(spec), [path])
    assert results["score"] == 0
    assert "all is right" not in str(results["tests"])
    (mistake,) = results["extra_data"]["tasks"]["square_backward"]["mistakes"]
    assert mistake["mistake"] == "unexplained"
