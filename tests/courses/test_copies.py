"""The machinery of courses: copies of their packages, in a folder or for one script."""

import subprocess
import sys
import zipfile
from pathlib import Path
from types import ModuleType

import pytest

from handgrad.cli.application import run as handgrad
from handgrad.courses import COURSES
from handgrad.courses.copies import blanked, copy, course_files, read_course, run
from handgrad.courses.packing import pack


@pytest.fixture(autouse=True)
def no_mnist(monkeypatch, tmp_path):
    """Copying would write 55 MB of images."""
    monkeypatch.setenv("HANDGRAD_DATA", str(tmp_path / "no data"))


def script(folder, text):
    path = folder / "script.py"
    path.write_text(text)
    return path


@pytest.mark.parametrize("course", COURSES)
def test_every_module_of_a_copy_is_its_own(course, tmp_path):
    if course == "purdue":
        pytest.importorskip("torch")
    copy(course, tmp_path)
    about = read_course(course)
    names = [
        ".".join(path.with_suffix("").parts).removesuffix(".__init__")
        for path in course_files(course)
        if path.suffix == ".py" and path.parts[0].removesuffix(".py") in about.modules
    ]
    code = (
        f"import importlib, sys\nfor name in {names}:\n    module = importlib.import_module(name)\n"
        "    assert module.__file__.startswith(sys.argv[1]), module.__file__\n"
        "print(any(name.startswith('handgrad.courses') for name in sys.modules))"
    )
    out = subprocess.check_output([sys.executable, "-c", code, str(tmp_path)], cwd=tmp_path, text=True)
    assert len(names) > 4 and out == "False\n"


NOTHING_ELSE = """
import importlib, sys

class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {absent}:
            raise ModuleNotFoundError("No module named " + name)

sys.meta_path.insert(0, Absent())
for name in {names}:
    importlib.import_module(name)
{use}
"""
USES = {
    "cs189": "from neural_networks.datasets import initialize_dataset\nprint(initialize_dataset('iris').out_dim)",
    "nndl": "from utils.solver import Solver\nfrom nndl.fc_net import TwoLayerNet\nimport numpy as np\n"
    "X, y = np.ones((6, 4)), np.array([0, 1, 2] * 2)\ndata = dict(X_train=X, y_train=y, X_val=X, y_val=y)\n"
    "Solver(TwoLayerNet(4, 5, 3), data, verbose=False, batch_size=2, num_epochs=1, "
    "optim_config=dict(learning_rate=1e-3), checkpoint_name='model').train()\nprint(3)",
    "purdue": "from numpy_ann import NumpyANN\nprint(round(NumpyANN(4, 5, 3, 0.1).predict([[1, 2, 3, 4]]).sum()) * 3)",
}


@pytest.mark.parametrize("course", COURSES)
def test_a_self_contained_copy_needs_numpy_and_matplotlib_alone(course, tmp_path):
    """handgrad, and every package that comes with it, cannot be imported there."""
    copy(course, tmp_path, self_contained=True)
    modules = read_course(course).modules
    names = [
        ".".join(path.with_suffix("").parts).removesuffix(".__init__")
        for path in course_files(course)
        if path.suffix == ".py" and path.parts[0].removesuffix(".py") in modules
    ]
    if course == "purdue":
        names = [name for name in names if name in ("numpy_ann", "utils")]
    absent = {"handgrad", "click", "rich", "pydantic", "safetensors", "requests", "scipy", "numba", "threadpoolctl"}
    (tmp_path / "use.py").write_text(NOTHING_ELSE.format(absent=absent, names=names, use=USES[course]))
    assert subprocess.check_output([sys.executable, "use.py"], cwd=tmp_path, text=True) == "3\n"


@pytest.mark.parametrize("course", COURSES)
def test_what_a_blank_copy_leaves_to_be_written(course):
    """All that the manifest names, answers in notebooks, and nothing else, is different from the solution."""
    about, solved, blank = read_course(course), course_files(course), course_files(course, blank=True)
    assert list(solved) == list(blank) and {path.as_posix() for path in solved} >= set(about.blank)
    for path, content in solved.items():
        script = path.with_suffix(".py")  # of a notebook
        names = about.blank.get(script.as_posix(), [])
        text = blank[path].decode(errors="replace").replace('\\"', '"')
        assert all(f'raise NotImplementedError("implement {name}")' in text for name in names)
        has_answers = b"# %% [markdown] answer\n" in solved.get(script, b"")
        assert ("(Your answer.)" in text) == has_answers
        assert (blank[path] == content) == (not names and not has_answers)


def test_a_manifest_that_names_what_is_not_there_says_so():
    text = (
        "def bare():\n    return 1\n\n\n"
        'class A:\n    def f(self):\n        """Two."""\n        # the answer\n        return 2\n'
    )
    assert blanked(text, ["A.f"], "x.py").endswith('"""Two."""\n        raise NotImplementedError("implement A.f")\n')
    for name in ("A.g", "B.f", "bare", "A"):
        with pytest.raises(ValueError, match=rf"x\.py has no function {name} with a docstring"):
            blanked(text, [name], "x.py")


