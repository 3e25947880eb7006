"""One self-contained HTML page that compares runs: what differs in their settings, and what came of it."""

import math
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from string import ascii_uppercase
from typing import Any, TypeAlias
from urllib.parse import quote

import numpy as np

from ..arrays import Array
from ..files import write_text
from ..html import Markup, escape
from ..text import MAX_TEXT, alike, clipped, figure_text, flatten
from ..training.history import lower_is_better
from .charts import Line, line_chart, rounded
from .page import css_word, render
from .pictures import LOG_RATIO, sweep_lines
from .view import RunView, known, numbers, panel_names, words

NOT_SETTINGS = ("seed", "name")  # what runs of one group may differ in
MAX_LINES = 60  # groups drawn in one chart
MAX_LABEL = 14  # letters of a label beside a line
NUM_COLOURS = 5  # in page.css: the best are drawn in them, the others in grey
MAX_CELLS = 12  # a side of a heat map
DECIDING = ("validation accuracy", "validation r2", "validation loss")  # the test set is no judge of settings

Settings: TypeAlias = dict[str, Any]  # a configuration as a flat table
Differing: TypeAlias = list[tuple[str, list[Any]]]  # (key, a value per group)


@dataclass
class Group:
    """Runs with the same settings but for the seed."""

    label: str
    views: list[RunView]
    settings: Settings
    colour: str = "var(--quiet)"
    is_pale: bool = False

    def figures(self, name: str) -> Array:
        """A result of each run that has it."""
        return known(view.results.get(name) for view in self.views)

    def mean(self, name: str) -> float:
        """The mean over the seeds; NaN where no run has it."""
        values = self.figures(name)
        return float(values.mean()) if len(values) else math.nan


def save_comparison(views: Sequence[RunView], path: str | Path, metric: str | None = None) -> Path:
    """Write the page that compares these RunViews to path, atomically; returns the path.

    metric: the result that decides, such as 'validation loss'; by default validation's accuracy, r2 or loss.
    """
    write_text(path, render_comparison(views, metric, Path(path).parent))
    return Path(path)


def render_comparison(
    views: Sequence[RunView], metric: str | None = None, folder: Path | None = None, stamp: str | None = None
) -> str:
    """The page that compares these RunViews, as text; its links are from the folder. ValueError without a run."""
    if not views:
        raise ValueError("there are no runs to compare")
    found = {name for view in views for name, value in view.results.items() if len(known([value]))}
    metric = next((name for name in (metric, *DECIDING, *sorted(found)) if name in found), None)
    groups = ranked(group(views), metric)
    differing, same = settings_rows(groups)
    varied = [key for key, _ in differing]
    parts: dict[str, Any] = {
        "groups": groups,
        "num_runs": len(views),
        "metric": metric,
        "answer": answer(groups, differing, metric) if metric and len(groups) > 1 else "",
        "results": result_table(groups, differing, metric),
        "question": question(groups, differing, metric) if metric and differing and len(groups) > 2 else {},
        "charts": comparison_charts(groups[:MAX_LINES], metric),
        "varied": varied,
        "data": list(dict.fromkeys(view.about.get("data", "") for view in views)),
        "same": same,
        "left_out": len(groups[MAX_LINES:]),
        "seeds_vary": any(len(g.views) > 1 for g in groups),
        "runs": run_rows(groups, folder),
    }
    return render("comparison.html", f"{len(views)} runs compared", stamp, **parts)


def group(views: Sequence[RunView]) -> list[Group]:
    """The runs in Groups, in the order in which they come, labelled by what tells them apart."""
    found: dict[str, tuple[Settings, list[RunView]]] = {}
    for view in views:
        settings = flatten(view.configuration)
        key = repr(sorted((k, repr(v)) for k, v in settings.items() if k not in NOT_SETTINGS))
        found.setdefault(key, (settings, []))[1].append(view)
    tables = in_words([settings for settings, _ in found.values()], [members[0] for _, members in found.values()])
    labels = labels_for(tables)
    members = [views for _, views in found.values()]
    return [Group(label, runs, table) for label, runs, table in zip(labels, members, tables, strict=True)]


