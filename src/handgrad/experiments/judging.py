"""A run judged by its record: underfitting, overfitting or generalizing."""

from ..reports.judgement import judge
from .run_folder import RECORD, as_number, harmless


def judge_run(run):
    """The Judgement of a Run, from its epochs and, where it is finished, the results of the model that it kept."""
    with harmless(run.path / RECORD):
        results = {
            split: {name: as_number(value) for name, value in figures.items()} for split, figures in run.results.items()
        }
        data = run.record["data"]
        num_classes, num_rows = len(data.get("class_names") or ()), (data.get("rows") or {}).get("validation")
    return judge(run.history(), results, num_classes or None, num_rows)
