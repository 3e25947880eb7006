"""A model as PyTorch modules, and back; and its numbers as a state_dict or a .safetensors file."""

import torch
from torch import nn

from .. import files
from ..layers.containers import Sequential, leaves
from .read import Reader, copy_to_layers, copy_to_modules, pair
from .table import is_known
from .write import Writer

LAYOUTS = ("NHWC", "NCHW")


def to_torch(model, layout="NHWC"):
    """The model as an nn.Sequential of ordinary layers with the same numbers, names and dtype.

    The module takes and gives what the model does, images as (N, H, W, C); where it has image layers its first module
    then turns them to (N, C, H, W). layout='NCHW' leaves that to you: the module takes and gives (N, C, H, W).
    Raises ValueError for a model not built, for a layer PyTorch has no counterpart of, and for complex numbers.
    """
    check_model(model)
    if layout not in LAYOUTS:
        raise ValueError(f"layout is {layout!r}; expected one of {', '.join(LAYOUTS)}")
    with torch.random.fork_rng(devices=[]):  # new modules draw numbers, which are overwritten at once
        module = Writer(model, layout).module().to(getattr(torch, model.dtype.name))
    copy_to_modules(leaves(model), pair(model, module).pairings)
    return module


def from_torch(module, input_shape=None):
    """The built model that does what the module does, with the same numbers, names and dtype.

    module: an nn.Sequential of layers of the table, nested as you like, or a module whose forward is a plain chain of
    them. input_shape: one example's shape as handgrad has it (H, W, C), needed where the module works on images.
    A module that takes (N, C, H, W) becomes a model that takes (N, H, W, C).
    Raises ValueError for modules and options handgrad does not have, by name.
    """
    if not isinstance(module, nn.Module):
        raise TypeError(f"from_torch takes an nn.Module, got {type(module).__name__}")
    return Reader(nn.Sequential(module) if is_known(module) else module, input_shape).model()


def state_dict(model):
    """{'linear1.weight': tensor, ...}: the model's numbers as PyTorch stores them; `to_torch(model)` takes it."""
    return to_torch(model).state_dict()


def load_state_dict(model, tensors):
    """Copy a state_dict into the model. Names as `state_dict` gives them, or any names in the same order and shapes."""
    module = to_torch(model)
    wanted = module.state_dict()
    if set(tensors) != set(wanted):
        tensors = renamed(tensors, wanted)
    try:
        module.load_state_dict(tensors)
    except RuntimeError as problem:
        raise ValueError(f"this state_dict does not fit the model: {' '.join(str(problem).split())}") from None
    copy_to_layers(leaves(model), pair(model, module).pairings)


def renamed(tensors, wanted):
    """The tensors under the wanted names, one after the other; ValueError unless their shapes agree in order."""
    counts = [name for name in wanted if name.endswith("num_batches_tracked")]
    given = [(name, t) for name, t in tensors.items() if not name.endswith("num_batches_tracked")]
    names = [name for name in wanted if name not in counts]
    for name, (other, tensor) in zip(names, given, strict=False):
        if wanted[name].shape != tensor.shape:
            raise ValueError(f"this state_dict does not fit the model: '{other}' has shape {tuple(tensor.shape)} where "
                             f"the model has '{name}' {tuple(wanted[name].shape)}")
    if len(names) != len(given):
        raise ValueError(f"this state_dict holds {len(given)} arrays, the model {len(names)}: they do not fit")
    return {**{name: wanted[name] for name in counts}, **{n: t for n, (_, t) in zip(names, given, strict=True)}}


def save_weights(model, path):
    """Write `state_dict(model)` to a .safetensors (or .npz) file, as PyTorch users exchange them."""
    files.write_arrays(path, {name: tensor.numpy() for name, tensor in state_dict(model).items()}, {"format": "pt"})


def load_weights(model, path):
    """Copy such a file of a PyTorch module's numbers into the model. Nothing in the file is run."""
    arrays, _ = files.read_arrays(path)
    load_state_dict(model, {name: torch.from_numpy(array) for name, array in arrays.items()})


def check_model(model):
    if not isinstance(model, Sequential):
        raise TypeError(f"to_torch takes a Sequential, got {type(model).__name__}: put it in hg.Sequential([...])")
    if not model.is_built:
        raise ValueError("the model is not built: call model.build(input_shape, rng=0) first")
    if model.dtype.name not in ("float32", "float64"):
        raise ValueError(f"PyTorch's layers compute in float32 or float64, the model in {model.dtype}: use astype")
