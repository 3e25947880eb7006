"""`handgrad learn`: each exercise is open until it is solved, and what is typed wrong is told."""

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from handgrad.assignment import read_assignment
from handgrad.assignment.lessons import LEVELS, lessons_in
from handgrad.cli.application import run as handgrad

FILES = read_assignment("backpropagation").files


@pytest.fixture
def lessons(tmp_path):
    with lessons_in(tmp_path) as lessons:
        yield lessons


def write(lessons, text):
    (lessons.folder / lessons.current.file).write_text(text)


def solve(lessons):
    write(lessons, lessons.assignment.contents[lessons.current.file].decode())
    return lessons.attempt()


@pytest.mark.parametrize("number", range(1, len(FILES) + 1))
def test_an_exercise_is_open_until_it_is_solved(lessons, number):
    lessons.go(number)
    handed_out = (lessons.folder / lessons.current.file).read_text()
    assert "raise NotImplementedError" in handed_out or not lessons.attempt().solved
    assert all(len(task.clues) >= 3 for task in lessons.current.tasks) and lessons.current.text
    assert solve(lessons).solved and lessons.solved == [lessons.current.file]
    assert (lessons.folder / "solutions" / lessons.current.file).is_file()


def test_progress_is_kept_and_a_deleted_file_comes_back(tmp_path):
    with lessons_in(tmp_path) as lessons:
        solve(lessons)
        lessons.next()
        lessons.more_hints()
        (tmp_path / FILES[1]).unlink()
        assert "there is no file" in lessons.attempt().told[0]
    with lessons_in(tmp_path) as lessons:
        assert (lessons.solved, lessons.current.number, lessons.level) == ([FILES[0]], 2, 1)
        assert "implement answer" in lessons.attempt().told[0]


def test_what_somebody_wrote_stays_as_it_is(tmp_path):
    with lessons_in(tmp_path) as lessons:
        write(lessons, "# mine\n")
    with lessons_in(tmp_path) as lessons:
        assert (tmp_path / FILES[0]).read_text() == "# mine\n"
        lessons.hand_out()
        assert (tmp_path / FILES[0]).read_text() == "# mine\n"


def test_an_answer_is_answered(lessons):
    lessons.go(9)
    write(lessons, "def answer():\n    return 32, 100\n")
    assert lessons.attempt().told == ["answer() gives (32, 100), which is wrong: that is the shape of y, and of dy"]
    write(lessons, "def answer():\n    return 784, 100, 1\n")
    assert not lessons.attempt().solved


def test_a_loop_is_too_slow(lessons):
    lessons.go(13)
    loop = lessons.current.text[lessons.current.text.index("    y = ") :]
    write(lessons, f"import numpy as np\n\n\ndef linear(x, W, b):\n{loop}\n")
    told = lessons.attempt().told
    assert told[0] == "y is right" and "lines of Python on these arrays, where 20 are enough" in told[1]


def test_a_gradient_by_one_number_is_held_against_the_forward(lessons):
    lessons.go(8)
    right = lessons.assignment.contents[lessons.current.file].decode()
    write(lessons, right.replace("da = dy * (1 - y**2)", "da = dy"))
    assert lessons.attempt().told[:3] == ["x is wrong", "w is wrong", "b is wrong"]


@pytest.mark.parametrize(
    ("body", "told"),
    [
        ("return None", "answer() gives no number: it is None: is it still to be computed, or a return missing?"),
        ("return '24'", "answer() gives no number: it is str: it must be an array of numbers"),
    ],
)
def test_an_answer_that_is_no_number(lessons, body, told):
    lessons.go(2)
    write(lessons, f"def answer():\n    {body}\n")
    assert lessons.attempt().told == [told]


def test_a_print_does_not_flood_the_screen(lessons):
    write(lessons, "def slope(x, h):\n    for i in range(99):\n        print('step', i)\n    return x\n")
    printed = [line for line in lessons.attempt().told if "printed" in line]
    assert printed[0] == "it printed: step 0" and printed[-1] == "it printed more: it is called on many arrays"
    assert len(printed) == 7


