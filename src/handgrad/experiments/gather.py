"""From run folders to what a table or a page shows: records as they stand, and the model measured again on its data."""

import copy
import math
import shlex
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from operator import eq, ge, gt, le, lt, ne
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np

from ..arrays import Array, MaybeArray, Shape
from ..datasets import Dataset, Split
from ..diagnosis import Diagnosis, diagnose
from ..layers import BatchNorm, ReLU
from ..layers.base import family, leaves, walk
from ..layers.containers import Sequential, of_both_classes
from ..metrics import confusion_matrix
from ..naming import nearest
from ..reports.judgement import Judgement, judge
from ..reports.pictures import is_image, weight_images
from ..reports.view import Passage, RunView, WrongExample, words
from ..text import MAX_TEXT, clipped, duration, figure_text, flatten
from ..training.history import lower_is_better
from .assembly import load_data
from .run_folder import METRICS, NOT_FIGURES, RECORD, SWEEP, Run, as_number, check_num_classes
from .runner import check_same_data

Record: TypeAlias = Mapping[str, Any]
SPLITS = ("test", "validation", "train")  # in the order in which a page prefers them
NUM_DIAGNOSED, NUM_FEATURES, NUM_CLASSES = 1000, 20, 1000
NUM_LIKELIEST = 5
NUM_WORST, NUM_ALIKE, NUM_ROWS = 24, 6, 12  # examples shown: in all, of one confusion, and of a regression
PARTS = ("loss", "optimizer", "schedule", "penalty")
DIAGNOSIS_COST = 3e9  # multiply-adds of a forward pass
FLAT_IMAGES = {"digits": (8, 8, 1)}  # tables whose rows are images
Compare: TypeAlias = Callable[[Any, Any], Any]
# longer signs come before those that they begin with
OPERATORS: dict[str, Compare] = {">=": ge, "<=": le, "!=": ne, "=": eq, ">": gt, "<": lt}


def gather(run: Run) -> RunView:
    """The RunView of a Run: its record, and where its model and data are at hand, units, mistakes and filters.

    What cannot be measured is told in the view's notes; a record that is damaged raises a ValueError.
    """
    view = gather_record(run)
    try:
        model = run.model()
        add_model(view, model, flat_image(run))
        if view.status != "failed":  # what a training that broke down has come to is no model
            data = load_data(run.configuration)
            check_same_data(run, data)
            add_measurements(view, model, data, flat_image(run))
    except (ValueError, TypeError, OSError, ImportError, FloatingPointError) as problem:
        view.notes.append(f"Some of this page is missing: {' '.join(str(problem).split())}")
    return view


def gather_record(run: Run) -> RunView:
    """The RunView of what stands in run.json and metrics.jsonl: quick, also while the run trains."""
    record, status, lines = run.record, run.status, run.lines()
    history, per_epoch = dict(run.history()), steps_per_epoch(record, lines)
    sized = [line for line in lines if line.get("layers")]
    return RunView(
        name=run.name,
        id=run.id,
        status=status,
        results=results_of(run.results),
        history=history,
        norms=norms_by_layer(sized),
        norm_epochs=[(line.get("step") or 0) / per_epoch for line in sized],
        steps=figures_by_step([line for line in lines if "epoch" not in line], per_epoch),
        configuration=record["configuration"],
        facts=facts_of(record, history),
        origin=origin_of(record),
        commands=commands_of(record),
        restored=run.restored_epoch,
        folder=str(run.path),
        verdict=verdict_of(run, status, history),
        about=about_of(record),
        rows=record["data"].get("rows") or {},
        epochs=as_count(record["configuration"].get("epochs")),
        seconds_left=seconds_left(record, lines) if status == "running" else None,
    )


def gather_several(paths: Iterable[str | Path]) -> list[RunView]:
    """RunViews of run folders, of sweeps (the best first) and of folders of runs, as records; each folder once."""
    return [gather_record(run) for run in several(paths)]


def several(paths: Iterable[str | Path]) -> list[Run]:
    """The runs at all these places, each folder once."""
    return list({run.path.resolve(): run for path in paths for run in runs_at(path)}.values())


def runs_at(path: str | Path) -> list[Run]:
    """The run in a folder, or the runs of the sweep there, or all runs below it."""
    if (Path(path) / RECORD).is_file():
        return [Run(path)]
    if (Path(path) / SWEEP).is_file():
        from .sweep import Sweep  # joblib takes its time to load

        sweep = Sweep(path)
        return [Run(sweep.folder(trial)) for trial in sweep.ranked()]
    runs, _ = find_runs(path)
    if not runs:
        raise ValueError(f"there are no runs in {path}")
    return runs


