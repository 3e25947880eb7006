"""A model as PyTorch modules, and back; and its numbers as a state_dict or a .safetensors file."""

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, TypeAlias

import torch
from torch import Tensor, nn

from .. import files
from ..arrays import Shape
from ..files import FilePath
from ..layers import Branches, Flatten, Layer, Residual, Sequential
from ..layers.base import family, leaves
from . import modules
from .graph import children_of, one_module
from .modules import Permute, chained, channel_axes
from .read import Reader, copy_to_layers, copy_to_modules, pair
from .table import Row, row_of

LAYOUTS = ("NHWC", "NCHW")
Module: TypeAlias = Mapping[str, Tensor]  # a module's arrays by the names they have in it


def to_torch(model: Sequential, layout: str = "NHWC") -> nn.Sequential:
    """The model as PyTorch modules: an nn.Sequential of ordinary layers with the same numbers, names and dtype.

    Parameters
    ----------
    model : Sequential
        A built model in float32 or float64.
    layout : {"NHWC", "NCHW"}
        How the module takes and gives images. "NHWC" as the model does: where it has image layers, the first module
        turns (N, H, W, C) to (N, C, H, W) and the last one back. "NCHW" leaves that to you.

    Returns
    -------
    nn.Sequential
        A module whose outputs are the model's, to rounding.

    Raises
    ------
    ValueError
        For a model not built, for a layer that has no row in `ROWS`, and for complex numbers.

    Examples
    --------
    >>> model = hg.Sequential([hg.Linear(3), hg.ReLU()]).build((4,), rng=0)
    >>> to_torch(model)
    Sequential(
      (linear1): Linear(in_features=4, out_features=3, bias=True)
      (relu1): ReLU()
    )
    """
    check_model(model)
    if layout not in LAYOUTS:
        raise ValueError(f"layout is {layout!r}; expected one of {', '.join(LAYOUTS)}")
    with torch.random.fork_rng(devices=[]):  # new modules draw numbers, which are overwritten at once
        module = Writer(model, layout).module().to(torch_dtype(model))
    copy_to_modules(leaves(model), pair(model, module).pairings)
    return module


def from_torch(module: nn.Module, input_shape: Shape | None = None) -> Sequential:
    """The built model that does what a PyTorch module does, with the same numbers, names and dtype.

    Frozen parameters come along as any others, and will be trained.

    Parameters
    ----------
    module : nn.Module
        An nn.Sequential of layers of the table, nested as you like, or a module whose forward is a plain chain of them.
    input_shape : tuple of int, optional
        One example's shape as handgrad has it, (H, W, C); needed where the module works on images. A module that takes
        (N, C, H, W) becomes a model that takes (N, H, W, C).

    Returns
    -------
    Sequential
        A built model.

    Raises
    ------
    ValueError
        For modules and options that handgrad does not have, by name; for hooks; for parameters that two modules share.
    TypeError
        For what is no module.

    Examples
    --------
    >>> from torch import nn
    >>> from_torch(nn.Sequential(nn.Linear(4, 3), nn.ReLU())).output_shape
    (3,)
    """
    if not isinstance(module, nn.Module):
        raise TypeError(f"from_torch takes an nn.Module, got {type(module).__name__}")
    return Reader(module, input_shape).model()


def torch_dtype(model: Sequential) -> torch.dtype:
    """The model's dtype as PyTorch calls it."""
    dtype: torch.dtype = getattr(torch, str(model.dtype))
    return dtype


def state_dict(model: Sequential) -> dict[str, Tensor]:
    """The model's numbers as PyTorch stores them; `to_torch(model)` takes them.

    Parameters
    ----------
    model : Sequential
        A built model.

    Returns
    -------
    dict
        {'linear1.weight': tensor, ...}

    Examples
    --------
    >>> model = hg.Sequential([hg.Linear(3)]).build((4,), rng=0)
    >>> {name: tuple(tensor.shape) for name, tensor in state_dict(model).items()}
    {'linear1.weight': (3, 4), 'linear1.bias': (3,)}
    """
    return to_torch(model).state_dict()


def load_state_dict(model: Sequential, tensors: Mapping[str, Tensor]) -> None:
    """Copy a state_dict into the model.

    Parameters
    ----------
    model : Sequential
        A built model; its parameters and statistics are overwritten.
    tensors : mapping of str to Tensor
        With the names that `state_dict(model)` gives, or of a module of other names: its arrays are told by their own
        names (weight, bias) and those of their modules, which stand in the model's order, or whose shapes and numbers
        tell it.

    Raises
    ------
    ValueError
        Where names, order or shapes do not fit.
    TypeError
        For what is no state_dict.

    Examples
    --------
    >>> model, other = (hg.Sequential([hg.Linear(3)]).build((4,), rng=seed) for seed in (0, 1))
    >>> load_state_dict(model, state_dict(other))
    >>> bool((model.parameter_vector == other.parameter_vector).all())
    True
    """
    check_tensors(tensors)
    module = to_torch(model)
    wanted = module.state_dict()
    if set(tensors) != set(wanted):
        tensors = renamed(tensors, wanted)
    try:
        module.load_state_dict(tensors)
    except RuntimeError as problem:
        raise ValueError(f"{REFUSED}: {' '.join(str(problem).split())}") from None
    copy_to_layers(leaves(model), pair(model, module).pairings)


