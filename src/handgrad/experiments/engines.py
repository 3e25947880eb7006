"""Engines by name: what a configuration may ask to do the work."""

import functools
import importlib

from ..naming import check_arguments, look_up

# name -> where its class stands: loaded when asked for, so that nobody pays for PyTorch who does not use it.
# A class takes (model, loss, optimizer, penalty, metrics, **options) and has the five methods of NumpyEngine.
ENGINES = {
    "numpy": "handgrad.training.engine:NumpyEngine",
    "torch": "handgrad.torch_twin.engine:TorchEngine",
}


def get_engine(spec):
    """What a Trainer takes as engine, from {'name': 'numpy', options}."""
    module, _, attribute = look_up("engine", spec["name"], ENGINES).partition(":")
    cls = getattr(importlib.import_module(module), attribute)
    options = {key: value for key, value in spec.items() if key != "name"}
    check_arguments("engine", cls, options)
    return functools.partial(cls, **options)
