"""Runs below a folder: found, filtered and sorted by anything their records hold."""

import math
import operator
from pathlib import Path

from ..naming import nearest
from ..reports.view import flatten
from ..training.history import lower_is_better
from .run_folder import RECORD, Run

OPERATORS = {
    ">=": operator.ge,
    "<=": operator.le,
    "!=": operator.ne,
    "=": operator.eq,
    ">": operator.gt,
    "<": operator.lt,
}


def find_runs(folder="experiments"):
    """(the runs below a folder, oldest first; lines about the damaged ones)."""
    folder = Path(folder)
    if not folder.is_dir():
        raise ValueError(f"there is no folder {folder} (runs are put there by handgrad train)")
    runs, damaged = [], []
    for path in run_folders(folder):
        try:
            runs.append(Run(path))
        except ValueError as problem:
            damaged.append(str(problem))
    return sorted(runs, key=lambda run: (str(run.record.get("started")), str(run.path))), damaged


def run_folders(folder):
    """The folders of runs, itself or up to three below; those that create_folder still makes begin with a dot."""
    records = [record for depth in ("", "*/", "*/*/", "*/*/*/") for record in folder.glob(depth + RECORD)]
    return [record.parent for record in records if not record.parent.name.startswith(".")]


def fields(run):
    """Everything to filter and sort by: 'status', 'test.accuracy', 'optimizer.learning_rate', ... as one flat table."""
    record = run.record
    head = {"id": run.id, "status": run.status, **{k: record.get(k) for k in ("started", "epochs", "steps", "seconds")}}
    return {**flatten(run.results), **flatten(record["configuration"]), **head}


def select(runs, conditions=(), sort=None, columns=()):
    """The (run, fields) that meet every condition ('test.accuracy>0.9', 'name=iris'), the best first when sorted.

    Losses sort upwards, other results downwards, everything else upwards; runs without the key come last.
    A key that no run has raises ValueError, one of the columns to be shown as well.
    """
    table = [(run, fields(run)) for run in runs]
    parsed = [parse_condition(text) for text in conditions]
    for key in [*(key for key, _, _ in parsed), *([] if sort is None else [sort]), *columns]:
        check_known(key, table)
    for key, compare, wanted in parsed:
        table = [row for row in table if holds(row[1].get(key), compare, wanted)]
    if sort is not None:
        sign = -1 if is_result(sort) and not lower_is_better(sort) else 1
        table.sort(key=lambda row: sort_key(row[1].get(sort), sign))
    return table


def is_result(key):
    return key.partition(".")[0] in ("train", "validation", "test")


def parse_condition(text):
    for sign, compare in OPERATORS.items():
        key, found, wanted = text.partition(sign)
        if found:
            return key.strip(), compare, wanted.strip()
    raise ValueError(f"a condition is key=value or key>value, such as test.accuracy>0.9; got '{text}'")


def check_known(key, table):
    known = sorted({name for _, row in table for name in row})
    if table and key not in known:
        raise ValueError(f"no run has the key '{key}'{nearest(key, known)}")


def holds(value, compare, wanted):
    """Whether the comparison holds, as numbers where both are."""
    if value is None:
        return False
    try:
        return bool(compare(float(value), float(wanted)))
    except (TypeError, ValueError):
        return bool(compare(str(value), wanted))


def sort_key(value, sign):
    """Numbers by size, then texts, then what is missing or no number."""
    if isinstance(value, (int, float)) and not math.isnan(value):
        return 0, sign * value, ""
    return (2, 0, "") if value is None or isinstance(value, float) else (1, 0, str(value))
