"""A receipt that a model and its PyTorch twin agree: outputs, gradients, statistics and optimizer steps, by numbers."""

import contextlib
import copy
import datetime
import importlib.metadata
import inspect
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, NamedTuple, TypeAlias, TypedDict

import numpy as np
import torch
from torch import Tensor, nn

from .. import files, html, text
from ..arrays import Array, ArrayLike, MaybeArray
from ..clipping import ClipGlobalNorm
from ..experiments import Run
from ..experiments.assembly import load_data
from ..kernels.route import sums_of_products
from ..layers import CrossEntropy, Dropout, Layer, Loss, MeanSquaredError, Sequential
from ..layers.base import leaves, walk, watching
from ..layers.criteria import get_loss
from ..naming import constructor_arguments
from ..optimizers import SGD, Adagrad, Adam, AdamW, Optimizer, RMSprop
from .convert import check_model, to_torch
from .read import Reader, pair
from .rules import TwinLoss, clip, make_optimizer
from .table import row_of

TITLES = {"output": "output", "dx": "input gradient", "gradients": "parameter gradients", "statistics": "statistics"}
EXPLAINED = "Largest differences on one batch, relative where numbers are above 1; – where there is nothing to compare."
NOTHING = 1e-17  # a difference with which the bars of a receipt begin
STEPS = 2  # of each optimizer: the second one shows its state
OPTIMIZERS = (  # one of each rule, with the options that have arithmetic of their own
    SGD(0.1),
    SGD(0.1, momentum=0.9, nesterov=True, weight_decay=0.01),
    Adam(weight_decay=0.01),
    AdamW(),
    RMSprop(),
    Adagrad(),
    SGD(0.1, clipping=ClipGlobalNorm(0.1)),
)
Differences: TypeAlias = dict[str, float | None]  # None where there is nothing to compare


class Result(TypedDict):
    """What was found in one dtype: layers by the path of the layer and the quantity, whole and optimizers by name."""

    layers: dict[str, Differences]
    whole: Differences
    optimizers: Differences
    kinks: list[str]  # the layers at whose kinks rounding alone makes gradients differ; none where that is not all


