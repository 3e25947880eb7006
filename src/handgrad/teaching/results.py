"""What the records of several runs say: their settings and figures side by side, and what came of them."""

import math
from dataclasses import dataclass

from ..experiments.gather import judge_run
from ..experiments.run_folder import as_number
from ..reports.comparison import differing_keys
from ..reports.view import flatten
from ..text import figure_text

NOT_SETTINGS = ("name", "seed")
NOT_SIZES = ("momentum", "epsilon")
WHOLE = ("model.layers.", "augmentation.")  # lists that are told as a whole where their kinds of parts differ


@dataclass(frozen=True)
class Entry:
    """One finished run: its settings as a flat table, and its figures by 'test error', 'validation loss', ..."""

    run: object
    settings: dict
    figures: dict

    @property
    def name(self):
        return "/".join(self.run.path.parts[-2:])


def entries(runs):
    """Entries of the finished runs, the best first by test error, then by loss. ValueError where none is finished."""
    found = [Entry(run, settings_of(run), figures_of(run)) for run in runs if run.results]
    if not found:
        raise ValueError("there is no finished run to write about (handgrad runs lists them, handgrad resume goes on)")
    keys = deciding(found), deciding(found).replace("error", "loss")
    return sorted(found, key=lambda entry: [known(entry.figures.get(key, math.nan)) for key in keys])


def known(figure):
    """A figure to sort by: what is no number comes last."""
    return math.inf if math.isnan(figure) else figure


def deciding(found):
    """The name of the figure that ranks the runs: the error on test rows, else their loss, else validation's."""
    for key in ("test error", "test loss", "validation error", "validation loss"):
        if any(key in entry.figures for entry in found):
            return key
    return "train loss"


def figures_of(run):
    """{'test error': 1 - accuracy, 'test loss': ..., 'validation error': ...}."""
    figures = {}
    for split in ("test", "validation", "train"):
        for name, value in (run.results.get(split) or {}).items():
            value = as_number(value)
            figures[f"{split} {'error' if name == 'accuracy' else name}"] = 1 - value if name == "accuracy" else value
    return dict(sorted(figures.items(), key=lambda pair: not pair[0].endswith("error")))


def settings_of(run):
    """The configuration as a flat table, the layers and the augmentation also as one text each."""
    flat = {key: value for key, value in flatten(run.record["configuration"]).items() if key != "augmentation"}
    return {**flat, "layers": layers_text(run), "augmentation": augmentation_text(run)}


def layers_text(run):
    """'Linear 25, BatchNorm, ReLU, Linear 3': each layer with its first argument that is a number and says a size."""
    layers = ((run.record.get("model") or {}).get("config") or {}).get("layers") or []
    numbers = [
        [value for key, value in layer.items() if isinstance(value, (int, float)) and key not in NOT_SIZES]
        for layer in layers
    ]
    return ", ".join(
        " ".join(map(str, [layer.get("layer"), *found[:1]])) for layer, found in zip(layers, numbers, strict=True)
    )


def augmentation_text(run):
    parts = run.record["configuration"].get("augmentation") or []
    return ", ".join(str(part.get("name")).replace("_", " ") for part in parts) or "none"


def varied(found):
    """The settings that differ: {key: a short name}; of a list whose parts differ in kind, the whole."""
    tables = [entry.settings for entry in found]
    keys = [key for key in differing_keys(tables) if key not in NOT_SETTINGS]
    kinds = {
        tuple((k, v) for k, v in table.items() if k.startswith(WHOLE[0]) and k.endswith(".layer")) for table in tables
    }
    if len(kinds) > 1:
        keys = [key for key in keys if not key.startswith(WHOLE[0])]
    if len(kinds) == 1 or all("model.name" in table for table in tables):  # other settings say it in fewer words
        keys = [key for key in keys if key != "layers"]
    keys = [key for key in keys if not key.startswith(WHOLE[1])]
    if len({table.get("seed") for table in tables}) > 1:
        keys.append("seed")
    return {key: short_name(key, keys) for key in keys}


def short_name(key, keys):
    """'learning_rate' for 'optimizer.learning_rate' where no other key ends so; 'schedule' for 'schedule.name'."""
    stem = key.removesuffix(".name")
    last = stem.rpartition(".")[2]
    return last if sum(other.removesuffix(".name").rpartition(".")[2] == last for other in keys) == 1 else stem


def value_text(value):
    return "none" if value is None else figure_text(value)


def judgement_text(run):
    """The judgement as a sentence, or why there is none."""
    try:
        judgement = judge_run(run)
    except ValueError as problem:
        return f"It is not judged: {problem}."
    return f"Judged by these figures it is {judgement.verdict}: {'; '.join(judgement.reasons)}."
