"""The table of the twin: one row per layer says which module it is in PyTorch, and how its arrays lie there."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple, TypeAlias

import numpy as np
from torch import nn

from .. import layers as hg
from ..arrays import Array, Shape
from ..functional.pooling import pool_geometry
from ..functional.windows import window_geometry
from . import modules

# where features were flattened from channels first: theirs = ours[order]; else None
Order: TypeAlias = "Array | None"
PADDINGS = (nn.ZeroPad2d, nn.ConstantPad2d)


class Layout(NamedTuple):
    """An array's way to PyTorch and back: there(array, order), back(array, order)."""

    there: Callable[[Array, Order], Array]
    back: Callable[[Array, Order], Array]


def to_theirs(array: Array, order: Order) -> Array:
    """Our rows in the order of theirs."""
    return array if order is None else array[order]


def to_ours(array: Array, order: Order) -> Array:
    """Their rows in our order."""
    return array if order is None else array[np.argsort(order)]


def swap_gates(array: Array) -> Array:
    """The last two of four blocks of columns exchanged: gates i, f, o, g to i, f, g, o or back."""
    i, f, o, g = np.split(array, 4, axis=-1)
    return np.concatenate([i, f, g, o], axis=-1)


SAME = Layout(lambda a, order: a, lambda a, order: a)
FEATURES = Layout(to_theirs, to_ours)
LINEAR = Layout(lambda a, order: to_theirs(a, order).T, lambda a, order: to_ours(a.T, order))  # (in, out), (out, in)
# (kh, kw, C, out), (out, C, kh, kw)
CONVOLUTION = Layout(lambda a, order: a.transpose(3, 2, 0, 1), lambda a, order: a.transpose(2, 3, 1, 0))
LINE = Layout(lambda a, order: a.transpose(2, 1, 0), lambda a, order: a.transpose(2, 1, 0))
TRANSPOSED = Layout(lambda a, order: a.transpose(2, 3, 0, 1), lambda a, order: a.transpose(2, 3, 0, 1))
GATES = Layout(lambda a, order: swap_gates(a).T, lambda a, order: swap_gates(a.T))


