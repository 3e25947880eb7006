"""Handouts and their key: what is blank, what differs, what is kept, and rosters that could do harm."""

import json
import subprocess
import sys
import unittest
from types import SimpleNamespace

import numpy as np
import pytest

from handgrad import check_gradients
from handgrad.assignment import grade, read_assignment
from handgrad.assignment.bugs import bug_of, subjects
from handgrad.assignment.make import make, read_key
from handgrad.assignment.specification import EXAMPLES
from handgrad.assignment.variants import variant_of
from handgrad.cli.application import run as handgrad


@pytest.fixture
def roster(tmp_path):
    path = tmp_path / "class.csv"

    def write(*ids):
        path.write_text("\n".join(["name,id", *(f"x,{student}" for student in ids)]) + "\n", encoding="utf-8")
        return path

    return write


def test_a_handout_is_blank_and_its_solution_passes_the_public_tests(tmp_path, monkeypatch):
    assert handgrad(["assignment", "make", "layer-norm", str(tmp_path)]) == 0
    folder, key = tmp_path / "handouts" / "everyone", tmp_path / "key" / "solutions" / "everyone"
    assert {path.name for path in folder.iterdir()} == {
        "README.md", "layers.py", "test_layers.py", "find_the_bug_softmax.py", "variant.json"
    }  # fmt: skip
    names = [task.function for task in read_assignment("layer-norm").tasks]
    text = (folder / "layers.py").read_text()
    assert all(f'raise NotImplementedError("implement {name}")' in text for name in names)
    assert "normalized =" not in text and "normalized =" in (key / "layers.py").read_text()
    for code, passes in ((folder, False), (key, True)):
        modules = {name: load(code / f"{name}.py") for name in ("layers",)}
        monkeypatch.setitem(__import__("sys").modules, "layers", modules["layers"])
        tests = unittest.defaultTestLoader.loadTestsFromModule(load(folder / "test_layers.py"))
        result = unittest.TestResult()
        tests.run(result)
        assert result.testsRun == 4 and len(result.errors) == (0 if passes else 4) and not result.failures


def load(path):
    names = {"__name__": path.stem}
    exec(compile(path.read_text(), str(path), "exec"), names)
    return SimpleNamespace(**names)


def test_students_get_variants_that_can_be_drawn_again(tmp_path, roster):
    students = [f"s{number}" for number in range(20)]
    made = make("layer-norm", tmp_path, roster(*students))
    assert made.students == students and not made.left
    told = [json.loads((tmp_path / "handouts" / student / "variant.json").read_text()) for student in students]
    assert [data["student"] for data in told] == students
    assert len({data["constants"]["LEAKY_SLOPE"] for data in told}) > 1
    assert len({str(data["tasks"][0]["inputs"]) for data in told}) > 1
    files = [(tmp_path / "handouts" / student / "find_the_bug_softmax.py").read_text() for student in students]
    assert len(set(files)) > 1
    key, assignment = read_key(tmp_path / "key"), read_assignment("layer-norm")
    again = key.variant_of(assignment, "s7")
    slope = told[7]["constants"]["LEAKY_SLOPE"]
    assert f"LEAKY_SLOPE = {slope}\n" in again.contents["layers.py"].decode()
    assert f"LEAKY_SLOPE = {slope}\n" in (tmp_path / "handouts" / "s7" / "layers.py").read_text()
    assert again.tasks[0].inputs == told[7]["tasks"][0]["inputs"]
    with pytest.raises(ValueError, match="knows no student 's77'; did you mean 's7'"):
        key.variant_of(assignment, "s77")


def test_no_handout_tells_of_the_key(tmp_path, roster):
    make("layer-norm", tmp_path, roster("ada"))
    secret = (tmp_path / "key" / "secret").read_text()
    handed = b"".join(path.read_bytes() for path in (tmp_path / "handouts").rglob("*") if path.is_file())
    right = bug_of("softmax.softmax_identity").right.splitlines()[-1].encode()
    assert secret.encode() not in handed and right not in handed and b"def draw" not in handed
    assert (tmp_path / "key").stat().st_mode & 0o077 == 0


def test_a_key_in_a_folder_that_is_given_is_not_handed_out(tmp_path):
    (tmp_path / "layers.py").write_text('def f(x):\n    """2 x."""\n    return x + x\n')
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "x.csv").touch()
    text = 'title = "Two"\nfiles = ["layers.py"]\ngiven = ["data"]\n[[tasks]]\nfunction = "f"\ninputs = { x = [3] }\n'
    (tmp_path / "SPEC.toml").write_text(text)
    make(tmp_path / "SPEC.toml", tmp_path / "data")
    with pytest.raises(ValueError, match="lies in what was made before"):
        make(tmp_path / "SPEC.toml", tmp_path / "data")


