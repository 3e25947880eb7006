"""Example arrays and constructor arguments guessed from names, for code in a file that brings none of its own."""

import inspect

import numpy as np

TARGETS = {"t", "target", "targets", "label", "labels", "y_true", "y"}
SIZES_IN = {
    "n_in",
    "num_in",
    "num_inputs",
    "in_features",
    "input_size",
    "input_dim",
    "in_dim",
    "d_in",
    "fan_in",
    "inputs",
    "in_channels",
    "channels",
    "num_features",
    "features",
    "input_features",
}
OPTIONS = {
    "rate": 0.3,
    "p": 0.3,
    "drop": 0.3,
    "alpha": 0.1,
    "slope": 0.1,
    "epsilon": 1e-5,
    "eps": 1e-5,
    "momentum": 0.9,
    "kernel_size": 3,
    "pool_size": 2,
    "stride": 1,
    "padding": 1,
    "pad": 1,
    "delta": 1.0,
    "strength": 0.1,
    "reg": 0.1,
    "learning_rate": 0.1,
    "lr": 0.1,
    "training": True,
    "train": True,
    "mode": "train",
    "seed": 0,
    "activation": "tanh",
    "kernel_shape": (3, 3),
}
DICTIONARY = {  # what a dict of settings (conv_param, bn_param) may hold
    "stride": 1,
    "pad": 1,
    "pool_height": 2,
    "pool_width": 2,
    "mode": "train",
    "p": 0.7,
    "seed": 1,
    "eps": 1e-5,
    "momentum": 0.9,
}

# input, matrix or kernel, vector, size of the input's last axis
SHAPES = (
    ((6, 4), (4, 5), (5,), 4),
    ((6, 4), (4, 4), (4,), 4),
    ((4, 6, 6, 3), (3, 3, 3, 5), (5,), 3),
    ((4, 6, 6, 3), (3, 3, 3, 3), (3,), 3),
    ((4, 3, 6, 6), (5, 3, 3, 3), (5,), 3),
    ((6,), (6, 4), (4,), 6),
    ((6, 4), (5, 4), (5,), 4),
)


def guesses(forward, seed=0):
    """Yield (arrays, kwargs): arguments that a forward with these parameter names may accept, likely ones first."""
    parameters = required(forward)
    for shapes in SHAPES:
        for kind in ("labels", "one-hot", "same"):
            rng = np.random.default_rng([seed, 3])
            yield [argument(p, i, shapes, kind, rng) for i, p in enumerate(parameters)], randomness(forward, rng)
            if not any(p in TARGETS and i for i, p in enumerate(parameters)):
                break


def required(function):
    """Names of the parameters without a default."""
    kinds = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    try:
        parameters = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):
        return ["x"]
    return [p.name for p in parameters if p.default is p.empty and p.kind in kinds]


def argument(name, position, shapes, kind, rng):
    """One argument by its name and place."""
    data, matrix, vector, _ = shapes
    low = name.lower()
    if low == "rng":
        return np.random.default_rng(0)
    if low in OPTIONS:
        return OPTIONS[low]
    if low.endswith(("param", "params", "config")):
        return dict(DICTIONARY)
    if position and low in TARGETS:
        return targets(kind, data, rng)
    if position and low.startswith(("w", "kernel", "filter", "theta", "u", "v")):
        return rng.normal(size=matrix)
    if position and low.startswith(("b", "g", "scale", "shift")):
        return rng.normal(size=vector)
    x = rng.normal(size=data)
    return np.exp(x) / np.exp(x).sum(axis=-1, keepdims=True) if low.startswith(("p", "y_hat", "yhat")) else x


def targets(kind, shape, rng):
    labels = rng.integers(0, shape[-1], shape[0])
    if kind == "labels":
        return labels
    return np.eye(shape[-1])[labels] if kind == "one-hot" else rng.normal(size=shape)


def randomness(forward, rng):
    """rng=... for a forward whose rng is optional but wanted."""
    try:
        parameter = inspect.signature(forward).parameters.get("rng")
    except (TypeError, ValueError):
        return {}
    return {"rng": np.random.default_rng(0)} if parameter is not None and parameter.default is None else {}


def instances(cls, seed=0):
    """Yield (object, shapes) of a class, its constructor's arguments guessed."""
    names = required(cls)
    for shapes in SHAPES:
        rng = np.random.default_rng([seed, 4])
        values = {name: constructor_value(name, i, shapes, rng) for i, name in enumerate(names)}
        try:
            yield cls(**values), shapes
        except Exception:  # another guess may suit; if none does, the file is asked for an example
            continue


def constructor_value(name, position, shapes, rng):
    low = name.lower()
    if low in OPTIONS:
        return OPTIONS[low]
    if low == "rng":
        return rng
    if low in SIZES_IN or (position == 0 and "in" in low.split("_")):
        return shapes[3]
    if low.startswith(("w", "kernel")):
        return rng.normal(size=shapes[1])
    if low.startswith("b"):
        return rng.normal(size=shapes[2])
    return 5
