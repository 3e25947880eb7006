"""Write-ups say what the records say, in three formats that stand alone, and show code with its gradient checks."""

import datetime
import html.parser
import json
import re
import shutil
import subprocess
from types import SimpleNamespace

import numpy as np
import pytest

from example_runs import write_images
from handgrad import cli
from handgrad.experiments import check_configuration, train
from handgrad.experiments.run_folder import Run
from handgrad.teaching import formats, write_up
from handgrad.teaching.results import component_sentences, entries, setting_sentence

TEX = shutil.which("pdflatex")


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """Three runs on iris that differ in learning rate and units."""
    folder = tmp_path_factory.mktemp("runs")
    for i, (rate, units) in enumerate(((0.001, 4), (0.1, 4), (0.1, 25))):
        table = {
            "name": "iris",
            "epochs": 8,
            "batch_size": 16,
            "data": {"name": "iris"},
            "loss": "cross-entropy",
            "model": {"layers": [{"layer": "Linear", "units": units}, "ReLU", {"layer": "Linear", "units": 3}]},
            "optimizer": {"name": "sgd", "learning_rate": rate},
        }
        train(
            check_configuration(table),
            folder=folder / f"run_{i}",
            progress=False,
            command=["handgrad", "train", "iris", "--set", f"x={'long' * 10}", "--set", "y=2"],
        )
    return folder


def text_of(runs, tmp_path, kind="markdown", **options):
    return write_up([runs], tmp_path / "out.x", kind, **options).read_text(encoding="utf-8")


def test_the_table_holds_every_run_the_best_first(runs, tmp_path):
    text = text_of(runs, tmp_path)
    rows = [line.strip("| ").split(" | ") for line in text.splitlines() if line.startswith(("| run\\_", "| **run\\_"))]
    found = entries([Run(path) for path in runs.iterdir()])
    assert len(rows) == 3 and all(cell.startswith("**") for cell in rows[0])
    errors = [float(row[3].strip("*")) for row in rows]
    assert errors == sorted(errors)
    assert errors[0] == pytest.approx(1 - found[0].run.results["test"]["accuracy"], rel=1e-3)
    assert "| run | units | learning\\_rate | test error |" in text
    assert "3 runs on iris differ in units, learning\\_rate. The best by test error is" in text
    assert "one of the 30 rows counts 0.03333" in text


def test_statements_follow_the_record(runs, tmp_path):
    copy = tmp_path / "copy"
    shutil.copytree(runs / "run_2", copy)
    record = json.loads((copy / "run.json").read_text())
    before = write_up([copy], tmp_path / "a.md").read_text()
    record["configuration"]["optimizer"]["learning_rate"] = 0.0625
    record["results"]["test"]["accuracy"] = 0.123456
    record["seed"] = 42
    (copy / "run.json").write_text(json.dumps(record))
    after = write_up([copy], tmp_path / "a.md").read_text()
    assert "learning rate 0.0625" in after and "0.1235" in after and "Its seed was 42" in after
    assert "learning rate 0.1" in before and "0.1235" not in before
    assert "Judged by these figures it is" in before


def test_heading_levels(runs, tmp_path):
    for level in (1, 2, 3):
        text = text_of(runs / "run_0", tmp_path, heading_level=level, code=["handgrad.functional.linear"])
        assert {len(marks) for marks in re.findall(r"^(#+) ", text, re.MULTILINE)} == {level, level + 1}
        page = text_of(runs / "run_0", tmp_path, "html", heading_level=level)
        assert set(re.findall(r"<h(\d)>", page)) == {str(level)}
    with pytest.raises(ValueError, match="heading_level must be 1, 2 or 3, got 4"):
        text_of(runs, tmp_path, heading_level=4)


def test_pictures_are_part_of_a_page(runs, tmp_path):
    text = text_of(runs, tmp_path, "html")
    assert re.findall(r'<figure class="chart" id="chart-([\w-]+)"', text) == ["sweep-1", "sweep-2", "loss", "accuracy"]
    assert "tabindex" not in re.search(r'<figure class="chart".*?</figure>', text, re.DOTALL)[0]  # nothing to press
    assert not re.search(r"(src|href)=\"(?!data:)", text) and "<script" not in text
    assert [path.name for path in tmp_path.iterdir()] == ["out.x"]


def test_pictures_are_files_beside_markdown(runs, tmp_path):
    text = text_of(runs, tmp_path)
    named = re.findall(r"^!\[.*\]\((.*)\)$", text, re.MULTILINE)
    assert len(named) == 3 and "base64" not in text
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(["out.x", *named])
    assert all((tmp_path / name).read_bytes().startswith(b"\x89PNG") for name in named)


