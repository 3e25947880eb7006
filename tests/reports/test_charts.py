"""Charts: ticks, scales and paths that show the figures where they are."""

import numpy as np
import pytest

from handgrad.reports import charts
from handgrad.reports.charts import PLOT_HEIGHT, PLOT_WIDTH, Line


def chart(*lines, **options):
    return charts.line_chart("key", "title", list(lines), **options)


@pytest.mark.parametrize(
    "low, high, count, ticks",
    [
        (0, 1, 5, [0, 0.2, 0.4, 0.6, 0.8, 1]),
        (0.5, 1.5, 5, [0.6, 0.8, 1.0, 1.2, 1.4]),
        (1, 30, 6, [5, 10, 15, 20, 25, 30]),
        (-0.1, 0.1, 5, [-0.1, -0.05, 0, 0.05, 0.1]),
    ],
)
def test_ticks_are_round(low, high, count, ticks):
    assert charts.nice_ticks(low, high, count) == pytest.approx(ticks)


def test_log_ticks_are_powers_with_steps_between_where_few():
    assert charts.log_ticks(-4, 0) == pytest.approx([1e-4, 1e-3, 1e-2, 1e-1, 1])
    assert charts.log_ticks(-1, 0.1) == pytest.approx([0.1, 0.2, 0.5, 1])


def test_a_line_runs_from_corner_to_corner():
    drawn = chart(Line("train", [0.0, 1.0]))
    (left, bottom), (right, top) = points(drawn)
    assert (left, right) == (0, PLOT_WIDTH) and bottom == PLOT_HEIGHT and 0 < top < PLOT_HEIGHT / 10


def test_figures_by_something_else_than_the_epoch():
    drawn = chart(Line("time", [1.0, 2.0, 4.0]), axis="batch", points=["16", "64", "1,024"])
    assert [tick["text"] for tick in drawn["x_ticks"]] == ["16", "64", "1,024"] and drawn["axis"] == "batch"
    assert drawn["text"].startswith("title by batch, 16 to 1,024: time from 1 to 4")


def points(drawn, line=0):
    pieces = drawn["lines"][line]["d"].replace("h0", "").replace("M", "L").split("L")[1:]
    return [tuple(map(float, piece.split())) for piece in pieces]


def test_what_is_missing_is_a_gap():
    drawn = chart(Line("train", [1.0, None, 2.0, float("nan"), float("inf"), 3.0]))
    assert drawn["lines"][0]["d"].count("M") == 3 and drawn["lines"][0]["d"].count("h0") == 3


def test_nothing_finite_is_no_chart():
    assert chart(Line("train", [None, float("nan")])) is None and chart(Line("train", [])) is None


def test_a_fall_over_decades_is_logarithmic():
    drawn = chart(Line("train", [100.0, 1.0, 0.01]))
    assert drawn["title"] == "title (log scale)"
    heights = [y for _, y in points(drawn)]
    assert heights[1] - heights[0] == pytest.approx(heights[2] - heights[1], abs=0.2)


def test_zero_on_a_log_axis_is_a_gap():
    drawn = chart(Line("train", [1.0, 0.0, 0.1, -1.0, 0.01]), log=True)
    assert drawn["lines"][0]["d"].count("M") == 3


def test_one_epoch_is_a_dot_in_the_middle():
    assert chart(Line("train", [0.5]))["lines"][0]["weight"] == "dot"
    assert points(chart(Line("train", [0.5]))) == [(PLOT_WIDTH / 2, pytest.approx(PLOT_HEIGHT / 11, abs=15))]


def test_steps_hold_their_value_on_both_sides():
    assert chart(Line("", [1.0, 2.0]), steps=True)["lines"][0]["d"].count("H") == 2


def test_labels_do_not_overlap():
    drawn = chart(*[Line(f"layer{i}", [1.0, 1.0 + i / 1000]) for i in range(12)])
    heights = sorted(label["y"] for label in drawn["labels"])
    assert len(heights) == 12 and np.diff(heights).min() >= 13.8


def test_the_best_epoch_is_marked_where_it_is():
    assert chart(Line("train", [3.0, 2.0, 1.0]), best=2)["best"] == {"epoch": 2, "x": PLOT_WIDTH / 2}


def test_bands_close():
    drawn = chart(Line("a", [2.0, 2.0], low=[1.0, 1.5], high=[3.0, 2.5]))
    assert drawn["lines"][0]["band"].startswith("M") and drawn["lines"][0]["band"].endswith("Z")


def test_words_for_who_cannot_see_it():
    text = chart(Line("train", [2.0, 0.5, 1.0]), best=2)["text"]
    assert text == "title over 3 epochs: train from 2 to 1, between 0.5 and 2; best epoch 2."


@pytest.mark.parametrize("values", [[1e308, -1e308], [1.0, 1e308, 1e307], [5e-324, 1.0, 1e200], [10**40, None, 1.0]])
def test_figures_of_any_size_are_drawn_or_left_out(values):
    chart = charts.line_chart("loss", "loss", [Line("train", values)])
    assert chart is None or ("inf" not in chart["lines"][0]["d"] and chart["y_ticks"])
