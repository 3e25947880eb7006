"""The table of the twin: one row per layer says which module it is in PyTorch, and how its arrays lie there."""

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from torch import nn

from .. import layers as hg
from ..functional.pooling import pool_geometry
from ..functional.windows import window_geometry
from . import modules
from .arrays import CONVOLUTION, FEATURES, GATES, LINEAR, SAME


@dataclass(frozen=True)
class Row:
    """A layer of handgrad and its module.

    same: {our constructor argument: theirs}. given: their arguments that follow from the shapes, made from
    (layer, first), first meaning that the module sees (N, C, H, W). requires: {their argument: the values at which the
    module does what the layer does}. arrays: {our parameter or state: (theirs, how it lies)}. channels: 'first' or
    'last' where its module works on such only. pads: what its padding holds, for layers with padding. ordered: its
    constructor's constants belong to features in our order. mixes: its outputs are new features, whatever order the
    old ones had. then: a class of module that always follows. note: what a reader who knows one side should know of
    the other.
    """

    layer: type
    module: type | tuple
    same: dict = field(default_factory=dict)
    given: Callable = lambda layer, first: {}
    requires: dict = field(default_factory=dict)
    arrays: dict = field(default_factory=dict)
    channels: str | None = None
    pads: float | None = None
    ordered: bool = False
    mixes: bool = False
    then: type | None = None
    note: str = ""
    choose: Callable = lambda row, layer, first: row.classes[0]
    axes: Callable = lambda module: None  # 'first' or 'last' where the module itself tells

    @property
    def classes(self):
        return self.module if isinstance(self.module, tuple) else (self.module,)

    def write(self, layer, first):
        """The modules that are this layer, as {suffix of their name: module}; '' is the one with the arrays."""
        arguments = {theirs: getattr(layer, ours) for ours, theirs in self.same.items()}
        arguments.update(self.given(layer, first))
        written = {}
        if self.pads is not None:
            own, before = split_padding(layer)
            arguments["padding"] = own
            if before is not None:
                written["_padding"] = nn.ZeroPad2d(before) if self.pads == 0 else nn.ConstantPad2d(before, self.pads)
        written[""] = self.choose(self, layer, first)(**arguments)
        if self.then is not None:
            written["_flatten"] = self.then()
        return written

    def read(self, name, module, shape, padding=None):
        """The layer, not built, that this module is; padding: a padding module that stands right before it."""
        for theirs, values in self.requires.items():
            value = argument(module, theirs)
            if value not in values:
                raise ValueError(
                    f"{name} ({brief(module)}) has {theirs}={value!r}, where handgrad's "
                    f"{self.layer.__name__} is like {theirs}={values[0]!r}: use that"
                    f"{ADVICE.get(theirs, '')}"
                )
        arguments = {ours: argument(module, theirs) for ours, theirs in self.same.items()}
        for ours, value in arguments.items():
            if value is None:
                raise ValueError(
                    f"{name} ({brief(module)}) has {self.same[ours]}=None, where handgrad's "
                    f"{self.layer.__name__} needs a number: it cannot be read"
                )
        if self.pads is not None:
            arguments["padding"] = joint_padding(self, name, module, padding, shape, arguments)
        if arguments.get("stride") == arguments.get("kernel_size") and issubclass(self.layer, hg.images.Pool2D):
            arguments["stride"] = None
        try:
            return self.layer(**arguments)
        except ValueError as problem:
            raise ValueError(f"{name} ({brief(module)}) cannot be read: {problem}") from None


def argument(module, name):
    """What the module was made with: (3, 3) comes back as 3, the tensor of a bias as True."""
    value = getattr(module, name)
    if name == "bias":
        return value is not None
    if isinstance(value, (tuple, list)) and len(set(value)) == 1:
        return value[0]
    return tuple(value) if isinstance(value, list) else value


def split_padding(layer):
    """(padding the module takes itself, padding (left, right, top, bottom) that a module before it must add)."""
    shape = (1, *layer.input_shape)
    if isinstance(layer, hg.Conv2D):
        geometry = window_geometry(layer.label, shape, layer.kernel_size, layer.stride, layer.padding, layer.dilation)
        most = np.inf
    else:
        geometry = pool_geometry(layer.label, shape, layer.kernel_size, layer.stride, layer.padding)
        most = min(geometry.kernel) // 2  # the most that PyTorch's pooling takes
    (top, bottom), (left, right) = geometry.padding
    if top == bottom and left == right and max(top, left) <= most:
        if isinstance(layer, hg.Conv2D) and layer.padding == "same" and geometry.stride == (1, 1):
            return "same", None
        return (top if top == left else (top, left)), None
    return 0, (left, right, top, bottom)


