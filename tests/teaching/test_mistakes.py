"""The table of mistakes: every edit fits the right code, makes readable wrong code, and says when it no longer fits."""

import doctest
import inspect
import traceback
from dataclasses import replace

import numpy as np
import pytest

from handgrad import check_gradients
from handgrad import functional as F
from handgrad.functional import windows
from handgrad.layers.base import Layer
from handgrad.teaching import mistakes as module
from handgrad.teaching.mistakes import mistakes, resolve

SUBJECTS = {mistake.subject.name: mistake.subject for mistake in mistakes().values()}


def test_the_table_is_complete():
    assert len(mistakes()) >= 171
    for name, mistake in mistakes().items():
        assert mistake.name == name and len(mistake.lesson) > 10 and mistake.slug


def test_the_example_of_the_module_is_true():
    assert doctest.testmod(module).attempted >= 4
    assert doctest.testmod(module).failed == 0


@pytest.mark.parametrize("subject", SUBJECTS.values(), ids=list(SUBJECTS))
def test_the_right_code_is_right_where_the_mistakes_are_tried(subject):
    target, arrays, options = subject.make(np.random.default_rng(3))
    assert check_gradients(target, *arrays, **options).ok


@pytest.mark.parametrize("mistake", mistakes().values(), ids=list(mistakes()))
def test_every_edit_fits_once_and_leaves_the_right_code_alone(mistake):
    right = [inspect.getsource(resolve(name)) for name in mistake.code]
    wrong = mistake.run()
    assert mistake.source() != "\n\n".join(right)
    assert [inspect.getsource(resolve(name)) for name in mistake.code] == right
    assert all(wrong[resolve(name).__name__] is not resolve(name) for name in mistake.code)


def test_the_wrong_source_differs_in_the_edited_line_alone():
    mistake = mistakes()["linear.dbias_not_summed"]
    right = "\n\n".join(inspect.getsource(function) for function in (F.linear_forward, F.linear_backward))
    assert mistake.source() == right.replace(mistake.right[0], mistake.wrong[0])
    assert "+= dwindows" in inspect.getsource(windows.add_windows)
    assert "+= dwindows" not in mistakes()["conv2d.conv_dx_assigned"].source()


def test_a_wrong_layer_does_not_take_the_right_one_s_name():
    linear = Layer.registry["Linear"]
    wrong = mistakes()["linear_layer.gradients_accumulated"].run()["Linear"]
    assert Layer.registry["Linear"] is linear is not wrong


def test_an_edit_that_no_longer_fits_is_named():
    mistake = replace(mistakes()["linear.dbias_not_summed"], right=("return dx, dweight, dbias",))
    with pytest.raises(
        ValueError, match=r"right line of linear\.dbias_not_summed .* 0 times.*'return dx, dweight, dbias'"
    ):
        mistake.run()


def test_a_line_that_stands_twice_is_refused():
    with pytest.raises(ValueError, match="2 times"):
        replace(mistakes()["batch_norm.gamma_ignored"], right=('"""',)).source()  # the ends of two docstrings


def test_errors_and_source_name_the_mistake():
    wrong = mistakes()["linear.dweight_times_weight_misshapen"].run()
    assert inspect.getsourcefile(wrong["linear_backward"]) == "<mistake linear.dweight_times_weight_misshapen>"
    _, cache = wrong["linear_forward"](np.ones((6, 4)), np.ones((4, 5)), np.ones(5))
    with pytest.raises(ValueError) as caught:
        wrong["linear_backward"](np.ones((6, 3)), cache)
    frames = traceback.extract_tb(caught.tb)
    assert frames[-1].filename == "<mistake linear.dweight_times_weight_misshapen>"
    assert frames[-1].line == "dx = dy @ weight.T if input_gradient else None"
