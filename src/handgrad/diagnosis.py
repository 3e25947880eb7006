"""What ails a network: units that never or always fire, and layers that learn too little or too much."""

from __future__ import annotations

import copy
import math
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import astuple, dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from . import functional as F
from . import optimizers
from .arrays import Array, ArrayLike, MappedRows, array_of, rows_of
from .layers.activations import ACTIVATIONS, ReLU
from .layers.base import walk
from .layers.containers import Sequential
from .layers.criteria import get_loss
from .naming import advised, check_count
from .text import aligned
from .training.batches import check_data, check_rows
from .training.engine import NumpyEngine

if TYPE_CHECKING:
    from .layers.base import Layer
    from .layers.criteria import Loss
    from .optimizers import Optimizer

MANY_DEAD = 0.1  # fewer dead units than this share of a layer are no cause for advice: the others do the work
FLAT = 0.01  # a slope below this share of the activation's steepest
OFTEN = 0.95  # a unit is saturated when it is flat for this share of what it sees
STEP_ROWS = 256  # gradients are those of one batch of this many examples
# at output y, as a share of the activation's steepest slope
OF_NAMES = ((cls, F.ACTIVATIONS[name].slope) for name, cls in ACTIVATIONS.items())
SLOPES: dict[type[Layer], Callable[..., Array]] = {cls: slope for cls, slope in OF_NAMES if slope}


@dataclass
class LayerFindings:
    """What one layer does; None where the question does not arise.

    Attributes
    ----------
    name, kind : str
        'relu1' and 'ReLU'.
    num_units : int
        Features, or channels of an image.
    num_dead : int, optional
        Units of a ReLU whose output is 0 for every example: no gradient reaches their weights, so they stay so.
        From a tenth of a layer's units on there is advice.
    num_saturated : int, optional
        Units with next to no slope, under 1% of the activation's steepest, for 95% of what they see.
    gradient : float, optional
        The L2 norm of the gradients of the layer's parameters.
    update : float, optional
        The L2 norm of one step's change, as a share of the parameters' own.
    dead : list of int
        The numbers of the dead units, from 0.
    """

    name: str
    kind: str
    num_units: int
    num_dead: int | None = None
    num_saturated: int | None = None
    gradient: float | None = None
    update: float | None = None
    dead: list[int] = field(default_factory=list)


@dataclass
class Diagnosis:
    """Findings per layer and advice in one line each; print it.

    Attributes
    ----------
    num_examples : int
        The examples looked at.
    layers : list of LayerFindings
        One of each layer, in their order.
    advice : list of str
        What to change and why, a sentence each; empty where nothing ails the network.
    """

    num_examples: int
    layers: list[LayerFindings] = field(default_factory=list)
    advice: list[str] = field(default_factory=list)

    @property
    def ok(self) -> bool:
        """Whether there is nothing to advise."""
        return not self.advice

    def __str__(self) -> str:
        columns = ("layer", "kind", ">units", ">dead", ">saturated", ">gradient", ">update")
        table = aligned(columns, [tuple(map(cell, astuple(layer)[:-1])) for layer in self.layers])
        return "\n".join([f"{self.num_examples} examples", *table, *(self.advice or ["nothing to advise"])])


@advised
def diagnose(
    model: Sequential,
    x: ArrayLike,
    y: ArrayLike | None = None,
    loss: str | Loss | None = None,
    optimizer: str | dict[str, Any] | Optimizer | None = None,
) -> Diagnosis:
    """Look for dead and saturated units, and with targets for gradients and updates of a wrong size.

    Parameters
    ----------
    model : Sequential
        A built model; it stays as it is.
    x : array_like of shape (N, ...)
        Examples as the model takes them, N at least 1. Units are counted over all of them.
    y : array_like of shape (N, ...), optional
        Their targets: the gradients of one batch, the first 256 rows, are measured as well.
    loss : str or Loss, optional
        By default cross-entropy for whole-number targets, else the mean squared error.
    optimizer : str, dict or Optimizer, optional
        With one, the size of the step it would take is measured; it stays as it is.

    Returns
    -------
    Diagnosis
        Findings per layer, and advice.

    Raises
    ------
    ValueError
        When x has no rows or does not fit the model.

    Examples
    --------
    >>> import handgrad as hg
    >>> model = hg.Sequential([hg.Linear(8), hg.ReLU(), hg.Linear(3)]).build(4, rng=0)
    >>> model.parameters["linear1.bias"][:2] = -100.0
    >>> print(hg.diagnose(model, np.eye(4)).advice[0])
    relu1: 2 of 8 units are dead (0 for all 4 examples): lower the learning_rate, or use LeakyReLU
    """
    if not isinstance(model, Sequential):
        raise TypeError(f"diagnose: model must be a Sequential, got {model!r}")
    rows = rows_of("x", x)
    check_count("diagnose", "the number of rows of x", len(rows) if rows.ndim else 0)
    report = Diagnosis(len(rows), look_at_units(model, rows))
    report.advice += unit_advice(report)
    if y is not None:
        targets = array_of("y", y)
        usual = "cross-entropy" if targets.dtype.kind in "iub" else "mean-squared-error"
        criterion = get_loss(usual if loss is None else loss)
        check_rows(rows, targets)
        few, targets, _ = check_data(model, criterion, rows[:STEP_ROWS], targets[:STEP_ROWS])
        rule = None if optimizer is None else optimizers.get(optimizer)
        report.advice += measure_step(report, model, few, targets, criterion, rule)
    return report


# Units ----------------------------------------------------------------------------------------------------------


