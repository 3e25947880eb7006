"""handgrad check: somebody's file, found code, verdicts, exit codes, one line for every fault."""

import json
import os
import signal
import subprocess
import sys
import time

import pytest

from handgrad import cli
from handgrad.user_files import check_file, checks

GOOD = """
import numpy as np

class Dense:
    def __init__(self, n_in, n_out):
        self.W = np.random.default_rng(0).normal(size=(n_in, n_out))
        self.b = np.zeros(n_out)

    def forward(self, x):
        self.x = x
        return x @ self.W + self.b

    def backward(self, dy):
        self.dW, self.db = self.x.T @ dy, dy.sum(axis=0)
        return dy @ self.W.T

def swish_forward(x):
    s = 1 / (1 + np.exp(-x))
    return x * s, (x, s)

def swish_backward(dy, cache):
    x, s = cache
    return dy * (s + x * s * (1 - s))

def cube(x):
    return x ** 3

def cube_prime(x):
    return 3 * x ** 2

def _helper_forward(x):
    raise RuntimeError("never to be called")

class Exp:
    @staticmethod
    def forward(ctx, x):
        y = np.exp(x)
        ctx.save_for_backward(y)
        return y

    @staticmethod
    def backward(ctx, dy):
        (y,) = ctx.saved_tensors
        return dy * y
"""
CONV = """
import numpy as np
import handgrad as hg

class MyTanh(hg.Layer):
    def compute(self, x, training):
        return np.tanh(x), x

    def differentiate(self, dy, x):
        return dy * (1 - np.tanh(x) ** 2), {}

def pool_forward(x, pool_param):
    s = pool_param["pool_height"]
    n, c, h, w = x.shape
    return x.reshape(n, c, h // s, s, w // s, s).mean(axis=(3, 5)), (x.shape, s)

def pool_backward(dy, cache):
    shape, s = cache
    return dy.repeat(s, axis=2).repeat(s, axis=3)
"""
NEEDS_INPUT = """
import numpy as np

def odd_forward(table, key):
    return table[key] ** 2, (table, key)

def odd_backward(dy, cache):
    table, key = cache
    d = np.zeros_like(table)
    d[key] = 2 * table[key] * dy
    return (d,)
"""


@pytest.fixture
def write(tmp_path):
    def writer(text, name="mine.py"):
        path = tmp_path / name
        path.write_text(text)
        return path

    return writer


@pytest.fixture
def call(capsys):
    def run(*arguments):
        with pytest.raises(SystemExit) as ending:
            cli.main(["check", *map(str, arguments)])
        captured = capsys.readouterr()
        return ending.value.code, captured.out, captured.err

    return run


def test_pairs_layers_functions_and_classes_are_found(write):
    reports = dict(check_file(write(GOOD)))
    assert list(reports) == ["Dense", "swish", "cube", "Exp"]
    assert all(report.ok for report in reports.values()), reports
    assert list(reports["Dense"].arrays) == ["x", "W", "b"]


ANY_CALLABLE = """
import functools
import numpy as np

def noted(function):
    return functools.wraps(function)(lambda *arguments: function(*arguments))

class Both:
    def there(self, x):
        return x * x, x

    def back(self, dy, x):
        return 2 * dy * x

class Pair:
    @staticmethod
    def forward(x):
        return x * x, x

    @staticmethod
    def backward(dy, x):
        return 2 * dy * x

class Slots:
    __slots__ = ("w", "dw", "x")

    def __init__(self):
        self.w = np.ones((4, 5))

    def forward(self, x):
        self.x = x
        return x @ self.w

    def backward(self, dy):
        self.dw = self.x.T @ dy
        return dy @ self.w.T

def power(x, n):
    return x**n, (x, n)

def power_back(dy, cache):
    x, n = cache
    return n * dy * x ** (n - 1)

partly_forward, partly_backward = functools.partial(power, n=3.0), power_back
method_forward, method_backward = Both().there, Both().back
logged_forward, logged_backward = noted(Both().there), noted(Both().back)

def several_forward(*arrays):
    return np.ma.masked_array(arrays[0]), None

def several_backward(dy, cache):
    return dy
"""