def in_words(tables: Sequence[Settings], views: Sequence[RunView]) -> list[Settings]:
    """The settings with one line of words in place of the layers, where networks differ in kinds of layers."""
    layers = [{k: v for k, v in table.items() if k.startswith("model.layers.")} for table in tables]
    kinds = {repr([v for k, v in found.items() if isinstance(v, str)]) for found in layers}
    told = [view.about.get("network", "").partition(";")[0] for view in views]
    if len(kinds) < 2 or len(set(told)) < len({repr(found) for found in layers}):
        return list(tables)
    return [
        {**{k: v for k, v in table.items() if k not in found}, "network": words}
        for table, found, words in zip(tables, layers, told, strict=True)
    ]


def ranked(groups: list[Group], metric: str | None) -> list[Group]:
    """The groups, the best first by the metric, those without it last; the best few in colours."""
    sign = 1 if metric and lower_is_better(metric) else -1
    means = [g.mean(metric or "") for g in groups]
    order = sorted(range(len(groups)), key=lambda i: (math.isnan(means[i]), sign * np.nan_to_num(means[i])))
    ordered = [groups[i] for i in order]
    for i, (g, label) in enumerate(zip(ordered, labels_for([g.settings for g in ordered]), strict=True)):
        g.label = label
        g.is_pale = i >= NUM_COLOURS
        g.colour = "var(--quiet)" if g.is_pale else f"var(--series-{i + 1})"
    return ordered


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


def answer(groups: Sequence[Group], differing: Differing, metric: str) -> str:
    """Which setting is best by the metric, by how much, and whether that can be told from luck."""
    first, second = groups[:2]
    if math.isnan(first.mean(metric)):
        return ""
    told = ", ".join(f"{short(key)} {figure_text(values[0])}" for key, values in differing)
    name = f"{first.label} ({clipped(told, MAX_TEXT)})" if len(differing) > 1 else told or first.label
    best = f"The best of {len(groups)} settings by {metric} is {name}: {spread_text(first.figures(metric))}"
    if math.isnan(second.mean(metric)):
        return f"{best}; no other has a result."
    margin, seeds = abs(first.mean(metric) - second.mean(metric)), min(len(g.figures(metric)) for g in (first, second))
    if margin == 0:
        return f"{best}, as has {second.label}."
    ahead = f"{best}, {margin:.2g} ahead of {second.label}"
    if seeds < 2:
        return f"{ahead}. Each is of one seed: another one may turn such a difference around."
    return f"{ahead}{'.' if is_clear(first, second, metric) else ', which is within the spread of the seeds.'}"


def short(key: str) -> str:
    """The last part of a key that says something: 'learning_rate', and 'optimizer' of its name."""
    return key.removesuffix(".name").split(".")[-1]


def is_clear(first: Group, second: Group, metric: str) -> bool:
    """Whether two groups of several seeds are further apart than their seeds are."""
    one, other = first.figures(metric), second.figures(metric)
    return min(len(one), len(other)) > 1 and bool(
        abs(one.mean() - other.mean()) > max(one.std(ddof=1), other.std(ddof=1))
    )


def result_table(groups: Sequence[Group], differing: Differing, metric: str | None) -> dict[str, Any]:
    """Columns, and a row per group: its settings and each figure's mean over the seeds with its spread."""
    names = list(dict.fromkeys(name for g in groups for view in g.views for name in view.results))
    names.sort(key=lambda name: (name != metric, not name.startswith("validation")))
    labelled = [key for key, values in differing if [figure_text(v) for v in values] == [g.label for g in groups]]
    shown = [(key, values) for key, values in differing if key not in labelled]
    is_best = metric is not None and len(groups) > 1 and is_clear(groups[0], groups[1], metric)
    columns = [column_texts([g.figures(name) for g in groups]) for name in names]
    rows = [
        {
            "group": g,
            "settings": [values[i] for _, values in shown],
            "seeds": len(g.views),
            "status": ", ".join(dict.fromkeys(view.status for view in g.views)),
            "figures": [
                {"text": column[i], "best": i == 0 and name == metric and is_best}
                for name, column in zip(names, columns, strict=True)
            ],
        }
        for i, g in enumerate(groups)
    ]
    ended = all(view.status == "finished" for g in groups for view in g.views)
    keys = [key for key, _ in shown]
    return {"names": names, "label": "".join(labelled), "keys": keys, "rows": rows, "has_status": not ended}


def column_texts(found: Sequence[Array]) -> list[str]:
    """The figures of each group, with as many decimals where each group is of one run."""
    if max(map(len, found)) > 1:
        return [spread_text(values) for values in found]
    return [figure_text(text) or "–" for text in alike([float(v[0]) if len(v) else None for v in found])]


