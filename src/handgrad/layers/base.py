"""A layer: named parameters, their gradients, and the cache between the two calls. A step may run in its place."""

from __future__ import annotations

import contextlib
import copy
import functools
import weakref
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from math import prod
from threading import get_ident
from typing import TYPE_CHECKING, Any, ClassVar, NoReturn, TypeAlias

import numpy as np

from ..arrays import Array, ArrayLike, Cache, DType, DTypeLike, Generator, MaybeArray, Seed, Shape, array_of, numbers_of
from ..kernels.threads import TOO_SMALL_TO_SHARE, in_turn
from ..naming import Advised, check_switch, constructor_arguments

if TYPE_CHECKING:
    from typing_extensions import Self

# (forward, backward) of handgrad.functional
Pair: TypeAlias = tuple[Callable[..., tuple[Any, Cache]], Callable[..., tuple[MaybeArray, ...]]]
Gradients: TypeAlias = dict[str, Array]  # one for each parameter, by name
# to compute and differentiate, which may be a user's: who follows calls enters here, and shows nothing
PASSES_ON = True
GROUPS = "parameters", "gradients", "state"
# attributes that copies and files do without: caches, and what is made anew from the rest
PASSING = {"_cache", "_model", "_children", "_held", "_promised", "_chain"}
NOTHING: Any = (None, None, None)  # an empty cache; others are the cache, the shape of y, and whose thread made it


class Parameters(dict[str, Array]):
    """Named arrays. `parameters["weight"] = a` copies a into the array already there, after a shape check."""

    def __setitem__(self, name: str, value: ArrayLike) -> None:
        if name not in self:
            raise ValueError(f"no parameter '{name}' here (there are: {', '.join(self) or 'none'})")
        if np.shape(value) != self[name].shape:
            what = f"parameter '{name}' has shape {self[name].shape}"
            raise ValueError(f"{what}, got an array of shape {np.shape(value)}")
        self[name][...] = numbers_of(f"parameter '{name}'", value, kinds_for(self[name].dtype))

    def update(self, *others: Any, **arrays: ArrayLike) -> None:
        """Copy arrays into those that are there, each as by `[name] = `."""
        for name, value in dict(*others, **arrays).items():
            self[name] = value

    def __delitem__(self, name: str) -> NoReturn:
        """Refuse to take an array away: its layer computes with it."""
        raise TypeError("the arrays of a layer stay as many as they are: copy others into them")

    def pop(self, *arguments: Any) -> NoReturn:
        """Refuse, as `del` does."""
        self.__delitem__("")

    def popitem(self) -> NoReturn:
        """Refuse, as `del` does."""
        self.__delitem__("")

    def clear(self) -> NoReturn:
        """Refuse, as `del` does."""
        self.__delitem__("")

    def __reduce__(self) -> tuple[Any, ...]:  # copying and pickling would set items one by one, into an empty dict
        return type(self), (dict(self),)


