"""Sequential: layers one after the other, with all parameters in one flat vector."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import numpy as np

from .. import files
from ..arrays import Array, ArrayLike, DTypeLike, Generator, MappedRows, MaybeArray, Seed, Shape, numbers_of, rows_of
from ..naming import check_arguments, check_complete, check_count, check_switch, look_up, without
from .activations import LogSoftmax, Sigmoid, Softmax
from .base import (
    IN_TRAINING,
    Layer,
    Parameters,
    Step,
    TooLargeError,
    check_alone,
    check_parts,
    float_type,
    generator_of,
    leave_model,
    leaves,
    shape_of_one,
    within_memory,
)
from .description import Summary, from_spec, load_arrays, read_model, save_model
from .steps import plan

if TYPE_CHECKING:
    from typing_extensions import Self


@without("add", "append", "compile", "fit", "train", "eval", "state_dict", "get_weights", "predict_proba")
class Sequential(Layer):
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

    def __init__(self, layers: Sequence[Layer | dict[str, Any]], name: str | None = None) -> None:
        if isinstance(layers, (Layer, str, dict)) or not isinstance(layers, Iterable):
            example = "Sequential([Linear(25), ReLU(), Linear(3)])"
            raise TypeError(f"Sequential takes one list of layers: {example}; got {layers!r}")
        super().__init__(name)
        self.layers: list[Layer] = [from_spec(layer) if isinstance(layer, dict) else layer for layer in layers]
        check_layers(self.layers)
        give_names(self.layers)
        self._route: Sequence[Layer | Step] = self.layers
        self._bound: list[Layer] | None = None  # the layers whose arrays lie in the vectors

    def build(self, input_shape: int | Sequence[int], rng: Seed = None, dtype: DTypeLike = np.float32) -> Self:
        """Build each layer on the output shape of the one before it, drawing from one generator in order."""
        start, self.dtype = shape_of_one(input_shape), float_type(dtype)
        generator, shape = generator_of(rng), start
        for layer in self.layers:
            try:
                shape = layer.build(shape, generator, dtype).output_shape
            except TooLargeError:
                raise
            except ValueError as problem:
                what = f"{layer.label} does not fit input of shape (N, {', '.join(map(str, shape))})"
                raise ValueError(f"{what}: {problem}") from None
        self.input_shape, self.output_shape, self.rng = start, shape, generator
        with within_memory(self.label):
            self._gather()
        for part in leaves(self):
            check_parts(part)
        check_parts(self)
        return self

    def bind(self, parameters: Array, gradients: Array) -> None:
        """Move every layer's parameters and gradients into these two flat vectors, in order."""
        start = 0
        for layer in self.layers:
            stop = start + layer.num_parameters
            layer.bind(parameters[start:stop], gradients[start:stop])
            start = stop
        self.parameter_vector, self.gradient_vector = parameters, gradients
        self.parameters, self.gradients, self.state = (
            named({layer.label: getattr(layer, group) for layer in self.layers})
            for group in ("parameters", "gradients", "state")
        )

    def _gather(self) -> None:
        size = sum(layer.num_parameters for layer in self.layers)
        self.bind(np.empty(size, self.dtype), np.empty(size, self.dtype))
        leave_model(self)
        for layer in self.layers:
            leave_model(layer, self)
        self._bound = list(self.layers)
        self._route = plan(self.layers)
        self._lowest = next((i for i, step in enumerate(self._route) if step.num_parameters), len(self._route))

    @property
    def children(self) -> Sequence[Layer]:
        return self.layers

    @property
    def label(self) -> str:
        """A model without a name goes by its first layer's in messages: that is where input arrives."""
        return self.name or self.layers[0].label

    # Forward and backward ---------------------------------------------------------------------------------------

    def forward(self, x: ArrayLike, training: bool = False) -> Array:
        """y for x (N, *input_shape), through every layer in order."""
        x = self.accept(x)
        if self.layers != self._bound:
            self._refuse_changed()
        if training not in (True, False):
            check_switch("forward", "training", training)
        if training and IN_TRAINING:
            check_alone("model", IN_TRAINING.get(id(self)))
        y = x
        for step in self._route:
            y = step.forward(y, training)
        return y

    def backward(self, dy: Array, input_gradient: bool = True) -> MaybeArray:
        """dx for dy, through every layer in reverse; input_gradient=False stops at the first layer with parameters."""
        lowest = 0 if input_gradient else self._lowest
        for i in range(len(self._route) - 1, lowest - 1, -1):
            dy = self._route[i].backward(dy, input_gradient or i > lowest)
        for step in self._route[:lowest]:
            step.clear_cache()
        return dy if input_gradient else None

    def _refuse_changed(self) -> NoReturn:
        """Say why the vectors are not those of the layers: what trains them would train nothing."""
        why = (
            "its list of layers has changed since" if self._bound else "a layer has been built again, in another model?"
        )
        advice = "build it again, or give each model layers of its own (copy.deepcopy)"
        raise ValueError(f"the model of {self.label} is no longer what was built ({why}): {advice}")

    def trace(self, x: ArrayLike) -> Iterator[tuple[Layer, Array]]:
        """Yield (layer, output) for each layer in inference, nested models opened: for diagnosis and pictures."""
        y = self.accept(x)
        for layer in self.layers:
            if isinstance(layer, Sequential):
                yield from layer.trace(y)
            y = layer.forward(y)
            yield layer, y

    def clear_cache(self) -> None:
        """Forget what the last forward in training kept, in every layer."""
        for step in self._route:
            step.clear_cache()

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

    @property
    def multiply_adds(self) -> int:
        return sum(layer.multiply_adds for layer in self.layers)

    def summary(self) -> Summary:
        """A table of shapes, parameters, multiply-adds and activation memory per layer; print it."""
        return Summary(self)

    def astype(self, dtype: DTypeLike) -> Self:
        """A copy of this model in another dtype."""
        other = copy.deepcopy(self)
        other.dtype = float_type(dtype)
        other.layers = [layer.astype(dtype) for layer in other.layers]
        other._gather()
        return other

    @property
    def rng(self) -> Generator | None:
        """The generator that random layers (dropout) draw from; assigning hands it to every layer."""
        return self._rng

    @rng.setter
    def rng(self, generator: Generator | None) -> None:
        self._rng = generator
        for layer in self.layers:
            layer.rng = generator

    def __getstate__(self) -> dict[str, Any]:
        flat = (
            "_cache",
            "_model",
            "_bound",
            "parameter_vector",
            "gradient_vector",
            "parameters",
            "gradients",
            "state",
            "_route",
        )
        return {k: v for k, v in self.__dict__.items() if k not in flat}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._route, self._bound = self.layers, None
        if self.is_built:
            self._gather()

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


