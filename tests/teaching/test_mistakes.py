"""The table of mistakes: every edit fits the right pair, makes readable wrong code, and says when it no longer fits."""

import inspect
import traceback
from dataclasses import replace

import numpy as np
import pytest

from handgrad import check_gradients
from handgrad import functional as F
from handgrad.teaching.mistakes import Mistake, mistakes

SUBJECTS = {mistake.subject for mistake in mistakes().values()}


def test_the_table_is_complete():
    assert len(mistakes()) >= 158
    for name, mistake in mistakes().items():
        assert mistake.name == name and len(mistake.lesson) > 10 and mistake.slug


@pytest.mark.parametrize("subject", sorted(SUBJECTS, key=lambda s: s.name), ids=lambda s: s.name)
def test_the_right_pair_is_right_where_the_mistakes_are_tried(subject):
    arrays, options = subject.draw(np.random.default_rng(3))
    assert check_gradients(subject.functions(), *arrays, kwargs=options).ok


@pytest.mark.parametrize("mistake", mistakes().values(), ids=list(mistakes()))
def test_every_edit_fits_once_and_leaves_the_right_pair_alone(mistake):
    right = [inspect.getsource(function) for function in mistake.subject.functions()]
    wrong = mistake.functions()
    assert [inspect.getsource(function) for function in wrong] != right or mistake.helper
    assert [inspect.getsource(function) for function in mistake.subject.functions()] == right
    assert all(function not in mistake.subject.functions() for function in wrong)


def test_the_wrong_source_differs_in_the_edited_line_alone():
    mistake = mistakes()["linear.dbias_not_summed"]
    right = "\n\n".join(inspect.getsource(function) for function in (F.linear_forward, F.linear_backward))
    assert mistake.source() == right.replace(mistake.right[0], mistake.wrong[0])
    assert "+= dwindows" in inspect.getsource(F.conv2d_backward.__globals__["add_windows"])
    assert "+= dwindows" not in mistakes()["conv2d.conv_dx_assigned"].source()


def test_an_edit_that_no_longer_fits_is_named():
    mistake = replace(mistakes()["linear.dbias_not_summed"], right=("return dx, dweight, dbias",))
    with pytest.raises(
        ValueError, match=r"right line of linear\.dbias_not_summed .* 0 times.*'return dx, dweight, dbias'"
    ):
        mistake.functions()


def test_a_line_that_stands_twice_is_refused():
    with pytest.raises(ValueError, match="2 times"):
        replace(mistakes()["batch_norm.gamma_ignored"], right=('"""',)).source()  # the ends of two docstrings


def test_errors_and_source_name_the_mistake():
    mistake: Mistake = mistakes()["linear.dweight_times_weight_misshapen"]
    forward, backward = mistake.functions()
    assert inspect.getsourcefile(backward) == "<mistake linear.dweight_times_weight_misshapen>"
    _, cache = forward(np.ones((6, 4)), np.ones((4, 5)), np.ones(5))
    with pytest.raises(ValueError) as caught:
        backward(np.ones((6, 3)), cache)
    frames = traceback.extract_tb(caught.tb)
    assert frames[-1].filename == "<mistake linear.dweight_times_weight_misshapen>"
    assert frames[-1].line == "dx = dy @ weight.T if input_gradient else None"
