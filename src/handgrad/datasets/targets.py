"""Targets as they stand in a file, turned into class labels or numbers."""

import numpy as np

TASKS = ("classification", "regression")
MOST_NUMBER_CLASSES = 20


def encode_targets(raw, task, where):
    """(y (N,), class names, task) from an array of texts or numbers.

    Text makes classes; so do whole numbers of at most 20 values, each on two rows or more on average; other numbers
    are a regression. `task` decides instead where it is given. Labels count the sorted classes from 0.
    """
    if task not in (None, *TASKS):
        raise ValueError(f"task is {task!r}; expected 'classification' or 'regression'")
    raw = np.asarray(raw)
    numbers = as_numbers(raw)
    if task is None:
        task = "classification" if numbers is None or are_classes(numbers) else "regression"
    if task == "regression":
        if numbers is None:
            raise ValueError(
                f"{where}: the target {first_text(raw)} is not a number; "
                "regression needs numbers (or task='classification')"
            )
        return numbers, (), task
    values, labels = np.unique(raw if numbers is None else numbers, return_inverse=True)
    names = tuple(map(str, values) if numbers is None else (f"{value:.17g}" for value in values))
    if len(names) < 2:
        raise ValueError(
            f"{where}: every one of the {len(raw)} targets is '{names[0]}'; classification needs at least two classes"
        )
    return labels.reshape(-1).astype(np.int64), names, task


def as_numbers(raw):
    """The targets in float64, or None where one is text."""
    if raw.dtype.kind not in "US":
        return raw.astype(np.float64)
    try:
        return np.array([float(cell) for cell in raw])
    except ValueError:
        return None


def are_classes(numbers):
    if not (numbers == np.round(numbers)).all():
        return False
    return len(np.unique(numbers)) <= min(MOST_NUMBER_CLASSES, len(numbers) / 2)


def first_text(raw):
    for row, cell in enumerate(raw, start=1):
        try:
            float(cell)
        except ValueError:
            return f"'{cell}' of example {row}"
