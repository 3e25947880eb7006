"""A receipt that a model and its PyTorch twin agree: outputs, gradients, statistics and optimizer steps, by numbers."""

import copy
import inspect

import numpy as np
import torch
from torch import nn

from .. import files, optimizers
from .. import layers as hg
from ..experiments import Run
from ..experiments.assembly import load_data
from ..layers.base import leaves, walk
from ..layers.criteria import get_loss
from . import table
from .convert import check_model, to_torch
from .read import flat, pair
from .receipt_text import Receipt
from .rules import TwinLoss, clip, make_optimizer

DTYPES = ("float64", "float32")
SPLITS = ("test", "validation", "train")  # where a receipt takes its rows, in this order
QUANTITIES = ("output", "dx", "gradients", "statistics")
STEPS = 2  # of each optimizer: the second one shows its state


def default_optimizers():
    """One of each rule, with the options that have arithmetic of their own."""
    return [
        optimizers.SGD(0.1),
        optimizers.SGD(0.1, momentum=0.9, nesterov=True, weight_decay=0.01),
        optimizers.Adam(weight_decay=0.01),
        optimizers.AdamW(),
        optimizers.RMSprop(),
        optimizers.Adagrad(),
        optimizers.SGD(0.1, clipping=optimizers.ClipGlobalNorm(0.1)),
    ]


def compare(model, module=None, x=None, y=None, loss=None, optimizers=None):
    """The receipt for a built model and a PyTorch module (its twin by default) on one batch x (N, ...), y (N, ...).

    Both get the same batch, in float64 and float32; x lies as the model wants it (N, H, W, C). Per layer: the largest
    difference of outputs, input and parameter gradients and running statistics, in training; dropout uses the same
    masks in both. loss: by default cross-entropy where y are labels, else mean squared error. optimizers: two steps of
    each, from the same gradients. A difference counts relative to the largest number where that is above 1.
    Raises ValueError where the module is not the same network.
    """
    check_model(model)
    if x is None or y is None:
        raise TypeError("compare(model, module, x, y) needs a batch x and its targets y; module may be None")
    x, y, loss = np.asarray(x), np.asarray(y), choose_loss(loss, np.asarray(y), model)
    rules = default_optimizers() if optimizers is None else list(optimizers)
    runs = {dtype: Comparison(model, module, x, y, loss, rules, dtype) for dtype in DTYPES}
    return Receipt(
        [path for path, _ in walk(model)],
        {dtype: run.result() for dtype, run in runs.items()},
        conventions(model),
    )


def choose_loss(loss, y, model):
    if loss is not None:
        return get_loss(loss)
    return hg.CrossEntropy() if y.dtype.kind in "iu" and model.output_shape[-1] > 1 else hg.MeanSquaredError()