class Layer(Advised):
    """One step of a network: named parameters, their gradients, and the cache between forward and backward.

    A subclass writes two methods, the pair, and `create_parameters` where it has parameters:

    compute(x, training) -> y, cache                 what `forward` calls
    differentiate(dy, cache) -> dx, gradients        what `backward` calls; gradients: {} or one per parameter, by name

    and, where the default does not do,

    create_parameters(input_shape, rng) -> dict      arrays, none by default
    create_state(input_shape) -> dict                arrays saved but not trained (running averages), none by default
    infer_output_shape(input_shape) -> tuple         by default read off `compute` on one example of zeros

    Shapes are those of one example: the batch axis is left out. A constructor keeps each argument under its own
    name; that is all `config`, saving and cloning need.

    A layer of layers keeps them in attributes, alone or in lists, and its `compute` and `differentiate` call their
    `forward(x, training)` and `backward(dy)`. They are built by the first x that reaches them, an example of zeros,
    named after the attribute, and trained, saved and checked with the layer. See `Residual` and `Branches`.

    Parameters
    ----------
    name : str, optional
        What the model and its messages call the layer; by default its class and number, such as 'linear1'.

    Attributes
    ----------
    parameters, gradients, state : dict
        Arrays by name; `layer.parameters["weight"] = a` copies a into the array that is there.
    input_shape, output_shape : tuple of int
        The shapes of one example; () until the layer is built.
    dtype : numpy.dtype
        What x is cast to and parameters have.
    can_skip_input_gradient : bool
        Set it to True if `differentiate` takes input_gradient=False, too, and then returns None for dx.
    takes_indices : bool
        Set it to True where x are whole numbers that choose something: they come uncast and unscaled.

    Examples
    --------
    >>> class Scale(hg.Layer):
    ...     def create_parameters(self, input_shape, rng):
    ...         return {"factor": np.ones(input_shape)}
    ...     def compute(self, x, training):
    ...         return x * self.parameters["factor"], x
    ...     def differentiate(self, dy, x):
    ...         return dy * self.parameters["factor"], {"factor": (dy * x).sum(axis=0)}
    >>> layer = Scale().build(3, dtype=float)
    >>> hg.check_gradients(layer, np.array([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]])).ok
    True

    A layer of layers, y = value(x) sigmoid(gate(x)):

    >>> class Gated(hg.Layer):
    ...     def __init__(self, units, name=None):
    ...         super().__init__(name)
    ...         self.units = units
    ...         self.value, self.gate = hg.Linear(units), hg.Sequential([hg.Linear(units), hg.Sigmoid()])
    ...     def compute(self, x, training):
    ...         value, gate = self.value.forward(x, training), self.gate.forward(x, training)
    ...         return value * gate, (value, gate)
    ...     def differentiate(self, dy, cache):
    ...         value, gate = cache
    ...         return self.value.backward(dy * gate) + self.gate.backward(dy * value), {}
    >>> list(Gated(2).build(3).parameters)
    ['value.weight', 'value.bias', 'gate.linear1.weight', 'gate.linear1.bias']
    """

    registry: ClassVar[dict[str, type[Any]]] = {}  # class name -> class: what a configuration or a checkpoint may name
    can_skip_input_gradient = False  # True: `differentiate` takes input_gradient=False and then returns None for dx
    takes_indices: bool = False  # True: x are whole numbers
    sees_one_example: bool = False  # True: y depends on its own example alone, not on chance; gradients are sums
    # all that follows is known once the layer is built
    input_shape: Shape = ()
    output_shape: Shape = ()
    dtype: np.dtype[Any] = np.dtype(np.float32)
    parameters: Parameters = Parameters()
    gradients: Parameters = Parameters()
    state: Parameters = Parameters()
    _cache: Any = NOTHING
    _rng: Generator | None = None
    _model: weakref.ref[Any] | None = None  # the layer that holds this one, and has its arrays under its own names
    _children: tuple[Layer, ...] | None = None  # the layers in this one, as it was built
    _held: dict[str, Any] | None = None  # the attributes in which they lay then; None: another layer has taken one
    _promised: tuple[Any, ...] | None = None  # rng and dtype, with which the first x builds this layer
    _row_products: int = 0  # multiply-adds for one example, which decide about the threads of BLAS

    def __init__(self, name: str | None = None) -> None:
        if not isinstance(name, (str, type(None))):
            raise TypeError(f"{type(self).__name__}: name must be a text, got {name!r}")
        self.name = name

    def __init_subclass__(cls, abstract: bool = False, **keywords: Any) -> None:
        """Enter the class in the registry, unless it is a base of others: `class Base(hg.Layer, abstract=True)`."""
        super().__init_subclass__(**keywords)
        known = Layer.registry.get(cls.__name__)
        ours = known is not None and known.__module__.startswith("handgrad.")  # the library's names stay the library's
        if not abstract and not ours:
            Layer.registry[cls.__name__] = cls

    # What a subclass writes -------------------------------------------------------------------------------------

    def compute(self, x: Array, training: bool, /) -> tuple[Array, Cache]:
        """y for x, both with the batch axis, and the cache that `differentiate` needs."""
        raise NotImplementedError(f"{type(self).__name__} must define compute(x, training) -> y, cache")

    def differentiate(self, dy: Array, cache: Cache, /) -> tuple[MaybeArray, Gradients]:
        """dx for dy and the cache, and the gradients by parameter name: {} where there are none."""
        raise NotImplementedError(f"{type(self).__name__} must define differentiate(dy, cache) -> dx, gradients")

    def create_parameters(self, input_shape: Shape, rng: Generator, /) -> Mapping[str, ArrayLike]:
        """The trained arrays by name, for examples of this shape; rng draws the random ones."""
        return {}

    def create_state(self, input_shape: Shape, /) -> Mapping[str, ArrayLike]:
        """The arrays that are saved but not trained, by name, such as running averages."""
        return {}

    def infer_output_shape(self, input_shape: Shape, /) -> Shape:
        """The shape of y for one example of this shape."""
        returned: Any = self.compute(zeros_for(self, input_shape), False)
        if not isinstance(returned, tuple) or len(returned) != 2:
            raise TypeError(f"{self.label}: compute must return y, cache, got {type(returned).__name__}")
        return tuple(returned[0].shape[1:])

    # What the plan of a model asks, see `steps.plan` -------------------------------------------------------------

    def fuse(self, following: Sequence[Layer], /) -> Step | None:
        """A step that does the work of this layer and of the first of those following it faster, or None."""
        return None

    def shorten(self, following: Sequence[Layer], /) -> Step | None:
        """A step that does the same in fewer calls, to the same bits, for models without fused steps, or None."""
        return None

    def share(self) -> Step | None:
        """A step that does this layer's work in our threads, for models with fused steps, or None."""
        return None

    # What a user calls ------------------------------------------------------------------------------------------

    def build(self, input_shape: int | Sequence[int], rng: Seed = None, dtype: DTypeLike = np.float32) -> Self:
        """Create parameters and state for examples of this shape.

        Parameters
        ----------
        input_shape : int or tuple of int
            The shape of one example, without the batch axis: 4 or (4,) for rows, (28, 28, 1) for images.
        rng : int or numpy.random.Generator, optional
            What initial weights are drawn from; without it they differ each time.
        dtype : dtype
            The dtype of parameters and outputs: float32, or float64 for a gradient check.

        Returns
        -------
        Self
            The layer, built.

        Raises
        ------
        ValueError
            For a shape that is none, or that the layer cannot take, for parameters larger than the memory, and for a
            layer of layers with one that `compute` does not call.
        """
        self.input_shape, self.dtype = shape_of_one(input_shape), float_type(dtype)
        try:
            self._create(generator_of(rng))
        except BaseException:
            self.input_shape = ()  # not half built
            raise
        leave_model(self)
        return self

    def _create(self, rng: Generator) -> None:
        """Make what the layer has of its own, and have an example of zeros build the layers in it."""
        self._adopt(rng)
        with within_memory(self.label):
            self.parameters = self._named("create_parameters", self.create_parameters(self.input_shape, rng))
            self.gradients = Parameters({k: np.zeros_like(v) for k, v in self.parameters.items()})
            self.state = self._named("create_state", self.create_state(self.input_shape))
        self.output_shape = tuple(self.infer_output_shape(self.input_shape))
        self._cache, self._row_products = NOTHING, row_products(self)
        self._take_in()

    def _adopt(self, rng: Generator) -> None:
        """Find and name the layers in this one, which are built by the first x that reaches them."""
        self._children = None
        self._children = children_of(self)
        name_children(self)
        for child in self._children:
            child.input_shape, child._promised = (), (rng, self.dtype)
        self.rng = rng

    def _take_in(self) -> None:
        """Have the arrays of the layers in this one under their dotted names, after its own."""
        self._children = children_of(self)
        for child in self._children:
            if not child.is_built:
                what = f"{self.label} holds '{child.label}', a {type(child).__name__} that no example has reached"
                raise ValueError(f"{what}: call its forward in compute, or do not keep it in an attribute")
            child._promised = None
            leave_model(child, self)
        self._held = held_by(self)
        if self._children:
            self._join()

    def _join(self) -> None:
        """The arrays by name: the layer's own first, then those of each layer in it."""
        for group in GROUPS:
            arrays = own(getattr(self, group))
            for child in self.children:
                arrays |= {f"{child.label}.{name}": array for name, array in getattr(child, group).items()}
            setattr(self, group, Parameters(arrays))

    def _named(self, method: str, created: object) -> Parameters:
        """What a method of a subclass has created, in arrays of the layer's own."""
        if not isinstance(created, Mapping):
            raise TypeError(f"{self.label}: {method} must return a dict of arrays, got {type(created).__name__}")
        kinds = kinds_for(self.dtype)
        if dotted := next((name for name in created if "." in str(name)), None):
            what = f"must not use '.' in a name, as in '{dotted}': it stands for layers"
            raise ValueError(f"{self.label}: {method} {what}")
        arrays = {name: numbers_of(f"{self.label}: '{name}'", value, kinds) for name, value in created.items()}
        return Parameters({name: np.array(array, self.dtype) for name, array in arrays.items()})

    def forward(self, x: ArrayLike, training: bool = False) -> Array:
        """y for x.

        Parameters
        ----------
        x : array_like (N, *input_shape)
            Examples; they are cast to the layer's dtype, uint8 (pixels) to 0..1.
        training : bool
            True keeps the cache that `backward` takes away; inference keeps nothing.

        Returns
        -------
        numpy.ndarray (N, *output_shape)

        Raises
        ------
        ValueError
            For another shape, and for a layer that is not built.
        """
        x = self.accept(x)
        if training not in (True, False):
            check_switch(f"{self.label}.forward", "training", training)
        if self._children:
            self._check_children(training)
        products = len(x) * self._row_products
        compute = self.compute if products <= TOO_SMALL_TO_SHARE else in_turn(self.compute, products)
        y, cache = compute(x, training)
        if training:
            self._cache = cache, y.shape, get_ident()
        if WATCHED:
            notice("forward", self, x, y)
        return y

    def backward(self, dy: Array, input_gradient: bool = True) -> MaybeArray:
        """dx for dy; assigns `gradients`.

        Parameters
        ----------
        dy : numpy.ndarray (N, *output_shape)
            The derivative of the loss by what the last `forward` in training returned.
        input_gradient : bool
            False returns None instead of dx, and may save its cost: nothing below a first layer needs it.

        Returns
        -------
        numpy.ndarray (N, *input_shape) or None

        Raises
        ------
        ValueError
            Without a forward before it, for a dy of another shape, and for gradients that are not one for each
            parameter, in its shape.
        TypeError
            For a `differentiate` that does not return dx and a dict.
        RuntimeError
            Where the forward before it was another thread's.
        """
        cache, shape, thread = self._cache
        if shape != dy.shape or thread != get_ident():
            refuse_backward(self, self._cache, dy)
        self._cache = NOTHING
        differentiate: Any = self.differentiate
        if (products := len(dy) * self._row_products) > TOO_SMALL_TO_SHARE:
            differentiate = in_turn(self.differentiate, products)
        if input_gradient or not self.can_skip_input_gradient:
            returned = differentiate(dy, cache)
        else:
            returned = differentiate(dy, cache, input_gradient=False)
        if type(returned) is not tuple or len(returned) != 2 or not isinstance(returned[1], dict):
            what = f"{self.label}: differentiate must return dx, gradients with gradients a dict by name"
            raise TypeError(f"{what} ({{}} where the layer has no parameters)")
        dx, gradients = returned
        if self._children:
            self._check_backward(gradients)
        elif len(gradients) != len(self.gradients):
            self._refuse(gradients)
        for name, gradient in gradients.items():
            place = self.gradients.get(name)
            if place is None or getattr(gradient, "shape", None) != place.shape:
                self._refuse(gradients)
            place[...] = gradient
        if WATCHED:
            notice("backward", self, dy, dx)
        return dx if input_gradient else None

    def _check_children(self, training: bool) -> None:
        """Refuse to compute with layers that are no longer those that were built, and forget their caches."""
        if self._held is None or any(vars(self).get(name) != value for name, value in self._held.items()):
            self._refuse_changed()
        if training:
            for child in self.children:
                child.clear_cache()

    def _check_backward(self, gradients: Mapping[str, Any]) -> None:
        """Refuse gradients that are not one for each parameter of the layer's own, and a layer left out."""
        if gradients.keys() != own(self.gradients).keys():
            self._refuse(gradients)
        for child in self.children:
            if child.has_cache and child.parameters:
                what = f"{self.label}: differentiate has not called {child.label}.backward"
                raise ValueError(f"{what}, whose gradients would be those of another step")

    def _refuse_changed(self) -> NoReturn:
        """Say why the arrays are not those of the layers: what trains them would train nothing."""
        rebuilt, changed = "a layer has been built again, in another model?", "its list of layers has changed since"
        why = changed if self._held else rebuilt
        advice = "build it again, or give each model layers of its own (copy.deepcopy)"
        raise ValueError(f"{self.label} is no longer what was built ({why}): {advice}")

    @property
    def is_built(self) -> bool:
        """Whether `build` has fixed the shapes and made the parameters."""
        return bool(self.input_shape)

    @property
    def multiply_adds(self) -> int:
        """Multiplications with addition for one example."""
        return sum(child.multiply_adds for child in self.children)

    @property
    def children(self) -> Sequence[Layer]:
        """The layers in a layer of layers, those of its attributes, in order."""
        return children_of(self) if self._children is None else self._children

    @property
    def rng(self) -> Generator | None:
        """The generator that random layers (dropout) draw from; assigning hands it to the layers in this one, too."""
        return self._rng

    @rng.setter
    def rng(self, generator: Generator | None) -> None:
        self._rng = generator
        for child in self.children:
            child.rng = generator

    @property
    def label(self) -> str:
        """The name that messages use: 'linear1', or the class name outside a model."""
        return self.name or type(self).__name__

    @property
    def config(self) -> dict[str, Any]:
        """The constructor's arguments as plain data: what rebuilds this layer, unbuilt."""
        return {k: plain(v) for k, v in constructor_arguments(self).items() if not (k == "name" and v is None)}

    def astype(self, dtype: DTypeLike) -> Self:
        """A copy whose parameters, gradients and state have this dtype (complex128 for a complex step)."""
        other = copy.deepcopy(self)
        other._cast(float_type(dtype))
        return other

    def _cast(self, dtype: DType) -> None:
        for child in self.children:
            child._cast(dtype)
        self.dtype = dtype
        for group in GROUPS:
            arrays = own(getattr(self, group)).items()
            setattr(self, group, Parameters({name: array.astype(dtype) for name, array in arrays}))
        if self.is_built:
            self._take_in()

    def bind(self, parameters: Array, gradients: Array) -> None:
        """Move the parameters and gradients into two flat vectors, of which they become views."""
        start = 0
        for name, array in own(self.parameters).items():
            stop = start + array.size
            for group, vector in ((self.parameters, parameters), (self.gradients, gradients)):
                view = vector[start:stop].reshape(array.shape)
                view[...] = group[name]
                dict.__setitem__(group, name, view)
            start = stop
        for child in self.children:
            stop = start + child.num_parameters
            child.bind(parameters[start:stop], gradients[start:stop])
            start = stop
        if self.children:
            self._join()

    @property
    def num_parameters(self) -> int:
        """How many numbers training changes."""
        return sum(array.size for array in self.parameters.values())

    def clear_cache(self) -> None:
        """Forget what the last forward in training kept for a backward."""
        self._cache = NOTHING
        for child in self.children:
            child.clear_cache()

    @property
    def has_cache(self) -> bool:
        """Whether a forward in training waits for its backward."""
        return self._cache is not NOTHING or any(child.has_cache for child in self.children)

    def accept(self, x: ArrayLike) -> Array:
        """x as an array of the layer's dtype, or a ValueError that names the layer and both shapes."""
        if type(x) is not np.ndarray:
            x = array_of("x", x)
        if not self.input_shape and self._promised:
            self.build(x.shape[1:], *self._promised)
        if not self.input_shape:
            raise ValueError(f"{self.label} is not built: call build(input_shape={x.shape[1:]}, rng=0) first")
        if x.shape[1:] != self.input_shape:
            self._refuse_shape(x.shape)
        return x if x.dtype == self.dtype or self.takes_indices else cast(x, self.dtype)

    def _refuse_shape(self, shape: Shape) -> NoReturn:
        one = f"; this is one example: pass x[None], shape (1, {', '.join(map(str, shape))})"
        what = f"{self.label} expected x of shape (N, {', '.join(map(str, self.input_shape))})"
        raise ValueError(f"{what}, got {shape}{one if shape == self.input_shape else self.shape_advice(shape)}")

    def shape_advice(self, shape: Shape) -> str:
        """What to add to the message about a wrong input shape: how to arrange x where it is plain, or ''."""
        if len(self.input_shape) == 3 and shape[1:] == (self.input_shape[2], *self.input_shape[:2]):
            return "; this looks like (N, C, H, W): transpose with x.transpose(0, 2, 3, 1)"
        if (*shape[1:], 1) == self.input_shape:
            return "; the last axis is missing: pass x[..., None]"
        return ""

    def _refuse(self, gradients: Mapping[str, Any]) -> NoReturn:
        """Say what is wrong with gradients that are not one for each parameter, in its shape: nothing may broadcast."""
        if gradients.keys() != own(self.gradients).keys():
            wanted, got = ", ".join(own(self.gradients)) or "there is none", ", ".join(map(str, gradients)) or "none"
            what = f"{self.label}: differentiate must return a gradient for each parameter"
            raise ValueError(f"{what} ({wanted}), got {got}")
        name = next(k for k, g in gradients.items() if getattr(g, "shape", None) != self.gradients[k].shape)
        what = f"{self.label}: the gradient of '{name}' must be an array in the shape of the parameter"
        raise ValueError(f"{what}, {self.gradients[name].shape}, got {np.shape(gradients[name])}")

    def __getstate__(self) -> dict[str, Any]:
        """What copies and files keep: no cache, and plain dicts of arrays, which anybody can fill."""
        kept = {name: value for name, value in vars(self).items() if name not in PASSING}
        return {name: dict(own(value)) if isinstance(value, Parameters) else value for name, value in kept.items()}

    def __setstate__(self, state: dict[str, Any]) -> None:
        groups = {k: Parameters(state[k]) for k in GROUPS if k in state}
        vars(self).update(state | groups)
        if self.is_built:
            self._take_in()

    def __repr__(self) -> str:
        arguments = ", ".join(f"{k}={v!r}" for k, v in self.config.items())
        return f"{type(self).__name__}({arguments})"


