"""Check every gradient of the package against central differences; also a notebook, check_gradients.ipynb.

What is still to be written is named, and the rest is checked.
"""

# %% [markdown]
# # Is every gradient right?
# `check_gradients(fn, grad, x, dLdf)` moves each entry of `x` a little up and down, and compares what happens to
# `fn(x)` with `grad`. It returns one number, 0 where both agree. Right gradients give less than 1e-7 here.
#
# The upstream gradient `dLdY` is random: with ones, many a wrong gradient goes unnoticed.
#
# Each function below makes pairs of what is checked and its error; `show` prints a line for each.

# %%
from collections.abc import Iterator
from typing import Any

import numpy as np
from neural_networks.activations import initialize_activation
from neural_networks.layers import initialize_layer
from neural_networks.losses import CrossEntropy
from neural_networks.utils.grad_check import check_gradients

rng = np.random.default_rng(0)
np.random.seed(0)  # what the layers draw their weights from


def show(title: str, errors: Iterator[tuple[str, float]]) -> None:
    """Print each error of a part, or which body it still lacks."""
    try:
        for name, error in errors:
            print(f"{name:24} {error:.1e}  {'right' if error < 1e-7 else 'WRONG'}")
    except NotImplementedError as lack:
        print(f"{title:24} to be written: {str(lack).removeprefix('implement ')}")


# %% [markdown]
# ## Activations
# `backward(Z, dY)` gets the numbers that went in, and must return the gradient by them.


# %%
def activation_errors(name: str) -> Iterator[tuple[str, float]]:
    activation = initialize_activation(name)
    Z, dY = rng.normal(size=(2, 3)), rng.normal(size=(2, 3))
    yield name, check_gradients(fn=activation.forward, grad=activation.backward(Z, dY), x=Z, dLdf=dY)


for name in ("linear", "sigmoid", "tanh", "relu", "softmax", "arctan"):
    show(name, activation_errors(name))

# %% [markdown]
# ## Layers
# Each layer is checked by its input, and by each of its parameters with `forward_with_param`.

# %%
layers: dict[str, tuple[dict[str, Any], tuple[int, ...]]] = {
    "fully_connected": (dict(n_out=3, activation="tanh"), (4, 5)),
    "conv2d": (dict(n_out=3, activation="tanh", kernel_shape=(3, 2), stride=2, pad=1), (2, 6, 5, 2)),
    "conv2d same": (dict(n_out=2, activation="sigmoid", kernel_shape=(3, 3), stride=1, pad="same"), (2, 4, 4, 2)),
    "pool2d max": (dict(mode="max", kernel_shape=(2, 3), stride=2, pad=1), (2, 5, 6, 2)),
    "pool2d average": (dict(mode="average", kernel_shape=(2, 2), stride=1, pad=1), (2, 4, 3, 2)),
    "flatten": ({}, (2, 3, 4, 2)),
    "elman": (dict(n_out=3, activation="tanh"), (2, 3, 5)),
    "batchnorm1d": ({}, (5, 3)),
}


def layer_errors(title: str, arguments: dict[str, Any], shape: tuple[int, ...]) -> Iterator[tuple[str, float]]:
    layer = initialize_layer(title.split()[0], weight_init="xavier_uniform", **arguments)
    X = rng.normal(size=shape)
    dLdY = rng.normal(size=layer.forward(X).shape)
    dX = layer.backward(dLdY)
    if title == "elman":
        dX = np.stack(dX, axis=2)
    gradients = dict(layer.gradients)
    yield f"{title} X", check_gradients(fn=layer.forward, grad=dX, x=X, dLdf=dLdY)
    for name, parameter in layer.parameters.items():
        forward = layer.forward_with_param(name, X)
        yield f"{title} {name}", check_gradients(fn=forward, grad=gradients[name], x=parameter, dLdf=dLdY)


for title, (arguments, shape) in layers.items():
    show(title, layer_errors(title, arguments, shape))

# %% [markdown]
# ## The loss behind a softmax
# `CrossEntropy.backward` gives the gradient by the probabilities, `SoftMax.backward` takes it to the logits. Together
# they must give the gradient of the loss by the logits, which is (Y_hat - Y) / m.


# %%
def loss_errors() -> Iterator[tuple[str, float]]:
    softmax, loss = initialize_activation("softmax"), CrossEntropy("cross_entropy")
    Z, Y = rng.normal(size=(4, 3)), np.eye(3)[[0, 2, 1, 1]]
    gradient = softmax.backward(Z, loss.backward(Y, softmax.forward(Z)))
    yield "cross_entropy", check_gradients(fn=lambda Z: loss.forward(Y, softmax.forward(Z)), grad=gradient, x=Z, dLdf=1)


show("cross_entropy", loss_errors())