def test_nothing_of_a_body_that_is_cut_out_is_left():
    text = 'def f(x):\n    """Two x."""\n    # 2 x\n    return (\n        x + x\n    )\n    # or 2 x\n\n\n# on g\n'
    assert blanked(text, ["f"], "x.py").endswith('implement f")\n\n\n# on g\n')
    tabs = 'class A:\n\tdef f(self):\n\t\t"""One."""\n\t\treturn 1\n'
    assert blanked(tabs, ["A.f"], "x.py") == tabs.replace("return 1", 'raise NotImplementedError("implement A.f")')
    with pytest.raises(ValueError, match=r"x\.py defines f more than once"):
        blanked(text + text, ["f"], "x.py")
    for text in ('def f(): "One."; return 1\n', 'def f():\n    """One."""; return 1\n'):
        with pytest.raises(ValueError, match="the docstring of f must stand on lines of its own"):
            blanked(text, ["f"], "x.py")


def test_copying_again_adds_what_is_missing_and_names_what_it_left_alone(tmp_path, capsys):
    copy("cs189", tmp_path, blank=True)
    (tmp_path / "train_ffnn.py").unlink()
    (tmp_path / "train_rnn.py").write_text("mine")
    (tmp_path / "neural_networks" / "layers.py").write_text("class FullyConnected: pass\n")
    assert handgrad(["courses", "copy", "cs189", str(tmp_path), "--blank"]) == 0
    printed = capsys.readouterr().out
    assert printed.startswith("1 file is new in ") and "left alone, since they were there" in printed
    assert "layers.py" in printed and "train_rnn.py" in printed and "activations.py" not in printed
    assert (tmp_path / "train_rnn.py").read_text() == "mine" and (tmp_path / "train_ffnn.py").exists()
    assert (tmp_path / "neural_networks" / "layers.py").read_text() == "class FullyConnected: pass\n"


@pytest.mark.parametrize("courses", [("nndl", "purdue"), ("purdue", "nndl")])
def test_courses_whose_modules_would_hide_each_other_are_not_put_together(tmp_path, courses):
    copy(courses[0], tmp_path)
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(ValueError, match=r"utils.* would be one module to Python: name another folder"):
        copy(courses[1], tmp_path)
    assert sorted(tmp_path.rglob("*")) == before


def test_run_gives_a_script_its_modules_its_arguments_and_its_folder(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "helper.py").write_text("VALUE = 7\n")
    path = script(
        tmp_path,
        "import sys\nimport numpy as np\nfrom helper import VALUE\n"
        "from neural_networks.activations import ReLU\n"
        "print(__name__, sys.argv[1:], VALUE, ReLU().forward(np.array([-1., 2.])))",
    )
    before = list(sys.path), list(sys.argv)
    assert run("cs189", path, ["--fast"]) == 0
    assert capsys.readouterr().out == "__main__ ['--fast'] 7 [0. 2.]\n"
    assert (sys.path, sys.argv) == before
    assert "helper" not in sys.modules and "neural_networks" not in sys.modules


def test_run_leaves_modules_of_the_same_names_as_they_were(tmp_path, monkeypatch):
    before = ModuleType("neural_networks")
    monkeypatch.setitem(sys.modules, "neural_networks", before)
    assert run("cs189", script(tmp_path, "from neural_networks.layers import Flatten")) == 0
    assert sys.modules["neural_networks"] is before and "neural_networks.layers" not in sys.modules


def test_run_prefers_the_modules_of_the_scripts_own_folder(tmp_path):
    (tmp_path / "neural_networks").mkdir()
    (tmp_path / "neural_networks" / "__init__.py").write_text("raise SystemExit(7)")
    assert run("cs189", script(tmp_path, "from neural_networks.layers import Flatten")) == 7


@pytest.mark.parametrize("opening", [None, "OPENED = 1\n"])
@pytest.mark.parametrize(
    ("course", "hers", "user"),
    [
        ("cs189", "neural_networks/activations.py", "from neural_networks import layers, datasets"),
        ("cs189", "neural_networks/utils/convolution.py", "import neural_networks.utils.convolution"),
        ("nndl", "nndl/layers.py", "import nndl.fc_net, utils.solver"),
        ("nndl", "utils/im2col.py", "import cs231n.im2col, utils.solver, nndl.cnn"),
    ],
)
def test_run_takes_the_one_file_that_is_hers_and_the_rest_of_the_course(tmp_path, course, hers, user, opening):
    """With an __init__.py of hers or without; the course's modules import hers."""
    (tmp_path / hers).parent.mkdir(parents=True)
    (tmp_path / hers).write_text("raise SystemExit(7)")
    if opening:
        (tmp_path / hers).with_name("__init__.py").write_text(opening)
    assert run(course, script(tmp_path, user)) == 7
    (tmp_path / hers).unlink()
    assert run(course, script(tmp_path, user)) == 0


def test_a_script_of_the_course_runs_on_the_modules_in_the_working_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "neural_networks").mkdir()
    (tmp_path / "neural_networks" / "activations.py").write_text("raise SystemExit(7)")
    assert run("cs189", "train_ffnn.py") == 7


