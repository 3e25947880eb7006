"""hints= decides how much a report tells, and nothing in it tells more."""

import numpy as np
import pytest

from handgrad import functional as F
from handgrad.gradient_check import Verdict, assert_gradients, check_gradients
from handgrad.gradient_check.hints import HINTS, keep_to
from handgrad.gradient_check.report import Report

X, W, B = (np.random.default_rng(1).normal(size=shape) for shape in ((5, 4), (4, 3), (3,)))


def wrong(dy, cache):
    dx, dweight, dbias = F.linear_backward(dy, cache)
    return dx, dweight / 5, dbias


def all_of(report):
    """Everything that a report can be made to say."""
    numbers = [(c.error, c.direction_error, c.ties_error, c.numeric, c.deviation) for c in report.arrays.values()]
    return f"{report}\n{report!r}\n{report.to_html()}\n{report.verdicts}\n{numbers}"


@pytest.mark.parametrize(
    ("hints", "told", "kept"),
    [
        ("none", ["weight is wrong"], ["batch", "0.2 times", "expected =", "evidence:", "in line", "look at"]),
        (
            "where",
            ["weight is wrong, first at line 12", "look at dweight"],
            ["batch", "0.2 times", "expected =", "evidence:"],
        ),
        ("what", ["weight: batch-size-factor in line 12", "A sum over the examples has"], ["0.2 times", "x.T @ dy"]),
        ("fix", ["batch-size-factor in line 12", "0.2 times", "right: dweight = x.T @ dy", "evidence:"], []),
    ],
)
def test_a_report_tells_what_the_hints_allow(hints, told, kept):
    report = check_gradients((F.linear_forward, wrong), X, W, B)
    found = dict(variable="dweight", line=12, fix="dweight = x.T @ dy")
    report.verdicts[:] = [Verdict(v.array, v.mistake, v.message, v.evidence, **found) for v in report.verdicts]
    said = all_of(keep_to(report, hints))
    assert not report.ok and not report["weight"].ok and report["bias"].ok
    assert [words for words in told if words not in said] == []
    assert [words for words in kept if words in said] == []


@pytest.mark.parametrize("hints", HINTS)
def test_the_right_gradient_is_not_among_what_is_told_of_a_wrong_one_until_its_name_is(hints):
    report = check_gradients((F.linear_forward, wrong), X, W, B, hints=hints)
    assert report.hints == hints
    assert (report["weight"].numeric is None) == (hints in ("none", "where"))
    assert np.isnan(report["weight"].error) == (hints in ("none", "where"))
    assert report["bias"].error < 1e-12


def test_a_common_cause_of_several_arrays_is_not_told_where_only_arrays_are():
    def backward(dy, cache):
        return F.linear_backward(3 * dy, cache)

    told = {hints: check_gradients((F.linear_forward, backward), X, W, B, hints=hints) for hints in ("none", "where")}
    assert [v.array for v in told["none"].verdicts] == ["x", "weight", "bias"]
    assert all(v.message == f"the gradient by {v.array} is wrong" for v in told["none"].verdicts)
    assert {v.line for v in told["where"].verdicts} == {backward.__code__.co_firstlineno + 1}


def test_one_wrong_array_is_one_line_however_much_is_wrong_with_it():
    report = Report("f", verdicts=[Verdict("x", "transposed", "..."), Verdict("x", "wrong-sign", "...")])
    assert [str(v) for v in keep_to(report, "none").verdicts] == ["x is wrong: something about x is wrong"]


@pytest.mark.parametrize(
    ("backward", "told"),
    [
        (lambda dy, cache: cache["w"], "the backward raised TypeError: tuple indices must be"),
        (lambda dy, cache: dy * dy.T, "one is the other's transpose"),
        (lambda dy, cache: dy, "the backward returned 1 gradient; due is one for each of x, weight, bias"),
    ],
)
def test_a_fault_is_told_in_full_whatever_the_hints(backward, told):
    assert told in str(check_gradients((F.linear_forward, backward), X, W, B, hints="none"))


def test_a_forward_that_cannot_be_repeated_is_told_whatever_the_hints():
    report = check_gradients((lambda x: (x * np.random.default_rng().normal(), x), wrong), X, hints="none")
    assert "the forward gives another y for the same arrays" in str(report)


def test_assert_gradients_takes_hints_too():
    with pytest.raises(AssertionError) as raised:
        assert_gradients((F.linear_forward, wrong), X, W, B, hints="none")
    assert "✗ weight" in str(raised.value) and "batch" not in str(raised.value)