@dataclass
class Receipt:
    """How far a model and its PyTorch twin are apart, as `compare` found.

    Attributes
    ----------
    results : dict
        {dtype: {'layers': {path: {quantity: difference}}, 'whole': ..., 'optimizers': ..., 'kinks': [path]}}; a
        difference is None where there is nothing to compare.
    conventions : list of str
        What the two say differently, for the layers of this model.
    about : dict
        What was compared, where and when: {'rows': '32', 'versions': 'numpy 2.0, torch 2.2', ...}.
    tolerances : dict
        {dtype: the largest difference allowed}.
    """

    results: dict[str, Result]  # by dtype
    conventions: list[str]
    about: dict[str, str] = field(default_factory=dict)
    tolerances: ClassVar[dict[str, float]] = {"float64": 1e-10, "float32": 1e-3}

    def worst(self, dtype: str = "float64") -> tuple[float, str]:
        """(difference, where) of the largest one."""
        return max((value, place) for place, value in self.places(dtype) if value is not None)

    @property
    def ok(self) -> bool:
        """Whether every difference is within the tolerance of its dtype, or due to a kink."""
        return all(self.worst(d)[0] <= limit or self.results[d]["kinks"] for d, limit in self.tolerances.items())

    def places(self, dtype: str) -> Iterator[tuple[str, float | None]]:
        """Yield ('linear1 output', difference) for everything compared."""
        result = self.results[dtype]
        for label, quantities in result["layers"].items():
            yield from ((f"{label} {TITLES[name]}", value) for name, value in quantities.items())
        yield from result["whole"].items()
        yield from result["optimizers"].items()

    def verdict(self) -> list[str]:
        """A line for each dtype: how well the engines agree, or where they differ first."""
        lines = []
        for dtype, tolerance in self.tolerances.items():
            value, place = self.worst(dtype)
            if value > tolerance and (kinks := self.results[dtype]["kinks"]):
                what = f"{dtype}: the engines agree, but for {value:.1e} ({place}) that comes of units of"
                why = "within rounding of a kink: the derivatives of both sides are right"
                lines.append(f"{what} {', '.join(kinks)} {why}")
                continue
            agree = "agree to" if value <= tolerance else "DIFFER by"
            line = f"{dtype}: the engines {agree} {value:.1e} ({place}; allowed {tolerance:.0e})"
            outputs = {label: found["output"] for label, found in self.results[dtype]["layers"].items()}
            wrong = [label for label, apart in outputs.items() if apart is not None and apart > tolerance]
            lines.append(line + (f", first in the output of {wrong[0]}" if wrong else ""))
        return lines

    def tables(self) -> tuple[list[list[str]], list[list[str]]]:
        """Two tables of text, each a list of rows with its header first: the layers, and what concerns the whole."""
        (first, *_), results = self.results, self.results.items()
        layers = [["layer", *(f"{title} {dtype}" for title in TITLES.values() for dtype in self.results)]]
        for label in self.results[first]["layers"]:
            numbers = [self.number(result["layers"][label][q], dtype) for q in TITLES for dtype, result in results]
            layers.append([label, *numbers])
        names, columns = self.whole(first), {dtype: self.whole(dtype) for dtype in self.results}
        whole = [[name, *(self.number(found[name], dtype) for dtype, found in columns.items())] for name in names]
        return layers, [["", *self.results], *whole]

    def whole(self, dtype: str) -> Differences:
        """What concerns the whole network: its loss, and two steps of each optimizer."""
        steps = {f"two steps of {name}": value for name, value in self.results[dtype]["optimizers"].items()}
        return {**self.results[dtype]["whole"], **steps}

    def number(self, value: float | None, dtype: str) -> str:
        """A difference as text, with a cross where it is too large, or a wave where a kink explains it."""
        if value is None:
            return "–"
        mark = "" if value <= self.tolerances[dtype] else "~ " if self.results[dtype]["kinks"] else "✗ "
        return f"{mark}{text.error_text(value)}"

    def __str__(self) -> str:
        layers, whole = self.tables()
        narrow = [title.replace("parameter gradients", "gradients") for title in layers[0]]
        blocks = [stacked(narrow, layers[1:]), text.aligned(text.figures_from(1, whole[0]), whole[1:]), self.verdict()]
        if self.conventions:
            blocks.append(["What is said differently:", *(f"  {line}" for line in self.conventions)])
        return "\n\n".join("\n".join(block) for block in blocks)

    def as_dict(self) -> dict[str, Any]:
        """Plain data, for JSON."""
        return {"ok": self.ok, "tolerances": self.tolerances, "results": self.results, "conventions": self.conventions}

    def to_html(self) -> str:
        """A page that stands alone."""
        outcomes = [("good" if " agree " in line else "bad", html.escape(line)) for line in self.verdict()]
        about = (f"<div><dt>{html.escape(k)}</dt><dd>{html.escape(v)}</dd></div>" for k, v in self.about.items())
        told = f"{EXPLAINED} The bar below each says how near it comes to its limit, by powers of ten."
        notes = "".join(f"<li>{html.escape(line)}</li>" for line in self.conventions)
        return html.page(
            "handgrad and PyTorch: receipt",
            "<main><h1>The same network twice</h1>",
            *(f'<p class="outcome {outcome}">{line}</p>' for outcome, line in outcomes),
            f'<dl class="about">{"".join(about)}</dl><p>{told}</p>',
            *(part for dtype in self.results for part in self.tables_of(dtype)),
            f"<h2>What is said differently</h2><ul>{notes}</ul>" if notes else "",
            "</main>",
        )

    def tables_of(self, dtype: str) -> Iterator[str]:
        """The page's tables of one dtype: the layers, and what concerns the whole."""
        result, limit = self.results[dtype], f"allowed {self.tolerances[dtype]:.0e}"
        yield f"<h2>{dtype} <small>{limit}</small></h2>"
        layers = [[name, *(self.cell(found[q], dtype) for q in TITLES)] for name, found in result["layers"].items()]
        whole = [[name, self.cell(value, dtype)] for name, value in self.whole(dtype).items()]
        yield html.table(["layer", *(f">{title}" for title in TITLES.values())], layers, f"layers in {dtype}")
        yield html.table(["the whole", ">difference"], whole, f"the whole in {dtype}")

    def cell(self, value: float | None, dtype: str) -> html.Markup:
        """A difference as the page shows it, with how near it comes to its limit."""
        reach = math.log(self.tolerances[dtype] / NOTHING)
        near = min(1.0, max(0.0, math.log(value / NOTHING) / reach)) if value else 0.0
        shown = html.escape(self.number(value, dtype))
        return html.Markup(f'<span class="near" style="--share:{near:.2f}">{shown}</span>')