@pytest.mark.parametrize(
    ("text", "code", "printed"),
    [
        ("raise SystemExit(3)", 3, ""),
        ("import sys; sys.exit('no data')", 1, "no data"),
        ("1 / 0", 1, "ZeroDivisionError: division by zero"),
    ],
)
def test_run_passes_on_how_a_script_ends(tmp_path, capsys, text, code, printed):
    assert run("cs189", script(tmp_path, text)) == code
    assert printed in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["copy", "cs198", ".", "--blank"], "unknown course 'cs198'; did you mean 'cs189'?"),
        (["copy", "cs189", "."], "type --blank, for a student, or --solved, for a solution: one of the two"),
        (["copy", "cs189", ".", "--blank", "--solved"], "one of the two"),
        (["copy", "cs189", "notes.ipynb", "--blank"], "notes.ipynb is a file: name a folder"),
        (["link", "cs189", "."], "link is gone: handgrad courses copy COURSE DIR --solved (or --blank) writes"),
        (["run", "cs189", "none.py"], "no script none.py here; expected a file, or one that comes with the course: "),
        (["run", "cs189", "notes.ipynb"], "notes.ipynb is a notebook: copy the course into its folder"),
    ],
)
def test_bad_input_is_one_line_and_exit_code_2(arguments, words, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "notes.ipynb").write_text("{}")
    assert handgrad(["courses", *arguments]) == 2
    message = capsys.readouterr().err
    assert words in message and message.count("\n") == 1


def test_the_command_line_lists_copies_and_runs(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert handgrad(["courses", "list"]) == 0
    assert all(name in capsys.readouterr().out for name in [*COURSES][:1])
    assert handgrad(["courses", "copy", "cs189", "work", "--solved"]) == 0
    assert "files are new in work" in capsys.readouterr().out
    path = script(tmp_path, "import sys; print(sys.argv[1:]); sys.exit(4)")
    assert handgrad(["courses", "run", "cs189", str(path), "-o", "x"]) == 4
    assert capsys.readouterr().out == "['-o', 'x']\n"


def test_what_is_handed_in_is_hers_without_data_and_runs(tmp_path, monkeypatch, capsys):
    copy("cs189", tmp_path / "mine", blank=True)
    monkeypatch.chdir(tmp_path / "mine")
    layers = tmp_path / "mine" / "neural_networks" / "losses.py"
    layers.write_text(layers.read_text().replace('raise NotImplementedError("implement L2.forward")', "return 189.0"))
    (tmp_path / "mine" / "neural_networks" / "weights.py").unlink()
    for name in ("notes.md", ".secret.txt", "experiments/a/run.json", "__pycache__/x.py", "big.npy"):
        path = tmp_path / "mine" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("x")
    (tmp_path / "mine" / "link.py").symlink_to("/etc/passwd")
    assert handgrad(["courses", "pack", "cs189"]) == 0
    printed = capsys.readouterr()
    assert printed.out == "submission.zip: 46 files; left out: big.npy, datasets, experiments\n"
    assert "not there: neural_networks/weights.py" in printed.err
    assert "still to be written: Sigmoid.forward" in printed.err and "L2.forward" not in printed.err
    with zipfile.ZipFile("submission.zip") as archive:
        names = archive.namelist()
        assert b"return 189.0" in archive.read("neural_networks/losses.py")
    assert {"notes.md", "README.md", "tests/test_losses.py", "tests/data/L2.npz"} <= set(names)
    assert not [name for name in names if name.startswith((".", "_", "link", "datasets", "experiments"))]
    before = Path("submission.zip").read_bytes()
    assert handgrad(["courses", "pack", "cs189", ".", "-o", "submission.zip"]) == 0
    assert Path("submission.zip").read_bytes() == before


@pytest.mark.parametrize("course", COURSES)
def test_a_packed_solution_is_whole(course, tmp_path):
    copy(course, tmp_path / "mine", self_contained=True)
    packed = pack(course, tmp_path / "mine", tmp_path / "mine.zip")
    assert not packed.missing and not packed.blank and set(packed.left_out) <= {"datasets"}
    assert len(packed.files) == len(course_files(course, self_contained=True))


def test_packing_another_folder_or_over_a_file_of_hers_is_refused(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert handgrad(["courses", "pack", "nndl"]) == 2
    assert ". is no copy of nndl: it has none of its modules, such as nndl/__init__.py" in capsys.readouterr().err
    copy("cs189", tmp_path / "berkeley", blank=True)
    (tmp_path / "berkeley" / "submission.zip").write_text("mine")
    for course in ("nndl", "purdue"):
        assert handgrad(["courses", "pack", course, "berkeley", "-o", "berkeley/submission.zip"]) == 2
        assert f"berkeley is no copy of {course} (it is a copy of cs189): it has none" in capsys.readouterr().err
    assert (tmp_path / "berkeley" / "submission.zip").read_text() == "mine"
    copy("purdue", tmp_path)
    assert handgrad(["courses", "pack", "purdue", "-o", "network.py"]) == 2
    assert "would replace the input" in capsys.readouterr().err
