"""The NumPy engine: the five methods that a trainer drives. Another engine (PyTorch's) has the same five.

One that works elsewhere may also have place(array), which takes training data there; adapt(augment), the augmentation
for data that are there; and bring_home(), called after every epoch, which updates the model object.
"""

import math

import numpy as np

from ..layers.containers import load_arrays


class NumpyEngine:
    """step, evaluate, predict, state, load_state, on a model of `handgrad.layers`.

    penalty: L2 or L1 of the weights, part of every loss reported. metrics: {name: function(outputs, targets)}.
    on_gradients: called, where set, with {'linear1.weight': gradient, ...} between backward and update.
    """

    def __init__(self, model, loss, optimizer, penalty=None, metrics=None):
        self.model, self.loss, self.optimizer, self.penalty = model, loss, optimizer, penalty
        self.metrics, self.on_gradients = metrics or {}, None

    def step(self, x, y, sample_weight=None, metrics=False):
        """One training step on one batch: forward, loss, backward, update. Returns {'loss': ...} and the metrics.

        A loss that is NaN or infinite raises FloatingPointError before anything is updated.
        """
        model = self.model
        outputs = model.forward(x, training=True)
        loss = self.loss.forward(outputs, y, sample_weight)
        if not math.isfinite(loss):
            raise FloatingPointError(why_not_finite(model, x, loss))
        model.backward(self.loss.backward(), input_gradient=False)
        if self.penalty is not None:
            loss += self.penalty.add(model.parameters, model.gradients)
        if self.on_gradients is not None:
            self.on_gradients(model.gradients)
        self.optimizer.update(*self._arrays())
        figures = {"loss": float(loss)}
        if metrics:
            figures.update((name, float(metric(outputs, y))) for name, metric in self.metrics.items())
        return figures

    def evaluate(self, x, y, sample_weight=None, batch_size=256):
        """{'loss': ..., 'accuracy': ...} over all rows, in inference."""
        outputs = self.model.predict(x, batch_size)
        loss = self.loss(outputs, y, sample_weight)
        if self.penalty is not None:
            loss += self.penalty(self.model.parameters)
        return {"loss": float(loss), **{name: float(metric(outputs, y)) for name, metric in self.metrics.items()}}

    def predict(self, x, batch_size=256):
        """The model's outputs for all rows."""
        return self.model.predict(x, batch_size)

    def state(self):
        """Copies of everything that training has changed, as nested plain data and arrays."""
        model = self.model
        return {
            "parameters": {k: v.copy() for k, v in model.parameters.items()},
            "state": {k: v.copy() for k, v in model.state.items()},
            "optimizer": self.optimizer.state(),
        }

    def load_state(self, state):
        """Go back to what `state` returned, to the bit."""
        arrays = {**state["parameters"], **{f"state.{k}": v for k, v in state["state"].items()}}
        load_arrays(self.model, arrays, "this training state")
        self.optimizer.load_state(state["optimizer"])

    def _arrays(self):
        """Parameters and gradients as the optimizer wants them: one flat vector each, where it can take that."""
        clipping = self.optimizer.clipping
        if clipping is not None and clipping.per_parameter:
            return list(self.model.parameters.values()), list(self.model.gradients.values())
        return [self.model.parameter_vector], [self.model.gradient_vector]


def why_not_finite(model, x, loss):
    """Why the loss is not finite: the first parameter, or else the first layer's output, that is not."""
    for name, array in model.parameters.items():
        if not np.isfinite(array).all():
            return (
                f"the loss became {loss}: parameter '{name}' is not finite, so the last update overflowed; "
                "lower the learning_rate or clip the gradients"
            )
    for layer, y in model.trace(x):
        if not np.isfinite(y).all():
            return (
                f"the loss became {loss}: layer '{layer.label}' is the first whose output is not finite; "
                "lower the learning_rate, or look at its input"
            )
    return f"the loss became {loss} on finite outputs: look at the targets and sample weights of this batch"
