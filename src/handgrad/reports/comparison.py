"""One self-contained HTML page that compares runs: what differs in their settings, and what came of it."""

from dataclasses import dataclass
from pathlib import Path
from string import ascii_uppercase

import numpy as np

from ..files import write_text
from ..text import figure_text
from ..training.history import lower_is_better
from .charts import Line, line_chart
from .curves import panel_names
from .page import css_word, render
from .style import numbers
from .view import flatten

NOT_SETTINGS = ("seed", "name")  # what runs of one group may differ in
MAX_LINES = 12  # groups drawn in one chart
MAX_LABEL = 14  # letters of a label beside a line
NUM_COLOURS = 5  # in page.css, after which lines are dashed


@dataclass
class Group:
    """Runs with the same settings but for the seed."""

    label: str
    views: list
    settings: dict  # the flat configuration
    colour: str
    dash: str

    @property
    def title(self):
        return ", ".join(view.title for view in self.views)


def save_comparison(views, path):
    """Write the page that compares these RunViews to path, atomically; returns the path."""
    write_text(path, render_comparison(views))
    return Path(path)


def render_comparison(views):
    """The page that compares these RunViews, as text. ValueError without a run."""
    if not views:
        raise ValueError("there are no runs to compare")
    groups = group(views)
    differing, same = settings_rows(groups)
    drawn = groups[:MAX_LINES]
    return render(
        "comparison.html",
        f"{len(views)} runs compared",
        groups=groups,
        num_runs=len(views),
        results=result_table(groups, differing),
        charts=comparison_charts(drawn),
        differing=differing,
        same=same,
        left_out=len(groups) - len(drawn),
        seeds_vary=any(len(g.views) > 1 for g in groups),
    )


def group(views):
    """The runs in Groups, in the order in which they come, labelled by what tells them apart."""
    found = {}
    for view in views:
        settings = flatten(view.configuration)
        key = repr(sorted((k, repr(v)) for k, v in settings.items() if k not in NOT_SETTINGS))
        found.setdefault(key, (settings, []))[1].append(view)
    tables = [settings for settings, _ in found.values()]
    labels = labels_for(tables)
    return [
        Group(label, members, settings, f"var(--series-{i % NUM_COLOURS + 1})", dash(i // NUM_COLOURS))
        for i, (label, (settings, members)) in enumerate(zip(labels, found.values(), strict=True))
    ]


def dash(turn):
    return ("", "7 4", "2 4")[turn % 3]


def labels_for(tables):
    """The value of the one setting that differs, where it is short; else letters."""
    differing = differing_keys(tables)
    if len(differing) == 1:
        values = [figure_text(table.get(differing[0])) or "none" for table in tables]
        if max(map(len, values)) <= MAX_LABEL and len(set(values)) == len(values):
            return values
    return [letters(i) for i in range(len(tables))]


def letters(index):
    """A, B, ..., Z, AA, AB, ..."""
    tail = ascii_uppercase[index % 26]
    return letters(index // 26 - 1) + tail if index >= 26 else tail


def differing_keys(tables):
    keys = dict.fromkeys(k for table in tables for k in table if k not in NOT_SETTINGS)
    return [k for k in keys if len({repr(table.get(k)) for table in tables}) > 1]


def settings_rows(groups):
    """([(key, a value per group)] of what differs, {key: value} of what does not)."""
    tables = [g.settings for g in groups]
    differing = differing_keys(tables)
    same = {k: v for k, v in tables[0].items() if k not in differing and k not in NOT_SETTINGS}
    return [(k, [table.get(k, "–") for table in tables]) for k in differing], same


# Results --------------------------------------------------------------------------------------------------------


def result_table(groups, differing):
    """Columns, and a row per group: its settings and each figure's mean over the seeds with its spread."""
    names = list(dict.fromkeys(name for g in groups for view in g.views for name in view.results))
    means = {name: [mean_result(g, name) for g in groups] for name in names}
    best = {name: best_mean(name, values) for name, values in means.items()}
    labelled = [key for key, values in differing if [figure_text(v) for v in values] == [g.label for g in groups]]
    shown = [(key, values) for key, values in differing if key not in labelled]
    rows = [
        {
            "group": g,
            "settings": [values[i] for _, values in shown],
            "seeds": ", ".join(str(view.configuration.get("seed", "")) for view in g.views),
            "status": ", ".join(dict.fromkeys(view.status for view in g.views)),
            "figures": [{"text": spread_text(g, name), "best": means[name][i] == best[name]} for name in names],
        }
        for i, g in enumerate(groups)
    ]
    return {"names": names, "label": "".join(labelled), "keys": [key for key, _ in shown], "rows": rows}


def figures_of(group, name):
    values = numbers([view.results.get(name) for view in group.views])
    return values[np.isfinite(values)]


def mean_result(group, name):
    values = figures_of(group, name)
    return values.mean() if len(values) else np.nan


def best_mean(name, means):
    """The best of the groups' means; None where they do not differ."""
    means = {mean for mean in means if np.isfinite(mean)}
    if len(means) < 2:
        return None
    return min(means) if lower_is_better(name) else max(means)


def spread_text(group, name):
    """'0.947 ± 0.003' over several seeds (the sample's standard deviation), '0.947' of one."""
    values = figures_of(group, name)
    if len(values) == 0:
        return "–"
    return f"{values.mean():.4g}" + (f" ± {values.std(ddof=1):.2g}" if len(values) > 1 else "")


# Curves ---------------------------------------------------------------------------------------------------------


def comparison_charts(groups):
    """A chart for each figure that was measured, validation first, a line for each group."""
    measured = list(dict.fromkeys(name for g in groups for view in g.views for name in panel_names(view.history)))
    charts = []
    for name in measured:
        for key, what in ((f"validation_{name}", "validation"), (name, "train")):
            lines = [line for g in groups if (line := group_line(g, key))]
            charts.append(line_chart(css_word(key), f"{what} {name.replace('_', ' ')}", lines) if lines else None)
    return [chart for chart in charts if chart]


def group_line(group, key):
    """The mean over the group's runs, with a band from the lowest to the highest where there are several."""
    curves = [numbers(view.history[key]) for view in group.views if view.history.get(key)]
    curves = [curve for curve in curves if np.isfinite(curve).any()]
    if not curves:
        return None
    table = np.full((len(curves), max(map(len, curves))), np.nan)
    for row, curve in zip(table, curves, strict=True):
        row[: len(curve)] = curve
    known = np.isfinite(table)
    counts = known.sum(axis=0)
    mean = np.where(counts > 0, np.where(known, table, 0).sum(axis=0) / np.maximum(counts, 1), np.nan)
    band = (
        {}
        if len(curves) == 1
        else {
            "low": np.where(counts > 0, np.where(known, table, np.inf).min(axis=0), np.nan).tolist(),
            "high": np.where(counts > 0, np.where(known, table, -np.inf).max(axis=0), np.nan).tolist(),
        }
    )
    return Line(group.label, mean.tolist(), group.colour, group.dash, **band)