def joint_padding(row, name, module, before, shape, arguments):
    """Our `padding` for a module with its own and, maybe, a padding module before it."""
    own = argument(module, "padding")
    own = 0 if own == "valid" else own
    if before is None:
        return own
    if before.value != row.pads or isinstance(own, str) or min(before.padding) < 0:
        raise ValueError(f"{name}: {before} before {module} is no padding that {row.layer.__name__} has")
    vertical, horizontal = own if isinstance(own, tuple) else (own, own)
    left, right, top, bottom = before.padding
    pads = (top + vertical, bottom + vertical), (left + horizontal, right + horizontal)
    if pads[0][0] == pads[0][1] and pads[1][0] == pads[1][1]:
        return pads[0][0] if pads[0] == pads[1] else (pads[0][0], pads[1][0])
    same = window_geometry(
        name, (1, *shape), arguments["kernel_size"], arguments["stride"], "same", arguments.get("dilation", 1)
    )
    if same.padding != pads:
        raise ValueError(f"{name}: handgrad pads both sides alike, or 'same'; got {before} before {module}")
    return "same"


def channels(layer, first):
    return {"num_features": layer.input_shape[-1]}


def features(layer, first):
    return {"input_size": layer.input_shape[-1]}


def softmax_axis(layer, first):
    return {"dim": 1 if first or len(layer.input_shape) == 1 else -1}


def axes_of_softmax(module):
    return {1: "first", -1: "last"}.get(module.dim)


SAME_OUTPUTS = "which gives the same outputs, but will be trained"
ADVICE = {  # the way out, by the argument that is refused
    "bias": f" with a bias of 0, {SAME_OUTPUTS}",
    "affine": f" with weight 1 and bias 0, {SAME_OUTPUTS}",
    "elementwise_affine": f" with weight 1 and bias 0, {SAME_OUTPUTS}",
    "approximate": ", which is within 5e-4",
}
PADDINGS = (nn.ZeroPad2d, nn.ConstantPad2d)
WINDOW = {"kernel_size": "kernel_size", "stride": "stride"}
RECURRENT = {"units": "hidden_size", "return_sequences": "return_sequences"}
NORM_ARRAYS = {"gamma": ("weight", FEATURES), "beta": ("bias", FEATURES)}
RUNNING = {"running_mean": ("running_mean", FEATURES), "running_var": ("running_var", FEATURES)}

