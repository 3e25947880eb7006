"""neural_networks.layers: dense, convolutional, pooling, flattening, recurrent and normalizing layers, by name."""

from abc import ABC, abstractmethod
from collections import OrderedDict
from collections.abc import Callable, Sequence
from inspect import signature
from typing import Any

import numpy as np

from .activations import Activation, initialize_activation
from .utils.convolution import add_windows, pad2d, unpad2d, windows
from .utils.data_structures import Array, Shape, floats
from .weights import WeightInitializer, initialize_weights


def initialize_layer(name: str, **arguments: Any) -> "Layer":
    """The layer of that name, with those of the arguments that it takes; None stands for the layer's default."""
    if name not in LAYERS:
        raise NotImplementedError(f"Layer type {name} is not implemented")
    known = {argument for layer in LAYERS.values() for argument in signature(layer).parameters}
    if unknown := set(arguments) - known:
        raise TypeError(f"no layer takes {min(unknown)!r}: expected some of {', '.join(sorted(known))}")
    given = {"momentum": 0.95, **arguments}  # of batch normalization, whose own default is another
    takes = signature(LAYERS[name]).parameters
    return LAYERS[name](**{key: value for key, value in given.items() if key in takes and value is not None})


class Layer(ABC):
    """forward(X) fills the cache, backward(dLdY) fills the gradients and returns dL/dX."""

    def __init__(self) -> None:
        self.activation: Activation | None = None
        self.n_in: int | None = None
        self.n_out: int | None = None
        self.parameters: dict[str, Array] = {}
        self.cache: dict[str, Any] = {}
        self.gradients: dict[str, Array] = {}

    @abstractmethod
    def forward(self, X: Array) -> Array:
        """The layer's output for a batch."""

    @abstractmethod
    def backward(self, dLdY: Array) -> Any:
        """dL/dX, an array or for a sequence a list of them; stores the gradients of the parameters."""

    def clear_gradients(self) -> None:
        """Empty the cache and set the gradients to zero, the keys kept."""
        self.cache = OrderedDict((name, []) for name in self.cache)
        self.gradients = OrderedDict((name, np.zeros_like(value)) for name, value in self.gradients.items())

    def forward_with_param(self, param_name: str, X: Array) -> Callable[[Array], Array]:
        """forward at X as a function of one parameter, for a numeric check; each call sets the parameter."""

        def forward_at(param_val: Array) -> Array:
            self.parameters[param_name] = param_val
            return self.forward(X)

        return forward_at

    def _get_parameters(self) -> list[Array]:
        return list(self.parameters.values())

    def _get_cache(self) -> list[Any]:
        return list(self.cache.values())

    def _get_gradients(self) -> list[Array]:
        return list(self.gradients.values())

    def _set_parameters(self, cache_names: Sequence[str], **parameters: Array) -> None:
        """Parameters in this order, gradients of zero beside them, an empty cache of these names."""
        self.parameters = OrderedDict(parameters)
        self.gradients = OrderedDict((name, np.zeros_like(value)) for name, value in parameters.items())
        self.cache = OrderedDict((name, []) for name in cache_names)


class WeightedLayer(Layer):
    """A layer with a weight W, a bias b and an activation after them; the weight is drawn at the first forward."""

    activation: Activation
    n_out: int
    init_weights: WeightInitializer

    def __init__(self, n_out: int, activation: str, weight_init: str = "xavier_uniform") -> None:
        super().__init__()
        self.n_out = n_out
        self.activation = initialize_activation(activation)
        self.init_weights = initialize_weights(weight_init, activation=activation)


class FullyConnected(WeightedLayer):
    """Y = activation(X W + b) for X (batch, n_in), W (n_in, n_out), b (1, n_out)."""

    def _init_parameters(self, X_shape: Shape) -> None:
        """Settle n_in by X_shape (batch, n_in); draw W (n_in, n_out), set b (1, n_out) to zeros.

        `self._set_parameters` stores them, with gradients of zero and an empty cache of "Z" and "X".
        """
        self.n_in: int | None = X_shape[1]
        W = self.init_weights((X_shape[1], self.n_out))
        self._set_parameters(("Z", "X"), W=W, b=np.zeros((1, self.n_out)))

    def forward(self, X: Array) -> Array:
        """activation(Z), Z = X W + b; keeps Z and X in the cache. The first call creates the parameters."""
        X = floats(X)
        if self.n_in is None:
            self._init_parameters(X.shape)
        Z = X @ self.parameters["W"] + self.parameters["b"]
        self.cache["Z"], self.cache["X"] = Z, X
        return self.activation(Z)

    def backward(self, dLdY: Array) -> Array:
        """dL/dX; stores dL/dW and dL/db, sums over the batch: the mean, if any, is the loss's."""
        dZ = self.activation.backward(self.cache["Z"], dLdY)
        self.gradients["W"] = self.cache["X"].T @ dZ
        self.gradients["b"] = dZ.sum(axis=0, keepdims=True)
        dX: Array = dZ @ self.parameters["W"].T
        return dX


