"""Sequential: layers one after the other, with all parameters in one flat vector."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from .. import files
from ..arrays import Array, ArrayLike, Generator, MappedRows, MaybeArray, Shape, array_of, numbers_of, rows_of
from ..naming import check_arguments, check_complete, check_count, check_switch, look_up, without
from . import base
from .activations import LogSoftmax, Sigmoid, Softmax
from .base import IN_TRAINING, WATCHED, Layer, Parameters, TooLargeError, check_alone, check_apart, held_by, notice
from .description import Summary, from_spec, load_arrays, read_model, save_model
from .steps import Chain, plan


class Chained(Layer, abstract=True):
    """A layer that holds a list of others, which run one after the other: by the plan of them once they are built."""

    def __init__(self, layers: Iterable[Layer | Mapping[str, Any]], name: str | None = None) -> None:
        who = type(self).__name__
        if isinstance(layers, (Layer, str, Mapping)) or not isinstance(layers, Iterable):
            raise TypeError(f"{who} takes one list of layers: {who}([Linear(25), ReLU(), Linear(3)]); got {layers!r}")
        super().__init__(name)
        self.layers: list[Layer] = [from_spec(layer) if isinstance(layer, Mapping) else layer for layer in layers]
        check_layers(who, self.layers)
        give_names(self.layers)
        self.takes_indices: bool = self.layers[0].takes_indices
        self._chain = Chain(self.layers)

    def _take_in(self) -> None:
        super()._take_in()
        self._chain = Chain(self.layers, plan(self.layers))

    def _adopt(self, rng: Generator) -> None:
        self.takes_indices = self.layers[0].takes_indices
        self._chain = Chain(self.layers)
        super()._adopt(rng)

    def clear_cache(self) -> None:
        super().clear_cache()
        self._chain.clear_cache()

    @property
    def has_cache(self) -> bool:
        return super().has_cache or self._chain.has_cache

    def __setstate__(self, state: dict[str, Any]) -> None:
        self._chain = Chain(state["layers"])
        super().__setstate__(state)


@without("add", "append", "compile", "fit", "train", "eval", "state_dict", "get_weights", "predict_proba")
class Sequential(Chained):
    """A model: layers one after the other, and itself a layer.

    Names are given by class and position ('linear1', 'relu1', 'linear2') unless a layer has its own; parameters,
    gradients and state carry them everywhere as 'linear1.weight', nested models as 'sequential1.linear1.weight'.

    Parameters
    ----------
    layers : list of Layer
        In the order in which they run; a dict such as {"layer": "Linear", "units": 25} stands for a layer, too.
    name : str, optional
        What messages call the model.

    Attributes
    ----------
    layers : list of Layer
    parameters, gradients, state : dict
        Arrays by name, those of all layers.
    parameter_vector, gradient_vector : numpy.ndarray
        All parameters and all gradients, one flat array each; the arrays by name are views of them.

    Raises
    ------
    TypeError
        For what is no list of layers.
    ValueError
        For no layers, the same layer twice, two equal names; and when built, for layers that do not fit together.

    Notes
    -----
    Any number of threads may predict with one model, to the bits that one thread gets. Training belongs to one thread
    at a time, and a second one is refused; separate models may be trained in parallel, to the same bits as alone.

    Examples
    --------
    >>> model = hg.Sequential([hg.Linear(25), hg.ReLU(), hg.Linear(3)]).build(4, rng=0)
    >>> model.num_parameters, list(model.parameters)
    (203, ['linear1.weight', 'linear1.bias', 'linear2.weight', 'linear2.bias'])
    >>> x = np.ones((2, 4))
    >>> model.predict(x).shape, model.predict_classes(x).shape
    ((2, 3), (2,))
    """

    can_skip_input_gradient = True
    # of the whole model; the vectors hold all parameters and gradients, which are views into them
    input_shape: Shape = ()
    output_shape: Shape = ()
    dtype: np.dtype[Any] = np.dtype(np.float32)
    parameters: Parameters = Parameters()
    gradients: Parameters = Parameters()
    state: Parameters = Parameters()
    parameter_vector: Array
    gradient_vector: Array

    def __init__(self, layers: Iterable[Layer | Mapping[str, Any]], name: str | None = None) -> None:
        super().__init__(layers, name)

    def _create(self, rng: Generator) -> None:
        """Build each layer on the output shape of the one before it, drawing from one generator in order."""
        self._adopt(rng)
        shape = self.input_shape
        for layer in self.layers:
            try:
                shape = layer.build(shape, rng, self.dtype).output_shape
            except TooLargeError:
                raise
            except ValueError as problem:
                what = f"{layer.label} does not fit input of shape (N, {', '.join(map(str, shape))})"
                raise ValueError(f"{what}: {problem}") from None
        self.output_shape = shape
        self.parameters, self.gradients, self.state = Parameters(), Parameters(), Parameters()
        if type(self).forward is not Sequential.forward:  # a subclass that makes something else of its layers
            self._held = held_by(self)
            self.output_shape = tuple(self.infer_output_shape(self.input_shape))
        self._take_in()

    def infer_output_shape(self, input_shape: Shape) -> Shape:
        return self.forward(base.zeros_for(self, input_shape)).shape[1:]

    def _take_in(self) -> None:
        super()._take_in()
        size = sum(layer.num_parameters for layer in self.children)
        with base.within_memory(self.label):
            self.bind(np.empty(size, self.dtype), np.empty(size, self.dtype))

    def bind(self, parameters: Array, gradients: Array) -> None:
        """Move every layer's parameters and gradients into these two flat vectors, in order."""
        super().bind(parameters, gradients)
        self.parameter_vector, self.gradient_vector = parameters, gradients

    @property
    def label(self) -> str:
        """A model without a name goes by its first layer's in messages: that is where input arrives."""
        return self.name or self.layers[0].label

    # Forward and backward ---------------------------------------------------------------------------------------

    def forward(self, x: ArrayLike, training: bool = False) -> Array:
        """y for x (N, *input_shape), through every layer in order."""
        x = self.accept(x)
        if self._held is None or self.layers != self._held["layers"]:
            self._refuse_changed()
        if training not in (True, False):
            check_switch("forward", "training", training)
        if training and IN_TRAINING:
            check_alone("model", IN_TRAINING.get(id(self)))
        y = self._chain.forward(x, training)
        if WATCHED:
            notice("forward", self, x, y)
        return y

    def backward(self, dy: Array, input_gradient: bool = True) -> MaybeArray:
        """dx for dy, through every layer in reverse; input_gradient=False stops at the first layer with parameters."""
        dx = self._chain.backward(dy, input_gradient)
        if WATCHED:
            notice("backward", self, dy, dx)
        return dx

    def trace(self, x: ArrayLike) -> Iterator[tuple[Layer, Array]]:
        """Yield (layer, output) for each layer in inference, those in others too: for diagnosis and pictures."""
        passed = list[tuple[Layer, Array]]()
        with base.watching(lambda direction, layer, given, returned: passed.append((layer, array_of("y", returned)))):
            self.forward(x)
        return iter(passed[:-1])  # without the model itself

    # Predictions ------------------------------------------------------------------------------------------------

    def predict(self, x: ArrayLike, batch_size: int = 256) -> Array:
        """The outputs (logits, say) for all rows of x, computed in batches, keeping no cache.

        Parameters
        ----------
        x : array_like (N, *input_shape)
            Any number of examples, none included.
        batch_size : int
            How many are computed at a time.

        Returns
        -------
        numpy.ndarray (N, *output_shape)

        Raises
        ------
        ValueError
            For another shape, and for x that holds NaN or infinity, whose place is named.
        """
        x, batch_size = rows_of("x", x), check_count("predict", "batch_size", batch_size)
        self.check_shape(x)
        y = np.empty((len(x), *self.output_shape), self.dtype)
        for start in range(0, len(x), batch_size):
            batch = x[start : start + batch_size]
            check_finite(batch, start=start)
            y[start : start + batch_size] = self.forward(batch)
        return y

    def check_shape(self, x: Array | MappedRows) -> None:
        """Refuse what `forward` would refuse of x, and complex numbers, without looking at its numbers."""
        numbers_of("x", np.empty(0, x.dtype))
        self.accept(x[:0] if x.shape[1:] == self.input_shape else np.broadcast_to(np.empty((), x.dtype), x.shape))

    def predict_probabilities(self, x: ArrayLike, batch_size: int = 256) -> Array:
        """Probabilities for all rows of x: the softmax of the outputs.

        Of one output per example it is the sigmoid. What ends in Softmax, LogSoftmax or Sigmoid is not put through
        another one. Parameters and errors are those of `predict`.

        Returns
        -------
        numpy.ndarray (N, C), or (N, 1) for one output per example
        """
        probabilities = self.predict(x, batch_size)
        last = self.layers[-1]
        if isinstance(last, LogSoftmax):
            probabilities = np.exp(probabilities)
        elif not isinstance(last, (Softmax, Sigmoid)):
            probabilities = (Sigmoid if self.output_shape[-1] == 1 else Softmax).pair[0](probabilities)[0]
        check_predictions(probabilities)
        return probabilities

    def predict_classes(self, x: ArrayLike, batch_size: int = 256) -> Array:
        """The most probable class of each row of x; of one output per example, 1 where it is above one half.

        Parameters and errors are those of `predict`.

        Returns
        -------
        numpy.ndarray (N,) of int
        """
        probabilities = self.predict_probabilities(x, batch_size)
        is_one = probabilities.shape[-1] == 1
        classes: Array = (probabilities[..., 0] > 0.5).astype(int) if is_one else probabilities.argmax(axis=-1)
        return classes

    # Description, copies and files ------------------------------------------------------------------------------

    def summary(self) -> Summary:
        """A table of shapes, parameters, multiply-adds and activation memory per layer; print it."""
        return Summary(self)

    def __getstate__(self) -> dict[str, Any]:
        state = super().__getstate__()
        return {k: v for k, v in state.items() if k not in ("parameter_vector", "gradient_vector")}

    def save(self, path: str | Path) -> None:
        """Write architecture, parameters and state to a file, whole or not at all; `load_model` reads it.

        Parameters
        ----------
        path : str or Path
            Ends in .npz, or in .safetensors with the extra that writes it.

        Raises
        ------
        ValueError
            For a model that is not built, another ending, and a layer class whose name stands for another one.
        """
        save_model(self, path)

    def __iter__(self) -> Iterator[Layer]:
        return iter(self.layers)

    def __len__(self) -> int:
        return len(self.layers)

    def __getitem__(self, index: int) -> Layer:
        return self.layers[index]

    def __repr__(self) -> str:
        return "Sequential([\n" + "".join(f"    {layer!r},\n" for layer in self.layers) + "])"


