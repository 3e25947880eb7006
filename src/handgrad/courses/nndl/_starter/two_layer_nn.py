"""Homework 3: a network of two layers, on a toy, then on CIFAR-10; also a notebook, two_layer_nn.ipynb."""

# %% [markdown]
# # A network of two layers
# `nndl/neural_net.py` is the whole of it: `loss` computes scores, loss and gradients, `train` descends, `predict` says
# the class. First a toy, small enough that every number can be checked; then photographs.

# %%
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from arguments import script_arguments
from nndl.layer_tests import check_net
from nndl.neural_net import TwoLayerNet
from utils.data_utils import get_CIFAR10_data
from utils.vis_utils import visualize_grid

arguments = script_arguments(__doc__, rows=(49_000, 49_000), iterations=3000)


def toy_net() -> TwoLayerNet:
    np.random.seed(0)
    return TwoLayerNet(4, 10, 3, std=1e-1)


def toy_data() -> tuple[Any, Any]:
    np.random.seed(1)
    return 10 * np.random.randn(5, 4), np.array([0, 1, 2, 2, 1])


# %% [markdown]
# ## Is it right?
# Scores against printed ones (a difference below 1e-7), the loss against 1.071696123862817, and each gradient against
# central differences (errors below 1e-8).

# %%
net = toy_net()
X, y = toy_data()
scores = [
    [-1.07260209, 0.05083871, -0.87253915],
    [-2.02778743, -0.10832494, -1.52641362],
    [-0.74225908, 0.15259725, -0.39578548],
    [-0.38172726, 0.10835902, -0.17328274],
    [-0.64417314, -0.18886813, -0.41106892],
]
print(f"difference of the scores: {np.abs(net.loss(X) - scores).sum():.1e}")
print(f"difference of the loss: {abs(net.loss(X, y, reg=0.05)[0] - 1.071696123862817):.1e}")
check_net(net, X, y)

# %% [markdown]
# ## Does it learn?
# Five examples are soon known by heart: the loss falls to about 0.0145.

# %%
net = toy_net()
stats = net.train(X, y, X, y, learning_rate=1e-1, reg=5e-6, num_iters=100)
print(f"final loss of the toy: {stats['loss_history'][-1]:.7f}")

# %% [markdown]
# ## CIFAR-10
# 49,000 images to train on, 1,000 for validation, 1,000 to test, each a row of 3072 numbers less the mean image.

# %%
data = get_CIFAR10_data(num_training=arguments.rows)
for part in ("X_train", "X_val", "X_test"):
    data[part] = data[part].transpose(0, 2, 3, 1).reshape(-1, 3072)


def trained(learning_rate: float, num_iters: int, reg: float) -> tuple[TwoLayerNet, float, dict[str, Any]]:
    """A net of 50 hidden units after its training, its validation accuracy, and what was noted on the way."""
    net = TwoLayerNet(3072, 50, 10)
    with np.errstate(all="ignore"):  # large learning rates diverge
        rows = data["X_train"], data["y_train"], data["X_val"], data["y_val"]
        stats = net.train(*rows, learning_rate=learning_rate, num_iters=num_iters, batch_size=200, reg=reg)
        return net, np.mean(net.predict(data["X_val"]) == data["y_val"]), stats


first, accuracy, stats = trained(1e-4, arguments.iterations // 3, reg=0.25)
print(f"validation accuracy of the first try: {accuracy:.3f}")

# %% [markdown] answer
# ## Why is it so low?
# Look at the loss: a straight line still on its way down when training ends. Training and validation accuracy hardly
# differ, so nothing is learnt by heart either. The learning rate of 1e-4 is too small for so few steps: the net
# *underfits*. More hidden units or less of a penalty would not help before the steps are longer.

# %%
figure, (left, right) = plt.subplots(1, 2, figsize=(10, 3.6), layout="constrained")
left.plot(stats["loss_history"])
left.set(xlabel="iteration", ylabel="loss")
for part in ("train", "val"):
    right.plot(stats[f"{part}_acc_history"], label=part)
right.set(xlabel="epoch", ylabel="accuracy")
right.legend()
figure.savefig("first_try.png", dpi=100)

# %% [markdown]
# ## Which learning rate?
# Nine of them, all else alike and from the same weights. At the largest the loss grows without bound: only the best
# in the middle learns anything (on all rows 1e-3, with a validation accuracy of about 0.51).

# %%
tried = {}
for rate in (0.1, 0.06, 0.03, 0.01, 0.006, 0.003, 0.001, 0.0006, 0.0003):
    np.random.seed(0)
    net, accuracy, _ = trained(rate, arguments.iterations, reg=0.55)
    tried[rate] = accuracy, net
    print(f"validation accuracy at {rate:g}: {accuracy:.3f}")
rate, (accuracy, best) = max(tried.items(), key=lambda item: item[1][0])
figure, axes = plt.subplots(layout="constrained")
axes.semilogx(list(tried), [accuracy for accuracy, _ in tried.values()], "o-")
axes.set(xlabel="learning rate", ylabel="validation accuracy")
figure.savefig("learning_rates.png", dpi=100)

# %% [markdown] answer
# ## What did they learn, and how do the two pictures differ?
# The weights into each hidden unit, as a picture. Those of the first try are near to the noise that they began as, a
# few with a trace of the mean car. Those of the best net are smooth patches of colour and outlines: each unit has
# found something to look for.

# %%
figure, panels = plt.subplots(1, 2, figsize=(10, 5), layout="constrained")
for panel, title, net in ((panels[0], "first try", first), (panels[1], "best", best)):
    panel.imshow(visualize_grid(net.params["W1"].reshape(-1, 32, 32, 3), padding=3).astype(np.uint8))
    panel.set(title=title, xticks=[], yticks=[])
figure.savefig("weights.png", dpi=100)

# %% [markdown]
# ## The test
# Once, by the net that validation chose (at least 0.50).

# %%
print(f"test accuracy of the best ({rate:g}): {np.mean(best.predict(data['X_test']) == data['y_test']):.3f}")
