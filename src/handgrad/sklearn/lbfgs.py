"""L-BFGS: SciPy's quasi-Newton minimiser on the flat vector of all parameters."""

import numpy as np
from scipy import optimize

from ..layers import Dropout
from ..layers.base import leaves
from ..layers.description import load_arrays
from .engine import TableEngine


def minimize(model, loss, x, y, sample_weight, alpha, max_iter, max_fun, tol, report):
    """Move the model to a minimum of loss and penalty over all rows at once; returns SciPy's result.

    Everything is computed in float64: the line search compares losses too close for float32. report(loss) is called
    after every iteration. Byrd, Lu, Nocedal & Zhu (1995).
    """
    check_deterministic(model)
    double = model.astype(np.float64)
    engine = TableEngine(double, loss, optimizer=None, alpha=alpha)
    x, y = x.astype(np.float64), y.astype(np.float64) if y.dtype.kind == "f" else y
    latest = {}

    def loss_and_gradient(vector):
        double.parameter_vector[...] = vector
        latest["loss"] = engine.differentiate(x, y, sample_weight)
        return latest["loss"], double.gradient_vector.copy()

    result = optimize.minimize(
        loss_and_gradient,
        double.parameter_vector.copy(),
        jac=True,
        method="L-BFGS-B",
        callback=lambda vector: report(latest["loss"]),
        options={"maxfun": max_fun, "maxiter": max_iter, "gtol": tol},
    )
    double.parameter_vector[...] = result.x
    load_arrays(model, {**double.parameters, **{f"state.{name}": array for name, array in double.state.items()}})
    return result


def check_deterministic(model):
    for layer in leaves(model):
        if isinstance(layer, Dropout):
            raise ValueError(
                f"solver='lbfgs' needs the same loss for the same weights, which {layer.label} does not "
                "give: use solver='adam' or 'sgd' with dropout"
            )
