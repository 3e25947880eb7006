"""What every layer of the course has: dictionaries of parameters, of their gradients, and of what backward needs."""

from abc import ABC, abstractmethod
from collections import OrderedDict

import numpy as np

from .activations import initialize_activation
from .weights import initialize_weights


class Layer(ABC):
    """forward(X) fills the cache, backward(dLdY) fills the gradients and returns dL/dX."""

    def __init__(self):
        self.activation = None
        self.n_in = None
        self.n_out = None
        self.parameters = {}
        self.cache = {}
        self.gradients = {}

    @abstractmethod
    def forward(self, X):
        """The layer's output for a batch."""

    def clear_gradients(self):
        """Empty the cache and set the gradients to zero, the keys kept."""
        self.cache = OrderedDict((name, []) for name in self.cache)
        self.gradients = OrderedDict((name, np.zeros_like(value)) for name, value in self.gradients.items())

    def forward_with_param(self, param_name, X):
        """forward at X as a function of one parameter, for a numeric check; each call sets the parameter."""

        def forward_at(param_val):
            self.parameters[param_name] = param_val
            return self.forward(X)

        return forward_at

    def _get_parameters(self):
        return list(self.parameters.values())

    def _get_cache(self):
        return list(self.cache.values())

    def _get_gradients(self):
        return list(self.gradients.values())

    def _set_parameters(self, cache_names, **parameters):
        """Parameters in this order, gradients of zero beside them, an empty cache of these names."""
        self.parameters = OrderedDict(parameters)
        self.gradients = OrderedDict((name, np.zeros_like(value)) for name, value in parameters.items())
        self.cache = OrderedDict((name, []) for name in cache_names)


class WeightedLayer(Layer):
    """A layer with a weight W, a bias b and an activation after them; the weight is drawn at the first forward."""

    def __init__(self, n_out, activation, weight_init="xavier_uniform"):
        super().__init__()
        self.n_out = n_out
        self.activation = initialize_activation(activation)
        self.init_weights = initialize_weights(weight_init, activation=activation)

    def _set_gradients(self, dW, db):
        self.gradients["W"], self.gradients["b"] = dW, db.reshape(self.parameters["b"].shape)