def test_a_course_is_read_as_far_as_it_is_named(tmp_path):
    tasks = '[[tasks]]\nfunction = "affine_forward"\ninputs = { x = [4, 3], w = [3, 2], b = [2] }\n'
    text = f'title = "nndl"\ncourse = "nndl"\nfiles = ["nndl/layers.py"]\n{tasks}[variant]\nshapes = true\n'
    (tmp_path / "SPEC.toml").write_text(text)
    assert set(read_assignment(tmp_path / "SPEC.toml").contents) == {"nndl/layers.py"}
    make(tmp_path / "SPEC.toml", tmp_path / "out")
    assert "implement affine_forward" in (tmp_path / "out/handouts/everyone/nndl/layers.py").read_text()


def test_other_secrets_and_students_draw_other_variants():
    assignment = read_assignment("layer-norm")

    def drawn(student, secret):
        variant = variant_of(assignment, student, secret)
        return variant.contents["layers.py"], variant.wrong, str(variant.tasks)

    assert drawn("ada", b"1") == drawn("ada", b"1")
    assert len({str(drawn("ada", bytes([secret]))) for secret in range(8)}) > 4
    assert len({str(drawn(f"s{student}", b"1")) for student in range(8)}) > 4


def test_making_again_keeps_the_secret_adds_students_and_names_what_it_left_alone(tmp_path, roster, capsys):
    make("layer-norm", tmp_path, roster("ada"))
    hers = tmp_path / "handouts" / "ada" / "layers.py"
    hers.write_text("mine")
    (tmp_path / "handouts" / "ada" / "README.md").unlink()
    secret = (tmp_path / "key" / "secret").read_text()
    assert handgrad(["assignment", "make", "layer-norm", str(tmp_path), "--roster", str(roster("ada", "bob"))]) == 0
    printed = capsys.readouterr().out
    assert f"left alone, since they were there: {hers}" in printed
    assert hers.read_text() == "mine" and (tmp_path / "key" / "secret").read_text() == secret
    assert (hers.parent / "README.md").exists() and (tmp_path / "handouts" / "bob").is_dir()
    assert set(read_key(tmp_path / "key").variants) == {"ada", "bob"}


def test_what_was_interrupted_is_made_whole(tmp_path, roster):
    make("layer-norm", tmp_path, roster("ada"))
    hers = tmp_path / "handouts" / "ada" / "layers.py"
    text = hers.read_text()
    hers.unlink()
    make("layer-norm", tmp_path, roster("ada"))
    assert hers.read_text() == text
    (tmp_path / "key" / "secret").write_text("no secret")
    with pytest.raises(ValueError, match="secret is damaged"):
        make("layer-norm", tmp_path, roster("ada"))
    with pytest.raises(ValueError, match="is a file: name a folder"):
        make("layer-norm", hers)
    with pytest.raises(ValueError, match="is no key that `handgrad assignment make` wrote"):
        read_key(tmp_path)


@pytest.mark.parametrize(
    ("ids", "said"),
    [
        (["ada", "../x"], r"row 3: the id '\.\./x' cannot name a folder"),
        (["=cmd()"], r"row 2: the id '=cmd\(\)' cannot name a folder"),
        (["zoë"], "the id 'zoë' cannot name a folder"),
        (["a/b"], "cannot name a folder"),
        (["nul.txt"], "cannot name a folder"),
        (["ada."], "cannot name a folder"),
        (["x" * 65], "cannot name a folder"),
        (['""', "ada"], "the id '' cannot name a folder"),
        (["ada", "Ada"], r"the id 'Ada' stands there twice \(as ada\)"),
        ([], "has no students"),
    ],
)
def test_a_roster_with_an_odd_id_is_refused_before_anything_is_written(tmp_path, roster, ids, said):
    with pytest.raises(ValueError, match=said):
        make("layer-norm", tmp_path / "out", roster(*ids))
    assert not (tmp_path / "out").exists()


def test_a_roster_without_ids_says_which_column_it_needs(tmp_path, capsys):
    path = tmp_path / "class.csv"
    path.write_text("name,mail\nAda,a@b\n")
    assert handgrad(["assignment", "make", "layer-norm", str(tmp_path), "--roster", str(path)]) == 2
    assert "class.csv has no column 'id'; its columns are name, mail" in capsys.readouterr().err
    path.write_text("")
    assert handgrad(["assignment", "make", "layer-norm", str(tmp_path), "--roster", str(path)]) == 2
    assert "class.csv is empty: expected a header with a column id" in capsys.readouterr().err


def test_a_variant_that_is_handed_out_is_not_changed(tmp_path):
    (tmp_path / "layers.py").write_text('def f(x):\n    """2 x."""\n    return x + x\n')
    spec = tmp_path / "SPEC.toml"
    text = 'title = "Two"\nfiles = ["layers.py"]\n[[tasks]]\nfunction = "f"\ninputs = { x = [3] }\npoints = 2\n'
    spec.write_text(text)
    make(spec, tmp_path / "out")
    spec.write_text(text.replace("points = 2", "points = 3"))
    with pytest.raises(ValueError, match="everyone was handed out another variant"):
        make(spec, tmp_path / "out")
    with pytest.raises(ValueError, match="everyone was handed out another variant"):
        read_key(tmp_path / "out" / "key").variant_of(read_assignment(spec), "everyone")