def both_sides(kernel_shape: int | Sequence[int]) -> tuple[int, ...]:
    """(height, width); one number stands for both."""
    return (kernel_shape, kernel_shape) if isinstance(kernel_shape, int) else tuple(kernel_shape)


def resolve_pad(pad: Any, kernel_shape: Sequence[int]) -> tuple[int, int]:
    """(vertical, horizontal) padding for 'same', 'valid' or an int; ValueError for anything else.

    'same' is (kernel - 1) // 2 on both sides, whatever the stride: with an even kernel the output is one smaller.
    """
    if pad == "same":
        return (kernel_shape[0] - 1) // 2, (kernel_shape[1] - 1) // 2
    if pad == "valid":
        return 0, 0
    if isinstance(pad, (int, np.integer)):
        return int(pad), int(pad)
    raise ValueError("Invalid Pad mode found in self.pad.")


class Conv2D(WeightedLayer):
    """Z[d1, d2, n] = Σ W[i, j, c, n] X[stride d1 + i, stride d2 + j, c] + b[n], then the activation.

    X is (batch, rows, columns, channels) and is padded with zeros, W (kernel rows, kernel columns, channels, n_out),
    b (1, n_out).
    """

    def __init__(
        self,
        n_out: int,
        kernel_shape: int | Sequence[int],
        activation: str,
        stride: int = 1,
        pad: int | str = "same",
        weight_init: str = "xavier_uniform",
    ) -> None:
        super().__init__(n_out, activation, weight_init)
        self.kernel_shape: tuple[int, ...] = both_sides(kernel_shape)
        self.stride = stride
        self.pad: int | str | tuple[int, int] = pad

    def _init_parameters(self, X_shape: Shape) -> None:
        """Draw the weight for images of this shape, and settle the padding."""
        self.pad = resolve_pad(self.pad, self.kernel_shape)
        self.n_in: int | None = X_shape[3]
        W = self.init_weights((*self.kernel_shape, X_shape[3], self.n_out))
        self._set_parameters(("Z", "X"), W=W, b=np.zeros((1, self.n_out)))

    def forward(self, X: Array) -> Array:
        """activation(Z), (batch, out rows, out columns, n_out); keeps Z and X in the cache.

        The first call creates the parameters; from then on `self.pad` is (vertical, horizontal).
        """
        X = floats(X)
        if self.n_in is None:
            self._init_parameters(X.shape)
        X_pad, _ = pad2d(X, self.pad, self.kernel_shape, self.stride)
        seen = windows(X_pad, self.kernel_shape, self.stride)
        Z = np.tensordot(seen, self.parameters["W"], axes=3) + self.parameters["b"]
        self.cache["Z"], self.cache["X"] = Z, X
        return self.activation(Z)

    def backward(self, dLdY: Array) -> Array:
        """dL/dX in the shape of X; stores dL/dW, in the shape of W, and dL/db, (1, n_out)."""
        dZ = self.activation.backward(self.cache["Z"], dLdY)
        X_pad, p = pad2d(self.cache["X"], self.pad, self.kernel_shape, self.stride)
        seen = windows(X_pad, self.kernel_shape, self.stride)
        self.gradients["W"] = np.tensordot(seen, dZ, axes=((0, 1, 2), (0, 1, 2)))
        self.gradients["b"] = dZ.sum(axis=(0, 1, 2)).reshape(1, -1)
        dwindows = np.tensordot(dZ, self.parameters["W"], axes=(3, 3))
        return unpad2d(add_windows(dwindows, X_pad.shape, self.stride), p)

    def forward_faster(self, X: Array) -> Array:
        """Spring 2020's name for a convolution by matrix products, which forward is already."""
        return self.forward(X)

    def backward_faster(self, dLdY: Array) -> Array:
        """Spring 2020's counterpart of forward_faster."""
        return self.backward(dLdY)


class Pool2D(Layer):
    """The maximum or the average of each window, mode 'max' or 'average'.

    Padding is with zeros for both, as in the course: its tests depend on it. So a padded window of negative numbers
    has the maximum 0, where PyTorch's MaxPool2d would never let padding win.
    """

    POOL: dict[str, Callable[..., Any]] = {"max": np.max, "average": np.mean}

    def __init__(
        self, kernel_shape: int | Sequence[int], mode: str = "max", stride: int = 1, pad: int | str = 0
    ) -> None:
        super().__init__()
        self.kernel_shape: tuple[int, ...] = both_sides(kernel_shape)
        self.stride: int = stride
        self.mode: str = mode
        self.pad: tuple[int, int] = resolve_pad(pad, self.kernel_shape)
        if mode not in self.POOL:
            raise NotImplementedError(f"{mode} pooling is not implemented: expected max or average")
        self.pool_fn: Callable[..., Any] = self.POOL[mode]
        self.cache: dict[str, Any] = {name: [] for name in ("X", "out_rows", "out_cols", "X_pad", "p", "pool_shape")}

    def forward(self, X: Array) -> Array:
        """`self.pool_fn` of each window of X (batch, rows, columns, channels), by channel: the same four axes.

        Keeps in the cache X, X_pad and its padding p as `pad2d` returns them, and the output's out_rows, out_cols
        and pool_shape.
        """
        X_pad, p = pad2d(floats(X), self.pad, self.kernel_shape, self.stride)
        X_pool: Array = self.pool_fn(windows(X_pad, self.kernel_shape, self.stride), axis=(3, 4))
        out_rows, out_cols = X_pool.shape[1:3]
        self.cache.update(X=X, X_pad=X_pad, p=p, out_rows=out_rows, out_cols=out_cols, pool_shape=X_pool.shape)
        return X_pool

    def backward(self, dLdY: Array) -> Array:
        """dL/dX: to the first maximum of each window, or in equal shares; windows that overlap add up."""
        seen = windows(self.cache["X_pad"], self.kernel_shape, self.stride)
        shares = np.full(seen.shape, 1 / np.prod(self.kernel_shape))
        if self.mode == "max":
            flat = seen.reshape(*seen.shape[:3], -1, seen.shape[5])
            is_first = np.arange(flat.shape[3])[:, None] == flat.argmax(axis=3)[:, :, :, None]
            shares = is_first.reshape(seen.shape)
        dX_pad = add_windows(shares * dLdY[:, :, :, None, None], self.cache["X_pad"].shape, self.stride)
        return unpad2d(dX_pad, self.cache["p"])