def is_as_written(thing: object) -> bool:
    """Whether no method of an object was replaced by another, as `layer.forward = mine` does."""
    kind: Any = type(thing)
    return methods_of(kind).isdisjoint(vars(thing))


@functools.lru_cache(maxsize=256)
def methods_of(kind: Any) -> frozenset[str]:
    """The names of a class's methods: found once, since steps ask in every call."""
    return frozenset(name for name in dir(kind) if callable(getattr(kind, name, None)))


class Paired(Layer, abstract=True):
    """A layer whose whole content is one pair of `handgrad.functional`, without parameters."""

    pair: ClassVar[Pair]

    @property
    def options(self) -> tuple[Any, ...]:
        """What the forward takes besides x."""
        return ()

    def compute(self, x: Array, training: bool) -> tuple[Array, Cache]:
        return self.pair[0](x, *self.options)

    def differentiate(self, dy: Array, cache: Cache) -> tuple[MaybeArray, Gradients]:
        (dx,) = self.pair[1](dy, cache)
        return dx, {}


class Step:
    """What a model runs in place of some of its layers, through the two methods of a layer."""

    def __init__(self, layers: Sequence[Layer]) -> None:
        self.layers = layers

    def forward(self, x: Array, training: bool = False) -> Array:
        raise NotImplementedError

    def backward(self, dy: Array, input_gradient: bool = True) -> MaybeArray:
        raise NotImplementedError

    @property
    def num_parameters(self) -> int:
        return sum(layer.num_parameters for layer in self.layers)

    @property
    def has_cache(self) -> bool:
        return any(layer.has_cache for layer in self.layers)

    def clear_cache(self) -> None:
        for layer in self.layers:
            layer.clear_cache()


