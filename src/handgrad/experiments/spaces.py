"""What a sweep varies: lists of values and ranges, written as 'key=1,2' or 'key=log(1e-4,1e-1,5)'."""

import itertools
import math
import re
from typing import NamedTuple

from ..naming import check_count, look_up
from .toml import parse_value

RANGE = re.compile(r"(\w+)\((.*)\)\s*")


class Choice(NamedTuple):
    """One of these values."""

    values: list

    def grid(self):
        return self.values

    def draw(self, rng):
        return self.values[rng.integers(len(self.values))]


class Range(NamedTuple):
    """A number from low to high, evenly or by its logarithm; on a grid, num_values of them with both ends."""

    logarithmic: bool
    low: float
    high: float
    num_values: int | None

    def grid(self):
        if self.num_values is None:
            raise ValueError(f"a grid needs to know how many: write {self.name}({self.low:g}, {self.high:g}, 5)")
        return [self.at(i / max(1, self.num_values - 1)) for i in range(self.num_values)]

    def draw(self, rng):
        return self.at(rng.random())

    def at(self, fraction):
        """The number at a fraction of the way, rounded to ten digits so that it can be read."""
        if not self.logarithmic:
            return float(f"{self.low + fraction * (self.high - self.low):.10g}")
        return float(f"{math.exp(math.log(self.low) + fraction * math.log(self.high / self.low)):.10g}")

    @property
    def name(self):
        return "log" if self.logarithmic else "linear"


def parse_axis(text):
    """(key, Choice or Range) for 'key=1,2,3', 'key=log(low,high,count)' or 'key=linear(low,high,count)'."""
    key, equals, values = text.partition("=")
    if not equals or not key.strip() or not values.strip():
        raise ValueError(f"--set takes key=values, such as optimizer.learning_rate=0.01,0.1; got '{text}'")
    ranged = RANGE.fullmatch(values.strip())
    if ranged:
        return key.strip(), parse_range(text, *ranged.groups())
    return key.strip(), Choice([parse_value(part.strip()) for part in split(values)])


def parse_range(text, kind, numbers):
    logarithmic = look_up("range", kind, {"log": True, "linear": False})
    parts = [parse_value(part.strip()) for part in numbers.split(",")]
    if len(parts) not in (2, 3) or not all(isinstance(p, (int, float)) and not isinstance(p, bool) for p in parts):
        raise ValueError(f"a range is {kind}(low, high) or {kind}(low, high, count); got '{text}'")
    low, high = parts[:2]
    if not low < high or (logarithmic and low <= 0):
        raise ValueError(f"{kind}(low, high) needs {'0 < ' if logarithmic else ''}low < high; got '{text}'")
    count = check_count(text, "the count", parts[2]) if len(parts) == 3 else None
    return Range(logarithmic, float(low), float(high), count)


def split(text):
    """The parts between commas that stand in no brackets and no quotes."""
    parts, depth, quote = [""], 0, None
    for character in text:
        if quote:
            quote = None if character == quote else quote
        elif character in "\"'":
            quote = character
        depth += (character in "[{") - (character in "]}") if not quote else 0
        if character == "," and not depth and not quote:
            parts.append("")
        else:
            parts[-1] += character
    return parts


def grid(axes):
    """Every combination, as tables {key: value}; the last axis changes fastest."""
    combinations = itertools.product(*(axis.grid() for axis in axes.values()))
    return [dict(zip(axes, values, strict=True)) for values in combinations]


def draws(axes, count, rng):
    """`count` random combinations."""
    return [{key: axis.draw(rng) for key, axis in axes.items()} for _ in range(count)]