def spread_text(values: Array) -> str:
    """'0.947 ± 0.003' over several seeds (the sample's standard deviation), '0.947' of one."""
    if len(values) == 0:
        return "–"
    spread = values.std(ddof=1) if len(values) > 1 else 0.0
    if not 0 < spread < 1e6:
        return f"{values.mean():.4g}" + " ± 0" * (len(values) > 1)
    digits = max(0, -math.floor(math.log10(spread)))
    return f"{values.mean():.{digits}f} ± {spread:.{digits}f}"


def run_rows(groups: Sequence[Group], folder: Path | None) -> list[list[object]]:
    """A row for each run, with a link to its report where that is beside it."""
    rows: list[list[object]] = []
    for g in groups:
        for view in g.views:
            page = Path(view.folder) / "report.html" if view.folder else None
            linked = page is not None and folder is not None and page.is_file()
            where = Path(os.path.relpath(page, folder)).as_posix() if page and linked else ""
            name = Markup(f'<a href="{quote(where)}">{escape(view.title)}</a>') if where else view.title
            facts = (view.facts.get(name) for name in ("epochs", "trained for"))
            rows.append([g.label, name, view.configuration.get("seed"), view.status, *facts])
    return rows


# The question: the metric by what was varied --------------------------------------------------------------------


def question(groups: Sequence[Group], differing: Differing, metric: str) -> dict[str, Any]:
    """The metric against the settings: a line for one of them, a map for two, else every setting's way through them."""
    there = [i for i, g in enumerate(groups) if not math.isnan(g.mean(metric))]
    groups, differing = [groups[i] for i in there], [(key, [v[i] for i in there]) for key, v in differing]
    values = np.array([g.mean(metric) for g in groups])
    if len(groups) < 3:
        return {}
    if len(differing) == 1:
        return {"line": setting_chart(groups, *differing[0], metric)}
    cells = {(repr(a), repr(b)) for a, b in zip(differing[0][1], differing[1][1], strict=True)}
    sides = [len({repr(v) for v in found}) for _, found in differing]
    is_grid = len(differing) == 2 and max(sides) <= MAX_CELLS and len(cells) == len(groups)
    if is_grid and 2 * len(cells) > math.prod(sides):
        return {"map": setting_map(groups, differing, values, metric)}
    told = sorted(((importance(found, values), key) for key, found in differing), reverse=True)
    bars = [{"key": key, "share": share} for share, key in told]
    return {"ways": ways(groups, differing, values, metric), "importance": bars}


def setting_chart(groups: Sequence[Group], key: str, found: Sequence[Any], metric: str) -> dict[str, Any] | None:
    """The metric by one setting, with the range over the seeds."""
    order = sorted(range(len(found)), key=lambda i: sort_key(found[i]))
    figures = [groups[i].figures(metric) for i in order]
    return by_setting("question", f"{metric} by {key}", key, [found[i] for i in order], {"": figures})


def by_setting(
    chart: str,
    title: str,
    setting: str,
    values: Sequence[Any],
    found: Mapping[str, Sequence[Array | Sequence[float]]],
) -> dict[str, Any] | None:
    """A figure by a setting's values: a line for each label, with the range over the seeds at each value."""
    lines = []
    for i, (label, figures) in enumerate(found.items()):
        mean, low, high = ([float(of(v)) if len(v) else None for v in figures] for of in (np.mean, np.min, np.max))
        colour = f"var(--series-{i % NUM_COLOURS + 1})" if len(found) > 1 else "var(--train)"
        lines.append(Line(label, mean, colour, "6 4" if i >= NUM_COLOURS else "", low, high))
    return line_chart(chart, title, lines, axis=setting, points=[figure_text(v) for v in values])


def sweep_chart(
    results: Sequence[Mapping[str, Any]], parameter: str, figure_name: str, chart: str = "sweep"
) -> dict[str, Any] | None:
    """What `save_sweep` draws, for a page; a setting that all names of lines begin with stands in the title."""
    found = sweep_lines(results, parameter, figure_name)
    values = sorted({value for line in found.values() for value in line}, key=sort_key)
    settings = {label.rpartition(" ")[0] for label in found}
    shared = settings.pop() if len(settings) == 1 else ""
    lines = {k.removeprefix(shared).strip(): [line.get(v, ()) for v in values] for k, line in found.items()}
    title = f"{words(figure_name)} by {parameter}" + (f" and {shared}" if shared else "")
    return by_setting(chart, title, parameter, values, lines)