def test_so_many_tasks_are_blank_and_count(tmp_path):
    code = "".join(f'def f{i}(x):\n    """{i} x."""\n    return {i} * x\n\n\n' for i in range(4))
    tasks = "".join(f'[[tasks]]\nfunction = "f{i}"\ninputs = {{ x = [3] }}\n' for i in range(4))
    (tmp_path / "layers.py").write_text(code)
    spec = tmp_path / "SPEC.toml"
    spec.write_text(f'title = "Four"\nfiles = ["layers.py"]\n{tasks}[variant]\nblank = 2\n')
    assignment = read_assignment(spec)
    found = [variant_of(assignment, f"s{i}", b"secret") for i in range(20)]
    assert {variant.max_score for variant in found} == {2}
    assert len({str(variant.tasks) for variant in found}) > 3
    make(spec, tmp_path / "out")
    assert (tmp_path / "out" / "handouts" / "everyone" / "layers.py").read_text().count("NotImplementedError") == 2


@pytest.mark.parametrize("name", [mistake.name for found in subjects().values() for mistake in found])
def test_a_bug_is_one_line_that_a_gradient_check_finds(name):
    bug = bug_of(name)
    right, wrong = bug.right.splitlines()[1:], bug.wrong.splitlines()[1:]
    assert sum(a != b for a, b in zip(right, wrong, strict=True)) == 1
    given = {}
    exec(bug.draw, given)
    arguments = given["draw"](np.random.default_rng(0))
    arrays = {key: arguments.pop(key) for key in list(arguments) if isinstance(arguments[key], np.ndarray)}
    for text, ok in ((bug.right, True), (bug.wrong, False)):
        names = {}
        exec(text, names)
        report = check_gradients((names[bug.forward], names[bug.backward]), *arrays.values(), kwargs=arguments)
        assert report.ok == ok


SPEC = """
title = "Pairs"
files = ["layers.py"]
given = ["old.py"]
tasks = [
  { function = "scale_forward", inputs = { x = [4, 3] } },
  { function = "scale_backward", inputs = { x = [4, 3] } },
  { function = "sum_forward", inputs = { x = [4, 3], b = [3] } },
  { function = "sum_backward", inputs = { x = [4, 3], b = [3] } },
]
variant = { blank = 2, shapes = true, constants = { FACTOR = [2, 3, 5] }, find_the_bug = { relu = 2, linear = 1 } }
"""
LAYERS = '''
FACTOR: float = 1  # π, say


def scale_forward(x):
    """FACTOR x."""
    return FACTOR * x, None


def scale_backward(dy, cache):
    """dx."""
    return FACTOR * dy


def sum_forward(x, b):
    """x + b."""
    return x + b, None


def sum_backward(dy, cache):
    """dx, db."""
    return dy, dy.sum(axis=0)
'''


def test_every_variant_is_solved_by_its_key_and_by_nothing_less(tmp_path, roster):
    (tmp_path / "layers.py").write_text(LAYERS, encoding="utf-8")
    (tmp_path / "SPEC.toml").write_text(SPEC)
    (tmp_path / "old.py").write_bytes(b"FACTOR = 'caf\xe9'")
    students = ["ada", "bob", "cid"]
    make(tmp_path / "SPEC.toml", tmp_path / "out", roster(*students))
    key, assignment = read_key(tmp_path / "out" / "key"), read_assignment(tmp_path / "SPEC.toml")
    solved = [tmp_path / "out" / "key" / "solutions" / student for student in students]
    for results in grade(assignment, solved, key, seed=1):
        assert results["score"] == results["extra_data"]["max_score"] == 5, results["tests"]
    (results,) = grade(assignment, [tmp_path / "out" / "handouts" / "ada"], key, seed=1)
    assert results["score"] == 0 and len(results["tests"]) == 4


@pytest.mark.parametrize("name", EXAMPLES)
def test_the_key_of_what_comes_along_gets_all_points(tmp_path, name):
    make(name, tmp_path)
    assignment, key = read_assignment(name), read_key(tmp_path / "key")
    (results,) = grade(assignment, [tmp_path / "key" / "solutions" / "everyone"], key, seed=0)
    assert results["score"] == results["extra_data"]["max_score"] > 10, results["tests"]


@pytest.mark.parametrize("package", ["pydantic", "joblib"])
def test_a_missing_package_is_named_with_its_extra(package):
    code = f"import sys; sys.modules[{package!r}] = None; import handgrad.assignment"
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stderr
    assert f"handgrad assignment needs {package}: pip install 'handgrad[app]'" in said


def test_the_readme_says_how_each_file_with_a_backward_is_checked(tmp_path):
    make("layer-norm", tmp_path)
    text = (tmp_path / "handouts" / "everyone" / "README.md").read_text()
    assert "`handgrad check layers.py --hints where`" in text
    assert "`handgrad check find_the_bug_softmax.py --hints none`" in text
    assert (
        "| find the bug: softmax: `softmax_backward` | find_the_bug_softmax.py | 2 | arrays of the teacher's |" in text
    )