ROWS = [
    Row(
        hg.Linear,
        nn.Linear,
        {"units": "out_features", "bias": "bias"},
        given=lambda layer, first: {"in_features": layer.input_shape[0]},
        arrays={"weight": ("weight", LINEAR), "bias": ("bias", SAME)},
        mixes=True,
        note="weight (in, out) here, (out, in) there",
    ),
    Row(
        hg.Conv2D,
        nn.Conv2d,
        {"filters": "out_channels", **WINDOW, "dilation": "dilation", "groups": "groups", "bias": "bias"},
        given=lambda layer, first: {"in_channels": layer.input_shape[-1]},
        requires={"padding_mode": ("zeros",)},
        arrays={"weight": ("weight", CONVOLUTION), "bias": ("bias", SAME)},
        channels="first",
        pads=0.0,
        note="images (N, H, W, C) here, (N, C, H, W) there; weight (kh, kw, C, out) here, (out, C, kh, kw) there",
    ),
    Row(
        hg.MaxPool2D,
        nn.MaxPool2d,
        WINDOW,
        channels="first",
        pads=-np.inf,
        note="both pad with -inf, and the first of equal numbers wins",
        requires={"dilation": (1,), "ceil_mode": (False,), "return_indices": (False,)},
    ),
    Row(
        hg.AvgPool2D,
        nn.AvgPool2d,
        WINDOW,
        channels="first",
        pads=0.0,
        note="in both the zeros of the padding count",
        requires={"ceil_mode": (False,), "count_include_pad": (True,), "divisor_override": (None,)},
    ),
    Row(
        hg.GlobalAvgPool2D,
        nn.AdaptiveAvgPool2d,
        given=lambda layer, first: {"output_size": 1},
        requires={"output_size": (1,)},
        channels="first",
        then=nn.Flatten,
        note="one layer here, two modules there",
    ),
    Row(
        hg.BatchNorm,
        (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d),
        {"momentum": "momentum", "epsilon": "eps"},
        given=channels,
        requires={"affine": (True,), "bias": (True,), "track_running_stats": (True,)},
        channels="first",
        choose=lambda row, layer, first: row.classes[max(0, len(layer.input_shape) - 2)],
        arrays={**NORM_ARRAYS, **RUNNING},
        note="gamma and beta are called weight and bias there; in both running = (1 - momentum) running + momentum "
        "batch, with the variance divided by N - 1 (Keras' momentum is 1 minus this one)",
    ),
    Row(
        hg.LayerNorm,
        (nn.LayerNorm, modules.LayerNorm2d),
        {"epsilon": "eps"},
        given=lambda layer, first: {"normalized_shape": layer.input_shape[-1]},
        requires={"elementwise_affine": (True,), "bias": (True,)},
        arrays=NORM_ARRAYS,
        choose=lambda row, layer, first: row.classes[first],
        axes=lambda module: "first" if isinstance(module, modules.LayerNorm2d) else "last",
    ),
    Row(
        hg.Normalize,
        modules.Normalize,
        {"mean": "mean", "std": "std"},
        ordered=True,
        given=lambda layer, first: {"channels_first": first},
        axes=lambda module: "first" if module.channels_first else None,
    ),
    Row(
        hg.RNN,
        modules.RNN,
        RECURRENT,
        given=features,
        channels="last",
        mixes=True,
        arrays={
            "weight": ("weight_ih_l0", LINEAR),
            "recurrent_weight": ("weight_hh_l0", LINEAR),
            "bias": ("bias_ih_l0", SAME),
        },
        note="one bias here, two there, of which the second is fixed at 0; weights (in, out) here, (out, in) there",
    ),
    Row(
        hg.LSTM,
        modules.LSTM,
        RECURRENT,
        given=features,
        channels="last",
        mixes=True,
        arrays={
            "weight": ("weight_ih_l0", GATES),
            "recurrent_weight": ("weight_hh_l0", GATES),
            "bias": ("bias_ih_l0", GATES),
        },
        note="gates in the order i, f, o, g here, i, f, g, o there; one bias here, two there, the second fixed at 0",
    ),
    Row(hg.Dropout, nn.Dropout, {"rate": "p"}, note="each engine draws masks of its own; here both use handgrad's"),
    Row(
        hg.Flatten,
        nn.Flatten,
        requires={"start_dim": (1,), "end_dim": (-1,)},
        note="features in the order (H, W, C) here, (C, H, W) there: the next Linear's weight is reordered",
    ),
    Row(hg.Softmax, nn.Softmax, given=softmax_axis, axes=axes_of_softmax, requires={"dim": (1, -1)}),
    Row(hg.LogSoftmax, nn.LogSoftmax, given=softmax_axis, axes=axes_of_softmax, requires={"dim": (1, -1)}),
    Row(hg.ReLU, nn.ReLU),
    Row(hg.LeakyReLU, nn.LeakyReLU, {"alpha": "negative_slope"}),
    Row(hg.ELU, nn.ELU, {"alpha": "alpha"}),
    Row(
        hg.GELU,
        nn.GELU,
        given=lambda layer, first: {"approximate": "tanh"},
        requires={"approximate": ("tanh",)},
        note="the tanh form; nn.GELU() is the other one",
    ),
    Row(hg.SiLU, nn.SiLU),
    Row(hg.Sigmoid, nn.Sigmoid),
    Row(hg.Tanh, nn.Tanh),
    # PyTorch's goes over to y = x at threshold 20, 2e-9 away; at 50 the two are the same number
    Row(
        hg.Softplus,
        nn.Softplus,
        given=lambda layer, first: {"threshold": 50},
        requires={"beta": (1,), "threshold": (50, 20)},
        note="nn.Softplus() turns into y = x above 20",
    ),
    Row(hg.Arctan, modules.Arctan),
    Row(hg.Identity, nn.Identity),
]


def row_of(layer):
    """The row of a layer; ValueError for a class without one."""
    for row in ROWS:
        if type(layer) is row.layer:
            return row
    raise ValueError(
        f"{layer.label}: {type(layer).__name__} has no PyTorch twin; "
        "append a handgrad.torch_twin.Row to handgrad.torch_twin.ROWS"
    )


def brief(module):
    """A module on one line: its class and options, not its children."""
    return f"{type(module).__name__}({module.extra_repr()})"


def is_known(module):
    return any(type(module) in row.classes for row in ROWS) or type(module) in (modules.Permute, *PADDINGS)


def row_for(name, module):
    """The row of a module; ValueError for a class without one."""
    for row in ROWS:
        if type(module) in row.classes:
            return row
    if isinstance(module, (nn.RNN, nn.LSTM)):
        raise ValueError(
            f"{name} is {brief(module)}, which gives its states as well: handgrad reads "
            f"torch_twin.modules.{type(module).__name__}, the same with the outputs alone"
        )
    raise ValueError(
        f"{name} is {brief(module)}, for which handgrad has no layer "
        f"(known: {', '.join(cls.__name__ for row in ROWS for cls in row.classes)})"
    )