def refuse_backward(layer: Layer, kept: Any, dy: Array) -> NoReturn:
    """Say why a backward for dy cannot take the cache that is kept."""
    _, shape, thread = kept
    if kept is NOTHING:
        advice = "call forward(x, training=True) before each backward, and each layer once in a forward"
        raise ValueError(f"{layer.label}.backward(dy) has no cache: {advice}")
    if thread != get_ident():
        what = f"{layer.label}.backward(dy): the forward(x, training=True) before it was another thread's"
        raise RuntimeError(f"{what}: train a model in one thread, and in a second one a copy.deepcopy of it")
    raise ValueError(f"{layer.label}.backward expected dy of shape {shape}, got {dy.shape}")


IN_TRAINING: dict[int, int] = {}  # id of what is trained -> the thread that trains it


class TrainingAlone:
    """Within the block these parts are this thread's to train; RuntimeError where they are another's."""

    def __init__(self, **parts: object) -> None:
        self.parts: dict[str, object] = parts
        self.taken: list[int] = []

    def __enter__(self) -> None:
        thread = get_ident()
        try:
            for name, part in self.parts.items():
                if IN_TRAINING.get(id(part)) != thread:
                    check_alone(name, IN_TRAINING.setdefault(id(part), thread))
                    self.taken.append(id(part))
        except RuntimeError:
            self.__exit__()
            raise

    def __exit__(self, *problem: object) -> None:
        for key in self.taken:
            del IN_TRAINING[key]