def load_model(path: str | Path) -> Sequential:
    """The model that `Sequential.save` wrote. Nothing in the file is run.

    Parameters
    ----------
    path : str or Path
        A .npz file, or a .safetensors file with the extra that reads it.

    Returns
    -------
    Sequential
        Built, with the parameters and the state it had.

    Raises
    ------
    ValueError
        For a damaged file, and for one that holds no handgrad model.

    Examples
    --------
    >>> import tempfile, pathlib
    >>> path = pathlib.Path(tempfile.mkdtemp()) / "model.npz"
    >>> hg.Sequential([hg.Linear(3)]).build(4, rng=0).save(path)
    >>> hg.load_model(path).output_shape
    (3,)
    """
    description, arrays = read_model(path)
    with files.reading(path):
        model = from_description(description)
        load_arrays(model, arrays, path)
    return model


def from_description(description: Mapping[str, Any]) -> Sequential:
    """A model built as described, its parameters freshly drawn."""
    cls = look_up("model class", description.get("class", "Sequential"), Layer.registry)
    if not issubclass(cls, Sequential):
        raise ValueError(f"a model is a Sequential or a subclass of it, not {cls.__name__}")
    check_arguments("model", cls, description["config"])
    check_complete("model", cls, description["config"])
    model = cls(**description["config"])
    return model.build(tuple(description["input_shape"]), rng=0, dtype=np.dtype(description["dtype"]))


