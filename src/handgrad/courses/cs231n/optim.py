"""cs231n.optim: the update rules with the names that CS231n gives to what config keeps."""

from collections.abc import Callable, Mapping
from typing import Any

from ...arrays import Array
from ..nndl import optim as nndl
from ..nndl.optim import Updated, sgd, sgd_momentum

__all__ = ["adam", "rmsprop", "sgd", "sgd_momentum"]


def rmsprop(w: Array, dw: Array, config: dict[str, Any] | None = None) -> Updated:
    """nndl's rmsprop; the average of dw² is config['cache']."""
    return renamed(nndl.rmsprop, {"cache": "a"}, w, dw, config)


def adam(w: Array, dw: Array, config: dict[str, Any] | None = None) -> Updated:
    """nndl's adam; the averages of dw and dw² are config['m'] and config['v'], where nndl's are v and a."""
    return renamed(nndl.adam, {"m": "v", "v": "a"}, w, dw, config)


def renamed(
    rule: Callable[..., Updated], names: Mapping[str, str], w: Array, dw: Array, config: dict[str, Any] | None
) -> Updated:
    """Run a rule with config's keys under their other names; config is changed in place."""
    config = {} if config is None else config
    inner = {names.get(name, name): value for name, value in config.items()}
    next_w, inner = rule(w, dw, inner)
    back = {theirs: ours for ours, theirs in names.items()}
    config.update((back.get(name, name), value) for name, value in inner.items())
    return next_w, config