def check_alone(name: str, thread: int | None) -> None:
    """RuntimeError where the thread that trains a part is not the one that asks."""
    if thread not in (None, get_ident()):
        what = f"another thread is training this {name}"
        raise RuntimeError(f"{what}: wait until it has ended, or use a copy.deepcopy of the {name} here")


def row_products(layer: Layer) -> int:
    """How many multiply-adds an example may take in one product; 0 in a layer of ours that has none."""
    if type(layer).__module__.startswith("handgrad.") and not layer.multiply_adds:
        return 0
    return max(layer.multiply_adds, layer.num_parameters, prod(layer.input_shape), prod(layer.output_shape))


def walk(layer: Layer, prefix: str = "") -> Iterator[tuple[str, Layer]]:
    """Yield ('sequential1.linear1', layer) for each layer that has arrays of its own, or no children.

    The names are those of its parameters.
    """
    for child in layer.children:
        if not child.children or own(child.parameters) or own(child.state):
            yield f"{prefix}{child.name}", child
        yield from walk(child, f"{prefix}{child.name}.")


def family(layer: Layer) -> Iterator[Layer]:
    """Yield a layer and all layers in it, those of layers, too."""
    yield layer
    for child in layer.children:
        yield from family(child)


def leaves(layer: Layer) -> list[Layer]:
    """Those that `walk` finds in this layer, or itself if it has none."""
    return [leaf for _, leaf in walk(layer)] or [layer]


