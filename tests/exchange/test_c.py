"""Exports as C: equal to the model, small, without a heap, clean for compilers and sanitizers, whatever names are."""

import re
import shutil
import subprocess

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

import handgrad as hg
from fuzzing import examples
from handgrad.exchange import Program, c_file, record
from handgrad.exchange.export import TARGETS
from handgrad.exchange.runs import export_run
from handgrad.experiments.runner import configure, train
from random_models import composites, models

pytestmark = pytest.mark.skipif(c_file.compiler() is None, reason="there is no C compiler on this machine")
COMPILERS = [name for name in ("gcc", "clang") if shutil.which(name)]
SANITIZERS = ("-fsanitize=address,undefined", "-fno-sanitize-recover=all")


def written(folder, program, name="net"):
    """The .c file of a program."""
    for suffix, text in c_file.write(program, name).items():
        (folder / f"{name}{suffix}").write_text(text)
    return folder / f"{name}.c"


def differs_by(path, model):
    """The largest difference of file and model, for random inputs."""
    x = np.random.default_rng(0).standard_normal((3, *model.input_shape)).astype(np.float32)
    expected = model.astype(np.float64).predict(x)
    return np.abs(c_file.run(path, record(model), x)["y"] - expected).max() / np.abs(expected).max(initial=1)


@given(st.one_of(models(), composites()))
@examples(10)
def test_fuzzed_models_in_c_compute_what_the_model_predicts(tmp_path_factory, model):
    assert differs_by(written(tmp_path_factory.mktemp("c"), record(model)), model) <= 1e-5


SANITIZED = [
    ([hg.Conv2D(4, 3, padding=1, stride=2), hg.BatchNorm(), hg.MaxPool2D(2), hg.GELU(), hg.Flatten()], (7, 6, 2)),
    ([hg.ConvTranspose2D(3, 3, stride=2, padding=1), hg.GroupNorm(3), hg.Arctan(), hg.ELU()], (3, 4, 2)),
    ([hg.LSTM(3, return_sequences=True), hg.MultiHeadAttention(1, causal=True), hg.Softplus()], (4, 2)),
    ([hg.Branches([[hg.Linear(3)], [hg.SiLU(), hg.RMSNorm()]], "concat"), hg.LogSoftmax()], 3),
]


@pytest.mark.parametrize("layers, shape", SANITIZED)
@pytest.mark.parametrize("tool", COMPILERS)
def test_files_are_clean_under_sanitizers(tmp_path, monkeypatch, tool, layers, shape):
    monkeypatch.setattr(c_file, "FLAGS", (*c_file.FLAGS, *SANITIZERS))
    monkeypatch.setattr(c_file, "compiler", lambda: tool)
    model = hg.Sequential(layers).build(shape, rng=0)
    assert differs_by(written(tmp_path, record(model)), model) <= 1e-5


@pytest.fixture(scope="module")
def iris(tmp_path_factory):
    """The C files of a run."""
    folder = tmp_path_factory.mktemp("iris")
    run = train(configure("iris", overrides=["epochs=2"]), out=folder)
    receipt = export_run(run, folder / "iris.c", verify=True)
    return folder / "iris.c", receipt


def test_iris_takes_less_than_4_kb_and_no_heap(iris):
    path, receipt = iris
    assert receipt.ok and {row.output for row in receipt.differences} == {"y", "probabilities"}
    assert TARGETS[".c"].tool in {row.by for row in receipt.differences}
    subprocess.run(["gcc", "-Os", "-std=c99", "-c", path, "-o", path.with_suffix(".o")], check=True)
    told = subprocess.run(["size", path.with_suffix(".o")], capture_output=True, text=True, check=True).stdout
    text, data, bss = map(int, told.splitlines()[1].split()[:3])
    assert text + data <= 4096
    stated = {
        key: int(number) for number, key in re.findall(r"(\d+) bytes(?: of (weights|code)|, static)", path.read_text())
    }
    assert stated[""] == bss and abs(stated["weights"] + stated["code"] - text) < 0.3 * text
    needed = subprocess.run(["nm", "-u", path.with_suffix(".o")], capture_output=True, text=True, check=True).stdout
    assert set(needed.split()) - {"U"} <= {"expf", "memcpy", "memset"}


def test_class_names_are_declared_and_there(iris, tmp_path):
    path, _ = iris
    main = (
        '#include <stdio.h>\n#include "iris.h"\nint main(void) { puts(iris_class_names[IRIS_OUTPUTS - 1]); return 0; }'
    )
    (tmp_path / "main.c").write_text(main)
    command = ["gcc", *c_file.FLAGS, f"-I{path.parent}", tmp_path / "main.c", path, "-o", tmp_path / "main", "-lm"]
    subprocess.run(command, check=True)
    assert subprocess.run([tmp_path / "main"], capture_output=True, text=True).stdout == "virginica\n"


@pytest.mark.parametrize("name, stem", [("3-d net", "n3_d_net"), ("int", "int"), ("größe", "gr__e"), ("日本", "value")])
def test_a_file_name_that_is_no_c_name_becomes_one(tmp_path, name, stem):
    model = hg.Sequential([hg.Linear(2, name="int"), hg.Linear(2, name="exp")]).build(2, rng=0)
    path = written(tmp_path, record(model), name)
    assert f"void {stem}_predict(" in path.read_text() and differs_by(path, model) <= 1e-5


