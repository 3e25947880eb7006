"""Runs below a folder: found, filtered and sorted by anything their records hold."""

import math
from collections.abc import Callable, Iterable, Sequence
from operator import eq, ge, gt, le, lt, ne
from pathlib import Path
from typing import Any, TypeAlias

from ..naming import nearest
from ..text import flatten
from ..training.history import lower_is_better
from .run_folder import RECORD, Run

Compare: TypeAlias = Callable[[Any, Any], Any]
# longer signs come before those that they begin with
OPERATORS: dict[str, Compare] = {">=": ge, "<=": le, "!=": ne, "=": eq, ">": gt, "<": lt}


def find_runs(folder: str | Path = "experiments") -> tuple[list[Run], list[str]]:
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


def run_folders(folder: Path) -> list[Path]:
    """The folders of runs, itself or up to three below; those that create_folder still makes begin with a dot."""
    records = [record for depth in ("", "*/", "*/*/", "*/*/*/") for record in folder.glob(depth + RECORD)]
    return [record.parent for record in records if not record.parent.name.startswith(".")]


def fields(run: Run) -> dict[str, Any]:
    """Everything to filter and sort by: 'status', 'test.accuracy', 'optimizer.learning_rate', ... as one flat table."""
    record = run.record
    head = {"id": run.id, "status": run.status, **{k: record.get(k) for k in ("started", "epochs", "steps", "seconds")}}
    return {**flatten(run.results), **flatten(record["configuration"]), **head}


def select(
    runs: Iterable[Run], conditions: Iterable[str] = (), sort: str | None = None, columns: Sequence[str] = ()
) -> list[tuple[Run, dict[str, Any]]]:
    """The (run, fields) that meet every condition ('test.accuracy>0.9', 'name=iris'), the best first when sorted.

    Losses sort upwards, other results downwards, everything else upwards; runs without the key come last.
    A key that no run has raises ValueError, one of the columns to be shown as well.
    """
    table = [(run, fields(run)) for run in runs]
    parsed = [parse_condition(text) for text in conditions]
    for key in [*(key for key, _, _ in parsed), *([] if sort is None else [sort]), *columns]:
        check_known(key, [row for _, row in table])
    for key, compare, wanted in parsed:
        table = [(run, row) for run, row in table if holds(row.get(key), compare, wanted)]
    if sort is not None:
        is_result = sort.partition(".")[0] in ("train", "validation", "test")
        sign = -1 if is_result and not lower_is_better(sort) else 1
        table.sort(key=lambda pair: sort_key(pair[1].get(sort), sign))
    return table


def parse_condition(text: str) -> tuple[str, Compare, str]:
    """(key, comparison, value) of a condition such as 'test.accuracy>0.9'."""
    for sign, compare in OPERATORS.items():
        key, found, wanted = text.partition(sign)
        if found:
            return key.strip(), compare, wanted.strip()
    raise ValueError(f"a condition is key=value or key>value, such as test.accuracy>0.9; got '{text}'")


def check_known(key: str, rows: Sequence[dict[str, Any]]) -> None:
    """Refuse a key that none of the rows has."""
    known = sorted({name for row in rows for name in row})
    if rows and key not in known:
        raise ValueError(f"no run has the key '{key}'{nearest(key, known)}")


def holds(value: Any, compare: Compare, wanted: str) -> bool:
    """Whether the comparison holds, as numbers where both are."""
    if value is None:
        return False
    try:
        return bool(compare(float(value), float(wanted)))
    except (TypeError, ValueError):
        return bool(compare(str(value), wanted))


def sort_key(value: object, sign: int) -> tuple[int, float, str]:
    """Numbers by size, then texts, then what is missing or no number."""
    if isinstance(value, (int, float)) and not math.isnan(value):
        return 0, sign * value, ""
    return (2, 0, "") if value is None or isinstance(value, float) else (1, 0, str(value))
