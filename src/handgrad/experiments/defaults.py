"""The configuration for what a user names: a ready example, a TOML file, or a table of their own."""

from pathlib import Path

from ..datasets import SUFFIXES, load_dataset
from .configuration import apply_overrides, check_configuration, load_configuration, path_of
from .run_folder import RECORD, Run
from .toml import dump_toml

CLASSIFICATION = {"loss": {"name": "cross-entropy"}, "units": "classes"}
REGRESSION = {"loss": {"name": "mean-squared-error"}, "units": 1}


def configure(source, target=None, overrides=()):
    """The configuration for 'iris', 'mine.toml' or 'table.csv' (with its target column), overrides applied."""
    if not str(source).lower().endswith(SUFFIXES):
        if target is not None:
            overrides = [*overrides, f"data.target={target}"]
        return load_configuration(source, overrides)
    return check_configuration(apply_overrides(for_file(source, target, overrides), overrides), source)


def configuration_text(source, target=None, overrides=()):
    """The configuration of a name, a TOML file, a table or a run, as TOML: as written where nothing changes it."""
    if (Path(source) / RECORD).is_file():
        return dump_toml(Run(source).configuration.as_table())
    configuration = configure(source, target, overrides)
    if not overrides and not str(source).lower().endswith(SUFFIXES):
        return path_of(source).read_text(encoding="utf-8")
    return dump_toml(configuration.as_table())


def for_file(path, target, overrides):
    """A network of one hidden layer for the table or arrays in a file, its loss by what the target is."""
    if not Path(path).is_file():
        raise ValueError(f"no file {path}")
    data = {"name": str(path)} if target is None else {"name": str(path), "target": target}
    wanted = apply_overrides({"data": dict(data)}, [o for o in overrides if o.startswith("data.")])["data"]
    found = load_dataset(wanted["name"], target=wanted.get("target"), task=wanted.get("task"))
    task = CLASSIFICATION if found.task == "classification" else REGRESSION
    flatten = ["Flatten"] if found.train.x.ndim > 2 else []
    layers = [*flatten, {"layer": "Linear", "units": 64}, "ReLU", {"layer": "Linear", "units": task["units"]}]
    return {
        "name": safe_name(found.name),
        "epochs": 100,
        "batch_size": 32,
        "data": data,
        "model": {"layers": layers},
        "loss": task["loss"],
        "optimizer": {"name": "adam", "learning_rate": 0.003},
        "callbacks": [{"name": "early-stopping", "patience": 20}],
    }


def safe_name(text):
    """The text with only the characters that a run's name may have."""
    name = "".join(c if c.isascii() and (c.isalnum() or c in "._-") else "-" for c in text).lstrip("._-")
    return name[:100] or "table"
