"""Options that stand for keys of a configuration: one table, from which commands take their options and overrides."""

from __future__ import annotations

import glob
import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import click

Command = TypeVar("Command", bound=Callable[..., Any])


AS_JSON = click.option("--json", "as_json", is_flag=True, help="Print one JSON document, and nothing else.")


def ready(context: click.Context, parameter: click.Parameter, start: str) -> list[str]:
    """The ready configurations whose names begin so, for shells that complete them."""
    files = (Path(__file__).parent.parent / "experiments" / "configs").glob(f"{glob.escape(start)}*.toml")
    return sorted(file.stem for file in files)


class Setting(NamedTuple):
    """An option: the key that it sets, what it takes, its line of help, and how its value is written as TOML."""

    key: str
    kind: Any
    help: str
    multiple: bool = False
    write: Callable[[Any], str] = json.dumps


def network_of(units: str) -> str:
    """'50,20' as a model with hidden layers of so many units."""
    try:
        sizes = [int(size) for size in units.split(",")]
    except ValueError:
        raise click.UsageError(f"--hidden takes numbers of units, such as 50,20; got '{units}'") from None
    return f'{{name = "mlp", hidden = {sizes}}}'


SETTINGS = {
    "--data": Setting("data.name", str, "The data in place of a configuration's own: a name or a file."),
    "--target": Setting("data.target", str, "The column of the table to predict: its name, or its number from 1."),
    "--drop": Setting("data.drop", str, "Leave a column out; may be given again.", multiple=True),
    "--id": Setting("data.id", str, "The column that names the rows, which is left out, too."),
    "--category": Setting("data.category", str, "Take a column's cells as texts; may be given again.", multiple=True),
    "--missing": Setting(
        "data.missing",
        click.Choice(["mean", "median", "drop"]),
        "Fill missing values in, or drop their rows; refused unless given.",
    ),
    "--header": Setting(
        "data.header",
        click.Choice(["yes", "no"]),
        "Whether the first row holds names; by its cells unless given.",
        write=lambda answer: json.dumps(answer == "yes"),
    ),
    "--decimal": Setting("data.decimal", click.Choice([".", ","]), "The sign before a number's fraction."),
    "--task": Setting(
        "data.task", click.Choice(["classification", "regression"]), "What the target is; by its values unless given."
    ),
    "--validation": Setting("data.validation", float, "The share of the rows to validate on, or how many."),
    "--test": Setting("data.test", float, "The share of the rows to test on, or how many."),
    "--hidden": Setting("model", str, "Hidden layers of so many units, with ReLU: 50,20.", write=network_of),
    "--epochs": Setting("epochs", int, "How many times to go through the training rows."),
    "--batch-size": Setting("batch_size", int, "How many rows a step takes."),
    "--optimizer": Setting("optimizer", str, "The rule of the updates, with its usual settings: sgd, adam, ..."),
    "--learning-rate": Setting("optimizer.learning_rate", float, "The size of the steps."),
    "--seed": Setting("seed", int, "The seed of weights, shuffling, dropout and augmentation."),
    "--engine": Setting("engine", str, "What does the work: numpy, or torch."),
    "--device": Setting("engine.device", str, "Where the torch engine works: cpu, cuda or mps."),
}

COLUMN = "COLUMN"
WORDS = {  # what stands for the value of an option in its help
    "--data": "NAME|FILE", "--target": COLUMN, "--drop": COLUMN, "--id": COLUMN, "--category": COLUMN,
    "--hidden": "UNITS", "--optimizer": "NAME", "--engine": "[numpy|torch]", "--device": "[cpu|cuda|mps]",
}  # fmt: skip


def settings(*but: str) -> Callable[[Command], Command]:
    """Add the options of the table, but for some, to a command; it takes them as keywords."""

    def add(command: Command) -> Command:
        for option, setting in reversed(SETTINGS.items()):
            if option not in but:
                shown = WORDS.get(option) or {int: "N", float: "NUMBER"}.get(setting.kind)
                add_option = click.option(
                    option, type=setting.kind, multiple=setting.multiple, metavar=shown, help=setting.help
                )
                command = add_option(command)
        return command

    return add


def overrides_of(given: Mapping[str, Any], overrides: Sequence[str] = ()) -> list[str]:
    """['epochs=5', ...]: the keys and values of options that were given, then those of --set."""
    found = [(setting, given.get(option[2:].replace("-", "_"))) for option, setting in SETTINGS.items()]
    written = [f"{s.key}={s.write(value)}" for s, value in found if value is not None and value != ()]
    return [*written, *overrides]