@dataclass(frozen=True)
class Row:
    """A layer of handgrad and its module. Append one to `ROWS` for a layer of your own.

    Attributes
    ----------
    layer : class
        Of handgrad.
    module : class or tuple of classes
        Of PyTorch, or of `torch_twin.modules`.
    same : dict
        {our constructor argument: theirs}.
    given : callable
        (layer, first) -> {their argument: value}; first means that the module sees (N, C, H, W).
    requires : dict
        {their argument: the values at which the module does what the layer does}.
    arrays : dict
        {our parameter or state: (theirs, how it lies)}.
    channels : {'first', 'last'} or None
        Where its module works on such only.
    pads : float, optional
        What its padding holds, for layers with padding.
    ordered : bool
        Its constructor's constants belong to features in our order.
    mixes : bool
        Its outputs are new features, whatever order the old ones had.
    then : class, optional
        Of a module that always follows.
    note : str
        What a reader who knows one side should know of the other.
    size : str
        Their argument that counts our features.
    fixed : dict
        As `requires`, of arguments that must be written: the first of the values is.
    axes : callable
        module -> 'first', 'last' or None, where the module itself tells its `channels`.
    choose : callable
        (layer, first) -> which of several classes it is.

    Examples
    --------
    >>> from torch import nn
    >>> Row(hg.LeakyReLU, nn.LeakyReLU, {"alpha": "negative_slope"}).write(hg.LeakyReLU(0.1), first=False)
    {'': LeakyReLU(negative_slope=0.1)}
    """

    layer: type[hg.Layer]
    module: type[nn.Module] | tuple[type[nn.Module], ...]
    same: Mapping[str, str] = field(default_factory=dict)
    given: Callable[[Any, bool], dict[str, Any]] = lambda layer, first: {}
    requires: Mapping[str, tuple[Any, ...]] = field(default_factory=dict)
    arrays: Mapping[str, tuple[str, Layout]] = field(default_factory=dict)
    channels: str | None = None
    pads: float | None = None
    ordered: bool = False
    mixes: bool = False
    then: type[nn.Module] | None = None
    note: str = ""
    size: str = ""
    fixed: Mapping[str, tuple[Any, ...]] = field(default_factory=dict)
    axes: Callable[[Any], str | None] = lambda module: None
    choose: Callable[[Any, bool], int] = lambda layer, first: 0

    @property
    def classes(self) -> tuple[type[nn.Module], ...]:
        """The classes of modules that the layer can be."""
        return self.module if isinstance(self.module, tuple) else (self.module,)

    def channels_of(self, module: nn.Module) -> str | None:
        """'first' or 'last' where the module's channels must lie so."""
        return self.channels or self.axes(module)

    def write(self, layer: hg.Layer, first: bool) -> dict[str, nn.Module]:
        """The modules that are this layer, as {suffix of their name: module}; '' is the one with the arrays."""
        arguments = {theirs: getattr(layer, ours) for ours, theirs in self.same.items()}
        arguments.update({theirs: values[0] for theirs, values in self.fixed.items()}, **self.given(layer, first))
        if self.size:
            arguments[self.size] = layer.input_shape[-1]
        written: dict[str, nn.Module] = {}
        if self.pads is not None:
            arguments["padding"], before = split_padding(layer)
            if before is not None:
                written["_padding"] = nn.ZeroPad2d(before) if self.pads == 0 else nn.ConstantPad2d(before, self.pads)
        written[""] = self.classes[self.choose(layer, first)](**arguments)
        if self.then is not None:
            written["_flatten"] = self.then()
        return written

    def read(self, name: str, module: nn.Module, shape: Shape, padding: nn.Module | None = None) -> hg.Layer:
        """The layer, not built, that this module is; padding: a padding module that stands right before it."""
        where, ours = f"{name} ({brief(module)})", f"where handgrad's {self.layer.__name__}"
        for theirs, values in {**self.fixed, **self.requires}.items():
            value = argument(module, theirs)
            if value not in values:
                way_out = f"is like {theirs}={values[0]!r}: use that{ADVICE.get(theirs, '')}"
                raise ValueError(f"{where} has {theirs}={value!r}, {ours} {way_out}")
        arguments = {mine: argument(module, theirs) for mine, theirs in self.same.items()}
        for mine, value in arguments.items():
            if value is None and mine not in ("epsilon", "padding_index"):
                raise ValueError(f"{where} has {self.same[mine]}=None, {ours} needs a number: it cannot be read")
        if self.pads is not None:
            arguments["padding"] = joint_padding(where, module, self, padding, (1, *shape), arguments)
        if issubclass(self.layer, (hg.MaxPool2D, hg.AvgPool2D)) and arguments["stride"] == arguments["kernel_size"]:
            arguments["stride"] = None
        try:
            return self.layer(**arguments)
        except ValueError as problem:
            raise ValueError(f"{where} cannot be read: {problem}") from None


def argument(module: nn.Module, name: str) -> Any:
    """What the module was made with: (3, 3) comes back as 3, the tensor of a bias as True."""
    value: Any = getattr(module, name)
    if name == "bias":
        return value is not None
    if isinstance(value, (tuple, list)) and len(set(value)) == 1 and name not in ("shape", "axes", "sizes"):
        return value[0]
    return tuple(value) if isinstance(value, list) else value


def split_padding(layer: Any) -> tuple[Any, tuple[int, int, int, int] | None]:
    """(padding the module takes itself, padding (left, right, top, bottom) that a module before it must add)."""
    shape, is_convolution = (1, *layer.input_shape), isinstance(layer, hg.Conv2D)
    if is_convolution:
        geometry = window_geometry(layer.label, shape, layer.kernel_size, layer.stride, layer.padding, layer.dilation)
    else:
        geometry = pool_geometry(layer.label, shape, layer.kernel_size, layer.stride, layer.padding)
    most = math.inf if is_convolution else min(geometry.kernel) // 2  # the most that PyTorch's pooling takes
    (top, bottom), (left, right) = geometry.padding
    if top != bottom or left != right or max(top, left) > most:
        return 0, (left, right, top, bottom)
    if is_convolution and layer.padding == "same" and geometry.stride == (1, 1):
        return "same", None
    return (top if top == left else (top, left)), None


