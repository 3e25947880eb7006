"""Code by people who have not read this one: their mistakes are detected, and their right code raises no alarm."""

import pytest

from zoo.strangers import agreement, outcomes


@pytest.mark.parametrize("zoo", ["b", "c", "d"])
def test_every_strangers_mistake_is_detected(zoo):
    assert [outcome.name for outcome in outcomes(zoo) if not outcome.detected] == []


def test_no_right_code_raises_an_alarm():
    assert [str(outcome.report) for outcome in outcomes("right") if outcome.detected] == []


def test_no_other_layout_of_right_code_raises_an_alarm():
    assert [str(outcome.report) for outcome in outcomes("right", layouts=60) if outcome.detected] == []


def test_a_mistake_has_the_same_name_in_other_layouts():
    names = ["relu masks by upstream", "leaky relu forgets upstream", "elu output without plus alpha"]
    rows = agreement([*outcomes("b", names)], [*outcomes("b", names, layouts=24)])
    assert [(name, slugs) for name, slugs, same, count in rows if same < count or count < 6] == []
