"""One self-contained HTML page that compares runs: what differs in their settings, and what came of it."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from string import ascii_uppercase
from typing import Any, TypeAlias

import numpy as np

from ..arrays import Array
from ..files import write_text
from ..text import figure_text, flatten
from ..training.history import lower_is_better
from .charts import Line, line_chart
from .page import css_word, render
from .view import RunView, known, numbers, panel_names, words

NOT_SETTINGS = ("seed", "name")  # what runs of one group may differ in
MAX_LINES = 12  # groups drawn in one chart
MAX_LABEL = 14  # letters of a label beside a line
NUM_COLOURS = 5  # in page.css, after which lines are dashed
DASHES = ("", "7 4", "2 4")

Settings: TypeAlias = dict[str, Any]  # a configuration as a flat table
Differing: TypeAlias = list[tuple[str, list[Any]]]  # (key, a value per group)


@dataclass
class Group:
    """Runs with the same settings but for the seed."""

    label: str
    views: list[RunView]
    settings: Settings
    colour: str
    dash: str


def save_comparison(views: Sequence[RunView], path: str | Path) -> Path:
    """Write the page that compares these RunViews to path, atomically; returns the path."""
    write_text(path, render_comparison(views))
    return Path(path)


def render_comparison(views: Sequence[RunView]) -> str:
    """The page that compares these RunViews, as text. ValueError without a run."""
    if not views:
        raise ValueError("there are no runs to compare")
    groups = group(views)
    differing, same = settings_rows(groups)
    parts: dict[str, Any] = {
        "groups": groups,
        "num_runs": len(views),
        "results": result_table(groups, differing),
        "charts": comparison_charts(groups[:MAX_LINES]),
        "differing": differing,
        "same": same,
        "left_out": len(groups[MAX_LINES:]),
        "seeds_vary": any(len(g.views) > 1 for g in groups),
    }
    return render("comparison.html", f"{len(views)} runs compared", **parts)


def group(views: Sequence[RunView]) -> list[Group]:
    """The runs in Groups, in the order in which they come, labelled by what tells them apart."""
    found: dict[str, tuple[Settings, list[RunView]]] = {}
    for view in views:
        settings = flatten(view.configuration)
        key = repr(sorted((k, repr(v)) for k, v in settings.items() if k not in NOT_SETTINGS))
        found.setdefault(key, (settings, []))[1].append(view)
    labels = labels_for([settings for settings, _ in found.values()])
    groups = []
    for i, (label, (settings, members)) in enumerate(zip(labels, found.values(), strict=True)):
        dash = DASHES[i // NUM_COLOURS % len(DASHES)]
        groups.append(Group(label, members, settings, f"var(--series-{i % NUM_COLOURS + 1})", dash))
    return groups


def labels_for(tables: Sequence[Settings]) -> list[str]:
    """The value of the one setting that differs, where it is short; else letters."""
    differing = differing_keys(tables)
    if len(differing) == 1:
        values = [figure_text(table.get(differing[0])) or "none" for table in tables]
        if max(map(len, values)) <= MAX_LABEL and len(set(values)) == len(values):
            return values
    return [letters(i) for i in range(len(tables))]


def letters(index: int) -> str:
    """A, B, ..., Z, AA, AB, ..."""
    tail = ascii_uppercase[index % 26]
    return letters(index // 26 - 1) + tail if index >= 26 else tail


def differing_keys(tables: Sequence[Settings]) -> list[str]:
    """The settings, but for seed and name, in which these tables are not all alike."""
    keys = dict.fromkeys(k for table in tables for k in table if k not in NOT_SETTINGS)
    return [k for k in keys if len({repr(table.get(k)) for table in tables}) > 1]


def settings_rows(groups: Sequence[Group]) -> tuple[Differing, Settings]:
    """(what differs, {key: value} of what does not)."""
    tables = [g.settings for g in groups]
    differing = differing_keys(tables)
    same = {k: v for k, v in tables[0].items() if k not in differing and k not in NOT_SETTINGS}
    return [(k, [table.get(k, "–") for table in tables]) for k in differing], same


# Results --------------------------------------------------------------------------------------------------------


def result_table(groups: Sequence[Group], differing: Differing) -> dict[str, Any]:
    """Columns, and a row per group: its settings and each figure's mean over the seeds with its spread."""
    names = list(dict.fromkeys(name for g in groups for view in g.views for name in view.results))
    figures = [{name: known(view.results.get(name) for view in g.views) for name in names} for g in groups]
    best = {name: best_mean(name, [found[name] for found in figures]) for name in names}
    labelled = [key for key, values in differing if [figure_text(v) for v in values] == [g.label for g in groups]]
    shown = [(key, values) for key, values in differing if key not in labelled]
    rows = [
        {
            "group": g,
            "settings": [values[i] for _, values in shown],
            "seeds": ", ".join(str(view.configuration.get("seed", "")) for view in g.views),
            "status": ", ".join(dict.fromkeys(view.status for view in g.views)),
            "figures": [
                {"text": spread_text(values), "best": len(values) > 0 and values.mean() == best[name]}
                for name, values in figures[i].items()
            ],
        }
        for i, g in enumerate(groups)
    ]
    return {"names": names, "label": "".join(labelled), "keys": [key for key, _ in shown], "rows": rows}


def best_mean(name: str, groups: Sequence[Array]) -> float | None:
    """The best of the groups' means; None where they do not differ."""
    means = {float(values.mean()) for values in groups if len(values)}
    if len(means) < 2:
        return None
    return min(means) if lower_is_better(name) else max(means)


def spread_text(values: Array) -> str:
    """'0.947 ± 0.003' over several seeds (the sample's standard deviation), '0.947' of one."""
    if len(values) == 0:
        return "–"
    return f"{values.mean():.4g}" + (f" ± {values.std(ddof=1):.2g}" if len(values) > 1 else "")


# Curves ---------------------------------------------------------------------------------------------------------


def comparison_charts(groups: Sequence[Group]) -> list[dict[str, Any]]:
    """A chart for each figure that was measured, validation first, a line for each group."""
    measured = dict.fromkeys(name for g in groups for view in g.views for name in panel_names(view.history))
    charts = []
    for key in [key for name in measured for key in (f"validation_{name}", name)]:
        lines = [line for g in groups if (line := group_line(g, key))]
        title = key if key.startswith("validation_") else f"train {key}"
        charts.append(line_chart(css_word(key), words(title), lines))
    return [chart for chart in charts if chart]


def group_line(group: Group, key: str) -> Line | None:
    """The mean over the group's runs, with a band from the lowest to the highest where there are several."""
    curves = [numbers(view.history[key]) for view in group.views if len(known(view.history.get(key, ())))]
    if not curves:
        return None
    table = np.full((len(curves), max(map(len, curves))), np.nan)
    for row, curve in zip(table, curves, strict=True):
        row[: len(curve)] = curve
    there = np.ma.masked_invalid(table)
    mean, low, high = (of(axis=0).filled(np.nan).tolist() for of in (there.mean, there.min, there.max))
    line = Line(group.label, mean, group.colour, group.dash)
    return line if len(curves) == 1 else replace(line, low=low, high=high)
