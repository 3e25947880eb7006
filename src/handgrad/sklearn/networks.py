"""From an estimator's parameters to a network: hidden layers by size, layers of the user's, or a whole model."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
from numpy.random import RandomState

from .. import functional as F
from .. import layers as hg
from ..arrays import Array, Shape
from ..layers.base import leaves
from ..naming import check_number, look_up
from .objectives import Objective
from .parameters import Parameters

ACTIVATIONS = {name: cls for name, cls in hg.activations.ACTIVATIONS.items() if F.ACTIVATIONS[name].elementwise}
SEEDS = 2**31 - 1  # what a RandomState draws seeds below


def make_network(
    net: Parameters, shape: Shape, objective: Objective, dtype: np.dtype[Any], random: RandomState
) -> hg.Sequential:
    """The built model of an estimator's parameters for x (N, *shape), its numbers drawn from `random`.

    Of a plain network they are the numbers that scikit-learn's MLP would draw. ValueError where the layers do not fit
    the data, naming the layer and the shapes.
    """
    if net.layers is None:
        sizes = hidden_sizes(net)
        activations = [make_activation(value) for value in one_each("activation", net.activation, len(sizes))]
        model = hg.Sequential([*hidden_layers(net, sizes, activations), *output_layers(objective)])
        model.build(shape, rng=0, dtype=dtype)
        draw_as_scikit_learn(model, activations, random)
        if any(isinstance(layer, hg.Dropout) for layer in model.layers):
            model.rng = np.random.default_rng(random.randint(SEEDS))
    else:
        model = users_model(net.layers, shape, objective)
        model.build(shape, rng=random.randint(SEEDS), dtype=dtype)
    check_output(model, objective.num_outputs)
    return model


def hidden_sizes(net: Parameters) -> list[int]:
    """hidden_layer_sizes as a list of whole numbers above 0; ValueError for others."""
    given: Any = net.hidden_layer_sizes
    sizes = list(given) if hasattr(given, "__iter__") else [given]
    for size in sizes:
        if isinstance(size, bool) or not hasattr(size, "__index__") or size <= 0:
            raise ValueError(f"hidden_layer_sizes must be > 0, whole numbers; got {given!r}")
    return [int(size) for size in sizes]


def one_each(name: str, value: Any, count: int) -> list[Any]:
    """A parameter's value for each hidden layer: a list as long as hidden_layer_sizes, or the same value for all."""
    if not isinstance(value, (list, tuple)):
        return [value] * count
    if len(value) != count:
        raise ValueError(f"{name} has {len(value)} entries for {count} hidden layers: give one, or one for each")
    return list(value)


def make_activation(value: Any) -> hg.Layer:
    """A fresh activation layer from its name, or a copy of the layer."""
    return copy.deepcopy(value) if isinstance(value, hg.Layer) else look_up("activation", value, ACTIVATIONS)()


def hidden_layers(net: Parameters, sizes: list[int], activations: list[hg.Layer]) -> list[hg.Layer]:
    """Linear, BatchNorm where asked for, activation, Dropout where its rate is above 0; for each size."""
    layers: list[hg.Layer] = []
    rates = one_each("dropout", net.dropout, len(sizes))
    for size, activation, rate in zip(sizes, activations, rates, strict=True):
        check_number(type(net).__name__, "dropout", rate, minimum=0, below=1)
        layers += [hg.Linear(size), *([hg.BatchNorm()] if net.batch_norm else []), activation]
        layers += [hg.Dropout(rate)] if rate else []
    return layers


def output_layers(objective: Objective) -> list[hg.Layer]:
    return [hg.Linear(objective.num_outputs), *([hg.Softmax()] if objective.has_softmax else [])]


def draw_as_scikit_learn(model: hg.Sequential, activations: list[hg.Layer], random: RandomState) -> None:
    """Weights and biases uniform on ±√(6 / (in + out)), ±√(2 / (in + out)) for the logistic activation.

    Glorot & Bengio (2010), the biases drawn as well, in scikit-learn's order. The output layer goes with the activation
    before it.
    """
    linear = [layer for layer in model.layers if isinstance(layer, hg.Linear)]
    before_output = activations[-1] if activations else None
    for layer, activation in zip(linear, [*activations, before_output], strict=True):
        fans = layer.input_shape[0] + layer.units
        bound = np.sqrt((2.0 if isinstance(activation, hg.Sigmoid) else 6.0) / fans)
        for name in ("weight", "bias"):
            layer.parameters[name] = random.uniform(-bound, bound, layer.parameters[name].shape)


def users_model(layers: Any, shape: Shape, objective: Objective) -> hg.Sequential:
    """A model of the user's layers: a list is completed by the output layer, a model or a function's answer is not."""
    if isinstance(layers, hg.Sequential):
        return copy.deepcopy(layers)
    if callable(layers):
        made = layers(shape, objective.num_outputs)
        return made if isinstance(made, hg.Sequential) else hg.Sequential(made)
    return hg.Sequential([*copy.deepcopy(list(layers)), *output_layers(objective)])


def check_output(model: hg.Sequential, num_outputs: int) -> None:
    """Refuse a network that does not end in as many outputs as the targets need."""
    if model.output_shape != (num_outputs,):
        shape = f"(N, {', '.join(map(str, model.output_shape))})"
        end = f"the network ends in {model.layers[-1].label} with outputs of shape {shape}"
        raise ValueError(f"{end}, but these targets need (N, {num_outputs})")


def weight_arrays(model: hg.Sequential, name: str) -> list[Array]:
    """The parameters 'weight' or 'bias' of all layers that have a weight, in order."""
    owners = [layer.parameters for layer in leaves(model) if "weight" in layer.parameters]
    return [parameters[name] for parameters in owners if name in parameters]
