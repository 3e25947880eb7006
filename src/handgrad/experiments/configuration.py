"""Configurations: their keys, TOML in and out, --set, and a check whose errors name the key."""

import contextlib
import copy
import json
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal, TypeVar, get_args

from ..datasets import SUFFIXES
from ..datasets.catalog import DATASETS
from ..datasets.folders import is_folder
from ..naming import fold, look_up, nearest, require_extra

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

with require_extra("app", "handgrad.experiments"):
    from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

if TYPE_CHECKING:
    from pydantic.fields import FieldInfo
    from pydantic_core import ErrorDetails

OPTIMIZER = ("learning_rate", "momentum", "weight_decay", "clipping")
READY = {path.stem: path for path in sorted((Path(__file__).parent / "configs").glob("*.toml"))}

# The keys: what a configuration may say, with types and defaults ------------------------------------------------------


def part(value: object) -> dict[str, Any]:
    """A name, or a table with a 'name' and its arguments: what `handgrad.naming.build` makes an object of."""
    if isinstance(value, str):
        return {"name": value}
    if isinstance(value, dict) and isinstance(value.get("name"), str):
        return dict(value)
    raise ValueError("expected a name such as \"adam\", or a table with a 'name'")


def network(value: object) -> dict[str, Any]:
    """A table with 'layers', or with the 'name' of a model of `handgrad.models` and its arguments."""
    if isinstance(value, str):
        value = {"name": value}
    if not isinstance(value, dict) or ("name" in value) == ("layers" in value):
        raise ValueError("expected either layers = [...] or the name of a model")
    if "name" in value:
        return part(value)
    if unknown := set(value) - {"layers"}:
        raise ValueError(f"'{min(unknown)}' does not go with layers = [...]")
    return {"layers": layers(value["layers"], "layers")}


def layers(value: object, where: str) -> list[Any]:
    """Layers one after the other, or branches, those inside of them too."""
    if not isinstance(value, list) or not value:
        raise ValueError(f"{where} must be a list of at least one layer")
    return [inside(item, f"{where}.{i}", where.endswith("branches")) for i, item in enumerate(value)]


def inside(value: object, where: str, several: bool = True) -> Any:
    """What stands in a layer: one layer, or several in a list."""
    return layers(value, where) if several and isinstance(value, list) else layer(value, where)


def layer(value: object, where: str) -> dict[str, Any]:
    """One of the layers: the name of its class, or a table with that name and the constructor's arguments."""
    if isinstance(value, str):
        return {"layer": value}
    if not isinstance(value, dict) or not isinstance(value.get("layer"), str):
        raise ValueError(f'{where} must be a name such as "ReLU", or a table such as {{layer = "Linear", units = 25}}')
    of = {"layers": layers, "branches": layers, "shortcut": inside}  # what `Residual` and `Branches` hold
    return value | {key: check(value[key], f"{where}.{key}") for key, check in of.items() if key in value}


def column(value: object) -> object:
    """A column: by its name, by its number, or not said."""
    if value is None or isinstance(value, str) or (isinstance(value, int) and not isinstance(value, bool)):
        return value
    raise ValueError("expected the name of a column, or its number from 1")


def columns(value: object) -> object:
    """Several columns, or one."""
    return [column(item) for item in value] if isinstance(value, list) else [column(value)]


Column = Annotated[str | int | None, BeforeValidator(column)]
Columns = Annotated[list[str | int], BeforeValidator(columns)]
Part = Annotated[dict[str, Any], BeforeValidator(part)]
Network = Annotated[dict[str, Any], BeforeValidator(network)]
Count = Annotated[int, Field(ge=1, lt=2**53)]  # as all readers of JSON read them alike
NotNegative = Annotated[int, Field(ge=0, lt=2**53)]
Seed = Annotated[int, Field(ge=0, lt=2**128)]  # NumPy's own have up to 128 bits
FractionOrCount = Annotated[float, Field(ge=0)]


class Section(BaseModel):
    """A table of the configuration: no unknown keys, no silent conversions."""

    model_config: ClassVar[ConfigDict] = ConfigDict(extra="forbid", strict=True)


Checked = TypeVar("Checked", bound=Section)


class Data(Section):
    """Which data, how it is split and prepared: the arguments of `handgrad.datasets.load_dataset`.

    seed is the split's own, so that runs of several seeds are measured on the same rows.
    """

    name: str
    target: Column = None
    drop: Columns | None = None
    id: Column = None
    category: Columns | None = None
    missing: Literal["mean", "median", "drop"] | None = None
    header: bool | None = None
    decimal: Literal[".", ","] | None = None
    task: Literal["classification", "regression"] | None = None
    validation: FractionOrCount | None = None
    test: FractionOrCount | None = None
    standardize: bool | None = None
    tokens: Literal["characters", "bytes"] | None = None
    length: Count | None = None
    encoding: Literal["one-hot", "index"] | None = None
    seed: Seed = 0


