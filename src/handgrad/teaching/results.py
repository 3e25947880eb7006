"""What the records of several runs say: their settings and figures side by side, and what each part contributed."""

import json
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from statistics import fmean
from typing import Any, TypeAlias

from ..experiments import Run
from ..experiments.gather import judge_run
from ..experiments.run_folder import as_number
from ..reports.comparison import differing_keys
from ..text import figure_text, flatten

NOT_SIZES = ("momentum", "epsilon")
ERRORS = ("test error", "test loss", "validation error", "validation loss", "train loss")  # what counts most first
WHOLE = ("model.layers.", "augmentation.")  # lists that are told as a whole where their kinds of parts differ


@dataclass(frozen=True)
class Entry:
    """One finished run, with its settings as a flat table and its figures by 'test error', 'validation loss', ..."""

    run: Run

    @property
    def name(self) -> str:
        return "/".join(self.run.path.parts[-2:])

    @property
    def configuration(self) -> dict[str, Any]:
        """The configuration as it is recorded."""
        found: dict[str, Any] = self.run.record["configuration"]
        return found

    @property
    def layers(self) -> list[dict[str, Any]]:
        """The layers as built, each a table of its arguments."""
        return ((self.run.record.get("model") or {}).get("config") or {}).get("layers") or []

    @property
    def layers_text(self) -> str:
        """'Linear 25, BatchNorm, ReLU, Linear 3': each layer with its first argument that is a number and a size."""
        texts = []
        for layer in self.layers:
            sizes = [v for key, v in layer.items() if isinstance(v, (int, float)) and key not in NOT_SIZES]
            texts.append(" ".join(map(str, [layer.get("layer"), *sizes[:1]])))
        return ", ".join(texts)

    @property
    def augmentation(self) -> list[dict[str, Any]]:
        return self.configuration.get("augmentation") or []

    @property
    def augmentation_text(self) -> str:
        return ", ".join(str(part.get("name")).replace("_", " ") for part in self.augmentation)

    @cached_property
    def settings(self) -> dict[str, Any]:
        """The configuration as a flat table, the layers and the augmentation also as one text each."""
        flat = {key: value for key, value in flatten(self.configuration).items() if key != "augmentation"}
        return {**flat, "layers": self.layers_text, "augmentation": self.augmentation_text or "none"}

    @cached_property
    def figures(self) -> dict[str, float]:
        """{'test error': 1 - accuracy, 'test loss': ..., 'validation error': ...}, errors first."""
        figures = {}
        for split in ("test", "validation", "train"):
            for name, value in (self.run.results.get(split) or {}).items():
                key, figure = (name, as_number(value)) if name != "accuracy" else ("error", 1 - as_number(value))
                figures[f"{split} {key}"] = figure
        return dict(sorted(figures.items(), key=lambda pair: not pair[0].endswith("error")))


def entries(runs: Iterable[Run]) -> list[Entry]:
    """Entries of the finished runs, the best first by test error, then by loss. ValueError where none is finished."""
    if not (found := [Entry(run) for run in runs if run.results]):
        raise ValueError("there is no finished run to write about (handgrad runs lists them, handgrad resume goes on)")
    keys = deciding(found), deciding(found).replace("error", "loss")
    return sorted(found, key=lambda entry: [rank(entry.figures.get(key, math.nan)) for key in keys])


def rank(figure: float) -> float:
    """A figure to sort by: what is no number comes last."""
    return math.inf if math.isnan(figure) else figure


def deciding(found: Sequence[Entry]) -> str:
    """The name of the figure that ranks the runs: the error on test rows, else their loss, else validation's."""
    return next((name for name in ERRORS if any(name in entry.figures for entry in found)), ERRORS[-1])


def varied(found: Sequence[Entry]) -> dict[str, str]:
    """The settings that differ: {key: a short name}; of a list whose parts differ in kind, the whole."""
    tables = [entry.settings for entry in found]
    keys = [key for key in differing_keys(tables) if not key.startswith(WHOLE[1])]
    layers = {key for table in tables for key in table if key.startswith(WHOLE[0]) and key.endswith(".layer")}
    kinds = {tuple(table.get(key) for key in layers) for table in tables}
    if len(kinds) > 1:
        keys = [key for key in keys if not key.startswith(WHOLE[0])]
    if len(kinds) == 1 or all("model.name" in table for table in tables):  # other settings say it in fewer words
        keys = [key for key in keys if key != "layers"]
    if len({table.get("seed") for table in tables}) > 1:
        keys.append("seed")
    return {key: short_name(key, keys) for key in keys}


