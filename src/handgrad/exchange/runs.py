"""A run as a program from its raw inputs to named outputs: preparation, network, probabilities."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np

from .. import files
from ..arrays import Array, Shape
from ..datasets.schema import Schema
from ..datasets.standardization import Standardization
from ..experiments import Run
from ..experiments.replay import rows_of
from ..experiments.run_folder import RECORD, check_num_classes, check_output
from ..layers import LogSoftmax, Sequential, Sigmoid, Softmax
from ..layers.containers import of_both_classes
from .export import ROWS, Receipt, Source, random_input, target_of, write
from .program import AnyValue, Program, start


def export_run(run: Run, path: str | Path, verify: bool = False) -> Receipt:
    """Write a run's network as a file that takes raw inputs and gives probabilities by name; see `export`.

    Parameters
    ----------
    run : Run
        A run with a model.
    path, verify
        As of `export`.

    Returns
    -------
    Receipt
        With rows of the run's own data beside random ones, where they are there.
    """
    path, target = target_of(check_output(path, run.paths))
    with files.reading(run.path / RECORD):
        inputs = RawInputs(run.record["data"])
    notes = list[str]()
    try:
        own = inputs.undo(np.asarray(rows_of(run, "train").x))
    except (ValueError, OSError) as problem:
        own, notes = None, [f"no rows of the run's own: {problem}"]
    return write(source_of_run(run, inputs, own), path, target, verify, notes)


def source_of_run(run: Run, inputs: RawInputs, own: Array | None) -> Source:
    """A run to be exported; own are its raw rows, where they are there."""
    model, about = run.model(), run.record["data"]
    names = tuple(map(str, about.get("class_names") or ()))
    exact, x = model.astype(np.float64), start(model, inputs.shape(model))
    y = x.recorder.within(model, inputs.record(x))
    outputs = {"y": y}
    if names:
        check_num_classes(model, names, run.path)
        outputs["probabilities"] = probabilities(model, y)
    facts = {"name": run.name, "task": about.get("task"), "target": about.get("target_name"), "class_names": names}
    described = {"input": inputs.words(), "columns": inputs.columns(own)}
    program = Program(x, outputs, x.recorder.operations, model.takes_indices, {**facts, **described})

    def compute(raw: Array) -> dict[str, Array]:
        x = inputs.apply(raw)
        found = {"y": exact.predict(x)}
        if names:
            found["probabilities"] = of_both_classes(exact.predict_probabilities(x))
        return found

    compared = {"random": inputs.random(program)}
    return Source(program, compute, compared if own is None else {**compared, "the run's rows": own[:ROWS]})


def probabilities(model: Sequential, y: AnyValue) -> AnyValue:
    """What `predict_probabilities` makes of the outputs; of one per example the probabilities of both classes."""
    last = model.layers[-1]
    if isinstance(last, LogSoftmax):
        y = np.exp(y)
    elif model.output_shape[-1] == 1:
        y = y if isinstance(last, Sigmoid) else y.recorder.within(Sigmoid(), y)
    elif not isinstance(last, (Softmax, Sigmoid)):
        y = y.recorder.within(Softmax(), y)
    return np.concatenate([1 - y, y], axis=-1) if model.output_shape[-1] == 1 else y


class RawInputs:
    """What a run's examples are before they are prepared: the columns of a table, pixels, or what the model takes."""

    def __init__(self, about: Mapping[str, Any]) -> None:
        self.schema: Schema | None = Schema.from_dict(about["schema"]) if about.get("schema") else None
        given = about.get("standardization")
        self.standardization: Standardization | None = Standardization(**given) if given else None
        self.is_pixels: bool = about.get("dtype") == "uint8"
        self.is_indexed: bool = self.schema is not None and self.schema.encoding == "index"
        self.names: tuple[str, ...] = self.schema.features if self.schema else tuple(about.get("feature_names") or ())

    def shape(self, model: Sequential) -> Shape:
        """Of one example."""
        return (len(self.names),) if self.schema else model.input_shape

    def words(self) -> str:
        """What they are, for people."""
        if self.is_pixels:
            return "pixels from 0 to 255"
        texts = " (a text by its number in that column, else -1)" if self.schema and self.schema.categories else ""
        return f"the columns {', '.join(self.names)}{texts}" if self.names else ""

    def texts(self, name: str) -> tuple[str, ...] | None:
        """Those of a column of texts; None for one of numbers."""
        return self.schema.categories.get(name) if self.schema else None

    def record(self, x: AnyValue) -> AnyValue:
        """The examples as the model takes them, recorded from raw ones."""
        if self.is_pixels:
            return x / 255
        if self.schema and (self.schema.categories or self.schema.fill):
            parts = list[AnyValue]()
            for texts, group in groupby(enumerate(self.names), lambda place: self.texts(place[1])):
                places, names = zip(*group, strict=True)
                if texts is None:
                    parts.append(self.filled(x[:, places[0] : places[-1] + 1], names))
                elif self.is_indexed:
                    codes = x[:, places[0] : places[-1] + 1]
                    parts.append(np.where(np.greater(codes, -0.5), codes, len(texts)))
                else:
                    parts += [np.equal(x[:, at : at + 1], np.arange(len(texts))) for at in places if texts]
            x = np.concatenate(parts, axis=-1) if len(parts) > 1 else parts[0]
        if self.standardization is not None:
            x = (x - np.asarray(self.standardization.mean)) / np.asarray(self.standardization.scale)
        return x

    def filled(self, x: AnyValue, names: Iterable[str]) -> AnyValue:
        """Columns of numbers, what is missing (NaN) filled in."""
        fill = self.schema.fill if self.schema else {}
        return np.where(np.equal(x, x), x, np.array([fill[name] for name in names])) if fill else x

    def apply(self, raw: Array) -> Array:
        """The examples as the model takes them, by what prepared those it was trained on."""
        if self.is_pixels:
            return raw / 255
        x = self.schema.encode(np.array(raw, np.float64)) if self.schema else raw
        return x if self.standardization is None else self.standardization.apply(x)

    def undo(self, x: Array) -> Array:
        """The raw examples that were prepared so."""
        if self.standardization is not None:
            x = x * np.asarray(self.standardization.scale) + np.asarray(self.standardization.mean)
        if self.schema is None or not self.schema.categories:
            return x
        if self.is_indexed:
            sizes = np.array(self.schema.sizes)
            return np.where((sizes > 0) & (x > sizes - 1.5), -1, x)
        columns = list[Array]()
        for texts in map(self.texts, self.names):
            width = 1 if texts is None else len(texts)
            block, x = x[:, :width], x[:, width:]
            number = (block @ np.arange(width)).round()
            columns.append(block[:, 0] if texts is None else np.where(block.sum(axis=1) > 0.5, number, -1))
        return np.stack(columns, axis=1)

    def columns(self, own: Array | None) -> list[dict[str, Any]]:
        """What to tell of each column: its name, its texts or the range and the mean of its numbers in training."""
        told = []
        for at, name in enumerate(self.names):
            texts, numbers = self.texts(name), None if own is None else own[:, at]
            found = () if numbers is None else (numbers.min(), numbers.max(), numbers.mean())
            ranges = {k: float(f"{v:.7g}") for k, v in zip(("low", "high", "mean"), found, strict=False)}
            held = {"texts": texts} if texts is not None else ranges
            optional = {"optional": True} if self.schema and self.schema.missing in ("mean", "median") else {}
            told.append({"name": name, **held, **optional})
        return told

    def random(self, program: Program) -> Array:
        """Pixels, numbers around those trained on and any of the texts, or what `random_input` draws."""
        x, rng = random_input(program), np.random.default_rng(1)
        if self.is_pixels:
            return rng.integers(0, 256, x.shape)
        if self.schema is None:
            s = self.standardization
            return x if s is None else x * np.asarray(s.scale) + np.asarray(s.mean)
        raw = self.undo(rng.standard_normal((len(x), len(self.schema.feature_names))))
        for at, texts in enumerate(map(self.texts, self.names)):
            if texts is not None:
                raw[:, at] = rng.integers(-1, len(texts), len(x))
        return raw