def leave_model(layer: Layer, model: Layer | None = None) -> None:
    """Have the layer of layers to which a layer belonged know that its arrays are no longer this one's."""
    former: Any = layer._model and layer._model()
    if former is not None and former is not model:
        former._held = None
    layer._model = None if model is None else weakref.ref(model)


def own(arrays: Parameters) -> dict[str, Array]:
    """Those of the layer itself, without those of the layers in it, whose names have a dot."""
    return {name: array for name, array in arrays.items() if "." not in name}


def held_by(layer: Layer) -> dict[str, Any]:
    """The attributes in which a layer holds others, alone or in lists and tables: {'inner': what lies there now}."""
    attributes = ((name, value) for name, value in vars(layer).items() if name not in PASSING)
    return {name: layout(value) for name, value in attributes if any(layers_in(value))}


def layout(value: Any) -> Any:
    """Nested lists and tables of layers, copied: equal to the value until one of its layers is another."""
    if isinstance(value, (list, tuple)):
        return type(value)(map(layout, value))
    return {key: layout(item) for key, item in value.items()} if isinstance(value, dict) else value


def children_of(layer: Layer) -> tuple[Layer, ...]:
    """The layers in a layer's attributes, each once, in order."""
    return tuple({id(part): part for value in held_by(layer).values() for part in layers_in(value)}.values())


