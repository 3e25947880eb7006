"""Predictions of a run's model for new examples, and its figures measured again."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from .. import files
from ..arrays import Array
from ..datasets import Standardization, load_features
from .assembly import build_trainer, load_data
from .run_folder import MODEL, RECORD, Run, report_damage
from .runner import check_same_data, measure


def predict(run: Run, source: str | Path) -> tuple[list[str] | list[float], str]:
    """(predictions, what to call them) for the examples of a CSV, NPZ or IDX file.

    Class names as texts ('Category') where the run's data have classes, else numbers ('Value'). The columns are those
    trained on, standardised as they were then; nothing but the run folder is needed.
    """
    about = run.record["data"]
    x = read_examples(source, about, run.path / RECORD)
    model = run.model()
    with report_damage(run.path / RECORD):
        class_names = [str(name) for name in about.get("class_names") or ()]
        if about.get("task") != "classification":
            return model.predict(x).reshape(len(x), -1)[:, 0].tolist(), "Value"
        return [class_names[k] for k in model.predict_classes(x)], "Category"


def read_examples(source: str | Path, about: Mapping[str, Any], where: Path) -> Array:
    """x of a file of new examples, as the model takes it; about: the run's record of its data."""
    with report_damage(where):
        x = load_features(source, about.get("feature_names") or (), about.get("target_name"))
    if about.get("dtype") == "uint8" and x.dtype != np.uint8 and (x.min() < 0 or x.max() > 1):
        raise ValueError(
            f"{source}: x is {x.min():g} to {x.max():g}, but the run was trained on pixels: save them as "
            "x.astype(np.uint8), 0 to 255, or as floats from 0 to 1"
        )
    if about.get("standardization"):
        with report_damage(where):
            return Standardization(**about["standardization"]).apply(x)
    return x


def write_predictions(path: str | Path, predictions: Iterable[object], name: str) -> None:
    """Write a CSV file with columns Id (the number of the example, from 1) and Category or Value, atomically."""
    rows = [f"{i},{quoted(value)}" for i, value in enumerate(predictions, 1)]
    files.write_text(path, "\n".join([f"Id,{name}", *rows]) + "\n")


def quoted(value: object) -> str:
    """The value as a cell of a CSV file."""
    text = str(value)
    return '"' + text.replace('"', '""') + '"' if any(c in text for c in ',"\r\n') else text


def evaluate(run: Run) -> dict[str, dict[str, float]]:
    """{'train': {'loss': ..., 'accuracy': ...}, ...} of the run's model, measured again on its data."""
    with report_damage(run.path / RECORD):
        configuration = run.configuration
        data = load_data(configuration)
        check_same_data(run, data)
        trainer = build_trainer(configuration, data)
    model = run.model()
    with report_damage(run.path / MODEL):
        trainer.load_model_state({"parameters": model.parameters, "state": model.state})
    return measure(trainer, data)
