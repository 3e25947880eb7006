"""Configurations: TOML read, changed by --set, and checked, with errors that name the key."""

import contextlib
from pathlib import Path

from ..datasets import SUFFIXES
from ..naming import look_up, nearest, require_extra

with require_extra("app", "handgrad.experiments"):
    from pydantic import ValidationError

    from .schema import Configuration
    from .toml import parse_toml, parse_value

READY = {path.stem: path for path in sorted((Path(__file__).parent / "configs").glob("*.toml"))}


def load_configuration(source, overrides=()):
    """The checked configuration of a ready name ('iris') or a .toml file, with overrides 'key.path=value' applied.

    ValueError with the path of the key for an unknown key (and the nearest known), a wrong type or a bad value.
    """
    return check_configuration(apply_overrides(read_table(source), overrides), source)


def read_table(source):
    """The table in a .toml file or of a ready name, unchecked."""
    path = path_of(source)
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as problem:
        raise ValueError(f"cannot read {path}: {problem.strerror}") from None
    except UnicodeDecodeError:
        raise ValueError(f"{path} is not UTF-8 text; expected a TOML file") from None
    return parse_toml(text, path)


def path_of(source):
    """The TOML file that is meant: itself, or the ready one of that name."""
    if not str(source).endswith(".toml") and (Path(source).is_file() or Path(source).suffix):
        raise ValueError(
            f"{source}: expected a ready configuration ({', '.join(READY)}), a configuration in a .toml "
            f"file, or a table in a {' '.join(SUFFIXES)} file"
        )
    return Path(source) if str(source).endswith(".toml") else look_up("configuration", str(source), READY)


def check_configuration(table, source="configuration"):
    """A Configuration from plain data, or a ValueError that names the first wrong key by its path."""
    if "name" not in table and str(source).endswith(".toml"):
        table = {"name": Path(source).stem, **table}
    try:
        return Configuration.model_validate(table)
    except ValidationError as problem:
        # a key that is wrong says more than one that is missing
        first = min(problem.errors(), key=lambda error: error["type"] == "missing")
        raise ValueError(f"{source}: {explain(first)}") from None


def explain(error):
    """One line for pydantic's error: the key's path, what is wrong with it, what to write instead."""
    path = [str(key) for key in error["loc"]]
    where = ".".join(path)
    if error["type"] == "extra_forbidden":
        known = list(fields_at(path[:-1]))
        return f"unknown key '{where}'{nearest(path[-1], known)} (known here: {', '.join(known)})"
    if error["type"] == "missing":
        return f"the key '{where}' is missing"
    if error["type"] == "value_error":  # one of schema.py's own
        return f"{where} = {error['input']!r:.200}: {error['ctx']['error']}"
    return f"{where} = {error['input']!r:.200}: expected {error['msg'].removeprefix('Input should be ')}"


def fields_at(path):
    model = Configuration
    for key in path:
        model = model.model_fields[key].annotation
    return model.model_fields


def apply_overrides(table, overrides):
    """The table with each 'key.path=value' set; the value is TOML, or text as it stands. Lists are indexed from 0."""
    for override in overrides:
        path, equals, value = override.partition("=")
        if not equals or not path.strip():
            raise ValueError(f"--set takes key=value, such as optimizer.learning_rate=0.01; got '{override}'")
        set_key(table, path.strip(), parse_value(value.strip()))
    return table


def set_key(table, path, value):
    """Set the value at a dotted path, making tables on the way; a part named by text becomes a table for its keys."""
    *parents, last = path.split(".")
    place = table
    for i, key in enumerate(parents):
        inner = step_into(place, key, path)
        if isinstance(inner, str):
            inner = {"layer" if isinstance(place, list) and "layers" in parents[:i] else "name": inner}
        elif not isinstance(inner, (dict, list)):
            raise ValueError(f"--set {path}: '{'.'.join(parents[: i + 1])}' is {inner!r}, no table")
        put(place, key, inner, path)
        place = inner
    put(place, last, value, path)


def step_into(place, key, path):
    if isinstance(place, dict):
        return place.get(key, {})
    return place[index_in(place, key, path)]


def put(place, key, value, path):
    if isinstance(place, dict):
        place[key] = value
    else:
        place[index_in(place, key, path)] = value


def index_in(place, key, path):
    with contextlib.suppress(ValueError):
        if 0 <= int(key) < len(place):
            return int(key)
    raise ValueError(f"--set {path}: '{key}' must be a number from 0 to {len(place) - 1}, the place in the list")
