"""Submissions graded: points, partial credit, what a student is told and what a teacher is, whatever is handed in."""

import io
import json
import shutil
import tarfile
import zipfile
from pathlib import Path

import pytest

from handgrad.assignment import grade, read_assignment, read_key
from handgrad.assignment.make import make
from handgrad.assignment.submissions import read_submission
from handgrad.cli.application import run as run_command

SPEC = """
title = "Two layers"
files = ["layers.py"]
time_limit = 10
[[tasks]]
function = "relu_forward"
points = 2
inputs = { x = [4, 3] }
[[tasks]]
function = "affine_backward"
points = 3
inputs = { x = [4, 3], weight = [3, 2], bias = [2] }
"""
LAYERS = '''
import numpy as np

def relu_forward(x):
    """max(x, 0)."""
    return np.maximum(x, 0), x

def affine_forward(x, weight, bias):
    """x W + b."""
    return x @ weight + bias, (x, weight)

def affine_backward(dy, cache):
    """dx, dweight, dbias."""
    x, weight = cache
    return dy @ weight.T, x.T @ dy, dy.sum(axis=0)
'''


@pytest.fixture
def spec(tmp_path):
    (tmp_path / "spec").mkdir()
    path = tmp_path / "spec" / "SPEC.toml"
    path.write_text(SPEC)
    (path.parent / "layers.py").write_text(LAYERS)
    return path


@pytest.fixture
def graded(spec, tmp_path):
    """Grades sources, each handed in as NAME.py."""

    def grader(encoding="utf-8", **sources):
        for name, source in sources.items():
            (tmp_path / f"{name}.py").write_text(source, encoding=encoding)
        return list(grade(read_assignment(spec), [tmp_path / f"{name}.py" for name in sources], seed=0))

    return grader


def test_points_are_for_arrays_and_teachers_are_told_more_than_students(graded):
    wrong = LAYERS.replace("x.T @ dy", "2 * x.T @ dy")
    right, partly, other = graded(
        right=LAYERS, partly=wrong, other=LAYERS.replace("np.maximum(x, 0)", "np.maximum(x, 1)")
    )
    assert right["score"] == 5
    assert [test["status"] for test in right["tests"]] == ["passed", "passed"]

    relu, affine = partly["tests"]
    assert (relu["score"], affine["score"]) == (2, 2)
    assert "weight is wrong" in affine["output"]
    assert "line 15" in affine["output"]
    assert "factor" not in affine["output"]
    (mistake,) = partly["extra_data"]["tasks"]["affine_backward"]["mistakes"]
    assert (mistake["array"], mistake["mistake"], mistake["line"]) == ("weight", "factor-two", 15)

    assert other["tests"][0]["score"] == 0
    (mistake,) = other["extra_data"]["tasks"]["relu_forward"]["mistakes"]
    assert mistake["mistake"] == "wrong-forward"


def test_what_an_array_is_is_said_and_of_whom(graded):
    sources = dict(
        nan=LAYERS.replace("np.maximum(x, 0)", "x * np.nan").replace("x.T @ dy", "x.T @ dy * np.nan"),
        form=LAYERS.replace("np.maximum(x, 0)", "np.maximum(x, 0)[None]").replace("x.T @ dy", "(x.T @ dy)[None]"),
        other=LAYERS.replace("x @ weight + bias", "x @ weight + bias + x.sum() * 0 + 2 * bias").replace(
            "dy.sum(axis=0)", "3 * dy.sum(axis=0)"
        ),
        forward=LAYERS.replace('x W + b."""', 'x W + b."""\n    x = np.multiply(x, 1, out=x); bias += 0.0; x += 1'),
    )
    nan, form, other, forward = ([test["output"] for test in each["tests"]] for each in graded(**sources))
    assert nan[0] == "y is wrong: it holds 12 numbers that are NaN or infinite, of 12"
    assert "weight is wrong: it holds 6 numbers that are NaN or infinite, of 6" in nan[1]
    assert form[0] == "y is wrong: it has shape (1, 4, 3), expected (4, 3)"
    assert "weight is wrong: it has shape (1, 3, 2), expected (3, 2)" in form[1]
    assert "bias is wrong: it is the gradient of the forward that was handed in" in other[1]
    assert "unexplained" not in other[1]
    assert "affine_forward changes its argument x in place" in forward[1]
    assert "affine_backward changes" not in forward[1]


