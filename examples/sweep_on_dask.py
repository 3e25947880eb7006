"""A sweep whose trials are trained by the workers of a Dask cluster, here a local one of two processes.

    pip install 'handgrad[app]' 'dask[distributed]'
    python examples/sweep_on_dask.py [FOLDER]

Give Client the address of a real cluster's scheduler and nothing else changes, as long as its machines share FOLDER.
"""

import sys

import joblib
from dask.distributed import Client

from handgrad.experiments import load_configuration
from handgrad.experiments.sweep import run_sweep, start_sweep


def main(out="experiments"):
    base = load_configuration("iris", ["epochs=10"]).as_table()
    sweep = start_sweep(base, ["optimizer.learning_rate=log(1e-3,1e-1,3)", "model.layers.0.units=5,25"], out)
    client = Client(n_workers=2, threads_per_worker=1, dashboard_address=None)
    with client, joblib.parallel_config(backend="dask"):
        run_sweep(sweep, jobs=2)
    best = sweep.ranked()[0]
    print(f"best validation loss {best['value']:.4f} with {best['settings']}")
    return sweep


if __name__ == "__main__":
    main(*sys.argv[1:])