def check_layers(who: str, layers: Sequence[Layer]) -> None:
    """Refuse an empty list, things that are not layers, and the same layer twice."""
    if not layers:
        raise ValueError(f"{who} needs at least one layer")
    for layer in layers:
        if isinstance(layer, type):
            raise TypeError(f"{who} takes layer objects: write {layer.__name__}() with parentheses")
        if not isinstance(layer, Layer):
            raise TypeError(f"{who} takes layers, such as Linear(25), got {type(layer).__name__} {layer!r}")


def give_names(layers: Sequence[Layer]) -> None:
    """'linear1', 'linear2', ... for the layers without a name of their own; two equal names are refused."""
    counts, taken = dict[str, int](), {layer.name for layer in layers if layer.name}
    for layer in layers:
        stem = type(layer).__name__.lower()
        while not layer.name:
            counts[stem] = counts.get(stem, 0) + 1
            if f"{stem}{counts[stem]}" not in taken:
                layer.name = f"{stem}{counts[stem]}"
    check_apart(layers)


def of_both_classes(probabilities: Array) -> Array:
    """Those of each class (N, K); one output per example says how likely the second of two classes is."""
    p = probabilities
    return np.concatenate([1 - p, p], axis=1) if p.shape[1:] == (1,) else p


def check_predictions(y: Array) -> None:
    """Refuse predictions that are no numbers: argmax would call them class 0."""
    if len(wrong := np.argwhere(~np.isfinite(y))):
        why = f"a parameter is not finite (has its training diverged?), or x is too large for {y.dtype}"
        raise ValueError(f"what the model predicts for example {wrong[0, 0] + 1} is no number: {why}")


def check_finite(x: Array, what: str = "x", start: int = 0) -> None:
    """Raise a ValueError naming the first NaN or infinity of a float array, whose first row is row `start` of all."""
    if x.dtype.kind == "f" and not np.isfinite(x).all():
        place = tuple(int(i[0]) for i in np.nonzero(~np.isfinite(x)))
        said = f"{what} holds {x[place]} at row {start + place[0]}, position {place[1:]}"
        raise ValueError(f"{said}: remove or fill such values first")
