"""The receipt of a run: its trained model in both engines, on a batch of its data."""

from .. import files
from ..experiments import Run
from ..experiments.assembly import load_data
from .receipt import compare

SPLITS = ("test", "validation", "train")


def compare_run(path, num_rows=32):
    """Compare the engines on the run's model and rows it was not trained on; returns (receipt, page written).

    The receipt is saved in the run folder as engines.html and engines.json.
    """
    run = Run(path)
    data = load_data(run.configuration)
    split = next(getattr(data, name) for name in SPLITS if getattr(data, name) is not None)
    receipt = compare(run.model(), None, split.x[:num_rows], split.y[:num_rows], loss=run.configuration.loss)
    files.write_text(run.path / "engines.html", receipt.to_html())
    files.write_json(run.path / "engines.json", receipt.as_dict())
    return receipt, run.path / "engines.html"