def name_children(layer: Layer) -> None:
    """Name the layers in a layer's attributes by these where they have no names: 'inner', or 'inner1', 'inner2'."""
    for attribute, value in held_by(layer).items():
        parts, stem = list(layers_in(value)), attribute.strip("_")
        for i, part in enumerate(parts, start=1):
            part.name = part.name or (stem if isinstance(value, Layer) else f"{stem}{i}")
        check_apart(parts)
    check_apart(layer.children)


def check_apart(layers: Sequence[Layer]) -> None:
    """Refuse the same layer twice, and names that are equal or have a dot."""
    seen = [id(leaf) for layer in layers for leaf in leaves(layer)]
    if len(set(seen)) < len(seen):
        raise ValueError("the same layer object stands twice in this model: make a second one of the same class")
    names = [layer.label for layer in layers]
    for name in names:
        if names.count(name) > 1 or "." in name:
            raise ValueError(f"layer names are unique and have no '.'; got '{name}' {names.count(name)} times")


def layers_in(value: object) -> Iterator[Layer]:
    """Yield the layers in plain data."""
    if isinstance(value, Layer):
        yield value
    elif isinstance(value, (list, tuple, dict)):
        for item in value.values() if isinstance(value, dict) else value:
            yield from layers_in(item)
    elif isinstance(value, (set, frozenset)) and any(isinstance(item, Layer) for item in value):
        raise TypeError("layers in a set have no order, and so no names: keep them in a list")