def joint_padding(
    where: str, module: Any, row: Row, before: Any, shape: Shape, arguments: Mapping[str, Any]
) -> int | str | tuple[int, int]:
    """Our `padding` for a module with its own and, maybe, a padding module before it."""
    own: int | str | tuple[int, int] = argument(module, "padding")
    own = 0 if own == "valid" else own
    if before is None:
        return own
    if before.value != row.pads or isinstance(own, str) or min(before.padding) < 0:
        raise ValueError(f"{where}: {before} before it is no padding that {row.layer.__name__} has")
    vertical, horizontal = own if isinstance(own, tuple) else (own, own)
    left, right, top, bottom = before.padding
    pads = (top + vertical, bottom + vertical), (left + horizontal, right + horizontal)
    if pads[0][0] == pads[0][1] and pads[1][0] == pads[1][1]:
        return pads[0][0] if pads[0] == pads[1] else (pads[0][0], pads[1][0])
    window = arguments["kernel_size"], arguments["stride"], "same", arguments.get("dilation", 1)
    if window_geometry(where, shape, *window).padding != pads:
        raise ValueError(f"{where}: handgrad pads both sides alike, or 'same'; here {before} stands before it")
    return "same"


def recurrent(layer: type[hg.Layer], module: type[nn.Module], layout: Layout, bias: Layout, note: str) -> Row:
    """The row of a recurrent layer."""
    arrays = {"weight": ("weight_ih_l0", layout), "recurrent_weight": ("weight_hh_l0", layout)}
    arrays["bias"] = ("bias_ih_l0", bias)
    same = {"units": "hidden_size", "return_sequences": "return_sequences"}
    if layer is hg.GRU:
        arrays["recurrent_bias"] = ("bias_hh_l0", bias)
    else:
        note += "; one bias here, two there, of which the second is fixed at 0"
    return Row(layer, module, same, size="input_size", arrays=arrays, channels="last", mixes=True, note=note)


SAME_OUTPUTS = "which gives the same outputs, but will be trained"
ADVICE = {  # the way out, by the argument that is refused
    "bias": f" with a bias of 0, {SAME_OUTPUTS}",
    "affine": f" with weight 1 and bias 0, {SAME_OUTPUTS}",
    "elementwise_affine": f" with weight 1 and bias 0, {SAME_OUTPUTS}",
}
WINDOW = {"kernel_size": "kernel_size", "stride": "stride"}
GROUPED = {"dilation": "dilation", "groups": "groups", "bias": "bias"}
WEIGHT = {"weight": ("weight", SAME)}
AFFINE = {"gamma": ("weight", FEATURES), "beta": ("bias", FEATURES)}
RUNNING = {"running_mean": ("running_mean", FEATURES), "running_var": ("running_var", FEATURES)}
SOFTMAX: dict[str, Any] = {
    "given": lambda layer, first: {"dim": 1 if first or len(layer.input_shape) == 1 else -1},
    "axes": lambda module: {1: "first", -1: "last"}.get(module.dim),
    "requires": {"dim": (1, -1)},
}
MEAN: dict[str, Any] = {
    "given": lambda layer, first: {"channels_first": first},
    "axes": lambda module: "first" if module.channels_first else "last",
}

