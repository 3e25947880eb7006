"""What every layer of the course has: dictionaries of parameters, of their gradients, and of what backward needs."""

from abc import ABC, abstractmethod
from collections import OrderedDict
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ...arrays import Array
from .activations import Activation, initialize_activation
from .weights import WeightInitializer, initialize_weights


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

    def _set_gradients(self, dW: Array, db: Array) -> None:
        self.gradients["W"], self.gradients["b"] = dW, db.reshape(self.parameters["b"].shape)