def stacked(titles: list[str], rows: list[list[str]]) -> list[str]:
    """The layers' table with its titles over two lines: the quantity above, the dtypes below."""
    above = [" ".join(title.split()[:-1]) if i % 2 else "" for i, title in enumerate(titles)]
    below = [titles[0], *(title.split()[-1] for title in titles[1:])]
    return text.aligned(text.figures_from(1, above), [below, *rows])


def compare(
    model: Sequential,
    module: nn.Module | None = None,
    x: ArrayLike | None = None,
    y: ArrayLike | None = None,
    loss: str | dict[str, Any] | Loss | None = None,
    optimizers: Iterable[Optimizer] | None = None,
) -> Receipt:
    """The receipt for a model and its PyTorch twin on one batch: how far apart their numbers are.

    Both get the same batch, in float64 and in float32. Layer by layer and in training it compares outputs, gradients
    of inputs and of parameters, and running statistics, with the same dropout masks in both; besides, outputs in
    inference, the loss, and parameters after two steps of each optimizer from the same gradients. A difference counts
    relative to the largest number where that is above 1. Neither network is changed.

    Parameters
    ----------
    model : Sequential
        A built model.
    module : nn.Module, optional
        What it is compared with; its twin by default.
    x : array_like (N, ...)
        A batch as the model wants it, images (N, H, W, C).
    y : array_like (N, ...)
        Its targets.
    loss : Loss, str or dict, optional
        By default cross-entropy where y are labels, else mean squared error.
    optimizers : iterable of Optimizer, optional
        The rules to compare; by default one of each.

    Returns
    -------
    Receipt
        `ok`, `worst()`, `verdict()`, and as text, page and plain data.

    Raises
    ------
    ValueError
        Where the module is not the same network.

    Examples
    --------
    >>> model = hg.Sequential([hg.Linear(3), hg.Tanh()]).build((4,), rng=0)
    >>> receipt = compare(model, x=np.eye(4), y=np.ones((4, 3)))
    >>> receipt.ok, receipt.worst("float64")[0] < 1e-12
    (True, True)
    """
    check_model(model)
    if x is None or y is None:
        raise TypeError("compare(model, module, x, y) needs a batch x and its targets y; module may be None")
    x, y = np.asarray(x), np.asarray(y)
    if loss is None:
        is_classes = y.dtype.kind in "iu" and model.output_shape[-1] > 1
        loss = CrossEntropy() if is_classes else MeanSquaredError()
    rules = list(OPTIMIZERS if optimizers is None else optimizers)
    given = model, module, x, y, get_loss(loss)
    results = {dtype: Comparison(*given, dtype).result(rules) for dtype in Receipt.tolerances}
    notes = {type(layer).__name__: row_of(layer).note for layer in leaves(model)}
    compared = f"{len(x):,} rows, {model.num_parameters:,} parameters, {get_loss(loss)!r}"
    versions = ", ".join(f"{name} {importlib.metadata.version(name)}" for name in ("handgrad", "numpy", "torch"))
    about = {"compared": compared, "versions": versions, "date": f"{datetime.datetime.now():%Y-%m-%d %H:%M}"}
    return Receipt(results, [f"{name}: {note}" for name, note in notes.items() if note], about)