def test_whatever_can_be_called_is_found(write):
    reports = dict(check_file(write(ANY_CALLABLE)))
    assert list(reports) == ["Pair", "Slots", "partly", "method", "logged", "several"]
    assert all(report.ok for report in reports.values())
    assert list(reports["Slots"].arrays) == ["x", "w"]


FAULTS = """
def lost_forward(x):
    return x * x, x

def lost_backward(dy):
    return dy

class Lost:
    def forward(self, x):
        return 2 * x

    def backward(self, dy):
        return dy * self.two

class Silent(Exception):
    def __str__(self):
        raise ValueError

def silent_forward(x):
    raise Silent

def silent_backward(dy, cache):
    return dy

def complex_forward(x):
    return x + 0j, None

def complex_backward(dy, cache):
    return dy

def ragged_forward(x):
    return [x[0], x], None

def ragged_backward(dy, cache):
    return dy
"""


def test_faults_are_verdicts_with_their_lines(write):
    reports = dict(check_file(write(FAULTS)))
    assert {name: (v.mistake, v.line) for name, report in reports.items() for v in report.verdicts} == {
        "lost": ("backward-raises", 5),
        "Lost": ("backward-raises", 13),
        "silent": ("forward-raises", 20),
        "complex": ("wrong-output", None),
        "ragged": ("wrong-output", None),
    }


def test_a_file_of_very_many_functions_is_read_soon(write, monkeypatch):
    asked = []
    monkeypatch.setattr(checks.difflib, "get_close_matches", lambda *given, **more: asked.append(given) or [])
    many = "".join(f"def f{i}(x): return x\n" for i in range(3000))
    assert check_file(write(GOOD + many))
    assert len(asked) < 10_000


def test_one_by_name(write):
    assert [name for name, _ in check_file(write(GOOD), "swish")] == ["swish"]


def test_subclasses_of_layer_and_settings_in_dicts(write):
    reports = dict(check_file(write(CONV)))
    assert reports["MyTanh"].ok
    assert [v.mistake for v in reports["pool"].verdicts] == ["constant-factor"] or not reports["pool"].ok


def test_arrays_are_guessed_for_attention_and_for_channels_of_images(write):
    text = (
        "from handgrad import functional as F\n"
        "def attention_forward(q, k, v):\n    return F.attention_forward(q, k, v)\n"
        "def attention_backward(dy, cache):\n    return F.attention_backward(dy, cache)\n"
        "def channels_forward(x, gamma, beta):\n    n, c, h, w = x.shape\n"
        "    return x * gamma.reshape(1, c, 1, 1) + beta.reshape(1, c, 1, 1), (x, gamma)\n"
        "def channels_backward(dy, cache):\n    x, gamma = cache\n"
        "    return dy * gamma[:, None, None], (dy * x).sum((0, 2, 3)), dy.sum((0, 2, 3))\n"
    )
    reports = dict(check_file(write(text)))
    assert list(reports["attention"].arrays) == ["q", "k", "v"] and reports["attention"].ok
    assert reports["channels"]["x"].shape == (4, 3, 6, 6) and reports["channels"].ok


def test_check_inputs_say_what_cannot_be_guessed(write):
    with pytest.raises(ValueError, match="check_inputs"):
        check_file(write(NEEDS_INPUT))
    given = NEEDS_INPUT + 'check_inputs = {"odd": (np.arange(5.0), 2)}\n'
    ((_, report),) = check_file(write(given, "given.py"))
    assert report.ok, report


def test_check_inputs_may_bring_the_object(write):
    text = GOOD + 'check_inputs = {"Dense": (Dense(2, 7), np.ones((3, 2)))}\n'
    assert dict(check_file(write(text)))["Dense"]["W"].shape == (2, 7)