def test_a_warning_of_numpy_names_its_line(lessons):
    lessons.go(15)
    write(lessons, "import numpy as np\n\n\ndef softmax(s):\n    return np.exp(s)\n")
    assert "it printed: RuntimeWarning: overflow encountered in exp (line 5)" in lessons.attempt().told


def test_hints_are_of_the_function_at_work(lessons):
    lessons.go(6)
    write(lessons, "def relu_forward(x):\n    return x, x\n")
    assert not lessons.attempt().clues
    lessons.more_hints()
    assert lessons.attempt().clues == lessons.current.tasks[0].clues[:1]
    write(lessons, "import numpy as np\n\n\ndef relu_forward(x):\n    return np.maximum(x, 0), x\n")
    assert not lessons.attempt().clues and lessons.task.function == "relu_backward"
    lessons.next()
    assert lessons.level == 0


def test_a_forward_that_was_changed_is_told_alone(lessons):
    lessons.go(39)
    right = lessons.assignment.contents[lessons.current.file].decode()
    write(lessons, right.replace("/ np.sqrt(q.shape[1])", "/ q.shape[1]", 1))
    lessons.hints[lessons.task.name] = 3
    told = "\n".join(lessons.attempt().told)
    assert "mend the forward" in told and "right: " not in told


def test_a_zero_is_stopped(lessons):
    lessons.go(6)
    right = lessons.assignment.contents[lessons.current.file].decode()
    write(lessons, right.replace("cache > 0", "cache >= 0"))
    assert lessons.attempt().told == ["x is wrong"]
    lessons.hints[lessons.task.name] = 3
    assert any("the reference solution gives 0" in line and "dx[" in line for line in lessons.attempt().told)


def test_a_cache_is_missed(lessons):
    lessons.go(10)
    right = lessons.assignment.contents[lessons.current.file].decode()
    write(lessons, right.replace("return x @ W + b, (x, W)", "return x @ W + b"))
    assert "the forward returns no cache: return a tuple, (y, cache)" in lessons.attempt().told[0]


def test_matrices_that_do_not_fit_are_told_by_their_sizes(lessons):
    lessons.go(10)
    right = lessons.assignment.contents[lessons.current.file].decode()
    write(lessons, right.replace("dy @ W.T", "dy @ W"))
    assert "a @ b needs as many columns of a as rows of b, and here they are 3 and 4" in lessons.attempt().told[0]


def test_an_exercise_that_was_spoiled_is_open_again(lessons):
    assert solve(lessons).solved
    write(lessons, "def slope(x, h):\n    return x\n")
    assert not lessons.attempt().solved and not lessons.solved
    assert lessons.unlocked() == [FILES[0]]


def test_what_is_solved_is_known_without_a_record(tmp_path):
    with lessons_in(tmp_path) as lessons:
        solve(lessons)
        lessons.record.unlink()
    with lessons_in(tmp_path) as lessons:
        assert lessons.solved == [FILES[0]]


def test_a_change_in_place_does_not_count(lessons):
    lessons.go(6)
    right = lessons.assignment.contents[lessons.current.file].decode()
    for old, new, said in [
        ("return dy * (cache > 0)", "dy *= cache > 0\n    return dy", "relu_backward changes its argument dy in place"),
        ("return np.maximum(x, 0), x", "x[x < 0] = 0\n    return x, x", "relu_forward changes its argument x in place"),
    ]:
        write(lessons, right.replace(old, new))
        attempt = lessons.attempt()
        assert not attempt.solved and not lessons.solved and said in attempt.told
    lessons.go(18)
    right = lessons.assignment.contents[lessons.current.file].decode()
    write(lessons, right.replace("ds = p.copy()", "ds = p"))
    attempt = lessons.attempt()
    assert not attempt.solved and "cross_entropy_backward changes its cache in place" in attempt.told[-1]


def test_scores_are_large_and_near_one_another(lessons):
    lessons.go(15)
    right = lessons.assignment.contents[lessons.current.file].decode()
    for wrong in ("return exponentials\n", "return np.exp(s) / np.exp(s).sum(axis=1, keepdims=True)\n"):
        write(lessons, right[: right.index("return")] + wrong)
        assert not lessons.attempt().solved


