"""One self-contained HTML page that shows a run: opens anywhere, loads nothing, runs no script but ours."""

from __future__ import annotations

import functools
import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from .. import html
from ..arrays import Array
from ..files import write_text
from ..naming import require_extra
from ..text import duration, figure_text, figures_from, flatten
from .charts import Line, dot_chart, line_chart, smoothed
from .pictures import MAX_COUNTS, data_uri, diverging, grid, in_colour, row_shares, square
from .view import Curves, Passage, RunView, WrongExample, known, marked_epoch, needs_log, panel_names, words

if TYPE_CHECKING:
    from jinja2 import Environment

    from ..diagnosis import Diagnosis

FILES = Path(__file__).parent / "page_files"
MAX_ROWS = 200  # of the table of epochs
MAX_PANELS, MAX_LAYERS = 8, 60  # charts of figures, and lines in a chart of layers
MAX_FILTERS, MAX_DOTS = 48, 400
MAX_STEPS, MAX_CHANNELS = 24, 16  # of one example on its way: layers, or columns, and channels of each
MIN_EPOCHS = 5  # of fewer, the training curve is a running mean over batches
EXAMPLE_PIXELS = 12_000  # of each picture: what keeps a page below 2 MB
NORMS = {"gradient": "gradient norm per layer", "update": "update, as a share of the layer's size"}


def save_report(view: RunView, path: str | Path) -> Path:
    """Write the page of a RunView to path, atomically; returns the path."""
    write_text(path, render_report(view))
    return Path(path)


def render_report(view: RunView, stamp: str | None = None) -> str:
    """The page of a RunView, as text. stamp: see `render`."""
    charts, said = curve_charts(view)
    parts = {
        "headline": headline(view),
        "facts": [(name, value) for name, value in view.facts.items() if value is not None],
        "curves": charts,
        "said": said,
        "epoch_table": epoch_table(view.history, newest_first=stamp is not None),
        "unit_columns": unit_columns(view.diagnosis),
        "scatters": error_charts(view.truth),
        "filters": filter_pictures(view),
        "everything": {**flatten(view.configuration), **flatten(view.origin)},
        "layer_columns": figures_from(3, view.summary[0] if view.summary else ()),
        **confusion_parts(view),
        **example_parts(view),
        "passage": passage_parts(view.passage),
    }
    return render("report.html", view.title, stamp, view=view, **parts)


def render(template: str, title: str, stamp: str | None = None, **parts: Any) -> str:
    """A page from a template of ours, whatever comes from a run escaped. stamp: of a page that follows its run."""
    body = environment().get_template(template).render(title=title, stamp=stamp, table=html.table, **parts)
    ours = "".join(html.read(FILES / name) for name in ("charts.js", "page.js"))
    live = [] if stamp is None else [html.read(FILES / "live.js")]
    return html.page(title, body, scripts=[ours, *live], stamp=stamp)


def still_chart(chart: Mapping[str, Any]) -> str:
    """A chart as HTML for a page without scripts."""
    template = '{% import "parts.html" as parts %}{{ parts.chart(chart, false) }}'
    return environment().from_string(template).render(chart=chart)


@functools.cache
def environment() -> Environment:
    with require_extra("app", "a page"):
        import jinja2
    loader = jinja2.FileSystemLoader(FILES)
    options: dict[str, Any] = {"undefined": jinja2.StrictUndefined, "trim_blocks": True, "lstrip_blocks": True}
    made = jinja2.Environment(loader=loader, autoescape=True, **options)
    made.filters.update(figure=figure_text, css_word=css_word, words=words, key=broken, shell=shlex.quote)
    made.filters["duration"] = duration
    return made


def broken(key: str) -> html.Markup:
    """A key that a narrow table breaks behind its dots."""
    return html.Markup(html.escape(key).replace(".", ".<wbr>"))


def css_word(text: object) -> str:
    """A status as a class name, whatever the record says."""
    return "".join(c for c in str(text) if c.isascii() and c.isalpha())