def check_layers(layers: Sequence[Layer]) -> None:
    """Refuse an empty list, things that are not layers, and the same layer twice."""
    if not layers:
        raise ValueError("Sequential needs at least one layer")
    for layer in layers:
        if isinstance(layer, type):
            raise TypeError(f"Sequential takes layer objects: write {layer.__name__}() with parentheses")
        if not isinstance(layer, Layer):
            raise TypeError(f"Sequential takes layers, such as Linear(25), got {type(layer).__name__} {layer!r}")
    seen = [id(leaf) for layer in layers for leaf in leaves(layer)]
    if len(set(seen)) < len(seen):
        raise ValueError("the same layer object stands twice in this model: make a second one of the same class")


def give_names(layers: Sequence[Layer]) -> None:
    """'linear1', 'linear2', ... for the layers without a name of their own; two equal names are refused."""
    counts, taken = dict[str, int](), {layer.name for layer in layers if layer.name}
    for layer in layers:
        stem = type(layer).__name__.lower()
        while not layer.name:
            counts[stem] = counts.get(stem, 0) + 1
            if f"{stem}{counts[stem]}" not in taken:
                layer.name = f"{stem}{counts[stem]}"
    names = [layer.label for layer in layers]
    for name in names:
        if names.count(name) > 1 or "." in name:
            raise ValueError(f"layer names are unique and have no '.'; got '{name}' {names.count(name)} times")


def named(groups: Mapping[str, Parameters]) -> Parameters:
    """{'linear1': {'weight': a}} as one Parameters {'linear1.weight': a}."""
    return Parameters({f"{name}.{key}": array for name, group in groups.items() for key, array in group.items()})


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
