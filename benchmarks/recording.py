"""What recording costs, and how fast runs are listed.

    python benchmarks/recording.py

A 784-256-128-10 network, batch 64, Adam, 60,000 random rows: the time spent in the recorder's hooks, checkpoints
included, as a share of the whole epochs'. Then 1,000 runs are written and `handgrad runs` lists them.
"""

import contextlib
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from handgrad.experiments import check_configuration, train
from handgrad.experiments.recorder import Recorder

NETWORK = {
    "name": "recording",
    "epochs": 5,
    "batch_size": 64,
    "loss": "cross-entropy",
    "optimizer": "adam",
    "model": {
        "layers": [
            {"layer": "Linear", "units": 256},
            "ReLU",
            {"layer": "Linear", "units": 128},
            "ReLU",
            {"layer": "Linear", "units": "classes"},
        ]
    },
}
HOOKS = ("on_fit_begin", "on_step_begin", "on_step_end", "on_epoch_end")


def timed(hook, spent):
    def call(recorder, trainer):
        start = time.perf_counter()
        hook(recorder, trainer)
        spent.append(time.perf_counter() - start)

    return call


def recording_share(folder):
    """Seconds in the recorder's hooks, seconds of the epochs."""
    rng = np.random.default_rng(0)
    np.savez(folder / "rows.npz", x=rng.normal(size=(60_000, 784)).astype(np.float32), y=rng.integers(0, 10, 60_000))
    data = {"name": str(folder / "rows.npz"), "validation": 0.1, "test": 100, "standardize": False}
    spent = []
    for name in HOOKS:
        setattr(Recorder, name, timed(getattr(Recorder, name), spent))
    run = train(check_configuration({**NETWORK, "data": data}), folder, progress=False)
    return sum(spent), sum(line["seconds"] for line in run.epochs()), run


def listing_seconds(run, folder, count=1000):
    """(seconds, processor seconds) of `handgrad runs` on `count` copies of a run."""
    for i in range(count):
        copy = folder / "many" / "recording" / f"{i:04d}"
        copy.mkdir(parents=True)
        (copy / "run.json").write_text(json.dumps({**run.record, "seed": i}))
    start, used = time.perf_counter(), os.times().children_user
    command = [sys.executable, "-m", "handgrad", "runs", folder / "many", "--sort", "test.accuracy"]
    lines = subprocess.run(command, capture_output=True, text=True, check=True).stdout.count("recording")
    assert lines == count, f"{lines} of {count} runs were listed"
    return time.perf_counter() - start, os.times().children_user - used


def main():
    with tempfile.TemporaryDirectory() as name, contextlib.suppress(KeyboardInterrupt):
        spent, seconds, run = recording_share(Path(name))
        print(f"recording: {spent * 1e3:.1f} ms of {seconds:.2f} s, {spent / seconds:.2%} of the epochs")
        print("1000 runs listed in {:.2f} s, of the processor {:.2f} s".format(*listing_seconds(run, Path(name))))


if __name__ == "__main__":
    main()
