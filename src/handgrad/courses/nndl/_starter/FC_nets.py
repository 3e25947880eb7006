"""Homework 3: layers as functions, and networks of them, trained by the Solver; also a notebook, FC_nets.ipynb."""

# %% [markdown]
# # Layers as functions
# In `nndl/layers.py` each layer is two functions: `x_forward(...)` returns the output and a cache of what `x_backward`
# will need; that one takes the gradient by the output, and returns those by all that went in. A network is then a few
# calls forward and the same calls backward. `nndl/layer_tests.py` compares each with printed values or differences.

# %%
from functools import partial

import matplotlib.pyplot as plt
import numpy as np
from arguments import script_arguments
from nndl import layer_tests
from nndl.fc_net import FullyConnectedNet, TwoLayerNet
from nndl.layers import softmax_loss, svm_loss
from utils.data_utils import get_CIFAR10_data
from utils.solver import Solver

arguments = script_arguments(__doc__, rows=(49_000, 49_000), epochs=10)
np.random.seed(1)
layer_tests.affine_forward_test()
layer_tests.affine_backward_test()
layer_tests.relu_forward_test()
layer_tests.relu_backward_test()
layer_tests.affine_relu_test()

# %% [markdown]
# ## Losses
# With small random scores for ten classes nothing is known yet: the hinge loss must be near 9, one for each wrong
# class, and the cross-entropy near log 10 = 2.303.

# %%
x, y = 0.001 * np.random.randn(50, 10), np.random.randint(10, size=50)
for loss in (svm_loss, softmax_loss):
    value, dx = loss(x, y)
    numeric = layer_tests.eval_numerical_gradient(partial(lambda loss, x: loss(x, y)[0], loss), x, verbose=False)
    print(f"{loss.__name__}: {value:.3f}, dx error: {layer_tests.rel_error(numeric, dx):.1e}")

# %% [markdown]
# ## Networks of any depth
# The loss without a penalty must be near 2.3 again; gradients agree with differences to about 1e-7, where a ReLU lies
# within a step of its kink a little less.

# %%
layer_tests.fc_net_test()

# %% [markdown]
# ## Can it learn by heart?
# Three layers know 50 images by heart after 20 epochs: a training accuracy of 1. A network that cannot is broken. The
# validation accuracy says the rest: to know 50 images is not to know what a cat looks like.

# %%
data = get_CIFAR10_data(num_training=arguments.rows)
np.random.seed(0)
few = {**data, "X_train": data["X_train"][:50], "y_train": data["y_train"][:50]}
settings = dict(optim_config={"learning_rate": 1e-3}, verbose=False)
net = FullyConnectedNet([100, 100], weight_scale=3e-2, dtype=np.float64)
small = Solver(net, few, num_epochs=20, batch_size=25, **settings)
small.train()
accuracies = small.train_acc_history[-1], small.val_acc_history[-1]
print("training accuracy on 50 images: {:.3f}, on validation images {:.3f}".format(*accuracies))

# %% [markdown]
# ## The Solver
# A network of two layers on all images: it must pass a validation accuracy of 0.50. The learning rate falls by a
# twentieth with each epoch, and the parameters of the best epoch are kept.

# %%
np.random.seed(0)
net = TwoLayerNet(hidden_dims=200)
solver = Solver(net, data, num_epochs=arguments.epochs, batch_size=100, lr_decay=0.95, **settings)
solver.train()
print(f"final validation accuracy: {solver.val_acc_history[-1]:.3f}, best {solver.best_val_acc:.3f}")
figure, (left, right) = plt.subplots(1, 2, figsize=(10, 3.6), layout="constrained")
left.plot(solver.loss_history, ".", markersize=1)
left.set(xlabel="iteration", ylabel="loss of a batch")
right.plot(solver.train_acc_history, label="training")
right.plot(solver.val_acc_history, label="validation")
right.set(xlabel="epoch", ylabel="accuracy")
right.legend()
figure.savefig("solver.png", dpi=100)