# Parts of the page ----------------------------------------------------------------------------------------------


def headline(view: RunView) -> list[tuple[str, Any, int | None]]:
    """(name, figure, rows it was measured on), the result that counts first and one loss; else the last epoch's."""
    losses = [name for name in view.results if name.endswith("loss")]
    results = {name: value for name, value in view.results.items() if name not in losses[1:]}
    if not results and view.status != "failed":
        latest = reversed(measured(view.history, "validation"))
        results = {f"{words(name)} now": values[-1] for name, values in latest}
    rows = {name: view.rows.get(name.split()[0]) if name else None for name in results}
    return [(name, rounded_to(value, rows[name]), rows[name]) for name, value in results.items() if value is not None]


def rounded_to(value: float, rows: int | None) -> float:
    """A share to the digits that so many rows can tell: three of a thousand, two of thirty."""
    return round(value, 2 if rows < 100 else 3 if rows < 5000 else 4) if rows and abs(value) <= 1 else value


def measured(history: Curves, begin: str = "") -> list[tuple[str, Sequence[float | None]]]:
    return [(name, values) for name, values in history.items() if values and name.startswith(begin)]


def curve_charts(view: RunView) -> tuple[list[dict[str, Any]], list[str]]:
    """(charts of all that was measured by epoch or by step, sentences on what would be a dot or a level line)."""
    (best, mark), said, wanted = marked_epoch(view.history, view.restored), list[str](), list[dict[str, Any] | None]()
    end, is_over = end_of(view), view.num_epochs > 1 and view.status != "failed"
    for name in panel_names(view.history)[:MAX_PANELS] or [n for n in ("loss", "accuracy") if n in view.steps]:
        lines = figure_lines(view, name)
        if max((len(line.values) for line in lines), default=0) > 1:
            marked = best if is_over and "validation" in [line.label for line in lines] else None
            wanted.append(line_chart(css_word(name), words(name), lines, marked, mark, end=end))
        elif lines:
            ends = " and ".join(f"{figure_text(line.values[-1])} ({line.label})" for line in lines)
            said.append(f"After the one epoch the {words(name)} was {ends}.")
    by_step = view.steps.get("learning_rate")
    rates, places = by_step or view.history.get("learning_rate") or [], view.steps.get("epoch") if by_step else ()
    if len(set(known(rates))) > 1:
        line = Line("", rates, "var(--ink)", places=known(places or []).tolist())
        usual = np.sort(known(rates))[-(-len(rates) // 10) :]  # the last steps may be next to nothing
        wanted.append(line_chart("rate", "learning rate", [line], steps=True, log=needs_log(usual), end=end))
    elif len(known(rates)):
        said.append(f"The learning rate was {figure_text(float(known(rates)[0]))} throughout.")
    wanted += [norm_chart(view, kind, title) for kind, title in NORMS.items()]
    return [chart for chart in wanted if chart], said


def end_of(view: RunView) -> int | None:
    """Where the axis of epochs ends: of a run that trains, where it is to end."""
    return view.epochs if view.status == "running" else None


def figure_lines(view: RunView, name: str) -> list[Line]:
    """A figure on training and on validation rows, with that of single batches behind where those were written down."""
    lines, places, batches = [], known(view.steps.get("epoch") or []).tolist(), view.steps.get(name) or []
    if len(batches) > 1:
        lines.append(Line("one batch", batches, "var(--train)", places=places, is_pale=True))
    if view.history.get(name) and (len(view.history[name]) >= MIN_EPOCHS or not lines):
        lines.append(Line("train", view.history[name], "var(--train)"))
    elif lines:
        means = smoothed(batches, len(batches) // 8).tolist()
        lines.append(Line("train", means, "var(--train)", places=places))
    if view.history.get(f"validation_{name}"):
        lines.append(Line("validation", view.history[f"validation_{name}"], "var(--validation)"))
    return lines


def norm_chart(view: RunView, kind: str, title: str) -> dict[str, Any] | None:
    """The sizes of gradients or updates, a line for each layer; of many, means over a few."""
    lines = []
    for i, (name, sizes) in enumerate(list(view.norms.items())[:MAX_LAYERS]):
        values = smoothed(sizes[kind], len(sizes[kind]) // 40).tolist()
        places = view.norm_epochs if len(view.norm_epochs) == len(values) else ()
        lines.append(Line(name, values, depth_colour(i, len(view.norms)), places=places))
    if max((len(line.values) for line in lines), default=0) < 2:
        return None
    return line_chart(kind, title, lines, log=any((known(line.values) > 0).any() for line in lines), end=end_of(view))


def depth_colour(index: int, count: int) -> str:
    """From pale at the first layer to strong at the last."""
    share = 100 if count < 2 else round(100 * index / (count - 1))
    return f"color-mix(in srgb, var(--deep) {share}%, var(--shallow))"


def epoch_table(history: Curves, newest_first: bool = False) -> dict[str, Any]:
    """Every epoch's figures; of a long history evenly spaced ones, and the last."""
    columns = measured(history)[: 2 * MAX_PANELS]
    count = max((len(values) for _, values in columns), default=0)
    every = -(-count // MAX_ROWS) or 1
    shown = [i for i in range(count) if i % every == 0 or i == count - 1]
    rows = [[i + 1, *(values[i] if i < len(values) else None for _, values in columns)] for i in shown]
    titles = figures_from(0, ["epoch", *(words(name) for name, _ in columns)])
    return {"columns": titles, "rows": rows[::-1] if newest_first else rows, "every": every}


def unit_columns(diagnosis: Diagnosis | None) -> tuple[list[str], list[list[object]]]:
    """(titles, a row per layer): dead and saturated units, without a column that would be empty."""
    layers = diagnosis.layers if diagnosis else []
    kept = [name for name in ("num_dead", "num_saturated") if any(getattr(la, name) is not None for la in layers)]
    rows = [[la.name, la.kind, la.num_units, *(getattr(la, name) for name in kept)] for la in layers]
    titles = ["layer", "kind", ">units", *(f">{name.removeprefix('num_')}" for name in kept)]
    return titles, [row for row in rows if any(value is not None for value in row[3:])]


def error_charts(truth: tuple[Array, Array] | None) -> list[dict[str, Any] | None]:
    """Of a regression: what was predicted against what is true, and how far off it was."""
    if truth is None:
        return []
    every = -(-len(truth[0]) // MAX_DOTS)
    true, found = (array[::every] for array in truth)
    names = [
        f"true {figure_text(float(t))}, predicted {figure_text(float(p))}" for t, p in zip(true, found, strict=True)
    ]
    return [
        dot_chart("predicted", "predicted against true", true, found, "true", "predicted = true", names, diagonal=True),
        dot_chart("residuals", "residuals: predicted less true", found, found - true, "predicted", "no error", names),
    ]


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


def example_parts(view: RunView) -> dict[str, Any]:
    """The worst examples, as pictures of each confusion, or as a table of their values."""
    wrong, groups = view.wrong, dict[tuple[str, str], list[dict[str, Any]]]()
    for example in wrong if wrong and wrong[0].image is not None else ():
        groups.setdefault((example.true, example.predicted), []).append(example_picture(example))
    names = list(wrong[0].values) if wrong else []
    figures = ["error"] if view.truth else ["confidence", "chance of the true class"]
    told = [[e.confidence] if view.truth else example_figures(e) for e in wrong]
    rows = [(e.row, e.true, e.predicted, *said, *e.values.values()) for e, said in zip(wrong, told, strict=True)]
    titles = [">row", "true", "predicted"] if not view.truth else [">row", ">true", ">predicted"]
    columns = [*titles, *(f">{name}" for name in (*figures, *names))]
    return {"example_groups": groups, "example_columns": columns, "example_rows": rows if not groups else []}


def example_figures(example: WrongExample) -> list[str]:
    return [f"{example.confidence:.1%}", "" if example.chance is None else f"{example.chance:.1%}"]


def example_picture(example: WrongExample) -> dict[str, Any]:
    share, chance = (f"{v:.0%}" if v is not None else "" for v in (example.confidence, example.chance))
    shown = {**vars(example), "share": share, "own": chance, "image": ""}
    if example.image is not None:
        picture = shrunk(in_colour(example.image), EXAMPLE_PIXELS)
        shown.update(image=data_uri(picture), width=4 * picture.shape[1], height=4 * picture.shape[0])
    return shown


def passage_parts(passage: Passage | None) -> dict[str, Any] | None:
    """An example's way as pictures, and its gradient as a picture or as (column, share of the largest, sign)."""
    if passage is None:
        return None
    pictures = [(name, "×".join(map(str, y.shape)), drawn(y)) for name, y in passage.steps[:MAX_STEPS]]
    steps = [(name, shape, data_uri(picture), 1.5 * picture.shape[1]) for name, shape, picture in pictures]
    image = gradient = None
    counts: list[tuple[str, float, bool]] = []
    if passage.image is not None:
        image = data_uri(shrunk(in_colour(passage.image), EXAMPLE_PIXELS))
    if passage.gradient is not None and passage.image is not None:
        signed = passage.gradient.reshape(*passage.image.shape[:2], -1).mean(axis=-1, keepdims=True)
        gradient = data_uri(shrunk(diverging(scaled(signed)), EXAMPLE_PIXELS))
    elif passage.gradient is not None and len(passage.columns) == passage.gradient.size:
        shares = scaled(passage.gradient).ravel().tolist()
        found = [(name, abs(share), share < 0) for name, share in zip(passage.columns, shares, strict=True)]
        counts = sorted(found, key=lambda row: -row[1])[:MAX_STEPS]
    return {"steps": steps, "image": image, "gradient": gradient, "counts": counts, "of": passage}


def drawn(y: Array) -> Array:
    """A layer's numbers as a picture: channels side by side, steps by units, units in rows of 32."""
    y = scaled(y)
    if y.ndim == 3:
        return shrunk(grid(diverging(np.moveaxis(y, -1, 0)[:MAX_CHANNELS, ..., None])), EXAMPLE_PIXELS)
    rows = y if y.ndim == 2 else np.pad(y.ravel()[:1024], (0, -min(y.size, 1024) % min(y.size, 32)))
    return diverging(rows.reshape(-1, rows.shape[-1] if y.ndim == 2 else min(y.size, 32))[..., None])


def scaled(y: Array) -> Array:
    """Numbers as shares of the largest."""
    y = np.nan_to_num(y.astype(np.float64))
    return y / (np.abs(y).max(initial=0) or 1)


def filter_pictures(view: RunView) -> dict[str, Any] | None:
    """The first layer's units as small pictures, the strongest first, with what stands below each."""
    if view.filters is None or len(view.filters) == 0:
        return None
    units = view.units or [(i, False) for i in range(len(view.filters))]
    pictures = [
        {"uri": data_uri(shrunk(picture, EXAMPLE_PIXELS)), "unit": unit, "is_dead": is_dead}
        for picture, (unit, is_dead) in list(zip(view.filters, units, strict=True))[:MAX_FILTERS]
    ]
    is_coloured = view.filters.mean() < 0.65  # colour filters are around grey, single-channel ones around white
    return {"pictures": pictures, "count": len(view.filters), "is_coloured": is_coloured}


def shrunk(picture: Array, num_pixels: int) -> Array:
    """A picture, with pixels left out where it has more than so many."""
    every = int(np.ceil(np.sqrt(picture.shape[0] * picture.shape[1] / num_pixels)))
    return picture[::every, ::every]