# From the folders below: found, filtered and sorted by anything their records hold ------------------------------------


def find_runs(folder: str | Path = "experiments") -> tuple[list[Run], list[str]]:
    """(the runs below a folder, oldest first; lines about the damaged ones)."""
    folder = Path(folder)
    if not folder.is_dir():
        raise ValueError(f"there is no folder {folder} (runs are put there by handgrad train)")
    runs, damaged = [], []
    for path in run_folders(folder):
        try:
            runs.append(Run(path))
        except ValueError as problem:
            damaged.append(str(problem))
    return sorted(runs, key=lambda run: (str(run.record.get("started")), str(run.path))), damaged


def run_folders(folder: Path) -> list[Path]:
    """The folders of runs, itself or up to three below; those that create_folder still makes begin with a dot."""
    records = [record for depth in ("", "*/", "*/*/", "*/*/*/") for record in folder.glob(depth + RECORD)]
    return [record.parent for record in records if not record.parent.name.startswith(".")]


def fields(run: Run) -> dict[str, Any]:
    """Everything to filter and sort by: 'status', 'test.accuracy', 'optimizer.learning_rate', ... as one flat table."""
    record = run.record
    head = {"id": run.id, "status": run.status, **{k: record.get(k) for k in ("started", "epochs", "steps", "seconds")}}
    return {**flatten(run.results), **flatten(record["configuration"]), **head}


def select(
    runs: Iterable[Run], conditions: Iterable[str] = (), sort: str | None = None, columns: Sequence[str] = ()
) -> list[tuple[Run, dict[str, Any]]]:
    """The (run, fields) that meet every condition ('test.accuracy>0.9', 'name=iris'), the best first when sorted.

    Losses sort upwards, other results downwards, everything else upwards; runs without the key come last.
    A key that no run has raises ValueError, one of the columns to be shown as well.
    """
    table = [(run, fields(run)) for run in runs]
    parsed = [parse_condition(text) for text in conditions]
    for key in [*(key for key, _, _ in parsed), *([] if sort is None else [sort]), *columns]:
        check_known(key, [row for _, row in table])
    for key, compare, wanted in parsed:
        table = [(run, row) for run, row in table if holds(row.get(key), compare, wanted)]
    if sort is not None:
        is_result = sort.partition(".")[0] in ("train", "validation", "test")
        sign = -1 if is_result and not lower_is_better(sort) else 1
        table.sort(key=lambda pair: sort_key(pair[1].get(sort), sign))
    return table


def parse_condition(text: str) -> tuple[str, Compare, str]:
    """(key, comparison, value) of a condition such as 'test.accuracy>0.9'."""
    for sign, compare in OPERATORS.items():
        key, found, wanted = text.partition(sign)
        if found:
            return key.strip(), compare, wanted.strip()
    raise ValueError(f"a condition is key=value or key>value, such as test.accuracy>0.9; got '{text}'")


def check_known(key: str, rows: Sequence[dict[str, Any]]) -> None:
    """Refuse a key that none of the rows has."""
    known = sorted({name for row in rows for name in row})
    if rows and key not in known:
        raise ValueError(f"no run has the key '{key}'{nearest(key, known)}")


def holds(value: Any, compare: Compare, wanted: str) -> bool:
    """Whether the comparison holds, as numbers where both are."""
    if value is None:
        return False
    try:
        return bool(compare(float(value), float(wanted)))
    except (TypeError, ValueError):
        return bool(compare(str(value), wanted))


def sort_key(value: object, sign: int) -> tuple[int, float, str]:
    """Numbers by size, then texts, then what is missing or no number."""
    if isinstance(value, (int, float)) and not math.isnan(value):
        return 0, sign * value, ""
    return (2, 0, "") if value is None or isinstance(value, float) else (1, 0, str(value))


# From the record ------------------------------------------------------------------------------------------------


def results_of(results: Mapping[str, Mapping[str, float]]) -> dict[str, float | None]:
    """{'test accuracy': 0.97, 'validation accuracy': ..., 'test loss': ...}: what counts first, losses last."""
    found = [(split, name, value) for split in SPLITS for name, value in (results.get(split) or {}).items()]
    in_order = sorted(found, key=lambda entry: entry[1].endswith("loss"))
    return {f"{split} {name}": value for split, name, value in in_order}


