"""One function decides what the report says in the end: by numbers, by the source, or by the layers."""

from handgrad.gradient_check.run import final_verdicts
from handgrad.gradient_check.verdict import Guess, Verdict


def place(arrays, mistake, fix="right", line=7):
    return Verdict(arrays, mistake, "said by the source", variable="dh", line=line, fix=fix)


def numbers(array, mistake):
    return Verdict(array, mistake, f"said of {array}", "by numbers")


def decided(found, places, by_layers=None, wrong=("x", "gamma")):
    return [(v.array, v.mistake, v.line) for v in final_verdicts(found, by_layers, wrong, lambda: places)]


def test_one_place_that_makes_several_arrays_wrong_is_one_verdict():
    found = [numbers("x", "unexplained"), numbers("gamma", "unexplained")]
    assert decided(found, [place("x, gamma", "wrong-sign")]) == [("x, gamma", "wrong-sign", 7)]


def test_numbers_that_agree_name_the_mistake_and_the_source_gives_the_place():
    found = [numbers("x", "keyword-ignored"), numbers("gamma", "keyword-ignored")]
    assert decided(found, [place("x, gamma", "wrong-variable")]) == [("x, gamma", "keyword-ignored", 7)]
    (verdict,) = final_verdicts(found[:1], None, ["x"], lambda: [place("x", "wrong-variable")])
    assert (verdict.message, verdict.evidence, verdict.fix) == ("said of x", "by numbers", "right")


def test_numbers_that_disagree_or_guess_give_way_to_a_change_that_mends():
    found = [numbers("x", "transposed"), numbers("gamma", "not-summed")]
    assert decided(found, [place("x, gamma", "wrong-sign")]) == [("x, gamma", "wrong-sign", 7)]
    guess = Guess("x", "class-count-factor", "4 times: the classes or 2 twice")
    assert decided([guess], [place("x", "factor-missing")], wrong=["x"]) == [("x", "factor-missing", 7)]
    assert decided([guess], [place("x", "unexplained", fix="")], wrong=["x"]) == [("x", "class-count-factor", 7)]


def test_what_a_second_call_shows_is_a_mistake_beside_the_wrong_numbers():
    found = [numbers("x", "stale-cache"), numbers("x", "batch-size-factor")]
    assert decided(found, [place("x", "batch-size-factor")], wrong=["x"]) == [
        ("x", "stale-cache", None),
        ("x", "batch-size-factor", 7),
    ]
    assert decided(found[:1], [place("x", "unexplained")], wrong=["x"]) == [("x", "stale-cache", 7)]


def test_several_places_are_several_verdicts_in_the_order_of_the_arrays():
    found = [numbers("x", "unexplained"), numbers("gamma", "not-summed")]
    places = [place("gamma", "wrong-axis", line=9), place("x", "wrong-sign", line=8)]
    assert decided(found, places) == [("x", "wrong-sign", 8), ("gamma", "not-summed", 9)]


def test_without_a_source_the_numbers_decide():
    found = [numbers("x", "transposed"), numbers("dy", "input-modified")]
    assert decided(found, []) == [("x", "transposed", None), ("dy", "input-modified", None)]


def test_of_a_model_its_layers_decide_but_for_the_effect_that_none_is_wrong():
    found, layers = [numbers("x", "unexplained")], [numbers("linear1.weight", "transposed")]
    assert decided(found, [place("x", "wrong-sign")], layers) == [("linear1.weight", "transposed", None)]
    effect = [Verdict("", "not-passed-down", "each layer is right, the model is not")]
    assert decided(found, [place("x", "reversed")], effect) == [("x", "reversed", 7)]
    assert decided(found, [place("x", "unexplained", fix="")], effect) == [("x", "not-passed-down", 7)]
    assert decided(found, [], effect) == [("", "not-passed-down", None)]