class Found(NamedTuple):
    """What one of the two networks makes of the batch: its loss, and of each layer what is compared, laid as ours."""

    loss: float
    y: Array
    x: list[Array]
    output: list[Array]
    dy: list[Array]
    dx: list[Array]
    gradients: Sequence[Mapping[str, Array]]
    statistics: Sequence[Mapping[str, Array]]


class Comparison:
    """Both networks in one dtype, run over one batch side by side."""

    def __init__(self, model: Sequential, module: nn.Module | None, x: Array, y: Array, loss: Loss, dtype: str) -> None:
        with sums_of_products():
            self.model: Sequential = model.astype(np.dtype(dtype))
        self.model.rng = np.random.default_rng(0)
        twin = to_torch(self.model) if module is None else out_of_place(module).to("cpu", getattr(torch, dtype))
        self.module: nn.Module = twin
        self.reader: Reader = pair(self.model, twin)
        self.reader.module.requires_grad_()  # those that are frozen as well
        self.masks: list[Array | None] = []  # of our dropout layers, drawn by `ours`
        self.x: Array = self.model.accept(x)
        self.y = y
        self.loss = loss
        self.layers: list[Layer] = leaves(self.model)

    def result(self, rules: list[Optimizer]) -> Result:
        """All differences, with two steps of each of these rules."""
        inference = self.inference()
        ours, theirs = self.ours(), self.theirs()
        layers: dict[str, Differences] = {}
        for i, (path, _) in enumerate(walk(self.model)):
            layers[path] = {q: difference(getattr(ours, q)[i], getattr(theirs, q)[i]) for q in TITLES}
        whole: Differences = {"inference": inference, "loss": difference(ours.loss, theirs.loss)}
        optimizers = {brief(rule): self.steps(rule) for rule in rules}
        steady = [whole, optimizers, *({q: d[q] for q in ("output", "statistics")} for d in layers.values())]
        kinks = self.kinks(ours, theirs) if all(map(self.agree, (v for part in steady for v in part.values()))) else []
        return {"layers": layers, "whole": whole, "optimizers": optimizers, "kinks": kinks}

    def agree(self, value: float | None) -> bool:
        """Whether a difference is within the tolerance."""
        return value is None or value <= Receipt.tolerances[self.model.dtype.name]

    def kinks(self, ours: Found, theirs: Found) -> list[str]:
        """The parts whose derivative jumps between our inputs and theirs, the same to rounding, the last of them first.

        None where our layer, given their x and dy, does not make what their module makes: that is a difference.
        """
        found: list[str] = []
        if not self.agree(difference(self.loss_gradient(ours), self.loss_gradient(theirs))):
            found.append("the loss")
        names = [path for path, _ in walk(self.model)]
        for i in range(len(names) - 1, -1, -1):
            dx, gradients = self.alone(i, theirs.x[i], theirs.dy[i])
            apart = difference(dx, theirs.dx[i]), difference(gradients, theirs.gradients[i])
            if not all(map(self.agree, apart)):
                return []
            is_same = self.agree(difference(ours.dy[i], theirs.dy[i]))
            if is_same and not self.agree(difference(ours.dx[i], theirs.dx[i])):
                found.append(names[i])
        return found

    def loss_gradient(self, found: Found) -> Array:
        """The derivative of our loss by these outputs."""
        self.loss.forward(found.y, self.y)
        return self.loss.backward()

    def alone(self, i: int, x: Array, dy: Array) -> tuple[Array, Mapping[str, Array]]:
        """dx and the gradients of our layer i for this x and dy, with the mask that was drawn."""
        mask, layer = self.masks[i], copy.deepcopy(self.layers[i])
        if mask is not None:
            return dy * mask, {}
        layer.forward(x, training=True)
        return layer.backward(dy), layer.gradients

    def inference(self) -> float | None:
        """How far the outputs are apart in inference."""
        self.module.eval()
        with torch.no_grad():
            outputs = self.module(self.there())
        return difference(self.model.forward(self.x), self.back(outputs).numpy())

    def there(self) -> Tensor:
        """Our batch as the module takes it."""
        batch = torch.from_numpy(self.reader.start.there(np.array(self.x)))
        return batch.long() if self.model.takes_indices else batch

    def back(self, outputs: Tensor) -> Tensor:
        """The module's output as our model gives it."""
        return outputs.movedim(1, -1) if self.reader.end.first and outputs.ndim > 2 else outputs

    def ours(self) -> Found:
        """What our model makes of the batch."""
        passed: dict[tuple[str, int], tuple[Array, Any]] = {}
        masks: dict[int, Array | None] = {}

        def seen(direction: str, layer: Layer, given: Array, returned: MaybeArray) -> None:
            passed[direction, id(layer)] = given, returned
            if direction == "forward":
                masks[id(layer)] = layer._cache[0] if isinstance(layer, Dropout) else None

        with watching(seen):
            y = self.model.forward(self.x, training=True)
            loss = self.loss.forward(y, self.y)
            self.model.backward(self.loss.backward())
        self.masks = [masks[id(layer)] for layer in self.layers]
        x, outputs = zip(*(passed["forward", id(layer)] for layer in self.layers), strict=True)
        dy, dx = zip(*(passed["backward", id(layer)] for layer in self.layers), strict=True)
        gradients, state = [layer.gradients for layer in self.layers], [layer.state for layer in self.layers]
        return Found(loss, y, list(x), list(outputs), list(dy), list(dx), gradients, state)

    def theirs(self) -> Found:
        """What the module makes of it, laid as ours."""
        self.reader.module.train()
        start = self.there()
        with self.overheard() as passed:
            h = self.reader.module(start)
            loss = TwinLoss(self.loss)(self.back(h), torch.from_numpy(np.array(self.y)))
            self.reader.module.zero_grad()
            torch.autograd.backward(loss)
        pairings = self.reader.pairings
        before = list(zip((pairing.before for pairing in pairings), passed["x"], strict=True))
        after = list(zip((pairing.after for pairing in pairings), passed["y"], strict=True))
        x, outputs = ([view.back(tensor.detach().numpy()) for view, tensor in side] for side in (before, after))
        dx, dy = ([view.back(gradient_of(tensor)) for view, tensor in side] for side in (before, after))
        y = self.back(h).detach().numpy()
        return Found(loss.item(), y, x, outputs, dy, dx, self.arrays("parameters"), self.arrays("state"))

    @contextlib.contextmanager
    def overheard(self) -> Iterator[dict[str, list[Tensor]]]:
        """Within the block, what each paired module is given and returns, in order; dropout by the masks of ours."""
        passed: dict[str, list[Tensor]] = {"x": [], "y": []}

        def given(module: nn.Module, inputs: tuple[Tensor, ...]) -> tuple[Tensor]:
            x = inputs[0].clone()  # its own, so that its gradient is by this use alone
            if x.is_floating_point():
                x.requires_grad_().retain_grad()
            passed["x"].append(x)
            return (x,)

        def returned(module: nn.Module, inputs: tuple[Tensor, ...], y: Tensor) -> Tensor:
            y = self.drop(inputs[0], len(passed["y"])) if isinstance(module, nn.Dropout) else y
            y.retain_grad()
            passed["y"].append(y)
            return y

        firsts = {id(p.first): p.first for p in self.reader.pairings}.values()
        lasts = {id(p.last): p.last for p in self.reader.pairings}.values()
        hooks = [module.register_forward_pre_hook(given) for module in firsts]
        hooks += [module.register_forward_hook(returned) for module in lasts]
        try:
            yield passed
        finally:
            for hook in hooks:
                hook.remove()

    def drop(self, h: Tensor, index: int) -> Tensor:
        """Dropout with the mask that our layer drew."""
        if (mask := self.masks[index]) is None:
            return h * 1
        return h * torch.from_numpy(np.ascontiguousarray(self.reader.pairings[index].before.there(mask)))

    def arrays(self, wanted: str) -> list[Mapping[str, Array]]:
        """The gradients of each layer's parameters, or each layer's state, as they lie here."""
        found: list[Mapping[str, Array]] = []
        for layer, pairing in zip(self.layers, self.reader.pairings, strict=True):
            tensors = [(name, t, layout) for group, name, _, t, layout in pairing.tensors(layer) if group == wanted]
            numbers = {name: np.asarray(t.grad) if wanted == "parameters" else t.numpy() for name, t, _ in tensors}
            found.append({name: layout.back(numbers[name], pairing.before.order) for name, _, layout in tensors})
        return found

    def steps(self, rule: Optimizer) -> float | None:
        """The largest difference of parameters after the same steps from the same gradients."""
        rule = type(rule)(**constructor_arguments(rule))
        if not (ours := [array.copy() for array in self.model.parameters.values()]):
            return None
        theirs = [torch.from_numpy(array.copy()).requires_grad_() for array in ours]
        twin = make_optimizer(rule, theirs)
        for _ in range(STEPS):
            gradients = [array.copy() for array in self.model.gradients.values()]
            for tensor, gradient in zip(theirs, gradients, strict=True):
                tensor.grad = torch.from_numpy(gradient.copy())
            clip(rule, theirs)
            twin.step()
            rule.update(ours, gradients)
        return max(apart(a, b.detach().numpy()) for a, b in zip(ours, theirs, strict=True))