class Recording(Section):
    """How often to write: a metrics line every so many steps, a checkpoint every so many epochs or steps.

    Without metrics_steps a run of few epochs gets some 200 lines. Without checkpoint keys one is written
    after an epoch, unless that would cost more than 1% of the time since the last.
    """

    metrics_steps: Count | None = None
    checkpoint_epochs: Count | None = None
    checkpoint_steps: Count | None = None


class Configuration(Section):
    """A whole run, as data. exact: measure training figures after the epoch, over all rows, not while they change."""

    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$", max_length=100)]
    seed: Seed = 0
    epochs: NotNegative
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

    def as_table(self) -> dict[str, Any]:
        """Plain data again, without the keys that are not set."""
        return self.model_dump(exclude_none=True)


# Loaded and checked ---------------------------------------------------------------------------------------------------


def load_configuration(source: str | Path, overrides: Iterable[str] = ()) -> Configuration:
    """The checked configuration of a ready name or a .toml file, some keys of it changed.

    Parameters
    ----------
    source : str or path
        A name in `READY`, such as "iris", or a file that ends in .toml.
    overrides : iterable of str
        'key.path=value' each, as on the command line: "optimizer.learning_rate=0.01", "model.layers.0.units=5". The
        value is TOML; lists are indexed from 0.

    Returns
    -------
    Configuration
        Its attributes are the keys: `configuration.epochs`, `configuration.data.name`.

    Raises
    ------
    ValueError
        Naming the key by its path: for an unknown key (with the nearest known), a wrong type or a bad value.

    Examples
    --------
    >>> configuration = load_configuration("iris", ["epochs=5", "optimizer.learning_rate=0.01"])
    >>> configuration.epochs, configuration.optimizer["learning_rate"]
    (5, 0.01)
    """
    return check_configuration(read_table(source), source, overrides)


def read_table(source: str | Path) -> dict[str, Any]:
    """The table in a .toml file or of a ready name, unchecked."""
    path = path_of(source)
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as problem:
        raise ValueError(f"cannot read {path}: {problem.strerror}") from None
    except UnicodeDecodeError:
        raise ValueError(f"{path} is not UTF-8 text; expected a TOML file") from None
    return parse_toml(text, path)


def path_of(source: str | Path) -> Path:
    """The TOML file that is meant: itself, or the ready one of that name."""
    if str(source).endswith(".toml"):
        return Path(source)
    if Path(source).is_file() or Path(source).suffix:
        what = f"{source}: expected a ready configuration ({', '.join(READY)}), a configuration in a .toml file"
        raise ValueError(f"{what}, or a table in a {' '.join(SUFFIXES)} file")
    names: dict[str, Path | None] = {**dict.fromkeys([*READY, *DATASETS]), **READY}
    if (path := look_up("configuration", str(source), names)) is None:
        raise ValueError(f"the data set {source} has no ready configuration; `experiments.configure` makes one")
    return path


def is_data(source: str | Path) -> bool:
    """Whether this names data alone: a file or folder of examples, or a data set without a ready configuration."""
    folded = {fold(name) for name in DATASETS} - {fold(name) for name in READY}
    is_file = str(source).lower().endswith(SUFFIXES) or (is_folder(source) and str(source) not in READY)
    return is_file or fold(str(source)) in folded


def check_configuration(
    table: Mapping[str, Any], source: str | Path = "configuration", overrides: Iterable[str] = ()
) -> Configuration:
    """A configuration from plain data, such as a dictionary written by hand.

    Parameters
    ----------
    table : mapping
        The keys of a configuration file, nested as there.
    source : str or path
        What messages call it.
    overrides : iterable of str
        As `load_configuration` has it; the table itself stays as it is.

    Returns
    -------
    Configuration

    Raises
    ------
    ValueError
        Naming the first wrong key by its path, with what was expected.

    Examples
    --------
    >>> check_configuration({"epochs": "many"}, "mine")
    Traceback (most recent call last):
        ...
    ValueError: mine: epochs = 'many': expected a valid integer
    """
    changed = apply_overrides(copy.deepcopy(dict(table)), overrides)
    usual = {"name": Path(source).stem} if str(source).endswith(".toml") else {}
    return check_table(Configuration, {**usual, **changed}, source)


def check_table(section: type[Checked], table: Mapping[str, Any], source: object) -> Checked:
    """What the keys of a section say; a ValueError that names the first wrong key."""
    try:
        return section.model_validate(table)
    except ValidationError as problem:
        # a key that is wrong says more than one that is missing
        first = min(problem.errors(), key=lambda error: error["type"] == "missing")
        raise ValueError(f"{source}: {explain(first, section)}") from None


