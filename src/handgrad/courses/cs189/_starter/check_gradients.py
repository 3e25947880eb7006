"""Check every gradient of the package against central differences; also a notebook, check_gradients.ipynb."""

# %% [markdown]
# # Is every gradient right?
# `check_gradients(fn, grad, x, dLdf)` moves each entry of `x` a little up and down, and compares what happens to
# `fn(x)` with `grad`. It returns one number, 0 where both agree. Right gradients give less than 1e-7 here.
#
# The upstream gradient `dLdY` is random: with ones, many a wrong gradient goes unnoticed.

# %%
import numpy as np
from neural_networks.activations import initialize_activation
from neural_networks.layers import initialize_layer
from neural_networks.losses import CrossEntropy
from neural_networks.utils.grad_check import check_gradients

rng = np.random.default_rng(0)
np.random.seed(0)  # what the layers draw their weights from
errors = {}

# %% [markdown]
# ## Activations
# `backward(Z, dY)` gets the numbers that went in, and must return the gradient by them.

# %%
for name in ("linear", "sigmoid", "tanh", "relu", "softmax", "arctan"):
    activation = initialize_activation(name)
    Z, dY = rng.normal(size=(2, 3)), rng.normal(size=(2, 3))
    errors[name] = check_gradients(fn=activation.forward, grad=activation.backward(Z, dY), x=Z, dLdf=dY)

# %% [markdown]
# ## Layers
# Each layer is checked by its input, and by each of its parameters with `forward_with_param`.

# %%
layers = {
    "fully_connected": (dict(n_out=3, activation="tanh"), (4, 5)),
    "conv2d": (dict(n_out=3, activation="tanh", kernel_shape=(3, 2), stride=2, pad=1), (2, 6, 5, 2)),
    "conv2d same": (dict(n_out=2, activation="sigmoid", kernel_shape=(3, 3), stride=1, pad="same"), (2, 4, 4, 2)),
    "pool2d max": (dict(mode="max", kernel_shape=(2, 3), stride=2, pad=1), (2, 5, 6, 2)),
    "pool2d average": (dict(mode="average", kernel_shape=(2, 2), stride=1, pad=1), (2, 4, 3, 2)),
    "flatten": ({}, (2, 3, 4, 2)),
    "elman": (dict(n_out=3, activation="tanh"), (2, 3, 5)),
    "batchnorm1d": ({}, (5, 3)),
}
for title, (arguments, shape) in layers.items():
    layer = initialize_layer(title.split()[0], weight_init="xavier_uniform", **arguments)
    X = rng.normal(size=shape)
    dLdY = rng.normal(size=layer.forward(X).shape)
    dX = layer.backward(dLdY)
    if title == "elman":
        dX = np.stack(dX, axis=2)
    errors[f"{title} X"] = check_gradients(fn=layer.forward, grad=dX, x=X, dLdf=dLdY)
    gradients = dict(layer.gradients)
    for name, parameter in layer.parameters.items():
        errors[f"{title} {name}"] = check_gradients(
            fn=layer.forward_with_param(name, X), grad=gradients[name], x=parameter, dLdf=dLdY
        )

# %% [markdown]
# ## The loss behind a softmax
# `CrossEntropy.backward` gives the gradient by the probabilities, `SoftMax.backward` takes it to the logits. Together
# they must give the gradient of the loss by the logits, which is (Y_hat - Y) / m.

# %%
softmax, loss = initialize_activation("softmax"), CrossEntropy("cross_entropy")
Z, Y = rng.normal(size=(4, 3)), np.eye(3)[[0, 2, 1, 1]]
gradient = softmax.backward(Z, loss.backward(Y, softmax.forward(Z)))
errors["cross_entropy"] = check_gradients(fn=lambda Z: loss.forward(Y, softmax.forward(Z)), grad=gradient, x=Z, dLdf=1)

# %%
for name, error in errors.items():
    print(f"{name:24} {error:.1e}  {'right' if error < 1e-7 else 'WRONG'}")