def test_what_cannot_run_is_a_line_and_the_rest_is_graded(graded):
    unwritten = LAYERS.replace("return np.maximum(x, 0), x", 'raise NotImplementedError("implement relu_forward")')
    sources = dict(
        unwritten=unwritten,
        raises=LAYERS.replace("np.maximum(x, 0), x", "1 / 0"),
        gone=LAYERS.replace("relu_forward", "relu"),
        syntax="def f(:\n",
        torch="import torch\n" + LAYERS,
    )
    found = {each["extra_data"]["student"]: each for each in graded(**sources)}
    said = {name: each["tests"][0]["output"] for name, each in found.items()}
    assert "still to be written" in said["unwritten"]
    assert found["unwritten"]["score"] == 3
    assert said["raises"] == "relu_forward raised ZeroDivisionError: division by zero (line 6)"
    assert "layers.py has no relu_forward" in said["gone"]
    assert "layers.py does not import: SyntaxError" in said["syntax"]
    assert "No module named 'torch'" in said["torch"]
    (latin,) = graded("latin-1", latin=LAYERS + "# größer\n")
    assert latin["tests"][0]["output"] == "layers.py: line 16 is no text in UTF-8: save it as such"


def test_a_command_grades_several_at_once_and_again(spec, tmp_path, capsys):
    (tmp_path / "anna.py").write_text(LAYERS)
    (tmp_path / "ben").mkdir()
    out = tmp_path / "results.json"
    arguments = ["assignment", "grade", str(spec), str(tmp_path / "anna.py"), str(tmp_path / "ben"), "-o", str(out)]
    assert run_command([*arguments, "--jobs", "2", "--seed", "3"]) == 0
    said = capsys.readouterr()
    assert said.out.splitlines() == ["anna: 5 of 5", "ben: 0 of 5"]
    assert "ben: layers.py is missing" in said.err
    results = json.loads(out.read_text())
    assert [each["extra_data"]["seed"] for each in results] == [3, 3]


def test_each_is_graded_by_the_variant_of_whose_it_is(tmp_path, capsys):
    (tmp_path / "class.csv").write_text("id\nada\nbob\n")
    assert (
        run_command(["assignment", "make", "layer-norm", str(tmp_path), "--roster", str(tmp_path / "class.csv")]) == 0
    )
    solutions, key = tmp_path / "key" / "solutions", str(tmp_path / "key")
    shutil.copytree(solutions / "ada", tmp_path / "in" / "ada")
    shutil.copytree(solutions / "ada", tmp_path / "in" / "bob")
    shutil.copytree(solutions / "ada", tmp_path / "in" / "submission")
    (tmp_path / "in" / "cid").mkdir()
    out = str(tmp_path / "results.json")
    handed_in = [str(tmp_path / "in" / name) for name in ("ada", "bob", "submission", "cid")]
    assert run_command(["assignment", "grade", "layer-norm", *handed_in, "--key", key, "-o", out]) == 0
    ada, bob, submission, cid = json.loads(Path(out).read_text())
    assert ada["score"] == submission["score"] == ada["extra_data"]["max_score"]
    assert submission["extra_data"]["student"] == "ada"
    assert bob["extra_data"]["problems"] == ["its variant.json is that of ada, and it was handed in as bob's"]
    assert cid["score"] == 0
    assert "no student has the id cid" in cid["tests"][0]["output"]
    capsys.readouterr()
    assert run_command(["assignment", "grade", "layer-norm", *handed_in]) == 2
    assert "say where the key is (--key DIR/key)" in capsys.readouterr().err


def test_whose_a_submission_is_and_what_of_it_counts_is_said(tmp_path, capsys):
    (tmp_path / "class.csv").write_text("id\nada\nbob\n")
    make("layer-norm", tmp_path, tmp_path / "class.csv")
    bob, handed_in = tmp_path / "key" / "solutions" / "bob", tmp_path / "in"
    shutil.copytree(bob, handed_in / "zed")
    shutil.copytree(bob, handed_in / "bob" / "v1")
    shutil.copytree(bob, handed_in / "bob" / "v2")
    shutil.copytree(bob, handed_in / "new")
    (handed_in / "new" / "variant.json").write_text("null")
    key = read_key(tmp_path / "key")
    zed, twice, new = grade(read_assignment("layer-norm"), [handed_in / it for it in ("zed", "bob", "new")], key)
    assert zed["extra_data"]["problems"] == [
        "it is graded as bob's: its variant.json is that of bob, and no student has the id zed"
    ]
    assert "layers.py is there 2 times: v1/layers.py is graded, v2/layers.py is not" in twice["output"]
    assert "variant.json is damaged: hand it in as it was handed out" in new["output"]
    assert new["extra_data"]["max_score"] == twice["extra_data"]["max_score"] == 12