def short_name(key: str, keys: Iterable[str]) -> str:
    """'learning_rate' for 'optimizer.learning_rate' where no other key ends so; 'schedule' for 'schedule.name'."""
    ends = [other.removesuffix(".name").rpartition(".")[2] for other in keys]
    stem = key.removesuffix(".name")
    last = stem.rpartition(".")[2]
    return last if ends.count(last) == 1 else stem


def value_text(value: object) -> str:
    return "none" if value is None else figure_text(value)


def judgement_text(run: Run) -> str:
    """The judgement as a sentence, or why there is none."""
    try:
        judgement = judge_run(run)
    except ValueError as problem:
        return f"It is not judged: {problem}."
    return f"Judged by these figures it is {judgement.verdict}: {'; '.join(judgement.reasons)}."


# What each setting did --------------------------------------------------------------------------------------------

TOGETHER = ("schedule", "penalty", "loss")  # tables whose name decides which other keys there are
Cases: TypeAlias = dict[str, list[float]]  # {a setting's value: the figures of runs with it}


def setting_sentences(found: Sequence[Entry]) -> dict[str, str]:
    """{setting: a paragraph} on each that was varied, from runs alike in all else; of several seeds the mean counts."""
    keys: dict[str, list[str]] = {}
    for key, name in varied(found).items():
        section = key.partition(".")[0]
        if key != "seed":
            keys.setdefault(section if section in TOGETHER else name, []).append(key)
    rows = [{name: setting_text(entry, group) for name, group in keys.items()} for entry in found]
    sentences = {}
    for name in keys:
        groups: dict[str, dict[str, list[Entry]]] = {}
        for entry, row in zip(found, rows, strict=True):
            rest = json.dumps([value for other, value in row.items() if other != name])
            groups.setdefault(rest, {}).setdefault(row[name], []).append(entry)
        most = max(map(len, groups.values()))
        alike = [group for group in groups.values() if len(group) == most > 1]
        alike = [group for group in alike if group.keys() == alike[0].keys()]
        sentences[name] = setting_sentence(name, alike, deciding(found))
    return sentences


def setting_text(entry: Entry, keys: Sequence[str]) -> str:
    """'0.01', or of keys that belong together 'exponential, decay 0.98'."""
    given = {key.rpartition(".")[2]: value for key in keys if (value := entry.settings.get(key)) is not None}
    texts = {key: value_text(value) for key, value in given.items()}
    return ", ".join(text if len(keys) == 1 or key == "name" else f"{key} {text}" for key, text in texts.items())


def setting_sentence(name: str, groups: Sequence[dict[str, list[Entry]]], figure: str) -> str:
    """The paragraph on one setting, by groups {value: runs} whose runs differ in nothing else."""
    if not groups:
        return f"No two of these runs differ in {name} alone, so what it did cannot be told from them."
    cases = cases_of(groups, figure)
    means = {value: fmean(figures) for value, figures in cases.items()}
    best, worst = min(means, key=lambda value: rank(means[value])), max(means, key=lambda value: rank(means[value]))
    listed = ", ".join(f"{figure_text(mean)} with {value}" for value, mean in means.items())
    text = f"The {figure} is {listed}" + (f" (means over {len(groups)} settings of the rest)." if groups[1:] else ".")
    split, kind = figure.split(" ")
    count = (groups[0][best][0].run.record["data"].get("rows") or {}).get(split)
    if means[worst] - means[best] < (1 / count if kind == "error" and count else 1e-12):
        return text + (f" That is less than one of the {count} {split} rows apart: no difference." if count else "")
    wins = sum(min(cases, key=lambda value: rank(cases[value][i])) == best for i in range(len(groups)))
    text += f" Best is {best}" + (f", in {wins} of the {len(groups)}." if groups[1:] else ".")
    return text + learning_sentence(cases_of(groups, f"train {kind}"), best, worst, means[worst] - means[best])


def cases_of(groups: Sequence[dict[str, list[Entry]]], figure: str) -> Cases:
    """{value: the figure in each group}, of several seeds the mean."""

    def mean(entries: Sequence[Entry]) -> float:
        return fmean(entry.figures.get(figure, math.nan) for entry in entries)

    return {value: [mean(group[value]) for group in groups] for value in groups[0]}


