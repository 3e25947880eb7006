"""Elman's recurrent network (Spring 2020) and batch normalization (2025), on handgrad's pairs."""

from typing import Any

import numpy as np

from ... import functional as F
from ...arrays import Array, Shape
from ...functional.normalization import batch_statistics
from ._base import Layer, WeightedLayer
from .activations import floats

PAIR_NAMES = {"linear": "identity"}  # where the course's name of an activation is not handgrad's


class Elman(WeightedLayer):
    """s_t = activation(X_t W + s_{t-1} U + b) for X (batch, features, T), s_0 = 0; the output is the last state."""

    def __init__(self, n_out: int, activation: str = "tanh", weight_init: str = "xavier_uniform") -> None:
        super().__init__(n_out, activation, weight_init)
        self._pair_activation = PAIR_NAMES.get(activation, activation)

    def _init_parameters(self, X_shape: Shape) -> None:
        """Draw W, then U; X_shape is (batch, features)."""
        self.n_in: int | None = X_shape[1]
        W = self.init_weights((X_shape[1], self.n_out))
        U = self.init_weights((self.n_out, self.n_out))
        self._set_parameters(("s", "Z", "X"), W=W, U=U, b=np.zeros((1, self.n_out)))

    def _init_cache(self, X_shape: Shape) -> None:
        """The state before the first step, and empty lists for what the steps leave."""
        self.cache["s"] = [np.zeros((X_shape[0], self.n_out))]
        self.cache["Z"], self.cache["X"] = [], []

    def forward_step(self, X: Array) -> Array:
        """The next state for X_t (batch, features), from the last state of the cache; both are kept there."""
        W, U, b = (self.parameters[name] for name in "WUb")
        Z = F.linear_forward(X, W, b)[0] + self.cache["s"][-1] @ U
        out = self.activation(Z)
        self.cache["X"].append(X)
        self.cache["Z"].append(Z)
        self.cache["s"].append(out)
        return out

    def forward(self, X: Array) -> Array:
        """The state after the last of the T steps, (batch, n_out)."""
        X = floats(X)
        if self.n_in is None:
            self._init_parameters(X.shape[:2])
        self._init_cache(X.shape)
        for t in range(X.shape[2]):
            self.forward_step(X[:, :, t])
        last: Array = self.cache["s"][-1]
        return last

    def backward(self, dLdY: Array) -> list[Array]:
        """Back through time from the last state: a list of T arrays dL/dX_t (batch, features), in order of time."""
        W, U, b = (self.parameters[name] for name in "WUb")
        X = np.stack(self.cache["X"], axis=1)
        states, cache = F.rnn_forward(X, self.cache["s"][0], W, U, np.ravel(b), activation=self._pair_activation)
        dstates = np.zeros_like(states)
        dstates[:, -1] = dLdY
        dX, _, dW, dU, db = F.rnn_backward(dstates, cache)
        self._set_gradients(dW, db)
        self.gradients["U"] = dU
        return list(dX.transpose(1, 0, 2))


class BatchNorm1D(Layer):
    """Normalize each feature of X (batch, features) over the batch, then scale by gamma and shift by beta.

    running = momentum · running + (1 - momentum) · batch, from zero, the variance biased: momentum weights what was,
    where PyTorch's weights what is new. The running averages outlive clear_gradients (in the course they are lost
    with the cache, so that its own model cannot train with this layer). n_in is settled by the first batch.
    """

    RUNNING = ("running_mu", "running_var")

    def __init__(
        self,
        weight_init: str | None = "xavier_uniform",
        eps: float = 1e-8,
        momentum: float = 0.9,
        n_in: int | None = None,
    ) -> None:
        super().__init__()
        self.n_in, self.eps, self.momentum = n_in, eps, momentum
        self.init_weights = weight_init
        self.training = True  # False: forward goes by the running averages whatever its mode; NeuralNetwork sets it
        if n_in is not None:
            self._init_parameters((-1, n_in))

    def _init_parameters(self, X_shape: Shape) -> None:
        self.n_in = self.n_out = X_shape[1]
        ones = np.ones((1, X_shape[1]))
        self._set_parameters(("X", "X_hat", "mu", "var", *self.RUNNING), gamma=ones, beta=np.zeros_like(ones))
        self.cache["running_mu"], self.cache["running_var"] = np.zeros_like(ones), np.zeros_like(ones)

    def clear_gradients(self) -> None:
        running = {name: self.cache[name] for name in self.RUNNING if name in self.cache}
        super().clear_gradients()
        self.cache.update(running)

    def forward(self, X: Array, mode: str = "train") -> Array:
        """mode 'train' normalizes by the batch, 'test' by the running averages."""
        X = floats(X)
        if self.n_in is None:
            self._init_parameters(X.shape)
        training = self.training and mode == "train"
        gamma, beta = np.ravel(self.parameters["gamma"]), np.ravel(self.parameters["beta"])
        if training:
            batch = batch_statistics(X, (0,))
            batch.update(self.cache["running_mu"], self.cache["running_var"], 1 - self.momentum, unbiased=False)
            self.cache["mu"], self.cache["var"] = batch.mean[None], batch.var[None]
        running: dict[str, Any] = {
            f"running_{ours}": np.ravel(self.cache[f"running_{theirs}"])
            for ours, theirs in (("mean", "mu"), ("var", "var"))
        }
        Y, self._pair_cache = F.batch_norm_forward(
            X, gamma, beta, training=training, epsilon=self.eps, **({} if training else running)
        )
        self.cache["X"], self.cache["X_hat"] = X, self._pair_cache[0]
        return Y

    def backward(self, dY: Array) -> Array:
        """dL/dX; stores dL/dgamma and dL/dbeta."""
        dX, dgamma, dbeta = F.batch_norm_backward(dY, self._pair_cache)
        for name, gradient in (("gamma", dgamma), ("beta", dbeta)):
            self.gradients[name] = gradient.reshape(self.parameters[name].shape)
        return dX