@pytest.mark.parametrize(
    "text, problem",
    [
        ("import nowhere_to_be_found", "ModuleNotFoundError: No module named 'nowhere_to_be_found' (line 1)"),
        ("def f(:\n    pass", "does not import: SyntaxError"),
        ("raise SystemExit(3)", "does not import: SystemExit"),
        ("x = 1", "nothing to check"),
        ("", "nothing to check"),
        ("x = 1\0", "is no text in UTF-8"),
        ("n = input('how many? ')", "EOFError: EOF when reading a line (line 1); what should not run here goes below"),
        ("\nfrom .helpers import two", "no known parent package (line 2); give its folder an empty __init__.py"),
        ("raise ValueError('two\\nlines')", "does not import: ValueError: two lines (line 1)"),
        ("# coding: klingon", "unknown encoding: klingon"),
        ("x = " + "(" * 5000 + ")" * 5000, "too many nested parentheses"),
        (f"#{'x' * 10**7}", "holds more than 10,000,000 bytes"),
        (GOOD + "check_inputs = [1]", "check_inputs must be a dict of names and arguments, got list"),
        (GOOD + "check_inputs = {'swich': 1}", "check_inputs is for 'swich', which it has no check of; did you mean"),
        (GOOD + "def check_inputs():\n    return 1 / 0", "check_inputs() raised ZeroDivisionError"),
    ],
)
def test_a_file_that_cannot_be_used_says_why_in_one_line(write, call, text, problem):
    code, out, err = call(write(text))
    assert (code, out) == (2, "")
    assert problem in err
    assert len(err.splitlines()) == 1


@pytest.mark.parametrize(
    "text, problem",
    [
        ("def half_forward(x):\n    return x / 2, None\n\ndef half_backwrd(dy, cache):\n    return dy / 2\n",
         "half_forward has no half_backward; did you mean that by 'half_backwrd'?"),
        ("def half(x):\n    return x / 2\n\ndef half_gradeint(x):\n    return 0.5 + 0 * x\n",
         "half has no half_gradient; did you mean that by 'half_gradeint'?"),
        ("class Half:\n  def forward(self, x):\n    return x / 2\n\n  def bakward(self, dy):\n    return dy / 2\n",
         "Half has no backward; did you mean that by 'bakward'?"),
        ("def half_foward(x):\n    return x / 2, None\n\ndef half_backward(dy, cache):\n    return dy / 2\n",
         "half_backward has no half_forward; did you mean that by 'half_foward'?"),
        ("class Half:\n  def foward(self, x):\n    return x / 2\n\n  def backward(self, dy):\n    return dy / 2\n",
         "Half has no forward; did you mean that by 'foward'?"),
        ("class Half:\n  def forward(x):\n    return x / 2\n\n  def backward(dy):\n    return dy / 2\n",
         "Half.forward(x) lacks self, line "),
    ],
)  # fmt: skip
def test_a_misspelt_partner_is_told_and_the_others_checked(write, call, text, problem):
    code, out, err = call(write(GOOD + "\n" + text))
    assert code == 2
    assert out.count("every gradient is right") == 4
    assert err.splitlines() == [line for line in err.splitlines() if problem in line]
    assert len(err.splitlines()) == 1


def test_a_misspelt_gradient_is_no_success(write, call):
    text = GOOD[: GOOD.index("def swish")].replace("self.dW, self.db", "self.dw, self.dB")
    code, out, _ = call(write(text))
    assert code == 2
    assert out.startswith("? Dense: right, but W, b could not be checked")


def test_a_helper_of_another_name_is_no_misspelt_partner(write):
    helper = "\ndef tanh_forward(x):\n    return np.tanh(x), x\n\ndef softmax_backward_helper(dy):\n    return dy\n"
    assert list(dict(check_file(write(GOOD + helper)))) == ["Dense", "swish", "cube", "Exp"]


