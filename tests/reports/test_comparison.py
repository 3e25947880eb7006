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
    return " ".join(html.unescape(re.sub(r"<[^>]*>", " ", body.replace("<wbr>", ""))).split())


def test_seeds_stand_together_with_their_spread():
    page = shown(comparison.render_comparison(several()))
    assert "6 runs compared" in page and "2 settings that differ in optimizer.learning_rate" in page
    spread = f"0.91 ± {np.std([0.9, 0.91, 0.92], ddof=1):.2g}"
    assert f"0.1 {spread}" in page and f"0.01 {spread}" in page and page.count("0.25 ± 0 3") == 2


def test_what_differs_heads_the_table_and_what_does_not_is_folded_away():
    text = comparison.render_comparison(several())
    table = re.search(r'aria-label="results">(.*?)</table>', text, re.DOTALL)[1]
    assert "optimizer.learning_rate</th>" in table.replace("<wbr>", "")
    assert "data.name" not in table and "seed</th>" not in table
    assert "data.name" in text[text.index("<summary>What is the same in all") :]


def with_accuracies(**accuracies):
    """Runs of settings by learning rate, with the validation accuracies of their seeds."""
    views = []
    for rate, values in accuracies.items():
        for seed, value in enumerate(values):
            views.append(view(seed=seed, learning_rate=float(rate[1:]) / 100))
            views[-1].results = {"validation accuracy": value, "test accuracy": 1 - value}
    return views


def stars(views):
    groups = comparison.ranked(comparison.group(views), "validation accuracy")
    rows = comparison.result_table(groups, [], "validation accuracy")["rows"]
    return [[cell["best"] for cell in row["figures"]] for row in rows]


def test_the_best_by_validation_comes_first_and_has_a_star_where_that_is_clear():
    clear, near = {"r1": (0.7, 0.71), "r10": (0.9, 0.91)}, {"r1": (0.7, 0.9), "r10": (0.75, 0.95)}
    assert stars(with_accuracies(**clear)) == [[True, False], [False, False]]  # none by the test set
    assert not np.any(stars(with_accuracies(**near)))  # within the spread
    assert not np.any(stars(with_accuracies(r1=(0.7,), r10=(0.9,))))  # one seed each
    assert not np.any(stars(with_accuracies(r1=(0.9, 0.9), r10=(0.9, 0.9))))  # a tie


@pytest.mark.parametrize(
    "accuracies, said",
    [
        ({"r1": (0.7, 0.71), "r10": (0.9, 0.91)}, "is learning_rate 0.1: 0.905 ± 0.007, 0.2 ahead of 0.01."),
        ({"r1": (0.7, 0.9), "r10": (0.75, 0.95)}, "0.05 ahead of 0.01, which is within the spread of the seeds."),
        ({"r1": (0.7,), "r10": (0.9,)}, "0.2 ahead of 0.01. Each is of one seed"),
        ({"r1": (0.9,), "r10": (0.9,)}, "0.9, as has 0.1."),
    ],
)
def test_the_answer_comes_first(accuracies, said):
    page = shown(comparison.render_comparison(with_accuracies(**accuracies)))
    assert said in page.partition("Results")[0]


def test_the_metric_is_drawn_by_what_was_varied():
    line = comparison.render_comparison(with_accuracies(r1=(0.7,), r10=(0.9,), r3=(0.8, 0.82)))
    data = json.loads(html.unescape(re.search(r'id="chart-question" data-chart="([^"]*)"', line)[1]))
    assert data["points"] == ["0.01", "0.03", "0.1"] and data["lines"][0]["values"] == [0.7, 0.81, 0.9]
    views = with_accuracies(r1=(0.7, 0.71, 0.72), r10=(0.9, 0.8, 0.85))
    for number, one in enumerate(views):
        one.configuration["units"] = (4, 8, 16)[number % 3]
    heat = re.search(r'<table class="heat">(.*?)</table>', comparison.render_comparison(views), re.DOTALL)[1]
    assert shown(heat) == "optimizer.learning_rate ↓ units → 4 8 16 0.01 0.70 0.71 0.72 0.1 0.90 0.80 0.85"