def learning_sentence(trained: Cases, best: str, worst: str, difference: float) -> str:
    """Whether the training rows tell the same: how much is learnt then differs, and else how well it carries over."""
    low, high = fmean(trained[best]), fmean(trained[worst])
    if math.isnan(high - low):
        return ""
    figures = f"On the training rows it is {figure_text(low)} with {best} and {figure_text(high)} with {worst}"
    if high - low > difference / 2:
        return f" {figures}: the setting decides how much is learnt at all."
    return f" {figures}: it decides how well what is learnt carries over to other rows."


# What a part contributes ----------------------------------------------------------------------------------------

Group: TypeAlias = tuple[list[Entry], list[Entry]]  # runs with a part, and runs without it that are else alike


@dataclass(frozen=True)
class Part:
    """Something that a run may have: what it is for, in a clause, and the layer that it is, if it is one."""

    purpose: str
    layer: str | None = None

    def is_in(self, entry: Entry) -> bool:
        """Whether a run has it; dropout at rate 0 is none."""
        if self.layer is None:
            return bool(entry.augmentation)
        return any(layer.get("layer") == self.layer and layer.get("rate") != 0 for layer in entry.layers)

    def rest(self, entry: Entry) -> str:
        """All else of a run, without names and seeds: what runs to be compared must share."""
        left_out = ("name", "seed", "model", "augmentation", "engine", "recording")
        settings = {key: value for key, value in entry.configuration.items() if key not in left_out}
        layers = [{k: v for k, v in layer.items() if k != "name"} for layer in entry.layers]
        kept = [layer for layer in layers if layer.get("layer") != self.layer]
        return json.dumps([settings, kept, self.layer and entry.augmentation], sort_keys=True, default=str)


PARTS = {
    "Batch normalization": Part(
        "shifts and scales each feature by the statistics of the batch, so that layers above see inputs of one size",
        "BatchNorm",
    ),
    "Dropout": Part("switches units off at random in training, so that none can rely on another", "Dropout"),
    "Augmentation": Part("changes the training images at random, so that the network sees more of them"),
}


def component_sentences(found: Sequence[Entry]) -> dict[str, str]:
    """{component: a paragraph} for each that some of these runs have and others, alike but for it, have not."""
    sentences = {}
    for name, part in PARTS.items():
        groups: dict[str, Group] = {}
        for entry in found:
            groups.setdefault(part.rest(entry), ([], []))[not part.is_in(entry)].append(entry)
        if matched := [group for group in groups.values() if all(group)]:
            sentences[name] = component_sentence(f"{name} {part.purpose}", matched)
    return sentences


def component_sentence(begin: str, groups: Sequence[Group]) -> str:
    """The paragraph: its purpose, the error with and without, the gap between training and test rows."""
    members = [entry for group in groups for side in group for entry in side]
    error = next(name for name in ERRORS if all(name in entry.figures for entry in members))
    with_it, without = ([fmean(entry.figures[error] for entry in group[i]) for group in groups] for i in (0, 1))
    change = fmean(without) - fmean(with_it)
    moves = "lowers" if change > 0 else "raises"
    outcome = f"{moves} it by {figure_text(abs(change))}" if change else "changed nothing"
    settings = f", in {len(groups)} settings of the rest" if len(groups) > 1 else ""
    both = f"{figure_text(fmean(with_it))} with it and {figure_text(fmean(without))} without"
    measured = f"Its share was measured by {len(members)} runs that differ in nothing else{settings}"
    text = f"{begin}. {measured}: the {error} is {both}, so it {outcome}."
    if len(groups) > 1:
        each = ", ".join(f"{figure_text(a)} against {figure_text(b)}" for a, b in zip(with_it, without, strict=True))
        text += f" One by one: {each}."
    return text + gap_sentence(error, groups)


def gap_sentence(error: str, groups: Sequence[Group]) -> str:
    """How far the training rows are ahead, with it and without; '' where that was not measured."""
    trained = f"train {error.partition(' ')[2]}"
    sides = [[entry.figures for group in groups for entry in group[i]] for i in (0, 1)]
    if trained == error or any(trained not in figures for side in sides for figures in side):
        return ""
    with_it, without = (figure_text(fmean(figures[error] - figures[trained] for figures in side)) for side in sides)
    return f" On the training rows that figure is lower by {with_it} with it and by {without} without."
