"""From an estimator's parameters to a network: hidden layers by size, layers of the user's, or a whole model."""

import copy

import numpy as np

from .. import functional as F
from .. import layers as hg
from ..layers.base import leaves
from ..naming import check_number, look_up

ACTIVATIONS = {name: cls for name, cls in hg.activations.ACTIVATIONS.items() if F.ACTIVATIONS[name].elementwise}
SEEDS = 2**31 - 1  # what a RandomState draws seeds below


def make_network(estimator, input_shape, objective, dtype, random_state):
    """The built model of an estimator's parameters, its numbers drawn from random_state.

    Of a plain network they are the numbers that scikit-learn's MLP would draw. ValueError where the layers do not fit
    the data, naming the layer and the shapes.
    """
    num_outputs = objective.num_outputs
    if estimator.layers is None:
        activations = hidden_activations(estimator)
        model = hg.Sequential([*hidden_layers(estimator, activations), *output_layers(objective)])
        model.build(input_shape, rng=0, dtype=dtype)
        draw_as_scikit_learn(model, activations, random_state)
        if any(isinstance(layer, hg.Dropout) for layer in model.layers):
            model.rng = np.random.default_rng(random_state.randint(SEEDS))
    else:
        model = users_model(estimator.layers, input_shape, objective)
        model.build(input_shape, rng=random_state.randint(SEEDS), dtype=dtype)
    check_output(model, num_outputs)
    return model


def hidden_sizes(estimator):
    """hidden_layer_sizes as a list of whole numbers above 0; ValueError for others."""
    sizes = estimator.hidden_layer_sizes
    sizes = list(sizes) if hasattr(sizes, "__iter__") else [sizes]
    for size in sizes:
        if isinstance(size, bool) or not hasattr(size, "__index__") or size <= 0:
            raise ValueError(f"hidden_layer_sizes must be > 0, whole numbers; got {estimator.hidden_layer_sizes!r}")
    return [int(size) for size in sizes]


def one_each(estimator, name):
    """A parameter's value for each hidden layer: a list as long as hidden_layer_sizes, or the same value for all."""
    value, count = getattr(estimator, name), len(hidden_sizes(estimator))
    if not isinstance(value, (list, tuple)):
        return [value] * count
    if len(value) != count:
        raise ValueError(f"{name} has {len(value)} entries for {count} hidden layers: give one, or one for each")
    return list(value)


def hidden_activations(estimator):
    """A fresh activation layer for each hidden layer, from names or layer objects."""
    return [make_activation(value) for value in one_each(estimator, "activation")]


def make_activation(value):
    if isinstance(value, hg.Layer):
        return copy.deepcopy(value)
    return look_up("activation", value, ACTIVATIONS)()


def hidden_layers(estimator, activations):
    """Linear, BatchNorm where asked for, activation, Dropout where its rate is above 0; for each size."""
    rates = [
        check_number(type(estimator).__name__, "dropout", rate, minimum=0, below=1)
        for rate in one_each(estimator, "dropout")
    ]
    layers = []
    for size, activation, rate in zip(hidden_sizes(estimator), activations, rates, strict=True):
        layers += [hg.Linear(size), *([hg.BatchNorm()] if estimator.batch_norm else []), activation]
        layers += [hg.Dropout(rate)] if rate else []
    return layers


def output_layers(objective):
    return [hg.Linear(objective.num_outputs), *([hg.Softmax()] if objective.has_softmax else [])]


def draw_as_scikit_learn(model, activations, random_state):
    """Weights and biases uniform on ±√(6 / (in + out)), ±√(2 / (in + out)) for the logistic activation.

    Glorot & Bengio (2010), the biases drawn as well, in scikit-learn's order. The output layer goes with the activation
    before it.
    """
    linear = [layer for layer in model.layers if type(layer) is hg.Linear]
    neighbours = [*activations, *activations[-1:]] or [None]
    for layer, activation in zip(linear, neighbours, strict=True):
        fans = layer.input_shape[0] + layer.units
        bound = np.sqrt((2.0 if isinstance(activation, hg.Sigmoid) else 6.0) / fans)
        for name in ("weight", "bias"):
            layer.parameters[name] = random_state.uniform(-bound, bound, layer.parameters[name].shape)


def users_model(layers, input_shape, objective):
    """A model of the user's layers: a list is completed by the output layer, a model or a function's answer is not."""
    if callable(layers) and not isinstance(layers, hg.Sequential):
        layers = layers(input_shape, objective.num_outputs)
        return layers if isinstance(layers, hg.Sequential) else hg.Sequential(layers)
    if isinstance(layers, hg.Sequential):
        return copy.deepcopy(layers)
    return hg.Sequential([*copy.deepcopy(list(layers)), *output_layers(objective)])


def check_output(model, num_outputs):
    if model.output_shape != (num_outputs,):
        raise ValueError(
            f"the network ends in {model.layers[-1].label} with outputs of shape (N, "
            f"{', '.join(map(str, model.output_shape))}), but these targets need (N, {num_outputs})"
        )


def weight_arrays(model, name):
    """The parameters 'weight' or 'bias' of all layers that have a weight, in order."""
    return [
        layer.parameters[name] for layer in leaves(model) if "weight" in layer.parameters and name in layer.parameters
    ]
