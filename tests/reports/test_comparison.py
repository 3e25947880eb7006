"""The comparison page: groups of seeds, their spread, what differs, and who is best."""

import html
import json
import re

import numpy as np
import pytest

from handgrad.reports import comparison, save_comparison
from run_views import ATTACK, hostile_view, view


def several():
    return [view(seed=seed, learning_rate=rate) for rate in (0.1, 0.01) for seed in (0, 1, 2)]


def shown(text):
    body = re.sub(r"<(script|style)>.*?</\1>", "", text, flags=re.DOTALL)
    return " ".join(html.unescape(re.sub(r"<[^>]*>", " ", body)).split())


def test_seeds_stand_together_with_their_spread():
    page = shown(comparison.render_comparison(several()))
    assert "6 runs compared 2 settings" in page
    spread = f"0.91 ± {np.std([0.9, 0.91, 0.92], ddof=1):.2g}"
    assert f"0.1 0, 1, 2 {spread}" in page and f"0.01 0, 1, 2 {spread}" in page


def test_what_differs_is_marked_and_what_does_not_is_folded_away():
    text = comparison.render_comparison(several())
    marked = " ".join(re.findall(r'<tr class="differs">(.*?)</tr>', text, re.DOTALL))
    assert "optimizer.learning_rate" in marked and "data.name" not in marked and "seed" not in marked
    assert "data.name" in text


def test_the_best_of_each_column_has_a_star_ties_have_none():
    better = view(learning_rate=0.01)
    better.results = {"test accuracy": 0.95, "test loss": 0.25}
    table = comparison.result_table(comparison.group([view(), better]), [])
    assert [[cell["best"] for cell in row["figures"]] for row in table["rows"]] == [[False, False], [True, False]]
    worse = view(learning_rate=0.01)
    worse.results = {"test loss": 0.5}
    table = comparison.result_table(comparison.group([view(), worse]), [])
    assert [row["figures"][1]["best"] for row in table["rows"]] == [True, False]


def test_lines_are_means_and_bands_are_extremes():
    views = several()[:3]
    views[1].history["loss"] = views[1].history["loss"][:10]
    (group,) = comparison.group(views)
    line = comparison.group_line(group, "validation_loss")
    curves = np.array([v.history["validation_loss"] for v in views])
    assert np.allclose(line.values, curves.mean(axis=0)) and np.allclose(line.low, curves.min(axis=0))
    assert np.allclose(line.high, curves.max(axis=0))
    stopped = comparison.group_line(group, "loss")
    assert len(stopped.values) == 30 and np.isfinite(stopped.values).all()


def test_charts_show_every_figure_validation_first():
    text = comparison.render_comparison(several())
    charts = re.findall(r'id="(chart-\w+)" data-chart="([^"]*)"', text)
    assert [name for name, _ in charts] == [
        "chart-validationloss",
        "chart-loss",
        "chart-validationaccuracy",
        "chart-accuracy",
    ]
    data = json.loads(html.unescape(charts[0][1]))
    assert [line["label"] for line in data["lines"]] == ["0.1", "0.01"]


@pytest.mark.parametrize("num_keys, labels", [(1, ["0", "1", "2"]), (2, ["A", "B", "C"])])
def test_labels_are_the_value_that_differs_or_letters(num_keys, labels):
    tables = [{f"key{k}": i for k in range(num_keys)} for i in range(3)]
    assert comparison.labels_for(tables) == labels


def test_letters_go_on_after_z():
    assert [comparison.letters(i) for i in (0, 25, 26, 51, 52, 702)] == ["A", "Z", "AA", "AZ", "BA", "AAA"]


def test_many_settings_are_drawn_in_part_and_told():
    text = comparison.render_comparison([view(learning_rate=rate) for rate in np.linspace(0.1, 1, 15).tolist()])
    assert "The first 12 settings are drawn, 3 more stand in the tables only" in shown(text)


def test_a_single_run_and_runs_without_anything(tmp_path):
    from handgrad.reports import RunView

    assert save_comparison([view()], tmp_path / "a.html").exists()
    assert "running" in shown(comparison.render_comparison([RunView("a", "1", status="running"), RunView("b", "2")]))
    with pytest.raises(ValueError, match="no runs to compare"):
        save_comparison([], tmp_path / "b.html")


def test_hostile_names_stay_text():
    text = comparison.render_comparison([hostile_view(), view()])
    assert text.count("<script>") == 1 and "<img" not in text and ATTACK in shown(text)
