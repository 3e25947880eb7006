"""Text for people: durations in whole words, and nothing that steers a terminal or breaks a document."""

import numpy as np
import pytest

from handgrad.text import complaint, duration, one_line, printable


@pytest.mark.parametrize(
    "seconds, text",
    [
        (2.47, "2.5 s"),
        (59.97, "1 min 0 s"),
        (119.6, "2 min 0 s"),
        (432, "7 min 12 s"),
        (3780, "1 h 3 min"),
        ("x", None),
        (None, None),
        (float("nan"), None),
    ],
)
def test_durations(seconds, text):
    assert duration(seconds) == text


def test_control_characters_are_shown_nowhere():
    text = "a\tb\n\x1b[31m\xa0c"
    assert printable(text) == "a   b\n[31m\xa0c"
    assert one_line(text) == "a b ?[31m c"


def test_matrices_that_do_not_fit_are_told_by_their_sizes():
    with pytest.raises(ValueError, match="matmul") as caught:
        np.ones((6, 4)) @ np.ones((3, 2))
    assert complaint(caught.value) == "a @ b needs as many columns of a as rows of b, and here they are 4 and 3"
    with pytest.raises(ValueError, match="matmul") as caught:
        np.ones(4) @ np.float64(2)
    assert complaint(caught.value).startswith("a @ b needs two arrays, and one of these is a single number")