def explain(error: "ErrorDetails", section: type[BaseModel]) -> str:
    """One line for pydantic's error: the key's path, what is wrong with it, what to write instead."""
    path = [str(key) for key in error["loc"]]
    where = ".".join(path)
    if error["type"] == "extra_forbidden":
        known = fields_at(section, path[:-1])
        return f"unknown key '{where}'{meant(path, error['input'], section)} (known here: {', '.join(known)})"
    if error["type"] == "missing":
        return f"the key '{where}' is missing"
    if error["type"] == "string_pattern_mismatch":
        return f"{where} = {error['input']!r:.200}: expected letters, digits and . _ -, a letter or a digit first"
    if error["type"] == "value_error":  # raised by a validator of ours, above
        return f"{where} = {error['input']!r:.200}: {error['ctx']['error']}"
    expected = error["msg"].removeprefix("Input should be ").replace("List should have", "a list of")
    return f"{where} = {error['input']!r:.200}: expected {expected}"


def meant(path: Sequence[str], value: object, section: type[BaseModel]) -> str:
    """'; did you mean 'epochs'?' for a table that holds a known key, 'data.test' for a key of another table, or ''."""
    known = fields_at(section, path[:-1])
    inside = [key for key in value if key in known] if isinstance(value, dict) else []
    if inside:
        return f"; did you mean '{inside[0]}'?"
    tables = [key for key, field in section.model_fields.items() if isinstance(field.annotation, type(Section))]
    optimizer = dict.fromkeys(OPTIMIZER if section is Configuration else (), "optimizer")
    elsewhere = {**optimizer, **{key: table for table in tables for key in fields_at(section, [table])}}
    if len(path) == 1 and path[-1] in elsewhere:
        return f"; did you mean '{elsewhere[path[-1]]}.{path[-1]}'?"
    return nearest(path[-1], known)


def fields_at(top: type[BaseModel], path: Sequence[str]) -> Mapping[str, "FieldInfo"]:
    """The keys of the section at a path, which may lead through a list of sections."""
    section: Any = top
    for key in path:
        if not key.isdecimal():
            section = section.model_fields[key].annotation
            section = next(iter(get_args(section)), section)
    fields: Mapping[str, FieldInfo] = section.model_fields
    return fields


# Changed by --set -----------------------------------------------------------------------------------------------------


def apply_overrides(table: dict[str, Any], overrides: Iterable[str]) -> dict[str, Any]:
    """The table with each 'key.path=value' set; the value is TOML, or text as it stands. Lists are indexed from 0."""
    for override in overrides:
        path, equals, value = override.partition("=")
        if not equals or not path.strip():
            raise ValueError(f"--set takes key=value, such as optimizer.learning_rate=0.01; got '{override}'")
        set_key(table, path.strip(), parse_value(value.strip()))
    return table


def set_key(table: dict[str, Any], path: str, value: object) -> None:
    """Set the value at a dotted path, making tables on the way; a part named by text becomes a table for its keys."""
    *parents, last = path.split(".")
    place: Any = table
    for i, key in enumerate(parents):
        inner = place.get(key, {}) if isinstance(place, dict) else place[index_in(place, key, path)]
        if isinstance(inner, str):
            is_layer = "layers" in parents[:i] and (isinstance(place, list) or key == "shortcut")
            inner = {"layer" if is_layer else "name": inner}
        elif not isinstance(inner, (dict, list)):
            raise ValueError(f"--set {path}: '{'.'.join(parents[: i + 1])}' is {inner!r}, no table")
        place[index_in(place, key, path)] = inner
        place = inner
    place[index_in(place, last, path)] = value


def index_in(place: dict[str, Any] | list[Any], key: str, path: str) -> Any:
    """What a part of a dotted path is in its place: the key of a table, the number of an item of a list."""
    if isinstance(place, dict):
        return key
    with contextlib.suppress(ValueError):
        if 0 <= int(key) < len(place):
            return int(key)
    raise ValueError(f"--set {path}: '{key}' must be a number from 0 to {len(place) - 1}, the place in the list")


# TOML in and out ------------------------------------------------------------------------------------------------------


def parse_toml(text: str, source: object) -> dict[str, Any]:
    """The table that TOML text holds, or a ValueError with its line."""
    try:
        return tomllib.loads(text)
    except (tomllib.TOMLDecodeError, RecursionError) as problem:
        raise ValueError(f"{source} is no TOML: {problem}") from None


def parse_value(text: str) -> Any:
    """One TOML value; what is none counts as text, so that quotes may be left out: adam, 1e-3, [1, 2], true."""
    try:
        table = tomllib.loads(f"value = {text}")
    except (tomllib.TOMLDecodeError, RecursionError):
        return text
    return table["value"] if list(table) == ["value"] else text


def dump_toml(table: Mapping[str, Any]) -> str:
    """Plain data as TOML text."""
    with require_extra("app", "a configuration as TOML"):
        import tomli_w

    return tomli_w.dumps(json.loads(json.dumps(table)))