@pytest.mark.parametrize("kind", ["markdown", "html", "latex"])
def test_title_author_and_date_stand_above_what_is_no_part_of_another_document(runs, tmp_path, kind):
    told = dict(title="Three & more", author="Ada Lovelace")
    text = text_of(runs, tmp_path, kind, code=["handgrad.functional.linear"], **told)
    top = text[: text.index("Implementations")].replace("&amp;", "&").replace("\\&", "&")
    assert all(words in top for words in ("Three & more", "Ada Lovelace", str(datetime.date.today().year)))
    assert re.search("Write.{1,3}up: iris", text_of(runs, tmp_path, kind))  # LaTeX keeps hyphens apart
    assert "Ada Lovelace" not in text_of(runs, tmp_path, kind, author="Ada Lovelace", heading_level=2)


def test_right_and_wrong_differ_on_a_page(runs, tmp_path):
    page = text_of(runs, tmp_path, "html", code=["handgrad.functional.linear"])
    assert '<span class="good">✓</span> right' in page and "✗" not in page


class Balanced(html.parser.HTMLParser):
    """Fails on a tag that is closed but not open."""

    def __init__(self):
        super().__init__()
        self.open, self.text = [], []

    def handle_starttag(self, tag, attributes):
        if tag not in ("meta", "img"):
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text.append(data)


HOSTILE = '<script>alert(1)</script> \\input{/etc/passwd} $x_1^2$ #5 50% & ~ `code` *x* | [a](b) "q" \x00\x1b é 中 Σ x̂'
HARMLESS = HOSTILE.translate({0: None, 27: None}).replace('"q"', "q")
STUDENT = f'''"""A student's layers."""

import numpy as np


class Dense:
    """{HARMLESS.replace(chr(92), chr(92) * 2)} \\\\end{{verbatim}} ```"""

    def __init__(self, n_in, n_out):
        self.weight = np.ones((n_in, n_out))

    def forward(self, x):
        self.x = x
        return x @ self.weight

    def backward(self, dy):
        return 2 * (dy @ self.weight.T)


def square_forward(x):
    return x * x, x


def square_backward(dy, cache):
    return (2 * cache * dy,)


def unknown_forward(nothing, at, all):
    raise ValueError("never")


def unknown_backward(dy, cache):
    return dy
'''


@pytest.fixture
def student(tmp_path):
    path = tmp_path / "my_layers.py"
    path.write_text(STUDENT, encoding="utf-8")
    return path


def test_a_students_code_with_what_is_wrong_with_it(runs, tmp_path, student):
    text = text_of(runs / "run_0", tmp_path, code=[str(student)])
    assert "class Dense:" in text and "def square_backward(dy, cache):" in text
    assert "not every gradient is right" in text and "2 times what it should be" in text
    assert "every gradient is right, the largest relative error being" in text
    assert "Its gradients were not checked" in text and "check\\_inputs" in text
    assert "| x | 6×4 |" in text


def test_chosen_names(runs, tmp_path, student):
    text = text_of(runs / "run_0", tmp_path, code=[f"{student}:square", "handgrad.layers:Sequential.forward"])
    assert "class Dense" not in text and "def square_forward" in text and "def forward(self, x" in text
    for code, message in (
        ("handgrad.functional.linear:linaer", "did you mean 'linear'"),
        ("no.such.module", "does not import: ModuleNotFoundError"),
        ("nofile.py", "there is no file"),
        ("handgrad.functional", "defines no functions or classes"),
    ):
        with pytest.raises(ValueError, match=message):
            text_of(runs, tmp_path, code=[code])


def test_classes_that_a_module_has_from_another_are_checked_too(runs, tmp_path):
    names = ("FullyConnected", "Conv2D", "Pool2D", "BatchNorm1D")
    text = text_of(runs / "run_0", tmp_path, code=[f"handgrad.courses.cs189.layers:{','.join(names)}"])
    assert all(f"class {name}(" in text for name in names)
    assert text.count("Gradient check: every gradient is right") == len(names)


def test_a_file_of_a_package_imports_from_its_package(runs, tmp_path):
    """Also a course's layer: its activation is given by name, its parameters come with the first forward."""
    package = tmp_path / "their_networks"
    package.mkdir()
    (package / "__init__.py").write_text("")
    (package / "activations.py").write_text("import numpy as np\n\n\nACTIVATIONS = {'tanh': np.tanh}\n")
    (package / "layers.py").write_text("""
from their_networks.activations import ACTIVATIONS
import numpy as np


class FullyConnected:
    def __init__(self, n_out, activation):
        self.n_out, self.activation = n_out, ACTIVATIONS[activation]
        self.parameters, self.gradients = {}, {}

    def forward(self, X):
        if not self.parameters:
            self.parameters = {"W": np.full((X.shape[1], self.n_out), 0.3)}
        self.X, self.Y = X, self.activation(X @ self.parameters["W"])
        return self.Y

    def backward(self, dY):
        dZ = dY * (1 - self.Y**2)
        self.gradients["W"] = 2 * self.X.T @ dZ
        return dZ @ self.parameters["W"].T
""")
    text = text_of(runs / "run_0", tmp_path, code=[str(package / "layers.py")])
    assert "not every gradient is right" in text and "W is 2 times what it should be" in text