def gradient_of(tensor: Tensor) -> Array:
    """A tensor's gradient, zeros for whole numbers."""
    return np.zeros(tuple(tensor.shape)) if tensor.grad is None else np.asarray(tensor.grad)


def brief(rule: Optimizer) -> str:
    """SGD(learning_rate=0.1, momentum=0.9): the arguments that are not the rule's defaults, but the learning rate."""
    usual = inspect.signature(type(rule)).parameters
    arguments = constructor_arguments(rule).items()
    shown = [f"{k}={value!r}" for k, value in arguments if k == "learning_rate" or value != usual[k].default]
    return f"{type(rule).__name__}({', '.join(shown)})"


def out_of_place(module: nn.Module) -> nn.Module:
    """A copy of the module that overwrites nothing (nn.ReLU(inplace=True) would), so that every output can be seen."""
    module = copy.deepcopy(module)
    children: Iterable[Any] = module.modules()
    for child in children:
        if hasattr(child, "inplace"):
            child.inplace = False
    return module


def difference(ours: Mapping[str, Array] | ArrayLike, theirs: Any) -> float | None:
    """How far two arrays are apart, or the worst of two dicts of arrays; None of nothing."""
    if isinstance(ours, Mapping):
        return max((apart(ours[name], theirs[name]) for name in ours), default=None)
    return apart(np.asarray(ours), np.asarray(theirs))


def apart(ours: Array, theirs: Array) -> float:
    """The largest |a - b|, relative to the largest |b| where that is above 1.

    inf for anything that is not finite in one of them or has another shape.
    """
    if ours.shape != theirs.shape or not (np.isfinite(ours).all() and np.isfinite(theirs).all()):
        return float("inf")
    return float(np.abs(ours - theirs).max() / max(1.0, np.abs(theirs).max())) if ours.size else 0.0


def compare_run(path: str | Path, num_rows: int = 32) -> tuple[Receipt, Path]:
    """Compare the engines on the run's model and rows it was not trained on; returns (receipt, page written).

    The receipt is saved in the run folder as engines.html and engines.json.
    """
    run = Run(path)
    data = load_data(run.configuration)
    name = next(name for name in ("test", "validation", "train") if getattr(data, name) is not None)
    x, y = (rows[:num_rows] for rows in getattr(data, name))
    receipt = compare(run.model(), None, x, y, loss=run.configuration.loss)
    receipt.about = {"run": f"{run.name} {run.id}, rows of the {name} split", **receipt.about}
    files.write_text(run.path / "engines.html", receipt.to_html())
    files.write_json(run.path / "engines.json", receipt.as_dict())
    return receipt, run.path / "engines.html"
