"""nndl.optim: update rules (w, dw, config=None) -> (next_w, config); config is filled and kept in place.

They are written out here rather than taken from handgrad.optimizers, which keeps the learning rate outside of the
momentum and scales its averages: a config of the course, and a rate that decays, would mean something else there.
"""

from typing import Any, TypeAlias

import numpy as np

from ...arrays import Array

__all__ = ["adam", "rmsprop", "sgd", "sgd_momentum", "sgd_nesterov_momentum"]

Updated: TypeAlias = tuple[Array, dict[str, Any]]  # the next parameter, and the config kept


def sgd(w: Array, dw: Array, config: dict[str, Any] | None = None) -> Updated:
    """w - learning_rate dw."""
    config = with_defaults(config, learning_rate=1e-2)
    return w - float(config["learning_rate"]) * dw, config


def sgd_momentum(w: Array, dw: Array, config: dict[str, Any] | None = None) -> Updated:
    """v = momentum v - learning_rate dw; w + v."""
    config = with_defaults(config, learning_rate=1e-2, momentum=0.9, velocity=np.zeros_like(w))
    config["velocity"] = config["momentum"] * config["velocity"] - float(config["learning_rate"]) * dw
    return w + config["velocity"], config


def sgd_nesterov_momentum(w: Array, dw: Array, config: dict[str, Any] | None = None) -> Updated:
    """v' = momentum v - learning_rate dw; w + v' + momentum (v' - v)."""
    config = with_defaults(config, learning_rate=1e-2, momentum=0.9, velocity=np.zeros_like(w))
    before, momentum = config["velocity"], config["momentum"]
    config["velocity"] = momentum * before - float(config["learning_rate"]) * dw
    return w + config["velocity"] + momentum * (config["velocity"] - before), config


def rmsprop(w: Array, dw: Array, config: dict[str, Any] | None = None) -> Updated:
    """a = decay_rate a + (1 - decay_rate) dw²; w - learning_rate dw / (√a + epsilon)."""
    config = with_defaults(config, learning_rate=1e-2, decay_rate=0.99, epsilon=1e-8, a=np.zeros_like(w))
    config["a"] = config["decay_rate"] * config["a"] + (1 - config["decay_rate"]) * dw**2
    return w - float(config["learning_rate"]) * dw / (np.sqrt(config["a"]) + config["epsilon"]), config


def adam(w: Array, dw: Array, config: dict[str, Any] | None = None) -> Updated:
    """w - learning_rate v̂ / (√â + epsilon): v averages dw, a averages dw², the hats divide by 1 - betaᵗ.

    CS231n calls these m and v: see handgrad.courses.cs231n.optim.
    """
    config = with_defaults(
        config, learning_rate=1e-3, beta1=0.9, beta2=0.999, epsilon=1e-8, v=np.zeros_like(w), a=np.zeros_like(w), t=0
    )
    beta1, beta2 = config["beta1"], config["beta2"]
    config["t"] += 1
    config["v"] = beta1 * config["v"] + (1 - beta1) * dw
    config["a"] = beta2 * config["a"] + (1 - beta2) * dw**2
    mean, square = config["v"] / (1 - beta1 ** config["t"]), config["a"] / (1 - beta2 ** config["t"])
    return w - float(config["learning_rate"]) * mean / (np.sqrt(square) + config["epsilon"]), config


def with_defaults(config: dict[str, Any] | None, **defaults: Any) -> dict[str, Any]:
    """The same dict with what is missing, or a new one."""
    config = {} if config is None else config
    for name, value in defaults.items():
        config.setdefault(name, value)
    return config