def hostile_run(runs, tmp_path):
    copy = tmp_path / "hostile"
    shutil.copytree(runs / "run_1", copy)
    record = json.loads((copy / "run.json").read_text())
    record["data"].update(name=HOSTILE, source=HOSTILE, licence=HOSTILE)
    record["versions"] = {HOSTILE: HOSTILE}
    record["command"] = [HOSTILE, "\\end{verbatim}\\input{/etc/passwd}"]
    record["configuration"]["optimizer"] = {"name": HOSTILE, HOSTILE: HOSTILE}
    (copy / "run.json").write_text(json.dumps(record))
    return copy


def test_html_shows_hostile_text_and_runs_none_of_it(runs, tmp_path, student):
    path = write_up([hostile_run(runs, tmp_path)], tmp_path / "out.html", "html", code=[str(student)])
    parser = Balanced()
    parser.feed(path.read_text(encoding="utf-8"))
    assert not parser.open and "<script>alert(1)</script>" in "".join(parser.text)
    assert "<script>" not in path.read_text(encoding="utf-8").replace("&lt;script&gt;", "")


def test_markdown_escapes(runs, tmp_path, student):
    text = write_up([hostile_run(runs, tmp_path)], tmp_path / "out.md", code=[str(student)]).read_text(encoding="utf-8")
    outside = re.sub(r"^(`{3,}).*?^\1$", "", text, flags=re.MULTILINE | re.DOTALL)
    assert "\\<script\\>" in outside and not re.search(r"(?<!\\)<script", outside)
    assert "````python" in text
    assert formats.escape_markdown("- a\n1. b") == "\\- a\n\\1. b"


@pytest.mark.skipif(TEX is None, reason="pdflatex is not here")
def test_latex_compiles_whatever_is_in_it(runs, tmp_path, student):
    path = write_up(
        [hostile_run(runs, tmp_path), runs],
        tmp_path / "my write_up.tex",
        "latex",
        3,
        code=[str(student), "handgrad.functional.activations", "handgrad.functional.losses:hinge"],
    )
    pictures = sorted(picture.name for picture in tmp_path.glob("*.pdf"))
    assert pictures == ["my-write-up-curves.pdf", "my-write-up-sweep-1.pdf"]
    done = subprocess.run(
        [TEX, "-interaction=nonstopmode", "-halt-on-error", path.name], cwd=tmp_path, capture_output=True, check=False
    )
    assert done.returncode == 0, done.stdout.decode(errors="replace")[-2000:]
    assert (tmp_path / "my write_up.pdf").is_file()
    log = (tmp_path / "my write_up.log").read_text(errors="replace")
    assert "/etc/passwd)" not in log and "(/etc/passwd" not in log


def test_latex_without_pdflatex_at_least_escapes():
    assert formats.escape_latex("a_b & 5% $x$ \\input{y}") == r"a\_b \& 5\% \$x\$ \textbackslash{}input\{y\}"
    assert formats.character("Σ") == r"\ensuremath{\Sigma}" and formats.character("é") == r"\'{e}"
    assert formats.character("²") == r"\ensuremath{^{2}}" and formats.character("中") == "[U+4E2D]"


@pytest.fixture(scope="module")
def ablation(tmp_path_factory):
    """Two by two by two runs on small images: batch norm, dropout and augmentation, on and off."""
    folder = tmp_path_factory.mktemp("ablation")
    images = write_images(folder / "images.npz")
    for number in range(8):
        norm, dropout, augmentation = (bool(number & bit) for bit in (1, 2, 4))
        layers = [
            {"layer": "Conv2D", "filters": 3, "kernel_size": 3},
            *["BatchNorm"] * norm,
            "ReLU",
            "Flatten",
            {"layer": "Dropout", "rate": 0.3 * dropout},
            {"layer": "Linear", "units": "classes"},
        ]
        table = {
            "name": "images",
            "epochs": 2,
            "batch_size": 16,
            "data": {"name": str(images)},
            "model": {"layers": layers},
            "loss": "cross-entropy",
            "optimizer": {"name": "adam"},
            "augmentation": ["random_flip"] * augmentation,
        }
        train(check_configuration(table), folder=folder / f"run_{number}", progress=False)
    return folder


