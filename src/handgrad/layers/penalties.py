"""Penalties as objects: what large weights cost. Biases, gamma and beta are left alone."""

from .. import functional as F
from ..naming import build, check_number, constructor_arguments


class Penalty:
    """A pair of `handgrad.functional` applied to every parameter called 'weight' or '..._weight', times a strength."""

    pair: tuple  # (forward, backward)

    def __init__(self, strength):
        self.strength = check_number(type(self).__name__, "strength", strength, minimum=0)

    def __call__(self, parameters):
        """The penalty of {'linear1.weight': array, ...}, a float."""
        return sum(self.pair[0](weight, self.strength)[0] for weight in weights(parameters).values())

    def add(self, parameters, gradients):
        """Add the penalty's gradient to the gradients, in place; returns the penalty."""
        total = 0.0
        for name, weight in weights(parameters).items():
            value, cache = self.pair[0](weight, self.strength)
            gradient = gradients[name]
            gradient += self.pair[1](1.0, cache)[0]
            total += value
        return total

    def __repr__(self):
        return f"{type(self).__name__}({', '.join(f'{k}={v!r}' for k, v in constructor_arguments(self).items())})"


class L2(Penalty):
    """½ strength Σ w²: its gradient is strength w."""

    pair = F.l2_penalty_forward, F.l2_penalty_backward


class L1(Penalty):
    """strength Σ |w|: its gradient is strength sign(w)."""

    pair = F.l1_penalty_forward, F.l1_penalty_backward


PENALTIES = {"l2": L2, "l1": L1}


def get_penalty(spec):
    """A penalty from {"name": "l2", "strength": 1e-4}, the penalty itself, or None."""
    return spec if spec is None else build("penalty", spec, PENALTIES)


def weights(parameters):
    """The arrays that penalties count: those named 'weight' or 'recurrent_weight', alone or in a model."""
    return {name: array for name, array in parameters.items() if name.endswith("weight")}