ROWS = [
    Row(
        hg.Linear,
        nn.Linear,
        {"units": "out_features", "bias": "bias"},
        size="in_features",
        arrays={"weight": ("weight", LINEAR), "bias": ("bias", SAME)},
        axes=lambda module: "last",
        mixes=True,
        note="weight (in, out) here, (out, in) there",
    ),
    Row(
        hg.Conv2D,
        nn.Conv2d,
        {"filters": "out_channels", **WINDOW, **GROUPED},
        size="in_channels",
        requires={"padding_mode": ("zeros",)},
        arrays={"weight": ("weight", CONVOLUTION), "bias": ("bias", SAME)},
        channels="first",
        pads=0.0,
        note="images (N, H, W, C) here, (N, C, H, W) there; weight (kh, kw, C, out) here, (out, C, kh, kw) there",
    ),
    Row(
        hg.Conv1D,
        nn.Conv1d,
        {"filters": "out_channels", **WINDOW, "padding": "padding", **GROUPED},
        size="in_channels",
        requires={"padding_mode": ("zeros",)},
        arrays={"weight": ("weight", LINE), "bias": ("bias", SAME)},
        channels="first",
        note="sequences (N, T, C) here, (N, C, T) there",
    ),
    Row(
        hg.ConvTranspose2D,
        nn.ConvTranspose2d,
        {"filters": "out_channels", **WINDOW, "padding": "padding", "output_padding": "output_padding", "bias": "bias"},
        size="in_channels",
        requires={"padding_mode": ("zeros",), "dilation": (1,), "groups": (1,)},
        arrays={"weight": ("weight", TRANSPOSED), "bias": ("bias", SAME)},
        channels="first",
        note="weight (kh, kw, C, out) here, (C, out, kh, kw) there",
    ),
    Row(
        hg.MaxPool2D,
        nn.MaxPool2d,
        WINDOW,
        requires={"dilation": (1,), "ceil_mode": (False,), "return_indices": (False,)},
        channels="first",
        pads=-math.inf,
        note="both pad with -inf, and the first of equal numbers wins",
    ),
    Row(
        hg.AvgPool2D,
        nn.AvgPool2d,
        WINDOW,
        requires={"ceil_mode": (False,), "count_include_pad": (True,), "divisor_override": (None,)},
        channels="first",
        pads=0.0,
        note="in both the zeros of the padding count",
    ),
    Row(
        hg.GlobalAvgPool2D,
        nn.AdaptiveAvgPool2d,
        fixed={"output_size": (1,)},
        channels="first",
        then=nn.Flatten,
        note="one layer here, two modules there",
    ),
    Row(hg.GlobalAvgPool2D, modules.Mean, fixed={"num_axes": (2,)}, **MEAN),
    Row(hg.GlobalAvgPool1D, modules.Mean, fixed={"num_axes": (1,)}, **MEAN),
    Row(hg.AdaptiveAvgPool2D, nn.AdaptiveAvgPool2d, {"output_size": "output_size"}, channels="first"),
    Row(
        hg.BatchNorm,
        (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d),
        {"momentum": "momentum", "epsilon": "eps"},
        size="num_features",
        requires={"affine": (True,), "bias": (True,), "track_running_stats": (True,)},
        arrays={**AFFINE, **RUNNING},
        channels="first",
        choose=lambda layer, first: max(0, len(layer.input_shape) - 2),
        note="gamma and beta are called weight and bias there; in both running = (1 - momentum) running + momentum "
        "batch, with the variance divided by N - 1 (Keras' momentum is 1 minus this one)",
    ),
    Row(
        hg.LayerNorm,
        (nn.LayerNorm, modules.LayerNorm2d),
        {"epsilon": "eps"},
        size="normalized_shape",
        requires={"elementwise_affine": (True,), "bias": (True,)},
        arrays=AFFINE,
        axes=lambda module: "first" if isinstance(module, modules.LayerNorm2d) else "last",
        choose=lambda layer, first: int(first),
    ),
    Row(
        hg.GroupNorm,
        nn.GroupNorm,
        {"num_groups": "num_groups", "epsilon": "eps"},
        size="num_channels",
        requires={"affine": (True,), "bias": (True,)},
        arrays=AFFINE,
        channels="first",
    ),
    Row(
        hg.RMSNorm,
        nn.RMSNorm,
        {"epsilon": "eps"},
        size="normalized_shape",
        requires={"elementwise_affine": (True,)},
        arrays={"gamma": ("weight", FEATURES)},
        channels="last",
    ),
    Row(
        hg.Normalize,
        modules.Normalize,
        {"mean": "mean", "std": "std"},
        given=lambda layer, first: {"channels_first": first},
        axes=lambda module: "first" if module.channels_first else None,
        ordered=True,
    ),
    recurrent(hg.RNN, modules.RNN, LINEAR, SAME, "weights (in, out) here, (out, in) there"),
    recurrent(hg.GRU, modules.GRU, LINEAR, SAME, "weights (in, out) here, (out, in) there"),
    recurrent(hg.LSTM, modules.LSTM, GATES, GATES, "gates in the order i, f, o, g here, i, f, g, o there"),
    Row(
        hg.MultiHeadAttention,
        modules.MultiHeadAttention,
        {"num_heads": "num_heads", "causal": "causal"},
        size="embed_dim",
        requires={"dropout": (0.0,), "bias_k": (None,), "add_zero_attn": (False,), "batch_first": (True,)},
        arrays={
            "weight": ("in_proj_weight", LINEAR),
            "bias": ("in_proj_bias", SAME),
            "output_weight": ("out_proj.weight", LINEAR),
            "output_bias": ("out_proj.bias", SAME),
        },
        channels="last",
        mixes=True,
        note="weights (in, out) here, (out, in) there",
    ),
    Row(
        hg.Embedding,
        nn.Embedding,
        {"num_embeddings": "num_embeddings", "units": "embedding_dim", "padding_index": "padding_idx"},
        requires={"max_norm": (None,), "scale_grad_by_freq": (False,), "sparse": (False,)},
        arrays=WEIGHT,
        channels="last",
        mixes=True,
    ),
    Row(hg.TableEmbedding, modules.TableEmbedding, {"sizes": "sizes", "units": "units"}, arrays=WEIGHT, ordered=True),
    Row(
        hg.PositionalEmbedding,
        modules.PositionalEmbedding,
        {"length": "length", "sinusoidal": "sinusoidal"},
        given=lambda layer, first: {"length": layer.length or layer.input_shape[0]},
        size="features",
        arrays=WEIGHT,
        channels="last",
    ),
    Row(hg.Dropout, nn.Dropout, {"rate": "p"}, note="each engine draws masks of its own; here both use handgrad's"),
    Row(
        hg.Flatten,
        nn.Flatten,
        requires={"start_dim": (1,), "end_dim": (-1,)},
        note="features in the order (H, W, C) here, (C, H, W) there: the next Linear's weight is reordered",
    ),
    Row(hg.Last, modules.Last, channels="last"),
    Row(hg.Reshape, modules.Reshape, {"shape": "shape"}, channels="last", ordered=True),
    Row(hg.Permute, modules.PermuteExamples, {"axes": "axes"}, channels="last", ordered=True),
    Row(hg.Reshape, modules.Spread, channels="first"),
    Row(hg.Softmax, nn.Softmax, **SOFTMAX),
    Row(hg.LogSoftmax, nn.LogSoftmax, **SOFTMAX),
    Row(hg.ReLU, nn.ReLU),
    Row(hg.LeakyReLU, nn.LeakyReLU, {"alpha": "negative_slope"}),
    Row(hg.ELU, nn.ELU, {"alpha": "alpha"}),
    Row(hg.GELU, nn.GELU, {"approximate": "approximate"}, note="the tanh form by default here, the exact one there"),
    Row(hg.SELU, nn.SELU),
    Row(hg.ReLU6, nn.ReLU6),
    Row(hg.SiLU, nn.SiLU),
    Row(hg.Sigmoid, nn.Sigmoid),
    Row(hg.Tanh, nn.Tanh),
    # PyTorch's goes over to y = x at threshold 20, 2e-9 away; at 50 the two are the same number
    Row(
        hg.Softplus, nn.Softplus, fixed={"beta": (1.0,), "threshold": (50, 20)}, note="nn.Softplus() is y = x above 20"
    ),
    Row(hg.Arctan, modules.Arctan),
    Row(hg.Identity, nn.Identity),
]