def test_a_paragraph_for_each_component_from_runs_that_differ_in_it_alone(ablation, tmp_path):
    found = entries([Run(path.parent) for path in ablation.glob("*/run.json")])
    sentences = component_sentences(found)
    assert list(sentences) == ["Batch normalization", "Dropout", "Augmentation"]
    error = {int(entry.run.path.name[-1]): entry.figures["test error"] for entry in found}
    for component, bit in (("Batch normalization", 1), ("Dropout", 2), ("Augmentation", 4)):
        with_it = np.mean([value for number, value in error.items() if number & bit])
        without = np.mean([value for number, value in error.items() if not number & bit])
        assert "8 runs that differ in nothing else, in 4 settings of the rest" in sentences[component]
        figures = re.search(r"the test error is (\S+) with it and (\S+) without", sentences[component])
        assert [float(figure) for figure in figures.groups()] == pytest.approx([with_it, without], rel=1e-3)
        direction = "lowers" if with_it < without else "raises" if with_it > without else "changed nothing"
        assert direction in sentences[component]
    text = write_up([ablation], tmp_path / "out.md").read_text(encoding="utf-8")
    assert "# What each part contributes" in text and "## Dropout" in text
    assert "| run | layers | augmentation |" in text
    assert "Conv2D 3, BatchNorm, ReLU, Flatten, Dropout 0.3, Linear " in text


def test_runs_that_differ_in_more_are_not_compared(ablation):
    pair = [Run(ablation / "run_0"), Run(ablation / "run_7")]
    assert component_sentences(entries(pair)) == {}


def test_only_finished_runs_are_written_about(runs, tmp_path):
    copy = tmp_path / "copy"
    shutil.copytree(runs / "run_0", copy)
    record = json.loads((copy / "run.json").read_text())
    del record["results"]
    (copy / "run.json").write_text(json.dumps({**record, "status": "interrupted"}))
    with pytest.raises(ValueError, match="no finished run"):
        write_up([copy], tmp_path / "out.md")
    assert not (tmp_path / "out.md").exists()


def test_the_command(runs, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)

    def call(*arguments):
        with pytest.raises(SystemExit) as ending:
            cli.main(list(map(str, arguments)))
        return ending.value.code, *capsys.readouterr()

    code, out, err = call("writeup", runs, "--format", "html", "--code", "handgrad.functional.linear")
    assert (code, out, err) == (0, "write-up: writeup.html\n", "") and (tmp_path / "writeup.html").is_file()
    code, out, err = call("writeup", runs, "-f", "latex", "-o", "code.tex", "--heading_level", 2)  # the course's flags
    assert (code, err) == (0, "") and "\\subsection{Experiments}" in (tmp_path / "code.tex").read_text()
    code, out, err = call("writeup", runs, "--code", "nothing.here")
    assert code == 2 and out == "" and err.startswith("handgrad: the module nothing.here does not import")
    code, out, err = call("judge", runs)
    assert code == 0 and len(re.findall(r"^(generalizing|underfitting|overfitting): ", out, re.MULTILINE)) == 3
    code, out, err = call("judge", tmp_path / "nowhere")
    assert code == 2 and len(err.splitlines()) == 1


def entry(test_error, train_error):
    """What a sentence on a setting asks of a run."""
    figures = {"test error": test_error, "train error": train_error}
    return SimpleNamespace(figures=figures, run=SimpleNamespace(record={"data": {"rows": {"test": 50}}}))


@pytest.mark.parametrize(
    ("groups", "words"),
    [
        ([], "No two of these runs differ in rate alone, so what it did cannot be told from them."),
        ([{"1": [entry(0.1, 0)], "2": [entry(0.11, 0)]}], "That is less than one of the 50 test rows apart"),
        ([{"1": [entry(0.1, 0.0)], "2": [entry(0.2, 0.1)]}], "with 2: the setting decides how much is learnt at all."),
        ([{"1": [entry(0.1, 0.0)], "2": [entry(0.2, 0.0)]}], "with 2: it decides how well what is learnt carries over"),
        (
            [{"1": [entry(0.1, 0)], "2": [entry(0.3, 0)]}, {"1": [entry(0.2, 0)], "2": [entry(0.1, 0)]}],
            "The test error is 0.15 with 1, 0.2 with 2 (means over 2 settings of the rest). Best is 1, in 1 of the 2.",
        ),
    ],
)
def test_what_a_setting_did_is_told_with_its_doubts(groups, words):
    assert words in setting_sentence("rate", groups, "test error")