def facts_of(record: Record, history: Mapping[str, Sequence[float]]) -> dict[str, Any]:
    """How long it trained and from which seed, for the head of a page."""
    planned, done = record["configuration"].get("epochs"), max(map(len, history.values()), default=0)
    return {
        "epochs": f"{done} of {planned}" if done != planned else f"{done}",
        "trained for": duration(record.get("seconds")),
        "batch size": record["configuration"].get("batch_size"),
        "seed": record.get("seed"),
    }


def origin_of(record: Record) -> dict[str, Any]:
    """Where the run comes from: data, versions, machine."""
    data = {key: record["data"].get(key) for key in ("source", "licence", "fingerprint", "rows", "notes")}
    keys = ("started", "ended", "resumed", "folder", "git", "versions", "machine", "threads")
    return {"data": data, **{key: record[key] for key in keys if record.get(key)}}


def commands_of(record: Record) -> list[str]:
    """The lines for a shell that make the run again."""
    lines = []
    git = record.get("git")
    if isinstance(git, dict) and git.get("commit"):
        changed = "  # with changes of its own" if git.get("changed") else ""
        lines.append(f"git checkout {shlex.quote(str(git['commit']))}{changed}")
    if record.get("command"):
        lines.append(shlex.join(map(str, record["command"])))
    return lines


def verdict_of(run: Run, status: str, history: Mapping[str, Sequence[float]]) -> tuple[str, str]:
    """(how the run went, in a sentence; its tone): why it ended early, else what its figures amount to."""
    record, done = run.record, max(map(len, history.values()), default=0)
    planned, after = record["configuration"].get("epochs"), f"after {done} epoch{'s' * (done != 1)}"
    go_on = f"handgrad resume {shlex.quote(str(run.path))} goes on with it"
    if status == "failed":
        kind, _, why = str(record.get("error")).partition(": ")
        again = f"; {go_on} from its last checkpoint" if run.has_checkpoint and kind != "FloatingPointError" else ""
        return f"failed {after}: {why or kind}{again}", "bad"
    if status in ("killed", "interrupted"):
        return f"{status} {after} of {planned}: {go_on}", "fair"
    if status == "running":
        return "", ""
    try:
        found = judge_run(run)
    except ValueError:
        return "", ""
    tone = "good" if found.verdict == "generalizing" else "bad" if "no better than guessing" in str(found) else "fair"
    stopped = f"; stopped early, as {words(str(record['stop_reason']))}" if record.get("stop_reason") else ""
    return " ".join(str(found).split()) + stopped, tone


def about_of(record: Record) -> dict[str, str]:
    """What was trained on what and how, a line each."""
    configuration, data, model = record["configuration"], record["data"], record.get("model") or {}
    rows = ", ".join(f"{count:,} {split}" for split, count in (data.get("rows") or {}).items())
    layers = [brief(layer, ("units", "filters", "rate")) for layer in (model.get("config") or {}).get("layers") or ()]
    size = model.get("num_parameters")
    told = {
        "data": f"{data.get('name', configuration.get('data', {}).get('name', ''))}: {rows} rows" if rows else "",
        "network": " → ".join(layers) + (f"; {size:,} parameters" if isinstance(size, int) else ""),
        "training": ", ".join(brief(configuration[part]) for part in PARTS if configuration.get(part)),
    }
    return {name: clipped(text, MAX_TEXT) for name, text in told.items() if text}


def brief(part: Mapping[str, Any], shown: Sequence[str] = ()) -> str:
    """'adam (learning rate 0.02)': a part of a configuration in words; of a layer only what is worth showing."""
    name = str(part.get("layer") or part.get("name") or "")
    options = {k: v for k, v in part.items() if k not in ("layer", "name") and (not shown or k in shown)}
    told = [str(v) if shown else f"{words(k)} {figure_text(v)}" for k, v in options.items() if not isinstance(v, dict)]
    return name + (f" ({', '.join(told)})" if told else "")


def as_count(value: object) -> int | None:
    return value if isinstance(value, int) else None


