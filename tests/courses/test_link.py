"""The machinery of courses: modules under their own names, in a folder or for one script."""

import subprocess
import sys
from types import ModuleType

import pytest

from handgrad.cli.application import run as handgrad
from handgrad.courses import COURSES
from handgrad.courses.link import link, run


@pytest.fixture(autouse=True)
def no_mnist(monkeypatch, tmp_path):
    """Linking would copy 55 MB of images."""
    monkeypatch.setenv("HANDGRAD_DATA", str(tmp_path / "no data"))


def script(folder, text):
    path = folder / "script.py"
    path.write_text(text)
    return path


def test_a_linked_folder_imports_handgrads_classes(tmp_path):
    link("cs189", tmp_path)
    code = (
        "from neural_networks.layers import Conv2D\nfrom neural_networks.utils import AttrDict, convolution\n"
        "import handgrad.courses.cs189.layers as ours\nassert Conv2D is ours.Conv2D\nprint(AttrDict(a=1).a)"
    )
    assert subprocess.check_output([sys.executable, "-c", code], cwd=tmp_path, text=True) == "1\n"


def test_linking_again_keeps_what_the_student_changed(tmp_path):
    link("cs189", tmp_path)
    (tmp_path / "train_ffnn.py").write_text("mine")
    link("cs189", tmp_path)
    assert (tmp_path / "train_ffnn.py").read_text() == "mine"


def test_a_module_of_the_students_own_is_never_replaced(tmp_path):
    (tmp_path / "neural_networks").mkdir()
    (tmp_path / "neural_networks" / "layers.py").write_text("class FullyConnected: pass\n")
    with pytest.raises(ValueError, match=r"layers\.py is a module of your own, .* move it away first"):
        link("cs189", tmp_path)
    assert [path.name for path in tmp_path.rglob("*.py")] == ["layers.py"]


@pytest.mark.parametrize("courses", [("nndl", "purdue"), ("purdue", "nndl")])
def test_courses_whose_modules_would_hide_each_other_are_not_put_together(tmp_path, courses):
    link(courses[0], tmp_path)
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(ValueError, match=r"utils.* would be one module to Python: link into another folder"):
        link(courses[1], tmp_path)
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


def test_run_prefers_handgrads_modules_to_a_half_done_package(tmp_path):
    (tmp_path / "neural_networks").mkdir()
    (tmp_path / "neural_networks" / "__init__.py").write_text("raise SystemExit('the stub was imported')")
    assert run("cs189", script(tmp_path, "from neural_networks.layers import Flatten")) == 0


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
        (["link", "cs198", "."], "unknown course 'cs198'; did you mean 'cs189'?"),
        (["run", "cs189", "none.py"], "no script none.py here; expected a file, or one that comes with the course: "),
        (["run", "cs189", "notes.ipynb"], "notes.ipynb is a notebook: link the course into its folder"),
    ],
)
def test_bad_input_is_one_line_and_exit_code_2(arguments, words, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "notes.ipynb").write_text("{}")
    assert handgrad(["courses", *arguments]) == 2
    message = capsys.readouterr().err
    assert words in message and message.count("\n") == 1


def test_the_command_line_lists_links_and_runs(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert handgrad(["courses", "list"]) == 0
    assert all(name in capsys.readouterr().out for name in [*COURSES][:1])
    assert handgrad(["courses", "link", "cs189", "work"]) == 0
    assert "files are in work" in capsys.readouterr().out
    path = script(tmp_path, "import sys; print(sys.argv[1:]); sys.exit(4)")
    assert handgrad(["courses", "run", "cs189", str(path), "-o", "x"]) == 4
    assert capsys.readouterr().out == "['-o', 'x']\n"