def check_tensors(tensors: Any) -> None:
    """Refuse what is no state_dict."""
    if not isinstance(tensors, Mapping):
        way_out = "a module's is module.state_dict(), a file's weights come by load_weights(model, path)"
        raise TypeError(f"a state_dict is {{name: tensor}}, got {type(tensors).__name__}; {way_out}")
    for name, tensor in tensors.items():
        if not isinstance(tensor, Tensor):
            found = f"here '{name}' is {type(tensor).__name__}"
            way_out = "in a checkpoint, pick the part that is the state_dict"
            raise TypeError(f"a state_dict is {{name: tensor}}, and {found}; {way_out}")


COUNT = "num_batches_tracked"  # of PyTorch's batch norm, which handgrad does without
REFUSED = "this state_dict does not fit the model"


def renamed(tensors: Mapping[str, Tensor], wanted: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The tensors under the wanted names: module by module, and in each by the names that PyTorch gives its arrays.

    Which module is which their order tells; or where names stand in alphabetical order, as in a .safetensors file, the
    shapes and the numbers in the names ('2' before '10'); ValueError where these leave it open.
    """
    counts = {name: tensor for name, tensor in wanted.items() if name.endswith(COUNT)}
    targets = {name: tensor for name, tensor in wanted.items() if name not in counts}
    given = without_prefix({name: t for name, t in tensors.items() if not name.endswith(COUNT)}, targets)
    if given.keys() == targets.keys():
        return {**counts, **given}
    if len(given) != len(targets):
        lacking = ", ".join([name for name in targets if name not in given][:3]) or "none"
        unknown = ", ".join([name for name in given if name not in targets][:3]) or "other"
        counts_differ = f"this state_dict holds {len(given)} arrays, the model {len(targets)}"
        raise ValueError(f"{counts_differ}: it lacks {lacking}, and the model knows no {unknown}")
    places, modules = by_module(targets), by_module(given)
    is_sorted, is_numbered = in_alphabet(given), all(paths == sorted(paths, key=numbers_in) for paths in stems(modules))
    order = modules if is_numbered and not is_sorted else in_places(modules, places, by_number=is_sorted)
    found = dict(counts)
    for (place, module), path in zip(places.items(), order, strict=False):
        check_module(place, module, path, modules[path], path in places)
        found.update({joined(place, name): tensor for name, tensor in modules[path].items()})
    return found


def without_prefix(tensors: dict[str, Tensor], wanted: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The tensors under names without 'module.' or the like, where these are the wanted ones then."""
    stripped = tensors
    while len({name.partition(".")[0] for name in stripped}) == 1 and all("." in name for name in stripped):
        stripped = {name.partition(".")[2]: tensor for name, tensor in stripped.items()}
        if stripped.keys() == wanted.keys():
            return stripped
    return tensors


def by_module(tensors: Mapping[str, Tensor]) -> dict[str, dict[str, Tensor]]:
    """{'net.0': {'weight': tensor, 'bias': tensor}, ...}."""
    modules: dict[str, dict[str, Tensor]] = {}
    for name, tensor in tensors.items():
        path, _, own = name.rpartition(".")
        modules.setdefault(path, {})[own] = tensor
    return modules


def joined(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name


def in_alphabet(tensors: Mapping[str, Tensor]) -> bool:
    """Whether names stand in alphabetical order, in which writers of files put them, by dtype."""
    names: dict[torch.dtype, list[str]] = {}
    for name, tensor in tensors.items():
        names.setdefault(tensor.dtype, []).append(name)
    return all(group == sorted(group) for group in names.values())


def in_places(modules: Mapping[str, Module], places: Mapping[str, Module], by_number: bool) -> list[str]:
    """The paths of modules in the order of the places that names and shapes of their arrays fit, equal ones by number.

    In the order as it is where some fit no place, to be refused.
    """
    alike: dict[object, list[str]] = {}
    for path in sorted(modules, key=numbers_in):
        alike.setdefault(shapes_of(modules[path]), []).append(path)
    if Counter(map(shapes_of, places.values())) != {key: len(paths) for key, paths in alike.items()}:
        return list(modules)
    for paths in alike.values():
        if len(paths) > 1 and (not by_number or len(stems(paths)) > 1):
            what = f"names and order do not tell whether '{paths[0]}' or '{paths[1]}' comes first"
            raise ValueError(f"{REFUSED}: {what}: rename its arrays as state_dict(model) has them")
    return [alike[shapes_of(place)].pop(0) for place in places.values()]


def stems(paths: Iterable[str]) -> list[list[str]]:
    """Paths that differ in their numbers alone, together."""
    found: dict[str, list[str]] = {}
    for path in paths:
        found.setdefault(re.sub(r"\d+", "0", path), []).append(path)
    return list(found.values())


def numbers_in(path: str) -> list[int]:
    return [int(number) for number in re.findall(r"\d+", path)]


def shapes_of(module: Module) -> frozenset[tuple[str, torch.Size]]:
    return frozenset((name, tensor.shape) for name, tensor in module.items())


def check_module(place: str, wanted: Module, path: str, given: Module, is_other: bool) -> None:
    """Refuse arrays that are not those of the module at this place, or that by their name belong to another place."""
    if wanted.keys() != given.keys():
        both = (path, given), (place, wanted)
        here, there = (", ".join(sorted(joined(at, name) for name in arrays)) for at, arrays in both)
        raise ValueError(f"{REFUSED}: it has {here} where the model has {there}")
    for name, tensor in wanted.items():
        if given[name].shape != tensor.shape:
            what = f"'{joined(path, name)}' has shape {tuple(given[name].shape)}"
            raise ValueError(f"{REFUSED}: {what} where the model has '{joined(place, name)}' {tuple(tensor.shape)}")
    if is_other and path != place:
        name = next(iter(given))
        what = f"this state_dict has '{joined(path, name)}' where the model has '{joined(place, name)}'"
        raise ValueError(f"{what}, and not all of its names: rename its arrays as state_dict(model) has them")


def save_weights(model: Sequential, path: FilePath) -> None:
    """Write `state_dict(model)` to a file, as PyTorch users exchange them.

    Parameters
    ----------
    model : Sequential
        A built model.
    path : str or path
        Ends in .safetensors or .npz.

    See Also
    --------
    load_weights : reads such a file, with an example of both.
    """
    files.write_arrays(path, {name: tensor.numpy() for name, tensor in state_dict(model).items()})


def load_weights(model: Sequential, path: FilePath) -> None:
    """Copy the numbers of a PyTorch module out of a file into the model. Nothing in the file is run.

    Parameters
    ----------
    model : Sequential
        A built model; its parameters and statistics are overwritten.
    path : str or path
        A .safetensors or .npz file of a state_dict, as `save_weights` or PyTorch's users write it; names as in
        `load_state_dict`, bfloat16 as float32.

    Raises
    ------
    ValueError
        For a damaged file, and where names, order or shapes do not fit.

    Examples
    --------
    >>> import tempfile, handgrad as hg
    >>> trained, fresh = (hg.Sequential([hg.Linear(2)]).build(3, rng=seed) for seed in (0, 1))
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     save_weights(trained, f"{folder}/weights.npz")
    ...     load_weights(fresh, f"{folder}/weights.npz")
    >>> bool((fresh.parameters["linear1.weight"] == trained.parameters["linear1.weight"]).all())
    True
    """
    arrays, _ = files.read_arrays(path)
    load_state_dict(model, {name: torch.from_numpy(array) for name, array in arrays.items()})


def check_model(model: Sequential) -> None:
    """Refuse a model that cannot have a twin: not built, or of complex numbers."""
    if not isinstance(model, Sequential):
        raise TypeError(f"to_torch takes a Sequential, got {type(model).__name__}: put it in hg.Sequential([...])")
    if not model.is_built:
        raise ValueError("the model is not built: call model.build(input_shape, rng=0) first")
    for part in family(model):
        if part.children and type(part) not in (Residual, Branches) and type(part).forward is not Sequential.forward:
            what = f"{part.label}: {type(part).__name__} has a forward of its own"
            raise ValueError(f"{what}, and so no PyTorch twin: put it together of Residual and Branches")
    if str(model.dtype) not in ("float32", "float64"):
        raise ValueError(f"PyTorch's layers compute in float32 or float64, the model in {model.dtype}: use astype")


class Writer:
    """Writes the modules of a built model, keeping track of where its batches have their channels.

    Images turn to channels first once, before everything, if a layer wants them so, and back at the end.
    """

    def __init__(self, model: Sequential, layout: str) -> None:
        self.model = model
        self.rows: list[tuple[Layer, Row]] = [(layer, row_of(layer)) for layer in leaves(model)]
        self.given_first: bool = layout == "NCHW" and len(model.input_shape) > 1
        self.first: bool = self.given_first
        self.position: int = 0  # of the leaf that comes next
        self.joints: set[int] = set()  # positions at which a chain inside of another layer begins or has ended
        self.mark(model, 0)

    def module(self) -> nn.Sequential:
        """The nn.Sequential of the whole model."""
        container = nn.Sequential()
        wanted = [self.wants_first(position) for position in range(len(self.rows))]
        start = next((first for first in wanted if first is not None), self.first)
        self.turn(container, start, len(self.model.input_shape))
        self.fill(container, self.model.layers)
        self.turn(container, self.given_first, len(self.model.output_shape))
        return container

    def mark(self, layer: Layer, position: int) -> int:
        """Note the joints in a layer that begins at a position; returns the position after it."""
        for child in layer.children:
            if isinstance(layer, (Residual, Branches)):
                self.joints.add(position)
            position = self.mark(child, position) if child.children else position + 1
        if isinstance(layer, (Residual, Branches)):
            self.joints.add(position)
        return position

    def join(self, layer: Residual | Branches) -> nn.Module:
        """The module of a layer that holds chains side by side, each of which begins and ends with one layout."""
        first, shape = self.first, layer.output_shape
        if isinstance(layer, Branches):
            branches = [self.branch(branch, first, shape) for branch in layer.branches]
            return modules.Branches(branches, layer.join, 1 if first and len(shape) > 1 else -1)
        through = self.way(layer.layers, first, shape)
        around = None if layer.shortcut is None else self.branch(layer.shortcut, first, shape)
        return modules.Residual(through, around)

    def branch(self, layer: Layer, first: bool, shape: Shape) -> nn.Module:
        """A way that is one layer, as one module."""
        way = self.way([layer], first, shape)
        return chained(way) if isinstance(layer, Sequential) else one_module(way)

    def way(self, layers: Sequence[Layer], first: bool, shape: Shape) -> dict[str, nn.Module]:
        """One of several chains on the same batch, by name, which ends as it began."""
        self.first = first
        (only, *others) = layers
        container = self.fill(nn.Sequential(), only.layers if type(only) is Sequential and not others else layers)
        self.turn(container, first, len(shape))
        self.first = first
        return dict(children_of(container))

    def fill(self, container: nn.Sequential, layers: Sequence[Layer]) -> nn.Sequential:
        """Put layers into the container, turned where the next one wants it."""
        for layer in layers:
            name = str(layer.name)
            if isinstance(layer, Sequential):
                add(container, name, self.fill(nn.Sequential(), layer.layers))
                continue
            if isinstance(layer, (Residual, Branches)):
                asked = [self.wants_first(self.position + i) for i in range(len(leaves(layer)))]
                to_first = next((first for first in asked if first is not None), self.first)
                self.turn(container, to_first, len(layer.input_shape))
                add(container, name, self.join(layer))
                continue
            row, rank = self.rows[self.position][1], len(layer.input_shape)
            self.first = self.first and rank > 1  # rows have no channels: what comes of them lies as ours
            wanted = self.wants_first(self.position)
            self.turn(container, self.first if wanted is None else wanted, rank)
            for suffix, module in row.write(layer, self.first and rank > 1).items():
                add(container, name + suffix, module)
            self.position += 1
        return container

    def wants_first(self, position: int) -> bool | None:
        """True or False where the layer's module wants channels first or last, None where it takes both."""
        layer, row = self.rows[position]
        if row.layer is Flatten:
            return None if self.order_is_absorbed(position) else False
        if row.channels is None and not row.mixes and len(layer.input_shape) > 1:
            return None
        return row.channels == "first" and len(layer.input_shape) > 1

    def order_is_absorbed(self, position: int) -> bool:
        """True when a Linear follows the Flatten there, whose weights can take the order of channels first."""
        for i, (_, row) in enumerate(self.rows[position + 1 :], start=position + 1):
            if i in self.joints or row.mixes or row.ordered:
                return row.mixes and i not in self.joints
        return False

    def turn(self, container: nn.Sequential, to_first: bool, rank: int) -> None:
        """Add a Permute where channels lie otherwise than is asked."""
        if to_first != self.first and rank > 1:
            name = "to_channels_first" if to_first else "to_channels_last"
            count = sum(child.startswith(name) for child in container._modules)
            add(container, f"{name}_{count + 1}" if count else name, Permute(*channel_axes(rank, to_first)))
            self.first = to_first


def add(container: nn.Sequential, name: str, module: nn.Module) -> None:
    """Put a module into a container, under a name that PyTorch may refuse."""
    try:
        container.add_module(name, module)
    except KeyError:
        raise ValueError(f"layer '{name}' needs another name: PyTorch's modules have something of that name") from None
