"""One self-contained HTML page that shows a run: opens anywhere, loads nothing, runs no script but ours."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from .. import html
from ..arrays import Array
from ..files import write_text
from ..naming import require_extra
from ..text import figure_text, figures_from, flatten
from .charts import Line, line_chart
from .pictures import MAX_COUNTS, data_uri, grid, in_colour, row_shares, square
from .view import Curves, RunView, WrongExample, known, marked_epoch, panel_names, words

if TYPE_CHECKING:
    from jinja2 import Environment

    from ..diagnosis import Diagnosis

FILES = Path(__file__).parent / "page_files"
MAX_ROWS = 200  # of the table of epochs
MAX_PANELS, MAX_LAYERS = 8, 60  # charts of figures, and lines in a chart of layers
MAX_FILTERS = 144
EXAMPLE_PIXELS, FILTER_PIXELS = 12_000, 200_000  # of each picture: what keeps a page below 2 MB


def save_report(view: RunView, path: str | Path) -> Path:
    """Write the page of a RunView to path, atomically; returns the path."""
    write_text(path, render_report(view))
    return Path(path)


def render_report(view: RunView, stamp: str | None = None) -> str:
    """The page of a RunView, as text. stamp: see `render`."""
    parts = {
        "headline": headline(view),
        "curves": curve_charts(view.history, view.restored),
        "epoch_table": epoch_table(view.history),
        "inside": inside_charts(view),
        "has_norms": bool(view.norms),
        "unit_rows": unit_rows(view.diagnosis),
        "filters": filter_picture(view.filters),
        "configuration": flatten(view.configuration),
        "origin": flatten(view.origin),
        "layer_columns": figures_from(3, view.summary[0] if view.summary else ()),
        **confusion_parts(view),
        **example_parts(view.wrong),
    }
    return render("report.html", view.title, stamp, view=view, **parts)


def render(template: str, title: str, stamp: str | None = None, **parts: Any) -> str:
    """A page from a template of ours, whatever comes from a run escaped. stamp: of a page that follows its run."""
    body = environment().get_template(template).render(title=title, stamp=stamp, table=html.table, **parts)
    scripts = ["charts.js"] if stamp is None else ["charts.js", "live.js"]
    return html.page(title, body, scripts=[html.read(FILES / name) for name in scripts], stamp=stamp)


@functools.cache
def environment() -> Environment:
    with require_extra("app", "a page"):
        import jinja2
    loader = jinja2.FileSystemLoader(FILES)
    options: dict[str, Any] = {"undefined": jinja2.StrictUndefined, "trim_blocks": True, "lstrip_blocks": True}
    made = jinja2.Environment(loader=loader, autoescape=True, **options)
    made.filters.update(figure=figure_text, css_word=css_word, words=words)
    return made


def css_word(text: object) -> str:
    """A status as a class name, whatever the record says."""
    return "".join(c for c in str(text) if c.isascii() and c.isalpha())


# Parts of the page ----------------------------------------------------------------------------------------------


def headline(view: RunView) -> list[tuple[str, Any]]:
    """(name, figure) pairs, the result that counts first and one loss; of a running run the last epoch's."""
    losses = [name for name in view.results if name.endswith("loss")]
    results = {name: value for name, value in view.results.items() if name not in losses[1:]}
    latest = reversed([(f"{words(name)} now", values[-1]) for name, values in measured(view.history, "validation")])
    return [(name, value) for name, value in {**(results or dict(latest)), **view.facts}.items() if value is not None]


def measured(history: Curves, begin: str = "") -> list[tuple[str, Sequence[float | None]]]:
    return [(name, values) for name, values in history.items() if values and name.startswith(begin)]


def curve_charts(history: Curves, restored: int | None = None) -> list[dict[str, Any]]:
    """Loss and the other figures, train beside validation."""
    (best, mark), charts = marked_epoch(history, restored), []
    for name in panel_names(history)[:MAX_PANELS]:
        lines = [Line("train", history[name], "var(--train)")]
        if history.get(f"validation_{name}"):
            lines.append(Line("validation", history[f"validation_{name}"], "var(--validation)"))
        charts.append(line_chart(css_word(name), words(name), lines, best=best if len(lines) == 2 else None, mark=mark))
    return [chart for chart in charts if chart]