def test_a_second_name_of_a_function_lacks_no_partner(write):
    pair = "\ndef half_forward(x):\n    return x / 2, None\n\ndef half_backward(dy, cache):\n    return dy / 2\n"
    path = write(GOOD + pair + "\nhalf_forward_fast = half_forward\n")
    assert list(dict(check_file(path))) == ["Dense", "swish", "cube", "Exp", "half"]


def test_what_is_not_written_yet_is_said_whatever_the_arrays(write):
    path = write(
        "def half_forward(x):\n    return scaled(x) + 1, x\n\ndef scaled(x):\n    ...\n\n"
        "def half_backward(dy, x):\n    return dy / 2\n"
    )
    ((_, report),) = check_file(path)
    assert [v.message for v in report.verdicts] == ["scaled is not written yet: the forward needs it in line 2"]


def test_what_is_no_python_file_is_not_read(write, call, tmp_path):
    notebook, table, pipe = write("{}", "mine.ipynb"), write("x,y", "table.csv"), tmp_path / "pipe.py"
    os.mkfifo(pipe)
    (tmp_path / "endless.py").symlink_to("/dev/zero")
    (tmp_path / "latin.py").write_bytes(f"{GOOD}# é".encode("latin-1"))
    for path, problem in {
        tmp_path: "is a folder: name one .py file in it",
        notebook: "is a notebook: export it",
        table: "its name must end in .py",
        pipe: "is no ordinary file",
        tmp_path / "endless.py": "is no ordinary file",
        tmp_path / "latin.py": f"line {GOOD.count(chr(10)) + 1} is no text in UTF-8: save the file as such",
    }.items():
        code, out, err = call(path)
        assert (code, out, len(err.splitlines())) == (2, "", 1)
        assert problem in err


@pytest.mark.parametrize("encoding", ["utf-8-sig", "latin-1"])
def test_files_say_their_encoding(tmp_path, call, encoding):
    (tmp_path / "mine.py").write_bytes(f"# coding: {encoding.removesuffix('-sig')}\n{GOOD}# é".encode(encoding))
    assert call(tmp_path / "mine.py")[0] == 0


def test_names_of_other_modules_are_no_matter(write, call):
    """Neither of the file itself nor of its neighbours, which its own imports find."""
    for name in ("random", "numpy", "json", "typing", "neighbour"):
        write("two = 2", f"{name}.py")
    write("raise SystemError", "secrets.py")
    text = GOOD.replace("return x ** 3", "from neighbour import two; return x ** 3 * two / 2") + "import random, mine\n"
    assert call(write(text))[0] == 0
    assert call(write(GOOD, "random.py"))[0] == 0


def test_a_file_of_a_package_imports_from_it(tmp_path, write, call):
    (tmp_path / "package").mkdir()
    write("", "package/__init__.py")
    write("from dataclasses import dataclass", "package/other.py")
    text = "from __future__ import annotations\nfrom .other import dataclass\nfrom package import other\n"
    data = "@dataclass\nclass Settings:\n    rate: float = 0.1\n"
    assert call(write(text + GOOD + data, "package/mine.py"))[0] == 0


def test_unknown_names_and_files(write, call, tmp_path):
    code, _, err = call(f"{write(GOOD)}:swich")
    assert code == 2
    assert "did you mean 'swish'?" in err
    assert call(tmp_path / "none.py")[0] == 2


def test_exit_codes_and_page(write, call, tmp_path):
    code, out, _ = call(write(GOOD))
    assert code == 0
    assert out.count("every gradient is right") == 4
    bad = write(GOOD.replace("dy.sum(axis=0)", "dy.mean(axis=0)"), "bad.py")
    code, out, _ = call(bad, "--html", tmp_path / "page.html")
    assert code == 1
    assert "b: batch-size-factor" in out
    assert "batch-size-factor" in (tmp_path / "page.html").read_text()