def look_at_units(model: Sequential, x: Array | MappedRows, batch_size: int = 256) -> list[LayerFindings]:
    """LayerFindings of every layer, dead and saturated units counted over all rows of x."""
    fired: dict[int, Array] = {}
    flat: dict[int, Array] = {}
    seen: Counter[int] = Counter()
    for start in range(0, len(x), batch_size):
        for layer, y in model.trace(x[start : start + batch_size]):
            key, units = id(layer), y.reshape(-1, y.shape[-1])
            if isinstance(layer, ReLU):
                fired[key] = fired.get(key, False) | (units != 0).any(axis=0)
            elif type(layer) in SLOPES:
                options = {name: value for name, value in layer.config.items() if name != "name"}
                flat[key] = flat.get(key, 0) + (SLOPES[type(layer)](units, **options) < FLAT).sum(axis=0)
                seen[key] += len(units)
    findings = []
    for name, layer in walk(model):
        key = id(layer)
        dead: list[int] = np.flatnonzero(~fired[key]).tolist() if key in fired else []
        num_dead = len(dead) if key in fired else None
        saturated = int((flat[key] >= OFTEN * seen[key]).sum()) if key in flat else None
        kind, num_units = type(layer).__name__, layer.output_shape[-1]
        findings.append(LayerFindings(name, kind, num_units, num_dead, saturated, dead=dead))
    return findings


def unit_advice(report: Diagnosis) -> list[str]:
    """Advice about dead and saturated units. The last layer is left out: what is flat there is a sure answer."""
    lines = []
    for layer in report.layers:
        units = f"of {layer.num_units} units are"
        if layer.num_dead and layer.num_dead >= MANY_DEAD * layer.num_units:
            cause = f"dead (0 for all {report.num_examples} examples)"
            lines.append(f"{layer.name}: {layer.num_dead} {units} {cause}: lower the learning_rate, or use LeakyReLU")
        if layer.num_saturated and layer is not report.layers[-1]:
            cause = f"saturated (no slope for {OFTEN:.0%} of the examples)"
            remedy = "scale the inputs, start with smaller weights, or use ReLU"
            lines.append(f"{layer.name}: {layer.num_saturated} {units} {cause}: {remedy}")
    return lines


# Gradients and updates ------------------------------------------------------------------------------------------


def measure_step(
    report: Diagnosis, model: Sequential, x: Array, y: Array, loss: Loss, rule: Optimizer | None
) -> list[str]:
    """Take one step on copies, write its sizes into the report, and return the advice they give."""
    twin = copy.deepcopy(model)
    engine = NumpyEngine(twin, copy.deepcopy(loss), copy.deepcopy(rule) or optimizers.SGD(learning_rate=1.0))
    gradients: dict[str, float] = {}
    engine.on_gradients = lambda arrays: gradients.update(norms(arrays))  # the update may overwrite them
    try:
        with np.errstate(all="ignore"):
            engine.step(x, y)
    except FloatingPointError as problem:
        return [str(problem)]
    updates = shares(model.parameters, twin.parameters) if rule is not None else {}
    for layer in report.layers:
        layer.gradient, layer.update = gradients.get(layer.name), updates.get(layer.name)
    return gradient_advice(gradients) + update_advice(updates)


def norms(arrays: Mapping[str, Array]) -> dict[str, float]:
    """{'linear1': ‖all its arrays‖} of {'linear1.weight': array, 'linear1.bias': array}."""
    squares: dict[str, float] = {}
    for name, array in arrays.items():
        layer = name.rpartition(".")[0]
        squares[layer] = squares.get(layer, 0.0) + float(np.vdot(array, array))
    return {layer: math.sqrt(square) for layer, square in squares.items()}


def shares(before: Mapping[str, Array], after: Mapping[str, Array]) -> dict[str, float]:
    """{'linear1': ‖change‖ / ‖before‖}."""
    changes, sizes = norms({name: array - before[name] for name, array in after.items()}), norms(before)
    return {name: change / sizes[name] if sizes[name] else math.inf for name, change in changes.items() if change}


def gradient_advice(gradients: Mapping[str, float]) -> list[str]:
    """Advice from {'linear1': ‖gradient‖}, in the order of the layers."""
    none = "no gradient reaches its parameters: look for dead units or a zero input"
    lines = [f"{name}: {none}" for name, size in gradients.items() if size == 0]
    sizes = {name: size for name, size in gradients.items() if size > 0}
    if len(sizes) > 1:
        first, *_, last = sizes
        way = f"from {sizes[last]:.1e} in {last} to {sizes[first]:.1e} in {first}"
        if sizes[first] < 1e-3 * sizes[last]:
            lines.append(f"gradients shrink {way}: use ReLU, he or xavier initialization, or BatchNorm")
        if sizes[first] > 1e3 * sizes[last]:
            lines.append(f"gradients grow {way}: start with smaller weights, or clip the gradients")
    return lines


def update_advice(updates: Mapping[str, float]) -> list[str]:
    """Advice from {'linear1': ‖change‖ / ‖parameters‖}; about 1e-3 a step is usual."""
    lines = []
    for name, size in updates.items():
        if size > 0.1:
            lines.append(f"{name}: one step changes its parameters by {size:.0%}: lower the learning_rate")
        if size < 1e-6:
            lines.append(f"{name}: one step changes its parameters by only {size:.0e}: raise the learning_rate")
    return lines


def cell(value: object) -> object:
    """What a table shows of a finding. Sizes differ by powers of ten: they are shown with theirs."""
    return f"{value:.2e}" if isinstance(value, float) else value
