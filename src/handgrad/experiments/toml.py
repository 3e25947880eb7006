"""TOML in and out: the standard library's reader where there is one (Python 3.11), tomli before."""

import json
import sys

from ..naming import require_extra

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib


def parse_toml(text, source):
    """The table that TOML text holds, or a ValueError with its line."""
    try:
        return tomllib.loads(text)
    except (tomllib.TOMLDecodeError, RecursionError) as problem:
        raise ValueError(f"{source} is no TOML: {problem}") from None


def parse_value(text):
    """One TOML value; what is none counts as text, so that quotes may be left out: adam, 1e-3, [1, 2], true."""
    try:
        table = tomllib.loads(f"value = {text}")
    except (tomllib.TOMLDecodeError, RecursionError):
        return text
    return table["value"] if list(table) == ["value"] else text


def dump_toml(table):
    """Plain data as TOML text."""
    with require_extra("app", "a configuration"):
        import tomli_w

    return tomli_w.dumps(json.loads(json.dumps(table)))
