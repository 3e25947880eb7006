"""Wrong backward passes by people who have not read this code: all are detected, and help is given."""

import pytest

from zoo.strangers import outcomes


@pytest.mark.parametrize("zoo", ["b"])
def test_every_strangers_mistake_is_detected(zoo):
    assert [outcome.name for outcome in outcomes(zoo) if not outcome.detected] == []