def setting_map(groups: Sequence[Group], differing: Differing, values: Array, metric: str) -> dict[str, Any]:
    """The metric by two settings: a table shaded from the worst to the best."""
    (down, ups), (across, sides) = differing
    goodness = places_of(values.tolist()) if not lower_is_better(metric) else 1 - places_of(values.tolist())
    cells = {
        (repr(a), repr(b)): {"text": figure_text(text), "share": float(s), "group": g}
        for a, b, text, s, g in zip(ups, sides, alike(values.tolist()), goodness, groups, strict=True)
    }
    rows, columns = ({repr(v): v for v in sorted(found, key=sort_key)} for found in (ups, sides))
    table = [(figure_text(v), [cells.get((r, c)) for c in columns]) for r, v in rows.items()]
    return {"down": down, "across": across, "columns": list(map(figure_text, columns.values())), "rows": table}


def ways(groups: Sequence[Group], differing: Differing, values: Array, metric: str) -> dict[str, Any]:
    """Parallel coordinates: a line for each group from its value on one axis to that on the next, the metric last."""
    axes = [*differing, (metric, values.tolist())]
    x, heights = np.linspace(60, 800, len(axes)), [220 * (1 - places_of(found)) + 36 for _, found in axes]
    ticks = []
    for at, height, (name, found) in zip(x, heights, axes, strict=True):
        marks = {figure_text(found[i]): float(height[i]) for i in np.argsort(height)}
        chosen = list(marks.items()) if len(marks) <= 6 else [list(marks.items())[i] for i in (0, -1)]
        ticks.append(
            {"x": rounded(at), "name": short(name), "marks": [{"text": t, "y": rounded(y)} for t, y in chosen]}
        )
    lines = [
        {"group": g, "d": "M" + "L".join(f"{a:.1f} {h[i]:.1f}" for a, h in zip(x, heights, strict=True)), "value": v}
        for i, (g, v) in enumerate(zip(groups, values.tolist(), strict=True))
    ]
    return {"axes": ticks, "lines": lines[::-1]}  # the best on top


def places_of(found: Sequence[Any]) -> Array:
    """Where values stand on an axis from 0 to 1: numbers by size or its logarithm, others by name."""
    if all(isinstance(v, (int, float)) and not isinstance(v, bool) for v in found):
        numbers = np.asarray(found, float)
        numbers = np.log(numbers) if numbers.min() > 0 and numbers.max() > LOG_RATIO * numbers.min() else numbers
    else:
        names = sorted({repr(v) for v in found})
        numbers = np.array([names.index(repr(v)) for v in found], float)
    places: Array = (numbers - numbers.min()) / (np.ptp(numbers) or 1)
    return places


def sort_key(value: object) -> tuple[bool, float, str]:
    return (False, value, "") if isinstance(value, (int, float)) else (True, 0, repr(value))


def importance(found: Sequence[Any], values: Array) -> float:
    """The share of the metric's variance that a setting explains: epsilon squared (Kelley, 1935), in bins."""
    places = places_of(found)
    edges = np.unique(places) if len(np.unique(places)) <= 5 else np.quantile(places, [0, 0.25, 0.5, 0.75])
    bins = np.searchsorted(edges, places, side="right")
    within = sum(float(((values[bins == b] - values[bins == b].mean()) ** 2).sum()) for b in np.unique(bins))
    spare, total = len(values) - len(np.unique(bins)), float(((values - values.mean()) ** 2).sum())
    return max(0.0, 1 - within / total * (len(values) - 1) / spare) if spare > 0 and total > 0 else 0.0


# Curves ---------------------------------------------------------------------------------------------------------


def comparison_charts(groups: Sequence[Group], metric: str | None) -> list[dict[str, Any]]:
    """A chart for each figure that was measured, the deciding one first, then validation, a line for each group."""
    measured = dict.fromkeys(name for g in groups for view in g.views for name in panel_names(view.history))
    keys = [key for name in measured for key in (f"validation_{name}", name)]
    charts = []
    for key in sorted(keys, key=lambda key: words(key) != metric):
        lines = [line for g in groups if (line := group_line(g, key))]
        title = key if key.startswith("validation_") else f"train {key}"
        if max((len(line.values) for line in lines), default=0) > 1:
            charts.append(line_chart(css_word(key), words(title), sorted(lines, key=lambda line: not line.is_pale)))
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
    line = Line(group.label, mean, group.colour, is_pale=group.is_pale)
    return line if len(curves) == 1 or group.is_pale else replace(line, low=low, high=high)