class Comparison:
    """Both networks in one dtype, run over one batch side by side."""

    def __init__(self, model, module, x, y, loss, rules, dtype):
        self.model = model.astype(np.dtype(dtype))
        self.model.rng = np.random.default_rng(0)
        self.whole = to_torch(self.model) if module is None else out_of_place(module).to("cpu", getattr(torch, dtype))
        reader = pair(self.model, self.whole)
        self.chain, self.pairings, self.start, self.end = reader.module, reader.pairings, reader.start, reader.end
        self.chain.requires_grad_()  # those that are frozen as well
        self.x, self.y, self.loss, self.rules = self.model.accept(x), y, loss, rules

    def result(self):
        """{'layers': {label: {quantity: difference}}, 'whole': {quantity: difference}, 'optimizers': the same}."""
        whole = {"inference": self.inference()}
        ours, theirs = self.ours(), self.theirs()
        whole["loss"] = difference(ours["loss"], theirs["loss"])
        found = {}
        for i, (path, _) in enumerate(walk(self.model)):
            found[path] = {q: difference(ours[q][i], theirs[q][i]) for q in QUANTITIES if q in ours}
        return {"layers": found, "whole": whole, "optimizers": {brief(rule): self.steps(rule) for rule in self.rules}}

    def inference(self):
        self.whole.eval()
        with torch.no_grad():
            outputs = self.whole(self.there(self.x))
        return difference(self.model.forward(self.x), self.back(outputs).numpy())

    def there(self, x):
        """Our batch as the module takes it."""
        x = torch.from_numpy(np.array(x))
        return x.movedim(-1, 1) if self.start.first and x.ndim > 2 else x

    def back(self, outputs):
        """The module's output as our model gives it."""
        return outputs.movedim(1, -1) if self.end.first and outputs.ndim > 2 else outputs

    def ours(self):
        """Our quantities, a list per quantity with an entry per layer."""
        y, found, self.masks = self.x, {"output": [], "dx": []}, []
        for layer in leaves(self.model):
            y = layer.forward(y, training=True)
            self.masks.append(layer._cache[0] if isinstance(layer, hg.Dropout) else None)
            found["output"].append(y)
        found["loss"] = self.loss.forward(y, self.y)
        dy = self.loss.backward()
        for layer in reversed(leaves(self.model)):
            dy = layer.backward(dy)
            found["dx"].insert(0, dy)
        found["gradients"] = [layer.gradients for layer in leaves(self.model)]
        found["statistics"] = [layer.state for layer in leaves(self.model)]
        return found

    def theirs(self):
        """The same of the module, brought into our layout."""
        self.chain.train()
        h = start = self.there(self.x).requires_grad_()
        ends, ahead = [], list(self.pairings)
        for _, module in flat(self.chain):
            is_last = bool(ahead) and module is ahead[0].last
            if is_last and isinstance(module, nn.Dropout):
                h = self.drop(h, len(ends))
            else:
                h = module(h)
            if is_last:
                h.retain_grad()
                ends.append(h)
                del ahead[0]
        loss = TwinLoss(self.loss)(self.back(h), torch.from_numpy(np.array(self.y)))
        self.chain.zero_grad()
        loss.backward()
        views = [pairing.after for pairing in self.pairings]
        outputs = [view.back(end.detach().numpy()) for view, end in zip(views, ends, strict=True)]
        dx = [view.back(end.grad.numpy()) for view, end in zip(views, ends, strict=True)][:-1]
        gradients, statistics = self.arrays()
        return {
            "output": outputs,
            "dx": [self.start.back(start.grad.numpy()), *dx],
            "loss": loss.item(),
            "gradients": gradients,
            "statistics": statistics,
        }

    def drop(self, h, index):
        """Dropout with the mask that our layer drew."""
        mask = self.masks[index]
        if mask is None:
            return h * 1
        return h * torch.from_numpy(np.ascontiguousarray(self.pairings[index].before.there(mask)))

    def arrays(self):
        gradients, statistics = [], []
        for layer, pairing in zip(leaves(self.model), self.pairings, strict=True):
            groups = {"parameters": {}, "state": {}}
            for group, name, _, tensor, lay in pairing.tensors(layer):
                numbers = tensor.grad if group == "parameters" else tensor
                groups[group][name] = lay.back(numbers.detach().numpy(), pairing.before.order)
            gradients.append(groups["parameters"])
            statistics.append(groups["state"])
        return gradients, statistics

    def steps(self, rule):
        """The largest difference of parameters after the same steps from the same gradients."""
        rule = optimizers.get({"name": type(rule).__name__, **optimizers.constructor_arguments(rule)})
        if not self.model.parameters:
            return None
        ours = [array.copy() for array in self.model.parameters.values()]
        theirs = [torch.from_numpy(array.copy()).requires_grad_() for array in ours]
        twin = make_optimizer(rule, theirs)
        for _ in range(STEPS):
            gradients = [array.copy() for array in self.model.gradients.values()]
            for tensor, gradient in zip(theirs, gradients, strict=True):
                tensor.grad = torch.from_numpy(gradient.copy())
            clip(rule, theirs)
            twin.step()
            rule.update(ours, gradients)
        return max(difference(a, b.detach().numpy()) for a, b in zip(ours, theirs, strict=True))


def brief(rule):
    """SGD(learning_rate=0.1, momentum=0.9): the arguments that are not the rule's defaults, but the learning rate."""
    usual = inspect.signature(type(rule)).parameters
    said = {
        name: value
        for name, value in optimizers.constructor_arguments(rule).items()
        if name == "learning_rate" or value != usual[name].default
    }
    return f"{type(rule).__name__}({', '.join(f'{name}={value!r}' for name, value in said.items())})"


def out_of_place(module):
    """A copy of the module that overwrites nothing (nn.ReLU(inplace=True) would), so that every output can be seen."""
    module = copy.deepcopy(module)
    for child in module.modules():
        if hasattr(child, "inplace"):
            child.inplace = False
    return module


def difference(ours, theirs):
    """The largest |a - b|, relative to the largest |b| where that is above 1; the worst of dicts, None of nothing.

    inf for anything that is not finite in one of them or has another shape.
    """
    if isinstance(ours, dict):
        return max((difference(ours[name], theirs[name]) for name in ours), default=None)
    ours, theirs = np.asarray(ours), np.asarray(theirs)
    if ours.shape != theirs.shape or not (np.isfinite(ours).all() and np.isfinite(theirs).all()):
        return float("inf")
    if not ours.size:
        return 0.0
    return float(np.abs(ours - theirs).max() / max(1.0, np.abs(theirs).max()))


def conventions(model):
    """What differs between the two in how things are said, for the layers of this model."""
    notes = {}
    for layer in leaves(model):
        note = table.row_of(layer).note
        if note:
            notes.setdefault(type(layer).__name__, note)
    return [f"{name}: {note}" for name, note in notes.items()]


def compare_run(path, num_rows=32):
    """Compare the engines on the run's model and rows it was not trained on; returns (receipt, page written).

    The receipt is saved in the run folder as engines.html and engines.json.
    """
    run = Run(path)
    data = load_data(run.configuration)
    split = next(getattr(data, name) for name in SPLITS if getattr(data, name) is not None)
    receipt = compare(run.model(), None, split.x[:num_rows], split.y[:num_rows], loss=run.configuration.loss)
    files.write_text(run.path / "engines.html", receipt.to_html())
    files.write_json(run.path / "engines.json", receipt.as_dict())
    return receipt, run.path / "engines.html"
