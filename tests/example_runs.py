"""What the tests of runs share: small configurations that use every kind of state, and hashes of what a run left."""

import hashlib
import json

import numpy as np

BASE = {"epochs": 6, "batch_size": 16, "loss": "cross-entropy", "optimizer": {"name": "sgd", "learning_rate": 0.05}}
DENSE = {
    "layers": [
        {"layer": "Linear", "units": 12},
        "ReLU",
        {"layer": "Dropout", "rate": 0.3},
        {"layer": "Linear", "units": "classes"},
    ]
}
IRIS = {"name": "iris"}

# Ten configurations: between them every optimizer, schedules per step and per epoch, dropout, batch norm, augmentation,
# early stopping, penalties, clipping, both float types, checkpoints between epochs.
TABLES = {
    "momentum": {
        "model": DENSE,
        "data": IRIS,
        "optimizer": {"name": "sgd", "learning_rate": 0.05, "momentum": 0.9, "nesterov": True},
    },
    "adam": {"model": DENSE, "data": IRIS, "optimizer": {"name": "adam", "weight_decay": 0.01}, "dtype": "float64"},
    "adamw": {
        "model": DENSE,
        "data": {"name": "wine"},
        "optimizer": "adamw",
        "seed": 3,
        "schedule": {"name": "one_cycle", "per": "step"},
        "recording": {"checkpoint_steps": 4},
    },
    "rmsprop": {
        "model": DENSE,
        "data": {"name": "wine"},
        "optimizer": "rmsprop",
        "schedule": {"name": "cosine"},
        "penalty": {"name": "l2", "strength": 1e-3},
    },
    "adagrad": {
        "model": DENSE,
        "data": IRIS,
        "optimizer": "adagrad",
        "recording": {"metrics_steps": 3},
        "schedule": {"name": "warm_up", "schedule": {"name": "constant", "initial": 0.1}, "num_steps": 3},
    },
    "plateau": {
        "model": DENSE,
        "data": IRIS,
        "schedule": {"name": "reduce_on_plateau", "patience": 1, "factor": 0.5},
        "recording": {"checkpoint_steps": 3},
        "epochs": 9,
    },
    "early": {
        "model": DENSE,
        "data": IRIS,
        "epochs": 120,
        "callbacks": [{"name": "early-stopping", "patience": 2}],
        "optimizer": {"name": "adam", "learning_rate": 0.05},
        "recording": {"checkpoint_epochs": 1},
    },
    "clipped": {
        "model": DENSE,
        "data": IRIS,
        "shuffle": False,
        "recording": {"checkpoint_epochs": 2},
        "optimizer": {"name": "adam", "clipping": {"name": "clip_global_norm", "limit": 0.5}},
    },
    "norm": {
        "model": {"layers": [{"layer": "Linear", "units": 10}, "BatchNorm", "Tanh", {"layer": "Linear", "units": 1}]},
        "data": {"name": "diabetes"},
        "loss": {"name": "huber", "delta": 10.0},
        "epochs": 3,
        "recording": {"checkpoint_steps": 5, "metrics_steps": 1},
    },
    "images": {
        "data": {"name": "images.npz"},
        "epochs": 4,
        "recording": {"checkpoint_steps": 2},
        "augmentation": [{"name": "random_crop", "padding": 1}, "random_flip"],
        "optimizer": {"name": "adam", "learning_rate": 0.01},
        "model": {
            "layers": [
                {"layer": "Conv2D", "filters": 4, "kernel_size": 3, "padding": "same"},
                "BatchNorm",
                "ReLU",
                "MaxPool2D",
                "Flatten",
                {"layer": "Dropout", "rate": 0.2},
                {"layer": "Linear", "units": "classes"},
            ]
        },
    },
}


def table(name, folder):
    """The configuration of that name as plain data, its images written to the folder."""
    result = {"name": name, **BASE, **json.loads(json.dumps(TABLES[name]))}
    if result["data"]["name"].endswith(".npz"):
        result["data"] = {"name": str(write_images(folder / result["data"]["name"]))}
    return result


def write_images(path):
    """Sixty images of 8x8, three classes, each a brighter corner."""
    rng = np.random.default_rng(0)
    y = np.arange(60) % 3
    x = rng.integers(0, 120, (60, 8, 8, 1), dtype=np.uint8)
    for i, label in enumerate(y):
        x[i, 4 * (label // 2) :, 4 * (label % 2) :] += 100
    np.savez(path, x=x, y=y)
    return path


def prints(run):
    """What two equal runs have in common, to the bit: hashes of model and checkpoint, and the lines but for times."""
    lines = [{k: v for k, v in line.items() if k != "seconds"} for line in run.lines()]
    hashes = [
        hashlib.sha256((run.path / name).read_bytes()).hexdigest()
        for name in ("model.safetensors", "checkpoint.safetensors")
    ]
    return hashes, lines, run.results
