"""SPEC.toml: what it says, and one line for everything that is wrong with it."""

import numpy as np
import pytest

from handgrad.assignment import read_assignment

LAYERS = '''
import numpy as np
SLOPE = 0.1
def relu_forward(x):
    """max(0, x)."""
    return np.maximum(x, 0), x
def relu_backward(dy, cache):
    """dx."""
    return (dy * (cache > 0),)
class Tanh:
    def forward(self, x):
        """tanh(x)."""
        self.y = np.tanh(x)
        return self.y
    def backward(self, dy):
        """dx."""
        return dy * (1 - self.y**2)
def helper():
    return 1
'''
SPEC = """
title = "Two layers"
files = ["layers.py"]
given = ["data"]
hints = "what"
[[tasks]]
function = "relu_backward"
inputs = { x = [5, 7] }
points = 3
[[tasks]]
function = "Tanh.forward"
inputs = "private.py:draw"
reference = "private.py:tanh"
hints = "none"
"""


@pytest.fixture
def write(tmp_path):
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "x.csv").write_text("1\n")
    (tmp_path / "layers.py").write_text(LAYERS)
    (tmp_path / "private.py").write_text("def draw(rng): return {'x': rng.normal(size=3)}\ndef tanh(x): return x\n")

    def write(*edits, more=""):
        text = SPEC
        for old, new in edits:
            assert old in text
            text = text.replace(old, new, 1)
        (tmp_path / "SPEC.toml").write_text(text + more)
        return tmp_path / "SPEC.toml"

    return write


def test_what_is_left_out_is_filled_in(write):
    assignment = read_assignment(write())
    relu, tanh = assignment.tasks
    assert (relu.name, relu.file, relu.forward, relu.gradients) == ("relu_backward", "layers.py", "relu_forward", ["x"])
    assert (relu.points, relu.hints, relu.time_limit) == (3, "what", 20) and str(
        relu.reference
    ) == "layers.py:relu_backward"
    assert relu.is_backward and not tanh.is_backward and tanh.hints == "none" and tanh.points == 1
    assert assignment.max_score == 4 and assignment.given == ("data/x.csv",)
    assert assignment.contents["layers.py"].decode() == LAYERS


def test_arguments_are_drawn_by_shape_or_by_the_teachers_function(write):
    assignment = read_assignment(
        write(("[5, 7] }", "[5, 7], alpha = 2 }"), ('"relu_backward"', '"relu_backward"\ncall = "private.py:draw"'))
    )
    shaped, drawn = (assignment.arguments(task, np.random.default_rng(0)) for task in assignment.tasks)
    assert shaped["x"].shape == (5, 7) and shaped["alpha"] == 2 and drawn["x"].shape == (3,)


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ("return {'x': missing}", r"private\.py:draw raised NameError: .*missing.* \(line 1\)"),
        ("return [1]", r"private\.py:draw must return a dict of arrays and numbers"),
    ],
)
def test_a_teachers_function_that_draws_nothing_says_so(write, tmp_path, body, said):
    path = write()
    (tmp_path / "private.py").write_text(f"def draw(rng): {body}\ndef tanh(x): return x\n")
    assignment = read_assignment(path)
    with pytest.raises(ValueError, match=said):
        assignment.arguments(assignment.tasks[1], np.random.default_rng(0))


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ('title = "Two layers"', "", "the key 'title' is missing"),
        ("points", "pionts", "unknown key 'task 1 (relu_backward).pionts'; did you mean 'points'"),
        ("points = 3", "points = -3", "task 1 (relu_backward).points = -3: expected greater than 0"),
        ('"what"', '"all"', "hints = 'all'"),
        ('["layers.py"]', '["layer.py"]', "there is no file layer.py"),
        ('["layers.py"]', '["../layers.py"]', "must be the name of a file beside it"),
        ('["data"]', '["dta"]', "there is no file dta beside it"),
        ('["data"]', '["private.py"]', "private.py:draw would be handed out"),
        ('["data"]', '["SPEC.toml"]', "SPEC.toml itself would be handed out"),
        ("files = [", "files = [] # [", "files = []: expected a list of at least 1 item"),
        ('["data"]', '["layers.py"]', "the file layers.py stands there twice"),
        (
            '"relu_backward"',
            '"relu_bakward"',
            "no function relu_bakward with a docstring; did you mean 'relu_backward'",
        ),
        ('"relu_backward"', '"helper"', "no function helper with a docstring"),
        ('"relu_backward"', '"relu_backward"\nforward = "elu_forward"', "no function elu_forward"),
        ('"relu_backward"', '"relu_backward"\nfile = "x.py"', "x.py is none of the files"),
        ("{ x =", "{ X =", "relu_forward takes no X; did you mean 'x'"),
        ("points = 3", 'gradients = ["y"]', "task 1 (relu_backward).gradients: there is no array y"),
        ("[5, 7]", "[300000, 400000]", "x would have 120,000,000,000 numbers: give it at most"),
        ("points = 3", r'name = "a\nb\u001b"', "task 1 (relu_backward).name = 'a\\nb\\x1b': expected text on one line"),
        ("[5, 7]", "[5, 0]", "x must be the shape of an array"),
        ('"private.py:draw"', '"draw"', "expected a function in a file"),
        ('"private.py:draw"', '"private.py:drew"', "private.py has no function drew; did you mean 'draw'"),
        ('"private.py:tanh"', '"layers.py:helper"', "layers.py:helper would be handed out"),
        ('"Tanh.forward"', '"relu_backward"', "the task relu_backward stands there twice"),
    ],
)
def test_what_is_wrong_is_one_line_that_names_the_key(write, old, new, said):
    with pytest.raises(ValueError, match=r"SPEC\.toml") as refusal:
        read_assignment(write((old, new)))
    assert said in str(refusal.value) and "\n" not in str(refusal.value)


@pytest.mark.parametrize(
    ("variant", "said"),
    [
        ("blank = 3", "variant.blank = 3: there are 2 tasks"),
        ("blank = 1", "variant.blank needs tasks of the same points"),
        ("constants = { SLOP = [1] }", "no file assigns at its top level a SLOP; did you mean 'SLOPE'"),
        (
            'constants = { SLOPE = ["os.system(1)", 2.0] }',
            "'os.system(1)' is none of its kind: expected a number, as in",
        ),
        ("constants = { SLOPE = [inf] }", "inf is none of its kind"),
        ("constants = { SLOPE = [] }", "variant.constants.SLOPE = []: expected a list of at least 1 item"),
        ('find_the_bug = { "layer nrom" = 1 }', "did you mean 'layer norm'"),
    ],
)
def test_a_variant_that_cannot_be_drawn_is_refused(write, variant, said):
    with pytest.raises(ValueError, match=r"SPEC\.toml") as refusal:
        read_assignment(write(more=f"[variant]\n{variant}\n"))
    assert said in str(refusal.value)


def test_a_file_that_is_no_python_is_named(write, tmp_path):
    path = write()
    (tmp_path / "layers.py").write_bytes(b"def f(:\n")
    with pytest.raises(ValueError, match=r"layers\.py is no Python in UTF-8"):
        read_assignment(path)
    with pytest.raises(ValueError, match="cannot read"):
        read_assignment(tmp_path / "none.toml")
    with pytest.raises(ValueError, match=r"unknown assignment.*did you mean 'layer-norm'"):
        read_assignment("layer-nrom")
    with pytest.raises(ValueError, match=r"is a folder: name .*SPEC\.toml in it"):
        read_assignment(tmp_path)