@pytest.mark.parametrize("function, reference, numbers", [
    ("sqrt", np.sqrt, np.geomspace(1e-37, 1e38, 999)),
    ("log", np.log, np.geomspace(1e-44, 3e38, 999)),
    ("log1p", np.log1p, np.r_[-np.geomspace(1e-30, 0.999, 500), 0, np.geomspace(1e-30, 1e38, 500)]),
    ("expm1", np.expm1, np.r_[-np.geomspace(1e-30, 200, 500), 0, np.geomspace(1e-30, 80, 500)]),
    ("atan", np.arctan, np.r_[-np.geomspace(1e-30, 1e30, 500), 0, np.geomspace(1e-30, 1e30, 500)]),
    ("erf", np.vectorize(__import__("math").erf), np.linspace(-6, 6, 1001)),
])  # fmt: skip
def test_functions_of_our_own_are_as_exact_as_they_say(tmp_path, function, reference, numbers):
    text = next(f for f in c_file.read("functions.c").split("\n\n") if f" {function}_of(" in f)
    stated = float(re.search(r"to (\S+?)(?: of it)?\. \*/", text)[1])
    found = results(tmp_path, f"{function}_of(x[0])", numbers.astype(np.float32))
    expected = reference(numbers.astype(np.float32).astype(np.float64))
    scale = np.maximum(np.abs(expected), 1e-37) if "of it" in text else 1
    assert np.abs((found - expected) / scale).max() <= stated


def results(folder, expression, x):
    """A function of functions.c for many x."""
    text = f"#include <math.h>\n#include <stdint.h>\n{c_file.read('functions.c')}\n"
    text += "void net_predict(const float *x, float *y);\n"
    unused = "\n".join(f"(void){name}_of;" for name in c_file.OWN)
    (folder / "net.c").write_text(f"{text}void net_predict(const float *x, float *y) {{ {unused} *y = {expression}; }}")
    identity = hg.Sequential([hg.Identity()]).build(1)
    return c_file.run(folder / "net.c", record(identity), x.reshape(-1, 1))["y"][:, 0].astype(np.float64)


POWERS = [(-2, 3, -8), (4, -0.5, 0.5), (0, 0.3, 0), (-1, 0.3, np.nan), (9, 0.5, 3), (1.5, 300, np.inf), (-1, 301, -1)]


@pytest.mark.parametrize("a, b, power", POWERS)
def test_powers(tmp_path, a, b, power):
    np.testing.assert_allclose(
        results(tmp_path, f"pow_of(x[0], {c_file.number(b)})", np.float32([a])), power, rtol=1e-6
    )


@pytest.mark.parametrize("function", c_file.OWN)
def test_what_is_no_number_stays_none(tmp_path, function):
    arguments = "x[0], 1.0f" if function in ("max", "min", "pow") else "x[0]"
    assert np.isnan(results(tmp_path, f"{function}_of({arguments})", np.float32([np.nan]))).all()


ANY_NAME = st.text(min_size=1, max_size=20).filter(lambda name: "." not in name)
TOKENS = re.compile(r'"(?:\\.|[^"\\\n])*"|/\*.*?\*/|//[^\n]*|\?\?.|\w+|[^\w\s]', re.DOTALL | re.ASCII)


def named(layer, class_name, column):
    """The program of a model with these names."""
    program = record(hg.Sequential([hg.Linear(2, name=layer), hg.Linear(2)]).build(2, rng=0))
    columns = [{"name": column, "texts": [layer]}, {"name": "b", "low": 0.0, "high": 1.0, "mean": 0.5}]
    facts = {"name": layer, "class_names": [class_name, "b"], "columns": columns}
    return Program(
        program.x, {**program.outputs, "probabilities": program.outputs["y"]}, program.operations, facts=facts
    )


def shape_of_code(text):
    """What is left of a file without comments and lines for the preprocessor, all strings and all words the same."""
    tokens = TOKENS.findall(re.sub("(?m)^#.*$", "", text))
    return [
        re.sub(r"^\w+$", "w", token, flags=re.ASCII) if token[0] != '"' else '"'
        for token in tokens
        if token[:2] != "/*"
    ]


@given(ANY_NAME, ANY_NAME, ANY_NAME)
@example("erf_of(", "x", "y")
@examples(200)
def test_no_name_becomes_code(layer, class_name, column):
    files, calm = c_file.write(named(layer, class_name, column), layer), c_file.write(named("a", "a", "a"), "a")
    for suffix, text in files.items():
        assert shape_of_code(text) == shape_of_code(calm[suffix])
        assert text.count("\n#") == calm[suffix].count("\n#") - (suffix == ".c" and '#include "' not in text)


@pytest.mark.parametrize("name", ['*/ "; int x; //', "a\\\n#error", "??/\n", "int", "memory", "é\u2028\x00"])
def test_hostile_names_compile(tmp_path, name):
    path = written(tmp_path, named(name, name, name))
    x = np.ones((1, 2), np.float32)
    np.testing.assert_allclose(
        c_file.run(path, named(name, name, name), x)["y"], named("a", "a", "a").run(x)["y"], atol=1e-6
    )