def steps_per_epoch(record: Record, lines: Sequence[Record]) -> float:
    """How many steps an epoch has, by the first one that was written down, or by the rows and the batch size."""
    for line in lines:
        if line.get("epoch") and line.get("step"):
            return float(line["step"] / line["epoch"])
    rows, size = (record["data"].get("rows") or {}).get("train"), record["configuration"].get("batch_size")
    return float(-(-rows // size)) if isinstance(rows, int) and isinstance(size, int) and rows and size else 1.0


def figures_by_step(lines: Sequence[Record], per_epoch: float) -> dict[str, list[float | None]]:
    """{'epoch': [0.1, 0.2, ...], 'loss': [...], ...} of the lines of single steps."""
    names = dict.fromkeys(name for line in lines for name in line if name not in NOT_FIGURES)
    places: dict[str, list[float | None]] = {"epoch": [(line.get("step") or 0) / per_epoch for line in lines]}
    return {**places, **{name: [as_number(line.get(name)) for line in lines] for name in names}} if lines else {}


def seconds_left(record: Record, lines: Sequence[Record]) -> float | None:
    """How long the epochs that are left will take, by the mean of those that are done."""
    took = [as_number(line.get("seconds")) for line in lines if "epoch" in line]
    planned = as_count(record["configuration"].get("epochs"))
    return sum(took) / len(took) * (planned - len(took)) if took and planned else None


def norms_by_layer(lines: Sequence[Record]) -> dict[str, dict[str, list[float | None]]]:
    """{'linear1': {'gradient': [‖g‖ per line], 'update': [‖Δp‖ / ‖p‖]}} of the lines' sizes per parameter."""
    names = dict.fromkeys(name.rpartition(".")[0] for line in lines for name in line.get("layers") or {})
    kinds = {"gradient": gradient_size, "update": update_share}
    return {layer: {kind: [size(line, layer) for line in lines] for kind, size in kinds.items()} for layer in names}


def size_of(line: Record, layer: str, kind: str) -> float | None:
    """The norm over a layer's parameters of one line, or None where it was not measured."""
    parameters = (line.get("layers") or {}).items()
    sizes = [as_number(sizes.get(kind)) for name, sizes in parameters if name.rpartition(".")[0] == layer]
    return math.hypot(*sizes) if sizes else None


def gradient_size(line: Record, layer: str) -> float | None:
    """‖g‖ of a layer."""
    return size_of(line, layer, "gradient")


def update_share(line: Record, layer: str) -> float | None:
    """‖Δp‖ / ‖p‖ of a layer: how far one step moved its parameters."""
    update, norm = size_of(line, layer, "update"), size_of(line, layer, "norm")
    return update / norm if update is not None and norm else None


# From the model and the data ------------------------------------------------------------------------------------


def flat_image(run: Run) -> Shape | None:
    """The shape of the image that a row of the run's data is, where they are images in a table."""
    return FLAT_IMAGES.get(str(run.record["data"].get("name")))


def add_model(view: RunView, model: Sequential, image_shape: Shape | None) -> None:
    """The summary, and the first layer's weights as pictures where they look at an image."""
    summary = model.summary()
    view.summary = (summary.columns, [row.texts() for row in summary.rows])
    weights = [layer.parameters["weight"] for layer in leaves(model) if "weight" in layer.parameters]
    shape = image_shape or model.input_shape
    if weights and is_image(shape) and min(weights[0].shape[:2]) > 1:
        weight = weights[0]
        if weight.ndim == 4 or (weight.ndim == 2 and weight.shape[0] == math.prod(shape)):
            weight = weight[..., strongest_first(weight)]
            view.filters = weight_images(weight, shape if len(shape) == 3 else (*shape, 1))
            view.units = [(int(unit), False) for unit in strongest_first(weights[0])]


def strongest_first(weight: Array) -> Array:
    """The numbers of a layer's units, those with the largest weights first."""
    return np.argsort(-np.linalg.norm(weight.reshape(-1, weight.shape[-1]), axis=0), kind="stable")


def add_measurements(view: RunView, model: Sequential, data: Dataset, image_shape: Shape | None) -> None:
    """Units that never fire, and where the model errs."""
    rows = some_rows(data.train.x, model)
    view.diagnosis = diagnose(model, rows)
    dead = dead_units(model, view.diagnosis)
    view.units = [(unit, unit in dead) for unit, _ in view.units]
    view.measured_on = next(name for name in SPLITS if getattr(data, name) is not None)
    split = getattr(data, view.measured_on)
    if data.task == "regression":
        add_errors(view, model.predict(split.x), split, data)
    elif data.task == "classification" and data.class_names:
        check_num_classes(model, data.class_names, Path(view.id))
        add_mistakes(view, model.predict_probabilities(split.x), split, data, image_shape)
    if not data.tokens and len(split.x):
        view.passage = passage_of(model, view.wrong[0].row if view.wrong else 0, split, data, image_shape)


def passage_of(model: Sequential, row: int, split: Split, data: Dataset, image_shape: Shape | None) -> Passage:
    """A row on its way through the model, and the gradient of what the model makes of it on the way back."""
    x, names = split.x[row : row + 1], [str(name) for name in data.class_names or ()]
    steps, gradient = followed(model, x)
    chances = of_both_classes(model.predict_probabilities(x))[0] if names else np.empty(0)
    likeliest = np.argsort(-chances, kind="stable")[:NUM_LIKELIEST].tolist() if len(chances) == len(names) else ()
    shape, true = image_shape or x.shape[1:], split.y[row]
    return Passage(
        row,
        names[true] if names else figure_text(float(np.ravel(true)[0])),
        steps,
        [(names[i], float(chances[i])) for i in likeliest],
        x.reshape(shape) if is_image(shape) else None,
        gradient.reshape(shape) if gradient is not None and is_image(shape) else gradient,
        [str(name) for name in data.feature_names] if x.ndim == 2 else (),
    )


def followed(model: Sequential, x: Array) -> tuple[list[tuple[str, Array]], Array | None]:
    """(what each layer makes of one example; the gradient of its largest output by it, None where there is none)."""
    model = copy.deepcopy(model)  # whose layers keep their caches, and compute as in inference all the same
    for layer in family(model):
        if not layer.children:
            vars(layer).update(compute=partial(in_inference, layer.compute))
    y, steps = model.accept(x), list[tuple[str, Array]]()
    for layer in model.layers:
        y = layer.forward(y, training=True)
        steps.append((layer.label, y[0]))
    dy: MaybeArray = np.zeros_like(y)
    dy.flat[np.argmax(y)] = 1
    for layer in reversed(model.layers):
        dy = layer.backward(dy)
    return steps, None if dy is None else dy[0]


def in_inference(compute: Callable[[Array, bool], Any], x: Array, training: bool) -> Any:
    """What a layer computes when it is not trained."""
    return compute(x, False)


def dead_units(model: Sequential, found: Diagnosis) -> list[int]:
    """The units of the first layer with weights whose ReLU is 0 for all rows that were looked at."""
    findings = {id(layer): findings for (_, layer), findings in zip(walk(model), found.layers, strict=True)}
    layers = iter(leaves(model))
    any(layer.parameters for layer in layers)  # up to that layer
    for layer in layers:
        if isinstance(layer, ReLU):
            return findings[id(layer)].dead
        if layer.parameters and not isinstance(layer, BatchNorm):
            break
    return []


def add_errors(view: RunView, predicted: Array, split: Split, data: Dataset) -> None:
    """A regression's numbers beside the true ones, and the rows with the largest errors."""
    true, found = np.asarray(split.y, float).reshape(len(split.y), -1), predicted.reshape(len(predicted), -1)
    if true.shape[1] != 1 or true.shape != found.shape:
        return
    view.truth = true[:, 0], found[:, 0]
    errors = found[:, 0] - true[:, 0]
    for row in np.argsort(-np.abs(errors), kind="stable")[:NUM_ROWS]:
        texts = figure_text(float(true[row, 0])), figure_text(float(found[row, 0]))
        view.wrong.append(WrongExample(int(row), *texts, float(errors[row]), values=measurements(split.x[row], data)))


def add_mistakes(view: RunView, probabilities: Array, split: Split, data: Dataset, image_shape: Shape | None) -> None:
    """What the model takes for what, and of the commonest confusions first the examples that it is most sure of."""
    view.class_names = [repr(name) if data.tokens else str(name) for name in data.class_names]
    predicted, confidence = judged(probabilities)
    if len(view.class_names) <= NUM_CLASSES:
        view.confusion = confusion_matrix(predicted.ravel(), split.y.ravel(), num_classes=len(view.class_names))
    if data.tokens:
        return
    wrong = np.flatnonzero(predicted != split.y)
    times = Counter(zip(split.y[wrong].tolist(), predicted[wrong].tolist(), strict=True))
    seen, chosen = Counter[tuple[int, int]](), list[tuple[int, tuple[int, int], int, int]]()
    for i in wrong[np.argsort(-confidence[wrong], kind="stable")].tolist():
        pair = int(split.y[i]), int(predicted[i])
        if len(chosen) < NUM_WORST and seen[pair] < NUM_ALIKE:
            seen[pair] += 1
            chosen.append((-times[pair], pair, seen[pair], i))
    for *_, i in sorted(chosen):
        example = wrong_example(i, split, predicted[i], confidence[i], data, image_shape)
        chance = 1 - confidence[i] if probabilities.shape[-1] == 1 else probabilities[i, split.y[i]]
        view.wrong.append(replace(example, chance=float(chance)))


def some_rows(x: Array, model: Sequential) -> Array:
    """Rows of x spread evenly: as many as can be looked into in a second or so."""
    most = min(NUM_DIAGNOSED, max(100, int(DIAGNOSIS_COST / max(1, model.multiply_adds))))
    return x[:: -(-len(x) // most)]


def judged(probabilities: Array) -> tuple[Array, Array]:
    """(predicted classes, how surely): of one output per example, the class that its probability favours."""
    if probabilities.shape[-1] == 1:
        probability = probabilities[:, 0]
        return (probability > 0.5).astype(int), np.maximum(probability, 1 - probability)
    return probabilities.argmax(axis=-1), probabilities.max(axis=-1)


def wrong_example(
    row: int, split: Split, predicted: int, confidence: float, data: Dataset, image_shape: Shape | None
) -> WrongExample:
    """A misjudged row, with the image or the measurements to look at."""
    x, names = split.x[row], data.class_names
    example = WrongExample(row, str(names[split.y[row]]), str(names[predicted]), float(confidence))
    shape = image_shape or x.shape
    if is_image(shape):
        example.image = x.reshape(shape)
    else:
        example.values = measurements(x, data)
    return example


def measurements(x: Array, data: Dataset) -> dict[str, float]:
    """A row of a table as it was measured, by the names of its columns."""
    if x.ndim != 1:
        return {}
    if data.standardization is not None:
        x = x * np.asarray(data.standardization.scale) + np.asarray(data.standardization.mean)
    return dict(zip(map(str, data.feature_names[:NUM_FEATURES]), map(float, x), strict=False))


def judge_run(run: Run) -> Judgement:
    """The Judgement of a Run, from its epochs and, where it is finished, the results of the model that it kept."""
    data = run.record["data"]
    num_classes, num_rows = len(data.get("class_names") or ()), (data.get("rows") or {}).get("validation")
    return judge(run.history(), run.results, num_classes or None, num_rows)


class LiveRuns:
    """The source of a `reports.watch.WatchServer`: a run, or every run below a folder, found anew at each request.

    may_come: whether the folder need not be there yet.
    """

    def __init__(self, path: str | Path, may_come: bool = False) -> None:
        self.root: Path = Path(path).resolve()
        if not self.root.is_dir() and not (may_come and not self.root.exists()):
            raise ValueError(f"there is no folder {path} (runs are put into experiments/ by handgrad train)")

    @property
    def is_run(self) -> bool:
        """Whether the folder is itself a run's."""
        return (self.root / RECORD).is_file()

    def runs(self) -> list[str]:
        """The runs' folders relative to the root, the newest first; links that lead out of it are left out."""
        inside = [folder for folder in run_folders(self.root) if self.is_inside(folder)]
        newest = sorted(inside, key=lambda folder: folder.name, reverse=True)
        return [folder.relative_to(self.root).as_posix() if folder != self.root else folder.name for folder in newest]

    def is_inside(self, folder: Path) -> bool:
        """Whether what would be read lies below the root, links followed."""
        return all((folder / name).resolve().is_relative_to(self.root) for name in (RECORD, METRICS))

    def stamp(self, key: str) -> str:
        """Sizes and times of what a running run writes."""
        parts = []
        for name in (RECORD, METRICS):
            try:
                state = (self.folder(key) / name).stat()
                parts.append(f"{state.st_size}-{state.st_mtime_ns}")
            except OSError:
                parts.append("none")
        return "/".join(parts)

    def view(self, key: str) -> RunView:
        """What stands in the folder now."""
        return gather_record(Run(self.folder(key)))

    def folder(self, key: str) -> Path:
        """The folder that `runs` calls so."""
        return self.root if self.is_run and key == self.root.name else self.root / key
