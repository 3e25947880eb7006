"""What a configuration may say: every key, its type and its default."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field


def part(value):
    """A name, or a table with a 'name' and its arguments: what `handgrad.naming.build` makes an object of."""
    if isinstance(value, str):
        return {"name": value}
    if isinstance(value, dict) and isinstance(value.get("name"), str):
        return dict(value)
    raise ValueError("expected a name such as \"adam\", or a table with a 'name'")


def network(value):
    """A table with 'layers', or with the 'name' of a model of `handgrad.models` and its arguments."""
    if isinstance(value, str):
        value = {"name": value}
    if not isinstance(value, dict) or ("name" in value) == ("layers" in value):
        raise ValueError("expected either layers = [...] or the name of a model")
    if "name" in value:
        return part(value)
    if unknown := set(value) - {"layers"}:
        raise ValueError(f"'{min(unknown)}' does not go with layers = [...]")
    if not isinstance(value["layers"], list) or not value["layers"]:
        raise ValueError("layers must be a list of layers, not empty")
    return {"layers": [layer(item, i) for i, item in enumerate(value["layers"])]}


def layer(value, index):
    if isinstance(value, str):
        return {"layer": value}
    if isinstance(value, dict) and isinstance(value.get("layer"), str):
        return dict(value)
    raise ValueError(
        f'layers.{index} must be a name such as "ReLU", or a table such as {{layer = "Linear", units = 25}}'
    )


def column(value):
    if value is None or isinstance(value, str) or (isinstance(value, int) and not isinstance(value, bool)):
        return value
    raise ValueError("expected the name of a column, or its number from 1")


Column = Annotated[Any, BeforeValidator(column)]
Part = Annotated[dict[str, Any], BeforeValidator(part)]
Network = Annotated[dict[str, Any], BeforeValidator(network)]
Count = Annotated[int, Field(ge=1)]


class Section(BaseModel):
    """A table of the configuration: no unknown keys, no silent conversions."""

    model_config = ConfigDict(extra="forbid", strict=True)


class Data(Section):
    """Which data, how it is split and prepared: the arguments of `handgrad.datasets.load_dataset`.

    seed is the split's own, so that runs of several seeds are measured on the same rows.
    """

    name: str
    target: Column = None
    task: Literal["classification", "regression"] | None = None
    validation: Annotated[float, Field(ge=0)] | None = None
    test: Annotated[float, Field(ge=0)] | None = None
    standardize: bool | None = None
    seed: Annotated[int, Field(ge=0)] = 0


class Recording(Section):
    """How often to write: a metrics line every so many steps, a checkpoint every so many epochs or steps.

    Without checkpoint keys one is written after an epoch, unless that would cost more than 1% of the time since the
    last.
    """

    metrics_steps: Count | None = None
    checkpoint_epochs: Count | None = None
    checkpoint_steps: Count | None = None


class Configuration(Section):
    """A whole run, as data. exact: measure training figures after the epoch, over all rows, not while they change."""

    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$", max_length=100)]
    seed: Annotated[int, Field(ge=0)] = 0
    epochs: Annotated[int, Field(ge=0)]
    batch_size: Count
    shuffle: bool = True
    exact: bool = False
    dtype: Literal["float32", "float64"] = "float32"
    data: Data
    augmentation: list[Part] = []
    model: Network
    loss: Part
    penalty: Part | None = None
    optimizer: Part
    schedule: Part | None = None
    callbacks: list[Part] = []
    engine: Part = {"name": "numpy"}
    recording: Recording = Recording()

    def as_table(self):
        """Plain data again, without the keys that are not set."""
        return self.model_dump(exclude_none=True)