def test_hints_rise(lessons):
    lessons.go(10)
    right = lessons.assignment.contents[lessons.current.file].decode()
    write(lessons, right.replace("dy.sum(axis=0)", "dy.mean(axis=0)"))
    said = []
    for _ in LEVELS:
        said.append("\n".join(lessons.attempt().told))
        lessons.more_hints()
    assert lessons.level == len(LEVELS) - 1
    assert "b is wrong" in said[0] and "line" not in said[0]
    assert "first at line " in said[1] and "mean" not in said[1]
    assert "right: " not in said[2] and "right: return (dy @ W.T, x.T @ dy, dy.sum(axis=0))" in said[3]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("def slope(x, h)\n    return x\n", "01_slope.py does not import: SyntaxError: expected ':'"),
        ("def slope(x, h):\n    return unknown\n", "slope raised NameError: name 'unknown' is not defined (line 2)"),
        ("def other(x, h):\n    return x\n", "01_slope.py has no slope"),
        ("import os\nos._exit(0)\n", "its process ended itself before it was done"),
        ("\0", "is no text in UTF-8"),
    ],
)
def test_what_does_not_run_is_told(lessons, text, told):
    write(lessons, text)
    attempt = lessons.attempt()
    assert not attempt.solved and told in attempt.told[0]


def test_an_endless_loop_is_told(lessons):
    task = lessons.current.tasks[0]
    lessons.current.tasks[0] = task.model_copy(update={"time_limit": 1.0})
    write(lessons, "def slope(x, h):\n    while True:\n        pass\n")
    assert "an endless loop?" in lessons.attempt().told[0]


def test_one_at_a_time(lessons, capsys):
    assert handgrad(["learn", str(lessons.folder)]) == 2
    assert "is being used by another process" in capsys.readouterr().err


def test_a_list_reads_only(lessons, tmp_path, capsys):
    solve(lessons)
    assert handgrad(["learn", "--list", str(lessons.folder)]) == 0
    assert "1 of 40 solved" in capsys.readouterr().out
    assert handgrad(["learn", "--list", str(tmp_path / "new")]) == 0 and not (tmp_path / "new").exists()


def test_a_folder_that_cannot_be_written_is_refused(tmp_path, capsys):
    (tmp_path / "file").touch()
    assert handgrad(["learn", str(tmp_path / "file" / "folder")]) == 2
    assert "choose a writable folder" in capsys.readouterr().err


@pytest.mark.parametrize("record", ['{"solved": 3}', '{"solved": '])
def test_a_damaged_record_is_refused(tmp_path, capsys, record):
    (tmp_path / "progress.json").write_text(record)
    assert handgrad(["learn", "--list", str(tmp_path)]) == 2
    assert "delete it: by the folder solutions it is known what you solved" in capsys.readouterr().err


def test_a_session_in_a_narrow_terminal(tmp_path):
    command = [sys.executable, "-m", "handgrad", "learn", str(tmp_path)]
    options = dict(stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, encoding="utf-8")
    with subprocess.Popen(command, env={**os.environ, "COLUMNS": "60", "PYTHONUTF8": "1"}, **options) as process:
        path = tmp_path / "01_slope.py"
        while not (path.exists() and "implement slope" in path.read_text()):
            time.sleep(0.05)
        path.write_bytes(read_assignment("backpropagation").contents["01_slope.py"])
        process.stdin.write("h\nr\nx\ns\nl\n2\n99\nq\n")
        printed, _ = process.communicate(timeout=300)
    assert process.returncode == 0
    assert "Exercise 2 of 40" in printed and "1 of 40 solved; go on with: handgrad learn" in printed
    assert "there is no exercise 99; they are 1 to 40" in printed
    assert "01_slope.py is there, and stays as it is: delete or rename it" in printed
    assert "✓ solved" in printed and "type one of these, and Enter" in printed
    assert max(map(len, Path(tmp_path, "01_slope.py").read_text().splitlines())) <= 120