def inside_charts(view: RunView) -> list[dict[str, Any]]:
    """Learning rate, and the sizes of gradients and updates per layer."""
    rate = [Line("", view.history.get("learning_rate") or [], "var(--ink)")]
    charts = [line_chart("rate", "learning rate", rate, steps=True)]
    for kind, title in (("gradient", "gradient norm per layer"), ("update", "update, as a share of the layer's size")):
        layers = list(view.norms.items())[:MAX_LAYERS]
        lines = [Line(name, sizes[kind], depth_colour(i, len(view.norms))) for i, (name, sizes) in enumerate(layers)]
        charts.append(line_chart(kind, title, lines, log=any((known(line.values) > 0).any() for line in lines)))
    return [chart for chart in charts if chart]


def depth_colour(index: int, count: int) -> str:
    """From pale at the first layer to strong at the last."""
    share = 100 if count < 2 else round(100 * index / (count - 1))
    return f"color-mix(in srgb, var(--deep) {share}%, var(--shallow))"


def epoch_table(history: Curves) -> dict[str, Any]:
    """Every epoch's figures; of a long history evenly spaced ones, and the last."""
    columns = measured(history)[: 2 * MAX_PANELS]
    count = max((len(values) for _, values in columns), default=0)
    every = -(-count // MAX_ROWS) or 1
    shown = [i for i in range(count) if i % every == 0 or i == count - 1]
    rows = [[i + 1, *(values[i] if i < len(values) else None for _, values in columns)] for i in shown]
    titles = figures_from(0, ["epoch", *(words(name) for name, _ in columns)])
    return {"columns": titles, "rows": rows, "every": every}


def unit_rows(diagnosis: Diagnosis | None) -> list[tuple[object, ...]]:
    layers = diagnosis.layers if diagnosis else []
    rows = [(layer.name, layer.kind, layer.num_units, layer.num_dead, layer.num_saturated) for layer in layers]
    return [row for row in rows if row[-2:] != (None, None)]


def confusion_parts(view: RunView) -> dict[str, Any]:
    """The matrix as a table of shaded counts; of many classes the most frequent mistakes instead."""
    if view.confusion is None:
        return {"confusion": None, "confused": None}
    matrix = square(view.confusion)
    count, share = len(matrix), row_shares(matrix)
    names = [str(name) for name in view.class_names] or [str(i) for i in range(count)]
    if count <= MAX_COUNTS:
        return {"confusion": {"names": names, "counts": matrix, "share": share}, "confused": None}
    wrong = matrix * ~np.eye(count, dtype=bool)
    worst = [divmod(int(k), count) for k in np.argsort(-wrong, axis=None, kind="stable")[:MAX_COUNTS]]
    confused = [(names[i], names[j], int(matrix[i, j]), f"{share[i, j]:.1%}") for i, j in worst if wrong[i, j]]
    return {"confusion": None, "confused": confused}


def example_parts(wrong: Sequence[WrongExample]) -> dict[str, Any]:
    """The worst examples as pictures, or as a table of their values."""
    names = list(wrong[0].values) if wrong else []
    return {
        "examples": [example_picture(e) for e in wrong],
        "example_columns": figures_from(3, ["row", "true", "predicted", "confidence", *names]),
        "example_rows": [(e.row, e.true, e.predicted, f"{e.confidence:.1%}", *e.values.values()) for e in wrong],
    }


def example_picture(example: WrongExample) -> dict[str, Any]:
    shown = {**vars(example), "share": f"{example.confidence:.0%}", "image": ""}
    if example.image is not None:
        picture = shrunk(in_colour(example.image), EXAMPLE_PIXELS)
        shown.update(image=data_uri(picture), width=4 * picture.shape[1], height=4 * picture.shape[0])
    return shown


def filter_picture(filters: Array | None) -> dict[str, Any] | None:
    if filters is None or len(filters) == 0:
        return None
    picture = shrunk(grid(filters[:MAX_FILTERS]), FILTER_PIXELS)
    height, width = picture.shape[:2]
    is_coloured = filters.mean() < 0.65  # colour filters are around grey, single-channel ones around white
    counts = {"count": len(filters), "shown": min(len(filters), MAX_FILTERS)}
    return {"uri": data_uri(picture), "width": width, "height": height, **counts, "is_coloured": is_coloured}


def shrunk(picture: Array, num_pixels: int) -> Array:
    """A picture, with pixels left out where it has more than so many."""
    every = int(np.ceil(np.sqrt(picture.shape[0] * picture.shape[1] / num_pixels)))
    return picture[::every, ::every]