def row_of(layer: hg.Layer) -> Row:
    """The row of a layer; ValueError for a class without one."""
    for row in ROWS:
        if type(layer) is row.layer:
            return row
    way_out = "append a handgrad.torch_twin.Row to handgrad.torch_twin.ROWS"
    raise ValueError(f"{layer.label}: {type(layer).__name__} has no PyTorch twin; {way_out}")


def row_for(name: str, module: nn.Module) -> Row:
    """The row of a module; ValueError for a class without one."""
    rows = [row for row in ROWS if type(module) in row.classes]
    if rows:  # of several, the one whose fixed arguments the module has
        fitting = (row for row in rows if all(argument(module, name) in it for name, it in row.fixed.items()))
        return next(fitting, rows[0])
    what = f"{name} is {brief(module)}"
    if isinstance(module, (nn.RNN, nn.LSTM, nn.GRU)):
        alone = f"torch_twin.modules.{type(module).__name__}, the same with the outputs alone"
        raise ValueError(f"{what}, which gives its states as well: handgrad reads {alone}")
    known = ", ".join(cls.__name__ for row in ROWS for cls in row.classes)
    raise ValueError(f"{what}, for which handgrad has no layer (known: {known})")


def is_known(module: nn.Module) -> bool:
    """Whether a module is of the table, or helps to read one that is."""
    return any(type(module) in row.classes for row in ROWS) or type(module) in (modules.Permute, *PADDINGS)


def brief(module: nn.Module) -> str:
    """A module on one line: its class and options, not its children."""
    return f"{type(module).__name__}({module.extra_repr()})"