class Flatten(Layer):
    """Rows of all but the first axis (keep_dim 'first'), or columns of all but the last ('last'); -1: one row."""

    def __init__(self, keep_dim: str | int = "first") -> None:
        super().__init__()
        self.keep_dim = keep_dim
        self.cache: dict[str, Any] = {"in_dims": []}

    def forward(self, X: Array, retain_derived: bool = True) -> Array:
        if retain_derived:
            self.cache["in_dims"] = X.shape
        if self.keep_dim == -1:
            return X.reshape(1, -1)
        return X.reshape((X.shape[0], -1) if self.keep_dim == "first" else (-1, X.shape[-1]))

    def backward(self, dLdY: Array) -> Array:
        return dLdY.reshape(self.cache["in_dims"])


class Elman(WeightedLayer):
    """s_t = activation(X_t W + s_{t-1} U + b) for X (batch, features, T), s_0 = 0; the output is the last state."""

    def __init__(self, n_out: int, activation: str = "tanh", weight_init: str = "xavier_uniform") -> None:
        super().__init__(n_out, activation, weight_init)

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
        Z = X @ W + self.cache["s"][-1] @ U + b
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
        gradients = {name: np.zeros_like(value) for name, value in self.parameters.items()}
        dX: list[Array] = []
        for X, Z, before in reversed(list(zip(self.cache["X"], self.cache["Z"], self.cache["s"], strict=False))):
            dZ = self.activation.backward(Z, dLdY)
            gradients["W"] += X.T @ dZ
            gradients["U"] += before.T @ dZ
            gradients["b"] += dZ.sum(axis=0, keepdims=True)
            dX.append(dZ @ self.parameters["W"].T)
            dLdY = dZ @ self.parameters["U"].T
        self.gradients.update(gradients)
        return dX[::-1]


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
        self.n_in: int | None = n_in
        self.eps: float = eps
        self.momentum: float = momentum
        self.init_weights = weight_init
        self.training = True  # False: forward goes by the running averages whatever its mode; NeuralNetwork sets it
        if n_in is not None:
            self._init_parameters((-1, n_in))

    def _init_parameters(self, X_shape: Shape) -> None:
        self.n_in = X_shape[1]
        self.n_out: int | None = X_shape[1]
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
        self._by_batch = self.training and mode == "train"
        if self._by_batch:
            self.cache["mu"], self.cache["var"] = X.mean(axis=0, keepdims=True), X.var(axis=0, keepdims=True)
            for running, batch in zip(self.RUNNING, ("mu", "var"), strict=True):
                new = (1 - self.momentum) * self.cache[batch]
                self.cache[running] = self.momentum * self.cache[running] + new
        mu, var = (self.cache[name] for name in (("mu", "var") if self._by_batch else self.RUNNING))
        self._std = np.sqrt(var + self.eps)
        self.cache["X"], self.cache["X_hat"] = X, (X - mu) / self._std
        Y: Array = self.parameters["gamma"] * self.cache["X_hat"] + self.parameters["beta"]
        return Y

    def backward(self, dY: Array) -> Array:
        """dL/dX; stores dL/dgamma and dL/dbeta."""
        X_hat = self.cache["X_hat"]
        self.gradients["gamma"] = np.sum(dY * X_hat, axis=0, keepdims=True)
        self.gradients["beta"] = np.sum(dY, axis=0, keepdims=True)
        dX: Array = self.parameters["gamma"] / self._std * dY
        if self._by_batch:  # the batch's mean and variance depend on X too
            dX = dX - dX.mean(axis=0) - X_hat * np.mean(dX * X_hat, axis=0)
        return dX


LAYERS: dict[str, Callable[..., Layer]] = dict(
    fully_connected=FullyConnected, conv2d=Conv2D, pool2d=Pool2D, flatten=Flatten
)
LAYERS.update(elman=Elman, batchnorm1d=BatchNorm1D)