# What passes through layers, seen ---------------------------------------------------------------------------------

# 'forward' or 'backward', a layer, what it was given and what it returned
Seen: TypeAlias = Callable[[str, "Layer", Array, MaybeArray], None]
WATCHED: dict[int, Seen] = {}  # thread -> who sees what passes through layers in it


@contextlib.contextmanager
def watching(seen: Seen) -> Iterator[None]:
    """Within the block `seen` is called with what each layer is given and returns, in this thread.

    Models run their layers one by one then, and no faster step in place of them.
    """
    WATCHED[get_ident()] = seen
    try:
        yield
    finally:
        del WATCHED[get_ident()]


def is_watched() -> bool:
    """Whether somebody watches what passes through layers in this thread."""
    return bool(WATCHED) and get_ident() in WATCHED


def notice(direction: str, layer: Layer, given: Array, returned: MaybeArray) -> None:
    """Tell who watches this thread, if anybody does."""
    if seen := WATCHED.get(get_ident()):
        seen(direction, layer, given, returned)


class TooLargeError(ValueError):
    """Parameters that no memory can hold."""


@contextlib.contextmanager
def within_memory(label: str) -> Iterator[None]:
    """Within the block what no memory can hold is a TooLargeError that names the layer."""
    try:
        yield
    except (MemoryError, OverflowError) as problem:
        raise TooLargeError(f"{label} is too large for this machine: {problem}") from None
    except ValueError as problem:
        if "Maximum allowed" not in str(problem) and "too big" not in str(problem):
            raise
        raise TooLargeError(f"{label} is too large for any machine: {problem}") from None


def kinds_for(dtype: DType) -> str:
    """NumPy's letters for what may be written into arrays of this dtype: complex numbers into complex ones only."""
    return "biufc" if dtype.kind == "c" else "biuf"


def float_type(dtype: DTypeLike) -> DType:
    """dtype as NumPy has it, for one of floats or of complex numbers."""
    try:
        found = np.dtype(dtype)
    except TypeError:
        found = np.dtype(object)
    if found.kind not in "fc":
        raise TypeError(f"dtype must be one of floats, such as 'float32' or 'float64', got {dtype!r}")
    return found


def generator_of(rng: Seed) -> Generator:
    """The generator that rng is or seeds."""
    try:
        return np.random.default_rng(rng)
    except (TypeError, ValueError):
        what = "rng must be a whole number of 0 or more, a numpy.random.Generator or None"
        raise TypeError(f"{what}, got {rng!r}") from None


def shape_of_one(input_shape: int | Sequence[int]) -> Shape:
    """(4,) for 4 or (4,): the shape of one example, each size at least 1."""
    shape: tuple[Any, ...] = tuple(input_shape) if isinstance(input_shape, Iterable) else (input_shape,)
    if not shape or not all(isinstance(n, (int, np.integer)) and n > 0 for n in shape):
        raise ValueError(f"input_shape is the shape of one example, such as (4,) or (28, 28, 1); got {input_shape!r}")
    return tuple(int(n) for n in shape)


def zeros_for(layer: Layer, input_shape: Shape) -> Array:
    """One example of zeros, of whole numbers where the layer takes these."""
    return np.zeros((1, *input_shape), np.intp if layer.takes_indices else layer.dtype)


def cast(x: Array, dtype: np.dtype[Any]) -> Array:
    """x in the model's dtype. uint8 means pixels: 0..255 become 0..1. Complex arrays stay complex (complex step)."""
    if x.dtype == np.uint8:
        scaled: Array = np.multiply(x, dtype.type(1 / 255), dtype=dtype)
        return scaled
    if x.dtype.kind == "c":
        return x
    return numbers_of("x", x).astype(dtype)


def plain(value: Any) -> Any:
    """A constructor argument as plain data: layers, initializers and the like become {"name": ..., arguments}."""
    if isinstance(value, Layer):
        return {"layer": type(value).__name__, **value.config}
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    if isinstance(value, np.ndarray):
        return value.tolist()
    if isinstance(value, np.generic):
        return value.item()
    if value is None or isinstance(value, (str, int, float, bool, dict)):
        return value
    return {"name": type(value).__name__, **{k: plain(v) for k, v in constructor_arguments(value).items()}}