def test_figures_of_a_column_have_as_many_decimals():
    views = with_accuracies(r1=(0.875,), r10=(1.0,), r3=(0.9583,))
    results = shown(comparison.render_comparison(views)).partition(" Results ")[2]
    assert "0.1 1.0000 0.0000" in results and "0.01 0.8750 0.1250" in results


def networks(*kinds):
    """Runs whose networks differ in kinds of layers."""
    views = [view(seed=0) for _ in kinds]
    for one, layers in zip(views, kinds, strict=True):
        one.configuration["model"] = {"layers": [{"layer": kind, "units": 4} for kind in layers]}
        one.about = {
            "data": "iris: 96 train rows",
            "network": " → ".join(f"{k} (4)" for k in layers) + "; 99 parameters",
        }
        one.results = {"validation accuracy": 1 / len(layers)}
    return views


def test_networks_of_other_layers_are_compared_in_words():
    page = shown(comparison.render_comparison(networks(("Linear", "Tanh", "Linear"), ("Linear",))))
    assert "setting is network Linear (4): 1, 0.67 ahead" in page.replace("settings by validation accuracy", "setting")
    assert "data iris: 96 train rows" in page and "model.layers" not in page.partition("What is the same")[0]


def test_networks_that_read_alike_keep_their_keys():
    """What words leave out, such as a kernel's size, still tells runs apart."""
    views = networks(("Conv2D",), ("Conv2D", "Linear"), ("Conv2D",))
    views[2].configuration["model"]["layers"][0]["kernel_size"] = 5
    assert "model.layers.0.kernel_size" in shown(comparison.render_comparison(views))


def test_a_sweeps_chart_has_a_line_for_each_other_setting():
    runs = [dict(rate=r, units=u, error=r * u) for r in (0.1, 1.0) for u in (4, 16)]
    chart = comparison.sweep_chart(runs, "rate", "error")
    assert chart["title"] == "error by rate and units" and [t["text"] for t in chart["x_ticks"]] == ["0.1", "1"]
    assert [(line["label"], line["values"]) for line in chart["lines"]] == [("4", [0.4, 4.0]), ("16", [1.6, 16.0])]


def test_what_explains_the_metric_is_told_of_many_settings():
    rng = np.random.default_rng(0)
    matters, does_not = rng.permutation(40) / 40, rng.permutation(40)
    values = (matters - 0.5) ** 2
    assert (
        comparison.importance(matters.tolist(), values) > 0.5 > 0.2 > comparison.importance(does_not.tolist(), values)
    )
    assert comparison.importance(["adam", "sgd"] * 20, np.arange(40) % 2.0) == 1


def test_links_lead_to_the_reports_that_are_there(tmp_path):
    one, other = view(), view(seed=1)
    one.folder = str(tmp_path / "runs" / "one")
    (tmp_path / "runs" / "one").mkdir(parents=True)
    (tmp_path / "runs" / "one" / "report.html").touch()
    text = save_comparison([one, other], tmp_path / "comparison.html").read_text()
    assert re.findall(r'<a href="([^#"]*)"', text) == ["runs/one/report.html"]


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
    text = comparison.render_comparison([view(learning_rate=rate) for rate in np.linspace(0.1, 1, 63).tolist()])
    assert "The best five are in colour. The first 60 settings are drawn, 3 more stand in the tables only" in shown(
        text
    )
    chart = re.search(r'id="chart-loss".*?</figure>', text, re.DOTALL)[0]
    assert chart.count("var(--series-") == 4 * 5 and chart.count('class="line pale"') == 55


def test_a_single_run_and_runs_without_anything(tmp_path):
    from handgrad.reports import RunView

    assert save_comparison([view()], tmp_path / "a.html").exists()
    assert "running" in shown(comparison.render_comparison([RunView("a", "1", status="running"), RunView("b", "2")]))
    with pytest.raises(ValueError, match="no runs to compare"):
        save_comparison([], tmp_path / "b.html")


def test_hostile_names_stay_text():
    text = comparison.render_comparison([hostile_view(), view()])
    assert text.count("<script>") == 1 and "<img" not in text and ATTACK in shown(text)
