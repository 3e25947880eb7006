"""cs231n.optim: the update rules with the names that CS231n gives to what config keeps."""

from ..nndl import optim as nndl
from ..nndl.optim import sgd, sgd_momentum

__all__ = ["adam", "rmsprop", "sgd", "sgd_momentum"]


def rmsprop(w, dw, config=None):
    """nndl's rmsprop; the average of dw² is config['cache']."""
    return renamed(nndl.rmsprop, {"cache": "a"}, w, dw, config)


def adam(w, dw, config=None):
    """nndl's adam; the averages of dw and dw² are config['m'] and config['v'], where nndl's are v and a."""
    return renamed(nndl.adam, {"m": "v", "v": "a"}, w, dw, config)


def renamed(rule, names, w, dw, config):
    """Run a rule with config's keys under their other names; config is changed in place."""
    config = {} if config is None else config
    inner = {names.get(name, name): value for name, value in config.items()}
    next_w, inner = rule(w, dw, inner)
    back = {theirs: ours for ours, theirs in names.items()}
    config.update((back.get(name, name), value) for name, value in inner.items())
    return next_w, config