def test_one_json_document_whatever_the_file_prints(write, call):
    bad = GOOD.replace("dy.sum(axis=0)", "dy.mean(axis=0)") + "print('{}', __name__)\n"
    code, out, err = call(write(bad), "--json", "--hints", "what")
    document = json.loads(out)
    assert (code, err, document["ok"], document["problems"]) == (1, "", False, [])
    assert [(c["name"], c["ok"]) for c in document["checks"]] == [
        ("Dense", False),
        ("swish", True),
        ("cube", True),
        ("Exp", True),
    ]
    verdict = document["checks"][0]["verdicts"][0]
    assert (verdict["array"], verdict["mistake"], verdict["advice"]) == ("b", "batch-size-factor", "")
    assert document["checks"][0]["printed"] == "{} mine"


def test_json_of_what_cannot_be_checked(write, call):
    code, out, err = call(write(GOOD + NEEDS_INPUT, "some.py"), "--json")
    assert code == 2
    assert [c["ok"] for c in json.loads(out)["checks"]] == [True] * 4
    assert [p["name"] for p in json.loads(out)["problems"]] == ["odd"]
    code, out, err = call(write("1 / 0"), "--json")
    assert (code, json.loads(out)["checks"]) == (2, [])
    assert json.loads(out)["problems"][0]["message"] in err


def test_a_page_does_not_replace_the_file(write, call):
    path = write(GOOD)
    assert call(path, "--html", path)[0] == 2
    assert path.read_text() == GOOD


def test_the_rest_is_checked_when_one_cannot_be(write, call):
    code, out, err = call(write(GOOD + NEEDS_INPUT))
    assert (code, out.count("every gradient is right")) == (2, 4)
    assert len(err.splitlines()) == 1


def test_the_forward_is_compared_with_a_reference(write, call):
    path = write(GOOD.replace("return x * s, (x, s)", "return x * s * s, (x, s)").replace("swish", "silu"))
    code, out, _ = call(f"{path}:silu", "--reference", "auto", "--json")
    (verdict, *_) = json.loads(out)["checks"][0]["verdicts"]
    assert (code, verdict["mistake"]) == (1, "wrong-forward")
    assert call(f"{path}:silu", "--reference", "silo")[0] == 2


def test_nothing_is_left_running_when_the_command_is_ended(write, tmp_path):
    """By a scheduler's SIGTERM as by Ctrl-C."""
    sign = tmp_path / "alive"
    body = f"import pathlib, time\nwhile True:\n    pathlib.Path({str(sign)!r}).write_text(str(time.time()))\n"
    command = [sys.executable, "-m", "handgrad", "check", str(write(body))]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        while not sign.exists():
            assert process.poll() is None
            time.sleep(0.01)
        process.send_signal(signal.SIGTERM)
        assert process.communicate() == ("", "\nhandgrad: stopped\n")
    assert process.returncode == 130
    last = sign.read_text()
    time.sleep(0.2)
    assert sign.read_text() == last


def test_terminals_that_know_few_letters_get_marks_for_the_others(write):
    command = [sys.executable, "-m", "handgrad", "check", str(write(GOOD))]
    done = subprocess.run(command, capture_output=True, env={**os.environ, "PYTHONIOENCODING": "ascii"}, check=True)
    assert b"? swish: every gradient is right" in done.stdout


def test_limits_that_are_none_are_refused(write, call):
    for seconds in ("nan", "inf", "0", "-1"):
        assert call(write(GOOD), "--timeout", seconds)[0] == 2


@pytest.mark.parametrize("broken", ["", "\nimport no_such_module"])
def test_a_file_that_its_package_imports_runs_once(tmp_path, call, broken):
    package = tmp_path / "homework_package"
    package.mkdir()
    (package / "__init__.py").write_text(f"from .halves import half{broken}\n")
    (package / "halves.py").write_text(
        "from .factor import FACTOR\nprint('here')\n\n"
        "def half(x):\n    return FACTOR * x\n\ndef half_grad(x):\n    return FACTOR + 0 * x\n"
    )
    (package / "factor.py").write_text("FACTOR = 0.5\n")
    code, out, err = call(package / "halves.py")
    assert (code, err) == (0, "")
    assert out.count("here") == 1 and "half: every gradient is right" in out