def test_paths_that_are_no_submission_or_several_are_refused_first(spec, tmp_path, capsys):
    for student in ("ada", "bob"):
        (tmp_path / "in" / student).mkdir(parents=True)
        (tmp_path / "in" / student / "layers.py").write_text(LAYERS)
        (tmp_path / "in" / student / "variant.json").write_text(json.dumps({"student": student}))
    zipped(tmp_path / "in" / "ada.zip", **{"layers.py": LAYERS})
    for names, said in (
        (["nope"], "there is no submission"),
        (["in/*"], "leave out the quotes"),
        (["in"], "holds submissions of several students: name them one by one"),
        (["in/ada", "in/bob", "in/ada.zip"], "are both of ada: leave one out"),
    ):
        assert run_command(["assignment", "grade", str(spec), *(str(tmp_path / name) for name in names)]) == 2
        assert said in capsys.readouterr().err


# Archives -------------------------------------------------------------------------------------------------------------


def zipped(path, **files):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name.replace("__", "/"), content)
    return path


def test_archives_and_folders_are_read_wherever_the_files_lie_in_them(tmp_path):
    path = zipped(tmp_path / "anna.zip", **{"homework__layers.py": LAYERS, "homework__data.bin": "1"})
    assert read_submission(path, ["layers.py"]) == ("anna", {"layers.py": LAYERS.encode()}, [])
    path = tmp_path / "ben.tar.gz"
    with tarfile.open(path, "w:gz") as archive:
        member = tarfile.TarInfo("layers.py")
        member.size = len(LAYERS)
        archive.addfile(member, io.BytesIO(LAYERS.encode()))
    assert read_submission(path, ["layers.py"]) == ("ben", {"layers.py": LAYERS.encode()}, [])
    assert read_submission(tmp_path, ["layers.py"]).problems == ["layers.py is missing"]
    notebook = zipped(tmp_path / "cleo.zip", **{"layers.ipynb": "{}"})
    said = "layers.py is missing; layers.ipynb is a notebook: export it (jupyter nbconvert --to script)"
    assert read_submission(notebook, ["layers.py"]).problems == [said]
    (tmp_path / "dan.ipynb").write_text("{}")
    assert "dan.ipynb is a notebook" in read_submission(tmp_path / "dan.ipynb", ["layers.py"]).problems[0]


def test_archives_made_to_harm_are_refused_in_a_line(tmp_path):
    def link(archived, name, kind, target=""):
        with tarfile.open(tmp_path / archived, "w:gz") as archive:
            member = tarfile.TarInfo(name)
            member.type, member.linkname = kind, target
            archive.addfile(member)
        return tmp_path / archived

    zip_link = zipfile.ZipInfo("layers.py")
    zip_link.external_attr = 0o120777 << 16
    with zipfile.ZipFile(tmp_path / "link.zip", "w") as archive:
        archive.writestr(zip_link, "/etc/passwd")
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "layers.py").symlink_to("/etc/passwd")
    (tmp_path / "noise.zip").write_bytes(b"PK\3\4 noise")
    bomb = zipped(tmp_path / "bomb.zip", **{f"{i}.bin": bytes(30 * 2**20) for i in range(4)})
    for path, words in (
        (zipped(tmp_path / "up.zip", **{"..__layers.py": LAYERS}), "leads out"),
        (zipped(tmp_path / "root.zip", **{"__tmp__layers.py": LAYERS}), "leads out"),
        (link("link.tgz", "layers.py", tarfile.SYMTYPE, "/etc/passwd"), "link or a device"),
        (link("device.tgz", "layers.py", tarfile.CHRTYPE), "link or a device"),
        (link("up.tgz", "../layers.py", tarfile.REGTYPE), "leads out"),
        (tmp_path / "link.zip", "link or a device"),
        (tmp_path / "folder", "is a link"),
        (tmp_path / "noise.zip", "zip"),
        (bomb, "more than 100 MB"),
    ):
        found = read_submission(path, ["layers.py"])
        assert not found.contents
        assert words in found.problems[0], path
        assert "\n" not in found.problems[0]


def test_imaginary_parts_and_steps_in_a_backward_are_told(graded):
    bias = "dy.sum(axis=0)"
    odd, stepping = graded(
        odd=LAYERS.replace(bias, f"(1 + 2j) * {bias}"), stepping=LAYERS.replace(bias, f"{bias} * 1e-30 / 1e-30")
    )
    assert odd["score"] == 4
    assert "bias is wrong: it has imaginary parts, where real numbers are due" in odd["tests"][1]["output"]
    assert "not-named" not in odd["tests"][1]["output"]
    assert stepping["score"] == 5
    assert "affine_backward, line 15: differences instead of a derivative" in stepping["tests"][1]["output"]
