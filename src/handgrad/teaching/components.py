"""What batch norm, dropout and augmentation contribute: runs that differ in one of them and in nothing else."""

import json
from statistics import fmean

from ..text import figure_text


def has_layer(name):
    return lambda layers, augmentation: any(is_active(layer, name) for layer in layers)


def is_active(layer, name):
    """Whether it is such a layer; dropout at rate 0 is none."""
    return layer.get("layer") == name and layer.get("rate") != 0


# component -> whether a run has it, and what it is for, in a clause
COMPONENTS = {
    "Batch normalization": (
        has_layer("BatchNorm"),
        "shifts and scales each feature by the statistics of the batch, so that the layers above "
        "see inputs of one size",
    ),
    "Dropout": (has_layer("Dropout"), "switches units off at random in training, so that none can rely on another"),
    "Augmentation": (
        lambda layers, augmentation: bool(augmentation),
        "changes the training images at random, so that the network sees more of them",
    ),
}
DROPPED_LAYER = {"Batch normalization": "BatchNorm", "Dropout": "Dropout"}


def component_sentences(found):
    """{component: a paragraph} for each that some of these runs have and others, alike but for it, have not."""
    sentences = {}
    for component, (has, purpose) in COMPONENTS.items():
        pairs = matched(found, component, has)
        if pairs:
            sentences[component] = sentence(component, purpose, pairs)
    return sentences


def matched(found, component, has):
    """[(entries with it, entries without)] for each group of runs that are alike but for the component."""
    groups = {}
    for entry in found:
        layers, augmentation = parts(entry.run)
        group = groups.setdefault(signature(entry, component, layers, augmentation), ([], []))
        group[0 if has(layers, augmentation) else 1].append(entry)
    return [group for group in groups.values() if all(group)]


def parts(run):
    """(the layers as built, the augmentation)."""
    model = (run.record.get("model") or {}).get("config") or {}
    return model.get("layers") or [], run.record["configuration"].get("augmentation") or []


def signature(entry, component, layers, augmentation):
    """All that runs of one group share: the configuration and the layers, without names, seeds and the component."""
    rest = {
        key: value
        for key, value in entry.run.record["configuration"].items()
        if key not in ("name", "seed", "model", "augmentation", "engine", "recording")
    }
    dropped = DROPPED_LAYER.get(component)
    kept = [{k: v for k, v in layer.items() if k != "name"} for layer in layers if layer.get("layer") != dropped]
    return json.dumps([rest, kept, augmentation if component != "Augmentation" else None], sort_keys=True, default=str)


def sentence(component, purpose, pairs):
    """The paragraph: its purpose, the error with and without, the gap between training and test rows."""
    error = next(
        name
        for name in ("test error", "test loss", "validation error", "validation loss", "train loss")
        if all(name in entry.figures for pair in pairs for side in pair for entry in side)
    )
    with_it, without = (
        [fmean(entry.figures[error] for entry in side) for side in sides] for sides in zip(*pairs, strict=True)
    )
    num_runs = sum(len(side) for pair in pairs for side in pair)
    change = fmean(without) - fmean(with_it)
    groups = f", in {len(pairs)} settings of the rest" if len(pairs) > 1 else ""
    text = (
        f"{component} {purpose}. Its share was measured by {num_runs} runs that differ in nothing else{groups}: "
        f"the {error} is {figure_text(fmean(with_it))} with it and {figure_text(fmean(without))} without, so it "
        f"{verdict(change)}."
    )
    if len(pairs) > 1:
        each = ", ".join(f"{figure_text(a)} against {figure_text(b)}" for a, b in zip(with_it, without, strict=True))
        text += f" One by one: {each}."
    return text + gap_sentence(error, pairs)


def verdict(change):
    if not change:
        return "changed nothing"
    return f"{'lowers' if change > 0 else 'raises'} it by {figure_text(abs(change))}"


def gap_sentence(error, pairs):
    """How far the training rows are ahead, with it and without; '' where that was not measured."""
    trained = f"train {error.partition(' ')[2]}"
    if trained == error or any(trained not in entry.figures for pair in pairs for side in pair for entry in side):
        return ""
    gaps = [fmean(entry.figures[error] - entry.figures[trained] for pair in pairs for entry in pair[i]) for i in (0, 1)]
    return (
        f" On the training rows that figure is lower by {figure_text(gaps[0])} with it and by "
        f"{figure_text(gaps[1])} without."
    )
